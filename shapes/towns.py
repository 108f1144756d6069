"""The JSON shapes of towns and their servers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ledger import BEGINNING, Position, RecordedEvent, State
from shapes import Shape, listed_event_shape, lost_shape, moment_shape, understood_shape

if TYPE_CHECKING:
    from ledger import EventsLostError
    from shapes.given import Beside, When
    from town import Durability, Fork, ListedTown, LostTasks, Move, Town, TownState, TrustReport


def init_shape(town: Town) -> Shape:
    """A town that was made; `agents` is what was done to its `AGENTS.md`, if it was to get its section."""
    shape = {"town": town.name, "folder": str(town.folder), "server": town.where}
    return shape if town.agent_notes is None else shape | {"agents": town.agent_notes.change}


def fork_shape(source: Town, fork: Fork) -> Shape:
    """A new town, the town it was made from, the last event that both have, and the first event of its own."""
    return init_shape(fork.town) | {
        "source": source.name,
        "at": moment_shape(fork.position),
        "positions": [fork.forked_at],
    }


def move_shape(move: Move) -> Shape:
    """A move that was done, or would be; `copied` is how many events had to be copied, `waited_ms` how long writers waited."""
    return {
        "town": move.town,
        "from": move.source,
        "to": move.target,
        "events": move.events,
        "copied": move.copied,
        "position": None if move.position == BEGINNING else move.position,
        "is_done": move.is_done,
        "was_cut_off": move.is_finished_only,
        "waited_ms": move.closed_ms,
    }


def towns_shape(towns: Sequence[Shape]) -> Shape:
    """Each town is a `registered_shape`."""
    return {"towns": towns}


def listed_towns_shape(towns: Sequence[ListedTown]) -> Shape:
    """The towns on a server; `events` is null and `problem` says why if that is not known."""
    return {"towns": [{"town": each.name, "events": each.events, "problem": each.problem} for each in towns]}


def registered_shape(*, name: str, folder: str, state: TownState, remark: str | None) -> Shape:
    return {"town": name, "folder": folder, "state": state, "remark": remark}


def start_shape(name: str, *, server: str, started: bool) -> Shape:
    return {"town": name, "server": server, "started": started}


def stop_shape(name: str, *, server: str, stopped: bool, running: bool) -> Shape:
    """`running` says whether a server is up again by now."""
    return {"town": name, "server": server, "stopped": stopped, "running": running}


def status_shape(
    town: Town,
    durability: Durability,
    *,
    end: Position,
    missing: EventsLostError | None,
    states: Mapping[State, int],
    lost: LostTasks | None,
    agents: Mapping[str, Mapping[State, int]] | None,
    last: Sequence[RecordedEvent] | None,
    at: When | None,
    beside: Beside,
) -> Shape:
    """A town, its server, its events and tasks.

    `missing` are events that were acknowledged on this machine and are gone. `agents` and `last` are there only where they were
    asked for, `beside` is of the last events.
    """
    shape: Shape = {
        "town": town.name,
        "folder": str(town.folder),
        "folder_reason": town.found.reason,
        "server": {
            "where": town.where,
            "version": town.connection.version(),
            "is_own": town.connection.server is not None,
        },
        "durability": {
            "is_durable": durability.is_durable,
            "settings": durability.settings,
            "problems": durability.problems,
            "survives": durability.survives(),
            "acks": durability.acks,
            "replicas": durability.replicas,
        },
        "events": end.seq,
        "position": None if end == BEGINNING else end,
        "missing": None if missing is None else missing_shape(missing),
        "states": states,
        "lost": lost_shape(lost, running=states[State.RUNNING]),
    }
    if agents is not None:
        shape["agents"] = agents
    if last is not None:
        shape["last_events"] = [listed_event_shape(each, beside) for each in last]
    return shape | understood_shape(at=at)


def missing_shape(missing: EventsLostError) -> Shape:
    """How many events are gone that were acknowledged on this machine, as far as that shows at once, and where."""
    return {"count": missing.count, "first": missing.first, "last": missing.known}


def trust_shape(report: TrustReport, *, is_allowed: bool) -> Shape:
    return {"town": report.name, "folder": str(report.folder), "would": report.questions, "is_allowed": is_allowed}


def revoked_shape(report: TrustReport, *, revoked: int) -> Shape:
    """`revoked` is how many things were allowed before."""
    return trust_shape(report, is_allowed=False) | {"revoked": revoked}
