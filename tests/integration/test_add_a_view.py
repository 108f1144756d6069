"""The views of docs/howto/add-a-view.md, taken from the page: projected, rebuilt and verified like those of the catalogue."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger import EventStore, Keys, TaskAssigned, TaskCompleted, TaskCreated, TaskStarted
from projections import VIEWS, OutdatedProjectionError, Projector, Rebuild, View, verify
from projections.checkpoint import Checkpoints
from tests.support.builders import TASK, append, task_id
from tests.support.expected_keys import Content, actual_keys
from tests.support.histories import Filler
from tests.support.markdown import DOCS, blocks

PAGE = DOCS / "howto" / "add-a-view.md"


@pytest.fixture
def newcomers(tmp_path: Path) -> Iterator[tuple[View, ...]]:
    """The views of the page, each from a file of its own, as a reader would make it."""
    programs = [block.text for block in blocks(PAGE.read_text("utf-8")) if "(View):" in block.text]
    modules = [f"page_view_{number}" for number in range(len(programs))]
    found: list[View] = []
    for module, program in zip(modules, programs, strict=True):
        path = tmp_path / f"{module}.py"
        path.write_text(f"{program}\n", encoding="utf-8")
        spec = importlib.util.spec_from_file_location(module, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
        name = re.findall(r"^class (\w+)\(View\):", program, re.MULTILINE)[0]
        found.append(getattr(sys.modules[module], name)())
    yield tuple(found)
    for module in modules:
        del sys.modules[module]


def fill_by_hand(store: EventStore) -> None:
    """Two urgent tasks, one of them handed over and done, and one that can wait."""
    append(store, [TaskCreated("a", tags=("p0",)), TaskAssigned("ada"), TaskAssigned("ben")])
    append(store, [TaskStarted(), TaskCompleted()], expected=3)
    append(store, [TaskCreated("b", tags=("p0", "web"))], task=task_id(2))
    append(store, [TaskCreated("c", tags=("p2", "p22"))], task=task_id(3))


def newcomers_keys(client: redis.Redis, keys: Keys, newcomers: tuple[View, ...]) -> dict[str, Content]:
    prefixes = tuple(keys.view(view.name) for view in newcomers)
    return {key: content for key, content in actual_keys(client, keys).items() if key.startswith(prefixes)}


def test_page_has_a_view_of_tasks_and_one_of_events(newcomers: tuple[View, ...]) -> None:
    """Both kinds are shown."""
    asked_about = {view.name: view.follows_events for view in newcomers}
    assert asked_about == {"priority": frozenset(), "handovers": frozenset({TaskAssigned})}


def test_views_of_the_page_are_projected(
    client: redis.Redis, keys: Keys, store: EventStore, newcomers: tuple[View, ...]
) -> None:
    """The keys hold what the page says, and the view that is not in the catalogue has its checkpoint."""
    fill_by_hand(store)
    Projector(client, keys, views=(*VIEWS, *newcomers)).catch_up()
    day = store.end().time.date().isoformat()
    assert newcomers_keys(client, keys, newcomers) == {
        keys.view("priority", "0"): {TASK.encode(), task_id(2).encode()},
        keys.view("priority", "2"): {task_id(3).encode()},
        keys.view("priority", "open"): {b"0": b"1", b"2": b"1"},
        keys.view("handovers", day): {b"ada": b"1"},
    }
    checkpoint = Checkpoints(client, keys, newcomers).read()[1]
    assert checkpoint is not None
    assert checkpoint.position == store.end()


def test_newcomer_to_a_projected_town_is_built_by_a_rebuild(
    client: redis.Redis, keys: Keys, store: EventStore, newcomers: tuple[View, ...]
) -> None:
    """Where old checkpoints are, the projector stops with the advice, and a rebuild builds what is missing."""
    fill_by_hand(store)
    Projector(client, keys).catch_up()
    views = (*VIEWS, *newcomers)
    with pytest.raises(OutdatedProjectionError, match="Build it anew"):
        Projector(client, keys, views=views).catch_up()
    assert newcomers_keys(client, keys, newcomers) == {}
    Rebuild(client, keys, holder="test", views=views).run()
    assert len(newcomers_keys(client, keys, newcomers)) == 4
    assert verify(client, keys, views=views).findings == ()
    append(store, [TaskCreated("d", tags=("p0",))], task=task_id(4))
    Projector(client, keys, views=views).catch_up()
    assert newcomers_keys(client, keys, newcomers)[keys.view("priority", "open")] == {b"0": b"2", b"2": b"1"}
    assert verify(client, keys, views=views).findings == ()


@pytest.mark.parametrize("batch_events_max", [1, 7, 500])
def test_views_of_the_page_are_alike_live_and_rebuilt(
    client: redis.Redis, keys: Keys, store: EventStore, newcomers: tuple[View, ...], batch_events_max: int
) -> None:
    """A random history projected in batches of any size, and the same one rebuilt, end with the same keys."""
    Filler(store, seed=11, tasks=20).fill(400)
    append(store, [TaskCreated("a", tags=("p1",)), TaskAssigned("ada"), TaskAssigned("ben")])
    views = (*VIEWS, *newcomers)
    Projector(client, keys, views=views, batch_events_max=batch_events_max).catch_up()
    live = newcomers_keys(client, keys, newcomers)
    assert Counter(key.split(":")[3] for key in live).keys() == {"priority", "handovers"}
    assert verify(client, keys, views=views).findings == ()
    client.delete(*live)
    Rebuild(client, keys, holder="test", views=views).run()
    assert newcomers_keys(client, keys, newcomers) == live
