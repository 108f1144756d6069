"""Plans: the plan files of one town, read, pushed, pulled and compared. A file that is not named is the town's `tasks.toml`."""

from __future__ import annotations

from pathlib import Path

from town.backend import Backend
from town.plans.file import PLAN_FILE, PlanFile, read_plan_file
from town.plans.plan import Plan, PlanFault
from town.plans.planner import Planner
from town.plans.receipts import PlanComparison, PullReceipt, PushReceipt


class Plans:
    """The plans of one town, pushed by whoever opened it."""

    def __init__(self, backend: Backend) -> None:
        self._folder = backend.folder
        self._planner = Planner(backend)

    def path(self, path: Path | str | None = None) -> Path:
        """The file of a plan: `path`, else `tasks.toml` in the town's folder."""
        return self._folder / PLAN_FILE if path is None else Path(path)

    def read(self, path: Path | str | None = None) -> PlanFile:
        """A plan whose names all mean something in this town. PlanMissingError; PlanRefusedError names every fault."""
        return read_plan_file(self.path(path), look=self.find_faults)

    def find_faults(self, plan: Plan) -> list[PlanFault]:
        """What is wrong with a plan's names in this town: two ids of one task, and parents that are not there."""
        return self._planner.find_faults(plan)

    def push(
        self, path: Path | str | None = None, *, prune: bool = False, force: bool = False, dry_run: bool = False
    ) -> PushReceipt:
        """Make the town as a plan says, in one append; doing it again appends nothing.

        Nothing is taken back that happened in the town, unless with `force`. `prune` removes tasks with an alias that the
        file no longer has. With `dry_run` nothing is written. PlanMissingError, PlanRefusedError: nothing was written.
        """
        file = self.read(path)
        act = self._planner.preview_push if dry_run else self._planner.push
        return act(file, is_pruning=prune, is_forced=force)

    def pull(self, path: Path | str | None = None) -> PullReceipt:
        """Write the town into a plan's file; its order, comments and further keys stay. Doing it again writes nothing.

        A plan that is not named is not written through a link that leads out of the town's folder: it may have come with a
        clone. PlanRefusedError, PlanOutsideError, FolderRefusedError, PlanChangedError: the file is as it was.
        """
        return self._planner.pull(self.path(path), within=self._folder if path is None else None)

    def compare(self, path: Path | str | None = None) -> PlanComparison:
        """What a push and what a pull would do; nothing is written."""
        return self._planner.compare(self.path(path))
