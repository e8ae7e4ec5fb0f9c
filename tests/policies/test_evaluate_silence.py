"""Why a step speaks or stays silent: conditions, what was missed, steps on milestones, parked cases, breaches."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from policies.duration import parse_duration
from policies.ladders.rungs import timeline
from policies.limits.revision import revise
from policies.model import (
    Acknowledge,
    CatchUp,
    Condition,
    History,
    Light,
    Movement,
    Obligation,
    ObligationState,
    Pause,
    Plan,
    Policy,
    Reception,
    Repeat,
    Transfer,
    Why,
)
from support.invented_office import CHINA, LADDER, at, case, decide, limit, obligation, policy, step, with_steps

if TYPE_CHECKING:
    from datetime import datetime

    from policies.model import Case, Scalar

START = at("2026-09-16 10:00")
NOW = at("2026-09-28 09:00")


def said(plan: Plan) -> list[tuple[str, str]]:
    """Who is told of which step."""
    return [(notice.step, notice.person) for notice in plan.notices]


def whys(plan: Plan, step_id: str) -> list[Why]:
    """Why a step speaks or not."""
    return [reason.why for reason in plan.reasons if reason.step.partition("#")[0] == step_id]


# --- conditions ---------------------------------------------------------------------------------------------------


def speaks(asked: Condition, *, the_case: Case | None = None, history: History | None = None, **one: Any) -> bool:
    """Whether a step with that condition under `when` speaks on 09-28; under `unless` it must be the other way."""
    found = list[bool]()
    for name in ("when", "unless"):
        rules = with_steps(step("x", "due - 3 工作日 09:00", "handler", **{name: (asked,)}))
        what = replace(obligation(rules=rules), **one)
        plan = decide(NOW, history, the_case=the_case, rules=rules, one=what)
        assert bool(plan.notices) is (Why.NOT_WANTED not in whys(plan, "x"))
        assert decide(NOW, plan.history, the_case=the_case, rules=rules, one=what).notices == ()
        found.append(bool(plan.notices))
    assert found[0] is not found[1]
    return found[0]


def moved(kind: Movement, when: str = "2026-09-20 10:00", seq: int = 1) -> Transfer:
    """One line of the record of movements."""
    return Transfer(seq, at(when), "C", kind=kind)


def signed(unit: str | None, when: str = "2026-09-20 10:00") -> Transfer:
    """That a unit signed for the case (签收), by the record of movements."""
    return Transfer(1, at(when), unit, kind=Movement.SIGN)


BACK = moved(Movement.HAND_BACK)


@pytest.mark.parametrize(
    ("word", "value", "facts", "history", "one"),
    [
        ("light", "yellow", {}, {}, {}),
        ("kind", "求决", {"fields": {"kind": "求决"}}, {}, {}),
        ("unit", "B", {}, {}, {}),
        ("overdue", True, {}, {}, {"legal_due_at": at("2026-09-27 23:59")}),
        ("overdue", False, {}, {}, {}),
        ("platform_overdue", False, {}, {}, {"platform_due_at": at("2026-10-08 10:00")}),
        ("acknowledged", True, {"acknowledged_at": at("2026-09-16 00:00")}, {}, {}),
        ("acknowledged", False, {"acknowledged_at": at("2026-09-15 23:59")}, {}, {}),
        ("acknowledged", False, {"acknowledged_at": at("2026-10-15 23:59")}, {}, {}),
        ("acknowledged", True, {}, {"y": Reception(acknowledged_at=at("2026-09-17 10:00"))}, {}),
        ("acknowledged", False, {}, {"y": Reception(at("2026-09-17 10:00"), at("2026-09-17 10:00"))}, {}),
        ("acknowledged", True, {"transfers": (signed("B"),)}, {}, {}),
        ("acknowledged", True, {"transfers": (signed(None),)}, {}, {}),
        ("acknowledged", False, {"transfers": (signed("C"),)}, {}, {}),
        ("acknowledged", False, {"transfers": (signed("B", "2026-09-15 10:00"),)}, {}, {}),
        ("acknowledged", False, {"transfers": (moved(Movement.RECEIVE),)}, {}, {}),
        ("read", True, {}, {"y": Reception(read_at=at("2026-09-17 10:00"))}, {}),
        ("read", False, {}, {"y": Reception(delivered_at=at("2026-09-17 10:00"))}, {}),
        ("read", True, {"read_at": at("2026-09-17 10:00")}, {}, {}),
        ("delivered", True, {}, {"y": Reception(delivered_at=at("2026-09-17 10:00"))}, {}),
        ("delivered", False, {}, {"y": Reception(read_at=at("2026-09-17 10:00"))}, {}),
        ("acted", True, {"acted_at": at("2026-09-17 10:00")}, {}, {}),
        ("acted", False, {"acknowledged_at": at("2026-09-17 10:00")}, {}, {}),
        ("acted", True, {"transfers": (moved(Movement.ACCEPT),)}, {}, {}),
        ("acted", False, {"transfers": (moved(Movement.SIGN), moved(Movement.RECEIVE))}, {}, {}),
        ("acted", False, {"transfers": (moved(Movement.ACCEPT, "2026-09-16 10:00"),)}, {}, {}),
        ("extended", True, {}, {}, {"extended": True}),
        ("provisional", True, {}, {}, {"provisional": True}),
        ("start_assumed", True, {}, {}, {"start_assumed": True}),
        ("repeat", True, {"earlier": "XF000"}, {}, {}),
        ("repeat", False, {}, {}, {}),
        ("first_time", True, {}, {}, {}),
        ("breached", False, {}, {}, {}),
    ],
)
def test_every_word_of_the_history(
    word: str, value: Scalar, facts: dict[str, Any], history: dict[str, Reception], one: dict[str, Any]
) -> None:
    """Each word is answered at the moment of decision; what it wants makes `when` speak and `unless` silent."""
    milestones = {"arrived_at": START} | {name: facts[name] for name in facts if name.endswith("_at")}
    others = {name: facts[name] for name in facts if not name.endswith("_at")}
    the_case = case(milestones=milestones, **others)
    assert speaks(Condition(word, (value,)), the_case=the_case, history=History(receptions=history), **one)


@pytest.mark.parametrize(
    ("word", "figure", "transfers"),
    [
        ("handbacks", 2, (BACK, replace(BACK, seq=2), moved(Movement.HAND_BACK, "2026-09-29 10:00", 3))),
        ("transfers", 2, (moved(Movement.HAND_OVER), moved(Movement.RETURN, seq=2), moved(Movement.CO_HANDLE, seq=3))),
        ("days_open", 12, ()),
        ("days_left", 3, ()),
    ],
)
def test_figures_of_the_history(word: str, figure: int, transfers: tuple[Transfer, ...]) -> None:
    """Figures count up to the moment of decision, days open in natural and days left in working days."""
    the_case = case(transfers=transfers)
    assert speaks(Condition(word, at_least=figure, at_most=figure), the_case=the_case)
    assert not speaks(Condition(word, at_least=figure + 1), the_case=the_case)
    assert not speaks(Condition(word, at_most=figure - 1), the_case=the_case)


def test_breached_outlives_an_extension() -> None:
    """`breached` remembers what `overdue` no longer says."""
    history = History(breached_at=at("2026-09-20 00:00"))
    assert speaks(Condition("breached", (True,)), history=history)
    assert not speaks(Condition("overdue", (True,)), history=history)


def test_breached_outlives_the_move_of_the_limit() -> None:
    """A limit that was passed and moves on (its pause was written down late) is overdue no more, but was breached."""
    late = decide(at("2026-10-12 10:00"))
    stood = case(pauses=(Pause(1, at("2026-09-20 09:00"), at("2026-10-10 09:00")),))
    moved_on, history, _ = revise(
        obligation(), late.history, obligation(stood, at("2026-10-12 10:00")), LADDER, CHINA, at("2026-10-12 10:00")
    )
    assert history.breached_at is None
    assert speaks(Condition("breached", (True,)), history=history)
    again = replace(moved_on, legal_due_at=moved_on.legal_due_at + timedelta(days=7))
    _, history, _ = revise(moved_on, history, again, LADDER, CHINA, at("2026-10-12 10:00"))
    assert speaks(Condition("breached", (True,)), history=history)


def test_silence_is_explained_once_in_words() -> None:
    """The reason names the condition and what was found instead; the next look says nothing of it any more."""
    asked = Condition("handbacks", at_least=2)
    rules = with_steps(step("x", "due - 3 工作日 09:00", "handler", when=(asked,)), step("y", "due 09:00", "handler"))
    plan = decide(NOW, rules=rules)
    (reason,) = [one for one in plan.reasons if one.why is Why.NOT_WANTED]
    assert (reason.step, reason.at) == ("x", NOW)
    assert reason.text.zh == "不发：条件“申请退回次数 ≥ 2”不成立（现为0）。"
    assert reason.text.en == "Not said: it wants 'hand-backs ≥ 2' (it is 0)."
    assert Why.NOT_WANTED not in {one.why for one in decide(NOW, plan.history, rules=rules).reasons}


def test_what_a_case_says_is_never_repeated_in_the_reason() -> None:
    """A field of the case may hold anything: only what the policy asked is said, not what was found."""
    rules = with_steps(step("x", "start", "handler", unless=(Condition("kind", ("甲",)),)))
    plan = decide(START, rules=rules, the_case=case(fields={"kind": "甲"}))
    (reason,) = [one for one in plan.reasons if one.why is Why.NOT_WANTED]
    assert reason.text.zh == "不发：遇“kind = 甲”即不发。"


def test_silent_step_leaves_the_word_to_the_one_before() -> None:
    """After an outage the latest step that may speak speaks; a silent one neither swallows nor is swallowed."""
    rules = with_steps(
        step("a", "start", "handler"),
        step("b", "due - 3 工作日 09:00", "handler", when=(Condition("light", ("red",)),)),
    )
    plan = decide(NOW, rules=rules)
    assert said(plan) == [("a", "clerk")]
    assert (whys(plan, "a"), whys(plan, "b")) == ([Why.DUE], [Why.NOT_WANTED])


def test_nobody_is_urged_to_acknowledge_a_step_that_stayed_silent() -> None:
    """The condition holds only later: there is still nothing that could have been acknowledged."""
    within = Acknowledge(parse_duration("4 工作小时"), ("section_head",))
    urgent = Condition("urgent", (True,))
    rules = with_steps(step("x", "start", "handler", when=(urgent,), acknowledge=within))
    first = decide(START, rules=rules)
    plan = decide(at("2026-09-16 16:00"), first.history, rules=rules, the_case=case(fields={"urgent": True}))
    assert (said(plan), whys(plan, "x.unacknowledged")) == ([], [Why.NOT_WANTED])


def test_acknowledgement_by_the_reader_spares_the_head() -> None:
    """He who answered the message himself (签收) has acknowledged; another step's answer is not his."""
    first = decide(START)
    due = at("2026-09-16 16:00")
    mine = {"assigned": Reception(acknowledged_at=at("2026-09-16 11:00"))}
    assert whys(decide(due, replace(first.history, receptions=mine)), "assigned.unacknowledged") == [Why.ACKNOWLEDGED]
    other = {"remind": Reception(acknowledged_at=at("2026-09-16 11:00"))}
    assert decide(due, replace(first.history, receptions=other)).notices != ()


# --- what was missed ----------------------------------------------------------------------------------------------


def late(first: CatchUp, second: CatchUp, third: CatchUp) -> Plan:
    """Three steps, all missed, looked at a day after the last of them."""
    rules = with_steps(
        step("a", "start", "handler", catch_up=first),
        step("b", "due - 3 工作日 09:00", "handler", catch_up=second),
        step("c", "due - 1 工作日 09:00", "handler", catch_up=third),
    )
    plan = decide(at("2026-10-01 09:00"), rules=rules)
    again = decide(at("2026-10-01 09:00"), plan.history, rules=rules)
    assert again.notices == ()
    return plan


LATEST, EACH, SKIP = CatchUp.LATEST, CatchUp.EACH, CatchUp.SKIP


@pytest.mark.parametrize(
    ("kinds", "steps", "missed", "skipped"),
    [
        ((LATEST, LATEST, LATEST), [("c", ("a", "b"))], 2, 0),
        ((EACH, EACH, EACH), [("a", ()), ("b", ()), ("c", ())], 0, 0),
        ((SKIP, SKIP, SKIP), [], 0, 3),
        ((EACH, LATEST, LATEST), [("a", ()), ("c", ("b",))], 1, 0),
        ((LATEST, LATEST, SKIP), [("b", ("a",))], 1, 1),
        ((LATEST, SKIP, EACH), [("a", ()), ("c", ())], 0, 1),
    ],
)
def test_catching_up_by_the_rule_of_each_step(
    kinds: tuple[CatchUp, CatchUp, CatchUp], steps: list[tuple[str, tuple[str, ...]]], missed: int, skipped: int
) -> None:
    """Folded into the latest, sent each by itself, or left: every step ends as a notice or a reason (N13)."""
    plan = late(*kinds)
    assert [(notice.step, notice.missed) for notice in plan.notices] == steps
    reasons = [reason.why for reason in plan.reasons]
    assert (reasons.count(Why.MISSED), reasons.count(Why.SKIPPED)) == (missed, skipped)


def test_returns_of_a_step_that_is_caught_up_by_itself_are_said_once() -> None:
    """Three missed returns of one step say the same thing: the last one speaks, and lists the others."""
    again = Repeat(parse_duration("1 工作日"), 3)
    rules = with_steps(step("x", "start", "handler", catch_up=EACH, repeat=again))
    plan = decide(at("2026-09-20 09:00"), rules=rules)
    assert [(n.step, n.repeat, n.missed, n.why) for n in plan.notices] == [("x", 2, ("x", "x#1"), Why.CAUGHT_UP)]


def test_step_to_be_left_when_late_is_said_on_time() -> None:
    """`skip` leaves what was missed, not what is looked at minutes late."""
    rules = with_steps(step("x", "start", "handler", catch_up=SKIP))
    assert said(decide(START + timedelta(minutes=59), rules=rules)) == [("x", "clerk")]
    assert whys(decide(START + timedelta(minutes=61), rules=rules), "x") == [Why.SKIPPED]


# --- clocks of their own: steps on milestones ---------------------------------------------------------------------

ACTING = with_steps(
    step("assigned", "start", "handler"),
    step("act", "acknowledged_at + 5 工作日 09:00", "section_head", unless=(Condition("acted", (True,)),)),
    step("more", "acknowledged_at + 6 工作日 09:00", "deputy_leader"),
)


def acknowledged_on(day: str) -> Case:
    """The case, acknowledged on that day."""
    return case(milestones={"arrived_at": START, "acknowledged_at": at(f"{day} 10:00")})


def test_acknowledging_is_not_finishing() -> None:
    """Who acknowledged and then did nothing is told of (签收 ≠ 办理); who acted is not."""
    first = decide(START, rules=ACTING)
    signed = acknowledged_on("2026-09-17")
    waiting = decide(at("2026-09-18 10:00"), first.history, rules=ACTING, the_case=signed)
    assert (said(waiting), waiting.next_check_at) == ([], at("2026-09-23 09:00"))
    due = at("2026-09-23 09:00")
    assert said(decide(due, waiting.history, rules=ACTING, the_case=signed)) == [("act", "head")]
    acted = replace(signed, milestones={**signed.milestones, "acted_at": at("2026-09-21 10:00")})
    plan = decide(due, waiting.history, rules=ACTING, the_case=acted)
    assert (said(plan), whys(plan, "act")) == ([], [Why.NOT_WANTED])


def test_milestone_that_turns_up_late_is_caught_up() -> None:
    """Known only after its step was due: the step is said then, once."""
    first = decide(at("2026-09-24 12:00"), rules=ACTING)
    signed = acknowledged_on("2026-09-17")
    plan = decide(at("2026-09-24 13:00"), first.history, rules=ACTING, the_case=signed)
    assert said(plan) == [("more", "deputy")]
    assert whys(plan, "act") == [Why.MISSED]
    assert said(decide(at("2026-10-08 09:00"), plan.history, rules=ACTING, the_case=signed)) == []


@pytest.mark.parametrize("corrected", ["2026-09-15", "2026-09-16", "2026-09-18", "2026-09-20"])
def test_milestone_corrected_repeats_nothing_and_loses_nothing(corrected: str) -> None:
    """After a correction in either direction what was said stays said, and what was not comes at its new moment."""
    said_once = decide(
        at("2026-09-23 09:00"),
        decide(START, rules=ACTING).history,
        rules=ACTING,
        the_case=acknowledged_on("2026-09-17"),
    )
    assert said(said_once) == [("act", "head")]
    history, steps = said_once.history, list[str]()
    now: datetime | None = at("2026-09-23 10:00")
    while now is not None and now < at("2026-10-20 00:00"):
        plan = decide(now, history, rules=ACTING, the_case=acknowledged_on(corrected))
        steps += [notice.step for notice in plan.notices]
        history, now = plan.history, plan.next_check_at
    assert steps == ["more"]


# --- parked cases -------------------------------------------------------------------------------------------------


def parked(review: str | None = "2026-10-20 09:00", **changes: Any) -> Obligation:
    """The limit of a case that is parked (挂账) until a day of review."""
    one = replace(obligation(), state=ObligationState.PAUSED, review_at=None if review is None else at(review))
    return replace(one, **changes)


REVIEWED = replace(
    with_steps(
        step("assigned", "start", "handler"),
        step("back", "review - 1 工作日 09:00", "section_head"),
        step("now", "review 09:00", "handler"),
    )
)


def test_only_the_review_speaks_of_a_parked_case() -> None:
    """Until the day of review nothing is said, at that day what the ladder says of it, and the light stands still."""
    history = History({"start": START}, Light.YELLOW)
    before = decide(at("2026-10-12 09:00"), history, rules=REVIEWED, one=parked())
    assert (before.notices, before.light, before.next_check_at) == ((), Light.YELLOW, at("2026-10-19 09:00"))
    assert before.reasons[0].why is Why.PAUSED
    eve = decide(at("2026-10-19 09:00"), before.history, rules=REVIEWED, one=parked())
    assert [(n.step, n.person, n.why, n.say) for n in eve.notices] == [("back.2026-10-20", "head", Why.REVIEW, "back")]
    day = decide(at("2026-10-20 09:00"), eve.history, rules=REVIEWED, one=parked())
    assert [(n.step, n.why) for n in day.notices] == [("now.2026-10-20", Why.REVIEW)]
    assert day.history.breached_at is None
    assert (day.next_check_at, day.reasons[-1].why) == (None, Why.END_OF_LADDER)


def test_parked_once_more_is_reviewed_once_more() -> None:
    """A new day of review speaks again under a key of its own, earlier or later than the one before."""
    first = decide(at("2026-10-20 09:00"), rules=REVIEWED, one=parked())
    for day in ("2026-10-16", "2026-11-20"):
        plan = decide(at(f"{day} 09:00"), first.history, rules=REVIEWED, one=parked(f"{day} 09:00"))
        assert {notice.step for notice in plan.notices} == {f"now.{day}"}
        assert not {notice.key for notice in plan.notices} & {notice.key for notice in first.notices}


def test_parked_case_never_disappears_from_a_ladder_that_does_not_mention_it() -> None:
    """Without a step of the ladder the handler and the head are told of the review, week after week."""
    history, told = History(), list[tuple[str, int, str, str]]()
    now: datetime | None = at("2026-10-12 09:00")
    while now is not None:
        plan = decide(now, history, one=parked())
        told += [(n.step, n.repeat, n.person, n.say) for n in plan.notices]
        history, now = plan.history, plan.next_check_at
    assert told[:4] == [
        ("review.2026-10-20", 0, "clerk", "review"),
        ("review.2026-10-20", 0, "head", "review"),
        ("review.2026-10-20", 1, "clerk", "review"),
        ("review.2026-10-20", 1, "head", "review"),
    ]
    assert len(told) == 14


def test_a_review_that_is_not_signed_for_is_called_for() -> None:
    """A step of the review that wants an acknowledgement has its own call for it, and a second look forgets neither."""
    wants = Acknowledge(parse_duration("4 工作小时"), ("section_head",))
    rules = with_steps(step("assigned", "start", "handler"), step("now", "review 09:00", "handler", acknowledge=wants))
    day = decide(at("2026-10-20 09:00"), rules=rules, one=parked())
    assert [notice.step for notice in day.notices] == ["now.2026-10-20"]
    assert day.next_check_at == at("2026-10-20 15:00")
    assert decide(at("2026-10-20 09:00"), day.history, rules=rules, one=parked()).next_check_at == day.next_check_at
    later = decide(at("2026-10-20 15:00"), day.history, rules=rules, one=parked())
    assert [(n.step, n.person) for n in later.notices] == [("now.2026-10-20.unacknowledged", "head")]
    assert later.next_check_at is None


def test_parked_without_a_day_of_review_rests() -> None:
    """A pause that says no day of review is only paused; the count may still ask to be done again."""
    assert decide(NOW, one=parked(None)).next_check_at is None
    assert decide(NOW, one=parked(None, recount_at=at("2026-11-01 00:00"))).next_check_at == at("2026-11-01 00:00")


def test_review_is_no_step_of_a_case_that_is_not_parked() -> None:
    """The steps of a review stay out of the ladder while the clock runs."""
    ladder = REVIEWED.ladders["standard"]
    running = replace(obligation(), review_at=at("2026-10-20 09:00"))
    assert [rung.id for rung in timeline(ladder, running, {}, CHINA)] == ["assigned"]
    assert case(pauses=(Pause(1, START, review_at=START),)).pauses[0].review_at == START


# --- breaches and the next look -----------------------------------------------------------------------------------


def test_each_limit_passed_is_told_once() -> None:
    """The platform's limit and the legal one are two breaches, each recorded with its true instant and never again."""
    one = replace(obligation(), platform_due_at=at("2026-10-02 10:00"))
    first = decide(at("2026-10-02 10:00"), one=one)
    assert first.history.platform_breached_at is None
    second = decide(at("2026-10-02 10:01"), first.history, one=one)
    assert (second.history.platform_breached_at, second.history.breached_at) == (
        at("2026-10-02 10:00") + timedelta(microseconds=1),
        None,
    )
    third = decide(at("2026-10-09 00:00"), second.history, one=one)
    found = [[r.why for r in plan.reasons if "breach" in r.why] for plan in (first, second, third)]
    assert found == [[], [Why.PLATFORM_BREACH], [Why.BREACH]]
    assert not [r for r in decide(at("2026-10-10 00:00"), third.history, one=one).reasons if "breach" in r.why]


def test_done_after_the_platform_limit_is_a_breach_of_the_platform_only() -> None:
    """Done between the two limits: late for the platform, on time by law, whoever looked when."""
    one = replace(
        obligation(),
        platform_due_at=at("2026-10-02 10:00"),
        state=ObligationState.DONE,
        done_at=at("2026-10-05 10:00"),
    )
    plan = decide(at("2026-11-01 10:00"), one=one)
    assert [reason.why for reason in plan.reasons] == [Why.DONE, Why.PLATFORM_BREACH]
    assert plan.history.breached_at is None


def test_next_look_minds_the_platform_and_the_recount() -> None:
    """A platform limit later than the legal one and a count to be done again are each looked at."""
    rules: Policy = policy(limit(), ladders={"standard": replace(policy().ladders["standard"], steps=())})
    one = replace(obligation(rules=rules), platform_due_at=at("2026-12-01 10:00"), recount_at=at("2026-11-01 00:00"))
    looks, history = list[str](), History()
    now: datetime | None = at("2026-10-20 10:00")
    while now is not None:
        plan = decide(now, history, rules=rules, one=one)
        history, now = plan.history, plan.next_check_at
        looks.append(f"{now:%m-%d %H:%M}" if now else plan.reasons[-1].why)
    assert looks == ["10-31 16:00", "12-01 02:00", Why.END_OF_LADDER]
