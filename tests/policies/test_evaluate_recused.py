"""Whoever was recused (回避), or left, after a notice was written and before it went out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from policies.beforehand.course import may_hear
from policies.evaluate import after_failure, after_transfer
from policies.model import Post, RestrictedRule, Via, Why
from support.invented_office import CHINA, KINDS, POSTS, at, case, decide, directory, obligation, policy

if TYPE_CHECKING:
    from policies.model import Notice, Plan

DUE_DAY = at("2026-10-08 09:00")
SOON = at("2026-10-08 09:20")
VACANT = directory(
    posts=(*(p for p in POSTS if p.official != "head"), Post("B", "section_head", "head", None, at("2026-01-01 00:00")))
)


def to(person: str) -> Notice:
    """What that person gets on the due day, while the post of the section head is empty."""
    return next(n for n in decide(DUE_DAY, people=VACANT).notices if n.person == person)


def passed_on(notice: Notice, *recused: str) -> Plan | None:
    """What becomes of it once these are recused."""
    return after_transfer(policy(), obligation(), case(recused=recused), notice, VACANT, None, CHINA, SOON, KINDS)


@pytest.mark.parametrize(("person", "instead"), [("clerk", "deputy"), ("deputy", "boss"), ("root", None)])
def test_whoever_is_recused_by_now_gets_nothing(person: str, instead: str | None) -> None:
    """In his own role, in a vacant one's place or as an administrator's copy: the next one up hears, or nobody."""
    assert passed_on(to(person)) is None
    plan = passed_on(to(person), person)
    assert plan is not None
    assert [one.person for one in plan.notices] == ([] if instead is None else [instead])
    assert plan.reasons[0].why is Why.RECUSED


def test_the_next_channel_is_not_tried_for_somebody_recused() -> None:
    """A text that failed is not followed by a mail to the same person, who must not hear of the case by now."""
    rules = policy(via=Via(("sms", "email"), in_order=True))
    failed = next(n for n in decide(DUE_DAY, rules=rules).notices if n.person == "head")
    assert failed.instead == ("email",)
    plan = after_failure(rules, obligation(), case(recused=("head",)), failed, directory(), None, CHINA, SOON, KINDS)
    assert [one.person for one in plan.notices] == ["deputy", "deputy"][: len(plan.notices)]
    assert plan.notices


def test_a_failure_goes_up_though_the_person_is_in_no_directory_any_more() -> None:
    """He left between the decision and the sending: the next one up is told."""
    failed = next(n for n in decide(DUE_DAY).notices if n.person == "head")
    people = directory()
    left = replace(people, officials={key: one for key, one in people.officials.items() if key != "head"})
    plan = after_failure(policy(), obligation(), case(), failed, left, None, CHINA, SOON, KINDS)
    assert [one.person for one in plan.notices] == ["deputy"]


def test_the_list_of_a_restricted_case_yields_to_recusal() -> None:
    """Somebody on the list of a restricted case who is recused by now hears nothing of it either."""
    rules = policy(restricted=RestrictedRule(("watch",)))
    secret = case(restricted=True)
    (notice,) = decide(DUE_DAY, the_case=secret, rules=rules).notices
    assert may_hear(notice, secret, rules)
    assert not may_hear(notice, case(restricted=True, recused=("watch",)), rules)
