"""`duban source check`: does the mapping fit the shared database, and can the account really not write to it?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json
from daemon.settings import load
from daemon.source.database import DatabaseSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from daemon.source import BadRow
    from daemon.source.rights import Rights
    from daemon.source.survey import ColumnSurvey, EntitySurvey

SHOWN_FINDINGS = 20
SHOWN_CODES = 5
PAGE_SIZE = 2_000


@dataclass
class Checked:
    """Everything one check found out."""

    rights: Rights
    entities: list[EntitySurvey]
    findings: list[BadRow]
    cases: int
    newest_change_at: datetime | None

    @property
    def broken(self) -> bool:
        """Whether a table cannot be read or rows had to be set aside; mere remarks do not count."""
        return any(one.problem for one in self.entities) or any(row.set_aside for row in self.findings)


@click.group()
def source() -> None:
    """共享数据库 / the shared database."""


@source.command()
@config_option
@json_option
@click.option(
    "--sample",
    "samples",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    help="每张表显示几行样例 / rows to show of each table",
)
@no_traceback
def check(config_path: str, as_json: bool, samples: int) -> None:
    """核对映射与账号权限：逐列计数，列出读不了的行；从不写入。

    Check the mapping and the account's rights: count every column, list the rows that cannot be read; never writes.
    Exit codes: 0 fine (there may be remarks), 1 rows set aside or a table unreadable, 75 the database does not answer,
    77 the account could write, 78 the configuration is wrong.
    """
    configuration = load(Path(config_path))
    opened = DatabaseSource(configuration.settings.source, configuration.zone, configuration.administrators)
    try:
        checked = _check(opened, samples, quiet=as_json)
    finally:
        opened.close()
    if as_json:
        click.echo(to_json(_as_json(checked)))
    else:
        _print(checked, configuration.zone)
    if checked.broken:
        sys.exit(EXIT_FOUND)


def _check(opened: DatabaseSource, samples: int, *, quiet: bool) -> Checked:
    rights = opened.require_read_only()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    ) as bar:
        bars: dict[str, TaskID] = {}

        def progress(entity: str, done: int, total: int) -> None:
            if entity not in bars:
                bars[entity] = bar.add_task(entity, total=total)
            bar.update(bars[entity], completed=done, total=total)

        entities = list(opened.survey(samples, progress))
        if any(one.problem for one in entities):
            return Checked(rights, entities, [], 0, None)
        findings = list(opened.read_directory()[1])
        cases = 0
        for page in opened.changed_since(None, PAGE_SIZE):
            cases += len(page.cases)
            findings += page.bad
            progress(speak("换算成案件", "as cases"), cases, max(cases, entities[0].rows))
    return Checked(rights, entities, findings, cases, opened.newest_change_at())


# --- for machines ------------------------------------------------------------------------------------------


def _as_json(checked: Checked) -> dict[str, object]:
    return {
        "ok": not checked.broken,
        "account": {
            "verified": checked.rights.known,
            "can_write": list(checked.rights.write),
            "how": say(checked.rights.how),
        },
        "cases": checked.cases,
        "newest_change_at": checked.newest_change_at,
        "set_aside": sum(row.set_aside for row in checked.findings),
        "findings": [
            {"entity": row.entity, "row": row.row, "reason": row.reason, "set_aside": row.set_aside}
            for row in checked.findings
        ],
        "entities": [
            {
                "entity": one.entity,
                "origin": one.origin,
                "rows": one.rows,
                "problem": say(one.problem) if one.problem else None,
                "columns": [_column_json(column) for column in one.columns],
                "samples": one.samples,
            }
            for one in checked.entities
        ],
    }


def _column_json(column: ColumnSurvey) -> dict[str, object]:
    return {
        "field": column.path,
        "column": column.column,
        "personal": column.personal,
        "filled": column.filled,
        "missing": column.missing,
        "unreadable": column.unreadable,
        "out_of_range": column.out_of_range,
        "first": column.first,
        "last": column.last,
        "unlisted_codes": dict(column.codes.most_common()),
        "examples": column.examples,
    }


# --- for people --------------------------------------------------------------------------------------------


def _print(checked: Checked, zone: ZoneInfo) -> None:
    console = Console()
    _print_rights(console, checked.rights)
    for one in checked.entities:
        _print_entity(console, one, zone)
    if checked.newest_change_at is not None:
        newest = checked.newest_change_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        console.print(speak(f"最近一次更新：{newest}", f"newest change: {newest}"))
    _print_findings(console, checked.findings)
    console.print(
        speak(
            f"读出 {checked.cases} 个案件，{'有问题，请处理上面各项' if checked.broken else '可以使用'}。",
            f"{checked.cases} cases read; {'see the problems above' if checked.broken else 'ready to use'}.",
        ),
    )


def _print_rights(console: Console, rights: Rights) -> None:
    if not rights.known:
        console.print(f"[yellow]？ {say(rights.how)}[/yellow]")
    elif rights.write:
        what = "、".join(rights.write)
        console.print(
            speak(
                f"[yellow]！ 账号能够写入（allow_writable 已允许）：{what}[/yellow]",
                f"[yellow]! the account could write (allowed by allow_writable): {what}[/yellow]",
            ),
        )
    else:
        console.print(
            speak(
                f"[green]✓[/green] 账号不能写入：{say(rights.how)}", f"[green]✓[/green] cannot write: {say(rights.how)}"
            ),
        )


def _print_entity(console: Console, one: EntitySurvey, zone: ZoneInfo) -> None:
    title = f"{one.entity} ← {one.origin}"
    if one.problem is not None:
        console.print(f"[red]✗ {title}[/red]  {escape(say(one.problem))}", highlight=False)
        return
    table = Table(title=speak(f"{title}（{one.rows} 行）", f"{title} ({one.rows} rows)"), title_justify="left")
    for heading in (speak("字段", "field"), speak("列", "column")):
        table.add_column(heading)
    for heading in (
        speak("有值", "filled"),
        speak("空", "missing"),
        speak("读不了", "unreadable"),
        speak("年份不对", "out of range"),
    ):
        table.add_column(heading, justify="right")
    table.add_column(speak("说明", "remarks"), overflow="fold")
    for column in one.columns:
        table.add_row(
            column.path,
            column.column,
            str(column.filled),
            str(column.missing),
            _bad(column.unreadable),
            _bad(column.out_of_range),
            escape(_remark(column, zone)),
        )
    console.print(table)
    _print_samples(console, one)


def _bad(n: int) -> str:
    return f"[red]{n}[/red]" if n else "0"


def _remark(column: ColumnSurvey, zone: ZoneInfo) -> str:
    parts: list[str] = []
    if column.personal:
        parts.append(speak("个人信息，样例已遮盖", "personal, masked"))
    if column.first is not None and column.last is not None:
        parts.append(f"{column.first.astimezone(zone):%Y-%m-%d} … {column.last.astimezone(zone):%Y-%m-%d}")
    if column.codes:
        codes = "、".join(f"{code}×{n}" for code, n in column.codes.most_common(SHOWN_CODES))
        parts.append(speak(f"代码表里没有：{codes}", f"codes not listed: {codes}"))
    if column.examples:
        parts.append(speak("如：", "e.g. ") + "、".join(column.examples))
    return "；".join(parts)


def _print_samples(console: Console, one: EntitySurvey) -> None:
    if not one.samples:
        return
    table = Table(title=speak("样例", "sample"), title_justify="left", show_lines=False)
    table.add_column(speak("字段", "field"))
    for number in range(1, len(one.samples) + 1):
        table.add_column(str(number), overflow="fold")
    for column in one.columns:
        table.add_row(column.path, *(escape(sample[column.path]) for sample in one.samples))
    console.print(table)


def _print_findings(console: Console, findings: Sequence[BadRow]) -> None:
    for set_aside, zh, en in ((True, "未采用的行", "rows set aside"), (False, "提示", "remarks")):
        rows = [row for row in findings if row.set_aside is set_aside]
        if not rows:
            continue
        shown = (
            "" if len(rows) <= SHOWN_FINDINGS else speak(f"，只列前 {SHOWN_FINDINGS} 行", f", first {SHOWN_FINDINGS}")
        )
        table = Table(title=f"{speak(zh, en)}（{len(rows)}{shown}）", title_justify="left")
        for heading in (speak("表", "entity"), speak("行", "row"), speak("原因", "reason")):
            table.add_column(heading, overflow="fold")
        for row in rows[:SHOWN_FINDINGS]:
            table.add_row(row.entity, escape(row.row), escape(row.reason))
        console.print(table)
