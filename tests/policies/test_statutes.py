"""Which article a basis names, and what that article allows."""

from __future__ import annotations

import pytest

from policies.beforehand.statutes import STATUTES, article_number, named_in, statute_for
from policies.duration import format_duration


@pytest.mark.parametrize(
    ("written", "number"),
    [("三", 3), ("十", 10), ("十七", 17), ("二十", 20), ("三十四", 34), ("一百零九", 109), ("23", 23)],
)
def test_article_numbers(written: str, number: int) -> None:
    """Chinese and Arabic numbers of articles mean the same."""
    assert article_number(written) == number


def test_a_basis_may_name_several_texts() -> None:
    """Each article belongs to the title before it."""
    basis = "《信访工作条例》第二十三条第三款、第三十四条；《政府督查工作条例》第17条"
    assert list(named_in(basis)) == [("信访工作条例", 23), ("信访工作条例", 34), ("政府督查工作条例", 17)]


@pytest.mark.parametrize(
    ("basis", "name", "longest"),
    [
        ("信访工作条例第二十三条第三款", "书面告知", "15 日"),
        ("信访工作条例第二十三条第三款", "提出异议", "5 工作日"),
        ("信访工作条例第三十四条", "办结", "60 日"),
        ("信访工作条例第二十五条", "重大紧急报告", None),
        ("本单位规定", "办结", None),
        ("", "办结", None),
    ],
)
def test_statute_of_a_limit(basis: str, name: str, longest: str | None) -> None:
    """The article decides, and where it sets two limits, what the limit is called; no number, no statute."""
    found = statute_for(basis, name)
    assert (None if found is None else format_duration(found.longest, "zh")) == longest


def test_nothing_from_hearsay() -> None:
    """Every entry says that it was read or seen, and no article has two entries that cannot be told apart."""
    assert {one.sure for one in STATUTES} <= {"V", "S"}
    plain = [(one.title, one.article) for one in STATUTES if not one.about]
    assert len(plain) == len(set(plain))
