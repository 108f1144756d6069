"""Half a surrogate pair is called that, wherever JSON is read."""

from __future__ import annotations

import msgspec
import pytest

from ledger import EventDecodingError, decode_event, json_problem

HALVES = [
    (r'"sur \ud83d x"', r"\ud83d at byte 6 "),
    (r'"\ud83d"', r"\ud83d at byte 2 "),
    (r'"\udc00 x"', r"\udc00 at byte 2 "),
    (r'"\uD83D\n"', r"\uD83D at byte 2 "),
    (r'"\ud83d\ud83d\ude00"', r"\ud83d at byte 2 "),
    (r'"\ud83d\ude00\ude00"', r"\ude00 at byte 14 "),
    (r'"\\\ud83d"', r"\ud83d at byte 4 "),
]


@pytest.mark.parametrize(("text", "words"), HALVES, ids=[each[0] for each in HALVES])
def test_half_a_surrogate_pair_is_named_with_its_byte(text: str, words: str) -> None:
    """The decoder calls some of them truncated, which sends people to look for the rest of the line."""
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(text)
    for payload in (text, text.encode()):
        assert json_problem(payload, caught.value).startswith(f"{words}is half of a surrogate pair")


@pytest.mark.parametrize("text", [r'"\ud83d\ude00', r'"\\ud83d', r'{"a": 1', r'"\u0041" x', "\ud83d"])
def test_other_faults_keep_the_decoder_s_words(text: str) -> None:
    """A whole pair, an escaped backslash and a line cut off are not half a pair."""
    assert json_problem(text, ValueError("as the decoder says")) == "as the decoder says"


def test_event_with_half_a_pair_is_named_so() -> None:
    """Damage in the ledger is told in the same words."""
    with pytest.raises(EventDecodingError, match=r"\\ud83d at byte 10 is half of a surrogate pair"):
        decode_event(b"1795398509973-9", [b"event", rb'{"type":"\ud83d"}'])
