from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.store import Store
from support.daemon_process import daemon, duban, recorded, servers, wait_until
from support.office import Office, build_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHED = {"WATCHDOG_USEC": "1000000"}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Three cases that arrived yesterday, migrated tables, a mail sink and an SMS gateway."""
    arrived = datetime.now().replace(microsecond=0) - timedelta(days=1)  # noqa: DTZ005 - the platform writes local time
    with servers(tmp_path) as (smtp_port, sms_port):
        built = build_office(
            tmp_path / "office",
            cases=3,
            arrived=arrived,
            smtp_port=smtp_port,
            sms_port=sms_port,
            calendar="weekdays",
        )
        migrated = duban("migrate", "-c", built.configuration)
        assert migrated.returncode == 0, migrated.stderr
        yield built


def cases_told(folder: Path) -> set[str]:
    """The cases of the text messages so far, without what administrators are told of duban itself."""
    return {text["key"].split("/")[0] for text in recorded(folder / "texts")} - {"duban"}


def test_from_ready_to_an_orderly_end(office: Office, tmp_path: Path) -> None:
    """It says READY=1 in Chinese, feeds the watchdog, sends each notice once, and SIGTERM ends it with 0."""
    with daemon(office.configuration, tmp_path, **WATCHED) as running:
        assert "已启动" in running.manager.wait_for("READY=1")["STATUS"]
        running.manager.wait_for("WATCHDOG=1")
        wait_until(lambda: len(recorded(tmp_path / "mails")) == 3, running.manager)
        wait_until(lambda: len(recorded(tmp_path / "texts")) == 3, running.manager)
        running.signal(signal.SIGTERM)
        running.manager.wait_for("STOPPING=1")
        assert running.wait() == 0
        assert running.errors() == ""
    assert running.lines[-1] | {"at": ""} == {
        "event": "process.stopped",
        "in_order": True,
        "level": "info",
        "part": "daemon.process",
        "at": "",
    }
    assert len({text["key"] for text in recorded(tmp_path / "texts")}) == 3
    states = json.loads(duban("outbox", "list", "--json", "-c", office.configuration).stdout)
    assert {row["state"] for row in states} == {"accepted"}


def test_a_good_configuration_is_taken_over_at_once(office: Office, tmp_path: Path) -> None:
    """SIGHUP reads a changed policy: RELOADING=1 with its time, READY=1, and another policy version in force."""
    policy = office.configuration.parent / "policies" / "office.yaml"
    with daemon(office.configuration, tmp_path) as running:
        running.manager.wait_for("READY=1")
        before = running.logged("process.started")["version"]
        policy.write_text(policy.read_text("utf-8").replace("within: 15 日", "within: 20 日"), "utf-8")
        running.signal(signal.SIGHUP)
        assert int(running.manager.wait_for("RELOADING=1")["MONOTONIC_USEC"]) > 0
        assert "有误" not in running.manager.wait_for("READY=1")["STATUS"]
        assert running.logged("configuration.reloaded")["version"] != before


def test_a_broken_configuration_never_replaces_a_working_one(office: Office, tmp_path: Path) -> None:
    """SIGHUP with a broken file is refused with file, line and column; the old one goes on and still sends."""
    policy = office.configuration.parent / "policies" / "office.yaml"
    with daemon(office.configuration, tmp_path, **WATCHED) as running:
        running.manager.wait_for("READY=1")
        wait_until(lambda: len(cases_told(tmp_path)) == 3, running.manager)
        policy.write_text(policy.read_text("utf-8").replace("within: 15 日", "within: 15"), "utf-8")
        running.signal(signal.SIGHUP)
        assert "沿用原配置" in running.manager.wait_for("READY=1")["STATUS"]
        problems = running.logged("configuration.refused")["problems"]
        assert any("office.yaml:" in problem for problem in problems)
        arrived = f"{datetime.now():%Y-%m-%d %H:%M:%S}"  # noqa: DTZ005 - the platform writes local time
        office.execute(
            "INSERT INTO cases VALUES ('XF-NEW', 's0', 'h0', '求决', ?, ?, NULL, NULL, NULL, NULL, ?)",
            *(arrived, arrived, f"{arrived}.000000"),
        )
        wait_until(lambda: len(cases_told(tmp_path)) == 4, running.manager)
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_two_signals_at_once_are_one_wish(office: Office, tmp_path: Path) -> None:
    """A supervisor that signals the process and its group still gets an orderly end."""
    with daemon(office.configuration, tmp_path) as running:
        running.manager.wait_for("READY=1")
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGINT)
        assert running.wait() == 0


def test_a_kill_loses_nothing(office: Office, tmp_path: Path) -> None:
    """After SIGKILL the next start sends what is left; at most what was on the wire comes twice, marked."""
    with daemon(office.configuration, tmp_path) as running:
        running.manager.wait_for("READY=1")
        running.signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    (tmp_path / "again").mkdir()
    with daemon(office.configuration, tmp_path / "again", **WATCHED) as running:
        wait_until(lambda: len({text["key"] for text in recorded(tmp_path / "texts")}) == 3, running.manager)
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    seen: set[str] = set()
    for text in recorded(tmp_path / "texts"):
        assert text["key"] not in seen or text["possible_duplicate"] == "true"
        seen.add(text["key"])


def test_a_wrong_configuration_ends_with_78(office: Office, tmp_path: Path) -> None:
    """At the start every mistake is told without a traceback, and systemd is told not to try again."""
    office.configuration.write_text(office.configuration.read_text("utf-8") + "\nways_out: {}\n", "utf-8")
    with daemon(office.configuration, tmp_path) as running:
        assert running.wait() == 78
        told = running.errors()
    assert "ways_out" in told
    assert "Traceback" not in told


def test_tables_that_are_not_there_end_with_78(office: Office, tmp_path: Path) -> None:
    """Without `duban migrate` it refuses to start and names the command."""
    text = office.configuration.read_text("utf-8").replace("duban.db", "other.db")
    office.configuration.write_text(text, "utf-8")
    with daemon(office.configuration, tmp_path) as running:
        assert running.wait() == 78
        assert "migrate" in running.errors()


def test_a_store_that_is_away_ends_with_75(office: Office, tmp_path: Path) -> None:
    """A store that does not answer at the start ends with 75: systemd tries again."""
    text = office.configuration.read_text("utf-8")
    address = text[text.index("sqlite:///") : text.index('"', text.index("sqlite:///"))]
    office.configuration.write_text(
        text.replace(address, "postgresql+psycopg://nobody@127.0.0.1:1/none"), encoding="utf-8"
    )
    with daemon(office.configuration, tmp_path) as running:
        assert running.wait() == 75
        assert "Traceback" not in running.errors()


def test_a_worker_that_was_declared_dead_steps_down(office: Office, tmp_path: Path) -> None:
    """When another node has taken over, the daemon notices at its next heartbeat and leaves with 75."""
    with daemon(office.configuration, tmp_path) as running:
        running.manager.wait_for("READY=1")
        store = Store(f"sqlite:///{office.folder / 'duban.db'}")
        store.bury_silent(datetime.now(UTC) + timedelta(hours=1), timedelta(seconds=1))
        store.close()
        running.logged("process.fenced")
        assert running.wait() == 75
