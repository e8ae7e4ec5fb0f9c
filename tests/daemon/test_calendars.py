"""Calendars from YAML: what an administrator writes is what counts, and every mistake is told with its place."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.calendars import calendar_from, china, load_calendars, read_calendar
from daemon.errors import SettingsError
from policies.counting import count
from policies.duration import parse_duration
from policies.errors import PolicyError

EXAMPLES = sorted((Path(__file__).parents[2] / "config" / "calendars").glob("*.yaml"))
SHANGHAI = ZoneInfo("Asia/Shanghai")
NINE_TO_FIVE: dict[str, object] = {"mon-fri": "09:00-17:00"}


def problems_of(tree: dict[str, object]) -> list[tuple[str, str]]:
    """The key path and the English message of every mistake in a tree."""
    with pytest.raises(PolicyError) as caught:
        calendar_from("x", tree)
    return [(".".join(map(str, p.path)), p.message.en) for p in caught.value.problems]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_examples_are_right(path: Path) -> None:
    """Every calendar we ship as an example loads and has working time this year."""
    calendar = read_calendar(path)
    assert calendar.name == path.stem
    assert calendar.workdays_between(date(2025, 12, 31), date(2026, 12, 31)) > 200


def test_china_is_always_there() -> None:
    """Without any file there is the calendar of Chinese offices; files add theirs by their name."""
    assert load_calendars([]) == {"china": china()}
    assert set(load_calendars(EXAMPLES)) == {"china", *(path.stem for path in EXAMPLES)}


def test_the_file_beats_the_notices() -> None:
    """Local days off and on change what the notice says; all else stays as published."""
    calendar = calendar_from(
        "local",
        {
            "days_off": {"2026-10-08..2026-10-09": "搬迁"},
            "days_on": {"2026-10-01": None, "2026-10-11": "09:00-12:00"},
            "yearly_days_off": ["03-08"],
        },
    )
    counted = count(datetime(2026, 9, 17, tzinfo=SHANGHAI), parse_duration("15 日"), calendar)
    assert str(counted.legal_day) == "2026-10-10"
    assert calendar.is_workday(date(2026, 10, 1))
    assert calendar.closes_at(date(2026, 10, 11)) == datetime(2026, 10, 11, 12, tzinfo=SHANGHAI)
    assert not calendar.is_workday(date(2027, 3, 8))
    assert calendar.is_workday(date(2026, 9, 20))


def test_a_notice_in_the_file_ends_the_provisional_time() -> None:
    """Once next year's days are entered and declared known, the estimate no longer counts (statement 25)."""
    before = count(datetime(2027, 1, 20, tzinfo=SHANGHAI), parse_duration("15 日"), china())
    loaded = calendar_from(
        "y2027", {"days_off": ["2027-02-05..2027-02-12"], "days_on": ["2027-01-31"], "known_until": "2027-12-31"}
    )
    after = count(datetime(2027, 1, 20, tzinfo=SHANGHAI), parse_duration("15 日"), loaded)
    assert before.provisional
    assert not after.provisional
    assert str(after.legal_day) == "2027-02-04"
    assert loaded.is_workday(date(2027, 10, 4))  # a Monday: only the estimate had called it a day in lieu
    assert not china().is_workday(date(2027, 10, 4))


def test_holidays_of_another_country() -> None:
    """New York keeps its own holidays and clocks, and nothing of it is provisional."""
    calendar = calendar_from(
        "ny",
        {
            "base": "none",
            "zone": "America/New_York",
            "hours": NINE_TO_FIVE,
            "holidays": [{"country": "US", "subdivision": "NY"}],
        },
    )
    assert not calendar.is_workday(date(2026, 11, 26))
    assert calendar.day_off_name(date(2026, 11, 26)) is not None
    assert calendar.is_workday(date(2026, 10, 1))
    assert not calendar.is_provisional(date(2099, 1, 1))
    friday = datetime(2026, 3, 6, 16, tzinfo=ZoneInfo("America/New_York"))
    assert calendar.add_worktime(friday, timedelta(hours=2)) == datetime(2026, 3, 9, 10, tzinfo=friday.tzinfo)


@pytest.mark.parametrize(
    ("key", "days"),
    [
        ("mon-fri", [0, 1, 2, 3, 4]),
        ("Monday - Friday", [0, 1, 2, 3, 4]),
        ("周一至周五", [0, 1, 2, 3, 4]),
        ("周六、周日", [5, 6]),
        ("fri-mon", [4, 5, 6, 0]),
        ("mon, wed", [0, 2]),
    ],
)
def test_weekdays_are_written_in_many_ways(key: str, days: list[int]) -> None:
    """Ranges and lists of weekdays, in English and Chinese."""
    calendar = calendar_from("x", {"base": "none", "hours": {key: ["09:00-12:00", "13:00-24:00"]}})
    assert sorted(calendar.weekly) == sorted(days)
    assert set(calendar.weekly.values()) == {((9 * 3600, 12 * 3600), (13 * 3600, 24 * 3600))}


MISTAKES: list[tuple[dict[str, object], str, str]] = [
    ({"base": "none"}, "hours", "working hours are missing"),
    ({"base": "none", "hours": {}}, "hours", "no working time at all"),
    ({"base": "none", "hours": {"mon": []}}, "hours", "no working time at all"),
    ({"hours": []}, "hours", "expected 'key: value'"),
    ({"hurs": {}}, "hurs", "unknown key"),
    ({"base": "chna"}, "base", "expected china"),
    ({"zone": "Asia/Shangai"}, "zone", "unknown time zone"),
    ({"zone": "../etc/passwd"}, "zone", "unknown time zone"),
    ({"zone": "Asia"}, "zone", "unknown time zone"),
    ({"zone": 8}, "zone", "unknown time zone"),
    ({"hours": {"mon": "9-5"}}, "hours.mon", "expected a window"),
    ({"hours": {"mon": "09:00-25:00"}}, "hours.mon", "expected a window"),
    ({"hours": {"mon": "09:00-09:00"}}, "hours.mon", "expected a window"),
    ({"hours": {"mon": ["09:00-12:00", "11:00-13:00"]}}, "hours.mon", "overlap"),
    ({"hours": {"mon": "22:00-06:00", "tue": "05:00-08:00"}}, "hours", "overlaps the hours of the next day"),
    ({"hours": {"mon": "09:00-10:00", "mon-fri": "09:00-10:00"}}, "hours.mon-fri", "given twice"),
    ({"hours": {"mnday": "09:00-10:00"}}, "hours.mnday", "expected weekdays"),
    ({"days_off": ["2026-02-30"]}, "days_off.0", "expected a date"),
    ({"days_off": ["2026-10-07..2026-10-01"]}, "days_off.0", "expected a range"),
    ({"days_off": ["2026-10-01", "2026-10-01"]}, "days_off.1", "given twice"),
    ({"days_off": {"2026-10-01": 5}}, "days_off.2026-10-01", "expected the name"),
    ({"days_off": ["2026-10-01"], "days_on": ["2026-10-01"]}, "days_on", "both a day on and a day off"),
    ({"days_on": {"2026-10-01": []}}, "days_on.2026-10-01", "a day on needs hours"),
    ({"yearly_days_off": ["13-01"]}, "yearly_days_off.0", "expected MM-DD"),
    ({"holidays": {"country": "XX"}}, "holidays.country", "no holidays"),
    ({"holidays": {"country": "US", "subdivision": "QQ"}}, "holidays.subdivision", "no subdivision"),
    ({"holidays": ["US"]}, "holidays.0", "expected 'key: value'"),
    ({"known_until": "soon"}, "known_until", "expected a date"),
    ({"known_until": "2027-12-31"}, "known_until", "no day in 2027"),
]


@pytest.mark.parametrize(("tree", "path", "message"), MISTAKES)
def test_every_mistake_is_named_with_its_key(tree: dict[str, object], path: str, message: str) -> None:
    """Each kind of mistake is found, at its key, in plain words."""
    assert any(where == path and message in words for where, words in problems_of(tree))


def test_all_mistakes_of_all_files_come_at_once_with_line_and_column(tmp_path: Path) -> None:
    """Nobody has to correct one mistake to be told of the next."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("zone: Asia/Shangai\nhours:\n  mon: 9-5\n", "utf-8")
    second.write_text("base: none\nhours: {mon: 09:00-17:00}\nhuors: 1\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_calendars([first, second])
    told = [problem.en for problem in caught.value.problems]
    assert len(told) == 3
    assert any(f"{first}:1:1: zone: unknown time zone" in line and "Asia/Shanghai" in line for line in told)
    assert any(f"{first}:3:3: hours.mon:" in line for line in told)
    assert any(f"{second}:3:1: huors:" in line and "hours" in line for line in told)
