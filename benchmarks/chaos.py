"""A whole office while everything goes wrong: three providers that fail at random, daemons killed at random.

    .venv/bin/python benchmarks/chaos.py                               5,000 notices, 10 kills, SQLite, one node
    .venv/bin/python benchmarks/chaos.py --postgresql --nodes 2        the same on PostgreSQL with two nodes
    .venv/bin/python benchmarks/chaos.py --notices 300 --kills 2 --seed 7

Mail, a text gateway that can be asked and a webhook that cannot; what each took is compared with the store afterwards.
The exit code is 1 if any promise was broken.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from contextlib import ExitStack

from common import postgresql, scratch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def main() -> int:
    from support.chaos import Chaos, run_chaos  # noqa: PLC0415 - needs the path that `common` sets

    chosen = _arguments()
    chaos = Chaos(chosen.notices, chosen.kills, chosen.seed, chosen.nodes, chosen.in_order, chosen.storm)
    console = Console()
    console.print(f"seed {chaos.seed}")
    columns = (TextColumn("final"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        store_url = stack.enter_context(postgresql()) if chosen.postgresql else ""
        bar = stack.enter_context(Progress(*columns, console=console))
        task = bar.add_task("", total=chaos.notices)

        def say(final: int, total: int, happened: str) -> None:
            bar.update(task, completed=final, total=total)
            if happened:
                bar.console.print(happened)

        aftermath = run_chaos(folder, store_url, chaos, say)
    table = Table("", "PostgreSQL" if chosen.postgresql else "SQLite", title="chaos")
    for name, figure in aftermath.figures().items():
        table.add_row(name, figure)
    console.print(table)
    console.print("\n".join(aftermath.broken()) or "every promise kept", markup=False)
    return 1 if aftermath.broken() else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notices", type=int, default=5000, help="over the three channels together")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 2))
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument(
        "--in-order", action="store_true", help="one channel after the other, a minute for each receipt"
    )
    parser.add_argument("--storm", type=int, default=0, help="requests of each server the storm lasts")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
