"""The values of the domain: frozen, comparable, free of I/O.

Names that end in `_at` are aware instants in UTC; a plain date is a calendar day of the office's time zone.
A limit's `*_due_at` is the last instant that is still on time: done is on time if `done_at <= legal_due_at`;
the cut-off 24:00 is therefore 23:59:59.999999 of that day (民法典 203(2)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.duration import Duration, Moment
    from policies.text import Text

Scalar = str | int | float | bool | datetime | None


# --- facts: what the shared database says -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transfer:
    """One hand-over (转办) of a case to a unit or person; `seq` orders them."""

    seq: int
    at: datetime
    to_unit: str | None
    to_official: str | None = None
    from_unit: str | None = None
    reason: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension (延期) as recorded; whether it is effective is decided by the limit's rule.

    `limit` names the limit it is for, None for every limit of the case that allows one. `approved_by` is the
    role of the approver (`principal`). `petitioner_told_at` is when the petitioner was told why (条例第三十四条).
    """

    seq: int
    length: Duration | None
    decided_at: datetime
    approved_by: str | None = None
    petitioner_told_at: datetime | None = None
    until_at: datetime | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """An interval that does not count (中止, 听证): from `from_at` to `to_at`, still open if that is None."""

    seq: int
    from_at: datetime
    to_at: datetime | None = None
    basis: str | None = None
    approved_by: str | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case (案件) as the shared database tells it, personal fields left out.

    `milestones` holds the instants that are there, by their name in the mapping; `fields` everything else that
    policies may ask about (kind, level, urgency, litigation …). `unit` and `handler` are the present ones.
    """

    key: str
    unit: str | None = None
    handler: str | None = None
    milestones: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    fields: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    transfers: tuple[Transfer, ...] = ()
    extensions: tuple[Extension, ...] = ()
    pauses: tuple[Pause, ...] = ()
    restricted: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class FirstHandler:
    """The first-handler responsibility (首办责任), frozen at a milestone and never changed afterwards."""

    case_key: str
    unit: str | None
    official: str | None
    frozen_at: datetime
    milestone: str


# --- people: who is who on a day ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Official:
    """A person who may get messages. `addresses` maps a kind (`sms`, `email`) to the address."""

    key: str
    name: str
    unit: str | None = None
    addresses: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    active: bool = True


@dataclass(frozen=True, slots=True)
class OfficeUnit:
    """A unit (单位, 科室) and the unit above it."""

    key: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A role (职务) held by an official at a unit, from one instant to another (None: open)."""

    unit: str
    role: str
    official: str
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody, as of one reading. `administrators` are the last resort of every chain."""

    officials: Mapping[str, Official] = field(default_factory=dict[str, Official])
    units: Mapping[str, OfficeUnit] = field(default_factory=dict[str, OfficeUnit])
    posts: tuple[Post, ...] = ()
    administrators: tuple[str, ...] = ()


# --- rules: what the administrator wrote -------------------------------------------------------------------


class Roll(StrEnum):
    """What happens when the last day is a day off (domain statement 26)."""

    NONE = "none"
    NEXT_WORKDAY = "next_workday"  # 民法典 203(1)
    NEXT_WORKDAY_AND_LONG_HOLIDAYS = "next_workday_and_long_holidays"  # 税收征管法实施细则 109


class Cutoff(StrEnum):
    """When the last day ends (民法典 203(2))."""

    MIDNIGHT = "24:00"
    OFFICE = "office"  # when the office closes on that day


class ExtensionBase(StrEnum):
    """From where an extension is counted (domain statement 15)."""

    NOMINAL = "nominal"
    ROLLED = "rolled"


@dataclass(frozen=True, slots=True)
class ExtensionRule:
    """How far a limit may be extended, who may approve, and from which end the extension is counted."""

    up_to: Duration
    approved_by: tuple[str, ...] = ()
    counted_from: ExtensionBase = ExtensionBase.NOMINAL
    petitioner_told: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a case field: `kind: 求决`, `litigation: false`, `level: [省, 市]`. Any of `values` fits."""

    field: str
    values: tuple[Scalar, ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A step wants an acknowledgement (签收): the milestone that shows it, how long, and who is told otherwise."""

    within: Duration
    otherwise: tuple[str, ...]
    milestone: str = "acknowledged_at"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A step comes again every so often, at most `times` more times."""

    every: Duration
    times: int


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a ladder (梯级): when, to whom, which text.

    `via` lists the kinds of address to use, all of them; empty means the policy's default. `issue` names a
    document (催办单) the message announces.
    """

    id: str
    at: Moment
    to: tuple[str, ...]
    say: str
    cc: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    repeat: Repeat | None = None
    acknowledge: Acknowledge | None = None
    issue: str | None = None


@dataclass(frozen=True, slots=True)
class Lights:
    """How long before the limit the light changes; red is past the limit."""

    yellow: Duration
    orange: Duration


@dataclass(frozen=True, slots=True)
class Ladder:
    """The steps (阶梯) that follow one limit."""

    id: str
    lights: Lights
    steps: tuple[Step, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """One time limit (时限规定). `start` and `done` name milestones: the first that is there counts."""

    id: str
    title: str
    start: tuple[str, ...]
    within: Duration
    done: tuple[str, ...]
    ladder: str
    basis: str = ""
    roll: Roll = Roll.NEXT_WORKDAY
    cutoff: Cutoff = Cutoff.MIDNIGHT
    calendar: str = ""
    extension: ExtensionRule | None = None
    platform_due: str | None = None
    excludes: tuple[str, ...] = ()
    applies_to: tuple[Condition, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class FirstHandlerRule:
    """Which milestone freezes the first handler, and from which light he stays informed after a transfer."""

    freeze_at: tuple[str, ...] = ("accepted_at",)
    stays_informed: str | None = None
    handbacks_allowed: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One supervision policy (督办策略): which cases, which limits, which ladders; `roles` are the titles of roles."""

    id: str
    title: str
    limits: tuple[Limit, ...]
    ladders: Mapping[str, Ladder]
    applies_to: tuple[Condition, ...] = ()
    first_handler: FirstHandlerRule = field(default_factory=FirstHandlerRule)
    chain: tuple[str, ...] = ("first_handler", "section_head", "deputy_leader", "principal")
    via: tuple[str, ...] = ("sms", "email")
    calendar: str = ""
    roles: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force, with the hash of what they were read from."""

    version: str
    policies: Mapping[str, Policy]


# --- what follows: obligations, history, plans --------------------------------------------------------------


class Light(StrEnum):
    """红黄绿灯. Lights work to the earlier of platform and legal limit."""

    GREEN = "green"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"


class ObligationState(StrEnum):
    """Where an obligation stands. Only an open one is looked at again."""

    OPEN = "open"
    PAUSED = "paused"
    DONE = "done"
    WITHDRAWN = "withdrawn"  # the case left the source, or the rule no longer applies


@dataclass(frozen=True, slots=True)
class Obligation:
    """One limit running on one case (在办时限).

    `deadline_version` grows when the limit moves so that the ladder starts anew (extension, corrected start,
    other platform limit); a recount that leaves the light as it was keeps it (domain statement 25). `instance`
    tells several clocks of one limit apart (one per holder); empty for the only one.
    `start_assumed` is true when a fallback milestone was used as the start.
    """

    case_key: str
    policy: str
    limit: str
    policy_version: str
    deadline_version: int
    state: ObligationState
    start_at: datetime
    nominal_due_at: datetime
    legal_due_at: datetime
    platform_due_at: datetime | None = None
    instance: str = ""
    start_assumed: bool = False
    provisional: bool = False
    extended: bool = False
    done_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """What lights and reminders work to: the earlier of the legal and the platform limit (domain 5.2)."""
        if self.platform_due_at is None:
            return self.legal_due_at
        return min(self.legal_due_at, self.platform_due_at)


@dataclass(frozen=True, slots=True)
class History:
    """What has been decided on an obligation so far.

    `decided_until` holds, per anchor (`start`, `due`), the latest step instant already dealt with under the
    present deadline version. `light` is the last one recorded. `breached_at` is set once the legal limit passed.
    """

    decided_until: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    light: Light | None = None
    breached_at: datetime | None = None


class Why(StrEnum):
    """The closed list of reasons for a step taken or not taken."""

    DUE = "due"  # the step's moment has come
    CAUGHT_UP = "caught_up"  # the latest of several missed steps, sent for all of them
    MISSED = "missed"  # folded into a later step after an outage
    NOT_YET = "not_yet"
    ACKNOWLEDGED = "acknowledged"  # the step was only for want of an acknowledgement
    DONE = "done"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    VACANT = "vacant"  # nobody holds the post: fell upward
    UNREACHABLE = "unreachable"  # the person has no address for this channel: fell upward
    SAME_PERSON = "same_person"  # already gets this message in a higher role
    UNDELIVERED = "undelivered"  # an earlier notice could not be delivered: fell upward
    NOBODY = "nobody"  # not even an administrator could be found
    LIGHT = "light"  # the light changed
    BREACH = "breach"  # the legal limit passed
    END_OF_LADDER = "end_of_ladder"
    MOVED = "moved"  # the limit moved: a new deadline version, or a recount that kept it
    RESTRICTED = "restricted"  # the case is restricted: nothing goes to the general chain
    FINDING = "finding"  # a fact a supervisor has to look at


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of the explanation: which step, why, in words, and the instant it is about."""

    why: Why
    text: Text
    step: str = ""
    at: datetime | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one person over one channel kind (通知单).

    `key` is unique for ever: case / limit / instance / deadline version / step / repeat / person / channel.
    `say` picks the template; `facts` are the values it may use (no personal data of petitioners).
    `expires_at` is when the next step of the ladder takes over: no retry runs past it.
    """

    key: str
    case_key: str
    policy: str
    limit: str
    deadline_version: int
    step: str
    repeat: int
    person: str
    role: str
    channel: str
    say: str
    why: Why
    at: datetime
    instance: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    missed: tuple[str, ...] = ()
    expires_at: datetime | None = None
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now about one obligation, when to look again, and why.

    `next_check_at` is None only when nothing can ever happen again without new facts; then a reason says why.
    """

    notices: tuple[Notice, ...]
    next_check_at: datetime | None
    reasons: tuple[Reason, ...]
    light: Light
    history: History
