"""Working days and working hours of one office, over holiday data handed in."""

from __future__ import annotations
