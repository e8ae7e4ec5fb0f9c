"""Mails per second, from a due obligation to the server, against a bare aiosmtplib loop that sends ready bytes.

Ours: claim the due obligation, re-read the case from the shared database, decide, write notice and ledger durably,
render in Chinese (text and HTML), build, send, record. Theirs: `sendmail` in a loop over as many connections.
Same server, same run, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from statistics import median

from common import NOW, postgresql, scratch, server, show

ROUNDS = 5
CONNECTIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--postgresql", action="store_true")
    chosen = parser.parse_args()
    with server("support.smtp_server") as port:
        if chosen.postgresql:
            with postgresql() as url:
                asyncio.run(compare(port, chosen.mails, chosen.rounds, url))
        else:
            asyncio.run(compare(port, chosen.mails, chosen.rounds, ""))


async def compare(port: int, mails: int, rounds: int, store_url: str) -> None:
    ours: list[float] = []
    bare: list[float] = []
    for number in range(rounds):
        with scratch() as folder:
            raw, rate = await duban(folder / "office", port, mails, store_url if number == 0 else "")
            ours.append(rate)
        bare.append(await aiosmtplib_loop(port, raw, mails))
    show(f"{mails} mails of {len(raw)} bytes, {CONNECTIONS} connections", [("duban", ours), ("aiosmtplib", bare)], "/s")
    print(f"  ratio of medians {median(ours) / median(bare):.2f}")


async def duban(folder: Path, port: int, mails: int, store_url: str) -> tuple[bytes, float]:
    from daemon.clock import ManualClock  # noqa: PLC0415
    from daemon.settings import load  # noqa: PLC0415
    from daemon.store import Store  # noqa: PLC0415
    from daemon.wiring import open_node  # noqa: PLC0415
    from support.office import build_office  # noqa: PLC0415

    office = build_office(folder, cases=mails, arrived=NOW.replace(tzinfo=None), smtp_port=port, store_url=store_url)
    policy = folder / "policies" / "office.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("via: [sms, email]", "via: [email]"), encoding="utf-8")
    configuration = load(office.configuration)
    Store.migrate(configuration.settings.store.url)
    clock = ManualClock(NOW.replace(hour=9))
    node = open_node(configuration, clock)
    await node.sync()
    begun = time.perf_counter()
    await node.tick()
    decided = time.perf_counter()
    sent = await node.pump()
    ended = time.perf_counter()
    assert sent == mails, sent
    print(f"  decided {mails / (decided - begun):,.0f}/s, sent and recorded {mails / (ended - decided):,.0f}/s")
    raw = _sample(node)
    await node.close()
    return raw, mails / (ended - begun)


def _sample(node: object) -> bytes:
    """The bytes of one of the mails just sent, for the bare loop."""
    from channels.wire.mime import MailFrame  # noqa: PLC0415
    from daemon.wiring import renderer_of  # noqa: PLC0415

    delivery = node.store.deliveries(limit=1)[0]  # type: ignore[attr-defined]
    official = node.store.directory()[0].officials[delivery.notice.person]  # type: ignore[attr-defined]
    message = renderer_of(node.configuration).render(delivery.notice, official, "email")  # type: ignore[attr-defined]
    settings = node.configuration.channel_settings["email"]  # type: ignore[attr-defined]
    return MailFrame.of(settings).build(message).content


async def aiosmtplib_loop(port: int, raw: bytes, mails: int) -> float:
    import aiosmtplib  # noqa: PLC0415

    left = iter(range(mails))

    async def one() -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False)
        await client.connect()
        for _ in left:
            await client.sendmail("duban@example.com", ["handler@example.com"], raw)
        await client.quit()

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return mails / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
