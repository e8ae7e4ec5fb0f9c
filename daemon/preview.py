"""What the templates say, written by the daemon's own renderer: with made-up facts, or those of a real case.

Nothing is sent and nothing is written down. The reader's address is made up: only the words matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from channels.email import EmailSettings
from channels.wire.mime import MailFrame
from channels.wire.sms import sms_parts, sms_units
from daemon.samples import SAMPLE_OFFER, SAMPLE_OFFICIAL, sample_notice
from daemon.titles import DIGEST, STANDARD
from policies.evaluate import first_of_each_kind
from policies.ladders.notices import Letter, facts_of, notice
from policies.ladders.recipients import Recipient
from policies.ladders.setting import setting_of
from policies.ladders.via import channels_named
from policies.model import RUNNING, History, Why
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from channels.base import Message
    from daemon.offers import Offer
    from daemon.render import Renderer
    from daemon.rules import Rules
    from daemon.settings import Configuration
    from daemon.store.values import StoredCase, StoredObligation
    from policies.ladders.setting import Setting
    from policies.model import Directory, Notice, Obligation, Official, Policy

NOBODY = "preview@example.invalid"
SMS = "sms"
MAIL = "email"


class NoPreview(LookupError):
    """There is nothing to show; `text` says why and what to do."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


@dataclass(frozen=True, slots=True)
class Previewed:
    """One message as it would leave: over which channel, of which kind, how long as a text message.

    `units` and `parts` are those of a text message (UTF-16 units); nought for what is none.
    """

    say: str
    ladder: str
    channel: str
    kind: str
    message: Message
    units: int = 0
    parts: int = 0

    @property
    def as_json(self) -> dict[str, object]:
        """For programs, without an address."""
        said: dict[str, object] = {"say": self.say, "ladder": self.ladder, "channel": self.channel, "kind": self.kind}
        if self.message.subject:
            said["subject"] = self.message.subject
        said["text"] = self.message.text
        if self.parts:
            said |= {"units": self.units, "parts": self.parts}
        if self.message.html:
            said["html"] = self.message.html
        return said


def channels_to_show(configuration: Configuration, wanted: Sequence[str]) -> dict[str, str]:
    """Channel -> kind of address: those named (a kind means its first channel), or one of each kind there is.

    Raises:
        NoPreview: a name that is neither channel nor kind.
    """
    first = first_of_each_kind(configuration.kinds)
    if not wanted:
        return {channel: kind for kind, channel in first.items()}
    chosen: dict[str, str] = {}
    for name in wanted:
        channel = name if name in configuration.kinds else first.get(name)
        if channel is None:
            known = sorted({*configuration.kinds, *first})
            raise NoPreview(
                Text(
                    f"没有通道“{name}”；现有：{'、'.join(known)}", f"no channel “{name}”; there are: {', '.join(known)}"
                )
            )
        chosen[channel] = configuration.kinds[channel]
    return chosen


def written(
    notices: Sequence[Notice], reader: Official, channels: Mapping[str, str], renderer: Renderer
) -> list[Previewed]:
    """The notice over each channel, or one digest of several. Raises RenderError as the renderer does."""
    found: list[Previewed] = []
    for channel, kind in channels.items():
        to = replace(reader, addresses={**reader.addresses, kind: NOBODY})
        first, medium = notices[0], renderer.offers.medium_of(channel)
        ladder = str(first.facts.get("ladder") or STANDARD)
        if len(notices) > 1:
            key = f"preview/{DIGEST}"
            offer = _offer(renderer, channel, key, first)
            message = renderer.digest([(one, one.at) for one in notices], to, kind, key=key, offer=offer, medium=medium)
            said = Previewed(DIGEST, STANDARD, channel, kind, message)
        else:
            offer = _offer(renderer, channel, first.key, first)
            message = renderer.render(replace(first, channel=channel), to, kind, offer=offer, medium=medium)
            said = Previewed(first.say, ladder, channel, kind, message)
        if not message.subject and not message.html and kind != MAIL:
            said = replace(said, units=sms_units(message.text), parts=sms_parts(message.text))
        found.append(said)
    return found


def _offer(renderer: Renderer, channel: str, key: str, first: Notice) -> Offer:
    """What this channel offers for acknowledging; the link is made up, so that nobody can sign with it."""
    real = renderer.offers.of(channel, key, 0, first.at)
    return replace(real, link=SAMPLE_OFFER.link) if real.link else real


# --- made-up facts ------------------------------------------------------------------------------------------------


def sample(policy: Policy, ladder: str, say: str, standing: str) -> tuple[list[Notice], Official]:
    """One made-up notice, and its made-up reader."""
    return [sample_notice(policy, ladder, say, standing)], SAMPLE_OFFICIAL


def sample_digest(policy: Policy, number: int, standing: str) -> tuple[list[Notice], Official]:
    """Several made-up notices for one digest: the limits one after the other, a few in another role."""
    limits = policy.limits or ()
    notices: list[Notice] = []
    for index in range(number):
        limit = limits[index % len(limits)]
        said = policy.ladders[limit.ladder].steps[0].say  # what may wait is said early
        one = sample_notice(policy, limit.ladder, said, standing)
        key = f"{one.case_key[:-4]}{index + 1:04}"
        moved = {
            name: _moved(value, timedelta(days=index // 2)) if name in _DUES else value
            for name, value in one.facts.items()
        }
        facts = {
            **moved,
            "case": key,
            "limit": limit.id,
            "limit_title": limit.title,
            "days_left": _later(one.facts.get("days_left"), index // 2),
            "light": "green" if index > number // 2 and standing == "ahead" else one.facts["light"],
        }
        notices.append(replace(one, key=f"{one.key}/{index}", case_key=key, limit=limit.id, facts=facts))
    return notices, SAMPLE_OFFICIAL


_DUES = frozenset({"due_at", "legal_due", "nominal_due", "platform_due"})


def _moved(value: object, by: timedelta) -> str | None:
    from datetime import datetime  # noqa: PLC0415 - only here at run time

    return (datetime.fromisoformat(value) + by).isoformat() if isinstance(value, str) and value else None


def _later(days: object, by: int) -> int:
    return (days if isinstance(days, int) else 0) + by


# --- a real case --------------------------------------------------------------------------------------------------


def of_case(
    stored: StoredCase,
    obligations: Sequence[StoredObligation],
    rules: Rules,
    directory: Directory,
    now: datetime,
    say: str,
    person: str | None,
    standing: str | None,
) -> tuple[list[Notice], Official]:
    """What that text would say of the most urgent limit of a real case, to its first handler or to `person`.

    With `standing` as it would read then, not now.

    Raises:
        NoPreview: no limit is running, or nobody can be found.
    """
    running = [one.obligation for one in obligations if one.obligation.state in RUNNING]
    if not running:
        raise NoPreview(Text(f"案件 {stored.case.key} 没有在办时限。", f"no limit is running on {stored.case.key}"))
    one = min(running, key=lambda each: each.due_at)
    known = rules.limit(one.policy, one.limit, one.policy_version)
    if known is None:
        raise NoPreview(Text("这条时限规定已不在策略里。", "its limit is no longer in the policies"))
    policy, limit, _ = known
    calendar = rules.calendar(policy, limit)
    at = now if standing is None else _moment_of(one, standing)
    setting = setting_of(
        policy, one, stored.case, History(), directory, stored.first_handler, calendar, at, rules.kinds
    )
    if setting is None:
        raise NoPreview(Text("这条时限规定已不在策略里。", "its limit is no longer in the policies"))
    to = _reader(setting, person, directory)
    letter = Letter("preview", 0, say, at, one.deadline_version, more={"issue": None})
    made = notice(to, letter, next(iter(rules.kinds), SMS), facts_of(setting), setting)
    return [made], directory.officials[to.person]


def _moment_of(one: Obligation, standing: str) -> datetime:
    """A moment at which the limit stands so."""
    ends = {
        "ahead": one.due_at - timedelta(days=3),
        "today": one.due_at - timedelta(hours=6),
        "platform": min(one.due_at + timedelta(hours=12), one.legal_due_at),
        "overdue": one.legal_due_at + timedelta(days=5),
    }
    return ends[standing]


def _reader(setting: Setting, person: str | None, directory: Directory) -> Recipient:
    """The person in the highest role the chain gives him; without one named, the first handler or who is above him."""
    channels = channels_named(tuple(setting.kinds), setting.kinds)
    for role in reversed(setting.policy.chain) if person is not None else setting.policy.chain:
        for found in setting.resolve(role, channels):
            if found.person is not None and person in {None, found.person}:
                return Recipient(found.person, role, Why.DUE)
    if person is not None and person in directory.officials:
        return Recipient(person, setting.policy.chain[0], Why.DUE)
    if person is not None:
        raise NoPreview(Text(f"没有人员“{person}”。", f"there is no person “{person}”"))
    raise NoPreview(Text("这个案件找不到可以通知的人。", "nobody can be told of this case"))


# --- the mail itself ----------------------------------------------------------------------------------------------


def mail_bytes(previewed: Previewed, configuration: Configuration) -> bytes:
    """The mail as it would go on the wire, unsigned; to nobody.

    Raises:
        NoPreview: the channel is no mail channel of our own.
    """
    settings = configuration.channel_settings.get(previewed.channel)
    if not isinstance(settings, EmailSettings):
        raise NoPreview(Text("--eml 要有一个 type: email 的通道。", "--eml needs a channel of type email"))
    return MailFrame.of(settings.model_copy(update={"dkim": ()})).build(previewed.message).content
