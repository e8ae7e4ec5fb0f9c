"""Over which channels a message reaches a person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.duration import Duration
    from policies.model import Choice, Directory, Official, Policy, Via


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


def preferred(
    channels: Channels, official: Official | None, choice: Choice | None, kinds: Mapping[str, str]
) -> Channels:
    """The channels of a step as that person would rather have them (偏好), within what the policy lets him choose.

    What he prefers and has an address for comes first, the policy's own follow if it fails: whoever would have been
    reached still is. The same channels, untouched, where he has no say or says nothing that can be done.
    """
    if choice is None or official is None or not official.prefers:
        return channels
    first_of = first_of_each_kind(kinds)
    wanted = dict.fromkeys(word if word in kinds else first_of.get(word, "") for word in official.prefers)
    mine = tuple([name for name in wanted if name and _may_choose(name, choice, kinds) and _has(official, kinds[name])])
    if not mine or channels.names == mine:
        return channels
    names = (*mine, *(name for name in channels.names if name not in mine))
    if channels.in_order and names == channels.names:
        return channels
    return Channels(names, tuple([kinds.get(name, name) for name in names]), in_order=True, wait=channels.wait)


def _may_choose(name: str, choice: Choice, kinds: Mapping[str, str]) -> bool:
    return name in choice.channels or kinds[name] in choice.channels


def _has(official: Official, kind: str) -> bool:
    return bool(official.addresses.get(kind))


def channels_named(names: tuple[str, ...], kinds: Mapping[str, str]) -> Channels:
    """Just these channels."""
    return Channels(names, tuple(kinds.get(name, name) for name in names))


def first_of_each_kind(kinds: Mapping[str, str]) -> dict[str, str]:
    """Kind of address -> the first channel that uses it: a message goes out once per kind, not once per channel."""
    first: dict[str, str] = {}
    for name, kind in kinds.items():
        first.setdefault(kind, name)
    return first


def heard_over(channels: Channels, directory: Directory) -> Directory:
    """The directory as these channels find it: whoever stopped (退订) all of one kind of them has no such address.

    Another channel of that kind that the step does not use makes up for none: he did not ask for it there.
    """
    if not directory.stopped:
        return directory
    return _heard_over(Same(directory), channels.names, channels.kinds)


@lru_cache(maxsize=64)
def _heard_over(directory: Same[Directory], names: tuple[str, ...], kinds: tuple[str, ...]) -> Directory:
    people = dict(directory.value.officials)
    for person, stopped in directory.value.stopped.items():
        official = people.get(person)
        if official is None:
            continue
        open_kinds = {kind for name, kind in zip(names, kinds, strict=True) if name not in stopped}
        deaf = set(kinds) - open_kinds
        if deaf & official.addresses.keys():
            left = {kind: address for kind, address in official.addresses.items() if kind not in deaf}
            people[person] = replace(official, addresses=left)
    return replace(directory.value, officials=people)


def reachable(person: str, channels: Channels, directory: Directory) -> tuple[str, ...]:
    """Those of the channels on which that person has an address and which he has not stopped.

    None if the directory knows him no longer.
    """
    official = directory.officials.get(person)
    if official is None:
        return ()
    addresses, stopped = official.addresses, directory.stopped.get(person, ())
    pairs = zip(channels.names, channels.kinds, strict=True)
    return tuple([name for name, kind in pairs if addresses.get(kind) and name not in stopped])
