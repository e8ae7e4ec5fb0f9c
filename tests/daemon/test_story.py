"""The ledger in sentences, and words for codes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.names import Names, rung_of_key
from daemon.settings import load
from daemon.store.values import LedgerRow
from daemon.story import Story
from policies.model import Directory, Notice, OfficeUnit, Official, Why
from support.invented_office import at, decide

if TYPE_CHECKING:
    from daemon.settings import Configuration
    from policies.text import Language

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "duban.yaml"
AT = datetime(2026, 9, 14, 2, 15, tzinfo=UTC)
KEY = "X1/office/notify//1/urge/1/P1/sms"
DIRECTORY = Directory(
    officials={"P1": Official("P1", "承办人甲一", "U1"), "P2": Official("P2", "科长乙", "U1")},
    units={"U1": OfficeUnit("U1", "办信科"), "15": OfficeUnit("15", "甲科")},
)


def names(language: Language = "zh") -> Names:
    """The shipped policies over two officials."""
    return Names(load(SHIPPED), DIRECTORY, language)


def with_titles(configuration: Configuration, *ladders: str) -> Configuration:
    """The shipped policy where these ladders (none: all) call yellow blue."""
    policy = configuration.policies.policies["xinfang"]
    own = {
        name: replace(ladder, lights=replace(ladder.lights, titles={"yellow": "蓝灯"}))
        for name, ladder in policy.ladders.items()
        if not ladders or name in ladders
    }
    changed = replace(policy, ladders={**policy.ladders, **own})
    return replace(configuration, policies=replace(configuration.policies, policies={"xinfang": changed}))


def test_a_light_is_called_as_the_ladders_call_it() -> None:
    """By the ladder of the limit; of all together by their own name if all have the same, else by the usual one."""
    shipped = load(SHIPPED)
    everywhere, once = (Names(with_titles(shipped, *one), DIRECTORY, "zh") for one in ((), ("standard",)))
    of_limit = everywhere.light("yellow", "xinfang", "finish"), everywhere.light("red", "xinfang", "finish")
    assert of_limit == ("蓝灯", "红灯")
    assert [everywhere.light("yellow"), once.light("yellow"), names("en").light("yellow")] == ["蓝灯", "黄灯", "yellow"]


def told(kind: str, body: dict[str, object], language: Language = "zh", *notices: Notice) -> str:
    """One ledger row as its sentence."""
    row = LedgerRow(1, "X1", 1, AT, kind, "duban", body, "", "0" * 64)
    return Story(names(language), {notice.key: notice for notice in notices}).sentence(row)


def notice(*, copy: bool = False) -> Notice:
    """The first return of the urging step, by text message."""
    return Notice(
        KEY, "X1", "xinfang", "notify", 1, "urge", 1, "P1", "first_handler", "sms", "urge", Why.DUE, AT, copy=copy
    )


@pytest.mark.parametrize(
    ("kind", "body", "chinese", "english"),
    [
        (
            "seen",
            {"unit": "U1", "handler": "P1"},
            "首次读到案件，现在办信科 承办人甲一",
            "first seen, now with 办信科 承办人甲一",
        ),
        (
            "gone",
            {"note": "…"},
            "共享数据库里已没有这个案件，停止督办",
            "no longer in the shared database: nothing more is enforced",
        ),
        (
            "conflict",
            {"frozen_unit": "U1", "frozen_official": "P1", "claimed_unit": "U1", "claimed_official": "P2"},
            "首办责任人仍为办信科 承办人甲一；来源数据改称办信科 科长乙，记为冲突",
            "the first handler stays 办信科 承办人甲一; the source now names 办信科 科长乙: recorded as a conflict",
        ),
        (
            "failed",
            {"notice": KEY, "person": "P1", "channel": "sms", "error": "no_address"},
            "“书面告知”催办（第2次） → 首办责任人 承办人甲一（短信）：发送失败（没有登记号码或邮箱）",
            "“书面告知” urging (no. 2) → first handler 承办人甲一 (SMS): failed (no address on record)",
        ),
        (
            "retry_ordered",
            {"notice": KEY, "reason": "仍需发送"},
            "人工要求重发：“书面告知”催办（第2次） → 首办责任人 承办人甲一（短信）；理由：仍需发送",
            "ordered to send again: “书面告知” urging (no. 2) → first handler 承办人甲一 (SMS); reason: 仍需发送",
        ),
        (
            "done",
            {"policy": "xinfang", "limit": "finish", "done_at": "2026-09-14T02:05:00+00:00", "reasons": []},
            "“办结”已完成（2026-09-14 10:05）",
            "“办结” done (2026-09-14 10:05)",
        ),
        (
            "postponed",
            {"limit": "finish", "until": (AT + timedelta(minutes=5)).isoformat(), "problem": "ValueError"},
            "“办结”暂时判断不了，2026-09-14 10:20 再看：ValueError",
            "“办结” cannot be decided now, looked at again 2026-09-14 10:20: ValueError",
        ),
        ("from_a_later_version", {}, "from_a_later_version", "from_a_later_version"),
    ],
)
def test_each_kind_of_row_is_a_sentence(kind: str, body: dict[str, object], chinese: str, english: str) -> None:
    """In both languages, with names and titles; a kind nobody knows is shown as it is."""
    assert told(kind, body, "zh", notice()) == chinese
    assert told(kind, body, "en", notice()) == english


def test_a_count_says_all_that_is_special() -> None:
    """The last instant of a day is 24:00; extended and provisional are said."""
    body: dict[str, object] = {
        "policy": "xinfang", "limit": "finish", "start_at": AT.isoformat(), "extended": True, "provisional": True,
        "legal_due_at": "2026-11-13T15:59:59.999999+00:00", "platform_due_at": None, "reasons": [],
    }  # fmt: skip
    assert told("counted", body) == "“办结”自 2026-09-14 10:15 起算，法定期限 2026-11-13 24:00，已延期，暂定"


def test_a_message_whose_notice_is_gone_is_told_from_its_key() -> None:
    """Limit, step and person stand in the key; the role is not known."""
    body: dict[str, object] = {"notice": KEY, "person": "P1", "channel": "sms"}
    assert told("sent", body) == "“书面告知”催办（第2次） → 承办人甲一（短信）：已交付"
    assert rung_of_key("no key") == ("", "")


@pytest.mark.parametrize(
    ("sentence", "plain"),
    [
        (
            "“办结”适用，但没有起算时间（accepted_at、arrived_at），暂不能计算。",
            "“办结”适用，但没有起算时间（受理、到达责任单位），暂不能计算。",
        ),
        ("单位 U1 的科室负责人空缺，转报上一级。", "单位办信科的科室负责人空缺，转报上一级。"),
        ("P1 没有登记 sms 地址，改用其他通道。", "承办人甲一没有登记短信地址，改用其他通道。"),
        ("科室负责人 P2 已不在岗。", "科室负责人科长乙已不在岗。"),
        ("“告知”：2026-09-20 10:00 已转出，U1 的时限终止。", "“告知”：2026-09-20 10:00 已转出，办信科的时限终止。"),
        ("'x': U1 handed it over at 2026-09-20 10:00.", "'x': 办信科 handed it over at 2026-09-20 10:00."),
        ("承办单位更正为 U1（原为 U9），阶梯重新开始", "承办单位更正为办信科（原为 U9），阶梯重新开始"),
        ("第 15 日：2026-09-29（周二）。", "第 15 日：2026-09-29（周二）。"),
        ("起算（somewhere_at）", "起算（somewhere_at）"),
    ],
)
def test_codes_in_recorded_sentences_become_names(sentence: str, plain: str) -> None:
    """Milestones, units, officials and channels; a number that is also a unit's code is left alone."""
    assert names().plain(sentence) == plain


def test_errors_are_words_and_reasons_of_people_stay() -> None:
    """A code has its words and the code behind; what somebody wrote as a reason is not taken for a code."""
    assert names().error("smtp_550") == "邮件服务器拒收（smtp_550）"
    assert names().error("deadline_moved") == "期限已变"
    assert names("en").error("done by hand") == "done by hand"
    assert names().error("something_new") == "something_new"


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (3, "3 秒前", "3 s ago"),
        (90, "1 分钟前", "1 min ago"),
        (7200, "2 小时前", "2 h ago"),
        (90000, "25 小时前", "25 h ago"),
        (172800, "2 天前", "2 d ago"),
    ],
)
def test_ages(seconds: int, zh: str, en: str) -> None:
    """In the unit a person would use."""
    assert names().ago(AT - timedelta(seconds=seconds), AT) == zh
    assert names("en").ago(AT - timedelta(seconds=seconds), AT) == en


def test_a_key_as_the_policies_write_it_is_understood() -> None:
    """The limit and the step of a message are read from the key that a real decision gave it."""
    key = decide(at("2026-09-16 10:00")).notices[0].key
    assert rung_of_key(key) == ("notify", "assigned")
