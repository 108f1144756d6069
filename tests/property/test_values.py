"""Random texts: what is taken keeps its promises."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from ledger import InvalidValueError, check_name, check_tags, check_text, check_town_name
from tests.property.strategies import moments
from town.folder.settings import fit_name
from town.reading.when import parse_moment


@given(st.text())
def test_town_name_fits_whatever_the_folder_is_called(text: str) -> None:
    """Every text can be made a town name, and a fitting one stays fitting."""
    name = fit_name(text)
    assert check_town_name(name) == name == fit_name(name)


@given(st.text(max_size=200))
def test_name_that_is_taken_stays_as_it_is(text: str) -> None:
    """A checked name is printable, trimmed and within bounds, and checks again as itself."""
    try:
        name = check_name(text, "agent name")
    except InvalidValueError:
        return
    assert name == name.strip() == check_name(name, "agent name")
    assert 1 <= len(name) <= 128
    assert any(char.isprintable() for char in name)
    assert not set(name) & {"\0", "\n", "\x1b", "\u202e"}


@given(st.lists(st.text(max_size=10)))
def test_tags_that_are_taken_are_sorted_and_each_once(texts: list[str]) -> None:
    """Checked tags are a set in one order, whatever order they came in."""
    try:
        tags = check_tags(texts)
    except InvalidValueError:
        return
    assert tags == tuple(sorted({text.strip() for text in texts})) == check_tags(reversed(texts))


@given(st.text())
def test_text_that_is_taken_can_be_stored(text: str) -> None:
    """A checked text is the text itself, and has bytes."""
    try:
        assert check_text(text, "note") == text
    except InvalidValueError:
        return
    assert text.encode().decode() == text
    assert text.strip()


@given(st.text(max_size=30) | st.from_regex(r"\A#?[0-9]*[wdhms:TZ+-]*[0-9]*( ago)?\Z"), moments)
def test_any_text_is_a_moment_or_none(text: str, now: datetime) -> None:
    """Whatever is typed as WHEN, it names a moment or raises ValueError."""
    try:
        moment = parse_moment(text, now=now)
    except ValueError:
        return
    assert not isinstance(moment, datetime) or moment.tzinfo is not None
