from __future__ import annotations

import re
from pathlib import Path

import pytest

from channels.aliyun import AliyunSettings
from channels.wire import aliyun_sms, dingtalk_messages, tencent_sms, twilio_messages
from daemon.catalogue import sheets

DOCS = Path(__file__).parent.parent.parent / "docs"
MANUALS = {
    "delivery.md": ("| type | can be asked |", "no", {"called": "called", "fetched": "fetched", "none": "none"}),
    "delivery.zh-CN.md": ("| 类型 | 能否查询 |", "不能", {"called": "对方推送", "fetched": "我方收取", "none": "无"}),
}


def rows(manual: str) -> dict[str, list[str]]:
    """The table of providers in a manual, by channel type."""
    lines = (DOCS / manual).read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(MANUALS[manual][0]))
    found: dict[str, list[str]] = {}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found |= dict.fromkeys(re.findall(r"`(\w+)`", name), cells)
    return found


@pytest.mark.parametrize("manual", MANUALS)
def test_the_manual_says_of_every_channel_whether_it_can_be_asked(manual: str) -> None:
    """Every channel type has its row; whether it can be asked, and how receipts come, is what the channel says."""
    _, never, words = MANUALS[manual]
    told = rows(manual)
    ours = {sheet.name: sheet.can for sheet in sheets() if sheet.origin == "duban"}
    del ours["shared"]  # several providers behind one channel: whoever had the message is asked
    assert list(told) == [name for name in told if name in ours]
    assert set(told) == set(ours)
    for name, can in ours.items():
        asked, *_, present, absent, receipts = told[name]
        sometimes = name == "dingtalk"  # by the process that sent it: the manual says so
        assert (asked != never) == (can.asked or sometimes), name
        assert bool(present and absent) == (asked != never), f"{name}: what its answers mean"
        way = "called" if can.called else "fetched" if can.collected else "none"
        assert receipts == words[way], name


@pytest.mark.parametrize("manual", MANUALS)
def test_the_manual_says_how_far_back_each_can_be_asked(manual: str) -> None:
    """The figures of the table are those of the code."""
    told = rows(manual)
    assert str(aliyun_sms._KEPT_DAYS) in told["aliyun"][2]
    assert f"{AliyunSettings.model_fields['settle'].default}" in told["aliyun"][4]
    assert str(tencent_sms._KEPT.days) in told["tencent"][2]
    assert str(twilio_messages._LISTED) in told["twilio"][2]
    assert f"{dingtalk_messages._REMEMBERED:,}" in told["dingtalk"][2]
