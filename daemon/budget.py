"""What still fits into a channel's budget (预算): what a carrier lets through to one person, what we may spend. Pure.

Carriers count what is handed to them, not what arrives, in any 24 hours (vendors' pages; `docs/decisions`). So each
message is written down as a spending before it is handed over, and given back only if the provider certainly did not
take it. The same message handed over again (`sent_as`) is one.

Before anything is refused, what may go together is merged: twelve notices to one person are one message. Red and
hour-class messages come first, may use what is kept in reserve for them, and are never merged.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from daemon.medium import Budget

# A message reaches the carrier's counter a little after it was written down here: that little is waited for as well.
WINDOW = timedelta(hours=24, minutes=5)


class Rule(StrEnum):
    """Which rule a message does not fit into."""

    PER_PERSON = "per_person"
    SAME_TEXT = "same_text"
    DIFFERENT_TEXTS = "different_texts"
    TOTAL = "total"


class Fate(StrEnum):
    """What becomes of a message that wants to leave."""

    GO = "go"
    MERGE = "merge"  # together with what else waits for that person
    OVER = "over"  # it does not fit now


@dataclass(frozen=True, slots=True)
class Wish:
    """A message that wants to leave, with so many `notices` in it.

    `words` is a hash of its text, `parts` how many text messages it is charged as.
    """

    sent_as: str
    person: str
    words: str
    parts: int = 1
    urgent: bool = False
    may_merge: bool = False
    notices: int = 1


@dataclass(frozen=True, slots=True)
class Spending:
    """A message that was handed to the provider, or is about to be."""

    sent_as: str
    person: str
    at: datetime
    words: str
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Spent:
    """What counts now: every spending of the people in question, and (instant, parts) of everybody if there is a total.

    The latter may be left out while the total is far; `parts` is their sum.
    """

    spendings: tuple[Spending, ...] = ()
    parts: int = 0
    everybody: tuple[tuple[datetime, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one wish; if it does not fit, by which rule, and when it would if nothing else were sent."""

    fate: Fate
    rule: Rule | None = None
    frees_at: datetime | None = None


GO = Verdict(Fate.GO)
MERGE = Verdict(Fate.MERGE)


def words_of(*said: str) -> str:
    """The hash by which two texts are known to be the same."""
    return hashlib.sha256("\n".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def counts_from(now: datetime) -> datetime:
    """What was handed over at this instant or before counts no more."""
    return now - WINDOW


def ordinary(most: int, reserve: int) -> int:
    """How much of a budget is for everybody; the rest is kept back. Never nothing."""
    return max(1, most - -(-most * reserve // 100))


def matters_for(budget: Budget, wishes: Iterable[Wish]) -> set[str]:
    """The people for whom it matters how much more waits for them."""
    if budget.per_person is None and budget.different_texts is None:
        return set()
    return {wish.person for wish in wishes if wish.may_merge}


def decide(
    budget: Budget, spent: Spent, wishes: Sequence[Wish], waiting: Mapping[str, int], now: datetime
) -> list[Verdict]:
    """What becomes of each wish. `waiting`: how many more notices are due for a person, of those asked about."""
    together = Counter(wish.person for wish in wishes if wish.may_merge)
    company = {person for person, number in together.items() if number + waiting.get(person, 0) > 1}
    merging = company & _short(budget, spent, wishes, waiting, now)
    while True:
        verdicts = _one_by_one(budget, spent, wishes, merging, now)
        over = {
            wish.person
            for wish, verdict in zip(wishes, verdicts, strict=True)
            if wish.may_merge and verdict.fate is Fate.OVER
        }
        more = over & company - merging
        if not more:
            return verdicts
        merging |= more


def _short(budget: Budget, spent: Spent, wishes: Sequence[Wish], waiting: Mapping[str, int], now: datetime) -> set[str]:
    """Who is to get more messages than his budget has room for."""
    books = _Books(budget, spent, now)
    wanted = Counter(wish.person for wish in wishes if not books.is_paid(wish))
    rooms = {person: books.room_of(person) for person in wanted}
    return {
        person
        for person, number in wanted.items()
        if (room := rooms[person]) is not None and room < number + waiting.get(person, 0)
    }


def _one_by_one(
    budget: Budget, spent: Spent, wishes: Sequence[Wish], merging: Collection[str], now: datetime
) -> list[Verdict]:
    """The urgent ones first, then in their order."""
    books = _Books(budget, spent, now)
    verdicts = [MERGE] * len(wishes)
    for number in sorted(range(len(wishes)), key=lambda each: not wishes[each].urgent):
        wish = wishes[number]
        if not (wish.may_merge and wish.person in merging) or books.is_paid(wish):
            verdicts[number] = books.ask(wish)
    return verdicts


@dataclass(slots=True)
class _Account:
    """What counts for one person: when each message was handed over, and each text."""

    at: list[datetime] = field(default_factory=list[datetime])
    texts: dict[str, list[datetime]] = field(default_factory=dict[str, "list[datetime]"])

    def add(self, at: datetime, words: str) -> None:
        self.at.append(at)
        self.texts.setdefault(words, []).append(at)


class _Books:
    """What is spent while one wish after the other is granted."""

    def __init__(self, budget: Budget, spent: Spent, now: datetime) -> None:
        self._budget = budget
        self._now = now
        self._paid: set[str] = set()
        self._accounts: dict[str, _Account] = {}
        self._everybody = list(spent.everybody)
        self._parts = spent.parts
        for one in spent.spendings:
            if one.at > counts_from(now):
                self._paid.add(one.sent_as)
                self._account(one.person).add(one.at, one.words)

    def is_paid(self, wish: Wish) -> bool:
        """Whether it was handed over before, or was about to be: it counts once."""
        return wish.sent_as in self._paid

    def room_of(self, person: str) -> int | None:
        """How many more ordinary messages he may get; None: as many as there are."""
        account = self._account(person)
        rooms = [
            self._ordinary(most) - used
            for most, used in (
                (self._budget.per_person, len(account.at)),
                (self._budget.different_texts, len(account.texts)),
            )
            if most is not None
        ]
        return max(0, min(rooms)) if rooms else None

    def ask(self, wish: Wish) -> Verdict:
        """Grant it if it fits."""
        if self.is_paid(wish):
            return GO
        broken = list(self._broken(wish))
        if broken:
            frees = [at for _, at in broken]
            certain = [at for at in frees if at is not None]
            return Verdict(Fate.OVER, broken[0][0], max(certain) if len(certain) == len(frees) else None)
        self._paid.add(wish.sent_as)
        self._account(wish.person).add(self._now, wish.words)
        self._parts += wish.parts
        self._everybody.append((self._now, wish.parts))
        return GO

    def _broken(self, wish: Wish) -> Iterable[tuple[Rule, datetime | None]]:
        """The rules it does not fit into, each with the instant from which it would."""
        budget, account = self._budget, self._account(wish.person)
        same = account.texts.get(wish.words, [])
        if budget.same_text is not None and len(same) >= budget.same_text:
            yield Rule.SAME_TEXT, _frees(same, budget.same_text)
        if budget.per_person is not None:
            most = self._most(budget.per_person, wish)
            if len(account.at) >= most:
                yield Rule.PER_PERSON, _frees(account.at, most)
        if budget.different_texts is not None and not same:
            most = self._most(budget.different_texts, wish)
            if len(account.texts) >= most:
                yield Rule.DIFFERENT_TEXTS, _frees([max(each) for each in account.texts.values()], most)
        if budget.total is not None:
            most = self._most(budget.total, wish)
            if self._parts + wish.parts > most:
                yield Rule.TOTAL, self._total_frees(most - wish.parts)

    def _total_frees(self, most: int) -> datetime | None:
        """When no more than that many parts count any more; never, if a message alone is too large."""
        if most < 0:
            return None
        left = self._parts
        for at, parts in sorted(self._everybody):
            left -= parts
            if left <= most:
                return at + WINDOW
        return None

    def _most(self, most: int, wish: Wish) -> int:
        return most if wish.urgent else self._ordinary(most)

    def _ordinary(self, most: int) -> int:
        return ordinary(most, self._budget.reserve)

    def _account(self, person: str) -> _Account:
        return self._accounts.setdefault(person, _Account())


def _frees(counted: Sequence[datetime], most: int) -> datetime:
    """When so many have left the window that one more fits."""
    return sorted(counted)[len(counted) - most] + WINDOW
