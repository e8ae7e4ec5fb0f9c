"""The two ways up: 谁主管、谁负责 along the units above, 属地管理 along the places above (信访工作条例 5(3), 22).

A role may be bound to one of them (`principal@territorial`); a plain role goes the ways of its policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.model import Reason, Why
from policies.same import Same
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.model import Case, Directory, OfficeUnit, Policy, Scalar

FUNCTIONAL = "functional"
TERRITORIAL = "territorial"
LEG_TITLES: Mapping[str, Text] = {
    FUNCTIONAL: Text("主管", "functional"),
    TERRITORIAL: Text("属地", "territorial"),
}
BOUND_BY = "@"
LEVELS = (2, 4, 6, 9, 12)  # digits of 省、市、县 (GB/T 2260), 乡镇、村 (GB/T 10114 and the statistical code)


@dataclass(frozen=True, slots=True)
class Way:
    """Units from the lowest to the highest, on one leg; `told` says what was remarkable about finding them."""

    leg: str
    units: tuple[str, ...]
    told: tuple[Reason, ...] = ()


@lru_cache(maxsize=256)
def split_leg(role: str) -> tuple[str, str | None]:
    """`principal@territorial` as role and leg; a plain role has no leg of its own."""
    name, _, leg = role.partition(BOUND_BY)
    return name, leg or None


def legs_of(role: str, policy: Policy) -> tuple[str, ...]:
    """The legs a role goes up: its own one, else those of its policy."""
    _, leg = split_leg(role)
    return (leg,) if leg else policy.legs or (FUNCTIONAL,)


def on_leg(name: str, leg: str, asked: str, policy: Policy) -> str:
    """How a role found on a leg is written: with the leg if it was asked so or the leg is not the policy's first."""
    first = (policy.legs or (FUNCTIONAL,))[0]
    return f"{name}{BOUND_BY}{leg}" if BOUND_BY in asked or leg != first else name


def units_upward(unit: str | None, directory: Directory, leg: str = FUNCTIONAL) -> tuple[str, ...]:
    """The unit and all above it on that leg; a unit that comes up twice ends the way."""
    return _climb(unit, directory, leg)[0]


def way_of(leg: str, policy: Policy, case: Case, unit: str | None, directory: Directory, now: datetime) -> Way:
    """The way a case goes up on a leg: the functional one begins at `unit`, the territorial one at its place.

    Where no unit answers for the place, the functional way is taken and that is told. A circle among the units is told
    too.
    """
    told: tuple[Reason, ...] = ()
    if leg == TERRITORIAL:
        place = _as_code(case.fields.get(policy.place))
        local = unit_for_place(place, directory)
        if local is not None:
            return _way(TERRITORIAL, local, directory, now)
        told = (_no_such_place(place, now),)
    way = _way(FUNCTIONAL, unit, directory, now)
    return replace(way, told=(*told, *way.told)) if told else way


def unit_for_place(place: str | None, directory: Directory) -> str | None:
    """The unit that answers for a place: the one with that code, else the nearest place that contains it.

    370102 → 370100 → 370000: of 6-digit 行政区划 codes (GB/T 2260) two digits are one level. Of several units with the
    same code the first by key.
    """
    if place is None:
        return None
    exact, parts = _places(Same(directory.units))
    if place in exact:
        return exact[place]
    within = (parts[place[:digits]] for digits in range(len(place), 1, -1) if place[:digits] in parts)
    return next(within, None)


def _way(leg: str, unit: str | None, directory: Directory, now: datetime) -> Way:
    units, is_circle = _climb(unit, directory, leg)
    if not is_circle:
        return Way(leg, units)
    top = units[-1]
    text = Text(f"单位 {top} 的上级关系成环。", f"The units above {top} form a loop.")
    return Way(leg, units, (Reason(Why.FINDING, text, at=now),))


def _climb(unit: str | None, directory: Directory, leg: str) -> tuple[tuple[str, ...], bool]:
    """The units upward, and whether they go round in a circle; remembered for one reading of the directory."""
    known = _climbs(Same(directory.units))
    if (unit, leg) not in known:
        way: list[str] = []
        above = unit
        while above is not None and above not in way:
            way.append(above)
            above = _above(directory.units[above], leg) if above in directory.units else None
        known[unit, leg] = (tuple(way), above is not None)
    return known[unit, leg]


@lru_cache(maxsize=4)
def _climbs(units: Same[Mapping[str, OfficeUnit]]) -> dict[tuple[str | None, str], tuple[tuple[str, ...], bool]]:
    """What was found out about these units so far."""
    del units
    return {}


def _above(unit: OfficeUnit, leg: str) -> str | None:
    return (unit.area_parent or unit.parent) if leg == TERRITORIAL else unit.parent


def _as_code(value: Scalar) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _no_such_place(place: str | None, now: datetime) -> Reason:
    if place is None:
        text = Text("案件没有属地代码，改走主管线。", "The case has no place: the functional way is taken.")
    else:
        text = Text(
            f"没有负责属地 {place} 的单位，改走主管线。",
            f"No unit answers for place {place}: the functional way is taken.",
        )
    return Reason(Why.FINDING, text, at=now)


@lru_cache(maxsize=4)
def _places(units: Same[Mapping[str, OfficeUnit]]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Units by the code of their place, and by that part of the code that every place within begins with."""
    exact: dict[str, str] = {}
    parts: dict[str, str] = {}
    for key in sorted(units.value):
        area = units.value[key].area
        if area:
            exact.setdefault(area, key)
            parts.setdefault(_significant(area), key)
    return exact, parts


def _significant(area: str) -> str:
    """370100 → 3701: without the zeros that stand for the levels below. A code that is no number stays as it is."""
    if not area.isdigit():
        return area
    return next((area[:digits] for digits in LEVELS if not area[digits:].strip("0")), area)
