"""A signed request to a system of one's own, by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from channels.base import ChannelType
from channels.wire.connection import ConnectionSettings
from channels.wire.shell import ProviderChannel

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a key, as the specification wants


def key_of(secret: SecretStr) -> bytes:
    """The key in a secret written `whsec_` and base64.

    Raises:
        ValueError: it is written otherwise, or the key is too short or too long; the secret is not repeated.
    """
    written = secret.get_secret_value()
    try:
        key = base64.b64decode(written.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not written.startswith(_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(
            f"应为 {_PREFIX} 加 {_SHORTEST} 至 {_LONGEST} 字节的 base64，可用 openssl rand -base64 32 生成"
            f" / expected {_PREFIX} and base64 of {_SHORTEST} to {_LONGEST} bytes; openssl rand -base64 32 makes one"
        )
    return key


class WebhookSettings(ConnectionSettings):
    """`type: webhook`. `old_secret` signs as well while receivers change over; `kind` is whose address goes along."""

    url: str = Field(pattern=r"^https?://")
    secret: SecretStr
    old_secret: SecretStr | None = None
    kind: str = Field(default="webhook", pattern=r"^[a-z][a-z0-9_]*$")
    event: str = Field(default="duban.notice", pattern=r"^[A-Za-z0-9_.]+$")

    @field_validator("secret", "old_secret")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key_of(value)
        return value


class WebhookChannel(ProviderChannel):
    """Requests to one address."""

    settings_type: ClassVar[type[BaseModel]] = WebhookSettings
    kind: ClassVar[str] = "webhook"


def open_webhook(settings: WebhookSettings) -> WebhookChannel:
    """A channel to this address.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    from channels.wire.webhook_calls import WebhookCalls  # noqa: PLC0415  # aiohttp takes a quarter of a second to load

    return WebhookChannel(WebhookCalls(settings), settings.concurrency)


CHANNEL = ChannelType("webhook", WebhookSettings, open_webhook, "webhook")
