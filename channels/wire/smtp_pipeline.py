"""One SMTP conversation after the greeting, TLS and login: many mails, each in as few round trips as the server allows.

aiosmtplib opens the connection; then this protocol takes its transport over. With PIPELINING (RFC 2920) the body of one
mail and MAIL, RCPT, DATA of the next go out in one write, so that a mail costs one round trip; without it the same
conversation goes command by command.

What is known at which moment, and so what a failure means:

- before anything of the body was written: not sent, whatever happened;
- body handed over but its end still in our own buffer when the connection broke: not sent;
- the end of the body has left, and no answer came: perhaps sent (OutcomeUnknown).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.base import Outcome
    from channels.wire.mime import Mail

NO_SMTPUTF8 = "no_smtputf8"  # the code of a mailbox this server cannot be told

_GO_AHEAD, _CLOSING, _OK = 354, 421, 250
_NOT_ASKED = 503  # stands for the answer to a command we did not come to
_TEMPORARY, _PERMANENT = 4, 5  # first digit of a refusal
_SENSIBLE = {2, 3, 4, 5}  # first digits there are (RFC 5321 4.2.1)
_NOT_LOGGED_IN = {530, 535, 538}  # RFC 4954
_MAILBOX_FULL = 552  # RFC 5321 4.5.3.1.10: to be read as 452
_LARGE = 65_536  # a body that may not leave at once goes alone, so that we know whether its end has left
_CODE_LENGTH = 3
_LONGEST_ANSWER = 65_536
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")  # RFC 3463
_XTEXT = re.compile(rb"[^!-*,-<>-~]")
_UNITEXT = re.compile(rb"[\x00-\x20+=\\\x7f]")
_QUEUED_AS = re.compile(r"queued as ([A-Za-z0-9._-]{1,64})|\bid=([A-Za-z0-9._-]{1,64})")


class ConversationBroken(Exception):  # it says what happened
    """The connection is of no further use: it closed, timed out, or said something that is no SMTP."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the server; `text` may quote an address and never leaves this module whole."""

    code: int
    text: str

    @property
    def named(self) -> tuple[str, str]:
        """Code and enhanced status code: what may be logged."""
        found = _ENHANCED.search(self.text)
        return f"smtp_{self.code}", found[0] if found else ""


class SmtpWire(asyncio.Protocol):
    """Bytes to answers, on a transport somebody else opened.

    `cut_short` is true once the connection broke while the last bytes written had not left yet.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._lines: list[str] = []
        self._replies: deque[Reply] = deque()
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._gone = self._loop.create_future()
        self._broken: str | None = None
        self._held_back = False
        self.cut_short = False
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=1, low=0)  # to be told whenever bytes stay on our side

    @property
    def usable(self) -> bool:
        """Open, with nothing said that we did not ask for (a 421 while idle)."""
        return self._broken is None and not self._replies and not self._transport.is_closing()

    def write(self, content: bytes) -> None:
        """Send bytes.

        Raises:
            ConversationBroken: the connection is already gone.
        """
        self.check_open()
        self._transport.write(content)

    def check_open(self) -> None:
        """Do nothing.

        Raises:
            ConversationBroken: the connection is gone.
        """
        if self._broken is not None or self._transport.is_closing():
            raise ConversationBroken(self._broken or "connection_lost")

    async def replies(self, count: int, seconds: float) -> list[Reply]:
        """The next `count` answers.

        Raises:
            ConversationBroken: they did not all come, or not in time.
        """
        if len(self._replies) < count:
            if self._broken is not None:
                raise ConversationBroken(self._broken)
            await self._wait(count, seconds)
        return [self._replies.popleft() for _ in range(count)]

    async def _wait(self, count: int, seconds: float) -> None:
        self._wanted = count
        self._waiter = self._loop.create_future()
        alarm = self._loop.call_later(seconds, self._break, "timeout")
        try:
            await self._waiter
        finally:
            alarm.cancel()
            self._waiter = None

    def data_received(self, data: bytes) -> None:
        """Cut the bytes into answers."""
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = self._buffer[:end].decode("utf-8", "replace").rstrip("\r")
            del self._buffer[: end + 1]
            if not self._take(line):
                self._break("malformed_answer")
                return
        if len(self._buffer) > _LONGEST_ANSWER:
            self._break("malformed_answer")
        elif self._waiter is not None and len(self._replies) >= self._wanted and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self, line: str) -> bool:
        code, separator = line[:_CODE_LENGTH], line[_CODE_LENGTH : _CODE_LENGTH + 1]
        if not (len(code) == _CODE_LENGTH and code.isascii() and code.isdigit() and separator in {"", " ", "-"}):
            return False
        self._lines.append(line[_CODE_LENGTH + 1 :])
        if separator != "-":
            self._replies.append(Reply(int(code), " ".join(self._lines)))
            self._lines.clear()
        return sum(map(len, self._lines)) <= _LONGEST_ANSWER

    def pause_writing(self) -> None:
        """Some of what was written has not left yet."""
        self._held_back = True

    def resume_writing(self) -> None:
        """All of it has left."""
        self._held_back = False

    def eof_received(self) -> bool:
        """The server has closed its side."""
        self._break("connection_lost")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        del exc
        self._break("connection_lost")
        if not self._gone.done():
            self._gone.set_result(None)

    def _break(self, code: str) -> None:
        if self._broken is None:
            self._broken = code
            self.cut_short = self._held_back
            self._transport.abort()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConversationBroken(self._broken))

    def give_up(self, code: str) -> None:
        """Use this connection no more; answers that came already stay readable."""
        self._break(code)

    async def closed(self, seconds: float) -> None:
        """Close at once and wait until it is done."""
        self._transport.abort()
        await asyncio.wait([self._gone], timeout=seconds)


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with the server, and how many seconds a command and a body may take to be answered.

    `notify` says which reports it is asked for (RFC 3461 4.1), nothing where it makes none.
    """

    sender: str
    pipelining: bool
    international: bool
    command_seconds: float
    body_seconds: float
    notify: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """One mail on its way; `tries` counts connections that broke before it was sent.

    `refused_by` are the servers that refused it for the time being; `earlier` is what the last of them said.
    """

    mail: Mail
    outcome: Outcome | None = None
    tries: int = 0
    refused_by: frozenset[object] = frozenset()
    earlier: SendError | None = None


class Conversation:
    """Mails one after the other over one connection."""

    def __init__(self, wire: SmtpWire, terms: Terms) -> None:
        self.wire = wire
        self.last_used = asyncio.get_running_loop().time()
        self._terms = terms
        sender = f"MAIL FROM:<{terms.sender}>".encode()
        self._plain_sender = sender
        self._wide_sender = sender + (b" SMTPUTF8" if terms.international else b"")
        self._notify = f" NOTIFY={terms.notify} ORCPT=".encode() if terms.notify else b""
        self._used = False

    async def carry(self, take: Callable[[], Job | None]) -> Job | None:
        """Deliver what `take` gives until it gives None or the connection breaks.

        Returns a job that was taken but surely not sent and may be tried on a fresh connection, or None.
        """
        job, announced = self._next(take), False
        while job is not None:
            try:
                refusal = await self._envelope(job, announced=announced)
            except ConversationBroken as broken:
                return self._unsent(job, broken)
            following = self._next(take)
            announced = refusal is None and following is not None and self._may_announce(job)
            job.outcome = refusal or await self._hand_over(job, following if announced else None)
            self._used = True
            job = following
        self.last_used = asyncio.get_running_loop().time()
        return None

    async def quit(self, seconds: float) -> None:
        """Take leave and close."""
        try:
            self.wire.write(b"QUIT\r\n")
            await self.wire.replies(1, seconds)
        except ConversationBroken:
            pass  # it is closed either way
        await self.wire.closed(seconds)

    def _next(self, take: Callable[[], Job | None]) -> Job | None:
        """The next job this server can take; the others get their outcome here."""
        while (job := take()) is not None:
            if not job.mail.international or self._terms.international:
                return job
            job.outcome = PermanentFailure(NO_SMTPUTF8, "the relay takes no mailbox with other than ASCII letters")
        return None

    def _may_announce(self, job: Job) -> bool:
        return self._terms.pipelining and len(job.mail.content) <= _LARGE

    def _unsent(self, job: Job, broken: ConversationBroken) -> Job | None:
        """A connection that had worked may just have grown old: worth one more try. A fresh one is a failure."""
        if self._used and job.tries == 0 and broken.code != "timeout":
            job.tries += 1
            return job
        job.outcome = TemporaryFailure(broken.code, "before the body")
        return None

    def _commands(self, job: Job) -> bytes:
        sender = self._wide_sender if job.mail.international else self._plain_sender
        recipient = job.mail.recipient
        if not self._notify:
            return sender + b"\r\nRCPT TO:<" + recipient + b">\r\nDATA\r\n"
        asked = b" RET=HDRS ENVID=" + job.mail.reference
        return b"".join(
            (sender, asked, b"\r\nRCPT TO:<", recipient, b">", self._notify, original(recipient), b"\r\nDATA\r\n")
        )

    async def _envelope(self, job: Job, *, announced: bool) -> SendError | None:
        """MAIL, RCPT, DATA: None when the body may follow, else why not.

        Raises:
            ConversationBroken: nothing of the mail was sent.
        """
        commands = self._commands(job)
        if self._terms.pipelining:
            if not announced:
                self.wire.write(commands)
            mail, rcpt, data = await self.wire.replies(3, self._terms.command_seconds)
            self._check_sense(mail, rcpt, data)
        else:
            mail, rcpt, data = Reply(_OK, ""), Reply(_OK, ""), Reply(_NOT_ASKED, "")
            for number, command in enumerate(commands.splitlines(keepends=True)):
                self.wire.write(command)
                (reply,) = await self.wire.replies(1, self._terms.command_seconds)
                self._check_sense(reply)
                mail, rcpt, data = [(reply, rcpt, data), (mail, reply, data), (mail, rcpt, reply)][number]
                if reply.code >= 400:  # noqa: PLR2004  # RFC 5321 4.2.1: 4yz and 5yz refuse
                    break
        refusal = _refused_sender(mail, job.mail) or _refused(rcpt) or _refused_data(data)
        if refusal is None:
            self.wire.check_open()
        else:
            await self._clear(data)
        return refusal

    def _check_sense(self, *replies: Reply) -> None:
        """A server that takes its leave, or is out of step with us, is left."""
        for reply in replies:
            if reply.code == _CLOSING or reply.code // 100 not in _SENSIBLE:
                self.wire.give_up("smtp_421" if reply.code == _CLOSING else "malformed_answer")
                self.wire.check_open()

    async def _clear(self, data: Reply) -> None:
        """Bring the server back to its start: an empty body if it waits for one (RFC 2920 3.1), else RSET."""
        try:
            self.wire.write(b".\r\n" if data.code == _GO_AHEAD else b"RSET\r\n")
            await self.wire.replies(1, self._terms.command_seconds)
        except ConversationBroken:
            return  # the refusal stands; the next job finds the connection broken

    async def _hand_over(self, job: Job, following: Job | None) -> Outcome:
        """Send the body, with the commands of the following job behind it, and say what became of it."""
        ahead = self._commands(following) if following is not None else b""
        self.wire.write(_dotted(job.mail.content) + ahead)
        try:
            (reply,) = await self.wire.replies(1, self._terms.body_seconds)
        except ConversationBroken as broken:
            if self.wire.cut_short and not ahead:
                return TemporaryFailure(broken.code, "inside the body")
            return OutcomeUnknown(broken.code, "no answer after the body")
        if reply.code // 100 not in _SENSIBLE or reply.code == _GO_AHEAD:
            self.wire.give_up("malformed_answer")
            return OutcomeUnknown(f"smtp_{reply.code}", "unexpected answer to the body")
        if reply.code == _CLOSING:
            self.wire.give_up("smtp_421")
        return _refused(reply) or Receipt(_queue_id(reply), answer=" ".join(reply.named).strip())


def original(recipient: bytes) -> bytes:
    """The recipient as ORCPT wants it: xtext (RFC 3461 4), or the UTF-8 form of RFC 6533 3."""
    if recipient.isascii():
        return b"rfc822;" + _XTEXT.sub(lambda found: b"+%02X" % found[0][0], recipient)
    return b"utf-8;" + _UNITEXT.sub(lambda found: b"\\x{%02X}" % found[0][0], recipient)


def _dotted(content: bytes) -> bytes:
    """The body as DATA wants it: a leading dot doubled (RFC 5321 4.5.2), and the final dot."""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _queue_id(reply: Reply) -> str:
    found = _QUEUED_AS.search(reply.text)
    return (found[1] or found[2]) if found else ""


def _refused(reply: Reply) -> SendError | None:
    if reply.code in _NOT_LOGGED_IN:
        return PermanentFailure(*reply.named, whole_channel=True)
    if reply.code == _MAILBOX_FULL or reply.code // 100 == _TEMPORARY:
        return TemporaryFailure(*reply.named)
    if reply.code // 100 == _PERMANENT:
        return PermanentFailure(*reply.named)
    return None


def _refused_sender(reply: Reply, mail: Mail) -> SendError | None:
    """MAIL names only our own address: a lasting refusal concerns every mail, unless it is about size or UTF-8."""
    refusal = _refused(reply)
    if isinstance(refusal, PermanentFailure) and reply.code != _MAILBOX_FULL and not mail.international:
        return PermanentFailure(refusal.code, refusal.detail, whole_channel=True)
    return refusal


def _refused_data(reply: Reply) -> SendError | None:
    if reply.code == _GO_AHEAD:
        return None
    return _refused(reply) or TemporaryFailure(*reply.named)
