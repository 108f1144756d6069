"""Tasks: `tt assign`, `tt tasks`, and the group `tt task`.

Agents call these all day, so nothing here imports Typer: `cli.tree` resolves the type hints when Typer needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import reader_at, refuse_two_formats, say_created, say_moment, say_page, say_receipt, time_of
from cli.exits import UsageError
from cli.given_text import text_of
from cli.limits import AGENT_TASKS, PAGE_TASKS, TREE_LEVELS, TREE_TASKS
from cli.name_hints import say_unknown
from cli.open_tasks import open_groups, say_groups, warn_of_more
from cli.output import say, say_apart, say_cut, say_fields, say_hanging, say_json, say_table, terminal_columns, warn
from cli.render import MULTILINE_FIELDS, step_rows, task_fields, tree_lines
from cli.session import opened
from cli.text import counted, visible
from ledger import BEGINNING, PRIORITY_DEFAULT, Task
from projections import Sort, TaskFilter
from shapes import current_shape, history_shape, one_task_shape, open_shape, picked_shape, shown_shape, tree_shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        AgentArgument,
        AgentFilter,
        AgentOption,
        AliasOption,
        CsvOption,
        DueOption,
        ExpectOption,
        JsonOption,
        LimitOption,
        NeedsOption,
        NotBeforeOption,
        NoteArgument,
        NotTagFilter,
        OffsetOption,
        OverdueFilter,
        ParentFilter,
        ParentOption,
        PriorityFilter,
        PriorityOption,
        ReasonOption,
        ReverseOption,
        SearchFilter,
        SortOption,
        StateFilter,
        TagFilter,
        TagsOption,
        TaskArgument,
        TaskJsonOption,
        TextArgument,
        TextFileOption,
        TownOption,
        WhenOption,
    )
    from ledger import RecordedEvent
    from projections import Page
    from town import LostTasks, Reader, Town


def assign(
    agent: AgentArgument,
    text: TextArgument = None,
    *,
    file: TextFileOption = None,
    tag: TagsOption = None,
    parent: ParentOption = None,
    alias: AliasOption = None,
    priority: PriorityOption = PRIORITY_DEFAULT,
    due: DueOption = None,
    not_before: NotBeforeOption = None,
    needs: NeedsOption = None,
    reason: ReasonOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Create a task and assign it to an agent."""
    words = text_of(text, file)
    with opened(town, actor) as opened_town:
        receipt = opened_town.create(
            words,
            agent=agent,
            tags=tag or (),
            parent=parent,
            alias=alias,
            priority=priority,
            due=time_of(due),
            not_before=time_of(not_before),
            needs=needs or (),
            reason=reason,
        )
        say_created(opened_town, receipt, f"assigned to {visible(agent.strip())}", as_json=as_json)


def tasks(
    *,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Only the open tasks of this agent.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help="Show at most N tasks of each agent, and ten times N in all. Default: 10.",
        ),
    ] = None,
    is_whole: Annotated[bool, typer.Option("--all", help="Show all open tasks.")] = False,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
    as_csv: CsvOption = False,
) -> None:
    """Show open tasks: agent by agent, running and newest first; then the backlog, oldest first."""
    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    if limit is not None and is_whole:
        message = "Give either --limit or --all."
        raise UsageError(message)
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        groups = open_groups(reader, agent=agent, limit=None if is_whole else limit or AGENT_TASKS)
        lost = reader.lost_tasks(agent=agent) if any(group.running for group in groups) else None
        if as_json:
            say_json(picked_shape(open_shape(opened_town, reader, groups, lost, at=at), as_json))
        if not groups:
            say_unknown(opened_town, reader, agent=agent)
        if as_json:
            warn_of_more(groups)
            return
        say_moment(reader, at, is_beside=as_csv)
        if as_csv:
            from cli.task_csv import say_tasks_csv  # noqa: PLC0415 - few ask for it

            say_tasks_csv(task for group in groups for task in group.tasks)
            warn_of_more(groups)
            _say_lost(lost)
            return
        if not groups:
            are, has = ("is", "has") if reader.then is None else ("was", "had")
            say(f"Nothing {are} open." if agent is None else f"{visible(agent.strip())} {has} no open task.")
            if agent is None:
                _hint_at_old_tasks(opened_town, is_empty=True)
        say_groups(groups, reader=reader)
        _say_lost(lost)


def create(
    text: TextArgument = None,
    *,
    file: TextFileOption = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Assign it at once.")] = None,
    tag: TagsOption = None,
    parent: ParentOption = None,
    alias: AliasOption = None,
    priority: PriorityOption = PRIORITY_DEFAULT,
    due: DueOption = None,
    not_before: NotBeforeOption = None,
    needs: NeedsOption = None,
    reason: ReasonOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Create a task. Without --agent it goes into the backlog."""
    words = text_of(text, file)
    with opened(town, actor) as opened_town:
        receipt = opened_town.create(
            words,
            agent=agent,
            tags=tag or (),
            parent=parent,
            alias=alias,
            priority=priority,
            due=time_of(due),
            not_before=time_of(not_before),
            needs=needs or (),
            reason=reason,
        )
        say_created(opened_town, receipt, "created", as_json=as_json)


def show(
    task: TaskArgument,
    *,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Show one task, now or as it was: its fields, its notes, its children and their states, and its last events."""
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        if as_json and as_json.names:
            say_json(picked_shape(one_task_shape(opened_town, reader, reader.task(task), at=at), as_json))
            return
        found = reader.details(task)
        if found.damage is not None:
            warn(f"The last events and notes could not be read. {found.damage}")
        if as_json:
            say_json(shown_shape(opened_town, reader, found, at=at))
            return
        from cli.beside import names_of_removed  # noqa: PLC0415 - only people read them
        from cli.detail_lines import detail_sections, removed_links  # noqa: PLC0415 - as above

        say_moment(reader, at)
        fields = task_fields(found.task, parent=found.relatives.parent, now_ms=reader.time_ms(), has_links=False)
        say_fields(fields, multiline=MULTILINE_FIELDS)
        names = _linked_names(opened_town, found.events)
        removed = names_of_removed(opened_town, removed_links(found))
        for heading, lines in detail_sections(found, names, removed, is_past=reader.then is not None):
            say_apart(heading)
            for head, body in lines:
                say_hanging(head, body)


def list_(
    *,
    state: StateFilter = None,
    agent: AgentFilter = None,
    tag: TagFilter = None,
    not_tag: NotTagFilter = None,
    parent: ParentFilter = None,
    search: SearchFilter = None,
    priority: PriorityFilter = None,
    is_overdue: OverdueFilter = False,
    sort: SortOption = Sort.CREATED,
    is_reversed: ReverseOption = False,
    limit: LimitOption = PAGE_TASKS,
    offset: OffsetOption = 0,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
    as_csv: CsvOption = False,
) -> None:
    """List tasks, oldest first, now or as they were. Filters combine."""
    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        wanted = TaskFilter(
            state=tuple(state or ()) or None,
            agent=agent,
            tag=tuple(tag or ()) or None,
            not_tag=tuple(not_tag or ()) or None,
            parent=parent,
            priority=tuple(priority or ()) or None,
            overdue_ms=reader.time_ms() if is_overdue else None,
            sort=sort,
            is_newest_first=is_reversed,
        )
        page = (
            reader.page(wanted, offset=offset, limit=limit)
            if search is None
            else _page_of_found(reader, search, wanted, offset=offset, limit=limit)
        )
        if not as_json:
            say_moment(reader, at, is_beside=as_csv)
        say_page(
            opened_town, reader, page, at=at, offset=offset, as_json=as_json, as_csv=as_csv, empty="No task matches."
        )
        if page.total == 0:
            say_unknown(opened_town, reader, agent=agent, tags=[*(tag or ()), *(not_tag or ())])
        _hint_at_old_tasks(opened_town, is_empty=page.total == 0)


def _page_of_found(reader: Reader, words: str, wanted: TaskFilter, *, offset: int, limit: int) -> Page:
    from cli.search_progress import SearchProgress  # noqa: PLC0415 - few lists are of what is searched

    with SearchProgress() as progress:
        return reader.page_of_found([words], wanted, offset=offset, limit=limit, progress=progress.show)


def tree(
    task: Annotated[
        str | None,
        typer.Argument(metavar="TASK", help="Only this task and those below it.", show_default=False),
    ] = None,
    *,
    depth: Annotated[
        int, typer.Option("--depth", metavar="N", min=0, help="Show at most N levels below the first.")
    ] = TREE_LEVELS,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most N tasks.")] = TREE_TASKS,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Show tasks as a tree, oldest first, and how many of each parent's children are done.

    With --json the whole tree is printed, whatever --depth and --limit say.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        branches = reader.tree(task)
        if as_json:
            say_json(picked_shape(tree_shape(opened_town, reader, branches, at=at), as_json))
            return
        say_moment(reader, at)
    if not branches:
        say("No tasks yet.")
        return
    lines = tree_lines(branches, levels_max=depth, columns=terminal_columns())
    for line in lines[:limit]:
        say_cut(line)
    if len(lines) > limit:
        warn(f"{limit:,} of {counted(len(lines), 'line')} shown. More: --limit {limit * 10}")


def current(
    agent: Annotated[
        str | None, typer.Argument(metavar="AGENT", help="The agent. Default: the actor.", show_default=False)
    ] = None,
    *,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Show what an agent works on: its running task, else its oldest assigned one."""
    with opened(town, actor) as opened_town:
        name = agent if agent is not None else opened_town.actor
        reader = reader_at(opened_town, at)
        found = reader.current(name)
        if found is None:
            say_unknown(opened_town, reader, agent=agent)
        if as_json:
            say_json(picked_shape(current_shape(opened_town, reader, name, found, at=at), as_json))
            return
        say_moment(reader, at)
        if found is None:
            say(f"{visible(name)} {'has' if reader.then is None else 'had'} no open task.")
        else:
            fields = task_fields(found, parent=_parent(reader, found), now_ms=reader.time_ms())
            say_fields(fields, multiline=MULTILINE_FIELDS)


def assign_existing(
    task: TaskArgument,
    agent: AgentArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Assign a task to an agent, even if another agent has it."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.assign(task, agent, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, f"assigned to {visible(agent.strip())}", as_json=as_json)


def start(
    task: TaskArgument,
    *,
    agent: AgentOption = None,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Start a task: work on it has begun."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.start(task, agent=agent, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "running", as_json=as_json)


def complete(
    task: TaskArgument,
    *,
    result: Annotated[str | None, typer.Option("--result", metavar="TEXT", help="The result.")] = None,
    agent: AgentOption = None,
    with_children: Annotated[
        bool, typer.Option("--with-children", help="Also complete all open tasks below it, all or nothing.")
    ] = False,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Complete only this task; tasks below it stay open.")
    ] = False,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Complete a task. Refused while children of it are open, unless an option says what to do with them."""
    if with_children and is_forced:
        message = "Give either --with-children or --force."
        raise UsageError(message)
    with opened(town, actor) as opened_town:
        receipt = opened_town.complete(
            task,
            result=result,
            agent=agent,
            with_children=with_children,
            is_forced=is_forced,
            reason=reason,
            expected_version=expect,
        )
        words = "completed, with all below it" if with_children else "completed"
        say_receipt(opened_town, receipt, words, as_json=as_json)


def fail(
    task: TaskArgument,
    *,
    error: Annotated[str | None, typer.Option("--error", metavar="TEXT", help="What went wrong.")] = None,
    agent: AgentOption = None,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Mark a task as failed."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.fail(task, error=error, agent=agent, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "failed", as_json=as_json)


def cancel(
    task: TaskArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Cancel a task."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.cancel(task, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "cancelled", as_json=as_json)


def requeue(
    task: TaskArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Put an assigned or running task back into the backlog."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.requeue(task, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "back in the backlog", as_json=as_json)


def reopen(
    task: TaskArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Make a completed, failed or cancelled task pending again."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.reopen(task, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "open again", as_json=as_json)


def edit(
    task: TaskArgument,
    text: TextArgument = None,
    *,
    file: TextFileOption = None,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Replace a task's description. Without TEXT and --file, your editor opens it: VISUAL, then EDITOR, then vi."""
    if text is None and file is None:
        from cli.editing import edit_in_editor  # noqa: PLC0415 - few edit so

        edit_in_editor(task, reason=reason, expect=expect, town=town, actor=actor, as_json=as_json)
        return
    words = text_of(text, file)
    with opened(town, actor) as opened_town:
        receipt = opened_town.describe(task, words, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "has a new description", as_json=as_json)


def tag(
    task: TaskArgument,
    *,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="TAG", help="A tag to add; may be repeated.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to take away; may be repeated.")
    ] = None,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Add and remove tags of a task."""
    if not add and not remove:
        message = "Say which tags: --add TAG, --remove TAG, or both."
        raise UsageError(message)
    with opened(town, actor) as opened_town:
        receipt = opened_town.tag(task, add=add or (), remove=remove or (), reason=reason, expected_version=expect)
        words = f"tagged {visible(', '.join(receipt.task.tags))}" if receipt.task.tags else "without tags"
        say_receipt(opened_town, receipt, words, as_json=as_json)


def move(
    task: TaskArgument,
    parent: Annotated[str | None, typer.Argument(metavar="PARENT", help="The new parent.", show_default=False)] = None,
    *,
    to_top: Annotated[bool, typer.Option("--top", help="Move it to the top.")] = False,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Move a task below another one, or to the top."""
    if (parent is None) != to_top:
        message = "Give either a PARENT or --top."
        raise UsageError(message)
    with opened(town, actor) as opened_town:
        receipt = opened_town.move(task, parent, reason=reason, expected_version=expect)
        where = "at the top" if to_top else f"below {visible(str(parent))}"
        say_receipt(opened_town, receipt, where, as_json=as_json)


def note(
    task: TaskArgument,
    text: NoteArgument,
    *,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Add a progress note; the task's state does not change."""
    words = text_of(text)
    with opened(town, actor) as opened_town:
        receipt = opened_town.note(task, words, expected_version=expect)
        say_receipt(opened_town, receipt, "noted", as_json=as_json)


def remove(
    task: TaskArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Remove a task from the board; its history stays."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.remove(task, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, "removed; its history stays", as_json=as_json)


def history(
    task: TaskArgument, *, town: TownOption = None, actor: ActorOption = None, as_json: JsonOption = False
) -> None:
    """Show everything that happened to a task: when, by whom, why, and what changed. Works for removed tasks too."""
    with opened(town, actor) as opened_town:
        found = opened_town.history(task)
        task_id = found[0].event.task
        notes = opened_town.annotations(step.event for step in found)
        if as_json:
            say_json(history_shape(opened_town, task_id, found, notes))
            return
        names = _linked_names(opened_town, [step.event for step in found])
        say_hanging("", f"Task {task_id}: {counted(len(found), 'event')}")
        say_table(*step_rows(found, notes, names), flexible=("WHY", "CHANGED"), is_wrapped=True)


def _linked_names(town: Town, events: Sequence[RecordedEvent]) -> dict[str, str]:
    """What the tasks are called that these events name."""
    from cli.beside import linked_ids, names_of  # noqa: PLC0415 - only people read them

    return names_of(town, linked_ids(events))


def _parent(reader: Reader, task: Task) -> Task | None:
    """The parent task; None if there is none or it was removed."""
    return None if task.parent_id is None else reader.find_task(task.parent_id)


def _hint_at_old_tasks(town: Town, *, is_empty: bool) -> None:
    """Say that an empty town has tasks from before the ledger, if a few keys or Tinytown's settings show it."""
    if not is_empty:
        return
    if town.has_old_tasks():
        warn("The server has tasks from before the ledger. `tt migrate --dry-run` shows what would be adopted.")
    elif town.end() == BEGINNING and town.old_places():
        warn("This was a town of Tinytown, which kept its tasks elsewhere. `tt migrate --dry-run` says where.")


def _say_lost(lost: LostTasks | None) -> None:
    """Warn of running tasks whose runner is gone."""
    if lost is not None and lost.tasks:
        from cli.lost_lines import lost_words  # noqa: PLC0415 - seldom is one lost

        warn(f"⚠️  {lost_words(lost)}")
