"""The schema of the mapping: every mistake at once, in words, with the path of its key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.mapping import Column, MappingError, SourceMapping, means_end_of_day
from daemon.source.changes import ChangeForm, Watermark
from daemon.source.guess import Confidence, guess_from
from daemon.source.people import sms_address
from daemon.source.values import BadValue, Reading, bool_converter, field_converter, instant_converter, shown
from daemon.yamlfile import read_yaml

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
CASES = {"table": "t", "key": "k"}


def mapping(**parts: Any) -> SourceMapping:
    """A mapping with these parts."""
    return SourceMapping.model_validate({"url": "sqlite:///x", "cases": CASES, **parts})


def mistakes(**parts: Any) -> set[str]:
    """The key paths of all mistakes in a mapping with these parts."""
    with pytest.raises(ValidationError) as caught:
        mapping(**parts)
    return {".".join(map(str, error["loc"])) for error in caught.value.errors()}


HOW = Reading.of(mapping(), SHANGHAI, NOW)


def test_all_mistakes_at_once() -> None:
    """A wrong zone, an unknown key, a length in working days and a format without a year are all reported."""
    found = mistakes(
        time_zone="Mars/Olympus",
        overlap="10 工作日",
        colour="red",
        cases={**CASES, "milestones": {"arrived_at": {"column": "a", "format": "%d"}, "finished": "b"}},
        officials={"table": "p", "key": "k"},
    )
    assert found >= {"time_zone", "overlap", "colour", "cases.milestones.arrived_at.format", "officials.name"}
    assert any(path.startswith("cases.milestones.finished") for path in found)


@pytest.mark.parametrize(
    "cases",
    [
        {"key": "k"},
        {**CASES, "view": "v"},
        {**CASES, "open": {"column": "c"}},
        {**CASES, "open": {"column": "c", "sql": "1 = 1"}},
        {**CASES, "open": {"column": "c", "in": ["1"], "not_in": ["2"]}},
        {**CASES, "columns": {"a_at": "x"}, "milestones": {"a_at": "y"}},
        {**CASES, "changed": {"column": "c", "format": "%d/%m/%Y"}},
        {**CASES, "changed": {"column": "c", "format": ["%Y-%m-%d", "%Y/%m/%d"]}},
        {**CASES, "handler": {"column": "c", "personal": True}},
    ],
)
def test_contradictions(cases: dict[str, Any]) -> None:
    """What cannot be meant is refused with a sentence in both languages."""
    with pytest.raises(ValidationError) as caught:
        mapping(cases=cases)
    (error,) = caught.value.errors()
    reason = error["ctx"]["error"]
    assert isinstance(reason, MappingError)
    assert reason.message.zh
    assert reason.message.en


def test_short_forms() -> None:
    """A column may be just its name, codes may be numbers, lengths are written as elsewhere."""
    read = mapping(
        overlap="1 小时",
        cases={
            **CASES,
            "columns": {"kind": {"column": "c", "values": {1: "求决"}}},
            "open": {"column": "s", "in": [0]},
        },
    )
    assert read.overlap == timedelta(hours=1)
    assert read.cases.key == Column(column="k")
    assert read.cases.columns["kind"].values == {"1": "求决"}
    assert read.cases.open is not None
    assert read.cases.open.among == ("0",)


def test_names_for_policies() -> None:
    """Policies may ask for mapped milestones, also those that come as events, and for fields that are not personal."""
    read = mapping(
        cases={
            **CASES,
            "columns": {"kind": "a", "petitioner": {"column": "b", "personal": True}},
            "milestones": {"arrived_at": "c"},
        },
        milestones={"table": "e", "case": "k", "name": {"column": "n", "values": {"BJ": "finished_at"}}, "at": "t"},
    )
    assert read.milestone_names() == {"arrived_at", "finished_at"}
    assert read.field_names() == {"kind"}


def test_shipped_mapping() -> None:
    """The mapping that is shipped fits the schema."""
    file = read_yaml(Path(__file__).parents[2] / "config" / "source.yaml")
    read = SourceMapping.model_validate(file.tree)
    assert set(read.entities()) >= {"cases", "units", "officials", "posts", "transfers", "extensions"}
    assert "accepted_at" in read.milestone_names()


def test_password_is_not_shown() -> None:
    """Neither the address nor the password appears when a mapping is printed."""
    read = SourceMapping.model_validate({"url": "mysql://u:open-secret@h/d", "cases": CASES, "password": "hidden"})
    assert "open-secret" not in repr(read)
    assert "hidden" not in repr(read)


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "local"),
    [
        ("2026-09-17 10:00:00", "2026-09-17T10:00:00"),
        ("2026-09-17T02:00:00Z", "2026-09-17T10:00:00"),
        ("2026-09-17", "2026-09-17T00:00:00"),
        ("20260917", "2026-09-17T00:00:00"),
        (20260917, "2026-09-17T00:00:00"),
        ("20260917100000", "2026-09-17T10:00:00"),
        ("2026/9/7 9:05", "2026-09-07T09:05:00"),
        ("2026年9月7日", "2026-09-07T00:00:00"),
        (" 2026-09-17 10:00:00 ", "2026-09-17T10:00:00"),
        (1789610400, "2026-09-17T10:00:00"),
        ("1789610400000", "2026-09-17T10:00:00"),
        (b"2026-09-17 10:00:00", "2026-09-17T10:00:00"),
    ],
)
def test_instants(raw: object, local: str) -> None:
    """Dates in the ways they are found become the same instants."""
    convert = instant_converter("arrived_at", Column(column="c"), HOW)
    assert convert(raw) == datetime.fromisoformat(local).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize("raw", [None, "", "NULL", "0000-00-00 00:00:00", "1970-01-01", datetime(1970, 1, 1), 0])  # noqa: DTZ001 - as drivers give it
def test_nothing_there(raw: object) -> None:
    """What means “nothing here” is no instant and no mistake."""
    convert = instant_converter("arrived_at", Column(column="c"), Reading.of(mapping(), ZoneInfo("UTC"), NOW))
    assert convert(raw) is None


@pytest.mark.parametrize("raw", ["前天", "2026-13-01", "2026-02-30 10:00", 17, True, "0206-09-17", "2206-09-17", 1e30])
def test_not_an_instant(raw: object) -> None:
    """What cannot be read, or is in the wrong century, is said so without repeating its text."""
    with pytest.raises(BadValue) as caught:
        instant_converter("arrived_at", Column(column="c"), HOW)(raw)
    assert "前天" not in caught.value.reason


@given(st.text(max_size=30) | st.integers() | st.floats() | st.binary(max_size=9) | st.dates() | st.datetimes())
def test_nothing_breaks_the_converters(raw: object) -> None:
    """Whatever stands in a column, a converter gives a value or BadValue, never another error."""
    for kind in (None, "text", "number", "bool", "instant", "date"):
        column = Column.model_validate({"column": "c", "type": kind})
        try:
            value = field_converter("x", column, HOW)(raw)
        except BadValue:
            continue
        assert value is None or isinstance(value, str | int | float | datetime)


@pytest.mark.parametrize(
    ("name", "day", "end"),
    [("limit_at", None, True), ("due_at", None, True), ("arrived_at", None, False), ("limit_at", "start", False)],
)
def test_which_end_of_the_day(name: str, day: str | None, end: bool) -> None:
    """A bare date means the end of the day for limits and its beginning otherwise, unless the mapping says so."""
    assert means_end_of_day(name, Column.model_validate({"column": "c", "day": day})) is end


def test_personal_values_are_not_shown() -> None:
    """A message about a bad value repeats only what looks like a date or a short figure."""
    assert shown("2026-13-01") == "“2026-13-01”"
    for private in ("13800000001", "张三", "a@example.com", "110101199001011234"):
        assert private not in shown(private)


def test_yes_and_no() -> None:
    """Flags in all their spellings, bits included; anything else is a mistake."""
    convert = bool_converter("urgent", Column(column="c"), HOW)
    assert [convert(raw) for raw in (1, "1", "是", True, b"\x01", "Y")] == [True] * 6
    assert [convert(raw) for raw in (0, "0", "否", False, b"\x00", "n")] == [False] * 6
    with pytest.raises(BadValue):
        convert("也许")


def test_mobile_numbers() -> None:
    """Chinese mobiles in any spelling become E.164; what no plan knows is refused."""
    for raw in ("13800000001", "138-0000-0001", "+86 138 0000 0001", "１３８００００００01"):
        assert sms_address(raw, "CN") == "+8613800000001"
    assert sms_address("12345", "CN") is None
    assert sms_address("无", "CN") is None


# --- watermarks --------------------------------------------------------------------------------------------


@given(
    changed=st.none() | st.integers(0) | st.text(max_size=20) | st.dates() | st.datetimes(),
    after=st.none() | st.integers() | st.text(max_size=20),
)
def test_watermark_survives(changed: object, after: object) -> None:
    """A watermark written and read back is the same; under another mapping it is void."""
    mark = Watermark("m", changed, after)
    assert Watermark.read(mark.write(), "m") == mark
    assert Watermark.read(mark.write(), "other") is None


@pytest.mark.parametrize(
    ("raw", "layout", "earlier"),
    [
        ("2026-09-17 10:00:00", None, "2026-09-17 09:50:00"),
        ("2026-09-17T10:00:00.123", None, "2026-09-17T09:50:00"),
        ("2026/09/17 10:00", None, "2026/09/17 09:50"),
        ("2026-09-17", None, "2026-09-16"),
        ("20260917100000", "%Y%m%d%H%M%S", "20260917095000"),
        ("2026-09-17T02:00:00+00:00", None, "2026-09-17T01:50:00"),
        (1789610400, None, 1789609800),
        (1789610400000, "epoch_ms", 1789609800000),
        (42, None, 42),
        ("row 42", None, "row 42"),
    ],
)
def test_overlap_keeps_the_form(raw: object, layout: str | None, earlier: object) -> None:
    """Going back by the overlap gives a value of the same form, so that the database compares it rightly."""
    assert ChangeForm(SHANGHAI, layout).before(raw, timedelta(minutes=10)) == earlier


# --- guessing ----------------------------------------------------------------------------------------------


def test_guesses_national_names() -> None:
    """The national field names are recognised with high confidence, whatever their case."""
    cases, units = guess_from(
        {
            "SYS_LOG": ["ID", "MSG"],
            "XFJXX": ["XFJBH", "DDZRDWSJ", "ZRDWSLSJ", "XBJZSJ", "BJBZ", "SJC", "QXJGDM"],
            "JGXX": ["JGDM", "JGMC", "SJJGDM"],
        }
    )
    assert (cases.entity, cases.table, units.entity, units.table) == ("cases", "XFJXX", "units", "JGXX")
    by_path = {".".join(guess.path): guess for guess in cases.columns}
    assert by_path["milestones.accepted_at"].column == "ZRDWSLSJ"
    assert {guess.confidence for guess in cases.columns} == {Confidence.HIGH}


def test_guesses_small_office_and_nothing() -> None:
    """A small office's table is recognised with medium confidence; unrelated tables are not."""
    table = ["receiptno", "servicedept", "receiver", "receivetime", "processtime", "actualreplytime", "status"]
    (cases,) = guess_from({"sys_petition_letter": table})
    assert {guess.confidence for guess in cases.columns} == {Confidence.MEDIUM}
    assert guess_from({"t": ["id", "a", "b"]}) == ()
