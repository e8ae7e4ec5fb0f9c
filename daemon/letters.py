"""What leaves as one message (a notice of its own, or several to one person), and what becomes of it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, TemporaryFailure
from channels.wire.identity import reference_of
from daemon.budget import Rule
from daemon.retry import last_moment, next_attempt_at
from daemon.store.digests import DIGEST_KEY
from daemon.store.values import Delivery, DeliveryResult, DeliveryState
from policies.ladders.quiet import is_hour_class
from policies.ladders.recipients import RESTRICTED
from policies.model import Light, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from channels.base import Outcome
    from daemon.budget import Verdict
    from policies.model import Limit, Notice

ASK_AGAIN = timedelta(seconds=30)  # a delivery in doubt is looked into after this long
LONGEST_WORD = 200  # characters kept of what a provider calls a message or an error
REST = timedelta(minutes=1)  # a channel that cannot send anything (wrong password) is left alone this long
IN_DOUBT = "in_doubt"  # the error of what perhaps went out and was not sent again
OVER_BUDGET = "over_budget"  # the error of what a budget has no room for, with the rule
FULL = 200  # notices one digest holds at most; what is over goes into another


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to be: the deliveries in it, and its own key if it is a digest (汇总)."""

    deliveries: tuple[Delivery, ...]
    digest: str = ""

    @property
    def key(self) -> str:
        """The idempotency key of the message."""
        return self.digest or self.deliveries[0].notice.key

    @property
    def possible_duplicate(self) -> bool:
        """Whether it may have gone out already."""
        return any(one.possible_duplicate for one in self.deliveries)

    @property
    def doubted_elsewhere(self) -> bool:
        """Whether another provider of the channel may have sent it."""
        return any(one.doubted_elsewhere for one in self.deliveries)

    @property
    def attempts(self) -> int:
        """How often the most tried of its notices was tried."""
        return max(one.attempts for one in self.deliveries)

    def is_new_to(self, one: Delivery) -> bool:
        """Whether it is not on record yet that this delivery leaves in this message."""
        return bool(self.digest) or one.sent_as != reference_of(self.key)

    def certain(self) -> Letter:
        """The same, known not to have gone out."""
        return replace(self, deliveries=tuple(replace(one, possible_duplicate=False) for one in self.deliveries))

    def singly(self) -> list[Letter]:
        """Each notice in a message of its own."""
        return [alone(one) for one in self.deliveries]


def alone(delivery: Delivery) -> Letter:
    """A notice that goes by itself; the key of a digest it was in once is no reference of the provider's."""
    if delivery.reference.startswith(DIGEST_KEY):
        delivery = replace(delivery, reference="")
    return Letter((delivery,))


def letters_of(deliveries: Sequence[Delivery], at_least: Callable[[Delivery], int]) -> list[Letter]:
    """Put together what may go together: fresh notices to one person from `at_least` of them on.

    What was in a digest that perhaps went out stays in that digest, so that the provider can be asked about it; what
    perhaps went out alone stays alone. In the order of the first delivery of each.
    """
    groups: dict[tuple[str, ...], list[Delivery]] = {}
    for one in deliveries:
        groups.setdefault(_company(one), []).append(one)
    letters: list[Letter] = []
    for (kind, *_), members in groups.items():
        if kind == _BOUND:
            letters.append(Letter(tuple(members), members[0].reference))
        elif kind == _FREE:
            letters.extend(_gathered(members, at_least))
        else:
            letters.extend(map(alone, members))
    return letters


_BOUND, _FREE, _ALONE = "bound", "free", "alone"


def _company(one: Delivery) -> tuple[str, ...]:
    notice = one.notice
    if one.possible_duplicate:
        bound = one.reference.startswith(DIGEST_KEY)
        return (_BOUND, one.reference) if bound else (_ALONE, notice.key)
    return (_FREE, notice.person, notice.channel) if notice.digest else (_ALONE, notice.key)


def _gathered(members: Sequence[Delivery], at_least: Callable[[Delivery], int]) -> Iterable[Letter]:
    for begin in range(0, len(members), FULL):
        some = tuple(members[begin : begin + FULL])
        if len(some) < max(2, min(map(at_least, some))):
            yield from map(alone, some)
        else:
            yield Letter(some, digest_key(one.notice.key for one in some))


def digest_key(keys: Iterable[str]) -> str:
    """The key of the digest of these notices: the same notices are the same message."""
    return DIGEST_KEY + hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:32]


def results_of(letter: Letter, outcome: Outcome, now: datetime) -> list[DeliveryResult]:
    """What became of every notice in a letter: all share the outcome, and the moment of another attempt.

    A notice whose next step takes over before that moment is in no further attempt: it has failed.
    """
    if not letter.digest:
        return [result_of(letter.deliveries[0], outcome, now)]
    shared = result_of(_as_one(letter), outcome, now)
    return [
        replace(_while_it_counts(shared, one), delivery=replace(one, reference=letter.digest), digest=letter.digest)
        for one in letter.deliveries
    ]


def is_urgent(notice: Notice, limit: Limit | None) -> bool:
    """Whether it is red or counted in hours: refused last, and by what a budget keeps in reserve for it."""
    return notice.facts.get("light") == Light.RED.value or (limit is not None and is_hour_class(limit))


def may_merge(notice: Notice, limit: Limit | None) -> bool:
    """Whether it may share a message with others when a budget is short, even if its policy has no digest."""
    return bool(
        notice.case_key
        and not is_urgent(notice, limit)
        and notice.role != RESTRICTED
        and not notice.release
        and notice.why is not Why.RELEASE
        and not notice.may_wake
    )


def _while_it_counts(shared: DeliveryResult, one: Delivery) -> DeliveryResult:
    again = shared.not_before_at
    over = again is not None and again >= last_moment(one.created_at, one.notice.expires_at)
    if shared.state is not DeliveryState.RETRYING or not over:
        return shared
    return replace(shared, state=DeliveryState.FAILED, not_before_at=None)


def mergeable(delivery: Delivery) -> Delivery:
    """The same, allowed to share a message with others: a budget is short."""
    return replace(delivery, notice=replace(delivery.notice, digest=True))


def waiting(one: Delivery, until: datetime, now: datetime, why: str = Why.QUIET.value) -> DeliveryResult:
    """Not now: the hour is quiet, or the case is gone and that is not believed."""
    return DeliveryResult(
        one,
        DeliveryState.RETRYING,
        now,
        error=why,
        not_before_at=until,
        possible_duplicate=one.possible_duplicate,
    )


def not_resent(letter: Letter, now: datetime) -> list[DeliveryResult]:
    """Perhaps it went out, nobody can say, and its step does not want it twice: each notice goes another way."""
    return [
        DeliveryResult(one, DeliveryState.FAILED, now, error=IN_DOUBT, possible_duplicate=True)
        for one in letter.deliveries
    ]


def over_budget(letter: Letter, verdict: Verdict, now: datetime, *, urgent: bool) -> list[DeliveryResult]:
    """What becomes of the notices of a message the budget has no room for.

    Each waits for room if there is some before its next step takes over; then it may go with later ones. What is urgent
    waits for nothing, and the same text once more is better said over another channel.
    """
    error = f"{OVER_BUDGET}:{verdict.rule or ''}"
    elsewhere = verdict.rule is Rule.SAME_TEXT and any(one.notice.instead for one in letter.deliveries)
    frees_at = None if urgent or elsewhere else verdict.frees_at
    return [_without_room(one, frees_at, error, now) for one in letter.deliveries]


def _without_room(one: Delivery, frees_at: datetime | None, error: str, now: datetime) -> DeliveryResult:
    waits = frees_at is not None and frees_at < last_moment(one.created_at, one.notice.expires_at)
    return DeliveryResult(
        one,
        DeliveryState.RETRYING if waits else DeliveryState.FAILED,
        now,
        error=error,
        not_before_at=frees_at if waits else None,
        possible_duplicate=one.possible_duplicate,
    )


def contented(result: DeliveryResult) -> DeliveryResult:
    """Over a channel that never tells of arrival: with no other way left to try, accepted is all there is to know."""
    notice = result.delivery.notice
    if notice.wait is None or notice.instead or result.state is not DeliveryState.ACCEPTED:
        return result
    return replace(result, no_receipt_expected=True)


def _as_one(letter: Letter) -> Delivery:
    first = letter.deliveries[0]
    ends = [one.notice.expires_at for one in letter.deliveries]
    last = max((end for end in ends if end is not None), default=None)
    return replace(
        first,
        notice=replace(first.notice, key=letter.digest, expires_at=None if None in ends else last),
        attempts=letter.attempts,
        created_at=min(one.created_at for one in letter.deliveries),
        possible_duplicate=letter.possible_duplicate,
    )


def as_kept(said: str) -> str:
    """What a provider says, without what no database takes and cut to a reasonable length."""
    return "".join(character for character in said if character.isprintable())[:LONGEST_WORD]


def as_of(delivery: Delivery) -> datetime | None:
    """When the facts were read, if the shared database was away when this was decided."""
    stamp = delivery.notice.facts.get("as_of")
    return datetime.fromisoformat(stamp) if isinstance(stamp, str) else None


def result_of(delivery: Delivery, outcome: Outcome, now: datetime) -> DeliveryResult:
    """Classify one attempt: what state the delivery is in now, and when it may be tried again. Pure."""
    notice = delivery.notice
    if isinstance(outcome, Receipt):
        state = DeliveryState.DELIVERED if outcome.delivered else DeliveryState.ACCEPTED
        return DeliveryResult(
            delivery, state, now, reference=as_kept(outcome.reference), possible_duplicate=delivery.possible_duplicate
        )
    if isinstance(outcome, OutcomeUnknown):
        return DeliveryResult(
            delivery,
            DeliveryState.IN_DOUBT,
            now,
            error=as_kept(outcome.code),
            not_before_at=now + ASK_AGAIN,
            possible_duplicate=True,
        )
    whole_channel = isinstance(outcome, PermanentFailure) and outcome.whole_channel
    if isinstance(outcome, TemporaryFailure) or whole_channel:
        wish = outcome.retry_after if isinstance(outcome, TemporaryFailure) else REST.total_seconds()
        again = next_attempt_at(delivery.attempts, notice.key, now, delivery.created_at, notice.expires_at, wish)
        if again is not None:
            return DeliveryResult(
                delivery,
                DeliveryState.RETRYING,
                now,
                error=as_kept(outcome.code),
                not_before_at=again,
                possible_duplicate=delivery.possible_duplicate,
            )
    return DeliveryResult(
        delivery, DeliveryState.FAILED, now, error=as_kept(outcome.code), possible_duplicate=delivery.possible_duplicate
    )
