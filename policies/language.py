"""The administrator's language: parsed YAML -> `PolicySet`, with every mistake of every file at once.

The schema is the set of models below; `policy_schema` publishes it for editors. Names that stand for something
elsewhere (a ladder, a role, a milestone, a template) are looked up while the schema is checked, so that a wrong
name and a wrong shape come in one list.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import core_schema

from policies.complaints import Mistake, expected_found, problems_of, shown
from policies.duration import Duration, Moment, Unit, parse_duration, parse_moment
from policies.errors import PolicyError, Problem
from policies.model import (
    Acknowledge,
    Bound,
    Condition,
    Cutoff,
    ExtensionBase,
    ExtensionRule,
    FirstHandlerRule,
    Ladder,
    Lights,
    Limit,
    Policy,
    PolicySet,
    Repeat,
    Roll,
    Scalar,
    Step,
    Via,
)
from policies.spelling import suggestion
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

    from policies.errors import KeyPath

# role -> what an office calls it. A policy may add its own under `roles:`.
ROLES: dict[str, str] = {
    "first_handler": "首办责任人",
    "handler": "承办人",
    "section_head": "科室负责人",
    "deputy_leader": "分管领导",
    "principal": "主要负责人",
    "inspector": "督查专员",
    "dispatcher": "转办人员",
}
ANCHORS = ("start", "due")
UNSET = "unset"  # `within: unset`: the law gives no number, the office must set one before it enables the limit
MOST_REPEATS = 100


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What the rest of the configuration offers to policies; None means: not known here, do not check."""

    milestones: Collection[str] | None = None
    fields: Collection[str] | None = None
    says: Collection[str] | None = None
    calendars: Collection[str] | None = None
    kinds: tuple[str, ...] = ("sms", "email")
    roles: Collection[str] = ()


def parse_policies(trees: Mapping[str, object], known: KnownNames | None = None) -> PolicySet:
    """Turn the trees of all policy files, by file name, into the policies in force.

    Raises:
        PolicyError: with every mistake of every file; each path begins with the file's name.
    """
    names = known or KnownNames()
    problems: list[Problem] = []
    files: dict[str, _PolicyFile] = {}
    for name in sorted(trees):
        parsed = _parse(name, trees[name], names, problems)
        if parsed is not None:
            files[name] = parsed
    problems += _policies_named_twice(trees)
    if problems:
        raise PolicyError(tuple(problems))
    policies = {file.policy: file.value(names) for file in files.values()}
    return PolicySet(policy_version(trees), policies)


def policy_version(trees: Mapping[str, object]) -> str:
    """SHA-256 over what all files say, whatever their names, comments and order of keys; people see 12 digits."""
    canonical = sorted(json.dumps(tree, ensure_ascii=False, sort_keys=True, default=str) for tree in trees.values())
    return hashlib.sha256("\n".join(canonical).encode()).hexdigest()


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of one policy file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_PolicyFile.model_json_schema(),
        "title": "duban policy (督办策略)",
    }


# --- words and their checks ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Names:
    """The names one file may use: what the configuration offers and what the file itself defines."""

    known: KnownNames
    ladders: frozenset[str]
    roles: frozenset[str]


def _context(info: ValidationInfo) -> _Names:
    return cast("_Names", info.context)


def _known(zh: str, en: str, names: Callable[[_Names], Collection[str] | None]) -> Callable[[str, ValidationInfo], str]:
    """A check that a word is one of the names of its kind; anything goes where they are not known."""

    def check(word: str, info: ValidationInfo) -> str:
        known = names(_context(info))
        if known is None or word in known:
            return word
        hint = suggestion(word, known)
        if hint is None and known:
            hint = Text(f"可写的有：{'、'.join(sorted(known))}", f"known are: {', '.join(sorted(known))}")
        found = shown(word)
        raise Mistake(Text(f"没有名为{found.zh}的{zh}", f"there is no {en} named {found.en}"), hint)

    return check


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


class _OneOrMore:
    """One value may be written without brackets."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:  # noqa: ANN401
        return core_schema.no_info_before_validator_function(_items, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


_T = TypeVar("_T")
_Words = Annotated[list[_T], Field(min_length=1), _OneOrMore()]

_NAME = re.compile(r"\w[\w.-]{0,63}")


def _plain_name(word: str) -> str:
    if _NAME.fullmatch(word):
        return word
    found = shown(word)
    raise Mistake(
        Text(
            f"名称应由字母、数字、汉字、“_”“-”“.”组成，不超过 64 个字，实为{found.zh}",
            f"expected a name of letters, digits, _ - and . (at most 64), found {found.en}",
        )
    )


def _length(value: object) -> Duration:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Mistake(expected_found(Text("时间长度，如 15 日", "a length such as 15 days"), value))
    length = parse_duration(str(value))
    if length.amount < 0:
        raise Mistake(Text(f"时间长度不能为负，实为“{value}”", f'a length must not be negative, found "{value}"'))
    return length


def _positive_length(value: object) -> Duration:
    length = _length(value)
    if length.amount == 0:
        raise Mistake(Text(f"时间长度应大于零，实为“{value}”", f'a length must be more than zero, found "{value}"'))
    return length


def _limit_length(value: object, info: ValidationInfo) -> Duration:
    if value != UNSET:
        return _positive_length(value)
    if info.data.get("enabled", False):
        raise Mistake(
            Text(
                "启用的时限必须写明长度，实为“unset”；法规没有数字的，由本单位定，或写 enabled: false",
                'an enabled limit needs a length, found "unset": set it locally, or write enabled: false',
            )
        )
    return Duration(Fraction(0), Unit.HOUR)


def _moment(value: object) -> Moment:
    expected = Text("时刻，如 due - 3 工作日 09:00", "a moment such as due - 3 workdays 09:00")
    if not isinstance(value, str):
        raise Mistake(expected_found(expected, value))
    moment = parse_moment(value)
    if moment.anchor not in ANCHORS:
        found = shown(moment.anchor)
        raise Mistake(
            Text(f"时刻应从 start 或 due 算起，实为{found.zh}", f"a moment counts from start or due, found {found.en}"),
            suggestion(moment.anchor, ANCHORS),
        )
    if moment.anchor == "start" and moment.offset is not None and moment.offset.amount < 0:
        raise Mistake(
            Text(f"梯级不能早于起算（start），实为“{value}”", f'a step cannot come before start, found "{value}"')
        )
    return moment


_EVERY = re.compile(
    r"(?:every|每)\s*(?P<every>.+?)[,，]?\s*(?:up to|at most|最多|至多)\s*(?P<times>\d+)\s*(?:times?|次)",
    re.IGNORECASE,
)


def _repeat_text(value: object) -> object:
    """`every 5 工作日 up to 6 times` and `每 5 工作日，最多 6 次` as the mapping they stand for."""
    if not isinstance(value, str):
        return value
    found = _EVERY.fullmatch(value.strip())
    if found is None:
        expected = Text(
            "“每 5 工作日，最多 6 次”或 {every: 5 工作日, times: 6}",
            '"every 5 workdays up to 6 times" or {every: 5 workdays, times: 6}',
        )
        raise Mistake(expected_found(expected, value))
    return {"every": found["every"].strip(), "times": int(found["times"])}


class _RepeatText:
    """A repeat may be written as one sentence."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:  # noqa: ANN401
        return core_schema.no_info_before_validator_function(_repeat_text, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string", "examples": ["每 5 工作日，最多 6 次"]}]}


def _values(value: object) -> tuple[tuple[Scalar, ...], bool]:
    """`求决`, `[省, 市]` or `{not: …}`: the values, and whether they are excluded.

    Only in a list does `null` mean a field without a value; `kind:` with nothing behind it is a slip.
    """
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if set(entries) != {"not"}:
            wrong = next((key for key in entries if key != "not"), "")
            expected = Text(" {not: 值}", "{not: value}")
            message = expected_found(expected, wrong or entries)
            raise Mistake(message, suggestion(wrong, ["not"]))
        values, negated = _values(entries["not"])
        if negated:
            raise Mistake(Text("“not”里不能再写“not”", '"not" cannot stand inside "not"'))
        return values, True
    items = _items(value)
    expected = Text("一个值、列表或 {not: 值}", "a value, a list or {not: value}")
    if not items:
        raise Mistake(expected_found(expected, value))
    for item in items:
        if not isinstance(item, str | int | float | bool) and not (item is None and isinstance(value, list)):
            raise Mistake(expected_found(expected, item))
    return tuple(cast("list[Scalar]", items)), False


_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}
_SCALAR_OR_NULL = {"type": ["string", "number", "boolean", "null"]}
_VALUES_SCHEMA = {"anyOf": [_SCALAR_SCHEMA, {"type": "array", "items": _SCALAR_OR_NULL, "minItems": 1}]}

_LENGTH_SCHEMA = WithJsonSchema({"type": "string", "examples": ["15 日", "5 工作日", "3 月", "24 小时", "4 工作小时"]})
_Length = Annotated[Duration, PlainValidator(_length), _LENGTH_SCHEMA]
_PositiveLength = Annotated[Duration, PlainValidator(_positive_length), _LENGTH_SCHEMA]
_LimitLength = Annotated[Duration, PlainValidator(_limit_length), _LENGTH_SCHEMA]
_MomentText = Annotated[
    Moment,
    PlainValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["start", "due - 3 工作日 09:00", "due + 1 工作日 09:00"]}),
]
_Values = Annotated[
    tuple[tuple[Scalar, ...], bool],
    PlainValidator(_values),
    WithJsonSchema(
        {
            "anyOf": [
                *_VALUES_SCHEMA["anyOf"],
                {
                    "type": "object",
                    "properties": {"not": _VALUES_SCHEMA},
                    "required": ["not"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
_Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Name = Annotated[str, AfterValidator(_plain_name)]
_Role = Annotated[str, AfterValidator(_known("角色", "role", lambda names: names.roles))]


def _known_milestone(word: str, info: ValidationInfo) -> str:
    """A limit that is switched off may name milestones this office does not have."""
    return word if info.data.get("enabled") is False else _check_milestone(word, info)


_check_milestone = _known("节点时间", "milestone", lambda names: names.known.milestones)
_Milestone = Annotated[_Name, AfterValidator(_known_milestone)]
_FieldName = Annotated[_Name, AfterValidator(_known("案件字段", "case field", lambda names: names.known.fields))]
_LadderName = Annotated[str, AfterValidator(_known("阶梯", "ladder", lambda names: names.ladders))]
_Say = Annotated[_Name, AfterValidator(_known("消息模板", "message template", lambda names: names.known.says))]
_Kind = Annotated[str, AfterValidator(_known("渠道类别", "kind of channel", lambda names: names.known.kinds))]
_Calendar = Annotated[str, AfterValidator(_known("日历", "calendar", lambda names: names.known.calendars))]
_Conditions = dict[_FieldName, _Values]


def _conditions(written: Mapping[str, tuple[tuple[Scalar, ...], bool]]) -> tuple[Condition, ...]:
    return tuple(Condition(name, values, negate) for name, (values, negate) in written.items())


# --- the schema ---------------------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class _FirstHandlerPart(_Part):
    """首办责任人: when he is fixed, how long he stays informed."""

    freeze_at: _Words[_Milestone] = Field(default=["accepted_at"], validate_default=True)
    stays_informed: Literal["green", "yellow", "orange", "red"] | None = None
    handbacks_allowed: Annotated[int, Field(ge=0, le=100)] | None = None

    def value(self) -> FirstHandlerRule:
        return FirstHandlerRule(tuple(self.freeze_at), self.stays_informed, self.handbacks_allowed)


class _ExtensionPart(_Part):
    """延期: how far, by whom, counted from which end."""

    up_to: _PositiveLength
    approved_by: _Words[_Role] | None = None
    counted_from: Literal["nominal", "rolled"] = Field(default="nominal", alias="from")
    petitioner_told: bool = True

    def value(self) -> ExtensionRule:
        return ExtensionRule(
            self.up_to, tuple(self.approved_by or ()), ExtensionBase(self.counted_from), self.petitioner_told
        )


class _LimitPart(_Part):
    """时限规定: from which milestone, how long, until which milestone."""

    enabled: bool = True  # before `within`, which looks at it
    title: _Sentence
    basis: str = ""
    start: _Words[_Milestone]
    within: _LimitLength
    done: _Words[_Milestone]
    ladder: _LadderName
    roll: Literal["none", "next_workday", "next_workday_and_long_holidays"] = "next_workday"
    cutoff: Literal["24:00", "office"] = "24:00"
    calendar: _Calendar = ""
    extension: _ExtensionPart | None = None
    platform_due: _Milestone | None = None
    excludes: _Words[_Sentence] | None = None
    applies_to: _Conditions = {}

    def value(self, name: str) -> Limit:
        return Limit(
            id=name,
            title=self.title,
            start=tuple(self.start),
            within=self.within,
            done=tuple(self.done),
            ladder=self.ladder,
            basis=self.basis,
            roll=Roll(self.roll),
            cutoff=Cutoff(self.cutoff),
            calendar=self.calendar,
            extension=None if self.extension is None else self.extension.value(),
            platform_due=() if self.platform_due is None else (Bound(self.platform_due),),
            excludes=tuple(self.excludes or ()),
            applies_to=_conditions(self.applies_to),
            enabled=self.enabled,
        )


def _not_after_yellow(orange: Duration, info: ValidationInfo) -> Duration:
    yellow: Duration | None = info.data.get("yellow")
    if yellow is not None and _rough_days(yellow) < _rough_days(orange):
        raise Mistake(
            Text("黄灯应不晚于橙灯（yellow 不短于 orange），实际更短", "yellow must not be shorter than orange")
        )
    return orange


class _LightsPart(_Part):
    """红黄绿灯: how long before the limit the light changes."""

    yellow: _Length
    orange: Annotated[_Length, AfterValidator(_not_after_yellow)]

    def value(self) -> Lights:
        return Lights(self.yellow, self.orange)


class _AcknowledgePart(_Part):
    """签收: how long, and who is told otherwise."""

    within: _PositiveLength
    otherwise: _Words[_Role] = Field(alias="else")
    milestone: _Milestone = Field(default="acknowledged_at", validate_default=True)

    def value(self) -> Acknowledge:
        return Acknowledge(self.within, tuple(self.otherwise), self.milestone)


class _RepeatPart(_Part):
    """重复: how often, how many more times."""

    every: _PositiveLength
    times: int = Field(ge=1, le=MOST_REPEATS)

    def value(self) -> Repeat:
        return Repeat(self.every, self.times)


class _StepPart(_Part):
    """梯级: when, to whom, which text."""

    id: _Name | None = None
    at: _MomentText
    to: _Words[_Role]
    say: _Say
    cc: _Words[_Role] | None = None
    via: _Words[_Kind] | None = None
    repeat: Annotated[_RepeatPart, _RepeatText()] | None = None
    acknowledge: _AcknowledgePart | None = None
    issue: _Name | None = None

    def value(self, step_id: str) -> Step:
        return Step(
            id=step_id,
            at=self.at,
            to=tuple(self.to),
            say=self.say,
            cc=tuple(self.cc or ()),
            via=None if self.via is None else Via(tuple(self.via)),
            repeat=None if self.repeat is None else self.repeat.value(),
            acknowledge=None if self.acknowledge is None else self.acknowledge.value(),
            issue=self.issue,
        )


class _LadderPart(_Part):
    """阶梯: the lights and the steps that follow a limit."""

    title: str = ""
    lights: _LightsPart
    steps: Annotated[list[_StepPart], Field(min_length=1)]

    def value(self, name: str) -> Ladder:
        ids = _step_ids(self.steps)
        steps = tuple(step.value(step_id) for step, step_id in zip(self.steps, ids, strict=True))
        return Ladder(name, self.lights.value(), steps, self.title)


class _PolicyFile(_Part):
    """督办策略: which cases, which limits, which ladders."""

    policy: _Name
    title: _Sentence
    applies_to: _Conditions = {}
    first_handler: _FirstHandlerPart = Field(default={}, validate_default=True)  # the default's names are checked too
    roles: dict[_Name, _Sentence] = {}
    chain: _Words[_Role] = ["first_handler", "section_head", "deputy_leader", "principal"]
    via: _Words[_Kind] | None = None
    calendar: _Calendar = ""
    limits: Annotated[dict[_Name, _LimitPart], Field(min_length=1)]
    ladders: Annotated[dict[_Name, _LadderPart], Field(min_length=1)]

    def value(self, known: KnownNames) -> Policy:
        return Policy(
            id=self.policy,
            title=self.title,
            limits=tuple(limit.value(name) for name, limit in self.limits.items()),
            ladders={name: ladder.value(name) for name, ladder in self.ladders.items()},
            applies_to=_conditions(self.applies_to),
            first_handler=self.first_handler.value(),
            chain=tuple(self.chain),
            via=Via(tuple(self.via or known.kinds)),
            calendar=self.calendar,
            roles={**ROLES, **self.roles},
        )


# --- one file -----------------------------------------------------------------------------------------------


def _parse(name: str, tree: object, known: KnownNames, problems: list[Problem]) -> _PolicyFile | None:
    roles = frozenset({*ROLES, *known.roles, *_keys(tree, "roles")})
    names = _Names(known, frozenset(_keys(tree, "ladders")), roles)
    twice = list(_steps_named_twice(tree))
    problems += [Problem((name, *problem.path), problem.message, problem.hint) for problem in twice]
    try:
        parsed = _PolicyFile.model_validate(tree, context=names)
    except ValidationError as error:
        problems += problems_of(error, _PolicyFile, tree, under=(name,))
        return None
    return None if twice else parsed


def _keys(tree: object, key: str) -> list[str]:
    part = _get(tree, key)
    return list(cast("dict[str, object]", part)) if isinstance(part, dict) else []


def _get(tree: object, key: str) -> Any:  # noqa: ANN401 - unchecked YAML
    return cast("dict[str, object]", tree).get(key) if isinstance(tree, dict) else None


def _policies_named_twice(trees: Mapping[str, object]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name in sorted(trees):
        policy = _get(trees[name], "policy")
        if not isinstance(policy, str):
            continue
        if policy in first:
            yield Problem(
                (name, "policy"),
                Text(
                    f"策略名“{policy}”已在 {first[policy]} 里用过，每个策略名只能用一次",
                    f'the policy name "{policy}" is already used in {first[policy]}; each can be used once',
                ),
            )
        first.setdefault(policy, name)


def _steps_named_twice(tree: object) -> Iterator[Problem]:
    for ladder in _keys(tree, "ladders"):
        seen: dict[str, int] = {}
        steps = _get(_get(_get(tree, "ladders"), ladder), "steps")
        for index, step in enumerate(cast("list[object]", steps) if isinstance(steps, list) else []):
            step_id = _get(step, "id")
            if isinstance(step_id, str) and step_id in seen:
                path: KeyPath = ("ladders", ladder, "steps", index, "id")
                number = seen[step_id] + 1
                yield Problem(
                    path,
                    Text(
                        f"梯级名“{step_id}”与第 {number} 个梯级相同，同一阶梯里应各不相同",
                        f'the step id "{step_id}" is also that of step {number}; within a ladder each must differ',
                    ),
                )
            elif isinstance(step_id, str):
                seen[step_id] = index


# --- step ids -----------------------------------------------------------------------------------------------

_SHORT = {
    Unit.DAY: "d",
    Unit.WORKDAY: "wd",
    Unit.MONTH: "mo",
    Unit.YEAR: "y",
    Unit.HOUR: "h",
    Unit.WORKHOUR: "wh",
}
_SHORT_MINUTE = {Unit.HOUR: "min", Unit.WORKHOUR: "wmin"}


def _step_ids(steps: list[_StepPart]) -> list[str]:
    """The id of each step: what is written, else its moment (`due-3wd`), made unique without renaming earlier ones."""
    taken = {step.id for step in steps if step.id is not None}
    ids: list[str] = []
    for step in steps:
        step_id = step.id if step.id is not None else _free_id(step.at, taken)
        taken.add(step_id)
        ids.append(step_id)
    return ids


def _free_id(moment: Moment, taken: Collection[str | None]) -> str:
    plain = _moment_id(moment)
    if plain not in taken:
        return plain
    timed = plain if moment.at is None else f"{plain}-{moment.at:%H%M}"
    if timed not in taken:
        return timed
    return next(candidate for number in range(2, len(taken) + 3) if (candidate := f"{timed}-{number}") not in taken)


def _moment_id(moment: Moment) -> str:
    if moment.share is not None:
        return f"{moment.anchor}+{float(moment.share * 100):g}pct"
    if moment.offset is None or moment.offset.amount == 0:
        return moment.anchor
    amount, unit = abs(moment.offset.amount), _SHORT[moment.offset.unit]
    if amount.denominator != 1:
        amount, unit = amount * 60, _SHORT_MINUTE[moment.offset.unit]
    sign = "-" if moment.offset.amount < 0 else "+"
    return f"{moment.anchor}{sign}{float(amount):g}{unit}"


# Only to notice lights in the wrong order: five working days are a week, eight working hours a working day.
_ROUGH_DAYS = {
    Unit.DAY: Fraction(1),
    Unit.WORKDAY: Fraction(7, 5),
    Unit.MONTH: Fraction(30),
    Unit.YEAR: Fraction(365),
    Unit.HOUR: Fraction(1, 24),
    Unit.WORKHOUR: Fraction(7, 40),
}


def _rough_days(length: Duration) -> Fraction:
    return length.amount * _ROUGH_DAYS[length.unit]
