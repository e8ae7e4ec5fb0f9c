"""Rows 43 to 74 of the comparison with other programs (docs/delivery.md): one short proof of each, end to end.

Over one real office: its shared database, a store, real servers on loopback, a clock that is moved by hand.
"""

from __future__ import annotations

import ast
import re
import sqlite3
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from channels.base import Learnt, News, PermanentFailure, Receipt, Said
from channels.wire.identity import reference_of
from daemon.cli import main
from daemon.store.values import DeliveryState
from support.certificates import make_certificate
from support.provider_office import ASKED, NOT_ASKED, later, office_with, taken
from support.running_office import CASE, SHANGHAI, Running, at, running_office
from support.sms_gateway import SmsGateway, running
from support.smtp_server import smtp_server
from support.twilio_server import ACCOUNT, TOKEN, TwilioServer
from support.web_office import buttons_on, link_in, web_office, with_changes
from support.workplace_servers import SECRET, DingTalkServer, FeishuServer, WeComServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.office import Office
    from support.running_office import Received

HANDLER, HEAD = "+8613800001000", "+8613800002000"
MAILBOX = "handler0@example.com"
POLICY = "policies/office.yaml"
BOTH, TEXTS = "via: [sms, email]", "via: [sms]"
COPIES = "UPDATE cases SET arrived = ?, accepted = ? WHERE no = ?"


def policy(*changes: tuple[str, str]) -> Callable[[Office], None]:
    """Change what the office's policy says."""

    def prepare(office: Office) -> None:
        for old, new in changes:
            office.change(POLICY, old, new)

    return prepare


def to(address: str, told: Iterable[Received]) -> list[Received]:
    """What one address got."""
    return [one for one in told if one.to == address]


async def hear(world: Running, *outcomes: Receipt | PermanentFailure) -> None:
    """The gateway tells what became of the only text, once for each."""
    (text,) = world.deliveries("sms")
    for outcome in outcomes:
        await world.node.hear("sms", News(learnt=(Learnt(outcome, ours=reference_of(text.notice.key)),)))
        await world.node.take_in()


# --- channels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [*ASKED, *(name for name in NOT_ASKED if name != "http")])
async def test_row_43_text_messages(provider: str, tmp_path: Path, sqlite_store_url: str) -> None:
    """A reminder leaves by each of the gateways: described in YAML, Twilio, and four clouds of China."""
    kind, settings = (ASKED | NOT_ASKED)[provider]
    server = kind()
    async with office_with(tmp_path, sqlite_store_url, server, settings) as world:
        await world.work()
        (text,) = taken(server)
        assert "书面告知" in text
        assert world.states() == ["assigned h0 accepted"]


async def test_row_44_mail(tmp_path: Path, sqlite_store_url: str) -> None:
    """A mail leaves over TLS with a login; any parser finds a plain and an HTML part with the same facts."""
    certificate = make_certificate(tmp_path)
    async with smtp_server(tls=certificate.server_context(), password="not-a-real-password") as server:
        settings = {"type": "email", "host": "127.0.0.1", "port": server.port, "encryption": "implicit"}
        settings |= {"ca_file": str(certificate.file), "username": "duban", "password": "not-a-real-password"}

        def prepare(office: Office) -> None:
            policy((BOTH, "via: [email]"))(office)
            office.put_channel("email", settings | {"from": {"name": "督办系统", "address": "duban@example.com"}})

        async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
            await world.work()
            (mail,) = server.mails
            for kind in ("plain", "html"):
                part = mail.get_body((kind,))
                assert part is not None
                assert CASE in part.get_content()
            assert world.states() == ["assigned h0 accepted"]


async def test_row_45_telephone_calls(tmp_path: Path, sqlite_store_url: str) -> None:
    """The reminder is read out over the telephone; that it was answered comes back as a receipt."""
    async with running(TwilioServer()) as server:
        keys = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006", "base_url": server.url}

        def prepare(office: Office) -> None:
            policy((BOTH, TEXTS))(office)
            office.put_channel("sms", {"type": "twilio_voice", **keys})

        async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
            await world.work()
            (form,) = server.forms
            assert (form["To"], "书面告知" in form["Twiml"]) == (HANDLER, True)
            await hear(world, Receipt(delivered=True))
            assert world.states() == ["assigned h0 delivered"]


WORKPLACE: dict[str, tuple[Any, dict[str, Any]]] = {
    "wecom": (WeComServer, {"corp_id": "ww1", "agent_id": 7, "secret": SECRET}),
    "dingtalk": (DingTalkServer, {"app_key": "ding1", "agent_id": 7, "app_secret": SECRET, "confirm_after": 0}),
    "feishu": (FeishuServer, {"app_id": "cli1", "app_secret": SECRET}),
}


@pytest.mark.parametrize("kind", WORKPLACE)
async def test_row_46_wecom_dingtalk_feishu(kind: str, tmp_path: Path, sqlite_store_url: str) -> None:
    """People are told by the user id that a column of the shared database holds."""
    make, settings = WORKPLACE[kind]
    async with running(make()) as server:

        def prepare(office: Office) -> None:
            office.execute("ALTER TABLE people ADD COLUMN user_id TEXT")
            office.execute("UPDATE people SET user_id = 'cheng.ban' WHERE code = 'h0'")
            office.change("source.yaml", "email: mail}", f"email: mail, addresses: {{{kind}: user_id}}}}")
            office.put_channel("work", settings | {"type": kind, "base_url": server.url})
            policy((BOTH, "via: [work]"))(office)

        async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
            await world.work()
            (message,) = server.messages
            assert "cheng.ban" in str(message)
            assert CASE in str(message)
            assert world.states() == ["assigned h0 accepted"]


async def test_row_47_chinese_text_survives(tmp_path: Path, sqlite_store_url: str) -> None:
    """Characters of every plane arrive as they were written, in the text, the subject and both parts of the mail."""
    rare = "书面告知𠮷𪚥“龘”"
    async with running_office(
        tmp_path, sqlite_store_url, prepare=policy(("title: 书面告知", f"title: {rare}"))
    ) as world:
        told = await world.work()
        assert [one.channel for one in told if rare in one.text] == ["email", "sms"]
        (mail,) = world.mails.mails
        html = mail.get_body(("html",))
        assert html is not None
        assert rare in html.get_content()
        assert rare in str(mail["Subject"])


@pytest.mark.parametrize(("total", "texts"), [(1, 0), (10, 1)])
async def test_row_48_parts_are_counted_before_sending(
    tmp_path: Path, sqlite_store_url: str, total: int, texts: int
) -> None:
    """A text of two parts does not fit into a budget of one: nothing is handed over, and it goes another way."""

    def prepare(office: Office) -> None:
        policy(("title: 书面告知", f"title: {'书面告知' * 12}"), (BOTH, "via: {in_order: [sms, email]}"))(office)
        office.change("duban.yaml", "    type: http\n", f"    type: http\n    budget: {{total: {total}, reserve: 0}}\n")

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        await world.work()
        assert (len(world.texts.messages), world.texts.requests, len(world.mails.mails)) == (texts, texts, 1 - texts)


async def test_row_49_addresses_are_proved_to_work(tmp_path: Path, sqlite_store_url: str) -> None:
    """What arrived at a mobile proves it, with the moment; of the mailbox nothing is known yet."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        await world.work()
        await hear(world, Receipt(delivered=True))
        assert world.store.reached({"h0"}) == {("h0", "sms"): world.clock.now()}


PAGER = """
from pydantic import BaseModel
from channels.base import ChannelType, OutcomeUnknown, Receipt
class Settings(BaseModel):
    log_file: str
class Pager:
    settings_type, kind = Settings, "sms"
    def __init__(self, settings): self.settings = settings
    async def send_many(self, messages):
        with open(self.settings.log_file, "a") as log:
            log.writelines(f"{one.to} {one.text}\\n" for one in messages)
        return [Receipt("1") for _ in messages]
    async def lookup(self, message): raise OutcomeUnknown("cannot_ask")
    async def close(self): pass
CHANNEL = ChannelType("pager", Settings, Pager, "sms")
"""


async def test_row_50_other_providers_by_an_interface(
    tmp_path: Path, sqlite_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of somebody else's, found by its entry point, sends like our own channels."""
    about = tmp_path / "site" / "row_pager-1.0.dist-info"
    about.mkdir(parents=True)
    (tmp_path / "site" / "row_pager.py").write_text(PAGER)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: row-pager\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[duban.channels]\npager = row_pager:CHANNEL\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def prepare(office: Office) -> None:
        policy((BOTH, "via: [pager]"))(office)
        office.put_channel("pager", {"type": "pager", "log_file": str(tmp_path / "paged")})

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        await world.work()
        assert (tmp_path / "paged").read_text().startswith(HANDLER)
        assert world.states() == ["assigned h0 accepted"]


# --- delivery reliability --------------------------------------------------------------------------------------


async def test_row_51_decision_and_outbox_are_one_transaction(tmp_path: Path, sqlite_store_url: str) -> None:
    """Where the outbox cannot be written, the decision is not on record either; afterwards both are, once."""
    file = sqlite_store_url.removeprefix("sqlite:///")

    def store(sql: str) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(sql)

    async with running_office(tmp_path, sqlite_store_url) as world:
        await world.node.sync()
        store("CREATE TRIGGER no BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'no'); END")
        before = world.story()
        await world.node.pump_until_idle()
        assert (world.deliveries(), [kind for kind in world.story() if kind not in {*before, "postponed"}]) == ([], [])
        store("DROP TRIGGER no")
        assert len(await world.live_until("2026-09-16 12:00")) == 2
        assert "sent" in world.story()


async def test_row_52_one_claim_per_rung_by_a_unique_key(tmp_path: Path, sqlite_store_url: str) -> None:
    """Two nodes decide and send the same step at the same time: one text, one mail."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        second = await world.another_node()
        try:
            for node in (world.node, second):
                await node.sync()
            for node in (world.node, second, world.node, second):
                await node.pump_until_idle()
        finally:
            await second.close()
        assert sorted(one.channel for one in world.collect()) == ["email", "sms"]


@pytest.mark.parametrize("provider", ["http", "twilio", "aliyun"])
async def test_row_53_timed_out_maybe_sent_is_asked(provider: str, tmp_path: Path, sqlite_store_url: str) -> None:
    """The answer was lost; the provider says that it has the message: it is not sent again."""
    kind, settings = ASKED[provider]
    server = kind()
    async with office_with(tmp_path, sqlite_store_url, server, settings) as world:
        server.fail("drop")
        await world.work()
        assert world.states() == ["assigned h0 in_doubt"]
        await later(world)
        assert (world.states(), len(taken(server))) == (["assigned h0 accepted"], 1)


@pytest.mark.parametrize("provider", NOT_ASKED)
async def test_row_53_timed_out_maybe_sent_is_marked(provider: str, tmp_path: Path, sqlite_store_url: str) -> None:
    """A provider that cannot be asked gets it again, with a mark for the reader and for the auditor."""
    kind, settings = NOT_ASKED[provider]
    server = kind()
    async with office_with(tmp_path, sqlite_store_url, server, settings) as world:
        server.fail("drop")
        await world.work()
        await later(world)
        assert ["可能重复" in one for one in taken(server)] == [False, True]
        assert "possible_duplicate" in world.told("sent")[-1]


async def test_row_54_retry_with_back_off(tmp_path: Path, sqlite_store_url: str) -> None:
    """Busy four times: each wait is longer than the one before, and as long as the provider wishes."""
    async with running_office(tmp_path, sqlite_store_url, prepare=policy((BOTH, TEXTS))) as world:
        world.texts.fail("503", "503", "503", "503 1800")
        await world.live_until("2026-09-16 14:00")
        moments = [row.at for row in world.store.ledger(CASE) if row.kind in {"retrying", "sent"}]
        waits = [after - before for before, after in pairwise(moments)]
        assert waits == sorted(waits)
        assert waits[0] >= timedelta(seconds=30)
        assert waits[-1] >= timedelta(minutes=30)
        assert world.states() == ["assigned h0 accepted"]


async def test_row_55_receipts(tmp_path: Path, sqlite_store_url: str) -> None:
    """It arrived: on record with its moment. It did not: the next way is used at once."""
    in_order = policy((BOTH, "via: {in_order: [sms, email], wait: 30 分钟}"))
    async with running_office(tmp_path, sqlite_store_url, prepare=in_order) as world:
        await world.work()
        await hear(world, Receipt(delivered=True))
        assert world.states() == ["assigned h0 delivered"]
        assert await world.live_until("2026-09-16 12:00") == []
    async with running_office(tmp_path / "2", copy_of(sqlite_store_url), prepare=in_order) as world:
        await world.work()
        await hear(world, PermanentFailure("dead_number"))
        assert [one.channel for one in await world.work()] == ["email"]
        assert world.states() == ["assigned h0 failed", "assigned h0 accepted"]


def copy_of(store_url: str) -> str:
    """Another fresh store, made from the tables of a used one."""
    from daemon.store import Store  # noqa: PLC0415 - where it is needed

    other = store_url.replace("duban.sqlite", "other.sqlite")
    Store.migrate(other)
    return other


async def test_row_56_a_late_or_double_receipt_undoes_nothing(tmp_path: Path, sqlite_store_url: str) -> None:
    """Read, then arrived, then failed, then read again: it stays read, and each fact is one line."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        await world.work()
        read, arrived = Receipt(delivered=True, read=True), Receipt(delivered=True)
        await hear(world, arrived, read, arrived, PermanentFailure("dead_number"), read)
        assert world.states("sms") == ["assigned h0 delivered"]
        assert world.deliveries("sms")[0].read_at is not None
        assert (len(world.told("delivered")), len(world.told("read")), len(world.told("failed"))) == (1, 1, 0)


def two_providers(south: int, **settings: Any) -> Callable[[Office], None]:
    """The channel `sms` is shared by two gateways."""

    def prepare(office: Office) -> None:
        policy((BOTH, TEXTS))(office)
        north = yaml.safe_load(office.configuration.read_text("utf-8"))["channels"]["sms"]
        office.put_channel("north", north)
        office.put_channel("south", north | {"url": f"http://127.0.0.1:{south}/sms"})
        office.put_channel("sms", {"type": "shared", "providers": {"north": 3, "south": 1}, **settings})

    return prepare


async def test_row_57_second_provider(tmp_path: Path, sqlite_store_url: str) -> None:
    """Two gateways behind one channel share its messages by weight; nobody gets one twice."""
    async with (
        running(SmsGateway()) as south,
        running_office(tmp_path, sqlite_store_url, cases=40, prepare=two_providers(south.port)) as world,
    ):
        await world.work()
        shares = len(world.texts.messages), len(south.messages)
        assert sum(shares) == 40
        assert shares[0] > shares[1] > 0


async def test_row_58_a_failing_provider_is_left(tmp_path: Path, sqlite_store_url: str) -> None:
    """One gateway refuses everything: after a few failures the other gets all, within minutes, and nothing is lost."""
    async with (
        running(SmsGateway()) as south,
        running_office(tmp_path, sqlite_store_url, cases=40, prepare=two_providers(south.port, failures=2)) as world,
    ):
        world.texts.fail(*["503"] * 500)
        await world.live_until("2026-09-16 10:05")
        assert {one.state for one in world.store.deliveries()} == {DeliveryState.ACCEPTED}
        assert (len(world.texts.messages), len(south.messages)) == (0, 40)
        assert world.texts.requests < 40


def with_budget(budget: str) -> Callable[[Office], None]:
    """Text messages on that budget."""

    def prepare(office: Office) -> None:
        policy((BOTH, TEXTS), ("chain:", "digest: {lights: [green]}\nchain:"))(office)
        office.change("duban.yaml", "    type: http\n", f"    type: http\n    budget: {{{budget}}}\n")

    return prepare


async def test_row_59_limit_per_recipient(tmp_path: Path, sqlite_store_url: str) -> None:
    """Three messages a day to one person: nobody gets a fourth within any 24 hours."""
    async with running_office(
        tmp_path, sqlite_store_url, cases=81, prepare=with_budget("per_person: 3, reserve: 0")
    ) as world:
        told = await world.live_until("2026-09-17 09:00")
        counts = [len(to(address, told)) for address in {one.to for one in told}]
        assert counts
        assert max(counts) <= 3
        assert to(HANDLER, told)


async def test_row_60_urgent_first(tmp_path: Path, sqlite_store_url: str) -> None:
    """Thirty reminders and one last warning fall due at nine: the last warning is the first to leave."""

    def prepare(office: Office) -> None:
        policy((BOTH, TEXTS))(office)
        office.change("duban.yaml", "    type: http\n", "    type: http\n    concurrency: 1\n")
        office.execute(COPIES, "2026-09-13 10:00:00", "2026-09-13 10:00:00", "XF00000030")

    async with running_office(tmp_path, sqlite_store_url, cases=31, prepare=prepare) as world:
        await world.live_until("2026-09-28 08:59")
        told = await world.work("2026-09-28 09:00")
        last_warning = [index for index, one in enumerate(told) if "XF00000030" in one.text]
        assert len(told) > 30
        assert last_warning[0] <= 1  # two loops hand over side by side


async def test_row_61_similar_messages_are_joined(tmp_path: Path, sqlite_store_url: str) -> None:
    """Four reminders of one morning to one person are one text that names the number."""
    words = (BOTH, f"{TEXTS}\ndigest: {{lights: [yellow], at_least: 2}}")
    async with running_office(tmp_path, sqlite_store_url, cases=31, prepare=policy(words)) as world:
        await world.live_until("2026-09-28 08:00")
        (text,) = to(HANDLER, await world.live_until("2026-09-28 10:00"))
        assert "4件" in text.text


async def test_row_62_stuck_messages_are_found(tmp_path: Path, sqlite_store_url: str) -> None:
    """Its channel was taken out of the configuration: what waits for it fails in the open and goes up another way."""
    async with running_office(tmp_path, sqlite_store_url, prepare=policy((BOTH, TEXTS))) as world:
        await world.node.sync()
        await world.node.tick()
        channels = yaml.safe_load(world.office.configuration.read_text("utf-8"))["channels"]
        world.office.put("channels", {"email": channels["email"]})
        world.office.change(POLICY, TEXTS, "via: [email]")
        await world.reload()
        world.clock.advance(timedelta(minutes=11))
        await world.node.pump()
        await world.node.pump()
        told = world.collect()
        assert world.states("sms") == ["assigned h0 failed"]
        assert [one.to for one in told] == ["head0@example.com"]
        assert world.store.audit(world.clock.now(), timedelta(minutes=5)).unaccounted == 0


async def test_row_63_one_bad_record_stops_nobody_else(tmp_path: Path, sqlite_store_url: str) -> None:
    """A date that is none: the row is set aside with its reason, the other cases are supervised."""

    def spoil(office: Office) -> None:
        office.execute("UPDATE cases SET arrived = '无', accepted = '无' WHERE no = ?", CASE)

    async with running_office(tmp_path, sqlite_store_url, cases=3, prepare=spoil) as world:
        told = await world.work()
        assert {one.text.count(CASE) for one in told if one.to != "+8613800000000"} == {0}
        assert {one.to for one in told} >= {"+8613800001001", "+8613800001002"}
        assert world.store.rows_set_aside() or world.told("finding")


# --- recipient controls ----------------------------------------------------------------------------------------

NIGHT = "2026-09-16 23:00"
QUIET = f'{TEXTS}\nquiet_hours: {{from: "22:00", to: "07:30"}}'


async def test_row_64_quiet_hours_hold(tmp_path: Path, sqlite_store_url: str) -> None:
    """Decided at eleven at night, told at half past seven: held, not dropped."""
    async with running_office(
        tmp_path, sqlite_store_url, now=NIGHT, arrived=NIGHT, prepare=policy((BOTH, QUIET))
    ) as world:
        assert [one.clock for one in await world.live_until("2026-09-17 12:00")] == ["2026-09-17 07:30"]


async def test_row_65_what_may_wake_passes(tmp_path: Path, sqlite_store_url: str) -> None:
    """A step with a written reason to wake people goes out at eleven at night, and the reason is in the ledger."""
    wakes = policy((BOTH, QUIET), ("say: assigned}", "say: assigned, may_wake: 应急值班规定}"))
    async with running_office(tmp_path, sqlite_store_url, now=NIGHT, arrived=NIGHT, prepare=wakes) as world:
        assert [one.clock for one in await world.work()] == [NIGHT]
        assert "应急值班规定" in world.told("sent")[0]


async def test_row_66_preferences(tmp_path: Path, sqlite_store_url: str) -> None:
    """He chose mail where the policy lets him choose: one mail, no text."""

    def prepare(office: Office) -> None:
        office.execute("ALTER TABLE people ADD COLUMN chosen TEXT")
        office.execute("UPDATE people SET chosen = '邮件' WHERE code = 'h0'")
        office.change("source.yaml", "email: mail}", "email: mail, prefers: chosen}")
        office.change(POLICY, BOTH, f"{BOTH}\nmay_choose: [email]")

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        assert [(one.channel, one.to) for one in await world.work()] == [("email", MAILBOX)]


async def test_row_67_digest(tmp_path: Path, sqlite_store_url: str) -> None:
    """What comes in all morning waits for two o'clock: the count in the text, the list in the mail."""
    words = (BOTH, f"{BOTH}\ndigest: {{lights: [green], at: ['08:30', '14:00']}}")
    async with running_office(tmp_path, sqlite_store_url, cases=31, prepare=policy(words)) as world:
        assert await world.live_until("2026-09-16 13:00") == []
        told = await world.live_until("2026-09-16 15:00")
        (text,), (mail,) = to(HANDLER, told), to(MAILBOX, told)
        assert "4件" in text.text
        assert all(f"XF000000{number}0" in mail.text for number in range(4))


async def test_row_68_a_substitute_when_on_leave(tmp_path: Path, sqlite_store_url: str) -> None:
    """The handler is on leave with somebody in his place: the substitute is told."""

    def prepare(office: Office) -> None:
        office.execute("CREATE TABLE leaves (who TEXT, stand_in TEXT, since TEXT, until TEXT)")
        office.execute("INSERT INTO leaves VALUES ('h0', 'h1', '2026-09-10 00:00:00', '2026-09-20 00:00:00')")
        mapped = "delegations: {table: leaves, official: who, substitute: stand_in, from: since, to: until}\n"
        office.change("source.yaml", "posts: {", mapped + "posts: {")

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        assert "+8613800001001" in {one.to for one in await world.work()}


async def test_row_69_who_has_no_telephone_is_known_beforehand(tmp_path: Path, sqlite_store_url: str) -> None:
    """Before anything is due, one command names who cannot be told; nothing is sent by it."""

    def prepare(office: Office) -> None:
        office.execute("UPDATE people SET mobile = NULL, mail = NULL WHERE code = 'c0'")

    yesterday = f"{datetime.now(SHANGHAI) - timedelta(days=1):%Y-%m-%d} 10:00"  # the command goes by the real clock
    async with running_office(tmp_path, sqlite_store_url, now=yesterday, arrived=yesterday, prepare=prepare) as world:
        await world.node.sync()
        found = CliRunner().invoke(main, ["reach", "-c", str(world.office.configuration)], env={"DUBAN_LANG": "zh"})
        assert (found.exit_code, "科长0" in found.output) == (1, True), found.output
        assert world.collect() == []


async def test_row_70_stop(tmp_path: Path, sqlite_store_url: str) -> None:
    """STOP silences the channel for whoever sent it; his duty goes on by mail."""
    async with web_office(tmp_path, sqlite_store_url) as (world, _):
        await world.work()
        (answer,) = await said(world, "STOP")
        assert answer.to == HANDLER
        told = await world.live_until("2026-10-08 10:00")
        assert (len(to(HANDLER, told)), len(to(MAILBOX, told))) == (0, 2)


async def said(world: Running, words: str) -> list[Received]:
    """The handler texts these words back; what is sent then."""
    await world.node.hear("sms", News(said=(Said(HANDLER, words),)))
    await world.node.take_in()
    return await world.work()


# --- acknowledgement -------------------------------------------------------------------------------------------


async def test_row_71_acknowledging_by_text_message(tmp_path: Path, sqlite_store_url: str) -> None:
    """He texts the code back: signed for, answered, and the head of his section is left in peace."""
    async with web_office(tmp_path, sqlite_store_url) as (world, _):
        (text,) = to(HANDLER, await world.work())
        code = re.search(r"回复(\d{4})", text.text)
        assert code is not None
        (answer,) = await said(world, code[1])
        assert f"已签收：事项{CASE}" in answer.text
        assert HEAD not in {one.to for one in await world.live_until("2026-09-17 12:00")}


async def test_row_72_acknowledging_where_nobody_can_text_back(tmp_path: Path, sqlite_store_url: str) -> None:
    """The link in the mail opens a page without a login; one press signs for the case."""
    no_replies = with_changes(
        ("duban.yaml", "    reference: {json: data.id}\n    replies: true", "    reference: {json: data.id}")
    )
    async with web_office(tmp_path, sqlite_store_url, prepare=no_replies) as (world, telephone):
        (mail,) = to(MAILBOX, await world.work())
        path = link_in(mail.text)
        _, page = await telephone.get(path)
        (button,) = buttons_on(page)
        status, page = await telephone.press(path, button)
        assert (status, "已签收" in page) == (200, True)
        assert HEAD not in {one.to for one in await world.live_until("2026-09-17 12:00")}


async def test_row_73_acknowledging_starts_a_new_clock(tmp_path: Path, sqlite_store_url: str) -> None:
    """Signed for and then nothing done: two working days later the leader hears of it."""
    wanted = "acknowledge: {within: 8 工作小时, else: section_head, then: {act_within: 2 工作日, else: deputy_leader}}"
    words = policy(("say: assigned}", f"say: assigned, {wanted}}}"), (BOTH, TEXTS))
    async with running_office(tmp_path, sqlite_store_url, prepare=words) as world:
        await world.live_until("2026-09-16 11:00")
        world.store.acknowledge(CASE, "h0", world.clock.now(), "phone", world.clock.now())
        told = await world.live_until("2026-09-18 12:00")
        assert [(one.clock, one.to) for one in told] == [("2026-09-18 11:00", "+8613800000001")]
        assert "签收未办" in told[0].text


async def test_row_74_delivered_read_signed_and_acted_are_four_facts(tmp_path: Path, sqlite_store_url: str) -> None:
    """Each has its own moment, and none stands for another: only what he did ends the limit."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        await world.work()
        facts: list[tuple[bool, bool, bool, bool]] = []

        def look() -> None:
            (text,) = world.deliveries("sms")
            acted = world.obligation().done_at is not None
            kept = (text.delivered_at, text.read_at, text.acknowledged_at)
            facts.append((kept[0] is not None, kept[1] is not None, kept[2] is not None, acted))

        look()
        await hear(world, Receipt(delivered=True))
        look()
        await hear(world, Receipt(delivered=True, read=True))
        look()
        world.store.acknowledge(CASE, "h0", world.clock.now(), "phone", world.clock.now())
        look()
        world.clock.move_to(at("2026-09-17 10:00"))
        world.update("notified = '2026-09-17 09:00:00'")
        await world.work()
        look()
        assert [sum(one) for one in facts] == [0, 1, 2, 3, 4]


# --- all of them -----------------------------------------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs"
EVADING = {"skip", "skipif", "xfail", "importorskip"}


def test_every_row_has_its_proof_and_none_is_skipped() -> None:
    """Numbers 43 to 74 are all there, each says in one sentence what it proves, and nothing here evades running."""
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    assert not {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & EVADING
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    numbered = {int(found[1]) for node in tests if (found := re.match(r"test_row_(\d\d)_", node.name))}
    assert all(ast.get_docstring(node) for node in tests)
    assert numbered == set(range(43, 75))


@pytest.mark.parametrize("manual", ["delivery.md", "delivery.zh-CN.md"])
def test_the_manual_names_the_proof_of_every_row(manual: str) -> None:
    """The table of the manual has every row in order, and the test it names is there."""
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    tests = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    rows = re.findall(r"^\| (\d\d) \|.*\| `(\w+)` \|$", (DOCS / manual).read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(43, 75))
    assert [name for _, name in rows if not any(test.startswith(f"test_row_{name}") for test in tests)] == []
