"""Makes a town with two weeks of a past, and opens its board: `python -m tests.support.board_town` (`make board`).

Three agents and a person work on a plan, by the verbs of the library. Only the times are made up: the server takes them as it
takes those of an import. The town is in a temporary folder, and gone at the end.
"""

from __future__ import annotations

import heapq
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from ledger import EventStore, LinkKind
from town import EmbeddedServer, Town, forget_receipts, revoke_trust

DAYS: Final = 14
AGENTS: Final = ("ada", "ben", "cleo")
PERSON: Final = "maria"
_WORK: Final = time(8), time(18)
_AREAS: Final = ("search", "billing", "profile", "export", "alerts")
_KINDS: Final = (
    ("Design {}", "design"),
    ("Build the {} API", "backend"),
    ("Build the {} page", "frontend"),
    ("Test {}", "tests"),
    ("Document {}", "docs"),
)
_FOUND: Final = ("Fix a slow query of {}", "Fix the empty state of {}", "Handle time-outs in {}", "Log refusals of {}")


class Past:
    """A simulation of some days, with a clock of its own."""

    def __init__(self, towns: Mapping[str, Town], *, end: datetime, seed: int = 7) -> None:
        """`towns` has the town once for each who acts."""
        self._as = towns
        self._person = towns[PERSON]
        self._chance = Random(seed)
        self._now = (end - timedelta(days=DAYS)).replace(hour=9, minute=0, second=0, microsecond=0)
        self._end = end
        self._order = count()
        self._due: list[tuple[datetime, int, Iterator[timedelta]]] = []
        for town in towns.values():
            self._backdate(town.backend.store)

    def _backdate(self, store: EventStore) -> None:
        append = store.append

        def backdated(*arguments: Any, **options: Any) -> Any:
            return append(*arguments, **options | {"backdate_ms": round(self._now.timestamp() * 1_000)})

        setattr(store, "append", backdated)  # noqa: B010 - the type checker allows no other way

    def run(self) -> None:
        """Let everybody work until the end."""
        self._plan()
        for agent in AGENTS:
            self._later(timedelta(minutes=self._chance.randint(5, 90)), self._work(agent))
        while self._due:
            self._now, _, actor = heapq.heappop(self._due)
            if self._now >= self._end:
                return
            pause = next(actor, None)
            if pause is not None:
                self._later(pause, actor)

    def _later(self, pause: timedelta, actor: Iterator[timedelta]) -> None:
        """Go on after a pause; what would be at night or on a Sunday is in the morning."""
        then = self._now + pause
        if then.time() >= _WORK[1]:
            then = (then + timedelta(days=1)).replace(hour=_WORK[0].hour, minute=self._chance.randint(0, 59))
        if then.weekday() == 6:
            then += timedelta(days=1)
        heapq.heappush(self._due, (then, next(self._order), actor))

    def _plan(self) -> None:
        for area in _AREAS:
            self._person.create(f"Release {area}\n\nEverything that {area} needs.", alias=area, tags=[area])
            before: str | None = None
            for words, tag in _KINDS:
                needs = () if before is None else (before,)
                task = self._person.create(
                    words.format(area), parent=area, tags=[tag, area], needs=needs, priority=self._chance.randint(1, 3)
                ).task
                before = task.id if tag in ("design", "backend") else before

    def _work(self, agent: str) -> Iterator[timedelta]:
        while True:
            ready = self._as[agent].ready(limit=1).tasks
            if not ready:
                yield from self._find(agent, None)
                continue
            [task] = ready
            self._as[agent].start(task.id, agent=agent)
            yield timedelta(minutes=self._chance.randint(20, 240))
            self._as[agent].note(
                task.id, self._chance.choice(("Half of it works.", "It needs one more test.", "Nearly done."))
            )
            yield timedelta(minutes=self._chance.randint(20, 240))
            yield from self._end_work(agent, task.id)

    def _end_work(self, agent: str, task_id: str) -> Iterator[timedelta]:
        luck = self._chance.random()
        if luck < 0.08:
            self._as[agent].fail(task_id, error="The build broke, and nobody saw why.", agent=agent)
            self._later(timedelta(hours=self._chance.randint(1, 6)), self._reopen(task_id))
        elif luck < 0.18:
            self._as[agent].ask(task_id, "Which of the two layouts?", choices=["the wide one", "the narrow one"])
            self._later(timedelta(hours=self._chance.randint(1, 8)), self._answer(task_id))
        else:
            self._as[agent].complete(task_id, result="Done, with tests.", agent=agent)
            if luck > 0.9:
                self._later(timedelta(hours=self._chance.randint(2, 20)), self._reopen(task_id))
            if luck < 0.45:
                yield from self._find(agent, task_id)
        yield timedelta(minutes=self._chance.randint(5, 60))

    def _find(self, agent: str, task_id: str | None) -> Iterator[timedelta]:
        area = self._chance.choice(_AREAS)
        found = self._as[agent].create(self._chance.choice(_FOUND).format(area), parent=area, tags=["bug", area]).task
        if task_id is not None:
            self._as[agent].link(found.id, [task_id], kind=LinkKind.DISCOVERED_FROM)
        yield timedelta(minutes=self._chance.randint(30, 240))

    def _reopen(self, task_id: str) -> Iterator[timedelta]:
        self._person.reopen(task_id, reason="It came back in the review.")
        yield from ()

    def _answer(self, task_id: str) -> Iterator[timedelta]:
        self._person.answer(task_id, "the wide one")
        yield from ()


def make_board_town(folder: Path) -> None:
    """A town with a past of DAYS days, up to now."""
    with ExitStack() as stack:
        Town.init(folder, name="board", actor=PERSON, is_registered=False).close()
        towns = {actor: stack.enter_context(Town.open(folder, actor=actor)) for actor in (PERSON, *AGENTS)}
        Past(towns, end=datetime.now(UTC)).run()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tt-board-") as made:
        folder = Path(made) / "board"
        make_board_town(folder)
        print("The board of a town that three agents worked on for two weeks. Ctrl-C ends it.", flush=True)  # noqa: T201
        try:
            return subprocess.run(
                [sys.executable, "-m", "cli.main", "serve", "--open", "--port", "0", "--actor", PERSON],
                cwd=folder,
                check=False,
            ).returncode
        except KeyboardInterrupt:
            return 0
        finally:
            with Town.open(folder) as town:
                forget_receipts(town.backend.receipts)
            EmbeddedServer(folder).stop()
            revoke_trust(folder)


if __name__ == "__main__":
    sys.exit(main())
