"""Quiet hours: what waits, until when, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.duration import SAME_DAY, parse_duration
from policies.ladders.quiet import hold_until, is_hour_class
from policies.model import DigestRule, History, Light, Plan, QuietHours, Step, Why
from support.invented_office import CHINA, SHANGHAI, at, case, decide, limit, obligation, policy, step, with_steps

NIGHT = QuietHours(time(22), time(7, 30))
NOON = QuietHours(time(12), time(14))
DUE = at("2026-10-08 23:59")


@pytest.mark.parametrize(
    ("now", "due", "quiet", "until"),
    [
        ("2026-09-30 22:10", "2026-10-08 23:59", NIGHT, "2026-10-08 07:30"),  # statement 32
        ("2026-09-30 22:10", "2026-10-02 10:00", NIGHT, "2026-10-01 07:30"),  # falls due before the morning
        ("2026-09-30 22:10", "2026-10-08 07:30", NIGHT, "2026-10-08 07:30"),
        ("2026-09-30 22:10", "2026-10-08 07:29", NIGHT, "2026-10-01 07:30"),
        ("2026-09-30 22:10", "2026-09-01 10:00", NIGHT, "2026-10-01 07:30"),  # overdue waits for the night only
        ("2026-09-30 21:59", "2026-10-08 23:59", NIGHT, None),
        ("2026-09-29 22:00", "2026-10-08 23:59", NIGHT, "2026-09-30 07:30"),
        ("2026-09-30 03:00", "2026-10-08 23:59", NIGHT, "2026-09-30 07:30"),
        ("2026-09-30 07:30", "2026-10-08 23:59", NIGHT, None),
        ("2026-10-03 12:00", "2026-10-08 23:59", NIGHT, None),  # a day off, but not a quiet hour
        ("2026-10-03 03:00", "2026-10-08 23:59", NIGHT, "2026-10-08 07:30"),
        ("2026-09-30 12:30", "2026-10-08 23:59", NOON, "2026-09-30 14:00"),
        ("2026-10-03 12:30", "2026-10-08 23:59", NOON, "2026-10-08 14:00"),
        ("2026-09-30 23:00", "2026-10-08 23:59", NOON, None),
        ("2026-09-30 23:00", None, NIGHT, "2026-10-08 07:30"),
    ],
)
def test_until_when_it_waits(now: str, due: str | None, quiet: QuietHours, until: str | None) -> None:
    """The next working morning; if the limit ends before it, the first minute that is not quiet."""
    found = hold_until(quiet, None if due is None else at(due), CHINA, at(now))
    assert found == (None if until is None else at(until))


INSTANTS = st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda length: at("2026-01-01 00:00") + length)
CLOCKS = st.integers(0, 24 * 60 - 1).map(lambda minutes: time(minutes // 60, minutes % 60))


@given(INSTANTS, INSTANTS, CLOCKS, CLOCKS)
@settings(max_examples=200, deadline=None)
def test_what_waits_goes_out_when_it_is_not_quiet(now: datetime, due: datetime, start: time, end: time) -> None:
    """Never back in time, never in a quiet minute, and never past the limit unless the first minute is past it too."""
    quiet = QuietHours(start, end)
    until = hold_until(quiet, due, CHINA, now)
    if until is None:
        return
    assert until > now
    assert until.astimezone(SHANGHAI).time() == end
    assert hold_until(quiet, due, CHINA, until) is None
    assert until <= due or until - now <= timedelta(days=1)


def test_hours_wait_for_nobody() -> None:
    """A limit in hours runs through the night; one in working hours stands still, and may wait."""
    assert is_hour_class(limit(within=parse_duration("24 小时")))
    assert is_hour_class(limit(within=parse_duration("5 工作日"), or_within=(parse_duration("48 小时"),)))
    assert not is_hour_class(limit(within=parse_duration("4 工作小时")))
    assert is_hour_class(limit(within=SAME_DAY))
    assert not is_hour_class(limit(within=SAME_DAY, set_by=("limit_at",)))
    assert not is_hour_class(limit())


def raised(one: Step, *, hours: bool = False, digest: bool = False) -> Plan:
    """One step at 22:10 before the National Day holidays."""
    rules = with_steps(
        one,
        step("next", "due 09:00", "handler"),
        limits=(limit(within=parse_duration("600 小时")) if hours else limit(),),
        quiet=NIGHT,
        digest=DigestRule() if digest else None,
    )
    return decide(at("2026-09-30 22:10"), History({"start": at("2026-09-16 16:00")}), rules=rules)


def test_held_notice_says_until_when_and_outlives_the_hold() -> None:
    """Statement 32: the reminder waits until 10-08 07:30, and the step of 10-08 09:00 takes it over after that."""
    plan = raised(step("late", "due - 1 工作日 22:10", "handler"))
    (notice,) = plan.notices
    assert (notice.hold_until, notice.may_wake) == (at("2026-10-08 07:30"), "")
    assert notice.expires_at == at("2026-10-08 09:00")
    assert [(r.why, r.step) for r in plan.reasons if r.why is Why.QUIET] == [(Why.QUIET, "late")]


def test_step_in_between_does_not_drop_what_is_held() -> None:
    """A step in the holidays comes before the hold ends: the held notice stays, the next one of the ladder ends it."""
    rules = with_steps(
        step("late", "due - 1 工作日 22:10", "handler"),
        step("between", "due - 5 日 23:00", "handler"),
        step("next", "due 09:00", "handler"),
        quiet=NIGHT,
    )
    first = decide(at("2026-09-30 22:10"), History({"start": at("2026-09-16 16:00")}), rules=rules)
    second = decide(at("2026-10-03 23:00"), first.history, rules=rules)
    assert [(n.step, n.hold_until, n.expires_at) for n in (*first.notices, *second.notices)] == [
        ("late", at("2026-10-08 07:30"), at("2026-10-08 09:00")),
        ("between", at("2026-10-08 07:30"), at("2026-10-08 09:00")),
    ]


def test_step_that_may_wake_passes_with_its_basis() -> None:
    """Each use of the right to wake somebody is on the notice and in the reasons; by day there is no use."""
    one = step("late", "due - 1 工作日 22:10", "handler", may_wake="条例第四十条")
    plan = raised(one)
    assert [(n.hold_until, n.may_wake) for n in plan.notices] == [(None, "条例第四十条")]
    assert Why.QUIET in {reason.why for reason in plan.reasons}
    by_day = decide(at("2026-09-30 12:00"), rules=with_steps(replace(one, at=step("x", "start", "y").at), quiet=NIGHT))
    assert [(n.hold_until, n.may_wake) for n in by_day.notices] == [(None, "")]


def test_limit_in_hours_ignores_the_hold() -> None:
    """Statement 32: hour-class items ignore the quiet hours, and no reason speaks of them."""
    plan = raised(step("late", "start + 348 小时", "handler"), hours=True)
    assert [notice.hold_until for notice in plan.notices] == [None]
    assert Why.QUIET not in {reason.why for reason in plan.reasons}


def test_overdue_waits_for_the_first_minute_that_is_not_quiet() -> None:
    """A red step raised at night on the eve of a day off waits until the morning, working day or not."""
    rules = with_steps(step("urge", "due + 1 日 23:30", "handler"), quiet=NIGHT)
    one = obligation(rules=rules)
    plan = decide(at("2026-10-09 23:30"), rules=rules, one=one)
    assert plan.light is Light.RED
    assert [notice.hold_until for notice in plan.notices] == [at("2026-10-10 07:30")]


@pytest.mark.parametrize(
    ("now", "digest", "changes", "gathered"),
    [
        ("2026-09-20 09:00", DigestRule(), {}, True),
        ("2026-09-28 09:00", DigestRule(), {}, True),
        ("2026-09-30 09:00", DigestRule(), {}, False),  # orange is not among the lights
        ("2026-10-09 09:00", DigestRule(("yellow", "red")), {}, False),  # red never, whatever is written
        ("2026-09-20 09:00", None, {}, False),
        ("2026-09-20 09:00", DigestRule(), {"may_wake": "条例"}, False),
    ],
)
def test_what_may_go_into_one_message(
    now: str, digest: DigestRule | None, changes: dict[str, str], gathered: bool
) -> None:
    """Statement 37: by light; nothing red, nothing that may wake, and nothing without a rule."""
    rules = with_steps(step("x", "start", "handler", **changes), digest=digest)
    assert [n.digest for n in decide(at(now), rules=rules).notices] == [gathered]


def test_hours_are_never_gathered_and_dark_policies_mark_every_notice() -> None:
    """Statement 37 for hour-class limits; a dark policy decides all the same, and marks what must not go out."""
    hours = policy(limit(within=parse_duration("600 小时")), digest=DigestRule(), dark=True)
    assert [(n.digest, n.dark) for n in decide(at("2026-09-16 10:00"), rules=hours, the_case=case()).notices] == [
        (False, True)
    ]
