"""Sending through a cloud's HTTP interface: one request a message, nothing repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from yarl import URL

from channels.wire.exchange import HttpExchange, Sending
from channels.wire.shell import CannotBeAsked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.wire.cloud import CloudSettings
    from channels.wire.exchange import Answer


class CloudSms(CannotBeAsked):
    """One account; a provider says how one message is sent and, where it can be asked, how one is found."""

    def __init__(self, settings: CloudSettings) -> None:
        self.listens_at = ""  # where the provider reaches us, with our secret; empty: not at all
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = HttpExchange(
            connections=settings.concurrency,
            connect_seconds=settings.connect_timeout,
            seconds=settings.timeout,
            ca_file=settings.ca_file,
        )

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        raise NotImplementedError


def fields_of(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; empty if it is none."""
    try:
        tree = json.loads(answer.text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", tree) if isinstance(tree, dict) else {}


def host_of(base_url: str) -> str:
    """The Host header of a request there, as signatures have it: the port only if it is not the usual one."""
    base = URL(base_url)
    return str(base.host) if base.is_default_port() else base.authority
