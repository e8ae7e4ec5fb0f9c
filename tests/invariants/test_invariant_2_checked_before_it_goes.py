"""Invariant 2: once a case is closed, extended, transferred or withdrawn, nothing planned before goes out unchecked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store.values import DeliveryState
from policies.beforehand.course import key_of, key_of_notice
from policies.model import ObligationState
from policies.obligations import obligations_of
from support.played_lives import BEGIN, World, playing, rules, writings

if TYPE_CHECKING:
    from daemon.store.values import Delivery
    from policies.model import PolicySet
    from support.succeeding_daemon import SucceedingDaemon

EXAMPLES = max(settings().max_examples // 5, 20)  # few for every run; `make explore` looks for more
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long

JUST_NOW = timedelta(minutes=2)  # so long the facts read for the decision are trusted
Writing = list[tuple[str, tuple[Any, ...]]]


def still_true(daemon: SucceedingDaemon, one: Delivery) -> bool:
    """Whether the shared database, read this instant, still gives rise to that notice."""
    now, notice, set_ = daemon.clock.now(), one.notice, daemon.rules
    cases, _ = daemon.source.reread([notice.case_key])
    case = cases.get(notice.case_key)
    if case is None:
        return False
    counted = obligations_of(set_.policies, case, set_.calendars, now).obligations
    mine = next((o for o in counted if key_of(o) == key_of_notice(notice)), None)
    if mine is None or mine.state is not ObligationState.OPEN:
        return False
    if datetime.fromisoformat(str(notice.facts["legal_due"])) != mine.legal_due_at:
        return False
    return notice.role != "handler" or case.handler in {None, notice.person} or case.handler not in PEOPLE


PEOPLE = {f"{kind}{number}" for kind in "hc" for number in range(10)}


@st.composite
def overtaken(draw: st.DrawFn) -> list[tuple[timedelta, Writing, timedelta]]:
    """Three times: how long until something is decided, what changes then, how long it lies in the box."""
    rounds: list[tuple[timedelta, Writing, timedelta]] = []
    for _ in range(3):
        at = BEGIN + timedelta(days=draw(st.integers(0, 20)))
        waits = draw(st.sampled_from([timedelta(days=days) for days in (0, 2, 12, 22)]))
        lies = draw(st.sampled_from([timedelta(minutes=minutes) for minutes in (1, 3, 90, 60 * 24)]))
        rounds.append((waits, draw(writings(at)), lies))
    return rounds


@settings(max_examples=EXAMPLES)
@given(policies=rules(), rounds=overtaken())
def test_whatever_changed_while_it_lay_in_the_outbox_what_goes_out_is_true(
    played_world: World, policies: PolicySet, rounds: list[tuple[timedelta, Writing, timedelta]]
) -> None:
    """Decided, then overtaken in the source without a sync, then sent later: each message holds by the facts of then.

    Only what was decided within the last two minutes rests on the facts read for the decision.
    """
    with playing(played_world, policies) as daemon:

        def fate(one: Delivery) -> DeliveryState:
            fresh = daemon.clock.now() - one.created_at <= JUST_NOW
            assert fresh or still_true(daemon, one), (one.notice.step, one.notice.person)
            return DeliveryState.DELIVERED

        daemon.fate = fate
        daemon.engine.intake.sync(BEGIN)
        for waits, writing, lies in rounds:
            daemon.clock.advance(waits)
            while daemon.engine.tick(daemon.clock.now()):
                pass
            daemon.clock.advance(timedelta(seconds=30))
            daemon.write(writing)
            daemon.clock.advance(lies)
            while daemon.send():
                pass
