"""Several providers behind one channel, each with its share (分担): what the section says, and who gets which notices.

channels:
  aliyun: {type: aliyun, …}
  tencent: {type: tencent, …}
  sms:
    type: shared
    providers: {aliyun: 3, tencent: 1}   # weights: three of four messages leave over aliyun
    slow_after: 10                       # seconds a message; a slower provider is left like one that fails
    failures: 5                          # in a row, and it is left
    rest_seconds: 60                     # then one message is tried; doubled up to an hour

Every notice falls into one of a thousand buckets; a provider takes those of its range, and the ranges are spread over
the providers that work. No router hands anything out (decision 0008).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from policies.complaints import shown
from policies.errors import Problem
from policies.spelling import suggestion
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

SHARED = "shared"  # the type of such a section
BUCKETS = 1000
STEP = 373  # buckets further with every attempt: tried again it may fall to another provider; it shares no factor

_Weight = Annotated[int, Field(ge=1, le=100)]


class Sharing(BaseModel):
    """Which channels share one by which weights, and when one of them is left alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    providers: dict[str, _Weight] = Field(min_length=1, max_length=10)
    slow_after: float = Field(default=10, gt=0, le=600)
    failures: int = Field(default=5, ge=1, le=1000)
    rest_seconds: float = Field(default=60, ge=1, le=3600)


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several providers takes of their channel now: the notices that fall into its buckets.

    What is in doubt belongs to the provider that had it, whatever its bucket: only he can be asked. `known` are all
    the providers there are; what one has that is configured no more is for everybody.
    """

    provider: str
    buckets: range
    known: tuple[str, ...]

    @property
    def bounds(self) -> dict[str, object]:
        """The parameters of a statement about this share."""
        return {
            "provider": self.provider,
            "known": list(self.known),
            "from_bucket": self.buckets.start,
            "to_bucket": self.buckets.stop,
        }


def bucket_of(key: str) -> int:
    """The bucket of a notice, by its key: always the same, and evenly spread."""
    return zlib.crc32(key.encode("utf-8", "replace")) % BUCKETS


def ranges_of(weights: Mapping[str, int], working: Collection[str]) -> dict[str, range]:
    """Which buckets each of the working providers takes: all of them together, by weight, none twice.

    If none works, all are taken for working: a channel whose providers all fail goes on trying as any other does.
    """
    taking = {name: weight for name, weight in weights.items() if name in working} or dict(weights)
    total, begun, found = sum(taking.values()), 0, dict[str, range]()
    for name, weight in taking.items():
        found[name] = range(begun * BUCKETS // total, (begun + weight) * BUCKETS // total)
        begun += weight
    return found


def mistakes_in(sharing: Mapping[str, Sharing], names: Collection[str], kinds: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with the shared channels; `names` are all channels written, `kinds` those of the readable ones."""
    taken: dict[str, str] = {}
    for channel, shared in sharing.items():
        path = ("channels", channel, "providers")
        members = sorted({kinds[name] for name in shared.providers if name in kinds})
        if len(members) > 1:
            zh, en = "、".join(members), ", ".join(members)
            yield Problem(
                path, Text(f"各服务商须用同一种地址，现有 {zh}", f"all must need one kind of address, not {en}")
            )
        for name in shared.providers:
            wrong = _wrong_provider(name, channel, sharing, names, taken)
            if wrong is not None:
                yield Problem((*path, name), wrong, None if name in names else suggestion(name, names))
            taken.setdefault(name, channel)


def _wrong_provider(
    name: str, channel: str, sharing: Mapping[str, Sharing], names: Collection[str], taken: Mapping[str, str]
) -> Text | None:
    found = shown(name)
    if name == channel:
        return Text("不能以自己为服务商", "a channel cannot be behind itself")
    if name in sharing:
        return Text(f"{found.zh}本身由几家服务商分担，不能再列入", f"{found.en} is shared itself and cannot be listed")
    if name not in names:
        return Text(f"没有名为{found.zh}的通道", f"there is no channel named {found.en}")
    if name in taken:
        return Text(f"{found.zh}已列入 {taken[name]}", f"{found.en} is behind {taken[name]} already")
    return None
