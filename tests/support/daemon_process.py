"""The real `duban run` as a process, with a notify socket, a mail sink and an SMS gateway around it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).resolve().parents[1]
DUBAN = Path(sys.executable).with_name("duban")
PATIENCE = 60.0  # seconds; how long a test waits for what must come, on a busy machine


def environment(**more: str) -> dict[str, str]:
    """A clean environment: Chinese, no service manager but the one given."""
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR"}}
    return inherited | {"DUBAN_LANG": "zh", "PYTHONUTF8": "1", "PYTHONPATH": str(TESTS)} | more


def duban(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(  # noqa: S603 - our own command
        [str(DUBAN), *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def server(module: str, record: Path, *options: str) -> Iterator[int]:
    """A server of the test support as a process of its own; yields its port."""
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module, "--port", "0", "--record", str(record), *options],
        env=environment(),
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


class ServiceManager:
    """Listens as systemd does and remembers what the daemon told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(PATIENCE)

    def wait_for(self, assignment: str) -> dict[str, str]:
        """The first datagram from now on that holds this assignment; fails after a time-out."""
        while True:
            told = dict(line.split("=", 1) for line in self._socket.recv(8192).decode("utf-8").split("\n"))
            name, _, value = assignment.partition("=")
            if told.get(name) == value:
                return told

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class RunningDaemon:
    """One `duban run`, its log lines by event name, and its signals."""

    def __init__(self, configuration: Path, folder: Path, **more: str) -> None:
        self.manager = ServiceManager(folder)
        self.lines: list[dict[str, Any]] = []
        self._new: Queue[dict[str, Any]] = Queue()
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [str(DUBAN), "run", "--config", str(configuration)],
            env=environment(NOTIFY_SOCKET=str(self.manager.path), **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told: dict[str, Any] = json.loads(line)
            self.lines.append(told)
            self._new.put(told)

    def logged(self, event: str) -> dict[str, Any]:
        """Wait for a line of that name."""
        while True:
            told = self._new.get(timeout=PATIENCE)
            if told["event"] == event:
                return told

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def errors(self) -> str:
        """What it wrote to standard error, after its end."""
        assert self._process.stderr is not None
        return self._process.stderr.read()

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self.manager.close()


@contextmanager
def daemon(configuration: Path, folder: Path, **more: str) -> Iterator[RunningDaemon]:
    """A running daemon, ended at the end of the block."""
    running = RunningDaemon(configuration, folder, **more)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def servers(folder: Path) -> Iterator[tuple[int, int]]:
    """The mail sink (records into `mails`) and the SMS gateway (into `texts`): their ports."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(server("support.smtp_server", folder / "mails")),
            stack.enter_context(server("support.sms_gateway", folder / "texts")),
        )


def recorded(file: Path) -> list[dict[str, Any]]:
    """What a server wrote down so far."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def wait_until(happened: Callable[[], bool], manager: ServiceManager) -> None:
    """Look whenever the daemon gives a sign of life, until it happened; fails after a time-out."""
    while not happened():
        manager.wait_for("WATCHDOG=1")
