"""The face of a channel over a provider's client: what it is before anything is sent, and its three verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from channels.base import CANNOT_ASK, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from channels.base import Message, Outcome, Receipt


class Provider(Protocol):
    """Who does the work; its module is loaded only when the channel is opened."""

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        ...

    async def find(self, message: Message) -> Receipt | None:
        """What the provider says about a message sent before; None: it certainly has not got it.

        Raises:
            OutcomeUnknown: it cannot be asked, did not answer, or what it says proves neither yes nor no.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class CannotBeAsked:
    """A provider without a question about one message; `because` says why."""

    because: ClassVar[str] = "this provider cannot be asked for a message"

    async def find(self, message: Message) -> Receipt | None:
        """What became of a message sent before: nobody can say.

        Raises:
            OutcomeUnknown: always.
        """
        del message
        raise OutcomeUnknown(CANNOT_ASK, self.because)


class ProviderChannel:
    """One channel over one provider."""

    settings_type: ClassVar[type[BaseModel]]
    kind: ClassVar[str] = "sms"

    def __init__(self, provider: Provider, at_once: int, *, tells_delivery: bool = False) -> None:
        self.at_once = at_once  # what it sends at the same time
        self.tells_delivery = tells_delivery  # whether `lookup` can say that a message has arrived
        self._provider = provider

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all, at most `concurrency` at once and `rate` a second; the outcome of each, in the same order."""
        return await self._provider.send_many(messages)

    async def lookup(self, message: Message) -> Receipt | None:
        """Ask the provider about a message sent before; None: it certainly has not got it.

        Raises:
            OutcomeUnknown: it cannot be asked, did not answer, or what it says proves neither yes nor no.
        """
        return await self._provider.find(message)

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.close()
