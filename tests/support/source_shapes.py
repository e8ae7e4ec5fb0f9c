"""Shared databases as other systems keep them: made on a real server, written to by an account of their own.

Every shape fills itself with a few invented rows; the reader under test gets another connection.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from daemon.clock import ManualClock
from daemon.mapping import SourceMapping
from daemon.source.database import DatabaseSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from daemon.source import BadRow
    from policies.model import Case

SHANGHAI = ZoneInfo("Asia/Shanghai")

NATIONAL = """
CREATE TABLE xfjxx (xfjbh VARCHAR(30), xfrxm VARCHAR(60), djsj VARCHAR(30), ddzrdwsj VARCHAR(30),
  zrdwslsj VARCHAR(30), xbjzsj VARCHAR(30), bjbz VARCHAR(2), bjsj VARCHAR(30), sfssbz VARCHAR(2), jjbz VARCHAR(2),
  xfmdlb VARCHAR(4), issecret VARCHAR(2), qxjgdm VARCHAR(12), blr VARCHAR(12), sjc VARCHAR(30), bz TEXT);
CREATE TABLE jgxx (jgdm VARCHAR(12), jgmc VARCHAR(60), sjjgdm VARCHAR(12));
CREATE TABLE ryxx (rydm VARCHAR(12), xm VARCHAR(60), jgdm VARCHAR(12), sjh VARCHAR(20), yx VARCHAR(60), zt VARCHAR(2));
CREATE TABLE gwxx (jgdm VARCHAR(12), zw VARCHAR(20), rydm VARCHAR(12), qssj VARCHAR(30), jssj VARCHAR(30));
CREATE TABLE zbjl (xfjbh VARCHAR(30), xh INTEGER, blsj VARCHAR(30), cljgdm VARCHAR(12), qxjgdm VARCHAR(12),
  blr VARCHAR(12), yy VARCHAR(60), pzr VARCHAR(12));
CREATE TABLE yqjl (xfjbh VARCHAR(30), xh INTEGER, yqts INTEGER, pzsj VARCHAR(30), pzr_zw VARCHAR(20),
  gzxfrsj VARCHAR(30))
"""

NATIONAL_MAPPING: dict[str, Any] = {
    "cases": {
        "table": "xfjxx",
        "key": "xfjbh",
        "columns": {
            "kind": {"column": "xfmdlb", "values": {1: "求决", 2: "建议", 3: "举报"}},
            "litigation": {"column": "sfssbz", "type": "bool"},
            "urgent": {"column": "jjbz", "type": "bool"},
            "petitioner": {"column": "xfrxm", "personal": True},
        },
        "milestones": {
            "registered_at": "djsj",
            "arrived_at": "ddzrdwsj",
            "accepted_at": "zrdwslsj",
            "limit_at": "xbjzsj",
            "finished_at": "bjsj",
        },
        "unit": "qxjgdm",
        "handler": "blr",
        "open": {"column": "bjbz", "not_in": ["1"]},
        "restricted": "issecret",
        "changed": "sjc",
    },
    "units": {"table": "jgxx", "key": "jgdm", "name": "jgmc", "parent": "sjjgdm"},
    "officials": {
        "table": "ryxx",
        "key": "rydm",
        "name": "xm",
        "unit": "jgdm",
        "mobile": "sjh",
        "email": "yx",
        "active": "zt",
    },
    "posts": {
        "table": "gwxx",
        "unit": "jgdm",
        "role": {"column": "zw", "values": {"科室负责人": "section_head", "主要负责人": "principal"}},
        "official": "rydm",
        "from": "qssj",
        "to": "jssj",
    },
    "transfers": {
        "table": "zbjl",
        "case": "xfjbh",
        "seq": "xh",
        "at": "blsj",
        "from_unit": "cljgdm",
        "to_unit": "qxjgdm",
        "to_official": "blr",
        "reason": "yy",
        "approved_by": "pzr",
    },
    "extensions": {
        "table": "yqjl",
        "case": "xfjbh",
        "seq": "xh",
        "days": "yqts",
        "decided_at": "pzsj",
        "approved_by": {"column": "pzr_zw", "values": {"主要负责人": "principal"}},
        "petitioner_told_at": "gzxfrsj",
    },
}


def petition(number: str, **columns: object) -> dict[str, object]:
    """One row of `xfjxx` in order, changed as wished."""
    row: dict[str, object] = {
        "xfjbh": number,
        "xfrxm": "（信访人）",
        "djsj": "2026-09-16 09:00:00",
        "ddzrdwsj": "2026-09-17 10:00:00",
        "zrdwslsj": None,
        "xbjzsj": "2026-11-16 10:00:00",
        "bjbz": "0",
        "bjsj": None,
        "sfssbz": "0",
        "jjbz": "0",
        "xfmdlb": "1",
        "issecret": "0",
        "qxjgdm": "D1",
        "blr": "P1",
        "sjc": "2026-09-17 10:00:00",
        "bz": None,
    }
    return row | columns


class OtherSystem:
    """The system the shared database belongs to: it alone writes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def run(self, script: str) -> None:
        """Run statements separated by semicolons."""
        with self._engine.connect() as connection:
            for statement in script.split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement)

    def insert(self, table: str, *rows: Mapping[str, object]) -> None:
        """Add rows."""
        for row in rows:
            into = sa.table(table, *(sa.column(name) for name in row))
            with self._engine.connect() as connection:
                connection.execute(into.insert(), dict(row))


@contextmanager
def source_on(
    url: str, mapping: Mapping[str, Any], *, now: datetime, zone: ZoneInfo = SHANGHAI, **settings: object
) -> Iterator[DatabaseSource]:
    """A source reading that database, closed afterwards."""
    described = SourceMapping.model_validate({"url": url, **mapping, **settings})
    source = DatabaseSource(described, zone, clock=ManualClock(now))
    try:
        yield source
    finally:
        source.close()


def read_all(
    source: DatabaseSource, watermark: str | None = None, page_size: int = 100
) -> tuple[dict[str, Case], list[BadRow], str | None]:
    """Everything one call of `changed_since` gives: the cases by key, the findings, the last watermark."""
    cases: dict[str, Case] = {}
    bad: list[BadRow] = []
    for page in source.changed_since(watermark, page_size):
        cases |= {case.key: case for case in page.cases}
        bad += page.bad
        watermark = page.watermark
    return cases, bad, watermark


def reasons(bad: Sequence[BadRow]) -> set[tuple[str, str]]:
    """Entity and row of every finding."""
    return {(one.entity, one.row) for one in bad}
