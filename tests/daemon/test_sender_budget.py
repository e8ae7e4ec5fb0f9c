"""A channel with a budget over real servers: what is short is merged, put off, or goes another way."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from daemon.budget import WINDOW, Wish
from daemon.cli import main
from daemon.clock import SystemClock
from daemon.medium import Budget
from daemon.store import Store
from daemon.store.values import DeliveryState
from policies.model import Notice, Why
from support.office import build_office
from support.running_office import Running, running_office

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from support.office import Office

    Opened = Callable[..., AbstractAsyncContextManager[Running]]

CASES = tuple(f"XF000000{n}0" for n in range(8))
ARRIVED = datetime(2026, 9, 16, 10)  # noqa: DTZ001 - as the office's clock shows it
TWO_DAYS = timedelta(days=2)


def with_budget(budget: str) -> Callable[[Office], None]:
    """Text messages on that budget; the policy has no digest, and sends none of its own."""

    def prepare(office: Office) -> None:
        office.change("policies/office.yaml", "via: [sms, email]", "via: [email]")
        office.change("duban.yaml", "    type: http\n", f"    type: http\n    budget: {{{budget}}}\n")

    return prepare


@pytest.fixture
def opened(tmp_path: Path, store_url: str) -> Opened:
    """Eighty-one cases, nine of them the same handler's, with texts on the budget given."""

    def open_(budget: str) -> AbstractAsyncContextManager[Running]:
        return running_office(tmp_path, store_url, cases=81, prepare=with_budget(budget))

    return open_


def remind(world: Running, *cases: str, light: str = "yellow", person: str = "h0", **more: object) -> None:
    """Decide a reminder to the handler about each of these cases, which no policy allows to be put together."""
    now = world.clock.now()
    for key in cases:
        (stored,) = world.store.obligations_of([key])[key]
        one = stored.obligation
        due = one.legal_due_at.isoformat()
        facts = {"case": key, "limit_title": "书面告知", "legal_due": due, "due_at": due, "days_left": 9,
                 "light": light, "role_title": "首办责任人", "ladder": "standard"}  # fmt: skip
        how: dict[str, object] = {"expires_at": now + TWO_DAYS, "facts": facts, **more}
        notice = Notice(
            f"{key}/{light}/{now.isoformat()}", key, one.policy, one.limit, one.deadline_version, "remind", 0, person,
            "first_handler", "sms", "remind", Why.DUE, now, **how,
        )  # type: ignore[arg-type]  # fmt: skip
        world.store.add_notices(stored.id, [notice], [], "v1", now)


async def begun(world: Running) -> Running:
    """Everything decided at the start has been sent, and a day later counts no more."""
    await world.work()
    world.clock.advance(WINDOW)
    return world


async def pumped(world: Running) -> list[str]:
    """What arrives now as text messages at the handler's."""
    await world.node.pump()
    return [one.text for one in world.collect() if one.channel == "sms" and one.to == "+8613800001000"]


def reminders(world: Running) -> list[str]:
    """How the reminders stand, and why."""
    found = [one for key in CASES for one in world.deliveries(key=key) if one.notice.step == "remind"]
    return [f"{one.state.value} {one.error}".strip() for one in found]


async def test_what_is_short_is_merged_before_anything_is_refused(opened: Opened) -> None:
    """Eight notices and room for three: one text names the number, nothing waits, and each notice is on record."""
    async with opened("per_person: 3, reserve: 0") as world:
        await begun(world)
        remind(world, *CASES)
        (text,) = await pumped(world)
        assert "8件" in text
        assert reminders(world) == ["accepted"] * 8
        assert all("digest" in world.told("sent", case)[-1] for case in CASES)


async def test_with_room_for_all_nothing_is_merged(opened: Opened) -> None:
    """Eight notices and room for fifty are eight texts."""
    async with opened("per_person: 50") as world:
        await begun(world)
        remind(world, *CASES)
        assert len(await pumped(world)) == 8


async def test_red_is_not_swallowed_and_uses_the_reserve(opened: Opened) -> None:
    """Room for four, two of them kept back: the red one goes by itself, the yellow ones share what is left."""
    async with opened("per_person: 4, reserve: 50") as world:
        await begun(world)
        remind(world, *CASES[:4])
        remind(world, CASES[5], light="red")
        texts = await pumped(world)
        assert len(texts) == 2
        assert [CASES[5] in text for text in texts].count(True) == 1
        assert reminders(world) == ["accepted"] * 5


async def test_what_does_not_fit_waits_for_room_and_then_goes_with_the_rest(opened: Opened) -> None:
    """The budget is spent: the next notice waits until the first has left the window, and newer ones join it."""
    async with opened("per_person: 1, reserve: 0") as world:
        await begun(world)
        remind(world, CASES[0])
        assert len(await pumped(world)) == 1
        spent_at = world.clock.now()
        world.clock.advance(timedelta(hours=1))
        remind(world, CASES[1])
        assert await pumped(world) == []
        assert reminders(world) == ["accepted", "retrying over_budget:per_person"]
        world.clock.move_to(spent_at + WINDOW - timedelta(microseconds=1))
        assert await pumped(world) == []
        world.clock.move_to(spent_at + WINDOW)
        remind(world, CASES[2])
        (text,) = await pumped(world)
        assert "2件" in text
        assert "over_budget" in world.told("retrying", CASES[1])[-1]


async def test_red_without_room_goes_another_way_at_once(opened: Opened) -> None:
    """Even the reserve is spent: the mail goes out at the same moment, and the head is told nothing."""
    async with opened("per_person: 1, reserve: 0") as world:
        await begun(world)
        remind(world, CASES[0])
        remind(world, CASES[1], light="red", instead=("email",))
        await world.node.pump_until_idle()
        received = [(one.channel, one.to) for one in world.collect() if CASES[1] in one.text]
        assert received == [("sms", "+8613800001000")]
        remind(world, CASES[2], light="red", instead=("email",))
        await world.node.pump_until_idle()
        received = [(one.channel, one.to) for one in world.collect() if CASES[2] in one.text]
        assert received == [("email", "handler0@example.com")]
        assert "failed over_budget:per_person" in reminders(world)


async def test_what_would_come_too_late_goes_upward_at_once(opened: Opened) -> None:
    """The next step takes over before there is room: it is not held for nothing."""
    async with opened("per_person: 1, reserve: 0") as world:
        await begun(world)
        remind(world, CASES[0])
        await pumped(world)
        remind(world, CASES[1], expires_at=world.clock.now() + timedelta(hours=3))
        await world.node.pump_until_idle()
        assert reminders(world)[1] == "failed over_budget:per_person"
        assert "fell_upward" in world.story(CASES[1])


async def test_what_the_provider_refused_is_not_spent(opened: Opened) -> None:
    """A gateway that is down takes nothing off the budget; one that may have taken the text does."""
    async with opened("per_person: 1, reserve: 0") as world:
        await begun(world)
        world.texts.fail("503")
        remind(world, CASES[0])
        assert await pumped(world) == []
        assert world.store.spent(world.clock.now()).get("sms", (0, 0, 0))[0] == 0
        world.texts.fail("drop")
        remind(world, CASES[1])
        await world.node.pump()
        assert world.store.spent(world.clock.now())["sms"] == (1, 1, 1)
        assert reminders(world)[1].startswith("in_doubt")


async def test_a_merged_message_in_doubt_stays_one_message(tmp_path: Path, store_url: str) -> None:
    """Cut off while it was on the wire, it is asked about and sent again as one, with the mark, and counted once."""
    async with running_office(tmp_path, store_url, cases=81, prepare=with_budget("per_person: 2, reserve: 0")) as world:
        await begun(world)
        world.texts.fail("drop")
        remind(world, *CASES[:5])
        first = await pumped(world)
        world.clock.advance(timedelta(minutes=1))
        again = await pumped(world)
        assert [("5件" in text, "〔可能重复〕" in text) for text in (*first, *again)] == [(True, False), (True, True)]
        assert world.store.spent(world.clock.now())["sms"] == (1, 1, 1)
        assert {one.state for key in CASES[:5] for one in world.deliveries("sms", key)} == {DeliveryState.ACCEPTED}


async def test_two_nodes_together_keep_to_the_budget_and_lose_nothing(tmp_path: Path, store_url: str) -> None:
    """Both send at once, one is cut off in between: no more leave in a day than may, and each notice has its end."""
    budget = "per_person: 3, reserve: 0"
    async with running_office(tmp_path, store_url, cases=81, prepare=with_budget(budget)) as world:
        await begun(world)
        second = await world.another_node()
        world.texts.fail("drop", "503", "drop")
        remind(world, *CASES)
        await asyncio.gather(world.node.pump(), second.pump())
        begun_at = world.clock.now()
        first_day = 0
        for hours in range(50):
            world.clock.move_to(begun_at + timedelta(hours=hours))
            if hours == 1:
                await second.close()
            await world.node.pump_until_idle()
            first_day = len(to_handler(world)) if hours <= 23 else first_day
        assert 1 <= first_day <= 3
        assert set(reminders(world)) <= {"accepted"}


def to_handler(world: Running) -> set[str]:
    """The messages that reached the handler, a message sent again counted once."""
    return {one["key"] for one in world.texts.messages if one["to"] == "+8613800001000"}


def test_status_shows_what_was_spent(tmp_path: Path, sqlite_store_url: str) -> None:
    """Per channel with a budget: messages, the most to one person, parts, each against what may be."""
    office = build_office(tmp_path / "office", cases=1, arrived=ARRIVED, store_url=sqlite_store_url)
    with_budget("per_person: 50, total: 2000")(office)
    store, now = Store(sqlite_store_url), SystemClock().now()
    epoch = store.open_worker("first", 1, now)
    wishes = [Wish(f"m{n}", f"h{n % 2}", f"w{n}", parts=2) for n in range(5)]
    store.spend(epoch, "sms", Budget(per_person=50), wishes, now)
    store.close()
    arguments = ["status", "-c", str(office.configuration)]
    shown = CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "160"}).invoke(main, arguments).stdout
    assert "预算（最近 24 小时）" in shown
    assert "3 / 50" in shown
    assert "10 / 2000" in shown
    told = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)["spending"]["sms"]
    assert (told["messages"], told["most_to_one_person"], told["parts"]) == (5, 3, 10)
    assert told["budget"]["per_person"] == 50


async def test_explain_says_why_a_notice_waits(tmp_path: Path, sqlite_store_url: str) -> None:
    """In words, in the table of what was sent and in the story of the case."""
    budget = with_budget("per_person: 1, reserve: 0")
    async with running_office(tmp_path, sqlite_store_url, cases=81, prepare=budget) as world:
        await begun(world)
        remind(world, CASES[0])
        await pumped(world)
        remind(world, CASES[1])
        await pumped(world)
        arguments = ["explain", CASES[1], "-c", str(world.office.configuration)]
        shown = CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "200"}).invoke(main, arguments).stdout
        assert "本通道24小时内给此人的条数已满" in shown
