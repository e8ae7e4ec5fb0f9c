"""What a case of `tests:` says: dates and times of the office, milestones, fields, movements, extensions, pauses."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails

from policies.complaints import Mistake, expected_found, shown
from policies.language.lengths import PositiveLength
from policies.language.words import (
    LimitName,
    Misplaced,
    Names,
    Part,
    Role,
    Words,
    items,
    meant_or_known,
    names_in,
    refuse_at,
)
from policies.model import Extension, Movement, Pause, Scalar, Transfer
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from policies.language.words import KnownNames

_LIMIT_NAMES = re.compile(r"(^|_)(limit|due|deadline|until|to)_at$")
EARLIEST_YEAR, LATEST_YEAR = 1949, 2200
DECEMBER = 12
DAY_END = time(23, 59, 59, 999_999)


# --- clocks -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """A date, or a date and a time of day, as it was written; `at` None is a whole day."""

    day: date
    at: time | None

    def instant(self, zone: ZoneInfo, *, end_of_day: bool = False) -> datetime:
        """In UTC; of a whole day its beginning or its last instant."""
        clock = self.at or (DAY_END if end_of_day and self.at is None else time())
        return datetime.combine(self.day, clock, zone).astimezone(UTC)


_CLOCK = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_CLOCK_EXPECTED = Text("日期或时刻，如 2026-09-30 或 2026-09-30 10:00", "a date or a time such as 2026-09-30 10:00")


def clock_of(value: object) -> Clock:
    """`2026-09-30` or `2026-09-30 10:00`; raises Mistake."""
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Mistake(expected_found(_CLOCK_EXPECTED, value))
    year, month, day, *clock = (None if part is None else int(part) for part in found.groups())
    try:
        on = date(year or 0, month or 0, day or 0)
        at = None if clock[0] is None else time(clock[0], clock[1] or 0, clock[2] or 0)
    except ValueError:
        why = _no_such(year or 0, month or 0, day or 0)
        raise Mistake(
            Text(f"没有“{value}”这个时间：{why.zh}", f'there is no such time as "{value}": {why.en}')
        ) from None
    if not EARLIEST_YEAR <= on.year < LATEST_YEAR:
        raise Mistake(
            Text(f"年份应在 1949 到 2199 之间，实为“{value}”", f'expected a year 1949 to 2199, found "{value}"')
        )
    return Clock(on, at)


def _no_such(year: int, month: int, day: int) -> Text:
    """What is wrong with a day or a time of day that cannot be."""
    if not 1 <= month <= DECEMBER:
        return Text("月份应为 1 到 12", "a month is 1 to 12")
    last = monthrange(max(year, 1), month)[1]
    if not 1 <= day <= last:
        return Text(f"{year} 年 {month} 月是 1 到 {last} 日", f"that month has the days 1 to {last}")
    return Text("钟点应为 00:00 到 23:59", "a time of day is 00:00 to 23:59")


def _day_of(value: object) -> date:
    expected = Text("日期，如 2026-10-08", "a date such as 2026-10-08")
    if not isinstance(value, str):
        raise Mistake(expected_found(expected, value))
    clock = clock_of(value)
    if clock.at is not None:
        raise Mistake(expected_found(expected, value))
    return clock.day


def _key(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Mistake(expected_found(Text("文字", "text"), value))
    return str(value)


_CLOCK_SCHEMA = {
    "type": "string",
    "pattern": r"^\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?\s*$",
    "patternErrorMessage": "写 2026-09-30 或 2026-09-30 10:00 / a date, or a date and a time",
    "examples": ["2026-09-30 10:00", "2026-09-30"],
}
ClockText = Annotated[Clock, PlainValidator(clock_of), WithJsonSchema(_CLOCK_SCHEMA)]
DayText = Annotated[
    date,
    PlainValidator(_day_of),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\s*$", "examples": ["2026-10-08"]}
    ),
]
KeyText = Annotated[str, PlainValidator(_key), WithJsonSchema({"type": ["string", "integer"]})]


# --- facts --------------------------------------------------------------------------------------------------


class TransferPart(Part):
    """一次流转 / one movement of the case."""

    seq: int | None = Field(default=None, description="序号；不写按先后 / the number of the line")
    at: ClockText = Field(description="何时 / when it took effect, or was asked for")
    to_unit: KeyText | None = Field(default=None, description="到哪个单位 / to which unit")
    to_official: KeyText | None = Field(default=None, description="到哪个人 / to whom")
    from_unit: KeyText | None = Field(default=None, description="从哪个单位 / from which unit")
    reason: str | None = Field(default=None, description="事由 / why")
    approved_by: Role | None = Field(default=None, description="谁批准（角色）/ the approver's role")
    kind: Literal["receive", "sign", "accept", "hand_over", "co_handle", "hand_back", "return", "close"] = Field(
        default="hand_over",
        description="收件、签收、受理、转办、协办、申请退回、退回、办结 / what kind of movement",
    )
    document: str | None = Field(default=None, description="文号 / the paper it rests on")
    decided_at: ClockText | None = Field(default=None, description="同意退回的时间 / when the sender agreed")

    def value(self, seq: int, zone: ZoneInfo) -> Transfer:
        """The line of the model."""
        return Transfer(
            seq=seq,
            at=self.at.instant(zone),
            to_unit=self.to_unit,
            to_official=self.to_official,
            from_unit=self.from_unit,
            reason=self.reason,
            approved_by=self.approved_by,
            kind=Movement(self.kind),
            document=self.document,
            decided_at=_instant(self.decided_at, zone),
        )


class ExtensionPart(Part):
    """一次延期 / one extension."""

    seq: int | None = Field(default=None, description="序号；不写按先后 / the number of the line")
    length: PositiveLength | None = Field(default=None, description="延长多久 / how long", examples=["30 日"])
    decided_at: ClockText = Field(description="何时批准 / when it was decided")
    approved_by: Role | None = Field(default=None, description="谁批准（角色）/ the approver's role")
    petitioner_told_at: ClockText | None = Field(
        default=None, description="何时告知信访人 / when the petitioner was told"
    )
    until_at: ClockText | None = Field(
        default=None, description="延到何时（代替 length）/ until when, instead of length"
    )
    limit: LimitName | None = Field(default=None, description="哪个时限；不写都算 / for which limit")

    @property
    def at(self) -> Clock:
        """When it is known."""
        return self.decided_at

    def value(self, seq: int, zone: ZoneInfo) -> Extension:
        """The line of the model."""
        return Extension(
            seq=seq,
            length=self.length,
            decided_at=self.decided_at.instant(zone),
            approved_by=self.approved_by,
            petitioner_told_at=_instant(self.petitioner_told_at, zone),
            until_at=_instant(self.until_at, zone, end_of_day=True),
            limit=self.limit,
        )


class PausedPart(Part):
    """一次中止 / one pause."""

    seq: int | None = Field(default=None, description="序号；不写按先后 / the number of the line")
    from_at: ClockText = Field(description="从何时 / from when")
    to_at: ClockText | None = Field(default=None, description="到何时；不写仍在中止 / to when; still open if left out")
    basis: str | None = Field(default=None, description="依据 / the basis", examples=["听证"])
    approved_by: Role | None = Field(default=None, description="谁批准（角色）/ the approver's role")
    limit: LimitName | None = Field(default=None, description="哪个时限；不写都算 / for which limit")
    review_at: ClockText | None = Field(default=None, description="挂账复查日 / when a parked case comes back")

    @property
    def at(self) -> Clock:
        """When it is known."""
        return self.from_at

    def value(self, seq: int, zone: ZoneInfo) -> Pause:
        """The line of the model."""
        return Pause(
            seq=seq,
            from_at=self.from_at.instant(zone),
            to_at=_instant(self.to_at, zone, end_of_day=True),
            basis=self.basis,
            approved_by=self.approved_by,
            limit=self.limit,
            review_at=_instant(self.review_at, zone),
        )


def _instant(clock: Clock | None, zone: ZoneInfo, *, end_of_day: bool = False) -> datetime | None:
    return None if clock is None else clock.instant(zone, end_of_day=end_of_day)


PLAIN_FACTS = ("unit", "handler", "restricted", "open", "earlier", "recused")
_FACT_SCHEMA = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {"type": "array", "items": _CLOCK_SCHEMA, "minItems": 1},
    ]
}


def _schema_of_facts(schema: dict[str, Any]) -> None:
    schema["patternProperties"] = {
        "_at$": {
            "anyOf": [_CLOCK_SCHEMA, {"type": "array", "items": _CLOCK_SCHEMA, "minItems": 1}, {"type": "null"}],
            "description": "节点时间；发生过几次的写列表 / a milestone; a list if it came more than once",
        }
    }
    schema["additionalProperties"] = _FACT_SCHEMA


class FactsPart(Part):
    """案件的情况 / what the case says: unit, handler, milestones (…_at), fields and the lists below."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_schema_of_facts)

    unit: KeyText | None = Field(default=None, description="承办单位 / the unit", examples=["乙科"])
    handler: KeyText | None = Field(default=None, description="承办人 / the handler", examples=["承办人甲"])
    restricted: bool = Field(default=False, description="限制知悉 / restricted")
    open: bool = Field(default=True, description="未办结 / not closed")
    transfers: list[TransferPart] = Field(default=[], description="流转记录 / movements")
    extensions: list[ExtensionPart] = Field(default=[], description="延期 / extensions")
    pauses: list[PausedPart] = Field(default=[], description="中止、挂账 / pauses")
    recused: Words[KeyText] = Field(default=[], description="回避的人 / officials who must not hear of it")
    earlier: KeyText | None = Field(default=None, description="重复了哪一件 / the case this one repeats")

    @model_validator(mode="wrap")
    @classmethod
    def _facts_are_known(
        cls, value: object, handler: ModelWrapValidatorHandler[FactsPart], info: ValidationInfo
    ) -> FactsPart:
        """Milestones and fields are told by their names, which pydantic's own extra values cannot see."""
        others = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        mistakes = list(_mistaken_facts({k: v for k, v in others.items() if k not in cls.model_fields}, names_in(info)))
        try:
            part = handler(value)
        except ValidationError as error:
            raise _joined(error, mistakes) from None
        refuse_at(mistakes)
        return part

    def others(self) -> Mapping[str, object]:
        """Milestones and fields as written."""
        return self.__pydantic_extra__ or {}


def _joined(error: ValidationError, mistakes: Sequence[Misplaced]) -> ValidationError:
    told = [
        InitErrorDetails(type=each["type"], loc=each["loc"], input=each["input"], ctx=each.get("ctx", {}))
        for each in error.errors(include_url=False)
    ]
    own = [InitErrorDetails(type="value_error", loc=at, input=None, ctx={"error": why}) for at, why in mistakes]
    return ValidationError.from_exception_data(error.title, [*told, *own])


def _mistaken_facts(others: Mapping[str, object], names: Names) -> Iterator[Misplaced]:
    for name, value in others.items():
        try:
            _refuse_unknown_fact(name, names.known)
            read_fact(name, value, names)
        except ValueError as mistake:
            yield (name,), mistake


def _refuse_unknown_fact(name: str, known: KnownNames) -> None:
    asked = known.milestones if name.endswith("_at") else known.fields
    every = {*(known.milestones or ()), *(known.fields or ())}
    if asked is None or name in every:
        return
    found = shown(name)
    raise Mistake(
        Text(f"没有名为{found.zh}的节点时间或案件字段", f"there is no milestone or case field named {found.en}"),
        meant_or_known(name, {*every, *FactsPart.model_fields}),
    )


def _is_milestone(name: str, known: KnownNames) -> bool:
    if known.milestones is not None and name in known.milestones:
        return True
    return name.endswith("_at") and name not in (known.fields or ())


def lies_ahead(name: str, names: Names) -> bool:
    """Whether a milestone is a limit somebody set, known in advance: by what the policy says, or by its name."""
    return name in names.appointed or _LIMIT_NAMES.search(name) is not None


def read_fact(name: str, value: object, names: Names) -> tuple[datetime, ...] | Scalar:
    """The instants of a milestone (none: it is not there any more), or the value of a field."""
    if not _is_milestone(name, names.known):
        if isinstance(value, list | dict):
            raise Mistake(expected_found(Text("一个值", "one value"), cast("object", value)))
        return cast("Scalar", value)
    clocks = [] if value is None else items(value)
    zone, end_of_day = names.known.zone, lies_ahead(name, names)
    return tuple(sorted(clock_of(clock).instant(zone, end_of_day=end_of_day) for clock in clocks))


class ChangePart(FactsPart):
    """以后的变化 / what the case says from that moment on."""

    at: ClockText = Field(description="从何时起 / from when on")
