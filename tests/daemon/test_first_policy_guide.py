"""The page that leads a newcomer to a first policy does what it says, block by block."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guide import fits, follow, plain, steps_of

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["first-policy.zh-CN.md", "first-policy.md"])
def test_the_guide_holds(page: str, tmp_path: Path) -> None:
    """Somebody who copies every line and runs every command sees what the page shows."""
    steps = steps_of((DOCS / page).read_text("utf-8"))
    shown = list(follow(steps, tmp_path))
    assert len(shown) >= 10
    for step in shown:
        assert fits(plain(step.body), plain(step.shown)), f"{page} shows\n{step.body}\nfound\n{step.shown}"
