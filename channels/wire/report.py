"""A report about a mail of ours (RFC 3464): which mail, and what became of it.

It is matched by the envelope id we gave (RFC 3461), else by the Message-ID or our own field in the mail it returns.
Nothing of a report but status codes goes further: the rest quotes addresses.
"""

from __future__ import annotations

import email.policy
import re
from email.message import Message
from email.parser import BytesParser, HeaderParser
from typing import TYPE_CHECKING, cast

from channels.base import Learnt, PermanentFailure, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCE = re.compile(r"[0-9a-f]{32}")
_IN_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@[^>]+>")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_GONE = ("delivered",)
_ON_ITS_WAY = ("relayed", "expanded")


def learnt_from(content: bytes) -> tuple[Learnt, ...] | None:
    """What a mail in the bounce mailbox tells; None if it is no report about a mail of ours.

    A delay is such a report and tells nothing yet: the server goes on trying.
    """
    try:
        mail = BytesParser(policy=email.policy.compat32).parsebytes(content)
        blocks = [block for block in _status_blocks(mail) if block.keys()]
        reference = _reference(mail, blocks)
    except (LookupError, ValueError, AttributeError, TypeError):  # a mail by a stranger may be broken in any way
        return None
    actions = {_word(block["Action"]): block for block in blocks if block["Action"]}
    if reference is None or not actions:
        return None
    if "failed" in actions:
        return (Learnt(PermanentFailure("bounced", _status(actions["failed"])), ours=reference),)
    for action in (*_GONE, *_ON_ITS_WAY):
        if action in actions:
            answer = f"{action} {_status(actions[action])}".strip()
            return (Learnt(Receipt(delivered=action in _GONE, answer=answer), ours=reference),)
    return ()


def _status_blocks(mail: Message) -> Iterator[Message]:
    """The fields about the mail and those about each recipient, in every part that holds some."""
    for part in mail.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            yield from _inner(part)
        elif kind == "message/global-delivery-status":  # RFC 6533: the parser knows only its first block
            for first in _inner(part):
                yield first
                rest = first.get_payload()
                yield from map(_parsed, re.split(r"\r?\n\r?\n", rest) if isinstance(rest, str) else ())


def _inner(part: Message) -> list[Message]:
    inner: object = part.get_payload()
    return [one for one in cast("list[object]", inner) if isinstance(one, Message)] if isinstance(inner, list) else []


def _parsed(text: str) -> Message:
    return HeaderParser(policy=email.policy.compat32).parsestr(text)


def _reference(mail: Message, blocks: list[Message]) -> str | None:
    for block in blocks:
        given = _word(block["Original-Envelope-Id"])
        if _REFERENCE.fullmatch(given):
            return given
    if not blocks:
        return None
    for returned in _returned(mail):
        own = _word(returned["X-Duban-Key"])
        if _REFERENCE.fullmatch(own):
            return own
        found = _IN_MESSAGE_ID.search(str(returned["Message-ID"] or ""))
        if found:
            return found[1]
    return None


def _returned(mail: Message) -> Iterator[Message]:
    """The header of the mail the report is about, as it came back."""
    for part in mail.walk():
        kind = part.get_content_type()
        if kind in {"message/rfc822", "message/global"}:
            yield from _inner(part)
        elif kind in {"text/rfc822-headers", "message/global-headers"}:
            raw = part.get_payload(decode=True)
            if isinstance(raw, bytes):
                yield _parsed(raw.decode("utf-8", "replace"))
            else:  # a part named message/… is parsed already
                yield from _inner(part)


def _word(value: object) -> str:
    return str(value or "").strip().lower()


def _status(block: Message) -> str:
    found = _STATUS.search(str(block["Status"] or ""))
    return found[0] if found else ""
