"""One gate for everything that leaves: whatever is stored or typed, no terminal is made to obey it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import cli_reference
from tests.support.towns import client_of, trust
from tests.support.tt import Ran, Tt
from town import Town

ESCAPE = "a\x1b]0;owned\x07b\x1b[31mc\x9b1md\x7fe\u202ef\u2066g\rh"
"""Sets a window's title, a colour, the direction of text, and writes over a line."""
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BAR = re.compile(r"\x1b\[\?25l[^\\]*?\x1b\[\?25h\r?", re.DOTALL)
COMMANDS = tuple(cli_reference.command_names())
READING = (
    ("tasks",),
    ("task", "list"),
    ("task", "list", "--limit", "1"),
    ("task", "tree"),
    ("task", "current", "worker-1"),
    ("task", "show", "named"),
    ("task", "history", "named"),
    ("backlog", "list"),
    ("events",),
    ("events", "--task", "named"),
    ("replay", "--at", "4"),
    ("stats",),
    ("status", "--tasks"),
    ("verify",),
    ("doctor",),
    ("rebuild", "--dry-run"),
    ("plan",),
    ("plan", "--check"),
    ("sync", "status"),
    ("sync", "push", "--dry-run"),
    ("migrate", "--dry-run"),
    ("towns",),
    ("trust",),
    ("reclaim",),
    ("import", "beads", "issues.jsonl"),
    ("work", "worker-1", "--once", "--", "true"),
)


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


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_stored_values_reach_no_terminal_raw(hostile: Path, tt: Tt, as_json: bool) -> None:
    """Every command that shows something, over a town with escapes in every stored text and in ids, tags and heads."""
    assert hostile.is_dir()
    for command in READING:
        options = ("--json",) if as_json and command[0] != "work" else ()
        assert_harmless(tt(*command, *options), command)


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
