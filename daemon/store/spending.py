"""Spendings in the store: written down before a message is handed to its provider, given back if he did not take it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.budget import WINDOW, Fate, Spending, Spent, counts_from, decide, matters_for, ordinary
from daemon.store.bulk import among, fetch, insert_rows, is_postgresql
from daemon.store.codec import instant, micros
from daemon.store.tables import CLAIMED, WAITING, deliveries, spendings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from daemon.budget import Verdict, Wish
    from daemon.medium import Budget

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_COLUMNS = ("channel", "person", "at", "words", "parts", "sent_as")
_AGAIN = (
    "ON CONFLICT (channel, sent_as) "
    "DO UPDATE SET at = excluded.at, person = excluded.person, words = excluded.words, parts = excluded.parts"
)


def spend(
    connection: sa.Connection,
    channel: str,
    budget: Budget,
    wishes: Sequence[Wish],
    now: datetime,
    queue: str = "",
) -> list[Verdict]:
    """Decide which of these messages may leave now, and write down those that may. One at a time per channel.

    What counts no more is removed, and what a clock wrote down that was far ahead: it would count for as long.
    `queue`: the channel more may wait for, if this one is a provider behind it.
    """
    _one_at_a_time(connection, channel)
    since = micros(counts_from(now))
    over = sa.or_(spendings.c.at <= since, spendings.c.at > micros(now + WINDOW))
    connection.execute(sa.delete(spendings).where(spendings.c.channel == channel, over))
    spent = _spent(connection, channel, budget, wishes)
    waiting = _waiting_for(connection, queue or channel, matters_for(budget, wishes), wishes, now)
    verdicts = decide(budget, spent, wishes, waiting, now)
    going = [wish for wish, verdict in zip(wishes, verdicts, strict=True) if verdict.fate is Fate.GO]
    rows = [(channel, wish.person, micros(now), wish.words, wish.parts, wish.sent_as) for wish in going]
    insert_rows(connection, spendings, _COLUMNS, rows, _AGAIN)
    return verdicts


def give_back(connection: sa.Connection, channel: str, sent_as: Collection[str]) -> int:
    """The provider certainly did not take these: they count no more. Returns how many were written down."""
    mine = among(connection, spendings.c.sent_as, list(sent_as))
    return connection.execute(sa.delete(spendings).where(spendings.c.channel == channel, mine)).rowcount


def spent_since(connection: sa.Connection, now: datetime) -> Mapping[str, tuple[int, int, int]]:
    """Channel -> (messages, parts, most messages to one person) that count now."""
    s = spendings.c
    per_person = (
        sa.select(s.channel, s.person, sa.func.count().label("messages"), sa.func.sum(s.parts).label("parts"))
        .where(s.at > micros(counts_from(now)))
        .group_by(s.channel, s.person)
    )
    found: dict[str, tuple[int, int, int]] = {}
    for row in fetch(connection, per_person):
        messages, parts, most = found.get(row.channel, (0, 0, 0))
        found[row.channel] = (messages + row.messages, parts + int(row.parts), max(most, row.messages))
    return found


def all_since(connection: sa.Connection, now: datetime) -> dict[str, list[Spending]]:
    """Channel -> everything that counts now, the oldest first."""
    s = spendings.c
    query = sa.select(s.channel, s.sent_as, s.person, s.at, s.words, s.parts)
    found: dict[str, list[Spending]] = {}
    for row in fetch(connection, query.where(s.at > micros(counts_from(now))).order_by(s.at)):
        spending = Spending(row.sent_as, row.person, instant(row.at), row.words, row.parts)
        found.setdefault(row.channel, []).append(spending)
    return found


def _one_at_a_time(connection: sa.Connection, channel: str) -> None:
    """Until this transaction ends nobody else spends for this channel. (SQLite has one writer anyway.)"""
    if is_postgresql(connection):
        connection.execute(_LOCK, {"name": f"duban spends for {channel}"})


def _spent(connection: sa.Connection, channel: str, budget: Budget, wishes: Sequence[Wish]) -> Spent:
    s = spendings.c
    people = sorted({wish.person for wish in wishes})
    query = sa.select(s.sent_as, s.person, s.at, s.words, s.parts).where(
        s.channel == channel, among(connection, s.person, people)
    )
    mine = tuple(
        Spending(row.sent_as, row.person, instant(row.at), row.words, row.parts) for row in fetch(connection, query)
    )
    if budget.total is None:
        return Spent(mine)
    parts = int(connection.execute(sa.select(sa.func.sum(s.parts)).where(s.channel == channel)).scalar() or 0)
    if parts + sum(wish.parts for wish in wishes) <= ordinary(budget.total, budget.reserve):
        return Spent(mine, parts)
    everybody = sa.select(s.at, s.parts).where(s.channel == channel).order_by(s.at)
    return Spent(mine, parts, tuple((instant(row.at), row.parts) for row in fetch(connection, everybody)))


def _waiting_for(
    connection: sa.Connection, channel: str, people: Collection[str], wishes: Sequence[Wish], now: datetime
) -> Mapping[str, int]:
    """How many more notices are to leave now for each of these people, over this channel: waiting, or being sent."""
    if not people:
        return {}
    d = deliveries.c
    his = (d.channel == channel, among(connection, d.person, sorted(people)))
    found: Counter[str] = Counter()
    for which in ((WAITING, d.not_before_at <= micros(now), *his), (CLAIMED, *his)):
        counted = sa.select(d.person, sa.func.count().label("number")).where(*which).group_by(d.person)
        found.update({row.person: row.number for row in fetch(connection, counted)})
    for wish in wishes:
        found[wish.person] -= wish.notices
    return found
