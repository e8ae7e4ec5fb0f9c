"""Links that acknowledge (签收): a token names one delivery and the day its right ends, and is signed.

A token is letters and digits only, so that no phone cuts a link short at a sign of punctuation, and short, because a
text message has 70 characters: the number of the delivery, three places for the last day, seventeen for the signature.
The signature is HMAC-SHA256 cut to 96 bits (RFC 2104 section 5 allows no fewer than 80): whoever wanted to guess one
would have to ask our own server 2^95 times. The same delivery always has the same token: a message that is written
again has the same bytes.
"""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any

from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import HMACAlgorithm, Signer

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.settings import ConsoleSettings

PATH = "/a/"
SALT = b"duban acknowledgement link"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_SIGNATURE_BYTES = 12
_SIGNATURE_PLACES = 17  # 62^17 > 2^96
_DAY_PLACES = 3
_FIRST_DAY = date(2026, 1, 1).toordinal()
_LONGEST = 40  # no number of a delivery is that long: nothing is worked out about what somebody made up


class LinkRefused(Exception):
    """The token is not one of ours, or not any more; nothing is said of which deliveries there are."""


class LinkUnknown(LinkRefused):
    """Not signed by us, or altered on the way."""


class LinkExpired(LinkRefused):
    """It was ours, and its time is over."""


class _Short(HMACAlgorithm):
    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """The beginning of the HMAC."""
        return super().get_signature(key, value)[:_SIGNATURE_BYTES]


class Links:
    """Makes and reads tokens by the secrets of the `console:` section."""

    def __init__(self, settings: ConsoleSettings) -> None:
        old = [] if settings.old_secret is None else [settings.old_secret.get_secret_value()]
        keys: Any = [*old, settings.secret.get_secret_value()]  # the last one signs, all of them verify
        self._signer = Signer(keys, salt=SALT, key_derivation="hmac", algorithm=_Short(_Short.default_digest_method))
        self._base = settings.public_url + PATH
        self._good_for = timedelta(days=settings.link_days)

    def link(self, delivery: int, decided_at: datetime) -> str:
        """The public address under which that delivery is acknowledged."""
        return self._base + self.token(delivery, decided_at)

    def token(self, delivery: int, decided_at: datetime) -> str:
        """The token of a delivery; good to the end of the day (UTC) so many days after the decision."""
        last = (decided_at.astimezone(UTC) + self._good_for).date().toordinal() - _FIRST_DAY
        value = _written(delivery) + _written(max(last, 0)).zfill(_DAY_PLACES)
        signature = int.from_bytes(base64_decode(self._signer.get_signature(value)))
        return value + _written(signature).zfill(_SIGNATURE_PLACES)

    def read(self, token: str, now: datetime) -> int:
        """Which delivery a token names.

        Raises:
            LinkUnknown: it is not ours or was altered.
            LinkExpired: it was ours once.
        """
        value, signature = token[:-_SIGNATURE_PLACES], token[-_SIGNATURE_PLACES:]
        number = _read(signature)
        if not (_DAY_PLACES < len(value) <= _LONGEST) or number is None or number >= 1 << 8 * _SIGNATURE_BYTES:
            raise LinkUnknown
        if not self._signer.verify_signature(value, base64_encode(number.to_bytes(_SIGNATURE_BYTES))):
            raise LinkUnknown
        delivery, last = _read(value[:-_DAY_PLACES]), _read(value[-_DAY_PLACES:])
        if delivery is None or last is None:
            raise LinkUnknown
        if now.astimezone(UTC).date().toordinal() > _FIRST_DAY + last:
            raise LinkExpired
        return delivery


def _written(number: int) -> str:
    digits = ""
    while number or not digits:
        number, rest = divmod(number, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return digits


def _read(digits: str) -> int | None:
    number = 0
    for digit in digits:
        value = _VALUES.get(digit)
        if value is None:
            return None
        number = number * len(_DIGITS) + value
    return number if digits else None
