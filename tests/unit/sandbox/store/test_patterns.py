"""PostgreSQL's regular expressions, where Python's mean something else."""

from __future__ import annotations

import pytest

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.store.patterns import pattern, plain


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("a.b", "a\nb", True),
        ("a$", "a\n", False),
        ("a$", "ba", True),
        ("^b", "a\nb", False),
        (r"\yfoo\y", "a foo b", True),
        (r"\yfoo\y", "afoob", False),
        (r"\mfoo\M", "a foo b", True),
        ("[$]", "a$", True),
        ("[]$]x", "]x", True),
        ("[^]$]", "]$", False),
        ("^[[:alpha:]]+$", "abc", True),
        ("^[[:alpha:]$]+$", "a$c", True),
        (r"a\$", "a$b", True),
        ("***=a.b", "axb", False),
        ("***=a.b", "a.b", True),
        ("(a|b)$", "cb", True),
        ("", "x", True),
    ],
)
def test_an_expression_finds_what_postgresql_finds(
    text: str, value: str, found: bool
) -> None:
    assert (pattern(text, fold=False).search(value) is not None) == found


def test_case_is_folded_where_it_is_asked_for() -> None:
    assert pattern("ABC", fold=True).search("xabc")
    assert not pattern("ABC", fold=False).search("xabc")


@pytest.mark.parametrize("text", ["(", "[", "*a", "a{2,1}", "\\"])
def test_what_is_no_expression_is_the_databases_to_refuse(text: str) -> None:
    with pytest.raises(HttpError) as raised:
        pattern(text, fold=False)

    assert raised.value.status == 409


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("new", "new"),
        (r"a\.b\(c\)", "a.b(c)"),
        (r"a\\b", "a\\b"),
        ("", ""),
        ("a.b", None),
        (r"\yfoo", None),
        ("***=a", None),
        ("a|b", None),
        ("naïve", None),
        ("\\", None),
    ],
)
def test_an_expression_that_is_a_plain_text_is_known_as_one(text, word) -> None:
    assert plain(text) == word
    if word is not None:
        assert pattern(text, fold=False).search(f"x{word}y")
