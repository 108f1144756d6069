"""`tt prime`: what an agent needs to know when it begins. It calls this all day, so nothing here imports Typer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import reader_at, say_moment
from cli.output import say_json, say_lines
from cli.prime_words import QUESTIONS_SHOWN, READY_SHOWN, TASKS_SHOWN, Primed, prime_lines
from cli.session import opened
from ledger import State
from projections import Sort, TaskFilter

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import ActorOption, JsonOption, TownOption, WhenOption
    from town import Reader


def prime(
    *,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="The agent that begins. Default: who acts.")
    ] = None,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an agent needs to know: the commands, its task, its open questions, and what is ready; at most 1,500 tokens.

    A token is counted as four bytes. With --json all texts are whole, so it may be longer.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        primed = _primed(reader, opened_town.name, opened_town.actor if agent is None else agent.strip())
        if as_json:
            from shapes.agents import prime_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(prime_shape(reader, primed, at=at))
            return
        say_moment(reader, at)
        say_lines("".join(f"{line}\n" for line in prime_lines(primed)))


def _primed(reader: Reader, town: str, agent: str) -> Primed:
    running = reader.page(TaskFilter(state=State.RUNNING, agent=agent), limit=TASKS_SHOWN)
    assigned = reader.page(TaskFilter(state=State.ASSIGNED, agent=agent, sort=Sort.PRIORITY), limit=TASKS_SHOWN)
    begun_next = [task for task in reader.ready(agent=agent, limit=TASKS_SHOWN).tasks if task.holder is not None]
    ready_ids = {task.id for task in begun_next}
    waiting = [task for task in assigned.tasks if task.id not in ready_ids]
    ready = reader.ready(limit=READY_SHOWN)
    inbox = reader.inbox(limit=QUESTIONS_SHOWN)
    return Primed(
        town=town,
        agent=agent,
        own=[*running.tasks, *begun_next, *waiting][:TASKS_SHOWN],
        own_total=running.known_total + assigned.known_total,
        waiting={task.id for task in waiting},
        ready=ready.tasks,
        has_more_ready=ready.has_more,
        questions=inbox.questions.tasks,
        questions_total=inbox.questions.total,
        askers={task_id: event.actor for task_id, event in inbox.asked.items()},
    )
