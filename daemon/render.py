"""Notice and recipient -> the words of a message, by Jinja2 templates an administrator may edit.

A template is looked for in the folder of the ladder, then in `standard/`:
`<say>.sms.txt`, `<say>.email.txt` (first line the subject, an empty line, the text) and beside it, if wanted,
`<say>.email.html`.
Other kinds of address (`wecom`, `dingtalk` …) may have words of their own, `<say>.<kind>.txt`, with or without a
subject line; else they have those of text messages, and for digests, or where there are none, those of mails.
For English, both folders are first looked for under `en/`.

RenderError             this one message cannot be written: file, line and reason; the others go on
├── PrivateContent      a text message would have carried an identity number or a mobile number
└── LinkForbidden       a text for a channel that takes no links holds one
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import lru_cache, partial
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from channels.base import PARAMETERS, Message
from channels.wire.sms import PART_UNITS, sms_parts
from daemon.medium import Medium
from daemon.offers import ANSWERS, NO_OFFER, NOTHING_OFFERED, Offer, Offers, offers_of
from daemon.privacy import identifies
from daemon.samples import (
    SAMPLE_ANSWERS,
    SAMPLE_NOTICE,
    SAMPLE_OFFER,
    SAMPLE_OFFICIAL,
    digesting,
    sample_facts,
    sample_official,
    samples,
    uses,
)
from daemon.titles import (
    ANSWER,
    COLOURS,
    DIGEST,
    DOCUMENT_TITLES,
    DUPLICATE_MARK,
    ENGLISH,
    LIGHT_TITLES,
    OWN_COLOURS,
    ROLE_TITLES,
    STANDARD,
    STEP_TITLES,
    UNACKNOWLEDGED,
    UNACTED,
)
from daemon.wording import link_in, reword
from policies.model import Notice, Official, Why
from policies.spelling import did_you_mean
from policies.text import Language, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from daemon.settings import Configuration
    from policies.model import Policy, PolicySet

PARTS_WITHOUT_WARNING = 2

LAST_MOMENT = time(23, 59, 59)  # 24:00 is stored as the last instant of the day (民法典 203(2))
DOERS = frozenset({"first_handler", "handler"})
SUBJECT_WORDS = ("主题:", "主题：", "Subject:")
WEEKDAYS_ZH = "一二三四五六日"
WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Every fact a notice may carry: one that is not there is None, any other word in a template is a mistake.
FACTS = (
    "case",
    "limit",
    "limit_title",
    "basis",
    "policy_title",
    "nominal_due",
    "legal_due",
    "platform_due",
    "due_at",
    "due_day",
    "days_left",
    "overdue_days",
    "light",
    "light_title",
    "provisional",
    "start_at",
    "first_handler_name",
    "first_handler_unit",
    "handler_name",
    "unit_name",
    "role",
    "role_title",
    "step",
    "issue",
    "missed_count",
    "extended",
    "ladder",
    "instead_of",
    "instead_of_title",
    "stands_in_for_name",
    "awaits_name",
    "awaits_title",
    "handbacks",
    "handbacks_allowed",
)
NO_FACTS: dict[str, Any] = dict.fromkeys(FACTS)


class RenderError(Exception):
    """This message cannot be written; `message` names the template file, the line and the reason."""

    def __init__(self, message: Text) -> None:
        super().__init__(message.en)
        self.message = message


class PrivateContent(RenderError):
    """The text would have carried an identity number or a mobile number; the value is not repeated here."""


class LinkForbidden(RenderError):
    """The text holds a link, and its channel takes none; `message` names template and link."""


class _Words(NamedTuple):
    """The compiled templates of one `say` for one kind of channel; `kind` is the one they were written for."""

    text: Template
    html: Template | None
    kind: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a limit stands, in words: how much is left, or by how much which limit has passed."""

    name: str  # ahead | today | platform_passed | overdue
    left: str
    deadline: str  # the date and what is left, in one phrase


def without_mark(message: Message) -> tuple[str, str]:
    """Subject and text as they were without the mark of a possible duplicate."""
    subject, text = message.subject, message.text
    for mark in (DUPLICATE_MARK.zh, DUPLICATE_MARK.en):
        subject, text = subject.replace(mark, ""), text.replace(mark, "")
    return subject.strip(), text.strip()


def refuse_private(text: str, *case_keys: str) -> None:
    """Let a text message or a subject pass only if it holds no identity number and no mobile number.

    The case numbers are the one identifier allowed and are left out of the search.

    Raises:
        PrivateContent: without the value.
    """
    what = identifies(text, case_keys)
    if what is not None:
        raise PrivateContent(
            Text(
                f"短信或邮件主题中出现疑似{what.zh}，已拦截。请检查模板与字段映射。",
                f"text message or subject seem to hold {what.en}; it was stopped. Check template and mapping.",
            )
        )


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox; what every template sees is kept as a plain dictionary, which is copied for every message."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """What a template sees beside its context; Jinja2's own layered map takes ten times as long to copy."""
        return {**self.globals, **(d or {})}


class Renderer:
    """Writes messages from one folder of templates, compiled at first use and kept.

    `signature` is the registered sender of text messages, with or without 【】. Values are made single-line before
    a template sees them, so that none can add a header to a mail; in HTML they are escaped.
    """

    def __init__(
        self,
        templates: Path,
        office_name: str,
        signature: str,
        zone: ZoneInfo,
        language: Language,
        offers: Offers = NOTHING_OFFERED,
    ) -> None:
        self.offers = offers
        self._folder = templates
        self._office = office_name
        bare = signature.strip().strip("【】")
        self._signature = f"【{bare}】" if bare else ""
        self._zone = zone
        self._language: Language = language
        self._words: dict[tuple[str, str, str], _Words] = {}
        self._environment = _Environment(
            loader=FileSystemLoader(templates),
            undefined=StrictUndefined,
            autoescape=_is_html,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            extensions=[],
        )

    def render(
        self,
        notice: Notice,
        official: Official,
        channel_kind: str,
        *,
        possible_duplicate: bool = False,
        as_of: datetime | None = None,
        decided_at: datetime | None = None,
        offer: Offer = NO_OFFER,
        medium: Medium | None = None,
    ) -> Message:
        """The message of that notice to that official over that kind of channel (`sms`, `email`).

        `as_of` is when the facts were last read, given only while the shared database is away. `decided_at` is when
        the notice was decided, later than `notice.at` if its step was missed; left out, it is `notice.at`. Never the
        present: writing the message again gives the same bytes. `offer` is how it may be acknowledged. `medium` is
        what its channel lets through; left out, the text stays as it was written.

        Raises:
            RenderError: no template, a mistake in it, or no address of that kind.
            PrivateContent: a text message that may not leave the house.
            LinkForbidden: it holds a link that the channel does not take.
        """
        address = _address(official, channel_kind)
        ladder = notice.facts.get("ladder")
        words = self._find(ladder if isinstance(ladder, str) else STANDARD, notice.say, channel_kind)
        decided_at = decided_at or notice.at
        context = self._context(notice, official, decided_at, possible_duplicate=possible_duplicate, as_of=as_of)
        context.update(_ways_to_acknowledge(offer), links=_takes_links(medium, channel_kind))
        subject, text, html = self._written(words, channel_kind, context, notice.case_key, offer.link)
        message = Message(
            key=notice.key,
            to=address,
            text=text,
            at=decided_at,
            to_name=context["to_name"],
            subject=subject,
            html=html,
            possible_duplicate=possible_duplicate,
            params=_parameters(context),
            say=notice.say,
        )
        return self._let_through(medium, channel_kind, words, message, offer, notice.case_key)

    def digest(
        self,
        notices: Sequence[tuple[Notice, datetime]],
        official: Official,
        channel_kind: str,
        *,
        key: str,
        possible_duplicate: bool = False,
        as_of: datetime | None = None,
        offer: Offer = NO_OFFER,
        medium: Medium | None = None,
    ) -> Message:
        """One message (汇总) for several notices to that official, each with the instant it was decided.

        Sorted by the legal limit, the most urgent first, what is only for information last. `key` is the message's
        own. Raises as `render` does.
        """
        address = _address(official, channel_kind)
        ordered = sorted(notices, key=lambda one: (one[0].copy, _legal_end(one[0]), one[0].case_key, one[0].key))
        decided_at = max(at for _, at in notices)
        items = [
            self._context(notice, official, at, possible_duplicate=possible_duplicate, as_of=as_of)
            for notice, at in ordered
        ]
        said = [
            SimpleNamespace(**item, number=number) for number, item in enumerate(items, 1)
        ]  # `item.copy` of a dictionary would be its method
        context: dict[str, Any] = {
            **items[0],
            "items": said,
            "groups": _by_deadline(said),
            "first": said[0],
            "count": len(items),
            "more": len(items) - 1,
            **_ways_to_acknowledge(offer),
            "links": _takes_links(medium, channel_kind),
        }
        context["sent_at"] = self._sent_at(decided_at)
        context["copy"], context["copy_mark"] = False, ""  # of single notices; each of them says so itself
        context["marks"] = context["as_of_note"] + context["duplicate_mark"]
        context["subject_mark"] = self._subject_mark("", context["duplicate_mark"])
        words = self._find(STANDARD, DIGEST, channel_kind)
        case_keys = [notice.case_key for notice, _ in notices]
        subject, text, html = self._written(words, channel_kind, context, *case_keys, offer.link)
        message = Message(
            key=key,
            to=address,
            text=text,
            at=decided_at,
            to_name=context["to_name"],
            subject=subject,
            html=html,
            possible_duplicate=possible_duplicate,
            params={**_parameters(context), "count": str(len(items))},
            say=DIGEST,
        )
        return self._let_through(medium, channel_kind, words, message, offer, *case_keys)

    def _let_through(
        self, medium: Medium | None, kind: str, written: _Words, message: Message, offer: Offer, *case_keys: str
    ) -> Message:
        """The message in the words its channel lets through; not in the signature, a number, the link or the code."""
        if medium is None:
            return message
        if medium.words:
            keep = (self._signature, offer.link, offer.code, *case_keys)
            say = partial(reword, words=medium.words, keep=keep)
            params = {name: value if name == "case" else say(value) for name, value in message.params.items()}
            html = say(message.html) if message.html else ""
            message = replace(message, subject=say(message.subject), text=say(message.text), html=html, params=params)
        if not medium.takes_links(kind):
            link = link_in(f"{message.subject} {message.text}", (self._signature, *case_keys))
            if link is not None:
                file = self._folder / str(written.text.name)
                raise LinkForbidden(
                    Text(
                        f"{file}: 该通道不许带链接，而消息里有 {link}。请写成 {{% if links %}}…{{% endif %}} 或删去。",
                        f"{file}: the channel takes no links and the message holds {link}. "
                        "Write {% if links %}…{% endif %} around it, or take it out.",
                    )
                )
        return message

    def words(self, notice: Notice, decided_at: datetime) -> Mapping[str, Any]:
        """The words its templates may use, for a page that shows what was sent; without a name."""
        nobody = Official(notice.person, "")
        return self._context(notice, nobody, decided_at, possible_duplicate=False, as_of=None)

    def _written(self, words: _Words, kind: str, context: Mapping[str, Any], *case_keys: str) -> tuple[str, str, str]:
        """Subject, text and HTML; no identity number and no mobile number in a text message or a subject."""
        text = self._fill(words.text, context)
        if words.kind == "sms":
            text = " ".join(text.split("\n")).strip() + context["marks"]
            refuse_private(text, *case_keys)
            return "", text, ""
        if words.kind != "email" and not text.lstrip().startswith(SUBJECT_WORDS):
            text = text.strip() + context["marks"]
            refuse_private(text, *case_keys)
            return "", text, ""
        subject, text = self._split(words.text, text)
        subject = context["subject_mark"] + subject
        refuse_private(subject, *case_keys)
        if kind != "email":  # it goes through a provider, as a text message does
            refuse_private(text, *case_keys)
            return subject, text.rstrip(), ""
        return subject, text, self._fill(words.html, context) if words.html else ""

    def check(self, policies: PolicySet) -> list[Text]:
        """Every mistake in the templates the policies use: missing, not to be rendered, or too long for a text message.

        Every `say` of every step is tried for each kind of channel with made-up facts in every state of a limit; and
        so is what a policy says beside its steps: the digest, the text without content, the one about hand-backs; and
        what is answered to who writes back.
        """
        problems: dict[Text, None] = {}
        for policy, ladder, say, kind in uses(policies):
            try:
                self._try(policy, ladder, say, kind)
            except RenderError as error:
                problems[error.message] = None
            else:
                problems.update(dict.fromkeys(self._too_long(policy, ladder, say, kind)))
        for policy, kind in digesting(policies):
            try:
                self._try_digest(policy, kind)
            except RenderError as error:
                problems[error.message] = None
        for kind in sorted(self.offers.answering):
            problems.update(dict.fromkeys(self._answers_wrong(kind)))
        return list(problems)

    def _answers_wrong(self, kind: str) -> Iterator[Text]:
        for word in ANSWERS:
            for made_up in SAMPLE_ANSWERS:
                say = f"answer_{word}"
                facts = {**sample_facts("书面告知", STANDARD), **made_up}
                try:
                    self.render(replace(SAMPLE_NOTICE, say=say, facts=facts), sample_official(kind), kind)
                except RenderError as error:
                    yield error.message

    def _try_digest(self, policy: Policy, kind: str) -> None:
        for ladder in policy.ladders:
            several = [(notice, notice.at) for notice in samples(policy, ladder, DIGEST)]
            for number, marked in ((1, True), (len(several), False)):
                as_of = SAMPLE_NOTICE.at if marked else None
                self.digest(
                    several[:number],
                    sample_official(kind),
                    kind,
                    key=DIGEST,
                    possible_duplicate=marked,
                    as_of=as_of,
                    offer=SAMPLE_OFFER if marked else NO_OFFER,
                )

    def _try(self, policy: Policy, ladder: str, say: str, kind: str) -> None:
        for notice in samples(policy, ladder, say):
            for marked in (False, True):
                self.render(
                    notice,
                    sample_official(kind),
                    kind,
                    possible_duplicate=marked,
                    as_of=notice.at if marked else None,
                    offer=SAMPLE_OFFER if marked else NO_OFFER,
                )

    def _too_long(self, policy: Policy, ladder: str, say: str, kind: str) -> Iterator[Text]:
        if kind != "sms":
            return
        worst = max(sms_parts(self.render(each, SAMPLE_OFFICIAL, kind).text) for each in samples(policy, ladder, say))
        if worst > PARTS_WITHOUT_WARNING:
            file = self._find(ladder, say, kind).text.name
            yield Text(
                f"{file}: 短信过长，要分 {worst} 条发送（每条 {PART_UNITS} 字），请缩短模板，或时限、策略的名称。",
                f"{file}: the text message is long: {worst} parts of {PART_UNITS} characters; "
                "shorten it, or the titles in the policy",
            )

    def _find(self, ladder: str, say: str, kind: str) -> _Words:
        """The compiled templates; the ladder's own folder wins over `standard/`."""
        known = self._words.get((ladder, say, kind))
        if known is None:
            known = self._words[ladder, say, kind] = self._compile(ladder, say, kind)
        return known

    def _compile(self, ladder: str, say: str, kind: str) -> _Words:
        folders = [ladder, STANDARD] if ladder != STANDARD else [STANDARD]
        if self._language == "en":
            folders = [f"{ENGLISH}/{folder}" for folder in folders] + folders
        for written in _written_for(kind, say):
            for folder in folders:
                text = self._load(f"{folder}/{say}.{written}.txt")
                if text is not None:
                    html = self._load(f"{folder}/{say}.{written}.html") if kind == "email" else None
                    return _Words(text, html, written)
        raise self._missing(folders, say, kind)

    def _missing(self, folders: Sequence[str], say: str, kind: str) -> RenderError:
        """That no folder has these words, and which of those they have were probably meant."""
        tried = [f"{folder}/{say}.{kind}.txt" for folder in folders]
        there = (name.rpartition("/") for name in self._environment.list_templates(["txt"]))
        files = (name.split(".") for folder, _, name in there if folder in folders)
        known = {name for name, *written, _ in files if written and written[0] in _written_for(kind, name)}
        known = {name for name in known if not name.startswith(ANSWER)}
        meant = did_you_mean(say, known)
        others = Text(
            "请新建" + ("其中一个" if len(tried) > 1 else ""), "write " + ("one of them" if tried[1:] else "it")
        )
        if meant is not None:
            others = Text(f"是不是想写 say: {meant}？", f"did you mean say: {meant}?")
        elif known:
            others += Text(f"，或改用已有的 {'、'.join(sorted(known))}", f", or use one of {', '.join(sorted(known))}")
        return RenderError(
            Text(
                f"{self._folder}: 没有模板 {'、'.join(tried)}，{others.zh}",
                f"{self._folder}: no template {' or '.join(tried)}; {others.en}",
            )
        )

    def _load(self, name: str) -> Template | None:
        try:
            return self._environment.get_template(name)
        except TemplateNotFound as error:
            if error.name == name:
                return None
            raise self._wrong(name, None, error) from error
        except TemplateSyntaxError as error:
            raise self._wrong(error.name or name, error.lineno, error) from error
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(name, None, error) from error

    def _fill(self, template: Template, context: Mapping[str, object]) -> str:
        try:
            return template.render(context)
        except TemplateSyntaxError as error:
            raise self._wrong(error.name or str(template.name), error.lineno, error) from error
        except Exception as error:  # a template is the administrator's program: anything may come out of it
            file, line = self._place(error, str(template.name))
            raise self._wrong(file, line, error) from error

    def _place(self, error: Exception, otherwise: str) -> tuple[str, int | None]:
        """The innermost template line an error passed through (Jinja2 keeps template lines in tracebacks)."""
        root = str(self._folder)
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith(root):
                return frame.filename[len(root) :].lstrip("/"), frame.lineno
        return otherwise, None

    def _wrong(self, name: str, line: int | None, error: Exception) -> RenderError:
        where = f"{self._folder / name}:{line}" if line else str(self._folder / name)
        return RenderError(Text(f"{where}: 模板有误：{error}", f"{where}: mistake in the template: {error}"))

    def _split(self, template: Template, mail: str) -> tuple[str, str]:
        """Subject and text of a mail template."""
        first, _, rest = mail.lstrip("\n").partition("\n")
        for word in SUBJECT_WORDS:
            if first.startswith(word):
                return _single_line(first[len(word) :]).strip(), rest.lstrip("\n")
        raise self._wrong(
            str(template.name), 1, ValueError("第一行应为“主题: …” / the first line must be 'Subject: …'")
        )

    def _context(
        self,
        notice: Notice,
        official: Official,
        decided_at: datetime,
        *,
        possible_duplicate: bool,
        as_of: datetime | None,
    ) -> dict[str, Any]:
        """All words a template may use: the facts, and what is said of them in the reader's language."""
        language = self._language
        context = NO_FACTS.copy()
        for name, value in notice.facts.items():
            context[name] = _single_line(value) if isinstance(value, str) else value
        now = decided_at.astimezone(self._zone)
        due_at = self._instant(context["due_at"]) or now
        legal_at = self._instant(context["legal_due"]) or due_at
        platform_at = self._instant(context["platform_due"])
        standing = self._standing(context, now, due_at, legal_at)
        role = context["role"] or notice.role
        role_title = _role_title(role, context["role_title"], language)
        light = str(context["light"] or "green")
        mark = provisional_mark(language) if context["provisional"] else ""
        copy_mark = _either(language, "〔抄送〕", "[copy] ") if notice.copy else ""
        duplicate_mark = DUPLICATE_MARK.say(language) if possible_duplicate else ""
        as_of_note = self._as_of(as_of)
        context.update(
            office=self._office,
            signature=self._signature,
            to_name=_single_line(official.name),
            case=context["case"] or _single_line(notice.case_key),
            stage=context["limit_title"] or notice.limit,
            role=role,
            role_title=role_title,
            about=_say(STEP_TITLES, notice.say, language),
            doer=role in DOERS,
            copy=notice.copy,
            repeat=notice.repeat,
            light=light,
            light_title=context["light_title"] or _say(LIGHT_TITLES, light, language),
            colour=_colour(light, context["light_title"]),
            standing=standing.name,
            left=standing.left,
            deadline=standing.deadline,
            due=self._day(due_at) + mark,
            due_plain=self._day(due_at),
            due_weekday=_weekday(due_at, language),
            due_full=self._full(due_at) + mark,
            legal_due_full=self._full(legal_at),
            platform_due_full=self._full(platform_at) if platform_at else "",
            two_limits=platform_at is not None and platform_at.date() != legal_at.date(),
            started=self._full(self._instant(context["start_at"])),
            document=_say(DOCUMENT_TITLES, context["issue"], language) if context["issue"] else "",
            missed=[_rung(name, language) for name in notice.missed],
            caught_up=notice.why is Why.CAUGHT_UP,
            fell_upward=notice.why in FALLEN,
            sent_at=self._sent_at(decided_at),
            as_of_note=as_of_note,
            duplicate_mark=duplicate_mark,
            copy_mark=copy_mark,
            marks=(copy_mark.strip() if language == "zh" else "") + as_of_note + duplicate_mark,
            subject_mark=self._subject_mark(copy_mark, duplicate_mark),
        )
        return context

    def _sent_at(self, at: datetime) -> str:
        now = at.astimezone(self._zone)
        return self._full(now) + f" {now:%H:%M}"

    def _subject_mark(self, copy_mark: str, duplicate_mark: str) -> str:
        return copy_mark + (duplicate_mark + " " if duplicate_mark and self._language == "en" else duplicate_mark)

    def _standing(self, facts: Mapping[str, Any], now: datetime, due_at: datetime, legal_at: datetime) -> _Standing:
        """How much is left, in the words that are true: `超期` is said only once the legal limit has passed."""
        say = self._language
        mark = provisional_mark(say) if facts["provisional"] else ""
        due = self._day(due_at) + mark
        if _is_overdue(facts, now, legal_at):
            return self._overdue(facts, now, due_at, legal_at, mark)
        if now > due_at or facts["light"] == "red":
            legal = self._day(legal_at) + mark
            left = _either(say, f"已过平台期限，法定期限{legal}", f"platform limit passed, legal limit {legal}")
            deadline = _either(
                say, f"平台期限{due}已过，法定期限{legal}", f"platform limit {due} passed, legal limit {legal}"
            )
            return _Standing("platform_passed", left, deadline)
        if now.date() == due_at.date():
            return _Standing(
                "today", _either(say, "今日到期", "due today"), _either(say, f"今日（{due}）到期", f"due today, {due}")
            )
        left = self._left(facts["days_left"], (due_at.date() - now.date()).days)
        return _Standing("ahead", left, _either(say, f"{due}到期，{left}", f"due {due}, {left}"))

    def _overdue(
        self, facts: Mapping[str, Any], now: datetime, due_at: datetime, legal_at: datetime, mark: str
    ) -> _Standing:
        say = self._language
        amount = _passed(facts, now, legal_at, say)
        left = _either(say, f"已超期{amount}", f"overdue{amount and ' by '}{amount}")
        legal = self._day(legal_at) + mark
        if due_at.date() == legal_at.date():
            return _Standing("overdue", left, _either(say, f"{legal}到期，{left}", f"due {legal}, {left}"))
        return _Standing("overdue", left, _either(say, f"法定期限{legal}，{left}", f"legal limit {legal}, {left}"))

    def _left(self, working: object, days: int) -> str:
        if isinstance(working, int) and working > 0:
            return _either(self._language, f"余{working}个工作日", f"{working} working day(s) left")
        return _either(self._language, f"余{days}天，期间无工作日", f"{days} day(s) left, none a working day")

    def _instant(self, value: object) -> datetime | None:
        """A fact that is an ISO date or instant, as an instant of the office; a date means its end."""
        if isinstance(value, datetime):
            return value.astimezone(self._zone)
        return _instant_of(value, self._zone) if isinstance(value, str) and value else None

    def _day(self, at: datetime) -> str:
        """`10月8日`, with the time if the limit does not end with the day."""
        clock = "" if at.time() >= LAST_MOMENT else f"{at.hour:02}:{at.minute:02}"
        if self._language == "zh":
            return f"{at.month}月{at.day}日{clock}"
        return f"{at.day} {MONTHS_EN[at.month - 1]}{clock and ' '}{clock}"

    def _full(self, at: datetime | None) -> str:
        """`2026年10月8日（周四）`."""
        if at is None:
            return ""
        if self._language == "zh":
            return f"{at.year}年{at.month}月{at.day}日（{_weekday(at, 'zh')}）"
        return f"{_weekday(at, 'en')} {at.day} {MONTHS_EN[at.month - 1]} {at.year}"

    def _as_of(self, as_of: datetime | None) -> str:
        if as_of is None:
            return ""
        at = as_of.astimezone(self._zone)
        if self._language == "zh":
            return f"（数据截至{at.month}月{at.day}日{at:%H:%M}）"
        return f" (as of {at.day} {MONTHS_EN[at.month - 1]} {at:%H:%M})"


def _takes_links(medium: Medium | None, kind: str) -> bool:
    """What a template sees as `links`: whether it may show one."""
    return (medium or Medium()).takes_links(kind)


def _parameters(context: Mapping[str, Any]) -> dict[str, str]:
    """The structured values of a message, by which providers fill approved templates."""
    found: dict[str, str] = {name: context[name] for name in PARAMETERS if name != "code"}
    found["code"] = context.get("answer_code") or context["ack_code"]
    return {**found, "count": str(context["answer_count"])} if "answer_count" in context else found


def _ways_to_acknowledge(offer: Offer) -> dict[str, Any]:
    return {"ack_link": offer.link, "ack_code": offer.code, "ack_reply": offer.reply}


def _by_deadline(said: Sequence[SimpleNamespace]) -> list[SimpleNamespace]:
    """The cases of a digest under the deadline they share, in their order; those for information apart."""
    return [
        SimpleNamespace(
            deadline=cases[0].deadline,
            light_title=cases[0].light_title,
            colour=cases[0].colour,
            copy=cases[0].copy,
            count=len(cases),
            cases=cases,
        )
        for _, found in groupby(said, key=lambda one: (one.copy, one.deadline))
        for cases in (list(found),)
    ]


def _written_for(kind: str, say: str) -> tuple[str, ...]:
    """The kinds whose words a message over this one may have, best first; a digest wants room for its list."""
    if kind in ("sms", "email"):
        return (kind,)
    return (kind, "email", "sms") if say == DIGEST else (kind, "sms", "email")


def _address(official: Official, kind: str) -> str:
    address = official.addresses.get(kind)
    if address is None:
        raise RenderError(Text(f"收件人没有“{kind}”类地址。", f"the recipient has no address of kind {kind!r}"))
    return address


def _legal_end(notice: Notice) -> str:
    """The legal limit as written among the facts: ISO in one zone, so that text sorts in time."""
    written = notice.facts.get("legal_due") or notice.facts.get("due_at") or ""
    if not isinstance(written, datetime) and len(str(written)) == len("2026-10-08"):
        return str(written)
    at = written if isinstance(written, datetime) else datetime.fromisoformat(str(written)) if written else notice.at
    return at.astimezone(UTC).isoformat()


FALLEN = frozenset({Why.VACANT, Why.UNREACHABLE, Why.UNDELIVERED, Why.NOBODY})


def provisional_mark(language: Language) -> str:
    """What follows a date that a holiday notice not yet out may still move (domain statement 24)."""
    return _either(language, "（暂定，以放假通知为准）", " (provisional until the holiday notice)")


@lru_cache(maxsize=4096)
def _instant_of(written: str, zone: ZoneInfo) -> datetime:
    if len(written) == len("2026-10-08"):
        return datetime.combine(date.fromisoformat(written), time.max, zone)
    return datetime.fromisoformat(written).astimezone(zone)


def _either(language: Language, chinese: str, english: str) -> str:
    return chinese if language == "zh" else english


def _say(titles: Mapping[str, Text], name: str, language: Language) -> str:
    text = titles.get(name)
    return text.say(language) if text else name


def _colour(light: str, own_title: str | None) -> str:
    """The colour of the badge: that of the light, or the one its own title names."""
    return COLOURS.get(OWN_COLOURS.get((own_title or "")[:1], light), COLOURS["green"])


def _role_title(role: str, given: object, language: Language) -> str:
    """The title among the facts is Chinese; in English the roles everybody has are said in English."""
    if language == "en" and role in ROLE_TITLES:
        return ROLE_TITLES[role].en
    return str(given) if given else _say(ROLE_TITLES, role, language)


def _weekday(at: datetime, language: Language) -> str:
    return f"周{WEEKDAYS_ZH[at.weekday()]}" if language == "zh" else WEEKDAYS_EN[at.weekday()]


def _single_line(value: str) -> str:
    """Without control characters and line ends: nothing in a value can start a new line or a new header."""
    if value.isprintable():
        return value
    return "".join(character if character.isprintable() else " " for character in value)


def _is_overdue(facts: Mapping[str, Any], now: datetime, legal_at: datetime) -> bool:
    """Whether the legal limit has passed, as the decision saw it."""
    working = facts["overdue_days"]
    return working > 0 if isinstance(working, int) else now > legal_at


def _passed(facts: Mapping[str, Any], now: datetime, legal_at: datetime, language: Language) -> str:
    """By how much the legal limit has passed."""
    working = facts["overdue_days"]
    if isinstance(working, int):
        return _either(language, f"{working}个工作日", f"{working} working day(s)")
    days = (now.date() - legal_at.date()).days
    return _either(language, f"{days}天", f"{days} day(s)") if days > 0 else ""


def _rung(name: str, language: Language) -> str:
    """A missed step in words: `urge#2` is the second return of the step `urge`."""
    step, _, returned = _single_line(name).partition("#")
    base, _, rest = step.partition(".")
    derived = next((word for word in (UNACKNOWLEDGED, UNACTED) if rest.endswith(word)), base)
    title = _say(STEP_TITLES, derived, language)
    if not returned.isdigit():
        return title
    return title + _either(language, f"（第{int(returned) + 1}次）", f" (no. {int(returned) + 1})")


def _is_html(name: str | None) -> bool:
    return name is not None and name.endswith(".html")


def renderer_of(configuration: Configuration) -> Renderer:
    """The templates in force under this configuration."""
    office = configuration.settings.office
    return Renderer(
        configuration.templates,
        office.name,
        office.signature,
        configuration.zone,
        configuration.settings.language,
        offers_of(configuration),
    )
