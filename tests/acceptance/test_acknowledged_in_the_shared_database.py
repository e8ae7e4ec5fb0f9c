"""An acknowledgement (签收) that only the case system knows of, as a column or as a movement, stops the urging."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.running_office import CASE, running_office
from support.web_office import with_changes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.office import Office
    from support.running_office import Running

HEAD = "+8613800002000"
ASKING = ("policies/office.yaml", "say: remind}", "say: remind, unless: acknowledged}")
OWN_MILESTONE = (
    ("policies/office.yaml", "else: section_head}", "else: section_head, milestone: received_at}"),
    ("source.yaml", "acknowledged_at: signed", "received_at: signed"),
)
KINDS = (
    "source.yaml",
    "to_unit: to_unit, ",
    "to_unit: to_unit, kind: {column: from_unit, values: {签收: sign, 转办: hand_over}}, ",
)


async def urged(world: Running) -> list[str]:
    """Whether the head is told that the acknowledgement is wanting, and the handler is reminded."""
    told = await world.live_until("2026-09-28 10:00")
    return sorted({one.text[7:9] for one in told if one.channel == "sms"})


@pytest.mark.parametrize("prepare", [with_changes(ASKING), with_changes(ASKING, *OWN_MILESTONE)])
async def test_a_column_of_the_shared_database_acknowledges(
    tmp_path: Path, store_url: str, prepare: Callable[[Office], None]
) -> None:
    """Nobody is urged, a step that asks stays silent, and the ledger says once where it is known from."""
    async with running_office(tmp_path, store_url, prepare=prepare) as world:
        await world.work()
        world.update("signed = '2026-09-16 11:00:00'")
        await world.work("2026-09-16 11:05")
        await world.work("2026-09-16 12:05")
        assert await urged(world) == []
        (line,) = world.told("acknowledged")
        assert "'how': 'platform'" in line
        assert "2026-09-16T03:00:00+00:00" in line


async def test_without_it_the_head_is_told_and_the_handler_reminded(tmp_path: Path, store_url: str) -> None:
    """The same days without the column being filled."""
    async with running_office(tmp_path, store_url, prepare=with_changes(ASKING)) as world:
        await world.work()
        assert await urged(world) == ["提醒", "督签"]


async def test_a_movement_of_signing_acknowledges(tmp_path: Path, store_url: str) -> None:
    """The record of movements says 签收 by the unit that has the case."""
    async with running_office(tmp_path, store_url, prepare=with_changes(ASKING, KINDS)) as world:
        await world.work()
        world.execute("INSERT INTO transfers VALUES (?, '2026-09-16 11:00:00', '签收', 's0', NULL)", CASE)
        world.update("kind = '求决'")
        await world.work("2026-09-16 11:05")
        assert await urged(world) == []
        assert len(world.told("signed_for")) == 1
