"""The servers the suites stand on."""

from __future__ import annotations

import sqlalchemy as sa


def _answer(url: str) -> object:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT '𠮷野'").scalar()
    finally:
        engine.dispose()


def test_postgresql_answers(postgresql_url: str) -> None:
    """A fresh PostgreSQL database takes characters of four bytes."""
    assert _answer(postgresql_url) == "𠮷野"


def test_mariadb_answers(mariadb_url: str) -> None:
    """A fresh MariaDB database takes characters of four bytes."""
    assert _answer(mariadb_url) == "𠮷野"
