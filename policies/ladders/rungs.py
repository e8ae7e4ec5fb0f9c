"""The instants at which a ladder speaks, and which of them have been dealt with.

Anchors are `start`, `due` (what lights work to), `review` (when a parked case comes back) and any milestone. For
`start` and `due` one cursor each tells how far the ladder has been worked through. A milestone may be corrected
forwards and backwards while everything else stays, and the day of review as well: there every step that spoke is
remembered by itself, so that none is said twice or passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from policies.duration import Duration, Moment, Unit
from policies.model import Ladder, Lights, Movement, ObligationState, Repeat, Step
from policies.moving import moment_at, shift
from policies.people.seats import HANDLER
from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Case, History, Obligation, Reception

START = "start"
DUE = "due"
REVIEW = "review"
UNACKNOWLEDGED = "unacknowledged"
UNACTED = "unacted"
RELEASE = "release"
HANDBACK = "handback"
BREACHED = "breached"  # in `History.decided_until`: when it was past a legal limit that has moved on since
SAID_FOR_GOOD = f"{HANDBACK}."  # what begins like this in `History.decided_until` outlives every move of the limit

_CURSORS = frozenset({START, DUE})
NOTHING_SIGNED: Mapping[str, datetime] = MappingProxyType({})

DEFAULT_REVIEW = Step(
    REVIEW,
    Moment(REVIEW),
    (HANDLER, "section_head"),
    REVIEW,
    repeat=Repeat(Duration(Fraction(5), Unit.WORKDAY), 6),
)
"""What a ladder without a step of its own says of a parked case: every week, so that it does not disappear."""

_REVIEW_ONLY = Ladder(
    REVIEW, Lights(Duration(Fraction(0), Unit.DAY), Duration(Fraction(0), Unit.DAY)), (DEFAULT_REVIEW,)
)


@dataclass(frozen=True, slots=True)
class Rung:
    """One instant at which a step of the ladder speaks; `repeat` counts its returns, 0 is the first time.

    `unacknowledged` marks the derived step that speaks when nobody has acknowledged (签收) in time, `unacted` the one
    that speaks when nothing was done so long after it was. `review_of` is the day of review it belongs to: a case
    parked once more is reviewed once more.
    """

    at: datetime
    step: Step
    order: int
    repeat: int = 0
    unacknowledged: bool = False
    unacted: bool = False
    review_of: str = ""

    @property
    def id(self) -> str:
        """The step's id as it stands in keys and reasons."""
        base = f"{self.step.id}.{self.review_of}" if self.review_of else self.step.id
        if self.unacted:
            return f"{base}.{UNACTED}"
        return f"{base}.{UNACKNOWLEDGED}" if self.unacknowledged else base

    @property
    def name(self) -> str:
        """The id with the number of the return, for lists of what was missed."""
        return f"{self.id}#{self.repeat}" if self.repeat else self.id

    @property
    def say(self) -> str:
        """Which text it says."""
        if self.unacted:
            return UNACTED
        return UNACKNOWLEDGED if self.unacknowledged else self.step.say

    @property
    def otherwise(self) -> tuple[str, ...]:
        """Whom a derived step speaks to in place of those of its step; nobody for any other."""
        rule = self.step.acknowledge
        if rule is None or not (self.unacknowledged or self.unacted):
            return ()
        return rule.otherwise if self.unacknowledged or rule.then is None else rule.then.otherwise


def step_of(step_id: str, ladder: Ladder) -> Step | None:
    """The step that a step id in a key was derived from; None if the ladder has it no longer."""
    for step in (*ladder.steps, DEFAULT_REVIEW):
        derived = step.at.anchor == REVIEW and step_id.startswith(f"{step.id}.")
        names = {step.id, f"{step.id}.{UNACKNOWLEDGED}", f"{step.id}.{UNACTED}"}
        if derived or step_id.removesuffix(f".{RELEASE}") in names:
            return step
    return None


def timeline(
    ladder: Ladder,
    obligation: Obligation,
    milestones: Mapping[str, datetime],
    calendar: Calendar,
    signed: Mapping[str, datetime] = NOTHING_SIGNED,
) -> tuple[Rung, ...]:
    """Every instant at which the ladder speaks, in time. A step whose anchor is not there yet is left out.

    `signed` tells when what a step said was acknowledged (`signed_for`): what is to be done then is due from there.
    While the obligation is paused only the steps of the review speak, and at no other time do they.
    """
    if obligation.state is ObligationState.PAUSED:
        return _review(ladder, obligation, calendar)
    parts: list[tuple[Rung, ...]] = []
    same_ladder, same_calendar, due_at = Same(ladder), Same(calendar), obligation.due_at
    for anchor in _anchors_of(same_ladder):
        at = _anchor_at(anchor, obligation, milestones)
        if at is not None:
            parts.append(_rungs(same_ladder, anchor, at, due_at, same_calendar))
    rungs = [rung for part in parts for rung in part]
    if signed:
        rungs += _to_be_done(ladder, signed, calendar)
    rungs.sort(key=_in_time)
    return tuple(rungs)


def signed_for(
    ladder: Ladder,
    obligation: Obligation,
    case: Case,
    receptions: Mapping[str, Reception],
    calendar: Calendar,
    now: datetime,
) -> Mapping[str, datetime]:
    """When what each step said was first acknowledged (签收) in this round, for the steps that begin a clock by it."""
    if not begins_clocks(Same(ladder)):
        return NOTHING_SIGNED
    signed = {
        step.id: signed_at(step, obligation, case, receptions, calendar, now)
        for step in ladder.steps
        if step.acknowledge is not None and step.acknowledge.then is not None
    }
    return {step: at for step, at in signed.items() if at is not None}


def signed_at(
    step: Step,
    obligation: Obligation,
    case: Case,
    receptions: Mapping[str, Reception],
    calendar: Calendar,
    now: datetime,
) -> datetime | None:
    """When what that step said was first acknowledged (签收) in this round: in the shared database, or by its reader.

    The shared database says so by the step's milestone, or by a movement: the unit whose clock it is signed for the
    case. None: not yet, or the step does not ask.
    """
    if step.acknowledge is None:
        return None
    reception, unit = receptions.get(step.id), obligation.holder_unit or case.unit
    moves = (move.at for move in case.transfers if move.kind is Movement.SIGN and move.to_unit in {None, unit})
    by_hand = reception.acknowledged_at if reception is not None else None
    told = (case.milestones.get(step.acknowledge.milestone), by_hand, *moves)
    return min((at for at in told if at is not None and in_this_round(at, obligation, calendar, now)), default=None)


def in_this_round(at: datetime, obligation: Obligation, calendar: Calendar, now: datetime) -> bool:
    """Whether something happened in this round: on the day of the start or after, and not in the future."""
    day = calendar.local_day
    return day(obligation.start_at) <= day(at) <= day(now)


@lru_cache(maxsize=256)
def begins_clocks(ladder: Same[Ladder]) -> bool:
    """Whether an acknowledgement of one of its steps starts a clock."""
    rules = (step.acknowledge for step in ladder.value.steps)
    return any(rule is not None and rule.then is not None for rule in rules)


def _to_be_done(ladder: Ladder, signed: Mapping[str, datetime], calendar: Calendar) -> Iterator[Rung]:
    for order, step in enumerate(ladder.steps):
        rule = step.acknowledge.then if step.acknowledge is not None else None
        if rule is not None and step.id in signed:
            yield Rung(shift(signed[step.id], rule.within, calendar), step, order, unacted=True)


def is_decided(rung: Rung, decided_until: Mapping[str, datetime]) -> bool:
    """Whether that instant has been dealt with before."""
    if _has_cursor(rung):
        cursor = decided_until.get(rung.step.at.anchor)
        return cursor is not None and rung.at <= cursor
    return _memory(rung) in decided_until


def decided_by(rungs: Iterable[Rung], history: History, now: datetime) -> dict[str, datetime]:
    """What has been dealt with once everything up to `now` has."""
    decided = dict(history.decided_until)
    for rung in rungs:
        if rung.at > now:
            break
        name = rung.step.at.anchor if _has_cursor(rung) else _memory(rung)
        if name not in decided or decided[name] < rung.at:
            decided[name] = rung.at
    return decided


def _has_cursor(rung: Rung) -> bool:
    """An acknowledgement may be written down late: what it begins may lie before what was decided meanwhile."""
    return rung.step.at.anchor in _CURSORS and not rung.unacted


def _memory(rung: Rung) -> str:
    """Under which name a rung is remembered that has no cursor."""
    return f"{rung.step.at.anchor}:{rung.name}"


@lru_cache(maxsize=256)
def has_review(ladder: Same[Ladder]) -> bool:
    """Whether the ladder itself says what becomes of a parked case."""
    return any(step.at.anchor == REVIEW for step in ladder.value.steps)


def _review(ladder: Ladder, obligation: Obligation, calendar: Calendar) -> tuple[Rung, ...]:
    review_at = obligation.review_at
    if review_at is None:
        return ()
    same_ladder = Same(ladder if has_review(Same(ladder)) else _REVIEW_ONLY)
    day = calendar.local_day(review_at).isoformat()
    rungs = _rungs(same_ladder, REVIEW, review_at, obligation.due_at, Same(calendar))
    return tuple(sorted((replace(rung, review_of=day) for rung in rungs), key=_in_time))


def _in_time(rung: Rung) -> tuple[datetime, int]:
    return rung.at, rung.order


def _anchor_at(anchor: str, obligation: Obligation, milestones: Mapping[str, datetime]) -> datetime | None:
    if anchor == START:
        return obligation.start_at
    if anchor == DUE:
        return obligation.due_at
    return None if anchor == REVIEW else milestones.get(anchor)


@lru_cache(maxsize=256)
def _anchors_of(ladder: Same[Ladder]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(step.at.anchor for step in ladder.value.steps))


@lru_cache(maxsize=8192)
def _rungs(
    ladder: Same[Ladder], anchor: str, anchor_at: datetime, due_at: datetime, calendar: Same[Calendar]
) -> tuple[Rung, ...]:
    anchors = {DUE: due_at, anchor: anchor_at}
    return tuple(
        rung
        for order, step in enumerate(ladder.value.steps)
        if step.at.anchor == anchor
        for rung in _rungs_of(step, order, _moment(step.at, anchors, calendar.value), calendar.value)
    )


def _moment(moment: Moment, anchors: Mapping[str, datetime], calendar: Calendar) -> datetime:
    if moment.offset is None and moment.share is None and moment.at is None:
        return anchors[moment.anchor]
    return moment_at(moment, anchors, calendar)


def _rungs_of(step: Step, order: int, at: datetime, calendar: Calendar) -> Iterator[Rung]:
    yield Rung(at, step, order)
    if step.acknowledge is not None:
        yield Rung(shift(at, step.acknowledge.within, calendar), step, order, unacknowledged=True)
    if step.repeat is not None:
        every = step.repeat.every
        for number in range(1, step.repeat.times + 1):
            yield Rung(shift(at, replace(every, amount=every.amount * number), calendar), step, order, number)
