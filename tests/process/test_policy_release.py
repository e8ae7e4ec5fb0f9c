"""Policies that change under the real daemon: noticed files, `duban reload`, old and new cases."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.daemon_process import daemon, duban, recorded, servers, wait_until
from support.office import Office, build_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHED = {"WATCHDOG_USEC": "1000000"}
POLICY = "policies/office.yaml"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """One case that arrived yesterday, migrated tables, a mail sink and an SMS gateway."""
    arrived = datetime.now().replace(microsecond=0) - timedelta(days=1)  # noqa: DTZ005 - the platform writes local time
    with servers(tmp_path) as (smtp_port, sms_port):
        built = build_office(
            tmp_path / "office", cases=1, arrived=arrived, smtp_port=smtp_port, sms_port=sms_port, calendar="weekdays"
        )
        assert duban("migrate", "-c", built.configuration).returncode == 0
        yield built


def new_case(office: Office, key: str) -> None:
    """A case that arrives now."""
    arrived = f"{datetime.now():%Y-%m-%d %H:%M:%S}"  # noqa: DTZ005 - the platform writes local time
    office.execute(
        "INSERT INTO cases VALUES (?, 's1', 'h1', '求决', ?, ?, NULL, NULL, NULL, NULL, ?)",
        *(key, arrived, arrived, f"{arrived}.000000"),
    )


def keys_sent(folder: Path) -> list[str]:
    """The cases of the text messages so far; none for what administrators are told."""
    return [text["key"].split("/")[0] for text in recorded(folder / "texts")]


def told(office: Office, *command: str) -> Any:
    """What a command says as JSON."""
    result = duban(*command, "--json", "-c", office.configuration)
    assert result.stdout, result.stderr
    return json.loads(result.stdout)


def days_of(office: Office, key: str) -> int:
    """How many days the limit of a case runs, rolls left aside."""
    (obligation,) = told(office, "explain", key)["obligations"]
    due = datetime.fromisoformat(obligation["nominal_due_at"])
    return (due - datetime.fromisoformat(obligation["start_at"])).days


def test_changed_files_are_noticed_and_old_cases_keep_their_version(office: Office, tmp_path: Path) -> None:
    """A broken file is refused and told, the old one goes on; a good one counts for new cases, old ones by command."""
    with daemon(office.configuration, tmp_path, **WATCHED) as running:
        running.manager.wait_for("READY=1")
        first = running.logged("process.started")["version"]
        wait_until(lambda: "XF00000000" in keys_sent(tmp_path), running.manager)
        office.change(POLICY, "within: 15 日", "within: 15")
        problems = running.logged("configuration.refused")["problems"]
        assert any("office.yaml:" in problem for problem in problems)
        new_case(office, "XF-OLD")
        wait_until(lambda: "XF-OLD" in keys_sent(tmp_path), running.manager)
        wait_until(lambda: "duban" in keys_sent(tmp_path), running.manager)  # the administrators are told
        office.change(POLICY, "within: 15", "within: 40 日")
        reloaded = running.logged("configuration.reloaded")
        assert (reloaded["policies"], reloaded["version"] == first) == ("activated", False)
        new_case(office, "XF-NEW")
        wait_until(lambda: "XF-NEW" in keys_sent(tmp_path), running.manager)
        assert [days_of(office, key) for key in ("XF00000000", "XF-OLD", "XF-NEW")] == [15, 15, 40]
        moved = duban("policy", "migrate", "XF-OLD", "--yes", "--by", "科长乙", "-c", office.configuration)
        assert moved.returncode == 0, moved.stderr
        wait_until(lambda: days_of(office, "XF-OLD") == 40, running.manager)
        assert days_of(office, "XF00000000") == 15
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_reload_by_command_says_what_became_of_it(office: Office, tmp_path: Path) -> None:
    """Through the store, without a signal: taken or refused with the reason, and exit code 1 when nobody runs."""
    office.change("duban.yaml", "language: zh", "language: zh\nrelease: {watch: false, second_person: true}")
    assert duban("reload", "-c", office.configuration).returncode == 1
    with daemon(office.configuration, tmp_path, **WATCHED) as running:
        running.manager.wait_for("READY=1")
        first = told(office, "policy", "status")["in_force"]
        office.change(POLICY, "within: 15 日", "within: 十五日")
        refused = duban("reload", "-c", office.configuration)
        assert refused.returncode == 1
        assert "拒绝" in refused.stdout
        office.change(POLICY, "within: 十五日", "within: 40 日")
        answer = told(office, "reload")
        assert [(node["refused"], node["policies"]) for node in answer["nodes"]] == [(None, "proposed")]
        assert told(office, "policy", "status")["in_force"] == first
        version = told(office, "policy", "status")["files"]
        assert duban("policy", "approve", version[:10], "--by", "科长乙", "-c", office.configuration).returncode == 0
        assert running.logged("policy.in_force")["version"] == version[:12]
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
