"""A finished case played again as it was seen at the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies.beforehand.replay import appointed_in, history_of
from policies.duration import Duration, Unit
from policies.model import Bound, Case, Extension, Limit, Movement, Pause, Policy, PolicySet, Transfer

START = datetime(2026, 5, 6, 2, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = Duration(Fraction(30), Unit.DAY)
LATER = START + 400 * DAY


def day(number: int) -> datetime:
    """So many days after the start."""
    return START + number * DAY


CASE = Case(
    "XF1",
    unit="乙局",
    handler="乙一",
    milestones={"registered_at": START, "arrived_at": day(22), "limit_at": day(30), "finished_at": day(40)},
    transfers=(
        Transfer(1, day(14), "甲局", "甲一"),
        Transfer(2, day(20), None, kind=Movement.HAND_BACK, approved_by="分管领导", decided_at=day(22)),
        Transfer(3, day(22), "乙局", "乙一"),
    ),
    extensions=(Extension(1, MONTH, day(25), "principal", day(26)),),
    pauses=(Pause(1, day(27), day(29), "听证"),),
    open=False,
)


def test_each_moment_knows_what_had_happened_by_then() -> None:
    """Milestones, holders, extensions and pauses appear at their instants, the limit that was set is always there."""
    facts = dict(history_of(CASE, {"limit_at"}, LATER))
    assert facts[START].milestones == {"registered_at": START, "limit_at": day(30)}
    assert (facts[day(14)].unit, facts[day(14)].handler) == ("甲局", "甲一")
    assert facts[day(20)].transfers[-1].approved_by is None
    assert facts[day(22)].unit == "乙局"
    assert facts[day(25)].extensions[0].petitioner_told_at is None
    assert facts[day(26)].extensions == CASE.extensions
    assert facts[day(27)].pauses[0].to_at is None
    assert facts[day(29)].pauses == CASE.pauses
    assert [at for at, case in facts.items() if not case.open] == [day(40)]
    assert facts[day(40)] == CASE


def test_nothing_after_the_moment_asked_for() -> None:
    """A replay that ends in between shows the case still open, and one before the beginning shows nothing."""
    assert history_of(CASE, (), START - DAY) == ()
    at, last = history_of(CASE, (), day(28))[-1]
    assert (at, last.open, "finished_at" in last.milestones) == (day(27), True, False)


def test_appointed_are_the_milestones_read_as_limits() -> None:
    """A limit of the platform is set in advance; a milestone a length is added to has happened."""
    limit = Limit(
        "finish", "办结", ("a_at",), MONTH, ("b_at",), "l", platform_due=(Bound("limit_at"), Bound("c_at", MONTH))
    )
    policies = PolicySet("v", {"p": Policy("p", "策略", (limit,), {})})
    assert appointed_in(policies) == {"limit_at"}


NAMES = ("registered_at", "arrived_at", "notified_at", "finished_at", "limit_at")


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 60).map(day), min_size=1),
    st.lists(st.integers(0, 60).map(day), max_size=4),
    st.booleans(),
)
def test_facts_only_grow_and_end_as_they_are(
    milestones: dict[str, datetime], moves: list[datetime], still_open: bool
) -> None:
    """Whatever the case: milestones are never taken back, instants ascend, and the last state is today's."""
    transfers = tuple(Transfer(n, at, f"单位{n}") for n, at in enumerate(sorted(moves)))
    case = Case(
        "XF2",
        transfers[-1].to_unit if transfers else "甲局",
        milestones=milestones,
        transfers=transfers,
        open=still_open,
    )
    facts = history_of(case, {"limit_at"}, LATER)
    instants = [at for at, _ in facts]
    assert instants == sorted(set(instants))
    for (_, before), (_, after) in pairwise(facts):
        assert before.milestones.items() <= after.milestones.items()
        assert before.open or not after.open
    if facts:
        assert facts[-1][1] == case
