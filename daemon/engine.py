"""The decision side: read what changed, count, and decide what is due. Blocking; called from a thread.

    sync:  rows changed -> Case -> Obligation -> store
    tick:  claim what is due -> re-read those cases -> evaluate -> one transaction per batch
    gate:  just before a delivery goes out, look once more whether it is still true

The rules are in `policies`; here they only meet the databases.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daemon import telemetry
from daemon.errors import DaemonError, SourceUnavailable
from daemon.source import BadRow
from daemon.store.codec import encode_case
from daemon.store.values import CaseChange, Decision, DeliveryState, Event, ObligationChange, SetAside, StoredCase
from policies.evaluate import after_failure, after_transfer, evaluate
from policies.model import Case, Directory, History, ObligationState, Policy, PolicySet, Reason, Why
from policies.obligations import first_handler_of, obligations_of, revise
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from daemon.source import Source
    from daemon.store import Store
    from daemon.store.values import Delivery, StoredObligation
    from policies.calendar import Calendar
    from policies.model import FirstHandler, Ladder, Limit, Notice, Obligation, Plan

log = telemetry.logger(__name__)

POSTPONE = timedelta(minutes=10)  # a row that throws is looked at again this much later
TRUSTED_FOR = timedelta(minutes=2)  # facts re-read this recently are not read again before sending
PAUSED_EVERY = timedelta(hours=1)  # how often cases with a standing clock are read again
PAGE = 1000
MANY = 10_000  # more deliveries than any case has
GONE = ""  # the fingerprint of a case that left the source: if it comes back, it is taken over whatever it says


@dataclass(frozen=True, slots=True)
class Rules:
    """What the administrator wrote, as one value that is swapped whole."""

    policies: PolicySet
    calendars: Mapping[str, Calendar]
    kinds: Mapping[str, str]  # channel name -> kind of address
    default_calendar: str = "china"

    def limit(self, policy_id: str, limit_id: str) -> tuple[Policy, Limit, Ladder] | None:
        """The policy, limit and ladder of an obligation, or None when they are no longer written anywhere."""
        policy = self.policies.policies.get(policy_id)
        if policy is None:
            return None
        limit = next((one for one in policy.limits if one.id == limit_id and one.enabled), None)
        if limit is None or limit.ladder not in policy.ladders:
            return None
        return policy, limit, policy.ladders[limit.ladder]

    def calendar(self, policy: Policy, limit: Limit) -> Calendar:
        """The calendar a limit is counted by: its own, the policy's, or the office's."""
        return self.calendars[limit.calendar or policy.calendar or self.default_calendar]

    def mark(self, now: datetime) -> str:
        """A hash of all a count depends on beside the case: with another one, everything is counted again."""
        days = [_mark_of(self.calendars[name], now) for name in sorted(self.calendars)]
        said = "\n".join((self.policies.version, self.default_calendar, *days))
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a second look at some cases showed, by case key."""

    moved: frozenset[str] = frozenset()  # other facts than we knew, or gone: taken over, to be looked at again
    uncountable: Mapping[str, str] = field(default_factory=dict[str, str])  # other facts, which cannot be counted: why
    read: Mapping[str, Case] = field(default_factory=dict[str, Case])  # the facts as they are now, by fingerprint
    away: bool = False  # nobody answered: the last known facts hold


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync found."""

    read: int
    changed: int
    gone: int
    set_aside: int


class Engine:
    """Decides, for one worker. Holds no state but the rules in force and the last directory read."""

    def __init__(self, store: Store, source: Source, rules: Rules, epoch: int) -> None:
        self.store = store
        self.source = source
        self.rules = rules
        self.epoch = epoch
        self.source_away_since: datetime | None = None
        remembered = store.directory()
        self.directory: Directory = remembered[0] if remembered else Directory()
        self._applied: str | None = None  # the mark of the rules this worker has counted everything by
        self.overtaken = False  # another node has put other rules in force since: this one decides nothing
        self._paused_seen_at: datetime | None = None
        self._broke_off = False  # a tick ended in the middle: what it had claimed is still held
        self._just_taken: frozenset[str] = frozenset()  # cases whose facts the last tick took over

    # --- sync ------------------------------------------------------------------------------------------

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
                self.source_away_since = None
                yield step
        except SourceUnavailable:
            self.source_away_since = self.source_away_since or now
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
            taken, uncountable = self._take(page.cases, now, recount=rules_changed)
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
            self._refresh({stored.obligation.case_key for stored in page}, now)
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

    def _take_directory(self, now: datetime) -> None:
        directory, bad = self.source.read_directory()
        if _has_people(self.directory) and not _has_people(directory):
            zh, en = (
                "共享数据库里一个人员也没有了，暂不采用。",
                "the shared database suddenly shows no people; left alone",
            )
            raise SourceUnavailable(Text(zh, en))
        if directory != self.directory:
            self.store.save_directory(directory, now)
            self.directory = directory
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

    def _take(self, cases: Sequence[Case], now: datetime, *, recount: bool = False) -> tuple[int, list[BadRow]]:
        """Count the obligations of the cases whose facts changed.

        Returns how many cases that were, and those that cannot be counted: set aside, they do not stop the others.
        """
        if not cases:
            return 0, []
        by_key = {case.key: case for case in cases}
        known = self.store.cases(by_key)
        prints = {key: fingerprint(case, now) for key, case in by_key.items()}
        changed = [key for key in by_key if recount or key not in known or known[key].fingerprint != prints[key]]
        if not changed:
            return 0, []
        obligations = self.store.obligations_of(changed)
        changes: list[CaseChange] = []
        bad: list[BadRow] = []
        for key in changed:
            try:
                changes.append(self._change(by_key[key], prints[key], known.get(key), obligations.get(key, []), now))
            except Exception as error:  # noqa: BLE001 - one poisonous case must not stop the others; it is listed
                bad.append(BadRow("cases", key, f"无法计算期限：{type(error).__name__}: {error}"))
                log.warning(telemetry.SET_ASIDE, case=key, problem=f"{type(error).__name__}: {error}")
        refused = self._save(changes, now)
        for key in changed:
            if by_key[key].restricted and key in known and not known[key].case.restricted:
                self._silence(key, now)
        return len(changes) - len(refused), [*bad, *refused]

    def _silence(self, key: str, now: datetime) -> None:
        """A case that has become restricted: nothing decided before goes out."""
        waiting = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.RETRYING, DeliveryState.IN_DOUBT)
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
            log.warning(telemetry.SET_ASIDE, case=key, problem=_named(error))
            return [BadRow("cases", key, f"自有数据库不接受：{_named(error)}")]
        return []

    def _change(
        self, case: Case, print_: str, known: StoredCase | None, old: Sequence[StoredObligation], now: datetime
    ) -> CaseChange:
        counted = obligations_of(self.rules.policies, case, self.rules.calendars, now, self.rules.default_calendar)
        first = first_handler_of(self.rules.policies, case, self.rules.calendars, self.rules.default_calendar)
        before = {(o.obligation.policy, o.obligation.limit, o.obligation.instance): o for o in old}
        changes: list[ObligationChange] = []
        events: list[Event] = []
        if known is None:
            events.append(Event(case.key, "seen", now, {"unit": case.unit, "handler": case.handler}))
        for new in counted.obligations:
            stored = before.pop((new.policy, new.limit, new.instance), None)
            change, more = self._revised(new, case, first, stored, now)
            changes.append(change)
            events.extend(more)
        for stored in before.values():
            if stored.obligation.state in {ObligationState.OPEN, ObligationState.PAUSED}:
                changes.append(_withdrawn(stored))
                events.append(Event(case.key, "withdrawn", now, _about(stored.obligation)))
        told = self._findings_told(known, now)
        events.extend(Event(case.key, "finding", now, _reason(r)) for r in counted.findings if _gist(r) not in told)
        stored_case = StoredCase(case, print_, now, first_handler=first)
        return CaseChange(stored_case, tuple(changes), tuple(events))

    def _findings_told(self, known: StoredCase | None, now: datetime) -> set[tuple[Why, str, Text]]:
        """What the facts known before had shown already: said once, not with every change of the case."""
        if known is None:
            return set()
        rules = self.rules
        before = obligations_of(rules.policies, known.case, rules.calendars, now, rules.default_calendar)
        return {_gist(reason) for reason in before.findings}

    def _revised(
        self, new: Obligation, case: Case, first: FirstHandler | None, stored: StoredObligation | None, now: datetime
    ) -> tuple[ObligationChange, list[Event]]:
        policy, limit, ladder = self._rule_of(new)
        calendar = self.rules.calendar(policy, limit)
        old = stored.obligation if stored else None
        history = stored.history if stored else History()
        obligation, history, reasons = revise(old, history, new, ladder, calendar, now)
        idle = None
        if obligation.state is not ObligationState.OPEN:
            # No step is due any more, but a limit met too late between two looks is a breach all the same.
            idle = obligation.state.value
            last = evaluate(policy, obligation, case, history, self.directory, first, calendar, now, self.rules.kinds)
            history = last.history
            reasons = (*reasons, *(reason for reason in last.reasons if reason.why is Why.BREACH))
        change = ObligationChange(
            obligation,
            history,
            None if idle else now,
            idle,
            stored.id if stored else None,
            stored.revision if stored else None,
        )
        return change, _told(old, obligation, reasons, now)

    def _rule_of(self, obligation: Obligation) -> tuple[Policy, Limit, Ladder]:
        rule = self.rules.limit(obligation.policy, obligation.limit)
        if rule is None:
            raise LookupError(f"{obligation.policy}/{obligation.limit}")
        return rule

    def _notice_deletions(self, now: datetime) -> int:
        """After a whole reading: cases we know and the source no longer shows are gone."""
        after, known = "", list[str]()
        while page := self.store.fingerprints(after, PAGE):
            known.extend(key for key, _ in page)
            after = page[-1][0]
        # Ours first: a case another node takes over in between is then missing here, not taken for deleted there.
        there = set(self.source.all_keys())
        gone = [key for key in known if key not in there]
        if known and not there:
            raise SourceUnavailable(
                Text(
                    "共享数据库里一个案件也没有了，暂不处理。", "the shared database suddenly shows no case; left alone"
                )
            )
        for keys in _chunks(gone, PAGE):
            self._withdraw_cases(keys, now)
        return len(gone)

    def _withdraw_cases(self, keys: Sequence[str], now: datetime) -> None:
        known = self.store.cases(keys)
        obligations = self.store.obligations_of(keys)
        changes = [
            CaseChange(
                dataclasses.replace(stored, fingerprint=GONE),
                tuple(
                    _withdrawn(o)
                    for o in obligations.get(key, ())
                    if o.obligation.state in {ObligationState.OPEN, ObligationState.PAUSED}
                ),
                (Event(key, "gone", now, {"note": "no longer in the shared database"}),),
                gone=True,
            )
            for key, stored in known.items()
        ]
        self.store.save_cases(changes, now)

    # --- tick ------------------------------------------------------------------------------------------

    def tick(self, now: datetime, limit: int = 500) -> int:
        """Evaluate one batch of what is due; returns how many obligations were looked at.

        What an error leaves claimed is given back by the next call. Nothing is decided by rules another node replaced.
        """
        if self.overtaken:
            return 0
        if self._broke_off:
            self.store.give_back(self.epoch)
            self._broke_off = False
        try:
            return self._tick(now, limit)
        except BaseException:
            self._broke_off, self._just_taken = True, frozenset()
            raise

    def _tick(self, now: datetime, limit: int) -> int:
        claimed = self.store.claim_due(self.epoch, now, limit)
        if not claimed:
            self._just_taken = frozenset()
            return 0
        keys = {stored.obligation.case_key for stored in claimed}
        looked = self._refresh(keys, now, self._just_taken)
        self._just_taken = looked.moved
        known = self.store.cases(keys - looked.moved, looked.read)
        decisions = [self._looked_at(stored, known, looked, now) for stored in claimed]
        self._save_decisions(list(zip(claimed, decisions, strict=True)), now)
        return len(claimed)

    def _save_decisions(self, made: Sequence[tuple[StoredObligation, Decision]], now: datetime) -> None:
        """Write all at once; if the store refuses the batch, one by one, and what it will not take is postponed."""
        version = self.rules.policies.version
        try:
            self.store.save_decisions(self.epoch, [decision for _, decision in made], version, now)
        except DaemonError:
            raise
        except Exception as error:
            if len(made) > 1:
                for one in made:
                    self._save_decisions([one], now)
                return
            stored, decision = made[0]
            if not (decision.notices or decision.events):
                raise
            self._save_decisions([(stored, _held_over(stored, _named(error), now))], now)

    def _looked_at(
        self, stored: StoredObligation, known: Mapping[str, StoredCase], looked: _Looked, now: datetime
    ) -> Decision:
        key = stored.obligation.case_key
        if key in looked.moved:
            return _untouched(stored)
        if key in looked.uncountable:
            return _postponed(stored, looked.uncountable[key], now)
        return self._decide(stored, known.get(key), now, away=looked.away)

    def _refresh(self, asked: set[str], now: datetime, just_taken: frozenset[str] = frozenset()) -> _Looked:
        """Re-read these cases and take over those whose facts changed.

        Cases just taken over are not taken again: facts that change with every reading would never come to a decision.
        """
        known = self.store.fingerprints_of(asked)
        try:
            fresh, bad = self._reread(asked)
        except SourceUnavailable as error:
            if self.source_away_since is None:
                log.warning(telemetry.SOURCE_AWAY, problem=error.message.zh)
            self.source_away_since = self.source_away_since or now
            return _Looked(away=True)
        self.source_away_since = None
        unusable = {row.case for row in bad}
        gone = [key for key in asked if key not in fresh and key not in unusable]
        if gone:
            self._withdraw_cases(gone, now)
        prints = {fingerprint(case, now): case for case in fresh.values()}
        changed = [
            case for print_, case in prints.items() if known.get(case.key) != print_ and case.key not in just_taken
        ]
        _, uncountable = self._take(changed, now)
        if uncountable:
            self._set_aside("cases", uncountable, set(), now, whole=False)
        why = {row.row: row.reason for row in uncountable}
        return _Looked(frozenset(gone).union(case.key for case in changed if case.key not in why), why, prints)

    def _reread(self, asked: set[str]) -> tuple[dict[str, Case], tuple[BadRow, ...]]:
        fresh, bad = self.source.reread(asked)
        if not fresh and not bad and next(self.source.all_keys(), None) is None:
            raise SourceUnavailable(Text("共享数据库突然为空", "the shared database is suddenly empty"))
        return fresh, bad

    def _decide(self, stored: StoredObligation, case: StoredCase | None, now: datetime, *, away: bool) -> Decision:
        rule = self.rules.limit(stored.obligation.policy, stored.obligation.limit)
        if case is None or rule is None:
            event = Event(stored.obligation.case_key, "withdrawn", now, _about(stored.obligation))
            return Decision(_withdrawn(stored), events=(event,), cancel="withdrawn")
        policy, limit, _ = rule
        try:
            plan = evaluate(
                policy,
                stored.obligation,
                case.case,
                stored.history,
                self.directory,
                case.first_handler,
                self.rules.calendar(policy, limit),
                now,
                self.rules.kinds,
            )
        except Exception as error:  # noqa: BLE001 - one poisonous row must not stop the others; it is shown and retried
            return _postponed(stored, f"{type(error).__name__}: {error}", now)
        return _decision(stored, plan, now, as_of=case.read_at if away else None)

    # --- gate ------------------------------------------------------------------------------------------

    def gate(self, deliveries: Sequence[Delivery], now: datetime) -> dict[str, str]:
        """Which of these deliveries are no longer true, by notice key, and why.

        What was decided within the last two minutes was decided on facts read then, and any change that came since
        has cancelled it in the store; everything older is held against the shared database once more. While that is
        away the last known facts decide.
        """
        old = [d for d in deliveries if d.notice.case_key and now - d.created_at > TRUSTED_FOR]
        keys = {d.notice.case_key for d in old}
        if not keys:
            return {}
        self._refresh(keys, now)
        obligations = self.store.obligations_of(keys)
        cases = self.store.cases(keys)
        refused: dict[str, str] = {}
        for one in old:
            known = obligations.get(one.notice.case_key, ())
            why = _no_longer_true(one.notice, known, now) or self._passed_on(one, cases, known, now)
            if why:
                refused[one.notice.key] = why
        return refused

    def _passed_on(
        self, one: Delivery, cases: Mapping[str, StoredCase], known: Sequence[StoredObligation], now: datetime
    ) -> str | None:
        """Why a notice must not reach this person any more; whoever is in that role by now is told instead."""
        notice, stored = one.notice, cases.get(one.notice.case_key)
        rule = self.rules.limit(notice.policy, notice.limit)
        mine = next((o for o in known if _is_of(notice, o)), None)
        if stored is None or rule is None or mine is None:
            return None
        if stored.case.restricted:
            return Why.RESTRICTED.value
        policy, limit, _ = rule
        first, calendar = stored.first_handler, self.rules.calendar(policy, limit)
        plan = after_transfer(
            policy, mine.obligation, stored.case, notice, self.directory, first, calendar, now, self.rules.kinds
        )
        if plan is None:
            return None
        event = Event(notice.case_key, "passed_on", now, _plan_body(mine.obligation, plan))
        self.store.add_notices(mine.id, plan.notices, [event], self.rules.policies.version, now)
        return "transferred"

    # --- failure ---------------------------------------------------------------------------------------

    def fall_upward(self, failed: Delivery, now: datetime) -> int:
        """A notice that cannot be delivered goes to the next person up; returns how many notices that made.

        As long as another channel has reached that person or still may, nobody else is told. Idempotent by the notice
        key: it is called before the failure is recorded, so that a crash between the two loses nothing.
        """
        notice = failed.notice
        if any(_same_message(other, failed) for other in self.store.deliveries(case_key=notice.case_key, limit=MANY)):
            event = Event(notice.case_key, "other_channel", now, {"notice": notice.key, "limit": notice.limit})
            self.store.append([event])
            return 0
        rule = self.rules.limit(notice.policy, notice.limit)
        stored = self.store.cases([notice.case_key]).get(notice.case_key)
        mine = [o for o in self.store.obligations_of([notice.case_key]).get(notice.case_key, []) if _is_of(notice, o)]
        if rule is None or stored is None or not mine:
            return 0
        policy, limit, _ = rule
        plan = after_failure(
            policy,
            mine[0].obligation,
            stored.case,
            notice,
            self.directory,
            stored.first_handler,
            self.rules.calendar(policy, limit),
            now,
            self.rules.kinds,
        )
        event = Event(notice.case_key, "fell_upward", now, _plan_body(mine[0].obligation, plan))
        return self.store.add_notices(mine[0].id, plan.notices, [event], self.rules.policies.version, now)


# --- small pure pieces ------------------------------------------------------------------------------------


def fingerprint(case: Case, now: datetime) -> str:
    """A hash of all the facts a count may use, and of which of them lie ahead: those come true by time alone."""
    ahead = sorted(name for name, at in case.milestones.items() if at > now)
    ahead += sorted(f"pause {pause.seq}" for pause in case.pauses if pause.from_at > now)
    return hashlib.sha256("\n".join((encode_case(case), *ahead)).encode()).hexdigest()


def _same_message(other: Delivery, failed: Delivery) -> bool:
    """Whether this is the same message to the same person over another channel, and it arrived or still may.

    One that is being sent at this moment does not count: it may fail too, and then each would rely on the other.
    """
    mine, his = failed.notice, other.notice
    return (
        other.state not in {DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.SENDING}
        and his.channel != mine.channel
        and (his.policy, his.limit, his.instance, his.deadline_version, his.step, his.repeat, his.person)
        == (mine.policy, mine.limit, mine.instance, mine.deadline_version, mine.step, mine.repeat, mine.person)
    )


def _has_people(directory: Directory) -> bool:
    """Whether there is anybody but the administrators, who come from the configuration."""
    return len(directory.officials) > len(directory.administrators)


def _named(error: Exception) -> str:
    """What an error is and says, without the values a database adds to it."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else ''}"


def _mark_of(calendar: Calendar, now: datetime) -> str:
    """All of a calendar that can change a count; the lists of public holidays for the years that are counted now."""
    dated = (calendar.days_off, calendar.yearly_off, calendar.notice_on, calendar.notice_off)
    lists = [sorted(one(year)) for one in calendar.lists for year in range(now.year - 1, now.year + 3)]
    return repr(
        (
            calendar.name,
            calendar.zone.key,
            sorted(calendar.weekly.items()),
            sorted(calendar.days_on.items()),
            *(sorted(days) for days in dated),
            lists,
            calendar.baseline is None,
            calendar.known_from,
            calendar.known_until,
        )
    )


def _no_longer_true(notice: Notice, obligations: Sequence[StoredObligation], now: datetime) -> str | None:
    mine = next((o.obligation for o in obligations if _is_of(notice, o)), None)
    if mine is None:
        return "withdrawn"
    if mine.state is not ObligationState.OPEN:
        return mine.state.value
    if mine.deadline_version != notice.deadline_version:
        return "deadline_moved"
    if notice.expires_at is not None and now >= notice.expires_at:
        return "next_step_took_over"
    return None


def _is_of(notice: Notice, stored: StoredObligation) -> bool:
    one = stored.obligation
    return (one.policy, one.limit, one.instance) == (notice.policy, notice.limit, notice.instance)


def _decision(stored: StoredObligation, plan: Plan, now: datetime, *, as_of: datetime | None) -> Decision:
    notices = plan.notices
    if as_of is not None:
        stamp = as_of.astimezone(UTC).isoformat()
        notices = tuple(dataclasses.replace(n, facts={**n.facts, "as_of": stamp}) for n in notices)
    idle = None if plan.next_check_at else _idle_reason(plan)
    change = ObligationChange(stored.obligation, plan.history, plan.next_check_at, idle, stored.id, stored.revision)
    events = (
        (Event(stored.obligation.case_key, "decided", now, _plan_body(stored.obligation, plan)),)
        if _worth_telling(plan)
        else ()
    )
    return Decision(change, notices, events)


def _idle_reason(plan: Plan) -> str:
    told = next((r.why.value for r in reversed(plan.reasons) if r.why in _IDLE), None)
    return told or Why.END_OF_LADDER.value


_IDLE = {Why.END_OF_LADDER, Why.DONE, Why.PAUSED, Why.WITHDRAWN}
_SILENT = {Why.NOT_YET, Why.END_OF_LADDER}


def _worth_telling(plan: Plan) -> bool:
    return bool(plan.notices) or any(reason.why not in _SILENT for reason in plan.reasons)


def _plan_body(obligation: Obligation, plan: Plan) -> dict[str, object]:
    return {
        "policy": obligation.policy,
        "limit": obligation.limit,
        "light": plan.light.value,
        "next_check_at": plan.next_check_at.isoformat() if plan.next_check_at else None,
        "notices": [{"key": n.key, "step": n.step, "role": n.role, "person": n.person, "channel": n.channel,
                     "why": n.why.value, "at": n.at.isoformat()} for n in plan.notices],
        "reasons": [_reason(r) for r in plan.reasons if r.why is not Why.NOT_YET],
    }  # fmt: skip


def _reason(reason: Reason) -> dict[str, object]:
    return {
        "why": reason.why.value,
        "step": reason.step,
        "zh": reason.text.zh,
        "en": reason.text.en,
        "at": reason.at.isoformat() if reason.at else None,
    }


def _gist(reason: Reason) -> tuple[Why, str, Text]:
    return reason.why, reason.step, reason.text


def _about(obligation: Obligation) -> dict[str, object]:
    return {
        "policy": obligation.policy,
        "limit": obligation.limit,
        "state": obligation.state.value,
        "version": obligation.deadline_version,
        "start_at": obligation.start_at.isoformat(),
        "nominal_due_at": obligation.nominal_due_at.isoformat(),
        "legal_due_at": obligation.legal_due_at.isoformat(),
        "platform_due_at": obligation.platform_due_at.isoformat() if obligation.platform_due_at else None,
        "provisional": obligation.provisional,
        "extended": obligation.extended,
        "done_at": obligation.done_at.isoformat() if obligation.done_at else None,
    }


def _told(old: Obligation | None, new: Obligation, reasons: Sequence[Reason], now: datetime) -> list[Event]:
    """The ledger's line about an obligation that is new, moved or ended; none when nothing happened to it."""
    body = {**_about(new), "reasons": [_reason(reason) for reason in reasons]}
    if old is None:
        return [Event(new.case_key, "counted", now, body)]
    if old.state is new.state and not reasons:
        return []
    kind = "moved" if new.state is ObligationState.OPEN else new.state.value
    return [Event(new.case_key, kind, now, {**body, "was": old.state.value})]


def _same(stored: StoredObligation) -> ObligationChange:
    return ObligationChange(
        stored.obligation, stored.history, stored.next_check_at, stored.idle_reason, stored.id, stored.revision
    )


def _postponed(stored: StoredObligation, problem: str, now: datetime) -> Decision:
    log.error(telemetry.POSTPONED, case=stored.obligation.case_key, limit=stored.obligation.limit, problem=problem)
    change = dataclasses.replace(_same(stored), next_check_at=now + POSTPONE)
    body = {"limit": stored.obligation.limit, "problem": problem, "until": (now + POSTPONE).isoformat()}
    return Decision(change, events=(Event(stored.obligation.case_key, "postponed", now, body),))


def _held_over(stored: StoredObligation, problem: str, now: datetime) -> Decision:
    """Postponed without a line in the ledger: the store would not take one."""
    return dataclasses.replace(_postponed(stored, problem, now), events=())


def _untouched(stored: StoredObligation) -> Decision:
    """Gives a claim back: its facts moved on since it was claimed, and it will be looked at again."""
    return Decision(_same(stored))


def _withdrawn(stored: StoredObligation) -> ObligationChange:
    gone = dataclasses.replace(stored.obligation, state=ObligationState.WITHDRAWN)
    return ObligationChange(gone, stored.history, None, ObligationState.WITHDRAWN.value, stored.id, stored.revision)


def _chunks(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    iterator = iter(items)
    return iter(lambda: list(itertools.islice(iterator, size)), [])
