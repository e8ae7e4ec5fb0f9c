"""Texts through a real Kannel, as the manual describes it: the operator's SMPP or CMPP box is behind such a gateway."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from channels.base import Channel, Learnt, Listening, Message, PermanentFailure, Receipt, TemporaryFailure
from channels.http import HttpSettings, open_http
from channels.wire.identity import reference_of
from channels.wire.sms import sms_parts
from support.kannel import INSTALLED, PASSWORD, kannel
from support.provider_calls import CALLBACK_TOKEN, CallListener
from support.sms_gateway import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.kannel import Kannel

pytestmark = pytest.mark.skipif(not INSTALLED, reason="Kannel is not installed (scripts/install-test-servers.sh)")

MANUAL = Path(__file__).parents[2] / "docs" / "channels.md"
NUMBER = "+8613800000001"
INBOUND = "+8613800000001 10690000 text ACK 1234"


def described(url: str, password: str = PASSWORD) -> Channel:
    """The channel of the manual, at this Kannel."""
    blocks = MANUAL.read_text("utf-8").split("```yaml\n")
    text = next(block for block in blocks if "cgi-bin/sendsms" in block).partition("```")[0]
    settings: dict[str, Any] = yaml.safe_load(text)["channels"]["sms"]
    del settings["type"]
    settings |= {"url": url, "secrets": {"password": password, "callback_token": CALLBACK_TOKEN}, "timeout": 5}
    return open_http(HttpSettings.model_validate(settings))


def sms(text: str, key: str = "k1") -> Message:
    """A text to an invented mobile."""
    return Message(key, NUMBER, text, datetime.now(UTC))


@contextlib.asynccontextmanager
async def office(folder: Path, *texts: str) -> AsyncIterator[tuple[Channel, CallListener, Kannel]]:
    """Our channel, the listener where Kannel calls it, and Kannel."""
    listener = CallListener()
    async with running(listener):
        at = f"{listener.url}/in/sms"
        inbound = f"{at}?token={CALLBACK_TOKEN}&from=%p&text=%a&id=%I"
        async with kannel(folder, inbound, *texts) as gateway:
            channel = described(gateway.url)
            assert isinstance(channel, Listening)
            listener.channel = channel
            channel.listen_at(at)
            try:
                yield channel, listener, gateway
            finally:
                await channel.close()


async def test_a_text_goes_out_its_report_comes_back_and_an_answer_comes_in(tmp_path: Path) -> None:
    """Chinese arrives as UCS-2, the delivery report names our message, and "ACK 1234" is a reply."""
    text = "【某市信访局】提醒:事项XF202609170012“书面告知”今日到期"
    async with office(tmp_path, INBOUND) as (channel, listener, gateway):
        (outcome,) = await channel.send_many([sms(text)])
        assert isinstance(outcome, Receipt)
        assert [(part.text, part.joined) for part in await gateway.arrive(1)] == [(text, False)]
        await listener.hear_of(learnt=1, said=1)
    (learnt,) = [one for news in listener.news for one in news.learnt]
    assert learnt == Learnt(Receipt(delivered=True, answer="1"), reference_of("k1"))
    (said,) = [one for news in listener.news for one in news.said]
    assert (said.sender, said.text) == (NUMBER, "ACK 1234")
    assert said.reference
    assert listener.refused == []


async def test_a_text_is_as_many_messages_as_we_say(tmp_path: Path) -> None:
    """Kannel splits as we count: 70 in one, 67 in each part of a longer one, a rare character as two."""
    texts = ["督" * length for length in (1, 70, 71, 134, 135, 160, 201, 202)] + ["督" * 69 + "𠮷", "𠮷" * 35]
    async with office(tmp_path) as (channel, listener, gateway):
        for index, text in enumerate(texts):
            (outcome,) = await channel.send_many([sms(text, f"k{index}")])
            assert isinstance(outcome, Receipt)
            assert outcome.parts == sms_parts(text)
            await listener.hear_of(learnt=index + 1)  # the report comes when the last part has arrived
            parts = await gateway.arrive(outcome.parts)
            assert len(parts) == outcome.parts
            assert "".join(part.text for part in parts) == text
    assert [one.ours for news in listener.news for one in news.learnt] == [
        reference_of(f"k{index}") for index in range(len(texts))
    ]


async def test_a_wrong_password_and_a_kannel_that_is_away(tmp_path: Path) -> None:
    """A wrong password stops the channel; without Kannel nothing was sent, and it is tried again."""
    async with office(tmp_path) as (channel, _, gateway):
        stranger = described(gateway.url, "another-password")
        (outcome,) = await stranger.send_many([sms("提醒")])
        await stranger.close()
        assert isinstance(outcome, PermanentFailure)
        assert outcome.whole_channel
        await gateway.stop()
        (outcome,) = await channel.send_many([sms("提醒")])
        assert isinstance(outcome, TemporaryFailure)
