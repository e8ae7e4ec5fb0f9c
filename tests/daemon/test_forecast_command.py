"""`duban forecast`: how much leaves over each channel, what it costs, whose budget is short."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from daemon.budget import Rule, Spending
from daemon.cli import main
from daemon.cli.forecast import forecast_of
from daemon.foresight.lines import MESSAGE, Line
from daemon.foresight.sending import Outlook, outlook
from daemon.medium import Budget, Medium
from daemon.settings import load
from daemon.store.values import DeliveryState
from support.office import Office, build_office
from support.running_office import SHANGHAI, at, running_office

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NINE = datetime(2026, 10, 8, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def line(number: int, when: datetime = NINE, **more: Any) -> Line:
    """A foretold text to one person."""
    told = {"light": "yellow", "person": "h0", "channel": "sms", "parts": 1, "key": f"n{number}", "merges": True,
            "words": f"w{number}", "expires": micros(when + 3 * DAY)}  # fmt: skip
    return Line(micros(when), f"XF{number}", MESSAGE, "office", "notify", "", **{**told, **more})


def micros(when: datetime) -> int:
    """As lines have it."""
    return (when - EPOCH) // timedelta(microseconds=1)


def foretold(lines: list[Line], budget: Budget | None, spent: list[Spending] | None = None, days: int = 1) -> Outlook:
    """What leaves over the only channel."""
    shown = (NINE - timedelta(hours=1), NINE + days * DAY)
    media = {"sms": Medium(budget=budget)}
    return outlook(lines, media, lambda _: 2, {"sms": spent or []}, shown[0], shown)["sms"]


def test_without_a_budget_everything_leaves_as_the_policy_wants() -> None:
    """Twelve notices of which four make a digest are nine messages."""
    found = foretold([line(n, digest=n < 4) for n in range(12)], None)
    assert (found.total.notices, found.total.messages, found.total.parts, found.total.over) == (12, 9, 9, 0)


def test_what_exceeds_is_merged() -> None:
    """Ten notices and room for eight: two exceed, all leave in one message."""
    found = foretold([line(n) for n in range(10)], Budget(per_person=8, reserve=0))
    assert (found.total.notices, found.total.messages, found.total.over) == (10, 1, 2)
    assert (found.merged, found.put_off, found.refused) == (10, 0, 0)
    assert found.people == {"h0": 2}
    assert found.rules == {Rule.PER_PERSON: 2}


def test_red_beyond_the_budget_goes_another_way_and_the_rest_waits() -> None:
    """Two red ones, room for one: the other is refused; a yellow one waits until tomorrow and leaves then."""
    lines = [line(0, urgent=True, merges=False), line(1, urgent=True, merges=False), line(2)]
    found = foretold(lines, Budget(per_person=1, reserve=0), days=2)
    assert (found.refused, found.put_off) == (1, 1)
    assert (found.total.notices, found.total.messages) == (3, 2)


def test_what_is_spent_already_counts() -> None:
    """Of a budget of two, two were sent an hour ago."""
    spent = [Spending(f"s{n}", "h0", NINE - timedelta(hours=1), f"s{n}") for n in range(2)]
    assert foretold([line(0)], Budget(per_person=2, reserve=0), spent).put_off == 1


def test_the_hour_in_which_most_leaves() -> None:
    """Five at nine and one an hour later: nine is the peak; both hours are told."""
    found = foretold([*(line(n) for n in range(5)), line(9, NINE + timedelta(hours=1))], None)
    assert found.peak is not None
    assert (found.peak[0], found.peak[1].notices) == (NINE, 5)
    assert [one.notices for one in found.by_hour().values()] == [5, 1]


# --- the command ----------------------------------------------------------------------------------------------------


def duban(office: Office, *arguments: str, language: str = "zh") -> Result:
    """Run the command."""
    environment = {"DUBAN_LANG": language, "COLUMNS": "160"}
    result = CliRunner(env=environment).invoke(main, ["forecast", *arguments, "-c", str(office.configuration)])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Forty cases that arrived just now, four of each handler, whose texts are on a budget and have a price."""
    arrived = datetime.now(SHANGHAI).replace(tzinfo=None, microsecond=0)
    found = build_office(tmp_path / "office", cases=40, arrived=arrived, calendar="weekdays")
    found.change(
        "duban.yaml", "    type: http\n", "    type: http\n    price: 0.05\n    budget: {per_person: 3, reserve: 0}\n"
    )
    return found


def test_the_first_day_of_an_office(office: Office) -> None:
    """Forty assignments want to leave today; of each handler's four one exceeds, and they leave merged."""
    told = json.loads(duban(office, "--json").stdout)["channels"]["sms"]
    assert (told["notices"], told["over_budget"], told["merged"], told["messages"]) == (40, 10, 40, 10)
    assert told["cost"] == pytest.approx(told["parts"] * 0.05)
    said = duban(office).stdout
    assert "短信：今天" in said
    assert "需发 40 条，超预算 10 条：40 条合并发出" in said
    assert "超预算的人（10）" in said
    assert "10 over the budget" in duban(office, language="en").stdout


def test_hour_by_hour(office: Office) -> None:
    """A row for each hour, in the table and as JSON."""
    assert "每小时" in duban(office, "--by", "hour").stdout
    (hour,) = json.loads(duban(office, "--by", "hour", "--json").stdout)["channels"]["sms"]["hours"]
    assert hour["notices"] == 40


def test_nothing_is_changed_by_asking(office: Office) -> None:
    """No store is made where there was none."""
    duban(office)
    assert not (office.folder / "duban.db").exists()


async def test_what_is_foretold_is_what_leaves(tmp_path: Path, sqlite_store_url: str) -> None:
    """For three weeks: as many notices, none refused; two loops merge what each has, so that it is a few more."""

    def prepare(world: Office) -> None:
        world.change("policies/office.yaml", "via: [sms, email]", "via: [sms]")
        world.change("duban.yaml", "    type: http\n", "    type: http\n    budget: {per_person: 3, reserve: 0}\n")

    async with running_office(tmp_path, sqlite_store_url, cases=40, prepare=prepare) as world:
        await world.node.sync()
        now, path = world.clock.now(), world.office.configuration
        found = forecast_of(load(path), path, now, now, at("2026-10-09 08:00")).outlooks["sms"]
        await world.live_until("2026-10-09 08:00")
        sent = world.store.deliveries(states=[DeliveryState.ACCEPTED], limit=10_000)
        assert found.total.notices == len(sent) == len(world.store.deliveries(limit=10_000))
        assert (found.refused, found.put_off) == (0, 0)
        assert found.total.messages <= len(world.texts.messages) <= 2 * found.total.messages


def test_of_a_shared_channel_each_provider_has_a_row(office: Office) -> None:
    """By weight: three of four notices go over the first, and count against its budget alone."""
    text = office.configuration.read_text("utf-8")
    begin, end = text.index("  sms:\n"), text.index("administrators:")
    shared = """  first: {type: spool, directory: spool/first, budget: {per_person: 1, reserve: 0}}
  second: {type: spool, directory: spool/second, price: 0.1}
  sms: {type: shared, providers: {first: 3, second: 1}}
"""
    office.write("duban.yaml", text[:begin] + shared + text[end:])
    told = json.loads(duban(office, "--json").stdout)["channels"]
    assert "sms" not in told
    assert told["first"]["notices"] + told["second"]["notices"] == 40
    assert told["first"]["notices"] > 2 * told["second"]["notices"]
    assert told["first"]["over_budget"] > 0
    assert told["second"]["over_budget"] == 0
    assert told["second"]["cost"] == pytest.approx(told["second"]["parts"] * 0.1)
