"""The shared database, read through SQLAlchemy: pages by key, changes by time, cases by IN lists."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from daemon.clock import Clock, SystemClock
from daemon.source import BadRow, Page, Source
from daemon.source.cases import (
    CaseReader,
    Related,
    RelatedReader,
    extension_reader,
    milestone_reader,
    pause_reader,
    personal_reader,
    put_in_order,
    recusal_reader,
    transfer_reader,
)
from daemon.source.changes import ChangeForm, Watermark
from daemon.source.connection import open_engine, reading
from daemon.source.people import read_directory
from daemon.source.rights import Rights, refuse_writable, rights_of
from daemon.source.rows import AS_IT_CAME, RowReader, fetch, native, select_from
from daemon.source.survey import EntitySurvey, survey
from daemon.source.values import BadValue, Reading, key_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.sql import ColumnElement

    from daemon.mapping import SourceMapping
    from daemon.source.rows import Row
    from daemon.source.survey import Progress
    from policies.model import Case, Directory, Official

KEYS_PER_PAGE = 20_000
WRITTEN_TIME = "2000-01-01 00:00:00"  # the form of change times written as text, if the newest one is no time


class DatabaseSource(Source):
    """Cases and people of a shared database. Safe to use from several threads; nothing is connected before use."""

    def __init__(
        self,
        mapping: SourceMapping,
        zone: ZoneInfo,
        administrators: Sequence[Official] = (),
        clock: Clock | None = None,
    ) -> None:
        """`zone` is the office's; `administrators` are added to every directory. Raises SettingsError."""
        self._mapping = mapping
        self._administrators = tuple(administrators)
        self._clock = clock or SystemClock()
        self._reading = Reading.of(mapping, zone, self._clock.now())
        self._engine = open_engine(mapping)
        self._cases = CaseReader(mapping.cases, self._reading)
        self._personal = personal_reader(mapping.cases)
        self._related = _related_readers(mapping, self._reading)
        self._whole_numbers: dict[str, bool] = {}
        self._changes = _ChangeQueries(mapping, self._reading) if mapping.cases.changed else None
        self._mapping_mark = hashlib.sha256(mapping.cases.model_dump_json().encode()).hexdigest()[:12]
        self._known: tuple[frozenset[str] | None, frozenset[str] | None] = (None, None)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def rights(self) -> Rights:
        """What the account may do to the mapped tables, as the server says. Raises SourceUnavailable."""
        with reading(self._engine) as connection:
            return rights_of(connection, self._mapping)

    def require_read_only(self) -> Rights:
        """The rights; raises SourceWritable if the account could write and the mapping does not allow it."""
        rights = self.rights()
        refuse_writable(rights, allowed=self._mapping.allow_writable)
        return rights

    def survey(self, samples: int, progress: Progress) -> Iterator[EntitySurvey]:
        """Every mapped entity and column, counted over all rows. Raises SourceUnavailable."""
        return survey(self._engine, self._mapping, self._reading, samples, progress)

    # --- people ------------------------------------------------------------------------------------------

    def read_directory(self) -> tuple[Directory, tuple[BadRow, ...]]:
        """Officials, units and posts, and what is wrong with them. Raises SourceUnavailable."""
        with reading(self._engine) as connection:
            directory, bad = read_directory(connection, self._mapping, self._reading, self._administrators)
        self._known = (
            frozenset(directory.officials) if self._mapping.officials else None,
            frozenset(directory.units) if self._mapping.units else None,
        )
        return directory, bad

    # --- cases -------------------------------------------------------------------------------------------

    def changed_since(self, watermark: str | None, page_size: int) -> Iterator[Page]:
        """Cases changed since the watermark (with overlap), page by page; all of them when it is None.

        Rows without a change time are read every time. At least one page is given. Raises SourceUnavailable.
        """
        mark = Watermark.read(watermark, self._mapping_mark)
        if self._changes is None:
            yield from self._everything(None, None, page_size)
        elif mark is None:
            yield from self._everything(None, self._newest(), page_size)
        elif mark.scan_after is not None or mark.changed is None:
            yield from self._everything(mark.scan_after, mark.changed, page_size)
        else:
            yield from self._changed(self._changes, mark.changed, page_size)

    def all_keys(self) -> Iterator[str]:
        """The key of every case the filter lets through, each once. Raises SourceUnavailable."""
        after: object = None
        last: str | None = None
        while True:
            with reading(self._engine) as connection:
                rows = self._cases.reader.keys(connection, after, KEYS_PER_PAGE)
            for row in rows:
                key = key_text(row[0])
                if key is not None and key != last:
                    last = key
                    yield key
            if len(rows) < KEYS_PER_PAGE:
                return
            after = rows[-1][0]

    def reread(self, keys: Collection[str]) -> tuple[dict[str, Case], tuple[BadRow, ...]]:
        """These cases as they are now.

        A key that is neither among the cases nor the `case` of a finding has left the source. Raises
        SourceUnavailable.
        """
        with reading(self._engine) as connection:
            cases, bad = self._read_keys(connection, keys)
        return {case.key: case for case in cases}, tuple(bad)

    def personal_values(self, keys: Collection[str]) -> dict[str, tuple[str, ...]]:
        """What the personal columns say of these cases: to stop a text that quotes it. Never kept, never logged.

        Without such columns nothing is read. Raises SourceUnavailable.
        """
        if self._personal is None or not keys:
            return {}
        found: dict[str, tuple[str, ...]] = {}
        with reading(self._engine) as connection:
            wanted = native(keys, whole_numbers=self._are_whole_numbers(connection, "cases", self._cases.reader))
            for row in self._personal.among(connection, wanted):
                key = key_text(row[0])
                if key is not None:
                    said = (key_text(value) for value in row[1:])
                    found[key] = (*found.get(key, ()), *(value.strip() for value in said if value))
        return found

    def newest_change_at(self) -> datetime | None:
        """The newest change time that is not in the future; None if there is none. Raises SourceUnavailable."""
        if self._changes is None:
            return None
        newest = self._newest()
        at = None if newest is None else self._changes.form.instant(newest)
        return None if at is None else at.astimezone(UTC)

    # --- reading whole pages -----------------------------------------------------------------------------

    def _everything(self, after: object, newest: object, page_size: int) -> Iterator[Page]:
        """All cases in the order of their keys. `newest` is the change value from before the scan began."""
        first = after is None
        while True:
            with reading(self._engine) as connection:
                rows = self._cases.reader.page(connection, after, page_size + 1)
                more = len(rows) > page_size
                if more:
                    rows = _whole_groups(rows)
                cases, bad = self._read_rows(rows, self._related_of(connection, rows))
                if first:
                    bad += self._rows_without_key(connection)
            first = False
            after = rows[-1][0] if rows else after
            yield Page(
                tuple(cases), tuple(bad + self._strangers(cases)), self._mark(newest, after if more else None), more
            )
            if not more:
                return

    def _changed(self, changes: _ChangeQueries, newest: object, page_size: int) -> Iterator[Page]:
        now = self._clock.now()
        start: tuple[object, object] | None = (changes.form.before(newest, self._mapping.overlap), None)
        reached = newest
        while start is not None:
            with reading(self._engine) as connection:
                rows = changes.page(connection, start, page_size)
                cases, bad = self._read_keys(connection, _keys_of(rows))
            for row in rows:
                at = changes.form.instant(row[0])
                if (at is None and not isinstance(row[0], str)) or (at is not None and at <= now):
                    reached = row[0] if _later(row[0], reached) else reached
            start = (rows[-1][0], rows[-1][1]) if len(rows) >= page_size else None
            yield Page(tuple(cases), tuple(bad + self._strangers(cases)), self._mark(reached, None), more=True)
        after: object = None
        more = True
        while more:
            with reading(self._engine) as connection:
                rows = changes.without_time(connection, after, page_size)
                cases, bad = self._read_keys(connection, _keys_of(rows))
            more = len(rows) >= page_size
            after = rows[-1][1] if rows else None
            yield Page(tuple(cases), tuple(bad + self._strangers(cases)), self._mark(reached, None), more)

    def _mark(self, newest: object, scan_after: object) -> str | None:
        if self._changes is None:
            return None
        return Watermark(self._mapping_mark, newest, scan_after).write()

    def _newest(self) -> object:
        if self._changes is None:
            return None
        with reading(self._engine) as connection:
            return self._changes.newest(connection, self._clock.now())

    # --- reading some cases ------------------------------------------------------------------------------

    def _read_keys(self, connection: sa.Connection, keys: Collection[str]) -> tuple[list[Case], list[BadRow]]:
        if not keys:
            return [], []
        reader = self._cases.reader
        wanted = native(keys, whole_numbers=self._are_whole_numbers(connection, "cases", reader))
        asked = frozenset(keys)
        rows = [row for row in reader.among(connection, wanted) if self._cases.key(row) in asked]
        return self._read_rows(rows, self._related_of(connection, rows))

    def _related_of(
        self, connection: sa.Connection, rows: Sequence[Row]
    ) -> tuple[dict[str, Related], list[BadRow]] | None:
        if not self._related or not rows:
            return None
        keys = {key.rstrip(): key for row in rows if (key := self._cases.key(row)) is not None}
        related = {key: Related() for key in keys.values()}
        bad: list[BadRow] = []
        for other in self._related:
            whole = self._are_whole_numbers(connection, other.entity, other.reader)
            found = other.reader.among(connection, native(keys.keys() | set(keys.values()), whole_numbers=whole))
            bad += other.collect(found, related, keys)
        for one in related.values():
            put_in_order(one)
        return related, bad

    def _read_rows(
        self,
        rows: Sequence[Row],
        others: tuple[dict[str, Related], list[BadRow]] | None,
    ) -> tuple[list[Case], list[BadRow]]:
        related, bad = others if others is not None else (None, [])
        keys = [self._cases.key(row) for row in rows]
        twice = {key for key, n in Counter(keys).items() if n > 1 and key} if len(set(keys)) < len(keys) else set[str]()
        bad += [BadRow("cases", key, "编号重复，这些行都不采用", case=key) for key in sorted(twice)]
        cases: list[Case] = []
        read = self._cases.case
        for key, row in zip(keys, rows, strict=True):
            if key is None:
                bad.append(BadRow("cases", "（无编号）", "编号为空"))
                continue
            if key in twice:
                continue
            try:
                if related is None:
                    cases.append(read(key, row))
                elif not related[key].unreadable:
                    cases.append(read(key, row, related[key]))
            except BadValue:
                bad.append(BadRow("cases", key, self._cases.reasons(row), case=key))
        return cases, bad

    def _rows_without_key(self, connection: sa.Connection) -> list[BadRow]:
        n = self._cases.reader.count_without_key(connection)
        return [BadRow("cases", "（无编号）", f"编号为空：{n} 行")] if n else []

    def _strangers(self, cases: Sequence[Case]) -> list[BadRow]:
        """Cases whose handler or unit nobody knows: they go on, up the chain, but somebody should mend the data."""
        officials, units = self._known
        bad: list[BadRow] = []
        for case in cases:
            if officials is not None and case.handler is not None and case.handler not in officials:
                reason = f"承办人“{case.handler}”不在人员表中"
                bad.append(BadRow("cases", case.key, reason, case=case.key, set_aside=False))
            for person in case.recused if officials is not None else ():
                if officials is not None and person not in officials:
                    reason = f"回避人员“{person}”不在人员表中，回避不起作用"
                    bad.append(BadRow("recusals", case.key, reason, case=case.key, set_aside=False))
            if units is not None and case.unit is not None and case.unit not in units:
                reason = f"单位“{case.unit}”不在单位表中"
                bad.append(BadRow("cases", case.key, reason, case=case.key, set_aside=False))
        return bad

    def _are_whole_numbers(self, connection: sa.Connection, entity: str, reader: RowReader) -> bool:
        known = self._whole_numbers.get(entity)
        if known is None:
            known = reader.whole_numbers(connection)
            if known is None:  # no rows yet: ask again next time
                return False
            self._whole_numbers[entity] = known
        return known


class _ChangeQueries:
    """The queries along the change column."""

    def __init__(self, mapping: SourceMapping, reading: Reading) -> None:
        rows = mapping.cases
        if rows.changed is None:
            raise ValueError("no change column is mapped")
        zone = ZoneInfo(rows.changed.zone) if rows.changed.zone else reading.zone
        self.form = ChangeForm(zone, rows.changed.format[0] if rows.changed.format else None)
        changed: ColumnElement[Any] = sa.column(rows.changed.column)
        key: ColumnElement[Any] = sa.column(rows.key.column)
        self._changed = changed
        both = select_from(rows, changed, key).where(key.is_not(None))
        in_order = both.order_by(changed, key).limit(sa.bindparam("n", type_=sa.Integer()))
        self._from = in_order.where(changed >= _given("since"))
        self._after = in_order.where(changed >= _given("since"), sa.or_(changed > _given("since"), key > _given("key")))
        self._newest = select_from(rows, sa.func.max(changed))
        self._without = both.where(changed.is_(None)).order_by(key).limit(sa.bindparam("n", type_=sa.Integer()))
        self._key = key

    def page(self, connection: sa.Connection, start: tuple[object, object], n: int) -> Sequence[Row]:
        """The next rows (change value, key) from this change value, or after this change value and key."""
        since, key = start
        if key is None:
            return fetch(connection, self._from, {"since": since, "n": n})
        return fetch(connection, self._after, {"since": since, "key": key, "n": n})

    def without_time(self, connection: sa.Connection, after: object, n: int) -> Sequence[Row]:
        """The next rows that have no change value."""
        if after is None:
            return fetch(connection, self._without, {"n": n})
        return fetch(connection, self._without.where(self._key > _given("after")), {"n": n, "after": after})

    def newest(self, connection: sa.Connection, now: datetime) -> object:
        """The newest change value that is a time up to now, or a version number; None if there is none."""
        newest = fetch(connection, self._newest)[0][0]
        at = None if newest is None else self.form.instant(newest)
        if at is None and not isinstance(newest, str):
            return newest
        if at is not None and at <= now:
            return newest
        limit = self.form.like(WRITTEN_TIME if at is None else newest, now)
        return fetch(connection, self._newest.where(self._changed <= _given("limit")), {"limit": limit})[0][0]


def _given(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=AS_IT_CAME)


def _keys_of(rows: Sequence[Row]) -> list[str]:
    keys = (key_text(row[1]) for row in rows)
    return list(dict.fromkeys(key for key in keys if key is not None))


def _whole_groups(rows: Sequence[Row]) -> Sequence[Row]:
    """All rows but the last group with equal keys, which may go on beyond the page; all if there is only one."""
    last = _folded(rows[-1])
    end = len(rows)
    while end and _folded(rows[end - 1]) == last:
        end -= 1
    return rows[:end] if end else rows


def _folded(row: Row) -> str:
    """Keys that a database may take as equal look equal here too."""
    return (key_text(row[0]) or "").rstrip().casefold()


def _later(one: Any, other: Any) -> bool:  # noqa: ANN401 - change values of whatever kind the column has
    try:
        return other is None or bool(one > other)
    except TypeError:
        return False


def _related_readers(mapping: SourceMapping, reading: Reading) -> tuple[RelatedReader, ...]:
    readers: list[RelatedReader] = []
    if mapping.milestones:
        readers.append(milestone_reader(mapping.milestones, reading))
    if mapping.transfers:
        readers.append(transfer_reader(mapping.transfers, reading))
    if mapping.extensions:
        readers.append(extension_reader(mapping.extensions, reading))
    if mapping.pauses:
        readers.append(pause_reader(mapping.pauses, reading))
    if mapping.recusals:
        readers.append(recusal_reader(mapping.recusals, reading))
    return tuple(readers)
