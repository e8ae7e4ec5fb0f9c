"""Nothing that was claimed for sending may be forgotten: broken plugins, cut-off pumps, channels that went away."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest
import sqlalchemy as sa

from channels.base import Message, OutcomeUnknown, Receipt, TemporaryFailure
from channels.spool import SpoolSettings
from daemon.engine import Engine
from daemon.letters import result_of
from daemon.render import renderer_of
from daemon.sender import Sender
from daemon.store.values import Delivery, DeliveryState
from daemon.ways import WayOut
from daemon.wiring import rules_of
from support.running_office import Running, running_office
from support.store_values import notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from channels.base import Outcome
    from support.office import Office


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One case just assigned; text messages only."""
    async with running_office(tmp_path, store_url, prepare=by_text) as office:
        await office.node.sync()
        await office.node.tick()
        yield office


def by_text(office: Office) -> None:
    """Send text messages only."""
    office.change("policies/office.yaml", "via: [sms, email]", "via: [sms]")


class Broken:
    """A channel of somebody else's that breaks the contract: it raises what it must not."""

    settings_type: ClassVar[type[BaseModel]] = SpoolSettings
    kind: ClassVar[str] = "sms"

    def __init__(self) -> None:
        self.tried = 0
        self.asked = 0

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Perhaps sent: nobody knows."""
        self.tried += len(messages)
        if self.tried == 1:
            raise RuntimeError("a mistake in the plugin")
        return [Receipt("later") for _ in messages]

    async def lookup(self, message: Message) -> Receipt | None:
        """No answer, and not in the agreed words."""
        del message
        self.asked += 1
        raise TemporaryFailure("busy")

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_plugin_that_raises_loses_nothing(world: Running) -> None:
    """What a broken channel had in its hands is in doubt, and is sent again with its mark."""
    broken = Broken()
    engine = Engine(world.store, world.node.source, rules_of(world.node.configuration), world.node.epoch)
    with ThreadPoolExecutor(1) as threads:
        ways = {"sms": WayOut("sms", "sms", broken)}
        sender = Sender(engine, ways, renderer_of(world.node.configuration), world.clock, threads)
        await sender.pump()
        assert world.states() == ["assigned h0 in_doubt"]
        for _ in range(6):
            world.clock.advance(timedelta(seconds=31))
            await sender.pump()
    assert broken.asked == 5
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.possible_duplicate) == (DeliveryState.ACCEPTED, True)


async def test_a_pump_cut_off_leaves_what_it_had_in_doubt(world: Running) -> None:
    """A pump that ran into its time-out: the next one knows what was on the wire, and sends it again marked."""
    world.texts.fail("hang")
    pump = asyncio.create_task(world.node.pump())
    await world.texts.hanging.wait()
    pump.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pump
    await world.node.pump()
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.possible_duplicate) == (DeliveryState.ACCEPTED, True)


async def test_outcomes_owed_survive_a_reload(world: Running, store_url: str) -> None:
    """The store fails when the answer comes and the configuration is read again: the outcome is still written down."""
    world.texts.fail("hang")
    pump = asyncio.create_task(world.node.pump())
    await world.texts.hanging.wait()
    run(store_url, "ALTER TABLE deliveries RENAME TO elsewhere")
    await world.texts.stop()
    with pytest.raises(Exception, match="deliveries"):
        await pump
    run(store_url, "ALTER TABLE elsewhere RENAME TO deliveries")
    await world.reload()
    await world.node.pump()
    assert world.states() == ["assigned h0 in_doubt"]


async def test_what_waits_for_a_channel_that_is_gone_goes_up(world: Running) -> None:
    """The SMS gateway was taken out of the configuration: what waits for it fails in the open and goes up by mail."""
    gateway = (world.office.folder / "duban.yaml").read_text("utf-8")
    start, end = gateway.index("  sms:\n"), gateway.index("administrators:")
    world.office.write("duban.yaml", gateway[:start] + gateway[end:])
    world.office.change("policies/office.yaml", "via: [sms]", "via: [email]")
    await world.reload()
    await world.node.pump()
    assert world.states("sms") == ["assigned h0 pending"]  # another node may still have that channel
    world.clock.advance(timedelta(minutes=11))
    await world.node.pump()
    await world.node.pump()
    (failed,) = world.deliveries("sms")
    assert (failed.state, failed.error) == (DeliveryState.FAILED, "no_such_channel")
    assert [one.to for one in world.collect()] == ["head0@example.com"]
    assert "fell_upward" in world.story()


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        ("", [("sms", "+8613800001000", False), ("sms", "+8613800001000", True)]),
        (", in_doubt: another_way", [("sms", "+8613800001000", False), ("email", "handler0@example.com", False)]),
    ],
)
async def test_the_step_decides_what_becomes_of_what_nobody_can_say(
    tmp_path: Path, store_url: str, rule: str, sent: list[tuple[str, str, bool]]
) -> None:
    """Taken by a gateway that cannot be asked, the answer lost: sent again with its mark, or over the next channel."""

    def prepare(office: Office) -> None:
        office.change("policies/office.yaml", "via: [sms, email]", "via: {in_order: [sms, email]}")
        office.change("policies/office.yaml", "say: assigned}", f"say: assigned{rule}}}")

    async with running_office(tmp_path, store_url, prepare=prepare) as world:
        world.texts.fail("drop")
        told = await world.work()
        world.clock.advance(timedelta(seconds=31))
        told += await world.work()
        assert [(one.channel, one.to, one.duplicate) for one in told] == sent
        first = next(one for one in world.deliveries() if one.notice.channel == "sms")
        assert (first.error, first.possible_duplicate) == ("in_doubt" if rule else "", True)


def test_what_a_provider_says_is_cut_to_what_can_be_kept() -> None:
    """A reference or code with control characters, or of any length, never stops the recording of an outcome."""
    one = notice("k")
    delivery = Delivery(1, one, DeliveryState.SENDING, 1, one.at, one.at, "v")
    assert result_of(delivery, Receipt("a\x00b\ud800" + "c" * 900), one.at).reference == "ab" + "c" * 198
    assert result_of(delivery, OutcomeUnknown("x\x00y"), one.at).error == "xy"


def run(store_url: str, statement: str) -> None:
    """One statement on the store, past the daemon."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def may_be_restricted(office: Office) -> None:
    """Let a case be restricted."""
    by_text(office)
    office.change("source.yaml", "columns: {kind: kind}", "columns: {kind: kind}\n  restricted: kind")


def to_the_handler(office: Office) -> None:
    """Say the first step to whoever handles the case now."""
    by_text(office)
    office.change("policies/office.yaml", "{at: start, to: [first_handler]", "{at: start, to: [handler]")


async def test_a_case_handed_over_in_the_queue_is_told_to_its_new_handler(tmp_path: Path, store_url: str) -> None:
    """Decided for h0, handed over to h1 before it went out: h0 is left alone, h1 is told, both are on record."""
    async with running_office(tmp_path, store_url, prepare=to_the_handler) as world:
        await world.node.sync()
        await world.node.tick()
        assert world.states() == ["assigned h0 pending"]
        world.clock.advance(timedelta(minutes=5))
        world.update("unit = 's1', handler = 'h1'")
        await world.node.pump()
        assert world.states() == ["assigned h0 cancelled", "assigned h1 accepted"]
        assert next(d.error for d in world.deliveries()) == "transferred"
        assert [one.to for one in world.collect()] == ["+8613800001001"]


async def test_a_case_restricted_in_the_queue_says_nothing(tmp_path: Path, store_url: str) -> None:
    """Marked as restricted after a message was decided: it does not go out any more."""
    async with running_office(tmp_path, store_url, prepare=may_be_restricted) as world:
        world.update("kind = '0'")
        await world.node.sync()
        await world.node.tick()
        world.clock.advance(timedelta(minutes=5))
        world.update("kind = '1'")
        await world.node.pump()
        assert [(d.state, d.error) for d in world.deliveries()] == [(DeliveryState.CANCELLED, "restricted")]
        assert world.collect() == []


async def test_a_sync_that_learns_of_a_restriction_stops_what_was_just_decided(tmp_path: Path, store_url: str) -> None:
    """Restricted a minute after the decision: too young to be checked before sending, the sync cancels it."""
    async with running_office(tmp_path, store_url, prepare=may_be_restricted) as world:
        world.update("kind = '0'")
        await world.node.sync()
        await world.node.tick()
        world.clock.advance(timedelta(minutes=1))
        world.update("kind = '1'")
        await world.node.sync()
        await world.node.pump_until_idle()
        assert [(d.state, d.error) for d in world.deliveries()] == [(DeliveryState.CANCELLED, "restricted")]
        assert world.collect() == []


async def test_receipts_that_cannot_be_followed_up_do_not_keep_others_waiting(tmp_path: Path, store_url: str) -> None:
    """Seventy texts without a receipt, more than a batch of them of cases that cannot be read: the last one goes on."""

    def in_order(office: Office) -> None:
        office.change("policies/office.yaml", "via: [sms, email]", "via: {in_order: [sms, email], wait: 30 分钟}")

    async with running_office(tmp_path, store_url, cases=70, prepare=in_order) as world:
        await world.work()
        engine = sa.create_engine(store_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE cases SET facts = '{' WHERE key < 'XF00000069'"))
        engine.dispose()
        world.clock.advance(timedelta(minutes=31))
        await world.node.pump()
        await world.node.pump()
        assert [one.to for one in world.collect()] == ["handler9@example.com"]
        assert len(world.store.overdue_receipts(world.clock.now(), 100)) == 0
        assert len(world.store.overdue_receipts(world.clock.now() + timedelta(minutes=10), 100)) == 69
