"""A gateway's calls as its YAML describes them: see that they are the gateway's, read them, answer."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from channels.base import Answer, CallRefused, PermanentFailure
from channels.wire.call import Unreadable, arrived, failed, instant, learnt_of, news_of, said_by
from channels.wire.gateway import MISSING, as_word, at_path, compute, content_type, encode_body
from channels.wire.template import fill
from channels.wire.verdict import OPTED_OUT

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from channels.base import Call, Learnt, News, Receipt, Said
    from channels.wire.call_settings import Calls, Place, Receipts, Replies
    from channels.wire.http_parts import Charset

_MOST_FIELDS = 1000


class DescribedCalls:
    """Reads the calls of one gateway; `own` are its settings' values and secrets."""

    def __init__(self, calls: Calls, own: Mapping[str, str], zone: ZoneInfo) -> None:
        self._calls = calls
        self._own = own
        self._zone = zone
        self._answer = _answer(calls)

    def hear(self, call: Call) -> tuple[News, Answer]:
        """What a call tells.

        Raises:
            CallRefused: its proof is wrong or missing, or it holds neither a receipt nor a reply.
        """
        whole = Contents(call, self._calls.charset)
        self._require_proof(whole)
        return news_of(self._records(whole), self._told), self._answer

    def _require_proof(self, whole: Contents) -> None:
        proof = self._calls.proof
        given = whole.at(proof)
        if given is None:
            raise CallRefused("no_proof")
        values = {**self._own}
        try:
            for computed in self._calls.compute:
                values[computed.name] = compute(computed, whole.among(values))
            wanted = fill(proof.equals, whole.among(values))
            genuine = hmac.compare_digest(given.encode(), wanted.encode())
        except (PermanentFailure, UnicodeError):  # a field the proof is made of is missing, or no text
            genuine = False
        if not genuine:
            raise CallRefused("wrong_proof")

    def _records(self, whole: Contents) -> list[Contents]:
        path = self._calls.records
        found = whole.tree if path is None else at_path(whole.tree, path)
        if isinstance(found, list):
            return [whole.with_tree(one) for one in cast("list[object]", found)]
        if path is not None:
            raise CallRefused("no_records", 400)
        return [whole]

    def _told(self, record: Contents) -> Learnt | Said | None:
        receipts, replies = self._calls.receipts, self._calls.replies
        status = record.at(receipts.status) if receipts is not None else None
        if receipts is not None and status is not None:
            return _learnt(receipts, record, status, self._zone)
        if replies is None:
            raise Unreadable
        return _said(replies, record, self._zone)


def _learnt(receipts: Receipts, record: Contents, status: str, zone: ZoneInfo) -> Learnt | None:
    theirs = record.word(receipts.theirs)
    has_arrived = status in receipts.delivered or status in receipts.read
    has_failed = status in receipts.failed or (receipts.unlisted == "failed" and status not in receipts.waiting)
    reason = record.word(receipts.code) or status
    if has_arrived:
        outcome: Receipt | PermanentFailure = arrived(status, theirs=theirs, read=status in receipts.read)
    else:
        outcome = PermanentFailure(OPTED_OUT) if reason in receipts.opted_out else failed(reason)
    told = learnt_of(
        outcome, ours=record.word(receipts.ours), theirs=theirs, at=instant(record.word(receipts.at), zone)
    )
    return told if has_arrived or has_failed else None


def _said(replies: Replies, record: Contents, zone: ZoneInfo) -> Said:
    at = instant(record.word(replies.at), zone)
    return said_by(record.word(replies.sender), record.at(replies.text), reference=record.word(replies.id), at=at)


def _answer(calls: Calls) -> Answer:
    body = calls.answer.body
    if body is None:
        return Answer(calls.answer.status)
    return Answer(calls.answer.status, encode_body(body, {}), content_type(body))


class Contents:
    """What stands where in a call, or in one record of it."""

    def __init__(self, call: Call, charset: Charset) -> None:
        self._call = call
        self._query = _fields(urlsplit(call.url).query, charset)
        self._form = _fields(call.body.decode("latin-1"), charset) if call.method != "GET" else {}
        self.tree = _parsed(call.body)

    def with_tree(self, tree: object) -> Contents:
        """The same call, with one record of its JSON."""
        one = object.__new__(Contents)
        one._call, one._query, one._form, one.tree = self._call, self._query, self._form, tree
        return one

    def at(self, place: Place) -> str | None:
        """What stands there as text; None if nothing does."""
        if place.query is not None:
            return self._query.get(place.query)
        if place.form is not None:
            return self._form.get(place.form)
        if place.header is not None:
            return self._call.headers.get(place.header.lower())
        if place.path_in_json is not None:
            return self._in_json(place.path_in_json)
        return unquote(urlsplit(self._call.url).path.rpartition("/")[2])

    def word(self, place: Place | None) -> str:
        """The same; empty if nothing stands there."""
        return (self.at(place) or "") if place is not None else ""

    def named(self, name: str) -> str | None:
        """What a placeholder stands for: `query.x`, `form.x`, `json.a.b`, `header.x`, `body`, `url`, `method`."""
        kind, _, rest = name.partition(".")
        if kind == "json":
            return self._in_json(rest)
        if kind in {"query", "form"}:
            return (self._query if kind == "query" else self._form).get(rest)
        if kind == "header":
            return self._call.headers.get(rest.lower())
        whole = {"body": self._call.body.decode("utf-8", "replace"), "url": self._call.url, "method": self._call.method}
        return whole.get(name)

    def among(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """These values, and behind them what stands in the call."""
        return _Values(values, self)

    def _in_json(self, path: str) -> str | None:
        found = at_path(self.tree, path)
        return None if found is MISSING or found is None or isinstance(found, dict | list) else as_word(found)


class _Values(Mapping[str, str]):
    """What `fill` looks placeholders up in."""

    def __init__(self, own: Mapping[str, str], contents: Contents) -> None:
        self._own = own
        self._contents = contents

    def __getitem__(self, name: str) -> str:
        found = self._own[name] if name in self._own else self._contents.named(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def _fields(written: str, charset: Charset) -> dict[str, str]:
    try:
        pairs = parse_qsl(written, keep_blank_values=True, encoding=charset, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return dict(pairs)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return MISSING
