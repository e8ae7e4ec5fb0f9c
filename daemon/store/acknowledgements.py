"""What people sign for (签收): a case they were told of, or the very message they hold in their hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from daemon.store import ledger
from daemon.store.bulk import among, fetch, update_rows
from daemon.store.codec import RESTRICTED_MARK, instant, micros
from daemon.store.rows import DELIVERY_COLUMNS, delivery
from daemon.store.tables import SENT_AS, WENT_OUT, cases, deliveries, obligations
from daemon.store.values import Acknowledged, Delivery, Event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

_NOT_HIS_TO_KNOW = ("cancelled", "dark", "held")  # will not be sent, so nothing to acknowledge
_WENT_OUT = ("accepted", "delivered", "sending", "in_doubt")  # or perhaps did: he says he has it
_UNACKNOWLEDGED = ".unacknowledged"  # how the step is called that speaks for want of an acknowledgement
_RUNNING = ("open", "paused")


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery, whether anything of its case still runs, and when its own limit ends now, if that runs.

    `restricted`: its case is known to few now, and perhaps not to whoever was sent this before.
    """

    delivery: Delivery
    running: bool
    due_at: datetime | None = None
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class _Signing:
    """One act of signing: who, when, how, and what the clock shows."""

    official: str
    at: datetime
    how: str
    now: datetime

    def event(self, case_key: str, kind: str, **more: object) -> Event:
        """The ledger's line about it."""
        body = {"person": self.official, "how": self.how, "at": self.at.isoformat(), **more}
        return Event(case_key, kind, self.now, body, self.official)


def message_of(connection: sa.Connection, identity: int) -> list[Sent]:
    """Everything that leaves in one message with this delivery, by number; empty if there is no such delivery."""
    d = deliveries.c
    found = fetch(connection, sa.select(d.sent_as).where(d.id == identity))
    if not found:
        return []
    (sent_as,) = found[0]
    return message_called(connection, sent_as) if sent_as else _sent(connection, d.id == identity)


def message_called(connection: sa.Connection, sent_as: str) -> list[Sent]:
    """Everything that left in the message of that name, by number."""
    return _sent(connection, sa.and_(SENT_AS, deliveries.c.sent_as == sent_as)) if sent_as else []


def sent_to(connection: sa.Connection, official: str, since: datetime, limit: int) -> list[Sent]:
    """What went out to that official since then, or perhaps did, the latest first, at most so many."""
    d = deliveries.c
    his = sa.and_(WENT_OUT, d.person == official, d.created_at >= micros(since))
    return _sent(connection, his, limit)


def _sent(connection: sa.Connection, which: sa.ColumnElement[bool], latest: int = 0) -> list[Sent]:
    d, o = deliveries.c, obligations.c
    query = sa.select(*DELIVERY_COLUMNS).where(which)
    query = query.order_by(d.id.desc()).limit(latest) if latest else query.order_by(d.id)
    found = [delivery(row) for row in fetch(connection, query)]
    keys = {one.notice.case_key for one in found if one.notice.case_key}
    if not keys:
        return [Sent(one, running=False) for one in found]
    columns = (o.id, o.case_key, o.legal_due_at, o.platform_due_at)
    open_ones = sa.select(*columns).where(among(connection, o.case_key, keys), o.state.in_(_RUNNING))
    due: dict[int | None, datetime] = {}
    running: set[str] = set()
    for row in fetch(connection, open_ones):
        running.add(row.case_key)
        due[row.id] = instant(min(at for at in (row.legal_due_at, row.platform_due_at) if at is not None))
    mark = cases.c.facts.contains(RESTRICTED_MARK, autoescape=True)
    known_to_few = sa.select(cases.c.key).where(among(connection, cases.c.key, keys), mark)
    closed = {key for (key,) in fetch(connection, known_to_few)}
    return [
        Sent(
            one,
            one.notice.case_key in running,
            None if one.notice.case_key in closed else due.get(one.obligation_id),
            one.notice.case_key in closed,
        )
        for one in found
    ]


def acknowledge(
    connection: sa.Connection, case_key: str, official: str, at: datetime, how: str, now: datetime
) -> Acknowledged:
    """Mark what that official was sent about the case; what is said of it is the answer.

    Who was sent nothing yet (it waits, or failed) has nothing to sign for: that he knows is taken down, no notice is
    marked and no step falls silent. Otherwise the obligations of the case are looked at again at once, so that a step
    that was only for want of it is not sent.
    """
    locked = _lock_all(connection, [case_key])
    return _sign_for_case(connection, case_key, _Signing(official, at, how, now), (), locked)


def acknowledge_deliveries(
    connection: sa.Connection, ids: Collection[int], at: datetime, how: str, now: datetime
) -> dict[int, Acknowledged]:
    """Mark these deliveries, each in the name of the one it went to; the answer to each. Unknown numbers are left out.

    He signs for what he holds: with it goes what he was sent about the case before, and the same over other channels,
    but nothing that was decided later. What was handed to a provider at least once counts as sent, whatever the
    provider said of it afterwards: he holds it.
    """
    d = deliveries.c
    named = [
        delivery(row)
        for row in fetch(connection, sa.select(*DELIVERY_COLUMNS).where(among(connection, d.id, ids)).order_by(d.id))
    ]
    locked = _lock_all(connection, sorted({one.notice.case_key for one in named if one.notice.case_key}))
    answers: dict[int, Acknowledged] = {}
    for case_key, official in sorted({(one.notice.case_key, one.notice.person) for one in named}):
        his = [one for one in named if (one.notice.case_key, one.notice.person) == (case_key, official)]
        signing = _Signing(official, at, how, now)
        if case_key:
            answer = _sign_for_case(connection, case_key, signing, his, locked)
        else:
            answer = _sign_for_none(connection, signing, [one.id for one in his])
        answers.update((one.id, answer) for one in his)
    return answers


def _lock_all(connection: sa.Connection, case_keys: Sequence[str]) -> set[int]:
    """Lock what is running of these cases, then their deliveries, each by id as who decides or sends does; the latter.

    One case after the other would wait for a node that has the next one and waits for this.
    """
    d, o = deliveries.c, obligations.c
    running = sa.select(o.id).where(among(connection, o.case_key, case_keys), o.state.in_(_RUNNING))
    fetch(connection, running.order_by(o.id).with_for_update())
    sent = sa.select(d.id).where(among(connection, d.case_key, case_keys))
    return {row.id for row in fetch(connection, sent.order_by(d.id).with_for_update())}


def _sign_for_case(
    connection: sa.Connection,
    case_key: str,
    signing: _Signing,
    named: Sequence[Delivery],
    locked: Collection[int],
) -> Acknowledged:
    """`locked`: its deliveries; what comes in between is none of what he was sent."""
    d, o = deliveries.c, obligations.c
    open_ones = sa.select(o.id).where(o.case_key == case_key, o.state.in_(_RUNNING))
    running = fetch(connection, open_ones)
    sent = sa.select(*DELIVERY_COLUMNS).where(d.case_key == case_key, among(connection, d.id, locked))
    rows = [delivery(row) for row in fetch(connection, sent.order_by(d.id))]
    held = {one.id for one in named}
    known = [one for one in rows if one.state not in _NOT_HIS_TO_KNOW or one.id in held]
    mine = [one for one in known if one.notice.person == signing.official]
    if not mine:
        return Acknowledged.NOT_YOURS
    if not running:
        return Acknowledged.CLOSED
    sent_to_him = [one for one in mine if one.state in _WENT_OUT or (one.id in held and one.attempts)]
    if named:
        sent_to_him = list(_covered(sent_to_him, [one for one in sent_to_him if one.id in held]))
    if not sent_to_him:
        ledger.append(connection, [signing.event(case_key, "known")])
        return Acknowledged.NOT_SENT
    fresh = [one for one in sent_to_him if one.acknowledged_at is None]
    if not (fresh if not named else [one for one in fresh if one.id in held]):
        return Acknowledged.ALREADY
    late = _is_late(fresh, known, signing.at)
    _mark(connection, fresh, signing.at)
    again: dict[str, Any] = {"next_check_at": micros(signing.now), "revision": o.revision + 1, "claimed_by": None}
    connection.execute(sa.update(obligations).where(o.case_key == case_key, o.state == "open").values(again))
    told = signing.event(case_key, "acknowledged", late=late, notices=[one.notice.key for one in fresh])
    ledger.append(connection, [told])
    return Acknowledged.LATE if late else Acknowledged.TAKEN


def _sign_for_none(connection: sa.Connection, signing: _Signing, ids: Collection[int]) -> Acknowledged:
    """A message about no case, such as a fire drill: nothing is running, and nobody is told that it is wanting."""
    query = sa.select(*DELIVERY_COLUMNS).where(among(connection, deliveries.c.id, ids))
    rows = [delivery(row) for row in fetch(connection, query.order_by(deliveries.c.id).with_for_update())]
    sent = [one for one in rows if one.state.value in _WENT_OUT or one.attempts]
    if not sent:
        return Acknowledged.NOT_SENT
    fresh = [one for one in sent if one.acknowledged_at is None]
    if not fresh:
        return Acknowledged.ALREADY
    _mark(connection, fresh, signing.at)
    told = signing.event("", "acknowledged", notices=[one.notice.key for one in fresh])
    ledger.append(connection, [told])
    return Acknowledged.TAKEN


def _covered(his: Iterable[Delivery], held: Sequence[Delivery]) -> Iterable[Delivery]:
    """What he signs for with those: they themselves, the same over other channels, and what was decided before."""
    if not held:
        return
    latest = max(one.created_at for one in held)
    same = {_said_by(one) for one in held}
    for one in his:
        if one.created_at <= latest or _said_by(one) in same:
            yield one


def _said_by(one: Delivery) -> tuple[int | None, str, int]:
    return one.obligation_id, one.notice.step, one.notice.repeat


def _mark(connection: sa.Connection, fresh: Sequence[Delivery], at: datetime) -> None:
    update_rows(connection, deliveries, ("acknowledged_at", "id"), [(micros(at), one.id) for one in fresh])


def _is_late(mine: Sequence[Delivery], known: Sequence[Delivery], at: datetime) -> bool:
    """Whether somebody had been told before then that it was not acknowledged."""
    asked = {(one.obligation_id, one.notice.step + _UNACKNOWLEDGED) for one in mine}
    return any(one.created_at <= at and (one.obligation_id, one.notice.step) in asked for one in known)
