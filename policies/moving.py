"""Move a day or an instant by a length, without roll and cut-off; and the moments of a ladder, which are moved so.

Months end on the same day of the month, or on the last day of a shorter one (民法典 202).
"""

from __future__ import annotations

import calendar as gregorian
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING

from policies.calendar import CountError, beyond_the_years
from policies.duration import LONGEST, Duration, Unit, format_duration
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from fractions import Fraction

    from policies.calendar import Calendar
    from policies.duration import Moment

MONTHS = {Unit.MONTH: 1, Unit.YEAR: 12}

_ONE_DAY = timedelta(days=1)


def shift(at: datetime, by: Duration, calendar: Calendar, *, backwards: bool = False) -> datetime:
    """Move an instant by a length, for the steps of a ladder; no roll, no cut-off.

    Day units keep the time of day on the office's clock; hours run on, working hours while the office is open.
    Raises CountError.
    """
    check_length(by)
    amount = -by.amount if backwards else by.amount
    if amount == 0:
        return at.astimezone(UTC)
    try:
        if by.unit is Unit.HOUR:
            return at.astimezone(UTC) + time_of(amount)
        if by.unit is Unit.WORKHOUR:
            return calendar.add_worktime(at, time_of(amount))
        day = day_moved(calendar.local_day(at), Duration(amount, by.unit), calendar)
        return calendar.instant(day, at.astimezone(calendar.zone).time())
    except OverflowError:
        raise beyond_the_years() from None


def moment_at(moment: Moment, anchors: Mapping[str, datetime], calendar: Calendar) -> datetime:
    """The instant a moment means, given the instants of its anchors (`start`, `due`, milestones).

    A day-based offset starts from the anchor's date in the office's zone; `at` is the office's wall clock on the
    day reached. A share lies between the anchors `start` and `due`. Raises CountError if an anchor is missing.
    """
    base = _anchor(anchors, moment.anchor)
    if moment.share is not None:
        way = (_anchor(anchors, "due") - base) // timedelta(microseconds=1)
        base += timedelta(microseconds=round(way * moment.share))
    elif moment.offset is not None:
        base = shift(base, moment.offset, calendar)
    if moment.at is None:
        return base.astimezone(UTC)
    return calendar.instant(calendar.local_day(base), moment.at)


def day_moved(day: date, by: Duration, calendar: Calendar) -> date:
    """The day so many days, working days, months or years from that one, which itself does not count (民法典 201)."""
    if by.unit in MONTHS:
        return _month_moved(day, int(months_of(by)))
    if by.unit is Unit.WORKDAY:
        return calendar.add_workdays(day, int(by.amount))
    return day + int(by.amount) * _ONE_DAY


def months_of(length: Duration) -> Fraction:
    """How many months those months or years are."""
    return length.amount * MONTHS[length.unit]


def time_of(hours: Fraction) -> timedelta:
    """So many hours, to the microsecond."""
    return timedelta(microseconds=round(hours * 3_600_000_000))


def check_length(length: Duration) -> None:
    """Refuse a length beyond all reason. Raises CountError."""
    if abs(length.amount) > LONGEST[length.unit]:
        raise CountError(
            Text(
                f"期限太长：{format_duration(length, 'zh')}",
                f"the period is too long: {format_duration(length, 'en')}",
            )
        )


def _month_moved(day: date, months: int) -> date:
    """The same day so many months on, or the last day of a month that is too short (民法典 202)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise beyond_the_years()
    return date(year, month + 1, min(day.day, gregorian.monthrange(year, month + 1)[1]))


def _anchor(anchors: Mapping[str, datetime], name: str) -> datetime:
    if name not in anchors:
        known = "、".join(anchors) or "—"
        raise CountError(
            Text(
                f"没有节点时间“{name}”，现有：{known}", f"there is no instant '{name}', there is: {', '.join(anchors)}"
            )
        )
    return anchors[name]
