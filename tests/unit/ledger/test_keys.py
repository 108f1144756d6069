"""Key names, and what a town may be called."""

from __future__ import annotations

import pytest

from ledger import TOWN_NAMES_RESERVED, InvalidValueError, Keys, check_town_name

# Written out, because this list is Tinytown's and not ours to change by accident.
RESERVED = [
    "agent",
    "inbox",
    "urgent",
    "task",
    "activity",
    "stop",
    "backlog",
    "broadcast",
    "docket",
    "events",
    "mission",
]


@pytest.mark.parametrize(
    "name", ["a", "Z", "7", "tinytown", "a.b_c-d", "my-project-main", "x" * 64, "1.", "Agent", "tasks"]
)
def test_town_name_that_fits_is_taken(name: str) -> None:
    """Letters, digits, dots, dashes and underscores, up to 64, beginning with a letter or digit."""
    assert check_town_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".hidden", "-x", "_x", "x" * 65, "a b", "a:b", "a/b", "ä", "a\n", "a\0", "{a}", "a*", "٣", "town‍"],
)
def test_town_name_that_does_not_fit_is_refused(name: str) -> None:
    """Anything else is refused: it would be another key, a pattern, or a slot of a cluster."""
    with pytest.raises(InvalidValueError, match="town name"):
        check_town_name(name)


@pytest.mark.parametrize("name", RESERVED)
def test_town_name_that_is_a_key_type_is_refused(name: str) -> None:
    """`tt:<type>:<id>` from before towns were isolated would read as a key of that town."""
    with pytest.raises(InvalidValueError, match=f"Try {name}-town"):
        check_town_name(name)


def test_reserved_names_are_tinytowns() -> None:
    """The list is DESIGN 2's, no more and no less."""
    assert set(RESERVED) == TOWN_NAMES_RESERVED


def test_keys_are_as_documented() -> None:
    """Keys are a format that lasts (DESIGN 2)."""
    keys = Keys("harbour")
    assert keys.ledger == "tt:harbour:ledger"
    assert keys.heads == "tt:harbour:heads"
    assert keys.task("550e8400") == "tt:harbour:task:550e8400"
    assert keys.view("backlog") == "tt:harbour:view:backlog"
    assert keys.view("agent", "worker 1") == "tt:harbour:view:agent:worker 1"
    assert keys.checkpoint("task") == "tt:harbour:checkpoint:task"


def test_keys_with_hash_tag_lie_in_one_slot() -> None:
    """With the setting, every key carries `{town}`, which a cluster hashes."""
    keys = Keys("harbour", hash_tag=True)
    every = [keys.ledger, keys.heads, keys.task("1"), keys.view("state", "pending"), keys.checkpoint("task")]
    assert all(key.startswith("tt:{harbour}:") for key in every)


def test_keys_of_two_towns_never_meet() -> None:
    """No key of one town begins as the other's prefix does, though the names do."""
    assert not Keys("a.b").ledger.startswith(f"{Keys('a').prefix}:")
