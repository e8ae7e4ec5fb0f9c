"""The delivery side: claim -> gate -> render -> send -> record, one pump per channel, until nothing more may go out.

Providers that share a channel have loops of their own for it (decision 0008); a slow one delays nobody.
Two loops per channel take turns: while one batch is on the wire, the other is being recorded and the next one claimed
in the same commit. What is claimed and not yet recorded is therefore at most two batches, and that is all a crash can
put in doubt. A batch is about what the channel sends in a quarter of a second (decision 0002).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from channels.base import CANNOT_ASK, OutcomeUnknown, PermanentFailure, Receipt, SendError
from channels.wire.identity import reference_of
from daemon import telemetry
from daemon.entries import POSTPONE
from daemon.letters import (
    REST,
    Letter,
    contented,
    not_resent,
    results_of,
    waiting,
)
from daemon.preparing import Preparing
from daemon.providers import Providers
from daemon.store.lanes import lanes_from
from daemon.store.values import DeliveryResult, DeliveryState
from daemon.threads import in_thread
from daemon.ways import BATCH, Pace
from daemon.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from concurrent.futures import Executor

    from channels.base import Message, Outcome
    from daemon.clock import Clock
    from daemon.engine import Engine
    from daemon.providers import Turn
    from daemon.render import Renderer
    from daemon.sharing import Sharing
    from daemon.store.values import Delivery
    from daemon.ways import WayOut

log = telemetry.logger(__name__)

LOOPS = 2
LEFT = "provider_left"  # why another provider is to send it: this one, which perhaps did, is left alone
LONGEST_SHIFT = 1800.0  # seconds: a pump that is never done ends then, far from the time-out of its job
LOOK_AGAIN = 1.0  # seconds: a channel with nothing to send looks so often while another is at work
ASK_TIMES = 5  # a provider that could be asked but does not answer is asked so often before anything is sent again
STRANDED_FOR = timedelta(minutes=10)  # long enough for every node to read a new configuration


class Shift:
    """One pump: whether any of its loops has something to send. Whoever has nothing looks again until none has.

    Without that a fast channel would wait for the next pump, and that for the slowest channel. Where there is always
    something to send it ends all the same after a while: whoever is done with a batch claims no other.
    """

    def __init__(self, loops: int) -> None:
        self._at_work = loops
        self._over = asyncio.Event()
        self._ends_at = asyncio.get_running_loop().time() + LONGEST_SHIFT

    @property
    def is_ending(self) -> bool:
        """Whether it has lasted long enough."""
        return asyncio.get_running_loop().time() >= self._ends_at

    def rests(self) -> None:
        """One loop found nothing."""
        self._at_work -= 1
        if not self._at_work:
            self._over.set()

    def works_again(self) -> None:
        """It found something after all."""
        self._at_work += 1

    async def goes_on(self, seconds: float) -> bool:
        """Wait so long; whether anybody is still at work then, and to go on."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return not self.is_ending
        return False


class Sender:
    """Sends what the outbox holds, for one worker.

    `sharing`: the channels with several providers behind them, each of which is one of the ways out.
    """

    def __init__(
        self,
        engine: Engine,
        ways: Mapping[str, WayOut],
        renderer: Renderer,
        clock: Clock,
        executor: Executor,
        sharing: Mapping[str, Sharing] = MappingProxyType({}),
    ) -> None:
        self.engine = engine
        self.ways = ways
        self._clock = clock
        self._executor = executor
        self._stopping = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._pumps = 0
        self._owed: list[DeliveryResult] = []
        self._cut_off = False  # a pump ended in the middle: something may be held that nobody is sending
        self._elder: Sender | None = None
        self._begin = asyncio.Lock()
        self._looked_for_stranded_at: datetime | None = None
        self.providers = {name: Providers(name, shared) for name, shared in sharing.items()}
        self._writing = Writing(engine, renderer)
        self._preparing = Preparing(engine, self._writing, clock, executor, self.providers)
        self._lines = [*ways.values()]  # a pair of loops each
        for name, shared in sharing.items():
            self._lines += [dataclasses.replace(ways[one], shares=name) for one in shared.providers]
        self._paces = {name: Pace(way.at_once) for name, way in ways.items()}
        self._claims = Counter[tuple[str, str]]()  # how often each line asked for more: now and then from a lower lane
        self.refusing: dict[str, str] = {}  # channel -> code, while its provider refuses everything

    @property
    def stopped(self) -> Mapping[str, datetime]:
        """Case -> when a message about it was last stopped because it would have told of a person."""
        return self._writing.stopped

    async def pump(self) -> int:
        """Send until nothing more may go out now; returns how many attempts were made.

        Each channel has its own loops, so that a slow one delays nobody else. An error of one is raised when all
        have ended.
        """
        async with self._begin:
            await self._settle()
            self._pumps += 1
            self._at_rest.clear()
        try:
            shift = Shift(LOOPS * len(self._lines))
            lines = sorted(self._lines, key=self._is_rested, reverse=True)  # they claim first
            loops = [self._loop(way, shift) for way in lines for _ in range(LOOPS)]
            ended = await asyncio.gather(self._look_aside(shift), *loops, return_exceptions=True)
        finally:
            self._pumps -= 1
            if not self._pumps:
                self._at_rest.set()
        for one in ended:
            if isinstance(one, BaseException):
                raise one
        return sum(one for one in ended if isinstance(one, int))

    def follow(self, elder: Sender) -> None:
        """Take over what an earlier sender of the same worker leaves unrecorded, once it is at rest."""
        self._elder = elder
        for name, providers in self.providers.items():
            if name in elder.providers:
                providers.take_over(elder.providers[name])

    def stop(self) -> None:
        """Claim nothing more; what is on the wire is finished and recorded."""
        self._stopping = True

    async def idle(self) -> None:
        """Wait until nothing is on the wire and everything is recorded."""
        await self._at_rest.wait()

    async def _settle(self) -> None:
        """After a pump that was cut off: write down what it learnt; what else it held is in doubt."""
        while (elder := self._elder) is not None and elder._at_rest.is_set():  # noqa: SLF001 - of the same class
            self._owed += elder._owed  # noqa: SLF001
            self._cut_off = self._cut_off or elder._cut_off  # noqa: SLF001
            self._elder = elder._elder  # noqa: SLF001
        if not self._cut_off or self._pumps or self._elder is not None:
            return
        owed, now = list(self._owed), self._clock.now()
        doubtful = await in_thread(self._executor, lambda: self.engine.store.settle(self.engine.epoch, owed, now))
        self._cut_off, self._owed = False, []
        log.warning(telemetry.SETTLED, recorded=len(owed), in_doubt=doubtful)

    async def _loop(self, way: WayOut, shift: Shift) -> int:
        """Send what there is for this way; with nothing left, look again as long as another loop is at work."""
        sent, at_work = 0, True
        results: list[DeliveryResult] = []
        try:
            while True:
                with self._turn(way) as turn:
                    claimed = await self._recorded(way, results, turn, last=shift.is_ending)
                    results = []
                    if claimed and not at_work:
                        shift.works_again()
                    elif at_work and not claimed:
                        shift.rests()
                    at_work = bool(claimed)
                    if claimed:
                        results = await self._attempt(way, claimed)
                        sent += len(results)
                if not claimed and (self._stopping or not await shift.goes_on(LOOK_AGAIN)):
                    return sent
        finally:
            if at_work:
                shift.rests()

    def _is_rested(self, way: WayOut) -> bool:
        return bool(way.shares) and self.providers[way.shares].is_rested(way.name, self._clock.now())

    @contextmanager
    def _turn(self, way: WayOut) -> Generator[Turn | None]:
        """What a provider behind a shared channel may claim now; None for any other channel."""
        if not way.shares:
            yield None
            return
        providers = self.providers[way.shares]
        turn = providers.turn(way.name, self._clock.now())
        try:
            yield turn
        finally:
            if turn.is_trial:
                providers.trial_over(way.name)

    async def _recorded(
        self, way: WayOut, results: list[DeliveryResult], turn: Turn | None, *, last: bool
    ) -> list[Delivery]:
        """Write outcomes and claim more; what the store does not take now is kept for the next pump."""
        try:
            if turn is not None and not turn.is_trial:
                await self.providers[way.shares].wait_for_trials()
            claimed = await in_thread(self._executor, partial(self._record, way, results, turn, last=last))
        except BaseException:
            self._owed.extend(results)
            self._cut_off = True  # the claim may have been committed all the same
            raise
        if turn is not None and turn.is_trial:
            self.providers[way.shares].trial_claimed(way.name)
        return claimed

    def _record(
        self, way: WayOut, results: Sequence[DeliveryResult], turn: Turn | None, *, last: bool
    ) -> list[Delivery]:
        """Write the outcomes and claim the next batch in the same commit; none if these are the `last`."""
        more = 0 if last or self._stopping or self.engine.intake.overtaken else self._paces[way.name].batch
        line = way.name, way.queue
        lanes = lanes_from(self._claims[line])
        self._claims[line] += 1
        now, store, epoch = self._clock.now(), self.engine.store, self.engine.epoch
        if turn is None:
            return store.record(epoch, results, now, more, [way.queue], lanes)
        most = more if turn.most is None else min(turn.most, more)
        return store.record(epoch, results, now, most, [way.queue], turn.lanes or lanes, turn.share)

    async def _look_aside(self, shift: Shift) -> int:
        """What else there is to see to, at once and every minute as long as the pump goes on."""
        seen_to = 0
        while True:
            ended = await asyncio.gather(self._fail_stranded(), self._miss_receipts(), return_exceptions=True)
            for one in ended:
                if isinstance(one, BaseException):
                    raise one
                seen_to += one
            if self._stopping or not await shift.goes_on(REST.total_seconds()):
                return seen_to

    async def _fail_stranded(self) -> int:
        """What has long waited for a channel that is configured no more fails, and goes to the next person up."""
        now, last = self._clock.now(), self._looked_for_stranded_at
        if self._stopping or self.engine.intake.overtaken or (last is not None and last <= now < last + REST):
            return 0
        store, epoch = self.engine.store, self.engine.epoch
        known = {*self.ways, *self.providers}
        gone = await in_thread(self._executor, lambda: store.stranded(known, now - STRANDED_FOR))
        failed = 0
        while gone and (claimed := await in_thread(self._executor, lambda: self._claim_stranded(gone, now))):
            results = [DeliveryResult(one, DeliveryState.FAILED, now, error="no_such_channel") for one in claimed]
            try:
                results = [await self._after(result) for result in results]
                await in_thread(self._executor, partial(store.record, epoch, results, now))
            except BaseException:
                self._cut_off = True
                raise
            failed += len(results)
        self._looked_for_stranded_at = now
        return failed

    async def _miss_receipts(self) -> int:
        """Accepted is not delivered: without a receipt in time the message goes another way, and then further up."""
        store, missed = self.engine.store, 0
        while not (self._stopping or self.engine.intake.overtaken):
            now = self._clock.now()
            overdue = await in_thread(self._executor, partial(store.overdue_receipts, now, BATCH))
            given_up: list[int] = []
            stuck: list[int] = []
            for one in overdue:
                if not await self._has_arrived(one):
                    (given_up if await self._gone_another_way(one, now) else stuck).append(one.id)
            await in_thread(self._executor, partial(store.give_up_waiting, given_up, now))
            if stuck:
                await in_thread(self._executor, partial(store.put_off_receipts, stuck, now + POSTPONE))
            missed += len(given_up)
            if len(overdue) < BATCH:
                break
        return missed

    async def _has_arrived(self, one: Delivery) -> bool:
        """Whether the provider, asked now, says that it arrived; then that is on record."""
        way = self.ways.get(one.provider or one.notice.channel)
        in_digest = one.notice.digest and one.sent_as != reference_of(one.notice.key)
        if way is None or in_digest:  # the key of the digest is not kept once the provider took it
            return False
        try:
            receipt = await way.channel.lookup(self._writing.message(way, Letter((one,))))
        except Exception:  # noqa: BLE001 - whatever it says, it is no receipt
            return False
        if receipt is None or not receipt.delivered:
            return False
        result = DeliveryResult(one, DeliveryState.DELIVERED, self._clock.now(), reference=one.reference)
        await in_thread(self._executor, lambda: self.engine.store.record(self.engine.epoch, [result], result.at))
        return True

    async def _gone_another_way(self, one: Delivery, now: datetime) -> bool:
        try:
            await in_thread(self._executor, partial(self.engine.fall_upward, one, now))
        except Exception as error:  # noqa: BLE001 - one poisonous row must not stop the others; it is tried again
            log.error(telemetry.POSTPONED, case=one.notice.case_key, problem=f"{type(error).__name__}: {error}")  # noqa: TRY400 - no traceback in the log
            return False
        return True

    def _claim_stranded(self, channels: Sequence[str], now: datetime) -> list[Delivery]:
        try:
            return self.engine.store.claim_deliveries(self.engine.epoch, now, BATCH, channels)
        except BaseException:
            self._cut_off = True
            raise

    # --- one batch -------------------------------------------------------------------------------------

    async def _attempt(self, way: WayOut, claimed: Sequence[Delivery]) -> list[DeliveryResult]:
        """What becomes of each claimed delivery: dropped at the gate, not renderable, answered for, or sent."""
        try:
            return await self._attempted(way, claimed)
        except BaseException:
            self._cut_off = True
            raise

    async def _attempted(self, way: WayOut, claimed: Sequence[Delivery]) -> list[DeliveryResult]:
        ready, results = await self._preparing.prepared(way, claimed)
        await self._preparing.bind_digests([letter for letter, _ in ready])
        answered, to_send = await self._ask(way, ready)
        results.extend(answered)
        outcomes = await self._send(way, [message for _, message in to_send]) if to_send else []
        await self._preparing.give_back_unspent(way, to_send, outcomes)
        done_at = self._clock.now()
        for (letter, _), outcome in zip(to_send, outcomes, strict=True):
            results.extend(results_of(letter, outcome, done_at))
        if not way.tells_delivery:
            results = [contented(result) for result in results]
        return [await self._after(result) for result in results]

    async def _send(self, way: WayOut, messages: Sequence[Message]) -> list[Outcome]:
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            outcomes = await way.channel.send_many(messages)
        except Exception as error:  # noqa: BLE001 - channels promise not to raise; one of others may do so all the same
            log.error(telemetry.CHANNEL_BROKE, channel=way.name, problem=type(error).__name__)  # noqa: TRY400
            outcomes = []
        missing = len(messages) - len(outcomes)
        outcomes = [*outcomes[: len(messages)], *(OutcomeUnknown("channel_broke") for _ in range(missing))]
        took = clock() - begun
        self._paces[way.name].learn(len(messages), took)
        for outcome in outcomes:
            if isinstance(outcome, PermanentFailure) and outcome.whole_channel:
                self.refusing[way.name] = outcome.code
            elif isinstance(outcome, Receipt):
                self.refusing.pop(way.name, None)
        if not way.shares:
            return outcomes
        a_message = took / -(-len(messages) // way.at_once)  # as many at once as it sends
        return self.providers[way.shares].learn(way.name, outcomes, a_message, self._clock.now())

    async def _ask(
        self, way: WayOut, ready: Sequence[tuple[Letter, Message]]
    ) -> tuple[list[DeliveryResult], list[tuple[Letter, Message]]]:
        """Ask the provider about what is in doubt before sending it again.

        It has it: accepted. It certainly has not: sent unmarked. It does not answer now: asked again later. It cannot
        be asked at all, or never answers, or another provider of the channel may have sent it: sent again, marked,
        unless its step would rather have it go another way.
        If this provider is left alone, another one sends it.
        """
        results: list[DeliveryResult] = []
        again: list[tuple[Letter, Message]] = []
        for letter, message in ready:
            if letter.possible_duplicate:
                settled, unsettled = await self._ask_about(way, letter, message)
                results += settled
                again += unsettled
        to_send = [(letter, message) for letter, message in ready if not letter.possible_duplicate]
        if not (way.shares and self.providers[way.shares].is_left(way.name)):
            return results, to_send + again
        now = self._clock.now()
        left = [waiting(one, now, now, LEFT) for letter, _ in again for one in letter.deliveries]
        return results + left, to_send

    async def _ask_about(
        self, way: WayOut, letter: Letter, message: Message
    ) -> tuple[list[DeliveryResult], list[tuple[Letter, Message]]]:
        """What became of one message in doubt, or as what it is to be sent again."""
        certain = letter.certain()
        unmarked = self._writing.message(way, certain)
        try:
            receipt = await self._looked_up(way, letter, unmarked, message)
        except OutcomeUnknown as riddle:
            if riddle.code != CANNOT_ASK and await self._asked_in_vain(letter) < ASK_TIMES:
                return results_of(letter, riddle, self._clock.now()), []
        else:
            if receipt is not None:
                return results_of(letter, receipt, self._clock.now()), []
            if not letter.doubted_elsewhere:
                return [], [(certain, unmarked)]
        if all(map(self.engine.resends_in_doubt, letter.deliveries)):
            return [], [(letter, message)]
        return not_resent(letter, self._clock.now()), []

    async def _looked_up(self, way: WayOut, letter: Letter, unmarked: Message, message: Message) -> Receipt | None:
        """What the provider says of a message as it went out first: some know nothing of it but its text.

        Raises:
            OutcomeUnknown: whatever else it says is no answer.
        """
        try:
            receipt = await way.channel.lookup(unmarked)
            if receipt is None and letter.attempts > 2:  # noqa: PLR2004 - the second may have gone out marked
                receipt = await way.channel.lookup(message)
        except SendError as error:
            raise OutcomeUnknown(error.code) from None
        except Exception as error:  # noqa: BLE001 - channels promise not to raise anything else
            log.error(telemetry.CHANNEL_BROKE, channel=way.name, problem=type(error).__name__)  # noqa: TRY400
            raise OutcomeUnknown("channel_broke") from None
        return receipt

    async def _asked_in_vain(self, letter: Letter) -> int:
        """How often the provider was asked and gave no answer, this time included; other attempts do not count."""
        notice = letter.deliveries[0].notice
        if not notice.case_key:  # about duban itself: all of these share one chain, which may be long
            return letter.attempts - 1
        return 1 + await in_thread(
            self._executor, partial(self.engine.store.asked_in_vain, notice.case_key, notice.key)
        )

    async def _after(self, result: DeliveryResult) -> DeliveryResult:
        """A failed delivery goes to the next person up first, and is a failure only when that is written down."""
        notice = result.delivery.notice
        if result.state is not DeliveryState.FAILED:
            return result
        log.warning(telemetry.UNDELIVERED, notice=notice.key, channel=notice.channel)
        if not notice.case_key:
            return result
        try:
            await in_thread(self._executor, partial(self.engine.fall_upward, result.delivery, result.at))
        except Exception as error:  # noqa: BLE001 - one poisonous row must not stop the others; it is tried again
            log.error(telemetry.POSTPONED, case=notice.case_key, problem=f"{type(error).__name__}: {error}")  # noqa: TRY400 - no traceback in the log
            again = result.at + POSTPONE
            return dataclasses.replace(result, state=DeliveryState.RETRYING, not_before_at=again)
        return result
