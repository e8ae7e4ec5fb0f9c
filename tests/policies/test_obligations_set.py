"""Limits whose end is set for each case (指定办理期限): the date is taken as it stands."""

from __future__ import annotations

from typing import Any

import pytest

from policies.duration import Duration, Unit, parse_duration
from policies.model import Case, Extension, ExtensionRule, ObligationState
from policies.obligations import obligations_of
from support.invented_office import CALENDARS, at, end_of, limit, policies, policy

SET = limit(within=Duration(parse_duration("1 日").amount * 0, Unit.DAY), set_by=("assigned_at", "reply_by_at"))
NOW = at("2026-09-20 09:00")
ARRIVED = at("2026-09-16 10:00")


def counted(**milestones: Any) -> Any:
    """The obligations and findings of a case with these milestones."""
    case = Case("XF1", "B", "clerk", {"arrived_at": ARRIVED, **milestones})
    return obligations_of(policies(policy(SET)), case, CALENDARS, NOW)


def test_the_date_is_taken_as_it_stands() -> None:
    """A day off is not rolled over and the hour is kept: whoever set it, meant it."""
    [one] = counted(reply_by_at=at("2026-10-01 12:00")).obligations
    assert (one.nominal_due_at, one.legal_due_at, one.due_at) == (at("2026-10-01 12:00"),) * 3
    assert one.state is ObligationState.OPEN


def test_the_first_that_is_there_counts() -> None:
    """Of several milestones the first in the order written."""
    [one] = counted(reply_by_at=at("2026-10-01 12:00"), assigned_at=end_of("2026-10-20")).obligations
    assert one.due_at == end_of("2026-10-20")


def test_nothing_runs_before_an_end_is_set() -> None:
    """Until somebody sets it there is no obligation, and a finding says so."""
    nothing = counted()
    assert nothing.obligations == ()
    assert "还没有指定期限" in nothing.findings[0].text.zh


def test_an_end_before_the_start_is_not_believed() -> None:
    """A slip of the year is told, not counted."""
    wrong = counted(assigned_at=at("2025-10-01 12:00"))
    assert wrong.obligations == ()
    assert "早于起算时间" in wrong.findings[0].text.zh


@pytest.mark.parametrize(
    ("length", "most", "due"), [("10 日", "30 日", "2026-10-10"), ("5 工作日", "10 工作日", "2026-10-13")]
)
def test_an_extension_counts_from_the_end_set(length: str, most: str, due: str) -> None:
    """The day that was set does not count; make-up Saturdays work, and the last day rolls like any other."""
    rule = ExtensionRule(parse_duration(most), petitioner_told=False)
    longer = limit(within=SET.within, set_by=SET.set_by, extension=rule)
    milestones = {"arrived_at": ARRIVED, "assigned_at": end_of("2026-09-30")}
    case = Case(
        "XF1", "B", "clerk", milestones, extensions=(Extension(1, parse_duration(length), at("2026-09-25 10:00")),)
    )
    [one] = obligations_of(policies(policy(longer)), case, CALENDARS, NOW).obligations
    assert one.extended
    assert one.legal_due_at == end_of(due)
