"""Read one YAML file of an administrator: plain values, the place of every key, and every mistake in plain words.

Scalars are read as YAML 1.2 means them, so that `at: 10:30`, `no`, `0755` and `2026-01-02` stay text. Keys are
always text. Duplicate keys, tags, several documents and runaway aliases are refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import yaml

from daemon.errors import SettingsError
from daemon.yaml_mistakes import FULL_WIDTH_COLON, Mark, what_is_wrong
from policies.errors import Problem
from policies.spelling import did_you_mean, dotted
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.errors import KeyPath

__all__ = ["SecretText", "YamlFile", "did_you_mean", "located", "parse_yaml", "read_yaml", "reveal_secrets"]

MAX_BYTES = 10_000_000
MAX_DEPTH = 50  # no file of ours is nested more than ten deep
MAX_VALUES = 1_000_000  # after following aliases: a bomb of nine lines would make a billion


class SecretText(str):
    """A password or key that was fetched from elsewhere: shown as stars, so that no message can tell it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file as read. `marks` holds line and column (from 1) of each key and list item, by its path; `text` it all."""

    path: Path
    tree: dict[str, object] = field(repr=False)
    marks: Mapping[KeyPath, Mark] = field(default_factory=dict["KeyPath", Mark], repr=False)
    text: str = field(default="", repr=False)

    def mark(self, path: KeyPath) -> Mark:
        """Where that key stands; for one that is missing, where the nearest one around it stands."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))


def located(problem: Problem, file: YamlFile) -> Text:
    """`file:line:column: key.path: what is wrong, did you mean`, in both languages."""
    return _sentence(file.path, file.mark(problem.path), problem)


def read_yaml(path: Path) -> YamlFile:
    """Read a file whose top level is a mapping.

    Raises:
        SettingsError: it cannot be read, is not UTF-8, is empty, is too big or is not the YAML we accept;
            `problems` holds one located sentence for each mistake.
    """
    return parse_yaml(_decode(path, _read(path)), path)


def parse_yaml(text: str, path: Path) -> YamlFile:
    """The same for a text at hand; `path` is what mistakes are told of. Raises SettingsError."""
    reading = _Reading(path)
    try:
        tree = reading.run(text)
    except yaml.YAMLError as error:
        mark, message = what_is_wrong(error, text)
        raise _refused([*reading.mistakes(), _sentence(path, mark, Problem((), message))], path) from None
    if reading.problems:
        raise _refused(reading.mistakes(), path)
    if not isinstance(tree, dict):
        raise _refused([_sentence(path, (1, 1), _not_a_mapping(tree))], path)
    return YamlFile(path, cast("dict[str, object]", tree), reading.marks, text)


def reveal_secrets(file: YamlFile, environment: Mapping[str, str] | None = None) -> tuple[YamlFile, list[Problem]]:
    """Replace `{env: X}`, `{file: P}` and `{credential: N}` by what they name.

    A relative `file` is beside the YAML file; a credential is a file in `$CREDENTIALS_DIRECTORY` (systemd
    `LoadCredential=`). What cannot be fetched becomes a problem and an empty text.
    """
    search = _Secrets(file.path.parent, os.environ if environment is None else environment)
    tree = {key: search.reveal(value, (key,)) for key, value in file.tree.items()}
    return YamlFile(file.path, tree, file.marks), search.problems


# --- bytes and text -----------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            message = Text(
                f"文件应不超过 {MAX_BYTES // 1_000_000} MB，实际更大",
                f"expected a file of at most {MAX_BYTES // 1_000_000} MB, found a bigger one",
            )
            raise _refused([_sentence(path, None, Problem((), message))], path)
        return path.read_bytes()
    except OSError as error:
        problem = Problem((), _why(error))
    raise _refused([_sentence(path, None, problem)], path)


def _why(error: OSError) -> Text:
    if isinstance(error, FileNotFoundError):
        return Text("没有这个文件", "there is no such file")
    if isinstance(error, IsADirectoryError):
        return Text("应为文件，实为文件夹", "expected a file, found a folder")
    if isinstance(error, PermissionError):
        return Text("没有读取权限", "no permission to read it")
    return Text(f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})")


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line_start = before.rfind(b"\n") + 1
        mark = (before.count(b"\n") + 1, len(before[line_start:].decode("utf-8", "replace")) + 1)
        message = Text("文件应为 UTF-8 编码，实际不是", "expected a file in UTF-8, found other bytes")
        hint = Text("多半是 GBK 编码，请另存为 UTF-8", "it is probably GBK or Windows-1252: save it as UTF-8")
        raise _refused([_sentence(path, mark, Problem((), message, hint))], path) from None


# --- YAML events to values ----------------------------------------------------------------------------------

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[1-9][0-9]*[eE][-+]?[0-9]+")


def _scalar(text: str) -> str | int | float | bool | None:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


@dataclass(slots=True)
class _Built:
    """A value, and how many values it holds and how deep it goes when every alias is followed."""

    value: object
    weight: int = 1
    height: int = 1

    def took(self, part: _Built) -> None:
        self.weight += part.weight
        self.height = max(self.height, part.height + 1)


class _Unbounded(yaml.YAMLError):
    """The file is well-formed, but nested or repeated beyond all use."""

    def __init__(self, problem: str, event: yaml.Event) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = event.start_mark


class _Reading:
    """Builds the tree of one document from parser events, noting marks and mistakes on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: dict[KeyPath, Mark] = {}
        self.problems: list[tuple[Mark, Problem]] = []
        self._anchors: dict[str, _Built] = {}
        self._events: Iterator[yaml.Event] = iter(())

    def mistakes(self) -> list[Text]:
        return [_sentence(self.path, mark, problem) for mark, problem in self.problems]

    def run(self, text: str) -> object:
        self._events = yaml.parse(text, Loader=yaml.CSafeLoader)
        tree: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._note(
                        event,
                        (),
                        "一个文件里应只有一份内容，实有“---”隔开的第二份",
                        "expected one document, found a second after ---",
                    )
                    break
                tree = self._build(next(self._events), (), 0).value
        return tree

    def _build(self, event: yaml.Event, path: KeyPath, depth: int) -> _Built:
        self.marks.setdefault(path, _mark_of(event))
        if depth > MAX_DEPTH:
            raise _Unbounded("nested too deeply", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, None if event.tag == "!" else event.tag, path)
            if "\0" in event.value:  # no path, address or database takes one
                self._note(event, path, "文字里不能有空字符（\\0）", "text must not hold a NUL character (\\0)")
            built = _Built(_scalar(event.value) if event.implicit[0] else event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._refuse_tag(event, event.tag, path)
            built = self._sequence(path, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            self._refuse_tag(event, event.tag, path)
            built = self._mapping(path, depth)
        else:
            raise AssertionError(event)  # noqa: TRY004 - the parser gives no other event here
        if built.weight > MAX_VALUES or built.height > MAX_DEPTH:
            raise _Unbounded("too many aliases", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _refuse_tag(self, event: yaml.Event, tag: str | None, path: KeyPath) -> None:
        if tag is not None:
            self._note(event, path, f"这里不能用标签“{tag}”", f'the tag "{tag}" is not allowed here')

    def _alias(self, event: yaml.AliasEvent, path: KeyPath) -> _Built:
        name = event.anchor or ""
        if name not in self._anchors:
            self._note(event, path, f"“*{name}”引用的锚点不存在", f'there is no anchor "&{name}" before this')
            return _Built(None)
        return self._anchors[name]

    def _sequence(self, path: KeyPath, depth: int) -> _Built:
        items: list[object] = []
        built = _Built(items)
        for event in self._until(yaml.SequenceEndEvent):
            item = self._build(event, (*path, len(items)), depth + 1)
            items.append(item.value)
            built.took(item)
        return built

    def _mapping(self, path: KeyPath, depth: int) -> _Built:
        entries: dict[str, object] = {}
        built = _Built(entries)
        empty: str | None = None  # the key before this one, if nothing stands behind it
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, path, depth)
            key_path = (*path, key)
            if key in entries:
                self._refuse_second(event, key_path, empty)
                key_path = (*path, key, "")  # the marks of the first one stay
            else:
                self.marks[key_path] = _mark_of(event)
            value = self._build(next(self._events), key_path, depth + 1)
            entries.setdefault(key, value.value)
            built.took(value)
            empty = key if value.value is None else None
        return built

    def _refuse_second(self, event: yaml.Event, path: KeyPath, empty: str | None) -> None:
        line, _ = self.marks[path]
        zh, en = f"这一项写了两次，第一次在第 {line} 行", f"this key appears twice, first in line {line}"
        if empty is not None:
            above, _ = self.marks[*path[:-1], empty]
            zh += f"；第 {above} 行“{empty}”下面是空的，多半是它缩进太深"
            en += f'; nothing stands under "{empty}" in line {above}: it is probably indented too far'
        self._note(event, path, zh, en)

    def _key(self, event: yaml.Event, path: KeyPath, depth: int) -> str:
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        self._note(
            event, path, "键应为一个词，实为列表、映射或引用", "expected a word as key, found a list, mapping or alias"
        )
        self._build(event, (*path, ""), depth + 1)
        return f"?{_mark_of(event)}"  # a name no other key has; the file is refused anyway

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _note(self, event: yaml.Event, path: KeyPath, zh: str, en: str) -> None:
        self.problems.append((_mark_of(event), Problem(path, Text(zh, en))))


def _mark_of(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


# --- mistakes in words --------------------------------------------------------------------------------------


def _not_a_mapping(tree: object) -> Problem:
    expected = Text("整个文件应为“键: 值”", 'expected "key: value" at the top')
    if tree is None:
        return Problem((), expected + Text("，实为空文件", ", found an empty file"))
    if isinstance(tree, list):
        return Problem((), expected + Text("，实为列表", ", found a list"))
    hint = None
    if isinstance(tree, str) and "：" in tree:
        hint = FULL_WIDTH_COLON
    return Problem((), expected + Text("，实为一个值", ", found one value"), hint)


def _sentence(path: Path, mark: Mark | None, problem: Problem) -> Text:
    place = f"{path}" if mark is None else f"{path}:{mark[0]}:{mark[1]}"
    key = f" {dotted(problem.path)}:" if problem.path else ""
    hint_zh = f"，{problem.hint.zh}" if problem.hint else ""
    hint_en = f"; {problem.hint.en}" if problem.hint else ""
    return Text(f"{place}:{key} {problem.message.zh}{hint_zh}", f"{place}:{key} {problem.message.en}{hint_en}")


def _refused(problems: list[Text], path: Path) -> SettingsError:
    return SettingsError(Text(f"{path} 不能用。", f"{path} cannot be used"), problems)


# --- secrets ------------------------------------------------------------------------------------------------

_SECRET_KINDS = ("env", "file", "credential")


class _Secrets:
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._folder = folder
        self._environment = environment

    def reveal(self, value: object, path: KeyPath) -> object:
        if isinstance(value, list):
            items = cast("list[object]", value)
            return [self.reveal(item, (*path, index)) for index, item in enumerate(items)]
        if not isinstance(value, dict):
            return value
        entries = cast("dict[str, object]", value)
        if len(entries) == 1:
            [(kind, name)] = entries.items()
            if kind in _SECRET_KINDS and isinstance(name, str):
                return self._fetch(kind, name, path)
        return {key: self.reveal(item, (*path, key)) for key, item in entries.items()}

    def _fetch(self, kind: str, name: str, path: KeyPath) -> SecretText:
        if kind == "env":
            found = self._environment.get(name)
            if found is None:
                self._missing(path, f"环境变量 {name} 没有设置", f"the environment variable {name} is not set")
            return SecretText(found or "")
        if kind == "file":
            return self._from_file(self._folder / name, path)
        folder = self._environment.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            self._missing(
                path,
                f"取不到凭据 {name}：没有 CREDENTIALS_DIRECTORY（由 systemd 的 LoadCredential= 提供）",
                f"cannot get the credential {name}: no CREDENTIALS_DIRECTORY (systemd LoadCredential= sets it)",
            )
            return SecretText("")
        return self._from_file(Path(folder) / name, path)

    def _from_file(self, secret: Path, path: KeyPath) -> SecretText:
        try:
            return SecretText(secret.read_text("utf-8").strip("\r\n").replace("\0", ""))
        except OSError as error:
            why = _why(error)
            self._missing(
                path,
                f"读不了密钥文件 {secret}：{why.zh}",
                f"cannot read the secret file {secret}: {why.en}",
            )
        except UnicodeDecodeError:
            self._missing(path, f"密钥文件 {secret} 不是 UTF-8 文本", f"the secret file {secret} is not UTF-8 text")
        return SecretText("")

    def _missing(self, path: KeyPath, zh: str, en: str) -> None:
        self.problems.append(Problem(path, Text(zh, en)))
