"""Policies over time: changed files, a second person, a moment, several nodes, falling back, moving cases, dark."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from daemon.clock import ManualClock
from daemon.errors import ReleaseRefused, SettingsError
from daemon.policy_release import Taken
from daemon.settings import load
from daemon.store.versions import VersionState, in_force
from daemon.wiring import open_node
from policies.model import ObligationState
from policies.text import Text
from support.office import build_office
from support.running_office import CASE, Running, at, running_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.office import Office

FIFTEEN, THIRTY = at("2026-10-08 23:59:59.999999"), at("2026-10-16 23:59:59.999999")
NEW_CASE = "INSERT INTO cases VALUES (?, 's1', 'h1', '求决', ?, ?, NULL, NULL, NULL, NULL, ?)"


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[Running]:
    """One case that arrived on Wed 2026-09-16 at ten, taken over under fifteen days."""
    async with running_office(tmp_path, store_url) as office:
        await office.node.sync()
        yield office


def thirty_days(world: Running) -> None:
    """Write thirty days into the policy file."""
    world.office.change("policies/office.yaml", "within: 15 日", "within: 30 日")


def wants_a_second_person(office: Office) -> None:
    """Turn on four eyes."""
    office.change("duban.yaml", "language: zh", "language: zh\nrelease: {second_person: true}")


def another_case(world: Running, key: str = "XF-NEW") -> None:
    """One more case that arrived with the first."""
    arrived = "2026-09-16 10:00:00"
    world.execute(NEW_CASE, key, arrived, arrived, f"{world.clock.now():%Y-%m-%d %H:%M:%S.%f}")


def due(world: Running, key: str = CASE) -> object:
    """The legal limit of a case."""
    return world.obligation(key).legal_due_at


# --- running cases keep their version -----------------------------------------------------------------------


async def test_a_running_case_keeps_its_version_and_a_new_one_takes_the_new(world: Running) -> None:
    """After a reload the old case still has fifteen days, a new one thirty, and each notice names its version."""
    old = world.node.version
    thirty_days(world)
    await world.reload()
    another_case(world)
    await world.node.full_sync()
    await world.node.pump_until_idle()
    assert (due(world), due(world, "XF-NEW")) == (FIFTEEN, THIRTY)
    assert world.node.version != old
    assert {one.policy_version for one in world.deliveries()} == {old}
    assert {one.policy_version for one in world.deliveries(key="XF-NEW")} == {world.node.version}
    assert world.store.cases_by_version() == {old: 1, world.node.version: 1}


async def test_facts_that_change_are_counted_by_the_version_the_case_is_bound_to(world: Running) -> None:
    """A changed row is counted again under the old fifteen days, long after the files said thirty."""
    thirty_days(world)
    await world.reload()
    world.clock.move_to(at("2026-09-17 10:00"))
    world.update("arrived = '2026-09-17 09:00:00'")
    await world.node.sync()
    assert due(world) == FIFTEEN  # 15 days from 09-17 end in the holidays as well
    assert world.store.cases([CASE])[CASE].policy_version != world.node.version


async def test_an_old_version_outlives_a_restart(world: Running) -> None:
    """A new process reads the old version back from the store and goes on counting by it."""
    thirty_days(world)
    await world.reload()
    await world.restart("2026-09-28 08:00")
    reminded = await world.work("2026-09-28 09:00")
    assert reminded
    assert "10月8日" in reminded[0].text
    assert due(world) == FIFTEEN


async def test_cases_from_before_versions_were_kept_do_not_follow_changed_files(world: Running, store_url: str) -> None:
    """A store brought up to date, and files changed before the first start: the cases go by what was in force then."""
    before = world.node.version
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE cases SET policy_version = NULL"))
        connection.execute(sa.text("UPDATE policy_versions SET active_from_at = NULL"))
        connection.execute(sa.text("DELETE FROM bookmarks"))  # counted again: the mark of the rules was another then
    engine.dispose()
    thirty_days(world)
    await world.restart("2026-09-16 12:00")
    assert world.node.version != before
    await world.work()
    assert world.store.cases_by_version() == {before: 1}
    assert due(world) == FIFTEEN


async def test_a_case_moves_by_command_and_is_counted_again(world: Running) -> None:
    """Bound to another version it has thirty days at the next look; the ledger tells by whom, and old and new date."""
    thirty_days(world)
    await world.reload()
    old = world.store.cases([CASE])[CASE].policy_version
    assert world.store.bind([CASE], world.node.version, "科员甲", world.clock.now(), "新规定") == 1
    assert world.store.bind([CASE], world.node.version, "科员甲", world.clock.now(), "新规定") == 0
    await world.node.follow()
    assert due(world) == THIRTY
    (moved,) = [row for row in world.store.ledger(CASE) if row.kind == "migrated"]
    assert (moved.actor, moved.body["from"], moved.body["to"]) == ("科员甲", old, world.node.version)
    assert "由 2026-10-08 24:00 改为 2026-10-16 24:00" in world.told("moved")[0]
    assert world.store.recount_wanted() is None


async def test_a_case_moved_while_the_source_is_away_is_counted_when_it_is_back(world: Running) -> None:
    """The wish to count again waits; nothing is lost."""
    thirty_days(world)
    await world.reload()
    world.store.bind([CASE], world.node.version, "科员甲", world.clock.now())
    bring_back = world.hide_source()
    await world.node.follow()
    assert due(world) == FIFTEEN
    bring_back()
    await world.node.follow()
    assert due(world) == THIRTY


async def test_a_case_counted_by_another_version_than_its_own_is_mended_when_it_is_looked_at(world: Running) -> None:
    """A sync of another node that came across the move does no harm: the next look counts by the bound version."""
    thirty_days(world)
    await world.reload()
    world.store.bind([CASE], world.node.version, "科员甲", world.clock.now())
    wanted = world.store.recount_wanted()
    assert wanted is not None
    world.store.forget(wanted[0])
    await world.work("2026-09-28 09:00")
    assert due(world) == THIRTY


async def test_small_offices_let_cases_follow_at_once(tmp_path: Path, store_url: str) -> None:
    """With `migrate: automatic` the running case has thirty days right after the reload."""
    async with running_office(tmp_path, store_url) as world:
        world.office.change("duban.yaml", "language: zh", "language: zh\nrelease: {migrate: automatic}")
        await world.reload()
        await world.node.sync()
        thirty_days(world)
        await world.reload()
        await world.node.follow()
        assert due(world) == THIRTY
        assert world.story().count("migrated") == 1


# --- a second person, a moment -------------------------------------------------------------------------------


async def test_with_a_second_person_changed_files_are_only_proposed(tmp_path: Path, store_url: str) -> None:
    """A reload proposes; somebody else approves; every node then has it. The proposer himself is refused."""
    async with running_office(tmp_path, store_url, prepare=wants_a_second_person) as world:
        first = world.node.version
        thirty_days(world)
        assert await world.node.reload(load(world.office.configuration)) is Taken.PROPOSED
        proposed = load(world.office.configuration).version
        await world.node.follow()
        assert world.node.version == first
        with pytest.raises(ReleaseRefused, match="somebody else"):
            world.store.approve_policy(proposed, "Duban ", world.clock.now())
        world.store.approve_policy(proposed, "科长乙", world.clock.now())
        await world.node.follow()
        assert world.node.version == proposed
        kinds = [row.kind for row in world.store.ledger("")]
        assert kinds[-2:] == ["policy_approved", "policy_in_force"]


async def test_a_version_waits_for_its_moment_over_a_restart(world: Running) -> None:
    """Activated from a moment on, it is in force when that comes, in a process started in between as well."""
    first, moment = world.node.version, at("2026-10-01 00:00")
    thirty_days(world)
    new = load(world.office.configuration)
    world.store.propose_policy(new.version, new.policy_files, "科员甲", world.clock.now())
    world.store.activate_policy(new.version, "科员甲", world.clock.now(), from_at=moment)
    await world.node.follow()
    assert world.node.version == first
    await world.restart("2026-09-30 23:59")
    assert world.node.version == first
    await world.node.follow()
    assert world.node.version == first
    world.clock.move_to(moment)
    await world.node.follow()
    assert world.node.version == new.version


# --- files --------------------------------------------------------------------------------------------------


async def test_a_start_with_older_files_does_not_put_them_back(world: Running) -> None:
    """A node that starts with the files of yesterday follows the store and tells the administrators."""
    old = load(world.office.configuration)
    thirty_days(world)
    await world.reload()
    world.office.change("policies/office.yaml", "within: 30 日", "within: 15 日")
    second = await world.another_node()
    try:
        assert second.version == world.node.version != old.version
        await second.audit()
        told = [one.notice.facts["alert_title"] for one in world.store.deliveries(case_key="")]
        assert "策略文件与生效版本不同" in told
    finally:
        await second.close()


async def test_going_back_under_the_eyes_of_the_daemon_is_meant(world: Running) -> None:
    """Files changed back to what was in force before are in force again after a reload."""
    old = world.node.version
    thirty_days(world)
    await world.reload()
    world.clock.move_to(at("2026-09-16 11:00"))
    world.office.change("policies/office.yaml", "within: 30 日", "within: 15 日")
    assert await world.node.reload(load(world.office.configuration)) is Taken.ACTIVATED
    assert world.node.version == old


async def test_two_nodes_go_by_the_store_not_by_their_files(world: Running) -> None:
    """One node is reloaded; the other takes the new version over at its next look, without its own files."""
    second = await world.another_node()
    try:
        thirty_days(world)
        await world.reload()
        assert second.version != world.node.version
        await second.follow()
        assert second.version == world.node.version
        another_case(world)
        await second.full_sync()
        assert due(world, "XF-NEW") == THIRTY
    finally:
        await second.close()


async def test_nodes_that_take_the_same_files_at_once_all_succeed(tmp_path: Path, store_url: str) -> None:
    """Six nodes start for the first time at one instant: one releases, the others find it done; one line each."""
    office = build_office(tmp_path / "office", cases=1, arrived=datetime(2026, 9, 16, 10), store_url=store_url)  # noqa: DTZ001 - the office's clock
    start = partial(open_node, load(office.configuration), ManualClock(at("2026-09-16 10:00")))
    with ThreadPoolExecutor(6) as pool:
        nodes = list(pool.map(lambda number: start(node_name=f"node {number}"), range(6)))
    told = [row.kind for row in nodes[0].store.ledger("") if row.kind.startswith("policy")]
    for node in nodes:
        await node.close()
    assert told == ["policy_proposed", "policy_activated"]


async def test_a_version_whose_templates_are_missing_is_refused(world: Running) -> None:
    """A step with a text nobody wrote: refused with the reason, nothing proposed, the old version goes on."""
    before = world.node.version
    world.office.change("policies/office.yaml", "say: urge", "say: shout")
    with pytest.raises(SettingsError) as refused:
        await world.node.reload(load(world.office.configuration))
    assert any("shout" in problem.zh for problem in refused.value.problems)
    assert world.node.version == before
    assert len(world.store.policy_versions()) == 1


async def test_trials_that_fail_keep_a_version_out(world: Running) -> None:
    """What the trials say is what the reload says."""
    world.node._run_trials = lambda *_: (Text("国庆前收到：应为 2026-10-08", "trial failed"),)
    thirty_days(world)
    with pytest.raises(SettingsError) as refused:
        await world.node.reload(load(world.office.configuration))
    assert refused.value.problems == (Text("国庆前收到：应为 2026-10-08", "trial failed"),)


# --- falling back -------------------------------------------------------------------------------------------


async def test_a_version_under_which_cases_fail_is_taken_back(world: Running) -> None:
    """More than three cases that cannot be counted in its first minutes: they get the version before."""
    before = world.node.version
    thirty_days(world)
    await world.reload()
    failed = world.node.version
    for number in range(5):
        another_case(world, f"XF-{number}")
    broken = dataclasses.replace(world.node._engine.rules, calendars={})
    sound = world.node._engine.intake.rules
    world.node._engine.intake.rules = broken
    await world.node.full_sync()
    world.node._engine.intake.rules = dataclasses.replace(sound, faults=broken.faults)
    await world.node.follow()
    assert world.node.version == before
    states = {one.version: one.state for one in world.store.policy_versions()}
    assert states[failed] is VersionState.RETIRED
    told = [one.notice.facts["alert_title"] for one in world.store.deliveries(case_key="")]
    assert "新策略已自动撤回" in told
    await world.node.full_sync()
    assert due(world, "XF-0") == FIFTEEN


async def test_a_version_under_which_nothing_can_be_decided_is_taken_back(world: Running) -> None:
    """Counted well and then more than three cases that cannot be decided: the version before decides them."""
    before = world.node.version
    thirty_days(world)
    await world.reload()
    for number in range(5):
        another_case(world, f"XF-{number}")
    await world.node.full_sync()
    sound = world.node._engine.intake.rules
    world.node._engine.intake.rules = dataclasses.replace(sound, calendars={})
    await world.node.tick()
    world.node._engine.intake.rules = sound
    await world.node.follow()
    assert world.node.version == before
    assert due(world, "XF-0") == FIFTEEN


async def test_a_withdrawn_version_does_not_come_back_by_a_reload(world: Running) -> None:
    """Withdrawn by hand, it stays so although the files still say it."""
    before = world.node.version
    thirty_days(world)
    await world.reload()
    world.store.retire_policy(world.node.version, "科员甲", world.clock.now(), "太宽")
    await world.node.follow()
    assert world.node.version == before
    assert await world.node.reload(load(world.office.configuration)) is Taken.RETIRED
    await world.restart("2026-09-16 12:00")
    assert world.node.version == before


async def test_cases_whose_version_nobody_can_read_move_to_the_one_in_force(world: Running, store_url: str) -> None:
    """A file this software cannot read: its cases run by the version in force, with a line each and an alert."""
    old = world.node.version
    thirty_days(world)
    await world.reload()
    spoil(store_url, old)
    await world.restart("2026-09-16 12:00")
    await world.node.follow()
    assert due(world) == THIRTY
    assert world.store.cases_by_version() == {world.node.version: 1}
    assert world.story().count("migrated") == 1
    told = [one.notice.facts["alert_title"] for one in world.store.deliveries(case_key="")]
    assert "案件改用现行策略" in told


def spoil(store_url: str, version: str) -> None:
    """Leave something in the place of a version's files that is no policy."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        files = '{"office.yaml":"policy: [from, the, future]"}'
        connection.execute(
            sa.text("UPDATE policy_versions SET files = :f WHERE version = :v"), {"f": files, "v": version}
        )
    engine.dispose()


# --- dark launch --------------------------------------------------------------------------------------------


async def test_a_dark_office_decides_and_sends_nothing(tmp_path: Path, store_url: str) -> None:
    """Everything is decided and written down; no server hears of it; switched on, only what comes next is sent."""

    def dark(office: Office) -> None:
        office.change("duban.yaml", "language: zh", "language: zh\ndark: true")

    async with running_office(tmp_path, store_url, prepare=dark) as world:
        assert await world.live_until("2026-09-28 09:00") == []
        assert world.states("sms") == ["assigned h0 dark", "remind h0 dark"]
        world.office.change("duban.yaml", "dark: true", "dark: false")
        await world.reload()
        received = await world.live_until("2026-10-08 09:00")
        assert received
        assert {one.clock for one in received} == {"2026-10-08 09:00"}


# --- the store alone ----------------------------------------------------------------------------------------


async def test_in_force_is_the_latest_moment_that_has_come(world: Running) -> None:
    """Of versions with moments behind and ahead; the only one ever released cannot be withdrawn."""
    now = world.clock.now()
    only = world.node.version
    with pytest.raises(ReleaseRefused):
        world.store.retire_policy(only, "科员甲", now)
    world.store.propose_policy("v2", {"a.yaml": "policy: a"}, "科员甲", now, from_at=at("2026-12-01 00:00"))
    world.store.approve_policy("v2", "科长乙", now)
    versions = world.store.policy_versions()
    assert [in_force(versions, moment) for moment in (now, at("2026-12-01 00:00"))] == versions
    assert world.obligation().state is ObligationState.OPEN
