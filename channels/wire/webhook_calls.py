"""Signed requests to one receiver, by the Standard Webhooks specification 1.0."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from channels.base import PermanentFailure, Receipt
from channels.webhook import key_of
from channels.wire.coded import JSON, exchange_of, json_body
from channels.wire.exchange import Sending
from channels.wire.identity import reference_of
from channels.wire.shell import CannotBeAsked
from channels.wire.status import failure_of_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from channels.base import Message, Outcome
    from channels.webhook import WebhookSettings

_TAKEN = range(200, 300)
_NOBODY_THERE = {404, 405, 410}  # 410: the receiver wants no more, says the specification
_LONGEST_ADDRESS = 500


def system_now() -> datetime:
    """The present instant: receivers refuse a time-stamp that is more than minutes away from theirs."""
    return datetime.now(UTC)


def identity_of(message: Message) -> str:
    """The id of a message, the same for every sending of it: what a receiver takes once, it need not take again."""
    return f"msg_{reference_of(message.key)}"


def signature(key: bytes, identity: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    digest = hmac.new(key, b".".join((identity.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class WebhookCalls(CannotBeAsked):
    """Calls one receiver."""

    because = "a webhook has no question; the receiver sorts out what comes twice by its id"

    def __init__(self, settings: WebhookSettings, now: Callable[[], datetime] = system_now) -> None:
        self._settings = settings
        self._now = now
        secrets = [settings.secret] if settings.old_secret is None else [settings.secret, settings.old_secret]
        self._keys = [key_of(secret) for secret in secrets]
        self._sending = Sending(settings.concurrency, settings.rate)
        self._exchange = exchange_of(settings)

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def _send(self, message: Message) -> Outcome:
        identity = identity_of(message)
        body = self._body(message)
        timestamp = str(int(self._now().timestamp()))
        signatures = " ".join(signature(key, identity, timestamp, body) for key in self._keys)
        headers = {"webhook-id": identity, "webhook-timestamp": timestamp, "webhook-signature": signatures}
        answer = await self._exchange.ask("POST", self._settings.url, data=body, headers={**JSON, **headers})
        if answer.status in _TAKEN:
            return Receipt(identity, answer=f"http_{answer.status}")
        if answer.status in _NOBODY_THERE:
            raise PermanentFailure(f"http_{answer.status}", whole_channel=True)
        raise failure_of_status(answer)

    def _body(self, message: Message) -> bytes:
        if not message.to.isprintable() or not 0 < len(message.to) <= _LONGEST_ADDRESS:
            raise PermanentFailure("bad_address", "not an address in one line")
        return json_body(
            {
                "type": self._settings.event,
                "timestamp": message.at.astimezone(UTC).isoformat(),
                "data": {
                    "key": message.key,
                    "to": message.to,
                    "to_name": message.to_name,
                    "subject": message.subject,
                    "text": message.text,
                    "possible_duplicate": message.possible_duplicate,
                    "params": dict(message.params),
                },
            }
        )
