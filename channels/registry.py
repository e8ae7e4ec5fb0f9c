"""Which channels there are: the modules beside this one that export `CHANNEL`, and entry points of other packages."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import channels
from channels.base import ChannelType

if TYPE_CHECKING:
    from pydantic import BaseModel

GROUP = "duban.channels"


def channel_types() -> dict[str, ChannelType]:
    """Every channel type by its name in the YAML (`type: email`). Nothing is connected and no client library loaded.

    An outside package adds its own with an entry point of the group `duban.channels` that names its `CHANNEL`;
    a built-in name cannot be taken over.
    """
    outside = [entry.load() for entry in entry_points(group=GROUP)]
    return {found.name: found for found in (*outside, *_built_in()) if isinstance(found, ChannelType)}


def kind_of(channel_type: ChannelType, settings: BaseModel) -> str:
    """The kind of address this channel needs, `email` or `sms`; a spool says it in its settings."""
    return str(getattr(settings, "kind", channel_type.kind))


def _built_in() -> list[ChannelType]:
    names = [found.name for found in pkgutil.iter_modules(channels.__path__) if not found.ispkg]
    modules = [importlib.import_module(f"channels.{name}") for name in sorted(names) if name != "registry"]
    return [module.CHANNEL for module in modules if hasattr(module, "CHANNEL")]
