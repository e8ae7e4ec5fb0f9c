"""What the channels will make of what the policies say, known beforehand: links, words carriers stop, parts, templates.

The same messages as the daemon's are written with made-up facts, for every word after `say:` and every channel it goes
over. What is certain to be stopped is a mistake; what a carrier may stop is a remark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from channels.base import PermanentFailure
from channels.wire.approved import ANY, lacks, too_long_for
from channels.wire.sms import PART_UNITS, sms_parts
from daemon.catalogue import abilities_of
from daemon.offers import ANSWERS
from daemon.render import PARTS_WITHOUT_WARNING, LinkForbidden, RenderError
from daemon.samples import SAMPLE_OFFER, sample_official, samples, says_beside, says_of
from daemon.titles import DIGEST
from daemon.wording import risky_words_in
from policies.ladders.via import channels_of
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from channels.base import Message
    from channels.wire.approved import NamedTemplate, OrderedTemplate
    from daemon.render import Renderer
    from daemon.settings import Configuration
    from policies.model import Notice, Policy

BESIDE_POLICIES = ("alert", "release_wanted", "drill")  # what duban says of itself, and to try the channels
PUBLIC_CLOUDS = frozenset({"aliyun", "tencent", "huawei", "twilio"})  # their pages name words that they stop


@dataclass(frozen=True, slots=True)
class Said:
    """A word after `say:` that goes over a channel, by a policy's ladder."""

    policy: Policy
    ladder: str
    say: str
    channel: str


def said_over_channels(configuration: Configuration) -> Iterator[Said]:
    """Everything the policies say over each channel, each ladder's once; digests where they are made."""
    seen: set[tuple[str, str, str]] = set()
    for policy in configuration.policies.policies.values():
        for name in dict.fromkeys(limit.ladder for limit in policy.limits):
            for step in policy.ladders[name].steps:
                for channel in _carrying(channels_of(step.via, policy, configuration.kinds).names, configuration):
                    says = [*says_of(step), *says_beside(policy)]
                    if policy.digest is not None or configuration.media[channel].budget is not None:
                        says.append(DIGEST)
                    for say in says:
                        if (name, say, channel) not in seen:
                            seen.add((name, say, channel))
                            yield Said(policy, name, say, channel)


def _carrying(names: Iterable[str], configuration: Configuration) -> Iterator[str]:
    """Those channels that are set up; of one that several share, its providers, whose words and links count."""
    for name in names:
        if name in configuration.kinds:
            yield from configuration.ways(name)


def mistakes(configuration: Configuration, renderer: Renderer) -> list[Text]:
    """Texts that hold a link where their channel takes none, each once, with its template."""
    found: dict[Text, None] = {}
    for said in said_over_channels(configuration):
        for outcome in _written(said, configuration, renderer):
            if isinstance(outcome, LinkForbidden):
                path = f"channels.{said.channel}"
                found[Text(f"{path}：{outcome.message.zh}", f"{path}: {outcome.message.en}")] = None
    return [*found, *_unheard(configuration)]


def _unheard(configuration: Configuration) -> Iterator[Text]:
    """Channels whose messages ask to be answered (`replies: true`), though no answer would ever come in.

    Who answered all the same would be reported as somebody who did not sign.
    """
    for name in configuration.channel_settings:
        wanting = _wanting_for_replies(configuration, name) if configuration.media[name].replies else None
        if wanting is not None:
            yield Text(
                f"channels.{name}.replies：消息会请人回复签收，但回复收不到：{wanting.zh}",
                f"channels.{name}.replies: messages would ask to be answered, and no answer comes in: {wanting.en}",
            )


def _wanting_for_replies(configuration: Configuration, name: str) -> Text | None:
    """What must be written so that replies over this channel come in; None if nothing."""
    settings, channel_type = configuration.channel_settings[name], configuration.channel_types[name]
    able = abilities_of(channel_type)
    if not able.replies:
        return Text(f"{channel_type.name} 类型没有回复", f"channels of type {channel_type.name} bring none")
    keys = type(settings).model_fields
    mailboxes = [getattr(settings, key, None) for key in ("reply_mailbox", "bounce_mailbox") if key in keys]
    if mailboxes and not any(mailboxes):
        return Text("请写 reply_mailbox 或 bounce_mailbox", "write reply_mailbox or bounce_mailbox")
    calls: object = getattr(settings, "calls", None)
    if "calls" in keys and getattr(calls, "replies", None) is None:
        return Text("请写 calls.replies", "write calls.replies")
    if able.called and not able.collected and configuration.settings.console is None:
        return Text("请写 console 一节", "write the section console")
    return None


def remarks(configuration: Configuration, renderer: Renderer) -> list[Text]:
    """Words a public cloud's carriers may stop, and texts that are long after neutral words were put in."""
    words: dict[str, dict[str, str]] = {}
    parts: dict[str, tuple[int, str]] = {}
    for said in said_over_channels(configuration):
        if configuration.kinds[said.channel] != "sms":
            continue
        for outcome in _written(said, configuration, renderer):
            if isinstance(outcome, RenderError):
                continue
            if configuration.channel_types[said.channel].name in PUBLIC_CLOUDS:
                known = configuration.media[said.channel].words
                for word in risky_words_in(_bare(outcome, configuration)):
                    if word not in known:
                        words.setdefault(said.channel, {}).setdefault(word, said.say)
            parts[said.channel] = max(parts.get(said.channel, (0, "")), (sms_parts(outcome.text), said.say))
    return [*_about_words(words), *_about_parts(parts, configuration), *_about_templates(configuration, renderer)]


def _about_words(words: Mapping[str, Mapping[str, str]]) -> Iterator[Text]:
    for channel, found in words.items():
        listed = "、".join(f"{word}（{say}）" for word, say in found.items())
        plain = ", ".join(f"{word} ({say})" for word, say in found.items())
        yield Text(
            f"channels.{channel}：短信里有公有云厂商说明中点名或常被运营商拦截的字词：{listed}。"
            "请在 words 里写中性说法，如 {信访: 事项, 超期: 到期未办}；确认可用的，写成 {信访: 信访} 即不再提醒",
            f"channels.{channel}: its texts hold words that pages of public clouds name, or carriers are known to "
            f"stop: {plain}. Write neutral ones under words; a word that is known to pass, as itself ({{信访: 信访}})",
        )


def _about_parts(parts: Mapping[str, tuple[int, str]], configuration: Configuration) -> Iterator[Text]:
    """Only where words were put in: the check of the templates has told of the others."""
    for channel, (worst, say) in parts.items():
        if worst > PARTS_WITHOUT_WARNING and configuration.media[channel].words:
            yield Text(
                f"channels.{channel}：换成 words 的说法后，say: {say} 的短信最长分 {worst} 条（每条 {PART_UNITS} 字）",
                f"channels.{channel}: with its words, the text of say: {say} takes up to {worst} parts of {PART_UNITS}",
            )


_LACKING = {
    "no_template": Text("没有模板", "none"),
    "template_waiting": Text("待审核", "waiting"),
    "template_refused": Text("未通过", "refused"),
}


def _about_templates(configuration: Configuration, renderer: Renderer) -> Iterator[Text]:
    """Where a provider sends only texts it has approved: words without one, and values too long for a variable."""
    for channel, settings in configuration.channel_settings.items():
        templates: object = getattr(settings, "templates", None)
        if not isinstance(templates, dict) or not templates:
            continue
        catalogue = cast("dict[str, NamedTemplate | OrderedTemplate]", templates)
        over = [said for said in said_over_channels(configuration) if said.channel == channel]
        answers = [f"answer_{what}" for what in ANSWERS] if configuration.media[channel].replies else []
        says = dict.fromkeys([*(said.say for said in over), *BESIDE_POLICIES, *answers])
        lacking = {say: why for say in says if (why := lacks(say, catalogue)) is not None}
        if lacking:
            yield Text(
                f"channels.{channel}：这些 say 没有已批准的模板，发到时会失败、改走其他通道或上报："
                + "、".join(f"{say}（{_LACKING[why].zh}）" for say, why in lacking.items()),
                f"channels.{channel}: no approved template for these words after say:, whose messages would fail and "
                "go another way or upward: " + ", ".join(f"{say} ({_LACKING[why].en})" for say, why in lacking.items()),
            )
        long = _too_long(over, lacking, catalogue, configuration, renderer)
        if long:
            listed = ", ".join(f"{say}: {', '.join(sorted(names))}" for say, names in long.items())
            yield Text(
                f"channels.{channel}：这些变量的值会超过模板的 longest：{listed}。请缩短名称，或申请更长的变量",
                f"channels.{channel}: values of these variables exceed `longest` of their template: {listed}. "
                "Shorten the titles, or apply for longer variables",
            )


def _too_long(
    over: list[Said],
    lacking: Mapping[str, str],
    catalogue: Mapping[str, NamedTemplate | OrderedTemplate],
    configuration: Configuration,
    renderer: Renderer,
) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    signature = configuration.settings.office.signature.strip().strip("【】")
    for said in over:
        if said.say in lacking:
            continue
        template = catalogue.get(said.say) or catalogue[ANY]
        for outcome in _written(said, configuration, renderer):
            if isinstance(outcome, RenderError):
                continue
            try:
                names = too_long_for(outcome, template, signature)
            except PermanentFailure:
                names = []  # a value is missing: the channel says so when it is sent
            if names:
                found.setdefault(said.say, set()).update(names)
    return found


def _bare(message: Message, configuration: Configuration) -> str:
    """The text without the signature, which is registered as it is."""
    bare = configuration.settings.office.signature.strip().strip("【】")
    return message.text.replace(f"【{bare}】", "") if bare else message.text


def _written(said: Said, configuration: Configuration, renderer: Renderer) -> Iterator[Message | RenderError]:
    """The messages of every state a limit can be in, or why one cannot be written."""
    several = list(samples(said.policy, said.ladder, said.say))
    for notices in [several] if said.say == DIGEST else [[one] for one in several]:
        try:
            yield _message(said, notices, configuration, renderer)
        except RenderError as error:
            yield error


def _message(said: Said, notices: list[Notice], configuration: Configuration, renderer: Renderer) -> Message:
    kind, medium = configuration.kinds[said.channel], configuration.media[said.channel]
    official, first = sample_official(kind), replace(notices[0], channel=said.channel)
    offer = renderer.offers.of(said.channel, first.key, 0, first.at)
    offer = replace(offer, link=SAMPLE_OFFER.link) if offer.link else offer
    if said.say == DIGEST:
        dated = [(one, one.at) for one in notices]
        return renderer.digest(dated, official, kind, key=DIGEST, offer=offer, medium=medium)
    return renderer.render(first, official, kind, offer=offer, medium=medium)
