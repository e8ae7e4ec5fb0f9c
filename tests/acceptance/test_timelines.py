"""Whole stories as the people concerned live them: which message reaches whom, at which instant, in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.running_office import CASE, at, running_office

if TYPE_CHECKING:
    from pathlib import Path

    from support.office import Office
    from support.running_office import Received

LADDER = """
policy: office
title: 信访事项限时办结
chain: [first_handler, section_head, deputy_leader, principal]
via: [sms, email]
first_handler: {freeze_at: [arrived_at]}
limits:
  notify:
    title: 书面告知
    basis: 信访工作条例第二十三条
    start: arrived_at
    within: 15 日
    done: notified_at
    ladder: standard
ladders:
  standard:
    lights: {yellow: 3 工作日, orange: 1 工作日}
    steps:
      - {at: start, to: first_handler, say: assigned}
      - {at: due - 3 工作日 09:00, to: first_handler, say: remind}
      - {at: due - 1 工作日 09:00, to: first_handler, say: remind}
      - {at: due 09:00, to: [first_handler, section_head], say: today}
      - {at: due + 1 工作日 09:00, to: deputy_leader, cc: [section_head, inspector], say: urge, issue: urging_note}
      - {at: due + 5 工作日 09:00, to: principal, say: bulletin}
"""
PEOPLE = {
    "+8613800001000": "承办人0",
    "handler0@example.com": "承办人0",
    "+8613800001001": "承办人1",
    "handler1@example.com": "承办人1",
    "+8613800002000": "科长0",
    "head0@example.com": "科长0",
    "+8613800002001": "科长1",
    "head1@example.com": "科长1",
    "+8613800000001": "分管领导",
    "leader@example.com": "分管领导",
    "+8613800000002": "主要负责人",
    "principal@example.com": "主要负责人",
    "+8613800000003": "督查专员",
    "inspector@example.com": "督查专员",
}


def with_ladder(office: Office) -> None:
    """Six rungs, and an inspector."""
    office.write("policies/office.yaml", LADDER)
    office.execute(
        "INSERT INTO people VALUES ('p-inspector', '督查专员', 'bureau', '13800000003', 'inspector@example.com')"
    )
    office.execute("INSERT INTO posts VALUES ('bureau', 'inspector', 'p-inspector', '2020-01-01 00:00:00', NULL)")


def lines(received: list[Received], channel: str, case: str = CASE) -> list[tuple[str, str, str]]:
    """(moment, person, kind of message) of one channel's messages about a case, in order."""
    kinds = ("新办", "提醒", "预警", "催办", "通报")
    return sorted(
        (one.clock[5:], PEOPLE[one.to], next(kind for kind in kinds if kind in one.text[:20]))
        for one in received
        if one.channel == channel and case in one.text
    )


FIRST = [
    ("09-16 10:00", "承办人0", "新办"),
    ("09-28 09:00", "承办人0", "提醒"),  # statement 29: three working days before, not inside the holidays
    ("09-30 09:00", "承办人0", "提醒"),
    ("10-08 09:00", "承办人0", "预警"),  # statement 2: 10-01 rolls to 10-08
    ("10-08 09:00", "科长0", "预警"),
    ("10-09 09:00", "分管领导", "催办"),  # statement 31
    ("10-09 09:00", "督查专员", "催办"),
    ("10-09 09:00", "科长0", "催办"),
    ("10-14 09:00", "主要负责人", "通报"),  # the make-up Saturday 10-10 counts
]
SECOND = [
    ("09-25 10:00", "承办人1", "新办"),
    ("09-30 09:00", "承办人1", "提醒"),
    ("10-09 09:00", "承办人1", "提醒"),
    ("10-10 09:00", "承办人1", "预警"),  # statements 3 and 30: due on a make-up Saturday
    ("10-10 09:00", "科长1", "预警"),
    ("10-12 09:00", "分管领导", "催办"),
    ("10-12 09:00", "督查专员", "催办"),
    ("10-12 09:00", "科长1", "催办"),
]


async def test_a_ladder_over_national_day(tmp_path: Path, store_url: str) -> None:
    """Two cases through the holidays of 2026: each person gets each text and mail at the instant the law gives."""
    async with running_office(tmp_path, store_url, prepare=with_ladder) as world:
        await world.live_until("2026-09-25 10:00")
        world.execute(
            "INSERT INTO cases (no, unit, handler, kind, arrived, changed) VALUES "
            "('XF00000001', 's1', 'h1', '求决', '2026-09-25 10:00:00', '2026-09-25 10:00:00')"
        )
        await world.live_until("2026-10-12 15:00")
        world.update("notified = '2026-10-12 14:00:00'", "XF00000001")
        await world.live_until("2026-10-31 09:00")
        for channel in ("sms", "email"):
            assert lines(world.received, channel) == sorted(FIRST)
            assert lines(world.received, channel, "XF00000001") == sorted(SECOND)
        assert len(world.received) == 2 * (len(FIRST) + len(SECOND))
        assert "超期" in next(one.text for one in world.received if "催办" in one.text)
        assert world.story("XF00000001").count("done") == 1
        assert list(world.store.verify()) == []


async def test_an_outage_ends_with_one_message_for_where_it_stands(tmp_path: Path, store_url: str) -> None:
    """Off from 29 September to 9 October (statement 33): each person gets one message, and it lists what was missed."""
    async with running_office(tmp_path, store_url, prepare=with_ladder) as world:
        await world.live_until("2026-09-29 09:00")
        before = len(world.received)
        await world.restart("2026-10-09 10:00")
        await world.work()
        caught_up = world.received[before:]
        expected = [("10-09 10:00", person, "催办") for person in ("分管领导", "督查专员", "科长0")]
        assert lines(caught_up, "sms") == lines(caught_up, "email") == sorted(expected)
        for mail in (one for one in caught_up if one.channel == "email"):
            _, _, missed = mail.text.partition("停机期间未能按时发出的梯级")
            assert missed.count("\n  - ") == 2
        (decided,) = [text for text in world.told("decided") if "caught_up" in text]
        assert "2026-09-30T01:00:00+00:00" in decided  # the true moments of what was missed
        assert "2026-10-08T01:00:00+00:00" in decided
        later = await world.live_until("2026-10-14 12:00")
        assert lines(later, "sms") == [("10-14 09:00", "主要负责人", "通报")]


# --- a year whose holidays are not published yet (statement 25) -------------------------------------------------


def over_new_year(office: Office) -> None:
    """Sixty days, and an early reminder, by a calendar of our own on top of the national one."""
    office.write("calendars/ours.yaml", "title: 本局日历\nbase: china\n")
    office.change("duban.yaml", "calendar: china", "calendar: ours")
    office.change("policies/office.yaml", "within: 15 日", "within: 60 日")
    office.change("policies/office.yaml", "due - 3 工作日 09:00", "due - 30 工作日 09:00")
    office.change("policies/office.yaml", "yellow: 3 工作日", "yellow: 35 工作日")


def texts(received: list[Received]) -> list[tuple[str, str]]:
    """(moment, number) of the text messages."""
    return [(one.clock, one.to) for one in received if one.channel == "sms"]


async def test_next_years_holidays_move_a_provisional_limit(tmp_path: Path, store_url: str) -> None:
    """Limits in 2027 are provisional; loading 2027 moves them, the ledger tells old and new, nothing is repeated."""
    async with running_office(
        tmp_path, store_url, now="2026-11-02 10:00", arrived="2026-11-02 10:00", prepare=over_new_year
    ) as world:
        await world.live_until("2026-12-01 10:00")
        early = world.obligation()
        assert (early.provisional, early.legal_due_at) == (True, at("2027-01-04 23:59:59.999999"))
        assert len(texts(world.received)) == 2  # assigned and reminded
        assert all("暂" in one.text for one in world.received)

        world.office.write(
            "calendars/ours.yaml",
            "title: 本局日历\nbase: china\ndays_off:\n  2027-01-01..2027-01-04: 元旦\nknown_until: 2027-12-31\n",
        )
        await world.reload()
        assert await world.work() == []
        known = world.obligation()
        assert (known.provisional, known.legal_due_at) == (False, at("2027-01-05 23:59:59.999999"))
        assert known.deadline_version == early.deadline_version
        (moved,) = world.told("moved")
        assert "由 2027-01-04 24:00 改为 2027-01-05 24:00" in moved

        rest = await world.live_until("2027-01-05 12:00")
        assert sorted(texts(rest)) == [("2027-01-05 09:00", "+8613800001000"), ("2027-01-05 09:00", "+8613800002000")]
        assert not any("暂" in one.text for one in rest)
