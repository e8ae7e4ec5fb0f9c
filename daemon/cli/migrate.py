"""`duban migrate`: create or upgrade our own tables."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.output import config_option, json_option, no_traceback, say, to_json
from daemon.settings import load
from daemon.store import Store
from policies.text import Text


@click.command()
@config_option
@json_option
@no_traceback
def migrate(config_path: str, as_json: bool) -> None:
    """建立或升级自己的数据表，可重复执行 / create or upgrade our own tables; may be run again."""
    before, after = Store.migrate(load(Path(config_path)).settings.store.url)
    if as_json:
        click.echo(to_json({"before": before, "after": after}))
    elif before == after:
        click.echo(say(Text(f"数据表已是最新版本（{after}）。", f"The tables are up to date ({after}).")))
    elif before:
        click.echo(say(Text(f"数据表已从 {before} 升级到 {after}。", f"The tables went from {before} to {after}.")))
    else:
        click.echo(say(Text(f"数据表已建立（版本 {after}）。", f"The tables were created (revision {after}).")))
