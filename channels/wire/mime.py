"""A message turned into the bytes of a mail, without the standard library's objects: they take a hundred times longer.

What is the same for every mail of a channel is worked out once; the rest is base64 and joining. The same message gives
the same bytes, so that a resend can be recognised; only the mark of a possible duplicate differs.

The rules followed: RFC 5322 (headers), RFC 2047 (encoded words of at most 75 characters, lines with them at most 76, no
character split), RFC 2045/2046 (base64, multipart/alternative), RFC 3834 (Auto-Submitted), RFC 6531 (SMTPUTF8).
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from channels.base import PermanentFailure
from channels.wire.identity import reference_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from channels.base import Message
    from channels.email import EmailSettings, Unsubscribe
    from channels.wire.dkim import Signer

_WORD_BYTES = 39  # 39 bytes are 52 characters of base64, 64 with the frame: fits behind the longest header name we use
_LINE = 76
_LOCAL_LIMIT, _ADDRESS_LIMIT = 64, 254  # RFC 5321 4.5.3.1
# printable ASCII that no reader takes for an encoded word and no relay folds differently
_PLAIN = re.compile(r"(?!.*=\?)(?! )(?!.*  )[\x20-\x7e]{0,60}(?<! )")
_ATOMS = re.compile(r"[^\x00-\x20\x7f@<>(),:;\"\[\]\\.]+(\.[^\x00-\x20\x7f@<>(),:;\"\[\]\\.]+)*")
_BROKEN = re.compile(r"[\r\n\0\ud800-\udfff]")
_CHARACTER_START, _CONTINUATION = 0xC0, 0x80


@dataclass(frozen=True, slots=True)
class Mail:
    """Bytes ready for the wire: the path for RCPT TO, the content, and whether the server must know SMTPUTF8.

    `reference` is our own name of the message, which a report about the mail repeats (RFC 3461 4.4).
    """

    recipient: bytes
    content: bytes
    international: bool
    reference: bytes


@dataclass(frozen=True, slots=True)
class MailFrame:
    """Everything about a channel's mails that does not change from one to the next."""

    sender: str  # for MAIL FROM
    sender_header: str
    domain: str
    international: bool
    unsubscribe: str = ""
    signers: tuple[Signer, ...] = ()

    @classmethod
    def of(cls, settings: EmailSettings) -> MailFrame:
        """The frame for these settings."""
        sender, international = mailbox(settings.bounces_to or settings.sender.address)
        address, from_international = mailbox(settings.sender.address)
        headers = _named_address("From", settings.sender.name, address)
        if settings.reply_to is not None:
            reply_address, reply_international = mailbox(settings.reply_to.address)
            headers += _named_address("Reply-To", settings.reply_to.name, reply_address)
            from_international |= reply_international
        domain = _ascii_domain(settings.message_domain)
        wide = international or from_international
        return cls(sender, headers, domain, wide, _unsubscribe(settings.unsubscribe), _signers(settings))

    def build(self, message: Message) -> Mail:
        """The mail for one message.

        Raises:
            PermanentFailure: the address is no mailbox, or a header holds a line break or half a character.
        """
        recipient, international = mailbox(message.to)
        reference = reference_of(message.key)
        head = (
            f"Date: {_date(message.at)}\r\n"
            f"{self.sender_header}"
            f"{_named_address('To', message.to_name, recipient)}"
            f"{_subject(message.subject)}"
            f"Message-ID: <{reference}@{self.domain}>\r\n"
            "MIME-Version: 1.0\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "Content-Language: zh-CN\r\n"
            f"{self.unsubscribe}"
            f"X-Duban-Key: {reference}\r\n"
            f"{'X-Duban-Possible-Duplicate: yes' + chr(13) + chr(10) if message.possible_duplicate else ''}"
        )
        content = head.encode() + _body(message, reference)
        if self.signers:
            content = self._signed(content, message.at)
        return Mail(recipient.encode(), content, self.international or international, reference.encode())

    def _signed(self, content: bytes, at: datetime) -> bytes:
        from channels.wire.dkim import signatures  # noqa: PLC0415  # only an office that signs loads the library

        return signatures(content, self.signers, at) + content


def _signers(settings: EmailSettings) -> tuple[Signer, ...]:
    if not settings.dkim:
        return ()
    from channels.wire.dkim import Signer, private_key  # noqa: PLC0415  # only an office that signs loads the library

    own = settings.sender.address.rpartition("@")[2]
    return tuple(
        Signer(_ascii_domain(one.domain or own), one.selector, private_key(one.key.get_secret_value()))
        for one in settings.dkim
    )


def _unsubscribe(offered: Unsubscribe | None) -> str:
    """RFC 2369, RFC 8058: the mailbox first, where there are both."""
    if offered is None:
        return ""
    ways = ([f"<mailto:{offered.mail}>"] if offered.mail else []) + ([f"<{offered.url}>"] if offered.url else [])
    listed = ",\r\n ".join(ways)
    post = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if offered.one_click else ""
    return f"List-Unsubscribe: {listed}\r\n{post}"


def mailbox(address: str) -> tuple[str, bool]:
    """The address as it goes on the wire, and whether it needs SMTPUTF8; a Chinese domain is written in ASCII.

    Raises:
        PermanentFailure: it is no mailbox.
    """
    local, _, domain = address.rpartition("@")
    if _BROKEN.search(address) or not (_ATOMS.fullmatch(local) and _ATOMS.fullmatch(domain)):
        raise PermanentFailure("bad_address", "not a mailbox")
    written = f"{local}@{_ascii_domain(domain)}"
    if len(local.encode()) > _LOCAL_LIMIT or len(written.encode()) > _ADDRESS_LIMIT:
        raise PermanentFailure("bad_address", "mailbox too long")
    return written, not written.isascii()


def encoded_words(text: str) -> list[str]:
    """The text as RFC 2047 words, none of which ends inside a character."""
    raw = text.encode()
    words: list[str] = []
    start = 0
    while start < len(raw):
        end = start + _WORD_BYTES
        while end < len(raw) and raw[end] & _CHARACTER_START == _CONTINUATION:
            end -= 1
        words.append(f"=?utf-8?B?{b2a_base64(raw[start:end], newline=False).decode()}?=")
        start = end
    return words


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        raise PermanentFailure("bad_address", "not a domain") from None


def _checked(text: str) -> str:
    if _BROKEN.search(text):
        raise PermanentFailure("bad_header", "a line break or half a character in a header")
    return text


def _subject(text: str) -> str:
    if _PLAIN.fullmatch(_checked(text)):
        return f"Subject: {text}\r\n"
    return "Subject: " + "\r\n ".join(encoded_words(text)) + "\r\n"


def _named_address(header: str, name: str, address: str) -> str:
    if not name:
        return f"{header}: {address}\r\n"
    if _PLAIN.fullmatch(_checked(name)):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        last = f'{header}: "{escaped}"'
        before = ""
    else:
        *earlier, last = encoded_words(name)
        lines = [f"{header}: {(earlier or [last])[0]}", *(f" {word}" for word in earlier[1:])]
        before = "".join(f"{line}\r\n" for line in lines) if earlier else ""
        last = f" {last}" if earlier else lines[0]
    gap = " " if len(last) + len(address) + 3 <= _LINE else "\r\n "
    return f"{before}{last}{gap}<{address}>\r\n"


def _body(message: Message, reference: str) -> bytes:
    if not message.html:
        return _part("plain", message.text) + b"\r\n"
    boundary = f"=_duban_{reference}".encode()  # no line of base64 holds "=_"
    return b"".join(
        (
            b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n--' + boundary + b"\r\n",
            _part("plain", message.text),
            b"\r\n--" + boundary + b"\r\n",
            _part("html", message.html),
            b"\r\n--" + boundary + b"--\r\n",
        )
    )


def _part(kind: str, text: str) -> bytes:
    """One part with its headers; lines end as RFC 2045 6.8 wants them before base64."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        raw = text.encode().replace(b"\n", b"\r\n")
    except UnicodeEncodeError:
        raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None
    coded = b2a_base64(raw, newline=False)
    lines = _split_of(len(coded))(coded)
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head.encode() + b"\r\n".join(lines)


@lru_cache(maxsize=1024)
def _split_of(length: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Cuts that many bytes into lines; a third of the time of slicing them one by one."""
    whole, rest = divmod(length, _LINE)
    return Struct(f"{_LINE}s" * whole + (f"{rest}s" if rest else "")).unpack


@lru_cache(maxsize=1024)
def _date(at: datetime) -> str:
    """The instant as a Date header says it; the mails of one decision share theirs."""
    return format_datetime(at.astimezone(UTC))
