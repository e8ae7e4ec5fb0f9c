"""What a channel makes of a text: neutral words in place of those a carrier stops, no link where it takes none. Pure.

Which words carriers stop is nowhere published in full; vendors' pages name some (Alibaba Cloud: no "party and
government", "legal rights protection" or "overdue" in texts to the mainland; 七牛: no 党政 in signatures). So a list is
no more than a hint, and what is said instead is the office's to decide.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RISKY_WORDS = ("信访", "上访", "维权", "党", "政府", "逾期", "超期", "举报", "投诉", "稳控")
_LINK = re.compile(
    r"(?i)(?:https?://|www\.)[^\s，。；、）】]+"
    r"|(?<![@\w.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|cn|net|org|gov|cc|io|me|top|vip|site|info|biz|link|xyz)"
    r"(?![a-z0-9-])(?:[:/][^\s，。；、）】]*)?"
)


def reword(text: str, words: Mapping[str, str], keep: Iterable[str]) -> str:
    """The text with neutral words, the longest first; what is to be kept (a signature, a case number) is left alone."""
    if not words:
        return text
    return _outside(text, sorted(filter(None, keep), key=len, reverse=True), _replacing(tuple(words.items())))


def link_in(text: str, keep: Iterable[str]) -> str | None:
    """The first link of a text, outside what is to be kept. A mailbox is none."""
    for word in sorted(filter(None, keep), key=len, reverse=True):
        text = text.replace(word, " ")
    found = _LINK.search(text)
    return None if found is None else found[0]


def risky_words_in(text: str) -> tuple[str, ...]:
    """The words of the list that carriers are known to stop."""
    return tuple(word for word in RISKY_WORDS if word in text)


class _Replacing:
    """All words in one pass, so that none is replaced in what replaced another."""

    def __init__(self, words: Iterable[tuple[str, str]]) -> None:
        self._words = dict(words)
        longest_first = sorted(filter(None, self._words), key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def __call__(self, text: str) -> str:
        return self._any.sub(lambda found: self._words[found[0]], text)


@lru_cache(maxsize=64)
def _replacing(words: tuple[tuple[str, str], ...]) -> _Replacing:
    return _Replacing(words)


def _outside(text: str, keep: list[str], replacing: _Replacing) -> str:
    if not keep:
        return replacing(text)
    return keep[0].join(_outside(part, keep[1:], replacing) for part in text.split(keep[0]))
