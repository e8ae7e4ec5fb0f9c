from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUR_NAMES = ("daemon", "channels", "policies")


def run(*command: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that holds no sources; Chinese, no colours, nothing of the test's own environment."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}
    }
    return subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command],
        cwd=folder,
        env=inherited | {"DUBAN_LANG": "zh", "PYTHONUTF8": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def uv() -> str:
    """The packager: on the path, or where scripts/setup.sh put it. Without it the test fails."""
    found = shutil.which("uv") or shutil.which(ROOT / ".cache" / "uv" / "bin" / "uv")
    assert found is not None, "uv is missing: run scripts/setup.sh"
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what the repository holds, as the forge would."""
    sources, out = tmp_path_factory.mktemp("sources") / "duban", tmp_path_factory.mktemp("dist")
    sources.mkdir()
    for name in (*OUR_NAMES, "config", "systemd"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, sources / name)
    built = run(uv(), "build", "--wheel", "--quiet", "--out-dir", out, folder=sources)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it and the sources nowhere.

    What duban depends on is taken from the environment the tests run in, so that no package is fetched twice.
    """
    venv = tmp_path_factory.mktemp("install") / "venv"
    made = run(uv(), "venv", "--quiet", "--python", sys.executable, venv, folder=venv.parent)
    assert made.returncode == 0, made.stderr
    python = venv / "bin" / "python"
    put = run(uv(), "pip", "install", "--quiet", "--no-deps", "--python", python, wheel, folder=venv.parent)
    assert put.returncode == 0, put.stderr
    site = next((venv / "lib").glob("python3.*/site-packages"))
    for folder in (entry for entry in sys.path if entry.endswith("site-packages")):
        for entry in Path(folder).iterdir():
            ours = entry.name.startswith(("duban-", "_duban", "_editable_impl_duban", "__editable__"))
            if not ours and entry.suffix != ".pth" and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)
    return venv


def test_the_wheel_holds_the_three_packages_and_the_files_for_administrators(wheel: Path) -> None:
    """Code under its three names, configuration and units as shared data, and no tests."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/", 1)[0] for name in names}
    assert {top for top in tops if not top.startswith("duban-")} == set(OUR_NAMES)
    data = f"duban-{version('duban')}.data/data/share/duban"
    assert f"{data}/config/duban.yaml" in names
    assert f"{data}/systemd/duban.service" in names
    assert not [name for name in names if name.startswith(f"{data}/config") and name.endswith(".py")]


def test_the_command_runs_without_the_sources(installed: Path, tmp_path: Path) -> None:
    """`duban --help` and `--version` work from the wheel alone, and the version is the project's."""
    duban = installed / "bin" / "duban"
    helped = run(duban, "--help", folder=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "运行守护进程" in helped.stdout
    assert run(duban, "--version", folder=tmp_path).stdout.strip() == f"duban {version('duban')}"


def test_every_command_can_be_loaded_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Nothing a command imports was left out of the wheel."""
    program = "from daemon.cli import COMMANDS, main; [main.get_command(None, name) for name in COMMANDS]"
    loaded = run(installed / "bin" / "python", "-c", program, folder=tmp_path)
    assert (loaded.returncode, loaded.stderr) == (0, "")


def test_the_shipped_configuration_is_right(installed: Path, tmp_path: Path) -> None:
    """`duban check` finds no mistake in the configuration that comes with the wheel."""
    shipped = installed / "share" / "duban" / "config" / "duban.yaml"
    checked = run(installed / "bin" / "duban", "check", "--json", "-c", shipped, folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert json.loads(checked.stdout)["ok"] is True


def test_a_wrong_command_line_ends_with_64(installed: Path, tmp_path: Path) -> None:
    """A wrong option ends with the code after which systemd does not start again."""
    assert run(installed / "bin" / "duban", "run", "--no-such-option", folder=tmp_path).returncode == 64


def test_nobody_else_owns_our_names() -> None:
    """No other installed distribution brings a package named as one of ours."""
    owners = packages_distributions()
    assert {name: set(owners.get(name, ["duban"])) for name in OUR_NAMES} == {name: {"duban"} for name in OUR_NAMES}
