"""Random appends of two machines, a random loss of a suffix, now and then more: every acknowledged event is there, once (P1)."""

from __future__ import annotations

import os
import random
from pathlib import Path
from urllib.parse import quote

import redis
from hypothesis import given
from hypothesis import strategies as st

from ledger import LedgerError
from tests.property.examples import examples
from tests.support.losses import fall_back, look_back, start_over
from town import Town

_EXAMPLES_MAX = 25
_STEPS_MAX = 14
_ROUNDS_MAX = 4


class Machines:
    """Two machines with a town on one server, and the plain model: the set of what each was told."""

    def __init__(self, above: Path, socket: Path) -> None:
        self._above = above
        self.towns: list[Town] = []
        self.told: set[tuple[str, str, int, str]] = set()
        for name in ("ada", "bob"):
            home = above / f"home-{name}"
            home.mkdir(mode=0o700, exist_ok=True)
            os.environ["HOME"] = str(home)
            town = Town.init(
                above / name, name="demo", url=f"unix://{quote(str(socket))}", actor=name, is_registered=False
            )
            assert town.backend.receipts.path.is_relative_to(home)
            self.towns.append(town)

    def write(self, which: int, chance: random.Random) -> None:
        """A command of one machine, on a task of anybody's; what it was told is remembered."""
        town = self.towns[which]
        before = town.end()
        tasks = [task.id for task in town.page().tasks]
        task = chance.choice(tasks) if tasks else None
        verb = chance.randrange(5)
        try:
            if task is None or verb == 0:
                town.create(f"task {chance.random()}", agent=chance.choice([None, "ada"]))
            elif verb == 1:
                town.note(task, "x")
            elif verb == 2:
                town.complete(task, agent="bob")
            elif verb == 3:
                town.annotator.annotate(chance.randint(1, before.seq), "y")
            else:
                town.tag(task, add=[chance.choice("abc")])
        except LedgerError:
            # It was refused, as the state of its task may have it.
            return
        new = town.events.last(count=None, since=before) if before.seq else town.events.last(count=None)
        self.told |= {_saying(each) for each in new if each.position > before}

    def close(self) -> None:
        for town in self.towns:
            town.close()


def recover(town: Town) -> list[tuple[str, str | None]]:
    """Recover; returns what remains, and why."""
    return [(f"{each.position} {each.type}", each.why) for each in town.recovery.recover().gap.remaining]


def _saying(each: object) -> tuple[str, str, int, str]:
    # The town's own events are counted anew.
    return (each.task, each.type, 0 if each.task == "town" else each.version, each.command)  # type: ignore[attr-defined]


@examples(_EXAMPLES_MAX)
@given(st.integers(0, 10**9))
def test_every_acknowledged_event_is_there_once(
    client: redis.Redis, server_socket: Path, tmp_path_factory: object, seed: int
) -> None:
    """Whatever was lost, and in whatever order the machines recover."""
    home = os.environ["HOME"]
    start_over(client)
    above = tmp_path_factory.mktemp("machines")  # type: ignore[attr-defined]
    chance = random.Random(seed)
    machines = Machines(above, server_socket)
    try:
        for _ in range(chance.randint(1, 3)):
            kept = look_back(client)
            for _ in range(chance.randrange(_STEPS_MAX)):
                if chance.random() < 0.3:
                    kept = look_back(client)
                machines.write(chance.randrange(2), chance)
            fall_back(client, kept)
            # Again and again, as what waits for the other's comes.
            order = chance.sample([0, 1], 2)
            rest = [recover(machines.towns[which]) for _ in range(_ROUNDS_MAX) for which in order]
            assert rest[-2:] == [[], []]
            for town in machines.towns:
                found = [_saying(each) for each in town.events.last(count=None) if each.type != "town.recovered"]
                assert sorted(found) == sorted(machines.told)
                assert town.recovery.look().events == ()
                assert town.upkeep.verify().findings == ()
    finally:
        machines.close()
        os.environ["HOME"] = home
