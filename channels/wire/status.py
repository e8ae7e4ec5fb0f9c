"""What an HTTP status says about a message, where the provider's own code says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Collection

    from channels.wire.exchange import Answer

BEHIND_THE_DOOR = (502, 504)  # something behind the provider's door did not answer: perhaps it was done

_TOO_MANY, _REFUSED, _BROKEN = 429, 400, 500
_TOO_EARLY = {408, 425, _TOO_MANY}
_NO_RIGHT = {401, 403, 407}
_REDIRECTS = range(300, 400)


def failure_of_status(answer: Answer, unknown: Collection[int] = BEHIND_THE_DOOR) -> SendError:
    """Not sent, never to be sent, or nobody knows; an answer below 400 that nobody understands is the last."""
    named = f"http_{answer.status}"
    if answer.status in unknown:
        return OutcomeUnknown(named)
    if answer.status in _TOO_EARLY or answer.status >= _BROKEN:
        return TemporaryFailure(named, retry_after=answer.retry_after)
    if answer.status in _NO_RIGHT or answer.status in _REDIRECTS:
        return PermanentFailure(named, whole_channel=True)
    if answer.status >= _REFUSED:
        return PermanentFailure(named)
    return OutcomeUnknown("malformed_answer", "the answer is neither a success that is known nor a refusal")
