"""What we tell systemd: the datagrams of sd_notify(3), and nothing when nobody listens.

The protocol is small and stable (sd_notify(3), "Notes"); the packages that offer it lose messages that are not
Latin-1, and then systemd kills a healthy daemon because its watchdog message never arrived.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MICROSECONDS = 1_000_000


class ServiceNotifier:
    """Sends state to the service manager named by `NOTIFY_SOCKET`; without one, every call does nothing.

    Telling must never hurt the one who tells: a datagram that cannot be delivered is dropped and counted in `lost`.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        self._address = _address(found.get("NOTIFY_SOCKET", ""))
        self._watchdog_usec = _watchdog_usec(found, os.getpid())
        self.lost = 0

    @property
    def watched(self) -> bool:
        """Whether a service manager listens."""
        return self._address is not None

    @property
    def feed_every(self) -> float | None:
        """Seconds between two watchdog messages: half of what the unit allows; None when it wants none."""
        return None if self._watchdog_usec is None else self._watchdog_usec / 2 / _MICROSECONDS

    def ready(self, status: str) -> None:
        """Started, or reloaded; `status` is the line `systemctl status` shows."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def reloading(self, status: str) -> None:
        """A reload begins; the monotonic time lets systemd tell it from an earlier one (Type=notify-reload)."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS={_one_line(status)}")

    def stopping(self, status: str) -> None:
        """The shutdown begins."""
        self._send(f"STOPPING=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """Only the line that `systemctl status` shows."""
        self._send(f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for that many more seconds to start, reload or stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * _MICROSECONDS)}")

    def _send(self, state: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(0)  # a service manager that hangs must not hang us
                sender.connect(self._address)
                sender.send(state.encode("utf-8"))
        except OSError:
            self.lost += 1


def _address(socket_name: str) -> bytes | None:
    """The address to send to: a path, or an abstract name that is written with a leading `@`."""
    if socket_name.startswith("@"):
        return b"\0" + os.fsencode(socket_name[1:])
    return os.fsencode(socket_name) if socket_name.startswith("/") else None


def _watchdog_usec(environment: Mapping[str, str], pid: int) -> int | None:
    """`WATCHDOG_USEC`, if it is meant for this process (sd_watchdog_enabled(3)) and a positive number."""
    for_pid = environment.get("WATCHDOG_PID", "")
    if for_pid and for_pid != str(pid):
        return None
    written = environment.get("WATCHDOG_USEC", "")
    return int(written) if written.isascii() and written.isdigit() and int(written) > 0 else None


def _one_line(status: str) -> str:
    """A line feed would begin another assignment."""
    return " ".join(status.split())
