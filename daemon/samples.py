"""Made-up notices in every state of a limit, to try templates on and to show what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daemon.offers import Offer
from daemon.titles import SHIRKING, UNACKNOWLEDGED, UNACTED
from policies.model import Notice, Official, Why

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.model import Policy, PolicySet, Scalar, Step

SAMPLE_OFFICIAL = Official("S1", "承办人甲一", "甲科", {"sms": "+8613800000001", "email": "s1@example.com"})
SAMPLE_OFFER = Offer("https://duban.example.com/a/4c921DMm4Y5Zs8h2K0aBcDeF", "7342", reply=True)
SAMPLE_DUE = datetime(2026, 10, 8, 15, 59, 59, 999999, UTC)  # 24:00 in Shanghai
SAMPLE_NOTICE = Notice(
    key="XF202609170012/xinfang/notify//1/remind/0/S1/sms",
    case_key="XF202609170012",
    policy="xinfang",
    limit="notify",
    deadline_version=1,
    step="remind",
    repeat=0,
    person="S1",
    role="first_handler",
    channel="sms",
    say="remind",
    why=Why.DUE,
    at=SAMPLE_DUE - timedelta(days=9),
)


SAMPLE_ANSWERS: tuple[Mapping[str, Scalar], ...] = (
    {"answer_code": "", "answer_late": False, "answer_at": "2026-09-17 10:00", "answer_count": 1},
    {"answer_code": "7342", "answer_late": True, "answer_at": "2026-09-17 10:00", "answer_count": 3},
)
_MADE_UP: Mapping[str, Mapping[str, Scalar]] = {
    "alert": {"alert_title": "共享数据库无法访问", "alert_text": "自 09:00 起读不到共享数据库。请检查数据库和网络。"},
    "release_wanted": {"awaits_title": "主要负责人", "awaits_name": "主要负责人甲"},
    SHIRKING: {"handbacks": 2, "handbacks_allowed": 1},
}


def sample_official(kind: str) -> Official:
    """The official with an address of that kind."""
    return replace(SAMPLE_OFFICIAL, addresses={kind: "s1", **SAMPLE_OFFICIAL.addresses})


def sample_facts(title: str, ladder: str, **more: Scalar) -> dict[str, Scalar]:
    """The facts of a made-up notice about a limit of that title, three working days before its end."""
    due = SAMPLE_DUE.isoformat()
    facts: dict[str, Scalar] = {
        "case": "XF202609170012",
        "limit": "notify",
        "limit_title": title,
        "basis": "信访工作条例第二十三条",
        "policy_title": "信访事项",
        "nominal_due": due,
        "legal_due": due,
        "due_at": due,
        "due_day": "10月8日",
        "days_left": 3,
        "overdue_days": 0,
        "light": "yellow",
        "provisional": False,
        "start_at": "2026-09-17T02:00:00+00:00",
        "first_handler_name": "承办人甲一",
        "first_handler_unit": "甲科",
        "handler_name": "承办人甲一",
        "unit_name": "甲科",
        "role": "first_handler",
        "role_title": "首办责任人",
        "step": "remind",
        "missed_count": 0,
        "extended": False,
        "ladder": ladder,
    }
    return facts | more


def samples(policy: Policy, ladder: str, say: str) -> Iterator[Notice]:
    """Notices in every state a limit can be in, for the longest title that uses the ladder."""
    titles = [limit.title for limit in policy.limits if limit.ladder == ladder]
    title = max(titles, key=len, default="书面告知")
    late: dict[str, Scalar] = {
        "light": "red",
        "days_left": -5,
        "overdue_days": 5,
        "role": "principal",
        "role_title": "主要负责人",
    }
    platform = (SAMPLE_DUE - timedelta(days=6)).isoformat()
    for at, more, others in (
        (timedelta(days=-9), {}, {}),
        (
            timedelta(hours=-6),
            {"light": "orange", "days_left": 0, "role": "section_head", "role_title": "科室负责人"},
            {},
        ),
        (timedelta(hours=-6), {"platform_due": platform, "due_at": platform, "light": "red"}, {}),
        (timedelta(days=7), late | {"issue": "urging_note"}, {"copy": True}),
        (timedelta(days=7), late | {"missed_count": 1}, {"missed": ("remind",), "why": Why.CAUGHT_UP}),
    ):
        facts = sample_facts(title, ladder, **more)
        yield replace(SAMPLE_NOTICE, say=say, at=SAMPLE_DUE + at, facts=facts, **others)


STANDINGS = ("ahead", "today", "platform", "overdue")
"""The states a limit can be in, as `duban preview --standing` names them."""


def sample_notice(policy: Policy, ladder: str, say: str, standing: str = "ahead") -> Notice:
    """A made-up notice of that ladder, in one of STANDINGS; for texts no step says, with the facts they have."""
    made_up = list(samples(policy, ladder, say))[STANDINGS.index(standing)]
    return replace(made_up, copy=False, facts={**made_up.facts, **_MADE_UP.get(say, {})})


def used_words(policies: PolicySet) -> list[tuple[Policy, str, str]]:
    """(policy, ladder, say) of everything the policies say, each once, in the order they say it."""
    return list({(ladder, say): (policy, ladder, say) for policy, ladder, say, _ in uses(policies)}.values())


def uses(policies: PolicySet) -> Iterator[tuple[Policy, str, str, str]]:
    """(policy, ladder, say, kind) of everything a step may say, each once."""
    seen: dict[tuple[str, str, str], Policy] = {}
    for policy in policies.policies.values():
        for name in dict.fromkeys(limit.ladder for limit in policy.limits):
            for step in policy.ladders[name].steps:
                for kind in (step.via or policy.via).channels:
                    for say in (*says_of(step), *says_beside(policy)):
                        seen.setdefault((name, say, kind), policy)
    for (ladder, say, kind), policy in seen.items():
        yield policy, ladder, say, kind


def digesting(policies: PolicySet) -> Iterator[tuple[Policy, str]]:
    """Each policy that puts messages together, with each kind of channel it uses."""
    for policy in policies.policies.values():
        if policy.digest is not None:
            ways = (step.via or policy.via for ladder in policy.ladders.values() for step in ladder.steps)
            for kind in dict.fromkeys(kind for via in ways for kind in via.channels):
                yield policy, kind


def says_beside(policy: Policy) -> Iterator[str]:
    """What a policy says beside its steps: of a restricted case, of hand-backs."""
    if policy.restricted.recipients:
        yield policy.restricted.say
    if policy.first_handler.handbacks_allowed is not None:
        yield SHIRKING


def says_of(step: Step) -> tuple[str, ...]:
    """What a step says, what for want of an acknowledgement, and what if nothing was done after it."""
    if step.acknowledge is None:
        return (step.say,)
    return (step.say, UNACKNOWLEDGED) if step.acknowledge.then is None else (step.say, UNACKNOWLEDGED, UNACTED)
