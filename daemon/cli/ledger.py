"""`duban ledger`: one case's record, and the proof that nobody changed any."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.cli.reading import Desk
    from daemon.store import Store
    from daemon.store.values import LedgerFault, LedgerRow

SHORT_HASH = 8
FAULTS = {
    "changed": ("被改动", "was changed"),
    "removed": ("被删除", "was removed"),
    "inserted": ("是插入的", "was inserted"),
    "seal": ("所在的封存不符", "does not fit its seal"),
}


@click.group()
def ledger() -> None:
    """责任台账：查看、核验 / the ledger: show, verify."""


@ledger.command()
@click.argument("case")
@config_option
@json_option
@no_traceback
def show(case: str, config_path: str, *, as_json: bool) -> None:
    """一个案件的全部记录，一句一行；--json 另有每行的原始内容。

    All that is recorded on one case, a sentence for each row; --json has the raw bodies and whole hashes.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library

    with desk(config_path) as at_desk:
        rows = at_desk.store.ledger(case)
        if as_json:
            click.echo(to_json([_row_as_json(row) for row in rows]))
        elif rows:
            _show(at_desk, case, rows)
        else:
            click.echo(speak(f"台账里没有案件 {case}。", f"the ledger has no case {case}"), err=True)
    if not rows:
        sys.exit(EXIT_FOUND)


def _row_as_json(row: LedgerRow) -> dict[str, object]:
    return {
        "seq": row.seq,
        "at": row.at,
        "kind": row.kind,
        "actor": row.actor,
        "body": row.body,
        "previous": row.previous,
        "hash": row.hash,
    }


def _show(at_desk: Desk, case: str, rows: Sequence[LedgerRow]) -> None:
    from daemon.cli.reading import show_table  # noqa: PLC0415 - loads the database library

    story = at_desk.story(at_desk.deliveries(case))
    show_table(
        speak(f"责任台账 {case}", f"ledger of {case}"),
        [speak(zh, en) for zh, en in (("时间", "at"), ("事件", "what happened"), ("经办", "by"), ("校验", "hash"))],
        [(at_desk.local(row.at), story.sentence(row), _actor(row.actor), row.hash[:SHORT_HASH]) for row in rows],
        whole=(0, 2, 3),
    )


def _actor(actor: str) -> str:
    return speak("系统", "duban") if actor == "duban" else actor


@ledger.command()
@config_option
@json_option
@no_traceback
def verify(config_path: str, *, as_json: bool) -> None:
    """核验全部记录：指出最先被改动、删除或插入的一行 / check every record; name the first row tampered with."""
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library

    with desk(config_path) as at_desk:
        faults = list(at_desk.store.verify()) if as_json else _verified(at_desk.store)
    if as_json:
        told = [{"case": fault.case_key, "seq": fault.seq, "what": fault.what} for fault in faults]
        click.echo(to_json({"ok": not faults, "faults": told}))
    elif not faults:
        click.echo(speak("台账完整，没有改动。", "the ledger is whole; nothing was changed"))
    if faults:
        sys.exit(EXIT_FOUND)


def _verified(store: Store) -> list[LedgerFault]:
    """All faults, each told as it is found, under a bar that shows the work goes on."""
    from rich.console import Console  # noqa: PLC0415 - not for JSON
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - not for JSON

    faults: list[LedgerFault] = []
    screen = Console(stderr=True, highlight=False, markup=False)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as bar:
        bar.add_task(speak("正在核验责任台账", "verifying the ledger"), total=None)
        for fault in store.verify():
            faults.append(fault)
            bar.console.print(_sentence(fault))
    return faults


def _sentence(fault: LedgerFault) -> str:
    zh, en = FAULTS.get(fault.what, (fault.what, fault.what))
    return speak(f"案件 {fault.case_key} 的第 {fault.seq} 行{zh}。", f"case {fault.case_key}: row {fault.seq} {en}")
