"""What the channels will make of what the policies say, known beforehand: links, words carriers stop, parts, templates.

The same messages as the daemon's are written with made-up facts, for every word after `say:` and every channel it goes
over. What is certain to be stopped is a mistake; what a carrier may stop is a remark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from channels.wire.sms import PART_UNITS, sms_parts
from daemon.render import (
    DIGEST,
    PARTS_WITHOUT_WARNING,
    SAMPLE_OFFER,
    LinkForbidden,
    RenderError,
    sample_official,
    samples,
    says_beside,
    says_of,
)
from daemon.wording import risky_words_in
from policies.ladders.via import channels_of
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from channels.base import Message
    from daemon.render import Renderer
    from daemon.settings import Configuration
    from policies.model import Notice, Policy

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
                for channel in channels_of(step.via, policy, configuration.kinds).names:
                    if channel not in configuration.kinds:
                        continue
                    says = [*says_of(step), *says_beside(policy)]
                    if policy.digest is not None or configuration.media[channel].budget is not None:
                        says.append(DIGEST)
                    for say in says:
                        if (name, say, channel) not in seen:
                            seen.add((name, say, channel))
                            yield Said(policy, name, say, channel)


def mistakes(configuration: Configuration, renderer: Renderer) -> list[Text]:
    """Texts that hold a link where their channel takes none, each once, with its template."""
    found: dict[Text, None] = {}
    for said in said_over_channels(configuration):
        for outcome in _written(said, configuration, renderer):
            if isinstance(outcome, LinkForbidden):
                path = f"channels.{said.channel}"
                found[Text(f"{path}：{outcome.message.zh}", f"{path}: {outcome.message.en}")] = None
    return list(found)


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
    return [*_about_words(words), *_about_parts(parts, configuration)]


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
