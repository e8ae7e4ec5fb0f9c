from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from channels.base import CANNOT_ASK, Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from channels.feishu import FeishuSettings
from channels.wire.identity import reference_of
from support.channel_stages import AT, CHINESE, opened
from support.sms_gateway import Fault, running
from support.workplace_servers import PERSON, SECRET, FeishuServer, coded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Channel

OWN: dict[str, Any] = {"app_id": "cli1", "app_secret": SECRET}


@pytest.fixture
async def server() -> AsyncIterator[FeishuServer]:
    """A running server."""
    async with running(FeishuServer()) as started:
        yield started


@pytest.fixture
async def channel(server: FeishuServer) -> AsyncIterator[Channel]:
    """A channel to it."""
    made = opened("feishu", **OWN, base_url=server.url, timeout=1)
    yield made
    await made.close()


def message(text: str = CHINESE, **other: Any) -> Message:
    """A message to the one person."""
    return Message(**{"key": "k1", "to": PERSON, "text": text, "at": AT, **other})


@pytest.mark.parametrize("by", ["user_id", "open_id", "union_id", "email"])
async def test_what_is_asked_of_feishu(server: FeishuServer, by: str) -> None:
    """A text goes to one person, named the way the settings say, with an id of ours no longer than 50 characters."""
    made = opened("feishu", **OWN, base_url=server.url, receive_id_type=by)
    (outcome,) = await made.send_many([message()])
    await made.close()
    assert outcome == Receipt("om_0", answer="ok")
    (sent,) = server.messages
    assert (sent["receive_id_type"], sent["receive_id"], sent["msg_type"]) == (by, PERSON, "text")
    assert json.loads(sent["content"]) == {"text": CHINESE}
    assert sent["uuid"] == reference_of("k1")
    assert len(sent["uuid"]) <= 50


async def test_a_mailbox_is_an_address(server: FeishuServer) -> None:
    """With `receive_id_type: email` the address is a mailbox."""
    made = opened("feishu", **OWN, base_url=server.url, receive_id_type="email")
    assert isinstance((await made.send_many([message(to="reader@example.com")]))[0], Receipt)
    await made.close()


async def test_a_resend_after_a_lost_answer_arrives_once(server: FeishuServer, channel: Channel) -> None:
    """The resend carries the same id, and Feishu leaves out the second."""
    server.fail("drop")
    (first,) = await channel.send_many([message()])
    (second,) = await channel.send_many([message(f"{CHINESE}〔可能重复〕", possible_duplicate=True)])
    assert isinstance(first, OutcomeUnknown)
    assert second == Receipt("om_0", answer="ok")
    assert len(server.messages) == 1


async def test_no_value_mentions_everybody(server: FeishuServer, channel: Channel) -> None:
    """Feishu reads tags in texts; one that would call the whole group does not work."""
    await channel.send_many([message('<at user_id="all">x</at>')])
    assert "<at " not in json.loads(server.messages[0]["content"])["text"]


CODES: list[tuple[Fault, type[SendError], object]] = [
    *((coded("code", code, 400), PermanentFailure, False) for code in (230001, 230013, 230022, 230029, 230053)),
    *((coded("code", code, 400), PermanentFailure, False) for code in (99992351, 99992360, 99992361)),
    *((coded("code", code, 400), PermanentFailure, True) for code in (230006, 230027, 99991672, 99991401)),
    (coded("code", 230020, 400), TemporaryFailure, 1.0),
    (coded("code", 99991400, 429), TemporaryFailure, None),
    (Fault(429, '{"code": 99991400, "msg": "x"}', {"x-ogw-ratelimit-reset": "12"}), TemporaryFailure, 12.0),
    (coded("code", 230049, 400), OutcomeUnknown, None),
    (coded("code", 299999, 400), PermanentFailure, False),
    (coded("code", 299999, 200), TemporaryFailure, None),
    (coded("code", 0, 200), OutcomeUnknown, None),
    (coded("code", 0, 500), TemporaryFailure, None),
]


@pytest.mark.parametrize(("fault", "kind", "more"), CODES, ids=lambda value: getattr(value, "body", None))
async def test_codes_of_feishu(
    server: FeishuServer, channel: Channel, fault: Fault, kind: type[SendError], more: object
) -> None:
    """Each of Feishu's codes is one of our failures, and its words are not repeated."""
    server.fail(fault)
    (outcome,) = await channel.send_many([message()])
    assert type(outcome) is kind
    assert PERSON not in f"{outcome!r}"
    assert getattr(outcome, "whole_channel", getattr(outcome, "retry_after", None)) == more


async def test_feishu_can_never_be_asked(channel: Channel) -> None:
    """It knows a message by its own number only."""
    with pytest.raises(OutcomeUnknown) as failure:
        await channel.lookup(message())
    assert failure.value.code == CANNOT_ASK


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"app_id": ""}, "app_id"),
    ({"app_secret": None}, "app_secret"),
    ({"receive_id_type": "chat_id"}, "receive_id_type"),
    ({"base_url": "open.feishu.cn"}, "base_url"),
    ({"timeout": 0}, "timeout"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG)
def test_wrong_settings_are_named(changes: dict[str, Any], named: str) -> None:
    """Each mistake is found before anything is sent, and names its key."""
    with pytest.raises(ValidationError) as failure:
        FeishuSettings.model_validate(OWN | changes)
    assert named in str(failure.value)
    assert SECRET not in str(failure.value)
