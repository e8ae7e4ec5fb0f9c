"""Statements 29 to 37 of the domain rules: when reminders go out, wait, fold, are dropped, go another way, or join."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.calendars import china
from daemon.store.values import DeliveryState
from policies.counting import count
from policies.duration import parse_duration
from policies.evaluate import timeline
from policies.limits.revision import revise
from policies.model import Case, Extension, ExtensionRule, History, Light, Why
from support.invented_office import (
    CHINA,
    LADDER,
    at,
    case,
    counted,
    decide,
    end_of,
    obligation,
    policy,
    step,
    with_steps,
)
from support.running_office import CASE, Running, running_office

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.office import Office

HANDLER, HEAD = "+8613800001000", "+8613800002000"
POLICY = "policies/office.yaml"
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
    ],
)
def test_statement_29_leads_in_working_days_skip_the_holidays(moment: str, the_case: Case, expected: str) -> None:
    """Three working days before 8 October is 28 September; natural days would fall inside the holidays."""
    assert instants(moment, the_case) == [expected]


def test_statement_29_counting_back_as_a_period_gives_the_same_day() -> None:
    """Three working days back from Thursday 8 October is Monday 28 September."""
    assert str(count(at("2026-10-08 10:00"), parse_duration("-3 工作日"), china()).legal_day) == "2026-09-28"


def test_statement_30_the_due_day_reminder_goes_out_on_a_make_up_saturday() -> None:
    """10 October 2026 is a working day for every question one can ask, and the reminder is sent on it."""
    assert instants("due 09:00", ON_SATURDAY) == ["10-10 09:00"]
    before = decide(at("2026-09-30 09:00"), the_case=ON_SATURDAY).history
    told = decide(at("2026-10-10 09:00"), before, the_case=ON_SATURDAY).notices
    assert [(n.step, n.person) for n in told] == [("today", "clerk"), ("today", "head")]
    saturday = date(2026, 10, 10)
    assert china().is_workday(saturday)
    assert china().next_workday(saturday) == saturday
    assert china().closes_at(saturday) == at("2026-10-10 17:30")
    assert china().day_off_name(saturday) is None


def test_statement_31_the_ladder_after_the_limit() -> None:
    """One working day over: the deputy leader with copies to head and inspector; five over: the principal."""
    assert instants("due + 1 工作日 09:00", case()) == ["10-09 09:00"]
    assert instants("due + 5 工作日 09:00", case()) == ["10-14 09:00"]
    day_before = decide(at("2026-10-08 09:00")).history
    urge = decide(at("2026-10-09 09:00"), day_before)
    assert [(n.person, n.copy, n.facts["issue"]) for n in urge.notices] == [
        ("deputy", False, "urging_note"),
        ("head", True, "urging_note"),
        ("watch", True, "urging_note"),
    ]
    assert urge.notices[0].facts["overdue_days"] == 1
    assert [n.person for n in decide(at("2026-10-14 09:00"), urge.history).notices] == ["boss"]


def changing(*changes: tuple[str, str]) -> Callable[[Office], None]:
    """Change what the office's policy says, before it starts."""

    def prepare(office: Office) -> None:
        for old, new in changes:
            office.change(POLICY, old, new)

    return prepare


@pytest.mark.parametrize(
    ("within", "waits_until"),
    [
        ("15 日", "2026-10-08 07:30"),  # due 10-15: the next working morning
        ("2 日\n    roll: none", "2026-10-01 07:30"),  # due 10-02, before that morning: when the night ends
        ("24 小时", None),  # hour-class
    ],
)
async def test_statement_32_quiet_hours(
    tmp_path: Path, sqlite_store_url: str, within: str, waits_until: str | None
) -> None:
    """Raised on the eve of National Day at 22:10: held to the next working morning, or less if the limit ends first."""
    night = "2026-09-30 22:10"
    prepare = changing(
        ("within: 15 日", f"within: {within}"),
        ("via: [sms, email]", 'via: [sms]\nquiet_hours: {from: "22:00", to: "07:30"}'),
        ("say: remind}", "say: remind, when: {light: green}}"),  # only the assignment is looked at here
    )
    async with running_office(tmp_path, sqlite_store_url, now=night, arrived=night, prepare=prepare) as world:
        at_once = [(one.clock, one.to) for one in await world.work()]
        (delivery,) = world.deliveries()
        if waits_until is None:
            assert at_once == [(night, HANDLER)]
            return
        assert at_once == []
        assert delivery.not_before_at == at(waits_until)
        assert [(one.clock, one.to) for one in await world.live_until(waits_until)] == [(waits_until, HANDLER)]


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


async def test_statement_33_each_case_sends_one_message_after_the_node_was_off(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """Three cases, a node that was off for ten days: each person hears once of each case, of where it stands now."""
    async with running_office(tmp_path, sqlite_store_url, cases=3) as world:
        await world.live_until("2026-09-27 10:00")
        before = len(world.received)
        await world.restart("2026-10-09 10:00")
        await world.work()
        told = world.received[before:]
        assert len(told) == 3 * 2 * 2  # cases, people, channels
        assert len({(one.to, case_of(one.text)) for one in told}) == len(told)
        assert all("催办" in one.text for one in told)
        missed = [one.text.partition("停机期间未能按时发出的梯级")[2] for one in told if one.channel == "email"]
        assert {text.count("\n  - ") for text in missed} == {2}


def case_of(text: str) -> str:
    """The case number a text names."""
    return next(word for word in (f"XF0000000{number}" for number in range(10)) if word in text)


async def test_statement_34_a_crash_between_send_and_commit_doubles_one_message_and_marks_it(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """The gateway has the text, the node dies before it writes so: the next one sends it once more, marked."""
    prepare = changing(("via: [sms, email]", "via: [sms]"))
    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        world.texts.fail("hang")
        await world.node.sync()
        await world.node.tick()
        dying = asyncio.create_task(world.node.pump())
        await world.texts.hanging.wait()
        second = await world.another_node()
        try:
            world.clock.advance(timedelta(minutes=5))
            assert await second.pump() == 0, "what another worker holds is not taken"
            world.store.bury([world.node.epoch], world.clock.now())
            await second.pump()
            await second.pump()
        finally:
            await second.close()
            dying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dying
        keys = [one["key"] for one in world.texts.messages]
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert [one.duplicate for one in world.collect()] == [False, True]
        (one,) = world.deliveries()
        assert (one.state, one.possible_duplicate) == (DeliveryState.ACCEPTED, True)


async def test_statement_34_obligation_step_recipient_and_channel_are_unique(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """The same notice put down again, by whatever doubled tick, is no second message."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        assert len(await world.work()) == 2
        (one, other) = world.deliveries()
        assert one.notice.key != other.notice.key
        for again in (one, other):
            written = world.store.add_notices(again.obligation_id, [again.notice], [], "v1", world.clock.now())
            assert written == 0
        assert await world.work() == []


OVERTAKEN = {
    "closed": ("UPDATE cases SET notified = '2026-09-16 10:03:00'", "done"),
    "extended": (
        "INSERT INTO extensions VALUES ('XF00000000', '2026-09-16 10:02:00', 10, 'principal', '2026-09-16 10:02:00')",
        "deadline_moved",
    ),
    "transferred": ("UPDATE cases SET handler = 'c0'", "transferred"),
    "withdrawn": ("DELETE FROM cases", "withdrawn"),
}


@pytest.mark.parametrize("what", OVERTAKEN)
async def test_statement_35_what_the_facts_overtook_is_cancelled_when_it_is_to_be_sent(
    tmp_path: Path, sqlite_store_url: str, what: str
) -> None:
    """Planned at ten, sent five minutes later: the case is re-read just before, and the message does not go out."""
    prepare = changing(
        ("within: 15 日\n", "within: 15 日\n    extension: {up_to: 30 日, approved_by: principal}\n"),
        ("{at: start, to: [first_handler]", "{at: start, to: [handler]"),
        ("via: [sms, email]", "via: [sms]"),
    )
    async with running_office(tmp_path, sqlite_store_url, cases=1, prepare=prepare) as world:
        world.execute("INSERT INTO cases (no, unit, handler, arrived, changed) VALUES ('XF9', 's1', 'h1', ?, ?)",
                      "2026-09-16 10:00:00", "2026-09-16 10:00:00")  # fmt: skip
        await world.node.sync()
        await world.node.tick()
        world.clock.advance(timedelta(minutes=5))
        statement, reason = OVERTAKEN[what]
        world.execute(statement + ("" if statement.startswith("INSERT") else f" WHERE no = '{CASE}'"))
        await world.node.pump()
        told = {one.to for one in world.collect()}
        assert HANDLER not in told
        assert "+8613800001001" in told, "the other case is not held up"
        assert [(d.state, d.error) for d in world.deliveries() if d.notice.person == "h0"] == [
            (DeliveryState.CANCELLED, reason)
        ]
        assert (HEAD in told) is (what == "transferred"), "who has it now is told instead"


async def test_statement_36_accepted_is_not_delivered_next_channel_next_level(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """No receipt for thirty minutes: a mail; refused: the head of the section; the story shows every step."""
    prepare = changing(("via: [sms, email]", "via: {in_order: [sms, email], wait: 30 分钟}"))
    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        world.mails.fail("RCPT", "550 5.1.1 no such user")
        told = await world.live_until("2026-09-16 10:59")
        assert [(one.clock[11:], one.channel, one.to) for one in told] == [
            ("10:00", "sms", HANDLER),
            ("10:30", "sms", HEAD),
        ]
        assert world.states() == ["assigned h0 accepted", "assigned h0 failed", "assigned c0 accepted"]
        assert world.story()[-6:] == ["sent", "fell_upward", "no_receipt", "fell_upward", "failed", "sent"]
        told = await world.live_until("2026-09-16 12:00")
        assert [(one.clock[11:], one.channel, one.to) for one in told] == [("11:00", "email", "head0@example.com")]


HOURS = """  urgent:
    title: 紧急事项
    applies_to: {kind: 紧急}
    start: arrived_at
    within: 72 小时
    done: finished_at
    ladder: hours
ladders:
  hours:
    lights: {yellow: 48 小时, orange: 24 小时}
    steps:
      - {at: due - 24 小时, to: [first_handler], say: remind}
"""


def of_one_person(office: Office) -> None:
    """All cases are one handler's, one of them is urgent as well; yellow ones may go together."""
    office.execute("UPDATE cases SET unit = 's0', handler = 'h0'")
    office.execute("UPDATE cases SET kind = '紧急' WHERE no = ?", CASE)
    office.change(POLICY, "via: [sms, email]", "via: [sms, email]\ndigest: {lights: [green, yellow], at_least: 2}")
    office.change(POLICY, "ladders:\n", HOURS)


async def test_statement_37_forty_yellow_cases_are_one_message_and_red_or_urgent_ones_are_not(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """One digest per channel instead of forty; what counts in hours and what is red comes singly, the same day."""
    async with running_office(tmp_path, sqlite_store_url, cases=40, prepare=of_one_person) as world:
        urgent = [one for one in await world.live_until("2026-09-28 08:00") if "紧急事项" in one.text]
        assert len(urgent) == 2
        assert not any("40件" in one.text for one in urgent)
        yellow = await world.live_until("2026-09-29 08:00")
        assert sorted((one.channel, "40件" in one.text) for one in yellow) == [("email", True), ("sms", True)]
        await world.live_until("2026-10-09 08:00")
        red = [one for one in await world.live_until("2026-10-09 10:00") if one.to == HEAD]
        assert len(red) == 40
        assert not any("件" in one.text.partition("：")[0] for one in red)


def within_24_hours(world: Running, to: str) -> int:
    """The most texts one number got within any 24 hours."""
    times = sorted(at(one.clock) for one in world.received if (one.channel, one.to) == ("sms", to))
    return max(sum(first <= other < first + timedelta(hours=24) for other in times) for first in times)


async def test_statement_37_what_may_go_together_keeps_below_a_vendors_cap(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """Sixty yellow reminders of one day would pass a cap of fifty a number; together they are one text."""
    async with running_office(tmp_path, sqlite_store_url, cases=60, prepare=of_one_person) as world:
        await world.live_until("2026-10-07 10:00")
        assert within_24_hours(world, HANDLER) <= 50


# --- the ladder after a change of facts -------------------------------------------------------------------------


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
