"""Our Twilio channel against a mock of Twilio's published API description: run by `scripts/twilio-contract.sh` only.

The mock checks that what we send fits the description, and answers with examples from it: it has one message, whose
number and text are always the same.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from twilio.base import values

from channels.base import Message, PermanentFailure, Receipt
from channels.twilio import TwilioChannel, TwilioSettings, open_twilio

ACCOUNT = "AC" + "0" * 32
SETTINGS: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": "not-a-real-token", "timeout": 30}
MANY = 200


def sms(key: str = "k1", text: str = "【某市信访局】提醒：今日到期𠮷") -> Message:
    """A text to an invented mobile."""
    return Message(key, "+8613800000001", text, datetime.now(UTC))


@pytest.fixture
async def channel() -> Any:
    """A channel to the mock, with a status address."""
    made = open_twilio(
        TwilioSettings.model_validate(
            {**SETTINGS, "from": "+15005550006", "base_url": os.environ["DUBAN_TWILIO_MOCK"], "concurrency": 8}
        )
    )
    made.listen_at("https://duban.example.com/in/twilio")
    yield made
    await made.close()


async def test_a_message_is_taken(channel: TwilioChannel) -> None:
    """What we send fits the description, and the answer is understood."""
    (outcome,) = await channel.send_many([sms()])
    assert isinstance(outcome, Receipt), outcome
    assert outcome.reference.startswith("SM")


async def test_a_messaging_service_is_taken() -> None:
    """So does a message through a messaging service."""
    service = {"messaging_service_sid": "MG" + "0" * 32, "base_url": os.environ["DUBAN_TWILIO_MOCK"]}
    channel = open_twilio(TwilioSettings.model_validate(SETTINGS | service))
    (outcome,) = await channel.send_many([sms()])
    await channel.close()
    assert isinstance(outcome, Receipt), outcome


async def test_the_question_after_a_message_is_understood(channel: TwilioChannel) -> None:
    """The list fits the description and is read; our text is not in it."""
    assert await channel.lookup(sms()) is None


async def test_one_message_is_fetched(channel: TwilioChannel) -> None:
    """A message is fetched by its id with the client as the channel sets it up."""
    found = await channel._messages._client.messages("SM" + "0" * 32).fetch_async()
    assert found.sid.startswith("SM")


async def test_what_does_not_fit_is_refused_for_good(channel: TwilioChannel) -> None:
    """A request without a number is refused with 422: this message only."""
    with pytest.raises(PermanentFailure) as caught:
        await channel._messages._client.messages.create_async(to=values.unset, body="x")
    assert (caught.value.code, caught.value.whole_channel) == ("http_422", False)


async def test_without_credentials_the_channel_is_stopped(channel: TwilioChannel) -> None:
    """A request nobody vouches for is refused with 401: the whole channel."""
    transport = channel._messages._client.http_client
    address = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    with pytest.raises(PermanentFailure) as caught:
        await transport.request("POST", address, data={"To": "+8613800000001", "Body": "x", "From": "+15005550006"})
    assert (caught.value.code, caught.value.whole_channel) == ("http_401", True)


async def test_how_fast_it_goes(channel: TwilioChannel) -> None:
    """Two hundred messages, eight at once: all taken; the rate is the mock's."""
    begun = time.perf_counter()
    outcomes = await channel.send_many([sms(f"k{index}", f"第{index}条") for index in range(MANY)])
    seconds = time.perf_counter() - begun
    assert all(isinstance(one, Receipt) for one in outcomes)
    print(f"\n{MANY} messages in {seconds:.1f} s: {MANY / seconds:.0f}/s")  # noqa: T201  # what the script is run for
