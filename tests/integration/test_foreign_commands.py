"""A town's own files hold nothing but changes of data, whatever was done in the town."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.scene import opened_scene
from tests.support.towns import client_of
from tests.support.waiting import wait_until
from town import Town
from town.aof.foreign_commands import DATA_COMMANDS, FIXED_COMMANDS, foreign_commands
from town.server.own_server import EmbeddedServer


def test_files_of_a_town_only_change_data(folder: Path, tmp_path: Path) -> None:
    """A town in which everything was done, projected, rebuilt, and whose file was written anew by the server, needs no question."""
    server = EmbeddedServer(folder)
    server.start()
    with client_of(folder) as client, opened_scene(client, folder / "redis.sock", tmp_path / "scene") as scene:
        scene.town.upkeep.rebuild()
        scene.town.complete(scene.tasks["running"], result="Done")
        before = foreign_commands(folder / ".tt")
        _rewrite(client)
        scene.town.note(scene.tasks["running"], "Looked at")
    server.stop()
    after = foreign_commands(folder / ".tt")
    for found in (before, after):
        assert (found.foreign, found.unread) == ((), ())
        assert found.commands > 20
    assert after.only_change_data


def test_files_of_a_town_of_its_own_only_change_data(folder: Path) -> None:
    """So does what `tt init` and the first command leave, while the server runs."""
    with Town.init(folder, name="own") as town:
        town.create("Write the release notes", agent="worker-1")
        assert foreign_commands(folder / ".tt").only_change_data


def test_numbers_of_arguments_are_the_servers(folder: Path) -> None:
    """What is taken for a whole command here is one for the server, which ends where its files hold another number of arguments."""
    server = EmbeddedServer(folder)
    server.start()
    with client_of(folder) as client:
        untyped: Any = client
        told = untyped.execute_command("COMMAND")
    arities = {name.upper().encode(): each["arity"] for name, each in told.items()}
    known = {name: arities[name] for name in DATA_COMMANDS if name in arities}
    assert len(known) > 90
    assert known == {name: DATA_COMMANDS[name] * (1 if name in FIXED_COMMANDS else -1) for name in known}


def _rewrite(client: Any) -> None:
    """Have the server write its base file anew, and wait until it is done."""
    client.bgrewriteaof()
    wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
