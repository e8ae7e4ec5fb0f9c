"""The demo's mail server and SMS gateway as processes of their own, started and stopped with the demo."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Self

from daemon.errors import DaemonError
from policies.text import Text

if TYPE_CHECKING:
    from pathlib import Path

STOP_WITHIN = 5.0  # seconds a server has to finish


class LocalServer:
    """A server module run as a process: it prints its port as its first line and runs until its input is closed."""

    def __init__(self, module: str, folder: Path) -> None:
        """Start it, writing what it receives to `folder`.

        Raises:
            DaemonError: it did not come up.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - our own module, run by this very interpreter
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for the daemon, which still has to send what it has begun
        )
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line.strip().isdigit():
            self.close()
            raise DaemonError(
                Text(
                    f"演示用服务 {module} 未能启动，详见 {folder / 'server.log'}"
                    "（演示需要附加组件：pip install 'duban[demo]'）。",
                    f"the demo server {module} did not start, see {folder / 'server.log'}"
                    " (the demo needs its extra: pip install 'duban[demo]')",
                )
            )
        self.port = int(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ask it to finish, and end it if it does not."""
        if self._process.stdin:
            self._process.stdin.close()  # also what it sees when this process is killed
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
