"""Invariant 5: a frozen first handler never changes; conflicts are recorded; a reassignment removes nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.model import FirstHandlerRule
from support.played_lives import BEGIN, World, lives, playing, rules, told
from support.running_office import CASE

if TYPE_CHECKING:
    from policies.model import PolicySet
    from support.succeeding_daemon import Change

EXAMPLES = max(settings().max_examples // 5, 20)  # few for every run; `make explore` looks for more
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long

FREEZING = st.sampled_from([("arrived_at",), ("accepted_at",), ("accepted_at", "arrived_at"), ("notified_at",)])


@settings(max_examples=EXAMPLES)
@given(policies=rules(), life=lives(changes=8), others=st.lists(FREEZING, min_size=1, max_size=3))
def test_no_row_call_or_configuration_changes_the_first_handler(
    played_world: World, policies: PolicySet, life: list[Change], others: list[tuple[str, ...]]
) -> None:
    """Rows rewritten at will, the rule of freezing changed in between: who was frozen stays, disputes are on record."""
    with playing(played_world, policies) as daemon:
        daemon.work()
        frozen = daemon.store.first_handlers([CASE])
        assert (frozen[CASE].unit, frozen[CASE].official) == ("s0", "h0")
        units: set[str] = {"s0"}
        for number, (at, statements) in enumerate(life):
            freezing = FirstHandlerRule(others[number % len(others)])
            policy = replace(policies.policies["office"], first_handler=freezing)
            daemon.engine.intake.rules = replace(daemon.rules, policies=replace(policies, policies={"office": policy}))
            daemon.clock.move_to(at)
            daemon.write(statements)
            daemon.engine.intake.sync(at, full=True)
            read, _ = daemon.source.reread([CASE])
            units |= {case.unit for case in read.values() if case.unit}
            assert daemon.store.first_handlers([CASE]) == frozen
        stored = daemon.store.cases([CASE]).get(CASE)
        assert stored is None or stored.first_handler == frozen[CASE]
        for body in told(daemon.store, "conflict"):
            assert (body["frozen_unit"], body["frozen_official"]) == ("s0", "h0")
            assert (body["claimed_unit"], body["claimed_official"]) != ("s0", "h0")
        written = " ".join(str(dict(row.body)) for row in daemon.store.ledger(CASE))
        assert not [unit for unit in units if f"'{unit}'" not in written], "who had it once stays on record"


@settings(max_examples=EXAMPLES)
@given(policies=rules(), unit=st.integers(1, 9), times=st.integers(1, 3))
def test_every_claim_of_somebody_else_is_one_conflict(
    played_world: World, policies: PolicySet, unit: int, times: int
) -> None:
    """The source comes to name another for the very instant of freezing: a conflict, once however often it is read."""
    with playing(played_world, policies) as daemon:
        daemon.work()
        for number in range(times):
            daemon.clock.advance(timedelta(hours=1))
            move = (CASE, "2026-09-16 09:00:00", f"s{unit}", f"h{unit}")
            statements: list[tuple[str, tuple[str, ...]]] = [
                ("UPDATE cases SET unit = ?, handler = ? WHERE no = ?", (f"s{unit}", f"h{unit}", CASE))
            ]
            if not number:
                statements.append(("INSERT INTO transfers VALUES (?, ?, 's0', ?, ?)", move))
            daemon.write(statements)
            daemon.engine.intake.sync(daemon.clock.now(), full=True)
        first = daemon.store.first_handlers([CASE])[CASE]
        assert (first.unit, first.official) == ("s0", "h0")
        (conflict,) = told(daemon.store, "conflict")
        assert (conflict["claimed_unit"], conflict["claimed_official"]) == (f"s{unit}", f"h{unit}")
        assert daemon.store.first_handler_conflicts(BEGIN)
