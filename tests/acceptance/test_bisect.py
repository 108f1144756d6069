"""`tt bisect`: the first event after which a person's program fails, in few runs, and every way in which it cannot be found."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.tt import PROCESS_SECONDS_MAX, Tt, start_process
from tests.support.waiting import wait_until

EVENTS = 12


@pytest.fixture
def lived(tt: Tt, town: Path) -> Path:
    """A town of 12 events, of which the seventh completes a task."""
    tt("task", "create", "Build it", "--alias", "build", "--agent", "ada")
    tt("task", "start", "build", "--actor", "ada")
    for number in range(3):
        tt("backlog", "add", f"Task {number}")
    tt("task", "complete", "build", "--result", "Built", "--reason", "it runs", "--actor", "ada")
    for number in range(5):
        tt("task", "note", "build", f"Note {number}")
    assert tt("status", "--json").json["events"] == EVENTS
    return town


@pytest.mark.usefixtures("lived")
def test_first_event_after_which_a_program_fails_is_named(tt: Tt) -> None:
    """Its position, time, actor, what it was and the task; each run is told on stderr as it comes."""
    program = "import json, sys; sys.exit(any(task['state'] == 'completed' for task in json.load(sys.stdin)['tasks']))"
    ran = tt("bisect", "--good", "1", "--bad", "now", "--", "python3", "-c", program)
    assert ran.code == 0
    first, position, time, *rest = ran.out.splitlines()
    assert first == "Event 7 is the first after which it fails."
    assert position.startswith("Position  ")
    assert position.endswith("-7")
    assert time.startswith("Time      20")
    assert rest == [
        "Actor     ada",
        "What      completed: Built (it runs)",
        "Task      build  Build it",
        "Changed   state: running → completed",
        "Changed   result: — → Built",
    ]
    told = ran.err.splitlines()
    assert told[0].startswith("11 events from event 1, ")
    assert [line.partition(": ")[0] for line in told[1:]] == [f"{run} of at most 5" for run in range(1, len(told))]
    assert told[1].startswith("1 of at most 5: event 1, ")
    assert told[1].endswith(": good (exit status 0)")
    assert 1 <= len(told[1:]) <= 5


@pytest.mark.usefixtures("lived")
def test_program_gets_the_board_that_replay_prints(tt: Tt, town: Path) -> None:
    """The same JSON, of each moment that is looked at, but for how WHEN was understood."""
    program = "cat > board-$$.json; grep -vq Built board-$$.json"
    shown = tt("bisect", "--good", "1", "--bad", "12", "--json", "--", "sh", "-c", program).json
    boards = {board["number"]: board for path in town.glob("board-*.json") for board in [json.loads(path.read_text())]}
    assert [run["number"] for run in shown["runs"]] == list(boards) or set(boards) == {
        run["number"] for run in shown["runs"]
    }
    for number, board in boards.items():
        replayed = tt("replay", "--at", str(number), "--json").json
        assert replayed.pop("understood")
        assert board == replayed
    assert (shown["event"]["number"], shown["event"]["actor"], shown["task"]["alias"]) == (7, "ada", "build")
    assert shown["candidates"] == {"first": 7, "last": 7, "total": 1}


@pytest.mark.usefixtures("lived")
def test_program_that_cannot_tell_is_asked_elsewhere(tt: Tt) -> None:
    """Exit status 125 skips; where the first bad event is among skipped ones, any of them is named, with exit code 1."""
    program = "import json, sys; n = json.load(sys.stdin)['number']; sys.exit(125 if {0} else n >= 7)"
    ran = tt("bisect", "--good", "1", "--bad", "12", "--", "python3", "-c", program.format("n in (5, 9)"))
    assert ran.code == 0
    assert "Event 7 is" in ran.out
    ran = tt("bisect", "--good", "1", "--bad", "12", "--json", "--", "python3", "-c", program.format("6 <= n <= 8"))
    assert ran.code == 1
    assert ran.json["candidates"] == {"first": 6, "last": 9, "total": 4}
    assert ran.json["event"] is None
    ran = tt("bisect", "--good", "1", "--bad", "12", "--", "python3", "-c", program.format("6 <= n <= 8"))
    assert ran.out.splitlines()[0] == "It is one of 4 events: the program could not judge the boards between them."
    assert [line.split()[0] for line in ran.out.splitlines()[2:]] == ["6", "7", "8", "9"]


@pytest.mark.usefixtures("lived")
@pytest.mark.parametrize(
    ("good", "bad", "program", "said"),
    [
        ("7", "3", "true", "The good moment, event 7, is not earlier than the bad one, event 3. Turn them round"),
        ("3", "3", "true", "is not earlier than"),
        ("1", "12", "exit 1", "The board after event 1, which --good names, is bad"),
        ("1", "12", "exit 0", "The board after event 12, which --bad names, is good"),
        ("1", "12", "exit 125", "The board after event 1, which --good names, cannot be judged"),
        ("1", "12", "no-such-program", "exit status 127"),
        ("1", "12", "exit 126", "exit status 126"),
        ("1", "12", "exit 200", "exit status 200"),
        ("1", "12", "echo torn >&2; kill -9 $$", "it was ended by SIGKILL. It said: torn."),
        ("1", "99", "true", "Event 99 is not in this town"),
    ],
)
def test_search_that_cannot_be_is_refused(tt: Tt, good: str, bad: str, program: str, said: str) -> None:
    """Exit code 1, nothing on stdout, and what to do."""
    ran = tt("bisect", "--good", good, "--bad", bad, "--", "sh", "-c", program)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err.splitlines()[-1]


@pytest.mark.usefixtures("lived")
def test_words_that_are_no_search_are_told(tt: Tt) -> None:
    """A program that is not there is told before anything is read; an option of it taken for ours is explained."""
    ran = tt("bisect", "--good", "1", "--bad", "12", "--", "no-such-program")
    assert ran.code == 1
    assert "'no-such-program' is not a program" in ran.err
    ran = tt("bisect", "--good", "1", "--bad", "12", "sh", "-c", "true")
    assert ran.code == 2
    assert "put -- before the program" in ran.err
    assert tt("bisect", "--good", "1", "--", "true").code == 2


@pytest.mark.usefixtures("lived")
def test_what_the_program_says_is_harmless(tt: Tt) -> None:
    """Its stdout is dropped; the last line of its stderr is told, with what a terminal might obey written out."""
    program = "echo noise; printf 'one\\nred \\033[31m\\n' >&2; grep -vq Built"
    ran = tt("bisect", "--good", "1", "--bad", "12", "--", "sh", "-c", program)
    assert "noise" not in ran.out + ran.err
    assert "(exit status 0: red \\x1b[31m)" in ran.err
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.usefixtures("lived")
def test_what_the_program_leaves_running_holds_nothing_up(tt: Tt, town: Path) -> None:
    """A child that outlives it and has its stdin and stderr is ended with it."""
    program = "sleep 600 <&0 & echo $! >> pids; grep -vq Built"
    assert tt("bisect", "--good", "1", "--bad", "12", "--", "sh", "-c", program).code == 0
    pids = (town / "pids").read_text().split()
    assert len(pids) > 1
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def test_interrupt_ends_the_search_and_its_program(lived: Path) -> None:
    """Exit code 130, how to go on, and nothing left running."""
    program = "echo $$ > pid.new; mv pid.new pid; exec sleep 600"
    with start_process("bisect", "--good", "1", "--bad", "12", "--", "sh", "-c", program, folder=lived) as process:
        wait_until((lived / "pid").exists)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PROCESS_SECONDS_MAX)
    assert (process.returncode, out) == (130, "")
    assert f"Stopped. To go on: tt bisect --good 1 --bad 12 -- sh -c '{program}'" in err
    pid = int((lived / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
