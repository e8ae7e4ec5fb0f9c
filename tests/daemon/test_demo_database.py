from __future__ import annotations

import asyncio
import json
import smtplib
import sqlite3
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING

import chinese_calendar
import pytest
from rich.console import Console

from daemon.demo.database import SharedDatabase
from daemon.demo.life import ENDS_AT, STARTS_AT, ZONE, life, shifted, weeks_until
from daemon.demo.servers import LocalServer
from daemon.demo.town import UNITS, VACANT_SECTION_HEAD, people
from daemon.demo.view import Picture, SentMessage, View, masked
from daemon.errors import DaemonError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = (
    "xfjbh xfrq djsj ddzrdwsj zjzrdwrq zrdwslsj xbjzsj lzjzsj gzsj yysj bjbz bjsj qssj sfssbz xfmdlb jjbz issecret "
    "qxjgdm blr xfrxm sjc"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SharedDatabase]:
    """The sample database at the beginning of the four weeks."""
    with SharedDatabase(tmp_path / "shared.db", life()) as made:
        made.apply_until(STARTS_AT)
        yield made


def test_life_is_the_same_for_a_seed_and_another_for_another() -> None:
    """The script can be repeated, so that a demo shown twice shows the same."""
    assert life(7) == life(7)
    assert life(7) != life(8)


def test_life_is_in_order_and_goes_on_only_while_people_work() -> None:
    """Changes come in order of time, all on working days, before and during the four weeks."""
    changes = life()
    assert [change.at for change in changes] == sorted(change.at for change in changes)
    assert all(chinese_calendar.is_workday(change.at.astimezone(ZONE).date()) for change in changes)
    assert changes[0].at < STARTS_AT < changes[-1].at < ENDS_AT


@pytest.mark.parametrize("now", [datetime(2026, 9, 24, tzinfo=UTC), datetime(2027, 3, 3, 12, tzinfo=UTC)])
def test_life_can_be_moved_to_this_week(now: datetime) -> None:
    """Moved by whole weeks, in the order it was, with the times written in the cases moved alike."""
    by = weeks_until(now)
    moved = shifted(life(), by)
    assert abs(STARTS_AT + by + timedelta(days=10) - now) <= timedelta(days=3.5)
    assert by % timedelta(weeks=1) == timedelta()
    before, after = life()[0], moved[0]
    assert after.at == before.at + by
    assert datetime.fromisoformat(str(after.values["djsj"])) - datetime.fromisoformat(str(before.values["djsj"])) == by
    assert len(str(after.values["xfrq"])) == len("2026-09-17")
    assert after.values["xfjbh"] == before.values["xfjbh"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_life_shows_what_the_ladder_is_for(seed: int) -> None:
    """There are hand-overs, extensions, cases nobody touches, and more than two hundred cases in all."""
    changes = life(seed)
    assert sum(change.table == "xfjxx" and change.key is None for change in changes) >= 200
    assert any(change.table == "zbjl" for change in changes)
    assert any(change.table == "yqjl" for change in changes)
    registered = {str(change.values["xfjbh"]) for change in changes if change.table == "xfjxx" and change.key is None}
    assert registered - {change.key for change in changes if "gzsj" in change.values}


def test_everybody_is_invented_and_the_gaps_are_there() -> None:
    """One post is vacant and one official has no mobile; all mailboxes are at example.com."""
    everybody = people()
    assert {person.unit for person in everybody} <= {unit.code for unit in UNITS}
    assert [p.unit for p in everybody if p.retired] == [VACANT_SECTION_HEAD]
    assert sum(person.mobile is None for person in everybody) == 1
    assert all(str(person.email).endswith("@example.com") for person in everybody)
    assert len({person.code for person in everybody}) == len(everybody)


def test_the_tables_are_those_of_a_petition_platform(database: SharedDatabase, tmp_path: Path) -> None:
    """Names of tables and columns are those the mapping is written for; times are local text without a zone."""
    assert database.counts()[0] > 100
    with closing(sqlite3.connect(tmp_path / "shared.db")) as opened:
        columns = [row[1] for row in opened.execute("PRAGMA table_info(xfjxx)")]
        assert columns == COLUMNS.split()
        (example,) = opened.execute("SELECT djsj FROM xfjxx LIMIT 1").fetchone()
        assert len(example) == len("2026-09-17 10:00:00")
        assert opened.execute("SELECT count(*) FROM gwxx WHERE zw = '主要负责人'").fetchone() == (6,)


def test_life_is_applied_up_to_an_instant_and_no_further(database: SharedDatabase, tmp_path: Path) -> None:
    """After a day nothing of the next day is in the database, and every change bears its own time."""
    until = STARTS_AT + timedelta(days=1)
    assert database.apply_until(until) > 0
    assert database.apply_until(until) == 0
    coming = database.next_change_at()
    assert coming is not None
    assert coming > until
    with closing(sqlite3.connect(tmp_path / "shared.db")) as opened:
        (newest,) = opened.execute("SELECT max(sjc) FROM xfjxx").fetchone()
    assert newest <= "2026-09-15 08:00:00"


def test_the_mail_server_keeps_mails_as_files(tmp_path: Path) -> None:
    """A real SMTP dialogue with the process ends in an .eml file, and the process ends with us."""
    with LocalServer("daemon.demo.mail_server", tmp_path / "mails") as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            client.sendmail("a@example.com", ["b@example.com"], b"Subject: x\r\n\r\nhello\r\n")
        assert b"hello" in (tmp_path / "mails" / "00001.eml").read_bytes()


def _post(port: int, body: dict[str, str]) -> dict[str, object]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/send", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, object] = json.load(answer)
        return found


async def test_the_gateway_takes_each_id_once(tmp_path: Path) -> None:
    """The same id twice is one text, as a gateway with idempotency keys does it."""
    with LocalServer("daemon.demo.sms_gateway", tmp_path / "texts") as server:
        body = {"mobile": "13800000001", "text": "提醒", "id": "k1"}
        first = await asyncio.to_thread(_post, server.port, body)
        again = await asyncio.to_thread(_post, server.port, body)
        assert first == again == {"code": 0, "msgid": "00000001"}
    lines = (tmp_path / "texts" / "texts.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [body]


def test_a_server_that_does_not_start_is_told_in_a_sentence(tmp_path: Path) -> None:
    """A module that is not there is an error of ours, with where to look."""
    with pytest.raises(DaemonError, match=r"did not start, see .*server\.log"):
        LocalServer("daemon.demo.nothing_here", tmp_path)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("+8613800000001", "138****0001"), ("13800000001", "138****0001"), ("j11-1@example.com", "j11***@example.com")],
)
def test_addresses_are_shown_masked(address: str, shown: str) -> None:
    """Nobody reads a whole number off the screen."""
    assert masked(address) == shown


def test_without_a_terminal_there_is_a_line_a_day() -> None:
    """Each day that ended is one line with its kind, the counts and the lights."""
    out = StringIO()
    picture = Picture()
    view = View(picture, "zh", Console(file=out, width=100, highlight=False))
    picture.lights = {"甲区住建局物业科": {"green": 3, "red": 1}}
    for days in range(20):
        picture.now = STARTS_AT + timedelta(days=days)
        view.moved()
    lines = out.getvalue().splitlines()
    assert len(lines) == 19
    assert "绿3" in lines[0]
    assert "红1" in lines[0]
    kinds = {line.split("  ")[0].split()[-1] for line in lines}
    assert kinds == {"工作日", "休息日", "调休上班", "放假"}


def test_the_picture_shows_units_and_messages() -> None:
    """On a terminal: heading, lights by unit, last messages."""
    picture = Picture(lights={"甲区住建局物业科": {"red": 2}})
    picture.messages.append(SentMessage(STARTS_AT, "sms", "首办责任人", "138****0001", "【某市信访局】提醒"))
    console = Console(file=StringIO(), width=120, force_terminal=True)
    with console.capture() as shown:
        console.print(View(picture, "zh", console))
    text = shown.get()
    for words in ("甲区住建局物业科", "138****0001", "首办责任人", "工作日"):
        assert words in text
