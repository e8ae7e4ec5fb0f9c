"""Providers that answer JSON with a code of their own, and want an access token with every call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from channels.base import OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure
from channels.wire.exchange import HttpExchange
from channels.wire.status import failure_of_status
from channels.wire.token import AccessToken, Granted
from channels.wire.tree import text_at
from channels.wire.verdict import Meanings, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from channels.wire.connection import ConnectionSettings
    from channels.wire.exchange import Answer

JSON = {"Content-Type": "application/json; charset=utf-8"}

_REFUSED = 400
DONE = "0"


@dataclass(frozen=True, slots=True)
class Codes:
    """Where one provider's code stands in an answer, and what it means; 0 is success.

    `place` is the field of the code. `stale` are those for a token it no longer knows. `outer` is a code that only says
    that the real one stands in `inner`.
    """

    place: str
    meanings: Meanings
    stale: frozenset[str] = frozenset()
    outer: str = ""
    inner: str = ""

    def read(self, answer: Answer) -> tuple[str, dict[str, Any]]:
        """The code and the whole of what was said.

        Raises:
            SendError: the answer has no code; its status decides.
        """
        try:
            said: object = json.loads(answer.text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise failure_of_status(answer)
        tree = cast("dict[str, Any]", said)
        code = _number(tree.get(self.place))
        if code is not None and str(code) == self.outer:
            code = _number(tree.get(self.inner)) or code
        if code is None:
            raise failure_of_status(answer)
        return str(code), tree

    def failure(self, code: str, answer: Answer) -> SendError:
        """What a code other than 0 means."""
        if code in self.stale:
            named = self.meanings.named(code, listed=True)
            return TemporaryFailure(named, "a fresh access token is refused too", retry_after=answer.retry_after)
        return refusal(code, self.meanings, answer)

    def granted(self, answer: Answer, token: str, seconds: str) -> Granted:
        """The token of an answer, which stands under these two names.

        Raises:
            SendError: there is none.
        """
        code, said = self.read(answer)
        if code != DONE:
            raise self.failure(code, answer)
        value, life = text_at(said, token), _number(said.get(seconds))
        if not value or life is None:
            raise OutcomeUnknown("malformed_answer", "no access token in the answer")
        return Granted(value, float(life))


class TokenCalls:
    """Calls of one application, each with the present token."""

    def __init__(self, codes: Codes, ask_for_token: Callable[[], Awaitable[Granted]]) -> None:
        self._codes = codes
        self._token = AccessToken(ask_for_token)

    async def call(self, ask: Callable[[str], Awaitable[Answer]]) -> dict[str, Any]:
        """What the provider said to a call it took; once more where it only no longer knew the token.

        Raises:
            SendError: it did not take it, or nobody knows.
        """
        token = await self._token.value()
        answer = await ask(token)
        code, said = self._codes.read(answer)
        if code in self._codes.stale:  # refused at the door: nothing was done
            self._token.drop(token)
            answer = await ask(await self._token.value())
            code, said = self._codes.read(answer)
        if code != DONE:
            raise self._codes.failure(code, answer)
        if answer.status >= _REFUSED:
            raise failure_of_status(answer)
        return said

    async def close(self) -> None:
        """Stop asking for a token."""
        await self._token.close()


def exchange_of(settings: ConnectionSettings) -> HttpExchange:
    """Connections as these settings want them.

    Raises:
        PermanentFailure: the CA file cannot be read.
    """
    return HttpExchange(
        connections=settings.concurrency,
        connect_seconds=settings.connect_timeout,
        seconds=settings.timeout,
        ca_file=settings.ca_file,
    )


def json_body(tree: object) -> bytes:
    """UTF-8 JSON.

    Raises:
        PermanentFailure: half a character in a text.
    """
    try:
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.lstrip("-").isdecimal() and value.isascii():
        return int(value)
    return value if isinstance(value, int) else None
