"""The delivery side: claim -> gate -> render -> send -> record, one pump per channel, until nothing more may go out.

Providers that share a channel have loops of their own for it (decision 0007); a slow one delays nobody.
Two loops per channel take turns: while one batch is on the wire, the other is being recorded and the next one claimed
in the same commit. What is claimed and not yet recorded is therefore at most two batches, and that is all a crash can
put in doubt. A batch is about what the channel sends in a quarter of a second (decision 0002).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from channels.base import CANNOT_ASK, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts
from daemon import telemetry
from daemon.budget import Fate, Wish, words_of
from daemon.engine import DOUBTED
from daemon.entries import POSTPONE
from daemon.errors import DaemonError
from daemon.letters import (
    REST,
    Letter,
    as_of,
    contented,
    letters_of,
    mergeable,
    not_resent,
    over_budget,
    result_of,
    results_of,
)
from daemon.medium import Medium
from daemon.offers import NO_OFFER
from daemon.providers import Providers
from daemon.render import LinkForbidden, PrivateContent, RenderError, without_mark
from daemon.store.lanes import lanes_from
from daemon.store.stops import OPTED_OUT
from daemon.store.values import DeliveryResult, DeliveryState
from policies.model import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from concurrent.futures import Executor

    from channels.base import Channel, Message, Outcome
    from daemon.clock import Clock
    from daemon.engine import Engine
    from daemon.offers import Offer
    from daemon.providers import Turn
    from daemon.render import Renderer
    from daemon.sharing import Sharing
    from daemon.store.values import Delivery

log = telemetry.logger(__name__)

BATCH = 64  # at most, per loop, unless the channel sends more at the same time
LOOPS = 2
AIM = 0.25  # seconds a batch should take: short enough to leave little in doubt, long enough to share a commit
LEFT = "provider_left"  # why another provider is to send it: this one, which perhaps did, is left alone
LONGEST_SHIFT = 1800.0  # seconds: a pump that is never done ends then, far from the time-out of its job
LOOK_AGAIN = 1.0  # seconds: a channel with nothing to send looks so often while another is at work
ASK_TIMES = 5  # a provider that could be asked but does not answer is asked so often before anything is sent again
LINK = "link_forbidden"  # the error of a text that holds a link where the channel takes none
PRIVATE = "private_content"  # the error of what was stopped because it would have told of a person
STRANDED_FOR = timedelta(minutes=10)  # long enough for every node to read a new configuration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WayOut:
    """One configured channel, opened: its name in the YAML, the kind of address it needs, itself, what it lets by.

    `shares`: the channel it is one of the providers behind, where it is to serve that.
    """

    name: str
    kind: str
    channel: Channel
    medium: Medium = field(default_factory=Medium)
    shares: str = ""

    @property
    def queue(self) -> str:
        """The channel whose notices it sends."""
        return self.shares or self.name

    @property
    def at_once(self) -> int:
        """How many messages it sends at the same time; a channel that does not say is given whole batches."""
        told: object = getattr(self.channel, "at_once", BATCH)
        return told if isinstance(told, int) and told > 0 else BATCH

    @property
    def tells_delivery(self) -> bool:
        """Whether the provider can be asked if a message has arrived."""
        return getattr(self.channel, "tells_delivery", False) is True


class Pace:
    """How many messages one loop claims: as many as the channel sends at once, more where it is fast.

    Whatever is claimed when the process dies is sent again with a mark. Behind a slow relay a large batch would
    put the mark on hundreds of messages that had not even been tried.
    """

    def __init__(self, at_once: int) -> None:
        self.batch = self._least = at_once
        self._most = max(BATCH, at_once)

    def learn(self, sent: int, seconds: float) -> None:
        """Take what the last batch took as the measure of the next."""
        if seconds > 2 * AIM:
            self.batch = max(self.batch // 2, self._least)
        elif seconds < AIM and sent >= self.batch:
            self.batch = min(self.batch * 2, self._most)


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
        self.renderer = renderer
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
        self._lines = [*ways.values()]  # a pair of loops each
        for name, shared in sharing.items():
            self._lines += [dataclasses.replace(ways[one], shares=name) for one in shared.providers]
        self._paces = {name: Pace(way.at_once) for name, way in ways.items()}
        self.stopped: dict[str, datetime] = {}  # case -> when a message about it was stopped for what it would tell
        self._claims = Counter[tuple[str, str]]()  # how often each line asked for more: now and then from a lower lane
        self.refusing: dict[str, str] = {}  # channel -> code, while its provider refuses everything

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
            loops = [self._loop(way, shift) for way in self._lines for _ in range(LOOPS)]
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
        doubtful = await self._in_thread(lambda: self.engine.store.settle(self.engine.epoch, owed, now))
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
            return await self._in_thread(partial(self._record, way, results, turn, last=last))
        except BaseException:
            self._owed.extend(results)
            self._cut_off = True  # the claim may have been committed all the same
            raise

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
        gone = await self._in_thread(lambda: store.stranded(known, now - STRANDED_FOR))
        failed = 0
        while gone and (claimed := await self._in_thread(lambda: self._claim_stranded(gone, now))):
            results = [DeliveryResult(one, DeliveryState.FAILED, now, error="no_such_channel") for one in claimed]
            try:
                results = [await self._after(result) for result in results]
                await self._in_thread(partial(store.record, epoch, results, now))
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
            overdue = await self._in_thread(partial(store.overdue_receipts, now, BATCH))
            given_up: list[int] = []
            stuck: list[int] = []
            for one in overdue:
                if not await self._has_arrived(one):
                    (given_up if await self._gone_another_way(one, now) else stuck).append(one.id)
            await self._in_thread(partial(store.give_up_waiting, given_up, now))
            if stuck:
                await self._in_thread(partial(store.put_off_receipts, stuck, now + POSTPONE))
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
            receipt = await way.channel.lookup(self._message(way, Letter((one,))))
        except Exception:  # noqa: BLE001 - whatever it says, it is no receipt
            return False
        if receipt is None or not receipt.delivered:
            return False
        result = DeliveryResult(one, DeliveryState.DELIVERED, self._clock.now(), reference=one.reference)
        await self._in_thread(lambda: self.engine.store.record(self.engine.epoch, [result], result.at))
        return True

    async def _gone_another_way(self, one: Delivery, now: datetime) -> bool:
        try:
            await self._in_thread(partial(self.engine.fall_upward, one, now))
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

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run it in a thread. A thread cannot be cancelled: it is waited for, or it would claim behind our back."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # it is of no interest any more
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
        ready, results = await self._prepared(way, claimed)
        await self._bind_digests([letter for letter, _ in ready])
        answered, to_send = await self._ask(way, ready)
        results.extend(answered)
        outcomes = await self._send(way, [message for _, message in to_send]) if to_send else []
        await self._give_back_unspent(way, to_send, outcomes)
        done_at = self._clock.now()
        for (letter, _), outcome in zip(to_send, outcomes, strict=True):
            results.extend(results_of(letter, outcome, done_at))
        if not way.tells_delivery:
            results = [contented(result) for result in results]
        return [await self._after(result) for result in results]

    async def _prepared(
        self, way: WayOut, claimed: Sequence[Delivery], *, merged: bool = False
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The messages that are to leave, and what became of the deliveries that are in none.

        `merged`: they were brought together because a budget is short, and are not brought together again.
        """
        now = self._clock.now()
        try:
            refused = await self._in_thread(lambda: self.engine.gate(claimed, now))
            quiet = self.engine.quiet([one for one in claimed if one.notice.key not in refused], now)
        except Exception as error:  # noqa: BLE001 - a database is away or at odds with us: nothing was sent
            problem = error.message.zh if isinstance(error, DaemonError) else type(error).__name__
            log.warning(telemetry.POSTPONED, channel=way.name, problem=problem)
            return [], [result_of(one, TemporaryFailure("gate"), now) for one in claimed]
        results = [_not_true(one, refused[one.notice.key], now) for one in claimed if one.notice.key in refused]
        true = [one for one in claimed if one.notice.key not in refused]
        results += [_waiting(one, quiet[one.notice.key], now) for one in true if one.notice.key in quiet]
        true = [one for one in true if one.notice.key not in quiet]
        results += [_refused_by_reader(one, now) for one in true if self.engine.is_stopped(one)]
        true = [one for one in true if not self.engine.is_stopped(one)]
        ready: list[tuple[Letter, Message]] = []
        for letter in letters_of(true, _two if merged else self._at_least):
            written, unwritten = self._write(way, letter, now)
            ready.extend(written)
            results.extend(unwritten)
        ready, private = await self._without_private(way, ready, now)
        ready, others = await self._within_budget(way, ready, now, merged=merged)
        return ready, results + private + others

    # --- what is private -------------------------------------------------------------------------------

    async def _without_private(
        self, way: WayOut, ready: list[tuple[Letter, Message]], now: datetime
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The messages that quote no personal field of the cases they are about, and those that were stopped.

        A digest is taken apart: only the notice that quotes one is stopped.
        """
        said = [(_shown(way, message), [one.notice for one in letter.deliveries]) for letter, message in ready]
        if not said:
            return ready, []
        quoting = await self._in_thread(lambda: self.engine.quoting(said))
        passed: list[tuple[Letter, Message]] = []
        results: list[DeliveryResult] = []
        singly: list[tuple[Letter, Message]] = []
        for (letter, message), private in zip(ready, quoting, strict=True):
            if not private:
                passed.append((letter, message))
            elif letter.digest:
                for single in letter.singly():
                    written, unwritten = self._write(way, single, now)
                    singly.extend(written)
                    results.extend(unwritten)
            else:
                log.warning(telemetry.PRIVATE_CONTENT, notice=letter.key, channel=way.name)
                results.extend(self._stopped(letter, now))
        if singly:
            more, others = await self._without_private(way, singly, now)
            passed += more
            results += others
        return passed, results

    def _stopped(self, letter: Letter, now: datetime) -> list[DeliveryResult]:
        """Its notices go another way or upward, and the administrators hear of it."""
        self.stopped.update((one.notice.case_key, now) for one in letter.deliveries if one.notice.case_key)
        return [DeliveryResult(one, DeliveryState.FAILED, now, error=PRIVATE) for one in letter.deliveries]

    # --- budgets ---------------------------------------------------------------------------------------

    async def _within_budget(
        self, way: WayOut, ready: list[tuple[Letter, Message]], now: datetime, *, merged: bool
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """What the channel's budget lets through, written down as spent; the rest is merged, put off or refused."""
        budget = way.medium.budget
        if budget is None or not ready:
            return ready, []
        wishes = [self._wish(way, letter, message, merged=merged) for letter, message in ready]
        verdicts = await self._in_thread(
            lambda: self.engine.store.spend(self.engine.epoch, way.name, budget, wishes, now, way.queue)
        )
        going: list[tuple[Letter, Message]] = []
        results: list[DeliveryResult] = []
        to_merge: list[Delivery] = []
        for one, wish, verdict in zip(ready, wishes, verdicts, strict=True):
            if verdict.fate is Fate.GO:
                going.append(one)
            elif verdict.fate is Fate.MERGE:
                to_merge.extend(one[0].deliveries)
            else:
                log.warning(telemetry.OVER_BUDGET, channel=way.name, rule=verdict.rule, notices=len(one[0].deliveries))
                results.extend(over_budget(one[0], verdict, now, urgent=wish.urgent))
        if to_merge:
            more, others = await self._merged(way, to_merge, now)
            going += more
            results += others
        return going, results

    async def _merged(
        self, way: WayOut, deliveries: Sequence[Delivery], now: datetime
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The same people's notices, and whatever else is due to leave for them, in as few messages as may be."""
        people = {one.notice.person for one in deliveries}
        share = self.providers[way.shares].none_to(way.name) if way.shares else None
        more = await self._in_thread(
            lambda: self.engine.store.claim_waiting_for(self.engine.epoch, way.queue, people, now, share)
        )
        together = [mergeable(one) if self.engine.may_merge(one) else one for one in (*deliveries, *more)]
        return await self._prepared(way, together, merged=True)

    def _wish(self, way: WayOut, letter: Letter, message: Message, *, merged: bool) -> Wish:
        first = letter.deliveries[0]
        subject, text = without_mark(message)
        return Wish(
            reference_of(message.key),
            first.notice.person,
            words_of(subject, text),
            sms_parts(message.text) if way.kind == "sms" else 1,
            urgent=any(map(self.engine.is_urgent, letter.deliveries)),
            may_merge=not merged and not letter.digest and self.engine.may_merge(first),
            notices=len(letter.deliveries),
        )

    async def _give_back_unspent(
        self, way: WayOut, sent: Sequence[tuple[Letter, Message]], outcomes: Sequence[Outcome]
    ) -> None:
        """What the provider certainly did not take does not count; what perhaps went out before does."""
        refused = [
            reference_of(message.key)
            for (letter, message), outcome in zip(sent, outcomes, strict=True)
            if isinstance(outcome, TemporaryFailure | PermanentFailure) and not letter.possible_duplicate
        ]
        if refused and way.medium.budget is not None:
            await self._in_thread(lambda: self.engine.store.give_back_spent(way.name, refused))

    def _at_least(self, one: Delivery) -> int:
        """How many notices to one person make a digest, by the policy this one was decided by."""
        policy = self.engine.rules.policies_for(one.policy_version).policies.get(one.notice.policy)
        return policy.digest.at_least if policy is not None and policy.digest is not None else 2

    def _write(
        self, way: WayOut, letter: Letter, now: datetime
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The message of a letter, or how its notices failed; a digest that cannot be written goes notice by notice."""
        try:
            return [(letter, self._message(way, letter))], []
        except LookupError:
            problem = "no_address"
        except Exception as error:  # noqa: BLE001 - one that cannot be rendered must not stop the others
            told = error.message.zh if isinstance(error, RenderError) else type(error).__name__
            log.warning(telemetry.NOT_RENDERED, notice=letter.key, problem=told)
            problem = LINK if isinstance(error, LinkForbidden) else f"render:{type(error).__name__}"
            if letter.digest:
                parts = [self._write(way, single, now) for single in letter.singly()]
                return [one for written, _ in parts for one in written], [one for _, lost in parts for one in lost]
            if isinstance(error, PrivateContent):
                return [], self._stopped(letter, now)
            for one in letter.deliveries:
                self.engine.rules.faults.note(one.policy_version, one.notice.case_key)
        return [], [DeliveryResult(one, DeliveryState.FAILED, now, error=problem) for one in letter.deliveries]

    async def _bind_digests(self, letters: Sequence[Letter]) -> None:
        """Before a digest leaves it is on record what is in it: after a crash it is asked about, and resent, as one.

        What was in one and leaves alone is on record as alone again: a receipt names the message it came in.
        """
        bound = {one.id: letter.key for letter in letters for one in letter.deliveries if letter.is_new_to(one)}
        if bound:
            await self._in_thread(partial(self.engine.store.bind_digest, self.engine.epoch, bound))

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

    def _message(self, way: WayOut, letter: Letter) -> Message:
        first = letter.deliveries[0]
        official = self.engine.directory.officials[first.notice.person]
        if letter.digest:
            stamps = [stamp for one in letter.deliveries if (stamp := as_of(one)) is not None]
            return self.renderer.digest(
                [(one.notice, one.created_at) for one in letter.deliveries],
                official,
                way.kind,
                key=letter.digest,
                possible_duplicate=letter.possible_duplicate,
                as_of=min(stamps, default=None),
                offer=self._offer(way, letter),
                medium=way.medium,
            )
        return self.renderer.render(
            first.notice,
            official,
            way.kind,
            possible_duplicate=first.possible_duplicate,
            as_of=as_of(first),
            decided_at=first.created_at,
            offer=self._offer(way, letter),
            medium=way.medium,
        )

    def _offer(self, way: WayOut, letter: Letter) -> Offer:
        """How its reader may acknowledge it, if he is one of those who should."""
        asked = [one for one in letter.deliveries if self.engine.wants_acknowledgement(one)]
        if not asked:
            return NO_OFFER
        first, decided_at = min(one.id for one in letter.deliveries), max(one.created_at for one in letter.deliveries)
        return self.renderer.offers.of(way.name, letter.key, first, decided_at)

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
        left = [_waiting(one, now, now, LEFT) for letter, _ in again for one in letter.deliveries]
        return results + left, to_send

    async def _ask_about(
        self, way: WayOut, letter: Letter, message: Message
    ) -> tuple[list[DeliveryResult], list[tuple[Letter, Message]]]:
        """What became of one message in doubt, or as what it is to be sent again."""
        certain = letter.certain()
        unmarked = self._message(way, certain)
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
        return 1 + await self._in_thread(partial(self.engine.store.asked_in_vain, notice.case_key, notice.key))

    async def _after(self, result: DeliveryResult) -> DeliveryResult:
        """A failed delivery goes to the next person up first, and is a failure only when that is written down."""
        notice = result.delivery.notice
        if result.state is not DeliveryState.FAILED:
            return result
        log.warning(telemetry.UNDELIVERED, notice=notice.key, channel=notice.channel)
        if not notice.case_key:
            return result
        try:
            await self._in_thread(partial(self.engine.fall_upward, result.delivery, result.at))
        except Exception as error:  # noqa: BLE001 - one poisonous row must not stop the others; it is tried again
            log.error(telemetry.POSTPONED, case=notice.case_key, problem=f"{type(error).__name__}: {error}")  # noqa: TRY400 - no traceback in the log
            again = result.at + POSTPONE
            return dataclasses.replace(result, state=DeliveryState.RETRYING, not_before_at=again)
        return result


def _shown(way: WayOut, message: Message) -> str:
    """What others may read on the way: of a mail the subject, of everything else all of it."""
    if way.kind == "email":
        return message.subject
    return "\n".join((message.subject, message.text, *message.params.values()))


def _two(_one: Delivery) -> int:
    return 2


def _not_true(one: Delivery, why: str, now: datetime) -> DeliveryResult:
    """It does not go out; if its case is gone together with most others it waits until that is believed, or over."""
    if why == DOUBTED:
        return _waiting(one, now + POSTPONE, now, why)
    return DeliveryResult(one, DeliveryState.CANCELLED, now, error=why)


def _refused_by_reader(one: Delivery, now: datetime) -> DeliveryResult:
    """Its reader stopped this channel (退订) since it was decided: it goes another way, or upward."""
    return DeliveryResult(one, DeliveryState.FAILED, now, error=OPTED_OUT, possible_duplicate=one.possible_duplicate)


def _waiting(one: Delivery, until: datetime, now: datetime, why: str = Why.QUIET.value) -> DeliveryResult:
    """Not now: the hour is quiet, or the case is gone and that is not believed."""
    return DeliveryResult(
        one,
        DeliveryState.RETRYING,
        now,
        error=why,
        not_before_at=until,
        possible_duplicate=one.possible_duplicate,
    )
