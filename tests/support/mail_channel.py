"""A mail channel to a server on loopback, and messages for it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from channels.base import Message
from channels.email import EmailSettings, open_email

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.base import Outcome
    from channels.email import EmailChannel

AT = datetime(2026, 9, 28, 1, 30, tzinfo=UTC)


def email_settings(port: int, **changes: Any) -> EmailSettings:
    """Settings for a server on this port, without encryption and with short time-outs."""
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": port, "encryption": "none", "connections": 1}
    settings |= {"from": {"name": "某市信访局", "address": "duban@example.com"}}
    settings |= {"connect_timeout": 1, "command_timeout": 1, "body_timeout": 1}
    return EmailSettings.model_validate(settings | changes)


@contextlib.asynccontextmanager
async def channel_to(port: int, **changes: Any) -> AsyncIterator[EmailChannel]:
    """A channel to this port, closed afterwards."""
    channel = open_email(email_settings(port, **changes))
    try:
        yield channel
    finally:
        await channel.close()


def mails(count: int, first: int = 0, **changes: Any) -> list[Message]:
    """As many messages, each with its number as subject."""
    fields: dict[str, Any] = {"to": "reader@example.com", "text": "内容", "at": AT}
    return [Message(key=f"k{i}", subject=f"第{i}封", **(fields | changes)) for i in range(first, first + count)]


def kinds(outcomes: list[Outcome]) -> list[type]:
    """What became of each."""
    return [type(outcome) for outcome in outcomes]
