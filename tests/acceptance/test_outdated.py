"""A town that an older program projected: every command says so, and reads as far as the ledger alone tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import redis

from ledger import Keys
from tests.support.cli_reference import command_names
from tests.support.towns import client_of
from tests.support.tt import Tt
from town import Town
from town.exports.ledger_file import FORMAT, FORMAT_VERSION, Head, LedgerWriter

KEYS: Final = Keys("demo")
SAYS: Final = re.compile(r"The projection \w+ has schema 0, and this program writes [0-9]+\. Build it anew")

READS: Final[dict[str, tuple[str, ...]]] = {
    "tasks": ("tasks",),
    "task show": ("task", "show", "login"),
    "task list": ("task", "list"),
    "task current": ("task", "current", "ada"),
    "task history": ("task", "history", "login"),
    "task tree": ("task", "tree"),
    "backlog list": ("backlog", "list"),
    "ready": ("ready", "--explain"),
    "blocked": ("blocked",),
    "critical-path": ("critical-path",),
    "events": ("events",),
    "log": ("log",),
    "replay": ("replay", "--at", "1"),
    "diff": ("diff", "1"),
    "blame": ("blame", "login"),
    "why": ("why", "login"),
    "search": ("search", "log"),
    "export": ("export", "out.jsonl"),
    "save": ("save",),
    "stats": ("stats",),
    "status": ("status",),
    "inbox": ("inbox",),
    "prime": ("prime",),
}
"""These show what they always show, and end with code 0."""

WRITES: Final[dict[str, tuple[str, ...]]] = {
    "assign": ("assign", "ada", "Another"),
    "task create": ("task", "create", "Another"),
    "task assign": ("task", "assign", "login", "ada"),
    "task start": ("task", "start", "login", "--agent", "ada"),
    "task complete": ("task", "complete", "login", "--agent", "ada"),
    "task fail": ("task", "fail", "login", "--agent", "ada"),
    "task cancel": ("task", "cancel", "login"),
    "task requeue": ("task", "requeue", "login"),
    "task reopen": ("task", "reopen", "login"),
    "task edit": ("task", "edit", "login", "Other words"),
    "task tag": ("task", "tag", "login", "--add", "x"),
    "task move": ("task", "move", "login", "--top"),
    "task prioritise": ("task", "prioritise", "login", "1"),
    "task schedule": ("task", "schedule", "login", "--due", "in 3 h"),
    "task needs": ("task", "needs", "login", "login"),
    "task link": ("task", "link", "login", "login"),
    "task unlink": ("task", "unlink", "login", "login"),
    "next": ("next", "ada"),
    "task note": ("task", "note", "login", "x"),
    "task remove": ("task", "remove", "login"),
    "backlog add": ("backlog", "add", "Another"),
    "backlog claim": ("backlog", "claim", "login", "ada"),
    "backlog assign-all": ("backlog", "assign-all", "ada"),
    "backlog remove": ("backlog", "remove", "login"),
    "undo": ("undo", "login"),
    "annotate": ("annotate", "1", "x"),
    "work": ("work", "ada", "--once", "--", "true"),
    "ask": ("ask", "login", "Which?"),
    "answer": ("answer", "login", "x"),
    "wait": ("wait", "login"),
    "reclaim": ("reclaim",),
    "plan": ("plan",),
    "sync push": ("sync", "push"),
    "sync pull": ("sync", "pull"),
    "sync status": ("sync", "status"),
    "import beads": ("import", "beads", "issues.jsonl"),
    "import ledger": ("import", "ledger", "longer.jsonl"),
    "restore": ("restore", "--file", "longer.jsonl"),
    "projector": ("projector", "--once"),
}
"""These refuse with code 5, and change nothing."""

LOOKS: Final[dict[str, tuple[tuple[str, ...], int]]] = {
    "init": (("init",), 0),
    "doctor": (("doctor",), 1),
    "verify": (("verify",), 5),
    "rebuild": (("rebuild", "--dry-run"), 0),
    "migrate": (("migrate", "--dry-run"), 0),
}
"""These look at just this, and end with their own code."""

OTHERS: Final = {"start", "stop", "towns", "trust", "demo", "fork", "bisect", "mcp", "serve", "move-town", "recover"}
"""These look at no town's projections of their own accord; a fork is made, a town moves, and a bisection reads, from the ledger
alone, as a recovery does."""


def lower(client: redis.Redis) -> None:
    client.hset(KEYS.checkpoint("task"), "schema_version", "0")


def drop(client: redis.Redis) -> None:
    client.delete(KEYS.checkpoint("alias"))


def write_longer_ledger(town: Path) -> None:
    """A ledger's file that goes on after the town's end."""
    with Town.open(town) as opened:
        entries = [entry for batch in opened.backend.store.read_entries() for entry in batch]
        last = opened.backend.store.read()[-1]
    _, (name, payload) = entries[-1]
    another = payload.replace(last.task.encode(), b"00000000-0000-4000-8000-000000000009")
    with (town / "longer.jsonl").open("wb") as file:
        writer = LedgerWriter(file, Head(FORMAT, FORMAT_VERSION, "demo"))
        writer.write([*entries, (b"%d-%d" % (last.position.ms, last.position.seq + 1), [name, another])])
        writer.finish()


@pytest.fixture(params=[lower, drop])
def outdate(request: pytest.FixtureRequest, tt: Tt, town: Path) -> Callable[[], None]:
    """Makes the town demo, which has three tasks, one that an older program projected."""
    (town / "tasks.toml").write_text('[[tasks]]\nid = "login"\ndescription = "Log in"\n', encoding="utf-8")
    (town / "issues.jsonl").write_text('{"id":"login","title":"Log in"}\n', encoding="utf-8")
    assert tt("sync", "push").code == 0
    assert tt("task", "create", "Test it", "--parent", "login").code == 0
    assert tt("task", "create", "Beside it").code == 0
    write_longer_ledger(town)

    def outdate() -> None:
        with client_of(town) as client:
            request.param(client)

    return outdate


def test_commands_of_this_file_are_all_there_are() -> None:
    """A new command has its place in one of the lists."""
    listed = READS.keys() | WRITES.keys() | LOOKS.keys() | OTHERS
    names = [" ".join(name) for name in command_names() if name]
    groups = {name for name in names if any(other.startswith(f"{name} ") for other in names)}
    assert listed == set(names) - groups


def test_every_read_of_an_outdated_town_shows_the_same_and_says_so_once(tt: Tt, outdate: Callable[[], None]) -> None:
    """What it shows is folded from the ledger; one line on stderr names `tt migrate`. Once tree and stats were refused."""
    before = {name: tt(*arguments) for name, arguments in READS.items()}
    outdate()
    for name, arguments in READS.items():
        ran = tt(*arguments)
        assert (name, ran.code, ran.out) == (name, 0, before[name].out)
        assert (name, len(SAYS.findall(ran.err)), ran.err.count("`tt migrate`")) == (name, 1, 1)


def test_every_change_of_an_outdated_town_is_refused_and_says_so_once(tt: Tt, outdate: Callable[[], None]) -> None:
    """It names `tt migrate`, in the error alone, and the ledger is as it was."""
    before = tt("events", "--json").out
    outdate()
    for name, arguments in WRITES.items():
        ran = tt(*arguments)
        assert (name, ran.code, ran.out) == (name, 5, "")
        assert (name, len(SAYS.findall(ran.err)), ran.err.count("`tt migrate`")) == (name, 1, 1)
    assert tt("events", "--json").out == before


@pytest.mark.parametrize(("arguments", "code"), LOOKS.values(), ids=LOOKS)
def test_every_look_at_an_outdated_town_says_so(
    tt: Tt, outdate: Callable[[], None], arguments: tuple[str, ...], code: int
) -> None:
    """Whatever it finds besides, stderr names `tt migrate`; once `rebuild --dry-run` said that nothing would change."""
    outdate()
    ran = tt(*arguments)
    assert (ran.code, len(SAYS.findall(ran.err))) == (code, 1)
    assert "would change nothing" not in ran.out


@pytest.mark.parametrize("command", ["task tree", "stats"])
def test_what_is_folded_for_a_part_of_the_town_is_the_same(tt: Tt, outdate: Callable[[], None], command: str) -> None:
    """One branch of the tree, one agent's days."""
    arguments = {"task tree": ("task", "tree", "login"), "stats": ("stats", "--agent", "nobody")}[command]
    before = tt(*arguments)
    outdate()
    assert tt(*arguments).out == before.out


def test_verify_of_an_outdated_town_names_migrate_for_the_checkpoint(tt: Tt, outdate: Callable[[], None]) -> None:
    """The finding says what it is and what builds it."""
    outdate()
    findings = tt("verify", "--json").json["findings"]
    assert [each["kind"] for each in findings] == ["checkpoint"]
    assert "`tt migrate` builds it anew" in findings[0]["problem"]


@pytest.mark.parametrize("command", ["migrate --force", "rebuild"])
def test_command_that_builds_the_projections_has_nothing_to_warn_of(
    tt: Tt, outdate: Callable[[], None], command: str
) -> None:
    """Afterwards nobody says anything any more."""
    outdate()
    assert not SAYS.search(tt(*command.split()).err)
    ran = tt("task", "create", "Another")
    assert (ran.code, ran.err) == (0, "")
    assert tt("verify").code == 0
