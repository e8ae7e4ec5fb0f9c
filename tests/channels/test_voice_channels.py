from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channels.base import Listening, Message, PermanentFailure, Receipt
from channels.wire.identity import reference_of
from channels.wire.twilio_voice_calls import spoken
from support.channel_stages import opened
from support.cloud_sms_servers import KEY_ID, SECRET, AliyunServer
from support.provider_calls import CALLBACK_TOKEN, HERE, from_twilio, post_json
from support.sms_gateway import Fault, running
from support.twilio_server import ACCOUNT, TOKEN, TwilioServer

NUMBER = "+8613800000001"
TWILIO = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006"}
ALIYUN: dict[str, Any] = {
    "access_key_id": KEY_ID,
    "access_key_secret": SECRET,
    "templates": {"*": {"id": "TTS_1", "state": "approved", "variables": {"case": "{param.case}"}}},
}


def call() -> Message:
    """What is to be read out."""
    return Message("k1", NUMBER, "提醒：<甲>与“乙”，今日到期", datetime.now(UTC), params={"case": "XF202609170012"})


async def test_what_is_asked_of_twilio() -> None:
    """The text as TwiML, read twice in Chinese, half a minute of ringing, and where to tell what became of it."""
    async with running(TwilioServer()) as server:
        channel = opened("twilio_voice", **TWILIO, base_url=server.url)
        assert isinstance(channel, Listening)
        channel.listen_at(HERE)
        (outcome,) = await channel.send_many([call()])
        await channel.close()
    assert isinstance(outcome, Receipt)
    assert server.forms == [
        {
            "To": NUMBER,
            "From": "+15005550006",
            "Timeout": "30",
            "StatusCallback": f"{HERE}?ours={reference_of('k1')}",
            "Twiml": '<Response><Say language="zh-CN" loop="2">提醒：&lt;甲&gt;与“乙”，今日到期</Say></Response>',
        }
    ]


async def test_a_call_that_failed_at_once() -> None:
    """An answer that says the call has failed already is a failure."""
    async with running(TwilioServer()) as server:
        server.fail(Fault(201, '{"sid": "CA1", "status": "failed"}'))
        channel = opened("twilio_voice", **TWILIO, base_url=server.url)
        (outcome,) = await channel.send_many([call()])
        await channel.close()
    assert isinstance(outcome, PermanentFailure)
    assert outcome.code == "call_failed"


def test_no_text_breaks_the_twiml() -> None:
    """Control characters, which XML does not have, are left out."""
    assert spoken("甲\x01乙", "zh-CN", 1) == '<Response><Say language="zh-CN" loop="1">甲乙</Say></Response>'


@pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "in-progress"])
def test_a_telephone_that_rings_is_no_news(status: str) -> None:
    """Before the end of the call nothing is learnt."""
    channel = opened("twilio_voice", **TWILIO)
    assert isinstance(channel, Listening)
    news, _ = channel.hear(from_twilio({"CallSid": "CA1", "CallStatus": status}, TOKEN))
    assert news.learnt == ()


async def test_what_is_asked_of_aliyun() -> None:
    """The approved template with its variables, read twice, from the office's own number."""
    async with running(AliyunServer()) as server:
        channel = opened("aliyun_voice", **ALIYUN, show_number="05710000000", base_url=server.url)
        (outcome,) = await channel.send_many([call()])
        await channel.close()
    assert isinstance(outcome, Receipt)
    assert outcome.reference == "C1^0"
    assert server.calls == [
        {
            "CalledNumber": "13800000001",
            "CalledShowNumber": "05710000000",
            "TtsCode": "TTS_1",
            "TtsParam": '{"case":"XF202609170012"}',
            "PlayTimes": "2",
        }
    ]


def test_aliyun_s_halfway_reports_are_no_news() -> None:
    """VoiceCallReport tells of ringing and answering; only the record of the whole call counts."""
    channel = opened("aliyun_voice", **ALIYUN, callback_token=CALLBACK_TOKEN)
    assert isinstance(channel, Listening)
    halfway = {"status_code": "200101", "status_time": "2026-09-28 09:55:02", "call_id": "C1^0"}
    news, answer = channel.hear(post_json(f"{HERE}?token={CALLBACK_TOKEN}", [halfway]))
    assert news.learnt == ()
    assert b'"code": 0' in answer.body


def test_a_duration_of_any_length_is_read() -> None:
    """A number with thousands of digits is a call that was answered, not a defect of ours."""
    channel = opened("aliyun_voice", **ALIYUN, callback_token=CALLBACK_TOKEN)
    assert isinstance(channel, Listening)
    record = {"status_code": "200000", "duration": "9" * 5000, "call_id": "C1^0"}
    news, _ = channel.hear(post_json(f"{HERE}?token={CALLBACK_TOKEN}", [record, record | {"duration": "000"}]))
    assert [isinstance(one.outcome, Receipt) for one in news.learnt] == [True, False]
