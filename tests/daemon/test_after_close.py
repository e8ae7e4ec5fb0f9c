"""A limit that runs on when the shared database has closed the case, from the database to the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policies.model import ObligationState
from support.running_office import CASE, Running, running_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FEEDBACK = """
  feedback:
    title: 反馈
    start: finished_at
    after_close: true
    within: 5 日
    done: acknowledged_at
    ladder: standard
ladders:"""


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One case that is closed once it is finished, with feedback five days later; it was finished on 18 September."""
    async with running_office(tmp_path, store_url) as office:
        office.office.change("source.yaml", '  key: "no"\n', '  key: "no"\n  open: finished IS NULL\n')
        office.office.change("policies/office.yaml", "\nladders:", FEEDBACK)
        await office.restart("2026-09-16 10:01")
        await office.work()
        office.update("notified = '2026-09-18 10:00:00', finished = '2026-09-18 10:00:00'")
        await office.work("2026-09-18 10:05")
        yield office


def states(world: Running) -> dict[str, ObligationState]:
    """Where each limit of the case stands."""
    return {one.obligation.limit: one.obligation.state for one in world.store.obligations_of([CASE])[CASE]}


async def test_a_closed_case_is_urged_until_the_feedback_is_there(world: Running) -> None:
    """Closed, read again as a whole, bound to its version, urged; and done once the feedback is there."""
    assert not world.store.cases([CASE])[CASE].case.open
    assert states(world) == {"notify": ObligationState.DONE, "feedback": ObligationState.OPEN}
    report = await world.node.full_sync()
    assert (report.read, report.gone) == (1, 0)
    told = await world.live_until("2026-09-24 10:00")
    assert {one.clock for one in told if "反馈" in one.text} >= {"2026-09-23 09:00", "2026-09-24 09:00"}
    assert world.store.cases_by_version() == {world.node.version: 1}
    world.update("signed = '2026-09-24 11:00:00'")
    assert await world.live_until("2026-10-20 10:00") == []
    assert states(world)["feedback"] is ObligationState.DONE
    assert world.store.cases_by_version() == {}


async def test_a_closed_case_that_is_deleted_is_told_no_more(world: Running) -> None:
    """Gone at the nightly reading of everything: the limit is withdrawn."""
    world.execute("UPDATE cases SET no = 'another', signed = finished")
    await world.node.full_sync()
    assert states(world)["feedback"] is ObligationState.WITHDRAWN
    assert await world.live_until("2026-10-20 10:00") == []
