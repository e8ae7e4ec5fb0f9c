"""What the suites share: fresh databases on real servers, and fresh stores."""

from __future__ import annotations

import os
import secrets
import shutil
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import settings

from daemon.settings import load
from daemon.store import Store
from support.office import build_office
from support.played_lives import BEGIN, World
from support.running_office import SHANGHAI
from support.servers import DatabaseServer, SharedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The same examples in every run, so that a test that passed passes again; `make explore` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


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


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: DatabaseServer) -> Iterator[str]:
    """The name of a PostgreSQL database with our tables, to be copied."""
    url = postgresql_server.create_database()
    Store.migrate(url)
    yield str(sa.make_url(url).database)
    postgresql_server.drop_database(url)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with our tables, to be copied."""
    path = tmp_path_factory.mktemp("store") / "template.sqlite"
    Store.migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_store_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A fresh store with its tables in an SQLite file, where the kind of database is not the question."""
    shutil.copy(migrated_sqlite, tmp_path / "duban.sqlite")
    return f"sqlite:///{tmp_path / 'duban.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh store with its tables, on each database in turn."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("migrated_sqlite")
        shutil.copy(template, tmp_path / "duban.sqlite")
        yield f"sqlite:///{tmp_path / 'duban.sqlite'}"
        return
    server: DatabaseServer = request.getfixturevalue("postgresql_server")
    url = server.create_database(template=request.getfixturevalue("migrated_postgresql"))
    yield url
    server.drop_database(url)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open, empty store."""
    opened = Store(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def played_world(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> World:
    """The invented office with two cases that arrived on Wed 2026-09-16 at ten, to be copied for every played life."""
    folder = tmp_path_factory.mktemp("played") / "office"
    office = build_office(folder, cases=2, arrived=BEGIN.astimezone(SHANGHAI).replace(tzinfo=None))
    return World(office, load(office.configuration), migrated_sqlite)
