"""What is decided on one obligation at one instant, and the invariants that hold at every instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.duration import parse_duration
from policies.evaluate import after_failure, evaluate, light_at, timeline
from policies.ladders.via import channels_of
from policies.model import (
    FirstHandler,
    History,
    Light,
    Lights,
    Movement,
    Notice,
    ObligationState,
    Plan,
    Policy,
    Post,
    Transfer,
    Via,
    Why,
)
from policies.people.first_handler import first_handler_of
from support.invented_office import (
    CHINA,
    KINDS,
    LADDER,
    POSTS,
    STEPS,
    at,
    case,
    counted,
    decide,
    directory,
    end_of,
    limit,
    obligation,
    official,
    policies,
    policy,
    step,
    with_person,
    with_steps,
)

START = at("2026-09-16 10:00")
FIRST = FirstHandler("XF001", "B", "clerk", START, "arrived_at")
INSTANTS = [rung.at for rung in timeline(LADDER, obligation(), {}, CHINA)]


def told(plan: Plan) -> list[tuple[str, str, str]]:
    """Who is told what over which channel."""
    return [(notice.step, notice.person, notice.channel) for notice in plan.notices]


def whys(plan: Plan) -> list[Why]:
    """The reasons of a plan, in order."""
    return [reason.why for reason in plan.reasons]


def whole_life(instants: list[datetime]) -> list[Notice]:
    """Every notice that comes of looking at exactly these instants."""
    history, notices = History(), list[Notice]()
    for now in instants:
        plan = decide(now, history)
        notices.extend(plan.notices)
        history = plan.history
    return notices


# --- one look -----------------------------------------------------------------------------------------------------


def test_first_look_tells_the_first_handler() -> None:
    """At the start the case is assigned, and the next look is at the time set for acknowledging."""
    plan = decide(START)
    assert told(plan) == [("assigned", "clerk", "sms")]
    notice = plan.notices[0]
    assert (notice.why, notice.role, notice.at, notice.copy, notice.missed) == (
        Why.DUE,
        "first_handler",
        START,
        False,
        (),
    )
    assert plan.next_check_at == notice.expires_at == at("2026-09-16 16:00")
    assert (plan.light, plan.history.decided_until) == (Light.GREEN, {"start": START})
    assert whys(plan) == [Why.DUE, Why.NOT_YET]


def test_nothing_before_the_start() -> None:
    """A start in the future is waited for."""
    plan = decide(START - timedelta(microseconds=1))
    assert plan.notices == ()
    assert plan.next_check_at == START


def test_key_names_every_part_and_escapes_it() -> None:
    """The key is case / limit / instance / version / step / repeat / person / channel, whatever the names contain."""
    assert decide(START).notices[0].key == "XF001/xinfang/notify//1/assigned/0/clerk/sms"
    odd = case(key="a/b 号")
    assert decide(START, the_case=odd).notices[0].key.startswith("a%2Fb%20%E5%8F%B7/xinfang/notify/")


def test_facts_are_plain_and_complete() -> None:
    """Templates get dates of the office's clock, names and figures; nothing that JSON does not know."""
    facts = decide(at("2026-09-28 09:00"), History({"start": at("2026-09-16 16:00")})).notices[0].facts
    assert all(value is None or isinstance(value, str | int | bool) for value in facts.values())
    expected = {
        "case": "XF001",
        "limit": "notify",
        "ladder": "standard",
        "limit_title": "书面告知",
        "basis": "信访工作条例第二十三条",
        "policy_title": "信访事项首办责任与限时办结",
        "nominal_due": "2026-10-01T23:59:59.999999+08:00",
        "legal_due": "2026-10-08T23:59:59.999999+08:00",
        "platform_due": None,
        "due_at": "2026-10-08T23:59:59.999999+08:00",
        "due_day": "10月8日",
        "days_left": 3,
        "overdue_days": 0,
        "light": "yellow",
        "provisional": False,
        "start_at": "2026-09-16T10:00:00+08:00",
        "first_handler_name": "某clerk",
        "first_handler_unit": "乙科",
        "handler_name": "某clerk",
        "unit_name": "乙科",
        "role": "first_handler",
        "role_title": "首办责任人",
        "step": "remind",
        "issue": None,
        "missed_count": 0,
        "extended": False,
        "instead_of": None,
        "instead_of_title": None,
    }
    assert facts == expected


def test_acknowledged_in_time_spares_the_head() -> None:
    """A case that was acknowledged on or after the day of its start needs no urging to acknowledge."""
    assigned = decide(START).history
    due = at("2026-09-16 16:00")
    plan = decide(due, assigned)
    assert told(plan) == [("assigned.unacknowledged", "head", "sms")]
    assert plan.notices[0].say == "unacknowledged"
    milestones = {"arrived_at": START, "acknowledged_at": at("2026-09-16 11:00")}
    plan = decide(due, assigned, the_case=case(milestones=milestones))
    assert (told(plan), whys(plan)[0]) == ([], Why.ACKNOWLEDGED)
    signed = Transfer(1, at("2026-09-16 11:00"), "B", kind=Movement.SIGN)
    plan = decide(due, assigned, the_case=case(transfers=(signed,)))
    assert (told(plan), whys(plan)[0]) == ([], Why.ACKNOWLEDGED)
    old = {"arrived_at": START, "acknowledged_at": at("2026-09-15 11:00")}
    assert decide(due, assigned, the_case=case(milestones=old)).notices != ()


def test_nobody_is_blamed_for_not_acknowledging_what_was_never_sent() -> None:
    """Seen first after the time to acknowledge: the assignment goes out now, the head is told of no failure."""
    plan = decide(at("2026-09-17 09:00"))
    assert told(plan) == [("assigned", "clerk", "sms")]
    assert [(r.step, r.why) for r in plan.reasons if r.step.endswith("unacknowledged")] == [
        ("assigned.unacknowledged", Why.MISSED)
    ]
    later = decide(at("2026-09-18 09:00"), plan.history)
    assert later.notices == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"milestones": {"arrived_at": START, "notified_at": at("2026-09-18 10:00")}}, Why.DONE),
        ({"open": False}, Why.WITHDRAWN),
    ],
)
def test_closed_means_silent(changes: dict[str, Any], why: Why) -> None:
    """Invariant 2: whatever is past, a case that is done or closed gets nothing, and the reason is there."""
    plan = decide(at("2026-11-20 10:00"), the_case=case(**changes))
    assert (plan.notices, plan.next_check_at, whys(plan)) == ((), None, [why])


def test_closed_case_silences_an_obligation_counted_before() -> None:
    """The facts of the case win over an obligation that was counted while it was open."""
    plan = decide(at("2026-11-20 10:00"), the_case=case(open=False), one=obligation())
    assert (plan.notices, whys(plan)) == ((), [Why.WITHDRAWN])


def test_paused_means_silent() -> None:
    """A paused obligation waits without a next look."""
    one = replace(obligation(), state=ObligationState.PAUSED)
    plan = decide(at("2026-11-20 10:00"), one=one)
    assert (plan.notices, plan.next_check_at, whys(plan)) == ((), None, [Why.PAUSED])


def test_done_late_is_a_breach_even_if_nobody_looked() -> None:
    """A late end is recorded once, with the true instant of the breach."""
    milestones = {"arrived_at": START, "notified_at": at("2026-10-09 10:00")}
    plan = decide(at("2026-10-20 10:00"), the_case=case(milestones=milestones))
    assert whys(plan) == [Why.DONE, Why.BREACH]
    assert plan.history.breached_at == at("2026-10-09 00:00")
    assert whys(decide(at("2026-10-20 10:00"), plan.history, the_case=case(milestones=milestones))) == [Why.DONE]


def test_limit_gone_from_the_policy_rests() -> None:
    """A policy that no longer has the limit says so and asks nothing."""
    one = replace(obligation(), limit="gone")
    plan = evaluate(policy(), one, case(), History(), directory(), None, CHINA, START, KINDS)
    assert (plan.notices, plan.next_check_at, whys(plan)) == ((), None, [Why.WITHDRAWN])


def test_restricted_case_tells_nobody_and_says_why() -> None:
    """Statement 42: nothing about a restricted case goes to the general chain."""
    plan = decide(at("2026-10-14 09:00"), the_case=case(restricted=True))
    assert plan.notices == ()
    assert Why.RESTRICTED in whys(plan)
    assert decide(at("2026-10-14 09:00"), plan.history, the_case=case(restricted=True)).notices == ()


# --- people -------------------------------------------------------------------------------------------------------


def test_vacant_post_tells_the_next_up_and_the_administrator() -> None:
    """Statement 41: the deputy leader gets what was the section head's, the administrator a copy, at once."""
    plan = decide(at("2026-09-16 16:00"), decide(START).history, people=directory(posts=POSTS[1:]))
    assert [(n.person, n.role, n.copy, n.why, n.facts["instead_of"]) for n in plan.notices] == [
        ("deputy", "deputy_leader", False, Why.DUE, "section_head"),
        ("root", "administrator", True, Why.VACANT, "section_head"),
    ]
    assert Why.VACANT in whys(plan)


def test_person_with_one_of_two_addresses_gets_that_one() -> None:
    """Who can be reached by mail is not passed over because the number is missing; the gap is recorded."""
    people = with_person(official("clerk", "B", addresses={"email": "clerk@example.com"}))
    plan = decide(START, rules=policy(via=Via(("sms", "email"))), people=people)
    assert told(plan) == [("assigned", "clerk", "email")]
    assert Why.UNREACHABLE in whys(plan)


def test_both_channels_are_used() -> None:
    """Every channel of the step carries the message, each with a key of its own."""
    plan = decide(START, rules=policy(via=Via(("sms", "email"))))
    assert told(plan) == [("assigned", "clerk", "sms"), ("assigned", "clerk", "email")]
    assert len({notice.key for notice in plan.notices}) == 2


def test_channels_not_set_up_are_left_out_unless_none_is_left() -> None:
    """An office without a gateway for texts sends mail only; if none of those named is there, all there are serve."""
    assert told(decide(START, rules=policy(via=Via(("email", "pigeon"))))) == [("assigned", "clerk", "email")]
    every = [("assigned", "clerk", "sms"), ("assigned", "clerk", "email")]
    assert told(decide(START, rules=policy(via=Via(("pigeon",))))) == every


def test_an_office_without_any_channel_fails_visibly() -> None:
    """With nothing set up the names stay, so that the failure to deliver shows."""
    assert channels_of(Via(("pigeon",)), policy(), {}).names == ("pigeon",)


def test_a_kind_means_the_first_channel_of_that_kind() -> None:
    """An office may call its channels what it likes: `via: [sms]` uses the first one that needs a mobile number."""
    rules = policy(via=Via(("sms",)))
    kinds = {"relay": "email", "yunmas": "sms", "spare": "sms"}
    plan = evaluate(rules, obligation(), case(), History(), directory(), FIRST, CHINA, START, kinds)
    assert told(plan) == [("assigned", "clerk", "yunmas")]
    plan = evaluate(policy(via=Via(())), obligation(), case(), History(), directory(), FIRST, CHINA, START, kinds)
    assert told(plan) == [("assigned", "clerk", "relay"), ("assigned", "clerk", "yunmas")]


def test_steps_minutes_apart_are_both_said_when_the_look_comes_late() -> None:
    """In the rush of nine o'clock both steps are looked at a little late: neither is folded into the other."""
    steps = (
        step("first", "due - 1 工作日 09:00", "first_handler"),
        step("second", "due - 1 工作日 09:05", "section_head"),
    )
    history = History({"start": at("2026-09-16 16:00")})
    plan = decide(at("2026-09-30 09:20"), history, rules=with_steps(*steps))
    assert [(n.step, n.person, n.why) for n in plan.notices] == [
        ("first", "clerk", Why.DUE),
        ("second", "head", Why.DUE),
    ]
    late = decide(at("2026-09-30 12:00"), history, rules=with_steps(*steps))
    assert [(n.step, n.person, n.why) for n in late.notices] == [("second", "head", Why.CAUGHT_UP)]


def test_one_person_in_two_roles_is_told_once_in_the_higher() -> None:
    """Statement 43: first handler and section head at once: one message, naming the section head."""
    plan = decide(at("2026-10-08 09:00"), History({"start": at("2026-09-16 16:00"), "due": at("2026-09-28 09:00")}))
    assert [notice.person for notice in plan.notices] == ["clerk", "head"]
    both = directory(posts=(Post("B", "section_head", "clerk"), *POSTS[1:]))
    history = History({"start": at("2026-09-16 16:00"), "due": at("2026-09-28 09:00")})
    plan = decide(at("2026-10-08 09:00"), history, people=both)
    assert [(notice.person, notice.role) for notice in plan.notices] == [("clerk", "section_head")]
    assert Why.SAME_PERSON in whys(plan)


def test_copy_and_addressee_in_one_person_is_the_addressee() -> None:
    """Who is told in his own right is not told by copy."""
    rules = with_steps(step("x", "start", "section_head", cc=("deputy_leader",)))
    people = directory(posts=(Post("B", "section_head", "deputy"), *POSTS[1:]))
    notice = decide(START, rules=rules, people=people).notices[0]
    assert (notice.person, notice.role, notice.copy) == ("deputy", "deputy_leader", False)


def test_first_handler_stays_informed_after_a_transfer_from_the_light_on() -> None:
    """After a transfer the first handler gets copies from yellow up, not while it is green."""
    moved = case(unit="C", handler="clerk2")
    rules = with_steps(
        step("early", "due - 8 工作日 09:00", "handler"), step("late", "due - 2 工作日 09:00", "handler")
    )
    green = decide(at("2026-09-20 09:00"), the_case=moved, rules=rules, first=FIRST)
    assert [(n.person, n.copy) for n in green.notices] == [("clerk2", False)]
    yellow = decide(at("2026-09-29 09:00"), green.history, the_case=moved, rules=rules, first=FIRST)
    assert [(n.person, n.role, n.copy) for n in yellow.notices] == [
        ("clerk2", "handler", False),
        ("clerk", "first_handler", True),
    ]


# --- lights, breach, and the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "light"),
    [
        ("2026-09-27 23:59", Light.GREEN),
        ("2026-09-28 00:00", Light.YELLOW),
        ("2026-09-29 23:59", Light.YELLOW),
        ("2026-09-30 00:00", Light.ORANGE),
        ("2026-10-08 23:59", Light.ORANGE),
        ("2026-10-09 00:00", Light.RED),
    ],
)
def test_light_on_a_day(now: str, light: Light) -> None:
    """Three working days and one before 10-08 are 09-28 and 09-30, over the holidays (statement 29)."""
    assert light_at(obligation(), LADDER.lights, CHINA, at(now)) is light


def test_lights_in_hours_count_from_the_limit_itself() -> None:
    """An hour-class limit turns yellow so many hours before its instant."""
    rules = policy(limit(within=parse_duration("24 小时")))
    one, lights = obligation(rules=rules), Lights(parse_duration("4 小时"), parse_duration("1 小时"))
    found = [light_at(one, lights, CHINA, at(f"2026-09-17 {clock}")) for clock in ("05:59", "06:00", "09:00", "10:01")]
    assert found == [Light.GREEN, Light.YELLOW, Light.ORANGE, Light.RED]


def test_every_light_change_is_looked_at_and_told_once() -> None:
    """With no steps at all, a look comes at each change of light, and ends after the breach."""
    rules = with_steps(step("x", "start", "handler"))
    history, seen, now = History(), list[tuple[datetime, list[Why]]](), START
    while True:
        plan = decide(now, history, rules=rules)
        seen.append((now, whys(plan)))
        history = plan.history
        if plan.next_check_at is None:
            break
        now = plan.next_check_at
    assert seen == [
        (START, [Why.DUE]),
        (at("2026-09-28 00:00"), [Why.LIGHT]),
        (at("2026-09-30 00:00"), [Why.LIGHT]),
        (at("2026-10-09 00:00"), [Why.LIGHT, Why.BREACH, Why.END_OF_LADDER]),
    ]


def test_breach_is_told_once_and_only_after_the_legal_limit() -> None:
    """The platform's limit turns the light red; the breach is the law's (statement 27)."""
    the_case = case(milestones={"arrived_at": START, "limit_at": at("2026-10-02 10:00")})
    red = decide(at("2026-10-08 12:00"), the_case=the_case)
    assert (red.light, red.history.breached_at, red.notices[0].facts["overdue_days"]) == (Light.RED, None, 0)
    breached = decide(at("2026-10-09 00:00"), red.history, the_case=the_case)
    assert breached.history.breached_at == at("2026-10-09 00:00")
    assert Why.BREACH in whys(breached)
    assert Why.BREACH not in whys(decide(at("2026-10-09 08:00"), breached.history, the_case=the_case))


def test_end_of_ladder_is_the_only_reason_not_to_look_again() -> None:
    """After the last repeat there is nothing to wait for, and the plan says so."""
    plan = decide(at("2027-01-20 09:00"))
    assert plan.next_check_at is None
    assert whys(plan)[-1] is Why.END_OF_LADDER


def test_repeats_keep_their_distance_from_the_first_time() -> None:
    """The bulletin comes five working days after the limit and twice again, five working days apart."""
    history = History({"start": at("2026-09-16 16:00"), "due": at("2026-10-09 09:00")})
    days = list[tuple[str, int]]()
    now: datetime | None = at("2026-10-09 10:00")
    while now is not None:
        plan = decide(now, history)
        days += [(notice.at.date().isoformat(), notice.repeat) for notice in plan.notices]
        history, now = plan.history, plan.next_check_at
    assert days == [("2026-10-14", 0), ("2026-10-21", 1), ("2026-10-28", 2)]


def test_steps_may_hang_on_milestones_and_on_a_share_of_the_way() -> None:
    """An anchor that is not there yet is waited for; a share lies between start and limit."""
    rules = with_steps(step("half", "start + 50%", "handler"), step("heard", "heard_at + 1 工作日 09:00", "handler"))
    assert [r.id for r in timeline(rules.ladders["standard"], obligation(), {}, CHINA)] == ["half"]
    heard = {"heard_at": at("2026-09-17 10:00")}
    rungs = timeline(rules.ladders["standard"], obligation(), heard, CHINA)
    assert (rungs[0].id, rungs[0].at) == ("heard", at("2026-09-18 09:00"))
    middle = START + (obligation().due_at - START) / 2
    assert abs(rungs[1].at - middle) <= timedelta(microseconds=1)


# --- failures -----------------------------------------------------------------------------------------------------


def failed_notice() -> Notice:
    """The assignment that could not be delivered."""
    return decide(START).notices[0]


def fall(notice: Notice, rules: Policy | None = None, **changes: Any) -> Plan:
    """What follows from a notice that failed."""
    the_case = case(**changes)
    first = first_handler_of(policies(policy()), the_case)
    one = obligation(the_case)
    return after_failure(rules or policy(), one, the_case, notice, directory(), first, CHINA, START, KINDS)


def test_failure_falls_upward_until_the_administrator_and_then_says_nobody() -> None:
    """An undelivered message climbs the chain, each with its own key, and ends in a reason."""
    notice, way = failed_notice(), list[tuple[str, object]]()
    while plan := fall(notice).notices:
        notice = plan[0]
        assert (notice.why, notice.step, notice.say) == (Why.UNDELIVERED, "assigned", "assigned")
        way.append((notice.person, notice.facts["instead_of"]))
    assert way == [
        ("head", "first_handler"),
        ("deputy", "section_head"),
        ("boss", "deputy_leader"),
        ("root", "principal"),
    ]
    assert whys(fall(notice)) == [Why.UNDELIVERED, Why.NOBODY]


def test_failure_uses_every_channel_of_the_step() -> None:
    """A dead gateway must not be the only way to the next person."""
    plan = fall(failed_notice(), policy(via=Via(("sms", "email"))))
    assert [(n.person, n.channel) for n in plan.notices] == [("head", "sms"), ("head", "email")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"open": False}, Why.WITHDRAWN),
        ({"milestones": {"arrived_at": START, "notified_at": START}}, Why.DONE),
        ({"restricted": True}, Why.RESTRICTED),
    ],
)
def test_failure_on_a_silent_case_stays_silent(changes: dict[str, Any], why: Why) -> None:
    """A case that was closed or restricted meanwhile tells nobody else."""
    plan = fall(failed_notice(), **changes)
    assert (plan.notices, whys(plan)) == ((), [why])


def test_failure_of_a_step_the_policy_no_longer_has_still_climbs() -> None:
    """A policy edited meanwhile does not let the failure drop."""
    assert fall(replace(failed_notice(), step="old")).notices[0].person == "head"


# --- invariants -----------------------------------------------------------------------------------------------------


def instants_between(first: str, last: str) -> st.SearchStrategy[datetime]:
    """Instants of these days, to the microsecond."""
    start = at(f"{first} 00:00")
    return st.timedeltas(timedelta(0), at(f"{last} 00:00") - start).map(lambda length: start + length)


NOWS = instants_between("2026-09-10", "2026-12-31")
PLATFORMS = st.none() | instants_between("2026-09-20", "2026-11-20")


@given(st.lists(NOWS, min_size=1, max_size=6), PLATFORMS)
@settings(max_examples=150, deadline=None)
def test_invariants_of_any_sequence_of_looks(nows: list[datetime], platform: datetime | None) -> None:
    """Idempotent, never early, keys unique, looked at again later, and every step that came is told or explained."""
    milestones = {"arrived_at": START} | ({"limit_at": platform} if platform else {})
    the_case, history, keys = case(milestones=milestones), History(), set[str]()
    one = obligation(the_case)
    dealt = set[tuple[str, datetime | None]]()
    for now in sorted(nows):
        plan = decide(now, history, the_case=the_case, one=one)
        again = decide(now, plan.history, the_case=the_case, one=one)
        assert again.notices == ()
        assert again.next_check_at == plan.next_check_at
        assert plan.next_check_at is None or plan.next_check_at > now
        assert plan.next_check_at is not None or Why.END_OF_LADDER in whys(plan)
        assert all(notice.at <= now for notice in plan.notices)
        assert all(notice.expires_at is None or notice.expires_at > now for notice in plan.notices)
        assert len({notice.at for notice in plan.notices}) <= 1
        fresh = {notice.key for notice in plan.notices}
        assert len(fresh) == len(plan.notices)
        assert not fresh & keys
        keys |= fresh
        dealt |= {
            (r.step.partition("#")[0], r.at) for r in plan.reasons if r.why in {Why.DUE, Why.CAUGHT_UP, Why.MISSED}
        }
        history = plan.history
        came = {(r.id, r.at) for r in timeline(LADDER, one, milestones, CHINA) if r.at <= now}
        assert came <= dealt


@given(st.lists(NOWS, max_size=8))
@settings(max_examples=80, deadline=None)
def test_looking_more_often_changes_nothing(extra: list[datetime]) -> None:
    """As long as no instant of the ladder is skipped, any further looks in between yield the same messages."""
    assert {n.key for n in whole_life(sorted({*INSTANTS, *extra}))} == {n.key for n in whole_life(INSTANTS)}


@given(NOWS)
@settings(max_examples=80, deadline=None)
def test_catching_up_is_one_message_a_person(now: datetime) -> None:
    """Invariant 4: however late the first look, one instant speaks, and each person is told once.

    What was never said cannot have been acknowledged: the derived step is not among what was missed.
    """
    plan = decide(now)
    people = [notice.person for notice in plan.notices]
    assert len(people) == len(set(people))
    assert len({notice.at for notice in plan.notices}) <= 1
    rungs = timeline(LADDER, obligation(), {}, CHINA)
    passed = [rung.at for rung in rungs if rung.at <= now and not rung.unacknowledged]
    if passed:
        assert {notice.at for notice in plan.notices} == {passed[-1]}
        assert all(len(notice.missed) == len(passed) - 1 for notice in plan.notices)


def test_steps_at_one_instant_fire_together_and_once_a_person_when_catching_up() -> None:
    """On time each step has its say; after an outage the one further up the ladder speaks for both."""
    twice = (step("a", "due 09:00", "handler"), step("b", "due 09:00", "handler", "section_head"))
    rules, due = with_steps(step("start", "start", "handler"), *twice), at("2026-10-08 09:00")
    on_time = decide(due, History({"start": START}), rules=rules)
    assert told(on_time) == [("a", "clerk", "sms"), ("b", "clerk", "sms"), ("b", "head", "sms")]
    late = decide(due, rules=rules)
    assert told(late) == [("b", "clerk", "sms"), ("b", "head", "sms")]
    assert Why.SAME_PERSON in whys(late)


@given(NOWS, st.sampled_from(["B", "C", None]), st.sampled_from(["clerk", "clerk2", None]))
@settings(max_examples=40, deadline=None)
def test_first_handler_speaks_for_himself_whatever_follows(now: datetime, unit: str | None, person: str | None) -> None:
    """Invariant 5: the frozen first handler, and nobody after him, gets what is for the first handler."""
    rules = with_steps(step("x", "start", "first_handler"))
    plan = decide(max(now, START), the_case=case(unit=unit, handler=person), rules=rules, first=FIRST)
    assert [(n.person, n.facts["first_handler_name"]) for n in plan.notices] == [("clerk", "某clerk")]


def test_every_step_of_the_ladder_speaks_exactly_once() -> None:
    """A whole life looked at on time: each step, return and derived step to each of its people, once."""
    found = sorted((n.step, n.repeat, n.person) for n in whole_life(INSTANTS))
    assert found == [
        ("assigned", 0, "clerk"),
        ("assigned.unacknowledged", 0, "head"),
        ("bulletin", 0, "boss"),
        ("bulletin", 1, "boss"),
        ("bulletin", 2, "boss"),
        ("remind", 0, "clerk"),
        ("today", 0, "clerk"),
        ("today", 0, "head"),
        ("urge", 0, "deputy"),
        ("urge", 0, "head"),
        ("urge", 0, "watch"),
    ]
    assert len(STEPS) == 5


def test_installed_today_with_a_case_long_overdue() -> None:
    """A case four hundred days over its limit when first seen gets one message for where it stands."""
    old = case(milestones={"arrived_at": at("2025-08-01 10:00")})
    plan = decide(at("2026-11-20 10:00"), the_case=old)
    assert told(plan) == [("bulletin", "boss", "sms")]
    assert plan.notices[0].why is Why.CAUGHT_UP
    assert end_of("2025-08-18") < plan.notices[0].at
    assert counted(old, START).findings == ()


def test_policy_without_channels_uses_every_kind_there_is() -> None:
    """A policy that names no channel means all that the office has set up."""
    assert told(decide(START, rules=policy(via=Via(())))) == [
        ("assigned", "clerk", "sms"),
        ("assigned", "clerk", "email"),
    ]
