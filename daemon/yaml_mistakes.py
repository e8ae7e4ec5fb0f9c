"""What is wrong with a file that is no YAML, in plain words and at the line where the writer slipped.

The parser tells where it could not go on, often a line too late. Most slips are of a few kinds: a full-width colon,
comma, bracket or blank left over from writing Chinese, no blank after a colon, wrong indentation. Each is looked for
in the lines around, and named at its own place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    import yaml

Mark = tuple[int, int]  # line and column, from 1

FULL_WIDTH_COLON = Text(
    "这里是全角“：”，应改成英文冒号“:”，后面空一格", 'this is the full-width colon: write ":" and a blank'
)
NO_BLANK = Text("冒号后面要空一格", "a blank must follow the colon")
_NO_COLON = Text("这一行没有冒号，应为“键: 值”", 'this line has no colon, expected "key: value"')
_NARROW = dict(zip("，；｛｝【】［］（）“”‘’", ",;{}[][]{}\"\"''", strict=True))

_SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("cannot start any token", "这里不能用这个字符", "this character cannot stand here"),
    (
        "mapping values are not allowed",
        "这里不应有冒号：多半是这一行或上一行缩进不对，或上一行少了引号",
        "no colon was expected here: wrong indentation here or in the line above, or quotes missing",
    ),
    ("could not find expected ':'", "应为“键: 值”，这里没有冒号", 'expected "key: value", found no colon'),
    (
        "did not find expected ',' or ']'",
        "列表应以“]”结束、各项以“,”分隔",
        "expected a list to end with ] and its items to be separated by ,",
    ),
    (
        "did not find expected ',' or '}'",
        "花括号应以“}”结束、各项以“,”分隔",
        "expected a mapping to end with } and its items to be separated by ,",
    ),
    (
        "did not find expected key",
        "这里应为一个键：多半是缩进与上文不齐",
        "expected a key here: the indentation does not match the lines above",
    ),
    (
        "did not find expected '-' indicator",
        "这里应为“- ”开头的一项：多半是缩进与上文不齐",
        'expected an item beginning with "- ": the indentation does not match',
    ),
    ("unexpected end of stream", "引号没有结束", "a quotation mark is not closed"),
    (
        "block sequence entries are not allowed",
        "这里不应有“- ”开头的一项：多半是缩进不对",
        'no item beginning with "- " was expected here: check the indentation',
    ),
    ("control characters are not allowed", "文件里有不可见的控制字符", "the file holds an invisible control character"),
    ("special characters are not allowed", "文件里有不可见的控制字符", "the file holds an invisible control character"),
    ("nested too deeply", "嵌套太深", "nested too deeply"),
    ("too many aliases", "引用（*名称）展开后太大", "the aliases (*name) expand to too much"),
)


def what_is_wrong(error: yaml.YAMLError, text: str) -> tuple[Mark, Text]:
    """Where the writer slipped (line and column from 1) and how to put it right."""
    technical = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "?")
    line, column = _place(error, technical, text)
    lines = text.splitlines()
    row = lines[line] if line < len(lines) else ""
    if "\t" in row[: column + 1] and not row[:column].strip():
        return (
            (line + 1, column + 1),
            Text("缩进应用空格，这里是制表符（Tab）", "expected blanks as indentation, found a tab"),
        )
    slip = _slip(technical, lines, line, column, getattr(error, "context_mark", None))
    if slip is not None:
        return slip[0], _broken(slip[1])
    for sign, zh, en in _SYNTAX:
        if sign in technical:
            return (line + 1, column + 1), _broken(Text(zh, en))
    return (line + 1, column + 1), _broken(Text(technical, technical))


def _broken(what: Text) -> Text:
    return Text(f"YAML 写法有误：{what.zh}", f"broken YAML: {what.en}")


def _place(error: yaml.YAMLError, technical: str, text: str) -> Mark:
    """Line and column (from 0): where the parser stumbled, or where what never ends, or has no colon, begins."""
    mark = getattr(error, "problem_mark", None)
    if mark is None or "unexpected end of stream" in technical or "expected ':'" in technical:
        mark = getattr(error, "context_mark", None) or mark
    return _unreadable(error, text) if mark is None else (mark.line, mark.column)


def _unreadable(error: yaml.YAMLError, text: str) -> Mark:
    """Line and column (from 0) of a character the reader refuses; it only tells how far it had come."""
    position = getattr(error, "position", None)
    before = text[: position if isinstance(position, int) and position > 0 else 0]
    bad = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
    if bad is not None:
        before = text[: bad.start()]
    return before.count("\n"), len(before) - before.rfind("\n") - 1


# --- slips ----------------------------------------------------------------------------------------------------

_WIDE_BLANK = re.compile(r"[ ]*(?:- +)?(?P<place>[\u3000\u00a0])")
_WIDE_COLON = re.compile(r"(?:^ *(?:- +)?|[{,，][ ]*)\w[\w.-]*(?P<place>：)")
_GLUED = re.compile(r"(?:^ *(?:- +)?|[{,，][ ]*)[^\W\d][\w.-]*:(?P<place>[^\s/:{}\[\],])")
_DASH = re.compile(r" *(?P<place>[－—–](?= |[{\w])|-(?=[{\w]))")
_WIDE_MARK = re.compile(f"(?P<place>[{''.join(_NARROW)}])[^{''.join(_NARROW)}]*$")  # the last one
_WIDE_OPENING = re.compile(r"(?<=: )(?P<place>[｛【［（“‘])")
_WIDE_CLOSING = re.compile(r"(?P<place>[｝】］）])[^｝】］）]*$")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|(?:^|\s)#.*")


def _slip(
    technical: str, lines: list[str], line: int, column: int, context: yaml.Mark | None
) -> tuple[Mark, Text] | None:
    """The slip that made the parser stumble at this place (from 0), if it is one of those that can be told for sure."""
    rows = [_bare(row) for row in lines]
    row = rows[line] if line < len(rows) else ""
    if "mapping values are not allowed" in technical:
        above = next((number for number in range(min(line, len(rows)) - 1, -1, -1) if rows[number].strip()), None)
        return (
            (None if above is None else _in_key(rows[above], above))
            or _in_key(row, line)
            or _wide(_WIDE_OPENING.search(row), line)
            or (None if above is None else _without_colon(rows[above], above))
        )
    if "did not find expected ',' or" in technical and context is not None:
        if context.line == line:
            return _wide(_WIDE_MARK.search(row[:column]), line)
        opened = rows[context.line]
        return _wide(_WIDE_CLOSING.search(opened), context.line) or (
            (context.line + 1, context.column + 1),
            _unclosed(opened[context.column : context.column + 1]),
        )
    return _in_key(row, line) if "expected" in technical else None


def _bare(row: str) -> str:
    """The line without what may hold anything: quoted words and comments are blanked out."""
    return _QUOTED.sub(lambda found: " " * len(found[0]), row)


def _in_key(row: str, line: int) -> tuple[Mark, Text] | None:
    """A slip at the key a line begins with: its blanks, its colon, its dash."""
    if found := _WIDE_BLANK.match(row):
        wide = Text("行首是全角空格，应改成半角空格", "the line begins with a full-width blank: use plain blanks")
        return _at(found, line), wide
    if found := _WIDE_COLON.search(row):
        return _at(found, line), FULL_WIDTH_COLON
    if found := _GLUED.search(row):
        return _at(found, line), NO_BLANK
    if found := _DASH.match(row):
        dash = Text("一项应以半角“-”开头，后面空一格", 'an item begins with "-" and a blank')
        return _at(found, line), dash
    return None


def _wide(found: re.Match[str] | None, line: int) -> tuple[Mark, Text] | None:
    """A full-width mark where an English one was meant."""
    if found is None:
        return None
    wide = found["place"]
    narrow = _NARROW[wide]
    return _at(found, line), Text(
        f"这里的 {wide} 是全角的，应改成半角的 {narrow}", f"{wide} is full-width: write {narrow}"
    )


def _without_colon(row: str, line: int) -> tuple[Mark, Text] | None:
    plain = row.strip()
    if not plain or ":" in plain or plain[0] in "-#[{":
        return None
    return (line + 1, len(row) - len(row.lstrip()) + 1), _NO_COLON


def _unclosed(bracket: str) -> Text:
    close = "]" if bracket == "[" else "}"
    return Text(
        f"这里的“{bracket}”没有结束：缺“{close}”，或各项之间缺“,”",
        f"this {bracket} does not end: {close} is missing, or a comma between its items",
    )


def _at(found: re.Match[str], line: int) -> Mark:
    return line + 1, found.start("place") + 1
