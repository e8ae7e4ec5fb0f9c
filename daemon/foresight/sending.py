"""From foretold notices to what leaves over each channel: put together as the sender does, within its budget. Pure.

The sender's own functions decide (`daemon.budget`). A digest counts as many parts as the longest notice in it.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daemon.budget import Fate, Rule, Spending, Spent, Wish, counts_from, decide
from daemon.letters import digest_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from daemon.budget import Verdict
    from daemon.foresight.lines import Line
    from daemon.medium import Budget, Medium

MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Figures:
    """What leaves in some time: notices that want to, messages they leave in, parts; how many alone had no room."""

    notices: int = 0
    messages: int = 0
    parts: int = 0
    over: int = 0


@dataclass(slots=True)
class Outlook:
    """What is to leave over one channel.

    `merged` notices leave together only because the budget is short; `put_off` wait for room; `refused` go over another
    channel or upward at once. `people` are those whose budget, and `rules` the rules, that were short.
    """

    by_minute: dict[datetime, Figures] = field(default_factory=dict[datetime, Figures])
    merged: int = 0
    put_off: int = 0
    refused: int = 0
    awaiting_release: int = 0
    people: dict[str, int] = field(default_factory=dict[str, int])
    rules: Counter[Rule] = field(default_factory=Counter[Rule])

    @property
    def total(self) -> Figures:
        """Everything."""
        every = self.by_minute.values()
        return Figures(
            sum(one.notices for one in every),
            sum(one.messages for one in every),
            sum(one.parts for one in every),
            sum(one.over for one in every),
        )

    @property
    def peak(self) -> tuple[datetime, Figures] | None:
        """The minute in which most notices want to leave, the first of several."""
        most = max(self.by_minute.items(), key=lambda one: (one[1].notices, -one[0].timestamp()), default=None)
        return most if most is not None and most[1].notices else None

    def by_hour(self) -> dict[datetime, Figures]:
        """The same, hour by hour."""
        hours: dict[datetime, Figures] = {}
        for minute, one in sorted(self.by_minute.items()):
            sums = hours.setdefault(minute.replace(minute=0), Figures())
            sums.notices += one.notices
            sums.messages += one.messages
            sums.parts += one.parts
            sums.over += one.over
        return hours


@dataclass(frozen=True, slots=True)
class _Letter:
    """One message to be."""

    lines: tuple[Line, ...]
    merged: bool = False  # because the budget is short, not because the policy wants it

    @property
    def key(self) -> str:
        return self.lines[0].key if len(self.lines) == 1 else digest_key(line.key for line in self.lines)

    def wish(self) -> Wish:
        first = self.lines[0]
        return Wish(
            self.key,
            first.person,
            first.words if len(self.lines) == 1 and first.words else self.key,
            max(1, *(line.parts for line in self.lines)),
            urgent=any(line.urgent for line in self.lines),
            may_merge=not self.merged and len(self.lines) == 1 and first.merges,
        )


def outlook(
    lines: Iterable[Line],
    media: Mapping[str, Medium],
    at_least: Callable[[str], int],
    spent: Mapping[str, Sequence[Spending]],
    since: datetime,
    shown: tuple[datetime, datetime],
) -> dict[str, Outlook]:
    """What leaves over each channel in the time `shown`, of messages foretold from `since` on, in their order.

    `at_least`: how many notices make a digest, by policy; `spent`: what counts already, by channel.
    """
    channels: dict[str, _Sending] = {}
    later: list[tuple[int, int, Line]] = []
    order = itertools.count()
    for at, batch in _minutes(lines, later):
        for channel in dict.fromkeys(line.channel for line in batch):
            if channel not in channels:
                budget = media[channel].budget if channel in media else None
                channels[channel] = _Sending(budget, at_least, spent.get(channel, ()))
            mine = [line for line in batch if line.channel == channel]
            moment = max(at, since)
            counted = shown[0] <= moment <= shown[1]
            for line, again in channels[channel].send(mine, moment, counted=counted):
                if again <= shown[1]:
                    heapq.heappush(later, (_whole_minute(again), next(order), line))
    return {channel: sending.outlook for channel, sending in sorted(channels.items())}


def _minutes(lines: Iterable[Line], later: list[tuple[int, int, Line]]) -> Iterator[tuple[datetime, list[Line]]]:
    """What leaves in the same minute, with what was put off until then."""
    coming = iter(lines)
    upcoming = next(coming, None)
    while upcoming is not None or later:
        moments = [later[0][0]] if later else list[int]()
        if upcoming is not None:
            moments.append(upcoming.at)
        first = min(moments)
        minute = _instant(first).replace(second=0, microsecond=0)
        end = _micros(minute + MINUTE)
        batch: list[Line] = []
        while later and later[0][0] < end:
            batch.append(heapq.heappop(later)[2])
        while upcoming is not None and upcoming.at < end:
            batch.append(upcoming)
            upcoming = next(coming, None)
        yield minute, batch


class _Sending:
    """One channel, minute by minute."""

    def __init__(self, budget: Budget | None, at_least: Callable[[str], int], spent: Sequence[Spending]) -> None:
        self.outlook = Outlook()
        self._budget = budget
        self._at_least = at_least
        self._spent = list(spent)
        self._seen: set[str] = set()  # put off before: counted as wanting to leave once

    def send(self, lines: Sequence[Line], at: datetime, *, counted: bool) -> Iterator[tuple[Line, datetime]]:
        """Take down what leaves; yields what is put off, and until when."""
        if counted:
            self.outlook.awaiting_release += sum(line.fate == "release" for line in lines)
        going = [line for line in lines if not line.fate]
        if not going:
            return
        figures = self.outlook.by_minute.setdefault(at, Figures()) if counted else Figures()
        figures.notices += sum(line.key not in self._seen for line in going)
        letters = list(self._gathered(going))
        if self._budget is None:
            self._count(figures, letters)
            return
        self._spent = [one for one in self._spent if one.at > counts_from(at)]
        alone = decide(self._budget, self._state(), [replace(one.wish(), may_merge=False) for one in letters], {}, at)
        for letter, verdict in zip(letters, alone, strict=True):
            if verdict.fate is Fate.OVER and verdict.rule is not None and counted:
                fresh = [line for line in letter.lines if line.key not in self._seen]
                figures.over += len(fresh)
                if fresh:
                    person = letter.lines[0].person
                    self.outlook.people[person] = self.outlook.people.get(person, 0) + len(fresh)
                    self.outlook.rules[verdict.rule] += len(fresh)
        yield from self._decided(letters, figures, at, counted=counted)

    def _decided(
        self, letters: Sequence[_Letter], figures: Figures, at: datetime, *, counted: bool
    ) -> Iterator[tuple[Line, datetime]]:
        assert self._budget is not None  # noqa: S101 - asked before
        verdicts = decide(self._budget, self._state(), [one.wish() for one in letters], {}, at)
        merging: dict[str, list[Line]] = {}
        for letter, verdict in zip(letters, verdicts, strict=True):
            if verdict.fate is Fate.GO:
                self._hand_over(letter, figures, at)
            elif verdict.fate is Fate.MERGE:
                merging.setdefault(letter.lines[0].person, []).extend(letter.lines)
            else:
                yield from self._without_room(letter, verdict, counted=counted)
        if merging:
            together = [_Letter(tuple(lines), merged=True) for lines in merging.values()]
            if counted:
                self.outlook.merged += sum(len(one.lines) for one in together)
            yield from self._decided(together, figures, at, counted=counted)

    def _without_room(self, letter: _Letter, verdict: Verdict, *, counted: bool) -> Iterator[tuple[Line, datetime]]:
        urgent = any(line.urgent for line in letter.lines)
        for line in letter.lines:
            again = None if urgent else verdict.frees_at
            fits = again is not None and (not line.expires or _micros(again) < line.expires)
            if counted and line.key not in self._seen:
                self.outlook.put_off += fits
                self.outlook.refused += not fits
            self._seen.add(line.key)
            if again is not None and fits:
                yield line, again

    def _gathered(self, lines: Sequence[Line]) -> Iterator[_Letter]:
        """Digests as the policies want them."""
        groups: dict[str, list[Line]] = {}
        for line in lines:
            groups.setdefault(line.person if line.digest else line.key, []).append(line)
        for members in groups.values():
            least = max(2, min(self._at_least(line.policy) for line in members))
            if len(members) >= least:
                yield _Letter(tuple(members))
            else:
                yield from (_Letter((line,)) for line in members)

    def _hand_over(self, letter: _Letter, figures: Figures, at: datetime) -> None:
        wish = letter.wish()
        self._spent.append(Spending(wish.sent_as, wish.person, at, wish.words, wish.parts))
        self._count(figures, [letter])

    def _count(self, figures: Figures, letters: Sequence[_Letter]) -> None:
        figures.messages += len(letters)
        figures.parts += sum(max(1, *(line.parts for line in letter.lines)) for letter in letters)

    def _state(self) -> Spent:
        parts = sum(one.parts for one in self._spent)
        return Spent(tuple(self._spent), parts, tuple((one.at, one.parts) for one in self._spent))


def _whole_minute(at: datetime) -> int:
    """The first whole minute that is not before: what is put off until then must fit then."""
    minute = _micros(MINUTE + datetime(1970, 1, 1, tzinfo=UTC))
    return -(-_micros(at) // minute) * minute


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC)


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
