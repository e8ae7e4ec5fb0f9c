from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from channels.base import Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.twilio import TwilioChannel, TwilioSettings, open_twilio
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
    *((twilio_error(code), PermanentFailure, False) for code in (21211, 21408, 21610, 21612, 21614, 21617)),
    *((twilio_error(code), PermanentFailure, True) for code in (21606, 21212)),
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
