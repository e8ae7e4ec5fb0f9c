"""Conditions as an administrator writes them: `applies_to` of cases, `when` and `unless` of steps.

`applies_to` asks fields of the case only. A step may also ask the history by the words of
`policies.conditions.HISTORY_WORDS`; each of those takes only what it can be answered with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import AfterValidator, PlainValidator, ValidationInfo, WithJsonSchema

from policies.complaints import Mistake, expected_found, one_of, shown
from policies.conditions import HISTORY_WORDS, WordKind
from policies.language.words import LIGHTS, Misplaced, Name, items, meant_or_known, names_in, refuse_at, refuse_unknown
from policies.model import Condition, Scalar
from policies.spelling import suggestion
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

BOUNDS = ("at_least", "at_most")

# What the editor says of each word; the words themselves and their kinds are those of the rules.
DESCRIPTIONS: Mapping[str, str] = {
    "light": "现在的灯：green、yellow、orange、red / the light it has now",
    "overdue": "已超过法定期限 / past the legal limit",
    "platform_overdue": "已超过平台期限 / past the platform's limit",
    "acknowledged": "已签收 / somebody acknowledged it",
    "delivered": "前面的通知已送达 / an earlier notice was delivered",
    "read": "前面的通知已读 / an earlier notice was read",
    "acted": "已有办理动作 / the handler has acted",
    "handbacks": "申请退回的次数 / how often it was handed back",
    "transfers": "转办的次数 / how often it was handed over",
    "days_open": "起算当天以来的自然日数 / natural days since the day of the start",
    "days_left": "离到期还有几个工作日，过期后为负 / working days to the limit, negative after it",
    "extended": "已延期 / was extended",
    "provisional": "期限暂定：当年放假通知未公布 / counted before the year's holidays were published",
    "start_assumed": "起算时间是推定的 / the start is assumed",
    "repeat": "重复信访 / repeats an earlier case",
    "first_time": "初次信访 / does not repeat an earlier case",
    "breached": "曾经超过法定期限 / was past the legal limit once",
}


# --- one test -------------------------------------------------------------------------------------------------

_EXPECTED = Text("一个值、列表、{not: 值} 或 {at_least: 2}", "a value, a list, {not: value} or {at_least: 2}")


def read_test(value: object) -> Condition:
    """`求决`, `[省, 市]`, `{not: …}` or `{at_least: 2, at_most: 5}`; the condition has no field yet.

    Only in a list does `null` mean a field without a value; `kind:` with nothing behind it is a slip.
    """
    if isinstance(value, dict):
        return _mapping(cast("dict[str, object]", value))
    several = items(value)
    if not several:
        raise Mistake(expected_found(_EXPECTED, value))
    for item in several:
        if not isinstance(item, str | int | float | bool) and not (item is None and isinstance(value, list)):
            raise Mistake(expected_found(_EXPECTED, item))
    return Condition("", tuple(cast("list[Scalar]", several)))


def _mapping(entries: dict[str, object]) -> Condition:
    wrong = next((key for key in entries if key not in ("not", *BOUNDS)), None)
    if wrong is not None or not entries:
        expected = Text(" {not: 值} 或 {at_least: 2}", "{not: value} or {at_least: 2}")
        hint = None if wrong is None else suggestion(wrong, ["not", *BOUNDS])
        raise Mistake(expected_found(expected, entries if wrong is None else wrong), hint)
    if "not" not in entries:
        return _bounds(entries)
    if len(entries) > 1:
        raise Mistake(
            Text(
                "“not”不能和 at_least、at_most 写在一起，应为 {not: {at_least: 2}} 这样",
                '"not" cannot stand beside at_least or at_most; write {not: {at_least: 2}}',
            )
        )
    inner = read_test(entries["not"])
    if inner.negate:
        raise Mistake(Text("“not”里不能再写“not”", '"not" cannot stand inside "not"'))
    return Condition("", inner.values, negate=True, at_least=inner.at_least, at_most=inner.at_most)


def _bounds(entries: dict[str, object]) -> Condition:
    least, most = (_figure(key, entries[key]) if key in entries else None for key in BOUNDS)
    if least is not None and most is not None and least > most:
        raise Mistake(
            Text(
                f"at_least（{least:g}）大于 at_most（{most:g}），永远不会满足",
                f"at_least ({least:g}) is more than at_most ({most:g}): nothing can fit",
            )
        )
    return Condition("", at_least=least, at_most=most)


def _figure(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Mistake(expected_found(Text(f"数字（{key}: 2）", f"a figure ({key}: 2)"), value))
    return float(value)


# --- what a word of the history may be asked --------------------------------------------------------------------


_LIGHTS_IN_CHINESE = {"绿": "green", "黄": "yellow", "橙": "orange", "红": "red"}


def read_light(value: object) -> Condition:
    """`red`, `[orange, red]`, `{not: green}`."""
    test = read_test(value)
    for found in test.values:
        if found not in LIGHTS:
            meant = _LIGHTS_IN_CHINESE.get(str(found).removesuffix("灯").removesuffix("色"), str(found))
            raise Mistake(expected_found(one_of(LIGHTS), found), suggestion(meant, LIGHTS))
    if not test.values:
        raise Mistake(expected_found(one_of(LIGHTS), value))
    return test


def read_flag(value: object) -> Condition:
    """`true`, `false`."""
    test = read_test(value)
    if not test.values or not all(isinstance(found, bool) for found in test.values):
        wrong = next((found for found in test.values if not isinstance(found, bool)), value)
        raise Mistake(expected_found(Text(" true 或 false", "true or false"), wrong))
    return test


def read_figure(value: object) -> Condition:
    """`2`, `{at_least: 2}`, `{not: {at_most: 1}}`."""
    test = read_test(value)
    for found in test.values:
        if isinstance(found, bool) or not isinstance(found, int | float):
            expected = Text("数字，如 2 或 {at_least: 2}", "a figure such as 2 or {at_least: 2}")
            raise Mistake(expected_found(expected, found))
    return test


_READERS = {WordKind.LIGHT: read_light, WordKind.FLAG: read_flag, WordKind.FIGURE: read_figure}


# --- the mappings -----------------------------------------------------------------------------------------------

_WORDS_EXPECTED = Text(
    "一个词、词的列表或映射，如 acknowledged、[acknowledged, read]、{light: red}",
    "a word, a list of words or a mapping, such as acknowledged, [acknowledged, read] or {light: red}",
)


_BARE = object()  # what a word alone asks


def _step_conditions(value: object, info: ValidationInfo) -> tuple[Condition, ...]:
    """`acknowledged`, `[acknowledged, read]` or `{light: red, handbacks: {at_least: 2}}`."""
    asked: list[tuple[str, object, tuple[str | int, ...]]]
    if isinstance(value, dict):
        asked = [(word, test, (word,)) for word, test in cast("dict[str, object]", value).items()]
    else:
        words = items(value)
        wrong = next((word for word in words if not isinstance(word, str)), None)
        if wrong is not None or value is None:
            raise Mistake(expected_found(_WORDS_EXPECTED, wrong))
        asked = [(str(word), _BARE, (index,) if isinstance(value, list) else ()) for index, word in enumerate(words)]
    if not asked:
        raise Mistake(Text("不能为空", "must not be empty"))
    found: list[Condition] = []
    mistakes: list[Misplaced] = []
    for word, test, place in asked:
        try:
            found.append(_step_condition(word, test, names_in(info).known.fields))
        except ValueError as mistake:
            mistakes.append((place, mistake))
    refuse_at(mistakes)
    return tuple(found)


def _step_condition(word: str, test: object, fields: Collection[str] | None) -> Condition:
    """One word of the history or field of the case and what it is asked; a bare word asks whether it is so."""
    kind = HISTORY_WORDS.get(word, WordKind.FLAG)
    if test is _BARE and kind is not WordKind.FLAG:
        example = f"{{{word}: red}}" if kind is WordKind.LIGHT else f"{{{word}: {{at_least: 2}}}}"
        raise Mistake(
            Text(f"“{word}”不能单独写，要写明多少，如 {example}", f'"{word}" needs to say how much, e.g. {example}')
            if kind is WordKind.FIGURE
            else Text(f"“{word}”不能单独写，要写明哪个灯，如 {example}", f'"{word}" needs to say which, e.g. {example}')
        )
    test = True if test is _BARE else test
    if word in HISTORY_WORDS:
        return _named(word, _READERS[HISTORY_WORDS[word]](test))
    if fields is None or word in fields:
        return _named(word, read_test(test))
    found = shown(word)
    raise Mistake(
        Text(
            f"{found.zh}既不是案件字段，也不是 when、unless 能问的词",
            f"{found.en} is neither a case field nor a word that when and unless can ask",
        ),
        meant_or_known(word, {*HISTORY_WORDS, *fields}),
    )


def _case_field(word: str, info: ValidationInfo) -> str:
    fields = names_in(info).known.fields
    if word in HISTORY_WORDS and fields is not None and word not in fields:
        raise Mistake(
            Text(
                f"“{word}”问的是办理经过，只能写在梯级的 when、unless 里；applies_to 只问案件字段",
                f'"{word}" asks the history and can stand in the when and unless of a step only; applies_to asks '
                "fields of the case",
            )
        )
    refuse_unknown(word, fields, "案件字段", "case field")
    return word


def _named(name: str, test: Condition) -> Condition:
    return Condition(name, test.values, test.negate, test.at_least, test.at_most)


def conditions(written: Mapping[str, Condition]) -> tuple[Condition, ...]:
    """The conditions of `applies_to`, each with its field."""
    return tuple(_named(name, test) for name, test in written.items())


# --- the types ------------------------------------------------------------------------------------------------


def _test_schema(one: Mapping[str, Any], *, bounds: bool) -> dict[str, Any]:
    """One value, several, none of them, or bounds for a figure."""
    plain: list[dict[str, Any]] = [dict(one), {"type": "array", "items": dict(one), "minItems": 1}]
    figures = {
        "type": "object",
        "properties": {
            "at_least": {"type": "number", "description": "至少 / at least"},
            "at_most": {"type": "number", "description": "至多 / at most"},
        },
        "minProperties": 1,
        "additionalProperties": False,
    }
    inside = [*plain, figures] if bounds else plain
    negated = {
        "type": "object",
        "properties": {"not": {"anyOf": inside, "description": "都不是 / none of these"}},
        "required": ["not"],
        "additionalProperties": False,
    }
    return {"anyOf": [*inside, negated]}


_OF_FIELD = _test_schema({"type": ["string", "number", "boolean", "null"]}, bounds=True)
_OF_KIND = {
    WordKind.LIGHT: _test_schema({"enum": list(LIGHTS)}, bounds=False),
    WordKind.FLAG: _test_schema({"type": "boolean"}, bounds=False),
    WordKind.FIGURE: _test_schema({"type": "number"}, bounds=True),
}
_FLAGS = [word for word, kind in HISTORY_WORDS.items() if kind is WordKind.FLAG]
_ONE_WORD = {"anyOf": [{"enum": _FLAGS}, {"type": "string"}]}
_STEP_SCHEMA = {
    "anyOf": [
        _ONE_WORD,
        {"type": "array", "items": _ONE_WORD, "minItems": 1},
        {
            "type": "object",
            "properties": {
                word: {**_OF_KIND[kind], "description": DESCRIPTIONS[word]} for word, kind in HISTORY_WORDS.items()
            },
            "additionalProperties": _OF_FIELD,
            "minProperties": 1,
        },
    ],
    "examples": ["acknowledged", ["acknowledged", "read"], {"light": "red", "handbacks": {"at_least": 2}}],
}

CaseConditions = Annotated[
    dict[
        Annotated[Name, AfterValidator(_case_field)],
        Annotated[Condition, PlainValidator(read_test), WithJsonSchema(_OF_FIELD)],
    ],
    WithJsonSchema({"type": "object", "additionalProperties": _OF_FIELD, "examples": [{"kind": "求决"}]}),
]
StepConditions = Annotated[tuple[Condition, ...], PlainValidator(_step_conditions), WithJsonSchema(_STEP_SCHEMA)]
