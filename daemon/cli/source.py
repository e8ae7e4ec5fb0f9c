"""`duban source check`: does the mapping fit the shared database, and can the account really not write to it?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, say, speak, to_json
from daemon.names import ENTITIES
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
NUMBERS = (2, 3)  # columns of counts
GAP = 2
WIDEST = 40  # of one sample value before it is folded
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
    configuration = load(Path(config_path), without_policies=True)
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
    screen = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=screen,
        transient=True,
        disable=quiet or not screen.is_terminal,
    ) as bar:
        bars: dict[str, TaskID] = {}

        def progress(entity: str, done: int, total: int) -> None:
            if entity not in bars:
                bars[entity] = bar.add_task(say(ENTITIES[entity]) if entity in ENTITIES else entity, total=total)
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
        console.print("\n" + speak(f"最近一次更新：{newest}", f"newest change: {newest}"))
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
    title = f"{_entity_word(one.entity)} ← {one.origin}"
    console.print()
    if one.problem is not None:
        console.print(f"[red]✗ {escape(title)}[/red]  {escape(say(one.problem))}", highlight=False)
        return
    heading = speak(f"{title}（{one.rows} 行）", f"{title} ({one.rows} rows)")
    console.print(heading, style="bold", markup=False, highlight=False, soft_wrap=True)
    table = _table(("字段", "field"), ("列", "column"), ("有值", "filled"), ("空", "missing"), ("说明", "remarks"))
    for number in NUMBERS:
        table.columns[number].justify = "right"
    for number in (0, *NUMBERS):
        table.columns[number].no_wrap = True
    for section, columns in groupby(one.columns, key=lambda column: _section(column.path)):
        if section:
            table.add_row(f"[dim]{section}:[/dim]")
        for column in columns:
            table.add_row(
                _short(column.path),
                escape(column.column),
                str(column.filled),
                str(column.missing),
                _remark(column, zone),
            )
    console.print(table)
    _print_samples(console, one)


def _table(*headings: tuple[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for zh, en in headings:
        table.add_column(speak(zh, en), overflow="fold")
    return table


def _entity_word(entity: str) -> str:
    """`案件 cases`: the word and the name the mapping has for it."""
    word = say(ENTITIES[entity]) if entity in ENTITIES else entity
    return entity if word == entity else f"{word} {entity}"


def _section(path: str) -> str:
    return path.partition(".")[0] if "." in path else ""


def _short(path: str) -> str:
    """The name below its section, a little to the right of it."""
    return f"  {path.partition('.')[2]}" if "." in path else path


def _remark(column: ColumnSurvey, zone: ZoneInfo) -> str:
    parts: list[str] = []
    if column.unreadable:
        parts.append(f"[red]{speak('读不了', 'unreadable')} {column.unreadable}[/red]")
    if column.out_of_range:
        parts.append(f"[red]{speak('年份不对', 'out of range')} {column.out_of_range}[/red]")
    if column.personal:
        parts.append(speak("个人信息，样例已遮盖", "personal, masked"))
    if column.first is not None and column.last is not None:
        parts.append(f"{column.first.astimezone(zone):%Y-%m-%d} … {column.last.astimezone(zone):%Y-%m-%d}")
    if column.codes:
        codes = speak("、", ", ").join(f"{code}×{n}" for code, n in column.codes.most_common(SHOWN_CODES))
        parts.append(escape(speak(f"代码表里没有：{codes}", f"codes not listed: {codes}")))
    if column.examples:
        parts.append(escape(speak("如：", "e.g. ") + speak("、", ", ").join(column.examples)))
    return speak("；", "; ").join(parts)


def _print_samples(console: Console, one: EntitySurvey) -> None:
    """Rows side by side, as many as fit whole."""
    numbered = list(enumerate(one.samples, 1))
    fields = max((cell_len(_short(column.path).strip()) for column in one.columns), default=0)
    while numbered:
        fit, used = 0, fields
        for _, sample in numbered:
            used += GAP + min(max(map(cell_len, sample.values()), default=0), WIDEST)
            fit += used <= console.width
        shown, numbered = numbered[: max(fit, 1)], numbered[max(fit, 1) :]
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
        table.add_column(speak("样例", "sample"), no_wrap=True)
        for number, _ in shown:
            table.add_column(str(number), overflow="fold")
        for column in one.columns:
            table.add_row(_short(column.path).strip(), *(escape(sample[column.path]) for _, sample in shown))
        console.print()
        console.print(table)


def _print_findings(console: Console, findings: Sequence[BadRow]) -> None:
    for set_aside, zh, en in ((True, "未采用的行", "rows set aside"), (False, "提示", "remarks")):
        rows = [row for row in findings if row.set_aside is set_aside]
        if not rows:
            continue
        shown = (
            "" if len(rows) <= SHOWN_FINDINGS else speak(f"，只列前 {SHOWN_FINDINGS} 行", f", first {SHOWN_FINDINGS}")
        )
        console.print()
        heading = speak(f"{zh}（{len(rows)} 行{shown}）", f"{en} ({len(rows)}{shown})")
        console.print(heading, style="bold", markup=False, highlight=False)
        table = _table(("表", "table"), ("行", "row"), ("原因", "reason"))
        for row in rows[:SHOWN_FINDINGS]:
            table.add_row(_entity_word(row.entity), escape(row.row), escape(row.reason))
        console.print(table)
