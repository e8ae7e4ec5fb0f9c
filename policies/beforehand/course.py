"""How the obligations of a case go on from one reading of its facts to the next: one step, without a store.

The daemon takes these steps when the shared database shows something new, the simulation plays them ahead of time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.evaluate import comes_back, ended_at, evaluate, rule_of
from policies.limits.facts import finding
from policies.limits.revision import revise
from policies.model import RUNNING, History, ObligationState, Why
from policies.obligations import calendar_for, obligations_of
from policies.people.first_handler import first_handler_of
from policies.people.noticed import with_noticed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Case, Directory, FirstHandler, Notice, Obligation, Plan, Policy, PolicySet, Reason

Key = tuple[str, str, str]

BREACHES = frozenset({Why.BREACH, Why.PLATFORM_BREACH})


@dataclass(frozen=True, slots=True)
class Change:
    """One obligation after the facts were taken over.

    `was` is what it was before, None if it is new. `next_check_at` is when it is to be looked at, None if nothing can
    happen without other facts. `reasons` say what moved and whether it was done too late. `last` is the last word on
    one whose clock does not run, None while it is to be looked at.
    """

    obligation: Obligation
    history: History
    next_check_at: datetime | None
    was: Obligation | None
    reasons: tuple[Reason, ...]
    last: Plan | None = None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What a reading of a case came to.

    `case` has the changes of hands nobody wrote down. `changes` are the limits that run on it, `withdrawn` those that
    no longer do. `first_handler` is the one these facts name, whoever may be frozen already.
    """

    case: Case
    changes: tuple[Change, ...]
    withdrawn: tuple[Change, ...]
    first_handler: FirstHandler | None
    findings: tuple[Reason, ...]


def key_of(one: Obligation) -> Key:
    """What tells the obligations of one case apart: policy, limit, instance."""
    return one.policy, one.limit, one.instance


def key_of_notice(notice: Notice) -> Key:
    """The key of the obligation a notice is about."""
    return notice.policy, notice.limit, notice.instance


def take_over(
    policies: PolicySet,
    read: Case,
    before: Mapping[Key, tuple[Obligation, History]],
    directory: Directory,
    calendars: Mapping[str, Calendar],
    kinds: Mapping[str, str],
    now: datetime,
    default_calendar: str = "china",
    *,
    last: Case | None = None,
    first_handler: FirstHandler | None = None,
    earlier: FirstHandler | None = None,
) -> TakenOver:
    """Count the case as `read` at `now` and go on from the obligations known `before`; the others are withdrawn.

    `last` is the case as it was taken over before, `first_handler` the one frozen already, `earlier` the first handler
    of the case this one repeats.
    """
    case = with_noticed(read, last, now)
    known = [one for one, _ in before.values()]
    counted = obligations_of(policies, case, calendars, now, default_calendar, known)
    claimed = first_handler_of(policies, read, calendars, default_calendar, earlier)
    if claimed is not None and not (claimed.unit or claimed.official):
        claimed = None  # nobody is known to have had it then: not to be frozen as nobody for ever
    first = first_handler or claimed
    left = dict(before)
    changes: list[Change] = []
    for new in counted.obligations:
        old, history = left.pop(key_of(new), (None, History()))
        policy = policies.policies[new.policy]
        calendar = _calendar_of(policy, new, calendars, default_calendar)
        changes.append(_change(policy, new, old, history, case, first, directory, calendar, kinds, now))
    gone = tuple(_withdrawn(old, history) for old, history in left.values() if old.state in RUNNING)
    unknown = (_closing_unknown(policies, change, case, now) for change in changes) if not case.open else ()
    findings = (*counted.findings, *(reason for reason in unknown if reason is not None))
    return TakenOver(case, tuple(changes), gone, claimed, findings)


def _change(
    policy: Policy,
    new: Obligation,
    old: Obligation | None,
    history: History,
    case: Case,
    first: FirstHandler | None,
    directory: Directory,
    calendar: Calendar,
    kinds: Mapping[str, str],
    now: datetime,
) -> Change:
    rule = rule_of(policy, new)
    if rule is None:
        raise LookupError(f"{new.policy}/{new.limit}")
    limit, ladder = rule
    obligation, history, reasons = revise(old, history, new, ladder, calendar, now, limit)
    if obligation.state is ObligationState.OPEN or comes_back(obligation):
        return Change(obligation, history, now, old, reasons)
    # No step is due any more, but a limit met too late between two looks is a breach all the same.
    last = evaluate(policy, obligation, case, history, directory, first, calendar, now, kinds)
    breaches = tuple(reason for reason in last.reasons if reason.why in BREACHES)
    again = last.next_check_at if obligation.state is ObligationState.PAUSED else None  # when its pause is over
    return Change(obligation, last.history, again, old, (*reasons, *breaches), last)


def _closing_unknown(policies: PolicySet, change: Change, case: Case, now: datetime) -> Reason | None:
    """The case is found closed after a limit nobody knows the end of: whether it was closed in time cannot be said."""
    one, was = change.obligation, change.was
    rule = rule_of(policies.policies[one.policy], one)
    running = was is None or was.state in RUNNING
    if rule is None or not running or one.state is not ObligationState.WITHDRAWN or now <= one.legal_due_at:
        return None
    limit, _ = rule
    late_already = change.history.breached_at is not None
    if late_already or limit.after_close or ended_at(Why.WITHDRAWN, limit, one, case, now) is not None:
        return None
    zh = f"案件结束时间不明：读到时期限已过，“{limit.title}”没有办理时间，是否超期无法判断。"
    en = f"The closing instant is unknown: '{limit.id}' was never done, and its limit had passed when that was read."
    return finding(f"{one.policy}/{one.limit}", now, zh, en)


def _withdrawn(old: Obligation, history: History) -> Change:
    return Change(replace(old, state=ObligationState.WITHDRAWN), history, None, old, ())


def _calendar_of(policy: Policy, one: Obligation, calendars: Mapping[str, Calendar], default_calendar: str) -> Calendar:
    limit = next(limit for limit in policy.limits if limit.id == one.limit)
    return calendar_for(policy, limit, calendars, default_calendar)


def ahead_of(case: Case, now: datetime) -> frozenset[str]:
    """Which facts of the case still lie ahead: they come true by time alone, and then it is counted again."""
    milestones = (name for name, at in case.milestones.items() if at > now)
    pauses = (f"pause {pause.seq}" for pause in case.pauses if pause.from_at > now)
    return frozenset((*milestones, *pauses))


def may_hear(notice: Notice, case: Case, policy: Policy) -> bool:
    """Whether a notice about a restricted case still goes to somebody on its list, and without content."""
    listed, person = policy.restricted, notice.person
    return person in listed.recipients and person not in case.recused and notice.say == listed.say


def no_longer_true(notice: Notice, obligations: Iterable[Obligation], now: datetime) -> str | None:
    """Why a notice that has not gone out yet must not go out any more; None if it still holds."""
    mine = next((one for one in obligations if key_of(one) == key_of_notice(notice)), None)
    if mine is None:
        return ObligationState.WITHDRAWN.value
    if mine.state is not ObligationState.OPEN and not (comes_back(mine) and notice.why is Why.REVIEW):
        return mine.state.value
    if mine.deadline_version != notice.deadline_version:
        return "deadline_moved"
    if notice.expires_at is not None and now >= notice.expires_at:
        return "next_step_took_over"
    return None
