"""One of our mail servers: its open connections, and whether it is left alone for a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from channels.base import SendError
from channels.wire.oauth import LoginToken
from channels.wire.smtp_login import open_conversation

if TYPE_CHECKING:
    import ssl

    from channels.email import EmailSettings, ServerSettings
    from channels.wire.smtp_pipeline import Conversation

FAREWELL_SECONDS = 2.0
_REFUSALS_IN_A_ROW = 5  # mails refused for the time being, none taken between: it refuses everything


class MailServer:
    """Left alone after it could not be reached or refused everything; then tried by itself, beside the mails."""

    def __init__(self, settings: EmailSettings, server: ServerSettings, context: ssl.SSLContext, sender: str) -> None:
        self._settings = settings
        self._alone = not settings.fallbacks  # the only server is never left alone
        self._server = server
        self._context = context
        self._sender = sender
        self._token = None
        if server.oauth is not None:
            seconds = settings.connect_timeout
            self._token = LoginToken(server.oauth, connect_seconds=seconds, ca_file=settings.ca_file)
        self._idle: list[Conversation] = []
        self._refusals = 0
        self._rests_until: float | None = None
        self._trial: asyncio.Task[None] | None = None

    @property
    def resting(self) -> bool:
        """Whether it is left alone; when that is over, a trial begins, and it rests until the trial has worked."""
        if self._rests_until is None:
            return False
        if self._trial is None and _now() >= self._rests_until:
            self._trial = asyncio.create_task(self._try())
        return True

    async def conversation(self) -> Conversation:
        """One that is open and fresh enough, or a new one.

        Raises:
            SendError: it cannot be opened; from now on the server rests.
        """
        while self._idle:
            conversation = self._idle.pop()
            if conversation.wire.usable and _now() - conversation.last_used < self._settings.idle_seconds:
                return conversation
            await conversation.quit(FAREWELL_SECONDS)
        try:
            return await self._opened()
        except SendError:
            self.rest()
            raise

    async def give_back(self, conversation: Conversation) -> None:
        """Keep it for the next, if it still works."""
        if conversation.wire.usable:
            self._idle.append(conversation)
        else:
            await conversation.wire.closed(FAREWELL_SECONDS)

    def took(self) -> None:
        """It took a mail, or refused that one for good: it works."""
        self._refusals = 0
        self._rests_until = None

    def refused(self) -> None:
        """It refused a mail for the time being."""
        self._refusals += 1
        if self._refusals >= _REFUSALS_IN_A_ROW:
            self.rest()

    def rest(self) -> None:
        """Leave it alone, unless there is no other."""
        self._refusals = 0
        if self._alone:
            return
        self._rests_until = _now() + self._settings.rest_seconds

    async def close(self) -> None:
        """Take leave of it."""
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.wait([self._trial])
        idle, self._idle = self._idle, []
        await asyncio.gather(*(conversation.quit(FAREWELL_SECONDS) for conversation in idle))
        if self._token is not None:
            await self._token.close()

    async def _opened(self) -> Conversation:
        return await open_conversation(self._settings, self._server, self._context, self._sender, self._token)

    async def _try(self) -> None:
        try:
            conversation = await self._opened()
        except SendError:
            self.rest()
        else:
            self._rests_until = None
            self._idle.append(conversation)
        finally:
            self._trial = None


def _now() -> float:
    return asyncio.get_running_loop().time()
