"""What comes back: receipts and replies; lanes, shared channels, budgets, and who wants no more messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_WAITING = sa.text("state IN ('pending', 'retrying', 'in_doubt')")
_TO_COME = sa.text("state IN ('pending', 'retrying', 'in_doubt') AND not_before_at > 0")
_SENT_AS = sa.text("sent_as <> ''")
_REFERRED = sa.text("reference <> ''")
_WENT_OUT = sa.text("state IN ('sending', 'in_doubt', 'accepted', 'delivered')")


def upgrade() -> None:
    """Add what is new; everything kept so far stays as it is."""
    for column in (_text("sent_as", ""), _number("lane"), _number("bucket"), _text("provider", "")):
        op.add_column("deliveries", column)
    op.add_column("deliveries", _flag("doubted_elsewhere"))
    # What is not over by then is spread over the buckets; copies and digests keep none waiting who may not wait.
    op.execute(
        "UPDATE deliveries SET bucket = id * 373 % 1000, lane = CASE WHEN priority > 0 THEN 3 ELSE 0 END"
        " WHERE state IN ('pending', 'retrying', 'in_doubt', 'sending', 'held')"
    )
    for name in ("waiting", "waiting_of_channel"):
        op.drop_index(f"ix_deliveries_{name}", "deliveries")
    _index("to_come", ["not_before_at"], _TO_COME)
    _index("waiting_in_lane", ["channel", "lane", "not_before_at", "priority", "id", "person"], _WAITING)
    _index("sent_as", ["sent_as"], _SENT_AS)
    _index("reference", ["reference"], _REFERRED)
    _index("went_out", ["person", "id"], _WENT_OUT)
    _create_tables()


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _instant(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(f"ix_deliveries_{name}", "deliveries", columns, sqlite_where=where, postgresql_where=where)


def _create_tables() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        _text("channel"),
        _text("kind"),
        _text("ours", ""),
        _text("theirs", ""),
        sa.Column("person", _KEY, nullable=True),
        _text("body"),
        _instant("heard_at"),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        _number("tries"),
        sa.Column("told_as", _KEY, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("channel", "told_as", name=op.f("uq_inbox_channel_told_as")),
    )
    op.create_index("ix_inbox_next_try_at", "inbox", ["next_try_at", "id"])
    op.create_index("ix_inbox_heard_at", "inbox", ["heard_at"])
    op.create_table(
        "spendings",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        _text("channel"),
        sa.Column("person", _KEY, nullable=False),
        _instant("at"),
        _text("words"),
        _number("parts"),
        _text("sent_as"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spendings")),
        sa.UniqueConstraint("channel", "sent_as", name=op.f("uq_spendings_channel_sent_as")),
    )
    op.create_index("ix_spendings_person", "spendings", ["channel", "person", "at"])
    op.create_index("ix_spendings_at", "spendings", ["channel", "at"])
    op.create_table(
        "stops",
        sa.Column("channel", _KEY, nullable=False),
        sa.Column("person", _KEY, nullable=False),
        _instant("since_at"),
        _text("how"),
        sa.PrimaryKeyConstraint("channel", "person", name=op.f("pk_stops")),
    )
