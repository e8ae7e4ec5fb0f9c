"""The decision side: decide what is due, and whether it is still true. Blocking; called from a thread.

    tick:  claim what is due -> re-read those cases -> evaluate -> one transaction per batch
    gate:  just before a delivery goes out, look once more whether it is still true

The rules are in `policies`; here they only meet the databases.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from daemon import telemetry
from daemon.entries import about, breaches_of, decided, held_over, plan_body, postponed, untouched, withdrawn
from daemon.errors import DaemonError
from daemon.intake import Intake, named
from daemon.letters import is_urgent, may_merge
from daemon.offers import ANSWERS_TO_STOP
from daemon.privacy import holds, read_words, telling
from daemon.store.lanes import DRILL
from daemon.store.values import Decision, DeliveryState, Event
from policies.beforehand.course import may_hear, no_longer_true
from policies.conditions import asks_receptions
from policies.evaluate import after_failure, after_transfer, evaluate
from policies.ladders.quiet import hold_until, is_hour_class
from policies.ladders.recipients import RESTRICTED
from policies.ladders.rungs import UNACKNOWLEDGED, UNACTED, step_of
from policies.model import InDoubt, Why
from policies.people.seats import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.intake import Looked
    from daemon.rules import Rules
    from daemon.source import Source
    from daemon.store import Store
    from daemon.store.values import Delivery, StoredCase, StoredObligation
    from policies.model import Directory, Ladder, Limit, Notice, Policy

log = telemetry.logger(__name__)

TRUSTED_FOR = timedelta(minutes=2)  # facts re-read this recently are not read again before sending
DOUBTED = "case_doubted"  # why a delivery waits whose case is gone with most others: not believed yet
MANY = 10_000  # more deliveries than any case has


class Engine:
    """Decides, for one worker, on what its intake knows."""

    def __init__(self, store: Store, source: Source, rules: Rules, epoch: int) -> None:
        self.store = store
        self.epoch = epoch
        self.intake = Intake(store, source, rules)
        self._broke_off = False  # a tick ended in the middle: what it had claimed is still held
        self._names: tuple[Directory | None, frozenset[str]] = (None, frozenset())  # of that directory
        self._just_taken: frozenset[str] = frozenset()  # cases whose facts the last tick took over

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        return self.intake.rules

    @property
    def directory(self) -> Directory:
        """Everybody, as last read."""
        return self.intake.directory

    # --- tick ------------------------------------------------------------------------------------------

    def tick(self, now: datetime, limit: int = 500) -> int:
        """Evaluate one batch of what is due; returns how many obligations were looked at.

        What an error leaves claimed is given back by the next call. Nothing is decided by rules another node replaced.
        """
        if self.intake.overtaken:
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
        self.intake.take_directory()
        keys = {stored.obligation.case_key for stored in claimed}
        ripe = {stored.obligation.case_key for stored in claimed if _is_to_be_recounted(stored, now)}
        looked = self.intake.refresh(keys, now, self._just_taken, recount=ripe)
        known = self.store.cases(keys - looked.moved, looked.read)
        looked = self._follow_their_versions(claimed, known, looked, now)
        self._just_taken = looked.moved
        received = self._with_receptions(claimed)
        decisions = [self._looked_at(stored, known, looked, now) for stored in received]
        self._save_decisions(list(zip(claimed, decisions, strict=True)), now)
        return len(claimed)

    def _follow_their_versions(
        self, claimed: Sequence[StoredObligation], known: Mapping[str, StoredCase], looked: Looked, now: datetime
    ) -> Looked:
        """Count cases again whose limits were counted by another version than the one they are bound to."""
        behind = {
            stored.obligation.case_key
            for stored in claimed
            if (case := known.get(stored.obligation.case_key)) is not None
            and stored.obligation.case_key not in looked.uncountable
            and self._is_behind(stored, case)
        }
        if not behind or looked.away:
            return looked
        again = self.intake.refresh(behind, now, recount=behind)
        return replace(
            looked, moved=looked.moved | again.moved, uncountable={**looked.uncountable, **again.uncountable}
        )

    def _is_behind(self, stored: StoredObligation, case: StoredCase) -> bool:
        wanted = self.rules.policies_for(case.policy_version).version
        return case.policy_version is not None and wanted != stored.obligation.policy_version

    def _with_receptions(self, claimed: Sequence[StoredObligation]) -> Sequence[StoredObligation]:
        """The claimed ones with what became of their earlier notices, where their policy asks for it."""
        asking = {stored.id for stored in claimed if self._asks_receptions(stored)}
        if not asking:
            return claimed
        found = self.store.receptions(asking)
        return [
            replace(stored, history=replace(stored.history, receptions=found[stored.id]))
            if stored.id in found
            else stored
            for stored in claimed
        ]

    def _asks_receptions(self, stored: StoredObligation) -> bool:
        one = stored.obligation
        policy = self.rules.policies_for(one.policy_version).policies.get(one.policy)
        return policy is not None and asks_receptions(policy)

    def _save_decisions(self, made: Sequence[tuple[StoredObligation, Decision]], now: datetime) -> None:
        """Write them, each under the version its case runs by."""

        def version_of(one: tuple[StoredObligation, Decision]) -> str:
            return self.rules.policies_for(one[0].obligation.policy_version).version

        for version, group in groupby(sorted(made, key=version_of), key=version_of):
            self._save_under(version, list(group), now)

    def _save_under(self, version: str, made: Sequence[tuple[StoredObligation, Decision]], now: datetime) -> None:
        """Write all at once; if the store refuses the batch, one by one, and what it will not take is postponed."""
        try:
            self.store.save_decisions(self.epoch, [decision for _, decision in made], version, now)
        except DaemonError:
            raise
        except Exception as error:
            if len(made) > 1:
                for one in made:
                    self._save_under(version, [one], now)
                return
            stored, decision = made[0]
            if not (decision.notices or decision.events):
                raise
            _log_postponed(stored, named(error))
            self._save_under(version, [(stored, held_over(stored, named(error), now))], now)

    def _looked_at(
        self, stored: StoredObligation, known: Mapping[str, StoredCase], looked: Looked, now: datetime
    ) -> Decision:
        key = stored.obligation.case_key
        if key in looked.moved:
            return untouched(stored)
        if key in looked.uncountable:
            _log_postponed(stored, looked.uncountable[key])
            return postponed(stored, looked.uncountable[key], now)
        return self._decide(stored, known.get(key), now, away=looked.away or key in looked.doubted)

    def _decide(self, stored: StoredObligation, case: StoredCase | None, now: datetime, *, away: bool) -> Decision:
        rule = self._rule_of(stored)
        if case is None or rule is None:
            event = Event(stored.obligation.case_key, "withdrawn", now, about(stored.obligation))
            return Decision(withdrawn(stored), events=(event,), cancel="withdrawn")
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
            first, then = case.first_handler, self.intake.directory_at
            late = breaches_of(policy, limit, stored.obligation, plan, case.case, first, then)
        except Exception as error:  # noqa: BLE001 - one poisonous row must not stop the others; it is shown and retried
            problem = f"{type(error).__name__}: {error}"
            version = self.rules.policies_for(stored.obligation.policy_version).version
            self.rules.faults.note(version, stored.obligation.case_key)
            _log_postponed(stored, problem)
            return postponed(stored, problem, now)
        return decided(stored, plan, now, as_of=case.read_at if away else None, breaches=late)

    def _rule_of(self, stored: StoredObligation) -> tuple[Policy, Limit, Ladder] | None:
        one = stored.obligation
        return self.rules.limit(one.policy, one.limit, one.policy_version)

    # --- gate ------------------------------------------------------------------------------------------

    def gate(self, deliveries: Sequence[Delivery], now: datetime) -> dict[str, str]:
        """Which of these deliveries are no longer true, by notice key, and why.

        What was decided within the last two minutes was decided on facts read then, and a limit that moved or ended
        since has cancelled it in the store; everything else is held against the shared database once more. While that
        is away the last known facts decide. What is gone together with most others only waits (`DOUBTED`). No trust
        goes against a recusal or a restriction any node has read.
        """
        self.intake.take_directory()
        about_cases = [d for d in deliveries if d.notice.case_key]
        keys = {d.notice.case_key for d in about_cases if not _rests_on_fresh_facts(d, now)}
        doubted = self.intake.refresh(keys, now).doubted if keys else frozenset[str]()
        keys |= self.store.guarded({d.notice.case_key for d in about_cases} - keys)
        if not keys:
            return {}
        obligations = self.store.obligations_of(keys)
        cases = self.store.cases(keys)
        refused: dict[str, str] = {}
        for one in about_cases:
            if one.notice.case_key not in keys:
                continue
            if one.notice.case_key in doubted:
                refused[one.notice.key] = DOUBTED
                continue
            known = obligations.get(one.notice.case_key, ())
            standing = [stored.obligation for stored in known]
            why = no_longer_true(one.notice, standing, now) or self._passed_on(one, cases, known, now)
            if why:
                refused[one.notice.key] = why
        return refused

    def quiet(self, deliveries: Sequence[Delivery], now: datetime) -> dict[str, datetime]:
        """Which of these have to wait for the end of the quiet hours, by notice key, and until when.

        What was decided by day may come to be sent at night: tried again, released late, or from a long queue.
        """
        found = ((one.notice.key, self._quiet_until(one, now)) for one in deliveries if one.notice.case_key)
        return {key: until for key, until in found if until is not None}

    def _quiet_until(self, one: Delivery, now: datetime) -> datetime | None:
        notice = one.notice
        rule = self.rules.limit(notice.policy, notice.limit, one.policy_version)
        hours = None if rule is None else rule[0].quiet
        if rule is None or hours is None:
            return None
        policy, limit, ladder = rule
        step = step_of(notice.step, ladder)
        if notice.may_wake or (step is not None and step.may_wake) or is_hour_class(limit):
            return None
        due = notice.facts.get("due_at")
        due_at = datetime.fromisoformat(due) if isinstance(due, str) and notice.why is not Why.REVIEW else None
        return hold_until(hours, due_at, self.rules.calendar(policy, limit), now)

    def is_stopped(self, one: Delivery) -> bool:
        """Whether its reader wants no more messages over its channel; only that is answered over it all the same."""
        notice = one.notice
        if notice.say in ANSWERS_TO_STOP:
            return False
        return notice.channel in self.directory.stopped.get(notice.person, ())

    def resends_in_doubt(self, one: Delivery) -> bool:
        """Whether its step wants it sent again, marked, when nobody can say whether it went out."""
        notice = one.notice
        rule = self.rules.limit(notice.policy, notice.limit, one.policy_version) if notice.case_key else None
        step = None if rule is None else step_of(notice.step, rule[2])
        return step is None or step.in_doubt is InDoubt.RESEND

    def wants_acknowledgement(self, one: Delivery) -> bool:
        """Whether its reader is to sign for it (签收): who does the work, whoever a step asks, all in a fire drill."""
        notice = one.notice
        if notice.copy or not notice.case_key:
            return notice.key.startswith(DRILL)
        rule = self.rules.limit(notice.policy, notice.limit, one.policy_version)
        step = None if rule is None else step_of(notice.step, rule[2])
        if notice.step.endswith(f".{UNACTED}"):  # it was signed for, and that was the trouble
            return False
        asked = step is not None and step.acknowledge is not None and not notice.step.endswith(f".{UNACKNOWLEDGED}")
        return asked or notice.role in PERSONAL or notice.role == RESTRICTED

    def quoting(self, said: Sequence[tuple[str, Sequence[Notice]]]) -> list[bool]:
        """Which of these texts, each about these notices, hold a value of a personal field of one of their cases.

        The values are read for this moment only. While the shared database is away nothing can be compared: a message
        says nothing but a case number, names of officials and words of the rules, and goes.
        """
        keys = {notice.case_key for _, notices in said for notice in notices if notice.case_key}
        try:
            values = {key: telling(found) for key, found in self.intake.source.personal_values(keys).items()}
        except Exception as error:  # noqa: BLE001 - the other system's row may hold anything; no warning is lost for it
            log.warning(telemetry.NOT_COMPARED, cases=len(keys), problem=type(error).__name__)
            return [False] * len(said)
        return [self._quotes(text, notices, values) for text, notices in said]

    def _quotes(self, text: str, notices: Sequence[Notice], values: Mapping[str, frozenset[str]]) -> bool:
        personal = frozenset[str]().union(*(values.get(notice.case_key, ()) for notice in notices))
        if not personal:
            return False
        read = [word for notice in notices for word in read_words(notice.facts)]
        names, people = self._known_names(), self.directory.officials
        known = [word for word in read if word in names]
        known += [people[notice.person].name for notice in notices if notice.person in people]
        return holds(text, personal, [notice.case_key for notice in notices], known, "\n".join(read))

    def _known_names(self) -> frozenset[str]:
        directory = self.directory
        if self._names[0] is not directory:
            officials = (official.name for official in directory.officials.values())
            self._names = directory, frozenset((*officials, *(unit.name for unit in directory.units.values())))
        return self._names[1]

    def is_urgent(self, one: Delivery) -> bool:
        """Whether it is red or counted in hours."""
        return is_urgent(one.notice, self._limit_of(one))

    def may_merge(self, one: Delivery) -> bool:
        """Whether it may share a message with others when a budget is short; what perhaps went out stays as it was."""
        return not one.possible_duplicate and may_merge(one.notice, self._limit_of(one))

    def _limit_of(self, one: Delivery) -> Limit | None:
        rule = self.rules.limit(one.notice.policy, one.notice.limit, one.policy_version)
        return None if rule is None else rule[1]

    def _passed_on(
        self, one: Delivery, cases: Mapping[str, StoredCase], known: Sequence[StoredObligation], now: datetime
    ) -> str | None:
        """Why a notice must not reach this person any more; whoever is in that role by now is told instead."""
        notice, stored = one.notice, cases.get(one.notice.case_key)
        mine = next((o for o in known if _is_of(notice, o)), None)
        rule = None if mine is None else self._rule_of(mine)
        if stored is None or rule is None or mine is None:
            return None
        policy, limit, _ = rule
        if stored.case.restricted:
            return None if may_hear(notice, stored.case, policy) else Why.RESTRICTED.value
        first, calendar = stored.first_handler, self.rules.calendar(policy, limit)
        plan = after_transfer(
            policy, mine.obligation, stored.case, notice, self.directory, first, calendar, now, self.rules.kinds
        )
        if plan is None:
            return None
        event = Event(notice.case_key, "passed_on", now, plan_body(mine.obligation, plan))
        version = self.rules.policies_for(mine.obligation.policy_version).version
        self.store.add_notices(mine.id, plan.notices, [event], version, now)
        return "transferred"

    # --- failure ---------------------------------------------------------------------------------------

    def fall_upward(self, failed: Delivery, now: datetime) -> int:
        """A notice that cannot be delivered goes to the next person up; returns how many notices that made.

        As long as another channel has reached that person or still may, nobody else is told; nor of what he signed for
        (签收), which he holds whatever the provider says. Idempotent by the notice key: it is called before the failure
        is recorded, so that a crash between the two loses nothing.
        """
        self.intake.take_directory()
        notice = failed.notice
        known = self.store.deliveries(case_key=notice.case_key, limit=MANY)
        if any(other.id == failed.id and _has_reached(other) for other in known):
            return 0  # it did arrive, whatever the provider answered
        if any(_same_message(other, failed) for other in known):
            event = Event(notice.case_key, "other_channel", now, {"notice": notice.key, "limit": notice.limit})
            self.store.append([event])
            return 0
        stored = self.store.cases([notice.case_key]).get(notice.case_key)
        mine = [o for o in self.store.obligations_of([notice.case_key]).get(notice.case_key, []) if _is_of(notice, o)]
        rule = self._rule_of(mine[0]) if mine else None
        if rule is None or stored is None:
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
        event = Event(notice.case_key, "fell_upward", now, plan_body(mine[0].obligation, plan))
        version = self.rules.policies_for(mine[0].obligation.policy_version).version
        return self.store.add_notices(mine[0].id, plan.notices, [event], version, now)

    # --- cases to be counted again -----------------------------------------------------------------------

    def count_again(self, now: datetime) -> int:
        """Count again one lot of the cases somebody moved to another version; returns how many that were.

        While the shared database is away the wish stays.
        """
        wanted = self.store.recount_wanted()
        if wanted is None or self.intake.overtaken:
            return 0
        name, keys = wanted
        looked = self.intake.refresh(set(keys), now, recount=frozenset(keys))
        if looked.away:
            return 0
        self.store.forget(name)
        return len(keys)


def _rests_on_fresh_facts(one: Delivery, now: datetime) -> bool:
    """Whether the shared database was read just before: not while it was away, nor for what failed with another."""
    blind = one.notice.why is Why.UNDELIVERED or "as_of" in one.notice.facts
    return not blind and now - one.created_at <= TRUSTED_FOR


def _is_to_be_recounted(stored: StoredObligation, now: datetime) -> bool:
    at = stored.obligation.recount_at
    return at is not None and at <= now


def _log_postponed(stored: StoredObligation, problem: str) -> None:
    one = stored.obligation
    log.error(telemetry.POSTPONED, case=one.case_key, limit=one.limit, problem=problem)


_NO_WAY = frozenset({DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.SENDING, DeliveryState.DARK})


def _has_reached(one: Delivery) -> bool:
    """Whether a receipt said that it arrived, or its reader did (签收)."""
    return one.delivered_at is not None or one.acknowledged_at is not None


def _same_message(other: Delivery, failed: Delivery) -> bool:
    """Whether this is the same message to the same person over another channel, and it arrived or still may.

    One that is being sent at this moment does not count: it may fail too, and then each would rely on the other. Nor
    does one whose receipt is what the other channels wait for: taken by the provider is not arrived.
    """
    mine, his = failed.notice, other.notice
    unproved = other.state is DeliveryState.ACCEPTED and his.wait is not None
    return (
        (_has_reached(other) or not (unproved or other.state in _NO_WAY))
        and his.channel != mine.channel
        and (his.policy, his.limit, his.instance, his.deadline_version, his.step, his.repeat, his.person)
        == (mine.policy, mine.limit, mine.instance, mine.deadline_version, mine.step, mine.repeat, mine.person)
    )


def _is_of(notice: Notice, stored: StoredObligation) -> bool:
    one = stored.obligation
    return (one.policy, one.limit, one.instance) == (notice.policy, notice.limit, notice.instance)
