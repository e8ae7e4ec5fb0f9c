"""What a claim costs with much waiting for later and in a flood; what a slow provider costs those beside it.

    python benchmarks/bench_claims.py [--postgresql] [--full]

Claims: one batch of 64 from a store where that much is held until tomorrow, and where so much is due for one person.
Providers: two behind one channel, one of them at a tenth of the other's speed; how fast the quick one gets through its
share, against the same share with nobody beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from common import NOW, postgresql, scratch, show

from channels.base import Receipt
from daemon.clock import ManualClock
from daemon.engine import Engine
from daemon.render import renderer_of
from daemon.sender import Sender
from daemon.settings import load
from daemon.sharing import Sharing
from daemon.store import Store
from daemon.ways import WayOut
from daemon.wiring import open_node, rules_of
from support.office import build_office
from support.store_values import notice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from channels.base import Message, Outcome
    from policies.model import Notice

BATCH = 64
PAGE = 5000  # notices added at a time
QUICK, SLOW = 0.02, 0.2  # seconds a message takes a provider that sends eight at once: 400 and 40 a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgresql", action="store_true", help="the store on PostgreSQL, fsync on")
    parser.add_argument("--full", action="store_true", help="100,000 held, a flood of 20,000, 2,000 messages")
    chosen = parser.parse_args()
    held, flood, messages = (100_000, 20_000, 2000) if chosen.full else (10_000, 5_000, 500)
    print(f"store on {'PostgreSQL' if chosen.postgresql else 'SQLite'}")
    rows: list[tuple[str, Sequence[float]]] = []
    for later, due in ((0, 0), (held // 10, 0), (held, 0), (0, flood), (held, flood)):
        with scratch() as folder, postgresql() if chosen.postgresql else nullcontext("") as url:
            rows.append((f"{later:,} held, {due:,} due for one person", claims(folder, url, later, due)))
    show(f"a claim of {BATCH} beside 2,000 due for a thousand people", rows, "ms")
    with scratch() as folder, postgresql() if chosen.postgresql else nullcontext("") as url:
        asyncio.run(providers(folder, url, messages))


# --- claims -----------------------------------------------------------------------------------------------------------


def claims(folder: Path, url: str, later: int, due: int) -> list[float]:
    """Milliseconds of each of twenty claims."""
    url = url or f"sqlite:///{folder / 'duban.sqlite'}"
    Store.migrate(url)
    store = Store(url)
    add(store, [notice(f"held/{n}", person=f"p{n % 1000}", hold_until=NOW + timedelta(days=1)) for n in range(later)])
    add(store, [notice(f"flood/{n}", person="flooded") for n in range(due)])
    add(store, [notice(f"due/{n}", person=f"p{n % 1000}") for n in range(2000)])
    epoch = store.open_worker("bench", 1, NOW)
    store.record(epoch, (), NOW, BATCH, ["sms"])
    took: list[float] = []
    for _ in range(20):
        begun = time.perf_counter()
        claimed = store.record(epoch, (), NOW, BATCH, ["sms"])
        took.append((time.perf_counter() - begun) * 1000)
        assert len(claimed) == BATCH
    store.close()
    return took


def add(store: Store, notices: list[Notice]) -> None:
    for begin in range(0, len(notices), PAGE):
        store.add_notices(None, notices[begin : begin + PAGE], [], "v1", NOW)


# --- providers --------------------------------------------------------------------------------------------------------


@dataclass
class Provider:
    """Takes eight messages at once, each in that many seconds; remembers when."""

    seconds: float
    at_once: int = 8
    taken: list[float] = field(default_factory=list[float])
    settings_type: Any = None
    kind: str = "sms"

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """As many at once as it takes."""
        for begin in range(0, len(messages), self.at_once):
            await asyncio.sleep(self.seconds)
            self.taken += [time.perf_counter()] * len(messages[begin : begin + self.at_once])
        return [Receipt("r") for _ in messages]

    async def lookup(self, message: Message) -> Receipt | None:
        """It can always say."""
        del message
        return None

    async def close(self) -> None:
        """Nothing to close."""


async def providers(folder: Path, url: str, messages: int) -> None:
    """Messages a second of the quick one alone, beside an equal, beside one at a tenth of its speed."""
    rows: list[tuple[str, list[float]]] = [("alone", []), ("beside an equal", []), ("beside one at a tenth of it", [])]
    configuration = load(
        build_office(folder / "office", cases=1, arrived=NOW.replace(tzinfo=None), store_url=url).configuration
    )
    Store.migrate(configuration.settings.store.url)
    node = open_node(configuration, ManualClock(NOW))
    await node.sync()
    for round_ in range(3):
        for name, (row, rates) in enumerate(rows):
            del row
            beside = None if name == 0 else Provider(QUICK if name == 1 else SLOW)
            rates.append(await rate(node, f"{round_}/{name}", beside, messages))
    await node.close()
    show(f"{messages} messages over the quicker of two providers behind one channel", rows, "/s")
    alone = rows[0][1]
    for name, rates in rows[1:]:
        print(f"  {name} : alone, median of the rounds {median(a / b for a, b in zip(rates, alone, strict=True)):.2f}")


async def rate(node: Any, mark: str, beside: Provider | None, messages: int) -> float:  # noqa: ANN401 - a node
    """How fast the quick one gets through its share: all of the messages if it is alone, else half of twice as many."""
    quick = Provider(QUICK)
    ways = {"quick": WayOut("quick", "sms", quick)}
    if beside is not None:
        ways["other"] = WayOut("other", "sms", beside)
    number = messages if beside is None else 2 * messages
    facts = {"alert_title": "t", "alert_text": "t"}
    add(
        node.store,
        [
            notice(f"{mark}/{n}", case_key="", person="h0", channel=f"sms{mark}", say="alert", facts=facts)
            for n in range(number)
        ],
    )
    rules = rules_of(node.configuration)
    engine = Engine(node.store, node.source, rules, node.epoch)
    with ThreadPoolExecutor(4 if "postgresql" in node.configuration.settings.store.url else 1) as pool:
        sharing = {f"sms{mark}": Sharing(providers=dict.fromkeys(ways, 1))}
        sender = Sender(engine, ways, renderer_of(node.configuration), ManualClock(NOW), pool, sharing)
        begun = time.perf_counter()
        pump = asyncio.create_task(sender.pump())
        while len(quick.taken) < number // len(ways) * 0.95:  # noqa: ASYNC110 - measured, not signalled
            await asyncio.sleep(0.005)
        took = quick.taken[-1] - begun
        done = len(quick.taken)
        sender.stop()
        await pump
    return done / took


if __name__ == "__main__":
    main()
