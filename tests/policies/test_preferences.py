"""Over which channel somebody would rather be told, within what the policy leaves to him."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evaluate import after_failure, evaluate
from policies.ladders.via import Channels, preferred, reachable
from policies.model import Choice, Directory, History, Notice, Official, Plan, RestrictedRule, Via, Why
from policies.people.first_handler import first_handler_of
from support.invented_office import (
    CHINA,
    at,
    case,
    directory,
    obligation,
    official,
    policies,
    step,
    with_person,
    with_steps,
)

KINDS = {"sms": "sms", "mobile2": "sms", "email": "email", "wecom": "wecom"}
EVERYWHERE = {"sms": "13800000001", "email": "clerk@example.com", "wecom": "clerk"}
BOTH = Channels(("sms", "email"), ("sms", "email"))
IN_ORDER = Channels(("sms", "email"), ("sms", "email"), in_order=True)
ANY = Choice(("sms", "email", "wecom"))


def person(*prefers: str, **addresses: str) -> Official:
    """Somebody with these preferences, reachable everywhere unless told otherwise."""
    return Official("p", "某p", "B", addresses or EVERYWHERE, prefers=prefers)


@pytest.mark.parametrize(
    ("channels", "prefers", "choice", "names", "in_order"),
    [
        (BOTH, ("email",), ANY, ("email", "sms"), True),  # replaces both at once; the other if it fails
        (BOTH, ("wecom",), ANY, ("wecom", "sms", "email"), True),
        (BOTH, ("wecom", "sms"), ANY, ("wecom", "sms", "email"), True),
        (BOTH, ("mobile2",), ANY, ("mobile2", "sms", "email"), True),  # a channel by its name, its kind allowed
        (BOTH, ("wecom",), Choice(("email",)), ("sms", "email"), False),  # not left to him
        (BOTH, ("fax",), ANY, ("sms", "email"), False),  # there is no such thing here
        (BOTH, (), ANY, ("sms", "email"), False),
        (BOTH, ("email",), None, ("sms", "email"), False),
        (IN_ORDER, ("email",), ANY, ("email", "sms"), True),
        (IN_ORDER, ("sms",), ANY, ("sms", "email"), True),
    ],
)
def test_what_he_prefers_comes_first(
    channels: Channels, prefers: tuple[str, ...], choice: Choice | None, names: tuple[str, ...], *, in_order: bool
) -> None:
    """Within the choice; the policy's own channels follow, and nothing changes where he has no say."""
    found = preferred(channels, person(*prefers), choice, KINDS)
    assert (found.names, found.in_order) == (names, in_order)


def test_a_preference_without_an_address_changes_nothing() -> None:
    """He prefers WeCom and has no id there: the policy's way."""
    assert preferred(BOTH, person("wecom", sms="138", email="p@example.com"), ANY, KINDS) is BOTH


WORDS = st.sampled_from([*KINDS, "fax", "pager"])
SETS = st.lists(WORDS, max_size=4, unique=True).map(tuple)


@given(
    st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3, unique=True).map(tuple),
    st.booleans(),
    SETS,
    SETS,
    st.sets(st.sampled_from(["sms", "email", "wecom"])),
)
@settings(max_examples=300, deadline=None)
def test_whoever_would_be_told_is_told_whatever_he_prefers(
    names: tuple[str, ...], in_order: bool, prefers: tuple[str, ...], choice: tuple[str, ...], has: set[str]
) -> None:
    """Nobody loses a way to be reached by what he or the policy says about choosing."""
    channels = Channels(names, tuple(KINDS[name] for name in names), in_order)
    him = person(*prefers, **dict.fromkeys(has, "x") or {"fax": "x"})
    people = Directory({"p": him})
    found = preferred(channels, him, Choice(choice), KINDS)
    before, after = reachable("p", channels, people), reachable("p", found, people)
    assert set(before) <= set(after)
    assert len(set(found.names)) == len(found.names)


def decided(
    now: str, prefers: tuple[str, ...], history: History | None = None, *, restricted: bool = False, **more: object
) -> Plan:
    """One step to the clerk over text message and mail together, as he prefers."""
    rules = with_steps(
        step("now", "start", "handler"),
        step("late", "due + 1 工作日 09:00", "handler"),
        via=Via(("sms", "email")),
        restricted=RestrictedRule(("clerk",)),
        **{"choice": ANY, **more},
    )
    people = with_person(replace(official("clerk", "B"), prefers=prefers))
    the_case = case(restricted=restricted)
    one = obligation(the_case, at(now), rules)
    first = first_handler_of(policies(rules), the_case)
    return evaluate(rules, one, the_case, history or History(), people, first, CHINA, at(now), KINDS)


def channels(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    """Each notice with what follows it."""
    return [(notice.channel, notice.instead) for notice in plan.notices]


def test_a_decision_goes_by_the_preference_and_says_so() -> None:
    """One message over the channel he chose, the other to follow if it fails, with a sentence."""
    plan = decided("2026-09-16 10:00", ("email",))
    assert channels(plan) == [("email", ("sms",))]
    (said,) = (reason for reason in plan.reasons if reason.why is Why.PREFERENCE)
    assert "email" in said.text.zh
    assert channels(decided("2026-09-16 10:00", ())) == [("sms", ()), ("email", ())]


def test_red_goes_the_policys_way() -> None:
    """Past the limit nobody chooses; nor where the policy leaves only some lights to him."""
    started = History({"start": at("2026-09-16 10:00")})
    assert channels(decided("2026-10-09 09:00", ("email",), started)) == [("sms", ()), ("email", ())]
    green = Choice(("email",), ("yellow",))
    assert channels(decided("2026-09-16 10:00", ("email",), choice=green)) == [("sms", ()), ("email", ())]


def test_a_restricted_case_goes_the_policys_way() -> None:
    """Which channel may carry what is secret is not for the reader to say."""
    assert channels(decided("2026-09-16 10:00", ("email",), restricted=True)) == [("sms", ()), ("email", ())]


def test_what_fails_over_his_channel_is_tried_over_the_others() -> None:
    """Then it goes up, as without a preference."""
    plan = decided("2026-09-16 10:00", ("email",))
    (notice,) = plan.notices
    rules = with_steps(step("now", "start", "handler"), via=Via(("sms", "email")), choice=ANY)
    one = obligation(case(), at("2026-09-16 10:00"), rules)
    people = with_person(replace(official("clerk", "B"), prefers=("email",)))

    def failed(what: Notice) -> Plan:
        return after_failure(rules, one, case(), what, people, None, CHINA, at("2026-09-16 10:01"), KINDS)

    (again,) = failed(notice).notices
    assert (again.person, again.channel, again.instead) == ("clerk", "sms", ())
    assert {up.person for up in failed(again).notices} == {"head"}
    assert directory().officials["clerk"].prefers == ()
