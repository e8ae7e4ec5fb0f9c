"""All tables of the first version, and the ledger's guard against change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_ZERO = sa.text("0")


def upgrade() -> None:
    """Create everything."""
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        _guard_ledger_postgresql()
    else:
        _guard_ledger_sqlite()


def _guard_ledger_sqlite() -> None:
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_refuses_{action.lower()} BEFORE {action} ON ledger "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )


def _guard_ledger_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()"
    )


def _create_tables() -> None:
    op.create_table(
        "beats",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("last_ok_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("last_error_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("job", "node", name=op.f("pk_beats")),
    )
    op.create_table(
        "bookmarks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bookmarks")),
    )
    op.create_table(
        "cases",
        sa.Column("key", _KEY, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_cases")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("notice_key", _KEY, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("obligation_id", sa.BigInteger(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("deadline_version", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("repetition", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("say", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("missed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("copy", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("not_before_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("possible_duplicate", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("notice_key", name=op.f("uq_deliveries_notice_key")),
    )
    op.create_index("ix_deliveries_case_key", "deliveries", ["case_key"], unique=False)
    op.create_index(
        "ix_deliveries_claimed",
        "deliveries",
        ["claimed_by"],
        unique=False,
        sqlite_where=sa.text("claimed_by IS NOT NULL"),
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )
    op.create_index("ix_deliveries_counts", "deliveries", ["channel", "state"], unique=False)
    op.create_index("ix_deliveries_obligation_id", "deliveries", ["obligation_id"], unique=False)
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["not_before_at", "priority", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'retrying', 'in_doubt')"),
        postgresql_where=sa.text("state IN ('pending', 'retrying', 'in_doubt')"),
    )
    op.create_index(
        "ix_deliveries_waiting_of_channel",
        "deliveries",
        ["channel", "not_before_at", "priority", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'retrying', 'in_doubt')"),
        postgresql_where=sa.text("state IN ('pending', 'retrying', 'in_doubt')"),
    )
    op.create_table(
        "directory",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory")),
    )
    op.create_table(
        "first_handler_conflicts",
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("claim", _KEY, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("case_key", "claim", name=op.f("pk_first_handler_conflicts")),
    )
    op.create_table(
        "first_handlers",
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("official", sa.Text(), nullable=True),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.Column("milestone", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("case_key", name=op.f("pk_first_handlers")),
    )
    op.create_table(
        "heads",
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("seq", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("case_key", name=op.f("pk_heads")),
    )
    op.create_table(
        "ledger",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("seq", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("case_key", "seq", name=op.f("uq_ledger_case_key_seq")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "obligations",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("case_key", _KEY, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("deadline_version", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("nominal_due_at", sa.BigInteger(), nullable=False),
        sa.Column("legal_due_at", sa.BigInteger(), nullable=False),
        sa.Column("platform_due_at", sa.BigInteger(), nullable=True),
        sa.Column("start_assumed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("provisional", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("extended", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_until", sa.Text(), nullable=False),
        sa.Column("light", sa.Text(), nullable=True),
        sa.Column("breached_at", sa.BigInteger(), nullable=True),
        sa.Column("next_check_at", sa.BigInteger(), nullable=True),
        sa.Column("idle_reason", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligations")),
        sa.UniqueConstraint(
            "case_key", "policy", "limit_id", "instance", name=op.f("uq_obligations_case_key_policy_limit_id_instance")
        ),
    )
    op.create_index(
        "ix_obligations_claimed",
        "obligations",
        ["claimed_by"],
        unique=False,
        sqlite_where=sa.text("claimed_by IS NOT NULL"),
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )
    op.create_index("ix_obligations_counts", "obligations", ["light", "state"], unique=False)
    op.create_index(
        "ix_obligations_due",
        "obligations",
        ["next_check_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'open' AND claimed_by IS NULL AND next_check_at IS NOT NULL"),
        postgresql_where=sa.text("state = 'open' AND claimed_by IS NULL AND next_check_at IS NOT NULL"),
    )
    op.create_index(
        "ix_obligations_unaccounted",
        "obligations",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'open' AND next_check_at IS NULL AND idle_reason IS NULL"),
        postgresql_where=sa.text("state = 'open' AND next_check_at IS NULL AND idle_reason IS NULL"),
    )
    op.create_table(
        "policy_versions",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_versions")),
    )
    op.create_table(
        "rows_set_aside",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rows_set_aside")),
    )
    op.create_table(
        "seals",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seals")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("epoch", _ID, autoincrement=True, nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
