"""Several providers behind one channel, over two real gateways: shares, failures, slowness, doubt."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml
from click.testing import CliRunner

from daemon import sender
from daemon.breaker import State
from daemon.cli import main
from daemon.clock import SystemClock
from daemon.replies import Command, Understood
from daemon.retry import wait_before
from daemon.sharing import Share, bucket_of
from daemon.store.values import DeliveryState, Reply
from support.running_office import LOOKUP, Running, at, running_office
from support.sms_gateway import SmsGateway
from support.store_values import notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest
    from click.testing import Result

    from daemon.store.values import Delivery
    from support.office import Office

REST = timedelta(seconds=60)
ALERT = {"alert_title": "某事", "alert_text": "请看一下。"}


class Providers:
    """Two gateways behind the channel `sms`: north with three quarters, south with one."""

    def __init__(self, world: Running, south: SmsGateway) -> None:
        self.world = world
        self.north, self.south = world.texts, south

    @property
    def got(self) -> tuple[int, int]:
        """How many messages each has received."""
        return len(self.north.messages), len(self.south.messages)

    @property
    def left(self) -> set[str]:
        """Which of them are left alone now."""
        breakers = self.world.node.providers["sms"].breakers
        return {name for name, breaker in breakers.items() if not breaker.works}

    def in_share_of_north(self) -> int:
        """How many of the notices fall to north at their first attempt."""
        return sum(bucket_of(one.notice.key) < 750 for one in self.world.store.deliveries())

    async def again(self) -> None:
        """Work at the next moment anything is due."""
        due = self.world.node.next_wake_at()
        assert due is not None
        self.world.clock.move_to(max(due, self.world.clock.now()))
        await self.world.work()


def run(office: Office, *arguments: str) -> Result:
    """A command over the office's configuration."""
    command = [*arguments, "-c", str(office.configuration)]
    return CliRunner(env={"DUBAN_LANG": "zh", "COLUMNS": "160"}).invoke(main, command)


def duban(office: Office, *arguments: str) -> str:
    """What it prints."""
    return run(office, *arguments).stdout


def share(office: Office, south: int, *, lookup: bool = False, **settings: object) -> None:
    """Make two channels of the office's gateway and one that both share; send text messages only."""
    office.change("policies/office.yaml", "via: [sms, email]", "via: [sms]")
    written = yaml.safe_load((office.folder / "duban.yaml").read_text("utf-8"))
    north = written["channels"].pop("sms")
    port = north["url"].rpartition(":")[2]
    if lookup:
        north["body"]["content"]["reference"] = "{reference}"
        north |= yaml.safe_load(LOOKUP.format(port=port.removesuffix("/sms")))
    southern = yaml.safe_load(
        yaml.safe_dump(north)
        .replace(f":{port}", f":{south}/sms")
        .replace(f":{port.removesuffix('/sms')}/", f":{south}/")
    )
    shared = {"type": "shared", "providers": {"north": 3, "south": 1}, **settings}
    written["channels"] |= {"north": north, "south": southern, "sms": shared}
    (office.folder / "duban.yaml").write_text(yaml.safe_dump(written, allow_unicode=True, sort_keys=False), "utf-8")


@asynccontextmanager
async def two_providers(
    folder: Path, store_url: str, *, cases: int = 24, lookup: bool = False, **settings: object
) -> AsyncIterator[Providers]:
    """The office with two gateways and so many cases just assigned."""
    south = SmsGateway()
    await south.start()
    try:
        async with running_office(
            folder,
            store_url,
            cases=cases,
            prepare=lambda office: share(office, south.port, lookup=lookup, **settings),
        ) as world:
            yield Providers(world, south)
    finally:
        await south.stop()


async def test_each_takes_its_share(tmp_path: Path, store_url: str) -> None:
    """Every notice goes to the provider of its bucket, once; outbox and ledger say which that was."""
    async with two_providers(tmp_path, store_url) as behind:
        await behind.world.work()
        assert behind.got == (behind.in_share_of_north(), 24 - behind.in_share_of_north())
        assert min(behind.got) > 0
        for one in behind.world.store.deliveries():
            assert one.state is DeliveryState.ACCEPTED
            assert (one.notice.channel, one.provider) == (
                "sms",
                "north" if bucket_of(one.notice.key) < 750 else "south",
            )
        assert "'provider': " in behind.world.told("sent")[0]


async def test_one_that_fails_is_left_and_comes_back_by_one_message(tmp_path: Path, store_url: str) -> None:
    """After two failures in a row the other takes everything; rested, one message is tried, then all is as before."""
    async with two_providers(tmp_path, store_url, failures=2) as behind:
        behind.north.fail(*["503"] * 24)
        await behind.world.work()
        assert behind.left == {"north"}
        behind.north.mend()
        tried = behind.north.requests
        while behind.got[1] < 24 and behind.world.clock.now() < at("2026-09-16 10:00") + REST:
            await behind.again()
        assert behind.got == (0, 24)
        assert behind.north.requests == tried
        assert {one.state for one in behind.world.store.deliveries()} == {DeliveryState.ACCEPTED}
        # one more case for each of many handlers: exactly one of their messages tries the one that rested
        behind.world.clock.move_to(at("2026-09-16 10:00") + REST)
        behind.world.store.add_notices(
            None,
            [notice(f"n{number:02}", case_key="", person=f"h{number % 5}") for number in range(24)],
            [],
            "v1",
            behind.world.clock.now(),
        )
        behind.north.fail("503", "503")
        await behind.world.node.pump()
        assert (behind.got[0], behind.north.requests - tried) == (0, 1)
        assert behind.left == {"north"}
        behind.north.mend()
        behind.world.clock.move_to(behind.world.clock.now() + 2 * REST)
        await behind.world.node.pump()
        assert behind.left == set()
        assert behind.got == (1, 24 + 23)


async def test_who_rested_is_tried_though_others_are_quicker_to_claim(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that work wait until he has his one message, or there would be none left: he is tried in any case."""
    async with two_providers(tmp_path, store_url, cases=4) as behind:
        claims: list[str] = []
        claim = behind.world.store.record

        def noted(*arguments: Any) -> list[Delivery]:
            if isinstance(arguments[-1], Share):
                claims.append(arguments[-1].provider)
            return claim(*arguments)

        await behind.world.node.pump()
        monkeypatch.setattr(behind.world.store, "record", noted)
        providers = behind.world.node.providers["sms"]
        rested = behind.world.clock.now()
        providers.breakers["south"] = replace(providers.breakers["south"], state=State.OPEN, until=rested)
        await behind.world.work()
        assert claims[0] == "south"
        assert behind.left == set()
        assert behind.got[1] >= 1


async def test_one_that_is_slow_is_left_like_one_that_fails(tmp_path: Path, store_url: str) -> None:
    """Nothing fails, but no batch is as quick as is asked for: the other provider has the rest."""
    async with two_providers(tmp_path, store_url, cases=40, slow_after=0.0001) as behind:
        await behind.world.work()
        assert sum(behind.got) == 40
        assert "slow" in {one.why for one in behind.world.node.providers["sms"].breakers.values()}
        assert behind.left


async def test_with_both_failing_no_message_is_held_past_the_next_step(tmp_path: Path, store_url: str) -> None:
    """As with any channel that is down: tried again and again, given up when the next step speaks."""
    async with two_providers(tmp_path, store_url, cases=1, failures=1) as behind:
        world = behind.world
        await world.live_until("2026-10-08 08:00")
        for gateway in (behind.north, behind.south):
            gateway.fail(*["503"] * 400)
        assert await world.live_until("2026-10-09 08:59") == []
        waiting = [one for one in world.deliveries() if one.state is DeliveryState.RETRYING]
        assert all(one.not_before_at < at("2026-10-09 09:00") for one in waiting)
        assert "today h0 failed" in world.states()
        assert behind.left == {"north", "south"}


async def test_the_providers_wish_to_wait_keeps_no_message(tmp_path: Path, store_url: str) -> None:
    """Told to come back in an hour, north is left for an hour; its message goes out over south half a minute on."""
    async with two_providers(tmp_path, store_url, cases=12) as behind:
        behind.north.fail("429 3600")
        await behind.world.work()
        refused = [one for one in behind.world.store.deliveries() if one.state is DeliveryState.RETRYING]
        assert [one.not_before_at for one in refused] == [
            behind.world.clock.now() + wait_before(1, one.notice.key) for one in refused
        ]
        assert len(refused) == 1
        tried = behind.north.requests
        await behind.again()
        assert (sum(behind.got), behind.north.requests) == (12, tried)
        assert behind.world.node.providers["sms"].breakers["north"].until == at("2026-09-16 11:00")


async def test_the_wish_of_both_is_respected(tmp_path: Path, store_url: str) -> None:
    """With nobody else to send it, a message waits as long as was asked for."""
    async with two_providers(tmp_path, store_url, cases=1) as behind:
        for gateway in (behind.north, behind.south):
            gateway.fail(*["429 600"] * 5)
        await behind.world.work()
        while behind.left != {"north", "south"}:
            await behind.again()
        begun = behind.world.clock.now()
        assert behind.world.node.store.next_delivery_at() == begun + timedelta(minutes=10)


# --- telling people ---------------------------------------------------------------------------------------------------


async def test_administrators_are_told_of_a_provider_left_for_long(tmp_path: Path, store_url: str) -> None:
    """Not in the first quarter of an hour; then once a day, by whatever still works."""
    async with two_providers(tmp_path, store_url, failures=1) as behind:
        world = behind.world
        behind.north.fail(*["503"] * 400)
        await world.work()
        await world.node.audit()
        assert [one for one in world.store.deliveries() if not one.notice.case_key] == []
        world.clock.move_to(at("2026-09-16 10:15"))
        for _ in range(2):
            await world.node.audit()
        told = [one.notice.facts for one in world.store.deliveries() if not one.notice.case_key]
        assert [facts["alert_title"] for facts in told] == ["服务商 north 停用较久"] * 2  # by text and by mail
        assert "http_503" in str(told[0]["alert_text"])


async def test_status_and_outbox_tell_which_provider(tmp_path: Path, store_url: str) -> None:
    """How each provider stands, for people and programs; over which each message went."""
    async with two_providers(tmp_path, store_url, failures=1, cases=8) as behind:
        world = behind.world
        behind.north.fail(*["503"] * 9)
        await world.work()
        await world.node.audit()
        report = world.store.reports_named("providers/")["providers/first"]
        now = SystemClock().now()
        world.store.save_report("providers/first", report.body, now)
        shown = duban(world.office, "status")
        assert "north" in shown
        assert "暂停使用" in shown
        facts = json.loads(duban(world.office, "status", "--json"))
        assert {one["provider"]: one["state"] for one in facts["providers"]} == {"north": "open", "south": "closed"}
        listed = json.loads(duban(world.office, "outbox", "list", "--json"))
        assert {one["provider"] for one in listed} == {"north", "south"}
        assert "经 south" in duban(world.office, "outbox", "list")


async def test_the_commands_know_a_shared_channel(tmp_path: Path, store_url: str) -> None:
    """`check` judges the texts of each provider, `send-test` asks for one of them; only these have a budget."""
    async with two_providers(tmp_path, store_url) as behind:
        office = behind.world.office
        await behind.world.work()
        assert run(office, "check").exit_code == 0
        refused = run(office, "send-test", "sms", "--to", "13800001000")
        assert refused.exit_code == 1
        assert "north、south" in refused.stderr
        office.change("duban.yaml", "    type: http", "    type: http\n    budget: {total: 100}")
        spent = json.loads(duban(office, "status", "--json"))["spending"]
        assert set(spent) <= {"north", "south"}
        assert spent


async def test_who_stops_one_provider_stops_the_channel(tmp_path: Path, store_url: str) -> None:
    """退订 in answer to a message that came over north holds for south too, and so does its opposite."""
    async with two_providers(tmp_path, store_url) as behind:
        world = behind.world
        await world.work()
        for command, stopped in ((Command.STOP, {"sms", "north"}), (Command.START, set[str]())):
            reply = Reply("north", ("h0",), Understood(command), "", command.value, world.clock.now())
            assert world.node.answers.take(reply, world.clock.now())
            assert set(world.store.stopped().get("h0", ())) == stopped


# --- doubt ------------------------------------------------------------------------------------------------------------


async def test_what_is_in_doubt_is_asked_where_it_was_sent(tmp_path: Path, store_url: str) -> None:
    """Its answer was lost: the provider that had it is asked, and has it; the other one is asked nothing."""
    async with two_providers(tmp_path, store_url, lookup=True) as behind:
        behind.north.fail("drop")
        await behind.world.work()
        (doubtful,) = [one for one in behind.world.store.deliveries() if one.state is DeliveryState.IN_DOUBT]
        assert doubtful.provider == "north"
        asked = behind.south.requests
        await behind.again()
        assert {one.state for one in behind.world.store.deliveries()} == {DeliveryState.ACCEPTED}
        assert (sum(behind.got), behind.south.requests) == (24, asked)


async def test_what_one_that_is_left_perhaps_sent_goes_out_over_another_marked(tmp_path: Path, store_url: str) -> None:
    """It cannot be asked and is left alone: the other one sends, and says that it may be the second time."""
    async with two_providers(tmp_path, store_url, failures=1, cases=6) as behind:
        behind.north.fail("drop", *["503"] * 20)
        await behind.world.work()
        doubtful = [one.notice.key for one in behind.world.store.deliveries() if one.state is DeliveryState.IN_DOUBT]
        behind.world.clock.move_to(behind.world.clock.now() + timedelta(seconds=45))
        await behind.world.work()
        marked = [one["key"] for one in behind.south.messages if one["possible_duplicate"] == "true"]
        assert (marked, len(doubtful)) == (doubtful, 1)
        assert {one.state for one in behind.world.store.deliveries()} == {DeliveryState.ACCEPTED}


async def test_one_provider_cannot_say_that_the_other_sent_nothing(tmp_path: Path, store_url: str) -> None:
    """North perhaps has it and is left; south certainly has not, asked after a lost answer: it stays marked."""
    async with two_providers(tmp_path, store_url, failures=1, cases=4, lookup=True) as behind:
        behind.north.fail("drop", *["500"] * 60)
        behind.south.fail("reset", "reset", "reset")
        await behind.world.work()
        for _ in range(12):
            if {one.state for one in behind.world.store.deliveries()} == {DeliveryState.ACCEPTED}:
                break
            await behind.again()
        twice = {one["key"] for one in behind.north.messages} & {one["key"] for one in behind.south.messages}
        marked = {one["key"] for one in behind.south.messages if one["possible_duplicate"] == "true"}
        assert twice <= marked


async def test_what_one_had_that_is_configured_no_more_is_sent_again_marked(tmp_path: Path, store_url: str) -> None:
    """North perhaps sent it and is taken out of the configuration: south sends it, marked."""
    async with two_providers(tmp_path, store_url, lookup=True) as behind:
        world = behind.world
        behind.north.fail("drop")
        await world.work()
        (doubtful,) = [one for one in world.store.deliveries() if one.state is DeliveryState.IN_DOUBT]
        written = yaml.safe_load((world.office.folder / "duban.yaml").read_text("utf-8"))
        del written["channels"]["north"], written["channels"]["sms"]["providers"]["north"]
        (world.office.folder / "duban.yaml").write_text(yaml.safe_dump(written, allow_unicode=True), "utf-8")
        await world.reload()
        await behind.again()
        again = [one for one in behind.south.messages if one["key"] == doubtful.notice.key]
        assert [one["possible_duplicate"] for one in again] == ["true"]


async def test_a_pump_that_is_never_done_ends_between_two_batches(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job has a time-out that would leave what is on the wire in doubt; what is left waits for the next pump."""
    monkeypatch.setattr(sender, "LONGEST_SHIFT", -1.0)
    async with two_providers(tmp_path, store_url, cases=4) as behind:
        await behind.world.node.sync()
        await behind.world.node.tick()
        assert await behind.world.node.pump() == 0
        assert {one.state for one in behind.world.store.deliveries()} == {DeliveryState.PENDING}
        monkeypatch.setattr(sender, "LONGEST_SHIFT", 1800.0)
        assert await behind.world.node.pump() == 4


# --- slowness ---------------------------------------------------------------------------------------------------------


async def test_what_is_decided_while_another_channel_hangs_goes_out_at_once(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel with nothing to send looks again while another is at work: nobody waits for the slowest."""
    monkeypatch.setattr(sender, "LOOK_AGAIN", 0.01)
    async with running_office(tmp_path, store_url) as world:
        world.texts.fail("hang")
        await world.node.sync()
        await world.node.tick()
        pump = asyncio.create_task(world.node.pump())
        await world.texts.hanging.wait()
        late = notice("late", case_key="", channel="email", person="h0", say="alert", facts=ALERT)
        world.store.add_notices(None, [late], [], "v1", world.clock.now())
        async with asyncio.timeout(30):
            while len(world.mails.mails) < 2:  # noqa: ASYNC110 - a server in this loop, it has no event for it
                await asyncio.sleep(0)
        assert not pump.done()
        world.texts.released.set()
        assert await pump == 3
