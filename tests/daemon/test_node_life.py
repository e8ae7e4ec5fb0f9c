"""What a node owes the others: a heartbeat whatever else hangs, and no burial of those it could not hear."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.process import needs_restart
from daemon.settings import load
from support.running_office import Running, running_office
from support.store_values import notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

    from daemon.wiring import Node
    from support.office import Office


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One node over the office."""
    async with running_office(tmp_path, store_url, prepare=lockable) as office:
        yield office


def lockable(office: Office) -> None:
    """Let a writer of the shared database keep readers waiting."""
    office.execute("PRAGMA journal_mode = DELETE")


async def test_the_heart_beats_while_the_shared_database_hangs(world: Running) -> None:
    """Every thread waits for a locked shared database: the node still says that it is alive, and is not buried."""
    other = sqlite3.connect(world.office.database)
    other.execute("BEGIN EXCLUSIVE")
    waiting = [asyncio.create_task(world.node.sync()) for _ in range(5)]
    await asyncio.sleep(0)  # they are handed to the threads first
    try:
        async with asyncio.timeout(2):
            await world.node.heartbeat()
        assert not any(one.done() for one in waiting)
    finally:
        other.rollback()
        other.close()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_nobody_is_buried_right_after_an_outage_of_the_store(world: Running) -> None:
    """The store was away for two minutes, nobody could say that he lives: the first one back waits for the others."""
    second = await world.another_node()
    try:
        for _ in range(8):
            await asyncio.gather(world.node.heartbeat(), second.heartbeat())
            world.clock.advance(timedelta(seconds=5))
        world.clock.advance(timedelta(minutes=2))
        await world.node.heartbeat()
        await world.node.bury()
        await second.heartbeat()  # it would be fenced
        for _ in range(8):
            world.clock.advance(timedelta(seconds=5))
            await world.node.heartbeat()
            await world.node.bury()
        alive = [name for _, name, _ in world.store.workers_alive()]
        assert alive == ["first"]  # this time it was silent while the first was not
    finally:
        await second.close()


async def test_what_one_node_has_read_the_other_decides_and_sends_to_everybody_it_names(world: Running) -> None:
    """The second has not read the shared database yet, nor who came since: he is found, nobody else told."""
    second = await world.another_node()
    try:
        await world.node.sync()
        assert await second.tick() == 1
        assert await world.node.pump() == 2
        world.execute("INSERT INTO people VALUES ('new', '承办人新', 's0', '13800001009', 'new@example.com')")
        world.clock.advance(timedelta(minutes=5))
        world.execute(
            "INSERT INTO cases SELECT 'XF9', unit, 'new', kind, '2026-09-16 10:04:00', '2026-09-16 10:04:00',"
            " NULL, NULL, NULL, NULL, '2026-09-16 10:04:00' FROM cases"
        )
        await world.node.sync()
        assert await second.tick() == 1
        assert await second.pump() == 2
        told = [(one.notice.person, one.state.value) for one in world.store.deliveries()]
        assert told == [("h0", "accepted")] * 2 + [("new", "accepted")] * 2
    finally:
        await second.close()


async def test_a_node_that_has_not_read_who_is_new_sends_to_him(world: Running) -> None:
    """One node decides what the other sends."""
    second = await world.another_node()
    try:
        await world.node.sync()
        await world.node.tick()
        assert await second.pump() == 2
        assert {one.state.value for one in world.store.deliveries()} == {"accepted"}
    finally:
        await second.close()


async def test_two_nodes_with_other_administrators_do_not_save_over_each_other(world: Running) -> None:
    """Each takes over what the other has read, and saves its own reading only when that has changed."""
    await world.work()
    world.office.change("duban.yaml", "admin@example.com", "other@example.com")
    second = await world.another_node()
    try:
        saved: list[datetime | None] = []
        for number in range(3):
            for name, node in (("first", world.node), ("second", second)):
                world.clock.advance(timedelta(minutes=5))
                await node.sync()
                await send_something(world, node, f"{name} {number}")
            saved.append(world.store.directory_read_at())
        assert saved[0] == saved[1] == saved[2]
        assert {one.state.value for one in world.store.deliveries()} == {"accepted"}
    finally:
        await second.close()


async def send_something(world: Running, node: Node, key: str) -> None:
    """A mail about no case."""
    facts = {"alert_title": "某事", "alert_text": "请看一下。"}
    one = notice(key, case_key="", channel="email", person="h0", say="alert", facts=facts)
    world.store.add_notices(None, [one], [], "v1", world.clock.now())
    await node.pump()


async def test_what_counts_only_after_a_restart_is_named(world: Running) -> None:
    """Administrators and time zone belong to the opened source: a reload says that they do not count yet."""
    before = load(world.office.configuration)
    world.office.change("duban.yaml", "admin@example.com", "other@example.com")
    assert needs_restart(before, load(world.office.configuration)) == ["administrators"]
    world.office.change("duban.yaml", "time_zone: Asia/Shanghai", "time_zone: Asia/Urumqi")
    assert needs_restart(before, load(world.office.configuration)) == ["administrators", "office.time_zone"]
