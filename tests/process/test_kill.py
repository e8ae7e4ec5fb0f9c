from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.killing import Trial, run_trial
from support.servers import DatabaseServer, SharedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = Trial(cases=150, kills=6, seed=20261008, mail_delay=0.08, sms_delay=0.32)


@pytest.fixture(scope="module")
def durable_postgresql(session_name: str) -> Iterator[DatabaseServer]:
    """A PostgreSQL server that waits for the disk, as in an office."""
    shared = SharedServer("postgresql", session_name, durable=True)
    yield shared.server
    shared.release()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the daemon keeps its own tables; empty for the SQLite file of the office."""
    if request.param == "sqlite":
        yield ""
        return
    server: DatabaseServer = request.getfixturevalue("durable_postgresql")
    url = server.create_database()
    yield url
    server.drop_database(url)


def test_no_message_is_lost_however_often_the_daemon_is_killed(empty_store_url: str, tmp_path: Path) -> None:
    """After kills at random moments every notice arrived; only what was in flight came twice, and said so."""
    outcome = run_trial(tmp_path, empty_store_url, SHORT)
    assert outcome.faults() == [], outcome.figures()
    assert len(outcome.kills) == SHORT.kills
    assert any(kill.in_flight for kill in outcome.kills), "no kill hit anything: the trial proves nothing"
