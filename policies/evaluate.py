"""What is to be done now about one obligation: the heart of the product.

`evaluate` lays out every instant at which the ladder has something to say, takes those that have come since the last
look, and says it once: the latest instant speaks for all that were missed. `docs/how-it-decides.md` tells it in
prose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from policies.chain import (
    ADMINISTRATOR,
    FIRST_HANDLER,
    Resolution,
    Same,
    next_upward,
    rank_of,
    resolve_any,
    role_title,
)
from policies.counting import moment_at, shift
from policies.duration import Unit
from policies.model import History, Light, Notice, ObligationState, Plan, Reason, Why
from policies.text import Text
from policies.wording import day_of, instant_of, iso_of, just_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from policies.calendar import Calendar
    from policies.duration import Duration, Moment
    from policies.model import (
        Case,
        Directory,
        FirstHandler,
        Ladder,
        Lights,
        Limit,
        Obligation,
        Policy,
        Scalar,
        Step,
        Via,
    )

START = "start"
STILL_ON_TIME = timedelta(hours=1)  # a step looked at a little late, in the rush of nine o'clock, is no missed one
DUE = "due"
UNACKNOWLEDGED = "unacknowledged"

_CLOCK_UNITS = frozenset({Unit.HOUR, Unit.WORKHOUR})
_BRIGHTNESS = {Light.GREEN: 0, Light.YELLOW: 1, Light.ORANGE: 2, Light.RED: 3}


@dataclass(frozen=True, slots=True)
class Rung:
    """One instant at which a step of the ladder speaks; `repeat` counts its returns, 0 is the first time.

    `unacknowledged` marks the derived step that speaks when nobody has acknowledged (签收) in time.
    """

    at: datetime
    step: Step
    order: int
    repeat: int = 0
    unacknowledged: bool = False

    @property
    def id(self) -> str:
        """The step's id as it stands in keys and reasons."""
        return f"{self.step.id}.{UNACKNOWLEDGED}" if self.unacknowledged else self.step.id

    @property
    def name(self) -> str:
        """The id with the number of the return, for lists of what was missed."""
        return f"{self.id}#{self.repeat}" if self.repeat else self.id

    @property
    def say(self) -> str:
        """Which text it says."""
        return UNACKNOWLEDGED if self.unacknowledged else self.step.say


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person a step speaks to: in which role, why, and for whom he stands in."""

    person: str
    role: str
    why: Why
    copy: bool = False
    instead_of: str | None = None


def evaluate(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    history: History,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Plan:
    """Decide on one obligation at `now`. `kinds` tells which kind of address each configured channel uses.

    The same call with the history it returned, at the same `now`, gives no notice. Raises CountError if a step of the
    ladder lies beyond the years that can be counted.
    """
    rule = rule_of(policy, obligation)
    if rule is None:
        return _rest(Why.WITHDRAWN, obligation, history, history.light or Light.GREEN)
    limit, ladder = rule
    light = light_at(obligation, ladder.lights, calendar, now)
    if (idle := _idle(obligation, case)) is not None:
        return _rest(idle, obligation, history, history.light or light)
    setting = _Setting(policy, limit, ladder, obligation, case, directory, first_handler, calendar, now, kinds)
    rungs = timeline(ladder, obligation, case.milestones, calendar)
    due, later, reasons = _sorted_out(rungs, history, setting)
    if due:
        at = due[-1].at
        firing = [rung for rung in due if rung.at == at or now - rung.at <= STILL_ON_TIME]
        missed = tuple(rung for rung in due if rung not in firing)
        reasons += [_missed(rung, at, calendar) for rung in missed]
        notices, told = _speak(setting, firing, missed, later[0].at if later else None, light)
        reasons += told
    else:
        notices = ()
    after = History(_decided_until(rungs, history, now), light, history.breached_at)
    return _outlook(setting, Plan(notices, None, tuple(reasons), light, after), history.light, later)


def after_failure(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    failed: Notice,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Plan:
    """A notice could not be delivered: the same message for the next person up the chain, at last an administrator.

    Only the notices and reasons of the plan count; its history is empty and it asks for no further look.
    """
    rule = rule_of(policy, obligation)
    idle = Why.WITHDRAWN if rule is None else _idle(obligation, case)
    if rule is None or idle is not None:
        return _rest(idle or Why.WITHDRAWN, obligation, History(), Light.GREEN)
    limit, ladder = rule
    light = light_at(obligation, ladder.lights, calendar, now)
    setting = _Setting(policy, limit, ladder, obligation, case, directory, first_handler, calendar, now, kinds)
    if case.restricted:
        return Plan((), None, (_restricted(failed.step, now),), light, History())
    channels = _channels(next((s.via for s in ladder.steps if failed.step in _ids(s)), None), policy, kinds)
    found = next_upward(
        failed.role, failed.person, policy, case, first_handler, directory, now, _kinds_of(channels, kinds)
    )
    told = [replace(reason, step=failed.step) for reason in found.reasons]
    told.insert(0, _undelivered(failed, now))
    if found.person is None:
        return Plan((), None, tuple(told), light, History())
    recipient = Recipient(found.person, found.role, Why.UNDELIVERED, failed.copy, failed.role)
    later = [r for r in timeline(ladder, obligation, case.milestones, calendar) if r.at > now]
    letter = _Letter(failed.step, failed.repeat, failed.say, failed.at, failed.missed, later[0].at if later else None)
    facts = {**_facts(setting, light), "issue": failed.facts.get("issue")}
    notices = tuple(
        _notice(setting, letter, recipient, channel, facts, failed.deadline_version)
        for channel in _reachable(recipient.person, channels, directory, kinds)
    )
    return Plan(notices, None, tuple(told), light, History())


def after_transfer(
    policy: Policy,
    obligation: Obligation,
    case: Case,
    planned: Notice,
    directory: Directory,
    first_handler: FirstHandler | None,
    calendar: Calendar,
    now: datetime,
    kinds: Mapping[str, str],
) -> Plan | None:
    """A notice that has not gone out and is meant for somebody else by now: the same for the one in that role today.

    None if it is still for the right person. What went up the chain stays with the one it went to.
    """
    rule = rule_of(policy, obligation)
    if rule is None or planned.why not in {Why.DUE, Why.CAUGHT_UP} or planned.facts.get("instead_of") is not None:
        return None
    limit, ladder = rule
    light = light_at(obligation, ladder.lights, calendar, now)
    setting = _Setting(policy, limit, ladder, obligation, case, directory, first_handler, calendar, now, kinds)
    found = setting.resolve(planned.role, _kinds_of((planned.channel,), kinds))
    if found.person is None or found.person == planned.person:
        return None
    told = tuple(replace(reason, step=planned.step) for reason in found.reasons)
    instead_of = None if found.role == planned.role else planned.role
    recipient = Recipient(found.person, found.role, planned.why, planned.copy, instead_of)
    letter = _Letter(planned.step, planned.repeat, planned.say, planned.at, planned.missed, planned.expires_at)
    facts = {**_facts(setting, light), "issue": planned.facts.get("issue")}
    notice = _notice(setting, letter, recipient, planned.channel, facts, planned.deadline_version)
    return Plan((notice,), None, (_handed_over(planned, now), *told), light, History())


def rule_of(policy: Policy, obligation: Obligation) -> tuple[Limit, Ladder] | None:
    """The limit and ladder of an obligation; None if the policy has them no longer."""
    limit = next((limit for limit in policy.limits if limit.id == obligation.limit), None)
    ladder = policy.ladders.get(limit.ladder) if limit else None
    return None if limit is None or ladder is None else (limit, ladder)


# --- lights -----------------------------------------------------------------------------------------------------


def light_at(obligation: Obligation, lights: Lights, calendar: Calendar, now: datetime) -> Light:
    """红黄绿灯 at `now`, counted back from the earlier of the legal and the platform limit.

    A light counted in days begins with the office's day so far before the limit's day; one counted in hours so long
    before the limit itself. Red begins with the first instant after the limit.
    """
    yellow_at, orange_at, red_at = light_changes(obligation, lights, calendar)
    if now >= red_at:
        return Light.RED
    if now >= orange_at:
        return Light.ORANGE
    return Light.YELLOW if now >= yellow_at else Light.GREEN


def light_changes(obligation: Obligation, lights: Lights, calendar: Calendar) -> tuple[datetime, datetime, datetime]:
    """When the light turns yellow, orange and red."""
    due_at = obligation.due_at
    yellow_at, orange_at = _light_starts(due_at, Same(lights), Same(calendar))
    return yellow_at, orange_at, just_after(due_at)


@lru_cache(maxsize=4096)
def _light_starts(due_at: datetime, lights: Same[Lights], calendar: Same[Calendar]) -> tuple[datetime, datetime]:
    scheme, office = lights.value, calendar.value
    return _ahead(due_at, scheme.yellow, office), _ahead(due_at, scheme.orange, office)


def _ahead(due_at: datetime, by: Duration, calendar: Calendar) -> datetime:
    before = shift(due_at, by, calendar, backwards=True)
    return before if by.unit in _CLOCK_UNITS else calendar.instant(calendar.local_day(before), time())


# --- the instants of a ladder -----------------------------------------------------------------------------------


def timeline(
    ladder: Ladder, obligation: Obligation, milestones: Mapping[str, datetime], calendar: Calendar
) -> tuple[Rung, ...]:
    """Every instant at which the ladder speaks, in time. A step whose anchor is not there yet is left out.

    Anchors are `start`, `due` (what lights work to) and any milestone.
    """
    parts: list[tuple[Rung, ...]] = []
    same_ladder, same_calendar, due_at = Same(ladder), Same(calendar), obligation.due_at
    for anchor in _anchors_of(same_ladder):
        at = _anchor_at(anchor, obligation, milestones)
        if at is not None:
            parts.append(_rungs(same_ladder, anchor, at, due_at, same_calendar))
    rungs = [rung for part in parts for rung in part]
    rungs.sort(key=_in_time)
    return tuple(rungs)


def _in_time(rung: Rung) -> tuple[datetime, int]:
    return rung.at, rung.order


def _anchor_at(anchor: str, obligation: Obligation, milestones: Mapping[str, datetime]) -> datetime | None:
    if anchor == START:
        return obligation.start_at
    if anchor == DUE:
        return obligation.due_at
    return milestones.get(anchor)


@lru_cache(maxsize=256)
def _anchors_of(ladder: Same[Ladder]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(step.at.anchor for step in ladder.value.steps))


@lru_cache(maxsize=8192)
def _rungs(
    ladder: Same[Ladder], anchor: str, anchor_at: datetime, due_at: datetime, calendar: Same[Calendar]
) -> tuple[Rung, ...]:
    anchors = {DUE: due_at, anchor: anchor_at}
    return tuple(
        rung
        for order, step in enumerate(ladder.value.steps)
        if step.at.anchor == anchor
        for rung in _rungs_of(step, order, _moment(step.at, anchors, calendar.value), calendar.value)
    )


def _moment(moment: Moment, anchors: Mapping[str, datetime], calendar: Calendar) -> datetime:
    if moment.offset is None and moment.share is None and moment.at is None:
        return anchors[moment.anchor]
    return moment_at(moment, anchors, calendar)


def _rungs_of(step: Step, order: int, at: datetime, calendar: Calendar) -> Iterator[Rung]:
    yield Rung(at, step, order)
    if step.acknowledge is not None:
        yield Rung(shift(at, step.acknowledge.within, calendar), step, order, unacknowledged=True)
    if step.repeat is not None:
        every = step.repeat.every
        for number in range(1, step.repeat.times + 1):
            yield Rung(shift(at, replace(every, amount=every.amount * number), calendar), step, order, number)


# --- what has come, what has not --------------------------------------------------------------------------------


def _idle(obligation: Obligation, case: Case) -> Why | None:
    if obligation.state is ObligationState.DONE:
        return Why.DONE
    if obligation.state is ObligationState.PAUSED:
        return Why.PAUSED
    if obligation.state is ObligationState.WITHDRAWN or not case.open:
        return Why.WITHDRAWN
    return None


_RESTING = {
    Why.DONE: Text("已办结，不再提醒。", "Done: nothing more is said."),
    Why.PAUSED: Text("已中止，恢复后再计算。", "Paused: looked at again when it goes on."),
    Why.WITHDRAWN: Text(
        "案件已结束或规定不再适用，不再提醒。", "The case is closed or the rule is gone: nothing more is said."
    ),
}


def _rest(why: Why, obligation: Obligation, history: History, light: Light) -> Plan:
    reasons = [Reason(why, _RESTING[why], at=obligation.done_at)]
    done_at = obligation.done_at
    if why is Why.DONE and done_at is not None and done_at > obligation.legal_due_at and history.breached_at is None:
        reasons.append(_breach(obligation, "办结时已超过法定期限。", "It was done after the legal limit."))
        history = replace(history, breached_at=just_after(obligation.legal_due_at))
    return Plan((), None, tuple(reasons), light, history)


def _sorted_out(
    rungs: Sequence[Rung], history: History, setting: _Setting
) -> tuple[list[Rung], list[Rung], list[Reason]]:
    """The rungs that are due now, those still to come, and those that have become needless."""
    due: list[Rung] = []
    later: list[Rung] = []
    needless: list[Reason] = []
    cursors = history.decided_until
    said_now: set[int] = set()
    for rung in rungs:
        cursor = cursors.get(rung.step.at.anchor)
        if cursor is not None and rung.at <= cursor:
            continue
        if rung.unacknowledged and rung.order in said_now and rung.at <= setting.now:
            needless.append(_never_said(rung))
        elif rung.unacknowledged and _acknowledged(rung.step, setting):
            if rung.at <= setting.now:
                needless.append(_was_acknowledged(rung))
        elif rung.at <= setting.now:
            due.append(rung)
            said_now.add(rung.order)
        else:
            later.append(rung)
    return due, later, needless


def _acknowledged(step: Step, setting: _Setting) -> bool:
    """An acknowledgement of an earlier round, before the day of the start, is none."""
    at = setting.case.milestones.get(step.acknowledge.milestone) if step.acknowledge else None
    day = setting.calendar.local_day
    return at is not None and day(at) >= day(setting.obligation.start_at)


def _outlook(setting: _Setting, plan: Plan, light_before: Light | None, later: Sequence[Rung]) -> Plan:
    """Complete a plan: the light and the breach as they are now, and when to look again."""
    obligation, now = setting.obligation, setting.now
    reasons = list(plan.reasons)
    if plan.light is not light_before and (light_before is not None or plan.light is not Light.GREEN):
        reasons.append(_light_changed(light_before, plan.light, now))
    breached_at, breach_at = plan.history.breached_at, just_after(obligation.legal_due_at)
    if breached_at is None and now >= breach_at:
        reasons.append(_breach(obligation, "已超过法定期限。", "The legal limit has passed."))
        breached_at = breach_at
    ahead = [at for at in light_changes(obligation, setting.ladder.lights, setting.calendar) if at > now]
    if later:
        reasons.append(_not_yet(later[0], setting.calendar))
        ahead.append(later[0].at)
    if breach_at > now:
        ahead.append(breach_at)
    if not ahead:
        text = Text("阶梯已走完。", "The ladder has come to its end.")
        reasons.append(Reason(Why.END_OF_LADDER, text, at=now))
    history = (
        plan.history if breached_at is plan.history.breached_at else replace(plan.history, breached_at=breached_at)
    )
    return replace(plan, next_check_at=min(ahead, default=None), reasons=tuple(reasons), history=history)


def _decided_until(rungs: Sequence[Rung], history: History, now: datetime) -> Mapping[str, datetime]:
    decided = dict(history.decided_until)
    for rung in rungs:
        if rung.at > now:
            break
        anchor = rung.step.at.anchor
        if anchor not in decided or decided[anchor] < rung.at:
            decided[anchor] = rung.at
    return decided


# --- speaking ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Setting:
    """All that is known while one decision is made."""

    policy: Policy
    limit: Limit
    ladder: Ladder
    obligation: Obligation
    case: Case
    directory: Directory
    first_handler: FirstHandler | None
    calendar: Calendar
    now: datetime
    kinds: Mapping[str, str]

    def resolve(self, role: str, kinds: tuple[str, ...]) -> Resolution:
        """Who holds that role today and can be reached."""
        return resolve_any(role, self.policy, self.case, self.first_handler, self.directory, self.now, kinds)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What is said, apart from to whom."""

    step: str
    repeat: int
    say: str
    at: datetime
    missed: tuple[str, ...]
    expires_at: datetime | None


def _speak(
    setting: _Setting, firing: Sequence[Rung], missed: Sequence[Rung], expires_at: datetime | None, light: Light
) -> tuple[tuple[Notice, ...], list[Reason]]:
    """The notices of the steps that fire together, and a reason for each of them."""
    if setting.case.restricted:
        return (), [_restricted(rung.id, rung.at) for rung in firing]
    why = Why.CAUGHT_UP if missed else Why.DUE
    notices: list[Notice] = []
    reasons: list[Reason] = []
    told: set[str] = set()
    base = _facts(setting, light)
    # After an outage a person gets one message only: of steps that fire together, the one further up the ladder.
    for rung in reversed(firing) if missed else firing:
        channels = _channels(rung.step.via, setting.policy, setting.kinds)
        recipients, found = _recipients(setting, rung, why, channels)
        reasons.append(_fired(rung, why, len(missed)))
        reasons.extend(found)
        letter = _Letter(rung.id, rung.repeat, rung.say, rung.at, tuple(r.name for r in missed), expires_at)
        facts = {**base, "issue": None if rung.unacknowledged else rung.step.issue}
        for recipient in recipients:
            if missed and recipient.person in told:
                reasons.append(_same_person(rung.id, recipient.role, recipient.person, rung.at))
                continue
            told.add(recipient.person)
            notices += [
                _notice(setting, letter, recipient, channel, facts, setting.obligation.deadline_version)
                for channel in _reachable(recipient.person, channels, setting.directory, setting.kinds)
            ]
            reasons += _not_reachable(rung, recipient, channels, setting)
    return tuple(notices), reasons


def _recipients(
    setting: _Setting, rung: Rung, why: Why, channels: tuple[str, ...]
) -> tuple[list[Recipient], list[Reason]]:
    """The people a step speaks to, each once, in the highest of his roles (domain statement 43)."""
    kinds = _kinds_of(channels, setting.kinds)
    wanted: list[Recipient] = []
    reasons: list[Reason] = []
    for role, copy in _roles(setting, rung):
        found = setting.resolve(role, kinds)
        reasons += [replace(reason, step=rung.id) for reason in found.reasons]
        if found.person is None:
            continue
        wanted.append(Recipient(found.person, found.role, why, copy, None if found.role == role else role))
        if found.fell is not None and found.role != ADMINISTRATOR:
            alarm = setting.resolve(ADMINISTRATOR, kinds)
            if alarm.person is not None:
                wanted.append(Recipient(alarm.person, alarm.role, found.fell, copy=True, instead_of=role))
    one_each, same = _once_each(wanted, rung, setting.policy)
    return one_each, [*reasons, *same]


def _roles(setting: _Setting, rung: Rung) -> Iterator[tuple[str, bool]]:
    """The roles a step speaks to, and whether each gets a copy only."""
    if rung.unacknowledged and rung.step.acknowledge is not None:
        yield from ((role, False) for role in rung.step.acknowledge.otherwise)
        return
    yield from ((role, False) for role in rung.step.to)
    yield from ((role, True) for role in rung.step.cc)
    if FIRST_HANDLER not in (*rung.step.to, *rung.step.cc) and _first_stays_informed(setting, rung.at):
        yield FIRST_HANDLER, True


def _first_stays_informed(setting: _Setting, at: datetime) -> bool:
    """首办责任人 stays informed after a transfer, from the light on that the policy names."""
    first, from_light = setting.first_handler, setting.policy.first_handler.stays_informed
    if first is None or from_light is None:
        return False
    if (first.unit, first.official) == (setting.case.unit, setting.case.handler):
        return False
    light = light_at(setting.obligation, setting.ladder.lights, setting.calendar, at)
    return _BRIGHTNESS[light] >= _BRIGHTNESS[Light(from_light)]


def _once_each(wanted: Iterable[Recipient], rung: Rung, policy: Policy) -> tuple[list[Recipient], list[Reason]]:
    chosen: dict[str, Recipient] = {}
    reasons: list[Reason] = []
    for one in wanted:
        other = chosen.get(one.person)
        if other is None:
            chosen[one.person] = one
            continue
        higher = max(other, one, key=lambda recipient: rank_of(recipient.role, policy))
        lower = one if higher is other else other
        why = other.why if other.why in {Why.DUE, Why.CAUGHT_UP} else one.why
        chosen[one.person] = replace(higher, copy=other.copy and one.copy, why=why)
        reasons.append(_same_person(rung.id, lower.role, one.person, rung.at))
    return list(chosen.values()), reasons


# --- channels and addresses -------------------------------------------------------------------------------------


def _channels(via: Via | None, policy: Policy, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """The channels of a step, of its policy, or one for each kind there is; a kind means the first channel of it.

    What the office has not set up is left out. If nothing at all is set up the names stay as they are, so that the
    failure to deliver shows.
    """
    first_of = first_of_each_kind(kinds)
    named = (via or policy.via).channels or tuple(first_of)
    ready = dict.fromkeys(
        name if name in kinds else first_of[name] for name in named if name in kinds or name in first_of
    )
    return tuple(ready) or named


def first_of_each_kind(kinds: Mapping[str, str]) -> dict[str, str]:
    """Kind of address -> the first channel that uses it: a message goes out once per kind, not once per channel."""
    first: dict[str, str] = {}
    for name, kind in kinds.items():
        first.setdefault(kind, name)
    return first


def _kinds_of(channels: tuple[str, ...], kinds: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(kinds.get(channel, channel) for channel in channels)


def _reachable(
    person: str, channels: tuple[str, ...], directory: Directory, kinds: Mapping[str, str]
) -> tuple[str, ...]:
    addresses = directory.officials[person].addresses
    return tuple(channel for channel in channels if addresses.get(kinds.get(channel, channel)))


def _not_reachable(rung: Rung, recipient: Recipient, channels: tuple[str, ...], setting: _Setting) -> Iterator[Reason]:
    reachable = _reachable(recipient.person, channels, setting.directory, setting.kinds)
    for channel in channels:
        if channel not in reachable:
            zh = f"{recipient.person} 没有登记 {channel} 地址，改用其他渠道。"
            en = f"{recipient.person} has no address for {channel}; the other channels are used."
            yield Reason(Why.UNREACHABLE, Text(zh, en), rung.id, rung.at, recipient.person)


# --- one notice -------------------------------------------------------------------------------------------------


def _notice(
    setting: _Setting,
    letter: _Letter,
    recipient: Recipient,
    channel: str,
    facts: Mapping[str, Scalar],
    deadline_version: int,
) -> Notice:
    one = setting.obligation
    parts = (
        one.case_key,
        one.policy,
        one.limit,
        one.instance,
        str(deadline_version),
        letter.step,
        str(letter.repeat),
        recipient.person,
        channel,
    )
    return Notice(
        key="/".join(map(_escaped, parts)),
        case_key=one.case_key,
        policy=one.policy,
        limit=one.limit,
        deadline_version=deadline_version,
        step=letter.step,
        repeat=letter.repeat,
        person=recipient.person,
        role=recipient.role,
        channel=channel,
        say=letter.say,
        why=recipient.why,
        at=letter.at,
        instance=one.instance,
        facts={
            **facts,
            "step": letter.step,
            "missed_count": len(letter.missed),
            "role": recipient.role,
            "role_title": role_title(recipient.role).zh,
            "instead_of": recipient.instead_of,
            "instead_of_title": None if recipient.instead_of is None else role_title(recipient.instead_of).zh,
        },
        missed=letter.missed,
        expires_at=letter.expires_at,
        copy=recipient.copy,
    )


@lru_cache(maxsize=16_384)
def _escaped(part: str) -> str:
    return quote(part, safe="")


def _facts(setting: _Setting, light: Light) -> dict[str, Scalar]:
    """What templates may say; all of it plain text, figures and flags, nothing about petitioners."""
    one, calendar, first = setting.obligation, setting.calendar, setting.first_handler
    today, due_day = calendar.local_day(setting.now), calendar.local_day(one.due_at)
    return {
        "case": one.case_key,
        "limit": one.limit,
        "ladder": setting.limit.ladder,
        "limit_title": setting.limit.title,
        "basis": setting.limit.basis,
        "policy_title": setting.policy.title,
        "start_at": iso_of(one.start_at, calendar),
        "nominal_due": iso_of(one.nominal_due_at, calendar),
        "legal_due": iso_of(one.legal_due_at, calendar),
        "platform_due": None if one.platform_due_at is None else iso_of(one.platform_due_at, calendar),
        "due_at": iso_of(one.due_at, calendar),
        "due_day": day_of(due_day),
        "days_left": calendar.workdays_between(today, due_day),
        "overdue_days": _overdue_days(one, today, calendar, setting.now),
        "light": light.value,
        "provisional": one.provisional,
        "extended": one.extended,
        "first_handler_name": _name(first.official if first else None, setting.directory),
        "first_handler_unit": _unit_name(first.unit if first else None, setting.directory),
        "handler_name": _name(setting.case.handler, setting.directory),
        "unit_name": _unit_name(setting.case.unit, setting.directory),
    }


def _overdue_days(one: Obligation, today: date, calendar: Calendar, now: datetime) -> int:
    """Working days past the legal limit; the first day counts as one even if the office is closed."""
    if now <= one.legal_due_at:
        return 0
    return max(1, calendar.workdays_between(calendar.local_day(one.legal_due_at), today))


def _name(key: str | None, directory: Directory) -> str | None:
    official = directory.officials.get(key) if key is not None else None
    return key if official is None else official.name


def _unit_name(key: str | None, directory: Directory) -> str | None:
    unit = directory.units.get(key) if key is not None else None
    return key if unit is None else unit.name


def _ids(step: Step) -> tuple[str, str]:
    return step.id, f"{step.id}.{UNACKNOWLEDGED}"


# --- reasons ----------------------------------------------------------------------------------------------------

_LIGHTS = {
    Light.GREEN: Text("绿灯", "green"),
    Light.YELLOW: Text("黄灯", "yellow"),
    Light.ORANGE: Text("橙灯", "orange"),
    Light.RED: Text("红灯", "red"),
}


def light_word(light: Light) -> Text:
    """The light in words."""
    return _LIGHTS[light]


def _fired(rung: Rung, why: Why, missed: int) -> Reason:
    if why is Why.DUE:
        return Reason(why, Text("到了本梯级的时间。", "The step's moment has come."), rung.id, rung.at)
    zh = f"补发：合并此前错过的 {missed} 个梯级，只发一次。"
    en = f"Caught up: said once for the {missed} step(s) missed before."
    return Reason(why, Text(zh, en), rung.id, rung.at)


def _missed(rung: Rung, into: datetime, calendar: Calendar) -> Reason:
    said = instant_of(into, calendar)
    text = Text(f"已错过，并入 {said} 的梯级。", f"Missed: folded into the step of {said}.")
    return Reason(Why.MISSED, text, rung.name, rung.at)


def _not_yet(rung: Rung, calendar: Calendar) -> Reason:
    said = instant_of(rung.at, calendar)
    return Reason(Why.NOT_YET, Text(f"下一梯级：{said}。", f"The next step: {said}."), rung.name, rung.at)


def _was_acknowledged(rung: Rung) -> Reason:
    return Reason(Why.ACKNOWLEDGED, Text("已签收，不必催签。", "It was acknowledged."), rung.id, rung.at)


def _never_said(rung: Rung) -> Reason:
    """Nobody can have acknowledged in time what goes out only now: nobody is blamed for it."""
    text = Text("此前未能发出，谈不上逾期未签收，不催签。", "It was not sent before: nobody failed to acknowledge it.")
    return Reason(Why.MISSED, text, rung.id, rung.at)


def _same_person(step: str, role: str, person: str, at: datetime) -> Reason:
    title = role_title(role)
    zh, en = f"{person} 同时是{title.zh}，只发一次。", f"{person} is {title.en} as well: told once."
    return Reason(Why.SAME_PERSON, Text(zh, en), step, at, person)


def _restricted(step: str, at: datetime) -> Reason:
    zh = "限制知悉的案件，不走一般上级链，不发通知。"
    en = "A restricted case: nothing goes to the general chain of command."
    return Reason(Why.RESTRICTED, Text(zh, en), step, at)


def _handed_over(planned: Notice, now: datetime) -> Reason:
    title = role_title(planned.role)
    zh = f"发出前{title.zh}已不是 {planned.person}，改发给现任。"
    en = f"{planned.person} was no longer the {title.en} when it was to go out: the present one is told."
    return Reason(Why.MOVED, Text(zh, en), planned.step, now, planned.person)


def _undelivered(failed: Notice, now: datetime) -> Reason:
    title = role_title(failed.role)
    zh = f"发给{title.zh} {failed.person} 的 {failed.channel} 未能送达，转报上一级。"
    en = f"The {failed.channel} to the {title.en} {failed.person} was not delivered: the next one up is told."
    return Reason(Why.UNDELIVERED, Text(zh, en), failed.step, now, failed.person)


def _light_changed(before: Light | None, after: Light, now: datetime) -> Reason:
    word = _LIGHTS[after]
    if before is None:
        return Reason(Why.LIGHT, Text(f"当前{word.zh}。", f"The light is {word.en}."), at=now)
    was = _LIGHTS[before]
    zh, en = f"由{was.zh}变为{word.zh}。", f"The light changed from {was.en} to {word.en}."
    return Reason(Why.LIGHT, Text(zh, en), at=now)


def _breach(obligation: Obligation, zh: str, en: str) -> Reason:
    return Reason(Why.BREACH, Text(zh, en), at=just_after(obligation.legal_due_at))
