"""A role whose holder the case itself names (包案领导): he first, then up the posts of the case's unit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from policies.beforehand.difference import difference
from policies.chain import next_upward, rank_of, resolve_all, resolve_any
from policies.model import Delegation, PolicySet, Why
from policies.people.reachability import Exposed, reach
from policies.people.responsibility import leaders_over
from support.invented_office import (
    CHINA,
    at,
    case,
    directory,
    obligation,
    official,
    policy,
    step,
    with_person,
    with_steps,
)

if TYPE_CHECKING:
    from policies.model import Case, Directory

NOW = at("2026-09-16 10:00")
CHAIN = ("first_handler", "section_head", "case_leader", "principal")
RULES = replace(policy(), chain=CHAIN, named={"case_leader": "bald"}, roles={"case_leader": "包案领导"})
SPONSOR = official("sponsor", "A")


def about(person: object = "sponsor", **more: object) -> Case:
    """A case that names its sponsor."""
    return replace(case(**more), fields={"bald": person})  # type: ignore[arg-type]


def found(the_case: Case, people: Directory, role: str = "case_leader") -> tuple[object, ...]:
    """Who gets it, in which role, whether the administrators are told, and why."""
    one = resolve_any(role, RULES, the_case, None, people, NOW, ("sms",))
    return one.person, one.role, one.fell, [reason.why for reason in one.reasons]


PEOPLE = with_person(SPONSOR)


def test_it_is_whoever_this_case_names() -> None:
    """Two leaders of one unit each have their own cases."""
    other = replace(PEOPLE, officials={**PEOPLE.officials, "17": official("17", "A")})
    assert found(about(), other) == ("sponsor", "case_leader", None, [])
    assert found(about(17), other) == ("17", "case_leader", None, [])


@pytest.mark.parametrize(
    ("the_case", "people", "fell", "why"),
    [
        (about(None), PEOPLE, Why.VACANT, Why.VACANT),
        (about(" "), PEOPLE, Why.VACANT, Why.VACANT),
        (about(recused=("sponsor",)), PEOPLE, None, Why.RECUSED),
        (about(), directory(), Why.VACANT, Why.VACANT),
        (about(), with_person(official("sponsor", "A", active=False)), Why.VACANT, Why.VACANT),
        (about(), with_person(replace(SPONSOR, addresses={})), Why.UNREACHABLE, Why.UNREACHABLE),
        (about(), replace(PEOPLE, delegations=(Delegation("sponsor", None),)), Why.VACANT, Why.VACANT),
    ],
)
def test_whoever_cannot_be_told_is_followed_by_the_posts_above(
    the_case: Case, people: Directory, fell: Why | None, why: Why
) -> None:
    """As for other persons: up the posts of the unit from his rank on, and the administrators hear of a gap."""
    assert found(the_case, people) == ("boss", "principal", fell, [why])


def test_his_substitute_stands_in() -> None:
    """Away with a substitute: the substitute, in the same role."""
    away = replace(PEOPLE, delegations=(Delegation("sponsor", "deputy"),))
    assert found(about(), away) == ("deputy", "case_leader", None, [Why.DELEGATED])


def test_what_goes_up_meets_him_on_the_way() -> None:
    """Below him in the chain, a gap and a failed delivery lead to him; above him to the next one."""
    nobody = replace(PEOPLE, posts=tuple(post for post in PEOPLE.posts if post.role != "section_head"))
    assert found(about(), nobody, "section_head")[:3] == ("sponsor", "case_leader", Why.VACANT)
    above = next_upward("section_head", "head", RULES, about(), None, PEOPLE, NOW, ("sms",))
    assert (above.person, above.role) == ("sponsor", "case_leader")
    last = next_upward("case_leader", "sponsor", RULES, about(), None, PEOPLE, NOW, ("sms",))
    assert (last.person, last.role) == ("boss", "principal")


def test_he_is_one_person_on_both_legs_with_his_rank_in_the_chain() -> None:
    """The legs are ways to posts; above the role that needs a release he waits for one."""
    legs = replace(RULES, legs=("functional", "territorial"), release_above="section_head")
    (one,) = resolve_all("case_leader", legs, about(), None, PEOPLE, NOW, ("sms",))
    assert (one.person, one.needs_release, rank_of("case_leader", legs)) == ("sponsor", True, 2)
    outside = replace(RULES, chain=("first_handler", "section_head", "principal"))
    off = resolve_any("case_leader", outside, about(None), None, PEOPLE, NOW, ("sms",))
    assert (off.person, off.role) == ("head", "section_head")


def test_he_answers_as_a_leader_and_is_looked_at_ahead() -> None:
    """Of those who answer over the unit, and of those the nights ahead will need."""
    leaders = [(one.role, one.official) for one in leaders_over("B", about(), PEOPLE, RULES, NOW)]
    assert ("case_leader", "sponsor") in leaders
    asks = replace(with_steps(step("x", "due 09:00", "case_leader")), chain=CHAIN, named=RULES.named)
    one = obligation()
    exposed = [Exposed(asks, one, about(person), None, CHINA) for person in ("sponsor", "boss")]
    needed = {each.person for each in reach(exposed, PEOPLE, ("sms",), NOW, one.due_at).people}
    assert {"sponsor", "boss"} <= needed


def test_a_post_that_becomes_a_person_of_the_case_is_a_difference() -> None:
    """Told with the field."""
    before = PolicySet("1", {RULES.id: replace(RULES, named={})})
    (told,) = difference(before, PolicySet("2", {RULES.id: RULES}))
    assert told.text.zh.endswith("由案件写明的角色由“无”改为“case_leader bald”")
