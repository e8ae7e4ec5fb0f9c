"""Who held a case when: read off its record of movements (流转记录), the present unit and handler filling the gaps.

Whoever leads (主办) leads until another does; intervals are half open, so at every instant at most one leads. Lending a
hand (协办) never takes the lead away from the unit that received the case first (北京市接诉即办工作条例第十四条), and a
hand-back counts only from the moment its sender agreed (条例第二十三条第三款): asking for it changes nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from policies.model import Movement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from policies.model import Case, Transfer


@dataclass(frozen=True, slots=True)
class Holding:
    """Who had the case from one instant (inclusive) to another (exclusive; None: still), leading it or helping.

    A change of person inside one unit is a holding of its own. `document`, `approved_by` and `reason` are those of the
    movement that began it; all empty when no movement is on record.
    """

    number: int
    unit: str | None
    official: str | None
    from_at: datetime
    to_at: datetime | None = None
    lead: bool = True
    document: str | None = None
    approved_by: str | None = None
    reason: str | None = None

    def covers(self, at: datetime) -> bool:
        """Whether it lasted at that instant."""
        return self.from_at <= at and (self.to_at is None or at < self.to_at)


def holdings(case: Case) -> tuple[Holding, ...]:
    """Those who led, in time (numbers 0, 1, 2 …), then the co-handlers. Empty when no instant at all is known."""
    leaders = _leaders(case)
    helpers = sorted(_helpers(case), key=lambda one: one.from_at)
    return (*leaders, *(replace(one, number=len(leaders) + place) for place, one in enumerate(helpers)))


def holder_at(case: Case, at: datetime) -> Holding | None:
    """Who led at that instant; None if nobody is known to.

    Whoever had it when the first movement was written down had it before as well.
    """
    leaders = _leaders(case)
    found = next((one for one in reversed(leaders) if one.covers(at)), None)
    if found is not None:
        return found
    if leaders:
        return leaders[0] if leaders[0].from_at == _earliest(case) else None
    return Holding(0, case.unit, case.handler, at) if case.unit or case.handler else None


def handbacks(case: Case, until: datetime) -> int:
    """How often the case was to be handed back by then, agreed or not; twice is a sign of shirking (推诿)."""
    return sum(1 for move in case.transfers if move.kind is Movement.HAND_BACK and move.at <= until)


def agreed(move: Transfer) -> bool:
    """Whether a hand-back took effect: somebody approved it, and it is known when."""
    return bool(move.approved_by) and move.decided_at is not None


def effective_at(move: Transfer) -> datetime:
    """When a movement takes effect: a hand-back when it was agreed to, any other at once."""
    return move.decided_at if move.kind is Movement.HAND_BACK and move.decided_at is not None else move.at


# --- who leads --------------------------------------------------------------------------------------------------

_INSTANT = timedelta(microseconds=1)
_TAKING_IN = frozenset({Movement.RECEIVE, Movement.SIGN, Movement.ACCEPT})


def _leaders(case: Case) -> list[Holding]:
    moves = sorted((move for move in case.transfers if _may_lead(move)), key=_order)
    leaders = list(_at_first(case, moves))
    senders: list[str | None] = [None] * len(leaders)
    for move in moves:
        now = leaders[-1] if leaders else None
        if move.kind is Movement.HAND_BACK and now and move.from_unit not in {None, now.unit}:
            continue  # handed back by somebody who was not leading any more
        unit = _to_whom(move, now, senders[-1] if senders else None)
        if now is None or (unit, move.to_official or now.official) != (now.unit, now.official):
            senders.append(move.from_unit or (now.unit if now else None))
            _begin(leaders, unit, move.to_official, effective_at(move), move)
    named = [_named_by_taking_in(one, case) for one in leaders]
    return _as_the_case_says(named, case)


def _may_lead(move: Transfer) -> bool:
    if move.kind is Movement.HAND_BACK:
        return agreed(move)
    return move.kind in {Movement.HAND_OVER, Movement.RETURN}


def _order(move: Transfer) -> tuple[datetime, int]:
    return effective_at(move), move.seq


def _to_whom(move: Transfer, now: Holding | None, sender: str | None) -> str | None:
    if move.to_unit is not None:
        return move.to_unit
    if move.kind is not Movement.HAND_OVER:
        return sender
    return now.unit if now and move.to_official is not None else None


def _at_first(case: Case, moves: list[Transfer]) -> Iterator[Holding]:
    """Who had it before anything moved: whoever took it in, the first sender, or the present ones if nothing moved."""
    earliest = _earliest(case)
    if earliest is None:
        return
    took_in = sorted((m for m in case.transfers if m.kind in _TAKING_IN and m.to_unit is not None), key=_order)
    if took_in and (not moves or _order(took_in[0]) < _order(moves[0])):
        yield Holding(0, took_in[0].to_unit, took_in[0].to_official, earliest)
    elif not moves and (case.unit or case.handler):
        yield Holding(0, case.unit, case.handler, earliest)
    elif moves and moves[0].from_unit is not None:
        yield Holding(0, moves[0].from_unit, None, earliest)


def _begin(
    leaders: list[Holding], unit: str | None, official: str | None, at: datetime, move: Transfer | None = None
) -> None:
    if leaders:
        leaders[-1] = replace(leaders[-1], to_at=at)
    begun = Holding(len(leaders), unit, official, at)
    if move is not None:
        begun = replace(begun, document=move.document, approved_by=move.approved_by, reason=move.reason)
    leaders.append(begun)


def _named_by_taking_in(one: Holding, case: Case) -> Holding:
    """The official who signed for it or accepted it, where the hand-over named only the unit."""
    if one.official is not None:
        return one
    mine = (m for m in case.transfers if m.kind in _TAKING_IN and m.to_unit in {None, one.unit} and one.covers(m.at))
    return replace(one, official=next((m.to_official for m in sorted(mine, key=_order) if m.to_official), None))


def _as_the_case_says(leaders: list[Holding], case: Case) -> list[Holding]:
    """The last one as the case's own fields complete or contradict it.

    A contradiction is a movement nobody wrote down: it came after everything that is known to have happened.
    """
    if not leaders:
        return leaders
    last = leaders[-1]
    if last.unit is None:
        last = replace(last, unit=case.unit)
    if last.official is None and last.unit == case.unit:
        last = replace(last, official=case.handler)
    leaders[-1] = last
    elsewhere = case.unit not in {None, last.unit}
    if elsewhere or case.handler not in {None, last.official}:
        _begin(leaders, case.unit or last.unit, case.handler, max(_latest(case), last.from_at) + _INSTANT)
    return leaders


def _earliest(case: Case) -> datetime | None:
    return min((*case.milestones.values(), *(move.at for move in case.transfers)), default=None)


def _latest(case: Case) -> datetime:
    """The last thing known to have happened; limits written into the case lie ahead and are none."""
    happened = (at for name, at in case.milestones.items() if not name.endswith("limit_at"))
    moved = (max(move.at, effective_at(move)) for move in case.transfers)
    return max((*happened, *moved, *(one.decided_at for one in case.extensions)), default=next(iter(_any(case))))


def _any(case: Case) -> Iterator[datetime]:
    yield from case.milestones.values()
    yield from (move.at for move in case.transfers)


# --- who helps --------------------------------------------------------------------------------------------------


def _helpers(case: Case) -> Iterator[Holding]:
    for move in case.transfers:
        if move.kind is Movement.CO_HANDLE:
            yield Holding(
                number=0,
                unit=move.to_unit,
                official=move.to_official,
                from_at=move.at,
                to_at=_handed_back_at(move, case),
                lead=False,
                document=move.document,
                approved_by=move.approved_by,
                reason=move.reason,
            )


def _handed_back_at(helped: Transfer, case: Case) -> datetime | None:
    """When the co-handler was let off, if his sender agreed to that."""
    mine = (m for m in case.transfers if m.kind is Movement.HAND_BACK and m.from_unit == helped.to_unit and agreed(m))
    return min((effective_at(m) for m in mine if m.at >= helped.at), default=None)
