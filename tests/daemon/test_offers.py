"""What a message offers for acknowledging it, and how the shipped words say so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channels.wire.identity import reference_of
from channels.wire.sms import sms_units
from daemon.medium import Medium
from daemon.offers import ANSWERS, NO_OFFER, Offer, Offers, code_of
from daemon.render import Renderer
from daemon.samples import SAMPLE_ANSWERS, SAMPLE_NOTICE, SAMPLE_OFFER
from daemon.settings import ConsoleSettings
from policies.model import Notice, Official, PolicySet, Why

if TYPE_CHECKING:
    from policies.model import Scalar
    from policies.text import Language

SHIPPED = Path(__file__).parents[2] / "config" / "templates"
DUE = datetime(2026, 10, 8, 15, 59, 59, 999999, UTC)
OFFICIAL = Official("o1", "承办人甲一", "甲科", {"sms": "+8613800000001", "email": "jia1@example.com"})
CONSOLE = ConsoleSettings(public_url="https://duban.example.com", secret=SecretStr("a secret of 16 or more"))
KINDS = {"sms": "sms", "email": "email"}
SAYS = ("assigned", "remind", "today", "urge", "no_action", "unacknowledged")
CODE = Offer(code="7342", reply=True)
MOMENTS: tuple[tuple[timedelta, dict[str, Scalar]], ...] = (
    (timedelta(days=-9), {}),
    (timedelta(hours=-8), {"days_left": 0}),
    (timedelta(days=7), {"overdue_days": 5}),
)


def written(say: str, kind: str, offer: Offer, after: timedelta = timedelta(days=-9), **more: Scalar) -> str:
    """The text of a message to the first handler, on one line of white space."""
    return message(say, kind, offer, after, "zh", **more)[0]


def message(say: str, kind: str, offer: Offer, after: timedelta, language: Language, **more: Scalar) -> tuple[str, str]:
    """Text and HTML of a message to the first handler."""
    facts: dict[str, Scalar] = {
        "limit_title": "书面告知",
        "legal_due": DUE.isoformat(),
        "due_at": DUE.isoformat(),
        "days_left": 3,
        "overdue_days": 0,
        "role_title": "首办责任人",
        **more,
    }
    notice = Notice(
        key="XF202609170012/xinfang/notify//1/remind/0/o1/sms",
        case_key="XF202609170012",
        policy="xinfang",
        limit="notify",
        deadline_version=1,
        step="remind",
        repeat=0,
        person="o1",
        role="first_handler",
        channel="sms",
        say=say,
        why=Why.DUE,
        at=DUE + after,
        facts=facts,
    )
    renderer = Renderer(SHIPPED, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), language)
    made = renderer.render(notice, OFFICIAL, kind, offer=offer)
    return made.text, made.html


@pytest.mark.parametrize("say", SAYS)
@pytest.mark.parametrize(("after", "facts"), MOMENTS)
def test_a_text_with_a_code_still_is_one_part(say: str, after: timedelta, facts: dict[str, Scalar]) -> None:
    """Every shipped text to whoever does the work names the code within 70 units."""
    text = written(say, "sms", CODE, after, **facts)
    assert "回复7342签收" in text
    assert sms_units(text) <= 70, text


@pytest.mark.parametrize("say", SAYS)
def test_a_text_without_an_offer_names_no_way(say: str) -> None:
    """Where the channel takes no replies and no links, nothing is promised."""
    text = written(say, "sms", NO_OFFER)
    assert "回复" not in text
    assert "http" not in text


@pytest.mark.parametrize("say", SAYS)
def test_a_link_in_a_text_stands_between_blanks(say: str) -> None:
    """A phone must not take the words around a link for a part of it."""
    text = written(say, "sms", Offer(link=SAMPLE_OFFER.link))
    assert f" {SAMPLE_OFFER.link} " in text


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("say", SAYS)
def test_a_mail_has_the_link_in_its_text_and_as_a_button(say: str, language: Language) -> None:
    """The plain part shows the link and how to reply; the HTML part has a button."""
    text, html = message(say, "email", SAMPLE_OFFER, timedelta(days=-9), language)
    assert f"\n{SAMPLE_OFFER.link}\n" in text
    assert ("第一行" in text) or ("first line" in text)
    if html:
        assert f'<a href="{SAMPLE_OFFER.link}"' in html


@given(st.text(max_size=60))
def test_a_code_is_four_digits_that_begin_with_none(key: str) -> None:
    """Any message has a code somebody can type, the same each time."""
    code = code_of(reference_of(key))
    assert 1000 <= int(code) <= 9999
    assert code == code_of(reference_of(key))


@pytest.mark.parametrize(
    ("medium", "channel", "link", "code", "reply"),
    [
        (Medium(), "sms", False, False, False),
        (Medium(links=True), "sms", True, False, False),
        (Medium(replies=True), "sms", False, True, True),
        (Medium(), "email", True, False, False),
        (Medium(replies=True), "email", True, False, True),
        (Medium(links=False), "email", False, False, False),
    ],
)
def test_a_channel_offers_what_it_lets_through(
    medium: Medium, channel: str, link: bool, code: bool, reply: bool
) -> None:
    """Links as the medium takes them, codes in text messages that can be answered, replies to mails."""
    offer = Offers(CONSOLE, KINDS, {channel: medium}).of(channel, "key", 7, DUE)
    assert (bool(offer.link), bool(offer.code), offer.reply) == (link, code, reply)


def test_without_a_console_there_are_no_links() -> None:
    """Nobody is sent to an address where nothing listens."""
    assert not Offers(None, KINDS, {}).of("email", "key", 7, DUE).link


@pytest.mark.parametrize("kind", ["sms", "email"])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("word", ANSWERS)
def test_every_answer_can_be_written_for_one_case_and_for_several(word: str, language: Language, kind: str) -> None:
    """In both languages, as a text of one part in Chinese, and as a mail."""
    for facts in SAMPLE_ANSWERS:
        text, _ = message(f"answer_{word}", kind, NO_OFFER, timedelta(days=-9), language, **facts)
        assert text.strip()
        assert kind == "email" or language == "en" or sms_units(text) <= 70, text


def test_check_names_an_answer_that_is_missing_where_people_can_reply(tmp_path: Path) -> None:
    """Without it nobody would be answered; where no channel takes replies it is not needed."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "templates"))
    (folder / "standard" / "answer_help.sms.txt").unlink()
    for medium, missing in ((Medium(replies=True), 1), (Medium(), 0)):
        offers = Offers(None, KINDS, {"sms": medium})
        renderer = Renderer(folder, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), "zh", offers)
        assert len(renderer.check(PolicySet("v1", {}))) == missing


def test_approved_templates_are_filled_with_the_code() -> None:
    """A provider that takes only variables gets the four digits, in an answer those that were typed and how many."""
    notice = replace(SAMPLE_NOTICE, facts={**SAMPLE_NOTICE.facts, "due_at": DUE.isoformat()})
    renderer = Renderer(SHIPPED, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), "zh")
    asked = renderer.render(notice, OFFICIAL, "sms", offer=CODE)
    plain = renderer.render(notice, OFFICIAL, "sms")
    answer = renderer.render(
        replace(notice, say="answer_not_yours", facts={**notice.facts, **SAMPLE_ANSWERS[1]}), OFFICIAL, "sms"
    )
    assert [one.params["code"] for one in (asked, plain, answer)] == ["7342", "", "7342"]
    assert (answer.params["count"], "count" in asked.params) == ("3", False)
