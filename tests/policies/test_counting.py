"""Counting beyond the worked examples: backwards, exclusions, extensions in another unit, the ends of time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.calendars import china
from policies.calendar import DAY, Calendar, CountError
from policies.counting import count
from policies.duration import SAME_DAY, Duration, Unit, parse_duration, parse_moment
from policies.model import Cutoff, ExtensionBase, Roll
from policies.moving import moment_at, shift

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    """An instant by the wall clock of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


BACKWARDS = [
    # start, length, roll, nominal, legal
    ("2026-10-22", "-20 日", Roll.NEXT_WORKDAY, "2026-10-02", "2026-09-30"),  # earlier is the safe side
    ("2026-10-22", "-20 日", Roll.NONE, "2026-10-02", "2026-10-02"),
    ("2026-10-22", "-12 日", Roll.NEXT_WORKDAY, "2026-10-10", "2026-10-10"),  # make-up Saturday
    ("2026-10-08", "-3 工作日", Roll.NEXT_WORKDAY, "2026-09-28", "2026-09-28"),
    ("2026-10-03", "-1 工作日", Roll.NEXT_WORKDAY, "2026-09-30", "2026-09-30"),
    ("2026-03-31", "-1 月", Roll.NEXT_WORKDAY, "2026-02-28", "2026-02-28"),
    ("2028-02-29", "-1 年", Roll.NONE, "2027-02-28", "2027-02-28"),
    ("2026-10-15", "-10 日", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-10-05", "2026-09-30"),
    # 7 days of October, then 3 of September met on the way: Sat 09-19, off
    ("2026-10-15", "-16 日", Roll.NEXT_WORKDAY_AND_LONG_HOLIDAYS, "2026-09-29", "2026-09-18"),
]


@pytest.mark.parametrize(("start", "within", "roll", "nominal", "legal"), BACKWARDS)
def test_counting_backwards_mirrors_every_rule(start: str, within: str, roll: Roll, nominal: str, legal: str) -> None:
    """Backwards the start day does not count either, and a day off moves the end to the earlier working day."""
    counted = count(at(start), parse_duration(within), china(), roll=roll)
    assert (str(counted.nominal_day), str(counted.legal_day)) == (nominal, legal)
    assert counted.legal_due_at == at(legal) + timedelta(days=1, microseconds=-1)


@pytest.mark.parametrize(
    ("start", "within", "due"),
    [
        ("2026-10-01 17:30", "-24 小时", "2026-09-30 17:30"),
        ("2026-10-08 09:30", "-2 工作小时", "2026-09-30 16:30"),
        ("2026-10-08 08:30", "-1 工作小时", "2026-09-30 16:30"),
        ("2026-10-08 12:00", "-3.5 工作小时", "2026-10-08 08:30"),
    ],
)
def test_hours_backwards(start: str, within: str, due: str) -> None:
    """Hours and working hours run back to the instant, exactly to an opening if they end there."""
    assert count(at(start), parse_duration(within), china()).legal_due_at == at(due)


PAUSES = [
    # a pause in the middle of days holds only its whole days
    ("15 日", [("2026-06-26 10:00", "2026-06-29 15:00")], "2026-07-12"),
    ("15 日", [("2026-06-26 00:00", "2026-06-29 00:00")], "2026-07-13"),
    # less than a day, before the start, after the end: nothing
    ("15 日", [("2026-06-26 10:00", "2026-06-26 15:00")], "2026-07-10"),
    ("15 日", [("2026-05-01 00:00", "2026-06-01 00:00")], "2026-07-10"),
    ("15 日", [("2026-07-11 00:00", "2026-07-20 00:00")], "2026-07-10"),
    # the last day itself, and what is met while moving on
    ("15 日", [("2026-07-10 00:00", "2026-07-12 00:00")], "2026-07-12"),
    ("15 日", [("2026-06-30 00:00", "2026-07-02 00:00"), ("2026-07-12 00:00", "2026-07-13 00:00")], "2026-07-13"),
    # overlapping ones count once; the start day was never counted
    ("15 日", [("2026-06-30 00:00", "2026-07-02 00:00"), ("2026-07-01 00:00", "2026-07-03 00:00")], "2026-07-13"),
    ("15 日", [("2026-06-25 00:00", "2026-06-27 00:00")], "2026-07-11"),
    # working days: a paused weekend changes nothing
    ("5 工作日", [("2026-06-27 00:00", "2026-06-29 00:00")], "2026-07-02"),
    ("5 工作日", [("2026-06-27 00:00", "2026-06-30 00:00")], "2026-07-03"),
    ("5 工作日", [("2026-06-30 00:00", "2026-07-02 00:00"), ("2026-07-03 00:00", "2026-07-04 00:00")], "2026-07-07"),
    # months: the day, put off by the days that did not count
    ("1 月", [("2026-07-01 00:00", "2026-07-11 00:00")], "2026-08-04"),
    ("-5 日", [("2026-06-22 00:00", "2026-06-24 00:00")], "2026-06-18"),
]


@pytest.mark.parametrize(("within", "pauses", "nominal"), PAUSES)
def test_excluded_days_do_not_count(within: str, pauses: list[tuple[str, str]], nominal: str) -> None:
    """Every whole local day inside an excluded interval puts the end off by one, in the direction of the count."""
    excluded = [(at(low), at(high)) for low, high in pauses]
    assert str(count(at("2026-06-25 10:00"), parse_duration(within), china(), excluded=excluded).nominal_day) == nominal


@given(
    st.dates(date(2010, 1, 1), date(2025, 1, 1)),
    st.integers(1, 60),
    st.sampled_from([1, -1]),
    st.sampled_from([Unit.DAY, Unit.WORKDAY]),
    st.lists(st.tuples(st.integers(-80, 80), st.integers(0, 12)), max_size=4),
)
def test_excluded_days_agree_with_walking(
    start: date, amount: int, sign: int, unit: Unit, pauses: list[tuple[int, int]]
) -> None:
    """Walking day by day and not counting the excluded ones ends on the same day."""
    days_off = {start + timedelta(days=first + n) for first, length in pauses for n in range(length)}
    walked, left = start, amount
    while left:
        walked += timedelta(days=sign)
        counts = walked not in days_off and (unit is Unit.DAY or china().is_workday(walked))
        left -= counts
    midnight = datetime.combine(start, datetime.min.time(), SHANGHAI)
    excluded = [
        (midnight + timedelta(days=first), midnight + timedelta(days=first + length)) for first, length in pauses
    ]
    counted = count(midnight, Duration(Fraction(sign * amount), unit), china(), excluded=excluded)
    assert counted.nominal_day == walked


HOUR_PAUSES = [
    ("24 小时", [("2026-09-30 20:00", "2026-09-30 21:30")], "2026-10-01 19:00"),
    ("2 小时", [("2026-09-30 19:30", "2026-09-30 21:30")], "2026-09-30 19:30"),  # used up when it begins
    ("2 小时", [("2026-09-30 17:00", "2026-09-30 18:00")], "2026-09-30 20:00"),  # the start lies inside
    ("-2 小时", [("2026-09-30 16:00", "2026-09-30 17:00")], "2026-09-30 14:30"),
    ("1 工作小时", [("2026-10-08 08:00", "2026-10-08 09:15")], "2026-10-08 10:15"),
    ("1 工作小时", [("2026-10-01 00:00", "2026-10-04 00:00")], "2026-10-08 09:30"),  # closed anyway
]


@pytest.mark.parametrize(("within", "pauses", "due"), HOUR_PAUSES)
def test_excluded_time_does_not_count_for_hours(within: str, pauses: list[tuple[str, str]], due: str) -> None:
    """For hours exactly the excluded time is left out."""
    excluded = [(at(low), at(high)) for low, high in pauses]
    counted = count(at("2026-09-30 17:30"), parse_duration(within), china(), excluded=excluded)
    assert counted.legal_due_at == at(due)


EXTENDED = [
    # base, extension, from, expected legal end
    ("60 日", "10 工作日", ExtensionBase.NOMINAL, "2026-10-20 24:00"),  # nominal Fri 10-02
    ("60 日", "10 工作日", ExtensionBase.ROLLED, "2026-10-21 24:00"),
    ("60 日", "1 月", ExtensionBase.NOMINAL, "2026-11-02 24:00"),
    ("60 日", "1 月", ExtensionBase.ROLLED, "2026-11-09 24:00"),  # 11-08 is a Sunday
    ("1 年", "1 月", ExtensionBase.NOMINAL, "2027-09-03 24:00"),
    ("5 工作日", "2 日", ExtensionBase.NOMINAL, "2026-08-12 24:00"),
    ("24 小时", "12 小时", ExtensionBase.NOMINAL, "2026-08-04 22:00"),
    ("24 小时", "2 日", ExtensionBase.NOMINAL, "2026-08-06 24:00"),
    ("4 工作小时", "4 工作小时", ExtensionBase.NOMINAL, "2026-08-04 11:00"),
    ("1 日", "4 工作小时", ExtensionBase.NOMINAL, "2026-08-05 14:30"),
]


@pytest.mark.parametrize(("within", "extension", "base", "due"), EXTENDED)
def test_extensions_in_another_unit(within: str, extension: str, base: ExtensionBase, due: str) -> None:
    """An extension keeps its own unit and runs from the end of the period it extends."""
    counted = count(
        at("2026-08-03 10:00"),
        parse_duration(within),
        china(),
        extension=parse_duration(extension),
        extension_from=base,
    )
    day, clock = due.split()
    end = at(day) + timedelta(days=1, microseconds=-1) if clock == "24:00" else at(due)
    assert counted.legal_due_at == end


@given(
    st.integers(0, 65_000),
    st.integers(1, 90),
    st.sampled_from(Unit),
    st.sampled_from(Roll),
    st.sampled_from(Cutoff),
    st.sampled_from([None, "5 日", "2 工作日", "1 月", "3 小时"]),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 200)), max_size=2),
)
def test_words_change_nothing_but_the_sentences(
    hours: int,
    amount: int,
    unit: Unit,
    roll: Roll,
    cutoff: Cutoff,
    more: str | None,
    pauses: list[tuple[int, int]],
) -> None:
    """A count that nobody reads ends on the same instants, and only its steps are missing."""
    begins = at("2020-01-01") + timedelta(hours=hours)
    excluded = [(begins + timedelta(hours=a), begins + timedelta(hours=a + b)) for a, b in pauses]
    extension = None if more is None else parse_duration(more)
    length = Duration(Fraction(amount if unit is not Unit.YEAR else 1), unit)
    told, silent = (
        count(begins, length, china(), roll=roll, cutoff=cutoff, extension=extension, excluded=excluded, words=words)
        for words in (True, False)
    )
    assert told.steps
    assert replace(told, steps=()) == silent


def test_a_cut_off_with_the_office_on_a_closed_day_is_midnight() -> None:
    """Without roll the last day may be a holiday; nobody closes then, so it ends at 24:00."""
    counted = count(at("2026-09-16"), parse_duration("15 日"), china(), roll=Roll.NONE, cutoff=Cutoff.OFFICE)
    assert counted.legal_due_at == at("2026-10-02") - timedelta(microseconds=1)


def test_the_steps_tell_how_it_was_reached() -> None:
    """The explanation names the day that does not count, the last day, the holiday and the make-up day."""
    told = [step.text.zh for step in count(at("2026-09-16"), parse_duration("15 日"), china()).steps]
    assert "2026-09-16（周三）不计入" in told[0]
    assert told[1] == "第 15 日：2026-10-01（周四）。"
    assert told[2] == "2026-10-01（周四）是休息日（国庆节），顺延至 2026-10-08（周四）。"
    assert "调休" in count(at("2026-09-25"), parse_duration("15 日"), china()).steps[-1].text.zh
    assert "月末日" in count(at("2026-01-31"), parse_duration("1 月"), china()).steps[2].text.zh
    english = count(at("2026-09-16"), parse_duration("15 日"), china()).steps[2].text.en
    assert "National Day" in english


REFUSED = [
    ("0 日", {}, "长度不能为 0"),
    ("0 工作小时", {}, "长度不能为 0"),
    ("15 日", {"extension": Duration(Fraction(0), Unit.DAY)}, "延期长度必须大于 0"),
    ("-15 日", {"extension": Duration(Fraction(1), Unit.DAY)}, "不能延期"),
    ("15 日", {"excluded": [(at("2026-02-02"), at("2026-02-01"))]}, "先止后起"),
]


@pytest.mark.parametrize(("within", "options", "words"), REFUSED)
def test_what_makes_no_sense_is_refused(within: str, options: dict[str, object], words: str) -> None:
    """Nought, negative extensions and reversed intervals are refused in words."""
    with pytest.raises(CountError) as caught:
        count(at("2026-01-01"), parse_duration(within), china(), **options)  # type: ignore[arg-type]
    assert words in caught.value.message.zh


@pytest.mark.parametrize("unit", Unit)
def test_huge_lengths_are_refused(unit: Unit) -> None:
    """A length no office can mean is refused at once, not counted."""
    with pytest.raises(CountError):
        count(at("2026-01-01"), Duration(Fraction(10**15), unit), china())
    with pytest.raises(CountError):
        shift(at("2026-01-01"), Duration(Fraction(10**15), unit), china())


@pytest.mark.parametrize("length", ["15 日", "5 工作日", "3 月", "1 年", "240 小时", "100 工作小时"])
@pytest.mark.parametrize(("start", "sign"), [("9999-12-30T10:00+08:00", ""), ("0001-01-03T10:00+08:00", "-")])
def test_the_ends_of_time_are_refused_in_words(length: str, start: str, sign: str) -> None:
    """Beyond the years 1 and 9999 there is a sentence, no crash, whatever the zone."""
    for zone in (SHANGHAI, NEW_YORK):
        office = Calendar("office", zone, dict.fromkeys(range(7), ((9 * 3600, 17 * 3600),)))
        with pytest.raises(CountError):
            count(datetime.fromisoformat(start), parse_duration(sign + length), office)


@pytest.mark.parametrize("year", [5, 1066, 2003, 2027, 2099, 2150, 9990])
def test_years_without_notices_are_counted_provisionally(year: int) -> None:
    """No year raises because its holidays are unknown."""
    for within in ("15 日", "5 工作日", "4 工作小时"):
        assert count(datetime(year, 6, 1, tzinfo=UTC), parse_duration(within), china()).provisional


@given(st.dates(date(2005, 1, 1), date(2040, 1, 1)), st.integers(1, 100), st.sampled_from(Unit))
def test_the_legal_end_is_a_working_day_not_before_the_nominal_one(start: date, amount: int, unit: Unit) -> None:
    """Rolling only ever gives time; a rolled last day is a working day; the explanation is never empty."""
    begins = datetime.combine(start, datetime.min.time(), SHANGHAI)
    counted = count(begins, Duration(Fraction(amount), unit), china())
    assert counted.steps
    assert begins < counted.nominal_due_at <= counted.legal_due_at
    if counted.legal_day:
        assert china().is_workday(counted.legal_day)


# --- shift and moments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "by", "end"),
    [
        ("2026-03-07 02:30", "1 日", "2026-03-08 03:00"),  # 02:30 does not exist that day
        ("2026-10-31 01:30", "1 日", "2026-11-01 01:30"),  # the first of the two
        ("2026-03-07 10:00", "24 小时", "2026-03-08 11:00"),
        ("2026-03-07 10:00", "1 日", "2026-03-08 10:00"),
        ("2026-01-31 10:00", "1 月", "2026-02-28 10:00"),
        ("2026-01-31 10:00", "-2 月", "2025-11-30 10:00"),
        ("2026-03-06 16:30", "1 工作小时", "2026-03-09 09:30"),
        ("2026-03-06 16:30", "1 工作日", "2026-03-09 16:30"),
        ("2026-03-06 16:30", "0 日", "2026-03-06 16:30"),
    ],
)
def test_shift_keeps_the_wall_clock_for_days_and_the_time_for_hours(start: str, by: str, end: str) -> None:
    """Days keep what the clock on the wall shows; hours are hours."""
    office = Calendar("office", NEW_YORK, dict.fromkeys(range(5), ((9 * 3600, 17 * 3600),)))
    length = parse_duration(by)
    assert shift(at(start, NEW_YORK), length, office) == at(end, NEW_YORK).astimezone(UTC)
    opposite = Duration(-length.amount, length.unit)
    assert shift(at(start, NEW_YORK), opposite, office, backwards=True) == at(end, NEW_YORK).astimezone(UTC)


def test_moments() -> None:
    """Anchors, shares, times of day and milestones give the instants an administrator means."""
    anchors = {"start": at("2026-09-01 10:00"), "due": at("2026-09-11 10:00"), "received": at("2026-09-02 23:30")}

    def moment(text: str) -> datetime:
        return moment_at(parse_moment(text), anchors, china())

    assert moment("start") == anchors["start"]
    assert moment("start + 50%") == at("2026-09-06 10:00")
    assert moment("start + 50% 09:00") == at("2026-09-06 09:00")
    assert moment("start + 2 小时") == at("2026-09-01 12:00")
    assert moment("received + 1 工作日 09:00") == at("2026-09-03 09:00")
    assert moment("due - 30 分钟") == at("2026-09-11 09:30")
    with pytest.raises(CountError, match="accepted"):
        moment("accepted + 1 日")


def test_counting_a_century_is_quick() -> None:
    """Long working time is jumped over by whole years, not stepped through."""
    office = Calendar("office", NEW_YORK, dict.fromkeys(range(5), ((9 * 3600, 17 * 3600),)))
    start = at("2026-01-05 09:00", NEW_YORK)
    end = shift(start, parse_duration("200000 工作小时"), office)
    assert office.worktime_between(start, end) == timedelta(hours=200_000)
    assert end - start > timedelta(days=95 * 365, seconds=DAY)


def test_a_pause_over_the_closing_hour_ends_on_the_next_working_day() -> None:
    """The office closes at 17:30 and the pause ends at 18:00: the day on which the clock runs again is the next one."""
    pause = (at("2026-10-08 14:00"), at("2026-10-09 18:00"))
    found = count(at("2026-09-16 10:00"), parse_duration("15 日"), china(), cutoff=Cutoff.OFFICE, excluded=(pause,))
    assert found.legal_day == date(2026, 10, 10)
    assert "中止" in "".join(step.text.zh for step in found.steps)


SAME_DAY_ENDS = [
    ("2026-09-16 10:00", {}, "2026-09-16 24:00"),
    ("2026-09-16 10:00", {"cutoff": Cutoff.OFFICE}, "2026-09-16 17:30"),
    ("2026-09-16 19:00", {"cutoff": Cutoff.OFFICE}, "2026-09-17 17:30"),  # the office had closed
    ("2026-09-30 19:00", {"cutoff": Cutoff.OFFICE}, "2026-10-08 17:30"),
    ("2026-09-30 19:00", {}, "2026-09-30 24:00"),
    ("2026-10-02 10:00", {}, "2026-10-08 24:00"),  # a day off: the next working day
    ("2026-10-02 10:00", {"cutoff": Cutoff.OFFICE}, "2026-10-08 17:30"),
    ("2026-10-02 10:00", {"roll": Roll.NONE}, "2026-10-02 24:00"),
    ("2026-10-10 10:00", {}, "2026-10-10 24:00"),  # a Saturday that is worked
    ("2026-09-16 10:00", {"extension": parse_duration("2 日")}, "2026-09-18 24:00"),
]


@pytest.mark.parametrize(("start", "options", "ends"), SAME_DAY_ENDS)
def test_a_limit_of_the_same_day_ends_at_the_cut_off_of_the_day_it_starts(
    start: str, options: dict[str, Any], ends: str
) -> None:
    """On a day off, or once the office has closed, at that of the next day that counts."""
    day, _, clock = ends.partition(" ")
    counted = count(at(start), SAME_DAY, china(), same_day=True, **options)
    midnight = at(day) + timedelta(days=1) - timedelta(microseconds=1)
    assert counted.legal_due_at == (midnight if clock == "24:00" else at(ends))
    assert counted.legal_due_at > at(start)


def test_the_same_day_is_told() -> None:
    """Which day, and why it is not that day."""
    told = [step.text.zh for step in count(at("2026-09-30 19:00"), SAME_DAY, china(), same_day=True).steps]
    assert told == ["自 2026-09-30（周三）起算，当日届满。"]
    late = count(at("2026-09-30 19:00"), SAME_DAY, china(), cutoff=Cutoff.OFFICE, same_day=True).steps
    assert late[1].text.zh == "2026-09-30（周三）已下班，次日届满。"
    assert late[2].text.zh.endswith("顺延至 2026-10-08（周四）。")
