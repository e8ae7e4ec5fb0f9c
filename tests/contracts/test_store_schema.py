"""Opening and migrating the store."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from daemon import store as own_store
from daemon.errors import SchemaMismatch, SettingsError, StoreUnavailable
from daemon.sharing import Share
from daemon.store import Store
from daemon.store.tables import metadata
from support.store_values import NOW, notice


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    """The first migration makes the tables, the second finds them; then the store opens."""
    before, after = Store.migrate(empty_url)
    assert before == ""
    assert Store.migrate(empty_url) == (after, after)
    Store(empty_url).close()


def test_nodes_that_migrate_at_once_wait_for_each_other(empty_url: str) -> None:
    """Of nodes that migrate at the same moment one makes the tables, the others find them made."""
    with ThreadPoolExecutor(3) as pool:
        outcomes = sorted(pool.map(lambda _: Store.migrate(empty_url), range(3)))
    assert [before for before, _ in outcomes].count("") == 1


def test_what_waits_at_an_upgrade_goes_out_in_its_lane_over_every_provider(empty_url: str, tmp_path: Path) -> None:
    """Rows of the version before: spread over the providers, what may wait last; what was in doubt is doubted."""
    now, later = NOW, NOW + timedelta(minutes=30)
    new = tmp_path / "new.sqlite"
    Store.migrate(f"sqlite:///{new}")
    with closing(Store(f"sqlite:///{new}")) as filled:
        copies = [notice(f"a{number:02}", copy=True) for number in range(20)]
        filled.add_notices(None, [*copies, *(notice(f"b{number:02}") for number in range(20))], [], "v1", now)
        filled.add_notices(None, [notice("doubtful", channel="email")], [], "v1", now)
        epoch = filled.open_worker("node-a", 1, now)
        filled.claim_deliveries(epoch, now, 1, ["email"])
        filled.close_worker(epoch, now)
    made_at_0002(empty_url)
    copy_deliveries(f"sqlite:///{new}", empty_url)
    assert Store.migrate(empty_url)[0] == "0002"
    with closing(Store(empty_url)) as store:
        epoch = store.open_worker("node-a", 1, later)
        (doubtful,) = store.record(epoch, (), later, 1, ["email"], share=Share("x", range(1000), ("x", "y")))
        assert (doubtful.possible_duplicate, doubtful.doubted_elsewhere) == (True, True)
        halves = [Share("north", range(500), ("north", "south")), Share("south", range(500, 1000), ("north", "south"))]
        north, south = (store.record(epoch, (), later, 99, ["sms"], share=share) for share in halves)
        assert len(north) + len(south) == 40
        assert min(len(north), len(south)) > 0
        for taken in (north, south):
            assert [one.notice.copy for one in taken] == sorted(one.notice.copy for one in taken)


def made_at_0002(url: str) -> None:
    """Tables as the version before made them."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(own_store.__file__ or "").parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()


def copy_deliveries(old: str, new: str) -> None:
    """All rows, without the columns that are not there yet."""
    source, target = (sa.create_engine(url, poolclass=sa.NullPool) for url in (old, new))
    there = sa.Table("deliveries", sa.MetaData(), autoload_with=target)
    with source.connect() as reading, target.begin() as writing:
        rows = reading.execute(sa.select(*(metadata.tables["deliveries"].c[column.name] for column in there.c)))
        writing.execute(sa.insert(there), [dict(row) for row in rows.mappings()])
    source.dispose()
    target.dispose()


def test_the_tables_are_what_the_code_says(store_url: str) -> None:
    """The migrations lead exactly to the tables the code works with."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert difference == []


def test_opening_without_tables_says_what_to_do(empty_url: str) -> None:
    """A store that was never migrated is refused with the command that makes it."""
    with pytest.raises(SchemaMismatch) as caught:
        Store(empty_url)
    assert "duban migrate" in caught.value.message.zh
    assert "duban migrate" in caught.value.message.en


def test_opening_another_revision_names_both(store_url: str) -> None:
    """Tables of another version are refused, naming the revision found and the one needed."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(SchemaMismatch, match=r"9999.*0003"):
        Store(store_url)


def test_a_refused_sqlite_store_is_not_created(tmp_path: Path) -> None:
    """Opening a file that is not there does not leave an empty one behind; migrating makes one only we may read."""
    path = tmp_path / "duban.sqlite"
    with pytest.raises(SchemaMismatch):
        Store(f"sqlite:///{path}")
    assert not path.exists()
    Store.migrate(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("act", [Store, Store.migrate])
def test_a_database_that_does_not_answer(act: object) -> None:
    """The error names the place and never the password."""
    assert callable(act)
    with pytest.raises(StoreUnavailable) as caught:
        act("postgresql://duban:hunter2@127.0.0.1:1/duban")
    for sentence in (caught.value.message.zh, caught.value.message.en, str(caught.value)):
        assert "127.0.0.1:1/duban" in sentence
        assert "hunter2" not in sentence


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """An SQLite file in a missing folder is reported with its path."""
    with pytest.raises(StoreUnavailable, match="missing"):
        Store.migrate(f"sqlite:///{tmp_path / 'missing' / 'duban.sqlite'}")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql+pymysql://a:b@c/d", "sqlite://", "postgresql://u:p@h:port/d"])
def test_an_address_that_is_none(url: str) -> None:
    """An address we cannot keep a store at is a mistake in the settings, told without repeating it."""
    with pytest.raises(SettingsError) as caught:
        Store(url)
    assert "store.url" in caught.value.message.en
