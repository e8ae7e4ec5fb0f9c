"""One channel and the server behind it, as the contract of channels plays with them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from channels.base import Channel, Message
from channels.registry import channel_types
from support.sms_gateway import running
from support.webhook_receiver import WebhookReceiver
from support.workplace_servers import PERSON, SECRET, DingTalkServer, FeishuServer, WeComServer, coded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)
CHINESE = "【某市信访局】提醒:事项XF202609170012“书面告知”10月8日到期,余3个工作日。𠮷𪚥"
WEBHOOK_SECRET = "whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LWxvbmc="


@dataclass
class Stage:
    """One channel and the server behind it."""

    channel: Channel
    to: str
    texts: Callable[[], list[str]]
    identities: Callable[[], list[str]] = list
    fail: Callable[[str], None] = lambda _kind: None
    hanging: asyncio.Event | None = None
    vanish: Callable[[], Any] | None = None
    can_be_asked: bool = True
    server: Any = None  # whose answers can be spoilt; a spool has none
    secrets: tuple[str, ...] = field(default=("not-a-real-secret",))

    def message(self, key: str = "k1", text: str = CHINESE, **other: Any) -> Message:
        """A message to this stage's address."""
        return Message(key=key, to=other.pop("to", self.to), text=text, at=AT, subject="【督办】提醒", **other)


def opened(type_name: str, **settings: Any) -> Channel:
    """A channel opened the way the daemon opens it."""
    channel_type = channel_types()[type_name]
    return channel_type.open(channel_type.settings.model_validate(settings))


@contextlib.asynccontextmanager
async def wecom_stage(_folder: Path) -> AsyncIterator[Stage]:
    """WeCom, which can never be asked about a message."""
    async with running(WeComServer()) as server:
        own = {"corp_id": "ww1", "agent_id": 7, "secret": SECRET, "per_person_per_minute": 1000}
        channel = opened("wecom", **own, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": coded("errcode", 45009), "permanent": coded("errcode", 60111)}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            PERSON,
            lambda: [message["text"]["content"] for message in server.messages],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
            secrets=(SECRET, "token-1"),
        )
        await channel.close()


@contextlib.asynccontextmanager
async def dingtalk_stage(_folder: Path) -> AsyncIterator[Stage]:
    """Work notices; a notice that was never taken has no number to ask by."""
    async with running(DingTalkServer()) as server:
        own = {"app_key": "ding1", "agent_id": 7, "app_secret": SECRET, "confirm_after": 0}
        channel = opened("dingtalk", **own, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": coded("errcode", 143103), "permanent": coded("errcode", 33012)}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            PERSON,
            lambda: [one["msg"]["text"]["content"].removesuffix("\n2026-09-28 09:30:00") for one in server.messages],
            lambda: [one["msg"]["text"]["content"] for one in server.messages],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
            secrets=(SECRET, "token-1"),
        )
        await channel.close()


@contextlib.asynccontextmanager
async def robot_stage(_folder: Path) -> AsyncIterator[Stage]:
    """A robot in a DingTalk group."""
    async with running(DingTalkServer()) as server:
        robot = {"access_token": "not-a-real-token", "secret": SECRET, "per_minute": 1000}
        channel = opened("dingtalk", robot=robot, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": coded("errcode", 130101), "permanent": coded("errcode", 430102)}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            PERSON,
            lambda: [message["text"]["content"] for message in server.messages],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
            secrets=(SECRET, "not-a-real-token"),
        )
        await channel.close()


@contextlib.asynccontextmanager
async def feishu_stage(_folder: Path) -> AsyncIterator[Stage]:
    """Feishu, which leaves out what comes twice."""
    async with running(FeishuServer()) as server:
        channel = opened("feishu", app_id="cli1", app_secret=SECRET, base_url=server.url, timeout=1)
        answers: dict[str, Any] = {"temporary": coded("code", 230020, 400), "permanent": coded("code", 230013, 400)}
        answers |= {"unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            PERSON,
            lambda: [said_in(message["content"]) for message in server.messages],
            lambda: [message["uuid"] for message in server.messages],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
            secrets=(SECRET, "token-1"),
        )
        await channel.close()


@contextlib.asynccontextmanager
async def webhook_stage(_folder: Path) -> AsyncIterator[Stage]:
    """A receiver of signed requests."""
    async with running(WebhookReceiver()) as server:
        channel = opened("webhook", url=f"{server.url}/duban", secret=WEBHOOK_SECRET, timeout=1)
        answers = {"temporary": "503 7", "permanent": "400", "unknown": "drop", "hang": "hang"}
        yield Stage(
            channel,
            PERSON,
            lambda: [message["text"] for message in server.messages],
            lambda: [headers["webhook-id"] for headers in server.headers],
            fail=lambda kind: server.fail(answers[kind]),
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
            secrets=(WEBHOOK_SECRET, WEBHOOK_SECRET.removeprefix("whsec_")),
        )
        await channel.close()


def said_in(content: str) -> str:
    """The text in a Feishu message."""
    return str(json.loads(content)["text"])


class JsonReceiver(WebhookReceiver):
    """What Apprise's `json://` speaks to; the address stands in the path."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What the requests carried."""
        return [json.loads(body) for body in self.bodies]


@contextlib.asynccontextmanager
async def apprise_stage(_folder: Path) -> AsyncIterator[Stage]:
    """A service through Apprise, which says no more than yes or no."""
    async with running(JsonReceiver()) as server:
        channel = opened("apprise", url=f"json://127.0.0.1:{server.port}/duban?to={{to}}", timeout=1)
        yield Stage(
            channel,
            PERSON,
            lambda: [message["message"] for message in server.messages],
            hanging=server.hanging,
            vanish=server.stop,
            server=server,
            can_be_asked=False,
        )
        await channel.close()


WORKPLACE_STAGES = {
    "wecom": wecom_stage,
    "dingtalk": dingtalk_stage,
    "dingtalk-robot": robot_stage,
    "feishu": feishu_stage,
    "webhook": webhook_stage,
}
