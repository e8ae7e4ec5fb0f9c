"""The seats a message may go to, from the one meant upward, and who takes it for each of them today."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.model import Reason, Why
from policies.people.substitutes import stand_in
from policies.people.ways import LEG_TITLES, Way, legs_of, split_leg, way_of
from policies.same import Same
from policies.text import Text
from policies.wording import both

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from policies.model import Case, Directory, FirstHandler, Policy, Post
    from policies.people.substitutes import StandIn

FIRST_HANDLER = "first_handler"
HANDLER = "handler"
ADMINISTRATOR = "administrator"
INSPECTOR = "inspector"
PERSONAL = frozenset({FIRST_HANDLER, HANDLER})
ON_NO_LEG = PERSONAL | {ADMINISTRATOR}
NEVER_ABOVE = ON_NO_LEG | {INSPECTOR}  # 督查专员 supervises from beside the chain, wherever he sits

ROLE_TITLES: Mapping[str, Text] = {
    FIRST_HANDLER: Text("首办责任人", "first handler"),
    HANDLER: Text("承办人", "handler"),
    "section_head": Text("科室负责人", "section head"),
    "deputy_leader": Text("分管领导", "deputy leader"),
    "principal": Text("主要负责人", "principal"),
    INSPECTOR: Text("督查专员", "inspector"),
    ADMINISTRATOR: Text("系统管理员", "administrator"),
    "restricted": Text("限制知悉人员", "person on the restricted list"),
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
class Seat:
    """A place where somebody could sit: the role, the unit, and who sits there (None: nobody).

    `beyond` marks the seats of units above the one where the policy's `release_above` was found, `named` the seat of
    somebody the case itself names.
    """

    role: str
    unit: str | None
    person: str | None
    beyond: bool = False
    named: bool = False


def named_by(role: str, policy: Policy, case: Case) -> str | None:
    """Whom the case names for that role (包案领导); None if it names nobody, or the role is a post."""
    value = case.fields.get(policy.named.get(role, ""))
    return str(value).strip() or None if isinstance(value, str | int) and not isinstance(value, bool) else None


@dataclass(slots=True)
class Question:
    """Who is wanted, for which case, on which day."""

    role: str
    policy: Policy
    case: Case
    first_handler: FirstHandler | None
    directory: Directory
    now: datetime
    kinds: Collection[str] | None
    unit: str | None

    name: str = field(init=False)  # the role without its leg
    start: str | None = field(init=False)  # where the functional way begins

    def __post_init__(self) -> None:
        self.name = split_leg(self.role)[0]
        first = self.first_handler
        self.start = self.unit or self.case.unit
        if self.name == FIRST_HANDLER and first is not None:  # his own unit, however far the case went
            self.start = first.unit


@dataclass(slots=True)
class Taken:
    """Who takes a message for a seat, or why nobody does; `silent`: that is no alarm for the administrators."""

    person: str | None
    reasons: tuple[Reason, ...] = ()
    silent: bool = False
    instead_of: str | None = None


def way_for(question: Question, leg: str) -> Way:
    """The units to go up; after a person it is always the functional way: the duty stays with his unit."""
    leg = leg if question.name not in PERSONAL and question.name not in question.policy.named else ""
    return way_of(leg, question.policy, question.case, question.start, question.directory, question.now)


def seats_on(question: Question, way: Way) -> Iterator[Seat]:
    """The person meant, the posts along the way (with whom the case names for one of them), the administrators."""
    name, case, first = question.name, question.case, question.first_handler
    if name == FIRST_HANDLER:
        yield Seat(name, question.start, first.official if first else case.handler)
    elif name == HANDLER:
        yield Seat(name, question.start, case.handler if question.start == case.unit else None)
    elif name in question.policy.named:
        yield Seat(name, question.start, named_by(name, question.policy, case), named=True)
    if name != ADMINISTRATOR:
        yield from _post_seats(_roles_from(name, question.policy), way.units, question)
    for administrator in question.directory.administrators:
        yield Seat(ADMINISTRATOR, None, administrator)


def seats_with(person: str, question: Question) -> list[Seat]:
    """The seats of the way that person sits on: of the case's, else of the first handler's unit."""
    leg = legs_of(question.role, question.policy)[0]
    seats = list(seats_on(question, way_for(question, leg)))
    first = question.first_handler
    if first is None or first.unit == question.start or any(sits(person, seat, question) for seat in seats):
        return seats
    theirs = replace(question, unit=first.unit)
    other = list(seats_on(theirs, way_for(theirs, leg)))
    return other if any(sits(person, seat, question) for seat in other) else seats


def sits(person: str, seat: Seat, question: Question) -> bool:
    """Whether that person sits there, or stands in for the one who does."""
    if seat.person is None or seat.person == person:
        return seat.person == person
    return person in stand_in(seat.person, question.directory, question.now).passed


def _roles_from(name: str, policy: Policy) -> tuple[str, ...]:
    posts = tuple(role for role in policy.chain if role not in PERSONAL)
    if name in posts:
        return posts[posts.index(name) :]
    return posts if name in PERSONAL or name in policy.named else (name,)


def _post_seats(roles: tuple[str, ...], units: tuple[str, ...], question: Question) -> Iterator[Seat]:
    posts = _by_place(Same(question.directory.posts))
    leader = question.policy.release_above
    beyond = False
    for place in units:
        for role in roles:
            if place == units[0] and role != question.name:
                yield from _named_seat(role, place, question)
            there = posts.get((place, role), ())
            held = [post for post in there if _valid(post, question.now)]
            if there and not held:
                yield Seat(role, place, None, beyond)
            for post in held:
                yield Seat(role, place, post.official, beyond)
        beyond = beyond or (leader is not None and (place, leader) in posts)


def _named_seat(role: str, unit: str, question: Question) -> Iterator[Seat]:
    """Whoever the case names for a role of the chain stands on the way up of its own unit."""
    person = named_by(role, question.policy, question.case)
    if person is not None:
        yield Seat(role, unit, person, named=True)


def _valid(post: Post, now: datetime) -> bool:
    return (post.from_at is None or post.from_at <= now) and (post.to_at is None or now < post.to_at)


def is_away(person: str, question: Question) -> bool:
    """Whether somebody else, or nobody, acts for him at that instant."""
    return stand_in(person, question.directory, question.now).person != person


# --- who takes a message for a seat ---------------------------------------------------------------------------


def taken_by(seat: Seat, question: Question) -> Taken:
    """Who takes a message for that seat: the one who sits there or stands in for him, if he may and can."""
    if seat.person is None:
        reason = _not_named(seat.role, question) if seat.named else vacant(seat.role, seat.unit, question.now)
        return Taken(None, (reason,))
    if seat.person in question.case.recused:
        return Taken(None, (_recused(seat.role, seat.person, question.now),), silent=True)
    acting = stand_in(seat.person, question.directory, question.now)
    if acting.person is None:
        return Taken(None, (_away(seat, acting, question.now),))
    stood_in = () if acting.person == seat.person else (_delegated(seat, acting, question.now),)
    if acting.person in question.case.recused:
        return Taken(None, (*stood_in, _recused(seat.role, acting.person, question.now)), silent=True)
    problem = problem_with(acting.person, seat, question)
    if problem is not None:
        return Taken(None, (*stood_in, problem))
    return Taken(acting.person, stood_in, instead_of=seat.person if stood_in else None)


def problem_with(person: str, seat: Seat, question: Question) -> Reason | None:
    """Why that person cannot be told; None if he can."""
    official = question.directory.officials.get(person)
    title, now, kinds = role_title(seat.role), question.now, question.kinds
    if official is None or not official.active:
        zh, en = f"{title.zh} {person} 已不在岗。", f"The {title.en} {person} is no longer in office."
        if official is None:
            zh, en = f"{title.zh} {person} 不在人员名录中。", f"The {title.en} {person} is not in the directory."
        return Reason(Why.VACANT, Text(zh, en), at=now, person=person)
    if any(official.addresses.get(kind) for kind in (official.addresses if kinds is None else kinds)):
        return None
    wanted = "、".join(kinds or ()) or "-"
    if person in question.directory.stopped:
        stopped = "、".join(sorted(question.directory.stopped[person]))
        zh = f"{title.zh} {person} 已退订通道 {stopped}，没有其他可用的号码或邮箱（{wanted}）。"
        en = f"The {title.en} {person} stopped {stopped} and has no other address of the kind wanted ({wanted})."
        return Reason(Why.UNREACHABLE, Text(zh, en), at=now, person=person)
    zh = f"{title.zh} {person} 没有登记可用的号码或邮箱（{wanted}）。"
    en = f"The {title.en} {person} has no address of the kind wanted ({wanted})."
    return Reason(Why.UNREACHABLE, Text(zh, en), at=now, person=person)


def vacant(role: str, unit: str | None, now: datetime) -> Reason:
    """That nobody holds the post, or that no person is recorded yet."""
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


def _not_named(role: str, question: Question) -> Reason:
    """That the case names nobody for a role whose holder it should name."""
    title = question.policy.roles.get(role, role)
    zh, en = f"案件没有写明{title}，转报上一级。", f"The case names no {role}: the next one up is told."
    return Reason(Why.VACANT, Text(zh, en), at=question.now)


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


def nobody_yet(seat: Seat) -> bool:
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
