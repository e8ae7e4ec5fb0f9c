from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import Message, OutcomeUnknown, PermanentFailure, Receipt, TemporaryFailure
from channels.email import EmailSettings
from channels.wire.identity import reference_of
from channels.wire.mime import MailFrame
from channels.wire.smtp_pipeline import original
from support.certificates import make_certificate
from support.mail_channel import channel_to, email_settings, kinds, mails
from support.sms_gateway import running
from support.smtp_server import DROP, HANG, SmtpServer, smtp_server
from support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def first() -> AsyncIterator[SmtpServer]:
    """The server that is tried first."""
    async with smtp_server() as server:
        yield server


@pytest.fixture
async def second() -> AsyncIterator[SmtpServer]:
    """The server behind it."""
    async with smtp_server() as server:
        yield server


def behind(server: SmtpServer, **changes: Any) -> dict[str, Any]:
    """That server as the one behind, tried again soon."""
    fallback = {"host": "127.0.0.1", "port": server.port, "encryption": "none"}
    return {"fallbacks": [fallback | changes], "rest_seconds": 0.05}


# --- several servers ----------------------------------------------------------------------------------------

GREETINGS = ["421 4.3.2 too busy", "554 5.3.2 not here", DROP, HANG]


@pytest.mark.parametrize("greeting", GREETINGS)
async def test_another_server_takes_over(first: SmtpServer, second: SmtpServer, greeting: str) -> None:
    """A first server that cannot be talked to costs no message: the next one sends them all, each once."""
    first.fail("CONNECT", greeting, lasting=True)
    async with channel_to(first.port, **behind(second), connections=3) as channel:
        assert kinds(await channel.send_many(mails(20))) == [Receipt] * 20
    assert sorted(second.mails.subjects) == sorted(f"第{i}封" for i in range(20))
    assert not first.mails


async def test_a_server_that_is_not_there_is_left_alone_and_tried_again(first: SmtpServer, second: SmtpServer) -> None:
    """While it rests nobody knocks; when it is back, mails go to it again by themselves."""
    port = first.port
    await first.stop()
    async with channel_to(port, **behind(second)) as channel:
        await channel.send_many(mails(1))
        back = SmtpServer()
        await back.start(port)
        try:
            deadline = time.monotonic() + 20
            number = 1
            while not back.mails and time.monotonic() < deadline:
                assert kinds(await channel.send_many(mails(1, first=number))) == [Receipt]
                number += 1
                await asyncio.sleep(0.01)  # the rest is over after 0.05 seconds
            assert back.mails
        finally:
            await channel.close()
            await back.stop()


async def test_while_it_rests_nobody_knocks(first: SmtpServer, second: SmtpServer) -> None:
    """A server that refused is asked once, not for every batch."""
    first.fail("CONNECT", "421 4.3.2 too busy", lasting=True)
    async with channel_to(first.port, **(behind(second) | {"rest_seconds": 3600})) as channel:
        for number in range(5):
            assert kinds(await channel.send_many(mails(1, first=number))) == [Receipt]
    assert first.connections == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "BODY"])
@pytest.mark.parametrize("answer", ["421 4.3.2 later", "451 4.3.0 later"])
@pytest.mark.parametrize("count", [1, 30])
async def test_what_one_refuses_for_now_the_next_is_offered(
    first: SmtpServer, second: SmtpServer, command: str, answer: str, count: int
) -> None:
    """421 and 4xx to everything: every mail goes out through the other server, each once."""
    first.fail(command, answer, lasting=True)
    async with channel_to(first.port, **behind(second), connections=2) as channel:
        assert kinds(await channel.send_many(mails(count))) == [Receipt] * count
    assert sorted(second.mails.subjects) == sorted(f"第{i}封" for i in range(count))
    assert not first.mails
    assert len(first.commands) < 40 * 3  # it did not meet every mail with a refusal of its own


async def test_a_sender_one_server_refuses_goes_through_the_next(first: SmtpServer, second: SmtpServer) -> None:
    """A refusal that concerns us, not the mail, is that server's own."""
    first.fail("MAIL", "553 5.7.1 not your address", lasting=True)
    async with channel_to(first.port, **behind(second)) as channel:
        assert kinds(await channel.send_many(mails(8))) == [Receipt] * 8


async def test_a_mailbox_one_server_cannot_be_told_goes_through_the_next(second: SmtpServer) -> None:
    """A mailbox in Chinese goes to the server that knows SMTPUTF8, the others to the first."""
    async with smtp_server(smtputf8=False) as plain, channel_to(plain.port, **behind(second)) as channel:
        outcomes = await channel.send_many([*mails(3), *mails(1, to="读者@example.com")])
        assert kinds(outcomes) == [Receipt] * 4
        assert (len(plain.mails), second.recipients) == (3, ["读者@example.com"])


async def test_a_recipient_refused_for_good_is_not_offered_elsewhere(first: SmtpServer, second: SmtpServer) -> None:
    """5xx about the recipient stands; the second server never hears of it."""
    first.fail("RCPT", "550 5.1.1 unknown")
    async with channel_to(first.port, **behind(second)) as channel:
        assert kinds(await channel.send_many(mails(1))) == [PermanentFailure]
    assert second.connections == 0


async def test_a_lost_answer_is_never_offered_elsewhere(first: SmtpServer, second: SmtpServer) -> None:
    """A mail in doubt is not sent a second time by another server."""
    first.fail("BODY", DROP)
    async with channel_to(first.port, **behind(second)) as channel:
        assert kinds(await channel.send_many(mails(1))) == [OutcomeUnknown]
    assert not second.mails


async def test_when_none_works_the_failure_can_be_tried_again(first: SmtpServer, second: SmtpServer) -> None:
    """With one server refusing the login and one away, mails wait; only if all refuse for good is the channel dead."""
    first.fail("CONNECT", "554 5.3.2 not here", lasting=True)
    second.fail("CONNECT", "421 4.3.2 too busy", lasting=True)
    async with channel_to(first.port, **behind(second)) as channel:
        assert kinds(await channel.send_many(mails(3))) == [TemporaryFailure] * 3
        second.fail("CONNECT", "554 5.3.2 not here", lasting=True)
        outcomes = await channel.send_many(mails(3))
        assert all(isinstance(one, PermanentFailure) and one.whole_channel for one in outcomes)
        second.mend()
        assert kinds(await channel.send_many(mails(3))) == [Receipt] * 3


async def test_both_refuse_for_now(first: SmtpServer, second: SmtpServer) -> None:
    """Refused by every server: temporary, each mail once per server and no endless round."""
    for server in (first, second):
        server.fail("RCPT", "451 4.3.0 later", lasting=True)
    async with channel_to(first.port, **behind(second), connections=3) as channel:
        assert kinds(await channel.send_many(mails(25))) == [TemporaryFailure] * 25
    assert first.commands.count("RCPT") <= 25
    assert second.commands.count("RCPT") <= 25


# --- reports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(("asked", "notify"), [("failure", "FAILURE"), ("all", "SUCCESS,FAILURE")])
async def test_reports_are_asked_for_where_the_server_makes_them(*, pipelining: bool, asked: str, notify: str) -> None:
    """RFC 3461: the headers only, our reference as envelope id, and which recipient it was."""
    async with smtp_server(dsn=True, pipelining=pipelining) as server:
        async with channel_to(server.port, delivery_reports=asked) as channel:
            assert kinds(await channel.send_many(mails(1, to="a+b@example.com"))) == [Receipt]
        wanted = {"RET": "HDRS", "ENVID": reference_of("k0"), "NOTIFY": notify, "ORCPT": "rfc822;a+2Bb@example.com"}
        assert server.asked_reports == [wanted]


async def test_reports_are_not_asked_for_where_they_are_not_offered_or_not_wanted() -> None:
    """A server without DSN refuses such words; one with it is not asked where the settings say `none`."""
    async with smtp_server() as server, channel_to(server.port) as channel:
        assert kinds(await channel.send_many(mails(2))) == [Receipt] * 2
    async with smtp_server(dsn=True) as server, channel_to(server.port, delivery_reports="none") as channel:
        assert kinds(await channel.send_many(mails(2))) == [Receipt] * 2
        assert server.asked_reports == [{}, {}]


ORIGINALS = [
    (b"reader@example.com", b"rfc822;reader@example.com"),
    (b"a+b=c@example.com", b"rfc822;a+2Bb+3Dc@example.com"),
    ("读者+1@example.com".encode(), "utf-8;读者\\x{2B}1@example.com".encode()),
]


@pytest.mark.parametrize(("recipient", "written"), ORIGINALS)
def test_the_original_recipient_as_the_standards_write_it(recipient: bytes, written: bytes) -> None:
    """Xtext of RFC 3461 for ASCII, the UTF-8 form of RFC 6533 for the rest."""
    assert original(recipient) == written


async def test_an_international_mailbox_with_reports() -> None:
    """SMTPUTF8 and DSN go together."""
    async with smtp_server(dsn=True) as server, channel_to(server.port) as channel:
        assert kinds(await channel.send_many(mails(1, to="读者@example.com"))) == [Receipt]
        assert server.recipients == ["读者@example.com"]
        assert server.asked_reports[0]["ORCPT"] == "utf-8;读者@example.com"


# --- how many to one domain ---------------------------------------------------------------------------------


async def test_no_more_a_minute_to_one_domain_than_allowed(first: SmtpServer) -> None:
    """What goes beyond was not sent and learns when its turn is; other domains go on."""
    async with channel_to(first.port, per_minute={"Example.com": 3}, connections=2) as channel:
        outcomes = await channel.send_many([*mails(8), *mails(5, to="reader@elsewhere.example", first=8)])
    assert kinds(outcomes[:8]) == [Receipt] * 3 + [TemporaryFailure] * 5
    assert kinds(outcomes[8:]) == [Receipt] * 5
    waits = [one.retry_after for one in outcomes if isinstance(one, TemporaryFailure)]
    assert [round((wait or 0) / 60) for wait in waits] == [1, 1, 1, 2, 2]


async def test_the_star_is_for_every_other_domain(first: SmtpServer) -> None:
    """Each domain without a limit of its own has the one of `*`, counted apart."""
    async with channel_to(first.port, per_minute={"*": 1, "example.com": 2}) as channel:
        to = ["a@example.com", "b@example.com", "a@x.example", "b@x.example", "a@y.example"]
        outcomes = await channel.send_many([mails(1, to=one)[0] for one in to])
    assert kinds(outcomes) == [Receipt, Receipt, Receipt, TemporaryFailure, Receipt]


# --- OAuth --------------------------------------------------------------------------------------------------


def oauth(**way: Any) -> dict[str, Any]:
    """Settings of a login by token."""
    return {"username": "duban", "login_without_encryption": True, "oauth": way}


async def test_a_token_from_a_file_is_read_again(tmp_path: Path) -> None:
    """Somebody else renews the file; the next connection logs in with what stands there then."""
    file = tmp_path / "token"
    file.write_text("one\n")
    async with (
        smtp_server(tokens={"one"}) as server,
        channel_to(server.port, **oauth(token_file=str(file))) as channel,
    ):
        assert kinds(await channel.send_many(mails(1))) == [Receipt]
        server.tokens = {"two"}
        file.write_text("two\n")
        server.drop_all()
        assert kinds(await channel.send_many(mails(1))) == [Receipt]
        file.unlink()
        server.drop_all()
        (outcome,) = await channel.send_many(mails(1))
        assert isinstance(outcome, TemporaryFailure)
        assert outcome.code == "token_file"


async def test_a_token_from_a_command() -> None:
    """What the command prints is the token; one that fails is a failure for now, one that is not there for good."""
    async with smtp_server(tokens={"one"}) as server:
        command = [sys.executable, "-c", "print('one')"]
        async with channel_to(server.port, **oauth(token_command=command), connect_timeout=20) as channel:
            assert kinds(await channel.send_many(mails(2))) == [Receipt] * 2
        failing = [sys.executable, "-c", "raise SystemExit(1)"]
        async with channel_to(server.port, **oauth(token_command=failing), connect_timeout=20) as channel:
            assert kinds(await channel.send_many(mails(1))) == [TemporaryFailure]
        async with channel_to(server.port, **oauth(token_command=["/no/such/command"])) as channel:
            assert kinds(await channel.send_many(mails(1))) == [PermanentFailure]


def refresh(url: str) -> dict[str, Any]:
    """A login by refresh token."""
    return oauth(token_url=f"{url}/token", client_id="app", client_secret="s3cret", refresh_token="r3fresh")


async def test_a_refresh_token_brings_tokens() -> None:
    """Asked for once for all connections; one that ended early is asked for again and costs no mail."""
    async with running(TokenServer()) as tokens, smtp_server(tokens=tokens.good) as server:
        async with channel_to(server.port, **refresh(tokens.url), connections=4) as channel:
            assert kinds(await channel.send_many(mails(20))) == [Receipt] * 20
            assert len(tokens.asked) == 1
            tokens.good.clear()
            server.drop_all()
            assert kinds(await channel.send_many(mails(1))) == [Receipt]
        assert len(tokens.asked) == 2
        wanted = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s3cret"}
        assert tokens.asked[0] == wanted | {"refresh_token": "r3fresh"}


REFUSALS = [
    ('400 {"error": "invalid_grant"}', PermanentFailure),
    ('503 {"error": "r3fresh"}', TemporaryFailure),
    ("200 {}", TemporaryFailure),
    ("200 nothing", TemporaryFailure),
]


@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
async def test_a_token_that_is_not_given(answer: str, kind: type) -> None:
    """A refresh token that ended stops the channel, anything else is for now; no secret is told."""
    async with running(TokenServer()) as tokens, smtp_server(tokens=tokens.good) as server:
        tokens.answer = answer
        async with channel_to(server.port, **refresh(tokens.url)) as channel:
            outcomes = await channel.send_many(mails(1))
            assert kinds(outcomes) == [kind]
            assert not any(secret in repr(outcomes) for secret in ("s3cret", "r3fresh"))


async def test_a_fresh_token_that_is_refused_stops_the_channel() -> None:
    """The server refuses us, not the token's age."""
    async with (
        running(TokenServer()) as tokens,
        smtp_server(tokens={"other"}) as server,
        channel_to(server.port, **refresh(tokens.url)) as channel,
    ):
        (outcome,) = await channel.send_many(mails(1))
        assert isinstance(outcome, PermanentFailure)
        assert outcome.whole_channel


async def test_a_server_behind_has_its_own_login(tmp_path: Path, second: SmtpServer) -> None:
    """Name and password of the first are never told to another."""
    certificate = make_certificate(tmp_path)
    async with smtp_server(starttls=certificate.server_context(), password="first-password") as own:
        login = {"username": "duban", "password": "wrong", "encryption": "starttls", "ca_file": str(certificate.file)}
        async with channel_to(own.port, **login, **behind(second)) as channel:
            assert kinds(await channel.send_many(mails(2))) == [Receipt] * 2


# --- unsubscribing and settings -----------------------------------------------------------------------------

WAYS = [
    ({"mail": "off@example.com"}, "<mailto:off@example.com>", None),
    ({"url": "https://example.com/off?u=1"}, "<https://example.com/off?u=1>", None),
    (
        {"mail": "off@example.com", "url": "https://example.com/off", "one_click": True},
        "<mailto:off@example.com>, <https://example.com/off>",
        "List-Unsubscribe=One-Click",
    ),
]


@pytest.mark.parametrize(("ways", "listed", "post"), WAYS)
async def test_unsubscribing_is_offered_where_configured(
    first: SmtpServer, ways: dict[str, Any], listed: str, post: str | None
) -> None:
    """RFC 2369 and RFC 8058, as written in the settings."""
    async with channel_to(first.port, unsubscribe=ways) as channel:
        await channel.send_many(mails(1))
    (mail,) = first.mails
    assert (mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]) == (listed, post)


def test_unsubscribing_is_not_offered_otherwise() -> None:
    """A reminder of duty is no newsletter."""
    content = MailFrame.of(email_settings(1)).build(Message("k", "a@example.com", "内容", mails(1)[0].at)).content
    assert b"Unsubscribe" not in content


LOGIN = {"username": "duban", "encryption": "starttls"}
REFRESH = {"token_url": "https://login.example/token", "client_id": "app", "refresh_token": "hunter2"}
WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    (LOGIN | {"oauth": {}}, "one of token_file"),
    (LOGIN | {"oauth": {"token_file": "/a", "token_command": ["b"]}}, "one of token_file"),
    (LOGIN | {"oauth": {"token_file": "a"}}, "absolute"),
    (LOGIN | {"oauth": {"token_url": "https://login.example/token"}}, "go together"),
    (LOGIN | {"oauth": REFRESH | {"token_url": "http://login.example/token"}}, "https"),
    (LOGIN | {"oauth": REFRESH, "password": "hunter2"}, "either password or oauth"),
    ({"oauth": REFRESH}, "or neither"),
    ({"fallbacks": [{"host": "b.example", "username": "duban"}]}, "or neither"),
    ({"fallbacks": [{"host": "b.example", "from": "x"}]}, "Extra inputs"),
    ({"per_minute": {"a b": 3}}, "expected a domain"),
    ({"per_minute": {"example.com": 0}}, "greater than or equal to 1"),
    ({"delivery_reports": "success"}, "failure"),
    ({"unsubscribe": {}}, "give mail or url"),
    ({"unsubscribe": {"url": "http://a.example"}}, "https"),
    ({"unsubscribe": {"url": "https://a.example/\r\nBcc: x"}}, "https"),
    ({"unsubscribe": {"mail": "a@b.cn", "one_click": True}}, "needs url"),
    ({"bounce_mailbox": {"host": "imap.example"}}, "needs username"),
    (
        {"bounce_mailbox": {"host": "imap.example", "username": "u", "password": "hunter2", "encryption": "auto"}},
        "log in",
    ),
]


@pytest.mark.parametrize(("changes", "named"), WRONG_SETTINGS)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], named: str) -> None:
    """A mistake is found before anything is sent, and shows no secret."""
    good: dict[str, Any] = {"host": "relay.example", "from": {"address": "duban@example.com"}}
    with pytest.raises(ValueError, match=named) as caught:
        EmailSettings.model_validate(good | changes)
    assert all("hunter2" not in problem["msg"] for problem in caught.value.errors())  # type: ignore[attr-defined]


ANSWERS = ["", "", "", "421 4.3.2 later", "451 4.3.0 later", "550 5.1.1 unknown", DROP]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_both_servers_do_no_mail_is_lost_or_sent_twice(
    first: SmtpServer, second: SmtpServer, seed: int
) -> None:
    """Faults of every kind on both: accepted arrived once, refused never, in doubt at most once."""
    chance = random.Random(seed)
    for server in (first, second):
        for command in ("CONNECT", "MAIL", "RCPT", "DATA", "BODY"):
            server.fail(command, *(chance.choice(ANSWERS) for _ in range(30)))
    wanted = mails(60)
    async with channel_to(first.port, **behind(second), connections=3) as channel:
        outcomes = await channel.send_many(wanted)
    arrived = Counter([*first.mails.subjects, *second.mails.subjects])
    for message, outcome in zip(wanted, outcomes, strict=True):
        if isinstance(outcome, OutcomeUnknown):
            assert arrived[message.subject] <= 1
        else:
            assert arrived[message.subject] == isinstance(outcome, Receipt)
