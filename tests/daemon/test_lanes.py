"""Which lane a notice goes in, and that every lane comes first at times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.store.lanes import FROM_BELOW, LANES, Lane, lane_of, lanes_from
from policies.model import Why
from support.store_values import NOW, notice


def facts(light: str, days_left: int = 3, **more: object) -> dict[str, object]:
    """What a notice of a limit of 60 days says of it."""
    begun = NOW - timedelta(days=57)
    return {"light": light, "days_left": days_left, "start_at": begun.isoformat(), "due_at": NOW.isoformat(), **more}


HOURS = {"start_at": NOW.isoformat(), "due_at": (NOW + timedelta(hours=24)).isoformat()}


@pytest.mark.parametrize(
    ("said", "lane"),
    [
        ({"facts": facts("yellow")}, Lane.WARNING),
        ({"facts": facts("green", 40)}, Lane.WARNING),
        ({"facts": {}}, Lane.WARNING),
        ({"facts": facts("yellow", 0)}, Lane.FINAL),
        ({"facts": facts("orange", 1)}, Lane.FINAL),
        ({"facts": facts("orange", 1), "digest": True}, Lane.FINAL),
        ({"facts": facts("orange", 1), "copy": True}, Lane.LATER),
        ({"facts": facts("green", 1, **HOURS)}, Lane.FINAL),
        ({"facts": facts("red", -9), "may_wake": "条例第三十一条"}, Lane.FINAL),
        ({"facts": facts("red", -9)}, Lane.OVERDUE),
        ({"facts": facts("red", -9), "role": "leader"}, Lane.FINAL),
        ({"facts": facts("red", -9), "role": "leader", "repeat": 1}, Lane.OVERDUE),
        ({"facts": facts("red", -9), "role": "section_head", "why": Why.UNDELIVERED}, Lane.FINAL),
        ({"facts": facts("yellow"), "digest": True}, Lane.LATER),
        ({"case_key": "", "say": "alert", "facts": {}}, Lane.OVERDUE),
        ({"case_key": "", "key": "drill/2026-10/official-1/sms", "facts": {}}, Lane.LATER),
    ],
    ids=[
        "a reminder",
        "the first notice of a case",
        "a limit nothing is known of",
        "due today",
        "the last warning",
        "the last warning, though it may be put together with others",
        "a copy of it",
        "a limit in hours",
        "the policy lets it wake somebody",
        "the handler's own case is overdue",
        "the leader hears of it for the first time",
        "and again",
        "as the one below could not be reached",
        "what may be put together with others",
        "a trouble of duban itself",
        "a fire drill",
    ],
)
def test_the_lane_follows_from_what_a_notice_says(said: dict[str, object], lane: Lane) -> None:
    """What has a legal effect soon goes first, what is overdue next, then warnings, last what nobody waits for."""
    assert lane_of(replace(notice("a"), **said)) is lane  # type: ignore[arg-type]


@given(st.integers(0, 10_000))
def test_every_lane_comes_first_at_times(begin: int) -> None:
    """Whatever claim one begins with: of thirty, 27 take the lanes in order, and each lower one comes first once."""
    orders = [lanes_from(number) for number in range(begin, begin + 3 * FROM_BELOW)]
    assert all(sorted(order) == list(LANES) for order in orders)
    assert orders.count(LANES) == 3 * (FROM_BELOW - 1)
    assert {order[0] for order in orders} == set(LANES)
