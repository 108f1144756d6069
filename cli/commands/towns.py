"""Towns: init, towns, start, stop, status."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.answers import reader_at, say_moment
from cli.beside import Beside
from cli.lost_lines import lost_words
from cli.options import ActorOption, JsonOption, TownOption, WhenOption
from cli.output import say, say_fields, say_json, say_table, warn
from cli.render import EVENT_TEXTS, agent_rows, event_rows, states_line
from cli.session import named_once, opened, warn_outdated
from cli.text import counted, visible
from ledger import BEGINNING, EventsLostError, InvalidValueError, Position, State
from shapes.towns import (
    init_shape,
    listed_towns_shape,
    registered_shape,
    start_shape,
    status_shape,
    stop_shape,
    towns_shape,
)
from town import (
    AgentNotes,
    Durability,
    FoundFolder,
    NotesChange,
    Town,
    TownState,
    current_actor,
    find_towns,
    list_towns,
    local_time,
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
        typer.Option("--url", metavar="URL", help="Use the server at this URL. Default: a server of the town's own."),
    ] = None,
    here: Annotated[
        bool,
        typer.Option(
            "--here", help="In a linked git worktree: make a town of its own, instead of using the repository's."
        ),
    ] = False,
    has_agent_notes: Annotated[
        bool,
        typer.Option("--agents", help="Write a section about the town into the folder's AGENTS.md, for coding agents."),
    ] = False,
    town: Annotated[
        Path | None, typer.Option("--town", metavar="PATH", help="The folder. Default: the current one.")
    ] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a folder into a town, start its server, and record it in ~/.tt/towns.toml.

    Writes tinytown.toml and adds .tt/ and redis.sock to .gitignore. If the folder is already a town, it starts the server.
    A linked git worktree uses the town of its repository's main checkout. A password in the URL is kept in ~/.tt/passwords.toml.
    With --agents, AGENTS.md keeps all but its marked section as it is; a town that is there already gets the section, too.
    If it fails, nothing was made.
    """
    with named_once(
        lambda: Town.init(town, name=name, url=url, actor=actor, is_here=here, has_agent_notes=has_agent_notes)
    ) as made:
        if made.server_warning is not None:
            warn(made.server_warning)
        if made.unlisted is not None:
            warn(made.unlisted)
        warn_outdated(made)
        if as_json:
            say_json(init_shape(made))
            return
        say(f"Town {made.name} is ready in {visible(_folder_words(made.found))}.")
        say(f"Its server is at {visible(made.where)}.")
        if made.agent_notes is not None:
            say(_notes_words(made.agent_notes))
        say('Next: tt assign worker-1 "Implement user authentication"')


def _notes_words(notes: AgentNotes) -> str:
    """What was done to `AGENTS.md`."""
    words = {
        NotesChange.MADE: "was made, with a section about the town",
        NotesChange.ADDED: "has a section about the town now; the rest of it is as it was",
        NotesChange.RENEWED: "has its section about the town renewed; the rest of it is as it was",
        NotesChange.UNCHANGED: "has its section about the town already; nothing was changed",
    }
    return f"{visible(str(notes.path))} {words[notes.change]}."


def towns(
    *,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="URL", help="List the towns on this server or cluster instead, whoever made them."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List your towns, and whether their servers are up; or the towns on a server or cluster, and how many events they have."""
    if server is not None:
        _say_towns_of(server, as_json=as_json)
        return
    found = find_towns()
    if as_json:
        shapes = [
            registered_shape(name=each.name, folder=each.path, state=each.state, remark=each.remark) for each in found
        ]
        say_json(towns_shape(shapes))
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


def _say_towns_of(server: str, *, as_json: bool) -> None:
    found = list_towns(server)
    if as_json:
        say_json(listed_towns_shape(found))
        return
    if not found:
        say("No towns are listed there. One is listed once `tt init`, `tt doctor` or `tt projector` has opened it.")
        return
    say_table(
        ["TOWN", "EVENTS"],
        [[visible(each.name), visible(each.problem or f"{each.events or 0:,}")] for each in found],
    )


def start(*, town: TownOption = None, actor: ActorOption = None, as_json: JsonOption = False) -> None:
    """Start the town's server. Other commands start it themselves when they need it."""
    del actor  # every command takes it; nothing is written here that names who acts
    status = start_town(town)
    if as_json:
        say_json(start_shape(status.name, server=status.where, started=status.has_changed))
        return
    say(f"The server of {status.name} {'is up' if status.has_changed else 'was up already'}: {visible(status.where)}")


def stop(
    *,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait until the server has stopped, or return at once."),
    ] = True,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop the town's server; the ledger stays on disk.

    Commands that are running end with exit code 4 and say who stopped the server. The next command starts a new one, which
    this command leaves alone. Unlike Tinytown's stop, it does not ask agents to stop: stop a runner, tt work, with Ctrl-C.
    """
    status = stop_town(town, actor=_who_stops(actor), is_waiting=wait)
    if as_json:
        say_json(stop_shape(status.name, server=status.where, stopped=status.has_changed, running=status.is_running))
        return
    if not status.has_changed:
        say(f"The server of {status.name} was down already.")
    elif not wait:
        say(f"The server of {status.name} was told to stop.")
    else:
        again = " Another one was started since: something uses the town." if status.is_running else ""
        say(f"The server of {status.name} is stopped.{again}")


def _who_stops(actor: str | None) -> str | None:
    """The name that ended commands show. A user without a name may stop a server too."""
    try:
        return current_actor(actor)
    except InvalidValueError:
        if actor is not None:
            raise
        return None


def status(
    *,
    tasks: Annotated[bool, typer.Option("--tasks", help="Also show each agent's tasks by state.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help=f"Also show each agent's tasks by state, and the last {DEEP_EVENTS} events.")
    ] = False,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the town, its server, its durability, and how many events and tasks it has.

    With --at, events and tasks are those of an earlier moment; the server is shown as it is now.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        durability = read_durability(opened_town.connection, acks=opened_town.backend.replicas)
        states = reader.count_states()
        lost = reader.lost_tasks() if states[State.RUNNING] else None
        agents = reader.count_agents() if tasks or deep else {}
        last = opened_town.events.last(count=DEEP_EVENTS, until=reader.then) if deep else []
        beside = Beside.titled(reader, last, notes=reader.annotations(last))
        end = opened_town.end() if reader.then is None else reader.then
        missing = opened_town.backend.receipts.found_loss()
        if as_json:
            say_json(
                status_shape(
                    opened_town,
                    durability,
                    end=end,
                    missing=missing,
                    states=states,
                    lost=lost,
                    agents=agents if tasks or deep else None,
                    last=last if deep else None,
                    at=at,
                    beside=beside,
                )
            )
            return
        say_moment(reader, at, "Events and tasks as they were")
        say_fields(
            [
                ("Town", opened_town.name),
                ("Folder", visible(_folder_words(opened_town.found))),
                ("Server", f"up, {opened_town.connection.version()}, at {visible(opened_town.where)}"),
                ("Durable", _durability_words(durability)),
                ("Survives", _survival_words(durability)),
                ("Events", _events_words(end)),
                *([] if missing is None else [("Missing", _missing_words(missing))]),
                ("Tasks", states_line(states)),
                *([("Lost", lost_words(lost))] if lost is not None and lost.tasks else []),
            ],
            multiline={"Durable"},
        )
        if tasks or deep:
            say()
            columns, rows = agent_rows(agents, states[State.PENDING])
            say_table(columns, rows) if rows else say("No tasks yet.")
        if last:
            say()
            say_table(*event_rows(last, beside), flexible=EVENT_TEXTS)


def _state_words(state: TownState) -> str:
    return {
        TownState.UP: "up",
        TownState.DOWN: "down",
        TownState.GONE: "folder gone",
        TownState.REFUSED: "not trusted",
    }[state]


def _folder_words(found: FoundFolder) -> str:
    """The folder and, in a linked worktree, why this one is used."""
    words = f"{found.folder} ({found.reason})" if found.reason else str(found.folder)
    return f"{words}; `tt init --here` makes a town of its own" if found.is_shared else words


def _survival_words(durability: Durability) -> str:
    """`a kill: yes; a power cut: yes; the loss of its machine: no`."""
    found = durability.survives()
    names = {"kill": "a kill of the server", "power_cut": "a power cut", "lost_machine": "the loss of its machine"}
    return "; ".join(f"{words}: {found[name]}" for name, words in names.items())


def _durability_words(durability: Durability) -> str:
    if not durability.is_known:
        return "unknown: the server does not show its settings"
    if durability.problems:
        return "NO: " + "\n".join(durability.problems)
    return "yes, an acknowledged event is on disk"


def _missing_words(missing: EventsLostError) -> str:
    """What is gone that was acknowledged on this machine; the warning says what to do."""
    at = f"at {missing.known}" if missing.count == 1 else f"{missing.first} to {missing.known}"
    return f"{counted(missing.count, 'event')} that {'was' if missing.count == 1 else 'were'} acknowledged here ({at}): tt recover --dry-run"


def _events_words(end: Position) -> str:
    if end == BEGINNING:
        return "none yet"
    return f"{counted(end.seq, 'event')}, the last at {end} ({local_time(end.time)})"
