"""The published JSON Schema and the reference: an editor and a reader learn the same words as the parser knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.yamlfile import read_yaml
from policies.beforehand.trials import run_trials
from policies.conditions import HISTORY_WORDS
from policies.duration import Unit, format_duration, parse_duration, parse_moment
from policies.language import parse_policies, policy_schema
from policies.language.conditions import DESCRIPTIONS
from policies.language.lengths import MOMENT_EXAMPLES
from policies.language.patterns import BOUND, EVERY, EVERY_SO_MANY_DAYS, MOMENT, ONE_LENGTH, WAIT, WITHIN
from support.invented_office import CALENDARS

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = policy_schema()


def keys_of(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key a policy may have, with what the schema says of it."""
    if isinstance(node, dict):
        for name, schema in node.get("properties", {}).items():
            yield f"{path}.{name}", schema
        for name, inner in node.items():
            yield from keys_of(inner, f"{path}.{name}")
    elif isinstance(node, list):
        for inner in node:
            yield from keys_of(inner, path)


KEYS = dict(keys_of(SCHEMA))


@pytest.mark.parametrize("guide", ["policies.md", "policies.zh-CN.md"])
def test_the_reference_names_every_key(guide: str) -> None:
    """Whoever adds a word to the language adds it to the manual, in both languages."""
    said = re.findall(r"[a-z_]+", (REPOSITORY / "docs" / guide).read_text("utf-8"))
    missing = {path.rpartition(".")[2] for path in KEYS} - set(said)
    assert not missing
    assert set(HISTORY_WORDS) <= set(said)


def test_an_editor_says_what_every_key_means() -> None:
    """In Chinese first, then in English; no name of a Python variable is shown as a title."""
    for path, schema in KEYS.items():
        if path.rpartition(".")[0].endswith((".not", ".anyOf")) and "description" not in schema:
            continue
        described = schema.get("description", "")
        assert re.search(r"[\u4e00-\u9fff].*/.*[a-z]", described), path
        assert "title" not in schema
    assert set(DESCRIPTIONS) == set(HISTORY_WORDS)


READ = [
    "15 日",
    "15天",
    "３ 工作日",
    "3 个月",
    "1 年",
    "1.5 小时",
    "30 分钟",
    "4 工作小时",
    "90 工作分钟",
    "5 working days",
]
SPOKEN = [format_duration(parse_duration(text), language) for text in READ for language in ("zh", "en")]


@pytest.mark.parametrize("text", [*READ, *SPOKEN])
def test_an_editor_accepts_every_length_that_is_read(text: str) -> None:
    """What the parser reads is not underlined, alone and inside a sentence."""
    assert re.search(ONE_LENGTH, text)
    assert re.search(WITHIN, f"{text}内")
    assert re.search(WITHIN, f"within {text}")
    assert re.search(EVERY, f"每 {text}，最多 6 次")
    assert re.search(EVERY, f"每 {text}一次，最多再 6 次")
    assert re.search(EVERY, f"every {text} up to 6 times")
    assert re.search(BOUND, f"registered_at + {text}")
    assert re.search(MOMENT, f"due - {text} 09:00")
    assert re.search(MOMENT, f"到期前 {text}")
    hours = parse_duration(text).unit in (Unit.HOUR, Unit.WORKHOUR)
    assert bool(re.search(EVERY_SO_MANY_DAYS, text)) is not hours
    assert bool(re.search(WAIT, text)) is (parse_duration(text).unit is Unit.HOUR)


@pytest.mark.parametrize("text", MOMENT_EXAMPLES)
def test_the_moments_an_editor_offers_are_read(text: str) -> None:
    """Examples are right, and fit their own pattern."""
    assert parse_moment(text)
    assert re.search(MOMENT, text)


@pytest.mark.parametrize(
    "text", ["3 日", "due - 3", "due 25:00", "start - 1 日", "起算前 2 日", "due + 50%", "deu", "下周一"]
)
def test_an_editor_underlines_what_is_no_moment(text: str) -> None:
    """The commonest slips show while typing."""
    assert not re.search(MOMENT, text)


@pytest.mark.parametrize("text", ["15", "15 foos", "2 周", "1.5 日", "-3 日", "日"])
def test_an_editor_underlines_what_is_no_length(text: str) -> None:
    """Above all a length without its unit."""
    assert not re.search(ONE_LENGTH, text)


@pytest.mark.parametrize("guide", ["policies.md", "policies.zh-CN.md"])
def test_the_example_of_the_manual_goes_as_it_says(guide: str, tmp_path: Path) -> None:
    """The trial an administrator copies first is played by the daemon's own decisions, and comes out right."""
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / guide).read_text("utf-8"), re.DOTALL)
    (tmp_path / "office.yaml").write_text("\n".join(blocks), "utf-8")
    policies = parse_policies({"office.yaml": read_yaml(tmp_path / "office.yaml").tree})
    assert len(policies.trials) == 1
    assert run_trials(policies, CALENDARS, {"sms": "sms"}) == ()
