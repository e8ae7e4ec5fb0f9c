"""Reports worked out at night: the last one of each name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store.bulk import fetch, insert_rows
from daemon.store.codec import instant, micros
from daemon.store.tables import reports

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and when."""

    at: datetime
    body: Mapping[str, Any]


def save(connection: sa.Connection, name: str, body: Mapping[str, object], now: datetime) -> None:
    """Keep this report instead of the one before."""
    overwrite = "ON CONFLICT (name) DO UPDATE SET at = excluded.at, body = excluded.body"
    row = (name, micros(now), json.dumps(body, ensure_ascii=False))
    insert_rows(connection, reports, ("name", "at", "body"), [row], overwrite)


def named(connection: sa.Connection, beginning: str) -> dict[str, Report]:
    """Every report whose name begins so, the oldest first."""
    query = sa.select(reports.c.name, reports.c.at, reports.c.body).where(reports.c.name.startswith(beginning))
    found = fetch(connection, query.order_by(reports.c.at, reports.c.name))
    return {row.name: Report(instant(row.at), json.loads(row.body)) for row in found}


def last(connection: sa.Connection, name: str) -> Report | None:
    """The last report of that name."""
    query = sa.select(reports.c.at, reports.c.body).where(reports.c.name == name)
    row = next(iter(fetch(connection, query)), None)
    return None if row is None else Report(instant(row.at), json.loads(row.body))
