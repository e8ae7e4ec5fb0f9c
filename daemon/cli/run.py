"""`duban run`: the daemon."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from daemon.cli.output import config_option, no_traceback


@click.command()
@config_option
@no_traceback
def run(config_path: str) -> None:
    """运行守护进程，直到收到 SIGTERM；SIGHUP 重新载入配置。

    Run the daemon until SIGTERM; SIGHUP reads the configuration again. A broken configuration is refused and the
    old one goes on.

    Exit codes: 0 stopped in good order; 64 wrong command line; 75 a database is away at the start, or another node
    has taken over; 77 the account could write to the shared database; 78 wrong configuration or tables of another
    version; 143 stopped at once by a second SIGTERM.
    """
    from daemon import process, telemetry  # noqa: PLC0415 - loaded only when the daemon runs
    from daemon.clock import SystemClock  # noqa: PLC0415 - the same

    telemetry.set_up()
    sys.exit(asyncio.run(process.run(Path(config_path), SystemClock())))
