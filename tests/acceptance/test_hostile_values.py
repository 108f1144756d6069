"""One gate for everything that leaves: whatever is stored or typed, no terminal is made to obey it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support import cli_reference
from tests.support.stub_server import bulk, stub_server
from tests.support.towns import client_of, trust
from tests.support.tt import Ran, Tt
from town import Town

ESCAPE = "a\x1b]0;owned\x07b\x1b[31mc\x9b1md\x7fe\u202ef\u2066g\rh"
"""Sets a window's title, a colour, the direction of text, and writes over a line."""
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BAR = re.compile(r"\x1b\[\?25l[^\\]*?\x1b\[\?25h\r?", re.DOTALL)
COMMANDS = tuple(cli_reference.command_names())
WALK: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("tasks",): ((),),
    ("task", "list"): ((), ("--limit", "1")),
    ("task", "tree"): ((),),
    ("task", "current"): (("worker-1",),),
    ("task", "show"): (("named",), ("free",)),
    ("search",): (("owned",), ("owned", "--ever"), ("nothing", ESCAPE)),
    ("task", "history"): (("named",), ("free",)),
    ("backlog", "list"): ((),),
    ("task", "needs"): (("free", "named"), ("named", "free"), ("free", ESCAPE)),
    ("task", "link"): (("named", "free"), ("free", "named", "--kind", "duplicates")),
    ("ready",): ((), ("--explain",), ("--agent", "worker-1", "--limit", "1")),
    ("blocked",): ((),),
    ("critical-path",): ((), ("free",)),
    ("events",): ((), ("--task", "named")),
    ("log",): ((), ("--below", "named", "--by", "task"), ("--stat", "--by", "actor"), ("--text", ESCAPE)),
    ("replay",): (("--at", "4"),),
    ("export",): (("out.jsonl",), (f"{ESCAPE}.csv",)),
    ("save",): ((),),
    ("import", "ledger"): (("out.jsonl",), (ESCAPE,)),
    ("restore",): ((),),
    ("diff",): (("1",), ("now", "1"), ("1", "--task", "named")),
    ("blame",): (("named",), ("free",)),
    ("why",): (("named",), ("free",)),
    ("bisect",): (
        ("--good", "1", "--bad", "now", "--", "sh", "-c", f"printf '%s\\n' '{ESCAPE}' >&2; exec grep -q ''"),
    ),
    ("stats",): ((),),
    ("status",): (("--tasks",),),
    ("verify",): ((),),
    ("recover",): ((), ("--dry-run",)),
    ("doctor",): ((),),
    ("rebuild",): (("--dry-run",), ()),
    ("plan",): ((), ("--check",)),
    ("sync", "status"): ((),),
    ("sync", "push"): (("--dry-run",), ()),
    ("sync", "pull"): (("--file", "pulled.toml"),),
    ("migrate",): (("--dry-run",), ("--force",), ("--drop-legacy", "--force")),
    ("towns",): ((),),
    ("trust",): ((),),
    ("reclaim",): ((),),
    ("projector",): (("--once",),),
    ("import", "beads"): (("issues.jsonl",),),
    ("assign",): (("ada", ESCAPE, "--reason", ESCAPE),),
    ("task", "create"): ((ESCAPE, "--alias", "new"),),
    ("backlog", "add"): ((ESCAPE,),),
    ("task", "assign"): (("free", "ada", "--reason", ESCAPE),),
    ("task", "note"): (("free", ESCAPE),),
    ("task", "edit"): (("free", f"again {ESCAPE}"),),
    ("undo",): (("free", "--dry-run"), ("free", "--reason", ESCAPE)),
    ("annotate",): (("1", ESCAPE),),
    ("fork",): (("forked", "--at", "4"), (ESCAPE,)),
    ("task", "prioritise"): (("free", "1"), ("free", ESCAPE)),
    ("task", "schedule"): (("free", "--due", "in 3 h"), ("free", "--due", ESCAPE)),
    ("task", "unlink"): (("free", "named"),),
    ("task", "tag"): (("free", "--add", "tag"),),
    ("ask",): (("free", ESCAPE, "--choices", "red,blue"), ("named", ESCAPE, "--reason", ESCAPE)),
    ("inbox",): ((),),
    ("prime",): ((),),
    ("answer",): (("free", ESCAPE), ("free", ESCAPE, "--other"), ("named", ESCAPE)),
    ("task", "move"): (("free", "--top"), ("free", "named")),
    ("task", "start"): (("free",),),
    ("task", "requeue"): (("free",),),
    ("backlog", "claim"): (("free", "ada"),),
    ("task", "fail"): (("free", "--error", ESCAPE),),
    ("task", "reopen"): (("free",),),
    ("task", "complete"): (("free", "--result", ESCAPE, "--agent", "ada"), ("named", "--with-children")),
    ("wait",): (("free", "--timeout", "1"),),
    ("task", "cancel"): (("new", "--reason", ESCAPE),),
    ("task", "remove"): (("free",),),
    ("next",): (("worker-1",), ("ada", "--start", "--tag", "none")),
    ("work",): (("worker-1", "--once", "--", "true"),),
    ("backlog", "assign-all"): (("ada",),),
    ("backlog", "remove"): (("named",),),
    ("stop",): ((),),
    ("start",): ((),),
    ("init",): ((),),
}
"""What every command is tried with, in this order; those that change something come last."""
LEFT_OUT = {
    ("demo",): "its town is one of its own, and holds what the program wrote",
    ("move-town",): "it names places, and its words are held by its own tests",
    ("mcp",): "it serves programs, and writes to no terminal",
    ("serve",): "it serves browsers and programs, and writes to no terminal",
}
OLD_TASKS = ("11111111-0000-4000-8000-00000000000", "22222222-0000-4000-8000-00000000000")


def assert_harmless(ran: Ran, what: object) -> None:
    """Nothing but lines and tabs stands in what was printed, and nothing ended in a mistake of the program's own."""
    for stream in (ran.out, ran.err):
        found = _OBEYED.search(stream)
        assert found is None, (what, stream[max(0, found.start() - 60) : found.end() + 20])
    assert ran.code != 70, (what, ran.err)


@pytest.fixture
def hostile(town: Path) -> Path:
    """A town with escapes in everything that a person may write, and in ids that something else wrote into the server."""
    with Town.open(actor="ada") as opened:
        opened.create(f"named {ESCAPE}", agent="worker-1", alias="named", tags=("tag",), reason=ESCAPE)
        opened.note("named", ESCAPE)
        opened.create(ESCAPE)
        opened.create(ESCAPE, alias="free")
        opened.fail(opened.create(ESCAPE, agent="worker-1").task.id, error=ESCAPE, reason=ESCAPE)
        opened.create(f"below {ESCAPE}", parent="named")
        snapshot = opened.snapshot_json("named")
        keys = opened.keys
        task = opened.task("named").id
    with client_of(town) as client:
        altered = snapshot.replace(b'"tag"', b'"' + ESCAPE.encode("unicode_escape").replace(b"\\x", b"\\u00") + b'"')
        client.set(keys.task(task), altered)
        client.set(f"tt:demo:task:{ESCAPE}", ESCAPE)
        client.hset(keys.heads, ESCAPE, f"1:{ESCAPE}")
    (town / "tasks.toml").write_text(
        '[[tasks]]\nid = "x\\u001b[31m"\ndescription = "y\\u001b]0;z\\u0007"\n"\\u001b" = 1\n'
    )
    (town / "issues.jsonl").write_text('{"id":"p\\u001b[31m","title":"sur \\u001b]0;x\\u0007","status":"\\u001b[1m"}\n')
    return town


def walk(tt: Tt, *, as_json: bool, named: str = "named") -> Counter[int | str]:
    """Run every command; how many ended with each exit code, and how many showed an escape made harmless.

    `named` is what the task that is named so in the walk is called by.
    """
    ends: Counter[int | str] = Counter()
    for names, tries in WALK.items():
        for words in tries:
            options = ("--json",) if as_json and names != ("work",) else ()
            ran = tt(*names, *options, *(named if word == "named" else word for word in words))
            assert_harmless(ran, (names, words))
            ends[ran.code] += 1
            ends["shown"] += "]0;owned" in ran.out + ran.err
    return ends


@pytest.mark.parametrize("names", [names for names, _ in cli_reference.commands()], ids=" ".join)
def test_every_command_is_tried(names: tuple[str, ...]) -> None:
    """The program's own list of commands is walked: a new one has its place in the walk, or a reason why not."""
    assert (names in WALK) != (names in LEFT_OUT)


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_stored_values_reach_no_terminal_raw(hostile: Path, tt: Tt, as_json: bool) -> None:
    """Every command, over a town with escapes in every stored text and in ids, tags and heads."""
    assert hostile.is_dir()
    ends = walk(tt, as_json=as_json)
    assert (ends[0] >= 45, ends["shown"] >= 35) == (True, True), ends


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_old_records_reach_no_terminal_raw(town: Path, tt: Tt, as_json: bool) -> None:
    """`tt migrate`, and then every command, over Tinytown's old keys with escapes in their names and in each field."""
    fields = dict.fromkeys(
        ("description", "state", "created_at", "updated_at", "started_at", "completed_at", "assigned_to", "result"),
        ESCAPE,
    ) | {"parent_id": ESCAPE, ESCAPE: ESCAPE}
    with client_of(town) as client:
        for first, well in enumerate(
            ({}, {"state": "completed"}, {"state": "pending", "created_at": "2025-01-01T00:00:00Z"})
        ):
            old, older = (f"{beginning}{first}" for beginning in OLD_TASKS)
            client.hset(
                f"tt:demo:task:{old}", mapping={**fields, **well, "id": old, "tags": json.dumps([ESCAPE, "fits"])}
            )
            client.set(f"tt:task:{older}", json.dumps({**fields, **well, "id": older, "tags": [ESCAPE, "fits"]}))
        client.hset(f"tt:demo:task:{ESCAPE}", mapping={**fields, "id": ESCAPE})
        client.set(f"tt:task:{ESCAPE}", json.dumps({**fields, "id": ESCAPE}))
        client.set(f"tt:demo:agent:{ESCAPE}", json.dumps({"id": ESCAPE, "name": ESCAPE}))
        client.rpush("tt:demo:backlog", ESCAPE, old)
        client.rpush("tt:backlog", ESCAPE)
    with Town.open() as opened:
        opened.create(ESCAPE, alias="free")
    options = ("--json",) if as_json else ()
    for command in (("migrate", "--dry-run"), ("tasks",), ("status",), ("doctor",), ("migrate", "--force")):
        assert_harmless(tt(*command, *options), command)
    assert tt("task", "show", old).code == 0
    ends = walk(tt, as_json=as_json, named=old)
    assert (ends[0] >= 40, ends["shown"] >= 25) == (True, True), ends


@pytest.mark.parametrize("says_what_it_is", [False, True], ids=["at once", "afterwards"])
def test_servers_words_reach_no_terminal_raw(
    says_what_it_is: bool, folder: Path, tt: Tt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command, at a server whose every error is an escape, and whose version too: from the start, or once it is connected to."""
    (folder / "tinytown.toml").write_text('name = "demo"\n')
    refusal = f"-ERR {ESCAPE}".replace("\r", "").encode() + b"\r\n"
    words = bulk(f"redis_version:7.{ESCAPE}\r\nvalkey_version:9.{ESCAPE}\r\n")
    known = {b"INFO": [words], b"PING": [b"+PONG\r\n"]} if says_what_it_is else {}
    with stub_server(known, otherwise=refusal) as server:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}/0")
        ends = walk(tt, as_json=says_what_it_is)
    assert (ends[4] >= 45, ends["shown"] >= 45) == (True, True), ends


def test_typed_values_reach_no_terminal_raw(folder: Path, tt: Tt) -> None:
    """Mistakes in the words of every command are said harmlessly too, Typer's own among them."""
    assert folder.is_dir()
    for names in COMMANDS:
        for words in ((ESCAPE, f"--{ESCAPE}"), ("--at", ESCAPE, "--limit", ESCAPE), ("--town", ESCAPE, ESCAPE)):
            assert_harmless(tt(*names, *words), (names, words))


@pytest.mark.parametrize("is_coloured", [False, True], ids=["plain", "coloured"])
def test_a_hostile_value_of_every_option_is_shown_harmlessly(
    folder: Path, tt: Tt, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option and argument of each command, as the program itself lists them; colours are then the only escapes."""
    assert folder.is_dir()
    if is_coloured:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", True)
    seen = 0
    for names, command in cli_reference.commands():
        if is_coloured and names[:1] != ("task",):
            # Whoever says a mistake is one for all commands.
            continue
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        words = [ESCAPE for parameter in command.params if parameter.param_type_name == "argument"]
        for option in options:
            ran = tt(*names, *words, option.opts[0], *(() if option.is_flag else (ESCAPE,)))
            if is_coloured:
                seen += len(_COLOUR.findall(ran.err))
                ran = Ran(ran.code, *(_COLOUR.sub("", _BAR.sub("", stream)) for stream in (ran.out, ran.err)))
            assert_harmless(ran, (names, option.opts))
    assert bool(seen) == is_coloured
    # Where every command was tried, `tt init --town` has made a town.
    tt("stop", "--town", ESCAPE)


def test_folder_with_an_escape_in_its_name_is_shown_harmlessly(folder: Path, tt: Tt) -> None:
    """Paths are shown in many places; each is made visible."""
    place = folder / ESCAPE
    place.mkdir()
    for command in (("init",), ("status",), ("tasks",), ("towns",), ("doctor",), ("trust",), ("stop",)):
        options = () if command == ("towns",) else ("--town", str(place))
        assert_harmless(tt(*command, *options), command)
    (place / "tinytown.toml").write_text(f'name = "x"\n[redis]\nurl = "redis://127.0.0.1:1/0"\n# {ESCAPE!r}\n')
    assert_harmless(tt("tasks", "--town", str(place)), "refused")
    trust(place)
    assert_harmless(tt("tasks", "--town", str(place)), "allowed")


def test_line_break_in_the_name_of_a_folder_makes_no_line_of_an_error(folder: Path, tt: Tt) -> None:
    """What follows it would look like words of ours, such as what to do next."""
    place = folder / "a\nError: run this"
    place.mkdir()
    for text in (
        'name = "x"\n[redis]\nurl = "redis://127.0.0.1:1/0"\n',
        'name = "x"\n[redis]\nbinary = "/x"\n',
        "name = ",
        'name = "a b"\n',
    ):
        (place / "tinytown.toml").write_text(text)
        refused = tt("tasks", "--town", str(place))
        assert (refused.code, refused.err.count("\n"), "a\\nError: run this" in refused.err) == (1, 1, True), refused
