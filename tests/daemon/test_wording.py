"""What a channel makes of a text: neutral words, and no link where it takes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli import main
from daemon.wording import link_in, reword
from support.office import SHIPPED_TEMPLATES, Office, build_office
from support.running_office import CASE, at, running_office

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = "【某市信访局】"


def test_the_longest_word_is_replaced_first_and_nothing_twice() -> None:
    """信访事项 is one word though 信访 is another, and what stands in its place is left alone."""
    words = {"信访": "事项", "信访事项": "工单", "事项": "业务", "超期": "到期未办"}
    assert reword("信访事项已超期，请信访人", words, ()) == "工单已到期未办，请事项人"


@pytest.mark.parametrize("kept", [SIGNATURE, "XF信访0012", "https://duban.example.com/a/信访", "7信访3"])
def test_signature_case_number_link_and_code_stay_as_they_are(kept: str) -> None:
    """What identifies the sender or the case is never reworded, wherever it stands."""
    assert reword(f"{kept}信访{kept}", {"信访": "事项"}, (SIGNATURE, kept)) == f"{kept}事项{kept}"


@given(
    st.text("信访事项超期甲乙", max_size=40),
    st.dictionaries(st.text("信访事项", min_size=1, max_size=3), st.just("丙")),
)
def test_no_word_of_the_list_is_left(text: str, words: dict[str, str]) -> None:
    """Once the longest is taken out first, a shorter one can only be left inside nothing."""
    said = reword(text, words, ())
    assert reword(said, dict.fromkeys(words, ""), ()) == said


@pytest.mark.parametrize(
    "text",
    [
        "详见https://a.example.com/x",
        "登录www.example.com。",
        "见 duban.gov.cn/xf，",
        "查 xf.example.com:8080",
        "HTTP://A.CN",
    ],
)
def test_a_link_is_found(text: str) -> None:
    """With or without the scheme, between Chinese characters."""
    assert link_in(text, ()) is not None


@pytest.mark.parametrize(
    "text", ["请联系duty@example.com", "余3.5小时", "XF2026.0012", "请办理。cn", "第2.1条", "10月8日09:00到期"]
)
def test_what_is_no_link_passes(text: str) -> None:
    """Mailboxes, figures, numbers of cases."""
    assert link_in(text, ()) is None


def neutral(office: Office) -> None:
    """Text messages in neutral words."""
    words = "{书面告知: 告知, 首办责任人: 经办人, 信访: 事项}"
    office.change("duban.yaml", "    type: http\n", f"    type: http\n    words: {words}\n")


async def test_texts_go_out_in_neutral_words_and_mails_as_they_were(tmp_path: Path, sqlite_store_url: str) -> None:
    """The signature is what was registered; the mail has no words of its own."""
    async with running_office(tmp_path, sqlite_store_url, prepare=neutral) as world:
        received = {one.channel: one.text for one in await world.work()}
        assert received["sms"].startswith(SIGNATURE)
        assert CASE in received["sms"]
        assert "“告知”" in received["sms"]
        assert "书面告知" not in received["sms"]
        assert "书面告知" in received["email"]


def own_templates(office: Office, folder: Path, text: str) -> None:
    """Templates of the office's own, in which a text message about a new case says this."""
    import shutil  # noqa: PLC0415 - only here

    shutil.copytree(SHIPPED_TEMPLATES, folder)
    (folder / "standard" / "assigned.sms.txt").write_text(text, encoding="utf-8")
    office.change("duban.yaml", f"templates: {SHIPPED_TEMPLATES}", f"templates: {folder}")


async def test_a_text_with_a_link_is_stopped_and_goes_another_way(tmp_path: Path, sqlite_store_url: str) -> None:
    """The mail arrives; the text fails with its reason, and nothing of it leaves."""

    def prepare(office: Office) -> None:
        own_templates(office, tmp_path / "templates", "{{ signature }}{{ case }} 见 https://duban.example.com")

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        received = await world.work()
        assert "handler0@example.com" in {one.to for one in received}
        assert {one.channel for one in received} == {"email"}
        assert {one.error for one in world.deliveries("sms")} == {"link_forbidden"}


async def test_a_template_may_ask_whether_links_are_taken(tmp_path: Path, sqlite_store_url: str) -> None:
    """`{% if links %}` leaves the link out of a text message and lets it stand where the channel takes links."""
    text = "{{ signature }}{{ case }}{% if links %} https://duban.example.com{% endif %}"

    def prepare(office: Office) -> None:
        own_templates(office, tmp_path / "templates", text)

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        (received,) = [one.text for one in await world.work() if one.channel == "sms"]
        assert received == f"{SIGNATURE}{CASE}"
        world.office.change("duban.yaml", "    type: http\n", "    type: http\n    links: true\n")
        await world.reload()
        world.execute("INSERT INTO cases SELECT 'XF1', unit, handler, kind, arrived, accepted, NULL, NULL, NULL, NULL, "
                      "'2026-09-16 10:00:30' FROM cases")  # fmt: skip
        world.clock.move_to(at("2026-09-16 10:01"))
        (received,) = [one.text for one in await world.work() if one.channel == "sms"]
        assert received == f"{SIGNATURE}XF1 https://duban.example.com"


def checked(office: Office) -> str:
    """What `duban check` says on standard error."""
    return CliRunner().invoke(main, ["check", "-c", str(office.configuration)], env={"LANG": "zh_CN.UTF-8"}).stderr


def an_office(tmp_path: Path) -> Office:
    """The invented office with nothing running."""
    return build_office(tmp_path / "office", cases=1, arrived=at("2026-09-16 10:00"))


def test_check_names_a_template_with_a_link_where_none_may_be(tmp_path: Path) -> None:
    """The channel, the file, the link, and what to write instead."""
    office = an_office(tmp_path)
    own_templates(office, tmp_path / "templates", "{{ signature }}见 https://duban.example.com")
    said = checked(office)
    assert "channels.sms" in said
    assert "assigned.sms.txt" in said
    assert "{% if links %}" in said
    office.change("duban.yaml", "    type: http\n", "    type: http\n    links: true\n")
    assert "assigned.sms.txt" not in checked(office)


TWILIO = """    type: twilio
    account_sid: ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    auth_token: {env: TOKEN}
    from: "+15005550006"
"""


def test_check_warns_of_words_a_public_cloud_may_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """超期 is named by vendors' pages: a remark for Twilio, none once it is reworded."""
    monkeypatch.setenv("TOKEN", "not-a-token-but-long-enough-1234")
    office = an_office(tmp_path)
    assert "超期" not in checked(office)
    text = office.configuration.read_text("utf-8")
    begin, end = text.index("    type: http\n"), text.index("administrators:")
    office.write("duban.yaml", text[:begin] + TWILIO + text[end:])
    said = checked(office)
    assert "channels.sms" in said
    assert "超期" in said
    assert "words" in said
    office.change("duban.yaml", "    type: twilio\n", "    type: twilio\n    words: {超期: 到期未办}\n")
    assert "超期" not in checked(office)


MAS = """    type: mas
    base_url: http://127.0.0.1:1
    ec_name: an office
    ap_id: app
    secret_key: {env: TOKEN}
    sign: sign
    templates:
      assigned: {id: t1, state: approved, longest: 4, variables: ["{param.case}", "{param.left}"]}
      remind: {id: t2, state: waiting, variables: ["{param.case}"]}
"""


def test_check_names_what_has_no_approved_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the night in which it would fail: words without a template, one that waits, a value too long."""
    monkeypatch.setenv("TOKEN", "not-a-token-but-long-enough-1234")
    office = an_office(tmp_path)
    text = office.configuration.read_text("utf-8")
    begin, end = text.index("    type: http\n"), text.index("administrators:")
    office.write("duban.yaml", text[:begin] + MAS + text[end:])
    said = checked(office)
    assert "remind（待审核）" in said
    assert "urge（没有模板）" in said
    assert "alert（没有模板）" in said
    assert "assigned: 1" in said


def test_check_looks_at_the_providers_of_a_shared_channel(tmp_path: Path) -> None:
    """Links and words are written with each provider; the one that takes no links is named."""
    office = an_office(tmp_path)
    own_templates(office, tmp_path / "templates", "{{ signature }}见 https://duban.example.com")
    text = office.configuration.read_text("utf-8")
    begin, end = text.index("  sms:\n"), text.index("administrators:")
    shared = """  first: {type: spool, directory: spool/first, links: true}
  second: {type: spool, directory: spool/second}
  sms: {type: shared, providers: {first: 3, second: 1}}
"""
    office.write("duban.yaml", text[:begin] + shared + text[end:])
    said = checked(office)
    assert "channels.second" in said
    assert "channels.first" not in said
