"""Who will be needed and could not be told: found before the message, not after."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.chain import resolve_any
from policies.ladders.rungs import timeline
from policies.model import Delegation, FirstHandler, Post, RestrictedRule
from policies.people.reachability import GRAVE, Exposed, Lack, Reach, Reached, reach
from support.invented_office import CHINA, LADDER, POSTS, at, case, directory, obligation, official, policy, with_person

if TYPE_CHECKING:
    from policies.model import Case, Directory, Policy

NOW = at("2026-09-17 02:00")
UNTIL = NOW + timedelta(days=30)
KINDS = ("sms", "email")


def looked(
    people: Directory,
    *cases: Case,
    rules: Policy | None = None,
    until: datetime = UNTIL,
    first: FirstHandler | None = None,
) -> Reach:
    """The forecast for these cases."""
    rules = rules or policy()
    exposed = [Exposed(rules, obligation(one, NOW, rules), one, first, CHINA) for one in cases or (case(),)]
    return reach(exposed, people, KINDS, NOW, until)


def of(person: str | None, found: Reach) -> Reached:
    """What was found about somebody."""
    return next(one for one in found.people if one.person == person)


def lacks(person: str | None, found: Reach) -> list[Lack]:
    """What is wrong with somebody."""
    return [one.lack for one in of(person, found).shortcomings]


def test_everybody_the_ladder_speaks_to_is_looked_at() -> None:
    """All in order: each with his roles and the number of cases, nothing wrong."""
    found = looked(directory(), case(), replace(case(), key="XF002"))
    assert {one.person: (one.roles, one.cases) for one in found.people} == {
        "clerk": (("first_handler",), 2),
        "head": (("section_head",), 2),
        "deputy": (("deputy_leader",), 2),
        "watch": (("inspector",), 2),
        "boss": (("principal",), 2),
    }
    assert (found.unreachable, found.cases) == ((), 2)


def test_only_the_steps_of_that_time_count() -> None:
    """Before the limit nobody but the handler and his head is needed."""
    found = looked(directory(), until=at("2026-09-30 23:00"))
    assert {one.person for one in found.people} == {"clerk"}
    assert looked(directory(), until=NOW).people == ()


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"active": False}, [Lack.GONE]),
        ({"addresses": {}}, [Lack.NO_ADDRESS]),
        ({"addresses": {"wechat": "x"}}, [Lack.NO_ADDRESS]),
        ({"addresses": {"email": "head@example.com"}}, [Lack.ONE_ADDRESS]),
        ({"addresses": {"sms": "13800000000", "email": "head@example.com"}}, [Lack.IMPLAUSIBLE]),
        ({"addresses": {"sms": "12345", "email": "head@example"}}, [Lack.IMPLAUSIBLE, Lack.IMPLAUSIBLE]),
        ({"addresses": {"sms": "+8613912345678", "email": "head@example.com"}}, []),
        ({"addresses": {"sms": "+8612912345678", "email": "head@example.com"}}, [Lack.IMPLAUSIBLE]),
    ],
)
def test_addresses_are_there_and_plausible(changed: dict[str, object], wrong: list[Lack]) -> None:
    """No address at all is grave, one kind or an odd one is a remark; no address appears in the words."""
    found = looked(with_person(official("head", "B", **changed)))
    assert sorted(lacks("head", found)) == sorted(wrong)
    assert of("head", found).grave is bool(set(wrong) & GRAVE)
    assert "example" not in repr(of("head", found).shortcomings)
    assert "138" not in repr(of("head", found).shortcomings)


def test_one_who_cannot_be_told_brings_in_the_next_one_up() -> None:
    """Whoever stands in for the unreachable is needed for one role more."""
    found = looked(with_person(official("deputy", "A", addresses={})))
    assert of("deputy", found).grave
    assert "principal" in of("boss", found).roles
    assert found.people[0].person == "deputy"


def absent(person: str, substitute: str | None, since: str, until: str) -> Delegation:
    """Leave."""
    return Delegation(person, substitute, at(since), at(until), "请7")


@pytest.mark.parametrize(
    ("delegations", "wrong"),
    [
        ((absent("head", None, "2026-10-01 00:00", "2026-10-09 00:00"),), [Lack.AWAY]),
        ((absent("head", "clerk", "2026-10-01 00:00", "2026-10-09 00:00"),), [Lack.STOOD_IN]),
        ((absent("head", "mute", "2026-10-01 00:00", "2026-10-09 00:00"),), [Lack.SUBSTITUTE]),
        ((absent("head", None, "2026-11-01 00:00", "2026-11-09 00:00"),), []),
        ((absent("head", None, "2026-09-01 00:00", "2026-09-16 00:00"),), []),
        (
            (
                absent("head", "clerk", "2026-10-01 00:00", "2026-10-09 00:00"),
                absent("clerk", None, "2026-09-30 00:00", "2026-10-20 00:00"),
            ),
            [Lack.AWAY],
        ),
    ],
)
def test_leave_in_that_time_is_seen(delegations: tuple[Delegation, ...], wrong: list[Lack]) -> None:
    """Away with nobody to stand in, or with somebody who cannot be told, is grave; stood in for is a remark."""
    found = looked(directory(delegations=delegations))
    assert lacks("head", found) == wrong


def test_post_that_ends_without_a_successor_is_seen() -> None:
    """A post that ends in that time; a successor from that instant on, or a later end, is fine."""
    ending = Post("A", "principal", "boss", to_at=at("2026-10-01 00:00"))
    rest = tuple(post for post in POSTS if post.role != "principal")
    found = looked(directory(posts=(*rest, ending)))
    assert lacks("boss", found) == [Lack.POST_ENDS]
    follower = Post("A", "principal", "watch", from_at=at("2026-10-01 00:00"))
    assert lacks("boss", looked(directory(posts=(*rest, ending, follower)))) == []
    assert lacks("boss", looked(directory(posts=(*rest, replace(ending, to_at=UNTIL + timedelta(1)))))) == []


def test_vacant_post_is_an_entry_of_its_own() -> None:
    """Nobody holds the post: named by unit and role, and whoever is above is needed instead."""
    posts = (Post("B", "section_head", "head", to_at=NOW), *POSTS[1:])
    found = looked(directory(posts=posts))
    empty = of(None, found)
    assert (empty.unit, empty.roles, empty.grave) == ("B", ("section_head",), True)
    assert "section_head" not in {role for one in found.people if one.person for role in one.roles}


def test_superior_nobody_knows_is_a_remark() -> None:
    """With nobody above but the administrators; the top of the chain needs none."""
    found = looked(directory(posts=(POSTS[0],)))
    assert lacks("head", found) == [Lack.NO_SUPERIOR]
    assert Lack.NO_SUPERIOR not in lacks("boss", looked(directory()))


def test_restricted_case_needs_only_those_it_names() -> None:
    """Statement 42: the general chain is not even looked at."""
    rules = policy(restricted=RestrictedRule(("watch", "unheard")))
    found = looked(directory(), replace(case(), restricted=True), rules=rules)
    assert {one.person for one in found.people} == {"watch", "unheard"}
    assert lacks("unheard", found) == [Lack.GONE]


def test_recused_are_not_needed() -> None:
    """Whoever must not hear of a case is not counted for it."""
    found = looked(directory(), replace(case(), recused=("head",)))
    assert "head" not in {one.person for one in found.people}


def test_first_handler_who_left_the_case_stays_needed() -> None:
    """After a transfer he is still informed, so he is looked at too."""
    first = FirstHandler("XF001", "C", "clerk2", NOW, "accepted_at")
    assert of("clerk2", looked(directory(), first=first)).roles == ("first_handler",)


silent = st.sets(st.sampled_from(["clerk", "head", "deputy", "boss", "watch"]))


@given(silent, silent)
def test_whoever_a_step_would_reach_is_in_the_forecast(mute: set[str], gone: set[str]) -> None:
    """What the chain will answer at each step has been looked at beforehand."""
    people = directory()
    officials = {
        key: official(key, one.unit or "", addresses={} if key in mute else one.addresses, active=key not in gone)
        for key, one in people.officials.items()
    }
    people = replace(people, officials=officials)
    found = {one.person for one in looked(people).people}
    rules = policy()
    for rung in timeline(LADDER, obligation(), case().milestones, CHINA):
        if NOW < rung.at <= UNTIL:
            for role in (*rung.step.to, *rung.step.cc):
                assert resolve_any(role, rules, case(), None, people, rung.at, KINDS).person in found
