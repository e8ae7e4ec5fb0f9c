"""What foretelling costs: so many days ahead for 1,000, 10,000 and 100,000 open cases, from a full store.

    python benchmarks/simulate.py [--cases N]… [--days 90] [--processes 2] [--profile]

Each size runs in a process of its own: time, cases per second, peak memory of the main process and of the largest
worker, for totals with the lines spooled to disk and for the CSV file written from them. `--profile` plays the cases
in one process under cProfile and tells the share of the pure decisions.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import resource
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from common import scratch

from daemon.clock import SystemClock
from daemon.engine import Engine
from daemon.foresight.files import write_csv
from daemon.foresight.playing import Wanted, play
from daemon.foresight.readings import open_reading
from daemon.names import Names
from daemon.settings import load
from daemon.store import Store
from daemon.wiring import open_source, rules_of
from support.office import build_office

SIZES = (1_000, 10_000, 100_000)
MODELS = 1_000  # cases that are really read and counted; the others are copies of them
SPREAD = timedelta(days=14)  # over which they arrived


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, action="append", help="how many open cases")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.folder is not None:
        measure(chosen.folder, chosen.days, chosen.processes, profile=chosen.profile)
        return
    for size in chosen.cases or SIZES:
        with scratch() as folder:
            build(folder, size)
            command = [sys.executable, __file__, "--folder", str(folder), "--days", str(chosen.days)]
            command += ["--processes", str(1 if chosen.profile else chosen.processes)]
            subprocess.run([*command, *(["--profile"] if chosen.profile else [])], check=True)  # noqa: S603


def build(folder: Path, size: int) -> None:
    """An office with so many open cases, taken over and looked at once by the daemon's own engine."""
    now = SystemClock().now()
    models = min(size, MODELS)
    office = build_office(folder / "office", cases=models, arrived=now.replace(tzinfo=None))
    with sqlite3.connect(office.database) as shared:
        for number in range(models):
            at = f"{now - SPREAD * number / models:%Y-%m-%d %H:%M:%S}"
            shared.execute("UPDATE cases SET arrived = ?, accepted = ? WHERE no = ?", (at, at, f"XF{number:08d}"))
    shared.close()
    configuration = load(office.configuration)
    url = configuration.settings.store.url
    Store.migrate(url)
    store, source = Store(url), open_source(configuration, SystemClock())
    engine = Engine(store, source, rules_of(configuration), store.open_worker("benchmark", os.getpid(), now))
    engine.intake.sync(now)
    while engine.tick(now):
        pass
    source.close()
    store.close()
    database = sa.create_engine(url)
    multiply(database, size // models)
    database.dispose()


def multiply(database: sa.Engine, times: int) -> None:
    """So many of each case in the store, alike but for their keys."""
    if times <= 1:
        return
    with database.begin() as store:
        for table, key in (("cases", "key"), ("obligations", "case_key"), ("first_handlers", "case_key")):
            columns = [c["name"] for c in sa.inspect(store).get_columns(table) if c["name"] not in {"id", key}]
            listed = ", ".join(f'"{name}"' for name in columns)
            told = ", ".join(
                f"replace(\"{name}\", '\"' || \"{key}\" || '\"', '\"' || \"{key}\" || '-' || i || '\"')"
                if name == "facts"
                else f'"{name}"'
                for name in columns
            )
            store.exec_driver_sql(
                f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) "
                f'INSERT INTO {table} ("{key}", {listed}) SELECT "{key}" || \'-\' || i, {told} FROM {table}, n'
            )


def measure(folder: Path, days: int, processes: int, *, profile: bool) -> None:
    config = folder / "office" / "duban.yaml"
    configuration = load(config)
    now = SystemClock().now()
    wanted = Wanted(config, now, now, now + timedelta(days=days))
    with open_reading(configuration, fresh=False) as reading:
        keys = list(reading.keys())
        runs = folder / "runs"
        runs.mkdir()
        profiler = cProfile.Profile() if profile else None
        begun = time.perf_counter()
        if profiler:
            profiler.enable()
        played = play(wanted, configuration, reading, keys, runs, processes=processes)
        if profiler:
            profiler.disable()
        took = time.perf_counter() - begun
        names = Names(configuration, reading.directory(), "zh")
        begun = time.perf_counter()
        with (folder / "all.csv").open("w", encoding="utf-8", newline="") as file:
            rows = write_csv(file, played.lines(), names)
        wrote = time.perf_counter() - begun
    totals = played.totals
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{totals.cases:>8,} cases, {days} days, {processes} process(es): {took:8.1f} s"
        f"  {totals.cases / took:8,.0f} cases/s"
        f"  {totals.messages:>9,} messages, {totals.looks:>9,} looks  memory {mine:.0f} MB, worker {theirs:.0f} MB"
        f"  CSV {rows:,} rows {wrote:.1f} s, {(folder / 'all.csv').stat().st_size / 1e6:.1f} MB"
    )
    if profiler:
        shares(pstats.Stats(profiler))


def shares(stats: pstats.Stats) -> None:
    """How much of the time each part takes, with what it calls."""
    figures = stats.stats  # type: ignore[attr-defined]
    whole = max(cumulative for _, _, _, cumulative, _ in figures.values())
    parts = {
        "foresee": "foresight.py",
        "evaluate": "evaluate.py",
        "take_over": "course.py",
        "render": "render.py",
        "cases": "readings.py",
        "packed": "lines.py",
        "count": "totals.py",
    }
    for name, file in parts.items():
        spent = sum(f[3] for (path, _, function), f in figures.items() if function == name and path.endswith(file))
        print(f"    {name:<12} {spent / whole:6.1%}")
    stats.sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
