"""Limits that begin where another limit of the same policy ends: `start: finish.done`, `start: finish.due`.

They are counted after the one they follow. As long as that one is not done (or cannot be counted, which is told there),
they do not run yet: nothing is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.model import ObligationState
from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.model import Limit, Obligation, Policy

DONE, DUE = "done", "due"


@dataclass(frozen=True, slots=True)
class LinkedStart:
    """An instant another limit hands on; `provisional` if it may still move because a year's holidays are unknown."""

    at: datetime
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class InOrder:
    """The enabled limits of a policy, each after those it follows, and the ids of those that follow in a circle.

    `followed` are the ids of the limits that others begin from.
    """

    limits: tuple[Limit, ...]
    followed: frozenset[str] = frozenset()
    circular: frozenset[str] = frozenset()


def in_order(policy: Policy) -> InOrder:
    """In which order the limits of a policy are to be counted."""
    return _in_order(Same(policy))


@lru_cache(maxsize=256)
def _in_order(policy: Same[Policy]) -> InOrder:
    limits = {limit.id: limit for limit in policy.value.limits if limit.enabled}
    waiting = {key: {followed(name, limits) for name in limit.start} - {None} for key, limit in limits.items()}
    every = frozenset(key for keys in waiting.values() for key in keys if key is not None)
    if not every:
        return InOrder(tuple(limits.values()))
    placed: dict[str, Limit] = {}
    while ready := [key for key, after in waiting.items() if key not in placed and after <= placed.keys()]:
        placed.update((key, limits[key]) for key in ready)
    return InOrder(tuple(placed.values()), every, frozenset(limits.keys() - placed.keys()))


def followed(name: str, limits: Mapping[str, object]) -> str | None:
    """The id of the limit that a name under `start` means; None for a milestone or an unknown limit."""
    limit, _, which = name.rpartition(".")
    return limit if which in {DONE, DUE} and limit in limits else None


def is_link(name: str) -> bool:
    """Whether a name under `start` is written as the end of a limit."""
    return name.rpartition(".")[2] in {DONE, DUE} and "." in name


def follows_a_due(limit: Limit) -> bool:
    """Whether it begins where another limit is due: that start moves when the calendar does."""
    return any(is_link(name) and name.endswith(f".{DUE}") for name in limit.start)


def handed_on(limit: Limit, obligations: Sequence[Obligation]) -> dict[str, LinkedStart]:
    """What `<limit>.done` and `<limit>.due` stand for, given all clocks of that limit.

    Of a recurring limit its first end counts, of a limit per holder that of whoever holds the case now.
    """
    if not obligations:
        return {}
    one = obligations[0]
    if limit.recur is None:
        one = next((o for o in reversed(obligations) if o.state is not ObligationState.WITHDRAWN), obligations[-1])
    starts = {f"{limit.id}.{DUE}": LinkedStart(one.legal_due_at, one.provisional)}
    if one.done_at is not None:
        starts[f"{limit.id}.{DONE}"] = LinkedStart(one.done_at)
    return starts
