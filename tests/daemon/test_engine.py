"""The decision side over a real source and real stores: what is taken over, counted, decided, and what is not."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.engine import Engine
from daemon.errors import SourceUnavailable
from daemon.intake import Intake
from daemon.wiring import rules_of
from policies.model import ObligationState
from support.running_office import CASE, Running, at, running_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.office import Office


# The case is gone, and the table is not empty: that alone would not be believed.
ANOTHER_INSTEAD = "UPDATE cases SET no = 'another', notified = arrived"


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One case that arrived on Wed 2026-09-16 at ten: fifteen days end in the holidays, hence on 10-08."""
    async with running_office(tmp_path, store_url) as office:
        yield office


def allow_extension(office: Office) -> None:
    """Let the limit be extended by the principal, at most thirty days."""
    office.change(
        "policies/office.yaml",
        "    within: 15 日\n",
        "    within: 15 日\n    extension: {up_to: 30 日, approved_by: principal}\n",
    )


# --- sync ---------------------------------------------------------------------------------------------------


async def test_sync_takes_over_only_what_changed(tmp_path: Path, store_url: str) -> None:
    """Of thirty cases, one whose facts changed is taken over; one only touched is read and left alone."""
    async with running_office(tmp_path, store_url, cases=30) as world:
        first = await world.node.sync()
        assert (first.read, first.changed) == (30, 30)
        world.clock.advance(timedelta(hours=1))
        world.update("handler = 'h1'", "XF00000003")
        world.update("kind = kind", "XF00000004")
        second = await world.node.sync()
        third = await world.node.sync()
        assert (second.changed, third.changed, third.read) == (1, 0, 2)
        assert world.story("XF00000004") == ["seen", "counted"]


async def test_a_sync_without_changes_writes_nothing(world: Running) -> None:
    """The ledger is as long after a second whole reading as after the first."""
    await world.node.sync()
    before = world.store.ledger(CASE)
    report = await world.node.full_sync()
    assert (report.read, report.changed, report.gone) == (1, 0, 0)
    assert world.store.ledger(CASE) == before


async def test_another_calendar_counts_everything_again(world: Running) -> None:
    """A calendar without the holidays moves the limit of a case nobody touched, and the ledger tells old and new."""
    await world.node.sync()
    world.office.change("duban.yaml", "calendar: china", "calendar: weekdays")
    await world.reload()
    report = await world.node.sync()
    assert report.changed == 1
    assert world.obligation().legal_due_at == at("2026-10-01 23:59:59.999999")
    (moved,) = world.told("moved")
    assert "由 2026-10-08 24:00 改为 2026-10-01 24:00" in moved


async def test_a_deleted_case_is_withdrawn(world: Running) -> None:
    """After a whole reading a case that is gone is withdrawn, and what waits for it is cancelled."""
    await world.node.sync()
    await world.node.tick()
    world.execute(ANOTHER_INSTEAD)
    report = await world.node.full_sync()
    assert report.gone == 1
    assert world.obligation().state is ObligationState.WITHDRAWN
    assert set(world.states()) == {"assigned h0 cancelled"}
    assert await world.work("2026-10-09 09:00") == []


async def test_a_case_that_comes_back_is_taken_back(world: Running) -> None:
    """A row deleted and written again with the same content is supervised again, with a new ladder."""
    await world.work()
    world.execute("CREATE TABLE kept AS SELECT * FROM cases")
    world.execute(ANOTHER_INSTEAD)
    await world.node.full_sync()
    world.execute("INSERT INTO cases SELECT * FROM kept")
    report = await world.node.full_sync()
    assert report.changed == 1
    assert (world.obligation().state, world.obligation().deadline_version) == (ObligationState.OPEN, 2)


@pytest.mark.parametrize("cases", [1, 30])
async def test_a_suddenly_empty_source_is_not_believed(tmp_path: Path, store_url: str, cases: int) -> None:
    """All cases gone at once is a fault of the source: nothing is withdrawn, and it says so in Chinese."""
    async with running_office(tmp_path, store_url, cases=cases) as world:
        await world.node.sync()
        world.execute("DELETE FROM cases")
        with pytest.raises(SourceUnavailable) as refused:
            await world.node.full_sync()
        assert "一个案件也没有" in refused.value.message.zh
        await world.node.tick()
        assert world.store.counts()["obligations"] == {"open": cases}


async def test_a_half_filled_table_is_believed_only_the_second_time(tmp_path: Path, store_url: str) -> None:
    """A nightly reload caught in the middle withdraws nothing and repeats no message; what stays away is withdrawn."""
    async with running_office(tmp_path, store_url, cases=30) as world:
        await world.live_until("2026-09-28 09:30")
        world.execute("CREATE TABLE kept AS SELECT * FROM cases")
        world.execute("DELETE FROM cases WHERE no > 'XF00000002'")
        assert (await world.node.full_sync()).gone == 0
        world.execute("INSERT INTO cases SELECT * FROM kept WHERE no > 'XF00000002'")
        assert (await world.node.full_sync()).gone == 0
        assert await world.work("2026-09-29 03:00") == []
        world.execute("DELETE FROM cases WHERE no > 'XF00000002'")
        assert [(await world.node.full_sync()).gone for _ in range(2)] == [0, 27]
        assert world.obligation("XF00000029").state is ObligationState.WITHDRAWN


async def test_most_cases_gone_before_sending_wait_for_the_next_whole_reading(tmp_path: Path, store_url: str) -> None:
    """In lots however small, what was decided waits and nothing is cancelled; when the cases are back it goes out."""
    async with running_office(tmp_path, store_url, cases=60) as world:
        await world.work("2026-09-16 10:00")
        world.clock.move_to(at("2026-09-28 09:00"))
        await world.node.tick()
        world.execute("CREATE TABLE kept AS SELECT * FROM cases")
        world.execute("DELETE FROM cases WHERE no > 'XF00000002'")
        world.clock.advance(timedelta(minutes=3))
        await world.node.pump()
        world.collect()
        states = [d.error for n in range(60) for d in world.deliveries(key=f"XF{n:08}") if d.notice.say == "remind"]
        assert (states.count("withdrawn"), states.count("case_doubted")) == (0, 2 * 57)
        world.execute("INSERT INTO cases SELECT * FROM kept WHERE no > 'XF00000002'")
        assert (await world.node.full_sync()).gone == 0
        world.clock.advance(timedelta(minutes=11))
        await world.node.pump_until_idle()
        assert world.collect()
        told = [
            d.state.value for n in range(60) for d in world.deliveries(key=f"XF{n:08}") if d.error == "case_doubted"
        ]
        assert told == []


async def test_rows_that_cannot_be_used_are_listed_until_they_are_mended(world: Running) -> None:
    """A bad date sets a new case aside with its reason; when the row is corrected the list is empty again."""
    columns = "INSERT INTO cases (no, unit, handler, arrived, changed) VALUES"
    world.execute(f"{columns} ('XF9', 's1', 'h1', '昨天', '2026-09-16 10:00:00')")
    await world.node.sync()
    (row,) = world.store.rows_set_aside()
    assert (row.entity, row.row) == ("cases", "XF9")
    assert "昨天" not in world.told("seen")
    world.update("arrived = '2026-09-16 10:00:00'", "XF9")
    await world.node.sync()
    assert world.store.rows_set_aside() == []
    assert world.obligation("XF9").state is ObligationState.OPEN


async def test_people_set_aside_are_listed_once(world: Running) -> None:
    """A person without any address stays one line of the list, however often the cases are read."""
    world.execute("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'h9'")
    for _ in range(3):
        world.clock.advance(timedelta(minutes=1))
        world.update("kind = kind")
        await world.node.sync()
    assert [(row.entity, row.row) for row in world.store.rows_set_aside()] == [("directory", "h9")]


async def test_all_that_is_wrong_with_a_case_is_told(world: Running) -> None:
    """A case with an unknown unit and handler is one line with both reasons, and is supervised all the same."""
    world.update("unit = 'nowhere', handler = 'nobody'")
    await world.node.sync()
    (row,) = world.store.rows_set_aside()
    assert "nowhere" in row.reason
    assert "nobody" in row.reason
    assert world.obligation().state is ObligationState.OPEN


# --- first handler ------------------------------------------------------------------------------------------


async def test_the_first_handler_never_changes(world: Running) -> None:
    """Whatever the row says later, the first answer stays; each other claim is one conflict in the ledger."""
    await world.node.sync()
    for _ in range(3):
        world.clock.advance(timedelta(minutes=1))
        world.update("handler = 'h1', unit = 's1'")
        await world.node.sync()
        world.update("kind = '申诉'")
        await world.node.sync()
    first = world.store.cases([CASE])[CASE].first_handler
    assert first is not None
    assert (first.unit, first.official) == ("s0", "h0")
    assert world.story().count("conflict") == 1


async def test_a_transferred_case_keeps_its_first_handler(world: Running) -> None:
    """A recorded hand-over is no conflict, and reminders still reach the first handler."""
    await world.work()
    world.execute("INSERT INTO transfers VALUES (?, '2026-09-18 09:00:00', 's0', 's1', 'h1')", CASE)
    world.clock.move_to(at("2026-09-18 10:00"))
    world.update("unit = 's1', handler = 'h1'")
    await world.node.sync()
    first = world.store.cases([CASE])[CASE].first_handler
    assert first is not None
    assert first.unit == "s0"
    assert "conflict" not in world.story()
    reminded = await world.work("2026-09-28 09:00")
    assert "handler0@example.com" in {one.to for one in reminded}


# --- tick ---------------------------------------------------------------------------------------------------


async def test_looking_twice_decides_once(world: Running) -> None:
    """A second tick, and a recount at the same instant, make no second notice."""
    await world.node.sync()
    await world.node.tick()
    assert await world.node.tick() == 0
    once = world.states()
    world.store.recount(world.clock.now(), provisional_only=False)
    assert await world.node.tick() == 1
    assert world.states() == once == ["assigned h0 pending", "assigned h0 pending"]


async def test_nobody_is_reminded_of_a_case_finished_since_the_sync(world: Running) -> None:
    """The case is read once more before firing: finished meanwhile, no message goes out and the ledger says done."""
    await world.work()
    world.clock.move_to(at("2026-09-28 09:00"))
    world.update("notified = '2026-09-27 16:00:00'")
    await world.node.pump_until_idle()
    assert world.collect() == []
    assert world.story()[-1] == "done"
    assert world.obligation().state is ObligationState.DONE


async def test_facts_that_changed_since_the_sync_are_used(tmp_path: Path, store_url: str) -> None:
    """A platform limit that appeared since the sync is taken over by the tick itself."""

    def trust_the_platform(office: Office) -> None:
        office.change("policies/office.yaml", "    done:", "    platform_due: limit_at\n    done:")

    async with running_office(tmp_path, store_url, prepare=trust_the_platform) as world:
        await world.work()
        world.clock.move_to(at("2026-09-28 09:00"))
        world.update("limit_at = '2026-09-28 18:00:00'")
        await world.node.pump_until_idle()
        received = world.collect()
        assert world.obligation().platform_due_at == at("2026-09-28 18:00")
        assert received
        assert all("9月28日" in one.text for one in received)


async def test_enforcement_goes_on_while_the_source_is_away(world: Running) -> None:
    """With the last known facts, and every message says as of when; when the source is back it no longer does."""
    await world.work()
    bring_back = world.hide_source()
    reminded = await world.work("2026-09-28 09:00")
    assert {one.channel for one in reminded} == {"email", "sms"}
    (mail,) = [one for one in reminded if one.channel == "email"]
    assert "共享数据库暂时无法访问" in mail.text
    bring_back()
    (mail,) = [one for one in await world.work("2026-10-08 09:00") if one.to == "handler0@example.com"]
    assert "共享数据库暂时无法访问" not in mail.text


async def test_one_that_throws_is_postponed_and_the_others_go_on(tmp_path: Path, store_url: str) -> None:
    """A case that cannot be evaluated is looked at again ten minutes later; the others are decided now."""

    def own_calendar_for_some(office: Office) -> None:
        office.write("calendars/ours.yaml", "title: 本地\nbase: china\n")
        limit = "  notify:\n    title: 书面告知\n    applies_to: {kind: 求决}\n"
        office.change("policies/office.yaml", "  notify:\n    title: 书面告知\n", limit)
        office.change(
            "policies/office.yaml",
            "ladders:\n",
            "  other:\n    title: 答复\n    applies_to: {kind: 建议}\n    calendar: ours\n    start: arrived_at\n"
            "    within: 15 日\n    done: notified_at\n    ladder: standard\nladders:\n",
        )

    async with running_office(tmp_path, store_url, cases=3, prepare=own_calendar_for_some) as world:
        world.update("kind = '建议'")
        await world.node.sync()
        whole = rules_of(world.node.configuration)
        broken = dataclasses.replace(whole, calendars={"china": whole.calendars["china"]})  # as no valid one is
        engine = Engine(world.store, world.node.source, broken, world.node.epoch)
        await asyncio.to_thread(engine.tick, world.clock.now())
        assert world.states() == []
        assert world.story()[-1] == "postponed"
        assert [len(world.states(key=f"XF0000000{n}")) for n in (1, 2)] == [2, 2]
        assert world.store.next_check_at() == world.clock.now() + timedelta(minutes=10)

        world.clock.advance(timedelta(minutes=10))
        world.update("handler = 'h1'")  # changed facts that cannot be counted either
        await asyncio.to_thread(engine.tick, world.clock.now())
        assert [row.row for row in world.store.rows_set_aside()] == [CASE]
        assert world.story()[-1] == "postponed"

        world.clock.advance(timedelta(minutes=10))
        await world.node.tick()  # under the whole rules
        assert world.states()


async def test_an_extension_moves_the_limit_and_begins_a_new_ladder(tmp_path: Path, store_url: str) -> None:
    """What had not gone out is cancelled, the assignment is not repeated, reminders follow the new limit."""
    async with running_office(tmp_path, store_url, prepare=allow_extension) as world:
        await world.work()
        world.clock.move_to(at("2026-09-28 09:00"))
        await world.node.tick()
        world.execute(
            "INSERT INTO extensions VALUES (?, '2026-09-28 09:05:00', 30, 'principal', '2026-09-28 09:06:00')", CASE
        )
        world.update("kind = kind")
        assert await world.work("2026-09-28 09:10") == []
        assert {state for state in world.states() if "remind" in state} == {"remind h0 cancelled"}
        moved = world.obligation()
        assert (moved.deadline_version, moved.extended) == (2, True)
        assert moved.legal_due_at == at("2026-11-02 23:59:59.999999")  # 10-01 + 30 is Sat 10-31
        (line,) = world.told("moved")
        assert "由 2026-10-08 24:00 改为 2026-11-02 24:00" in line
        later = await world.live_until("2026-11-01 12:00")
        assert {(one.clock, one.to) for one in later if one.channel == "email"} == {
            ("2026-10-28 09:00", "handler0@example.com")
        }


# --- two workers --------------------------------------------------------------------------------------------


async def test_two_workers_never_decide_or_send_twice(tmp_path: Path, store_url: str) -> None:
    """Two nodes sync, decide and send over one store at the same time: every notice once, every message once."""
    async with running_office(tmp_path, store_url, cases=120) as world:
        second = await world.another_node()
        try:
            await asyncio.gather(world.node.sync(), second.sync())
            for moment in ("2026-09-16 10:01", "2026-09-28 09:00", "2026-10-08 09:00"):
                world.clock.move_to(at(moment))
                await asyncio.gather(world.node.pump_until_idle(), second.pump_until_idle())
        finally:
            await second.close()
        received = world.collect()
        keys = [one["key"] for one in world.texts.messages]
        assert len(keys) == len(set(keys)) == 120 * 4
        assert len(received) == 2 * 120 * 4
        assert not any(one.duplicate for one in received)
        assert list(world.store.verify()) == []


def with_pauses(office: Office) -> None:
    """Pauses stand in a table of their own; ending one touches no row of the cases."""
    office.execute('CREATE TABLE pauses ("no" TEXT, since TEXT, until TEXT)')
    office.execute("INSERT INTO pauses VALUES ('XF00000000', '2026-09-16 10:00:00', NULL)")
    mapping = office.folder / "source.yaml"
    pauses = 'pauses: {table: pauses, case: "no", from: since, to: until}\n'
    mapping.write_text(mapping.read_text(encoding="utf-8") + pauses, encoding="utf-8")


async def test_the_end_of_a_pause_is_noticed_within_the_hour(tmp_path: Path, store_url: str) -> None:
    """A paused case is read again every hour although its own row does not change: the clock goes on."""
    async with running_office(tmp_path, store_url, prepare=with_pauses) as world:
        await world.work()
        assert world.obligation().state is ObligationState.PAUSED
        world.execute("UPDATE pauses SET until = '2026-09-18 10:00:00'")
        await world.work("2026-09-18 10:30")
        assert world.obligation().state is ObligationState.OPEN


# --- responsibility -----------------------------------------------------------------------------------------


async def test_a_limit_met_late_between_two_looks_is_laid_to_its_holder(world: Running) -> None:
    """Nobody looked while it passed, was handed on and was done: those of the last instant answer, and it stays."""
    await world.work()
    world.clock.move_to(at("2026-10-12 09:00"))
    world.execute("INSERT INTO transfers VALUES (?, '2026-10-09 09:00:00', 's0', 's1', 'h1')", CASE)
    world.update("unit = 's1', handler = 'h1', notified = '2026-10-10 09:00:00'")
    await world.work()
    (breach,) = world.store.breaches(case_key=CASE)
    assert (breach.due, breach.at, breach.unit, breach.official) == (
        "legal",
        world.obligation().legal_due_at,
        "s0",
        "h0",
    )
    assert {leader["official"] for leader in breach.leaders} == {"c0", "p-leader", "p-principal"}
    world.update("notified = '2026-10-08 09:00:00'")
    await world.work()
    assert world.store.breaches(case_key=CASE) == [breach]
    assert world.story().count("breached") == 1


async def test_a_case_is_counted_again_when_asked_though_nothing_changed(world: Running) -> None:
    """The same facts are counted again for those asked about, once, and stay bound to their version of the policies."""
    await world.node.sync()
    version = world.store.cases([CASE])[CASE].policy_version
    assert version == world.node.configuration.policies.version
    intake = Intake(world.store, world.node.source, rules_of(world.node.configuration))
    now = world.clock.now()
    assert intake.refresh({CASE}, now).moved == frozenset()
    assert intake.refresh({CASE}, now, recount={CASE}).moved == {CASE}
    assert intake.refresh({CASE}, now, frozenset({CASE}), recount={CASE}).moved == frozenset()
    assert world.store.cases([CASE])[CASE].policy_version == version
