from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
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


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """The invented office, read by a real node; nothing runs."""
    arrived = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).replace(tzinfo=None, microsecond=0)
    built = build_office(tmp_path / "office", cases=0, arrived=arrived, calendar="weekdays")
    built.execute("UPDATE people SET mobile = NULL WHERE code = 'h0'")
    built.execute("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'c0'")
    configuration = load(built.configuration)
    Store.migrate(configuration.settings.store.url)

    async def work() -> None:
        node = open_node(configuration, SystemClock())
        try:
            await node.sync()
        finally:
            await node.close()

    asyncio.run(work())
    return built


def duban(office: Office, *arguments: str, answer: str = "") -> Result:
    """One command over the office's configuration."""
    command = [*arguments, "-c", str(office.configuration)]
    return CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "120"}).invoke(main, command, input=answer)


def test_it_shows_what_would_go_out_and_asks_first(office: Office) -> None:
    """How many messages to how many people, and who has no address; refused, nothing is written."""
    result = duban(office, "drill", "start", "--to", "unit:s0", "--reason", "季度演练", answer="n\n")
    assert result.exit_code == 1
    assert "1 人发 1 条" in result.stdout
    assert "科长0" in result.stdout
    assert json.loads(duban(office, "drill", "list", "--json").stdout) == []


def test_a_drill_is_written_reported_and_stopped(office: Office, tmp_path: Path) -> None:
    """Started without a question, it waits; the report counts it, a spreadsheet lists it, stop ends it."""
    begun = duban(office, "drill", "start", "--reason", "季度演练", "--by", "督查室", "--yes", "--now", "--json")
    assert begun.exit_code == 0, begun.output
    ordered = json.loads(begun.stdout)
    assert (ordered["people"], ordered["messages"], ordered["by"]) == (22, 43, "督查室")
    table = tmp_path / "drill.csv"
    shown = duban(office, "drill", "report", "--csv", str(table))
    assert shown.exit_code == 1  # nobody has it yet
    assert "待发" in shown.stdout
    rows = table.read_text("utf-8-sig").splitlines()
    assert len(rows) == 44
    assert "13800001001" not in shown.stdout + "".join(rows)
    assert json.loads(duban(office, "drill", "stop", ordered["id"], "--json").stdout)["cancelled"] == 43
    (listed,) = json.loads(duban(office, "drill", "list", "--json").stdout)
    assert listed["stopped_at"] is not None
    report = json.loads(duban(office, "drill", "report", ordered["id"], "--json").stdout)
    assert report["total"] == {"people": 22, "handed_over": 0, "arrived": 0, "acknowledged": 0}
    assert {one["error"] for one in report["results"]} == {"drill_stopped"}
    told = duban(office, "drill", "report", ordered["id"]).stdout
    assert "演练已停止" in told
    assert "全体" in told


def test_a_drill_without_words_is_refused_before_anything_is_written(office: Office, tmp_path: Path) -> None:
    """Templates of an older version have no text for it: the command says which file to write."""
    (tmp_path / "templates" / "standard").mkdir(parents=True)
    text = office.configuration.read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("templates:"))
    office.change("duban.yaml", line, f"templates: {tmp_path / 'templates'}")
    result = duban(office, "drill", "start", "--reason", "季度演练", "--yes")
    assert result.exit_code == 1
    assert "standard/drill." in result.stderr
    assert json.loads(duban(office, "drill", "list", "--json").stdout) == []


def test_a_word_that_means_nobody_is_refused(office: Office) -> None:
    """The command says what may be written."""
    result = duban(office, "drill", "start", "--to", "everybody", "--reason", "季度演练", "--yes")
    assert result.exit_code == 1
    assert "role:角色" in result.stderr
    assert duban(office, "drill", "report").exit_code == 1
