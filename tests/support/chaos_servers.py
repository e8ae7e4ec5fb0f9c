"""Three providers in one process, each failing at random for a while: mail, a gateway that can be asked, a webhook.

`python -m support.chaos_servers --record FOLDER --seed 7` prints their ports as one line of JSON. Every message taken
is a line of `mails`, `texts` or `chats` in the folder before its answer is on the wire, every fault a line of `faults`,
every receipt the daemon took a line of `receipts`. The gateway calls back: once, early, late, twice, never, and with
two answers that contradict each other.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from channels.wire.identity import reference_of
from support.sms_gateway import Fault, FaultyServer, SmsGateway
from support.smtp_server import DROP, HALF, MALFORMED, SHUT, SLOW, SmtpServer
from support.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHARE = 0.15  # of all requests meets a fault while the storm lasts
CALLBACK_TOKEN = "not-a-real-callback-token"
ARRIVED, NOT_ARRIVED = "OK", "E7"  # what the gateway's receipts say
# What the gateway tells afterwards, and how often; seconds before each receipt.
RECEIPTS: dict[str, tuple[int, list[tuple[float, str]]]] = {
    "once": (12, [(0.5, ARRIVED)]),
    "at once": (3, [(0.0, ARRIVED)]),
    "twice": (3, [(0.3, ARRIVED), (0.2, ARRIVED)]),
    "late": (2, [(15.0, ARRIVED)]),
    "never": (2, []),
    "did not arrive": (1, [(0.5, NOT_ARRIVED)]),
    "contradictory": (2, [(0.3, ARRIVED), (1.0, NOT_ARRIVED)]),
}
CALL_AGAIN = 1.0  # seconds until a receipt that was not taken is told again
LATE = 4.0  # seconds until a slow answer; the time-outs of the daemon are shorter
OUTAGE = 2.0  # seconds a provider is not there at all
REFUSED = "E1"  # the gateway's code for a number that takes no messages
HTTP_FAULTS = {
    "drop": 4,
    "reset": 2,
    "shut": 1,
    "half": 3,
    "slow": 1,
    "429 3": 2,
    "500": 1,
    "503 2": 2,
    "malformed": 1,
    "truncated": 1,
}
# Which command of a mail meets what; the shares are of that command.
MAIL_FAULTS: dict[str, dict[str, float]] = {
    "CONNECT": {"421 4.3.2 busy": 0.03},
    "MAIL": {DROP: 0.01, SHUT: 0.005, "451 4.3.0 later": 0.01},
    "RCPT": {"450 4.7.1 too many": 0.02, "421 4.3.2 good-bye": 0.005},
    "DATA": {"451 4.3.0 later": 0.01},
    "BODY": {DROP: 0.03, HALF: 0.01, SLOW: 0.003, MALFORMED: 0.005, "452 4.3.1 full": 0.02, "554 5.3.0 no": 0.004},
}
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<?([^@>\r\n]*)", re.MULTILINE | re.IGNORECASE)
_MARKED = re.compile(rb"^X-Duban-Possible-Duplicate:", re.MULTILINE | re.IGNORECASE)


class Storm:
    """Draws the faults of one server from its seed, until it has seen as many requests as the storm lasts."""

    def __init__(self, name: str, seed: int, lasts: int, write: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._chance = random.Random(f"{seed}/{name}")
        self._name = name
        self._left = lasts
        self._write = write

    def draw(self, weights: Mapping[str, float], share: float | None = None) -> str | None:
        """One of these faults, or none; without a share the weights are the shares themselves."""
        self._left -= 1
        if self._left < 0:
            return None
        at, total = self._chance.random(), sum(weights.values())
        if at >= (total if share is None else share):
            return None
        at *= 1 if share is None else total / share
        for fault, weight in weights.items():
            at -= weight
            if at < 0:
                self.note(fault)
                return fault
        return None

    def note(self, fault: str) -> None:
        """Write down that it happened."""
        self._write("faults", {"server": self._name, "fault": fault})

    async def outages(self, server: FaultyServer | SmtpServer, times: int) -> None:
        """Now and then nothing listens there."""
        for _ in range(times):
            await asyncio.sleep(3 + 9 * self._chance.random())
            if self._left < 0:
                return
            self.note("refused")
            await server.stop()
            await asyncio.sleep(OUTAGE)
            await server.start(server.port)


class StormyMail(SmtpServer):
    """A mail server with PIPELINING in a storm."""

    def __init__(self, storm: Storm, taken: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self.late = LATE
        self.late_answer = "250 2.0.0 taken"  # true, for a daemon that was starved and reads it after all
        self._storm = storm
        self._taken = taken

    def fault(self, command: str) -> str | None:
        """The fault this command meets now, if any."""
        found = MAIL_FAULTS.get(command)
        return self._storm.draw(found) if found else None

    def keep(self, envelope: Any) -> None:
        """Write a mail down."""
        head = envelope.content.partition(b"\r\n\r\n")[0]
        named = _MESSAGE_ID.search(head)
        reference = named[1].decode() if named else ""
        self._taken({"reference": reference, "to": envelope.rcpt_tos[0], "marked": bool(_MARKED.search(head))})


class StormyGateway(SmsGateway):
    """A text gateway in a storm; it can be asked, and that may fail as well."""

    def __init__(self, storm: Storm, write: Callable[[str, Mapping[str, Any]], None], callback: str) -> None:
        super().__init__()
        self.late = LATE
        self.late_answer = (200, '{"code": "0"}')  # true, for a daemon that was starved and reads it after all
        self._storm = storm
        self._write = write
        self._callback = callback
        self._chance = random.Random(f"{callback}/receipts")
        self._calling: set[asyncio.Task[None]] = set()

    def tell_of(self, reference: str) -> None:
        """Begin to tell what became of a message that was taken."""
        names = list(RECEIPTS)
        (how,) = self._chance.choices(names, [RECEIPTS[name][0] for name in names])
        task = asyncio.create_task(self._tell(reference, how))
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)

    async def _find(self, request: web.Request) -> web.StreamResponse:
        self._write("asked", {"reference": request.match_info["reference"]})
        return await super()._find(request)

    async def _tell(self, reference: str, how: str) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for seconds, state in RECEIPTS[how][1]:
                await asyncio.sleep(seconds)
                while not await self._called(session, {"custom": reference, "state": state}):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(CALL_AGAIN)
                self._write("receipts", {"reference": reference, "state": state, "how": how})
        if not RECEIPTS[how][1]:
            self._write("receipts", {"reference": reference, "state": "", "how": how})

    async def _called(self, session: aiohttp.ClientSession, receipt: Mapping[str, str]) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.post(self._callback, json=receipt, headers={"X-Token": CALLBACK_TOKEN}) as answer:
                return answer.status < HTTPStatus.BAD_REQUEST
        return False

    def next_fault(self) -> Fault | None:
        """The fault this request meets."""
        found = self._storm.draw(HTTP_FAULTS | {f"refuse {REFUSED}": 0.5}, SHARE)
        return Fault.named(found) if found else None


class StormyWebhook(WebhookReceiver):
    """A receiver of signed requests in a storm; it cannot be asked."""

    def __init__(self, storm: Storm) -> None:
        super().__init__()
        self.late = LATE
        self.late_answer = (200, "{}")  # true, for a daemon that was starved and reads it after all
        self._storm = storm

    def next_fault(self) -> Fault | None:
        """The fault this request meets."""
        # any 2xx is an answer to a webhook: one that makes no sense counts as taken, and is
        found = self._storm.draw(HTTP_FAULTS | {"400": 0.3}, SHARE)
        return Fault.named(found) if found else None


class Providers:
    """The three of them, and where they write."""

    def __init__(self, folder: Path, seed: int, lasts: int, callback: str) -> None:
        self._folder = folder
        self._files: dict[str, int] = {}
        storms = {name: Storm(name, seed, lasts, self._write) for name in ("mail", "sms", "chat")}
        self._storms = storms
        self.mail = StormyMail(storms["mail"], lambda one: self._write("mails", one))
        self.sms = StormyGateway(storms["sms"], self._write, callback)
        self.chat = StormyWebhook(storms["chat"])
        self.sms.on_taken = self._text
        self.chat.on_taken = self._chat

    def _write(self, name: str, line: Mapping[str, Any]) -> None:
        if name not in self._files:
            self._files[name] = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._files[name], (json.dumps(line, ensure_ascii=False) + "\n").encode())

    def _text(self, fields: Mapping[str, Any]) -> None:
        marked = fields["possible_duplicate"] == "true"
        self._write("texts", {"reference": fields["reference"], "to": fields["to"], "marked": marked})
        self.sms.tell_of(fields["reference"])

    def _chat(self, event: Mapping[str, Any]) -> None:
        said = event["data"]
        reference = reference_of(said["key"])
        self._write("chats", {"reference": reference, "to": said["to"], "marked": said["possible_duplicate"]})

    async def serve(self, outages: int) -> None:
        """Until killed."""
        servers: dict[str, FaultyServer | SmtpServer] = {"mail": self.mail, "sms": self.sms, "chat": self.chat}
        for server in servers.values():
            await server.start()
        print(json.dumps({name: server.port for name, server in servers.items()}), flush=True)  # noqa: T201
        async with asyncio.TaskGroup() as away:
            for name, server in servers.items():
                away.create_task(self._storms[name].outages(server, outages))
        await asyncio.Event().wait()


def main() -> None:
    """Run them until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--callback", required=True, help="where the gateway tells what became of its messages")
    parser.add_argument("--lasts", type=int, default=10**9, help="requests of each server the storm lasts")
    parser.add_argument("--outages", type=int, default=2, help="times each server is not there at all")
    chosen = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Providers(chosen.record, chosen.seed, chosen.lasts, chosen.callback).serve(chosen.outages))


if __name__ == "__main__":
    main()
