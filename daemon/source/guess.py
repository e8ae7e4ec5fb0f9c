"""Guess a mapping from the names of tables and columns: for `duban init` only, and always to be checked by a person.

Names come from three families: the national petition platform (pinyin initials such as `xfjbh`), small offices'
tables (`receiptno`, `processtime`), and plain English.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa

from daemon.source.connection import open_engine, reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from daemon.mapping import SourceMapping

KeyPath = tuple[str, ...]
FEWEST_CASE_FIELDS = 3


class Confidence(IntEnum):
    """How sure a guess is: the name of a national field, a name often used so, or a name that only contains one."""

    HIGH = 3
    MEDIUM = 2
    LOW = 1


@dataclass(frozen=True, slots=True)
class Guess:
    """One column that probably is this field."""

    path: KeyPath
    column: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class EntityGuess:
    """The table that probably holds this entity, and its columns."""

    entity: str
    table: str
    columns: tuple[Guess, ...]


# field -> (national names, common names); a common name of four letters or more also counts when only contained
KNOWN: dict[str, dict[KeyPath, tuple[str, str]]] = {
    "cases": {
        ("key",): ("xfjbh", "receiptno caseno case_no case_id unique_key ticket_id ticketno order_no 编号 信访件编号"),
        ("unit",): ("qxjgdm", "servicedept agency department dept unit assigned_group 承办单位"),
        ("handler",): ("blr", "receiver handler assignee owner assigned_to 承办人"),
        ("changed",): ("sjc czsj", "updated_at update_time modified last_modified updatetime 更新时间"),
        ("restricted",): ("issecret isbm", "restricted confidential secret 密级"),
        ("columns", "kind"): ("xfmdlb", "complaint_type case_type category type 类别"),
        ("columns", "litigation"): ("sfssbz", "litigation"),
        ("columns", "urgent"): ("jjbz", "urgent priority 紧急"),
        ("columns", "place"): ("wtsddm", "place area_code region_code 问题属地 属地"),
        ("columns", "repeated"): ("cfxfbz", "is_repeat repeated 重复标志"),
        ("columns", "old_case"): ("jabz", "积案"),
        ("columns", "threat"): ("yybz", ""),
        ("columns", "major"): ("zdjjbz", ""),
        ("earlier",): ("", "earlier_case duplicate_of original_case first_case_no 原信访件编号 初次信访件编号"),
        ("milestones", "registered_at"): ("djsj", "registered_at registertime created_at created_date 登记时间"),
        ("milestones", "forwarded_at"): ("zjzrdwrq", "forwarded_at forward_time 转送时间"),
        ("milestones", "arrived_at"): ("ddzrdwsj", "receivetime received_at arrived_at 收到时间"),
        ("milestones", "accepted_at"): ("zrdwslsj zcslyjrq", "accepted_at accept_time 受理时间"),
        ("milestones", "notified_at"): ("gzsj", "notified_at 告知时间"),
        ("milestones", "objected_at"): ("yysj", "objected_at 异议时间"),
        ("milestones", "acknowledged_at"): ("qssj", "acknowledged_at signed_at 签收时间"),
        ("milestones", "finished_at"): ("bjsj", "actualreplytime closed_date closed_at finished_at 办结时间"),
        ("milestones", "limit_at"): ("xbjzsj xbsj xbjzrq", "processtime due_date due_at deadline limit_at 限办时间"),
        ("milestones", "transfer_limit_at"): ("lzjzsj", ""),
        ("open",): ("bjbz", "status state 办结标志"),
    },
    "units": {
        ("key",): ("jgdm", "unit_id dept_id org_id"),
        ("name",): ("jgmc", "unit_name dept_name org_name"),
        ("parent",): ("sjjgdm", "parent_id parent"),
        ("area",): ("xzqhdm xzqh", "area_code region_code adcode 行政区划 行政区划代码"),
    },
    "officials": {
        ("key",): ("rydm", "user_id staff_id official_id"),
        ("name",): ("xm", "user_name real_name full_name nick_name"),
        ("unit",): ("jgdm", "dept_id unit_id org_id"),
        ("mobile",): ("sjh", "mobile phone phonenumber"),
        ("email",): ("yx", "email mail"),
        ("active",): ("zt", "active enabled"),
    },
    "posts": {
        ("unit",): ("jgdm", "unit_id dept_id org_id"),
        ("role",): ("zw", "role post position"),
        ("official",): ("rydm", "user_id staff_id official_id"),
        ("from",): ("qssj", "from_date start_date valid_from"),
        ("to",): ("jssj", "to_date end_date valid_to"),
    },
    "transfers": {
        ("case",): ("xfjbh", "receiptno case_no case_id ticket_id"),
        ("at",): ("blsj", "transferred_at transfer_time"),
        ("seq",): ("xh", "seq"),
        ("from_unit",): ("cljgdm", "from_unit from_dept"),
        ("to_unit",): ("qxjgdm", "to_unit to_dept"),
        ("to_official",): ("blr", "to_user to_official"),
        ("reason",): ("yy", "reason"),
        ("approved_by",): ("pzr", "approved_by approver"),
        ("kind",): ("blfsdm blfs", "kind action operation movement 办理方式"),
        ("document",): ("wh", "document document_no doc_no 文号"),
        ("decided_at",): ("pzsj", "decided_at approved_at"),
    },
    "extensions": {
        ("case",): ("xfjbh", "receiptno case_no case_id ticket_id"),
        ("days",): ("yqts", "extend_days extension_days"),
        ("decided_at",): ("pzsj", "decided_at approved_at approve_time"),
        ("seq",): ("xh", "seq"),
        ("approved_by",): ("pzr_zw", "approver_role"),
        ("petitioner_told_at",): ("gzxfrsj", "told_at"),
    },
    "pauses": {
        ("case",): ("xfjbh", "receiptno case_no case_id ticket_id"),
        ("from",): ("ztkssj zzkssj gzkssj", "paused_at pause_from suspended_at 中止时间 挂账时间"),
        ("to",): ("ztjssj zzjssj gzjssj", "resumed_at pause_to 恢复时间"),
        ("basis",): ("yj", "basis 依据"),
        ("approved_by",): ("pzr_zw", "approver_role"),
        ("review_at",): ("fhrq", "review_at review_date 复核日期"),
    },
    "delegations": {
        ("official",): ("qjrdm qjr rydm", "absent_id applicant_id staff_id user_id official_id 请假人"),
        ("substitute",): ("dlrdm dlr", "substitute_id substitute delegate_id delegate deputy_id 代理人"),
        ("from",): ("qjkssj kssj qssj", "leave_from from_date start_date valid_from 请假开始"),
        ("to",): ("qjjssj jssj", "leave_to to_date end_date valid_to 请假结束"),
        ("document",): ("qjdh wh", "document document_no doc_no 文号"),
    },
    "recusals": {
        ("case",): ("xfjbh", "receiptno case_no case_id ticket_id"),
        ("official",): ("hbrdm hbry hbr", "recused_id recused_official recused 回避人 回避人员"),
    },
}
NEEDED: dict[str, tuple[KeyPath, ...]] = {
    "cases": (("key",),),
    "units": (("key",), ("name",)),
    "officials": (("key",), ("name",)),
    "posts": (("unit",), ("role",), ("official",)),
    "transfers": (("case",), ("at",), ("to_unit",)),
    "extensions": (("case",), ("days",), ("decided_at",)),
    "pauses": (("case",), ("from",)),
    "delegations": (("official",), ("from",)),
    "recusals": (("case",), ("official",)),
}
LEAVE_TABLE = ("leave", "absence", "delegat", "请假", "代理", "qj", "dlgx", "wcrq")
SHORTEST_CONTAINED = 4


def guess_mapping(mapping: SourceMapping) -> tuple[EntityGuess, ...]:
    """Look at the tables and views and guess. Only the address of `mapping` is used. Raises SourceUnavailable."""
    return guess_from(_columns_by_table(mapping))


def guess_from(columns: Mapping[str, Sequence[str]]) -> tuple[EntityGuess, ...]:
    """The most fitting table for each entity, by the names of its columns; entities nothing fits are left out."""
    guesses: list[EntityGuess] = []
    for entity in KNOWN:
        taken = {guess.table for guess in guesses}
        found = [_fit(entity, table, names) for table, names in columns.items() if table not in taken]
        best = max((fit for fit in found if fit), key=_weight, default=None)
        if best is not None:
            guesses.append(best)
    return tuple(guesses)


def _columns_by_table(mapping: SourceMapping) -> dict[str, list[str]]:
    engine = open_engine(mapping)
    try:
        with reading(engine) as connection:
            inspector = sa.inspect(connection)
            names = [*inspector.get_table_names(), *inspector.get_view_names()]
            return {name: [column["name"] for column in inspector.get_columns(name)] for name in names}
    finally:
        engine.dispose()


def _weight(guess: EntityGuess) -> int:
    return sum(column.confidence for column in guess.columns)


def _fit(entity: str, table: str, names: Sequence[str]) -> EntityGuess | None:
    columns = [guess for path, known in KNOWN[entity].items() if (guess := _find(path, known, names)) is not None]
    sure = {guess.path for guess in columns if guess.confidence > Confidence.LOW}
    if not sure.issuperset(NEEDED[entity]):
        return None
    if entity == "cases" and len(sure) < FEWEST_CASE_FIELDS:
        return None
    if entity == "delegations" and not _is_about_leave(table, sure):
        return None
    return EntityGuess(entity, table, tuple(columns))


def _is_about_leave(table: str, sure: AbstractSet[KeyPath]) -> bool:
    """A substitute, or the table's name: a person and two dates alone are just as well a post."""
    return ("substitute",) in sure or any(word in table.lower() for word in LEAVE_TABLE)


def _find(path: KeyPath, known: tuple[str, str], names: Sequence[str]) -> Guess | None:
    lower = {name.lower(): name for name in names}
    for words, confidence in zip(known, (Confidence.HIGH, Confidence.MEDIUM), strict=True):
        for word in words.split():
            if word in lower:
                return Guess(path, lower[word], confidence)
    for word in known[1].split():
        for name, original in lower.items():
            if len(word) >= SHORTEST_CONTAINED and word in name:
                return Guess(path, original, Confidence.LOW)
    return None
