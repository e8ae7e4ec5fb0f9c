"""What comes back from providers: written down as it is told, then taken over, once and in whatever order it came.

    hear:     a provider called, or a channel was asked (`collect`) -> the inbox, in one transaction
    take in:  the inbox -> receipts change deliveries, replies go to who answers them

The provider's call is answered, and the mailbox is told that a report was read, only after the news is committed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from channels.base import Collecting, News, PermanentFailure, Receipt, SendError
from daemon import telemetry
from daemon.errors import DaemonError
from daemon.letters import as_kept
from daemon.replies import understood
from daemon.source.people import sms_address
from daemon.store.arrivals import comes_to
from daemon.store.values import Came, DeliveryState, ReceiptTold, Reply
from daemon.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from channels.base import Learnt, Said
    from daemon.clock import Clock
    from daemon.engine import Engine
    from daemon.store.values import Delivery, Incoming
    from daemon.ways import WayOut
    from policies.model import Directory

log = telemetry.logger(__name__)

T = TypeVar("T")

BATCH = 200  # rows of the inbox taken over in one go
FIRST_WAIT = timedelta(seconds=5)  # before what matches nothing yet is tried again; doubled every time
LONGEST_WAIT = timedelta(hours=1)
KEPT_FOR = timedelta(days=3)  # how long it is tried; providers tell of a message within that time
TIDY_EVERY = timedelta(hours=1)
UNHEARD_FOR = timedelta(hours=1)  # a mailbox that cannot be read for so long is told to the administrators


class Answering(Protocol):
    """Who takes replies over (签收, 退订). Blocking; called from a thread."""

    def take(self, reply: Reply, now: datetime) -> bool:
        """Do what the reply says, and see that it is answered. False leaves it waiting.

        After a crash the same reply may come a second time: whatever it does has to be the same done twice.

        Raises:
            DaemonError: a database is away; the reply waits.
        """
        ...


class Addresses:
    """Whose address it is: mobile numbers compared in E.164, everything else without regard to case."""

    def __init__(self, directory: Directory, region: str) -> None:
        self.directory = directory
        self._region = region
        self._of: dict[tuple[str, str], list[str]] = {}
        for key, official in directory.officials.items():
            if not official.active:
                continue
            for kind, address in official.addresses.items():
                self._of.setdefault((kind, self._written(kind, address)), []).append(key)

    def owners(self, kind: str, address: str) -> tuple[str, ...]:
        """The officials with that address; several may share one."""
        return tuple(self._of.get((kind, self._written(kind, address)), ()))

    def _written(self, kind: str, address: str) -> str:
        address = address.strip()
        number = sms_address(address, self._region) if kind == "sms" else None
        return number or address.casefold()


def receipt_of(channel: str, learnt: Learnt) -> ReceiptTold:
    """A receipt as it is kept."""
    outcome, ours, theirs = learnt.outcome, as_kept(learnt.ours), as_kept(learnt.theirs)
    if isinstance(outcome, PermanentFailure):
        return ReceiptTold(channel, Came.FAILED, ours, theirs, as_kept(outcome.code), learnt.at)
    return ReceiptTold(channel, _came(outcome), ours, theirs, "", learnt.at)


def _came(receipt: Receipt) -> Came:
    if receipt.read:
        return Came.READ
    return Came.DELIVERED if receipt.delivered else Came.ACCEPTED


def reply_of(channel: str, kind: str, said: Said, addresses: Addresses) -> Reply | None:
    """A reply as it is kept, without its words and the address it came from; None if that is nobody's."""
    persons = addresses.owners(kind, said.sender)
    if not persons:
        return None
    return Reply(channel, persons, understood(said.text), as_kept(said.about), as_kept(said.reference), said.at)


def its_own(channel: str, one: Delivery) -> bool:
    """Whether that channel had the message."""
    return channel in {one.notice.channel, one.provider}


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one call told, and how much of it was new once it is written down."""

    channel: str
    told: Sequence[ReceiptTold | Reply]
    new: asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Deaf:
    """A channel that could not be asked what came back: since when, and the last reason."""

    code: str
    since: datetime
    for_good: bool  # it refuses us: somebody has to see to it


class Receiving:
    """Takes what comes back, for one worker."""

    def __init__(
        self,
        engine: Engine,
        region: str,
        clock: Clock,
        executor: Executor,
        answering: Answering,
        may_tell: Callable[[str, Delivery], bool] = its_own,
    ) -> None:
        """`may_tell`: whether a channel is believed about a message; a provider can work out our name of any."""
        self.engine = engine
        self._may_tell = may_tell
        self._region = region
        self._clock = clock
        self._executor = executor
        self.answering = answering
        self.deaf: dict[str, Deaf] = {}  # by channel, while it cannot be asked
        self._addresses: Addresses | None = None
        self.dropped = 0  # what matched nothing for three days
        self._tidied_at: datetime | None = None
        self._heard: list[_Heard] = []  # not written down yet
        self._turn = asyncio.Lock()
        self._unwritten: dict[str, News] = {}  # told by a channel, not yet in the store: it must not be asked again

    # --- hearing -----------------------------------------------------------------------------------------

    async def hear(self, channel: str, kind: str, news: News, shared: str = "") -> int:
        """Write down what a channel told; when this returns it is safe. Returns how much of it is new.

        `shared` is the channel it is one of the providers behind, if it is: that is the one people answer over.

        Raises:
            StoreUnavailable: it is not written down.
        """
        told = self._understood(channel, kind, news, shared or channel)
        if not told:
            return 0
        mine = _Heard(channel, told, asyncio.get_running_loop().create_future())
        self._heard.append(mine)
        async with self._turn:  # who waits here may find that it was written with what was before it
            if not mine.new.done():
                await asyncio.shield(asyncio.create_task(self._write_heard()))
        return await mine.new

    async def _write_heard(self) -> None:
        """Write down, in one transaction, all that was heard meanwhile: of a thousand calls few wait for a disk."""
        heard, self._heard = self._heard, []
        try:
            new = await in_thread(self._executor, partial(self._write, [(one.channel, one.told) for one in heard]))
        except Exception as error:  # noqa: BLE001 - each caller is told
            for one in heard:
                one.new.set_exception(error)
            return
        for one, count in zip(heard, new, strict=True):
            one.new.set_result(count)

    def _write(self, told: Sequence[tuple[str, Sequence[ReceiptTold | Reply]]]) -> list[int]:
        return self.engine.store.hear_all(told, self._clock.now())

    def _understood(self, channel: str, kind: str, news: News, over: str) -> list[ReceiptTold | Reply]:
        told: list[ReceiptTold | Reply] = [receipt_of(channel, one) for one in news.learnt]
        for said in news.said:
            reply = reply_of(over, kind, said, self._whose())
            if reply is None:
                log.info(telemetry.REPLY_OF_NOBODY, channel=channel)
            else:
                told.append(reply)
        return told

    def _whose(self) -> Addresses:
        directory = self.engine.directory
        if self._addresses is None or self._addresses.directory is not directory:
            self._addresses = Addresses(directory, self._region)
        return self._addresses

    async def collect(self, ways: Iterable[WayOut], behind: Mapping[str, str]) -> int:
        """Ask every channel that can be asked what came back; returns how much was new. One's trouble is its own.

        `behind`: the shared channel each provider is behind. What a channel told is written down before it is asked
        again: being asked again tells it that it was.
        """
        asked = [way for way in ways if isinstance(way.channel, Collecting)]
        self.deaf = {way.name: self.deaf[way.name] for way in asked if way.name in self.deaf}
        shared = [behind.get(way.name, "") for way in asked]
        return sum(await asyncio.gather(*map(self._collect_from, asked, shared)))

    async def _collect_from(self, way: WayOut, shared: str) -> int:
        try:
            heard = await self._write_down(way, shared) if way.name in self._unwritten else 0
            assert isinstance(way.channel, Collecting)  # noqa: S101 - for the checkers
            self._unwritten[way.name] = await way.channel.collect()
            heard += await self._write_down(way, shared)
        except SendError as error:
            self._cannot_hear(way, error.code, for_good=isinstance(error, PermanentFailure))
            return 0
        except DaemonError as error:
            log.warning(telemetry.NOT_COLLECTED, channel=way.name, problem=error.message.zh)
            return 0
        except Exception as error:  # noqa: BLE001 - one channel's defect must not stop the others
            self._cannot_hear(way, type(error).__name__, for_good=True)
            return 0
        if self.deaf.pop(way.name, None):
            log.info(telemetry.COLLECTED_AGAIN, channel=way.name)
        return heard

    async def _write_down(self, way: WayOut, shared: str) -> int:
        heard = await self.hear(way.name, way.kind, self._unwritten[way.name], shared)
        del self._unwritten[way.name]
        return heard

    def _cannot_hear(self, way: WayOut, code: str, *, for_good: bool) -> None:
        before = self.deaf.get(way.name)
        if before is None or before.code != code:
            log.warning(telemetry.NOT_COLLECTED, channel=way.name, problem=code)
        since = self._clock.now() if before is None else before.since
        self.deaf[way.name] = Deaf(code, since, for_good)

    def unheard(self, now: datetime) -> Mapping[str, str]:
        """The channels somebody has to see to, and why: they refuse to tell what came back, or were away for long."""
        return {name: one.code for name, one in self.deaf.items() if one.for_good or now - one.since >= UNHEARD_FOR}

    # --- taking over -------------------------------------------------------------------------------------

    async def take_in(self) -> int:
        """Take over what was heard, until nothing more can be now; returns how much was done with."""
        total = 0
        while (batch := await in_thread(self._executor, self._take_in)) is not None:
            total += batch
        await in_thread(self._executor, self._tidy)
        return total

    def _take_in(self) -> int | None:
        """One batch: how much was done with, None if nothing is due. What cannot be yet waits longer every time."""
        now = self._clock.now()
        found = [] if self.engine.intake.overtaken else self.engine.store.inbox_due(now, BATCH)
        if not found:
            return None
        done = self._take_receipts([one for one in found if isinstance(one.told, ReceiptTold)], now)
        for one in found:
            if isinstance(one.told, Reply) and self._take_reply(one, one.told, now):
                done += 1
        return done

    def _take_receipts(self, found: Sequence[Incoming], now: datetime) -> int:
        if not found:
            return 0
        store = self.engine.store
        named = store.meant([one.told for one in found if isinstance(one.told, ReceiptTold)])
        meant = [
            [each for each in mine if self._may_tell(one.told.channel, each)]
            for one, mine in zip(found, named, strict=True)
        ]
        known = [(one, mine) for one, mine in zip(found, meant, strict=True) if mine]
        lost = [one for one, mine in zip(found, meant, strict=True) if not mine]
        passed_on = {one.id for one in self._failing(known) if self._is_passed_on(one, now)}
        taken = store.take_receipts(known, passed_on, now)
        waiting = [one for one in found if one.id in set(taken.waiting)]
        return len(taken.done) + self._put_off([*waiting, *lost], now, telemetry.RECEIPT_UNKNOWN)

    def _failing(self, known: Sequence[tuple[Incoming, Sequence[Delivery]]]) -> list[Delivery]:
        """The deliveries a receipt says have failed, each once."""
        found = {
            one.id: one
            for incoming, mine in known
            for one in mine
            if isinstance(incoming.told, ReceiptTold) and comes_to(one, incoming.told).state is DeliveryState.FAILED
        }
        return list(found.values())

    def _is_passed_on(self, one: Delivery, now: datetime) -> bool:
        """Whether the next channel, or the next person up, has been told; only then is the failure written down."""
        log.warning(telemetry.UNDELIVERED, notice=one.notice.key, channel=one.notice.channel)
        if not one.notice.case_key:
            return True
        try:
            self.engine.fall_upward(one, now)
        except DaemonError:
            raise
        except Exception as error:  # noqa: BLE001 - one poisonous row must not stop the others; it is tried again
            problem = f"{type(error).__name__}: {error}"
            log.error(telemetry.POSTPONED, case=one.notice.case_key, problem=problem)  # noqa: TRY400 - no traceback in the log
            return False
        return True

    def _take_reply(self, one: Incoming, reply: Reply, now: datetime) -> bool:
        try:
            taken = self.answering.take(reply, now)
        except DaemonError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            log.error(telemetry.REPLY_NOT_TAKEN, channel=reply.channel, problem=type(error).__name__)  # noqa: TRY400 - as above
            taken = False
        if not taken:
            return bool(self._put_off([one], now, telemetry.REPLY_NOT_TAKEN))
        self.engine.store.inbox_done([one.id])
        return True

    def _put_off(self, found: Sequence[Incoming], now: datetime, word: str) -> int:
        """Let these wait, twice as long every time; those that did for three days are dropped. Returns how many."""
        old = [one for one in found if now - one.heard_at >= KEPT_FOR]
        for one in old:
            log.warning(word, channel=one.told.channel)
        self.dropped += len(old)
        self.engine.store.inbox_done([one.id for one in old])
        gone = {one.id for one in old}
        self.engine.store.inbox_later({one.id: now + _wait(one) for one in found if one.id not in gone})
        return len(old)

    def _tidy(self) -> None:
        now = self._clock.now()
        if self._tidied_at is None or not self._tidied_at <= now < self._tidied_at + TIDY_EVERY:
            self.engine.store.tidy_inbox(now)
            self._tidied_at = now


def _wait(one: Incoming) -> timedelta:
    doubled = 1 << min(one.tries, 16)
    return min(LONGEST_WAIT, FIRST_WAIT * doubled)
