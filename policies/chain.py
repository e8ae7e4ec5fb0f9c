"""From a role to a person who can be reached today, up the chain of command if need be.

Who is looked for, in this order, until somebody holds the post, is active and has an address:

1. the one who was asked for: the first handler and the handler are persons, every other role is a post;
2. the higher posts of the same unit, in the order of the policy's `chain`;
3. the same post and the higher ones at the unit above, and so on to the top;
4. the administrators, one after the other.

A unit without such a post (the deputy leader of a section sits in the bureau above it) is no vacancy: the post is
simply found higher up. A post that is there and empty, or a person who cannot be reached, is told to the
administrators (domain statement 41). Nothing is ever dropped: if not even an administrator is found, the answer is
nobody, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

from policies.model import Reason, Why
from policies.text import Text
from policies.wording import both

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from policies.model import Case, Directory, FirstHandler, Policy, Post

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
    """What the role is called in sentences; a role of the office's own is called by its name."""
    return ROLE_TITLES.get(role) or both(role)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who gets it, in which role he gets it, and what happened on the way up.

    `fell` says why the administrators have to be told as well: VACANT or UNREACHABLE, None if the right post was
    reached.
    """

    person: str | None
    role: str
    reasons: tuple[Reason, ...] = ()
    fell: Why | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A place where somebody could sit: the role, the unit, and who sits there (None: nobody)."""

    role: str
    unit: str | None
    person: str | None


def resolve(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kind: str | None,
) -> Resolution:
    """The person for a role at `now` who has an address of that kind (None: of any kind)."""
    return resolve_any(role, policy, case, first_handler, directory, now, None if kind is None else (kind,))


def resolve_any(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kinds: Collection[str] | None,
) -> Resolution:
    """The person for a role at `now` who has an address of one of those kinds (None: of any kind)."""
    reasons: list[Reason] = []
    fell: Why | None = None
    for seat in seats_upward(role, policy, case, first_handler, directory, now):
        problem = _problem(seat, directory, kinds, now)
        if problem is None:
            if fell is None and seat.role != role and role not in PERSONAL:
                fell = Why.VACANT
                reasons.append(_vacant(role, case.unit, now))
            if seat.role == ADMINISTRATOR:
                reasons.extend(_loop(case, directory, now))
            return Resolution(seat.person, seat.role, tuple(reasons), fell)
        reasons.append(problem)
        if not _nobody_yet(seat):
            fell = fell or problem.why
    text = Text(
        "上级链上和系统管理员中都找不到能通知的人。", "Nobody up the chain, nor any administrator, can be reached."
    )
    return Resolution(
        None, role, (*reasons, *_loop(case, directory, now), Reason(Why.NOBODY, text, at=now)), Why.NOBODY
    )


def next_upward(
    role: str,
    person: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
    kinds: Collection[str] | None,
) -> Resolution:
    """Who is next above that person in that role: for a message that could not be delivered to him."""
    reasons: list[Reason] = []
    seats = list(seats_upward(role, policy, case, first_handler, directory, now))
    below = max((i for i, seat in enumerate(seats) if seat.person == person and seat.role == role), default=-1)
    for seat in seats[below + 1 :]:
        if seat.person == person:
            continue
        problem = _problem(seat, directory, kinds, now)
        if problem is None:
            return Resolution(seat.person, seat.role, tuple(reasons), Why.UNDELIVERED)
        reasons.append(problem)
    text = Text("再往上已找不到能通知的人。", "Nobody further up can be reached.")
    return Resolution(None, role, (*reasons, Reason(Why.NOBODY, text, at=now)), Why.NOBODY)


def seats_upward(
    role: str,
    policy: Policy,
    case: Case,
    first_handler: FirstHandler | None,
    directory: Directory,
    now: datetime,
) -> Iterator[Seat]:
    """Every seat to be asked for that role, from the one meant up to the last administrator."""
    unit = case.unit
    if role == FIRST_HANDLER:
        unit = first_handler.unit if first_handler else case.unit
        yield Seat(role, unit, first_handler.official if first_handler else case.handler)
    elif role == HANDLER:
        yield Seat(role, unit, case.handler)
    if role != ADMINISTRATOR:
        yield from _post_seats(_roles_from(role, policy), unit, directory, now)
    for administrator in directory.administrators:
        yield Seat(ADMINISTRATOR, None, administrator)


def rank_of(role: str, policy: Policy) -> int:
    """How high a role stands in the policy's chain; -1 for a role outside it."""
    return policy.chain.index(role) if role in policy.chain else -1


def units_upward(unit: str | None, directory: Directory) -> tuple[str, ...]:
    """The unit and all above it; a unit that comes up twice ends the way."""
    way: list[str] = []
    while unit is not None and unit not in way:
        way.append(unit)
        unit = directory.units[unit].parent if unit in directory.units else None
    return tuple(way)


def _roles_from(role: str, policy: Policy) -> tuple[str, ...]:
    posts = tuple(name for name in policy.chain if name not in PERSONAL)
    if role in PERSONAL:
        return posts
    return posts[posts.index(role) :] if role in posts else (role,)


def _post_seats(roles: tuple[str, ...], unit: str | None, directory: Directory, now: datetime) -> Iterator[Seat]:
    posts = _by_place(Same(directory.posts))
    for place in units_upward(unit, directory):
        for role in roles:
            there = posts.get((place, role), ())
            held = [post for post in there if _valid(post, now)]
            if there and not held:
                yield Seat(role, place, None)
            for post in held:
                yield Seat(role, place, post.official)


def _valid(post: Post, now: datetime) -> bool:
    return (post.from_at is None or post.from_at <= now) and (post.to_at is None or now < post.to_at)


def _problem(seat: Seat, directory: Directory, kinds: Collection[str] | None, now: datetime) -> Reason | None:
    """Why the one in that seat cannot be told; None if he can."""
    if seat.person is None:
        return _vacant(seat.role, seat.unit, now)
    official = directory.officials.get(seat.person)
    title = role_title(seat.role)
    if official is None or not official.active:
        zh, en = f"{title.zh} {seat.person} 已不在岗。", f"The {title.en} {seat.person} is no longer in office."
        return Reason(Why.VACANT, Text(zh, en), at=now, person=seat.person)
    if any(official.addresses.get(kind) for kind in (official.addresses if kinds is None else kinds)):
        return None
    wanted = "、".join(kinds or ()) or "-"
    zh = f"{title.zh} {seat.person} 没有登记可用的号码或邮箱（{wanted}）。"
    en = f"The {title.en} {seat.person} has no address of the kind wanted ({wanted})."
    return Reason(Why.UNREACHABLE, Text(zh, en), at=now, person=seat.person)


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


def _nobody_yet(seat: Seat) -> bool:
    """A case nobody has been given yet is no vacant post: the head of the unit is the right one to tell."""
    return seat.role in PERSONAL and seat.person is None


def _loop(case: Case, directory: Directory, now: datetime) -> tuple[Reason, ...]:
    way = units_upward(case.unit, directory)
    top = directory.units.get(way[-1]) if way else None
    if top is None or top.parent is None or top.parent not in way:
        return ()
    zh, en = f"单位 {top.key} 的上级关系成环。", f"The units above {top.key} form a loop."
    return (Reason(Why.FINDING, Text(zh, en), at=now),)


# --- an index of the posts, kept as long as the same reading of the directory is in use ----------------------


_Value = TypeVar("_Value")


class Same(Generic[_Value]):
    """A key that is equal only to the very same object, for remembering what was worked out from big values."""

    __slots__ = ("value",)

    def __init__(self, value: _Value) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value  # pyright: ignore[reportUnknownMemberType]


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
