"""The office that reaches its people over WeCom and DingTalk, from the shared database to the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.running_office import CASE, running_office
from support.sms_gateway import running
from support.workplace_servers import SECRET, DingTalkServer, WeComServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.office import Office

IDS = {"h0": "cheng.ban", "c0": "ke.zhang", "p-leader": "fen.guan"}
WECOM = """
  work:
    type: wecom
    corp_id: ww1
    agent_id: 7
    secret: {secret}
    base_url: http://127.0.0.1:{port}
administrators:"""
DINGTALK = """
  work:
    type: dingtalk
    app_key: ding1
    agent_id: 7
    app_secret: {secret}
    confirm_after: 0.001
    base_url: http://127.0.0.1:{port}
administrators:"""


def reached_by(kind: str, section: str, port: int, via: str) -> Callable[[Office], None]:
    """The office with user ids in a column of its own, mapped to that kind of address."""

    def prepare(office: Office) -> None:
        office.execute("ALTER TABLE people ADD COLUMN user_id TEXT")
        for person, user_id in IDS.items():
            office.execute("UPDATE people SET user_id = ? WHERE code = ?", user_id, person)
        office.change("source.yaml", "email: mail}", f"email: mail, addresses: {{{kind}: user_id}}}}")
        office.change("duban.yaml", "\nadministrators:", section.format(secret=SECRET, port=port))
        office.change("policies/office.yaml", "via: [sms, email]", f"via: {via}")

    return prepare


async def test_a_member_is_told_by_his_user_id(tmp_path: Path, store_url: str) -> None:
    """The user id comes from the mapping's `addresses`; the words are those of the text message."""
    async with running(WeComServer()) as server:
        prepare = reached_by("wecom", WECOM, server.port, "[wecom]")
        async with running_office(tmp_path, store_url, prepare=prepare) as world:
            await world.work()
            (sent,) = server.messages
            assert (sent["touser"], sent["agentid"]) == ("cheng.ban", 7)
            assert "书面告知" in sent["text"]["content"]
            assert CASE in sent["text"]["content"]
            assert world.states("work") == ["assigned h0 accepted"]
            assert [d.reference for d in world.deliveries("work")] == ["W1"]


async def test_a_member_wecom_does_not_know_makes_it_go_up(tmp_path: Path, store_url: str) -> None:
    """Code 0 with the member among the invalid ones: the next one up hears of it instead."""
    async with running(WeComServer()) as server:
        server.invalid.add("cheng.ban")
        prepare = reached_by("wecom", WECOM, server.port, "[wecom]")
        async with running_office(tmp_path, store_url, prepare=prepare) as world:
            await world.work()
            assert [one["touser"] for one in server.messages] == ["cheng.ban", "ke.zhang"]
            assert world.states("work") == ["assigned h0 failed", "assigned c0 accepted"]


async def test_somebody_without_a_user_id_is_passed_over(tmp_path: Path, store_url: str) -> None:
    """Who has no address of that kind cannot be reached over it; who stands above him is."""
    async with running(WeComServer()) as server:
        prepare = reached_by("wecom", WECOM, server.port, "[wecom]")
        async with running_office(tmp_path, store_url, prepare=prepare) as world:
            world.execute("UPDATE people SET user_id = NULL WHERE code = 'h0'")
            await world.work()
            assert [one["touser"] for one in server.messages] == ["ke.zhang"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_text_follows_only_where_no_receipt_came(tmp_path: Path, store_url: str, *, arrived: bool) -> None:
    """DingTalk first, a text message after half an hour, unless DingTalk says that the notice has arrived."""
    async with running(DingTalkServer()) as server:
        prepare = reached_by("dingtalk", DINGTALK, server.port, "{in_order: [dingtalk, sms], wait: 30 分钟}")
        async with running_office(tmp_path, store_url, prepare=prepare) as world:
            await world.work()
            assert [one["userid_list"] for one in server.messages] == ["cheng.ban"]
            server.results = {"unread_user_id_list": ["cheng.ban"]} if arrived else {}
            texts = [one.to for one in await world.work("2026-09-16 10:31") if one.channel == "sms"]
            assert texts == ([] if arrived else ["+8613800001000"])


async def test_a_lost_answer_is_sent_again_marked(tmp_path: Path, store_url: str) -> None:
    """WeCom cannot be asked: the member reads that the second one may be a repeat."""
    async with running(WeComServer()) as server:
        server.fail("drop")
        prepare = reached_by("wecom", WECOM, server.port, "[wecom]")
        async with running_office(tmp_path, store_url, prepare=prepare) as world:
            await world.live_until("2026-09-16 12:00")
            first, second = (one["text"]["content"] for one in server.messages)
            assert "可能重复" not in first
            assert "可能重复" in second
            assert world.states("work") == ["assigned h0 accepted"]
