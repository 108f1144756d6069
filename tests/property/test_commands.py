"""Random commands against a plain model that was written from the design and not from the source."""

from __future__ import annotations

from typing import Final

from hypothesis import given

from ledger import (
    CircularNeedsError,
    CommandRejectedError,
    InvalidValueError,
    LinkKind,
    NoOpenQuestionError,
    Task,
    TaskAlreadyExistsError,
    TaskCycleError,
    TaskFinishedError,
    TaskHasChildrenError,
    TaskHeldError,
    TaskNotFinishedError,
    TaskNotFoundError,
    TaskNotInBacklogError,
    TaskUnassignedError,
)
from tests.property.examples import examples
from tests.property.histories import Driver, Wish, long_wish_lists, wish_lists
from tests.support.model import ModelTown, Record, RefusedError

KINDS: Final[dict[type[CommandRejectedError], str]] = {
    TaskNotFoundError: "absent",
    TaskAlreadyExistsError: "exists",
    TaskFinishedError: "finished",
    TaskNotFinishedError: "not finished",
    TaskUnassignedError: "unassigned",
    TaskHeldError: "held",
    TaskNotInBacklogError: "not in backlog",
    TaskHasChildrenError: "has children",
    TaskCycleError: "cycle",
    CircularNeedsError: "circle",
    NoOpenQuestionError: "no question",
    InvalidValueError: "unfit",
}


def outcome_of(driver: Driver, wish: Wish) -> int | str:
    """How many events it led to, or why it was refused."""
    try:
        return len(driver.execute(wish))
    except CommandRejectedError as error:
        return KINDS[type(error)]


def outcome_in(model: ModelTown, wish: Wish, now: int) -> int | str:
    try:
        return model.obey(wish.verb, wish.task, now, **wish.arguments)
    except RefusedError as error:
        return error.kind


def shown(task: Task) -> Record:
    """What a reader sees of a task."""
    return Record(
        description=task.description,
        tags=set(task.tags),
        parent=task.parent_id,
        alias=task.alias,
        created=task.created_at_ms,
        updated=task.updated_at_ms,
        state=str(task.state),
        agent=task.assigned_to,
        started=task.started_at_ms,
        ended=task.completed_at_ms,
        result=task.result,
        priority=task.priority,
        due=task.due_ms,
        not_before=task.not_before_ms,
        links={(str(kind), each) for kind in LinkKind for each in task.links(kind)},
        question=task.question,
        choices=task.choices,
        answer=task.answer,
        asked=task.asked_at_ms,
    )


@examples(100)
@given(wish_lists | long_wish_lists)
def test_commands_do_what_the_model_does(wished: list[Wish]) -> None:
    """After every command: the same refusal or the same number of events, and every field of every task the same."""
    driver, model = Driver(), ModelTown()
    for wish in map(driver.settle, wished):
        now = driver.now()
        assert outcome_of(driver, wish) == outcome_in(model, wish, now), wish
        assert {id_: shown(task) for id_, task in driver.board.tasks.items()} == model.records, wish
        assert {id_: task.version for id_, task in driver.board.tasks.items()} == {
            id_: model.versions[id_] for id_ in model.records
        }


@given(wish_lists | long_wish_lists)
def test_command_repeated_at_once_appends_nothing(wished: list[Wish]) -> None:
    """What a command has made true is true: the same again succeeds and leads to no event. A note is the exception."""
    driver = Driver()
    for wish in map(driver.settle, wished):
        try:
            driver.execute(wish)
        except CommandRejectedError:
            continue
        if wish.verb not in {"note", "remove"}:
            assert driver.execute(wish) == []
