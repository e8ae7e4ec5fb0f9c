from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import Message, Outcome, OutcomeUnknown, PermanentFailure, Receipt, TemporaryFailure
from channels.email import EmailChannel, EmailSettings, open_email
from support.certificates import Certificate, make_certificate
from support.smtp_server import DROP, HALF, HANG, MALFORMED, SmtpServer, recorded, smtp_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)
PASSWORD = "not-a-real-password"
TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1 that nobody trusts unless told."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def channel_to(port: int, **changes: Any) -> AsyncIterator[EmailChannel]:
    """A channel to this port, closed afterwards."""
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": port, "encryption": "none", "connections": 1}
    settings |= {
        "from": {"name": "某市信访局", "address": "duban@example.com"},
        "command_timeout": 1,
        "body_timeout": 1,
    }
    channel = open_email(EmailSettings.model_validate(settings | changes))
    try:
        yield channel
    finally:
        await channel.close()


def mails(count: int, **changes: Any) -> list[Message]:
    """As many messages, each with its number as subject."""
    fields: dict[str, Any] = {"to": "reader@example.com", "text": "内容", "at": AT}
    return [Message(key=f"k{i}", subject=f"第{i}封", **(fields | changes)) for i in range(count)]


def kinds(outcomes: list[Outcome]) -> list[type]:
    """What became of each."""
    return [type(outcome) for outcome in outcomes]


@pytest.fixture(params=[True, False], ids=["pipelining", "command-by-command"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[SmtpServer]:
    """A server with PIPELINING, and one without."""
    async with smtp_server(pipelining=request.param) as running:
        yield running


FAULTS = [
    ("MAIL", "451 4.3.2 later", TemporaryFailure),
    ("MAIL", "550 5.7.1 you are nobody", PermanentFailure),
    ("RCPT", "450 4.2.0 greylisted", TemporaryFailure),
    ("RCPT", "452 4.5.3 too many recipients", TemporaryFailure),
    ("RCPT", "550 5.1.1 unknown", PermanentFailure),
    ("RCPT", "552 5.2.2 mailbox full", TemporaryFailure),  # RFC 5321 4.5.3.1.10
    ("DATA", "451 4.3.0 later", TemporaryFailure),
    ("DATA", "554 5.5.1 no", PermanentFailure),
    ("BODY", "451 4.3.0 later", TemporaryFailure),
    ("BODY", "554 5.7.1 looks like advertising", PermanentFailure),
    ("MAIL", "421 4.3.2 going down", TemporaryFailure),
    ("RCPT", "421 4.3.2 going down", TemporaryFailure),
    ("DATA", "421 4.3.2 going down", TemporaryFailure),
    ("BODY", "421 4.3.2 going down", TemporaryFailure),
    ("CONNECT", "421 4.3.2 too many connections", TemporaryFailure),
    ("CONNECT", "554 5.3.2 not here", PermanentFailure),
    *((command, fault, TemporaryFailure) for command in ("CONNECT", "MAIL", "RCPT", "DATA") for fault in (DROP, HALF)),
    *((command, HANG, TemporaryFailure) for command in ("CONNECT", "MAIL", "RCPT", "DATA")),
    *((command, MALFORMED, TemporaryFailure) for command in ("MAIL", "RCPT", "DATA")),
    *(("BODY", fault, OutcomeUnknown) for fault in (DROP, HALF, HANG, MALFORMED)),
]


@pytest.mark.parametrize(("command", "fault", "kind"), FAULTS, ids=lambda value: str(value)[:12])
async def test_each_fault_of_each_command(server: SmtpServer, command: str, fault: str, kind: type) -> None:
    """Whatever goes wrong before the final dot was not sent, a lost answer after it is unknown; then it works."""
    server.fail(command, fault)
    async with channel_to(server.port, connect_timeout=1) as channel:
        (outcome,) = await channel.send_many(mails(1))
        assert type(outcome) is kind
        server.released.set()
        assert kinds(await channel.send_many(mails(1))) == [Receipt]


@pytest.mark.parametrize("command", ["RCPT", "DATA", "BODY"])
async def test_a_refused_mail_leaves_its_neighbours_alone(server: SmtpServer, command: str) -> None:
    """In the middle of a stream of mails one is refused; all others arrive, each once, none under its envelope."""
    async with channel_to(server.port) as channel:
        await channel.send_many(mails(1))
        server.mails.clear()
        server.fail(command, "", "", "550 5.1.1 no")
        outcomes = await channel.send_many(mails(5))
    assert kinds(outcomes) == [Receipt, Receipt, PermanentFailure, Receipt, Receipt]
    assert server.mails.subjects == [f"第{i}封" for i in (0, 1, 3, 4)]


async def test_an_accepted_envelope_after_a_refused_recipient_is_emptied(server: SmtpServer) -> None:
    """A mail whose recipient is refused never reaches anybody, though the server has said 354 to the next one."""
    async with channel_to(server.port) as channel:
        server.fail("RCPT", "550 5.1.1 no")
        outcomes = await channel.send_many([*mails(1, to="gone@example.com"), *mails(3)])
    assert kinds(outcomes) == [PermanentFailure, Receipt, Receipt, Receipt]
    assert set(server.recipients) == {"reader@example.com"}


async def test_a_grown_old_connection_is_replaced(server: SmtpServer) -> None:
    """A relay that dropped the idle connections, as a restart does, costs no message and no failure."""
    async with channel_to(server.port) as channel:
        await channel.send_many(mails(1))
        server.drop_all()
        assert kinds(await channel.send_many(mails(3))) == [Receipt] * 3
    assert server.connections == 2


async def test_idle_connections_are_left(server: SmtpServer) -> None:
    """After `idle_seconds` a fresh connection is used instead of one the relay may have given up."""
    async with channel_to(server.port, idle_seconds=0.000_001) as channel:
        await channel.send_many(mails(1))
        await channel.send_many(mails(1))
    assert server.connections == 2


async def test_a_relay_that_takes_a_few_mails_per_connection(server: SmtpServer) -> None:
    """421 in the middle of a stream moves the rest to fresh connections; nothing is lost or doubled."""
    async with channel_to(server.port) as channel:
        await channel.send_many(mails(1))
        server.mails.clear()
        server.fail("MAIL", "421 4.7.0 enough")
        assert kinds(await channel.send_many(mails(10))) == [Receipt] * 10
    assert sorted(server.mails.subjects) == sorted(f"第{i}封" for i in range(10))


async def test_no_more_connections_than_allowed(server: SmtpServer) -> None:
    """Any number of batches share the connections, which stay open between them."""
    async with channel_to(server.port, connections=3) as channel:
        await asyncio.gather(*(channel.send_many(mails(30)) for _ in range(5)))
        await channel.send_many(mails(30))
    assert server.connections <= 3
    assert len(server.mails) == 180


async def test_a_body_that_did_not_leave_was_not_sent() -> None:
    """A connection that breaks while most of a large body is still on our side: not sent, may be tried again."""
    reached = asyncio.Event()

    async def stop_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.example\r\n")
        await reader.readline()
        writer.write(b"250 relay.example\r\n")
        for answer in (b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
            await reader.readline()
            writer.write(answer)
        await reader.read(1000)
        reached.set()
        writer.transport.abort()

    listener = await asyncio.start_server(stop_reading, "127.0.0.1", 0, limit=1024)
    async with listener, channel_to(listener.sockets[0].getsockname()[1]) as channel:
        (outcome,) = await channel.send_many(mails(1, text="字" * 5_000_000))
        assert reached.is_set()
    assert type(outcome) is TemporaryFailure


@pytest.mark.parametrize(("encryption", "where"), [("implicit", "tls"), ("starttls", "starttls"), ("auto", "starttls")])
async def test_encrypted_connections(certificate: Certificate, encryption: str, where: str) -> None:
    """Implicit TLS and STARTTLS deliver, pipelined, with the certificate checked against `ca_file`."""
    async with (
        smtp_server(**{where: certificate.server_context()}) as server,
        channel_to(server.port, encryption=encryption, ca_file=str(certificate.file)) as channel,
    ):
        assert kinds(await channel.send_many(mails(5))) == [Receipt] * 5
        assert server.mails.subjects == [f"第{i}封" for i in range(5)]


@pytest.mark.parametrize(("encryption", "where"), [("implicit", "tls"), ("starttls", "starttls"), ("auto", "starttls")])
async def test_an_untrusted_certificate_stops_the_channel(
    certificate: Certificate, encryption: str, where: str
) -> None:
    """A certificate nobody vouches for is a failure of the whole channel, and nothing is sent."""
    async with (
        smtp_server(**{where: certificate.server_context()}) as server,
        channel_to(server.port, encryption=encryption) as channel,
    ):
        (outcome,) = await channel.send_many(mails(1))
        assert isinstance(outcome, PermanentFailure)
        assert (outcome.code, outcome.whole_channel) == ("certificate", True)
        assert not server.mails


async def test_encryption_that_is_not_offered_stops_the_channel() -> None:
    """With `starttls` nothing ever goes out in the clear."""
    async with smtp_server() as server, channel_to(server.port, encryption="starttls") as channel:
        (outcome,) = await channel.send_many(mails(1))
        assert isinstance(outcome, PermanentFailure)
        assert outcome.whole_channel
        assert not server.mails


async def test_a_wrong_password_stops_the_channel(certificate: Certificate) -> None:
    """A refused login concerns every message, and shows no password."""
    async with (
        smtp_server(starttls=certificate.server_context(), password=PASSWORD) as server,
        channel_to(
            server.port, encryption="starttls", ca_file=str(certificate.file), username="duban", password="wrong-one"
        ) as channel,
    ):
        outcomes = await channel.send_many(mails(2))
        assert kinds(outcomes) == [PermanentFailure] * 2
        assert all(isinstance(one, PermanentFailure) and one.whole_channel for one in outcomes)
        assert "wrong-one" not in repr(outcomes)


async def test_an_international_mailbox_needs_a_server_that_knows_it() -> None:
    """Chinese mailboxes go out with SMTPUTF8, or fail for good where the relay lacks it; the others go on."""
    wanted = [*mails(1), *mails(1, to="读者@example.com")]
    async with smtp_server() as server, channel_to(server.port) as channel:
        assert kinds(await channel.send_many(wanted)) == [Receipt, Receipt]
        assert server.recipients == ["reader@example.com", "读者@example.com"]
    async with smtp_server(smtputf8=False) as server, channel_to(server.port) as channel:
        assert kinds(await channel.send_many(wanted)) == [Receipt, PermanentFailure]


async def test_a_refused_sender_stops_the_channel(server: SmtpServer) -> None:
    """MAIL names our own address: refused for good, it concerns every message."""
    server.fail("MAIL", "553 5.7.1 not your address")
    async with channel_to(server.port) as channel:
        (outcome,) = await channel.send_many(mails(1))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.whole_channel


async def test_the_receipt_names_the_relay_s_queue(server: SmtpServer) -> None:
    """The queue id is kept, so that the mail can be found in the relay's log."""
    async with channel_to(server.port) as channel:
        outcomes = await channel.send_many(mails(2))
    assert [outcome.reference for outcome in outcomes if isinstance(outcome, Receipt)] == ["Q1", "Q2"]


async def test_the_sink_writes_down_what_it_accepts(tmp_path: Path) -> None:
    """The sink process has a line about every mail the channel counts as accepted."""
    file = tmp_path / "record.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.smtp_server", "--record", str(file)),
        cwd=TESTS,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 20))
        async with channel_to(port, connections=4) as channel:
            assert kinds(await channel.send_many(mails(200))) == [Receipt] * 200
            await channel.send_many(mails(1, possible_duplicate=True))
    finally:
        process.kill()
        await process.communicate()
    lines = recorded(file)
    assert len({line["message_id"] for line in lines}) == 200
    assert [line["possible_duplicate"] for line in lines] == [False] * 200 + [True]


WRONG_SETTINGS = [
    ({"username": "duban"}, "password"),
    ({"username": "duban", "password": PASSWORD, "encryption": "none"}, "login_without_encryption"),
    ({"from": {"address": "nobody"}}, "not a mail address"),
    ({"from": {"name": "a\nb", "address": "a@b.cn"}}, "one line"),
    ({"connection": 3}, "Extra inputs"),
    ({"encryption": "ssl"}, "implicit"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG_SETTINGS)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], named: str) -> None:
    """A mistake in the settings is found before anything is sent, and shows no password."""
    good: dict[str, Any] = {"host": "relay.example", "from": {"address": "duban@example.com"}}
    with pytest.raises(ValueError, match=named) as caught:
        EmailSettings.model_validate(good | changes)
    assert all(PASSWORD not in problem["msg"] for problem in caught.value.errors())  # type: ignore[attr-defined]
