"""飞书 (Feishu, Lark): messages of an application's bot to people, by user id, open id or mailbox."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field, SecretStr

from channels.base import ChannelType
from channels.wire.connection import ConnectionSettings
from channels.wire.shell import ProviderChannel


class FeishuSettings(ConnectionSettings):
    """`type: feishu`. For Lark outside China: `base_url: https://open.larksuite.com`."""

    app_id: str = Field(min_length=1)
    app_secret: SecretStr = Field(min_length=1)
    receive_id_type: Literal["user_id", "open_id", "union_id", "email"] = "user_id"
    base_url: str = Field(default="https://open.feishu.cn", pattern=r"^https?://")


class FeishuChannel(ProviderChannel):
    """Messages of one application's bot."""

    settings_type: ClassVar[type[BaseModel]] = FeishuSettings
    kind: ClassVar[str] = "feishu"


def open_feishu(settings: FeishuSettings) -> FeishuChannel:
    """A channel of this application; the token is asked for with the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.feishu_messages import FeishuMessages  # noqa: PLC0415  # aiohttp takes a quarter of a second

    return FeishuChannel(FeishuMessages(settings), settings.concurrency)


CHANNEL = ChannelType("feishu", FeishuSettings, open_feishu, "feishu")
