"""Kill the daemon again and again while it sends, and count at the receivers: nothing lost, what came twice is marked.

    .venv/bin/python benchmarks/kill.py                    50 kills, 2,000 notices, SQLite and PostgreSQL
    .venv/bin/python benchmarks/kill.py --kills 10 --cases 200 --store sqlite --seed 7

Each of the cases has one step due: an SMS and a mail. The receivers are slow, so that the work outlasts the kills.
The exit code is 1 if any promise was broken.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from typing import TYPE_CHECKING

from common import scratch
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.killing import Outcome

STORES = ("sqlite", "postgresql")


def main() -> int:
    from support.killing import Trial, run_trial  # noqa: PLC0415 - needs the path that `common` sets

    chosen = _arguments()
    trial = Trial(chosen.cases, chosen.kills, chosen.seed, chosen.mail_delay, chosen.sms_delay)
    print(f"seed {trial.seed}", flush=True)
    outcomes: dict[str, Outcome] = {}
    for store in chosen.store or STORES:
        begun = time.monotonic()

        def say(line: str, store: str = store, begun: float = begun) -> None:
            print(f"{store} {time.monotonic() - begun:6.1f} s  {line}", flush=True)

        with scratch() as folder:
            if store == "sqlite":
                outcomes[store] = run_trial(folder, "", trial, say)
            else:
                outcomes[store] = _on_postgresql(lambda url, folder=folder, say=say: run_trial(folder, url, trial, say))
    _show(outcomes)
    broken = [f"{store}: {fault}" for store, outcome in outcomes.items() for fault in outcome.faults()]
    print("\n".join(broken) or "every promise kept")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cases", type=int, default=1000, help="two notices each")
    parser.add_argument("--store", choices=STORES, action="append", help="default: both")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--mail-delay", type=float, default=0.08, help="seconds until each answer of the mail server")
    parser.add_argument("--sms-delay", type=float, default=0.32, help="seconds until each answer of the SMS gateway")
    return parser.parse_args()


def _on_postgresql(trial: Callable[[str], Outcome]) -> Outcome:
    """On a server of our own that waits for the disk."""
    from support.servers import SharedServer  # noqa: PLC0415 - needs the path that `common` sets

    shared = SharedServer("postgresql", f"kill-{os.getpid()}", durable=True)
    try:
        url = shared.server.create_database()
        try:
            return trial(url)
        finally:
            shared.server.drop_database(url)
    finally:
        shared.release()


def _show(outcomes: Mapping[str, Outcome]) -> None:
    table = Table("", *outcomes, title="duban run, killed with SIGKILL")
    columns = [outcome.figures() for outcome in outcomes.values()]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
