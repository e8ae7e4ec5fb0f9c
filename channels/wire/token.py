"""An access token: asked for once, used by everybody, asked for again shortly before it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MARGIN = 300.0  # seconds before its end at which a token is not used any more
_MARGIN_SHARE = 0.1  # or this share of its life, where that is shorter


@dataclass(frozen=True, slots=True)
class Granted:
    """A token and for how many seconds it is good."""

    token: str = field(repr=False)
    seconds: float


class AccessToken:
    """The present token of one application."""

    def __init__(self, ask: Callable[[], Awaitable[Granted]]) -> None:
        self._ask = ask
        self._token = ""
        self._ends = 0.0
        self._asking: asyncio.Task[str] | None = None

    async def value(self) -> str:
        """The token; whoever comes while it is being asked for waits for that one answer.

        Raises:
            TemporaryFailure: it cannot be had now; no message was sent.
            PermanentFailure: the provider refuses us one.
        """
        if self._token and asyncio.get_running_loop().time() < self._ends:
            return self._token
        if self._asking is None:
            self._asking = asyncio.create_task(self._asked())
            self._asking.add_done_callback(self._answered)
        return await asyncio.shield(self._asking)  # a batch that is cancelled must not take the token from the others

    def drop(self, token: str) -> None:
        """The provider no longer knows this token; a newer one stays."""
        if token == self._token:
            self._token = ""

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _asked(self) -> str:
        try:
            granted = await self._ask()
        except OutcomeUnknown as error:  # a question without an answer sends nothing
            raise TemporaryFailure(error.code, "asking for the access token") from None
        except PermanentFailure as error:  # without a token nothing gets out
            raise PermanentFailure(error.code, "asking for the access token", whole_channel=True) from None
        margin = min(_MARGIN, granted.seconds * _MARGIN_SHARE)
        self._token = granted.token
        self._ends = asyncio.get_running_loop().time() + granted.seconds - margin
        return granted.token

    def _answered(self, asking: asyncio.Task[str]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # it is raised by whoever waits, if anybody still does
