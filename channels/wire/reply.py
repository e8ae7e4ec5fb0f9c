"""A person's reply to one of our mails: which mail, from whom, what they wrote above the quotation.

Not a reply: what a program sent (RFC 3834: `Auto-Submitted` other than `no`, an empty return path), an out-of-office
note, a report, and any letter that names none of our mails in `In-Reply-To` or `References` (RFC 5322 3.6.4).
"""

from __future__ import annotations

import email.policy
import hashlib
import re
from datetime import UTC, datetime
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from channels.base import Said
from channels.wire.call import clean

if TYPE_CHECKING:
    from email.message import Message

_OURS = re.compile(r"<([0-9a-f]{32})@[^<>\s]+>", re.IGNORECASE)
_ID = re.compile(r"<([\x21-\x3b\x3d\x3f-\x7e]{1,200})>")
_BY_PROGRAM = ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Failed-Recipients")
_IN_BULK = {"bulk", "junk", "list", "auto_reply"}
_NOTE = re.compile(
    r"\s*(自动(回复|答复|应答)|外出|休假|auto(matic)?[- ]?repl|auto:|autoresponse|out of( the)? office)",
    re.IGNORECASE,
)
_NOBODY = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply)@", re.IGNORECASE)
# where the words of the one who replies end: what mail programs put above the letter they quote, or below a signature
_QUOTED = re.compile(
    r"""^\s*(?:
        >|\|\s
      | [-_=]{3,}.*$
      | (?:发件人|寄件人|发件时间|From|Sent)\s*[:：]\s*\S
      | (?:在|于)?.{0,120}(?:写道|寫道)\s*[:：]?\s*$
      | On\ .{5,200}\ wrote\s*:?\s*$
      | On\ (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun).{5,120}$
      | (?:发自|來自|来自|Sent\ from)\s?(?:我的|my\ )\S
      | --\ ?$
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LINES = 10
_BROKEN = (LookupError, ValueError, AttributeError, TypeError, RecursionError)  # what a stranger's mail may bring about


def said_in(content: bytes) -> Said | None:
    """What a person writes back to one of our mails; None for any other mail."""
    try:
        mail = BytesParser(policy=email.policy.compat32).parsebytes(content)
        about = _about(mail)
        sender = _sender(mail)
        if about is None or "@" not in sender or _is_by_a_program(mail, sender):
            return None
        return Said(clean(sender), _words(mail), _reference(mail, content), about, _at(mail))
    except _BROKEN:
        return None


def _sender(mail: Message) -> str:
    """From whom it is; nobody, if there are several: servers that check the sender (DMARC) look at one of them."""
    found = getaddresses([str(one) for one in mail.get_all("From", [])])
    return found[0][1].strip().lower() if len(found) == 1 else ""


def _about(mail: Message) -> str | None:
    """Our mail that is answered; of several the last one named."""
    for name in ("In-Reply-To", "References"):
        found = _OURS.findall(str(mail[name] or ""))
        if found:
            return str(found[-1]).lower()
    return None


def _is_by_a_program(mail: Message, sender: str) -> bool:
    word = str(mail["Auto-Submitted"] or "no").partition(";")[0].strip().lower()
    path = mail["Return-Path"]
    return (
        word != "no"
        or (path is not None and str(path).strip() == "<>")
        or any(mail[name] is not None for name in _BY_PROGRAM)
        or str(mail["Precedence"] or "").strip().lower() in _IN_BULK
        or mail.get_content_type() == "multipart/report"
        or _NOTE.match(_decoded(mail["Subject"])) is not None
        or _NOBODY.match(sender) is not None
    )


def _decoded(header: object) -> str:
    from email.header import decode_header, make_header  # noqa: PLC0415  # only here

    return str(make_header(decode_header(str(header or ""))))


def _reference(mail: Message, content: bytes) -> str:
    """The mail's own id; of one without, a digest of it."""
    found = _ID.search(str(mail["Message-ID"] or ""))
    return found[1] if found else hashlib.sha256(content).hexdigest()[:32]


def _at(mail: Message) -> datetime | None:
    try:
        at = parsedate_to_datetime(str(mail["Date"]))
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _words(mail: Message) -> str:
    text = _part(mail, "text/plain")
    if text is None:
        text = _from_html(_part(mail, "text/html") or "")
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTED.match(line):
            break
        if line.strip():
            lines.append(line.strip())
    return clean("\n".join(lines[:_LINES]))


def _part(mail: Message, kind: str) -> str | None:
    for part in mail.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            raw = part.get_payload(decode=True)
            return _text(raw, part.get_content_charset()) if isinstance(raw, bytes) else None
    return None


def _text(raw: bytes, charset: str | None) -> str:
    named = (charset or "utf-8").lower()
    named = "gb18030" if named in {"gb2312", "gbk", "x-gbk"} else named  # what says GB2312 is often more
    try:
        return raw.decode(named, "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


class _Above(HTMLParser):
    """The text of a page up to the first quotation."""

    _BREAKS = frozenset({"br", "p", "div", "tr", "li", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._over = False
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = " ".join(value or "" for name, value in attrs if name in {"class", "id"}).lower()
        self._over = (
            self._over or tag == "blockquote" or any(one in named for one in ("quote", "rplyfwd", "replycontent"))
        )
        self._hidden += tag in {"style", "script", "head"}
        if tag in self._BREAKS and not self._over:
            self.text += "\n"

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script", "head"}

    def handle_data(self, data: str) -> None:
        if not self._over and self._hidden <= 0:
            self.text += data


def _from_html(page: str) -> str:
    reader = _Above()
    reader.feed(page)
    return reader.text
