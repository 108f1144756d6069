"""What adoption lets in is legal everywhere: no command meets a task that it has no answer for.

A `tt sync push` of Tinytown wrote completed and failed tasks without an agent. After the migration `tt plan` and
`tt sync push` ended with 70, because an assertion held that a task which is completed has an agent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import (
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CommandRejectedError,
    CompleteTask,
    DescribeTask,
    FailTask,
    MoveTask,
    NoteTask,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    StartTask,
    State,
    TagTask,
    Task,
    decide,
    reconcile,
)
from tests.support.adopted import AGENT_ID, LOST_AGENT_ID, Standing, standings, write_agent, write_record
from tests.support.builders import TASK, task_id
from tests.support.cli_reference import commands
from tests.support.legality import Life, live
from tests.support.losses import start_over
from tests.support.tt import Ran, Tt, run_here
from town import Town
from town.plans.desired import desired
from town.plans.plan import NOBODY, Plan, PlannedTask
from town.plans.pull import pull_edits

TEXT: Final = "Implement user authentication"
STANDINGS: Final = standings(None, "ada")
COMMANDS: Final[list[Command]] = [
    AssignTask(task_id=TASK, agent="ada"),
    AssignTask(task_id=TASK, agent="bob"),
    ClaimTask(task_id=TASK, agent="ada"),
    ClaimTask(task_id=TASK, agent="bob"),
    *(StartTask(task_id=TASK, agent=agent) for agent in (None, "ada", "bob")),
    *(CompleteTask(task_id=TASK, agent=agent, result="ok") for agent in (None, "ada", "bob")),
    *(FailTask(task_id=TASK, agent=agent, error="no") for agent in (None, "ada", "bob")),
    CancelTask(task_id=TASK),
    RequeueTask(task_id=TASK),
    RequeueTask(task_id=TASK, agent="bob"),
    ReopenTask(task_id=TASK),
    DescribeTask(task_id=TASK, description="Otherwise"),
    TagTask(task_id=TASK, added=("a",), removed=()),
    MoveTask(task_id=TASK, parent_id=task_id(7)),
    NoteTask(task_id=TASK, text="Half way"),
    RemoveTask(task_id=TASK),
]
PLANNED: Final = [
    PlannedTask("a", text, status=status, agent=agent, result=result)
    for text, status, agent, result in itertools.product(
        (TEXT, "Otherwise"), (None, *State), (None, NOBODY, "ada", "bob"), (None, "done")
    )
    if agent != NOBODY or status in (None, State.PENDING, State.CANCELLED)
]
DESIRED: Final = [
    partial(desired, planned, alias="a", parent_id=None, default_agent=default, actor="eve", is_forced=is_forced)
    for planned, default, is_forced in itertools.product(PLANNED, (None, "dan"), (False, True))
]


def life_of(task: Task) -> Life:
    """What counts of a task: a pending one is nobody's, and an open one has no result, whatever a record said."""
    result = task.result if task.state.is_terminal else None
    return Life(str(task.state), task.holder, result, task.description, task.parent_id, frozenset(task.tags))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_every_command_is_decided_legally(command: Command) -> None:
    """Each command on each standing is carried out as the machine allows it, or refused; who is named has it then."""
    for standing in STANDINGS:
        task = standing.task()
        try:
            events = decide(task, command)
        except CommandRejectedError:
            continue
        life = live(events, life_of(task))
        named = getattr(command, "agent", None)
        assert named is None or life.agent == named, (standing, command)


def test_every_plan_is_reconciled_legally() -> None:
    """Each plan with each standing leads to the desired state, and said again to nothing."""
    for standing, desired_of in itertools.product(STANDINGS, DESIRED):
        task = standing.task()
        target, _ = desired_of(task)
        life = live(reconcile(task, target), life_of(task))
        result = target.result if target.state.is_terminal else None
        assert (life.state, life.agent, life.result) == (str(target.state), target.agent, result), standing


@pytest.mark.parametrize("default", [None, "dan"])
def test_plan_that_was_pulled_is_as_the_town(default: str | None) -> None:
    """What a pull writes shows the task, and pushed again changes nothing and keeps nothing back."""
    for standing in STANDINGS:
        task = standing.task(alias="a")
        values = pull_edits(Plan(default_agent=default), [], [], [], board={task.id: task}, removed=frozenset()).added[
            TASK
        ]
        planned = PlannedTask(
            "a",
            str(values["description"]),
            status=State(str(values["status"])),
            agent=_text(values["agent"]),
            result=_text(values["result"]),
        )
        again = pull_edits(
            Plan(tasks=(planned,), default_agent=default), [TASK], [None], [()], board={TASK: task}, removed=frozenset()
        )
        assert not again, (standing, again)
        target, kept = desired(planned, task, alias="a", parent_id=None, default_agent=default, actor="eve")
        if default is None or task.state is not State.PENDING:
            assert (reconcile(task, target), kept) == ([], ()), standing


def _text(value: object) -> str | None:
    return None if value is None else str(value)


# --- the program, on the real server -----------------------------------------------------------------------------

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "TASK": ("old", task_id(1), task_id(2)),
    "AGENT": ("ada", "bob", AGENT_ID),
    "TEXT": ("words",),
}
_RUNNING: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("work",): ("ada", "--once", "--", "true"),
    ("wait",): ("old", "--timeout", "0"),
    ("import", "beads"): ("issues.jsonl",),
    ("projector",): ("--once",),
    ("migrate",): ("--force",),
    ("trust",): ("--yes",),
    ("demo",): ("--help",),
    ("start",): ("--help",),
    ("stop",): ("--help",),
    ("replay",): ("--at", "1"),
    ("task", "tag"): ("old", "--add", "new", "--remove", "web"),
    ("task", "move"): (task_id(1), "--top"),
}
"""What a command needs beside its arguments; two that end a server are not for one that all tests share."""
COMMANDS_TRIED: Final = 12
# These two serve until they are stopped, and have tests of their own.
EVERY: Final = tuple(names for names, _ in commands() if names not in {("mcp",), ("serve",)})
_SHAPES: Final = dict(commands())

records: Final = st.builds(
    Standing,
    st.sampled_from(State),
    st.sampled_from([None, AGENT_ID, LOST_AGENT_ID, "not an agent\x00"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "", "Completed via sync"]),
)
forms: Final = st.fixed_dictionaries(
    {
        "tags": st.sampled_from([[], ["", "odd", ""], ["plan:old"], ["plan:old", "web"]]),
        "parent_id": st.sampled_from([None, task_id(1), task_id(2), task_id(9)]),
    }
)


@pytest.fixture
def tt(capsys: pytest.CaptureFixture[str]) -> Tt:
    return partial(run_here, capsys)


@pytest.fixture
def fresh(
    client: redis.Redis, server_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Empties the server, and makes its town anew in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "issues.jsonl").write_text('{"id": "old", "title": "Imported", "status": "closed"}\n')
    Town.init(tmp_path, name="demo", url=f"unix://{server_socket}", actor="ada").close()

    def empty() -> None:
        start_over(client)
        write_agent(client, "demo")
        (tmp_path / "tasks.toml").unlink(missing_ok=True)

    return empty


def words_of(names: tuple[str, ...], choice: int) -> tuple[str, ...]:
    """A command with arguments that fit."""
    if names in _RUNNING:
        return (*names, *_RUNNING[names])
    arguments = [each for each in _SHAPES[names].params if each.param_type_name == "argument" and each.required]
    given = (_WORDS.get((each.metavar or each.name or "").upper().rstrip(".[]"), ("old",)) for each in arguments)
    return (*names, *(values[choice % len(values)] for values in given))


def refuse_seventy(ran: Ran, what: object) -> None:
    assert ran.code != 70, (what, ran.err)


@settings(max_examples=5)
@given(
    st.lists(st.tuples(records, forms), min_size=2, max_size=4), st.randoms(use_true_random=False), st.integers(0, 2)
)
def test_every_command_on_random_adopted_states_has_an_answer(
    tt: Tt,
    client: redis.Redis,
    fresh: Callable[[], None],
    drawn: list[tuple[Standing, dict[str, Any]]],
    random: Any,
    choice: int,
) -> None:
    """Some of all commands, in any order, after a migration of any tasks: none ends in a mistake of ours, and all is sound."""
    fresh()
    for number, (standing, more) in enumerate(drawn, 1):
        write_record(client, standing.record(number, **more))
    assert tt("migrate", "--force").code == 0
    assert tt("sync", "pull").code == 0
    ran = tt("sync", "push")
    assert (ran.code, "nothing was appended" in ran.out) == (0, True), ran
    chosen = [words_of(names, choice) for names in random.sample(EVERY, COMMANDS_TRIED)]
    for words in [*chosen, ("sync", "push", "--force")]:
        refuse_seventy(tt(*words), words)
    ran = tt("verify")
    assert ran.code == 0, ran.out


def test_every_command_on_all_adopted_states_at_once(tt: Tt, client: redis.Redis, fresh: Callable[[], None]) -> None:
    """A town with each standing there is: every command has an answer, and a pull and a push change nothing."""
    fresh()
    for number, standing in enumerate(standings(None, AGENT_ID, LOST_AGENT_ID), 1):
        write_record(client, standing.record(number, tags=[f"plan:p{number}"] if number % 2 else []))
    assert tt("migrate", "--force").code == 0
    assert tt("sync", "pull").code == 0
    assert "nothing was appended" in tt("sync", "push").out
    assert "left alone" in tt("sync", "pull").out
    for names in EVERY:
        words = words_of(names, 1)
        refuse_seventy(tt(*words), words)
    refuse_seventy(tt("backlog", "assign-all", "ada"), "assign-all")
    assert tt("verify").code == 0
