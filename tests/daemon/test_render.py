from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.wire.sms import sms_parts, sms_units
from daemon.render import PrivateContent, Renderer, RenderError, refuse_private
from policies.duration import Duration, Moment, Unit
from policies.model import Acknowledge, Ladder, Lights, Limit, Notice, Official, Policy, PolicySet, Step, Why

if TYPE_CHECKING:
    from policies.model import Scalar
    from policies.text import Language

SHIPPED = Path(__file__).parents[2] / "config" / "templates"
SHANGHAI = ZoneInfo("Asia/Shanghai")
SAYS = ("assigned", "unacknowledged", "remind", "today", "urge", "bulletin", "no_action", "test")
DUE = datetime(2026, 10, 8, 15, 59, 59, 999999, UTC)  # 24:00 in Shanghai
OFFICIAL = Official("o1", "承办人甲一", "甲科", {"sms": "+8613800000001", "email": "jia1@example.com"})


def notice(
    at: datetime = DUE - timedelta(days=9), *, say: str = "remind", copy: bool = False, **facts: Scalar
) -> Notice:
    """A notice on the first handler's limit of the worked example, with other facts where given."""
    usual: dict[str, Scalar] = {
        "limit_title": "书面告知",
        "basis": "信访工作条例第二十三条",
        "legal_due": DUE.isoformat(),
        "due_at": DUE.isoformat(),
        "days_left": 3,
        "overdue_days": 0,
        "light": "yellow",
        "first_handler_unit": "甲科",
        "role_title": "首办责任人",
    }
    return Notice(
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
        at=at,
        facts=usual | facts,
        copy=copy,
    )


def renderer(templates: Path = SHIPPED, language: Language = "zh") -> Renderer:
    """A renderer of the invented office."""
    return Renderer(templates, "某市信访局", "某市信访局", SHANGHAI, language)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the shipped templates that a test may change."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "templates"))


def test_a_text_message_says_case_stage_date_days_left_role_and_what_to_do() -> None:
    """The worked example reads as an official expects it, in one part."""
    text = renderer().render(notice(), OFFICIAL, "sms").text
    assert text == (
        "【某市信访局】提醒：事项XF202609170012“书面告知”10月8日到期，余3个工作日。您为首办责任人，请及时办理。"
    )
    assert sms_units(text) == 61


@pytest.mark.parametrize("say", SAYS)
@pytest.mark.parametrize(
    ("after", "facts"),
    [
        (timedelta(days=-9), {}),
        (timedelta(hours=-8), {"days_left": 0}),
        (timedelta(days=7), {"overdue_days": 5, "role": "principal", "role_title": "主要负责人"}),
    ],
)
def test_every_shipped_text_message_fits_one_part(say: str, after: timedelta, facts: dict[str, Scalar]) -> None:
    """Ahead, on the day and overdue, each shipped text stays within 70 units."""
    assert sms_parts(renderer().render(notice(DUE + after, say=say, **facts), OFFICIAL, "sms").text) == 1


@pytest.mark.parametrize(("units", "parts"), [(70, 1), (71, 2), (134, 2), (135, 3), (160, 3), (201, 3), (202, 4)])
def test_parts_are_counted_as_carriers_do(units: int, parts: int) -> None:
    """70 units are one part, more are cut into 67 each."""
    assert sms_parts("督" * units) == parts


def test_a_rare_character_counts_two_units() -> None:
    """Characters outside the BMP are two UTF-16 units."""
    assert sms_units("𠮷") == 2


PLATFORM_FIRST: dict[str, Scalar] = {
    "light": "red",
    "platform_due": "2026-10-02T10:00:00+08:00",
    "due_at": "2026-10-02T10:00:00+08:00",
}


@pytest.mark.parametrize(
    ("at", "facts", "expected"),
    [
        (DUE, {}, "今日（10月8日）到期"),
        (DUE + timedelta(hours=9), {"overdue_days": 1}, "10月8日到期，已超期1个工作日"),
        (DUE - timedelta(days=1), {"days_left": 0}, "余1天，期间无工作日"),
        (DUE - timedelta(hours=20), {"due_at": "2026-10-08T17:30:00+08:00"}, "今日（10月8日17:30）到期"),
        (DUE, PLATFORM_FIRST, "已过平台期限，法定期限10月8日"),
        (DUE + timedelta(days=1), PLATFORM_FIRST | {"overdue_days": 1}, "法定期限10月8日，已超期1个工作日"),
    ],
)
def test_overdue_is_said_only_once_the_legal_limit_has_passed(
    at: datetime, facts: dict[str, Scalar], expected: str
) -> None:
    """The platform's date drives the reminder, the legal one the accusation and its amount."""
    text = renderer().render(notice(at, say="urge", **facts), OFFICIAL, "sms").text
    assert expected in text
    assert ("超期" in text) == (at > DUE)


def test_a_provisional_date_is_marked_in_every_kind() -> None:
    """A date that the next holiday notice may move says so."""
    provisional = notice(provisional=True)
    mail = renderer().render(provisional, OFFICIAL, "email")
    assert "（暂定，以放假通知为准）" in renderer().render(provisional, OFFICIAL, "sms").text
    assert "暂定，以放假通知为准" in mail.text
    assert "暂定，以放假通知为准" in mail.html


def test_copy_resend_and_stale_facts_are_marked() -> None:
    """A copy, a possible duplicate and facts from before an outage are marked whatever the template says."""
    as_of = datetime(2026, 9, 28, 1, tzinfo=UTC)
    copied = notice(copy=True)
    text = renderer().render(copied, OFFICIAL, "sms", possible_duplicate=True, as_of=as_of).text
    assert text.endswith("供知悉。〔抄送〕（数据截至9月28日09:00）〔可能重复〕")
    mail = renderer().render(copied, OFFICIAL, "email", possible_duplicate=True, as_of=as_of)
    assert mail.possible_duplicate
    assert mail.subject.startswith("〔抄送〕〔可能重复〕【提醒】")
    assert "可能重复" in mail.html
    assert "数据截至9月28日09:00" in mail.html


def test_steps_missed_in_an_outage_are_listed() -> None:
    """One mail after an outage names what was not sent at its time."""
    late = replace(notice(), missed=("remind", "assigned.unacknowledged", "urge#2"), why=Why.CAUGHT_UP)
    mail = renderer().render(late, OFFICIAL, "email")
    for words in ("到期提醒", "督促签收", "催办（第3次）"):
        assert words in mail.text
        assert words in mail.html


def test_a_step_sent_late_says_where_the_limit_stands_when_it_was_decided() -> None:
    """The due-day step decided after an outage speaks of what is overdue by then and bears that date."""
    late = notice(DUE - timedelta(hours=15), say="today", overdue_days=2, light="red")
    decided_at = DUE + timedelta(days=2)
    message = renderer().render(late, OFFICIAL, "sms", decided_at=decided_at)
    assert "10月8日到期，已超期2个工作日" in message.text
    assert message.at == decided_at


def test_who_stands_in_for_whom_is_said() -> None:
    """A leader who gets it for a vacant post below reads so."""
    mail = renderer().render(
        replace(notice(instead_of="section_head", instead_of_title="科室负责人"), why=Why.VACANT), OFFICIAL, "email"
    )
    assert "科室负责人空缺或无法送达，按规定转报上一级" in mail.text
    assert "科室负责人空缺或无法送达" in mail.html


@pytest.mark.parametrize("say", SAYS)
def test_mails_have_subject_and_text(say: str) -> None:
    """Every shipped mail has a one-line subject, and no subject line left in the text."""
    mail = renderer().render(notice(say=say), OFFICIAL, "email")
    assert mail.subject
    assert "主题" not in mail.text
    assert mail.text.startswith("承办人甲一：")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("say", [say for say in SAYS if say != "test"])
def test_html_is_well_formed_and_shows_what_matters(say: str) -> None:
    """Tags are closed in order; date, days left and case number stand in the mail; nothing is fetched from outside."""
    html = renderer().render(notice(say=say), OFFICIAL, "email").html
    tags = _Tags()
    tags.feed(html)
    assert tags.open == []
    for words in ("10月8日", "余3个工作日", "XF202609170012", "您要做的", "信访工作条例第二十三条"):
        assert words in html
    assert "http" not in html


def test_the_office_s_own_name_of_a_light_is_shown_in_its_colour() -> None:
    """A light called 蓝灯 is said so, and its badge is blue."""
    shown = renderer().render(notice(light_title="蓝灯"), OFFICIAL, "email").html or ""
    assert 'background:#1565c0;color:#ffffff;">蓝灯<' in shown
    usual = renderer().render(notice(light_title="预警灯"), OFFICIAL, "email").html or ""
    assert 'background:#b28704;color:#ffffff;">预警灯<' in usual


def test_values_are_escaped_in_html() -> None:
    """A unit name full of markup shows as text."""
    html = renderer().render(notice(unit_name='<script>alert("1")</script>'), OFFICIAL, "email").html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@given(st.text())
def test_no_value_can_add_a_header(value: str) -> None:
    """Whatever a fact holds, the subject and the name stay one line of printable text, or the mail is stopped."""
    try:
        mail = renderer().render(notice(limit_title=value or "x"), replace(OFFICIAL, name=value), "email")
    except PrivateContent:  # a drawn text may look like a mobile number
        return
    assert mail.subject.isprintable()
    assert mail.to_name.isprintable()


def test_a_ladder_has_its_own_words(templates: Path) -> None:
    """A template in the ladder's folder wins over the standard one; what it does not have comes from there."""
    (templates / "hotline").mkdir()
    (templates / "hotline" / "remind.sms.txt").write_text("{{ signature }}工单{{ case }}请办理", encoding="utf-8")
    hotline = renderer(templates)
    assert hotline.render(notice(ladder="hotline"), OFFICIAL, "sms").text == "【某市信访局】工单XF202609170012请办理"
    assert "催办" in hotline.render(notice(say="urge", ladder="hotline"), OFFICIAL, "sms").text


def test_rendering_twice_gives_the_same_bytes() -> None:
    """A resend is the message that was sent."""
    assert renderer().render(notice(), OFFICIAL, "email") == renderer().render(notice(), OFFICIAL, "email")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("一\n{{ petitioner }}", ":2: 模板有误：'petitioner' is undefined"),
        ("一\n{% if case %}", ":2: 模板有误"),
        ("{{ case.__class__.__mro__ }}", ":1: 模板有误"),
        ("{{ 1 / 0 }}", ":1: 模板有误：division by zero"),
    ],
)
def test_a_mistake_names_file_line_and_reason(templates: Path, source: str, found: str) -> None:
    """An unknown word, a syntax error and a forbidden trick are each one sentence with their place."""
    (templates / "standard" / "remind.sms.txt").write_text(source, encoding="utf-8")
    with pytest.raises(RenderError) as caught:
        renderer(templates).render(notice(), OFFICIAL, "sms")
    assert f"remind.sms.txt{found}" in caught.value.message.zh


def test_a_bad_template_does_not_stop_the_others(templates: Path) -> None:
    """With one template broken the next message is still written."""
    (templates / "standard" / "remind.sms.txt").write_text("{{", encoding="utf-8")
    broken = renderer(templates)
    with pytest.raises(RenderError):
        broken.render(notice(), OFFICIAL, "sms")
    assert "催办" in broken.render(notice(say="urge"), OFFICIAL, "sms").text


def test_a_mail_without_a_subject_line_is_a_mistake(templates: Path) -> None:
    """The first line of a mail template must be the subject."""
    (templates / "standard" / "remind.email.txt").write_text("您好\n", encoding="utf-8")
    with pytest.raises(RenderError, match="Subject"):
        renderer(templates).render(notice(), OFFICIAL, "email")


def test_no_address_of_that_kind_is_said() -> None:
    """An official without a mobile number cannot get a text message."""
    with pytest.raises(RenderError, match="no address"):
        renderer().render(notice(), replace(OFFICIAL, addresses={}), "sms")


@pytest.mark.parametrize(
    "value",
    [
        "11010519491231002X",
        "１１０１０５１９４９１２３１００２１",
        "13800000009",
        "+8613800000009",
        "138-0000-0009",
        "138 0000 0009",
    ],
)
def test_a_private_number_is_stopped_and_not_repeated(value: str) -> None:
    """A text message with an identity or mobile number is refused, and the error does not hold the number."""
    with pytest.raises(PrivateContent) as caught:
        renderer().render(notice(limit_title=f"联系{value}处理"), OFFICIAL, "sms")
    assert value not in caught.value.message.zh + caught.value.message.en + str(caught.value)


@pytest.mark.parametrize("case", ["110105194912310021", "13800000009", "XF202609170012"])
def test_the_case_number_itself_may_look_like_anything(case: str) -> None:
    """The case number is the identifier that is allowed."""
    refuse_private(f"事项{case}10月8日到期", case)


def policy_set(say: str = "remind") -> PolicySet:
    """One policy with one ladder of one step."""
    step = Step("s1", Moment("due"), ("first_handler",), say, acknowledge=Acknowledge(_hours(4), ("section_head",)))
    ladder = Ladder("standard", Lights(_hours(24), _hours(8)), (step,))
    limit = Limit("notify", "书面告知", ("arrived_at",), _hours(24), ("notified_at",), "standard")
    return PolicySet("1", {"xinfang": Policy("xinfang", "信访事项", (limit,), {"standard": ladder})})


def _hours(amount: int) -> Duration:
    return Duration(Fraction(amount), Unit.HOUR)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_shipped_templates_pass_the_check(language: Language) -> None:
    """What is shipped needs no correction."""
    for say in SAYS:
        assert renderer(language=language).check(policy_set(say)) == []


def test_the_check_finds_missing_broken_and_long_templates(templates: Path) -> None:
    """All three kinds of mistake are told at once, each with its file."""
    (templates / "standard" / "remind.sms.txt").write_text("长" * 202, encoding="utf-8")
    (templates / "standard" / "unacknowledged.sms.txt").write_text("{{ nobody }}", encoding="utf-8")
    (templates / "standard" / "remind.email.txt").unlink()
    found = [problem.zh for problem in renderer(templates).check(policy_set())]
    assert len(found) == 3
    assert any("要分 4 条" in problem for problem in found)
    assert any("unacknowledged.sms.txt:1" in problem for problem in found)
    assert any("没有模板" in problem and "remind.email.txt" in problem for problem in found)


@pytest.mark.parametrize(
    ("say", "said"), [("reminder", "，是不是想写 say: remind？"), ("xyz", "或改用已有的 alert、assigned、")]
)
def test_a_misspelt_template_is_told_with_what_was_meant(say: str, said: str) -> None:
    """Nobody has to look into the folder to find what the words are called."""
    found = [problem.zh for problem in renderer().check(policy_set(say))]
    assert found
    assert all("没有模板 standard/" in problem and said in problem for problem in found)


def test_english_words_are_used_where_there_are_some() -> None:
    """An English office gets English text and mail."""
    english = renderer(language="en")
    text = english.render(notice(), OFFICIAL, "sms").text
    assert "due 8 Oct, 3 working day(s) left" in text
    mail = english.render(notice(), OFFICIAL, "email")
    assert mail.subject == "[reminder] XF202609170012 书面告知: due 8 Oct, 3 working day(s) left"
    assert "first handler" in mail.text
