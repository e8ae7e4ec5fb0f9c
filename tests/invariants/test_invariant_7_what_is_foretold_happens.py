"""Invariant 7: what `explain` says comes next is what the daemon then does.

That `simulate` foretells every notice, the instant it goes out and where all stands, is proved beside the daemon in
`tests/acceptance/test_foresight_comes_true.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import daemon.cli.explained
import daemon.counted
import daemon.engine
import daemon.foresight.playing
import policies.beforehand.backtest
import policies.beforehand.course
import policies.beforehand.foresight
import policies.beforehand.migration
import policies.beforehand.trials
import policies.evaluate
from daemon.cli.explained import stories_of
from daemon.cli.reading import Desk
from support.played_lives import BEGIN, World, lives, playing, rules
from support.running_office import CASE

if TYPE_CHECKING:
    from policies.model import PolicySet
    from support.succeeding_daemon import Change

EXAMPLES = max(settings().max_examples // 3, 33)  # few for every run; `make explore` looks for more
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long


@settings(max_examples=EXAMPLES)
@given(policies=rules(), life=lives(days=20, changes=4), further=st.integers(1, 60))
def test_what_explain_says_comes_next_comes_next(
    played_world: World, policies: PolicySet, life: list[Change], further: int
) -> None:
    """After any life the case is left as it is: each message goes out as told, at the instant told, and no other."""
    with playing(played_world, policies) as daemon:
        daemon.live(life, BEGIN + timedelta(days=20))
        daemon.engine.intake.sync(daemon.clock.now(), full=True)  # what was deleted is noticed
        daemon.work()
        now, stored = daemon.clock.now(), daemon.store.cases([CASE])[CASE]
        desk = Desk(replace(played_world.configuration, policies=policies), daemon.store)
        foretold = {told.notice.key: told.at for story in stories_of(desk, stored, now) for told in story.ahead}
        until = now + timedelta(days=further)
        before = set(daemon.sent)
        daemon.live([], until)
        happened = {
            key: at for key, at in daemon.sent.items() if key not in before and key.startswith(f"{CASE}/") and at > now
        }
        assert happened == {key: at for key, at in foretold.items() if at <= until}


def test_there_is_one_function_for_each_question() -> None:
    """The daemon, `explain`, `simulate`, the backtest, trials and migration hold the very same functions."""
    evaluate, foresee, take_over = (
        policies.evaluate.evaluate,
        policies.beforehand.foresight.foresee,
        policies.beforehand.course.take_over,
    )
    deciders = (daemon.engine, daemon.cli.explained, policies.beforehand.course)
    tellers = (
        daemon.cli.explained,
        daemon.foresight.playing,
        policies.beforehand.backtest,
        policies.beforehand.migration,
        policies.beforehand.trials,
    )
    assert all(vars(module)["evaluate"] is evaluate for module in deciders)
    assert all(vars(module)["foresee"] is foresee for module in tellers)
    assert all(vars(module)["take_over"] is take_over for module in (policies.beforehand.foresight, daemon.counted))
