"""`duban correct`: add a correction to a recorded breach; the breach stays."""

from __future__ import annotations

import sys

import click

from daemon.cli.output import EXIT_FOUND, EXIT_USAGE, LARGEST, config_option, json_option, no_traceback, speak, to_json


@click.command()
@click.argument("breach", type=click.IntRange(1, LARGEST))
@click.option("--reason", required=True, help="理由 / why")
@click.option("--approved-by", "approved_by", required=True, help="批准人 / who approved it")
@click.option("--by", "by", required=True, help="经办人 / who writes it down")
@click.option("--document", default=None, help="依据文号 / the paper it rests on")
@config_option
@json_option
@no_traceback
def correct(
    breach: int, reason: str, approved_by: str, by: str, document: str | None, config_path: str, *, as_json: bool
) -> None:
    """更正一条超期记录：只加不删，编号见 duban ledger --unit。

    Add a correction to a recorded breach, which stays; numbers as `duban ledger --unit` shows them.
    """
    from daemon.cli.reading import desk  # noqa: PLC0415 - loads the database library
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    if not (reason.strip() and approved_by.strip() and by.strip()):
        click.echo(speak("更正须写明理由、批准人和经办人。", "say why, who approved it and who writes it"), err=True)
        sys.exit(EXIT_USAGE)
    with desk(config_path) as at_desk:
        found = at_desk.store.correct_breach(
            breach, reason=reason, approved_by=approved_by, by=by, document=document, now=SystemClock().now()
        )
    if found is None:
        click.echo(speak(f"没有编号为 {breach} 的超期记录。", f"there is no breach number {breach}"), err=True)
        sys.exit(EXIT_FOUND)
    if as_json:
        click.echo(to_json({"breach": breach, "case": found.case_key, "corrections": found.corrections}))
    else:
        click.echo(
            speak(
                f"已更正；案件 {found.case_key} 的超期记录 {breach} 保留并注明。",
                f"corrected; breach {breach} of case {found.case_key} stays on record, marked",
            )
        )
