"""What is said beside the steps: digests, restricted cases, hand-backs, reviews, wanted releases."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from channels.wire.sms import SINGLE_UNITS, sms_units
from daemon.render import PrivateContent, Renderer, refuse_private
from policies.duration import Duration, Moment, Unit
from policies.model import (
    DigestRule,
    FirstHandlerRule,
    Ladder,
    Lights,
    Limit,
    Notice,
    Official,
    Policy,
    PolicySet,
    RestrictedRule,
    Step,
    Why,
)

if TYPE_CHECKING:
    from policies.model import Scalar
    from policies.text import Language

SHIPPED = Path(__file__).parents[2] / "config" / "templates"
BESIDE = ("review", "shirking", "restricted", "release_wanted")
DUE = datetime(2026, 10, 8, 15, 59, 59, 999999, UTC)  # 24:00 in Shanghai
NOW = DUE - timedelta(days=9)
READER = Official("o1", "承办人甲一", "甲科", {"sms": "+8613800000001", "email": "jia1@example.com"})


def notice(
    say: str = "remind", number: int = 12, *, due: datetime = DUE, copy: bool = False, **facts: Scalar
) -> Notice:
    """A notice about one of several cases."""
    case = f"XF2026091700{number:02}"
    usual: dict[str, Scalar] = {
        "case": case,
        "limit_title": "书面告知",
        "basis": "信访工作条例第二十三条",
        "legal_due": due.isoformat(),
        "due_at": due.isoformat(),
        "days_left": 3,
        "light": "yellow",
        "first_handler_name": "承办人甲一",
        "role_title": "首办责任人",
        "awaits_title": "书记",
        "handbacks": 3,
        "handbacks_allowed": 2,
    }
    key = f"{case}/xinfang/notify//1/{say}/0/o1/sms"
    return Notice(
        key, case, "xinfang", "notify", 1, say, 0, "o1", "first_handler", "sms", say, Why.DUE, NOW,
        facts=usual | facts, copy=copy,
    )  # fmt: skip


def renderer(language: Language = "zh", templates: Path = SHIPPED) -> Renderer:
    """A renderer of the invented office."""
    return Renderer(templates, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), language)


@pytest.mark.parametrize("say", BESIDE)
def test_what_is_said_beside_the_steps_fits_one_text_message(say: str) -> None:
    """Each text is one part of 70 units, signed, with the case number."""
    text = renderer().render(notice(say), READER, "sms").text
    assert sms_units(text) <= SINGLE_UNITS, text
    assert text.startswith("【某市信访局】")
    assert "XF202609170012" in text


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", ["sms", "email"])
def test_a_restricted_case_is_told_without_its_content(language: Language, kind: str) -> None:
    """The number, and nothing of stage, basis, people or dates, in subject, text and HTML."""
    message = renderer(language).render(notice("restricted"), READER, kind)
    said = f"{message.subject}\n{message.text}\n{message.html}".replace(READER.name, "")
    assert "XF202609170012" in said
    assert not [word for word in ("书面告知", "条例", "承办人", "10月8日", "8 Oct") if word in said]


def test_an_alert_about_waiting_releases_is_written_too() -> None:
    """The same template serves the alert, which is about no case."""
    alert = replace(
        notice("release_wanted"),
        case_key="",
        facts={"alert_title": "3条消息等候核发", "alert_text": "最早一条自 9月16日起。"},
    )
    assert "3条消息等候核发" in renderer().render(alert, READER, "sms").text
    assert "最早一条" in renderer().render(alert, READER, "email").text


# --- digests ------------------------------------------------------------------------------------------------------


def forty() -> list[tuple[Notice, datetime]]:
    """Forty cases, the limit of the last of them ends first."""
    return [(notice(number=number, due=DUE - timedelta(days=number // 20)), NOW) for number in range(40)]


def test_a_digest_of_forty_is_one_text() -> None:
    """Number, the most urgent, how many more: 70 units at most."""
    message = renderer().digest(forty(), READER, "sms", key="digest:1")
    assert message.text == (
        "【某市信访局】汇总：40件待办，最急XF202609170020“书面告知”10月7日到期，余3个工作日，另39件，请及时办理。"
    )
    assert sms_units(message.text) <= SINGLE_UNITS
    assert (message.key, message.to, message.params["count"]) == ("digest:1", "+8613800000001", "40")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_digest_mail_has_every_case_once_in_the_order_of_the_law(language: Language) -> None:
    """Sorted by the legal limit, then by number; the same bytes whatever order the notices came in."""
    write = renderer(language).digest
    mail = write(forty(), READER, "email", key="digest:1")
    order = sorted((str(one.facts["legal_due"]), one.case_key) for one, _ in forty())
    places = [mail.text.rindex(case) for _, case in order]
    assert places == sorted(places)
    assert mail == write(forty()[::-1], READER, "email", key="digest:1")


def test_a_copy_among_them_is_marked_where_it_stands() -> None:
    """The digest itself is no copy; the line of the copy says so."""
    several = [(notice(number=1, copy=True), NOW), (notice(number=2), NOW)]
    mail = renderer().digest(several, READER, "email", key="d")
    assert mail.text.count("抄送") == 1
    assert "抄送" not in mail.subject
    assert "抄送" not in renderer().digest(several, READER, "sms", key="d").text


def test_cases_of_one_deadline_stand_together_with_their_number() -> None:
    """A heading for each deadline with how many there are; what is only for information comes last."""
    mail = renderer().digest(
        [*forty(), (notice(number=50, due=DUE - timedelta(days=3), copy=True), NOW)], READER, "email", key="d"
    )
    headings = [line for line in mail.text.splitlines() if line.startswith("■")]
    assert headings == [
        "■ 10月7日到期，余3个工作日：20件",
        "■ 10月8日到期，余3个工作日：20件",
        "■ 10月5日到期，余3个工作日：1件（抄送，供知悉）",
    ]
    assert mail.subject == "【汇总】41件待办，最急XF202609170020 10月7日到期，余3个工作日"
    assert all(heading.removeprefix("■ ").split("：")[0] in mail.html for heading in headings)


def test_a_resent_digest_says_so() -> None:
    """In the text, the subject and the mail."""
    text = renderer().digest(forty(), READER, "sms", key="d", possible_duplicate=True)
    mail = renderer().digest(forty(), READER, "email", key="d", possible_duplicate=True)
    assert text.text.endswith("〔可能重复〕")
    assert mail.subject.startswith("〔可能重复〕")
    assert (text.possible_duplicate, mail.possible_duplicate) == (True, True)


@pytest.mark.parametrize("value", ["13800000009", "１３８０００００００９", "11010519491231002X"])
@pytest.mark.parametrize("kind", ["sms", "email"])
def test_a_private_number_stops_a_digest_and_a_subject(value: str, kind: str) -> None:
    """No identity number and no mobile number in the text or the subject of anything, and the error repeats none."""
    odd = notice(number=0, due=DUE - timedelta(days=5), limit_title=f"联系{value}", case=f"来电{value}")
    for write in (
        lambda: renderer().digest([(odd, NOW), *forty()], READER, kind, key="d"),
        lambda: renderer().render(odd, READER, kind),
    ):
        with pytest.raises(PrivateContent) as caught:
            write()
        assert value not in caught.value.message.zh + caught.value.message.en


def test_every_case_number_of_a_digest_may_look_like_anything() -> None:
    """A number of eleven digits is allowed if it is a case's, even where it is the beginning of another one's."""
    refuse_private("事项13800000009、138000000091", "13800000009", "138000000091")
    with pytest.raises(PrivateContent):
        refuse_private("事项13800000009、13800000008", "13800000009")


# --- the check ----------------------------------------------------------------------------------------------------


def policies(say: str = "remind") -> PolicySet:
    """One policy that uses everything there is beside steps."""
    hours = Duration(Fraction(24), Unit.HOUR)
    ladder = Ladder("standard", Lights(hours, hours), (Step("s1", Moment("due"), ("first_handler",), say),))
    limit = Limit("notify", "书面告知", ("arrived_at",), hours, ("notified_at",), "standard")
    policy = Policy(
        "xinfang",
        "信访事项",
        (limit,),
        {"standard": ladder},
        first_handler=FirstHandlerRule(handbacks_allowed=2),
        restricted=RestrictedRule(("o1",)),
        digest=DigestRule(),
    )
    return PolicySet("1", {"xinfang": policy})


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("say", [*BESIDE, "remind"])
def test_the_shipped_templates_pass_the_check(language: Language, say: str) -> None:
    """What is shipped needs no correction."""
    assert renderer(language).check(policies(say)) == []


def test_the_check_looks_at_what_is_said_beside_the_steps(tmp_path: Path) -> None:
    """A missing or broken digest, restricted or hand-back template is told though no step says it."""
    templates = Path(shutil.copytree(SHIPPED, tmp_path / "templates"))
    (templates / "standard" / "digest.sms.txt").write_text("{{ nothing }}", encoding="utf-8")
    (templates / "standard" / "restricted.sms.txt").unlink()
    (templates / "standard" / "shirking.email.txt").unlink()
    found = "\n".join(problem.zh for problem in renderer(templates=templates).check(policies()))
    assert all(name in found for name in ("digest.sms.txt:1", "restricted.sms.txt", "shirking.email.txt"))


@pytest.mark.parametrize(
    ("role", "copy", "said"),
    [("handler", False, "请及时办理"), ("section_head", False, "请督促办理"), ("inspector", True, "供知悉")],
)
def test_a_digest_asks_of_its_reader_what_is_his(role: str, copy: bool, said: str) -> None:
    """Whoever stands above the handler is asked to see to it, not to do it; who gets copies, nothing."""
    several = [(replace(one, role=role, copy=copy), when) for one, when in forty()]
    text = renderer().digest(several, READER, "sms", key="digest:1").text
    assert text.endswith(f"另39件，{said}。")
    mail = renderer().digest(several, READER, "email", key="digest:1")
    assert ("请逐件办理" in mail.text, "请逐件办理" in (mail.html or "")) == (role == "handler", role == "handler")
