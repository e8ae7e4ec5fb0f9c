"""What every channel must do, proved on each against a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from channels.aliyun import AliyunChannel, AliyunSettings
from channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SendError,
    TemporaryFailure,
)
from channels.wire.aliyun_sms import AliyunSms
from support.channel_stages import AT, CHINESE, WORKPLACE_STAGES, Stage, opened
from support.cloud_sms_servers import (
    KEY_ID,
    AliyunServer,
    HuaweiServer,
    MasServer,
    TencentServer,
    aliyun_error,
    huawei_error,
    mas_error,
    tencent_refusal,
)
from support.sms_gateway import SmsGateway, running
from support.smtp_server import DROP, HANG, smtp_server
from support.twilio_server import ACCOUNT, TOKEN, TwilioServer, twilio_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "not-a-real-secret"


@contextlib.asynccontextmanager
async def email_stage(_folder: Path, *, pipelining: bool = True) -> AsyncIterator[Stage]:
    """Mail through aiosmtpd."""
    async with smtp_server(pipelining=pipelining, password=SECRET) as server:
        channel = opened(
            "email",
            host="127.0.0.1",
            port=server.port,
            encryption="none",
            login_without_encryption=True,
            **{"username": "duban", "password": SECRET, "from": {"name": "某市信访局", "address": "duban@example.com"}},
            connections=2,
            command_timeout=1,
            body_timeout=1,
        )
        answers = {"temporary": ("RCPT", "451 4.3.0 reader@example.com later"), "unknown": ("BODY", DROP)}
        answers |= {"permanent": ("RCPT", "550 5.1.1 reader@example.com unknown"), "hang": ("BODY", HANG)}
        yield Stage(
            channel,
            "reader@example.com",
            lambda: [mail.get_content() for mail in server.mails],
            lambda: [str(mail["Message-ID"]) for mail in server.mails],
            lambda kind: server.fail(*answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            can_be_asked=False,
        )
        await channel.close()


@contextlib.asynccontextmanager
async def plain_email_stage(folder: Path) -> AsyncIterator[Stage]:
    """Mail through a server without PIPELINING."""
    async with email_stage(folder, pipelining=False) as stage:
        yield stage


@contextlib.asynccontextmanager
async def http_stage(_folder: Path) -> AsyncIterator[Stage]:
    """SMS through a gateway described by settings."""
    async with running(SmsGateway()) as server:
        fields = ("to", "text", "key", "reference", "possible_duplicate")
        channel = opened(
            "http",
            url=f"{server.url}/sms",
            secrets={"password": SECRET},
            headers={"X-Password": "{password}"},
            body={"format": "json", "content": {name: f"{{{name}}}" for name in fields}},
            success={"json": {"code": "0"}},
            code={"json": "code"},
            errors={"permanent": ["E1"]},
            timeout=1,
            lookup={
                "url": f"{server.url}/sms/{{reference}}",
                "present": {"json": {"found": True}},
                "absent": {"json": {"found": False}},
            },
        )
        answers = {"temporary": "503", "permanent": "refuse E1", "unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [message["text"] for message in server.messages],
            lambda: [message["reference"] for message in server.messages],
            lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
        )
        await channel.close()


@contextlib.asynccontextmanager
async def twilio_stage(_folder: Path) -> AsyncIterator[Stage]:
    """SMS through a server that answers as Twilio does; it knows no idempotency key."""
    async with running(TwilioServer()) as server:
        channel = opened(
            "twilio",
            **{"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006"},
            base_url=server.url,
            timeout=1,
        )
        answers: dict[str, Any] = {"temporary": twilio_error(20429, 429), "permanent": twilio_error(21211)}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [message["body"] for message in server.messages],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            secrets=(TOKEN,),
        )
        await channel.close()


@contextlib.asynccontextmanager
async def spool_stage(folder: Path) -> AsyncIterator[Stage]:
    """Files; a file in the place of the directory is what goes wrong."""
    channel = opened("spool", directory=str(folder / "spool"))
    out = folder / "spool" / "out"

    def block(_kind: str) -> None:
        (folder / "spool").write_text("in the way")

    yield Stage(
        channel,
        "+8613800000001",
        lambda: [json.loads(file.read_text())["text"] for file in sorted(out.glob("*.json"))],
        lambda: [file.stem for file in out.glob("*.json")],
        fail=block,
    )
    await channel.close()


@contextlib.asynccontextmanager
async def aliyun_stage(_folder: Path) -> AsyncIterator[Stage]:
    """SMS through a server that answers and checks signatures as 阿里云 does."""
    async with running(AliyunServer()) as server:
        template = {"id": "SMS_1", "state": "approved", "variables": {"text": "{text}"}}
        keys = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "sign_name": "某局"}
        settings = AliyunSettings.model_validate(
            {**keys, "templates": {"*": template}, "base_url": server.url, "timeout": 1}
        )
        # records are kept for thirty days: asked on the day the messages of this contract were decided
        channel = AliyunChannel(AliyunSms(settings, now=lambda: AT), 8, tells_delivery=True)
        answers: dict[str, Any] = {"temporary": aliyun_error("isv.BUSINESS_LIMIT_CONTROL"), "unknown": "drop"}
        answers |= {"permanent": aliyun_error("isv.MOBILE_NUMBER_ILLEGAL"), "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [json.loads(one["TemplateParam"])["text"] for one in server.sent],
            lambda: [one["OutId"] for one in server.sent],
            lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
        )
        await channel.close()


@contextlib.asynccontextmanager
async def tencent_stage(_folder: Path) -> AsyncIterator[Stage]:
    """SMS through a server that answers and checks signatures as 腾讯云 does."""
    async with running(TencentServer()) as server:
        template = {"id": "1", "state": "approved", "variables": ["{text}"]}
        keys = {"secret_id": KEY_ID, "secret_key": SECRET, "app_id": "1400000000", "sign_name": "某局"}
        channel = opened("tencent", **keys, templates={"*": template}, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": tencent_refusal("LimitExceeded.DeliveryFrequencyLimit")}
        answers |= {"permanent": tencent_refusal("InvalidParameterValue.IncorrectPhoneNumber")}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [one["TemplateParamSet"][0] for one in server.sent],
            lambda: [one["SessionContext"] for one in server.sent],
            lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            can_be_asked=False,
        )
        await channel.close()


@contextlib.asynccontextmanager
async def huawei_stage(_folder: Path) -> AsyncIterator[Stage]:
    """SMS through a server that answers and checks the X-WSSE header as 华为云 does."""
    async with running(HuaweiServer()) as server:
        template = {"id": "t1", "state": "approved", "variables": ["{text}"]}
        keys = {"app_key": KEY_ID, "app_secret": SECRET, "from": "8820000000000"}
        channel = opened("huawei", **keys, templates={"*": template}, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": huawei_error("E000510", "E200015", 200), "unknown": "drop"}
        answers |= {"permanent": huawei_error("E000510", "E200028", 200), "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [json.loads(one["templateParas"])[0] for one in server.sent],
            lambda: [one["extend"] for one in server.sent],
            lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            can_be_asked=False,
        )
        await channel.close()


@contextlib.asynccontextmanager
async def mas_stage(_folder: Path) -> AsyncIterator[Stage]:
    """SMS through a server that answers and checks the digest as 云MAS does; it takes no reference of ours."""
    async with running(MasServer()) as server:
        keys = {"ec_name": "某市信访局", "ap_id": "duban", "secret_key": SECRET, "sign": "signId"}
        channel = opened("mas", **keys, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": "503", "permanent": mas_error("InvalidMessage")}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [one["content"] for one in server.sent],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            can_be_asked=False,
        )
        await channel.close()


STAGES = {
    "aliyun": aliyun_stage,
    "tencent": tencent_stage,
    "huawei": huawei_stage,
    "mas": mas_stage,
    "email": email_stage,
    "email-plain": plain_email_stage,
    "http": http_stage,
    "twilio": twilio_stage,
    "spool": spool_stage,
    **WORKPLACE_STAGES,
}
KINDS = {"temporary": TemporaryFailure, "permanent": PermanentFailure, "unknown": OutcomeUnknown}


@pytest.fixture(params=list(STAGES))
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """Every channel in turn."""
    async with STAGES[request.param](tmp_path) as built:
        yield built


NETWORKED = [name for name in STAGES if name != "spool"]  # a spool has no provider that could be silent or away
FAILURES = [*((name, kind) for name in NETWORKED for kind in KINDS), ("spool", "permanent")]


@pytest.fixture(params=NETWORKED)
async def networked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """Every channel with a provider at the other end, in turn."""
    async with STAGES[request.param](tmp_path) as built:
        yield built


@pytest.fixture(params=FAILURES, ids="-".join)
async def failing(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Stage, str]]:
    """Every failure every channel can have, about to happen."""
    name, kind = request.param
    async with STAGES[name](tmp_path) as built:
        built.fail(kind)
        yield built, kind


async def test_outcomes_stand_in_the_order_of_the_messages(stage: Stage) -> None:
    """A refused message leaves its neighbours alone and its outcome stands in its own place."""
    messages = [stage.message(f"k{i}", f"第{i}条") for i in range(7)]
    messages[3] = replace(messages[3], text="half \ud83d")
    outcomes = await stage.channel.send_many(messages)
    assert [isinstance(one, Receipt) for one in outcomes] == [i != 3 for i in range(7)]
    assert isinstance(outcomes[3], PermanentFailure)
    assert sorted(text.strip() for text in stage.texts()) == [f"第{i}条" for i in range(7) if i != 3]


async def test_nothing_to_send_is_nothing(stage: Stage) -> None:
    """An empty batch has no outcomes and opens no connection."""
    assert await stage.channel.send_many([]) == []


async def test_every_character_arrives(stage: Stage) -> None:
    """Chinese with characters outside the BMP reaches the provider unchanged."""
    (outcome,) = await stage.channel.send_many([stage.message()])
    assert isinstance(outcome, Receipt)
    assert [text.strip() for text in stage.texts()] == [CHINESE]


async def test_an_address_that_is_none_is_refused_for_good(networked: Stage) -> None:
    """A malformed address fails permanently, for this message only."""
    outcomes = await networked.channel.send_many([networked.message(to="not an address\r\nRCPT TO:<x@example.com>")])
    assert isinstance(outcomes[0], PermanentFailure)
    assert not outcomes[0].whole_channel
    assert networked.texts() == []


async def test_the_same_key_is_the_same_message(stage: Stage) -> None:
    """A resend carries the identity of the first sending, so that it can be recognised."""
    await stage.channel.send_many([stage.message()])
    await stage.channel.send_many([stage.message(possible_duplicate=True)])
    assert len(set(stage.identities())) <= 1


async def test_failures_are_told_apart(failing: tuple[Stage, str]) -> None:
    """Not sent now, never to be sent, and perhaps sent are three different outcomes."""
    stage, kind = failing
    (outcome,) = await stage.channel.send_many([stage.message()])
    assert type(outcome) is KINDS[kind]


async def test_errors_give_nothing_away(failing: tuple[Stage, str]) -> None:
    """No failure shows the address, the text or a secret, even when the provider's answer quotes them."""
    stage, _ = failing
    (outcome,) = await stage.channel.send_many([stage.message()])
    assert isinstance(outcome, SendError)
    shown = f"{outcome} {outcome!r} {outcome.code} {outcome.detail} {outcome.__cause__!r}"
    assert not [secret for secret in (stage.to, CHINESE, stage.to[3:], *stage.secrets) if secret in shown]


async def test_it_works_again_after_a_failure(networked: Stage) -> None:
    """One lost answer does not spoil the channel."""
    networked.fail("unknown")
    await networked.channel.send_many([networked.message("k1")])
    assert isinstance((await networked.channel.send_many([networked.message("k2")]))[0], Receipt)


async def test_cancelling_stops_at_once_and_leaves_the_channel_usable(networked: Stage) -> None:
    """A cancelled batch does not wait for the provider; the next batch goes out."""
    networked.fail("hang")
    batch = asyncio.create_task(networked.channel.send_many([networked.message("k1")]))
    await asyncio.wait_for(networked.hanging.wait(), 5)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert isinstance((await networked.channel.send_many([networked.message("k2")]))[0], Receipt)


async def test_a_silent_provider_is_left_after_the_time_out(networked: Stage) -> None:
    """A provider that took the message and never answers gives an unknown outcome within its time-out."""
    networked.fail("hang")
    (outcome,) = await asyncio.wait_for(networked.channel.send_many([networked.message()]), 5)
    assert isinstance(outcome, OutcomeUnknown)


async def test_a_provider_that_is_not_there_is_a_temporary_failure(networked: Stage) -> None:
    """Nothing was sent to a closed port: every message may be tried again."""
    await networked.vanish()
    outcomes = await networked.channel.send_many([networked.message(f"k{i}") for i in range(3)])
    assert [type(one) for one in outcomes] == [TemporaryFailure] * 3


async def test_batches_may_overlap(stage: Stage) -> None:
    """Two calls at the same time both send everything, each once."""
    batches = [[stage.message(f"{b}-{i}", f"{b}-{i}") for i in range(20)] for b in range(3)]
    done = await asyncio.gather(*(stage.channel.send_many(batch) for batch in batches))
    assert all(isinstance(one, Receipt) for outcomes in done for one in outcomes)
    assert sorted(text.strip() for text in stage.texts()) == sorted(f"{b}-{i}" for b in range(3) for i in range(20))


async def test_closing_twice_is_closing_once(stage: Stage) -> None:
    """Close may be called again, and on a channel that never opened a connection."""
    await stage.channel.close()
    await stage.channel.close()


async def test_lookup_tells_sent_from_not_sent(stage: Stage) -> None:
    """A provider that can be asked knows what was sent and what was not; one that cannot says so."""
    message = stage.message()
    if not stage.can_be_asked:
        with pytest.raises(OutcomeUnknown):
            await stage.channel.lookup(message)
        return
    assert await stage.channel.lookup(message) is None
    (sent,) = await stage.channel.send_many([message])
    found = await stage.channel.lookup(message)
    assert isinstance(sent, Receipt)
    assert found is not None
    assert await stage.channel.lookup(stage.message("another key", "another text")) is None


async def test_lookup_never_takes_a_fault_for_an_answer(networked: Stage) -> None:
    """When the provider does not answer the question, the message stays in doubt."""
    await networked.vanish()
    with pytest.raises(OutcomeUnknown):
        await networked.channel.lookup(networked.message())
