"""The invented 某市: its units, officials and posts. Nobody here exists; names say what people do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

STEMS = "甲乙丙丁戊己庚辛"
BRANCHES = "子丑寅卯辰巳"
HANDLERS_PER_SECTION = "一二三"


class Pace(StrEnum):
    """How an official works: the script of life follows from it."""

    DILIGENT = "diligent"
    SLOW = "slow"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit (机构) and the code of the one above it."""

    code: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """An official, where he sits, his post if he has one, and his pace if he handles cases."""

    code: str
    name: str
    unit: str
    post: str
    mobile: str | None
    email: str | None
    pace: Pace = Pace.DILIGENT
    retired: bool = False


UNITS = (
    Unit("S00", "某市"),
    Unit("S10", "市信访局", "S00"),
    Unit("S11", "市信访局办信科", "S10"),
    Unit("S12", "市信访局接访科", "S10"),
    Unit("J00", "甲区", "S00"),
    Unit("J10", "甲区住建局", "J00"),
    Unit("J11", "甲区住建局物业科", "J10"),
    Unit("J12", "甲区住建局房管科", "J10"),
    Unit("J20", "甲区人社局", "J00"),
    Unit("J21", "甲区人社局监察科", "J20"),
    Unit("Y00", "乙县", "S00"),
    Unit("Y10", "乙县自然资源局", "Y00"),
    Unit("Y11", "乙县自然资源局耕保科", "Y10"),
    Unit("Y20", "乙县教育局", "Y00"),
    Unit("Y21", "乙县教育局基教科", "Y20"),
    Unit("Y30", "乙县一镇", "Y00"),
    Unit("Y31", "乙县一镇综治办", "Y30"),
)
REGISTRY = "S11"  # receives every case and sends it on
SECTIONS = ("S11", "S12", "J11", "J12", "J21", "Y11", "Y21", "Y31")
BUREAUS = ("S10", "J10", "J20", "Y10", "Y20", "Y30")
TOWNSHIP = "Y30"
AREAS = ("S00", "J00", "Y00")

VACANT_SECTION_HEAD = "Y21"  # who held it retired: its duty falls to the deputy leader
WITHOUT_MOBILE = "J12-3"  # gets mails only
SLOW = {"J11-2", "J12-1", "J21-2", "Y11-1", "Y11-2", "Y21-1", "Y31-3", "S12-2"}
NEVER = {"J11-3", "Y21-2"}

HANDLER, SECTION_HEAD, DEPUTY, PRINCIPAL, INSPECTOR = "承办人", "科室负责人", "分管领导", "主要负责人", "督查专员"


def people() -> tuple[Person, ...]:
    """Everybody, with mobiles counted up from 13800000001 and mailboxes at example.com."""
    drafts = [*_section_people(), *_leaders(), *_inspectors()]
    return tuple(
        Person(
            code,
            name,
            unit,
            post,
            None if code == WITHOUT_MOBILE else f"1380000{number:04}",
            f"{code.lower()}@example.com",
            Pace.SLOW if code in SLOW else Pace.NEVER if code in NEVER else Pace.DILIGENT,
            retired=unit == VACANT_SECTION_HEAD and post == SECTION_HEAD,
        )
        for number, (code, name, unit, post) in enumerate(drafts, 1)
    )


def _section_people() -> list[tuple[str, str, str, str]]:
    found: list[tuple[str, str, str, str]] = []
    for stem, section in zip(STEMS, SECTIONS, strict=True):
        for number, ordinal in enumerate(HANDLERS_PER_SECTION, 1):
            found.append((f"{section}-{number}", f"承办人{stem}{ordinal}", section, HANDLER))
        found.append((f"{section}-K", f"科长{stem}", section, SECTION_HEAD))
    return found


def _leaders() -> list[tuple[str, str, str, str]]:
    found: list[tuple[str, str, str, str]] = []
    for branch, bureau in zip(BRANCHES, BUREAUS, strict=True):
        title = "镇长" if bureau == TOWNSHIP else "局长"
        found.append((f"{bureau}-F", f"副{title}{branch}", bureau, DEPUTY))
        found.append((f"{bureau}-Z", f"{title}{branch}", bureau, PRINCIPAL))
    return found


def _inspectors() -> list[tuple[str, str, str, str]]:
    return [
        (f"{area}-D", f"督查{ordinal}", area, INSPECTOR)
        for ordinal, area in zip(HANDLERS_PER_SECTION, AREAS, strict=True)
    ]
