"""A calendar is released or changed: open limits of every shape are recounted, and nothing is said twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from policies.duration import parse_duration
from policies.evaluate import timeline
from policies.limits.revision import revise
from policies.model import Bound, Case, History, Light, Limit, Obligation, Recurrence, Why
from policies.obligations import obligations_of
from policies.text import Text
from support.invented_office import (
    CHINA,
    LADDER,
    at,
    case,
    decide,
    end_of,
    limit,
    obligation,
    policies,
    policy,
)

if TYPE_CHECKING:
    from policies.calendar import Calendar

CUT = limit(id="cut", title="核查", start=("notify.due",), within=parse_duration("15 日"), done=("checked_at",))
MONTHLY = limit(recur=Recurrence(parse_duration("15 日")), platform_due=())
WORKING = limit(within=parse_duration("60 日"), platform_due=(Bound("registered_at", parse_duration("8 工作日")),))
SENT = History({"start": at("2026-09-16 15:00"), "due": at("2026-09-28 09:00")}, Light.GREEN)


def with_days_off(*days: str) -> Calendar:
    """The calendar of China after an announcement in the middle of the year."""
    off = {date.fromisoformat(day): Text("临时放假", "announced") for day in days}
    return replace(CHINA, days_off=off)


def last(limits: tuple[Limit, ...], calendar: Calendar, the_case: Case, now: Any, before: Any = ()) -> Obligation:
    """The last obligation counted."""
    found = obligations_of(policies(policy(*limits)), the_case, {"china": calendar}, now, before=before)
    return found.obligations[-1]


@pytest.mark.parametrize(
    ("limits", "now"),
    [
        ((limit(platform_due=()),), "2026-09-20 10:00"),
        ((limit(platform_due=()), CUT), "2026-09-20 10:00"),
        ((MONTHLY,), "2026-10-09 10:00"),
    ],
)
def test_recount_by_the_calendar_repeats_nothing(limits: tuple[Limit, ...], now: str) -> None:
    """Statement 25 for a plain, a linked and a recurring limit: old and new date told, version and cursors kept."""
    old = last(limits, CHINA, case(), at("2026-10-08 23:59") if limits == (MONTHLY,) else at(now))
    longer = with_days_off("2026-10-08", "2026-10-09")
    if limits == (MONTHLY,):
        old, longer = last(limits, CHINA, case(), at(now)), with_days_off("2026-10-08")
        moved = last(limits, longer, case(), at("2026-10-10 10:00"))
        assert old.instance == moved.instance == "2"
    else:
        moved = last(limits, longer, case(), at(now))
    one, history, reasons = revise(old, SENT, moved, LADDER, longer, at(now), limits[-1])
    assert (one.deadline_version, history) == (1, SENT)
    assert [reason.why for reason in reasons] == [Why.MOVED]
    assert one.start_at != old.start_at or one.legal_due_at != old.legal_due_at


def test_platform_bound_in_working_days_moves_with_the_calendar() -> None:
    """A bound counted in working days moves with them: no change of facts, so nothing is repeated."""
    milestones = {"arrived_at": at("2026-09-16 10:00"), "registered_at": at("2026-09-25 10:00")}
    the_case, now = case(milestones=milestones), at("2026-09-25 12:00")
    longer = with_days_off("2026-10-10", "2026-10-11")
    old, new = last((WORKING,), CHINA, the_case, now), last((WORKING,), longer, the_case, now)
    assert old.platform_due_at != new.platform_due_at
    one, _, _ = revise(old, SENT, new, LADDER, longer, now, WORKING)
    assert one.deadline_version == 1
    fixed = replace(WORKING, platform_due=(Bound("limit_at"),))
    one, _, _ = revise(old, SENT, new, LADDER, longer, now, fixed)
    assert one.deadline_version == 2


def test_light_that_changes_repeats_the_due_steps_and_not_the_assignment() -> None:
    """A linked limit pushed from yellow back to green begins its reminders anew, never its assignment."""
    limits = (limit(platform_due=()), CUT)
    old = last(limits, CHINA, case(), at("2026-09-20 10:00"))
    longer = with_days_off(*(f"2026-10-{day:02}" for day in range(8, 31)))
    new = last(limits, longer, case(), at("2026-09-20 10:00"))
    one, history, _ = revise(old, SENT, new, LADDER, longer, at("2026-10-22 10:00"), CUT)
    assert (one.deadline_version, set(history.decided_until)) == (2, {"start"})


def test_corrected_fact_of_a_linked_limit_still_shows() -> None:
    """The predecessor's start was corrected, the light is green before and after: later steps go to the new days."""
    limits = (limit(platform_due=()), CUT)
    now = at("2026-09-20 10:00")
    later = case(milestones={"arrived_at": at("2026-09-18 10:00")})
    old, new = last(limits, CHINA, case(), now), last(limits, CHINA, later, now)
    one, history, _ = revise(old, History({"start": now}, Light.GREEN), new, LADDER, CHINA, now, CUT)
    ahead = [rung.at for rung in timeline(LADDER, one, {}, CHINA) if rung.step.at.anchor == "due"]
    assert all(at_ > history.decided_until.get("due", now) for at_ in ahead)


def test_provisional_mark_goes_when_the_year_is_known() -> None:
    """Statement 24 and 25 for a recurring limit: provisional before the notice, plain after it, the old date told."""
    rule = limit(within=parse_duration("3 月"), recur=Recurrence(parse_duration("1 月")), platform_due=())
    the_case, now = case(milestones={"arrived_at": at("2026-11-01 10:00")}), at("2026-11-03 10:00")
    announced = replace(
        CHINA, known_until=date(2027, 12, 31), days_off={date(2027, 2, 1): Text("临时放假", "announced")}
    )
    old, new = last((rule,), CHINA, the_case, now), last((rule,), announced, the_case, now)
    assert (old.provisional, new.provisional) == (True, False)
    one, _, reasons = revise(old, History({}, Light.GREEN), new, LADDER, announced, now, rule)
    assert (one.deadline_version, one.provisional) == (1, False)
    assert "2027-02-01 24:00" in reasons[0].text.zh


def test_corrected_holder_begins_a_new_ladder() -> None:
    """The record named the wrong unit: the right one's ladder begins anew, and the story says so."""
    rule = limit(per_holder=True)
    old = last((rule,), CHINA, case(unit="C"), at("2026-09-20 10:00"))
    new = last((rule,), CHINA, case(unit="B"), at("2026-09-20 10:00"))
    one, history, (reason,) = revise(old, SENT, new, LADDER, CHINA, at("2026-09-20 10:00"), rule)
    assert (one.deadline_version, dict(history.decided_until)) == (2, {})
    assert reason.text.zh == "承办单位更正为 B（原为 C），阶梯重新开始，期限 2026-10-08 24:00。"


def test_platform_breach_is_forgotten_with_its_limit() -> None:
    """A platform limit that was moved ahead of us again can be breached again."""
    breached = replace(SENT, platform_breached_at=at("2026-09-25 10:00"))
    milestones = {"arrived_at": at("2026-09-16 10:00"), "limit_at": at("2026-09-25 09:00")}
    now = at("2026-09-26 10:00")
    old = last((limit(),), CHINA, case(milestones=milestones), now)
    new = last((limit(),), CHINA, case(milestones={**milestones, "limit_at": end_of("2026-10-05")}), now)
    _, history, _ = revise(old, breached, new, LADDER, CHINA, now, limit())
    assert history.platform_breached_at is None


def test_reminder_is_not_sent_twice_after_a_recount() -> None:
    """Reminded on 09-28, recounted on 09-29 with the same light: the reminder of the new day has the same key."""
    reminded = decide(at("2026-09-28 09:00"))
    new = last((limit(),), with_days_off("2026-10-08"), case(), at("2026-09-29 10:00"))
    one, history, _ = revise(obligation(), reminded.history, new, LADDER, CHINA, at("2026-09-29 10:00"), limit())
    assert one.legal_due_at == end_of("2026-10-09")
    again = decide(at("2026-09-29 10:00"), history, one=one)
    assert {notice.key for notice in again.notices} <= {notice.key for notice in reminded.notices}
