"""The delivery side over real servers: what becomes of a message that is taken, refused, put off, lost or overtaken."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from daemon.retry import wait_before
from daemon.store.values import DeliveryState
from support.office import SHIPPED_TEMPLATES, Office
from support.running_office import CASE, Running, at, running_office
from support.sms_gateway import Fault
from support.smtp_server import DROP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HANDLER, HEAD = "+8613800001000", "+8613800002000"
PATIENCE = timedelta(seconds=30)


def only(channel: str) -> str:
    """The office's policy, over one channel."""
    return f"via: [{channel}]"


def by_text(office: Office) -> None:
    """Send text messages only."""
    office.change("policies/office.yaml", "via: [sms, email]", only("sms"))


def by_mail(office: Office) -> None:
    """Send mails only."""
    office.change("policies/office.yaml", "via: [sms, email]", only("email"))


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One case just assigned; mails and texts."""
    async with running_office(tmp_path, store_url) as office:
        yield office


async def test_what_the_servers_take_is_accepted(world: Running) -> None:
    """One mail and one text reach the handler in Chinese; both are on record with the server's reference."""
    received = await world.work()
    assert [(one.channel, one.to) for one in received] == [("email", "handler0@example.com"), ("sms", HANDLER)]
    assert all("书面告知" in one.text and CASE in one.text for one in received)
    assert {d.state for d in world.deliveries()} == {DeliveryState.ACCEPTED}
    assert all(d.reference for d in world.deliveries("sms"))
    assert world.story().count("sent") == 2


async def test_a_temporary_failure_is_tried_again_at_its_moment(tmp_path: Path, store_url: str) -> None:
    """Each wait is twice the last, spread by the notice's own key; a microsecond before, nothing is tried."""
    async with running_office(tmp_path, store_url, prepare=by_text) as world:
        world.texts.fail("503", "503")
        assert await world.work() == []
        for attempt in (1, 2):
            (waiting,) = world.deliveries()
            assert waiting.state is DeliveryState.RETRYING
            assert waiting.not_before_at == world.clock.now() + wait_before(attempt, waiting.notice.key)
            world.clock.move_to(waiting.not_before_at - timedelta(microseconds=1))
            assert await world.node.pump() == 0
            world.clock.move_to(waiting.not_before_at)
            assert await world.node.pump() == 1
        assert [one.to for one in world.collect()] == [HANDLER]
        assert world.story()[-3:] == ["retrying", "retrying", "sent"]


async def test_the_providers_wish_to_wait_is_respected(tmp_path: Path, store_url: str) -> None:
    """`Retry-After: 600` is waited out though our own first wait would be half a minute."""
    async with running_office(tmp_path, store_url, prepare=by_text) as world:
        world.texts.fail("429 600")
        await world.work()
        assert world.node.store.next_delivery_at() == at("2026-09-16 10:10")


async def test_no_retry_runs_past_the_next_step(tmp_path: Path, store_url: str) -> None:
    """A gateway that is down until the next step leaves the old text unsent: then the next step speaks."""
    async with running_office(tmp_path, store_url, prepare=by_text) as world:
        await world.live_until("2026-10-08 08:00")
        world.texts.fail(*["503"] * 400)
        assert await world.live_until("2026-10-09 08:59") == []
        waiting = [d.not_before_at for d in world.deliveries() if d.state is DeliveryState.RETRYING]
        assert all(moment < at("2026-10-09 09:00") for moment in waiting)
        assert "today h0 failed" in world.states()
        world.texts.mend()
        spoken = await world.work("2026-10-09 09:00")
        assert {one.to for one in spoken if "催办" in one.text} == {"+8613800000001", HEAD}
        assert HANDLER not in {one.to for one in spoken}


async def test_a_refused_mail_goes_to_the_next_person_up(tmp_path: Path, store_url: str) -> None:
    """No such mailbox: the head of the section is told at the same moment, in whose place, and the failure shows."""
    async with running_office(tmp_path, store_url, prepare=by_mail) as world:
        world.mails.fail("RCPT", "550 5.1.1 no such user")
        received = await world.work()
        assert [(one.clock, one.to) for one in received] == [("2026-09-16 10:00", "head0@example.com")]
        assert "无法送达" in received[0].text
        assert world.states() == ["assigned h0 failed", "assigned c0 accepted"]
        assert world.story()[-3:] == ["fell_upward", "failed", "sent"]


async def test_who_was_reached_over_another_channel_was_reached(tmp_path: Path, store_url: str) -> None:
    """The mail arrived; the text message that fails for good later tells nobody else, and the ledger says why."""
    async with running_office(tmp_path, store_url) as world:
        world.texts.fail("503", "400")
        await world.live_until("2026-09-16 10:30")
        assert sorted(world.states()) == ["assigned h0 accepted", "assigned h0 failed"]
        assert "other_channel" in world.story()
        assert "fell_upward" not in world.story()


async def test_when_nobody_can_be_reached_the_failure_ends_with_the_administrator(
    tmp_path: Path, store_url: str
) -> None:
    """Every mailbox refused: each person up the chain is tried once, then it ends; nothing is tried for ever."""
    async with running_office(tmp_path, store_url, prepare=by_mail) as world:
        world.mails.fail("RCPT", "550 5.1.1 no such user", lasting=True)
        await world.work()
        assert {d.state for d in world.deliveries()} == {DeliveryState.FAILED}
        people = [d.notice.person for d in world.deliveries()]
        assert people[:4] == ["h0", "c0", "p-leader", "p-principal"]
        assert len(people) == len(set(people)) == 5


async def test_people_without_addresses_are_replaced_by_the_administrator(tmp_path: Path, store_url: str) -> None:
    """Nobody in the chain has a number or a mailbox: the administrator gets it at the same moment."""
    async with running_office(tmp_path, store_url) as world:
        world.execute("UPDATE people SET mobile = NULL, mail = NULL")
        received = await world.work()
        assert {one.to for one in received} == {"admin@example.com", "+8613800000000"}
        assert len(received) == 2


async def test_a_channel_that_cannot_send_at_all_rests(tmp_path: Path, store_url: str) -> None:
    """A wrong password is not the handler's fault: nobody above is bothered, it goes out once it is mended."""
    async with running_office(tmp_path, store_url, prepare=by_text) as world:
        world.texts.fail("401", "401")
        await world.work()
        assert world.states() == ["assigned h0 retrying"]
        assert "fell_upward" not in world.story()
        await world.live_until("2026-09-16 11:00")
        assert [one.to for one in world.received] == [HANDLER]
        assert world.states() == ["assigned h0 accepted"]


async def test_a_gateway_that_can_be_asked_is_asked(tmp_path: Path, store_url: str) -> None:
    """The answer was lost, the gateway has the text: it is accepted and not sent twice."""
    async with running_office(tmp_path, store_url, prepare=by_text, lookup=True) as world:
        world.texts.fail("drop")
        await world.work()
        assert world.states() == ["assigned h0 in_doubt"]
        world.clock.advance(timedelta(seconds=30))
        await world.work()
        assert world.states() == ["assigned h0 accepted"]
        assert len(world.texts.messages) == 1


async def test_a_gateway_that_does_not_answer_the_question_is_asked_again(tmp_path: Path, store_url: str) -> None:
    """The gateway has the text but cannot be asked for a minute: nothing is sent twice on the mere suspicion."""
    async with running_office(tmp_path, store_url, prepare=by_text, lookup=True) as world:
        world.texts.fail("drop", "503", "503")
        await world.work()
        for _ in range(2):
            world.clock.advance(timedelta(seconds=30))
            await world.work()
            assert world.states() == ["assigned h0 in_doubt"]
        world.clock.advance(timedelta(seconds=30))
        await world.work()
        assert world.states() == ["assigned h0 accepted"]
        assert len(world.texts.messages) == 1


async def test_what_the_gateway_certainly_has_not_is_sent_unmarked(tmp_path: Path, store_url: str) -> None:
    """The request was lost: asked, the gateway knows nothing, so the text is sent as if for the first time."""
    async with running_office(tmp_path, store_url, prepare=by_text, lookup=True) as world:
        world.texts.fail(Fault(word="drop"))
        assert await world.work() == []
        world.clock.advance(timedelta(seconds=30))
        (sent,) = await world.work()
        assert "可能重复" not in sent.text
        assert not sent.duplicate


async def test_a_mail_in_doubt_is_sent_again_and_marked(tmp_path: Path, store_url: str) -> None:
    """A mail server cannot be asked: the same Message-ID goes out once more, and says it may be a duplicate."""
    async with running_office(tmp_path, store_url, prepare=by_mail) as world:
        world.mails.fail("BODY", DROP)
        await world.work()
        assert world.states() == ["assigned h0 in_doubt"]
        world.clock.advance(timedelta(seconds=30))
        await world.work()
        first, second = world.mails.mails
        assert first["Message-ID"] == second["Message-ID"]
        assert [one.duplicate for one in world.received] == [False, True]
        assert world.states() == ["assigned h0 accepted"]


OVERTAKEN = {
    "finished": ("UPDATE cases SET notified = '2026-09-16 10:03:00'", "done"),
    "deleted": ("UPDATE cases SET no = 'another', notified = '2026-09-16 10:03:00'", "withdrawn"),
    "extended": (
        "INSERT INTO extensions VALUES ('XF00000000', '2026-09-16 10:02:00', 10, 'principal', '2026-09-16 10:02:00')",
        "deadline_moved",
    ),
}


@pytest.mark.parametrize("what", OVERTAKEN)
async def test_what_is_no_longer_true_does_not_go_out(tmp_path: Path, store_url: str, what: str) -> None:
    """Decided at ten, five minutes in the queue: finished, deleted or extended meanwhile, it is cancelled unread."""

    def may_be_extended(office: Office) -> None:
        rule = "    extension: {up_to: 30 日, approved_by: principal}\n"
        office.change("policies/office.yaml", "    within: 15 日\n", "    within: 15 日\n" + rule)

    async with running_office(tmp_path, store_url, prepare=may_be_extended) as world:
        await world.node.sync()
        await world.node.tick()
        world.clock.advance(timedelta(minutes=5))
        statement, reason = OVERTAKEN[what]
        world.execute(statement)
        await world.node.pump()
        assert world.collect() == []
        assert {(d.state, d.error) for d in world.deliveries()} == {(DeliveryState.CANCELLED, reason)}


async def test_a_hanging_gateway_delays_no_mail(world: Running) -> None:
    """While the gateway says nothing the mail goes out; when it is let go the text is in doubt, not lost."""
    world.texts.fail("hang")
    await world.node.sync()
    await world.node.tick()
    pump = asyncio.create_task(world.node.pump())
    async with asyncio.timeout(PATIENCE.total_seconds()):
        await world.texts.hanging.wait()
        while "sent" not in world.story():  # the mail is on record though the pump is not through
            await asyncio.to_thread(world.store.counts)
    assert not pump.done()
    assert len(world.mails.mails) == 1
    await world.texts.stop()
    await pump
    assert world.states("sms") == ["assigned h0 in_doubt"]


async def test_draining_finishes_what_is_on_the_wire(world: Running) -> None:
    """A drain waits for the gateway's answer and for its record; after it nothing is claimed any more."""
    world.texts.fail("hang")
    await world.node.sync()
    await world.node.tick()
    pump = asyncio.create_task(world.node.pump())
    await world.texts.hanging.wait()
    drain = asyncio.create_task(world.node.drain(PATIENCE))
    await asyncio.to_thread(world.store.counts)
    assert not drain.done()
    await world.texts.stop()
    await drain
    assert world.states("sms") == ["assigned h0 in_doubt"]
    await pump
    world.clock.advance(timedelta(minutes=1))
    assert await world.node.pump() == 0


async def test_a_drain_gives_up_when_told(world: Running) -> None:
    """A gateway that never answers does not keep the service from stopping."""
    world.texts.fail("hang")
    await world.node.sync()
    await world.node.tick()
    pump = asyncio.create_task(world.node.pump())
    await world.texts.hanging.wait()
    with pytest.raises(TimeoutError):
        await world.node.drain(timedelta(0))
    await world.texts.stop()
    await pump


async def test_a_template_that_does_not_render_fails_alone(tmp_path: Path, store_url: str) -> None:
    """A mistake in one text's template: that text fails and is on record, the mail of the same step goes out."""

    def broken_template(office: Office) -> None:
        shutil.copytree(SHIPPED_TEMPLATES, office.folder / "templates")
        office.write("templates/standard/assigned.sms.txt", "{{ signature }}：{{ nonsense }}")
        office.change("duban.yaml", str(SHIPPED_TEMPLATES), "templates")

    async with running_office(tmp_path, store_url, prepare=broken_template) as world:
        received = await world.work()
        assert {one.channel for one in received} == {"email"}
        assert "handler0@example.com" in {one.to for one in received}
        failed = world.deliveries("sms")
        assert {(d.state, d.error) for d in failed} == {(DeliveryState.FAILED, "render:RenderError")}


async def test_an_outcome_the_store_could_not_take_is_written_later(tmp_path: Path, store_url: str) -> None:
    """The store fails just when the answer comes: the next pump writes it down, and nothing is sent again."""
    async with running_office(tmp_path, store_url, prepare=by_text) as world:
        world.texts.fail("hang")
        await world.node.sync()
        await world.node.tick()
        pump = asyncio.create_task(world.node.pump())
        await world.texts.hanging.wait()
        rename(store_url, "deliveries", "elsewhere")
        await world.texts.stop()
        with pytest.raises(Exception, match="deliveries"):
            await pump
        rename(store_url, "elsewhere", "deliveries")
        await world.node.pump()
        assert world.states() == ["assigned h0 in_doubt"]


def rename(store_url: str, old: str, new: str) -> None:
    """Rename a table of the store, as somebody with the wrong window open might."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")
    engine.dispose()
