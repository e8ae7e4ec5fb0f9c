"""A clock for every holder (条例第二十三条第三款): each unit that receives the case has its own time from its receipt.

* A change of person inside one unit changes nothing; a hand-back its sender has not agreed to leaves the clock where it
  is (both are the business of `policies.people.holding`).
* The first holder's clock begins with the limit's start milestone in his time. A bureau that only registered the case
  and sent it on has none. Every later clock begins with that unit's receipt (收件) or, if none is on record, with the
  hand-over, which is marked as assumed.
* A clock ends when another unit leads; a later one never changes its number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.limits.clocks import Clock, Holder
from policies.limits.facts import finding, instants_of
from policies.model import Movement, Reason, Why
from policies.people.holding import effective_at, holdings
from policies.text import Text
from policies.wording import instant_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.limits.linked import LinkedStart
    from policies.model import Case, Limit, Obligation


def clocks_of_holders(
    limit: Limit,
    case: Case,
    linked: Mapping[str, LinkedStart],
    calendar: Calendar,
    now: datetime,
    before: Sequence[Obligation],
) -> list[Clock]:
    """The clocks of all holders so far, in time; none while there is nothing to count the first one from."""
    known = {number_of(one): one for one in before if one.holder_unit is not None}
    clocks: list[Clock] = []
    for one in _as_known(_holders(case, now), known, case, now):
        holder = replace(one, number=len(clocks) + 1)
        old = known.get(holder.number)
        if old is not None and old.holder_unit != holder.unit:
            old = None
        clock = _clock(holder, limit, case, linked, calendar, old)
        if clock is not None:
            clocks.append(clock)
    return clocks


def number_of(one: Obligation) -> int:
    """Which holder's obligation it is, 1 being the first; the occurrence of a recurring limit is left out."""
    holder = one.instance.partition(".")[0]
    return int(holder) if holder.isdigit() else 1


def handed_over(limit: Limit, holder: Holder, due_at: datetime, place: str, calendar: Calendar) -> Reason:
    """Why a holder's clock ended though nothing was done; who was late already stays late (条例第四十五条)."""
    at = holder.to_at or holder.from_at
    unit, said = holder.unit or "—", instant_of(at, calendar)
    zh, en = f"“{limit.title}”：{said} 已转出，{unit} 的时限终止。", f"'{limit.id}': {unit} handed it over at {said}."
    if at > due_at:
        zh += f"转出时已超过 {instant_of(due_at, calendar)}。"
        en += f" It was late by then: due {instant_of(due_at, calendar)}."
    return Reason(Why.HANDED_OVER, Text(zh, en), step=place, at=at)


def future_movements(case: Case, place: str, now: datetime) -> list[Reason]:
    """Hand-overs written down for a time to come: not believed before."""
    ahead = [move for move in case.transfers if effective_at(move) > now]
    return [
        finding(
            place,
            effective_at(move),
            f"第 {move.seq} 条流转的时间在未来，暂不采信。",
            f"Movement {move.seq} lies in the future: not believed yet.",
        )
        for move in sorted(ahead, key=lambda one: one.seq)
    ]


# --- who held it ------------------------------------------------------------------------------------------------


def _holders(case: Case, now: datetime) -> list[Holder]:
    """The units that led, in time: a change of person is no change of holder, and a hand-over to come none yet."""
    on_record = {effective_at(move) for move in case.transfers}
    holders: list[Holder] = []
    for one in holdings(case):
        if not one.lead:
            continue
        recorded = one.from_at in on_record
        from_at = one.from_at if recorded or not holders else min(one.from_at, now)
        if holders and one.unit in {None, holders[-1].unit}:
            if from_at <= now:
                holders[-1] = replace(holders[-1], official=one.official)
        elif holders and from_at > now:
            holders[-1] = replace(holders[-1], to_at=from_at)
            break
        else:
            if holders:
                holders[-1] = replace(holders[-1], to_at=from_at, over=True)
            holders.append(Holder(len(holders) + 1, one.unit, one.official, from_at, recorded=recorded))
    return holders


def _as_known(holders: list[Holder], known: Mapping[int, Obligation], case: Case, now: datetime) -> list[Holder]:
    """The holders as they are known already: nobody is renumbered because a record's beginning was lost or came late.

    A shared database that shows the present unit only, or fills in its movements late, must not start old clocks anew.
    """
    if not known or not holders:
        return holders
    units = [holder.unit for holder in holders]
    late = next((n for n in range(len(units)) if _fits(units[n:], known)), None)
    if late is not None:
        holders = holders[late:]  # who only registered it had no clock
    else:
        most = max(known)
        kept = [n for n in range(1, most) if _fits([None] * n + units, {m: one for m, one in known.items() if m > n})]
        if not kept and not {one.holder_unit for one in known.values()} & set(units):
            kept = [most]
        if kept and kept[0] in known:
            holders = _after([known[n] for n in sorted(known) if n <= kept[0]], holders, known.get(kept[0] + 1), now)
    return [_kept_start(replace(h, number=n), known.get(n), case) for n, h in enumerate(holders, 1)]


def _fits(units: Sequence[str | None], known: Mapping[int, Obligation]) -> bool:
    return all(number <= len(units) and units[number - 1] == one.holder_unit for number, one in known.items())


def _after(
    lost: Sequence[Obligation], holders: Sequence[Holder], known: Obligation | None, now: datetime
) -> list[Holder]:
    """The known holders the record no longer shows, then those it shows; `known` is the first of these, if it is."""
    begun = [one.start_at for one in lost] + [max(holders[0].from_at, lost[-1].start_at)]
    if holders[0].from_at <= lost[-1].start_at:
        # Nobody wrote the hand-over down, or it is lost: it is as old as our knowing of it.
        begun[-1] = now if known is None else known.start_at
    earlier = [
        Holder(0, one.holder_unit, one.holder_official, begun[place], begun[place + 1], over=True)
        for place, one in enumerate(lost)
    ]
    return [*earlier, replace(holders[0], from_at=begun[-1], recorded=holders[0].recorded), *holders[1:]]


def _kept_start(holder: Holder, known: Obligation | None, case: Case) -> Holder:
    """A hand-over nobody wrote down keeps the time we first took for it; it would move with every new fact."""
    if holder.recorded or known is None or known.holder_unit != holder.unit or holder.number == 1:
        return holder
    moved_after = any(effective_at(move) > known.start_at for move in case.transfers)
    return holder if moved_after else replace(holder, from_at=known.start_at)


# --- from when his clock runs -----------------------------------------------------------------------------------


def _clock(
    holder: Holder,
    limit: Limit,
    case: Case,
    linked: Mapping[str, LinkedStart],
    calendar: Calendar,
    known: Obligation | None,
) -> Clock | None:
    received_at = _received_at(holder, case)
    if holder.number > 1:
        return Clock(received_at or holder.from_at, received_at is None, holder=holder)
    for name in limit.start:
        link = linked.get(name)
        instants = instants_of(name, case) if link is None else (link.at,)
        mine = [at for at in instants if holder.had_it_at(at, calendar)]
        if mine:
            return Clock(mine[0], name != limit.start[0], link is not None and link.provisional, holder)
    if known is not None and holder.over:
        return Clock(known.start_at, known.start_assumed, known.provisional, holder)
    if not _was_sent_it(holder, case):
        return None
    return Clock(received_at or holder.from_at, received_at is None, holder=holder)


def _received_at(holder: Holder, case: Case) -> datetime | None:
    """When the unit took it in (收件) while it led."""
    return min(
        (
            move.at
            for move in case.transfers
            if move.kind is Movement.RECEIVE
            and move.to_unit == holder.unit
            and holder.from_at <= move.at
            and (holder.to_at is None or move.at < holder.to_at)
        ),
        default=None,
    )


def _was_sent_it(holder: Holder, case: Case) -> bool:
    """Whether a movement, not only the beginning of the record, made it the holder."""
    leading = {Movement.HAND_OVER, Movement.RETURN, Movement.HAND_BACK}
    return any(
        m.kind in leading and effective_at(m) == holder.from_at and m.to_unit == holder.unit for m in case.transfers
    )
