"""Where a method takes several texts, one text alone is one of them: it is not taken apart into its letters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from ledger import LinkKind
from town import Reader, Runner, Town
from town.verbs import Verbs

ONE = "ab"
"""As letters it would be two names."""


@pytest.fixture
def town(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Town]:
    """With a task `ab`, which has the tag `ab`, and a task `other`, which needs it."""
    assert client.dbsize() == 0
    url = f"unix://{server_socket}"
    with Town.init(tmp_path / "place", name="place", url=url, actor="alice", is_registered=False) as town:
        town.create(ONE, alias=ONE, tags=[ONE])
        town.create("other", alias="other", needs=[ONE])
        yield town


def id_of(town: Town) -> str:
    return town.task(ONE).id


def noted_once(town: Town) -> tuple[str, ...]:
    """The positions of a note whose command has always the same id."""
    receipt = town.once("1b4e28ba-2fa1-41d2-883f-0016d3cca427", lambda: town.note(ONE, "a note"), about=ONE)
    return tuple(receipt.positions)


CALLS: dict[str, Callable[[Town], bool]] = {
    "create.tags": lambda town: town.create("new", tags=ONE).task.tags == (ONE,),
    "create.needs": lambda town: town.create("new", needs=ONE).task.needs == (id_of(town),),
    "tag.add": lambda town: town.tag("other", add=ONE).task.tags == (ONE,),
    "tag.remove": lambda town: town.tag(ONE, remove=ONE).task.tags == (),
    "ask.choices": lambda town: town.ask("other", "Which?", choices=ONE).task.choices == (ONE,),
    "link.to": lambda town: town.link("other", ONE, LinkKind.RELATES).task.relates == (id_of(town),),
    "unlink.to": lambda town: town.unlink("other", ONE).task.needs == (),
    "take_next.tags": lambda town: (taken := town.take_next("ada", tags=ONE)) is not None and taken.task.alias == ONE,
    "take_next.roles": lambda town: (taken := town.take_next("ada", roles=ONE)) is not None and taken.task.alias == ONE,
    "ready.tags": lambda town: [task.alias for task in town.ready(tags=ONE).tasks] == [ONE],
    "ready.roles": lambda town: [task.alias for task in town.ready(roles=ONE).tasks] == [ONE],
    "waiting_briefly.tags": lambda town: town.waiting_briefly(ONE).pending == 1,
    "search.words": lambda town: [hit.task_id for hit in town.search(ONE).hits] == [id_of(town)],
    "page_of_found.words": lambda town: [task.alias for task in town.page_of_found(ONE).tasks] == [ONE],
    "once.about": lambda town: len({noted_once(town) for _ in range(2)}) == 1,
    "titles.task_ids": lambda town: list(town.titles(id_of(town))) == [id_of(town)],
    "removed_among.task_ids": lambda town: town.removed_among("0" * 32) == {"0" * 32},
    "wait.task_ids": lambda town: list(town.wait(ONE, timeout_seconds=0).tasks) == [id_of(town)],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_one_text_alone_is_one_of_several(town: Town, call: Callable[[Town], bool]) -> None:
    """`town.link(task, "ab")` links one task; it looked for the tasks `a` and `b`."""
    assert call(town)


def test_runner_takes_one_role_and_a_program_without_arguments(town: Town, tmp_path: Path) -> None:
    """As one text each."""
    program = tmp_path / "finish"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o700)
    report = Runner(town.folder, "ada", str(program), roles=ONE).run(once=True)
    assert report is not None
    assert report.task.alias == ONE


def test_every_method_that_takes_several_texts_is_tried() -> None:
    """A new one fails here until it is in `CALLS`."""
    several = {
        f"{name}.{parameter.name}"
        for owner in (Verbs, Reader, Town)
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
        for parameter in inspect.signature(method).parameters.values()
        if "Iterable[str]" in str(parameter.annotation) or "Sequence[str]" in str(parameter.annotation)
    }
    assert several == CALLS.keys()
