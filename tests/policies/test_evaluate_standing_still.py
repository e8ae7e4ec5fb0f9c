"""What is met, or handed on, while the clock stands still is not late because of that pause."""

from __future__ import annotations

import pytest

from policies.beforehand.course import take_over
from policies.duration import parse_duration
from policies.model import Case, ObligationState, Pause, Policy, Recurrence, Transfer, Why
from support.invented_office import CALENDARS, KINDS, at, case, directory, limit, policies, policy

PLAIN = policy()
PER_HOLDER = policy(limit(per_holder=True))
MONTHLY = policy(
    limit(start=("arrived_at",), within=parse_duration("1 月"), recur=Recurrence(parse_duration("1 月"), ("over_at",)))
)
LATER = at("2026-11-20 10:00")


def standing_since(since: str, **milestones: str) -> Case:
    """The case, stopped since then, with nothing written down of when it goes on."""
    told = {name: at(text) for name, text in milestones.items()}
    return case(milestones={"arrived_at": at("2026-09-16 10:00"), **told}, pauses=(Pause(1, at(since)),))


def handed_over(since: str) -> Case:
    """The same, handed on to 丙科 on 20 October."""
    told = standing_since(since)
    move = Transfer(1, at("2026-10-20 10:00"), "C", "clerk2", "B")
    return Case("XF001", "C", "clerk2", told.milestones, transfers=(move,), pauses=told.pauses)


@pytest.mark.parametrize(
    ("rules", "told", "late"),
    [
        (PLAIN, standing_since("2026-09-20 09:00", notified_at="2026-10-20 10:00"), False),
        (PLAIN, standing_since("2026-10-08 15:00", notified_at="2026-10-20 10:00"), False),
        (PLAIN, standing_since("2026-10-12 09:00", notified_at="2026-10-20 10:00"), True),
        (PLAIN, standing_since("2026-10-12 09:00", notified_at="2026-10-10 10:00"), True),
        (PER_HOLDER, handed_over("2026-09-20 09:00"), False),
        (PER_HOLDER, handed_over("2026-10-12 09:00"), True),
        (MONTHLY, standing_since("2026-10-10 09:00", notified_at="2026-10-20 10:00"), False),
        (MONTHLY, standing_since("2026-10-19 09:00", notified_at="2026-10-20 10:00"), True),
        (MONTHLY, standing_since("2026-10-10 09:00", over_at="2026-10-20 10:00"), False),
    ],
    ids=[
        "met while stopped",
        "stopped on the last day",
        "stopped too late",
        "met too late before it stopped",
        "handed on while stopped",
        "handed on, stopped too late",
        "answered while stopped",
        "answered, stopped too late",
        "over while stopped",
    ],
)
def test_only_who_was_late_before_it_stood_still_is_late(rules: Policy, told: Case, late: bool) -> None:
    """A pause still open when the limit ends lasts until then; one that began after the limit helps nobody."""
    first = take_over(policies(rules), told, {}, directory(), CALENDARS, KINDS, LATER).changes[0]
    assert first.obligation.state in {ObligationState.DONE, ObligationState.WITHDRAWN}
    assert (Why.BREACH in {reason.why for reason in first.reasons}) is late
    assert (first.history.breached_at is not None) is late
