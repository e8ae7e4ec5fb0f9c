"""What the record of movements (流转记录) of a case says that it did not say before. Pure: cases in, ledger lines out.

The shared database may forget or rewrite a line of it; the ledger keeps what it said, and says that it changed. It may
also give a case to somebody else without any line: then the case as we keep it has a movement of our own, dated when
we noticed and numbered below zero, so that whoever had it before keeps what is his.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.store.values import Event
from policies.holding import agreed, effective_at
from policies.model import Movement, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from policies.model import Case

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
_LEADING = frozenset({Movement.HAND_OVER, Movement.RETURN, Movement.HAND_BACK})


def with_noticed(case: Case, known: Case | None, now: datetime) -> Case:
    """The case with the changes of hands we noticed ourselves, one more if it has changed hands without a record."""
    if known is None:
        return case
    noticed = [move for move in known.transfers if is_noticed(move)]
    if _changed_hands(case, known) and not any(move.kind in _LEADING for move in _fresh(case, known)):
        official = case.handler if case.handler != known.handler or case.unit == known.unit else None
        noticed.append(
            Transfer(seq=-len(noticed) - 1, at=now, to_unit=case.unit, to_official=official, from_unit=known.unit)
        )
    return replace(case, transfers=(*case.transfers, *noticed)) if noticed else case


def is_noticed(move: Transfer) -> bool:
    """Whether nobody wrote this movement down: we noticed that the case had changed hands."""
    return move.seq < 0


def told_of_movements(case: Case, known: Case | None, now: datetime) -> list[Event]:
    """One line for each movement that is new, changed or gone, in the order they took effect."""
    before = () if known is None else known.transfers
    gone = _without(before, case.transfers)
    fresh = _without(case.transfers, before)
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


def _changed_hands(case: Case, known: Case) -> bool:
    """Whether another unit or official has it; one who was not known before is no change of hands."""
    unit = None not in {case.unit, known.unit} and case.unit != known.unit
    return unit or (None not in {case.handler, known.handler} and case.handler != known.handler)


def _fresh(case: Case, known: Case) -> list[Transfer]:
    return _without(case.transfers, known.transfers)


def _without(moves: Sequence[Transfer], others: Sequence[Transfer]) -> list[Transfer]:
    """The movements that are not among the others; the numbers of lines say nothing, a late line shifts them."""
    left = Counter(_content(move) for move in others)
    found: list[Transfer] = []
    for move in moves:
        if left[_content(move)]:
            left[_content(move)] -= 1
        else:
            found.append(move)
    return found


def _content(move: Transfer) -> Transfer:
    return replace(move, seq=-1 if is_noticed(move) else 0)


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
    kind = "holder_changed" if is_noticed(move) else KINDS[move.kind]
    yield move.at, move.seq, Event(case_key, kind, now, movement_body(move))
    if move.kind is Movement.HAND_BACK and agreed(move):
        yield effective_at(move), move.seq, Event(case_key, "handback_agreed", now, movement_body(move))
