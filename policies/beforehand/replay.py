"""What a case said at each moment of its past, read off what it says now.

A shared database keeps the last state only, but most of that state is dated: a milestone, a movement, an extension
was not there before its instant. So a finished case can be played again as the daemon would have seen it.

What is not dated (kind, level, the present unit of a case without a record of movements) is taken to have been so from
the beginning. A limit somebody set (限办截止时间) lies ahead by its nature: such milestones are `appointed` and taken
to have been known from the beginning too.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from policies.people.holding import holder_at

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from policies.model import Case, Extension, Pause, PolicySet

Facts = tuple[tuple["datetime", "Case"], ...]


def appointed_in(policies: PolicySet) -> frozenset[str]:
    """The milestones these policies read as limits set in advance, not as something that happened."""
    limits = [limit for policy in policies.policies.values() for limit in policy.limits]
    bounds = {bound.milestone for limit in limits for bound in limit.platform_due if bound.after is None}
    return frozenset(bounds.union(*(limit.set_by for limit in limits)))


def history_of(case: Case, appointed: Collection[str], until: datetime) -> Facts:
    """The case from each instant on at which it said something new, in time, up to `until`.

    Empty if nothing had happened by then. A case that is closed was open until the last thing that happened to it.
    """
    happened = sorted({at for at in _instants(case, appointed) if at <= until})
    if not happened:
        return ()
    last = max(_instants(case, appointed))
    told = [(at, _as_of(case, appointed, at, open_still=case.open or at < last)) for at in happened]
    return (told[0], *(after for before, after in pairwise(told) if before[1] != after[1]))


def _instants(case: Case, appointed: Collection[str]) -> list[datetime]:
    """Every instant at which something happened to the case."""
    instants = [at for name, at in case.milestones.items() if name not in appointed]
    instants += [at for series in case.series.values() for at in series]
    instants += [move.at for move in case.transfers]
    instants += [move.decided_at for move in case.transfers if move.decided_at is not None]
    for extension in case.extensions:
        instants += [at for at in (extension.decided_at, extension.petitioner_told_at) if at is not None]
    for pause in case.pauses:
        instants += [at for at in (pause.from_at, pause.to_at) if at is not None]
    return instants


def _as_of(case: Case, appointed: Collection[str], at: datetime, *, open_still: bool) -> Case:
    """What the case said at that instant."""
    series = {name: tuple(one for one in instants if one <= at) for name, instants in case.series.items()}
    milestones = {name: when for name, when in case.milestones.items() if when <= at or name in appointed}
    milestones |= {name: instants[-1] for name, instants in series.items() if instants and name not in milestones}
    transfers = tuple(
        move if move.decided_at is None or move.decided_at <= at else replace(move, decided_at=None, approved_by=None)
        for move in case.transfers
        if move.at <= at
    )
    holder = holder_at(case, at) if case.transfers else None
    return replace(
        case,
        milestones=milestones,
        series={name: instants for name, instants in series.items() if instants},
        transfers=transfers,
        extensions=tuple(known for one in case.extensions if (known := _extension_at(one, at)) is not None),
        pauses=tuple(_pause_at(one, at) for one in case.pauses if one.from_at <= at),
        unit=case.unit if holder is None else holder.unit,
        handler=case.handler if holder is None else holder.official,
        open=open_still,
    )


def _extension_at(extension: Extension, at: datetime) -> Extension | None:
    if extension.decided_at > at:
        return None
    told_at = extension.petitioner_told_at
    return replace(extension, petitioner_told_at=None) if told_at is not None and told_at > at else extension


def _pause_at(pause: Pause, at: datetime) -> Pause:
    return replace(pause, to_at=None) if pause.to_at is not None and pause.to_at > at else pause
