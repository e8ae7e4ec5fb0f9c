"""A daemon killed again and again while it sends, and the proof afterwards that nobody missed a message.

Two receivers in processes of their own write down every message before they answer. `duban run` is killed with
SIGKILL at random moments of its life, from the start of the interpreter on; right after each kill the store says what
was claimed and not yet recorded: that is what is *in flight*, and all a crash may double.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from channels.wire.identity import reference_of
from daemon.store import Store
from daemon.store.values import FINAL, DeliveryState
from support.daemon_process import DUBAN, daemon, duban, environment, recorded, server, wait_until
from support.office import build_office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from daemon.store.values import Delivery

MARK = "可能重复"  # in the text of an SMS sent again
WINDOW = 3  # kills fall between 0 and so many times the seconds until READY=1
FIRST_GUESS = 1.0  # seconds until a life says READY=1, before one has done so
PAGE = 10_000
AUDIT_GRACE = timedelta(minutes=5)


@dataclass(frozen=True)
class Trial:
    """How much there is to send, how slowly the receivers take it, how often the daemon is killed."""

    cases: int  # two notices each: an SMS and a mail
    kills: int
    seed: int
    mail_delay: float  # seconds until each answer of the mail server; two answers a mail
    sms_delay: float


@dataclass(frozen=True)
class Arrival:
    """One message as a receiver wrote it down."""

    key: str
    marked: bool


@dataclass(frozen=True)
class Kill:
    """What one kill left behind."""

    after: float  # seconds since the process started
    ready_after: float | None  # seconds until it said READY=1, if it got so far
    in_flight: frozenset[str]
    unfinished: bool  # there was still something to send or to plan


@dataclass
class Outcome:
    """What the receivers and the store say when all is over."""

    trial: Trial
    kills: Sequence[Kill]
    deliveries: Sequence[Delivery]
    arrivals: Sequence[Arrival]
    seconds: float
    exit_code: int
    ledger: int  # exit code of `duban ledger verify`
    open: int
    unaccounted: int
    overdue_checks: int
    told: list[dict[str, Any]] = field(default_factory=list)  # the last life's log

    @property
    def by_key(self) -> dict[str, list[Arrival]]:
        """The arrivals of each notice, in order."""
        found: dict[str, list[Arrival]] = {}
        for arrival in self.arrivals:
            found.setdefault(arrival.key, []).append(arrival)
        return found

    @property
    def known(self) -> set[str]:
        """Every notice of the outbox."""
        return {delivery.notice.key for delivery in self.deliveries}

    @property
    def lost(self) -> set[str]:
        """Notices no receiver has seen."""
        return self.known - self.by_key.keys()

    @property
    def doubled(self) -> set[str]:
        """Notices a receiver has seen more than once."""
        return {key for key, arrivals in self.by_key.items() if len(arrivals) > 1}

    @property
    def ever_in_flight(self) -> frozenset[str]:
        """Notices that were in flight at some kill."""
        return frozenset().union(*(kill.in_flight for kill in self.kills))

    def faults(self) -> list[str]:
        """Everything that must not be; empty when the promise holds."""
        unmarked = {key for key, arrivals in self.by_key.items() if not all(later.marked for later in arrivals[1:])}
        expected = 2 * self.trial.cases
        wrong = [
            (len(self.lost), "notices lost"),
            (abs(len(self.known) - expected), f"notices more or less than {expected} in the outbox"),
            (len(self.by_key.keys() - self.known), "messages the outbox does not know"),
            (len(self.doubled - self.ever_in_flight), "notices doubled that were not in flight at any kill"),
            (len(unmarked), "notices that came again without the mark"),
            (sum(delivery.state not in FINAL for delivery in self.deliveries), "deliveries not final"),
            (sum(delivery.state is not DeliveryState.ACCEPTED for delivery in self.deliveries), "not accepted"),
            (self.ledger, "as exit code of `duban ledger verify`"),
            (self.exit_code, "as exit code of the last life"),
            (abs(self.open - self.trial.cases), f"obligations more or less than {self.trial.cases} open"),
            (self.unaccounted, "obligations unaccounted for"),
            (self.overdue_checks, "overdue checks"),
        ]
        return [f"{number} {what}" for number, what in wrong if number]

    def figures(self) -> dict[str, str]:
        """The same as a table's column."""
        ready = [kill.ready_after for kill in self.kills if kill.ready_after is not None]
        return {
            "seed": str(self.trial.seed),
            "kills": str(len(self.kills)),
            "  while work was left": str(sum(kill.unfinished for kill in self.kills)),
            "  after READY=1": str(len(ready)),
            "  with messages in flight": str(sum(bool(kill.in_flight) for kill in self.kills)),
            "seconds to READY=1, median": f"{statistics.median(ready):.2f}" if ready else "-",
            "notices": str(len(self.known)),
            "messages received": str(len(self.arrivals)),
            "lost": str(len(self.lost)),
            "notices doubled": str(len(self.doubled)),
            "messages too many": str(len(self.arrivals) - len(self.by_key)),
            "  a kill, on average": f"{(len(self.arrivals) - len(self.by_key)) / len(self.kills):.1f}",
            "messages marked": str(sum(arrival.marked for arrival in self.arrivals)),
            "in flight at a kill, most": str(max(len(kill.in_flight) for kill in self.kills)),
            "ledger verify, exit code": str(self.ledger),
            "broken promises": str(len(self.faults())),
            "duration": f"{self.seconds:.0f} s",
        }


def run_trial(folder: Path, store_url: str, trial: Trial, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Kill as often as asked, then let one life finish, and collect what everybody says. `store_url` empty: SQLite."""
    arrived = datetime.now().replace(microsecond=0) - timedelta(hours=1)  # noqa: DTZ005 - the platform writes local time
    begun = time.monotonic()
    with _receivers(folder, trial) as (smtp_port, sms_port):
        office = build_office(
            folder / "office",
            cases=trial.cases,
            arrived=arrived,
            smtp_port=smtp_port,
            sms_port=sms_port,
            store_url=store_url,
            calendar="weekdays",
        )
        migrated = duban("migrate", "-c", office.configuration)
        assert migrated.returncode == 0, migrated.stderr
        store = Store(store_url or f"sqlite:///{office.folder / 'duban.db'}")
        try:
            kills = tuple(_kills(office.configuration, store, folder, trial, say))
            with daemon(office.configuration, folder, WATCHDOG_USEC="1000000") as last:
                last.manager.wait_for("READY=1")
                wait_until(lambda: not _unfinished(store, trial), last.manager)
                last.signal(signal.SIGTERM)
                exit_code = last.wait()
            audit = store.audit(datetime.now(UTC), AUDIT_GRACE)
            verified = duban("ledger", "verify", "-c", office.configuration)
            deliveries = _outbox(store)
            return Outcome(
                trial,
                kills,
                deliveries,
                _arrivals(folder, {reference_of(one.notice.key): one.notice.key for one in deliveries}),
                time.monotonic() - begun,
                exit_code,
                verified.returncode,
                audit.open,
                audit.unaccounted,
                audit.overdue_checks,
                last.lines,
            )
        finally:
            store.close()


@contextmanager
def _receivers(folder: Path, trial: Trial) -> Iterator[tuple[int, int]]:
    with ExitStack() as stack:
        mails = server("support.smtp_server", folder / "mails", "--delay", str(trial.mail_delay))
        texts = server("support.sms_gateway", folder / "texts", "--delay", str(trial.sms_delay))
        yield stack.enter_context(mails), stack.enter_context(texts)


def _kills(configuration: Path, store: Store, folder: Path, trial: Trial, say: Callable[[str], None]) -> Iterator[Kill]:
    """One life after the other, each killed at a random moment between its start and `WINDOW` times its start-up.

    The window is cut into as many slices as there are kills, and each slice is hit once, in random order: a few kills
    meet starting, planning and sending as well as many do.
    """
    chance = random.Random(trial.seed)
    slices = chance.sample(range(trial.kills), trial.kills)
    ready = FIRST_GUESS
    for number, slice_ in enumerate(slices, start=1):
        after = WINDOW * ready * (slice_ + chance.random()) / trial.kills
        ready_after = _live_and_die(configuration, folder / "log", after)
        ready = max(ready, after) if ready_after is None else ready_after
        in_flight = frozenset(one.notice.key for one in _outbox(store, DeliveryState.SENDING))
        unfinished = _unfinished(store, trial)
        told = f"READY=1 after {ready_after:.2f} s" if ready_after is not None else "not READY=1 yet"
        rest = "" if unfinished else ", all sent"
        say(f"kill {number} after {after:.2f} s, {told}, {len(in_flight)} in flight{rest}")
        yield Kill(after, ready_after, in_flight, unfinished)


def _live_and_die(configuration: Path, log: Path, after: float) -> float | None:
    """Run the daemon for so many seconds and kill it; when it said that it was ready, if it did."""
    with log.open("wb") as output:
        begun = datetime.now(UTC)
        with subprocess.Popen(  # noqa: S603 - our own command
            [str(DUBAN), "run", "--config", str(configuration)],
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                code = process.wait(after)  # the moment of the kill is an instant: nothing else to wait for
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
            else:
                raise AssertionError(f"ended by itself with {code}: {log.read_text(encoding='utf-8')}")
    for line in log.read_text(encoding="utf-8").splitlines():
        if '"process.started"' in line and line.endswith("}"):
            return (datetime.fromisoformat(json.loads(line)["at"]) - begun).total_seconds()
    return None


def _outbox(store: Store, *states: DeliveryState) -> list[Delivery]:
    found: list[Delivery] = []
    while page := store.deliveries(states=states or None, limit=PAGE, after_id=found[-1].id if found else 0):
        found += page
    return found


def _unfinished(store: Store, trial: Trial) -> bool:
    """Whether notices are still to be decided or sent."""
    by_state = store.counts()["deliveries"]
    return sum(by_state.get(state.value, 0) for state in FINAL) < 2 * trial.cases


def _arrivals(folder: Path, keys: Mapping[str, str]) -> list[Arrival]:
    """Everything received: mails by the reference in their Message-ID, SMS by their key (marked in field and text)."""
    found: list[Arrival] = []
    for mail in recorded(folder / "mails"):
        reference = mail["message_id"].partition("@")[0]
        found.append(Arrival(keys.get(reference, reference), marked=mail["possible_duplicate"]))
    for text in recorded(folder / "texts"):
        flagged = text["possible_duplicate"] == "true"
        assert flagged == (MARK in text["text"]), "the SMS says one thing to the gateway and another to its reader"
        found.append(Arrival(text["key"], marked=flagged))
    return found
