"""From a row to one value: where the column stands in the row, and its converter, bound together once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.source.values import bool_converter, instant_converter, text_converter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from daemon.mapping import Column
    from daemon.source.rows import Row
    from daemon.source.values import Reading

    Places = Mapping[str, int]


def pick_text(name: str, column: Column | None, reading: Reading, at: Places) -> Callable[[Row], str | None]:
    """Text, or None where the column is not mapped. Raises BadValue."""
    if column is None:
        return nothing
    return _bound(text_converter(name, column, reading), at[column.column])


def pick_bool(name: str, column: Column | None, reading: Reading, at: Places) -> Callable[[Row], bool | None]:
    """Yes or no, or None where the column is not mapped. Raises BadValue."""
    if column is None:
        return nothing
    return _bound(bool_converter(name, column, reading), at[column.column])


def pick_instant(name: str, column: Column | None, reading: Reading, at: Places) -> Callable[[Row], datetime | None]:
    """An instant, or None where the column is not mapped. Raises BadValue."""
    if column is None:
        return nothing
    return _bound(instant_converter(name, column, reading), at[column.column])


def nothing(_row: Row) -> None:
    """The column is not mapped."""
    return


def _bound(convert: Callable[[Any], Any], place: int) -> Callable[[Row], Any]:
    def pick(row: Row) -> Any:  # noqa: ANN401 - typed by the functions above
        return convert(row[place])

    return pick
