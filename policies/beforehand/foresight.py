"""What will be sent: the daemon's own decisions played ahead of time, on facts that are known or supposed.

Counting, revising and evaluating are the very functions the daemon calls; only the clock is turned by hand. Every
delivery is taken to succeed, nobody acknowledges or reads unless the facts say so, and the people stay as they are.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

from policies.beforehand.course import ahead_of, key_of, key_of_notice, may_hear, no_longer_true, take_over
from policies.conditions import asks_receptions
from policies.counting import CountError
from policies.evaluate import after_transfer, evaluate
from policies.model import Case, Directory, History, Light, Notice, Obligation, ObligationState, Reason, Reception, Why
from policies.obligations import calendar_for
from policies.same import Same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from policies.beforehand.course import Change, Key
    from policies.calendar import Calendar
    from policies.model import FirstHandler, Limit, Plan, Policy, PolicySet

RESTRICTED = Why.RESTRICTED.value
TRANSFERRED = "transferred"


@dataclass(frozen=True, slots=True)
class Told:
    """One notice and when it goes out; later than `decided_at` if it waited for the end of the quiet hours.

    One that waits for a human's release (`notice.release`) or is never sent (`notice.dark`) is told at the instant it
    was decided.
    """

    at: datetime
    notice: Notice
    light: Light
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Dropped:
    """A notice that was decided and then did not go out: when that was found, and why."""

    at: datetime
    notice: Notice
    why: str


@dataclass(frozen=True, slots=True)
class Foresight:
    """What happens to one case between two instants.

    `told` goes out in that time, in order; `waiting` is decided and goes out only after it; `dropped` was overtaken
    while it waited. `standing` is where the obligations are at the end: hand it on to look further. `findings` are
    what a supervisor has to look at, each once. `looks` is how often an obligation was looked at.
    """

    told: tuple[Told, ...]
    standing: tuple[tuple[Obligation, History], ...]
    reasons: tuple[tuple[datetime, Reason], ...]
    findings: tuple[Reason, ...]
    waiting: tuple[Told, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    first_handler: FirstHandler | None = None
    looks: int = 0

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """The obligations as they are at the end."""
        return tuple(one for one, _ in self.standing)


def foresee(
    policies: PolicySet,
    facts: Sequence[tuple[datetime, Case]],
    directory: Directory,
    calendars: Mapping[str, Calendar],
    kinds: Mapping[str, str],
    since: datetime,
    until: datetime,
    *,
    default_calendar: str = "china",
    first_handler: FirstHandler | None = None,
    earlier: FirstHandler | None = None,
    standing: Sequence[tuple[Obligation, History]] = (),
) -> Foresight:
    """Play one case from `since` to `until`, both inclusive.

    `facts` are the case from each instant on, in time; what is said before `since` holds at `since`. Without `standing`
    the case is counted afresh, and what was missed before `since` is caught up then, as by a daemon first started at
    that instant. `first_handler` is the one frozen already, `earlier` that of the case this one repeats.
    The `receptions` of a standing history are what became of its notices so far.

    Raises ValueError without facts.
    """
    begun = [case for at, case in facts if at <= since] or [case for _, case in facts[:1]]
    if not begun:
        raise ValueError("a case needs facts")
    later = [(at, case) for at, case in facts if at > since]
    rules = _Rules(policies, directory, calendars, kinds, default_calendar, earlier)
    running = {key_of(one): _Running(one, _bare(history), None, dict(history.receptions)) for one, history in standing}
    play = _Play(rules, first_handler, running)
    play.read(begun[-1], since)
    play.look(since)
    for at, case in (*later, (until, None)):
        play.run_until(min(at, until), inclusive=case is None)
        if case is None or at > until:
            break
        play.read(case, at)
        play.look(at)
    return play.seen()


@dataclass(frozen=True, slots=True)
class _Rules:
    """What does not change while time passes."""

    policies: PolicySet
    directory: Directory
    calendars: Mapping[str, Calendar]
    kinds: Mapping[str, str]
    default_calendar: str
    earlier: FirstHandler | None

    def of(self, key: Key) -> tuple[Policy, Limit, Calendar] | None:
        """Policy, limit and calendar of an obligation; None if they are written nowhere any more."""
        policy = self.policies.policies.get(key[0])
        limit = next((one for one in policy.limits if one.id == key[1] and one.enabled), None) if policy else None
        if policy is None or limit is None:
            return None
        return policy, limit, calendar_for(policy, limit, self.calendars, self.default_calendar)


@dataclass(slots=True)
class _Running:
    """One obligation on its way."""

    obligation: Obligation
    history: History
    next_check_at: datetime | None
    receptions: dict[str, Reception] = field(default_factory=dict[str, "Reception"])


@dataclass(slots=True)
class _Play:
    """One case on its way through time."""

    rules: _Rules
    first_handler: FirstHandler | None
    running: dict[Key, _Running]
    case: Case = field(default_factory=lambda: Case(""))  # as we keep it
    read_as: Case = field(default_factory=lambda: Case(""))  # as the shared database says it
    told: list[Told] = field(default_factory=list[Told])
    reasons: list[tuple[datetime, Reason]] = field(default_factory=list["tuple[datetime, Reason]"])
    findings: dict[tuple[object, ...], Reason] = field(default_factory=dict["tuple[object, ...]", Reason])
    dropped: list[Dropped] = field(default_factory=list[Dropped])
    waiting: list[tuple[datetime, int, Told]] = field(default_factory=list["tuple[datetime, int, Told]"])
    keys: set[str] = field(default_factory=set[str])
    numbers: Iterator[int] = field(default_factory=count)
    ahead: frozenset[str] = frozenset()
    looks: int = 0

    # --- facts ----------------------------------------------------------------------------------------------

    def read(self, case: Case, now: datetime) -> None:
        """Take over the facts as they are at `now`."""
        rules, last = self.rules, self.case if self.case.key else None
        self.read_as, self.ahead = case, ahead_of(case, now)
        before = {key: (one.obligation, one.history) for key, one in self.running.items()}
        taken = take_over(
            rules.policies,
            case,
            before,
            rules.directory,
            rules.calendars,
            rules.kinds,
            now,
            rules.default_calendar,
            last=last,
            first_handler=self.first_handler,
            earlier=rules.earlier,
        )
        self.case = taken.case
        self.first_handler = self.first_handler or taken.first_handler
        for finding in taken.findings:
            self.findings.setdefault((finding.why, finding.step, finding.text), finding)
        for change in (*taken.changes, *taken.withdrawn):
            self._go_on(change, now)
        self._drop_overtaken(now, silenced=case.restricted and last is not None and not last.restricted)

    def _go_on(self, change: Change, now: datetime) -> None:
        one = change.obligation
        known = self.running.get(key_of(one))
        received = known.receptions if known else {}
        self.running[key_of(one)] = _Running(one, _bare(change.history), change.next_check_at, received)
        self.reasons += [(now, reason) for reason in change.reasons]

    def _drop_overtaken(self, now: datetime, *, silenced: bool) -> None:
        """What waits and is about a limit that is met, gone or has moved, or about a case that became restricted."""
        kept: list[tuple[datetime, int, Told]] = []
        for entry in self.waiting:
            notice = entry[2].notice
            why = RESTRICTED if silenced else self._overtaken(notice)
            if why is None:
                kept.append(entry)
            else:
                self.dropped.append(Dropped(now, notice, why))
        heapq.heapify(kept)
        self.waiting = kept

    def _overtaken(self, notice: Notice) -> str | None:
        """As the store cancels: by state and deadline version; whether another step took over is asked later."""
        mine = self.running.get(key_of_notice(notice))
        if mine is None:
            return ObligationState.WITHDRAWN.value
        return no_longer_true(replace(notice, expires_at=None), (mine.obligation,), notice.at)

    # --- time -----------------------------------------------------------------------------------------------

    def run_until(self, end: datetime, *, inclusive: bool) -> None:
        """Look and send whenever something is due before `end` (and at `end`)."""
        while (now := self._next()) is not None and (now < end or (inclusive and now == end)):
            self._send(now)
            self.look(now)

    def _next(self) -> datetime | None:
        moments = [one.next_check_at for one in self.running.values() if one.next_check_at is not None]
        if self.waiting:
            moments.append(self.waiting[0][0])
        return min(moments, default=None)

    def look(self, now: datetime) -> None:
        """Decide on what is due at `now`, after counting again what time alone has changed."""
        due = [one for one in self.running.values() if _is_due(one, now)]
        if not due:
            return
        if ahead_of(self.read_as, now) != self.ahead or any(_wants_recount(one.obligation, now) for one in due):
            self.read(self.read_as, now)
        for key, one in list(self.running.items()):
            if _is_due(one, now):
                self._decide(key, one, now)

    def _decide(self, key: Key, one: _Running, now: datetime) -> None:
        rule = self.rules.of(key)
        if rule is None:
            one.obligation = replace(one.obligation, state=ObligationState.WITHDRAWN)
            one.next_check_at = None
            return
        policy, _, calendar = rule
        self.looks += 1
        try:
            plan = evaluate(
                policy,
                one.obligation,
                self.case,
                _with_receptions(one, policy),
                self.rules.directory,
                self.first_handler,
                calendar,
                now,
                self.rules.kinds,
            )
        except CountError as error:
            self.findings.setdefault(
                (key, error.message), Reason(Why.FINDING, error.message, f"{key[0]}/{key[1]}", now)
            )
            one.next_check_at = None
            return
        one.history = _bare(plan.history)
        one.next_check_at = plan.next_check_at if plan.next_check_at is None or plan.next_check_at > now else None
        self.reasons += [(now, reason) for reason in plan.reasons]
        self._keep(plan, now)

    # --- the outbox -----------------------------------------------------------------------------------------

    def _keep(self, plan: Plan, now: datetime) -> None:
        """Send what was decided, or let it wait; a notice that is there already is not written twice."""
        for notice in plan.notices:
            if notice.key in self.keys:
                continue
            self.keys.add(notice.key)
            hold = notice.hold_until
            if hold is None or hold <= now or notice.release or notice.dark:
                self._deliver(Told(now, notice, plan.light, now))
            else:
                heapq.heappush(self.waiting, (hold, next(self.numbers), Told(hold, notice, plan.light, now)))

    def _send(self, now: datetime) -> None:
        """Let go what has waited until `now` and is still true."""
        while self.waiting and self.waiting[0][0] <= now:
            _, _, told = heapq.heappop(self.waiting)
            if ahead_of(self.read_as, now) != self.ahead:
                heapq.heappush(self.waiting, (told.at, next(self.numbers), told))
                self.read(self.read_as, now)
                continue
            standing = [one.obligation for one in self.running.values()]
            why = no_longer_true(told.notice, standing, now) or self._passed_on(told, now)
            if why is None:
                self._deliver(told)
            else:
                self.dropped.append(Dropped(now, told.notice, why))

    def _deliver(self, told: Told) -> None:
        """It goes out and arrives; what waits for a human or is never sent does not."""
        notice = told.notice
        self.told.append(told)
        if not (notice.release or notice.dark):
            received = self.running[key_of_notice(notice)].receptions
            received.setdefault(notice.step, Reception(delivered_at=told.at))

    def _passed_on(self, told: Told, now: datetime) -> str | None:
        """Why it must not reach this person any more; whoever is in that role by now is told instead."""
        key = key_of_notice(told.notice)
        rule = self.rules.of(key)
        if rule is None:
            return ObligationState.WITHDRAWN.value
        policy, _, calendar = rule
        one = self.running[key].obligation
        if self.case.restricted:
            return None if may_hear(told.notice, self.case, policy) else RESTRICTED
        plan = after_transfer(
            policy,
            one,
            self.case,
            told.notice,
            self.rules.directory,
            self.first_handler,
            calendar,
            now,
            self.rules.kinds,
        )
        if plan is None:
            return None
        self.reasons += [(now, reason) for reason in plan.reasons]
        self._keep(plan, now)
        return TRANSFERRED

    # --- the end --------------------------------------------------------------------------------------------

    def seen(self) -> Foresight:
        """All of it."""
        self.told.sort(key=lambda told: told.at)
        return Foresight(
            tuple(self.told),
            tuple((one.obligation, one.history) for one in self.running.values()),
            tuple(self.reasons),
            tuple(self.findings.values()),
            tuple(told for _, _, told in sorted(self.waiting, key=lambda entry: entry[:2])),
            tuple(self.dropped),
            self.first_handler,
            self.looks,
        )


@lru_cache(maxsize=256)
def _asks(policy: Same[Policy]) -> bool:
    return asks_receptions(policy.value)


def _with_receptions(one: _Running, policy: Policy) -> History:
    """The history with what became of the notices so far, if the policy asks for it."""
    return replace(one.history, receptions=dict(one.receptions)) if _asks(Same(policy)) else one.history


def _bare(history: History) -> History:
    """The history as it is kept with the obligation; what became of the notices is kept with them."""
    return replace(history, receptions={}) if history.receptions else history


def _is_due(one: _Running, now: datetime) -> bool:
    return one.next_check_at is not None and one.next_check_at <= now


def _wants_recount(one: Obligation, now: datetime) -> bool:
    return one.recount_at is not None and one.recount_at <= now
