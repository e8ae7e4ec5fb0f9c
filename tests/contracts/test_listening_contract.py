"""What every channel must do that its provider calls: hear the genuine, refuse the rest, and give nobody away."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Call, CallRefused, Channel, Listening, News, PermanentFailure, Receipt
from channels.registry import channel_types
from support.listening_stages import LISTENING_STAGES, NUMBER, OTHER, OURS, SAID, SECRET, THEIRS, ListeningStage
from support.provider_calls import CALLBACK_TOKEN, post_json

STAGES = {name: build() for name, build in LISTENING_STAGES.items()}
NAMES = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
WITH_REPLIES = {name: (stage, stage.reply) for name, stage in STAGES.items() if stage.reply is not None}
WITH_SEVERAL = {name: (stage, stage.several) for name, stage in STAGES.items() if stage.several is not None}


def heard(channel: Channel, call: Call) -> News:
    """What the channel learns from a call; the answer is always an acceptance."""
    assert isinstance(channel, Listening)
    news, answer = channel.hear(call)
    assert answer.status == 200
    return news


def refused(channel: Channel, call: Call) -> CallRefused:
    """How it refuses one."""
    with pytest.raises(CallRefused) as caught:
        heard(channel, call)
    return caught.value


def test_every_channel_that_listens_is_here() -> None:
    """No listening channel of ours escapes the contract."""
    listening = {name for name in channel_types() if any(hasattr(one, "hear") for one in classes_of(name))}
    assert listening == set(STAGES)


def test_only_telephone_calls_have_no_replies() -> None:
    """A channel that hears receipts hears replies too, unless it is the telephone."""
    assert {name for name in STAGES if name not in WITH_REPLIES} == {name for name in STAGES if "voice" in name}


def classes_of(name: str) -> list[object]:
    """Everything the module of a channel type defines."""
    return list(vars(sys.modules[channel_types()[name].open.__module__]).values())


@NAMES
def test_what_arrived(stage: ListeningStage) -> None:
    """A genuine receipt is read: arrived, of which message, by our name of it or theirs."""
    (learnt,) = heard(stage.channel, stage.arrived).learnt
    assert isinstance(learnt.outcome, Receipt)
    assert learnt.outcome.delivered
    assert learnt.ours == (OURS if stage.knows_ours else "")
    assert learnt.theirs == THEIRS


@NAMES
def test_what_did_not_arrive(stage: ListeningStage) -> None:
    """A genuine receipt of a failure is one for good, of this message only, with the provider's code."""
    (learnt,) = heard(stage.channel, stage.failed).learnt
    assert isinstance(learnt.outcome, PermanentFailure)
    assert not learnt.outcome.whole_channel
    assert learnt.outcome.code
    assert learnt.theirs == THEIRS


@pytest.mark.parametrize(("stage", "reply"), WITH_REPLIES.values(), ids=WITH_REPLIES)
def test_what_somebody_said(stage: ListeningStage, reply: Call) -> None:
    """A reply: the number in full, the words unchanged (nobody answers a telephone call in words)."""
    (said,) = heard(stage.channel, reply).said
    assert (said.sender, said.text) == (NUMBER, SAID)


@pytest.mark.parametrize(("stage", "several"), WITH_SEVERAL.values(), ids=WITH_SEVERAL)
def test_several_at_once(stage: ListeningStage, several: Call) -> None:
    """A provider that tells of several messages in one call is heard on each."""
    learnt = heard(stage.channel, several).learnt
    assert [isinstance(one.outcome, Receipt) for one in learnt] == [True, False]
    assert [one.ours for one in learnt] == ([OURS, OTHER] if stage.knows_ours else ["", ""])


@NAMES
def test_the_same_call_again_is_the_same_news(stage: ListeningStage) -> None:
    """Providers repeat: what is heard twice can be recognised as one."""
    for call in stage.genuine:
        first, second = heard(stage.channel, call), heard(stage.channel, call)
        assert repr(first) == repr(second)
        assert first.said == second.said
        assert all(one.reference for one in first.said)


@NAMES
def test_what_is_not_proved_is_not_heard(stage: ListeningStage) -> None:
    """Without the proof, or with another: 403 and nothing read."""
    assert refused(stage.channel, stage.unproved).status == 403
    assert refused(stage.channel, stage.tampered).status == 403


@NAMES
@given(body=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_rubbish_is_refused_and_nothing_else(stage: ListeningStage, body: bytes) -> None:
    """Whatever bytes a genuine call holds: refused as not understood, never another error."""
    assert refused(stage.channel, stage.raw(body)).status in {400, 403}


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([OURS, SAID, NUMBER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *("success", "out_id", "biz_id", "err_code", "phone_number", "content", "sequence_id", "report_time"),
    *("report_status", "sid", "errmsg", "mobile", "text", "time", "nationcode"),
    *("custom", "id", "state", "from", "words"),
    *("msgGroup", "reportStatus", "errorCode", "smsContent", "sendTime"),
]


@NAMES
@given(records=st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=6), max_size=3))
def test_any_values_in_the_right_places(stage: ListeningStage, records: list[dict[str, object]]) -> None:
    """Fields with the right names and any values are news or refused, and what is news can be written down."""
    try:
        news = heard(stage.channel, post_json(stage.arrived.url, records))
    except CallRefused:
        return
    for text in (*(one.text for one in news.said), *(one.theirs for one in news.learnt)):
        assert "\0" not in text
        text.encode()


@NAMES
def test_nobody_is_given_away(stage: ListeningStage) -> None:
    """Neither number nor words nor secrets show where news, calls and refusals are printed."""
    shown = [repr(heard(stage.channel, call)) for call in stage.genuine]
    shown += [repr(call) for call in stage.genuine]
    for call in (stage.unproved, stage.tampered, stage.raw(b"%%%")):
        refusal = refused(stage.channel, call)
        shown.append(f"{refusal} {refusal!r} {refusal.code} {refusal.__cause__!r}")
    for text in shown:
        assert not [hidden for hidden in (NUMBER, NUMBER[3:], SAID, SECRET, CALLBACK_TOKEN) if hidden in text]
