"""Fire drill (演练): a marked test through the real path to everybody, and what became of it.

Its notices are about no case: nothing escalates, nothing is enforced, and they go in the last lane. What a drill was
meant to be is kept as a report named like its keys (`drill/<id>`); what became of it is read from the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from daemon.store.lanes import DRILL
from daemon.store.values import DeliveryState, Event
from policies.evaluate import first_of_each_kind
from policies.ladders.quiet import hold_until
from policies.model import Notice, Why
from policies.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from daemon.rules import Rules
    from daemon.store import Store
    from daemon.store.reports import Report
    from daemon.store.values import Delivery
    from policies.model import Directory, Official

SAY = "drill"
ROLE = "drill"
LASTS = timedelta(hours=24)  # what could not be sent by then is a result of the drill as well
EVERYBODY = "all"
STARTED, STOPPED = "drill_started", "drill_stopped"
_HANDED_OVER = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED})
_UNDER_WAY = frozenset(
    {DeliveryState.PENDING, DeliveryState.RETRYING, DeliveryState.SENDING, DeliveryState.IN_DOUBT, DeliveryState.HELD}
)


class NoDrill(LookupError):
    """It cannot be done; `text` says why and what to do."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill as it was ordered. `to` and `channels` are as written; `people` and `messages` how many they came to.

    `hold_until` is the end of the quiet hours it waits for.
    """

    id: str
    at: datetime
    by: str
    reason: str
    to: tuple[str, ...]
    channels: tuple[str, ...]
    people: int
    messages: int
    hold_until: datetime | None = None
    stopped_at: datetime | None = None
    stopped_by: str = ""

    @property
    def name(self) -> str:
        """How its report is called, and how its notice keys begin."""
        return f"{DRILL}{self.id}"

    def body(self) -> dict[str, Any]:
        """For the report, the ledger and JSON."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "by": self.by,
            "reason": self.reason,
            "to": list(self.to),
            "channels": list(self.channels),
            "people": self.people,
            "messages": self.messages,
            "hold_until": None if self.hold_until is None else self.hold_until.isoformat(),
            "stopped_at": None if self.stopped_at is None else self.stopped_at.isoformat(),
            "stopped_by": self.stopped_by,
        }


def drill_of(report: Report) -> Drill:
    """The drill a report keeps."""
    body = report.body
    held, stopped = body.get("hold_until"), body.get("stopped_at")
    return Drill(
        id=body["id"],
        at=datetime.fromisoformat(body["at"]),
        by=body["by"],
        reason=body["reason"],
        to=tuple(body["to"]),
        channels=tuple(body["channels"]),
        people=body["people"],
        messages=body["messages"],
        hold_until=datetime.fromisoformat(held) if held else None,
        stopped_at=datetime.fromisoformat(stopped) if stopped else None,
        stopped_by=body.get("stopped_by", ""),
    )


# --- before it begins ---------------------------------------------------------------------------------------------


def people_meant(to: Sequence[str], directory: Directory, now: datetime) -> list[Official]:
    """Everybody in office these words mean: `all`, `unit:KEY`, `person:KEY`, `role:ROLE`; each once, by key.

    Raises:
        NoDrill: a word that means nobody.
    """
    found: dict[str, Official] = {}
    for word in to:
        keys = _keys_meant(word, directory, now)
        meant = {key: one for key in keys if (one := directory.officials.get(key)) is not None and one.active}
        if not meant:
            raise NoDrill(
                Text(
                    f"“{word}”没有指到任何在职人员；可写 all、unit:单位编码、person:人员编号、role:角色",
                    f"“{word}” means nobody in office; write all, unit:KEY, person:KEY or role:ROLE",
                )
            )
        found |= meant
    return [found[key] for key in sorted(found)]


def _keys_meant(word: str, directory: Directory, now: datetime) -> Iterable[str]:
    if word == EVERYBODY:
        return directory.officials
    kind, _, name = word.partition(":")
    if kind == "person":
        return [name]
    if kind == "unit":
        return [key for key, one in directory.officials.items() if one.unit == name]
    if kind == "role":
        return [
            post.official for post in directory.posts if post.role == name and _holds(post.from_at, post.to_at, now)
        ]
    return []


def _holds(from_at: datetime | None, to_at: datetime | None, now: datetime) -> bool:
    return (from_at is None or from_at <= now) and (to_at is None or now < to_at)


def channels_meant(wanted: Sequence[str], kinds: Mapping[str, str]) -> dict[str, str]:
    """Channel -> kind: those named (a kind means its first channel), or the first of each kind there is.

    Raises:
        NoDrill: a name that is neither.
    """
    first = first_of_each_kind(kinds)
    chosen = {name if name in kinds else first.get(name, name): None for name in wanted} or dict.fromkeys(
        first.values()
    )
    unknown = next((name for name in chosen if name not in kinds), None)
    if unknown is not None:
        known = "、".join(kinds)
        raise NoDrill(
            Text(f"没有通道“{unknown}”；现有：{known}", f"no channel “{unknown}”; there are: {', '.join(kinds)}")
        )
    return {name: kinds[name] for name in chosen}


def quiet_until(rules: Rules, now: datetime) -> datetime | None:
    """When the quiet hours of every policy are over, if it is quiet now."""
    ends = [
        hold_until(policy.quiet, None, rules.calendars[policy.calendar or rules.default_calendar], now)
        for policy in rules.policies.policies.values()
        if policy.quiet is not None
    ]
    return max((end for end in ends if end is not None), default=None)


def id_of(now: datetime, zone: ZoneInfo) -> str:
    """A drill is called by the office's clock when it was ordered."""
    return f"{now.astimezone(zone):%Y%m%d-%H%M%S}"


def notices_of(
    drill_id: str, people: Iterable[Official], channels: Mapping[str, str], now: datetime, held: datetime | None
) -> list[Notice]:
    """One message to each of them over each channel he has an address for."""
    until = max(now, held or now) + LASTS
    return [
        Notice(
            key=f"{DRILL}{drill_id}/{quote(one.key, safe='')}/{quote(channel, safe='')}",
            case_key="",
            policy="",
            limit="",
            deadline_version=0,
            step=SAY,
            repeat=0,
            person=one.key,
            role=ROLE,
            channel=channel,
            say=SAY,
            why=Why.DUE,
            at=now,
            expires_at=until,
            hold_until=held,
        )
        for one in people
        for channel, kind in channels.items()
        if one.addresses.get(kind)
    ]


def start(store: Store, drill: Drill, notices: Sequence[Notice], version: str) -> None:
    """Write its messages into the outbox, with a line in the ledger, and keep what it was meant to be.

    Raises:
        NoDrill: one was started in the same second.
    """
    if store.report(drill.name) is not None:
        raise NoDrill(Text("刚刚已经开始了一次演练", "one was started at this very moment"))
    store.save_report(drill.name, drill.body(), drill.at)
    store.add_notices(None, notices, [Event("", STARTED, drill.at, drill.body(), drill.by)], version, drill.at)


def find(store: Store, drill_id: str | None) -> Drill:
    """That drill, or the last one.

    Raises:
        NoDrill: there is none.
    """
    known = store.reports_named(DRILL)
    report = list(known.values())[-1] if drill_id is None and known else known.get(f"{DRILL}{drill_id}")
    if report is None:
        raise NoDrill(Text("没有这次演练；见 duban drill list", "there is no such drill; see duban drill list"))
    return drill_of(report)


def every(store: Store) -> list[Drill]:
    """All drills, the oldest first."""
    return [drill_of(report) for report in store.reports_named(DRILL).values()]


def stop(store: Store, drill: Drill, by: str, now: datetime) -> int:
    """Cancel what has not gone out; returns how many."""
    waiting = [one.notice.key for one in store.deliveries_keyed(f"{drill.name}/") if one.state in _UNDER_WAY]
    stopped = store.cancel(waiting, "drill_stopped", now)
    body = {**drill.body(), "stopped_at": now.isoformat(), "stopped_by": by}
    store.save_report(drill.name, body, drill.at)
    store.append([Event("", STOPPED, now, {"id": drill.id, "cancelled": stopped}, by)])
    return stopped


# --- what became of it --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one message. `took` is how long it took from the order to arriving, else to the signature."""

    person: str
    unit: str | None
    channel: str
    state: DeliveryState
    error: str
    delivered_at: datetime | None
    read_at: datetime | None
    acknowledged_at: datetime | None
    took: timedelta | None

    @property
    def arrived(self) -> bool:
        """Whether it is known to have arrived: the provider, the reader's program or he himself says so."""
        return any(at is not None for at in (self.delivered_at, self.read_at, self.acknowledged_at))

    @property
    def handed_over(self) -> bool:
        """Whether the provider took it."""
        return self.arrived or self.state in _HANDED_OVER


@dataclass(frozen=True, slots=True)
class OfUnit:
    """One unit (None: nobody knows which): people meant, and of them how many over at least one channel.

    `handed_over` by the provider's word, `arrived` known to have arrived, `acknowledged` signed for.
    """

    unit: str | None
    people: int
    handed_over: int
    arrived: int
    acknowledged: int


def results(deliveries: Iterable[Delivery], directory: Directory) -> list[Result]:
    """What became of each message so far."""
    found: list[Result] = []
    for one in deliveries:
        official = directory.officials.get(one.notice.person)
        first = min((at for at in (one.delivered_at, one.read_at, one.acknowledged_at) if at is not None), default=None)
        found.append(
            Result(
                one.notice.person,
                official.unit if official else None,
                one.notice.channel,
                one.state,
                one.error,
                one.delivered_at,
                one.read_at,
                one.acknowledged_at,
                None if first is None else first - max(one.created_at, one.notice.hold_until or one.created_at),
            )
        )
    return found


def by_unit(found: Sequence[Result]) -> list[OfUnit]:
    """The shares of each unit; a person counts once, however many channels he has."""
    units: dict[str | None, list[Result]] = {}
    for one in found:
        units.setdefault(one.unit, []).append(one)
    return [_of_unit(unit, units[unit]) for unit in sorted(units, key=lambda unit: (unit is None, unit or ""))]


def in_all(found: Sequence[Result]) -> OfUnit:
    """The same for everybody."""
    return _of_unit(None, found)


def _of_unit(unit: str | None, found: Sequence[Result]) -> OfUnit:
    def people(which: Collection[Result]) -> int:
        return len({one.person for one in which})

    return OfUnit(
        unit,
        people(found),
        people([one for one in found if one.handed_over]),
        people([one for one in found if one.arrived]),
        people([one for one in found if one.acknowledged_at is not None]),
    )


def as_json(drill: Drill, found: Sequence[Result]) -> dict[str, Any]:
    """The report for programs: keys and states, no address."""
    return {
        **drill.body(),
        "total": _counts(in_all(found)),
        "units": [{"unit": one.unit, **_counts(one)} for one in by_unit(found)],
        "results": [
            {
                "person": one.person,
                "unit": one.unit,
                "channel": one.channel,
                "state": one.state.value,
                "error": one.error,
                "delivered_at": one.delivered_at,
                "read_at": one.read_at,
                "acknowledged_at": one.acknowledged_at,
                "seconds": None if one.took is None else round(one.took.total_seconds()),
            }
            for one in found
        ],
    }


def _counts(one: OfUnit) -> dict[str, int]:
    return {
        "people": one.people,
        "handed_over": one.handed_over,
        "arrived": one.arrived,
        "acknowledged": one.acknowledged,
    }
