"""A clock that ended too late while nobody looked is a breach of whoever had it, though nothing was done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.beforehand.course import key_of, take_over
from policies.duration import parse_duration
from policies.model import Case, History, Movement, ObligationState, Policy, Recurrence, Transfer, Why
from policies.people.responsibility import lapses
from support.invented_office import CALENDARS, KINDS, at, case, directory, end_of, limit, policies, policy

PER_HOLDER = policy(limit(per_holder=True))
MONTHLY = policy(
    limit(
        start=("arrived_at",),
        within=parse_duration("1 月"),
        recur=Recurrence(parse_duration("1 月"), ("finished_at",)),
    )
)


def handed_over(moment: str, *more: Transfer) -> Case:
    """The case that went from 乙科 to 丙科 then."""
    moves = (*more, Transfer(9, at(moment), "C", "clerk2", "B"))
    return case(unit="C", handler="clerk2", transfers=moves)


def finished(moment: str) -> Case:
    """The case finished then, without a single notice."""
    return case(milestones={"arrived_at": at("2026-09-16 10:00"), "finished_at": at(moment)})


WITHIN = Transfer(1, at("2026-09-20 09:00"), "B", "clerk", "B", kind=Movement.HAND_OVER)


@pytest.mark.parametrize(
    ("rules", "seen", "breached_at"),
    [
        (PER_HOLDER, handed_over("2026-10-09 16:00"), at("2026-10-09 00:00")),
        (PER_HOLDER, handed_over("2026-10-09 16:00", WITHIN), at("2026-10-09 00:00")),
        (PER_HOLDER, handed_over("2026-10-08 23:00"), None),
        (MONTHLY, finished("2026-10-19 10:00"), at("2026-10-17 00:00")),
        (MONTHLY, finished("2026-10-16 10:00"), None),
        (MONTHLY, replace(finished("2026-10-30 10:00"), open=False), None),
    ],
    ids=["handed over late", "person changed before", "handed over in time", "ended late", "ended in time", "to come"],
)
def test_whoever_was_late_already_stays_late(rules: Policy, seen: Case, breached_at: object) -> None:
    """After an outage the clock that had run out before it ended is a breach, at its true instant; no other is."""
    taken = take_over(policies(rules), seen, {}, directory(), CALENDARS, KINDS, at("2026-10-20 10:00"))
    first = taken.changes[0]
    assert first.obligation.state is ObligationState.WITHDRAWN
    assert first.history.breached_at == breached_at
    assert (Why.BREACH in {reason.why for reason in first.reasons}) is (breached_at is not None)


@pytest.mark.parametrize(
    ("seen", "late", "unknown"),
    [
        (case(open=False), False, True),
        (finished("2026-10-09 10:00"), True, False),
        (finished("2026-09-30 10:00"), False, False),
        (finished("2026-10-30 10:00"), False, True),
        (case(transfers=(Transfer(1, at("2026-10-10 10:00"), "B", kind=Movement.CLOSE),)), True, False),
    ],
    ids=["nothing says when", "closed late", "closed in time", "closed in the future", "closed late by the record"],
)
def test_case_found_closed_after_its_limit(seen: Case, *, late: bool, unknown: bool) -> None:
    """Late is what was closed late by the record; where nothing says when, that is told and nobody is accused."""
    rules, seen = policies(policy(limit(platform_due=()))), replace(seen, open=False)
    now = at("2026-10-20 10:00")
    taken = take_over(rules, seen, {}, directory(), CALENDARS, KINDS, now)
    assert (taken.changes[0].history.breached_at is not None) is late
    assert any("结束时间不明" in reason.text.zh for reason in taken.findings) is unknown
    known = {key_of(taken.changes[0].obligation): (taken.changes[0].obligation, taken.changes[0].history)}
    again = take_over(rules, seen, known, directory(), CALENDARS, KINDS, now, last=seen)
    assert not any("结束时间不明" in reason.text.zh for reason in again.findings), "told once"


def test_case_known_to_be_late_before_it_was_closed_leaves_no_doubt() -> None:
    """Its breach is on record: that nothing says when it was closed is of no matter."""
    rules, now = policies(policy(limit(platform_due=()))), at("2026-10-20 10:00")
    opened = take_over(rules, case(), {}, directory(), CALENDARS, KINDS, now).changes[0]
    known = {key_of(opened.obligation): (opened.obligation, History(breached_at=end_of("2026-10-08")))}
    taken = take_over(rules, case(open=False), known, directory(), CALENDARS, KINDS, now, last=case())
    assert not any("结束时间不明" in reason.text.zh for reason in taken.findings)


def test_it_is_laid_to_the_unit_whose_clock_it_was() -> None:
    """丙科, who had the case when that was noticed, is not accused."""
    seen = handed_over("2026-10-09 16:00")
    late = take_over(policies(PER_HOLDER), seen, {}, directory(), CALENDARS, KINDS, at("2026-10-20 10:00")).changes[0]
    assert late.last is not None
    (lapse,) = lapses(late.obligation, late.last, seen, None, PER_HOLDER, lambda _: directory())
    assert (lapse.unit, lapse.at) == ("B", end_of("2026-10-08"))
