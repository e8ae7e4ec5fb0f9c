"""The outbox: record what became of what was sent (`claims` gives it out). The states are drawn in `docs/states.md`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import digests, ledger, receipts, stops
from daemon.store.bulk import among, fetch, insert_rows, locked_rows, update_rows
from daemon.store.codec import maybe_instant, micros
from daemon.store.rows import DELIVERY_COLUMNS, DELIVERY_FIELDS, delivery, delivery_fields
from daemon.store.tables import CLAIMED, TO_COME, deliveries, obligations
from daemon.store.values import DeliveryResult, DeliveryState, Event
from policies.model import Why

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from daemon.store.values import Delivery
    from policies.model import Notice

_S = DeliveryState

# new state -> old states it may follow, beside `sending` held by the worker itself
_MAY_FOLLOW: dict[DeliveryState, frozenset[DeliveryState]] = {
    _S.ACCEPTED: frozenset({_S.IN_DOUBT, _S.RETRYING}),
    _S.DELIVERED: frozenset({_S.SENDING, _S.IN_DOUBT, _S.RETRYING, _S.ACCEPTED}),
    _S.FAILED: frozenset({_S.IN_DOUBT, _S.RETRYING, _S.ACCEPTED}),
    _S.RETRYING: frozenset({_S.IN_DOUBT}),
    _S.IN_DOUBT: frozenset(),
    _S.CANCELLED: frozenset({_S.PENDING, _S.RETRYING, _S.IN_DOUBT, _S.HELD}),
}
_SAID: dict[DeliveryState, str] = {
    _S.ACCEPTED: "sent",
    _S.DELIVERED: "delivered",
    _S.FAILED: "failed",
    _S.IN_DOUBT: "in_doubt",
    _S.RETRYING: "retrying",
    _S.CANCELLED: "cancelled",
    _S.HELD: "held",
}


_NEXT = sa.select(sa.func.min(deliveries.c.not_before_at)).where(TO_COME)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the row says now, as far as the next state depends on it."""

    state: DeliveryState
    claimed_by: int | None
    cancel_reason: str | None
    attempts: int
    possible_duplicate: bool
    reference: str = ""

    @property
    def is_unnamed(self) -> bool:
        """Whether its receipt was here before the provider's answer, which then only tells how he calls the message."""
        known = bool(self.reference) and not self.reference.startswith(digests.DIGEST_KEY)
        return self.state in (DeliveryState.DELIVERED, DeliveryState.FAILED) and not known


def record(connection: sa.Connection, epoch: int, results: Sequence[DeliveryResult], now: datetime) -> None:
    """Write outcomes and their ledger events. What a row no longer allows is passed over: a state never goes back."""
    standing = _lock(connection, [result.delivery.id for result in results])
    written: dict[int, tuple[Any, ...]] = {}
    events: list[Event] = []
    named: list[tuple[str, int]] = []
    refused: list[Delivery] = []
    for result in results:
        identity = result.delivery.id
        before = standing.get(identity)
        if before is None:
            continue
        if not _allowed(before, result.state, epoch):
            if result.reference and before.is_unnamed:
                named.append((result.reference, identity))
            continue
        after, error = _outcome(before, result)
        doubtful = result.state is DeliveryState.IN_DOUBT  # even if it is cancelled now: a retry must know
        duplicate = before.possible_duplicate or result.possible_duplicate or doubtful
        not_before = micros(result.not_before_at or now)
        reference = result.reference or result.delivery.reference
        written[identity] = (
            after.value,
            not_before,
            reference,
            error,
            duplicate,
            _receipt_due(result, after),
            micros(result.at) if after is DeliveryState.DELIVERED else None,
            identity,
        )
        standing[identity] = _Standing(after, None, None, before.attempts, duplicate)
        events.append(_event(result, after, before.attempts, error, duplicate=duplicate))
        if stops.is_refusal(after, error):
            refused.append(result.delivery)
    update_rows(connection, deliveries, _RECORDED, list(written.values()), "claimed_by = NULL, cancel_reason = NULL")
    update_rows(connection, deliveries, ("reference", "id"), named)
    stops.note_carriers(connection, refused, now)
    ledger.append(connection, events)


_RECORDED = (
    "state",
    "not_before_at",
    "reference",
    "error",
    "possible_duplicate",
    "receipt_due_at",
    "delivered_at",
    "id",
)


def _receipt_due(result: DeliveryResult, state: DeliveryState) -> int | None:
    """Until when the provider may say that what it took has arrived, for a notice that has another way to go."""
    wait = result.delivery.notice.wait
    if wait is None or state is not DeliveryState.ACCEPTED or result.no_receipt_expected:
        return None
    return micros(result.at + wait)


def _lock(connection: sa.Connection, ids: Collection[int]) -> dict[int, _Standing]:
    if not ids:
        return {}
    columns = ("id", "state", "claimed_by", "cancel_reason", "attempts", "possible_duplicate", "reference")
    return {
        identity: _Standing(DeliveryState(state), claimed_by, cancel_reason, attempts, bool(duplicate), reference)
        for identity, state, claimed_by, cancel_reason, attempts, duplicate, reference in locked_rows(
            connection, deliveries, columns, "id", ids
        )
    }


def _allowed(before: _Standing, new: DeliveryState, epoch: int) -> bool:
    if before.state is DeliveryState.SENDING and before.claimed_by == epoch:
        return new in _MAY_FOLLOW
    return before.state in _MAY_FOLLOW.get(new, ())


def _outcome(before: _Standing, result: DeliveryResult) -> tuple[DeliveryState, str]:
    """A delivery that was to be cancelled while it was on its way is not sent again."""
    if before.cancel_reason is not None and result.state in (DeliveryState.RETRYING, DeliveryState.IN_DOUBT):
        return DeliveryState.CANCELLED, before.cancel_reason
    return result.state, result.error


def _event(result: DeliveryResult, state: DeliveryState, attempts: int, error: str, *, duplicate: bool) -> Event:
    notice = result.delivery.notice
    body: dict[str, object] = {
        "notice": notice.key,
        "channel": notice.channel,
        "person": notice.person,
        "attempt": attempts,
        "policy_version": result.delivery.policy_version,
    }
    if result.delivery.provider:
        body["provider"] = result.delivery.provider
    if error:
        body["error"] = error
    if result.reference:
        body["reference"] = result.reference
    if duplicate:
        body["possible_duplicate"] = True
    if result.digest:
        body["digest"] = result.digest
    if notice.may_wake:
        body["may_wake"] = notice.may_wake
    return Event(notice.case_key, _SAID[state], result.at, body)


def next_delivery_at(connection: sa.Connection) -> datetime | None:
    """The earliest moment any delivery may go out, or the wait for a receipt is over."""
    moments = maybe_instant(connection.execute(_NEXT).scalar()), receipts.next_due_at(connection)
    return min((at for at in moments if at is not None), default=None)


def add(
    connection: sa.Connection,
    obligation_id: int | None,
    notices: Sequence[Notice],
    events: Sequence[Event],
    policy_version: str,
    now: datetime,
) -> int:
    """Add notices, in key order on every node so that none waits for the other; the events only with a new one."""
    rows = sorted(
        (delivery_fields(notice, obligation_id, policy_version, micros(now)) for notice in notices),
        key=lambda row: row[0],
    )
    new = insert_rows(connection, deliveries, DELIVERY_FIELDS, rows, "ON CONFLICT (notice_key) DO NOTHING")
    if new or not notices:
        ledger.append(connection, events)
    return new


# --- cancelling, retrying, doubting -------------------------------------------------------------------------


_UNSENT = ("pending", "retrying", "in_doubt", "sending", "held")


def cancel(connection: sa.Connection, keys: Collection[str], reason: str, now: datetime) -> int:
    """Cancel by notice key; what a worker has at this moment is cancelled if it comes back unsent."""
    found = _claimable(connection, among(connection, deliveries.c.notice_key, keys))
    events = _cancel(connection, found, dict.fromkeys((row.id for row in found), reason), now)
    ledger.append(connection, events)
    return len(events)


def cancel_of_obligations(
    connection: sa.Connection, reasons: Mapping[int | None, str | None], now: datetime
) -> list[Event]:
    """Cancel every notice of these obligations that has not gone out; the events are the caller's to append."""
    found = _claimable(connection, among(connection, deliveries.c.obligation_id, list(reasons)))
    return _cancel(connection, found, {row.id: reasons[row.obligation_id] or "" for row in found}, now)


def cancel_overtaken(connection: sa.Connection, case_keys: Collection[str], now: datetime) -> list[Event]:
    """Cancel what was decided before the facts of these cases changed: the limit is met, gone or has moved."""
    moved = deliveries.c.deadline_version != obligations.c.deadline_version
    reviewed = sa.and_(obligations.c.state == "paused", deliveries.c.why == Why.REVIEW.value)
    query = (
        sa.select(deliveries.c.id, obligations.c.state)
        .join(obligations, obligations.c.id == deliveries.c.obligation_id)
        .where(
            among(connection, obligations.c.case_key, case_keys),
            deliveries.c.state.in_(_UNSENT),
            sa.or_(sa.and_(obligations.c.state != "open", sa.not_(reviewed)), moved),
        )
    )
    reasons = {row.id: "deadline_moved" if row.state == "open" else row.state for row in fetch(connection, query)}
    if not reasons:
        return []
    return _cancel(connection, _claimable(connection, among(connection, deliveries.c.id, reasons)), reasons, now)


def _claimable(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[Any]:
    query = sa.select(*DELIVERY_COLUMNS).where(which, deliveries.c.state.in_(_UNSENT))
    return fetch(connection, query.order_by(deliveries.c.id).with_for_update())


def _cancel(connection: sa.Connection, found: Iterable[Any], reasons: Mapping[int, str], now: datetime) -> list[Event]:
    asked: list[tuple[Any, ...]] = []
    cancelled: list[tuple[Any, ...]] = []
    events: list[Event] = []
    for row in found:
        reason = reasons[row.id]
        if row.state == "sending":
            asked.append((reason, row.id))
            continue
        one = delivery(row)
        duplicate = one.possible_duplicate or one.state is DeliveryState.IN_DOUBT
        cancelled.append(("cancelled", reason, duplicate, row.id))
        result = DeliveryResult(one, DeliveryState.CANCELLED, now)
        events.append(_event(result, DeliveryState.CANCELLED, one.attempts, reason, duplicate=duplicate))
    update_rows(connection, deliveries, ("cancel_reason", "id"), asked)
    update_rows(connection, deliveries, ("state", "error", "possible_duplicate", "id"), cancelled)
    return events


def retry(connection: sa.Connection, keys: Collection[str], now: datetime) -> int:
    """Put failed, cancelled or doubtful deliveries back; what may have gone out already stays marked.

    What needs a release and never had one waits for it again.
    """
    states = deliveries.c.state.in_(("failed", "cancelled", "in_doubt"))
    query = sa.select(*DELIVERY_COLUMNS).where(among(connection, deliveries.c.notice_key, keys), states)
    found = [delivery(row) for row in fetch(connection, query.order_by(deliveries.c.id).with_for_update())]
    written: list[tuple[Any, ...]] = []
    events: list[Event] = []
    for one in found:
        duplicate = one.possible_duplicate or one.state is DeliveryState.IN_DOUBT
        state = DeliveryState.HELD if one.notice.release and not one.attempts else DeliveryState.RETRYING
        written.append((state.value, micros(now), duplicate, one.id))
        result = DeliveryResult(one, state, now)
        events.append(_event(result, state, one.attempts, "", duplicate=duplicate))
    columns = ("state", "not_before_at", "possible_duplicate", "id")
    update_rows(connection, deliveries, columns, written, "claimed_by = NULL, cancel_reason = NULL, error = ''")
    ledger.append(connection, events)
    return len(found)


def asked_in_vain(connection: sa.Connection, case_key: str, notice_key: str) -> int:
    """How often the provider was asked about a message in doubt since it is, and gave no answer.

    The first line of the doubt is the lost answer itself; one without an error is a worker that died.
    """
    about = [row for row in ledger.story(connection, case_key) if row.body.get("notice") == notice_key]
    doubts = list(takewhile(lambda row: row.kind == _SAID[_S.IN_DOUBT], reversed(about)))
    return sum("error" in row.body for row in doubts[:-1])


def doubt_all_of(connection: sa.Connection, epochs: Collection[int], now: datetime) -> int:
    """What these workers were sending is in doubt, or cancelled if that was asked for. Returns how many."""
    held = sa.select(*DELIVERY_COLUMNS, deliveries.c.cancel_reason).where(
        CLAIMED, among(connection, deliveries.c.claimed_by, epochs)
    )
    written: list[tuple[Any, ...]] = []
    events: list[Event] = []
    for row in fetch(connection, held.order_by(deliveries.c.id).with_for_update()):
        one, reason = delivery(row[:-1]), row.cancel_reason
        state = DeliveryState.IN_DOUBT if reason is None else DeliveryState.CANCELLED
        error = one.error if reason is None else reason
        written.append((state.value, micros(now), error, True, one.id))
        result = DeliveryResult(one, state, now)
        events.append(_event(result, state, one.attempts, reason or "", duplicate=True))
    columns = ("state", "not_before_at", "error", "possible_duplicate", "id")
    update_rows(connection, deliveries, columns, written, "claimed_by = NULL, cancel_reason = NULL")
    ledger.append(connection, events)
    return len(written)
