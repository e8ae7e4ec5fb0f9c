from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from channels.base import CANNOT_ASK, Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.registry import channel_types, kind_of
from channels.webhook import WebhookSettings, key_of
from channels.wire.webhook_calls import WebhookCalls, identity_of, signature
from support.channel_stages import AT, CHINESE, WEBHOOK_SECRET, opened
from support.sms_gateway import running
from support.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Channel

OLD_SECRET = "whsec_" + base64.b64encode(b"the secret of last year, 2025").decode()


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A running receiver."""
    async with running(WebhookReceiver()) as started:
        yield started


@pytest.fixture
async def channel(receiver: WebhookReceiver) -> AsyncIterator[Channel]:
    """A channel to it."""
    made = opened("webhook", url=f"{receiver.url}/duban", secret=WEBHOOK_SECRET, timeout=1)
    yield made
    await made.close()


def message(**other: Any) -> Message:
    """A message to somebody known by a staff number."""
    return Message(**{"key": "XF1/肯定/1", "to": "工号 007", "text": CHINESE, "at": AT, **other})


async def test_what_a_receiver_gets(receiver: WebhookReceiver, channel: Channel) -> None:
    """Type, instant of the decision and the message; the receipt is the id a receiver may sort out repeats by."""
    (outcome,) = await channel.send_many([message(to_name="承办人甲", subject="提醒", params={"case": "XF1"})])
    assert outcome == Receipt(identity_of(message()), answer="http_204")
    assert json.loads(receiver.bodies[0]) == {
        "type": "duban.notice",
        "timestamp": "2026-09-28T01:30:00+00:00",
        "data": {
            "key": "XF1/肯定/1",
            "to": "工号 007",
            "to_name": "承办人甲",
            "subject": "提醒",
            "text": CHINESE,
            "possible_duplicate": False,
            "params": {"case": "XF1"},
        },
    }
    assert receiver.headers[0]["Content-Type"] == "application/json; charset=utf-8"


async def test_the_specification_s_own_library_accepts_it(receiver: WebhookReceiver, channel: Channel) -> None:
    """Signature, id and time-stamp are verified by the library the authors of the specification publish."""
    await channel.send_many([message()])
    verified = Webhook(WEBHOOK_SECRET).verify(receiver.bodies[0], dict(receiver.headers[0]))
    assert verified["data"]["text"] == CHINESE


@given(key=st.binary(min_size=24, max_size=64), body=st.text(max_size=200), at=st.integers(0, 4_000_000_000))
def test_any_signature_is_the_library_s(key: bytes, body: str, at: int) -> None:
    """For any key, body and instant our signature is theirs."""
    theirs = Webhook(key).sign("msg_1", datetime.fromtimestamp(at, UTC), body)
    assert signature(key, "msg_1", str(at), body.encode("utf-8")) == theirs


async def test_while_a_secret_is_changed_both_sign(receiver: WebhookReceiver) -> None:
    """Receivers with the old secret and receivers with the new one both accept it."""
    made = opened("webhook", url=f"{receiver.url}/duban", secret=WEBHOOK_SECRET, old_secret=OLD_SECRET)
    await made.send_many([message()])
    await made.close()
    for secret in (WEBHOOK_SECRET, OLD_SECRET):
        Webhook(secret).verify(receiver.bodies[0], dict(receiver.headers[0]))


async def test_a_resend_is_known_by_its_id(receiver: WebhookReceiver, channel: Channel) -> None:
    """Same message, same id, another time-stamp signed anew; it says that it may be a repeat."""
    await channel.send_many([message()])
    await channel.send_many([message(possible_duplicate=True)])
    first, second = receiver.headers
    assert first["webhook-id"] == second["webhook-id"]
    assert [one["possible_duplicate"] for one in receiver.messages] == [False, True]


async def test_the_id_tells_nothing_and_fits_a_header(receiver: WebhookReceiver, channel: Channel) -> None:
    """The key may hold Chinese; the id is ASCII without a full stop, which separates what is signed."""
    await channel.send_many([message()])
    identity = receiver.headers[0]["webhook-id"]
    assert identity.isascii()
    assert "." not in identity
    assert "XF1" not in identity


async def test_the_time_stamp_is_of_the_sending(receiver: WebhookReceiver) -> None:
    """Receivers refuse what is minutes old: a resend next day carries the time of that day."""
    settings = WebhookSettings.model_validate({"url": f"{receiver.url}/duban", "secret": WEBHOOK_SECRET})
    calls = WebhookCalls(settings, now=lambda: AT)
    await calls.send_many([message()])
    await calls.close()
    assert receiver.headers[0]["webhook-timestamp"] == str(int(AT.timestamp()))


STATUSES: list[tuple[str, type[SendError], object]] = [
    ("400", PermanentFailure, False),
    ("401", PermanentFailure, True),
    ("404", PermanentFailure, True),
    ("410", PermanentFailure, True),
    ("302", PermanentFailure, True),
    ("429 5", TemporaryFailure, 5.0),
    ("500", TemporaryFailure, None),
    ("503 5", TemporaryFailure, 5.0),
    ("504", OutcomeUnknown, None),
    ("half", OutcomeUnknown, None),
]


@pytest.mark.parametrize(("fault", "kind", "more"), STATUSES)
async def test_statuses(
    receiver: WebhookReceiver, channel: Channel, fault: str, kind: type[SendError], more: object
) -> None:
    """Any 2xx is taken; 410 means that nobody wants it any more; a redirect is not followed."""
    receiver.fail(fault)
    (outcome,) = await channel.send_many([message()])
    assert type(outcome) is kind
    assert getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None)) == more
    assert receiver.requests == 1


async def test_a_receiver_can_never_be_asked(channel: Channel) -> None:
    """It sorts out repeats by the id instead."""
    with pytest.raises(OutcomeUnknown) as failure:
        await channel.lookup(message())
    assert failure.value.code == CANNOT_ASK


def test_whose_address_goes_along_is_said_in_the_settings() -> None:
    """A receiver that knows people by mailbox gets mailboxes; else the addresses named webhook."""
    settings = {"url": "https://duban.example/", "secret": WEBHOOK_SECRET}
    kind = channel_types()["webhook"]
    assert kind_of(kind, WebhookSettings.model_validate(settings)) == "webhook"
    assert kind_of(kind, WebhookSettings.model_validate({**settings, "kind": "email"})) == "email"


SHORT = base64.b64encode(b"too short").decode()
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": "duban.example"}, "url"),
    ({"secret": "not-a-real-secret"}, "whsec_"),
    ({"secret": f"whsec_{SHORT}"}, "24"),
    ({"secret": WEBHOOK_SECRET.removeprefix("whsec_")}, "whsec_"),
    ({"old_secret": "whsec_!"}, "old_secret"),
    ({"kind": "E-Mail"}, "kind"),
    ({"event": "督办"}, "event"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG)
def test_wrong_settings_are_named(changes: dict[str, Any], named: str) -> None:
    """Each mistake is found before anything is sent, without repeating a secret."""
    with pytest.raises(ValidationError) as failure:
        WebhookSettings.model_validate({"url": "https://duban.example/", "secret": WEBHOOK_SECRET} | changes)
    assert named in str(failure.value)
    assert SHORT not in str(failure.value)


def test_a_secret_is_read_as_base64() -> None:
    """The key is what the base64 stands for, as the specification says."""
    assert key_of(SecretStr(WEBHOOK_SECRET)) == b"not-a-real-secret-but-long"
