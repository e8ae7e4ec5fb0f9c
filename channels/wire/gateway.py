"""A gateway as its YAML describes it: build the request, send it, read the answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from yarl import URL

from channels.base import (
    Message,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SendError,
    TemporaryFailure,
)
from channels.wire.exchange import Answer, HttpExchange, Sending, basic_auth_header
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts, written_number
from channels.wire.status import failure_of_status
from channels.wire.template import fill, fill_tree, fill_url
from channels.wire.verdict import OPTED_OUT, Meanings, safe_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import JsonValue

    from channels.base import Outcome
    from channels.http import AnswerTest, HttpSettings, Request, Where
    from channels.wire.http_parts import Body, Computed

_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "text/xml",
    "text": "text/plain",
}
_REFUSED = 400
_LONGEST_CODE = 40
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0, 2.2
MISSING = object()


def system_now() -> datetime:
    """The present instant: a gateway compares the time in a request with its own clock."""
    return datetime.now(UTC)


class Gateway:
    """Sends and asks as the settings describe."""

    def __init__(self, settings: HttpSettings, now: Callable[[], datetime] = system_now) -> None:
        self.listens_at = ""  # where the gateway reaches us
        self._settings = settings
        self._now = now
        self.zone = ZoneInfo(settings.time_zone)
        self.own = settings.values | {name: secret.get_secret_value() for name, secret in settings.secrets.items()}
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = HttpExchange(
            connections=settings.concurrency,
            connect_seconds=settings.connect_timeout,
            seconds=settings.timeout,
            ca_file=settings.ca_file,
        )

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def find(self, message: Message) -> Receipt | None:
        """What the gateway says about a message sent before.

        Raises:
            OutcomeUnknown: it cannot be asked, or says neither yes nor no.
        """
        lookup = self._settings.lookup
        if lookup is None:
            raise OutcomeUnknown("cannot_ask", "no lookup is configured for this gateway")
        try:
            answer = await self._request(lookup, message)
        except SendError as failure:
            raise OutcomeUnknown(failure.code, failure.detail) from None
        if _passes(lookup.present, answer):
            receipt = self._receipt(message, lookup.reference, answer)
            arrived = lookup.delivered is not None and _passes(lookup.delivered, answer)
            return replace(receipt, delivered=True) if arrived else receipt
        if _passes(lookup.absent, answer):
            return None
        raise OutcomeUnknown(f"http_{answer.status}", "the answer to the lookup says neither yes nor no")

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        answer = await self._request(self._settings, message)
        if _passes(self._settings.success, answer):
            return self._receipt(message, self._settings.reference, answer)
        raise refusal(self._settings, answer)

    async def _request(self, request: Request, message: Message) -> Answer:
        try:
            address, headers, data = self._written(request, message)
        except UnicodeEncodeError:
            raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None
        return await self._exchange.ask(request.method, address, headers=headers, data=data)

    def _written(self, request: Request, message: Message) -> tuple[URL, dict[str, str], bytes | None]:
        values = self._values(message)
        for computed in request.compute:
            values[computed.name] = compute(computed, values)
        headers = {name: _header(fill(text, values)) for name, text in request.headers.items()}
        if self._settings.basic_auth is not None:
            headers |= basic_auth_header(fill(self._settings.basic_auth, values))
        data: bytes | None = None
        if request.body is not None:
            data = encode_body(request.body, values)
            headers.setdefault("Content-Type", content_type(request.body))
        return _address(request, values), headers, data

    def _values(self, message: Message) -> dict[str, str]:
        return {
            "to": written_number(message.to, self._settings.number),
            "to_name": message.to_name,
            "text": message.text,
            "subject": message.subject,
            "key": message.key,
            "reference": reference_of(message.key),
            "possible_duplicate": "true" if message.possible_duplicate else "false",
            "nonce": uuid.uuid4().hex,
            "callback": self.listens_at,
            "callback_escaped": quote(self.listens_at, safe=""),
            **_instants("at", message.at, self.zone),
            **_instants("now", self._now(), self.zone),
            **{f"param.{name}": value for name, value in message.params.items()},
            **self.own,
        }

    def _receipt(self, message: Message, where: Where | None, answer: Answer) -> Receipt:
        found = _found(where, answer) if where is not None else None
        return Receipt(found or "", parts=sms_parts(message.text), answer=f"http_{answer.status}")


def refusal(settings: HttpSettings, answer: Answer) -> SendError:
    """Why an answer that is no success means not sent, or that nobody knows.

    The provider's own code, where it is found and listed, decides; then the status. An answer with neither a code nor a
    refusing status cannot be understood: unknown.
    """
    code = _found(settings.code, answer) if settings.code is not None else None
    if code is not None:
        listed = _by_code(settings, code[:_LONGEST_CODE], answer)
        if listed is not None:
            return listed
    return failure_of_status(answer, settings.unknown_status)


def _by_code(settings: HttpSettings, code: str, answer: Answer) -> SendError | None:
    errors = settings.errors
    listed = Meanings(
        words=dict.fromkeys(errors.opted_out, OPTED_OUT),
        whole_channel=frozenset(errors.whole_channel),
        permanent=frozenset((*errors.permanent, *errors.opted_out)),
        temporary=dict.fromkeys(errors.temporary),
        unknown=frozenset(errors.unknown),
    ).of(code, answer)
    if listed is not None or answer.status >= _REFUSED:
        return listed  # of an answer that refuses, the status says more than a code nobody listed
    kinds: dict[str, type[SendError]] = {
        "temporary": TemporaryFailure,
        "permanent": PermanentFailure,
        "unknown": OutcomeUnknown,
    }
    return kinds[errors.unlisted](safe_code(code), "a code that is not listed under errors")


def compute(computed: Computed, values: Mapping[str, str]) -> str:
    """The value of one entry of `compute:`, such as a signature."""
    if computed.concat is not None:
        material = computed.join.join(fill(text, values) for text in computed.concat)
    else:
        fields = sorted((name, fill(text, values)) for name, text in (computed.sorted_fields or {}).items())
        written = (
            f"{_percent(name)}={_percent(text)}" if computed.percent else f"{name}={text}" for name, text in fields
        )
        material = (computed.join or "&").join(written)
    raw = material.encode()
    if computed.digest.startswith("hmac-"):
        raw = hmac.new(fill(computed.key or "", values).encode(), raw, computed.digest.removeprefix("hmac-")).digest()
    elif computed.digest != "none":
        raw = hashlib.new(computed.digest, raw).digest()
    return _LETTERS[computed.letters](_ENCODINGS[computed.encode](raw))


_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": lambda raw: raw.hex(),
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "none": lambda raw: raw.decode(),
}
_LETTERS: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "as_is": str}


def encode_body(body: Body, values: Mapping[str, str]) -> bytes:
    """The body's bytes.

    Raises:
        PermanentFailure: the text cannot be written in the body's character set, or not in XML.
    """
    content = fill_tree(body.content, values)
    try:
        written = _WRITERS[body.format](content, body.charset)
    except UnicodeEncodeError:
        raise PermanentFailure("bad_text", f"a character that {body.charset} does not have") from None
    return base64.b64encode(written) if body.wrap == "base64" else written


def _json(content: JsonValue, charset: str) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(charset)


def _form(content: JsonValue, charset: str) -> bytes:
    fields = content.items() if isinstance(content, dict) else ()
    return urlencode([(name, str(value)) for name, value in fields], encoding=charset, errors="strict").encode()


def _xml(content: JsonValue, charset: str) -> bytes:
    assert isinstance(content, dict)  # noqa: S101  # the settings admit nothing else
    ((name, inner),) = content.items()
    root = ET.Element(name)
    _grow(root, inner)
    return f'<?xml version="1.0" encoding="{charset}"?>'.encode() + ET.tostring(root, "unicode").encode(charset)


def _grow(element: ET.Element, content: JsonValue) -> None:
    """Children from a mapping (`@name` is an attribute), repeated children from a list, text from the rest."""
    if not isinstance(content, dict):
        element.text = _xml_text(content)
        return
    for name, inner in content.items():
        if name.startswith("@"):
            element.set(name[1:], _xml_text(inner))
        else:
            for one in inner if isinstance(inner, list) else [inner]:
                _grow(ET.SubElement(element, name), one)


def _xml_text(content: JsonValue) -> str:
    text = "" if content is None else str(content)
    if _NOT_IN_XML.search(text):
        raise PermanentFailure("bad_text", "a control character, which XML does not have")
    return text


def _text(content: JsonValue, charset: str) -> bytes:
    return str(content).encode(charset)


_WRITERS: dict[str, Callable[[JsonValue, str], bytes]] = {"json": _json, "form": _form, "xml": _xml, "text": _text}


def content_type(body: Body) -> str:
    """The type of a body, as its header names it."""
    if body.content_type is not None:
        return body.content_type
    return f"{_TYPES[body.format]}; charset={body.charset}"


def _address(request: Request, values: Mapping[str, str]) -> URL:
    address = fill_url(request.url, values)
    if request.query:
        fields = {name: fill(text, values) for name, text in request.query.items()}
        try:
            query = urlencode(fields, encoding=request.query_charset, errors="strict")
        except UnicodeEncodeError:
            raise PermanentFailure("bad_text", f"a character that {request.query_charset} does not have") from None
        address += ("&" if "?" in address else "?") + query
    return URL(address, encoded=True)


def _header(text: str) -> str:
    if any(mark in text for mark in "\r\n\0"):
        raise PermanentFailure("bad_header", "a line break in a header")
    text.encode()  # the library would let half a character through
    return text


def _instants(prefix: str, at: datetime, zone: ZoneInfo) -> dict[str, str]:
    local = at.astimezone(zone)
    return {
        f"{prefix}_iso": local.isoformat(timespec="seconds"),
        f"{prefix}_unix": str(int(at.timestamp())),
        f"{prefix}_ms": str(int(at.timestamp() * 1000)),
        f"{prefix}_compact": local.strftime("%Y%m%d%H%M%S"),
        f"{prefix}_http": format_datetime(at.astimezone(UTC), usegmt=True),
    }


def _percent(text: str) -> str:
    return quote(text, safe="-_.~")


def _passes(test: AnswerTest, answer: Answer) -> bool:
    if answer.status not in test.status:
        return False
    if test.text is not None and answer.text.strip() != test.text:
        return False
    if test.regex is not None and re.search(test.regex, answer.text) is None:
        return False
    tree = _parsed(answer) if test.fields else None
    return all(_same(at_path(tree, path), wanted) for path, wanted in test.fields.items())


def _same(found: object, wanted: JsonValue) -> bool:
    """Equal, where the number 0 and the text "0" are the same; a list means any of it."""
    if isinstance(wanted, list):
        return any(_same(found, one) for one in wanted)
    return found is not MISSING and as_word(found) == as_word(wanted)


def as_word(value: object) -> str:
    """A value as it is compared: the number 0 and the text "0" are the same."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _parsed(answer: Answer) -> object:
    try:
        return json.loads(answer.text)
    except ValueError:
        return MISSING


def at_path(tree: object, path: str) -> object:
    """What stands there (`data.items.0.code`), or MISSING."""
    for step in path.split("."):
        if isinstance(tree, dict):
            tree = tree.get(step, MISSING)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        elif isinstance(tree, list) and step.isdecimal() and int(step) < len(tree):  # pyright: ignore[reportUnknownArgumentType]
            tree = tree[int(step)]  # pyright: ignore[reportUnknownVariableType]
        else:
            return MISSING
    return tree  # pyright: ignore[reportUnknownVariableType]


def _found(where: Where, answer: Answer) -> str | None:
    if where.path is not None:
        value = at_path(_parsed(answer), where.path)
        return None if value is MISSING or value is None else as_word(value)
    match = re.search(where.regex or "", answer.text)
    return (match[1] if match.lastindex else match[0]) if match else None
