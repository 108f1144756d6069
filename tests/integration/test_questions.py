"""Questions to people: asking, answering, and the inbox, now and at any moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis

from ledger import (
    InvalidValueError,
    LedgerError,
    NoOpenQuestionError,
    NotAChoiceError,
    RecordedEvent,
    State,
    Task,
    TaskAsked,
    TaskFinishedError,
)
from ledger.values import CHOICES_MAX
from town import Inbox, Reader, Town
from town.reading.inbox import EVENTS_SEARCHED
from town.reading.wait import Until

Verb = Callable[[Town, str], object]


def ask(town: Town, task: str) -> object:
    return town.ask(task, "x")


@pytest.fixture
def town(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Town]:
    """A town on the session's server, which is sound at the end."""
    assert client.dbsize() == 0
    folder = tmp_path / "place"
    with Town.init(folder, name="place", url=f"unix://{server_socket}", actor="alice", is_registered=False) as town:
        yield town
        assert not town.upkeep.verify().findings


def types(town: Town, task_id: str) -> list[str]:
    return [step.event.type.partition(".")[2] for step in town.history(task_id)]


def shown(found: Inbox) -> tuple[list[str], list[str], list[str]]:
    """The ids of each kind, in order."""
    return (
        [task.id for task in found.questions.tasks],
        [task.id for task in found.failed.tasks],
        [task.id for task in found.reviews.tasks],
    )


# --- asking and answering ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.PENDING, State.ASSIGNED, State.RUNNING])
def test_asked_task_goes_back_and_waits(town: Town, state: State) -> None:
    """In one command, whoever had it; it can be begun again once it is answered."""
    task = town.create("Paint", agent=None if state is State.PENDING else "ada").task
    if state is State.RUNNING:
        town.start(task.id)
    receipt = town.ask(task.id, "Which colour?", choices=["red", "blue"])
    asked = receipt.task
    assert (asked.state, asked.assigned_to, asked.question, asked.choices) == (
        State.PENDING,
        None,
        "Which colour?",
        ("red", "blue"),
    )
    assert asked.has_open_question
    assert len(receipt.positions) == (1 if state is State.PENDING else 2)
    assert town.ready().tasks == ()
    answered = town.answer(task.id, "red").task
    assert not answered.has_open_question
    assert [each.id for each in town.ready().tasks] == [task.id]


@pytest.mark.parametrize(
    ("text", "answer"), [("blue", "blue"), ("BLUE", "blue"), ("2", "blue"), (" red ", "red"), ("3", "2"), ("1", "red")]
)
def test_choice_is_given_by_its_text_or_its_number(town: Town, text: str, answer: str) -> None:
    """A choice that is itself a number is meant before the number of another one."""
    task = town.create("Paint").task
    choices = ["red", "blue", "2"] if text == "3" else ["red", "blue"]
    town.ask(task.id, "Which?", choices=choices)
    assert town.answer(task.id, text).task.answer == answer
    assert town.answer(task.id, text).positions == (), "the same answer again is no second one"


@pytest.mark.parametrize("text", ["green", "0", "3", "re", "1.0", "9" * 5_000])
def test_other_answer_is_refused_and_names_the_choices(town: Town, text: str) -> None:
    """Nothing is written, unless it is said that the words are other ones."""
    task = town.create("Paint").task
    town.ask(task.id, "Which?", choices=["red", "blue"])
    end = town.end()
    with pytest.raises(NotAChoiceError, match="1 red, 2 blue") as refused:
        town.answer(task.id, text)
    assert len(str(refused.value)) < 300
    assert town.end() == end
    assert town.answer(task.id, text, is_other=True).task.answer == text


def test_new_question_replaces_the_open_one(town: Town) -> None:
    """The last one is asked; the same one again changes nothing."""
    task = town.create("Paint").task
    town.ask(task.id, "Which colour?")
    assert town.ask(task.id, "Which colour?").positions == ()
    town.answer(task.id, "red")
    assert town.ask(task.id, "Which colour?").task.has_open_question, "an answered one may be asked again"
    assert town.ask(task.id, "How many coats?").task.question == "How many coats?"
    assert types(town, task.id) == ["created", "asked", "answered", "asked", "asked"]


@pytest.mark.parametrize(
    ("before", "verb", "error"),
    [
        ([], lambda town, task: town.answer(task, "x"), NoOpenQuestionError),
        ([], lambda town, task: town.ask(task, ""), InvalidValueError),
        ([], lambda town, task: town.ask(task, " \n"), InvalidValueError),
        ([], lambda town, task: town.ask(task, "x" * 70_000), InvalidValueError),
        ([], lambda town, task: town.ask(task, "x", choices=map(str, range(CHOICES_MAX + 1))), InvalidValueError),
        ([], lambda town, task: town.ask(task, "x", choices=["a", ""]), InvalidValueError),
        ([Town.cancel], lambda town, task: town.ask(task, "x"), TaskFinishedError),
        ([ask], lambda town, task: town.answer(task, ""), InvalidValueError),
        ([ask, Town.cancel], lambda town, task: town.answer(task, "y"), NoOpenQuestionError),
    ],
    ids=[
        "no question",
        "empty",
        "blank",
        "too long",
        "21 choices",
        "empty choice",
        "finished",
        "no answer",
        "too late",
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    town: Town, before: list[Verb], verb: Verb, error: type[LedgerError]
) -> None:
    """With an error that says what is wrong."""
    task = town.create("Paint").task
    for each in before:
        each(town, task.id)
    end = town.end()
    with pytest.raises(error):
        verb(town, task.id)
    assert town.end() == end


def test_question_of_a_finished_task_is_open_again_with_the_task(town: Town) -> None:
    """It waits for nothing while it is finished."""
    task = town.create("Paint").task
    town.ask(task.id, "Which colour?")
    town.cancel(task.id)
    assert town.inbox().total == 0
    town.reopen(task.id)
    assert shown(town.inbox())[0] == [task.id]


# --- the inbox ---------------------------------------------------------------------------------------------------


def test_inbox_has_questions_oldest_first_with_who_asked(town: Town, tmp_path: Path) -> None:
    """By when they were asked, whatever happens to the tasks later."""
    first, second = (town.create(f"task {number}").task for number in range(2))
    with Town.open(tmp_path / "place", actor="ada") as ada:
        ada.ask(second.id, "Which?")
    town.ask(first.id, "When?")
    for number in range(EVENTS_SEARCHED + 1):
        town.note(second.id, f"later note {number}")
    found = town.inbox()
    assert shown(found) == ([second.id, first.id], [], [])
    assert {task_id: event.actor for task_id, event in found.asked.items()} == {first.id: "alice", second.id: "ada"}
    assert all(isinstance(event.data, TaskAsked) for event in found.asked.values())
    assert found.asked[first.id].position.ms == found.questions.tasks[1].asked_at_ms


def test_failed_task_leaves_the_inbox_when_somebody_deals_with_it(town: Town) -> None:
    """By a note, a tag, or opening it again; newest first."""
    tasks = [town.create(f"task {number}", agent="ada").task.id for number in range(4)]
    for task in tasks:
        town.fail(task, error="broken")
    assert shown(town.inbox())[1] == tasks[::-1]
    town.note(tasks[0], "known")
    town.tag(tasks[1], add=["wontfix"])
    town.reopen(tasks[2])
    assert shown(town.inbox())[1] == [tasks[3]]
    town.fail(tasks[2], error="again", agent="ada")
    assert shown(town.inbox())[1] == [tasks[2], tasks[3]]


def test_open_tasks_with_the_tag_review_are_reviews(town: Town) -> None:
    """As long as they are open and have the tag."""
    first, second, third = (town.create(f"task {number}", tags=["review"]).task.id for number in range(3))
    town.create("other", tags=["reviewed"])
    assert shown(town.inbox())[2] == [first, second, third]
    town.tag(first, remove=["review"])
    town.complete(second, agent="bob")
    assert shown(town.inbox())[2] == [third]


def test_inbox_says_how_many_there_are(town: Town) -> None:
    """A limit holds for each kind."""
    for number in range(5):
        task = town.create(f"task {number}", tags=["review"]).task
        town.ask(task.id, "Which?")
    found = town.inbox(limit=2)
    assert (len(found.questions.tasks), found.questions.total, found.questions.has_more) == (2, 5, True)
    assert (len(found.reviews.tasks), found.failed.total, found.total) == (2, 0, 10)


def test_inbox_of_any_moment_is_what_a_plain_model_says(town: Town) -> None:
    """Of random commands: the live inbox and that of each moment hold what a reader of the events alone finds."""
    chance = Random(14)
    tasks = [town.create(f"task {number}", tags=["review"] if number % 3 == 0 else []).task.id for number in range(8)]
    verbs: list[Callable[[str], object]] = [
        lambda task: town.ask(task, f"question {chance.random()}"),
        lambda task: town.answer(task, "yes"),
        lambda task: town.fail(task, error="broken", agent="ada"),
        town.reopen,
        lambda task: town.note(task, "a note"),
        lambda task: town.tag(task, add=["review"]),
        lambda task: town.tag(task, remove=["review"]),
        lambda task: town.complete(task, agent="ada"),
        lambda task: town.start(task, agent="ada"),
        town.remove,
    ]
    done = 0
    while done < 120:
        try:
            chance.choices(verbs, weights=[6, 4, 4, 5, 3, 2, 2, 1, 2, 0.2])[0](chance.choice(tasks))
            done += 1
        except LedgerError:
            continue
    events = [each for batch in town.backend.store.read_batches() for each in batch]
    for upto in (*range(8, len(events), 9), len(events)):
        expected = plain_inbox(events[:upto])
        then = Reader(town.backend, then=events[upto - 1].position)
        assert shown(then.inbox()) == expected, f"at event {upto}"
        assert shown(then.inbox(limit=1)) == tuple(kind[:1] for kind in expected)
    assert shown(town.inbox()) == expected
    assert {task: event.at for task, event in town.inbox().asked.items()} == {
        task: max(
            (event for event in events if event.task == task and event.type == "task.asked"),
            key=lambda event: event.position.seq,
        ).at
        for task in expected[0]
    }


def plain_inbox(events: list[RecordedEvent]) -> tuple[list[str], list[str], list[str]]:
    """What waits after these events, from their types alone."""
    asked: dict[str, int] = {}
    failed: dict[str, int] = {}
    made: dict[str, int] = {}
    tagged: set[str] = set()
    ended: set[str] = set()
    for event in events:
        task, kind, data = event.task, event.type.partition(".")[2], event.data
        failed.pop(task, None)
        if kind == "created":
            made[task] = event.position.ms
            tagged |= {task} if "review" in data.tags else set()  # type: ignore[attr-defined]
        elif kind == "asked":
            asked[task] = event.position.ms
        elif kind == "answered":
            del asked[task]
        elif kind == "failed":
            failed[task] = event.position.ms
        elif kind == "tagged":
            tagged = (tagged | {task}) if "review" in data.added else tagged - {task}  # type: ignore[attr-defined]
        if kind in ("failed", "completed"):
            ended.add(task)
        elif kind == "reopened":
            ended.discard(task)
        elif kind == "removed":
            ended.add(task)
    return (
        sorted((task for task in asked if task not in ended), key=lambda task: (asked[task], task)),
        sorted(failed, key=lambda task: (failed[task], task), reverse=True),
        sorted((task for task in tagged if task not in ended), key=lambda task: (made[task], task)),
    )


def test_verify_names_a_wrong_entry_of_the_inbox(town: Town, client: redis.Redis) -> None:
    """And a rebuild puts it right."""
    task = town.create("Paint").task
    town.ask(task.id, "Which?")
    key = town.keys.view("inbox", "question")
    client.zrem(key, task.id)
    assert key in str(town.upkeep.verify().findings)
    town.upkeep.rebuild()
    assert shown(town.inbox())[0] == [task.id]


def test_inbox_is_read_from_the_ledger_where_views_cannot_answer(town: Town, client: redis.Redis) -> None:
    """What is read is right, and a note says so."""
    task = town.create("Paint").task
    town.ask(task.id, "Which?")
    client.hset(town.keys.view("counts", "state"), "running", "many")
    found = town.inbox()
    assert shown(found)[0] == [task.id]
    assert town.noted.incomplete is not None
    town.upkeep.rebuild()


# --- waiting -----------------------------------------------------------------------------------------------------


def test_wait_returns_with_the_answer(town: Town, tmp_path: Path) -> None:
    """Of several questions, with the last one; an answer that is there already takes no time."""
    first, second = (town.create(f"task {number}").task.id for number in range(2))
    town.ask(first, "Which?")
    town.ask(second, "When?")
    town.answer(first, "red")
    assert town.wait([first], until=Until.ANSWERED).is_as_hoped

    def answer() -> None:
        with Town.open(tmp_path / "place", actor="bob") as bob:
            bob.answer(second, "soon")

    thread = threading.Thread(target=answer)
    thread.start()
    waited = town.wait([first, second], until=Until.ANSWERED, timeout_seconds=20)
    thread.join()
    assert waited.is_as_hoped
    assert [task and task.answer for task in waited.tasks.values()] == ["red", "soon"]


def test_wait_for_an_answer_ends_where_none_can_come(town: Town) -> None:
    """A task without a question, one that is finished, and one that nobody answers in time."""
    silent, ended, open_ = (town.create(f"task {number}").task.id for number in range(3))
    town.ask(ended, "Which?")
    town.cancel(ended)
    town.ask(open_, "When?")
    for task in (silent, ended):
        waited = town.wait([task], until=Until.ANSWERED)
        assert (waited.is_as_hoped, waited.open_tasks) == (False, [])
    waited = town.wait([open_], until=Until.ANSWERED, timeout_seconds=0.05)
    assert (waited.is_as_hoped, [task.id for task in waited.open_tasks]) == (False, [open_])


def test_questions_and_answers_are_found_by_their_words(town: Town) -> None:
    """Also those that were replaced since, with --ever."""
    task: Task = town.create("Paint").task
    town.ask(task.id, "Which nuance?")
    town.answer(task.id, "crimson")
    places: list[Any] = [(text.place, text.text) for word in ("nuance", "crimson") for text in found_texts(town, word)]
    assert places == [("question", "Which nuance?"), ("answer", "crimson")]
    town.ask(task.id, "How many coats?")
    assert found_texts(town, "crimson") == []
    assert [text.text for text in found_texts(town, "crimson", is_ever=True)] == ["crimson"]


def found_texts(town: Town, word: str, *, is_ever: bool = False) -> list[Any]:
    return [text for hit in town.search([word], is_ever=is_ever).hits for text in hit.texts]
