"""Invariant 1: every step that falls due ends as one notice per person and channel, or as a recorded reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store.values import FINAL, DeliveryState
from policies.ladders.rungs import timeline
from policies.model import Why
from support.invented_office import CHINA
from support.played_lives import BEGIN, World, lives, playing, rules, told
from support.running_office import CASE

if TYPE_CHECKING:
    from daemon.store.values import Delivery
    from policies.model import PolicySet
    from support.succeeding_daemon import Change, SucceedingDaemon

ENDED = {one.value for one in (Why.DUE, Why.CAUGHT_UP, Why.MISSED, Why.ACKNOWLEDGED, Why.NOT_WANTED, Why.SKIPPED)}
EXAMPLES = max(settings().max_examples // 5, 20)  # few for every run; `make explore` looks for more
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing policy is long

# Who is missing, away or cannot be reached before anything begins.
GAPS = st.lists(
    st.sampled_from(
        [
            "DELETE FROM posts WHERE role = 'section_head'",
            "DELETE FROM posts WHERE role = 'deputy_leader'",
            "DELETE FROM posts",
            "UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'h0'",
            "UPDATE people SET mobile = NULL WHERE code = 'c0'",
            "UPDATE people SET mail = NULL",
            "UPDATE cases SET handler = NULL",
            "UPDATE cases SET handler = 'nobody we know'",
            "UPDATE units SET parent = NULL",
        ]
    ),
    max_size=3,
)
# Whose messages over which channel fail for good; `*` is everybody's.
DEAD = st.sets(
    st.tuples(st.sampled_from(["*", "h0", "c0", "p-leader", "p-principal"]), st.sampled_from(["sms", "email"]))
)


def came(daemon: SucceedingDaemon, until: datetime) -> set[tuple[str, datetime]]:
    """Every instant of the ladder up to then."""
    (stored,) = daemon.store.obligations_of([CASE])[CASE]
    ladder = daemon.rules.policies.policies["office"].ladders["standard"]
    milestones = daemon.store.cases([CASE])[CASE].case.milestones
    return {(rung.id, rung.at) for rung in timeline(ladder, stored.obligation, milestones, CHINA) if rung.at <= until}


def step_of(one: Delivery) -> tuple[int, str, int]:
    """Which instant of which ladder a notice is about."""
    return one.notice.deadline_version, one.notice.step, one.notice.repeat


@settings(max_examples=EXAMPLES)
@given(policies=rules(), gaps=GAPS, dead=DEAD, days=st.integers(1, 40), off=st.integers(0, 15))
def test_every_step_ends_as_a_notice_or_a_reason_whoever_is_missing(
    played_world: World, policies: PolicySet, gaps: list[str], dead: set[tuple[str, str]], days: int, off: int
) -> None:
    """Vacant posts, missing numbers, dead gateways: each instant of the ladder is accounted for in the ledger."""

    def fate(one: Delivery) -> DeliveryState:
        lost = {(one.notice.person, one.notice.channel), ("*", one.notice.channel)} & dead
        return DeliveryState.FAILED if lost else DeliveryState.DELIVERED

    until = BEGIN + timedelta(days=days)
    with playing(played_world, policies) as daemon:
        daemon.fate = fate
        for gap in gaps:
            daemon.office.execute(gap)
        daemon.work()
        daemon.clock.advance(timedelta(days=off))  # nobody looked for so long
        daemon.live([], max(until, daemon.clock.now()))
        until = max(until, daemon.clock.now())
        decided = told(daemon.store, "decided")
        ended = {
            (reason["step"].partition("#")[0], datetime.fromisoformat(reason["at"]))
            for body in decided
            for reason in body["reasons"]
            if reason["why"] in ENDED
        }
        assert came(daemon, until) <= ended
        outbox = daemon.store.deliveries(case_key=CASE, limit=5000)
        assert all(one.state in FINAL | {DeliveryState.ACCEPTED, DeliveryState.PENDING} for one in outbox)
        assert all(one.not_before_at > until for one in outbox if one.state is DeliveryState.PENDING)
        # Whatever a step wants told, somebody is told or the reason says that not even an administrator was there.
        for body in decided:
            if any(reason["why"] in {"due", "caught_up"} for reason in body["reasons"]):
                assert body["notices"] or {"nobody", "same_person"} & {reason["why"] for reason in body["reasons"]}
        # A failure goes upward until somebody is reached, or the last administrator was tried as well.
        for one in outbox:
            if one.state is DeliveryState.FAILED:
                same = [other for other in outbox if step_of(other) == step_of(one)]
                reached = {DeliveryState.DELIVERED, DeliveryState.PENDING} & {other.state for other in same}
                assert reached or any(other.notice.role == "administrator" for other in same)
        said = [
            (*step_of(one), one.notice.person, one.notice.channel)
            for one in outbox
            if one.notice.why is not Why.UNDELIVERED
        ]
        assert len(said) == len(set(said))


@settings(max_examples=EXAMPLES)
@given(policies=rules(), life=lives())
def test_an_open_obligation_always_has_a_next_look_or_a_reason_for_none(
    played_world: World, policies: PolicySet, life: list[Change]
) -> None:
    """Whatever is written into the case: the store's own proof of completeness holds after every turn."""
    with playing(played_world, policies) as daemon:
        daemon.live(life, BEGIN + timedelta(days=40))
        proof = daemon.store.audit(daemon.clock.now(), timedelta(minutes=5))
        assert (proof.unaccounted, proof.overdue_checks) == (0, 0)
        assert list(daemon.store.verify()) == []
