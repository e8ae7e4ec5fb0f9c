"""SMS through 腾讯云短信 (SendSms 2021-01-11): approved templates; status reports name our reference if opened."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from channels.base import ChannelType
from channels.wire.approved import OrderedTemplate, some_approved
from channels.wire.cloud import CloudChannel, CloudSettings
from channels.wire.cloud_calls import hear_tencent


class TencentSettings(CloudSettings):
    """`type: tencent`. Time-outs in seconds."""

    secret_id: str = Field(min_length=1)
    secret_key: SecretStr
    app_id: str = Field(min_length=1, description="SmsSdkAppId")
    sign_name: str = Field(min_length=1)
    templates: dict[str, OrderedTemplate] = Field(min_length=1)
    region: str = Field(default="ap-guangzhou", pattern=r"^[a-z]+(-[a-z0-9]+)+$")
    extend_code: str | None = Field(default=None, pattern=r"^\d{1,12}$")
    session_in_reports: bool = Field(
        default=False, description="Tencent has opened SessionContext in the status reports of this application"
    )
    base_url: str = Field(default="https://sms.tencentcloudapi.com", pattern=r"^https?://[^/?#]+/?$")

    _some_approved = field_validator("templates")(some_approved)


class TencentChannel(CloudChannel):
    """SMS through one application of 腾讯云."""

    settings_type: ClassVar[type[BaseModel]] = TencentSettings


def open_tencent(settings: TencentSettings) -> TencentChannel:
    """A channel over this application; nothing is asked before the first message.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.tencent_sms import TencentSms  # noqa: PLC0415  # aiohttp takes a quarter of a second to load

    return TencentChannel(TencentSms(settings), settings, hear_tencent, tells_delivery=settings.session_in_reports)


CHANNEL = ChannelType("tencent", TencentSettings, open_tencent, "sms", frozenset({"asked", "delivery", "replies"}))
