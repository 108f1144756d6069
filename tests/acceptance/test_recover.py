"""`tt recover`, typed: what it shows, what it refuses, and that a look changes nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from ledger import Position
from tests.support.losses import fall_back, look_back
from tests.support.towns import client_of
from tests.support.tt import Tt

PLAN = """
[[tasks]]
id = "later"
description = "Later"
"""
WRITES = {
    "assign": ("assign", "ada", "more"),
    "task create": ("task", "create", "more"),
    "backlog add": ("backlog", "add", "more"),
    "backlog claim": ("backlog", "claim", "{task}", "ada"),
    "task note": ("task", "note", "{task}", "more"),
    "task complete": ("task", "complete", "{task}", "--agent", "ada"),
    "task remove": ("task", "remove", "{task}"),
    "task edit": ("task", "edit", "{task}", "more"),
    "next": ("next", "ada"),
    "ask": ("ask", "{task}", "Which?"),
    "annotate": ("annotate", "1", "more"),
    "undo": ("undo", "1"),
    "sync push": ("sync", "push"),
    "import beads": ("import", "beads", "issues.jsonl"),
    "work": ("work", "ada", "--once", "--", sys.executable, "-c", ""),
}


@pytest.fixture
def lossy(tt: Tt, town: Path) -> str:
    """The id of a task in a town that lost the last one of its three events."""
    task = str(tt("backlog", "add", "Implement it", "--json").json["task"]["id"])
    tt("task", "note", task, "kept")
    (town / "tasks.toml").write_text(PLAN, encoding="utf-8")
    (town / "issues.jsonl").write_text('{"id": "old", "title": "Imported", "status": "open"}\n', encoding="utf-8")
    with client_of(town) as client:
        kept = look_back(client)
        assert tt("task", "note", task, "lost").code == 0
        fall_back(client, kept)
    return task


@pytest.mark.parametrize("words", WRITES.values(), ids=WRITES)
def test_command_that_writes_is_refused(tt: Tt, town: Path, lossy: str, words: tuple[str, ...]) -> None:
    """With exit code 5, and not a byte on the server is another one."""
    with client_of(town) as client:
        before = look_back(client)
        ran = tt(*(word.format(task=lossy) for word in words))
        assert (ran.code, "up to 3; the server has 2: 1 event that was acknowledged here is gone" in ran.err) == (
            5,
            True,
        )
        after = look_back(client)
    # A heartbeat is no event.
    assert {key: value for key, value in after.items() if b":heartbeat:" not in key} == before


def test_look_changes_nothing(tt: Tt, town: Path, lossy: str) -> None:
    """Neither on the server nor in the receipts."""
    assert lossy
    receipts = {path: path.read_bytes() for path in (Path.home() / ".tt" / "receipts").rglob("*") if path.is_file()}
    with client_of(town) as client:
        before = look_back(client)
        ran = tt("recover", "--dry-run")
        assert look_back(client) == before
    assert (ran.code, ran.err) == (0, "")
    assert "will be appended again" in ran.out
    assert "`tt recover --accept-loss demo`" in ran.out
    assert {path: path.read_bytes() for path in receipts} == receipts


def test_json_says_what_happens_to_each(tt: Tt, town: Path, lossy: str) -> None:
    """The same before and after, but for what was appended."""
    assert town.is_dir()
    look = tt("recover", "--dry-run", "--json").json
    [gone] = look["gone"]
    assert (gone["task"], gone["type"], gone["version"], gone["fate"], gone["now"]) == (
        lossy,
        "task.noted",
        3,
        "appended",
        None,
    )
    done = tt("recover", "--json").json
    assert (done["gone"], done["dry_run"]) == (look["gone"], False)
    assert Position(done["position"]).seq == 3
    assert [Position(each).seq for each in done["positions"]] == [4]
    assert tt("recover", "--json").json["gone"] == []
    [event] = tt("events", "--since", "3", "--json").json["events"][-1:]
    assert (event["data"], event["cause"]) == ({"text": "lost"}, done["position"])
    assert tt("verify").code == 0


def test_new_event_is_shown_as_what_it_is(tt: Tt, town: Path, lossy: str) -> None:
    """In the log, the events, and where somebody asks why."""
    assert town.is_dir()
    assert tt("recover").code == 0
    for words in (("log",), ("events",)):
        assert "recovered" in (out := tt(*words).out)
        assert "1 of 1 lost event, of 3" in out
    assert tt("events", "--type", "town.recovered", "--json").json["events"][0]["data"]["lost"] == 1
    assert tt("task", "history", lossy).code == 0
    assert tt("replay", "--at", "3").code == 0


def test_options_that_contradict_and_another_town_are_refused(tt: Tt, town: Path, lossy: str) -> None:
    """Nothing is accepted by habit."""
    assert town.is_dir()
    assert tt("recover", "--dry-run", "--accept-loss", "demo").code == 2
    ran = tt("recover", "--accept-loss", "other")
    assert (ran.code, "This town is called 'demo', not 'other'" in ran.err) == (1, True)
    assert tt("task", "note", lossy, "more").code == 5
    ran = tt("recover", "--accept-loss", "demo")
    assert ran.code == 0
    assert "The loss of 1 event is accepted." in ran.out
    assert tt("task", "note", lossy, "more").code == 0
    assert tt("verify").code == 0


def test_what_remains_ends_with_5_and_says_what_to_do(tt: Tt, town: Path, lossy: str) -> None:
    """Another machine wrote meanwhile, with other receipts."""
    receipts = Path.home() / ".tt" / "receipts"
    receipts.rename(receipts.with_name("away"))
    assert tt("task", "note", lossy, "of another machine").code == 0
    shutil.rmtree(receipts)
    receipts.with_name("away").rename(receipts)
    assert town.is_dir()
    for _ in range(2):
        ran = tt("recover")
        assert ran.code == 5
        assert "event 3 of another command is now version 3 of its task" in ran.out
        assert "`tt recover --accept-loss demo`" in ran.err
        assert tt("task", "note", lossy, "more").code == 5
    assert tt("recover", "--accept-loss", "demo").code == 0
    assert tt("task", "note", lossy, "more").code == 0
