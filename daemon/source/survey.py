"""A look at everything the mapping names: how many rows, how well each column is filled, what cannot be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from daemon.source.connection import reading, tolerate, unavailable
from daemon.source.people import MAIL_ADDRESS, sms_address
from daemon.source.rows import select_columns, select_from
from daemon.source.values import (
    BadValue,
    bool_converter,
    field_converter,
    instant_converter,
    key_text,
    text_converter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.mapping import Column, Entity, SourceMapping
    from daemon.source.rows import Row
    from daemon.source.values import Reading
    from policies.text import Text

    Progress = Callable[[str, int, int], None]  # entity, rows done, rows in all

INSTANTS = frozenset({"at", "decided_at", "petitioner_told_at", "until", "from", "to", "changed", "review_at"})
NUMBERS = frozenset({"seq", "days", "workdays", "months"})
ABOUT_A_PERSON = frozenset({"name", "mobile", "email", "addresses"})
ROWS_AT_ONCE = 2_000
EXAMPLES = 3
MOBILE_LENGTH = 11
SHOWN = 60  # characters of a value in a sample: some columns hold whole documents


@dataclass(slots=True)
class ColumnSurvey:
    """One mapped column: how many rows have a value, none, one that cannot be read, one out of range.

    `codes` counts values that the code table does not list; `examples` are keys of rows with a bad value.
    """

    path: str
    column: str
    personal: bool
    filled: int = 0
    missing: int = 0
    unreadable: int = 0
    out_of_range: int = 0
    first: datetime | None = None
    last: datetime | None = None
    codes: Counter[str] = field(default_factory=Counter[str])
    examples: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class EntitySurvey:
    """One mapped entity: its rows and columns, some rows with personal content masked, or why it cannot be read."""

    entity: str
    origin: str
    rows: int = 0
    columns: list[ColumnSurvey] = field(default_factory=list[ColumnSurvey])
    samples: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    problem: Text | None = None


def survey(
    engine: sa.Engine, mapping: SourceMapping, how: Reading, samples: int, progress: Progress
) -> Iterator[EntitySurvey]:
    """Look at every mapped entity in turn. An entity that cannot be read says so, the others go on.

    Raises SourceUnavailable if the database does not even answer a connection.
    """
    with reading(engine) as connection:
        connection.execute(sa.select(sa.literal(1)))
    for name, entity in mapping.entities().items():
        try:
            yield _entity(engine, mapping, how, name, entity, samples, progress)
        except (SQLAlchemyError, OSError) as error:
            yield EntitySurvey(name, _origin(entity), problem=unavailable(engine, error).message)


def _origin(entity: Entity) -> str:
    return entity.table or entity.view or "SQL"


def _entity(
    engine: sa.Engine,
    mapping: SourceMapping,
    how: Reading,
    name: str,
    entity: Entity,
    samples: int,
    progress: Progress,
) -> EntitySurvey:
    columns = list(entity.columns_by_path())
    query, at = select_columns(entity, [column.column for _, column in columns])
    looks = [_Look(name, path, column, at[column.column], mapping, how) for path, column in columns]
    found = EntitySurvey(name, _origin(entity), columns=[look.found for look in looks])
    with engine.connect() as connection:
        total = int(connection.execute(select_from(entity, sa.func.count())).scalar_one())
        progress(name, 0, total)
        for row in _stream(connection, query):
            found.rows += 1
            label = next((key_text(row[look.place]) for look in looks if look.names_the_row), None)
            for look in looks:
                look.at(row, label or f"第 {found.rows} 行")
            if len(found.samples) < samples:
                found.samples.append({look.found.path: look.masked(row) for look in looks})
            if found.rows % ROWS_AT_ONCE == 0:
                progress(name, found.rows, total)
        progress(name, found.rows, total)
    return found


def _stream(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Row]:
    if connection.dialect.name == "postgresql":  # its cursors live in a transaction
        connection.rollback()  # the count before has begun one; the level cannot be changed within it
        connection = connection.execution_options(isolation_level="READ COMMITTED")
    tolerate(connection)
    yield from connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)


class _Look:
    """One column under examination."""

    def __init__(
        self, entity: str, path: Sequence[str], column: Column, place: int, mapping: SourceMapping, how: Reading
    ) -> None:
        personal = column.personal or (entity == "officials" and path[0] in ABOUT_A_PERSON)
        self.found = ColumnSurvey(".".join(path), column.column, personal)
        self.place = place
        self.names_the_row = path[0] in ("key", "case")
        self._codes = column.values
        self._read = _reader(entity, path, column, mapping, how)

    def at(self, row: Row, label: str) -> None:
        """Count this row."""
        raw = row[self.place]
        try:
            value = self._read(raw)
        except BadValue as bad:
            if bad.out_of_range:
                self.found.out_of_range += 1
            else:
                self.found.unreadable += 1
            if len(self.found.examples) < EXAMPLES:
                self.found.examples.append(label)
            return
        if value is None or value == "":
            self.found.missing += 1
            return
        self.found.filled += 1
        if isinstance(value, datetime):
            self.found.first = min(value, self.found.first or value)
            self.found.last = max(value, self.found.last or value)
        elif self._codes and not self.found.personal and (code := (key_text(raw) or "").strip()) not in self._codes:
            self.found.codes[shortened(code)] += 1

    def masked(self, row: Row) -> str:
        """The value as it may be shown."""
        raw = row[self.place]
        text = "" if raw is None else key_text(raw) or ""
        return mask(text) if self.found.personal else shortened(text)


def shortened(text: str) -> str:
    """The beginning of a value, as much as fits on a screen."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def mask(text: str) -> str:
    """A personal value, recognisable only to who knows it: 138****8000, 张**."""
    if len(text) >= MOBILE_LENGTH:
        return f"{text[:3]}****{text[-4:]}"
    return f"{text[:1]}**" if text else ""


def _reader(
    entity: str, path: Sequence[str], column: Column, mapping: SourceMapping, how: Reading
) -> Callable[[Any], object]:
    """The converter that reading uses for this column."""
    name, direct = path[-1], len(path) == 1
    if entity == "officials" and name in ("mobile", "email"):
        return _address_reader(name, column, mapping, how)
    if (path[0] == "milestones" and not direct) or (direct and name in INSTANTS and column.type != "number"):
        return instant_converter({"from": "from_at", "to": "to_at", "until": "until_at"}.get(name, name), column, how)
    if direct and name in ("restricted", "active"):
        return bool_converter(name, column, how)
    if path[0] == "columns":
        return field_converter(name, column, how)
    if direct and name in NUMBERS:
        return field_converter(name, column.model_copy(update={"type": "number"}), how)
    return text_converter(name, column, how)


def _address_reader(name: str, column: Column, mapping: SourceMapping, how: Reading) -> Callable[[Any], object]:
    convert = text_converter(name, column, how)

    def read(raw: Any) -> object:  # noqa: ANN401 - whatever the driver hands over
        text = convert(raw)
        if text is None:
            return None
        good = sms_address(text, mapping.phone_region) if name == "mobile" else MAIL_ADDRESS.fullmatch(text)
        if not good:
            raise BadValue(f"{name}：无效")
        return text

    return read
