"""A server at the limit of its memory: it is called so, reads go on, and with more memory the town goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import StoreUnavailableError
from tests.support.towns import client_of
from town import Town, examine


@pytest.mark.parametrize(
    "write",
    [lambda town: town.create("b"), lambda town: town.upkeep.rebuild(), lambda town: town.note("known", "c")],
    ids=["create", "rebuild", "note"],
)
def test_server_out_of_memory_is_called_so(folder: Path, write: Callable[[Town], object]) -> None:
    """Whatever writes says it without the words of a script or a pipeline; doctor counts it, and more memory is enough.

    The bug looked like this: "refused: Command # 1 (EVALSHA …) of pipeline caused error: command not allowed …".
    """
    with Town.init(folder, name="place") as town, client_of(folder) as client:
        town.create("a", alias="known")
        client.config_set("maxmemory", 1)
        with pytest.raises(
            StoreUnavailableError, match=r"refused to write\. It is out of memory, at its maxmemory"
        ) as refused:
            write(town)
        assert not any(word in str(refused.value) for word in ("script", "pipeline", "Command", "EVALSHA"))
        assert [task.description for task in town.page().tasks] == ["a"]
        (memory,) = (check for check in examine(town.backend, town.connection) if check.name == "memory")
        assert (memory.state, "were refused for lack of memory" in memory.words) == ("bad", True)
        client.config_set("maxmemory", 0)
        write(town)
        assert not town.upkeep.verify().findings
