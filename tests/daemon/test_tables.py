"""Tables on a narrow screen: no word is broken as long as there is room, Chinese counted double."""

from __future__ import annotations

import subprocess

import pytest

from daemon.cli.reading import show_table
from support.daemon_process import DUBAN, environment

VERSIONS = (
    ["version", "state", "from", "running cases", "proposed by", "approved by", "note"],
    [
        ("6e0ccbaa2d0d", "in force", "2026-11-25 09:00", 0, "clerk", "head", "decided by the board in November"),
        ("2e959bb521da", "replaced", "2026-11-23 09:00", 11, "duban", "—", "first start"),
    ],
)
AHEAD = (
    ["时间", "案件", "时限", "梯级", "收件人", "通道", "灯"],
    [
        ("2026-11-23 09:00", "TS029", "答复", "新办通知", "限制知悉人员 督查一", "邮件、短信", "绿灯"),
        ("2026-12-01 09:00", "TS029", "答复", "催办（第2次）", "首办责任人 承办人甲一", "短信", "黄灯"),
    ],
)


@pytest.mark.parametrize(
    ("table", "width"),
    [(VERSIONS, 80), (VERSIONS, 100), (AHEAD, 78), (AHEAD, 80), (AHEAD, 120)],
)
def test_no_word_is_broken(
    table: tuple[list[str], list[tuple[object, ...]]],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every word of every cell and heading stands whole on one line."""
    monkeypatch.setenv("COLUMNS", str(width))
    columns, rows = table
    show_table("", columns, rows, whole=(0, 1))
    shown = capsys.readouterr().out
    words = {word for cell in (*columns, *(str(cell) for row in rows for cell in row)) for word in cell.split()}
    standing = set(shown.split())
    assert words <= standing


def test_a_table_too_narrow_for_anything_still_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a screen of forty columns words are broken, and no line is longer than the screen."""
    monkeypatch.setenv("COLUMNS", "40")
    show_table("", *VERSIONS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > len(VERSIONS[1]) + 2
    assert all(len(line) <= 40 for line in lines)


def test_a_reader_that_has_read_enough() -> None:
    """`duban … | head` ends quietly: no talk of a defect."""
    ended = subprocess.run(  # noqa: S603 - our own command
        ["/bin/bash", "-c", f"{DUBAN} policy schema | head -1; exit ${{PIPESTATUS[0]}}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "{\n"
    assert ended.stderr == ""
    assert ended.returncode in {0, 1}
