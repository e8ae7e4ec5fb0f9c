"""The queries: only mapped columns, names quoted as each database wants it, pages by key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.types import NullType

from daemon.source.connection import tolerate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy.sql import ColumnElement, Select

    from daemon.mapping import Entity

    Row = Sequence[Any]

CHUNK = 500  # values of one IN list: below every database's limit
ARRAY_CHUNK = 10_000
COLON_BEFORE_NAME = re.compile(r"(?<![:\w\\]):(?=\w)")
AS_IT_CAME = NullType()  # parameters go to the driver as they came from it, without a cast


def literal_sql(sql: str) -> sa.TextClause:
    """The administrator's SQL as it is: a colon in it is not a parameter."""
    return sa.text(COLON_BEFORE_NAME.sub(r"\\:", sql.strip().rstrip(";")))


def select_from(entity: Entity, *columns: ColumnElement[Any]) -> Select[Any]:
    """These columns of the entity's table, view or query, filtered as the mapping says."""
    if entity.sql is not None:
        query = sa.select(*columns).select_from(literal_sql(f"({entity.sql.strip().rstrip(';')}) rows_"))
    else:
        schema, _, table = (entity.table or entity.view or "").rpartition(".")
        query = sa.select(*columns).select_from(sa.table(table, schema=schema or None))
    return query if entity.where is None else query.where(literal_sql(f"({entity.where})"))


def select_columns(entity: Entity, columns: Iterable[str]) -> tuple[Select[Any], dict[str, int]]:
    """A query for these columns of all rows, and where each stands in a row."""
    names = tuple(dict.fromkeys(columns))
    picked: list[ColumnElement[Any]] = [sa.column(name) for name in names]
    return select_from(entity, *picked), {name: place for place, name in enumerate(names)}


def fetch(connection: sa.Connection, query: Select[Any], values: dict[str, Any] | None = None) -> Sequence[Row]:
    """All rows of a query; a value the driver cannot convert spoils only itself."""
    try:
        return connection.execute(query, values or {}).fetchall()
    except (OperationalError, DataError) as error:
        if not tolerate(connection, error):
            raise
        return connection.execute(query, values or {}).fetchall()


class RowReader:
    """Reads the mapped columns of one entity by key: the queries are built once and used for ever."""

    def __init__(self, entity: Entity, key: str, columns: Sequence[str], open_sql: str | None = None) -> None:
        """`columns` are the only ones read; `open_sql` adds a last one that is 1 where the condition holds."""
        names = tuple(dict.fromkeys((key, *columns)))
        self.index = {name: place for place, name in enumerate(names)}
        picked: list[ColumnElement[Any]] = [sa.column(name) for name in names]
        if open_sql is not None:
            picked.append(
                sa.literal_column(f"CASE WHEN ({open_sql}) THEN 1 ELSE 0 END", sa.Integer()).label("is_open_")
            )
        self.key: ColumnElement[Any] = sa.column(key)
        self._entity = entity
        rows = select_from(entity, *picked)
        limit = sa.bindparam("n", type_=sa.Integer())
        there = rows.where(self.key.is_not(None))
        self._first_page = there.order_by(self.key).limit(limit)
        self._next_page = rows.where(self.key > _given("after")).order_by(self.key).limit(limit)
        self._among = rows.where(self.key.in_(_given("keys", many=True)))
        self._among_array = rows.where(self.key == sa.func.any(_given("keys")))
        self._any_key = select_from(entity, self.key).where(self.key.is_not(None)).limit(1)
        self._keys = select_from(entity, self.key).where(self.key.is_not(None)).order_by(self.key)
        self._without_key = select_from(entity, sa.func.count()).where(self.key.is_(None))

    def page(self, connection: sa.Connection, after: object, n: int) -> Sequence[Row]:
        """The first `n` rows whose key is greater than `after` (None: from the beginning)."""
        if after is None:
            return fetch(connection, self._first_page, {"n": n})
        return fetch(connection, self._next_page, {"n": n, "after": after})

    def among(self, connection: sa.Connection, keys: Sequence[object]) -> Iterator[Row]:
        """The rows with one of these keys."""
        if connection.dialect.name == "postgresql":  # one parameter instead of hundreds: several times faster
            for start in range(0, len(keys), ARRAY_CHUNK):
                yield from fetch(connection, self._among_array, {"keys": _array(keys[start : start + ARRAY_CHUNK])})
            return
        for start in range(0, len(keys), CHUNK):
            yield from fetch(connection, self._among, {"keys": keys[start : start + CHUNK]})

    def keys(self, connection: sa.Connection, after: object, n: int) -> Sequence[Row]:
        """The next `n` keys after `after`."""
        query = self._keys if after is None else self._keys.where(self.key > _given("after"))
        return fetch(connection, query.limit(n), {} if after is None else {"after": after})

    def whole_numbers(self, connection: sa.Connection) -> bool | None:
        """Whether the keys of this entity are whole numbers in the database; None while there are no rows."""
        first = next(iter(fetch(connection, self._any_key)), None)
        return None if first is None else isinstance(first[0], int)

    def count_without_key(self, connection: sa.Connection) -> int:
        """How many rows have no key at all."""
        return int(connection.execute(self._without_key).scalar_one())


def native(keys: Collection[str], *, whole_numbers: bool) -> list[object]:
    """Keys as the database compares them fastest."""
    if not whole_numbers:
        return list(keys)
    return [int(key) for key in keys if key.lstrip("-").isdigit()]


def _array(keys: Sequence[object]) -> str:
    """An array as PostgreSQL writes it; without a type of its own it takes the column's, whatever that is."""
    quoted = (str(key).replace("\\", "\\\\").replace('"', '\\"') for key in keys)
    return "{" + ",".join(f'"{key}"' for key in quoted) + "}"


def _given(name: str, *, many: bool = False) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=AS_IT_CAME, expanding=many)
