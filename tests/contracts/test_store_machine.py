"""Whatever the order of claims, outcomes, crashes, cancellations and retries: the outbox keeps its promises."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.errors import Fenced
from daemon.store import Store
from daemon.store.values import Delivery, DeliveryResult, DeliveryState
from support.store_values import NOW, outbox

KEYS = [f"n{index}" for index in range(6)]
keys = st.lists(st.sampled_from(KEYS), max_size=3, unique=True)
outcomes = st.sampled_from(
    [
        DeliveryState.ACCEPTED,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.RETRYING,
        DeliveryState.IN_DOUBT,
        DeliveryState.CANCELLED,
    ]
)


class Outbox(RuleBasedStateMachine):
    """Two workers share an outbox; either may fall silent, be buried and come back under a new epoch."""

    @initialize()
    def fill(self) -> None:
        """Six notices, two workers."""
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'duban.sqlite'}"
        Store.migrate(url)
        self.store = Store(url)
        self.now = NOW
        self.workers = [outbox(self.store, *KEYS), self.store.open_worker("node-b", 2, NOW)]
        self.dead: list[tuple[int, list[Delivery]]] = []
        self.held: dict[int, list[Delivery]] = {epoch: [] for epoch in self.workers}
        self.doubted: set[str] = set()

    @rule(worker=st.integers(0, 1), limit=st.integers(1, 4))
    def claim(self, worker: int, limit: int) -> None:
        """A claim never contains what a living worker holds."""
        epoch = self.workers[worker]
        claimed = self.store.claim_deliveries(epoch, self.now, limit)
        others = {one.notice.key for held in self.held.values() for one in held}
        assert others.isdisjoint(one.notice.key for one in claimed)
        for one in claimed:
            assert one.possible_duplicate or one.notice.key not in self.doubted
        self.held[epoch] += claimed

    @rule(worker=st.integers(0, 1), state=outcomes)
    def finish(self, worker: int, state: DeliveryState) -> None:
        """The worker records what became of all it holds."""
        epoch = self.workers[worker]
        results = [DeliveryResult(one, state, self.now) for one in self.held[epoch]]
        self.store.record(epoch, results, self.now)
        if state is DeliveryState.IN_DOUBT:
            self.doubted |= {one.notice.key for one in self.held[epoch]}
        self.held[epoch] = []

    @rule(worker=st.integers(0, 1))
    def bury(self, worker: int) -> None:
        """A worker is declared dead; a new one takes its place."""
        self.now += timedelta(minutes=1)
        other, dead = self.workers[1 - worker], self.workers[worker]
        self.store.heartbeat(other, self.now)
        self.store.bury_silent(self.now, timedelta(seconds=30), keep=other)
        held = self.held.pop(dead)
        self.doubted |= {one.notice.key for one in held}
        self.dead.append((dead, held))
        self.workers[worker] = self.store.open_worker("node-c", 3, self.now)
        self.held[self.workers[worker]] = []

    @precondition(lambda self: bool(getattr(self, "dead", [])))
    @rule(state=outcomes)
    def late(self, state: DeliveryState) -> None:
        """A dead worker wakes up and wants to record: it is refused."""
        epoch, held = self.dead.pop()
        try:
            self.store.record(epoch, [DeliveryResult(one, state, self.now) for one in held], self.now, 1)
        except Fenced:
            return
        raise AssertionError("a dead worker wrote")

    @rule(which=keys)
    def cancel(self, which: list[str]) -> None:
        """Somebody cancels."""
        self.store.cancel(which, "closed", self.now)

    @rule(which=keys)
    def retry(self, which: list[str]) -> None:
        """Somebody asks for another attempt."""
        self.store.retry(which, self.now)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """Each notice is there exactly once; `sending` is exactly what the living hold; the ledger is whole."""
        if not hasattr(self, "store"):
            return
        rows = self.store.deliveries()
        assert [one.notice.key for one in rows] == KEYS
        sending = {one.notice.key for one in rows if one.state is DeliveryState.SENDING}
        assert sending == {one.notice.key for held in self.held.values() for one in held}
        assert list(self.store.verify()) == []

    def teardown(self) -> None:
        """Close and remove the store."""
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
