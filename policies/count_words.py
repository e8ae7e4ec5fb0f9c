"""What can happen while a period is counted, and how it is said.

`policies.counting` notes these small values on its way; only who wants to read the count asks for the sentences.
Every value knows the instant reached (`at`). They are named tuples because a count that nobody reads makes them too.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from policies.calendar import WEEKDAYS
from policies.duration import Duration, Unit, format_duration
from policies.text import Text

if TYPE_CHECKING:
    from datetime import date, datetime

    from policies.calendar import Calendar


class Happening(Protocol):
    """One thing that happened on the way."""

    @property
    def at(self) -> datetime:
        """The instant reached."""
        ...

    def said(self, calendar: Calendar, /) -> Text | None:
        """The sentence for it; None: not worth one."""
        ...


# --- the start and the nominal end ------------------------------------------------------------------------------


class Started(NamedTuple):
    """The period begins; in day units the day of the start does not count (民法典 201(1))."""

    at: datetime
    length: Duration

    def said(self, calendar: Calendar) -> Text:
        """From which day, or from which second."""
        local = self.at.astimezone(calendar.zone)
        day_zh, day_en = _zh(local.date()), _en(local.date())
        if self.length.unit is Unit.HOUR:
            return Text(f"自 {day_zh} {local:%H:%M:%S} 起算。", f"Runs from {day_en} {local:%H:%M:%S}.")
        if self.length.unit is Unit.WORKHOUR:
            return Text(
                f"自 {day_zh} {local:%H:%M:%S} 起算，非工作时间不计。",
                f"Runs from {day_en} {local:%H:%M:%S}, outside office hours it stands still.",
            )
        if not self.length.amount:
            return Text(f"自 {day_zh}起算，当日届满。", f"Runs from {day_en} and ends the same day.")
        side_zh, side_en = ("前一日", "the day before") if self.length.amount < 0 else ("次日", "the next day")
        return Text(
            f"起算日 {day_zh}不计入，自{side_zh}开始。",
            f"The day of the start, {day_en}, does not count; counting begins with {side_en}.",
        )


class LastDay(NamedTuple):
    """The last day of a length in days, working days, months or years."""

    at: datetime
    day: date
    length: Duration

    def said(self, _calendar: Calendar) -> Text | None:
        """Which day, and that it is the last of so many; nothing for the day of the start itself."""
        number = int(self.length.amount)  # whole in day units
        if not number:
            return None
        zh, en = _LAST_DAY[self.length.unit, number < 0]
        n = abs(number)
        return Text(f"{zh.format(n=n)}：{_zh(self.day)}。", f"{en.format(n=n)}: {_en(self.day)}.")


# (unit, backwards) -> how the last day is called
_LAST_DAY = {
    (Unit.DAY, False): ("第 {n} 日", "day {n}"),
    (Unit.DAY, True): ("倒推第 {n} 日", "day {n}, counting back"),
    (Unit.WORKDAY, False): ("第 {n} 个工作日", "working day {n}"),
    (Unit.WORKDAY, True): ("倒推第 {n} 个工作日", "working day {n}, counting back"),
    (Unit.MONTH, False): ("{n} 个月后的对应日", "the same day {n} month(s) later"),
    (Unit.MONTH, True): ("{n} 个月前的对应日", "the same day {n} month(s) earlier"),
    (Unit.YEAR, False): ("{n} 年后的对应日", "the same day {n} year(s) later"),
    (Unit.YEAR, True): ("{n} 年前的对应日", "the same day {n} year(s) earlier"),
}


class ClosedAlready(NamedTuple):
    """What should end on the day it starts began after the office had closed: it ends on the next day."""

    at: datetime
    day: date

    def said(self, _calendar: Calendar) -> Text:
        """On which day that was."""
        return Text(f"{_zh(self.day)}已下班，次日届满。", f"{_en(self.day)} was over for the office: the next day.")


class ShortMonth(NamedTuple):
    """The month of the end has no such day: its last day is the end (民法典 202)."""

    at: datetime
    missing: int

    def said(self, _calendar: Calendar) -> Text:
        """Which day it has not."""
        return Text(
            f"到期月没有 {self.missing} 日，以月末日为届满日。",
            f"That month has no day {self.missing}: its last day is the end.",
        )


# --- the last day rolls, and ends (民法典 203) ------------------------------------------------------------------


class Rolled(NamedTuple):
    """The last day, and the working day it rolls to: the same if it is one (民法典 203(1))."""

    at: datetime
    day: date
    to: date

    def said(self, calendar: Calendar) -> Text | None:
        """Why it rolls; or that it does not, on a weekend that is worked (调休)."""
        if self.day == self.to:
            made_up = calendar.make_up_name(self.day)
            return None if made_up is None else self._stays(made_up)
        zh, en = _in_brackets(calendar.day_off_name(self.day))
        if self.to > self.day:
            return Text(
                f"{_zh(self.day)}是休息日{zh}，顺延至 {_zh(self.to)}。",
                f"{_en(self.day)} is a day off{en}: rolled on to {_en(self.to)}.",
            )
        return Text(
            f"{_zh(self.day)}是休息日{zh}，倒推期限提前至 {_zh(self.to)}。",
            f"{_en(self.day)} is a day off{en}: counting back, moved ahead to {_en(self.to)}.",
        )

    def _stays(self, made_up: Text) -> Text:
        return Text(
            f"{_zh(self.day)}是调休工作日（{made_up.zh}），不顺延。",
            f"{_en(self.day)} is a make-up working day ({made_up.en}): no roll.",
        )


class StoodStill(NamedTuple):
    """The last day would have ended while the period stood still (中止): it ends on the day on which it runs again."""

    at: datetime
    day: date
    until: datetime

    def said(self, calendar: Calendar) -> Text:
        """Until when it stood still, and where it ends therefore."""
        local = self.until.astimezone(calendar.zone)
        return Text(
            f"届满时期限中止（至 {_zh(local.date())} {local:%H:%M}），恢复计算后于 {_zh(self.day)}届满。",
            f"It stood still when it would have ended (until {_en(local.date())} {local:%H:%M}): "
            f"it ends on {_en(self.day)}.",
        )


class CutOff(NamedTuple):
    """The last day ends when the office closes; at 24:00 if it does not open (民法典 203(2))."""

    at: datetime
    day: date

    def said(self, calendar: Calendar) -> Text:
        """At what time."""
        if calendar.closes_at(self.day) is None:
            return Text("当日不办公，截止于 24:00。", "The office is closed that day: it ends at 24:00.")
        local = self.at.astimezone(calendar.zone)
        return Text(f"截止于当日下班 {local:%H:%M}。", f"It ends when the office closes, {local:%H:%M}.")


# --- what does not count, and what is added ---------------------------------------------------------------------


class ExcludedDays(NamedTuple):
    """So many days on the way to the last day did not count; as many are added."""

    at: datetime
    days: int
    last: date
    workdays: bool
    backwards: bool

    def said(self, _calendar: Calendar) -> Text:
        """How many."""
        unit_zh, unit_en = ("个工作日", "working day(s)") if self.workdays else ("日", "day(s)")
        moved = "相应前移" if self.backwards else "相应顺延"
        return Text(
            f"至 {_zh(self.last)}期间有 {self.days} {unit_zh}不计入，{moved}。",
            f"{self.days} {unit_en} on the way to {_en(self.last)} do not count and are added.",
        )


class ExcludedTime(NamedTuple):
    """An interval that did not count, for hours."""

    at: datetime
    from_at: datetime
    to_at: datetime

    def said(self, calendar: Calendar) -> Text:
        """From when to when."""
        low, high = (f"{at.astimezone(calendar.zone):%Y-%m-%d %H:%M}" for at in (self.from_at, self.to_at))
        return Text(f"不计入：{low} 至 {high}。", f"Excluded: {low} to {high}.")


class Origin(Enum):
    """From where something added is counted."""

    START = ("与原期限合并，自起算日计", "added to the period")
    NOMINAL = ("自原届满日起算", "counted from the nominal end")
    ROLLED = ("自顺延后的届满日起算", "counted from the rolled end")


class Extended(NamedTuple):
    """The period is extended (延期)."""

    at: datetime
    by: Duration
    origin: Origin

    def said(self, _calendar: Calendar) -> Text:
        """By how much, and counted from where."""
        origin_zh, origin_en = self.origin.value
        by_zh, by_en = format_duration(self.by, "zh"), format_duration(self.by, "en")
        return Text(f"延期 {by_zh}，{origin_zh}。", f"Extended by {by_en}, {origin_en}.")


class Returned(NamedTuple):
    """The period comes again (每月答复)."""

    at: datetime
    by: Duration
    origin: Origin

    def said(self, _calendar: Calendar) -> Text:
        """How much later, and counted from where."""
        origin_zh, origin_en = self.origin.value
        by_zh, by_en = format_duration(self.by, "zh"), format_duration(self.by, "en")
        return Text(f"循环再计 {by_zh}，{origin_zh}。", f"Comes again {by_en} on, {origin_en}.")


# --- hours, long holidays, days nobody knows yet ----------------------------------------------------------------


class LastHour(NamedTuple):
    """The end of a length in hours or working hours (民法典 201(2))."""

    at: datetime
    length: Duration

    def said(self, calendar: Calendar) -> Text:
        """To which second."""
        zh, en = format_duration(self.length, "zh"), format_duration(self.length, "en")
        how_zh, how_en = (
            ("只计工作时间", "in working time")
            if self.length.unit is Unit.WORKHOUR
            else ("连续计算，夜间和节假日不停", "running through nights and holidays")
        )
        local = self.at.astimezone(calendar.zone)
        return Text(
            f"{zh}，{how_zh}，至 {_zh(local.date())} {local:%H:%M:%S}。",
            f"{en}, {how_en}, to {_en(local.date())} {local:%H:%M:%S}.",
        )


class LongHoliday(NamedTuple):
    """Three or more days off in a row inside the period (税收征管法实施细则 109), in the direction of the count."""

    at: datetime
    days: tuple[date, ...]

    def said(self, calendar: Calendar) -> Text:
        """Which, and that they are added."""
        zh, en = _in_brackets(calendar.day_off_name(self.days[0]))
        number, first, last = len(self.days), min(self.days), max(self.days)
        return Text(
            f"期限内有连续 {number} 天假期{zh}（{first} 至 {last}），顺延 {number} 天。",
            f"{number} consecutive days off{en} inside the period ({first} to {last}) are added.",
        )


class Provisional(NamedTuple):
    """Days were used that no published holiday notice covers."""

    at: datetime

    def said(self, calendar: Calendar) -> Text:
        """Until when the notices are known."""
        until = calendar.known_until
        return Text(
            f"涉及的日期超出已公布的放假安排（已知至 {until}），结果暂定，公布后重算。",
            f"Days beyond the published holiday notices (known until {until}) were used: provisional, to be recounted.",
        )


def _zh(day: date) -> str:
    return f"{day}（{WEEKDAYS[day.weekday()].zh}）"


def _en(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()].en} {day}"


def _in_brackets(name: Text | None) -> tuple[str, str]:
    """The name of a holiday; nothing for an ordinary weekend, whose weekday is said already."""
    if name is None or name in WEEKDAYS:
        return "", ""
    return f"（{name.zh}）", f" ({name.en})"
