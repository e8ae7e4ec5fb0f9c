"""Extensions (延期): which of those on record are effective (条例第三十四条), and by how much the limit moves.

An extension counts only if the limit allows one, it was decided before the original limit had passed, somebody entitled
approved it, the petitioner was told why, and all of them together are not longer than the rule allows. Otherwise the
old limit stays and a supervisor is told every fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from policies.counting import CountError
from policies.duration import Duration, Unit, format_duration
from policies.limits.ends import Running, legal_end
from policies.limits.facts import finding
from policies.model import ExtensionBase
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from policies.calendar import Calendar
    from policies.counting import Count
    from policies.model import Extension, ExtensionRule, Limit, Reason


def effective_extension(
    limit: Limit,
    recorded: Sequence[Extension],
    running: Running,
    calendar: Calendar,
    place: str,
    now: datetime,
    stands_since: datetime | None = None,
) -> tuple[Duration | None, list[Reason]]:
    """The length by which the limit is extended, all effective extensions together; and those that are refused.

    `stands_since` is since when the clock stands still, None: it runs.
    """
    granted: Duration | None = None
    findings: list[Reason] = []
    for extension in sorted(recorded, key=lambda one: one.seq):
        if extension.limit != limit.id and (extension.limit is not None or limit.extension is None):
            continue
        try:
            asked = _Asked(limit, extension, granted, running, calendar, stands_since)
            length = asked.length()
            faults = list(asked.faults(length))
        except CountError as error:
            faults, length = [error.message], None
        if faults or length is None:
            findings.append(_refused(extension, faults, place, now))
        else:
            granted = _together(granted, length)
    return granted, findings


@dataclass(frozen=True, slots=True)
class _Asked:
    """One extension asked for, after those already granted."""

    limit: Limit
    extension: Extension
    granted: Duration | None
    running: Running
    calendar: Calendar
    stands_since: datetime | None

    def end(self, extension: Duration | None) -> Count:
        return legal_end(self.limit, self.running, extension, self.calendar)

    def length(self) -> Duration | None:
        """How long it is; told by its last day only, the natural days from the end so far to that day.

        Who writes down the longest extension as the working day it rolls to means the longest, not a day more.
        """
        until_at, rule = self.extension.until_at, self.limit.extension
        if self.extension.length is not None or until_at is None or rule is None:
            return self.extension.length
        so_far = self.end(self.granted)
        from_rolled = self.granted is None and rule.counted_from is ExtensionBase.ROLLED
        begins = self.calendar.local_day(so_far.legal_due_at if from_rolled else so_far.nominal_due_at)
        ends = self.calendar.local_day(until_at)
        longest = self.end(rule.up_to)
        if ends <= self.calendar.local_day(longest.legal_due_at):
            ends = min(ends, self.calendar.local_day(longest.nominal_due_at))
        return Duration(Fraction((ends - begins).days), Unit.DAY)

    def faults(self, length: Duration | None) -> Iterator[Text]:
        """Why it is not effective; nothing if it is."""
        rule, extension = self.limit.extension, self.extension
        if rule is None:
            yield Text("本时限不得延期", "this limit cannot be extended")
            return
        if self._too_late():
            yield Text("决定时已超过原期限", "it was decided after the original limit")
        if rule.approved_by and extension.approved_by not in rule.approved_by:
            yield Text("没有有权批准人", "nobody entitled to approved it")
        if rule.petitioner_told and extension.petitioner_told_at is None:
            yield Text("没有告知信访人的记录", "there is no record that the petitioner was told")
        yield from self._faults_of_length(length, rule)

    def _too_late(self) -> bool:
        """Whether the original limit had passed; one that stands still since before its end has not."""
        due_at, since = self.end(None).legal_due_at, self.stands_since
        stood = since is not None and since <= due_at and since <= self.extension.decided_at
        return self.extension.decided_at > due_at and not stood

    def _faults_of_length(self, length: Duration | None, rule: ExtensionRule) -> Iterator[Text]:
        if length is None or length.amount <= 0:
            yield Text("没有写明延长多久", "it does not say for how long")
        elif self.granted is not None and self.granted.unit is not length.unit:
            yield Text(
                "与前次延期的单位不同，不能相加", "its unit differs from the extension before, they cannot be added"
            )
        elif self.end(_together(self.granted, length)).nominal_due_at > self.end(rule.up_to).nominal_due_at:
            most_zh, most_en = format_duration(rule.up_to, "zh"), format_duration(rule.up_to, "en")
            yield Text(f"超过最长 {most_zh}", f"it is longer than {most_en}")


def _together(granted: Duration | None, length: Duration) -> Duration:
    return length if granted is None else Duration(granted.amount + length.amount, length.unit)


def _refused(extension: Extension, faults: Sequence[Text], place: str, now: datetime) -> Reason:
    zh = f"第 {extension.seq} 次延期无效：{'；'.join(f.zh for f in faults)}。原期限不变。"
    en = f"Extension {extension.seq} is not effective: {'; '.join(f.en for f in faults)}. The old limit stays."
    return finding(place, now, zh, en)
