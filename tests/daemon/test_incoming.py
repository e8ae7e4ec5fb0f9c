"""Asking the channels what came back: written down before they are asked again, one's trouble is its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import Learnt, News, OutcomeUnknown, PermanentFailure, Receipt, Said, TemporaryFailure
from daemon.clock import ManualClock
from daemon.errors import StoreUnavailable
from daemon.incoming import KEPT_FOR, LONGEST_WAIT, UNHEARD_FOR, Addresses, Receiving, receipt_of, reply_of
from daemon.replies import Command
from daemon.store.values import Came, ReceiptTold, Reply
from daemon.ways import WayOut
from policies.model import Directory, Official
from policies.text import Text
from support.imap_server import imap_server
from support.running_office import running_office
from support.store_values import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from daemon.store import Store
    from support.office import Office

PEOPLE = Directory(
    officials={
        "h0": Official("h0", "承办人", addresses={"sms": "+8613800001000", "email": "Handler0@Example.com"}),
        "h1": Official("h1", "另一人", addresses={"sms": "+8613800002000", "email": "shared@example.com"}),
        "h2": Official("h2", "第三人", addresses={"email": "SHARED@example.com"}),
        "gone": Official("gone", "调离", addresses={"sms": "+8613800003000"}, active=False),
    }
)


class Mailbox:
    """A channel that tells the same until it is asked again, and may refuse or break."""

    def __init__(self, *ours: str) -> None:
        self.told = tuple(Learnt(Receipt(delivered=True), ours=one) for one in ours)
        self.asked = 0
        self.trouble: Exception | None = None

    async def collect(self) -> News:
        """What is there."""
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return News(self.told)


class Answering:
    """Leaves every reply waiting."""

    def take(self, reply: Reply, now: datetime) -> bool:
        """Not now."""
        del reply, now
        return False


class _Intake:
    overtaken = False


@dataclass
class Inbox:
    """What receiving needs of the engine: a store that may be away, and everybody."""

    store: Store
    directory: Directory = PEOPLE
    intake: _Intake = field(default_factory=_Intake)


class Away:
    """A store that does not answer."""

    def hear_all(self, *_: object) -> list[int]:
        """Nothing is written down."""
        raise StoreUnavailable(Text("不在", "away"))


@pytest.fixture
def clock() -> ManualClock:
    """It stands still."""
    return ManualClock(NOW)


@pytest.fixture
def receiving(store: Store, clock: ManualClock) -> Iterator[Receiving]:
    """What takes over, on both databases."""
    engine: Any = Inbox(store)
    with ThreadPoolExecutor(1) as executor:
        yield Receiving(engine, "CN", clock, executor, Answering())


def way(name: str, channel: object, kind: str = "email") -> WayOut:
    """An open channel."""
    opened: Any = channel
    return WayOut(name, kind, opened)


async def test_a_mailbox_is_not_asked_again_before_all_is_written_down(receiving: Receiving, store: Store) -> None:
    """Asking again would confirm what the store did not take."""
    box = Mailbox("m1", "m2")
    engine: Any = receiving.engine
    engine.store = Away()
    assert await receiving.collect([way("email", box)], {}) == 0
    assert await receiving.collect([way("email", box)], {}) == 0
    assert box.asked == 1
    engine.store = store
    assert await receiving.collect([way("email", box)], {}) == 2
    assert box.asked == 2
    assert store.inbox_waiting() == 2


@pytest.mark.parametrize(
    "trouble",
    [PermanentFailure("imap_login"), TemporaryFailure("imap_connection"), OutcomeUnknown("odd"), ValueError("odd")],
)
async def test_the_trouble_of_one_does_not_stop_the_others(
    receiving: Receiving, store: Store, clock: ManualClock, trouble: Exception
) -> None:
    """Whatever one raises, the others are heard; it is told at once if somebody must act, else after an hour."""
    broken, good = Mailbox(), Mailbox("m1")
    broken.trouble = trouble
    ways = [way("email", broken), way("spool", good), way("sms", object(), "sms")]
    assert await receiving.collect(ways, {}) == 1
    assert store.inbox_waiting() == 1
    for_good = isinstance(trouble, PermanentFailure | ValueError)
    assert set(receiving.unheard(clock.now())) == ({"email"} if for_good else set())
    clock.move_to(clock.now() + UNHEARD_FOR)
    await receiving.collect(ways, {})
    assert set(receiving.unheard(clock.now())) == {"email"}
    broken.trouble = None
    await receiving.collect(ways, {})
    assert receiving.unheard(clock.now()) == {}


async def test_a_reply_to_a_provider_is_one_over_the_channel_it_is_behind(receiving: Receiving, store: Store) -> None:
    """Who stops it stops the channel; two providers may give two replies the same number."""
    said = News((), (Said("13800001000", "退订", "1"),))
    for provider in ("carrier_a", "carrier_b", "carrier_a"):
        await receiving.hear(provider, "sms", said, "sms")
    told = [one.told for one in store.inbox_due(NOW, 5)]
    assert [one.channel for one in told] == ["sms", "sms"]


def one_receipt(ours: str) -> News:
    """It arrived."""
    return News((Learnt(Receipt(delivered=True), ours=ours),))


async def test_what_comes_at_once_is_written_down_at_once(receiving: Receiving, store: Store) -> None:
    """Fifty calls wait for one or two commits, and each learns what was new of its own."""
    commits: list[int] = []
    hear_all = store.hear_all

    def counted(told: Any, now: datetime) -> list[int]:
        commits.append(len(told))
        return hear_all(told, now)

    store.hear_all = counted  # type: ignore[method-assign]  # the real one, counted
    calls = [receiving.hear("sms", "sms", one_receipt(f"m{n % 40}")) for n in range(50)]
    assert sum(await asyncio.gather(*calls)) == 40
    assert sum(commits) == 50
    assert len(commits) <= 2
    assert store.inbox_waiting() == 40


async def test_a_store_that_is_away_is_told_to_every_caller(receiving: Receiving, store: Store) -> None:
    """Nobody is told that all is well; the next call is."""
    engine: Any = receiving.engine
    engine.store = Away()
    told = await asyncio.gather(
        *(receiving.hear("sms", "sms", one_receipt(f"m{n}")) for n in range(5)), return_exceptions=True
    )
    assert [type(one) for one in told] == [StoreUnavailable] * 5
    engine.store = store
    assert await receiving.hear("sms", "sms", one_receipt("m1")) == 1


async def test_a_caller_that_goes_away_leaves_what_it_told_written(receiving: Receiving, store: Store) -> None:
    """A call cut off while it is written down is written all the same, and holds nobody up."""
    cut = asyncio.create_task(receiving.hear("sms", "sms", one_receipt("m1")))
    await asyncio.sleep(0)
    cut.cancel()
    assert await receiving.hear("sms", "sms", one_receipt("m2")) == 1
    assert {one.told.ours for one in store.inbox_due(NOW, 5) if isinstance(one.told, ReceiptTold)} == {"m1", "m2"}


@pytest.mark.parametrize("odd", ["\x00", "half \ud800", "x" * 10_000])
async def test_whatever_a_provider_calls_a_message_can_be_kept(receiving: Receiving, store: Store, odd: str) -> None:
    """What no database takes is left out, and one call's nonsense does not spoil another's."""
    news = News((Learnt(PermanentFailure(odd or "x"), ours=odd, theirs=odd),), (Said("13800001000", odd, odd, odd),))
    assert await receiving.hear("sms", "sms", news) == 2
    await receiving.take_in()
    assert store.inbox_waiting() == 2


async def test_a_channel_that_is_no_longer_there_is_forgotten(receiving: Receiving, clock: ManualClock) -> None:
    """After a reload nobody is told of a mailbox that is not configured any more."""
    box = Mailbox()
    box.trouble = PermanentFailure("imap_login")
    await receiving.collect([way("email", box)], {})
    await receiving.collect([], {})
    assert receiving.unheard(clock.now()) == {}


async def test_what_cannot_be_taken_over_waits_ever_longer_and_is_dropped_after_three_days(
    receiving: Receiving, store: Store, clock: ManualClock
) -> None:
    """A receipt of nothing we know, a reply nobody takes: tried less and less often, then counted and gone."""
    said = Said("13800001000", "收到", reference="SM1")
    await receiving.hear("sms", "sms", News((Learnt(Receipt(delivered=True), theirs="nobody's"),), (said,)))
    tried = [clock.now()]
    while store.inbox_waiting():
        clock.move_to(clock.now() + timedelta(seconds=5))
        if await receiving.take_in() or store.inbox_due(clock.now() - timedelta(days=1), 1):
            tried.append(clock.now())
        clock.move_to(clock.now() + LONGEST_WAIT)
    assert receiving.dropped == 2
    assert clock.now() >= NOW + KEPT_FOR


def test_receipts_are_kept_as_what_they_say() -> None:
    """Read, delivered, on its way, failed with its reason."""
    kept = [
        receipt_of("sms", Learnt(outcome, "o", "t", NOW))
        for outcome in (
            Receipt(read=True),
            Receipt(delivered=True),
            Receipt(answer="4.4.1"),
            PermanentFailure("bounced", "5.1.1"),
        )
    ]
    assert [one.came for one in kept] == [Came.READ, Came.DELIVERED, Came.ACCEPTED, Came.FAILED]
    assert kept[3] == ReceiptTold("sms", Came.FAILED, "o", "t", "bounced", NOW)


@pytest.mark.parametrize(
    ("kind", "sender", "persons"),
    [
        ("sms", "+8613800001000", ("h0",)),
        ("sms", "8613800001000", ("h0",)),
        ("sms", "138 0000 1000", ("h0",)),
        ("sms", "13800003000", ()),
        ("sms", "10690000", ()),
        ("email", "handler0@example.COM", ("h0",)),
        ("email", "shared@EXAMPLE.com", ("h1", "h2")),
        ("email", "13800001000", ()),
    ],
)
def test_an_address_is_its_owners_however_it_is_written(kind: str, sender: str, persons: tuple[str, ...]) -> None:
    """Numbers in international or national form, mailboxes in any case; who has left has none."""
    reply = reply_of("sms", kind, Said(sender, "收到", "SM1", "abc", NOW), Addresses(PEOPLE, "CN"))
    if not persons:
        assert reply is None
        return
    assert reply is not None
    assert (reply.persons, reply.understood.command) == (persons, Command.ACKNOWLEDGE)
    assert (reply.about, reply.reference, reply.at) == ("abc", "SM1", NOW)


async def test_a_mailbox_that_refuses_us_is_told_to_the_administrators(tmp_path: Path, store_url: str) -> None:
    """Once a day, by the minute's audit; enforcement goes on."""
    async with imap_server() as imap:

        def prepare(office: Office) -> None:
            box = f"""    connections: 4
    bounce_mailbox:
      {{host: 127.0.0.1, port: {imap.port}, encryption: none, login_without_encryption: true,
        username: duban, password: {{env: NOT_THE_ONE}}}}
"""
            office.change("duban.yaml", "    connections: 4\n", box)

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NOT_THE_ONE", "another-invented-password")
            async with running_office(tmp_path, store_url, prepare=prepare) as world:
                await world.work()
                await world.node.collect()
                await world.node.audit()
                await world.node.audit()
                told = [one for one in await world.work() if "回执读不到" in one.text]
                assert {one.channel for one in told} == {"email", "sms"}
                assert len(told) == 2
