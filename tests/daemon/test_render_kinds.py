from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.render import PrivateContent, Renderer, RenderError
from daemon.samples import SAMPLE_NOTICE
from policies.duration import Duration, Moment, Unit
from policies.model import Ladder, Lights, Limit, Notice, Official, Policy, PolicySet, Step, Via

SHIPPED = Path(__file__).parents[2] / "config" / "templates"
DUE = datetime(2026, 10, 8, 15, 59, 59, 999999, UTC)
OFFICIAL = Official("o1", "承办人甲一", "甲科", {"sms": "+8613800000001", "wecom": "zhang.san"})
FACTS = {
    "limit_title": "书面告知",
    "legal_due": DUE.isoformat(),
    "due_at": DUE.isoformat(),
    "days_left": 3,
    "overdue_days": 0,
    "role_title": "首办责任人",
}
REMINDER = replace(SAMPLE_NOTICE, person="o1", channel="wecom", facts=FACTS)


def renderer(templates: Path) -> Renderer:
    """A renderer of the invented office."""
    return Renderer(templates, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), "zh")


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the shipped templates that a test may change."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "templates"))


def numbered(number: int) -> tuple[Notice, datetime]:
    """One of several notices, and when it was decided."""
    at = SAMPLE_NOTICE.at + timedelta(minutes=number)
    return replace(REMINDER, key=f"k{number}", case_key=f"XF{number}", at=at, facts=FACTS | {"case": f"XF{number}"}), at


def test_a_kind_without_words_of_its_own_says_what_a_text_message_says() -> None:
    """WeCom needs no templates: it has the words of the SMS, to its own address."""
    shipped = renderer(SHIPPED)
    over_wecom, by_sms = shipped.render(REMINDER, OFFICIAL, "wecom"), shipped.render(REMINDER, OFFICIAL, "sms")
    assert over_wecom.text == by_sms.text
    assert over_wecom.to == "zhang.san"
    assert (over_wecom.subject, over_wecom.html) == ("", "")


def test_a_resend_is_marked_in_every_kind() -> None:
    """The mark of a possible duplicate comes with the borrowed words."""
    assert "可能重复" in renderer(SHIPPED).render(REMINDER, OFFICIAL, "wecom", possible_duplicate=True).text


@pytest.mark.parametrize("first", ["", "主题: 【督办】{{ case }}\n\n"])
def test_words_of_its_own_win_and_may_have_lines_and_a_subject(templates: Path, first: str) -> None:
    """`remind.wecom.txt` keeps its lines; a subject line makes the title of a card."""
    (templates / "standard" / "remind.wecom.txt").write_text(f"{first}{{{{ case }}}}\n{{{{ deadline }}}}\n")
    message = renderer(templates).render(REMINDER, OFFICIAL, "wecom", possible_duplicate=True)
    assert message.text.startswith("XF202609170012\n10月8日到期")
    assert "XF202609170012" in message.subject or not first
    assert "可能重复" in message.subject + message.text


def test_where_a_text_message_has_no_words_those_of_the_mail_are_used(templates: Path) -> None:
    """A word with a mail only is said over WeCom as the plain part of that mail, without HTML."""
    (templates / "standard" / "remind.sms.txt").unlink()
    message = renderer(templates).render(REMINDER, OFFICIAL, "wecom")
    assert "承办人甲一：" in message.text
    assert message.subject.startswith("【提醒】")
    assert message.html == ""


def test_a_digest_lists_its_cases() -> None:
    """Several notices over WeCom are the mail's list, not the one line of the SMS."""
    message = renderer(SHIPPED).digest([numbered(1), numbered(2), numbered(3)], OFFICIAL, "wecom", key="d")
    assert all(case in message.text for case in ("XF1", "XF2", "XF3"))
    assert message.subject


@pytest.mark.parametrize("words", ["{{ case }} 13800000001", "主题: x\n\n13800000001", "主题: 13800000001\n\nx"])
def test_private_numbers_stay_in_the_house(templates: Path, words: str) -> None:
    """What goes through a provider's program holds no mobile number, in the text as little as in the subject."""
    (templates / "standard" / "remind.wecom.txt").write_text(words)
    with pytest.raises(PrivateContent):
        renderer(templates).render(REMINDER, OFFICIAL, "wecom")


def test_a_word_nobody_wrote_is_still_a_mistake() -> None:
    """All three kinds are looked for; the first is the one to write."""
    with pytest.raises(RenderError) as failure:
        renderer(SHIPPED).render(replace(REMINDER, say="nosuch"), OFFICIAL, "wecom")
    assert "nosuch.wecom.txt" in failure.value.message.zh


def test_the_check_tries_every_kind(templates: Path) -> None:
    """`duban check` is content with borrowed words, and finds a mistake in own ones."""
    step = Step("s1", Moment("due"), ("first_handler",), "remind", via=Via(("wecom",)))
    day = Duration(Fraction(24), Unit.HOUR)
    ladder = Ladder("standard", Lights(day, day), (step,))
    limit = Limit("notify", "书面告知", ("arrived_at",), day, ("notified_at",), "standard")
    policies = PolicySet("1", {"xinfang": Policy("xinfang", "信访事项", (limit,), {"standard": ladder})})
    assert renderer(templates).check(policies) == []
    (templates / "standard" / "remind.wecom.txt").write_text("{{ nosuchword }}")
    (problem,) = renderer(templates).check(policies)
    assert "remind.wecom.txt" in problem.en
