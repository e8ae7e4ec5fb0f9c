"""The words of the administrator's language and their checks: names, lengths, moments, roles, channels.

Each type here turns one written value into a value of the model or raises a Mistake in both languages. What the names
stand for is looked up in `Names`, the context of every validation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, core_schema

from policies.complaints import Mistake, expected_found, one_of, shown
from policies.language.patterns import MILESTONE, RECIPIENT, START
from policies.spelling import suggestion, wide_mark
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

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
PERSONAL_ROLES = frozenset({"first_handler", "handler"})  # persons of the case, not posts that a way up leads to
LEGS = ("functional", "territorial")
LIGHT_NAMES = {"green": "绿灯", "yellow": "黄灯", "orange": "橙灯", "red": "红灯"}
LIGHTS = tuple(LIGHT_NAMES)
ANCHORS = ("start", "due", "review")
UNSET = "unset"  # `within: unset`: the law gives no number, the office must set one before it enables the limit
OFFICE_ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What the rest of the configuration offers to policies; None means: not known here, do not check.

    `kinds` are the kinds of address, `channels` the channels by the name they have in the configuration (None: any
    name will do); a step may name either. `zone` is the office's time zone: the clock of `tests:`.
    """

    milestones: Collection[str] | None = None
    fields: Collection[str] | None = None
    says: Collection[str] | None = None
    calendars: Collection[str] | None = None
    kinds: tuple[str, ...] = ("sms", "email")
    roles: Collection[str] = ()
    channels: Collection[str] | None = ()
    zone: ZoneInfo = OFFICE_ZONE


@dataclass(frozen=True, slots=True)
class Names:
    """The names one file may use: what the configuration offers and what the file itself defines.

    `limits` says of each limit whether it is enabled; `steps` which step ids follow a limit, None if its ladder has
    mistakes of its own. `chain` is empty if it cannot be read. `persons` are the officials it names by key.
    `appointed` are the milestones it reads as limits that somebody set, `named` the roles whose holder a case
    names, each with the field.
    """

    known: KnownNames
    ladders: frozenset[str]
    roles: frozenset[str]
    limits: Mapping[str, bool] = field(default_factory=dict[str, bool])
    steps: Mapping[str, frozenset[str] | None] = field(default_factory=dict[str, "frozenset[str] | None"])
    chain: tuple[str, ...] = ()
    persons: frozenset[str] = frozenset()
    appointed: frozenset[str] = frozenset()
    named: Mapping[str, str] = field(default_factory=dict[str, str])


def names_in(info: ValidationInfo) -> Names:
    """The names of the file that is being checked."""
    return cast("Names", info.context)


class Part(BaseModel):
    """A mapping of the language: nothing unknown is let through, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


Misplaced = tuple[tuple[str | int, ...], ValueError]


def refuse_at(mistakes: Sequence[Misplaced]) -> None:
    """Raise several mistakes of one value at once, each at its place inside it."""
    if mistakes:
        details = [
            InitErrorDetails(type="value_error", loc=place, input=None, ctx={"error": mistake})
            for place, mistake in mistakes
        ]
        raise ValidationError.from_exception_data("policy", details)


# --- names --------------------------------------------------------------------------------------------------


def known_as(
    zh: str, en: str, names: Callable[[Names], Collection[str] | None]
) -> Callable[[str, ValidationInfo], str]:
    """A check that a word is one of the names of its kind; anything goes where they are not known."""

    def check(word: str, info: ValidationInfo) -> str:
        refuse_unknown(word, names(names_in(info)), zh, en)
        return word

    return check


def refuse_unknown(word: str, known: Collection[str] | None, zh: str, en: str) -> None:
    """Raise a Mistake unless the word is known."""
    if known is None or word in known:
        return
    found = shown(word)
    message = Text(f"没有名为{found.zh}的{zh}", f"there is no {en} named {found.en}")
    hint = wide_mark(word) or (role_meant(word, known) if en in _ROLE_WORDS else meant_or_known(word, known))
    raise Mistake(message, _with_place(hint, en))


_ROLE_WORDS = ("role", "role or person")
_DEFINED_IN = {"case field": "cases.columns", "milestone": "cases.milestones"}


def _with_place(hint: Text | None, en: str) -> Text | None:
    """Fields and milestones come from the shared database: the hint says where new ones are named."""
    if hint is None or en not in _DEFINED_IN:
        return hint
    place = _DEFINED_IN[en]
    return hint + Text(
        f"（要用新的，先在 source.yaml 的 {place} 里写明）", f" (name new ones under {place} in source.yaml)"
    )


def role_meant(word: str, known: Collection[str]) -> Text | None:
    """The role that an office calls so, or the nearest one, or else all of them with what they are called."""
    named = next((role for role in known if ROLES.get(role) == word), None)
    if named is not None:
        return Text(f"应写“{named}”", f'write "{named}"')
    titles = [f"{role}（{ROLES[role]}）" if role in ROLES else role for role in sorted(known)]
    return suggestion(word, known) or Text(f"可写的有：{'、'.join(titles)}", f"known are: {', '.join(sorted(known))}")


def meant_or_known(word: str, known: Collection[str]) -> Text | None:
    """What was probably meant, or else everything that can be written."""
    hint = suggestion(word, known)
    if hint is None and known:
        hint = Text(f"可写的有：{'、'.join(sorted(known))}", f"known are: {', '.join(sorted(known))}")
    return hint


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


def _checked_milestone(word: str, info: ValidationInfo) -> str:
    """A limit that is switched off may name milestones this office does not have."""
    if info.data.get("enabled") is False:
        return word
    refuse_unknown(word, names_in(info).known.milestones, "节点时间", "milestone")
    return word


def _start(word: str, info: ValidationInfo) -> str:
    """A milestone, or `<limit>.done` and `<limit>.due` of the same policy."""
    limit, dot, end = word.rpartition(".")
    if not dot:
        return _checked_milestone(word, info)
    limits = names_in(info).limits
    if end not in ("done", "due"):
        found = shown(word)
        hint = suggestion(end, ("done", "due"))
        raise Mistake(
            Text(
                f"应为节点时间，或另一个时限的 {limit}.done（办完）、{limit}.due（到期），实为{found.zh}",
                f"expected a milestone, or {limit}.done or {limit}.due of another limit, found {found.en}",
            ),
            hint,
        )
    refuse_unknown(limit, limits, "时限", "limit")
    if info.data.get("enabled") is not False and not limits[limit]:
        raise Mistake(
            Text(
                f"“{word}”接着时限“{limit}”计算，但“{limit}”已关闭（enabled: false），永远不会开始；"
                f"请启用“{limit}”，或改写起算的节点时间",
                f'"{word}" follows the limit "{limit}", which is switched off (enabled: false), so it would never '
                f'begin; enable "{limit}" or write a milestone',
            )
        )
    return word


def _end(word: str, info: ValidationInfo) -> str:
    if word.endswith((".done", ".due")):
        found = shown(word)
        raise Mistake(
            Text(
                f"done 只能写节点时间，{found.zh}是时限，只能写在 start 里",
                f"done takes milestones only; {found.en} is a limit and can stand in start only",
            )
        )
    return _checked_milestone(word, info)


# --- one or several, a text or a mapping ----------------------------------------------------------------------


def items(value: object) -> list[object]:
    """A list as it is; anything else as the only item."""
    return cast("list[object]", value) if isinstance(value, list) else [value]


class OneOrMore:
    """One value may be written without brackets."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:  # noqa: ANN401
        return core_schema.no_info_before_validator_function(items, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


_T = TypeVar("_T")
Words = Annotated[list[_T], Field(min_length=1), OneOrMore()]


def _shape(value: object) -> str:
    return "{}" if isinstance(value, dict | BaseModel) else "text"


WRITTEN = Discriminator(_shape)  # of a choice, only the mistakes of what was meant are told
TEXT, MAPPING = Tag("text"), Tag("{}")


# --- roles and channels ---------------------------------------------------------------------------------------


def _recipient(word: str, info: ValidationInfo) -> str:
    """A role, or a role looked for up one of the legs only: `principal@territorial`."""
    role, at, leg = word.partition("@")
    refuse_unknown(role, names_in(info).roles, "角色", "role")
    if not at:
        return word
    if leg not in LEGS:
        expected = Text(
            "“@”后面应为 functional（条线）或 territorial（属地）", "expected functional or territorial after @"
        )
        found = shown(leg)
        raise Mistake(Text(f"{expected.zh}，实为{found.zh}", f"{expected.en}, found {found.en}"), suggestion(leg, LEGS))
    if role in PERSONAL_ROLES or role in names_in(info).named:
        raise Mistake(
            Text(
                f"“{role}”是案件上登记的人，不分条线和属地，应写“{role}”",
                f'"{role}" is a person of the case, not a post up a leg: write "{role}"',
            )
        )
    return word


def _official(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Mistake(expected_found(Text("人员编号", "the key of an official"), value))
    key = str(value).strip()
    if key in ROLES:
        raise Mistake(
            Text(
                f"这里应写人员编号，“{key}”是角色：限制知悉的案件只发给指名的人",
                f'expected the key of an official, "{key}" is a role: restricted cases go to named persons only',
            )
        )
    if not key:
        raise Mistake(Text("不能为空", "must not be empty"))
    return key


def _release_above(word: str, info: ValidationInfo) -> str:
    chain = names_in(info).chain
    if word == "none" or not chain or word in chain:
        return word
    expected = one_of([*chain, "none"])
    raise Mistake(
        expected_found(
            Text(f"上级链（chain）中的角色：{expected.zh.strip()}", f"a role of the chain: {expected.en}"), word
        ),
        suggestion(word, [*chain, "none"]),
    )


# --- the types ------------------------------------------------------------------------------------------------

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, AfterValidator(_plain_name)]


def _open_words(*words: str, pattern: str | None = None) -> WithJsonSchema:
    """Words the editor offers where others (of that pattern) are right too."""
    other = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, other]})


_LEG_ROLES = [f"{role}@{leg}" for role in ROLES if role not in PERSONAL_ROLES for leg in LEGS]
Role = Annotated[str, AfterValidator(known_as("角色", "role", lambda names: names.roles)), _open_words(*ROLES)]
Recipient = Annotated[str, AfterValidator(_recipient), _open_words(*ROLES, *_LEG_ROLES, pattern=RECIPIENT)]
ReleaseAbove = Annotated[str, AfterValidator(_release_above), _open_words("none", *ROLES)]
OfficialKey = Annotated[
    str, PlainValidator(_official), WithJsonSchema({"type": ["string", "integer"], "not": {"enum": list(ROLES)}})
]


def _channels_of(known: KnownNames) -> Collection[str] | None:
    return None if known.channels is None else {*known.kinds, *known.channels}


_MILESTONES = (
    "registered_at",
    "forwarded_at",
    "arrived_at",
    "accepted_at",
    "notified_at",
    "acknowledged_at",
    "finished_at",
    "limit_at",
)
Milestone = Annotated[Name, AfterValidator(_checked_milestone), _open_words(*_MILESTONES, pattern=MILESTONE)]
LaterMilestone = Annotated[Name, _open_words(*_MILESTONES, pattern=MILESTONE)]  # looked up by the part around it
StartName = Annotated[Name, AfterValidator(_start), _open_words(*_MILESTONES, pattern=START)]
EndName = Annotated[Name, AfterValidator(_end), _open_words(*_MILESTONES, pattern=MILESTONE)]
FieldName = Annotated[Name, AfterValidator(known_as("案件字段", "case field", lambda names: names.known.fields))]
LadderName = Annotated[str, AfterValidator(known_as("阶梯", "ladder", lambda names: names.ladders))]
LimitName = Annotated[str, AfterValidator(known_as("时限", "limit", lambda names: names.limits))]
Say = Annotated[
    Name,
    AfterValidator(known_as("消息模板", "message template", lambda names: names.known.says)),
    _open_words("assigned", "unacknowledged", "unacted", "remind", "today", "urge", "bulletin"),
]
Channel = Annotated[
    str,
    AfterValidator(known_as("通道类别", "kind of channel", lambda names: _channels_of(names.known))),
    _open_words("sms", "email"),
]
CalendarName = Annotated[str, AfterValidator(known_as("日历", "calendar", lambda names: names.known.calendars))]
