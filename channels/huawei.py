"""SMS through 华为云消息&短信 (batchSendSms v1, APP key): approved templates; what became of one is only reported."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from channels.base import ChannelType
from channels.wire.approved import OrderedTemplate, some_approved
from channels.wire.cloud import CloudChannel, CloudSettings
from channels.wire.cloud_calls import hear_huawei


class HuaweiSettings(CloudSettings):
    """`type: huawei`. Time-outs in seconds. `sender` is the number of the signature's line (签名通道号)."""

    app_key: str = Field(min_length=1, pattern=r'^[^"\s]+$')
    app_secret: SecretStr
    sender: str = Field(alias="from", min_length=1)
    signature: str | None = None
    templates: dict[str, OrderedTemplate] = Field(min_length=1)
    status_callback: str | None = Field(default=None, pattern=r"^https?://")
    base_url: str = Field(default="https://smsapi.cn-north-4.myhuaweicloud.com:443", pattern=r"^https?://[^/?#]+/?$")

    _some_approved = field_validator("templates")(some_approved)


class HuaweiChannel(CloudChannel):
    """SMS through one application of 华为云."""

    settings_type: ClassVar[type[BaseModel]] = HuaweiSettings


def open_huawei(settings: HuaweiSettings) -> HuaweiChannel:
    """A channel over this application; nothing is asked before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.huawei_sms import HuaweiSms  # noqa: PLC0415  # aiohttp takes a quarter of a second to load

    return HuaweiChannel(HuaweiSms(settings), settings, hear_huawei, tells_delivery=False)


CHANNEL = ChannelType("huawei", HuaweiSettings, open_huawei, "sms", frozenset({"delivery", "replies"}))
