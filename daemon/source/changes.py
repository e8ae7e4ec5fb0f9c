"""Where an incremental reading stands: a watermark that survives restarts, and where to start again from it.

The watermark keeps the newest change value exactly as the database gave it. Reading starts a little before
(overlap), because a row may be committed after a row with a later change time. A change time in the future does
not move the watermark: everything after it would never be read again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

ISO_LIKE = re.compile(r"(\d{4})(\D?)(\d{2})(\D?)(\d{2})(?:(\D?)(\d{2})(\D?)(\d{2})(?:(\D?)(\d{2}))?)?")
EPOCH_DIGITS, EPOCH_MS_DIGITS = (9, 10), (12, 13)


@dataclass(frozen=True, slots=True)
class Watermark:
    """`changed` is the newest change value read; `scan_after` is set in the middle of a full scan, by key.

    `mapping` tells which mapping it was made under: under another one everything is read again.
    """

    mapping: str
    changed: object = None
    scan_after: object = None

    def write(self) -> str:
        """As text, to be kept."""
        parts = {"mapping": self.mapping, "changed": _written(self.changed)}
        if self.scan_after is not None:
            parts["scan_after"] = _written(self.scan_after)
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str | None, mapping: str) -> Watermark | None:
        """Back from text; None if it was made under another mapping or is not ours: then read everything."""
        if text is None:
            return None
        try:
            parts = json.loads(text)
            mark = cls(str(parts["mapping"]), _value(parts["changed"]), _value(parts.get("scan_after")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return mark if mark.mapping == mapping else None


def _written(value: object) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return ["moment", value.isoformat()]
    if isinstance(value, date):
        return ["day", value.isoformat()]
    if isinstance(value, int | float | Decimal):
        return ["number", str(value)]
    return ["text", str(value)]


def _value(written: Any) -> object:  # noqa: ANN401 - what stood in the JSON
    if written is None:
        return None
    kind, text = written
    if kind == "moment":
        return datetime.fromisoformat(text)
    if kind == "day":
        return date.fromisoformat(text)
    if kind == "number":
        number = Decimal(text)
        return int(number) if number == int(number) else float(number)
    return str(text)


# --- change values as instants, and back in the same form ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChangeForm:
    """How the change column writes time: in which zone, in which format if it is text or a number."""

    zone: tzinfo
    format: str | None = None

    def instant(self, raw: object) -> datetime | None:
        """The instant of a change value, aware; None if it is not a time (a version number)."""
        if isinstance(raw, datetime):
            return raw if raw.tzinfo else raw.replace(tzinfo=self.zone)
        if isinstance(raw, date):
            return datetime.combine(raw, time.min, self.zone)
        if isinstance(raw, int | float | Decimal):
            share = self._epoch(raw)
            return datetime.fromtimestamp(float(raw) / share, self.zone) if share else None
        return self._from_text(str(raw))

    def like(self, raw: object, at: datetime) -> object:
        """`at` written in the same form as `raw`."""
        if isinstance(raw, datetime):
            return at.astimezone(raw.tzinfo) if raw.tzinfo else at.astimezone(self.zone).replace(tzinfo=None)
        if isinstance(raw, date):
            return at.astimezone(self.zone).date()
        if isinstance(raw, int | float | Decimal):
            return int(at.timestamp() * (self._epoch(raw) or 1))
        return self._to_text(str(raw), at)

    def before(self, raw: object, overlap: timedelta) -> object:
        """That much earlier, in the same form; a version number stays as it is."""
        at = self.instant(raw)
        return raw if at is None else self.like(raw, at - overlap)

    def _epoch(self, raw: float | Decimal) -> int | None:
        if self.format:
            return {"epoch": 1, "epoch_ms": 1000}.get(self.format)
        digits = len(str(abs(int(raw))))
        return 1 if digits in EPOCH_DIGITS else 1000 if digits in EPOCH_MS_DIGITS else None

    def _from_text(self, text: str) -> datetime | None:
        try:
            if self.format and self.format.startswith("%"):
                moment = datetime.strptime(text.strip(), self.format)  # noqa: DTZ007 - the zone comes below
            elif _is_number(text) and self._epoch(int(text)):
                return self.instant(int(text))
            else:
                day, rest = text.strip()[:10], text.strip()[10:]
                moment = datetime.fromisoformat(re.sub("[/.]", "-", day) + rest)
        except (ValueError, OverflowError):
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=self.zone)

    def _to_text(self, text: str, at: datetime) -> str:
        there = self._from_text(text)
        local = at.astimezone(there.tzinfo if there else self.zone)
        if self.format and self.format.startswith("%"):
            return local.strftime(self.format)
        if _is_number(text) and (share := self._epoch(int(text))):
            return str(int(at.timestamp() * share))
        match = ISO_LIKE.match(text.strip())
        if match is None:
            return text
        _, s1, _, s2, _, s3, hour, s4, _, s5, second = match.groups()
        layout = f"%Y{s1}%m{s2}%d"
        layout += f"{s3}%H{s4}%M" if hour is not None else ""
        layout += f"{s5}%S" if second is not None else ""
        return local.strftime(layout)


def _is_number(text: str) -> bool:
    return text.isascii() and text.strip().isdigit()
