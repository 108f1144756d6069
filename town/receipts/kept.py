"""KeptReceipts: the receipts of one town, in a folder of the user's own. Reads where they end; who appends writes them.

`~/.tt/receipts/<key>` has files that are only appended to, the newest with the highest name. The key is a hash of the town's
real folder and its name, so a folder that came from elsewhere brings no receipts, and finds none. If the user's
folder cannot be used there are no receipts, and no command fails because of that: `problem` says why.
"""

from __future__ import annotations

import os
from _blake2 import blake2b
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger import EventsLostError, LedgerError, Position, Receipts
from town.files.plain_file import open_plain
from town.home.place import home_path
from town.receipts.record import told_in

if TYPE_CHECKING:
    from town.receipts.pen import Pen

RECEIPTS_FOLDER: Final = "receipts"
SUFFIX: Final = ".receipts"
_KEY_BYTES: Final = 16
SAMPLED_MAX: Final = 4
"""How many positions a look holds the ledger against; they are the last ones that were told."""
_TAIL_BYTES: Final = 4_096
_MORE: Final = 16
"""If the end of a file has no whole record, so many times as much of it is read."""


class KeptReceipts(Receipts):
    """The receipts of the town `name` in `folder`, wherever its server is: a town that moves keeps them."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._folder = folder
        self._name = name
        self._told: Sequence[str] | None = None
        self._pen: Pen | None = None
        self.problem: str | None = None
        """Why there are no receipts, in words; None if there are, as far as was tried."""

    @cached_property
    def path(self) -> Path:
        """The folder of the receipts; it need not exist. NotOursError."""
        place = b"%s\0tt:%s" % (os.fsencode(os.path.realpath(self._folder)), self._name.encode())
        return home_path(RECEIPTS_FOLDER) / blake2b(place, digest_size=_KEY_BYTES).hexdigest()

    @property
    def known(self) -> str:
        return self.sampled[0] if self.sampled else ""

    @property
    def sampled(self) -> Sequence[str]:
        if self._told is None:
            self._told = self.read_told()
        return self._told

    def keep(self, first: Position, payloads: Sequence[bytes]) -> None:
        ms, _, seq = first.partition("-")
        self._told = [f"{ms}-{int(seq) + len(payloads) - 1}", *self.sampled[: SAMPLED_MAX - 1]]
        if self._pen is None:
            # Most commands only read.
            from town.receipts.pen import Pen  # noqa: PLC0415

            self._pen = Pen(self)
        self._pen.keep(first, payloads)

    def settle(self, known: str, places: Sequence[tuple[str, int]] = ()) -> None:
        """Say nothing more of events, pairs of a position and how many follow; the last position told is now `known`. LedgerError, OSError."""
        from town.receipts.pen import Pen  # noqa: PLC0415 - as above

        self._pen = self._pen or Pen(self)
        self._pen.settle(known, places)
        self._told = [known] if known else []

    def forget(self, positions: Sequence[Position]) -> None:
        from town.receipts.reading import places_of  # noqa: PLC0415 - as above

        gone = {str(each) for each in positions}
        known = next((each for each in self.sampled if each not in gone), "")
        try:
            self.settle(known, places_of(positions))
        except (LedgerError, OSError) as error:
            self.problem = str(error)

    def begin_at(self, position: Position) -> None:
        """Take the event at `position` as told, without what it says. Never raises."""
        try:
            self.settle(position)
        except (LedgerError, OSError) as error:
            self.problem = str(error)

    def renew(self) -> bool:
        before = self._told
        self._told = self.read_told()
        return self._told != before

    def loss(self, end: Position) -> EventsLostError:
        from town.receipts.reading import loss_of  # noqa: PLC0415 - as above

        return loss_of(self, end)

    def find_problem(self) -> str | None:
        """Why there are no receipts, in words; None if there are, or can be. Nothing is made."""
        try:
            known = self.read_told()
            there = next(
                each for each in (self.path, self.path.parent, self.path.parent.parent, Path.home()) if each.exists()
            )
        except (LedgerError, OSError, RuntimeError) as error:
            return str(error)
        except StopIteration:
            return f"there is no folder {Path.home()}"
        if not known and not os.access(there, os.W_OK):
            return f"{there} cannot be written"
        return self.problem

    def close(self) -> None:
        if self._pen is not None:
            self._pen.close()

    def read_told(self) -> Sequence[str]:
        """As `sampled`, as the files say it now."""
        try:
            for name in reversed(files_in(self.path)):
                told = _told_in_file(self.path / name)
                if told is not None:
                    return told[:SAMPLED_MAX]
        except (LedgerError, OSError) as error:
            self.problem = str(error)
        return ()


def files_in(path: Path) -> list[str]:
    """The names of a town's files of receipts, oldest first. OSError."""
    try:
        names = os.listdir(path)  # noqa: PTH208 - every command does this
        return sorted(name for name in names if name.endswith(SUFFIX) and name.removesuffix(SUFFIX).isdecimal())
    except FileNotFoundError:
        return []


def _told_in_file(path: Path) -> list[str] | None:
    """The positions told by a file's end, the last one first; None if no record in it is whole. OSError, LedgerError."""
    file = open_plain(path, os.O_RDONLY, path=path)
    try:
        size = os.fstat(file).st_size
        length = _TAIL_BYTES
        while True:
            told = told_in(os.pread(file, length, max(size - length, 0)))
            if told is not None or length >= size:
                return told
            length *= _MORE
    finally:
        os.close(file)
