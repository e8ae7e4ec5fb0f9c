from __future__ import annotations

import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Message, PermanentFailure
from channels.email import EmailSettings
from channels.wire.mime import MailFrame, encoded_words, mailbox

if TYPE_CHECKING:
    from email.message import EmailMessage

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)

# what a header or a text may hold: everything but line breaks of a header, NUL and halves of characters
HEADER_TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=120)
MIXED = st.text(st.sampled_from("督办 提醒a.Z\"\\'()<>@,;:=?_𠮷𪚥עבריתالعربية🀄é"), max_size=120)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=120)


def frame(**changes: Any) -> MailFrame:
    """A frame for an office with a Chinese name."""
    sender = {"name": "某市信访局督查室", "address": "duban@example.com"}
    return MailFrame.of(EmailSettings.model_validate({"host": "relay.example", "from": sender} | changes))


def message(**changes: Any) -> Message:
    """A mail to an invented reader."""
    fields: dict[str, Any] = {"key": "k1", "to": "reader@example.com", "text": "内容", "at": AT, "subject": "提醒"}
    return Message(**(fields | changes))


def read(content: bytes) -> EmailMessage:
    """The mail as the standard library reads it."""
    return BytesParser(policy=email.policy.default).parsebytes(content)


def as_canonical(text: str) -> str:
    """Line ends as they travel (RFC 2045 6.8)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


@given(subject=HEADER_TEXT | MIXED | PRINTABLE)
def test_every_subject_is_read_back(subject: str) -> None:
    """The standard library's header reader gives back every subject, whatever the script."""
    mail = BytesParser(policy=email.policy.compat32).parsebytes(frame().build(message(subject=subject)).content)
    assert str(make_header(decode_header(str(mail["Subject"] or "")))) == subject


@given(name=HEADER_TEXT | MIXED | PRINTABLE)
def test_every_name_is_read_back(name: str) -> None:
    """A name of any length and script comes back by the rules of RFC 2047, with its address whole."""
    mail = BytesParser(policy=email.policy.compat32).parsebytes(frame().build(message(to_name=name)).content)
    phrase, address = parseaddr(str(mail["To"]).replace("\r\n", ""))
    assert str(make_header(decode_header(phrase))) == name
    assert address == "reader@example.com"


# Python 3.11's strict parser keeps the fold between two encoded words of one name, against RFC 2047 6.2: one word here
ONE_WORD = (PRINTABLE | MIXED).filter(lambda name: len(name.encode()) <= 39)


def _one_space(name: str) -> str:
    return re.sub(r"\s+", " ", name)


@given(subject=PRINTABLE | MIXED, name=ONE_WORD, own_name=ONE_WORD)
def test_names_and_subject_are_read_back_by_the_strict_parser(subject: str, name: str, own_name: str) -> None:
    """The strict parser finds subject, both names (it joins runs of white space) and both addresses, and no defect."""
    built = frame(**{"from": {"name": own_name, "address": "duban@example.com"}})
    mail = read(built.build(message(subject=subject, to_name=name)).content)
    assert mail["Subject"] == subject
    (to,), (sender,) = mail["To"].addresses, mail["From"].addresses
    assert (to.display_name, to.addr_spec) == (_one_space(name), "reader@example.com")
    assert (sender.display_name, sender.addr_spec) == (_one_space(own_name), "duban@example.com")
    assert not mail["To"].defects
    assert not mail["Subject"].defects


@given(text=st.text(st.characters(exclude_categories=["Cs"])), html=st.text(st.characters(exclude_categories=["Cs"])))
def test_both_parts_are_read_back(text: str, html: str) -> None:
    """Plain text and HTML come back exactly, with line ends in their travelling form."""
    mail = read(frame().build(message(text=text, html=html)).content)
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content() == as_canonical(text)
    if html:
        part = mail.get_body(("html",))
        assert part is not None
        assert part.get_content() == as_canonical(html)
    assert not mail.defects


@given(subject=HEADER_TEXT, name=HEADER_TEXT, text=st.text(st.characters(exclude_categories=["Cs"])))
def test_lines_are_short_and_plain_ascii(subject: str, name: str, text: str) -> None:
    """Header lines have at most 78 characters, all lines are ASCII and end in CRLF; nothing starts with a dot."""
    content = frame().build(message(subject=subject, to_name=name, text=text, html=text)).content
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert not [line for line in lines if line.startswith(b".")]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_encoded_words_are_whole(text: str) -> None:
    """Each RFC 2047 word has at most 75 characters and decodes on its own: no character is split."""
    words = encoded_words(text)
    assert max(map(len, words)) <= 75
    assert "".join(str(make_header(decode_header(word))) for word in words) == text


@pytest.mark.parametrize("field", ["subject", "to_name", "to"])
@pytest.mark.parametrize("mark", ["\r\n", "\n", "\r", "\0", "\ud800"])
def test_headers_cannot_be_injected(field: str, mark: str) -> None:
    """A line break, NUL or half a character in a header is refused, never sent."""
    with pytest.raises(PermanentFailure):
        frame().build(message(**{field: f"reader@example.com{mark}Bcc: x@example.com"}))


@pytest.mark.parametrize(
    "address", ["", "a", "@b.cn", "a@", "a b@c.cn", "a@b@c.cn", "<a@b.cn>", "a@b..cn", "a" * 65 + "@b.cn"]
)
def test_what_is_no_mailbox_is_refused(address: str) -> None:
    """Only plain mailboxes are sent to."""
    with pytest.raises(PermanentFailure):
        mailbox(address)


@pytest.mark.parametrize(
    ("address", "written", "international"),
    [
        ("a.b+c@example.com", "a.b+c@example.com", False),
        ("reader@法院.example", "reader@xn--nww899f.example", False),
        ("读者@example.com", "读者@example.com", True),
    ],
)
def test_chinese_mailboxes(address: str, written: str, international: bool) -> None:
    """A Chinese domain goes out in ASCII; a Chinese local part needs SMTPUTF8."""
    assert mailbox(address) == (written, international)


def test_the_same_message_gives_the_same_bytes() -> None:
    """A resend is byte-identical, but for the header that marks a possible duplicate."""
    first, second = frame().build(message()).content, frame().build(message()).content
    marked = frame().build(message(possible_duplicate=True)).content
    assert first == second
    assert marked.replace(b"X-Duban-Possible-Duplicate: yes\r\n", b"") == first
    assert frame().build(message(key="k2")).content != first


def test_headers_a_machine_looks_at() -> None:
    """Date, Message-ID and the marks of an automatic mail come from the message and the settings alone."""
    built = frame(domain="xinfang.example", reply_to={"name": "督查室", "address": "reply@example.com"})
    mail = read(built.build(message()).content)
    assert mail["Date"] == "Mon, 28 Sep 2026 01:30:00 +0000"
    assert mail["Message-ID"] == f"<{mail['X-Duban-Key']}@xinfang.example>"
    assert "k1" not in mail["X-Duban-Key"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "zh-CN"
    assert mail["Reply-To"].addresses[0].display_name == "督查室"
    assert mail["X-Duban-Possible-Duplicate"] is None
