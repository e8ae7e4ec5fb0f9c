"""Fire drills (演练) in the store: their messages by the beginning of the notice key, and who was reached when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.store.bulk import among, fetch
from daemon.store.codec import instant
from daemon.store.rows import DELIVERY_COLUMNS, delivery
from daemon.store.tables import deliveries

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from daemon.store.values import Delivery

_AFTER_SLASH = "0"  # the character after "/" in ASCII: keys with a beginning lie between the two


def keyed(connection: sa.Connection, beginning: str) -> list[Delivery]:
    """The deliveries whose notice key begins so; `beginning` ends in a slash. By id."""
    key = deliveries.c.notice_key
    query = sa.select(*DELIVERY_COLUMNS).where(key >= beginning, key < beginning[:-1] + _AFTER_SLASH)
    return sorted((delivery(row) for row in fetch(connection, query)), key=lambda one: one.id)


def reached(connection: sa.Connection, people: Collection[str]) -> dict[tuple[str, str], datetime]:
    """(person, channel) -> when a message to that person over that channel last arrived or was acknowledged."""
    d = deliveries.c
    facts = (d.delivered_at, d.read_at, d.acknowledged_at)
    query = (
        sa.select(d.person, d.channel, *(sa.func.max(fact) for fact in facts))
        .where(among(connection, d.person, sorted(people)), sa.or_(*(fact.is_not(None) for fact in facts)))
        .group_by(d.person, d.channel)
    )
    return {
        (person, channel): instant(max(at for at in found if at is not None))
        for person, channel, *found in fetch(connection, query)
    }
