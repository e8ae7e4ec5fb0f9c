"""Which cases a policy speaks of."""

from __future__ import annotations

import pytest

from policies.conditions import all_hold, holds
from policies.model import Condition
from support.invented_office import at, case


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        ("求决", "求决", True),
        (" 求决 ", "求决", True),
        ("Level-A", "level-a", True),
        ("检举", "求决", False),
        (3, "3", True),
        ("3", 3, True),
        (3.0, 3, True),
        ("03", 3, False),
        (True, True, True),
        (1, True, True),
        ("是", True, True),
        ("Y", True, True),
        ("0", False, True),
        ("", False, True),
        (None, False, True),
        (None, True, False),
        ("求决", True, False),
        ("求决", False, False),
        (True, 1, True),
        (False, "1", False),
        (None, None, True),
        ("x", None, False),
        (None, "x", False),
    ],
)
def test_value_found_against_value_written(found: object, wanted: object, fits: bool) -> None:
    """Codes kept as text or figure are the same code, and an empty flag is a flag that is not set."""
    assert holds(Condition("field", (wanted,)), case(fields={"field": found})) is fits  # type: ignore[arg-type]


def test_any_of_several_values_fits() -> None:
    """A list of values means any of them."""
    level = Condition("level", ("省", "市"))
    assert holds(level, case(fields={"level": "市"}))
    assert not holds(level, case(fields={"level": "县"}))


def test_negated_condition_excludes_all_its_values() -> None:
    """`not` turns the answer round, for a missing field too."""
    condition = Condition("kind", ("检举",), negate=True)
    assert not holds(condition, case(fields={"kind": "检举"}))
    assert holds(condition, case())


def test_all_conditions_must_hold() -> None:
    """Several conditions are joined by and; none at all holds for every case."""
    conditions = (Condition("kind", ("求决",)), Condition("litigation", (False,)))
    assert all_hold(conditions, case(fields={"kind": "求决"}))
    assert not all_hold(conditions, case(fields={"kind": "求决", "litigation": 1}))
    assert all_hold((), case())


def test_the_case_itself_can_be_asked() -> None:
    """The unit, the handler, the restricted flag and milestones are asked without being columns."""
    assert holds(Condition("unit", ("B",)), case())
    assert holds(Condition("handler", ("clerk",)), case())
    assert holds(Condition("restricted", (True,)), case(restricted=True))
    assert holds(Condition("notified_at", (None,)), case())
    assert not holds(Condition("arrived_at", (None,)), case(milestones={"arrived_at": at("2026-09-16 10:00")}))
