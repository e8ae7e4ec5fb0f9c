"""Whether a case is one that a policy, a limit or a step speaks of.

A condition names a field of the case and the values that fit. Everything under one `applies_to` or `when` must hold.

* Texts fit without regard to blanks at the ends and to upper and lower case; figures fit the same figure written
  as text (`3` and `"3"`), because shared databases keep codes both ways.
* `true` and `false` ask a flag. A flag that is not there (NULL, no such column) is not set: `false` fits it, so that
  an empty column never takes a case out of supervision.
* `null` fits a field that is not there. `unit`, `handler` and `restricted` are asked of the case itself.
* `at_least` and `at_most` ask a figure, kept as a figure or as text. What is no figure lies within no bounds.

The `when` and `unless` of a step may ask the history of the obligation as well, by the words of `HISTORY_WORDS`; how
each is answered stands in `policies/ladders/answers.py`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.model import Case, Condition, Policy, Scalar, Step


class WordKind(StrEnum):
    """What a history word is answered with."""

    FLAG = "flag"  # yes or no: `overdue`, `acknowledged: false`
    FIGURE = "figure"  # `handbacks: {at_least: 2}`
    LIGHT = "light"  # `light: red`


HISTORY_WORDS: Mapping[str, WordKind] = {
    "light": WordKind.LIGHT,
    "overdue": WordKind.FLAG,  # past the legal limit
    "platform_overdue": WordKind.FLAG,
    "acknowledged": WordKind.FLAG,  # 签收
    "delivered": WordKind.FLAG,
    "read": WordKind.FLAG,
    "acted": WordKind.FLAG,
    "handbacks": WordKind.FIGURE,
    "transfers": WordKind.FIGURE,
    "days_open": WordKind.FIGURE,  # natural days since the day of the start
    "days_left": WordKind.FIGURE,  # working days up to the day of the limit; negative after it
    "extended": WordKind.FLAG,
    "provisional": WordKind.FLAG,
    "start_assumed": WordKind.FLAG,
    "repeat": WordKind.FLAG,  # the case repeats an earlier one (重复信访)
    "first_time": WordKind.FLAG,  # 初次信访
    "breached": WordKind.FLAG,  # was past the legal limit once, whatever was granted afterwards
}

ASKS_RECEPTIONS = frozenset({"acknowledged", "delivered", "read"})

_SET = frozenset({"1", "true", "yes", "y", "t", "是", "有"})
_NOT_SET = frozenset({"", "0", "false", "no", "n", "f", "否", "无"})
_FIGURE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def asks_receptions(policy: Policy) -> bool:
    """Whether a step of the policy depends on what became of the notices sent before (`History.receptions`)."""
    return any(_asks_receptions(step) for ladder in policy.ladders.values() for step in ladder.steps)


def _asks_receptions(step: Step) -> bool:
    asked = (condition.field for condition in (*step.when, *step.unless))
    return step.acknowledge is not None or any(word in ASKS_RECEPTIONS for word in asked)


def all_hold(conditions: Iterable[Condition], case: Case) -> bool:
    """Whether every condition holds for the case; none at all holds always."""
    return all(holds(condition, case) for condition in conditions)


def holds(condition: Condition, case: Case) -> bool:
    """Whether the case's field is as the condition wants it (not so if `negate`)."""
    return satisfied(condition, field_of(case, condition.field))


def satisfied(condition: Condition, found: Scalar) -> bool:
    """Whether the value found is as the condition wants it (not so if `negate`)."""
    if condition.at_least is None and condition.at_most is None:
        return any(fits(found, wanted) for wanted in condition.values) is not condition.negate
    return _within(figure_of(found), condition.at_least, condition.at_most) is not condition.negate


def field_of(case: Case, name: str) -> Scalar:
    """What the case says about that field; None if it says nothing."""
    if name in case.fields:
        return case.fields[name]
    if name == "unit":
        return case.unit
    if name == "handler":
        return case.handler
    if name == "restricted":
        return case.restricted
    return case.milestones.get(name)


def fits(found: Scalar, wanted: Scalar) -> bool:
    """Whether a value found in the database is the one the administrator wrote."""
    if isinstance(wanted, bool):
        return _is_set(found) is wanted
    if found is None or wanted is None:
        return found is wanted
    if isinstance(found, bool):
        return isinstance(wanted, str | int) and _is_set(wanted) is found
    return _plain(found) == _plain(wanted)


def figure_of(found: Scalar) -> float | None:
    """The figure a value is, also if it is kept as text (`"12"`, `"１２.５"`); None if it is none."""
    if isinstance(found, bool) or found is None:
        return None
    if isinstance(found, str):
        written = unicodedata.normalize("NFKC", found).strip()
        return float(written) if _FIGURE.fullmatch(written) else None
    if isinstance(found, int | float):
        return float(found) if math.isfinite(found) else None
    return None


def _within(figure: float | None, at_least: float | None, at_most: float | None) -> bool:
    if figure is None:
        return False
    return (at_least is None or figure >= at_least) and (at_most is None or figure <= at_most)


def _is_set(found: Scalar) -> bool | None:
    """A flag as a database may keep it; None if the value is no flag at all."""
    if found is None or isinstance(found, bool):
        return bool(found)
    word = _plain(found)
    if word in _SET:
        return True
    return False if word in _NOT_SET else None


def _plain(value: Scalar) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold()
