"""Whom a step reaches, and how: channels in order, restricted lists, releases, hand-backs, holders, substitutes."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from policies.duration import parse_duration
from policies.evaluate import after_failure, after_transfer, evaluate
from policies.model import (
    Delegation,
    DigestRule,
    FirstHandlerRule,
    History,
    Movement,
    Notice,
    ObligationState,
    OfficeUnit,
    Plan,
    Policy,
    Post,
    QuietHours,
    RestrictedRule,
    Transfer,
    Via,
    Why,
)
from support.invented_office import (
    CHINA,
    KINDS,
    POSTS,
    at,
    case,
    counted,
    decide,
    directory,
    finish,
    limit,
    obligation,
    official,
    policy,
    step,
    with_person,
    with_steps,
)

if TYPE_CHECKING:
    from policies.model import Case, Directory, Obligation

START = at("2026-09-16 10:00")


def told(plan: Plan) -> list[tuple[str, str, str]]:
    """Who is told what over which channel."""
    return [(notice.step, notice.person, notice.channel) for notice in plan.notices]


def whys(plan: Plan) -> list[Why]:
    """The reasons of a plan, in order."""
    return [reason.why for reason in plan.reasons]


def failed(notice: Notice, rules: Policy, people: Directory | None = None, **more: Any) -> Plan:
    """What follows when that notice cannot be delivered."""
    the_case: Case = more.pop("the_case", case())
    one: Obligation = more.pop("one", obligation(the_case, rules=rules))
    now = more.pop("now", START)
    return after_failure(rules, one, the_case, notice, people or directory(), None, CHINA, now, KINDS)


# --- one channel after the other ----------------------------------------------------------------------------------

IN_ORDER = with_steps(
    step("x", "start", "handler", via=Via(("sms", "email"), in_order=True, wait=parse_duration("30 分钟"))),
)


def test_one_channel_after_the_other() -> None:
    """The first channel that reaches him, the rest in its stead, and how long to wait for a receipt."""
    (notice,) = decide(START, rules=IN_ORDER).notices
    assert (notice.channel, notice.instead, notice.wait) == ("sms", ("email",), timedelta(minutes=30))
    without = with_person(official("clerk", "B", addresses={"email": "clerk@example.com"}))
    (notice,) = decide(START, rules=IN_ORDER, people=without).notices
    assert (notice.channel, notice.instead) == ("email", ())


def test_failure_tries_the_next_channel_of_the_same_person_before_anybody_else() -> None:
    """Statement 36: next channel, then next level; each with its reason and a key of its own."""
    way, notice = list[tuple[str, str, tuple[str, ...]]](), decide(START, rules=IN_ORDER).notices[0]
    keys = {notice.key}
    while plan := failed(notice, IN_ORDER).notices:
        notice = plan[0]
        assert notice.why is Why.UNDELIVERED
        assert notice.key not in keys
        keys.add(notice.key)
        way.append((notice.person, notice.channel, notice.instead))
    assert way == [
        ("clerk", "email", ()),
        ("head", "sms", ("email",)),
        ("head", "email", ()),
        ("deputy", "sms", ("email",)),
        ("deputy", "email", ()),
        ("boss", "sms", ("email",)),
        ("boss", "email", ()),
        ("root", "sms", ("email",)),
        ("root", "email", ()),
    ]
    assert whys(failed(notice, IN_ORDER)) == [Why.UNDELIVERED, Why.NOBODY]
    first = failed(decide(START, rules=IN_ORDER).notices[0], IN_ORDER)
    assert [reason.text.zh for reason in first.reasons] == ["发给承办人 clerk 的 sms 未能送达，改用 email。"]


def test_channel_lost_meanwhile_is_not_tried() -> None:
    """Who has lost his mailbox since is passed over: the next person up is told."""
    notice = decide(START, rules=IN_ORDER).notices[0]
    people = with_person(official("clerk", "B", addresses={"sms": "13800000001"}))
    assert told(failed(notice, IN_ORDER, people)) == [("x", "head", "sms")]


def test_what_falls_upward_at_night_waits_for_the_morning() -> None:
    """A failure is courteous too, unless its step may wake."""
    night = replace(IN_ORDER, quiet=QuietHours(time(22), time(7, 30)))
    notice = decide(START, rules=night).notices[0]
    late = failed(notice, night, now=at("2026-09-16 23:00"))
    assert [n.hold_until for n in late.notices] == [at("2026-09-17 07:30")]
    assert Why.QUIET in whys(late)


# --- restricted cases ---------------------------------------------------------------------------------------------

LISTED = policy(restricted=RestrictedRule(("watch", "boss", "gone"), "restricted"), digest=DigestRule())
SECRET = case(restricted=True)


def test_only_the_list_hears_of_a_restricted_case_and_nothing_of_its_content() -> None:
    """Statement 42: those on the list, each one; the number, the day and the light; never gathered."""
    plan = decide(START, rules=LISTED, the_case=SECRET)
    assert [(n.person, n.role, n.say, n.digest) for n in plan.notices] == [
        ("watch", "restricted", "restricted", False),
        ("boss", "restricted", "restricted", False),
    ]
    assert all(set(n.facts) == {"case", "due_at", "due_day", "light"} for n in plan.notices)
    assert whys(plan)[:3] == [Why.DUE, Why.RESTRICTED, Why.VACANT]


def test_after_an_outage_the_list_is_told_once_and_not_of_what() -> None:
    """The missed steps are in the reasons only."""
    plan = decide(at("2026-10-14 09:00"), rules=LISTED, the_case=SECRET)
    assert [(n.person, n.missed) for n in plan.notices] == [("watch", ()), ("boss", ())]


@pytest.mark.parametrize(
    ("listed", "recused", "reasons"),
    [
        (("gone",), (), [Why.RESTRICTED, Why.VACANT, Why.NOBODY]),
        (("watch",), ("watch",), [Why.RESTRICTED, Why.RECUSED, Why.NOBODY]),
        (("mute",), (), [Why.RESTRICTED, Why.UNREACHABLE, Why.NOBODY]),
        ((), (), [Why.RESTRICTED]),
    ],
)
def test_nobody_else_hears_if_the_list_cannot_be_reached(
    listed: tuple[str, ...], recused: tuple[str, ...], reasons: list[Why]
) -> None:
    """No administrator, no chief: the failure shows as a reason, and nothing leaves the house."""
    rules = policy(restricted=RestrictedRule(listed))
    people = with_person(official("mute", "A", addresses={}))
    plan = decide(START, rules=rules, the_case=replace(SECRET, recused=recused), people=people)
    assert plan.notices == ()
    assert [why for why in whys(plan) if why is not Why.NOT_YET] == [Why.DUE, *reasons]


def test_failure_of_a_restricted_notice_never_climbs() -> None:
    """Another channel of the same person, then nobody; nor does a general notice of a case restricted since."""
    rules = replace(LISTED, via=Via(("sms", "email"), in_order=True))
    first = decide(START, rules=rules, the_case=SECRET).notices[0]
    second = failed(first, rules, the_case=SECRET)
    assert told(second) == [("assigned", "watch", "email")]
    assert set(second.notices[0].facts) == {"case", "due_at", "due_day", "light"}
    end = failed(second.notices[0], rules, the_case=SECRET)
    assert (end.notices, whys(end)) == ((), [Why.RESTRICTED])
    general = decide(START, rules=rules).notices[0]
    assert failed(general, rules, the_case=SECRET).notices == ()
    assert failed(first, rules).notices == ()


def test_restricted_notice_stays_with_the_one_on_the_list() -> None:
    """The list is of persons: whoever takes over a post does not take over what is restricted."""
    notice = decide(START, rules=LISTED, the_case=SECRET).notices[0]
    people = directory(posts=(*POSTS[:-1], Post("A", "inspector", "boss")))
    one = obligation(SECRET, rules=LISTED)
    assert after_transfer(LISTED, one, SECRET, notice, people, None, CHINA, START, KINDS) is None


# --- release ------------------------------------------------------------------------------------------------------

CITY = Post("Z", "principal", "mayor")


def tall(**changes: Any) -> Directory:
    """The bureau under a city hall, whose head must not be told without a human's release."""
    people = with_person(official("mayor", "Z"), posts=(*POSTS, CITY), **changes)
    units = {**people.units, "Z": OfficeUnit("Z", "某市"), "A": OfficeUnit("A", "某市信访局", "Z")}
    return replace(people, units=units)


UPWARD = with_steps(
    step("x", "start", "mayor_role", cc=("section_head",)),
    chain=("first_handler", "section_head", "deputy_leader", "principal", "mayor_role"),
)


def test_what_goes_above_the_leader_waits_and_the_inspector_is_told_at_once() -> None:
    """The notice is there, marked; the one who can release it hears of it; the copy to the head does not wait."""
    people = tall()
    people = replace(people, posts=(*POSTS, Post("Z", "mayor_role", "mayor")))
    plan = decide(START, rules=UPWARD, people=people)
    assert [(n.step, n.person, n.release, n.say, n.copy) for n in plan.notices] == [
        ("x", "mayor", True, "x", False),
        ("x", "head", False, "x", True),
        ("x.release", "watch", False, "release_wanted", True),
    ]
    wanted = plan.notices[-1]
    assert (wanted.why, wanted.facts["awaits_name"]) == (Why.RELEASE, "某mayor")
    assert Why.RELEASE in whys(plan)
    assert len({notice.key for notice in plan.notices}) == 3


def test_two_roles_that_both_wait_are_one_notice_that_waits() -> None:
    """Who stands above the leader in both of his roles still gets nothing before it is released."""
    people = replace(tall(), posts=(*POSTS, Post("Z", "mayor_role", "mayor"), Post("Z", "watcher", "mayor")))
    rules = replace(UPWARD, ladders=with_steps(step("x", "start", "mayor_role", "watcher")).ladders)
    plan = decide(START, rules=rules, people=people)
    assert [(n.person, n.release) for n in plan.notices if n.step == "x"] == [("mayor", True)]


def test_administrator_is_asked_where_there_is_no_inspector() -> None:
    """Somebody is always asked, and never one who would need a release himself."""
    people = replace(tall(), posts=(*POSTS[:-1], Post("Z", "mayor_role", "mayor"), Post("Z", "inspector", "mayor")))
    plan = decide(START, rules=UPWARD, people=people)
    assert [n.person for n in plan.notices if n.step == "x.release"] == ["root"]


def test_failure_that_climbs_above_the_leader_waits_as_well() -> None:
    """A message to the principal that cannot be delivered goes to the one above only once it is released."""
    rules = with_steps(step("x", "start", "principal"))
    notice = decide(START, rules=rules, people=tall()).notices[0]
    assert (notice.person, notice.release) == ("boss", False)
    plan = failed(notice, rules, tall())
    assert [(n.step, n.person, n.release) for n in plan.notices] == [
        ("x", "mayor", True),
        ("x.release", "watch", False),
    ]
    open_door = replace(rules, release_above=None)
    assert [(n.person, n.release) for n in failed(notice, open_door, tall()).notices] == [("mayor", False)]


# --- hand-backs ---------------------------------------------------------------------------------------------------


def back(day: str, seq: int) -> Transfer:
    """The case was to be handed back on that day."""
    return Transfer(seq, at(f"{day} 12:00"), "A", from_unit="B", kind=Movement.HAND_BACK)


SHIRKED = policy(limit(), finish(), first_handler=FirstHandlerRule(("arrived_at",), handbacks_allowed=1))
TWICE = (back("2026-09-17", 1), back("2026-09-18", 2))


def both_limits(now: str, histories: dict[str, History], the_case: Case) -> list[Notice]:
    """What both limits of the case say of hand-backs at that time; their histories move on."""
    notices = list[Notice]()
    for one in counted(the_case, at(now), SHIRKED).obligations:
        plan = evaluate(
            SHIRKED, one, the_case, histories.get(one.limit, History()), directory(), None, CHINA, at(now), KINDS
        )
        histories[one.limit] = plan.history
        notices += [notice for notice in plan.notices if notice.say == "shirking"]
    return notices


def test_each_further_hand_back_is_told_once_by_one_limit() -> None:
    """The first is allowed, the second and the third are told to the inspector, whatever limit runs by then."""
    histories = dict[str, History]()
    once = case(transfers=TWICE[:1])
    assert both_limits("2026-09-17 13:00", histories, once) == []
    (notice,) = both_limits("2026-09-18 13:00", histories, case(transfers=TWICE))
    assert (notice.step, notice.person, notice.why, notice.limit) == ("handback.2", "watch", Why.SHIRKING, "notify")
    assert (notice.facts["handbacks"], notice.facts["handbacks_allowed"]) == (2, 1)
    assert both_limits("2026-09-18 14:00", histories, case(transfers=TWICE)) == []
    met = {"arrived_at": START, "notified_at": at("2026-09-19 10:00")}
    assert both_limits("2026-09-19 12:00", histories, case(transfers=TWICE, milestones=met)) == []
    (third,) = both_limits(
        "2026-09-20 13:00", histories, case(transfers=(*TWICE, back("2026-09-20", 3)), milestones=met)
    )
    assert (third.step, third.limit) == ("handback.3", "finish")


def test_several_hand_backs_at_once_are_one_message() -> None:
    """Seen first after the third: one notice, the second listed, each with its reason."""
    three = case(transfers=(*TWICE, back("2026-09-19", 3)))
    (notice,) = both_limits("2026-09-20 13:00", {}, three)
    assert (notice.step, notice.missed) == ("handback.3", ("handback.2",))


def test_hand_backs_of_a_restricted_case_are_told_to_nobody() -> None:
    """The inspector is not on the list: a reason is all there is."""
    secret = case(transfers=TWICE, restricted=True)
    plan = evaluate(
        SHIRKED, obligation(secret), secret, History({"start": START}), directory(), None, CHINA,
        at("2026-09-18 13:00"), KINDS,
    )  # fmt: skip
    assert plan.notices == ()
    assert {Why.SHIRKING, Why.RESTRICTED} <= set(whys(plan))


# --- holders and substitutes --------------------------------------------------------------------------------------


def test_clock_of_a_holder_speaks_to_that_holders_chain() -> None:
    """The unit that had the case is spoken to about its own clock, though another has it now."""
    rules = with_steps(step("x", "start", "handler", cc=("section_head",)))
    one = replace(obligation(rules=rules), holder_unit="C", holder_official="clerk2", instance="2")
    plan = decide(START, rules=rules, one=one)
    assert [(n.person, n.facts["unit_name"], n.instance) for n in plan.notices] == [
        ("clerk2", "丙科", "2"),
        ("head2", "丙科", "2"),
    ]
    unnamed = decide(START, rules=rules, one=replace(one, holder_official=None))
    assert {n.person for n in unnamed.notices} == {"head2"}


def test_substitute_is_told_for_whom() -> None:
    """Who stands in learns in whose stead; the post stays the same."""
    rules = with_steps(step("x", "start", "section_head"))
    people = directory(delegations=(Delegation("head", "deputy"),))
    (notice,) = decide(START, rules=rules, people=people).notices
    assert (notice.person, notice.role, notice.facts["stands_in_for_name"]) == ("deputy", "section_head", "某head")


def test_both_legs_are_told() -> None:
    """A policy of two legs speaks to the head of the matter and to the head of the place."""
    rules = with_steps(step("x", "start", "section_head"), legs=("functional", "territorial"))
    people = directory()
    units = {**people.units, "C": replace(people.units["C"], area="330100")}
    plan = decide(START, rules=rules, people=replace(people, units=units), the_case=case(fields={"place": "330100"}))
    assert {notice.person for notice in plan.notices} == {"head", "head2"}


def test_review_of_a_parked_case_climbs_if_it_cannot_be_delivered() -> None:
    """A parked case is silent but for its review, which nobody may lose."""
    one = replace(obligation(), state=ObligationState.PAUSED, review_at=at("2026-10-20 09:00"))
    notice = decide(at("2026-10-20 09:00"), one=one).notices[0]
    plan = failed(notice, policy(), one=one, now=at("2026-10-20 10:00"))
    assert [(n.person, n.say) for n in plan.notices] == [("head", "review")]
    other = failed(replace(notice, step="assigned"), policy(), one=one, now=at("2026-10-20 10:00"))
    assert (other.notices, whys(other)) == ((), [Why.PAUSED])


def test_new_handler_takes_over_what_waits_with_everything_it_waits_for() -> None:
    """A notice held for the morning goes to the handler of that morning, just as it was."""
    rules = replace(IN_ORDER, digest=DigestRule())
    planned = replace(decide(START, rules=rules).notices[0], hold_until=at("2026-09-17 07:30"))
    moved = case(unit="C", handler="clerk2")
    plan = after_transfer(rules, obligation(moved), moved, planned, directory(), None, CHINA, START, KINDS)
    assert plan is not None
    (notice,) = plan.notices
    assert (notice.person, notice.hold_until, notice.digest, notice.instead, notice.wait) == (
        "clerk2",
        at("2026-09-17 07:30"),
        True,
        ("email",),
        timedelta(minutes=30),
    )
