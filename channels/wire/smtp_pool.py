"""A few long connections to the first of our mail servers that works, shared by all batches."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure
from channels.wire.domain_pace import DomainPace
from channels.wire.smtp_login import tls_context
from channels.wire.smtp_pipeline import NO_SMTPUTF8, Job
from channels.wire.smtp_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.email import EmailSettings
    from channels.wire.mime import MailFrame
    from channels.wire.smtp_pipeline import Conversation

_NOBODY: frozenset[object] = frozenset()


class _Batch:
    """The messages of one call: handed out one by one to the lanes, built when their turn comes."""

    def __init__(self, messages: Sequence[Message], frame: MailFrame, pace: DomainPace | None) -> None:
        self._messages = messages
        self._frame = frame
        self._pace = pace
        self._jobs: list[Job | SendError] = []
        self._returned: deque[Job] = deque()
        self.trouble: SendError | None = None

    @property
    def waiting(self) -> bool:
        return bool(self._returned) or len(self._jobs) < len(self._messages)

    @property
    def not_for(self) -> frozenset[object]:
        """The servers that refused what is to be taken next; new mails come first."""
        return _NOBODY if len(self._jobs) < len(self._messages) or not self._returned else self._returned[0].refused_by

    def take(self, server: object = None) -> Job | None:
        """The next mail for this server."""
        if self._returned:
            for index, job in enumerate(self._returned):
                if server not in job.refused_by:
                    del self._returned[index]
                    return job
        while len(self._jobs) < len(self._messages):
            try:
                job = Job(self._frame.build(self._messages[len(self._jobs)]))
                if self._pace is not None:
                    self._pace.take(job.mail.recipient, job.mail.reference)
            except SendError as failure:
                self._jobs.append(failure)
            else:
                self._jobs.append(job)
                return job
        return None

    def put_back(self, job: Job) -> None:
        self._returned.append(job)

    def settle(self, refused_by: frozenset[object]) -> None:
        """No other server can be reached for what these refused: their refusal stands."""
        for job in self._returned:
            if job.refused_by == refused_by:
                job.outcome = job.earlier
        self._returned = deque(job for job in self._returned if job.outcome is None)

    def outcomes(self) -> list[Outcome]:
        """One per message. What no connection could be opened for shares the trouble of opening it."""
        trouble = self.trouble or TemporaryFailure("closed", "the channel is closed")
        done = [job if isinstance(job, SendError) else job.outcome or job.earlier or trouble for job in self._jobs]
        return done + [trouble] * (len(self._messages) - len(done))


class _Turn:
    """Mails of a batch over one connection, where another server may take what this one refuses for now."""

    def __init__(self, batch: _Batch, server: MailServer, others: int) -> None:
        self._batch = batch
        self._server = server
        self._others = others
        self._rested_before = server.resting
        self._under_way: deque[Job] = deque()

    def take(self) -> Job | None:
        self.look()
        if self._server.resting and not self._rested_before:
            return None
        job = self._batch.take(self._server)
        if job is not None:
            self._under_way.append(job)
        return job

    def look(self) -> None:
        """See what became of the mails so far; one the next server may take is offered to it."""
        while self._under_way and (outcome := self._under_way[0].outcome) is not None:
            job = self._under_way.popleft()
            if _is_about_the_server(outcome):
                self._server.refused()
            elif not isinstance(outcome, OutcomeUnknown):
                self._server.took()
            if isinstance(outcome, SendError) and (_is_about_the_server(outcome) or outcome.code == NO_SMTPUTF8):
                self._pass_on(job, outcome)

    def _pass_on(self, job: Job, refusal: SendError) -> None:
        job.refused_by |= {self._server}
        if len(job.refused_by) <= self._others:
            job.earlier, job.outcome = refusal, None
            self._batch.put_back(job)


def _is_about_the_server(outcome: Outcome) -> bool:
    """Refused for the time being, or because the server refuses us: another one may take it."""
    return isinstance(outcome, TemporaryFailure) or (isinstance(outcome, PermanentFailure) and outcome.whole_channel)


class SmtpPool:
    """At most `connections` conversations; those not in use are kept for `idle_seconds`."""

    def __init__(self, settings: EmailSettings, frame: MailFrame) -> None:
        self._settings = settings
        self._frame = frame
        context = tls_context(settings.ca_file)
        self._servers = [MailServer(settings, server, context, frame.sender) for server in settings.servers]
        self._pace = DomainPace(settings.per_minute) if settings.per_minute else None
        self._slots = asyncio.Semaphore(settings.connections)
        self._closed = False

    async def deliver(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        batch = _Batch(messages, self._frame, self._pace)
        async with asyncio.TaskGroup() as lanes:
            for _ in range(min(self._settings.connections, len(messages))):
                lanes.create_task(self._lane(batch))
        return batch.outcomes()

    async def close(self) -> None:
        """Wait for what is under way, then take leave of the servers."""
        self._closed = True
        for _ in range(self._settings.connections):
            await self._slots.acquire()
        await asyncio.gather(*(server.close() for server in self._servers))
        for _ in range(self._settings.connections):
            self._slots.release()

    async def _lane(self, batch: _Batch) -> None:
        async with self._slots:
            while batch.waiting and not self._closed:
                not_for = batch.not_for
                try:
                    server, conversation = await self._conversation(not_for)
                except SendError as failure:
                    if not not_for:
                        batch.trouble = failure
                        return
                    batch.settle(not_for)
                else:
                    await self._carry(server, conversation, batch)

    async def _carry(self, server: MailServer, conversation: Conversation, batch: _Batch) -> None:
        others = len(self._servers) - 1
        turn = _Turn(batch, server, others) if others else None
        try:
            returned = await conversation.carry(batch.take if turn is None else turn.take)
        except BaseException:
            conversation.wire.give_up("cancelled")
            raise
        if turn is not None:
            turn.look()
        if returned is not None:
            batch.put_back(returned)
        await server.give_back(conversation)

    async def _conversation(self, not_for: frozenset[object]) -> tuple[MailServer, Conversation]:
        """With the first server that works; those that rest are asked last, when no other is left.

        Raises:
            SendError: none can be reached. It concerns the whole channel if it does so for each of them.
        """
        failures: list[SendError] = []
        for server in sorted((one for one in self._servers if one not in not_for), key=lambda one: one.resting):
            try:
                return server, await server.conversation()
            except SendError as failure:
                failures.append(failure)
        raise next((one for one in failures if not isinstance(one, PermanentFailure)), failures[0])
