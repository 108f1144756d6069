"""A real project's tracker over four months: what `diff` and `blame` say of it is what plain scans of its files and events find."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from ledger import BEGINNING, Position
from projections import Board, snapshot_of
from tests.acceptance.test_real_tracker import as_board, expected_board
from tests.support.towns import end_server
from tests.support.tracker import MADE_UP, REAL, skip_without, versions
from town import Reader, Town

PAIRS = 200
TASKS = 100
FIELDS = ("state", "assigned_to", "description", "parent_id", "result", "tags", "priority", "needs", "relates")

Plain = Mapping[str, Any]


class LaidDown(NamedTuple):
    """A town with the whole history, and where each version ends: its position, and the board that its file says."""

    town: Town
    ends: list[tuple[Position, Plain]]


@pytest.fixture(scope="module", params=[MADE_UP, REAL], ids=["made-up", "real"])
def laid_down(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaidDown]:
    history: Path = request.param
    skip_without(history)
    folder = tmp_path_factory.mktemp("tracker") / "demo"
    folder.mkdir()
    export = folder / "issues.jsonl"
    ends: list[tuple[Position, Plain]] = [(BEGINNING, {})]
    with Town.init(folder, name="demo", actor="tester", is_registered=False) as town:
        for time, issues in versions(history):
            export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues.values()))
            town.imports.beads(export, prune=True, backdate=datetime.fromisoformat(time))
            ends.append((town.end(), expected_board(issues)))
        yield LaidDown(town, ends)
    end_server(folder)


def test_diff_is_the_difference_of_the_two_files(laid_down: LaidDown) -> None:
    """Between any two versions, in either order, also from before the first event: the tasks that differ, field by field."""
    chance = Random(13)
    town, ends = laid_down
    for _ in range(PAIRS):
        (since, old), (until, new) = chance.choice(ends), chance.choice(ends)
        found = town.at(until).diff(since)
        before = as_board([json_of(each.before) for each in found.tasks if each.before is not None])
        after = as_board([json_of(each.after) for each in found.tasks if each.after is not None])
        unequal = {alias for alias in {*old, *new} if old.get(alias) != new.get(alias)}
        different = {str(each.task.alias) for each in found.tasks if each.changes}
        assert different == unequal
        assert {alias: before.get(alias) for alias in different} == {alias: old.get(alias) for alias in unequal}
        assert {alias: after.get(alias) for alias in different} == {alias: new.get(alias) for alias in unequal}
        for each in found.tasks:
            alias = str(each.task.alias)
            if each.kind == "changed":
                fields = {field for field in FIELDS if old[alias][field] != new[alias][field]}
                assert {change.field for change in each.changes} == fields


def test_blame_names_the_event_that_a_plain_scan_finds(laid_down: LaidDown) -> None:
    """Of every field of 100 random tasks, now and at a moment of the past: the last event after which the board has it otherwise."""
    chance = Random(14)
    town, ends = laid_down
    for until, _ in (ends[-1], ends[len(ends) // 2]):
        scanned = scan(town, until)
        reader: Reader = town.at(until)
        for task_id in chance.sample(sorted(scanned), min(TASKS, len(scanned))):
            task, blamed = reader.blame(task_id)
            assert {each.field: str(each.event.position) for each in blamed} == scanned[task_id]
            shown = json_of(task)
            assert {each.field: each.value for each in blamed if each.value is not None} == {
                field: value if not isinstance(value, list) else tuple(value)
                for field, value in shown.items()
                if field != "id" and value not in (None, [])
            }


def scan(town: Town, until: Position) -> dict[str, dict[str, str]]:
    """Task -> field -> position of the event that set it, of the board at `until`, event by event from the beginning."""
    board, found = Board(), dict[str, dict[str, str]]()
    for batch in town.backend.store.read_batches(upto=until):
        for recorded in batch:
            before = board.get(recorded.task)
            old = {} if before is None else json_of(before)
            board.fold([recorded])
            after = board.get(recorded.task)
            if after is None:
                found.pop(recorded.task, None)
                continue
            new = json_of(after)
            changed = {field for field in {*old, *new} - {"id"} if new.get(field) != old.get(field)}
            changed -= {field for field in changed if old.get(field) in (None, []) and new.get(field) in (None, [])}
            found.setdefault(recorded.task, {}).update(dict.fromkeys(changed, str(recorded.position)))
    return found


def json_of(task: Any) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(snapshot_of(task), enc_hook=str))
    return shown
