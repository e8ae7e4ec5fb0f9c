"""SMS through 阿里云短信服务 (SendSms 2017-05-25): approved templates, found again by our own reference."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from channels.base import ChannelType
from channels.wire.approved import NamedTemplate, some_approved
from channels.wire.cloud import CloudChannel, CloudSettings
from channels.wire.cloud_calls import hear_aliyun


class AliyunAccountSettings(CloudSettings):
    """What texts and calls of one account have in common."""

    access_key_id: str = Field(min_length=1)
    access_key_secret: SecretStr
    base_url: str = Field(default="https://dysmsapi.aliyuncs.com", pattern=r"^https?://[^/?#]+/?$")


class AliyunSettings(AliyunAccountSettings):
    """`type: aliyun`. Time-outs in seconds."""

    sign_name: str = Field(min_length=1)
    templates: dict[str, NamedTemplate] = Field(min_length=1)
    extend_code: str | None = Field(default=None, pattern=r"^\d{1,8}$")
    settle: float = Field(
        default=60, ge=0, le=3600, description="so long after a lost answer, 'not there' is not believed"
    )

    _some_approved = field_validator("templates")(some_approved)


class AliyunChannel(CloudChannel):
    """SMS through one account of 阿里云."""

    settings_type: ClassVar[type[BaseModel]] = AliyunSettings


def open_aliyun(settings: AliyunSettings) -> AliyunChannel:
    """A channel over this account; nothing is asked before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.aliyun_sms import AliyunSms  # noqa: PLC0415  # aiohttp takes a quarter of a second to load

    return AliyunChannel(AliyunSms(settings), settings, hear_aliyun, tells_delivery=True)


CHANNEL = ChannelType("aliyun", AliyunSettings, open_aliyun, "sms", frozenset({"asked", "delivery", "replies"}))
