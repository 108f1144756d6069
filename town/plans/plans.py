"""Plans: reads, pushes, pulls and compares the plan files of one town.

Without a path the file is the town's `tasks.toml`.
"""

from __future__ import annotations

from pathlib import Path

from town.backend import Backend
from town.plans.file import PLAN_FILE, PlanFile, read_plan_file
from town.plans.plan import Plan, PlanFault
from town.plans.planner import Planner
from town.plans.receipts import PlanComparison, PullReceipt, PushReceipt


class Plans:
    """The plan files of one town, pushed by the town's actor."""

    def __init__(self, backend: Backend) -> None:
        self._folder = backend.folder
        self._planner = Planner(backend)

    def path(self, path: Path | str | None = None) -> Path:
        """The file of a plan: `path`, else `tasks.toml` in the town's folder."""
        return self._folder / PLAN_FILE if path is None else Path(path)

    def read(self, path: Path | str | None = None) -> PlanFile:
        """Read a plan and check its names in this town. PlanMissingError; PlanRefusedError names every fault."""
        return read_plan_file(self.path(path), look=self.find_faults)

    def find_faults(self, plan: Plan) -> list[PlanFault]:
        """The faults in a plan's names in this town: two ids for one task, and missing parents."""
        return self._planner.find_faults(plan)

    def push(
        self, path: Path | str | None = None, *, prune: bool = False, force: bool = False, dry_run: bool = False
    ) -> PushReceipt:
        """Bring the town to a plan's state, in one append.

        Repeating it appends nothing. Without `force`, nothing that happened in the town is taken back. `prune` removes
        tasks with an alias that the file no longer has. `dry_run` writes nothing. PlanMissingError, PlanRefusedError:
        nothing was written.
        """
        file = self.read(path)
        act = self._planner.preview_push if dry_run else self._planner.push
        return act(file, is_pruning=prune, is_forced=force)

    def pull(self, path: Path | str | None = None) -> PullReceipt:
        """Write the town's state into a plan's file. Its order, comments and other keys stay.

        Repeating it writes nothing. Without a path it does not write through a link that leads out of the town's
        folder: the link may have come with a clone. PlanRefusedError, PlanOutsideError, FolderRefusedError,
        PlanChangedError: the file is as it was.
        """
        return self._planner.pull(self.path(path), within=self._folder if path is None else None)

    def compare(self, path: Path | str | None = None) -> PlanComparison:
        """What a push and a pull would do; writes nothing."""
        return self._planner.compare(self.path(path))
