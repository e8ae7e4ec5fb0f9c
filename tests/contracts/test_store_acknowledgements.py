"""Signing for the message one holds (签收), by the numbers of its deliveries. The same on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from daemon.store import Store
from daemon.store.values import Acknowledged, DeliveryResult, DeliveryState
from policies.model import ObligationState
from support.store_values import DAY, NOW, by_key, case_change, change, decision, notice, obligation

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.store.values import LedgerRow
    from policies.model import Notice

MINUTE = timedelta(minutes=1)
CASE = obligation().case_key
HOLDER = "official-1"


def sent(store: Store, *notices: Notice, state: DeliveryState = DeliveryState.ACCEPTED) -> Callable[..., list[int]]:
    """Decide on these notices and send what may go out; the answer gives the numbers of deliveries by their keys."""
    epoch = store.open_worker("node-a", 1, NOW)
    store.save_cases([case_change()], NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    store.save_decisions(epoch, [decision(held, *notices)], "v1", NOW)
    claimed = store.claim_deliveries(epoch, NOW, 5000)
    store.record(epoch, [DeliveryResult(one, state, NOW, reference="R1") for one in claimed], NOW)
    ids = {key: one.id for key, one in by_key(store.deliveries()).items()}
    return lambda *keys: [ids[key] for key in keys]


def signed(store: Store) -> list[str]:
    """The keys of what is signed for."""
    return sorted(key for key, one in by_key(store.deliveries()).items() if one.acknowledged_at is not None)


def told(store: Store, kind: str, case: str = CASE) -> list[LedgerRow]:
    """The ledger's lines of one kind about a case."""
    return [row for row in store.ledger(case) if row.kind == kind]


def close(store: Store) -> None:
    """Nothing of the case runs any more."""
    (known,) = store.obligations()
    done = replace(change(obligation(state=ObligationState.DONE), next_check_at=None, idle_reason="done"), id=known.id)
    store.save_cases([case_change(CASE, done)], NOW)


def test_who_signs_for_a_message_signs_for_what_he_was_sent_until_then(store: Store) -> None:
    """The same over another channel goes with it, what others were sent does not; the case is looked at at once."""
    numbers = sent(store, notice("a"), notice("b", channel="email"), notice("c", person="official-2"))
    (answer,) = store.acknowledge_deliveries(numbers("a"), NOW, "link", NOW + MINUTE).values()
    assert answer is Acknowledged.TAKEN
    assert signed(store) == ["a", "b"]
    assert store.next_check_at() == NOW + MINUTE
    (row,) = told(store, "acknowledged")
    assert (row.actor, row.body["how"], row.body["notices"], row.body["late"]) == (HOLDER, "link", ["a", "b"], False)


def test_what_was_decided_later_is_not_signed_for_with_it(store: Store) -> None:
    """An old link opened late says nothing of the urging that came since."""
    numbers = sent(store, notice("a"))
    epoch = store.open_worker("node-b", 2, NOW)
    later = NOW + 2 * DAY
    (held,) = store.claim_due(epoch, later, 1)
    store.save_decisions(epoch, [decision(held, notice("urge", step="urge", at=later))], "v1", later)
    claimed = store.claim_deliveries(epoch, later, 5)
    store.record(epoch, [DeliveryResult(one, DeliveryState.ACCEPTED, later) for one in claimed], later)
    store.acknowledge_deliveries(numbers("a"), later, "link", later)
    assert signed(store) == ["a"]
    store.acknowledge_deliveries([claimed[0].id], later, "link", later)
    assert signed(store) == ["a", "urge"]


def test_signing_twice_changes_nothing(store: Store) -> None:
    """The second time the answer is already, with no second line in the ledger."""
    numbers = sent(store, notice("a"))
    store.acknowledge_deliveries(numbers("a"), NOW, "link", NOW)
    (answer,) = store.acknowledge_deliveries(numbers("a"), NOW + MINUTE, "link", NOW + MINUTE).values()
    assert answer is Acknowledged.ALREADY
    assert by_key(store.deliveries())["a"].acknowledged_at == NOW
    assert len(told(store, "acknowledged")) == 1


def test_signing_after_others_were_told_is_late(store: Store) -> None:
    """Taken down as it is."""
    head = notice("head", person="official-2", step="remind.unacknowledged")
    numbers = sent(store, notice("a"), head)
    (answer,) = store.acknowledge_deliveries(numbers("a"), NOW + MINUTE, "link", NOW + MINUTE).values()
    assert answer is Acknowledged.LATE


def test_a_closed_case_is_not_signed_for(store: Store) -> None:
    """The answer is closed, and nothing is marked."""
    numbers = sent(store, notice("a"))
    close(store)
    (answer,) = store.acknowledge_deliveries(numbers("a"), NOW, "link", NOW).values()
    assert (answer, signed(store)) == (Acknowledged.CLOSED, [])


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.RETRYING])
def test_what_he_holds_has_arrived_whatever_the_provider_said(store: Store, state: DeliveryState) -> None:
    """Handed over once and said to have failed: whoever has the link has the message."""
    numbers = sent(store, notice("a"), state=state)
    (answer,) = store.acknowledge_deliveries(numbers("a"), NOW, "link", NOW).values()
    assert (answer, signed(store)) == (Acknowledged.TAKEN, ["a"])


def test_what_never_left_is_not_signed_for(store: Store) -> None:
    """That he knows is taken down, no more."""
    numbers = sent(store, notice("a", hold_until=NOW + DAY))
    (answer,) = store.acknowledge_deliveries(numbers("a"), NOW, "link", NOW).values()
    assert (answer, signed(store)) == (Acknowledged.NOT_SENT, [])
    assert len(told(store, "known")) == 1


def test_a_fire_drill_is_acknowledged_though_it_is_about_no_case(store: Store) -> None:
    """Once, with a line in the chain of what is about no case."""
    drill = notice("drill/2026/official-1/sms", case_key="")
    epoch = store.open_worker("node-a", 1, NOW)
    store.add_notices(None, [drill], [], "v1", NOW)
    (one,) = store.claim_deliveries(epoch, NOW, 5)
    store.record(epoch, [DeliveryResult(one, DeliveryState.ACCEPTED, NOW)], NOW)
    answers = [store.acknowledge_deliveries([one.id], NOW, "link", NOW)[one.id] for _ in range(2)]
    assert answers == [Acknowledged.TAKEN, Acknowledged.ALREADY]
    (row,) = told(store, "acknowledged", "")
    assert row.body["notices"] == [drill.key]


def test_who_signs_for_several_cases_waits_for_a_sender_and_keeps_nothing_from_him(postgresql_url: str) -> None:
    """A digest of two cases is signed for while another node has the later case's row and wants the earlier one's."""
    Store.migrate(postgresql_url)
    store, engine = Store(postgresql_url), sa.create_engine(postgresql_url)
    lock = sa.text("SELECT id FROM deliveries WHERE notice_key = :key FOR UPDATE NOWAIT")
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    try:
        store.save_cases([case_change("B"), case_change("A")], NOW)
        for case in "BA":  # the later case has the smaller number
            store.add_notices(None, [notice(case, obligation(case))], [], "v1", NOW)
        epoch = store.open_worker("node-a", 1, NOW)
        claimed = store.claim_deliveries(epoch, NOW, 10)
        ids = [one.id for one in claimed]
        with ThreadPoolExecutor(1) as threads:
            with engine.begin() as sender, engine.connect() as looking:
                sender.execute(lock, {"key": "B"})
                signing = threads.submit(store.acknowledge_deliveries, ids, NOW, "link", NOW)
                while not looking.execute(waiting).scalar() and not signing.done():
                    looking.rollback()
                sender.execute(lock, {"key": "A"})
            assert set(signing.result(30).values()) == {Acknowledged.TAKEN}
    finally:
        engine.dispose()
        store.close()


def test_numbers_that_are_not_there_are_left_out(store: Store) -> None:
    """Nothing is learnt and nothing written."""
    assert store.acknowledge_deliveries([4711], NOW, "link", NOW) == {}
    assert store.message_of(4711) == []


def test_what_went_out_to_somebody_is_found_with_whether_its_case_runs(store: Store) -> None:
    """Signed for or not, the latest first, neither what waits nor what is older nor another's."""
    numbers = sent(store, notice("a"), notice("b"), notice("held", hold_until=NOW + DAY), notice("c", person="other"))
    store.acknowledge_deliveries(numbers("a"), NOW, "link", NOW)
    found = store.sent_to(HOLDER, NOW - DAY)
    assert [(one.delivery.notice.key, one.running) for one in found] == [("b", True), ("a", True)]
    assert store.sent_to(HOLDER, NOW + DAY) == []
    close(store)
    assert {one.running for one in store.sent_to(HOLDER, NOW - DAY)} == {False}


def test_finding_what_a_reply_is_about_reads_an_index(store: Store) -> None:
    """With a few thousand messages of others in the outbox neither question reads them."""
    crowd = [notice(f"n{number:04}", person=f"official-{number % 300}") for number in range(3000)]
    sent(store, *crowd)
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, sql: str, values: Any, *_more: object) -> None:
        asked.append((sql, values))

    with store._database.writing() as connection:
        connection.exec_driver_sql("ANALYZE")
        explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    (one,) = store.deliveries(limit=1)
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    assert len(store.sent_to(one.notice.person, NOW - DAY)) == 10
    assert len(store.message_called(one.sent_as)) == 1
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    wanted = [(sql, values) for sql, values in asked if "deliveries" in sql]
    with store._database.reading() as connection:
        plans = [
            "\n".join(" ".join(map(str, row)) for row in connection.exec_driver_sql(f"{explain} {sql}", values).all())
            for sql, values in wanted
        ]
    assert ["ix_deliveries_went_out" in plans[0], "ix_deliveries_sent_as" in plans[1]] == [True, True], plans
