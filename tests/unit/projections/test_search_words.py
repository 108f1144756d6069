"""Words: how texts are cut, and what a user's words are."""

from __future__ import annotations

import pytest

from ledger import InvalidValueError
from projections.search.words import QUERY_WORDS_MAX, fits, query_words, spans, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Fix the LOGIN page", ["fix", "the", "login", "page"]),
        ("test_append-with.stale/version#2", ["test", "append", "with", "stale", "version", "2"]),
        ("Résumé, re\u0301sume\u0301 and RÉSUMÉ", ["resume", "resume", "and", "resume"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("Ещё раз", ["еще", "раз"]),
        ("東京v2 です", ["東", "京", "v2", "て\u3099".replace("て\u3099", "で"), "す"]),
        ("한국어 task", ["한국어", "task"]),
        ("№1 ½ ﬁle", ["no1", "1", "2", "file"]),
        (" — ⏎ 🙂 \u202e", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    """Runs of letters and digits, without case and accents; of Chinese and Japanese each character."""
    assert words_of(text) == words


def test_words_of_a_query_are_different_and_in_order() -> None:
    """One argument may hold several words; a word that comes twice counts once."""
    assert query_words(["login page", "LOGIN", "x-ray"]) == ("login", "page", "x", "ray")


@pytest.mark.parametrize("texts", [[], [""], ["- !"], [" ".join(map(str, range(QUERY_WORDS_MAX + 1)))]])
def test_query_without_words_or_with_too_many_is_refused(texts: list[str]) -> None:
    """With words that say what to give."""
    with pytest.raises(InvalidValueError, match="Give at"):
        query_words(texts)


@pytest.mark.parametrize(
    ("word", "wanted", "is_found"),
    [
        ("login", "login", True),
        ("login", "log", True),
        ("login", "lo", True),
        ("login", "l", False),
        ("l", "l", True),
        ("login", "gin", False),
        ("log", "login", False),
    ],
)
def test_word_is_found_by_itself_and_by_its_beginning(word: str, wanted: str, is_found: bool) -> None:
    """A single letter finds only itself."""
    assert fits(word, wanted) is is_found


def test_spans_say_where_words_are_as_they_are_written() -> None:
    """With their accents and capitals, also where an accent is a character of its own."""
    text = "The RÉSUMÉ of re\u0301sume\u0301s: 東京"
    assert [text[start:end] for start, end in spans(text, ("resume", "京"))] == ["RÉSUMÉ", "re\u0301sume\u0301s", "京"]
