"""What a provider's refusal means: its own code first, as far as it is known, then the HTTP status."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from channels.base import OutcomeUnknown, PermanentFailure, SendError, TemporaryFailure
from channels.wire.status import failure_of_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from channels.wire.exchange import Answer

OPTED_OUT = "opted_out"  # our word, whatever the provider's code: the reader wants no more of this
_REFUSED = 400
_LONGEST_CODE = 64
_MOBILE_DIGITS = 8  # no provider has codes of so many digits


@dataclass(frozen=True, slots=True)
class Meanings:
    """What one provider's codes mean. A code in several parts (`Auth.Expired`) may be listed by its first parts.

    `name` begins the codes of our failures (`wecom_40014`); `words` are codes we have a word of our own for.
    `temporary` says how many seconds to wait, None where the daemon's own schedule will do.
    """

    name: str = ""
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    whole_channel: frozenset[str] = frozenset()
    permanent: frozenset[str] = frozenset()
    temporary: Mapping[str, float | None] = field(default_factory=dict[str, "float | None"])
    unknown: frozenset[str] = frozenset()

    def of(self, code: str, answer: Answer) -> SendError | None:
        """The failure this code stands for; None if it is not listed. The most exact entry wins."""
        known = code
        while known:
            named = self.named(code, listed=known == code)
            if known in self.whole_channel:
                return PermanentFailure(named, whole_channel=True)
            if known in self.permanent:
                return PermanentFailure(named)
            if known in self.temporary:
                return TemporaryFailure(named, retry_after=answer.retry_after or self.temporary[known])
            if known in self.unknown:
                return OutcomeUnknown(named)
            known = known.rpartition(".")[0]
        return None

    def named(self, code: str, *, listed: bool = False) -> str:
        """The code of our failure: a listed one as it is, any other only if it gives nothing away."""
        if code in self.words:
            return self.words[code]
        written = code if listed else safe_code(code)
        return f"{self.name}_{written}" if self.name else written


def refusal(code: str | None, meanings: Meanings, answer: Answer) -> SendError:
    """Why an answer that is no success means not sent, or that nobody knows.

    A code nobody listed on an answer that is otherwise in order is a refusal too: tried again later.
    """
    if code:
        listed = meanings.of(code, answer)
        if listed is not None:
            return listed
        if answer.status < _REFUSED:
            return TemporaryFailure(meanings.named(code), "a code that is in no list", retry_after=answer.retry_after)
    return failure_of_status(answer)


def safe_code(code: str) -> str:
    """The provider's code as it may be logged: nothing that could be a number or a text of somebody."""
    short = code[:_LONGEST_CODE]
    if re.fullmatch(r"[A-Za-z0-9_.:-]+", short) and sum(map(str.isdigit, short)) < _MOBILE_DIGITS:
        return short
    return "provider_code"
