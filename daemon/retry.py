"""When a delivery that failed for a while is tried again."""

from __future__ import annotations
