"""From a role to a person, upward when nobody is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.chain import next_upward, rank_of, resolve_any
from policies.model import Case, Directory, FirstHandler, OfficeUnit, Post, Why
from policies.people.seats import role_title
from policies.people.ways import units_upward
from support.invented_office import POSTS, at, case, directory, official, policy, with_person

NOW = at("2026-09-16 10:00")
FIRST = FirstHandler("XF001", "C", "clerk2", NOW, "accepted_at")


def whys(people: Directory, role: str, the_case: Case | None = None, kind: str | None = "sms") -> tuple[object, ...]:
    """Who gets it, in which role, whether administrators are told, and the reasons."""
    found = resolve_any(role, policy(), the_case or case(), None, people, NOW, None if kind is None else (kind,))
    return found.person, found.role, found.fell, [reason.why for reason in found.reasons]


@pytest.mark.parametrize(
    ("role", "person"),
    [
        ("first_handler", "clerk"),
        ("handler", "clerk"),
        ("section_head", "head"),
        ("deputy_leader", "deputy"),
        ("principal", "boss"),
        ("inspector", "watch"),
        ("administrator", "root"),
    ],
)
def test_role_is_the_person_in_it_today(role: str, person: str) -> None:
    """Every role is found where it sits, in the unit or above it, and that is no vacancy."""
    assert whys(directory(), role) == (person, role, None, [])


def test_frozen_first_handler_is_told_wherever_the_case_is() -> None:
    """After a transfer the first handler stays the person frozen, not the present handler."""
    found = resolve_any("first_handler", policy(), case(), FIRST, directory(), NOW, ("sms",))
    assert (found.person, found.role) == ("clerk2", "first_handler")


def test_first_handler_who_left_falls_to_the_head_of_his_own_unit() -> None:
    """The duty stays with the unit that was first, not with the one that has the case now (domain 2.3)."""
    people = with_person(official("clerk2", "C", active=False))
    found = resolve_any("first_handler", policy(), case(), FIRST, people, NOW, ("sms",))
    assert (found.person, found.role, found.fell) == ("head2", "section_head", Why.VACANT)


def test_unassigned_case_goes_to_the_head_of_the_unit_without_alarm() -> None:
    """A case nobody was given yet is the head's; that is recorded but no vacant post."""
    assert whys(directory(), "handler", case(handler=None)) == ("head", "section_head", None, [Why.VACANT])


@pytest.mark.parametrize(
    ("posts", "person", "role"),
    [
        (POSTS[1:], "deputy", "deputy_leader"),
        ((Post("B", "section_head", "head", to_at=NOW), *POSTS[1:]), "deputy", "deputy_leader"),
        ((Post("B", "section_head", "head", from_at=at("2026-09-17 00:00")), *POSTS[1:]), "deputy", "deputy_leader"),
        ((Post("B", "principal", "clerk"), *POSTS[1:]), "clerk", "principal"),
        ((), "root", "administrator"),
    ],
)
def test_vacant_post_falls_upward(posts: tuple[Post, ...], person: str, role: str) -> None:
    """Statement 41: nobody in the post, no longer or not yet: the next one up, at last an administrator."""
    assert whys(directory(posts=posts), "section_head")[:3] == (person, role, Why.VACANT)


def test_person_without_number_falls_upward() -> None:
    """Statement 41: no address of the kind wanted is as good as nobody."""
    people = with_person(official("head", "B", addresses={"email": "head@example.com"}))
    assert whys(people, "section_head") == ("deputy", "deputy_leader", Why.UNREACHABLE, [Why.UNREACHABLE])
    assert whys(people, "section_head", kind="email") == ("head", "section_head", None, [])
    assert whys(people, "section_head", kind=None) == ("head", "section_head", None, [])


def test_latest_appointed_holder_is_the_one() -> None:
    """Two in one post: the later appointment counts, then the key; the choice never depends on the order of rows."""
    earlier, later = Post("B", "section_head", "head", at("2026-01-01 00:00")), Post("B", "section_head", "clerk")
    newest = Post("B", "section_head", "head2", at("2026-09-01 00:00"))
    for posts in ((earlier, later, newest), (newest, later, earlier)):
        assert whys(directory(posts=posts), "section_head")[0] == "head2"


def test_units_in_a_loop_end_with_the_administrator_and_are_told() -> None:
    """A loop among the units is followed once and reported."""
    units = {"A": OfficeUnit("A", "甲区", "B"), "B": OfficeUnit("B", "乙科", "A")}
    person, role, _, reasons = whys(directory(units=units, posts=()), "section_head")
    assert (person, role) == ("root", "administrator")
    assert Why.FINDING in reasons  # type: ignore[operator]
    assert units_upward("B", directory(units=units)) == ("B", "A")
    assert units_upward("A", directory(units={"A": OfficeUnit("A", "甲区", "A")})) == ("A",)


@pytest.mark.parametrize("unit", [None, "gone"])
def test_case_without_a_known_unit_goes_to_the_administrator(unit: str | None) -> None:
    """A case that belongs to no unit we know alarms the administrators rather than nobody."""
    assert whys(directory(), "section_head", case(unit=unit))[:3] == ("root", "administrator", Why.VACANT)


def test_nobody_at_all_is_said() -> None:
    """With no administrator either, the answer is nobody, and why."""
    person, _, fell, reasons = whys(directory(posts=(), administrators=()), "principal")
    assert (person, fell, reasons) == (None, Why.NOBODY, [Why.NOBODY])


def test_next_upward_leads_from_the_handler_to_the_last_administrator_and_ends() -> None:
    """A message that cannot be delivered climbs seat by seat, never twice to one person, and ends in a reason."""
    people = replace(directory(), administrators=("root", "watch"))
    role, person, way = "first_handler", "clerk", list[str]()
    while True:
        found = next_upward(role, person, policy(), case(), None, people, NOW, ("sms",))
        if found.person is None:
            break
        role, person = found.role, found.person
        way.append(person)
    assert way == ["head", "deputy", "boss", "root", "watch"]
    assert found.reasons[-1].why is Why.NOBODY


def test_roles_have_titles_and_ranks() -> None:
    """Known roles are named in the office's words; a role of one's own keeps its name and ranks below the chain."""
    assert role_title("deputy_leader").zh == "分管领导"
    assert role_title("包案领导").zh == "包案领导"
    assert rank_of("principal", policy()) > rank_of("section_head", policy()) > rank_of("inspector", policy())


def test_nobody_below_him_is_next_above_a_leader_who_handles_a_case_himself() -> None:
    """What cannot be delivered to the principal as first handler does not go down to his own deputy."""
    mine = case(unit="A", handler="boss")
    found = next_upward("first_handler", "boss", policy(), mine, None, directory(), NOW, ("sms",))
    assert (found.person, found.role) == ("root", "administrator")
