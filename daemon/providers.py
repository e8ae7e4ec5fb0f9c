"""Who of the providers behind a shared channel takes what now, and what this node has learnt of each of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, TemporaryFailure
from daemon import telemetry
from daemon.breaker import Breaker, State, Tolerance
from daemon.sharing import BUCKETS, Share, ranges_of
from daemon.store.lanes import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from channels.base import Outcome
    from daemon.sharing import Sharing
    from daemon.store.lanes import Lane

log = telemetry.logger(__name__)

PROVIDERS = "providers/"  # how the name of a node's report about them begins
FROM_BELOW = tuple(reversed(LANES))  # what a provider is tried with can best wait


@dataclass(frozen=True, slots=True)
class Turn:
    """What a provider may claim now: which share, at most how many (None: as many as it likes), from which lanes."""

    share: Share
    most: int | None = None
    lanes: tuple[Lane, ...] | None = None

    @property
    def is_trial(self) -> bool:
        """Whether it is to be seen if the provider works again."""
        return self.most is not None


class Providers:
    """The providers of one shared channel, as one node sees them."""

    def __init__(self, channel: str, sharing: Sharing) -> None:
        self.channel = channel
        self.weights = dict(sharing.providers)
        tolerance = Tolerance(sharing.failures, sharing.slow_after, timedelta(seconds=sharing.rest_seconds))
        self.breakers = {name: Breaker(tolerance) for name in self.weights}
        self._being_tried: set[str] = set()  # who has not claimed yet what he is to be tried with
        self._none_claims = asyncio.Event()
        self._none_claims.set()

    def take_over(self, elder: Providers) -> None:
        """What was learnt before the settings were read again still holds."""
        for name, before in elder.breakers.items():
            if name in self.breakers:
                self.breakers[name] = replace(before.untried(), tolerance=self.breakers[name].tolerance)

    def standing(self) -> dict[str, dict[str, object]]:
        """How each stands with this node, for `status`: whether it works, since when not, until when it rests, why."""
        return {
            name: {
                "weight": self.weights[name],
                "state": breaker.state.value,
                "since": None if breaker.since is None else breaker.since.isoformat(),
                "until": None if breaker.until is None else breaker.until.isoformat(),
                "why": breaker.why,
            }
            for name, breaker in self.breakers.items()
        }

    def turn(self, provider: str, now: datetime) -> Turn:
        """What this provider may claim now. A trial that begins here is over with `trial_over`."""
        working = {name for name, breaker in self.breakers.items() if breaker.works}
        known = tuple(self.weights)
        if working and self.breakers[provider].may_be_tried(now):
            self.breakers[provider] = self.breakers[provider].tried()
            self._being_tried.add(provider)
            self._none_claims.clear()
            return Turn(Share(provider, range(BUCKETS), known), 1, FROM_BELOW)
        taken = ranges_of(self.weights, working).get(provider, range(0))
        return Turn(Share(provider, taken, known))

    def none_to(self, provider: str) -> Share:
        """This provider with no share: for what is given to it beyond that."""
        return Share(provider, range(0), tuple(self.weights))

    def is_rested(self, provider: str, now: datetime) -> bool:
        """Whether it is to be seen if this provider works again."""
        return self.breakers[provider].may_be_tried(now)

    async def wait_for_trials(self) -> None:
        """Let who is tried have his one message first: those that work would leave nothing to try him with."""
        await self._none_claims.wait()

    def trial_claimed(self, provider: str) -> None:
        """It has its message, or there was none; the others may claim."""
        self._being_tried.discard(provider)
        if not self._being_tried:
            self._none_claims.set()

    def trial_over(self, provider: str) -> None:
        """The trial that began was made, or there was nothing to make it with."""
        self.trial_claimed(provider)
        self.breakers[provider] = self.breakers[provider].untried()

    def is_left(self, provider: str) -> bool:
        """Whether this provider is left alone and another one works: what may go elsewhere should."""
        return not self.breakers[provider].works and any(one.works for one in self.breakers.values())

    def learn(self, provider: str, outcomes: Sequence[Outcome], seconds: float, now: datetime) -> list[Outcome]:
        """Take in what became of a batch; returns the outcomes as they count for the messages.

        Where another provider works, one's wish to wait (Retry-After) is kept by leaving him alone so long; the
        messages need not wait as well.
        """
        before = self.breakers[provider]
        none_works = not any(one.works for one in self.breakers.values())
        after = before.learnt([_trouble(one) for one in outcomes], seconds, now, only=none_works)
        for one in outcomes:
            if isinstance(one, TemporaryFailure) and one.retry_after:
                after = after.asked_to_wait(one.code, one.retry_after, now)
        self.breakers[provider] = after
        if after.state is not before.state or after.until != before.until:
            self._tell(provider, after)
        return [self._as_counted(provider, one) for one in outcomes]

    def _as_counted(self, provider: str, outcome: Outcome) -> Outcome:
        if isinstance(outcome, TemporaryFailure) and outcome.retry_after and self.is_left(provider):
            return TemporaryFailure(outcome.code, outcome.detail)
        return outcome

    def _tell(self, provider: str, breaker: Breaker) -> None:
        if breaker.works:
            log.info(telemetry.PROVIDER_WORKS, channel=self.channel, provider=provider)
        elif breaker.state is State.OPEN:
            until = None if breaker.until is None else breaker.until.isoformat()
            log.warning(telemetry.PROVIDER_LEFT, channel=self.channel, provider=provider, why=breaker.why, until=until)


def _trouble(outcome: Outcome) -> str:
    """The code of a failure that may be the provider's; "" where he took the message or had something against it."""
    if isinstance(outcome, Receipt):
        return ""
    if isinstance(outcome, TemporaryFailure | OutcomeUnknown):
        return outcome.code
    return outcome.code if isinstance(outcome, PermanentFailure) and outcome.whole_channel else ""
