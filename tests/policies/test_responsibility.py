"""Who answers for a case at an instant: first handler, holder, co-handlers, and the leaders of that day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluate import evaluate
from policies.model import (
    Case,
    Directory,
    FirstHandler,
    History,
    Movement,
    Obligation,
    ObligationState,
    OfficeUnit,
    Official,
    Post,
    Transfer,
    Why,
)
from policies.people.holding import holder_at
from policies.people.responsibility import Part, lapses, leaders_over, who
from support.invented_office import CHINA, KINDS, at, end_of, policy

UNITS = [
    OfficeUnit("局", "信访局"),
    OfficeUnit("甲", "甲科", "局"),
    OfficeUnit("乙", "乙科", "局"),
]
POSTS = (
    Post("甲", "section_head", "甲科长"),
    Post("乙", "section_head", "乙科长旧", None, at("2026-06-10 00:00")),
    Post("乙", "section_head", "乙科长新", at("2026-06-10 00:00")),
    Post("局", "deputy_leader", "副局长"),
)
PEOPLE = Directory(
    {post.official: Official(post.official, post.official) for post in POSTS}, {one.key: one for one in UNITS}, POSTS
)
MOVES = (
    Transfer(1, at("2026-05-20 10:00"), "甲", "承办人甲", "局", document="交办〔2026〕7号"),
    Transfer(2, at("2026-05-28 10:00"), "乙", "承办人乙", "甲", approved_by="局长", document="交办〔2026〕9号"),
)
CASE = Case("XF1", "乙", "承办人乙", {"accepted_at": at("2026-05-22 09:00")}, transfers=MOVES)
FIRST = FirstHandler("XF1", "甲", "承办人甲", at("2026-05-22 09:00"), "accepted_at")
POLICY = policy()


def test_before_and_after_the_hand_over() -> None:
    """The first handler stays; the holder and the leaders are those of the instant asked about."""
    early = who(CASE, FIRST, PEOPLE, POLICY, at("2026-05-25 10:00"))
    late = who(CASE, FIRST, PEOPLE, POLICY, at("2026-06-01 10:00"))
    for answer in (early, late):
        assert answer.first is not None
        assert (answer.first.unit, answer.first.official, answer.first.document) == (
            "甲",
            "承办人甲",
            MOVES[0].document,
        )
    assert early.holder is not None
    assert (early.holder.unit, early.holder.since, early.holder.document) == ("甲", MOVES[0].at, MOVES[0].document)
    assert late.holder is not None
    assert (late.holder.unit, late.holder.official, late.holder.approved_by) == ("乙", "承办人乙", "局长")
    assert [one.official for one in early.leaders] == ["甲科长", "副局长"]
    assert [one.official for one in late.leaders] == ["乙科长旧", "副局长"]
    assert late.first is not None
    assert "牵头" in late.first.text.zh
    assert {one.part for one in late.answerable} == {Part.FIRST, Part.HOLDER, Part.LEADER}


def test_a_post_that_changed_hands_is_asked_of_its_day() -> None:
    """The head of the section since 06-10 does not answer for 06-09."""
    assert leaders_over("乙", CASE, PEOPLE, POLICY, at("2026-06-09 23:59"))[0].official == "乙科长旧"
    assert leaders_over("乙", CASE, PEOPLE, POLICY, at("2026-06-10 00:00"))[0].official == "乙科长新"


def test_before_it_was_taken_up_there_is_no_first_handler() -> None:
    """An instant before the freeze has a holder and nobody frozen."""
    answer = who(CASE, FIRST, PEOPLE, POLICY, at("2026-05-21 10:00"))
    assert answer.first is None
    assert answer.holder is not None


def test_a_co_handler_is_named_and_does_not_answer_for_the_case() -> None:
    """协办 reports to the first handler; the direct responsibility stays with the holder."""
    helped = Transfer(3, at("2026-06-01 10:00"), "丙", kind=Movement.CO_HANDLE)
    answer = who(replace(CASE, transfers=(*MOVES, helped)), FIRST, PEOPLE, POLICY, at("2026-06-02 10:00"))
    assert [one.unit for one in answer.helpers] == ["丙"]
    assert "丙" not in {one.unit for one in answer.answerable}


@pytest.mark.parametrize("place", ["370102", "370102003", " 370102 ", 370102])
def test_whoever_is_told_for_a_place_answers_for_it(place: str | int) -> None:
    """The leaders named for a breach are found by the place as the chain finds them: also by a smaller place's code."""
    street = OfficeUnit("街道", "某街道", "局", area="370102")
    people = replace(
        PEOPLE, units={**PEOPLE.units, "街道": street}, posts=(*POSTS, Post("街道", "section_head", "街道主任"))
    )
    both = replace(POLICY, legs=("functional", "territorial"))
    there = leaders_over("甲", replace(CASE, fields={"place": place}), people, both, at("2026-06-01 10:00"))
    assert [(one.unit, one.official) for one in there] == [("甲", "甲科长"), ("局", "副局长"), ("街道", "街道主任")]


def test_the_territorial_leg_is_asked_too() -> None:
    """A policy that goes up both legs names the leaders of the place as well."""
    units = {**PEOPLE.units, "街道": OfficeUnit("街道", "某街道", area="110101")}
    place = replace(PEOPLE, units=units, posts=(*POSTS, Post("街道", "principal", "街道书记")))
    case = replace(CASE, fields={"place": "110101"})
    both = replace(POLICY, legs=("functional", "territorial"))
    officials = [one.official for one in leaders_over("乙", case, place, both, at("2026-06-01 10:00"))]
    assert officials == ["乙科长旧", "副局长", "街道书记"]


def obligation(holder_unit: str | None = None) -> Obligation:
    """The notice limit that ended on 06-04."""
    due = end_of("2026-06-04")
    start = at("2026-05-20 10:00")
    return Obligation(
        "XF1", POLICY.id, "notify", "v1", 1, ObligationState.OPEN, start, due, due, holder_unit=holder_unit
    )


def test_a_limit_that_passed_is_laid_to_whoever_held_it_then() -> None:
    """Noticed a week later, after yet another hand-over and a new head: those of the last instant answer."""
    moved_on = replace(CASE, unit="甲", handler=None, transfers=(*MOVES, Transfer(3, at("2026-06-08 10:00"), "甲")))
    one = obligation()
    now = at("2026-06-11 10:00")
    plan = evaluate(POLICY, one, moved_on, History(), PEOPLE, FIRST, CHINA, now, KINDS)
    assert Why.BREACH in {reason.why for reason in plan.reasons}
    (lapse,) = lapses(one, plan, moved_on, FIRST, POLICY, lambda _at: PEOPLE)
    assert (lapse.due, lapse.at, lapse.unit, lapse.official) == ("legal", one.legal_due_at, "乙", "承办人乙")
    assert (lapse.first_unit, lapse.first_official) == ("甲", "承办人甲")
    assert [leader.official for leader in lapse.leaders] == ["乙科长旧", "副局长"]


def test_a_clock_of_ones_own_is_laid_to_its_holder() -> None:
    """A limit per holder belongs to the unit whose clock it is."""
    one = obligation(holder_unit="甲")
    plan = evaluate(POLICY, one, CASE, History(), PEOPLE, FIRST, CHINA, at("2026-06-11 10:00"), KINDS)
    (lapse,) = lapses(one, plan, CASE, FIRST, POLICY, lambda _at: PEOPLE)
    assert (lapse.unit, lapse.official) == ("甲", None)


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["甲", "乙", "丙"])), max_size=6), st.integers(0, 500))
def test_no_later_row_changes_what_was(later: list[tuple[int, str]], hours: int) -> None:
    """Hand-overs after an instant change neither the first handler nor the holder at that instant."""
    moment = MOVES[1].at + timedelta(hours=hours)
    rows = tuple(
        Transfer(10 + n, moment + timedelta(hours=after), unit, "某人", document="后补")
        for n, (after, unit) in enumerate(later)
    )
    latest = max(rows, key=lambda row: (row.at, row.seq), default=None)
    case = replace(CASE, transfers=(*MOVES, *rows), unit=latest.to_unit if latest else "乙", handler=None)
    before = replace(CASE, handler=None)
    assert who(case, FIRST, PEOPLE, POLICY, moment).first == who(before, FIRST, PEOPLE, POLICY, moment).first
    then, now = holder_at(case, moment), holder_at(before, moment)
    assert then is not None
    assert now is not None
    assert (then.unit, then.official, then.from_at) == (now.unit, now.official, now.from_at)
