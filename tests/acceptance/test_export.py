"""A person takes a town out and in by `tt`: files, pipes, what is said, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.test_reader_gone import run_unread
from tests.support.terminal import on_terminal
from tests.support.towns import end_server
from tests.support.tt import PROCESS_SECONDS_MAX, Tt


@pytest.fixture
def worked(tt: Tt, town: Path) -> Path:
    """A town with six events of two tasks."""
    tt("assign", "ada", "Paint the fence \x9b31m")
    tt("task", "create", "Zweite", "--alias", "z")
    assert tt("task", "complete", "z", "--agent", "bob", "--result", "=done").code == 0
    return town


def run_piped(*arguments: str, folder: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`tt ARGUMENTS` as a process with bytes in its pipes."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        env=os.environ,
        input=given,
        capture_output=True,
        timeout=PROCESS_SECONDS_MAX,
        check=False,
    )


def test_town_goes_out_and_in(tt: Tt, worked: Path) -> None:
    """Out into a compressed file, in to a new town of the name, whose every answer is the same; again appends nothing."""
    before = [
        tt(*command).out for command in (["task", "list", "--json"], ["events", "--json"], ["task", "history", "z"])
    ]
    exported = tt("export", "town.jsonl.zst")
    assert (exported.code, exported.err) == (0, "")
    assert exported.out.startswith("6 events of demo, the last at ")
    other = worked / "other"
    try:
        other.mkdir()
        os.chdir(other)
        assert tt("init", "--name", "demo").code == 0
        imported = tt("import", "ledger", "../town.jsonl.zst")
        assert (imported.code, imported.err) == (0, "")
        assert imported.out.startswith("6 events of 2 tasks in the file; 6 events appended, the last at ")
        assert tt("verify").code == 0
        assert [
            tt(*command).out for command in (["task", "list", "--json"], ["events", "--json"], ["task", "history", "z"])
        ] == before
        again = tt("import", "ledger", "../town.jsonl.zst")
        assert again.out == "6 events of 2 tasks in the file, all in the town already; nothing was appended.\n"
        assert tt("task", "note", "z", "goes on").code == 0
    finally:
        os.chdir(worked)
        end_server(other)


def test_pipes_have_the_file_and_nothing_else(tt: Tt, worked: Path) -> None:
    """`-` is stdout and stdin; what a pipe gives is the same bytes as the file."""
    assert tt("export", "a.jsonl").code == 0
    ran = run_piped("export", "-", folder=worked)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, (worked / "a.jsonl").read_bytes(), b"")
    assert run_piped("export", "-", "--format", "csv", folder=worked).stdout.count(b"\r\n") == 7
    ran = run_piped("import", "ledger", "-", folder=worked, given=(worked / "a.jsonl").read_bytes())
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.endswith(b"nothing was appended.\n")
    ran = run_piped("import", "ledger", "-", folder=worked, given=(worked / "a.jsonl").read_bytes()[:-1])
    assert ran.returncode == 1
    assert b"The ledger from the pipe was not imported, and nothing was changed: line 8:" in ran.stderr
    assert run_unread("export", "-", folder=worked) == (0, "")


@pytest.mark.usefixtures("worked")
def test_pipe_that_is_none_is_usage(town: Path) -> None:
    """`tt import ledger -` says so where stdin is closed or a terminal. It once was "Something unexpected", or waited."""
    ran = subprocess.run(
        ["sh", "-c", '"$0" -m cli.main import ledger - <&-', sys.executable],
        cwd=town,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS_MAX,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "stdin is closed" in ran.stderr
    assert "terminal" in on_terminal(["import", "ledger", "-"], town, {}, code=2)


def test_compressed_file_in_a_pipe_is_refused_with_what_to_do(worked: Path) -> None:
    """A pipe has no name that says how it is packed."""
    assert run_piped("export", "a.jsonl.gz", folder=worked).returncode == 0
    ran = run_piped("import", "ledger", "-", folder=worked, given=(worked / "a.jsonl.gz").read_bytes())
    assert ran.returncode == 1
    assert ran.stderr.endswith(b"unpack what goes into a pipe.\n")


def test_answer_stands_below_the_progress(worked: Path) -> None:
    """On a terminal the answer has a line of its own, after the bar is gone. It once was written over the bar."""
    shown = on_terminal(["export", "a.jsonl"], worked, {})
    assert shown.index("6 events of demo") > shown.rindex("Exporting")


def test_terminal_gets_no_file(worked: Path) -> None:
    """What stands in a file has passed no gate."""
    shown = on_terminal(["export", "-"], worked, {}, code=2)
    assert "stdout is a terminal" in shown
    assert "Zweite" not in shown


def test_save_and_restore_are_for_git(tt: Tt, worked: Path) -> None:
    """`ledger.jsonl` in the town's folder, text; a later save adds lines; `restore` takes it in."""
    first = tt("save")
    assert first.code == 0
    saved = (worked / "ledger.jsonl").read_text("utf-8").splitlines()
    assert len(saved) == 8
    tt("task", "note", "z", "more")
    assert tt("save").code == 0
    assert (worked / "ledger.jsonl").read_text("utf-8").splitlines()[:7] == saved[:7]
    restored = tt("restore", "--json").json
    assert (restored["events"], restored["appended"], restored["damage"]) == (7, 0, [])
    assert tt("save", "--file", "elsewhere.jsonl", "--json").json["file"] == "elsewhere.jsonl"
    assert tt("restore", "--file", "elsewhere.jsonl").code == 0


def test_file_that_is_not_whole_is_refused_in_words(tt: Tt, worked: Path) -> None:
    """Exit code 1, the line, and what to do."""
    tt("export", "a.jsonl")
    lines = (worked / "a.jsonl").read_bytes().splitlines(keepends=True)
    (worked / "a.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))
    ran = tt("import", "ledger", "a.jsonl")
    assert (ran.code, ran.out) == (1, "")
    assert "a.jsonl was not imported, and nothing was changed: line 4: " in ran.err
    assert ran.err.endswith("Export it again, or take a copy that is whole.\n")
    assert tt("import", "ledger", "none.jsonl").code == 1


@pytest.mark.usefixtures("worked")
@pytest.mark.parametrize(
    "arguments", [["export"], ["export", "-", "--json"], ["export", "a", "--format", "xes"], ["import", "ledger"]]
)
def test_words_that_do_not_go_together_are_usage(tt: Tt, arguments: list[str]) -> None:
    """Exit code 2, and nothing is written."""
    assert tt(*arguments).code == 2
    assert not Path("a").exists()


def test_receipts_are_json(tt: Tt, worked: Path) -> None:
    """One object each, of the documented shape."""
    shape = tt("export", "a.csv", "--json", "--task", "z", "--until", "now").json
    assert shape["position"] == json.loads(tt("events", "--json").out)["events"][-1]["position"]
    assert (shape["town"], shape["file"], shape["format"], shape["events"]) == ("demo", "a.csv", "csv", 4)
    assert shape["bytes"] == (worked / "a.csv").stat().st_size
    assert tt("export", "none.csv", "--since", "now", "--json").json["position"] is None
