"""From a role to a person who can be reached today, up the chain of command if need be.

Who is looked for, in this order, until somebody holds the post, is in office, may hear of the case and has an address:

1. the one who was asked for: the first handler and the handler are persons, every other role is a post;
2. the higher posts of the same unit, in the order of the policy's `chain`;
3. the same post and the higher ones at the unit above, and so on to the top (of one leg: see `policies.ways`);
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
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.model import Reason, Why
from policies.same import Same
from policies.substitutes import stand_in
from policies.text import Text
from policies.ways import LEG_TITLES, Way, legs_of, on_leg, split_leg, units_upward, way_of
from policies.wording import both

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from policies.model import Case, Directory, FirstHandler, Policy, Post
    from policies.substitutes import StandIn

__all__ = [
    "ADMINISTRATOR",
    "FIRST_HANDLER",
    "HANDLER",
    "PERSONAL",
    "ROLE_TITLES",
    "Resolution",
    "Same",
    "Seat",
    "needs_release",
    "next_upward",
    "rank_of",
    "resolve",
    "resolve_all",
    "resolve_any",
    "role_title",
    "seats_upward",
    "units_upward",
]

FIRST_HANDLER = "first_handler"
HANDLER = "handler"
ADMINISTRATOR = "administrator"
PERSONAL = frozenset({FIRST_HANDLER, HANDLER})

ROLE_TITLES: Mapping[str, Text] = {
    FIRST_HANDLER: Text("首办责任人", "first handler"),
    HANDLER: Text("承办人", "handler"),
    "section_head": Text("科室负责人", "section head"),
    "deputy_leader": Text("分管领导", "deputy leader"),
    "principal": Text("主要负责人", "principal"),
    "inspector": Text("督查专员", "inspector"),
    ADMINISTRATOR: Text("系统管理员", "administrator"),
}


def role_title(role: str) -> Text:
    """What the role is called in sentences; a role of the office's own is called by its name.

    `principal@territorial` is 属地主要负责人.
    """
    name, leg = split_leg(role)
    title = ROLE_TITLES.get(name) or both(name)
    of_leg = LEG_TITLES.get(leg or "")
    return title if of_leg is None else Text(f"{of_leg.zh}{title.zh}", f"{of_leg.en} {title.en}")


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


@dataclass(frozen=True, slots=True)
class Seat:
    """A place where somebody could sit: the role, the unit, and who sits there (None: nobody).

    `beyond` marks the seats of units above the one where the policy's `release_above` was found.
    """

    role: str
    unit: str | None
    person: str | None
    beyond: bool = False


def resolve(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kind: str | None,
    unit: str | None = None,
) -> Resolution:
    """The person for a role at `now` who has an address of that kind (None: of any kind)."""
    return resolve_any(role, policy, case, first_handler, directory, now, None if kind is None else (kind,), unit)


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
    return _on_leg(_Question(role, policy, case, first_handler, directory, now, kinds, unit), legs_of(role, policy)[0])


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
    question = _Question(role, policy, case, first_handler, directory, now, kinds, unit)
    legs = legs_of(role, policy)
    if split_leg(role)[0] in {*PERSONAL, ADMINISTRATOR}:
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
    question = _Question(role, policy, case, first_handler, directory, now, kinds, unit)
    seats = _seats_with(person, question)
    name, leg = split_leg(role)
    below = max(
        (i for i, seat in enumerate(seats) if split_leg(seat.role)[0] == name and _sits(person, seat, question)),
        default=-1,
    )
    reasons: list[Reason] = []
    was_last_resort = name == ADMINISTRATOR and _is_away(person, question)  # so all the seats were tried before him
    for seat in () if was_last_resort else seats[below + 1 :]:
        taken = _taken_by(seat, question)
        if taken.person == person:
            continue
        reasons.extend(taken.reasons)
        if taken.person is not None:
            return _resolution(seat, taken, question, leg or legs_of(role, policy)[0], reasons, Why.UNDELIVERED)
    last = _administrator_on_leave(question, after=person)
    if last is not None:
        return replace(last, reasons=(*reasons, *last.reasons), fell=Why.UNDELIVERED)
    text = Text("再往上已找不到能通知的人。", "Nobody further up can be reached.")
    return Resolution(None, role, (*reasons, Reason(Why.NOBODY, text, at=now)), Why.NOBODY, meant=role)


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
    question = _Question(role, policy, case, first_handler, directory, now, None, unit)
    yield from _seats(question, _way(question, legs_of(role, policy)[0]))


def rank_of(role: str, policy: Policy) -> int:
    """How high a role stands in the policy's chain, whatever its leg; -1 for a role outside it."""
    name, _ = split_leg(role)
    return policy.chain.index(name) if name in policy.chain else -1


def needs_release(seat: Seat, policy: Policy) -> bool:
    """Whether a message to that seat waits for a human: it stands above the leader the policy names."""
    if policy.release_above is None or seat.role == ADMINISTRATOR:
        return False
    leader = rank_of(policy.release_above, policy)
    return seat.beyond or (leader >= 0 and rank_of(seat.role, policy) > leader)


# --- one leg --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Question:
    """Who is wanted, for which case, on which day."""

    role: str
    policy: Policy
    case: Case
    first_handler: FirstHandler | None
    directory: Directory
    now: datetime
    kinds: Collection[str] | None
    unit: str | None

    @property
    def name(self) -> str:
        """The role without its leg."""
        return split_leg(self.role)[0]

    @property
    def start(self) -> str | None:
        """The unit the functional way begins at: the first handler's own, however far the case went."""
        if self.name == FIRST_HANDLER and self.first_handler is not None:
            return self.first_handler.unit
        return self.unit or self.case.unit


@dataclass(frozen=True, slots=True)
class _Taken:
    """Who takes a message for a seat, or why nobody does; `silent`: that is no alarm for the administrators."""

    person: str | None
    reasons: tuple[Reason, ...] = ()
    silent: bool = False
    instead_of: str | None = None


def _on_leg(question: _Question, leg: str) -> Resolution:
    way = _way(question, leg)
    reasons = [reason for reason in way.told if way.leg != leg and reason is way.told[0]]
    fell: Why | None = None
    recused = False
    for seat in _seats(question, way):
        taken = _taken_by(seat, question)
        if taken.person is not None:
            name = question.name
            if fell is None and not recused and seat.role != name and name not in PERSONAL:
                fell = Why.VACANT
                reasons.append(_vacant(name, question.start, question.now))
            reasons.extend(taken.reasons)
            if seat.role == ADMINISTRATOR:
                reasons.extend(reason for reason in way.told if reason not in reasons)
            return _resolution(seat, taken, question, way.leg, reasons, fell)
        reasons.extend(taken.reasons)
        recused = recused or taken.silent
        if not taken.silent and not _nobody_yet(seat):
            fell = fell or taken.reasons[-1].why
    reasons.extend(reason for reason in way.told if reason not in reasons)
    last = _administrator_on_leave(question)
    if last is not None:
        return replace(last, reasons=(*reasons, *last.reasons))
    text = Text(
        "上级链上和系统管理员中都找不到能通知的人。", "Nobody up the chain, nor any administrator, can be reached."
    )
    nobody = Reason(Why.NOBODY, text, at=question.now)
    return Resolution(None, question.role, (*reasons, nobody), Why.NOBODY, meant=question.role)


def _resolution(
    seat: Seat, taken: _Taken, question: _Question, leg: str, reasons: Iterable[Reason], fell: Why | None
) -> Resolution:
    asked, policy = question.role, question.policy
    meant_leg = split_leg(asked)[1] or leg

    def written(name: str, of_leg: str) -> str:
        return name if name in {*PERSONAL, ADMINISTRATOR} else on_leg(name, of_leg, asked, policy)

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


def _administrator_on_leave(question: _Question, after: str | None = None) -> Resolution | None:
    """An administrator who is away without a substitute, but can be reached: better than nobody.

    `after` is the one who was tried last: whoever comes before him among those on leave was tried already.
    """
    away = [person for person in question.directory.administrators if _is_away(person, question)]
    untried = away[away.index(after) + 1 :] if after in away else away
    for person in untried:
        seat = Seat(ADMINISTRATOR, None, person)
        if person not in question.case.recused and _problem(person, seat, question) is None:
            leg = legs_of(question.role, question.policy)[0]
            return _resolution(seat, _Taken(person), question, leg, (), Why.VACANT)
    return None


def _is_away(person: str, question: _Question) -> bool:
    return stand_in(person, question.directory, question.now).person != person


# --- seats ----------------------------------------------------------------------------------------------------


def _way(question: _Question, leg: str) -> Way:
    leg = leg if question.name not in PERSONAL else ""
    return way_of(leg, question.policy, question.case, question.start, question.directory, question.now)


def _seats(question: _Question, way: Way) -> Iterator[Seat]:
    name, case, first = question.name, question.case, question.first_handler
    if name == FIRST_HANDLER:
        yield Seat(name, question.start, first.official if first else case.handler)
    elif name == HANDLER:
        yield Seat(name, question.start, case.handler if question.start == case.unit else None)
    if name != ADMINISTRATOR:
        yield from _post_seats(_roles_from(name, question.policy), way.units, question)
    for administrator in question.directory.administrators:
        yield Seat(ADMINISTRATOR, None, administrator)


def _seats_with(person: str, question: _Question) -> list[Seat]:
    """The seats of the way that person sits on: of the case's, else of the first handler's unit."""
    leg = legs_of(question.role, question.policy)[0]
    seats = list(_seats(question, _way(question, leg)))
    first = question.first_handler
    if first is None or first.unit == question.start or any(_sits(person, seat, question) for seat in seats):
        return seats
    theirs = replace(question, unit=first.unit)
    other = list(_seats(theirs, _way(theirs, leg)))
    return other if any(_sits(person, seat, question) for seat in other) else seats


def _sits(person: str, seat: Seat, question: _Question) -> bool:
    """Whether that person sits there, or stands in for the one who does."""
    if seat.person is None or seat.person == person:
        return seat.person == person
    return person in stand_in(seat.person, question.directory, question.now).passed


def _roles_from(name: str, policy: Policy) -> tuple[str, ...]:
    posts = tuple(role for role in policy.chain if role not in PERSONAL)
    if name in PERSONAL:
        return posts
    return posts[posts.index(name) :] if name in posts else (name,)


def _post_seats(roles: tuple[str, ...], units: tuple[str, ...], question: _Question) -> Iterator[Seat]:
    posts = _by_place(Same(question.directory.posts))
    leader = question.policy.release_above
    beyond = False
    for place in units:
        for role in roles:
            there = posts.get((place, role), ())
            held = [post for post in there if _valid(post, question.now)]
            if there and not held:
                yield Seat(role, place, None, beyond)
            for post in held:
                yield Seat(role, place, post.official, beyond)
        beyond = beyond or (leader is not None and (place, leader) in posts)


def _valid(post: Post, now: datetime) -> bool:
    return (post.from_at is None or post.from_at <= now) and (post.to_at is None or now < post.to_at)


# --- who takes a message for a seat ---------------------------------------------------------------------------


def _taken_by(seat: Seat, question: _Question) -> _Taken:
    if seat.person is None:
        return _Taken(None, (_vacant(seat.role, seat.unit, question.now),))
    if seat.person in question.case.recused:
        return _Taken(None, (_recused(seat.role, seat.person, question.now),), silent=True)
    acting = stand_in(seat.person, question.directory, question.now)
    if acting.person is None:
        return _Taken(None, (_away(seat, acting, question.now),))
    stood_in = () if acting.person == seat.person else (_delegated(seat, acting, question.now),)
    if acting.person in question.case.recused:
        return _Taken(None, (*stood_in, _recused(seat.role, acting.person, question.now)), silent=True)
    problem = _problem(acting.person, seat, question)
    if problem is not None:
        return _Taken(None, (*stood_in, problem))
    return _Taken(acting.person, stood_in, instead_of=seat.person if stood_in else None)


def _problem(person: str, seat: Seat, question: _Question) -> Reason | None:
    """Why that person cannot be told; None if he can."""
    official = question.directory.officials.get(person)
    title, now, kinds = role_title(seat.role), question.now, question.kinds
    if official is None or not official.active:
        zh, en = f"{title.zh} {person} 已不在岗。", f"The {title.en} {person} is no longer in office."
        return Reason(Why.VACANT, Text(zh, en), at=now, person=person)
    if any(official.addresses.get(kind) for kind in (official.addresses if kinds is None else kinds)):
        return None
    wanted = "、".join(kinds or ()) or "-"
    zh = f"{title.zh} {person} 没有登记可用的号码或邮箱（{wanted}）。"
    en = f"The {title.en} {person} has no address of the kind wanted ({wanted})."
    return Reason(Why.UNREACHABLE, Text(zh, en), at=now, person=person)


def _vacant(role: str, unit: str | None, now: datetime) -> Reason:
    title = role_title(role)
    if role in PERSONAL:
        zh, en = (
            f"尚未登记{title.zh}，通知单位负责人。",
            f"No {title.en} is recorded yet: the head of the unit is told.",
        )
        return Reason(Why.VACANT, Text(zh, en), at=now)
    zh = f"单位 {unit or '（未登记）'} 的{title.zh}空缺，转报上一级。"
    en = f"Nobody is {title.en} of unit {unit or '(not recorded)'}: the next one up is told."
    return Reason(Why.VACANT, Text(zh, en), at=now)


def _recused(role: str, person: str, now: datetime) -> Reason:
    title = role_title(role)
    zh, en = f"{title.zh} {person} 回避，转报上一级。", f"The {title.en} {person} is recused: the next one up is told."
    return Reason(Why.RECUSED, Text(zh, en), at=now, person=person)


def _away(seat: Seat, acting: StandIn, now: datetime) -> Reason:
    title, document = role_title(seat.role), _document(acting)
    zh = f"{title.zh} {seat.person} 不在岗{document.zh}，无人代理，转报上一级。"
    en = f"The {title.en} {seat.person} is away{document.en} and nobody stands in: the next one up is told."
    return Reason(Why.VACANT, Text(zh, en), at=now, person=seat.person)


def _delegated(seat: Seat, acting: StandIn, now: datetime) -> Reason:
    title, document = role_title(seat.role), _document(acting)
    zh = f"{title.zh} {seat.person} 不在岗，由 {acting.person} 代理{document.zh}。"
    en = f"The {title.en} {seat.person} is away: {acting.person} stands in{document.en}."
    return Reason(Why.DELEGATED, Text(zh, en), at=now, person=acting.person)


def _document(acting: StandIn) -> Text:
    papers = [absence.document for absence in acting.absences if absence.document]
    return Text(f"（{'、'.join(papers)}）", f" ({', '.join(papers)})") if papers else Text("", "")


def _nobody_yet(seat: Seat) -> bool:
    """A case nobody has been given yet is no vacant post: the head of the unit is the right one to tell."""
    return seat.role in PERSONAL and seat.person is None


# --- an index of the posts, kept as long as the same reading of the directory is in use ------------------------


@lru_cache(maxsize=4)
def _by_place(posts: Same[tuple[Post, ...]]) -> Mapping[tuple[str, str], tuple[Post, ...]]:
    """The posts by unit and role; of several holders the one who came last is first, then by key."""
    found: dict[tuple[str, str], list[Post]] = {}
    for post in posts.value:
        found.setdefault((post.unit, post.role), []).append(post)
    return {place: tuple(sorted(there, key=_seniority)) for place, there in found.items()}


def _seniority(post: Post) -> tuple[bool, float, str]:
    since = post.from_at
    return (since is None, 0.0 if since is None else -since.timestamp(), post.official)
