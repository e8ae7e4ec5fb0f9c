"""Two mail servers for tests.

`SmtpServer` is a full one (aiosmtpd): TLS, login, a fault per command, received mails parsed.
`FastSink` takes mails as fast as Python can and writes a line about each, before it answers; it runs as a process:
`python -m support.smtp_server --port 0 --record FILE` prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import email.policy
import json
import os
import re
import warnings
from collections import defaultdict, deque
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Collection

DROP, HANG, SLOW, MALFORMED, HALF = "drop", "hang", "slow", "malformed", "half"
SHUT = "shut"  # shuts its side of the connection and leaves the other open
_LOSING = {DROP, HANG, SLOW, MALFORMED, HALF, SHUT}  # after the body these lose the answer, not the mail


class Mails(list[EmailMessage]):
    """The mails a server has accepted, parsed by the standard library."""

    @property
    def subjects(self) -> list[str]:
        """Their subjects, as a reader sees them."""
        return [str(mail["Subject"]) for mail in self]


class SmtpServer:
    """A mail server on loopback; faults are switched on with `fail`."""

    def __init__(
        self,
        *,
        pipelining: bool = True,
        smtputf8: bool = True,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        password: str | None = None,
        dsn: bool = False,
        tokens: Collection[str] | None = None,
    ) -> None:
        self.mails = Mails()
        self.contents: list[bytes] = []
        self.dsn = dsn
        self.asked_reports: list[dict[str, str]] = []
        self.tokens = tokens
        self.recipients: list[str] = []
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0
        self.hanging = asyncio.Event()
        self.late: float | None = None  # seconds until a slow answer comes by itself; None: when it is released
        self.late_answer = "554 too late to be the answer to anything"
        self.released = asyncio.Event()
        self.pipelining = pipelining
        self._smtputf8 = smtputf8
        self._tls = tls
        self._starttls = starttls
        self._password = password
        self._faults: defaultdict[str, deque[str]] = defaultdict(deque)
        self._lasting: dict[str, str] = {}
        self._sessions: set[Any] = set()
        self._server: asyncio.Server | None = None

    def fail(self, command: str, *answers: str, lasting: bool = False) -> None:
        """Answer the next times so instead: `CONNECT`, `MAIL`, `RCPT`, `DATA`, or `BODY` after the final dot.

        An answer is a line such as `451 4.3.0 later`, or DROP, HANG, SLOW, MALFORMED, HALF, SHUT; an empty one is
        no fault.
        """
        if lasting:
            self._lasting[command] = answers[0]
        else:
            self._faults[command].extend(answers)

    def mend(self) -> None:
        """Answer as usual again."""
        self._faults.clear()
        self._lasting.clear()

    def fault(self, command: str) -> str | None:
        """The fault this command meets now, if any."""
        waiting = self._faults[command]
        return (waiting.popleft() if waiting else self._lasting.get(command)) or None

    async def start(self, port: int = 0) -> None:
        """Listen on loopback, again after a stop."""
        self.released.clear()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def drop_all(self) -> None:
        """Break every connection, as a restart of the relay does."""
        for session in list(self._sessions):
            if session.transport is not None:
                session.transport.abort()
        self._sessions.clear()

    async def stop(self) -> None:
        """Let go of what hangs, close the listener and every connection."""
        self.released.set()
        if self._server is not None:
            self._server.close()
            self.drop_all()
            await self._server.wait_closed()

    def _session(self) -> Any:
        self.connections += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # aiosmtpd warns of a login without TLS; on loopback it is what we test
            session = _Session(
                self,
                tls_context=self._starttls,
                authenticator=self._authenticate if self._password else None,
                auth_require_tls=False,
                auth_required=self._password is not None or self.tokens is not None,
                auth_exclude_mechanism=() if self._password else ("LOGIN", "PLAIN"),
                enable_SMTPUTF8=self._smtputf8,
                hostname="relay.example",
                ident="test",
            )
        self._sessions.add(session)
        return session

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        del server, session, envelope, mechanism
        return AuthResult(success=data.password == (self._password or "").encode(), handled=False)

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING and DSN if this server does."""
        del server, envelope
        session.host_name = hostname
        offered = [word for word, is_offered in (("PIPELINING", self.pipelining), ("DSN", self.dsn)) if is_offered]
        return [*responses[:-1], *(f"250-{word}" for word in offered), responses[-1]]

    async def auth_XOAUTH2(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802  # aiosmtpd's name
        """Take one of the tokens for the user duban; otherwise tell why, as the large providers do, and refuse."""
        said = base64.b64decode(args[1]).decode().split("\1")
        if said[0] == "user=duban" and said[1].removeprefix("auth=Bearer ") in (self.tokens or ()):
            return AuthResult(success=True, auth_data="duban")
        await server.push("334 " + base64.b64encode(b'{"status":"400"}').decode())
        await server._reader.readline()
        return AuthResult(success=False, handled=False)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Keep the mail, unless the body meets a fault that refuses it."""
        del session
        fault = self.fault("BODY")
        if fault is None or fault in _LOSING:
            self.keep(envelope)
        if fault is not None and await server.meet(fault):
            return ""
        return fault or f"250 2.0.0 queued as Q{len(self.mails)}"

    async def lateness(self) -> None:
        """Until a slow answer comes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.released.wait(), self.late)

    def keep(self, envelope: Any) -> None:
        """Take a mail, before its answer is on the wire."""
        self.contents.append(envelope.content)
        self.mails.append(BytesParser(EmailMessage, policy=email.policy.default).parsebytes(envelope.content))  # type: ignore[arg-type]
        self.recipients.extend(envelope.rcpt_tos)


class _Session(SMTP):
    """One connection, with the server's faults before each command."""

    async def meet(self, fault: str) -> bool:
        """Do what the fault says; false if it is just a line to answer."""
        if fault == HANG:
            self.event_handler.hanging.set()
            await self.event_handler.released.wait()
            return True
        if fault == SLOW:
            self.event_handler.hanging.set()
            await self.event_handler.lateness()
            with contextlib.suppress(ConnectionError):  # whoever waited has left
                await self.push(self.event_handler.late_answer)
            return True
        if fault == SHUT:
            self.transport.write_eof()
            await self.event_handler.lateness()
            return True
        if fault == DROP:
            self.transport.abort()
        elif fault == MALFORMED:
            await self.push("what is this?")
        elif fault == HALF:
            self._writer.write(b"25")
            self.transport.close()
        else:
            return False
        return True

    async def _faulty(self, command: str) -> bool:
        self.event_handler.commands.append(command)
        fault = self.event_handler.fault(command)
        if fault is None:
            return False
        if not await self.meet(fault):
            await self.push(fault)
            if fault.startswith("421"):
                self.transport.close()
        return True

    async def _handle_client(self) -> None:
        fault = self.event_handler.fault("CONNECT")
        if fault is None:
            await super()._handle_client()
        elif not await self.meet(fault):
            await self.push(fault)
            self.transport.close()

    def _without_reports(self, arg: str, *names: str) -> str:
        """The argument without the parameters of RFC 3461, which aiosmtpd does not know."""
        if not self.event_handler.dsn:
            return arg
        found = dict(re.findall(rf" ({'|'.join(names)})=(\S+)", arg))
        if "MAIL" in self.event_handler.commands[-1:]:
            self.event_handler.asked_reports.append(found)
        elif self.event_handler.asked_reports:
            self.event_handler.asked_reports[-1] |= found
        return re.sub(rf" ({'|'.join(names)})=\S+", "", arg)

    async def push(self, status: str | bytes) -> None:
        if status:
            await super().push(status)

    async def smtp_MAIL(self, arg: str) -> None:  # noqa: N802  # aiosmtpd's name
        if not await self._faulty("MAIL"):
            await super().smtp_MAIL(self._without_reports(arg, "RET", "ENVID"))

    async def smtp_RCPT(self, arg: str) -> None:  # noqa: N802  # aiosmtpd's name
        if not await self._faulty("RCPT"):
            await super().smtp_RCPT(self._without_reports(arg, "NOTIFY", "ORCPT"))

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # aiosmtpd's name
        if not await self._faulty("DATA"):
            await super().smtp_DATA(arg)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802  # aiosmtpd's name
        if not await self._faulty("RSET"):
            await super().smtp_RSET(arg)


@contextlib.asynccontextmanager
async def smtp_server(**options: Any) -> AsyncIterator[SmtpServer]:
    """A running server."""
    server = SmtpServer(**options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


_MESSAGE_ID = re.compile(rb"^Message-ID: *<?([^>\r\n]*)", re.MULTILINE | re.IGNORECASE)
_DUPLICATE = re.compile(rb"^X-Duban-Possible-Duplicate:", re.MULTILINE | re.IGNORECASE)
_PATH = re.compile(rb"<([^>]*)>")


class FastSink(asyncio.Protocol):
    """Takes every mail. The line about it is in the file before the 250 is on the wire."""

    def __init__(self, record: int | None, *, fsync: bool = False, delay: float = 0.0) -> None:
        self._record = record
        self._fsync = fsync
        self._delay = delay
        self._buffer = b""
        self._in_body = False
        self._recipient = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Greet."""
        self._transport = transport
        transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer everything that is complete, in one write."""
        self._buffer += data
        answers: list[bytes] = []
        while (answer := self._body() if self._in_body else self._command()) is not None:
            answers.append(answer)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._answer, answers)
        else:
            self._answer(answers)

    def _answer(self, answers: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(answers))
            if answers and answers[-1].startswith(b"221"):
                self._transport.close()

    def _body(self) -> bytes | None:
        end = self._buffer.find(b"\r\n.\r\n")
        if end < 0:
            return None
        body, self._buffer = self._buffer[:end], self._buffer[end + 5 :]
        self._in_body = False
        if self._record is not None:
            self._write_down(body[: body.find(b"\r\n\r\n")])
        return b"250 2.0.0 queued as F1\r\n"

    def _write_down(self, headers: bytes) -> None:
        found = _MESSAGE_ID.search(headers)
        line = {
            "message_id": found[1].decode() if found else "",
            "to": self._recipient.decode("utf-8", "replace"),
            "possible_duplicate": bool(_DUPLICATE.search(headers)),
        }
        assert self._record is not None
        os.write(self._record, (json.dumps(line) + "\n").encode())
        if self._fsync:
            os.fsync(self._record)

    def _command(self) -> bytes | None:
        line, newline, rest = self._buffer.partition(b"\r\n")
        if not newline:
            return None
        self._buffer = rest
        verb = line[:4].upper()
        if verb == b"RCPT":
            found = _PATH.search(line)
            self._recipient = found[1] if found else b""
        elif verb == b"EHLO":
            return b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        elif verb == b"QUIT":
            return b"221 2.0.0 bye\r\n"
        elif verb == b"DATA":
            self._in_body = True
            return b"354 go ahead\r\n"
        return b"250 2.1.0 ok\r\n"


def recorded(file: Path) -> list[dict[str, Any]]:
    """What a sink has written down; a half last line (the sink was killed) is left out."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


async def _serve(port: int, record: int | None, *, fsync: bool, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: FastSink(record, fsync=fsync, delay=delay), "127.0.0.1", port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # whoever started it reads the port
    await server.serve_forever()


def main() -> None:
    """Run a sink until killed."""
    parser = argparse.ArgumentParser(description=FastSink.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--fsync", action="store_true")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until each answer, as on a slow line")
    chosen = parser.parse_args()
    record = os.open(chosen.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if chosen.record else None
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(chosen.port, record, fsync=chosen.fsync, delay=chosen.delay))


if __name__ == "__main__":
    main()
