"""Count one period of law: start, length, unit, roll, extension, exclusion -> nominal and legal end.

Pure: the calendar is handed in. Every result can tell, step by step, how it was reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from policies.text import Text


@dataclass(frozen=True, slots=True)
class CountStep:
    """One sentence of the explanation of a count, with the instant reached."""

    text: Text
    at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """The two ends of a counted period (see `policies.model` for what `*_due_at` means).

    `provisional` is true when a day beyond the last published holiday notice was used.
    """

    nominal_due_at: datetime
    legal_due_at: datetime
    provisional: bool
    steps: tuple[CountStep, ...]
