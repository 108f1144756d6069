"""The file of a plan: read whole, with every fault and its place, and written by rename.

This room knows no town. `town.plans.plan` defines a plan, `town.plans.toml` reads a broken one, `town.plans.text` finds
where things stand.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from projections import no_garbage_collection
from town.errors import (
    FolderRefusedError,
    PlacedFault,
    PlanExistsError,
    PlanMissingError,
    PlanOutsideError,
    PlanRefusedError,
    PlanTooLargeError,
)
from town.files.os_errors import refuse_os_errors
from town.files.regular_file import open_regular, refuse_other_than_regular
from town.files.whole_file import make_by_link, write_by_rename
from town.plans.plan import Plan, PlanFault, read_plan
from town.plans.toml import Parsed, parse_faulty_plan

if TYPE_CHECKING:
    from town.plans.text import Outline

PLAN_FILE: Final = "tasks.toml"
PLAN_BYTES_MAX: Final = 32 * 1024 * 1024
PLAN_TASKS_MAX: Final = 100_000
_HEADER: Final = re.compile(rb"^[ \t]*\[\[", re.MULTILINE)
"""How a task begins, however its header is written. Nothing smaller can begin like this."""
BYTE_ORDER_MARK: Final = "\ufeff"

STARTER: Final = """\
# A plan of tasks. `tt plan` shows it, `tt plan --check` looks for faults,
# `tt sync push` brings it into the town, `tt sync pull` brings the town's news back.

[meta]
description = "Task plan for this project"
# default_agent = "worker-1"    # who gets the tasks that name nobody

[[tasks]]
id = "example-1"                # the task's name, once in this town
description = "Example task: replace it with your own"
# agent = "worker-1"            # who gets it
# status = "pending"            # pending, assigned, running, completed, failed or cancelled
# priority = 1                  # 0 (most urgent) to 4; 2 where it is missing
# due = 2027-01-31              # a day, or a time like 2027-01-31T17:00:00Z; so is not_before
tags = ["example"]

# [[tasks]]
# id = "example-2"
# description = "A task below the first"
# parent = "example-1"
# needs = ["another"]           # the tasks that have to be completed first
"""


Look = Callable[[Plan], list[PlanFault]]


class PlanFile(NamedTuple):
    """A plan and its file. `content` is the file, byte for byte; `text` is without its byte order mark."""

    path: Path
    content: bytes
    text: str
    table: dict[str, Any]
    plan: Plan

    def refuse(self, faults: Sequence[PlanFault]) -> PlanRefusedError:
        """The error that names the faults with their places."""
        return PlanRefusedError(self.path, place_faults(self.text, faults))


@no_garbage_collection()
def read_plan_file(path: Path, *, look: Look | None = None) -> PlanFile:
    """The plan in a file. PlanMissingError, PlanTooLargeError, FolderRefusedError; PlanRefusedError names every fault.

    If the plan has names that only a town knows, `look` finds the faults that only a town can see.
    """
    content = read_plan_bytes(path)
    # Count before parsing: a push is one append, which takes no more.
    tasks = sum(1 for _ in _HEADER.finditer(content))
    if tasks > PLAN_TASKS_MAX:
        raise PlanTooLargeError(path, size=tasks, size_max=PLAN_TASKS_MAX, what="tasks")
    text = _decode(path, content)
    parsed = parse_faulty_plan(text)
    broken: frozenset[int] = frozenset()
    if parsed.faults:
        outline = _outline(parsed.text)
        broken = frozenset(task for line in parsed.broken_lines if (task := outline.task_at_line(line)) is not None)
    plan, faults = read_plan(parsed.table, broken=broken)
    if not faults and _may_be_inline(parsed, len(plan.tasks)) and _outline(parsed.text).has_tasks_elsewhere:
        faults.append(PlanFault("tasks are not written as [[tasks]] tables", key="tasks"))
    if look is not None and plan.has_names_of_town and all(plan.tasks[number].id for number in broken):
        faults += look(plan)
    if parsed.faults or faults:
        placed = [*parsed.faults, *place_faults(parsed.text, faults)]
        raise PlanRefusedError(path, sorted(placed, key=lambda fault: (fault.line, fault.column)))
    return PlanFile(path, content, text, parsed.table, plan)


def read_plan_bytes(path: Path) -> bytes:
    """The file's bytes. PlanMissingError, PlanTooLargeError (before it is read), FolderRefusedError."""
    with refuse_os_errors(path):
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size > PLAN_BYTES_MAX:
                    raise PlanTooLargeError(path, size=size, size_max=PLAN_BYTES_MAX)
                content = file.read(PLAN_BYTES_MAX + 1)
        except FileNotFoundError as error:
            raise PlanMissingError(path) from error
    if len(content) > PLAN_BYTES_MAX:
        raise PlanTooLargeError(path, size=len(content), size_max=PLAN_BYTES_MAX)
    return content


def write_plan_file(path: Path, text: str, *, within: Path | None = None) -> None:
    """Write the file by rename: a crash leaves the old file or the new one. FolderRefusedError.

    With `within`, PlanOutsideError if the path is a link that leads out of that folder.
    """
    try:
        # For a link, write its target, and keep the target's permissions and owner.
        target = path.resolve()
        if within is not None and not target.is_relative_to(within.resolve()):
            raise PlanOutsideError(path, target)
        status: os.stat_result | None = None
        with contextlib.suppress(FileNotFoundError):
            status = target.stat()
            # A rename would replace a device with a file.
            refuse_other_than_regular(status)
            if not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        write_by_rename(target, text.encode(), like=status)
    except OSError as error:
        # Named is the plan, not the new file beside it.
        raise FolderRefusedError(path, error) from error


def make_plan_file(path: Path) -> None:
    """Write the starter file, whole or not at all. PlanExistsError if there is a file, FolderRefusedError."""
    try:
        make_by_link(path, STARTER.encode())
    except FileExistsError as error:
        raise PlanExistsError(path) from error
    except OSError as error:
        # Named is the plan, not the new file beside it.
        raise FolderRefusedError(path, error) from error


def place_faults(text: str, faults: Sequence[PlanFault]) -> list[PlacedFault]:
    """The faults with their lines and columns, in their order in the file."""
    if not faults:
        return []
    outline = _outline(text)
    placed: list[PlacedFault] = []
    for fault in faults:
        line, column = outline.line_and_column(outline.place(task=fault.task, key=fault.key, item=fault.item))
        problem = fault.problem
        if fault.other is not None:
            other, _ = outline.line_and_column(outline.place(task=fault.other, key=fault.key))
            problem = problem.replace("{line}", str(other))
        placed.append(PlacedFault(line, column, problem))
    return sorted(placed, key=lambda fault: (fault.line, fault.column))


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        line_start = content.rfind(b"\n", 0, error.start) + 1
        fault = PlacedFault(
            line=content.count(b"\n", 0, error.start) + 1,
            column=len(content[line_start : error.start].decode(errors="replace")) + 1,
            problem=f"the byte 0x{content[error.start]:02x} is not UTF-8",
        )
        raise PlanRefusedError(path, [fault]) from error


def _may_be_inline(parsed: Parsed, tasks: int) -> bool:
    """Whether tasks may be written as `tasks = […]`; only then search the whole text."""
    is_empty = "tasks" in parsed.table and not tasks
    text = parsed.text
    return is_empty or text.count("[[tasks]]") != tasks or "tasks=" in text or "tasks =" in text


def _outline(text: str) -> Outline:
    from town.plans.text import Outline  # noqa: PLC0415 - a sound plan needs no places

    return Outline(text)
