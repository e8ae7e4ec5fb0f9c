"""DKIM: a signature of the sending domain over each mail (RFC 6376; ed25519 by RFC 8463).

The signature is made with `cryptography`; the usual DKIM library computes RSA in Python, nine times slower. The same
mail gives the same signature: its time is that of the message, so that a resend stays byte-identical.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_SHORTEST_RSA = 1024  # RFC 8301 3.2: shorter ones must not be used
_SEED_BYTES = 32
_LINE = 72
# what is signed where it is there (RFC 6376 5.4.1), and what nobody may add afterwards: signed once more, as absent
_SIGNED = (
    b"from",
    b"reply-to",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"auto-submitted",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
_NOT_TO_BE_ADDED = (b"from", b"reply-to", b"to", b"cc", b"subject", b"date")

_FIELD = re.compile(rb"\r\n(?![ \t])")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_BLANKS_IN_LINE = re.compile(rb"[ \t]+")
_BLANKS_AT_END = re.compile(rb"[ \t]+(?=\r\n)")


class UnusableKey(ValueError):
    """The text is no private key DKIM can use; its message never quotes it."""


@dataclass(frozen=True, slots=True)
class Signer:
    """One key of one domain; in the DNS its public half stands at `selector._domainkey.domain`."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """Its name in the signature."""
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, signed: bytes) -> bytes:
        """The signature over these bytes."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(signed, PKCS1v15(), SHA256())
        return self.key.sign(hashlib.sha256(signed).digest())  # RFC 8463 3: over the hash


def private_key(text: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """The key in a PEM file, or an ed25519 seed in base64.

    Raises:
        UnusableKey: it is none of these, or shorter than allowed.
    """
    seed = _seed(text)
    if seed is not None:
        return Ed25519PrivateKey.from_private_bytes(seed)
    try:
        key = load_pem_private_key(text.strip().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("读不出私钥，应为 PEM 格式、不加密 / no private key in PEM without a pass-phrase") from None
    if isinstance(key, RSAPrivateKey) and key.key_size < _SHORTEST_RSA:
        raise UnusableKey(f"RSA 私钥太短，应为 2048 位，实为 {key.key_size} / RSA key too short, take one of 2048 bits")
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise UnusableKey("应为 RSA 或 Ed25519 私钥 / expected an RSA or an Ed25519 key")
    return key


def signatures(content: bytes, signers: Sequence[Signer], at: datetime) -> bytes:
    """The DKIM-Signature fields to be put before this mail, one per signer."""
    head, _, body = content.partition(b"\r\n\r\n")
    fields = _canonical_fields(head)
    body_hash = base64.b64encode(hashlib.sha256(canonical_body(body)).digest())
    chosen = [name for name in _SIGNED if name in fields]
    names = [*chosen, *_NOT_TO_BE_ADDED]
    covered = b"".join(fields[name] + b"\r\n" for name in chosen)
    return b"".join(_signature(signer, names, covered, body_hash, at) for signer in signers)


def canonical_body(body: bytes) -> bytes:
    """The body as `relaxed` wants it (RFC 6376 3.4.4)."""
    body = _BLANKS_AT_END.sub(b"", _BLANKS_IN_LINE.sub(b" ", body))
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def canonical_field(written: bytes) -> bytes:
    """One header field as `relaxed` wants it (RFC 6376 3.4.2), without its line end."""
    name, _, value = written.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + _BLANKS.sub(b" ", value).strip(b" ")


def _canonical_fields(head: bytes) -> dict[bytes, bytes]:
    """The fields by name; our mails have each name once."""
    written = map(canonical_field, _FIELD.split(head))
    return {one.partition(b":")[0]: one for one in written}


def _signature(signer: Signer, names: Sequence[bytes], covered: bytes, body_hash: bytes, at: datetime) -> bytes:
    begun = (
        f"DKIM-Signature: v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n"
        f" d={signer.domain};\r\n s={signer.selector}; t={int(at.timestamp())};\r\n"
        f" h={_listed(names)};\r\n bh={body_hash.decode()};\r\n b="
    ).encode()
    coded = base64.b64encode(signer.sign(covered + canonical_field(begun)))
    lines = [coded[start : start + _LINE] for start in range(0, len(coded), _LINE)]
    return begun + b"\r\n ".join(lines) + b"\r\n"


def _listed(names: Sequence[bytes]) -> str:
    """The names with colons between, folded."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append("")
        lines[-1] += f"{name.decode()}:"
    return "\r\n ".join(lines)[:-1]


def _seed(text: str) -> bytes | None:
    try:
        seed = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        return None
    return seed if len(seed) == _SEED_BYTES else None
