from __future__ import annotations

import asyncio
import getpass
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from daemon.cli import main
from daemon.clock import SystemClock
from daemon.settings import load
from daemon.store import Store
from daemon.store.values import SetAside
from daemon.wiring import open_node
from support.office import Office, build_office

if TYPE_CHECKING:
    from pathlib import Path

CASE = "XF00000000"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Two cases that arrived yesterday, read and decided by a real node; nothing was sent."""
    arrived = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).replace(tzinfo=None, microsecond=0)
    built = build_office(tmp_path / "office", cases=2, arrived=arrived, calendar="weekdays")
    configuration = load(built.configuration)
    Store.migrate(configuration.settings.store.url)

    async def work() -> None:
        node = open_node(configuration, SystemClock())
        try:
            await node.sync()
            await node.tick()
            node.store.beat("tick", node.name, datetime.now(UTC))
        finally:
            await node.close()

    asyncio.run(work())
    return built


def duban(office: Office, *arguments: str, language: str = "zh") -> Result:
    """One command over the office's configuration."""
    command = [*arguments, "-c", str(office.configuration)]
    return CliRunner(env={"DUBAN_LANG": language, "COLUMNS": "160"}).invoke(main, command)


def told(result: Result) -> object:
    """The JSON a command printed."""
    return json.loads(result.stdout)


def keys(office: Office) -> list[str]:
    """The notice keys of the first case."""
    listed = told(duban(office, "outbox", "list", "--case", CASE, "--json"))
    assert isinstance(listed, list)
    return [row["key"] for row in listed]


def test_status_shows_how_things_stand(office: Office) -> None:
    """Obligations, lights, deliveries by state and channel, jobs and the policy version are all there."""
    shown = duban(office, "status")
    assert shown.exit_code == 0, shown.output
    for piece in ("正常：2 项在办时限", "在办 2", "绿灯 2", "邮件      2", "短信      2", "判断到期", "策略版本"):
        assert piece in shown.stdout
    english = duban(office, "status", language="en").stdout
    for piece in (
        "all well",
        "lights           green 2",
        "to be sent       4",
        "waiting",
        "decide",
        "rows set aside: none",
    ):
        assert piece in english


def test_status_says_whether_the_daemon_runs(office: Office) -> None:
    """A worker whose heartbeat is fresh is named; without one the last sign of life is told."""
    assert "没有在运行；最近一次活动" in duban(office, "status").stdout
    with closing(Store(load(office.configuration).settings.store.url)) as store:
        now = datetime.now(UTC)
        store.open_worker("node-a", 4711, now)
        assert "在运行：node-a（进程 4711，心跳 " in duban(office, "status").stdout
        assert "running: node-a (process 4711" in duban(office, "status", language="en").stdout


def test_status_counts_rows_set_aside(office: Office) -> None:
    """How many rows of which table could not be used, the first of them, and where to see all."""
    with closing(Store(load(office.configuration).settings.store.url)) as store:
        now = datetime.now(UTC)
        store.set_aside([SetAside("cases", f"XF{n}", "没有日期", now) for n in range(12)], "cases", now)
    shown = duban(office, "status").stdout
    assert "未能使用的行（12 行：案件 12）" in shown
    assert ("XF9" in shown, "XF11" in shown) == (True, False)
    assert f"duban source check -c {office.configuration}" in shown


def test_the_lights_are_told_from_green_to_red(office: Office) -> None:
    """Not in the order of the database."""
    with sqlite3.connect(office.folder / "duban.db") as connection:
        connection.execute("UPDATE obligations SET light = 'red' WHERE id = 1")
    connection.close()
    assert "绿灯 1，红灯 1" in duban(office, "status").stdout


def test_status_tells_programs_the_same(office: Office) -> None:
    """`--json` carries the audit, the counts and the jobs."""
    facts = told(duban(office, "status", "--json"))
    assert isinstance(facts, dict)
    assert facts["ok"] is True
    assert facts["audit"]["open"] == 2
    assert facts["counts"]["deliveries"] == {"pending": 4}
    assert [job["job"] for job in facts["jobs"]] == ["tick"]


def test_status_fails_when_something_is_forgotten(office: Office) -> None:
    """An open obligation without a next step ends with exit code 1 and says so."""
    with sqlite3.connect(office.folder / "duban.db") as connection:
        connection.execute("UPDATE obligations SET next_check_at = NULL, idle_reason = NULL")
    connection.close()
    shown = duban(office, "status")
    assert (shown.exit_code, "异常" in shown.stdout) == (1, True)


def test_explain_tells_a_case_step_by_step(office: Office) -> None:
    """Facts, first handler, how the date came about, the ladder, what would be decided now, what was decided."""
    shown = duban(office, "explain", CASE)
    assert shown.exit_code == 0, shown.output
    for piece in (
        "办信0科 承办人0",
        "到达责任单位",
        "书面告知",
        "信访工作条例第二十三条",
        "法定期限",
        "阶梯",
        "当日预警",
        "首办责任人、科室负责人",
        "下一步",
        "待发 2",
        "邮件、短信",
    ):
        assert piece in shown.stdout
    for code in ("first_handler", "arrived_at", "h0 "):
        assert code not in shown.stdout
    facts = told(duban(office, "explain", CASE, "--json"))
    assert isinstance(facts, dict)
    assert facts["obligations"][0]["limit"] == "notify"
    assert facts["obligations"][0]["dates"]
    assert len(facts["deliveries"]) == 2
    assert "13800001000" not in shown.stdout


def test_explain_speaks_english(office: Office) -> None:
    """The same in English; only what the office itself wrote stays Chinese."""
    shown = duban(office, "explain", CASE, language="en").stdout
    for piece in ("case XF00000000", "arrived", "state  open, green", "due-day warning", "section head", "pending 2"):
        assert piece in shown
    for word in ("期限", "阶梯", "承办 ", "到期", "待发"):
        assert word not in shown


def test_explain_says_once_that_a_limit_is_done(office: Office) -> None:
    """A finished limit has its outcome and its count, but neither a ladder nor a next step."""
    with sqlite3.connect(office.folder / "duban.db") as connection:
        connection.execute(
            "UPDATE obligations SET state = 'done', idle_reason = 'done', next_check_at = NULL, done_at = start_at"
        )
    connection.close()
    shown = duban(office, "explain", CASE).stdout
    assert shown.count("办结") == shown.count("按期办结") == 1
    assert shown.count("不再提醒") == 1
    for word in ("阶梯", "下一步", "如果现在判断", "done"):
        assert word not in shown


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("command", [("explain", CASE), ("ledger", "show", CASE), ("outbox", "list"), ("status",)])
def test_nothing_is_wider_than_the_terminal(office: Office, command: tuple[str, ...], language: str) -> None:
    """At 80 columns, a Chinese character being two of them, no table is cut or wider."""
    arguments = [*command, "-c", str(office.configuration)]
    shown = CliRunner(env={"DUBAN_LANG": language, "COLUMNS": "80"}).invoke(main, arguments).stdout
    tables = [line for line in shown.splitlines() if str(office.configuration) not in line]
    assert max(map(cell_len, tables)) <= 80 or command == ("status",)
    assert "…" not in shown.replace("\n…", "")


def test_the_ledger_is_told_in_sentences(office: Office) -> None:
    """Time, what happened in words, who, and the beginning of the hash; raw bodies are for --json."""
    rows = told(duban(office, "ledger", "show", CASE, "--json"))
    assert isinstance(rows, list)
    shown = duban(office, "ledger", "show", CASE)
    assert shown.exit_code == 0
    for piece in (
        "首次读到案件，现在办信0科 承办人0",
        "法定期限",
        "“书面告知”决定发新办通知 → 首办责任人 承办人0（短信、邮件）",
        "系统",
        rows[0]["hash"][:8],
    ):
        assert piece in shown.stdout
    for code in ("{", "first_handler", "T0", "h0"):
        assert code not in shown.stdout
    english = duban(office, "ledger", "show", CASE, language="en").stdout
    assert "first seen, now with" in english
    assert "“书面告知”: to send assignment → first handler 承办人0 (SMS, email)." in english


def test_the_ledger_of_an_unknown_case(office: Office) -> None:
    """Exit code 1 and a sentence; a program gets an empty list."""
    shown = duban(office, "ledger", "show", "XF-NONE")
    assert (shown.exit_code, shown.stderr) == (1, "台账里没有案件 XF-NONE。\n")
    assert told(duban(office, "ledger", "show", "XF-NONE", "--json")) == []


def test_explain_changes_nothing(office: Office) -> None:
    """Asking does not decide: the ledger is as long as before."""
    before = duban(office, "ledger", "show", CASE, "--json").stdout
    duban(office, "explain", CASE)
    assert duban(office, "ledger", "show", CASE, "--json").stdout == before


def test_explain_of_an_unknown_case(office: Office) -> None:
    """A case that is not there ends with exit code 1 and a sentence."""
    shown = duban(office, "explain", "XF-NONE")
    assert (shown.exit_code, shown.stderr) == (1, "没有案件 XF-NONE。\n")


def test_the_outbox_can_be_listed_by_state(office: Office) -> None:
    """Only the states asked for are listed; an unknown state is a wrong command line."""
    assert len(told(duban(office, "outbox", "list", "--state", "pending", "--json"))) == 4  # type: ignore[arg-type]
    assert told(duban(office, "outbox", "list", "--state", "failed", "--json")) == []
    shown = duban(office, "outbox", "list").stdout
    for piece in ("待发", "书面告知 新办通知", "承办人0", "短信", CASE):
        assert piece in shown
    english = duban(office, "outbox", "list", language="en").stdout
    for piece in ("pending", "书面告知 assignment", "SMS", "tries"):
        assert piece in english
    assert duban(office, "outbox", "list", "--state", "lost").exit_code == 64


def test_the_outbox_tells_errors_in_words(office: Office) -> None:
    """What the error means, and its code below, at 80 columns too."""
    with sqlite3.connect(office.folder / "duban.db") as connection:
        connection.execute("UPDATE deliveries SET state = 'retrying', error = 'cannot_connect' WHERE id = 1")
    connection.close()
    for language, pieces in (("zh", ("等待重试", "连不上")), ("en", ("retrying", "no connection"))):
        arguments = ["outbox", "list", "--state", "retrying", "-c", str(office.configuration)]
        shown = CliRunner(env={"DUBAN_LANG": language, "COLUMNS": "80"}).invoke(main, arguments).stdout
        for piece in (*pieces, "cannot_connect"):
            assert piece in shown


def test_orders_stand_in_the_ledger_with_name_and_reason(office: Office) -> None:
    """Cancelling and sending again work by key; who ordered it and why is recorded on the case."""
    key = keys(office)[0]
    assert told(duban(office, "outbox", "cancel", key, "--reason", "误发", "--json")) == {
        "done": 1,
        "asked": 1,
        "unknown": [],
    }
    assert duban(office, "outbox", "retry", key, "--reason", "仍需发送").exit_code == 0
    rows = told(duban(office, "ledger", "show", CASE, "--json"))
    assert isinstance(rows, list)
    orders = [(row["kind"], row["actor"], row["body"]["reason"]) for row in rows if row["kind"].endswith("_ordered")]
    actor = getpass.getuser()
    assert orders == [("cancel_ordered", actor, "误发"), ("retry_ordered", actor, "仍需发送")]


def test_orders_take_the_number_shown(office: Office) -> None:
    """The number in the list does instead of the key, which `--keys` lists; an unknown number is named."""
    listed = duban(office, "outbox", "list", "--case", CASE, "--keys").stdout.splitlines()
    number, key = listed[0].split("\t")
    assert key == keys(office)[0]
    assert duban(office, "outbox", "cancel", number, "--reason", "误发").exit_code == 0
    (row,) = told(duban(office, "outbox", "list", "--state", "cancelled", "--json"))  # type: ignore[misc]
    assert (str(row["id"]), row["key"]) == (number, key)
    assert "误发" in duban(office, "outbox", "list", "--state", "cancelled").stdout
    assert "人工取消：“书面告知”新办通知" in duban(office, "ledger", "show", CASE).stdout
    assert "999" in duban(office, "outbox", "retry", "999", "--reason", "重发").stderr


def test_an_unknown_key_is_named(office: Office) -> None:
    """A key that is not there is named and ends with exit code 1; a missing reason is a wrong command line."""
    shown = duban(office, "outbox", "cancel", "XF-NONE/notify", "--reason", "误发")
    assert shown.exit_code == 1
    assert "XF-NONE/notify" in shown.stderr
    assert duban(office, "outbox", "cancel", keys(office)[0]).exit_code == 64


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("outbox", "retry", "9" * 30, "--reason", "再发"), 1),
        (("outbox", "retry", "1", "--reason", " "), 64),
        (("outbox", "release", "1", "--by", "", "--reason", "已阅"), 64),
        (("correct", "9" * 30, "--reason", "a", "--approved-by", "b", "--by", "c"), 64),
        (("policy", "activate", "files", "--from", "0001-01-01"), 78),
        (("policy", "activate", "files", "--from", "9999-99-99"), 78),
        (("who", CASE, "--at", "0001-01-01T00:00+14:00"), 64),
        (("ledger", "--unit", "S0", "--until", "9999-12-31T23:59-14:00"), 64),
    ],
)
def test_numbers_and_dates_that_cannot_be_are_told(office: Office, command: tuple[str, ...], code: int) -> None:
    """One sentence and an exit code, whatever was typed; a blank name or reason is none."""
    result = duban(office, *command)
    assert result.exit_code == code, result.output
    assert "程序内部错误" not in result.output


def test_a_whole_ledger_is_said_to_be_whole(office: Office) -> None:
    """Nothing was changed: exit code 0."""
    shown = duban(office, "ledger", "verify")
    assert (shown.exit_code, shown.stdout) == (0, "台账完整，没有改动。\n")


def test_a_forged_ledger_names_the_first_row(office: Office) -> None:
    """A row changed behind duban's back is named with its case and number: exit code 1."""
    with sqlite3.connect(office.folder / "duban.db") as connection:
        guards = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")
        for (guard,) in guards.fetchall():
            connection.execute(f"DROP TRIGGER {guard}")
        connection.execute("UPDATE ledger SET actor = 'somebody' WHERE case_key = ? AND seq = 2", (CASE,))
    connection.close()
    assert told(duban(office, "ledger", "verify", "--json")) == {
        "ok": False,
        "faults": [{"case": CASE, "seq": 2, "what": "changed"}],
    }
    shown = duban(office, "ledger", "verify")
    assert shown.exit_code == 1
    assert f"案件 {CASE} 的第 2 行被改动。" in shown.stderr
