"""How the tables of the shared database are to be read: the schema of `source:` in the configuration.

The shared database belongs to another system and is different at every place, so nothing is assumed about it: the
administrator says in YAML which table (or view, or query) holds what, in which column, in which form. This module
only describes that; it does not connect to anything.

A mistake in a value is raised as MappingError, whose `message` is in both languages; pydantic collects all of
them with their key paths.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from policies.duration import Duration, Unit, parse_duration
from policies.model import Movement
from policies.spelling import suggestion
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Plain = str | int | float | bool | None
ColumnType = Literal["text", "number", "bool", "instant", "date"]

DEFAULT_NONE = (
    "",
    "NULL",
    "0000-00-00",
    "1900-01-01",
    "1970-01-01",
    "9999-12-31",
    "infinity",
)
ENTITIES = (
    "cases",
    "milestones",
    "transfers",
    "extensions",
    "pauses",
    "recusals",
    "officials",
    "units",
    "posts",
    "delegations",
)
MOVEMENT_WORDS: Mapping[str, Movement] = {
    "收件": Movement.RECEIVE,
    "签收": Movement.SIGN,
    "受理": Movement.ACCEPT,
    "转办": Movement.HAND_OVER,
    "转送": Movement.HAND_OVER,
    "交办": Movement.HAND_OVER,
    "转交": Movement.HAND_OVER,
    "协办": Movement.CO_HANDLE,
    "申请退回": Movement.HAND_BACK,
    "提出异议": Movement.HAND_BACK,
    "退回": Movement.RETURN,
    "办结": Movement.CLOSE,
}
EPOCH_FORMATS = ("epoch", "epoch_ms")
SORTABLE_FORMAT = re.compile(r"%Y\D?%m\D?%d(\D?%H(\D?%M(\D?%S(\.%f)?)?)?)?")
END_OF_DAY_NAMES = re.compile(r"(^|_)(limit|due|deadline|until|to)_at$")


class MappingError(ValueError):
    """One value of the mapping cannot be used; `message` says why in both languages."""

    def __init__(self, message: Text) -> None:
        super().__init__(message.zh)
        self.message = message


def movement_of(word: str) -> Movement | None:
    """The kind of movement a word means: a word of the mapping or one offices use; None if it is neither."""
    plain = word.strip().lower()
    return MOVEMENT_WORDS.get(plain) or next((kind for kind in Movement if kind.value == plain), None)


def unknown_movement(word: str) -> Text:
    """That a word is no kind of movement, which ones there are, and which one was probably meant."""
    words = [kind.value for kind in Movement]
    hint = suggestion(word, (*words, *MOVEMENT_WORDS)) or Text("", "")
    return Text(
        f"“{word}”不是流转种类，可用：{'、'.join(words)}。{hint.zh}",
        f'"{word}" is no kind of movement; there are {", ".join(words)}. {hint.en}'.rstrip(),
    )


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise MappingError(
            Text(
                f"没有叫“{name}”的时区，请写 Asia/Shanghai、UTC 这样的名称",
                f'no time zone is called "{name}"; write a name such as Asia/Shanghai or UTC',
            ),
        ) from error
    return name


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _formats(formats: tuple[str, ...]) -> tuple[str, ...]:
    for text in formats:
        if text in EPOCH_FORMATS:
            continue
        if not re.search("%[YyGcxs]", text):
            raise MappingError(
                Text(
                    f"日期格式“{text}”里没有年份；写法如 %Y/%m/%d %H:%M，或 epoch、epoch_ms",
                    f'the date format "{text}" has no year; write e.g. %Y/%m/%d %H:%M, or epoch, epoch_ms',
                ),
            )
        _try_format(text)
    return formats


def _try_format(text: str) -> None:
    moment = datetime(2026, 9, 17, 10, 30, 59)  # noqa: DTZ001 - only to try the format on
    try:
        datetime.strptime(moment.strftime(text), text)  # noqa: DTZ007 - the same
    except (ValueError, re.error) as error:
        raise MappingError(
            Text(f"日期格式“{text}”无法使用", f'the date format "{text}" cannot be used'),
        ) from error


def _codes(value: object) -> object:
    """Codes are compared as text: `1` in YAML fits 1 and '1' in the database."""
    if isinstance(value, dict):
        codes = cast("dict[object, object]", value)
        return {_as_code(key): translated for key, translated in codes.items()}
    return value


def _as_code(key: object) -> str:
    if isinstance(key, bool):
        return str(int(key))
    return str(key)


def _overlap(value: object) -> object:
    if not isinstance(value, str):
        return value
    length: Duration = parse_duration(value)
    hours = {Unit.HOUR: 1, Unit.DAY: 24}.get(length.unit)
    if hours is None or length.amount < 0:
        raise MappingError(
            Text(
                f"重叠时间“{value}”须以分钟、小时或日计，如 10 分钟",
                f'the overlap "{value}" must be in minutes, hours or days, e.g. 10 minutes',
            ),
        )
    return timedelta(hours=float(length.amount * hours))


ZoneName = Annotated[str, AfterValidator(_zone)]
Formats = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), AfterValidator(_formats)]
Codes = Annotated[dict[str, Plain], BeforeValidator(_codes)]
NoneValues = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
Overlap = Annotated[timedelta, BeforeValidator(_overlap)]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
MilestoneName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*_at$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Column(_Part):
    """One column and how to read it. In YAML a plain name is enough: `unit: qxjgdm`.

    `values` translates codes; a code it does not list stays as it is. `format` is for dates kept as text, or
    `epoch` / `epoch_ms`. `none` replaces the list of values that mean "nothing here". `day` says which end of the
    day a date without a time means; by default the end for limits (`limit_at`, `due_at`, `until_at` …), else 00:00.
    `type: date` keeps only the day of what is there. A `personal` column is never read into a case.
    """

    column: str = Field(min_length=1)
    values: Codes = Field(default_factory=dict)
    format: Formats = ()
    zone: ZoneName | None = None
    none: NoneValues | None = None
    type: ColumnType | None = None
    day: Literal["start", "end"] | None = None
    personal: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value


class OpenRule(_Part):
    """When a case is still open: by a condition in SQL (`sql`), or by the codes of a column (`in` / `not_in`).

    NULL counts as an empty code, so `not_in: ['1']` takes a row without a code as open.
    """

    sql: str | None = None
    column: str | None = None
    among: NoneValues | None = Field(default=None, alias="in")
    not_among: NoneValues | None = Field(default=None, alias="not_in")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"sql": value}
        if isinstance(value, dict):
            parts = cast("dict[object, object]", value)
            return {key: _as_codes(part) if key in {"in", "not_in"} else part for key, part in parts.items()}
        return value

    @model_validator(mode="after")
    def _one_way(self) -> OpenRule:
        by_codes = self.column is not None and (self.among is None) != (self.not_among is None)
        if (self.sql is not None) == by_codes or (self.sql is not None and self.column is not None):
            raise MappingError(
                Text(
                    "open 要么写一个 SQL 条件，要么写 column 加 in 或 not_in",
                    "open is either one SQL condition, or column with in or not_in",
                ),
            )
        return self


def _as_codes(value: object) -> object:
    if isinstance(value, list):
        return tuple("" if code is None else _as_code(code) for code in cast("list[object]", value))
    return "" if value is None else _as_code(value)


class Entity(_Part):
    """Where the rows of one kind come from: a `table`, a `view` or a query (`sql`); `where` is an optional filter."""

    table: str | None = Field(default=None, min_length=1)
    view: str | None = Field(default=None, min_length=1)
    sql: str | None = Field(default=None, min_length=1)
    where: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_origin(self) -> Entity:
        given = [name for name in ("table", "view", "sql") if getattr(self, name) is not None]
        if len(given) != 1:
            found = "、".join(given)
            raise MappingError(
                Text(
                    f"table、view、sql 须且只须写一个，现在{'写了 ' + found if given else '一个也没有'}",
                    f"exactly one of table, view, sql is needed; found {', '.join(given) if given else 'none'}",
                ),
            )
        return self

    def columns_by_path(self) -> Iterator[tuple[tuple[str, ...], Column]]:
        """Every mapped column with its key path below the entity, as the administrator wrote it."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            key = field.alias or name
            if isinstance(value, Column):
                yield (key,), value
            elif isinstance(value, dict):
                columns = cast("dict[str, Column]", value)
                yield from (((key, inner), column) for inner, column in columns.items())


class CaseRows(Entity):
    """案件: one row per case. `columns` are the fields policies may ask about, `milestones` the instants.

    `earlier` is the key of the case this one repeats (重复信访).
    """

    key: Column
    columns: dict[FieldName, Column] = Field(default_factory=dict)
    milestones: dict[MilestoneName, Column] = Field(default_factory=dict)
    unit: Column | None = None
    handler: Column | None = None
    open: OpenRule | None = None
    changed: Column | None = None
    restricted: Column | None = None
    earlier: Column | None = None

    @model_validator(mode="after")
    def _names_are_used_once(self) -> CaseRows:
        twice = sorted(set(self.columns) & set(self.milestones))
        if twice:
            names = "、".join(twice)
            raise MappingError(
                Text(f"columns 与 milestones 中重名：{names}", f"in both columns and milestones: {', '.join(twice)}"),
            )
        return self

    @model_validator(mode="after")
    def _personal_stays_out(self) -> CaseRows:
        wrong = [".".join(path) for path, c in self.columns_by_path() if c.personal and path[0] != "columns"]
        if wrong:
            raise MappingError(
                Text(
                    f"标为 personal 的列不能用作 {'、'.join(wrong)}",
                    f"a personal column cannot be used as {', '.join(wrong)}",
                ),
            )
        return self

    @model_validator(mode="after")
    def _changes_can_be_sorted(self) -> CaseRows:
        if self.changed is None:
            return self
        formats = self.changed.format
        sortable = all(text in EPOCH_FORMATS or SORTABLE_FORMAT.fullmatch(text) for text in formats)
        if len(formats) > 1 or not sortable or self.changed.values:
            raise MappingError(
                Text(
                    "changed 列须能按先后排序：日期时间、数字，或年月日在前的文本"
                    "（如 %Y-%m-%d %H:%M:%S）；否则请去掉 changed",
                    "the changed column must sort by time: instants, numbers, or text with the year first "
                    "(e.g. %Y-%m-%d %H:%M:%S); otherwise leave changed out",
                ),
            )
        return self


class MilestoneRows(Entity):
    """节点记录: one row per event of a case; `name` tells which milestone it is, usually by codes. The last one counts.

    Of a milestone that came more than once every instant is kept (每月答复).
    A row whose name is not translated to a milestone (a word ending in `_at`) is left aside.
    """

    case: Column
    name: Column
    at: Column


class OfficialRows(Entity):
    """人员: `mobile` becomes the sms address, `email` the mail address, `addresses` any further kind.

    `prefers` holds the kinds or channels somebody would rather be told over, the first before the others.
    """

    key: Column
    name: Column
    unit: Column | None = None
    mobile: Column | None = None
    email: Column | None = None
    active: Column | None = None
    addresses: dict[FieldName, Column] = Field(default_factory=dict)
    prefers: Column | None = None


class UnitRows(Entity):
    """单位: each with the unit above it.

    `area` is the code of the place it answers for (行政区划), `area_parent` the unit above it by place; without it
    that is `parent`.
    """

    key: Column
    name: Column
    parent: Column | None = None
    area: Column | None = None
    area_parent: Column | None = None


class PostRows(Entity):
    """职务: who holds which role in which unit, from when to when."""

    unit: Column
    role: Column
    official: Column
    from_at: Column | None = Field(default=None, alias="from")
    to_at: Column | None = Field(default=None, alias="to")


class DelegationRows(Entity):
    """请假、代理: who is away from when to when, who stands in (nobody where it is empty), by which document."""

    official: Column
    substitute: Column | None = None
    from_at: Column | None = Field(default=None, alias="from")
    to_at: Column | None = Field(default=None, alias="to")
    document: Column | None = None


class RecusalRows(Entity):
    """回避: who must not hear of which case (信访工作条例第二十八条第三款)."""

    case: Column
    official: Column


class TransferRows(Entity):
    """流转记录: movements of a case, ordered by `seq`, else by time.

    `kind` says what the movement was, in a word of `Movement` or an office's own word (转办, 协办, 退回 …); without it
    every row is a hand-over. `at` is when it took effect or a hand-back was asked for, `decided_at` when the sender
    agreed to it.
    """

    case: Column
    at: Column
    seq: Column | None = None
    to_unit: Column | None = None
    to_official: Column | None = None
    from_unit: Column | None = None
    reason: Column | None = None
    approved_by: Column | None = None
    kind: Column | None = None
    document: Column | None = None
    decided_at: Column | None = None

    @model_validator(mode="after")
    def _kinds_are_movements(self) -> TransferRows:
        words = [] if self.kind is None else [str(word) for word in self.kind.values.values() if word is not None]
        for word in words:
            if movement_of(word) is None:
                raise MappingError(unknown_movement(word))
        return self


class ExtensionRows(Entity):
    """延期记录: the length as a number (`days`, `workdays`, `months`), as text with its unit (`length`), or `until`."""

    case: Column
    decided_at: Column
    seq: Column | None = None
    days: Column | None = None
    workdays: Column | None = None
    months: Column | None = None
    length: Column | None = None
    until: Column | None = None
    approved_by: Column | None = None
    petitioner_told_at: Column | None = None
    limit: Column | None = None

    @model_validator(mode="after")
    def _has_a_length(self) -> ExtensionRows:
        if not any((self.days, self.workdays, self.months, self.length, self.until)):
            raise MappingError(
                Text(
                    "延期须说明长度：days、workdays、months、length 或 until",
                    "an extension needs its length: days, workdays, months, length or until",
                ),
            )
        return self


class PauseRows(Entity):
    """中止记录: intervals that do not count. With `review_at` a case is parked (挂账) until that day."""

    case: Column
    from_at: Column = Field(alias="from")
    to_at: Column | None = Field(default=None, alias="to")
    seq: Column | None = None
    basis: Column | None = None
    approved_by: Column | None = None
    limit: Column | None = None
    review_at: Column | None = None


class Plausible(_Part):
    """Which instants are believed: from the year `since` to `years_ahead` years from now. Others are bad values."""

    since: int = Field(default=1990, ge=1, le=9999)
    years_ahead: int = Field(default=20, ge=0, le=1000)


class SourceMapping(_Part):
    """The shared database and how to read it.

    `url` is any SQLAlchemy URL; the password is better given apart, as a secret. `time_zone` is the zone of times
    without one (None: the office's). `overlap` is read again at every look, for rows that were committed late.
    Time-outs are in seconds.
    """

    url: str = Field(min_length=1, repr=False)
    cases: CaseRows
    password: SecretStr | None = None
    dialect_module: str | None = None
    allow_writable: bool = False
    time_zone: ZoneName | None = None
    overlap: Overlap = timedelta(minutes=10)
    page_size: int = Field(default=500, ge=1, le=50_000)
    connect_timeout: int = Field(default=5, ge=1, le=300)
    read_timeout: int = Field(default=60, ge=1, le=3600)
    phone_region: str = Field(default="CN", pattern="^[A-Z]{2}$")
    none_values: NoneValues = DEFAULT_NONE
    plausible: Plausible = Plausible()
    milestones: MilestoneRows | None = None
    officials: OfficialRows | None = None
    units: UnitRows | None = None
    posts: PostRows | None = None
    transfers: TransferRows | None = None
    extensions: ExtensionRows | None = None
    pauses: PauseRows | None = None
    delegations: DelegationRows | None = None
    recusals: RecusalRows | None = None

    def entities(self) -> Mapping[str, Entity]:
        """The entities that are mapped, by their key in the YAML."""
        return {name: entity for name in ENTITIES if (entity := getattr(self, name)) is not None}

    def milestone_names(self) -> frozenset[str]:
        """Every milestone a case of this source may have: for checking policies against it."""
        rows = self.milestones
        by_event = {str(name) for name in rows.name.values.values()} if rows else set[str]()
        return frozenset(self.cases.milestones) | frozenset(by_event)

    def field_names(self) -> frozenset[str]:
        """Every field of a case policies may ask about; personal columns are not among them."""
        return frozenset(name for name, column in self.cases.columns.items() if not column.personal)


def means_end_of_day(name: str, column: Column) -> bool:
    """Whether a date without a time in this column means the end of that day (limits), not its beginning."""
    if column.day is not None:
        return column.day == "end"
    return END_OF_DAY_NAMES.search(name) is not None


def as_day(value: str) -> date | None:
    """The day a none-value stands for, if it is a date."""
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
