"""The tables. An instant is a whole number of microseconds since 1970 in UTC: exact, indexable, the same everywhere.

(Readable in SQL: `to_timestamp(at / 1e6)` in PostgreSQL, `datetime(at / 1000000, 'unixepoch')` in SQLite.)
Keys are compared byte by byte (`COLLATE "C"`), so that their order is the same in both databases and in Python.
JSON is text that we encode ourselves: compact, keys sorted, Chinese as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # only INTEGER counts up by itself in SQLite
_KEY = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_INSTANT = sa.BigInteger()


def _text(name: str, *, key: bool = False, null: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, _KEY if key else sa.Text(), nullable=null, server_default=default)


def _instant(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _INSTANT, nullable=null)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _identity(name: str = "id") -> sa.Column[int]:
    return sa.Column(name, _ID, primary_key=True, autoincrement=True)


# Predicates of partial indexes. A query must say them word for word, or SQLite will not use the index.
# A paused obligation is looked at if it says when: on the day a parked case is to be reviewed.
AWAITING_A_LOOK = sa.text("state IN ('open', 'paused') AND claimed_by IS NULL AND next_check_at IS NOT NULL")
CLAIMED = sa.text("claimed_by IS NOT NULL")
UNACCOUNTED = sa.text("state = 'open' AND next_check_at IS NULL AND idle_reason IS NULL")
WAITING = sa.text("state IN ('pending', 'retrying', 'in_doubt')")
# The same, as a claim does not say it: an index that cannot serve claims cannot be taken for them by mistake.
TO_COME = sa.text("state IN ('pending', 'retrying', 'in_doubt') AND not_before_at > 0")
SENT_AS = sa.text("sent_as <> ''")
REFERRED = sa.text("reference <> ''")
# What went out, or perhaps did: what a reply may be about, signed for (签收) before or not.
WENT_OUT = sa.text("state IN ('sending', 'in_doubt', 'accepted', 'delivered')")
AWAITING_RECEIPT = sa.text("state = 'accepted' AND receipt_due_at IS NOT NULL")

workers = sa.Table(
    "workers",
    metadata,
    _identity("epoch"),
    _text("node"),
    sa.Column("pid", sa.BigInteger(), nullable=False),
    _text("state"),  # alive | closed | dead
    _instant("opened_at"),
    _instant("beat_at"),
    _instant("ended_at", null=True),
    sqlite_autoincrement=True,  # an epoch is never given twice
)

bookmarks = sa.Table("bookmarks", metadata, sa.Column("name", sa.Text(), primary_key=True), _text("value"))

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("key", _KEY, primary_key=True),
    _text("fingerprint"),
    _text("facts"),
    _instant("read_at"),
    _flag("open"),
    _flag("gone"),
    _text("policy_version", null=True),  # the version this case is bound to until it is migrated
)
sa.Index("ix_cases_policy_version", cases.c.policy_version)

first_handlers = sa.Table(
    "first_handlers",
    metadata,
    sa.Column("case_key", _KEY, primary_key=True),
    _text("unit", null=True),
    _text("official", null=True),
    _instant("frozen_at"),
    _text("milestone"),
    _instant("recorded_at"),
)

first_handler_conflicts = sa.Table(
    "first_handler_conflicts",
    metadata,
    sa.Column("case_key", _KEY, primary_key=True),
    sa.Column("claim", _KEY, primary_key=True),
    _instant("recorded_at"),
)

obligations = sa.Table(
    "obligations",
    metadata,
    _identity(),
    _text("case_key", key=True),
    _text("policy"),
    _text("limit_id"),
    _text("instance"),
    _text("policy_version"),
    _number("deadline_version"),
    _text("state"),
    _instant("start_at"),
    _instant("nominal_due_at"),
    _instant("legal_due_at"),
    _instant("platform_due_at", null=True),
    _flag("start_assumed"),
    _flag("provisional"),
    _flag("extended"),
    _instant("done_at", null=True),
    _text("decided_until"),
    _text("light", null=True),
    _instant("breached_at", null=True),
    _instant("platform_breached_at", null=True),
    _text(
        "details", default=""
    ),  # what few obligations have: whose clock, the next recount, the review of a parked one
    _instant("next_check_at", null=True),
    _text("idle_reason", null=True),
    _number("revision"),
    sa.Column("claimed_by", sa.BigInteger(), nullable=True),
    sa.UniqueConstraint("case_key", "policy", "limit_id", "instance"),
)
sa.Index(
    "ix_obligations_due",
    obligations.c.next_check_at,
    obligations.c.id,
    sqlite_where=AWAITING_A_LOOK,
    postgresql_where=AWAITING_A_LOOK,
)
sa.Index("ix_obligations_claimed", obligations.c.claimed_by, sqlite_where=CLAIMED, postgresql_where=CLAIMED)
sa.Index("ix_obligations_unaccounted", obligations.c.id, sqlite_where=UNACCOUNTED, postgresql_where=UNACCOUNTED)
# Counted from the index alone. The state comes last on purpose: first, SQLite would prefer this index for claims.
sa.Index("ix_obligations_counts", obligations.c.light, obligations.c.state)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _identity(),
    _text("notice_key", key=True),
    _text("case_key", key=True),
    sa.Column("obligation_id", sa.BigInteger(), nullable=True),
    _text("policy"),
    _text("limit_id"),
    _text("instance"),
    _number("deadline_version"),
    _text("step"),
    _number("repetition"),
    _text("person"),
    _text("role"),
    _text("channel"),
    _text("say"),
    _text("why"),
    _instant("at"),
    _text("facts"),
    _text("missed"),
    _instant("expires_at", null=True),
    _flag("copy"),
    _text("policy_version"),
    _instant("created_at"),
    _number("priority"),  # smaller goes first among notices of the same moment
    _text("state"),
    _instant("not_before_at"),
    _number("attempts"),
    _text("reference", default=""),
    _text("error", default=""),
    _flag("possible_duplicate"),
    _text("cancel_reason", null=True),  # asked for while a worker had it
    _text("manner", default=""),  # how it may go out: held until, woken, in a digest, by which channels instead
    _instant("receipt_due_at", null=True),  # accepted, but without a receipt by then the next channel is tried
    _instant("delivered_at", null=True),
    _instant("read_at", null=True),
    _instant("acknowledged_at", null=True),
    sa.Column("claimed_by", sa.BigInteger(), nullable=True),
    _text("sent_as", default=""),  # `reference_of` the message it leaves in: what a receipt names
    _number("lane"),  # smaller goes first: statutory final, overdue, warning, digest
    _number("bucket"),  # where it falls when several providers share a channel by weight
    _text("provider", default=""),  # which of them had it last: the one to ask when in doubt
    _flag("doubted_elsewhere"),  # another of them may have sent it as well
    sa.UniqueConstraint("notice_key"),
)
sa.Index(
    "ix_deliveries_to_come",
    deliveries.c.not_before_at,
    sqlite_where=TO_COME,
    postgresql_where=TO_COME,
)
sa.Index(
    "ix_deliveries_waiting_in_lane",
    deliveries.c.channel,
    deliveries.c.lane,
    deliveries.c.not_before_at,
    deliveries.c.priority,
    deliveries.c.id,
    deliveries.c.person,
    sqlite_where=WAITING,
    postgresql_where=WAITING,
)
sa.Index("ix_deliveries_sent_as", deliveries.c.sent_as, sqlite_where=SENT_AS, postgresql_where=SENT_AS)
sa.Index(
    "ix_deliveries_reference",
    deliveries.c.reference,
    sqlite_where=REFERRED,
    postgresql_where=REFERRED,
)
sa.Index(
    "ix_deliveries_went_out",
    deliveries.c.person,
    deliveries.c.id,
    sqlite_where=WENT_OUT,
    postgresql_where=WENT_OUT,
)
sa.Index("ix_deliveries_claimed", deliveries.c.claimed_by, sqlite_where=CLAIMED, postgresql_where=CLAIMED)
sa.Index("ix_deliveries_obligation_id", deliveries.c.obligation_id)
sa.Index("ix_deliveries_case_key", deliveries.c.case_key)
sa.Index("ix_deliveries_counts", deliveries.c.channel, deliveries.c.state)

sa.Index(
    "ix_deliveries_receipt_due_at",
    deliveries.c.receipt_due_at,
    sqlite_where=AWAITING_RECEIPT,
    postgresql_where=AWAITING_RECEIPT,
)

ledger = sa.Table(
    "ledger",
    metadata,
    _identity(),
    _text("case_key", key=True),
    _number("seq"),
    _instant("at"),
    _text("kind"),
    _text("actor"),
    _text("body"),
    _text("previous"),
    _text("hash"),
    sa.UniqueConstraint("case_key", "seq"),
    sqlite_autoincrement=True,  # seals cover ranges of ids
)

heads = sa.Table("heads", metadata, sa.Column("case_key", _KEY, primary_key=True), _number("seq"), _text("hash"))

seals = sa.Table(
    "seals",
    metadata,
    _identity(),
    _instant("at"),
    sa.Column("last_id", sa.BigInteger(), nullable=False),
    sa.Column("row_count", sa.BigInteger(), nullable=False),
    _text("previous"),
    _text("root"),
    sqlite_autoincrement=True,
)

directory = sa.Table(
    "directory",
    metadata,
    sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
    _text("people"),
    _instant("read_at"),
)

# Everybody as known from an instant on: who held a post when the shared database kept no dates.
past_directories = sa.Table("past_directories", metadata, _identity(), _text("people"), _instant("known_at"))

# Who held a case when, to find the cases of a unit or a person; the ledger is the authority.
holdings = sa.Table(
    "holdings",
    metadata,
    sa.Column("case_key", _KEY, primary_key=True),
    sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
    _text("unit", key=True, null=True),
    _text("official", key=True, null=True),
    _flag("lead"),
    _instant("from_at"),
    _instant("to_at", null=True),
    _text("document", null=True),
)
sa.Index("ix_holdings_unit", holdings.c.unit, holdings.c.from_at)
sa.Index("ix_holdings_official", holdings.c.official, holdings.c.from_at)

# One row per limit passed; never removed. A correction only adds to it.
breaches = sa.Table(
    "breaches",
    metadata,
    _identity(),
    _text("case_key", key=True),
    _text("policy"),
    _text("limit_id"),
    _text("instance"),
    _number("deadline_version"),
    _text("due"),  # legal | platform
    _instant("at"),
    _text("unit", key=True, null=True),
    _text("official", key=True, null=True),
    _text("leaders"),
    _text("first_unit", null=True),
    _text("first_official", null=True),
    _instant("recorded_at"),
    _instant("corrected_at", null=True),
    _text("correction", null=True),
    sa.UniqueConstraint("case_key", "policy", "limit_id", "instance", "deadline_version", "due"),
)
sa.Index("ix_breaches_unit", breaches.c.unit, breaches.c.at)
sa.Index("ix_breaches_official", breaches.c.official, breaches.c.at)

# Reports worked out at night: the last one of each name.
reports = sa.Table("reports", metadata, sa.Column("name", sa.Text(), primary_key=True), _instant("at"), _text("body"))

rows_set_aside = sa.Table(
    "rows_set_aside", metadata, _identity(), _text("entity"), _text("row_key"), _text("reason"), _instant("at")
)

policy_versions = sa.Table(
    "policy_versions",
    metadata,
    sa.Column("version", sa.Text(), primary_key=True),
    _text("files"),
    _instant("since_at"),
    _text("state", default="active"),  # proposed | approved | active | retired
    _text("proposed_by", null=True),
    _text("approved_by", null=True),
    _instant("approved_at", null=True),
    _instant("active_from_at", null=True),
    _text("note", default=""),
)

beats = sa.Table(
    "beats",
    metadata,
    sa.Column("job", sa.Text(), primary_key=True),
    sa.Column("node", sa.Text(), primary_key=True),
    _instant("last_ok_at", null=True),
    _text("last_error", default=""),
    _instant("last_error_at", null=True),
)

# Receipts and replies as providers told them, until they are taken over. No address and no words of a person are kept:
# `person` is the key of the official whose address it was, `body` what was understood.
inbox = sa.Table(
    "inbox",
    metadata,
    _identity(),
    _text("channel"),
    _text("kind"),  # receipt | reply
    _text("ours", default=""),
    _text("theirs", default=""),
    _text("person", key=True, null=True),
    _text("body"),
    _instant("heard_at"),
    _instant("next_try_at", null=True),  # none once it was taken over: kept to be known if it is told again
    _number("tries"),
    sa.Column("told_as", _KEY, nullable=True),  # the provider's own id of it: told twice, kept once
    sa.UniqueConstraint("channel", "told_as"),
)
sa.Index("ix_inbox_next_try_at", inbox.c.next_try_at, inbox.c.id)
sa.Index("ix_inbox_heard_at", inbox.c.heard_at)

# What was handed to a provider, one row per message: the budgets of a number and of a text count these.
spendings = sa.Table(
    "spendings",
    metadata,
    _identity(),
    _text("channel"),
    _text("person", key=True),
    _instant("at"),
    _text("words"),  # a hash of the text
    _number("parts"),
    _text("sent_as"),
    sa.UniqueConstraint("channel", "sent_as"),
)
sa.Index("ix_spendings_person", spendings.c.channel, spendings.c.person, spendings.c.at)
sa.Index("ix_spendings_at", spendings.c.channel, spendings.c.at)

# Who wants no more messages over a channel (退订, STOP), by his own reply or the carrier's word.
stops = sa.Table(
    "stops",
    metadata,
    sa.Column("channel", _KEY, primary_key=True),
    sa.Column("person", _KEY, primary_key=True),
    _instant("since_at"),
    _text("how"),  # reply | carrier | console
)
