"""A few long connections to one relay, shared by all batches."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from channels.base import SendError, TemporaryFailure
from channels.wire.smtp_login import open_conversation, tls_context
from channels.wire.smtp_pipeline import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.base import Message, Outcome
    from channels.email import EmailSettings
    from channels.wire.mime import MailFrame
    from channels.wire.smtp_pipeline import Conversation

_FAREWELL_SECONDS = 2.0


class _Batch:
    """The messages of one call: handed out one by one to the lanes, built when their turn comes."""

    def __init__(self, messages: Sequence[Message], frame: MailFrame) -> None:
        self._messages = messages
        self._frame = frame
        self._jobs: list[Job | SendError] = []
        self._returned: deque[Job] = deque()
        self.trouble: SendError | None = None

    @property
    def waiting(self) -> bool:
        return bool(self._returned) or len(self._jobs) < len(self._messages)

    def take(self) -> Job | None:
        if self._returned:
            return self._returned.popleft()
        while len(self._jobs) < len(self._messages):
            try:
                job = Job(self._frame.build(self._messages[len(self._jobs)]))
            except SendError as failure:
                self._jobs.append(failure)
            else:
                self._jobs.append(job)
                return job
        return None

    def put_back(self, job: Job) -> None:
        self._returned.append(job)

    def outcomes(self) -> list[Outcome]:
        """One per message. What no connection could be opened for shares the trouble of opening it."""
        trouble = self.trouble or TemporaryFailure("closed", "the channel is closed")
        done = [job if isinstance(job, SendError) else job.outcome or trouble for job in self._jobs]
        return done + [trouble] * (len(self._messages) - len(done))


class SmtpPool:
    """At most `connections` conversations; those not in use are kept for `idle_seconds`."""

    def __init__(self, settings: EmailSettings, frame: MailFrame) -> None:
        self._settings = settings
        self._frame = frame
        self._context = tls_context(settings)
        self._slots = asyncio.Semaphore(settings.connections)
        self._idle: list[Conversation] = []
        self._closed = False

    async def deliver(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all; the outcome of each, in the same order."""
        batch = _Batch(messages, self._frame)
        async with asyncio.TaskGroup() as lanes:
            for _ in range(min(self._settings.connections, len(messages))):
                lanes.create_task(self._lane(batch))
        return batch.outcomes()

    async def close(self) -> None:
        """Wait for what is under way, then take leave of the relay."""
        self._closed = True
        for _ in range(self._settings.connections):
            await self._slots.acquire()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(conversation.quit(_FAREWELL_SECONDS) for conversation in idle))
        for _ in range(self._settings.connections):
            self._slots.release()

    async def _lane(self, batch: _Batch) -> None:
        async with self._slots:
            while batch.waiting and not self._closed:
                try:
                    conversation = await self._conversation()
                except SendError as failure:
                    batch.trouble = failure
                    return
                await self._carry(conversation, batch)

    async def _carry(self, conversation: Conversation, batch: _Batch) -> None:
        try:
            returned = await conversation.carry(batch.take)
        except BaseException:
            conversation.wire.give_up("cancelled")
            raise
        if returned is not None:
            batch.put_back(returned)
        if conversation.wire.usable:
            self._idle.append(conversation)
        else:
            await conversation.wire.closed(_FAREWELL_SECONDS)

    async def _conversation(self) -> Conversation:
        """One that is open and fresh enough, or a new one."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            conversation = self._idle.pop()
            if conversation.wire.usable and now - conversation.last_used < self._settings.idle_seconds:
                return conversation
            await conversation.quit(_FAREWELL_SECONDS)
        return await open_conversation(self._settings, self._context, self._frame.sender)
