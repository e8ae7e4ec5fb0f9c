from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.http import HttpSettings, open_http
from channels.wire.exchange import Answer
from channels.wire.gateway import Gateway, compute, encode_body, refusal
from channels.wire.http_parts import Body, Computed
from channels.wire.sms import sms_parts, written_number
from channels.wire.template import fill
from support.certificates import make_certificate
from support.sms_gateway import Fault, SmsGateway, running

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)
GOOD: dict[str, Any] = {"url": "http://127.0.0.1:1/sms", "success": {"text": "OK"}}


def sms(text: str = "提醒：今日到期𠮷", **changes: Any) -> Message:
    """An SMS to an invented mobile."""
    fields: dict[str, Any] = {"key": "k1", "to": "+8613800000001", "at": AT, "text": text}
    return Message(**(fields | changes))


async def send(server: SmsGateway, message: Message, **settings: Any) -> Receipt | SendError:
    """Send one SMS through a channel with these settings."""
    url = settings.pop("url", f"{server.url}/sms")
    whole = {"url": url, "success": {"json": {"code": 0}}, "timeout": 2, **settings}
    channel = open_http(HttpSettings.model_validate(whole))
    try:
        (outcome,) = await channel.send_many([message])
    finally:
        await channel.close()
    return outcome


async def test_the_recipe_of_the_carriers_government_gateway() -> None:
    """A body of base64 over JSON, signed by MD5 over its fields with the secret, as 移动云MAS wants it."""
    fields = ("ecName", "apId", "sign", "addSerial", "mac")
    async with running(SmsGateway(base64_body=True)) as server:
        outcome = await send(
            server,
            sms(),
            values={"ecName": "某市信访局", "apId": "duban", "sign": "Sign1", "addSerial": ""},
            secrets={"secretKey": "not-a-real-key"},
            number="national",
            compute=[
                {
                    "name": "mac",
                    "concat": ["{ecName}{apId}{secretKey}", "{to}", "{text}", "{sign}", "{addSerial}"],
                    "digest": "md5",
                    "encode": "hex",
                    "letters": "lower",
                }
            ],
            body={
                "format": "json",
                "wrap": "base64",
                "content": {"mobiles": "{to}", "content": "{text}", **{name: f"{{{name}}}" for name in fields}},
            },
            reference={"json": "data.id"},
        )
    material = "某市信访局duban" + "not-a-real-key" + "13800000001" + "提醒：今日到期𠮷" + "Sign1"
    assert outcome == Receipt("S1", parts=1, answer="http_200")
    (got,) = server.messages
    assert got["mac"] == hashlib.md5(material.encode()).hexdigest()  # noqa: S324  # the gateway's own recipe
    assert got["mobiles"] == "13800000001"
    assert got["content"] == "提醒：今日到期𠮷"


async def test_a_query_and_a_form_carry_every_character() -> None:
    """GET with a query, and a form, both arrive exactly, whatever the text holds."""
    text = "提醒&to=1+1%20{text}#?\n𠮷"
    fields = {"to": "{to}", "text": "{text}", "dup": "{possible_duplicate}"}
    async with running(SmsGateway()) as server:
        await send(server, sms(text), method="GET", query=fields)
        await send(server, sms(text, possible_duplicate=True), body={"format": "form", "content": fields})
    assert server.messages == [
        {"to": "+8613800000001", "text": text, "dup": "false"},
        {"to": "+8613800000001", "text": text, "dup": "true"},
    ]


async def test_headers_secrets_and_basic_login() -> None:
    """Headers may hold secrets and times; a user and password go as RFC 7617 says, in UTF-8."""
    async with running(SmsGateway()) as server:
        await send(
            server,
            sms(),
            secrets={"token": "not-a-real-token"},
            headers={"X-Token": "Bearer {token}", "X-At": "{at_compact}"},
            basic_auth="用户:{token}",
        )
    (got,) = server.headers
    assert got["X-Token"] == "Bearer not-a-real-token"
    assert got["X-At"] == "20260928093000"
    assert base64.b64decode(got["Authorization"].removeprefix("Basic ")).decode() == "用户:not-a-real-token"


async def test_no_redirect_is_followed() -> None:
    """A redirect would send text and secrets to a place nobody configured."""
    async with running(SmsGateway()) as server:
        server.fail(Fault(302, headers={"Location": f"{server.url}/sms"}))
        outcome = await send(server, sms())
        assert isinstance(outcome, PermanentFailure)
        assert outcome.whole_channel
        assert server.requests == 1


async def test_a_get_is_never_repeated() -> None:
    """A connection that dies under a GET gives one request and an unknown outcome, not a second SMS."""
    settings = {**GOOD, "method": "GET", "query": {"text": "{text}"}, "success": {"json": {"code": 0}}}
    async with running(SmsGateway()) as server:
        channel = open_http(HttpSettings.model_validate({**settings, "url": f"{server.url}/sms"}))
        await channel.send_many([sms()])
        server.fail("drop")
        (outcome,) = await channel.send_many([sms()])
        await channel.close()
        assert isinstance(outcome, OutcomeUnknown)
        assert server.requests == 2


async def test_the_rate_is_kept() -> None:
    """At 50 a second, six messages take at least a tenth of a second."""
    async with running(SmsGateway()) as server:
        settings = {"url": f"{server.url}/sms", "success": {"json": {"code": 0}}, "rate": 50}
        channel = open_http(HttpSettings.model_validate(settings))
        before = asyncio.get_running_loop().time()
        await channel.send_many([sms() for _ in range(6)])
        assert asyncio.get_running_loop().time() - before >= 0.1
        await channel.close()


async def test_an_untrusted_certificate_stops_the_channel(tmp_path: Path) -> None:
    """A certificate nobody vouches for is a failure of the whole channel, before anything is sent."""
    context = make_certificate(tmp_path).server_context()
    listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with listener:
        outcome = await send(SmsGateway(), sms(), url=f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")
    assert isinstance(outcome, PermanentFailure)
    assert (outcome.code, outcome.whole_channel) == ("certificate", True)


ANSWERS = [
    # status, body, class, code, whole_channel or retry_after
    (200, '{"code": "E1"}', PermanentFailure, "E1", False),
    (200, '{"code": "E5"}', PermanentFailure, "opted_out", False),
    (200, '{"code": "E2"}', TemporaryFailure, "E2", None),
    (200, '{"code": "E3"}', PermanentFailure, "E3", True),
    (200, '{"code": "E4"}', OutcomeUnknown, "E4", None),
    (200, '{"code": 7}', PermanentFailure, "7", False),
    (200, '{"code": "new"}', TemporaryFailure, "new", None),
    (200, '{"code": "13800000001"}', TemporaryFailure, "provider_code", None),
    (200, "{}", OutcomeUnknown, "malformed_answer", None),
    (200, '{"co', OutcomeUnknown, "malformed_answer", None),
    (200, "", OutcomeUnknown, "malformed_answer", None),
    (400, '{"code": "E2"}', TemporaryFailure, "E2", None),
    (400, '{"code": "new"}', PermanentFailure, "http_400", False),
    (401, "", PermanentFailure, "http_401", True),
    (403, "", PermanentFailure, "http_403", True),
    (404, "", PermanentFailure, "http_404", False),
    (408, "", TemporaryFailure, "http_408", None),
    (429, "", TemporaryFailure, "http_429", 9.0),
    (500, "", TemporaryFailure, "http_500", 9.0),
    (502, "", OutcomeUnknown, "http_502", None),
    (503, "", TemporaryFailure, "http_503", 9.0),
    (504, "", OutcomeUnknown, "http_504", None),
]


@pytest.mark.parametrize(("status", "body", "kind", "code", "more"), ANSWERS)
def test_what_an_answer_means(status: int, body: str, kind: type, code: str, more: object) -> None:
    """The provider's listed code decides, then the status; what is not understood is unknown, never "not sent"."""
    errors = {
        "permanent": ["E1", 7],
        "temporary": ["E2"],
        "whole_channel": ["E3"],
        "unknown": ["E4"],
        "opted_out": ["E5"],
    }
    settings = HttpSettings.model_validate(GOOD | {"code": {"json": "code"}, "errors": errors})
    found = refusal(settings, Answer(status, body, 9.0 if status in {429, 500, 503} else None))
    assert (type(found), found.code) == (kind, code)
    if isinstance(found, PermanentFailure):
        assert found.whole_channel is more
    if isinstance(found, TemporaryFailure):
        assert found.retry_after == more


SIGNATURES: list[tuple[dict[str, Any], str]] = [
    ({"concat": ["{a}", "{b}"]}, "1二"),
    ({"concat": ["{a}", "{b}"], "join": "|"}, "1|二"),
    ({"sorted": {"z": "{a}", "b": "{b}"}}, "b=二&z=1"),
    ({"sorted": {"z": "{a}", "b": "{b} *"}, "percent": True}, "b=%E4%BA%8C%20%2A&z=1"),
    ({"concat": ["abc"], "digest": "md5", "encode": "hex"}, "900150983cd24fb0d6963f7d28e17f72"),  # RFC 1321
    (
        {"concat": ["abc"], "digest": "sha1", "encode": "hex", "letters": "upper"},
        "A9993E364706816ABA3E25717850C26C9CD0D89D",  # RFC 3174
    ),
    ({"concat": ["abc"], "digest": "sha256", "encode": "base64"}, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    (
        {"concat": ["what do ya want for nothing?"], "digest": "hmac-sha256", "key": "Jefe", "encode": "hex"},
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",  # RFC 4231, case 2
    ),
    (
        {"concat": ["{a}"], "digest": "hmac-sha1", "key": "{b}", "encode": "base64"},
        base64.b64encode(hmac.new("二".encode(), b"1", "sha1").digest()).decode(),
    ),
]


@pytest.mark.parametrize(("recipe", "wanted"), SIGNATURES)
def test_signature_recipes(recipe: dict[str, Any], wanted: str) -> None:
    """Concatenation, sorted fields, digests and their spellings give the published values."""
    assert compute(Computed.model_validate({"name": "s", **recipe}), {"a": "1", "b": "二"}) == wanted


def test_bodies_in_every_format() -> None:
    """JSON, form in GBK, XML with attributes and repeated elements, and plain text are what their readers expect."""
    values = {"text": "提醒<&>", "to": "138"}
    as_json = encode_body(Body(format="json", content={"a": ["{text}", 1, True, None]}), values)
    assert json.loads(as_json) == {"a": ["提醒<&>", 1, True, None]}
    as_form = encode_body(Body(format="form", content={"t": "{text}"}, charset="gbk"), values)
    assert parse_qs(as_form.decode(), encoding="gbk") == {"t": ["提醒<&>"]}
    tree: Any = {"sms": {"@v": "1", "to": ["{to}", "139"], "body": {"text": "{text}"}}}
    root = ET.fromstring(encode_body(Body(format="xml", content=tree), values))  # noqa: S314  # our own
    assert [one.text for one in root.findall("to")] == ["138", "139"]
    assert (root.get("v"), root.findtext("body/text")) == ("1", "提醒<&>")
    assert encode_body(Body(format="text", content="{{{to}}}"), values) == b"{138}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (Body(format="form", content={"t": "{text}"}, charset="gbk"), "𠮷"),
        (Body(format="xml", content={"t": "{text}"}), "\x01"),
        (Body(format="json", content={"t": "{text}"}), "\ud800"),
    ],
)
def test_text_a_format_cannot_hold_is_refused(body: Body, text: str) -> None:
    """A character the gateway's character set lacks is a refusal, not a question mark in the SMS."""
    with pytest.raises(PermanentFailure):
        encode_body(body, {"text": text})


@given(value=st.text())
def test_a_value_is_never_taken_for_a_template(value: str) -> None:
    """Braces and placeholder names in a text are just text."""
    assert fill("a{text}b", {"text": value, "secret": "x"}) == f"a{value}b"


WRONG = [
    ({"body": {"format": "json", "content": {"t": "{txet}"}}}, "body.content.t: .*txet"),
    ({"headers": {"X": "{mac}"}}, "headers.X: .*mac"),
    ({"basic_auth": "a:{pw}"}, "basic_auth: .*pw"),
    ({"values": {"to": "1"}}, "already mean something: to"),
    ({"values": {"a": "1"}, "secrets": {"a": "1"}}, "the same name in both"),
    ({"compute": [{"name": "m", "concat": ["{m}"]}]}, "compute.0: .*{m}"),
    ({"compute": [{"name": "m", "concat": ["a"], "digest": "md5"}]}, "encode"),
    ({"compute": [{"name": "m", "concat": ["a"], "digest": "hmac-sha1", "encode": "hex"}]}, "hmac"),
    ({"compute": [{"name": "m"}]}, "exactly one of concat and sorted"),
    ({"body": {"format": "xml", "content": {"a": 1, "b": 2}}}, "one root"),
    ({"body": {"format": "form", "content": "x"}}, "mapping"),
    ({"success": {"regex": "("}}, "regular expression"),
    ({"reference": {}}, "exactly one of json and regex"),
    ({"time_zone": "Asia/Nowhere"}, "time zone"),
    ({"url": "ftp://example.com"}, "url"),
    ({"lookup": {"url": "http://a.example/{ref}", "present": {}, "absent": {}}}, "lookup.url: .*ref"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG)
def test_mistakes_in_the_description_are_named_with_their_place(changes: dict[str, Any], named: str) -> None:
    """A placeholder nothing fills, or a recipe that cannot work, is found when the file is read."""
    with pytest.raises(ValueError, match=named):
        HttpSettings.model_validate(GOOD | changes)


async def test_a_parameter_the_message_lacks_is_refused() -> None:
    """`{param.x}` is filled from the message; without it nothing is sent."""
    settings = {"body": {"format": "json", "content": {"text": "{param.due}"}}}
    async with running(SmsGateway()) as server:
        assert isinstance(await send(server, sms(params={"due": "10月8日"}), **settings), Receipt)
        assert isinstance(await send(server, sms(), **settings), PermanentFailure)
    assert [one["text"] for one in server.messages] == ["10月8日"]


@pytest.mark.parametrize("where", ["url", "query", "headers", "signature"])
async def test_half_a_character_is_refused_wherever_it_stands(where: str) -> None:
    """A lone surrogate in an address, a query, a header or a signature is this message's failure alone."""
    places: dict[str, dict[str, Any]] = {
        "url": {"url": "http://127.0.0.1:1/{text}"},
        "query": {"query": {"t": "{text}"}},
        "headers": {"headers": {"X": "{text}"}},
        "signature": {"compute": [{"name": "s", "concat": ["{text}"], "digest": "md5", "encode": "hex"}]},
    }
    async with running(SmsGateway()) as server:
        assert isinstance(await send(server, sms("half \ud83d"), **places[where]), PermanentFailure)
        assert server.requests == 0


async def test_the_time_of_the_request_is_told_apart_from_that_of_the_message() -> None:
    """`now_…` is asked at every request, because gateways refuse a timestamp that is minutes old; `at_…` stays."""
    async with running(SmsGateway()) as server:
        whole = {"url": f"{server.url}/sms", "success": {"json": {"code": 0}}}
        content = {"text": "{now_unix} {at_unix} {now_ms}"}
        settings = HttpSettings.model_validate(whole | {"body": {"format": "json", "content": content}})
        gateway = Gateway(settings, lambda: datetime(2026, 10, 1, tzinfo=UTC))
        await gateway.send_many([sms()])
        await gateway.close()
    assert server.messages == [{"text": "1790812800 1790559000 1790812800000"}]


@pytest.mark.parametrize(
    ("text", "parts"),
    [("", 1), ("字" * 70, 1), ("字" * 71, 2), ("字" * 134, 2), ("字" * 160, 3), ("𠮷" * 35, 1), ("𠮷" * 36, 2)],
)
def test_parts_are_counted_in_utf16_units(text: str, parts: int) -> None:
    """70 units are one SMS, longer texts are cut at 67; a rare character counts twice."""
    assert sms_parts(text) == parts


@pytest.mark.parametrize(
    ("written", "wanted", "result"),
    [
        ("+8613800000001", "e164", "+8613800000001"),
        ("+8613800000001", "digits", "8613800000001"),
        ("+8613800000001", "national", "13800000001"),
        ("+15005550006", "national", None),
        ("13800000001", "e164", None),
        ("", "e164", None),
    ],
)
def test_numbers_are_written_as_the_provider_wants(written: str, wanted: Any, result: str | None) -> None:
    """E.164, digits only, or the 11 digits of China; anything else is refused."""
    if result is None:
        with pytest.raises(PermanentFailure):
            written_number(written, wanted)
    else:
        assert written_number(written, wanted) == result
