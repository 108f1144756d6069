"""A program that a runner runs: whatever it does, it ends in one clear way, and memory and log stay bounded."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import TEXT_BYTES_MAX
from tests.support.towns import is_alive
from tests.support.waiting import wait_until
from town.agents.lifeline import Lifeline
from town.agents.output_tail import STDERR_BYTES_MAX
from town.agents.program import Ended, Ending, EndReason, follow_program, start_program
from town.agents.run_log import LOG_BYTES_MAX, LOG_END_BYTES_MAX, LOGS_KEPT_MAX, RunLog

IGNORES_SIGTERM = "trap '' TERM; echo begun; while :; do sleep 0.05; done"


class Run:
    """Runs shell scripts as a runner runs its program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stop = threading.Event()
        self.hurry = threading.Event()
        self.grace_seconds = 30.0
        self.count = 0
        self.log = Path()

    def __call__(self, script: str, *, given: bytes = b"", program: str = "sh", option: str = "-c") -> Ended:
        self.count += 1
        log = RunLog(self.folder, task_id="task", run=str(self.count))
        self.log = log.path
        ending = Ending(
            why=lambda: EndReason.STOPPED if self.stop.is_set() else None,
            is_urgent=self.hurry.is_set,
            grace_seconds=self.grace_seconds,
        )
        with Lifeline() as lifeline, log:
            process = start_program([program, option, script], environment=os.environ)
            return follow_program(process, given=given, log=log, ending=ending, lifeline=lifeline)

    def stop_once_begun(self, *, hurries: bool = False) -> threading.Thread:
        """Ask it to end as soon as its log holds something."""

        def ask() -> None:
            wait_until(lambda: self.log.is_file() and self.log.stat().st_size)
            self.stop.set()
            if hurries:
                self.hurry.set()

        self.log = self.folder / ".tt" / "logs" / f"task-{self.count + 1}.log"
        thread = threading.Thread(target=ask)
        thread.start()
        return thread


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    found = Run(tmp_path)
    yield found
    found.stop.set()


def test_program_gets_its_input_and_its_last_line_is_kept(run: Run) -> None:
    """Input, output, complaint and status are as the program has them; the log holds all of the output."""
    ended = run("read line; echo first; echo oops >&2; echo got $line; exit 3", given=b"what to do\n")
    assert ended == Ended(3, "got what to do", "oops", asked=None, was_killed=False)
    assert ended.words() == "exit status 3"
    assert sorted(run.log.read_bytes().splitlines()) == [b"first", b"got what to do", b"oops"]


def test_program_that_does_not_read_its_input_ends_all_the_same(run: Run) -> None:
    """64 KiB that nobody reads hold nothing up."""
    assert run("exec 0<&-; echo done", given=b"x" * TEXT_BYTES_MAX).last_line == "done"
    assert run("echo done", given=b"x" * 1_000_000).last_line == "done"


def test_program_that_is_killed_says_by_which_signal(run: Run) -> None:
    """A status below zero is a signal, told by its name."""
    assert run("kill -9 $$").words() == "ended by SIGKILL"


def test_program_that_prints_no_newline_is_bounded(run: Run) -> None:
    """The end of its only line is kept, and marked as cut."""
    ended = run("print('x' * 3_000_000 + 'end', end='')", program=sys.executable)
    assert ended.last_line is not None
    assert ended.last_line.startswith("… x")
    assert ended.last_line.endswith("xend")
    assert len(ended.last_line.encode()) <= TEXT_BYTES_MAX


def test_program_that_prints_invalid_utf8_is_understood(run: Run) -> None:
    """What is no UTF-8, and NUL, is replaced; the log has the bytes as they were."""
    ended = run(r"printf 'a\377b\000c\n'")
    assert ended.last_line == "a�b�c"
    assert run.log.read_bytes() == b"a\xffb\0c\n"


def test_complaint_is_the_end_of_stderr(run: Run) -> None:
    """Of much on stderr the last part is kept."""
    ended = run("import sys; sys.stderr.write('x' * 200_000 + 'the end'); sys.exit(1)", program=sys.executable)
    assert ended.complaint is not None
    assert ended.complaint.endswith("xthe end")
    assert len(ended.complaint.encode()) <= STDERR_BYTES_MAX


def test_log_of_much_output_keeps_beginning_and_end(run: Run) -> None:
    """It says how much is left out in between."""
    size = LOG_BYTES_MAX + 5_000_000
    script = f"import sys; w = sys.stdout.buffer.write; w(b'first\\n'); [w(b'x' * 100_000) for _ in range({size} // 100_000)]; w(b'\\nlast\\n')"
    assert run(script, program=sys.executable).last_line == "last"
    log = run.log.read_bytes()
    assert log.startswith(b"first\n")
    assert log.endswith(b"\nlast\n")
    assert b"bytes are left out here" in log
    assert len(log) <= LOG_BYTES_MAX + LOG_END_BYTES_MAX + 100


def test_logs_beyond_the_limit_are_removed_oldest_first(run: Run) -> None:
    """A town that works for years keeps a bounded number of logs."""
    logs = run.folder / ".tt" / "logs"
    logs.mkdir(parents=True)
    for number in range(LOGS_KEPT_MAX + 5):
        path = logs / f"old-{number:05}.log"
        path.touch()
        os.utime(path, (number, number))
    run("echo new")
    left = {path.name for path in logs.iterdir()}
    assert len(left) == LOGS_KEPT_MAX
    assert run.log.name in left
    assert f"old-{LOGS_KEPT_MAX + 4:05}.log" in left
    assert "old-00000.log" not in left


def test_log_that_cannot_be_written_does_not_stop_the_program(run: Run) -> None:
    """The program runs, and why there is no log is told."""
    (run.folder / ".tt").write_text("in the way")
    log = RunLog(run.folder, task_id="task", run="1")
    with log:
        log.write(b"anything")
    assert log.problem is not None
    assert str(log.path) in log.problem
    assert run("echo done").last_line == "done"


def test_program_that_ends_at_a_stop_is_not_killed(run: Run) -> None:
    """It is asked by SIGTERM, and has time to tidy up."""
    thread = run.stop_once_begun()
    ended = run("trap 'echo tidy; exit 7' TERM; echo begun; while :; do sleep 0.05; done")
    thread.join()
    assert (ended.status, ended.last_line) == (7, "tidy")
    assert ended.asked is EndReason.STOPPED
    assert not ended.was_killed


def test_program_that_ignores_the_stop_signal_is_killed_after_its_grace(run: Run) -> None:
    """And so is whatever it started in its group."""
    run.grace_seconds = 0.2
    thread = run.stop_once_begun()
    ended = run(IGNORES_SIGTERM)
    thread.join()
    assert ended == Ended(-signal.SIGKILL, "begun", None, asked=EndReason.STOPPED, was_killed=True)


def test_second_stop_signal_ends_the_grace(run: Run) -> None:
    """Who asks twice does not wait."""
    run.grace_seconds = 3_600.0
    thread = run.stop_once_begun(hurries=True)
    ended = run(IGNORES_SIGTERM)
    thread.join()
    assert ended.was_killed


def test_what_a_program_leaves_running_ends_with_it(run: Run) -> None:
    """A child in the background holds nothing up and does not stay."""
    ended = run("sleep 1000 & echo $!")
    assert ended.status == 0
    assert ended.last_line is not None
    pid = int(ended.last_line)
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("program", ["./nonesuch", "/"])
def test_program_that_cannot_be_started_is_refused(run: Run, program: str) -> None:
    """Nothing is left behind, and the reason is the system's."""
    with pytest.raises(OSError, match=r"\[Errno"):
        run("echo", program=program)
