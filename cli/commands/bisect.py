"""Bisect: find the first event after which a program fails."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from cli.beside import Beside, linked_ids, names_of
from cli.diff_lines import linked_in
from cli.exits import Exit
from cli.moments import say_choices
from cli.options import JsonOption, TownOption, When, parse_when
from cli.output import Cell, json_line, say, say_fields, say_json, say_table, tell
from cli.render import EVENT_TEXTS, change_words, event_rows, event_words
from cli.session import opened
from cli.styled import Styled
from cli.text import counted, name_and_title, visible
from ledger import BEGINNING, Position, RecordedEvent, Task
from projections import Bisection, Verdict
from shapes import board_shape
from shapes.audit import bisection_shape
from town import WHEN_HELP, BisectionRefusedError, Look, Probe, Town, local_time

CANDIDATES_SHOWN = 20
"""How many events are shown if it may be any of several."""
_STYLES = {Verdict.GOOD: "green", Verdict.BAD: "red", Verdict.SKIPPED: "yellow"}


def bisect(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND [ARG]...",
            help="The program that gets a board, after --.",
            show_default=False,
        ),
    ],
    *,
    good: Annotated[
        When,
        typer.Option(
            "--good", metavar="WHEN", parser=parse_when, help=f"A moment at which COMMAND succeeds: {WHEN_HELP}."
        ),
    ],
    bad: Annotated[
        When, typer.Option("--bad", metavar="WHEN", parser=parse_when, help="A later moment at which it fails.")
    ],
    town: TownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the first event after which COMMAND fails, by halving. Nothing is written.

    COMMAND gets the board as JSON on stdin, as `tt replay --at WHEN --json` prints it. Exit status 0 means that the board is good, 1 to 124 that it is bad, and 125 that COMMAND cannot tell: then another event is tried. Any other status, or a signal, ends the search. The output of COMMAND is dropped, except the last line of its stderr.

    For n events it runs at most log2(n) + 2 times, and more often only if it cannot tell. The exit code is 0 if one event was found.
    """
    probe = Probe(command)
    with opened(town, None) as opened_town:
        say_choices(good, bad)
        search = _Search(opened_town, probe, first=good, last=bad)
        try:
            search.run()
        except KeyboardInterrupt:
            left = search.bisection
            first = left.good or shlex.quote(good.text)
            tell(f"Stopped. To go on: tt bisect --good {first} --bad {left.bad} -- {shlex.join(command)}")
            raise typer.Exit(Exit.INTERRUPTED) from None
        if as_json:
            say_json(bisection_shape(opened_town, search.bisection, search.looks, search.found()))
        else:
            search.say()
    if len(search.bisection.candidates) > 1:
        raise typer.Exit(Exit.REFUSED)


class _Search:
    """One bisection, from its two moments to its answer."""

    def __init__(self, town: Town, probe: Probe, *, first: When, last: When) -> None:
        """BisectionRefusedError, MomentError."""
        self._town = town
        self._probe = probe
        good, bad = (town.events.position_at(each.moment) for each in (first, last))
        if good >= bad:
            raise BisectionRefusedError(
                f"The good moment, event {good.seq}, is not earlier than the bad one, event {bad.seq}.",
                "Turn them round; to look for what made something good, let COMMAND fail where it is good.",
            )
        self.bisection = Bisection(good.seq, bad.seq)
        self.looks: list[tuple[Position, Look]] = []
        tell(f"{counted(bad.seq - good.seq, 'event')} from {_moment_words(good)}, to {_moment_words(bad)}.")

    def run(self) -> None:
        """Look until the answer is known. ProbeFailedError, BisectionRefusedError."""
        bisection = self.bisection
        while (number := bisection.next()) is not None:
            position = self._position(number)
            look = self._probe.look(self._board(position), number=number)
            bisection.tell(number, look.verdict)
            self.looks.append((position, look))
            self._tell(position, look)
        if bisection.mistaken is not None:
            raise self._mistake(bisection.mistaken)

    def _board(self, position: Position) -> bytes:
        """What `tt replay --at POSITION --json` prints."""
        reader = self._town.at(position)
        states = reader.count_states()
        tasks = reader.page().tasks
        return f"{json_line(board_shape(self._town, tasks, position, states))}\n".encode()

    def _tell(self, position: Position, look: Look) -> None:
        complaint = f": {visible(look.complaint)}" if look.complaint else ""
        tell(
            Styled.assemble(
                f"{len(self.looks)} of at most {self.bisection.looks_max}: {_moment_words(position)}: ",
                (str(look.verdict), _STYLES[look.verdict]),
                f" (exit status {look.status}{complaint})",
            )
        )

    def _mistake(self, number: int) -> BisectionRefusedError:
        verdict = self.bisection.verdicts[number]
        what = {
            Verdict.GOOD: "is good: the program succeeds there",
            Verdict.BAD: "is bad: the program fails there",
            Verdict.SKIPPED: "cannot be judged: the program ends with 125 there",
        }[verdict]
        board = f"The board after event {number}" if number else "The empty board"
        is_first = number == min(self.bisection.verdicts)
        said = "--good" if is_first else "--bad"
        return BisectionRefusedError(
            f"{board}, which {said} names, {what}.",
            f"Choose {'an earlier' if is_first else 'a later'} moment, or correct the program."
            if number
            else "Correct the program.",
        )

    def _position(self, number: int) -> Position:
        return self._town.events.position_at(number) if number else BEGINNING

    def found(self) -> tuple[RecordedEvent, Task | None] | None:
        """The first bad event, and its task after it, or before if the event removed it. None if it may be any of several."""
        if len(self.bisection.candidates) > 1:
            return None
        number = self.bisection.bad
        position = self._position(number)
        [recorded] = self._town.events.last(count=1, until=position)
        task = self._town.at(position).find_task(recorded.task)
        if task is None:
            task = self._town.at(self._position(number - 1)).find_task(recorded.task)
        return recorded, task

    def say(self) -> None:
        """The answer for people."""
        found = self.found()
        if found is None:
            candidates = self.bisection.candidates
            say(
                f"It is one of {counted(len(candidates), 'event')}: the program could not judge the boards between them."
            )
            shown = self._town.events.last(since=candidates[0], until=candidates[-1], count=None)[:CANDIDATES_SHOWN]
            beside = Beside.titled(self._town, shown)
            say_table(*event_rows(shown, beside), flexible=EVENT_TEXTS)
            if len(candidates) > len(shown):
                tell(f"The first {len(shown)} of {counted(len(candidates), 'event')}, up to event {candidates[-1]}.")
            return
        recorded, task = found
        steps = self._town.at(recorded.position).history(recorded.task)
        names = names_of(self._town, [*linked_ids([recorded]), *linked_in(steps[-1].changes)])
        say(f"Event {recorded.position.seq} is the first after which it fails.")
        fields: list[tuple[str, Cell]] = [
            ("Position", recorded.at),
            ("Time", local_time(recorded.position.time)),
            ("Actor", visible(recorded.actor)),
            ("What", event_words(recorded, names=names)),
            ("Task", recorded.task if task is None else name_and_title(task)),
            *(("Changed", change_words(change, names)) for change in steps[-1].changes),
        ]
        say_fields(fields)


def _moment_words(position: Position) -> str:
    if position == BEGINNING:
        return "the empty board"
    return f"event {position.seq}, {local_time(position.time)}"
