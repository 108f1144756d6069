"""Audit: what differs between two moments, which event set each field of a task, and how it came to its state."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.answers import reader_at, say_moment
from cli.beside import names_of, names_of_removed, names_with_titles
from cli.blame_lines import blame_lines, event_note
from cli.cause_words import led_by_words, sentences, state_sentence
from cli.diff_lines import field_lines, heading, linked_in, summary
from cli.limits import BLOCKS_SHOWN, PAGE_TASKS
from cli.moments import limit_words, say_choices, saying_choices
from cli.name_hints import say_unknown
from cli.options import (
    JsonOption,
    LimitOption,
    OffsetOption,
    TaskArgument,
    TownOption,
    When,
    WhenOption,
    parse_when,
)
from cli.output import say, say_hanging, say_json, warn
from cli.ready_lines import chain_names, removed_blockers, say_blocks
from cli.session import opened
from cli.styled import Styled
from cli.text import counted, event_number, name_and_title, short_id
from ledger import Effort, LinkKind
from shapes.audit import blame_shape, diff_shape, why_shape
from town import WHEN_HELP, local_time

CAUSES_SHOWN = 50
"""How many of the events behind a state are shown; `--json` has all."""


def diff(
    first: Annotated[
        When, typer.Argument(metavar="A", parser=parse_when, help=f"The first moment: {WHEN_HELP}.", show_default=False)
    ],
    second: Annotated[
        When | None,
        typer.Argument(metavar="[B]", parser=parse_when, help="The second one. Default: now.", show_default=False),
    ] = None,
    *,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="Only this task. It may be a removed one.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Only tasks this agent had at any time in between.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="Only tasks with this tag at one of the moments.")
    ] = None,
    limit: LimitOption = PAGE_TASKS,
    offset: OffsetOption = 0,
    town: TownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between the boards of two moments: the tasks that were created, removed and changed from A to B.

    Texts are shown as a word diff like git's: [-removed words-] and {+added words+}. A may be later than B.

    --json prints all of it and takes no notice of --limit and --offset.
    """
    with opened(town, None) as opened_town:
        reader = reader_at(opened_town, second)
        with saying_choices(first):
            found = reader.diff(first.moment, task_id=task, agent=agent, tag=tag)
        if not found.tasks:
            say_unknown(opened_town, reader, agent=agent, tags=[tag] if tag else [])
        if as_json:
            say_json(diff_shape(opened_town, found, a=first, b=second))
            return
        shown = found.tasks[offset : offset + limit]
        names = names_of(opened_town, linked_in([change for each in shown for change in each.changes]))
    events = counted(found.events, "event")
    say_hanging("", f"From {limit_words(first, found.since)} to {limit_words(second, found.until)}: {events}.")
    say_choices(first, second)
    if not found.tasks:
        say("No task is different." if not found.passing else f"No task is different; {found.passing:,} came and went.")
        return
    effort = Effort()
    for each in shown:
        say()
        say_hanging("", heading(each))
        for head, words in field_lines(each, effort, names):
            say_hanging(head, words)
    say()
    say_hanging("", summary(found))
    after = offset + limit
    if after < len(found.tasks):
        warn(f"{after:,} of {counted(len(found.tasks), 'task')} shown. More: --offset {after}")
    elif offset >= len(found.tasks):
        warn(f"There are only {counted(len(found.tasks), 'task')}, so --offset {offset} shows none.")


def blame(
    task: TaskArgument,
    *,
    at: WhenOption = None,
    town: TownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which event set each field of a task, each line of a long text and each tag: when, by whom and why."""
    with opened(town, None) as opened_town:
        reader = reader_at(opened_town, at)
        found, blamed = reader.blame(task)
        if as_json:
            say_json(blame_shape(opened_town, reader, found, blamed, at=at))
            return
        say_moment(reader, at)
        parent = [] if found.parent_id is None else [found.parent_id]
        names = names_of(opened_town, [*parent, *(each for kind in LinkKind for each in found.links(kind))])
    say_hanging("", Styled.of(name_and_title(found), "bold"))
    say_hanging("", f"Task {found.id}")
    for head, words in blame_lines(blamed, names):
        say_hanging(Styled.of(head, "bold"), words)
    last = next(each.event for each in blamed if each.field == "position")
    say_hanging("", f"Version {found.version}, by {event_note(last)}")


def why(
    task: TaskArgument,
    *,
    at: WhenOption = None,
    town: TownOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how a task came to its state: who gave it to whom, who began, finished or gave up. The last event comes first.

    If it is blocked, it also tells by what, since when, and what is before that.
    """
    with opened(town, None) as opened_town:
        reader = reader_at(opened_town, at)
        found = reader.why(task)
        # A removed or finished task waits for nothing.
        is_open = found.task is not None and not found.task.state.is_terminal
        blocked = reader.blocks(found.task_id) if is_open else None
        since = {} if blocked is None else reader.since([blocked], blocks_max=BLOCKS_SHOWN)
        if as_json:
            say_json(
                why_shape(
                    opened_town,
                    reader,
                    found,
                    blocked,
                    since,
                    told=sentences(found.causes),
                    blocks_max=BLOCKS_SHOWN,
                    at=at,
                )
            )
            return
        say_moment(reader, at)
        chain = {} if blocked is None else names_with_titles(opened_town, blocked.chain)
        removed = {} if blocked is None else names_of_removed(opened_town, removed_blockers([blocked]))
    name = short_id(found.task_id) if found.known_as is None else name_and_title(found.known_as)
    say_hanging("", Styled.of(name, "bold"))
    say_hanging("", state_sentence(found))
    if blocked is not None:
        say_hanging("", "It is blocked:")
        say_blocks(blocked, since, removed)
        if blocked.chain_length > 1:
            say_hanging("", f"The longest chain before it: {' <- '.join(chain_names(blocked.chain, chain))}")
    say()
    width = max(len(event_number(cause.event.position)) for cause in found.causes)
    told = list(zip(found.causes, sentences(found.causes), strict=True))
    for cause, sentence in told[: -CAUSES_SHOWN - 1 : -1]:
        position = cause.event.position
        head = f"{event_number(position):>{width}}  {local_time(position.time)}  "
        say_hanging(Styled.of(head, "dim"), sentence)
        led_by = found.led_by.get(cause.event.cause or "")
        if led_by is not None:
            say_hanging(" " * len(head), led_by_words(led_by, task_id=found.task_id))
    if len(told) > CAUSES_SHOWN:
        warn(f"The last {CAUSES_SHOWN} of {len(told):,}. All: tt task history {short_id(found.task_id)}")
