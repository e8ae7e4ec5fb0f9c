"""One office over three providers that fail at random, its daemons killed at random: what everybody says afterwards.

The providers (`support.chaos_servers`) write down what they took before they answer. The daemons are real processes on
the real clock. What is promised and looked at in the end, from the providers' own records and the store:

- nothing is lost: every notice was taken by its provider, or is on record as failed and was passed on;
- the gateway, which can be asked, got nothing twice;
- what the others got twice says so to its reader, and in the outbox;
- every state is final, the audit finds nothing, the ledger verifies.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from channels.wire.identity import reference_of
from daemon.store import Store
from daemon.store.values import FINAL, DeliveryState
from support.chaos_servers import ARRIVED, CALLBACK_TOKEN, REFUSED
from support.daemon_process import DUBAN, TESTS, duban, environment, recorded
from support.office import build_office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from daemon.store.values import Audit, Delivery
    from support.office import Office

PAGE = 10_000
AUDIT_GRACE = timedelta(minutes=5)
ASKED = "sms"  # the channel whose provider can be asked
RECORDS = {"email": "mails", "sms": "texts", "chat": "chats"}
WEBHOOK_SECRET = "whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LWxvbmc="
ALL_OF_THEM = "via: [sms, email, chat]"
ONE_AFTER_THE_OTHER = "via: {in_order: [sms, chat, email], wait: 1 分钟}"
SLOW_TO_END = 1800.0  # seconds after the last kill; retries wait longer each time
LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Chaos:
    """How much there is to send and how much goes wrong."""

    notices: int
    kills: int
    seed: int
    nodes: int = 1
    in_order: bool = False  # one channel after the other, instead of all of them for every case
    storm: int = 0  # requests of each server the storm lasts; 0: as many as it has notices

    @property
    def per_case(self) -> int:
        """How many notices each case has at least."""
        return 1 if self.in_order else len(RECORDS)

    @property
    def cases(self) -> int:
        """As many as give so many notices."""
        return -(-self.notices // self.per_case)


@dataclass(frozen=True)
class Taken:
    """One message as a provider wrote it down."""

    channel: str
    reference: str
    marked: bool


@dataclass
class Aftermath:
    """What the providers and the store say when all is over."""

    chaos: Chaos
    deliveries: Sequence[Delivery]
    taken: Sequence[Taken]
    faults: Counter[str]
    receipts: Sequence[Mapping[str, str]]  # what the gateway told and the daemon took
    asked: int  # questions to the gateway
    kinds: Counter[str]  # lines of the ledger by kind
    passed_on: frozenset[str]  # notices the ledger says another channel, or somebody else, was told instead
    in_flight: Sequence[int]  # at each kill
    seconds: float
    sending_seconds: float
    ledger: int
    audit: Audit
    errors: list[str] = field(default_factory=list[str])

    @property
    def by_notice(self) -> dict[str, list[Taken]]:
        """What the providers took of each notice, in order."""
        keys = {(one.notice.channel, reference_of(one.notice.key)): one.notice.key for one in self.deliveries}
        found: dict[str, list[Taken]] = {}
        for one in self.taken:
            found.setdefault(keys.get((one.channel, one.reference), f"?{one.reference}"), []).append(one)
        return found

    def doubled(self, *channels: str) -> list[str]:
        """Notices whose provider took them more than once."""
        return [
            key for key, arrivals in self.by_notice.items() if len(arrivals) > 1 and arrivals[0].channel in channels
        ]

    def broken(self) -> list[str]:
        """Every promise that was broken; empty when all were kept."""
        arrived, marks = self.by_notice, {one.notice.key: one.possible_duplicate for one in self.deliveries}
        others = [channel for channel in RECORDS if channel != ASKED]
        doubled = self.doubled(*others)
        failed = [one for one in self.deliveries if one.state is DeliveryState.FAILED]
        wrong = [
            ("notices nobody planned", [key for key in arrived if key.startswith("?")]),
            (
                "fewer notices than planned",
                ["-"] * max(0, self.chaos.per_case * self.chaos.cases - len(self.deliveries)),
            ),
            ("not final", [one.notice.key for one in self.deliveries if one.state not in FINAL]),
            ("cancelled", [one.notice.key for one in self.deliveries if one.state is DeliveryState.CANCELLED]),
            (
                "said to be accepted and never taken",
                [one.notice.key for one in self._accepted() if one.notice.key not in arrived],
            ),
            ("failed and not passed on", [one.notice.key for one in failed if one.notice.key not in self.passed_on]),
            ("doubled where the provider can be asked", self.doubled(ASKED)),
            ("doubled without a mark", [key for key in doubled if not all(one.marked for one in arrived[key][1:])]),
            ("doubled, not marked in the outbox", [key for key in doubled if not marks[key]]),
            ("people told by nobody", self._untold()),
            ("arrived, and the store does not know", self._not_known_to_have_arrived()),
            ("`duban ledger verify` found something", ["-"] * self.ledger),
            ("obligations unaccounted for", ["-"] * self.audit.unaccounted),
            ("overdue checks", ["-"] * self.audit.overdue_checks),
            ("a daemon ended by itself", self.errors),
        ]
        return [f"{what}: {len(which)}, such as {which[0]}" for what, which in wrong if which]

    def _accepted(self) -> list[Delivery]:
        return [one for one in self.deliveries if one.state in {DeliveryState.ACCEPTED, DeliveryState.DELIVERED}]

    def _not_known_to_have_arrived(self) -> list[str]:
        """Texts whose receipts, taken by the daemon, say that they arrived, and the store does not.

        Where all receipts say so the state says it too; where another contradicts it, the moment of arrival is kept.
        """
        told: dict[str, set[str]] = {}
        for one in self.receipts:
            told.setdefault(one["reference"], set()).add(one["state"])
        texts = {reference_of(one.notice.key): one for one in self.deliveries if one.notice.channel == ASKED}
        arrived = [(texts[reference], states) for reference, states in told.items() if ARRIVED in states]
        return [
            f"{one.notice.key}, {one.state.value} {one.error} after {one.attempts}, told {sorted(states)}"
            for one, states in arrived
            if one.delivered_at is None or (states == {ARRIVED} and one.state is not DeliveryState.DELIVERED)
        ]

    def _untold(self) -> list[str]:
        """People of a case whom no channel has reached, though a notice was meant for them and nobody else was told."""
        reached = {(one.notice.case_key, one.notice.person) for one in self._accepted()}
        meant = {(one.notice.case_key, one.notice.person) for one in self.deliveries}
        return [f"{case} {person}" for case, person in meant - reached if not self.kinds["fell_upward"]]

    def _told(self) -> Counter[str]:
        return Counter(how for _, how in {(one["reference"], one["how"]) for one in self.receipts})

    def figures(self) -> dict[str, str]:
        """The same as a table's column."""
        states = Counter(one.state.value for one in self.deliveries)
        others = [channel for channel in RECORDS if channel != ASKED]
        marked = sum(one.marked for one in self.taken)
        return {
            "seed": str(self.chaos.seed),
            "nodes": str(self.chaos.nodes),
            "kills": str(len(self.in_flight)),
            "  messages in flight at them": str(sum(self.in_flight)),
            "faults": str(sum(self.faults.values())),
            **{f"  {name}": str(number) for name, number in sorted(self.faults.items())},
            "notices": str(len(self.deliveries)),
            "messages taken by the providers": str(len(self.taken)),
            **{f"  {state}": str(number) for state, number in sorted(states.items())},
            "lost": str(sum(one.notice.key not in self.by_notice for one in self._accepted())),
            "in doubt, times": str(self.kinds["in_doubt"]),
            "asked, times": str(self.asked),
            "doubled where the provider can be asked": str(len(self.doubled(ASKED))),
            "doubled where it cannot": str(len(self.doubled(*others))),
            "messages marked": str(marked),
            "receipts taken": str(sum(bool(one["state"]) for one in self.receipts)),
            **{f"  messages told of {how}": str(number) for how, number in sorted(self._told().items())},
            "failed and passed on": str(len(self.passed_on)),
            "broken promises": str(len(self.broken())),
            "duration": f"{self.seconds:.0f} s",
            "notices a second while they went out": f"{len(self.deliveries) / self.sending_seconds:.0f}",
        }


def run_chaos(folder: Path, store_url: str, chaos: Chaos, say: Callable[[int, int, str], None]) -> Aftermath:
    """Let it happen. `store_url` empty: SQLite. `say` hears how many notices are final, of how many, and news."""
    begun = time.monotonic()
    console = free_port()
    with _providers(folder, chaos, f"http://127.0.0.1:{console}/in/sms") as ports:
        office = _office(folder, store_url, chaos, {**ports, "console": console})
        migrated = duban("migrate", "-c", office.configuration)
        assert migrated.returncode == 0, migrated.stderr
        store = Store(store_url or f"sqlite:///{office.folder / 'duban.db'}")
        try:
            nodes = Nodes(folder, office.configuration, store, chaos, say)
            try:
                nodes.live()
            finally:
                nodes.end()
            audit = store.audit(datetime.now(UTC), AUDIT_GRACE)
            verified = duban("ledger", "verify", "-c", office.configuration)
            deliveries = _outbox(store)
            kinds, passed_on = _ledger(store, deliveries)
            taken = [
                Taken(channel, one["reference"], one["marked"])
                for channel, name in RECORDS.items()
                for one in recorded(folder / name)
            ]
            faults = Counter(f"{one['server']} {one['fault']}" for one in recorded(folder / "faults"))
            return Aftermath(
                chaos,
                deliveries,
                taken,
                faults,
                recorded(folder / "receipts"),
                len(recorded(folder / "asked")),
                kinds,
                passed_on,
                nodes.in_flight,
                time.monotonic() - begun,
                nodes.sending_seconds or 1.0,
                verified.returncode,
                audit,
                nodes.errors,
            )
        finally:
            store.close()


class Nodes:
    """Daemons that are killed and started again."""

    def __init__(
        self, folder: Path, configuration: Path, store: Store, chaos: Chaos, say: Callable[[int, int, str], None]
    ) -> None:
        self._folder = folder
        self._configuration = configuration
        self._store = store
        self._chaos = chaos
        self._say = say
        self._chance = random.Random(chaos.seed)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.in_flight: list[int] = []
        self.errors: list[str] = []
        self.sending_seconds = 0.0

    def live(self) -> None:
        """Kill as often as asked while there is work, and wait until all is final."""
        begun = time.monotonic()
        for number in range(self._chaos.nodes):
            self._start(number)
        for kill in range(1, self._chaos.kills + 1):
            self._wait(until=self._share() * kill / (self._chaos.kills + 1), at_most=5)
            time.sleep(self._chance.random())  # a random moment; there is nothing else to wait for
            self._kill(kill)
        deadline = time.monotonic() + SLOW_TO_END
        while not self._over() or not self._all_told():
            assert time.monotonic() < deadline, f"not over: {self._store.counts()['deliveries']}"
            self._look("")
        self.sending_seconds = time.monotonic() - begun

    def end(self) -> None:
        """Tell all to stop."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for number, process in enumerate(self._processes):
            code = process.wait(60)
            if code:
                self.errors.append(f"node {number} ended with {code}")

    def _share(self) -> float:
        """How many notices are to be final before the last kill: they fall between the first and the last message."""
        return 0.9 * self._chaos.per_case * self._chaos.cases

    def _start(self, number: int) -> None:
        with (self._folder / f"log{number}").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [str(DUBAN), "run", "--config", str(self._configuration)],
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes[number : number + 1] = [process]

    def _kill(self, kill: int) -> None:
        number = self._chance.randrange(self._chaos.nodes)
        process = self._processes[number]
        if process.poll() is not None:
            self.errors.append(f"node {number} ended by itself with {process.returncode}")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        flying = len(_outbox(self._store, DeliveryState.SENDING))
        self.in_flight.append(flying)
        self._look(f"kill {kill}: node {number}, {flying} in flight")
        time.sleep(2 * self._chance.random())
        self._start(number)

    def _wait(self, until: float, at_most: float) -> None:
        end = time.monotonic() + at_most
        while self._final() < until and time.monotonic() < end:
            self._look("")

    def _look(self, happened: str) -> None:
        time.sleep(LOOK_EVERY)
        final = self._final()
        self._say(final, max(final, self._chaos.per_case * self._chaos.cases), happened)

    def _final(self) -> int:
        by_state = self._store.counts()["deliveries"]
        return sum(by_state.get(state.value, 0) for state in FINAL)

    def _all_told(self) -> bool:
        """Whether the gateway has nothing more to tell, and the daemon has taken over what it was told."""
        taken = {one["reference"] for one in recorded(self._folder / "texts")}
        told = {one["reference"] for one in recorded(self._folder / "receipts")}
        return taken <= told and self._store.inbox_waiting() == 0

    def _over(self) -> bool:
        by_state = self._store.counts()["deliveries"]
        final = sum(by_state.get(state.value, 0) for state in FINAL)
        waiting = self._store.next_delivery_at()  # also for a receipt, whose end brings the next channel
        return final >= self._chaos.per_case * self._chaos.cases and final == sum(by_state.values()) and waiting is None


@contextmanager
def _providers(folder: Path, chaos: Chaos, callback: str) -> Iterator[Mapping[str, int]]:
    storm = str(chaos.storm or chaos.cases)
    command = [sys.executable, "-m", "support.chaos_servers", "--record", str(folder), "--seed", str(chaos.seed)]
    with subprocess.Popen(  # noqa: S603 - our own module
        [*command, "--lasts", storm, "--callback", callback],
        env=environment(),
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _office(folder: Path, store_url: str, chaos: Chaos, ports: Mapping[str, int]) -> Office:
    """One notice per case and channel; the time-outs are shorter than the slow answers."""
    arrived = datetime.now().replace(microsecond=0) - timedelta(hours=1)  # noqa: DTZ005 - the platform writes local time
    office = build_office(
        folder / "office",
        cases=chaos.cases,
        arrived=arrived,
        smtp_port=ports["mail"],
        sms_port=ports["sms"],
        store_url=store_url,
        calendar="weekdays",
    )
    office.change("policies/office.yaml", "via: [sms, email]", ONE_AFTER_THE_OTHER if chaos.in_order else ALL_OF_THEM)
    office.change(
        "duban.yaml", "    connections: 4\n", "    connections: 4\n    command_timeout: 2\n    body_timeout: 2\n"
    )
    address = f"http://127.0.0.1:{ports['sms']}/sms"
    fields = {name: f"{{{name}}}" for name in ("reference", "to", "text", "possible_duplicate")}
    present, absent = {"json": {"found": True}}, {"json": {"found": False}}
    gateway: dict[str, Any] = {
        "type": "http",
        "url": address,
        "body": {"format": "json", "content": fields},
        "success": {"json": {"code": "0"}},
        "code": {"json": "code"},
        "errors": {"permanent": [REFUSED]},
        "reference": {"json": "data.id"},
        "timeout": 2,
        "secrets": {"callback_token": CALLBACK_TOKEN},
        "calls": {
            "proof": {"header": "X-Token", "equals": "{callback_token}"},
            "receipts": {"ours": {"json": "custom"}, "status": {"json": "state"}, "delivered": [ARRIVED]}
            | {"unlisted": "failed"},
        },
        "lookup": {"url": f"{address}/{{reference}}", "present": present, "absent": absent},
    }
    office.put_channel("sms", gateway)
    public = f"http://127.0.0.1:{ports['console']}"
    office.put(
        "console",
        {"listen": public.removeprefix("http://"), "public_url": public, "secret": "invented secret of chaos"},
    )
    chat = {"type": "webhook", "url": f"http://127.0.0.1:{ports['chat']}/duban", "secret": WEBHOOK_SECRET}
    office.put_channel("chat", chat | {"kind": "sms", "timeout": 2})
    return office


def _outbox(store: Store, *states: DeliveryState) -> list[Delivery]:
    found: list[Delivery] = []
    while page := store.deliveries(states=states or None, limit=PAGE, after_id=found[-1].id if found else 0):
        found += page
    return found


def _ledger(store: Store, deliveries: Sequence[Delivery]) -> tuple[Counter[str], frozenset[str]]:
    """How many lines of each kind there are, and which notices were passed on."""
    kinds: Counter[str] = Counter()
    passed_on: set[str] = set()
    for case in sorted({one.notice.case_key for one in deliveries}):
        lines = store.ledger(case)
        kinds.update(line.kind for line in lines)
        fell = [line for line in lines if line.kind == "fell_upward"]
        failed = [one.notice.key for one in deliveries if one.notice.case_key == case]
        passed_on |= {str(line.body["notice"]) for line in lines if line.kind == "other_channel"}
        if fell:
            passed_on |= set(failed)
    return kinds, frozenset(passed_on)
