"""Signing for a case starts a clock: something is to be done, or somebody hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.beforehand.foresight import foresee
from policies.duration import parse_duration
from policies.evaluate import evaluate
from policies.explain import ladder_sentences
from policies.ladders.rungs import step_of
from policies.model import (
    Acknowledge,
    ActRule,
    Case,
    DigestRule,
    History,
    Movement,
    Obligation,
    Plan,
    Reception,
    Transfer,
    Why,
)
from policies.people.first_handler import first_handler_of
from policies.text import Text
from support.invented_office import (
    CALENDARS,
    CHINA,
    KINDS,
    at,
    case,
    directory,
    obligation,
    policies,
    step,
    with_steps,
)

RULE = Acknowledge(
    parse_duration("4 工作小时"), ("section_head",), then=ActRule(parse_duration("2 工作日"), ("deputy_leader",))
)
RULES = with_steps(
    step("assigned", "start", "handler", acknowledge=RULE),
    step("today", "due 09:00", "handler"),
)
SIGNED = at("2026-09-16 11:00")  # a Wednesday
BEGUN = History({"start": at("2026-09-16 16:00")})


def told(
    now: str,
    signed: datetime | None = SIGNED,
    history: History = BEGUN,
    the_case: Case | None = None,
    one: Obligation | None = None,
) -> Plan:
    """What is decided then, if the notice of `assigned` was signed for."""
    found = the_case or case()
    receptions = {} if signed is None else {"assigned": Reception(acknowledged_at=signed)}
    one = one or obligation(found, at(now), RULES)
    first = first_handler_of(policies(RULES), found)
    with_them = replace(history, receptions=receptions)
    return evaluate(RULES, one, found, with_them, directory(), first, CHINA, at(now), KINDS)


def steps(plan: Plan) -> list[tuple[str, str, str]]:
    """Step, text and reader of each notice."""
    return [(notice.step, notice.say, notice.person) for notice in plan.notices]


def test_the_next_look_is_when_something_is_to_be_done() -> None:
    """Signed for on Wednesday at eleven, two working days: looked at again on Friday at eleven."""
    plan = told("2026-09-16 11:05")
    assert steps(plan) == []
    assert plan.next_check_at == at("2026-09-18 11:00")


def test_nothing_done_by_then_is_told_once() -> None:
    """To the one the rule names, with a text of its own; a second look says nothing more."""
    plan = told("2026-09-18 11:00")
    assert steps(plan) == [("assigned.unacted", "unacted", "deputy")]
    assert steps(told("2026-09-18 11:00", history=plan.history)) == []
    assert step_of("assigned.unacted", RULES.ladders["standard"]) is RULES.ladders["standard"].steps[0]


def test_who_has_not_signed_is_asked_to_sign_and_no_more() -> None:
    """Without an acknowledgement there is no such clock; the head hears that it is wanting."""
    plan = told("2026-09-18 11:00", None, History({"start": at("2026-09-16 10:00")}))
    assert steps(plan) == [("assigned.unacknowledged", "unacknowledged", "head")]


def test_a_record_of_anything_done_ends_it() -> None:
    """A milestone, or a movement of the case: nobody is told, and the reason says so."""
    moved = Transfer(1, at("2026-09-17 09:00"), "C", kind=Movement.CO_HANDLE)
    for done in (
        case(milestones={"arrived_at": at("2026-09-16 10:00"), "acted_at": at("2026-09-17 09:00")}),
        case(transfers=(moved,)),
    ):
        plan = told("2026-09-18 11:00", the_case=done)
        assert steps(plan) == []
        assert Why.ACTED in {reason.why for reason in plan.reasons}
        assert told("2026-09-17 10:00", the_case=done).next_check_at != at("2026-09-18 11:00")


def test_the_milestone_of_the_shared_database_starts_it_as_well() -> None:
    """Whichever says first that it was signed for."""
    signed = case(milestones={"arrived_at": at("2026-09-16 10:00"), "acknowledged_at": at("2026-09-16 10:30")})
    assert told("2026-09-16 11:05", None, the_case=signed).next_check_at == at("2026-09-18 10:30")
    assert told("2026-09-16 11:05", SIGNED, the_case=signed).next_check_at == at("2026-09-18 10:30")


def test_a_movement_that_says_it_was_signed_for_starts_it_as_well() -> None:
    """The record of movements (签收) of the unit that has the case; another unit's starts nothing."""
    for unit, expected in (("B", at("2026-09-18 10:45")), ("C", at("2026-09-16 16:00"))):
        moved = case(transfers=(Transfer(1, at("2026-09-16 10:45"), unit, kind=Movement.SIGN),))
        begun = History({"start": at("2026-09-16 10:00")})
        assert told("2026-09-16 11:05", None, begun, the_case=moved).next_check_at == expected


def test_an_acknowledgement_written_down_late_begins_its_clock_too() -> None:
    """Signed on paper on Wednesday, typed in on Monday, after other looks: told at once, though it lies behind them."""
    plan = told("2026-09-21 09:00", SIGNED, History({"start": at("2026-09-20 09:00")}))
    assert steps(plan) == [("assigned.unacted", "unacted", "deputy")]


def test_a_signature_of_an_earlier_round_starts_nothing() -> None:
    """What was signed for before the day of the start was about something else."""
    assert steps(told("2026-09-18 11:00", at("2026-09-15 11:00"), BEGUN)) == []


def test_a_moved_limit_does_not_say_it_again() -> None:
    """Told once under the old limit; the extension keeps what was said."""
    before = told("2026-09-18 11:00").history
    moved = replace(obligation(case(), at("2026-09-18 11:00"), RULES), deadline_version=2)
    kept = replace(before, decided_until={name: when for name, when in before.decided_until.items() if name != "due"})
    assert steps(told("2026-09-18 11:30", history=kept, one=moved)) == []


def test_it_is_foretold_from_the_facts_and_listed_by_explain() -> None:
    """The simulation plays it, and the ladder names the instant and who would be told."""
    signed = case(milestones={"arrived_at": at("2026-09-16 10:00"), "acknowledged_at": SIGNED})
    seen = foresee(
        policies(RULES), [(at("2026-09-16 10:00"), case()), (SIGNED, signed)], directory(), CALENDARS, KINDS,
        at("2026-09-16 10:00"), at("2026-09-20 10:00"),
    )  # fmt: skip
    assert [(one.at, one.notice.step) for one in seen.told] == [
        (at("2026-09-16 10:00"), "assigned"),
        (at("2026-09-18 11:00"), "assigned.unacted"),
    ]
    ladder = RULES.ladders["standard"]
    listed = ladder_sentences(ladder, obligation(signed, SIGNED, RULES), signed, CHINA, SIGNED)
    (named,) = (line for line in listed if "assigned.unacted" in line.zh)
    assert isinstance(named, Text)
    assert "分管领导" in named.zh


def test_it_does_not_wait_for_a_digest() -> None:
    """Who signed and did nothing is told of at once, whatever the hours of the digest."""
    rules = replace(RULES, digest=DigestRule(at=(at("2026-01-01 00:30").time(),)))
    one = obligation(case(), at("2026-09-18 11:00"), rules)
    history = replace(BEGUN, receptions={"assigned": Reception(acknowledged_at=SIGNED)})
    plan = evaluate(rules, one, case(), history, directory(), None, CHINA, at("2026-09-18 11:00"), KINDS)
    assert [notice.hold_until for notice in plan.notices] == [None]


@given(
    st.lists(st.timedeltas(timedelta(0), timedelta(days=12)), max_size=6),
    st.timedeltas(timedelta(0), timedelta(days=8)),
)
@settings(max_examples=100, deadline=None)
def test_however_often_one_looks_it_is_told_exactly_once(looks: list[timedelta], signed_after: timedelta) -> None:
    """Whenever it was signed for and whenever anybody looked: once, never before its time, by the last look."""
    begin = at("2026-09-16 10:00")
    signed = begin + signed_after
    history = History()
    said: list[tuple[str, datetime]] = []
    for now in sorted({*(begin + look for look in looks), begin + timedelta(days=20)}):
        receptions = {"assigned": Reception(acknowledged_at=signed)} if signed <= now else {}
        one = obligation(case(), now, RULES)
        plan = evaluate(
            RULES, one, case(), replace(history, receptions=receptions), directory(), None, CHINA, now, KINDS
        )
        history = replace(plan.history, receptions={})
        named = [(step, now) for notice in plan.notices for step in (notice.step, *notice.missed)]
        said += [one for one in named if one[0] == "assigned.unacted"]
    times = {now for _, now in said}
    assert len(times) == 1
    assert min(times) > signed
