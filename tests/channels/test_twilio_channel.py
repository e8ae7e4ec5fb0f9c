from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import (
    Call,
    CallRefused,
    Learnt,
    Listening,
    Message,
    News,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    Said,
    SendError,
    TemporaryFailure,
)
from channels.twilio import TwilioChannel, TwilioSettings, open_twilio
from channels.wire.identity import reference_of
from channels.wire.twilio_messages import MEANINGS
from support.provider_calls import HERE, from_twilio, get, post_form, twilio_signature
from support.sms_gateway import Fault, running
from support.twilio_server import ACCOUNT, TOKEN, TwilioServer, twilio_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def sms(text: str = "提醒：今日到期𠮷", **changes: Any) -> Message:
    """An SMS decided now."""
    fields: dict[str, Any] = {"key": "k1", "to": "+8613800000001", "at": datetime.now(UTC), "text": text}
    return Message(**(fields | changes))


def opened(server: TwilioServer, **changes: Any) -> TwilioChannel:
    """A channel to this server."""
    settings = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006", "base_url": server.url}
    return open_twilio(TwilioSettings.model_validate({**settings, "timeout": 1, **changes}))


@pytest.fixture
async def server() -> AsyncIterator[TwilioServer]:
    """A running server."""
    async with running(TwilioServer()) as started:
        yield started


@pytest.fixture
async def channel(server: TwilioServer) -> AsyncIterator[TwilioChannel]:
    """A channel to it."""
    made = opened(server)
    yield made
    await made.close()


async def test_what_is_asked_of_twilio(server: TwilioServer, channel: TwilioChannel) -> None:
    """The request carries the number, the text, the sender and how long the message may wait."""
    (outcome,) = await channel.send_many([sms()])
    assert isinstance(outcome, Receipt)
    assert outcome.answer == "queued"
    assert not outcome.delivered
    assert server.forms == [
        {"To": "+8613800000001", "Body": "提醒：今日到期𠮷", "From": "+15005550006", "ValidityPeriod": "14400"}
    ]


async def test_a_messaging_service_and_a_status_address(server: TwilioServer) -> None:
    """Instead of a number the sender may be a messaging service; the address for status reports goes along."""
    changes = {"from": None, "messaging_service_sid": "MG1", "status_callback": "https://duban.example/twilio"}
    channel = opened(server, **changes)
    await channel.send_many([sms()])
    await channel.close()
    assert server.forms[0]["MessagingServiceSid"] == "MG1"
    assert server.forms[0]["StatusCallback"] == "https://duban.example/twilio"
    assert "From" not in server.forms[0]


CODES: list[tuple[Fault, type, object]] = [
    *((twilio_error(int(code)), PermanentFailure, False) for code in sorted(MEANINGS.permanent)),
    *((twilio_error(int(code)), PermanentFailure, True) for code in sorted(MEANINGS.whole_channel)),
    *((twilio_error(int(code)), TemporaryFailure, seconds) for code, seconds in sorted(MEANINGS.temporary.items())),
    (twilio_error(21611, 429, {"Retry-After": "5"}), TemporaryFailure, 5.0),
    (twilio_error(29999), PermanentFailure, False),
    (twilio_error(20003, 401), PermanentFailure, True),
    (twilio_error(63038, 429), PermanentFailure, True),
    (twilio_error(20404, 404), PermanentFailure, True),
    (twilio_error(20429, 429, {"Retry-After": "7"}), TemporaryFailure, 7.0),
    (Fault(429, "busy", {"Retry-After": "3"}), TemporaryFailure, 3.0),
    (twilio_error(20500, 500), TemporaryFailure, None),
    (Fault(503, "<html>maintenance</html>"), TemporaryFailure, None),
    (Fault(504, ""), OutcomeUnknown, None),
    (Fault(400, "not JSON"), PermanentFailure, False),
    (Fault(201, "not JSON"), OutcomeUnknown, None),
    (Fault(201, "{}"), OutcomeUnknown, None),
    (Fault(201, '{"sid": "SM1", "status": "failed", "error_code": 30003}'), PermanentFailure, False),
]


@pytest.mark.parametrize(
    ("fault", "kind", "more"), CODES, ids=lambda value: str(getattr(value, "body", ""))[:14] or None
)
async def test_codes_of_twilio(
    server: TwilioServer, channel: TwilioChannel, fault: Fault, kind: type, more: object
) -> None:
    """Each of Twilio's errors is one of ours, asked once, and says nothing of the number in Twilio's words."""
    server.fail(fault)
    (outcome,) = await channel.send_many([sms()])
    assert type(outcome) is kind
    assert isinstance(outcome, SendError)
    assert "13800000001" not in f"{outcome!r}{outcome}"
    assert getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None)) == more
    assert server.requests == 1


async def test_an_sms_whose_answer_was_lost_is_found(server: TwilioServer, channel: TwilioChannel) -> None:
    """After a lost answer the account is asked, and the message is found by number, text and time."""
    message = sms()
    server.fail("drop")
    (outcome,) = await channel.send_many([message])
    assert isinstance(outcome, OutcomeUnknown)
    found = await channel.lookup(message)
    assert found is not None
    assert found.reference == server.messages[0]["sid"]


async def test_lookup_takes_no_other_message_for_this_one(server: TwilioServer, channel: TwilioChannel) -> None:
    """Another text, an older message of the same text, or one that failed does not count."""
    await channel.send_many([sms("别的内容")])
    assert await channel.lookup(sms()) is None
    await channel.send_many([sms()])
    later = sms(at=datetime.now(UTC) + timedelta(hours=2))
    assert await channel.lookup(later) is None
    server.messages[-1]["status"] = "failed"
    assert await channel.lookup(sms()) is None


async def test_lookup_reads_on_until_the_message_is_found(server: TwilioServer, channel: TwilioChannel) -> None:
    """A message that stands behind fifty newer ones to the same number, on the second page, is found."""
    message = sms("第一条")
    await channel.send_many([message, *(sms(f"第{i}条", key=f"k{i}") for i in range(2, 62))])
    assert (found := await channel.lookup(message))
    assert found.reference == server.messages[0]["sid"]
    assert server.pages == 2


async def test_more_messages_than_are_looked_through_leave_the_doubt(channel: TwilioChannel) -> None:
    """With two hundred newer messages nobody can say that this one was never sent."""
    await channel.send_many([sms("第一条"), *(sms("又一条", key=f"k{i}") for i in range(200))])
    with pytest.raises(OutcomeUnknown, match="too_many"):
        await channel.lookup(sms("第一条"))


@pytest.mark.parametrize(
    ("status", "delivered", "read"),
    [("queued", False, False), ("sent", False, False), ("delivered", True, False), ("read", True, True)],
)
async def test_lookup_tells_how_far_a_message_has_come(
    server: TwilioServer, channel: TwilioChannel, status: str, delivered: bool, read: bool
) -> None:
    """Delivered and read are told as such; anything before that only as taken."""
    await channel.send_many([sms()])
    server.messages[0]["status"] = status
    found = await channel.lookup(sms())
    assert found is not None
    assert (found.delivered, found.read) == (delivered, read)


@pytest.mark.parametrize("fault", ["500", "429", "drop", "half", "malformed"])
async def test_a_lookup_that_fails_leaves_the_doubt(server: TwilioServer, channel: TwilioChannel, fault: str) -> None:
    """No fault of the lookup is taken for "not sent"."""
    server.fail(fault)
    with pytest.raises(OutcomeUnknown):
        await channel.lookup(sms())


@pytest.mark.parametrize("changes", [{"from": None}, {"messaging_service_sid": "MG1"}, {"validity_period": 99_999}])
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    """Exactly one sender, and a validity Twilio accepts."""
    good = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006"}
    with pytest.raises(ValueError, match=r"messaging_service_sid|36000"):
        TwilioSettings.model_validate(good | changes)


# --- what Twilio tells us --------------------------------------------------------------------------------------

SID = "SM" + "1" * 32
OURS = reference_of("k1")
AT_OURS = f"{HERE}?ours={OURS}"


def listening(**changes: Any) -> TwilioChannel:
    """A channel that only listens."""
    settings: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006", **changes}
    return open_twilio(TwilioSettings.model_validate(settings))


def status(word: str, code: str = "") -> dict[str, str]:
    """A status call's form, with the numbers it always has."""
    form = {"MessageSid": SID, "SmsSid": SID, "MessageStatus": word, "SmsStatus": word, "AccountSid": ACCOUNT}
    return form | {"To": "+8613800000001", "From": "+15005550006"} | ({"ErrorCode": code} if code else {})


async def test_where_twilio_is_to_tell_what_became_of_a_message(server: TwilioServer) -> None:
    """With every message goes the channel's own address and our reference of the message."""
    channel = opened(server)
    assert isinstance(channel, Listening)
    channel.listen_at(HERE)
    await channel.send_many([sms()])
    await channel.close()
    assert server.forms[0]["StatusCallback"] == AT_OURS


async def test_an_address_in_the_settings_wins(server: TwilioServer) -> None:
    """Who has a machine in front that takes the calls gives its address."""
    channel = opened(server, status_callback="https://front.example/twilio")
    channel.listen_at(HERE)
    await channel.send_many([sms()])
    await channel.close()
    assert server.forms[0]["StatusCallback"] == "https://front.example/twilio"


@pytest.mark.parametrize("word", ["accepted", "scheduled", "queued", "sending", "sent", "partially_delivered"])
def test_a_message_on_its_way_is_no_news(word: str) -> None:
    """Statuses before the last one are answered and say nothing."""
    news, answer = listening().hear(from_twilio(status(word), TOKEN, AT_OURS))
    assert news == News()
    assert (answer.status, answer.body) == (200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>')


@pytest.mark.parametrize(("word", "read"), [("delivered", False), ("read", True)])
def test_a_message_that_arrived(word: str, read: bool) -> None:
    """Delivered is a receipt by Twilio's id and ours; read says more."""
    news, _ = listening().hear(from_twilio(status(word), TOKEN, AT_OURS))
    assert news == News((Learnt(Receipt(SID, delivered=True, read=read, answer=word), OURS, SID),))


@pytest.mark.parametrize(
    ("word", "code", "named"),
    [
        ("undelivered", "30005", "twilio_30005"),
        ("undelivered", "30008", "twilio_30008"),
        ("failed", "21610", "opted_out"),
        ("failed", "99999", "twilio_99999"),
        ("failed", "", "undelivered"),
    ],
)
def test_a_message_that_did_not_arrive(word: str, code: str, named: str) -> None:
    """Why not, by Twilio's code; a reader who has opted out has a word of ours."""
    news, _ = listening().hear(from_twilio(status(word, code), TOKEN, AT_OURS))
    (learnt,) = news.learnt
    assert isinstance(learnt.outcome, PermanentFailure)
    assert (learnt.outcome.code, learnt.outcome.whole_channel, learnt.ours, learnt.theirs) == (named, False, OURS, SID)


def test_what_somebody_writes_back() -> None:
    """A reply with its sender, its words and Twilio's id of it."""
    form = {"MessageSid": SID, "SmsStatus": "received", "From": "+8613800000001", "To": "+15005550006"}
    news, _ = listening().hear(from_twilio(form | {"Body": " 收到 1234\n", "NumMedia": "0"}, TOKEN))
    assert news == News(said=(Said("+8613800000001", "收到 1234", SID),))


def test_a_call_by_get() -> None:
    """A number set up for GET signs the address with its query and no form."""
    url = f"{HERE}?MessageSid={SID}&From=%2B8613800000001&Body=ACK+1"
    news, _ = listening().hear(get(url, {"x-twilio-signature": twilio_signature(url, {}, TOKEN)}))
    assert news.said[0].text == "ACK 1"


GENUINE = from_twilio(status("delivered"), TOKEN, AT_OURS)
FORGED: list[tuple[Call, str]] = [
    (post_form(AT_OURS, status("delivered")), "no_signature"),
    (Call("POST", AT_OURS, GENUINE.headers, GENUINE.query, GENUINE.body + b"&Body=x"), "wrong_signature"),
    (Call("POST", AT_OURS.replace("ours=", "ours=0"), GENUINE.headers, GENUINE.query, GENUINE.body), "wrong_signature"),
    (from_twilio(status("delivered"), "another-token", AT_OURS), "wrong_signature"),
    (get(f"{HERE}?MessageSid={SID}&MessageStatus=delivered", {"x-twilio-signature": "x"}), "wrong_signature"),
]


@pytest.mark.parametrize(("call", "code"), FORGED, ids=["unsigned", "added", "other-message", "other-token", "get"])
def test_a_call_that_is_not_twilio_s(call: Call, code: str) -> None:
    """Without the signature of the account over exactly this address and form nothing is heard."""
    with pytest.raises(CallRefused) as caught:
        listening().hear(call)
    assert (caught.value.code, caught.value.status) == (code, 403)


def test_an_api_key_s_secret_signs_no_calls() -> None:
    """Beside an API key the account's own token is needed to hear anything; with it, calls are heard."""
    with pytest.raises(CallRefused, match="no_callback_token"):
        listening(api_key_sid="SK1", auth_token="key-secret").hear(GENUINE)
    news, _ = listening(api_key_sid="SK1", auth_token="key-secret", signing_token=TOKEN).hear(GENUINE)
    assert news.learnt


def test_a_port_in_the_address_makes_no_difference() -> None:
    """Twilio signs `https://…:443` now with and now without the port."""
    url = AT_OURS.replace("example.com", "example.com:443")
    signed = from_twilio(status("delivered"), TOKEN, url)
    assert listening().hear(Call("POST", AT_OURS, signed.headers, GENUINE.query, signed.body))[0].learnt
