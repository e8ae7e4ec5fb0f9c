"""What the administrators are told about duban itself: once a day and kind of trouble, through the same outbox.

A trouble of the program is no case: its notices have no case key, its ledger lines stand in a chain of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.evaluate import first_of_each_kind
from policies.model import Notice, Why
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime, tzinfo

    from policies.calendar import Calendar
    from policies.model import Directory
    from policies.text import Language

SAY = "alert"
ROLE = "administrator"
CASES_A_DAY = 5  # conflicts told one by one; the others of the day together


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble: a short word for it, what is the matter, what to do."""

    kind: str
    title: Text
    text: Text
    say: str = SAY


def notices_about(
    trouble: Trouble, directory: Directory, kinds: Mapping[str, str], today: date, now: datetime, language: Language
) -> tuple[Notice, ...]:
    """One notice per administrator and kind of address he has. Asked again on the same day it gives the same keys."""
    return tuple(
        Notice(
            key=f"duban/{SAY}/{trouble.kind}/{today.isoformat()}/{person}/{channel}",
            case_key="",
            policy="",
            limit="",
            deadline_version=0,
            step=trouble.kind,
            repeat=0,
            person=person,
            role=ROLE,
            channel=channel,
            say=trouble.say,
            why=Why.DUE,
            at=now,
            facts={"alert_title": trouble.title.say(language), "alert_text": trouble.text.say(language)},
        )
        for person in directory.administrators
        for kind, channel in first_of_each_kind(kinds).items()
        if directory.officials[person].addresses.get(kind)
    )


def source_away(since: str) -> Trouble:
    """The shared database does not answer."""
    return Trouble(
        "source_away",
        Text("共享数据库无法访问", "the shared database does not answer"),
        Text(
            f"自 {since} 起读不到共享数据库，提醒按最后一次读到的情况继续发出。请检查数据库和网络。",
            f"It has not answered since {since}. Reminders go on with what was last read. Check database and network.",
        ),
    )


def channel_at_rest(channel: str, code: str) -> Trouble:
    """A channel cannot send anything at all."""
    return Trouble(
        f"channel_{channel}",
        Text(f"通道 {channel} 发不出消息", f"channel {channel} cannot send"),
        Text(
            f"服务方拒绝了全部消息（{code}），消息已保留，每隔一段时间再试。请检查该通道的账号和设置。",
            f"The provider refuses everything ({code}). Messages are kept and tried again. Check account and settings.",
        ),
    )


def private_content(cases: Sequence[str]) -> Trouble:
    """Messages about these cases were stopped: they would have told of a person."""
    some, more = "、".join(cases[:CASES_A_DAY]), len(cases) > CASES_A_DAY
    return Trouble(
        "private_content",
        Text("有消息因含个人信息被拦截", "messages were stopped for what they would have told"),
        Text(
            f"案件 {some}{'等' if more else ''} 的短信、即时消息或邮件主题中出现个人信息，已拦截，改走其他通道或上报。"
            "请检查 source.yaml 的字段映射和消息模板。",
            f"Texts, chats or subjects about {some}{' and more' if more else ''} would have held personal content. "
            "They were stopped and went another way or upward. Check the mapping in source.yaml and the templates.",
        ),
    )


def channel_unheard(channel: str, code: str) -> Trouble:
    """A channel sends, but does not tell what came back."""
    return Trouble(
        f"channel_unheard_{channel}",
        Text(f"通道 {channel} 的回执读不到", f"what came back over channel {channel} cannot be read"),
        Text(
            f"读取退信或回执失败（{code}），未送达的消息暂时不会被发现。请检查该通道退信邮箱或目录的设置。",
            f"Bounces or receipts cannot be read ({code}): messages that did not arrive are not noticed. "
            "Check the settings of its bounce mailbox or folder.",
        ),
    )


def provider_left(channel: str, provider: str, why: str, since: str) -> Trouble:
    """One of several providers behind a channel has been left alone for long: the others do its part."""
    return Trouble(
        f"provider_{provider}",
        Text(f"服务商 {provider} 停用较久", f"provider {provider} is left alone"),
        Text(
            f"自 {since} 起通道 {channel} 不再经 {provider} 发送（{why}），隔一段时间用一条试发；"
            "其他服务商正常时由其分担。请检查该服务商的账号和线路。",
            f"Since {since} {channel} sends nothing over {provider} ({why}) but one message at times to see. "
            "Others take its part as far as they work. Check its account and line.",
        ),
    )


def unaccounted(count: int) -> Trouble:
    """The audit's proof does not hold."""
    return Trouble(
        "unaccounted",
        Text("有时限失去监控", "limits are not being watched"),
        Text(
            f"{count} 项在办时限没有下一步，也没有说明原因。请运行 duban status 并报告。",
            f"{count} open limits have no next step and no stated reason. Run duban status and report it.",
        ),
    )


def files_refused(problem: Text) -> Trouble:
    """Changed configuration files cannot be used."""
    return Trouble(
        "files_refused",
        Text("新配置有误，未采用", "the new configuration was refused"),
        Text(
            f"{problem.zh}原配置继续有效。请运行 duban check 查看全部错误。",
            f"{problem.en} The old one goes on. Run duban check for all mistakes.",
        ),
    )


def policies_not_taken(version: str, what: Text) -> Trouble:
    """The policy files on disk are not what is in force."""
    return Trouble(
        f"policies_not_taken_{version}",
        Text("策略文件与生效版本不同", "the policy files are not what is in force"),
        Text(f"{what.zh}（{version}）。", f"{what.en} ({version})."),
    )


def policy_fell_back(version: str, problem: Text) -> Trouble:
    """A new version of the policies was taken back."""
    return Trouble(
        f"policy_fell_back_{version}",
        Text("新策略已自动撤回", "the new policies were taken back"),
        Text(
            f"策略版本 {version} 启用后出错：{problem.zh}。已恢复前一版本。请运行 duban policy status。",
            f"Policy version {version} failed: {problem.en}. The one before goes on. See duban policy status.",
        ),
    )


def cases_moved(count: int, version: str, why: Text) -> Trouble:
    """Running cases could not stay with their version."""
    return Trouble(
        f"cases_moved_{version}",
        Text("案件改用现行策略", "cases moved to the policies in force"),
        Text(
            f"{count} 个在办案件原用策略版本 {version}，{why.zh}，现改用生效版本，期限已重新计算。",
            f"{count} running cases were bound to policy version {version}: {why.en}. They now run by the present one.",
        ),
    )


def first_handler_disputed(case_key: str) -> Trouble:
    """The shared database names another first handler than the one on record."""
    return Trouble(
        f"first_handler {case_key}",
        Text("首办责任人与来源不符", "the first handler is disputed"),
        Text(
            f"案件 {case_key} 的首办信息在共享数据库中被改。首办责任人不变，已记为冲突；详见 duban ledger {case_key}。",
            f"The shared database names another first handler of {case_key}. The one on record stays; "
            f"see duban ledger {case_key}.",
        ),
    )


def first_handlers_disputed(count: int) -> Trouble:
    """So many of them on one day that one message tells of the rest."""
    return Trouble(
        "first_handlers",
        Text("多起案件首办责任人与来源不符", "several first handlers are disputed"),
        Text(
            f"当日另有 {count} 起或更多案件的首办信息在共享数据库中被改，首办责任人均不变，已逐案记入责任台账。",
            f"{count} more cases or more were given another first handler that day. Those on record stay.",
        ),
    )


def about_conflicts(conflicts: Iterable[tuple[str, datetime]], zone: tzinfo) -> Iterator[tuple[Trouble, date]]:
    """What to tell of the conflicts (case, when recorded), and the day of each: asked again, the same is told once."""
    by_day: dict[date, list[str]] = {}
    for case_key, at in conflicts:
        by_day.setdefault(at.astimezone(zone).date(), []).append(case_key)
    for day, keys in by_day.items():
        cases = list(dict.fromkeys(keys))
        for key in cases[:CASES_A_DAY]:
            yield first_handler_disputed(key), day
        if len(cases) > CASES_A_DAY:
            yield first_handlers_disputed(len(cases) - CASES_A_DAY), day


def release_wanted(count: int, since: str, too_late: int = 0) -> Trouble:
    """Notices above the leader have been waiting for a human for longer than a working day; some until too late."""
    more = Text("", "")
    if too_late:
        more = Text(
            f"另有 {too_late} 条等到下一梯级接替，不会再发出。",
            f" {too_late} more waited until the next step took over and will not go out any more.",
        )
    return Trouble(
        "release_wanted",
        Text(f"{count}条消息等候核发", f"{count} messages await release"),
        Text(
            f"{count} 条发给主要负责人以上的消息等候人工核发，最早一条自 {since} 起；"
            f"下一梯级接替后不能再核发。{more.zh}",
            f"{count} messages that go above the leader wait for a human's release, the oldest since {since}; "
            f"once the next step takes over they cannot be released any more.{more.en}",
        ),
        say="release_wanted",
    )


def out_of_reach(count: int, days: int) -> Trouble:
    """People whom open cases will need soon and no message would reach."""
    return Trouble(
        "out_of_reach",
        Text(f"{count} 人（岗位）将通知不到", f"{count} people or posts are out of reach"),
        Text(
            f"今后 {days} 天在办案件要通知的人中，{count} 个通知不到：号码邮箱缺失、离岗无人代理或岗位空缺。"
            "请运行 duban reach 查看并补正。",
            f"Of those whom open cases need within {days} days, {count} cannot be told: no address, on leave with "
            "nobody standing in, or a vacant post. Run duban reach for the list.",
        ),
    )


def channel_stopped(person: str, channel: str, how: str) -> Trouble:
    """Somebody wants no more messages over a channel; his duty goes on."""
    by = {"carrier": Text("运营商通知", "by the carrier's word"), "reply": Text("本人回复", "by his own reply")}
    told = by.get(how, Text("人工登记", "by hand"))
    return Trouble(
        f"stopped {person}/{channel}",
        Text(f"{person} 退订了通道 {channel}", f"{person} stopped channel {channel}"),
        Text(
            f"人员 {person} 已退订通道 {channel}（{told.zh}）。其消息改走其他通道，没有其他通道的转报上级。"
            "请联系本人；解除用 duban stops lift。",
            f"{person} stopped channel {channel} ({told.en}). His messages go over other channels, or upward. "
            "Please talk to him; duban stops lift ends it.",
        ),
    )


def year_unknown(calendar: Calendar, today: date) -> Trouble | None:
    """From November on: the coming year's holidays are not known yet, said once a week (on Mondays)."""
    known = calendar.known_until
    if known is None or known.year > today.year or today.month < 11 or today.weekday() != 0:  # noqa: PLR2004 - November
        return None
    year = known.year + 1
    return Trouble(
        f"calendar_{calendar.name}_{year}",
        Text(f"{year} 年放假安排尚未载入", f"the holidays of {year} are not loaded"),
        Text(
            f"日历 {calendar.name} 只知道到 {known.isoformat()}，此后的期限都标为暂定。国务院通知公布后请更新日历。",
            f"Calendar {calendar.name} is known until {known.isoformat()}; later dates are provisional. Update it.",
        ),
    )
