"""What the suites share: fresh databases on real servers, and fresh stores."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest
from support.servers import DatabaseServer, SharedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def session_name() -> str:
    """The same for all processes of one test run."""
    return f"{os.getuid()}-{os.environ.get('PYTEST_XDIST_TESTRUNUID') or secrets.token_hex(8)}"


@pytest.fixture(scope="session")
def postgresql_server(session_name: str) -> Iterator[DatabaseServer]:
    """The session's PostgreSQL server."""
    shared = SharedServer("postgresql", session_name)
    yield shared.server
    shared.release()


@pytest.fixture(scope="session")
def mariadb_server(session_name: str) -> Iterator[DatabaseServer]:
    """The session's MariaDB server."""
    shared = SharedServer("mariadb", session_name)
    yield shared.server
    shared.release()


@pytest.fixture
def postgresql_url(postgresql_server: DatabaseServer) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


@pytest.fixture
def mariadb_url(mariadb_server: DatabaseServer) -> Iterator[str]:
    """A fresh, empty MariaDB database."""
    url = mariadb_server.create_database()
    yield url
    mariadb_server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'duban.sqlite'}"
