"""A fork equals its source at the moment, byte for byte, and then goes its own way; nothing half is left, whatever cuts it off."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from ledger import (
    TOWN_ID,
    EventStore,
    InvalidValueError,
    Keys,
    LedgerError,
    Position,
    SequenceGapError,
    StoreUnavailableError,
    Task,
    TaskNotFoundError,
    TownForked,
)
from ledger.staged_ledger import StagedLedger
from projections import Lease, new_holder
from tests.support.towns import client_of, end_server
from town import (
    ForkRefusedError,
    LedgerFileRefusedError,
    MomentError,
    SettingsError,
    Town,
    TownExistsError,
    examine,
    find_towns,
)
from town.forking import LEASE_NAME

Entries = list[tuple[bytes, dict[bytes, bytes]]]


class KilledError(BaseException):
    """Stands for the end of the process: nothing is taken back after it."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, in which forks are made."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for settings in tmp_path.rglob("tinytown.toml"):
        end_server(settings.parent)
    for data in tmp_path.rglob(".tt"):
        end_server(data.parent)


@pytest.fixture
def source(here: Path) -> Iterator[Town]:
    """A town with tasks in several states, one removed, one with an alias, and a note on an event."""
    with Town.init(here / "source", name="source", actor="alice") as town:
        first = town.create("one", agent="ada", tags=["a"]).task.id
        town.start(first)
        town.create("two", parent=first, alias="tt-2")
        town.remove(town.create("gone").task.id)
        town.annotator.annotate(1, "a note")
        town.complete(first, is_forced=True, result="ok")
        town.create("three")
        yield town


def entries(town: Town, *, upto: Position | None = None) -> Entries:
    return cast("Entries", town.backend.client.xrange(town.keys.ledger, max=upto or "+"))


def heads(town: Town) -> dict[str, tuple[int, Position]]:
    return {task: (version, position) for task, version, position in town.backend.store.all_heads()}


def snapshots(town: Town) -> dict[str, Task]:
    return {task.id: task for task in town.page().tasks}


@pytest.fixture
def remote(client: redis.Redis, server_socket: Path) -> str:
    del client  # it empties the server before each test
    return f"unix://{server_socket}"


@pytest.mark.parametrize("number", [1, 4, 7, 9])
def test_fork_equals_its_source_at_the_moment(source: Town, number: int) -> None:
    """The same entries at the same positions, the same heads, the same tasks; its own first event names where it came from."""
    position = source.backend.store.position_of(number)
    assert position is not None
    fork = source.fork("what-if", at=position)
    with fork.town as town:
        town.upkeep.catch_up()
        assert (fork.position, fork.was_unfinished) == (position, False)
        assert entries(town)[:-1] == entries(source, upto=position)
        own = town.backend.store.read_back(limit=1)[0]
        assert (own.position, own.data, own.actor) == (fork.forked_at, TownForked("source", position), "alice")
        then = source.at(position)
        assert snapshots(town) == {task.id: task for task in then.page().tasks}
        known = {recorded.task for recorded in town.backend.store.read()} - {TOWN_ID}
        assert {task: head for task, head in heads(town).items() if task != TOWN_ID} == {
            task: (each[-1].version, each[-1].position)
            for task in known
            if (each := [step.event for step in then.history(task)])
        }
        assert town.upkeep.verify().findings == ()


def test_fork_goes_its_own_way(source: Town) -> None:
    """What happens in one town does not happen in the other, though both have a task of that id."""
    task = source.create("both", agent="ada").task
    before = entries(source)
    with source.fork("what-if").town as town:
        town.complete(task.id, result="there")
        assert source.task(task.id).state == "assigned"
        source.cancel(task.id)
        assert (town.task(task.id).state, source.task(task.id).state) == ("completed", "cancelled")
        assert entries(town)[: len(before)] == entries(source)[: len(before)] == before
        assert town.annotations(town.events.last(until=1))[town.events.beginning()][0].text == "a note"
        for each in (town, source):
            assert each.upkeep.verify().findings == ()
            each.upkeep.rebuild()
            assert each.upkeep.verify().findings == ()


def test_fork_knows_tasks_by_the_same_aliases(source: Town) -> None:
    """An id is computed from the name that the first of them had; so it is in a fork of a fork."""
    with source.fork("second").town as second, second.fork("third").town as third:
        ids = {town.create("new", alias="tt-9").task.id for town in (source, second, third)}
        assert len(ids) == 1
        for town in (source, second, third):
            assert town.stats(since="@tt-9:created") == town.stats(since=town.task("tt-9").created_at)
            assert town.report(since="@tt-9:created").period.first == town.events.position_at("@tt-9:created")
        old = {town.task("tt-2").id for town in (source, second, third)}
        assert len(old) == 1
        assert third.create("two", alias="tt-2", parent=source.page().tasks[0].id).positions == ()
        assert third.history("tt-2")[0].event == second.history("tt-2")[0].event
    with Town.open("third") as again:
        assert again.task("tt-2").id in old


def test_doctor_knows_the_name_that_ids_of_aliases_come_from(source: Town, here: Path) -> None:
    """In a fork of a fork it is the first town's. Without the setting, aliases lead nowhere, and the doctor says what to write."""

    def check(town: Town) -> list[tuple[str, str]]:
        return [(each.state, each.words) for each in examine(town.backend, town.connection) if each.name == "aliases"]

    assert check(source) == []
    with source.fork("second").town as second, second.fork("third").town as third:
        assert [state for town in (second, third) for state, _ in check(town)] == ["good", "good"]
    settings = here / "third" / "tinytown.toml"
    settings.write_text(settings.read_text().replace('aliases_of = "source"', ""))
    with Town.open(here / "third") as unset:
        [(state, words)] = check(unset)
        assert (state, 'Set aliases_of = "source"' in words) == ("bad", True)
        with pytest.raises(TaskNotFoundError):
            unset.task("tt-2")
    plain = here / "source" / "tinytown.toml"
    plain.write_text(plain.read_text() + '[town]\naliases_of = "other"\n')
    with Town.open(here / "source") as astray:
        assert [state for state, _ in check(astray)] == ["bad"]


def test_ledger_of_another_town_keeps_its_aliases(source: Town, here: Path) -> None:
    """A town of another name imports it once it is told the name that ids come from; the doctor says if that is wrong, or gone."""
    source.exports.save(here / "a.jsonl")
    Town.init(here / "copy", name="copy").close()
    settings = here / "copy" / "tinytown.toml"
    plain = settings.read_text()
    with Town.open(here / "copy") as copy, pytest.raises(LedgerFileRefusedError, match='aliases_of = "source"'):
        copy.imports.ledger(here / "a.jsonl")
    seen = {}
    for name in ("source", "other", None):
        settings.write_text(plain + ("" if name is None else f'[town]\naliases_of = "{name}"\n'))
        with Town.open(here / "copy") as copy:
            if name == "source":
                copy.imports.ledger(here / "a.jsonl")
                assert copy.task("tt-2") == source.task("tt-2")
            [seen[name]] = [each for each in examine(copy.backend, copy.connection) if each.name == "aliases"]
    assert {name: check.state for name, check in seen.items()} == {"source": "good", "other": "bad", None: "bad"}
    assert "Set aliases_of under [town]" in seen["other"].words


def test_fork_has_a_folder_here_and_the_source_s_server(source: Town, here: Path) -> None:
    """It is a town like any other: it is listed, opened by its folder, and answers through the server of its source."""
    with source.fork("what-if").town as town:
        assert (town.folder, town.name) == (here / "what-if", "what-if")
        assert town.connection.is_same_server(source.connection)
    assert [each.name for each in find_towns()] == ["source", "what-if"]
    with Town.open(here / "what-if") as opened:
        assert opened.page().total == 3


def test_fork_in_a_folder_has_a_server_of_its_own(source: Town, here: Path) -> None:
    """It is up when the source's is not."""
    with source.fork("apart", folder=here / "deep" / "apart").town as town:
        assert not town.connection.is_same_server(source.connection)
        assert entries(town)[:-1] == entries(source)
    end_server(source.folder)
    with Town.open(here / "deep" / "apart") as opened:
        assert opened.page().total == 3


def test_fork_of_a_town_at_a_url_is_at_that_url(here: Path, remote: str) -> None:
    """Towns with a tag for a cluster too: the keys of both have it."""
    town = Town.init(here / "one", name="one", url=remote)
    (here / "one" / "tinytown.toml").write_text(f'name = "one"\n[redis]\nurl = "{remote}"\nhash_tag = true\n')
    town.close()
    with Town.open(here / "one") as one:
        one.create("x", alias="tt-1")
        with one.fork("two").town as two:
            assert two.keys == Keys("two", hash_tag=True)
            assert two.task("tt-1").description == "x"
    with Town.open(here / "two") as again:
        assert (again.keys.prefix, again.page().total) == ("tt:{two}", 1)


@pytest.mark.parametrize(("at", "error"), [("2000-01-01", MomentError), ("0-0", ForkRefusedError)])
def test_fork_of_nothing_is_refused(source: Town, at: str, error: type[LedgerError]) -> None:
    """Before the first event there is nothing to fork."""
    moment = Position(at) if at == "0-0" else at
    with pytest.raises(error, match=r"no events at that moment|before the first event"):
        source.fork("what-if", at=moment)


def test_fork_into_what_is_there_is_refused(source: Town, here: Path, remote: str) -> None:
    """A town's folder, a town's name on that server, also that of its source, and a name that is none; all stay as they are."""
    with Town.init(here / "other", name="other", url=remote) as other:
        other.create("x")
    source.fork("taken").town.close()
    before = source.end()
    refusals: list[tuple[Callable[[], object], type[LedgerError]]] = [
        (lambda: source.fork("new", folder=here / "other"), TownExistsError),
        (lambda: source.fork("other", folder=here / "other"), ForkRefusedError),
        (lambda: source.fork("source"), (TownExistsError, SettingsError, ForkRefusedError)),  # type: ignore[list-item]
        (lambda: source.fork("taken"), ForkRefusedError),
        (lambda: source.fork("a:b"), InvalidValueError),
    ]
    for refused, error in refusals:
        with pytest.raises(error):
            refused()
    os.chdir(here / "other")
    with pytest.raises(ForkRefusedError, match="has a key tt:taken:"):
        source.fork("taken")
    assert not (here / "other" / "taken").exists()
    assert source.end() == before
    assert [each.name for each in find_towns()] == ["other", "source", "taken"]


@pytest.mark.parametrize("key", ["task:550e8400-e29b-41d4-a716-446655440000", "events", "view:state:pending"])
def test_fork_is_not_put_over_keys_of_others(source: Town, here: Path, key: str) -> None:
    """Tinytown's tasks of that name, or anything of ours: nothing is written over."""
    with client_of(source.folder) as client:
        client.set(f"tt:what-if:{key}", "theirs")
        with pytest.raises(ForkRefusedError, match=key):
            source.fork("what-if")
        assert set(client.scan_iter(match="tt:what-if:*")) == {f"tt:what-if:{key}".encode()}
    assert not (here / "what-if").exists()


def test_fork_of_a_ledger_with_a_gap_is_refused(source: Town, here: Path) -> None:
    """Damage is told with its position, and is not copied (P10)."""
    with client_of(source.folder) as client:
        client.xdel(source.keys.ledger, entries(source)[3][0])
        with pytest.raises(SequenceGapError):
            source.fork("what-if")
        assert list(client.scan_iter(match="tt:what-if:*")) == []
    assert not (here / "what-if").exists()


def test_fork_of_events_that_do_not_follow_each_other_is_refused(source: Town, here: Path) -> None:
    """An event that another program wrote with a version that its task has had is told, and is not copied."""
    with client_of(source.folder) as client:
        position, fields = entries(source)[-1]
        ms, _, seq = position.partition(b"-")
        client.xadd(source.keys.ledger, dict(fields.items()), id=b"%s-%d" % (ms, int(seq) + 1))
        with pytest.raises(SequenceGapError, match="version of task"):
            source.fork("what-if")
        assert list(client.scan_iter(match="tt:what-if:*")) == []
    assert not (here / "what-if").exists()


STEPS = ["begin", "add", "append", "place"]


def break_after(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, *, is_after: bool) -> None:
    whole: Any = getattr(StagedLedger, step)

    def broken(staged: StagedLedger, *given: object) -> object:
        if is_after:
            whole(staged, *given)
        raise error

    monkeypatch.setattr(StagedLedger, step, broken)


@pytest.mark.parametrize("is_own", [False, True], ids=["same server", "own server"])
@pytest.mark.parametrize("step", [*STEPS, "settings"])
def test_fork_that_fails_has_made_nothing(
    source: Town, here: Path, step: str, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step fails: no folder, no key, no server is left, and the same command makes the town."""
    folder = here / "new" if is_own else None
    error = StoreUnavailableError("here", "did not answer", "Is it running?")
    with monkeypatch.context() as patch:
        if step == "settings":
            patch.setattr("town.founding.write_new_settings", lambda *_: (_ for _ in ()).throw(error))
        else:
            break_after(patch, step, error, is_after=True)
        with pytest.raises(StoreUnavailableError):
            source.fork("new", folder=folder)
    assert not (here / "new").exists()
    with client_of(source.folder) as client:
        assert list(client.scan_iter(match="tt:new:*")) == []
    with source.fork("new", folder=folder).town as town:
        assert entries(town)[:-1] == entries(source)
        assert town.upkeep.verify().findings == ()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [*STEPS, "finish"])
def test_fork_that_is_killed_is_done_again(
    source: Town, here: Path, step: str, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends at any step leaves no town that anybody finds; the same command says so, and makes it whole."""
    position = source.end()
    with monkeypatch.context() as patch:
        if step == "finish":
            patch.setattr("town.founding.write_new_settings", lambda *_: (_ for _ in ()).throw(KilledError()))
        else:
            break_after(patch, step, KilledError(), is_after=is_after)
        patch.setattr("town.forking._Copying.take_back", lambda _: None)
        patch.setattr("town.files.taking_back.Undo.take_back", lambda _: [])
        with pytest.raises(KilledError):
            source.fork("new", folder=here / "new")
    assert not (here / "new" / "tinytown.toml").exists()
    is_begun = (step, is_after) != ("begin", False)
    fork = source.fork("new", at=position, folder=here / "new")
    with fork.town as made:
        assert fork.was_unfinished == is_begun
        assert entries(made)[:-1] == entries(source, upto=position)
        assert made.backend.store.read_back(limit=1)[0].data == TownForked("source", position)
        assert made.upkeep.verify().findings == ()
        assert not list(made.backend.client.scan_iter(match="tt:new:fork:*"))


def test_fork_that_was_placed_and_not_finished_is_told(source: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the source has gone on, the moment of the first try is named; that one is finished."""
    with monkeypatch.context() as patch:
        patch.setattr("town.founding.write_new_settings", lambda *_: (_ for _ in ()).throw(KilledError()))
        patch.setattr("town.forking._Copying.take_back", lambda _: None)
        with pytest.raises(KilledError):
            source.fork("new")
    position = source.end()
    source.create("later")
    with pytest.raises(ForkRefusedError, match=f"finish it with --at {position}"):
        source.fork("new")
    fork = source.fork("new", at=position)
    fork.town.close()
    assert fork.was_unfinished


def test_two_forks_at_once_do_not_meet(source: Town) -> None:
    """The second one is told that somebody is at work on that name, and touches nothing of it."""
    with client_of(source.folder) as client:
        lease = Lease(client, Keys("new"), holder=new_holder(), name=LEASE_NAME)
        assert lease.take()
        staged = StagedLedger(client, Keys("new"))
        staged.begin()
        with pytest.raises(ForkRefusedError, match="another `tt fork` is at work"):
            source.fork("new")
        assert staged.was_begun()
        lease.give_up()
        source.fork("new").town.close()


def test_ledger_is_not_put_where_one_is(store: EventStore, client: redis.Redis) -> None:
    """Neither over a ledger nor over heads; and not where something else wrote what was staged, or deleted its heads."""
    keys = Keys("staged")
    for occupied in (keys.ledger, keys.heads):
        client.set(occupied, "theirs")
        staged = StagedLedger(client, keys)
        staged.begin()
        staged.add([(b"5-1", [b"event", b'{"prev":null,"task":"t","version":1}'])])
        assert staged.place(Position("5-1")).name == "OCCUPIED"
        assert client.get(occupied) == b"theirs"
        client.delete(occupied)
        assert staged.place(Position("5-2")).name == "CHANGED"
        assert staged.place(Position("6-1")).name == "CHANGED"
        client.rename(keys.fork_heads, "lost")
        assert staged.place(Position("5-1")).name == "CHANGED"
        client.rename("lost", keys.fork_heads)
        assert not client.exists(keys.ledger, keys.heads)
    assert staged.place(Position("5-1")).name == "PLACED"
    assert client.hgetall(keys.heads) == {b"t": b"1:5-1"}
    assert store.end() == "0-0"
