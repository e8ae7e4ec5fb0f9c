"""Two ways up, substitutes, recusal and release: who is told when it is not simply the one in the post."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.chain import Resolution, next_upward, rank_of, resolve_all, resolve_any
from policies.model import Case, Delegation, Directory, FirstHandler, OfficeUnit, Post, Why
from policies.people.seats import ADMINISTRATOR, role_title
from policies.people.ways import unit_for_place, units_upward
from support.invented_office import POSTS, at, case, directory, official, policy, with_person

if TYPE_CHECKING:
    from policies.model import Policy

NOW = at("2026-09-16 10:00")
BOTH = ("functional", "territorial")
TOWN = (
    OfficeUnit("A", "某市信访局", area="370100"),
    OfficeUnit("B", "乙科", "A"),
    OfficeUnit("C", "丙科", "A"),
    OfficeUnit("D", "甲区", parent="A", area="370102", area_parent="CITY"),
    OfficeUnit("CITY", "某市人民政府", area="3701"),
)
TOWN_POSTS = (
    *POSTS,
    Post("D", "section_head", "district_head"),
    Post("D", "principal", "district_boss"),
    Post("CITY", "principal", "mayor"),
)
KEYS = ("district_head", "district_boss", "mayor")


def town(**changes: Any) -> Directory:
    """The bureau and its sections, the district D with a way of its own to the city."""
    people = directory(units={unit.key: unit for unit in TOWN}, posts=TOWN_POSTS)
    officials = {**people.officials, **{key: official(key, "D") for key in KEYS}}
    return replace(people, officials=officials, **changes)


def placed(place: Any = "370102") -> Case:
    """A case of 乙科 about a matter in the district."""
    return replace(case(), fields={"area": place})


def both_legs() -> Policy:
    """The policy with both ways up."""
    return replace(policy(), legs=BOTH, place="area")


def found(role: str, people: Directory, the_case: Case | None = None) -> Resolution:
    """Who gets it today."""
    return resolve_any(role, policy(), the_case or case(), None, people, NOW, ("sms",))


def away(official_key: str, substitute: str | None = None, **changes: Any) -> Delegation:
    """Somebody is on leave, today included."""
    known = Delegation(official_key, substitute, at("2026-09-10 00:00"), at("2026-09-20 00:00"), "请2026-7号")
    return replace(known, **changes)


# --- the two ways -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "people"),
    [
        ("principal", [("boss", "principal"), ("district_boss", "principal@territorial")]),
        ("section_head", [("head", "section_head"), ("district_head", "section_head@territorial")]),
        ("principal@territorial", [("district_boss", "principal@territorial")]),
        ("principal@functional", [("boss", "principal@functional")]),
        ("deputy_leader@territorial", [("district_boss", "principal@territorial")]),
        ("handler", [("clerk", "handler")]),
        ("first_handler", [("clerk", "first_handler")]),
        ("administrator", [("root", "administrator")]),
    ],
)
def test_each_leg_has_a_recipient_of_its_own(role: str, people: list[tuple[str, str]]) -> None:
    """谁主管谁负责 and 属地管理: a plain role goes both ways, one bound to a leg only that one, a person neither."""
    resolutions = resolve_all(role, both_legs(), placed(), None, town(), NOW, ("sms",))
    assert [(one.person, one.role) for one in resolutions] == people


def test_resolution_says_which_role_was_meant() -> None:
    """On each leg `role` equals `meant` when the right post was reached, however it was asked for."""
    for role in ("principal", "principal@territorial", "principal@functional"):
        for one in resolve_all(role, both_legs(), placed(), None, town(), NOW, ("sms",)):
            assert one.role == one.meant
    fallen = resolve_any("deputy_leader@territorial", both_legs(), placed(), None, town(), NOW, ("sms",))
    assert (fallen.role, fallen.meant) == ("principal@territorial", "deputy_leader@territorial")


def test_territorial_policy_keeps_its_roles_plain() -> None:
    """Where the territorial leg is the policy's first, it is the functional one that is named."""
    rules = policy(legs=("territorial", "functional"), place="area")
    resolutions = resolve_all("principal", rules, placed(), None, town(), NOW, ("sms",))
    assert [(one.person, one.role) for one in resolutions] == [
        ("district_boss", "principal"),
        ("boss", "principal@functional"),
    ]


@pytest.mark.parametrize(
    ("place", "unit"),
    [
        ("370102", "D"),
        (370102, "D"),
        (370102.0, "D"),
        ("370102001", "D"),
        ("370102001003", "D"),
        ("370103", "A"),
        ("370100", "A"),
        ("379900", None),
        ("3", None),
        ("甲区", None),
        ("", None),
        (None, None),
        (True, None),
    ],
)
def test_place_is_answered_for_by_the_nearest_unit(place: object, unit: str | None) -> None:
    """An exact code, else the nearest place that contains it; where there is none the functional way is taken."""
    resolution = resolve_any("principal@territorial", both_legs(), placed(place), None, town(), NOW, ("sms",))
    expected = {"D": "district_boss", "A": "boss", None: "boss"}[unit]
    assert resolution.person == expected
    assert [reason.why for reason in resolution.reasons] == ([Why.FINDING] if unit is None else [])


def test_first_of_several_units_with_one_code_is_the_same_every_time() -> None:
    """The choice depends on the key, never on the order of rows; a code with other words fits only exactly."""
    units = {key: OfficeUnit(key, key, area="370102") for key in ("Z", "M")}
    assert unit_for_place("370102", directory(units=units)) == "M"
    assert unit_for_place("370102", directory(units=dict(reversed(units.items())))) == "M"
    named = directory(units={"N": OfficeUnit("N", "甲区", area="甲区")})
    assert unit_for_place("甲区", named) == "N"
    assert unit_for_place("甲区一街", named) == "N"


def test_territorial_way_goes_up_by_place() -> None:
    """`area_parent` leads, and where it is not said `parent` does; a circle ends once."""
    assert units_upward("D", town(), "territorial") == ("D", "CITY")
    assert units_upward("D", town()) == ("D", "A")
    assert units_upward("B", town(), "territorial") == ("B", "A")
    units = {
        "D": OfficeUnit("D", "甲区", area="370102", area_parent="E"),
        "E": OfficeUnit("E", "某市", area_parent="D"),
    }
    people = town(units=units, posts=())
    resolution = resolve_any("principal@territorial", both_legs(), placed(), None, people, NOW, ("sms",))
    assert (resolution.person, resolution.fell) == ("root", Why.VACANT)
    assert Why.FINDING in [reason.why for reason in resolution.reasons]


def test_one_person_on_both_legs_is_told_once() -> None:
    """Statement 43 across legs: the higher role counts."""
    posts = tuple(replace(post, official="boss") if post.official == "district_boss" else post for post in TOWN_POSTS)
    resolutions = resolve_all("principal", both_legs(), placed(), None, town(posts=posts), NOW, ("sms",))
    assert [one.person for one in resolutions] == ["boss"]


def test_holder_of_an_earlier_clock_has_his_own_way_up() -> None:
    """With a unit of its own the way up begins there, and the case's present handler is not meant."""
    resolution = resolve_any("section_head", policy(), case(), None, directory(), NOW, ("sms",), unit="C")
    assert (resolution.person, resolution.role) == ("head2", "section_head")
    handler = resolve_any("handler", policy(), case(), None, directory(), NOW, ("sms",), unit="C")
    assert (handler.person, handler.role, handler.fell) == ("head2", "section_head", None)


def test_undelivered_message_climbs_on_its_own_leg() -> None:
    """What went to the district goes on to the district's superior, not to the bureau's."""
    above = next_upward("principal@territorial", "district_boss", both_legs(), placed(), None, town(), NOW, ("sms",))
    assert (above.person, above.role, above.fell) == ("mayor", "principal@territorial", Why.UNDELIVERED)
    assert above.needs_release


def test_undelivered_message_to_the_first_unit_climbs_from_there() -> None:
    """The head of the first handler's unit is not found on the present unit's way: his own way goes on."""
    first = FirstHandler("XF001", "C", "clerk2", NOW, "accepted_at")
    above = next_upward("section_head", "head2", policy(), case(), first, directory(), NOW, ("sms",))
    assert (above.person, above.role) == ("deputy", "deputy_leader")


# --- leave and substitutes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delegations", "person", "fell", "whys"),
    [
        ((away("head", "clerk"),), "clerk", None, [Why.DELEGATED]),
        ((away("head", "clerk2"), away("clerk2", "clerk")), "clerk", None, [Why.DELEGATED]),
        ((away("head"),), "deputy", Why.VACANT, [Why.VACANT]),
        ((away("head", "clerk"), away("clerk", "head")), "deputy", Why.VACANT, [Why.VACANT]),
        ((away("head", "head"),), "deputy", Why.VACANT, [Why.VACANT]),
        ((away("head", "nobody_known"),), "deputy", Why.VACANT, [Why.DELEGATED, Why.VACANT]),
        ((away("head", "clerk", to_at=NOW),), "head", None, []),
        ((away("head", "clerk", from_at=at("2026-09-16 10:01")),), "head", None, []),
        ((away("head", "clerk", from_at=None, to_at=None),), "clerk", None, [Why.DELEGATED]),
        ((away("head"), away("head", "clerk")), "clerk", None, [Why.DELEGATED]),
        ((away("head", "clerk2"), away("head", "clerk", from_at=NOW)), "clerk", None, [Why.DELEGATED]),
    ],
)
def test_substitute_stands_in(
    delegations: tuple[Delegation, ...], person: str, fell: Why | None, whys: list[Why]
) -> None:
    """Away: the substitute of that day, or his; nobody or a circle: upward at once, and the administrators know."""
    resolution = found("section_head", directory(delegations=delegations))
    assert (resolution.person, resolution.fell) == (person, fell)
    assert [reason.why for reason in resolution.reasons] == whys
    assert resolution.stands_in_for == ("head" if whys == [Why.DELEGATED] else None)


def test_substitute_has_the_role_and_the_paper_is_named() -> None:
    """He gets it in the same role; the reason names both and the document."""
    resolution = found("section_head", directory(delegations=(away("head", "clerk"),)))
    assert (resolution.role, resolution.meant) == ("section_head", "section_head")
    assert resolution.reasons[0].text.zh == "科室负责人 head 不在岗，由 clerk 代理（请2026-7号）。"


def test_handler_on_leave_is_stood_in_for() -> None:
    """Persons are stood in for as posts are; without a substitute the head of the unit is told."""
    assert found("handler", directory(delegations=(away("clerk", "clerk2"),))).person == "clerk2"
    alone = found("handler", directory(delegations=(away("clerk"),)))
    assert (alone.person, alone.role, alone.fell) == ("head", "section_head", Why.VACANT)


def test_message_to_a_substitute_climbs_from_the_post_he_stands_in_for() -> None:
    """Undelivered to the substitute: the next post up, not the same post again."""
    people = directory(delegations=(away("head", "clerk"),))
    above = next_upward("section_head", "clerk", policy(), case(), None, people, NOW, ("sms",))
    assert (above.person, above.role) == ("deputy", "deputy_leader")


def test_administrator_on_leave_still_gets_what_nobody_else_can() -> None:
    """Never to nobody: the only administrator gets it though he is away; with a second one that one does."""
    people = directory(posts=(), delegations=(away("root"),))
    assert (found("principal", people).person, found("principal", people).fell) == ("root", Why.VACANT)
    assert found("principal", replace(people, administrators=("root", "watch"))).person == "watch"


# --- recusal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recused", "delegations", "person", "whys"),
    [
        (("head",), (), "deputy", [Why.RECUSED]),
        (("head", "deputy"), (), "boss", [Why.RECUSED, Why.RECUSED]),
        (("head",), (away("head", "clerk"),), "deputy", [Why.RECUSED]),
        (("clerk",), (away("head", "clerk"),), "deputy", [Why.DELEGATED, Why.RECUSED]),
        (("head", "deputy", "boss"), (), "root", [Why.RECUSED] * 3),
    ],
)
def test_recused_seat_is_passed_over(
    recused: tuple[str, ...], delegations: tuple[Delegation, ...], person: str, whys: list[Why]
) -> None:
    """回避: one up, also past substitutes, without alarm and without saying why."""
    resolution = found("section_head", directory(delegations=delegations), case(recused=recused))
    assert (resolution.person, resolution.fell, [reason.why for reason in resolution.reasons]) == (person, None, whys)


def test_recused_administrators_are_passed_over_too() -> None:
    """The last resort may be concerned himself: the next administrator, at last nobody and the reason."""
    people = directory(posts=(), administrators=("root", "watch"))
    assert found("principal", people, case(recused=("root",))).person == "watch"
    assert found("principal", people, case(recused=("root", "watch"))).fell is Why.NOBODY


# --- release ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "above", "posts", "waits"),
    [
        ("section_head", "principal", TOWN_POSTS, False),
        ("principal", "principal", TOWN_POSTS, False),
        ("principal", "deputy_leader", TOWN_POSTS, True),
        ("principal", None, TOWN_POSTS, False),
        ("mayor", "principal", (*TOWN_POSTS, Post("CITY", "mayor", "mayor")), True),
        ("inspector", "principal", TOWN_POSTS, False),
        ("inspector", "principal", (*POSTS[:-1], Post("CITY", "inspector", "watch")), False),
        (
            "principal",
            "principal",
            (*TOWN_POSTS[:-2], TOWN_POSTS[-1], Post("A", "principal", "gone", to_at=NOW)),
            False,
        ),
        ("administrator", "principal", TOWN_POSTS, False),
    ],
)
def test_message_above_the_leader_waits(
    role: str,
    above: str | None,
    posts: tuple[Post, ...],
    waits: bool,
) -> None:
    """Above the role in the chain, or in a unit above his: a human releases it first."""
    units = {unit.key: unit for unit in TOWN} | {"A": OfficeUnit("A", "某市信访局", "CITY")}
    rules = policy(release_above=above)
    resolution = resolve_any(role, rules, case(), None, town(units=units, posts=posts), NOW, ("sms",))
    assert resolution.needs_release is waits


def test_falling_past_a_vacant_leader_waits_for_release() -> None:
    """The leader's post is empty: the city's principal is above him and is asked only with a human's release."""
    units = {unit.key: unit for unit in TOWN} | {"A": OfficeUnit("A", "某市信访局", "CITY")}
    posts = tuple(replace(post, to_at=NOW) if post.official == "boss" else post for post in TOWN_POSTS)
    resolution = found("principal", town(units=units, posts=posts))
    assert (resolution.person, resolution.fell, resolution.needs_release) == ("mayor", Why.VACANT, True)


def test_roles_on_a_leg_are_named_and_ranked_as_without_it() -> None:
    """属地主要负责人 ranks as 主要负责人."""
    assert role_title("principal@territorial").zh == "属地主要负责人"
    assert role_title("principal@territorial").en == "territorial principal"
    assert rank_of("principal@territorial", policy()) == rank_of("principal", policy())


# --- invariants -------------------------------------------------------------------------------------------------

PEOPLE = ("clerk", "clerk2", "head", "head2", "deputy", "boss", "watch", "root")
ROLES = ("first_handler", "handler", "section_head", "deputy_leader", "principal", "inspector")
people_of = st.sampled_from(PEOPLE)


def office_of(posts: list[Post], delegations: list[Delegation], gone: str, silent: str) -> Directory:
    """An office with these posts and absences; one has left it, one has no number."""
    left = with_person(official(gone, "B", active=False), posts=tuple(posts), delegations=tuple(delegations))
    officials = {**left.officials, silent: official(silent, "B", addresses={})}
    return replace(left, officials=officials, administrators=("root", "watch"))


def case_of(handler: str | None, unit: str | None, recused: list[str], place: str | None) -> Case:
    """A case somewhere, of which some must not hear."""
    return replace(case(), handler=handler, unit=unit, recused=tuple(recused), fields={"area": place})


offices = st.builds(
    office_of,
    st.lists(st.builds(Post, st.sampled_from("ABC"), st.sampled_from(ROLES[2:]), people_of), max_size=8),
    st.lists(st.builds(away, people_of, st.none() | people_of), max_size=6),
    st.sampled_from(PEOPLE[:6]),
    st.sampled_from(PEOPLE[:6]),
)
cases = st.builds(
    case_of,
    st.none() | people_of,
    st.none() | st.sampled_from("ABCX"),
    st.lists(people_of, max_size=4, unique=True),
    st.sampled_from(["370102", "370100", "999999", None]),
)


@given(offices, cases, st.sampled_from([*ROLES, "principal@territorial", "unheard_of"]), st.booleans())
def test_never_nobody_never_the_recused_never_twice(people: Directory, the_case: Case, role: str, two: bool) -> None:
    """An administrator who may hear of it is always left; nobody recused is told; each person at most once."""
    rules = both_legs() if two else policy()
    resolutions = resolve_all(role, rules, the_case, None, people, NOW, ("sms",))
    told = [one.person for one in resolutions]
    assert len(told) == len(set(told))
    assert not set(told) & set(the_case.recused)
    if set(people.administrators) - set(the_case.recused):
        assert told
        assert None not in told
    assert all(not one.needs_release for one in resolutions if one.role == ADMINISTRATOR)


@given(offices, cases, st.sampled_from(ROLES))
def test_climbing_ends_and_never_returns(people: Directory, the_case: Case, role: str) -> None:
    """Failing again and again reaches everybody at most once per role, never the recused, and ends in a reason."""
    resolution = resolve_any(role, policy(), the_case, None, people, NOW, ("sms",))
    seen: set[tuple[str, str]] = set()
    while resolution.person is not None:
        assert resolution.person not in the_case.recused
        assert (resolution.role, resolution.person) not in seen
        seen.add((resolution.role, resolution.person))
        resolution = next_upward(resolution.role, resolution.person, policy(), the_case, None, people, NOW, ("sms",))
    assert resolution.reasons[-1].why is Why.NOBODY
