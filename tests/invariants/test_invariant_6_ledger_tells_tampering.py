"""Invariant 6: the ledger is append-only, and verification names the first row changed, removed or inserted."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from daemon.store import Store
from daemon.store.values import Event
from support.store_values import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = ("甲", "乙", "丙")
EXAMPLES = max(settings().max_examples // 10, 10)  # few for every run; `make explore` looks for more
TRIGGERS = ("DROP TRIGGER ledger_refuses_update", "DROP TRIGGER ledger_refuses_delete")

# Who writes, and after which lines the whole is sealed.
WRITINGS = st.lists(st.tuples(st.sampled_from(CASES), st.booleans()), min_size=3, max_size=25)
HANDS = {
    "changed": (
        "UPDATE ledger SET body = '[]' WHERE case_key = :case AND seq = :seq",
        "UPDATE ledger SET at = at + 1 WHERE case_key = :case AND seq = :seq",
        "UPDATE ledger SET kind = 'nothing' WHERE case_key = :case AND seq = :seq",
        "UPDATE ledger SET actor = 'somebody' WHERE case_key = :case AND seq = :seq",
        "UPDATE ledger SET hash = 'forged' WHERE case_key = :case AND seq = :seq",
        "UPDATE ledger SET previous = 'forged' WHERE case_key = :case AND seq = :seq",
    ),
    "removed": ("DELETE FROM ledger WHERE case_key = :case AND seq = :seq",),
    "inserted": (
        (
            "INSERT INTO ledger (case_key, seq, at, kind, actor, body, previous, hash) "
            "SELECT case_key, (SELECT max(seq) + 1 FROM ledger WHERE case_key = :case), "
            "at, kind, actor, body, hash, 'made up' FROM ledger WHERE case_key = :case AND seq = :seq"
        ),
    ),
}


def written(folder: Path, template: Path, writings: Sequence[tuple[str, bool]]) -> tuple[str, dict[str, int]]:
    """A store with those lines; its address and how many each case has."""
    shutil.copy(template, folder / "duban.sqlite")
    url, lengths = f"sqlite:///{folder / 'duban.sqlite'}", dict[str, int]()
    store = Store(url)
    for number, (case, sealed) in enumerate(writings):
        store.append([Event(case, "decided", NOW + timedelta(minutes=number), {"步": number})])
        lengths[case] = lengths.get(case, 0) + 1
        if sealed:
            store.seal(NOW + timedelta(minutes=number))
    assert list(store.verify()) == []
    store.close()
    return url, lengths


def by_hand(url: str, *statements: str, **values: object) -> None:
    """What somebody with the file and all rights does."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values if ":case" in statement else {})
    finally:
        engine.dispose()


@pytest.mark.parametrize(("deed", "statement"), [(deed, one) for deed, several in HANDS.items() for one in several])
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writings=WRITINGS, data=st.data())
def test_the_first_row_touched_is_named_and_no_other_case_is_blamed(
    migrated_sqlite: Path, deed: str, statement: str, writings: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """Any row of any chain, sealed or not, changed, removed or inserted in any way: named by case, number and deed."""
    with tempfile.TemporaryDirectory(prefix="duban-ledger-") as folder:
        url, lengths = written(Path(folder), migrated_sqlite, writings)
        case = data.draw(st.sampled_from(sorted(lengths)))
        seq = data.draw(st.integers(1, lengths[case]))
        by_hand(url, *TRIGGERS, statement, case=case, seq=seq)
        store = Store(url)
        first, *rest = [(fault.case_key, fault.seq, fault.what) for fault in store.verify()]
        store.close()
        assert first == (case, lengths[case] + 1 if deed == "inserted" else seq, deed)
        assert {name for name, _, _ in rest} <= {""}, "only seals may break besides"


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writings=WRITINGS, statement=st.sampled_from([*HANDS["changed"], *HANDS["removed"]]))
def test_the_database_itself_refuses(migrated_sqlite: Path, writings: list[tuple[str, bool]], statement: str) -> None:
    """As it is delivered, with its triggers, no row of the ledger can be changed or deleted."""
    with tempfile.TemporaryDirectory(prefix="duban-ledger-") as folder:
        url, _ = written(Path(folder), migrated_sqlite, writings)
        with pytest.raises(DBAPIError, match="append-only"):
            by_hand(url, statement, case=writings[0][0], seq=1)
