"""What every channel is: `Message` in, `Receipt` out, or one of three failures.

SendError
├── TemporaryFailure    not sent, may be tried again (not before `retry_after` seconds, if given)
├── PermanentFailure    not sent, trying again is useless
└── OutcomeUnknown      handed over, no answer: perhaps sent; never repeated blindly
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pydantic import BaseModel


CANNOT_ASK = "cannot_ask"  # the code of OutcomeUnknown where `lookup` can never answer
# The structured values every message has; a digest, and an answer to a reply, has `count` beside them. `code` is what
# is to be sent back to acknowledge it, empty where nothing is.
PARAMETERS = ("case", "stage", "due", "left", "deadline", "role_title", "office", "code")


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message for one recipient.

    `key` is the idempotency key: the same key is the same message. `to` is the address (E.164 mobile, mailbox),
    `to_name` its owner's name. `text` is what an SMS says, or the plain part of a mail; `subject` and `html`
    are for channels that have them. `at` is the instant the message was decided (aware, UTC): the Date of a mail,
    so that a resend is byte-identical. `possible_duplicate` marks a resend of something that may have arrived.
    `params` are structured values for providers that only take a template and its variables; `say` is the word after
    `say:` in the policy, by which such a provider's template is found.
    """

    key: str
    to: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime
    to_name: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    possible_duplicate: bool = False
    params: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    say: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider has taken the message over. `reference` is its own id; `parts` counts SMS segments.

    Accepted is not delivered: `delivered` is true only where the provider says so; `read` where it says that the
    reader opened it, which implies that it arrived.
    """

    reference: str = ""
    delivered: bool = False
    read: bool = False
    parts: int = 1
    answer: str = ""


class SendError(Exception):
    """Sending failed; `code` is the provider's code or a short word of ours, `detail` is for the log (no address)."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class TemporaryFailure(SendError):  # it says what happened, not that it is an error
    """Not sent; may be tried again, not before `retry_after` seconds if that is given."""

    def __init__(self, code: str, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after


class PermanentFailure(SendError):  # it says what happened, not that it is an error
    """Not sent; trying again cannot help. `whole_channel` is true when no message can get out (bad password)."""

    def __init__(self, code: str, detail: str = "", *, whole_channel: bool = False) -> None:
        super().__init__(code, detail)
        self.whole_channel = whole_channel


class OutcomeUnknown(SendError):  # it says what happened, not that it is an error
    """Handed over, no answer. Perhaps sent."""


Outcome = Receipt | SendError


class Channel(Protocol):
    """A way out. Opened once, used by many; every method is a coroutine on the daemon's loop."""

    settings_type: ClassVar[type[BaseModel]]
    kind: ClassVar[str]  # the kind of address it needs: `email` or `sms`

    async def send_many(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send all, at most as many at once as the settings allow; the outcome of each, in the same order.

        Never raises for a message: an error of one is its outcome. Cancelling leaves the rest unknown.
        """
        ...

    async def lookup(self, message: Message) -> Receipt | None:
        """Ask the provider whether it has a message with this key: its receipt, or None for certainly not.

        Raises:
            OutcomeUnknown: the provider did not answer; with the code CANNOT_ASK, it never can.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        ...


# --- what comes back later: receipts (回执) and replies (上行) ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of a message after the provider had taken it: a receipt, or why it did not arrive.

    `ours` is `reference_of(message.key)` where the provider gives it back, `theirs` its own (`Receipt.reference`); at
    least one of them is there. `at` is when it happened, if the provider says when.
    """

    outcome: Receipt | PermanentFailure
    ours: str = ""
    theirs: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody wrote back: from which address, which words.

    `reference` is the provider's id of it (the same twice is one reply); `about` the `ours` of the message it answers,
    where that can be told (a reply by mail).
    """

    sender: str = field(repr=False)
    text: str = field(repr=False)
    reference: str = ""
    about: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What a channel has learnt since."""

    learnt: tuple[Learnt, ...] = ()
    said: tuple[Said, ...] = ()


@runtime_checkable
class Collecting(Protocol):
    """What a channel offers beside `Channel` where it can be asked what became of messages (a mailbox, a folder)."""

    async def collect(self) -> News:
        """What it has learnt since. The next call says that this was written down; until then it may be told again.

        Raises:
            SendError: it cannot be asked now; nothing is lost.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request of a provider to us. `url` is the public address it was sent to, as it was, with its query.

    Names of `headers` are in lower case. `query` is the query decoded, in its order.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    query: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider wants to hear when we have written down what it told."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class CallRefused(Exception):
    """The call is not from the provider (403), or cannot be understood (400); nothing of it is taken over.

    `code` is a short word for the log; it holds nothing of the call.
    """

    def __init__(self, code: str, status: int = 403) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@runtime_checkable
class Listening(Protocol):
    """What a channel offers beside `Channel` where the provider calls us with receipts or replies.

    Where calls are proved by a secret in the settings, these have a property `missing_proof`: the key that is missing
    so that every call is refused, or "".
    """

    def listen_at(self, url: str) -> None:
        """Where the provider reaches us: the channel's own public address. Said once, before anything is sent."""
        ...

    def hear(self, call: Call) -> tuple[News, Answer]:
        """Check that the call is the provider's (signature, token) and read it. Pure; writes nothing down.

        Raises:
            CallRefused: it is not, or cannot be understood.
        """
        ...


Ability = Literal["asked", "delivery", "replies"]


@dataclass(frozen=True, slots=True)
class ChannelType:
    """What a channel module exports as `CHANNEL`: its name in the YAML, its settings, how to open it.

    `kind` is the kind of address it needs, `email` or `sms`, unless its settings have a field `kind`. `can` is what
    `duban channels` says of its provider, with the right settings: `asked`, whether it has a message; `delivery`, it
    can say that one arrived; `replies`, people can answer. That it collects or listens shows in its methods.
    """

    name: str
    settings: type[BaseModel]
    open: Any  # (settings) -> Channel
    kind: str = "sms"
    can: frozenset[Ability] = frozenset()
