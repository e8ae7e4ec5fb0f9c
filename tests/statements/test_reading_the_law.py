"""The page that leads a jurist through the code names only what is there, in both languages the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = ["reading-the-law.md", "reading-the-law.zh-CN.md"]
NAMED = re.compile(r"\[`([^`]+)`\]\(([^)]+)\)")
LINKED = re.compile(r"\]\(([^)]+)\)")
IN_ORDER = ["201(1)", "202", "203(1)", "203(2)", "201(2)", "税收征管法实施细则 109"]


def names_in(path: Path) -> set[str]:
    """Every function and class of a Python file; the limits and top keys of a policy."""
    if path.suffix == ".py":
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    policy = yaml.safe_load(path.read_text("utf-8"))
    return {*policy, *policy["limits"]}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_name_on_the_page_exists(page: str) -> None:
    """Whoever follows a link finds the file, and in it the name he was promised."""
    text = (DOCS / page).read_text("utf-8")
    named = NAMED.findall(text)
    assert len(named) > 40
    assert [link for link in LINKED.findall(text) if not (DOCS / link).is_file()] == []
    assert [(name, link) for name, link in named if name not in names_in((DOCS / link).resolve())] == []


def test_both_languages_lead_to_the_same_places() -> None:
    """Neither page knows an article or a place in the code that the other leaves out."""
    english, chinese = (NAMED.findall((DOCS / page).read_text("utf-8")) for page in PAGES)
    assert english == chinese


def test_counting_stands_in_the_order_of_the_law() -> None:
    """The headings inside the count: days first, then hours, at last what only some limits ask for."""
    headings = [
        line for line in (REPOSITORY / "policies/counting.py").read_text("utf-8").splitlines() if "    # ---" in line
    ]
    places = [next(i for i, line in enumerate(headings) if article in line) for article in IN_ORDER]
    assert places == sorted(places)
