"""Tinytown's commands: those with the same meaning here are translated, the others are answered with a hint.

Pure, and small, because it runs before every command. Options that Tinytown shares with our commands are declared there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_THEIRS: Final = "Tinytown's own program does that; here there are tasks and their history."
_RUNS_AGENTS: Final = "`tt work AGENT -- PROGRAM` runs an agent's program here, a task at a time."

SAME: Final[Mapping[str, tuple[str, ...]]] = {
    "history": ("events",),
    "list": ("status", "--tasks"),
}
"""Tinytown's command -> ours. The options after it stay."""

HINTS: Final[Mapping[str, str]] = {
    "agent-loop": f"{_RUNS_AGENTS} {_THEIRS}",
    "auth": "Keys of townhall: " + _THEIRS,
    "bootstrap": "Nothing has to be downloaded or built: a server comes with this program, and `tt init` starts it.",
    "close": "To stop a runner, end `tt work` with Ctrl-C or SIGTERM: its task goes back. " + _THEIRS,
    "conductor": "`tt plan` and `tt sync` bring a plan into the town, `tt work` runs agents. " + _THEIRS,
    "config": "Settings are in tinytown.toml and ~/.tt/settings.toml: docs/reference/settings.md.",
    "interrupt": "To stop a runner, end `tt work` with Ctrl-C or SIGTERM: its task goes back. " + _THEIRS,
    "kill": "To stop a runner, end `tt work` with Ctrl-C or SIGTERM: its task goes back. " + _THEIRS,
    "mission": "`tt plan` and `tt import beads` bring many tasks at once. Missions are Tinytown's: " + _THEIRS,
    "prune": "Agents are names here, and need no clean-up: `tt reclaim` takes back the tasks of lost runners.",
    "reset": "The ledger keeps what happened: `tt task cancel` and `tt task remove` take tasks off the board.",
    "restart": _RUNS_AGENTS + " It takes up what the agent has already.",
    "resume": _RUNS_AGENTS + " It takes up what the agent has already.",
    "send": "There are no messages here: `tt assign AGENT TEXT` gives a task, `tt task note TASK TEXT` adds a note.",
    "spawn": _RUNS_AGENTS,
}
"""Tinytown's command that is not about tasks -> what does the same here, or who does it."""

OPTION_HINTS: Final[Mapping[tuple[str, str], str]] = {
    ("events", "--mission"): "Missions are Tinytown's. " + _THEIRS,
    ("migrate", "--hash"): (
        "Both formats are read, JSON and Hash: leave out --hash. Do not run Tinytown's own migrate on a town of this program."
    ),
}
"""Our command and an option that only Tinytown's has -> a hint."""

_GROUPS: Final = frozenset({"task", "backlog", "sync", "import"})
_WITHOUT_TOWN: Final = frozenset({"towns", "demo"})
_HELP: Final = frozenset({"-h", "--help"})
_QUIET: Final = frozenset({"-v", "--verbose"})
"""Nothing is logged here, so these options change nothing."""


def in_our_words(arguments: Sequence[str]) -> list[str]:
    """The command line as our commands take it: Tinytown's commands translated, `--town` after the command."""
    towns, words = without_leading_options(list(arguments))
    if not words:
        return words
    first, rest = words[0], words[1:]
    if first == "help":
        words = [*([] if rest[:1] in (["help"], ["version"]) else rest), "--help"]
    elif first == "version":
        words = ["--version", *rest]
    elif first in SAME:
        words = [*SAME[first], *rest]
    elif first == "sync" and not _HELP & set(rest[:1]) and (not rest or rest[0].startswith("-")):
        words = ["sync", "push", *rest]
    if not towns or words[0] in _WITHOUT_TOWN:
        return words
    has_two = words[0] in _GROUPS and len(words) > 1 and not words[1].startswith("-")
    length = 2 if has_two else 1
    # All of them: the command says that one is enough.
    return [*words[:length], *(word for town in towns for word in ("--town", town)), *words[length:]]


def hint_for(words: Sequence[str]) -> str | None:
    """The hint for a command that only Tinytown has, in one line; None for all others."""
    if not words:
        return None
    if words[0] in HINTS:
        return f"`tt {words[0]}` is a command of Tinytown's. {HINTS[words[0]]}"
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    found = next((option for command, option in OPTION_HINTS if command == words[0] and option in own), None)
    return None if found is None else f"`{found}` is an option of Tinytown's. {OPTION_HINTS[words[0], found]}"


def without_leading_options(words: list[str]) -> tuple[list[str], list[str]]:
    """The towns that were named before the command, and the words from the command on."""
    towns: list[str] = []
    while words:
        name, equals, value = words[0].partition("=")
        if words[0] in _QUIET:
            words = words[1:]
        elif words[0] == "-V":
            return towns, ["--version"]
        elif name == "--town" and equals:
            towns, words = [*towns, value], words[1:]
        elif words[0] in ("-t", "--town") and len(words) > 1:
            towns, words = [*towns, words[1]], words[2:]
        else:
            break
    return towns, words
