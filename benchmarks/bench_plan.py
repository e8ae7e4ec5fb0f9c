"""Obligations planned per second: read from the shared database, counted, stored, looked at for the first time.

    python benchmarks/bench_plan.py [--postgresql] [--full]

The ladder has nothing to say on the first day: the first look decides only when to look again. The cost of one
obligation must not grow with their number.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import nullcontext

from common import FIRST_STEP, NOW, postgresql, scratch

from daemon.clock import ManualClock
from daemon.process import spare_the_collector
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_node
from support.office import build_office

SIZES = (1_000, 10_000)
FULL = (1_000, 10_000, 100_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgresql", action="store_true", help="the store on PostgreSQL, fsync on")
    parser.add_argument("--full", action="store_true", help=f"up to {FULL[-1]:,} cases")
    chosen = parser.parse_args()
    print(f"store on {'PostgreSQL' if chosen.postgresql else 'SQLite'}")
    for size in FULL if chosen.full else SIZES:
        with postgresql() if chosen.postgresql else nullcontext("") as url:
            asyncio.run(plan(size, url))


async def plan(size: int, store_url: str) -> None:
    with scratch() as folder:
        office = build_office(folder / "office", cases=size, arrived=NOW.replace(tzinfo=None), store_url=store_url)
        office.change("policies/office.yaml", FIRST_STEP, "")
        configuration = load(office.configuration)
        Store.migrate(configuration.settings.store.url)
        node = open_node(configuration, ManualClock(NOW))
        spare_the_collector()
        begun = time.perf_counter()
        assert (await node.sync()).changed == size
        synced = time.perf_counter()
        assert await node.tick() == size
        ended = time.perf_counter()
        await node.close()
    whole, stored, looked = ((passed / size * 1e6) for passed in (ended - begun, synced - begun, ended - synced))
    print(
        f"  {size:>9,} obligations  {1e6 / whole:>8,.0f}/s  {whole:>6,.0f} µs each"
        f"  (read, counted, stored {stored:,.0f}; first look {looked:,.0f})"
    )


if __name__ == "__main__":
    main()
