"""Lengths of time as an office writes them, and moments relative to a start or a limit.

A length always has a unit: `15 日`, `5 工作日`, `3 月`, `24 小时`, `4 工作小时`, or in English `15 days`,
`5 workdays`, `3 months`, `24 hours`, `4 workhours`. A bare number is an error (domain statement 23).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import time
    from fractions import Fraction


class Unit(StrEnum):
    """What a length is counted in."""

    DAY = "day"  # 日, 自然日, 天
    WORKDAY = "workday"  # 工作日
    MONTH = "month"  # 月, 个月
    YEAR = "year"  # 年
    HOUR = "hour"  # 小时, runs through nights and holidays (民法典 201(2))
    WORKHOUR = "workhour"  # 工作小时, only while the office is open


@dataclass(frozen=True, slots=True)
class Duration:
    """A length with its unit. Days, working days, months and years are whole; hours may be fractions (30 分钟)."""

    amount: Fraction
    unit: Unit


@dataclass(frozen=True, slots=True)
class Moment:
    """`due - 3 工作日 09:00`: an anchor, a signed length from it, and a wall-clock time of the office on that day.

    `share` is used instead of `offset` for `start + 50%`: that share of the way from start to due.
    """

    anchor: str
    offset: Duration | None = None
    share: Fraction | None = None
    at: time | None = None
