"""What the record of movements (流转记录) of a case says that it did not say before. Pure: cases in, ledger lines out.

The shared database may forget or rewrite a line of it; the ledger keeps what it said, and says that it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.store.values import Event
from policies.model import Movement
from policies.people.holding import agreed, effective_at
from policies.people.noticed import is_noticed, moves_without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from policies.model import Case, Transfer

KINDS = {
    Movement.RECEIVE: "received",
    Movement.SIGN: "signed_for",
    Movement.ACCEPT: "accepted",
    Movement.HAND_OVER: "handed_over",
    Movement.CO_HANDLE: "co_handling",
    Movement.HAND_BACK: "handback_asked",
    Movement.RETURN: "returned",
    Movement.CLOSE: "closed",
}


def told_of_movements(case: Case, known: Case | None, now: datetime) -> list[Event]:
    """One line for each movement that is new, changed or gone, in the order they took effect."""
    before = () if known is None else known.transfers
    gone = moves_without(before, case.transfers)
    fresh = moves_without(case.transfers, before)
    events: list[tuple[datetime, int, Event]] = []
    for old in gone:
        new = _continued(old, fresh)
        if new is not None:
            fresh.remove(new)
        if new is not None and _just_agreed(old, new):
            continue_at = effective_at(new)
            events.append((continue_at, new.seq, Event(case.key, "handback_agreed", now, movement_body(new))))
        else:
            body = {"was": movement_body(old), "is": None if new is None else movement_body(new)}
            events.append((old.at, old.seq, Event(case.key, "record_changed", now, body)))
    events.extend(told for move in fresh for told in _told(move, case.key, now))
    return [event for _, _, event in sorted(events, key=lambda one: one[:2])]


def told_of_acknowledgement(case: Case, known: Case | None, names: Iterable[str], now: datetime) -> list[Event]:
    """That the shared database says since when the case is acknowledged (签收), by one of these milestones."""
    if known is None:
        return []
    before, after = known.milestones, case.milestones
    fresh = [name for name in sorted(set(names)) if name in after and after[name] != before.get(name)]
    return [
        Event(
            case.key,
            "acknowledged",
            now,
            {"person": case.handler, "how": "platform", "at": after[name].isoformat(), "milestone": name},
        )
        for name in fresh
    ]


def told_of_repeat(case: Case, known: Case | None, now: datetime) -> list[Event]:
    """The case repeats an earlier one (重复信访): said once, in the ledgers of both."""
    if case.earlier in {None, case.key} or (known is not None and known.earlier == case.earlier):
        return []
    body = {"earlier": case.earlier, "later": case.key}
    return [Event(key, "repeats", now, body) for key in (case.key, str(case.earlier))]


def movement_body(move: Transfer) -> dict[str, object]:
    """What the ledger says of a movement."""
    return {
        "kind": move.kind.value,
        "at": move.at.isoformat(),
        "from_unit": move.from_unit,
        "to_unit": move.to_unit,
        "to_official": move.to_official,
        "reason": move.reason,
        "approved_by": move.approved_by,
        "document": move.document,
        "decided_at": move.decided_at.isoformat() if move.decided_at else None,
    }


def _continued(old: Transfer, fresh: Sequence[Transfer]) -> Transfer | None:
    """The line that took the old one's place: of the same kind, at the same time or with the same number."""
    same = [move for move in fresh if move.kind is old.kind and not is_noticed(move)]
    there = (move for move in same if move.at == old.at and move.from_unit in {None, old.from_unit})
    return next(there, next((move for move in same if move.seq == old.seq), None))


def _just_agreed(old: Transfer, new: Transfer) -> bool:
    """Whether all that came of a hand-back is that its sender agreed."""
    if new.kind is not Movement.HAND_BACK or agreed(old) or not agreed(new):
        return False
    return (old.at, old.from_unit) == (new.at, new.from_unit) and old.to_unit in {None, new.to_unit}


def _told(move: Transfer, case_key: str, now: datetime) -> Iterator[tuple[datetime, int, Event]]:
    if is_noticed(move) and move.kind is not Movement.HAND_OVER:
        return  # only keeps the name of the one before
    kind = "holder_changed" if is_noticed(move) else KINDS[move.kind]
    yield move.at, move.seq, Event(case_key, kind, now, movement_body(move))
    if move.kind is Movement.HAND_BACK and agreed(move):
        yield effective_at(move), move.seq, Event(case_key, "handback_agreed", now, movement_body(move))
