"""A fire drill through the real path: everybody gets one marked message a channel, and the report says who did."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING

import pytest

from channels.base import News, Said
from daemon import drill
from daemon.store.values import Acknowledged, DeliveryState
from daemon.wiring import rules_of
from policies.model import QuietHours
from support.running_office import at, running_office
from support.web_office import link_in, web_office

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.drill import Drill
    from support.running_office import Running

KINDS = {"email": "email", "sms": "sms"}


def begin(world: Running, *to: str) -> Drill:
    """A drill ordered now."""
    now = world.clock.now()
    zone = world.node.configuration.zone
    found = world.store.directory()
    assert found is not None
    people = drill.people_meant(to or ("all",), found[0], now)
    drill_id = drill.id_of(now, zone)
    notices = drill.notices_of(drill_id, people, KINDS, now, None)
    ordered = drill.Drill(drill_id, now, "督查室", "季度演练", to, tuple(KINDS), len(people), len(notices))
    drill.start(world.store, ordered, notices, "v1")
    return ordered


def outcome(world: Running, ordered: Drill) -> list[drill.Result]:
    """What became of it."""
    found = world.store.directory()
    assert found is not None
    return drill.results(world.store.deliveries_keyed(f"{ordered.name}/"), found[0])


async def test_everybody_gets_one_marked_message_and_the_report_counts_them(tmp_path: Path, store_url: str) -> None:
    """Twenty-three people and two channels: all handed over; one signs, one text is refused; nobody else is told."""
    async with running_office(tmp_path, store_url, cases=0) as world:
        await world.work("2026-09-16 10:00")
        ordered = begin(world)
        world.texts.fail("400")
        told = await world.work("2026-09-16 10:05")
        assert len({one.to for one in told if one.channel == "email"}) == ordered.people == 23
        assert all("演练" in one.text and "无需办理" in one.text for one in told)
        deliveries = world.store.deliveries_keyed(f"{ordered.name}/")
        mine = next(one for one in deliveries if one.state is DeliveryState.ACCEPTED and one.notice.channel == "sms")
        world.clock.move_to(at("2026-09-16 10:20"))
        answers = world.store.acknowledge_deliveries([mine.id], world.clock.now(), "link", world.clock.now())
        assert answers == {mine.id: Acknowledged.TAKEN}
        found = outcome(world, ordered)
        total = drill.in_all(found)
        assert (total.people, total.handed_over, total.arrived, total.acknowledged) == (23, 23, 1, 1)
        assert [one.channel for one in found if one.state is DeliveryState.FAILED] == ["sms"]
        signed = next(one for one in found if one.acknowledged_at is not None)
        assert signed.took is not None
        assert 15 * 60 <= signed.took.total_seconds() <= 20 * 60
        units = {one.unit: one for one in drill.by_unit(found)}
        assert (units["s0"].people, units["bureau"].people, units[None].people) == (2, 2, 1)
        assert sum(one.acknowledged for one in units.values()) == 1
        assert await world.live_until("2026-09-17 12:00") == []  # nothing escalates


async def test_a_drill_that_is_stopped_cancels_what_has_not_gone_out(tmp_path: Path, store_url: str) -> None:
    """What waits is cancelled and on record; what went out stays."""
    async with running_office(tmp_path, store_url, cases=0) as world:
        await world.work("2026-09-16 10:00")
        ordered = begin(world, "unit:s0")
        assert drill.stop(world.store, ordered, "督查室", world.clock.now()) == 4
        assert await world.work("2026-09-16 10:05") == []
        assert {one.state for one in outcome(world, ordered)} == {DeliveryState.CANCELLED}
        kept = drill.find(world.store, ordered.id)
        assert (kept.stopped_by, kept.stopped_at) == ("督查室", at("2026-09-16 10:00"))
        assert [row.kind for row in world.store.ledger("") if row.kind.startswith("drill")] == [
            drill.STARTED,
            drill.STOPPED,
        ]


async def test_quiet_hours_of_every_policy_hold_a_drill(tmp_path: Path, store_url: str) -> None:
    """At night it waits for the latest morning there is; by day it does not."""
    async with running_office(tmp_path, store_url, cases=0) as world:
        rules = rules_of(world.node.configuration)
        night = {
            name: replace(one, quiet=QuietHours(time(22), time(7, 30))) for name, one in rules.policies.policies.items()
        }
        quiet = replace(rules, policies=replace(rules.policies, policies=night))
        assert drill.quiet_until(quiet, at("2026-09-16 23:00")) == at("2026-09-17 07:30")
        assert drill.quiet_until(quiet, at("2026-09-16 12:00")) is None


async def test_only_those_meant_are_told(tmp_path: Path, store_url: str) -> None:
    """A unit, a person, a role; a word that means nobody is refused."""
    async with running_office(tmp_path, store_url, cases=0) as world:
        await world.work("2026-09-16 10:00")
        found = world.store.directory()
        assert found is not None
        now = world.clock.now()
        assert [one.key for one in drill.people_meant(["unit:s1"], found[0], now)] == ["c1", "h1"]
        assert [one.key for one in drill.people_meant(["person:h2", "unit:s1"], found[0], now)] == ["c1", "h1", "h2"]
        assert len(drill.people_meant(["role:section_head"], found[0], now)) == 10
        for word in ("unit:nowhere", "everyone", "role:king"):
            with pytest.raises(drill.NoDrill):
                drill.people_meant([word], found[0], now)


async def test_a_drill_is_acknowledged_by_link_and_by_code(tmp_path: Path, store_url: str) -> None:
    """The page and the answer speak of a drill, of no case and no date; it counts in the report."""
    async with web_office(tmp_path, store_url, cases=0) as (world, telephone):
        await world.work("2026-09-16 10:00")
        ordered = begin(world, "unit:s0")
        told = await world.work("2026-09-16 10:05")
        (mail,) = [one for one in told if one.to == "handler0@example.com"]
        (text,) = [one for one in told if one.to == "+8613800002000"]
        _, page = await telephone.get(link_in(mail.text))
        assert "通道演练" in page
        assert "2026年" not in page
        assert "已签收" in (await telephone.press(link_in(mail.text), "item0"))[1]
        (code,) = re.findall(r"回复(\d{4})签收", text.text)
        received, before = "已收到，演练消息无需办理", "演练消息此前已签收"
        for words, answer in ((code, received), ("收到", received), ("收到", before)):  # his mail is one of its own
            await world.node.hear("sms", News(said=(Said("+8613800002000", words),)))
            await world.node.take_in()
            (said,) = await world.work()
            assert answer in said.text
        assert drill.in_all(outcome(world, ordered)).acknowledged == 2
