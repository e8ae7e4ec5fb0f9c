from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from channels.wire.sms import sms_units
from daemon.cli.preview import STANDINGS, preview
from daemon.clock import SystemClock
from daemon.offers import Offer
from daemon.render import renderer_of
from daemon.samples import SAMPLE_OFFICIAL, sample_notice
from daemon.samples import STANDINGS as KNOWN
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_node
from support.office import Office, build_office

SHIPPED = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """The invented office; its store is not there yet."""
    arrived = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).replace(tzinfo=None, microsecond=0)
    return build_office(tmp_path / "office", cases=1, arrived=arrived, calendar="weekdays")


def shown(office: Office, *arguments: str) -> Result:
    """The command over the office's configuration, in Chinese."""
    command = [*arguments, "-c", str(office.configuration)]
    return CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "100"}).invoke(preview, command)


def told(office: Office, *arguments: str) -> list[dict[str, Any]]:
    """What it says to programs."""
    result = shown(office, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_everything_the_policies_say_is_shown_without_a_database(office: Office) -> None:
    """Each word of the ladders appears once for each kind of channel; text messages say how long they are."""
    found = told(office)
    assert {(one["say"], one["kind"]) for one in found} == {
        (say, kind) for say in ("assigned", "remind", "today", "urge") for kind in ("sms", "email")
    }
    assert all(one["units"] == len(one["text"]) and one["parts"] == 1 for one in found if one["kind"] == "sms")


def test_lines_of_chinese_stand_in_a_straight_frame(office: Office) -> None:
    """Every line of the frame is as wide as the others on the screen, Chinese counted double."""
    framed = [line for line in shown(office, "remind").stdout.splitlines() if line]
    assert {cell_len(line) for line in framed} == {76}


@pytest.mark.parametrize(
    ("standing", "words"),
    [("ahead", "余3个工作日"), ("today", "今日"), ("platform", "平台期限"), ("overdue", "已超期5个工作日")],
)
def test_every_state_of_a_limit_can_be_asked_for(office: Office, standing: str, words: str) -> None:
    """The facts are made up so that the limit stands as asked."""
    (said,) = told(office, "remind", "--standing", standing, "--channel", "sms")
    assert words in said["text"]


def test_the_states_are_those_the_renderer_knows() -> None:
    """What the command offers is what can be made up."""
    assert STANDINGS == KNOWN


def test_several_in_one_message_are_sorted_and_counted(office: Office) -> None:
    """The digest of forty says forty in the text, and lists forty in the mail, the most urgent first."""
    mail, text = sorted(told(office, "digest", "--digest", "40"), key=lambda one: str(one["kind"]))
    assert "40件" in text["text"]
    assert [mail["text"].index(f"XF20260917{number:04}") for number in range(1, 41)] == sorted(
        mail["text"].index(f"XF20260917{number:04}") for number in range(1, 41)
    )


def test_the_mail_can_be_written_to_files(office: Office, tmp_path: Path) -> None:
    """Its HTML, and the whole mail as it would go on the wire; both hold no address of anybody."""
    html, eml = tmp_path / "mail.html", tmp_path / "mail.eml"
    assert shown(office, "remind", "--html", str(html), "--eml", str(eml)).exit_code == 0
    assert "书面告知" in html.read_text("utf-8")
    mail = message_from_bytes(eml.read_bytes(), policy=policy.default)
    assert "书面告知" in str(mail["Subject"])
    assert "preview@example.invalid" in str(mail["To"])


def test_a_real_case_is_told_with_its_own_facts(office: Office) -> None:
    """With --case the facts are those of the store, as the decision would have them."""
    configuration = load(office.configuration)
    Store.migrate(configuration.settings.store.url)

    async def work() -> None:
        node = open_node(configuration, SystemClock())
        try:
            await node.sync()
        finally:
            await node.close()

    asyncio.run(work())
    (said,) = told(office, "remind", "--case", "XF00000000", "--channel", "sms")
    assert "XF00000000" in said["text"]
    assert "首办责任人" in said["text"]
    (to_head,) = told(office, "urge", "--case", "XF00000000", "--channel", "sms", "--to", "c0", "--standing", "overdue")
    assert "科室负责人" in to_head["text"]
    assert "已超期" in to_head["text"]
    assert shown(office, "remind", "--case", "NO-SUCH").exit_code == 1


def test_a_broken_template_is_named_and_the_others_are_shown(office: Office, tmp_path: Path) -> None:
    """A mistake in one file costs its own message only, and the exit code tells."""
    templates = tmp_path / "templates" / "standard"
    templates.mkdir(parents=True)
    (templates / "today.sms.txt").write_text("{{ nonsense }}", "utf-8")
    (templates / "today.email.txt").write_text("主题: 到期\n\n今天到期。\n", "utf-8")
    text = office.configuration.read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("templates:"))
    office.change("duban.yaml", line, f"templates: {tmp_path / 'templates'}")
    result = shown(office, "today")
    assert result.exit_code == 1
    assert "今天到期" in result.stdout
    assert "today.sms.txt" in result.stderr


def test_a_channel_nobody_has_is_refused(office: Office) -> None:
    """The command names the channels there are."""
    result = shown(office, "remind", "--channel", "fax")
    assert result.exit_code == 1
    assert "fax" in result.stderr
    assert "email" in result.stderr


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("code", ["", "7342"])
@pytest.mark.parametrize(
    "said", ["assigned", "unacknowledged", "unacted", "remind", "today", "urge", "bulletin", "no_action", "shirking"]
)
def test_every_text_is_one_part_however_the_limit_stands(said: str, code: str, standing: str) -> None:
    """The shipped words with a usual case number and title, with or without a code to reply: 70 units at most."""
    configuration = load(SHIPPED / "duban.yaml")
    made_up = sample_notice(configuration.policies.policies["xinfang"], "standard", said, standing)
    facts = {**made_up.facts, "limit_title": "书面告知"}
    offer = Offer("", code, reply=bool(code))
    text = renderer_of(configuration).render(replace(made_up, facts=facts), SAMPLE_OFFICIAL, "sms", offer=offer).text
    assert sms_units(text) <= 70, text
