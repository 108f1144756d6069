"""Completion: what can come next on a command line of `tt`, for the scripts in `cli.shells`.

`tt --complete SHELL …` prints a line with what is to be done, then a line for each candidate. It starts no server, asks
nothing, prints no error, and ends after COMPLETION_SECONDS_MAX whatever a server does. Typer is not imported:
`cli.completion_table` is generated from the commands.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.completion_table import COMMANDS, FIRST_OPTIONS, FIRST_WORDS, GROUPS, Kind
from cli.text import ICONS, shortened, visible
from cli.tinytown_words import without_leading_options
from ledger import State

if TYPE_CHECKING:
    from town import Peek

COMPLETION_SECONDS_MAX: Final = 0.7
NOTE_CHARS_MAX: Final = 60

WORDS, FILES, FOLDERS = "words", "files", "folders"
"""What a shell is to do: offer the candidates, or complete the name of a file or of a folder by itself."""

_WHEN: Final = {
    "now": "the present",
    "1h": "an hour ago",
    "1d": "24 hours ago",
    "1w": "a week ago",
    "yesterday": "the beginning of that day",
    "HEAD~1": "before the last event",
    "HEAD~10": "before the last ten events",
    "@": "when a task entered a state: @TASK:completed",
}
_STATES: Final = {"created": "when it was created", **{state.value: f"when it became {state}" for state in State}}
_OPEN: Final = tuple(state for state in State if not state.is_terminal)
_ENDED: Final = tuple(state for state in State if state.is_terminal)
_STATES_OF: Final[dict[tuple[str, ...], tuple[State, ...]]] = {
    **{("task", verb): _OPEN for verb in ("assign", "start", "complete", "fail", "cancel", "requeue")},
    ("task", "reopen"): _ENDED,
    ("backlog", "claim"): (State.PENDING,),
    ("backlog", "remove"): (State.PENDING,),
    ("critical-path",): _OPEN,
    ("wait",): _OPEN,
}
"""The states of the tasks that a command takes; any state for the others."""
_OWN_WORDS: Final = {"help": "Show the help of a command", "version": "Print the version"}
_TOWN_NEXT: Final = (["-t"], ["--town"])
"""What is left before the command where its town comes next."""


class Candidate(NamedTuple):
    """A word that can come next, and a note about it. `is_open` is set if something has to follow it at once."""

    text: str
    note: str = ""
    is_open: bool = False


class Offer(NamedTuple):
    """What a shell is to do, and the candidates."""

    action: str
    candidates: Sequence[Candidate] = ()


NOTHING: Final = Offer(WORDS)


def complete(arguments: Sequence[str]) -> None:
    """Print what completes a command line, as the shell that is named first understands it. Never raises."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, COMPLETION_SECONDS_MAX)
    try:
        from cli.output import flush, say_tabbed  # noqa: PLC0415 - within what never raises
        from cli.shells import answer  # noqa: PLC0415 - as above

        for line in list(answer(arguments, offer)):
            say_tabbed(line)
        flush()
    except Exception:  # noqa: BLE001, S110 - somebody is typing: what cannot be completed is left to them
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def offer(words: Sequence[str], current: str) -> Offer:
    """What can stand in the place of `current`, which was begun, after `words`, which come after `tt`."""
    towns, words = without_leading_options(list(words))
    if words in _TOWN_NEXT:
        return Offer(FOLDERS)
    if not words:
        first = (
            {**FIRST_OPTIONS, "--town": "The town's folder"}
            if current.startswith("-")
            else {**FIRST_WORDS, **_OWN_WORDS}
        )
        return _begun(current, _noted(first))
    if words[0] == "help":
        return _offer_help(words[1:], current)
    if words[0] in GROUPS and len(words) == 1:
        return _begun(current, _noted(GROUPS[words[0]]))
    length = 2 if words[0] in GROUPS else 1
    names = tuple(words[:length])
    if names not in COMMANDS:
        return NOTHING
    return _CommandLine(names, words[length:], current, towns[-1] if towns else None).offer()


class _CommandLine:
    """A command, the words after it, and the one that is being typed."""

    def __init__(self, names: tuple[str, ...], words: Sequence[str], current: str, town: str | None) -> None:
        self._names = names
        self._current = current
        self._town = town
        _, self._arguments, self._is_repeated, self._options = COMMANDS[names]
        self._given: set[str] = set()
        self._waiting: str | None = None
        """The option whose value comes next."""
        self._positional = 0
        self._is_ended = False
        for word in words:
            self._take(word)

    def offer(self) -> Offer:
        """What can come next."""
        current = self._current
        if self._waiting is not None:
            return self._values(self._options[self._waiting][0], current)
        if current.startswith("-") and not self._is_ended:
            name, equals, value = current.partition("=")
            if equals:
                kind = self._options[name][0] if name in self._options else ""
                found = self._values(kind, value)
                return Offer(found.action, [each._replace(text=f"{name}={each.text}") for each in found.candidates])
            return _begun(current, self._unused_options())
        if self._positional >= len(self._arguments) and not self._is_repeated:
            return _begun(current, self._unused_options()) if not current and not self._is_ended else NOTHING
        return self._values(self._arguments[min(self._positional, len(self._arguments) - 1)], current)

    def _take(self, word: str) -> None:
        if self._waiting is not None:
            if self._waiting == "--town":
                self._town = word
            self._waiting = None
        elif word == "--" and not self._is_ended:
            self._is_ended = True
        elif word.startswith("-") and not self._is_ended:
            name, equals, value = word.partition("=")
            if name == "--town" and equals:
                self._town = value
            self._given.add(name)
            if not equals and name in self._options and self._options[name][0] != "flag":
                self._waiting = name
        else:
            self._positional += 1

    def _unused_options(self) -> Iterator[Candidate]:
        for name, (_, is_repeated, note) in self._options.items():
            if is_repeated or name not in self._given:
                yield Candidate(name, note)

    def _values(self, kind: Kind, current: str) -> Offer:
        """The values of one kind that begin with `current`."""
        if isinstance(kind, tuple):
            return _begun(current, map(Candidate, kind))
        if kind == "file" or (kind == "command" and self._is_ended):
            return Offer(FILES)
        if kind == "folder":
            return Offer(FOLDERS)
        if kind == "when":
            return self._whens(current)
        read = _READERS.get(kind)
        if read is None:
            return NOTHING
        states = _STATES_OF.get(self._names, tuple(State))
        return _begun(current, self._peek(lambda town: list(read(town, current, states))))

    def _whens(self, current: str) -> Offer:
        if not current.startswith("@"):
            whens = (Candidate(word, note, is_open=word == "@") for word, note in _WHEN.items())
            return _begun(current, whens)
        task, colon, _ = current[1:].rpartition(":")
        if colon:
            return _begun(current, (Candidate(f"@{task}:{state}", note) for state, note in _STATES.items()))
        tasks = self._peek(lambda town: list(_tasks(town, current[1:], tuple(State))))
        return _begun(current, (Candidate(f"@{each.text}:", each.note, is_open=True) for each in tasks))

    def _peek(self, ask: Callable[[Peek], list[Candidate]]) -> list[Candidate]:
        from town import peek  # noqa: PLC0415 - most words need no town

        with peek(None if self._town is None else Path(self._town)) as town:
            # A name that begins with a dash would be read as an option.
            return [each for each in ask(town) if not each.text.startswith("-")]


def _tasks(town: Peek, begun: str, states: Sequence[State]) -> Iterator[Candidate]:
    """By alias where that was begun or nothing was, else by the beginning of the id."""
    tasks = town.tasks(begun, states=states)
    short = [task.id[:_ID_CHARS] for task in tasks]
    for task, beginning in zip(tasks, short, strict=True):
        own = task.id if short.count(beginning) > 1 or len(begun) > _ID_CHARS else beginning
        is_named = task.alias is not None and task.alias.startswith(begun)
        title = task.title
        yield Candidate(str(task.alias) if is_named else own, f"{ICONS[task.state]} {title}")


_ID_CHARS: Final = 8


def _agents(town: Peek, begun: str, states: Sequence[State]) -> Iterator[Candidate]:
    del begun, states
    return (Candidate(agent, f"{count:,} open" if count else "") for agent, count in town.agents().items())


def _actors(town: Peek, begun: str, states: Sequence[State]) -> Iterator[Candidate]:
    del begun, states
    return map(Candidate, town.actors())


def _tags(town: Peek, begun: str, states: Sequence[State]) -> Iterator[Candidate]:
    del begun, states
    return map(Candidate, town.tags())


def _events(town: Peek, begun: str, states: Sequence[State]) -> Iterator[Candidate]:
    """The last events by number; where a task can stand as well, it is offered too once it was begun."""
    for recorded in town.events():
        verb = recorded.type.partition(".")[2]
        yield Candidate(str(recorded.position.seq), f"{verb} by {recorded.actor}, {recorded.task[:_ID_CHARS]}")
    if begun:
        yield from _tasks(town, begun, states)


_READERS: Final[dict[str, Callable[[Peek, str, Sequence[State]], Iterator[Candidate]]]] = {
    "task": _tasks,
    "agent": _agents,
    "actor": _actors,
    "tag": _tags,
    "event": _events,
}


def _offer_help(words: Sequence[str], current: str) -> Offer:
    if not words:
        return _begun(current, _noted(FIRST_WORDS))
    return _begun(current, _noted(GROUPS[words[0]])) if words[0] in GROUPS and len(words) == 1 else NOTHING


def _begun(current: str, candidates: Iterable[Candidate]) -> Offer:
    """Those of the candidates that begin with `current`, each once, as they can be shown and typed.

    What a town holds is foreign: a name that hides characters is not offered.
    """
    found: dict[str, Candidate] = {}
    for each in candidates:
        if each.text.startswith(current) and each.text.isprintable():
            note = shortened(visible(each.note), NOTE_CHARS_MAX) if each.note else ""
            found.setdefault(each.text, each._replace(note=note))
    return Offer(WORDS, list(found.values()))


def _noted(words: dict[str, str]) -> Iterator[Candidate]:
    return (Candidate(word, note) for word, note in words.items())
