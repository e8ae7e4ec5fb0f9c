"""Whether a case is one that a policy or a limit speaks of.

A condition names a field of the case and the values that fit. Everything under one `applies_to` must hold.

* Texts fit without regard to blanks at the ends and to upper and lower case; figures fit the same figure written
  as text (`3` and `"3"`), because shared databases keep codes both ways.
* `true` and `false` ask a flag. A flag that is not there (NULL, no such column) is not set: `false` fits it, so that
  an empty column never takes a case out of supervision.
* `null` fits a field that is not there. `unit`, `handler` and `restricted` are asked of the case itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.model import Case, Condition, Scalar

_SET = frozenset({"1", "true", "yes", "y", "t", "是", "有"})
_NOT_SET = frozenset({"", "0", "false", "no", "n", "f", "否", "无"})


def all_hold(conditions: Iterable[Condition], case: Case) -> bool:
    """Whether every condition holds for the case; none at all holds always."""
    return all(holds(condition, case) for condition in conditions)


def holds(condition: Condition, case: Case) -> bool:
    """Whether the case's field has one of the condition's values (none of them if `negate`)."""
    found = field_of(case, condition.field)
    return any(fits(found, wanted) for wanted in condition.values) is not condition.negate


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
