"""Lengths and moments: what an office writes is read, and what is written back is read the same."""

from __future__ import annotations

from datetime import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.duration import (
    LONGEST,
    Duration,
    DurationError,
    Moment,
    Unit,
    format_duration,
    format_moment,
    parse_duration,
    parse_moment,
)

LENGTHS = [
    ("15 日", 15, Unit.DAY),
    ("15天", 15, Unit.DAY),
    ("15 自然日", 15, Unit.DAY),
    ("15 days", 15, Unit.DAY),
    ("1 day", 1, Unit.DAY),
    ("5 工作日", 5, Unit.WORKDAY),
    ("5个工作日", 5, Unit.WORKDAY),
    ("5 workdays", 5, Unit.WORKDAY),
    ("5 working days", 5, Unit.WORKDAY),
    ("3 月", 3, Unit.MONTH),
    ("3 个月", 3, Unit.MONTH),
    ("3 Months", 3, Unit.MONTH),
    ("1 年", 1, Unit.YEAR),
    ("2 years", 2, Unit.YEAR),
    ("24 小时", 24, Unit.HOUR),
    ("24 hours", 24, Unit.HOUR),
    ("1.5 小时", Fraction(3, 2), Unit.HOUR),
    ("30 分钟", Fraction(1, 2), Unit.HOUR),
    ("30 minutes", Fraction(1, 2), Unit.HOUR),
    ("4 工作小时", 4, Unit.WORKHOUR),
    ("4 workhours", 4, Unit.WORKHOUR),
    ("4 working hours", 4, Unit.WORKHOUR),
    ("90 工作分钟", Fraction(3, 2), Unit.WORKHOUR),
    ("-3 工作日", -3, Unit.WORKDAY),
    ("－３　工作日", -3, Unit.WORKDAY),
    ("−3 workdays", -3, Unit.WORKDAY),
    ("＋１５日", 15, Unit.DAY),
    ("0 日", 0, Unit.DAY),
]

MOMENTS = [
    ("start", Moment("start")),
    ("due", Moment("due")),
    ("due 09:00", Moment("due", at=time(9))),
    ("due - 3 工作日 09:00", Moment("due", Duration(Fraction(-3), Unit.WORKDAY), at=time(9))),
    ("due-3工作日9:00", Moment("due", Duration(Fraction(-3), Unit.WORKDAY), at=time(9))),
    ("due + 1 workday 09:00", Moment("due", Duration(Fraction(1), Unit.WORKDAY), at=time(9))),
    ("start + 2 小时", Moment("start", Duration(Fraction(2), Unit.HOUR))),
    ("start + 50%", Moment("start", share=Fraction(1, 2))),
    ("start＋５０％ ０９：００", Moment("start", share=Fraction(1, 2), at=time(9))),
    ("accepted_at + 15 日", Moment("accepted_at", Duration(Fraction(15), Unit.DAY))),
    ("受理时间 + 15 日 17:30", Moment("受理时间", Duration(Fraction(15), Unit.DAY), at=time(17, 30))),
]

NOT_LENGTHS = [
    "",
    "日",
    "十五",
    "1.5 日",
    "0.5 工作日",
    "2 周",
    "2 weeks",
    "5 foos",
    "1e3 日",
    "99999999 日",
    "1.2.3 小时",
]
NOT_MOMENTS = ["", "- 3 日", "due -", "due - 3", "due 25:00", "due 09:60", "due + 50%", "start + 101%", "start - 50%"]


@pytest.mark.parametrize(("text", "amount", "unit"), LENGTHS)
def test_a_length_is_read(text: str, amount: Fraction, unit: Unit) -> None:
    """Chinese and English, narrow and full width, with and without blanks mean the same length."""
    assert parse_duration(text) == Duration(Fraction(amount), unit)


@pytest.mark.parametrize("text", ["15", "-15", "１５", " 15 "])
def test_statement_23_a_length_without_unit_is_refused(text: str) -> None:
    """A bare number is refused, and the message says which units could be meant."""
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert "没有写单位" in caught.value.message.zh
    assert "15 工作日" in caught.value.message.zh
    assert "15 workdays" in caught.value.message.en


@pytest.mark.parametrize("text", [*NOT_LENGTHS, "15 日 内外"])
def test_what_is_no_length_is_refused_in_both_languages(text: str) -> None:
    """Everything else is refused with a sentence in Chinese and one in English."""
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert caught.value.message.zh
    assert caught.value.message.en


def test_weeks_are_refused_with_the_days_to_write() -> None:
    """Somebody who writes weeks is told how many days that is."""
    with pytest.raises(DurationError, match="14 days"):
        parse_duration("2 周")


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
def test_a_moment_is_read(text: str, moment: Moment) -> None:
    """Anchor, signed length, share and time of day are told apart however they are spaced."""
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", NOT_MOMENTS)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """A moment that could be misunderstood is refused."""
    with pytest.raises(DurationError):
        parse_moment(text)


@st.composite
def durations(draw: st.DrawFn) -> Duration:
    """Any length that can be written."""
    unit = draw(st.sampled_from(Unit))
    whole = st.integers(-LONGEST[unit], LONGEST[unit])
    if unit in {Unit.HOUR, Unit.WORKHOUR}:
        return Duration(Fraction(draw(whole), draw(st.sampled_from([1, 2, 60, 100]))), unit)
    return Duration(Fraction(draw(whole)), unit)


@given(durations(), st.sampled_from(["zh", "en"]))
def test_a_length_written_is_read_back(duration: Duration, language: str) -> None:
    """Parse is the inverse of format, in both languages."""
    assert parse_duration(format_duration(duration, "zh" if language == "zh" else "en")) == duration


@given(
    st.sampled_from(["start", "due", "accepted_at", "受理时间"]),
    st.none() | durations(),
    st.none() | st.times().map(lambda t: t.replace(microsecond=0)),
    st.sampled_from(["zh", "en"]),
)
def test_a_moment_written_is_read_back(anchor: str, offset: Duration | None, at: time | None, language: str) -> None:
    """Parse is the inverse of format for moments too."""
    moment = Moment(anchor, offset, at=at)
    assert parse_moment(format_moment(moment, "zh" if language == "zh" else "en")) == moment


@given(st.integers(0, 100), st.none() | st.just(time(9)))
def test_a_share_written_is_read_back(percent: int, at: time | None) -> None:
    """`start + n%` survives being written and read."""
    moment = Moment("start", share=Fraction(percent, 100), at=at)
    assert parse_moment(format_moment(moment, "zh")) == moment


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever is typed is either understood or refused with a sentence."""
    for parse in (parse_duration, parse_moment):
        try:
            parse(text)
        except DurationError as error:
            assert error.message.zh  # noqa: PT017 - both outcomes are right, only a third one is not


@pytest.mark.parametrize(
    ("text", "amount", "unit", "shown"),
    [
        ("90 秒", Fraction(90, 3600), Unit.HOUR, "90 秒"),
        ("45 工作秒", Fraction(45, 3600), Unit.WORKHOUR, "45 工作秒"),
        ("5401 workseconds", Fraction(5401, 3600), Unit.WORKHOUR, "5401 工作秒"),
        ("1 second", Fraction(1, 3600), Unit.HOUR, "1 秒"),
    ],
)
def test_seconds_are_exact(text: str, amount: Fraction, unit: Unit, shown: str) -> None:
    """A length in seconds loses nothing, and is written back in seconds where minutes would not be whole."""
    length = parse_duration(text)
    assert length == Duration(amount, unit)
    assert format_duration(length, "zh") == shown
    assert parse_duration(shown) == length
