"""Who could not be told: on request, and once a night with a word to the administrators."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.clock import SystemClock
from daemon.reach import REPORT
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_node
from support.office import Office, build_office
from support.running_office import running_office

if TYPE_CHECKING:
    from pathlib import Path

    from support.running_office import Running


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Cases that arrived yesterday; the head of the first section has lost his addresses."""
    arrived = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).replace(tzinfo=None, microsecond=0)
    built = build_office(tmp_path / "office", cases=2, arrived=arrived, calendar="weekdays")
    built.execute("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'c0'")
    configuration = load(built.configuration)
    Store.migrate(configuration.settings.store.url)

    async def work() -> None:
        node = open_node(configuration, SystemClock())
        try:
            await node.sync()
        finally:
            await node.close()

    asyncio.run(work())
    return built


def duban(office: Office, *arguments: str) -> Result:
    """One command over the office's configuration."""
    command = [*arguments, "-c", str(office.configuration)]
    return CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "160"}).invoke(main, command)


def test_reach_lists_who_cannot_be_told_and_why(office: Office) -> None:
    """The one without addresses comes first, with his cases; whoever is fine is only counted; nothing is sent."""
    found = duban(office, "reach")
    assert found.exit_code == 1, found.output
    assert "通知不到" in found.stdout
    assert "科长0" in found.stdout
    assert "没有可用的邮箱、手机号" in found.stdout
    assert "13800001000" not in found.stdout
    assert "handler0@example.com" not in found.stdout


def test_reach_as_json_has_keys_and_reasons(office: Office) -> None:
    """For programs: every person with roles, number of cases and what is wrong; no address."""
    result = duban(office, "reach", "--json", "--days", "60")
    found = json.loads(result.stdout)
    head = next(one for one in found["people"] if one["person"] == "c0")
    assert (head["grave"], [one["lack"] for one in head["shortcomings"]]) == (True, ["no_address"])
    assert found["unreachable"] == sum(one["grave"] for one in found["people"])
    assert "@" not in result.stdout


def test_reach_goes_by_the_policies_in_force_not_by_files_somebody_is_writing(office: Office) -> None:
    """A policy file changed and not released yet: the head of section is still the one who would be told."""
    office.change("policies/office.yaml", "to: [first_handler, section_head]", "to: [first_handler]")
    office.change("policies/office.yaml", "cc: [section_head]", "cc: [principal]")
    office.change("policies/office.yaml", "chain: [first_handler, section_head, ", "chain: [first_handler, ")
    found = duban(office, "reach")
    assert (found.exit_code, "科长0" in found.stdout) == (1, True), found.output


def test_reach_with_everybody_in_order(office: Office) -> None:
    """Within a time in which only people with addresses are needed the answer is a sentence and exit code 0."""
    office.execute("UPDATE people SET mobile = '13900001234', mail = 'head0@example.com' WHERE code = 'c0'")
    configuration = load(office.configuration)

    async def again() -> None:
        node = open_node(configuration, SystemClock())
        try:
            await node.full_sync()
        finally:
            await node.close()

    asyncio.run(again())
    found = duban(office, "reach")
    assert (found.exit_code, "0 个通知不到" in found.stdout) == (0, True), found.output


async def night(running: Running, moment: str) -> list[str]:
    """The nightly job at that moment; what the administrators were told."""
    running.clock.move_to(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Asia/Shanghai")))
    await running.node.sync()
    await running.node.reach()
    await running.node.pump()
    return [one.text for one in running.collect() if "通知不到" in one.text]


async def test_nightly_report_is_made_once_and_told_when_something_is_new(tmp_path: Path, store_url: str) -> None:
    """At night by the office's clock, once; told on the first night, and again for somebody new or on Mondays."""
    async with running_office(tmp_path, store_url) as running:
        running.execute("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'c0'")
        assert await night(running, "2026-09-16 11:00")
        first = running.store.report(REPORT)
        assert first is not None
        assert first.body["unreachable"] == 1
        assert not await night(running, "2026-09-16 23:30")
        assert running.store.report(REPORT) == first
        assert not await night(running, "2026-09-17 02:00")
        second = running.store.report(REPORT)
        assert second is not None
        assert second.at > first.at
        assert not await night(running, "2026-09-17 03:00")
        assert running.store.report(REPORT) == second
        running.execute("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'h0'")
        assert await night(running, "2026-09-18 02:00")
        assert not await night(running, "2026-09-19 02:00")
        assert await night(running, "2026-09-21 02:00")  # a Monday


async def test_what_arrived_or_was_signed_for_confirms_an_address(tmp_path: Path, store_url: str) -> None:
    """A mobile whose owner signed for a message is known to work, with the moment; the others are not."""
    async with running_office(tmp_path, store_url) as world:
        await world.work("2026-09-16 10:00")
        (text,) = (one for one in world.store.deliveries(case_key="XF00000000") if one.notice.channel == "sms")
        signed = world.clock.now() + timedelta(minutes=5)
        world.store.acknowledge_deliveries([text.id], signed, "link", signed)
        known = world.store.reached({text.notice.person, "c0"})
        assert known[text.notice.person, "sms"] == signed
        assert {person for person, _ in known} == {text.notice.person}
