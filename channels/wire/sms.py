"""How long an SMS is, and how a mobile number is written for a provider."""

from __future__ import annotations

from typing import Literal

from channels.base import PermanentFailure

WHOLE = 70  # UTF-16 units in one SMS of 140 bytes (GSM 03.38, UCS-2)
SPLIT = 67  # the same with a 6-byte header that joins the parts

NumberFormat = Literal["e164", "digits", "national"]

_CHINA = "+86"
_CHINESE_DIGITS = 11


def sms_parts(text: str) -> int:
    """How many SMS the text takes, counted in UTF-16 units as the providers do; never less than one."""
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if units <= WHOLE else -(-units // SPLIT)


def written_number(e164: str, number: NumberFormat) -> str:
    """The number as the provider wants it: `+8613…`, `8613…`, or the 11 digits used inside China.

    Raises:
        PermanentFailure: it is no E.164 number, or no Chinese one where 11 digits are wanted.
    """
    digits = e164[1:]
    if not (e164.startswith("+") and digits.isascii() and digits.isdigit()):
        raise PermanentFailure("bad_number", "not an E.164 number")
    if number == "e164":
        return e164
    if number == "digits":
        return digits
    national = e164.removeprefix(_CHINA)
    if not e164.startswith(_CHINA) or len(national) != _CHINESE_DIGITS:
        raise PermanentFailure("bad_number", "not a Chinese mobile number")
    return national
