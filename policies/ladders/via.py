"""Over which channels a message reaches a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.duration import Duration
    from policies.model import Directory, Policy, Via


@dataclass(slots=True)  # not frozen: one is made for every decision, and that costs twice as much
class Channels:
    """The channels of a step that the office has set up; with `in_order` the next one is only for when one fails."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    in_order: bool = False
    wait: Duration | None = None


def channels_of(via: Via | None, policy: Policy, kinds: Mapping[str, str]) -> Channels:
    """The channels of a step, of its policy, or one for each kind there is; a kind means the first channel of it.

    What the office has not set up is left out. If it has none of those named any more (an older version of the policies
    may name a channel that is gone), all it has are used; with none at all the names stay, so that the failure shows.
    """
    wanted = via or policy.via
    names = _set_up(wanted.channels, kinds)
    return Channels(names, tuple([kinds.get(name, name) for name in names]), wanted.in_order, wanted.wait)


def _set_up(named: tuple[str, ...], kinds: Mapping[str, str]) -> tuple[str, ...]:
    first_of = first_of_each_kind(kinds)
    if not named:
        return tuple(first_of.values())
    ready = dict.fromkeys(name if name in kinds else first_of.get(name) for name in named)
    return tuple([name for name in ready if name is not None]) or tuple(first_of.values()) or named


def channels_named(names: tuple[str, ...], kinds: Mapping[str, str]) -> Channels:
    """Just these channels."""
    return Channels(names, tuple(kinds.get(name, name) for name in names))


def first_of_each_kind(kinds: Mapping[str, str]) -> dict[str, str]:
    """Kind of address -> the first channel that uses it: a message goes out once per kind, not once per channel."""
    first: dict[str, str] = {}
    for name, kind in kinds.items():
        first.setdefault(kind, name)
    return first


def reachable(person: str, channels: Channels, directory: Directory) -> tuple[str, ...]:
    """Those of the channels on which that person has an address; none if the directory knows him no longer."""
    official = directory.officials.get(person)
    if official is None:
        return ()
    addresses = official.addresses
    return tuple([name for name, kind in zip(channels.names, channels.kinds, strict=True) if addresses.get(kind)])
