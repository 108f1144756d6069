"""What writes: the verbs of a town, as commands on a task."""

from __future__ import annotations

from typing import Final

from shapes import receipt_shape
from town import Receipt
from web.answers import Answer
from web.endpoints import Asked, Endpoint, Given


class ReasonGiven(Given, frozen=True):
    """A change, and why."""

    reason: str | None = None


class CreateGiven(ReasonGiven, frozen=True, kw_only=True):
    """A new task."""

    description: str
    agent: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    alias: str | None = None
    needs: tuple[str, ...] = ()


class CompleteGiven(ReasonGiven, frozen=True):
    """The end of work on a task."""

    result: str | None = None
    agent: str | None = None


def create(asked: Asked, given: CreateGiven) -> Answer:
    receipt = asked.town.create(
        given.description,
        agent=given.agent,
        tags=given.tags,
        parent=given.parent,
        alias=given.alias,
        needs=given.needs,
        reason=given.reason,
    )
    return _done(asked, receipt, status=201 if receipt.positions else 200)


def complete(asked: Asked, given: CompleteGiven) -> Answer:
    receipt = asked.town.complete(
        asked.task,
        result=given.result,
        agent=given.agent,
        reason=given.reason,
        expected_version=asked.expected_version,
    )
    return _done(asked, receipt)


def _done(asked: Asked, receipt: Receipt, *, status: int = 200) -> Answer:
    headers = {"Location": f"tasks/{receipt.task.id}"} if status == 201 else {}
    return Answer(receipt_shape(asked.town, receipt), status=status, headers=headers)


WRITES: Final = (
    Endpoint("POST", "/tasks", CreateGiven, create, "Create a task.", is_writing=True, answer="Receipt"),
    Endpoint(
        "POST", "/tasks/{task}/complete", CompleteGiven, complete, "Complete a task.", is_writing=True, answer="Receipt"
    ),
)
