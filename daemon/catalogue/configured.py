"""The channels of a configuration, as `duban channels -c` shows them: whether each opens, and where receipts go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from channels.base import Collecting, Listening, SendError
from daemon.sharing import SHARED
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from channels.base import Channel
    from daemon.settings import Configuration

READY = Text("可用", "ready")
CALLED_AT = "in"  # the part of the public address under which providers reach a channel


@dataclass(frozen=True, slots=True)
class Configured:
    """One channel of ours. `callback` is the address its provider is to call; empty: it does not, or there is none.

    `tells_delivery`: as it is set up, we learn that a message arrived, by a receipt or by asking.

    `weights` are the shares of the channels behind a shared one.
    """

    name: str
    type: str
    kind: str
    state: Text
    tells_delivery: bool
    links: bool
    replies: bool
    callback: str
    weights: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "type": self.type,
            "kind": self.kind,
            "ready": self.state == READY,
            "state": {"zh": self.state.zh, "en": self.state.en},
            "tells_delivery": self.tells_delivery,
            "links": self.links,
            "replies": self.replies,
            "callback": self.callback or None,
            "weights": dict(self.weights) or None,
        }


def configured(configuration: Configuration) -> list[Configured]:
    """Every channel in the order of the YAML. Each is opened and closed; nothing is sent and nobody is asked."""
    return asyncio.run(_all(configuration))


async def _all(configuration: Configuration) -> list[Configured]:
    alone = [await _one(configuration, name) for name in configuration.channel_settings]
    by_name = {one.name: one for one in alone}
    return [*alone, *(_shared(configuration, name, by_name) for name in configuration.sharing)]


def _shared(configuration: Configuration, name: str, behind: Mapping[str, Configured]) -> Configured:
    """Several providers behind one channel: it is ready while one of them is."""
    weights = configuration.sharing[name].providers
    providers = [behind[provider] for provider in weights if provider in behind]
    kind, medium = configuration.kinds[name], configuration.media[name]
    return Configured(
        name,
        SHARED,
        kind,
        READY if any(one.state == READY for one in providers) else Text("都打不开", "none of them opens"),
        all(one.tells_delivery for one in providers),
        medium.takes_links(kind),
        medium.replies,
        "",
        weights,
    )


async def _one(configuration: Configuration, name: str) -> Configured:
    kind, medium = configuration.kinds[name], configuration.media[name]
    tells, listens, state = False, False, READY
    settings = configuration.channel_settings[name]
    try:
        opened: Channel = configuration.channel_types[name].open(settings)
    except SendError as failure:
        state = Text(f"打不开：{failure}", f"cannot be opened: {failure}")
    else:
        listens = isinstance(opened, Listening)
        tells = bool(getattr(opened, "tells_delivery", False)) or (
            "delivery" in configuration.channel_types[name].can
            and (gets_calls(configuration, name) if listens else isinstance(opened, Collecting))
            and _receipts_wanted(settings)
        )
        await opened.close()
    return Configured(
        name,
        configuration.channel_types[name].name,
        kind,
        state,
        tells,
        medium.takes_links(kind),
        medium.replies,
        callback_of(configuration, name) if listens else "",
    )


def gets_calls(configuration: Configuration, name: str) -> bool:
    """Whether the provider's calls can come in and be proved: with a console and, where one is needed, a secret."""
    settings = configuration.channel_settings[name]
    return configuration.settings.console is not None and not getattr(settings, "missing_proof", "")


def _receipts_wanted(settings: object) -> bool:
    """Whether its settings ask for word of what arrived: a gateway's description of receipts, a mail's reports."""
    described: object = getattr(settings, "calls", None)
    if described is not None:
        return getattr(described, "receipts", None) is not None
    if hasattr(settings, "delivery_reports"):
        reports: object = getattr(settings, "bounce_mailbox", None)
        return reports is not None and getattr(settings, "delivery_reports", "") == "all"
    return True


def callback_of(configuration: Configuration, name: str) -> str:
    """The public address of a channel; empty without a console."""
    console = configuration.settings.console
    return "" if console is None else f"{console.public_url}/{CALLED_AT}/{name}"
