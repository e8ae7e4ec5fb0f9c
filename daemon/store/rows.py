"""Rows of the tables as values and back: one place that knows the order of the columns."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from channels.wire.identity import reference_of
from daemon.sharing import bucket_of
from daemon.store import codec
from daemon.store.codec import instant, maybe_instant, maybe_micros, micros
from daemon.store.lanes import lane_of
from daemon.store.tables import deliveries, obligations
from daemon.store.values import Delivery, DeliveryState, StoredObligation
from policies.model import History, Light, Notice, Obligation, ObligationState, Why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.store.values import ObligationChange

OBLIGATION_FIELDS = (
    "case_key",
    "policy",
    "limit_id",
    "instance",
    "policy_version",
    "deadline_version",
    "state",
    "start_at",
    "nominal_due_at",
    "legal_due_at",
    "platform_due_at",
    "start_assumed",
    "provisional",
    "extended",
    "done_at",
    "decided_until",
    "light",
    "breached_at",
    "platform_breached_at",
    "details",
    "next_check_at",
    "idle_reason",
)
OBLIGATION_COLUMNS = [obligations.c[name] for name in ("id", "revision", *OBLIGATION_FIELDS)]


def obligation_fields(change: ObligationChange) -> tuple[Any, ...]:
    """The values of OBLIGATION_FIELDS."""
    one, history = change.obligation, change.history
    return (
        one.case_key,
        one.policy,
        one.limit,
        one.instance,
        one.policy_version,
        one.deadline_version,
        one.state.value,
        micros(one.start_at),
        micros(one.nominal_due_at),
        micros(one.legal_due_at),
        maybe_micros(one.platform_due_at),
        one.start_assumed,
        one.provisional,
        one.extended,
        maybe_micros(one.done_at),
        codec.encode_instants(history.decided_until),
        None if history.light is None else history.light.value,
        maybe_micros(history.breached_at),
        maybe_micros(history.platform_breached_at),
        codec.encode_details(one),
        maybe_micros(change.next_check_at),
        change.idle_reason,
    )


# What a decision may change; the rest of the row is a count of the facts, and only a reading of the facts changes it.
DECIDED_FIELDS = (
    "state",
    "decided_until",
    "light",
    "breached_at",
    "platform_breached_at",
    "next_check_at",
    "idle_reason",
)


def decided_fields(change: ObligationChange) -> tuple[Any, ...]:
    """The values of DECIDED_FIELDS."""
    history = change.history
    return (
        change.obligation.state.value,
        codec.encode_instants(history.decided_until),
        None if history.light is None else history.light.value,
        maybe_micros(history.breached_at),
        maybe_micros(history.platform_breached_at),
        maybe_micros(change.next_check_at),
        change.idle_reason,
    )


def stored_obligation(row: Sequence[Any]) -> StoredObligation:
    """A row of OBLIGATION_COLUMNS."""
    (
        identity,
        revision,
        case_key,
        policy,
        limit,
        instance,
        policy_version,
        deadline_version,
        state,
        start_at,
        nominal_due_at,
        legal_due_at,
        platform_due_at,
        start_assumed,
        provisional,
        extended,
        done_at,
        decided_until,
        light,
        breached_at,
        platform_breached_at,
        details,
        next_check_at,
        idle_reason,
    ) = row
    return StoredObligation(
        id=identity,
        obligation=Obligation(
            case_key=case_key,
            policy=policy,
            limit=limit,
            policy_version=policy_version,
            deadline_version=deadline_version,
            state=ObligationState(state),
            start_at=instant(start_at),
            nominal_due_at=instant(nominal_due_at),
            legal_due_at=instant(legal_due_at),
            platform_due_at=maybe_instant(platform_due_at),
            instance=instance,
            start_assumed=bool(start_assumed),
            provisional=bool(provisional),
            extended=bool(extended),
            done_at=maybe_instant(done_at),
            **codec.decode_details(details),
        ),
        history=History(
            decided_until=codec.decode_instants(decided_until),
            light=None if light is None else Light(light),
            breached_at=maybe_instant(breached_at),
            platform_breached_at=maybe_instant(platform_breached_at),
        ),
        next_check_at=maybe_instant(next_check_at),
        idle_reason=idle_reason,
        revision=revision,
    )


DELIVERY_FIELDS = (
    "notice_key",
    "case_key",
    "obligation_id",
    "policy",
    "limit_id",
    "instance",
    "deadline_version",
    "step",
    "repetition",
    "person",
    "role",
    "channel",
    "say",
    "why",
    "at",
    "facts",
    "missed",
    "expires_at",
    "copy",
    "policy_version",
    "created_at",
    "priority",
    "state",
    "not_before_at",
    "manner",
    "sent_as",
    "lane",
    "bucket",
)
_INSERTED_ONLY = frozenset({"priority", "lane", "bucket"})  # order the claims, and are of no interest afterwards
DELIVERY_COLUMNS = [
    deliveries.c[name]
    for name in (
        "id",
        *(name for name in DELIVERY_FIELDS if name not in _INSERTED_ONLY),
        "attempts",
        "reference",
        "error",
        "possible_duplicate",
        "receipt_due_at",
        "delivered_at",
        "read_at",
        "acknowledged_at",
        "provider",
        "doubted_elsewhere",
    )
]


GATHERED_FOR = timedelta(minutes=2)  # what may go into one message with others waits for what is decided beside it,
_GATHERED = GATHERED_FOR // timedelta(microseconds=1)  # counted from the full minute before: all at one moment
_MINUTE = timedelta(minutes=1) // timedelta(microseconds=1)
COPY = 1  # the priority of a copy; what is larger may go together
_PERSONS = 1_000_000_000


def delivery_fields(notice: Notice, obligation_id: int | None, policy_version: str, now: int) -> tuple[Any, ...]:
    """The values of DELIVERY_FIELDS of a new delivery."""
    return (
        notice.key,
        notice.case_key,
        obligation_id,
        notice.policy,
        notice.limit,
        notice.instance,
        notice.deadline_version,
        notice.step,
        notice.repeat,
        notice.person,
        notice.role,
        notice.channel,
        notice.say,
        notice.why.value,
        micros(notice.at),
        codec.encode(dict(notice.facts)),
        codec.encode(notice.missed),
        maybe_micros(notice.expires_at),
        notice.copy,
        policy_version,
        now,
        _priority(notice),
        _first_state(notice).value,
        _first_moment(notice, now),
        codec.encode_manner(notice),
        reference_of(notice.key),
        lane_of(notice).value,
        bucket_of(notice.key),
    )


def _first_moment(notice: Notice, now: int) -> int:
    first = now if notice.hold_until is None else max(now, micros(notice.hold_until))
    return first // _MINUTE * _MINUTE + _GATHERED if notice.digest else first


def _priority(notice: Notice) -> int:
    """Copies after the rest; what may go together last, person by person, so that one claim finds it side by side."""
    if notice.digest:
        return beside(notice.person)
    return COPY if notice.copy else 0


def beside(person: str) -> int:
    """The priority of what may go together for one person."""
    return COPY + 1 + zlib.crc32(person.encode("utf-8", "replace")) % _PERSONS


def _first_state(notice: Notice) -> DeliveryState:
    if notice.dark:
        return DeliveryState.DARK
    return DeliveryState.HELD if notice.release else DeliveryState.PENDING


def delivery(row: Sequence[Any]) -> Delivery:
    """A row of DELIVERY_COLUMNS."""
    (
        identity,
        notice_key,
        case_key,
        obligation_id,
        policy,
        limit,
        instance,
        deadline_version,
        step,
        repetition,
        person,
        role,
        channel,
        say,
        why,
        at,
        facts,
        missed,
        expires_at,
        copy,
        policy_version,
        created_at,
        state,
        not_before_at,
        manner,
        sent_as,
        attempts,
        reference,
        error,
        possible_duplicate,
        receipt_due_at,
        delivered_at,
        read_at,
        acknowledged_at,
        provider,
        doubted_elsewhere,
    ) = row
    return Delivery(
        id=identity,
        notice=Notice(
            key=notice_key,
            case_key=case_key,
            policy=policy,
            limit=limit,
            deadline_version=deadline_version,
            step=step,
            repeat=repetition,
            person=person,
            role=role,
            channel=channel,
            say=say,
            why=Why(why),
            at=instant(at),
            instance=instance,
            facts=codec.decode_fields(codec.decode(facts)),
            missed=() if missed == "[]" else tuple(codec.decode(missed)),
            expires_at=maybe_instant(expires_at),
            copy=bool(copy),
            **codec.decode_manner(manner),
        ),
        state=DeliveryState(state),
        attempts=attempts,
        not_before_at=instant(not_before_at),
        created_at=instant(created_at),
        policy_version=policy_version,
        reference=reference,
        error=error,
        possible_duplicate=bool(possible_duplicate),
        obligation_id=obligation_id,
        receipt_due_at=maybe_instant(receipt_due_at),
        delivered_at=maybe_instant(delivered_at),
        read_at=maybe_instant(read_at),
        acknowledged_at=maybe_instant(acknowledged_at),
        provider=provider,
        doubted_elsewhere=bool(doubted_elsewhere),
        sent_as=sent_as,
    )
