"""Invariant 4: after a pause each obligation sends one message for where it stands, listing what was missed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evaluate import timeline
from policies.model import Why
from support.invented_office import CHINA
from support.played_lives import BEGIN, World, folding, ladders, playing, rules
from support.running_office import CASE

if TYPE_CHECKING:
    from policies.model import PolicySet

EXAMPLES = max(settings().max_examples // 5, 20)  # few for every run; `make explore` looks for more
TOGETHER = timedelta(hours=1)  # a look that is a little late has missed nothing
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long


@settings(max_examples=EXAMPLES)
@given(policies=rules(ladders().map(folding)), before=st.integers(0, 60 * 24 * 20), off=st.integers(61, 60 * 24 * 40))
def test_each_person_hears_once_after_a_pause_and_the_missed_steps_are_listed(
    played_world: World, policies: PolicySet, before: int, off: int
) -> None:
    """Alive, then off: one message a person and channel, naming every step that came meanwhile."""
    with playing(played_world, policies) as daemon:
        asleep = BEGIN + timedelta(minutes=before)
        daemon.live([], asleep)
        known = {one.notice.key for one in daemon.store.deliveries(case_key=CASE, limit=5000)}
        awake = asleep + timedelta(minutes=off)
        daemon.clock.move_to(awake)
        daemon.work()
        fresh = [
            one.notice for one in daemon.store.deliveries(case_key=CASE, limit=5000) if one.notice.key not in known
        ]
        (stored,) = daemon.store.obligations_of([CASE])[CASE]
        ladder = policies.policies["office"].ladders["standard"]
        rungs = [r for r in timeline(ladder, stored.obligation, {}, CHINA) if asleep < r.at <= awake]
        if not rungs or rungs[0].at > awake - TOGETHER:
            return  # nothing was missed
        speaking = max(rung.at for rung in rungs)
        assert max(Counter((one.person, one.channel) for one in fresh).values(), default=0) <= 1
        missed = {rung.name for rung in rungs if rung.at < speaking - TOGETHER}
        assert fresh, "the latest step speaks"
        for one in fresh:
            assert missed <= set(one.missed)
            assert (one.why in {Why.CAUGHT_UP, Why.VACANT, Why.UNREACHABLE, Why.SAME_PERSON}) or not one.missed
            assert {rung.at for rung in rungs if rung.step.id == one.step}
