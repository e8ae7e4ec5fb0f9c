"""Values of the domain as JSON text and back, and instants as whole microseconds.

The text is canonical: compact, keys sorted, Chinese as it is. The same facts always give the same text.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import orjson

from policies.duration import Duration, Unit
from policies.model import (
    Case,
    Delegation,
    Directory,
    Extension,
    Movement,
    Notice,
    Obligation,
    OfficeUnit,
    Official,
    Pause,
    Post,
    Transfer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from policies.model import Scalar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = "at"  # {"at": "…"} stands for an instant among the fields; no field is an object otherwise


def micros(instant: datetime) -> int:
    """Microseconds since 1970 in UTC. An instant without a time zone raises TypeError."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def maybe_micros(instant: datetime | None) -> int | None:
    """The same for an instant that may be missing."""
    return None if instant is None else micros(instant)


def instant(microseconds: int) -> datetime:
    """The aware instant in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def maybe_instant(microseconds: int | None) -> datetime | None:
    """The same for one that may be missing."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return {_INSTANT: value.astimezone(UTC).isoformat()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value)


_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_slow_encoder = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=_plain)


def encode(value: object) -> str:
    """Canonical JSON. Half a surrogate pair (a broken source) is escaped instead of failing the transaction."""
    try:
        return orjson.dumps(value, default=_plain, option=_CANONICAL).decode()
    except TypeError:  # half a pair, an integer of more than 64 bits, a key that is no text
        return _slow_encoder.encode(value)


def decode(text: str) -> Any:  # noqa: ANN401 - JSON
    """What `encode` was given, with instants as objects still."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # half a surrogate pair
        return json.loads(text)


def decode_fields(stored: Mapping[str, Any]) -> dict[str, Scalar]:
    """Fields with their instants as instants again."""
    return {
        name: _at(cast("dict[str, str]", value)[_INSTANT]) if type(value) is dict else value
        for name, value in stored.items()
    }


def _iso(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat()


def _at(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _maybe_at(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


RESTRICTED_MARK = '"restricted":true'
GUARDED = (RESTRICTED_MARK, '"recused":[')  # stands in the text of a case some people must not hear of


def encode_case(case: Case) -> str:
    """The facts of a case; what it does not have is left out."""
    facts: dict[str, object] = {"key": case.key, "fields": case.fields}
    facts["milestones"] = {name: _iso(value) for name, value in case.milestones.items()}
    if case.unit is not None:
        facts["unit"] = case.unit
    if case.handler is not None:
        facts["handler"] = case.handler
    if case.restricted:
        facts["restricted"] = True
    if not case.open:
        facts["closed"] = True
    facts |= {name: value for name, value in _rarer_facts(case) if value}
    finite = all(isfinite(value) for value in case.fields.values() if type(value) is float)
    return encode(facts) if finite else _slow_encoder.encode(facts)  # orjson would write null


def _rarer_facts(case: Case) -> Iterator[tuple[str, object]]:
    yield "transfers", [_encode_transfer(t) for t in case.transfers]
    yield "extensions", [_encode_extension(e) for e in case.extensions]
    yield (
        "pauses",
        [
            (p.seq, _iso(p.from_at), _iso(p.to_at), p.basis, p.approved_by, p.limit, _iso(p.review_at))
            for p in case.pauses
        ],
    )
    yield "series", {name: [_iso(at) for at in instants] for name, instants in case.series.items()}
    yield "recused", case.recused
    yield "earlier", case.earlier


def decode_case(text: str) -> Case:
    """The case that was encoded."""
    facts = json.loads(text)  # a field may be an integer of any size
    return Case(
        key=facts["key"],
        unit=facts.get("unit"),
        handler=facts.get("handler"),
        milestones={name: _at(value) for name, value in facts["milestones"].items()},
        fields=decode_fields(facts["fields"]),
        transfers=tuple(_decode_transfer(t) for t in facts.get("transfers", ())),
        extensions=tuple(_decode_extension(e) for e in facts.get("extensions", ())),
        pauses=tuple(
            Pause(seq, _at(from_at), _maybe_at(to_at), basis, approved_by, limit, *map(_maybe_at, review))
            for seq, from_at, to_at, basis, approved_by, limit, *review in facts.get("pauses", ())
        ),
        series={name: tuple(map(_at, instants)) for name, instants in facts.get("series", {}).items()},
        recused=tuple(facts.get("recused", ())),
        earlier=facts.get("earlier"),
        restricted="restricted" in facts,
        open="closed" not in facts,
    )


def _encode_transfer(transfer: Transfer) -> tuple[object, ...]:
    return (
        transfer.seq,
        _iso(transfer.at),
        transfer.to_unit,
        transfer.to_official,
        transfer.from_unit,
        transfer.reason,
        transfer.approved_by,
        transfer.kind.value,
        transfer.document,
        _iso(transfer.decided_at),
    )


def _decode_transfer(stored: list[Any]) -> Transfer:
    seq, at, to_unit, to_official, from_unit, reason, approved_by, *more = stored
    kind, document, decided_at = more or (Movement.HAND_OVER, None, None)  # kept before there were kinds
    return Transfer(
        seq=seq,
        at=_at(at),
        to_unit=to_unit,
        to_official=to_official,
        from_unit=from_unit,
        reason=reason,
        approved_by=approved_by,
        kind=Movement(kind),
        document=document,
        decided_at=_maybe_at(decided_at),
    )


def _encode_extension(extension: Extension) -> tuple[object, ...]:
    length = None if extension.length is None else (str(extension.length.amount), extension.length.unit.value)
    return (
        extension.seq,
        length,
        _iso(extension.decided_at),
        extension.approved_by,
        _iso(extension.petitioner_told_at),
        _iso(extension.until_at),
        extension.limit,
    )


def _decode_extension(stored: list[Any]) -> Extension:
    seq, length, decided_at, approved_by, told_at, until_at, limit = stored
    return Extension(
        seq=seq,
        length=None if length is None else Duration(Fraction(length[0]), Unit(length[1])),
        decided_at=_at(decided_at),
        approved_by=approved_by,
        petitioner_told_at=_maybe_at(told_at),
        until_at=_maybe_at(until_at),
        limit=limit,
    )


def encode_instants(instants: Mapping[str, datetime]) -> str:
    """Named instants, as microseconds."""
    return encode({name: micros(value) for name, value in instants.items()})


def decode_instants(text: str) -> dict[str, datetime]:
    """The named instants that were encoded."""
    return {name: instant(value) for name, value in orjson.loads(text).items()} if text != "{}" else {}


def encode_details(one: Obligation) -> str:
    """What few obligations have; nothing for the others."""
    said = {
        "recount_at": _iso(one.recount_at),
        "review_at": _iso(one.review_at),
        "holder_unit": one.holder_unit,
        "holder_official": one.holder_official,
    }
    there = {name: value for name, value in said.items() if value is not None}
    return encode(there) if there else ""


def decode_details(text: str) -> dict[str, Any]:
    """The fields of an obligation that were encoded."""
    if not text:
        return {}
    return {name: _at(value) if name.endswith("_at") else value for name, value in orjson.loads(text).items()}


def encode_manner(notice: Notice) -> str:
    """How a notice may go out; nothing for one that goes out at once by its channel."""
    said: dict[str, object] = {
        "hold_until": _iso(notice.hold_until),
        "may_wake": notice.may_wake,
        "digest": notice.digest,
        "instead": notice.instead,
        "wait": None if notice.wait is None else notice.wait // timedelta(microseconds=1),
        "release": notice.release,
        "dark": notice.dark,
    }
    there = {name: value for name, value in said.items() if value}
    return encode(there) if there else ""


def decode_manner(text: str) -> dict[str, Any]:
    """The fields of a notice that were encoded."""
    if not text:
        return {}
    manner = orjson.loads(text)
    if "hold_until" in manner:
        manner["hold_until"] = _at(manner["hold_until"])
    if "wait" in manner:
        manner["wait"] = timedelta(microseconds=manner["wait"])
    if "instead" in manner:
        manner["instead"] = tuple(manner["instead"])
    return cast("dict[str, Any]", manner)


def encode_directory(people: Directory) -> str:
    """Everybody, addresses too: the store is the only place they are kept, and it is not logged."""
    return encode(
        {
            "officials": [
                (o.key, o.name, o.unit, dict(o.addresses), o.active, *([o.prefers] if o.prefers else []))
                for o in people.officials.values()
            ],
            "units": [(u.key, u.name, u.parent, u.area, u.area_parent) for u in people.units.values()],
            "posts": [(p.unit, p.role, p.official, _iso(p.from_at), _iso(p.to_at)) for p in people.posts],
            "administrators": list(people.administrators),
            "delegations": [
                (d.official, d.substitute, _iso(d.from_at), _iso(d.to_at), d.document) for d in people.delegations
            ],
        }
    )


def _official(
    key: str, name: str, unit: str | None, addresses: dict[str, str], active: bool, prefers: Sequence[str] = ()
) -> Official:
    return Official(key, name, unit, addresses, active, tuple(prefers))


def without_addresses(people: Directory) -> Directory:
    """Everybody, but no way to reach them: for what is kept of the past."""
    named = {key: replace(official, addresses={}, prefers=()) for key, official in people.officials.items()}
    return replace(people, officials=named)


def decode_directory(text: str) -> Directory:
    """The directory that was encoded."""
    stored = decode(text)
    return Directory(
        officials={key: _official(key, *rest) for key, *rest in stored["officials"]},
        units={key: OfficeUnit(key, *rest) for key, *rest in stored["units"]},
        posts=tuple(
            Post(unit, role, official, _maybe_at(from_at), _maybe_at(to_at))
            for unit, role, official, from_at, to_at in stored["posts"]
        ),
        administrators=tuple(stored["administrators"]),
        delegations=tuple(
            Delegation(official, substitute, _maybe_at(from_at), _maybe_at(to_at), document)
            for official, substitute, from_at, to_at, document in stored.get("delegations", ())
        ),
    )
