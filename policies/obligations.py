"""Which limits run on a case, when they end, and what becomes of the ladder when the end moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time
from fractions import Fraction
from typing import TYPE_CHECKING

from policies.conditions import all_hold
from policies.counting import Count, CountError, count
from policies.duration import Duration, Unit, format_duration
from policies.evaluate import DUE, START, light_at
from policies.model import (
    Extension,
    ExtensionBase,
    FirstHandler,
    History,
    Obligation,
    ObligationState,
    Reason,
    Why,
)
from policies.text import Text
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Case, ExtensionRule, Ladder, Limit, Pause, Policy, PolicySet

FIRST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Counted:
    """Every limit that runs on a case, and what a supervisor has to look at.

    A finding's `step` is the place it concerns, `<policy>/<limit>`, empty for the whole case.
    """

    obligations: tuple[Obligation, ...]
    findings: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What one limit is counted from on one case: the facts that the law lets count."""

    start_at: datetime
    start_assumed: bool
    extension: Duration | None
    excluded: tuple[tuple[datetime, datetime], ...]
    paused: bool
    findings: tuple[Reason, ...]


def calendar_for(
    policy: Policy, limit: Limit, calendars: Mapping[str, Calendar], default_calendar: str = "china"
) -> Calendar:
    """The calendar a limit is counted by: its own, the policy's, or the office's. Raises KeyError if it is missing."""
    return calendars[limit.calendar or policy.calendar or default_calendar]


def obligations_of(
    policies: PolicySet,
    case: Case,
    calendars: Mapping[str, Calendar],
    now: datetime,
    default_calendar: str = "china",
) -> Counted:
    """Count every limit that runs on the case. Absurd facts become findings; nothing is thrown for them."""
    obligations: list[Obligation] = []
    findings: list[Reason] = []
    mine = [policy for policy in policies.policies.values() if all_hold(policy.applies_to, case)]
    if not mine and case.open:
        findings.append(_finding("", now, "没有任何督办策略适用于本案件。", "No policy applies to this case."))
    for policy in mine:
        for limit in policy.limits:
            if limit.enabled and all_hold(limit.applies_to, case):
                calendar = calendar_for(policy, limit, calendars, default_calendar)
                obligation, found = _obligation(policies.version, policy, limit, case, calendar, now)
                findings.extend(found)
                if obligation is not None:
                    obligations.append(obligation)
    return Counted(tuple(obligations), tuple(findings))


def terms_of(policy: Policy, limit: Limit, case: Case, calendar: Calendar, now: datetime) -> Terms | None:
    """What the limit is counted from; None while no start milestone is there."""
    milestone = _first_there(limit.start, case)
    if milestone is None:
        return None
    start_at = case.milestones[milestone]
    place = f"{policy.id}/{limit.id}"
    pauses = [pause for pause in case.pauses if _stops(pause, policy, limit)]
    excluded, found = _excluded(pauses, place, now)
    extension, refused = _effective_extension(limit, case, start_at, calendar, excluded, place, now)
    paused = any(pause.to_at is None and pause.from_at <= now for pause in pauses)
    assumed = milestone != limit.start[0]
    return Terms(start_at, assumed, extension, excluded, paused, (*found, *refused))


def count_terms(limit: Limit, terms: Terms, calendar: Calendar) -> Count:
    """The nominal and the legal end. Raises CountError."""
    return _count(limit, terms.start_at, terms.extension, terms.excluded, calendar)


def first_handler_of(
    policies: PolicySet, case: Case, calendars: Mapping[str, Calendar] | None = None, default_calendar: str = "china"
) -> FirstHandler | None:
    """Who had the case when the freezing milestone was reached; None before that.

    The record of hand-overs decides; where it is silent, the present unit and handler are taken. A milestone at
    midnight on the office's clock is a day without a time: the hand-overs of that day come before it.
    """
    policy = next((p for p in policies.policies.values() if all_hold(p.applies_to, case)), None)
    milestone = _first_there(policy.first_handler.freeze_at, case) if policy else None
    if milestone is None:
        return None
    frozen_at = case.milestones[milestone]
    calendar = (calendars or {}).get(policy.calendar or default_calendar) if policy else None
    unit, official = _holder_at(case, frozen_at if calendar is None else _end_of_bare_day(frozen_at, calendar))
    return FirstHandler(case.key, unit, official, frozen_at, milestone)


# --- one limit ------------------------------------------------------------------------------------------------


def _obligation(
    version: str, policy: Policy, limit: Limit, case: Case, calendar: Calendar, now: datetime
) -> tuple[Obligation | None, Sequence[Reason]]:
    place = f"{policy.id}/{limit.id}"
    terms = terms_of(policy, limit, case, calendar, now)
    if terms is None:
        return None, _missing_start(limit, case, place, now)
    try:
        counted = count_terms(limit, terms, calendar)
    except CountError as error:
        zh, en = f"“{limit.title}”无法计算：{error.message.zh}", f"'{limit.id}' cannot be counted: {error.message.en}"
        return None, [*terms.findings, _finding(place, now, zh, en)]
    platform, doubts = _platform_due(limit, case, terms.start_at, place, calendar, now)
    state, done_at, more = _state(limit, case, terms, place, calendar, now)
    obligation = Obligation(
        case_key=case.key,
        policy=policy.id,
        limit=limit.id,
        policy_version=version,
        deadline_version=FIRST_VERSION,
        state=state,
        start_at=terms.start_at,
        nominal_due_at=counted.nominal_due_at,
        legal_due_at=counted.legal_due_at,
        platform_due_at=platform,
        start_assumed=terms.start_assumed,
        provisional=counted.provisional,
        extended=terms.extension is not None,
        done_at=done_at,
    )
    disagreement = _disagreement(limit, obligation, place, calendar, now)
    return obligation, [*terms.findings, *doubts, *more, *disagreement]


def _count(
    limit: Limit,
    start_at: datetime,
    extension: Duration | None,
    excluded: tuple[tuple[datetime, datetime], ...],
    calendar: Calendar,
) -> Count:
    rule = limit.extension
    if extension is None or rule is None:
        return count(start_at, limit.within, calendar, roll=limit.roll, cutoff=limit.cutoff, excluded=excluded)
    return count(
        start_at,
        limit.within,
        calendar,
        roll=limit.roll,
        cutoff=limit.cutoff,
        extension=extension,
        extension_from=rule.counted_from,
        excluded=excluded,
    )


def _state(
    limit: Limit, case: Case, terms: Terms, place: str, calendar: Calendar, now: datetime
) -> tuple[ObligationState, datetime | None, list[Reason]]:
    findings: list[Reason] = []
    milestone = _first_there(limit.done, case)
    if milestone is not None:
        done_at = case.milestones[milestone]
        if calendar.local_day(done_at) <= calendar.local_day(now):
            if calendar.local_day(done_at) < calendar.local_day(terms.start_at):
                zh, en = f"“{limit.title}”办理时间早于起算时间。", f"'{limit.id}' was done before it started."
                findings.append(_finding(place, done_at, zh, en))
            return ObligationState.DONE, done_at, findings
        zh, en = f"“{limit.title}”办理时间在未来，暂不采信。", f"'{limit.id}' is done in the future: not believed."
        findings.append(_finding(place, done_at, zh, en))
    if not case.open:
        zh, en = f"案件已结束，“{limit.title}”却没有办理时间。", f"The case is closed, but '{limit.id}' was never done."
        return ObligationState.WITHDRAWN, None, [*findings, _finding(place, now, zh, en)]
    return (ObligationState.PAUSED if terms.paused else ObligationState.OPEN), None, findings


def _missing_start(limit: Limit, case: Case, place: str, now: datetime) -> list[Reason]:
    if not case.open:
        return []
    names = "、".join(limit.start)
    zh = f"“{limit.title}”适用，但没有起算时间（{names}），暂不能计算。"
    en = f"'{limit.id}' applies, but there is nothing to count from ({', '.join(limit.start)})."
    return [_finding(place, now, zh, en)]


def _platform_due(
    limit: Limit, case: Case, start_at: datetime, place: str, calendar: Calendar, now: datetime
) -> tuple[datetime | None, list[Reason]]:
    there = (bound.milestone for bound in limit.platform_due if bound.milestone in case.milestones)
    due_at = min((case.milestones[name] for name in there), default=None)
    if due_at is None or due_at >= start_at:
        return due_at, []
    said = instant_of(due_at, calendar)
    zh, en = f"平台期限 {said} 早于起算时间，不采用。", f"The platform limit {said} is before the start: not used."
    return None, [_finding(place, now, f"“{limit.title}”{zh}", en)]


def _disagreement(limit: Limit, one: Obligation, place: str, calendar: Calendar, now: datetime) -> list[Reason]:
    if one.platform_due_at is None:
        return []
    platform, legal = calendar.local_day(one.platform_due_at), calendar.local_day(one.legal_due_at)
    if platform == legal:
        return []
    zh = f"“{limit.title}”平台期限 {instant_of(one.platform_due_at, calendar)} 与法定期限"
    zh += f" {instant_of(one.legal_due_at, calendar)} 不一致，提醒按较早者，是否超期按法定期限。"
    en = f"'{limit.id}': the platform says {instant_of(one.platform_due_at, calendar)}, the law"
    en += f" {instant_of(one.legal_due_at, calendar)}; reminders work to the earlier, overdue means the law."
    return [_finding(place, now, zh, en)]


# --- extensions (条例第三十四条, domain statement 16) -----------------------------------------------------------


def _effective_extension(
    limit: Limit,
    case: Case,
    start_at: datetime,
    calendar: Calendar,
    excluded: tuple[tuple[datetime, datetime], ...],
    place: str,
    now: datetime,
) -> tuple[Duration | None, list[Reason]]:
    """The length by which the limit is extended, all effective extensions together; and those that are refused."""
    rule = limit.extension
    asked = sorted(
        (e for e in case.extensions if e.limit == limit.id or (e.limit is None and rule)), key=lambda e: e.seq
    )
    granted: Duration | None = None
    findings: list[Reason] = []
    for extension in asked:
        try:
            plain = _count(limit, start_at, None, excluded, calendar)
            length = extension.length or _length_until(extension, granted, rule, limit, start_at, excluded, calendar)
            faults = list(_faults(extension, length, granted, rule, limit, start_at, excluded, plain, calendar))
        except CountError as error:
            faults = [error.message]
            length = None
        if faults or length is None:
            findings.append(_refused(extension, faults, place, now))
        else:
            granted = length if granted is None else Duration(granted.amount + length.amount, length.unit)
    return granted, findings


def _length_until(
    extension: Extension,
    granted: Duration | None,
    rule: ExtensionRule | None,
    limit: Limit,
    start_at: datetime,
    excluded: tuple[tuple[datetime, datetime], ...],
    calendar: Calendar,
) -> Duration | None:
    """An extension told by its last day only: the natural days from the end so far to that day.

    Who writes down the longest extension as the working day it rolls to means the longest, not a day more.
    """
    if extension.until_at is None or rule is None:
        return None
    so_far = _count(limit, start_at, granted, excluded, calendar)
    from_rolled = granted is None and rule.counted_from is ExtensionBase.ROLLED
    begins = calendar.local_day(so_far.legal_due_at if from_rolled else so_far.nominal_due_at)
    ends = calendar.local_day(extension.until_at)
    longest = _count(limit, start_at, rule.up_to, excluded, calendar)
    if ends <= calendar.local_day(longest.legal_due_at):
        ends = min(ends, calendar.local_day(longest.nominal_due_at))
    return Duration(Fraction((ends - begins).days), Unit.DAY)


def _faults(
    extension: Extension,
    length: Duration | None,
    granted: Duration | None,
    rule: ExtensionRule | None,
    limit: Limit,
    start_at: datetime,
    excluded: tuple[tuple[datetime, datetime], ...],
    plain: Count,
    calendar: Calendar,
) -> Iterator[Text]:
    """Why an extension is not effective; nothing if it is."""
    if rule is None:
        yield Text("本时限不得延期", "this limit cannot be extended")
        return
    if extension.decided_at > plain.legal_due_at:
        yield Text("决定时已超过原期限", "it was decided after the original limit")
    if rule.approved_by and extension.approved_by not in rule.approved_by:
        yield Text("没有有权批准人", "nobody entitled to approved it")
    if rule.petitioner_told and extension.petitioner_told_at is None:
        yield Text("没有告知信访人的记录", "there is no record that the petitioner was told")
    if length is None or length.amount <= 0:
        yield Text("没有写明延长多久", "it does not say for how long")
        return
    if granted is not None and granted.unit is not length.unit:
        yield Text("与前次延期的单位不同，不能相加", "its unit differs from the extension before, they cannot be added")
        return
    total = length if granted is None else Duration(granted.amount + length.amount, length.unit)
    longest = _count(limit, start_at, rule.up_to, excluded, calendar).nominal_due_at
    if _count(limit, start_at, total, excluded, calendar).nominal_due_at > longest:
        most_zh, most_en = format_duration(rule.up_to, "zh"), format_duration(rule.up_to, "en")
        yield Text(f"超过最长 {most_zh}", f"it is longer than {most_en}")


def _refused(extension: Extension, faults: Sequence[Text], place: str, now: datetime) -> Reason:
    zh = f"第 {extension.seq} 次延期无效：{'；'.join(f.zh for f in faults)}。原期限不变。"
    en = f"Extension {extension.seq} is not effective: {'; '.join(f.en for f in faults)}. The old limit stays."
    return _finding(place, now, zh, en)


# --- pauses ---------------------------------------------------------------------------------------------------


def _stops(pause: Pause, policy: Policy, limit: Limit) -> bool:
    """Whether a pause stops this limit.

    A limit with `excludes` is stopped by those kinds of pause only; a kind that some limit of the policy names stops
    only the limits that name it (a hearing stops the recheck, not the notice: 条例第三十六条). Any other pause stops
    every limit, unless it was recorded for one alone.
    """
    if pause.limit is not None:
        return pause.limit == limit.id
    basis = (pause.basis or "").strip()
    if limit.excludes:
        return basis in limit.excludes
    return not any(basis in other.excludes for other in policy.limits)


def _excluded(
    pauses: Sequence[Pause], place: str, now: datetime
) -> tuple[tuple[tuple[datetime, datetime], ...], list[Reason]]:
    excluded: list[tuple[datetime, datetime]] = []
    findings: list[Reason] = []
    for pause in pauses:
        if pause.to_at is None:
            continue
        if pause.to_at < pause.from_at:
            zh, en = f"第 {pause.seq} 次中止先止后起，不采用。", f"Pause {pause.seq} ends before it begins: not used."
            findings.append(_finding(place, now, zh, en))
        else:
            excluded.append((pause.from_at, pause.to_at))
    return tuple(excluded), findings


# --- facts ----------------------------------------------------------------------------------------------------


def _first_there(names: tuple[str, ...], case: Case) -> str | None:
    return next((name for name in names if name in case.milestones), None)


def _end_of_bare_day(at: datetime, calendar: Calendar) -> datetime:
    day = calendar.local_day(at)
    return calendar.end_of(day) if at == calendar.instant(day, time()) else at


def _holder_at(case: Case, at: datetime) -> tuple[str | None, str | None]:
    moves = sorted(case.transfers, key=lambda move: (move.at, move.seq))
    before = [move for move in moves if move.at <= at]
    if before and before[-1] is moves[-1]:
        last = before[-1]
        return last.to_unit or case.unit, last.to_official or case.handler
    if before:
        return before[-1].to_unit, before[-1].to_official
    if moves and moves[0].from_unit is not None:
        return moves[0].from_unit, None
    return case.unit, case.handler


def _finding(place: str, at: datetime, zh: str, en: str) -> Reason:
    return Reason(Why.FINDING, Text(zh, en), step=place, at=at)


# --- the limit moves ------------------------------------------------------------------------------------------


def revise(
    old: Obligation | None,
    history: History,
    new: Obligation,
    ladder: Ladder,
    calendar: Calendar,
    now: datetime,
) -> tuple[Obligation, History, tuple[Reason, ...]]:
    """Decide the deadline version of a fresh count, and which cursors of the ladder start anew.

    See `docs/how-it-decides.md`, "When the limit moves".
    """
    if old is None:
        return replace(new, deadline_version=FIRST_VERSION), history, ()
    moved = old.start_at != new.start_at or old.due_at != new.due_at or old.legal_due_at != new.legal_due_at
    reopened = old.state in _ENDED and new.state not in _ENDED
    if not moved and not reopened:
        return replace(new, deadline_version=old.deadline_version), history, ()
    reason = _moved(old, new, calendar, now, reopened=reopened)
    if not reopened and not _facts_changed(old, new) and _light_kept(old, new, ladder, calendar, now):
        return replace(new, deadline_version=old.deadline_version), history, (reason,)
    fresh = replace(new, deadline_version=old.deadline_version + 1)
    return fresh, _begun_anew(old, history, new, now, reopened=reopened), (reason,)


_ENDED = frozenset({ObligationState.DONE, ObligationState.WITHDRAWN})


def _facts_changed(old: Obligation, new: Obligation) -> bool:
    """Whether the case itself changed; otherwise only the calendar or the rule was read anew.

    A further extension shows only in the nominal end. That end can also move because a year's holidays became
    known, but then the old count was provisional.
    """
    return (
        old.start_at != new.start_at
        or old.platform_due_at != new.platform_due_at
        or old.extended is not new.extended
        or (old.state is ObligationState.PAUSED and new.state is not ObligationState.PAUSED)
        or (old.extended and old.nominal_due_at != new.nominal_due_at and not old.provisional)
    )


def _light_kept(old: Obligation, new: Obligation, ladder: Ladder, calendar: Calendar, now: datetime) -> bool:
    before = light_at(old, ladder.lights, calendar, now)
    return before is light_at(new, ladder.lights, calendar, now)


def _begun_anew(old: Obligation, history: History, new: Obligation, now: datetime, *, reopened: bool) -> History:
    kept: dict[str, datetime] = {}
    if reopened:
        pass
    elif old.start_at != new.start_at:
        # The handler was told when the limit ran from an assumed start; the true one is no second assignment.
        if old.start_assumed and not new.start_assumed and START in history.decided_until:
            kept[START] = now
    elif old.due_at != new.due_at or old.legal_due_at != new.legal_due_at:
        kept = {anchor: at for anchor, at in history.decided_until.items() if anchor != DUE}
    else:
        kept = dict(history.decided_until)
    breached_at = history.breached_at if now > new.legal_due_at else None
    return replace(history, decided_until=kept, breached_at=breached_at)


def _moved(old: Obligation, new: Obligation, calendar: Calendar, now: datetime, *, reopened: bool) -> Reason:
    if reopened:
        return Reason(Why.MOVED, Text("时限重新打开，阶梯重新开始。", "Opened again: the ladder begins anew."), at=now)
    before, after = instant_of(old.due_at, calendar), instant_of(new.due_at, calendar)
    zh, en = f"期限由 {before} 改为 {after}。", f"The limit moved from {before} to {after}."
    if old.start_at != new.start_at:
        zh += f"起算时间由 {instant_of(old.start_at, calendar)} 改为 {instant_of(new.start_at, calendar)}。"
        en += f" The start moved from {instant_of(old.start_at, calendar)} to {instant_of(new.start_at, calendar)}."
    if old.legal_due_at != new.legal_due_at:
        zh += f"法定期限由 {instant_of(old.legal_due_at, calendar)} 改为 {instant_of(new.legal_due_at, calendar)}。"
        en += f" The legal limit moved from {instant_of(old.legal_due_at, calendar)}"
        en += f" to {instant_of(new.legal_due_at, calendar)}."
    return Reason(Why.MOVED, Text(zh, en), at=now)
