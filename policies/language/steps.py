"""The ids of steps: what is written, else the moment (`due-3wd`), made unique without renaming earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.duration import Unit

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from policies.duration import Moment

_SHORT = {
    Unit.DAY: "d",
    Unit.WORKDAY: "wd",
    Unit.MONTH: "mo",
    Unit.YEAR: "y",
    Unit.HOUR: "h",
    Unit.WORKHOUR: "wh",
}
_SHORT_MINUTE = {Unit.HOUR: "min", Unit.WORKHOUR: "wmin"}


def step_ids(steps: Sequence[tuple[str | None, Moment]]) -> list[str]:
    """The id of each step of a ladder, from its written id (if any) and its moment."""
    taken = {written for written, _ in steps if written is not None}
    ids: list[str] = []
    for written, moment in steps:
        step_id = written if written is not None else _free_id(moment, taken)
        taken.add(step_id)
        ids.append(step_id)
    return ids


def _free_id(moment: Moment, taken: Collection[str]) -> str:
    plain = _moment_id(moment)
    if plain not in taken:
        return plain
    timed = plain if moment.at is None else f"{plain}-{moment.at:%H%M}"
    if timed not in taken:
        return timed
    return next(candidate for number in range(2, len(taken) + 3) if (candidate := f"{timed}-{number}") not in taken)


def _moment_id(moment: Moment) -> str:
    if moment.share is not None:
        return f"{moment.anchor}+{float(moment.share * 100):g}pct"
    if moment.offset is None or moment.offset.amount == 0:
        return moment.anchor
    amount, unit = abs(moment.offset.amount), _SHORT[moment.offset.unit]
    if amount.denominator != 1:
        amount, unit = amount * 60, _SHORT_MINUTE[moment.offset.unit]
    sign = "-" if moment.offset.amount < 0 else "+"
    return f"{moment.anchor}{sign}{float(amount):g}{unit}"
