"""Every word of a policy beyond the smallest one ends in its field of the model."""

from __future__ import annotations

import copy
from datetime import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.duration import (
    ANCHOR_WORDS,
    SAME_DAY,
    Duration,
    DurationError,
    Moment,
    Unit,
    format_duration,
    parse_every,
    parse_moment,
    parse_within,
)
from policies.errors import PolicyError
from policies.language import KnownNames, parse_policies
from policies.model import (
    Bound,
    CatchUp,
    Condition,
    DigestRule,
    FirstHandlerRule,
    Limit,
    PauseRule,
    Policy,
    QuietHours,
    Recurrence,
    RestrictedRule,
    Step,
    Via,
)

DAYS, WORKDAYS, MONTHS, HOURS = Unit.DAY, Unit.WORKDAY, Unit.MONTH, Unit.HOUR

SMALL: dict[str, Any] = {
    "policy": "office",
    "title": "限时办结",
    "limits": {
        "finish": {
            "title": "办结",
            "start": "accepted_at",
            "within": "60 日",
            "done": "finished_at",
            "ladder": "standard",
        },
        "notify": {
            "title": "告知",
            "start": "arrived_at",
            "within": "15 日",
            "done": "notified_at",
            "ladder": "standard",
        },
    },
    "ladders": {
        "standard": {
            "lights": {"yellow": "3 工作日", "orange": "1 工作日"},
            "steps": [{"at": "due", "to": "handler", "say": "today"}],
        }
    },
}
KNOWN = KnownNames(
    milestones={"accepted_at", "arrived_at", "finished_at", "notified_at", "acknowledged_at", "limit_at"},
    fields={"kind", "area", "level", "unit", "handler", "restricted"},
    channels=("gateway",),
)


def length(amount: int, unit: Unit) -> Duration:
    """A length."""
    return Duration(Fraction(amount), unit)


def policy(known: KnownNames = KNOWN, **changes: Any) -> Policy:
    """The small policy with other keys at the top."""
    return parse_policies({"office.yaml": {**SMALL, **changes}}, known).policies["office"]


def limit(**changes: Any) -> Limit:
    """Its first limit with other keys."""
    return policy(limits={**SMALL["limits"], "finish": {**SMALL["limits"]["finish"], **changes}}).limits[0]


def step(**changes: Any) -> Step:
    """Its step with other keys."""
    ladders = copy.deepcopy(SMALL["ladders"])
    ladders["standard"]["steps"][0].update(changes)
    return policy(ladders=ladders, place="area").ladders["standard"].steps[0]


def mistakes(**changes: Any) -> list[str]:
    """What is wrong with the small policy changed like that, in Chinese."""
    with pytest.raises(PolicyError) as caught:
        policy(**changes)
    return [each.message.zh for each in caught.value.problems]


# --- lengths and moments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("到期前 3 工作日 09:00", "due - 3 工作日 09:00"),
        ("到期之前3工作日", "due - 3 工作日"),
        ("到期日前 3 日", "due - 3 日"),
        ("到期后 1 工作日", "due + 1 工作日"),
        ("到期当天 09:00", "due 09:00"),
        ("到期", "due"),
        ("起算后 2 日", "start + 2 日"),
        ("起算后 50%", "start + 50%"),
        ("起算 + 50%", "start + 50%"),
        ("acknowledged_at 后 5 工作日", "acknowledged_at + 5 工作日"),
        ("limit_at前3日 9:00", "limit_at - 3 日 09:00"),
        ("due 后 30 分钟", "due + 30 分钟"),
        ("挂账复查 09:00", "review 09:00"),
    ],
)
def test_a_moment_may_be_said_in_chinese(text: str, same: str) -> None:
    """起算、到期、前、后 mean what start, due, minus and plus mean."""
    assert parse_moment(text) == parse_moment(same)


WHOLE_LENGTHS = st.builds(
    lambda amount, unit: Duration(Fraction(amount), unit),
    st.integers(0, 1000),
    st.sampled_from([DAYS, WORKDAYS, HOURS]),
)


@given(
    st.sampled_from(sorted(ANCHOR_WORDS)),
    st.sampled_from(["前", "后", "以前", "之后"]),
    WHOLE_LENGTHS,
    st.none() | st.times().map(lambda at: at.replace(microsecond=0)),
)
def test_a_moment_said_in_chinese_is_the_one_meant(anchor: str, side: str, size: Duration, at: time | None) -> None:
    """However long it is, whatever side it lies on: nothing gets lost between the words."""
    clock = "" if at is None else f" {at:%H:%M:%S}"
    sign = -1 if "前" in side else 1
    offset = Duration(sign * size.amount, size.unit)
    assert parse_moment(f"{anchor}{side} {format_duration(size, 'zh')}{clock}") == Moment(
        ANCHOR_WORDS[anchor], offset, at=at
    )


@given(WHOLE_LENGTHS, st.sampled_from(["{}", "within {}", "Within  {}", "{}内", "{} 以内", "{}之内"]))
def test_how_long_something_may_take_is_read_as_it_is_said(size: Duration, said: str) -> None:
    """`within 4 workhours` and `4 工作小时内` are the length itself, in both languages."""
    assert parse_within(said.format(format_duration(size, "zh"))) == size
    assert parse_within(said.format(format_duration(size, "en"))) == size


@given(WHOLE_LENGTHS, st.integers(1, 999))
def test_every_so_often_keeps_its_figures(size: Duration, times: int) -> None:
    """Length and number of a repeat survive both sentences."""
    assert parse_every(f"每 {format_duration(size, 'zh')}，最多 {times} 次") == (format_duration(size, "zh"), times)
    said = f"every {format_duration(size, 'en')} up to {times} times"
    assert parse_every(said) == (format_duration(size, "en"), times)


@pytest.mark.parametrize("text", ["内", "within", "within 4", "4 内", "到期后", "前 3 日"])
def test_half_a_sentence_is_no_length(text: str) -> None:
    """What lacks its length or its unit is refused, with a sentence."""
    with pytest.raises(DurationError) as caught:
        parse_within(text)
    assert caught.value.message.zh


# --- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ({"within": "15 日内"}, "within", length(15, DAYS)),
        ({"within": "当日"}, "within", SAME_DAY),
        ({"within": "within same day"}, "within", SAME_DAY),
        ({"within": {"earlier_of": ["4 小时", "当天内"]}}, "or_within", (SAME_DAY,)),
        ({"within": {"earlier_of": ["7 日", "5 工作日", "within 2 月"]}}, "within", length(7, DAYS)),
        (
            {"within": {"earlier_of": ["7 日", "5 工作日", "within 2 月"]}},
            "or_within",
            (length(5, WORKDAYS), length(2, MONTHS)),
        ),
        ({"start": "notify.done"}, "start", ("notify.done",)),
        ({"start": ["notify.due", "accepted_at"]}, "start", ("notify.due", "accepted_at")),
        ({"per": "holder"}, "per_holder", True),
        (
            {"recur": {"every": "1 月", "until": "finished_at", "at_most": 24}},
            "recur",
            Recurrence(length(1, MONTHS), ("finished_at",), 24),
        ),
        ({"recur": {"every": "7 日"}}, "recur", Recurrence(length(7, DAYS))),
        ({"recur": "每 1 月，最多 24 次"}, "recur", Recurrence(length(1, MONTHS), (), 24)),
        ({"recur": "every 1 month up to 24 times"}, "recur", Recurrence(length(1, MONTHS), (), 24)),
        ({"platform_due": "limit_at"}, "platform_due", (Bound("limit_at"),)),
        (
            {"platform_due": ["limit_at", "accepted_at + 30 日", "accepted_at 后 5 工作日"]},
            "platform_due",
            (Bound("limit_at"), Bound("accepted_at", length(30, DAYS)), Bound("accepted_at", length(5, WORKDAYS))),
        ),
        (
            {"pause": {"approved_by": "principal", "basis": "required", "up_to": "90 日"}},
            "pause",
            PauseRule(("principal",), basis=True, up_to=length(90, DAYS)),
        ),
        ({"pause": {}}, "pause", PauseRule()),
        ({"applies_to": {"level": {"at_least": 2}}}, "applies_to", (Condition("level", at_least=2.0),)),
    ],
)
def test_each_word_of_a_limit_arrives(written: dict[str, Any], field: str, value: object) -> None:
    """What is written is what the rules get."""
    assert getattr(limit(**written), field) == value


def test_a_limit_that_is_off_may_follow_another_that_is_off() -> None:
    """Only a limit in use must follow one in use."""
    off = {"enabled": False}
    limits = {name: {**written, **off} for name, written in SMALL["limits"].items()}
    limits["finish"]["start"] = "notify.done"
    assert policy(limits=limits).limits[0].start == ("notify.done",)


def test_a_limit_that_is_off_may_name_milestones_nobody_maps_anywhere() -> None:
    """Also inside its parts; switched on, each is told at its own place."""
    parts: dict[str, Any] = {
        "within": {"set_by": ["assigned_limit_at"]},
        "platform_due": "their_limit_at",
    }
    assert limit(enabled=False, **parts).set_by == ("assigned_limit_at",)
    again = {"recur": {"every": "1 月", "until": "settled_at"}}
    assert limit(enabled=False, **again).recur == Recurrence(length(1, MONTHS), ("settled_at",))
    for written, told in ((parts, 2), (again, 1)):
        one = {**SMALL["limits"]["finish"], **written}
        assert len(mistakes(limits={**SMALL["limits"], "finish": one})) == told


def test_a_circle_of_three_limits_is_told_once() -> None:
    """The way round is named, whichever limit one looks from; a limit that only leads into it is not accused."""
    one = SMALL["limits"]["finish"]
    starts = {"a": "b.done", "b": "c.due", "c": "a.done", "outside": "a.done"}
    limits = {name: {**one, "start": start} for name, start in starts.items()}
    [sentence] = mistakes(limits=limits)
    assert "a → b → c → a" in sentence


# --- steps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ({"at": "review 09:00"}, "at", Moment("review", at=time(9))),
        ({"at": "acknowledged_at + 5 工作日"}, "at", Moment("acknowledged_at", length(5, WORKDAYS))),
        ({"to": ["principal@territorial", "section_head"]}, "to", ("principal@territorial", "section_head")),
        ({"via": "gateway"}, "via", Via(("gateway",))),
        ({"via": ["sms", "email"]}, "via", Via(("sms", "email"))),
        (
            {"via": {"in_order": ["sms", "email"], "wait": "30 分钟"}},
            "via",
            Via(("sms", "email"), in_order=True, wait=Duration(Fraction(1, 2), HOURS)),
        ),
        ({"via": {"in_order": ["sms", "email"]}}, "via", Via(("sms", "email"), in_order=True)),
        ({"unless": "acknowledged"}, "unless", (Condition("acknowledged", (True,)),)),
        ({"unless": ["acted", "read"]}, "unless", (Condition("acted", (True,)), Condition("read", (True,)))),
        (
            {"when": {"light": ["orange", "red"], "handbacks": {"at_least": 2}, "kind": "求决", "days_left": 0}},
            "when",
            (
                Condition("light", ("orange", "red")),
                Condition("handbacks", at_least=2.0),
                Condition("kind", ("求决",)),
                Condition("days_left", (0,)),
            ),
        ),
        (
            {"when": {"light": {"not": "green"}, "overdue": False, "level": {"not": {"at_most": 3}}}},
            "when",
            (
                Condition("light", ("green",), negate=True),
                Condition("overdue", (False,)),
                Condition("level", negate=True, at_most=3.0),
            ),
        ),
        ({"catch_up": "each"}, "catch_up", CatchUp.EACH),
        ({"catch_up": "skip"}, "catch_up", CatchUp.SKIP),
        ({}, "catch_up", CatchUp.LATEST),
        ({"may_wake": "条例第二十五条"}, "may_wake", "条例第二十五条"),
    ],
)
def test_each_word_of_a_step_arrives(written: dict[str, Any], field: str, value: object) -> None:
    """What is written is what the rules get."""
    assert getattr(step(**written), field) == value


def test_acknowledging_may_be_said_in_either_way() -> None:
    """`4 工作小时内` and `within 4 workhours` are the same time to sign."""
    for within in ("4 工作小时", "4 工作小时内", "within 4 workhours"):
        rule = step(acknowledge={"within": within, "else": "section_head@functional"}).acknowledge
        assert rule is not None
        assert (rule.within, rule.otherwise) == (length(4, Unit.WORKHOUR), ("section_head@functional",))


def test_a_ladder_of_limits_that_are_off_may_hang_on_milestones_the_office_lacks() -> None:
    """The shipped rules can be read against a database without the columns they would need."""
    late = {**SMALL["ladders"]["standard"], "steps": [{"at": "heard_at + 2 日", "to": "handler", "say": "today"}]}
    off = {**SMALL["limits"]["finish"], "enabled": False, "ladder": "late"}
    both = {**SMALL["ladders"], "late": late}
    assert policy(ladders=both, limits={**SMALL["limits"], "off": off}).ladders["late"].steps[0].at.anchor == "heard_at"
    assert mistakes(ladders=both) == ["没有名为“heard_at”的节点时间"]


# --- the policy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ({}, "legs", ("functional",)),
        ({}, "release_above", "principal"),
        ({}, "restricted", RestrictedRule()),
        ({}, "quiet", None),
        ({}, "digest", None),
        ({}, "dark", False),
        ({"legs": ["functional", "territorial"], "place": "area"}, "legs", ("functional", "territorial")),
        ({"legs": "territorial", "place": "area"}, "place", "area"),
        ({"release_above": "none"}, "release_above", None),
        ({"release_above": "deputy_leader"}, "release_above", "deputy_leader"),
        ({"chain": ["first_handler", "section_head"]}, "release_above", "section_head"),
        ({"restricted": {"recipients": ["P1", 1002]}}, "restricted", RestrictedRule(("P1", "1002"))),
        ({"quiet_hours": {"from": "22:00", "to": "7:30"}}, "quiet", QuietHours(time(22), time(7, 30))),
        ({"digest": {"lights": ["yellow", "green"], "at_least": 3}}, "digest", DigestRule(("green", "yellow"), 3)),
        ({"digest": {}}, "digest", DigestRule()),
        ({"dark": True}, "dark", True),
        ({"via": {"in_order": ["sms", "email"]}}, "via", Via(("sms", "email"), in_order=True)),
        (
            {"first_handler": {"shirking_to": ["inspector", "principal"], "inherit": True}},
            "first_handler",
            FirstHandlerRule(shirking_to=("inspector", "principal"), inherit=True),
        ),
        (
            {"applies_to": {"level": {"at_least": 1, "at_most": 3}}},
            "applies_to",
            (Condition("level", at_least=1.0, at_most=3.0),),
        ),
    ],
)
def test_each_word_of_the_policy_arrives(written: dict[str, Any], field: str, value: object) -> None:
    """What is written, or the default, is what the rules get."""
    assert getattr(policy(**written), field) == value


def test_the_territorial_leg_needs_to_know_the_place() -> None:
    """Also if only one role is looked for up that leg; a case with a field `place` needs nothing more."""
    assert "place" in mistakes(legs=["functional", "territorial"])[0]
    assert "place" in mistakes(first_handler={"shirking_to": "principal@territorial"})[0]
    known = KnownNames(milestones=KNOWN.milestones, fields={"place"})
    assert policy(known, legs=["functional", "territorial"]).place == "place"
