"""`duban send-test`: one marked message through a configured channel, to see that it arrives."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from channels.base import Message, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from daemon.cli.output import EXIT_FOUND, EXIT_USAGE, config_option, fail, json_option, no_traceback, say, to_json
from daemon.clock import SystemClock
from daemon.settings import load
from daemon.source.database import DatabaseSource
from daemon.telemetry import mask_text
from policies.spelling import did_you_mean
from policies.text import Text

if TYPE_CHECKING:
    from channels.base import Channel, Outcome
    from daemon.settings import Configuration

EXIT_TEMPORARY = 75  # sysexits.h EX_TEMPFAIL

_CHINESE_MOBILE = re.compile(r"1\d{10}")

# what to do about a failure, by the beginning of its code; the first that fits
_ADVICE: tuple[tuple[str, Text], ...] = (
    (
        "certificate",
        Text(
            "证书不受信任：核对服务器地址，或用 ca_file 指定单位自己的根证书。",
            "the certificate is not trusted: check the host name, or name your own root certificate in ca_file.",
        ),
    ),
    ("ca_file", Text("ca_file 读不了：核对路径和权限。", "ca_file cannot be read: check its path and rights.")),
    (
        "cannot_connect",
        Text("连不上：核对地址和端口，以及防火墙是否放行。", "no connection: check host, port and the firewall."),
    ),
    (
        "connect_timeout",
        Text(
            "连接超时：多半是防火墙丢弃了连接，或地址写错。",
            "connecting took too long: most likely a firewall, or a wrong address.",
        ),
    ),
    (
        "not_offered",
        Text(
            "对方不提供所要的加密或登录：核对 encryption、端口和用户名。",
            "the relay offers no such encryption or login: check encryption, port and username.",
        ),
    ),
    (
        "smtp_535",
        Text(
            "用户名或密码不对；不少邮箱要用“授权码”而不是登录密码。",
            "wrong username or password; many providers want an application password.",
        ),
    ),
    (
        "smtp_530",
        Text("对方要求先登录：填 username 和 password。", "the relay wants a login: give username and password."),
    ),
    (
        "smtp_550",
        Text(
            "对方不接受这个收件人或发件人：核对地址，发件人须是登录的邮箱。",
            "recipient or sender refused: check both; the sender must be the mailbox that logs in.",
        ),
    ),
    (
        "no_smtputf8",
        Text(
            "邮件服务器不支持中文邮箱：请用 ASCII 邮箱。", "the relay takes no international mailbox: use an ASCII one."
        ),
    ),
    ("bad_number", Text("号码写法不对：用 11 位手机号或 +86 开头。", "not a number: write 11 digits or +86….")),
    ("bad_address", Text("邮箱或账号写法不对。", "not a mail address, or not the user id of one person.")),
    (
        "wecom_60020",
        Text(
            "本机地址不在企业微信应用的“企业可信 IP”里。",
            "our address is not among the trusted IPs of the application.",
        ),
    ),
    (
        "wecom_81013",
        Text(
            "成员不存在，或不在应用的可见范围里：核对 userid。",
            "no such member, or the application does not see him: check the user id.",
        ),
    ),
    ("wecom_4000", Text("企业微信的 secret 不对：核对 corp_id、secret。", "wrong corp_id or secret.")),
    (
        "wecom_",
        Text(
            "请按此代码查企业微信的“全局错误码”。",
            "look the code up at https://developer.work.weixin.qq.com/document/path/90313",
        ),
    ),
    (
        "dingtalk_invalid_user",
        Text("钉钉里没有这个人：核对 userid。", "DingTalk has no such person: check the user id."),
    ),
    ("dingtalk_310000", Text("机器人加签、关键词或 IP 不符。", "signature, keyword or IP address of the robot.")),
    ("dingtalk_", Text("请按此代码查钉钉的“全局错误码”。", "look the code up at https://open.dingtalk.com/document/")),
    (
        "feishu_230013",
        Text("此人不在机器人的可用范围里。", "the person may not use the bot: widen its availability."),
    ),
    ("feishu_", Text("请按此代码查飞书的“服务端错误码”。", "look the code up at https://open.feishu.cn/document/")),
    (
        "apprise_missing",
        Text("没有安装 Apprise：pip install duban[apprise]。", "Apprise is not installed: pip install duban[apprise]."),
    ),
    ("http_401", Text("账号或密钥不对：核对 secrets。", "wrong account or key: check secrets.")),
    (
        "http_403",
        Text(
            "没有权限：账号、密钥、签名或来源 IP 未被网关放行。",
            "not allowed: account, key, signature or our IP address.",
        ),
    ),
    ("http_404", Text("网关地址不对：核对 url。", "no such address at the gateway: check url.")),
    ("http_429", Text("发得太快：调低 rate，稍后再试。", "too fast: lower rate and try later.")),
    (
        "http_3",
        Text("网关要求转到别的地址：把 url 改成最终地址。", "the gateway redirects: put the final address into url."),
    ),
    (
        "twilio_20003",
        Text("Twilio 账号或令牌不对：核对 account_sid 与 auth_token。", "wrong account_sid or auth_token."),
    ),
    ("twilio_", Text("请按此代码查 Twilio 的错误说明。", "look the code up at https://www.twilio.com/docs/api/errors")),
    (
        "malformed_answer",
        Text("看不懂对方的回答：核对 success、code 的写法。", "the answer is not understood: check success and code."),
    ),
    ("enospc", Text("磁盘已满。", "the disk is full.")),
    ("eacces", Text("目录不可写：核对权限。", "the directory cannot be written: check its rights.")),
)
_GENERAL = {
    TemporaryFailure: Text(
        "暂时发不出去，过一会儿再试；守护进程会自动重试。", "not now; try later. The daemon retries by itself."
    ),
    PermanentFailure: Text(
        "对方拒绝，重试无用；请按代码核对配置或地址。",
        "refused for good; check the settings or the address by this code.",
    ),
    OutcomeUnknown: Text(
        "已交给对方但没有回音，可能已发出；请问收件人收到没有。",
        "handed over, but no answer: it may have been sent. Ask the recipient.",
    ),
}

_WORDS: tuple[tuple[type[SendError], str], ...] = (
    (TemporaryFailure, "temporary"),
    (PermanentFailure, "permanent"),
    (OutcomeUnknown, "unknown"),
)


class _UsageError(click.UsageError):
    exit_code = EXIT_USAGE


@click.command()
@click.argument("channel")
@click.option("--to", help="手机号、邮箱或账号 / mobile number, mail address or user id")
@click.option("--person", help="人员编号，地址从共享数据库取 / key of a person in the shared database")
@config_option
@json_option
@no_traceback
def send_test(channel: str, to: str | None, person: str | None, config_path: str, as_json: bool) -> None:
    """经配置好的通道发一条注明“测试”的消息。

    Send one message marked as a test through a configured channel. Exit codes: 0 taken over, 1 refused or unknown,
    75 not now, 78 the configuration is wrong.
    """
    if (to is None) == (person is None):
        raise _UsageError("--to 与 --person 请写且只写一个 / give exactly one of --to and --person")
    configuration = load(Path(config_path))
    _require_channel(configuration, channel)
    kind = configuration.kinds[channel]
    address = _written(to, kind) if to is not None else _address_of(configuration, person or "", kind)
    outcome = asyncio.run(_send(configuration, channel, address))
    click.echo(to_json(_as_json(channel, address, outcome)) if as_json else say(_sentence(channel, address, outcome)))
    if isinstance(outcome, SendError):
        sys.exit(EXIT_TEMPORARY if isinstance(outcome, TemporaryFailure) else EXIT_FOUND)


def _require_channel(configuration: Configuration, channel: str) -> None:
    if channel in configuration.channel_settings:
        return
    if channel in configuration.sharing:
        each = configuration.ways(channel)
        zh, en = "、".join(each), ", ".join(each)
        told = Text(f"“{channel}”由 {zh} 分担，请逐个测试", f"“{channel}” is shared by {en}: test each of them")
        fail(told, EXIT_FOUND)
    known = sorted(configuration.channel_settings)
    meant = did_you_mean(channel, known)
    listed = "、".join(known)
    hint = Text(f"，是不是想写“{meant}”", f"; did you mean “{meant}”") if meant else Text("", "")
    fail(
        Text(f"没有通道“{channel}”；已配置：{listed}", f"no channel “{channel}”; configured: {', '.join(known)}")
        + hint,
        EXIT_FOUND,
    )


def _written(to: str, kind: str) -> str:
    return f"+86{to}" if kind == "sms" and _CHINESE_MOBILE.fullmatch(to) else to


def _address_of(configuration: Configuration, person: str, kind: str) -> str:
    source = DatabaseSource(configuration.settings.source, configuration.zone, configuration.administrators)
    try:
        directory, _ = source.read_directory()
    finally:
        source.close()
    official = directory.officials.get(person)
    if official is None:
        fail(Text(f"共享数据库里没有人员“{person}”。", f"no person “{person}” in the shared database."), EXIT_FOUND)
    address = official.addresses.get(kind) if official else None
    if address is None:
        word = {"sms": Text("手机号", "mobile number"), "email": Text("邮箱", "mail address")}.get(
            kind, Text(f"“{kind}”类地址", f"address of kind {kind}")
        )
        fail(Text(f"人员“{person}”没有", f"person “{person}” has no ") + word, EXIT_FOUND)
    return address or ""


def marked_message(office: str, signature: str, address: str, at_key: str, clock: SystemClock) -> Message:
    """The marked message; its key is new every time, so that nothing takes it for a resend."""
    said = f"【{signature.strip('【】') or office}】这是{office}督办系统的测试消息，请忽略。"
    return Message(
        key=f"test/{at_key}",
        to=address,
        text=said,
        at=clock.now(),
        subject=f"【测试】{office}督办系统",
        params={"text": said},
        say="test",
    )


async def _send(configuration: Configuration, channel: str, address: str) -> Outcome:
    office = configuration.settings.office
    message = marked_message(office.name, office.signature, address, uuid.uuid4().hex, SystemClock())
    try:
        opened: Channel = configuration.channel_types[channel].open(configuration.channel_settings[channel])
    except SendError as failure:
        return failure
    try:
        (outcome,) = await opened.send_many([message])
    finally:
        await opened.close()
    return outcome


def advice(failure: SendError) -> Text:
    """What an administrator can do about it."""
    for beginning, text in _ADVICE:
        if failure.code.startswith(beginning):
            return text
    return next(text for kind, text in _GENERAL.items() if isinstance(failure, kind))


def _masked(address: str) -> str:
    """The address made unrecognisable, also one that is none."""
    masked = mask_text(address)
    return masked if masked != address else f"{address[:2]}***"


def _sentence(channel: str, address: str, outcome: Outcome) -> Text:
    shown = _masked(address)
    if isinstance(outcome, Receipt):
        number = outcome.reference or "-"
        return Text(
            f"通道“{channel}”已接收发往 {shown} 的测试消息（回执号 {number}，{outcome.parts} 条）。"
            "接收不等于送达，请核对是否收到。",
            f"“{channel}” has taken the test message to {shown} (reference {number}, {outcome.parts} part(s)). "
            "Accepted is not delivered: check that it arrived.",
        )
    detail = f"（{outcome.detail}）" if outcome.detail else ""
    return Text(
        f"通道“{channel}”没有发成给 {shown} 的测试消息：{outcome.code}{detail}。",
        f"“{channel}” did not send the test message to {shown}: {outcome}. ",
    ) + advice(outcome)


def _as_json(channel: str, address: str, outcome: Outcome) -> dict[str, object]:
    common: dict[str, object] = {"channel": channel, "to": _masked(address)}
    if isinstance(outcome, Receipt):
        return common | {
            "outcome": "accepted",
            "reference": outcome.reference,
            "parts": outcome.parts,
            "delivered": outcome.delivered,
        }
    said = advice(outcome)
    return common | {
        "outcome": next(word for kind, word in _WORDS if isinstance(outcome, kind)),
        "code": outcome.code,
        "detail": outcome.detail,
        "advice": {"zh": said.zh, "en": said.en},
    }
