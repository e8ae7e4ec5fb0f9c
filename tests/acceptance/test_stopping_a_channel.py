"""STOP (退订): the channel falls silent for that person, his duty does not; everybody who must know hears of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from channels.base import Learnt, News, PermanentFailure, Said
from daemon.cli import main
from daemon.reach import reach_of
from daemon.wiring import rules_of
from support.running_office import at
from support.web_office import web_office, with_changes

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from support.office import Office
    from support.running_office import Received, Running

HANDLER, HEAD = "+8613800001000", "+8613800002000"
MAILBOX = "handler0@example.com"
ONLY_TEXTS = ("policies/office.yaml", "via: [sms, email]", "via: [sms]")


def with_two_gateways(office: Office) -> None:
    """A second channel for texts over the same gateway, which the policy names too."""
    settings = yaml.safe_load(office.configuration.read_text("utf-8"))["channels"]["sms"]
    with_changes(("policies/office.yaml", "via: [sms, email]", "via: [sms, sms2]"))(office)
    office.put_channel("sms2", settings)


def without_mail(office: Office) -> None:
    """An office that only sends texts."""
    with_changes(ONLY_TEXTS)(office)
    office.execute("UPDATE people SET mail = NULL WHERE code = 'h0'")


async def say(world: Running, words: str, sender: str = HANDLER) -> list[Received]:
    """Somebody texts these words back; everything that is sent then."""
    await world.node.hear("sms", News(said=(Said(sender, words),)))
    await world.node.take_in()
    return await world.work()


def command(world: Running, *words: str) -> Result:
    """`duban …` over the running office."""
    return CliRunner().invoke(main, [*words, "-c", str(world.office.configuration)], env={"LANG": "zh_CN.UTF-8"})


@pytest.mark.parametrize("word", ["退订", "TD", "T", "STOP", "unsubscribe"])
async def test_a_stop_is_answered_once_and_what_follows_goes_by_mail(tmp_path: Path, store_url: str, word: str) -> None:
    """One answer over the channel itself, then no text any more; the mail goes on."""
    async with web_office(tmp_path, store_url) as (world, _):
        await world.work()
        (answer,) = await say(world, word)
        assert (answer.to, "已停止向您发送" in answer.text) == (HANDLER, True)
        assert await say(world, word) == []
        told = await world.live_until("2026-10-08 10:00")
        assert HANDLER not in {one.to for one in told}
        assert len([one for one in told if one.to == MAILBOX]) == 2


async def test_who_has_no_other_channel_is_passed_over_and_the_next_one_up_is_told(
    tmp_path: Path, store_url: str
) -> None:
    """With texts alone the reminder goes to the section head instead, with the reason on record."""
    async with web_office(tmp_path, store_url, prepare=with_changes(ONLY_TEXTS)) as (world, _):
        await world.work()
        await say(world, "退订")
        told = await world.live_until("2026-09-28 10:00")
        reminded = [one for one in told if "提醒" in one.text]
        assert {one.to for one in reminded} >= {HEAD}
        assert HANDLER not in {one.to for one in told}
        assert any("已退订通道 sms" in line for line in world.told("decided"))


async def test_what_was_decided_before_the_stop_goes_another_way(tmp_path: Path, store_url: str) -> None:
    """A text that waits for the morning is not sent any more: it fails as opted out and the next one up is told."""
    quiet = ("policies/office.yaml", "via: [sms, email]", 'via: [sms]\nquiet_hours: {from: "09:00", to: "14:00"}')
    async with web_office(tmp_path, store_url, prepare=with_changes(quiet)) as (world, _):
        assert await world.work() == []
        await say(world, "TD")
        told = await world.live_until("2026-09-16 15:00")
        assert HANDLER not in {one.to for one in told}
        assert HEAD in {one.to for one in told}
        (mine,) = [one for one in world.deliveries() if one.notice.person == "h0"]
        assert (mine.state.value, mine.error) == ("failed", "opted_out")


async def test_what_waits_when_a_stop_is_lifted_goes_out_and_nothing_is_stopped_again(
    tmp_path: Path, store_url: str
) -> None:
    """Lifted by a command while the daemon still believes in it: the text that waited is sent, no stop is noted."""
    quiet = ("policies/office.yaml", "via: [sms, email]", 'via: [sms]\nquiet_hours: {from: "09:00", to: "14:00"}')
    async with web_office(tmp_path, store_url, prepare=with_changes(quiet)) as (world, _):
        await world.work()
        await say(world, "TD")
        world.clock.move_to(at("2026-09-16 14:00"))
        assert world.store.lift_stop("sms", "h0", "console", world.clock.now(), by="系统管理员", reason="本人来电")
        await world.node.pump()
        assert HANDLER in {one.to for one in world.collect()}
        assert world.store.stops() == []


async def test_starting_again_and_an_administrator_end_it(tmp_path: Path, store_url: str) -> None:
    """恢复 is answered and texts come again; so they do when an administrator lifts it, with his name on record."""
    async with web_office(tmp_path, store_url) as (world, _):
        await world.work()
        await say(world, "退订")
        (answer,) = await say(world, "恢复")
        assert "已恢复向您发送" in answer.text
        assert HANDLER in {one.to for one in await world.live_until("2026-09-28 10:00")}
        await say(world, "退订")
        listed = json.loads(command(world, "stops", "list", "--json").stdout)
        assert [(one["person"], one["channel"], one["how"]) for one in listed] == [("h0", "sms", "reply")]
        assert "退订" in command(world, "status").stdout
        lifted = command(world, "stops", "lift", "承办人0", "sms", "--by", "系统管理员", "--reason", "本人来电同意")
        assert lifted.exit_code == 0, lifted.output
        assert command(world, "stops", "lift", "h0", "sms", "--by", "管理员", "--reason", "再次").exit_code == 1
        assert HANDLER in {one.to for one in await world.live_until("2026-10-08 10:00")}
        kinds = [row.kind for row in world.store.ledger("") if row.kind in {"stopped", "resumed"}]
        assert kinds == ["stopped", "resumed", "stopped", "resumed"]
        assert "本人来电同意" in world.told("resumed", "")[-1]


async def test_the_carriers_word_counts_as_a_stop(tmp_path: Path, store_url: str) -> None:
    """A provider that refuses because of an opt-out: noted once, the message goes another way."""
    async with web_office(tmp_path, store_url, prepare=with_changes(ONLY_TEXTS)) as (world, _):
        await world.work()
        (mine,) = [one for one in world.deliveries() if one.notice.person == "h0"]
        for _ in range(2):
            await world.node.hear("sms", News(learnt=(Learnt(PermanentFailure("opted_out"), ours=mine.sent_as),)))
            await world.node.take_in()
        assert [(one.person, one.channel, one.how) for one in world.store.stops()] == [("h0", "sms", "carrier")]
        assert HEAD in {one.to for one in await world.work()}
        assert len(world.told("stopped", "")) == 1


async def test_the_administrators_hear_of_a_stop_once(tmp_path: Path, store_url: str) -> None:
    """At the next look at ourselves, by every channel they have."""
    async with web_office(tmp_path, store_url) as (world, _):
        await world.work()
        await say(world, "退订")
        for _ in range(2):
            await world.node.audit()
        told = [one for one in await world.work() if "退订了通道" in one.text]
        assert sorted((one.channel, one.to) for one in told) == [
            ("email", "admin@example.com"),
            ("sms", "+8613800000000"),
        ]


async def test_reach_says_who_stopped_what(tmp_path: Path, sqlite_store_url: str) -> None:
    """With texts only he is out of reach, with the reason."""
    async with web_office(tmp_path, sqlite_store_url, prepare=without_mail) as (world, _):
        await world.work()
        await say(world, "退订")
        remembered = world.store.directory()
        assert remembered is not None
        found = reach_of(world.store, rules_of(world.node.configuration), remembered[0], world.clock.now())
        (mine,) = [one for one in found.people if one.person == "h0"]
        assert mine.grave
        assert "已退订通道 sms" in [lack.text.zh for lack in mine.shortcomings]


async def test_another_channel_of_the_kind_is_not_silenced(tmp_path: Path, sqlite_store_url: str) -> None:
    """A stop is of one channel: where the policy names a second one for texts, he still gets those."""
    async with web_office(tmp_path, sqlite_store_url, prepare=with_two_gateways) as (world, _):
        await world.work()
        await say(world, "退订")
        told = await world.live_until("2026-09-28 10:00")
        assert [one.to for one in told if "提醒" in one.text] == [HANDLER]
        assert {one.notice.channel for one in world.deliveries() if one.notice.say == "remind"} == {"sms2"}


async def test_every_node_honours_a_stop_another_one_heard(tmp_path: Path, store_url: str) -> None:
    """The second node decides and sends no text any more after its next look at the shared database."""
    async with web_office(tmp_path, store_url) as (world, _):
        await world.work()
        second = await world.another_node()
        try:
            await second.sync()
            await say(world, "退订")
            world.clock.move_to(at("2026-09-28 10:00"))
            await second.sync()
            await second.pump_until_idle()
            told = world.collect()
            assert [one.to for one in told if "提醒" in one.text] == [MAILBOX]
        finally:
            await second.close()
