"""Everything that can go wrong between us and a provider, switched on in turn on every channel.

OUTCOMES is the one place that says what each fault means on each channel; docs/delivery.md explains why.

    not_sent   TemporaryFailure: it was not sent, that is certain; it may be tried again
    never      PermanentFailure: it was not sent and never will be
    perhaps    OutcomeUnknown: it may have been sent, so it is asked about or sent again with a mark
    taken      Receipt: the provider has it
    -          the channel cannot meet this fault
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from channels.base import CANNOT_ASK, OutcomeUnknown, PermanentFailure, Receipt, SendError, TemporaryFailure
from support.channel_stages import CHINESE, Stage, apprise_stage
from support.message_stages import STAGES
from support.smtp_server import DROP, HALF, HANG, MALFORMED, SHUT, SLOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from channels.base import Outcome

OUTCOMES = """
                 aliyun    tencent   huawei    mas       http      twilio    aliyun_voice  twilio_voice  wecom     dingtalk  dingtalk-robot  feishu    webhook   apprise  email     email-plain
refused          not_sent  not_sent  not_sent  not_sent  not_sent  not_sent  not_sent      not_sent      not_sent  not_sent  not_sent        not_sent  not_sent  perhaps  not_sent  not_sent
slow             perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  perhaps   perhaps
shut             perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  not_sent  not_sent
half             perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  perhaps   perhaps
reset            perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  not_sent  not_sent
drop             perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  perhaps   perhaps
429              not_sent  not_sent  not_sent  not_sent  not_sent  not_sent  not_sent      not_sent      not_sent  not_sent  not_sent        not_sent  not_sent  perhaps  not_sent  not_sent
500              not_sent  not_sent  not_sent  not_sent  not_sent  not_sent  not_sent      not_sent      not_sent  not_sent  not_sent        not_sent  not_sent  perhaps  never     never
502              perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  -         -
503              not_sent  not_sent  not_sent  not_sent  not_sent  not_sent  not_sent      not_sent      not_sent  not_sent  not_sent        not_sent  not_sent  perhaps  not_sent  not_sent
504              perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   perhaps   perhaps  -         -
malformed        perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   taken     taken    perhaps   perhaps
truncated        perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   taken     taken    -         -
wrong-type       perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   taken     taken    perhaps   perhaps
empty            perhaps   perhaps   perhaps   perhaps   perhaps   perhaps   perhaps       perhaps       perhaps   perhaps   perhaps         perhaps   taken     taken    -         -
slow-greeting    -         -         -         -         -         -         -             -             -         -         -               -         -         -        not_sent  not_sent
slow-recipient   -         -         -         -         -         -         -             -             -         -         -               -         -         -        not_sent  not_sent
half-envelope    -         -         -         -         -         -         -             -             -         -         -               -         -         -        not_sent  not_sent
leaves           -         -         -         -         -         -         -             -             -         -         -               -         -         -        not_sent  not_sent
"""  # noqa: E501  # a table
MEANINGS = {"not_sent": TemporaryFailure, "never": PermanentFailure, "perhaps": OutcomeUnknown, "taken": Receipt}

# The same faults in the words of mail: at which command, and what happens instead of the answer.
MAIL_FAULTS = {
    "slow": ("BODY", SLOW),
    "shut": ("MAIL", SHUT),
    "half": ("BODY", HALF),
    "reset": ("MAIL", DROP),
    "drop": ("BODY", DROP),
    "429": ("RCPT", "450 4.7.1 reader@example.com too many, later"),
    "500": ("BODY", "554 5.3.0 refused reader@example.com"),
    "503": ("BODY", "451 4.3.0 later reader@example.com"),
    "malformed": ("BODY", MALFORMED),
    "wrong-type": ("BODY", "354 go ahead"),
    "slow-greeting": ("CONNECT", HANG),
    "slow-recipient": ("RCPT", HANG),
    "half-envelope": ("MAIL", HALF),
    "leaves": ("RCPT", "421 4.3.2 reader@example.com good-bye"),
}
WAITS = 7  # seconds in Retry-After
WITH_RETRY_AFTER = {"429", "503"}
ALL_STAGES = {**STAGES, "apprise": apprise_stage}
HEAD, *ROWS = (line.split() for line in OUTCOMES.strip().splitlines())
CELLS = [(fault, name, cell) for fault, *cells in ROWS for name, cell in zip(HEAD, cells, strict=True) if cell != "-"]
ASKED = [name for name in HEAD if name in {"aliyun", "http", "twilio"}]
LOOKUP_FAULTS = [row[0] for row in ROWS if row[1] != "-"]

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's own import


async def spoil(stage: Stage, name: str, fault: str) -> None:
    """Switch the fault on for the next message, or the next question."""
    if fault == "refused":
        assert stage.vanish is not None
        await stage.vanish()
    elif name.startswith("email"):
        stage.server.fail(*MAIL_FAULTS[fault])
    else:
        stage.server.fail(f"{fault} {WAITS}" if fault in WITH_RETRY_AFTER else fault)


async def mend(stage: Stage, fault: str) -> None:
    """The provider is well again; what it still owed an answer to is answered now."""
    if fault == "refused":
        await stage.server.start(stage.server.port)
    stage.server.released.set()


async def sent(stage: Stage, key: str) -> Outcome:
    """What becomes of one message; never longer than the time-outs of a stage, all of one second."""
    return (await asyncio.wait_for(stage.channel.send_many([stage.message(key)]), 10))[0]


@pytest.fixture
async def cell(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Stage, str, str, str]]:
    """One fault on one channel and what it means there; the fault is on."""
    fault, name, meaning = request.param
    async with ALL_STAGES[name](tmp_path) as stage:
        await spoil(stage, name, fault)
        yield stage, name, fault, meaning
        stage.server.released.set()


@pytest.mark.parametrize("cell", CELLS, ids=lambda one: f"{one[1]}-{one[0]}", indirect=True)
async def test_every_fault_of_every_channel_is_told_for_what_it_is(cell: tuple[Stage, str, str, str]) -> None:
    """The outcome is the right one and gives nothing away; afterwards the channel sends again."""
    stage, name, fault, meaning = cell
    outcome = await sent(stage, "k1")
    assert type(outcome) is MEANINGS[meaning], repr(outcome)
    if isinstance(outcome, SendError):
        shown = f"{outcome} {outcome!r} {outcome.code} {outcome.detail} {outcome.__cause__!r}"
        assert not [secret for secret in (stage.to, CHINESE, stage.to[3:], *stage.secrets) if secret in shown]
    if isinstance(outcome, TemporaryFailure) and fault in WITH_RETRY_AFTER and not name.startswith("email"):
        assert outcome.retry_after == WAITS
    taken = len(stage.texts())
    assert taken == 0 or meaning in {"perhaps", "taken"}, "the server took it: that must not be called not sent"
    await mend(stage, fault)
    assert isinstance(await sent(stage, "k2"), Receipt)
    assert len(stage.texts()) == taken + 1


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("fault", LOOKUP_FAULTS)
async def test_no_fault_is_taken_for_an_answer_to_a_question(tmp_path: Path, name: str, fault: str) -> None:
    """Asked about a message, a provider that fails says neither yes nor no; asked again, it says yes."""
    async with ALL_STAGES[name](tmp_path) as stage:
        assert isinstance(await sent(stage, "k1"), Receipt)
        await spoil(stage, name, fault)
        with pytest.raises(OutcomeUnknown) as raised:
            await asyncio.wait_for(stage.channel.lookup(stage.message("k1")), 10)
        assert raised.value.code != CANNOT_ASK
        await mend(stage, fault)
        if fault != "refused" or name != "aliyun":
            assert await stage.channel.lookup(stage.message("k1")) is not None


def test_the_table_is_complete() -> None:
    """Every channel type that speaks to a provider stands in the table, and so does every stage of the contract."""
    assert set(HEAD) == set(ALL_STAGES) - {"spool"}
