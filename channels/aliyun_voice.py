"""Telephone calls through 阿里云语音服务 (SingleCallByTts 2017-05-25): an approved template is read out."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field, field_validator

from channels.aliyun import AliyunAccountSettings
from channels.base import ChannelType
from channels.wire.approved import NamedTemplate, some_approved
from channels.wire.cloud import CloudChannel
from channels.wire.cloud_calls import hear_aliyun_voice


class AliyunVoiceSettings(AliyunAccountSettings):
    """`type: aliyun_voice`. Time-outs in seconds."""

    templates: dict[str, NamedTemplate] = Field(min_length=1)
    show_number: str | None = Field(
        default=None,
        pattern=r"^\d{5,20}$",
        description="专属模式的主叫显号；公共模式不写 / the number shown, where you have one of your own",
    )
    times: int = Field(default=2, ge=1, le=3, description="读几遍 / how often it is read")
    base_url: str = Field(default="https://dyvmsapi.aliyuncs.com", pattern=r"^https?://[^/?#]+/?$")

    _some_approved = field_validator("templates")(some_approved)


class AliyunVoiceChannel(CloudChannel):
    """Calls through one account of 阿里云."""

    settings_type: ClassVar[type[BaseModel]] = AliyunVoiceSettings


def open_aliyun_voice(settings: AliyunVoiceSettings) -> AliyunVoiceChannel:
    """A channel over this account; nobody is called before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.aliyun_voice_calls import AliyunVoice  # noqa: PLC0415  # aiohttp takes a quarter of a second

    return AliyunVoiceChannel(AliyunVoice(settings), settings, hear_aliyun_voice, tells_delivery=False)


CHANNEL = ChannelType("aliyun_voice", AliyunVoiceSettings, open_aliyun_voice, "sms", frozenset({"delivery"}))
