"""What the benchmarks share: an invented office in a temporary folder, a sink in a process of its own, plain tables."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.servers import DatabaseServer

FIRST_STEP = "      - {at: start, to: [first_handler], say: assigned}\n"  # of the invented office's ladder
NOW = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)  # a plain Wednesday, 10:00 in the office


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="duban-bench-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def server(module: str, *arguments: str) -> Iterator[int]:
    """A small server of the test suite as a separate process; gives its port."""
    command = [sys.executable, "-m", module, "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server of our own, fsync on (or the one the environment names)."""
    server = _postgresql_server()
    url = server.create_database()
    yield url
    server.drop_database(url)


@cache
def _postgresql_server() -> DatabaseServer:
    from support.servers import SharedServer  # noqa: PLC0415 - only where it is wanted

    shared = SharedServer("postgresql", f"bench-{os.getpid()}", durable=True)
    atexit.register(shared.release)
    return shared.server


def show(title: str, rows: Sequence[tuple[str, Sequence[float]]], unit: str) -> None:
    """One line per measured thing: median, smallest, largest."""
    print(f"\n{title}")
    for name, values in rows:
        print(f"  {name:<58} {median(values):>12,.1f}  ({min(values):,.1f} – {max(values):,.1f}) {unit}")
