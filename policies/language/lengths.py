"""Lengths, moments and times of day as written in a policy, and what an editor knows of them."""

from __future__ import annotations

import re
from datetime import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BeforeValidator,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from policies.complaints import Mistake, expected_found, shown
from policies.duration import (
    ANCHOR_WORDS,
    NO_LENGTH,
    SAME_DAY,
    SAME_DAY_WORDS,
    Duration,
    Moment,
    Unit,
    parse_duration,
    parse_every,
    parse_moment,
    parse_within,
    says_same_day,
)
from policies.spelling import suggestion
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable


from policies.language.patterns import EVERY, EVERY_SO_MANY_DAYS, MOMENT, ONE_LENGTH, WAIT, WITHIN
from policies.language.words import ANCHORS, UNSET, names_in

_LENGTH_EXPECTED = Text("时间长度，如 15 日", "a length such as 15 days")


def _length(value: object) -> Duration:
    return _not_negative(value, parse_duration)


def _not_negative(value: object, parse: Callable[[str], Duration]) -> Duration:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Mistake(expected_found(_LENGTH_EXPECTED, value))
    length = parse(str(value))
    if length.amount < 0:
        raise Mistake(Text(f"时间长度不能为负，实为“{value}”", f'a length must not be negative, found "{value}"'))
    return length


def _more_than_zero(value: object, length: Duration) -> Duration:
    if length.amount == 0:
        raise Mistake(Text(f"时间长度应大于零，实为“{value}”", f'a length must be more than zero, found "{value}"'))
    return length


def _positive_length(value: object) -> Duration:
    return _more_than_zero(value, _length(value))


def positive_within(value: object) -> Duration:
    """A length of more than zero, also written `within …` or `…内`."""
    return _more_than_zero(value, _not_negative(value, parse_within))


def _of_a_limit(value: object) -> Duration:
    """A length of more than zero, or the day of the start itself."""
    return SAME_DAY if isinstance(value, str) and says_same_day(value) else positive_within(value)


def _limit_length(value: object, info: ValidationInfo) -> Duration:
    if value != UNSET:
        return _of_a_limit(value)
    if info.data.get("enabled", False):
        raise Mistake(
            Text(
                "启用的时限必须写明长度，实为“unset”；法规没有数字的，由本单位定，或写 enabled: false",
                'an enabled limit needs a length, found "unset": set it locally, or write enabled: false',
            )
        )
    return NO_LENGTH


def _counted_in(zh: str, en: str, *units: Unit) -> Callable[[object], Duration]:
    def check(value: object) -> Duration:
        bare = isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdecimal())
        if not bare or isinstance(value, bool):
            length = positive_within(value)
            if length.unit in units:
                return length
        found = shown(value)
        raise Mistake(Text(f"应以{zh}计，实为{found.zh}", f"expected a length in {en}, found {found.en}"))

    return check


def _moment(value: object, info: ValidationInfo) -> Moment:
    if not isinstance(value, str):
        expected = Text("时刻，如 due - 3 工作日 09:00", "a moment such as due - 3 workdays 09:00")
        raise Mistake(expected_found(expected, value))
    moment = parse_moment(value)
    milestones = names_in(info).known.milestones or ()
    if moment.anchor not in ANCHORS and moment.anchor not in milestones and not moment.anchor.endswith("_at"):
        found = shown(moment.anchor)
        raise Mistake(
            Text(
                "时刻应从 start（起算）、due（到期）、review（挂账复查）或节点时间（如 acknowledged_at）算起，"
                f"实为{found.zh}",
                f"a moment counts from start, due, review or a milestone such as acknowledged_at, found {found.en}",
            ),
            suggestion(moment.anchor, (*ANCHORS, *ANCHOR_WORDS, *milestones)),
        )
    if moment.anchor == "start" and moment.offset is not None and moment.offset.amount < 0:
        raise Mistake(
            Text(f"梯级不能早于起算（start），实为“{value}”", f'a step cannot come before start, found "{value}"')
        )
    return moment


def sentence_of_every(times: str, example: Text, schema: Any) -> BeforeValidator:  # noqa: ANN401 - a type expression
    """Turns the sentence into the mapping it stands for, with its number under the key `times`."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        found = parse_every(value)
        if found is None:
            raise Mistake(expected_found(example, value))
        return {"every": found[0], times: found[1]}

    return BeforeValidator(read, json_schema_input_type=schema)


EverySentence = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": EVERY, "examples": ["每 5 工作日，最多再 6 次"]})
]

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3])[:：]([0-5][0-9])")


def time_of_day(value: object) -> time:
    """`22:00` as a time of the office's clock; raises Mistake."""
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        expected = Text("钟点 00:00 到 23:59，如 22:00", "a time of day 00:00 to 23:59, e.g. 22:00")
        raise Mistake(expected_found(expected, value), suggestion("00:00", ["00:00"]) if value == "24:00" else None)
    return time(int(found[1]), int(found[2]))


# --- the types ------------------------------------------------------------------------------------------------


def _schema_of_length(pattern: str, *examples: str, words: tuple[str, ...] = ()) -> WithJsonSchema:
    text: dict[str, Any] = {
        "type": "string",
        "pattern": pattern,
        "patternErrorMessage": f"写数字加单位，如 {'、'.join(examples)} / a number and a unit",
        "examples": list(examples),
    }
    return WithJsonSchema(text if not words else {"anyOf": [{"enum": list(words)}, text]})


_LENGTH_SCHEMA = _schema_of_length(ONE_LENGTH, "15 日", "5 工作日", "3 月", "24 小时", "4 工作小时")
MOMENT_EXAMPLES = [
    "start",
    "start + 50%",
    "due - 3 工作日 09:00",
    "due 09:00",
    "due + 1 工作日 09:00",
    "到期前 3 工作日 09:00",
    "到期后 1 工作日 09:00",
    "起算后 2 日",
    "review 09:00",
    "acknowledged_at + 5 工作日",
]

Length = Annotated[Duration, PlainValidator(_length), _LENGTH_SCHEMA]
PositiveLength = Annotated[Duration, PlainValidator(_positive_length), _LENGTH_SCHEMA]
WithinLength = Annotated[
    Duration, PlainValidator(positive_within), _schema_of_length(WITHIN, "4 工作小时", "2 小时", "1 工作日")
]
LimitLength = Annotated[
    Duration,
    PlainValidator(_limit_length),
    _schema_of_length(WITHIN, "15 日", "5 工作日", "60 日", "3 月", "2 小时", words=(*SAME_DAY_WORDS, UNSET)),
]
OneOfLengths = Annotated[
    Duration,
    PlainValidator(_of_a_limit),
    _schema_of_length(WITHIN, "7 日", "5 工作日", "2 小时", words=SAME_DAY_WORDS),
]
WaitLength = Annotated[
    Duration,
    PlainValidator(_counted_in("分钟或小时（如 30 分钟）", "minutes or hours (30 minutes)", Unit.HOUR)),
    _schema_of_length(WAIT, "30 分钟", "2 小时"),
]
RecurLength = Annotated[
    Duration,
    PlainValidator(
        _counted_in(
            "日、工作日、月或年", "days, workdays, months or years", Unit.DAY, Unit.WORKDAY, Unit.MONTH, Unit.YEAR
        )
    ),
    _schema_of_length(EVERY_SO_MANY_DAYS, "1 月", "7 日"),
]
MomentText = Annotated[
    Moment,
    PlainValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": MOMENT,
            "patternErrorMessage": "写 start、due - 3 工作日 09:00、到期后 1 工作日、acknowledged_at + 2 日 / a moment",
            "examples": MOMENT_EXAMPLES,
        }
    ),
]
TimeOfDay = Annotated[
    time,
    PlainValidator(time_of_day),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\s*([01]?[0-9]|2[0-3])[:：][0-5][0-9]\s*$",
            "patternErrorMessage": "写钟点，如 22:00 / a time of day such as 22:00",
            "examples": ["22:00", "07:30"],
        }
    ),
]
