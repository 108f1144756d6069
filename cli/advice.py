"""What to do about an error of the ledger, as a command of `tt`: a person reads it, a program's own errors are without it.

Imported where an error is said. Errors are looked up by the name of their class, so nothing is imported for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_ADVICE: Final[Mapping[str, Callable[[Any], str]]] = {
    "MisplacedEventError": lambda error: f"{_open(error)}: `tt task history {error.task}` shows what the ledger has.",
    "StoreUnavailableError": lambda error: f"{error}{_starting(error)}",
    "TaskAlreadyExistsError": lambda error: f"{error} Change it with `tt task edit`, `tag` or `move`.",
    "TaskFinishedError": lambda error: f"{error} Open it again first: `tt task reopen {error.task}`.",
    "TaskHasChildrenError": lambda error: f"{error} Move or remove them first: `tt task list --parent {error.task}`.",
    "TaskHasOpenChildrenError": lambda error: (
        f"{_open(error)}: `tt task tree {error.task}`."
        " Complete them first, or all together with --with-children, or this one alone with --force."
    ),
    "TaskHeldError": lambda error: f"{error} Hand it over first: `tt task assign {error.task} NAME`.",
    "TaskNotFinishedError": lambda error: f"{error} To take it back: `tt task requeue {error.task}`.",
    "TaskNotFoundError": lambda error: f"{error} {_finding(error)}",
    "TaskNotInBacklogError": lambda error: f"{error} To remove it all the same: `tt task remove {error.task}`.",
    "TaskUnassignedError": lambda error: f"{error} Say who did it: `tt task {error.action} {error.task} --agent NAME`.",
    "UndoOvertakenError": lambda error: f"{error} {_undoing(error)}",
    "WrongExpectedVersionError": lambda error: f"{error} Look at it with `tt task history {error.task}` and try again.",
    "WrongKeyTypeError": lambda error: f"{error} {_rebuilding()}",
}
"""Class -> the error's message with the command. A subclass has a message of its own, and advice of its own or none."""


def words_of(error: Exception | str) -> str:
    """What a person reads of an error: its message, and the command that helps. An error that quotes its cause has its advice too."""
    if isinstance(error, str):
        return error
    advice = _ADVICE.get(type(error).__name__)
    if advice is not None:
        return advice(error)
    words, cause = str(error), error.__cause__
    if isinstance(cause, Exception) and type(cause).__name__ in _ADVICE:
        return words.replace(str(cause), words_of(cause))
    return words


def _open(error: Exception) -> str:
    """The message without its last full stop."""
    return str(error).removesuffix(".")


def _finding(error: Any) -> str:  # noqa: ANN401 - one class's attributes
    if error.then is None:
        return "`tt task list` shows the tasks of this town."
    return f"`tt task history {error.task}` shows when it came to be."


def _undoing(error: Any) -> str:  # noqa: ANN401 - one class's attributes
    later = error.later.rpartition("-")[2]
    if error.is_undo:
        return f"`tt undo {later}` brings it back."
    return f"`tt task history {error.task}` shows both; `tt undo {later}` takes the later one back first."


def _starting(error: Any) -> str:  # noqa: ANN401 - as above
    from ledger import UNREACHED_ADVICE  # noqa: PLC0415 - for this one

    is_unreached = error.advice.endswith(UNREACHED_ADVICE)
    return " `tt start` starts a town's own server; `tt status` shows it." if is_unreached else ""


def _rebuilding() -> str:
    from projections import WRONG_KEY_TYPE_ADVICE  # noqa: PLC0415 - for this one

    return WRONG_KEY_TYPE_ADVICE
