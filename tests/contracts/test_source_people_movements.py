"""Movements, leave, recusal, places and repeated milestones, read from every kind of database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from daemon.mapping import SourceMapping, TransferRows, movement_of
from daemon.source.guess import guess_from
from policies.model import Delegation, Movement, OfficeUnit
from support.source_shapes import SHANGHAI, OtherSystem, read_all, source_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.source import BadRow
    from daemon.source.database import DatabaseSource

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
TABLES = """
CREATE TABLE xfjxx (xfjbh VARCHAR(30), qxjgdm VARCHAR(12), blr VARCHAR(12), wtsddm INTEGER, yxfjbh VARCHAR(30),
  dfsj VARCHAR(30), sjc VARCHAR(30));
CREATE TABLE blgc (xfjbh VARCHAR(30), blfsdm VARCHAR(12), blsj VARCHAR(30));
CREATE TABLE zbjl (xfjbh VARCHAR(30), blsj VARCHAR(30), qxjgdm VARCHAR(12), blfsdm VARCHAR(20), wh VARCHAR(30),
  tysj VARCHAR(30));
CREATE TABLE ztjl (xfjbh VARCHAR(30), kssj VARCHAR(30), fhrq VARCHAR(30));
CREATE TABLE hbjl (xfjbh VARCHAR(30), rydm VARCHAR(12));
CREATE TABLE jgxx (jgdm VARCHAR(12), jgmc VARCHAR(60), sjjgdm VARCHAR(12), xzqhdm INTEGER, sdsjdm VARCHAR(12));
CREATE TABLE ryxx (rydm VARCHAR(12), xm VARCHAR(60), sjh VARCHAR(20));
CREATE TABLE qjdl (rydm VARCHAR(12), dlr VARCHAR(12), kssj VARCHAR(30), jssj VARCHAR(30), qjdh VARCHAR(30));
INSERT INTO xfjxx VALUES
  ('X1', 'D1', 'P1', 370102, NULL, '2026-10-20 09:00:00', '2026-09-17 10:00:00'),
  ('X2', 'D1', 'P1', NULL, 'X1', NULL, '2026-09-18 10:00:00'), ('X3', 'D1', 'P1', 370102, 'X3', NULL, NULL);
INSERT INTO blgc VALUES ('X1', '40', '2026-11-20 09:00:00'), ('X1', '40', '2026-10-20 09:00:00'),
  ('X1', '40', '2026-09-20 09:00:00'), ('X1', '10', '2026-09-17 10:00:00'), ('X2', '40', '2026-09-21 09:00:00');
INSERT INTO zbjl VALUES ('X1', '2026-09-17 10:00:00', 'D1', '10', 'x-1', NULL),
  ('X1', '2026-09-18 10:00:00', 'D2', '11', NULL, NULL),
  ('X1', '2026-09-19 10:00:00', 'D1', '20', NULL, '2026-09-21 08:00:00'),
  ('X1', '2026-09-20 10:00:00', 'D2', NULL, NULL, NULL), ('X1', '2026-09-21 10:00:00', 'D2', '退回', NULL, NULL),
  ('X1', '2026-09-22 10:00:00', 'D2', 'hand_bak', NULL, NULL),
  ('X1', '2026-09-23 10:00:00', 'D2', '13800000001', NULL, NULL);
INSERT INTO ztjl VALUES ('X1', '2026-09-25 00:00:00', '2027-01-04');
INSERT INTO hbjl VALUES ('X1', 'P2'), ('X1', 'P1'), ('X1', 'P2'), ('X1', 'P9'), ('X2', NULL);
INSERT INTO jgxx VALUES ('D1', '甲区', 'TOP', 370102, 'CITY'), ('D2', '乙科', 'TOP', NULL, NULL),
  ('TOP', '某市信访局', NULL, 370100, NULL),
  ('CITY', '某市', NULL, 370100, 'nowhere'), ('D3', '丙区', 'D1', NULL, 'D4'),
  ('D4', '丁区', NULL, NULL, 'D3');
INSERT INTO ryxx VALUES ('P1', '甲', '13800000001'), ('P2', '乙', '13800000002'), ('P3', '丙', '13800000003');
INSERT INTO qjdl VALUES
  ('P1', 'P2', '2026-09-10', '2026-09-20', 'q-7'), ('P2', NULL, '2026-09-10 08:00:00', NULL, NULL),
  ('P9', 'P2', NULL, NULL, NULL), ('P3', 'P9', NULL, NULL, NULL), ('P3', 'P3', NULL, NULL, NULL),
  ('P3', 'P2', '2026-09-20', '2026-09-10', NULL), (NULL, 'P2', NULL, NULL, NULL)
"""
MAPPING: dict[str, Any] = {
    "cases": {
        "table": "xfjxx",
        "key": "xfjbh",
        "unit": "qxjgdm",
        "handler": "blr",
        "earlier": "yxfjbh",
        "changed": "sjc",
        "columns": {"place": {"column": "wtsddm", "type": "text"}},
        "milestones": {"replied_at": "dfsj"},
    },
    "milestones": {
        "table": "blgc",
        "case": "xfjbh",
        "name": {"column": "blfsdm", "values": {"10": "accepted_at", "40": "replied_at"}},
        "at": "blsj",
    },
    "transfers": {
        "table": "zbjl",
        "case": "xfjbh",
        "at": "blsj",
        "to_unit": "qxjgdm",
        "kind": {"column": "blfsdm", "values": {10: "hand_over", 11: "co_handle", 20: "hand_back"}},
        "document": "wh",
        "decided_at": "tysj",
    },
    "pauses": {"table": "ztjl", "case": "xfjbh", "from": "kssj", "review_at": "fhrq"},
    "recusals": {"table": "hbjl", "case": "xfjbh", "official": "rydm"},
    "units": {
        "table": "jgxx",
        "key": "jgdm",
        "name": "jgmc",
        "parent": "sjjgdm",
        "area": "xzqhdm",
        "area_parent": "sdsjdm",
    },
    "officials": {"table": "ryxx", "key": "rydm", "name": "xm", "mobile": "sjh"},
    "delegations": {
        "table": "qjdl",
        "official": "rydm",
        "substitute": "dlr",
        "from": "kssj",
        "to": "jssj",
        "document": "qjdh",
    },
}


def at(text: str) -> datetime:
    """An instant as a clock in Shanghai shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.fixture(params=["sqlite_url", "postgresql_url", "mariadb_url"])
def everywhere(request: pytest.FixtureRequest) -> Iterator[tuple[OtherSystem, DatabaseSource]]:
    """The same tables on every kind of server, and a source reading them."""
    url: str = request.getfixturevalue(request.param)
    other = OtherSystem(url)
    other.run(TABLES)
    with source_on(url, MAPPING, now=NOW) as source:
        yield other, source


def _no_progress(_entity: str, _done: int, _total: int) -> None:
    """Nobody is watching."""


def told(bad: Sequence[BadRow], entity: str) -> list[tuple[str, str, bool]]:
    """Row, reason and whether it was set aside, for every finding of one entity."""
    return [(one.row, one.reason, one.set_aside) for one in bad if one.entity == entity]


def test_case_has_its_movements_recusals_and_repeated_milestones(
    everywhere: tuple[OtherSystem, DatabaseSource],
) -> None:
    """All that was added to a case comes through every server in the same form."""
    _, source = everywhere
    cases, bad, _ = read_all(source)
    first = cases["X1"]
    assert [(one.kind, one.document, one.decided_at) for one in first.transfers] == [
        (Movement.HAND_OVER, "x-1", None),
        (Movement.CO_HANDLE, None, None),
        (Movement.HAND_BACK, None, at("2026-09-21 08:00:00")),
        (Movement.HAND_OVER, None, None),
        (Movement.RETURN, None, None),
    ]
    assert first.pauses[0].review_at == at("2027-01-04 00:00:00")
    assert first.recused == ("P1", "P2", "P9")
    assert first.series == {
        "replied_at": (at("2026-09-20 09:00:00"), at("2026-10-20 09:00:00"), at("2026-11-20 09:00:00"))
    }
    assert first.milestones["accepted_at"] == at("2026-09-17 10:00:00")
    assert first.fields["place"] == "370102"
    assert (cases["X2"].earlier, cases["X2"].series, cases["X2"].fields["place"]) == ("X1", {}, None)
    assert cases["X3"].earlier is None  # it cannot repeat itself
    transfers = told(bad, "transfers")
    assert [(row, aside) for row, _, aside in transfers] == [("X1", False), ("X1", False)]
    assert "是不是想写“hand_back”？" in transfers[0][1]
    assert "1380" not in transfers[1][1]
    assert told(bad, "recusals")[0] == ("X2", "official：没有写回避人员", False)
    assert source.reread(["X1", "X2", "X3"])[0] == cases


def test_directory_has_leave_and_places(everywhere: tuple[OtherSystem, DatabaseSource]) -> None:
    """Delegations and places come with the directory; what cannot be right is listed, and harms nothing else."""
    other, source = everywhere
    directory, bad = source.read_directory()
    assert directory.delegations == (
        Delegation("P1", "P2", at("2026-09-10 00:00:00"), at("2026-09-20 23:59:59.999999"), "q-7"),
        Delegation("P2", None, at("2026-09-10 08:00:00"), None, None),
        Delegation("P3", None),
        Delegation("P3", None),
    )
    assert [(row, aside) for row, _, aside in told(bad, "delegations")] == [
        ("第 3 行", True),
        ("第 4 行", False),
        ("第 5 行", False),
        ("第 6 行", True),
        ("第 7 行", True),
    ]
    assert directory.units["D1"] == OfficeUnit("D1", "甲区", "TOP", "370102", "CITY")
    assert directory.units["CITY"].area_parent is None
    assert {row for row, _, _ in told(bad, "units")} == {"CITY", "D3", "TOP"}
    other.insert("qjdl", {"rydm": "P1", "dlr": "P3", "kssj": "2026-12-01", "jssj": None, "qjdh": None})
    assert len(source.read_directory()[0].delegations) == len(directory.delegations) + 1
    cases, strangers, _ = read_all(source)
    assert ("X1", "回避人员“P9”不在人员表中，回避不起作用", False) in told(strangers, "recusals")
    assert "X1" in cases


def test_recusal_is_seen_when_the_case_is_read_again(everywhere: tuple[OtherSystem, DatabaseSource]) -> None:
    """A recusal does not touch the case's change time; reading it before a message goes out sees it."""
    other, source = everywhere
    read_all(source)
    other.insert("hbjl", {"xfjbh": "X3", "rydm": "P1"})
    assert source.reread(["X3"])[0]["X3"].recused == ("P1",)


def test_survey_counts_the_new_tables(everywhere: tuple[OtherSystem, DatabaseSource]) -> None:
    """`source check` looks at delegations, recusals and movements, and lists codes nobody translated."""
    _, source = everywhere
    found = {one.entity: one for one in source.survey(1, _no_progress)}
    assert [one.problem.zh for one in found.values() if one.problem] == []
    assert (found["delegations"].rows, found["recusals"].rows) == (7, 5)
    kinds = next(column for column in found["transfers"].columns if column.path == "kind")
    assert set(kinds.codes) == {"退回", "hand_bak", "13800000001"}
    review = next(column for column in found["pauses"].columns if column.path == "review_at")
    assert review.first == at("2027-01-04 00:00:00")


@pytest.mark.parametrize(
    ("word", "kind"),
    [("hand_back", Movement.HAND_BACK), (" Return ", Movement.RETURN), ("协办", Movement.CO_HANDLE), ("复印", None)],
)
def test_words_for_movements(word: str, kind: Movement | None) -> None:
    """The words of the mapping and those of the office mean the same; others mean nothing."""
    assert movement_of(word) is kind


def test_mapping_to_an_unknown_movement_is_refused() -> None:
    """A mistake in the mapping itself is found before anything is read, with the word that was meant."""
    wrong = {"table": "t", "case": "c", "at": "a", "kind": {"column": "k", "values": {"1": "handback"}}}
    with pytest.raises(ValidationError, match="hand_back"):
        TransferRows.model_validate(wrong)


def test_entities_are_all_named() -> None:
    """Whatever is mapped is surveyed, and asked for when the account's rights are checked."""
    assert set(SourceMapping.model_validate({"url": "sqlite://", **MAPPING}).entities()) == set(MAPPING)


def test_new_tables_are_guessed() -> None:
    """Leave, recusal, parking, the place and the kind of movement are recognised by their national names."""
    guesses = guess_from(
        {
            "xfjxx": ["xfjbh", "qxjgdm", "blr", "djsj", "wtsddm", "cfxfbz", "bjbz"],
            "jgxx": ["jgdm", "jgmc", "sjjgdm", "xzqhdm"],
            "gwxx": ["jgdm", "zw", "rydm", "qssj", "jssj"],
            "zbjl": ["xfjbh", "blsj", "qxjgdm", "blfsdm", "wh"],
            "ztjl": ["xfjbh", "ztkssj", "ztjssj", "fhrq"],
            "qjdl": ["rydm", "dlr", "kssj", "jssj", "qjdh"],
            "hbjl": ["xfjbh", "hbry"],
        }
    )
    tables = {guess.entity: guess.table for guess in guesses}
    assert tables == {
        "cases": "xfjxx",
        "units": "jgxx",
        "posts": "gwxx",
        "transfers": "zbjl",
        "pauses": "ztjl",
        "delegations": "qjdl",
        "recusals": "hbjl",
    }
    found = {(guess.entity, *column.path): column.column for guess in guesses for column in guess.columns}
    assert found["cases", "columns", "place"] == "wtsddm"
    assert found["cases", "columns", "repeated"] == "cfxfbz"
    assert found["units", "area"] == "xzqhdm"
    assert found["transfers", "kind"] == "blfsdm"
    assert found["pauses", "review_at"] == "fhrq"


def test_leave_without_substitutes_is_guessed_by_the_name_of_its_table() -> None:
    """A person and two dates are a leave only in a table that says so, else they may be anything."""
    columns = ["staff_id", "from_date", "to_date"]
    assert [guess.entity for guess in guess_from({"staff_leave": columns})] == ["delegations"]
    assert guess_from({"staff_training": columns}) == ()
