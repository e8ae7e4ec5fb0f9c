"""Connections to our own database: how they are opened, and what their errors are called.

SQLite: one writing connection (`BEGIN IMMEDIATE`, so that no transaction reads first and is refused later) and a few
for reading (plain `BEGIN`), write-ahead log, every commit on disk. PostgreSQL: a small pool with time-outs, so that a
dead network is noticed.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from daemon.errors import SettingsError, StoreUnavailable
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Generator

_BUSY_TIMEOUT_MS = 10_000
_SWITCHES = 10  # how often to try, each after waiting for whoever holds the file
_POSTGRESQL = {
    "connect_timeout": 5,  # seconds
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
    "application_name": "duban",
    "options": "-c statement_timeout=60000 -c lock_timeout=10000 -c TimeZone=UTC",
}


class Database:
    """One engine for writing and one for reading, and `unavailable` for everything that goes wrong between."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        if self.is_postgresql:
            self._writer = self._reader = sa.create_engine(
                self.url,
                pool_size=4,
                max_overflow=4,
                pool_timeout=30,
                pool_pre_ping=True,
                connect_args=_POSTGRESQL,
                hide_parameters=True,  # people and cases do not belong into error messages
            )
        else:
            self._writer = _sqlite_engine(self.url, "BEGIN IMMEDIATE", connections=1)
            self._reader = _sqlite_engine(self.url, "BEGIN", connections=4)

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        return None if self.is_postgresql else Path(self.url.database or "")

    @contextmanager
    def writing(self) -> Generator[sa.Connection]:
        """One transaction that writes: committed at the end, rolled back on an error."""
        with self._named_errors(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self, *, long: bool = False) -> Generator[sa.Connection]:
        """One transaction that reads; a `long` one sees one snapshot and has no time-out."""
        with self._named_errors(), self._reader.connect() as connection:
            if long and self.is_postgresql:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                if long and self.is_postgresql:
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def _named_errors(self) -> Generator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise self.unavailable(str(error.orig)) from None
        except PoolTimeoutError:
            raise self.unavailable("all connections are busy") from None
        except DBAPIError as error:
            damaged = type(error) is DatabaseError  # the file is no database, or a broken one
            if error.connection_invalidated or damaged:
                raise self.unavailable(str(error.orig)) from None
            raise

    def unavailable(self, detail: str) -> StoreUnavailable:
        """The error that names the place and what the driver said, without the password."""
        line = (detail.strip().splitlines() or [""])[0]
        if self.url.password:
            line = line.replace(str(self.url.password), "***")
        place = _place(self.url)
        return StoreUnavailable(
            Text(
                f"自有数据库 {place} 无法访问：{line}。请检查 duban.yaml 中的 store.url 以及数据库是否在运行。",
                f"our own database {place} does not answer: {line}. Check store.url in duban.yaml "
                "and whether the database is running.",
            )
        )


def _place(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or 'localhost'}{port}/{url.database or ''}"


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is not None and parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed is not None and parsed.drivername in ("sqlite", "sqlite+pysqlite") and _is_file(parsed.database):
        return parsed
    raise SettingsError(
        Text(
            "store.url 不能用：应为 sqlite:///文件路径 或 postgresql://用户:口令@主机/库名。",
            "store.url cannot be used: expected sqlite:///path/of/file or postgresql://user:password@host/database.",
        )
    )


def _is_file(database: str | None) -> bool:
    return bool(database) and database != ":memory:"


def _sqlite_engine(url: sa.URL, begin: str, *, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=60,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000, "cached_statements": 256},
    )

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - a driver's connection
        connection.isolation_level = None
        for pragma in ("synchronous=FULL", f"busy_timeout={_BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()
        _write_ahead(connection)

    def open_transaction(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", open_transaction)
    return engine


def _write_ahead(connection: Any) -> None:  # noqa: ANN401 - a driver's connection
    """Switch to the write-ahead log.

    Of several that switch a new file together SQLite refuses all but one without waiting. A transaction waits; after it
    the switch has been made or can be.
    """
    for _ in range(_SWITCHES):
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError:
            connection.execute("BEGIN IMMEDIATE").close()
            connection.execute("ROLLBACK").close()
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL").close()


def create_file(path: Path) -> None:
    """Create an SQLite file only we may read. The folder must be there."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
