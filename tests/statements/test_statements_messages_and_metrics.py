"""Statements 44 to 48 of the domain rules: parts, private values, rates, and a record nobody can alter."""

from __future__ import annotations

import io
import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from channels.wire.sms import sms_parts, sms_units
from daemon.errors import SettingsError
from daemon.settings import load
from daemon.store import Store
from daemon.store.values import DeliveryState
from daemon.telemetry import set_up
from policies.beforehand.metrics import Outcome, Rate, tally
from support.office import Office, build_office
from support.running_office import CASE, running_office

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

POLICY = "policies/office.yaml"
SEPTEMBER, OCTOBER = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 10, 5, tzinfo=UTC)
DUE = datetime(2026, 9, 20, tzinfo=UTC)
DAY = timedelta(days=1)


# --- what a text message costs, and what it may never hold ---------------------------------------------------------


@pytest.mark.parametrize(("units", "parts"), [(70, 1), (71, 2), (134, 2), (135, 3), (160, 3), (201, 3), (202, 4)])
def test_statement_44_parts_are_counted_as_carriers_do(units: int, parts: int) -> None:
    """70 units are one part, more are cut into 67 each; the character 𠮷 is two units."""
    assert sms_parts("督" * units) == parts
    assert sms_units("𠮷") == 2
    assert sms_parts("𠮷" * (units // 2) + "督" * (units % 2)) == parts


@contextmanager
def log_lines() -> Generator[io.StringIO]:
    """Everything that is logged meanwhile."""
    handlers, said = logging.root.handlers[:], io.StringIO()
    set_up(said, {})
    try:
        yield said
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers


@pytest.mark.parametrize("value", ["11010519491231002X", "１３９１２３４５６７８", "13912345678", "+86 139 1234 5678"])
async def test_statement_45_a_private_number_is_stopped_before_sending_and_not_logged(
    tmp_path: Path, sqlite_store_url: str, value: str
) -> None:
    """An identity number or a mobile in the words of a text message: nothing leaves, and no record repeats it."""

    def prepare(office: Office) -> None:
        office.change(POLICY, "title: 书面告知", f"title: 书面告知{value}")
        office.change(POLICY, "via: [sms, email]", "via: [sms]")

    async with running_office(tmp_path, sqlite_store_url, prepare=prepare) as world:
        with log_lines() as said:
            assert await world.work() == []
            assert world.texts.messages == []
        outbox = world.deliveries()
        assert {one.state for one in outbox} == {DeliveryState.FAILED}
        assert {one.error for one in outbox} == {"private_content"}
        assert "已拦截" in said.getvalue()
        assert value not in said.getvalue()
        failures = [str(dict(row.body)) for row in world.store.ledger(CASE) if row.kind == "failed"]
        assert failures
        assert not [line for line in failures if value in line]


PETITIONER = "欧阳某某住幸福路九号"


def with_petitioner(office: Office) -> None:
    """A personal column, mapped as such; the text of every template shows all it can."""
    office.execute("ALTER TABLE cases ADD COLUMN petitioner TEXT")
    office.execute("UPDATE cases SET petitioner = ?", PETITIONER)
    office.change(
        "source.yaml",
        "columns: {kind: kind}",
        "columns: {kind: kind, petitioner: {column: petitioner, personal: true}}",
    )


async def test_statement_45_a_personal_value_can_reach_no_message_and_no_record(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    """A personal column is never read into a case: its value is in no message, no ledger, no file of ours."""
    async with running_office(tmp_path, sqlite_store_url, prepare=with_petitioner) as world:
        with log_lines() as said:
            told = await world.live_until("2026-10-15 10:00")
        assert told
        assert not [one for one in told if PETITIONER in one.text]
        assert PETITIONER not in said.getvalue()
        assert "petitioner" not in world.store.cases([CASE])[CASE].case.fields
        await world.node.seal()
    assert not in_files(tmp_path, PETITIONER)
    assert in_files(tmp_path, "承办人0"), "what was read does stand there"


def in_files(folder: Path, value: str) -> list[str]:
    """Which of the store's files hold that value."""
    ours = folder.glob("duban.sqlite*")
    return [path.name for path in ours if value.encode() in path.read_bytes()]


def test_statement_45_no_policy_may_ask_about_a_personal_value(tmp_path: Path) -> None:
    """A condition on a personal column is refused when the policy is loaded: it would need the value."""
    office = build_office(tmp_path / "office", cases=1, arrived=datetime(2026, 9, 16, 10))  # noqa: DTZ001 - local
    with_petitioner(office)
    load(office.configuration)
    office.change(POLICY, "limits:\n", "applies_to: {petitioner: 某}\nlimits:\n")
    with pytest.raises(SettingsError) as refused:
        load(office.configuration)
    assert "petitioner" in refused.value.problems[0].zh


# --- rates ---------------------------------------------------------------------------------------------------------


def test_statement_46_the_on_time_rate_is_of_what_fell_due() -> None:
    """128 fell due, 121 on time, 3 late, 4 still open: 94.53 %; due next month and answered now is in neither part."""
    limits: list[tuple[datetime, datetime | None]] = [(DUE, DUE)] * 121
    limits += [(DUE, DUE + DAY)] * 3
    limits += [(DUE, None)] * 4
    limits.append((OCTOBER + DAY, DUE))
    september = tally(limits, SEPTEMBER, OCTOBER, NOW)
    assert (september[Outcome.ON_TIME], september[Outcome.LATE]) == (121, 3)
    assert (september[Outcome.OPEN], september[Outcome.OPEN_LATE]) == (0, 4)
    assert september.on_time_rate == Rate(121, 128)
    assert str(september.on_time_rate) == "94.53 %"


def test_statement_47_nothing_due_has_no_rate() -> None:
    """An empty denominator is a dash, neither 0 % nor 100 %."""
    assert str(tally([], SEPTEMBER, OCTOBER, NOW).on_time_rate) == "—"
    assert Rate(0, 0).percent is None
    assert str(Rate(0, 3)) == "0.00 %"
    assert str(Rate(3, 3)) == "100.00 %"


# --- the record ----------------------------------------------------------------------------------------------------

WRITES = ("UPDATE ledger SET kind = 'x'", "UPDATE ledger SET at = at WHERE seq = 1", "DELETE FROM ledger")


@pytest.mark.parametrize("statement", WRITES)
async def test_statement_48_no_row_of_the_record_can_be_altered_or_deleted(
    tmp_path: Path, store_url: str, statement: str
) -> None:
    """The database itself refuses, whoever asks; and the record still proves whole."""
    async with running_office(tmp_path, store_url) as world:
        await world.work()
        before = world.store.ledger(CASE)
        engine = sa.create_engine(store_url, poolclass=sa.NullPool)
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()
        assert world.store.ledger(CASE) == before
        assert list(world.store.verify()) == []


def test_statement_48_the_store_offers_no_way_to_alter_the_record() -> None:
    """Of everything the application can ask of the store, what touches the ledger appends, reads, seals or proves."""
    asked = {name for name in vars(Store) if not name.startswith("_")}
    assert {"append", "ledger", "seal", "verify"} <= asked
    assert not [name for name in asked if any(word in name for word in ("delete", "purge", "erase", "truncate"))]


@pytest.mark.parametrize("section", ["", "store"])
@pytest.mark.parametrize("days", ["1 日", "179 日", "180 日", "3 年"])
def test_statement_48_nothing_can_be_told_to_forget(tmp_path: Path, section: str, days: str) -> None:
    """Nothing is ever deleted, so no retention, below 180 days or above, can be set: the key is refused by its name."""
    office = build_office(tmp_path / "office", cases=1, arrived=datetime(2026, 9, 16, 10))  # noqa: DTZ001 - local
    if section:
        office.change("duban.yaml", "store: {", f"store: {{retention: {days}, ")
    else:
        office.change("duban.yaml", "language: zh", f"language: zh\nretention: {days}")
    with pytest.raises(SettingsError) as refused:
        load(office.configuration)
    (problem,) = refused.value.problems
    assert "不认识的配置项“retention”" in problem.zh
    assert "duban.yaml:" in problem.zh


async def test_statement_48_messages_and_decisions_are_kept_for_good(tmp_path: Path, sqlite_store_url: str) -> None:
    """Ten years later everything that was written is still there: no start, no sync, no seal takes a row away."""
    async with running_office(tmp_path, sqlite_store_url) as world:
        await world.live_until("2026-10-15 10:00")
        before = rows_of(sqlite_store_url)
        assert all(before.values())
        await world.restart("2036-10-15 10:00")
        await world.node.full_sync()
        await world.node.seal()
        await world.node.audit()
        after = rows_of(sqlite_store_url)
        assert {name: rows for name, rows in before.items() if not rows <= after[name]} == {}


def rows_of(store_url: str) -> dict[str, set[tuple[Any, ...]]]:
    """What identifies each row of the ledger and the outbox."""
    engine = sa.create_engine(store_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = {
            "ledger": {tuple(row) for row in connection.exec_driver_sql("SELECT case_key, seq, hash FROM ledger")},
            "deliveries": {tuple(row) for row in connection.exec_driver_sql("SELECT id, notice_key FROM deliveries")},
        }
    engine.dispose()
    return found
