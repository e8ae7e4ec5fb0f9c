from __future__ import annotations

import asyncio
import getpass
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.clock import SystemClock
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_node
from support.office import Office, build_office

if TYPE_CHECKING:
    from pathlib import Path

CASE = "XF00000000"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Two cases that arrived yesterday, read and decided by a real node; nothing was sent."""
    arrived = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).replace(tzinfo=None, microsecond=0)
    built = build_office(tmp_path / "office", cases=2, arrived=arrived)
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
    for piece in ("正常：2 项在办时限", "在办 2", "绿灯 2", "待发 4", "email 2", "tick", "策略版本"):
        assert piece in shown.stdout
    assert "all well" in duban(office, "status", language="en").stdout


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
        "承办人 h0",
        "首办责任人 h0",
        "书面告知",
        "信访工作条例第二十三条",
        "法定期限",
        "阶梯",
        "下一步",
        "待发",
    ):
        assert piece in shown.stdout
    facts = told(duban(office, "explain", CASE, "--json"))
    assert isinstance(facts, dict)
    assert facts["obligations"][0]["limit"] == "notify"
    assert facts["obligations"][0]["dates"]
    assert len(facts["deliveries"]) == 2
    assert "13800001000" not in shown.stdout


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
    assert "待发" in duban(office, "outbox", "list").stdout
    assert duban(office, "outbox", "list", "--state", "lost").exit_code == 64


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


def test_an_unknown_key_is_named(office: Office) -> None:
    """A key that is not there is named and ends with exit code 1; a missing reason is a wrong command line."""
    shown = duban(office, "outbox", "cancel", "XF-NONE/notify", "--reason", "误发")
    assert shown.exit_code == 1
    assert "XF-NONE/notify" in shown.stderr
    assert duban(office, "outbox", "cancel", keys(office)[0]).exit_code == 64


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
