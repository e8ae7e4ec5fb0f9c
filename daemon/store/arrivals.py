"""Receipts taken over: what a provider tells of a message, in whatever order and how often, becomes what is on record.

A state never goes back. What comes early (the message is still `sending` for us), late (others were told meanwhile),
twice or against what was told before, has its place in `comes_to`. The same told twice changes and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import codec, inbox, ledger, stops
from daemon.store.bulk import among, fetch, update_rows
from daemon.store.codec import maybe_micros
from daemon.store.digests import DIGEST_KEY
from daemon.store.rows import DELIVERY_COLUMNS, delivery
from daemon.store.tables import deliveries
from daemon.store.tables import ledger as ledger_rows
from daemon.store.values import Came, Delivery, DeliveryState, Event, Incoming, ReceiptTold

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

_S = DeliveryState
_MAY_HAVE_ARRIVED = frozenset({_S.SENDING, _S.IN_DOUBT, _S.RETRYING, _S.ACCEPTED})
_UNDECIDED = frozenset({_S.SENDING, _S.RETRYING})  # what became of the last attempt will show
_OVER = frozenset(
    {_S.FAILED, _S.CANCELLED}
)  # others were told, or nobody was to be: what arrived is a fact all the same
_SKEW = timedelta(minutes=1)  # by which a provider's clock may be behind ours


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a receipt changes of one delivery: its state, that it arrived, that it was read; or when to look again."""

    state: DeliveryState | None = None
    arrived: bool = False
    read: bool = False
    wait: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return self.state is not None or self.arrived or self.read


NOTHING = Verdict()


def comes_to(one: Delivery, told: ReceiptTold) -> Verdict:
    """What this receipt changes of that delivery as it stands. Pure."""
    if told.came is Came.FAILED:
        return _failed(one, told)
    if told.came is Came.ACCEPTED:
        return Verdict(_S.ACCEPTED) if one.state is _S.IN_DOUBT else Verdict(wait=one.state in _UNDECIDED)
    read = told.came is Came.READ and one.read_at is None
    if one.state in _MAY_HAVE_ARRIVED:
        again = one.state is _S.RETRYING and one.delivered_at is not None  # put back by somebody who knew that
        return Verdict(read=read) if again else Verdict(_S.DELIVERED, arrived=one.delivered_at is None, read=read)
    if one.state is _S.DELIVERED or one.state in _OVER:
        return Verdict(arrived=one.delivered_at is None, read=read)
    return NOTHING


def _failed(one: Delivery, told: ReceiptTold) -> Verdict:
    """It did not arrive: what we took for sent failed, unless that is told of an earlier attempt.

    While another attempt is to be made, or on the wire, it is not known yet which of them is meant.
    """
    known = "" if one.reference.startswith(DIGEST_KEY) else one.reference
    elsewhere = bool(one.provider) and told.channel != one.provider
    another = elsewhere or (bool(told.theirs and known) and told.theirs != known)
    if one.state in (_S.IN_DOUBT, _S.ACCEPTED):
        return NOTHING if another else Verdict(_S.FAILED)
    if one.state is _S.SENDING and one.attempts <= 1:
        return Verdict(_S.FAILED)
    return Verdict(wait=one.state in _UNDECIDED and not (known and told.theirs == known))


def meant(connection: sa.Connection, receipts: Sequence[ReceiptTold]) -> list[list[Delivery]]:
    """The deliveries each receipt is about: by our own name of the message, else by the provider's; all of a digest.

    Behind a shared channel the provider is the one that had it last.
    """
    ours = {told.ours for told in receipts if told.ours}
    theirs = {told.theirs for told in receipts if told.theirs}
    by_ours: dict[str, list[Delivery]] = {}
    by_theirs: dict[tuple[str, str], list[Delivery]] = {}
    if ours:
        named = among(connection, deliveries.c.sent_as, sorted(ours)), deliveries.c.sent_as != ""
        for one in _read(connection, *named):
            by_ours.setdefault(one.sent_as, []).append(one)
    if theirs:
        named = among(connection, deliveries.c.reference, sorted(theirs)), deliveries.c.reference != ""
        for one in _read(connection, *named):
            by_theirs.setdefault((one.provider or one.notice.channel, one.reference), []).append(one)
    return [by_ours.get(told.ours) or by_theirs.get((told.channel, told.theirs), []) for told in receipts]


def _read(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Delivery]:
    query = sa.select(*DELIVERY_COLUMNS).where(*where).order_by(deliveries.c.id)
    return [delivery(row) for row in fetch(connection, query)]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What became of a batch of receipts: of which inbox rows nothing is left to do, and which are to wait."""

    done: tuple[int, ...]
    waiting: tuple[int, ...]
    changed: int


def take(
    connection: sa.Connection,
    told: Sequence[tuple[Incoming, Sequence[Delivery]]],
    passed_on: Collection[int],
    now: datetime,
) -> TakenOver:
    """Write what these receipts change, with its ledger lines, and take them out of the inbox.

    Only the deliveries in `passed_on` may become failed: somebody else has been told of these. What would fail beside
    them waits, and so does what cannot be judged yet.
    """
    ids = sorted({one.id for _, mine in told for one in mine})
    standing = {one.id: one for one in _locked(connection, ids)}
    given_up = _given_up(connection, standing.values())
    events: list[Event] = []
    done: list[int] = []
    waiting: list[int] = []
    before = dict(standing)
    for incoming, mine in told:
        receipt = incoming.told
        assert isinstance(receipt, ReceiptTold)  # noqa: S101 - for the checkers: replies are not handed over
        verdicts = [(standing[one.id], comes_to(standing[one.id], receipt)) for one in mine if one.id in standing]
        if any(v.wait or (v.state is _S.FAILED and one.id not in passed_on) for one, v in verdicts):
            waiting.append(incoming.id)
            continue
        done.append(incoming.id)
        for one, verdict in verdicts:
            if verdict.changes:
                standing[one.id] = _after(one, verdict, incoming, now)
                late = one.state in _OVER or one.notice.key in given_up
                events += _events(one, standing[one.id], verdict, receipt, now, late=late)
    written = [one for one in standing.values() if one != before[one.id]]
    update_rows(connection, deliveries, _WRITTEN, [_fields(one) for one in written], _FREED)
    stops.note_carriers(connection, [one for one in written if stops.is_refusal(one.state, one.error)], now)
    ledger.append(connection, events)
    inbox.done(connection, done)
    return TakenOver(tuple(done), tuple(waiting), len(written))


def _locked(connection: sa.Connection, ids: Sequence[int]) -> list[Delivery]:
    if not ids:
        return []
    query = sa.select(*DELIVERY_COLUMNS).where(among(connection, deliveries.c.id, ids))
    return [delivery(row) for row in fetch(connection, query.order_by(deliveries.c.id).with_for_update())]


_WRITTEN = ("state", "reference", "error", "receipt_due_at", "delivered_at", "read_at", "id")
# A worker may have it still; what it learns later is passed over, and it is not to be cancelled any more.
_FREED = "claimed_by = NULL, cancel_reason = NULL"


def _fields(one: Delivery) -> tuple[Any, ...]:
    return (
        one.state.value,
        one.reference,
        one.error,
        maybe_micros(one.receipt_due_at),
        maybe_micros(one.delivered_at),
        maybe_micros(one.read_at),
        one.id,
    )


def _after(one: Delivery, verdict: Verdict, incoming: Incoming, now: datetime) -> Delivery:
    receipt = incoming.told
    assert isinstance(receipt, ReceiptTold)  # noqa: S101 - for the checkers
    at = plausible(receipt.at, one.created_at, incoming.heard_at)
    state = verdict.state or one.state
    due_at = one.receipt_due_at
    if verdict.state is _S.ACCEPTED:
        due_at = None if one.notice.wait is None else now + one.notice.wait
    elif verdict.state is not None:
        due_at = None
    unnamed = not one.reference or one.reference.startswith(DIGEST_KEY)
    return replace(
        one,
        state=state,
        reference=receipt.theirs if unnamed and receipt.theirs else one.reference,
        error=receipt.code if verdict.state is _S.FAILED else "" if verdict.state else one.error,
        receipt_due_at=due_at,
        delivered_at=one.delivered_at or (at if verdict.arrived or verdict.read else None),
        read_at=one.read_at or (at if verdict.read else None),
    )


def plausible(told: datetime | None, created_at: datetime, heard_at: datetime) -> datetime:
    """When it happened: as the provider says, unless its clock is wrong; then when we heard of it."""
    if told is None or not created_at - _SKEW <= told <= heard_at:
        return heard_at
    return max(told, created_at)


def _given_up(connection: sa.Connection, rows: Collection[Delivery]) -> set[str]:
    """The keys of those that others were told about because no receipt came in time."""
    asked = [one for one in rows if one.state is _S.ACCEPTED and one.notice.wait and one.receipt_due_at is None]
    if not asked:
        return set()
    said = sa.select(ledger_rows.c.body).where(
        among(connection, ledger_rows.c.case_key, sorted({one.notice.case_key for one in asked})),
        ledger_rows.c.kind == "no_receipt",
    )
    return {str(codec.decode(row.body)["notice"]) for row in fetch(connection, said)}


_SAID: Mapping[DeliveryState, str] = {_S.ACCEPTED: "sent", _S.DELIVERED: "delivered", _S.FAILED: "failed"}


def _events(
    one: Delivery, after: Delivery, verdict: Verdict, receipt: ReceiptTold, now: datetime, *, late: bool
) -> list[Event]:
    """The ledger's lines: what changed, and that it was read; `late_receipt` where others were told meanwhile."""
    notice = one.notice
    body: dict[str, object] = {
        "notice": notice.key,
        "channel": notice.channel,
        "person": notice.person,
        "attempt": one.attempts,
        "policy_version": one.policy_version,
        "receipt": receipt.came.value,
    }
    if one.state is _S.SENDING:
        body["early"] = True
    if receipt.code:
        body["error"] = receipt.code
    if after.reference:
        body["reference"] = after.reference
    if one.possible_duplicate:
        body["possible_duplicate"] = True
    kinds: list[str] = []
    if late and verdict.arrived:
        kinds.append("late_receipt")
    elif verdict.state is not None:
        kinds.append(_SAID[verdict.state])
    if verdict.read:
        kinds.append("read")
    return [Event(notice.case_key, kind, now, body) for kind in kinds]
