"""What the administrators are told when something is wrong with duban itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.alerts import notices_about, unaccounted, year_unknown
from daemon.calendars import china
from policies.model import Directory, Official
from support.running_office import running_office

if TYPE_CHECKING:
    from pathlib import Path

    from support.running_office import Received, Running


async def test_a_shared_database_that_stays_away_is_told_once_a_day(tmp_path: Path, store_url: str) -> None:
    """After a quarter of an hour both channels tell the administrator, once that day, and again the next day."""
    async with running_office(tmp_path, store_url) as world:
        await world.work()
        come_back = world.hide_source()
        for minutes in (1, 5, 8):
            assert await told_after(world, minutes) == []
        told = [*await told_after(world, 3), *await told_after(world, 60)]
        assert sorted((m.channel, m.to) for m in told) == [("email", "admin@example.com"), ("sms", "+8613800000000")]
        assert all("共享数据库无法访问" in m.text for m in told)
        assert len(await told_after(world, 24 * 60)) == 2
        come_back()
        assert await told_after(world, 24 * 60) == []
        assert [row.kind for row in world.store.ledger("")].count("alert") == 2


async def told_after(world: Running, minutes: int) -> list[Received]:
    """What arrives when duban looks at itself so much later."""
    world.clock.advance(timedelta(minutes=minutes))
    before = len(world.received)
    await world.work()
    await world.node.audit()
    await world.node.pump()
    world.collect()
    return world.received[before:]


def test_an_administrator_is_told_once_per_kind_of_address() -> None:
    """A spare SMS gateway is no second text message: the first channel of each kind carries the alert."""
    admin = Official("a", "系统管理员", addresses={"sms": "+8613800000000", "email": "admin@example.com"})
    people = Directory({"a": admin}, administrators=("a",))
    kinds = {"relay": "email", "yunmas": "sms", "spare": "sms"}
    now = datetime(2026, 9, 16, 2, tzinfo=UTC)
    notices = notices_about(unaccounted(1), people, kinds, now.date(), now, "zh")
    assert [notice.channel for notice in notices] == ["relay", "yunmas"]


@pytest.mark.parametrize(
    ("today", "told"),
    [
        (date(2026, 10, 26), False),  # a Monday in October: the notice is not late yet
        (date(2026, 11, 2), True),
        (date(2026, 11, 3), False),  # a Tuesday: once a week is enough
        (date(2026, 12, 28), True),
        (date(2027, 1, 4), False),  # from then on every result says for itself that it is provisional
    ],
)
def test_next_years_holidays_are_asked_for_on_mondays_from_november(today: date, told: bool) -> None:
    """While the coming year's notice is not loaded the administrators are reminded of it weekly."""
    trouble = year_unknown(china(), today)
    assert (trouble is not None) is told
    assert trouble is None or "2027 年放假安排尚未载入" in trouble.title.zh


async def test_a_notice_held_for_longer_than_a_working_day_is_told_to_the_administrators(
    tmp_path: Path, store_url: str
) -> None:
    """Decided on Wednesday at ten, nobody is alarmed before Thursday at ten; then once that day."""
    async with running_office(tmp_path, store_url) as world:
        await world.work()
        (one,) = world.deliveries("sms")
        held = replace(one.notice, key="held", release=True, person="p-principal", role="principal")
        world.store.add_notices(one.obligation_id, [held], [], "v1", world.clock.now())
        assert await told_after(world, 24 * 60 - 1) == []
        told = await told_after(world, 1)
        assert sorted(m.channel for m in told) == ["email", "sms"]
        assert all("待核发" in m.text for m in told)
        assert await told_after(world, 60) == []
        world.store.release(["held"], "张主任", "已阅", world.clock.now())
        await world.node.pump_until_idle()
        assert [one.to for one in world.collect()] == ["+8613800000002"]
        assert await told_after(world, 24 * 60) == []
