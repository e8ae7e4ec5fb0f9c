"""The domain rules have forty-eight numbered statements; each is a test, and none may quietly go missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
NUMBERED = re.compile(r"test_statement_(\d\d)_\w+")
EVADING = {"skip", "skipif", "xfail", "importorskip"}


def test_every_statement_has_its_test_and_none_is_skipped() -> None:
    """Numbers 1 to 48 are all there, each says in one sentence what it proves, and nothing here evades running."""
    found: dict[int, list[str]] = {}
    for path in sorted(HERE.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not words & EVADING, path.name
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if numbered := NUMBERED.fullmatch(node.name):
                assert ast.get_docstring(node), node.name
                found.setdefault(int(numbered[1]), []).append(node.name)
    assert sorted(found) == list(range(1, 49))
