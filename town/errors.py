"""What can go wrong at the door: folders, settings, moments, imports, plans and the server. The tree continues that of `ledger`.

CommandRejectedError
  TownNotFoundError          no folder upwards holds a town
  TownExistsError            the folder is a town of another name
  FolderRefusedError         a file or folder cannot be read or written
  SettingsError              tinytown.toml or towns.toml is invalid
    UnfitNameError           Tinytown's name of the town cannot be part of keys, and no other one is given
  NotTrustedError            a folder would make `tt` connect or load data, and this user has not allowed that
  NotOursError               something that `tt` opens is a link, another user's, or open to others
  ProgramRefusedError        a town's file names a program to run
  ServerNotOwnError          the server is not the town's own, and not ours to stop
  MetricsPortError           `tt` cannot listen on the port for metrics
  McpPortError               `tt` cannot listen on the port for agents
  ServePortError             `tt serve` cannot listen on its address
  TokenFileRefusedError      the file of tokens of `tt serve` cannot be used; nothing is served
  McpMissingError            the package that `tt mcp` needs is not installed
  AgentNotesRefusedError     `AGENTS.md` cannot get its section; it was not changed
  MomentError                the moment is not in the ledger
  NothingToUndoError         the actor's last events have nothing to take back
  ForkRefusedError           a town cannot be forked like this; nothing was made
  MoveRefusedError           a town cannot be moved like this; it is where it was
  ImportRefusedError         a file to import is invalid; nothing was imported
  LedgerFileRefusedError     a ledger's file is damaged, or of another ledger; nothing was imported
  ExportRefusedError         an export is not possible as asked; no file was written
  PlanMissingError           there is no plan at that place
  PlanExistsError            there is a plan already
  PlanRefusedError           a plan is invalid; neither file nor town was changed
  PlanTooLargeError          a plan has too many bytes or tasks
  PlanChangedError           somebody else changed the plan before it could be written
  PlanOutsideError           the plan is a link that leads out of the town's folder
  ProgramNotFoundError       a program to run does not exist; no task was touched
  ProgramNotStartedError     the system could not start it; the current task failed
  ProbeFailedError           the program of a bisection cannot run, or did not judge a board
  BisectionRefusedError      the good moment of a bisection is not good, the bad one not bad, or not the later one
  MigrationSourceError       the server to migrate from is the town's own
  RecoveryRefusedError       a loss is accepted for a town of another name; nothing was changed
  RepairRefusedError         the town's files cannot be repaired now; nothing was changed
WrongExpectedVersionError
  OvertakenError             others changed a task at each attempt to decide on it
StoreUnavailableError
  RunUnfinishedError         the outcome of a run could not be recorded
  ServerStartError           the town's own server did not start
  ServerEndedError           the town's own server is gone, and its log says why
    ServerStoppedError       it was told to stop
    DiskFullError            its disk is full
  ForeignServerError         something else listens on the town's socket
  ServerTooOldError          the server lacks what the scripts need
LedgerDamagedError
  LegacyKeptError            old keys are not deleted, because `tt verify` finds something
  FileDamagedError           a file of the town's own server is not as the server wrote it
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ledger import CommandRejectedError, LedgerDamagedError, StoreUnavailableError, WrongExpectedVersionError

if TYPE_CHECKING:
    from projections import Finding

PROBLEMS_SHOWN_MAX = 20
LEDGER_FILE_ADVICE: Final = "Export it again, or take a copy that is whole."

_ADVICE: Final = {
    errno.ENOENT: "Check the name.",
    errno.ENOTDIR: "Check the name: a part of it is not a folder.",
    errno.EISDIR: "Name a file.",
    errno.EINVAL: "Choose another.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "Its links lead in a circle: correct them, or choose another.",
    errno.EFBIG: "There is a limit on the size of files: raise it, `ulimit -f` shows it.",
    errno.ENOSPC: "Make room, and try again.",
    errno.EDQUOT: "Make room, and try again.",
    errno.EROFS: "Choose another place.",
}
"""What to do about a file that the system refuses for other reasons than its permissions."""
_WORDS: Final = {errno.ENOSPC: "its disk is full", errno.EDQUOT: "its disk is full as far as your quota goes"}
"""Plainer words than those of the system."""


def in_one_line(path: Path | str) -> str:
    """A path on one line, for an error: text behind a line break in a name would look like our own words."""
    return str(path).replace("\n", "\\n")


def words_of_system(error: Exception) -> str:
    """Why the system refuses a file, in words."""
    number = error.errno if isinstance(error, OSError) else None
    return _WORDS.get(number or 0) or getattr(error, "strerror", None) or str(error)


class PlacedFault(Struct, frozen=True):
    """A fault in a plan, with its line and column, both from 1."""

    line: int
    column: int
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.problem}"


class TownNotFoundError(CommandRejectedError):
    """The search upwards found no town."""

    def __init__(self, folder: Path, *, end: Path | None = None, reason: str | None = None) -> None:
        """The search ended at the folder `end`, because of `reason`. Without `end` it went to the top."""
        self.folder = folder
        self.end = end
        above = (
            f"{in_one_line(folder)} or above"
            if end is None
            else f"{in_one_line(folder)} or above, below {in_one_line(end)}"
        )
        why = "" if end is None else f" The search ended at {in_one_line(end)}, which {reason}."
        super().__init__(f"No town at {above}.{why} Make one with `tt init`, or name one with --town PATH.")


class TownExistsError(CommandRejectedError):
    """The folder is a town of another name."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        super().__init__(
            f"{in_one_line(folder)} is the town {name!r} already, and its keys carry that name. Use it as it is, or another folder."
        )


class FolderRefusedError(CommandRejectedError):
    """A file or folder cannot be read or written."""

    def __init__(self, path: Path, error: OSError, *, advice: str | None = None) -> None:
        """`advice` says what to do, if that does not follow from the system's reason."""
        self.path = path
        advice = advice or _ADVICE.get(error.errno or 0, "Check its permissions, or choose another.")
        super().__init__(f"{in_one_line(path)} cannot be used: {words_of_system(error)}. {advice}")


class SettingsError(CommandRejectedError):
    """A settings file is invalid."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(
            f"{in_one_line(path)}: {problem}. Correct the file; docs/reference/settings.md lists what it may hold."
        )


class UnfitNameError(SettingsError):
    """Tinytown's name of the town cannot be part of the ledger's keys, and no other name is set yet."""

    def __init__(self, path: Path, name: str, problem: str, *, folder: Path, suggested: str) -> None:
        """`problem` is a sentence that says what is wrong with the name."""
        self.path = path
        self.name = name
        self.folder = folder
        self.suggested = suggested
        self.problem = problem
        CommandRejectedError.__init__(
            self,
            f"{in_one_line(path)}: {problem} If it is the name that Tinytown gave the town, it stays, and its keys too: say once what"
            f" the ledger is called, `tt init --town {_quoted(folder)} --name {suggested}`."
            " Correct the file if it is a mistake; docs/reference/settings.md has the rule.",
        )


class NotTrustedError(CommandRejectedError):
    """A folder would make `tt` open a connection or load data, and this user has not allowed that. Nothing was done."""

    def __init__(self, place: str, problem: str, *, folder: Path) -> None:
        """`place` is the file, with its line if known. `problem` says what the file would lead to."""
        self.place = place
        self.folder = folder
        super().__init__(
            f"{in_one_line(place)}: {problem}. Nothing was connected to or loaded."
            f" Look at it first; if you trust it, allow it once: `tt trust --town {_quoted(folder)}`."
        )


class NotOursError(CommandRejectedError):
    """Something that `tt` opens is not a plain file or folder of this user's. Nothing was opened."""

    def __init__(self, path: Path, problem: str, advice: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{in_one_line(path)} {problem}, so it is not used. {advice}")


class ProgramRefusedError(CommandRejectedError):
    """A town's file names a program to run; only the user's own settings may."""

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(
            f"{in_one_line(place)}: [redis] binary names a program to run, and that is not taken from a town's file, which may come"
            " from somebody else. Nothing was run. Take the line out; if you need that program, name it in"
            " ~/.tt/settings.toml under [redis], or in TT_SERVER_BINARY."
        )


class ServerNotOwnError(CommandRejectedError):
    """The town's server is at a URL, and not ours to stop."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The server of {name} is at a URL, in REDIS_URL or tinytown.toml: stop it where it runs.")


class MetricsPortError(CommandRejectedError):
    """`tt` cannot listen on the port for metrics."""

    def __init__(self, port: int, error: OSError) -> None:
        self.port = port
        super().__init__(
            f"`tt` cannot listen on port {port}: {error.strerror or error}. Choose another; 0 picks a free one."
        )


class McpPortError(CommandRejectedError):
    """`tt` cannot listen on the port for agents."""

    def __init__(self, port: int, error: OSError | OverflowError) -> None:
        self.port = port
        why = getattr(error, "strerror", None) or error
        super().__init__(f"`tt` cannot listen on port {port}: {why}. Choose another; 0 picks a free one.")


class ServePortError(CommandRejectedError):
    """`tt serve` cannot listen on this address."""

    def __init__(self, host: str, port: int, cause: Exception) -> None:
        self.host = host
        self.port = port
        why = in_one_line(getattr(cause, "strerror", None) or str(cause))
        is_of_port = getattr(cause, "errno", None) in (None, errno.EADDRINUSE, errno.EACCES)
        advice = "another --port; 0 takes a free one" if is_of_port else "--host an address of this machine"
        super().__init__(f"`tt serve` cannot listen at {in_one_line(host)}, port {port}: {why}. Give {advice}.")


class TokenFileRefusedError(CommandRejectedError):
    """The file of tokens cannot be used. Nothing is served; no token is ever shown."""

    def __init__(self, path: Path, problem: str, advice: str) -> None:
        self.path = str(path)
        super().__init__(f"The file of tokens {path} is refused: {in_one_line(problem)}. {advice}")


class McpMissingError(CommandRejectedError):
    """The package that `tt mcp` needs is not installed, or is another version of it."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"`tt mcp` needs the package mcp, version 2.3 or a later 2.x: {in_one_line(why)}."
            " Install it beside tt: `pip install 'tinytown-ledger[mcp]'`, or from a checkout `pip install '.[mcp]'`."
        )


class AgentNotesRefusedError(CommandRejectedError):
    """`AGENTS.md` cannot get the section about the town. It was not changed."""

    def __init__(self, path: Path, problem: str, advice: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{in_one_line(path)} {problem}, and was not changed. {advice}")


class MomentError(CommandRejectedError):
    """The text is not a moment, or the town does not have that moment. `known` says which moments or forms there are."""

    def __init__(self, moment: str, problem: str, known: str) -> None:
        self.moment = moment
        self.problem = problem
        super().__init__(f"{moment} {problem}. {known}")


class NothingToUndoError(CommandRejectedError):
    """Whoever acts did nothing lately that could be taken back."""

    def __init__(self, actor: str, events_max: int) -> None:
        self.actor = actor
        self.events_max = events_max
        super().__init__(
            f"Nothing of {actor!r} is among the last {events_max:,} events of the town. Say what to take back: a position, the"
            " number of an event, or a task. `tt events` shows the last ones."
        )


class ForkRefusedError(CommandRejectedError):
    """A town cannot be forked so; nothing was made."""

    def __init__(self, name: str, problem: str, advice: str) -> None:
        self.name = name
        super().__init__(f"No fork {name!r} was made: {problem}. {advice}")


class MoveRefusedError(CommandRejectedError):
    """A town cannot be moved so; it is where it was."""

    def __init__(self, problem: str, advice: str) -> None:
        self.problem = problem
        self.advice = advice
        super().__init__(f"The town was not moved: {problem}. {advice}")


class RecoveryRefusedError(CommandRejectedError):
    """A loss is accepted by the name of the town that has it; nothing was changed."""

    def __init__(self, given: str, name: str) -> None:
        self.given = given
        self.name = name
        super().__init__(
            f"This town is called {name!r}, not {given!r}. Nothing was changed: give the name of the town whose loss you accept."
        )


class ImportRefusedError(CommandRejectedError):
    """A file to import is invalid; nothing was imported."""

    def __init__(self, path: Path, problems: Sequence[str], advice: str = "Correct these and import again.") -> None:
        self.path = path
        self.problems = tuple(problems)
        shown = "".join(f"\n  {problem}" for problem in self.problems[:PROBLEMS_SHOWN_MAX])
        more = len(self.problems) - PROBLEMS_SHOWN_MAX
        rest = f"\n  … and {more} more" if more > 0 else ""
        super().__init__(f"{in_one_line(path)} was not imported, and nothing was changed:{shown}{rest}\n{advice}")


class LedgerFileRefusedError(CommandRejectedError):
    """A ledger's file is damaged, or its events are not those of this town. Nothing was imported, unless the message says so."""

    def __init__(
        self,
        name: str,
        problem: str,
        *,
        line: int | None = None,
        advice: str = LEDGER_FILE_ADVICE,
        is_partly_imported: bool = False,
    ) -> None:
        self.name = name
        self.line = line
        self.problem = problem
        where = "" if line is None else f"line {line:,}: "
        done = "was imported only in part" if is_partly_imported else "was not imported, and nothing was changed"
        super().__init__(f"{name} {done}: {where}{problem}. {advice}")


class ExportRefusedError(CommandRejectedError):
    """An export is not possible as asked; no file was written."""

    def __init__(self, problem: str, advice: str) -> None:
        self.problem = problem
        super().__init__(f"Nothing was exported: {problem}. {advice}")


class PlanMissingError(CommandRejectedError):
    """There is no plan at that place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"There is no plan at {in_one_line(path)}. `tt plan --init` writes one to begin with, `tt sync pull` one of the town's tasks."
        )


class PlanExistsError(CommandRejectedError):
    """There is a plan already. It is not overwritten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{in_one_line(path)} is there already, and is left as it is. Look at it with `tt plan`, or choose another with --file."
        )


class PlanRefusedError(CommandRejectedError):
    """A plan is invalid; neither the file nor the town was changed."""

    def __init__(self, path: Path, faults: Sequence[PlacedFault]) -> None:
        self.path = path
        self.faults = tuple(faults)
        shown = "".join(f"\n  {fault}" for fault in self.faults[:PROBLEMS_SHOWN_MAX])
        more = len(self.faults) - PROBLEMS_SHOWN_MAX
        rest = f"\n  … and {more} more" if more > 0 else ""
        super().__init__(
            f"{in_one_line(path)} is not a valid plan; neither file nor town was changed:{shown}{rest}"
            "\nCorrect the file; `tt plan --check` lists everything, docs/reference/tasks-toml.md has the format."
        )


class PlanTooLargeError(CommandRejectedError):
    """A plan has too many bytes or tasks to be read."""

    def __init__(self, path: Path, *, size: int, size_max: int, what: str = "bytes") -> None:
        self.path = path
        self.size = size
        self.size_max = size_max
        super().__init__(
            f"{in_one_line(path)} has {size:,} {what}, and a plan at most {size_max:,}; it was not read. Is it the right file? Split it if it is."
        )


class PlanOutsideError(CommandRejectedError):
    """The town's plan is a link that leads out of the town's folder, and the user did not name it. Nothing was written."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target
        super().__init__(
            f"{in_one_line(path)} is a link that leads out of the town's folder, to {in_one_line(target)}, and was not written."
            " If you mean that file, name it with --file; else put a plan in the link's place."
        )


class PlanChangedError(CommandRejectedError):
    """Somebody else changed the plan before it could be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{in_one_line(path)} was changed meanwhile, again and again, and is left as it is. Pull again."
        )


class ProgramNotFoundError(CommandRejectedError):
    """A runner's program does not exist or is not executable; no task was touched."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(
            f"{program!r} is not a program: it is not on PATH, or not executable. No task was touched."
            " Correct the name, or give a whole path."
        )


class ProbeFailedError(CommandRejectedError):
    """The program of a bisection cannot run, or was ended from outside, so it did not judge a board."""

    def __init__(self, program: str, problem: str, *, number: int, complaint: str | None = None) -> None:
        """`problem` is how it ended at the board after event `number`; `complaint` is the end of what it said."""
        self.program = program
        self.problem = problem
        self.number = number
        self.complaint = complaint
        said = "" if complaint is None else f" It said: {complaint}."
        super().__init__(
            f"The program {program!r} did not judge the board after event {number}: {problem}.{said} Exit status 0 means good,"
            " 1 to 124 mean bad, and 125 means that it cannot tell. Try it with"
            f" `tt replay --at {number} --json` as its input, then search again."
        )


class BisectionRefusedError(CommandRejectedError):
    """The good and the bad moment of a bisection are not in that order, or not good and bad."""

    def __init__(self, problem: str, advice: str) -> None:
        self.problem = problem
        self.advice = advice
        super().__init__(f"{problem} {advice}")


class ProgramNotStartedError(CommandRejectedError):
    """The system could not start a runner's program, so the current task failed."""

    def __init__(self, program: str, task_id: str, error: OSError | ValueError) -> None:
        self.program = program
        self.task_id = task_id
        self.problem = f"the program {program!r} could not be started: {getattr(error, 'strerror', None) or error}"
        self.is_for_this_task = isinstance(error, OSError) and error.errno == errno.E2BIG
        """Whether its description is too long for an argument. Another task's description may fit."""
        super().__init__(
            f"Task {task_id} failed, because {self.problem}. The runner has ended, so that no other task fails for it too."
            f" Correct the command, then `tt task reopen {task_id}`."
        )


class MigrationSourceError(CommandRejectedError):
    """The server to migrate from is the town's own server."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"The server at {where} is the one that the town is on. Leave out --from-url: its old tasks are found there."
        )


class OvertakenError(WrongExpectedVersionError):
    """At every attempt, others changed the task between the decision and the append. Nothing was written."""

    def __init__(self, conflict: WrongExpectedVersionError, *, attempts: int) -> None:
        self.attempts = attempts
        super().__init__(conflict.task_id, expected=conflict.expected, actual=conflict.actual)

    def __str__(self) -> str:
        return (
            f"Others changed task {self.task_id} at each of {self.attempts} attempts to decide on it, so nothing was written."
            f" `tt task history {self.task_id}` shows what they do; try again."
        )


class TextUnreadableError(CommandRejectedError):
    """A text cannot be read from where it should come from. Nothing was written."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"No text can be read from {in_one_line(where)}: {problem}.")


class RepairRefusedError(CommandRejectedError):
    """The town's files cannot be repaired now. Nothing was changed."""

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        self.problem = problem
        advice = "That server's keeper repairs them." if "URL" in problem else "`tt stop` first, then repair."
        super().__init__(
            f"The files of the town in {in_one_line(folder)} are not repaired, because {problem}. {advice}"
        )


class RunUnfinishedError(StoreUnavailableError):
    """The outcome of a run could not be recorded: the server did not answer for too long."""

    def __init__(self, error: StoreUnavailableError, task_id: str, log: Path) -> None:
        self.task_id = task_id
        self.log = log
        super().__init__(
            error.where,
            error.problem,
            f"The outcome of task {task_id} could not be recorded; its output is in {log}."
            " The task is running until `tt reclaim` takes it back, or `tt task complete` records the outcome.",
        )


class ServerStartError(StoreUnavailableError):
    """The town's own server did not start."""


class ServerEndedError(StoreUnavailableError):
    """The town's own server is gone, and its log says how it ended."""

    def __init__(self, where: str, problem: str, advice: str = "", *, is_appended: bool = False) -> None:
        """`advice` says what to do first. The message adds that the next command starts the server again."""
        self._advice = advice
        doubt = "" if is_appended else " Look with `tt events` whether a change was made before you repeat it."
        then = f"The next command starts it again, and what was acknowledged is kept.{doubt}"
        super().__init__(where, problem, f"{advice} {then}".lstrip(), is_appended=is_appended)

    def after_append(self, words: str) -> ServerEndedError:
        advice = f"{words} {self._advice}".rstrip()
        return type(self)(self.where, self.problem, advice, is_appended=True)


class ServerStoppedError(ServerEndedError):
    """The town's own server was told to stop."""


class DiskFullError(ServerEndedError):
    """The town's own server ended because its disk is full."""


class ForeignServerError(StoreUnavailableError):
    """Something else listens on the town's socket. It would not keep events in the town's folder."""

    def __init__(self, where: str, advice: str | None = None) -> None:
        super().__init__(
            where,
            "does not hold this folder's lock",
            advice
            or "It is not the town's own, or its .tt folder was removed while it ran. Stop it, restore .tt, or set [redis] url.",
            has_refused=True,
        )


class ServerTooOldError(StoreUnavailableError):
    """The server lacks what the scripts need."""

    def __init__(self, where: str, version: str, version_min: int) -> None:
        self.version = version
        super().__init__(
            where,
            f"is version {version}",
            f"Version {version_min} or later is needed: upgrade it, or remove the URL to use the server that comes along.",
            has_refused=True,
        )


class LegacyKeptError(LedgerDamagedError):
    """Old keys are not deleted, because `tt verify` finds something. Nothing was deleted."""

    def __init__(self, town: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        others = len(self.findings) - 1
        more = f" and {others} more" if others else ""
        super().__init__(
            f"The old keys of {town} are kept, because `tt verify` finds something: {first.where}: {first.problem}{more}."
            " Put that right first; nothing was deleted."
        )


class FileDamagedError(LedgerDamagedError):
    """A file of the town's own server is not as the server wrote it. Nothing was changed."""

    def __init__(self, path: Path, problem: str, advice: str = "") -> None:
        self.path = path
        self.problem = problem
        advice = advice or "`tt doctor --repair` shows what can be read of the files, and asks before it changes them."
        super().__init__(f"{in_one_line(path)} is damaged: {problem}. Nothing was changed. {advice}")


def _quoted(folder: Path) -> str:
    """The folder, quoted for a shell."""
    import shlex  # noqa: PLC0415 - for a message only

    return shlex.quote(in_one_line(folder))
