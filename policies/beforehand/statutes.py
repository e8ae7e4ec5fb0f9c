"""What the texts a policy names as its basis allow at most, so that a limit looser than the law can be pointed out.

Only articles whose wording has been read or seen are here, each with how sure that is: `V` read word for word in the
full text, `S` seen on a page that quotes it. An article that gives no number (条例第二十五条) is not here, nor anything
known from hearsay only: nothing is presented as law that is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from policies.duration import Duration, Unit
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Statute:
    """The longest time one article gives, and for what; `extension` is the longest it may be extended by.

    `about` are words of which one must stand in the limit's title or name when an article sets several limits; empty
    when it sets one.
    """

    title: str
    article: int
    longest: Duration
    what: Text
    sure: str
    extension: Duration | None = None
    about: tuple[str, ...] = ()


def _days(number: int) -> Duration:
    return Duration(Fraction(number), Unit.DAY)


def _workdays(number: int) -> Duration:
    return Duration(Fraction(number), Unit.WORKDAY)


REGULATIONS = "信访工作条例"
STATUTES: tuple[Statute, ...] = (
    Statute(REGULATIONS, 22, _days(15), Text("转送、交办", "forwarding and assigning"), "V"),
    Statute(
        REGULATIONS, 23, _workdays(5), Text("提出异议", "objecting"), "V", about=("异议", "退回", "object", "hand_back")
    ),
    Statute(REGULATIONS, 23, _days(15), Text("书面告知", "the written notice"), "V"),
    Statute(REGULATIONS, 34, _days(60), Text("办结", "finishing"), "V", extension=_days(30)),
    Statute(REGULATIONS, 35, _days(30), Text("复查", "the review"), "V"),
    Statute(REGULATIONS, 36, _days(30), Text("复核", "the recheck"), "V"),
    Statute("政府督查工作条例", 17, _days(30), Text("申请复核与复核决定", "objecting and deciding on it"), "V"),
    Statute("政府信息公开条例", 33, _workdays(20), Text("答复", "the answer"), "V", extension=_workdays(20)),
    Statute("济南市12345市民服务热线条例", 24, _workdays(5), Text("答复", "the answer"), "V"),
    Statute("检举控告工作规则", 15, _workdays(5), Text("移送", "sending up"), "S"),
    Statute("检举控告工作规则", 16, _workdays(5), Text("受理或转办", "accepting or re-routing"), "S"),
)

_DIGITS = {char: number for number, char in enumerate("零一二三四五六七八九")}
_ARTICLE = re.compile(r"第([零一二三四五六七八九十百]+|\d+)条")


def named_in(basis: str) -> Iterator[tuple[str, int]]:
    """Every (title, article) a basis names; a title stands for the articles behind it until the next title."""
    for found in re.finditer(_TITLES, basis):
        rest = basis[found.end() :]
        following = re.search(_TITLES, rest)
        for article in _ARTICLE.finditer(rest[: following.start()] if following else rest):
            yield found.group(), article_number(article[1])


_TITLES = "|".join(re.escape(title) for title in sorted({one.title for one in STATUTES}, key=len, reverse=True))


def article_number(written: str) -> int:
    """`三十四` or `34` as a number (up to 999)."""
    if written.isdigit():
        return int(written)
    total, digit = 0, 0
    for char in written:
        if char in "十百":
            total += (digit or 1) * (10 if char == "十" else 100)
            digit = 0
        else:
            digit = _DIGITS[char]
    return total + digit


def statute_for(basis: str, *names: str) -> Statute | None:
    """The statute a limit rests on, by its basis and what it is called; None if none we know sets a number."""
    said = " ".join(names)
    for title, article in named_in(basis):
        mine = [one for one in STATUTES if (one.title, one.article) == (title, article)]
        special = next((one for one in mine if any(word in said for word in one.about)), None)
        general = next((one for one in mine if not one.about), None)
        if found := special or general:
            return found
    return None
