from __future__ import annotations

import contextlib
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Collecting, News, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.wire.identity import reference_of
from channels.wire.report import learnt_from
from support.certificates import Certificate, make_certificate
from support.imap_server import ImapServer, imap_server
from support.mail_channel import channel_to, mails
from support.smtp_server import smtp_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.email import EmailChannel

PASSWORD = "not-a-real-password"
REFERENCE = reference_of("k0")


def report(
    *actions: str,
    envelope: str | None = REFERENCE,
    returned: bytes | None = None,
    status: str = "5.1.1",
    names: tuple[str, str] = ("message/delivery-status", "text/rfc822-headers"),
) -> bytes:
    """A report as RFC 3464 wants it, one block of fields per action."""
    blocks = [
        f"Reporting-MTA: dns; relay.example\r\nOriginal-Envelope-Id: {envelope}"
        if envelope
        else "Reporting-MTA: dns; x"
    ]
    blocks += [
        f"Final-Recipient: rfc822; reader@example.com\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <reader@example.com> unknown"
        for action in actions
    ]
    parts = [
        ("text/plain; charset=utf-8", "您的邮件无法送达 reader@example.com".encode()),
        (names[0], "\r\n\r\n".join(blocks).encode() + b"\r\n"),
        *([(names[1], returned)] if returned is not None else []),
    ]
    body = b"".join(b"--b1\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), part) for kind, part in parts)
    head = (
        b"From: MAILER-DAEMON@relay.example\r\nTo: duban@example.com\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"\r\n\r\n'
    )
    return head + body + b"--b1--\r\n"


def own_headers(key: str = "k0", *, field: bool = False) -> bytes:
    """The header of a mail of ours as it comes back."""
    own = f"X-Duban-Key: {reference_of(key)}\r\n" if field else ""
    return (
        f"Subject: x\r\n{own}Message-ID: <{reference_of(key) if not field else 'rewritten'}@example.com>\r\n".encode()
    )


def ordinary() -> bytes:
    """A letter of a human, who quotes our Message-ID."""
    mail = EmailMessage()
    mail["Subject"], mail["In-Reply-To"] = "收到", f"<{REFERENCE}@example.com>"
    mail.set_content("Action: failed")
    return mail.as_bytes()


WHAT_REPORTS_SAY: list[tuple[bytes, str, str]] = [
    (report("failed"), "bounced", "5.1.1"),
    (report("Failed "), "bounced", "5.1.1"),
    (report("delivered", "failed"), "bounced", "5.1.1"),
    (report("delivered", status="2.0.0"), "delivered", "delivered 2.0.0"),
    (report("relayed", status="2.0.0"), "accepted", "relayed 2.0.0"),
    (report("expanded", status="no reader@example.com"), "accepted", "expanded"),
    (report("failed", envelope=None, returned=own_headers()), "bounced", "5.1.1"),
    (report("failed", envelope=None, returned=own_headers(field=True)), "bounced", "5.1.1"),
    (report("failed", envelope=REFERENCE.upper()), "bounced", "5.1.1"),
    (
        report("failed", envelope=None, returned=own_headers(), names=("message/delivery-status", "message/rfc822")),
        "bounced",
        "5.1.1",
    ),
    (
        report("failed", returned=own_headers(), names=("message/global-delivery-status", "message/global-headers")),
        "bounced",
        "5.1.1",
    ),
    (
        report(
            "failed", envelope=None, returned=own_headers(), names=("message/global-delivery-status", "message/global")
        ),
        "bounced",
        "5.1.1",
    ),
]


@pytest.mark.parametrize(("content", "kind", "said"), WHAT_REPORTS_SAY)
def test_what_a_report_says(content: bytes, kind: str, said: str) -> None:
    """Failed, delivered or handed on, of which message, with the status code and no address."""
    (learnt,) = learnt_from(content) or ()
    outcome = learnt.outcome
    assert learnt.ours == REFERENCE
    if isinstance(outcome, Receipt):
        assert (kind, said) == ("delivered" if outcome.delivered else "accepted", outcome.answer)
    else:
        assert (kind, said, outcome.whole_channel) == ("bounced", outcome.detail, False)
        assert outcome.code == "bounced"
    assert "reader" not in repr(learnt)


def test_a_delay_says_nothing_yet() -> None:
    """The server goes on trying: a report of ours, and no receipt."""
    assert learnt_from(report("delayed")) == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\x00", ordinary(), report(), report("failed", envelope=None), report("failed", envelope="QQ314159"),
     report("failed", envelope=None, returned=b"Message-ID: <abc@example.com>\r\n"),
     report("failed").replace(b"message/delivery-status", b"text/plain")],
)  # fmt: skip
def test_what_is_no_report_about_a_mail_of_ours(content: bytes) -> None:
    """Other people's bounces, letters and rubbish tell nothing."""
    assert learnt_from(content) is None


@given(content=st.binary(max_size=2000), cut=st.integers(0, 1200))
def test_no_mail_breaks_the_reading(content: bytes, cut: int) -> None:
    """Whatever arrives, and wherever it was cut off, reading it raises nothing."""
    learnt_from(content)
    learnt_from(report("failed", returned=own_headers())[:cut] + content)


# --- over IMAP ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def reading(imap: ImapServer, **changes: Any) -> AsyncIterator[EmailChannel]:
    """A channel whose bounce mailbox is this one."""
    changes = dict(changes)
    other = {name: changes.pop(name) for name in ("ca_file",) if name in changes}
    mailbox = {"host": "127.0.0.1", "port": imap.port, "username": "duban", "password": PASSWORD, "timeout": 2}
    mailbox |= {"encryption": "none", "login_without_encryption": True}
    mailbox = {name: value for name, value in (mailbox | changes).items() if value is not None}
    async with channel_to(1, bounce_mailbox=mailbox, **other) as channel:
        yield channel


def told(news: News) -> list[tuple[str, str]]:
    """Which message, and what became of it."""
    return [(one.ours, type(one.outcome).__name__) for one in news.learnt]


async def test_reports_become_receipts() -> None:
    """What came is told once it was read, marked as read when the next reading begins, and not told again."""
    async with imap_server() as imap:
        imap.receive(ordinary())
        imap.receive(report("failed"))
        imap.receive(report("delivered", envelope=reference_of("k1"), status="2.0.0"))
        async with reading(imap) as channel:
            assert isinstance(channel, Collecting)
            wanted = [(REFERENCE, "PermanentFailure"), (reference_of("k1"), "Receipt")]
            assert told(await channel.collect()) == wanted
            assert imap.read == []
            assert told(await channel.collect()) == []
            assert imap.read == [2, 3]
            imap.receive(report("failed", envelope=reference_of("k2")))
            assert told(await channel.collect()) == [(reference_of("k2"), "PermanentFailure")]
        assert imap.commands.count("FETCH") == 4  # the letter was looked at once


async def test_what_was_not_written_down_is_told_again() -> None:
    """A daemon that dies between reading and writing down loses no bounce."""
    async with imap_server() as imap:
        imap.receive(report("failed"))
        for _ in range(2):
            async with reading(imap) as channel:
                assert told(await channel.collect()) == [(REFERENCE, "PermanentFailure")]


async def test_a_mailbox_that_was_made_anew_is_read_anew() -> None:
    """After UIDVALIDITY changed, a number means another mail, and none is marked that was not told."""
    async with imap_server() as imap, reading(imap) as channel:
        imap.receive(report("failed"))
        await channel.collect()
        imap.validity, imap.mails = 2, {}
        imap.receive(report("failed", envelope=reference_of("k2")))
        assert told(await channel.collect()) == [(reference_of("k2"), "PermanentFailure")]
        assert imap.read == []


async def test_a_long_report_is_read_from_its_beginning() -> None:
    """A report that returns a mail of megabytes is understood without fetching it all."""
    async with imap_server() as imap, reading(imap) as channel:
        imap.receive(report("failed", envelope=None, returned=own_headers() + b"\r\n" + b"x" * 3_000_000))
        assert told(await channel.collect()) == [(REFERENCE, "PermanentFailure")]


FOLDERS = [("退信", "&kABP4Q-"), ("Tom & 退信/2026", "Tom &- &kABP4Q-/2026"), ("台北", "&U,BTFw-")]


@pytest.mark.parametrize(("name", "written"), FOLDERS)
async def test_a_folder_of_any_name(name: str, written: str) -> None:
    """A folder with a Chinese name is asked for as RFC 3501 writes it (its own example is 台北)."""
    async with imap_server() as imap, reading(imap, folder=name) as channel:
        imap.folder = written
        imap.receive(report("failed"))
        assert told(await channel.collect()) == [(REFERENCE, "PermanentFailure")]


async def test_without_a_mailbox_nothing_is_learnt() -> None:
    """A channel that reads no bounces says so by an empty answer."""
    async with channel_to(1) as channel:
        assert await channel.collect() == News()


FAULTS = [
    ("LOGIN NO wrong", {}, PermanentFailure, "imap_login"),
    ("", {"password": "wrong-one"}, PermanentFailure, "imap_login"),
    ("", {"folder": "退信"}, PermanentFailure, "imap_folder"),
    ("SELECT NO moved", {}, PermanentFailure, "imap_folder"),
    ("SEARCH NO busy", {}, TemporaryFailure, "imap_answer"),
    ("FETCH NO busy", {}, TemporaryFailure, "imap_answer"),
    ("drop", {}, TemporaryFailure, "imap_connection"),
    ("hang", {"timeout": 0.3}, TemporaryFailure, "imap_timeout"),
]


@pytest.mark.parametrize(("fault", "changes", "kind", "code"), FAULTS)
async def test_each_fault_of_the_mailbox(fault: str, changes: dict[str, Any], kind: type, code: str) -> None:
    """A mailbox that cannot be read is told as a failure without the password; nothing is marked, nothing lost."""
    async with imap_server() as imap, reading(imap, **changes) as channel:
        imap.receive(report("failed"))
        imap.fault = fault
        with pytest.raises(SendError) as caught:
            await channel.collect()
        assert (type(caught.value), caught.value.code) == (kind, code)
        assert "wrong-one" not in str(caught.value)
        assert imap.read == []


async def test_a_mailbox_that_is_not_there() -> None:
    """Refused: for now."""
    async with imap_server() as imap, reading(imap) as channel:
        await imap.stop()
        with pytest.raises(TemporaryFailure):
            await channel.collect()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1 that nobody trusts unless told."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize(("encryption", "where"), [("implicit", "tls"), ("starttls", "starttls")])
async def test_encrypted_mailboxes(certificate: Certificate, encryption: str, where: str) -> None:
    """TLS from the start or after STARTTLS, the certificate checked: an untrusted one stops the reading."""
    async with imap_server(**{where: certificate.server_context()}) as imap:
        imap.receive(report("failed"))
        trusted = {"encryption": encryption, "ca_file": str(certificate.file)}
        async with reading(imap, **trusted) as channel:
            assert told(await channel.collect()) == [(REFERENCE, "PermanentFailure")]
        async with reading(imap, encryption=encryption) as channel:
            with pytest.raises(PermanentFailure) as caught:
                await channel.collect()
            assert caught.value.code == "certificate"


async def test_encryption_that_is_not_offered_is_not_done_without() -> None:
    """With `starttls` no password goes out in the clear."""
    async with imap_server() as imap, reading(imap, encryption="starttls") as channel:
        with pytest.raises(TemporaryFailure):
            await channel.collect()
        assert "LOGIN" not in imap.commands


async def test_a_mailbox_with_a_token(tmp_path: Any) -> None:
    """XOAUTH2 logs in; a token the server refuses is a failure for now, and the next one is asked for."""
    file = tmp_path / "token"
    file.write_text("old")
    async with imap_server(tokens={"new"}) as imap:
        imap.receive(report("failed"))
        async with reading(imap, password=None, oauth={"token_file": str(file)}) as channel:
            with pytest.raises(TemporaryFailure):
                await channel.collect()
            file.write_text("new")
            assert told(await channel.collect()) == [(REFERENCE, "PermanentFailure")]


async def test_a_mail_its_report_and_its_receipt() -> None:
    """The envelope id the server was given is the one a report repeats, and the one the channel answers with."""
    async with smtp_server(dsn=True) as server, channel_to(server.port) as channel:
        await channel.send_many(mails(1))
        envelope = server.asked_reports[0]["ENVID"]
        returned = server.contents[0].split(b"\r\n\r\n")[0] + b"\r\n"
    for content in (report("failed", envelope=envelope), report("failed", envelope=None, returned=returned)):
        assert [one.ours for one in learnt_from(content) or ()] == [reference_of("k0")]
