"""What a provider's call to us holds, and whether it is the provider's: for the channels that listen.

Most providers sign nothing. Then the address they are told carries a secret of the office (`callback_token`), as
`?token=…` or as its last part: whoever does not know it is not heard.
"""

from __future__ import annotations

import hmac
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

from channels.base import Answer, Call, CallRefused, Learnt, News, PermanentFailure, Receipt, Said
from channels.wire.verdict import safe_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import SecretStr

BEIJING = ZoneInfo("Asia/Shanghai")
_IN_QUERY = "token"  # its name
SHORTEST_TOKEN = 16  # characters; below that it could be guessed

_OURS = re.compile(r"[0-9a-f]{32}")
_THEIRS = re.compile(r"[\x21-\x7e]{1,200}")
_NUMBER = re.compile(r"\+?[0-9]{5,20}")
_NOT_KEPT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # no database or log needs them
_LONGEST_TEXT = 2000  # characters of a reply that are kept
_MOST_FIELDS = 1000
_CHINESE_DIGITS = 11
_MILLISECONDS = 10**11  # a Unix time of so much is in milliseconds


Record = TypeVar("Record")


class Unreadable(ValueError):
    """One record of a call lacks what every record has."""


def require_token(call: Call, token: SecretStr | None) -> None:
    """See that the call carries the secret of the address it was sent to.

    Raises:
        CallRefused: it does not, or the settings have none: then nobody is heard.
    """
    if token is None:
        raise CallRefused("no_callback_token")
    wanted = token.get_secret_value().encode()
    given = [value for name, value in call.query if name == _IN_QUERY]
    given.append(unquote(urlsplit(call.url).path.rpartition("/")[2]))
    if not any([hmac.compare_digest(one.encode("utf-8", "replace"), wanted) for one in given]):  # noqa: C419  # all are looked at
        raise CallRefused("wrong_token")


def with_query(url: str, **fields: str) -> str:
    """The address with these fields behind those it has."""
    written = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    return f"{url}{'&' if '?' in url else '?'}{written}"


def pairs_of(call: Call) -> list[tuple[str, str]]:
    """The fields of a form that was posted, in their order; of a GET, those of its query.

    Raises:
        CallRefused: it is no form.
    """
    if call.method == "GET":
        return list(call.query)
    try:
        return parse_qsl(
            call.body.decode(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise CallRefused("bad_form", 400) from None


def form_of(call: Call) -> dict[str, str]:
    """The same by name; of a name that is there twice, the last.

    Raises:
        CallRefused: it is no form.
    """
    return dict(pairs_of(call))


def records_of(call: Call) -> list[dict[str, Any]]:
    """The objects of a JSON body: several in a list, or one alone.

    Raises:
        CallRefused: it is no JSON of that shape.
    """
    tree = json_of(call.body)
    several: list[object] = cast("list[object]", tree) if isinstance(tree, list) else [tree]
    if not several or not all(isinstance(one, dict) for one in several):
        raise CallRefused("bad_json", 400)
    return cast("list[dict[str, Any]]", several)


def json_of(body: bytes) -> object:
    """The JSON of a body.

    Raises:
        CallRefused: it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise CallRefused("bad_json", 400) from None


def news_of(records: Iterable[Record], read: Callable[[Record], Learnt | Said | None]) -> News:
    """What the records tell, one after the other. One that cannot be understood does not hold up its neighbours.

    Raises:
        CallRefused: none of them can be understood.
    """
    learnt: list[Learnt] = []
    said: list[Said] = []
    understood = False
    for record in records:
        try:
            found = read(record)
        except Unreadable:
            continue
        understood = True
        if isinstance(found, Learnt):
            learnt.append(found)
        elif found is not None:
            said.append(found)
    if not understood:
        raise CallRefused("unreadable", 400)
    return News(tuple(learnt), tuple(said))


def learnt_of(outcome: Receipt | PermanentFailure, *, ours: str = "", theirs: str = "", at: datetime | None) -> Learnt:
    """What became of the message with one of these names.

    Raises:
        Unreadable: neither is a name as we or the provider give it.
    """
    known = ours.lower() if _OURS.fullmatch(ours.lower()) else ""
    given = theirs if _THEIRS.fullmatch(theirs) else ""
    if not known and not given:
        raise Unreadable
    return Learnt(outcome, known, given, at)


def arrived(code: str = "", *, theirs: str = "", read: bool = False) -> Receipt:
    """It has arrived."""
    return Receipt(
        theirs if _THEIRS.fullmatch(theirs) else "",
        delivered=True,
        read=read,
        answer=safe_code(code) if code else "delivered",
    )


def failed(code: str = "") -> PermanentFailure:
    """It will not arrive; the code is shown only if it gives nothing away."""
    return PermanentFailure(safe_code(code) if code else "undelivered")


def said_by(sender: str, text: object, *, reference: str = "", at: datetime | None) -> Said:
    """What somebody wrote back. The number becomes E.164, one of eleven digits a Chinese one.

    Raises:
        Unreadable: no number, or no text at all.
    """
    if not isinstance(text, str):
        raise Unreadable
    number = re.sub(r"[\s-]", "", sender)
    if not _NUMBER.fullmatch(number):
        raise Unreadable
    return Said(e164(number), clean(text), reference if _THEIRS.fullmatch(reference) else "", at=at)


def e164(number: str) -> str:
    """The number with its country: `13…` and `8613…`, `008613…` are Chinese mobiles; a short one stays as it is."""
    digits = number.removeprefix("+")
    if number.startswith("+"):
        return number
    digits = digits.removeprefix("00")
    if len(digits) == _CHINESE_DIGITS and digits.startswith("1"):
        return f"+86{digits}"
    if len(digits) > _CHINESE_DIGITS:
        return f"+{digits}"
    return number


def clean(text: str) -> str:
    """The text as it may be kept: no control characters, no half characters, not endless."""
    whole = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
    return _NOT_KEPT.sub("", whole).strip()


def instant(text: str, zone: ZoneInfo = BEIJING) -> datetime | None:
    """When a provider says that it was: ISO 8601, `20260928093000`, a Unix time; without a zone it is in `zone`.

    None for anything else: a receipt counts without its time too.
    """
    written = text.strip()
    try:
        if re.fullmatch(r"\d{14}", written):
            return datetime.strptime(written, "%Y%m%d%H%M%S").replace(tzinfo=zone).astimezone(UTC)
        if re.fullmatch(r"\d{9,13}", written):
            seconds = int(written)
            return datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS else seconds, UTC)
        found = datetime.fromisoformat(written)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def json_answer(fields: Mapping[str, object]) -> Answer:
    """An answer in JSON."""
    return Answer(200, json.dumps(fields, ensure_ascii=False).encode(), "application/json; charset=utf-8")
