"""In whatever order answers and receipts come, however often, with crashes in between: the same is on record."""

from __future__ import annotations

import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channels.wire.identity import reference_of
from daemon.clock import ManualClock
from daemon.incoming import LONGEST_WAIT, Receiving
from daemon.store import Store
from daemon.store.values import Came, Delivery, DeliveryResult, DeliveryState, Event, ReceiptTold
from policies.model import Directory
from support.store_values import NOW, case_change, decision, notice

if TYPE_CHECKING:
    from datetime import datetime

WAIT = timedelta(minutes=5)
KEYS = ("a", "b")
cames = st.sampled_from(list(Came))
states = st.sampled_from(
    [DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.RETRYING, DeliveryState.IN_DOUBT]
)


class Crash(BaseException):
    """The process dies here."""


class _Intake:
    overtaken = False


@dataclass
class Upward:
    """Tells the next person up, by a key of its own; dies afterwards, before anything is recorded, when it is to."""

    store: Store
    intake: _Intake
    directory: Directory
    dies: bool = False

    def fall_upward(self, failed: Delivery, now: datetime) -> int:
        """One notice more, or none if it is there already."""
        up = replace(notice(f"up/{failed.notice.key}", person="head"), wait=None, instead=())
        told = self.store.add_notices(None, [up], [Event(failed.notice.case_key, "fell_upward", now)], "v1", now)
        if self.dies:
            raise Crash
        return told


class Receipts(RuleBasedStateMachine):
    """Two messages, a worker, a provider that says anything at any time."""

    @initialize()
    def fill(self) -> None:
        """One message that waits for its receipt, one that does not."""
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'duban.sqlite'}"
        Store.migrate(url)
        self.store = Store(url)
        self.clock = ManualClock(NOW)
        self.epoch = self.store.open_worker("node-a", 1, NOW)
        self.store.save_cases([case_change()], NOW)
        (due,) = self.store.claim_due(self.epoch, NOW, 1)
        first, second = notice("a", wait=WAIT, instead=("email",)), notice("b")
        self.store.save_decisions(self.epoch, [decision(due, first, second)], "v1", NOW)
        self.upward = Upward(self.store, _Intake(), Directory())
        self.executor = ThreadPoolExecutor(1)
        engine: Any = self.upward  # of the engine it is only asked for these
        nobody: Any = None  # there are no replies
        self.receiving = Receiving(engine, "CN", self.clock, self.executor, nobody)
        self.held: list[Delivery] = []
        self.told: list[ReceiptTold] = []
        self.before = self.rows()
        self.went_out: set[str] = set()

    def rows(self) -> dict[str, Delivery]:
        """The two messages as they stand."""
        return {one.notice.key: one for one in self.store.deliveries() if one.notice.key in KEYS}

    def record(self) -> list[object]:
        """All that is on record: states, instants, ledger lines, who else was told."""
        standing = [
            (one.notice.key, one.state, one.delivered_at, one.read_at, one.error) for one in self.store.deliveries()
        ]
        return [*standing, *((row.kind, row.body) for row in self.store.ledger("信〔2026〕1号"))]

    def settle(self) -> None:
        """Take over what can be, also what waits for its next try."""
        for _ in range(2):
            self.clock.move_to(self.clock.now() + LONGEST_WAIT)
            while self.receiving._take_in() is not None:
                pass

    @rule()
    def claim(self) -> None:
        """The worker takes what may go out."""
        claimed = self.store.claim_deliveries(self.epoch, self.clock.now(), 5)
        self.held += [one for one in claimed if one.notice.key in KEYS]
        self.went_out |= {one.notice.key for one in claimed}

    @rule(state=states, named=st.booleans())
    def answer(self, state: DeliveryState, named: bool) -> None:
        """What the provider answered comes to be recorded, with its name for the message or without."""
        now = self.clock.now()
        results = [
            DeliveryResult(one, state, now, reference=f"R{one.notice.key}{one.attempts}" if named else "")
            for one in self.held
        ]
        self.store.record(self.epoch, results, now)
        self.held = []

    @rule()
    def die(self) -> None:
        """The worker dies; what it held is in doubt, and another takes its place."""
        self.store.bury([self.epoch], self.clock.now())
        self.epoch = self.store.open_worker("node-a", 1, self.clock.now())
        self.held = []

    @precondition(lambda self: self.went_out)
    @rule(came=cames, key=st.sampled_from(KEYS), attempt=st.integers(0, 2))
    def tell(self, came: Came, key: str, attempt: int) -> None:
        """The provider tells something of what went out, by our name, or by its own for one of the attempts."""
        if key not in self.went_out:
            return
        ours, theirs = ("", f"R{key}{attempt}") if attempt else (reference_of(key), "")
        told = ReceiptTold("sms", came, ours, theirs, "code" if came is Came.FAILED else "")
        self.told.append(told)
        self.store.hear("sms", [told], self.clock.now())

    @rule()
    def take_in(self) -> None:
        """The node takes over what was told."""
        self.clock.move_to(self.clock.now() + timedelta(seconds=1))
        self.receiving._take_in()

    @rule()
    def die_taking_in(self) -> None:
        """It dies after somebody else was told, before that is recorded."""
        self.upward.dies = True
        with contextlib.suppress(Crash):
            self.receiving._take_in()
        self.upward.dies = False

    @rule()
    def no_receipt(self) -> None:
        """The wait is over: the next one is told, and it is written down that nobody waits any more."""
        self.clock.move_to(self.clock.now() + WAIT)
        overdue = self.store.overdue_receipts(self.clock.now(), 10)
        for one in overdue:
            self.upward.fall_upward(one, self.clock.now())
        self.store.give_up_waiting([one.id for one in overdue], self.clock.now())

    @rule()
    def say_all_again(self) -> None:
        """Whatever was told is told once more: nothing changes, nobody else is told, no line is added."""
        self.settle()
        before = self.record()
        self.store.hear("sms", self.told, self.clock.now())
        self.settle()
        assert self.record() == before

    @invariant()
    def nothing_goes_back(self) -> None:
        """What arrived has arrived, what failed has failed, an instant once set stays; nobody is told twice."""
        if not hasattr(self, "store"):
            return
        now = self.rows()
        for key, before in self.before.items():
            if before.state in (DeliveryState.DELIVERED, DeliveryState.FAILED):
                assert now[key].state is before.state
            for was, is_ in ((before.delivered_at, now[key].delivered_at), (before.read_at, now[key].read_at)):
                assert was is None or was == is_
            assert now[key].read_at is None or now[key].delivered_at is not None
        self.before = now
        kinds = [(row.kind, row.body.get("notice")) for row in self.store.ledger("信〔2026〕1号")]
        once = [one for one in kinds if one[0] in {"delivered", "failed", "read", "late_receipt", "no_receipt"}]
        assert len(set(once)) == len(once)
        said = [key for kind, key in kinds if kind == "failed"]
        told = {one.notice.key for one in self.store.deliveries()} - set(KEYS)
        assert {f"up/{key}" for key in said} <= told

    def teardown(self) -> None:
        """Close."""
        if hasattr(self, "store"):
            self.executor.shutdown()
            self.store.close()
            self.folder.cleanup()


TestReceipts = Receipts.TestCase
TestReceipts.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
