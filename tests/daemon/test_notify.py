from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING

import pytest

from daemon.notify import ServiceNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A datagram socket as systemd opens it, once in the file system and once in the abstract namespace."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@duban-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        receiver.settimeout(5)
        yield receiver, name


def lines(receiver: socket.socket) -> list[str]:
    """The assignments of the next datagram."""
    return receiver.recv(4096).decode("utf-8").split("\n")


def test_ready_arrives_with_a_chinese_status(listener: tuple[socket.socket, str]) -> None:
    """READY=1 and a Chinese status reach the socket unharmed, on a path and on an abstract name."""
    receiver, name = listener
    ServiceNotifier({"NOTIFY_SOCKET": name}).ready("正常运行：在办时限 3 项")
    assert lines(receiver) == ["READY=1", "STATUS=正常运行：在办时限 3 项"]


def test_reloading_carries_the_monotonic_time(listener: tuple[socket.socket, str]) -> None:
    """RELOADING=1 comes with a MONOTONIC_USEC that is later than one read before."""
    receiver, name = listener
    ServiceNotifier({"NOTIFY_SOCKET": name}).reloading("重新载入配置")
    first, second, third = lines(receiver)
    assert (first, third) == ("RELOADING=1", "STATUS=重新载入配置")
    assert second.startswith("MONOTONIC_USEC=")
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_every_other_message_is_worded_as_the_manual_says(listener: tuple[socket.socket, str]) -> None:
    """STOPPING, STATUS, WATCHDOG and EXTEND_TIMEOUT_USEC are sent word for word."""
    receiver, name = listener
    notifier = ServiceNotifier({"NOTIFY_SOCKET": name})
    notifier.stopping("正在停止")
    notifier.status("正常")
    notifier.alive()
    notifier.extend_timeout(1.5)
    assert [lines(receiver) for _ in range(4)] == [
        ["STOPPING=1", "STATUS=正在停止"],
        ["STATUS=正常"],
        ["WATCHDOG=1"],
        ["EXTEND_TIMEOUT_USEC=1500000"],
    ]
    assert notifier.lost == 0


def test_a_status_cannot_smuggle_in_another_assignment(listener: tuple[socket.socket, str]) -> None:
    """A line feed inside a status does not become an assignment of its own."""
    receiver, name = listener
    ServiceNotifier({"NOTIFY_SOCKET": name}).status("一\nMAINPID=1")
    assert lines(receiver) == ["STATUS=一 MAINPID=1"]


def test_nothing_happens_without_a_service_manager() -> None:
    """Without NOTIFY_SOCKET every call is silent."""
    notifier = ServiceNotifier({})
    notifier.ready("好")
    assert (notifier.watched, notifier.lost) == (False, 0)


def test_a_listener_that_went_away_does_no_harm(tmp_path: Path) -> None:
    """A datagram that cannot be delivered is counted, never raised."""
    notifier = ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notifier.alive()
    assert notifier.lost == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_per_interval(environment: dict[str, str], expected: float | None) -> None:
    """Half of WATCHDOG_USEC, only if the watchdog is meant for this process."""
    assert ServiceNotifier(environment).feed_every == expected
