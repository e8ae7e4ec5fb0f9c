"""From the words of a policy to what arrives: quiet hours, digests, channels in order, releases, dark policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from channels.base import Learnt, News, PermanentFailure
from daemon.store.values import DeliveryState
from support.running_office import CASE, at, running_office

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.office import Office

HANDLER = "+8613800001000"


def policy(*changes: tuple[str, str]) -> Callable[[Office], None]:
    """Change what the office's policy says."""

    def prepare(office: Office) -> None:
        for old, new in changes:
            office.change("policies/office.yaml", old, new)

    return prepare


async def test_reminders_of_one_morning_are_one_message(tmp_path: Path, store_url: str) -> None:
    """Four cases of one handler fall yellow on one morning: one text, one mail; the red ones come singly."""
    words = ("via: [sms, email]", "via: [sms, email]\ndigest: {lights: [yellow], at_least: 2}")
    async with running_office(tmp_path, store_url, cases=31, prepare=policy(words)) as world:
        await world.live_until("2026-09-28 08:00")
        told = [
            one for one in await world.live_until("2026-09-28 10:00") if one.to in {HANDLER, "handler0@example.com"}
        ]
        assert sorted((one.channel, "4件" in one.text) for one in told) == [("email", True), ("sms", True)]
        assert {one.clock for one in told} == {"2026-09-28 09:02"}
        urged = [
            one for one in await world.live_until("2026-10-09 10:00") if "催办" in one.text and one.channel == "sms"
        ]
        assert len([one for one in urged if one.to == "+8613800002000"]) == 4


async def test_half_a_day_of_new_cases_is_one_message(tmp_path: Path, store_url: str) -> None:
    """Cases that come in all morning wait for two o'clock, and are one text and one mail; the count is in the text."""
    words = ("via: [sms, email]", "via: [sms, email]\ndigest: {lights: [green], at: ['08:30', '14:00']}")
    async with running_office(tmp_path, store_url, cases=31, prepare=policy(words)) as world:
        morning = await world.live_until("2026-09-16 11:00")
        assert morning == []
        for number in (40, 50):
            world.office.execute(
                "INSERT INTO cases SELECT ?, unit, handler, kind, '2026-09-16 11:30:00', '2026-09-16 11:30:00',"
                " NULL, NULL, NULL, NULL, '2026-09-16 11:30:00' FROM cases WHERE no = ?",
                f"XF{number:08d}",
                CASE,
            )
        world.clock.move_to(at("2026-09-16 11:31"))
        told = [
            one for one in await world.live_until("2026-09-16 15:00") if one.to in {HANDLER, "handler0@example.com"}
        ]
        assert sorted((one.clock, one.channel, "6件" in one.text) for one in told) == [
            ("2026-09-16 14:02", "email", True),
            ("2026-09-16 14:02", "sms", True),
        ]
        mail = next(one.text for one in told if one.channel == "email")
        assert all(f"XF{number:08d}" in mail for number in (0, 10, 20, 30, 40, 50))


async def test_a_text_without_a_receipt_is_followed_by_a_mail(tmp_path: Path, store_url: str) -> None:
    """One channel after the other: the text at nine, and half an hour later the mail, to the same person."""
    words = ("via: [sms, email]", "via: {in_order: [sms, email], wait: 30 分钟}")
    async with running_office(tmp_path, store_url, prepare=policy(words)) as world:
        told = await world.live_until("2026-09-16 12:00")
        assert [(one.clock, one.channel, one.to) for one in told] == [
            ("2026-09-16 10:00", "sms", HANDLER),
            ("2026-09-16 10:30", "email", "handler0@example.com"),
        ]


async def test_nobody_is_told_that_what_was_signed_for_never_arrived(tmp_path: Path, store_url: str) -> None:
    """No receipt comes, or the provider says it failed: he signed for it, so he has it; no mail, nobody above him."""
    words = ("via: [sms, email]", "via: {in_order: [sms, email], wait: 30 分钟}")
    async with running_office(tmp_path, store_url, cases=2, prepare=policy(words)) as world:
        await world.live_until("2026-09-16 10:05")
        sent = world.store.deliveries()
        assert len(sent) == 2
        for one in sent:
            world.store.acknowledge_deliveries([one.id], world.clock.now(), "link", world.clock.now())
        failed = Learnt(PermanentFailure("undelivered"), ours=sent[1].sent_as)
        await world.node.hear("sms", News(learnt=(failed,)))
        await world.node.take_in()
        assert await world.live_until("2026-09-16 12:00") == []
        assert [one.state for one in world.store.deliveries()] == [DeliveryState.ACCEPTED, DeliveryState.FAILED]


async def test_what_a_column_says_he_prefers_is_how_he_is_told(tmp_path: Path, store_url: str) -> None:
    """He chose mail: one mail, no text; past the limit the policy decides again. It survives in the store."""

    def prepare(office: Office) -> None:
        office.execute("ALTER TABLE people ADD COLUMN chosen TEXT")
        office.execute("UPDATE people SET chosen = '邮件、短信' WHERE code IN ('h0', 'p-leader')")
        office.change("source.yaml", "email: mail}", "email: mail, prefers: chosen}")
        office.change("policies/office.yaml", "via: [sms, email]", "via: [sms, email]\nmay_choose: [email]")

    async with running_office(tmp_path, store_url, prepare=prepare) as world:
        told = await world.live_until("2026-09-16 12:00")
        assert [(one.channel, one.to) for one in told] == [("email", "handler0@example.com")]
        kept = world.store.directory()
        assert kept is not None
        assert kept[0].officials["h0"].prefers == ("email", "sms")
        late = await world.live_until("2026-10-09 10:00")
        urged = {one.channel for one in late if one.to in {"leader@example.com", "+8613800000001"}}
        assert urged == {"sms", "email"}


async def test_who_signs_and_then_does_nothing_is_told_of(tmp_path: Path, store_url: str) -> None:
    """Two working days after the signature the leader hears of it; whoever recorded something is left alone."""
    words = (
        "say: assigned}",
        (
            "say: assigned, acknowledge: {within: 8 工作小时, else: section_head,"
            " then: {act_within: 2 工作日, else: deputy_leader}}}"
        ),
    )
    async with running_office(tmp_path, store_url, cases=2, prepare=policy(words)) as world:
        await world.live_until("2026-09-16 11:00")
        for number in (0, 1):
            world.store.acknowledge(f"XF{number:08d}", f"h{number}", world.clock.now(), "phone", world.clock.now())
        await world.live_until("2026-09-17 09:00")
        world.office.execute("INSERT INTO transfers VALUES ('XF00000001', '2026-09-17 09:30:00', 's1', 's2', 'h2')")
        world.office.execute("UPDATE cases SET unit = 's2', changed = '2026-09-17 09:30:00' WHERE no = 'XF00000001'")
        assert await world.live_until("2026-09-18 10:59") == []
        told = [one for one in await world.live_until("2026-09-18 12:00") if one.channel == "sms"]
        assert [(one.clock, one.to) for one in told] == [("2026-09-18 11:00", "+8613800000001")]
        assert "XF00000000" in told[0].text
        assert "签收未办" in told[0].text


async def test_two_limits_of_one_case_are_one_message_while_they_may_wait(tmp_path: Path, store_url: str) -> None:
    """Two limits speak to one person at nine: yellow, one message that names both; on the last day one for each."""
    second = (
        "ladders:",
        "  object: {title: 提出异议, start: arrived_at, within: 15 日, done: finished_at, ladder: standard}\nladders:",
    )
    words = ("via: [sms, email]", "via: [sms]\ndigest: {lights: [yellow], at_least: 2}")
    async with running_office(tmp_path, store_url, prepare=policy(second, words)) as world:
        await world.live_until("2026-09-28 08:00")
        (together,) = await world.live_until("2026-09-28 10:00")
        assert "2件" in together.text
        await world.live_until("2026-10-08 08:00")
        last = [one for one in await world.live_until("2026-10-08 10:00") if one.to == HANDLER]
        assert sorted("提出异议" in one.text for one in last) == [False, True]
        assert len(world.store.deliveries(case_key=CASE, limit=1000)) == len(
            {one.notice.key for one in world.store.deliveries(case_key=CASE, limit=1000)}
        )


async def test_a_dark_policy_decides_everything_and_sends_nothing(tmp_path: Path, store_url: str) -> None:
    """Two weeks of a dark policy: all is on record, nothing arrives anywhere."""
    async with running_office(tmp_path, store_url, prepare=policy(("via:", "dark: true\nvia:"))) as world:
        assert await world.live_until("2026-10-09 10:00") == []
        assert {one.state for one in world.deliveries()} == {DeliveryState.DARK}
        assert {one.notice.say for one in world.deliveries()} == {"assigned", "remind", "today", "urge"}


async def test_what_is_decided_at_night_waits_for_the_working_morning(tmp_path: Path, store_url: str) -> None:
    """A case that arrives at eleven at night is told at half past seven, and not before."""
    words = ("via: [sms, email]", 'via: [sms]\nquiet_hours: {from: "22:00", to: "07:30"}')
    night = "2026-09-16 23:00"
    async with running_office(tmp_path, store_url, now=night, arrived=night, prepare=policy(words)) as world:
        told = await world.live_until("2026-09-17 12:00")
        assert [(one.clock, one.to) for one in told] == [("2026-09-17 07:30", HANDLER)]


async def test_what_is_tried_again_at_night_waits_for_the_morning_too(tmp_path: Path, store_url: str) -> None:
    """Decided at ten to ten in the evening, refused until eleven: nobody is woken, it goes out in the morning."""
    words = ("via: [sms, email]", 'via: [sms]\nquiet_hours: {from: "22:00", to: "07:30"}')
    evening = "2026-09-16 21:50"
    async with running_office(tmp_path, store_url, now=evening, arrived=evening, prepare=policy(words)) as world:
        world.texts.fail(*["503"] * 5)
        assert [(one.clock, one.to) for one in await world.live_until("2026-09-17 12:00")] == [
            ("2026-09-17 07:30", HANDLER)
        ]
        assert len(world.told("retrying")) == 6


@pytest.mark.parametrize(
    ("urge", "clock"),
    [("say: urge", "2026-10-10 07:30"), ("may_wake: 应急值班规定, say: urge", "2026-10-09 23:00")],
    ids=["waits", "may wake"],
)
async def test_what_is_released_at_night_waits_for_the_morning(
    tmp_path: Path, store_url: str, urge: str, clock: str
) -> None:
    """Let go at eleven at night, though it was decided by day; a step that may wake does not wait."""
    words = (
        ("via: [sms, email]", 'via: [sms]\nrelease_above: section_head\nquiet_hours: {from: "22:00", to: "07:30"}'),
        ("say: urge", urge),
    )
    async with running_office(tmp_path, store_url, prepare=policy(*words)) as world:
        await world.live_until("2026-10-09 23:00")
        (held,) = [one for one in world.deliveries() if one.state is DeliveryState.HELD]
        world.store.release([held.notice.key], "张主任", "已阅", world.clock.now())
        told = await world.live_until("2026-10-10 12:00")
        assert [(one.clock, one.to) for one in told] == [(clock, "+8613800000001")]


async def test_what_goes_above_the_leader_waits_for_a_human(tmp_path: Path, store_url: str) -> None:
    """The deputy leader stands above the section head here: nothing for him until somebody lets it go."""
    words = ("via: [sms, email]", "via: [sms]\nrelease_above: section_head")
    async with running_office(tmp_path, store_url, prepare=policy(words)) as world:
        await world.live_until("2026-10-09 08:00")
        told = await world.live_until("2026-10-09 10:00")
        assert "+8613800000001" not in {one.to for one in told}
        (held,) = [one for one in world.deliveries() if one.state is DeliveryState.HELD]
        world.store.release([held.notice.key], "张主任", "已阅", world.clock.now())
        assert [one.to for one in await world.work()] == ["+8613800000001"]
        assert world.story()[-2:] == ["released", "sent"]


async def test_a_held_notice_dies_with_its_case(tmp_path: Path, store_url: str) -> None:
    """Released after the case was done: it does not go out, because it is checked once more."""
    words = ("via: [sms, email]", "via: [sms]\nrelease_above: section_head")
    async with running_office(tmp_path, store_url, prepare=policy(words)) as world:
        await world.live_until("2026-10-09 10:00")
        (held,) = [one for one in world.deliveries() if one.state is DeliveryState.HELD]
        world.update("notified = '2026-10-09 09:30:00'", CASE)
        world.store.release([held.notice.key], "张主任", "已阅", world.clock.now())
        assert await world.work() == []
        states = {one.notice.key: one.state for one in world.deliveries()}
        assert states[held.notice.key] is DeliveryState.CANCELLED


async def test_an_acknowledgement_by_telephone_spares_the_head_of_the_section(tmp_path: Path, store_url: str) -> None:
    """The case is not signed for in the shared database, but he said so by telephone: nobody above him is told."""
    words = (
        "say: assigned}",
        "say: assigned, acknowledge: {within: 4 工作小时, else: section_head}}",
    )
    async with running_office(tmp_path, store_url, prepare=policy(words)) as world:
        await world.live_until("2026-09-16 10:30")
        assert (
            world.store.acknowledge(CASE, "h0", world.clock.now(), "phone", world.clock.now()).value == "acknowledged"
        )
        assert await world.live_until("2026-09-20 12:00") == []
