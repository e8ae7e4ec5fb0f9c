"""Which cases a policy speaks of."""

from __future__ import annotations

import pytest

from policies.conditions import HISTORY_WORDS, WordKind, all_hold, asks_receptions, holds
from policies.duration import parse_duration
from policies.model import Acknowledge, Condition
from support.invented_office import at, case, step, with_steps


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


@pytest.mark.parametrize(
    ("found", "at_least", "at_most", "fits"),
    [
        (3, 3, None, True),
        ("3", 3, None, True),
        (" ３.５ ", 3, 4, True),
        (-2, None, -1, True),
        (5, 3, 4, False),
        (2.5, 3, None, False),
        ("三", 0, None, False),
        ("nan", 0, None, False),
        (float("inf"), 0, None, False),
        (True, 1, None, False),
        (None, 0, None, False),
        (at("2026-09-16 10:00"), 0, None, False),
    ],
)
def test_bounds_ask_figures(found: object, at_least: float | None, at_most: float | None, fits: bool) -> None:
    """Both bounds are included, figures kept as text are figures, and what is no figure lies within no bounds."""
    condition = Condition("amount", (), at_least=at_least, at_most=at_most)
    the_case = case(fields={"amount": found})
    assert holds(condition, the_case) is fits
    assert holds(Condition("amount", (), negate=True, at_least=at_least, at_most=at_most), the_case) is not fits


def test_receptions_are_asked_only_by_steps_that_need_them() -> None:
    """A step with `acknowledge`, or a condition on what became of a notice, needs the outbox; others do not."""
    within = Acknowledge(parse_duration("4 工作小时"), ("section_head",))
    for name in ("acknowledged", "delivered", "read"):
        asked = Condition(name, (True,))
        assert asks_receptions(with_steps(step("x", "start", "handler", when=(asked,))))
        assert asks_receptions(with_steps(step("x", "start", "handler", unless=(asked,))))
    assert asks_receptions(with_steps(step("x", "start", "handler", acknowledge=within)))
    assert not asks_receptions(with_steps(step("x", "start", "handler", when=(Condition("light", ("red",)),))))


def test_every_history_word_says_what_it_is_answered_with() -> None:
    """The words a step may ask are flags, figures, or the light."""
    figures = {word for word, kind in HISTORY_WORDS.items() if kind is WordKind.FIGURE}
    assert figures == {"handbacks", "transfers", "days_open", "days_left"}
    assert [word for word, kind in HISTORY_WORDS.items() if kind is WordKind.LIGHT] == ["light"]
