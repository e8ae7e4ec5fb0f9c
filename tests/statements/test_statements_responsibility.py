"""Statements 38 to 43 of the domain rules: who is first handler, whose clock runs, who is told instead, who never."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from policies.duration import parse_duration
from policies.evaluate import timeline
from policies.model import (
    Bound,
    Case,
    FirstHandler,
    Light,
    Movement,
    ObligationState,
    Post,
    Transfer,
    Why,
)
from policies.people.first_handler import first_handler_of
from support.invented_office import (
    CHINA,
    POSTS,
    at,
    case,
    counted,
    decide,
    directory,
    end_of,
    limit,
    official,
    policies,
    policy,
    step,
    with_person,
    with_steps,
)
from support.running_office import CASE, running_office

if TYPE_CHECKING:
    from pathlib import Path

    from policies.model import Directory, Obligation
    from support.office import Office

POLICY = "policies/office.yaml"
ADMINISTRATOR = {"+8613800000000", "admin@example.com"}
DEPUTY = {"+8613800000001", "leader@example.com"}
PRINCIPAL = {"+8613800000002", "principal@example.com"}


def test_statement_38_whatever_is_transferred_later_the_first_unit_stays_first() -> None:
    """Counting again after a transfer names the same unit, and the same instant of freezing."""
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


async def test_statement_38_a_disputed_first_handler_stays_and_the_conflict_is_told(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """The source names another: the original is kept, the conflict is recorded once, the administrator is alerted."""
    async with running_office(tmp_path, sqlite_store_url, now="2026-09-16 10:30") as world:
        await world.work()
        frozen = world.store.first_handlers([CASE])[CASE]
        assert (frozen.unit, frozen.official) == ("s0", "h0")
        world.update("unit = 's1', handler = 'h1', arrived = '2026-09-16 10:00:00'")
        for moment in ("2026-09-16 11:00", "2026-09-16 12:00", "2026-09-17 09:00"):
            await world.work(moment)
            await world.node.full_sync()
            await world.node.audit()
            await world.work()
        assert world.store.first_handlers([CASE])[CASE] == frozen
        assert world.story().count("conflict") == 1
        alerts = [one for one in world.received if "首办" in one.text and one.to in ADMINISTRATOR]
        assert sorted(one.channel for one in alerts) == ["email", "sms"]
        assert all(CASE in one.text for one in alerts if one.channel == "email")


# --- the worked transfer of domain section 2.4 --------------------------------------------------------------------

SORT = limit(id="sort", title="转送", start=("registered_at",), done=("forwarded_at",), platform_due=())
OBJECT = limit(
    id="object",
    title="异议",
    within=parse_duration("5 工作日"),
    done=("objected_at",),
    per_holder=True,
    platform_due=(),
)
NOTIFY = limit(per_holder=True, platform_due=(Bound("registered_at", parse_duration("30 日")),))
BUREAU = with_steps(
    step("remind", "due - 3 工作日 09:00", "first_handler", "handler"),
    step("today", "due 09:00", "handler", "section_head"),
    limits=(SORT, OBJECT, NOTIFY),
)
TO_A = Transfer(1, at("2026-05-20 10:00"), "C", "clerk2", "A")
ASKED = Transfer(2, at("2026-05-26 15:00"), None, None, "C", "异议", kind=Movement.HAND_BACK)
AGREED = replace(ASKED, approved_by="信访局", decided_at=at("2026-05-28 09:00"))
TO_B = Transfer(3, at("2026-05-28 10:00"), "B", "clerk", "A", reason="异议成立", approved_by="信访局")


def registered(*moves: Transfer, unit: str, handler: str, **also: str) -> Case:
    """A case registered by the bureau on Wed 2026-05-06 and sent on."""
    milestones = {"registered_at": at("2026-05-06 10:00"), **{name: at(moment) for name, moment in also.items()}}
    return case(milestones=milestones, unit=unit, handler=handler, transfers=moves)


def running(the_case: Case, name: str, now: str) -> Obligation:
    """The limit of that name whose clock runs."""
    found = counted(the_case, at(now), BUREAU).obligations
    (one,) = (one for one in found if one.limit == name and one.state is ObligationState.OPEN)
    return one


def test_statement_39_the_second_unit_is_warned_against_the_earlier_platform_limit() -> None:
    """Section 2.4: A has until 05-27 to object; B until 06-12 by law, and is warned against Fri 06-05."""
    with_a = registered(TO_A, unit="C", handler="clerk2")
    assert running(with_a, "sort", "2026-05-20 12:00").legal_due_at == end_of("2026-05-21")
    assert running(with_a, "object", "2026-05-20 12:00").legal_due_at == end_of("2026-05-27")
    with_b = registered(TO_A, AGREED, TO_B, unit="B", handler="clerk", objected_at="2026-05-26 15:00")
    mine = running(with_b, "notify", "2026-05-28 12:00")
    assert (mine.holder_unit, mine.legal_due_at) == ("B", end_of("2026-06-12"))
    assert (mine.due_at, mine.platform_due_at) == (at("2026-06-05 10:00"), at("2026-06-05 10:00"))
    speaks = {rung.id: rung.at for rung in timeline(BUREAU.ladders["standard"], mine, with_b.milestones, CHINA)}
    assert speaks["remind"] == at("2026-06-02 09:00")
    first = FirstHandler("XF001", "C", "clerk2", TO_A.at, "arrived_at")
    told = decide(at("2026-06-02 09:00"), the_case=with_b, rules=BUREAU, one=mine, first=first)
    assert told.light is Light.YELLOW
    assert {(notice.person, notice.role) for notice in told.notices} == {
        ("clerk", "handler"),
        ("clerk2", "first_handler"),
    }
    assert {notice.facts["due_day"] for notice in told.notices} == {"6月5日"}
    by_law = decide(at("2026-06-06 09:00"), the_case=with_b, rules=BUREAU, one=mine, first=first)
    assert (by_law.light, by_law.history.breached_at) == (Light.RED, None)


def test_statement_40_a_hand_back_nobody_agreed_to_moves_neither_clock_nor_reminders() -> None:
    """Sent back on 05-26: the objection still ends on Wed 05-27, and the reminders still go to the present unit."""
    before = registered(TO_A, unit="C", handler="clerk2")
    after = registered(TO_A, ASKED, unit="C", handler="clerk2")
    for name in ("object", "notify"):
        was, is_ = (running(one, name, "2026-05-26 16:00") for one in (before, after))
        assert (was.due_at, was.holder_unit) == (is_.due_at, is_.holder_unit)
    assert running(after, "object", "2026-05-26 16:00").legal_due_at == end_of("2026-05-27")
    mine = running(after, "object", "2026-05-26 16:00")
    told = decide(at("2026-05-27 09:00"), the_case=after, rules=BUREAU, one=mine)
    assert {notice.person for notice in told.notices if not notice.step.startswith("handback")} == {"clerk2", "head2"}
    agreed = registered(TO_A, AGREED, TO_B, unit="B", handler="clerk")
    assert running(agreed, "notify", "2026-05-28 12:00").holder_unit == "B"


# --- who is told instead, and who never ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "why"),
    [
        (directory(posts=tuple(post for post in POSTS if post.official != "head")), Why.VACANT),
        (with_person(official("head", "B", addresses={})), Why.UNREACHABLE),
        (with_person(official("head", "B", active=False)), Why.VACANT),
    ],
    ids=["vacant post", "neither number nor mailbox", "gone"],
)
def test_statement_41_what_cannot_reach_the_head_goes_one_up_and_to_the_administrator(
    people: Directory, why: Why
) -> None:
    """At the same instant, in the same decision; the reason is kept."""
    day = at("2026-10-08 09:00")
    before = decide(at("2026-09-28 09:00")).history
    plan = decide(day, before, people=people)
    assert {(n.person, n.at) for n in plan.notices} == {("clerk", day), ("deputy", day), ("root", day)}
    assert why in {reason.why for reason in plan.reasons}


@pytest.mark.parametrize(
    "gone",
    ["DELETE FROM posts WHERE person = 'c0'", "UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'c0'"],
)
async def test_statement_41_it_arrives_in_the_same_minute(tmp_path: Path, sqlite_store_url: str, gone: str) -> None:
    """The head of the section cannot be reached: at nine the deputy leader and the administrator have the message."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        world.execute(gone)
        await world.live_until("2026-10-08 08:00")
        told = await world.live_until("2026-10-08 12:00")
        instead = [one for one in told if one.to not in {"+8613800001000", "handler0@example.com"}]
        assert {one.to for one in instead} == DEPUTY | ADMINISTRATOR
        assert {one.clock for one in instead} == {"2026-10-08 09:00"}


SECRETS = ("书面告知", "承办人0", "科长0", "办信0科", "信访工作条例", "重大案情", "信访事项限时办结", "首办")


def restricted(office: Office) -> None:
    """Three restricted cases of one handler; the principal alone may hear of them; everything may go together."""
    office.execute("ALTER TABLE cases ADD COLUMN secret INTEGER DEFAULT 1")
    office.execute("UPDATE cases SET unit = 's0', handler = 'h0', kind = '重大案情'")
    office.change("source.yaml", "  changed: changed", "  changed: changed\n  restricted: secret")
    office.change(
        POLICY,
        "via: [sms, email]",
        "via: [sms, email]\nrestricted: {recipients: [p-principal], say: restricted}\n"
        "digest: {lights: [green, yellow, orange], at_least: 2}",
    )


async def test_statement_42_a_restricted_case_reaches_only_its_list_and_tells_nothing(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """Through the whole ladder: only the one on the list, singly, without a word of content."""
    async with running_office(tmp_path, sqlite_store_url, cases=3, prepare=restricted) as world:
        told = await world.live_until("2026-10-20 10:00")
        assert {one.to for one in told} == PRINCIPAL
        assert len(told) == 3 * 2 * 4  # cases, channels, steps: each by itself
        for one in told:
            assert not [word for word in SECRETS if word in one.text]
            assert sum(f"XF0000000{number}" in one.text for number in range(3)) == 1
        world.mails.fail("RCPT", "550 5.1.1 no such user", lasting=True)
        world.texts.fail("400")
        assert {one.to for one in await world.live_until("2026-10-30 10:00")} <= PRINCIPAL


async def test_statement_42_a_restricted_case_that_cannot_reach_its_list_reaches_nobody(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """The mailbox and the number on the list are refused: it is on record, and no chief or administrator is told."""
    async with running_office(tmp_path, sqlite_store_url, prepare=restricted) as world:
        world.mails.fail("RCPT", "550 5.1.1 no such user", lasting=True)
        world.texts.fail(*["400"] * 20)
        assert await world.live_until("2026-10-20 10:00") == []
        assert {state.split()[2] for state in world.states()} == {"failed"}
        assert {one.notice.person for one in world.deliveries()} == {"p-principal"}


def test_statement_43_two_roles_of_one_person_are_one_message() -> None:
    """The head of the section is deputy leader as well: one message, naming the higher role."""
    both = directory(posts=(*(post for post in POSTS if post.official != "deputy"), Post("A", "deputy_leader", "head")))
    before = decide(at("2026-10-08 09:00"), people=both).history
    plan = decide(at("2026-10-09 09:00"), before, people=both)
    assert [(n.person, n.role, n.copy) for n in plan.notices] == [
        ("head", "deputy_leader", False),
        ("watch", "inspector", True),
    ]
    assert Why.SAME_PERSON in {reason.why for reason in plan.reasons}
