"""Towns: init, towns, start, stop, status."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.answers import reader_at, say_moment
from cli.options import ActorOption, JsonOption, TownOption, WhenOption
from cli.output import say, say_fields, say_json, say_table, warn
from cli.render import EVENT_COLUMNS, agent_rows, event_row, states_line
from cli.session import named_once, opened, warn_outdated
from cli.shapes import Shape, event_shape
from cli.text import counted, local_time, visible
from ledger import BEGINNING, InvalidValueError, Position, State
from town import (
    Durability,
    FoundFolder,
    Town,
    TownState,
    current_actor,
    find_towns,
    read_durability,
    start_town,
    stop_town,
)

DEEP_EVENTS = 10


def init(
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            "-n",
            metavar="NAME",
            help="The town's name. Default: the git repository and branch, else the folder.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="Use the server at this URL; without it the town has a server of its own."
        ),
    ] = None,
    here: Annotated[
        bool, typer.Option("--here", help="In a linked git worktree: a town of its own, not the repository's.")
    ] = False,
    town: Annotated[
        Path | None, typer.Option("--town", metavar="PATH", help="The folder to make a town. Default: this folder.")
    ] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a folder a town, start its server, and record it in ~/.tt/towns.toml.

    Writes tinytown.toml and adds .tt/ and redis.sock to .gitignore. In a folder that is a town already, it starts the server.
    A linked git worktree has the town of its repository's main checkout. A password in the URL is kept in ~/.tt/passwords.toml.
    What ends with an error has made nothing.
    """
    with named_once(lambda: Town.init(town, name=name, url=url, actor=actor, is_here=here)) as made:
        if made.server_warning is not None:
            warn(made.server_warning)
        if made.unlisted is not None:
            warn(made.unlisted)
        warn_outdated(made)
        if as_json:
            say_json({"town": made.name, "folder": str(made.folder), "server": made.where})
            return
        say(f"Town {made.name} is ready in {visible(_folder_words(made.found))}.")
        say(f"Its server is at {visible(made.where)}.")
        say('Next: tt assign worker-1 "Implement user authentication"')


def towns(*, as_json: JsonOption = False) -> None:
    """List the towns of this person and whether their servers are up."""
    found = find_towns()
    if as_json:
        say_json(
            {
                "towns": [
                    {"town": each.name, "folder": each.path, "state": each.state, "remark": each.remark}
                    for each in found
                ]
            }
        )
        return
    if not found:
        say("No towns yet. Make one with `tt init`.")
        return
    say_table(
        ["TOWN", "STATE", "FOLDER"],
        [[visible(each.name), _state_words(each.state), visible(each.path)] for each in found],
    )
    for each in found:
        if each.remark is not None:
            say(f"{visible(each.path)} is {visible(each.remark)}.")


def start(*, town: TownOption = None, actor: ActorOption = None, as_json: JsonOption = False) -> None:
    """Start the town's server; every other command does so when it has to."""
    del actor  # taken as by every command; nothing is written that would name who acts
    status = start_town(town)
    if as_json:
        say_json({"town": status.name, "server": status.where, "started": status.has_changed})
        return
    say(f"The server of {status.name} {'is up' if status.has_changed else 'was up already'}: {visible(status.where)}")


def stop(
    *,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Return when the server is gone, or as soon as it was told to stop."),
    ] = True,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop the town's server, once; what is in the ledger stays on disk.

    Commands at work end with exit code 4 and are told who stopped it. The next command starts a server again, which this one
    leaves alone. Tinytown's stop asks agents to stop, which this one does not: a runner, tt work, is stopped with Ctrl-C.
    """
    status = stop_town(town, actor=_who_stops(actor), is_waiting=wait)
    if as_json:
        shape = {"town": status.name, "server": status.where, "stopped": status.has_changed}
        say_json(shape | {"running": status.is_running})
        return
    if not status.has_changed:
        say(f"The server of {status.name} was down already.")
    elif not wait:
        say(f"The server of {status.name} was told to stop.")
    else:
        again = " Another one was started since: something uses the town." if status.is_running else ""
        say(f"The server of {status.name} is stopped.{again}")


def _who_stops(actor: str | None) -> str | None:
    """Who is named to those whose commands end; a user without a name may stop a server too."""
    try:
        return current_actor(actor)
    except InvalidValueError:
        if actor is not None:
            raise
        return None


def status(
    *,
    tasks: Annotated[bool, typer.Option("--tasks", help="Also the tasks of each agent by state.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help=f"Also the tasks of each agent, and the last {DEEP_EVENTS} events.")
    ] = False,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the town, its server, how durable it is, and how many events and tasks there are, or were.

    With --at events and tasks are those of an earlier moment; the server is shown as it is now.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        durability = read_durability(opened_town.connection)
        states = reader.count_states()
        agents = reader.count_agents() if tasks or deep else {}
        last = opened_town.events.last(count=DEEP_EVENTS, until=reader.then) if deep else []
        notes = reader.annotations(last)
        end = opened_town.end() if reader.then is None else reader.then
        if as_json:
            shape: Shape = {
                "town": opened_town.name,
                "folder": str(opened_town.folder),
                "folder_reason": opened_town.found.reason,
                "server": {
                    "where": opened_town.where,
                    "version": opened_town.connection.version(),
                    "is_own": opened_town.connection.server is not None,
                },
                "durability": {
                    "is_durable": durability.is_durable,
                    "settings": durability.settings,
                    "problems": durability.problems,
                },
                "events": end.seq,
                "position": None if end == BEGINNING else end,
                "states": states,
            }
            shape |= {"agents": agents} if tasks or deep else {}
            shown = [event_shape(each, notes=notes.get(each.at, ())) for each in last]
            say_json(shape | ({"last_events": shown} if deep else {}))
            return
        say_moment(reader, "Events and tasks as they were")
        say_fields(
            [
                ("Town", opened_town.name),
                ("Folder", visible(_folder_words(opened_town.found))),
                ("Server", f"up, {opened_town.connection.version()}, at {visible(opened_town.where)}"),
                ("Durable", _durability_words(durability)),
                ("Events", _events_words(end)),
                ("Tasks", states_line(states)),
            ],
            multiline={"Durable"},
        )
        if tasks or deep:
            say()
            columns, rows = agent_rows(agents, states[State.PENDING])
            say_table(columns, rows) if rows else say("No tasks yet.")
        if last:
            say()
            rows = [event_row(each, notes=notes.get(each.at, ())) for each in last]
            say_table(EVENT_COLUMNS, rows, flexible="WHAT")


def _state_words(state: TownState) -> str:
    return {
        TownState.UP: "up",
        TownState.DOWN: "down",
        TownState.GONE: "folder gone",
        TownState.REFUSED: "not trusted",
    }[state]


def _folder_words(found: FoundFolder) -> str:
    """The folder, and in a linked worktree why it is that one."""
    words = f"{found.folder} ({found.reason})" if found.reason else str(found.folder)
    return f"{words}; `tt init --here` makes a town of its own" if found.is_shared else words


def _durability_words(durability: Durability) -> str:
    if not durability.is_known:
        return "unknown: the server does not show its settings"
    if durability.problems:
        return "NO: " + "\n".join(durability.problems)
    return "yes, an acknowledged event is on disk"


def _events_words(end: Position) -> str:
    if end == BEGINNING:
        return "none yet"
    return f"{counted(end.seq, 'event')}, the last at {end} ({local_time(end.time)})"
