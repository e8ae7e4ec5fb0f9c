"""The circuit breaker (熔断) of one provider: left alone when it fails or is slow, and tried again with one message.

    closed ── so many failures in a row, or slow ──▶ open ── rested ──▶ trial ── it works ──▶ closed
                                                      ▲                  │
                                                      └── twice as long ─┘ it does not

Pure: `now` is always told. It knows nothing of messages; who sends takes from it whether to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median_low
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_REST = timedelta(hours=1)
REMEMBERED = 7  # batches whose time is remembered
ENOUGH = 3  # of them, before anything is called slow
SLOW = "slow"  # why a provider is left that fails nothing


class State(StrEnum):
    """Whether a provider is given messages."""

    CLOSED = "closed"  # it works
    OPEN = "open"  # it is left alone
    TRIAL = "trial"  # one message is on its way to see


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is put up with: failures in a row, seconds a message may take, and how long the first rest is."""

    failures: int = 5
    slow_after: float = 10.0
    rest: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Breaker:
    """One provider's. `since` is when it was last left after it had worked, `until` how long it rests, `why` a code.

    `told_at` is when `until` was worked out: a clock that shows less was put back, and nothing follows from `until`.
    """

    tolerance: Tolerance
    state: State = State.CLOSED
    failed: int = 0
    recent: tuple[float, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    told_at: datetime | None = None
    rest: timedelta = timedelta(0)
    why: str = ""

    @property
    def works(self) -> bool:
        """Whether it takes its share."""
        return self.state is State.CLOSED

    def may_be_tried(self, now: datetime) -> bool:
        """Whether it has rested, and nobody is trying it."""
        put_back = self.told_at is not None and now < self.told_at
        return self.state is State.OPEN and self.until is not None and (now >= self.until or put_back)

    def tried(self) -> Breaker:
        """One message is on its way."""
        return replace(self, state=State.TRIAL)

    def untried(self) -> Breaker:
        """There was nothing to try it with after all."""
        return replace(self, state=State.OPEN) if self.state is State.TRIAL else self

    def learnt(self, codes: Sequence[str], seconds: float, now: datetime, *, only: bool = False) -> Breaker:
        """What became of a batch, in order: the code of each failure, "" for what it dealt with; seconds a message.

        What was sent before it was left, and ends well, does not bring it back; unless it is the `only` way there is.
        """
        if not codes:
            return self
        failed = self.failed
        for code in codes:
            failed = failed + 1 if code else 0
        if self.state is State.CLOSED:
            learnt = replace(self, failed=failed, recent=(*self.recent, seconds)[-REMEMBERED:])
            why = _too_much(learnt, codes[-1])
            return _left(learnt, why, self.tolerance.rest, now) if why else learnt
        if self.state is State.OPEN and not only:
            return self
        if failed == 0 and seconds <= self.tolerance.slow_after:
            return Breaker(self.tolerance)
        if self.state is State.TRIAL:
            return _left(self, codes[-1] or SLOW, min(self.rest * 2, LONGEST_REST), now)
        return self

    def asked_to_wait(self, code: str, seconds: float, now: datetime) -> Breaker:
        """The provider wants nothing for so long (Retry-After): it is left at least until then."""
        if self.works:
            left = _left(self, code, self.tolerance.rest, now)
            return replace(left, until=now + timedelta(seconds=seconds))
        wanted = now + timedelta(seconds=seconds)
        return self if self.until is not None and self.until >= wanted else replace(self, until=wanted, told_at=now)


def _too_much(breaker: Breaker, last: str) -> str:
    """Why a provider that worked so far is to be left, if it is."""
    if breaker.failed >= breaker.tolerance.failures:
        return last
    slow = len(breaker.recent) >= ENOUGH and median_low(breaker.recent) > breaker.tolerance.slow_after
    return SLOW if slow else ""


def _left(breaker: Breaker, why: str, rest: timedelta, now: datetime) -> Breaker:
    since = now if breaker.since is None else breaker.since
    rests = replace(breaker, until=now + rest, told_at=now, rest=rest)
    return replace(rests, state=State.OPEN, failed=0, recent=(), since=since, why=why)
