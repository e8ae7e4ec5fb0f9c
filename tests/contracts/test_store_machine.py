"""Whatever the order of claims, outcomes, crashes, cancellations and retries: the outbox keeps its promises."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.errors import Fenced
from daemon.store import Store
from daemon.store.values import Acknowledged, Delivery, DeliveryResult, DeliveryState
from support.store_values import NOW, case_change, decision, notice, obligation

WAIT = timedelta(seconds=90)
NOTICES = [
    notice("n0"),
    notice("n1", wait=WAIT, instead=("email",)),
    notice("n2", release=True),
    notice("n3", release=True, hold_until=NOW + timedelta(minutes=2)),
    notice("n4", digest=True, hold_until=NOW),
    notice("n5", digest=True, hold_until=NOW),
    notice("n6", dark=True),
    notice("n7", person="official-2"),
]
KEYS = [one.key for one in NOTICES]
RELEASED = frozenset({"n2", "n3"})
DARK = frozenset({"n6"})
PEOPLE = ("official-1", "official-2", "official-3")
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
        """Notices of every manner, two workers."""
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'duban.sqlite'}"
        Store.migrate(url)
        self.store = Store(url)
        self.now = NOW
        first = self.store.open_worker("node-a", 1, NOW)
        self.store.save_cases([case_change()], NOW)
        (due,) = self.store.claim_due(first, NOW, 1)
        self.store.save_decisions(first, [decision(due, *NOTICES)], "v1", NOW)
        self.workers = [first, self.store.open_worker("node-b", 2, NOW)]
        self.dead: list[tuple[int, list[Delivery]]] = []
        self.held: dict[int, list[Delivery]] = {epoch: [] for epoch in self.workers}
        self.doubted: set[str] = set()
        self.let_go: set[str] = set()
        self.acknowledged: dict[str, datetime] = {}
        self.delivered: set[str] = set()

    @rule(worker=st.integers(0, 1), limit=st.integers(1, 4))
    def claim(self, worker: int, limit: int) -> None:
        """A claim never contains what a living worker holds."""
        epoch = self.workers[worker]
        claimed = self.store.claim_deliveries(epoch, self.now, limit)
        others = {one.notice.key for held in self.held.values() for one in held}
        assert others.isdisjoint(one.notice.key for one in claimed)
        for one in claimed:
            assert one.possible_duplicate or one.notice.key not in self.doubted
            assert one.notice.key not in RELEASED - self.let_go
            assert one.notice.hold_until is None or one.notice.hold_until <= self.now
        self.held[epoch] += claimed

    @rule(worker=st.integers(0, 1), state=outcomes)
    def finish(self, worker: int, state: DeliveryState) -> None:
        """The worker records what became of all it holds."""
        epoch = self.workers[worker]
        results = [DeliveryResult(one, state, self.now) for one in self.held[epoch]]
        self.store.record(epoch, results, self.now)
        if state is DeliveryState.IN_DOUBT:
            self.doubted |= {one.notice.key for one in self.held[epoch]}
        if state is DeliveryState.DELIVERED:
            self.delivered |= {one.notice.key for one in self.held[epoch]}
        self.held[epoch] = []

    @rule(worker=st.integers(0, 1))
    def bind(self, worker: int) -> None:
        """What the worker holds of one person's digest is about to leave as one message."""
        epoch = self.workers[worker]
        mine = {one.id for one in self.held[epoch] if one.notice.digest}
        assert self.store.bind_digest(epoch, dict.fromkeys(mine, "digest:x")) == mine

    @rule(which=keys)
    def release(self, which: list[str]) -> None:
        """A human lets go what is held, and nothing else."""
        held = {one.notice.key for one in self.store.deliveries(states=[DeliveryState.HELD])}
        assert self.store.release(which, "head", "read", self.now) == len(held & set(which))
        self.let_go |= held & set(which)

    @rule(which=keys)
    def refuse(self, which: list[str]) -> None:
        """A human refuses what is held, and nothing else."""
        held = {one.notice.key for one in self.store.deliveries(states=[DeliveryState.HELD])}
        assert self.store.refuse(which, "head", "no", self.now) == len(held & set(which))

    @rule()
    def give_up_waiting(self) -> None:
        """Nobody waits for a receipt any more than once."""
        overdue = self.store.overdue_receipts(self.now, 10)
        assert all(one.notice.wait is not None and one.state is DeliveryState.ACCEPTED for one in overdue)
        assert self.store.give_up_waiting([one.id for one in overdue], self.now) == len(overdue)
        assert self.store.overdue_receipts(self.now, 10) == []

    @rule(worker=st.integers(0, 1))
    def receipt(self, worker: int) -> None:
        """The provider says, in time or not, that what it took has arrived."""
        taken = self.store.deliveries(states=[DeliveryState.ACCEPTED])
        results = [DeliveryResult(one, DeliveryState.DELIVERED, self.now) for one in taken]
        self.store.record(self.workers[worker], results, self.now)
        self.delivered |= {one.notice.key for one in taken}

    @rule(official=st.sampled_from(PEOPLE))
    def acknowledge(self, official: str) -> None:
        """Somebody acknowledges the case: taken the first time, never for who was told nothing."""
        answer = self.store.acknowledge(obligation().case_key, official, self.now, "phone", self.now)
        if official == PEOPLE[-1]:
            assert answer is Acknowledged.NOT_YOURS
        if answer is Acknowledged.TAKEN:
            self.acknowledged.setdefault(official, self.now)

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
        for one in rows:
            key, state = one.notice.key, one.state
            assert (state is DeliveryState.DARK) == (key in DARK)
            assert state is not DeliveryState.HELD or key in RELEASED
            assert (one.delivered_at is not None) == (state is DeliveryState.DELIVERED) == (key in self.delivered)
            assert one.receipt_due_at is None or state is DeliveryState.ACCEPTED
            assert one.acknowledged_at is None or one.acknowledged_at >= self.acknowledged[one.notice.person]
        assert self.store.audit(self.now, WAIT).held == sum(one.state is DeliveryState.HELD for one in rows)
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
