"""Many cases played, on all cores, without keeping their messages in memory.

Each page of cases becomes a file of lines in time order; the files are merged when they are read.
"""

from __future__ import annotations

import heapq
import itertools
import multiprocessing
import os
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from channels.wire.sms import sms_parts
from daemon.budget import words_of
from daemon.foresight.lines import Line, due_line, line_of, packed, unpacked
from daemon.foresight.readings import Known, Reading, open_reading
from daemon.foresight.totals import Totals
from daemon.render import RenderError, renderer_of
from daemon.settings import load
from daemon.wiring import rules_of
from policies.beforehand.foresight import foresee
from policies.model import RUNNING, ObligationState, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from daemon.settings import Configuration
    from policies.beforehand.foresight import Foresight, Told

ALONE = 1500  # so many cases are played sooner here than by processes that have to start first
SMALL_PAGE = 500
FILES = 400  # pages are made larger rather than open more files than that at a time
AHEAD = 3  # pages handed to each process beyond the one it works on


@dataclass(frozen=True)
class Wanted:
    """What is asked: by which configuration, over which time, for whom. It travels to the other processes.

    Played from `since`, shown from `shown_from`. `units` and `person` are keys; empty and None mean everybody. With
    `rendered`, text messages are really written to count their parts.
    """

    config: Path
    since: datetime
    shown_from: datetime
    until: datetime
    policies: Path | None = None
    fresh: bool = False
    units: frozenset[str] = frozenset()
    person: str | None = None
    rendered: bool = True


class Player:
    """Plays pages of cases, in one process."""

    def __init__(self, configuration: Configuration, reading: Reading, wanted: Wanted) -> None:
        self._configuration = configuration
        self._reading = reading
        self._wanted = wanted
        own = wanted.policies is None  # not those of another folder
        self._rules = reading.rules(configuration, wanted.since) if own else rules_of(configuration)
        self._renderer = renderer_of(configuration)
        self._directory = reading.directory()

    def play(self, keys: Sequence[str], path: Path) -> Totals:
        """Play these cases and write their lines, in time order, to that file."""
        totals, written = Totals(), list[bytes]()
        for known in self._reading.cases(keys):
            if not _is_asked(known, self._wanted.units):
                continue
            totals.cases += 1
            try:
                seen = self._foresee(known)
            except Exception as error:  # noqa: BLE001 - one poisonous case must not stop the others; it is counted and named
                totals.fail(known.case.key, f"{type(error).__name__}: {error}")
                continue
            totals.looks += seen.looks
            totals.unlimited += not seen.obligations
            if _is_unheard(seen):
                totals.nobody_for(known.case.key)
            for line in self._lines(known, seen):
                totals.count(line, self._configuration.zone)
                written.append(packed(line))
        written.sort()
        with path.open("wb") as file:
            file.writelines(written)
        return totals

    def _foresee(self, known: Known) -> Foresight:
        rules, wanted = self._rules, self._wanted
        return foresee(
            rules.policies_for(known.policy_version) if wanted.policies is None else rules.policies,
            [(wanted.since, known.case)],
            self._directory,
            rules.calendars,
            rules.kinds,
            wanted.since,
            wanted.until,
            default_calendar=rules.default_calendar,
            first_handler=known.first_handler,
            standing=known.standing,
        )

    def _lines(self, known: Known, seen: Foresight) -> Iterator[Line]:
        wanted, unit = self._wanted, known.case.unit
        for told in seen.told:
            if told.at >= wanted.shown_from and wanted.person in {None, told.notice.person}:
                yield self.line_for(told, unit)
        if wanted.person not in {None, known.case.handler}:
            return
        for one in seen.obligations:
            if one.state is ObligationState.OPEN and wanted.shown_from <= one.due_at <= wanted.until:
                yield due_line(one, unit)

    def line_for(self, told: Told, unit: str | None) -> Line:
        """The line of a message, with what its text comes to where that is wanted."""
        notice = told.notice
        rule = self._rules.limit(notice.policy, notice.limit)
        parts, words = self._text_of(told)
        return line_of(told, unit, parts, None if rule is None else rule[1], words)

    def _text_of(self, told: Told) -> tuple[int, str]:
        """How many parts a text message has as it will be written (1 if it cannot be), and the hash of its words.

        Over other channels nothing is written, unless a budget asks whether it is the same text.
        """
        notice = told.notice
        kind = self._configuration.kinds.get(notice.channel, notice.channel)
        medium = self._configuration.media.get(notice.channel)
        texts = medium is not None and medium.budget is not None and medium.budget.compares_texts
        least = 1 if kind == "sms" else 0
        if notice.dark or not (least or texts):
            return 0, ""
        official = self._directory.officials.get(notice.person)
        if official is None or not self._wanted.rendered:
            return least, ""
        try:
            message = self._renderer.render(notice, official, kind, decided_at=told.decided_at, medium=medium)
        except RenderError:
            return least, ""
        return least and sms_parts(message.text), words_of(message.subject, message.text)


def _is_unheard(seen: Foresight) -> bool:
    """Whether a step comes that nobody can be told of: a restricted case without a list, or a list of nobody."""
    asked = {reason.why for _, reason in seen.reasons}
    return Why.NOBODY in asked or (Why.RESTRICTED in asked and not seen.told)


def _is_asked(known: Known, units: frozenset[str]) -> bool:
    """Whether the case is of these units and anything can happen to it."""
    if units and known.case.unit not in units:
        return False
    return known.case.open or any(one.state in RUNNING for one, _ in known.standing)


@dataclass
class Played:
    """The figures of a simulation, and its lines in files."""

    totals: Totals = field(default_factory=Totals)
    files: list[Path] = field(default_factory=list[Path])

    def lines(self) -> Iterator[Line]:
        """All lines, in time; read from the files as they are asked for."""
        with ExitStack() as stack:
            opened = [stack.enter_context(path.open("rb")) for path in self.files]
            yield from map(unpacked, heapq.merge(*opened))


def play(
    wanted: Wanted,
    configuration: Configuration,
    reading: Reading,
    keys: Sequence[str],
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
    processes: int | None = None,
    page: int = SMALL_PAGE,
) -> Played:
    """Play these cases; `progress` is told how many more are done. The lines lie in `folder` until it is removed.

    `processes` None: as many as there are cores, if there is enough to do; a file holds `page` cases or more.
    Raises DaemonError.
    """
    workers = processes or (1 if len(keys) <= ALONE else os.cpu_count() or 1)
    size = max(page, -(-len(keys) // FILES))
    pages = [(some, folder / f"{number}.run") for number, some in enumerate(_pages(keys, size))]
    played = Played()
    if workers == 1:
        player = Player(configuration, reading, wanted)
        for some, path in pages:
            played.totals.add(player.play(some, path))
            progress(len(some))
    else:
        for totals, number in _by_processes(wanted, pages, workers):
            played.totals.add(totals)
            progress(number)
    played.files = [path for _, path in pages]
    return played


def _pages(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


# --- in other processes ---------------------------------------------------------------------------------------

_players: list[Player] = []
_opened = ExitStack()


def _begin(wanted: Wanted) -> None:
    """Open in a new process what cannot travel: the configuration, and a database connection of its own."""
    configuration = load(wanted.config, policies=wanted.policies)
    reading = _opened.enter_context(open_reading(configuration, fresh=wanted.fresh))
    _players.append(Player(configuration, reading, wanted))


def _play_page(page: Sequence[str], path: Path) -> tuple[Totals, int]:
    return _players[0].play(page, path), len(page)


def _by_processes(
    wanted: Wanted, pages: Sequence[tuple[Sequence[str], Path]], workers: int
) -> Iterator[tuple[Totals, int]]:
    """Hand out pages a few at a time, so that what waits stays small."""
    context = multiprocessing.get_context("spawn")  # a fork would share open connections
    with ProcessPoolExecutor(workers, context, _begin, (wanted,)) as pool:
        left = iter(pages)
        running: set[Future[tuple[Totals, int]]] = {
            pool.submit(_play_page, *page) for page in itertools.islice(left, workers * AHEAD)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(_play_page, *page) for page in itertools.islice(left, len(done))}
            yield from (future.result() for future in done)
