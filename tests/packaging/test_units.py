from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = (UNITS / "duban.service").read_text("utf-8")
MOST_EXPOSED = 20  # of 100, see systemd-analyze(1); measured: 12; what remains is the network


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; a machine without it fails the test, because the units are part of the product."""
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is missing: run scripts/install-packaging-tools.sh"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own arguments


@pytest.fixture
def installed_unit(tmp_path: Path) -> Path:
    """The unit with a program that is there on every machine, as systemd insists on."""
    unit = tmp_path / "duban.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", SERVICE, flags=re.MULTILINE), "utf-8")
    return unit


def test_the_unit_is_understood(installed_unit: Path) -> None:
    """No misspelt key, bad value or missing program is found in the unit."""
    seen = analyze("verify", "--man=no", "--recursive-errors=no", str(installed_unit))
    assert (seen.returncode, seen.stderr) == (0, "")


def test_a_misspelt_unit_would_be_noticed(installed_unit: Path) -> None:
    """The check above is not blind: a wrong Type is refused."""
    installed_unit.write_text(installed_unit.read_text("utf-8").replace("Type=notify", "Type=shout"), "utf-8")
    seen = analyze("verify", "--man=no", "--recursive-errors=no", str(installed_unit))
    assert "shout" in seen.stderr


def test_the_unit_exposes_little(installed_unit: Path) -> None:
    """The measure of exposure that systemd itself takes stays below the threshold."""
    seen = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(installed_unit))
    assert seen.returncode == 0, seen.stdout[-400:]


def settings() -> list[tuple[int, str]]:
    """Line number and text of every setting of the hardening part."""
    lines = SERVICE.splitlines()
    first = next(number for number, line in enumerate(lines) if "--- hardening" in line)
    return [(number, line) for number, line in enumerate(lines) if number > first and re.match(r"[A-Z]\w+=", line)]


@pytest.mark.parametrize(("number", "line"), settings()[:-1])  # the last one is [Install]
def test_every_hardening_line_has_its_reason(number: int, line: str) -> None:
    """A comment stands above every group of hardening settings."""
    above = SERVICE.splitlines()[:number]
    block = next(text for text in reversed(above) if not re.match(r"[A-Z]\w+=", text))
    assert block.startswith("# "), line


def test_a_wrong_configuration_is_not_restarted() -> None:
    """Exit codes 64 and 78 end the service, everything else is restarted, and the watchdog is on."""
    assert "RestartPreventExitStatus=64 78" in SERVICE
    assert "Restart=on-failure" in SERVICE
    assert "WatchdogSec=60" in SERVICE
