"""Who held a case when, breaches that stay, versions of policies that wait their turn, and how a message may go out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_AWAITING_A_LOOK = sa.text("state IN ('open', 'paused') AND claimed_by IS NULL AND next_check_at IS NOT NULL")
_AWAITING_RECEIPT = sa.text("state = 'accepted' AND receipt_due_at IS NOT NULL")


def upgrade() -> None:
    """Add what is new; everything kept so far stays as it is."""
    _add_columns()
    _create_tables()


def _add_columns() -> None:
    for table, columns in _NEW_COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_cases_policy_version", "cases", ["policy_version"])
    op.drop_index("ix_obligations_due", "obligations")
    op.create_index(
        "ix_obligations_due",
        "obligations",
        ["next_check_at", "id"],
        sqlite_where=_AWAITING_A_LOOK,
        postgresql_where=_AWAITING_A_LOOK,
    )
    op.create_index(
        "ix_deliveries_receipt_due_at",
        "deliveries",
        ["receipt_due_at"],
        sqlite_where=_AWAITING_RECEIPT,
        postgresql_where=_AWAITING_RECEIPT,
    )


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=default is None, server_default=default)


def _instant(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=True)


_NEW_COLUMNS: dict[str, tuple[sa.Column[str] | sa.Column[int], ...]] = {
    "cases": (_text("policy_version"),),
    "obligations": (_instant("platform_breached_at"), _text("details", "")),
    "deliveries": (
        _text("manner", ""),
        _instant("receipt_due_at"),
        _instant("delivered_at"),
        _instant("read_at"),
        _instant("acknowledged_at"),
    ),
    "policy_versions": (
        _text("state", "active"),
        _text("proposed_by"),
        _text("approved_by"),
        _instant("approved_at"),
        _instant("active_from_at"),
        _text("note", ""),
    ),
}


def _create_tables() -> None:
    op.create_table(
        "past_directories",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_directories")),
    )
    op.create_table(
        "holdings",
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", _KEY, nullable=True),
        sa.Column("official", _KEY, nullable=True),
        sa.Column("lead", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=True),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("case_key", "number", name=op.f("pk_holdings")),
    )
    op.create_index("ix_holdings_unit", "holdings", ["unit", "from_at"])
    op.create_index("ix_holdings_official", "holdings", ["official", "from_at"])
    _create_breaches()
    op.create_table(
        "reports",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reports")),
    )


def _create_breaches() -> None:
    op.create_table(
        "breaches",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("deadline_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("unit", _KEY, nullable=True),
        sa.Column("official", _KEY, nullable=True),
        sa.Column("leaders", sa.Text(), nullable=False),
        sa.Column("first_unit", sa.Text(), nullable=True),
        sa.Column("first_official", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("corrected_at", sa.BigInteger(), nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaches")),
        sa.UniqueConstraint(
            "case_key",
            "policy",
            "limit_id",
            "instance",
            "deadline_version",
            "due",
            name=op.f("uq_breaches_case_key_policy_limit_id_instance_deadline_version_due"),
        ),
    )
    op.create_index("ix_breaches_unit", "breaches", ["unit", "at"])
    op.create_index("ix_breaches_official", "breaches", ["official", "at"])
