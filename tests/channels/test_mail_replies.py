from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import News, Said, TemporaryFailure
from channels.wire.identity import reference_of
from channels.wire.reply import said_in
from support.imap_server import ImapServer, imap_server
from support.mail_channel import channel_to, mails
from support.smtp_server import smtp_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.email import EmailChannel

OURS = reference_of("k0")
PASSWORD = "not-a-real-password"
QUOTE = "> 【督办】事项XF202609170012“书面告知”今日到期\n> 请于17:30前办理"


def letter(text: str = f"收到\n\n{QUOTE}", html: str | None = None, **headers: str | None) -> bytes:
    """A person's letter; a header that is None is left out."""
    written: dict[str, str | None] = {
        "From": "张三 <Reader@Example.com>",
        "To": "duban@example.com",
        "Subject": "回复：【督办】提醒",
        "Date": "Mon, 28 Sep 2026 09:31:00 +0800",
        "Message-ID": "<reply-1@example.com>",
        "In-Reply-To": f"<{OURS}@example.com>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    mail = EmailMessage()
    for name, value in written.items():
        if value is not None:
            mail[name] = value
    if text:
        mail.set_content(text)
    if html is not None:
        mail.add_alternative(html, subtype="html") if text else mail.set_content(html, subtype="html")
    return mail.as_bytes()


def test_what_a_reply_is() -> None:
    """Who, about which mail of ours, the words above the quotation, the letter's own id and time."""
    assert said_in(letter()) == Said(
        "reader@example.com", "收到", "reply-1@example.com", OURS, datetime(2026, 9, 28, 1, 31, tzinfo=UTC)
    )


WAYS_TO_QUOTE = [
    f"收到，今日办结\n\n{QUOTE}\n",
    f"收到，今日办结\n\nOn Mon, Sep 28, 2026 at 9:30 AM 督查室 <duban@example.com> wrote:\n\n{QUOTE}",
    "收到，今日办结\n\nOn Mon, Sep 28, 2026 at 9:30 AM 督查室\n<duban@example.com> wrote:\n提醒",
    f"收到，今日办结\n\n在 2026-09-28 09:30:00，“督查室”<duban@example.com> 写道：\n\n{QUOTE}",
    '收到，今日办结\n\n\n------------------ 原始邮件 ------------------\n发件人: "督查室" <duban@example.com>;\n提醒',
    "收到，今日办结\n\n-----Original Message-----\nFrom: 督查室\nSent: Monday\n提醒",
    "收到，今日办结\n\n________________________________\n发件人: 督查室 <duban@example.com>\n发送时间: 周一\n提醒",
    "收到，今日办结\n\nFrom: 督查室 <duban@example.com>\nDate: Monday\n提醒",
    "收到，今日办结\n\n发自我的iPhone\n\n> 提醒",
    "收到，今日办结\n-- \n张三\n某区信访局\n\n提醒",
]


@pytest.mark.parametrize("text", WAYS_TO_QUOTE)
def test_only_the_words_above_the_quotation_count(text: str) -> None:
    """However the mail program quotes our letter or signs, none of it is taken for what the person said."""
    said = said_in(letter(text))
    assert said is not None
    assert said.text == "收到，今日办结"


PAGES = [
    '<div>收到，<b>今日办结</b></div><div class="gmail_quote">On Mon<blockquote>提醒</blockquote></div>',
    "<html><head><style>p{}</style></head><body><p>收到，今日办结</p><blockquote>提醒</blockquote></body></html>",
    '<div>收到，今日办结</div><div id="divRplyFwdMsg"><b>发件人:</b> 督查室</div><div>提醒</div>',
    "<p>收到，今日办结</p><p>------------------&nbsp;原始邮件&nbsp;------------------</p><p>提醒</p>",
]


@pytest.mark.parametrize("page", PAGES)
def test_a_reply_in_html_alone(page: str) -> None:
    """Phones that write no plain text are understood too."""
    said = said_in(letter("", page))
    assert said is not None
    assert said.text == "收到，今日办结"


def test_a_reply_in_gb2312() -> None:
    """What calls itself GB2312 and holds a character beyond it is read all the same."""
    mail = letter(text="收到").replace(b'charset="utf-8"', b'charset="gb2312"')
    head, _, _ = mail.partition(b"\n\n")
    head = head.replace(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: 8bit")
    said = said_in(head + b"\n\n" + "收到，㐂某".encode("gb18030"))
    assert said is not None
    assert said.text == "收到，㐂某"


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; owner-email=x@example.com"},
        {"Return_Path": "<>"},
        {"Precedence": "bulk"},
        {"X_Autoreply": "yes"},
        {"Subject": "自动回复：【督办】提醒"},
        {"Subject": "Automatic reply: 督办"},
        {"Subject": "Out of Office: 督办"},
        {"From": "MAILER-DAEMON@relay.example"},
        {"From": "postmaster@relay.example"},
        {"From": None},
        {"From": "nobody"},
        {"From": "Reader@Example.com, other@evil.example"},
        {"In_Reply_To": None},
        {"In_Reply_To": "<abc@example.com>"},
    ],
)
def test_what_is_no_reply_of_a_person(headers: dict[str, str | None]) -> None:
    """Programs, out-of-office notes, bounces, and letters about something else say nothing to us."""
    assert said_in(letter(**headers)) is None


def test_a_letter_with_two_senders_is_nobodys() -> None:
    """A server checks one From line and lets the letter pass; the other may be anybody's name."""
    assert said_in(b"From: other@evil.example\n" + letter()) is None


def test_a_reply_to_a_reply() -> None:
    """Without In-Reply-To, or with somebody else's, the last of our mails in References is meant; `no` is a person."""
    other = reference_of("k1")
    chain = f"<{other}@example.com> <{OURS}@example.com> <reply-0@example.com>"
    said = said_in(letter(In_Reply_To="<reply-0@example.com>", References=chain, Auto_Submitted="no"))
    assert said is not None
    assert said.about == OURS


def test_a_letter_without_an_id_or_time() -> None:
    """The same letter has the same name, another one another; a time that is none is left out."""
    bare: dict[str, str | None] = {"Message_ID": None, "Date": "yesterday"}
    first, again, other = (said_in(letter(text, **bare)) for text in ("收到", "收到", "不是我的"))
    assert first is not None
    assert other is not None
    assert first == again
    assert first.at is None
    assert len(first.reference) == 32
    assert other.reference != first.reference


@given(content=st.binary(max_size=1500), cut=st.integers(0, 700))
def test_no_letter_breaks_the_reading(content: bytes, cut: int) -> None:
    """Whatever a stranger writes, and wherever it is cut off: no error, and text that can be kept."""
    for mail in (content, letter()[:cut] + content, letter("x", content.decode("latin-1").replace("\r", ""))):
        said = said_in(mail)
        if said is not None:
            f"{said.text}{said.sender}{said.reference}".encode()
            assert "\0" not in said.text


# --- over IMAP -------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def reading(**mailboxes: ImapServer) -> AsyncIterator[EmailChannel]:
    """A channel with these mailboxes."""
    login: dict[str, Any] = {"host": "127.0.0.1", "username": "duban", "password": PASSWORD, "timeout": 2}
    login |= {"encryption": "none", "login_without_encryption": True}
    async with channel_to(1, **{name: login | {"port": one.port} for name, one in mailboxes.items()}) as channel:
        yield channel


async def test_replies_are_told_once_and_marked_as_read_afterwards() -> None:
    """From the mailbox of bounces as well as from one of its own; a private letter stays as it is."""
    async with imap_server() as bounces, imap_server() as replies:
        bounces.receive(letter("收到 1"))
        replies.receive(letter("不是给督办的", In_Reply_To=None))
        replies.receive(letter("签收 2", Message_ID="<reply-2@example.com>"))
        async with reading(bounce_mailbox=bounces, reply_mailbox=replies) as channel:
            assert [one.text for one in (await channel.collect()).said] == ["收到 1", "签收 2"]
            assert (bounces.read, replies.read) == ([], [])
            assert await channel.collect() == News()
            assert (bounces.read, replies.read) == ([1], [2])


async def test_one_mailbox_that_is_away_holds_up_no_other() -> None:
    """What the other says is told; the failure is told when there is nothing else."""
    async with imap_server() as bounces, imap_server() as replies:
        replies.receive(letter())
        async with reading(bounce_mailbox=bounces, reply_mailbox=replies) as channel:
            await bounces.stop()
            assert len((await channel.collect()).said) == 1
            with pytest.raises(TemporaryFailure):
                await channel.collect()
            assert replies.read == [1]


async def test_a_real_mail_of_ours_is_answered() -> None:
    """The id a mail program puts into In-Reply-To is the one our mail went out with."""
    async with smtp_server() as server, channel_to(server.port) as channel:
        await channel.send_many(mails(1))
    sent = server.mails[0]
    said = said_in(letter(In_Reply_To=str(sent["Message-ID"]), Subject=f"Re: {sent['Subject']}"))
    assert said is not None
    assert said.about == reference_of("k0")
