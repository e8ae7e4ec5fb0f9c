"""Which limits run on a case, when they end, and where each of them stands.

Read from the top: a case has policies, a policy has limits, a limit has clocks (one, or one for every holder), and a
clock has one obligation or, if the limit comes again, several. What the law says of each part stands in a file of its
own: `clocks` (when a limit begins and is met), `pauses`, `extensions`, `ends` (several lengths, platform limits),
`holders` (a clock for every unit), `series` (limits that come again), `linked` (limits that begin where another ends),
`revision` (what becomes of the ladder when an end moves).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from policies.conditions import all_hold
from policies.counting import Count, CountError
from policies.limits.clocks import Clock, clock_of, closed_without, met_at
from policies.limits.ends import Running, disagreement, legal_end, platform_end, stopped_until
from policies.limits.extensions import effective_extension
from policies.limits.facts import finding, first_there
from policies.limits.holders import clocks_of_holders, future_movements, handed_over
from policies.limits.linked import LinkedStart, Ran, goes_on, handed_on, in_order, is_link, with_kept
from policies.limits.pauses import standstill
from policies.limits.revision import FIRST_VERSION
from policies.limits.series import ends_by_itself, name_of, occurrences, odd_instants
from policies.model import Obligation, ObligationState
from policies.wording import just_after

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.duration import Duration
    from policies.limits.linked import InOrder
    from policies.limits.pauses import Standstill
    from policies.limits.series import Occurrence
    from policies.model import Case, Limit, Policy, PolicySet, Reason, Recurrence


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
    mine = [policy for policy in policies.policies.values() if all_hold(policy.applies_to, case)]
    if not mine and case.open:
        return Counted((), (finding("", now, "没有任何督办策略适用于本案件。", "No policy applies to this case."),))
    found: list[_Result] = []
    findings: list[Reason] = []
    for policy in mine:
        asked = _OfPolicy(policies.version, policy, case, calendars, now, default_calendar, before, words)
        results, told = _of_policy(asked)
        found.extend(results)
        findings.extend(told)
    return Counted(tuple([one.obligation for one in found]), tuple(findings), tuple([one.counted for one in found]))


# --- one policy -------------------------------------------------------------------------------------------------


class _Result(NamedTuple):
    """An obligation, how it was counted, and when its holder handed the case on."""

    obligation: Obligation
    counted: Count
    over_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _OfPolicy:
    """One policy on one case at one moment, with the obligations known already."""

    version: str
    policy: Policy
    case: Case
    calendars: Mapping[str, Calendar]
    now: datetime
    default_calendar: str
    before: Sequence[Obligation]
    words: bool

    def limit(self, limit: Limit, linked: Mapping[str, LinkedStart], clocks: Mapping[str, Sequence[Ran]]) -> _OfLimit:
        """The same of one of its limits; `linked` are the ends of those it may follow, and `clocks` theirs."""
        policy, before = self.policy, self.before
        known = [one for one in before if one.limit == limit.id and one.policy == policy.id] if before else before
        calendar = calendar_for(policy, limit, self.calendars, self.default_calendar)
        place = f"{policy.id}/{limit.id}"
        if known:
            before = [one for one in self.before if one.policy == policy.id]
            linked = with_kept(limit, linked, clocks, before, self.now)
        case = replace(self.case, open=True) if limit.after_close else self.case  # it runs on as if it were open
        return _OfLimit(self.version, policy, limit, case, calendar, self.now, place, linked, known, self.words)


def _of_policy(asked: _OfPolicy) -> tuple[list[_Result], list[Reason]]:
    """All limits of the policy: each is counted after those it follows, and told in the policy's own order."""
    policy, case, order = asked.policy, asked.case, in_order(asked.policy)
    linked: dict[str, LinkedStart] = {}
    clocks: dict[str, list[Ran]] = {}
    results: dict[str, list[_Result]] = {}
    findings: list[Reason] = []
    for limit in order.limits:
        if not all_hold(limit.applies_to, case):
            continue
        results[limit.id], told = _of_limit(asked.limit(limit, linked, clocks))
        findings.extend(told)
        if limit.id in order.followed:
            clocks[limit.id] = [Ran(one.obligation, one.over_at) for one in results[limit.id]]
            linked.update(handed_on(limit, clocks[limit.id]))
    findings.extend(_circular(policy, order, case, asked.now))
    return [one for limit in policy.limits for one in results.get(limit.id, ())], findings


# --- one limit --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OfLimit:
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


def _of_limit(asked: _OfLimit) -> tuple[list[_Result], list[Reason]]:
    """All clocks of the limit. What cannot be counted is a finding, and the other clocks go on."""
    found: list[_Result] = []
    try:
        clocks, findings = _clocks(asked)
    except (CountError, OverflowError) as error:
        return [], [_uncountable(asked, error)]
    for clock in clocks:
        try:
            terms = _terms(asked, clock)
            findings.extend(terms.findings)
            rule = asked.limit.recur
            results, told = _once(asked, clock, terms) if rule is None else _again(asked, clock, terms, rule)
        except (CountError, OverflowError) as error:
            findings.append(_uncountable(asked, error))
        else:
            found.extend(results)
            findings.extend(told)
    return found, findings


def _clocks(asked: _OfLimit) -> tuple[Sequence[Clock], list[Reason]]:
    """The clocks that run or ran: one, or one for every holder; none as long as there is no start or no end."""
    limit, case = asked.limit, asked.case
    if not _has_an_end(limit, case):
        return (), _missing_end(asked)
    if limit.per_holder and not all(is_link(name) for name in limit.start):
        clocks = clocks_of_holders(limit, case, asked.linked, asked.calendar, asked.now, asked.before)
        findings = future_movements(case, asked.place, asked.now)
        return clocks, findings if clocks else [*findings, *_missing_start(asked)]
    clock = clock_of(limit, case, asked.linked)
    if clock is None:
        return (), _missing_start(asked)
    return (clock,), goes_on(limit, clock.start_at, asked.linked, asked.place, asked.calendar)


def _uncountable(asked: _OfLimit, error: CountError | OverflowError) -> Reason:
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


def _terms(asked: _OfLimit, clock: Clock) -> _Terms:
    limit, case, calendar, place, now = asked.limit, asked.case, asked.calendar, asked.place, asked.now
    still = standstill(asked.policy, limit, case, calendar, place, now)
    if not case.extensions:
        return _Terms(None, still, still.findings)
    holder = clock.holder
    recorded = [one for one in case.extensions if holder is None or holder.had_it_at(one.decided_at, calendar)]
    running = Running(clock.start_at, still.excluded, words=False, set_at=_set_at(limit, case))
    extension, refused = effective_extension(limit, recorded, running, calendar, place, now, still.since_at)
    return _Terms(extension, still, (*still.findings, *refused))


# --- one clock: a limit that does not come again ----------------------------------------------------------------


def _once(asked: _OfLimit, clock: Clock, terms: _Terms) -> tuple[list[_Result], list[Reason]]:
    """The one obligation of a clock that does not come again."""
    running = Running(clock.start_at, terms.still.excluded, words=asked.words, set_at=_set_at(asked.limit, asked.case))
    counted = legal_end(asked.limit, running, terms.extension, asked.calendar)
    platform, doubts = platform_end(asked.limit, asked.case, clock.start_at, asked.place, asked.calendar, asked.now)
    state, done_at, more = _stands(asked, clock, terms, counted)
    stopped = stopped_until(running, terms.still.since_at, done_at or _over_at(clock))
    if stopped is not running:
        counted = legal_end(asked.limit, stopped, terms.extension, asked.calendar)
        state, done_at, more = _stands(asked, clock, terms, counted)
    one = _obligation(asked, clock, terms, counted, state, clock.instance, clock.start_at, platform, done_at)
    return [_Result(one, counted, _over_at(clock))], [
        *doubts,
        *more,
        *disagreement(asked.limit, one, asked.place, asked.calendar, asked.now),
    ]


def _over_at(clock: Clock) -> datetime | None:
    """When its holder handed the case on."""
    return clock.holder.to_at if clock.holder is not None and clock.holder.over else None


def _stands(
    asked: _OfLimit, clock: Clock, terms: _Terms, counted: Count
) -> tuple[ObligationState, datetime | None, list[Reason]]:
    """Where it stands: done, handed over, closed without, standing still or running; and when it was done."""
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


# --- one clock: a limit that comes again ------------------------------------------------------------------------


def _again(asked: _OfLimit, clock: Clock, terms: _Terms, rule: Recurrence) -> tuple[list[_Result], list[Reason]]:
    """The obligations of a clock that comes again: one for every occurrence there is by now."""
    limit, case, now, place = asked.limit, asked.case, asked.now, asked.place
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
        state, told = _occurrence_stands(asked, clock, terms, one, ended_at, is_last=one is several[-1])
        findings.extend(told)
        instance = name_of(clock, one.number)
        bound = platform if one.number == 1 else None
        result = _obligation(
            asked, clock, terms, one.count, state, instance, one.begins_at, bound, one.done_at, one.next_at
        )
        found.append(_Result(result, one.count, _over_at(clock)))
    findings.extend(disagreement(limit, found[0].obligation, place, asked.calendar, now))
    return found, findings


def _occurrence_stands(
    asked: _OfLimit, clock: Clock, terms: _Terms, one: Occurrence, ended_at: datetime | None, *, is_last: bool
) -> tuple[ObligationState, list[Reason]]:
    """Where one occurrence stands; what ends the whole clock is told of the last one only."""
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


# --- what is kept of it -----------------------------------------------------------------------------------------


def _obligation(
    asked: _OfLimit,
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


def _known(asked: _OfLimit, instance: str, clock: Clock) -> Obligation | None:
    return next((one for one in asked.before if one.instance == instance and _is_of(one, clock)), None)


def _is_of(known: Obligation, clock: Clock) -> bool:
    """Whether a known obligation is of the same holder; one from before there was a clock per holder is."""
    return clock.holder is None or known.holder_unit in {None, clock.holder.unit}


# --- a start or an end that is missing --------------------------------------------------------------------------


def _set_at(limit: Limit, case: Case) -> datetime | None:
    """The end that was set for this very case, if the limit asks for one."""
    milestone = first_there(limit.set_by, case) if limit.set_by else None
    return None if milestone is None else case.milestones[milestone]


def _has_an_end(limit: Limit, case: Case) -> bool:
    return not limit.set_by or first_there(limit.set_by, case) is not None


def _missing_end(asked: _OfLimit) -> list[Reason]:
    limit = asked.limit
    if not asked.case.open:
        return []
    zh = f"“{limit.title}”适用，但还没有指定期限（{'、'.join(limit.set_by)}）。"
    en = f"'{limit.id}' applies, but its end has not been set yet ({', '.join(limit.set_by)})."
    return [finding(asked.place, asked.now, zh, en)]


def _missing_start(asked: _OfLimit) -> list[Reason]:
    limit = asked.limit
    if not asked.case.open or limit.after_close or any(is_link(name) for name in limit.start):
        return []  # a limit that follows another one, or the end of the case, begins when that comes
    names = "、".join(limit.start)
    zh = f"“{limit.title}”适用，但没有起算时间（{names}），暂不能计算。"
    en = f"'{limit.id}' applies, but there is nothing to count from ({', '.join(limit.start)})."
    return [finding(asked.place, asked.now, zh, en)]


def _circular(policy: Policy, order: InOrder, case: Case, now: datetime) -> list[Reason]:
    if not order.circular or not case.open:
        return []
    titles = {limit.id: limit.title for limit in policy.limits if limit.id in order.circular}
    zh = f"{'、'.join(f'“{title}”' for title in titles.values())}互相起算，无法计算。"
    en = f"{', '.join(titles)} begin from one another: they cannot be counted."
    return [finding(policy.id, now, zh, en)]
