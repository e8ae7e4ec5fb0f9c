"""The numbered statements about reminders, on the worked dates of the National Day holidays of 2026."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from policies.duration import parse_duration
from policies.evaluate import timeline
from policies.model import Case, Extension, ExtensionRule, History, Light, Transfer, Why
from policies.obligations import first_handler_of, revise
from support.invented_office import (
    CHINA,
    LADDER,
    at,
    case,
    counted,
    decide,
    end_of,
    obligation,
    policies,
    policy,
    step,
    with_steps,
)

ON_SATURDAY = case(milestones={"arrived_at": at("2026-09-25 10:00")})  # fifteen days end on Sat 10-10, a make-up day


def instants(moment: str, the_case: Case) -> list[str]:
    """When a single step at that moment speaks, by the office's clock."""
    rules = with_steps(step("x", moment, "handler"))
    rungs = timeline(rules.ladders["standard"], obligation(the_case), {}, CHINA)
    return [f"{rung.at.astimezone(CHINA.zone):%m-%d %H:%M}" for rung in rungs]


@pytest.mark.parametrize(
    ("moment", "the_case", "expected"),
    [
        ("due - 3 工作日 09:00", case(), "09-28 09:00"),
        ("due - 1 工作日 09:00", case(), "09-30 09:00"),
        ("due - 3 日 09:00", case(), "10-05 09:00"),
        ("due - 1 日 09:00", case(), "10-07 09:00"),
        ("due - 3 工作日 09:00", ON_SATURDAY, "09-30 09:00"),
        ("due - 1 工作日 09:00", ON_SATURDAY, "10-09 09:00"),
        ("due 09:00", ON_SATURDAY, "10-10 09:00"),
        ("due + 1 工作日 09:00", case(), "10-09 09:00"),
        ("due + 5 工作日 09:00", case(), "10-14 09:00"),
    ],
)
def test_statements_29_to_31(moment: str, the_case: Case, expected: str) -> None:
    """Leads and escalations count working days over the holidays and through make-up Saturdays."""
    assert instants(moment, the_case) == [expected]


def test_statement_25_recount_resends_nothing() -> None:
    """A provisional date recounted without a change of light sends nothing that was sent before."""
    before, now = decide(at("2026-09-28 09:00")), at("2026-09-29 10:00")
    old = obligation()
    recounted = replace(old, legal_due_at=end_of("2026-10-09"), deadline_version=1)
    new, history, _ = revise(old, before.history, recounted, LADDER, CHINA, now)
    sent = {notice.key for notice in before.notices}
    assert (new.deadline_version, history) == (1, before.history)
    after = decide(now, history, one=new)
    assert {notice.key for notice in after.notices} <= sent


def test_statement_27_lights_follow_the_platform_and_overdue_the_law() -> None:
    """Red from the platform's instant on; legally overdue only after 10-08 24:00; both dates are in the message."""
    the_case = case(milestones={"arrived_at": at("2026-09-17 10:00"), "limit_at": at("2026-10-02 10:00")})
    assert decide(at("2026-10-02 10:00"), the_case=the_case).light is Light.ORANGE
    red = decide(at("2026-10-02 10:01"), the_case=the_case)
    assert (red.light, red.history.breached_at) == (Light.RED, None)
    assert red.notices[0].facts["platform_due"] == "2026-10-02T10:00:00+08:00"
    assert red.notices[0].facts["legal_due"] == "2026-10-08T23:59:59.999999+08:00"
    assert decide(end_of("2026-10-08"), the_case=the_case).history.breached_at is None
    late = decide(end_of("2026-10-08") + timedelta(microseconds=1), the_case=the_case)
    assert late.history.breached_at == at("2026-10-09 00:00")


def test_statement_31_ladder_after_the_limit() -> None:
    """One working day over: the deputy leader with copies to head and inspector; five over: the principal."""
    day_before = decide(at("2026-10-08 09:00")).history
    urge = decide(at("2026-10-09 09:00"), day_before)
    assert [(n.person, n.copy, n.facts["issue"]) for n in urge.notices] == [
        ("deputy", False, "urging_note"),
        ("head", True, "urging_note"),
        ("watch", True, "urging_note"),
    ]
    assert urge.notices[0].facts["overdue_days"] == 1
    assert [n.person for n in decide(at("2026-10-14 09:00"), urge.history).notices] == ["boss"]


def test_statement_33_one_message_after_down_time() -> None:
    """Off from 09-29 to 10-09: one red message listing what was missed, with the true instants in the reasons."""
    before = decide(at("2026-09-28 09:00"))
    plan = decide(at("2026-10-09 10:00"), before.history)
    assert plan.light is Light.RED
    assert {notice.step for notice in plan.notices} == {"urge"}
    assert {notice.missed for notice in plan.notices} == {("today",)}
    assert [notice.why for notice in plan.notices] == [Why.CAUGHT_UP] * 3
    missed = [reason for reason in plan.reasons if reason.why is Why.MISSED]
    assert [(reason.step, reason.at) for reason in missed] == [("today", at("2026-10-08 09:00"))]
    assert plan.history.breached_at == at("2026-10-09 00:00")


def test_statement_38_first_handler_does_not_follow_the_case() -> None:
    """Whatever is transferred later, counting again names the same unit that was first."""
    rules = policies(policy())
    first = first_handler_of(rules, case())
    moved = case(
        unit="C",
        handler="clerk2",
        transfers=(Transfer(1, at("2026-09-20 10:00"), "C", "clerk2", from_unit="B"),),
    )
    again = first_handler_of(rules, moved)
    assert first is not None
    assert again is not None
    assert (first.unit, first.frozen_at) == (again.unit, again.frozen_at) == ("B", at("2026-09-16 10:00"))


def test_extension_reminds_of_the_new_limit_and_does_not_assign_again() -> None:
    """After an extension the due steps come again under the new version, the first text does not."""
    rule = ExtensionRule(parse_duration("15 日"), ("principal",))
    rules = policy(replace(policy().limits[0], extension=rule))
    reminded = decide(at("2026-09-28 09:00"), rules=rules)
    granted = Extension(
        1, parse_duration("15 日"), at("2026-09-28 12:00"), "principal", petitioner_told_at=at("2026-09-28 12:00")
    )
    longer = case(extensions=(granted,))
    now = at("2026-09-28 13:00")
    fresh = counted(longer, now, rules).obligations[0]
    new, history, _ = revise(obligation(rules=rules), reminded.history, fresh, LADDER, CHINA, now)
    assert (new.deadline_version, new.legal_due_at) == (2, end_of("2026-10-16"))
    quiet = decide(now, history, the_case=longer, rules=rules, one=new)
    assert quiet.notices == ()
    assert quiet.next_check_at == at("2026-10-13 00:00")
    again = decide(at("2026-10-13 09:00"), quiet.history, the_case=longer, rules=rules, one=new)
    assert [(n.step, n.deadline_version) for n in again.notices] == [("remind", 2)]


def test_correction_into_the_past_says_once_where_it_stands() -> None:
    """A corrected start whose steps are all past is caught up with one message, not replayed."""
    before = decide(at("2026-09-28 09:00"))
    earlier = case(milestones={"arrived_at": at("2026-09-01 10:00")})
    now = at("2026-09-28 10:00")
    new, history, _ = revise(obligation(), before.history, obligation(earlier), LADDER, CHINA, now)
    plan = decide(now, history, the_case=earlier, one=new)
    assert (history, {n.step for n in plan.notices}) == (History({}, Light.YELLOW), {"bulletin"})
    assert len(plan.notices) == 1
    assert plan.notices[0].deadline_version == 2
