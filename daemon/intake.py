"""The way in: read what changed in the shared database, count it, keep it. Blocking; called from a thread.

    sync:     rows changed -> Case -> Obligation -> store, page by page
    refresh:  a second look at some cases, just before something is decided or sent about them

Nothing is decided here; who is told what is the engine's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from daemon import telemetry
from daemon.counted import NOTICED, Before, Counting
from daemon.entries import withdrawn
from daemon.errors import DaemonError, SourceUnavailable
from daemon.source import BadRow
from daemon.store.codec import encode_case
from daemon.store.values import FINAL, CaseChange, DeliveryState, Event, SetAside, StoredCase
from policies.beforehand.course import ahead_of
from policies.model import RUNNING, Case, Directory, Why
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from daemon.rules import Rules
    from daemon.source import Source
    from daemon.store import Store

log = telemetry.logger(__name__)

PAUSED_EVERY = timedelta(hours=1)  # how often cases with a standing clock are read again
PAGE = 1000
SUSPICIOUS = (
    20  # more cases gone at once, and more than half of all, are believed only if the next whole reading agrees
)
PROBE = 100  # so many cases from all over the table are looked for before one is believed to be gone
GONE = ""  # the fingerprint of a case that left the source: if it comes back, it is taken over whatever it says


@dataclass(frozen=True, slots=True)
class Looked:
    """What a second look at some cases showed, by case key."""

    moved: frozenset[str] = frozenset()  # other facts than we knew, or gone: taken over, to be looked at again
    uncountable: Mapping[str, str] = field(default_factory=dict[str, str])  # other facts, which cannot be counted: why
    read: Mapping[str, Case] = field(default_factory=dict[str, Case])  # the facts as they are now, by fingerprint
    away: bool = False  # nobody answered: the last known facts hold
    doubted: frozenset[str] = frozenset()  # gone with most others: not believed yet, their last known facts hold


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync found."""

    read: int
    changed: int
    gone: int
    set_aside: int


class Intake:
    """What one worker knows of the shared database, and how it takes over the rest."""

    def __init__(self, store: Store, source: Source, rules: Rules) -> None:
        self.store = store
        self.source = source
        self.rules = rules
        self.away_since: datetime | None = None
        remembered = store.directory()
        self.directory: Directory = remembered[0] if remembered else Directory()
        self._read: Directory = dataclasses.replace(self.directory, stopped={})  # as the source says
        self._directory_since: datetime | None = remembered[1] if remembered else None
        self._is_anothers = False  # the directory is as another node has read it since our own last reading
        self.overtaken = False  # another node has put other rules in force since: this one decides nothing
        self._applied: str | None = None  # the mark of the rules this worker has counted everything by
        self._paused_seen_at: datetime | None = None
        self._missing: frozenset[str] = frozenset()  # most cases, gone at the last whole reading: not believed yet
        self._most_gone = False  # seen before sending, not believed before the next whole reading

    def sync(self, now: datetime, *, full: bool = False) -> SyncReport:
        """Take over what changed in the shared database; everything when `full` or when the rules changed.

        Raises:
            SourceUnavailable: enforcement goes on with what is known.
        """
        steps = self.sync_in_steps(now, full=full)
        while (report := next(steps)) is None:
            pass
        return report

    def sync_in_steps(self, now: datetime, *, full: bool = False) -> Iterator[SyncReport | None]:
        """The same page by page, so that other work may come between: None after each page, the report at the end."""
        try:
            for step in self._sync(now, full=full):
                self.away_since = None
                yield step
        except SourceUnavailable:
            self.away_since = self.away_since or now
            raise

    def _sync(self, now: datetime, *, full: bool) -> Iterator[SyncReport | None]:
        self._take_directory(now)
        mark = self.rules.mark(now)
        if self._is_overtaken(mark):
            yield SyncReport(0, 0, 0, 0)
            return
        rules_changed = self.store.bookmark("rules") != mark
        if rules_changed:
            self.store.set_bookmark("rules_begun", mark)
        watermark = None if full or rules_changed else self.store.bookmark("cases")
        whole = watermark is None
        read = changed = 0
        bad: list[BadRow] = []
        fine: set[str] = set()
        for page in self.source.changed_since(watermark, PAGE):
            everything = {case.key for case in page.cases} if rules_changed else ()
            taken, uncountable = self._take(page.cases, now, recount=everything)
            changed += taken
            read += len(page.cases)
            bad.extend((*page.bad, *uncountable))
            if not whole:
                fine.update(case.key for case in page.cases)
                fine.difference_update(row.row for row in uncountable)
            if page.watermark is not None:
                self.store.set_bookmark("cases", page.watermark)
            yield None
        self._set_aside("cases", bad, fine, now, whole=whole)
        gone = self._notice_deletions(now) if whole else 0
        yield from self._look_at_paused(now)
        if rules_changed:
            self.store.set_bookmark("rules", mark)
        self._applied = mark
        yield SyncReport(read, changed, gone, len(bad))

    def _look_at_paused(self, now: datetime) -> Iterator[None]:
        """Re-read the cases whose clock stands still: the end of a pause in a table of its own changes no case row."""
        if self._paused_seen_at is not None and now - self._paused_seen_at < PAUSED_EVERY:
            return
        after = 0
        while page := self.store.obligations(state="paused", limit=PAGE, after_id=after):
            self.refresh({stored.obligation.case_key for stored in page}, now)
            after = page[-1].id
            yield None
        self._paused_seen_at = now

    def _is_overtaken(self, mark: str) -> bool:
        """Whether another node has begun to count by other rules after this one had: the newest configuration counts.

        Two nodes with different rules would move every limit to and fro, and remind again each time.
        """
        begun = self.store.bookmark("rules_begun")
        overtaken = self._applied == mark and begun is not None and begun != mark
        if overtaken and not self.overtaken:
            log.error(telemetry.RULES_DIFFER, in_force=begun, ours=mark)
        self.overtaken = overtaken
        return overtaken

    def take_stops(self) -> None:
        """Take over who stopped which channel (退订), on whatever node he said so."""
        stopped = self.store.stopped()
        if stopped != self.directory.stopped:
            self.directory = dataclasses.replace(self._read, stopped=stopped)

    def take_directory(self) -> None:
        """Take over the directory as another node has read it since.

        Its cases and notices are there to be decided and sent before our own next reading: whoever they are about would
        not be found, and others told instead, or nobody. It holds until that reading, which is compared with our own
        last one: two nodes that are configured differently do not save over each other for ever.
        """
        if self.store.directory_read_at() == self._directory_since:
            return
        saved = self.store.directory()
        if saved is not None and (_has_people(saved[0]) or not _has_people(self.directory)):
            self.directory, self._directory_since = saved
            self._is_anothers = True

    def _take_directory(self, now: datetime) -> None:
        self.take_stops()
        directory, bad = self.source.read_directory()
        if _has_people(self.directory) and not _has_people(directory):
            zh, en = (
                "共享数据库里一个人员也没有了，暂不采用。",
                "the shared database suddenly shows no people; left alone",
            )
            raise SourceUnavailable(Text(zh, en))
        changed = directory != self._read
        if changed:
            self.store.save_directory(directory, now)
            self._read, self._directory_since = directory, now
        if changed or self._is_anothers:
            self.directory = dataclasses.replace(directory, stopped=self.directory.stopped)
            self._is_anothers = False
        self._set_aside("directory", bad, set(), now, whole=True)

    def _set_aside(self, entity: str, bad: Iterable[BadRow], fine: set[str], now: datetime, *, whole: bool) -> None:
        reasons: dict[str, dict[str, None]] = {}
        for row in bad:
            reasons.setdefault(row.row, {})[row.reason] = None
        rows = {row: SetAside(entity, row, "；".join(why), now) for row, why in reasons.items()}
        if not whole:
            if not rows and not fine:
                return
            for old in self.store.rows_set_aside():
                if old.entity == entity and old.row not in fine:
                    rows.setdefault(old.row, old)
        self.store.set_aside(list(rows.values()), entity, now)

    def _take(self, cases: Sequence[Case], now: datetime, *, recount: Collection[str] = ()) -> tuple[int, list[BadRow]]:
        """Count the obligations of the cases whose facts changed, and of those to `recount`.

        Returns how many cases that were, and those that cannot be counted: set aside, they do not stop the others.
        """
        if not cases:
            return 0, []
        by_key = {case.key: case for case in cases}
        known = self.store.cases(by_key)
        prints = {key: fingerprint(case, now) for key, case in by_key.items()}
        changed = [
            key for key in by_key if key in recount or key not in known or _source_print(known[key]) != prints[key]
        ]
        taken, bad = 0, list[BadRow]()
        for keys in _earlier_first(changed, by_key):
            saved, unfit = self._take_changed({key: by_key[key] for key in keys}, prints, known, now)
            taken, bad = taken + saved, [*bad, *unfit]
        return taken, bad

    def _take_changed(
        self, cases: Mapping[str, Case], prints: Mapping[str, str], known: Mapping[str, StoredCase], now: datetime
    ) -> tuple[int, list[BadRow]]:
        obligations = self.store.obligations_of(cases)
        repeated = {case.earlier for case in cases.values() if case.earlier is not None}
        earlier = self.store.first_handlers(repeated) if repeated else {}
        changes: list[CaseChange] = []
        bad: list[BadRow] = []
        counting = Counting(self.rules, self.directory, self.directory_at)
        for key, case in cases.items():
            before = Before(known.get(key), obligations.get(key, []), earlier.get(case.earlier or ""))
            try:
                changes.append(counting.change(case, prints[key], before, now))
            except Exception as error:  # noqa: BLE001 - one poisonous case must not stop the others; it is listed
                bad.append(BadRow("cases", key, f"无法计算期限：{type(error).__name__}: {error}"))
                bound_to = before.known.policy_version if before.known else None
                self.rules.faults.note(self.rules.policies_for(bound_to).version, key)
                log.warning(telemetry.SET_ASIDE, case=key, problem=f"{type(error).__name__}: {error}")
        refused = self._save(changes, now)
        for key, case in cases.items():
            if case.restricted and key in known and not known[key].case.restricted:
                self._silence(key, now)
        return len(changes) - len(refused), [*bad, *refused]

    def _silence(self, key: str, now: datetime) -> None:
        """A case that has become restricted: nothing decided before goes out."""
        waiting = frozenset(DeliveryState) - FINAL
        after = 0
        while page := self.store.deliveries(states=waiting, case_key=key, after_id=after):
            self.store.cancel([one.notice.key for one in page], Why.RESTRICTED.value, now)
            after = page[-1].id

    def _save(self, changes: Sequence[CaseChange], now: datetime) -> list[BadRow]:
        """Write all at once; if the store refuses the page, one by one. Returns those it will not take."""
        try:
            self.store.save_cases(changes, now)
        except DaemonError:
            raise
        except Exception as error:  # noqa: BLE001 - one value the store cannot hold must not stop the others
            if len(changes) > 1:
                return [row for change in changes for row in self._save([change], now)]
            key = changes[0].stored.case.key
            log.warning(telemetry.SET_ASIDE, case=key, problem=named(error))
            return [BadRow("cases", key, f"自有数据库不接受：{named(error)}")]
        return []

    def directory_at(self, at: datetime) -> Directory:
        """Everybody as known at that instant: who answers for what happened then is not asked of today's list."""
        if self._directory_since is not None and self._directory_since <= at:
            return self.directory
        then = self.store.directory(as_of=at)
        return self.directory if then is None else then[0]

    def _notice_deletions(self, now: datetime) -> int:
        """After a whole reading: cases we know and the source no longer shows are gone."""
        known = self._known()
        # Ours first: a case another node takes over in between is then missing here, not taken for deleted there.
        there = set(self.source.all_keys())
        gone = [key for key in known if key not in there]
        if known and not there:
            raise SourceUnavailable(
                Text(
                    "共享数据库里一个案件也没有了，暂不处理。", "the shared database suddenly shows no case; left alone"
                )
            )
        if len(gone) > SUSPICIOUS and 2 * len(gone) > len(known):  # a table that is just being filled anew?
            log.warning(telemetry.SOURCE_AWAY, problem=f"{len(gone)} / {len(known)} 个案件突然不见，下次全量核对再处理")
            self._missing, gone = frozenset(gone), [key for key in gone if key in self._missing]
        else:
            self._missing = frozenset()
        self._most_gone = False
        for keys in _chunks(gone, PAGE):
            self._withdraw_cases(keys, now)
        return len(gone)

    def _known(self) -> list[str]:
        """The keys of all cases not gone."""
        after, known = "", list[str]()
        while page := self.store.fingerprints(after, PAGE):
            known.extend(key for key, _ in page)
            after = page[-1][0]
        return known

    def _withdraw_cases(self, keys: Sequence[str], now: datetime) -> None:
        known = self.store.cases(keys)
        obligations = self.store.obligations_of(keys)
        changes = [
            CaseChange(
                dataclasses.replace(stored, fingerprint=GONE),
                tuple(withdrawn(o) for o in obligations.get(key, ()) if o.obligation.state in RUNNING),
                (Event(key, "gone", now, {"note": "no longer in the shared database"}),),
                gone=True,
            )
            for key, stored in known.items()
        ]
        self.store.save_cases(changes, now)

    # --- a second look -----------------------------------------------------------------------------------

    def refresh(
        self,
        asked: set[str],
        now: datetime,
        just_taken: frozenset[str] = frozenset(),
        recount: Collection[str] = (),
    ) -> Looked:
        """Re-read these cases and take over those whose facts changed; count those to `recount` again in any case.

        Cases just taken over are not taken again: facts that change with every reading would never come to a decision.
        """
        known = {key: print_.removesuffix(NOTICED) for key, print_ in self.store.fingerprints_of(asked).items()}
        try:
            fresh, bad = self._reread(asked)
            unusable = {row.case for row in bad}
            gone = [key for key in asked if key not in fresh and key not in unusable]
            doubted = self._doubted_of(gone)
        except SourceUnavailable as error:
            if self.away_since is None:
                log.warning(telemetry.SOURCE_AWAY, problem=error.message.zh)
            self.away_since = self.away_since or now
            return Looked(away=True)
        self.away_since = None
        gone = [key for key in gone if key not in doubted]
        if gone:
            self._withdraw_cases(gone, now)
        prints = {fingerprint(case, now): case for case in fresh.values()}
        changed = [
            case
            for print_, case in prints.items()
            if (known.get(case.key) != print_ or case.key in recount) and case.key not in just_taken
        ]
        _, uncountable = self._take(changed, now, recount=recount)
        if uncountable:
            self._set_aside("cases", uncountable, set(), now, whole=False)
        why = {row.row: row.reason for row in uncountable}
        moved = frozenset(gone).union(case.key for case in changed if case.key not in why)
        return Looked(moved, why, prints, doubted=doubted)

    def _doubted_of(self, gone: Collection[str]) -> frozenset[str]:
        """Which of those gone are not believed to be before the next whole reading. Raises SourceUnavailable.

        Before one is believed, some from all over the table are looked for: one lot may lie in the half that is there.
        """
        if gone and not self._most_gone:
            known = self._known()
            probe = set(known[:: max(len(known) // PROBE, 1)])
            there, bad = self.source.reread(probe)
            lost = probe.difference(there, (row.case for row in bad))
            self._most_gone = len(lost) > SUSPICIOUS and 2 * len(lost) > len(probe)
            if self._most_gone:
                problem = f"抽查 {len(probe)} 个案件，{len(lost)} 个突然不见，下次全量核对再处理"
                log.warning(telemetry.SOURCE_AWAY, problem=problem)
        return frozenset(gone) if self._most_gone else self._missing.intersection(gone)

    def _reread(self, asked: set[str]) -> tuple[dict[str, Case], tuple[BadRow, ...]]:
        fresh, bad = self.source.reread(asked)
        if not fresh and not bad and next(self.source.all_keys(), None) is None:
            raise SourceUnavailable(Text("共享数据库突然为空", "the shared database is suddenly empty"))
        return fresh, bad


def fingerprint(case: Case, now: datetime) -> str:
    """A hash of all the facts a count may use, and of which of them lie ahead: those come true by time alone."""
    return hashlib.sha256("\n".join((encode_case(case), *sorted(ahead_of(case, now)))).encode()).hexdigest()


def _source_print(known: StoredCase) -> str:
    """The fingerprint of what the source said, whatever we noticed beside it."""
    return known.fingerprint.removesuffix(NOTICED)


def _earlier_first(keys: Sequence[str], cases: Mapping[str, Case]) -> Iterator[list[str]]:
    """The keys in rounds, so that a case comes after the one it repeats and can inherit that one's first handler."""
    waiting: list[str] = list(keys)
    while waiting:
        left = frozenset(waiting)
        ready: list[str] = [key for key in waiting if cases[key].earlier == key or cases[key].earlier not in left]
        if not ready:  # cases that repeat each other wait for nobody
            yield waiting
            return
        yield ready
        waiting = sorted(left.difference(ready))


def named(error: Exception) -> str:
    """What an error is and says, without the values a database adds to it."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else ''}"


def _has_people(directory: Directory) -> bool:
    """Whether there is anybody but the administrators, who come from the configuration."""
    return len(directory.officials) > len(directory.administrators)


def _chunks(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    iterator = iter(items)
    return iter(lambda: list(itertools.islice(iterator, size)), [])
