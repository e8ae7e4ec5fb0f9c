"""Which limits run on a case, when they end, and where each of them stands.

What the law says of each part stands in a file of its own: `clocks` (when a limit begins and is met), `pauses`,
`extensions`, `ends` (several lengths, platform limits), `holders` (a clock for every unit), `series` (limits that come
again), `linked` (limits that begin where another ends), `revision` (what becomes of the ladder when an end moves).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.clocks import Clock, clock_of, closed_without, met_at
from policies.conditions import all_hold
from policies.counting import Count, CountError
from policies.ends import Running, disagreement, legal_end, platform_end
from policies.extensions import effective_extension
from policies.facts import end_of_bare_day, finding, first_there
from policies.holders import clocks_of_holders, future_movements, handed_over
from policies.holding import holder_at
from policies.linked import LinkedStart, handed_on, in_order, is_link
from policies.model import FirstHandler, Obligation, ObligationState
from policies.pauses import standstill
from policies.revision import FIRST_VERSION, revise
from policies.series import ends_by_itself, name_of, occurrences, odd_instants
from policies.wording import just_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.duration import Duration
    from policies.linked import InOrder
    from policies.model import Case, Limit, Policy, PolicySet, Reason
    from policies.pauses import Standstill
    from policies.series import Occurrence

__all__ = [
    "FIRST_VERSION",
    "Counted",
    "calendar_for",
    "first_handler_of",
    "obligations_of",
    "revise",
]


@dataclass(frozen=True, slots=True)
class Counted:
    """Every limit that runs on a case, and what a supervisor has to look at.

    A finding's `step` is the place it concerns, `<policy>/<limit>`, empty for the whole case. `counts` explain the
    obligations, in the same order.
    """

    obligations: tuple[Obligation, ...]
    findings: tuple[Reason, ...]
    counts: tuple[Count, ...] = ()


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
    before: Sequence[Obligation] = (),
    *,
    words: bool = False,
) -> Counted:
    """Count every limit that runs on the case. Absurd facts become findings; nothing is thrown for them.

    `before` are the obligations known of the case, in any state: what was met stays met and who held it keeps his
    number, even if the shared database has overwritten it since. With `words` the counts can be explained.
    """
    found: list[_Result] = []
    findings: list[Reason] = []
    mine = [policy for policy in policies.policies.values() if all_hold(policy.applies_to, case)]
    if not mine and case.open:
        findings.append(finding("", now, "没有任何督办策略适用于本案件。", "No policy applies to this case."))
    for policy in mine:
        order = in_order(policy)
        linked: dict[str, LinkedStart] = {}
        results: dict[str, list[_Result]] = {}
        for limit in order.limits:
            if not all_hold(limit.applies_to, case):
                continue
            known = [one for one in before if one.limit == limit.id and one.policy == policy.id] if before else before
            calendar = calendar_for(policy, limit, calendars, default_calendar)
            place = f"{policy.id}/{limit.id}"
            question = _Question(policies.version, policy, limit, case, calendar, now, place, linked, known, words)
            results[limit.id], told = _counted(question)
            findings.extend(told)
            if limit.id in order.followed:
                linked.update(handed_on(limit, [one for one, _ in results[limit.id]]))
        if order.followed:
            findings.extend(_circular(policy, order, case, now))
            results = {limit.id: results[limit.id] for limit in policy.limits if limit.id in results}
        for several in results.values():
            found.extend(several)
    return Counted(tuple([one for one, _ in found]), tuple(findings), tuple([count for _, count in found]))


def first_handler_of(
    policies: PolicySet,
    case: Case,
    calendars: Mapping[str, Calendar] | None = None,
    default_calendar: str = "china",
    earlier: FirstHandler | None = None,
) -> FirstHandler | None:
    """Who had the case when the freezing milestone was reached; None before that.

    The record of hand-overs decides; where it is silent, the present unit and handler are taken. A milestone at
    midnight on the office's clock is a day without a time: the hand-overs of that day come before it.
    A case that repeats an earlier one goes back at once to that case's first handler (`earlier`) if the policy says so.
    """
    policy = next((p for p in policies.policies.values() if all_hold(p.applies_to, case)), None)
    if policy is None:
        return None
    if policy.first_handler.inherit and earlier is not None and earlier.case_key == case.earlier:
        return FirstHandler(case.key, earlier.unit, earlier.official, earlier.frozen_at, earlier.milestone)
    milestone = first_there(policy.first_handler.freeze_at, case)
    if milestone is None:
        return None
    frozen_at = case.milestones[milestone]
    if not case.transfers:
        return FirstHandler(case.key, case.unit, case.handler, frozen_at, milestone)
    calendar = (calendars or {}).get(policy.calendar or default_calendar)
    holding = holder_at(case, frozen_at if calendar is None else end_of_bare_day(frozen_at, calendar))
    unit, official = (None, None) if holding is None else (holding.unit, holding.official)
    return FirstHandler(case.key, unit, official, frozen_at, milestone)


# --- one limit --------------------------------------------------------------------------------------------------

_Result = tuple[Obligation, Count]


@dataclass(frozen=True, slots=True)
class _Question:
    """One limit on one case at one moment, with what is known already of the limits it follows and of itself."""

    version: str
    policy: Policy
    limit: Limit
    case: Case
    calendar: Calendar
    now: datetime
    place: str
    linked: Mapping[str, LinkedStart]
    before: Sequence[Obligation]
    words: bool


def _counted(asked: _Question) -> tuple[list[_Result], list[Reason]]:
    """All clocks of the limit. What cannot be counted is a finding, and the other clocks go on."""
    found: list[_Result] = []
    try:
        clocks, findings = _clocks(asked)
    except (CountError, OverflowError) as error:
        return [], [_uncountable(asked, error)]
    for clock in clocks:
        try:
            terms = _terms(asked.policy, asked.limit, asked.case, asked.calendar, asked.place, asked.now, clock)
            findings.extend(terms.findings)
            results, told = _once(asked, clock, terms) if asked.limit.recur is None else _again(asked, clock, terms)
        except (CountError, OverflowError) as error:
            findings.append(_uncountable(asked, error))
        else:
            found.extend(results)
            findings.extend(told)
    return found, findings


def _clocks(asked: _Question) -> tuple[Sequence[Clock], list[Reason]]:
    limit, case = asked.limit, asked.case
    if not _has_an_end(limit, case):
        return (), _missing_end(asked)
    if limit.per_holder and not all(is_link(name) for name in limit.start):
        clocks = clocks_of_holders(limit, case, asked.linked, asked.calendar, asked.now, asked.before)
        findings = future_movements(case, asked.place, asked.now)
        return clocks, findings if clocks else [*findings, *_missing_start(asked)]
    clock = clock_of(limit, case, asked.linked)
    return ((), _missing_start(asked)) if clock is None else ((clock,), [])


def _uncountable(asked: _Question, error: CountError | OverflowError) -> Reason:
    title, name = asked.limit.title, asked.limit.id
    zh, en = (
        (error.message.zh, error.message.en) if isinstance(error, CountError) else ("超出日历", "beyond all calendars")
    )
    return finding(asked.place, asked.now, f"“{title}”无法计算：{zh}", f"'{name}' cannot be counted: {en}")


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the law lets count for one clock: the effective extension, and the pauses as they stand."""

    extension: Duration | None
    still: Standstill
    findings: tuple[Reason, ...]


def _terms(
    policy: Policy, limit: Limit, case: Case, calendar: Calendar, place: str, now: datetime, clock: Clock
) -> _Terms:
    still = standstill(policy, limit, case, calendar, place, now)
    extension: Duration | None = None
    findings: Sequence[Reason] = still.findings
    if case.extensions:
        holder = clock.holder
        recorded = [e for e in case.extensions if holder is None or holder.had_it_at(e.decided_at, calendar)]
        running = Running(clock.start_at, still.excluded, words=False, set_at=_set_at(limit, case))
        extension, refused = effective_extension(limit, recorded, running, calendar, place, now, still.since_at)
        findings = (*findings, *refused)
    return _Terms(extension, still, tuple(findings))


def _once(asked: _Question, clock: Clock, terms: _Terms) -> tuple[list[_Result], list[Reason]]:
    """The one obligation of a clock that does not come again."""
    running = Running(clock.start_at, terms.still.excluded, words=asked.words, set_at=_set_at(asked.limit, asked.case))
    counted = legal_end(asked.limit, running, terms.extension, asked.calendar)
    platform, doubts = platform_end(asked.limit, asked.case, clock.start_at, asked.place, asked.calendar, asked.now)
    state, done_at, more = _state(asked, clock, terms, counted)
    one = _obligation(asked, clock, terms, counted, state, clock.instance, clock.start_at, platform, done_at)
    return [(one, counted)], [*doubts, *more, *disagreement(asked.limit, one, asked.place, asked.calendar, asked.now)]


def _state(
    asked: _Question, clock: Clock, terms: _Terms, counted: Count
) -> tuple[ObligationState, datetime | None, list[Reason]]:
    known = _known(asked, clock.instance, clock) if asked.before else None
    done_at, findings = met_at(asked.limit, asked.case, clock, asked.place, asked.calendar, asked.now, known)
    if done_at is not None:
        return ObligationState.DONE, done_at, findings
    if clock.holder is not None and clock.holder.over:
        gone = handed_over(asked.limit, clock.holder, counted.legal_due_at, asked.place, asked.calendar)
        return ObligationState.WITHDRAWN, None, [*findings, gone]
    if not asked.case.open:
        return closed_without(asked.limit, asked.place, asked.now, findings)
    return (ObligationState.PAUSED if terms.still.since_at else ObligationState.OPEN), None, findings


def _again(asked: _Question, clock: Clock, terms: _Terms) -> tuple[list[_Result], list[Reason]]:
    """The obligations of a clock that comes again: one for every occurrence there is by now."""
    limit, case, now, place = asked.limit, asked.case, asked.now, asked.place
    rule = limit.recur
    if rule is None:
        return [], []
    known = {one.instance: one for one in asked.before if _is_of(one, clock)}
    running = Running(clock.start_at, terms.still.excluded, words=asked.words)
    several = occurrences(
        limit, rule, case, clock, running, terms.extension, asked.calendar, now, terms.still.since_at, known
    )
    findings = odd_instants(limit, case, clock, place, asked.calendar, now)
    platform, doubts = platform_end(limit, case, clock.start_at, place, asked.calendar, now)
    findings.extend(doubts)
    ended_at = ends_by_itself(rule, case, now)
    found: list[_Result] = []
    for one in several:
        state, told = _state_of(asked, clock, terms, one, ended_at, is_last=one is several[-1])
        findings.extend(told)
        instance = name_of(clock, one.number)
        bound = platform if one.number == 1 else None
        result = _obligation(
            asked, clock, terms, one.count, state, instance, one.begins_at, bound, one.done_at, one.next_at
        )
        found.append((result, one.count))
    findings.extend(disagreement(limit, found[0][0], place, asked.calendar, now))
    return found, findings


def _state_of(
    asked: _Question, clock: Clock, terms: _Terms, one: Occurrence, ended_at: datetime | None, *, is_last: bool
) -> tuple[ObligationState, list[Reason]]:
    due_at = one.count.legal_due_at
    if one.done_at is not None:
        return ObligationState.DONE, []
    if clock.holder is not None and clock.holder.over:
        told = [handed_over(asked.limit, clock.holder, due_at, asked.place, asked.calendar)] if is_last else []
        return ObligationState.WITHDRAWN, told
    if ended_at is not None and ended_at <= due_at:
        return ObligationState.WITHDRAWN, []  # it need not come again: nothing was missed
    if ended_at is not None or not asked.case.open:
        state, _, told = closed_without(asked.limit, asked.place, asked.now)
        return state, told if is_last or ended_at is not None else []
    return (ObligationState.PAUSED if terms.still.since_at else ObligationState.OPEN), []


def _obligation(
    asked: _Question,
    clock: Clock,
    terms: _Terms,
    counted: Count,
    state: ObligationState,
    instance: str,
    start_at: datetime,
    platform_due_at: datetime | None,
    done_at: datetime | None,
    recount_at: datetime | None = None,
) -> Obligation:
    paused, holder = state is ObligationState.PAUSED, clock.holder
    if paused and terms.still.runs_on_at is not None:
        recount_at = just_after(terms.still.runs_on_at)
    elif holder is not None and holder.to_at is not None and not holder.over:
        recount_at = holder.to_at if recount_at is None else min(recount_at, holder.to_at)
    return Obligation(
        case_key=asked.case.key,
        policy=asked.policy.id,
        limit=asked.limit.id,
        policy_version=asked.version,
        deadline_version=FIRST_VERSION,
        state=state,
        start_at=start_at,
        nominal_due_at=counted.nominal_due_at,
        legal_due_at=counted.legal_due_at,
        platform_due_at=platform_due_at,
        instance=instance,
        start_assumed=clock.assumed,
        provisional=counted.provisional or clock.provisional,
        extended=terms.extension is not None,
        done_at=done_at,
        recount_at=recount_at,
        review_at=terms.still.review_at if paused else None,
        holder_unit=None if holder is None else holder.unit,
        holder_official=None if holder is None else holder.official,
    )


def _known(asked: _Question, instance: str, clock: Clock) -> Obligation | None:
    return next((one for one in asked.before if one.instance == instance and _is_of(one, clock)), None)


def _is_of(known: Obligation, clock: Clock) -> bool:
    """Whether a known obligation is of the same holder; one from before there was a clock per holder is."""
    return clock.holder is None or known.holder_unit in {None, clock.holder.unit}


def _set_at(limit: Limit, case: Case) -> datetime | None:
    """The end that was set for this very case, if the limit asks for one."""
    milestone = first_there(limit.set_by, case) if limit.set_by else None
    return None if milestone is None else case.milestones[milestone]


def _has_an_end(limit: Limit, case: Case) -> bool:
    return not limit.set_by or first_there(limit.set_by, case) is not None


def _missing_end(asked: _Question) -> list[Reason]:
    limit = asked.limit
    if not asked.case.open:
        return []
    zh = f"“{limit.title}”适用，但还没有指定期限（{'、'.join(limit.set_by)}）。"
    en = f"'{limit.id}' applies, but its end has not been set yet ({', '.join(limit.set_by)})."
    return [finding(asked.place, asked.now, zh, en)]


def _missing_start(asked: _Question) -> list[Reason]:
    limit = asked.limit
    if not asked.case.open or any(is_link(name) for name in limit.start):
        return []  # a limit that follows another one begins when that one ends
    names = "、".join(limit.start)
    zh = f"“{limit.title}”适用，但没有起算时间（{names}），暂不能计算。"
    en = f"'{limit.id}' applies, but there is nothing to count from ({', '.join(limit.start)})."
    return [finding(asked.place, asked.now, zh, en)]


def _circular(policy: Policy, order: InOrder, case: Case, now: datetime) -> list[Reason]:
    titles = {limit.id: limit.title for limit in policy.limits if limit.id in order.circular}
    if not titles or not case.open:
        return []
    zh = f"{'、'.join(f'“{title}”' for title in titles.values())}互相起算，无法计算。"
    en = f"{', '.join(titles)} begin from one another: they cannot be counted."
    return [finding(policy.id, now, zh, en)]
