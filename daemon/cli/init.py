"""`duban init`: a commented configuration to start from; with an address, also a guess at the mapping."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from daemon.cli.output import json_option, language, no_traceback, speak, to_json
from daemon.clock import SystemClock
from daemon.demo.configuration import shipped_configuration
from daemon.demo.sandbox import create_sandbox
from daemon.errors import SettingsError
from daemon.mapping import SourceMapping
from daemon.settings import wrong_time
from daemon.source.guess import KNOWN, Confidence, EntityGuess, Guess, guess_mapping
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

MAPPING_FILE = "source.yaml"
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
YAML_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
YES_OR_NO = frozenset({"litigation", "urgent", "repeated", "old_case", "threat", "major"})
SURE = {
    Confidence.HIGH: "把握高：全国信访系统常用名",
    Confidence.MEDIUM: "把握中：常见名",
    Confidence.LOW: "把握低：只是名字相近，请核对后去掉注释",
}


@dataclass
class Written:
    """What `init` did: files written, files left alone because they were there, and what was guessed."""

    folder: Path
    written: list[str]
    kept: list[str]
    guesses: tuple[EntityGuess, ...]


@click.command()
@click.option("--url", help="共享数据库地址，据此猜测映射 / address of the shared database, to guess the mapping")
@click.option(
    "--sandbox",
    is_flag=True,
    help="建一个练习环境：虚构的单位和三十个案件 / make a sandbox: an invented office with thirty cases",
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="config")
@json_option
@no_traceback
def init(url: str | None, sandbox: bool, folder: Path, as_json: bool) -> None:
    """写一份带注释的配置到 FOLDER；已有的文件一概不动。

    Write a commented configuration to FOLDER; files that are there already are never touched.
    """
    if sandbox:
        _make_sandbox(url, folder, as_json=as_json)
        return
    guesses = _guesses(url) if url else ()
    done = write_configuration(folder, url, guesses)
    if as_json:
        click.echo(to_json(_as_json(done)))
    else:
        _print(done, guessed=url is not None)


def _make_sandbox(url: str | None, folder: Path, *, as_json: bool) -> None:
    if url is not None:
        raise click.UsageError(
            speak(
                "--sandbox 自带共享数据库，不要再写 --url", "--sandbox brings its own shared database: leave out --url"
            )
        )
    wrong = wrong_time(sandbox=True)
    if wrong is not None:
        raise SettingsError(wrong)
    cases = create_sandbox(folder, SystemClock().now(), language())
    if as_json:
        click.echo(to_json({"folder": str(folder), "cases": cases}))
        return
    click.echo(
        speak(
            f"已建好练习环境 {folder}：某区投诉受理中心，{cases} 个案件。消息只写成文件，什么也不真发。",
            f"made the sandbox {folder}: an invented complaint centre, {cases} cases; messages only become files",
        )
    )
    click.echo(
        speak(
            f"下一步：把您的策略写进 {folder / 'policies'}，见 docs/first-policy.zh-CN.md",
            f"next: write your policy into {folder / 'policies'}, see docs/first-policy.md",
        )
    )


def write_configuration(folder: Path, url: str | None, guesses: Sequence[EntityGuess]) -> Written:
    """Copy what is not there yet; with guesses, the mapping is written from them instead of the example."""
    shipped = shipped_configuration()
    done = Written(folder, [], [], tuple(guesses))
    for original in sorted(path for path in shipped.rglob("*") if path.is_file()):
        name = original.relative_to(shipped)
        content = original.read_bytes()
        if url is not None and name == Path(MAPPING_FILE):
            content = mapping_text(url, guesses).encode()
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("xb") as file:
                file.write(content)
        except FileExistsError:
            done.kept.append(str(name))
        except OSError as error:
            raise SettingsError(
                Text(f"无法写入 {folder / name}：{error.strerror}", f"cannot write {folder / name}: {error.strerror}"),
            ) from error
        else:
            done.written.append(str(name))
    return done


def _guesses(url: str) -> tuple[EntityGuess, ...]:
    probe = SourceMapping.model_validate({"url": url, "cases": {"table": "any", "key": "any"}})
    return guess_mapping(probe)


# --- the mapping as text -----------------------------------------------------------------------------------


def mapping_text(url: str, guesses: Sequence[EntityGuess]) -> str:
    """A commented mapping: what was guessed with some confidence, the rest as comments to fill in."""
    lines = [
        "# 共享数据库的映射，由 duban init 按表名、列名猜测写成，请逐行核对后运行 duban source check。",
        "# Guessed by duban init from the names of tables and columns: check every line, then run duban source check.",
        "# 账号只给查询权限；密码用 password: {credential: 名称}、{file: 路径} 或 {env: 变量名} 引用，不要写在地址里。",
        f"url: {_quoted(_address(url))}",
        "# password: {credential: source_password}",
        "# time_zone: Asia/Shanghai      # 没写时区的时间属于哪个时区，默认单位时区",
        "overlap: 10 分钟                # 每次同步多回看这么久",
    ]
    by_entity = {guess.entity: guess for guess in guesses}
    for entity in KNOWN:
        lines.append("")
        found = by_entity.get(entity)
        lines += _entity_lines(found) if found else _empty_lines(entity)
    return "\n".join(lines) + "\n"


def _address(url: str) -> str:
    """Without the password, and with the whole path of an SQLite file: the configuration stands elsewhere."""
    try:
        address = sa.make_url(url)
    except ArgumentError:
        return url
    database = address.database
    if address.get_backend_name() == "sqlite" and database:
        database = str(Path(database).absolute())
    bare = sa.URL.create(
        address.drivername, address.username, None, address.host, address.port, database, address.query
    )
    return bare.render_as_string(hide_password=False)


def _is_sure(found: Guess) -> bool:
    """Whether the line stands as it is.

    The codes of a status column are never known, unless it is the national one; the codes of movements never are.
    """
    if found.path == ("kind",):
        return False
    return found.confidence > (Confidence.MEDIUM if found.path == ("open",) else Confidence.LOW)


def _entity_lines(guess: EntityGuess) -> list[str]:
    lines = [f"{guess.entity}:", f"  table: {_quoted(guess.table)}"]
    group = ""
    for found in guess.columns:
        sure = _is_sure(found)
        if len(found.path) > 1 and found.path[0] != group:
            group = found.path[0]
            some = any(one.path[0] == group and _is_sure(one) for one in guess.columns)
            lines.append(f"  {'' if some else '# '}{group}:")
        indent = "    " if len(found.path) > 1 else "  "
        lines.append(f"{indent}{'' if sure else '# '}{_column_line(guess.entity, found)}")
    return lines


def _column_line(entity: str, found: Guess) -> str:
    column = _quoted(found.column)
    if found.path == ("open",):
        value = f"{{column: {column}, not_in: ['1']}}"
        return f"open: {value}   # {SURE[found.confidence]}；请填上表示已办结的代码"
    if found.path == ("role",):
        return (
            f"role: {{column: {column}, values: {{科室负责人: section_head, 分管领导: deputy_leader, "
            "主要负责人: principal, 督查专员: inspector, 承办人: handler}}   "
            f"# {SURE[found.confidence]}；请核对职务代码"
        )
    if found.path == ("kind",):
        words = "'…': hand_over, '…': co_handle, '…': hand_back, '…': return, '…': sign, '…': accept"
        return f"kind: {{column: {column}, values: {{{words}}}}}   # {SURE[found.confidence]}；请填办理方式的代码"
    if found.path[-1] in YES_OR_NO and entity == "cases":
        column = f"{{column: {column}, type: bool}}"
    return f"{found.path[-1]}: {column}   # {SURE[found.confidence]}"


def _empty_lines(entity: str) -> list[str]:
    if entity == "cases":
        return [
            "# 没认出哪张表是案件，请填写；缺了它不能运行。",
            "cases:",
            "  table: 请填写",
            "  key: 请填写",
            "  milestones: {}",
        ]
    return [f"# {entity}: 没认出来；写法见 docs/source-mapping.zh-CN.md"]


def _quoted(name: str) -> str:
    return (
        name
        if PLAIN_NAME.fullmatch(name) and name.lower() not in YAML_WORDS
        else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


# --- the report --------------------------------------------------------------------------------------------


def _as_json(done: Written) -> dict[str, object]:
    return {
        "folder": str(done.folder),
        "written": done.written,
        "kept": done.kept,
        "guesses": [
            {
                "entity": guess.entity,
                "table": guess.table,
                "columns": {
                    ".".join(one.path): {"column": one.column, "confidence": one.confidence.name.lower()}
                    for one in guess.columns
                },
            }
            for guess in done.guesses
        ],
    }


def _by_place(names: Sequence[str]) -> Counter[str]:
    """The files beside duban.yaml by name, those below it by their folder."""
    return Counter(name.split("/")[0] for name in names)


def _print(done: Written, *, guessed: bool) -> None:
    for name, count in _by_place(done.written).items():
        files = speak(f"（{count} 个文件）", f" ({count} files)") if count > 1 else ""
        click.echo(speak(f"已写入 {done.folder / name}{files}", f"written {done.folder / name}{files}"))
    for name in done.kept:
        click.echo(speak(f"已存在，未改动 {done.folder / name}", f"there already, not touched {done.folder / name}"))
    for guess in done.guesses:
        sure = sum(map(_is_sure, guess.columns))
        click.echo(
            speak(
                f"猜测：{guess.entity} ← {guess.table}，{sure} 列有把握，{len(guess.columns) - sure} 列待核对",
                f"guessed: {guess.entity} ← {guess.table}, {sure} columns sure, {len(guess.columns) - sure} to check",
            ),
        )
    if guessed and not done.guesses:
        click.echo(speak("没有认出任何表，请手工填写映射。", "no table was recognised: fill in the mapping by hand."))
    main = done.folder / "duban.yaml"
    click.echo(
        speak(
            f"下一步：改好 {main}，然后运行 duban check -c {main} 和 duban source check -c {main}",
            f"next: edit {main}, then run duban check -c {main} and duban source check -c {main}",
        ),
    )
