"""A real Kannel on loopback: bearerbox, smsbox, and its fake SMSC at the far end. It ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

FAKE_SMSC = Path("/usr/lib/kannel/test/fakesmsc")
INSTALLED = shutil.which("bearerbox") is not None and FAKE_SMSC.exists()
USER, PASSWORD, SENDER = "duban", "not-a-real-password", "10690000"
_AT_MOST = "180"  # seconds; whatever becomes of the tests, nothing is left running
_PATIENCE = 20.0

_CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
smsbox-port = {smsbox}
smsbox-interface = 127.0.0.1
log-level = 2
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = FAKE
port = {smsc}
our-host = 127.0.0.1
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
global-sender = {sender}
log-level = 2

group = sendsms-user
username = {user}
password = {password}
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
get-url = "{inbound}"
max-messages = 0
"""


@dataclass(frozen=True)
class Part:
    """One text message as the far end got it: its words, and whether it is part of a longer one."""

    text: str
    joined: bool


class Kannel:
    """One gateway; `parts` is what has arrived at the far end, in order."""

    def __init__(self, folder: Path, inbound: str) -> None:
        self._folder = folder
        self._ports = dict(zip(("admin", "smsbox", "smsc", "sendsms"), _free_ports(4), strict=True))
        self._inbound = inbound
        self._running: list[Process] = []
        self._listening: asyncio.Task[None] | None = None
        self._arrived = asyncio.Condition()
        self.parts: list[Part] = []

    @property
    def url(self) -> str:
        """Where texts are handed in."""
        return f"http://127.0.0.1:{self._ports['sendsms']}/cgi-bin/sendsms"

    async def start(self, *texts: str) -> None:
        """Start everything; the fake SMSC then brings these texts in (`sender receiver text words`)."""
        file = self._folder / "kannel.conf"
        names = {"user": USER, "password": PASSWORD, "sender": SENDER, "inbound": self._inbound}
        file.write_text(_CONFIGURATION.format(**names, **self._ports), "utf-8")
        await self._run("bearerbox", "-v", "4", str(file))
        await _until_listening(self._ports["smsc"])
        await self._run("smsbox", "-v", "4", str(file))
        await _until_listening(self._ports["sendsms"])
        most = ("-m", str(len(texts)), "-i", "0.2") if texts else ("-m", "0")
        address = ("-H", "127.0.0.1", "-r", str(self._ports["smsc"]))
        far_end = await self._run(str(FAKE_SMSC), *address, *most, *(texts or (f"1 {SENDER} text -",)))
        self._listening = asyncio.create_task(self._listen(far_end))

    async def stop(self) -> None:
        """End what was started, the outermost first."""
        for process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in reversed(self._running):
            try:
                await asyncio.wait_for(process.wait(), _PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._running.clear()
        if self._listening is not None:
            await self._listening

    async def arrive(self, count: int) -> list[Part]:
        """Wait until so many parts have arrived, and take them."""
        async with self._arrived:
            await asyncio.wait_for(self._arrived.wait_for(lambda: len(self.parts) >= count), _PATIENCE)
            taken, self.parts = self.parts, []
        return taken

    async def _run(self, *command: str) -> Process:
        pipe = asyncio.subprocess.PIPE
        none = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            "timeout", _AT_MOST, *command, cwd=self._folder, stdin=none, stdout=none, stderr=pipe
        )
        self._running.append(process)
        if "fakesmsc" not in command[0]:
            asyncio.get_running_loop().create_task(_drain(process))  # ends with the process
        return process

    async def _listen(self, far_end: Process) -> None:
        assert far_end.stderr is not None
        while line := await far_end.stderr.readline():
            found = re.search(rb"Got message \d+: <\S+ \S+ (.*)>", line)
            if found is not None:
                async with self._arrived:
                    self.parts.append(_part(found[1]))
                    self._arrived.notify_all()


async def _drain(process: Process) -> None:
    assert process.stderr is not None
    while await process.stderr.readline():
        pass


def _part(said: bytes) -> Part:
    """As fakesmsc writes it: `text WORDS`, `ucs-2 BYTES` or `udh HEADER data BYTES`, each percent-encoded."""
    words = said.split(b" ")
    raw = unquote_to_bytes(words[-1].replace(b"+", b" "))
    return Part(raw.decode("ascii" if words[0] == b"text" else "utf-16-be"), joined=words[0] == b"udh")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


async def _until_listening(port: int) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@contextlib.asynccontextmanager
async def kannel(folder: Path, inbound: str, *texts: str) -> AsyncIterator[Kannel]:
    """A running Kannel that brings what comes in to `inbound`."""
    gateway = Kannel(folder, inbound)
    try:
        await gateway.start(*texts)
        yield gateway
    finally:
        await gateway.stop()
