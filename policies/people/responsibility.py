"""Who was answerable for a case at an instant (首办责任制): first handler, holder, co-handlers, leaders over them.

Nothing here changes by a later hand-over: the first handler is the one on record, and whoever held the case when a
delay arose answers for that delay (信访工作条例第四十五条). What each is answerable for, and where it is written:

* first handler: 首办责任; leads where several units are involved (最高检首办责任制实施办法第三条,
  山东省信访条例第三十七条, 北京市接诉即办工作条例第十四条);
* holder: handles it and answers for delay that arises then (信访工作条例第四十五条);
* leaders: 领导责任 (信访工作责任制实施办法第十一条; for procuratorates also 首办责任制实施办法第三条第二款).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.model import Why
from policies.people.holding import holder_at, holdings
from policies.people.seats import named_by
from policies.people.ways import FUNCTIONAL, way_of
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from policies.model import Case, Directory, FirstHandler, Obligation, Plan, Policy, Post
    from policies.people.holding import Holding

_PERSONS = frozenset({"first_handler", "handler"})


class Part(StrEnum):
    """In what quality somebody is named."""

    FIRST = "first"
    HOLDER = "holder"
    HELPER = "helper"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Somebody who bore a part of it: since when, by which document, and why, in a sentence with the source.

    `role` is the post of a leader, empty for the others. `answerable` is true for those who answer for what happens at
    that instant; a co-handler answers to the first handler only.
    """

    part: Part
    unit: str | None
    official: str | None
    text: Text
    role: str = ""
    since: datetime | None = None
    document: str | None = None
    approved_by: str | None = None
    answerable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Who was answerable at `at`. `first` is None before the case was taken up, `holder` while nobody had it."""

    case_key: str
    at: datetime
    first: Bearer | None
    holder: Bearer | None
    helpers: tuple[Bearer, ...]
    leaders: tuple[Bearer, ...]

    @property
    def bearers(self) -> tuple[Bearer, ...]:
        """All of them, the first handler first."""
        there = (one for one in (self.first, self.holder) if one is not None)
        return (*there, *self.helpers, *self.leaders)

    @property
    def answerable(self) -> tuple[Bearer, ...]:
        """Those who answer for what happens at that instant."""
        return tuple(one for one in self.bearers if one.answerable)


def who(case: Case, first_handler: FirstHandler | None, directory: Directory, policy: Policy, at: datetime) -> Answer:
    """Who was answerable for the case at that instant; `directory` is the one known then, not today's."""
    held = holder_at(case, at)
    first = None if first_handler is None or at < first_handler.frozen_at else _first(first_handler, case, held)
    helpers = tuple(
        _helper(one)
        for one in holdings(case)
        if not one.lead and one.covers(at) and (not held or one.unit != held.unit)
    )
    return Answer(
        case_key=case.key,
        at=at,
        first=first,
        holder=None if held is None else _holder(held),
        helpers=helpers,
        leaders=leaders_over(None if held is None else held.unit, case, directory, policy, at),
    )


def leaders_over(
    unit: str | None, case: Case, directory: Directory, policy: Policy, at: datetime
) -> tuple[Bearer, ...]:
    """Who held the posts of the policy's chain above that unit at that instant, the nearest of each post.

    Where the case itself names the leader (包案领导), it is he and no post.
    """
    legs = dict.fromkeys((FUNCTIONAL, *policy.legs))
    ways = [way_of(leg, policy, case, unit, directory, at).units for leg in legs]
    found: dict[tuple[str, str], Bearer] = {}
    for way in ways:
        for role in policy.chain:
            person = named_by(role, policy, case)
            if person is not None:
                found.setdefault((role, person), _named_leader(role, person, directory))
                continue
            post = None if role in _PERSONS else _nearest(role, way, directory, at)
            if post is not None:
                found.setdefault((role, post.official), _leader(post))
    return tuple(found.values())


# --- limits that passed ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lapse:
    """One limit passed, and who answers for it: as things stood when it passed, not when that was noticed.

    `due` is `legal` or `platform`; `at` the last instant that would have been on time.
    """

    due: str
    at: datetime
    unit: str | None
    official: str | None
    first_unit: str | None
    first_official: str | None
    leaders: tuple[Bearer, ...]


def lapses(
    obligation: Obligation,
    plan: Plan,
    case: Case,
    first_handler: FirstHandler | None,
    policy: Policy,
    directory_at: Callable[[datetime], Directory],
) -> tuple[Lapse, ...]:
    """The limits whose passing this plan found out, each attributed at the instant it passed."""
    whys = {reason.why for reason in plan.reasons}
    passed: list[tuple[str, datetime]] = []
    if Why.BREACH in whys:
        passed.append(("legal", obligation.legal_due_at))
    if Why.PLATFORM_BREACH in whys and obligation.platform_due_at is not None:
        passed.append(("platform", obligation.platform_due_at))
    return tuple(_lapse(due, at, obligation, case, first_handler, policy, directory_at(at)) for due, at in passed)


def _lapse(
    due: str,
    at: datetime,
    obligation: Obligation,
    case: Case,
    first_handler: FirstHandler | None,
    policy: Policy,
    directory: Directory,
) -> Lapse:
    held = holder_at(case, at)
    unit, official = (held.unit, held.official) if held else (None, None)
    if obligation.holder_unit is not None:  # his own clock ran out, whoever has the case by now
        official = obligation.holder_official or (official if unit == obligation.holder_unit else None)
        unit = obligation.holder_unit
    return Lapse(
        due=due,
        at=at,
        unit=unit,
        official=official,
        first_unit=first_handler.unit if first_handler else None,
        first_official=first_handler.official if first_handler else None,
        leaders=leaders_over(unit, case, directory, policy, at),
    )


# --- sentences ---------------------------------------------------------------------------------------------------


def _first(first: FirstHandler, case: Case, held: Holding | None) -> Bearer:
    begun = next((one for one in holdings(case) if one.lead and one.covers(first.frozen_at)), None)
    text = Text("首办责任人，责任不因转办改变", "first handler; no hand-over changes that")
    if held is not None and held.unit not in {None, first.unit}:
        text = Text(
            "首办责任人，转办后仍负首办责任，几个单位共同办理时由其牵头（参照北京市接诉即办工作条例第十四条）",
            "first handler; keeps that responsibility after the hand-over and leads where several units are involved "
            "(cf. 北京市接诉即办工作条例, art. 14)",
        )
    document = None if begun is None or begun.unit != first.unit else begun.document
    return Bearer(Part.FIRST, first.unit, first.official, text, since=first.frozen_at, document=document)


def _holder(held: Holding) -> Bearer:
    text = Text(
        "当时承办，此时产生的延误由其负直接责任（信访工作条例第四十五条）",
        "held the case then; answers directly for delay that arose then (信访工作条例, art. 45)",
    )
    return _bearer(Part.HOLDER, held, text)


def _helper(held: Holding) -> Bearer:
    text = Text(
        "协办，向首办单位反馈办理结果（参照北京市接诉即办工作条例第十四条）",
        "co-handler; delivers the result to the first handler (cf. 北京市接诉即办工作条例, art. 14)",
    )
    return _bearer(Part.HELPER, held, text, answerable=False)


def _bearer(part: Part, held: Holding, text: Text, *, answerable: bool = True) -> Bearer:
    return Bearer(
        part=part,
        unit=held.unit,
        official=held.official,
        text=text,
        since=held.from_at,
        document=held.document,
        approved_by=held.approved_by,
        answerable=answerable,
    )


def _leader(post: Post) -> Bearer:
    text = Text(
        "当时在任，负领导责任（信访工作责任制实施办法第十一条）",
        "in office then; answers as a leader (信访工作责任制实施办法, art. 11)",
    )
    return Bearer(Part.LEADER, post.unit, post.official, text, role=post.role, since=post.from_at)


def _named_leader(role: str, person: str, directory: Directory) -> Bearer:
    text = Text("案件写明的领导，负领导责任", "the leader the case names; answers as a leader")
    official = directory.officials.get(person)
    return Bearer(Part.LEADER, official.unit if official else None, person, text, role=role)


# --- the chain, as it was ----------------------------------------------------------------------------------------


def _nearest(role: str, way: tuple[str, ...], directory: Directory, at: datetime) -> Post | None:
    return next((post for unit in way for post in _held(role, unit, directory, at)), None)


def _held(role: str, unit: str, directory: Directory, at: datetime) -> Iterator[Post]:
    """Those who held the post then, the last one to come first."""
    there = (post for post in directory.posts if (post.unit, post.role) == (unit, role))
    valid = [p for p in there if (p.from_at is None or p.from_at <= at) and (p.to_at is None or at < p.to_at)]
    yield from sorted(valid, key=_seniority)


def _seniority(post: Post) -> tuple[bool, float, str]:
    return post.from_at is None, 0.0 if post.from_at is None else -post.from_at.timestamp(), post.official
