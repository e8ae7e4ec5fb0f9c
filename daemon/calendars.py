"""Build the calendars: the administrator's files over the published notices over the statutory baseline.

Layers, the first that names a day decides: the file > `chinesecalendar` (the State Council's yearly notices,
2004 on) > the statutory days of the `holidays` library for a year whose notice is not out yet (provisional). The
library is imported only when such a year, or the holiday list of a country, is really needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo, available_timezones

from daemon.errors import SettingsError
from policies.calendar import DAY, WEEKDAYS, Calendar, Hours
from policies.errors import PolicyError, Problem
from policies.spelling import did_you_mean
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from policies.errors import KeyPath

__all__ = ["calendar_from", "china", "load_calendars", "read_calendar"]

CHINA = "china"
CHINA_ZONE = "Asia/Shanghai"
_MORNING, _AFTERNOON = (30_600, 43_200), (50_400, 63_000)  # 08:30-12:00, 14:00-17:30
OFFICE_HOURS: Mapping[int, Hours] = dict.fromkeys(range(5), (_MORNING, _AFTERNOON))

_KEYS = ("title", "base", "zone", "hours", "yearly_days_off", "days_off", "days_on", "holidays", "known_until")
_LONGEST_RANGE = timedelta(days=366)


def load_calendars(files: Sequence[Path]) -> dict[str, Calendar]:
    """The calendars of these YAML files by the stem of their file name; `china` is always there.

    Raises SettingsError with every mistake of every file.
    """
    calendars: dict[str, Calendar] = {CHINA: china()}
    mistakes: list[Text] = []
    for path in files:
        try:
            calendars[path.stem] = read_calendar(path)
        except SettingsError as error:
            mistakes += error.problems or (error.message,)
    if mistakes:
        raise SettingsError(
            Text(f"日历文件有 {len(mistakes)} 处错误。", f"{len(mistakes)} mistake(s) in the calendar files"), mistakes
        )
    return calendars


def read_calendar(path: Path) -> Calendar:
    """The calendar of one YAML file, named by the stem. Raises SettingsError with every mistake in it."""
    from daemon.yamlfile import located, read_yaml  # noqa: PLC0415 - a calculation over `china` reads no YAML

    file = read_yaml(path)
    try:
        return calendar_from(path.stem, file.tree)
    except PolicyError as error:
        raise SettingsError(
            Text(f"日历文件 {path} 不能用。", f"the calendar file {path} cannot be used"),
            [located(problem, file) for problem in error.problems],
        ) from None


def calendar_from(name: str, tree: Mapping[str, object]) -> Calendar:
    """The calendar that a parsed file describes. Raises PolicyError with every mistake."""
    reading = _Reading(name, tree)
    calendar = reading.calendar()
    if calendar is None or reading.problems:
        raise PolicyError(tuple(reading.problems))
    return calendar


@cache
def china() -> Calendar:
    """The calendar of Chinese government offices: Shanghai time, weekdays 08:30-12:00 and 14:00-17:30."""
    notices = _notices()
    return Calendar(
        name=CHINA,
        zone=ZoneInfo(CHINA_ZONE),
        weekly=OFFICE_HOURS,
        notice_on=notices.on,
        notice_off=notices.off,
        baseline=statutory_days,
        known_from=notices.first,
        known_until=notices.last,
    )


# --- the layers we are given --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Notices:
    """What the published notices say, and the days they cover."""

    on: Mapping[date, Text]
    off: Mapping[date, Text]
    first: date
    last: date


@cache
def _notices() -> _Notices:
    from chinese_calendar import constants  # noqa: PLC0415 - 20 ms that a calendar without China does not need

    kinds = cast("Iterable[object]", constants.Holiday)
    names = {str(getattr(kind, "value", "")): str(getattr(kind, "chinese", "")) for kind in kinds}
    off = cast("dict[date, str]", constants.holidays)
    on = cast("dict[date, str]", constants.workdays)
    # A notice always has the National Day; a New Year's Day alone may have been announced with the year before.
    years = [day.year for day in off if day.month == 10]  # noqa: PLR2004 - October
    return _Notices(
        on={day: Text(f"{names[name]}调休", f"for {name}") for day, name in on.items()},
        off={day: Text(names[name], name) for day, name in off.items()},
        first=date(min(years), 1, 1),
        last=date(max(years), 12, 31),
    )


@lru_cache(maxsize=512)
def statutory_days(year: int) -> Mapping[date, Text]:
    """The statutory days off of China in a year without a notice, with those in lieu (放假办法 arts. 2, 6)."""
    chinese = _library_days("CN", None, year, "zh_CN")
    english = _library_days("CN", None, year, "en_US")
    return {day: Text(name, english.get(day, name)) for day, name in chinese.items()}


@dataclass(frozen=True, slots=True)
class CountryHolidays:
    """The public holidays of a country (and one of its parts) by the `holidays` library, year by year."""

    country: str
    subdivision: str | None = None

    def __call__(self, year: int) -> Mapping[date, Text]:
        """The days off of that year."""
        return _country_days(self.country, self.subdivision, year)


@lru_cache(maxsize=2048)
def _country_days(country: str, subdivision: str | None, year: int) -> Mapping[date, Text]:
    return {day: Text(name, name) for day, name in _library_days(country, subdivision, year, None).items()}


def _library_days(country: str, subdivision: str | None, year: int, language: str | None) -> dict[date, str]:
    import holidays  # noqa: PLC0415 - 160 ms and more, needed for few calculations

    days = holidays.country_holidays(country, subdiv=subdivision, years=[year], language=language)
    return {day: name for day, name in days.items() if day.year == year}


# --- reading a file -----------------------------------------------------------------------------------------

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RANGE = re.compile(r"\s*(?:\.\.|/|至|\bto\b)\s*")
_WINDOW = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*(?:[-–~]|至)\s*([0-9]{1,2}):([0-9]{2})")
_YEARLY = re.compile(r"([0-9]{2})-([0-9]{2})")
_LEAP_YEAR = 2024

_WEEKDAYS = {
    word: number
    for number, (english, chinese) in enumerate(
        zip(
            ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
            "一二三四五六日",
            strict=True,
        )
    )
    for word in (english, english[:3], f"周{chinese}", f"星期{chinese}")
} | {"周天": 6, "星期天": 6}


class _Reading:
    """Reads one tree, collecting every mistake with the path of its key."""

    def __init__(self, name: str, tree: Mapping[str, object]) -> None:
        self.name = name
        self.tree = tree
        self.problems: list[Problem] = []

    def calendar(self) -> Calendar | None:
        """The calendar; None or nonsense if there are problems."""
        self._known_keys(self.tree, _KEYS, ())
        self._title()
        base = self._base()
        notices = _notices() if base == CHINA else None
        zone = self._zone()
        weekly = self._weekly(base)
        days_off = self._days_off()
        days_on = self._days_on()
        known_until = self._known_until(notices, days_off)
        self._both_on_and_off(days_on, days_off)
        self._some_working_time(weekly, days_on)
        yearly_off = self._yearly_off()
        lists = self._lists()
        if zone is None:
            return None
        return Calendar(
            name=self.name,
            zone=zone,
            weekly=weekly,
            days_on=days_on,
            days_off=days_off,
            yearly_off=yearly_off,
            lists=lists,
            notice_on=notices.on if notices else {},
            notice_off=notices.off if notices else {},
            baseline=statutory_days if notices else None,
            known_from=notices.first if notices else None,
            known_until=known_until,
        )

    # --- one key each

    def _title(self) -> None:
        title = self.tree.get("title")
        if title is not None and not isinstance(title, str):
            self._problem(("title",), "应为文字", "expected text")

    def _base(self) -> str:
        base = self.tree.get("base", CHINA)
        if base is None or base == "none":
            return "none"
        if base != CHINA:
            self._problem(
                ("base",),
                f"应为 china（国务院放假安排）或 none（不用），实为“{base}”",
                f"expected china (the State Council's notices) or none, found '{base}'",
                did_you_mean(str(base), (CHINA, "none")),
            )
        return CHINA

    def _zone(self) -> ZoneInfo | None:
        name = self.tree.get("zone", CHINA_ZONE)
        try:
            return ZoneInfo(str(name))
        except (KeyError, ValueError, OSError):
            self._problem(
                ("zone",),
                f"不认识的时区“{name}”，应为 Asia/Shanghai 之类",
                f"unknown time zone '{name}', expected something like Asia/Shanghai",
                did_you_mean(str(name), sorted(available_timezones())),
            )
            return None

    def _weekly(self, base: str) -> dict[int, Hours]:
        if "hours" not in self.tree:
            if base == CHINA:
                return dict(OFFICE_HOURS)
            self._problem(
                ("hours",),
                "没有写工作时间，如 mon-fri: [08:30-12:00, 14:00-17:30]",
                "working hours are missing, e.g. mon-fri: [08:30-12:00, 14:00-17:30]",
            )
            return {}
        hours = self._mapping(self.tree["hours"], ("hours",))
        weekly: dict[int, Hours] = {}
        for key, value in hours.items():
            path: KeyPath = ("hours", key)
            windows = self._windows(value, path)
            for weekday in self._weekday_numbers(key, path):
                if weekday in weekly:
                    self._problem(path, "这一天写了两次工作时间", "this weekday's hours are given twice")
                weekly[weekday] = windows
        self._nights(weekly)
        return weekly

    def _nights(self, weekly: Mapping[int, Hours]) -> None:
        for weekday, windows in weekly.items():
            tomorrow = weekly.get((weekday + 1) % 7, ())
            if windows and tomorrow and windows[-1][1] - DAY > tomorrow[0][0]:
                self._problem(
                    ("hours",),
                    f"{WEEKDAYS[weekday].zh}的夜班与次日的工作时间重叠",
                    f"the night of {WEEKDAYS[weekday].en} overlaps the hours of the next day",
                )

    def _days_off(self) -> dict[date, Text]:
        days: dict[date, Text] = {}
        for key, value, path in self._entries("days_off"):
            if value is not None and not isinstance(value, str):
                self._problem(path, "应为放假的名称，或留空", "expected the name of the day off, or nothing")
            name = Text(value, value) if isinstance(value, str) and value else Text("放假", "day off")
            for day in self._dates(key, path):
                self._once(day, days, path)
                days[day] = name
        return days

    def _days_on(self) -> dict[date, Hours | None]:
        days: dict[date, Hours | None] = {}
        for key, value, path in self._entries("days_on"):
            windows = None if value is None else self._windows(value, path)
            if windows == ():
                self._problem(
                    path,
                    "上班的日子要有工作时间；放假请写在 days_off",
                    "a day on needs hours; put a day off in days_off",
                )
            for day in self._dates(key, path):
                self._once(day, days, path)
                days[day] = windows
        return days

    def _once(self, day: date, days: Mapping[date, object], path: KeyPath) -> None:
        if day in days:
            self._problem(path, f"{day} 写了两次", f"{day} is given twice")

    def _both_on_and_off(self, days_on: Mapping[date, object], days_off: Mapping[date, object]) -> None:
        for day in sorted(days_on.keys() & days_off.keys()):
            self._problem(("days_on",), f"{day} 既写为上班又写为放假", f"{day} is both a day on and a day off")

    def _yearly_off(self) -> dict[tuple[int, int], Text]:
        days: dict[tuple[int, int], Text] = {}
        for key, value, path in self._entries("yearly_days_off"):
            found = _YEARLY.fullmatch(key)
            try:
                day = date(_LEAP_YEAR, int(found[1]), int(found[2])) if found else None
            except ValueError:
                day = None
            if day is None:
                self._problem(
                    path, f"应为“月-日”，如 01-01，实为“{key}”", f"expected MM-DD such as 01-01, found '{key}'"
                )
                continue
            name = str(value) if value else key
            days[day.month, day.day] = Text(name, name)
        return days

    def _lists(self) -> tuple[Callable[[int], Mapping[date, Text]], ...]:
        value = self.tree.get("holidays")
        if value is None:
            return ()
        if isinstance(value, list):
            return tuple(
                found
                for index, item in enumerate(cast("list[object]", value))
                if (found := self._country(item, ("holidays", index)))
            )
        found = self._country(value, ("holidays",))
        return (found,) if found else ()

    def _country(self, value: object, path: KeyPath) -> CountryHolidays | None:
        entry = self._mapping(value, path)
        self._known_keys(entry, ("country", "subdivision"), path)
        country, subdivision = entry.get("country"), entry.get("subdivision")
        if not isinstance(country, str):
            self._problem((*path, "country"), "应为国家代码，如 US", "expected a country code such as US")
            return None
        if subdivision is not None and not isinstance(subdivision, str):
            self._problem((*path, "subdivision"), "应为地区代码，如 NY", "expected a code such as NY")
            return None
        return self._supported(country, subdivision, path)

    def _supported(self, country: str, subdivision: str | None, path: KeyPath) -> CountryHolidays | None:
        import holidays  # noqa: PLC0415 - only a file that names a country pays for it

        try:
            holidays.country_holidays(country, subdiv=subdivision)
        except NotImplementedError:
            self._unsupported(holidays.list_supported_countries(), country, subdivision, path)
            return None
        return CountryHolidays(country, subdivision)

    def _unsupported(
        self, known: Mapping[str, Sequence[str]], country: str, subdivision: str | None, path: KeyPath
    ) -> None:
        if country not in known:
            self._problem(
                (*path, "country"),
                f"没有国家“{country}”的节假日",
                f"there are no holidays for the country '{country}'",
                did_you_mean(country.upper(), list(known)),
            )
        else:
            self._problem(
                (*path, "subdivision"),
                f"{country} 没有地区“{subdivision}”",
                f"{country} has no subdivision '{subdivision}'",
                did_you_mean(str(subdivision).upper(), list(known[country])),
            )

    def _known_until(self, notices: _Notices | None, days_off: Mapping[date, object]) -> date | None:
        packaged = notices.last if notices else None
        value = self.tree.get("known_until")
        if value is None:
            return packaged
        until = self._date(str(value), ("known_until",))
        if until is None or packaged is None:
            return until
        for year in range(packaged.year + 1, min(until.year, packaged.year + 10) + 1):
            if not any(day.year == year for day in days_off):
                self._problem(
                    ("known_until",),
                    f"写明 {year} 年的放假安排已知，但 days_off 里没有 {year} 年的日子",
                    f"{year} is declared known, but days_off has no day in {year}",
                )
        return max(until, packaged)

    def _some_working_time(self, weekly: Mapping[int, Hours], days_on: Mapping[date, Hours | None]) -> None:
        if self.problems or any(weekly.values()) or any(days_on.values()):
            return
        self._problem(("hours",), "这个日历没有任何工作时间", "this calendar has no working time at all")

    # --- small pieces

    def _problem(self, path: KeyPath, zh: str, en: str, meant: str | None = None) -> None:
        hint = Text(f"是不是“{meant}”？", f"did you mean '{meant}'?") if meant else None
        self.problems.append(Problem(path, Text(zh, en), hint))

    def _known_keys(self, entry: Mapping[str, object], known: Sequence[str], path: KeyPath) -> None:
        for key in entry:
            if key not in known:
                self._problem(
                    (*path, key),
                    f"不认识的键，可用：{'、'.join(known)}",
                    f"unknown key, expected one of: {', '.join(known)}",
                    did_you_mean(str(key), known),
                )

    def _mapping(self, value: object, path: KeyPath) -> dict[str, object]:
        if isinstance(value, dict):
            return {str(key): item for key, item in cast("dict[object, object]", value).items()}
        self._problem(path, "应为“键: 值”", "expected 'key: value'")
        return {}

    def _entries(self, key: str) -> Iterator[tuple[str, object, KeyPath]]:
        """The days of a list (no value) or of a mapping (day: value)."""
        value = self.tree.get(key)
        if value is None:
            return
        if isinstance(value, list):
            for index, item in enumerate(cast("list[object]", value)):
                yield str(item), None, (key, index)
            return
        for day, item in self._mapping(value, (key,)).items():
            yield day, item, (key, day)

    def _dates(self, text: str, path: KeyPath) -> list[date]:
        """One day, or all days of a range `2026-10-01..2026-10-07`."""
        ends = [self._date(part, path) for part in _RANGE.split(text.strip(), maxsplit=1)]
        first, last = ends[0], ends[-1]
        if first is None or last is None:
            return []
        if last < first or last - first > _LONGEST_RANGE:
            self._problem(
                path,
                f"日期范围应从早到晚、不超过一年，实为“{text}”",
                f"expected a range from an earlier to a later day, at most a year, found '{text}'",
            )
            return []
        return [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]

    def _date(self, text: str, path: KeyPath) -> date | None:
        try:
            if _DATE.fullmatch(text.strip()):
                return date.fromisoformat(text.strip())
        except ValueError:
            pass
        self._problem(
            path,
            f"应为日期，如 2026-10-01，或范围 2026-10-01..2026-10-07，实为“{text}”",
            f"expected a date such as 2026-10-01 or a range 2026-10-01..2026-10-07, found '{text}'",
        )
        return None

    def _weekday_numbers(self, key: str, path: KeyPath) -> list[int]:
        numbers: list[int] = []
        for part in re.split(r"[,，、]", key.lower().replace(" ", "")):
            ends = [_WEEKDAYS.get(word) for word in re.split(r"-|\.\.|至|到", part)]
            first, last = ends[0], ends[-1]
            if first is None or last is None or len(ends) > 2:  # noqa: PLR2004 - two ends
                self._problem(
                    path,
                    f"应为星期，如 mon、mon-fri、周一至周五，实为“{key}”",
                    f"expected weekdays such as mon or mon-fri, found '{key}'",
                    did_you_mean(part, list(_WEEKDAYS)),
                )
                return []
            numbers += [(first + offset) % 7 for offset in range((last - first) % 7 + 1)]
        return numbers

    def _windows(self, value: object, path: KeyPath) -> Hours:
        if value is None:
            return ()
        items = cast("list[object]", value) if isinstance(value, list) else re.split(r"[,，、]", str(value))
        windows = sorted(window for item in items if (window := self._window(str(item), path)) is not None)
        for (_, closes), (opens, _) in pairwise(windows):
            if opens < closes:
                self._problem(path, f"工作时段重叠：{value}", f"working windows overlap: {value}")
        return tuple(windows)

    def _window(self, text: str, path: KeyPath) -> tuple[int, int] | None:
        found = _WINDOW.fullmatch(text.strip())
        if found:
            hour, minute, end_hour, end_minute = map(int, found.groups())
            opens, closes = hour * 3600 + minute * 60, end_hour * 3600 + end_minute * 60
            if minute < 60 and end_minute < 60 and opens < DAY and closes <= DAY and opens != closes:  # noqa: PLR2004
                return opens, closes if closes > opens else closes + DAY
        self._problem(
            path,
            f"应为时段，如 08:30-12:00、14:00-24:00、22:00-06:00（到次日），实为“{text}”",
            f"expected a window such as 08:30-12:00, 14:00-24:00 or 22:00-06:00 (next day), found '{text}'",
        )
        return None
