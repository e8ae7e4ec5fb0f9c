"""Where the simulation takes its cases from: our own store, or straight from the shared database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from daemon.clock import SystemClock
from daemon.policy_release import rules_in_force
from daemon.store import Store
from daemon.wiring import open_source, rules_of
from policies.model import Directory

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Sequence
    from datetime import datetime

    from daemon.rules import Rules
    from daemon.settings import Configuration
    from daemon.source.database import DatabaseSource
    from policies.model import Case, FirstHandler, History, Obligation

PAGE = 5000


class Known(NamedTuple):
    """One case and what has been decided on it so far."""

    case: Case
    first_handler: FirstHandler | None = None
    standing: Sequence[tuple[Obligation, History]] = ()
    policy_version: str | None = None


class Reading(Protocol):
    """Reads cases page by page; opened once per process."""

    def directory(self) -> Directory:
        """Everybody."""
        ...

    def keys(self) -> Iterator[str]:
        """The keys of all cases."""
        ...

    def rules(self, configuration: Configuration, now: datetime) -> Rules:
        """The rules they run by. Raises SettingsError."""
        ...

    def cases(self, keys: Collection[str]) -> list[Known]:
        """These cases as far as they are there."""
        ...


class StoreReading:
    """The cases as the daemon last saw them, with what it has decided."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def directory(self) -> Directory:
        """Everybody, as last read."""
        remembered = self._store.directory()
        return remembered[0] if remembered else Directory()

    def keys(self) -> Iterator[str]:
        """The keys of all cases that have not left the shared database."""
        after = ""
        while page := self._store.fingerprints(after, PAGE):
            yield from (key for key, _ in page)
            after = page[-1][0]

    def rules(self, configuration: Configuration, now: datetime) -> Rules:
        """The versions in force and those that cases are bound to. Raises SettingsError."""
        return rules_in_force(self._store, configuration, now)

    def cases(self, keys: Collection[str]) -> list[Known]:
        """These cases with their obligations, what became of their notices, and first handlers."""
        obligations = self._store.obligations_of(keys)
        receptions = self._store.receptions([one.id for several in obligations.values() for one in several])
        return [
            Known(
                stored.case,
                stored.first_handler,
                [
                    (one.obligation, replace(one.history, receptions=receptions.get(one.id, {})))
                    for one in obligations.get(key, ())
                ],
                stored.policy_version,
            )
            for key, stored in sorted(self._store.cases(keys).items())
        ]


class SourceReading:
    """The cases as the shared database shows them now, as if duban were started for the first time."""

    def __init__(self, source: DatabaseSource) -> None:
        self._source = source

    def directory(self) -> Directory:
        """Everybody. Raises SourceUnavailable."""
        return self._source.read_directory()[0]

    def keys(self) -> Iterator[str]:
        """The key of every case. Raises SourceUnavailable."""
        return self._source.all_keys()

    def rules(self, configuration: Configuration, now: datetime) -> Rules:
        """Those the files write."""
        del now
        return rules_of(configuration)

    def cases(self, keys: Collection[str]) -> list[Known]:
        """These cases; rows that cannot be used are left out. Raises SourceUnavailable."""
        found, _ = self._source.reread(keys)
        return [Known(case) for _, case in sorted(found.items())]


@contextmanager
def open_reading(configuration: Configuration, *, fresh: bool) -> Generator[Reading]:
    """From the shared database if `fresh`, else from the store. Raises DaemonError."""
    if fresh:
        source = open_source(configuration, SystemClock())
        try:
            yield SourceReading(source)
        finally:
            source.close()
        return
    store = Store(configuration.settings.store.url)
    try:
        yield StoreReading(store)
    finally:
        store.close()


def store_is_empty(configuration: Configuration) -> bool:
    """Whether the daemon has taken over no case yet. Raises StoreUnavailable, SchemaMismatch."""
    with open_reading(configuration, fresh=False) as reading:
        return next(reading.keys(), None) is None
