"""Who stands in for somebody who is away (请假、出差): by the directory's delegations valid at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from policies.model import Delegation, Directory


@dataclass(frozen=True, slots=True)
class StandIn:
    """Who acts for an official at an instant: himself, a substitute, or nobody (None).

    `absences` are the delegations it rests on, the official's own first; `passed` everybody on the way, himself first.
    """

    person: str | None
    passed: tuple[str, ...]
    absences: tuple[Delegation, ...] = ()


def stand_in(official: str, directory: Directory, now: datetime) -> StandIn:
    """Follow the substitutes of substitutes; a circle of them ends with nobody."""
    by_official = _by_official(Same(directory.delegations))
    if official not in by_official:
        return StandIn(official, (official,))
    passed: list[str] = []
    absences: list[Delegation] = []
    person: str | None = official
    while person is not None and person not in passed:
        passed.append(person)
        absence = _absence(by_official.get(person, ()), now)
        if absence is None:
            return StandIn(person, tuple(passed), tuple(absences))
        absences.append(absence)
        person = absence.substitute
    return StandIn(None, tuple(passed), tuple(absences))


def absences_between(official: str, directory: Directory, since: datetime, until: datetime) -> tuple[Delegation, ...]:
    """When that official is away in that time, in the order in which it begins."""
    return tuple(
        absence
        for absence in _by_official(Same(directory.delegations)).get(official, ())
        if (absence.from_at is None or absence.from_at < until) and (absence.to_at is None or absence.to_at > since)
    )


def _absence(known: tuple[Delegation, ...], now: datetime) -> Delegation | None:
    """The one that counts at `now`: of several the one with a substitute, then the one that began last."""
    valid = [
        one for one in known if (one.from_at is None or one.from_at <= now) and (one.to_at is None or now < one.to_at)
    ]
    return max(valid, key=lambda one: (one.substitute is not None, _begin(one)), default=None)


@lru_cache(maxsize=4)
def _by_official(delegations: Same[tuple[Delegation, ...]]) -> Mapping[str, tuple[Delegation, ...]]:
    found: dict[str, list[Delegation]] = {}
    for one in delegations.value:
        found.setdefault(one.official, []).append(one)
    return {official: tuple(sorted(there, key=_begin)) for official, there in found.items()}


def _begin(one: Delegation) -> tuple[float, str, str]:
    since = float("-inf") if one.from_at is None else one.from_at.timestamp()
    return since, one.document or "", one.substitute or ""
