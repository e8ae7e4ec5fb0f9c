"""A channel of another package: found by its entry point, configured, checked and used like our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from channels.registry import channel_types, kind_of
from daemon.errors import SettingsError
from daemon.settings import load

MODULE = '''
"""A pager of the invented office: appends a line to a file."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from channels.base import ChannelType, OutcomeUnknown, Receipt


class PagerSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    log_file: Path
    band: Literal["uhf", "vhf"] = "uhf"


class Pager:
    settings_type = PagerSettings
    kind = "pager"

    def __init__(self, settings):
        self.settings = settings

    async def send_many(self, messages):
        with self.settings.log_file.open("a") as log:
            log.writelines(f"{message.to} {message.text}\\n" for message in messages)
        return [Receipt("1") for _ in messages]

    async def lookup(self, message):
        raise OutcomeUnknown("cannot_ask")

    async def close(self):
        pass


CHANNEL = ChannelType("pager", PagerSettings, Pager, "pager")
IMPOSTOR = ChannelType("email", PagerSettings, Pager, "pager")
NO_CHANNEL = "pager"
'''
GOOD = Path(__file__).parents[1] / "daemon" / "bad_config" / "good"


def installed(folder: Path, entry: str = "duban_pager:CHANNEL", module: str = MODULE) -> Path:
    """A folder with the package as an installer lays it out: the module, and what it says about itself."""
    site = folder / "site"
    about = site / "duban_pager-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "duban_pager.py").write_text(module)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: duban-pager\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[duban.channels]\npager = {entry}\n")
    return site


def office(folder: Path, channel: str) -> Path:
    """The configuration of an office with this one channel."""
    whole = (GOOD / "duban.yaml").read_text()
    target = folder / "office"
    target.mkdir()
    for path in GOOD.iterdir():
        if path.name != "duban.yaml":
            (target / path.name).symlink_to(path)
    start, end = whole.index("channels:"), whole.index("administrators:")
    (target / "duban.yaml").write_text(f"{whole[:start]}channels:\n  pager: {channel}\n{whole[end:]}")
    return target / "duban.yaml"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test installs a package of its own under the same name."""
    monkeypatch.delitem(sys.modules, "duban_pager", raising=False)


def duban(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program, in a process of its own that sees the installed package."""
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{Path.cwd()}", "DUBAN_LANG": "en"}
    command = [sys.executable, "-m", "daemon", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own


def test_its_type_is_among_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point is enough: nothing of ours names it. Its kind of address is its own."""
    monkeypatch.syspath_prepend(str(installed(tmp_path)))
    types = channel_types()
    assert types["pager"].name == "pager"
    assert kind_of(types["pager"], types["pager"].settings.model_validate({"log_file": "x"})) == "pager"
    assert {"email", "http", "wecom"} <= set(types)


def test_a_built_in_name_stays_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that calls its channel `email` does not get everybody's mail."""
    monkeypatch.syspath_prepend(str(installed(tmp_path, "duban_pager:IMPOSTOR")))
    assert channel_types()["email"].kind == "email"


def test_something_else_under_the_entry_point_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no ChannelType is no channel."""
    monkeypatch.syspath_prepend(str(installed(tmp_path, "duban_pager:NO_CHANNEL")))
    assert "pager" not in channel_types()


def test_it_is_configured_like_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are read with relative files beside the configuration, its kind is known to policies."""
    monkeypatch.syspath_prepend(str(installed(tmp_path)))
    configuration = load(office(tmp_path, "{type: pager, log_file: pages.txt}"))
    assert configuration.kinds == {"pager": "pager"}
    assert configuration.channel_settings["pager"].model_dump()["log_file"] == tmp_path / "office" / "pages.txt"


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("{type: pager, log_file: p, band: am}", "channels.pager.band: "),
        ("{type: pager}", "channels.pager.log_file: "),
        ("{type: pagerr, log_file: p}", "pager"),
    ],
)
def test_its_mistakes_are_told_like_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str, said: str
) -> None:
    """With file, line and key, in both languages; a misspelt type gets the nearest one."""
    monkeypatch.syspath_prepend(str(installed(tmp_path)))
    with pytest.raises(SettingsError) as failure:
        load(office(tmp_path, channel))
    assert any(said in problem.en and "duban.yaml:" in problem.en for problem in failure.value.problems)


def test_a_package_that_cannot_be_loaded_is_one_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises on import, an administrator reads a sentence and no traceback."""
    monkeypatch.syspath_prepend(str(installed(tmp_path, module="raise RuntimeError('broken')")))
    with pytest.raises(SettingsError) as failure:
        load(office(tmp_path, "{type: pager, log_file: p}"))
    assert any("channel of another package" in problem.en for problem in failure.value.problems)


def test_the_program_sends_through_it(tmp_path: Path) -> None:
    """`duban check` accepts it and `duban send-test` sends a marked message through it."""
    site = installed(tmp_path)
    configuration = str(office(tmp_path, "{type: pager, log_file: pages.txt}"))
    sent = duban(site, "send-test", "pager", "--to", "R7", "--json", "-c", configuration)
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["outcome"] == "accepted"
    (page,) = (tmp_path / "office" / "pages.txt").read_text().splitlines()
    assert page.startswith("R7 ")
    assert "测试" in page


def test_without_the_package_the_type_is_unknown(tmp_path: Path) -> None:
    """The same configuration where the package is not installed says so, and lists the types there are."""
    (tmp_path / "empty").mkdir()
    checked = duban(tmp_path / "empty", "check", "-c", str(office(tmp_path, "{type: pager, log_file: pages.txt}")))
    assert checked.returncode == 78
    assert 'no channel type named "pager"' in checked.stderr
