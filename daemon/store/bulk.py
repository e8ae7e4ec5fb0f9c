"""Many rows in one statement: one JSON text on PostgreSQL, one prepared statement on SQLite.

psycopg writes arrays with a regular expression for each element, which took longer than everything else together.
The SQL is put together from our own tables only; values are always parameters.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Row = tuple[Any, ...]


def is_postgresql(connection: sa.Connection) -> bool:
    """Whether this is PostgreSQL; SQLite otherwise."""
    return connection.dialect.name == "postgresql"


def fetch(connection: sa.Connection, query: sa.Executable, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """All rows. Their columns are named in `tables`; a checker cannot know them."""
    return list(connection.execute(query, parameters))


def among(connection: sa.Connection, column: sa.Column[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """The column is one of these values, however many, as one parameter."""
    if is_postgresql(connection):
        return column == sa.any_(sa.bindparam(None, list(values), type_=ARRAY(column.type)))
    listed = sa.func.json_each(_json(list(values))).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def among_named(column: sa.Column[Any], name: str, *, postgresql: bool) -> sa.ColumnElement[bool]:
    """The same with a named parameter, for a statement that is built once; `as_parameter` makes its value."""
    if postgresql:
        return column == sa.any_(sa.bindparam(name, type_=ARRAY(column.type)))
    listed = sa.func.json_each(sa.bindparam(name)).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def as_parameter(values: Collection[Any], *, postgresql: bool) -> object:
    """These values as the one parameter of `among_named`."""
    return list(values) if postgresql else _json(list(values))


def locked_rows(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], key: str, keys: Collection[Any]
) -> list[Any]:
    """The rows with one of these keys, in the order of the key, locked until the transaction ends."""
    if is_postgresql(connection):
        return list(connection.exec_driver_sql(_postgresql_lock(table, columns, key), (_json(list(keys)),)))
    return list(connection.exec_driver_sql(_sqlite_lock(table, columns, key), (_json(list(keys)),)))


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = ""
) -> int:
    """Insert; `conflict` is the ON CONFLICT clause. Returns how many rows were written."""
    if not rows:
        return 0
    if is_postgresql(connection):
        statement = _postgresql_insert(table, columns, conflict)
        return connection.exec_driver_sql(statement, (_records(columns, rows),)).rowcount
    return connection.exec_driver_sql(_sqlite_insert(table, columns, conflict), list(rows)).rowcount


def update_rows(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row], extra: str = ""
) -> None:
    """Set columns by the key that comes last in `columns`; `extra` sets more, the same for all."""
    if not rows:
        return
    if is_postgresql(connection):
        statement = _postgresql_update(table, columns, extra)
        connection.exec_driver_sql(statement, (_records(columns, rows),))
    else:
        connection.exec_driver_sql(_sqlite_update(table, columns, extra), list(rows))


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _records(columns: tuple[str, ...], rows: Sequence[Row]) -> str:
    return _json([dict(zip(columns, row, strict=True)) for row in rows])


_TYPES: dict[type[Any], str] = {
    sa.BigInteger: "bigint",
    sa.Integer: "integer",
    sa.Boolean: "boolean",
    sa.Text: "text",
}


def _type(table: sa.Table, column: str) -> str:
    return _TYPES[type(table.c[column].type)]


def _recordset(table: sa.Table, columns: tuple[str, ...]) -> str:
    typed = ", ".join(f'"{name}" {_type(table, name)}' for name in columns)
    return f"json_to_recordset(%s::json) AS v ({typed})"


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


@cache
def _postgresql_lock(table: sa.Table, columns: tuple[str, ...], key: str) -> str:
    keys = f"SELECT value::{_type(table, key)} FROM json_array_elements_text(%s::json)"  # noqa: S608 - our own names
    chosen = f'"{key}" = ANY(ARRAY({keys})) ORDER BY "{key}" FOR UPDATE'
    return f"SELECT {_listed(columns)} FROM {table.name} WHERE {chosen}"  # noqa: S608 - our own names


@cache
def _sqlite_lock(table: sa.Table, columns: tuple[str, ...], key: str) -> str:
    chosen = f'"{key}" IN (SELECT value FROM json_each(?)) ORDER BY "{key}"'  # noqa: S608 - the writer is alone anyway
    return f"SELECT {_listed(columns)} FROM {table.name} WHERE {chosen}"  # noqa: S608 - our own names


@cache
def _postgresql_insert(table: sa.Table, columns: tuple[str, ...], conflict: str) -> str:
    return f"INSERT INTO {table.name} ({_listed(columns)}) SELECT * FROM {_recordset(table, columns)} {conflict}"  # noqa: S608 - our own names


@cache
def _sqlite_insert(table: sa.Table, columns: tuple[str, ...], conflict: str) -> str:
    return f"INSERT INTO {table.name} ({_listed(columns)}) VALUES ({', '.join('?' * len(columns))}) {conflict}"  # noqa: S608 - our own names


@cache
def _postgresql_update(table: sa.Table, columns: tuple[str, ...], extra: str) -> str:
    *changed, key = columns
    assignments = ", ".join([*(f'"{name}" = v."{name}"' for name in changed), *([extra] if extra else [])])
    return (
        f"UPDATE {table.name} SET {assignments} FROM {_recordset(table, columns)} "  # noqa: S608 - our own names
        f'WHERE {table.name}."{key}" = v."{key}"'
    )


@cache
def _sqlite_update(table: sa.Table, columns: tuple[str, ...], extra: str) -> str:
    *changed, key = columns
    assignments = ", ".join([*(f'"{name}" = ?' for name in changed), *([extra] if extra else [])])
    return f'UPDATE {table.name} SET {assignments} WHERE "{key}" = ?'  # noqa: S608 - our own names
