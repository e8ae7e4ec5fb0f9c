"""The ledger of one case as sentences: what `duban ledger show`, `duban explain` and the demo tell people."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from daemon.names import rung_of, rung_of_key
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from daemon.names import Names
    from daemon.store.values import LedgerRow
    from policies.model import Notice

SAID_BY_WHAT_WENT_OUT = frozenset({"due", "same_person"})
HELD = frozenset(
    {
        "missed",
        "acknowledged",
        "acted",
        "vacant",
        "unreachable",
        "same_person",
        "undelivered",
        "nobody",
        "restricted",
        "not_wanted",
        "skipped",
        "quiet",
        "gathered",
        "preference",
        "release",
        "recused",
        "delegated",
    }
)
SENT_KINDS: Mapping[str, Text] = {
    "sent": Text("已交付", "handed over"),
    "delivered": Text("已送达", "delivered"),
    "failed": Text("发送失败", "failed"),
    "retrying": Text("暂未发出，稍后重试", "not sent yet, will be tried again"),
    "in_doubt": Text("结果不明，待核实", "outcome unknown, to be asked"),
    "cancelled": Text("发出前取消", "cancelled before it went out"),
    "held": Text("等待核发", "awaits release"),
    "no_receipt": Text("没有等到回执，改走下一途径", "no receipt in time, another way is tried"),
    "read": Text("已读", "read"),
    "late_receipt": Text("回执迟到：其实已送达", "the receipt came late: it did arrive"),
}
STATES: Mapping[str, Text] = {
    "moved": Text("期限变动", "limit moved"),
    "done": Text("已完成", "done"),
    "paused": Text("中止", "paused"),
    "withdrawn": Text("不再计算", "withdrawn"),
    "open": Text("继续计算", "open again"),
}
ORDERS: Mapping[str, Text] = {
    "retry_ordered": Text("人工要求重发", "ordered to send again"),
    "cancel_ordered": Text("人工取消", "ordered to cancel"),
    "released": Text("已核发", "released"),
    "refused": Text("不予核发", "release refused"),
}
MOVEMENTS: Mapping[str, Text] = {
    "received": Text("收件", "received"),
    "signed_for": Text("签收", "signed for"),
    "accepted": Text("受理", "accepted"),
    "handed_over": Text("转办", "handed over"),
    "co_handling": Text("协办", "co-handling"),
    "handback_asked": Text("申请退回", "asked to hand it back"),
    "handback_agreed": Text("同意退回", "hand-back agreed"),
    "returned": Text("退回", "returned"),
    "closed": Text("办结", "closed"),
    "holder_changed": Text("没有流转记录，承办已变", "changed hands without a record"),
}
DUES: Mapping[str, Text] = {
    "legal": Text("超过法定期限", "passed its legal limit"),
    "platform": Text("超过平台期限", "passed the platform's limit"),
}
ACKNOWLEDGED_BY: Mapping[str, Text] = {
    "phone": Text("电话", "by telephone"),
    "paper": Text("纸质", "on paper"),
    "console": Text("系统录入", "at the console"),
    "link": Text("网页链接", "by link"),
    "reply": Text("短信回复", "by text message"),
    "mail": Text("邮件回复", "by mail"),
    "platform": Text("业务系统", "in the case system"),
}
GONE = Text("共享数据库里已没有这个案件，停止督办", "no longer in the shared database: nothing more is enforced")

_EVENT_OF = {
    "receive": "received",
    "sign": "signed_for",
    "accept": "accepted",
    "hand_over": "handed_over",
    "co_handle": "co_handling",
    "hand_back": "handback_asked",
    "return": "returned",
    "close": "closed",
}


class Line(NamedTuple):
    """One sentence of the story and the local time in front of it."""

    at: str
    sentence: str


class _About(NamedTuple):
    """Which notice a row speaks of."""

    limit: str
    step: str
    person: str
    channel: str


class Story:
    """Tells the rows of one case. `notices` are those of the case, by key: roles and copies stand there alone."""

    def __init__(self, names: Names, notices: Mapping[str, Notice]) -> None:
        self._names = names
        self._notices = notices

    def brief(self, rows: Sequence[LedgerRow]) -> list[Line]:
        """What happened, in order; what went out together is one sentence, and a decision is told by its messages."""
        lines: list[Line] = []
        minutes = groupby(rows, key=lambda row: (self._names.instant(row.at), row.kind in SENT_KINDS))
        for (minute, of_delivery), group in minutes:
            together = list(group)
            told = self._of_deliveries(together) if of_delivery else map(self._brief_sentence, together)
            lines += [Line(minute, sentence) for sentence in told if sentence]
        return lines

    def sentence(self, row: LedgerRow) -> str:
        """One row, whole: nothing it records is left to another row."""
        body = cast("Mapping[str, Any]", row.body)
        if row.kind in SENT_KINDS:
            return self._of_delivery(row.kind, body)
        if row.kind in ORDERS:
            return self._of_order(row.kind, body)
        if row.kind in {"decided", "fell_upward", "passed_on"}:
            return self._of_decision(body)
        return self._sentence(row.kind, body)

    def held(self, rows: Sequence[LedgerRow]) -> Iterator[tuple[LedgerRow, Mapping[str, Any]]]:
        """Every recorded reason why somebody got nothing, or another in his place, with its row."""
        for row in rows:
            body = cast("Mapping[str, Any]", row.body)
            if row.kind in {"decided", "fell_upward", "passed_on"}:
                yield from ((row, reason) for reason in body.get("reasons", ()) if reason.get("why") in HELD)

    def reason(self, reason: Mapping[str, Any]) -> str:
        """A recorded reason as a sentence."""
        return self._names.plain(str(reason.get(self._names.language, "")))

    # --- messages --------------------------------------------------------------------------------------

    def _of_deliveries(self, rows: Iterable[LedgerRow]) -> Iterator[str]:
        """One sentence per step and outcome: to whom, in which role, over which channels."""
        groups: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(dict)
        for row in rows:
            body = cast("Mapping[str, Any]", row.body)
            about = self._about(body)
            group = (about.limit, about.step, self._outcome(row.kind, body))
            groups[group].setdefault(about.person, []).append(about.channel)
        for (limit, step, outcome), to_whom in groups.items():
            yield self._told(limit, step, self._people(to_whom), outcome)

    def _of_delivery(self, kind: str, body: Mapping[str, Any]) -> str:
        about = self._about(body)
        to = self._people({about.person: [about.channel]})
        return self._told(about.limit, about.step, to, self._outcome(kind, body))

    def _told(self, limit: str, step: str, to: str, outcome: str) -> str:
        return self._names.say(f"“{limit}”{step} → {to}：{outcome}", f"“{limit}” {step} → {to}: {outcome}")

    def _of_order(self, kind: str, body: Mapping[str, Any]) -> str:
        about = self._about(body)
        to = self._people({about.person: [about.channel]})
        why = self._names.say(f"；理由：{body.get('reason', '')}", f"; reason: {body.get('reason', '')}")
        ordered = ORDERS[kind].say(self._names.language)
        if body.get("by"):
            ordered += self._names.say(f"（{body['by']}）", f" by {body['by']}")
        return self._names.say(
            f"{ordered}：“{about.limit}”{about.step} → {to}{why}",
            f"{ordered}: “{about.limit}” {about.step} → {to}{why}",
        )

    def _about(self, body: Mapping[str, Any]) -> _About:
        names, key = self._names, str(body.get("notice", ""))
        notice = self._notices.get(key)
        if notice is None:
            limit, rung = rung_of_key(key)
            person, channel = names.person(body.get("person")), str(body.get("channel", ""))
            return _About(names.limit("", limit), names.step("", limit, rung), person, names.channel(channel))
        return _About(
            names.limit(notice.policy, notice.limit),
            names.step(notice.policy, notice.limit, rung_of(notice)),
            self._names.addressee(notice.role, notice.person, copy=notice.copy),
            names.channel(notice.channel),
        )

    def _people(self, to_whom: Mapping[str, Sequence[str]]) -> str:
        between = self._names.say("、", ", ")
        shown = ((to, between.join(dict.fromkeys(channels))) for to, channels in to_whom.items())
        return between.join(self._names.say(f"{to}（{channels}）", f"{to} ({channels})") for to, channels in shown)

    def _outcome(self, kind: str, body: Mapping[str, Any]) -> str:
        text = SENT_KINDS[kind].say(self._names.language)
        notes = [self._names.error(str(body["error"]))] if body.get("error") else []
        if body.get("possible_duplicate"):
            notes.append(self._names.say("可能重复", "perhaps a duplicate"))
        if body.get("digest"):
            notes.append(self._names.say("汇总发出", "in a digest"))
        if body.get("may_wake"):
            notes.append(
                self._names.say(f"不受免打扰限制：{body['may_wake']}", f"passes quiet hours: {body['may_wake']}")
            )
        if not notes:
            return text
        told = self._names.say("，", ", ").join(notes)
        return self._names.say(f"{text}（{told}）", f"{text} ({told})")

    def planned(self, notices: Iterable[Notice]) -> Iterator[str]:
        """`“书面告知”催办 → 分管领导 …（邮件、短信）`: notices that are not in the outbox, a sentence per step."""
        groups: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(dict)
        for notice in notices:
            to = self._names.addressee(notice.role, notice.person, copy=notice.copy)
            step = self._names.step_of(notice)
            groups[self._names.limit(notice.policy, notice.limit), step].setdefault(to, []).append(
                self._names.channel(notice.channel)
            )
        for (_, step), to_whom in groups.items():
            yield f"{step} → {self._people(to_whom)}"

    # --- everything else -------------------------------------------------------------------------------

    def _brief_sentence(self, row: LedgerRow) -> str:
        body = cast("Mapping[str, Any]", row.body)
        if row.kind in {"decided", "fell_upward", "passed_on"}:
            return self._with_reasons("", body, SAID_BY_WHAT_WENT_OUT)
        return self._of_order(row.kind, body) if row.kind in ORDERS else self._sentence(row.kind, body)

    def _sentence(self, kind: str, body: Mapping[str, Any]) -> str:
        tellers = {
            "seen": self._of_first_sight,
            "counted": self._of_count,
            "finding": self.reason,
            "conflict": self._of_conflict,
            "postponed": self._of_postponement,
            "acknowledged": self._of_acknowledgement,
            "known": self._of_knowledge,
            "record_changed": self._of_changed_record,
            "repeats": self._of_repeat,
            "breached": self._of_breach,
            "corrected": self._of_correction,
        }
        if kind in MOVEMENTS:
            return self._of_movement(kind, body)
        if kind in tellers:
            return tellers[kind](body)
        return GONE.say(self._names.language) if kind == "gone" else self._of_state(kind, body)

    def _of_first_sight(self, body: Mapping[str, Any]) -> str:
        where = self._names.place(body.get("unit"), body.get("handler"))
        return self._names.say(f"首次读到案件，现在{where}", f"first seen, now with {where}")

    def _of_count(self, body: Mapping[str, Any]) -> str:
        names = self._names
        due, start = names.instant(body.get("legal_due_at")), names.instant(body.get("start_at"))
        title = f"“{self._title(body)}”"
        text = names.say(f"{title}自 {start} 起算，法定期限 {due}", f"{title} runs from {start}, legal limit {due}")
        platform = body.get("platform_due_at")
        if platform:
            text += names.say(f"，平台期限 {names.instant(platform)}", f", platform limit {names.instant(platform)}")
        for flag, zh, en in (("extended", "已延期", "extended"), ("provisional", "暂定", "provisional")):
            if body.get(flag):
                text += names.say(f"，{zh}", f", {en}")
        if body.get("done_at"):
            text += names.say(f"；{names.instant(body['done_at'])} 已完成", f"; done {names.instant(body['done_at'])}")
        return self._with_reasons(text + names.say("。", ". "), body).rstrip("。. ")

    def _of_decision(self, body: Mapping[str, Any]) -> str:
        """Whom it was decided to tell, and every reason that is more than that the moment had come."""
        groups: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for one in body.get("notices", ()):
            notice = self._notices.get(str(one.get("key")))
            to = self._names.addressee(str(one["role"]), str(one["person"]), copy=bool(notice and notice.copy))
            rung = rung_of_key(str(one.get("key", "")))[1] or str(one.get("step", ""))
            step = self._names.step(str(body.get("policy", "")), str(body.get("limit", "")), rung)
            groups[step].setdefault(to, []).append(self._names.channel(str(one["channel"])))
        told = [f"{step} → {self._people(to_whom)}" for step, to_whom in groups.items()]
        if told:
            sending = self._names.say("；", "; ").join(told)
            text = self._names.say(
                f"“{self._title(body)}”决定发{sending}。", f"“{self._title(body)}”: to send {sending}. "
            )
            return self._with_reasons(text, body, frozenset({"due"})).rstrip()
        return self._with_reasons("", body, frozenset({"due"}))

    def _of_state(self, kind: str, body: Mapping[str, Any]) -> str:
        state = STATES.get(kind)
        if state is None:
            return kind
        text = self._names.say(f"“{self._title(body)}”{state.zh}", f"“{self._title(body)}” {state.en}")
        if kind == "done" and body.get("done_at"):
            done = self._names.instant(body["done_at"])
            text += self._names.say(f"（{done}）", f" ({done})")
        return self._with_reasons(text + self._names.say("：", ": "), body).rstrip("： :")

    def _of_conflict(self, body: Mapping[str, Any]) -> str:
        frozen = self._names.place(body.get("frozen_unit"), body.get("frozen_official"))
        claimed = self._names.place(body.get("claimed_unit"), body.get("claimed_official"))
        return self._names.say(
            f"首办责任人仍为{frozen}；来源数据改称{claimed}，记为冲突",
            f"the first handler stays {frozen}; the source now names {claimed}: recorded as a conflict",
        )

    def _of_movement(self, kind: str, body: Mapping[str, Any]) -> str:
        names = self._names
        agreed = kind == "handback_agreed"
        at = names.instant(body.get("decided_at" if agreed else "at"))
        text = f"{MOVEMENTS[kind].say(names.language)}{names.say('：', ': ')}{at} {self._way(body)}"
        notes = [
            names.say(f"{zh}{body[key]}", f"{en} {body[key]}")
            for key, zh, en in (("reason", "理由：", "reason:"), ("approved_by", "批准：", "by"), ("document", "", ""))
            if body.get(key)
        ]
        return names.say("，", ", ").join((text, *(note.strip() for note in notes)))

    def _way(self, body: Mapping[str, Any]) -> str:
        source, target = body.get("from_unit"), self._names.place(body.get("to_unit"), body.get("to_official"))
        return f"{self._names.unit(source)} → {target}" if source else target

    def _of_changed_record(self, body: Mapping[str, Any]) -> str:
        was, now = body.get("was"), body.get("is")
        told = self._moved_line(cast("Mapping[str, Any]", was)) if was else "—"
        if not now:
            return self._names.say(f"流转记录被删除，原为：{told}", f"a line of the record vanished; it said: {told}")
        said = self._moved_line(cast("Mapping[str, Any]", now))
        return self._names.say(
            f"流转记录被改动，原为：{told}；现为：{said}", f"a line of the record was changed from: {told}; to: {said}"
        )

    def _moved_line(self, body: Mapping[str, Any]) -> str:
        return self._of_movement(_EVENT_OF.get(str(body.get("kind")), "handed_over"), body)

    def _of_repeat(self, body: Mapping[str, Any]) -> str:
        earlier, later = body.get("earlier"), body.get("later")
        return self._names.say(f"重复信访：{later} 重复 {earlier}", f"{later} repeats {earlier}")

    def _of_breach(self, body: Mapping[str, Any]) -> str:
        names = self._names
        due = DUES[str(body.get("due", "legal"))].say(names.language)
        held = names.place(body.get("unit"), body.get("official"))
        first = names.place(body.get("first_unit"), body.get("first_official"))
        at, title = names.instant(body.get("at")), f"“{body.get('title') or self._title(body)}”"
        return names.say(
            f"{title}{due} {at}，当时承办：{held}，首办：{first}",
            f"{title} {due} {at}; held then by {held}; first handler {first}",
        )

    def _of_correction(self, body: Mapping[str, Any]) -> str:
        names = self._names
        document = f"，{body['document']}" if body.get("document") else ""
        return names.say(
            f"更正超期记录 {body.get('breach')}（原记录保留）：{body.get('reason')}，"
            f"批准：{body.get('approved_by')}{document}",
            f"breach {body.get('breach')} corrected (it stays on record): {body.get('reason')}; "
            f"approved by {body.get('approved_by')}{document}",
        )

    def _of_acknowledgement(self, body: Mapping[str, Any]) -> str:
        names, how = self._names, ACKNOWLEDGED_BY.get(str(body.get("how")))
        person, at = names.person(body.get("person")), names.instant(body.get("at"))
        way = how.say(names.language) if how else str(body.get("how", ""))
        late = names.say("，逾时", ", late") if body.get("late") else ""
        return names.say(f"{person} 签收（{way}，{at}{late}）", f"acknowledged by {person} ({way}, {at}{late})")

    def _of_knowledge(self, body: Mapping[str, Any]) -> str:
        names, how = self._names, ACKNOWLEDGED_BY.get(str(body.get("how")))
        person, at = names.person(body.get("person")), names.instant(body.get("at"))
        way = how.say(names.language) if how else str(body.get("how", ""))
        return names.say(
            f"{person} 表示知悉案件（{way}，{at}）；当时消息还没有发到，不算签收",
            f"{person} said he knows of the case ({way}, {at}); he had been sent nothing yet: no acknowledgement",
        )

    def _of_postponement(self, body: Mapping[str, Any]) -> str:
        until, problem = self._names.instant(body.get("until")), body.get("problem", "")
        return self._names.say(
            f"“{self._title(body)}”暂时判断不了，{until} 再看：{problem}",
            f"“{self._title(body)}” cannot be decided now, looked at again {until}: {problem}",
        )

    def _with_reasons(self, text: str, body: Mapping[str, Any], unsaid: frozenset[str] = frozenset()) -> str:
        told = [reason for reason in body.get("reasons", ()) if reason.get("why") not in unsaid]
        sentences = dict.fromkeys(self.reason(reason) for reason in told)
        limit = ""
        if sentences and not text and body.get("limit"):
            limit = self._names.say(f"“{self._title(body)}”", f"“{self._title(body)}”: ")
        return text + limit + self._names.say("", " ").join(sentences)

    def _title(self, body: Mapping[str, Any]) -> str:
        return self._names.limit(str(body.get("policy", "")), str(body.get("limit", "")))
