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
from typing import TYPE_CHECKING

from policies.duration import Duration, Moment, Unit
from policies.model import Ladder, Lights, ObligationState, Repeat, Step
from policies.moving import moment_at, shift
from policies.people.seats import HANDLER
from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import History, Obligation

START = "start"
DUE = "due"
REVIEW = "review"
UNACKNOWLEDGED = "unacknowledged"
RELEASE = "release"
HANDBACK = "handback"
BREACHED = "breached"  # in `History.decided_until`: when it was past a legal limit that has moved on since
SAID_FOR_GOOD = f"{HANDBACK}."  # what begins like this in `History.decided_until` outlives every move of the limit

_CURSORS = frozenset({START, DUE})

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

    `unacknowledged` marks the derived step that speaks when nobody has acknowledged (签收) in time. `review_of` is the
    day of review it belongs to: a case parked once more is reviewed once more.
    """

    at: datetime
    step: Step
    order: int
    repeat: int = 0
    unacknowledged: bool = False
    review_of: str = ""

    @property
    def id(self) -> str:
        """The step's id as it stands in keys and reasons."""
        base = f"{self.step.id}.{self.review_of}" if self.review_of else self.step.id
        return f"{base}.{UNACKNOWLEDGED}" if self.unacknowledged else base

    @property
    def name(self) -> str:
        """The id with the number of the return, for lists of what was missed."""
        return f"{self.id}#{self.repeat}" if self.repeat else self.id

    @property
    def say(self) -> str:
        """Which text it says."""
        return UNACKNOWLEDGED if self.unacknowledged else self.step.say


def step_of(step_id: str, ladder: Ladder) -> Step | None:
    """The step that a step id in a key was derived from; None if the ladder has it no longer."""
    for step in (*ladder.steps, DEFAULT_REVIEW):
        derived = step.at.anchor == REVIEW and step_id.startswith(f"{step.id}.")
        if derived or step_id.removesuffix(f".{RELEASE}") in {step.id, f"{step.id}.{UNACKNOWLEDGED}"}:
            return step
    return None


def timeline(
    ladder: Ladder, obligation: Obligation, milestones: Mapping[str, datetime], calendar: Calendar
) -> tuple[Rung, ...]:
    """Every instant at which the ladder speaks, in time. A step whose anchor is not there yet is left out.

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
    rungs.sort(key=_in_time)
    return tuple(rungs)


def is_decided(rung: Rung, decided_until: Mapping[str, datetime]) -> bool:
    """Whether that instant has been dealt with before."""
    anchor = rung.step.at.anchor
    if anchor in _CURSORS:
        cursor = decided_until.get(anchor)
        return cursor is not None and rung.at <= cursor
    return _memory(rung) in decided_until


def decided_by(rungs: Iterable[Rung], history: History, now: datetime) -> dict[str, datetime]:
    """What has been dealt with once everything up to `now` has."""
    decided = dict(history.decided_until)
    for rung in rungs:
        if rung.at > now:
            break
        anchor = rung.step.at.anchor
        name = anchor if anchor in _CURSORS else _memory(rung)
        if name not in decided or decided[name] < rung.at:
            decided[name] = rung.at
    return decided


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
