"""What could silence or falsify a decision: facts that time changes, failures in between, rules of one name."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from daemon.engine import Engine
from daemon.errors import SourceUnavailable
from daemon.source import Source
from daemon.wiring import rules_of
from policies.model import ObligationState
from support.running_office import Running, at, running_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from daemon.source import BadRow, Page
    from policies.model import Case, Directory
    from support.office import Office


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One case that arrived on Wed 2026-09-16 at ten."""
    async with running_office(tmp_path, store_url) as office:
        yield office


def engine_over(world: Running, source: Source) -> Engine:
    """An engine of the running node over a source of the test's own."""
    return Engine(world.store, source, rules_of(world.node.configuration), world.node.epoch)


class Overlaid(Source):
    """The office's own source, with parts of it replaced by a subclass."""

    def __init__(self, world: Running) -> None:
        self.inner: Source = world.node.source

    def read_directory(self) -> tuple[Directory, tuple[BadRow, ...]]:
        """As it is."""
        return self.inner.read_directory()

    def changed_since(self, watermark: str | None, page_size: int) -> Iterator[Page]:
        """As it is."""
        return self.inner.changed_since(watermark, page_size)

    def all_keys(self) -> Iterator[str]:
        """As they are."""
        return self.inner.all_keys()

    def reread(self, keys: Collection[str]) -> tuple[dict[str, Case], tuple[BadRow, ...]]:
        """As they are."""
        return self.inner.reread(keys)

    def newest_change_at(self) -> datetime | None:
        """As it is."""
        return self.inner.newest_change_at()

    def close(self) -> None:
        """The node closes its source."""


async def test_a_date_that_was_in_the_future_is_believed_when_it_has_come(world: Running) -> None:
    """Written down as done tomorrow: not believed today, but nobody is reminded once that day has come."""
    world.update("notified = '2026-09-18 16:00:00'")
    await world.work("2026-09-17 09:00")
    assert world.obligation().state is ObligationState.OPEN
    world.collect()
    assert await world.live_until("2026-10-12 12:00") == []
    assert world.obligation().state is ObligationState.DONE


async def test_claims_are_given_back_when_a_tick_breaks_off(world: Running, store_url: str) -> None:
    """The store fails in the middle of a tick: when it is back, the same worker decides what it had claimed."""
    await world.node.sync()
    rename(store_url, "cases", "elsewhere")
    with pytest.raises(Exception, match="cases"):
        await world.node.tick()
    rename(store_url, "elsewhere", "cases")
    assert await world.node.tick() == 1
    assert world.states() == ["assigned h0 pending", "assigned h0 pending"]


async def test_facts_that_change_with_every_look_are_decided_all_the_same(world: Running) -> None:
    """A column counted from the clock by the other system, new at each reading, neither stops nor spins the tick."""
    await world.node.sync()

    class Restless(Overlaid):
        looks = 0

        def reread(self, keys: Collection[str]) -> tuple[dict[str, Case], tuple[BadRow, ...]]:
            cases, bad = self.inner.reread(keys)
            self.looks += 1
            assert self.looks < 5, "it never comes to a decision"
            changed = {key: dataclasses.replace(one, fields={"age": self.looks}) for key, one in cases.items()}
            return changed, bad

    engine = engine_over(world, Restless(world))
    while await asyncio.to_thread(engine.tick, world.clock.now()):
        pass
    assert world.states() == ["assigned h0 pending", "assigned h0 pending"]


async def test_a_directory_without_anybody_is_not_believed(world: Running) -> None:
    """The table of people is empty for a moment: what waits is not reported as undeliverable to the people above."""
    await world.node.sync()
    await world.node.tick()
    world.execute("CREATE TABLE kept AS SELECT * FROM people")
    world.execute("DELETE FROM people")
    with pytest.raises(SourceUnavailable):
        await world.node.sync()
    await world.node.pump()
    assert {one.to for one in world.collect()} == {"handler0@example.com", "+8613800001000"}
    assert "fell_upward" not in world.story()
    world.execute("INSERT INTO people SELECT * FROM kept")
    await world.node.sync()


async def test_a_recusal_any_node_has_read_holds_for_what_was_decided_just_before(world: Running) -> None:
    """Decided, then another node reads of the recusal, then sent within the same minute: he hears nothing of it."""

    class Recusing(Overlaid):
        def changed_since(self, watermark: str | None, page_size: int) -> Iterator[Page]:
            for page in self.inner.changed_since(watermark, page_size):
                kept_out = tuple(dataclasses.replace(one, recused=("h0",)) for one in page.cases)
                yield dataclasses.replace(page, cases=kept_out)

    await world.node.sync()
    await world.node.tick()
    world.clock.advance(timedelta(seconds=20))
    await asyncio.to_thread(lambda: engine_over(world, Recusing(world)).intake.sync(world.clock.now(), full=True))
    await world.node.pump()
    assert "handler0@example.com" not in {one.to for one in world.collect()}
    assert [d.error for d in world.deliveries() if d.notice.person == "h0"] == ["transferred", "transferred"]


async def test_what_was_decided_while_the_source_was_away_is_checked_when_it_is_back(world: Running) -> None:
    """However young: it rests on facts read before. The case is found done, and nobody is told."""
    await world.node.sync()
    bring_back = world.hide_source()
    await world.node.tick()
    bring_back()
    world.update("notified = '2026-09-16 09:59:00'")
    await world.node.pump()
    assert world.collect() == []
    assert {d.error for d in world.deliveries()} == {"done"}


async def test_a_case_that_arrives_during_a_whole_reading_is_not_taken_for_deleted(world: Running) -> None:
    """Between listing the source and our own cases another node takes a new case over: it stays in force."""
    await world.node.sync()
    second = await world.another_node()

    class Busy(Overlaid):
        def all_keys(self) -> Iterator[str]:
            keys = list(self.inner.all_keys())
            world.execute(
                "INSERT INTO cases (no, unit, handler, arrived, changed) "
                "VALUES ('XF9', 's1', 'h1', '2026-09-16 10:00:00', '2026-09-16 10:00:00')"
            )
            Engine(second.store, second.source, rules_of(second.configuration), second.epoch).intake.sync(
                world.clock.now()
            )
            return iter(keys)

    try:
        report = await asyncio.to_thread(
            lambda: engine_over(world, Busy(world)).intake.sync(world.clock.now(), full=True)
        )
    finally:
        await second.close()
    assert report.gone == 0
    assert world.obligation("XF9").state is ObligationState.OPEN


async def test_two_policies_with_limits_of_one_name_both_speak(tmp_path: Path, store_url: str) -> None:
    """A case under two policies whose limits and steps are called the same gets the messages of both."""

    def second_policy(office: Office) -> None:
        text = (office.folder / "policies/office.yaml").read_text("utf-8")
        other = text.replace("policy: office", "policy: city").replace("title: 书面告知", "title: 市级告知")
        office.write("policies/city.yaml", other)

    async with running_office(tmp_path, store_url, prepare=second_policy) as world:
        received = await world.work()
        assert len(received) == 4
        assert sum("市级告知" in one.text for one in received) == 2


async def test_one_case_the_store_cannot_take_stops_no_other(tmp_path: Path, store_url: str) -> None:
    """A row that breaks the writing of a whole page is set aside with its reason; the others are supervised."""
    async with running_office(tmp_path, store_url, cases=3) as world:
        refuse(store_url, "XF00000001")
        await world.node.sync()
        assert [row.row for row in world.store.rows_set_aside()] == ["XF00000001"]
        await world.node.tick()
        assert len(world.states(key="XF00000002")) == len(world.states()) == 2


def rename(store_url: str, old: str, new: str) -> None:
    """Rename a table of the store, as somebody with the wrong window open might."""
    run(store_url, f"ALTER TABLE {old} RENAME TO {new}")


def refuse(store_url: str, key: str) -> None:
    """Let the database itself refuse one case, as it would a value it cannot hold."""
    if store_url.startswith("sqlite"):
        text = (
            f"CREATE TRIGGER refuse BEFORE INSERT ON cases WHEN NEW.key = '{key}' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        run(store_url, text)
    else:
        run(store_url, f"ALTER TABLE cases ADD CHECK (key <> '{key}')")


def run(store_url: str, statement: str) -> None:
    """One statement on the store, past the daemon."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


async def test_a_node_with_an_old_calendar_does_not_take_back_the_new_one(tmp_path: Path, store_url: str) -> None:
    """Two nodes, one already reloaded: limits do not jump to and fro, nobody is reminded again and again."""
    async with running_office(tmp_path, store_url) as world:
        await world.live_until("2026-09-18 10:00")
        world.collect()
        world.office.change("duban.yaml", "calendar: china", "calendar: weekdays")
        second = await world.another_node()
        try:
            for _ in range(3):
                world.clock.advance(timedelta(minutes=1))
                for node in (second, world.node):
                    await node.sync()
                    await node.pump_until_idle()
            assert world.collect() == []
            assert world.story().count("moved") == 1
            assert world.obligation().legal_due_at == at("2026-10-01 23:59:59.999999")
            await second.tick()
            assert await world.node.pump_until_idle() == 0
            await world.reload()
            assert await world.work("2026-09-28 09:00")  # with the new calendar it decides again
        finally:
            await second.close()
