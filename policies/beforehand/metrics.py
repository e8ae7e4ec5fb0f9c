"""Rates as the platforms compute them: what fell due in a period decides, not what was registered in it.

按期答复率 = 按期 / (按期 + 超期 + 未答复 + 超期未答复), each by the day on which the limit ended. A case that falls due
next month and was answered this month is in neither part. Nothing due means no rate, not 0 % and not 100 %.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

NO_RATE = "—"
_HUNDREDTH = Decimal("0.01")


class Outcome(StrEnum):
    """How one limit stands, seen at one instant."""

    ON_TIME = "on_time"  # 按期
    LATE = "late"  # 超期
    OPEN = "open"  # 未答复, the limit has not ended yet
    OPEN_LATE = "open_late"  # 超期未答复


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many."""

    part: int
    whole: int

    @property
    def percent(self) -> Decimal | None:
        """The rate in per cent, to two places, halves upward; None if there is nothing to divide by."""
        if self.whole == 0:
            return None
        return (Decimal(self.part) * 100 / self.whole).quantize(_HUNDREDTH, ROUND_HALF_UP)

    def __str__(self) -> str:
        """`94.53 %`, or a dash if nothing fell due."""
        return NO_RATE if self.percent is None else f"{self.percent} %"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of the limits that ended in a period stand how."""

    counts: Mapping[Outcome, int] = field(default_factory=dict[Outcome, int])

    def __getitem__(self, outcome: Outcome) -> int:
        """How many stand so."""
        return self.counts.get(outcome, 0)

    @property
    def due(self) -> int:
        """Everything that ended in the period: the denominator."""
        return sum(self.counts.values())

    @property
    def on_time_rate(self) -> Rate:
        """按期答复率."""
        return Rate(self[Outcome.ON_TIME], self.due)


def outcome(due_at: datetime, done_at: datetime | None, now: datetime) -> Outcome:
    """How a limit stands at `now`; what is done later than `now` is not done yet. `due_at` is still on time."""
    if done_at is not None and done_at <= now:
        return Outcome.ON_TIME if done_at <= due_at else Outcome.LATE
    return Outcome.OPEN if now <= due_at else Outcome.OPEN_LATE


def tally(limits: Iterable[tuple[datetime, datetime | None]], since: datetime, until: datetime, now: datetime) -> Tally:
    """Count (due_at, done_at) of the limits that end from `since` to before `until`, as they stand at `now`."""
    return Tally(Counter(outcome(due, done, now) for due, done in limits if since <= due < until))
