"""The values of the domain: frozen, comparable, free of I/O.

Names that end in `_at` are aware instants in UTC; a plain date is a calendar day of the office's time zone.
A limit's `*_due_at` is the last instant that is still on time: done is on time if `done_at <= legal_due_at`;
the cut-off 24:00 is therefore 23:59:59.999999 of that day (民法典 203(2)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.duration import Duration, Moment
    from policies.text import Text

Scalar = str | int | float | bool | datetime | None


# --- facts: what the shared database says -----------------------------------------------------------------


class Movement(StrEnum):
    """What one line of a case's record of movements (流转记录) says."""

    RECEIVE = "receive"  # 收件: it arrived at the unit
    SIGN = "sign"  # 签收: somebody signed for it
    ACCEPT = "accept"  # 受理
    HAND_OVER = "hand_over"  # 转办、交办: another unit or person leads from now on
    CO_HANDLE = "co_handle"  # 协办: another unit helps; the lead stays (北京市接诉即办工作条例第十四条)
    HAND_BACK = "hand_back"  # 申请退回、提出异议: effective only once the sender agrees (条例第二十三条第三款)
    RETURN = "return"  # 退回原单位: it went back, by the sender's decision
    CLOSE = "close"  # 办结


@dataclass(frozen=True, slots=True)
class Transfer:
    """One line of the record of movements (流转) of a case; `seq` orders lines of the same instant.

    `at` is when it took effect or, for a hand-back, when it was asked for; `decided_at` when the sender agreed.
    `document` is the number of the paper it rests on.
    """

    seq: int
    at: datetime
    to_unit: str | None
    to_official: str | None = None
    from_unit: str | None = None
    reason: str | None = None
    approved_by: str | None = None
    kind: Movement = Movement.HAND_OVER
    document: str | None = None
    decided_at: datetime | None = None


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
    """An interval that does not count (中止, 听证, 挂账): from `from_at` to `to_at`, still open if that is None.

    With a `review_at` the case is parked (挂账): the reminders come back on that day.
    """

    seq: int
    from_at: datetime
    to_at: datetime | None = None
    basis: str | None = None
    approved_by: str | None = None
    limit: str | None = None
    review_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case (案件) as the shared database tells it, personal fields left out.

    `milestones` holds the instants that are there, by their name in the mapping; `fields` everything else that
    policies may ask about (kind, level, urgency, litigation …). `unit` and `handler` are the present ones.
    `series` holds every instant of a milestone that came more than once, in time; `milestones` its last one.
    `recused` are the officials who must not hear of the case (回避). `earlier` is the key of the case this one
    repeats (重复信访), if the shared database says so.
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
    series: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict[str, "tuple[datetime, ...]"])
    recused: tuple[str, ...] = ()
    earlier: str | None = None


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
    """A person who may get messages. `addresses` maps a kind (`sms`, `email`) to the address.

    `prefers` are the kinds or channels he would rather be told over, the first before the others (偏好).
    """

    key: str
    name: str
    unit: str | None = None
    addresses: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    active: bool = True
    prefers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OfficeUnit:
    """A unit (单位, 科室) and the unit above it.

    `parent` leads up the functional leg (谁主管、谁负责); `area` is the code of the place it answers for and
    `area_parent` the unit above it up the territorial leg (属地管理), None: the same as `parent`.
    """

    key: str
    name: str
    parent: str | None = None
    area: str | None = None
    area_parent: str | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A role (职务) held by an official at a unit, from one instant to another (None: open)."""

    unit: str
    role: str
    official: str
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """Somebody is away (请假、出差) from one instant to another; `substitute` stands in, None: nobody does."""

    official: str
    substitute: str | None
    from_at: datetime | None = None
    to_at: datetime | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody, as of one reading. `administrators` are the last resort of every chain.

    `stopped` are the channels (by name) over which a person wants no more messages (退订, STOP).
    """

    officials: Mapping[str, Official] = field(default_factory=dict[str, Official])
    units: Mapping[str, OfficeUnit] = field(default_factory=dict[str, OfficeUnit])
    posts: tuple[Post, ...] = ()
    administrators: tuple[str, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    stopped: Mapping[str, frozenset[str]] = field(default_factory=dict[str, "frozenset[str]"])


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
    """One test of a case field or of the history: `kind: 求决`, `litigation: false`, `level: [省, 市]`, `light: red`.

    Any of `values` fits. `at_least` and `at_most` compare figures instead (`handbacks: {at_least: 2}`); then `values`
    is empty.
    """

    field: str
    values: tuple[Scalar, ...] = ()
    negate: bool = False
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class ActRule:
    """What signing for it begins: so long after, something is to be done with the case; who is told otherwise."""

    within: Duration
    otherwise: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A step wants an acknowledgement (签收): the milestone that shows it, how long, and who is told otherwise.

    With `then` the acknowledgement starts a clock of its own: within so long, something is to be done.
    """

    within: Duration
    otherwise: tuple[str, ...]
    milestone: str = "acknowledged_at"
    then: ActRule | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A step comes again every so often, at most `times` more times."""

    every: Duration
    times: int


class CatchUp(StrEnum):
    """What becomes of a step that fell due while nobody looked (design invariant 4)."""

    LATEST = "latest"  # folded into the latest step that fell due: one message for all of them
    EACH = "each"  # sent all the same, each with its own message
    SKIP = "skip"  # not sent any more


class InDoubt(StrEnum):
    """What becomes of a message that perhaps went out, where the provider cannot say whether it did."""

    RESEND = "resend"  # once more, marked as a possible duplicate
    ANOTHER_WAY = "another_way"  # not again over this channel: the next one, or the next person up


@dataclass(frozen=True, slots=True)
class Via:
    """Which channels (or kinds of address) a step uses: all of them, or one after the other.

    `in_order`: the first; if it fails, or no receipt came within `wait`, the next.
    """

    channels: tuple[str, ...]
    in_order: bool = False
    wait: Duration | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a ladder (梯级): when, to whom, which text.

    `via` None means the policy's default. `issue` names a document (催办单) the message announces. The step speaks if
    every condition of `when` holds at its moment and none of `unless`. `may_wake` is the basis on which it passes
    quiet hours, empty: it does not.
    """

    id: str
    at: Moment
    to: tuple[str, ...]
    say: str
    cc: tuple[str, ...] = ()
    via: Via | None = None
    repeat: Repeat | None = None
    acknowledge: Acknowledge | None = None
    issue: str | None = None
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    catch_up: CatchUp = CatchUp.LATEST
    may_wake: str = ""
    in_doubt: InDoubt = InDoubt.RESEND


@dataclass(frozen=True, slots=True)
class Lights:
    """How long before the limit the light changes; red is past the limit.

    `titles` are what the office calls its lights where it has names of its own: `yellow` may be 蓝灯.
    """

    yellow: Duration
    orange: Duration
    titles: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Ladder:
    """The steps (阶梯) that follow one limit."""

    id: str
    lights: Lights
    steps: tuple[Step, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A further end beside the limit itself: a milestone (`limit_at`), or so long after one (`registered_at + 30 日`).

    A length after a milestone is added without roll, to the second: so the platforms compute theirs.
    """

    milestone: str
    after: Duration | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The limit comes again every so often after its first end (每月答复), on the same day, until a milestone."""

    every: Duration
    until: tuple[str, ...] = ()
    at_most: int = 120


@dataclass(frozen=True, slots=True)
class PauseRule:
    """Which pauses count: by whom approved (roles), whether a basis must be written, how long at most."""

    approved_by: tuple[str, ...] = ()
    basis: bool = False
    up_to: Duration | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One time limit (时限规定). `start` and `done` name milestones: the first that is there counts.

    A name `<limit>.done` or `<limit>.due` in `start` chains it to another limit of the same policy. Of `within` and
    `or_within` the earliest end counts. Of the `platform_due` bounds the earliest that is there counts.
    `per_holder` gives every unit that receives the case a clock of its own, from its receipt (条例第二十三条第三款).
    With `set_by` the end is set for each case (指定办理期限, 条例第二十二条第一款第三项): the first of these milestones
    that is there is the end, as it stands, and `within` is nought. With `after_close` it runs on when the shared
    database has closed the case (feedback, call-backs).
    """

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
    platform_due: tuple[Bound, ...] = ()
    excludes: tuple[str, ...] = ()
    applies_to: tuple[Condition, ...] = ()
    enabled: bool = True
    or_within: tuple[Duration, ...] = ()
    per_holder: bool = False
    recur: Recurrence | None = None
    pause: PauseRule | None = None
    set_by: tuple[str, ...] = ()
    after_close: bool = False


@dataclass(frozen=True, slots=True)
class FirstHandlerRule:
    """Which milestone freezes the first handler, and from which light he stays informed after a transfer.

    More hand-backs than `handbacks_allowed` are told to `shirking_to` (推诿). With `inherit`, a case that repeats an
    earlier one has that case's first handler (重复信访回到首办).
    """

    freeze_at: tuple[str, ...] = ("accepted_at",)
    stays_informed: str | None = None
    handbacks_allowed: int | None = None
    shirking_to: tuple[str, ...] = ("inspector",)
    inherit: bool = False


@dataclass(frozen=True, slots=True)
class RestrictedRule:
    """Who alone may hear of a restricted case (纪检、检举): officials by key, and the text without content they get."""

    recipients: tuple[str, ...] = ()
    say: str = "restricted"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """免打扰: from one wall-clock time to another (over midnight if `to` is earlier), messages wait.

    What is held goes out at `to` of the next working day, or of the next day if the limit ends before.
    """

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class DigestRule:
    """Messages of these lights to one person at one moment become one (汇总), from `at_least` of them on.

    With `at` they wait for the next of these hours on a working day (汇总时段).
    """

    lights: tuple[str, ...] = ("green", "yellow")
    at_least: int = 2
    at: tuple[time, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What people may choose themselves: among which kinds or channels, and for messages of which lights."""

    channels: tuple[str, ...]
    lights: tuple[str, ...] = ("green", "yellow", "orange")


@dataclass(frozen=True, slots=True)
class Policy:
    """One supervision policy (督办策略): which cases, which limits, which ladders; `roles` are the titles of roles.

    `named` are the roles whose holder the case itself names (包案领导), each with the field that holds his key.
    `legs` are the ways up the chain goes (`functional`, `territorial`, or both); the territorial one begins at the unit
    whose area is the case's field `place`. Whoever stands above the role `release_above` in `chain`, or in a unit above
    the one where that role was found, gets a message only once a human released it; None: no release is needed.
    A `dark` policy decides everything and sends nothing. Without a `choice` nobody's preference counts.
    """

    id: str
    title: str
    limits: tuple[Limit, ...]
    ladders: Mapping[str, Ladder]
    applies_to: tuple[Condition, ...] = ()
    first_handler: FirstHandlerRule = field(default_factory=FirstHandlerRule)
    chain: tuple[str, ...] = ("first_handler", "section_head", "deputy_leader", "principal")
    via: Via = Via(("sms", "email"))
    calendar: str = ""
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    named: Mapping[str, str] = field(default_factory=dict[str, str])
    legs: tuple[str, ...] = ("functional",)
    place: str = "place"
    release_above: str | None = "principal"
    restricted: RestrictedRule = field(default_factory=RestrictedRule)
    quiet: QuietHours | None = None
    digest: DigestRule | None = None
    dark: bool = False
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """One message a trial expects: on the office's day or at the minute `at`, of that step, to that role or person."""

    at: datetime
    step: str
    to: str | None = None
    limit: str | None = None
    channel: str | None = None
    whole_day: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """One entry of `tests:` in a policy file: a case as it changes, until when we look, and what must be sent.

    `facts` are the case from each instant on, in time. `dues` are the office's days on which limits must end, by the
    limit's name or that of one of its clocks (`notify.2`). `silent` means that nothing at all may be sent. With
    `expects`, whatever is sent and not expected fails; without, the messages are not compared. The roles in `absent`
    are vacant in the invented office the trial plays in.
    """

    name: str
    policy: str
    facts: tuple[tuple[datetime, Case], ...]
    until: datetime
    expects: tuple[Expected, ...] = ()
    dues: Mapping[str, date] = field(default_factory=dict[str, "date"])
    absent: tuple[str, ...] = ()
    silent: bool = False
    index: int = 0


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force, with the hash of what they were read from, and the trials written beside them."""

    version: str
    policies: Mapping[str, Policy]
    trials: tuple[Trial, ...] = ()


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


RUNNING = frozenset({ObligationState.OPEN, ObligationState.PAUSED})  # the case may still come back to it


@dataclass(frozen=True, slots=True)
class Obligation:
    """One limit running on one case (在办时限).

    `deadline_version` grows when the limit moves so that the ladder starts anew (extension, corrected start,
    other platform limit); a recount that leaves the light as it was keeps it (domain statement 25). `instance`
    tells several clocks of one limit apart (one per holder); empty for the only one.
    `start_assumed` is true when a fallback milestone was used as the start. `recount_at` is when the case must be
    counted again though its facts are the same (the next instance of a recurring limit). `review_at` is when a parked
    one comes back. `holder_unit` and `holder_official` are whose clock it is, for a limit per holder.
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
    recount_at: datetime | None = None
    review_at: datetime | None = None
    holder_unit: str | None = None
    holder_official: str | None = None

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
    present deadline version. `light` is the last one recorded. `breached_at` is set once the legal limit passed,
    `platform_breached_at` once the platform's did. `receptions` tells of the notices sent so far, by step; it is not
    kept with the obligation but read from the outbox for policies that ask.
    """

    decided_until: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    light: Light | None = None
    breached_at: datetime | None = None
    platform_breached_at: datetime | None = None
    receptions: Mapping[str, Reception] = field(default_factory=dict[str, "Reception"])


@dataclass(frozen=True, slots=True)
class Reception:
    """Three of the four facts about what a step sent, each by whoever was first; the fourth, acted, is the case's.

    Delivered: the provider says so. Read: the reader's program says so. Acknowledged (签收): he said so himself.
    """

    delivered_at: datetime | None = None
    read_at: datetime | None = None
    acknowledged_at: datetime | None = None


class Why(StrEnum):
    """The closed list of reasons for a step taken or not taken."""

    DUE = "due"  # the step's moment has come
    CAUGHT_UP = "caught_up"  # the latest of several missed steps, sent for all of them
    MISSED = "missed"  # folded into a later step after an outage
    NOT_YET = "not_yet"
    ACTED = "acted"  # the step was only for want of anything done since it was signed for
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
    NOT_WANTED = "not_wanted"  # a condition of the step (`when`, `unless`) keeps it silent
    SKIPPED = "skipped"  # missed, and its catch-up rule says to leave it
    DELEGATED = "delegated"  # away: the substitute gets it
    RECUSED = "recused"  # must not hear of the case (回避): the next one up gets it
    RELEASE = "release"  # goes above the leader: waits for a human's release
    QUIET = "quiet"  # waits for the end of the quiet hours
    GATHERED = "gathered"  # waits for the hour at which messages to one person leave as one
    SHIRKING = "shirking"  # handed back more often than allowed (推诿)
    REVIEW = "review"  # a parked case comes back
    HANDED_OVER = "handed_over"  # the holder's clock ended because another holds the case now
    PREFERENCE = "preference"  # he gets it over the channel he chose
    PLATFORM_BREACH = "platform_breach"  # the platform's limit passed


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
    `expires_at` is when the next step of the ladder takes over: no retry runs past it. `hold_until` is the end of the
    quiet hours, or the hour of the digest, it waits for; `may_wake` the basis on which it did not wait. `digest`: it
    may be put into one message with others for that person. `instead` are the channels to try next, one after the
    other, if this one fails or brings no receipt within `wait`. `release`: it waits for a human's release. `dark`: it
    is never sent.
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
    hold_until: datetime | None = None
    may_wake: str = ""
    digest: bool = False
    instead: tuple[str, ...] = ()
    wait: timedelta | None = None
    release: bool = False
    dark: bool = False


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
