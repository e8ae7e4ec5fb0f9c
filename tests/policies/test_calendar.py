"""Working days and working time, against the published notices and against an oracle that walks every minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.calendars import china
from policies.calendar import DAY, Calendar, CountError, Hours
from policies.text import Text

SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]
MINUTE = timedelta(minutes=1)
# Days around which clocks change in one of the zones, and an ordinary one.
CHANGES = [
    date(2026, 3, 8),
    date(2026, 3, 29),
    date(2026, 4, 5),
    date(2026, 10, 4),
    date(2026, 10, 25),
    date(2026, 11, 1),
]
HOLIDAY = Text("停电", "power cut")


def nine_to_five(zone: str, **rest: object) -> Calendar:
    """Monday to Friday, 9 to 12 and 13 to 17, in that zone."""
    hours: Hours = ((9 * 3600, 12 * 3600), (13 * 3600, 17 * 3600))
    return Calendar("office", ZoneInfo(zone), dict.fromkeys(range(5), hours), **rest)  # type: ignore[arg-type]


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    """An instant by the wall clock of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


# --- days ---------------------------------------------------------------------------------------------------


def test_china_agrees_with_another_library_on_every_day() -> None:
    """Two independent data sets say the same of each of the 2,191 days from 2021 to 2026."""
    other = holidays.country_holidays("CN", years=range(2021, 2027))
    first, last = date(2021, 1, 1).toordinal(), date(2026, 12, 31).toordinal()
    days = [date.fromordinal(number) for number in range(first, last + 1)]
    assert [day for day in days if china().is_workday(day) != other.is_working_day(day)] == []


@pytest.mark.parametrize(("year", "workdays"), [(2024, 251), (2025, 248), (2026, 248)])
def test_working_days_of_a_year(year: int, workdays: int) -> None:
    """The number of working days in a year is the published one."""
    assert china().workdays_between(date(year - 1, 12, 31), date(year, 12, 31)) == workdays


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-10-10", True),  # statement 3: a make-up Saturday
        ("2026-09-20", True),  # statement 4: a make-up Sunday
        ("2026-10-01", False),
        ("2024-02-09", True),  # 除夕 2024 was a working day
        ("2027-10-01", False),  # statutory, no notice yet
        ("2027-02-05", False),
    ],
)
def test_single_days_of_china(day: str, works: bool) -> None:
    """Days that are easily got wrong are right."""
    assert china().is_workday(date.fromisoformat(day)) is works


def test_days_without_a_notice_are_provisional() -> None:
    """Before 2004 and after the last notice a day may still turn out otherwise."""
    assert china().known_until is not None
    assert [china().is_provisional(d) for d in (date(2003, 12, 31), date(2004, 1, 1), date(2026, 12, 31))] == [
        True,
        False,
        False,
    ]
    assert china().is_provisional(china().known_until + timedelta(days=1))


@given(st.dates(date(2005, 1, 1), date(2026, 1, 1)), st.integers(-300, 300))
def test_adding_working_days_and_counting_them_agree(day: date, n: int) -> None:
    """workdays_between is the inverse of add_workdays, in both directions."""
    start = china().next_workday(day)
    assert china().workdays_between(start, china().add_workdays(start, n)) == n
    assert china().add_workdays(china().add_workdays(start, n), -n) == start


@given(st.dates(date(2005, 1, 1), date(2026, 1, 1)), st.integers(1, 60), st.sampled_from([1, -1]))
def test_adding_working_days_agrees_with_walking(day: date, n: int, sign: int) -> None:
    """Jumping by whole years reaches the same day as walking day by day."""
    walked, left = day, n
    while left:
        walked += timedelta(days=sign)
        left -= china().is_workday(walked)
    assert china().add_workdays(day, sign * n) == walked


def test_layers_the_file_beats_notices() -> None:
    """A dated day on or off of the administrator beats the notice and the weekday."""
    calendar = Calendar(
        "x",
        SHANGHAI,
        {0: ((0, DAY),)},
        days_on={date(2026, 10, 1): None, date(2026, 10, 3): ((0, 3600),)},
        days_off={date(2026, 10, 10): HOLIDAY},
        yearly_off={(10, 12): HOLIDAY},
        notice_off={date(2026, 10, 1): HOLIDAY},
        notice_on={date(2026, 10, 10): HOLIDAY},
    )
    assert calendar.hours(date(2026, 10, 1)) == ((0, DAY),)  # of the first weekday that has hours
    assert calendar.hours(date(2026, 10, 3)) == ((0, 3600),)
    assert not calendar.is_workday(date(2026, 10, 10))
    assert calendar.day_off_name(date(2026, 10, 12)) == HOLIDAY  # a Monday, yearly off


@pytest.mark.parametrize("step", ["add_workdays", "worktime", "next_workday", "back"])
def test_an_office_that_never_opens_ends_in_a_sentence(step: str) -> None:
    """A calendar without any working time never loops: it says so."""
    closed = Calendar("closed", SHANGHAI, {})
    calls = {
        "add_workdays": lambda: closed.add_workdays(date(2026, 1, 1), 1),
        "next_workday": lambda: closed.next_workday(date(2026, 1, 1)),
        "worktime": lambda: closed.add_worktime(at("2026-01-01"), MINUTE),
        "back": lambda: closed.add_worktime(at("2026-01-01"), -MINUTE),
    }
    with pytest.raises(CountError, match="no working day"):
        calls[step]()
    assert closed.worktime_between(at("2026-01-01"), at("2036-01-01")) == timedelta(0)


# --- working time -------------------------------------------------------------------------------------------

EDGES = [
    ("inside", "2026-11-02 10:00", 1, "2026-11-02 11:00"),
    ("over the break", "2026-11-02 11:00", 2, "2026-11-02 14:00"),
    ("used up exactly at the break", "2026-11-02 11:00", 1, "2026-11-02 12:00"),
    ("used up exactly at closing", "2026-11-02 13:00", 4, "2026-11-02 17:00"),
    ("start exactly at closing", "2026-11-02 17:00", 1, "2026-11-03 10:00"),
    ("start in the night", "2026-11-02 03:00", 1, "2026-11-02 10:00"),
    ("start on a Saturday", "2026-11-07 12:00", 1, "2026-11-09 10:00"),
    ("a week", "2026-11-02 09:00", 35, "2026-11-06 17:00"),
    ("back inside", "2026-11-02 11:00", -1, "2026-11-02 10:00"),
    ("back, used up exactly at opening", "2026-11-02 12:00", -3, "2026-11-02 09:00"),
    ("back from exactly an opening", "2026-11-03 09:00", -1, "2026-11-02 16:00"),
    ("back from a Sunday", "2026-11-08 12:00", -1, "2026-11-06 16:00"),
]


@pytest.mark.parametrize(("start", "hours", "end"), [row[1:] for row in EDGES], ids=[row[0] for row in EDGES])
def test_working_hours_at_the_edges(start: str, hours: int, end: str) -> None:
    """Openings, breaks and closings are exact, forwards and backwards."""
    calendar = nine_to_five("Asia/Shanghai")
    assert calendar.add_worktime(at(start), timedelta(hours=hours)) == at(end)


CLOCKS = [
    # 22:00-06:00 in New York: 7 hours when clocks go forward, 9 when they go back
    ("America/New_York", "2026-03-07", 22, 30, 7),
    ("America/New_York", "2026-10-31", 22, 30, 9),
    ("America/New_York", "2026-03-09", 22, 30, 8),
    # the hour that does not exist is no working time; the one that comes twice is worked once or through
    ("America/New_York", "2026-03-08", 2, 3, 0),
    ("America/New_York", "2026-03-08", 1, 4, 2),
    ("America/New_York", "2026-11-01", 0, 4, 5),
    # half an hour in Lord Howe
    ("Australia/Lord_Howe", "2026-04-05", 0, 24, 24.5),
    ("Australia/Lord_Howe", "2026-10-04", 0, 24, 23.5),
    ("Asia/Kathmandu", "2026-10-04", 0, 24, 24),
]


@pytest.mark.parametrize(("zone", "day", "opens", "closes", "hours"), CLOCKS)
def test_a_window_over_a_clock_change_lasts_as_long_as_it_lasts(
    zone: str, day: str, opens: int, closes: int, hours: float
) -> None:
    """A window that spans a change of the clocks counts the time that really passed."""
    on = date.fromisoformat(day)
    calendar = Calendar("night", ZoneInfo(zone), {on.weekday(): ((opens * 3600, closes * 3600),)})
    spans = calendar.windows(on)
    assert sum((end.astimezone(UTC) - start.astimezone(UTC) for start, end in spans), timedelta()) == timedelta(
        hours=hours
    )


def test_a_night_window_belongs_to_the_day_it_starts_on() -> None:
    """The night shift of Friday runs into Saturday morning though Saturday is off."""
    calendar = Calendar("shift", SHANGHAI, {4: ((22 * 3600, 30 * 3600),)})
    assert calendar.closes_at(date(2026, 11, 6)) == at("2026-11-07 06:00")
    assert calendar.closes_at(date(2026, 11, 7)) is None
    assert calendar.add_worktime(at("2026-11-07 05:00"), timedelta(hours=2)) == at("2026-11-13 23:00")


def test_ten_thousand_working_hours_and_back() -> None:
    """Long spans are exact too."""
    calendar = nine_to_five("America/New_York")
    start, length = at("2026-01-05 09:30", calendar.zone), timedelta(hours=10_000)
    end = calendar.add_worktime(start, length)
    assert calendar.worktime_between(start, end) == length
    assert calendar.add_worktime(end, -length) == start


# The oracle: every instant of every minute, its wall clock looked up, no arithmetic shared with the calendar.

hours_of_day = (
    st.lists(st.integers(0, 96), min_size=0, max_size=4, unique=True)
    .map(sorted)
    .map(lambda marks: tuple((a * 900, b * 900) for a, b in zip(marks[::2], marks[1::2], strict=False)))
)
nights = st.sampled_from([(), ((22 * 3600, 29 * 3600 + 1800),), ((1800, 7200), (20 * 3600, 24 * 3600 + 6300))])


@st.composite
def offices(draw: st.DrawFn) -> Calendar:
    """Random weekly hours in a random zone, a night shift or two among them, some days off."""
    weekly = {weekday: draw(hours_of_day) for weekday in range(7)}
    weekly[6] = draw(nights | hours_of_day)  # clocks change on Sundays
    weekly[5] = draw(nights | hours_of_day)
    off = draw(st.sets(st.sampled_from(CHANGES), max_size=2))
    assume(any(weekly.values()))
    return Calendar("random", ZoneInfo(draw(st.sampled_from(ZONES))), weekly, days_off=dict.fromkeys(off, HOLIDAY))


@cache
def wall_clock(zone: ZoneInfo, around: date) -> tuple[tuple[datetime, datetime], ...]:
    """Each minute of some days, as an instant and as what a clock on the wall shows."""
    first = datetime.combine(around - timedelta(days=4), time(), UTC)
    instants = (first + n * MINUTE for n in range(9 * 1440))
    return tuple((instant, instant.astimezone(zone).replace(tzinfo=None)) for instant in instants)


def open_minutes(calendar: Calendar, around: date) -> list[datetime]:
    """Every minute at which the office is open, found by walking.

    A wall-clock time is reached at the first minute whose clock shows it or more (the convention of the
    calendar), seen from the noon before; a window is what lies between its two ends.
    """
    minutes = wall_clock(calendar.zone, around)

    def reached(wall: datetime) -> datetime:
        noon = datetime.combine(wall.date() - timedelta(days=1), time(12))
        index = next(i for i, (_, shown) in enumerate(minutes) if shown >= noon)
        return next(instant for instant, shown in minutes[index:] if shown >= wall)

    found: set[datetime] = set()
    for offset in range(-2, 3):
        day = around + timedelta(days=offset)
        for opens, closes in calendar.hours(day):
            midnight = datetime.combine(day, time())
            low, high = reached(midnight + timedelta(seconds=opens)), reached(midnight + timedelta(seconds=closes))
            found.update(instant for instant, _ in minutes if low <= instant < high)
    return sorted(found)


@given(offices(), st.sampled_from(CHANGES), st.integers(0, 3 * 1440), st.integers(0, 3 * 1440))
def test_working_time_agrees_with_walking_every_minute(
    calendar: Calendar, around: date, first: int, second: int
) -> None:
    """Between two instants the calendar counts as many minutes as an oracle that looks at each of them."""
    base = datetime.combine(around - timedelta(days=1), time(), UTC)
    low, high = base + min(first, second) * MINUTE, base + max(first, second) * MINUTE
    assume(calendar.local_day(low) >= around - timedelta(days=1))
    assume(calendar.local_day(high) <= around + timedelta(days=2))
    walked = sum(low <= minute < high for minute in open_minutes(calendar, around))
    assert calendar.worktime_between(low, high) == walked * MINUTE


instants = st.builds(
    lambda day, seconds: datetime.combine(day, time(), UTC) + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-3 * DAY, 3 * DAY),
)
lengths = st.integers(1, 40 * 3600).map(lambda seconds: timedelta(seconds=seconds))


@given(offices(), instants, lengths)
def test_adding_working_time_then_measuring_gives_it_back(
    calendar: Calendar, start: datetime, length: timedelta
) -> None:
    """worktime_between is the exact inverse of add_worktime, forwards and backwards."""
    later = calendar.add_worktime(start, length)
    earlier = calendar.add_worktime(start, -length)
    assert calendar.worktime_between(start, later) == length
    assert calendar.worktime_between(earlier, start) == length
    # the earliest such instant, and the latest one
    assert calendar.worktime_between(start, later - timedelta(microseconds=1)) < length
    assert calendar.worktime_between(earlier + timedelta(microseconds=1), start) < length


@given(offices(), instants, lengths)
def test_forward_then_backward_returns(calendar: Calendar, start: datetime, length: timedelta) -> None:
    """From inside a window, working time added and taken away again leads back to the second."""
    inside = calendar.add_worktime(calendar.add_worktime(start, length), -timedelta(seconds=1))
    assert calendar.add_worktime(calendar.add_worktime(inside, length), -length) == inside


@given(offices(), instants, instants, instants)
def test_working_time_is_additive(calendar: Calendar, a: datetime, b: datetime, c: datetime) -> None:
    """The way from a to b and on to c is the way from a to c, also when it goes back."""
    assert calendar.worktime_between(a, b) + calendar.worktime_between(b, c) == calendar.worktime_between(a, c)


@given(offices(), st.sampled_from(CHANGES))
def test_windows_do_not_overlap(calendar: Calendar, around: date) -> None:
    """Whatever the hours and clocks, the windows of following days are in order and not empty."""
    spans = [span for offset in range(-2, 3) for span in calendar.windows(around + timedelta(days=offset))]
    marks = [mark.astimezone(UTC) for span in spans for mark in span]
    assert marks == sorted(marks)
    assert all(start.astimezone(UTC) < end.astimezone(UTC) for start, end in spans)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_the_ends_of_time_are_a_sentence(zone: str) -> None:
    """Years before 1 and after 9999 are refused in words, never an overflow."""
    calendar = nine_to_five(zone)
    for call in (
        lambda: calendar.add_workdays(date(9999, 12, 31), 1),
        lambda: calendar.add_workdays(date(1, 1, 1), -1),
        lambda: calendar.end_of(date(9999, 12, 31)),
        lambda: calendar.add_worktime(datetime(9999, 12, 31, 23, tzinfo=UTC), timedelta(hours=99)),
        lambda: calendar.add_worktime(datetime(1, 1, 1, 1, tzinfo=UTC), -timedelta(hours=99)),
    ):
        with pytest.raises(CountError):
            call()
