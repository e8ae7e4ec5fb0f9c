from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.process import PROOF_GRACE, Proof
from daemon.store.values import Audit

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def audit(*, unaccounted: int = 0, overdue: int = 0) -> Audit:
    """An audit of ten obligations that found this."""
    return Audit(10, unaccounted, overdue, None, 0, 0, None)


def verdict(*found: Audit) -> bool:
    """Whether the proof holds a minute after audits that came every minute."""
    proof = Proof()
    for minute, each in enumerate(found):
        proof.take(each, START + minute * MINUTE)
    return proof.holds(START + len(found) * MINUTE)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        ([], True),
        ([audit()], True),
        ([audit(unaccounted=1)], True),  # within the grace
        ([audit(unaccounted=1)] * 7, False),
        ([audit(overdue=3)] * 7, False),
        ([audit(overdue=1000 - minute) for minute in range(60)], True),  # a backlog that is being worked off
        ([audit(overdue=3)] * 7 + [audit()], True),  # mended
        ([*[audit(overdue=3)] * 5, audit(), *[audit(overdue=3)] * 2], True),  # found again: the grace begins anew
        ([audit(overdue=3 + minute) for minute in range(7)], False),  # getting worse
    ],
)
def test_the_proof_breaks_only_without_progress(found: list[Audit], *, holds: bool) -> None:
    """The watchdog starves when audits find something for longer than the grace and its number does not fall."""
    assert PROOF_GRACE == 5 * MINUTE
    assert verdict(*found) is holds
