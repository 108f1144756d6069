"""Random exports of the Beads tracker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import task_id_of_alias
from town.imports.beads import read_beads

NAMES = [f"bd-{number}" for number in range(8)]
links = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*NAMES, "bd-lost"]))
statuses = st.sampled_from(["open", "hooked", "in_progress", "blocked", "deferred", "pinned", "closed", "tombstone"])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("beads") / "issues.jsonl"


def lies_on_a_circle(name: str, parents: dict[str, str]) -> bool:
    """Whether going up from the issue leads back to it."""
    current = parents.get(name)
    for _ in parents:
        if current is None or current == name:
            break
        current = parents.get(current)
    return current == name


def write_issues(file: Path, issues: list[dict[str, Any]]) -> None:
    file.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues), encoding="utf-8")


@given(links, st.fixed_dictionaries(dict.fromkeys(NAMES, statuses)), st.permutations(NAMES))
def test_parents_are_a_forest_in_any_order(
    file: Path, links: dict[str, str], statuses: dict[str, str], order: list[str]
) -> None:
    """The links kept are those to issues that exist and lie on no circle; line order changes neither them nor the report."""
    # Given the issues in two orders
    issues = {
        name: {
            "id": name,
            "title": "x",
            "status": statuses[name],
            "dependencies": [{"depends_on_id": links[name], "type": "parent-child"}] if name in links else [],
        }
        for name in NAMES
    }
    write_issues(file, list(issues.values()))
    export = read_beads(file, town="harbour", actor="importer")
    write_issues(file, [issues[name] for name in order])
    # Then both are the same
    assert read_beads(file, town="harbour", actor="importer") == export
    # And each link is kept where it may be
    there = {name for name in NAMES if statuses[name] != "tombstone"}
    known = {name: parent for name, parent in links.items() if name in there and parent in there}
    kept = {name: parent for name, parent in known.items() if not lies_on_a_circle(name, known)}
    assert {target.alias: target.parent_id for target in export.desired.values() if target is not None} == {
        name: task_id_of_alias("harbour", kept[name]) if name in kept else None for name in there
    }
    assert [line.partition(":")[0] for line in export.left_out] == sorted((links.keys() & there) - kept.keys())
