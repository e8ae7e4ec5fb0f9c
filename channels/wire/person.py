"""What workplace programs limit: how long a text is, how often one person is written to, how a person is named."""

from __future__ import annotations

import asyncio
import re
from collections import deque

from channels.base import PermanentFailure, TemporaryFailure

_SHORTENED = "…"
_REMEMBERED = 10_000  # people whose last messages are kept
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


def user_id(address: str) -> str:
    """The address if it names one person; a list, or `@all`, would tell everybody.

    Raises:
        PermanentFailure: it does not.
    """
    if _NAMED.fullmatch(address) is None:
        raise PermanentFailure("bad_address", "not the user id of one person")
    return address


def shortened(text: str, most: int) -> str:
    """The text in at most so many bytes of UTF-8, with an ellipsis where something is left out; never half a character.

    Raises:
        PermanentFailure: half a character in the text.
    """
    try:
        written = text.encode()
    except UnicodeEncodeError:
        raise PermanentFailure("bad_text", "half a character (lone surrogate)") from None
    if len(written) <= most:
        return text
    return written[: most - len(_SHORTENED.encode())].decode(errors="ignore") + _SHORTENED


class Allowance:
    """At most `most` messages to one receiver in `seconds`; what goes beyond, the provider drops or punishes."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._sent: dict[str, deque[float]] = {}

    def take(self, receiver: str) -> None:
        """Count one more to this receiver.

        Raises:
            TemporaryFailure: it would be one too many; nothing was sent.
        """
        now = asyncio.get_running_loop().time()
        if len(self._sent) > _REMEMBERED:
            self._sent = {name: at for name, at in self._sent.items() if at[-1] > now - self._seconds}
        at = self._sent.setdefault(receiver, deque(maxlen=self._most))
        if len(at) == self._most and at[0] > now - self._seconds:
            wait = at[0] + self._seconds - now
            raise TemporaryFailure("too_many_to_one", "more than the provider lets through", retry_after=wait)
        at.append(now)
