"""What can go wrong at the door: folders, settings, moments, imports and the server. The tree continues that of `ledger`.

CommandRejectedError
  TownNotFoundError          no folder upwards holds a town
  TownExistsError            the folder is a town of another name
  FolderRefusedError         a file or folder cannot be read or written
  SettingsError              tinytown.toml or towns.toml is not as it should be
  ServerNotOwnError          the server is not the town's own, and not ours to stop
  MetricsPortError           the port for metrics cannot be listened on
  MomentError                the moment is not in the ledger
  ImportRefusedError         a file to import is not as it should be; nothing of it was taken
StoreUnavailableError
  ServerStartError           the town's own server did not start
  ForeignServerError         something else listens on the town's socket
  ServerTooOldError          the server lacks what the scripts need
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ledger import CommandRejectedError, StoreUnavailableError

PROBLEMS_SHOWN_MAX = 20


class TownNotFoundError(CommandRejectedError):
    """No folder from here upwards is a town."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"No town at {folder} or above. Make one with `tt init`, or name one with --town PATH.")


class TownExistsError(CommandRejectedError):
    """The folder is a town of another name."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        super().__init__(
            f"{folder} is the town {name!r} already, and its keys carry that name. Use it as it is, or another folder."
        )


class FolderRefusedError(CommandRejectedError):
    """A file or folder cannot be read or written."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.path = path
        advice = (
            "Check the name." if isinstance(error, FileNotFoundError) else "Check its permissions, or choose another."
        )
        super().__init__(f"{path} cannot be used: {error.strerror or error}. {advice}")


class SettingsError(CommandRejectedError):
    """A settings file is not as it should be."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}. Correct the file; docs/reference/settings.md lists what it may hold.")


class ServerNotOwnError(CommandRejectedError):
    """The town's server is at a URL, and not ours to stop."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The server of {name} is at a URL, in REDIS_URL or tinytown.toml: stop it where it runs.")


class MetricsPortError(CommandRejectedError):
    """The port for metrics cannot be listened on."""

    def __init__(self, port: int, error: OSError) -> None:
        self.port = port
        super().__init__(
            f"Port {port} cannot be listened on: {error.strerror or error}. Choose another; 0 picks a free one."
        )


class MomentError(CommandRejectedError):
    """The moment is not in the ledger."""

    def __init__(self, moment: str, problem: str) -> None:
        self.moment = moment
        super().__init__(f"{moment} {problem}. `tt events` shows the last events with their numbers and times.")


class ImportRefusedError(CommandRejectedError):
    """A file to import is not as it should be; nothing of it was taken."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        shown = "".join(f"\n  {problem}" for problem in self.problems[:PROBLEMS_SHOWN_MAX])
        more = len(self.problems) - PROBLEMS_SHOWN_MAX
        rest = f"\n  … and {more} more" if more > 0 else ""
        super().__init__(
            f"{path} was not imported, nothing of it was taken:{shown}{rest}\nCorrect these and import again."
        )


class ServerStartError(StoreUnavailableError):
    """The town's own server did not start."""


class ForeignServerError(StoreUnavailableError):
    """Something else listens on the town's socket: its events would not be kept in the town's folder."""

    def __init__(self, where: str) -> None:
        super().__init__(
            where,
            "does not hold this folder's lock",
            "It is not the town's own, or its .tt folder was removed while it ran. Stop it, restore .tt, or set [redis] url.",
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
