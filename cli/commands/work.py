"""Agents at work: work, reclaim, wait."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.exits import Exit
from cli.name_hints import say_newcomer, say_unknown
from cli.options import (
    DURATION_HELP,
    ActorOption,
    AgentArgument,
    JsonOption,
    TaskJsonOption,
    TownOption,
    parse_duration,
)
from cli.output import Cell, ignoring_lost_output, json_line, say, say_at_once, say_error, say_json, say_table, warn
from cli.render import NOTHING, state_cell, task_state_cell
from cli.session import opened
from cli.signals import obey_stop_signals, stop_signals
from cli.text import ASKING, ICONS, counted, duration, name_of, short_id, visible
from ledger import LedgerError, State, Task
from shapes import picked_shape
from shapes.agents import reclaim_shape, run_shape, waited_shape, watched_shape
from town import (
    GRACE_SECONDS,
    LostTask,
    MovedTask,
    NewName,
    ReclaimListener,
    ReclaimWatch,
    RunListener,
    Runner,
    RunOutcome,
    RunReport,
    Stop,
    Until,
    words_of,
)

WORDS_SHOWN_MAX = 200
"""How many characters of a description or result a runner's line shows. The task and the log have all of it."""

_OUTCOME_ICONS = {
    RunOutcome.STARTED: ICONS[State.RUNNING],
    RunOutcome.COMPLETED: ICONS[State.COMPLETED],
    RunOutcome.FAILED: ICONS[State.FAILED],
    RunOutcome.REQUEUED: ICONS[State.PENDING],
    RunOutcome.ASKED: ASKING,
    RunOutcome.LOST: "⚠️ ",
}


def work(
    agent: AgentArgument,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND [ARG]...",
            help="The program to run for each task, after --. {description} in an ARG becomes the task's description.",
            show_default=False,
        ),
    ],
    *,
    once: Annotated[bool, typer.Option("--once", help="Work on one task, then exit.")] = False,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="TAG", help="Claim only tasks with this tag; may be given several times."),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace",
            metavar="TIME",
            parser=parse_duration,
            help=f"How long the program may take to exit after a stop signal: {DURATION_HELP}. Default: {GRACE_SECONDS:g}s.",
        ),
    ] = None,
    town: TownOption = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who acts. Default: the agent.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Work as an agent: take a task, run a program for it, record the result, and go on to the next.

    Takes the agent's assigned tasks first, then the backlog. The program gets the description on stdin and the task's id in TT_TASK; its output goes to .tt/logs/. Exit status 0 completes the task with the last line of stdout as its result; any other fails it with the end of stderr. A stop signal asks the program to exit and puts its task back. A program that asks people about its task, with tt ask, ends its run: the task waits, and a later run gets the answer on stdin and in TT_ANSWER.

    Never put {description} into shell code: the description would run as code. Let the program read stdin, or pass it as an argument: sh -c 'echo "$1"' sh {description}

    With --once, the exit code is 0 if the task was completed, and 1 if it was not or there was no task.
    """
    stop = Stop()
    runner = Runner(
        town,
        agent,
        command,
        roles=role or (),
        actor=actor,
        stop=stop,
        grace_seconds=GRACE_SECONDS if grace is None else grace,
        listener=_JsonListener() if as_json else _Listener(),
    )
    with stop_signals(stop.ask):
        last = runner.run(once=once)
    if once and last is None and not as_json:
        warn(f"Nothing to do for {agent.strip()}.")
    if once and (last is None or last.outcome is not RunOutcome.COMPLETED):
        raise typer.Exit(Exit.REFUSED)


def reclaim(
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="AGENT", help="Give them to this agent.")] = None,
    to_backlog: Annotated[bool, typer.Option("--to-backlog", help="Put them back into the backlog.")] = False,
    from_agent: Annotated[
        str | None, typer.Option("--from", metavar="AGENT", help="Only tasks that this agent has.")
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            metavar="TIME",
            parser=parse_duration,
            help=f"Only tasks that were started longer ago than this: {DURATION_HELP}.",
        ),
    ] = None,
    is_watching: Annotated[
        bool,
        typer.Option("--watch", help="Go on until a stop signal: a line for each task whose runner is lost."),
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tasks whose runner is lost, and with --to or --to-backlog take them back.

    A runner, `tt work`, is lost when its heartbeat has ended. Tasks that were started by hand are left alone.

    With --watch, it waits for runners to be lost, and sleeps in between. It prints a line for each task that it takes back, or without --to and --to-backlog for each that is lost. If the server goes away, it waits until it is back.
    """
    if to is not None and to_backlog:
        message = "Give either --to AGENT or --to-backlog."
        raise typer.BadParameter(message)
    is_moving = to is not None or to_backlog
    if is_watching:
        stop = Stop()
        watch = ReclaimWatch(
            town,
            is_moving=is_moving,
            agent=to,
            from_agent=from_agent,
            older_than_seconds=older_than or 0.0,
            actor=actor,
            stop=stop,
            listener=_JsonReclaimListener() if as_json else _ReclaimListener(),
        )
        with stop_signals(stop.ask):
            watch.run()
        return
    obey_stop_signals()
    with opened(town, actor) as opened_town:
        if is_moving:
            found = opened_town.runs.reclaim(agent=to, from_agent=from_agent, older_than_seconds=older_than or 0.0)
        else:
            lost_tasks = opened_town.runs.lost_tasks(from_agent=from_agent, older_than_seconds=older_than or 0.0)
            found = [(lost, lost.task) for lost in lost_tasks]
        if not found:
            say_unknown(opened_town, opened_town, agent=from_agent)
        if as_json:
            say_json(reclaim_shape(opened_town, found, is_moving=is_moving))
            return
    if not found:
        say("No task is lost." if older_than is None else "No task that was started longer ago than that is lost.")
        return
    if not is_moving:
        say(f"{counted(len(found), 'task')} lost. To take them back: tt reclaim --to-backlog, or --to AGENT.")
    say_table(
        ["TASK", "AGENT", "RUNNER", "STARTED", "NOW", "TITLE"],
        [_lost_row(lost, now) for lost, now in found],
        flexible="TITLE",
    )


def wait(
    tasks: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK...",
            help="Tasks: ids, unique prefixes of them, or aliases; or an agent, for all its open tasks.",
            show_default=False,
        ),
    ],
    *,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=parse_duration,
            help=f"Wait no longer than this: {DURATION_HELP}.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        Until,
        typer.Option("--until", metavar="WHAT", help=f"What to wait for: {', '.join(Until)}."),
    ] = Until.FINISHED,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Wait until tasks are completed, failed, cancelled or removed; with --until answered, until their questions are answered.

    Exit code 0 only if all were completed, or all have an answer.
    """
    with opened(town, actor) as opened_town:
        waited = opened_town.wait(tasks, timeout_seconds=timeout, until=until)
    if as_json:
        say_json(picked_shape(waited_shape(opened_town, waited.tasks, timed_out=bool(waited.open_tasks)), as_json))
    elif not waited.tasks:
        say("No open task to wait for.")
    elif until is Until.ANSWERED:
        say_table(
            ["TASK", "STATE", "QUESTION", "ANSWER"],
            [_answered_row(task_id, task) for task_id, task in waited.tasks.items()],
            flexible=["QUESTION", "ANSWER"],
        )
    else:
        say_table(
            ["TASK", "STATE", "AGENT", "RESULT"],
            [_waited_row(task_id, task) for task_id, task in waited.tasks.items()],
            flexible="RESULT",
        )
    if waited.open_tasks and until is Until.ANSWERED:
        say_error(
            f"{counted(len(waited.open_tasks), 'question')} of {len(waited.tasks)} not answered in time."
            " Wait again, or look at them: `tt inbox`."
        )
    elif waited.open_tasks:
        say_error(
            f"{counted(len(waited.open_tasks), 'task')} of {len(waited.tasks)} not finished in time."
            " Wait again, or look at one: `tt task history TASK`."
        )
    elif until is Until.ANSWERED and not waited.is_as_hoped:
        unasked = sum(task is None or task.answer is None for task in waited.tasks.values())
        say_error(
            f"{counted(unasked, 'task')} of {len(waited.tasks)} asked nothing, or {'was' if unasked == 1 else 'were'} removed:"
            " there is no answer to wait for. Ask with `tt ask TASK QUESTION`."
        )
    if not waited.is_as_hoped:
        raise typer.Exit(Exit.REFUSED)


class _Listener(RunListener):
    """Prints what a runner does, one line each. If the output cannot be written, the runner goes on."""

    def report(self, report: RunReport) -> None:
        line = self._line(report)
        with ignoring_lost_output():
            say_at_once(line)

    def warn(self, problem: LedgerError | str) -> None:
        with ignoring_lost_output(is_error=True):
            warn(words_of(problem))

    def meet(self, agent: NewName) -> None:
        with ignoring_lost_output(is_error=True):
            say_newcomer(agent)

    def _line(self, report: RunReport) -> str:
        took = "" if report.outcome is RunOutcome.STARTED else f" ({duration(round(report.seconds * 1_000))})"
        words = report.task.title if report.outcome is RunOutcome.STARTED else report.words
        told = f": {_shortened(visible(words))}" if words else ""
        log = f"  {report.log}" if report.outcome is RunOutcome.STARTED else ""
        return f"{_OUTCOME_ICONS[report.outcome]} {name_of(report.task)} {report.outcome}{took}{told}{log}"


class _JsonListener(_Listener):
    """The same as lines of JSON."""

    def _line(self, report: RunReport) -> str:
        return json_line(run_shape(report))


class _ReclaimListener(ReclaimListener):
    """Prints what a watch does, one line each. If the output cannot be written, the watch goes on."""

    def report(self, moved: MovedTask) -> None:
        line = self._line(moved)
        with ignoring_lost_output():
            say_at_once(line)

    def warn(self, problem: LedgerError) -> None:
        with ignoring_lost_output(is_error=True):
            warn(words_of(problem))

    def _line(self, moved: MovedTask) -> str:
        lost, now = moved.lost, moved.now
        of = f"of {visible(lost.task.assigned_to or NOTHING)}"
        runner = f"{visible(lost.mark.host)}, process {lost.mark.process}, started {duration(lost.age_ms)} ago"
        if not moved.is_moving:
            did = f"⚠️  {name_of(lost.task)} {of} is lost"
        elif now is None:
            did = f"⚠️  {name_of(lost.task)} {of} was lost and changed meanwhile"
        elif now.assigned_to is None:
            did = f"{ICONS[now.state]} {name_of(now)} {of} is back in the backlog"
        else:
            did = f"{ICONS[now.state]} {name_of(now)} {of} is given to {visible(now.assigned_to)}"
        return f"{did} ({runner}): {_shortened(visible(lost.task.title))}"


class _JsonReclaimListener(_ReclaimListener):
    """The same as lines of JSON."""

    def _line(self, moved: MovedTask) -> str:
        return json_line(watched_shape(moved))


def _shortened(text: str) -> str:
    return text if len(text) <= WORDS_SHOWN_MAX else f"{text[: WORDS_SHOWN_MAX - 1]}…"


def _lost_row(lost: LostTask, now: Task | None) -> list[Cell]:
    return [
        name_of(lost.task),
        visible(lost.task.assigned_to or NOTHING),
        f"{visible(lost.mark.host)}, process {lost.mark.process}",
        f"{duration(lost.age_ms)} ago",
        "changed meanwhile" if now is None else state_cell(now.state),
        visible(lost.task.title),
    ]


def _waited_row(task_id: str, task: Task | None) -> list[Cell]:
    if task is None:
        return [short_id(task_id), "removed", NOTHING, ""]
    return [
        name_of(task),
        task_state_cell(task),
        visible(task.assigned_to or NOTHING),
        visible(task.result or ""),
    ]


def _answered_row(task_id: str, task: Task | None) -> list[Cell]:
    if task is None:
        return [short_id(task_id), "removed", NOTHING, NOTHING]
    return [
        name_of(task),
        task_state_cell(task),
        visible(task.question or NOTHING),
        visible(task.answer or NOTHING),
    ]
