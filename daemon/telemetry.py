"""What is logged, and how: a catalogue of events, one line each, and nothing in it that identifies a person.

On a terminal the lines are for people; under systemd they are JSON with the `<N>` priority that journald takes off
(sd-daemon(3)); otherwise plain JSON. Personal values and secrets are masked in one place, at any depth, whatever
the caller handed over.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger


# --- the catalogue: every event there is, in the form `part.what` ----------------------------------------------

STARTED = "process.started"
STOPPING = "process.stopping"
STOPPED = "process.stopped"
STOPPED_AT_ONCE = "process.stopped_at_once"
FENCED = "process.fenced"
CLEANUP_FAILED = "process.cleanup_failed"
RELOADED = "configuration.reloaded"
RELOAD_REFUSED = "configuration.refused"
POLICY_TAKEN = "policy.taken"  # what became of the policy files on disk
POLICY_IN_FORCE = "policy.in_force"
POLICY_FELL_BACK = "policy.fell_back"  # a new version failed in its first minutes: the one before goes on
POLICY_UNREADABLE = "policy.unreadable"
CASES_MOVED = "policy.cases_moved"  # running cases bound to another version
WATCHDOG_WITHHELD = "watchdog.withheld"
WATCHDOG_RESUMED = "watchdog.resumed"
JOB_FAILED = "job.failed"
JOB_RECOVERED = "job.recovered"
BEAT_LOST = "job.beat_lost"
SCHEDULER_STUMBLED = "scheduler.stumbled"
AUDIT_BROKEN = "audit.broken"
TOOK_OVER = "worker.took_over"  # from a worker of this machine that crashed
SOURCE_AWAY = "source.away"  # the shared database does not answer; what is known goes on
RULES_DIFFER = "sync.rules_differ"  # another node runs a newer configuration: reload this one
SET_ASIDE = "sync.set_aside"  # a case whose limits cannot be counted; the rest went on
POSTPONED = "tick.postponed"  # evaluating one obligation threw; the rest went on
NOT_RENDERED = "delivery.not_rendered"
SETTLED = "delivery.settled"  # after a pump that was cut off: what it held is recorded or in doubt
CHANNEL_BROKE = "channel.broke"  # a channel raised what it must not; what it had is in doubt
NOT_COMPARED = "privacy.not_compared"  # the shared database is away: texts are not held against personal fields
PRIVATE_CONTENT = "delivery.private_content"  # stopped: it would have told of a person
PROVIDER_LEFT = "provider.left"  # of several behind one channel: it fails or is slow, the others take its share
PROVIDER_WORKS = "provider.works"  # again: it has its share back
OVER_BUDGET = "delivery.over_budget"  # no room for it now: put off, or it goes another way
UNDELIVERED = "delivery.undelivered"  # failed for good; the notice falls upward
NOT_COLLECTED = "channel.not_collected"  # it could not be asked what came back; it is asked again
COLLECTED_AGAIN = "channel.collected_again"
RECEIPT_UNKNOWN = "receipt.unknown"  # it matched no message of ours for three days; dropped
REPLY_NOT_TAKEN = "reply.not_taken"  # nobody could take it over for three days; dropped
REPLY_OF_NOBODY = "reply.of_nobody"  # from an address no official has; nothing of it is kept
CONSOLE_OPEN = "console.open"
CONSOLE_NOT_OPEN = "console.not_open"  # its address cannot be had; tried again every minute
CONSOLE_BROKE = "console.broke"  # the web server ended by an error of its own; it is started again
CALL_NOT_TAKEN = "console.call_not_taken"  # a provider's call: not its own, too large, or we could not write it down
LIBRARY = "library.warned"

# --- masking ---------------------------------------------------------------------------------------------------

_MASK = "***"
_SECRET_KEY = re.compile(
    r"passw|passphrase|\bpwd\b|token|secret|authorization|api_?key|access_?key|cookie", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.\-]*://[^\s:/@]*:)[^\s@]+(?=@)", re.IGNORECASE)
_MAIL = re.compile(r"(?P<first>[\w.+\-])[\w.+\-]*@(?P<domain>[\w\-]+(\.[\w\-]+)+)")
_IDENTITY = re.compile(r"(?<![0-9])(?P<area>\d{6})\d{8}\d{3}[0-9Xx](?![0-9])")  # GB 11643-1999
_MOBILE = re.compile(r"(?<![0-9])(?P<head>(\+?86[\s\-]?)?1[3-9]\d)[\s\-]?\d{4}[\s\-]?(?P<tail>\d{4})(?![0-9])")
_BEARER = re.compile(r"(?P<scheme>\b(bearer|basic)\s+)[\w.~+/\-]{8,}=*", re.IGNORECASE)


def mask_text(text: str) -> str:
    r"""The text with mobiles, mail addresses, identity numbers and passwords in URLs made unrecognisable.

    A letter right before or after a number does not save it: in a quoted `\n138…` the `n` belongs to the quoting.
    """
    text = _URL_PASSWORD.sub(rf"\g<before>{_MASK}", text)
    text = _BEARER.sub(rf"\g<scheme>{_MASK}", text)
    text = _MAIL.sub(rf"\g<first>{_MASK}@\g<domain>", text)
    text = _IDENTITY.sub(r"\g<area>************", text)
    return _MOBILE.sub(r"\g<head>****\g<tail>", text)


def mask(value: object, key: str = "") -> object:
    """The value with everything masked that must not be read, at any depth."""
    if key and _SECRET_KEY.search(key) and value is not None:
        return _MASK
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return {mask_text(str(name)): mask(inner, str(name)) for name, inner in entries.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(inner) for inner in cast("list[object]", value)]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        masked = mask_text(str(value))
        return value if masked == str(value) else masked
    return mask_text(str(value))


def _mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor that every line goes through."""
    return {name: mask(value, name) for name, value in event.items()}


# --- rendering -------------------------------------------------------------------------------------------------

_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}  # syslog(3)


def _to_json(_logger: WrappedLogger, _method: str, event: MutableMapping[str, object]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _to_journal(_logger: WrappedLogger, method: str, event: MutableMapping[str, object]) -> str:
    level = str(event.get("level", method))
    return f"<{_PRIORITY.get(level, 6)}>{json.dumps(event, ensure_ascii=False, separators=(',', ':'))}"


def _renderer(stream: TextIO, environment: Mapping[str, str]) -> Processor:
    if stream.isatty():
        return structlog.dev.ConsoleRenderer(pad_event_to=28)
    return _to_journal if environment.get("JOURNAL_STREAM") else _to_json


class _ForeignLines(logging.Handler):
    """Lines of the libraries we use, by the same way: masked, and warnings only."""

    def emit(self, record: logging.LogRecord) -> None:
        logger(record.name).log(record.levelno, LIBRARY, message=record.getMessage())


def set_up(
    stream: TextIO | None = None, environment: Mapping[str, str] | None = None, *, level: int = logging.INFO
) -> None:
    """Direct all logging to `stream` (standard output), in the form its reader wants."""
    out = sys.stdout if stream is None else stream
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _mask_event,
            _renderer(out, os.environ if environment is None else environment),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_ForeignLines()], level=logging.WARNING, force=True)


def logger(part: str) -> FilteringBoundLogger:
    """The logger of one part of the daemon (`daemon.engine`, `daemon.sender`, …)."""
    found: FilteringBoundLogger = structlog.get_logger(part=part)
    return found
