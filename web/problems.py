"""Problems: errors as RFC 9457 describes them, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from starlette.responses import Response

from ledger import (
    BasisDisturbedError,
    CommandRejectedError,
    InvalidValueError,
    LedgerDamagedError,
    LedgerError,
    NotReplicatedError,
    StoreUnavailableError,
    TaskNotFoundError,
    TaskRemovedError,
    WrongExpectedEndError,
    WrongExpectedVersionError,
)
from town import FolderRefusedError, MomentError, SettingsError, TownNotFoundError, words_of
from web.answers import encode

PROBLEM: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
"""When a client may ask again whose server did not answer."""

_STATUS: Final[tuple[tuple[type[LedgerError], int, str], ...]] = (
    (TaskRemovedError, 410, "The task is removed"),
    (TaskNotFoundError, 404, "There is no such task"),
    (MomentError, 404, "There is no such moment"),
    (InvalidValueError, 400, "A value does not fit"),
    (TownNotFoundError, 503, "The town cannot be opened"),
    (SettingsError, 503, "The town cannot be opened"),
    (FolderRefusedError, 503, "The folder is not as it should be"),
    (CommandRejectedError, 422, "The command is refused"),
    (WrongExpectedVersionError, 409, "The task has changed"),
    (BasisDisturbedError, 409, "The town has changed"),
    (WrongExpectedEndError, 409, "The town has changed"),
    (StoreUnavailableError, 503, "The server is not available"),
    (LedgerDamagedError, 500, "The ledger is damaged"),
    (NotReplicatedError, 504, "Written here, and not yet on enough replicas"),
)


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """A request that is not carried out. Nothing was written, unless `detail` says so."""

    def __init__(
        self, status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.facts = facts
        super().__init__(detail)


def problem_of(error: LedgerError) -> Problem:
    """An error of the ledger as a problem: its class, its words with the command that helps, and its facts."""
    status, title = next(
        ((status, title) for kind, status, title in _STATUS if isinstance(error, kind)), (422, "The command is refused")
    )
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    detail = as_text("\n".join([words_of(error), *getattr(error, "__notes__", ())]))
    return Problem(status, title, detail, headers=headers, error=type(error).__name__, **_facts(error))


def problem_response(problem: Problem) -> Response:
    body = {"type": "about:blank", "title": problem.title, "status": problem.status, "detail": problem.detail}
    return Response(encode(body | problem.facts), problem.status, problem.headers, PROBLEM)


def as_text(text: str) -> str:
    """The text as JSON can have it: the name of a folder need not be UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _facts(error: LedgerError) -> dict[str, Any]:
    """The plain facts that the error carries, by their names."""
    return {
        name: as_text(value) if isinstance(value, str) else value
        for name, value in vars(error).items()
        if not name.startswith("_") and isinstance(value, str | int | bool | list | tuple) and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    return not isinstance(value, list | tuple) or all(isinstance(each, str | int | bool | Struct) for each in value)
