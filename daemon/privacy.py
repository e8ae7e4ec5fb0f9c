"""What may not leave in a text message, a chat or a subject: numbers of persons, values of personal fields. Pure.

Domain statement 45; 个人信息保护法 arts. 6 and 28. The case number is the one identifier allowed. Numbers of offices
(landlines) and passport numbers are let through: the former are no secret, the latter look like too much else.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# GB 11643: region, birth date, order, check digit; the old form of 15 digits has no century and no check digit.
IDENTITY_NUMBER = re.compile(r"(?<!\d)\d{17}[\dXx](?![\dXx])")
_OLD_IDENTITY_NUMBER = re.compile(r"(?<!\d)(?P<region>\d\d)\d{4}(?P<birth>\d{6})\d{3}(?!\d)")
_SPACED_IDENTITY_NUMBER = re.compile(r"(?<!\d)\d{6}(?P<gap>[ .·_-])\d{4}(?P=gap)?\d{4}(?P=gap)?\d{3}[\dXx](?![\dXx])")
_SPACED_OLD_IDENTITY_NUMBER = re.compile(r"(?<!\d)\d{6}(?P<gap>[ .·_-])\d{6}(?P=gap)\d{3}(?!\d)")
MOBILE_NUMBER = re.compile(r"(?<!\d)(?:(?:00)?86|0)?[ -]?1[3-9]\d[ .·-]?\d{4}[ .·-]?\d{4}(?!\d)")
_REGIONS = frozenset({*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66)})
_NOT_LETTERS = re.compile(r"[\W_]+")
_SEPARATORS = re.compile(r"[、，,;；/|\s]+")

# What a notice says that comes from the rules and the calendar, never from a row of the shared database.
OF_THE_RULES = frozenset(
    {
        "case", "limit", "ladder", "limit_title", "basis", "policy_title", "start_at", "nominal_due", "legal_due",
        "platform_due", "due_at", "due_day", "light", "light_title", "step", "role", "role_title", "issue",
        "instead_of", "instead_of_title", "awaits_title", "as_of",
    }
)  # fmt: skip
SHORTEST_WORD = 2  # a single character (男, 是) tells of nobody
SURE_WORD = 3  # a shorter one is found in common words: 高峰 is a name, and an hour of the day
SHORTEST_NUMBER = 6  # an age or a house number is found in every date
LONGEST_LIST = 40  # a longer value is a sentence: its words are everybody's


def identifies(text: str, case_keys: Iterable[str] = ()) -> Text | None:
    """What kind of number of a person the text seems to hold, if any. The case numbers are left out of the search."""
    rest = unicodedata.normalize("NFKC", _without(text, case_keys))
    if IDENTITY_NUMBER.search(rest) or _holds_other_identity_number(rest):
        return Text("身份证号", "an identity number")
    if MOBILE_NUMBER.search(rest):
        return Text("手机号码", "a mobile number")
    return None


def telling(values: Iterable[str]) -> frozenset[str]:
    """What of the values of personal fields would tell of somebody: names, numbers, addresses, whole sentences.

    Of several in one field (张某、李某) each counts.
    """
    found: set[str] = set()
    for value in values:
        parts = [value] if len(value) > LONGEST_LIST else [value, *_SEPARATORS.split(value)]
        found.update(folded for part in parts if _tells(folded := _folded(part)))
    return frozenset(found)


def holds(text: str, values: Collection[str], case_keys: Iterable[str], known: Iterable[str], facts: str) -> bool:
    """Whether a text holds one of these values (as `telling` gives them).

    `known` are names the directory has: an official may be called as a petitioner is. What is as short as two
    characters counts only in what was read from somewhere (`facts`), for it may be found in any sentence.
    """
    if not values:
        return False
    said = _folded(_without(_without(text, case_keys), known))
    read = _folded(_without(_without(facts, case_keys), known))
    return any(value in said and (len(value) >= SURE_WORD or value in read) for value in values)


def read_words(facts: Mapping[str, object]) -> tuple[str, ...]:
    """The words a notice has from the shared database: names, one by one."""
    said = (value for name, value in facts.items() if name not in OF_THE_RULES and isinstance(value, str))
    return tuple(word for value in said for word in value.split("、"))


def _without(text: str, words: Iterable[str]) -> str:
    for word in sorted(filter(None, words), key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(word, "\n")
    return text


def _folded(text: str) -> str:
    """Letters and digits only, of one width and case: `张 某 某` is `张某某`. What was taken out is a gap."""
    return "\n".join(_NOT_LETTERS.sub("", part).casefold() for part in unicodedata.normalize("NFKC", text).split("\n"))


def _tells(value: str) -> bool:
    return len(value) >= (SHORTEST_NUMBER if value.isdigit() else SHORTEST_WORD)


def _holds_other_identity_number(text: str) -> bool:
    old = (
        *_OLD_IDENTITY_NUMBER.finditer(text),
        *(found for each in _SPACED_OLD_IDENTITY_NUMBER.finditer(text) for found in _in_one(each[0])),
    )
    if any(_is_old_identity_number(found) for found in old):
        return True
    return any(
        int(digits[:2]) in _REGIONS and _is_day(digits[6:10], digits[10:12], digits[12:14])
        for found in _SPACED_IDENTITY_NUMBER.finditer(text)
        if (digits := _NOT_LETTERS.sub("", found[0]))
    )


def _in_one(spaced: str) -> Iterable[re.Match[str]]:
    return _OLD_IDENTITY_NUMBER.finditer(_NOT_LETTERS.sub("", spaced))


def _is_old_identity_number(found: re.Match[str]) -> bool:
    birth = found["birth"]
    return int(found["region"]) in _REGIONS and _is_day(f"19{birth[:2]}", birth[2:4], birth[4:])


def _is_day(year: str, month: str, day: str) -> bool:
    try:
        return date(int(year), int(month), int(day)).year > 1900  # noqa: PLR2004 - nobody is older
    except ValueError:
        return False
