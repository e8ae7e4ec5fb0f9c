"""What is told when the four weeks are over: who got how much, one case's whole story, and where everything lies."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, time
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from daemon.demo.life import SHOWCASE, ZONE
from daemon.demo.run import SENT, deliveries_after
from daemon.render import STEP_TITLES
from policies.chain import role_title
from policies.model import Directory
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

    from daemon.demo.configuration import DemoFolder
    from daemon.settings import Configuration
    from daemon.store import Store
    from daemon.store.values import Delivery, LedgerRow
    from policies.model import Notice
    from policies.text import Language


SAID_BY_WHAT_WENT_OUT = {"due", "same_person"}
SENT_KINDS = {
    "sent": Text("已交付", "handed over"),
    "delivered": Text("已送达", "delivered"),
    "failed": Text("发送失败", "failed"),
    "retrying": Text("暂未发出，稍后重试", "not sent yet, will be tried again"),
    "in_doubt": Text("结果不明，待核实", "outcome unknown, to be asked"),
    "cancelled": Text("发出前取消", "cancelled before it went out"),
}
STATES = {
    "moved": Text("期限变动", "limit moved"),
    "done": Text("已完成", "done"),
    "paused": Text("中止", "paused"),
    "withdrawn": Text("不再计算", "withdrawn"),
    "open": Text("继续计算", "open again"),
}
CANCELLED_BECAUSE = {
    "done": Text("已经完成", "it is done"),
    "withdrawn": Text("不再计算", "withdrawn"),
    "deadline_moved": Text("期限已变", "the limit moved"),
    "next_step_took_over": Text("下一梯级已接替", "the next step took over"),
}


class Report:
    """Tells about one store, in the reader's language."""

    def __init__(self, store: Store, configuration: Configuration, language: Language) -> None:
        self._store = store
        self._language: Language = language
        self._deliveries = list(deliveries_after(store))
        self._limits = {
            (policy.id, limit.id): limit.title
            for policy in configuration.policies.policies.values()
            for limit in policy.limits
        }
        self._titles = {limit: title for (_, limit), title in self._limits.items()}
        remembered = store.directory()
        self._directory = remembered[0] if remembered else Directory()
        self._notices = {delivery.notice.key: delivery.notice for delivery in self._deliveries}

    def show(self, console: Console, folder: DemoFolder) -> None:
        """All of it."""
        console.print(self.summary())
        console.print()
        console.rule(self._say("一个案件的全过程：", "the whole story of one case: ") + SHOWCASE)
        for line in self.story(self._store.ledger(SHOWCASE)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._show_places(console, folder)

    def summary(self) -> Table:
        """How many messages each role got over each channel, and what became of them."""
        table = Table(title=self._say("四周内的消息", "messages of the four weeks"), title_style="bold")
        for chinese, english in (("角色", "role"), ("通道", "channel")):
            table.add_column(self._say(chinese, english))
        for chinese, english in (("已发", "sent"), ("取消", "cancelled"), ("失败", "failed"), ("未决", "open")):
            table.add_column(self._say(chinese, english), justify="right")
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for delivery in self._deliveries:
            counts[delivery.notice.role, delivery.notice.channel][_outcome(delivery)] += 1
        for (role, channel), by_outcome in sorted(counts.items(), key=lambda each: (-each[1].total(), each[0])):
            numbers = (str(by_outcome[outcome] or "") for outcome in ("sent", "cancelled", "failed", "open"))
            table.add_row(role_title(role).say(self._language), self._channel(channel), *numbers)
        return table

    def story(self, rows: Sequence[LedgerRow]) -> list[str]:
        """The ledger of one case as sentences, each with its local time; what went out together is one sentence."""
        lines: list[str] = []
        for (minute, of_delivery), group in groupby(rows, key=lambda row: (_local(row.at), row.kind in SENT_KINDS)):
            together = list(group)
            told = self._of_deliveries(together) if of_delivery else map(self._sentence, together)
            lines += [f"{minute}  {sentence}" for sentence in told if sentence]
        return lines

    def _of_deliveries(self, rows: Iterable[LedgerRow]) -> Iterator[str]:
        """One sentence per step and outcome: to whom, in which role, over which channels."""
        groups: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(dict)
        for row in rows:
            body = cast("Mapping[str, Any]", row.body)
            notice = self._notices.get(str(body.get("notice")))
            if notice is None:
                continue
            group = (
                self._limits[notice.policy, notice.limit],
                self._step(notice),
                row.kind,
                str(body.get("error", "")),
            )
            copied = self._say("抄送", "copy to ") if notice.copy else ""
            to = f"{copied}{role_title(notice.role).say(self._language)} {self._person(notice.person)}"
            groups[group].setdefault(to, []).append(self._channel(notice.channel))
        for (limit, step, kind, error), to_whom in groups.items():
            people = "、".join(f"{to}（{'、'.join(channels)}）" for to, channels in to_whom.items())
            yield f"“{limit}”{step} → {people}：{self._outcome(kind, error)}"

    def _step(self, notice: Notice) -> str:
        title = STEP_TITLES.get(notice.say)
        return title.say(self._language) if title else notice.step

    def _channel(self, name: str) -> str:
        return self._say({"sms": "短信", "email": "邮件"}.get(name, name), name)

    def _outcome(self, kind: str, error: str) -> str:
        text = SENT_KINDS[kind].say(self._language)
        because = CANCELLED_BECAUSE.get(error)
        return f"{text}（{because.say(self._language) if because else error}）" if error else text

    def _sentence(self, row: LedgerRow) -> str:
        body = cast("Mapping[str, Any]", row.body)
        match row.kind:
            case "seen":
                return self._of_first_sight(body)
            case "counted":
                return self._of_count(body)
            case "decided" | "fell_upward":
                return self._with_reasons("", body)
            case "finding":
                return str(body.get(self._language, ""))
            case "conflict":
                return self._of_conflict(body)
            case kind:
                return self._of_state(kind, body)

    def _of_first_sight(self, body: Mapping[str, Any]) -> str:
        where = f"{self._unit(body.get('unit'))} {self._person(body.get('handler'))}"
        return self._say(f"首次读到案件，现在{where}", f"first seen, now with {where}")

    def _of_count(self, body: Mapping[str, Any]) -> str:
        due = _local_text(body.get("legal_due_at"))
        text = self._say(f"“{self._title(body)}”起算，法定期限 {due}", f"{self._title(body)} runs, legal limit {due}")
        platform = body.get("platform_due_at")
        if platform:
            text += self._say(f"，平台期限 {_local_text(platform)}", f", platform limit {_local_text(platform)}")
        return text

    def _of_state(self, kind: str, body: Mapping[str, Any]) -> str:
        state = STATES.get(kind)
        text = f"“{self._title(body)}”{state.say(self._language)}" if state else kind
        return self._with_reasons(text + self._say("：", ": "), body).rstrip("： :")

    def _of_conflict(self, body: Mapping[str, Any]) -> str:
        frozen, claimed = self._person(body.get("frozen_official")), self._person(body.get("claimed_official"))
        return self._say(
            f"首办责任人仍为{frozen}；来源数据改称{claimed}，记为冲突",
            f"the first handler stays {frozen}; the source now names {claimed}: recorded as a conflict",
        )

    def _with_reasons(self, text: str, body: Mapping[str, Any]) -> str:
        told = [reason for reason in body.get("reasons", ()) if reason.get("why") not in SAID_BY_WHAT_WENT_OUT]
        sentences = dict.fromkeys(str(reason.get(self._language, "")) for reason in told)
        limit = f"“{self._title(body)}”" if sentences and not text and body.get("limit") else ""
        return text + limit + self._say("", " ").join(sentences)

    def _show_places(self, console: Console, folder: DemoFolder) -> None:
        sent = Counter(delivery.notice.channel for delivery in self._deliveries if delivery.state in SENT)
        console.print()
        console.rule(self._say("都在这里", "where everything is"))
        for words, place in (
            (Text(f"邮件 {sent['email']} 封（.eml，可直接打开）", f"{sent['email']} mails (.eml)"), folder.mails),
            (Text(f"短信 {sent['sms']} 条", f"{sent['sms']} texts"), folder.texts / "texts.jsonl"),
            (Text("共享数据库（样本）", "the shared database (sample)"), folder.shared_database),
            (Text("duban 自己的库", "duban's own store"), folder.store),
            (Text("日志", "log"), folder.log),
            (Text("配置", "configuration"), folder.configuration.parent),
        ):
            console.print(f"  {words.say(self._language)}: {place}", highlight=False, markup=False, soft_wrap=True)
        console.print("\n" + self._say("接着可以试试：", "what to try next:"))
        for command in (f"explain {SHOWCASE}", "ledger verify", "outbox list", "check", "status"):
            line = f"  duban {command} -c {folder.configuration}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        note = self._say(
            "（演示的时间停在 2026年10月12日，所以 status 会说守护进程没有在运行。）",
            "(the demo's time stopped on 12 October 2026, so status will say that the daemon is not running)",
        )
        console.print(note, highlight=False, markup=False, soft_wrap=True)

    def _say(self, chinese: str, english: str) -> str:
        return chinese if self._language == "zh" else english

    def _title(self, body: Mapping[str, Any]) -> str:
        limit = str(body.get("limit", ""))
        return self._limits.get((str(body.get("policy", "")), limit)) or self._titles.get(limit, limit)

    def _person(self, key: object) -> str:
        official = self._directory.officials.get(str(key))
        return official.name if official else str(key or "—")

    def _unit(self, key: object) -> str:
        unit = self._directory.units.get(str(key))
        return unit.name if unit else str(key or "—")


def _outcome(delivery: Delivery) -> str:
    if delivery.state in SENT:
        return "sent"
    state = delivery.state.value
    return state if state in {"cancelled", "failed"} else "open"


def _local(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%m-%d %H:%M}"


def _local_text(written: object) -> str:
    """A limit on the office's clock; the last instant of a day is 24:00."""
    if not written:
        return "—"
    at = datetime.fromisoformat(str(written)).astimezone(ZONE)
    return f"{at:%m-%d} 24:00" if at.time() == time.max else f"{at:%m-%d %H:%M}"
