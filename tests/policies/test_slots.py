"""The hours at which messages that may wait leave as one."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.beforehand.foresight import foresee
from policies.duration import parse_duration
from policies.ladders.slots import next_slot
from policies.model import Acknowledge, DigestRule, History, Light, Notice, Plan, QuietHours, Step, Why
from support.invented_office import (
    CALENDARS,
    CHINA,
    KINDS,
    SHANGHAI,
    at,
    case,
    decide,
    directory,
    limit,
    policies,
    step,
    with_steps,
)

HOURS = (time(8, 30), time(14))
TWICE_A_DAY = DigestRule(at=HOURS)


@pytest.mark.parametrize(
    ("since", "slot"),
    [
        ("2026-09-16 08:00", "2026-09-16 08:30"),
        ("2026-09-16 08:30", "2026-09-16 08:30"),
        ("2026-09-16 09:00", "2026-09-16 14:00"),
        ("2026-09-16 14:01", "2026-09-17 08:30"),
        ("2026-09-18 15:00", "2026-09-20 08:30"),  # the Sunday is worked in exchange for a day of the holidays
        ("2026-09-30 15:00", "2026-10-08 08:30"),  # National Day
        ("2026-10-03 10:00", "2026-10-08 08:30"),
    ],
)
def test_the_next_hour_is_on_a_working_day(since: str, slot: str) -> None:
    """Today's if it is still to come and the office works, else the first of the next working day."""
    assert next_slot(HOURS, at(since), CHINA) == at(slot)


INSTANTS = st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda length: at("2026-01-01 00:00") + length)
CLOCKS = st.integers(0, 24 * 60 - 1).map(lambda minutes: time(minutes // 60, minutes % 60))


@given(INSTANTS, st.lists(CLOCKS, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_hour_is_passed_over(since: datetime, hours: list[time]) -> None:
    """It is one of the hours, on a working day, not before; and no other such moment lies in between."""
    slot = next_slot(hours, since, CHINA)
    assert slot is not None
    assert slot >= since
    assert slot.astimezone(SHANGHAI).time() in hours
    assert CHINA.is_workday(CHINA.local_day(slot))
    day = CHINA.local_day(since)
    while day <= CHINA.local_day(slot):
        if CHINA.is_workday(day):
            assert not any(since <= CHINA.instant(day, hour) < slot for hour in hours)
        day += timedelta(days=1)


def raised(now: str, *steps: Step, digest: DigestRule = TWICE_A_DAY, **more: object) -> tuple[Notice, Plan]:
    """The one notice of what is decided then."""
    rules = with_steps(*steps, digest=digest, **more)
    plan = decide(at(now), rules=rules)
    (notice,) = plan.notices
    return notice, plan


def test_what_may_wait_is_held_to_the_next_hour_and_says_so() -> None:
    """A new case at ten waits for two o'clock, with a sentence; the next step takes over after that."""
    notice, plan = raised("2026-09-16 10:00", step("new", "start", "handler"), step("next", "due 09:00", "handler"))
    assert (notice.hold_until, notice.digest) == (at("2026-09-16 14:00"), True)
    assert notice.expires_at == at("2026-10-08 09:00")
    (said,) = (reason for reason in plan.reasons if reason.why is Why.GATHERED)
    assert "14:00" in said.text.zh
    assert "14:00" in said.text.en


def test_a_step_at_the_hour_itself_does_not_wait_for_the_next() -> None:
    """What is due at half past eight belongs to half past eight, looked at a little late or not."""
    late = step("remind", "due - 3 工作日 08:30", "handler")
    for now in ("2026-09-28 08:30", "2026-09-28 08:31", "2026-09-28 09:15"):
        notice, _ = raised(now, late)
        assert (notice.hold_until, notice.digest) == (None, True)


def test_it_never_waits_past_the_next_step_or_the_end() -> None:
    """Where another step speaks before the hour comes, or the limit ends, it goes at once."""
    notice, _ = raised("2026-09-16 10:00", step("new", "start", "handler"), step("x", "start + 2 小时", "handler"))
    assert notice.hold_until is None
    short = limit(within=parse_duration("1 工作小时"))
    notice, _ = raised("2026-09-16 10:00", step("new", "start", "handler"), limits=(short,))
    assert notice.hold_until is None


def test_it_does_not_wait_into_a_light_that_is_not_gathered() -> None:
    """What would be orange by then goes now: the digest never swallows what has become urgent."""
    last = step("last", "due - 2 工作日 15:00", "handler")
    notice, plan = raised("2026-09-29 15:00", last)
    assert plan.light is Light.YELLOW
    assert notice.hold_until is None
    wide = DigestRule(("green", "yellow", "orange"), at=HOURS)
    notice, _ = raised("2026-09-29 15:00", last, digest=wide)
    assert notice.hold_until == at("2026-09-30 08:30")


def test_what_is_to_be_signed_for_does_not_wait() -> None:
    """An acknowledgement is wanted within hours of the message: its clock must not run while it waits."""
    wanted = step("new", "start", "handler", acknowledge=Acknowledge(parse_duration("9 工作小时"), ("section_head",)))
    notice, _ = raised("2026-09-16 10:00", wanted)
    assert notice.hold_until is None


def test_quiet_hours_come_first_and_the_hour_follows() -> None:
    """At night it waits for the morning in any case, and then for the first hour after it."""
    quiet = QuietHours(time(22), time(7, 30))
    rules = with_steps(step("new", "start", "handler"), digest=TWICE_A_DAY, quiet=quiet)
    the_case = case(milestones={"arrived_at": at("2026-09-16 23:00")})
    (notice,) = decide(at("2026-09-16 23:00"), rules=rules, the_case=the_case).notices
    assert notice.hold_until == at("2026-09-17 08:30")


def test_urgent_restricted_and_released_messages_never_wait() -> None:
    """Red, with a basis to wake, or for a human to release: as without the hours."""
    notice, plan = raised("2026-10-09 10:00", step("urge", "due + 1 工作日 10:00", "handler"))
    assert plan.light is Light.RED
    assert (notice.hold_until, notice.digest) == (None, False)
    notice, _ = raised("2026-09-16 10:00", step("new", "start", "handler", may_wake="防汛"))
    assert notice.hold_until is None
    rules = with_steps(step("new", "start", "principal"), digest=TWICE_A_DAY, release_above="section_head")
    plan = decide(at("2026-09-16 10:00"), History(), rules=rules)
    assert {notice.hold_until for notice in plan.notices} == {None}


def test_the_simulation_foretells_the_hour() -> None:
    """Decided when it comes in, told at the hour; done before the hour, it is dropped and nobody hears of it."""
    rules = with_steps(step("new", "start", "handler"), step("next", "due 09:00", "handler"), digest=TWICE_A_DAY)
    since, until = at("2026-09-16 10:00"), at("2026-09-20 10:00")
    facts = [(since, case())]
    seen = foresee(policies(rules), facts, directory(), CALENDARS, KINDS, since, until)
    assert [(one.decided_at, one.at) for one in seen.told] == [(since, at("2026-09-16 14:00"))]
    done = case(milestones={"arrived_at": since, "notified_at": at("2026-09-16 13:00")})
    seen = foresee(
        policies(rules), [*facts, (at("2026-09-16 13:00"), done)], directory(), CALENDARS, KINDS, since, until
    )
    assert (seen.told, [one.notice.step for one in seen.dropped]) == ((), ["new"])
