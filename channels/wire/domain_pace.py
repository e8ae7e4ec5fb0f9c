"""How many mails a minute go to one recipient domain: what goes beyond, large providers take for advertising."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from channels.base import TemporaryFailure
from channels.email import OTHER_DOMAINS

if TYPE_CHECKING:
    from collections.abc import Mapping

_A_MINUTE = 60.0
_REMEMBERED = 10_000  # mails that were told to come back, and may never


@dataclass(slots=True)
class _Domain:
    sent: deque[float]
    told_to_wait: dict[bytes, None] = field(default_factory=dict[bytes, None])


class DomainPace:
    """Counts the mails of the last minute to each domain; nobody waits here, a mail too many comes back later."""

    def __init__(self, per_minute: Mapping[str, int]) -> None:
        self._per_minute = per_minute
        self._known: dict[str, _Domain] = {}

    def take(self, recipient: bytes, reference: bytes) -> None:
        """Count one more mail to the domain of this mailbox.

        Raises:
            TemporaryFailure: it would be one too many; `retry_after` says when its turn is, behind those before it.
        """
        name = recipient.rpartition(b"@")[2].decode().lower()
        most = self._per_minute.get(name, self._per_minute.get(OTHER_DOMAINS))
        if most is None:
            return
        now = asyncio.get_running_loop().time()
        domain = self._domain(name, most, now)
        domain.told_to_wait.pop(reference, None)
        if len(domain.sent) < most or domain.sent[0] <= now - _A_MINUTE:
            domain.sent.append(now)
            return
        rounds = len(domain.told_to_wait) // most
        domain.told_to_wait[reference] = None
        if len(domain.told_to_wait) > _REMEMBERED:
            domain.told_to_wait.clear()
        wait = domain.sent[0] + (1 + rounds) * _A_MINUTE - now
        raise TemporaryFailure("too_many_to_domain", "the limit per minute is reached", retry_after=wait)

    def _domain(self, name: str, most: int, now: float) -> _Domain:
        if len(self._known) > _REMEMBERED:
            self._known = {known: one for known, one in self._known.items() if one.sent[-1] > now - _A_MINUTE}
        return self._known.setdefault(name, _Domain(deque(maxlen=most)))
