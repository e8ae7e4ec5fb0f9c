"""A daemon without wires: the real engine over a real store and source; deliveries succeed unless told otherwise."""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daemon.clock import ManualClock
from daemon.engine import Engine
from daemon.source.database import DatabaseSource
from daemon.store import Store
from daemon.store.values import DeliveryResult, DeliveryState
from daemon.wiring import rules_of
from support.running_office import CASE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from daemon.rules import Rules
    from daemon.settings import Configuration
    from daemon.store.values import Delivery
    from policies.model import Case, PolicySet
    from support.office import Office

MANY = 500


def delivered(_one: Delivery) -> DeliveryState:
    """Whatever is sent arrives."""
    return DeliveryState.DELIVERED


Change = tuple[datetime, "Sequence[tuple[str, tuple[object, ...]]]"]


@dataclass
class SucceedingDaemon:
    """One worker that lives as fast as the test turns the clock, and what it saw and sent of the first case.

    `fate` says what becomes of what is sent: delivered or failed.
    """

    office: Office
    clock: ManualClock
    store: Store
    source: DatabaseSource
    engine: Engine
    facts: list[tuple[datetime, Case]] = field(default_factory=list["tuple[datetime, Case]"])
    sent: dict[str, datetime] = field(default_factory=dict[str, datetime])
    fate: Callable[[Delivery], DeliveryState] = delivered

    @property
    def rules(self) -> Rules:
        """The rules it decides by."""
        return self.engine.rules

    def live(self, changes: Sequence[Change], until: datetime) -> None:
        """From now to `until`: whatever changes and whatever is due, in time."""
        self.work()
        for at, statements in changes:
            self._live_before(at)
            self.clock.move_to(at)
            self.write(statements)
            self.work()
        self._live_before(until + timedelta(microseconds=1))

    def _live_before(self, end: datetime) -> None:
        while (due := self._next()) is not None and due < end:
            self.clock.move_to(max(due, self.clock.now()))
            self.work()

    def _next(self) -> datetime | None:
        moments = (self.store.next_check_at(), self.store.next_delivery_at())
        return min((at for at in moments if at is not None), default=None)

    def write(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """Change the shared database as its own system would, with the change time."""
        for sql, parameters in statements:
            self.office.execute(sql, *parameters)
        zone = next(iter(self.rules.calendars.values())).zone
        stamp = f"{self.clock.now().astimezone(zone):%Y-%m-%d %H:%M:%S.%f}"
        self.office.execute("UPDATE cases SET changed = ? WHERE no = ?", stamp, CASE)

    def work(self) -> None:
        """Read what changed, decide what is due, send what may go out."""
        now = self.clock.now()
        self.engine.intake.sync(now)
        read, _ = self.source.reread([CASE])
        if CASE in read and (not self.facts or self.facts[-1][1] != read[CASE]):
            self.facts.append((now, read[CASE]))
        while self.send() + self.engine.tick(now):
            pass

    def send(self) -> int:
        """Send one batch of what may go out, as the sender does: look once more, send, record."""
        now = self.clock.now()
        claimed = self.store.claim_deliveries(self.engine.epoch, now, MANY)
        refused = self.engine.gate(claimed, now)
        results: list[DeliveryResult] = []
        for one in claimed:
            why = refused.get(one.notice.key)
            state = DeliveryState.CANCELLED if why else self.fate(one)
            if state is DeliveryState.FAILED:
                self.engine.fall_upward(one, now)
            elif not why:
                self.sent[one.notice.key] = now
            results.append(DeliveryResult(one, state, now, error=why or ""))
        self.store.record(self.engine.epoch, results, now)
        return len(claimed)


@contextmanager
def succeeding_daemon(
    folder: Path, model: Office, configuration: Configuration, template: Path, policies: PolicySet, now: datetime
) -> Generator[SucceedingDaemon]:
    """A worker over a copy of that office and of the migrated store `template`, by these policies."""
    database, url = folder / "shared.db", f"sqlite:///{folder / 'duban.db'}"
    shutil.copy(model.database, database)
    shutil.copy(template, folder / "duban.db")
    mapping = configuration.settings.source.model_copy(update={"url": f"sqlite:///{database}"})
    clock = ManualClock(now)
    store = Store(url)
    source = DatabaseSource(mapping, configuration.zone, configuration.administrators, clock)
    try:
        rules = dataclasses.replace(rules_of(configuration), policies=policies)
        engine = Engine(store, source, rules, store.open_worker("test", 1, now))
        office = dataclasses.replace(model, folder=folder, database=database)
        yield SucceedingDaemon(office, clock, store, source, engine)
    finally:
        source.close()
        store.close()
