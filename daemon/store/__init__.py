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

from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.store import (
    acknowledgements,
    arrivals,
    claims,
    digests,
    drills,
    inbox,
    pump,
    receipts,
    release,
    reports,
    responsibility,
    schema,
    spending,
    stops,
    sync,
    tick,
    versions,
    workers,
)
from daemon.store import audit as views
from daemon.store import ledger as chains
from daemon.store.connections import Database
from daemon.store.lanes import LANES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from daemon.budget import Spending, Verdict, Wish
    from daemon.medium import Budget
    from daemon.sharing import Share
    from daemon.store.acknowledgements import Sent
    from daemon.store.arrivals import TakenOver
    from daemon.store.lanes import Lane
    from daemon.store.reports import Report
    from daemon.store.values import (
        Acknowledged,
        Audit,
        Breach,
        CaseChange,
        Conflict,
        Decision,
        Delivery,
        DeliveryResult,
        DeliveryState,
        Event,
        Held,
        Incoming,
        JobBeat,
        LedgerFault,
        LedgerRow,
        ReceiptTold,
        Reply,
        SetAside,
        Standing,
        Stop,
        StoredCase,
        StoredObligation,
    )
    from daemon.store.versions import PolicyVersion
    from policies.model import Case, Directory, FirstHandler, Notice, Reception


class Store:
    """The store behind one URL. Opening checks the schema revision; `migrate` is an explicit act."""

    def __init__(self, url: str) -> None:
        """Open.

        Raises:
            StoreUnavailable: the database does not answer.
            SchemaMismatch: the tables are of another version (call `migrate`).
        """
        self._database = Database(url)
        try:
            schema.check(self._database)
        except BaseException:
            self._database.close()
            raise

    @staticmethod
    def migrate(url: str) -> tuple[str, str]:
        """Bring the tables to this version (PostgreSQL: under an advisory lock); returns old and new revision."""
        database = Database(url)
        try:
            return schema.migrate(database)
        finally:
            database.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # --- workers ---------------------------------------------------------------------------------------

    def open_worker(self, node: str, pid: int, now: datetime) -> int:
        """Register a worker; returns its epoch, larger than any before."""
        with self._database.writing() as connection:
            return workers.open_worker(connection, node, pid, now)

    def heartbeat(self, epoch: int, now: datetime) -> None:
        """Say that the worker is alive. Raises Fenced when it was declared dead."""
        with self._database.writing() as connection:
            workers.heartbeat(connection, epoch, now)

    def bury_silent(self, now: datetime, silent_for: timedelta, keep: int | None = None) -> tuple[int, int]:
        """Declare dead every worker silent for that long, except epoch `keep`.

        Returns (obligations given back, deliveries now in doubt).
        """
        with self._database.writing() as connection:
            return workers.bury_silent(connection, now, silent_for, keep)

    def workers_alive(self) -> list[tuple[int, str, int]]:
        """(epoch, node, pid) of every worker not declared dead."""
        with self._database.reading() as connection:
            return workers.alive(connection)

    def bury(self, epochs: Collection[int], now: datetime) -> tuple[int, int]:
        """Declare these workers dead: their processes are known to be gone. Returns as `bury_silent` does."""
        with self._database.writing() as connection:
            return workers.bury(connection, epochs, now)

    def close_worker(self, epoch: int, now: datetime) -> None:
        """Leave in good order: give back claims; anything still `sending` becomes in doubt."""
        with self._database.writing() as connection:
            workers.close_worker(connection, epoch, now)

    # --- sync ------------------------------------------------------------------------------------------

    def bookmark(self, name: str) -> str | None:
        """A remembered position, for example the watermark of the incremental sync."""
        with self._database.reading() as connection:
            return sync.bookmark(connection, name)

    def set_bookmark(self, name: str, value: str) -> None:
        """Remember a position."""
        with self._database.writing() as connection:
            sync.set_bookmark(connection, name, value)

    def cases(self, keys: Collection[str], at_hand: Mapping[str, Case] | None = None) -> dict[str, StoredCase]:
        """The last known facts of these cases; those `at_hand`, by fingerprint, are not decoded once more."""
        with self._database.reading() as connection:
            return sync.stored_cases(connection, keys, at_hand or {})

    def guarded(self, keys: Collection[str]) -> set[str]:
        """Which of these cases are restricted, or keep somebody out (回避), as last read by any node."""
        with self._database.reading() as connection:
            return sync.guarded(connection, keys)

    def fingerprints_of(self, keys: Collection[str]) -> dict[str, str]:
        """The fingerprints of the last known facts of these cases."""
        with self._database.reading() as connection:
            return sync.fingerprints_of(connection, keys)

    def fingerprints(self, after: str = "", limit: int = 10_000) -> list[tuple[str, str]]:
        """(case key, fingerprint) of cases not gone, in key order after `after`: to notice deletions page by page."""
        with self._database.reading() as connection:
            return sync.fingerprints(connection, after, limit)

    def obligations_of(self, keys: Collection[str]) -> dict[str, list[StoredObligation]]:
        """All obligations of these cases, finished ones too."""
        with self._database.reading() as connection:
            return sync.obligations_of(connection, keys)

    def save_cases(self, changes: Sequence[CaseChange], now: datetime) -> None:
        """Write what a sync learnt: cases, obligations, events; freeze first handlers (never overwritten).

        An obligation held by another worker's claim is overwritten all the same: facts win, and that worker's
        decision is refused because the row's revision moved on. A history decided since `change.revision` is kept
        unless the deadline version is a new one.
        """
        with self._database.writing() as connection:
            sync.save_cases(connection, changes, now)

    def save_directory(self, directory: Directory, now: datetime) -> None:
        """Remember everybody, so that enforcement goes on while the source is away."""
        with self._database.writing() as connection:
            sync.save_directory(connection, directory, now)

    def directory(self, as_of: datetime | None = None) -> tuple[Directory, datetime] | None:
        """The last directory saved and when it was read; with `as_of` everybody as known then, without addresses.

        The saved one has the channels people stopped since.
        """
        with self._database.reading() as connection:
            if as_of is not None:
                past = responsibility.directory_as_of(connection, as_of)
                return past or sync.saved_directory(connection)
            saved = sync.saved_directory(connection)
            return None if saved is None else (replace(saved[0], stopped=stops.stopped(connection)), saved[1])

    def directory_read_at(self) -> datetime | None:
        """When the directory saved last was read; None before the first."""
        with self._database.reading() as connection:
            return sync.directory_read_at(connection)

    # --- responsibility --------------------------------------------------------------------------------

    def first_handlers(self, keys: Collection[str]) -> dict[str, FirstHandler]:
        """The first handlers on record of these cases."""
        with self._database.reading() as connection:
            return sync.frozen_first_handlers(connection, keys)

    def holdings_of(
        self,
        *,
        unit: str | None = None,
        official: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Held]:
        """What a unit or a person held, leading or helping, at some time from `since` to `until`; in time."""
        with self._database.reading() as connection:
            return responsibility.held_by(connection, unit, official, since, until)

    def record_breaches(self, found: Sequence[Breach], now: datetime) -> int:
        """Keep limits that passed, each once and for ever, with a line in the ledger; returns how many were new."""
        with self._database.writing() as connection:
            events = responsibility.record_breaches(connection, found, now)
            chains.append(connection, events)
            return len(events)

    def breaches(
        self,
        *,
        case_key: str | None = None,
        unit: str | None = None,
        official: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Breach]:
        """Limits passed, corrected ones too, in time: of a case, or those a unit or a person held then."""
        with self._database.reading() as connection:
            return responsibility.list_breaches(connection, case_key, unit, official, since, until)

    def correct_breach(
        self,
        identity: int,
        *,
        reason: str,
        approved_by: str,
        by: str,
        now: datetime,
        document: str | None = None,
    ) -> Breach | None:
        """Add a correction to a breach, which stays; None if there is none of that number.

        Raises ValueError without a reason, an approver or an author.
        """
        if not (reason.strip() and approved_by.strip() and by.strip()):
            raise ValueError("a correction needs a reason, an approver and an author")
        correction = {"reason": reason, "approved_by": approved_by, "document": document}
        with self._database.writing() as connection:
            return responsibility.correct_breach(connection, identity, correction, by, now)

    def first_handler_conflicts(self, since: datetime) -> list[Conflict]:
        """When the shared database named another first handler than the one on record, from then on."""
        with self._database.reading() as connection:
            return responsibility.conflicts_since(connection, since)

    def set_aside(self, rows: Sequence[SetAside], entity: str, now: datetime) -> None:
        """Replace the list of rows of `entity` that could not be used."""
        del now
        with self._database.writing() as connection:
            sync.set_aside(connection, rows, entity)

    def rows_set_aside(self) -> list[SetAside]:
        """All rows that could not be used at the last reading."""
        with self._database.reading() as connection:
            return sync.all_set_aside(connection)

    def recount(self, now: datetime, *, provisional_only: bool) -> int:
        """Ask for open obligations to be counted again (`next_check_at = now`); returns how many."""
        with self._database.writing() as connection:
            return sync.recount(connection, now, provisional_only=provisional_only)

    # --- tick ------------------------------------------------------------------------------------------

    def claim_due(self, epoch: int, now: datetime, limit: int) -> list[StoredObligation]:
        """Claim open obligations whose `next_check_at` has passed, earliest first (SKIP LOCKED where there is it)."""
        with self._database.writing() as connection:
            return tick.claim_due(connection, epoch, now, limit)

    def save_decisions(self, epoch: int, decisions: Sequence[Decision], policy_version: str, now: datetime) -> int:
        """Write decisions, notices and events in one transaction and give the claims back.

        Returns how many notices were new. A decision whose obligation has moved on since the claim is dropped
        (it will be looked at again); give `change.revision` so that this can be told. Raises Fenced.
        """
        with self._database.writing() as connection:
            return tick.save_decisions(connection, epoch, decisions, policy_version, now)

    def add_notices(
        self,
        obligation_id: int | None,
        notices: Sequence[Notice],
        events: Sequence[Event],
        policy_version: str,
        now: datetime,
    ) -> int:
        """Add notices that follow from no tick: a delivery that failed, or (of no obligation) a trouble of our own.

        Returns how many were new.

        The events are written only when a notice was new, so that asking again leaves no second line.
        """
        with self._database.writing() as connection:
            return pump.add(connection, obligation_id, notices, events, policy_version, now)

    def give_back(self, epoch: int) -> int:
        """Give back every obligation this worker still holds after an error; returns how many."""
        with self._database.writing() as connection:
            return tick.give_back(connection, epoch)

    def next_check_at(self) -> datetime | None:
        """The earliest moment any open, unclaimed obligation wants to be looked at."""
        with self._database.reading() as connection:
            return tick.next_check_at(connection)

    # --- pump ------------------------------------------------------------------------------------------

    def claim_deliveries(
        self, epoch: int, now: datetime, limit: int, channels: Collection[str] | None = None
    ) -> list[Delivery]:
        """Claim what may go out now (pending, retrying or in doubt, `not_before_at` passed) as `sending`."""
        return self.record(epoch, (), now, limit, channels)

    def record(
        self,
        epoch: int,
        results: Sequence[DeliveryResult],
        now: datetime,
        claim: int = 0,
        channels: Collection[str] | None = None,
        lanes: Sequence[Lane] = LANES,
        share: Share | None = None,
    ) -> list[Delivery]:
        """Write outcomes and their ledger events, and in the same transaction claim up to `claim` more, lane by lane.

        `share`: for one of the providers behind a shared channel, what falls to it.

        A state never goes back (`delivered` stays): an outcome the row no longer allows is passed over. Receipts of
        the provider are recorded here too, by any worker. Raises Fenced.
        """
        with self._database.writing() as connection:
            workers.fence(connection, epoch)
            pump.record(connection, epoch, results, now)
            return claims.claim(connection, epoch, now, claim, channels, lanes, share)

    def settle(self, epoch: int, results: Sequence[DeliveryResult], now: datetime) -> int:
        """Write outcomes; whatever else this worker still holds for sending is in doubt. Returns how many that is.

        For a worker that has nothing on the wire but was cut off before. Raises Fenced.
        """
        with self._database.writing() as connection:
            workers.fence(connection, epoch)
            pump.record(connection, epoch, results, now)
            return pump.doubt_all_of(connection, [epoch], now)

    def stranded(self, known: Collection[str], since: datetime) -> list[str]:
        """The channels, none of the `known`, for which something has been waiting since before then."""
        with self._database.reading() as connection:
            return claims.stranded(connection, known, since)

    def cancel(self, keys: Collection[str], reason: str, now: datetime) -> int:
        """Cancel deliveries that have not gone out, by notice key; returns how many.

        One that a worker is sending at this moment is not counted; it is cancelled if it comes back unsent.
        """
        with self._database.writing() as connection:
            return pump.cancel(connection, keys, reason, now)

    def retry(self, keys: Collection[str], now: datetime) -> int:
        """Put failed, cancelled or in-doubt deliveries back to `retrying`, by notice key; returns how many."""
        with self._database.writing() as connection:
            return pump.retry(connection, keys, now)

    def spend(
        self, epoch: int, channel: str, budget: Budget, wishes: Sequence[Wish], now: datetime, queue: str = ""
    ) -> list[Verdict]:
        """What the channel's budget says to each of these messages; what may leave is written down first. Fenced.

        `queue`: the channel more may wait for, if this one is a provider behind it.
        """
        with self._database.writing() as connection:
            workers.fence(connection, epoch)
            return spending.spend(connection, channel, budget, wishes, now, queue)

    def give_back_spent(self, channel: str, sent_as: Collection[str]) -> int:
        """These messages were certainly not taken: they do not count against the budget. Returns how many did."""
        with self._database.writing() as connection:
            return spending.give_back(connection, channel, sent_as)

    def spent(self, now: datetime) -> Mapping[str, tuple[int, int, int]]:
        """Channel with a budget -> (messages, parts, most messages to one person) of the rolling day."""
        with self._database.reading() as connection:
            return spending.spent_since(connection, now)

    def spendings(self, now: datetime) -> dict[str, list[Spending]]:
        """Channel -> everything that counts against its budget now, the oldest first."""
        with self._database.reading() as connection:
            return spending.all_since(connection, now)

    def claim_waiting_for(
        self, epoch: int, channel: str, people: Collection[str], now: datetime, share: Share | None = None
    ) -> list[Delivery]:
        """Claim what else may go out now to these people over that channel, to be merged. Fenced."""
        with self._database.writing() as connection:
            workers.fence(connection, epoch)
            return claims.waiting_for(connection, epoch, channel, people, now, share)

    def bind_digest(self, epoch: int, keys_by_id: Mapping[int, str]) -> set[int]:
        """Write down which message each of these deliveries is about to leave in; returns those still held. Fenced."""
        with self._database.writing() as connection:
            workers.fence(connection, epoch)
            return digests.bind(connection, epoch, keys_by_id)

    def release(self, keys: Collection[str], by: str, reason: str, now: datetime) -> int:
        """Let notices that are held go out, by notice key; returns how many. They are checked again before that.

        What the next step took over from by `now` is not let go any more.
        """
        with self._database.writing() as connection:
            return release.release(connection, keys, by, reason, now)

    def refuse(self, keys: Collection[str], by: str, reason: str, now: datetime) -> int:
        """Cancel notices that are held, by notice key; returns how many."""
        with self._database.writing() as connection:
            return release.refuse(connection, keys, by, reason, now)

    def overdue_receipts(self, now: datetime, limit: int) -> list[Delivery]:
        """What a provider took and brought no receipt for in time."""
        with self._database.reading() as connection:
            return receipts.overdue(connection, now, limit)

    def give_up_waiting(self, ids: Collection[int], now: datetime) -> int:
        """Wait for no receipt of these deliveries any more; a late one is recorded all the same."""
        with self._database.writing() as connection:
            return receipts.give_up_waiting(connection, ids, now)

    def put_off_receipts(self, ids: Collection[int], until: datetime) -> None:
        """Ask again then for the receipts of these deliveries."""
        with self._database.writing() as connection:
            receipts.put_off(connection, ids, until)

    def receptions(self, obligation_ids: Collection[int]) -> dict[int, dict[str, Reception]]:
        """Obligation -> step -> when what it sent was delivered, read, acknowledged. Without any it is left out."""
        with self._database.reading() as connection:
            return receipts.receptions(connection, obligation_ids)

    def acknowledge(self, case_key: str, official: str, at: datetime, how: str, now: datetime) -> Acknowledged:
        """Take down that this official acknowledged the case (签收) at that instant, and how (phone, paper, console).

        The open obligations of the case are looked at again at once.
        """
        with self._database.writing() as connection:
            return acknowledgements.acknowledge(connection, case_key, official, at, how, now)

    def acknowledge_deliveries(
        self, ids: Collection[int], at: datetime, how: str, now: datetime
    ) -> dict[int, Acknowledged]:
        """Take down that whoever was sent these deliveries acknowledged them (`how`: link, reply, mail); the answers.

        A delivery of no case (a fire drill) is acknowledged too. Numbers that are not there are left out.
        """
        with self._database.writing() as connection:
            return acknowledgements.acknowledge_deliveries(connection, ids, at, how, now)

    def message_of(self, delivery_id: int) -> list[Sent]:
        """Everything that leaves in one message with that delivery; empty if there is none of that number."""
        with self._database.reading() as connection:
            return acknowledgements.message_of(connection, delivery_id)

    def message_called(self, sent_as: str) -> list[Sent]:
        """Everything that left in the message of that name (`sent_as`)."""
        with self._database.reading() as connection:
            return acknowledgements.message_called(connection, sent_as)

    def sent_to(self, official: str, since: datetime, limit: int = 500) -> list[Sent]:
        """What went out to that official since then, or perhaps did, the latest first."""
        with self._database.reading() as connection:
            return acknowledgements.sent_to(connection, official, since, limit)

    def stop(self, channel: str, person: str, how: str, now: datetime) -> bool:
        """No more messages over that channel to that person (退订, STOP); False if it was so before."""
        with self._database.writing() as connection:
            return stops.stop(connection, channel, person, how, now)

    def lift_stop(self, channel: str, person: str, how: str, now: datetime, *, by: str = "", reason: str = "") -> bool:
        """Messages go out to him over it again; False if nothing was stopped. `by` and `reason` of who lifts it."""
        with self._database.writing() as connection:
            return stops.lift(connection, channel, person, how, now, by, reason)

    def stops(self) -> list[Stop]:
        """Everybody who stopped a channel, by person and channel."""
        with self._database.reading() as connection:
            return stops.all_stops(connection)

    def stopped(self) -> Mapping[str, frozenset[str]]:
        """The channels each person stopped."""
        with self._database.reading() as connection:
            return stops.stopped(connection)

    def next_delivery_at(self) -> datetime | None:
        """The earliest moment any delivery may go out, or the wait for a receipt is over."""
        with self._database.reading() as connection:
            return pump.next_delivery_at(connection)

    # --- inbox -----------------------------------------------------------------------------------------

    def hear(self, channel: str, told: Sequence[ReceiptTold | Reply], now: datetime) -> int:
        """Keep what came back over a channel until it is taken over, each once; returns how many are new."""
        with self._database.writing() as connection:
            return inbox.hear(connection, channel, told, now)

    def hear_all(self, told: Sequence[tuple[str, Sequence[ReceiptTold | Reply]]], now: datetime) -> list[int]:
        """The same for several channels or calls in one transaction; how many are new of each."""
        with self._database.writing() as connection:
            return [inbox.hear(connection, channel, some, now) for channel, some in told]

    def inbox_due(self, now: datetime, limit: int) -> list[Incoming]:
        """Receipts and replies to be taken over now; who asks has them for two minutes, so that no other node does."""
        with self._database.writing() as connection:
            return inbox.due(connection, now, limit)

    def meant(self, receipts: Sequence[ReceiptTold]) -> list[list[Delivery]]:
        """The deliveries each of these receipts is about: none if it names nothing we know, all notices of a digest."""
        with self._database.reading() as connection:
            return arrivals.meant(connection, receipts)

    def take_receipts(
        self, told: Sequence[tuple[Incoming, Sequence[Delivery]]], passed_on: Collection[int], now: datetime
    ) -> TakenOver:
        """Write what receipts change of the deliveries they are about; a state never goes back, nothing is said twice.

        Only deliveries in `passed_on` become failed: of these somebody else was told before.
        """
        with self._database.writing() as connection:
            return arrivals.take(connection, told, passed_on, now)

    def inbox_waiting(self) -> int:
        """How many receipts and replies wait to be taken over."""
        with self._database.reading() as connection:
            return inbox.waiting(connection)

    def tidy_inbox(self, now: datetime) -> int:
        """Remove what only stayed to be known if it was told again; returns how many."""
        with self._database.writing() as connection:
            return inbox.forget(connection, now)

    def inbox_done(self, ids: Collection[int]) -> None:
        """These are taken over. A reply's own id stays for a week, so that it is known if it is told again."""
        with self._database.writing() as connection:
            inbox.done(connection, ids)

    def inbox_later(self, ids_at: Mapping[int, datetime]) -> None:
        """Look at these again at that moment."""
        with self._database.writing() as connection:
            inbox.later(connection, ids_at)

    # --- ledger ----------------------------------------------------------------------------------------

    def append(self, events: Sequence[Event]) -> None:
        """Append to the chains of their cases."""
        with self._database.writing() as connection:
            chains.append(connection, events)

    def ledger(self, case_key: str) -> list[LedgerRow]:
        """One case's whole story, in order."""
        with self._database.reading() as connection:
            return chains.story(connection, case_key)

    def asked_in_vain(self, case_key: str, notice_key: str) -> int:
        """How often the provider was asked about a message in doubt since it is, and gave no answer."""
        with self._database.reading() as connection:
            return pump.asked_in_vain(connection, case_key, notice_key)

    def seal(self, now: datetime) -> str | None:
        """Seal all rows since the last seal under a Merkle root chained to the one before; the root, or None."""
        with self._database.writing() as connection:
            return chains.seal(connection, now)

    def verify(self) -> Iterator[LedgerFault]:
        """Check every chain and every seal; yields the first fault of each case. Empty means whole."""
        with self._database.reading(long=True) as connection:
            yield from chains.verify(connection)

    # --- audit and views -------------------------------------------------------------------------------

    def audit(self, now: datetime, grace: timedelta) -> Audit:
        """The minute's proof; `grace` is how late a check may be before it counts as overdue."""
        with self._database.reading() as connection:
            return views.audit(connection, now, grace)

    def deliveries(
        self,
        *,
        states: Collection[DeliveryState] | None = None,
        case_key: str | None = None,
        limit: int = 200,
        after_id: int = 0,
        woken: bool = False,
    ) -> list[Delivery]:
        """The outbox, by id; `woken` for those only that passed quiet hours on a stated basis."""
        with self._database.reading() as connection:
            return views.list_deliveries(connection, states, case_key, limit, after_id, woken=woken)

    def woken_since(self, since: datetime) -> int:
        """How many deliveries decided since then passed quiet hours on a stated basis (`may_wake`)."""
        with self._database.reading() as connection:
            return views.woken_since(connection, since)

    def obligations(self, *, state: str | None = "open", limit: int = 200, after_id: int = 0) -> list[StoredObligation]:
        """Obligations, by id."""
        with self._database.reading() as connection:
            return views.list_obligations(connection, state, limit, after_id)

    def save_report(self, name: str, body: Mapping[str, object], now: datetime) -> None:
        """Keep a report worked out at night instead of the last one of that name."""
        with self._database.writing() as connection:
            reports.save(connection, name, body, now)

    def report(self, name: str) -> Report | None:
        """The last report of that name."""
        with self._database.reading() as connection:
            return reports.last(connection, name)

    def reports_named(self, beginning: str) -> dict[str, Report]:
        """Every report whose name begins so, the oldest first."""
        with self._database.reading() as connection:
            return reports.named(connection, beginning)

    def deliveries_keyed(self, beginning: str) -> list[Delivery]:
        """The deliveries whose notice key begins so (it ends in a slash): those of one fire drill."""
        with self._database.reading() as connection:
            return drills.keyed(connection, beginning)

    def reached(self, people: Collection[str]) -> dict[tuple[str, str], datetime]:
        """(person, channel) -> when a message to that person over that channel last arrived or was acknowledged."""
        with self._database.reading() as connection:
            return drills.reached(connection, people)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Numbers for `status`: `obligations` by state, `lights` of the open ones, `deliveries`, `channels`."""
        with self._database.reading() as connection:
            return views.counts(connection)

    def standing(self) -> Standing:
        """More numbers for `status`: each channel's states, provisional limits, the last seal, the last reading."""
        with self._database.reading() as connection:
            return views.standing(connection)

    # --- versions of the policies ------------------------------------------------------------------------

    def policy_versions(self) -> list[PolicyVersion]:
        """All versions, the oldest first, without their files."""
        with self._database.reading() as connection:
            return versions.all_versions(connection)

    def policy_files(self, version: str) -> dict[str, str] | None:
        """The text of each policy file of a version; None when it is not known."""
        with self._database.reading() as connection:
            return versions.files_of(connection, version)

    def propose_policy(
        self,
        version: str,
        files: Mapping[str, str],
        by: str,
        now: datetime,
        *,
        from_at: datetime | None = None,
        note: str = "",
    ) -> None:
        """Put a version forward. Raises ReleaseRefused when it was released already."""
        with self._database.writing() as connection:
            versions.propose(connection, version, files, by, now, from_at=from_at, note=note)

    def approve_policy(self, version: str, by: str, now: datetime) -> PolicyVersion:
        """A second person agrees. Raises ReleaseRefused when he is the proposer, or nothing waits for it."""
        with self._database.writing() as connection:
            return versions.approve(connection, version, by, now)

    def activate_policy(
        self, version: str, by: str, now: datetime, *, from_at: datetime | None = None, note: str = ""
    ) -> PolicyVersion:
        """Put a version in force from a moment on (now if none is given). Raises ReleaseRefused."""
        with self._database.writing() as connection:
            return versions.activate(connection, version, by, now, from_at=from_at, note=note)

    def release_policy(self, version: str, files: Mapping[str, str], by: str, now: datetime, note: str = "") -> None:
        """Put a version in force now that nobody need approve; known or not, in one transaction."""
        with self._database.writing() as connection:
            versions.release(connection, version, files, by, now, note)

    def policy_took_over(self, version: str, now: datetime) -> None:
        """Note that an approved version's moment has come; once, whichever node sees it first."""
        with self._database.writing() as connection:
            versions.take_over(connection, version, now)

    def retire_policy(self, version: str, by: str, now: datetime, note: str = "") -> bool:
        """Withdraw a version; False if it was already. Raises ReleaseRefused when none would be in force."""
        with self._database.writing() as connection:
            return versions.retire(connection, version, by, now, note)

    def cases_by_version(self) -> Mapping[str | None, int]:
        """How many running cases are bound to each version; None: to none yet."""
        with self._database.reading() as connection:
            return versions.cases_by_version(connection)

    def running_cases(
        self,
        *,
        after: str = "",
        limit: int = 500,
        bound_to: str | None = None,
        other_than: str | None = None,
        policy: str | None = None,
    ) -> list[str]:
        """Keys of running cases, in order after `after`: of one version, of any but one, with a limit of a policy."""
        with self._database.reading() as connection:
            return versions.running_cases(
                connection, after, limit, bound_to=bound_to, other_than=other_than, policy=policy
            )

    def bind(self, keys: Collection[str], version: str, by: str, now: datetime, why: str = "") -> int:
        """Let these cases run by that version: a ledger event each, and a recount; returns how many moved."""
        with self._database.writing() as connection:
            return versions.bind(connection, keys, version, by, now, why)

    def bind_unbound(self, version: str) -> int:
        """Cases taken over before versions were kept run by that one; returns how many."""
        with self._database.writing() as connection:
            return versions.bind_unbound(connection, version)

    def recount_wanted(self) -> tuple[str, list[str]] | None:
        """The name of a wish and the cases to be counted again; `forget` the name when it is done."""
        with self._database.reading() as connection:
            return versions.recount_wanted(connection)

    def forget(self, name: str) -> None:
        """Remove a bookmark."""
        with self._database.writing() as connection:
            versions.forget(connection, name)

    def beat(self, job: str, node: str, now: datetime, error: str = "") -> None:
        """Record a run of a periodic job: good, or with what error."""
        with self._database.writing() as connection:
            views.beat(connection, job, node, now, error)

    def beats(self) -> list[JobBeat]:
        """The last run of every job on every node."""
        with self._database.reading() as connection:
            return views.all_beats(connection)

    def people_summary(self, keys: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """`role channel` -> state -> how many deliveries; `keys` limits it to those cases (empty: all)."""
        with self._database.reading() as connection:
            return views.people_summary(connection, list(keys))
