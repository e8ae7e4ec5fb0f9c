"""Invariant 3: killing the process at any moment loses nothing, and doubles at most what was in flight, marked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.engine import Engine
from daemon.store.values import Delivery, DeliveryResult, DeliveryState
from support.played_lives import BEGIN, World, playing, rules

if TYPE_CHECKING:
    from datetime import datetime

    from policies.model import PolicySet
    from support.succeeding_daemon import SucceedingDaemon

EXAMPLES = max(settings().max_examples // 3, 33)  # few for every run; `make explore` looks for more
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long

SILENT = timedelta(seconds=30)
STEPS = ("claim", "hand over", "record", "tick", "sync", "die")


@dataclass
class Mortal:
    """A worker whose life is cut into the smallest steps, and a provider that cannot be asked what it has."""

    daemon: SucceedingDaemon
    now: datetime
    claimed: list[Delivery] = field(default_factory=list[Delivery])
    handed_over: list[Delivery] = field(default_factory=list[Delivery])
    arrived: dict[str, list[bool]] = field(default_factory=dict[str, list[bool]])  # key -> marked, in order
    in_flight: dict[str, int] = field(default_factory=dict[str, int])  # key -> at how many deaths

    def take(self, step: str) -> int:
        """One step; how much it moved."""
        engine, store = self.daemon.engine, self.daemon.store
        if step == "sync":
            engine.intake.sync(self.now)
            return 0
        if step == "tick":
            return engine.tick(self.now)
        if step == "claim":
            fresh = store.claim_deliveries(engine.epoch, self.now, 3)
            self.claimed += fresh
            return len(fresh)
        if step == "hand over":
            moved, self.claimed = self.claimed, []
            for one in moved:
                self.arrived.setdefault(one.notice.key, []).append(one.possible_duplicate)
            self.handed_over += moved
            return len(moved)
        if step == "record":
            done, self.handed_over = self.handed_over, []
            results = [DeliveryResult(one, DeliveryState.ACCEPTED, self.now) for one in done]
            store.record(engine.epoch, results, self.now)
            return len(done)
        self._die()
        return 0

    def _die(self) -> None:
        """SIGKILL: nothing is put in order; another process takes over once the silence has lasted."""
        for one in (*self.claimed, *self.handed_over):
            self.in_flight[one.notice.key] = self.in_flight.get(one.notice.key, 0) + 1
        self.claimed, self.handed_over = [], []
        self.now += timedelta(minutes=1)
        store, old = self.daemon.store, self.daemon.engine
        epoch = store.open_worker("next", 2, self.now)
        store.bury_silent(self.now, SILENT, keep=epoch)
        self.daemon.engine = Engine(store, self.daemon.source, old.rules, epoch)

    def finish(self) -> None:
        """Live on undisturbed until nothing is left to do."""
        self.take("sync")
        while sum(self.take(step) for step in ("tick", "claim", "hand over", "record")):
            pass


@settings(max_examples=EXAMPLES)
@given(policies=rules(), life=st.lists(st.sampled_from(STEPS), min_size=4, max_size=40), days=st.integers(0, 30))
def test_no_death_loses_a_message_and_only_what_was_in_flight_comes_twice_marked(
    played_world: World, policies: PolicySet, life: list[str], days: int
) -> None:
    """Any order of steps and deaths: the same notices as in an undisturbed life, each arrives, doubles are marked."""
    begin = BEGIN + timedelta(days=days)
    with playing(played_world, policies, begin) as daemon:
        undisturbed = Mortal(daemon, begin)
        undisturbed.finish()
    with playing(played_world, policies, begin) as daemon:
        mortal = Mortal(daemon, begin)
        for step in ("sync", "tick", *life):
            mortal.take(step)
        mortal.now += timedelta(minutes=1)
        mortal.finish()
        assert undisturbed.arrived.keys() <= mortal.arrived.keys()
        known = {one.notice.key for one in daemon.store.deliveries(limit=5000)}
        assert mortal.arrived.keys() == known
        for key, marks in mortal.arrived.items():
            assert len(marks) <= 1 + mortal.in_flight.get(key, 0)
            assert all(marks[1:]), "it came again without a mark"
            assert not marks[0] or key in mortal.in_flight
        assert list(daemon.store.verify()) == []
