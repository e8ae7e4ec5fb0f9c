"""The command line itself: help, misspelt words and missing files, in the reader's language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from daemon.cli import COMMANDS, main
from daemon.cli.helping import complaint, one_language

if TYPE_CHECKING:
    from pathlib import Path

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def duban(*arguments: str, language: str = "zh") -> Result:
    """One command as a reader of that language gives it."""
    return CliRunner(env={"DUBAN_LANG": language, "DUBAN_CONFIG": None, "COLUMNS": "80"}).invoke(main, arguments)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_without_a_command_all_are_listed(language: str) -> None:
    """`duban` alone shows what there is and counts as a wrong command line; `--help` does not."""
    alone, asked = duban(language=language), duban("--help", language=language)
    assert (alone.exit_code, asked.exit_code) == (64, 0)
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", asked.output, re.MULTILINE)
        assert name in alone.output


@pytest.mark.parametrize(
    "command", [(), ("status",), ("explain",), ("outbox",), ("outbox", "retry"), ("ledger", "show")]
)
def test_help_is_in_one_language(command: tuple[str, ...]) -> None:
    """English help has no Chinese; Chinese help has no English headings."""
    english = duban(*command, "--help", language="en").output
    assert "Options:" in english
    assert not CHINESE.search(english)
    chinese = duban(*command, "--help").output
    assert "选项" in chinese
    for word in ("Usage:", "Options:", "Show this message"):
        assert word not in chinese


@pytest.mark.parametrize(
    ("arguments", "chinese", "english"),
    [
        (("statsu",), "没有命令 statsu，是不是想写 status？", "there is no command statsu; did you mean status?"),
        (("zzz",), "没有命令 zzz", "there is no command zzz"),
        (("outbox", "lst"), "没有命令 lst，是不是想写 list？", "there is no command lst; did you mean list?"),
        (
            ("status", "--jsno"),
            "没有选项 --jsno，是不是想写 --json？",
            "there is no option --jsno; did you mean --json?",
        ),
        (("explain",), "缺少 CASE", "CASE is missing"),
        (("outbox", "cancel", "1"), "缺少 --reason", "--reason is missing"),
        (("outbox", "list", "--state", "lost"), "--state 只能是：pending、", "--state must be one of: pending, "),
        (("outbox", "list", "--limit", "many"), "--limit 的值不对", "--limit: 'many'"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments: tuple[str, ...], chinese: str, english: str) -> None:
    """Exit code 64, one sentence, and where the usage is told."""
    for language, said, where in (("zh", chinese, "用法见 "), ("en", english, "see ")):
        shown = duban(*arguments, language=language)
        assert (shown.exit_code, shown.stdout) == (64, "")
        first, second = shown.stderr.splitlines()
        assert first.startswith(said)
        assert second.startswith(where)


@pytest.mark.parametrize("command", [("status",), ("explain", "X"), ("ledger", "show", "X"), ("outbox", "list")])
def test_a_missing_configuration_is_one_sentence(command: tuple[str, ...], tmp_path: Path) -> None:
    """Exit code 78, the file's name, no traceback, in both languages."""
    missing = str(tmp_path / "none.yaml")
    for language, said in (("zh", "没有这个文件"), ("en", "there is no such file")):
        shown = duban(*command, "-c", missing, language=language)
        assert (shown.exit_code, shown.stdout) == (78, "")
        assert missing in shown.stderr
        assert said in shown.stderr or language == "en"
        assert "Traceback" not in shown.stderr


def test_halves_of_a_text() -> None:
    """Texts are halved at the slash or between paragraphs; a text in one language stays whole."""
    assert one_language("看情况 / how things stand") in {"看情况", "how things stand"}
    assert one_language("only / English") == "only / English"


@pytest.mark.parametrize(("language", "said"), [("zh", "--by 的值不对：没有此人"), ("en", "--by: 没有此人")])
def test_a_wrong_value_found_later_is_told_in_one_language(
    language: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command finds out after reading the line is worded as what is found while reading it."""
    monkeypatch.setenv("DUBAN_LANG", language)
    assert complaint(click.BadParameter("没有此人", param_hint="--by")).message == said
