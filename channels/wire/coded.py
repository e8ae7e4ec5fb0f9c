"""Providers that answer JSON with a code of their own, and want an access token with every call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from channels.base import OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure
from channels.wire.exchange import HttpExchange
from channels.wire.status import failure_of_status
from channels.wire.token import AccessToken, Granted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from channels.wire.connection import ConnectionSettings
    from channels.wire.exchange import Answer

JSON = {"Content-Type": "application/json; charset=utf-8"}

_REFUSED = 400
_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Codes:
    """What the codes of one provider mean. A code in no list, in an answer below 400, is taken for temporary.

    `name` begins the codes of our failures (`wecom_40014`); `place` is the field of the code. `temporary` says after
    how many seconds to try again (None: as the sender thinks). `stale` are those for a token it no longer knows.
    `outer` is a code that only says that the real one stands in `inner`.
    """

    name: str
    place: str
    stale: frozenset[int] = _NONE
    whole_channel: frozenset[int] = _NONE
    permanent: frozenset[int] = _NONE
    temporary: Mapping[int, float | None] = field(default_factory=dict[int, float | None])
    unknown: frozenset[int] = _NONE
    outer: int | None = None
    inner: str = ""

    def read(self, answer: Answer) -> tuple[int, dict[str, Any]]:
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
        if code is not None and code == self.outer:
            code = _number(tree.get(self.inner)) or code
        if code is None:
            raise failure_of_status(answer)
        return code, tree

    def failure(self, code: int, answer: Answer) -> SendError:
        """What a code other than 0 means."""
        named = f"{self.name}_{code}"
        if code in self.whole_channel | self.permanent:
            return PermanentFailure(named, whole_channel=code in self.whole_channel)
        if code in self.unknown:
            return OutcomeUnknown(named)
        if code in self.temporary:
            return TemporaryFailure(named, retry_after=answer.retry_after or self.temporary[code])
        if answer.status >= _REFUSED and code not in self.stale:
            return failure_of_status(answer)
        detail = "a fresh access token is refused too" if code in self.stale else "a code that is in no list"
        return TemporaryFailure(named, detail, retry_after=answer.retry_after)

    def granted(self, answer: Answer, token: str, seconds: str) -> Granted:
        """The token of an answer, which stands under these two names.

        Raises:
            SendError: there is none.
        """
        code, said = self.read(answer)
        if code != 0:
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
        if code != 0:
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


def text_at(said: Mapping[str, Any], name: str) -> str:
    """A text or a number of an answer as text; empty if it is neither."""
    value = said.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.lstrip("-").isdecimal() and value.isascii():
        return int(value)
    return value if isinstance(value, int) else None
