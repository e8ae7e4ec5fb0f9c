"""The ways out: one opened channel each, and how many messages it is given at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.medium import Medium

if TYPE_CHECKING:
    from channels.base import Channel

BATCH = 64  # at most, per loop, unless the channel sends more at the same time
AIM = 0.25  # seconds a batch should take: short enough to leave little in doubt, long enough to share a commit


@dataclass(frozen=True, slots=True)
class WayOut:
    """One configured channel, opened: its name in the YAML, the kind of address it needs, itself, what it lets by.

    `shares`: the channel it is one of the providers behind, where it is to serve that.
    """

    name: str
    kind: str
    channel: Channel
    medium: Medium = field(default_factory=Medium)
    shares: str = ""

    @property
    def queue(self) -> str:
        """The channel whose notices it sends."""
        return self.shares or self.name

    @property
    def at_once(self) -> int:
        """How many messages it sends at the same time; a channel that does not say is given whole batches."""
        told: object = getattr(self.channel, "at_once", BATCH)
        return told if isinstance(told, int) and told > 0 else BATCH

    @property
    def tells_delivery(self) -> bool:
        """Whether the provider can be asked if a message has arrived."""
        return getattr(self.channel, "tells_delivery", False) is True


class Pace:
    """How many messages one loop claims: as many as the channel sends at once, more where it is fast.

    Whatever is claimed when the process dies is sent again with a mark. Behind a slow relay a large batch would
    put the mark on hundreds of messages that had not even been tried.
    """

    def __init__(self, at_once: int) -> None:
        self.batch = self._least = at_once
        self._most = max(BATCH, at_once)

    def learn(self, sent: int, seconds: float) -> None:
        """Take what the last batch took as the measure of the next."""
        if seconds > 2 * AIM:
            self.batch = max(self.batch // 2, self._least)
        elif seconds < AIM and sent >= self.batch:
            self.batch = min(self.batch * 2, self._most)
