from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import SettingsError
from daemon.yamlfile import SecretText, YamlFile, did_you_mean, located, read_yaml, reveal_secrets
from policies.errors import Problem
from policies.text import Text

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str | bytes) -> YamlFile:
    """Write a file and read it."""
    path = folder / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def refused(folder: Path, text: str | bytes) -> list[str]:
    """The Chinese sentences a file is refused with."""
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    return [problem.zh.removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10:30", "10:30"),
        ("no", "no"),
        ("on", "on"),
        ("0755", "0755"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("2026-01-02", "2026-01-02"),
        ("12345678901234567890", "12345678901234567890"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("15", 15),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'15'", "15"),
        ('"true"', "true"),
        ("! 15", 15),
        ("15 日", "15 日"),
        ("due - 3 工作日 09:00", "due - 3 工作日 09:00"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(tmp_path: Path, written: str, meant: object) -> None:
    """Times, dates, `no` and octal look-alikes stay text; only true, false, null and numbers are typed."""
    value = read(tmp_path, f"a: {written}\n").tree["a"]
    assert value == meant
    assert type(value) is type(meant)


def test_every_key_and_item_has_its_place(tmp_path: Path) -> None:
    """Lines and columns count from 1, in characters, also after characters beyond the basic plane."""
    file = read(tmp_path, "a: 1\n甲:\n  - {𠮷𠮷: 1, b: [x, y]}\n2026-10-01: x\n")
    assert file.tree == {"a": 1, "甲": [{"𠮷𠮷": 1, "b": ["x", "y"]}], "2026-10-01": "x"}
    assert file.marks["甲",] == (2, 1)
    assert file.marks["甲", 0] == (3, 5)
    assert file.marks["甲", 0, "b"] == (3, 13)
    assert file.marks["甲", 0, "b", 1] == (3, 20)
    assert file.mark(("甲", 0, "b", 1, "missing", 3)) == (3, 20)


def test_a_problem_is_said_with_its_place(tmp_path: Path) -> None:
    """`file:line:column: key.path: sentence, hint`, in both languages."""
    file = read(tmp_path, "limits:\n  - withn: 1\n")
    problem = Problem(("limits", 0, "withn"), Text("不认识", "unknown"), Text("是不是 within？", "within?"))
    text = located(problem, file)
    assert text.zh == f"{tmp_path}/file.yaml:2:5: limits[0].withn: 不认识，是不是 within？"
    assert text.en == f"{tmp_path}/file.yaml:2:5: limits[0].withn: unknown; within?"


def test_all_duplicate_keys_are_named_at_once(tmp_path: Path) -> None:
    """A second key never silently wins, and one duplicate does not hide another."""
    assert refused(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: {x: 3}\n") == [
        "file.yaml:2:11: b.c: 这一项写了两次，第一次在第 2 行",
        "file.yaml:3:1: a: 这一项写了两次，第一次在第 1 行",
    ]


_STEP = "steps:\n  - {at: start, to: handler}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb：2\nc: 3\n", "2:2: YAML 写法有误：这里是全角“：”，应改成英文冒号“:”，后面空一格"),
        ("b：2\nc: 3\n", "1:2: YAML 写法有误：这里是全角“：”，应改成英文冒号“:”，后面空一格"),
        ("a:\n  b：\n    c: 1\n", "2:4: YAML 写法有误：这里是全角“：”，应改成英文冒号“:”，后面空一格"),
        ("a: 1\nb:2 日\nc: 3\n", "2:3: YAML 写法有误：冒号后面要空一格"),
        ("a:\n  b: 1\n　　c: 1\n  d: 2\n", "3:1: YAML 写法有误：行首是全角空格，应改成半角空格"),
        ("a:\n  b\n    c: 1\n", "2:3: YAML 写法有误：这一行没有冒号，应为“键: 值”"),
        (_STEP.replace("start,", "start，"), "2:15: YAML 写法有误：这里的 ， 是全角的，应改成半角的 ,"),
        (_STEP.replace("r}", "r｝") + "b: 1\n", "2:28: YAML 写法有误：这里的 ｝ 是全角的，应改成半角的 }"),
        (_STEP.replace("r}", "r") + "b: 1\n", "2:5: YAML 写法有误：这里的“{”没有结束：缺“}”，或各项之间缺“,”"),
        ("a: （b: 1）\n", "1:4: YAML 写法有误：这里的 （ 是全角的，应改成半角的 {"),
        ("a: “b: 1”\n", '1:4: YAML 写法有误：这里的 “ 是全角的，应改成半角的 "'),
        (_STEP + "  － {at: due}\n", "3:3: YAML 写法有误：一项应以半角“-”开头，后面空一格"),
        (_STEP + "  -{at: due}\n", "3:3: YAML 写法有误：一项应以半角“-”开头，后面空一格"),
        (
            "a: 投诉（急）：答复\n b: 1\n",
            "2:3: YAML 写法有误：这里不应有冒号：多半是这一行或上一行缩进不对，或上一行少了引号",
        ),
        (
            "title: 求决（急）\nsteps: [b, c: {d: [e}\n",
            "2:21: YAML 写法有误：列表应以“]”结束、各项以“,”分隔",
        ),
    ],
)
def test_a_slip_is_named_where_it_was_made(tmp_path: Path, text: str, said: str) -> None:
    """Marks left over from Chinese, a missing blank, colon or bracket: the line of the slip, not of the fall."""
    assert refused(tmp_path, text) == [f"file.yaml:{said}"]


def test_a_part_indented_too_far_is_named(tmp_path: Path) -> None:
    """A second part that slipped into the first repeats all its keys: the first repeated key says why."""
    text = "limits:\n  a:\n    start: x\n    done: y\n    b:\n    start: x\n    done: y\n"
    assert refused(tmp_path, text) == [
        "file.yaml:6:5: limits.a.start: 这一项写了两次，第一次在第 3 行；第 5 行“b”下面是空的，多半是它缩进太深",
        "file.yaml:7:5: limits.a.done: 这一项写了两次，第一次在第 4 行",
    ]


@pytest.mark.parametrize(
    "bomb",
    [
        "a: " + "[" * 200_000,
        "a: " + "{b: " * 5_000,
        "- " * 5_000 + "x",
        "a: &a [*a]\n",
        "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(2_000)),
        "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40)),
        b"a: " + b"x" * 10_000_001,
    ],
    ids=["deep list", "deep mapping", "deep block", "cycle", "chain", "billion laughs", "eleven megabytes"],
)
def test_bombs_are_refused_in_words(tmp_path: Path, bomb: str | bytes) -> None:
    """Nesting, aliases and size are bounded; the file is refused, the process lives."""
    assert refused(tmp_path, bomb)


def test_an_alias_stands_for_its_anchor(tmp_path: Path) -> None:
    """Sharing a ladder by anchor is allowed; a mistake in it is placed where it is used."""
    file = read(tmp_path, "a: &x {b: 1}\nc: *x\n")
    assert file.tree == {"a": {"b": 1}, "c": {"b": 1}}
    assert file.mark(("c", "b")) == (2, 1)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and a folder are sentences, not exceptions of the system."""
    for path, sentence in ((tmp_path / "none.yaml", "没有这个文件"), (tmp_path, "应为文件，实为文件夹")):
        with pytest.raises(SettingsError) as caught:
            read_yaml(path)
        assert [problem.zh for problem in caught.value.problems] == [f"{path}: {sentence}"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Windows editors write one at the beginning of UTF-8."""
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\n").tree == {"a": 1}


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t：", max_size=60).map(str.encode))
def test_no_content_escapes_as_another_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the bytes, there is a tree or a located refusal."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        found: object = read_yaml(path).tree
    except SettingsError as error:
        found = error.problems
    if isinstance(found, tuple):
        assert found
        assert all(problem.zh.startswith(str(path)) for problem in found)
    else:
        assert isinstance(found, dict)


def test_secrets_come_from_environment_file_and_credential(tmp_path: Path) -> None:
    """The three ways are resolved at any depth; a last line break of a file does not count."""
    (tmp_path / "token").write_text("tok en\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "db").write_text("p:w@d")
    file = read(tmp_path, "a: {env: X}\nb: [{file: token}]\nc: {d: {credential: db}}\ne: {env: X, more: 1}\n")
    revealed, problems = reveal_secrets(file, {"X": "hunter2", "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
    assert problems == []
    assert revealed.tree == {"a": "hunter2", "b": ["tok en"], "c": {"d": "p:w@d"}, "e": {"env": "X", "more": 1}}


def test_a_missing_secret_is_a_problem_without_any_value(tmp_path: Path) -> None:
    """Each missing one is named with what to set; nothing is raised."""
    file = read(tmp_path, "a: {env: X}\nb: {file: none}\nc: {credential: db}\n")
    _, problems = reveal_secrets(file, {})
    assert [(problem.path, problem.message.zh) for problem in problems] == [
        (("a",), "环境变量 X 没有设置"),
        (("b",), f"读不了密钥文件 {tmp_path}/none：没有这个文件"),
        (("c",), "取不到凭据 db：没有 CREDENTIALS_DIRECTORY（由 systemd 的 LoadCredential= 提供）"),
    ]


def test_a_secret_does_not_show_itself(tmp_path: Path) -> None:
    """Neither the value's nor the file's repr tells it."""
    file, _ = reveal_secrets(read(tmp_path, "a: {env: X}\n"), {"X": "hunter2"})
    assert "hunter2" not in repr(file)
    assert "hunter2" not in repr(file.tree)
    assert isinstance(file.tree["a"], SecretText)


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("chanel", ["channel", "ladder"], "channel"),
        ("First-Handler", ["first_handler", "handler"], "first_handler"),
        ("科室负者人", ["科室负责人", "分管领导"], "科室负责人"),
        ("zzz", ["channel"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_word_is_suggested(word: str, known: list[str], meant: str | None) -> None:
    """Only a near word is suggested; case and hyphens do not count."""
    assert did_you_mean(word, known) == meant
