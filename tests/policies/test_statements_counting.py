"""The worked examples of the law, each row named by the number of its statement in the domain rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.calendars import china
from policies.counting import count, moment_at
from policies.duration import DurationError, parse_duration, parse_moment
from policies.model import Cutoff, ExtensionBase, Roll

SHANGHAI = ZoneInfo("Asia/Shanghai")

# statement, start, length, nominal end, legal end
PERIODS = [
    ("0.5", "2026-09-25", "15 日", "2026-10-10", "2026-10-10"),
    ("1", "2026-06-25", "15 日", "2026-07-10", "2026-07-10"),
    ("2a", "2026-09-16", "15 日", "2026-10-01", "2026-10-08"),
    ("2b", "2026-09-17", "15 日", "2026-10-02", "2026-10-08"),
    ("3", "2026-09-25", "15 日", "2026-10-10", "2026-10-10"),
    ("4", "2026-09-20", "15 日", "2026-10-05", "2026-10-08"),
    ("5a", "2026-01-30", "15 日", "2026-02-14", "2026-02-14"),
    ("5b", "2026-01-31", "15 日", "2026-02-15", "2026-02-24"),
    ("6 清明", "2026-03-20", "15 日", "2026-04-04", "2026-04-07"),
    ("6 劳动节", "2026-04-16", "15 日", "2026-05-01", "2026-05-06"),
    ("6 端午", "2026-06-04", "15 日", "2026-06-19", "2026-06-22"),
    ("6 weekend", "2026-07-24", "15 日", "2026-08-08", "2026-08-10"),
    ("7a", "2025-09-16", "15 日", "2025-10-01", "2025-10-09"),
    ("7b", "2024-12-17", "15 日", "2025-01-01", "2025-01-02"),
    ("8", "2026-09-28", "5 工作日", "2026-10-10", "2026-10-10"),
    ("9", "2026-09-25", "5 工作日", "2026-10-09", "2026-10-09"),
    ("10", "2026-02-12", "5 工作日", "2026-02-26", "2026-02-26"),
    ("11", "2025-09-26", "5 工作日", "2025-10-10", "2025-10-10"),
    ("12", "2026-09-22", "15 工作日", "2026-10-20", "2026-10-20"),
    ("13a", "2026-04-29", "5 工作日", "2026-05-09", "2026-05-09"),
    ("13b", "2026-04-30", "5 工作日", "2026-05-11", "2026-05-11"),
    ("13c", "2026-04-30", "2 工作日", "2026-05-07", "2026-05-07"),
    ("13d", "2026-05-11", "10 工作日", "2026-05-25", "2026-05-25"),
    ("14a", "2026-08-03", "60 日", "2026-10-02", "2026-10-08"),
    ("14b", "2026-07-06", "60 日", "2026-09-04", "2026-09-04"),
    ("15 as one", "2026-08-03", "90 日", "2026-11-01", "2026-11-02"),
    ("17a", "2026-01-31", "1 月", "2026-02-28", "2026-02-28"),
    ("17b", "2025-11-30", "3 月", "2026-02-28", "2026-02-28"),
    ("17c", "2026-07-01", "3 月", "2026-10-01", "2026-10-08"),
    ("17d", "2026-08-31", "6 月", "2027-02-28", "2027-03-01"),
    ("18a", "2025-11-30", "3 月", "2026-02-28", "2026-02-28"),
    ("18b", "2025-11-30", "4 月", "2026-03-30", "2026-03-30"),
    ("18c", "2025-11-30", "5 月", "2026-04-30", "2026-04-30"),
    ("18d", "2025-11-30", "6 月", "2026-05-30", "2026-06-01"),
    ("19 without hearing", "2026-03-02", "30 日", "2026-04-01", "2026-04-01"),
    ("20", "2026-09-04", "30 日", "2026-10-04", "2026-10-08"),
    ("23 natural", "2026-09-25", "7 日", "2026-10-02", "2026-10-08"),
    ("23 working", "2026-09-25", "7 工作日", "2026-10-12", "2026-10-12"),
    ("24a", "2026-11-02", "60 日", "2027-01-01", "2027-01-04"),
    ("24b", "2026-11-16", "60 日", "2027-01-15", "2027-01-15"),
]


def day_of(text: str, clock: str = "10:00") -> datetime:
    """That time on that day in Shanghai."""
    return datetime.combine(date.fromisoformat(text), time.fromisoformat(clock), SHANGHAI)


def end_of(text: str) -> datetime:
    """24:00 of that day in Shanghai: the last microsecond."""
    return day_of(text, "00:00") + timedelta(days=1, microseconds=-1)


@pytest.mark.parametrize("clock", ["00:00", "10:00", "23:59:59"])
@pytest.mark.parametrize(("start", "within", "nominal", "legal"), [r[1:] for r in PERIODS], ids=[r[0] for r in PERIODS])
def test_statements_1_to_24(start: str, within: str, nominal: str, legal: str, clock: str) -> None:
    """Start day excluded, months, working days and roll as computed by hand, at whatever time the day starts."""
    counted = count(day_of(start, clock), parse_duration(within), china())
    assert (str(counted.nominal_day), str(counted.legal_day)) == (nominal, legal)
    assert (counted.nominal_due_at, counted.legal_due_at) == (end_of(nominal), end_of(legal))
    assert counted.provisional is (legal >= "2027")


EXTENSIONS = [
    ("13", "2026-04-30", "5 工作日", "10 工作日", ExtensionBase.NOMINAL, "2026-05-25", "2026-05-25"),
    ("15a", "2026-08-03", "60 日", "30 日", ExtensionBase.NOMINAL, "2026-11-01", "2026-11-02"),
    ("15b", "2026-08-03", "60 日", "30 日", ExtensionBase.ROLLED, "2026-11-07", "2026-11-09"),
    ("15c", "2026-07-06", "60 日", "30 日", ExtensionBase.NOMINAL, "2026-10-04", "2026-10-08"),
    ("18", "2025-11-30", "3 月", "1 月", ExtensionBase.NOMINAL, "2026-03-30", "2026-03-30"),
]


@pytest.mark.parametrize(
    ("start", "within", "extension", "base", "nominal", "legal"),
    [r[1:] for r in EXTENSIONS],
    ids=[r[0] for r in EXTENSIONS],
)
def test_statement_15_extensions(
    start: str, within: str, extension: str, base: ExtensionBase, nominal: str, legal: str
) -> None:
    """An extension runs from the nominal end unless the policy says from the rolled one."""
    counted = count(
        day_of(start), parse_duration(within), china(), extension=parse_duration(extension), extension_from=base
    )
    assert (str(counted.nominal_day), str(counted.legal_day)) == (nominal, legal)


def test_statement_19_hearing_days_do_not_count() -> None:
    """Ten whole days of hearing put the end off by ten days, then it rolls."""
    hearing = (day_of("2026-03-10", "00:00"), day_of("2026-03-20", "00:00"))
    counted = count(day_of("2026-03-02"), parse_duration("30 日"), china(), excluded=[hearing])
    assert (str(counted.nominal_day), str(counted.legal_day)) == ("2026-04-11", "2026-04-13")


@pytest.mark.parametrize(("within", "due"), [("24 小时", "2026-10-01 17:30"), ("2 小时", "2026-09-30 19:30")])
def test_statement_21_hours_run_through_holidays(within: str, due: str) -> None:
    """Hours neither stop for the National Day nor roll."""
    counted = count(day_of("2026-09-30", "17:30"), parse_duration(within), china())
    expected = datetime.fromisoformat(due).replace(tzinfo=SHANGHAI)
    assert counted.nominal_due_at == counted.legal_due_at == expected
    assert counted.nominal_day is None
    assert not counted.provisional


def test_statement_22_the_day_is_the_offices() -> None:
    """16:30 UTC is the next day in Shanghai, and that day is the one that does not count."""
    counted = count(datetime(2026, 3, 10, 16, 30, tzinfo=UTC), parse_duration("15 日"), china())
    assert str(counted.legal_day) == "2026-03-26"


def test_statement_23_a_length_needs_a_unit() -> None:
    """A rule without a unit cannot be read."""
    with pytest.raises(DurationError):
        parse_duration("7")


def test_statement_24_the_reader_is_told_that_it_is_provisional() -> None:
    """A year without a notice is counted and says that it may change."""
    counted = count(day_of("2026-11-02"), parse_duration("60 日"), china())
    assert counted.provisional
    assert "暂定" in counted.steps[-1].text.zh


ROLLS = [
    ("2026-09-16", Roll.NONE, "2026-10-01"),
    ("2026-09-17", Roll.NONE, "2026-10-02"),
    ("2026-09-16", Roll.NEXT_WORKDAY, "2026-10-08"),
    ("2026-09-17", Roll.NEXT_WORKDAY, "2026-10-08"),
    # the Mid-Autumn days 25 to 27 September lie inside: three days more, then off the National Day
    ("2026-09-16", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-10-08"),
    # 1 to 7 October lie inside, 14 October + 7
    ("2026-09-29", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-10-21"),
    ("2026-06-25", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-07-10"),
]


@pytest.mark.parametrize(("start", "roll", "legal"), ROLLS)
def test_statement_26_roll_modes(start: str, roll: Roll, legal: str) -> None:
    """The roll is chosen by the rule: not at all, to the next working day, or with long holidays added."""
    assert str(count(day_of(start), parse_duration("15 日"), china(), roll=roll).legal_day) == legal


@pytest.mark.parametrize(("cutoff", "on_time"), [(Cutoff.MIDNIGHT, True), (Cutoff.OFFICE, False)])
def test_statement_28_cut_off(cutoff: Cutoff, on_time: bool) -> None:
    """A reply at 17:45 is late only where the last day ends with the office, at 17:30."""
    counted = count(day_of("2026-09-16"), parse_duration("15 日"), china(), cutoff=cutoff)
    assert (day_of("2026-10-08", "17:45") <= counted.legal_due_at) is on_time
    assert day_of("2026-10-08", "17:30") <= counted.legal_due_at


LEADS = [
    ("29 T-3", "2026-10-08", "due - 3 工作日 09:00", "2026-09-28 09:00"),
    ("29 T-1", "2026-10-08", "due - 1 工作日 09:00", "2026-09-30 09:00"),
    ("29 natural T-3", "2026-10-08", "due - 3 日 09:00", "2026-10-05 09:00"),
    ("29 natural T-1", "2026-10-08", "due - 1 日 09:00", "2026-10-07 09:00"),
    ("29 Sat T-3", "2026-10-10", "due - 3 工作日 09:00", "2026-09-30 09:00"),
    ("29 Sat T-1", "2026-10-10", "due - 1 工作日 09:00", "2026-10-09 09:00"),
    ("30 due day", "2026-10-10", "due 09:00", "2026-10-10 09:00"),
    ("31 +1", "2026-10-08", "due + 1 工作日 09:00", "2026-10-09 09:00"),
    ("31 +5", "2026-10-08", "due + 5 workdays 09:00", "2026-10-14 09:00"),
]


@pytest.mark.parametrize(("due", "moment", "expected"), [r[1:] for r in LEADS], ids=[r[0] for r in LEADS])
def test_statements_29_to_31_moments_around_the_due_day(due: str, moment: str, expected: str) -> None:
    """Leads in working days skip the holiday and count make-up Saturdays; natural days do not."""
    at = moment_at(parse_moment(moment), {"due": end_of(due)}, china())
    assert at == datetime.fromisoformat(expected).replace(tzinfo=SHANGHAI)


def test_statement_29_counting_back_gives_the_same_day() -> None:
    """Three working days back from Thursday 8 October is Monday 28 September, also as a period."""
    assert str(count(day_of("2026-10-08"), parse_duration("-3 工作日"), china()).legal_day) == "2026-09-28"


def test_statement_30_a_make_up_saturday_is_no_weekend() -> None:
    """10 October 2026 is a working day for every question one can ask."""
    saturday = date(2026, 10, 10)
    assert china().is_workday(saturday)
    assert china().next_workday(saturday) == saturday
    assert china().closes_at(saturday) == day_of("2026-10-10", "17:30")
    assert china().day_off_name(saturday) is None
