"""Limits that begin where another limit of the same policy ends: `start: finish.done`, `start: finish.due`.

They are counted after the one they follow. As long as that one is not done (or cannot be counted, which is told there),
they do not run yet: nothing is missing. Once begun they do not begin anew because the case changed hands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from policies.limits.facts import finding
from policies.model import ObligationState
from policies.same import Same
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Limit, Obligation, Policy, Reason

DONE, DUE = "done", "due"


@dataclass(frozen=True, slots=True)
class LinkedStart:
    """An instant another limit hands on; `provisional` if it may still move because a year's holidays are unknown.

    `kept` when the other limit says it no more.
    """

    at: datetime
    provisional: bool = False
    kept: bool = False


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


class Ran(NamedTuple):
    """A clock of a limit as counted now, and when its holder handed the case on, if he did."""

    obligation: Obligation
    over_at: datetime | None = None

    @property
    def given_away(self) -> bool:
        """Whether it was handed on before it was done or due: it hands nothing on."""
        one, at = self.obligation, self.over_at
        return at is not None and one.state is ObligationState.WITHDRAWN and at <= one.legal_due_at


def handed_on(limit: Limit, clocks: Sequence[Ran]) -> dict[str, LinkedStart]:
    """What `<limit>.done` and `<limit>.due` stand for, given all clocks of that limit.

    The earliest end of them all counts, and stays: a case that changes hands begins nothing anew (条例第三十四条: the
    60 days run from the first acceptance). A clock handed on before it was done or due has no say.
    """
    if not clocks:
        return {}
    due = [one.obligation for one in clocks if not one.given_away] or [clocks[-1].obligation]
    first = min(due, key=lambda one: one.legal_due_at)
    starts = {f"{limit.id}.{DUE}": LinkedStart(first.legal_due_at, first.provisional)}
    done = [one.obligation.done_at for one in clocks if one.obligation.done_at is not None]
    if done:
        starts[f"{limit.id}.{DONE}"] = LinkedStart(min(done))
    return starts


def with_kept(
    limit: Limit,
    linked: Mapping[str, LinkedStart],
    clocks: Mapping[str, Sequence[Ran]],
    before: Sequence[Obligation],
    now: datetime,
) -> Mapping[str, LinkedStart]:
    """The same with the start this limit keeps though the one it follows does not hand it on any more.

    `clocks` are those of each limit counted so far, `before` the obligations of the policy known before.
    """
    mine = next((one for one in before if one.limit == limit.id and not one.instance), None)
    if mine is None:
        return linked
    both = dict(linked)
    for name in filter(is_link, limit.start):
        other = name.rpartition(".")[0]
        kept = _kept(name, clocks.get(other, ()), [one for one in before if one.limit == other], mine, now)
        if kept is not None and (name not in both or kept.at < both[name].at):
            both[name] = kept
    return both


def _kept(
    name: str, clocks: Sequence[Ran], clocks_before: Sequence[Obligation], known: Obligation, now: datetime
) -> LinkedStart | None:
    """The start a limit had from one that says it no more; None where the facts are to be believed as they are now.

    `name` is written as `<limit>.done` or `<limit>.due`; `clocks` are those of that limit now, none when it does not
    apply any more, `clocks_before` the same as known before; `known` is the limit that begins from it. It keeps its
    start when the other stopped applying, and when a hand-over blotted out what had begun it. An end that was taken
    back by the one who still has the case is believed.
    """
    which, at = name.rpartition(".")[2], known.start_at
    before = {one.instance: one.done_at if which == DONE else one.legal_due_at for one in clocks_before}
    if not clocks:
        return LinkedStart(at, known.provisional, kept=True) if at in before.values() else None
    for one, over_at in clocks:
        if one.state is not ObligationState.WITHDRAWN or over_at is None or known.state is ObligationState.WITHDRAWN:
            continue
        if which == DONE and one.start_at <= at < over_at:
            return LinkedStart(at, kept=True)
        if which == DUE and at <= now and before.get(one.instance) == at:
            return LinkedStart(one.legal_due_at, one.provisional, kept=True)
    return None


def goes_on(
    limit: Limit, start_at: datetime, linked: Mapping[str, LinkedStart], place: str, calendar: Calendar
) -> list[Reason]:
    """That it goes on from a start which the limit it follows does not hand on any more."""
    links = ((name, linked.get(name)) for name in limit.start)
    other = next((name for name, link in links if link is not None and link.kept and link.at == start_at), None)
    if other is None:
        return []
    said = instant_of(start_at, calendar)
    zh = f"“{limit.title}”从 {other} 起算，后者已不适用或已转出，起算时间仍为 {said}。"
    en = f"'{limit.id}' began from {other}, which does not apply any more or was handed over: still {said}."
    return [finding(place, start_at, zh, en)]
