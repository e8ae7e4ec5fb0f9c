"""What a message offers its reader for acknowledging it (签收): a link, a code to send back, or simply to reply.

A code is four digits worked out from what the message is called (`sent_as`); no table of codes is kept. It only has to
tell apart what one person was sent lately, and whoever sends one back is known by his number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.wire.identity import reference_of
from daemon.links import Links
from daemon.medium import Medium

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from daemon.settings import Configuration, ConsoleSettings

MAIL = "email"
ANSWERS_TO_STOP = frozenset({"answer_stopped"})  # goes out over the very channel that was stopped
# What is answered to who writes back, by the word after `answer_` in the name of the template.
ANSWERS = ("taken", "already", "closed", "not_sent", "not_yours", "which", "help", "stopped", "resumed")
_FIRST_CODE, _CODES = 1000, 9000  # no code begins with a nought, which people leave out


@dataclass(frozen=True, slots=True)
class Offer:
    """The ways a message offers; empty where there is none. `reply`: an answer to the message itself is understood."""

    link: str = ""
    code: str = ""
    reply: bool = False


NO_OFFER = Offer()


def code_of(sent_as: str) -> str:
    """The four digits of a message, by what it is called to the provider (32 hexadecimal digits)."""
    return str(_FIRST_CODE + int(sent_as[:8], 16) % _CODES)


class Offers:
    """What each configured channel may offer. Without a `console:` section there are no links."""

    def __init__(self, console: ConsoleSettings | None, kinds: Mapping[str, str], media: Mapping[str, Medium]) -> None:
        self._links = None if console is None else Links(console)
        self._kinds = kinds
        self._media = media

    @property
    def answering(self) -> frozenset[str]:
        """The kinds of address over whose channels people can write back and are answered."""
        return frozenset(self._kinds.get(name, name) for name, medium in self._media.items() if medium.replies)

    def medium_of(self, channel: str) -> Medium:
        """What that channel lets through."""
        return self._media.get(channel, Medium())

    def of(self, channel: str, key: str, delivery: int, decided_at: datetime) -> Offer:
        """What the message with that idempotency key offers over that channel; `delivery` is its first one's number."""
        medium, kind = self._media.get(channel, Medium()), self._kinds.get(channel, channel)
        link = self._links.link(delivery, decided_at) if self._links and medium.takes_links(kind) else ""
        code = code_of(reference_of(key)) if medium.replies and kind != MAIL else ""
        return Offer(link, code, medium.replies)


NOTHING_OFFERED = Offers(None, {}, {})


def offers_of(configuration: Configuration) -> Offers:
    """What messages may offer under this configuration."""
    return Offers(configuration.settings.console, configuration.kinds, configuration.media)
