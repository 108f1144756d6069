"""Everything that can go wrong in a ledger, as values that carry their facts.

    LedgerError
      CommandRejectedError              the command was refused; nothing was written
        InvalidValueError               a text, name or tag that the ledger does not take
        TaskNotFoundError               no task has that id, prefix or alias
          TaskRemovedError              the task was removed
        TaskAmbiguousError              several tasks have that prefix
        TaskAlreadyExistsError          the alias is taken by a task with other content
        TaskFinishedError               a finished task takes no change of content or state but reopen and remove
        TaskNotFinishedError            only a finished task can be reopened
        TaskUnassignedError             nobody has the task, and the command did not say who did it
        TaskHeldError                   another agent has the task
        TaskNotInBacklogError           the task is no longer pending
        TaskHasChildrenError            a task with children cannot be removed
        TaskHasOpenChildrenError        a task with open children is completed only if the command says what to do with them
        TaskCycleError                  a task cannot go below itself
        CircularNeedsError              tasks would wait for each other
        NoOpenQuestionError             an answer, and no question
        NotAChoiceError                 an answer, and other ones to choose from
        NotUndoableError                an event that is not taken back, whatever came after it
        UndoOvertakenError              a later event stands on what was to be taken back
        AppendTooLargeError             more events or bytes than one append takes
        BackdateRefusedError            an event cannot be older than the one before it
      WrongExpectedVersionError         another writer was first; nothing was written
      BasisDisturbedError               another writer changed what a decision stands on; nothing was written
      WrongExpectedEndError             another writer appended while events were copied to the end
      StoreUnavailableError             Redis did not answer, or not as it should; the cause is kept
        ReplyTooLargeError              its reply is larger than the limit
        LedgerClosedError               the town moves, or has moved; nothing was written
      NotReplicatedError                written, and not known to be on as many replicas as the town asks for
      LedgerDamagedError                what is stored contradicts itself; nothing was skipped
        WrongKeyTypeError               a key of the town is of another Redis type
        EventDecodingError              a stream entry is not an event
          UnknownEventError             a newer program wrote an event type that this one does not know
          NewerSchemaError              a newer program wrote a schema that this one does not know
          UpcasterMissingError          no upcaster lifts the old schema
        SequenceGapError                sequence numbers or versions are missing
        MisplacedEventError               an event is about a task that does not exist, or creates one that does
        TaskDamagedError                  no command can make one of the task's events
        HeadLostError                     a task exists but has no head
        HistoryBrokenError              a task's history names an event that does not exist
        HistoryCircularError            an event names itself or a later event as its predecessor
        EventsLostError                 events that were acknowledged here are gone; nothing was written

Each message says what happened and where, and what to do next unless that takes a `tt` command: `cli` adds the command.
`cli` also decides which exit code a class leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.position import Position

UNREACHED_ADVICE = "Is it running?"
"""The advice where a server did not answer at all."""
_ANSWER_CHARS_SHOWN = 60
_CIRCLE_SHOWN_MAX = 12
_LOST_TASKS_SHOWN_MAX = 3
_REFERENCE_CHARS_SHOWN = 128
UPGRADE_ADVICE = "It was written by a newer version of this program: upgrade with `pip install -U`."


class LedgerError(Exception):
    """Anything this project raises on purpose."""

    def name_tasks(self, names: Mapping[str, str]) -> None:
        """Put what the user called a task beside its id where the message first has it. `names` is task id -> name."""
        words = str(self)
        for task_id, name in names.items():
            words = words.replace(task_id, f"{name} ({task_id})", 1)
        self.args = (words,)


class CommandRejectedError(LedgerError):
    """The command was refused; nothing was written."""


class InvalidValueError(CommandRejectedError):
    """A value does not fit the rules for texts, names and tags."""

    def __init__(self, what: str, problem: str, advice: str) -> None:
        self.what = what
        self.problem = problem
        self.advice = advice
        super().__init__(f"The {what} {problem}. {advice}")


class TaskNotFoundError(CommandRejectedError):
    """No task has that id, prefix or alias."""

    def __init__(self, reference: str, *, then: str | None = None) -> None:
        """`then` is the past position at which it was looked for; None for now."""
        self.reference = reference
        self.then = then
        if then is None:
            super().__init__(f"No task is called {_shortened(reference)!r}.")
        else:
            super().__init__(f"No task was called {_shortened(reference)!r} at {then}.")


class TaskRemovedError(TaskNotFoundError):
    """The task was removed; its history stays."""

    def __init__(self, reference: str, *, then: str | None = None) -> None:
        super().__init__(reference, then=then)
        when = "" if then is None else f" before {then}"
        self.args = (f"The task {reference!r} was removed{when}.",)


class TaskAmbiguousError(CommandRejectedError):
    """Several tasks begin with that prefix."""

    def __init__(
        self,
        prefix: str,
        candidates: Sequence[str],
        *,
        total: int | None = None,
        is_counted: bool = True,
        titles: Mapping[str, str] = {},
    ) -> None:
        """`candidates` are some of the ids, and `total` is how many there are; at least so many, unless `is_counted`.

        `titles` has what the tasks are about, by id, where that is known.
        """
        self.prefix = prefix
        self.candidates = tuple(candidates)
        self.total = len(self.candidates) if total is None else total
        self.is_counted = is_counted
        number = f"{self.total:,} in all" if is_counted else f"at least {self.total:,}"
        such_as = "" if is_counted and self.total == len(self.candidates) else ", such as"
        lines = [f"{each}  {titles.get(each, '')}".rstrip() for each in self.candidates]
        words = [f"Several tasks begin with {prefix!r}, {number}{such_as}:", *lines]
        super().__init__("\n  ".join(words) + "\nGive more of the id.")


class TaskAlreadyExistsError(CommandRejectedError):
    """The alias belongs to a task with other content."""

    def __init__(self, task_id: str, alias: str | None) -> None:
        self.task_id = task_id
        self.alias = alias
        super().__init__(f"Task {alias or task_id} exists already, with other content.")


class TaskFinishedError(CommandRejectedError):
    """A finished task accepts reopen, remove, notes, tags, priority, times and links only."""

    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        self.state = state
        super().__init__(f"Task {task_id} is {state} already.")


class TaskNotFinishedError(CommandRejectedError):
    """Only a finished task can be reopened."""

    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        self.state = state
        super().__init__(f"Task {task_id} is {state}, so there is nothing to reopen.")


class TaskUnassignedError(CommandRejectedError):
    """Nobody has the task, so the command must say who acts."""

    def __init__(self, task_id: str, action: str) -> None:
        self.task_id = task_id
        self.action = action
        super().__init__(f"Nobody has task {task_id} yet.")


class TaskHeldError(CommandRejectedError):
    """Another agent has the task."""

    def __init__(self, task_id: str, *, holder: str, agent: str) -> None:
        self.task_id = task_id
        self.holder = holder
        self.agent = agent
        super().__init__(f"Task {task_id} is with {holder}, not {agent}.")


class TaskNotInBacklogError(CommandRejectedError):
    """The task is not pending, so it is not in the backlog."""

    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        self.state = state
        super().__init__(f"Task {task_id} is {state}, so it is not in the backlog.")


class TaskHasChildrenError(CommandRejectedError):
    """A task with children cannot be removed."""

    def __init__(self, task_id: str, children: int) -> None:
        self.task_id = task_id
        self.children = children
        super().__init__(f"Task {task_id} has {children} task{'s' if children != 1 else ''} below it.")


class TaskHasOpenChildrenError(CommandRejectedError):
    """A task with open children is completed only if the command says what to do with them."""

    def __init__(self, task_id: str, children: int) -> None:
        self.task_id = task_id
        self.children = children
        super().__init__(f"Task {task_id} has {children} open task{'s' if children != 1 else ''} right below it.")


class TaskCycleError(CommandRejectedError):
    """A task cannot be moved below itself."""

    def __init__(self, task_id: str, parent: str) -> None:
        self.task_id = task_id
        self.parent = parent
        super().__init__(
            f"Task {task_id} cannot go below {parent}, which is the task itself or lies below it. Choose another parent."
        )


class CircularNeedsError(CommandRejectedError):
    """A task would wait for itself, by what it needs and by the tasks above and below."""

    def __init__(self, circle: Sequence[str], *, new: str | None = None, alias: str | None = None) -> None:
        """`circle` has the ids of the tasks, each waiting for the next; the last one is the first again.

        `new` is the one that was to be made, with its alias if it has one.
        """
        self.circle = tuple(circle)
        self.new = new
        self._new_name = alias or "the new task"
        super().__init__(self._words({}))

    @property
    def known(self) -> str:
        """A task of the circle that there is."""
        return next(task_id for task_id in self.circle if task_id != self.new)

    def name_circle(self, names: Mapping[str, str]) -> None:
        """Call the tasks of the circle as people do. `names` is task id -> name."""
        self.args = (self._words(names),)

    def _words(self, names: Mapping[str, str]) -> str:
        called = [self._new_name if each == self.new else names.get(each, each) for each in self.circle]
        shown = called if len(called) <= _CIRCLE_SHOWN_MAX else [*called[: _CIRCLE_SHOWN_MAX - 2], "…", called[-1]]
        count = "" if shown is called else f" ({len(called) - 1:,} tasks)"
        return f"These tasks would wait for each other{count}: {' -> '.join(shown)}."


class NoOpenQuestionError(CommandRejectedError):
    """The task waits for no answer."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f"Task {task_id} waits for no answer.")


class NotAChoiceError(CommandRejectedError):
    """An answer is none of the choices of its question."""

    def __init__(self, task_id: str, answer: str, choices: Sequence[str]) -> None:
        self.task_id = task_id
        self.answer = answer
        self.choices = tuple(choices)
        listed = ", ".join(f"{number} {choice}" for number, choice in enumerate(choices, 1))
        shown = answer if len(answer) <= _ANSWER_CHARS_SHOWN else f"{answer[:_ANSWER_CHARS_SHOWN]}…"
        super().__init__(f"{shown!r} is none of the choices of task {task_id}: {listed}.")


class NotUndoableError(CommandRejectedError):
    """An event is not taken back, whatever came after it."""

    def __init__(self, position: str, problem: str) -> None:
        self.position = position
        self.problem = problem
        super().__init__(f"Event {position.rpartition('-')[2]} {problem}, so it is not taken back.")


class UndoOvertakenError(CommandRejectedError):
    """A later event stands on what was to be taken back; with `is_undo` it took that back already."""

    def __init__(self, task_id: str, position: str, later: str, *, is_undo: bool = False) -> None:
        self.task_id = task_id
        self.position = position
        self.later = later
        self.is_undo = is_undo
        number, later_number = position.rpartition("-")[2], later.rpartition("-")[2]
        if is_undo:
            super().__init__(f"Event {number} of task {task_id} was taken back already, by event {later_number}.")
        else:
            super().__init__(f"Event {number} of task {task_id} is not taken back: event {later_number} stands on it.")


class AppendTooLargeError(CommandRejectedError):
    """One append is bounded, because the server does nothing else while it runs."""

    def __init__(self, what: str, *, size: int, size_max: int) -> None:
        self.what = what
        self.size = size
        self.size_max = size_max
        super().__init__(f"One append takes at most {size_max:,} {what}, not {size:,}. Split the work into parts.")


class BackdateRefusedError(CommandRejectedError):
    """An event cannot be recorded before the ledger's last event."""

    def __init__(self, backdate: str, last_position: str, last_time: str) -> None:
        self.backdate = backdate
        self.last_position = last_position
        super().__init__(
            f"Events cannot be dated {backdate}: the ledger's last event, {last_position}, is of {last_time}."
            " Choose that time or a later one, or import into a new town."
        )


class WrongExpectedVersionError(LedgerError):
    """Another writer was first; nothing was written. Read again, decide again."""

    def __init__(self, task_id: str, *, expected: int, actual: int) -> None:
        self.task_id = task_id
        self.expected = expected
        self.actual = actual
        why = "somebody else changed it meanwhile" if actual > expected else "it never had that version"
        super().__init__(f"Task {task_id} is at version {actual}, not {expected}: {why}.")


class BasisDisturbedError(LedgerError):
    """Another writer changed what the decision stands on; nothing was written. Read again, decide again."""

    def __init__(self, position: str) -> None:
        self.position = position
        super().__init__(
            f"Another writer was first: event {position.rpartition('-')[2]} changes what the command stands on."
        )


class WrongExpectedEndError(LedgerError):
    """The ledger ends at another position than the copy expects. What was copied before stays, and is whole."""

    def __init__(self, expected: str, actual: str) -> None:
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"Another program wrote to the town meanwhile: its ledger ended at {expected}, and now ends at {actual}."
            " Stop what works in the town, and try again."
        )


class StoreUnavailableError(LedgerError):
    """Redis did not answer, or not as it should.

    If it `has_refused`, nothing was written. If it `is_appended`, all is in the ledger, and only projecting it failed. Else an
    append may have been written: read before you repeat it.
    """

    def __init__(
        self, where: str, problem: str, advice: str, *, has_refused: bool = False, is_appended: bool = False
    ) -> None:
        self.where = where
        self.has_refused = has_refused
        self.is_appended = is_appended
        self.problem = problem
        self.advice = advice
        # A path may hold a line break, and what follows it would look like words of ours.
        shown = where.replace("\n", "\\n")
        super().__init__(f"The server at {shown} {problem}. {advice}")

    def after_append(self, words: str) -> StoreUnavailableError:
        """The same error for a failure after the append; `words` say what was appended."""
        return StoreUnavailableError(self.where, self.problem, f"{words} {self.advice}", is_appended=True)


class ReplyTooLargeError(StoreUnavailableError):
    """A reply was larger than the limit, and the rest of it was not read. Ask for less at once."""


class NotReplicatedError(LedgerError):
    """What was appended is written, and it is not known that as many replicas have it as the town asks for. Do not repeat it.

    `position` is that of its last event; None if nothing had to be appended, because it was so already. `got` replicas have it, or
    that is unknown because of `problem`. It `is_lost` if another server has taken over, which does not have it. `result` is what the verb would have returned.
    """

    def __init__(
        self,
        where: str,
        position: Position | None,
        *,
        wanted: int,
        got: int | None = None,
        problem: str | None = None,
        is_lost: bool = False,
    ) -> None:
        self.where = where
        self.position = position
        self.wanted = wanted
        self.got = got
        self.problem = problem
        self.is_lost = is_lost
        self.result: object = None
        if is_lost and position is not None:
            super().__init__(
                f"It was written, up to event {position.seq:,}, and is lost: the server at {where} has taken over from the one that had"
                " it. Look at the history, and do it again."
            )
            return
        what = "It was so already" if position is None else f"It is written here, up to event {position.seq:,}"
        replicas = "1 replica" if wanted == 1 else f"{wanted} replicas"
        if problem is None:
            known = f"not yet on {replicas}" + (f", but on {got}" if got else "")
        else:
            known = f"not known to be on {replicas}: the server at {where} {problem}"
        super().__init__(f"{what}, and {known}. Look at the history before you repeat it.")


class LedgerClosedError(StoreUnavailableError):
    """The ledger takes no events here: the town moves, has moved, or has not arrived. Nothing was written."""

    def __init__(self, where: str, problem: str, advice: str, *, moved_to: str | None = None) -> None:
        """`moved_to` is the place, in words, if the town has moved."""
        self.moved_to = moved_to
        super().__init__(where, problem, advice, has_refused=True)


class LedgerDamagedError(LedgerError):
    """What is stored contradicts itself. Nothing was skipped and nothing was changed."""


class WrongKeyTypeError(LedgerDamagedError):
    """A key of the town is of another Redis type."""

    def __init__(self, named: str, where: str) -> None:
        """`named` says which key; it begins the sentence."""
        self.where = where
        super().__init__(f"{named} at {where} is of the wrong type: something other than this program wrote it.")


class EventDecodingError(LedgerDamagedError):
    """An entry of the ledger is not an event."""

    def __init__(self, position: str, problem: str, advice: str = "") -> None:
        self.position = position
        self.problem = problem
        super().__init__(
            f"The entry at {position} {problem}."
            f" {advice or 'Only the append script may write the ledger: restore it from a backup of the data folder.'}"
        )


class UnknownEventError(EventDecodingError):
    """The event's type is not known to this program."""

    def __init__(self, position: str, event_type: str) -> None:
        self.event_type = event_type
        super().__init__(position, f"has the unknown type {event_type!r}", UPGRADE_ADVICE)


class NewerSchemaError(EventDecodingError):
    """The event's schema is newer than this program."""

    def __init__(self, position: str, event_type: str, *, schema: int, schema_known: int) -> None:
        self.event_type = event_type
        self.schema = schema
        self.schema_known = schema_known
        super().__init__(
            position,
            f"is a {event_type} of schema {schema}, and schema {schema_known} is the newest known",
            UPGRADE_ADVICE,
        )


class UpcasterMissingError(EventDecodingError):
    """No upcaster lifts the event's old schema."""

    def __init__(self, position: str, event_type: str, *, schema: int) -> None:
        self.event_type = event_type
        self.schema = schema
        super().__init__(position, f"is a {event_type} of schema {schema}, which no upcaster lifts")


class SequenceGapError(LedgerDamagedError):
    """Sequence numbers, or versions of a task, are missing."""

    def __init__(self, what: str, position: str, *, expected: int, found: int) -> None:
        self.what = what
        self.position = position
        self.expected = expected
        self.found = found
        missing = ""
        if found > expected:
            missing = (
                f"; {expected} is missing" if found == expected + 1 else f"; {expected} to {found - 1} are missing"
            )
        super().__init__(
            f"At {position} the {what} should be {expected} and is {found}{missing}."
            " Events were lost or altered: restore the data folder from a backup."
        )


class MisplacedEventError(LedgerDamagedError):
    """An event is about a task that does not exist at that point, or creates one that does."""

    def __init__(self, position: str, event_type: str, task_id: str, *, problem: str) -> None:
        self.position = position
        self.task_id = task_id
        super().__init__(
            f"The event at {position} says {event_type} of task {task_id}, which {problem}."
            " An event or a snapshot was lost or altered."
        )


class TaskDamagedError(LedgerDamagedError):
    """No command can make one of the task's events. The task stays as it was before that event and takes no commands."""

    def __init__(self, task_id: str, position: str, flaw: str | None = None) -> None:
        """`flaw` says in words what is wrong; None if the event was not read."""
        self.task_id = task_id
        self.position = position
        self.flaw = flaw
        why = "" if flaw is None else f": {flaw}"
        super().__init__(
            f"Task {task_id} is damaged: no command can make its event at {position}{why}."
            " It stays as it was before that event, and takes no commands; other tasks do."
            " Something other than `tt` wrote the ledger: restore the data folder from a backup, or make a new task."
        )


class HeadLostError(LedgerDamagedError):
    """A task has a snapshot but no head."""

    def __init__(self, heads_key: str, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"The hash {heads_key} has lost task {task_id}, which has a snapshot: something other than the append script"
            " changed it. Restore the data folder from a backup."
        )


class HistoryBrokenError(LedgerDamagedError):
    """A task's history names an event that is not in the ledger."""

    def __init__(self, task_id: str, position: str) -> None:
        self.task_id = task_id
        self.position = position
        super().__init__(
            f"The history of task {task_id} names the event at {position}, which is not in the ledger."
            " Events were lost: restore the data folder from a backup."
        )


class HistoryCircularError(LedgerDamagedError):
    """An event of a task names itself or a later event as its predecessor."""

    def __init__(self, task_id: str, position: str) -> None:
        self.task_id = task_id
        self.position = position
        super().__init__(
            f"The event at {position} of task {task_id} names itself or a later event as the one before it, so its history"
            " has no beginning. Something other than the append script wrote it: restore the data folder from a backup."
        )


class EventsLostError(LedgerDamagedError):
    """Events that were acknowledged on this machine are not in the ledger any more. Nothing was written."""

    def __init__(
        self, known: str, end: str, *, count: int = 1, first: str | None = None, tasks: Sequence[str] = ()
    ) -> None:
        """`known` is the last position that was acknowledged here, `end` where the ledger ends now.

        `count` events are gone as far as that shows without asking, the `first` of them at that position, of `tasks`.
        """
        self.known = known
        self.end = end
        self.count = count
        self.first = first or known
        self.tasks = tuple(tasks)
        known_number, end_number = (int(each.rpartition("-")[2]) for each in (known, end))
        gone = (
            "1 event that was acknowledged here is"
            if count == 1
            else f"{count:,} events that were acknowledged here are"
        )
        if end_number < known_number:
            what = f"This town had events up to {known_number:,}; the server has {end_number:,}: {gone} gone"
        else:
            what = f"The event at {known}, which was acknowledged here, is gone: the ledger goes on to {end_number:,} without it"
        where = (
            f", from {self.first} to {known}"
            if self.first != known
            else ""
            if end_number >= known_number
            else f", at {known}"
        )
        shown = ", ".join(self.tasks[:_LOST_TASKS_SHOWN_MAX])
        more = (
            f" and {len(self.tasks) - _LOST_TASKS_SHOWN_MAX:,} more" if len(self.tasks) > _LOST_TASKS_SHOWN_MAX else ""
        )
        of = f" (of {'tasks' if len(self.tasks) > 1 else 'task'} {shown}{more})" if shown else ""
        super().__init__(f"{what}{where}{of}.")


def _shortened(reference: str) -> str:
    """What somebody called a task. No alias is longer than what is shown."""
    return reference if len(reference) <= _REFERENCE_CHARS_SHOWN else f"{reference[:_REFERENCE_CHARS_SHOWN]}…"
