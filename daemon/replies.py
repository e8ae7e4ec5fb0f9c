"""What somebody means who writes back (上行). Pure; of the words nothing is kept but this."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Command(StrEnum):
    """What a reply asks for."""

    ACKNOWLEDGE = "acknowledge"  # 签收: I have it
    STOP = "stop"  # 退订: no more messages over this channel
    START = "start"  # 恢复: messages again
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Understood:
    """A reply as understood. `code` is the short code of what it is about, `case` a case number; empty if not told."""

    command: Command
    code: str = ""
    case: str = ""


_WORDS = {
    Command.STOP: ("退订", "TD", "STOP", "0000"),
    Command.START: ("恢复", "START"),
    Command.ACKNOWLEDGE: ("签收", "收到", "OK", "ACK", "1"),
}
_CODE = re.compile(r"\d{1,6}")
_CASE = re.compile(r"[A-Z0-9-]{4,40}")
_BETWEEN = " ,.，。、:：#+＋\t\r\n"


def understood(text: str) -> Understood:
    """What these words mean, whatever their width and case; a text that says anything else is unknown."""
    words = unicodedata.normalize("NFKC", text).strip(_BETWEEN).upper()
    for command, known in _WORDS.items():
        for word in known:
            if words == word:
                return Understood(command)
            rest = words.removeprefix(word)
            if command is Command.ACKNOWLEDGE and rest != words and (word != "1" or rest[0] in _BETWEEN):
                return _about(rest.strip(_BETWEEN))
    return Understood(Command.UNKNOWN)


def _about(rest: str) -> Understood:
    if _CODE.fullmatch(rest):
        return Understood(Command.ACKNOWLEDGE, code=rest)
    if _CASE.fullmatch(rest):
        return Understood(Command.ACKNOWLEDGE, case=rest)
    return Understood(Command.UNKNOWN)
