"""PostgreSQL relatives (Kingbase, openGauss): `postgresql+compat://…`, PostgreSQL's protocol with another version text.

SQLAlchemy reads the server's version from `version()` and gives up on `KingbaseES V008R006…` or `(openGauss 5.0.0…)`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

if TYPE_CHECKING:
    import sqlalchemy as sa

OLDEST = (9, 2)  # what these products branched off from: SQLAlchemy then uses no newer feature
POSTGRESQL_VERSION = re.compile(r"(?:PostgreSQL|EnterpriseDB) (\d+)\.?(\d+)?(?:\.(\d+))?")


class CompatDialect(PGDialect_psycopg):
    """psycopg, for servers whose version text is not PostgreSQL's."""

    driver = "compat"
    supports_statement_cache = True

    def _get_server_version_info(self, connection: sa.Connection) -> Any:  # noqa: ANN401 - as in the base class
        return version_in(str(connection.exec_driver_sql("select pg_catalog.version()").scalar()))


def version_in(text: str) -> tuple[int, ...]:
    """The PostgreSQL version a server's text names; the oldest common one if it names none."""
    match = POSTGRESQL_VERSION.match(text)
    return tuple(int(part) for part in match.groups() if part) if match else OLDEST
