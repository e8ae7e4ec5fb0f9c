"""How the clocks of one limit are told apart by people: `notify`, `notify.2` (the second holder, the second return)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

FIRST = ""  # how the obligation of the only or the first clock is named
_NUMBER = re.compile(r"[1-9][0-9]{0,3}(\.[1-9][0-9]{0,3})?")


def instance_named(written: str, limits: Container[str]) -> tuple[str, str] | None:
    """The limit and the instance that are meant: `notify.2`; `notify.1` is the first. None if there is no number."""
    if written in limits:
        return written, FIRST
    limit, dot, rest = written.partition(".")
    while dot and limit not in limits:
        more, dot, rest = rest.partition(".")
        limit = f"{limit}.{more}"
    if not dot or _NUMBER.fullmatch(rest) is None:
        return None
    return limit, _shortest(rest)


def occurrence_of(instance: str, *, recurs: bool, per_holder: bool) -> int:
    """Which return of a recurring limit it is, 1 being the first; 1 for a limit that does not come again."""
    number = instance.partition(".")[2] if per_holder else instance
    return int(number) if recurs and number.isdigit() else 1


def _shortest(number: str) -> str:
    """As the obligations are named: `1` and `1.1` are the first, `2.1` the first of the second holder."""
    return FIRST if number in {"1", "1.1"} else number.removesuffix(".1") if "." in number else number
