"""From claimed deliveries to the messages that are to leave: still true, not held, written, not private, affordable."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from channels.base import PermanentFailure, TemporaryFailure
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts
from daemon import telemetry
from daemon.budget import Fate, Wish, words_of
from daemon.engine import DOUBTED
from daemon.entries import POSTPONE
from daemon.errors import DaemonError
from daemon.letters import letters_of, mergeable, over_budget, result_of, waiting
from daemon.render import without_mark
from daemon.store.stops import OPTED_OUT
from daemon.store.values import DeliveryResult, DeliveryState
from daemon.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from channels.base import Message, Outcome
    from daemon.clock import Clock
    from daemon.engine import Engine
    from daemon.letters import Letter
    from daemon.providers import Providers
    from daemon.store.values import Delivery
    from daemon.ways import WayOut
    from daemon.writing import Writing

log = telemetry.logger(__name__)


class Preparing:
    """Prepares what one sender has claimed. Whatever is in no message has its outcome at once."""

    def __init__(
        self, engine: Engine, writing: Writing, clock: Clock, executor: Executor, providers: Mapping[str, Providers]
    ) -> None:
        self._engine = engine
        self._writing = writing
        self._clock = clock
        self._executor = executor
        self._providers = providers

    async def prepared(
        self, way: WayOut, claimed: Sequence[Delivery], *, merged: bool = False
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The messages that are to leave, and what became of the deliveries that are in none.

        `merged`: they were brought together because a budget is short, and are not brought together again.
        """
        now = self._clock.now()
        try:
            refused = await in_thread(self._executor, lambda: self._engine.gate(claimed, now))
            quiet = self._engine.quiet([one for one in claimed if one.notice.key not in refused], now)
            if any(map(self._engine.is_stopped, claimed)):  # a stop may have been lifted since, elsewhere
                await in_thread(self._executor, self._engine.intake.take_stops)
        except Exception as error:  # noqa: BLE001 - a database is away or at odds with us: nothing was sent
            problem = error.message.zh if isinstance(error, DaemonError) else type(error).__name__
            log.warning(telemetry.POSTPONED, channel=way.name, problem=problem)
            return [], [result_of(one, TemporaryFailure("gate"), now) for one in claimed]
        results = [_not_true(one, refused[one.notice.key], now) for one in claimed if one.notice.key in refused]
        true = [one for one in claimed if one.notice.key not in refused]
        results += [waiting(one, quiet[one.notice.key], now) for one in true if one.notice.key in quiet]
        true = [one for one in true if one.notice.key not in quiet]
        results += [_refused_by_reader(one, now) for one in true if self._engine.is_stopped(one)]
        true = [one for one in true if not self._engine.is_stopped(one)]
        ready: list[tuple[Letter, Message]] = []
        for letter in letters_of(true, _two if merged else self._at_least):
            written, unwritten = self._writing.write(way, letter, now)
            ready.extend(written)
            results.extend(unwritten)
        ready, private = await self._without_private(way, ready, now)
        ready, others = await self._within_budget(way, ready, now, merged=merged)
        return ready, results + private + others

    async def _without_private(
        self, way: WayOut, ready: list[tuple[Letter, Message]], now: datetime
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """The messages that quote no personal field of the cases they are about, and those that were stopped.

        A digest is taken apart: only the notice that quotes one is stopped.
        """
        said = [(_shown(way, message), [one.notice for one in letter.deliveries]) for letter, message in ready]
        if not said:
            return ready, []
        quoting = await in_thread(self._executor, lambda: self._engine.quoting(said))
        passed: list[tuple[Letter, Message]] = []
        results: list[DeliveryResult] = []
        singly: list[tuple[Letter, Message]] = []
        for (letter, message), private in zip(ready, quoting, strict=True):
            if not private:
                passed.append((letter, message))
            elif letter.digest:
                for single in letter.singly():
                    written, unwritten = self._writing.write(way, single, now)
                    singly.extend(written)
                    results.extend(unwritten)
            else:
                log.warning(telemetry.PRIVATE_CONTENT, notice=letter.key, channel=way.name)
                results.extend(self._writing.stop(letter, now))
        if singly:
            more, others = await self._without_private(way, singly, now)
            passed += more
            results += others
        return passed, results

    async def _within_budget(
        self, way: WayOut, ready: list[tuple[Letter, Message]], now: datetime, *, merged: bool
    ) -> tuple[list[tuple[Letter, Message]], list[DeliveryResult]]:
        """What the channel's budget lets through, written down as spent; the rest is merged, put off or refused."""
        budget = way.medium.budget
        if budget is None or not ready:
            return ready, []
        wishes = [self._wish(way, letter, message, merged=merged) for letter, message in ready]
        verdicts = await in_thread(
            self._executor,
            lambda: self._engine.store.spend(self._engine.epoch, way.name, budget, wishes, now, way.queue),
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
        share = self._providers[way.shares].none_to(way.name) if way.shares else None
        more = await in_thread(
            self._executor,
            lambda: self._engine.store.claim_waiting_for(self._engine.epoch, way.queue, people, now, share),
        )
        together = [mergeable(one) if self._engine.may_merge(one) else one for one in (*deliveries, *more)]
        return await self.prepared(way, together, merged=True)

    def _wish(self, way: WayOut, letter: Letter, message: Message, *, merged: bool) -> Wish:
        first = letter.deliveries[0]
        subject, text = without_mark(message)
        return Wish(
            reference_of(message.key),
            first.notice.person,
            words_of(subject, text),
            sms_parts(message.text) if way.kind == "sms" else 1,
            urgent=any(map(self._engine.is_urgent, letter.deliveries)),
            may_merge=not merged and not letter.digest and self._engine.may_merge(first),
            notices=len(letter.deliveries),
        )

    async def give_back_unspent(
        self, way: WayOut, sent: Sequence[tuple[Letter, Message]], outcomes: Sequence[Outcome]
    ) -> None:
        """What the provider certainly did not take does not count; what perhaps went out before does."""
        refused = [
            reference_of(message.key)
            for (letter, message), outcome in zip(sent, outcomes, strict=True)
            if isinstance(outcome, TemporaryFailure | PermanentFailure) and not letter.possible_duplicate
        ]
        if refused and way.medium.budget is not None:
            await in_thread(self._executor, lambda: self._engine.store.give_back_spent(way.name, refused))

    def _at_least(self, one: Delivery) -> int:
        """How many notices to one person make a digest, by the policy this one was decided by."""
        policy = self._engine.rules.policies_for(one.policy_version).policies.get(one.notice.policy)
        return policy.digest.at_least if policy is not None and policy.digest is not None else 2

    async def bind_digests(self, letters: Sequence[Letter]) -> None:
        """Before a digest leaves it is on record what is in it: after a crash it is asked about, and resent, as one.

        What was in one and leaves alone is on record as alone again: a receipt names the message it came in.
        """
        bound = {one.id: letter.key for letter in letters for one in letter.deliveries if letter.is_new_to(one)}
        if bound:
            await in_thread(self._executor, partial(self._engine.store.bind_digest, self._engine.epoch, bound))


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
        return waiting(one, now + POSTPONE, now, why)
    return DeliveryResult(one, DeliveryState.CANCELLED, now, error=why)


def _refused_by_reader(one: Delivery, now: datetime) -> DeliveryResult:
    """Its reader stopped this channel (退订) since it was decided: it goes another way, or upward."""
    return DeliveryResult(one, DeliveryState.FAILED, now, error=OPTED_OUT, possible_duplicate=one.possible_duplicate)
