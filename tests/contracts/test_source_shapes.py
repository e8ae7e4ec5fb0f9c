"""Databases as they are found: a small office's table, a complaint extract with text dates, events as rows."""

from __future__ import annotations

import socket
import sqlite3
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from daemon.errors import SettingsError, SourceUnavailable, SourceWritable
from daemon.source.compat_dialect import version_in
from support.source_shapes import NATIONAL, NATIONAL_MAPPING, SHANGHAI, OtherSystem, petition, read_all, source_on

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
CASES_ONLY: dict[str, Any] = {"cases": {"table": "xfjxx", "key": "xfjbh"}}


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    """An instant as a clock of that zone shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_small_office(postgresql_url: str) -> None:
    """One table with native timestamps, dates and whole-number keys; a date as limit means the end of its day."""
    other = OtherSystem(postgresql_url)
    other.run(
        """CREATE TABLE sys_petition_letter (receiptno BIGINT PRIMARY KEY, servicedept TEXT, receiver TEXT,
        receivetime TIMESTAMP, processtime DATE, actualreplytime TIMESTAMPTZ, remindertime TIMESTAMP, status INTEGER,
        updated TIMESTAMPTZ);
        INSERT INTO sys_petition_letter VALUES
        (101, '乙科', 'P1', '2026-09-17 10:00', '2026-10-02', NULL, NULL, 1, '2026-09-17 02:00Z'),
        (102, '乙科', 'P2', '2026-09-18 10:00', '2026-10-03', '2026-09-20 08:00+08', NULL, 9, '2026-09-20 00:00Z'),
        (103, '乙科', 'P2', '1970-01-01 00:00', 'infinity', NULL, NULL, 1, NULL),
        (104, '乙科', 'P2', '0044-03-15 00:00 BC', NULL, NULL, NULL, 1, 'infinity')"""
    )
    mapping = {
        "cases": {
            "table": "public.sys_petition_letter",
            "key": "receiptno",
            "unit": "servicedept",
            "handler": "receiver",
            "changed": "updated",
            "open": {"column": "status", "not_in": [9]},
            "milestones": {
                "arrived_at": "receivetime",
                "limit_at": "processtime",
                "finished_at": "actualreplytime",
            },
        },
    }
    with source_on(postgresql_url, mapping, now=NOW) as source:
        cases, bad, watermark = read_all(source, page_size=2)
        assert cases["101"].milestones["arrived_at"] == at("2026-09-17T10:00:00")
        assert cases["101"].milestones["limit_at"] == at("2026-10-02T23:59:59.999999")
        assert cases["102"].milestones["finished_at"] == at("2026-09-20T08:00:00")
        assert (cases["101"].open, cases["102"].open) == (True, False)
        assert source.reread(["101", "102", "103", "x"])[0] == cases
        other.run("UPDATE sys_petition_letter SET status = 9, updated = '2026-09-21 00:00Z' WHERE receiptno = 101")
        changed, _, _ = read_all(source, watermark)
        assert set(changed) == {"101", "102", "103"}  # 102 is within the overlap
        assert dict(cases["103"].milestones) == {}
    assert [(one.row, one.set_aside) for one in bad] == [("104", True)]


def test_complaint_extract(sqlite_url: str) -> None:
    """Text dates of two layouts in another zone, epoch seconds and milliseconds, a change column of text."""
    other = OtherSystem(sqlite_url)
    other.run(
        """CREATE TABLE complaint (unique_key INTEGER, created_date TEXT, closed_date TEXT, due_date TEXT, agency TEXT,
        complaint_type TEXT, status TEXT, borough TEXT, touched INTEGER, touched_ms INTEGER);
        INSERT INTO complaint VALUES
        (1, '03/07/2026 09:30:00 PM', '', '03/20/2026', 'A', 'Noise', 'Open', 'X', 1772933400, 1772933400000),
        (2, '2026-03-08T12:00:00', NULL, '03/20/2026 17:00', 'A', 'Noise', 'Open', 'X', 1772933400, 1772933400000),
        (3, '31/12/2026', NULL, NULL, 'A', 'Noise', 'Open', 'X', 0, 0)"""
    )
    new_york = ZoneInfo("America/New_York")
    layouts = ["%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S"]
    mapping = {
        "time_zone": "America/New_York",
        "cases": {
            "table": "complaint",
            "key": "unique_key",
            "milestones": {
                "arrived_at": {"column": "created_date", "format": layouts},
                "finished_at": "closed_date",
                "limit_at": {"column": "due_date", "format": layouts},
                "touched_at": {"column": "touched", "format": "epoch"},
                "seen_at": "touched_ms",
            },
        },
    }
    with source_on(sqlite_url, mapping, now=NOW) as source:
        cases, bad, watermark = read_all(source)
    assert cases["1"].milestones == {
        "arrived_at": at("2026-03-07T21:30:00", new_york),
        "limit_at": at("2026-03-20T23:59:59.999999", new_york),
        "touched_at": at("2026-03-07T20:30:00", new_york),
        "seen_at": at("2026-03-07T20:30:00", new_york),
    }
    assert cases["2"].milestones["limit_at"] == at("2026-03-20T17:00:00", new_york)
    assert [(one.row, one.entity) for one in bad] == [("3", "cases")]
    assert watermark is None


def test_events_as_rows(sqlite_url: str) -> None:
    """Milestones kept one row per event come together through a query and a code table; the last one counts."""
    other = OtherSystem(sqlite_url)
    other.run(
        """CREATE TABLE letter (id TEXT); INSERT INTO letter VALUES ('L1'), ('L2'), ('L3');
        CREATE TABLE event (letter TEXT, kind TEXT, at TEXT, void INTEGER);
        INSERT INTO event VALUES ('L1', 'SL', '2026-09-17 10:00:00', 0), ('L1', 'SL', '2026-09-18 10:00:00', 0),
        ('L1', 'SL', '2026-09-19 10:00:00', 1), ('L1', '备注', '2026-09-19 10:00:00', 0),
        ('L2', 'BJ', '昨天', 0), ('L9', 'BJ', '2026-09-19 10:00:00', 0)"""
    )
    mapping = {
        "cases": {"table": "letter", "key": "id"},
        "milestones": {
            "sql": "SELECT letter, kind, at FROM event WHERE void = 0",
            "case": "letter",
            "name": {"column": "kind", "values": {"SL": "accepted_at", "BJ": "finished_at"}},
            "at": "at",
        },
    }
    with source_on(sqlite_url, mapping, now=NOW) as source:
        cases, bad, _ = read_all(source)
    assert cases["L1"].milestones == {"accepted_at": at("2026-09-18T10:00:00")}
    assert set(cases) == {"L1", "L3"}
    assert [(one.entity, one.case, one.set_aside) for one in bad] == [("milestones", "L2", True)]


def test_zone_decides_the_day(postgresql_url: str, mariadb_url: str) -> None:
    """2026-03-10T16:30Z is 2026-03-11 in Shanghai (domain statement 22): aware and UTC-declared columns agree."""
    for url, kind in ((postgresql_url, "TIMESTAMPTZ"), (mariadb_url, "DATETIME")):
        other = OtherSystem(url)
        other.run(
            f"CREATE TABLE t (k INTEGER, a {kind}, b VARCHAR(30), c DATETIME)".replace(
                "DATETIME)", "TIMESTAMP)" if kind == "TIMESTAMPTZ" else "DATETIME)"
            )
        )
        zone = "+00" if kind == "TIMESTAMPTZ" else ""
        other.run(
            f"INSERT INTO t VALUES "  # noqa: S608 - fixed texts
            f"(1, '2026-03-10 16:30:00{zone}', '2026-03-10T16:30:00Z', '2026-03-11 00:30:00')"
        )
        mapping = {
            "cases": {
                "table": "t",
                "key": "k",
                "milestones": {
                    "stored_at": {"column": "a", "zone": "UTC"},
                    "written_at": "b",
                    "local_at": "c",
                    "day_at": {"column": "a", "zone": "UTC", "type": "date"},
                },
            },
        }
        with source_on(url, mapping, now=NOW) as source:
            case = source.reread(["1"])[0]["1"]
        expected = datetime(2026, 3, 10, 16, 30, tzinfo=UTC)
        assert {case.milestones[name] for name in ("stored_at", "written_at", "local_at")} == {expected}
        assert case.milestones["written_at"].astimezone(SHANGHAI).date().isoformat() == "2026-03-11"


def test_zero_dates_of_mariadb(mariadb_url: str) -> None:
    """MariaDB's zero dates, BIT flags and four-byte surnames are read as what they mean."""
    other = OtherSystem(mariadb_url)
    other.run(
        """CREATE TABLE t (k VARCHAR(9), a DATETIME, secret BIT(1), name VARCHAR(9)) CHARACTER SET utf8mb4;
        SET SESSION sql_mode = ''"""
    )
    with sa.create_engine(mariadb_url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = ''")
        connection.exec_driver_sql("INSERT INTO t VALUES ('K', '0000-00-00 00:00:00', b'1', '𠮷')")
    mapping = {
        "cases": {"table": "t", "key": "k", "milestones": {"a_at": "a"}, "restricted": "secret", "handler": "name"}
    }
    with source_on(mariadb_url.split("?", maxsplit=1)[0], mapping, now=NOW) as source:
        case = source.reread(["K"])[0]["K"]
    assert (dict(case.milestones), case.restricted, case.handler) == ({}, True, "𠮷")


def test_text_that_is_not_utf8(sqlite_url: str) -> None:
    """A value in another encoding spoils only itself, not the page it stands in."""
    other = OtherSystem(sqlite_url)
    other.run("CREATE TABLE t (k TEXT, a TEXT); INSERT INTO t VALUES ('1', CAST(x'D0C5B7C3' AS TEXT)), ('2', '信访')")
    mapping = {"cases": {"table": "t", "key": "k", "columns": {"kind": "a"}}}
    with source_on(sqlite_url, mapping, now=NOW) as source:
        cases, _, _ = read_all(source)
    assert cases["2"].fields["kind"] == "信访"
    assert "\ufffd" in str(cases["1"].fields["kind"])


def test_wal_of_the_other_system(sqlite_url: str, tmp_path: Path) -> None:
    """While the other system writes in WAL mode, each look sees what it committed, and it never waits for us."""
    writer = sqlite3.connect(tmp_path / "duban.sqlite", isolation_level=None, timeout=0)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE xfjxx (xfjbh TEXT)")
    try:
        with source_on(sqlite_url, CASES_ONLY, now=NOW) as source:
            for number in range(3):
                writer.execute("INSERT INTO xfjxx VALUES (?)", (f"X{number}",))
                assert len(list(source.all_keys())) == number + 1
    finally:
        writer.close()


def test_file_that_is_not_there(sqlite_url: str, tmp_path: Path) -> None:
    """A missing SQLite file is said to be away; it is not created."""
    with source_on(sqlite_url, CASES_ONLY, now=NOW) as source, pytest.raises(SourceUnavailable):
        list(source.all_keys())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dialect", ["postgresql+psycopg", "mysql+pymysql"])
def test_nobody_listens(dialect: str) -> None:
    """A database that is away is reported at once and without the password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"{dialect}://reader@127.0.0.1:{port}/x"
    with source_on(url, CASES_ONLY, now=NOW, password="very-secret") as source:
        with pytest.raises(SourceUnavailable) as caught:
            source.reread(["1"])
        assert caught.value.exit_code == 75
        assert "very-secret" not in caught.value.message.zh + caught.value.message.en + str(caught.value)


@pytest.mark.parametrize("dialect", ["postgresql+psycopg", "mysql+pymysql"])
def test_server_that_never_answers(dialect: str) -> None:
    """A server that accepts and then says nothing holds us up no longer than the time-out."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"{dialect}://reader@127.0.0.1:{mute.getsockname()[1]}/x"
        with source_on(url, CASES_ONLY, now=NOW, connect_timeout=2, read_timeout=2) as source:
            began = time.monotonic()
            with pytest.raises(SourceUnavailable):
                source.reread(["1"])
            assert time.monotonic() - began < 10


def test_comes_back(postgresql_url: str) -> None:
    """After the server threw our connections out, the next reading simply works."""
    other = OtherSystem(postgresql_url)
    other.run(NATIONAL)
    other.insert("xfjxx", petition("X1"))
    with source_on(postgresql_url, NATIONAL_MAPPING, now=NOW) as source:
        assert list(source.all_keys()) == ["X1"]
        other.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'duban'"
        )
        assert list(source.all_keys()) == ["X1"]


def test_bad_address() -> None:
    """An address nobody understands, or a module that is not there, is a mistake in the configuration."""
    for settings in ({"url": "no address"}, {"url": "sqlite:///x", "dialect_module": "no_such_module_here"}):
        with pytest.raises(SettingsError), source_on(settings.pop("url"), CASES_ONLY, now=NOW, **settings):
            pass


# --- rights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_writer_is_refused(request: pytest.FixtureRequest, server: str) -> None:
    """An account that could write is refused unless that is allowed; the right is named."""
    url = request.getfixturevalue(f"{server}_url")
    OtherSystem(url).run(NATIONAL)
    with source_on(url, NATIONAL_MAPPING, now=NOW) as source, pytest.raises(SourceWritable) as caught:
        source.require_read_only()
    assert caught.value.exit_code == 77
    with source_on(url, NATIONAL_MAPPING, now=NOW, allow_writable=True) as source:
        assert source.require_read_only().write


def test_reader_is_accepted_postgresql(postgresql_url: str) -> None:
    """An account with SELECT alone passes; one more right on one column of one table does not."""
    other = OtherSystem(postgresql_url)
    other.run(NATIONAL)
    name = f"reader_{sa.make_url(postgresql_url).database}"
    other.run(f"CREATE ROLE {name} LOGIN PASSWORD 'r'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    url = sa.make_url(postgresql_url).set(username=name, password="r").render_as_string(hide_password=False)
    try:
        with source_on(url, NATIONAL_MAPPING, now=NOW) as source:
            assert source.require_read_only().write == ()
            assert list(source.all_keys()) == []
            other.run(f"GRANT UPDATE (bz) ON xfjxx TO {name}")
            assert source.rights().write == ("public.xfjxx",)
    finally:
        other.run(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_reader_is_accepted_mariadb(mariadb_url: str) -> None:
    """An account with SELECT alone passes; a further right on this database does not, on another one it does."""
    other = OtherSystem(mariadb_url)
    other.run(NATIONAL)
    database = sa.make_url(mariadb_url).database
    name = f"r_{database}"[:30]
    other.run(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY 'r'; GRANT SELECT ON `{database}`.* TO {name}@'127.0.0.1'")
    url = sa.make_url(mariadb_url).set(username=name, password="r").render_as_string(hide_password=False)
    try:
        with source_on(url, NATIONAL_MAPPING, now=NOW) as source:
            assert source.require_read_only().write == ()
            other.run(f"GRANT INSERT ON elsewhere_{database}.* TO {name}@'127.0.0.1'")
            assert source.rights().write == ()
            other.run(f"GRANT DELETE ON `{database}`.xfjxx TO {name}@'127.0.0.1'")
            assert source.rights().write == (f"DELETE ON {database}.xfjxx",)
    finally:
        other.run(f"DROP USER {name}@'127.0.0.1'")


# --- PostgreSQL's relatives --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("KingbaseES V008R006C008B0014 on x86_64-pc-linux-gnu, compiled by gcc", (9, 2)),
        ("(openGauss 5.0.0 build a07d57c3) compiled at 2023-03-29 on aarch64-unknown-linux-gnu", (9, 2)),
        ("PostgreSQL 9.2.4 (openGauss 3.0.0 build 02c14696) compiled at 2022-04-01", (9, 2, 4)),
        ("PostgreSQL 15.18 (Debian 15.18-1) on x86_64-pc-linux-gnu", (15, 18)),
    ],
)
def test_versions_of_relatives(text: str, version: tuple[int, ...]) -> None:
    """Whatever a PostgreSQL relative calls itself, a version comes out."""
    assert version_in(text) == version


def test_compat_dialect_reads(postgresql_url: str) -> None:
    """The compat dialect connects and reads; only a genuine PostgreSQL is at hand, so this is a simulation."""
    other = OtherSystem(postgresql_url)
    other.run(NATIONAL)
    other.insert("xfjxx", petition("X1"))
    url = postgresql_url.replace("postgresql+psycopg", "postgresql+compat")
    with source_on(url, NATIONAL_MAPPING, now=NOW) as source:
        assert set(source.reread(["X1"])[0]) == {"X1"}
