"""How long commands take from the shell, and how much memory the daemon needs.

    python benchmarks/bench_start.py [--full]

The daemon reads the cases of a fresh office, counts and looks at all of them; its peak is read from the kernel (Linux).
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import FIRST_STEP, ROOT, scratch, show

from daemon.settings import load
from daemon.store import Store
from support.office import build_office

ROUNDS = 9
OPEN, FULL_OPEN = 5_000, 100_000
DUBAN = [sys.executable, "-m", "daemon"]
WAIT = 600  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"{FULL_OPEN:,} open obligations")
    chosen = parser.parse_args()
    with scratch() as folder:
        office = build_office(folder / "office", cases=10, arrived=datetime(2026, 9, 16, 10))  # noqa: DTZ001 - as stored
        commands = [
            ("duban --help", ["--help"]),
            ("duban calc", ["calc", "--start", "2026-09-17", "--within", "15日"]),
            ("duban check", ["check", "--config", str(office.configuration)]),
        ]
        rows = [(name, [seconds_of(arguments) * 1e3 for _ in range(ROUNDS)]) for name, arguments in commands]
        show("from the shell to the end", rows, "ms")
    with scratch() as folder:
        remember(folder / "office", FULL_OPEN if chosen.full else OPEN)


def seconds_of(arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([*DUBAN, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
    return time.perf_counter() - begun


def remember(folder: Path, size: int) -> None:
    """Run the daemon until it has looked at everything, and say its peak."""
    yesterday = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
    office = build_office(folder, cases=size, arrived=yesterday)
    office.change("policies/office.yaml", FIRST_STEP, "")  # nothing to send yet
    store_url = load(office.configuration).settings.store.url
    Store.migrate(store_url)
    command = [*DUBAN, "run", "--config", str(office.configuration)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as daemon:  # noqa: S603 - ourselves
        try:
            looked_at = wait_until_looked_at(store_url, size)
            peak = memory_of(daemon.pid, "VmHWM")
            now = memory_of(daemon.pid, "VmRSS")
        finally:
            daemon.send_signal(signal.SIGTERM)
    print(f"\nmemory of the daemon, {looked_at:,} open obligations: peak {peak:,.0f} MB, afterwards {now:,.0f} MB")


def wait_until_looked_at(store_url: str, size: int) -> int:
    store = Store(store_url)
    give_up = time.monotonic() + WAIT
    try:
        while time.monotonic() < give_up:
            stored = store.counts()["obligations"].get("open", 0)
            next_check_at = store.next_check_at()
            if stored == size and next_check_at is not None and next_check_at > datetime.now(UTC):
                return stored
            time.sleep(0.5)
    finally:
        store.close()
    raise SystemExit("the daemon did not look at all obligations in time")


def memory_of(pid: int, name: str) -> float:
    """Megabytes, as the kernel counts them."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
