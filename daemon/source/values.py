"""From what the driver hands over to what a case keeps: one converter per column, compiled once.

A converter takes a raw value and returns the value, or None for "nothing here"; it raises BadValue if the value is
there but cannot be read. Instants come out aware, in UTC.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from daemon.mapping import as_day, means_end_of_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.mapping import Column, SourceMapping
    from policies.model import Scalar

    Convert = Callable[[Any], Scalar]
    ConvertInstant = Callable[[Any], datetime | None]

Converted = TypeVar("Converted")
YES = frozenset({"1", "true", "t", "yes", "y", "on", "是", "有", "\x01"})
NO = frozenset({"0", "false", "f", "no", "n", "off", "否", "无", "\x00"})
WRITTEN_DATE = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[ T]*(\d{1,2})[:：时](\d{1,2})(?:[:：分](\d{1,2})(?:\.\d+)?秒?)?分?)?",
)
SAFE_TO_SHOW = re.compile(r"[\d :/.\-+TZ]{1,26}")
LOOKS_PERSONAL = re.compile(r"1\d{10}|\d{15}|\d{17}[\dXx]")
EPOCH_DIGITS, EPOCH_MS_DIGITS, DAY_DIGITS, SECOND_DIGITS = (9, 10), (12, 13), 8, 14
REMEMBERED, REMEMBERED_LENGTH = 4_096, 64  # values per column, characters per value
LAST_YEAR = 9999  # the last one Python knows
TIME_DIRECTIVES = re.compile("%[HIcXs]")


class BadValue(Exception):
    """A value is there but cannot be used; `reason` says why, without personal content."""

    def __init__(self, reason: str, *, out_of_range: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.out_of_range = out_of_range


@dataclass(frozen=True)
class Reading:
    """What all converters of one mapping share: the zone of bare times, "nothing" values, believable instants."""

    zone: tzinfo
    none_values: tuple[str, ...]
    earliest: datetime
    latest: datetime

    @classmethod
    def of(cls, mapping: SourceMapping, office_zone: ZoneInfo, now: datetime) -> Reading:
        """As the mapping says, at this moment."""
        return cls(
            zone=ZoneInfo(mapping.time_zone) if mapping.time_zone else office_zone,
            none_values=mapping.none_values,
            earliest=datetime(mapping.plausible.since, 1, 1, tzinfo=UTC),
            latest=datetime(min(now.year + mapping.plausible.years_ahead + 1, LAST_YEAR), 1, 1, tzinfo=UTC),
        )


def shown(value: object) -> str:
    """A value as it may stand in a message: dates and short figures as they are, anything else only described."""
    text = _text_of(value)
    if SAFE_TO_SHOW.fullmatch(text) and not LOOKS_PERSONAL.fullmatch(text):
        return f"“{text}”"
    return f"（{len(text)} 个字符的内容）"


def key_text(value: object) -> str | None:
    """A key as text; None if there is none."""
    if value is None:
        return None
    return _text_of(value) or None


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal | float) and _is_whole(value):
        return str(int(value))
    return str(value)


def _is_whole(value: Decimal | float) -> bool:
    return math.isfinite(value) and value == int(value)


# --- instants ----------------------------------------------------------------------------------------------


def instant_converter(name: str, column: Column, reading: Reading) -> ConvertInstant:
    """A converter for a column of instants; `name` decides which end of the day a bare date means."""
    parse = _InstantParser(name, column, reading)
    earliest, latest = reading.earliest, reading.latest

    def convert(raw: Any) -> datetime | None:  # noqa: ANN401 - whatever the driver hands over
        if raw is None:
            return None
        at = parse(raw)
        if at is not None and not earliest <= at <= latest:
            raise BadValue(f"{name}：{shown(raw)}不在可信的年份内", out_of_range=True)
        return at

    return convert


class _InstantParser:
    def __init__(self, name: str, column: Column, reading: Reading) -> None:
        self._name = name
        self._zone: tzinfo = ZoneInfo(column.zone) if column.zone else reading.zone
        self._edge = time.max if means_end_of_day(name, column) else time.min
        self._whole_days = column.type == "date"
        self._epoch = {"epoch": 1, "epoch_ms": 1000}.get(column.format[0]) if column.format else None
        self._formats = tuple((text, not TIME_DIRECTIVES.search(text)) for text in column.format)
        none = reading.none_values if column.none is None else column.none
        self._none_texts = frozenset(_spellings(none))
        self._none_moments = frozenset(
            datetime.combine(day, clock)
            for text in none
            if (day := as_day(text))
            for clock in (time.min, time(23, 59, 59))
        )

    def __call__(self, raw: object) -> datetime | None:
        if isinstance(raw, str):
            return self._from_text(raw)
        if isinstance(raw, datetime):
            return self._from_moment(raw)
        if isinstance(raw, date):
            return self._from_day(raw)
        if isinstance(raw, int | float | Decimal) and not isinstance(raw, bool):
            return self._from_number(raw)
        if isinstance(raw, bytes):
            return self._from_text(_text_of(raw))
        raise BadValue(f"{self._name}：{shown(raw)}不是日期时间")

    def _from_text(self, raw: str) -> datetime | None:
        if raw in self._none_texts:
            return None
        if self._formats:
            return self._from_format(raw.strip())
        try:
            moment = datetime.fromisoformat(raw)
        except ValueError:
            return self._from_written(raw.strip())
        if len(raw) in (10, 8):
            return self._from_day(moment.date())
        return self._from_moment(moment)

    def _from_written(self, text: str) -> datetime | None:
        if text in self._none_texts:
            return None
        if text.isdigit() and text.isascii():
            return self._from_number(int(text))
        match = WRITTEN_DATE.fullmatch(text)
        try:
            if match:
                year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups())
                there = date(year or 0, month or 0, day or 0)
                if hour is None:
                    return self._from_day(there)
                return self._from_moment(datetime.combine(there, time(hour, minute or 0, second or 0)))
            return self._from_moment(datetime.fromisoformat(text))
        except ValueError as error:
            raise BadValue(f"{self._name}：{shown(text)}不是日期时间") from error

    def _from_format(self, text: str) -> datetime | None:
        if text in self._none_texts:
            return None
        if self._epoch and text.isascii() and text.lstrip("-").isdigit():
            return self._from_number(int(text))
        for layout, day_only in self._formats:
            try:
                moment = datetime.strptime(text, layout)  # noqa: DTZ007 - the zone is added below
            except ValueError:
                continue
            return self._from_day(moment.date()) if day_only else self._from_moment(moment)
        raise BadValue(f"{self._name}：{shown(text)}不合格式 {'、'.join(layout for layout, _ in self._formats)}")

    def _from_number(self, raw: float | Decimal) -> datetime | None:
        try:
            digits = len(str(abs(int(raw))))
            if self._epoch:
                return self._from_moment(datetime.fromtimestamp(float(raw) / self._epoch, UTC))
            if digits == SECOND_DIGITS:
                return self._from_moment(datetime.strptime(str(int(raw)), "%Y%m%d%H%M%S"))  # noqa: DTZ007 - below
            if digits == DAY_DIGITS:
                return self._from_day(datetime.strptime(str(int(raw)), "%Y%m%d").date())  # noqa: DTZ007 - a day
            if digits in EPOCH_DIGITS or raw == 0:
                return self._from_moment(datetime.fromtimestamp(float(raw), UTC))
            if digits in EPOCH_MS_DIGITS:
                return self._from_moment(datetime.fromtimestamp(float(raw) / 1000, UTC))
        except (ValueError, OverflowError, OSError) as error:
            raise BadValue(f"{self._name}：{shown(raw)}不是日期时间") from error
        raise BadValue(f"{self._name}：{shown(raw)}不是日期时间")

    def _from_moment(self, moment: datetime) -> datetime | None:
        if moment.tzinfo is None:
            if moment in self._none_moments:
                return None
            moment = moment.replace(tzinfo=self._zone)
        elif moment.replace(tzinfo=None) in self._none_moments:
            return None
        if self._whole_days:
            return self._from_day(moment.astimezone(self._zone).date())
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise BadValue(f"{self._name}：{shown(moment)}不在可信的年份内", out_of_range=True) from error

    def _from_day(self, day: date) -> datetime | None:
        if datetime.combine(day, time.min) in self._none_moments:
            return None
        try:
            return datetime.combine(day, self._edge, self._zone).astimezone(UTC)
        except OverflowError as error:
            raise BadValue(f"{self._name}：{shown(day)}不在可信的年份内", out_of_range=True) from error


def _spellings(none_values: Iterable[str]) -> Iterable[str]:
    """A day that means nothing also stands there with a time of 00:00:00 or 23:59:59."""
    for text in none_values:
        yield text
        if len(text) == len("0000-00-00") and text[4] == "-":
            for clock in ("00:00:00", "23:59:59", "00:00", "00:00:00.000", "00:00:00.000000"):
                yield f"{text} {clock}"
                yield f"{text}T{clock}"


# --- everything else ---------------------------------------------------------------------------------------


def field_converter(name: str, column: Column, reading: Reading) -> Convert:
    """A converter for a field, official, unit …: codes translated, then by the declared type, else as it is."""
    return _remembering(_field_converter(name, column, reading))


def _remembering(convert: Callable[[Any], Converted]) -> Callable[[Any], Converted]:
    """The same, quicker: codes, names of units and flags come again and again, so their results are kept."""
    known: dict[str, Converted] = {}

    def quick(raw: Any) -> Converted:  # noqa: ANN401 - whatever the driver hands over
        if raw.__class__ is not str:  # True and 1 are the same key of a dict, but not the same value
            return convert(raw)
        if raw in known:
            return known[raw]
        value = convert(raw)
        if len(known) < REMEMBERED and len(raw) <= REMEMBERED_LENGTH:
            known[raw] = value
        return value

    return quick


def _field_converter(name: str, column: Column, reading: Reading) -> Convert:
    none = frozenset(reading.none_values if column.none is None else column.none)
    finish = _FINISH.get(column.type or "", _as_it_is)
    instants = instant_converter(name, column, reading)
    if column.type in ("instant", "date") or (column.format and column.type is None):
        return instants
    codes = column.values

    def convert(raw: Any) -> Scalar:  # noqa: ANN401 - whatever the driver hands over
        if raw is None:
            return codes.get("")
        if isinstance(raw, str):
            raw = raw.strip()
        if codes:
            code = _text_of(raw)
            if code in codes:
                return codes[code]
        if isinstance(raw, str) and raw in none:
            return None
        if isinstance(raw, date):
            return instants(raw)
        try:
            return finish(raw)
        except (ValueError, ArithmeticError) as error:
            raise BadValue(f"{name}：{shown(raw)}{_EXPECTED[column.type or 'text']}") from error

    return convert


def text_converter(name: str, column: Column, reading: Reading) -> Callable[[Any], str | None]:
    """A converter for a column that is always text (keys, names, roles)."""
    convert = _field_converter(name, column, reading)

    def as_text(raw: Any) -> str | None:  # noqa: ANN401 - whatever the driver hands over
        value = convert(raw)
        return None if value is None else _text_of(value)

    return _remembering(as_text)


def bool_converter(name: str, column: Column, reading: Reading) -> Callable[[Any], bool | None]:
    """A converter for a column of yes and no."""
    declared = column if column.type == "bool" else column.model_copy(update={"type": "bool"})
    convert = _field_converter(name, declared, reading)

    def as_bool(raw: Any) -> bool | None:  # noqa: ANN401 - whatever the driver hands over
        value = convert(raw)
        return None if value is None else _bool(value)

    return _remembering(as_bool)


def _as_it_is(raw: object) -> Scalar:
    if isinstance(raw, str | int | float):
        return raw
    if isinstance(raw, Decimal):
        return int(raw) if _is_whole(raw) else float(raw)
    return _text_of(raw)


def _number(raw: object) -> Scalar:
    if isinstance(raw, int | float):
        return raw
    number = Decimal(_text_of(raw).strip())
    return int(number) if _is_whole(number) else float(number)


def _bool(raw: object) -> bool:
    text = _text_of(raw).strip().lower()
    if text in YES:
        return True
    if text in NO:
        return False
    raise ValueError(text)


_FINISH: dict[str, Callable[[Any], Scalar]] = {"text": _text_of, "number": _number, "bool": _bool}
_EXPECTED = {"text": "不是文本", "number": "不是数字", "bool": "不是“是/否”（0/1）"}
