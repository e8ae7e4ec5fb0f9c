"""How long an SMS is, and how a mobile number is written for a provider."""

from __future__ import annotations

from typing import Literal

from channels.base import PermanentFailure

SINGLE_UNITS = 70  # UTF-16 units in one SMS of 140 bytes (GSM 03.38, UCS-2)
PART_UNITS = 67  # the same with a 6-byte header that joins the parts

NumberFormat = Literal["e164", "digits", "national"]

_CHINA = "+86"
_CHINESE_DIGITS = 11


def sms_units(text: str) -> int:
    """Length in UTF-16 code units, as carriers count it (a character outside the BMP counts two)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def sms_parts(text: str) -> int:
    """How many parts a Chinese text message is sent and charged as: 70 units in one, 67 in each of several."""
    units = sms_units(text)
    return 1 if units <= SINGLE_UNITS else -(-units // PART_UNITS)


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
