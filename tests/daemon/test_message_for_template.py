from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from channels.aliyun import AliyunSettings, open_aliyun
from channels.base import PermanentFailure, Receipt
from daemon.cli.send_test import marked_message
from daemon.clock import SystemClock
from daemon.render import Renderer
from policies.model import Notice, Official, Why
from support.cloud_sms_servers import KEY_ID, NUMBER, SECRET, AliyunServer
from support.sms_gateway import running

SHIPPED = Path(__file__).parents[2] / "config" / "templates"
DUE = datetime(2026, 10, 8, 15, 59, 59, 999999, UTC)  # 24:00 in Beijing
OFFICIAL = Official("o1", "承办人甲一", "甲科", {"sms": f"+86{NUMBER}"})


def notice(say: str) -> Notice:
    """Three working days before the end of a limit."""
    facts: dict[str, Any] = {"limit_title": "书面告知", "due_at": DUE.isoformat(), "legal_due": DUE.isoformat()}
    return Notice(
        key=f"XF202609170012/{say}",
        case_key="XF202609170012",
        policy="xinfang",
        limit="notify",
        deadline_version=1,
        step=say,
        repeat=0,
        person="o1",
        role="first_handler",
        channel="sms",
        say=say,
        why=Why.DUE,
        at=DUE - timedelta(days=9),
        facts=facts | {"light": "yellow", "days_left": 3, "overdue_days": 0},
    )


async def test_what_the_daemon_writes_fills_an_approved_template() -> None:
    """The reminder, the digest and the test message each find their template by the word; the rest fails alone."""
    renderer = Renderer(SHIPPED, "某市信访局", "某市信访局", ZoneInfo("Asia/Shanghai"), "zh")
    messages = [
        renderer.render(notice("remind"), OFFICIAL, "sms"),
        renderer.digest([(notice("remind"), DUE), (notice("today"), DUE)], OFFICIAL, "sms", key="digest:1"),
        marked_message("某市信访局", "某市信访局", f"+86{NUMBER}", "1", SystemClock()),
        renderer.render(notice("urge"), OFFICIAL, "sms"),
    ]
    templates = {
        "remind": {"id": "SMS_1", "state": "approved", "variables": {"c": "{param.case}", "d": "{param.deadline}"}},
        "digest": {"id": "SMS_2", "state": "approved", "variables": {"n": "{param.count}"}},
        "test": {"id": "SMS_3", "state": "approved", "variables": {"t": "{text}"}},
    }
    keys = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "sign_name": "某市信访局"}
    async with running(AliyunServer()) as server:
        settings = AliyunSettings.model_validate({**keys, "templates": templates, "base_url": server.url})
        channel = open_aliyun(settings)
        outcomes = [(await channel.send_many([message]))[0] for message in messages]
        await channel.close()
    assert [type(one) for one in outcomes] == [Receipt, Receipt, Receipt, PermanentFailure]
    assert [(one["TemplateCode"], json.loads(one["TemplateParam"])) for one in server.sent] == [
        ("SMS_1", {"c": "XF202609170012", "d": "10月8日到期，余3个工作日"}),
        ("SMS_2", {"n": "2"}),
        ("SMS_3", {"t": "这是某市信访局督办系统的测试消息，请忽略。"}),
    ]
