"""`duban policy`, `duban dark`: on a real store beside a running node."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.clock import SystemClock
from daemon.settings import load
from support.running_office import CASE, Running, at, running_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def sqlite_store(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A fresh store in a file."""
    shutil.copy(migrated_sqlite, tmp_path / "duban.sqlite")
    return f"sqlite:///{tmp_path / 'duban.sqlite'}"


@pytest.fixture
async def world(tmp_path: Path, sqlite_store: str) -> AsyncIterator[Running]:
    """One case under fifteen days."""
    async with running_office(tmp_path, sqlite_store) as office:
        await office.work()
        yield office


def duban(world: Running, *arguments: str, answer: str = "") -> Result:
    """Run one command in Chinese."""
    runner = CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "160"})
    *command, last = arguments
    return runner.invoke(main, [*command, last, "-c", str(world.office.configuration)], input=answer)


def told(world: Running, *arguments: str) -> Any:
    """What a command says as JSON."""
    result = duban(world, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def thirty_days(world: Running) -> str:
    """Write thirty days into the policy file; the version that makes."""
    world.office.change("policies/office.yaml", "within: 15 日", "within: 30 日")
    return load(world.office.configuration).version


async def test_status_names_every_version_with_its_cases(world: Running) -> None:
    """In force and waiting, who proposed, how many running cases go by each; a table and JSON say the same."""
    first = world.node.version
    second = thirty_days(world)
    assert duban(world, "policy", "propose", "--by", "科员甲", "--note", "新规定").exit_code == 0
    found = told(world, "policy", "status")
    assert (found["in_force"], found["files"]) == (first, second)
    rows = {row["version"]: row for row in found["versions"]}
    assert (rows[first]["running_cases"], rows[first]["in_force"]) == (1, True)
    assert (rows[second]["state"], rows[second]["proposed_by"]) == ("proposed", "科员甲")
    shown = duban(world, "policy", "status").output
    assert "生效中" in shown
    assert "待核准" in shown
    assert "科员甲" in shown


async def test_a_proposal_is_approved_by_somebody_else(world: Running) -> None:
    """The same name is refused with exit code 1, whatever its spaces; another name puts it in force."""
    version = thirty_days(world)
    proposed = duban(world, "policy", "propose", "--by", "科员甲").output
    assert f"下一步：duban policy activate {version[:12]}；或另一人运行 duban policy approve" in proposed
    refused = duban(world, "policy", "approve", version[:8], "--by", "科员 甲")
    assert refused.exit_code == 1
    assert "须由另一人核准" in refused.output
    assert duban(world, "policy", "approve", version[:8], "--by", "科长乙").exit_code == 0
    assert told(world, "policy", "status")["in_force"] == version


async def test_a_version_that_is_in_force_cannot_be_put_off(world: Running) -> None:
    """Otherwise nothing, or the version before, would be in force until that moment."""
    refused = duban(world, "policy", "activate", "active", "--from", "2099-01-01")
    assert refused.exit_code == 1
    assert "正在生效" in refused.output
    assert told(world, "policy", "status")["in_force"] == world.node.version


@pytest.mark.parametrize("order", ["approve", "activate"])
@pytest.mark.parametrize(
    ("kept", "problem"),
    [("policy: [from, the, future]", "读不了策略版本"), (None, "没有通过检查")],
    ids=["unreadable", "trial fails"],
)
async def test_what_does_not_pass_any_more_is_not_released(
    world: Running, sqlite_store: str, order: str, kept: str | None, problem: str
) -> None:
    """Proposed when it was right; by now this software cannot read it, or its trial fails: every node would stop."""
    first = world.node.version
    version = thirty_days(world)
    assert duban(world, "policy", "propose", "--by", "科员甲").exit_code == 0
    text = (world.office.folder / "policies" / "office.yaml").read_text("utf-8")
    world.office.change("policies/office.yaml", "within: 30 日", "within: 15 日")
    trial = (
        "tests: [{name: 太早, case: {kind: 求决, unit: s0, arrived_at: 2026-09-16 10:00},"
        " until: 2026-09-20, due: {notify: 2026-09-30}}]"
    )
    with sqlite3.connect(sqlite_store.removeprefix("sqlite:///")) as connection:
        files = json.dumps({"office.yaml": kept or f"{text}\n{trial}\n"})
        connection.execute("UPDATE policy_versions SET files = ? WHERE version = ?", (files, version))
    connection.close()
    refused = duban(world, "policy", order, version[:8], "--by", "科长乙")
    assert refused.exit_code != 0
    assert problem in refused.output
    assert told(world, "policy", "status")["in_force"] == first


async def test_a_moment_ahead_is_kept(world: Running) -> None:
    """Activated from a date on, the version waits; the date is the office's."""
    version, first = thirty_days(world), world.node.version
    result = told(world, "policy", "activate", "files", "--from", "2099-01-01")
    assert (result["state"], result["active_from_at"]) == ("approved", at("2099-01-01 00:00").isoformat())
    found = told(world, "policy", "status")
    assert (found["in_force"], found["files"]) == (first, version)
    assert duban(world, "policy", "activate", "files", "--from", "明年").exit_code == 78


async def test_an_office_with_four_eyes_refuses_a_bare_activation(world: Running) -> None:
    """`second_person: true`: activate is refused until somebody else approved."""
    world.office.change("duban.yaml", "language: zh", "language: zh\nrelease: {second_person: true}")
    version = thirty_days(world)
    proposed = duban(world, "policy", "propose", "--by", "科员甲").output
    assert f"下一步：另一人运行 duban policy approve {version[:12]} --by 姓名" in proposed
    refused = duban(world, "policy", "activate", "files")
    assert refused.exit_code == 1
    assert "duban policy approve" in refused.output


async def test_rollback_goes_to_the_version_before(world: Running) -> None:
    """The first version cannot be rolled back; a second one can, and cases of it are named."""
    assert duban(world, "policy", "rollback").exit_code == 1
    first, second = world.node.version, thirty_days(world)
    assert duban(world, "policy", "activate", "files").exit_code == 0
    world.store.bind([CASE], second, "科员甲", SystemClock().now())
    rolled_back = duban(world, "policy", "rollback", "--by", "科长乙", "--note", "太宽")
    assert rolled_back.exit_code == 0
    assert "仍有 1 个在办案件" in rolled_back.output
    found = told(world, "policy", "status")
    assert found["in_force"] == first


async def test_the_difference_is_told_in_words(world: Running) -> None:
    """A longer limit and a step to somebody else, in the order of the file."""
    thirty_days(world)
    world.office.change("policies/office.yaml", "to: [deputy_leader], cc", "to: [principal], cc")
    said = duban(world, "policy", "diff").output
    assert "时限“书面告知”：期限由“15 日”改为“30 日”" in said
    assert "收件人由“分管领导”改为“主要负责人”" in said
    assert duban(world, "policy", "diff", "active", "active").output.strip() == "内容相同。"
    (one, *_) = told(world, "policy", "diff", "active", "files")["differences"]
    assert (one["about"], one["name"], one["kind"]) == ("limit", "notify", "changed")


async def test_migrating_shows_what_moves_and_asks(world: Running) -> None:
    """No answer, no change; with yes the case is counted by the new version and the ledger names who did it."""
    version = thirty_days(world)
    duban(world, "policy", "activate", "files")
    (compared,) = told(world, "policy", "diff", "active", "files", "--cases")["cases"]
    assert compared["case"] == CASE
    asked = duban(world, "policy", "migrate", CASE, answer="n\n")
    assert asked.exit_code != 0
    assert "没有确认，什么也没有改。" in asked.output
    assert "2026-10-08 24:00 → 2026-10-16 24:00" in asked.output
    assert told(world, "policy", "migrate", "--all")["moved"] == 0
    moved = duban(world, "policy", "migrate", CASE, "--by", "科长乙", "--yes")
    assert moved.exit_code == 0, moved.output
    await world.node.follow()
    assert world.obligation().policy_version == version
    assert world.obligation().legal_due_at == at("2026-10-16 23:59:59.999999")
    (event,) = [row for row in world.store.ledger(CASE) if row.kind == "migrated"]
    assert event.actor == "科长乙"
    assert told(world, "policy", "migrate", "--policy", "office", "--yes")["asked"] == 0


@pytest.mark.parametrize("arguments", [("policy", "diff", "0000"), ("policy", "migrate", "XF-NOBODY")])
async def test_what_is_not_there_is_said(world: Running, arguments: tuple[str, ...]) -> None:
    """An unknown version or case is refused in a sentence."""
    refused = duban(world, *arguments)
    assert refused.exit_code == 1
    assert "没有" in refused.output


async def test_dark_reports_what_would_have_been_sent(tmp_path: Path, sqlite_store: str) -> None:
    """A case that went late in the dark: so many messages by person and light, warned three working days before."""
    then = "2025-09-16 10:00"
    async with running_office(tmp_path, sqlite_store, now=then, arrived=then) as world:
        world.office.change("duban.yaml", "language: zh", "language: zh\ndark: true")
        await world.reload()
        await world.live_until("2025-10-31 10:00")
        found = told(world, "dark")
        assert found["messages"] == len(world.deliveries())
        assert {row["channel"] for row in found["people"]} == {"sms", "email"}
        assert (found["late"], found["not_caught"]) == (1, 0)
        assert found["caught"] == [{"workdays_before": 3, "limits": 1}]
        assert "本会发出" in duban(world, "dark").output
        assert told(world, "dark", "--since", "2099-01-01")["messages"] == 0
