"""Which UUID a task gets."""

from __future__ import annotations

from uuid import UUID

from ledger import new_command_id, new_task_id, task_id_of_alias


def test_alias_gives_the_same_id_on_every_machine() -> None:
    """An alias is found by computing, so what it computes to must never change."""
    # Computed with Python's uuid module: uuid5(NAMESPACE_URL, "tinytown:harbour:bd-1").
    assert task_id_of_alias("harbour", "bd-1") == "6e89d429-c2c5-5353-9467-e57da1cac9b8"


def test_alias_in_another_town_is_another_task() -> None:
    """Town and alias both count, and no pair reads as another pair."""
    pairs = [("a", "x"), ("b", "x"), ("a", "y"), ("a", ":x"), ("a", "b:x"), ("a", "x "), ("a", "X"), ("a", "ä")]
    assert len({task_id_of_alias(town, alias) for town, alias in pairs}) == len(pairs)


def test_new_ids_are_random_uuids() -> None:
    """Made by hand, each is new: a version 4 UUID in canonical spelling."""
    made = {new_task_id() for _ in range(100)} | {new_command_id() for _ in range(100)}
    assert len(made) == 200
    assert {(UUID(each).version, str(UUID(each)) == each) for each in made} == {(4, True)}
