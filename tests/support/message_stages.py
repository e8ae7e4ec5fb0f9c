"""Mail, text messages and the spool, each with the server behind it, as the contract of channels plays with them."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from channels.aliyun import AliyunChannel, AliyunSettings
from channels.wire.aliyun_sms import AliyunSms
from channels.wire.cloud_calls import hear_aliyun
from support.channel_stages import AT, WORKPLACE_STAGES, Stage, opened
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
            connect_timeout=1,
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
            server=server,
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
            server=server,
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
            server=server,
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
            {**keys, "templates": {"*": template}, "base_url": server.url, "timeout": 1, "settle": 0}
        )
        # records are kept for thirty days: asked on the day the messages of this contract were decided
        channel = AliyunChannel(AliyunSms(settings, now=lambda: AT), settings, hear_aliyun, tells_delivery=True)
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
            server=server,
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
            server=server,
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
            server=server,
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
            server=server,
            can_be_asked=False,
        )
        await channel.close()


@contextlib.asynccontextmanager
async def twilio_voice_stage(_folder: Path) -> AsyncIterator[Stage]:
    """Calls through a server that answers as Twilio does."""
    async with running(TwilioServer()) as server:
        keys = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006"}
        channel = opened("twilio_voice", **keys, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": twilio_error(20429, 429), "permanent": twilio_error(21211)}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [str(ET.fromstring(form["Twiml"]).findtext("Say")) for form in server.forms],  # noqa: S314  # ours
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
            secrets=(TOKEN,),
        )
        await channel.close()


@contextlib.asynccontextmanager
async def aliyun_voice_stage(_folder: Path) -> AsyncIterator[Stage]:
    """Calls through a server that answers and checks signatures as 阿里云 does."""
    async with running(AliyunServer()) as server:
        template = {"id": "TTS_1", "state": "approved", "variables": {"text": "{text}"}}
        keys = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "templates": {"*": template}}
        channel = opened("aliyun_voice", **keys, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": aliyun_error("isv.BUSINESS_LIMIT_CONTROL"), "unknown": "drop"}
        answers |= {"permanent": aliyun_error("isv.MOBILE_NUMBER_ILLEGAL"), "hang": "hang"}
        yield Stage(
            channel,
            "+8613800000001",
            lambda: [json.loads(one["TtsParam"])["text"] for one in server.calls],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
        )
        await channel.close()


STAGES = {
    "aliyun_voice": aliyun_voice_stage,
    "twilio_voice": twilio_voice_stage,
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
