"""`tt demo`: the whole life of a town, in a temporary folder, each step explained in a line."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.exits import Exit
from cli.options import JsonOption
from cli.output import say, say_apart, say_json, say_table
from cli.render import states_line, step_rows, task_rows
from cli.styled import Styled
from ledger import Task
from shapes.demo import demo_shape
from town import EmbeddedServer, Town, forget_receipts, local_time, revoke_trust

_PLAN = (
    ("auth-api", "Build the login API", ("backend", "security"), None),
    ("auth-tests", "Test the login API", ("tests",), None),
    ("user-page", "Design the profile page", ("frontend",), None),
    ("fix-xss", "Fix the XSS hole in the comments", ("security", "bug"), None),
    ("old-logo", "Replace the old logo", ("frontend",), "user-page"),
    ("release", "Write the release notes", ("docs",), None),
)
_EVENTS_BACK = 3


def demo(*, as_json: JsonOption = False) -> None:
    """Build a throw-away town, walk tasks through every state, and show what the ledger keeps. Leaves nothing behind."""
    with _throwaway_town() as town:
        _make_plan(town)
        _work(town)
        history = town.history("auth-api")
        end = town.end()
        earlier = town.events.position_at(end.seq - _EVENTS_BACK)
        board = town.replay(earlier)
        snapshot = town.snapshot_json("auth-api")
        tasks = town.page().tasks
        if as_json:
            past = board.page().tasks
            say_json(demo_shape(town.name, tasks, history, earlier=earlier, board=past, snapshot=snapshot))
            return
        _explain(1, f"A town in {town.folder}, with a server of its own; two agents, ada and ben, worked on a plan.")
        _explain(2, "The board now, one task in every state:  tt task list")
        _say_board(tasks)
        _explain(3, "One task's history: every change is an event that stays.  tt task history auth-api")
        say_table(*step_rows(history))
        _explain(4, f"The board as it was {_EVENTS_BACK} events ago:  tt replay --at {earlier.seq}")
        say(f"After event {earlier.seq}, {local_time(earlier.time)}:  {states_line(board.count_states())}")
        _say_board(board.page().tasks)
        _explain(
            5,
            f"The same task as any Redis client reads it:  redis-cli -s redis.sock GET {town.keys.task(history[0].event.task)}",
        )
        say(snapshot.decode())
        _explain(
            6, 'The town is gone again. Make your own:  tt init && tt assign worker-1 "Implement user authentication"'
        )


@contextmanager
def _throwaway_town() -> Iterator[Town]:
    """A town that leaves no server, no folder and no entry in the registry."""
    # REDIS_URL names the server of real towns, which the demo must not use.
    url = os.environ.pop("REDIS_URL", None)
    signals = (signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.signal(each, lambda *_: sys.exit(Exit.UNEXPECTED)) for each in signals]
    with tempfile.TemporaryDirectory(prefix="tt-demo-") as folder:
        try:
            with Town.init(folder, name="demo", actor="you", is_registered=False) as town:
                try:
                    yield town
                finally:
                    forget_receipts(town.backend.receipts)
        finally:
            EmbeddedServer(Path(folder)).stop()
            revoke_trust(Path(folder))
            for each, handler in zip(signals, handlers, strict=True):
                signal.signal(each, handler)
            if url is not None:
                os.environ["REDIS_URL"] = url


def _make_plan(town: Town) -> None:
    for alias, description, tags, parent in _PLAN:
        town.create(description, tags=tags, parent=parent, alias=alias)


def _work(town: Town) -> None:
    """What two agents might do, until every state is on the board."""
    town.assign("auth-api", "ada")
    with Town.open(town.folder, actor="ada") as ada, Town.open(town.folder, actor="ben") as ben:
        ben.claim("fix-xss", "ben")
        ada.start("auth-api")
        ben.start("fix-xss")
        ada.note("auth-api", "Tokens work, sessions next")
        ada.complete("auth-api", result="Login API merged", reason="All checks are green")
        town.assign("auth-tests", "ada")
        ben.fail("fix-xss", error="Needs the new sanitizer first")
        town.cancel("old-logo", reason="The old logo stays")
        town.assign("user-page", "ben")
        ada.start("auth-tests")


def _explain(number: int, words: str) -> None:
    say_apart(Styled.of(f"{number}. {words}", "bold"))


def _say_board(tasks: tuple[Task, ...]) -> None:
    columns, rows = task_rows(tasks)
    say_table(columns, rows, flexible="TITLE")
