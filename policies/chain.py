"""From a role to a person who can be reached today, up the chain of command if need be.

Who is looked for, in this order, until somebody holds the post, is in office, may hear of the case and has an address:

1. the one who was asked for: the first handler and the handler are persons, and so is whoever the case names for a
   role (包案领导); every other role is a post;
2. the higher posts of the same unit, in the order of the policy's `chain`;
3. the same post and the higher ones at the unit above, and so on to the top (of one leg: see `policies.people.ways`);
4. the administrators, one after the other.

A unit without such a post (the deputy leader of a section sits in the bureau above it) is no vacancy: the post is
simply found higher up. A post that is there and empty, a person who cannot be reached, or one who is away and has
named nobody, is told to the administrators (domain statement 41). Somebody away who has a substitute is stood in for
by him, in the same role. Whoever is recused (回避, 信访工作条例 28(3)) is passed over as if he did not sit there.
Nothing is ever dropped: an administrator on leave still gets what nobody else can get, and if not even an
administrator is found, the answer is nobody, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.model import Reason, Why
from policies.people.seats import (
    ADMINISTRATOR,
    NEVER_ABOVE,
    ON_NO_LEG,
    PERSONAL,
    Question,
    Seat,
    Taken,
    is_away,
    nobody_yet,
    problem_with,
    seats_on,
    seats_with,
    sits,
    taken_by,
    vacant,
    way_for,
)
from policies.people.ways import legs_of, on_leg, split_leg
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from policies.model import Case, Directory, FirstHandler, Policy


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who gets it, in which role he gets it, and what happened on the way up.

    `fell` says why the administrators have to be told as well: VACANT or UNREACHABLE, None if the right post was
    reached. `meant` is the role that was asked for, written as `role` is: somebody else's place is taken if the two
    differ. A role found on a leg that is not the policy's first has the leg in its name. `stands_in_for` is the one
    who is away. With `needs_release` a human has to release the message first.
    """

    person: str | None
    role: str
    reasons: tuple[Reason, ...] = ()
    fell: Why | None = None
    needs_release: bool = False
    meant: str = ""
    stands_in_for: str | None = None


def resolve_any(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kinds: Collection[str] | None,
    unit: str | None = None,
) -> Resolution:
    """The person for a role at `now` who has an address of one of those kinds (None: of any kind).

    A role without a leg of its own goes up the first leg of its policy. `unit` is where the way up begins instead of
    the case's present unit: for the clock of an earlier holder.
    """
    return _on_leg(Question(role, policy, case, first_handler, directory, now, kinds, unit), legs_of(role, policy)[0])


def resolve_all(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kinds: Collection[str] | None,
    unit: str | None = None,
) -> tuple[Resolution, ...]:
    """The same on every leg the role goes up: one resolution per person, in the order of the legs.

    Whoever is found on several legs gets it once, in the higher of his roles. If one leg finds nobody, those who were
    found on the others have it; if none does, the only resolution is nobody. The first handler, the handler and the
    administrators are the same on every leg.
    """
    question = Question(role, policy, case, first_handler, directory, now, kinds, unit)
    legs = legs_of(role, policy)
    if split_leg(role)[0] in {*ON_NO_LEG, *policy.named}:
        legs = legs[:1]
    found: dict[str | None, Resolution] = {}
    for one in (_on_leg(question, leg) for leg in legs):
        other = found.get(one.person)
        found[one.person] = one if other is None else _both_ways(other, one, policy)
    if len(found) > 1 and None in found:
        nobody = found.pop(None)
        first = next(iter(found))
        found[first] = replace(found[first], reasons=(*found[first].reasons, *nobody.reasons))
    return tuple(found.values())


def next_upward(
    role: str,
    person: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kinds: Collection[str] | None,
    unit: str | None = None,
) -> Resolution:
    """Who is next above that person in that role: for a message that could not be delivered to him."""
    question = Question(role, policy, case, first_handler, directory, now, kinds, unit)
    seats = seats_with(person, question)
    name, leg = split_leg(role)
    below = max((i for i, seat in enumerate(seats) if _is_his(seat, person, name, question)), default=-1)
    reasons: list[Reason] = []
    was_last_resort = name == ADMINISTRATOR and is_away(person, question)  # so all the seats were tried before him
    for seat in () if was_last_resort else seats[below + 1 :]:
        taken = taken_by(seat, question)
        if taken.person == person:
            continue
        reasons.extend(taken.reasons)
        if taken.person is not None:
            return _resolution(seat, taken, question, leg or legs_of(role, policy)[0], reasons, Why.UNDELIVERED)
    last = _administrator_on_leave(question, after=person)
    if last is not None:
        return replace(last, reasons=(*reasons, *last.reasons), fell=Why.UNDELIVERED)
    return _nobody(question, reasons, Text("再往上已找不到能通知的人。", "Nobody further up can be reached."))


def _is_his(seat: Seat, person: str, role: str, question: Question) -> bool:
    """Whether it is where he was told, or a higher post of his own: nobody's deputy is above him."""
    if split_leg(seat.role)[0] == role:
        return sits(person, seat, question)
    return seat.role != ADMINISTRATOR and seat.person == person


def seats_upward(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    unit: str | None = None,
) -> Iterator[Seat]:
    """Every seat to be asked for that role, from the one meant up to the last administrator, on its first leg."""
    question = Question(role, policy, case, first_handler, directory, now, None, unit)
    yield from seats_on(question, way_for(question, legs_of(role, policy)[0]))


def rank_of(role: str, policy: Policy) -> int:
    """How high a role stands in the policy's chain, whatever its leg; -1 for a role outside it."""
    name, _ = split_leg(role)
    return policy.chain.index(name) if name in policy.chain else -1


def needs_release(seat: Seat, policy: Policy) -> bool:
    """Whether a message to that seat waits for a human: it stands above the leader the policy names.

    Those who handle the case, the inspector who watches over it and the administrators never do.
    """
    if policy.release_above is None or seat.role in NEVER_ABOVE:
        return False
    leader = rank_of(policy.release_above, policy)
    return seat.beyond or (leader >= 0 and rank_of(seat.role, policy) > leader)


# --- one leg --------------------------------------------------------------------------------------------------


def _on_leg(question: Question, leg: str) -> Resolution:
    """The first on the way up who takes it; whatever kept those below him from it is told."""
    way = way_for(question, leg)
    reasons = list(way.told[:1]) if way.leg != leg else []  # there is no such way: the other one is gone
    fell: Why | None = None
    recused = False
    for seat in seats_on(question, way):
        taken = taken_by(seat, question)
        if taken.person is not None:
            if fell is None and not recused and seat.role != question.name and question.name not in PERSONAL:
                fell = Why.VACANT  # no unit on the way has the post that was asked for
                reasons.append(vacant(question.name, question.start, question.now))
            reasons.extend(taken.reasons)
            if seat.role == ADMINISTRATOR:
                reasons.extend(reason for reason in way.told if reason not in reasons)
            return _resolution(seat, taken, question, way.leg, reasons, fell)
        reasons.extend(taken.reasons)
        if taken.silent:
            recused = True
        elif not nobody_yet(seat):
            fell = fell or taken.reasons[-1].why
    reasons.extend(reason for reason in way.told if reason not in reasons)
    last = _administrator_on_leave(question)
    if last is not None:
        return replace(last, reasons=(*reasons, *last.reasons))
    zh, en = "上级链上和系统管理员中都找不到能通知的人。", "Nobody up the chain, nor any administrator, can be reached."
    return _nobody(question, reasons, Text(zh, en))


def _nobody(question: Question, reasons: Iterable[Reason], text: Text) -> Resolution:
    told = Reason(Why.NOBODY, text, at=question.now)
    return Resolution(None, question.role, (*reasons, told), Why.NOBODY, meant=question.role)


def _resolution(
    seat: Seat, taken: Taken, question: Question, leg: str, reasons: Iterable[Reason], fell: Why | None
) -> Resolution:
    """What is kept of the one who takes it: his role and the one asked for, each written with its leg."""
    asked, policy = question.role, question.policy
    meant_leg = split_leg(asked)[1] or leg

    def written(name: str, of_leg: str) -> str:
        return name if name in ON_NO_LEG else on_leg(name, of_leg, asked, policy)

    return Resolution(
        taken.person,
        written(seat.role, leg),
        tuple(reasons),
        fell,
        needs_release(seat, policy),
        written(question.name, meant_leg),
        taken.instead_of,
    )


def _both_ways(one: Resolution, other: Resolution, policy: Policy) -> Resolution:
    """The same person on two legs: once, in the higher role; released only if neither of them waits."""
    higher = max(one, other, key=lambda found: rank_of(found.role, policy))
    told = (*one.reasons, *(reason for reason in other.reasons if reason not in one.reasons))
    waits = one.needs_release and other.needs_release
    return replace(higher, reasons=told, fell=one.fell or other.fell, needs_release=waits)


def _administrator_on_leave(question: Question, after: str | None = None) -> Resolution | None:
    """An administrator who is away without a substitute, but can be reached: better than nobody.

    `after` is the one who was tried last: whoever comes before him among those on leave was tried already.
    """
    away = [person for person in question.directory.administrators if is_away(person, question)]
    untried = away[away.index(after) + 1 :] if after in away else away
    for person in untried:
        seat = Seat(ADMINISTRATOR, None, person)
        if person not in question.case.recused and problem_with(person, seat, question) is None:
            leg = legs_of(question.role, question.policy)[0]
            return _resolution(seat, Taken(person), question, leg, (), Why.VACANT)
    return None
