"""What a misspelt word was probably meant to be, and how words and key paths are shown."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.errors import KeyPath


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to this one, or None if none is near. Case, `-` and blanks do not count."""
    plain = {_plain(candidate): candidate for candidate in known}
    near = get_close_matches(_plain(word), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else None


def suggestion(word: str, known: Iterable[str]) -> Text | None:
    """The hint for a misspelt word, as a sentence; None if nothing is near."""
    meant = did_you_mean(word, known)
    return None if meant is None else Text(f"是不是想写“{meant}”？", f'did you mean "{meant}"?')


_WIDE_MARK = re.compile(r"[：，；、｛｝【】［］（）“”‘’]")


def wide_mark(word: str) -> Text | None:
    """The hint for a word that holds a mark of Chinese writing; None if it holds none."""
    found = _WIDE_MARK.search(word)
    if found is None:
        return None
    return Text(
        f"里面的 {found[0]} 是全角的，冒号、逗号、括号、引号都要用半角",
        f"{found[0]} in it is full-width: colons, commas, brackets and quotes must be plain",
    )


def dotted(path: KeyPath) -> str:
    """`('ladders', 'standard', 'steps', 0, 'at')` as `ladders.standard.steps[0].at`."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{part}" if shown else part
    return shown


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")
