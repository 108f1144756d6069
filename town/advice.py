"""What to do about an error of the ledger, as a command of `tt`: a person reads it, a program's own errors are without it.

Imported where an error is said. Errors are looked up by the name of their class, so nothing is imported for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from projections import Finding

_ADVICE: Final[Mapping[str, Callable[[Any], str]]] = {
    "CheckpointAheadError": lambda error: (
        f"{error} `tt verify` tells; `tt rebuild` puts a checkpoint right, a backup of the data folder lost events."
    ),
    "CheckpointMismatchError": lambda error: f"{error} `tt rebuild` puts it right.",
    "CheckpointSetBackError": lambda error: f"{error} `tt rebuild` puts it right.",
    "CircularNeedsError": lambda error: (
        f"{error} Take a link away first, by `tt task unlink`, or move a task, by `tt task move`; `tt task show {error.known}` shows what ties it."
    ),
    "EventsLostError": lambda error: (
        f"{error} Nothing is written until that is settled: `tt recover --dry-run` shows each of them, and what can be made good."
    ),
    "LedgerClosedError": lambda error: f"{error}{_following(error)}",
    "LegacyFullError": lambda error: f"{_open(error)} with `tt migrate --drop-legacy`.",
    "LegacyKeptError": lambda error: str(error).replace(error.findings[0].problem, problem_of(error.findings[0])),
    "LossNotAcceptedError": lambda error: (
        f"{error} `tt verify` lists everything; `tt rebuild --accept-loss` builds what is left."
    ),
    "MisplacedEventError": lambda error: (
        f"{_open(error)}: `tt task history {error.task_id}` shows what the ledger has."
    ),
    "NoOpenQuestionError": lambda error: f"{error} `tt inbox` shows the questions that do.",
    "NotAChoiceError": lambda error: f"{error} Give one of them or its number, or other words with --other.",
    "NotUndoableError": lambda error: f"{error} `tt events` shows the others; `tt undo EVENT` takes one of them back.",
    "OutdatedProjectionError": lambda error: f"{_open(error)}: `tt migrate`.",
    "RebuildAtWorkError": lambda error: f"{_open(error)}; `tt verify` shows what it left.",
    "RebuildUnfinishedError": lambda error: f"{_open(error)}; or call `tt rebuild`.",
    "SnapshotDamagedError": lambda error: (
        f"{_open(error)}: `tt verify` shows what differs, `tt rebuild` puts it right."
    ),
    "StoreUnavailableError": lambda error: f"{error}{_starting(error)}",
    "TaskAlreadyExistsError": lambda error: f"{error} Change it with `tt task edit`, `tag` or `move`.",
    "TaskFinishedError": lambda error: f"{error} Open it again first: `tt task reopen {error.task_id}`.",
    "TaskHasChildrenError": lambda error: (
        f"{error} Move or remove them first: `tt task list --parent {error.task_id}`."
    ),
    "TaskHasOpenChildrenError": lambda error: (
        f"{_open(error)}: `tt task tree {error.task_id}`."
        " Complete them first, or all together with --with-children, or this one alone with --force."
    ),
    "TaskHeldError": lambda error: f"{error} Hand it over first: `tt task assign {error.task_id} NAME`.",
    "TaskNotFinishedError": lambda error: f"{error} To take it back: `tt task requeue {error.task_id}`.",
    "TaskNotFoundError": lambda error: f"{error} {_finding(error)}",
    "TaskNotInBacklogError": lambda error: f"{error} To remove it all the same: `tt task remove {error.task_id}`.",
    "TaskUnassignedError": lambda error: (
        f"{error} Say who did it: `tt task {error.action} {error.task_id} --agent NAME`."
    ),
    "TaskRemovedError": lambda error: f"{error} {_bringing_back(error)}",
    "UndoOvertakenError": lambda error: f"{error} {_undoing(error)}",
    "ViewsIncompleteError": lambda error: f"{_asking_why(error)}; `tt rebuild` puts the views right.",
    "WrongExpectedVersionError": lambda error: (
        f"{error} Look at it with `tt task history {error.task_id}` and try again."
    ),
    "WrongKeyTypeError": lambda error: f"{error}{_REMEDIES['rename key']}",
}
"""Class -> the error's message with the command. A subclass has a message of its own, and advice of its own or none."""


_REMEDIES: Final[Mapping[str | None, str]] = {
    None: "",
    "adopt": ": `tt migrate` adopts it",
    "build anew": " `tt migrate` builds it anew.",
    "rename key": " Rename that key, then `tt rebuild`.",
    "restore snapshot": ": `tt migrate` sets it aside and puts the snapshot back",
}
"""A finding's remedy -> what follows its problem."""


def problem_of(finding: Finding) -> str:
    """What a person reads of a finding: its problem, and the command that helps."""
    return f"{finding.problem}{_REMEDIES[finding.remedy]}"


def words_of(error: Exception | str) -> str:
    """What a person reads of an error: its message, and the command that helps. An error that quotes its cause has its advice too."""
    if isinstance(error, str):
        return error
    advice = _ADVICE.get(type(error).__name__)
    words, cause = str(error) if advice is None else advice(error), error.__cause__
    if isinstance(cause, Exception) and type(cause).__name__ in _ADVICE:
        return words.replace(str(cause), words_of(cause))
    return words


def _open(error: Exception) -> str:
    """The message without its last full stop."""
    return str(error).removesuffix(".")


def _finding(error: Any) -> str:  # noqa: ANN401 - one class's attributes
    if error.then is None:
        return "`tt task list` shows the tasks of this town."
    return f"`tt task history {error.reference}` shows when it came to be."


def _bringing_back(error: Any) -> str:  # noqa: ANN401 - one class's attributes
    if error.then is None:
        return f"`tt undo {error.reference}` brings it back."
    return f"`tt task history {error.reference}` shows when."


def _undoing(error: Any) -> str:  # noqa: ANN401 - one class's attributes
    later = error.later.rpartition("-")[2]
    if error.is_undo:
        return f"`tt undo {later}` brings it back."
    return f"`tt task history {error.task_id}` shows both; `tt undo {later}` takes the later one back first."


def _starting(error: Any) -> str:  # noqa: ANN401 - as above
    from ledger import UNREACHED_ADVICE  # noqa: PLC0415 - for this one

    is_unreached = error.advice.endswith(UNREACHED_ADVICE)
    return " `tt start` starts a town's own server; `tt status` shows it." if is_unreached else ""


def _following(error: Any) -> str:  # noqa: ANN401 - as above
    is_at_url = error.moved_to is not None and "://" in error.moved_to
    return f" `tt move-town {error.moved_to}` lets this folder follow." if is_at_url else ""


def _asking_why(error: Exception) -> str:
    """The message without its last full stop, and after its second to last sentence what tells why."""
    happened, kept = _open(error).rsplit(". ", 1)
    return f"{happened}: `tt doctor` tells which. {kept}"
