"""Figures of many foretold messages: kept while the messages themselves go to a file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.foresight.lines import DUE

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from daemon.foresight.lines import Line

SHOWN = 20


def _counter() -> Counter[tuple[str, str]]:
    return Counter()


@dataclass
class Totals:
    """How much there will be. `by_day` is by the office's day and channel, `by_person` by official and channel.

    `parts` are the parts all text messages are charged as. `messages` and `parts` leave out what is never sent (`dark`)
    but not what waits for a release. `uncountable` names some of the `failed` cases, which the daemon would set aside.
    `unlimited` cases have no limit that counts; of `unheard` ones, some named, something is to be said and nobody there
    may hear it.
    """

    cases: int = 0
    messages: int = 0
    parts: int = 0
    dues: int = 0
    waiting_for_release: int = 0
    dark: int = 0
    looks: int = 0
    failed: int = 0
    unlimited: int = 0
    unheard: int = 0
    some_unheard: list[str] = field(default_factory=list[str])
    uncountable: list[tuple[str, str]] = field(default_factory=list["tuple[str, str]"])
    by_day: Counter[tuple[str, str]] = field(default_factory=_counter)
    by_person: Counter[tuple[str, str]] = field(default_factory=_counter)
    by_light: Counter[str] = field(default_factory=Counter[str])

    def count(self, line: Line, zone: ZoneInfo) -> None:
        """Add one line."""
        if line.kind == DUE:
            self.dues += 1
            return
        if line.fate == "dark":
            self.dark += 1
            return
        self.waiting_for_release += line.fate == "release"
        self.messages += 1
        self.parts += line.parts
        self.by_day[line.instant.astimezone(zone).date().isoformat(), line.channel] += 1
        self.by_person[line.person, line.channel] += 1
        self.by_light[line.light] += 1

    def fail(self, case: str, problem: str) -> None:
        """Note a case that cannot be counted."""
        self.failed += 1
        if len(self.uncountable) < SHOWN:
            self.uncountable.append((case, problem))

    def nobody_for(self, case: str) -> None:
        """Note a case nobody can be told of."""
        self.unheard += 1
        if len(self.some_unheard) < SHOWN:
            self.some_unheard.append(case)

    def add(self, other: Totals) -> None:
        """Add the figures of other cases."""
        self.cases += other.cases
        self.messages += other.messages
        self.parts += other.parts
        self.dues += other.dues
        self.waiting_for_release += other.waiting_for_release
        self.dark += other.dark
        self.looks += other.looks
        self.failed += other.failed
        self.unlimited += other.unlimited
        self.unheard += other.unheard
        self.some_unheard = [*self.some_unheard, *other.some_unheard][:SHOWN]
        self.uncountable = [*self.uncountable, *other.uncountable][:SHOWN]
        self.by_day.update(other.by_day)
        self.by_person.update(other.by_person)
        self.by_light.update(other.by_light)
