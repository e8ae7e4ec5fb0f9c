"""`duban init --sandbox`: a small office to practise in, where the time may stand still and nothing is really sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

POLICY = """\
policy: tousu
title: 投诉限时答复
limits:
  reply: {title: 答复, start: arrived_at, within: 10 工作日, done: notified_at, ladder: standard}
ladders:
  standard:
    lights: {yellow: 3 工作日, orange: 1 工作日}
    steps: [{at: due - 1 工作日 09:00, to: first_handler, say: remind}]
"""


def run(*arguments: str, now: str | None = "2026-11-23 09:00", language: str = "zh") -> Result:
    """One run of the command at that time."""
    settings = {"DUBAN_LANG": language, "COLUMNS": "80", "DUBAN_NOW": now}
    return CliRunner(env=settings).invoke(main, list(arguments))


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A sandbox with a policy."""
    folder = tmp_path / "练习"
    assert run("init", "--sandbox", str(folder)).exit_code == 0
    (folder / "policies" / "tousu.yaml").write_text(POLICY, "utf-8")
    return folder


def test_the_mapping_can_be_checked_before_there_is_a_policy(tmp_path: Path) -> None:
    """The first thing a newcomer does is look at the database; no policy is wanted for that."""
    folder = tmp_path / "练习"
    assert run("init", "--sandbox", str(folder)).exit_code == 0
    checked = run("source", "check", "-c", str(folder / "duban.yaml"))
    assert checked.exit_code == 0, checked.output
    assert run("check", "-c", str(folder / "duban.yaml")).exit_code == 78


@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_is_ready_for_a_policy(tmp_path: Path, language: str) -> None:
    """A sandbox, one policy of ten lines, and everything can be checked, foretold and played back."""
    folder = tmp_path / "练习"
    assert run("init", "--sandbox", str(folder), language=language).exit_code == 0
    (folder / "policies" / "tousu.yaml").write_text(POLICY, "utf-8")
    main_file = str(folder / "duban.yaml")
    assert load(folder / "duban.yaml", {}).settings.language == language
    assert run("check", "-c", main_file, "--people", language=language).exit_code == 0
    assert run("source", "check", "-c", main_file, language=language).exit_code == 0
    foretold = json.loads(run("simulate", "--all", "-c", main_file, "--json", language=language).stdout)
    played = json.loads(run("backtest", "-c", main_file, "--json", language=language).stdout)
    assert foretold["totals"]["cases"] >= 10
    assert played["cases"] == 30
    assert played["late_warned"] > 0


@pytest.mark.parametrize("now", ["2026-11-25 16:00", "2027-03-03 08:00", "2031-10-04 12:00"])
def test_its_cases_lie_around_today(tmp_path: Path, now: str) -> None:
    """Whenever it is made, some cases are running, most are answered, and none comes from the future."""
    folder = tmp_path / "练习"
    run("init", "--sandbox", str(folder), now=now)
    (folder / "policies" / "tousu.yaml").write_text(POLICY, "utf-8")
    foretold = json.loads(run("simulate", "--all", "-c", str(folder / "duban.yaml"), "--json", now=now).stdout)
    assert foretold["from"].startswith(now[:7])
    assert foretold["totals"]["messages"] >= 5


def test_a_folder_in_use_is_left_alone(sandbox: Path) -> None:
    """A second sandbox in the same folder is refused, as is one with the address of a real database."""
    again = run("init", "--sandbox", str(sandbox))
    assert again.exit_code == 70
    assert "不是空的" in again.stderr
    both = run("init", "--sandbox", "--url", "sqlite:///x.db", str(sandbox / "other"))
    assert both.exit_code == 64
    assert not (sandbox / "other").exists()


def test_only_files_are_sent(sandbox: Path) -> None:
    """A sandbox with a channel that could reach somebody is refused with the place of the mistake."""
    file = sandbox / "duban.yaml"
    real = "{type: email, host: mail.example.com, port: 25, encryption: none, from: {name: x, address: x@example.com}}"
    text = file.read_text("utf-8").replace("{type: spool, kind: email, directory: messages/email}", real)
    file.write_text(text, "utf-8")
    checked = run("check", "-c", str(file))
    assert checked.exit_code == 78
    assert "channels.email.type: 练习环境" in checked.stdout + checked.stderr


@pytest.mark.parametrize("command", [("check",), ("status",), ("run",), ("outbox", "list"), ("reload",), ("migrate",)])
def test_the_time_is_not_pretended_elsewhere(sandbox: Path, command: tuple[str, ...]) -> None:
    """With DUBAN_NOW every command refuses a configuration that is no sandbox, so that no record bears a false time."""
    file = sandbox / "duban.yaml"
    file.write_text(file.read_text("utf-8").replace("sandbox: true\n", ""), "utf-8")
    refused = run(*command, "-c", str(file))
    assert refused.exit_code == 78
    assert "DUBAN_NOW" in refused.stderr + refused.stdout


def test_a_wrong_time_is_told(sandbox: Path) -> None:
    """A time that is none is named, with how to write it."""
    for refused in (
        run("check", "-c", str(sandbox / "duban.yaml"), now="昨天"),
        run("init", "--sandbox", str(sandbox / "other"), now="昨天"),
    ):
        assert refused.exit_code == 78
        assert "2026-11-23 09:00" in refused.stderr


def test_the_schema_for_editors(sandbox: Path) -> None:
    """`duban policy schema` prints what the sandbox keeps beside its policies."""
    printed = run("policy", "schema", now=None)
    assert json.loads(printed.stdout) == json.loads((sandbox / "policy.schema.json").read_text("utf-8"))
