"""Holdings, breaches and past directories: kept, found, and never taken back. The same on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from daemon.store.values import Breach, Decision, Event
from policies.model import Case, Directory, FirstHandler, Official, Post, Transfer
from support.store_values import DAY, NOW, case_change, change, obligation

if TYPE_CHECKING:
    from daemon.store import Store
    from daemon.store.values import CaseChange

KEY = "信〔2026〕1号"
MOVES = (
    Transfer(1, NOW - 9 * DAY, "甲区", "official-1", "信访局", document="交办〔2026〕7号"),
    Transfer(2, NOW - 5 * DAY, "乙区", "official-2", "甲区"),
)
LATE = Breach(
    case_key=KEY,
    policy="xinfang",
    limit="finish",
    instance="",
    deadline_version=1,
    due="legal",
    at=NOW - DAY,
    unit="乙区",
    official="official-2",
    first_unit="甲区",
    first_official="official-1",
    leaders=({"role": "section_head", "unit": "乙区", "official": "official-9"},),
    title="办结",
    basis="信访工作条例第三十四条",
    policy_version="v1",
)


def moved(key: str = KEY, *breaches: Breach, events: tuple[Event, ...] = ()) -> CaseChange:
    """A case that went from the bureau to 甲区 and on to 乙区."""
    case = Case(key, "乙区", "official-2", {"registered_at": NOW - 10 * DAY}, transfers=MOVES)
    plain = case_change(key, events=events)
    return replace(plain, stored=replace(plain.stored, case=case), breaches=breaches)


def test_holdings_are_found_by_unit_and_by_person(store: Store) -> None:
    """Each holding that touches the time asked about, in time; a new reading replaces what was kept of the case."""
    store.save_cases([moved(), moved("b")], NOW)
    held = store.holdings_of(unit="甲区")
    assert [(one.case_key, one.number, one.from_at, one.to_at, one.lead, one.document) for one in held] == [
        (key, 1, MOVES[0].at, MOVES[1].at, True, "交办〔2026〕7号") for key in ("b", KEY)
    ]
    assert [one.case_key for one in store.holdings_of(official="official-2")] == ["b", KEY]
    assert store.holdings_of(unit="甲区", since=MOVES[1].at) == []
    assert store.holdings_of(unit="乙区", until=MOVES[1].at) == []
    store.save_cases([case_change("b")], NOW)
    assert [one.case_key for one in store.holdings_of(unit="甲区")] == [KEY]


def test_a_breach_is_kept_once_with_those_who_answered(store: Store) -> None:
    """Found out twice, by a reading and by a decision: one row, one line in the ledger, the first word counts."""
    store.save_cases([moved(KEY, LATE)], NOW)
    epoch = store.open_worker("node-a", 1, NOW)
    (held,) = store.claim_due(epoch, NOW, 10)
    again = Decision(change(held.obligation, revision=held.revision), breaches=(replace(LATE, unit="丙区"),))
    again = replace(again, change=replace(again.change, id=held.id))
    store.save_decisions(epoch, [again], "v1", NOW)
    (kept,) = store.breaches(case_key=KEY)
    assert replace(kept, id=None, recorded_at=None, title=LATE.title, basis=LATE.basis, policy_version="v1") == LATE
    (line,) = (row for row in store.ledger(KEY) if row.kind == "breached")
    assert line.body["unit"] == "乙区"
    assert line.body["basis"] == "信访工作条例第三十四条"
    assert line.body["leaders"] == [dict(LATE.leaders[0])]
    assert store.record_breaches([LATE], NOW) == 0
    assert store.record_breaches([replace(LATE, due="platform")], NOW) == 1
    assert list(store.verify()) == []


def test_breaches_are_found_by_unit_person_and_time(store: Store) -> None:
    """Those a unit or a person held when the limit passed, whoever the first handler was."""
    store.record_breaches([LATE, replace(LATE, limit="notify", unit="甲区", official=None, at=NOW)], NOW)
    assert [one.limit for one in store.breaches(unit="乙区")] == ["finish"]
    assert [one.limit for one in store.breaches(official="official-2")] == ["finish"]
    assert [one.limit for one in store.breaches(since=NOW)] == ["notify"]
    assert [one.limit for one in store.breaches(until=NOW)] == ["finish"]


def test_a_correction_adds_and_takes_nothing_away(store: Store) -> None:
    """The breach stays as it was, marked; every correction is kept, with a line in the ledger by its author."""
    store.record_breaches([LATE], NOW)
    (before,) = store.breaches(case_key=KEY)
    assert before.id is not None
    for reason in ("登记日期有误", "补充说明"):
        store.correct_breach(
            before.id, reason=reason, approved_by="主要负责人", by="督查专员", document="督〔2026〕1号", now=NOW + DAY
        )
    (after,) = store.breaches(case_key=KEY)
    assert replace(after, corrected_at=None, corrections=()) == before
    assert after.corrected_at == NOW + DAY
    assert [one["reason"] for one in after.corrections] == ["登记日期有误", "补充说明"]
    lines = [row for row in store.ledger(KEY) if row.kind == "corrected"]
    assert [(row.actor, row.body["approved_by"], row.body["document"]) for row in lines] == [
        ("督查专员", "主要负责人", "督〔2026〕1号")
    ] * 2
    assert list(store.verify()) == []


@pytest.mark.parametrize("missing", ["reason", "approved_by", "by"])
def test_a_correction_without_reason_or_approver_is_refused(store: Store, missing: str) -> None:
    """Nothing is written then; nor for a number there is no breach of."""
    store.record_breaches([LATE], NOW)
    (before,) = store.breaches()
    said = {"reason": "登记日期有误", "approved_by": "主要负责人", "by": "督查专员"} | {missing: " "}
    with pytest.raises(ValueError, match="correction"):
        store.correct_breach(before.id or 0, **said, now=NOW)
    assert store.breaches() == [before]
    assert store.correct_breach(4711, reason="x", approved_by="y", by="z", now=NOW) is None


def test_everybody_as_known_then(store: Store) -> None:
    """Each reading that differs is kept without addresses; one that does not adds nothing."""
    old = Directory(
        {"a": Official("a", "科长甲", "甲区", {"sms": "13800000001"})}, posts=(Post("甲区", "section_head", "a"),)
    )
    moved_number = replace(old, officials={"a": Official("a", "科长甲", "甲区", {"sms": "13800000002"})})
    new = replace(old, officials={"b": Official("b", "科长乙", "甲区")}, posts=(Post("甲区", "section_head", "b"),))
    assert store.directory(as_of=NOW) is None
    store.save_directory(old, NOW)
    store.save_directory(moved_number, NOW + DAY)
    store.save_directory(new, NOW + 2 * DAY)
    for at, who, since in (
        (NOW - DAY, "a", NOW),
        (NOW + DAY, "a", NOW),
        (NOW + 2 * DAY, "b", NOW + 2 * DAY),
        (NOW + 9 * DAY, "b", NOW + 2 * DAY),
    ):
        then = store.directory(as_of=at)
        assert then is not None
        assert ([post.official for post in then[0].posts], then[1]) == ([who], since)
        assert all(not one.addresses for one in then[0].officials.values())
    today = store.directory()
    assert today is not None
    assert today[0] == new


def test_movements_told_by_another_node_are_not_told_again(store: Store) -> None:
    """The same facts, taken over by two nodes at once, leave one line about the movement."""
    told = Event(KEY, "handed_over", NOW, {"to_unit": "乙区"})
    store.save_cases([moved(events=(Event(KEY, "seen", NOW), told))], NOW)
    store.save_cases([moved(events=(Event(KEY, "counted", NOW), told))], NOW)
    assert [row.kind for row in store.ledger(KEY)] == ["seen", "handed_over", "counted"]


def test_first_handlers_and_conflicts_are_listed(store: Store) -> None:
    """The first one stays; who was claimed later is a conflict, told with its day."""
    first = FirstHandler(KEY, "甲区", "official-1", NOW - DAY, "accepted_at")
    store.save_cases([case_change(KEY, change(obligation()), first_handler=first)], NOW)
    later = replace(first, unit="乙区")
    for _ in range(2):
        store.save_cases([case_change(KEY, change(obligation()), first_handler=later)], NOW + DAY)
    assert store.first_handlers([KEY, "other"]) == {KEY: first}
    assert [(one.case_key, one.recorded_at) for one in store.first_handler_conflicts(NOW)] == [(KEY, NOW + DAY)]
    assert store.first_handler_conflicts(NOW + 2 * DAY) == []
