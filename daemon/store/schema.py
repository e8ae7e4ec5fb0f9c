"""The revision of the tables: the one this version needs, the one that is there, and the way from one to the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from daemon.errors import SchemaMismatch
from daemon.store.connections import create_file
from policies.text import Text

if TYPE_CHECKING:
    import sqlalchemy as sa

    from daemon.store.connections import Database

_MIGRATION_LOCK = 0x647562616E  # "duban"; an advisory lock of PostgreSQL
_one_at_a_time = threading.Lock()  # Alembic keeps the present migration in a module


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def needed_revision() -> str:
    """The revision this version of duban works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _present_revision(connection: sa.Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def check(database: Database) -> None:
    """Refuse tables of another version. An SQLite file that is not there is not created."""
    needed = needed_revision()
    if database.path is not None and not database.path.exists():
        raise _mismatch("", needed)
    with database.reading() as connection:
        present = _present_revision(connection)
    if present != needed:
        raise _mismatch(present, needed)


def _mismatch(present: str, needed: str) -> SchemaMismatch:
    return SchemaMismatch(
        Text(
            f"自有数据表的版本是 {present or '（还没有建立）'}，本程序需要 {needed}。请运行 duban migrate。",
            f"our tables are at revision {present or '(not created yet)'}, this version needs {needed}. "
            "Run `duban migrate`.",
        )
    )


def _known_revisions(config: Config) -> set[str]:
    return {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}


def _from_elsewhere(present: str) -> SchemaMismatch:
    return SchemaMismatch(
        Text(
            f"自有数据表的版本 {present} 不是本程序认识的版本，多半来自更新的 duban。数据表没有改动；请安装那个版本。",
            f"our tables are at revision {present}, which this version does not know; they probably come from a newer "
            "duban. Nothing was changed: install that version.",
        )
    )


def migrate(database: Database) -> tuple[str, str]:
    """Bring the tables to this version in one transaction, one process at a time; old and new revision."""
    if database.path is not None and not database.path.exists():
        try:
            create_file(database.path)
        except OSError as error:
            raise database.unavailable(f"{error.strerror}: {database.path}") from None
    with database.writing() as connection:
        if database.is_postgresql:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        before = _present_revision(connection)
        config = _config()
        if before and before not in _known_revisions(config):
            raise _from_elsewhere(before)
        config.attributes["connection"] = connection
        with _one_at_a_time:
            command.upgrade(config, "head")
        return before, _present_revision(connection)
