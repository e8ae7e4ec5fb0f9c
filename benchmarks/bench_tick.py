"""What a tick costs: with nothing, 1,000 and 10,000 due among 10 thousand and 1 million open obligations.

    python benchmarks/bench_tick.py [--postgresql] [--full]

It is the daemon's own tick: claim, read those cases again in a shared database of that size, decide, write notices and
ledger, commit. Only the filling is short-cut: what is never due is copied by SQL.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from contextlib import nullcontext
from statistics import median
from typing import TYPE_CHECKING

import sqlalchemy as sa
from common import NOW, postgresql, scratch

from daemon.clock import ManualClock
from daemon.process import spare_the_collector
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_node
from support.office import build_office

if TYPE_CHECKING:
    from daemon.wiring import Node
    from support.office import Office

DUE = (0, 1_000, 10_000)
OPEN = (10_000,)
FULL_OPEN = (10_000, 1_000_000)
ROUNDS = {0: 30, 1_000: 5, 10_000: 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgresql", action="store_true", help="the store on PostgreSQL, fsync on")
    parser.add_argument("--full", action="store_true", help=f"{FULL_OPEN[-1]:,} open as well")
    chosen = parser.parse_args()
    print(f"store on {'PostgreSQL' if chosen.postgresql else 'SQLite'}, shared database on SQLite")
    for size in FULL_OPEN if chosen.full else OPEN:
        with postgresql() if chosen.postgresql else nullcontext("") as url:
            asyncio.run(measure(size, url))


async def measure(size: int, store_url: str) -> None:
    with scratch() as folder:
        arrived = NOW.replace(tzinfo=None)
        office = build_office(folder / "office", cases=max(DUE), arrived=arrived, store_url=store_url)
        configuration = load(office.configuration)
        url = configuration.settings.store.url
        Store.migrate(url)
        node = open_node(configuration, ManualClock(NOW))
        await node.sync()
        await node.tick()
        database = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        copy_quiet_cases(office, database, size - max(DUE))
        spare_the_collector()
        for due in DUE:
            times = [await one(node, database, due) for _ in range(ROUNDS[due])]
            each = f"   {median(times) / due * 1e6:,.0f} µs each" if due else ""
            low, high = min(times) * 1e3, max(times) * 1e3
            print(f"  {size:>9,} open {due:>6,} due {median(times) * 1e3:>9,.2f} ms ({low:,.2f} – {high:,.2f}){each}")
        database.dispose()
        await node.close()


async def one(node: Node, database: sa.Engine, due: int) -> float:
    """Seconds for one tick with so many due."""
    make_due(database, due)
    begun = time.perf_counter()
    looked_at = await node.tick()
    passed = time.perf_counter() - begun
    assert looked_at == due, looked_at
    return passed


def copy_quiet_cases(office: Office, database: sa.Engine, number: int) -> None:
    """So many more cases in both databases, like the first one but for their keys."""
    with sqlite3.connect(office.database) as shared:
        names = [row[1] for row in shared.execute("PRAGMA table_info(cases)")][1:]
        shared.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
            f"INSERT INTO cases SELECT 'Q' || i, {', '.join(names)} FROM n, (SELECT * FROM cases LIMIT 1) "
            f"WHERE {number} > 0"
        )
    shared.close()
    with database.begin() as store:
        for table, key in (("cases", "key"), ("obligations", "case_key")):
            columns = [c["name"] for c in sa.inspect(store).get_columns(table) if c["name"] not in {"id", key}]
            listed = ", ".join(f'"{name}"' for name in columns)
            store.exec_driver_sql(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
                f"INSERT INTO {table} (\"{key}\", {listed}) SELECT 'Q' || i, {listed} "
                f'FROM n, (SELECT * FROM {table} ORDER BY "{key}" LIMIT 1) AS first WHERE {number} > 0'
            )
    if database.dialect.name == "postgresql":
        with database.connect() as store:
            store.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def make_due(database: sa.Engine, due: int) -> None:
    """Take the last round back, and let so many be due now."""
    at = int(NOW.timestamp() * 1_000_000)
    with database.begin() as store:
        store.exec_driver_sql("DELETE FROM deliveries")
        store.exec_driver_sql(
            "UPDATE obligations SET decided_until = '{}', light = 'green', "
            f"next_check_at = CASE WHEN id <= {due} THEN {at} ELSE {at + 86_400_000_000} END WHERE id <= {max(DUE)}"
        )


if __name__ == "__main__":
    main()
