"""Say in plain words what a schema check found wrong, with the path of the key and what was probably meant.

The order is always: what was expected, what was found, did you mean. Values that may be secret are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr

from policies.errors import KeyPath, Problem
from policies.spelling import suggestion, wide_mark
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Hidden = Callable[[object], bool]

LONGEST_SHOWN = 40
_PRIVATE_NAME = re.compile(r"pass(word|wd)?|secret|token|auth|credential|(^|_)key$|url$|mobile|e?mail", re.IGNORECASE)
_PERSONAL = re.compile(r"@\w|1[3-9]\d{9}|\d{17}[\dXx]")  # a mailbox, a mobile, an identity card
_BILINGUAL = re.compile(r"(?P<zh>.*[\u4e00-\u9fff].*) / (?P<en>.+)", re.DOTALL)


class Mistake(ValueError):
    """Raised inside a schema's validators: a sentence of ours instead of the library's."""

    def __init__(self, message: Text, hint: Text | None = None) -> None:
        super().__init__(message.en)
        self.message = message
        self.hint = hint


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    tree: object,
    *,
    under: KeyPath = (),
    hidden: Hidden = lambda _: False,
    beside: Sequence[str] = (),
) -> list[Problem]:
    """Every mistake of one validation as a Problem; `under` is put before each path.

    `tree` is what was validated. `hidden` tells values that must not be shown. `beside` are keys that may stand at its
    top though the model does not know them.
    """
    found: dict[KeyPath, list[Problem]] = {}
    shapes: dict[KeyPath, list[_Shape]] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(tree, detail["loc"], detail["type"])
        shape = _SHAPES.get(detail["type"])
        if shape is not None:
            shapes.setdefault(path, []).append(shape)
            continue
        problem = _problem(detail, path, model, hidden, beside)
        if problem not in found.setdefault(path, []):
            found[path].append(problem)
    for path, expected in shapes.items():
        # Of a choice (text or mapping) only the branch with the right shape has mistakes further in.
        if not any(other[: len(path)] == path for other in found):
            found[path] = [_wrong_shape(expected, _at(tree, path), path, hidden)]
    return [
        Problem((*under, *problem.path), problem.message, problem.hint)
        for problems in found.values()
        for problem in problems
    ]


def shown(value: object) -> Text:
    """A found value in few words, for a message."""
    if value is None:
        return Text("空", "nothing")
    if isinstance(value, bool):
        return _apart("true" if value else "false")
    if isinstance(value, str):
        cut = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
        return Text(f"“{cut}”", f'"{cut}"') if value else Text("空文字", "an empty text")
    if isinstance(value, dict):
        return Text("映射", "a mapping")
    if isinstance(value, list | tuple):
        return Text("列表", "a list")
    return _apart(str(value)[:LONGEST_SHOWN])


def expected_found(expected: Text, value: object) -> Text:
    """`应为…，实为…`: the sentence most mistakes have."""
    found = shown(value)
    return Text(f"应为{expected.zh}，实为{found.zh}", f"expected {expected.en}, found {found.en}")


def one_of(names: Sequence[str]) -> Text:
    """A closed list of words."""
    return Text(" " + "、".join(names) + (" 之一" if len(names) > 1 else ""), ", ".join(names[:-1]) + _or(names))


def _or(names: Sequence[str]) -> str:
    return (" or " if len(names) > 1 else "") + names[-1] if names else ""


def _apart(text: str) -> Text:
    """A word in Latin letters or figures: set apart by a blank in Chinese."""
    return Text(f" {text}", text)


# --- paths --------------------------------------------------------------------------------------------------


def _path_in(tree: object, loc: tuple[int | str, ...], kind: str) -> KeyPath:
    """The library's location without its names of choices and validators: only parts that are in the file."""
    path: list[str | int] = []
    node = tree
    for index, part in enumerate(loc):
        if _holds(node, part):
            path.append(part)
            node = cast("Any", node)[part]
        elif (kind == "missing" and index == len(loc) - 1) or _is_default(node, part, kind):
            path.append(part)
            node = dict[str, object]()
    return tuple(path)


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(cast("list[object]", node))


def _is_default(node: object, part: str | int, kind: str) -> bool:
    """Whether our own check refused a value that is not in the file but is what a left-out key stands for."""
    return kind == "value_error" and isinstance(node, dict) and isinstance(part, str) and part.isidentifier()


def _at(tree: object, path: KeyPath) -> object:
    node: Any = tree
    for part in path:
        node = node[part]
    return node


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that may stand beside the last one of the path."""
    types: list[Any] = [model]
    for part in path[:-1]:
        types = [inner for outer in types for inner in _inside(outer, part)]
    names: dict[str, None] = {}
    for kind in types:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names.update({field.alias or name: None for name, field in kind.model_fields.items()})
    return list(names)


def _inside(outer: Any, part: str | int) -> Iterator[Any]:  # noqa: ANN401 - a type expression has no type
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        for name, field in outer.model_fields.items():
            if part in (name, field.alias):
                yield from _choices(field.annotation)
        return
    arguments = get_args(outer)
    if get_origin(outer) in (dict, Mapping):
        yield from _choices(arguments[1])
    elif isinstance(part, int) and arguments:
        for argument in arguments:
            yield from _choices(argument)


def _choices(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - a type expression has no type
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif origin in (dict, list, tuple, set, frozenset, Mapping, Sequence):
        yield annotation
    elif get_args(annotation) and not isinstance(annotation, type):
        for argument in get_args(annotation):
            yield from _choices(argument)
    else:
        yield annotation


# --- sentences ----------------------------------------------------------------------------------------------

_Shape = Text
_SHAPES: dict[str, Text] = {
    "string_type": Text("文字", "text"),
    "string_sub_type": Text("文字", "text"),
    "bool_type": Text(" true 或 false", "true or false"),
    "bool_parsing": Text(" true 或 false", "true or false"),
    "int_type": Text("整数", "a whole number"),
    "int_parsing": Text("整数", "a whole number"),
    "int_from_float": Text("整数", "a whole number"),
    "int_parsing_size": Text("整数", "a whole number"),
    "float_type": Text("数字", "a number"),
    "float_parsing": Text("数字", "a number"),
    "finite_number": Text("有限的数字", "a finite number"),
    "list_type": Text("列表", "a list"),
    "tuple_type": Text("列表", "a list"),
    "set_type": Text("列表", "a list"),
    "frozen_set_type": Text("列表", "a list"),
    "dict_type": Text("映射（键: 值）", "a mapping (key: value)"),
    "mapping_type": Text("映射（键: 值）", "a mapping (key: value)"),
    "model_type": Text("映射（键: 值）", "a mapping (key: value)"),
    "model_attributes_type": Text("映射（键: 值）", "a mapping (key: value)"),
    "dataclass_type": Text("映射（键: 值）", "a mapping (key: value)"),
    "date_type": Text("日期，如 2026-10-08", "a date such as 2026-10-08"),
    "date_parsing": Text("日期，如 2026-10-08", "a date such as 2026-10-08"),
    "date_from_datetime_parsing": Text("日期，如 2026-10-08", "a date such as 2026-10-08"),
    "time_type": Text("钟点，如 09:00", "a time of day such as 09:00"),
    "time_parsing": Text("钟点，如 09:00", "a time of day such as 09:00"),
    "url_type": Text("网址", "a URL"),
    "url_parsing": Text("网址", "a URL"),
    "none_required": Text("空", "nothing"),
}

_BOUNDS: dict[str, tuple[str, str, str]] = {
    # type -> (name of the bound, Chinese, English)
    "greater_than": ("gt", "大于 {0} 的数", "a number greater than {0}"),
    "greater_than_equal": ("ge", "不小于 {0} 的数", "a number not less than {0}"),
    "less_than": ("lt", "小于 {0} 的数", "a number less than {0}"),
    "less_than_equal": ("le", "不大于 {0} 的数", "a number not greater than {0}"),
    "multiple_of": ("multiple_of", "{0} 的倍数", "a multiple of {0}"),
    "string_too_long": ("max_length", "不超过 {0} 个字的文字", "text of at most {0} characters"),
    "string_pattern_mismatch": ("pattern", "符合 {0} 的文字", "text that matches {0}"),
    "url_scheme": ("expected_schemes", "以 {0} 开头的网址", "a URL that begins with {0}"),
    "union_tag_invalid": ("expected_tags", "{0} 之一", "one of {0}"),
}


def _problem(
    detail: ErrorDetails, path: KeyPath, model: type[BaseModel], hidden: Hidden, beside: Sequence[str]
) -> Problem:
    kind, value = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if kind == "missing":
        return Problem(path, Text(f"缺少必填项“{path[-1]}”", f'"{path[-1]}" is missing'))
    if kind == "extra_forbidden":
        return _unknown_key(path, model, beside)
    ours = context.get("error")
    if isinstance(getattr(ours, "message", None), Text):
        return Problem(path, cast("Mistake", ours).message, getattr(ours, "hint", None))
    if kind in ("literal_error", "enum"):
        return _unknown_word(path, value, str(context.get("expected", "")), hidden)
    return Problem(path, _sentence(kind, context, _visible(value, path, hidden), detail["msg"]))


def _sentence(kind: str, context: Mapping[str, Any], value: object, technical: str) -> Text:
    if kind in _BOUNDS:
        name, zh, en = _BOUNDS[kind]
        bound = context.get(name)
        bound = f"{bound:g}" if isinstance(bound, float) else bound
        return expected_found(Text(zh.format(bound), en.format(bound)), value)
    if kind == "string_too_short" or (kind == "too_short" and value in ([], {}, ())):
        return Text("不能为空", "must not be empty")
    if kind in ("too_short", "too_long"):
        least = kind == "too_short"
        bound = context.get("min_length" if least else "max_length")
        return Text(
            f"应{'至少' if least else '至多'}有 {bound} 项，实有 {context.get('actual_length')} 项",
            f"expected at {'least' if least else 'most'} {bound} items, found {context.get('actual_length')}",
        )
    if kind == "value_error":
        cause = str(context.get("error", technical))
        if both := _BILINGUAL.fullmatch(cause):
            return Text(both["zh"], both["en"])
        return Text(f"不能用：{cause}", cause)
    return Text(f"不能用：{technical}", technical)


def _unknown_key(path: KeyPath, model: type[BaseModel], beside: Sequence[str]) -> Problem:
    key, known = str(path[-1]), [*_known_keys(model, path), *(beside if len(path) == 1 else ())]
    hint = _glued(key, known) or wide_mark(key) or _in_english(key, known) or suggestion(key, known)
    if hint is None and known:
        hint = Text(f"可写的有：{'、'.join(known)}", f"known are: {', '.join(known)}")
    name = shown(key)
    return Problem(path, Text(f"不认识的配置项{name.zh}", f"unknown key {name.en}"), hint)


def _glued(key: str, known: Sequence[str]) -> Text | None:
    """`at:due` and `to：handler` inside braces are read as one word: the colon is none."""
    for colon, zh, en in (
        (":", "的冒号后面要空一格", "needs a blank after its colon"),
        ("：", "后面是全角“：”，应改成英文冒号“:”，后面空一格", 'has a full-width colon: write ":" and a blank'),
    ):
        name, found, _ = key.partition(colon)
        if found and name.strip() in known:
            return Text(f"“{name.strip()}”{zh}", f'"{name.strip()}" {en}')
    return None


# What an office calls the keys of a policy; only those that may stand at that place are suggested.
_IN_CHINESE: Mapping[str, tuple[str, ...]] = {
    key: tuple(words.split())
    for key, words in {
        "applies_to": "适用 适用范围 范围",
        "title": "名称 标题",
        "basis": "依据",
        "start": "起算 开始",
        "within": "期限 时限 长度 多久",
        "done": "办完 办结 完成",
        "ladder": "阶梯",
        "limits": "时限 期限",
        "ladders": "阶梯",
        "lights": "灯 亮灯",
        "steps": "梯级 步骤",
        "at": "时刻 时间",
        "to": "发给 收件人 主送",
        "cc": "抄送",
        "say": "模板 内容",
        "via": "通道",
        "repeat": "重复",
        "acknowledge": "签收",
        "quiet_hours": "免打扰",
        "restricted": "限制知悉",
        "extension": "延期",
        "pause": "中止",
        "tests": "测试",
        "roles": "角色",
        "chain": "上级链",
        "may_choose": "可选 可选择 偏好",
        "in_doubt": "存疑 结果不明",
        "then": "此后 然后 签收后",
        "act_within": "办理期限 办理时限",
        "console": "网页端 网页",
        "link_days": "链接天数 链接有效期",
        "links": "链接",
        "replies": "回复 上行",
        "words": "换词 中性说法 替换词",
        "price": "价格 单价",
        "budget": "预算",
        "per_person": "每人 每人条数",
        "same_text": "同一内容",
        "different_texts": "不同内容",
        "total": "总数 总条数",
        "calls": "回调",
        "receipts": "回执",
        "proof": "认定 验证",
        "providers": "服务商",
    }.items()
}


def _in_english(key: str, known: Sequence[str]) -> Text | None:
    meant = next((name for name in known if key in _IN_CHINESE.get(name, ())), None)
    return None if meant is None else Text(f"应写“{meant}”", f'write "{meant}"')


def _unknown_word(path: KeyPath, value: object, expected: str, hidden: Hidden) -> Problem:
    known = re.findall(r"'([^']*)'", expected) or [expected]
    hint = suggestion(value, known) if isinstance(value, str) and not hidden(value) else None
    return Problem(path, expected_found(one_of(known), _visible(value, path, hidden)), hint)


_YES_NO: dict[str, str] = dict.fromkeys(("yes", "on", "y", "是"), "true")
_YES_NO.update((word, "false") for word in ("no", "off", "n", "否"))


def _wrong_shape(expected: Sequence[Text], value: object, path: KeyPath, hidden: Hidden) -> Problem:
    names = list(dict.fromkeys(expected))
    wanted = Text("或".join(name.zh for name in names), " or ".join(name.en for name in names))
    hint = None
    if _SHAPES["bool_type"] in names and isinstance(value, str) and value.lower() in _YES_NO:
        meant = _YES_NO[value.lower()]
        hint = Text(f"是不是想写“{meant}”？", f'did you mean "{meant}"?')
    return Problem(path, expected_found(wanted, _visible(value, path, hidden)), hint)


class _NotShown:
    def __str__(self) -> str:
        return "***"


def _visible(value: object, path: KeyPath, hidden: Hidden) -> object:
    """The value, or stars if it may be a secret."""
    names = (part for part in path if isinstance(part, str))
    if isinstance(value, str | int | float | SecretStr) and (
        isinstance(value, SecretStr)
        or hidden(value)
        or _PERSONAL.search(str(value))
        or any(_PRIVATE_NAME.search(name) for name in names)
    ):
        return _NotShown()
    return value
