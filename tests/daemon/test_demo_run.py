from __future__ import annotations

import json
import re
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console

from channels.wire.sms import sms_parts
from daemon import settings
from daemon.cli.demo import demo
from daemon.demo.configuration import DemoFolder
from daemon.demo.life import SHOWCASE
from daemon.demo.report import Report, command_name, shown_path
from daemon.demo.run import deliveries_after, lights_by_unit
from daemon.store import Store
from daemon.store.values import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.store.values import Delivery


class Lived:
    """One whole demo that ran: what it printed, its folder, its store."""

    def __init__(self, output: str, folder: Path, store: Store) -> None:
        self.output = output
        self.folder = folder
        self.store = store
        self.deliveries: list[Delivery] = list(deliveries_after(store))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """The four weeks, lived once for all tests of this file."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    ran = CliRunner().invoke(demo, ["--folder", str(folder)], env={"DUBAN_LANG": "zh", "DUBAN_DEBUG": "1"})
    assert ran.exit_code == 0, ran.output
    configuration = settings.load(folder / "config" / "duban.yaml")
    with closing(Store(configuration.settings.store.url)) as store:
        yield Lived(ran.output, folder, store)


def test_every_message_left_by_its_real_channel(lived: Lived) -> None:
    """Each accepted message is one file of the mail server or one line of the gateway; none is left over."""
    assert {delivery.state for delivery in lived.deliveries} <= {DeliveryState.ACCEPTED, DeliveryState.CANCELLED}
    cases = {each.notice.case_key for each in lived.deliveries}
    rows = [row.body for case in cases for row in lived.store.ledger(case) if row.kind == "sent"]
    messages = {(row["channel"], row.get("digest") or row["notice"]) for row in rows}  # those of a digest are one
    sent = Counter(channel for channel, _ in messages)
    assert len(list((lived.folder / "mails").glob("*.eml"))) == sent["email"] > 100
    assert len(_texts(lived)) == sent["sms"] > 100


def _texts(lived: Lived) -> list[str]:
    lines = (lived.folder / "texts" / "texts.jsonl").read_text("utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines]


def test_texts_are_short_and_hold_nothing_private(lived: Lived) -> None:
    """No text needs more than two parts, most need one, and none names a petitioner or a number."""
    texts = _texts(lived)
    parts = Counter(map(sms_parts, texts))
    assert set(parts) <= {1, 2}
    assert parts[1] > parts[2]
    assert not [text for text in texts if "信访人" in text or re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)", text)]


def test_the_scripted_case_climbs_to_the_principal(lived: Lived) -> None:
    """Nobody acts, so everybody up the chain hears of it, and the first handler stays informed after the hand-over."""
    mine = [each.notice for each in lived.deliveries if each.notice.case_key == SHOWCASE]
    assert {"first_handler", "section_head", "deputy_leader", "inspector", "principal"} <= {one.role for one in mine}
    assert [one.person for one in mine if one.role == "first_handler" and one.step == "urge"] == ["J11-3", "J11-3"]


def test_a_vacant_post_and_a_missing_number_fall_upward(lived: Lived) -> None:
    """The section without a head reaches its deputy leader; the official without a mobile gets mails."""
    to_deputy = [n for n in (each.notice for each in lived.deliveries) if n.person == "Y20-F" and n.step == "today"]
    assert to_deputy
    channels = {each.notice.channel for each in lived.deliveries if each.notice.person == "J12-3"}
    assert channels == {"email"}


def test_the_ledger_is_whole_afterwards(lived: Lived) -> None:
    """Every chain and the seal hold."""
    assert list(lived.store.verify()) == []


def test_the_end_tells_the_story_and_the_places(lived: Lived) -> None:
    """Summary, story, folders and what to try next are printed; one line for each of the 28 days."""
    for words in ("四周内的消息", SHOWCASE, "主要负责人", str(lived.folder / "mails"), "duban explain"):
        assert words in lived.output
    assert len(re.findall(r"^ ?\d{1,2}月 ?\d{1,2}日 周", lived.output, re.MULTILINE)) == 28
    assert sum(lights_by_unit(lived.store).values(), Counter()).total() > 0


def test_the_hints_can_be_typed_as_they_are(
    lived: Lived, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the shell does not find `duban`, the path that works is printed, relative to the current folder."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(Path(sys.executable).parents[1])
    assert command_name() in {"bin/duban", "bin/python -m daemon"}
    monkeypatch.chdir(lived.folder)
    assert shown_path(lived.folder / "config" / "duban.yaml") == "config/duban.yaml"
    configuration = settings.load(lived.folder / "config" / "duban.yaml")
    Report(lived.store, configuration, "en").show(Console(width=80), DemoFolder(lived.folder))
    told = capsys.readouterr().out
    assert f"duban explain {SHOWCASE} -c config/duban.yaml" in told
    story = told.partition("the whole story")[2].partition("where everything is")[0]
    assert "“书面告知” urging → deputy leader" in story
    assert max(map(cell_len, story.splitlines())) <= 80


def test_a_folder_that_is_not_empty_is_left_alone(lived: Lived) -> None:
    """A second demo in the same folder is refused with a sentence."""
    again = CliRunner().invoke(demo, ["--folder", str(lived.folder)], env={"DUBAN_LANG": "zh"})
    assert again.exit_code != 0
    assert "不是空的" in again.output
