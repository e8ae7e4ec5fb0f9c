"""Intervals that do not count (不计入: hearings, pauses): their whole days for day units, the exact time for hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from policies.calendar import CountError
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from policies.calendar import Calendar

Interval = tuple[datetime, datetime]

_ONE_DAY = timedelta(days=1)


class Excluded(NamedTuple):
    """The intervals in UTC, in order, none touching another; and the first and last whole local day of each."""

    intervals: tuple[Interval, ...] = ()
    days: tuple[tuple[date, date], ...] = ()

    def days_between(self, first: date, last: date) -> list[date]:
        """The excluded days from the first to the last, both included."""
        return [
            date.fromordinal(number)
            for begins, ends in self.days
            for number in range(max(begins, first).toordinal(), min(ends, last).toordinal() + 1)
        ]

    def until(self, at: datetime) -> datetime | None:
        """When the interval ends in which that instant lies; None if it lies in none."""
        return next((high for low, high in self.intervals if low <= at < high), None)

    def spend(
        self,
        at: datetime,
        left: timedelta,
        later: Callable[[datetime, timedelta], datetime],
        between: Callable[[datetime, datetime], timedelta],
    ) -> tuple[datetime, list[Interval]]:
        """Let time pass between the intervals, backwards if negative: the instant reached, and those met on the way.

        Time used up exactly where an interval begins ends there.
        """
        nothing = timedelta(0)
        backwards = left < nothing
        met: list[Interval] = []
        for low, high in reversed(self.intervals) if backwards else self.intervals:
            near, far = (high, low) if backwards else (low, high)
            if far >= at if backwards else far <= at:
                continue  # over before we came
            free = between(at, near) if (near < at if backwards else near > at) else nothing
            if abs(left) <= abs(free):
                break
            left -= free
            at = far
            met.append((low, high))
        return later(at, left), met


def excluded_of(intervals: Iterable[Interval], calendar: Calendar) -> Excluded:
    """The intervals as they are counted: overlapping ones as one. Raises CountError beyond the years 1 to 9999."""
    merged: list[Interval] = []
    for low, high in sorted((low.astimezone(UTC), high.astimezone(UTC)) for low, high in intervals):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        elif low < high:
            merged.append((low, high))
    return Excluded(tuple(merged), tuple(_whole_days(merged, calendar)))


def check_intervals(intervals: Iterable[Interval]) -> None:
    """Refuse an interval that ends before it begins. Raises CountError."""
    for low, high in intervals:
        if high < low:
            raise CountError(
                Text(
                    f"不计入的时段先止后起：{low} 至 {high}",
                    f"an excluded interval ends before it begins: {low}/{high}",
                )
            )


def _whole_days(intervals: Iterable[Interval], calendar: Calendar) -> Iterator[tuple[date, date]]:
    """The first and last whole local day of every interval that holds one."""
    for low, high in intervals:
        first, last = calendar.local_day(low), calendar.local_day(high) - _ONE_DAY
        if calendar.instant(first, time()) < low:
            first += _ONE_DAY
        if first <= last:
            yield first, last
