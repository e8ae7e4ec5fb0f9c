from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from channels.registry import channel_types
from daemon.catalogue import sheet_of, sheets
from daemon.cli.channels import channels_command
from support.office import build_office
from support.running_office import SHANGHAI

if TYPE_CHECKING:
    from pathlib import Path

from datetime import datetime

ARRIVED = datetime(2026, 9, 16, 10, tzinfo=SHANGHAI).replace(tzinfo=None)


def said(*arguments: str) -> str:
    """What the command prints, in English."""
    result = CliRunner().invoke(channels_command, list(arguments), env={"DUBAN_LANG": "en", "COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def told(*arguments: str) -> dict[str, Any]:
    """What it says to programs."""
    found: dict[str, Any] = json.loads(said(*arguments, "--json"))
    return found


def test_every_type_is_listed_with_what_must_be_written() -> None:
    """All channel types there are stand in the list, each with its settings; what is required has no default."""
    types = {one["type"]: one for one in told()["types"]}
    assert set(types) == {*channel_types(), "shared"}
    assert {one["key"] for one in types["wecom"]["settings"] if one["required"]} == {"corp_id", "agent_id", "secret"}


def test_settings_inside_settings_are_named_by_their_path() -> None:
    """What stands within another key is listed behind it, with its default and its bounds."""
    settings = {one["key"]: one for one in told("email")["types"][0]["settings"]}
    assert settings["bounce_mailbox.folder"]["default"] == "INBOX"
    assert settings["dkim.key"]["secret"]
    assert settings["connections"]["takes"]["en"] == "integer ≥ 1 ≤ 256"


@pytest.mark.parametrize("name", sorted(channel_types()))
def test_every_setting_of_ours_says_what_it_means(name: str) -> None:
    """No key of a built-in channel is left without a meaning in both languages."""
    silent = [one.name for one in sheet_of(channel_types()[name]).settings if not (one.meaning.zh and one.meaning.en)]
    assert silent == []


def test_what_a_type_can_do_comes_from_the_type_itself() -> None:
    """Whether it is called or collects shows in its methods; the rest it says of itself."""
    can = {sheet.name: sheet.can for sheet in sheets()}
    assert can["email"].collected
    assert can["aliyun"].asked
    assert not can["wecom"].asked


def test_the_configured_channels_show_their_state_and_no_secret(tmp_path: Path) -> None:
    """With -c ours are listed: which address they need, whether they open; a password never shows."""
    office = build_office(tmp_path / "office", cases=0, arrived=ARRIVED)
    office.change(
        "duban.yaml",
        "    encryption: none\n",
        "    encryption: starttls\n    username: duban\n    password: hush-hush\n",
    )
    printed = said("-c", str(office.configuration))
    assert "hush-hush" not in printed
    assert {one["name"]: one["ready"] for one in told("-c", str(office.configuration))["channels"]} == {
        "email": True,
        "sms": True,
    }


def test_providers_behind_one_channel_show_their_weights(tmp_path: Path) -> None:
    """A shared channel names who stands behind it and with which share."""
    office = build_office(tmp_path / "office", cases=0, arrived=ARRIVED)
    office.change(
        "duban.yaml", "administrators:", "  mobile: {type: shared, providers: {sms: 3, spare: 1}}\nadministrators:"
    )
    office.change("duban.yaml", "  sms:\n", f"  spare: {{type: spool, directory: {tmp_path / 'spool'}}}\n  sms:\n")
    (shared,) = (one for one in told("-c", str(office.configuration))["channels"] if one["type"] == "shared")
    assert (shared["name"], shared["weights"], shared["ready"]) == ("mobile", {"sms": 3, "spare": 1}, True)
    assert "spare 1" in said("-c", str(office.configuration))


def test_a_channel_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A missing certificate file is a state, not a crash."""
    office = build_office(tmp_path / "office", cases=0, arrived=ARRIVED)
    office.change("duban.yaml", "    encryption: none\n", "    encryption: none\n    ca_file: /nowhere/ca.pem\n")
    (email,) = (one for one in told("-c", str(office.configuration))["channels"] if one["name"] == "email")
    assert not email["ready"]
    assert "ca.pem" in email["state"]["en"] or "ca_file" in email["state"]["en"]


def test_a_misspelt_type_is_told_which_was_meant() -> None:
    """One letter wrong: the command names the type that was probably meant."""
    result = CliRunner().invoke(channels_command, ["twillio"], env={"DUBAN_LANG": "en"})
    assert result.exit_code == 1
    assert "did you mean “twilio”" in result.output


CALLS = """    secrets: {{callback_token: an-invented-token}}
    calls:
      proof: {{query: token, equals: "{{callback_token}}"}}
      {what}
    reference:"""


@pytest.mark.parametrize(
    ("what", "console", "arrives"),
    [
        ("receipts: {ours: {query: id}, status: {query: status}, delivered: [D]}", True, True),
        ("receipts: {ours: {query: id}, status: {query: status}, delivered: [D]}", False, False),
        ("replies: {sender: {query: from}, text: {query: text}}", True, False),
    ],
)
def test_a_gateway_that_posts_receipts_tells_what_arrived(
    tmp_path: Path, what: str, console: bool, arrives: bool
) -> None:
    """Delivery is known by asking, or by receipts where the settings describe them and a console hears them."""
    office = build_office(tmp_path / "office", cases=0, arrived=ARRIVED)
    office.change("duban.yaml", "    reference:", CALLS.format(what=what))
    if console:
        office.change(
            "duban.yaml",
            "administrators:",
            "console: {public_url: 'https://duban.example.com', secret: an-invented-secret}\nadministrators:",
        )
    (sms,) = (one for one in told("-c", str(office.configuration))["channels"] if one["name"] == "sms")
    assert sms["tells_delivery"] is arrives


def test_an_address_to_be_called_stands_on_one_line_however_narrow_the_screen(tmp_path: Path) -> None:
    """It is copied from there into the provider's console."""
    office = build_office(tmp_path / "office", cases=0, arrived=ARRIVED)
    office.change("duban.yaml", "    reference:", CALLS.format(what="replies: {sender: {query: a}, text: {query: b}}"))
    console = (
        "console: {public_url: 'https://duban.of-an-office-with-a-long-name.example.com', secret: an-invented-secret}"
    )
    office.change("duban.yaml", "administrators:", f"{console}\nadministrators:")
    narrow = CliRunner().invoke(
        channels_command, ["-c", str(office.configuration)], env={"DUBAN_LANG": "zh", "COLUMNS": "80"}
    )
    assert "https://duban.of-an-office-with-a-long-name.example.com/in/sms\n" in narrow.output
