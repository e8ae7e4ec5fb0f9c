"""A mailbox on loopback that speaks as much IMAP4rev1 (RFC 3501) as reading bounces needs, with faults."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Collection


@dataclass
class KeptMail:
    """A mail in the mailbox."""

    content: bytes
    flags: set[str] = field(default_factory=set)


class ImapServer:
    """One mailbox. `fault` is what one command is answered instead (`FETCH NO busy`), `drop`, or `hang`."""

    def __init__(
        self,
        *,
        password: str = "not-a-real-password",  # noqa: S107  # of a server that lives for a second
        tokens: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
    ) -> None:
        self.mails: dict[int, KeptMail] = {}
        self.commands: list[str] = []
        self.fault = ""
        self.folder = "INBOX"
        self.validity = 1
        self.port = 0
        self._password = password
        self._tokens = tokens
        self._tls = tls
        self._starttls = starttls
        self._released = asyncio.Event()
        self._conversations: set[asyncio.Task[Any]] = set()

    def receive(self, content: bytes) -> None:
        """A mail arrives."""
        self.mails[len(self.mails) + 1] = KeptMail(content)

    @property
    def read(self) -> list[int]:
        """The numbers of the mails marked as read."""
        return [number for number, mail in self.mails.items() if r"\Seen" in mail.flags]

    async def start(self) -> None:
        """Listen on loopback."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every conversation."""
        self._released.set()
        self._server.close()
        if self._conversations:
            await asyncio.wait(self._conversations, timeout=5)
        await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._conversations.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag, _, command = line.decode().rstrip("\r\n").partition(" ")
            verb = command.upper().removeprefix("UID ").partition(" ")[0]
            self.commands.append(verb)
            if self.fault == "drop":
                return
            if self.fault == "hang":
                await self._released.wait()
                return
            if self.fault and self.fault.partition(" ")[0] == verb:
                writer.write(f"{tag} {self.fault.removeprefix(verb).strip()}\r\n".encode())
                continue
            if verb == "AUTHENTICATE":
                answer = await self._authenticated(reader, writer)
            elif verb == "STARTTLS" and self._starttls is not None:
                writer.write(f"{tag} OK begin\r\n".encode())
                await writer.drain()
                await writer.start_tls(self._starttls)
                continue
            else:
                answer = self._answer(verb, command, writer)
            writer.write(f"{tag} {answer}\r\n".encode())
            await writer.drain()
            if verb == "LOGOUT":
                return

    def _answer(  # noqa: C901  # one branch per command
        self, verb: str, command: str, writer: asyncio.StreamWriter
    ) -> str:
        if verb == "CAPABILITY":
            offered = " STARTTLS" if self._starttls is not None else ""
            writer.write(f"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2{offered}\r\n".encode())
        elif verb == "LOGIN":
            if f'"{self._password}"' not in command:
                return "NO [AUTHENTICATIONFAILED] wrong"
        elif verb == "SELECT":
            if command.split(" ", 1)[1] != f'"{self.folder}"':
                return "NO no such folder"
            writer.write(f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] ok\r\n".encode())
            return "OK [READ-WRITE] done"
        elif verb == "SEARCH":
            unseen = [str(number) for number in self.mails if number not in self.read]
            writer.write(f"* SEARCH {' '.join(unseen)}".rstrip().encode() + b"\r\n")
        elif verb == "FETCH":
            self._fetch(command, writer)
        elif verb == "STORE":
            for number in re.findall(r"\d+", command.split()[2]):
                self.mails[int(number)].flags.add(r"\Seen")
        elif verb == "LOGOUT":
            writer.write(b"* BYE\r\n")
        else:
            return "BAD what is this?"
        return "OK done"

    def _fetch(self, command: str, writer: asyncio.StreamWriter) -> None:
        found = re.fullmatch(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", command)
        assert found is not None, command
        content = self.mails[int(found[1])].content[: int(found[2])]
        writer.write(f"* {found[1]} FETCH (UID {found[1]} BODY[]<0> {{{len(content)}}}\r\n".encode())
        writer.write(content + b")\r\n")

    async def _authenticated(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(b"+ \r\n")
        said = base64.b64decode(await reader.readline()).decode().split("\1")
        if said[0] == "user=duban" and said[1].removeprefix("auth=Bearer ") in self._tokens:
            return "OK welcome"
        writer.write(b"+ " + base64.b64encode(b'{"status":"400"}') + b"\r\n")
        await reader.readline()
        return "NO refused"


@contextlib.asynccontextmanager
async def imap_server(**options: Any) -> AsyncIterator[ImapServer]:
    """A running mailbox."""
    server = ImapServer(**options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
