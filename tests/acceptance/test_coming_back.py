"""What a provider tells over real HTTP of what was sent, and what becomes of it: early, late, twice, never."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from channels.base import Learnt, News, PermanentFailure, Receipt
from daemon.console import open_console
from daemon.console.health import Health
from daemon.store.values import DeliveryState
from support.calling_twilio import PUBLIC, CallingTwilio, twilio_settings
from support.running_office import CASE, running_office
from support.twilio_server import twilio_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from daemon.store.values import Delivery
    from support.office import Office
    from support.running_office import Running

CONSOLE = f"""console:
  listen: 127.0.0.1:0
  public_url: {PUBLIC}
  secret: an invented secret of the tests
administrators:"""
IN_ORDER = ("via: [sms, email]", "via: {in_order: [sms, email], wait: 30 分钟}")
DIGEST = ("via: [sms, email]", "via: [sms]\ndigest: {lights: [yellow], at_least: 2}")


@asynccontextmanager
async def calling_office(
    folder: Path, store_url: str, *changes: tuple[str, str], cases: int = 1
) -> AsyncGenerator[tuple[Running, CallingTwilio]]:
    """The office with its web side open, and Twilio beside it."""
    twilio = CallingTwilio()
    await twilio.start()

    def prepare(office: Office) -> None:
        office.change("duban.yaml", "administrators:", CONSOLE)
        office.put_channel("sms", twilio_settings(twilio.port))
        for old, new in changes or (IN_ORDER,):
            office.change("policies/office.yaml", old, new)

    try:
        async with running_office(folder, store_url, prepare=prepare, cases=cases) as world:
            settings = world.node.configuration.settings.console
            assert settings is not None
            console = open_console(world.node, settings, lambda: Health(proof_holds=True, stale_jobs=()))
            assert await console.start()
            twilio.console_port = console.port
            try:
                yield world, twilio
            finally:
                await console.stop()
    finally:
        await twilio.stop()


async def settled(world: Running) -> None:
    """Take over what was told, and send what follows from it."""
    await world.node.take_in()
    await world.work()


def text_message(world: Running) -> Delivery:
    """The only text message."""
    (one,) = world.deliveries("sms")
    return one


def to_handler(world: Running) -> list[str]:
    """The channels on which the handler has something waiting or gone."""
    return [one.notice.channel for one in world.deliveries() if one.notice.person == "h0"]


async def test_a_receipt_before_the_answer_holds(tmp_path: Path, store_url: str) -> None:
    """Twilio calls before it has answered us: it arrived, and no second way is tried when the wait is over."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        twilio.before_answer = ["delivered"]
        await world.work()
        await settled(world)
        one = text_message(world)
        assert (one.state, one.reference) == (DeliveryState.DELIVERED, twilio.messages[0]["sid"])
        assert twilio.statuses == [200]
        await world.live_until("2026-09-16 12:00")
        assert to_handler(world) == ["sms"]
        assert [kind for kind in world.story() if kind in {"sent", "delivered", "no_receipt"}] == ["sent", "delivered"]


@pytest.mark.parametrize(
    "outcome", [Receipt(delivered=True), Receipt(delivered=True, read=True), PermanentFailure("bounced")]
)
async def test_a_provider_tells_nothing_of_what_another_channel_sent(
    tmp_path: Path, store_url: str, outcome: Receipt | PermanentFailure
) -> None:
    """Our name of a message can be worked out: what the gateway of texts says of a mail is not heard."""
    both = ("via: [sms, email]", "via: [sms, email]")
    async with calling_office(tmp_path, store_url, both) as (world, _):
        await world.work()
        (mail,) = world.deliveries("email")
        before = [(one.state, one.delivered_at, one.read_at) for one in world.deliveries()]
        await world.node.hear("sms", News((Learnt(outcome, ours=mail.sent_as),)))
        await settled(world)
        assert [(one.state, one.delivered_at, one.read_at) for one in world.deliveries()] == before
        await world.node.hear("sms", News((Learnt(outcome, ours=text_message(world).sent_as),)))
        await settled(world)
        assert [(one.state, one.delivered_at, one.read_at) for one in world.deliveries()] != before


async def test_a_receipt_told_twice_is_one(tmp_path: Path, store_url: str) -> None:
    """Before and after it was taken over, with read in between: one line each."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.work()
        await twilio.tell(0, "sent", "delivered", "delivered")
        await settled(world)
        await twilio.tell(0, "read", "delivered", "read")
        await settled(world)
        await settled(world)
        one = text_message(world)
        assert (one.state, one.read_at) == (DeliveryState.DELIVERED, world.clock.now())
        assert len(world.told("delivered")) == len(world.told("read")) == 1
        assert set(twilio.statuses) == {200}
        assert world.store.inbox_waiting() == 0


async def test_a_failure_goes_the_next_way_at_once_and_once(tmp_path: Path, store_url: str) -> None:
    """Told three times that it failed: one mail. That it arrived after all is on record and recalls nothing."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.work()
        await twilio.tell(0, "undelivered", code="30005")
        await settled(world)
        assert (text_message(world).state, text_message(world).error) == (DeliveryState.FAILED, "twilio_30005")
        assert to_handler(world) == ["sms", "email"]
        await twilio.tell(0, "undelivered", "failed", "delivered", "delivered", "undelivered", code="30005")
        await settled(world)
        await world.live_until("2026-09-16 12:00")
        assert to_handler(world) == ["sms", "email"]
        assert (text_message(world).state, text_message(world).delivered_at is None) == (DeliveryState.FAILED, False)
        assert len(world.mails.mails) == 1
        assert (len(world.told("failed")), len(world.told("late_receipt"))) == (1, 1)


async def test_a_failure_before_the_answer_is_passed_on(tmp_path: Path, store_url: str) -> None:
    """Twilio says that it failed, and then that it took it: the mail goes out all the same, once."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        twilio.before_answer = ["undelivered"]
        await world.work()
        await settled(world)
        assert text_message(world).state is DeliveryState.FAILED
        assert to_handler(world) == ["sms", "email"]
        assert len(world.mails.mails) == 1


async def test_a_refusal_after_the_arrival_tells_nobody(tmp_path: Path, store_url: str) -> None:
    """It arrived, and then Twilio refuses what it has sent already: nobody else is told."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        twilio.before_answer, twilio.then = ["delivered"], world.node.take_in
        twilio.fail(replace(twilio_error(21211), taken=True))
        await world.work()
        await settled(world)
        assert text_message(world).state is DeliveryState.DELIVERED
        assert to_handler(world) == ["sms"]
        assert world.told("failed") == []


async def test_a_lost_answer_is_settled_by_the_receipt(tmp_path: Path, store_url: str) -> None:
    """The connection breaks after Twilio took it: the receipt comes before anything is sent again."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        twilio.fail("drop")
        await world.work()
        assert text_message(world).state is DeliveryState.IN_DOUBT
        await twilio.tell(0, "delivered")
        await settled(world)
        assert text_message(world).state is DeliveryState.DELIVERED
        await world.live_until("2026-09-16 12:00")
        assert len(twilio.messages) == 1
        assert to_handler(world) == ["sms"]


async def test_a_failure_after_the_arrival_tells_nobody(tmp_path: Path, store_url: str) -> None:
    """Contradictory: what arrived has arrived."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.work()
        await twilio.tell(0, "delivered")
        await settled(world)
        await twilio.tell(0, "undelivered", code="30005")
        await settled(world)
        assert text_message(world).state is DeliveryState.DELIVERED
        assert to_handler(world) == ["sms"]


async def test_without_any_receipt_the_next_way_is_tried_and_a_late_one_undoes_nothing(
    tmp_path: Path, store_url: str
) -> None:
    """Half an hour without a word: the mail. Then the receipt comes: delivered, told as late."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.live_until("2026-09-16 10:31")
        assert to_handler(world) == ["sms", "email"]
        await twilio.tell(0, "delivered")
        await settled(world)
        assert text_message(world).state is DeliveryState.DELIVERED
        assert (len(world.told("no_receipt")), len(world.told("late_receipt"))) == (1, 1)
        assert len(world.mails.mails) == 1


async def test_a_receipt_that_matches_nothing_is_tried_for_three_days(tmp_path: Path, store_url: str) -> None:
    """By the provider's name alone, of a message nobody sent: it waits, then it is dropped and counted."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.work()
        twilio.forms[0]["StatusCallback"] = f"{PUBLIC}/in/sms"
        twilio.messages[0]["sid"] = "SM" + "9" * 32
        await twilio.tell(0, "delivered")
        await world.node.take_in()
        assert world.store.inbox_waiting() == 1
        await world.live_until("2026-09-19 09:00")
        await world.node.take_in()
        assert world.store.inbox_waiting() == 1
        await world.live_until("2026-09-19 11:00")
        await world.node.take_in()
        assert world.store.inbox_waiting() == 0


async def test_a_receipt_by_the_providers_name_alone_finds_its_message(tmp_path: Path, store_url: str) -> None:
    """A status address of the office's own, without our name in it."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.work()
        twilio.forms[0]["StatusCallback"] = f"{PUBLIC}/in/sms"
        await twilio.tell(0, "delivered")
        await settled(world)
        assert text_message(world).state is DeliveryState.DELIVERED


async def test_the_receipt_of_a_digest_holds_for_all_in_it(tmp_path: Path, store_url: str) -> None:
    """Four reminders in one text: one receipt, four delivered."""
    async with calling_office(tmp_path, store_url, DIGEST, cases=31) as (world, twilio):
        await world.live_until("2026-09-28 10:00")
        together = [one for one, form in enumerate(twilio.forms) if "4件" in form["Body"]]
        for index in together:
            await twilio.tell(index, "delivered")
        await settled(world)
        reminded = [one for n in (0, 10, 20, 30) for one in world.deliveries("sms", f"XF{n:08}")]
        states = [one.state for one in reminded if one.notice.say == "remind"]
        assert states == [DeliveryState.DELIVERED] * 4


async def test_the_channels_behind_the_web_side_are_the_present_ones(tmp_path: Path, store_url: str) -> None:
    """After a reload a call is checked by the channel that sends now; one signed with the old token is refused."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.work()
        await twilio.tell(0, "delivered")
        world.office.change("duban.yaml", "auth_token: not-a-real-token", "auth_token: another-invented-token")
        await world.reload()
        await twilio.tell(0, "read")
        assert twilio.statuses == [200, 403]


async def test_another_public_address_counts_after_a_restart(tmp_path: Path, store_url: str) -> None:
    """Until then Twilio is told the address behind which the server listens, and its signatures hold."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.node.sync()
        world.office.change("duban.yaml", PUBLIC, "https://elsewhere.example.com")
        await world.reload()
        await world.work()
        assert twilio.forms[0]["StatusCallback"].startswith(f"{PUBLIC}/in/sms")
        await twilio.tell(0, "delivered")
        assert twilio.statuses == [200]


@pytest.mark.parametrize("sender", ["+8613800001000", "+8613900000000"])
async def test_of_a_reply_only_what_was_understood_is_kept(tmp_path: Path, store_url: str, sender: str) -> None:
    """From an official's own number: his key and the command, no number and no word. From anybody else: nothing."""
    async with calling_office(tmp_path, store_url) as (world, twilio):
        await world.node.sync()
        await twilio.say(sender, "收到！家里有事，晚点办 13912345678", "SM1")
        await twilio.say(sender, "收到！家里有事，晚点办 13912345678", "SM1")
        assert world.store.inbox_waiting() == (1 if sender == "+8613800001000" else 0)
        with world.store._database.reading() as connection:
            kept = str(list(connection.exec_driver_sql("SELECT * FROM inbox")))
        assert "138000" not in kept
        assert "家里" not in kept
        assert "139123" not in kept
        assert ("'h0'" in kept) == (sender == "+8613800001000")
        assert CASE not in kept
