"""Who may be needed in the days ahead, and who of them could not be told: found at night, not when the limit ends.

For every step that falls due in that time the seats are gone through as `chain` would: whoever is meant, and if he
could not be told, the next one up, until somebody can. So everybody a message may reach is looked at, with what is
wrong with him on any day of that time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.chain import rank_of, seats_upward
from policies.ladders.rungs import timeline
from policies.people.seats import ADMINISTRATOR, FIRST_HANDLER, PERSONAL, role_title
from policies.people.substitutes import absences_between, stand_in
from policies.people.ways import legs_of, split_leg
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.model import Case, Directory, FirstHandler, Obligation, Official, Policy, Post
    from policies.people.seats import Seat

RESTRICTED = "restricted"  # named by key, in no role
MOBILE = re.compile(r"\+?\d{7,15}")
CHINESE_MOBILE = re.compile(r"(\+86)?1[3-9]\d{9}")
INVENTED = re.compile(r".*(\d)\1{7}")  # 13800000000 is typed in to fill a field
MAIL_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")


class Lack(StrEnum):
    """What may keep a message from somebody. A grave one does: somebody else gets it, or it comes late."""

    GONE = "gone"  # not in the directory, or no longer in office
    VACANT = "vacant"  # the post is there and nobody holds it
    NO_ADDRESS = "no_address"  # none the configured channels could use
    AWAY = "away"  # on leave in that time, and nobody stands in
    SUBSTITUTE = "substitute"  # on leave, and the one who stands in cannot be told either
    POST_ENDS = "post_ends"  # his post ends in that time and nobody follows
    IMPLAUSIBLE = "implausible"  # an address that can hardly be right
    ONE_ADDRESS = "one_address"  # only one kind of address where several channels are configured
    STOOD_IN = "stood_in"  # on leave, stood in for
    STOPPED = "stopped"  # he wants no messages over a channel (退订)
    NO_SUPERIOR = "no_superior"  # nobody above him but the administrators


GRAVE = frozenset({Lack.GONE, Lack.VACANT, Lack.NO_ADDRESS, Lack.AWAY, Lack.SUBSTITUTE, Lack.POST_ENDS})


@dataclass(frozen=True, slots=True)
class Shortcoming:
    """One thing that is wrong, in words; `at` is the instant from which on it is."""

    lack: Lack
    text: Text
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """One person, or one empty post (`person` None), the roles he is needed in, and for how many cases."""

    person: str | None
    unit: str | None
    roles: tuple[str, ...]
    cases: int
    shortcomings: tuple[Shortcoming, ...] = ()

    @property
    def grave(self) -> bool:
        """Whether a message may not reach him."""
        return any(one.lack in GRAVE for one in self.shortcomings)


@dataclass(frozen=True, slots=True)
class Reach:
    """Everybody open cases may need from `since` to `until`, those who cannot be reached first."""

    since: datetime
    until: datetime
    cases: int
    people: tuple[Reached, ...]

    @property
    def unreachable(self) -> tuple[Reached, ...]:
        """Those a message may not reach."""
        return tuple(one for one in self.people if one.grave)


@dataclass(frozen=True, slots=True)
class Exposed:
    """One open obligation with all that is needed to tell whom its ladder may speak to."""

    policy: Policy
    obligation: Obligation
    case: Case
    first_handler: FirstHandler | None
    calendar: Calendar


def reach(
    exposed: Iterable[Exposed], directory: Directory, kinds: Collection[str], since: datetime, until: datetime
) -> Reach:
    """Look at everybody these obligations may speak to between the two instants over addresses of these kinds."""
    look = _Look(directory, frozenset(kinds), since, until)
    for one in exposed:
        look.at(one)
    return look.found()


@dataclass(slots=True)
class _Needed:
    """Where somebody is needed, while it is still being found out."""

    roles: dict[str, None] = field(default_factory=dict[str, None])
    cases: set[str] = field(default_factory=set[str])
    ends: dict[str, Shortcoming] = field(default_factory=dict[str, Shortcoming])
    has_superior: bool = False


class _Look:
    """The tally of one forecast."""

    def __init__(self, directory: Directory, kinds: frozenset[str], since: datetime, until: datetime) -> None:
        self._directory = directory
        self._kinds = kinds
        self._since, self._until = since, until
        self._needed: dict[tuple[str | None, str | None], _Needed] = {}
        self._cases: set[str] = set()
        self._seats: dict[object, tuple[tuple[Seat, bool], ...]] = {}
        self._wrong: dict[str, tuple[Shortcoming, ...]] = {}
        self._posts: dict[tuple[str, str], list[Post]] = {}
        for post in directory.posts:
            self._posts.setdefault((post.unit, post.role), []).append(post)

    def at(self, one: Exposed) -> None:
        """Count in whom this obligation may reach."""
        roles = tuple(dict.fromkeys(_roles_ahead(one, self._since, self._until)))
        if not roles:
            return
        self._cases.add(one.case.key)
        if one.case.restricted:
            for person in one.policy.restricted.recipients:
                self._count((person, None), RESTRICTED, one.case.key)
            return
        for role in roles:
            for seat, has_superior in self._seats_for(role, one):
                needed = self._count((seat.person, None if seat.person else seat.unit), seat.role, one.case.key)
                needed.has_superior |= has_superior or seat.role == ADMINISTRATOR or _is_top(seat, one.policy)
                if (ends := self._post_ends(seat)) is not None:
                    needed.ends[f"{seat.unit}/{seat.role}"] = ends

    def found(self) -> Reach:
        """Everybody, the gravest and the most needed first."""
        people = [
            Reached(
                person,
                unit or self._unit_of(person),
                tuple(needed.roles),
                len(needed.cases),
                self._shortcomings(person, needed),
            )
            for (person, unit), needed in self._needed.items()
        ]
        people.sort(key=lambda one: (not one.grave, not one.shortcomings, -one.cases, one.person or "", one.unit or ""))
        return Reach(self._since, self._until, len(self._cases), tuple(people))

    def _count(self, whom: tuple[str | None, str | None], role: str, case_key: str) -> _Needed:
        needed = self._needed.setdefault(whom, _Needed())
        needed.roles[role] = None
        needed.cases.add(case_key)
        return needed

    def _seats_for(self, role: str, one: Exposed) -> tuple[tuple[Seat, bool], ...]:
        """The seats from the one meant to the first whose holder can be told, each with whether one is above it."""
        case, first = one.case, one.first_handler
        alike = (
            one.policy.id,
            role,
            one.obligation.holder_unit or case.unit,
            case.handler,
            (first.unit, first.official) if first else None,
            case.fields.get(one.policy.place),
            tuple(case.fields.get(field) for field in one.policy.named.values()),
            case.recused,
        )
        if alike not in self._seats:
            self._seats[alike] = tuple(self._walk(role, one))
        return self._seats[alike]

    def _walk(self, role: str, one: Exposed) -> Iterator[tuple[Seat, bool]]:
        name, bound = split_leg(role)
        personal = name in {*PERSONAL, ADMINISTRATOR, *one.policy.named}
        for leg in legs_of(role, one.policy)[:1] if personal else legs_of(role, one.policy):
            asked = name if personal or (bound is None and leg == legs_of(role, one.policy)[0]) else f"{name}@{leg}"
            seats = [
                seat
                for seat in seats_upward(
                    asked,
                    one.policy,
                    one.case,
                    one.first_handler,
                    self._directory,
                    self._since,
                    one.obligation.holder_unit,
                )
                if (seat.person or seat.role not in PERSONAL) and seat.person not in one.case.recused
            ]
            for place, seat in enumerate(seats):
                above = any(
                    other.person and other.role != ADMINISTRATOR and other.person != seat.person
                    for other in seats[place + 1 :]
                )
                yield seat, above
                if seat.person and self._can_be_told(seat):
                    break

    def _can_be_told(self, seat: Seat) -> bool:
        wrong = self._wrong_with(seat.person or "")
        return self._post_ends(seat) is None and not any(one.lack in GRAVE for one in wrong)

    # --- what is wrong ------------------------------------------------------------------------------------

    def _shortcomings(self, person: str | None, needed: _Needed) -> tuple[Shortcoming, ...]:
        if person is None:
            title = role_title(next(iter(needed.roles)))
            return (Shortcoming(Lack.VACANT, Text(f"{title.zh}空缺", f"nobody is {title.en}")),)
        wrong = [*self._wrong_with(person), *needed.ends.values()]
        if not needed.has_superior and RESTRICTED not in needed.roles:
            text = Text("除系统管理员外找不到上级", "nobody is above but the administrators")
            wrong.append(Shortcoming(Lack.NO_SUPERIOR, text))
        return tuple(wrong)

    def _wrong_with(self, person: str) -> tuple[Shortcoming, ...]:
        if person not in self._wrong:
            official = self._directory.officials.get(person)
            if official is None or not official.active:
                gone = Text("不在人员名录中或已不在岗", "not in the directory or no longer in office")
                self._wrong[person] = (Shortcoming(Lack.GONE, gone),)
            else:
                self._wrong[person] = (
                    *_addresses(official, self._kinds),
                    *self._stopped(person),
                    *self._absences(person),
                )
        return self._wrong[person]

    def _stopped(self, person: str) -> Iterator[Shortcoming]:
        for channel in sorted(self._directory.stopped.get(person, ())):
            yield Shortcoming(Lack.STOPPED, Text(f"已退订通道 {channel}", f"stopped channel {channel}"))

    def _absences(self, person: str) -> Iterator[Shortcoming]:
        for absence in absences_between(person, self._directory, self._since, self._until):
            begins = max(self._since, absence.from_at) if absence.from_at else self._since
            acting = stand_in(person, self._directory, begins)
            if acting.person == person:  # another paper of the same days says otherwise
                continue
            paper = Text(f"（{absence.document}）", f" ({absence.document})") if absence.document else Text("", "")
            if acting.person is None:
                text = Text(f"请假{paper.zh}，无人代理", f"on leave{paper.en}, nobody stands in")
                yield Shortcoming(Lack.AWAY, text, begins)
            elif self._is_deaf(acting.person):
                text = Text(
                    f"请假{paper.zh}，代理人 {acting.person} 也通知不到",
                    f"on leave{paper.en}, and {acting.person}, who stands in, cannot be told either",
                )
                yield Shortcoming(Lack.SUBSTITUTE, text, begins)
            else:
                text = Text(
                    f"请假{paper.zh}，由 {acting.person} 代理", f"on leave{paper.en}, {acting.person} stands in"
                )
                yield Shortcoming(Lack.STOOD_IN, text, begins)

    def _is_deaf(self, person: str) -> bool:
        official = self._directory.officials.get(person)
        return official is None or not official.active or not _usable(official, self._kinds)

    def _post_ends(self, seat: Seat) -> Shortcoming | None:
        """His post ends in that time, and at its end nobody else holds it."""
        there = self._posts.get((seat.unit or "", seat.role), [])
        his = [post for post in there if post.official == seat.person and post.to_at is not None]
        ends = max((post.to_at for post in his if post.to_at is not None and _holds(post, self._since)), default=None)
        if ends is None or ends > self._until or any(_holds(post, ends) for post in there):
            return None
        title = role_title(seat.role)
        text = Text(f"{title.zh}任职到期，无人接任", f"his post as {title.en} ends and nobody follows")
        return Shortcoming(Lack.POST_ENDS, text, ends)

    def _unit_of(self, person: str | None) -> str | None:
        official = self._directory.officials.get(person or "")
        return official.unit if official else None


def _roles_ahead(one: Exposed, since: datetime, until: datetime) -> Iterator[str]:
    """The roles the ladder speaks to in that time."""
    limit = next((limit for limit in one.policy.limits if limit.id == one.obligation.limit), None)
    ladder = one.policy.ladders.get(limit.ladder) if limit else None
    if ladder is None:
        return
    speaks = False
    for rung in timeline(ladder, one.obligation, one.case.milestones, one.calendar):
        if since < rung.at <= until:
            speaks = True
            yield from rung.otherwise or (*rung.step.to, *rung.step.cc)
        rule = rung.step.acknowledge
        if rule is not None and rule.then is not None and rung.at <= until:  # signed for any time, due some time after
            yield from rule.then.otherwise
    if speaks and one.first_handler is not None and one.policy.first_handler.stays_informed is not None:
        yield FIRST_HANDLER


def _is_top(seat: Seat, policy: Policy) -> bool:
    """Whether nobody need be above: the last of the chain, or a role beside it."""
    rank = rank_of(seat.role, policy)
    return rank == len(policy.chain) - 1 or (rank < 0 and seat.role not in PERSONAL)


def _holds(post: Post, at: datetime) -> bool:
    return (post.from_at is None or post.from_at <= at) and (post.to_at is None or at < post.to_at)


def _usable(official: Official, kinds: Collection[str]) -> Sequence[str]:
    return sorted(kind for kind in kinds if official.addresses.get(kind))


def _addresses(official: Official, kinds: Collection[str]) -> Iterator[Shortcoming]:
    there = _usable(official, kinds)
    names = {kind: KIND_TITLES.get(kind, Text(kind, kind)) for kind in kinds}
    if not there:
        zh, en = "、".join(names[k].zh for k in sorted(kinds)), ", ".join(names[k].en for k in sorted(kinds))
        yield Shortcoming(Lack.NO_ADDRESS, Text(f"没有可用的{zh}", f"no usable {en}"))
        return
    for kind in there:
        if not _is_plausible(kind, official.addresses[kind]):
            yield Shortcoming(Lack.IMPLAUSIBLE, Text(f"{names[kind].zh}不像真的", f"the {names[kind].en} looks wrong"))
    missing = sorted(set(kinds) - set(there))
    if missing:
        zh, en = "、".join(names[k].zh for k in missing), ", ".join(names[k].en for k in missing)
        yield Shortcoming(Lack.ONE_ADDRESS, Text(f"没有{zh}", f"no {en}"))


KIND_TITLES: Mapping[str, Text] = {
    "sms": Text("手机号", "mobile"),
    "email": Text("邮箱", "mailbox"),
    "wecom": Text("企业微信账号", "WeCom user id"),
    "dingtalk": Text("钉钉账号", "DingTalk user id"),
    "feishu": Text("飞书账号", "Feishu user id"),
}


def _is_plausible(kind: str, address: str) -> bool:
    if kind == "email":
        return MAIL_ADDRESS.fullmatch(address) is not None
    if kind != "sms":
        return True
    known = CHINESE_MOBILE if address.startswith(("+86", "1")) and len(address) in {11, 14} else MOBILE
    return known.fullmatch(address) is not None and not INVENTED.fullmatch(address)
