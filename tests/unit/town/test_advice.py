"""What a person reads of an error: its message, and the command that helps."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from cli.output import json_line
from ledger import (
    CircularNeedsError,
    CommandRejectedError,
    EventsLostError,
    FailTask,
    LedgerClosedError,
    LedgerDamagedError,
    LedgerError,
    MisplacedEventError,
    NoOpenQuestionError,
    NotAChoiceError,
    NotUndoableError,
    ReopenTask,
    RequeueTask,
    StartTask,
    State,
    StoreUnavailableError,
    TaskAlreadyExistsError,
    TaskFinishedError,
    TaskHasChildrenError,
    TaskHasOpenChildrenError,
    TaskHeldError,
    TaskNotFinishedError,
    TaskNotFoundError,
    TaskNotInBacklogError,
    TaskRemovedError,
    TaskUnassignedError,
    UndoOvertakenError,
    WrongExpectedVersionError,
    WrongKeyTypeError,
    decide,
)
from projections import (
    CheckpointAheadError,
    CheckpointMismatchError,
    CheckpointSetBackError,
    Finding,
    FindingKind,
    LegacyFullError,
    LossNotAcceptedError,
    OutdatedProjectionError,
    RebuildAtWorkError,
    RebuildUnfinishedError,
    SnapshotDamagedError,
    ViewsIncompleteError,
)
from projections.checking.audit import Remedy
from tests.support.builders import TASK, a_task, a_task_in
from town import LegacyKeptError, OvertakenError, ServerStartError
from town.advice import _ADVICE, _REMEDIES, problem_of, words_of

UNREACHED = StoreUnavailableError("redis://here/", "did not answer: no", "Is it running?")
STARTING = "Is it running? `tt start` starts a town's own server; `tt status` shows it."
SAID = {
    "The event at 1-2 says task.noted of task t, which is not there. An event or a snapshot was lost or altered:"
    " `tt task history t` shows what the ledger has.": MisplacedEventError(
        "1-2", "task.noted", "t", problem="is not there"
    ),
    f"The server at redis://here/ did not answer: no. {STARTING}": UNREACHED,
    f"The server at redis://here/ did not answer: no. It is done. {STARTING}": UNREACHED.after_append("It is done."),
    "The server at redis://here/ is full. Free space.": StoreUnavailableError(
        "redis://here/", "is full", "Free space."
    ),
    "This town had events up to 8; the server has 6: 2 events that were acknowledged here are gone, from 5-7 to 5-8 (of task"
    " t). Nothing is written until that is settled: `tt recover --dry-run` shows each of them, and what can be made good.": (
        EventsLostError("5-8", "5-6", count=2, first="5-7", tasks=["t"])
    ),
    "The event at 5-8, which was acknowledged here, is gone: the ledger goes on to 9 without it. Nothing is written until that"
    " is settled: `tt recover --dry-run` shows each of them, and what can be made good.": EventsLostError("5-8", "5-9"),
    "The server at redis://here/ no longer has the town: it is at redis://there/. Nothing was written."
    " `tt move-town redis://there/` lets this folder follow.": LedgerClosedError(
        "redis://here/",
        "no longer has the town: it is at redis://there/",
        "Nothing was written.",
        moved_to="redis://there/",
    ),
    "The server at redis://here/ holds the ledger closed. Try again.": LedgerClosedError(
        "redis://here/", "holds the ledger closed", "Try again."
    ),
    "Task t waits for no answer. `tt inbox` shows the questions that do.": NoOpenQuestionError("t"),
    "'x' is none of the choices of task t: 1 a, 2 b. Give one of them or its number, or other words with --other.": (
        NotAChoiceError("t", "x", ("a", "b"))
    ),
    "The server at here did not start. Is it running?": ServerStartError("here", "did not start", "Is it running?"),
    "Task auth exists already, with other content. Change it with `tt task edit`, `tag` or `move`.": (
        TaskAlreadyExistsError("t", "auth")
    ),
    "Task t is failed already. Open it again first: `tt task reopen t`.": TaskFinishedError("t", "failed"),
    "Task t has 1 task below it. Move or remove them first: `tt task list --parent t`.": TaskHasChildrenError("t", 1),
    "Task t has 2 open tasks right below it: `tt task tree t`. Complete them first, or all together with --with-children,"
    " or this one alone with --force.": TaskHasOpenChildrenError("t", 2),
    "These tasks would wait for each other: t -> u -> t. Take a link away first, by `tt task unlink`, or move a task, by `tt task move`; `tt task show t`"
    " shows what ties it.": CircularNeedsError(["t", "u", "t"]),
    "'c' is none of the choices of task t: 1 a, 2 b. Give one of them or its number, or other words with --other.": (
        NotAChoiceError("t", "c", ["a", "b"])
    ),
    "Task t is with bob, not ada. Hand it over first: `tt task assign t NAME`.": TaskHeldError(
        "t", holder="bob", agent="ada"
    ),
    "Task t is running, so there is nothing to reopen. To take it back: `tt task requeue t`.": (
        TaskNotFinishedError("t", "running")
    ),
    "No task is called 't'. `tt task list` shows the tasks of this town.": TaskNotFoundError("t"),
    "No task was called 't' at 1-2. `tt task history t` shows when it came to be.": TaskNotFoundError("t", then="1-2"),
    "The task 't' was removed. `tt undo t` brings it back.": TaskRemovedError("t"),
    "The task 't' was removed before 1-2. `tt task history t` shows when.": TaskRemovedError("t", then="1-2"),
    "Task t is running, so it is not in the backlog. To remove it all the same: `tt task remove t`.": (
        TaskNotInBacklogError("t", "running")
    ),
    "Nobody has task t yet. Say who did it: `tt task fail t --agent NAME`.": TaskUnassignedError("t", "fail"),
    "Event 4 changed nothing on the board, so it is not taken back. `tt events` shows the others; `tt undo EVENT` takes one of"
    " them back.": NotUndoableError("1-4", "changed nothing on the board"),
    "Event 4 of task t was taken back already, by event 6. `tt undo 6` brings it back.": UndoOvertakenError(
        "t", "1-4", "2-6", is_undo=True
    ),
    "Event 4 of task t is not taken back: event 6 stands on it. `tt task history t` shows both; `tt undo 6` takes the later"
    " one back first.": UndoOvertakenError("t", "1-4", "2-6"),
    "Task t is at version 3, not 2: somebody else changed it meanwhile. Look at it with `tt task history t` and try again.": (
        WrongExpectedVersionError("t", expected=2, actual=3)
    ),
    "Others changed task t at each of 20 attempts to decide on it, so nothing was written. `tt task history t` shows what"
    " they do; try again.": OvertakenError(WrongExpectedVersionError("t", expected=2, actual=3), attempts=20),
    "The key k at here is of the wrong type: something other than this program wrote it. Rename that key, then `tt rebuild`.": (
        WrongKeyTypeError("The key k", "here")
    ),
    "Another rebuild of this town is at work. Wait for it to end; `tt verify` shows what it left.": RebuildAtWorkError(),
    "The key k is empty. Something other than the projector wrote it. The ledger still has every event: `tt verify` shows"
    " what differs, `tt rebuild` puts it right.": SnapshotDamagedError("k", "is empty"),
    "The views do not hold every task: 2 are not there. Something other than the projector removed keys, or the server"
    " evicts them: `tt doctor` tells which. The ledger still has every event; `tt rebuild` puts the views right.": (
        ViewsIncompleteError("2 are not there")
    ),
    "The checkpoint of state is at 1-2, and the snapshots' is at 1-3: something other than the projector moved it."
    " `tt rebuild` puts it right.": CheckpointMismatchError("state", "1-2", "1-3"),
    "The checkpoint went back from 1-3 to 1-2 while it was compared: something other than the projector moved it."
    " `tt rebuild` puts it right.": CheckpointSetBackError("1-2", "1-3"),
    "The checkpoint is at 1-3, and the ledger ends at 1-2: events were lost, or the checkpoint was moved. `tt verify` tells;"
    " `tt rebuild` puts a checkpoint right, a backup of the data folder lost events.": CheckpointAheadError(
        "1-3", "1-2"
    ),
    "Lost. Nothing was rebuilt. `tt verify` lists everything; `tt rebuild --accept-loss` builds what is left.": (
        LossNotAcceptedError(LedgerDamagedError("Lost."))
    ),
    "A rebuild at 1-2 is not finished. The next command finishes it; or call `tt rebuild`.": RebuildUnfinishedError(
        "1-2"
    ),
    "The projection task has schema 1, and this program writes 2. Build it anew from the ledger: `tt migrate`.": (
        OutdatedProjectionError("task", schema=1, schema_known=2)
    ),
    "The server at here keeps 9 records of a under tt:t:legacy: already. Delete them with `tt migrate --drop-legacy`.": (
        LegacyFullError("here", "a", "tt:t:legacy:", records_max=9)
    ),
    "The old keys of t are kept, because `tt verify` finds something: k: it is a task from before the ledger: `tt migrate`"
    " adopts it. Put that right first; nothing was deleted.": LegacyKeptError(
        "t",
        [
            Finding(
                kind=FindingKind.OLD_TASK, where="k", problem="it is a task from before the ledger", remedy=Remedy.ADOPT
            )
        ],
    ),
}


@pytest.mark.parametrize("words", SAID)
def test_error_is_said_with_the_command_that_helps(words: str) -> None:
    """Word for word; where the message has advice of its own, or none, nothing is added."""
    assert words_of(SAID[words]) == words


def test_every_advice_is_of_an_error_that_is_here() -> None:
    """No name in the table is one that no error has."""
    assert set(_ADVICE) <= {type(error).__name__ for error in SAID.values()}


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        (None, "it is so"),
        (Remedy.RENAME_KEY, "it is so Rename that key, then `tt rebuild`."),
        (Remedy.BUILD_ANEW, "it is so `tt migrate` builds it anew."),
        (Remedy.ADOPT, "it is so: `tt migrate` adopts it"),
        (Remedy.RESTORE_SNAPSHOT, "it is so: `tt migrate` sets it aside and puts the snapshot back"),
    ],
)
def test_finding_is_said_with_the_command_that_helps(remedy: Remedy | None, words: str) -> None:
    """Each remedy has its words."""
    assert problem_of(Finding(kind=FindingKind.KEY, where="k", problem="it is so", remedy=remedy)) == words
    assert set(_REMEDIES) == {None, *Remedy}


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: decide(None, ReopenTask(task_id=TASK)), "tt task list"),
        (lambda: decide(a_task(), StartTask(task_id=TASK)), f"tt task start {TASK} --agent NAME"),
        (lambda: decide(a_task(), FailTask(task_id=TASK)), f"tt task fail {TASK} --agent NAME"),
        (lambda: decide(a_task_in(State.COMPLETED), RequeueTask(task_id=TASK)), f"tt task reopen {TASK}"),
        (lambda: decide(a_task_in(State.RUNNING), ReopenTask(task_id=TASK)), f"tt task requeue {TASK}"),
    ],
    ids=range(5),
)
def test_refusal_says_what_to_do_next(refused: Callable[[], object], words: str) -> None:
    """What `decide` refuses is said with the way on."""
    with pytest.raises(CommandRejectedError) as caught:
        refused()
    assert words in words_of(caught.value)


def test_error_that_quotes_its_cause_has_its_advice() -> None:
    """After an append, and where a rebuild met a loss: the words of the cause stand in the middle."""
    cause = MisplacedEventError("1-2", "task.noted", "t", problem="is not there")
    assert words_of(_raised(LedgerDamagedError(f"It is done. {cause}"), cause)) == f"It is done. {words_of(cause)}"
    told = words_of(_raised(LossNotAcceptedError(cause), cause))
    assert told.startswith(f"{words_of(cause)} Nothing was rebuilt.")


def test_error_in_json_is_what_a_person_reads() -> None:
    """A report with an error has its words, and the command with them."""
    assert msgspec.json.decode(json_line({"problem": UNREACHED})) == {"problem": words_of(UNREACHED)}


def _raised(error: LedgerError, cause: LedgerError) -> LedgerError:
    """The error as it is where it was raised from the cause."""
    with pytest.raises(LedgerError) as caught:
        raise error from cause
    return caught.value
