"""`duban ledger`: one case's record, a unit's or a person's, and the proof that nobody changed any."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from daemon.cli.moments import instant_option
from daemon.cli.output import EXIT_FOUND, config_option, json_option, no_traceback, speak, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class LedgerGroup(click.Group):
    """Takes anything that is no command of its own for the number of a case: `duban ledger CASE` shows it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command meant, `show` for a case number."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@click.group(cls=LedgerGroup, invoke_without_command=True, subcommand_metavar="[CASE | COMMAND] …")
@click.option("--unit", help="这个单位的台账（编码或名称） / of this unit (key or name)")
@click.option("--person", help="这个人的台账（编码或姓名） / of this person (key or name)")
@instant_option("--since", help="从何时起 / from when on")
@instant_option("--until", help="到何时止 / until when")
@config_option
@json_option
@click.pass_context
@no_traceback
def ledger(
    ctx: click.Context,
    unit: str | None,
    person: str | None,
    since: str | None,
    until: str | None,
    config_path: str,
    *,
    as_json: bool,
) -> None:
    """责任台账：查看一个案件、一个单位或一个人的，核验 / the ledger of a case, a unit or a person; verify."""
    if ctx.invoked_subcommand is not None:
        ctx.default_map = {ctx.invoked_subcommand: {"config_path": config_path}}
        return
    if unit is None and person is None:
        click.echo(ctx.get_help())
        return
    _show_record(config_path, unit, person, since, until, as_json=as_json)


def _show_record(
    config_path: str, unit: str | None, person: str | None, since: str | None, until: str | None, *, as_json: bool
) -> None:
    from daemon.cli.moments import instant_at  # noqa: PLC0415 - only for this view
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.cli.records import record_as_json, record_of, show_record  # noqa: PLC0415 - the same
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    with desk(config_path) as at_desk:
        zone = at_desk.configuration.zone
        begin, end = (instant_at(one, zone) if one else None for one in (since, until))
        units = {key: one.name for key, one in at_desk.directory.units.items()}
        people = {key: one.name for key, one in at_desk.directory.officials.items()}
        wanted = _key_of(unit, units), _key_of(person, people)
        record = record_of(at_desk, *wanted, begin, end, SystemClock().now())
        if as_json:
            click.echo(record_as_json(record))
        else:
            show_record(at_desk, record, at_desk.names.place(*wanted))


def _key_of(asked: str | None, named: Mapping[str, str]) -> str | None:
    """The key that is meant by a key or a name; what is not known today may have been known once."""
    if asked is None or asked in named:
        return asked
    keys = [key for key, name in named.items() if name == asked]
    if len(keys) > 1:
        listed = "、".join(sorted(keys))
        raise click.UsageError(speak(f"“{asked}”有几个：{listed}，请用编码", f"several are called '{asked}': {listed}"))
    return keys[0] if keys else asked


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
