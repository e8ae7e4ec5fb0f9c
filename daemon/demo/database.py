"""The shared database of the invented 某市: an SQLite file with the tables and names of a petition platform.

duban reads it only through the mapping in `source.yaml`, as it would read a real one.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Self

from daemon.demo.life import Change, stamp
from daemon.demo.town import UNITS, Person, Unit, people

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

SCHEMA = """
CREATE TABLE jgxx (jgdm TEXT PRIMARY KEY, jgmc TEXT NOT NULL, sjjgdm TEXT);
CREATE TABLE ryxx (rydm TEXT PRIMARY KEY, xm TEXT NOT NULL, jgdm TEXT, sjh TEXT, yx TEXT, zt TEXT NOT NULL);
CREATE TABLE gwxx (jgdm TEXT NOT NULL, zw TEXT NOT NULL, rydm TEXT NOT NULL, qssj TEXT, jssj TEXT);
CREATE TABLE xfjxx (
    xfjbh TEXT PRIMARY KEY, xfrq TEXT, djsj TEXT, ddzrdwsj TEXT, zjzrdwrq TEXT, zrdwslsj TEXT, xbjzsj TEXT, lzjzsj TEXT,
    gzsj TEXT, yysj TEXT, bjbz TEXT, bjsj TEXT, qssj TEXT, sfssbz TEXT, xfmdlb TEXT, jjbz TEXT, issecret TEXT,
    qxjgdm TEXT, blr TEXT, xfrxm TEXT, sjc TEXT NOT NULL
);
CREATE INDEX xfjxx_sjc ON xfjxx (sjc, xfjbh);
CREATE TABLE zbjl (
    xfjbh TEXT NOT NULL, xh INTEGER NOT NULL, blsj TEXT, cljgdm TEXT, qxjgdm TEXT, blr TEXT, yy TEXT, pzr TEXT,
    PRIMARY KEY (xfjbh, xh)
);
CREATE TABLE yqjl (
    xfjbh TEXT NOT NULL, xh INTEGER NOT NULL, yqts INTEGER, pzsj TEXT, pzr_zw TEXT, gzxfrsj TEXT,
    PRIMARY KEY (xfjbh, xh)
);
"""
IN_OFFICE_SINCE = "2026-01-01 00:00:00"
RETIRED_AT = "2026-08-31 17:30:00"


class SharedDatabase:
    """The file, opened to write: the only place in the demo that changes it."""

    def __init__(
        self,
        file: Path,
        changes: Sequence[Change],
        units: Sequence[Unit] = UNITS,
        officials: Sequence[Person] | None = None,
    ) -> None:
        """Make the file: tables, everybody (of the city, unless named), and nothing else until `apply_until`."""
        self._connection = sqlite3.connect(file)
        self._changes = changes
        self._done = 0
        self._connection.execute("PRAGMA synchronous = OFF")  # a sample, made anew each time
        self._connection.executescript(SCHEMA)
        with self._connection:
            self._write_people(units, people() if officials is None else officials)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def apply_until(self, instant: datetime) -> int:
        """Let everything happen up to and including that instant; returns how many changes that was."""
        first = self._done
        with self._connection:
            while self._done < len(self._changes) and self._changes[self._done].at <= instant:
                self._apply(self._changes[self._done])
                self._done += 1
        return self._done - first

    def next_change_at(self) -> datetime | None:
        """When something will happen next."""
        return self._changes[self._done].at if self._done < len(self._changes) else None

    def counts(self) -> tuple[int, int]:
        """How many cases there are, and how many of them are finished."""
        row = self._connection.execute("SELECT count(*), coalesce(sum(bjbz = '1'), 0) FROM xfjxx").fetchone()
        return int(row[0]), int(row[1])

    def _apply(self, change: Change) -> None:
        if change.key is None:
            self._insert(change.table, change.values)
            return
        values = {**change.values, "sjc": stamp(change.at)}
        columns = ", ".join(f"{column} = :{column}" for column in values)
        self._connection.execute(
            f"UPDATE {change.table} SET {columns} WHERE xfjbh = :xfjbh",  # noqa: S608 - names are ours
            {**values, "xfjbh": change.key},
        )

    def _insert(self, table: str, row: Mapping[str, str | int | None]) -> None:
        names, slots = ", ".join(row), ", ".join(f":{column}" for column in row)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({slots})", row)  # noqa: S608 - names are ours

    def _write_people(self, units: Sequence[Unit], officials: Sequence[Person]) -> None:
        for unit in units:
            self._insert("jgxx", {"jgdm": unit.code, "jgmc": unit.name, "sjjgdm": unit.parent})
        for person in officials:
            self._insert(
                "ryxx",
                {
                    "rydm": person.code,
                    "xm": person.name,
                    "jgdm": person.unit,
                    "sjh": person.mobile,
                    "yx": person.email,
                    "zt": "0" if person.retired else "1",
                },
            )
            self._insert(
                "gwxx",
                {
                    "jgdm": person.unit,
                    "zw": person.post,
                    "rydm": person.code,
                    "qssj": IN_OFFICE_SINCE,
                    "jssj": RETIRED_AT if person.retired else None,
                },
            )
