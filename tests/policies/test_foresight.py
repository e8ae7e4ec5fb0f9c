"""The simulation of one case: what goes out when, what does not, and that it may be broken off and gone on with."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.beforehand.foresight import foresee
from policies.model import Condition, ObligationState, QuietHours, Transfer, Via
from support.invented_office import (
    CALENDARS,
    KINDS,
    at,
    case,
    directory,
    finish,
    limit,
    policies,
    policy,
    step,
    with_steps,
)

if TYPE_CHECKING:
    from policies.beforehand.foresight import Foresight
    from policies.model import Case, Policy

SINCE = at("2026-09-16 10:00")
UNTIL = at("2026-11-30 00:00")
NIGHT = QuietHours(time(22), time(7, 30))


def seen(rules: Policy, *facts: tuple[str, Case], until: Any = UNTIL, **more: Any) -> Foresight:
    """Foresee from the Wednesday the case arrived."""
    told = [(at(moment), one) for moment, one in facts] or [(SINCE, case())]
    return foresee(policies(rules), told, directory(), CALENDARS, KINDS, SINCE, until, **more)


def lines(found: Foresight) -> list[str]:
    """`09-28 09:00 remind clerk yellow`."""
    shanghai = CALENDARS["china"].zone
    return [
        f"{one.at.astimezone(shanghai):%m-%d %H:%M} {one.notice.step} {one.notice.person} {one.light.value}"
        for one in found.told
    ]


def test_a_whole_ladder_is_foretold() -> None:
    """Every step of a case nobody touches, in time, with the light it will have."""
    rules = with_steps(
        step("assigned", "start", "first_handler"),
        step("remind", "due - 3 工作日 09:00", "first_handler"),
        step("urge", "due + 1 工作日 09:00", "deputy_leader"),
    )
    assert lines(seen(rules)) == [
        "09-16 10:00 assigned clerk green",
        "09-28 09:00 remind clerk yellow",
        "10-09 09:00 urge deputy red",
    ]


def test_facts_that_come_later_count_from_then_on() -> None:
    """Handed over: the new handler is reminded, the first one stays informed. Done: nothing more is said."""
    rules = with_steps(
        step("remind", "due - 3 工作日 09:00", "handler"), step("urge", "due + 1 工作日 09:00", "handler")
    )
    moved = case(unit="C", handler="clerk2", transfers=(Transfer(1, at("2026-09-20 10:00"), "C", "clerk2", "B"),))
    done = replace(moved, milestones={**moved.milestones, "notified_at": at("2026-09-30 10:00")})
    found = seen(rules, ("2026-09-16 10:00", case()), ("2026-09-20 10:00", moved), ("2026-09-30 10:00", done))
    assert lines(found) == ["09-28 09:00 remind clerk2 yellow", "09-28 09:00 remind clerk yellow"]
    assert [one.state for one in found.obligations] == [ObligationState.DONE]


def test_what_waits_for_the_morning_is_told_in_the_morning() -> None:
    """A step at night goes out when the quiet hours end; it is decided at its own moment."""
    rules = with_steps(step("remind", "due - 3 工作日 23:00", "first_handler"), quiet=NIGHT)
    (only,) = seen(rules).told
    assert (only.decided_at, only.at) == (at("2026-09-28 23:00"), at("2026-09-29 07:30"))


def test_what_was_overtaken_in_the_night_is_dropped() -> None:
    """Done before the quiet hours end: the message that waited does not go out, and it is told why."""
    rules = with_steps(step("remind", "due - 3 工作日 23:00", "first_handler"), quiet=NIGHT)
    done = case(milestones={"arrived_at": SINCE, "notified_at": at("2026-09-28 23:30")})
    found = seen(rules, ("2026-09-16 10:00", case()), ("2026-09-28 23:30", done))
    assert lines(found) == []
    assert [(one.notice.step, one.why) for one in found.dropped] == [("remind", "done")]


def test_what_still_waits_at_the_end_is_neither_told_nor_lost() -> None:
    """The simulation ends in the quiet hours."""
    rules = with_steps(step("remind", "due - 3 工作日 23:00", "first_handler"), quiet=NIGHT)
    found = seen(rules, until=at("2026-09-29 03:00"))
    assert (found.told, [one.at for one in found.waiting]) == ((), [at("2026-09-29 07:30")])


@pytest.mark.parametrize(("wanted", "steps"), [(True, ["remind", "thanks"]), (False, ["remind"])])
def test_every_delivery_succeeds(wanted: bool, steps: list[str]) -> None:
    """A step that asks whether the one before was delivered finds that it was."""
    rules = with_steps(
        step("remind", "due - 3 工作日 09:00", "first_handler"),
        step("thanks", "due 09:00", "first_handler", when=(Condition("delivered", (wanted,)),)),
        via=Via(("sms",)),
    )
    assert [one.notice.step for one in seen(rules).told] == steps


def test_a_milestone_that_lies_ahead_comes_true() -> None:
    """The end entered for next week is believed once it has come, without any further change of the case."""
    rules = with_steps(step("urge", "due + 1 工作日 09:00", "deputy_leader"))
    ahead = case(milestones={"arrived_at": SINCE, "notified_at": at("2026-09-25 10:00")})
    found = seen(rules, ("2026-09-16 10:00", ahead))
    assert lines(found) == []
    assert [one.state for one in found.obligations] == [ObligationState.DONE]
    assert found.findings


def test_without_facts_there_is_nothing_to_play() -> None:
    """ValueError, not an empty answer."""
    with pytest.raises(ValueError, match="facts"):
        foresee(policies(), [], directory(), CALENDARS, KINDS, SINCE, UNTIL)


@given(minutes=st.integers(1, (UNTIL - SINCE) // timedelta(minutes=1) - 1))
def test_it_may_be_broken_off_anywhere(minutes: int) -> None:
    """Played to any minute and gone on with from there, the same is told at the same instants as in one go."""
    rules = policy(limit(), finish())
    facts = case(milestones={"arrived_at": SINCE, "accepted_at": SINCE})
    whole = seen(rules, ("2026-09-16 10:00", facts))
    middle = SINCE + timedelta(minutes=minutes)
    first = seen(rules, ("2026-09-16 10:00", facts), until=middle)
    second = foresee(
        policies(rules), [(middle, facts)], directory(), CALENDARS, KINDS, middle, UNTIL,
        standing=first.standing, first_handler=first.first_handler,
    )  # fmt: skip
    assert [(one.at, one.notice.key) for one in (*first.told, *second.told)] == [
        (one.at, one.notice.key) for one in whole.told
    ]
    assert second.obligations == whole.obligations
