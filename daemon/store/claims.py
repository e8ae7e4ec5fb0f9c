"""Claim what may go out now: lane by lane, in a flood person by person, and what belongs in one message with it.

A claim costs what is due, not what waits for later: each lane of a channel is read through an index in its order.
Only when one person fills much of what comes next are more rows looked at, a bounded number, to find the others'.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.sharing import BUCKETS, STEP
from daemon.store import digests
from daemon.store.bulk import among_named, as_parameter, fetch, is_postgresql
from daemon.store.codec import micros
from daemon.store.lanes import LANES
from daemon.store.rows import COPY, DELIVERY_COLUMNS, delivery
from daemon.store.tables import TO_COME, WAITING, deliveries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from daemon.sharing import Share
    from daemon.store.lanes import Lane
    from daemon.store.values import Delivery

WINDOW = 64  # rows looked at before it is known whether there is a flood, or as many as are claimed
FLOODED = 4  # one person has more than this part of them
LOOK_PAST = 20_000  # rows looked at to find what the others have behind a flood

_D = deliveries.c
_ORDER = (_D.not_before_at, _D.priority, _D.id)
_DUE = (
    WAITING,
    _D.channel == sa.bindparam("channel"),
    _D.lane == sa.bindparam("lane"),
    _D.not_before_at <= sa.bindparam("now"),
)
_DOUBTED = sa.and_(_D.state == "in_doubt", _D.provider.in_(sa.bindparam("known", expanding=True)))
_BUCKET = (_D.bucket + _D.attempts * STEP) % BUCKETS
_SHARED = sa.or_(
    sa.and_(sa.bindparam("from_bucket") <= _BUCKET, sa.bindparam("to_bucket") > _BUCKET, sa.not_(_DOUBTED)),
    sa.and_(_DOUBTED, _D.provider == sa.bindparam("provider")),
)


def _next_of(*which: sa.ColumnElement[bool]) -> sa.Executable:
    chosen = sa.select(_D.id, _D.person, _D.priority).where(*_DUE, *which)
    return chosen.order_by(*_ORDER).limit(sa.bindparam("window"))


def _in_turns(*which: sa.ColumnElement[bool]) -> sa.Executable:
    """Everybody's first, everybody's second …; what may go into one message with others has no turns."""
    near = sa.select(*_ORDER, _D.person).where(*_DUE, *which).order_by(*_ORDER).limit(LOOK_PAST).subquery()
    order, alone = (near.c.not_before_at, near.c.priority, near.c.id), near.c.priority <= COPY
    turn = sa.func.row_number().over(partition_by=(near.c.person, alone), order_by=order)
    return sa.select(near.c.id).order_by(sa.case((alone, turn), else_=1), *order).limit(sa.bindparam("room"))


NEXT_IN_LANE, TURNS = _next_of(), _in_turns()
NEXT_OF_SHARE, TURNS_OF_SHARE = _next_of(_SHARED), _in_turns(_SHARED)
_WAITED_FOR = sa.select(_D.channel).distinct().where(WAITING)
_STRANDED = (
    sa.select(_D.channel)
    .distinct()
    .where(
        TO_COME,
        _D.not_before_at <= sa.bindparam("since"),
        _D.channel.not_in(sa.bindparam("known", expanding=True)),
    )
)


def claim(
    connection: sa.Connection,
    epoch: int,
    now: datetime,
    limit: int,
    channels: Collection[str] | None,
    lanes: Sequence[Lane] = LANES,
    share: Share | None = None,
) -> list[Delivery]:
    """Claim what may go out now, in order, and what may go into one message with it (over the limit if need be).

    `channels` None: of every channel. `share`: for one of the providers behind them. The worker must have been fenced
    in this transaction.
    """
    if limit <= 0:
        return []
    if channels is None:
        channels = sorted(row.channel for row in fetch(connection, _WAITED_FOR))
    digests.one_at_a_time(connection, channels)
    chosen: list[int] = []
    for lane in lanes:
        for channel in channels:
            if len(chosen) < limit:
                chosen += _next_in_lane(connection, channel, lane, now, limit - len(chosen), share)
    found = _claimed(connection, epoch, chosen, share)
    if more := digests.companions(connection, now, found, share):
        found += _claimed(connection, epoch, more, share)
    found = sorted(found, key=lambda row: (lanes.index(row.lane), row.not_before_at, row.priority, row.id))
    return [delivery(row[:-2]) for row in found]


def _next_in_lane(
    connection: sa.Connection, channel: str, lane: Lane, now: datetime, room: int, share: Share | None
) -> list[int]:
    """The ids of what goes next; if one person has much of it, everybody in his turn."""
    next_ones, turns = (NEXT_IN_LANE, TURNS) if share is None else (NEXT_OF_SHARE, TURNS_OF_SHARE)
    of = {"channel": channel, "lane": lane.value, "now": micros(now), **({} if share is None else share.bounds)}
    near = fetch(connection, next_ones, {**of, "window": max(room, WINDOW)})
    if len(near) > room or len(near) == max(room, WINDOW):
        alone = Counter(row.person for row in near if row.priority <= COPY)
        if max(alone.values(), default=0) * FLOODED > len(near):
            near = fetch(connection, turns, {**of, "room": room})
    return [row.id for row in near[:room]]


def _claimed(connection: sa.Connection, epoch: int, ids: Sequence[int], share: Share | None = None) -> list[Any]:
    """Take these, if they still wait; for a provider, and it is on record for which before anything is sent."""
    if not ids:
        return []
    postgresql = is_postgresql(connection)
    parameters = {"ids": as_parameter(ids, postgresql=postgresql), "epoch": epoch}
    if share is not None:
        parameters["provider"] = share.provider
    return fetch(connection, _claiming(postgresql=postgresql, shared=share is not None), parameters)


@cache
def _claiming(*, postgresql: bool, shared: bool) -> sa.Executable:
    chosen = sa.select(_D.id).where(among_named(_D.id, "ids", postgresql=postgresql), WAITING)
    chosen = chosen.order_by(_D.id).with_for_update(skip_locked=True)
    doubtful = sa.or_(_D.possible_duplicate, _D.state == "in_doubt")
    # A channel may have become a shared one since, or none any more: who had it then is another, and it is not his now.
    provider = sa.bindparam("provider", type_=sa.Text()) if shared else sa.literal("")
    others = sa.and_(doubtful, _D.provider != provider)
    return (
        sa.update(deliveries)
        .where(_D.id.in_(sa.select(chosen.cte("chosen").c.id)))
        .values(
            state="sending",
            claimed_by=sa.bindparam("epoch", type_=sa.BigInteger()),
            attempts=_D.attempts + 1,
            possible_duplicate=doubtful,
            provider=provider,
            doubted_elsewhere=sa.or_(_D.doubted_elsewhere, others),
        )
        .returning(*DELIVERY_COLUMNS, _D.priority, _D.lane)
    )


def waiting_for(
    connection: sa.Connection,
    epoch: int,
    channel: str,
    people: Collection[str],
    now: datetime,
    share: Share | None = None,
) -> list[Delivery]:
    """Claim what else may go out now to these people over that channel: they are to get fewer messages.

    What is in doubt is left alone. The worker must have been fenced in this transaction.
    """
    digests.one_at_a_time(connection, [channel])
    found = _claimed(connection, epoch, digests.waiting_for(connection, channel, people, now), share)
    found = sorted(found, key=lambda row: (row.lane, row.not_before_at, row.priority, row.id))
    return [delivery(row[:-2]) for row in found]


def stranded(connection: sa.Connection, known: Collection[str], since: datetime) -> list[str]:
    """The channels, none of the known ones, for which something has been waiting since before then."""
    found = fetch(connection, _STRANDED, {"since": micros(since), "known": list(known)})
    return sorted(row.channel for row in found)
