"""What goes into the store and comes out of it: plain frozen values, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from daemon.replies import Understood
    from policies.model import Case, FirstHandler, History, Notice, Obligation


class DeliveryState(StrEnum):
    """Where a delivery stands; drawn in `docs/states.md`."""

    PENDING = "pending"  # decided, nobody has it
    SENDING = "sending"  # claimed by a worker; on the wire or about to be
    RETRYING = "retrying"  # a temporary failure; waits for `not_before_at`
    IN_DOUBT = "in_doubt"  # perhaps sent: a crash or a lost answer
    ACCEPTED = "accepted"  # the provider took it
    DELIVERED = "delivered"  # the provider says it arrived
    FAILED = "failed"  # will not be sent; fell upward
    CANCELLED = "cancelled"  # the case was closed, extended, transferred or withdrawn before it went out
    HELD = "held"  # waits for a human's release
    DARK = "dark"  # decided under a policy that sends nothing


FINAL = frozenset(
    {
        DeliveryState.ACCEPTED,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.CANCELLED,
        DeliveryState.DARK,
    }
)


# The ledger's words for what the record of movements says; told once, when the facts of a case change.
MOVEMENT_KINDS = frozenset(
    {
        "received",
        "signed_for",
        "accepted",
        "handed_over",
        "co_handling",
        "handback_asked",
        "handback_agreed",
        "returned",
        "closed",
        "record_changed",
        "holder_changed",
        "repeats",
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the ledger (责任台账): what happened to a case, when, by whom. `body` is JSON, no personal data."""

    case_key: str
    kind: str
    at: datetime
    body: Mapping[str, object] = field(default_factory=dict[str, object])
    actor: str = "duban"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """An event as it stands in the chain of its case."""

    id: int
    case_key: str
    seq: int
    at: datetime
    kind: str
    actor: str
    body: Mapping[str, object]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class LedgerFault:
    """The first row of a case's chain (or seal) that is not what it was."""

    case_key: str
    seq: int
    what: str  # changed | removed | inserted | seal


@dataclass(frozen=True, slots=True)
class StoredCase:
    """The last facts we know of a case, so that enforcement goes on while the source is away.

    `policy_version` is the version of the policies it is bound to until it is migrated by an explicit command.
    """

    case: Case
    fingerprint: str
    read_at: datetime
    first_handler: FirstHandler | None = None
    policy_version: str | None = None


@dataclass(frozen=True, slots=True)
class StoredObligation:
    """An obligation with its place in the store. `revision` grows with every change; hand it back with the change."""

    id: int
    obligation: Obligation
    history: History
    next_check_at: datetime | None
    idle_reason: str | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ObligationChange:
    """Insert (`id` None) or overwrite one obligation, with what to look at next.

    `revision` is the one the change was worked out from (`StoredObligation.revision`). A decision worked out from an
    older one is dropped; a sync worked out from an older one keeps the history that was decided meanwhile.
    """

    obligation: Obligation
    history: History
    next_check_at: datetime | None
    idle_reason: str | None = None
    id: int | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Breach:
    """One limit passed (超期): which, when, who answers for it as things stood then. Never removed, only corrected.

    `due` is `legal` or `platform`. `leaders` are posts: unit, role and official. The unit and the official are those
    who held the case at `at`, or whose own clock it was. `title`, `basis` and `policy_version` go into the ledger;
    they are empty when read back. `corrections` were added later, each with its reason and its approver.
    """

    case_key: str
    policy: str
    limit: str
    instance: str
    deadline_version: int
    due: str
    at: datetime
    unit: str | None = None
    official: str | None = None
    first_unit: str | None = None
    first_official: str | None = None
    leaders: tuple[Mapping[str, str | None], ...] = ()
    title: str = ""
    basis: str = ""
    policy_version: str = ""
    id: int | None = None
    recorded_at: datetime | None = None
    corrected_at: datetime | None = None
    corrections: tuple[Mapping[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """One holding of a case, as kept to find the cases of a unit or a person."""

    case_key: str
    number: int
    unit: str | None
    official: str | None
    lead: bool
    from_at: datetime
    to_at: datetime | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """The shared database named another first handler than the one on record, which stays."""

    case_key: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class CaseChange:
    """All that one sync learnt about one case: written in one transaction."""

    stored: StoredCase
    obligations: tuple[ObligationChange, ...] = ()
    events: tuple[Event, ...] = ()
    gone: bool = False
    breaches: tuple[Breach, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What evaluating one claimed obligation came to: written in one transaction with its notices and events.

    `cancel` asks to cancel every notice of the obligation that has not gone out; `postpone_reason` is set when
    evaluating threw, with `next_check_at` a little later.
    """

    change: ObligationChange
    notices: tuple[Notice, ...] = ()
    events: tuple[Event, ...] = ()
    cancel: str | None = None
    breaches: tuple[Breach, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox (待发箱). `sent_as` is `reference_of` the key of the message it leaves in."""

    id: int
    notice: Notice
    state: DeliveryState
    attempts: int
    not_before_at: datetime
    created_at: datetime
    policy_version: str
    reference: str = ""
    error: str = ""
    possible_duplicate: bool = False
    obligation_id: int | None = None
    receipt_due_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    acknowledged_at: datetime | None = None
    provider: str = ""
    doubted_elsewhere: bool = False
    sent_as: str = ""

    def held_too_long(self, now: datetime) -> bool:
        """Whether it waits for a release in vain: the next step of its ladder has taken over."""
        expires_at = self.notice.expires_at
        return self.state is DeliveryState.HELD and expires_at is not None and now >= expires_at


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody gets no more messages over that channel (退订, STOP); `how`: reply, carrier or console."""

    channel: str
    person: str
    since_at: datetime
    how: str


class Acknowledged(StrEnum):
    """What is answered to somebody who acknowledges a case (签收)."""

    TAKEN = "acknowledged"
    ALREADY = "already"  # all he was sent is acknowledged; nothing is written
    LATE = "late"  # taken down, after others had been told that it was wanting
    NOT_SENT = "not_sent"  # nothing meant for him has gone out: taken down that he knows of the case, and no more
    NOT_YOURS = "not_yours"  # nothing about the case was ever meant for him to know
    CLOSED = "closed"  # nothing of the case is running any more


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of one attempt: the new state, and the ledger's line about it.

    `digest` is the key of the message it shared with others, empty if it went alone. `no_receipt_expected`: accepted
    over the last way there is, which never tells of arrival, so that waiting for it would be in vain.
    """

    delivery: Delivery
    state: DeliveryState
    at: datetime
    reference: str = ""
    error: str = ""
    not_before_at: datetime | None = None
    possible_duplicate: bool = False
    digest: str = ""
    no_receipt_expected: bool = False


class Came(StrEnum):
    """What a receipt says became of a message."""

    ACCEPTED = "accepted"  # on its way still; the provider has it
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReceiptTold:
    """A receipt (回执) as it came over a channel. `ours` names the message as we do, `theirs` as the provider does.

    `code` is why it failed, or what else the provider answered; `at` when it happened, by the provider's clock.
    """

    channel: str
    came: Came
    ours: str = ""
    theirs: str = ""
    code: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply (上行) that came over a channel from an official's own address: who, and what was understood.

    `persons` has more than one key only if several share that address. `about` is the `sent_as` of the message it
    answers, where that can be told; `reference` the provider's own id of it.
    """

    channel: str
    persons: tuple[str, ...]
    understood: Understood
    about: str = ""
    reference: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """One row of the inbox (收件箱): when it was heard, how often it was looked at in vain."""

    id: int
    told: ReceiptTold | Reply
    heard_at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row of the shared database that could not be used (毒数据): where, which, why. Values masked."""

    entity: str
    row: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Audit:
    """The minute's proof: every open obligation has a future step or a stated reason for none."""

    open: int
    unaccounted: int  # open, no next check, no reason
    overdue_checks: int  # next check long past
    oldest_check_at: datetime | None
    pending: int
    in_doubt: int
    oldest_pending_at: datetime | None
    held: int = 0  # wait for a human's release
    oldest_held_at: datetime | None = None
    held_too_long: int = 0  # the next step took over while they waited: nobody can let them go any more


@dataclass(frozen=True, slots=True)
class Standing:
    """More numbers for people: deliveries by channel and state, provisional limits, the last seal, the last reading."""

    channels: Mapping[str, Mapping[str, int]]
    provisional: int  # open obligations whose date depends on holidays not announced yet
    sealed_at: datetime | None
    unsealed: int  # rows of the ledger since the last seal
    case_read_at: datetime | None  # when a case was last taken from the source
    inbox: int = 0  # receipts and replies not taken over yet
    workers: tuple[tuple[str, int, datetime], ...] = ()  # (node, pid, last heartbeat) of those not declared dead


@dataclass(frozen=True, slots=True)
class JobBeat:
    """The last good run of a periodic job on a node."""

    job: str
    node: str
    last_ok_at: datetime | None
    last_error: str = ""
    last_error_at: datetime | None = None
