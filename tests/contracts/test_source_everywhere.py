"""What every kind of shared database must give alike: one suite over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.errors import SourceUnavailable
from policies.duration import Duration, Unit
from support.source_shapes import (
    NATIONAL,
    NATIONAL_MAPPING,
    SHANGHAI,
    OtherSystem,
    petition,
    read_all,
    reasons,
    source_on,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.source.database import DatabaseSource

NOW = datetime(2026, 9, 20, 4, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def other(request: pytest.FixtureRequest) -> OtherSystem:
    """A petition system with the national field names and no rows yet."""
    system = OtherSystem(request.getfixturevalue(f"{request.param}_url"))
    system.run(NATIONAL)
    return system


@pytest.fixture
def source(other: OtherSystem) -> Iterator[DatabaseSource]:
    """The reader under test."""
    with source_on(other.url, NATIONAL_MAPPING, now=NOW) as opened:
        yield opened


def local(text: str) -> datetime:
    """An instant given as Shanghai's clock shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_row_becomes_case(other: OtherSystem, source: DatabaseSource) -> None:
    """Milestones come out aware, codes translated, the personal column left out."""
    other.insert("xfjxx", petition("X1", issecret="1", xfmdlb="2", sfssbz="1"))
    cases, bad, _ = read_all(source)
    case = cases["X1"]
    assert bad == []
    assert case.milestones["arrived_at"] == local("2026-09-17T10:00:00")
    assert case.milestones["arrived_at"].tzinfo is UTC
    assert "finished_at" not in case.milestones
    assert dict(case.fields) == {"kind": "建议", "litigation": True, "urgent": False}
    assert (case.unit, case.handler, case.restricted, case.open) == ("D1", "P1", True, True)


def test_related_rows(other: OtherSystem, source: DatabaseSource) -> None:
    """Hand-overs and extensions are attached to their own case, in order, also when read again by key."""
    other.insert("xfjxx", petition("X1"), petition("X2"))
    other.insert(
        "zbjl",
        {"xfjbh": "X1", "xh": 2, "blsj": "2026-09-19 09:00:00", "cljgdm": "D1", "qxjgdm": "D2", "blr": "P2"},
        {"xfjbh": "X1", "xh": 1, "blsj": "2026-09-17 10:00:00", "cljgdm": "D0", "qxjgdm": "D1", "blr": "P1"},
    )
    other.insert(
        "yqjl",
        {
            "xfjbh": "X2",
            "xh": 1,
            "yqts": 30,
            "pzsj": "2026-09-18 09:00:00",
            "pzr_zw": "主要负责人",
            "gzxfrsj": "2026-09-19",
        },
    )
    scanned, _, _ = read_all(source)
    again, _ = source.reread(["X1", "X2"])
    assert scanned == again
    assert [transfer.to_unit for transfer in again["X1"].transfers] == ["D1", "D2"]
    (extension,) = again["X2"].extensions
    assert extension.length == Duration(Fraction(30), Unit.DAY)
    assert extension.approved_by == "principal"
    assert extension.petitioner_told_at == local("2026-09-19T00:00:00")


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_pages_lose_nothing(other: OtherSystem, source: DatabaseSource, page_size: int) -> None:
    """Whatever the page size, a full scan gives every case once; equal change times do not matter."""
    keys = [f"X{number}" for number in range(7)]
    other.insert("xfjxx", *(petition(key) for key in keys))
    pages = list(source.changed_since(None, page_size))
    assert [case.key for page in pages for case in page.cases] == keys
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
    watermark = pages[-1].watermark
    changed = [case.key for page in source.changed_since(watermark, page_size) for case in page.cases]
    assert changed == keys


def test_only_changes_are_read(other: OtherSystem, source: DatabaseSource) -> None:
    """After the first scan only newer rows come, and those within the overlap, and those without a change time."""
    other.insert("xfjxx", petition("X1", sjc="2026-09-17 08:00:00"), petition("X2", sjc="2026-09-17 10:00:00"))
    other.insert("xfjxx", petition("X0", sjc=None))
    _, _, watermark = read_all(source)
    other.insert("xfjxx", petition("X3", sjc="2026-09-17 09:55:00"), petition("X4", sjc="2026-09-18 08:00:00"))
    cases, _, later = read_all(source, watermark)
    assert set(cases) == {"X0", "X2", "X3", "X4"}
    cases, _, _ = read_all(source, later)
    assert set(cases) == {"X0", "X4"}


def test_interrupted_scan_goes_on(other: OtherSystem, source: DatabaseSource) -> None:
    """A watermark from the middle of a full scan continues it; rows changed meanwhile come afterwards."""
    other.insert("xfjxx", *(petition(f"X{number}") for number in range(6)))
    first = next(source.changed_since(None, 2))
    other.run("UPDATE xfjxx SET sjc = '2026-09-18 00:00:00' WHERE xfjbh = 'X0'")
    rest, _, watermark = read_all(source, first.watermark, 2)
    assert set(rest) == {"X2", "X3", "X4", "X5"}
    changed, _, _ = read_all(source, watermark, 2)
    assert "X0" in changed


def test_future_change_time_does_not_blind(other: OtherSystem, source: DatabaseSource) -> None:
    """A row changed “in 2099” does not move the watermark: later changes are still seen."""
    other.insert("xfjxx", petition("X1"), petition("X9", sjc="2099-01-01 00:00:00"))
    _, _, watermark = read_all(source)
    assert source.newest_change_at() == local("2026-09-17T10:00:00")
    _, _, watermark = read_all(source, watermark)
    other.insert("xfjxx", petition("X2", sjc="2026-09-19 10:00:00"))
    cases, _, _ = read_all(source, watermark)
    assert "X2" in cases


def test_changed_mapping_reads_everything_again(other: OtherSystem, source: DatabaseSource) -> None:
    """A watermark made under another mapping, or no watermark of ours at all, means a full scan."""
    other.insert("xfjxx", petition("X1", sjc="2026-01-01 00:00:00"), petition("X2"))
    _, _, watermark = read_all(source)
    cases = NATIONAL_MAPPING["cases"]
    fewer = {**NATIONAL_MAPPING, "cases": {**cases, "columns": {}}}
    with source_on(other.url, fewer, now=NOW) as changed:
        assert set(read_all(changed, watermark)[0]) == {"X1", "X2"}
        assert set(read_all(changed, "rubbish")[0]) == {"X1", "X2"}


def test_gone_keys_show(other: OtherSystem, source: DatabaseSource) -> None:
    """A deleted case is missing from all keys and from what is read again."""
    other.insert("xfjxx", petition("X1"), petition("X2"))
    assert list(source.all_keys()) == ["X1", "X2"]
    other.run("DELETE FROM xfjxx WHERE xfjbh = 'X1'")
    assert list(source.all_keys()) == ["X2"]
    again, bad = source.reread(["X1", "X2"])
    assert set(again) == {"X2"}
    assert bad == ()


def test_poison_rows_stop_nobody(other: OtherSystem, source: DatabaseSource) -> None:
    """Unreadable rows are listed with their reason, the others are read; no finding says a case has left."""
    other.insert(
        "xfjxx",
        petition("A-good"),
        petition("B-date", ddzrdwsj="前天下午"),
        petition(None),  # type: ignore[arg-type]
        petition("C-twice"),
        petition("C-twice", djsj="2026-09-01 00:00:00"),
        petition("D-century", ddzrdwsj="0206-09-17 10:00:00"),
        petition("E-future", xbjzsj="2206-09-17 10:00:00"),
        petition("F-bool", sfssbz="？"),
        petition("G-surname", blr="𠮷", bz="长" * 1000),
        petition("H-extension"),
        petition("I-transfer"),
    )
    other.insert("yqjl", {"xfjbh": "H-extension", "xh": 1, "yqts": -3, "pzsj": "2026-09-18 09:00:00"})
    other.insert("zbjl", {"xfjbh": "I-transfer", "xh": 1, "blsj": None, "qxjgdm": "D2"})
    cases, bad, _ = read_all(source, page_size=3)
    assert set(cases) == {"A-good", "G-surname", "I-transfer"}
    assert reasons(bad) == {
        ("cases", "B-date"),
        ("cases", "（无编号）"),
        ("cases", "C-twice"),
        ("cases", "D-century"),
        ("cases", "E-future"),
        ("cases", "F-bool"),
        ("extensions", "H-extension"),
        ("transfers", "I-transfer"),
    }
    by_row = {one.row: one for one in bad}
    assert "arrived_at" in by_row["B-date"].reason
    assert "前天" not in by_row["B-date"].reason
    again, bad_again = source.reread(["B-date", "C-twice", "H-extension", "gone"])
    assert again == {}
    assert {one.case for one in bad_again if one.set_aside} == {"B-date", "C-twice", "H-extension"}


def test_people(other: OtherSystem, source: DatabaseSource) -> None:
    """Numbers become international, findings are listed, and nobody is lost over a missing number."""
    other.insert(
        "jgxx",
        {"jgdm": "D0", "jgmc": "某市信访局", "sjjgdm": None},
        {"jgdm": "D1", "jgmc": "甲科", "sjjgdm": "D0"},
        {"jgdm": "D2", "jgmc": "乙科", "sjjgdm": "D2"},
        {"jgdm": "D3", "jgmc": "丙科", "sjjgdm": "D9"},
    )
    other.insert(
        "ryxx",
        {"rydm": "P1", "xm": "承办人甲", "jgdm": "D1", "sjh": "138 0000 0001", "yx": "a@example.com", "zt": "1"},
        {"rydm": "P2", "xm": "承办人乙", "jgdm": "D1", "sjh": "12345", "yx": "b@example.com", "zt": "0"},
        {"rydm": "P3", "xm": "承办人丙", "jgdm": "D8", "sjh": None, "yx": "", "zt": None},
        {"rydm": "P4", "xm": "承办人丁", "jgdm": "D1", "sjh": "13800000004", "yx": "not an address", "zt": "1"},
        {"rydm": "P5", "xm": "一", "jgdm": "D1", "sjh": "13800000005", "yx": None, "zt": "1"},
        {"rydm": "P5", "xm": "二", "jgdm": "D1", "sjh": "13800000006", "yx": None, "zt": "1"},
    )
    other.insert(
        "gwxx",
        {"jgdm": "D1", "zw": "科室负责人", "rydm": "P1", "qssj": "2026-01-01", "jssj": "2026-06-30"},
        {"jgdm": "D1", "zw": "主要负责人", "rydm": "P9", "qssj": None, "jssj": None},
    )
    directory, bad = source.read_directory()
    assert directory.officials["P1"].addresses == {"sms": "+8613800000001", "email": "a@example.com"}
    assert directory.officials["P2"].addresses == {"email": "b@example.com"}
    assert directory.officials["P2"].active is False
    assert directory.officials["P3"].addresses == {}
    assert directory.units["D1"].parent == "D0"
    assert directory.units["D2"].parent is None
    assert directory.units["D3"].parent is None
    (post,) = directory.posts
    assert post.role == "section_head"
    assert post.to_at is not None
    assert post.to_at + timedelta(microseconds=1) == local("2026-07-01T00:00:00")
    assert reasons(bad) == {
        ("officials", "P2"),
        ("officials", "P3"),
        ("officials", "P4"),
        ("officials", "P5"),
        ("units", "D2"),
        ("units", "D3"),
        ("posts", "D1/principal/P9"),
    }
    assert not any("1380000" in one.reason or "@" in one.reason for one in bad)


def test_unknown_handler_goes_on(other: OtherSystem, source: DatabaseSource) -> None:
    """A case whose handler or unit nobody knows is kept, and listed so that somebody mends it."""
    other.insert("jgxx", {"jgdm": "D1", "jgmc": "甲科", "sjjgdm": None})
    other.insert("ryxx", {"rydm": "P1", "xm": "承办人", "jgdm": "D1", "sjh": "13800000001", "yx": None, "zt": "1"})
    other.insert("xfjxx", petition("X1"), petition("X2", blr="P7", qxjgdm="D7"))
    source.read_directory()
    cases, bad, _ = read_all(source)
    assert set(cases) == {"X1", "X2"}
    assert [(one.case, one.set_aside) for one in bad] == [("X2", False), ("X2", False)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO jgxx (jgdm) VALUES ('Z')",
        "UPDATE xfjxx SET bjbz = '1'",
        "DELETE FROM xfjxx",
        "CREATE TABLE mine (a INTEGER)",
    ],
)
def test_writing_is_refused(other: OtherSystem, source: DatabaseSource, statement: str) -> None:
    """Even with an account that may write, the server or driver refuses to write on our connection."""
    other.insert("xfjxx", petition("X1"))
    with source._engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.exec_driver_sql(statement)
    assert list(source.all_keys()) == ["X1"]


def test_other_system_keeps_writing(other: OtherSystem, source: DatabaseSource) -> None:
    """Reading in the middle of a scan holds no lock: the other system writes meanwhile."""
    other.insert("xfjxx", *(petition(f"X{number}") for number in range(4)))
    pages = source.changed_since(None, 2)
    next(pages)
    other.run("UPDATE xfjxx SET bjbz = '1' WHERE xfjbh = 'X3'")
    rest = {case.key: case for page in pages for case in page.cases}
    assert rest["X3"].open is False


def test_missing_table_is_said_plainly(other: OtherSystem) -> None:
    """A table that is not there is an error in words, without the password."""
    mapping = {"cases": {"table": "no_such_table", "key": "k"}}
    with source_on(other.url, mapping, now=NOW) as source, pytest.raises(SourceUnavailable) as caught:
        list(source.all_keys())
    assert "only-for-tests" not in caught.value.message.zh
    assert "no_such_table" in caught.value.message.zh


def test_names_are_quoted(other: OtherSystem) -> None:
    """Reserved words, capitals and Chinese names of tables and columns are read as they are."""
    quote = other._engine.dialect.identifier_preparer.quote_identifier
    names = {"key": "order", "kind": "类别", "at": "ArrivedAt"}
    table, order, kind, at = (quote(name) for name in ("信访 件", *names.values()))
    other.run(f"CREATE TABLE {table} ({order} INTEGER, {kind} VARCHAR(10), {at} VARCHAR(30))")
    other.run(f"INSERT INTO {table} VALUES (7, '求决', '2026-09-17')")  # noqa: S608 - quoted above
    mapping = {
        "cases": {
            "table": "信访 件",
            "key": names["key"],
            "columns": {"kind": names["kind"]},
            "milestones": {"arrived_at": names["at"]},
        },
    }
    with source_on(other.url, mapping, now=NOW) as source:
        cases, bad, _ = read_all(source)
        again, _ = source.reread(["7", "not a number"])
    assert bad == []
    assert cases == again
    assert cases["7"].fields == {"kind": "求决"}


def test_filters_and_sql_text(other: OtherSystem) -> None:
    """A filter, an open condition and a query may hold colons, per cent signs and quotes."""
    other.insert("xfjxx", petition("X1", bz="10:30 100%"), petition("Y2", bz="x"), petition("Z3", bz="10:30 100%"))
    mapping = {
        "cases": {
            "sql": "SELECT xfjbh, bjbz, '10:30' AS clock FROM xfjxx WHERE bz LIKE '%10:30%' OR bz = 'x';",
            "where": "xfjbh NOT LIKE 'Z%'",
            "key": "xfjbh",
            "columns": {"clock": "clock"},
            "open": "bjbz <> '1' AND xfjbh LIKE 'X%' AND '10:30' = clock",
        },
    }
    with source_on(other.url, mapping, now=NOW) as source:
        cases, _, watermark = read_all(source, page_size=1)
    assert {key: case.open for key, case in cases.items()} == {"X1": True, "Y2": False}
    assert cases["X1"].fields == {"clock": "10:30"}
    assert watermark is None


@given(times=st.lists(st.integers(0, 5) | st.none(), min_size=1, max_size=12), page_size=st.integers(1, 4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_is_missed(other: OtherSystem, times: list[int | None], page_size: int) -> None:
    """Whatever the change times and page size, an incremental reading gives every row at or after the watermark."""
    other.run("DELETE FROM xfjxx")
    other.insert("xfjxx", petition("X-start", sjc="2026-09-17 10:03:00"))
    mapping: dict[str, Any] = {**NATIONAL_MAPPING, "overlap": "0 分钟"}
    with source_on(other.url, mapping, now=NOW) as source:
        _, _, watermark = read_all(source)
        stamps = [None if minute is None else f"2026-09-17 10:0{minute}:00" for minute in times]
        other.insert("xfjxx", *(petition(f"X{number}", sjc=stamp) for number, stamp in enumerate(stamps)))
        cases, _, _ = read_all(source, watermark, page_size)
    expected = {f"X{number}" for number, minute in enumerate(times) if minute is None or minute >= 3}
    assert set(cases) == expected | {"X-start"}
