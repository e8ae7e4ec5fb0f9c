"""One service through Apprise: its own tries, templates and logs switched off.

Apprise says no more than that it did not work. It does not say whether the request had left, so that is unknown.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import apprise

from channels.base import OutcomeUnknown, PermanentFailure, Receipt
from channels.wire.exchange import Sending
from channels.wire.shell import CannotBeAsked
from channels.wire.template import fill_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.apprise import AppriseSettings
    from channels.base import Message, Outcome

_log = logging.getLogger("apprise")
_log.propagate = False  # it would log addresses and what services answer
_log.setLevel(logging.CRITICAL + 1)

_SOMEBODY = "somebody"  # to see whether the address of the service is one
_LONGEST_ADDRESS = 500


class AppriseServices(CannotBeAsked):
    """Sends over one kind of service."""

    because = "Apprise has no question about a message"

    def __init__(self, settings: AppriseSettings) -> None:
        self._url = settings.url.get_secret_value()
        self._seconds = settings.timeout
        self._sending = Sending(settings.concurrency, settings.rate)
        self._asset: Any = apprise.AppriseAsset(allow_templates=False, service_timeout=settings.timeout)
        self._service(_SOMEBODY)

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        return await self._sending.each(messages, self._send)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _send(self, message: Message) -> Outcome:
        if not message.to.isprintable() or not 0 < len(message.to) <= _LONGEST_ADDRESS:
            raise PermanentFailure("bad_address", "not an address in one line")
        try:
            message.text.encode()
        except UnicodeEncodeError:
            raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None
        service = self._service(message.to)
        try:
            async with asyncio.timeout(self._seconds):
                done = await service.async_notify(body=message.text, title=message.subject)
        except TimeoutError:
            raise OutcomeUnknown("timeout", "the service did not answer in time") from None
        except Exception as error:  # noqa: BLE001  # a hundred services, each may fail in its own way
            raise OutcomeUnknown("apprise_broke", type(error).__name__) from None
        if not done:
            raise OutcomeUnknown("apprise_failed", "Apprise does not say whether the request had left")
        return Receipt(answer="ok")

    def _service(self, to: str) -> Any:  # noqa: ANN401  # apprise ships no types
        one: Any = apprise.Apprise(asset=self._asset)
        added: object = one.add(fill_url(self._url, {"to": to}))
        if not added:
            raise PermanentFailure("bad_url", "Apprise knows no such service", whole_channel=True)
        for service in one:
            service.retry = 0  # whether to try again is decided by the sender
        return one
