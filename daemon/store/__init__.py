"""Our own tables: cases as last seen, obligations, outbox, ledger, workers.

Synchronous SQLAlchemy Core, batches in, batches out; called from threads. Every method is one transaction unless
it says otherwise, takes `now` from its caller, and keeps this protocol:

* A worker is an **epoch**: a row with a heartbeat. Every claim carries the epoch of the worker that holds it,
  every write of a claimed row is fenced: it changes the row only while the row is still held by that epoch and
  the epoch has not been declared dead. A fenced write raises `Fenced`.
* Declaring an epoch dead gives its claimed obligations back and turns its `sending` deliveries into `in_doubt`.
* The unique notice key decides: inserting a notice that is there already does nothing and is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from daemon.store.values import (
        Audit,
        CaseChange,
        Decision,
        Delivery,
        DeliveryResult,
        DeliveryState,
        Event,
        JobBeat,
        LedgerFault,
        LedgerRow,
        SetAside,
        StoredCase,
        StoredObligation,
    )
    from policies.model import Directory


class Store:
    """The store behind one URL. Opening checks the schema revision; `migrate` is an explicit act."""

    def __init__(self, url: str) -> None:
        """Open.

        Raises:
            StoreUnavailable: the database does not answer.
            SchemaMismatch: the tables are of another version (call `migrate`).
        """
        raise NotImplementedError

    @staticmethod
    def migrate(url: str) -> tuple[str, str]:
        """Bring the tables to this version (PostgreSQL: under an advisory lock); returns old and new revision."""
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    # --- workers ---------------------------------------------------------------------------------------

    def open_worker(self, node: str, pid: int, now: datetime) -> int:
        """Register a worker; returns its epoch, larger than any before."""
        raise NotImplementedError

    def heartbeat(self, epoch: int, now: datetime) -> None:
        """Say that the worker is alive. Raises Fenced when it was declared dead."""
        raise NotImplementedError

    def bury_silent(self, now: datetime, silent_for: timedelta, keep: int | None = None) -> tuple[int, int]:
        """Declare dead every worker silent for that long, except epoch `keep`.

        Returns (obligations given back, deliveries now in doubt).
        """
        raise NotImplementedError

    def close_worker(self, epoch: int, now: datetime) -> None:
        """Leave in good order: give back claims; anything still `sending` becomes in doubt."""
        raise NotImplementedError

    # --- sync ------------------------------------------------------------------------------------------

    def bookmark(self, name: str) -> str | None:
        """A remembered position, for example the watermark of the incremental sync."""
        raise NotImplementedError

    def set_bookmark(self, name: str, value: str) -> None:
        """Remember a position."""
        raise NotImplementedError

    def cases(self, keys: Collection[str]) -> dict[str, StoredCase]:
        """The last known facts of these cases."""
        raise NotImplementedError

    def fingerprints(self, after: str = "", limit: int = 10_000) -> list[tuple[str, str]]:
        """(case key, fingerprint) of cases not gone, in key order after `after`: to notice deletions page by page."""
        raise NotImplementedError

    def obligations_of(self, keys: Collection[str]) -> dict[str, list[StoredObligation]]:
        """All obligations of these cases, finished ones too."""
        raise NotImplementedError

    def save_cases(self, changes: Sequence[CaseChange], now: datetime) -> None:
        """Write what a sync learnt: cases, obligations, events; freeze first handlers (never overwritten).

        An obligation held by another worker's claim is overwritten all the same: facts win, and that worker's
        decision is refused because the deadline version or the row's revision moved on.
        """
        raise NotImplementedError

    def save_directory(self, directory: Directory, now: datetime) -> None:
        """Remember everybody, so that enforcement goes on while the source is away."""
        raise NotImplementedError

    def directory(self) -> tuple[Directory, datetime] | None:
        """The last directory saved and when it was read."""
        raise NotImplementedError

    def set_aside(self, rows: Sequence[SetAside], entity: str, now: datetime) -> None:
        """Replace the list of rows of `entity` that could not be used."""
        raise NotImplementedError

    def rows_set_aside(self) -> list[SetAside]:
        """All rows that could not be used at the last reading."""
        raise NotImplementedError

    def recount(self, now: datetime, *, provisional_only: bool) -> int:
        """Ask for open obligations to be counted again (`next_check_at = now`); returns how many."""
        raise NotImplementedError

    # --- tick ------------------------------------------------------------------------------------------

    def claim_due(self, epoch: int, now: datetime, limit: int) -> list[StoredObligation]:
        """Claim open obligations whose `next_check_at` has passed, earliest first (SKIP LOCKED where there is it)."""
        raise NotImplementedError

    def save_decisions(self, epoch: int, decisions: Sequence[Decision], policy_version: str, now: datetime) -> int:
        """Write decisions, notices and events in one transaction and give the claims back.

        Returns how many notices were new. A decision whose obligation has moved on since the claim is dropped
        (it will be looked at again). Raises Fenced.
        """
        raise NotImplementedError

    def next_check_at(self) -> datetime | None:
        """The earliest moment any open, unclaimed obligation wants to be looked at."""
        raise NotImplementedError

    # --- pump ------------------------------------------------------------------------------------------

    def claim_deliveries(
        self, epoch: int, now: datetime, limit: int, channels: Collection[str] | None = None
    ) -> list[Delivery]:
        """Claim what may go out now (pending, retrying or in doubt, `not_before_at` passed) as `sending`."""
        raise NotImplementedError

    def record(
        self,
        epoch: int,
        results: Sequence[DeliveryResult],
        now: datetime,
        claim: int = 0,
        channels: Collection[str] | None = None,
    ) -> list[Delivery]:
        """Write outcomes and their ledger events, and in the same transaction claim up to `claim` more.

        A state never goes back (`delivered` stays). Raises Fenced.
        """
        raise NotImplementedError

    def cancel(self, keys: Collection[str], reason: str, now: datetime) -> int:
        """Cancel deliveries that have not gone out, by notice key; returns how many."""
        raise NotImplementedError

    def retry(self, keys: Collection[str], now: datetime) -> int:
        """Put failed, cancelled or in-doubt deliveries back to `retrying`, by notice key; returns how many."""
        raise NotImplementedError

    def next_delivery_at(self) -> datetime | None:
        """The earliest moment any delivery may go out."""
        raise NotImplementedError

    # --- ledger ----------------------------------------------------------------------------------------

    def append(self, events: Sequence[Event]) -> None:
        """Append to the chains of their cases."""
        raise NotImplementedError

    def ledger(self, case_key: str) -> list[LedgerRow]:
        """One case's whole story, in order."""
        raise NotImplementedError

    def seal(self, now: datetime) -> str | None:
        """Seal all rows since the last seal under a Merkle root chained to the one before; the root, or None."""
        raise NotImplementedError

    def verify(self) -> Iterator[LedgerFault]:
        """Check every chain and every seal; yields the first fault of each case. Empty means whole."""
        raise NotImplementedError

    # --- audit and views -------------------------------------------------------------------------------

    def audit(self, now: datetime, grace: timedelta) -> Audit:
        """The minute's proof; `grace` is how late a check may be before it counts as overdue."""
        raise NotImplementedError

    def deliveries(
        self,
        *,
        states: Collection[DeliveryState] | None = None,
        case_key: str | None = None,
        limit: int = 200,
        after_id: int = 0,
    ) -> list[Delivery]:
        """The outbox, by id."""
        raise NotImplementedError

    def obligations(self, *, state: str | None = "open", limit: int = 200, after_id: int = 0) -> list[StoredObligation]:
        """Obligations, by id."""
        raise NotImplementedError

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Numbers for `status`: obligations by state and by light, deliveries by state and by channel."""
        raise NotImplementedError

    def remember_policy(self, version: str, files: Mapping[str, str], now: datetime) -> None:
        """Keep the text of a policy version that came into force (once per version)."""
        raise NotImplementedError

    def beat(self, job: str, node: str, now: datetime, error: str = "") -> None:
        """Record a run of a periodic job: good, or with what error."""
        raise NotImplementedError

    def beats(self) -> list[JobBeat]:
        """The last run of every job on every node."""
        raise NotImplementedError

    def people_summary(self, keys: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """Per role and channel, how many deliveries in which state; `keys` limits it to those cases (empty: all)."""
        raise NotImplementedError
