"""`tests:` of a policy file -> `Trial`: a case as it changes, until when we look, and what must be sent.

Times are wall-clock times of the office's zone. What `case` says becomes known as it happens: each milestone, transfer,
extension and pause at its own instant, limits that somebody set (`limit_at` …) and everything else from the beginning.
What an entry of `changes` says is known from that entry's `at` on, whatever instants it names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from policies.complaints import Mistake, expected_found, shown
from policies.language.words import (
    Channel,
    LimitName,
    Misplaced,
    Names,
    Part,
    Role,
    Sentence,
    Words,
    items,
    names_in,
    refuse_at,
    refuse_unknown,
)
from policies.limits.instances import instance_named
from policies.model import Case, Expected, Extension, Movement, Pause, Transfer, Trial
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

from policies.language.facts import (
    PLAIN_FACTS,
    ChangePart,
    ClockText,
    DayText,
    ExtensionPart,
    FactsPart,
    KeyText,
    PausedPart,
    TransferPart,
    lies_ahead,
    read_fact,
)

NOTHING = "nothing"  # `expect: nothing`: no message at all
ADMINISTRATOR = "administrator"
OWN_STEPS = ("review", "shirking", "handback")  # what is said without a step of the ladder


# --- what is expected -----------------------------------------------------------------------------------------


class ExpectPart(Part):
    """应发的一条 / one message that must be sent."""

    at: ClockText = Field(description="哪一天，或哪一分钟 / on which day, or at which minute")
    step: str = Field(description="哪一级（梯级的 id）/ which step", examples=["due-3wd", "assigned.unacknowledged"])
    to: KeyText | None = Field(default=None, description="发给谁：角色或人 / a role or a person")
    limit: LimitName | None = Field(default=None, description="哪个时限 / which limit")
    channel: Channel | None = Field(default=None, description="哪个通道 / which channel")

    def value(self, zone: ZoneInfo) -> Expected:
        """The message of the model."""
        return Expected(self.at.instant(zone), self.step, self.to, self.limit, self.channel, self.at.at is None)

    @model_validator(mode="after")
    def _step_is_known(self, info: ValidationInfo) -> ExpectPart:
        names = names_in(info)
        limits = names.steps if self.limit is None else {self.limit: names.steps.get(self.limit)}
        ids: set[str] = set()
        for steps in limits.values():
            if steps is None:
                return self
            ids |= steps
        if not any(self.step == one or self.step.startswith(f"{one}.") for one in (*ids, *OWN_STEPS)):
            try:
                refuse_unknown(self.step, ids, "梯级", "step")
            except Mistake as mistake:
                refuse_at([(("step",), mistake)])
        return self


def _expected(value: object) -> object:
    """`nothing` is an empty list; an empty list is a slip."""
    if value == NOTHING:
        return []
    if value == []:
        raise Mistake(
            Text("不能为空；什么都不该发的，写 nothing", "must not be empty; if nothing may be sent, write nothing")
        )
    if not isinstance(value, list | dict):
        expected = Text("列表，或 nothing（什么都不发）", "a list, or nothing (no message at all)")
        raise Mistake(expected_found(expected, value))
    return items(cast("object", value))


_ExpectWritten = Literal["nothing"] | Annotated[list[ExpectPart], Field(min_length=1)] | ExpectPart
_Expectations = Annotated[list[ExpectPart], BeforeValidator(_expected, json_schema_input_type=_ExpectWritten)]


def _clock_name(word: str, info: ValidationInfo) -> str:
    """A limit, or one of its clocks: `notify.2`."""
    limits = names_in(info).limits
    if instance_named(word, limits) is None:
        limit, dot, _ = word.partition(".")
        if not dot or limit not in limits:
            refuse_unknown(limit if instance_named(word, (limit,)) else word, limits, "时限", "limit")
        found = shown(word)
        zh = f"时限名后面应写第几个的数字，如 {limit}.2，实为{found.zh}"
        raise Mistake(Text(zh, f"expected a number after the limit's name, as in {limit}.2, found {found.en}"))
    return word


ClockName = Annotated[str, AfterValidator(_clock_name)]


class TrialPart(Part):
    """一个测试 / a case as it changes, and what is expected of it."""

    name: Sentence = Field(description="名称 / its name", examples=["国庆前收到，节后到期"])
    case: FactsPart = Field(description="案件开始时的情况 / the case as it begins")
    changes: Annotated[list[ChangePart], Field(min_length=1)] | None = Field(
        default=None, description="以后的变化，按时间先后 / changes, in time"
    )
    until: ClockText = Field(description="看到何时为止（含当天）/ until when, that day included")
    due: dict[ClockName, DayText] = Field(
        default={},
        description="各时限应在哪天到期；第二个承办单位、第二次的写 notify.2 / on which day limits must end",
        examples=[{"finish": "2026-10-08", "notify.2": "2026-10-16"}],
    )
    expect: _Expectations | None = Field(
        default=None,
        description="应发的消息，多发少发都不行；nothing 什么都不发；不写不比较 / the messages that must be sent",
        json_schema_extra={"examples": [NOTHING]},
    )
    vacant: Words[Role] = Field(default=[], description="空缺的岗位（角色）/ vacant roles", examples=["section_head"])

    @model_validator(mode="after")
    def _in_time(self, info: ValidationInfo) -> TrialPart:
        names = names_in(info)
        refuse_at([*_that_cannot_fail(self), *_out_of_time(self, names), *_unknown_persons(self, names)])
        return self

    def value(self, index: int, policy: str, names: Names) -> Trial:
        """The trial of the model; `index` is its place in the file."""
        zone = names.known.zone
        return Trial(
            name=self.name,
            policy=policy,
            facts=_facts(self, f"T{index + 1}", names),
            until=self.until.instant(zone, end_of_day=True),
            expects=tuple(one.value(zone) for one in self.expect or ()),
            dues=self.due,
            absent=tuple(self.vacant),
            silent=self.expect == [],
            index=index,
        )


def _that_cannot_fail(trial: TrialPart) -> Iterator[Misplaced]:
    if not trial.due and trial.expect is None:
        text = Text(
            "due 和 expect 至少写一项，否则什么都不比较，永远通过",
            "write due or expect: otherwise nothing is compared and it always passes",
        )
        yield ("expect",), Mistake(text)


_DISORDER = Text("应按时间先后写，这一项早于前一项", "must be in order of time; this is before the one above")


def _out_of_time(trial: TrialPart, names: Names) -> Iterator[Misplaced]:
    """What could never be seen: no beginning, changes in disorder or after the end, messages outside."""
    begin, zone = _begin(trial, names), names.known.zone
    if begin is None:
        yield ("case",), Mistake(Text("至少要有一个节点时间，如 arrived_at", "needs a milestone such as arrived_at"))
        return
    end = trial.until.instant(zone, end_of_day=True)
    changes = trial.changes or []
    if end < begin:
        yield ("until",), Mistake(Text("应晚于案件开始的时间", "must be after the case begins"))
        return
    for index, (one, next_one) in enumerate(pairwise(changes)):
        if next_one.at.instant(zone) < one.at.instant(zone):
            yield ("changes", index + 1, "at"), Mistake(_DISORDER)
    outside = Text("应在案件开始和 until 之间，否则看不到", "must lie between the beginning of the case and until")
    for index, change in enumerate(changes):
        if not begin <= change.at.instant(zone) <= end:
            yield ("changes", index, "at"), Mistake(outside)
    for index, wanted in enumerate(trial.expect or []):
        at = wanted.at
        if not begin <= at.instant(zone, end_of_day=at.at is None) or at.instant(zone) > end:
            yield ("expect", index, "at"), Mistake(outside)


def _unknown_persons(trial: TrialPart, names: Names) -> Iterator[Misplaced]:
    """A message goes to a role or to somebody the trial names."""
    known = {*names.roles, *names.persons, ADMINISTRATOR}
    for part in (trial.case, *(trial.changes or [])):
        leaders = (str(part.others().get(field, "")) for field in names.named.values())
        moved = (move.to_official for move in part.transfers)
        known |= {person for person in (part.handler, *leaders, *moved) if person}
    for index, one in enumerate(trial.expect or []):
        role = (one.to or ADMINISTRATOR).partition("·")[0].partition("@")[0]
        if one.to not in known and role not in known:
            try:
                refuse_unknown(one.to or "", known, "角色或人", "role or person")
            except Mistake as mistake:
                yield ("expect", index, "to"), mistake


# --- the case as it changes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """From `at` on the case is what `change` makes of it."""

    at: datetime
    change: Callable[[Case], Case]


def _facts(trial: TrialPart, key: str, names: Names) -> tuple[tuple[datetime, Case], ...]:
    begin = _begin(trial, names)
    if begin is None:
        raise AssertionError(trial.name)  # refused while checking
    until = trial.until.instant(names.known.zone, end_of_day=True)
    said = [*_as_it_happens(trial.case, begin, names)]
    for change in trial.changes or []:
        at = change.at.instant(names.known.zone)
        said += [_Said(at, _told(change, names)), *(_Said(at, line) for _, line in _lines(change, names))]
    case = Case(key)
    facts: dict[datetime, Case] = {}
    for one in sorted(said, key=lambda each: each.at):
        case = one.change(case)
        if one.at <= until:
            facts[one.at] = case
    return tuple(facts.items())


def _begin(trial: TrialPart, names: Names) -> datetime | None:
    """The first instant the case is heard of: its first milestone, or else the first change."""
    happened = [at for name, at in _instants(trial.case, names) if not lies_ahead(name, names)]
    changed = [change.at.instant(names.known.zone) for change in trial.changes or []]
    return min(happened, default=min(changed, default=None))


def _instants(part: FactsPart, names: Names) -> Iterator[tuple[str, datetime]]:
    for name, value in part.others().items():
        fact = read_fact(name, value, names)
        if isinstance(fact, tuple):
            yield from ((name, at) for at in fact)


def _as_it_happens(part: FactsPart, begin: datetime, names: Names) -> Iterator[_Said]:
    yield _Said(begin, _told(part, names, skip=lambda name: not lies_ahead(name, names)))
    for name, at in _instants(part, names):
        if not lies_ahead(name, names):
            yield _Said(at, _reached(name, at))
    for at, line in _lines(part, names):
        yield _Said(max(at, begin), line)


def _reached(name: str, at: datetime) -> Callable[[Case], Case]:
    """One more instant of a milestone."""

    def change(case: Case) -> Case:
        before = case.series.get(name, (case.milestones[name],) if name in case.milestones else ())
        series = {**case.series, name: (*before, at)} if before else case.series
        return replace(case, milestones={**case.milestones, name: at}, series=series)

    return change


def _told(part: FactsPart, names: Names, skip: Callable[[str], bool] = lambda _: False) -> Callable[[Case], Case]:
    """Everything the part says but its lines; `skip` names milestones to be left out."""
    plain = {name: getattr(part, name) for name in PLAIN_FACTS if name in part.model_fields_set}
    if "recused" in plain:
        plain["recused"] = tuple(part.recused)

    def change(case: Case) -> Case:
        milestones, series, fields = dict(case.milestones), dict(case.series), dict(case.fields)
        for name, value in part.others().items():
            fact = read_fact(name, value, names)
            if not isinstance(fact, tuple):
                fields[name] = fact
            elif not skip(name):
                milestones.pop(name, None)
                series.pop(name, None)
                if fact:
                    milestones[name] = fact[-1]
                if len(fact) > 1:
                    series[name] = fact
        return replace(case, milestones=milestones, series=series, fields=fields, **plain)

    return change


def _lines(part: FactsPart, names: Names) -> Iterator[tuple[datetime, Callable[[Case], Case]]]:
    """Each transfer, extension and pause with the instant it happened."""
    written = part.model_fields_set
    for move in part.transfers:
        follow = not (isinstance(part, ChangePart) and written & {"unit", "handler"})
        yield move.at.instant(names.known.zone), _moved(move, names.known.zone, follow=follow)
    for extension in part.extensions:
        yield extension.at.instant(names.known.zone), _extended(extension, names.known.zone)
    for pause in part.pauses:
        yield pause.at.instant(names.known.zone), _paused(pause, names.known.zone)


def _moved(part: TransferPart, zone: ZoneInfo, *, follow: bool) -> Callable[[Case], Case]:
    """A movement; the present unit and handler follow it unless the same change names them."""

    def change(case: Case) -> Case:
        move = part.value(_seq(part.seq, case.transfers), zone)
        moved = replace(case, transfers=_with(case.transfers, move))
        if follow and move.kind in (Movement.HAND_OVER, Movement.RETURN) and move.to_unit is not None:
            return replace(moved, unit=move.to_unit, handler=move.to_official)
        return moved

    return change


def _extended(part: ExtensionPart, zone: ZoneInfo) -> Callable[[Case], Case]:
    return lambda case: replace(
        case, extensions=_with(case.extensions, part.value(_seq(part.seq, case.extensions), zone))
    )


def _paused(part: PausedPart, zone: ZoneInfo) -> Callable[[Case], Case]:
    return lambda case: replace(case, pauses=_with(case.pauses, part.value(_seq(part.seq, case.pauses), zone)))


def _seq(written: int | None, lines: Sequence[Transfer | Extension | Pause]) -> int:
    return written if written is not None else max((line.seq for line in lines), default=0) + 1


_Line = TypeVar("_Line", bound=Transfer | Extension | Pause)


def _with(lines: tuple[_Line, ...], line: _Line) -> tuple[_Line, ...]:
    """The lines with one more; a line of the same number is replaced (a pause that ends)."""
    others = [one for one in lines if one.seq != line.seq]
    return tuple(sorted([*others, line], key=lambda one: one.seq))
