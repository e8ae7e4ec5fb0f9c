"""What the clouds' SMS channels have in common before one is opened: limits in the settings, the channel's face."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome, Receipt
    from channels.wire.cloud_sms import CloudSms


class CloudSettings(BaseModel):
    """Time-outs in seconds; how much at once; whom to trust."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    connect_timeout: float = Field(default=10, gt=0, le=300)
    timeout: float = Field(default=30, gt=0, le=300)
    concurrency: int = Field(default=8, ge=1, le=256)
    rate: float | None = Field(default=None, gt=0, description="messages per second")
    ca_file: str | None = None


class CloudChannel:
    """SMS through one account of a cloud."""

    settings_type: ClassVar[type[BaseModel]]
    kind: ClassVar[str] = "sms"

    def __init__(self, provider: CloudSms, at_once: int, *, tells_delivery: bool) -> None:
        self.at_once = at_once  # what it sends at the same time
        self.tells_delivery = tells_delivery  # whether `lookup` can say that a message has arrived
        self._provider = provider

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all, at most `concurrency` at once and `rate` a second; the outcome of each, in the same order."""
        return await self._provider.send_many(messages)

    async def lookup(self, message: Message) -> Receipt | None:
        """Ask the provider by our own reference.

        Raises:
            OutcomeUnknown: it did not answer, or what it says proves neither yes nor no.
        """
        return await self._provider.find(message)

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.close()
