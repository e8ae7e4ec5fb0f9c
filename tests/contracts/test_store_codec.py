"""Facts become text and facts again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from daemon.store import codec
from policies.duration import Duration, Unit
from policies.model import Case, Extension, Pause, Transfer

words = st.text(max_size=20)
maybe = st.none() | words
instants = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - made aware below
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001 - made aware below
    timezones=st.sampled_from([UTC]),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | instants
durations = st.builds(Duration, st.fractions(), st.sampled_from(Unit))
transfers = st.builds(Transfer, st.integers(), instants, maybe, maybe, maybe, maybe, maybe)
extensions = st.builds(
    Extension, st.integers(), st.none() | durations, instants, maybe, st.none() | instants, st.none() | instants, maybe
)
pauses = st.builds(Pause, st.integers(), instants, st.none() | instants, maybe, maybe, maybe)
cases = st.builds(
    Case,
    words,
    maybe,
    maybe,
    st.dictionaries(words, instants, max_size=4),
    st.dictionaries(words, scalars, max_size=6),
    st.lists(transfers, max_size=3).map(tuple),
    st.lists(extensions, max_size=3).map(tuple),
    st.lists(pauses, max_size=3).map(tuple),
    st.booleans(),
    st.booleans(),
)


@given(cases)
def test_a_case_comes_back(case: Case) -> None:
    """Whatever the facts, they come back equal, and give the same text again."""
    text = codec.encode_case(case)
    assert codec.decode_case(text) == case
    assert codec.encode_case(codec.decode_case(text)) == text


@given(instants)
def test_an_instant_comes_back(instant: datetime) -> None:
    """Microseconds are exact, before 1970 too, and keep the order of time."""
    assert codec.instant(codec.micros(instant)) == instant
    assert codec.micros(instant + timedelta(microseconds=1)) == codec.micros(instant) + 1


def test_half_a_surrogate_pair_can_be_stored() -> None:
    """Broken text from a broken source is escaped, so that the row can still be written."""
    text = codec.encode({"remark": "坏\ud83d字"})
    assert text.encode()
    assert json.loads(text) == {"remark": "坏\ud83d字"}


def test_text_is_readable() -> None:
    """Chinese stays Chinese, keys are sorted, nothing is padded."""
    extension = Extension(1, Duration(Fraction(30), Unit.DAY), datetime(2026, 3, 1, tzinfo=UTC))
    assert codec.encode_case(Case("案1", unit="甲区", extensions=(extension,), fields={"b": 1, "a": "求决"})) == (
        '{"extensions":[[1,["30","day"],"2026-03-01T00:00:00+00:00",null,null,null,null]],'
        '"fields":{"a":"求决","b":1},"key":"案1","milestones":{},"unit":"甲区"}'
    )
