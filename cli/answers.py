"""The answers of commands about tasks: a receipt, or a page of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.exits import UsageError
from cli.output import say, say_json, say_table, warn
from cli.render import NEEDS_SHOWN, task_rows
from cli.text import counted, icon_of, name_of, visible
from shapes import next_shape, picked_shape, reader_shape, receipt_shape, tasks_shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cli.json_fields import JsonFields
    from cli.options import Ahead, When
    from ledger import Task
    from projections import Page
    from town import Reader, Receipt, Town


def say_receipt(
    town: Town, receipt: Receipt, words: str, *, as_json: JsonFields | None, about: str | None = None
) -> None:
    """Print what a command did, in one line, which says so if it was true already. It ends with `about`, or the task's title."""
    if as_json:
        say_json(picked_shape(receipt_shape(town, receipt), as_json))
        return
    task = receipt.task
    already = "" if receipt.positions else " (already so; nothing was appended)"
    say(f"{icon_of(task)} {name_of(task)} {words}{already}: {visible(task.title if about is None else about)}")


def say_created(town: Town, receipt: Receipt, words: str, *, as_json: JsonFields | None) -> None:
    """The receipt of a new task; it says how the times that were given were understood."""
    if (receipt.task.due_ms, receipt.task.not_before_ms) != (None, None):
        from cli.due_words import times_words  # noqa: PLC0415 - few tasks have times

        words = f"{words}; it {times_words(receipt.task, now_ms=town.time_ms())}"
    say_receipt(town, receipt, words, as_json=as_json)


def reader_at(town: Town, at: When | None) -> Reader:
    """The town now, or as it was at the moment of `--at`."""
    if at is None:
        return town
    from cli.moments import saying_choices  # noqa: PLC0415 - few look back

    with saying_choices(at):
        return town.at(at.moment)


def time_of(ahead: Ahead | None) -> datetime | None:
    """The time that was given, if one was. Says what was chosen if clocks showed it twice or never."""
    if ahead is None:
        return None
    if ahead.note is not None:
        warn(ahead.note)
    return ahead.time


def say_moment(reader: Reader, at: When | None, what: str = "As it was", *, is_beside: bool = False) -> None:
    """Say which board is shown if `--at` is given, and how WHEN was understood; on stderr if the answer is no text."""
    if at is not None:
        from cli.moments import say_past  # noqa: PLC0415 - few look back

        say_past(at, reader.then, what, is_beside=is_beside)


def say_page(
    town: Town,
    reader: Reader,
    page: Page,
    *,
    at: When | None,
    offset: int,
    as_json: JsonFields | None,
    as_csv: bool = False,
    empty: str,
) -> None:
    """Print a page of tasks that `reader` gave, and how to see the next one."""
    after = offset + len(page.tasks)
    if as_json:
        more = {"total": page.total, **next_shape(offset=after if page.has_more else None), "offset": offset}
        say_json(picked_shape(tasks_shape(town, page.tasks, **reader_shape(reader, at), **more), as_json))
        _warn_of_more(page, after)
        return
    none_here = f"{counted(page.total or 0, 'task')} in all, none after the first {offset:,}."
    if as_csv:
        from cli.task_csv import say_tasks_csv  # noqa: PLC0415 - few ask for it

        say_tasks_csv(page.tasks)
        if page.total and not page.tasks:
            warn(none_here)
    elif not page.tasks and page.total is not None:
        say(none_here if page.total else empty)
    else:
        columns, rows = task_rows(page.tasks, now_ms=reader.time_ms(), names=_names_of_needed(reader, page.tasks))
        say_table(columns, rows, flexible="TITLE", optional=("NOT BEFORE", "NEEDS"))
    _warn_of_more(page, after)


def _names_of_needed(reader: Reader, tasks: Sequence[Task]) -> dict[str, str]:
    """What the tasks are called that these need; of a removed one, that it is."""
    needed = dict.fromkeys(each for task in tasks for each in task.needs[:NEEDS_SHOWN])
    if not needed:
        return {}
    from cli.beside import names_of  # noqa: PLC0415 - most lists have no task that needs one

    listed = {task.id: name_of(task) for task in tasks}
    others = [each for each in needed if each not in listed]
    removed = reader.removed_among(others)
    names = names_of(reader, others)
    return listed | {each: f"{names[each]} (removed)" if each in removed else names[each] for each in others}


def _warn_of_more(page: Page, after: int) -> None:
    if page.has_more:
        total = _more_than(after) if page.total is None else counted(page.total, "task")
        warn(f"{after:,} of {total} shown. More: --offset {after}")


def refuse_two_formats(*, as_json: JsonFields | bool | None, as_csv: bool) -> None:
    """UsageError if both JSON and CSV are asked for."""
    if as_csv and as_json:
        message = "Give either --json or --csv."
        raise UsageError(message)


def _more_than(shown: int) -> str:
    """How many match if they were not counted to the end."""
    from projections import COUNTED_MAX  # noqa: PLC0415 - only a long list needs it

    return f"more than {max(shown, COUNTED_MAX):,} tasks"
