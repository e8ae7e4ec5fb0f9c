"""Changes of hands that nobody wrote down: the shared database gave a case to somebody else without a line of record.

The case as we keep it then has a movement of our own, dated when we noticed and numbered below zero, so that whoever
had it before keeps what is his.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from policies.model import Movement, Transfer
from policies.people.holding import holder_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from policies.model import Case

_LEADING = frozenset({Movement.HAND_OVER, Movement.RETURN, Movement.HAND_BACK})


def with_noticed(case: Case, known: Case | None, now: datetime) -> Case:
    """The case with the changes of hands we noticed ourselves, one more if it has changed hands without a record.

    Where a record names units only, the official known until now keeps his time: the next one does not take his place.
    """
    if known is None:
        return case
    noticed = [move for move in known.transfers if is_noticed(move)]
    if _changed_hands(case, known):
        noticed.extend(_had_it(case, known, now, len(noticed)))
        if not any(move.kind in _LEADING for move in moves_without(case.transfers, known.transfers)):
            official = case.handler if case.handler != known.handler or case.unit == known.unit else None
            noticed.append(
                Transfer(seq=-len(noticed) - 1, at=now, to_unit=case.unit, to_official=official, from_unit=known.unit)
            )
    return replace(case, transfers=(*case.transfers, *noticed)) if noticed else case


def _had_it(case: Case, known: Case, now: datetime, noticed: int) -> Iterator[Transfer]:
    """That the official known until now had the case, unless a record says so."""
    held = holder_at(known, now)
    if held is None or held.unit is None or held.official is None:
        return
    if any((move.to_unit, move.to_official) == (held.unit, held.official) for move in case.transfers):
        return
    yield Transfer(seq=-noticed - 1, at=held.from_at, to_unit=held.unit, to_official=held.official, kind=Movement.SIGN)


def is_noticed(move: Transfer) -> bool:
    """Whether nobody wrote this movement down: we noticed that the case had changed hands."""
    return move.seq < 0


def moves_without(moves: Sequence[Transfer], others: Sequence[Transfer]) -> list[Transfer]:
    """The movements that are not among the others; the numbers of lines say nothing, a late line shifts them."""
    left = Counter(_content(move) for move in others)
    found: list[Transfer] = []
    for move in moves:
        if left[_content(move)]:
            left[_content(move)] -= 1
        else:
            found.append(move)
    return found


def _changed_hands(case: Case, known: Case) -> bool:
    """Whether another unit or official has it; one who was not known before is no change of hands."""
    unit = None not in {case.unit, known.unit} and case.unit != known.unit
    return unit or (None not in {case.handler, known.handler} and case.handler != known.handler)


def _content(move: Transfer) -> Transfer:
    return replace(move, seq=-1 if is_noticed(move) else 0)
