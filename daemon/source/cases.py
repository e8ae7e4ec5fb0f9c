"""Rows to cases: every column's converter is compiled once, then a row costs microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from daemon.mapping import movement_of, unknown_movement
from daemon.source import BadRow
from daemon.source.picks import pick_bool, pick_instant, pick_text
from daemon.source.rows import RowReader
from daemon.source.values import LOOKS_PERSONAL, BadValue, field_converter, instant_converter, key_text, shown
from policies.duration import Duration, DurationError, Unit, parse_duration
from policies.model import Case, Extension, Movement, Pause, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from daemon.mapping import (
        CaseRows,
        Column,
        ExtensionRows,
        MilestoneRows,
        OpenRule,
        PauseRows,
        RecusalRows,
        TransferRows,
    )
    from daemon.source.rows import Row
    from daemon.source.values import Reading

Numbered = TypeVar("Numbered", Transfer, Extension, Pause)


@dataclass(slots=True)
class Related:
    """What other tables say about one case."""

    events: dict[str, set[datetime]] = field(default_factory=dict[str, "set[datetime]"])
    transfers: list[Transfer] = field(default_factory=list[Transfer])
    extensions: list[Extension] = field(default_factory=list[Extension])
    pauses: list[Pause] = field(default_factory=list[Pause])
    recused: set[str] = field(default_factory=set[str])
    unreadable: bool = False


NOTHING_RELATED = Related()
LONGEST_KIND = 12  # a longer text is no kind of movement but something else, and perhaps personal


class CaseReader:
    """Makes a Case of one row."""

    def __init__(self, rows: CaseRows, reading: Reading) -> None:
        columns = [column for path, column in rows.columns_by_path() if not column.personal and path != ("changed",)]
        names = [column.column for column in columns]
        if rows.open is not None and rows.open.column is not None:
            names.append(rows.open.column)
        self.reader = RowReader(rows, rows.key.column, names, rows.open.sql if rows.open else None)
        at = self.reader.index
        self._key = at[rows.key.column]
        self._milestones = [
            (name, at[column.column], instant_converter(name, column, reading))
            for name, column in rows.milestones.items()
        ]
        self._fields = [
            (name, at[column.column], field_converter(name, column, reading))
            for name, column in rows.columns.items()
            if not column.personal
        ]
        self._unit = pick_text("unit", rows.unit, reading, at)
        self._handler = pick_text("handler", rows.handler, reading, at)
        self._restricted = pick_bool("restricted", rows.restricted, reading, at)
        self._earlier = pick_text("earlier", rows.earlier, reading, at)
        self._open = _openness(rows.open, at)

    def key(self, row: Row) -> str | None:
        """The row's key as text; None if it has none."""
        return key_text(row[self._key])

    def case(self, key: str, row: Row, related: Related = NOTHING_RELATED) -> Case:
        """The case. Raises BadValue if anything mapped cannot be read."""
        milestones: dict[str, datetime] = {}
        for name, place, instant in self._milestones:
            raw = row[place]
            if raw is not None and (at := instant(raw)) is not None:
                milestones[name] = at
        series: dict[str, tuple[datetime, ...]] = {}
        for name, instants in related.events.items():
            times = sorted(instants | {milestones[name]} if name in milestones else instants)
            milestones.setdefault(name, times[-1])
            if len(times) > 1:
                series[name] = tuple(times)
        earlier = self._earlier(row)
        return Case(
            key,
            self._unit(row),
            self._handler(row),
            milestones,
            {name: convert(row[place]) for name, place, convert in self._fields},
            tuple(related.transfers),
            tuple(related.extensions),
            tuple(related.pauses),
            bool(self._restricted(row)),
            self._open(row),
            series,
            tuple(sorted(related.recused)),
            None if earlier == key else earlier,
        )

    def reasons(self, row: Row) -> str:
        """Everything that is wrong with a row, once it is known that something is."""
        values = [(convert, row[place]) for _, place, convert in (*self._milestones, *self._fields)]
        picks = (self._unit, self._handler, self._restricted, self._earlier)
        complaints = [_complaint(convert, raw) for convert, raw in values] + [_complaint(pick, row) for pick in picks]
        return "；".join(filter(None, complaints))


def personal_reader(rows: CaseRows) -> RowReader | None:
    """Reads nothing but the personal columns; None if none is marked."""
    personal = [column.column for _, column in rows.columns_by_path() if column.personal]
    return RowReader(rows, rows.key.column, personal) if personal else None


def _complaint(read: Callable[[Any], object], value: object) -> str:
    try:
        read(value)
    except BadValue as bad:
        return bad.reason
    return ""


def _openness(rule: OpenRule | None, at: Mapping[str, int]) -> Callable[[Row], bool]:
    if rule is None:
        return lambda _row: True
    if rule.column is None:
        return lambda row: bool(row[-1])
    place = at[rule.column]
    among, expected = (rule.among, True) if rule.among is not None else (rule.not_among or (), False)
    codes = frozenset(among)
    return lambda row: ((key_text(row[place]) or "").strip() in codes) is expected


# --- what other tables say about a case ----------------------------------------------------------------------


class RelatedReader:
    """Rows of another table that belong to cases: read for many cases at once, added to each one's Related."""

    def __init__(self, entity: str, reader: RowReader, add: Callable[[Related, Row], None], *, decisive: bool) -> None:
        """`decisive`: a case whose row here cannot be read is set aside, for its limits would be wrong."""
        self.entity = entity
        self.reader = reader
        self._add = add
        self._decisive = decisive

    def collect(self, rows: Iterable[Row], related: Mapping[str, Related], keys: Mapping[str, str]) -> list[BadRow]:
        """Add each row to its case's Related; `keys` gives the case's key for the trimmed one in the row."""
        bad: list[BadRow] = []
        for row in rows:
            key = keys.get((key_text(row[0]) or "").rstrip())
            if key is None:
                continue
            try:
                self._add(related[key], row)
            except BadValue as problem:
                related[key].unreadable |= self._decisive
                bad.append(BadRow(self.entity, key, problem.reason, case=key, set_aside=self._decisive))
        return bad


def milestone_reader(rows: MilestoneRows, reading: Reading) -> RelatedReader:
    """Milestones kept as one row per event."""
    reader = RowReader(rows, rows.case.column, [rows.name.column, rows.at.column])
    at = reader.index
    name_of = pick_text("name", rows.name, reading, at)
    place = at[rows.at.column]
    known = {str(name) for name in rows.name.values.values()}
    converters = {name: instant_converter(name, rows.at, reading) for name in known}

    def add(related: Related, row: Row) -> None:
        name = name_of(row)
        if name is None or not name.endswith("_at"):
            return
        convert = converters.get(name) or converters.setdefault(name, instant_converter(name, rows.at, reading))
        moment = convert(row[place])
        if moment is not None:
            related.events.setdefault(name, set()).add(moment)

    return RelatedReader("milestones", reader, add, decisive=True)


def transfer_reader(rows: TransferRows, reading: Reading) -> RelatedReader:
    """Movements (流转). One of a kind nobody knows is left out and listed, for it may or may not be a hand-over."""
    reader = RowReader(rows, rows.case.column, [column.column for _, column in rows.columns_by_path()])
    at = reader.index
    moment, order = pick_instant("at", rows.at, reading, at), _order(rows.seq, reading, at)
    decided, kind = pick_instant("decided_at", rows.decided_at, reading, at), _movement(rows.kind, reading, at)
    texts = {
        name: pick_text(name, getattr(rows, name), reading, at)
        for name in ("to_unit", "to_official", "from_unit", "reason", "approved_by", "document")
    }

    def add(related: Related, row: Row) -> None:
        when = moment(row)
        if when is None:
            raise BadValue("at：没有转办时间")
        seq = order(row)
        said = {name: pick(row) for name, pick in texts.items()}
        related.transfers.append(
            Transfer(
                seq,
                when,
                to_unit=said["to_unit"],
                to_official=said["to_official"],
                from_unit=said["from_unit"],
                reason=said["reason"],
                approved_by=said["approved_by"],
                kind=kind(row),
                document=said["document"],
                decided_at=decided(row),
            )
        )

    return RelatedReader("transfers", reader, add, decisive=False)


def extension_reader(rows: ExtensionRows, reading: Reading) -> RelatedReader:
    """Extensions (延期)."""
    reader = RowReader(rows, rows.case.column, [column.column for _, column in rows.columns_by_path()])
    at = reader.index
    decided, told = (
        pick_instant(name, getattr(rows, name), reading, at) for name in ("decided_at", "petitioner_told_at")
    )
    until = pick_instant("until_at", rows.until, reading, at)
    approver, limit = (pick_text(name, getattr(rows, name), reading, at) for name in ("approved_by", "limit"))
    order, length = _order(rows.seq, reading, at), _length(rows, reading, at)

    def add(related: Related, row: Row) -> None:
        when = decided(row)
        if when is None:
            raise BadValue("decided_at：没有批准时间")
        seq = order(row)
        related.extensions.append(
            Extension(seq, length(row), when, approver(row), told(row), until(row), limit(row)),
        )

    return RelatedReader("extensions", reader, add, decisive=True)


def pause_reader(rows: PauseRows, reading: Reading) -> RelatedReader:
    """Intervals that do not count (中止)."""
    reader = RowReader(rows, rows.case.column, [column.column for _, column in rows.columns_by_path()])
    at = reader.index
    begin, end = pick_instant("from_at", rows.from_at, reading, at), pick_instant("to_at", rows.to_at, reading, at)
    basis, approver, limit = (
        pick_text(name, getattr(rows, name), reading, at) for name in ("basis", "approved_by", "limit")
    )
    order, review = _order(rows.seq, reading, at), pick_instant("review_at", rows.review_at, reading, at)

    def add(related: Related, row: Row) -> None:
        since = begin(row)
        if since is None:
            raise BadValue("from：没有中止起始时间")
        till = end(row)
        if till is not None and till < since:
            raise BadValue("to：中止的结束早于起始")
        seq = order(row)
        related.pauses.append(Pause(seq, since, till, basis(row), approver(row), limit(row), review(row)))

    return RelatedReader("pauses", reader, add, decisive=True)


def recusal_reader(rows: RecusalRows, reading: Reading) -> RelatedReader:
    """Who must not hear of the case (回避). A row without a person is listed; the case goes on."""
    reader = RowReader(rows, rows.case.column, [rows.official.column])
    official = pick_text("official", rows.official, reading, reader.index)

    def add(related: Related, row: Row) -> None:
        person = official(row)
        if person is None:
            raise BadValue("official：没有写回避人员")
        related.recused.add(person)

    return RelatedReader("recusals", reader, add, decisive=False)


def put_in_order(related: Related) -> None:
    """Transfers, extensions and pauses by their number; where the table has none, by time."""
    related.transfers[:] = _numbered(sorted(related.transfers, key=lambda row: (row.seq, row.at)))
    related.extensions[:] = _numbered(sorted(related.extensions, key=lambda row: (row.seq, row.decided_at)))
    related.pauses[:] = _numbered(sorted(related.pauses, key=lambda row: (row.seq, row.from_at)))


def _numbered(rows: list[Numbered]) -> list[Numbered]:
    if any(row.seq for row in rows):
        return rows
    return [replace(row, seq=place) for place, row in enumerate(rows, start=1)]


def _movement(column: Column | None, reading: Reading, at: Mapping[str, int]) -> Callable[[Row], Movement]:
    if column is None:
        return lambda _row: Movement.HAND_OVER
    word_of = pick_text("kind", column, reading, at)

    def movement(row: Row) -> Movement:
        word = word_of(row)
        kind = Movement.HAND_OVER if word is None else movement_of(word)
        if word is not None and kind is None:
            showable = len(word) <= LONGEST_KIND and not LOOKS_PERSONAL.fullmatch(word)
            raise BadValue(f"kind：{unknown_movement(word).zh if showable else f'{shown(word)}不是流转种类'}")
        return kind or Movement.HAND_OVER

    return movement


def _order(column: Column | None, reading: Reading, at: Mapping[str, int]) -> Callable[[Row], int]:
    if column is None:
        return lambda _row: 0
    place = at[column.column]
    convert = field_converter("seq", column.model_copy(update={"type": "number"}), reading)

    def number(row: Row) -> int:
        value = convert(row[place])
        return int(value) if isinstance(value, int | float) else 0

    return number


def _length(rows: ExtensionRows, reading: Reading, at: Mapping[str, int]) -> Callable[[Row], Duration | None]:
    counted = [
        (unit, at[column.column], field_converter(name, column.model_copy(update={"type": "number"}), reading))
        for name, column, unit in (
            ("days", rows.days, Unit.DAY),
            ("workdays", rows.workdays, Unit.WORKDAY),
            ("months", rows.months, Unit.MONTH),
        )
        if column is not None
    ]
    written = pick_text("length", rows.length, reading, at)

    def length(row: Row) -> Duration | None:
        for unit, place, convert in counted:
            value = convert(row[place])
            if isinstance(value, int | float):
                return Duration(_whole(value), unit)
        text = written(row)
        try:
            return parse_duration(text) if text else None
        except DurationError as error:
            raise BadValue(f"length：{error.message.zh}") from error

    return length


def _whole(value: float) -> Fraction:
    if value < 0 or value != int(value):
        raise BadValue(f"延期长度须为不小于零的整数，现为“{value}”")
    return Fraction(int(value))
