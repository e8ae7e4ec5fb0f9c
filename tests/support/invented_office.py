"""An invented office for the suites of the pure rules: units, people, one policy, and the calendar of China."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from daemon.calendars import china
from policies.duration import parse_duration, parse_moment
from policies.evaluate import evaluate, rule_of
from policies.model import (
    Acknowledge,
    Bound,
    Case,
    Directory,
    ExtensionRule,
    FirstHandlerRule,
    History,
    Ladder,
    Lights,
    Limit,
    OfficeUnit,
    Official,
    Plan,
    Policy,
    PolicySet,
    Post,
    Repeat,
    Step,
    Via,
)
from policies.obligations import Counted, obligations_of
from policies.people.first_handler import first_handler_of

if TYPE_CHECKING:
    from policies.model import FirstHandler, Obligation

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = china()
CALENDARS = {"china": CHINA}
KINDS = {"sms": "sms", "email": "email"}


def at(text: str) -> datetime:
    """`2026-09-16 10:00` on a clock in Shanghai, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def end_of(day: str) -> datetime:
    """24:00 of that day in Shanghai: the last instant that is still on time."""
    return datetime.fromisoformat(f"{day} 23:59:59.999999").replace(tzinfo=SHANGHAI).astimezone(UTC)


def step(name: str, moment: str, *to: str, **more: Any) -> Step:
    """A step; its text has the step's name unless told otherwise."""
    return Step(name, parse_moment(moment), to, more.pop("say", name), **more)


STEPS = (
    step(
        "assigned",
        "start",
        "first_handler",
        acknowledge=Acknowledge(parse_duration("4 工作小时"), ("section_head",)),
    ),
    step("remind", "due - 3 工作日 09:00", "first_handler"),
    step("today", "due 09:00", "first_handler", "section_head"),
    step("urge", "due + 1 工作日 09:00", "deputy_leader", cc=("section_head", "inspector"), issue="urging_note"),
    step(
        "bulletin",
        "due + 5 工作日 09:00",
        "principal",
        repeat=Repeat(parse_duration("5 工作日"), 2),
    ),
)
LADDER = Ladder("standard", Lights(parse_duration("3 工作日"), parse_duration("1 工作日")), STEPS)


def limit(**changes: Any) -> Limit:
    """书面告知: fifteen natural days from arrival at the responsible unit."""
    notify = Limit(
        id="notify",
        title="书面告知",
        start=("arrived_at",),
        within=parse_duration("15 日"),
        done=("notified_at",),
        ladder="standard",
        basis="信访工作条例第二十三条",
        platform_due=(Bound("limit_at"),),
    )
    return replace(notify, **changes)


def finish(**changes: Any) -> Limit:
    """办结: sixty natural days from acceptance, extended by at most thirty."""
    rule = ExtensionRule(parse_duration("30 日"), approved_by=("principal",))
    whole = limit(
        id="finish",
        title="办结",
        start=("accepted_at", "arrived_at"),
        within=parse_duration("60 日"),
        done=("finished_at",),
        extension=rule,
    )
    return replace(whole, **changes)


def policy(*limits: Limit, **changes: Any) -> Policy:
    """A policy with these limits (书面告知 alone if none is named)."""
    rules = Policy(
        id="xinfang",
        title="信访事项首办责任与限时办结",
        limits=limits or (limit(),),
        ladders={"standard": LADDER},
        first_handler=FirstHandlerRule(("accepted_at", "arrived_at"), stays_informed="yellow"),
        via=Via(("sms",)),
    )
    return replace(rules, **changes)


def with_steps(*steps: Step, **changes: Any) -> Policy:
    """The policy with another ladder."""
    return policy(ladders={"standard": replace(LADDER, steps=steps)}, **changes)


def policies(*several: Policy) -> PolicySet:
    """These policies, in force as version v1."""
    return PolicySet("v1", {one.id: one for one in several or (policy(),)})


def case(**changes: Any) -> Case:
    """A case that reached 乙科 on Wed 2026-09-16 at ten: fifteen days end in the National Day holidays."""
    milestones = changes.pop("milestones", {"arrived_at": at("2026-09-16 10:00")})
    return replace(Case("XF001", unit="B", handler="clerk", milestones=milestones), **changes)


def official(key: str, unit: str, **changes: Any) -> Official:
    """A person with a mobile and a mailbox."""
    addresses = {"sms": "13800000001", "email": f"{key}@example.com"}
    return replace(Official(key, f"某{key}", unit, addresses), **changes)


PEOPLE = (
    official("clerk", "B"),
    official("clerk2", "C"),
    official("head", "B"),
    official("head2", "C"),
    official("deputy", "A"),
    official("boss", "A"),
    official("watch", "A"),
    official("root", "A"),
)
POSTS = (
    Post("B", "section_head", "head"),
    Post("C", "section_head", "head2"),
    Post("A", "deputy_leader", "deputy"),
    Post("A", "principal", "boss"),
    Post("A", "inspector", "watch"),
)


def directory(**changes: Any) -> Directory:
    """The bureau A with its sections B (乙科) and C (丙科)."""
    people = Directory(
        officials={one.key: one for one in PEOPLE},
        units={
            "A": OfficeUnit("A", "某市信访局"),
            "B": OfficeUnit("B", "乙科", "A"),
            "C": OfficeUnit("C", "丙科", "A"),
        },
        posts=POSTS,
        administrators=("root",),
    )
    return replace(people, **changes)


def with_person(one: Official, **changes: Any) -> Directory:
    """The office with one person told differently."""
    people = directory(**changes)
    return replace(people, officials={**people.officials, one.key: one})


def counted(the_case: Case, now: datetime, *several: Policy) -> Counted:
    """All limits of a case at that instant."""
    return obligations_of(policies(*several), the_case, CALENDARS, now)


def obligation(the_case: Case | None = None, now: datetime | None = None, rules: Policy | None = None) -> Obligation:
    """The one limit of a case."""
    found = counted(the_case or case(), now or at("2026-09-16 10:00"), rules or policy()).obligations
    assert len(found) == 1
    return found[0]


def decide(
    now: datetime,
    history: History | None = None,
    *,
    the_case: Case | None = None,
    rules: Policy | None = None,
    people: Directory | None = None,
    one: Obligation | None = None,
    first: FirstHandler | None = None,
) -> Plan:
    """Evaluate the one limit of a case at that instant."""
    the_case, rules = the_case or case(), rules or policy()
    one = one or obligation(the_case, now, rules)
    first = first or first_handler_of(policies(rules), the_case)
    assert rule_of(rules, one) is not None
    return evaluate(rules, one, the_case, history or History(), people or directory(), first, CHINA, now, KINDS)
