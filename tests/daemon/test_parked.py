"""A parked case (挂账) comes back: the node looks at it on the day of its review, and nothing takes that away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.model import ObligationState
from support.running_office import at, running_office

if TYPE_CHECKING:
    from pathlib import Path

    from support.office import Office


def with_parking(office: Office) -> None:
    """Pauses with a day of review, in a table of their own."""
    office.execute('CREATE TABLE pauses ("no" TEXT, since TEXT, until TEXT, back TEXT)')
    mapping = office.folder / "source.yaml"
    pauses = 'pauses: {table: pauses, case: "no", from: since, to: until, review_at: back}\n'
    mapping.write_text(mapping.read_text(encoding="utf-8") + pauses, encoding="utf-8")


async def test_a_parked_case_comes_back_on_its_day(tmp_path: Path, store_url: str) -> None:
    """Nothing is said while it is parked, whatever else changes; on the day of the review its people are told."""
    async with running_office(tmp_path, store_url, prepare=with_parking) as world:
        await world.work()
        world.execute("INSERT INTO pauses VALUES ('XF00000000', '2026-09-16 12:00:00', NULL, '2026-11-02 09:00:00')")
        world.update("unit = unit")
        await world.work("2026-09-16 13:00")
        one = world.obligation()
        assert (one.state, one.review_at) == (ObligationState.PAUSED, at("2026-11-02 09:00"))
        assert await world.live_until("2026-10-30 10:00") == []
        world.update("unit = unit")
        assert await world.work("2026-11-01 10:00") == []
        told = await world.live_until("2026-11-02 12:00")
        assert {message.clock for message in told} == {"2026-11-02 09:00"}
        steps = [d.notice.step for d in world.store.deliveries(case_key="XF00000000") if d.notice.say == "review"]
        assert set(steps) == {"review.2026-11-02"}
        world.update("unit = unit")
        assert await world.live_until("2026-11-05 10:00") == []
