"""The sieve of stored events never loses one that matches, however its JSON is written."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ledger import Event, TaskAdopted, TaskAssigned, TaskCreated, TaskNoted, decode_event
from ledger.recorded_event import encode_event
from ledger.state import State
from tests.support.builders import TASK, an_event, task_id
from town import EventFilter
from town.reading.event_filter import holder_set_by, sets_holder
from town.reading.event_sieve import GivingSieve, Sieve

POSITION = b"1795398503973-5"
# Few characters, among them those that JSON escapes and those that change their length in another case.
words = st.text('aAsSkKiI/\\"\n\tüÜßẞſ\N{KELVIN SIGN}İı日本—😀ΣσςǅΐnN0', min_size=1, max_size=6)
names = st.sampled_from(["ada", "a/b", 'q"t', "back\\slash", "Ünal", "İpek", "日本", "ADA"])
facts: st.SearchStrategy[Event] = st.one_of(
    st.builds(TaskNoted, words),
    st.builds(TaskCreated, words, tags=st.lists(words, max_size=2).map(tuple)),
    st.builds(TaskAssigned, names),
    st.builds(
        TaskAdopted,
        st.just(()),
        words,
        st.sampled_from(State),
        st.just("2026-11-23T00:00:00.000Z"),
        st.just("2026-11-23T00:00:00.000Z"),
        assigned_to=st.none() | names,
    ),
)
filters = st.builds(
    EventFilter,
    actor=st.none() | names,
    type=st.none() | st.sampled_from(["task.noted", "task.created", "task.assigned"]),
    text=st.none() | words,
    tasks=st.none() | st.sampled_from([frozenset([TASK]), frozenset([task_id(2), TASK]), frozenset([task_id(2)])]),
)


def written(payload: bytes, how: int) -> bytes:
    """The same JSON as other programs write it: with blanks, with every character escaped, with escaped slashes."""
    value = json.loads(payload)
    if how == 1:
        return json.dumps(value, ensure_ascii=True).encode()
    if how == 2:
        return json.dumps(value, ensure_ascii=False, indent=1).replace("/", "\\/").encode()
    return payload if how == 0 else "".join(_escaped(each) for each in payload.decode()).encode()


def _escaped(character: str) -> str:
    return (
        f"\\u{ord(character):04x}"
        if character.isalpha() and ord(character) > 127 and ord(character) < 0xD800
        else character
    )


@given(facts, filters, names, st.none() | words, st.integers(0, 3))
def test_sieve_keeps_every_event_that_matches(
    fact: Event, wanted: EventFilter, actor: str, reason: str | None, how: int
) -> None:
    """Alone or among others in a batch; texts in any case, and JSON in any writing."""
    payload = written(encode_event(an_event(fact, actor=actor, reason=reason)), how)
    entry = (POSITION, [b"event", payload])
    other = (POSITION, [b"event", encode_event(an_event(TaskNoted("zzz"), actor="nobody"))])
    if wanted.matches(decode_event(*entry)):
        assert entry in Sieve(wanted).keep([other, entry, other])


@given(facts, names, st.integers(0, 3))
def test_sieve_keeps_every_event_that_gives_a_task_to_the_agent(fact: Event, agent: str, how: int) -> None:
    """By assigning it, or by adopting it from a town of before."""
    entry = (POSITION, [b"event", written(encode_event(an_event(fact)), how)])
    recorded = decode_event(*entry)
    if sets_holder(recorded) and holder_set_by(recorded) == agent:
        assert GivingSieve(agent).keep([entry]) == [entry]


def test_sieve_drops_what_certainly_does_not_match() -> None:
    """Or it would be no sieve: most of a ledger is never decoded."""
    entry = (POSITION, [b"event", encode_event(an_event(TaskNoted("grün — half"), actor="bob"))])
    for wanted in (
        EventFilter(actor="ada"),
        EventFilter(type="task.created"),
        EventFilter(text="whole"),
        EventFilter(tasks=frozenset([task_id(2)])),
    ):
        assert list(Sieve(wanted).keep([entry])) == []
    assert GivingSieve("bob").keep([entry]) == []


def test_sieve_leaves_what_is_no_event_to_the_decoder() -> None:
    """Which says what is wrong with it."""
    odd = [(POSITION, [b"event"]), (POSITION, [])]
    assert Sieve(EventFilter(actor="ada")).keep(odd) == odd
