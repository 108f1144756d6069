"""Knots: all the needs on circles, found at once."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ledger import Ties, find_circle, find_knots

NAMES = "abcdef"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Ties]:
    """Needs at random, and parents that are a forest."""
    return {
        name: Ties(
            draw(st.none() | st.sampled_from(NAMES[:number])) if number else None,
            tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))),
        )
        for number, name in enumerate(NAMES)
    }


def has_circle(ties: dict[str, Ties]) -> bool:
    """Whether the search of one circle, which walks the same steps in another way, finds one."""
    below = {name: {child for child, place in ties.items() if place.parent_id == name} for name in ties}
    return bool(find_circle(ties, lambda names: {name: (None, below[name]) for name in names}))


@given(graphs())
def test_without_the_needs_of_knots_there_is_no_circle(ties: dict[str, Ties]) -> None:
    """And each of them alone, put back, closes one."""
    knotted = {pair for knot in find_knots(ties) for pair in knot.needs}
    free = {
        name: place._replace(needs=tuple(to for to in place.needs if (name, to) not in knotted))
        for name, place in ties.items()
    }
    assert not has_circle(free)
    assert bool(knotted) == has_circle(ties)


@given(graphs())
def test_circle_of_a_knot_leads_from_its_first_pair_back(ties: dict[str, Ties]) -> None:
    """Each task in it is tied to the next."""
    for knot in find_knots(ties):
        task, needed = knot.needs[0]
        assert knot.circle[:1] == knot.circle[-1:] == (task,)
        assert needed in knot.circle
        for one, other in zip(knot.circle, knot.circle[1:], strict=False):
            is_needed = other in ties[one].needs
            assert is_needed or one == ties[other].parent_id or ties[one].parent_id == other


def test_needs_that_only_lead_to_a_circle_are_no_part_of_a_knot() -> None:
    """They wait for ever, but removing them frees nobody."""
    [knot] = find_knots({"a": Ties(None, ("b",)), "b": Ties(None, ("a",)), "c": Ties(None, ("a", "gone"))})
    assert set(knot.needs) == {("a", "b"), ("b", "a")}
    assert knot.circle == ("a", "b", "a")


def test_task_that_needs_its_parent_or_child_is_a_knot() -> None:
    """A parent is done after its children, and they begin after what it needs is done."""
    assert [knot.needs for knot in find_knots({"kid": Ties("epic", ("epic",)), "epic": Ties()})] == [(("kid", "epic"),)]
    assert [knot.needs for knot in find_knots({"kid": Ties("epic"), "epic": Ties(None, ("kid",))})] == [
        (("epic", "kid"),)
    ]


def test_long_chain_is_followed_without_recursion() -> None:
    """A file may be as deep as it has tasks."""
    names = [str(number) for number in range(20_000)]
    ties = {name: Ties(None, (after,)) for name, after in itertools.pairwise(names)}
    assert find_knots(ties) == []
    assert len(find_knots(ties | {names[-1]: Ties(None, (names[0],))})[0].needs) == len(names)
