"""The web side of the real process: there before it is ready, gone after it has left; what it confirmed is not lost."""

from __future__ import annotations

import contextlib
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from channels.wire.identity import reference_of
from daemon.store import Store
from daemon.store.values import DeliveryState
from support.daemon_process import daemon, duban, recorded, servers, wait_until
from support.office import Office, build_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHED = {"WATCHDOG_USEC": "1000000"}
CASES = 12
CONSOLE = """console: {listen: "127.0.0.1:0", public_url: "https://duban.example.com", secret: an invented secret}
administrators:"""
CALLS = """    reference: {json: data.id}
    secrets: {callback_token: not-a-real-token}
    calls:
      proof: {query: token, equals: "{callback_token}"}
      receipts: {ours: {query: ours}, status: {query: type}, delivered: [1], failed: [2]}
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Some cases that arrived yesterday, a gateway that may call back, and the web side open."""
    arrived = datetime.now().replace(microsecond=0) - timedelta(days=1)  # noqa: DTZ005 - the platform writes local time
    with servers(tmp_path) as (smtp_port, sms_port):
        built = build_office(
            tmp_path / "office",
            cases=CASES,
            arrived=arrived,
            smtp_port=smtp_port,
            sms_port=sms_port,
            calendar="weekdays",
        )
        built.change("duban.yaml", "administrators:", CONSOLE)
        built.change("duban.yaml", "    reference: {json: data.id}\n", CALLS)
        migrated = duban("migrate", "-c", built.configuration)
        assert migrated.returncode == 0, migrated.stderr
        yield built


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 if nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (URLError, OSError):
        return 0, ""


def test_it_comes_and_goes_with_the_daemon(office: Office, tmp_path: Path) -> None:
    """It answers when READY=1 is told, also after a reload, and the port is free when the daemon has ended in order."""
    with daemon(office.configuration, tmp_path, **WATCHED) as running:
        port: int = running.logged("console.open")["port"]
        running.manager.wait_for("READY=1")
        status, body = ask(port, "/healthz")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        running.signal(signal.SIGHUP)
        running.logged("configuration.reloaded")
        assert ask(port, "/healthz")[0] == 200
        assert ask(port, "/in/sms?token=wrong&ours=x&type=1")[0] == 403
        assert ask(port, "/in/email")[0] == 404
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
        assert running.errors() == ""
        assert ask(port, "/healthz")[0] == 0
    assert running.lines[-1]["in_order"] is True


def test_a_console_changed_by_a_reload_waits_for_a_restart(office: Office, tmp_path: Path) -> None:
    """Its place, that is: the log says so, and it stays where it is. New secrets need none."""
    with daemon(office.configuration, tmp_path) as running:
        port: int = running.logged("console.open")["port"]
        running.manager.wait_for("READY=1")
        office.change("duban.yaml", "an invented secret", "another invented secret")
        running.signal(signal.SIGHUP)
        assert running.logged("configuration.reloaded")["needs_restart"] == []
        office.change("duban.yaml", "https://duban.example.com", "https://elsewhere.example.com")
        running.signal(signal.SIGHUP)
        assert running.logged("configuration.reloaded")["needs_restart"] == ["console"]
        assert ask(port, "/healthz")[0] == 200


def test_an_address_that_is_taken_does_not_stop_the_daemon(office: Office, tmp_path: Path) -> None:
    """It says so and goes on sending."""
    with daemon(office.configuration, tmp_path) as first:
        port: int = first.logged("console.open")["port"]
        first.manager.wait_for("READY=1")
        office.change("duban.yaml", "127.0.0.1:0", f"127.0.0.1:{port}")
        (tmp_path / "second").mkdir()
        with daemon(office.configuration, tmp_path / "second") as second:
            second.logged("console.not_open")
            second.manager.wait_for("READY=1")
            second.signal(signal.SIGTERM)
            assert second.wait() == 0


def test_a_kill_loses_no_receipt_that_was_confirmed(office: Office, tmp_path: Path) -> None:
    """SIGKILL while receipts come in: every one that was answered with 200 is on record after the next start."""
    (tmp_path / "again").mkdir()
    with daemon(office.configuration, tmp_path, **WATCHED) as running:
        port: int = running.logged("console.open")["port"]
        wait_until(lambda: len(recorded(tmp_path / "texts")) >= CASES, running.manager)
        keys = [text["key"] for text in recorded(tmp_path / "texts")]
        told = {key: f"/in/sms?token=not-a-real-token&ours={reference_of(key)}&type=1" for key in keys}
        confirmed: set[str] = set()

        def tell(key: str) -> None:
            if ask(port, told[key])[0] == 200:
                confirmed.add(key)
                running.signal(signal.SIGKILL)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(tell, keys))
        assert running.wait() == -signal.SIGKILL
    assert confirmed
    with daemon(office.configuration, tmp_path / "again", **WATCHED) as running:
        store = Store(f"sqlite:///{office.folder / 'duban.db'}")

        def on_record() -> set[str]:
            return {one.notice.key for one in store.deliveries(states=[DeliveryState.DELIVERED])}

        with contextlib.closing(store):
            wait_until(lambda: confirmed <= on_record(), running.manager)
