"""Several notices to one person as one message, over real servers: sent once, marked when in doubt, never lost."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import TemporaryFailure
from channels.wire.sms import sms_parts
from daemon.letters import FULL, Letter, digest_key, letters_of, results_of
from daemon.store.rows import GATHERED_FOR
from daemon.store.values import Delivery, DeliveryResult, DeliveryState
from policies.model import Notice, Why
from support.office import SHIPPED_TEMPLATES, Office
from support.running_office import Running, running_office
from support.sms_gateway import Fault
from support.store_values import NOW
from support.store_values import notice as plain_notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CASES = ("XF00000000", "XF00000010", "XF00000020", "XF00000030")
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """Thirty-one cases, four of them the same handler's; everything decided so far has been sent."""
    async with running_office(tmp_path, store_url, cases=31) as office:
        await office.work()
        yield office


@pytest.fixture
async def asked(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """The same with a gateway that can be asked whether it has a message."""
    async with running_office(tmp_path, store_url, cases=31, lookup=True) as office:
        await office.work()
        yield office


def put_off(*, retry_after: float | None = None, **ends: timedelta | None) -> dict[str, DeliveryResult]:
    """What becomes of each notice of a digest that could not be sent for a while; each ends so long after now."""
    members = tuple(
        Delivery(
            number,
            plain_notice(key, digest=True, expires_at=None if end is None else NOW + end),
            DeliveryState.SENDING,
            1,
            NOW,
            NOW,
            "v1",
        )
        for number, (key, end) in enumerate(ends.items())
    )
    failure = TemporaryFailure("503", retry_after=retry_after)
    return {result.delivery.notice.key: result for result in results_of(Letter(members, "digest:1"), failure, NOW)}


def test_a_digest_put_off_leaves_out_what_the_next_step_takes_over_from() -> None:
    """Told to come back in an hour: what ends before has failed, at its turn; the others come back together then."""
    hour = timedelta(hours=1)
    found = put_off(retry_after=3600, soon=hour / 2, just=hour, later=2 * hour, open=None)
    assert {key: one.state for key, one in found.items()} == {
        "soon": DeliveryState.FAILED,
        "just": DeliveryState.FAILED,
        "later": DeliveryState.RETRYING,
        "open": DeliveryState.RETRYING,
    }
    assert {one.not_before_at for key, one in found.items() if key in {"later", "open"}} == {NOW + hour}
    assert {one.digest for one in found.values()} == {"digest:1"}


@given(
    st.lists(st.one_of(st.none(), st.integers(1, 200_000)), min_size=2, max_size=6),
    st.one_of(st.none(), st.integers(1, 90_000)),
)
def test_no_notice_of_a_digest_is_tried_past_its_next_step(ends: list[int | None], wish: int | None) -> None:
    """Whatever the ends and the provider's wish: what is tried again is, before its end and not before the wish."""
    seconds = {f"n{place}": None if end is None else timedelta(seconds=end) for place, end in enumerate(ends)}
    for key, one in put_off(retry_after=wish, **seconds).items():
        end = seconds[key]
        if one.state is DeliveryState.RETRYING:
            assert one.not_before_at is not None
            assert end is None or one.not_before_at < NOW + end
            assert one.not_before_at >= NOW + timedelta(seconds=wish or 0)
        else:
            assert one.state is DeliveryState.FAILED


def remind(world: Running, *cases: str, channel: str = "sms", **more: object) -> None:
    """Decide a reminder to the handler about each of these cases, in the last of which the limit ends first."""
    now = world.clock.now()
    for number, key in enumerate(cases):
        (stored,) = world.store.obligations_of([key])[key]
        one = stored.obligation
        due = one.legal_due_at - timedelta(days=number)
        notice = Notice(
            key=f"{key}/{channel}/{now.isoformat()}",
            case_key=key,
            policy=one.policy,
            limit=one.limit,
            deadline_version=one.deadline_version,
            step="remind",
            repeat=0,
            person="h0",
            role="first_handler",
            channel=channel,
            say="remind",
            why=Why.DUE,
            at=now,
            facts={
                "case": key,
                "limit_title": "书面告知",
                "legal_due": due.isoformat(),
                "due_at": due.isoformat(),
                "days_left": 9 - number,
                "light": "yellow",
                "role_title": "首办责任人",
                "ladder": "standard",
            },
            digest=True,
        )
        world.store.add_notices(stored.id, [replace(notice, **more)], [], "v1", now)  # type: ignore[arg-type]


async def pump(world: Running, wait: timedelta = GATHERED_FOR) -> list[str]:
    """A while later, send what may go out; the texts and subjects that arrived."""
    world.clock.advance(wait)
    await world.node.pump()
    return [one.text for one in world.collect()]


async def sent_to(world: Running, wait: timedelta) -> list[tuple[str, str]]:
    """A while later: what arrives, over which channel and where."""
    world.clock.advance(wait)
    await world.node.pump_until_idle()
    return sorted((one.channel, one.to) for one in world.collect())


def reminders(world: Running, *cases: str) -> list[Delivery]:
    """The deliveries of the reminders."""
    return [one for key in cases or CASES for one in world.deliveries(key=key) if one.notice.step == "remind"]


def states(world: Running, *cases: str) -> list[DeliveryState]:
    """How the reminders stand."""
    return [one.state for one in reminders(world, *cases)]


async def test_four_texts_become_one(world: Running) -> None:
    """One text, with the number, the most urgent first and how many more; each notice is on record with the same."""
    remind(world, *CASES)
    assert await pump(world, timedelta()) == []
    (text,) = await pump(world)
    assert "4件" in text
    assert "XF00000030" in text
    assert "另3件" in text
    assert sms_parts(text) == 1
    found = reminders(world)
    assert {one.state for one in found} == {DeliveryState.ACCEPTED}
    assert len({one.reference for one in found}) == 1
    key = digest_key(one.notice.key for one in found)
    assert all(key in world.told("sent", case)[-1] for case in CASES)


async def test_a_digest_mail_lists_all_by_their_legal_limit(world: Running) -> None:
    """The whole list stands in the mail, the one whose limit ends first at the top, as text and as HTML."""
    remind(world, *CASES, channel="email")
    (mail,) = await pump(world)
    places = [mail.rindex(case) for case in reversed(CASES)]
    assert places == sorted(places)
    assert mail.startswith("【汇总】4件")
    html = world.mails.mails[-1].get_body(("html",))
    assert html is not None
    assert all(case in html.get_content() for case in CASES)


async def test_one_alone_is_no_digest(world: Running) -> None:
    """A single notice that might have gone with others is sent as it is."""
    remind(world, CASES[0])
    (text,) = await pump(world)
    assert "提醒：事项XF00000000" in text


async def test_what_must_go_alone_is_never_swallowed(world: Running) -> None:
    """A red or hour-class notice goes at once, by itself; the digest comes when its minute is over."""
    remind(world, *CASES[:2])
    remind(world, CASES[2], digest=False)
    (alone,) = await pump(world, timedelta())
    assert CASES[2] in alone
    (digest,) = await pump(world)
    assert CASES[2] not in digest
    assert "2件" in digest


async def test_a_case_closed_meanwhile_is_left_out(world: Running) -> None:
    """What is no longer true when the digest is put together is not in it, and is cancelled."""
    remind(world, *CASES)
    world.clock.advance(timedelta(minutes=3))
    world.update("notified = '2026-09-16 10:02:00'", CASES[3])
    (text,) = await pump(world)
    assert "3件" in text
    assert CASES[3] not in text
    assert states(world) == [DeliveryState.ACCEPTED] * 3 + [DeliveryState.CANCELLED]


async def test_a_digest_put_off_comes_back_as_a_whole_and_takes_more_along(world: Running) -> None:
    """All its notices wait for the same moment; what was decided since goes with them."""
    world.texts.fail("503")
    remind(world, *CASES[:3])
    assert await pump(world) == []
    assert states(world, *CASES[:3]) == [DeliveryState.RETRYING] * 3
    assert len({one.not_before_at for one in reminders(world, *CASES[:3])}) == 1
    remind(world, CASES[3])
    (text,) = await pump(world)
    assert "4件" in text


async def test_a_refused_digest_fails_for_each_and_goes_up(world: Running) -> None:
    """The provider will not take it: every notice in it failed, and the head of the section hears of every case."""
    world.texts.fail("400")
    remind(world, *CASES)
    await pump(world)
    assert [one.state for one in reminders(world) if one.notice.person == "h0"] == [DeliveryState.FAILED] * 4
    assert {one.notice.case_key for one in reminders(world) if one.notice.person == "c0"} == set(CASES)


async def test_a_digest_in_doubt_is_sent_again_whole_and_marked(world: Running) -> None:
    """No answer: the same message once more, with its mark, under the same key, whatever else was decided since."""
    world.texts.fail("drop")
    remind(world, *CASES[:3])
    assert len(await pump(world)) == 1
    assert states(world, *CASES[:3]) == [DeliveryState.IN_DOUBT] * 3
    remind(world, CASES[3])
    again, alone = sorted(await pump(world), key=lambda text: CASES[3] in text)
    assert "3件" in again
    assert "可能重复" in again
    assert "可能重复" not in alone
    first, second = [one["key"] for one in world.texts.messages if one["key"].startswith("digest:")]
    assert first == second
    assert states(world) == [DeliveryState.ACCEPTED] * 4
    assert [one.possible_duplicate for one in reminders(world)] == [True, True, True, False]


async def test_a_digest_the_provider_knows_is_not_sent_again(asked: Running) -> None:
    """Asked for the digest's own key, the gateway says it has it: all are accepted, nothing goes out twice."""
    asked.texts.fail(Fault(word="drop", taken=True))
    remind(asked, *CASES)
    assert len(await pump(asked)) == 1
    assert await pump(asked) == []
    assert states(asked) == [DeliveryState.ACCEPTED] * 4


async def test_a_digest_the_provider_never_got_is_sent_without_a_mark(asked: Running) -> None:
    """Asked, the gateway says no: the same digest goes out as if for the first time."""
    asked.texts.fail(Fault(word="drop"))
    remind(asked, *CASES)
    assert await pump(asked) == []
    (text,) = await pump(asked)
    assert "4件" in text
    assert "可能重复" not in text


async def test_members_final_by_then_are_not_in_the_resend(world: Running) -> None:
    """A case closed while its digest was in doubt: the resend holds the others, though one fewer than before."""
    world.texts.fail("drop")
    remind(world, *CASES[:2])
    await pump(world)
    world.update("notified = '2026-09-16 10:02:00'", CASES[1])
    await world.node.sync()
    (again,) = await pump(world)
    assert CASES[1] not in again
    assert "可能重复" in again
    assert states(world, *CASES[:2]) == [DeliveryState.ACCEPTED, DeliveryState.CANCELLED]


async def test_a_pump_cut_off_resends_the_digest_marked(world: Running) -> None:
    """The pump dies while the digest is on the wire: the next one sends the same digest again, marked."""
    world.texts.fail("hang")
    remind(world, *CASES)
    world.clock.advance(GATHERED_FOR)
    pumping = asyncio.create_task(world.node.pump())
    await world.texts.hanging.wait()
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping
    remind(world, CASES[0], channel="email")
    await world.node.pump()
    texts = [one for one in world.texts.messages if one["key"].startswith("digest:")]
    assert len({one["key"] for one in texts}) == 1
    assert states(world)[1:] == [DeliveryState.PENDING] + [DeliveryState.ACCEPTED] * 3
    assert all(one.possible_duplicate for one in reminders(world) if one.notice.channel == "sms")


def own_templates(office: Office) -> None:
    """Templates of the office's own, where a digest cannot be written."""
    copied = Path(shutil.copytree(SHIPPED_TEMPLATES, office.folder / "templates"))
    (copied / "standard" / "digest.sms.txt").write_text("{{ no_such_word }}", encoding="utf-8")
    office.change("duban.yaml", f"templates: {SHIPPED_TEMPLATES}", "templates: templates")


async def test_a_digest_that_cannot_be_written_goes_notice_by_notice(tmp_path: Path, store_url: str) -> None:
    """A broken template costs the digest, not the messages."""
    async with running_office(tmp_path, store_url, cases=31, prepare=own_templates) as world:
        await world.work()
        remind(world, *CASES)
        texts = await pump(world)
        assert [text[:14] for text in texts] == ["【某市信访局】提醒：事项XF"] * 4
        assert {one.error for one in reminders(world)} == {""}


# --- receipts -----------------------------------------------------------------------------------------------------


async def test_without_a_receipt_in_time_the_message_goes_another_way(world: Running) -> None:
    """Taken by the gateway, never delivered: a mail to the same person, and the story tells it.

    A mail never brings a receipt: it is not waited for, and nobody above him is told.
    """
    remind(world, CASES[0], digest=False, wait=HALF_AN_HOUR, instead=("email",))
    await pump(world, timedelta())
    assert await pump(world, HALF_AN_HOUR - timedelta(seconds=1)) == []
    assert await sent_to(world, timedelta(seconds=1)) == [("email", "handler0@example.com")]
    assert await sent_to(world, timedelta(hours=3)) == []
    assert world.story(CASES[0])[-4:] == ["sent", "fell_upward", "no_receipt", "sent"]


def tells_delivery(office: Office) -> None:
    """A gateway that, asked about a message it has, says that it arrived."""
    office.change(
        "duban.yaml", "      present: {json:", "      delivered: {json: {arrived: true}}\n      present: {json:"
    )


async def test_a_gateway_that_says_it_arrived_ends_the_wait(tmp_path: Path, store_url: str) -> None:
    """Asked when the receipt is due, it says delivered: that is on record, and no mail goes out."""
    async with running_office(tmp_path, store_url, lookup=True, prepare=tells_delivery) as world:
        await world.work()
        world.texts.arrived = True
        remind(world, CASES[0], digest=False, wait=HALF_AN_HOUR, instead=("email",))
        await pump(world, timedelta())
        assert await sent_to(world, HALF_AN_HOUR) == []
        (text,) = reminders(world, CASES[0])
        assert (text.state, text.delivered_at) == (DeliveryState.DELIVERED, world.clock.now())


async def test_without_a_receipt_over_the_last_way_the_next_level_is_told(tmp_path: Path, store_url: str) -> None:
    """The gateway could tell that it arrived, and does not, and there is no other channel: the head is told."""
    async with running_office(tmp_path, store_url, lookup=True, prepare=tells_delivery) as world:
        await world.work()
        remind(world, CASES[0], digest=False, wait=HALF_AN_HOUR)
        await pump(world, timedelta())
        assert await sent_to(world, HALF_AN_HOUR) == [("email", "head0@example.com"), ("sms", "+8613800002000")]


async def test_a_receipt_that_comes_late_is_recorded_and_undoes_nothing(world: Running) -> None:
    """Delivered after the mail went out: the text's row says so, and the mail stays sent."""
    remind(world, CASES[0], digest=False, wait=HALF_AN_HOUR, instead=("email",))
    await pump(world, timedelta())
    await sent_to(world, HALF_AN_HOUR)
    text = next(one for one in reminders(world, CASES[0]) if one.notice.channel == "sms")
    now = world.clock.now()
    world.store.record(world.node.epoch, [DeliveryResult(text, DeliveryState.DELIVERED, now)], now)
    assert states(world, CASES[0]) == [DeliveryState.DELIVERED, DeliveryState.ACCEPTED]
    assert await sent_to(world, HALF_AN_HOUR) == []


async def test_a_failure_goes_the_next_way_at_once(world: Running) -> None:
    """The gateway refuses the text: the same person gets a mail in the same minute, nobody above him anything."""
    world.texts.fail("400")
    remind(world, CASES[0], digest=False, wait=HALF_AN_HOUR, instead=("email",))
    assert await sent_to(world, timedelta()) == [("email", "handler0@example.com")]


# --- what goes together -------------------------------------------------------------------------------------------


def waiting(key: str, **more: object) -> Delivery:
    """A delivery as a claim hands it out."""
    usual = Delivery(1, plain_notice(key, digest=True), DeliveryState.SENDING, 1, NOW, NOW, "v1")
    return replace(usual, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("at_least", "letters"), [(2, [3]), (3, [3]), (4, [1, 1, 1])])
def test_fewer_than_the_policy_says_go_singly(at_least: int, letters: list[int]) -> None:
    """Three notices are a digest for a policy that wants two or three of them, and three messages for one of four."""
    found = letters_of([waiting(name) for name in "abc"], lambda _: at_least)
    assert [len(letter.deliveries) for letter in found] == letters


def test_a_digest_holds_no_more_than_a_reader_can_take() -> None:
    """What is over goes into another one."""
    found = letters_of([waiting(f"n{number}") for number in range(FULL + 5)], lambda _: 2)
    assert [len(letter.deliveries) for letter in found] == [FULL, 5]
    assert len({letter.key for letter in found}) == 2


def test_what_perhaps_went_out_alone_stays_alone() -> None:
    """A notice in doubt under its own key is asked about under that key, not put into a digest."""
    doubtful = waiting("a", possible_duplicate=True)
    found = letters_of([doubtful, waiting("b"), waiting("c")], lambda _: 2)
    assert [len(letter.deliveries) for letter in found] == [1, 2]
    assert found[0].key == "a"
