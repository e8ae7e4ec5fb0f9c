"""A foretold line in words, as tables and files show it. Names and case numbers only, nothing about petitioners."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from daemon.foresight.lines import Line
    from daemon.names import Names

FATES = {"release": ("待核发", "awaits release"), "dark": ("试运行，不发", "dark: not sent")}


class Said(NamedTuple):
    """One message in words; the channels of one message to one person stand together."""

    at: datetime
    when: str
    case: str
    unit: str
    limit: str
    step: str
    role: str
    name: str
    copy: bool
    channels: tuple[str, ...]
    light: str
    light_word: str
    parts: int
    remark: str
    key: str
    person: str


def said(names: Names, lines: Iterable[Line]) -> Iterator[Said]:
    """The messages among the lines, which come in time; neighbours that differ only by their channel are one."""
    group: list[Line] = []
    for line in lines:
        if group and _same(group[0]) != _same(line):
            yield _told(names, group)
            group = []
        group.append(line)
    if group:
        yield _told(names, group)


def _same(line: Line) -> tuple[object, ...]:
    return line.at, line.case, line.kind, line.policy, line.limit, line.instance, line.step, line.person


def _told(names: Names, group: list[Line]) -> Said:
    line = group[0]
    return Said(
        at=line.instant,
        when=names.instant(line.instant),
        case=line.case,
        unit=names.unit(line.unit) if line.unit else "",
        limit=names.limit(line.policy, line.limit),
        step=names.step(line.policy, line.limit, line.step) if line.step else "",
        role=names.role(line.role) if line.role else "",
        name=names.person(line.person) if line.person else "",
        copy=line.copy,
        channels=tuple(dict.fromkeys(names.channel(one.channel) for one in group if one.channel)),
        light=line.light,
        light_word=names.light(line.light, line.policy, line.limit) if line.light else "",
        parts=sum(one.parts for one in group),
        remark=_remark(names, line),
        key=line.key,
        person=line.person,
    )


def _remark(names: Names, line: Line) -> str:
    remarks: list[str] = []
    if line.fate:
        remarks.append(names.say(*FATES[line.fate]))
    if line.missed:
        remarks.append(names.say(f"补发，含错过的 {line.missed} 个梯级", f"for {line.missed} missed step(s) too"))
    if line.provisional:
        remarks.append(names.say("日期暂定", "provisional"))
    if line.digest:
        remarks.append(names.say("可并入汇总", "may go into a digest"))
    return names.say("；", "; ").join(remarks)
