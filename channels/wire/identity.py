"""A short name for a message, derived from its idempotency key."""

from __future__ import annotations

import hashlib


def reference_of(key: str) -> str:
    """32 hexadecimal digits, the same for the same key; it tells a provider nothing about the case."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
