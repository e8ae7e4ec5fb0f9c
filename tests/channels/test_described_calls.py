"""Gateways whose calls are described in YAML."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from channels.base import Call, CallRefused, Learnt, Listening, Message, News, PermanentFailure, Receipt, Said
from channels.http import HttpSettings, open_http
from channels.wire.identity import reference_of
from support.provider_calls import CALLBACK_TOKEN, HERE, get, post_form, post_json
from support.sms_gateway import SmsGateway, running

OURS = reference_of("k1")
NUMBER = "+8613800000001"
SENDING: dict[str, Any] = {"url": "http://127.0.0.1:1/sms", "success": {"text": "OK"}}
SECRETS = {"secrets": {"callback_token": CALLBACK_TOKEN, "sign_key": "not-a-real-key"}}

KANNEL = """
proof: {query: token, equals: "{callback_token}"}
receipts:
  ours: {query: ours}
  theirs: {query: id}
  status: {query: type}
  delivered: [1]
  failed: [2, 16]
  waiting: [4, 8]
  code: {query: error}
replies: {sender: {query: from}, text: {query: text}, id: {query: id}}
"""

MAS = """
proof: {last_part: true, equals: "{callback_token}"}
receipts:
  theirs: {json: msgGroup}
  status: {json: reportStatus}
  delivered: ["CM:0000"]
  unlisted: failed
  code: {json: errorCode}
  at: {json: receiveDate}
replies: {sender: {json: mobile}, text: {json: smsContent}, at: {json: sendTime}}
answer: {body: {format: json, content: {success: true}}}
"""

SIGNED = """
compute:
  - {name: sign, concat: ["{json.time}", "{body}"], digest: hmac-sha256, key: "{sign_key}", encode: hex}
proof: {header: X-Sign, equals: "sha256={sign}"}
records: data.items
receipts: {ours: {json: custom}, status: {json: ok}, delivered: [true], failed: [false], code: {json: why}}
replies: {sender: {json: from}, text: {json: words}, id: {json: nr}, at: {json: at}}
answer: {status: 202, body: {format: text, content: "OK"}}
"""


def listening(description: str, **changes: Any) -> Listening:
    """A channel that listens as described."""
    channel = open_http(
        HttpSettings.model_validate({**SENDING, **SECRETS, "calls": yaml.safe_load(description)} | changes)
    )
    assert isinstance(channel, Listening)
    return channel


# --- Kannel ----------------------------------------------------------------------------------------------------

AT_KANNEL = f"{HERE}?token={CALLBACK_TOKEN}"


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("1", Receipt("i1", delivered=True, answer="1")),
        ("2", "ERR:011"),
        ("16", "ERR:011"),
        ("4", None),
        ("8", None),
        ("32", None),
    ],
)
def test_kannel_s_delivery_reports(status: str, wanted: object) -> None:
    """Each type of Kannel's %d: delivered, failed and rejected are told; buffered, taken and unknown say nothing."""
    news, answer = listening(KANNEL).hear(get(f"{AT_KANNEL}&ours={OURS}&type={status}&id=i1&error=ERR:011"))
    assert answer.status == 200
    if wanted is None:
        assert news == News()
        return
    (learnt,) = news.learnt
    assert (learnt.ours, learnt.theirs) == (OURS, "i1")
    assert learnt.outcome == wanted or getattr(learnt.outcome, "code", "") == wanted


def test_a_reader_who_has_opted_out() -> None:
    """Where the gateway has a reason for it, the failure has our word for it."""
    description = KANNEL.replace("code: {query: error}", "code: {query: error}\n  opted_out: [TD]")
    news, _ = listening(description).hear(get(f"{AT_KANNEL}&ours={OURS}&type=2&error=TD"))
    (learnt,) = news.learnt
    assert isinstance(learnt.outcome, PermanentFailure)
    assert learnt.outcome.code == "opted_out"


def test_kannel_s_inbound_texts() -> None:
    """What Kannel gets is a reply, by its own id."""
    news, _ = listening(KANNEL).hear(get(f"{AT_KANNEL}&from=%2B8613800000001&text=%E6%94%B6%E5%88%B0+1&id=i7"))
    assert news.said == (Said(NUMBER, "收到 1", "i7"),)


# --- 云MAS -----------------------------------------------------------------------------------------------------


def test_mas_as_a_description() -> None:
    """Reports and replies of 云MAS, with the secret as the last part of the address, in JSON alone or in a list."""
    url = f"{HERE}/{CALLBACK_TOKEN}"
    good = {"msgGroup": "G1", "reportStatus": "CM:0000", "errorCode": "DELIVRD", "receiveDate": "20260928093005"}
    bad = {"msgGroup": "G2", "reportStatus": "CM:1000", "errorCode": "DB:0140"}
    channel = listening(MAS)
    news, answer = channel.hear(post_json(url, good))
    at = datetime(2026, 9, 28, 1, 30, 5, tzinfo=UTC)
    assert news == News((Learnt(Receipt("G1", delivered=True, answer="CM:0000"), "", "G1", at),))
    assert (answer.status, answer.body, answer.content_type) == (
        200,
        b'{"success":true}',
        "application/json; charset=utf-8",
    )
    first, second = channel.hear(post_json(url, [good, bad]))[0].learnt
    assert isinstance(first.outcome, Receipt)
    assert isinstance(second.outcome, PermanentFailure)
    assert second.outcome.code == "DB:0140"
    said = {"mobile": "13800000001", "smsContent": "收到", "sendTime": "2026-09-28 09:30:05"}
    assert channel.hear(post_json(url, said))[0].said == (Said(NUMBER, "收到", at=at),)


# --- a signed gateway ------------------------------------------------------------------------------------------


def signed(tree: dict[str, Any], key: bytes = b"not-a-real-key") -> Call:
    """JSON with its HMAC over time and body."""
    call = post_json(HERE, tree)
    proof = hmac.new(key, str(tree.get("time")).encode() + call.body, hashlib.sha256).hexdigest()
    return replace(call, headers={**call.headers, "x-sign": f"sha256={proof}"})


TOLD: dict[str, Any] = {
    "time": 1790559005,
    "data": {
        "items": [
            {"custom": OURS, "ok": True},
            {"custom": reference_of("k2"), "ok": False, "why": "E7"},
            {"from": "13800000001", "words": "收到𠮷", "nr": 77, "at": 1790559005},
        ]
    },
}


def test_a_signed_gateway_that_tells_several_things_at_once() -> None:
    """Receipts and a reply in one signed call, each read from its own place; numbers and true are taken as text."""
    news, answer = listening(SIGNED).hear(signed(TOLD))
    assert [one.ours for one in news.learnt] == [OURS, reference_of("k2")]
    assert [getattr(one.outcome, "code", "arrived") for one in news.learnt] == ["arrived", "E7"]
    assert news.said == (Said(NUMBER, "收到𠮷", "77", at=datetime(2026, 9, 28, 1, 30, 5, tzinfo=UTC)),)
    assert (answer.status, answer.body) == (202, b"OK")


GENUINE = signed(TOLD)


@pytest.mark.parametrize(
    ("call", "code", "status"),
    [
        (post_json(HERE, TOLD), "no_proof", 403),
        (signed(TOLD, b"another-key"), "wrong_proof", 403),
        (replace(GENUINE, body=GENUINE.body.replace(b"E7", b"E8")), "wrong_proof", 403),
        (replace(GENUINE, body=b"\xff"), "wrong_proof", 403),
        (replace(GENUINE, headers={"x-sign": "sha256=密"}), "wrong_proof", 403),
        (signed({"time": 1}), "no_records", 400),
        (signed({"time": 1, "data": {"items": [7]}}), "unreadable", 400),
        (signed({"time": 1, "data": {"items": [{"from": "13800000001"}]}}), "unreadable", 400),
    ],
)
def test_a_call_that_is_not_as_described(call: Call, code: str, status: int) -> None:
    """Unsigned, signed by somebody else, changed, or without what it should hold: refused."""
    with pytest.raises(CallRefused) as caught:
        listening(SIGNED).hear(call)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_a_signature_over_sorted_fields_of_a_form() -> None:
    """The usual signature of Chinese gateways: the fields in order with the key behind, MD5 in capitals, in a form."""
    description = """
    charset: gbk
    compute:
      - {name: fields, sorted: {mobile: "{form.mobile}", text: "{form.text}", ts: "{form.ts}"}}
      - {name: sign, concat: ["{fields}", "&key={sign_key}"], digest: md5, encode: hex, letters: upper}
    proof: {form: sign, equals: "{sign}"}
    replies: {sender: {form: mobile}, text: {form: text}}
    """
    material = "mobile=13800000001&text=收到&ts=1&key=not-a-real-key"
    sign = hashlib.md5(material.encode(), usedforsecurity=False).hexdigest().upper()
    fields = {"mobile": "13800000001", "ts": "1", "sign": sign}
    call = post_form(HERE, fields)
    call = replace(call, body=call.body + b"&text=%CA%D5%B5%BD")  # 收到 in GBK
    assert listening(description).hear(call)[0].said[0].text == "收到"


# --- our own address in requests -------------------------------------------------------------------------------


async def test_our_address_goes_along() -> None:
    """`{callback}` is the channel's address; in an address it is escaped as every value, in a body only if asked."""
    fields = ("to", "text", "key", "reference", "possible_duplicate")
    content = {name: f"{{{name}}}" for name in fields}
    content |= {"text": "{callback}?token={callback_token}&ours={reference}", "key": "{callback_escaped}"}
    async with running(SmsGateway()) as server:
        settings: dict[str, Any] = {"url": f"{server.url}/sms", "success": {"json": {"code": "0"}}}
        settings |= {"body": {"format": "json", "content": content}}
        channel = open_http(HttpSettings.model_validate({**settings, **SECRETS, "calls": yaml.safe_load(KANNEL)}))
        assert isinstance(channel, Listening)
        channel.listen_at(HERE)
        await channel.send_many([Message("k1", NUMBER, "提醒", datetime.now(UTC))])
        await channel.close()
        (sent,) = server.messages
    assert sent["text"] == f"{HERE}?token={CALLBACK_TOKEN}&ours={OURS}"
    assert sent["key"] == "https%3A%2F%2Fduban.example.com%2Fin%2Fsms"


def test_a_gateway_without_calls_does_not_listen() -> None:
    """Without `calls` there is nobody to hear."""
    assert not isinstance(open_http(HttpSettings.model_validate(SENDING)), Listening)


# --- settings that cannot work ---------------------------------------------------------------------------------

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("no secret in the proof", {"proof": {"query": "token", "equals": "open sesame"}}, "anybody could call"),
    ("a digest of nothing secret", {"compute": [{"name": "s", "concat": ["{body}"], "digest": "md5", "encode": "hex"}],
                                    "proof": {"query": "s", "equals": "{s}"}}, "anybody could call"),
    ("two places", {"proof": {"query": "a", "form": "b", "equals": "{sign_key}"}}, "give one of query"),
    ("no place", {"proof": {"equals": "{sign_key}"}}, "give one of query"),
    ("unknown placeholder", {"proof": {"query": "a", "equals": "{kye}"}}, "unknown placeholder"),
    ("nothing told", {"receipts": None, "replies": None}, "give receipts or replies"),
    ("no reference", {"receipts": {"status": {"query": "s"}, "delivered": [1]}}, "give ours or theirs"),
    ("nothing arrives", {"receipts": {"status": {"query": "s"}, "ours": {"query": "o"}}}, "a status"),
    ("twice", {"receipts": {"status": {"query": "s"}, "ours": {"query": "o"}, "delivered": [1], "failed": ["1"]}},
     "two lists"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"), [(change, said) for _, change, said in BROKEN], ids=[x for x, *_ in BROKEN]
)
def test_descriptions_that_cannot_work(change: dict[str, Any], said: str) -> None:
    """A description that could be forged, reads nothing or contradicts itself is refused with what to write."""
    calls = yaml.safe_load(KANNEL) | change
    with pytest.raises(ValidationError, match=said):
        HttpSettings.model_validate({**SENDING, **SECRETS, "calls": calls})


def test_an_empty_secret_proves_nothing() -> None:
    """A credential nobody filled in would let everybody call."""
    calls = {
        "proof": {"query": "token", "equals": "{callback_token}"},
        "replies": {"sender": {"query": "from"}, "text": {"query": "text"}},
    }
    with pytest.raises(ValidationError, match="anybody could call"):
        HttpSettings.model_validate({**SENDING, "secrets": {"callback_token": ""}, "calls": calls})


def test_our_address_without_anybody_listening() -> None:
    """A request that names our address, in a channel that describes no calls, is a mistake."""
    with pytest.raises(ValidationError, match="nobody would listen"):
        HttpSettings.model_validate({**SENDING, "query": {"dlr-url": "{callback}"}})


def test_secrets_do_not_show() -> None:
    """Neither the settings nor a refusal print the secret."""
    channel = listening(KANNEL)
    with pytest.raises(CallRefused) as caught:
        channel.hear(get(f"{HERE}?token=wrong&type=1&ours={OURS}"))
    assert CALLBACK_TOKEN not in f"{caught.value!r}{HttpSettings.model_validate({**SENDING, **SECRETS})!r}"
