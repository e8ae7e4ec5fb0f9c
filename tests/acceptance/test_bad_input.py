"""Whatever goes wrong in files, rows and servers: a clear sentence in Chinese, nothing lost, never a traceback."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.store import Store
from support.daemon_process import duban as duban_process
from support.office import Office, build_office
from support.running_office import CASE, Running, running_office

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "XF00000001"
CONFIGURATION, TEMPORARY = 78, 75


def duban(office: Office, *arguments: str) -> Result:
    """One command over the office's configuration, in Chinese; never a traceback, never an internal error."""
    command = [*arguments, "-c", str(office.configuration)]
    result = CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "160"}).invoke(main, command)
    said = result.output
    assert isinstance(result.exception, SystemExit | None), said
    assert "Traceback" not in said
    assert "内部错误" not in said
    return result


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """A good office on disk whose store is not made yet."""
    return build_office(tmp_path / "office", cases=2, arrived=datetime(2026, 9, 16, 10))  # noqa: DTZ001 - office time


# --- configuration -----------------------------------------------------------------------------------------------

POLICY, MAIN, SOURCE, CALENDAR = "policies/office.yaml", "duban.yaml", "source.yaml", "calendars/ours.yaml"
MISTAKES = {
    "broken YAML": (POLICY, "limits:\n", "limits: [\n", ("office.yaml:",)),
    "unknown key": (POLICY, "within: 15 日", "withn: 15 日", ("withn", "within")),
    "unit missing": (POLICY, "within: 15 日", "within: 15", ("within", "日")),
    "unknown step length": (POLICY, "due - 3 工作日", "due - 3 天工", ("steps",)),
    "unknown role": (POLICY, "to: [deputy_leader]", "to: [deputy_leadr]", ("deputy_leadr", "deputy_leader")),
    "unknown channel type": (MAIN, "type: email", "type: emial", ("emial", "email")),
    "unknown time zone": (MAIN, "Asia/Shanghai", "Asia/Beijing", ("Asia/Beijing",)),
    "a store that is no database": (MAIN, 'store: {url: "sqlite:', 'store: {url: "mysql:', ("store",)),
    "no key of cases": (SOURCE, '  key: "no"\n  unit', "  unit", ("key",)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration_is_named(office: Office, mistake: str) -> None:
    """`check` says in which file and at which key, and what was probably meant; `status` refuses in the same words."""
    name, right, wrong, pieces = MISTAKES[mistake]
    office.change(name, right, wrong)
    for command in ("check", "status"):
        refused = duban(office, command)
        assert refused.exit_code == CONFIGURATION
        for piece in (name.rpartition("/")[2], *pieces):
            assert piece in refused.output


@pytest.mark.parametrize("text", ["", "title: 本局\nbase: none\n", "title: 本局\nbase: none\nhours: {}\n"])
def test_an_empty_calendar_is_refused(office: Office, text: str) -> None:
    """A calendar without any working time would never end a period: it is refused by name."""
    office.write(CALENDAR, text)
    refused = duban(office, "check")
    assert refused.exit_code == CONFIGURATION
    assert "ours.yaml" in refused.output


def test_a_year_without_a_notice_is_provisional() -> None:
    """A period that ends in 2039 is counted all the same, and says that the date is provisional."""
    arguments = ["calc", "--start", "2038-12-25", "--within", "15 日"]
    counted = CliRunner(env={"DUBAN_LANG": "zh"}).invoke(main, arguments)
    assert counted.exit_code == 0
    assert "2039" in counted.output
    assert "暂定" in counted.output


def test_a_missing_configuration_is_named(office: Office) -> None:
    """The file that is not there is named, for every command."""
    office.configuration.unlink()
    for command in (("check",), ("status",), ("migrate",), ("explain", CASE), ("outbox", "list")):
        refused = duban(office, *command)
        assert refused.exit_code == CONFIGURATION
        assert "duban.yaml" in refused.output


# --- our own store -----------------------------------------------------------------------------------------------


def test_a_store_that_is_not_made_yet(office: Office) -> None:
    """Every command, and the daemon, says which one command to run."""
    for command in (("status",), ("explain", CASE), ("outbox", "list"), ("ledger", "verify")):
        refused = duban(office, *command)
        assert refused.exit_code == CONFIGURATION
        assert "duban migrate" in refused.output
    running = duban_process("run", "--config", office.configuration)
    assert running.returncode == CONFIGURATION
    assert "duban migrate" in running.stdout + running.stderr
    assert "Traceback" not in running.stdout + running.stderr


def test_a_store_of_another_version(office: Office) -> None:
    """A revision nobody knows is told, and refused, not touched."""
    assert duban(office, "migrate").exit_code == 0
    with sqlite3.connect(office.folder / "duban.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    refused = duban(office, "status")
    assert refused.exit_code == CONFIGURATION
    assert "9999" in refused.output
    again = duban(office, "migrate")
    assert again.exit_code == CONFIGURATION
    assert "9999" in again.output


@pytest.mark.parametrize("place", ["nowhere/duban.db", "policies", "/proc/duban.db", "policies/office.yaml"])
def test_a_store_where_no_store_can_be(office: Office, place: str) -> None:
    """A folder that is not there, a folder itself, a place nobody may write, another file: named in one sentence."""
    office.change(MAIN, f"sqlite:///{office.folder / 'duban.db'}", f"sqlite:///{office.folder / place}")
    before = (office.folder / POLICY).read_text("utf-8")
    for command in ("migrate", "status"):
        refused = duban(office, command)
        assert refused.exit_code in {TEMPORARY, CONFIGURATION}
        assert "数据" in refused.output
    assert "无法访问" in duban(office, "migrate").output
    assert (office.folder / POLICY).read_text("utf-8") == before


# --- the shared database -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "piece"),
    [
        ("DROP TABLE cases", "cases"),
        ("ALTER TABLE cases DROP COLUMN notified", "notified"),
        ("DROP TABLE people", "people"),
    ],
)
def test_a_table_or_column_that_is_missing(office: Office, statement: str, piece: str) -> None:
    """`source check` names the table or column that is not there."""
    office.execute(statement)
    refused = duban(office, "source", "check")
    assert refused.exit_code != 0
    assert piece in refused.output


async def test_the_daemon_outlives_a_missing_column(tmp_path: Path, sqlite_url: str) -> None:
    """A column that disappears while running stops the reading, not the enforcement."""
    Store.migrate(sqlite_url)
    async with running_office(tmp_path, sqlite_url) as world:
        await world.work()
        world.execute("ALTER TABLE cases DROP COLUMN notified")
        reminded = await world.work("2026-09-28 09:00")
        assert {one.channel for one in reminded} == {"email", "sms"}
        assert "共享数据库暂时无法访问" in reminded[0].text


@dataclass(frozen=True)
class Bad:
    """What is wrong, how it got there, and what the administrator is told about it."""

    statements: tuple[str, ...]
    row: str
    says: str
    supervised: bool  # whether the case itself is supervised all the same
    mapping: tuple[str, str] = ("", "")


BAD_ROWS = {
    "NULL everywhere": Bad(
        ("UPDATE cases SET unit = NULL, handler = NULL, kind = NULL, arrived = NULL WHERE no = 'XF00000000'",),
        "", "", supervised=False,
    ),
    "no key": Bad(
        ("CREATE TABLE loose AS SELECT * FROM cases", "UPDATE loose SET no = NULL WHERE no = 'XF00000000'"),
        "（无编号）", "编号为空", supervised=False, mapping=("table: cases", "table: loose"),
    ),
    "two rows with one key": Bad(
        ("CREATE TABLE loose AS SELECT * FROM cases", "INSERT INTO loose SELECT * FROM cases WHERE no = 'XF00000000'"),
        CASE, "编号重复", supervised=False, mapping=("table: cases", "table: loose"),
    ),
    "a year of the wrong century": Bad(
        ("UPDATE cases SET arrived = '0206-09-16 10:00:00' WHERE no = 'XF00000000'",),
        CASE, "arrived_at", supervised=False,
    ),
    "a year far ahead": Bad(
        ("UPDATE cases SET arrived = '2926-09-16 10:00:00' WHERE no = 'XF00000000'",),
        CASE, "arrived_at", supervised=False,
    ),
    "a date that is no date": Bad(
        ("UPDATE cases SET arrived = '2026-02-30' WHERE no = 'XF00000000'",), CASE, "arrived_at", supervised=False
    ),
    "a handler without number and mailbox": Bad(
        ("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'h0'",),
        "h0", "没有手机号码也没有邮箱", supervised=True,
    ),
    "a number that is none": Bad(
        ("UPDATE people SET mobile = '12345' WHERE code = 'h0'",), "h0", "手机号码无效", supervised=True
    ),
    "a unit above itself": Bad(
        ("UPDATE units SET parent = code WHERE code = 's0'",), "s0", "上级单位是它自己", supervised=True
    ),
    "units in a circle": Bad(
        ("UPDATE units SET parent = 's0' WHERE code = 'bureau'",), "bureau", "绕成了一圈", supervised=True
    ),
    "a handler nobody knows": Bad(
        ("UPDATE cases SET handler = 'ghost' WHERE no = 'XF00000000'",), CASE, "ghost", supervised=True
    ),
    "a surname of four bytes": Bad(
        ("UPDATE people SET name = '𠮷某' WHERE code = 'h0'",), "", "", supervised=True
    ),
    "a remark of ten megabytes": Bad(
        ("UPDATE cases SET kind = hex(zeroblob(5000000)) WHERE no = 'XF00000000'",), "", "", supervised=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_ROWS)
async def test_bad_rows_are_told_and_stop_nobody_else(tmp_path: Path, sqlite_url: str, what: str) -> None:
    """The row is listed with its reason in Chinese, the other case is supervised as if nothing were wrong."""
    bad = BAD_ROWS[what]

    def spoil(office: Office) -> None:
        for statement in bad.statements:
            office.execute(statement)
        if bad.mapping[0]:
            office.change(SOURCE, *bad.mapping)

    Store.migrate(sqlite_url)
    async with running_office(tmp_path, sqlite_url, cases=2, prepare=spoil) as world:
        await world.work()
        assert told(world, OTHER) == {("email", "handler1@example.com"), ("sms", "+8613800001001")}
        assert bool(told(world, CASE)) is bad.supervised
        assert bad.supervised or bad.row or "没有起算时间" in world.told("finding")[0]
        listed = {row.row: row.reason for row in world.store.rows_set_aside()}
        assert set(listed) == ({bad.row} if bad.row else set()) or bad.row in listed
        assert bad.says in listed.get(bad.row, "")
        status = duban(world.office, "status")
        assert ("毒" in status.output or bad.row in status.output) or not bad.row
        assert duban(world.office, "source", "check").output
        await world.work("2026-09-28 09:00")
        assert len(told(world, OTHER)) == 2


def told(world: Running, case: str) -> set[tuple[str, str]]:
    """(channel, address) of everybody who got a message about a case so far."""
    return {(one.channel, one.to) for one in world.received if case in one.text}


async def test_the_four_byte_surname_arrives_whole(tmp_path: Path, sqlite_url: str) -> None:
    """𠮷 is greeted as 𠮷."""
    Store.migrate(sqlite_url)
    async with running_office(tmp_path, sqlite_url) as world:
        world.execute("UPDATE people SET name = '𠮷某' WHERE code = 'h0'")
        (mail,) = [one for one in await world.work() if one.channel == "email"]
        assert "𠮷某：" in mail.text


# --- servers that refuse -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["421 4.3.2 closing", "554 5.3.2 no service here"])
async def test_a_mail_server_that_refuses(tmp_path: Path, sqlite_url: str, fault: str) -> None:
    """Nobody is bothered in the handler's place, the text goes out, and the mail follows when the server is back."""
    Store.migrate(sqlite_url)
    async with running_office(tmp_path, sqlite_url) as world:
        world.mails.fail("CONNECT", fault, lasting=True)
        assert [one.channel for one in await world.work()] == ["sms"]
        assert world.states("email") == ["assigned h0 retrying"]
        shown = duban(world.office, "outbox", "list")
        assert CASE in shown.output
        world.mails.mend()
        await world.live_until("2026-09-16 14:00")
        assert [one.to for one in world.received if one.channel == "email"] == ["handler0@example.com"]
