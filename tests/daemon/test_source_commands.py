"""`duban source check` and `duban init`, as an administrator runs them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.cells import cell_len

from daemon.cli import main
from daemon.cli.init import mapping_text, write_configuration
from daemon.demo.database import SCHEMA
from daemon.mapping import SourceMapping
from daemon.source.guess import guess_from
from support.source_shapes import OtherSystem, petition

if TYPE_CHECKING:
    from pathlib import Path

PERSON = {"rydm": "P1", "xm": "某承办人", "jgdm": "D1", "sjh": "13800000001", "yx": "p1@example.com", "zt": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped configuration with the shared database its mapping expects."""
    write_configuration(tmp_path, None, ())
    system = platform(tmp_path)
    system.run(SCHEMA)
    system.insert("jgxx", {"jgdm": "D1", "jgmc": "甲科"})
    system.insert("ryxx", PERSON)
    system.insert("xfjxx", without_remark(petition("X1")))
    return tmp_path


def platform(folder: Path) -> OtherSystem:
    """The system the shared database belongs to."""
    return OtherSystem(f"sqlite:///{folder / 'platform.db'}")


def without_remark(row: dict[str, object]) -> dict[str, object]:
    """The sample database has no remark column."""
    return {name: value for name, value in row.items() if name != "bz"}


def run(*arguments: str, **environment: str) -> Result:
    """One run of the command."""
    settings = {"DUBAN_LANG": "zh", "COLUMNS": "160", **environment}
    return CliRunner().invoke(main, list(arguments), env=settings)


def check(folder: Path, *more: str) -> Result:
    """`duban source check` on that configuration."""
    return run("source", "check", "-c", str(folder / "duban.yaml"), *more)


def test_good_source(folder: Path) -> None:
    """A sound source passes with exit code 0; personal values of people are masked everywhere."""
    plain, machine = check(folder), check(folder, "--json")
    assert (plain.exit_code, machine.exit_code) == (0, 0), plain.output
    told: dict[str, Any] = json.loads(machine.stdout)
    assert told["ok"] is True
    assert told["cases"] == 1
    officials = next(one for one in told["entities"] if one["entity"] == "officials")
    assert officials["rows"] == 1
    assert officials["samples"][0]["mobile"] == "138****0001"
    for output in (plain.output, machine.output):
        assert "13800000001" not in output
        assert "某承办人" not in output
        assert "p1@example.com" not in output
        assert "（信访人）" not in output


@pytest.mark.parametrize(
    ("language", "piece"), [("zh", "案件 cases ← xfjxx（1 行）"), ("en", "cases ← xfjxx (1 rows)")]
)
def test_names_are_whole_at_80_columns(folder: Path, language: str, piece: str) -> None:
    """No field is cut, no line is wider than the terminal; milestones stand below their section."""
    shown = run("source", "check", "-c", str(folder / "duban.yaml"), COLUMNS="80", DUBAN_LANG=language).stdout
    assert piece in shown
    for name in ("milestones:", "registered_at", "transfer_limit_at", "acknowledged_at", "petitioner_told_at"):
        assert re.search(rf"^ *{name}( |$)", shown, re.MULTILINE)
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_english_without_chinese_words(folder: Path) -> None:
    """What duban itself says is English; only data stays as it is."""
    shown = run("source", "check", "--sample", "0", "-c", str(folder / "duban.yaml"), DUBAN_LANG="en").stdout
    assert "ready to use" in shown
    assert re.findall(r"[\u4e00-\u9fff]", shown) == []


def test_bad_rows_are_listed(folder: Path) -> None:
    """Rows that cannot be used give exit code 1 and are listed; remarks alone do not."""
    platform(folder).insert("ryxx", {**PERSON, "rydm": "P2", "sjh": None, "yx": None})
    assert check(folder).exit_code == 0
    platform(folder).insert("xfjxx", without_remark(petition("X2", djsj="[昨天]")))
    plain, machine = check(folder), check(folder, "--json")
    assert (plain.exit_code, machine.exit_code) == (1, 1)
    assert "X2" in plain.output
    told = json.loads(machine.stdout)
    assert told["set_aside"] == 1
    assert {(one["entity"], one["row"]) for one in told["findings"]} == {("officials", "P2"), ("cases", "X2")}
    cases = next(one for one in told["entities"] if one["entity"] == "cases")
    registered = next(one for one in cases["columns"] if one["field"] == "milestones.registered_at")
    assert (registered["filled"], registered["unreadable"], registered["examples"]) == (1, 1, ["X2"])


def test_missing_column_is_named(folder: Path) -> None:
    """A table that does not have a mapped column is named with the column; the other tables are still checked."""
    platform(folder).run("DROP TABLE yqjl")
    result = check(folder)
    assert result.exit_code == 1
    assert "yqjl" in result.output
    assert "xfjxx" in result.output


def test_source_away(folder: Path) -> None:
    """A database that is not there is exit code 75, in one sentence."""
    (folder / "platform.db").unlink()
    result = check(folder)
    assert result.exit_code == 75
    assert "Traceback" not in result.output


def test_account_that_could_write(folder: Path, postgresql_url: str) -> None:
    """An account that could write is refused with exit code 77 before anything is read."""
    path = folder / "source.yaml"
    path.write_text(path.read_text("utf-8").replace("url: sqlite:///platform.db", f'url: "{postgresql_url}"'), "utf-8")
    result = check(folder)
    assert result.exit_code == 77, result.output
    assert "only-for-tests" not in result.output


def test_init_never_overwrites(tmp_path: Path) -> None:
    """A second `init` writes nothing; a file that was changed meanwhile stays as it is."""
    assert run("init", str(tmp_path / "c")).exit_code == 0
    (tmp_path / "c" / "duban.yaml").write_text("changed")
    (tmp_path / "c" / "source.yaml").unlink()
    result = run("init", str(tmp_path / "c"), "--json")
    told = json.loads(result.stdout)
    assert told["written"] == ["source.yaml"]
    assert "duban.yaml" in told["kept"]
    assert (tmp_path / "c" / "duban.yaml").read_text() == "changed"


def test_init_guesses(folder: Path) -> None:
    """With an address the mapping is written from the tables found there, and it checks at once."""
    (folder / "source.yaml").unlink()
    result = run("init", "--url", f"sqlite:///{folder / 'platform.db'}", str(folder))
    assert result.exit_code == 0, result.output
    written = SourceMapping.model_validate(yaml.safe_load((folder / "source.yaml").read_text("utf-8")))
    assert set(written.entities()) == {"cases", "units", "officials", "posts", "transfers", "extensions"}
    assert written.cases.milestones["accepted_at"].column == "zrdwslsj"
    assert check(folder).exit_code == 0


def test_init_says_what_is_wrong(tmp_path: Path) -> None:
    """An address that nobody understands, or a database that is away, is one sentence and no files."""
    assert run("init", "--url", "nonsense", str(tmp_path / "a")).exit_code == 78
    assert run("init", "--url", f"sqlite:///{tmp_path / 'none.db'}", str(tmp_path / "a")).exit_code == 75
    assert list(tmp_path.iterdir()) == []


def test_guessed_text_is_sound() -> None:
    """Names that YAML would take for something else are quoted, unsure lines are comments, no password is written."""
    tables = {"案件 表": ["编号", "null", "my_deadline_x", "status", "closed_at", "created_at"]}
    text = mapping_text("mysql+pymysql://u:open-secret@h/d", guess_from(tables))
    assert "open-secret" not in text
    written = SourceMapping.model_validate(yaml.safe_load(text))
    assert written.cases.table == "案件 表"
    assert written.cases.open is None
    assert "# limit_at: my_deadline_x" in text
