"""What can be wrong with a policy.

PolicyError
└── carries Problem, Problem, …      all mistakes at once, each with the path of the key it stands at
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.text import Text

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what was found and expected, and what was probably meant."""

    path: KeyPath
    message: Text
    hint: Text | None = None


class PolicyError(Exception):
    """The policy cannot be used; `problems` lists every mistake that was found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, p.path))}: {p.message.en}" for p in problems))
        self.problems = problems
