"""Open the shared database so that it cannot be written to, and say plainly when it does not answer."""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DataError, ProgrammingError, SQLAlchemyError

from daemon.errors import SettingsError, SourceUnavailable
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy.engine import URL

    from daemon.mapping import SourceMapping

POOL_SIZE = 4
RECYCLE_SECONDS = 1800
REFUSED = ("不接受这个查询，请核对表名、列名和权限", "refuses the query: check names and rights")
AWAY = ("连不上或没有应答", "does not answer")
NOT_UTF8 = "Could not decode to UTF-8"


def open_engine(mapping: SourceMapping) -> sa.Engine:
    """An engine whose every connection is read-only, if the database can be told so. Connects to nothing yet.

    Raises SettingsError if the URL or the dialect module cannot be used.
    """
    try:
        if mapping.dialect_module:
            importlib.import_module(mapping.dialect_module)
        url = sa.make_url(mapping.url)
        if mapping.password is not None:
            url = url.set(password=mapping.password.get_secret_value())
        kind = url.get_backend_name()
        if kind == "sqlite":
            return _open_sqlite(url, mapping)
        if kind == "postgresql":
            return _open_postgresql(url, mapping)
        if kind in ("mysql", "mariadb"):
            return _open_mysql(url, mapping)
        return sa.create_engine(url, **_options())
    except (ArgumentError, ImportError) as error:
        raise SettingsError(
            Text(
                f"共享数据库的地址（source.url）或方言模块无法使用：{type(error).__name__}。"
                "写法如 postgresql+psycopg://只读账号@主机/库名",
                f"the address of the shared database (source.url) or its dialect module cannot be used: "
                f"{type(error).__name__}. Write e.g. postgresql+psycopg://reader@host/database",
            ),
        ) from error


def _options() -> dict[str, Any]:
    return {
        "pool_size": POOL_SIZE,
        "pool_pre_ping": True,
        "pool_recycle": RECYCLE_SECONDS,
        "hide_parameters": True,  # keys of cases do not belong into error messages
        "isolation_level": "AUTOCOMMIT",  # every SELECT for itself: no transaction of ours stands in anybody's way
    }


def _open_sqlite(url: URL, mapping: SourceMapping) -> sa.Engine:
    path = Path(url.database or "").absolute()
    address = f"file:{quote(str(path))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=mapping.connect_timeout)
        connection.execute("PRAGMA query_only = ON")
        return connection

    options = _options()
    del options["isolation_level"]  # a SELECT opens no transaction here anyway
    return sa.create_engine(url, creator=connect, **options)


def _open_postgresql(url: URL, mapping: SourceMapping) -> sa.Engine:
    arguments = {
        "connect_timeout": mapping.connect_timeout,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": mapping.read_timeout * 1000,
        "application_name": "duban",
    }
    for given in url.query:
        arguments.pop(given, None)
    engine = sa.create_engine(url, connect_args=arguments, **_options())
    _on_connect(
        engine,
        (
            "SET default_transaction_read_only = on",
            f"SET statement_timeout = {mapping.read_timeout * 1000}",
            "SET lock_timeout = 5000",
        ),
    )
    return engine


def _open_mysql(url: URL, mapping: SourceMapping) -> sa.Engine:
    if "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})  # rare surnames have four bytes
    arguments = {"connect_timeout": mapping.connect_timeout, "read_timeout": mapping.read_timeout}
    engine = sa.create_engine(url, connect_args=arguments, **_options())
    _on_connect(
        engine,
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION TRANSACTION READ ONLY"),
    )
    return engine


def _on_connect(engine: sa.Engine, statements: tuple[str, ...]) -> None:
    """Run these once on every new connection, outside any transaction so that they last."""

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
        if hasattr(connection, "autocommit") and not callable(connection.autocommit):
            before, connection.autocommit = connection.autocommit, True
        else:
            before = None
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        if before is not None:
            connection.autocommit = before

    event.listen(engine, "connect", prepare)


@contextmanager
def reading(engine: sa.Engine) -> Generator[sa.Connection]:
    """A connection to read with. Raises SourceUnavailable for whatever the database or the network does."""
    try:
        with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise unavailable(engine, error) from None  # the original carries the address and maybe values


def unavailable(engine: sa.Engine, error: Exception) -> SourceUnavailable:
    """What to tell the administrator: where, and the driver's first line, without the password."""
    where = engine.url.render_as_string(hide_password=True)
    cause = str(getattr(error, "orig", None) or error).strip()
    first = cause.splitlines()[0] if cause else type(error).__name__
    if engine.url.password:
        first = first.replace(str(engine.url.password), "***")
    refused: bool = isinstance(error, ProgrammingError) or "no such " in first
    zh, en = REFUSED if refused else AWAY
    return SourceUnavailable(
        Text(
            f"共享数据库（{where}）{zh}：{first}",
            f"the shared database ({where}) {en}: {first}",
        ),
    )


def tolerate(connection: sa.Connection, error: Exception | None = None) -> bool:
    """Let this connection hand over what its driver cannot convert, as text: it is then one bad value, not the page.

    With `error`, only if that may have been the cause. True if reading again may help. Concerns text that is not
    UTF-8 on SQLite, and dates beyond Python's (infinity, before Christ) on PostgreSQL.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection) and (error is None or NOT_UTF8 in str(error)):
        driver.text_factory = _replacing
        return True
    if isinstance(driver, psycopg.Connection) and (error is None or isinstance(error, DataError)):
        for name, loader in TOLERANT_LOADERS.items():
            driver.adapters.register_loader(name, loader)
        return True
    return False


def _replacing(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


class _TolerantDate(DateLoader):
    def load(self, data: Any) -> Any:  # noqa: ANN401 - as in the base class
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


class _TolerantTimestamp(TimestampLoader):
    def load(self, data: Any) -> Any:  # noqa: ANN401 - as in the base class
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


class _TolerantTimestamptz(TimestamptzLoader):
    def load(self, data: Any) -> Any:  # noqa: ANN401 - as in the base class
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()


TOLERANT_LOADERS: dict[str, Any] = {
    "date": _TolerantDate,
    "timestamp": _TolerantTimestamp,
    "timestamptz": _TolerantTimestamptz,
}
