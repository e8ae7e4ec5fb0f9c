"""Count one period of law: start, length, unit, roll, extension, exclusion -> nominal and legal end.

Pure: the calendar is handed in. The functions stand in the order of the law; what happens on the way is noted as
small values and becomes sentences only if somebody wants to read them (`policies.count_words`).

* Days, working days, months, years: the day of the start does not count (民法典 201(1)); months end on the same
  day of the month, or on the last day of a shorter one (202); the last day rolls off days off (203(1)) and ends
  at 24:00 or when the office closes (203(2)).
* Hours run from the instant of the start through nights and holidays (201(2)) and never roll; working hours run
  only while the office is open.
* A negative length counts backwards. Everything is mirrored so that the result is the *earlier*, safer date: a
  last day off rolls back to the working day before it, and that day too ends at the cut-off.
* Excluded intervals (hearings, pauses) do not count: for day units every whole local day inside one, for hours
  the exact time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from policies.calendar import CountError, beyond_the_years
from policies.count_words import (
    ClosedAlready,
    CutOff,
    ExcludedDays,
    ExcludedTime,
    Extended,
    LastDay,
    LastHour,
    LongHoliday,
    Origin,
    Provisional,
    Returned,
    Rolled,
    ShortMonth,
    Started,
    StoodStill,
)
from policies.duration import SAME_DAY, Duration, Unit
from policies.limits.excluded import Excluded, check_intervals, excluded_of
from policies.model import Cutoff, ExtensionBase, Roll
from policies.moving import MONTHS, check_length, day_moved, months_of, time_of
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.calendar import Calendar
    from policies.count_words import Happening
    from policies.limits.excluded import Interval

__all__ = ["Count", "CountError", "CountStep", "count"]

LONG_HOLIDAY = 3  # consecutive days off (税收征管法实施细则 109)

_HOURS = frozenset({Unit.HOUR, Unit.WORKHOUR})
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CountStep:
    """One sentence of the explanation of a count, with the instant reached."""

    text: Text
    at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """The two ends of a counted period (see `policies.model` for what `*_due_at` means).

    `provisional` is true when a day beyond the last published holiday notice was used. `nominal_day` and
    `legal_day` are the last days by the office's calendar; None when the period ends in hours.
    """

    nominal_due_at: datetime
    legal_due_at: datetime
    provisional: bool
    steps: tuple[CountStep, ...]
    nominal_day: date | None = None
    legal_day: date | None = None


def count(
    start_at: datetime,
    within: Duration,
    calendar: Calendar,
    *,
    roll: Roll = Roll.NEXT_WORKDAY,
    cutoff: Cutoff = Cutoff.MIDNIGHT,
    extension: Duration | None = None,
    extension_from: ExtensionBase = ExtensionBase.NOMINAL,
    excluded: Sequence[Interval] = (),
    again: Duration | None = None,
    same_day: bool = False,
    words: bool = True,
) -> Count:
    """Count a period from an aware instant; a negative length counts backwards.

    An extension in the same unit is added to the length, so that months keep the anchor day of the start; one in
    another unit is counted from the nominal (or rolled) last day. `roll` and `cutoff` concern day units only.
    `again` is how much later a return of the period ends (每月答复): added in the same way, so that the 30th of one
    month is followed by the 30th of the next, whatever the months between are like. With `same_day` a length of
    nought days is the day of the start itself. Without `words` the result cannot tell how it was reached, and takes
    half the time.

    Raises CountError: a length of nought, an extension or return that is negative or of a backward period, an excluded
    interval that ends before it begins, or an end beyond the years 1 to 9999.
    """
    added: list[_Added] = []
    if extension is not None:
        origin = Origin.ROLLED if extension_from is ExtensionBase.ROLLED else Origin.NOMINAL
        added.append(_Added(Extended, extension, origin))
    if again is not None:
        added.append(_Added(Returned, again, Origin.NOMINAL))
    if not (same_day and within == SAME_DAY):
        _check_some(within)
    _check(within, excluded, added)
    try:
        counting = _Counting(calendar, roll, cutoff, excluded, backwards=within.amount < 0)
        nominal, legal = counting.ends(start_at, within, added)
        provisional = counting.is_provisional(legal)
        steps = counting.steps() if words else ()
    except OverflowError:
        raise beyond_the_years() from None
    return Count(nominal.at.astimezone(UTC), legal.at.astimezone(UTC), provisional, steps, nominal.day, legal.day)


class _End(NamedTuple):
    """Where a length ends: on a day, at its last instant that is still on time; or at an instant only, for hours."""

    at: datetime
    day: date | None = None


class _Added(NamedTuple):
    """A length that is added to the period: an extension, or the way to a later return."""

    happens: type[Extended | Returned]
    length: Duration
    origin: Origin


class _Counting:
    """The rules one period is counted by; what happened on the way, and the days looked up in the calendar."""

    def __init__(
        self, calendar: Calendar, roll: Roll, cutoff: Cutoff, excluded: Sequence[Interval], *, backwards: bool
    ) -> None:
        self.calendar = calendar
        self.roll = roll
        self.cutoff = cutoff
        self.backwards = backwards
        self.sign = -1 if backwards else 1
        self.excluded = excluded_of(excluded, calendar) if excluded else Excluded()
        self.happened: list[Happening] = []
        self.looked_up: list[date] = []

    def ends(self, start_at: datetime, within: Duration, added: Sequence[_Added]) -> tuple[_End, _End]:
        """The nominal and the legal end: one length after the other, and the last day rolls."""
        self.happened.append(Started(start_at, within))
        within, added = self._joined(start_at, within, added) if added else (within, added)
        begins = _End(start_at)
        nominal = self._end(begins, within)
        for more in added:
            if more.origin is Origin.ROLLED:
                begins = nominal = self._rolled(begins, nominal)
            self.happened.append(more.happens(nominal.at, more.length, more.origin))
            nominal = self._end(nominal, more.length)
        return nominal, self._rolled(begins, nominal)

    def is_provisional(self, legal: _End) -> bool:
        """Whether a day was looked up that no published holiday notice covers."""
        days = self.looked_up
        if not days or not (self.calendar.is_provisional(min(days)) or self.calendar.is_provisional(max(days))):
            return False
        self.happened.append(Provisional(legal.at))
        return True

    def steps(self) -> tuple[CountStep, ...]:
        """What happened, in sentences."""
        steps: list[CountStep] = []
        for one in self.happened:
            sentence = one.said(self.calendar)
            if sentence is not None:
                steps.append(CountStep(sentence, one.at.astimezone(UTC)))
        return tuple(steps)

    # --- the day of the start does not count (民法典 201(1)), months keep their day (202)

    def _end(self, begins: _End, length: Duration) -> _End:
        """The nominal end of one length."""
        if length.unit in _HOURS:
            return self._hours_later(begins, length)
        first = begins.day or self.calendar.local_day(begins.at)
        last = day_moved(first, length, self.calendar) if length.amount else self._same_day(begins.at, first)
        if self.excluded.days:
            last = self._past_excluded(first, last, length.unit)
        self.looked_up += (first, last) if length.unit is Unit.WORKDAY else (last,)
        end = self._end_of(last)
        self.happened.append(LastDay(end.at, last, length))
        if length.unit in MONTHS and last.day != first.day and not self.excluded.days:
            self.happened.append(ShortMonth(end.at, first.day))
        return end

    def _same_day(self, start_at: datetime, day: date) -> date:
        """The very day it starts on; the next one if the office has closed already."""
        if self._end_of(day).at > start_at:
            return day
        self.happened.append(ClosedAlready(start_at, day))
        return day + _ONE_DAY

    # --- the last day rolls to a working day (民法典 203(1)), and ends at the cut-off (203(2))

    def _rolled(self, begins: _End, nominal: _End) -> _End:
        """The legal end; hours never roll."""
        if nominal.day is None:
            return nominal
        day, end = nominal.day, nominal
        if self.roll is not Roll.NONE:
            if self.roll is Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS:
                day = self._past_long_holidays(begins.day or self.calendar.local_day(begins.at), day)
            to = self.calendar.previous_workday(day) if self.backwards else self.calendar.next_workday(day)
            self.looked_up += (day, to)
            end = nominal if to == nominal.day else self._end_of(to)
            self.happened.append(Rolled(end.at, day, to))
            day = to
        if self.excluded.intervals and not self.backwards:
            day, end = self._where_it_runs(day, end)
        if self.cutoff is Cutoff.OFFICE:
            self.happened.append(CutOff(end.at, day))
        return end

    def _where_it_runs(self, day: date, end: _End) -> tuple[date, _End]:
        """No period ends while it stands still: not before the end of the (working) day on which it runs again."""
        while (until := self.excluded.until(end.at)) is not None:
            day = self.calendar.local_day(until)
            while (end := self._end_of(day if self.roll is Roll.NONE else self.calendar.next_workday(day))).at < until:
                day += _ONE_DAY
            day = end.day or day
            self.looked_up.append(day)
            self.happened.append(StoodStill(end.at, day, until))
        return day, end

    def _end_of(self, day: date) -> _End:
        """The last instant of that day that is still on time: 24:00, or when the office closes if it opens at all."""
        closes_at = self.calendar.closes_at(day) if self.cutoff is Cutoff.OFFICE else None
        return _End(closes_at or self.calendar.end_of(day), day)

    # --- excluded days do not count (不计入): the last day moves on by as many

    def _past_excluded(self, first: date, last: date, unit: Unit) -> date:
        """The last day put off by the excluded days on the way to it, and by those met while moving on."""
        done, workdays = first, unit is Unit.WORKDAY
        while passed := self._excluded_between(done, last, workdays=workdays):
            self.happened.append(ExcludedDays(self.calendar.end_of(last), passed, last, workdays, self.backwards))
            more = self.sign * passed
            done, last = last, self.calendar.add_workdays(last, more) if workdays else last + more * _ONE_DAY
        return last

    def _excluded_between(self, done: date, last: date, *, workdays: bool) -> int:
        """How many excluded days lie after `done` up to `last`, in the direction of the count."""
        low, high = (last, done - _ONE_DAY) if self.backwards else (done + _ONE_DAY, last)
        days = self.excluded.days_between(low, high)
        return sum(map(self.calendar.is_workday, days)) if workdays else len(days)

    # --- extensions (延期), returns (每月答复): months added to months keep the anchor day (民法典 202)

    def _joined(
        self, start_at: datetime, within: Duration, added: Sequence[_Added]
    ) -> tuple[Duration, Sequence[_Added]]:
        """The lengths that are counted one after the other; months after months are counted in one, from the start."""
        apart: list[_Added] = []
        for more in added:
            before = apart[-1].length if apart else within
            if more.origin is Origin.ROLLED or before.unit not in MONTHS or more.length.unit not in MONTHS:
                apart.append(more)
                continue
            whole = Duration(months_of(before) + months_of(more.length), Unit.MONTH)
            if apart:
                apart[-1] = apart[-1]._replace(length=whole)
            else:
                within = whole
            self.happened.append(more.happens(start_at, more.length, Origin.START))
        return within, apart

    # --- hours run through nights and holidays (民法典 201(2)), working hours while the office is open

    def _hours_later(self, begins: _End, length: Duration) -> _End:
        """The instant at which so many hours have passed."""
        hours, calendar = time_of(length.amount), self.calendar
        if length.unit is Unit.WORKHOUR:
            at, met = self.excluded.spend(begins.at, hours, calendar.add_worktime, calendar.worktime_between)
            self.looked_up += (calendar.local_day(begins.at), calendar.local_day(at))
        else:
            at, met = self.excluded.spend(begins.at.astimezone(UTC), hours, add, lambda first, last: last - first)
        for low, high in met:
            self.happened.append(ExcludedTime(low if self.backwards else high, low, high))
        self.happened.append(LastHour(at, length))
        return _End(at)

    # --- long holidays inside the period are added (税收征管法实施细则 109)

    def _past_long_holidays(self, first: date, last: date) -> date:
        """The last day put off by every long holiday inside the period, also by those met while moving on."""
        end, holidays = last, self._long_holidays(first, last)
        while end != (moved := last + self.sign * sum(map(len, holidays)) * _ONE_DAY):
            end, holidays = moved, self._long_holidays(first, moved)
        self.looked_up += (first, end)
        if holidays:
            at = self._end_of(end).at
            self.happened += [LongHoliday(at, days) for days in holidays]
        return end

    def _long_holidays(self, first: date, last: date) -> list[tuple[date, ...]]:
        """Three days off and more in a row, with a working day of the period after them (the last ones only roll)."""
        found: list[tuple[date, ...]] = []
        run: list[date] = []
        day = first
        while day != last:
            day += self.sign * _ONE_DAY
            if not self.calendar.is_workday(day):
                run.append(day)
                continue
            if len(run) >= LONG_HOLIDAY:
                found.append(tuple(run))
            run = []
        return found


# --- what cannot be counted -------------------------------------------------------------------------------------


def _check_some(within: Duration) -> None:
    if not within.amount:
        raise CountError(Text("期限长度不能为 0", "a period cannot have the length 0"))


def _check(within: Duration, excluded: Sequence[Interval], added: Sequence[_Added]) -> None:
    check_length(within)
    check_intervals(excluded)
    for _, length, _ in added:
        if length.amount <= 0:
            raise CountError(Text("延期长度必须大于 0", "an extension must be longer than 0"))
        if within.amount < 0:
            raise CountError(Text("倒推的期限不能延期", "a period counted backwards cannot be extended"))
        check_length(length)
