"""企业微信 (WeCom): messages of an application of one's own to members, by their user id."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field, SecretStr, model_validator

from channels.base import ChannelType
from channels.wire.connection import ConnectionSettings
from channels.wire.shell import ProviderChannel


class WeComSettings(ConnectionSettings):
    """`type: wecom`. `title`, `link` and `button` are for cards."""

    corp_id: str = Field(min_length=1)
    agent_id: int = Field(ge=1)
    secret: SecretStr = Field(min_length=1)
    message: Literal["text", "markdown", "textcard"] = "text"
    title: str = Field(default="督办提醒", min_length=1)
    link: str | None = Field(default=None, pattern=r"^https?://")
    button: str = Field(default="详情", min_length=1, max_length=4)
    per_person_per_minute: int = Field(default=30, ge=1, le=10_000)
    base_url: str = Field(default="https://qyapi.weixin.qq.com", pattern=r"^https?://")

    @model_validator(mode="after")
    def _a_card_leads_somewhere(self) -> WeComSettings:
        if self.message == "textcard" and self.link is None:
            raise ValueError("message: textcard 要写 link（点开后的地址）/ message: textcard needs link, what it opens")
        return self


class WeComChannel(ProviderChannel):
    """Messages of one application."""

    settings_type: ClassVar[type[BaseModel]] = WeComSettings
    kind: ClassVar[str] = "wecom"


def open_wecom(settings: WeComSettings) -> WeComChannel:
    """A channel of this application; the token is asked for with the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.wecom_messages import WeComMessages  # noqa: PLC0415  # aiohttp takes a quarter of a second

    return WeComChannel(WeComMessages(settings), settings.concurrency)


CHANNEL = ChannelType("wecom", WeComSettings, open_wecom, "wecom")
