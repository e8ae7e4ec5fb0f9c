"""What may be said of every channel beside its own settings: a text message in China is a medium of its own.

channels:
  sms:
    type: …
    links: false                 # no link in its texts: the carrier forbids them
    replies: true                # people can answer (上行): short codes are offered
    words: {信访: 事项}          # neutral words in place of those a carrier stops
    price: 0.045                 # of one part, in yuan: for forecasts only
    budget: {per_person: 50, same_text: 3}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from policies.complaints import Mistake
from policies.text import Text


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Budget(_Part):
    """What a carrier lets through to one number in any 24 hours, and what the office wants to spend in them.

    `per_person`: messages to one person; `same_text`, `different_texts`: how often one text, and how many different
    ones, go to one person; `total`: parts of all messages. `reserve` of all of them but `same_text`, in percent, is
    kept back for what is red or counted in hours.
    """

    per_person: int | None = Field(default=None, ge=1)
    same_text: int | None = Field(default=None, ge=1)
    different_texts: int | None = Field(default=None, ge=1)
    total: int | None = Field(default=None, ge=1)
    reserve: int = Field(default=20, ge=0, le=90)

    @property
    def compares_texts(self) -> bool:
        """Whether it matters if a text is the same as another."""
        return self.same_text is not None or self.different_texts is not None


def _words(words: dict[str, str]) -> dict[str, str]:
    """No empty word; no 【】 in what is said instead, which carriers take for a second signature."""
    for word, instead in words.items():
        if not word.strip():
            raise Mistake(Text("要替换的字词不能是空的", "an empty word cannot be replaced"))
        if set(instead) & set("【】"):
            raise Mistake(
                Text(
                    f"“{word}”换成的说法里不能有【】，运营商会当成第二个签名",
                    f"what is said instead of {word!r} must hold no 【】: carriers take it for a second signature",
                )
            )
    return words


class Medium(_Part):
    """What a channel lets through, and at what price. `links` None: as its kind of address usually does."""

    links: bool | None = None
    replies: bool = False
    words: Annotated[dict[str, str], AfterValidator(_words)] = {}
    price: float | None = Field(default=None, ge=0)
    budget: Budget | None = None

    def takes_links(self, kind: str) -> bool:
        """Whether a text may hold a link: in text messages only if it was said, elsewhere unless it was forbidden."""
        return self.links if self.links is not None else kind != "sms"


KEYS = frozenset(Medium.model_fields)
