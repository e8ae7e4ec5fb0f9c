"""`duban outbox release|refuse`, `duban acknowledge`, and what the lists and the status say of it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.store import Store
from daemon.store.values import DeliveryResult, DeliveryState
from policies.model import Directory, Official
from support.office import Office, build_office
from support.store_values import case_change, change, decision, notice, obligation

if TYPE_CHECKING:
    from pathlib import Path

    from policies.model import Notice

CASE = obligation().case_key
NOW = datetime.now(UTC)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An office whose outbox holds one notice of each manner; only the one that woke somebody was sent."""
    built = build_office(tmp_path / "office", cases=0, arrived=datetime(2026, 9, 16, 10), calendar="weekdays")  # noqa: DTZ001 - local
    url = f"sqlite:///{built.folder / 'duban.db'}"
    Store.migrate(url)
    store = Store(url)
    epoch = store.open_worker("node", 1, NOW)
    store.save_cases([case_change(CASE, change(next_check_at=NOW))], NOW)
    (held,) = store.claim_due(epoch, NOW, 1)
    decided = replace(decision(held, *notices(), next_check_at=NOW + timedelta(days=1)), events=())
    store.save_decisions(epoch, [decided], "v1", NOW)
    (woken,) = store.claim_deliveries(epoch, NOW, 5)
    store.record(epoch, [DeliveryResult(woken, DeliveryState.ACCEPTED, NOW)], NOW)
    store.close()
    return built


def notices() -> tuple[Notice, ...]:
    """One of each manner, about one case."""
    return (
        notice("held", release=True, person="principal", expires_at=None),
        notice("late", release=True, person="mayor", expires_at=NOW),
        notice("quiet", hold_until=NOW + timedelta(hours=9), person="later"),
        notice("dark", dark=True),
        notice("woken", may_wake="条例第三十一条", wait=timedelta(minutes=30)),
    )


def duban(office: Office, *arguments: str, language: str = "zh") -> Result:
    """One command over the office's configuration."""
    command = [*arguments, "-c", str(office.configuration)]
    return CliRunner(env={"DUBAN_LANG": language, "COLUMNS": "200"}).invoke(main, command)


def state_of(office: Office, key: str) -> str:
    """How a notice stands."""
    listed = json.loads(duban(office, "outbox", "list", "--json").stdout)
    return next(str(one["state"]) for one in listed if one["key"] == key)


def number_of(office: Office, key: str) -> str:
    """A notice's number."""
    listed = json.loads(duban(office, "outbox", "list", "--json").stdout)
    return next(str(one["id"]) for one in listed if one["key"] == key)


def test_the_list_says_how_each_goes_out(office: Office) -> None:
    """Held, until when it waits, never sent, on which basis it passed, until when a receipt may come."""
    shown = duban(office, "outbox", "list").stdout
    for words in ("待核发", "试运行", "免打扰", "不受免打扰限制：条例第三十一条", "等回执至"):
        assert words in shown
    assert "passes quiet hours" in duban(office, "outbox", "list", language="en").stdout


def test_what_woke_somebody_can_be_listed_alone(office: Office) -> None:
    """Every use of a basis to pass quiet hours, and nothing else."""
    listed = json.loads(duban(office, "outbox", "list", "--woken", "--json").stdout)
    assert [(one["key"], one["may_wake"]) for one in listed] == [("woken", "条例第三十一条")]


@pytest.mark.parametrize(
    ("command", "state", "kind"), [("release", "pending", "released"), ("refuse", "cancelled", "refused")]
)
def test_a_human_decides_on_what_is_held(office: Office, command: str, state: str, kind: str) -> None:
    """By number, with name and reason in the ledger; a second time there is nothing to decide: exit code 1."""
    arguments = ("outbox", command, number_of(office, "held"), "--by", "张主任", "--reason", "已阅")
    assert "已处理 1 条" in duban(office, *arguments).stdout
    assert state_of(office, "held") == state
    with closing(Store(f"sqlite:///{office.folder / 'duban.db'}")) as store:
        (row,) = [row for row in store.ledger(CASE) if row.kind == kind]
    assert (row.actor, row.body["reason"]) == ("张主任", "已阅")
    assert duban(office, *arguments).exit_code == 1
    told = duban(office, "ledger", "show", CASE).stdout
    assert "张主任" in told
    assert "已阅" in told


def test_what_is_not_held_cannot_be_released(office: Office) -> None:
    """Neither what waits for the morning nor what is dark."""
    for key in ("quiet", "dark"):
        before = state_of(office, key)
        assert duban(office, "outbox", "release", number_of(office, key), "--by", "x", "--reason", "y").exit_code == 1
        assert state_of(office, key) == before


def test_what_the_next_step_took_over_from_cannot_be_released_and_says_so(office: Office) -> None:
    """At once, with the reason and exit code 1; list and status do not let it wait for ever."""
    listed = duban(office, "outbox", "list", "--case", CASE).stdout
    assert "不再发出" in listed
    result = duban(office, "outbox", "release", number_of(office, "late"), "--by", "张主任", "--reason", "已阅")
    assert (result.exit_code, state_of(office, "late")) == (1, "held")
    assert "下一梯级已于" in result.stderr
    told = json.loads(duban(office, "status", "--json").stdout)["audit"]
    assert (told["held"], told["held_too_long"]) == (1, 1)
    assert "另有 1 条已由下一梯级接替，不再发出" in duban(office, "status").stdout


def test_the_status_counts_what_waits_for_a_release(office: Office) -> None:
    """How many, since when; and dark ones in a column of their own."""
    told = json.loads(duban(office, "status", "--json").stdout)
    assert told["audit"]["held"] == 1
    assert told["audit"]["oldest_held_at"] == NOW.isoformat()
    assert told["counts"]["deliveries"] == {"accepted": 1, "dark": 1, "held": 2, "pending": 1}
    assert "待核发" in duban(office, "status").stdout


def acknowledge(office: Office, official: str, *more: str) -> Result:
    """`duban acknowledge`."""
    with closing(Store(f"sqlite:///{office.folder / 'duban.db'}")) as store:
        people = {key: Official(key, name) for key, name in (("official-1", "承办人甲"), ("other", "旁人"))}
        store.save_directory(Directory(people), NOW)
    return duban(office, "acknowledge", CASE, "--by", official, *more)


def test_an_acknowledgement_by_telephone_is_taken_down_once(office: Office) -> None:
    """By key or by name; asked again: nothing changed. The ledger tells it in words, and the case is looked at now."""
    at = (NOW - timedelta(minutes=5)).astimezone(ZoneInfo("Asia/Shanghai"))
    first = acknowledge(office, "承办人甲", "--how", "phone", "--at", f"{at:%Y-%m-%dT%H:%M:%S}")
    assert (first.exit_code, first.stdout) == (0, "已记录签收。\n")
    assert json.loads(acknowledge(office, "official-1", "--json").stdout)["answer"] == "already"
    assert "承办人甲 签收（电话" in duban(office, "ledger", "show", CASE).stdout
    with closing(Store(f"sqlite:///{office.folder / 'duban.db'}")) as store:
        next_check_at = store.next_check_at()
    assert next_check_at is not None
    assert next_check_at < NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("official", "more", "code"),
    [("other", (), 1), ("没有此人", (), 64), ("official-1", ("--at", "2099-01-01T00:00"), 64)],
)
def test_who_was_told_nothing_or_does_not_exist_cannot_acknowledge(
    office: Office, official: str, more: tuple[str, ...], code: int
) -> None:
    """Each with its sentence and exit code, and nothing is written."""
    result = acknowledge(office, official, *more)
    assert result.exit_code == code, result.output
    with closing(Store(f"sqlite:///{office.folder / 'duban.db'}")) as store:
        assert not [row for row in store.ledger(CASE) if row.kind == "acknowledged"]
