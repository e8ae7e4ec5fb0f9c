"""Count one period of law: start, length, unit, roll, extension, exclusion -> nominal and legal end.

Pure: the calendar is handed in. Every result can tell, step by step, how it was reached.

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

import calendar as gregorian
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from policies.calendar import WEEKDAYS, CountError
from policies.duration import LONGEST, Duration, Unit, format_duration
from policies.model import Cutoff, ExtensionBase, Roll
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from fractions import Fraction

    from policies.calendar import Calendar
    from policies.duration import Moment

__all__ = ["Count", "CountError", "CountStep", "count", "moment_at", "shift"]

LONG_HOLIDAY = 3  # consecutive days off (税收征管法实施细则 109)

_ONE_DAY = timedelta(days=1)
_CLOCK = frozenset({Unit.HOUR, Unit.WORKHOUR})
_MONTHS = {Unit.MONTH: 1, Unit.YEAR: 12}


# (unit, direction) -> how the last day is called
_LAST_DAY = {
    (Unit.DAY, 1): ("第 {n} 日", "day {n}"),
    (Unit.DAY, -1): ("倒推第 {n} 日", "day {n}, counting back"),
    (Unit.WORKDAY, 1): ("第 {n} 个工作日", "working day {n}"),
    (Unit.WORKDAY, -1): ("倒推第 {n} 个工作日", "working day {n}, counting back"),
    (Unit.MONTH, 1): ("{n} 个月后的对应日", "the same day {n} month(s) later"),
    (Unit.MONTH, -1): ("{n} 个月前的对应日", "the same day {n} month(s) earlier"),
    (Unit.YEAR, 1): ("{n} 年后的对应日", "the same day {n} year(s) later"),
    (Unit.YEAR, -1): ("{n} 年前的对应日", "the same day {n} year(s) earlier"),
}


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
    excluded: Sequence[tuple[datetime, datetime]] = (),
    again: Duration | None = None,
    words: bool = True,
) -> Count:
    """Count a period from an aware instant; a negative length counts backwards.

    An extension in the same unit is added to the length, so that months keep the anchor day of the start; one in
    another unit is counted from the nominal (or rolled) last day. `roll` and `cutoff` concern day units only.
    `again` is how much later a return of the period ends (每月答复): added in the same way, so that the 30th of one
    month is followed by the 30th of the next, whatever the months between are like. Without `words` the result cannot
    tell how it was reached, and takes half the time.

    Raises CountError: a length of nought, an extension or return that is negative or of a backward period, an excluded
    interval that ends before it begins, or an end beyond the years 1 to 9999.
    """
    _check(within, excluded)
    for more in (extension, again):
        if more is not None:
            _check_more(more, within)
    try:
        counting = _Counting(calendar, roll, cutoff, _merged(excluded), backwards=within.amount < 0, words=words)
        return counting.run(start_at, within, extension, extension_from, again)
    except OverflowError:
        raise _beyond() from None


def shift(at: datetime, by: Duration, calendar: Calendar, *, backwards: bool = False) -> datetime:
    """Move an instant by a length, for the steps of a ladder; no roll, no cut-off.

    Day units keep the time of day on the office's clock; hours run on, working hours while the office is open.
    Raises CountError.
    """
    _check_length(by)
    amount = -by.amount if backwards else by.amount
    if amount == 0:
        return at.astimezone(UTC)
    try:
        if by.unit is Unit.HOUR:
            return at.astimezone(UTC) + _timedelta(amount)
        if by.unit is Unit.WORKHOUR:
            return calendar.add_worktime(at, _timedelta(amount))
        day = _day_moved(calendar, calendar.local_day(at), Duration(amount, by.unit))
        return calendar.instant(day, at.astimezone(calendar.zone).time())
    except OverflowError:
        raise _beyond() from None


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


# --- one count ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _End:
    """Where a leg of the period ends: a day, or an instant for hours."""

    at: datetime
    day: date | None = None


@dataclass(frozen=True, slots=True)
class _Leg:
    """One length on the way: the period itself, its extension, or the way to a later return of it."""

    length: Duration
    from_rolled: bool = False
    again: bool = False


class _Counting:
    """One run of `count`: the rules in force, and the sentences said on the way."""

    def __init__(
        self,
        calendar: Calendar,
        roll: Roll,
        cutoff: Cutoff,
        excluded: Sequence[tuple[datetime, datetime]],
        *,
        backwards: bool,
        words: bool,
    ) -> None:
        self.calendar = calendar
        self.roll = roll
        self.cutoff = cutoff
        self.excluded = excluded
        self.sign = -1 if backwards else 1
        self.off_days = _whole_days(excluded, calendar)
        self.words = words
        self.steps: list[CountStep] = []
        self.provisional = False

    def run(
        self,
        start_at: datetime,
        within: Duration,
        extension: Duration | None,
        extension_from: ExtensionBase,
        again: Duration | None,
    ) -> Count:
        if self.words:
            self._say_start(start_at, within)
        begins = base = _End(start_at)
        nominal: _End | None = None
        for leg in self._legs(start_at, within, extension, extension_from, again):
            if nominal is not None:
                if leg.from_rolled:
                    begins = base = self._rolled(begins, nominal)
                self._say(base.at, *_leg_words(leg))
            base = nominal = self._leg(base, leg.length)
        legal = self._rolled(begins, base)
        if self.provisional:
            self._say_provisional(legal.at)
        return Count(
            base.at.astimezone(UTC),
            legal.at.astimezone(UTC),
            self.provisional,
            tuple(self.steps),
            base.day,
            legal.day,
        )

    def _legs(
        self,
        start_at: datetime,
        within: Duration,
        extension: Duration | None,
        extension_from: ExtensionBase,
        again: Duration | None,
    ) -> list[_Leg]:
        """The lengths to go one after the other; months go in one, so that they keep the anchor day (民法典 202)."""
        legs = [_Leg(within)]
        if extension is not None:
            legs.append(_Leg(extension, from_rolled=extension_from is ExtensionBase.ROLLED))
        if again is not None:
            legs.append(_Leg(again, again=True))
        joined = legs[:1]
        for leg in legs[1:]:
            before = joined[-1]
            if leg.from_rolled or before.length.unit not in _MONTHS or leg.length.unit not in _MONTHS:
                joined.append(leg)
                continue
            whole = Duration(_months(before.length) + _months(leg.length), Unit.MONTH)
            joined[-1] = replace(before, length=whole)
            self._say(start_at, *_more_words(leg, "与原期限合并，自起算日计", "added to the period"))
        return joined

    # --- the nominal end

    def _leg(self, base: _End, length: Duration) -> _End:
        if length.unit in _CLOCK:
            return self._clock_leg(base, length)
        first = base.day or self.calendar.local_day(base.at)
        if length.unit is Unit.WORKDAY:
            last = self._workday_leg(first, int(length.amount))
            self._use(first, last)
        else:
            last = self._skip_excluded(first, _day_moved(self.calendar, first, length))
        self._use(last, last)
        end = self._end(last)
        if self.words:
            self._say_last_day(first, last, length, end.at)
        return end

    def _workday_leg(self, first: date, amount: int) -> date:
        done, last = first, self.calendar.add_workdays(first, amount)
        while passed := self._excluded_workdays(done, last):
            self._say_excluded(len(passed), last, workdays=True)
            done, last = last, self.calendar.add_workdays(last, self.sign * len(passed))
        return last

    def _excluded_workdays(self, done: date, last: date) -> list[date]:
        return [day for day in self._excluded_days(done, last) if self.calendar.is_workday(day)]

    def _excluded_days(self, done: date, last: date) -> list[date]:
        """The excluded days after `done` up to `last`, in the direction of the count."""
        low, high = (done + _ONE_DAY, last) if self.sign > 0 else (last, done - _ONE_DAY)
        return _days_within(self.off_days, low, high)

    def _skip_excluded(self, first: date, last: date) -> date:
        """Move the last day on by as many days as were excluded on the way, and by those met while moving."""
        done = first
        while passed := self._excluded_days(done, last):
            self._say_excluded(len(passed), last, workdays=False)
            done, last = last, last + self.sign * len(passed) * _ONE_DAY
        return last

    def _clock_leg(self, base: _End, length: Duration) -> _End:
        amount = _timedelta(length.amount)
        if length.unit is Unit.WORKHOUR:
            end = self._run_clock(base.at, amount, self.calendar.add_worktime, self.calendar.worktime_between)
            self._use(self.calendar.local_day(base.at), self.calendar.local_day(end))
        else:
            end = self._run_clock(
                base.at.astimezone(UTC), amount, lambda at, by: at + by, lambda first, last: last - first
            )
        if self.words:
            self._say_clock(end, length)
        return _End(end)

    def _run_clock(
        self,
        at: datetime,
        left: timedelta,
        add: Callable[[datetime, timedelta], datetime],
        between: Callable[[datetime, datetime], timedelta],
    ) -> datetime:
        """Spend the time between the excluded intervals; time used up exactly where one begins ends there."""
        for low, high in self.excluded if self.sign > 0 else reversed(self.excluded):
            near, far = (low, high) if self.sign > 0 else (high, low)
            if (far - at) * self.sign <= timedelta(0):
                continue  # over before we came
            free = between(at, near) if (near - at) * self.sign > timedelta(0) else timedelta(0)
            if abs(left) <= abs(free):
                break
            left -= free
            at = far
            self._say(
                far,
                f"不计入：{_minute(low, self.calendar)} 至 {_minute(high, self.calendar)}。",
                f"Excluded: {_minute(low, self.calendar)} to {_minute(high, self.calendar)}.",
            )
        return add(at, left)

    # --- the legal end

    def _rolled(self, base: _End, nominal: _End) -> _End:
        if nominal.day is None:
            return nominal
        day = nominal.day
        if self.roll is Roll.NONE:
            if self.words:
                self._say_cutoff(nominal)
            return nominal
        if self.roll is Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS:
            day = self._past_long_holidays(base.day or self.calendar.local_day(base.at), day)
        rolled = self.calendar.next_workday(day) if self.sign > 0 else self.calendar.previous_workday(day)
        self._use(day, rolled)
        end = self._end(rolled)
        if self.words:
            self._say_roll(day, rolled, end.at)
            self._say_cutoff(end)
        return end

    def _past_long_holidays(self, first: date, last: date) -> date:
        """Add the holidays of three days and more that lie wholly inside the period (the last day's own rolls)."""
        added = 0
        while True:
            end = last + self.sign * added * _ONE_DAY
            self._use(first, end)
            runs = self._long_holidays(first, end)
            total = sum(len(run) for run in runs)
            if total == added:
                break
            added = total
        for run in runs:
            name = self.calendar.day_off_name(run[0])
            zh, en = _named(name)
            self._say(
                self._end(end).at,
                f"期限内有连续 {len(run)} 天假期{zh}（{min(run)} 至 {max(run)}），顺延 {len(run)} 天。",
                f"{len(run)} consecutive days off{en} inside the period ({min(run)} to {max(run)}) are added.",
            )
        return end

    def _long_holidays(self, first: date, last: date) -> list[list[date]]:
        runs: list[list[date]] = []
        run: list[date] = []
        day = first
        while day != last:
            day += self.sign * _ONE_DAY
            if not self.calendar.is_workday(day):
                run.append(day)
                continue
            if len(run) >= LONG_HOLIDAY:
                runs.append(run)
            run = []
        return runs

    def _end(self, day: date) -> _End:
        """The last instant of that day that is still on time."""
        closes = self.calendar.closes_at(day) if self.cutoff is Cutoff.OFFICE else None
        return _End(self.calendar.end_of(day) if closes is None else closes, day)

    def _use(self, first: date, last: date) -> None:
        """Note that the days between these two were looked up."""
        self.provisional = self.provisional or self.calendar.is_provisional(first) or self.calendar.is_provisional(last)

    # --- sentences

    def _say(self, at: datetime, zh: str, en: str) -> None:
        if self.words:
            self.steps.append(CountStep(Text(zh, en), at.astimezone(UTC)))

    def _say_start(self, start_at: datetime, within: Duration) -> None:
        local = start_at.astimezone(self.calendar.zone)
        day_zh, day_en = _zh(local.date()), _en(local.date())
        if within.unit is Unit.HOUR:
            self._say(start_at, f"自 {day_zh} {local:%H:%M:%S} 起算。", f"Runs from {day_en} {local:%H:%M:%S}.")
            return
        if within.unit is Unit.WORKHOUR:
            self._say(
                start_at,
                f"自 {day_zh} {local:%H:%M:%S} 起算，非工作时间不计。",
                f"Runs from {day_en} {local:%H:%M:%S}, outside office hours it stands still.",
            )
            return
        side_zh, side_en = ("前一日", "the day before") if self.sign < 0 else ("次日", "the next day")
        self._say(
            start_at,
            f"起算日 {day_zh}不计入，自{side_zh}开始。",
            f"The day of the start, {day_en}, does not count; counting begins with {side_en}.",
        )

    def _say_last_day(self, first: date, last: date, length: Duration, at: datetime) -> None:
        zh, en = (word.replace("{n}", str(abs(length.amount))) for word in _LAST_DAY[length.unit, self.sign])
        self._say(at, f"{zh}：{_zh(last)}。", f"{en}: {_en(last)}.")
        if length.unit in _MONTHS and not self.off_days and last.day != first.day:
            self._say(
                at,
                f"到期月没有 {first.day} 日，以月末日为届满日。",
                f"That month has no day {first.day}: its last day is the end.",
            )

    def _say_clock(self, end: datetime, length: Duration) -> None:
        zh, en = format_duration(length, "zh"), format_duration(length, "en")
        how_zh, how_en = (
            ("只计工作时间", "in working time")
            if length.unit is Unit.WORKHOUR
            else ("连续计算，夜间和节假日不停", "running through nights and holidays")
        )
        local = end.astimezone(self.calendar.zone)
        self._say(
            end,
            f"{zh}，{how_zh}，至 {_zh(local.date())} {local:%H:%M:%S}。",
            f"{en}, {how_en}, to {_en(local.date())} {local:%H:%M:%S}.",
        )

    def _say_excluded(self, days: int, last: date, *, workdays: bool) -> None:
        unit_zh, unit_en = ("个工作日", "working day(s)") if workdays else ("日", "day(s)")
        moved = "相应顺延" if self.sign > 0 else "相应前移"
        self._say(
            self.calendar.end_of(last),
            f"至 {_zh(last)}期间有 {days} {unit_zh}不计入，{moved}。",
            f"{days} {unit_en} on the way to {_en(last)} do not count and are added.",
        )

    def _say_roll(self, day: date, rolled: date, at: datetime) -> None:
        if day == rolled:
            made_up = self.calendar.make_up_name(day)
            if made_up is not None:
                self._say(
                    at,
                    f"{_zh(day)}是调休工作日（{made_up.zh}），不顺延。",
                    f"{_en(day)} is a make-up working day ({made_up.en}): no roll.",
                )
            return
        zh, en = _named(self.calendar.day_off_name(day))
        if self.sign > 0:
            self._say(
                at,
                f"{_zh(day)}是休息日{zh}，顺延至 {_zh(rolled)}。",
                f"{_en(day)} is a day off{en}: rolled on to {_en(rolled)}.",
            )
        else:
            self._say(
                at,
                f"{_zh(day)}是休息日{zh}，倒推期限提前至 {_zh(rolled)}。",
                f"{_en(day)} is a day off{en}: counting back, moved ahead to {_en(rolled)}.",
            )

    def _say_cutoff(self, end: _End) -> None:
        local = end.at.astimezone(self.calendar.zone)
        if self.cutoff is Cutoff.OFFICE and end.day is not None and self.calendar.closes_at(end.day) is not None:
            self._say(end.at, f"截止于当日下班 {local:%H:%M}。", f"It ends when the office closes, {local:%H:%M}.")
        elif self.cutoff is Cutoff.OFFICE:
            self._say(end.at, "当日不办公，截止于 24:00。", "The office is closed that day: it ends at 24:00.")

    def _say_provisional(self, at: datetime) -> None:
        until = self.calendar.known_until
        self._say(
            at,
            f"涉及的日期超出已公布的放假安排（已知至 {until}），结果暂定，公布后重算。",
            f"Days beyond the published holiday notices (known until {until}) were used: provisional, to be recounted.",
        )


# --- parts --------------------------------------------------------------------------------------------------


def _check(within: Duration, excluded: Sequence[tuple[datetime, datetime]]) -> None:
    _check_length(within)
    if within.amount == 0:
        raise CountError(Text("期限长度不能为 0", "a period cannot have the length 0"))
    for low, high in excluded:
        if high < low:
            raise CountError(
                Text(
                    f"不计入的时段先止后起：{low} 至 {high}",
                    f"an excluded interval ends before it begins: {low}/{high}",
                )
            )


def _check_more(more: Duration, within: Duration) -> None:
    if more.amount <= 0:
        raise CountError(Text("延期长度必须大于 0", "an extension must be longer than 0"))
    if within.amount < 0:
        raise CountError(Text("倒推的期限不能延期", "a period counted backwards cannot be extended"))
    _check_length(more)


def _check_length(length: Duration) -> None:
    if abs(length.amount) > LONGEST[length.unit]:
        raise CountError(
            Text(
                f"期限太长：{format_duration(length, 'zh')}",
                f"the period is too long: {format_duration(length, 'en')}",
            )
        )


def _merged(excluded: Sequence[tuple[datetime, datetime]]) -> tuple[tuple[datetime, datetime], ...]:
    """The intervals in UTC, in order, overlapping ones as one."""
    merged: list[tuple[datetime, datetime]] = []
    for low, high in sorted((low.astimezone(UTC), high.astimezone(UTC)) for low, high in excluded):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        elif low < high:
            merged.append((low, high))
    return tuple(merged)


def _whole_days(excluded: Sequence[tuple[datetime, datetime]], calendar: Calendar) -> tuple[tuple[date, date], ...]:
    """The first and last whole local day of every interval that holds one."""
    days: list[tuple[date, date]] = []
    for low, high in excluded:
        first, last = calendar.local_day(low), calendar.local_day(high) - _ONE_DAY
        if calendar.instant(first, time()) < low:
            first += _ONE_DAY
        if first <= last:
            days.append((first, last))
    return tuple(days)


def _days_within(spans: Sequence[tuple[date, date]], low: date, high: date) -> list[date]:
    """The days of the spans from `low` to `high`, both included."""
    return [
        date.fromordinal(number)
        for first, last in spans
        for number in range(max(first, low).toordinal(), min(last, high).toordinal() + 1)
    ]


def _day_moved(calendar: Calendar, day: date, by: Duration) -> date:
    """The day so many days, working days, months or years from that one."""
    amount = int(by.amount)
    if by.unit is Unit.DAY:
        return day + amount * _ONE_DAY
    if by.unit is Unit.WORKDAY:
        return calendar.add_workdays(day, amount)
    return _month_moved(day, int(_months(by)))


def _month_moved(day: date, months: int) -> date:
    """The same day so many months on, or the last day of a month that is too short (民法典 202)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise _beyond()
    return date(year, month + 1, min(day.day, gregorian.monthrange(year, month + 1)[1]))


def _months(length: Duration) -> Fraction:
    return length.amount * _MONTHS[length.unit]


def _timedelta(hours: Fraction) -> timedelta:
    """Hours as a timedelta, to the microsecond."""
    return timedelta(microseconds=round(hours * 3_600_000_000))


def _anchor(anchors: Mapping[str, datetime], name: str) -> datetime:
    if name not in anchors:
        known = "、".join(anchors) or "—"
        raise CountError(
            Text(
                f"没有节点时间“{name}”，现有：{known}", f"there is no instant '{name}', there is: {', '.join(anchors)}"
            )
        )
    return anchors[name]


def _beyond() -> CountError:
    return CountError(
        Text("超出可计算的年份（公元 1 年至 9999 年）", "outside the years that can be counted (1 to 9999)")
    )


def _leg_words(leg: _Leg) -> tuple[str, str]:
    origin_zh, origin_en = ("顺延后的届满日", "the rolled end") if leg.from_rolled else ("原届满日", "the nominal end")
    return _more_words(leg, f"自{origin_zh}起算", f"counted from {origin_en}")


def _more_words(leg: _Leg, zh: str, en: str) -> tuple[str, str]:
    by_zh, by_en = format_duration(leg.length, "zh"), format_duration(leg.length, "en")
    if leg.again:
        return f"循环再计 {by_zh}，{zh}。", f"Comes again {by_en} on, {en}."
    return f"延期 {by_zh}，{zh}。", f"Extended by {by_en}, {en}."


def _zh(day: date) -> str:
    return f"{day}（{WEEKDAYS[day.weekday()].zh}）"


def _en(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()].en} {day}"


def _minute(at: datetime, calendar: Calendar) -> str:
    return f"{at.astimezone(calendar.zone):%Y-%m-%d %H:%M}"


def _named(name: Text | None) -> tuple[str, str]:
    """The name of a holiday in brackets; nothing for an ordinary weekend, whose weekday is said already."""
    if name is None or name in WEEKDAYS:
        return "", ""
    return f"（{name.zh}）", f" ({name.en})"
