"""Working days and working hours of one office, over holiday data handed in.

A day is decided by the first layer that names it: the administrator's dated days, his yearly days off, holiday
lists of a country, the published notices of the State Council, the statutory baseline of a year that has no
notice yet, and last the hours of the weekday.

Wall-clock times become instants as late as possible. A wall-clock time that occurs twice (clocks put back) means
the first occurrence; one that does not exist (clocks put forward) means the moment of the change. A window
therefore always lasts as long as it really lasted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

Hours = tuple[tuple[int, int], ...]
"""Windows of a day in seconds after its midnight, ascending; an end beyond 86,400 lies in the next night."""


DAY = 86_400
WEEKDAYS = (
    Text("周一", "Mon"),
    Text("周二", "Tue"),
    Text("周三", "Wed"),
    Text("周四", "Thu"),
    Text("周五", "Fri"),
    Text("周六", "Sat"),
    Text("周日", "Sun"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BARREN_YEARS = 30  # after so many years without an open day nobody comes to work any more


class CountError(ValueError):
    """A date or instant that cannot be reached: the end of the calendar, or an office that never opens."""

    def __init__(self, message: Text) -> None:
        super().__init__(message.en)
        self.message = message


@dataclass(frozen=True, slots=True)
class _Year:
    """What one year (by the local date on which a window opens) amounts to, for counting without stepping.

    Times are microseconds since 1970 UTC; `before[i]` is the working time of the year before window i.
    """

    opens: tuple[int, ...]
    before: tuple[int, ...]
    total: int

    def elapsed(self, at: int) -> int:
        """Working time of this year up to that instant."""
        index = bisect_right(self.opens, at) - 1
        if index < 0:
            return 0
        length = (self.before[index + 1] if index + 1 < len(self.before) else self.total) - self.before[index]
        return self.before[index] + min(at - self.opens[index], length)

    def forward(self, elapsed: int) -> int:
        """The earliest instant at which so much (more than nothing) has elapsed."""
        index = bisect_left(self.before, elapsed) - 1
        return self.opens[index] + elapsed - self.before[index]

    def backward(self, elapsed: int) -> int:
        """The latest instant at which so much (less than all) has elapsed."""
        index = bisect_right(self.before, elapsed) - 1
        return self.opens[index] + elapsed - self.before[index]


@dataclass(frozen=True, slots=True)
class Calendar:
    """When one office works.

    `weekly` gives the hours of each weekday (0 is Monday); a weekday without hours is a day off. `days_on` and
    `days_off` are the administrator's dated days; a day on without hours of its own has the hours of the first
    weekday that has any. `lists` and `baseline` are asked for a year when it is needed. Days before `known_from`
    or after `known_until` are provisional; None means no such bound.
    """

    name: str
    zone: ZoneInfo
    weekly: Mapping[int, Hours]
    days_on: Mapping[date, Hours | None] = field(default_factory=dict[date, Hours | None])
    days_off: Mapping[date, Text] = field(default_factory=dict[date, Text])
    yearly_off: Mapping[tuple[int, int], Text] = field(default_factory=dict[tuple[int, int], Text])
    lists: tuple[Callable[[int], Mapping[date, Text]], ...] = ()
    notice_on: Mapping[date, Text] = field(default_factory=dict[date, Text])
    notice_off: Mapping[date, Text] = field(default_factory=dict[date, Text])
    baseline: Callable[[int], Mapping[date, Text]] | None = None
    known_from: date | None = None
    known_until: date | None = None
    # Remembered results of the pure functions below: the value itself never changes.
    _years: dict[int, _Year] = field(default_factory=dict[int, _Year], init=False, repr=False, compare=False)
    _workdays: dict[int, tuple[int, ...]] = field(
        default_factory=dict[int, tuple[int, ...]], init=False, repr=False, compare=False
    )

    # --- which days are worked --------------------------------------------------------------------------------

    def is_workday(self, day: date) -> bool:
        """Whether the office works on that day."""
        return bool(self.hours(day))

    def hours(self, day: date) -> Hours:
        """The hours of that day as the wall clock shows them; empty on a day off."""
        if day in self.days_on:
            own = self.days_on[day]
            return self._usual_hours() if own is None else own
        if self._holiday(day) is not None:
            return ()
        weekly = self.weekly.get(day.weekday(), ())
        return weekly or (self._usual_hours() if day in self.notice_on else ())

    def _holiday(self, day: date) -> Text | None:
        """The name of the day off, by the first layer that names the day; None if only the weekday decides."""
        if name := self.days_off.get(day) or self.yearly_off.get((day.month, day.day)):
            return name
        for holidays in self.lists:
            if name := holidays(day.year).get(day):
                return name
        if day in self.notice_on:
            return None
        if name := self.notice_off.get(day):
            return name
        return self.baseline(day.year).get(day) if self.baseline and self.is_provisional(day) else None

    def _usual_hours(self) -> Hours:
        return next((self.weekly[weekday] for weekday in range(7) if self.weekly.get(weekday)), ())

    def is_provisional(self, day: date) -> bool:
        """Whether no published notice covers that day, so that it may still become a day off or on."""
        early = self.known_from is not None and day < self.known_from
        return early or (self.known_until is not None and day > self.known_until)

    def day_off_name(self, day: date) -> Text | None:
        """Why the office is closed on that day: the holiday, or the weekday; None on a working day."""
        if self.is_workday(day):
            return None
        return self._holiday(day) or WEEKDAYS[day.weekday()]

    def make_up_name(self, day: date) -> Text | None:
        """For which holiday that day is worked though its weekday is off; None for any other day."""
        if not self.is_workday(day) or self.weekly.get(day.weekday()):
            return None
        return self.notice_on.get(day, Text("指定的工作日", "appointed working day"))

    # --- working days, counted --------------------------------------------------------------------------------

    def next_workday(self, day: date) -> date:
        """That day if it is a working day, else the next one. Raises CountError if there is none."""
        return day if self.is_workday(day) else self.add_workdays(day, 1)

    def previous_workday(self, day: date) -> date:
        """That day if it is a working day, else the one before. Raises CountError if there is none."""
        return day if self.is_workday(day) else self.add_workdays(day, -1)

    def add_workdays(self, day: date, n: int) -> date:
        """The n-th working day after that day, which itself does not count; before it if n is negative.

        Nought gives the day itself. Raises CountError beyond the years 1 to 9999 or where no work is done.
        """
        if n == 0:
            return day
        return self._workday_after(day, n) if n > 0 else self._workday_before(day, -n)

    def _workday_after(self, day: date, n: int) -> date:
        skip = bisect_right(self._workdays_of(day.year), day.toordinal())
        barren = 0
        for year in range(day.year, 10_000):
            days = self._workdays_of(year)
            if skip + n <= len(days):
                return date.fromordinal(days[skip + n - 1])
            n -= len(days) - skip
            skip = 0
            barren = 0 if days else barren + 1
            if barren > _BARREN_YEARS:
                raise self._never_open(day)
        raise beyond_the_years()

    def _workday_before(self, day: date, n: int) -> date:
        count = bisect_left(self._workdays_of(day.year), day.toordinal())
        barren = 0
        for year in range(day.year, 0, -1):
            days = self._workdays_of(year)
            count = count if year == day.year else len(days)
            if n <= count:
                return date.fromordinal(days[count - n])
            n -= count
            barren = 0 if days else barren + 1
            if barren > _BARREN_YEARS:
                raise self._never_open(day)
        raise beyond_the_years()

    def workdays_between(self, first: date, last: date) -> int:
        """Working days after `first` up to and including `last`; negative if `last` is before `first`."""
        if last < first:
            return -self.workdays_between(last, first)
        whole = sum(len(self._workdays_of(year)) for year in range(first.year, last.year))
        before = bisect_right(self._workdays_of(first.year), first.toordinal())
        return whole + bisect_right(self._workdays_of(last.year), last.toordinal()) - before

    def _workdays_of(self, year: int) -> tuple[int, ...]:
        if year not in self._workdays:
            first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
            days = (n for n in range(first, last + 1) if self.is_workday(date.fromordinal(n)))
            self._workdays[year] = tuple(days)
        return self._workdays[year]

    # --- the clock on the wall --------------------------------------------------------------------------------

    def local_day(self, at: datetime) -> date:
        """The date the office's wall calendar shows at that instant."""
        return self._local(at).date()

    def _local(self, at: datetime) -> datetime:
        try:
            return at.astimezone(self.zone)
        except OverflowError:
            raise beyond_the_years() from None

    def instant(self, day: date, clock: time) -> datetime:
        """When the office's clock shows that time on that day, in UTC (first occurrence; moment of the change)."""
        return _instant(datetime.combine(day, clock), self.zone)

    def end_of(self, day: date) -> datetime:
        """The last instant (microsecond) of that day in the office's zone, in UTC. Raises CountError."""
        return _instant(datetime.combine(_next(day), time()), self.zone) - _MICROSECOND

    def windows(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """The half-open working windows that begin on that day, as instants in the office's zone."""
        spans = ((_datetime(a).astimezone(self.zone), _datetime(b).astimezone(self.zone)) for a, b in self._spans(day))
        return tuple(spans)

    def closes_at(self, day: date) -> datetime | None:
        """When the office closes at the end of that day's last window; None on a day off."""
        spans = self._spans(day)
        return _datetime(spans[-1][1]).astimezone(self.zone) if spans else None

    def _spans(self, day: date) -> list[tuple[int, int]]:
        """The windows of a day in microseconds; what the night before still covers, or a gap in time, is left out."""
        hours = self.hours(day)
        if not hours:
            return []
        covered = self._night_before(day)
        spans: list[tuple[int, int]] = []
        for opens, closes in hours:
            start = max(_wall(day, opens, self.zone), covered)
            end = _wall(day, closes, self.zone)
            if start < end:
                spans.append((start, end))
                covered = end
        return spans

    def _night_before(self, day: date) -> int:
        """Until when the windows of the day before reach; they belong to the day they start on."""
        if day == date.min:
            return _microseconds(datetime.min.replace(tzinfo=UTC))
        before = day - timedelta(days=1)
        closes = max((closes for _, closes in self.hours(before)), default=0)
        return _wall(before, max(closes, DAY), self.zone)

    # --- working time, counted --------------------------------------------------------------------------------

    def add_worktime(self, at: datetime, length: timedelta) -> datetime:
        """The instant reached after so much working time, in UTC.

        A start outside the windows begins at the next opening, one exactly at closing too; time used up exactly
        at closing ends at closing. A negative length is the mirror image: a start outside begins at the closing
        before, time used up exactly at an opening ends at that opening. Nought moves nothing.
        Raises CountError where no work is done or beyond the years 1 to 9999.
        """
        start, left = _microseconds(at), length // _MICROSECOND
        if left == 0:
            return at.astimezone(UTC)
        local_year = self._local(at).year
        return (
            self._worktime_after(start, left, local_year)
            if left > 0
            else self._worktime_before(start, -left, local_year)
        )

    def _worktime_after(self, start: int, left: int, local_year: int) -> datetime:
        barren = 0
        for number in range(max(1, local_year - 1), 10_000):  # a night may reach over from the year before
            year = self._year(number)
            done = year.elapsed(start)
            if left <= year.total - done:
                return _datetime(year.forward(done + left))
            left -= year.total - done
            barren = 0 if year.total else barren + 1
            if barren > _BARREN_YEARS:
                raise self._never_open(_datetime(start).date())
        raise beyond_the_years()

    def _worktime_before(self, start: int, left: int, local_year: int) -> datetime:
        barren = 0
        for number in range(local_year, 0, -1):
            year = self._year(number)
            done = year.elapsed(start)
            if left <= done:
                return _datetime(year.backward(done - left))
            left -= done
            barren = 0 if year.total else barren + 1
            if barren > _BARREN_YEARS:
                raise self._never_open(_datetime(start).date())
        raise beyond_the_years()

    def worktime_between(self, first: datetime, last: datetime) -> timedelta:
        """Working time from `first` to `last`; negative if `last` is earlier."""
        if last < first:
            return -self.worktime_between(last, first)
        start, end = _microseconds(first), _microseconds(last)
        years = range(max(1, self._local(first).year - 1), self._local(last).year + 1)
        return sum(self._year(y).elapsed(end) - self._year(y).elapsed(start) for y in years) * _MICROSECOND

    def _year(self, year: int) -> _Year:
        if year not in self._years:
            days = (date.fromordinal(n) for n in self._workdays_of(year))
            spans = [span for day in days for span in self._spans(day)]
            sums = list(accumulate((end - start for start, end in spans), initial=0))
            self._years[year] = _Year(tuple(start for start, _ in spans), tuple(sums[:-1]), sums[-1])
        return self._years[year]

    # --- an office that never opens ---------------------------------------------------------------------------

    def _never_open(self, day: date) -> CountError:
        return CountError(
            Text(
                f"日历“{self.name}”在 {day} 前后 {_BARREN_YEARS} 年内没有工作日，算不出期限",
                f"calendar '{self.name}' has no working day within {_BARREN_YEARS} years of {day}: nothing to count",
            )
        )


def beyond_the_years() -> CountError:
    """There is no such date: years run from 1 to 9999."""
    return CountError(
        Text("超出可计算的年份（公元 1 年至 9999 年）", "outside the years that can be counted (1 to 9999)")
    )


def _next(day: date) -> date:
    if day == date.max:
        raise beyond_the_years()
    return day + timedelta(days=1)


def _wall(day: date, seconds: int, zone: ZoneInfo) -> int:
    """Seconds after the midnight of a day, by the wall clock, as microseconds since 1970."""
    try:
        local = datetime.combine(day, time()) + timedelta(seconds=seconds)
    except OverflowError:
        raise beyond_the_years() from None
    return _microseconds(_instant(local, zone))


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks in the zone show that wall-clock time, or have jumped past it, in UTC."""
    try:
        first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    except OverflowError:
        raise beyond_the_years() from None
    if first <= second:  # unambiguous, or occurring twice: the first
        return first
    low, high = _microseconds(second), _microseconds(first)  # the clocks jumped between these two
    before = _datetime(low).astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if _datetime(middle).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return _datetime(high)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _datetime(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
