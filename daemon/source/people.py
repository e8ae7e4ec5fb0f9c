"""Officials, units, posts and delegations: read all at once, checked against each other, with every finding listed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import phonenumbers

from daemon.source import BadRow
from daemon.source.picks import pick_bool, pick_instant, pick_text
from daemon.source.rows import fetch, select_columns
from daemon.source.values import BadValue, key_text
from policies.model import Delegation, Directory, OfficeUnit, Official, Post

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import sqlalchemy as sa

    from daemon.mapping import DelegationRows, Entity, OfficialRows, PostRows, SourceMapping, UnitRows
    from daemon.source.rows import Row
    from daemon.source.values import Reading

MAIL_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_BETWEEN = re.compile(r"[\s,，、;；/|]+")
_CALLED = {
    "短信": "sms",
    "手机": "sms",
    "邮件": "email",
    "邮箱": "email",
    "企业微信": "wecom",
    "钉钉": "dingtalk",
    "飞书": "feishu",
}  # how an office calls the kinds of address
Named = TypeVar("Named", Official, OfficeUnit)


def read_directory(
    connection: sa.Connection,
    mapping: SourceMapping,
    reading: Reading,
    administrators: Sequence[Official],
) -> tuple[Directory, tuple[BadRow, ...]]:
    """Everybody the mapping knows, and the administrators of the configuration; what is wrong is listed."""
    bad: list[BadRow] = []
    officials: dict[str, Official] = {}
    units: dict[str, OfficeUnit] = {}
    posts: list[Post] = []
    if mapping.officials:
        officials = _by_key("officials", _officials(connection, mapping, mapping.officials, reading, bad), bad)
    if mapping.units:
        units = _by_key("units", _units(connection, mapping.units, reading, bad), bad)
        units = _sound_parents(units, bad)
        bad += _places_answered_for_twice(units)
        bad += _unknown_units(officials, units)
    if mapping.posts:
        found = _posts(connection, mapping.posts, reading, bad)
        posts = [post for post in found if _stands(post, mapping, officials, units, bad)]
    everybody = officials | {person.key: person for person in administrators}
    delegations: list[Delegation] = []
    if mapping.delegations:
        known = frozenset(everybody) if mapping.officials else None
        delegations = _delegations(connection, mapping.delegations, reading, known, bad)
    last_resort = tuple(person.key for person in administrators)
    return Directory(everybody, units, tuple(posts), last_resort, tuple(delegations)), tuple(bad)


def sms_address(raw: str, region: str) -> str | None:
    """A mobile number in international form (E.164); None if the region's numbering plan does not know it."""
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _rows(connection: sa.Connection, entity: Entity) -> tuple[Sequence[Row], dict[str, int]]:
    query, at = select_columns(entity, [column.column for _, column in entity.columns_by_path()])
    return fetch(connection, query), at


def _readable(
    entity: str, rows: Sequence[Row], key_place: int, make: Callable[[Row], Named | None], bad: list[BadRow]
) -> list[Named]:
    made: list[Named] = []
    for number, row in enumerate(rows, start=1):
        key = key_text(row[key_place])
        try:
            value = make(row)
        except BadValue as problem:
            bad.append(BadRow(entity, key or f"第 {number} 行", problem.reason))
            continue
        if value is None:
            bad.append(BadRow(entity, key or f"第 {number} 行", "编号为空"))
        else:
            made.append(value)
    return made


def _officials(
    connection: sa.Connection, mapping: SourceMapping, rows: OfficialRows, reading: Reading, bad: list[BadRow]
) -> list[Official]:
    found, at = _rows(connection, rows)
    key, name, unit = (
        pick_text(column_name, column, reading, at)
        for column_name, column in (("key", rows.key), ("name", rows.name), ("unit", rows.unit))
    )
    active = pick_bool("active", rows.active, reading, at)
    kinds = {"sms": rows.mobile, "email": rows.email, **rows.addresses}
    prefers = pick_text("prefers", rows.prefers, reading, at)
    addresses = {
        kind: pick_text(kind, column.model_copy(update={"type": "text"}), reading, at)
        for kind, column in kinds.items()
        if column is not None
    }

    def official(row: Row) -> Official | None:
        person = key(row)
        if person is None:
            return None
        there = {kind: address for kind, pick in addresses.items() if (address := pick(row)) is not None}
        good = _good_addresses(person, there, mapping.phone_region, bad)
        if addresses and not there:
            bad.append(BadRow("officials", person, "没有手机号码也没有邮箱", set_aside=False))
        works = active(row)
        chosen = preferences(prefers(row) or "")
        return Official(person, name(row) or person, unit(row), good, works is not False, chosen)

    return _readable("officials", found, at[rows.key.column], official, bad)


def preferences(written: str) -> tuple[str, ...]:
    """`wecom,sms` or `企业微信、短信` as kinds or channels, each once, in that order."""
    words = (word.strip() for word in _BETWEEN.split(written))
    return tuple(dict.fromkeys(_CALLED.get(word, word) for word in words if word))


def _good_addresses(person: str, there: Mapping[str, str], region: str, bad: list[BadRow]) -> dict[str, str]:
    good = dict(there)
    if "sms" in good:
        number = sms_address(good.pop("sms"), region)
        if number is None:
            bad.append(BadRow("officials", person, "手机号码无效", set_aside=False))
        else:
            good["sms"] = number
    if "email" in good and not MAIL_ADDRESS.fullmatch(good["email"]):
        del good["email"]
        bad.append(BadRow("officials", person, "邮箱地址无效", set_aside=False))
    return good


def _units(connection: sa.Connection, rows: UnitRows, reading: Reading, bad: list[BadRow]) -> list[OfficeUnit]:
    found, at = _rows(connection, rows)
    key, name = pick_text("key", rows.key, reading, at), pick_text("name", rows.name, reading, at)
    parent, area, area_parent = (
        pick_text(column_name, column, reading, at)
        for column_name, column in (("parent", rows.parent), ("area", rows.area), ("area_parent", rows.area_parent))
    )

    def unit(row: Row) -> OfficeUnit | None:
        code = key(row)
        if code is None:
            return None
        return OfficeUnit(code, name(row) or code, parent(row), area(row), area_parent(row))

    return _readable("units", found, at[rows.key.column], unit, bad)


def _by_key(entity: str, found: Sequence[Named], bad: list[BadRow]) -> dict[str, Named]:
    """By key; of rows with the same key none is taken, for nobody knows which one is right."""
    times = Counter(value.key for value in found)
    bad += [BadRow(entity, key, f"编号重复：有 {n} 行，都不采用") for key, n in times.items() if n > 1]
    return {value.key: value for value in found if times[value.key] == 1}


def _sound_parents(units: Mapping[str, OfficeUnit], bad: list[BadRow]) -> dict[str, OfficeUnit]:
    """Units whose two ways upward end: a missing, own or circular parent is cut off and listed."""
    sound = dict(units)
    for key, unit in units.items():
        reason = _parent_problem(sound, unit, lambda one: one.parent, "上级单位")
        if reason:
            bad.append(BadRow("units", key, reason, set_aside=False))
            sound[key] = replace(unit, parent=None)
    for key, unit in tuple(sound.items()):
        if unit.area_parent is None:
            continue
        reason = _parent_problem(sound, unit, lambda one: one.area_parent or one.parent, "属地上级单位")
        if reason:
            bad.append(BadRow("units", key, reason, set_aside=False))
            sound[key] = replace(unit, area_parent=None)
    return sound


def _parent_problem(
    units: Mapping[str, OfficeUnit], unit: OfficeUnit, above_of: Callable[[OfficeUnit], str | None], word: str
) -> str:
    above = above_of(unit)
    if above is None:
        return ""
    if above == unit.key:
        return f"{word}是它自己"
    if above not in units:
        return f"{word}“{above}”不在单位表中"
    passed: set[str] = set()
    while above is not None and above in units and above not in passed:
        if above == unit.key:
            return f"{word}绕成了一圈"
        passed.add(above)
        above = above_of(units[above])
    return ""


def _places_answered_for_twice(units: Mapping[str, OfficeUnit]) -> list[BadRow]:
    first: dict[str, str] = {}
    for key in sorted(units):
        area = units[key].area
        if area is not None:
            first.setdefault(area, key)
    return [
        BadRow("units", key, f"属地代码“{unit.area}”与单位“{first[unit.area]}”相同，以后者为准", set_aside=False)
        for key, unit in units.items()
        if unit.area is not None and first[unit.area] != key
    ]


def _unknown_units(officials: Mapping[str, Official], units: Mapping[str, OfficeUnit]) -> list[BadRow]:
    return [
        BadRow("officials", key, f"单位“{person.unit}”不在单位表中", set_aside=False)
        for key, person in officials.items()
        if person.unit is not None and person.unit not in units
    ]


def _posts(connection: sa.Connection, rows: PostRows, reading: Reading, bad: list[BadRow]) -> list[Post]:
    found, at = _rows(connection, rows)
    unit, role, official = (
        pick_text(name, column, reading, at)
        for name, column in (("unit", rows.unit), ("role", rows.role), ("official", rows.official))
    )
    begin, end = pick_instant("from_at", rows.from_at, reading, at), pick_instant("to_at", rows.to_at, reading, at)
    posts: list[Post] = []
    for number, row in enumerate(found, start=1):
        try:
            where, what, who = unit(row), role(row), official(row)
            if where is None or what is None or who is None:
                raise BadValue("单位、职务、人员三者有缺")  # noqa: TRY301 - the same way out as an unreadable value
            posts.append(Post(where, what, who, begin(row), end(row)))
        except BadValue as problem:
            bad.append(BadRow("posts", f"第 {number} 行", problem.reason))
    return posts


def _stands(
    post: Post,
    mapping: SourceMapping,
    officials: Mapping[str, Official],
    units: Mapping[str, OfficeUnit],
    bad: list[BadRow],
) -> bool:
    label = f"{post.unit}/{post.role}/{post.official}"
    if mapping.officials and post.official not in officials:
        bad.append(BadRow("posts", label, f"人员“{post.official}”不在人员表中"))
        return False
    if mapping.units and post.unit not in units:
        bad.append(BadRow("posts", label, f"单位“{post.unit}”不在单位表中"))
        return False
    return True


def _delegations(
    connection: sa.Connection, rows: DelegationRows, reading: Reading, known: frozenset[str] | None, bad: list[BadRow]
) -> list[Delegation]:
    """Who is away. `known` are the officials there are, None: nobody knows."""
    found, at = _rows(connection, rows)
    official, substitute, document = (
        pick_text(name, column, reading, at)
        for name, column in (
            ("official", rows.official),
            ("substitute", rows.substitute),
            ("document", rows.document),
        )
    )
    begin, end = pick_instant("from_at", rows.from_at, reading, at), pick_instant("to_at", rows.to_at, reading, at)
    delegations: list[Delegation] = []
    for number, row in enumerate(found, start=1):
        label = f"第 {number} 行"
        try:
            who = official(row)
            if who is None:
                raise BadValue("没有写谁不在岗")  # noqa: TRY301 - the same way out as an unreadable value
            one = Delegation(who, substitute(row), begin(row), end(row), document(row))
            delegations.append(_sound_delegation(one, label, known, bad))
        except BadValue as problem:
            bad.append(BadRow("delegations", label, problem.reason))
    return delegations


def _sound_delegation(one: Delegation, label: str, known: frozenset[str] | None, bad: list[BadRow]) -> Delegation:
    """The same with a substitute who can stand in, or none. Raises BadValue if the row says nothing about anybody."""
    if known is not None and one.official not in known:
        raise BadValue(f"人员“{one.official}”不在人员表中")
    if one.from_at is not None and one.to_at is not None and one.to_at < one.from_at:
        raise BadValue("to：代理的结束早于起始")
    reason = ""
    if one.substitute == one.official:
        reason = f"“{one.official}”的代理人是他自己，按无人代理"
    elif known is not None and one.substitute is not None and one.substitute not in known:
        reason = f"代理人“{one.substitute}”不在人员表中，按无人代理"
    if not reason:
        return one
    bad.append(BadRow("delegations", label, reason, set_aside=False))
    return replace(one, substitute=None)
