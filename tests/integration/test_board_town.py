"""The town of `make board`: a past that is worth playing back."""

from __future__ import annotations

from pathlib import Path

from ledger import State
from tests.support.board_town import AGENTS, DAYS, make_board_town
from tests.support.towns import end_server
from town import Town


def test_town_of_the_board_has_a_past_of_all_kinds(tmp_path: Path) -> None:
    """Days of work by all agents, failures, reopenings, questions and links, in order, up to now; and it is sound."""
    try:
        make_board_town(tmp_path / "board")
        with Town.open(tmp_path / "board") as town:
            events = [event for batch in town.backend.store.read_batches() for event in batch]
            kinds = {event.type for event in events}
            assert {"task.failed", "task.reopened", "task.asked", "task.answered", "task.linked", "task.noted"} <= kinds
            assert set(AGENTS) <= {event.actor for event in events}
            assert (events[-1].position.time - events[0].position.time).days >= DAYS - 3
            assert town.count_states()[State.COMPLETED] > 20
            assert town.upkeep.verify().findings == ()
    finally:
        end_server(tmp_path / "board")
