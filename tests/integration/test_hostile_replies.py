"""A server that means harm: whatever it answers to whatever question, a command ends in time, small, and with our words.

A cell of the matrix is a command of `tt`, a command of the protocol that it sends and which one of these, and an answer. The
short form takes a spread over all of them, TT_STRESS=1 takes some 6,000 of about 50,000.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.exits import Exit
from ledger.reply_shapes import SHAPES
from tests.support.hostile_server import ANSWERS, FLOODS, HostileServer, hostile_server
from tests.support.tt import run_here
from town import Town
from town.server.bounds import EXCHANGE_SECONDS_MAX

IS_LONG = bool(os.environ.get("TT_STRESS"))
SHORT_RUNS, LONG_RUNS, LONG_PROCESSES = 150, 6_000, 300
TIMES_MAX = 3
EXCHANGE_SECONDS = 0.1
RUN_SECONDS_MAX = 12.0
"""Of one run; an exchange has EXCHANGE_SECONDS, and a command some dozens of them at the worst."""
PROCESS_SECONDS_MAX = EXCHANGE_SECONDS_MAX + RUN_SECONDS_MAX
"""Of a whole process, whose exchange has the real limit: a server that announces something and is silent then uses it up."""
PEAK_BYTES_MAX = 100_000_000
ENDS = {Exit.DONE, Exit.REFUSED, Exit.CONFLICT, Exit.UNAVAILABLE, Exit.DAMAGED}

TASK = "{task}"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("tasks",),
    ("task", "list", "--state", "completed", "--tag", "red"),
    ("task", "list", "--state", "completed", "--state", "pending", "--tag", "red", "--not-tag", "blue"),
    ("task", "list", "--sort", "updated"),
    ("task", "show", TASK),
    ("task", "history", TASK),
    ("task", "tree"),
    ("task", "tree", TASK),
    ("task", "note", TASK, "a note"),
    ("task", "create", "another"),
    ("backlog", "list"),
    ("events",),
    ("replay", "--at", "4"),
    ("stats",),
    ("status",),
    ("doctor",),
    ("verify",),
    ("rebuild",),
    ("rebuild", "--dry-run"),
    ("reclaim",),
    ("migrate", "--dry-run"),
    ("wait", TASK, "--timeout", "0.1"),
)


class Scene(NamedTuple):
    """A small town behind a server that can turn hostile, and the id of a task that has children."""

    server: HostileServer
    folder: Path
    task: str

    def arguments(self, command: tuple[str, ...]) -> list[str]:
        return [self.task if each == TASK else each for each in command]


class Cell(NamedTuple):
    """`answer` to the command `asked` of the protocol, from the `first` time on that `command` of `tt` sends it."""

    command: tuple[str, ...]
    asked: bytes
    first: int
    answer: str


@pytest.fixture(scope="module")
def hostile(server_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    with hostile_server(server_socket, tmp_path_factory.mktemp("hostile") / "redis.sock") as server:
        yield server


@pytest.fixture
def scene(hostile: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    hostile.be_honest()
    monkeypatch.setenv("REDIS_URL", hostile.url)
    monkeypatch.chdir(tmp_path)
    with Town.init(tmp_path, name=f"hostile-{os.urandom(4).hex()}") as town:
        parent = town.create("parent", tags=["red"]).task
        child = town.create("child", agent="worker-1", tags=["red"], parent=parent.id).task
        town.complete(child.id, result="done")
        town.create("free")
        town.note(parent.id, "a first note")
    return Scene(hostile, tmp_path, parent.id)


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bounds, and shorter."""
    monkeypatch.setattr("town.server.bounded_client.EXCHANGE_SECONDS_MAX", EXCHANGE_SECONDS)
    monkeypatch.setattr("town.server.connection.LOADING_SECONDS_MAX", EXCHANGE_SECONDS)
    monkeypatch.setattr("projections.upkeep.REBUILD_WAIT_SECONDS_MAX", EXCHANGE_SECONDS)
    monkeypatch.setattr("projections.rebuilding.rebuild.LEASE_WAIT_SECONDS_MAX", EXCHANGE_SECONDS)


def matrix(scene: Scene, capsys: pytest.CaptureFixture[str], answers: list[str]) -> list[Cell]:
    """Every cell there is, found out by letting each command do its work."""
    cells = []
    for command in COMMANDS:
        scene.server.be_honest()
        assert run_here(capsys, *scene.arguments(command)).code in {0, 1}, command
        for asked, times in sorted(scene.server.asked.items()):
            cells += [
                Cell(command, asked, first, answer) for first in range(min(times, TIMES_MAX)) for answer in answers
            ]
    return cells


def spread(cells: list[Cell], count: int) -> list[Cell]:
    """Some `count` of them, by a step that shares no divisor with the number of answers: so all answers are met."""
    step = max(len(cells) // count, 1)
    while math.gcd(step, len(ANSWERS)) > 1:
        step -= 1
    return cells[::step][:count]


@pytest.mark.stress
def test_no_answer_of_a_hostile_server_is_a_mistake_of_ours(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong types, lies about lengths, floods, drips, silence: every command ends by one of its documented exits, in time.

    The bugs looked like this: exit 70 with AttributeError, KeyError, MemoryError or RecursionError, and runs without an end.
    """
    cells = spread(matrix(scene, capsys, list(ANSWERS)), LONG_RUNS if IS_LONG else SHORT_RUNS)
    shorten(monkeypatch)
    bad: list[str] = []
    longest = 0.0
    for cell in cells:
        scene.server.attack(cell.asked, cell.first, ANSWERS[cell.answer])
        began = time.monotonic()
        ran = run_here(capsys, *scene.arguments(cell.command))
        took = time.monotonic() - began
        longest = max(longest, took)
        if ran.code not in ENDS or took > RUN_SECONDS_MAX:
            bad.append(f"{cell}: {ran.code} in {took:.1f} s: {ran.err.strip()[-300:]}")
    sys.stdout.write(f"{len(cells)} cells, at most {longest:.1f} s\n")
    assert bad == []


def test_hostile_answers_are_at_least_300_and_met_by_every_command(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """The matrix is not empty by mistake: the commands ask what the answers are for, and every question has a shape."""
    cells = matrix(scene, capsys, list(ANSWERS))
    asked = {cell.asked for cell in cells}
    assert len({(cell.asked, cell.answer) for cell in cells}) > 300
    assert asked >= {b"CONFIG", b"EXEC", b"HGETALL", b"HSCAN", b"MGET", b"SCAN", b"XINFO", b"XRANGE", b"ZRANGE"}
    names = {shape.partition(" ")[0].encode() for shape in SHAPES} | {b"EXEC", b"EVALSHA"}
    assert asked - names == set()
    assert {cell.command for cell in spread(cells, SHORT_RUNS)} == set(COMMANDS)
    assert {cell.answer for cell in spread(cells, SHORT_RUNS)} == set(ANSWERS)


@pytest.mark.stress
def test_flood_of_a_hostile_server_takes_less_than_100_mb(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Endless texts and lists, and announced counts: a whole process stays small, and ends at once, or by the deadline of an exchange."""
    short = [
        Cell(("tasks",), asked, 0, answer)
        for asked, answer in [
            (b"CLIENT", "endless text"),
            (b"INFO", "endless line"),
            (b"MGET", "whole text of 23 MiB"),
            (b"EXEC", "endless lists in lists"),
            (b"ZRANGE", "endless list of empty lists"),
            (b"XINFO", "huge counts in a huge count"),
        ]
    ]
    cells = short
    if IS_LONG:
        cells = [cell for cell in matrix(scene, capsys, list(FLOODS)) if cell.first == 0]
        cells = cells[:: max(len(cells) // LONG_PROCESSES, 1)]
    bad: list[str] = []
    most, longest = 0, 0.0
    for cell in cells:
        scene.server.attack(cell.asked, cell.first, ANSWERS[cell.answer])
        code, peak, seconds = measure(scene.arguments(cell.command), scene.folder)
        most, longest = max(most, peak), max(longest, seconds)
        if code not in ENDS or peak > PEAK_BYTES_MAX or seconds > (PROCESS_SECONDS_MAX if IS_LONG else RUN_SECONDS_MAX):
            bad.append(f"{cell}: {code}, {peak:,} bytes, {seconds:.1f} s")
    sys.stdout.write(f"{len(cells)} processes, at most {most:,} bytes and {longest:.1f} s\n")
    assert bad == []


def measure(arguments: list[str], folder: Path) -> tuple[int, int, float]:
    """`tt ARGUMENTS` as a process: exit code, bytes at its peak, and seconds."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    unit = 1024 if sys.platform == "linux" else 1
    return ended.returncode, int(ended.stdout) * unit, time.monotonic() - began


# A process counts the memory of the one it was forked from as its own peak, and a test's process is large.
_LAUNCHER = """
import os, sys
nowhere = [(os.POSIX_SPAWN_OPEN, file, os.devnull, os.O_WRONLY, 0) for file in (1, 2)]
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(process, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
