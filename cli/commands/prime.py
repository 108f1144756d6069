"""`tt prime`: what an agent needs to know when it begins. It calls this all day, so nothing here imports Typer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.output import say_json, say_lines
from cli.prime_words import QUESTIONS_SHOWN, READY_SHOWN, TASKS_SHOWN, Primed, prime_lines
from cli.session import opened
from ledger import State, Task
from projections import Sort, TaskFilter

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import ActorOption, JsonOption, TownOption
    from town import Town


def prime(
    *,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="The agent that begins. Default: who acts.")
    ] = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an agent needs to know: the commands, its task, its open questions, and what is ready; at most 1,500 tokens.

    A token is counted as four bytes. With --json all texts are whole, so it may be longer.
    """
    with opened(town, actor) as opened_town:
        primed = _primed(opened_town, opened_town.actor if agent is None else agent.strip())
        if as_json:
            from cli.shapes.agents import prime_shape  # noqa: PLC0415 - only JSON is made with it

            say_json(prime_shape(primed))
            return
        say_lines("".join(f"{line}\n" for line in prime_lines(primed)))


def _primed(town: Town, agent: str) -> Primed:
    own: list[Task] = []
    total = 0
    for state in (State.RUNNING, State.ASSIGNED):
        page = town.page(
            TaskFilter(state=state, agent=agent, sort=Sort.PRIORITY if state is State.ASSIGNED else Sort.CREATED),
            limit=TASKS_SHOWN,
        )
        own += page.tasks
        total += page.known_total
    own = own[:TASKS_SHOWN]
    ready = town.ready(agent=agent, limit=READY_SHOWN + TASKS_SHOWN)
    others = [task for task in ready.tasks if task.holder is None]
    inbox = town.inbox(limit=QUESTIONS_SHOWN)
    return Primed(
        town=town.name,
        agent=agent,
        own=own,
        own_total=total,
        ready=others[:READY_SHOWN],
        has_more_ready=ready.has_more or len(others) > READY_SHOWN,
        questions=inbox.questions.tasks,
        questions_total=inbox.questions.total,
        askers={task_id: event.actor for task_id, event in inbox.asked.items()},
    )
