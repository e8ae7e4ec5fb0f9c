"""Lengths of time as an office writes them, and moments relative to a start or a limit.

A length always has a unit: `15 日`, `5 工作日`, `3 月`, `24 小时`, `4 工作小时`, or in English `15 days`,
`5 workdays`, `3 months`, `24 hours`, `4 workhours`. A bare number is an error (domain statement 23).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    from policies.text import Language


class Unit(StrEnum):
    """What a length is counted in."""

    DAY = "day"  # 日, 自然日, 天
    WORKDAY = "workday"  # 工作日
    MONTH = "month"  # 月, 个月
    YEAR = "year"  # 年
    HOUR = "hour"  # 小时, runs through nights and holidays (民法典 201(2))
    WORKHOUR = "workhour"  # 工作小时, only while the office is open


@dataclass(frozen=True, slots=True)
class Duration:
    """A length with its unit. Days, working days, months and years are whole; hours may be fractions (30 分钟)."""

    amount: Fraction
    unit: Unit


@dataclass(frozen=True, slots=True)
class Moment:
    """`due - 3 工作日 09:00`: an anchor, a signed length from it, and a wall-clock time of the office on that day.

    `share` is used instead of `offset` for `start + 50%`: that share of the way from start to due.
    """

    anchor: str
    offset: Duration | None = None
    share: Fraction | None = None
    at: time | None = None


class DurationError(ValueError):
    """A length or moment that cannot be read; `message` says what was found and what to write instead."""

    def __init__(self, message: Text) -> None:
        super().__init__(message.en)
        self.message = message


# Nothing an office decides runs longer than a century; more is a slip of the keyboard.
LONGEST = {
    Unit.DAY: 36_600,
    Unit.WORKDAY: 36_600,
    Unit.MONTH: 1_200,
    Unit.YEAR: 100,
    Unit.HOUR: 880_000,
    Unit.WORKHOUR: 300_000,
}

SAME_DAY = Duration(Fraction(0), Unit.DAY)  # of a limit that ends on the day it starts; only a limit may be so short
NO_LENGTH = Duration(Fraction(0), Unit.HOUR)  # of a limit whose end is set for each case, or not set yet
SAME_DAY_WORDS = ("当日", "当天", "same day")

_WHOLE = frozenset({Unit.DAY, Unit.WORKDAY, Unit.MONTH, Unit.YEAR})
_MINUTE = Fraction(1, 60)
_SECOND = Fraction(1, 3600)

# word -> (unit, how much of it one is)
_WORDS: dict[str, tuple[Unit, Fraction]] = {
    word: (unit, size)
    for unit, size, words in (
        (Unit.DAY, Fraction(1), ("日", "天", "自然日", "day", "calendarday", "naturalday")),
        (Unit.WORKDAY, Fraction(1), ("工作日", "workday", "workingday", "businessday")),
        (Unit.MONTH, Fraction(1), ("月", "month")),
        (Unit.YEAR, Fraction(1), ("年", "year")),
        (Unit.HOUR, Fraction(1), ("小时", "hour")),
        (Unit.HOUR, _MINUTE, ("分钟", "minute")),
        (Unit.HOUR, _SECOND, ("秒", "second")),
        (Unit.WORKHOUR, Fraction(1), ("工作小时", "workhour", "workinghour", "businesshour")),
        (Unit.WORKHOUR, _MINUTE, ("工作分钟", "workminute", "workingminute", "businessminute")),
        (Unit.WORKHOUR, _SECOND, ("工作秒", "worksecond", "workingsecond", "businesssecond")),
    )
    for word in words
}

# what is often written instead of a unit -> what is meant, in both languages
_MEANT: dict[str, tuple[str, str]] = {
    word: meant
    for meant, words in (
        (("日", "days"), ("d",)),
        (("工作日", "workdays"), ("工作天", "上班日", "wd", "bd")),
        (("小时", "hours"), ("h", "hr", "hrs", "钟头", "时")),
        (("工作小时", "workhours"), ("工时", "上班小时", "wh")),
        (("分钟", "minutes"), ("分", "min", "mins")),
    )
    for word in words
}

_NAMES: dict[Unit, tuple[str, str, str]] = {
    Unit.DAY: ("日", "day", "days"),
    Unit.WORKDAY: ("工作日", "workday", "workdays"),
    Unit.MONTH: ("个月", "month", "months"),
    Unit.YEAR: ("年", "year", "years"),
    Unit.HOUR: ("小时", "hour", "hours"),
    Unit.WORKHOUR: ("工作小时", "workhour", "workhours"),
}
_MINUTE_NAMES: dict[Unit, tuple[str, str, str]] = {
    Unit.HOUR: ("分钟", "minute", "minutes"),
    Unit.WORKHOUR: ("工作分钟", "workminute", "workminutes"),
}
_SECOND_NAMES: dict[Unit, tuple[str, str, str]] = {
    Unit.HOUR: ("秒", "second", "seconds"),
    Unit.WORKHOUR: ("工作秒", "worksecond", "workseconds"),
}

_LENGTH = re.compile(r"(?P<sign>[+-]?)\s*(?P<number>[0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(?P<unit>\D*)")
_MOMENT = re.compile(
    r"(?P<anchor>[^\W\d]\w*)\s*"
    r"(?:(?P<sign>[+-])\s*(?P<length>.+?))?\s*"
    r"(?P<clock>(?<!\d)[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?"
)
# 起算、到期 instead of start, due; 前、后 instead of minus and plus, also behind the name of a milestone.
ANCHOR_WORDS = {"起算": "start", "到期": "due", "挂账复查": "review"}
_CHINESE_ANCHOR = re.compile(
    rf"(?P<anchor>{'|'.join(ANCHOR_WORDS)})"
    r"(?:日|当日|当天)?\s*(?:(?:以|之)?(?P<side>[前后])(?=\s*\d)|(?=[+-]|\d|$))"
)
_CHINESE_SIDE = re.compile(r"(?P<anchor>[A-Za-z][A-Za-z0-9_]*)\s*(?:以|之)?(?P<side>[前后])(?=\s*\d)")
_SIGNS = {"前": "-", "后": "+", None: ""}

_WITHIN = re.compile(r"(?:within\b)?\s*(?P<length>.*?)\s*(?:以内|之内|内)?", re.IGNORECASE | re.DOTALL)
_EVERY = re.compile(
    r"(?:every\b|每)\s*(?P<every>.+?)\s*(?:一次)?\s*[,，]?\s*"
    r"(?:up to|at most|最多再?|至多再?|再)\s*(?P<times>[0-9]{1,9})\s*(?:(?:more\s+)?times?|次)",
    re.IGNORECASE,
)

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")


def parse_duration(text: str) -> Duration:
    """Read `15 日`, `-3 工作日`, `1.5 hours` …; spaces are optional, full-width digits and signs are understood.

    Raises DurationError for anything else, above all for a length without a unit.
    """
    plain = _plain(text)
    found = _LENGTH.fullmatch(plain)
    if found is None:
        raise DurationError(
            Text(
                f"“{text}”不是时间长度：应写数字加单位，如 15 日、5 工作日、3 个月、24 小时、4 工作小时、30 分钟",
                f"'{text}' is not a length: write a number and a unit, e.g. 15 days, 5 workdays, 3 months, "
                "24 hours, 4 workhours, 30 minutes",
            )
        )
    number = Fraction(found["number"])
    unit, size = _unit(text, found["number"], found["unit"])
    if unit in _WHOLE and number.denominator != 1:
        raise DurationError(
            Text(
                f"“{text}”：日、工作日、月、年必须是整数；不足一天的请写小时，如 4 工作小时",
                f"'{text}': days, workdays, months and years are whole numbers; for less than a day write hours, "
                "e.g. 4 workhours",
            )
        )
    amount = number * size
    if amount > LONGEST[unit]:
        raise DurationError(
            Text(
                f"“{text}”太长：最多 {format_duration(Duration(Fraction(LONGEST[unit]), unit), 'zh')}",
                f"'{text}' is too long: at most {format_duration(Duration(Fraction(LONGEST[unit]), unit), 'en')}",
            )
        )
    return Duration(-amount if found["sign"] == "-" else amount, unit)


def parse_within(text: str) -> Duration:
    """Read a length where one says how long something may take: also `within 4 workhours` and `4 工作小时内`.

    Raises DurationError.
    """
    found = _WITHIN.fullmatch(_plain(text))
    return parse_duration(text if found is None or not found["length"] else found["length"])


def says_same_day(text: str) -> bool:
    """Whether it reads `当日`, `当天内`, `same day`, as the length of a limit may."""
    found = _WITHIN.fullmatch(_plain(text))
    return found is not None and re.sub(r"\s+", " ", found["length"]).lower() in SAME_DAY_WORDS


def parse_every(text: str) -> tuple[str, int] | None:
    """`every 5 workdays up to 6 times`, `每 5 工作日，最多 6 次`: the length as written and the number; else None."""
    found = _EVERY.fullmatch(_plain(text))
    return None if found is None else (found["every"], int(found["times"]))


def parse_moment(text: str) -> Moment:
    """Read `start`, `due - 3 工作日 09:00`, `due 09:00`, `start + 50%`; any milestone name may be the anchor.

    In Chinese also `到期前 3 工作日 09:00`, `到期当天 09:00`, `起算后 2 日`, `acknowledged_at 后 5 工作日`.

    Raises DurationError.
    """
    plain = _english_anchor(_plain(text))
    found = _MOMENT.fullmatch(plain)
    if found is None:
        raise DurationError(
            Text(
                f"“{text}”不是时刻：应写 start、due、due - 3 工作日 09:00（到期前 3 工作日 09:00）、"
                "due + 1 工作日 09:00、start + 50% 之类",
                f"'{text}' is not a moment: write start, due, due - 3 workdays 09:00, due + 1 workday 09:00, "
                "start + 50% or the like",
            )
        )
    clock = _clock(text, found["clock"]) if found["clock"] else None
    if found["length"] is None:
        return Moment(found["anchor"], at=clock)
    if share := _SHARE.fullmatch(found["length"]):
        return Moment(found["anchor"], share=_share(text, found["anchor"], found["sign"], share[1]), at=clock)
    offset = parse_duration(found["length"])
    if offset.amount < 0 or found["length"][0] in "+-":
        raise DurationError(Text(f"“{text}”有两个正负号", f"'{text}' has two signs"))
    return Moment(
        found["anchor"], Duration(-offset.amount if found["sign"] == "-" else offset.amount, offset.unit), at=clock
    )


def format_duration(duration: Duration, language: Language) -> str:
    """The length as an office would write it; `parse_duration` reads it back."""
    amount, names = duration.amount, _NAMES[duration.unit]
    if amount.denominator != 1 and duration.unit in _MINUTE_NAMES:
        amount, names = amount * 60, _MINUTE_NAMES[duration.unit]
        if (amount * 60).denominator == 1 and amount.denominator != 1:
            amount, names = amount * 60, _SECOND_NAMES[duration.unit]
    zh, one, many = names
    number = _decimal(amount)
    return f"{number} {zh}" if language == "zh" else f"{number} {one if abs(amount) == 1 else many}"


def limit_words(length: Duration) -> Text:
    """The length of a limit as an office would say it; 当日 for one that ends on the day it starts."""
    if length == SAME_DAY:
        return Text("当日", "same day")
    return Text(format_duration(length, "zh"), format_duration(length, "en"))


def format_moment(moment: Moment, language: Language) -> str:
    """The moment as it is written in a policy; `parse_moment` reads it back."""
    parts = [moment.anchor]
    if moment.share is not None:
        parts += ["+", f"{_decimal(moment.share * 100)}%"]
    elif moment.offset is not None:
        size = Duration(abs(moment.offset.amount), moment.offset.unit)
        parts += ["-" if moment.offset.amount < 0 else "+", format_duration(size, language)]
    if moment.at is not None:
        parts.append(moment.at.strftime("%H:%M:%S" if moment.at.second else "%H:%M"))
    return " ".join(parts)


def _english_anchor(plain: str) -> str:
    found = _CHINESE_ANCHOR.match(plain) or _CHINESE_SIDE.match(plain)
    if found is None:
        return plain
    anchor = ANCHOR_WORDS.get(found["anchor"], found["anchor"])
    return f"{anchor} {_SIGNS[found['side']]} {plain[found.end() :].strip()}".strip()


def _plain(text: str) -> str:
    """Full-width forms made narrow, typographic minus signs made plain."""
    narrow = unicodedata.normalize("NFKC", text)
    return re.sub("[\N{MINUS SIGN}\N{EN DASH}\N{EM DASH}]", "-", narrow).strip()


def _unit(text: str, number: str, written: str) -> tuple[Unit, Fraction]:
    word = re.sub(r"[\s_]", "", written).lower().removeprefix("个")
    if word in _WORDS:
        return _WORDS[word]
    if word.endswith("s") and word[:-1] in _WORDS:
        return _WORDS[word[:-1]]
    if not word:
        raise DurationError(
            Text(
                f"“{text}”没有写单位：请写 {number} 日（自然日）、{number} 工作日或 {number} 小时",
                f"'{text}' has no unit: write {number} days (natural days), {number} workdays or {number} hours",
            )
        )
    if word in {"周", "星期", "礼拜", "week", "weeks"}:
        days = _decimal(Fraction(number) * 7)
        raise DurationError(
            Text(
                f"“{text}”：不用周作单位，请写 {days} 日",
                f"'{text}': weeks are not a unit here, write {days} days",
            )
        )
    meant = _MEANT.get(word)
    raise DurationError(
        Text(
            f"“{text}”的单位“{written.strip()}”不认识：应为 日、工作日、月、年、小时、工作小时、分钟、工作分钟之一"
            + ("" if meant is None else f"，是不是想写“{number} {meant[0]}”？"),
            f"'{text}': unknown unit '{written.strip()}', expected days, workdays, months, years, hours, workhours, "
            "minutes or workminutes" + ("" if meant is None else f"; did you mean '{number} {meant[1]}'?"),
        )
    )


def _clock(text: str, written: str) -> time:
    hours, _, rest = written.partition(":")
    try:
        return time.fromisoformat(f"{hours:0>2}:{rest}")
    except ValueError:
        raise DurationError(
            Text(
                f"“{text}”：“{written}”不是钟点，应为 00:00 到 23:59",
                f"'{text}': '{written}' is not a time of day, expected 00:00 to 23:59",
            )
        ) from None


def _share(text: str, anchor: str, sign: str, percent: str) -> Fraction:
    share = Fraction(percent) / 100
    if anchor != "start" or sign != "+" or share > 1:
        raise DurationError(
            Text(
                f"“{text}”：百分比只能写成 start + 0% 到 start + 100%",
                f"'{text}': a percentage is written start + 0% to start + 100%",
            )
        )
    return share


def _decimal(number: Fraction) -> str:
    """The number without exponent or needless zeros; exact wherever it was written with decimals."""
    if number.denominator == 1:
        return str(number.numerator)
    return f"{float(number):.9f}".rstrip("0").rstrip(".")
