"""Run migrations on the connection handed in by `daemon.store.schema`."""

from __future__ import annotations

from alembic import context

from daemon.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
