"""Every HTTP provider of the test support in one process: `python -m support.channel_servers` prints their ports."""

from __future__ import annotations

import asyncio
import contextlib
import json

from support.cloud_sms_servers import AliyunServer, HuaweiServer, MasServer, TencentServer
from support.sms_gateway import FaultyServer, SmsGateway
from support.twilio_server import TwilioServer
from support.webhook_receiver import WebhookReceiver
from support.workplace_servers import DingTalkServer, FeishuServer, WeComServer

SERVERS: dict[str, type[FaultyServer]] = {
    "http": SmsGateway,
    "twilio": TwilioServer,
    "aliyun": AliyunServer,
    "tencent": TencentServer,
    "huawei": HuaweiServer,
    "mas": MasServer,
    "wecom": WeComServer,
    "dingtalk": DingTalkServer,
    "feishu": FeishuServer,
    "webhook": WebhookReceiver,
}


async def _serve() -> None:
    servers = {name: kind() for name, kind in SERVERS.items()}
    for server in servers.values():
        await server.start()
    print(json.dumps({name: server.port for name, server in servers.items()}), flush=True)  # noqa: T201  # for whoever started it
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
