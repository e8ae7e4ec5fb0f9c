"""Words for what the store keeps as codes: people, units, limits, steps, milestones, channels and errors.

One office's titles and names, in one reader's language. Whatever has no words is shown as it is.
"""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from daemon.titles import LIGHT_TITLES, STEP_TITLES, UNACKNOWLEDGED, UNACTED
from policies.ladders.handing_back import SHIRKING
from policies.ladders.rungs import HANDBACK, RELEASE
from policies.ladders.speaking import RELEASE_WANTED
from policies.people.seats import ROLE_TITLES
from policies.people.ways import LEG_TITLES, split_leg
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from daemon.settings import Configuration
    from daemon.store.values import Delivery
    from policies.model import Directory, Notice, Scalar
    from policies.text import Language

KEY_PARTS = 9  # case / policy / limit / instance / deadline version / step / repeat / person / channel
LAST_INSTANT = time(23, 59, 59, 999_999)

MILESTONES: Mapping[str, Text] = {
    "registered_at": Text("登记", "registered"),
    "forwarded_at": Text("转送交办", "forwarded"),
    "arrived_at": Text("到达责任单位", "arrived"),
    "accepted_at": Text("受理", "accepted"),
    "notified_at": Text("书面告知", "petitioner notified"),
    "objected_at": Text("提出异议", "objected"),
    "finished_at": Text("办结", "finished"),
    "acknowledged_at": Text("签收", "acknowledged"),
    "limit_at": Text("平台限办期限", "platform limit"),
    "transfer_limit_at": Text("平台流转期限", "platform limit for forwarding"),
    "reply_received_at": Text("收到答复", "reply received"),
    "review_requested_at": Text("申请复查", "review requested"),
    "review_decided_at": Text("复查决定", "review decided"),
    "recheck_requested_at": Text("申请复核", "recheck requested"),
    "recheck_decided_at": Text("复核决定", "recheck decided"),
    "advice_received_at": Text("收到建议", "advice received"),
    "advice_replied_at": Text("答复建议", "advice replied"),
    "urgent_found_at": Text("发现紧急事项", "urgent matter found"),
    "urgent_reported_at": Text("报告紧急事项", "urgent matter reported"),
}
FIELDS: Mapping[str, Text] = {
    "kind": Text("事项类别", "kind"),
    "litigation": Text("涉法涉诉", "litigation"),
    "urgent": Text("紧急", "urgent"),
    "level": Text("级别", "level"),
    "source": Text("来源", "source"),
    "status": Text("状态", "status"),
}
ENTITIES: Mapping[str, Text] = {
    "cases": Text("案件", "cases"),
    "officials": Text("人员", "officials"),
    "units": Text("单位", "units"),
    "posts": Text("任职", "posts"),
    "transfers": Text("转办", "transfers"),
    "extensions": Text("延期", "extensions"),
    "pauses": Text("中止", "pauses"),
    "recusals": Text("回避", "recusals"),
    "delegations": Text("代理", "delegations"),
    "events": Text("事件", "events"),
    "pool": Text("人员名录", "directory"),
}
KINDS: Mapping[str, Text] = {
    "sms": Text("短信", "SMS"),
    "email": Text("邮件", "email"),
    "wecom": Text("企业微信", "WeCom"),
    "dingtalk": Text("钉钉", "DingTalk"),
    "feishu": Text("飞书", "Feishu"),
}

# How an error begins -> what it means. The first that fits counts, so the longer beginnings come first.
ERRORS: tuple[tuple[str, Text], ...] = (
    ("done", Text("已经完成", "it is done")),
    ("paused", Text("已中止", "it is paused")),
    ("withdrawn", Text("不再计算", "withdrawn")),
    ("deadline_moved", Text("期限已变", "the limit moved")),
    ("next_step_took_over", Text("下一梯级已接替", "the next step took over")),
    ("case_doubted", Text("案件突然大批不见，待核实", "most cases are gone at once: not believed yet")),
    ("transferred", Text("已转给他人，改发给现任", "handed over: the present one is told")),
    ("restricted", Text("案件已限制知悉", "the case is restricted")),
    ("refused", Text("不予核发", "the release was refused")),
    ("drill_stopped", Text("演练已停止", "the drill was stopped")),
    ("no_such_channel", Text("配置里已没有这个通道", "the channel is configured no more")),
    ("provider_left", Text("该服务商暂停使用，由其他服务商发", "this provider is left alone: another one sends it")),
    ("channel_broke", Text("通道程序出错，可能已发出", "the channel broke, perhaps sent")),
    ("in_doubt", Text("可能已发出，按策略不再重发", "perhaps sent, and by its policy not sent again")),
    ("opted_out", Text("本人已退订", "the reader stopped this channel")),
    ("no_template", Text("没有报批的消息模板", "no approved template")),
    ("template_waiting", Text("消息模板待审核", "its template is not approved yet")),
    ("template_refused", Text("消息模板未通过审核", "its template was refused")),
    ("no_address", Text("没有登记号码或邮箱", "no address on record")),
    ("render:", Text("消息模板写不出来", "the template does not render")),
    ("link_forbidden", Text("内容带链接，该通道不许", "a link where the channel takes none")),
    ("private_content", Text("内容含个人信息，已拦截", "it would have told of a person: stopped")),
    ("over_budget:per_person", Text("本通道24小时内给此人的条数已满", "as many as he may get here in 24 hours")),
    (
        "over_budget:same_text",
        Text("24小时内同一内容发给此人的次数已满", "the same text as often as it may go in 24 hours"),
    ),
    (
        "over_budget:different_texts",
        Text("24小时内给此人的不同内容已满", "as many different texts as may go in 24 hours"),
    ),
    ("over_budget:total", Text("本通道24小时的总条数已满", "as many parts as the channel may send in 24 hours")),
    ("gate", Text("数据库暂时读不了", "a database is away")),
    ("bad_number", Text("号码写法不对", "not a number")),
    ("bad_address", Text("邮箱或账号写法不对", "not a mail address or user id")),
    ("no_smtputf8", Text("邮件服务器不支持中文邮箱", "the relay takes no international mailbox")),
    ("bad_text", Text("内容无法发送", "the text cannot be sent")),
    ("connect_timeout", Text("连接超时", "no connection in time")),
    ("timeout", Text("对方没有及时回答", "no answer in time")),
    ("cannot_connect", Text("连不上", "no connection")),
    ("closed", Text("对方断开连接", "the other side hung up")),
    ("certificate", Text("证书不被信任", "the certificate is not trusted")),
    ("ca_file", Text("证书文件读不了", "ca_file cannot be read")),
    ("smtp_535", Text("邮箱用户名或密码不对", "wrong username or password")),
    ("smtp_530", Text("邮件服务器要求登录", "the relay wants a login")),
    ("smtp_4", Text("邮件服务器暂不接收", "the relay does not take it now")),
    ("smtp_5", Text("邮件服务器拒收", "the relay refused it")),
    ("http_401", Text("网关账号或密钥不对", "wrong account or key")),
    ("http_403", Text("网关不允许", "the gateway does not allow it")),
    ("http_429", Text("发得太快", "too fast")),
    ("http_5", Text("网关出错", "the gateway has an error")),
    ("http_", Text("网关拒收", "the gateway refused it")),
    ("twilio_", Text("Twilio 拒收", "Twilio refused it")),
    ("wecom_45009", Text("企业微信调用太频繁", "WeCom was asked too often")),
    ("wecom_invaliduser", Text("企业微信里没有这个成员", "WeCom has no such member")),
    ("wecom_", Text("企业微信拒收", "WeCom refused it")),
    ("dingtalk_invalid_user", Text("钉钉里没有这个人", "DingTalk has no such person")),
    ("dingtalk_143105", Text("超过钉钉每人每天的条数", "as many as DingTalk lets one person have in a day")),
    ("dingtalk_", Text("钉钉拒收", "DingTalk refused it")),
    ("feishu_", Text("飞书拒收", "Feishu refused it")),
    ("too_many_to_one", Text("一分钟内给同一人或群的太多", "too many to one receiver in a minute")),
    ("apprise_failed", Text("Apprise 说没办成，可能已发出", "Apprise says no, perhaps sent")),
    ("malformed_answer", Text("看不懂对方的回答", "the answer is not understood")),
    ("not_run", Text("程序中断，可能已发出", "interrupted, perhaps sent")),
    ("crash", Text("程序中断，可能已发出", "interrupted, perhaps sent")),
    ("enospc", Text("磁盘已满", "the disk is full")),
    ("eacces", Text("目录不可写", "the directory cannot be written")),
)
SAYS_ALL = frozenset(
    {
        "in_doubt",
        "link_forbidden",
        "private_content",
        "over_budget:per_person",
        "over_budget:same_text",
        "over_budget:different_texts",
        "over_budget:total",
        "done",
        "paused",
        "withdrawn",
        "deadline_moved",
        "next_step_took_over",
        "no_address",
        "case_doubted",
        "transferred",
        "restricted",
        "refused",
    }
)
AGES = ((172_800, 86_400, "天", "d"), (3_600, 3_600, "小时", "h"), (60, 60, "分钟", "min"))  # from how many seconds on
_CODE = re.compile(r"[A-Za-z0-9_:]+")
_MILESTONE = re.compile(r"\b[a-z]+(?:_[a-z]+)*_at\b")
_BETWEEN_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")  # left over from a code
_KIND = re.compile(rf"\b(?:{'|'.join(KINDS)})\b")
_QUOTED_ID = re.compile(r"'([a-z][a-z0-9_]*)'")
_SUBJECT_KEY = re.compile(r"^([A-Za-z0-9][\w.-]*)(?= 同时是| 没有登记| is | has )", re.ASCII)
_HOLDER = re.compile(  # the units in the sentences about a clock handed over, or corrected to be another unit's
    r"(?<=已转出，).+?(?= 的时限终止)|(?<=: )\S.*?(?= handed it over at)"
    r"|(?<=承办单位更正为 ).+?(?=（原为 )|(?<=（原为 ).+?(?=）)"
    r"|(?<=The holder is ).+?(?=, not )|(?<=, not ).+?(?=: the ladder begins)"
)


class Names:
    """The titles of one configuration and the names of one directory."""

    def __init__(self, configuration: Configuration, directory: Directory, language: Language) -> None:
        self.language: Language = language
        self._zone = configuration.zone
        self._kinds = configuration.kinds
        self._directory = directory
        policies = configuration.policies.policies.values()
        self._policies = {policy.id: policy.title for policy in policies}
        self._limits = {(policy.id, limit.id): limit.title for policy in policies for limit in policy.limits}
        self._any_limit = {limit: title for (_, limit), title in self._limits.items()}
        self._roles = {role: title for policy in policies for role, title in policy.roles.items()}
        self._lights = {
            (policy.id, limit.id): policy.ladders[limit.ladder].lights.titles
            for policy in policies
            for limit in policy.limits
        }
        self._says = {
            (policy.id, limit.id, step.id): step.say
            for policy in policies
            for limit in policy.limits
            for step in policy.ladders[limit.ladder].steps
        }
        titles = "|".join(re.escape(title) for title in self._titles_before_a_key())
        self._after_a_title = re.compile(rf"(?:{titles}) ([A-Za-z0-9][\w.-]*)", re.ASCII)

    def _titles_before_a_key(self) -> Iterable[str]:
        yield from ("of unit", "units above", "单位")
        for title in ROLE_TITLES.values():
            yield from (title.zh, title.en)
        yield from self._roles.values()

    def say(self, zh: str, en: str) -> str:
        """One of the two."""
        return zh if self.language == "zh" else en

    def word(self, words: Mapping[str, Text], code: str) -> str:
        """What the table calls it; the code itself if the table does not know it."""
        text = words.get(code)
        return text.say(self.language) if text else code

    def instant(self, at: datetime | str | None) -> str:
        """`2026-10-08 24:00` on the office's clock; the last instant of a day is 24:00, none is a dash."""
        if not at:
            return "—"
        local = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(self._zone)
        return f"{local:%Y-%m-%d} 24:00" if local.time() == LAST_INSTANT else f"{local:%Y-%m-%d %H:%M}"

    def person(self, key: object) -> str:
        """The official's name."""
        official = self._directory.officials.get(str(key))
        return official.name if official else str(key or "—")

    def unit(self, key: object) -> str:
        """The unit's name."""
        unit = self._directory.units.get(str(key))
        return unit.name if unit else str(key or "—")

    def place(self, unit: object, official: object) -> str:
        """`市信访局办信科 承办人甲一`; what is not known is left out."""
        known = [self.unit(unit)] if unit else []
        known += [self.person(official)] if official else []
        return " ".join(known) or "—"

    def policy(self, policy: str) -> str:
        """The policy's title."""
        return self._policies.get(policy, policy)

    def limit(self, policy: str, limit: str) -> str:
        """The limit's title; a policy that is gone does not matter where the limit is known to another."""
        return self._limits.get((policy, limit)) or self._any_limit.get(limit, limit)

    def light(self, light: str, policy: str = "", limit: str = "") -> str:
        """What that limit's ladder calls the light; of several limits together, what all their ladders call it."""
        called = [self._lights[policy, limit]] if (policy, limit) in self._lights else list(self._lights.values())
        own = {titles.get(light, "") for titles in called}
        return (own.pop() if len(own) == 1 else "") or self.word(LIGHT_TITLES, light)

    def role(self, role: str) -> str:
        """What the role is called here; bound to a leg it says so: 属地主要负责人."""
        name, leg = split_leg(role)
        if leg is not None and leg in LEG_TITLES:
            return f"{self.word(LEG_TITLES, leg)}{self.say('', ' ')}{self.role(name)}"
        if role in ROLE_TITLES and self.language == "en":
            return ROLE_TITLES[role].en
        return self._roles.get(role) or self.word(ROLE_TITLES, role)

    def addressee(self, role: str, person: str, *, copy: bool = False) -> str:
        """`抄送督查专员 督查二`: in which role somebody gets a message, and who it is."""
        title, name = self.role(role), self.person(person)
        copied = self.say("抄送", "copy to ") if copy else ""
        return copied + (title if title == name else f"{title} {name}")

    def channel(self, name: str) -> str:
        """`短信`; with its own name behind it where an office has several of the kind."""
        kind = self._kinds.get(name, name)
        alone = list(self._kinds.values()).count(kind) <= 1
        word = self.word(KINDS, kind)
        return word if alone or name == kind else self.say(f"{word}（{name}）", f"{word} ({name})")

    def over(self, delivery: Delivery) -> str:
        """Over which channel it goes, and, where several share it, which provider had it last."""
        channel, provider = self.channel(delivery.notice.channel), delivery.provider
        return self.say(f"{channel}，经 {provider}", f"{channel} over {provider}") if provider else channel

    def channels(self, names: Iterable[str]) -> str:
        """Several, each once."""
        return self.say("、", ", ").join(dict.fromkeys(self.channel(name) for name in names))

    def step(self, policy: str, limit: str, rung: str) -> str:
        """A step in words: `urge#2` is the second return of the step `urge`."""
        step, _, returned = rung.partition("#")
        base, _, rest = step.partition(".")
        say = _DERIVED.get(rest) or _DERIVED.get(base) or self._says.get((policy, limit, base), base)
        title = self.word(STEP_TITLES, say) if say in STEP_TITLES else self.word(STEP_TITLES, base)
        if not returned.isdigit() or returned == "0":
            return title
        return title + self.say(f"（第{int(returned) + 1}次）", f" (no. {int(returned) + 1})")

    def step_of(self, notice: Notice) -> str:
        """The step a notice belongs to, in words."""
        return self.step(notice.policy, notice.limit, rung_of(notice))

    def milestone(self, name: str) -> str:
        """What a milestone is called."""
        return self.word(MILESTONES, name)

    def field(self, name: str) -> str:
        """What a field of a case is called."""
        return self.word(FIELDS, name)

    def value(self, value: Scalar) -> str:
        """A field's value."""
        if isinstance(value, bool):
            return self.say("是", "yes") if value else self.say("否", "no")
        return self.instant(value) if isinstance(value, datetime) else str(value if value is not None else "—")

    def entity(self, name: str) -> str:
        """What a section of the mapping is about."""
        return self.word(ENTITIES, name)

    def error(self, code: str) -> str:
        """An error or the reason of a cancellation, in words; the code behind it where it says more."""
        found = next((text for beginning, text in ERRORS if _is(beginning, code)), None)
        if found is None:
            return code
        words = found.say(self.language)
        return words if code in SAYS_ALL else self.say(f"{words}（{code}）", f"{words} ({code})")

    def problem(self, delivery: Delivery) -> str:
        """The delivery's error in words, or nothing."""
        return self.error(delivery.error) if delivery.error else ""

    def plain(self, sentence: str) -> str:
        """A recorded sentence with names in place of the codes of milestones, limits, units and officials."""
        told = _MILESTONE.sub(lambda found: self.milestone(found[0]), sentence)
        told = _QUOTED_ID.sub(
            lambda found: f"“{self._any_limit[found[1]]}”" if found[1] in self._any_limit else found[0], told
        )
        told = self._after_a_title.sub(self._named, told)
        told = _HOLDER.sub(lambda found: self.unit(found[0]), told)
        told = _KIND.sub(lambda found: self.word(KINDS, found[0]), told)
        told = _SUBJECT_KEY.sub(lambda found: self.person(found[1]), told)
        return _BETWEEN_CHINESE.sub("", told) if told != sentence else told

    def _named(self, found: re.Match[str]) -> str:
        key = found[1]
        name = self.person(key) if key in self._directory.officials else self.unit(key)
        return found[0].removesuffix(key) + name

    def ago(self, at: datetime | None, now: datetime) -> str:
        """`3 分钟前`; a dash for never."""
        if at is None:
            return "—"
        seconds = max(int((now - at).total_seconds()), 0)
        for least, size, zh, en in AGES:
            if seconds >= least:
                return self.say(f"{seconds // size} {zh}前", f"{seconds // size} {en} ago")
        return self.say(f"{seconds} 秒前", f"{seconds} s ago")


def rung_of(notice: Notice) -> str:
    """The notice's step with the number of its return, as ladders and lists of missed steps name it."""
    return f"{notice.step}#{notice.repeat}" if notice.repeat else notice.step


def rung_of_key(key: str) -> tuple[str, str]:
    """(limit, rung) as a notice key tells them; empty for a key of another shape."""
    parts = [unquote(part) for part in key.split("/")]
    if len(parts) != KEY_PARTS:
        return "", ""
    return parts[2], parts[5] if parts[6] in {"", "0"} else f"{parts[5]}#{parts[6]}"


def _is(beginning: str, code: str) -> bool:
    """Whether the code is of that sort; a reason some person wrote is no code."""
    if beginning in SAYS_ALL:
        return code == beginning
    return code.startswith(beginning) and _CODE.fullmatch(code) is not None


# steps no policy writes, by the part of their id that tells them apart -> what they say
_DERIVED = {UNACKNOWLEDGED: UNACKNOWLEDGED, UNACTED: UNACTED, RELEASE: RELEASE_WANTED, HANDBACK: SHIRKING}
