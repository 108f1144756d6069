"""What becomes of receipts whose town is another one now, or gone."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger import LedgerError
from town.receipts.kept import KeptReceipts

SET_ASIDE_MAX: Final = 3
"""How many earlier towns' receipts are kept for a folder and a name."""


def set_aside_receipts(folder: Path, name: str) -> None:
    """A new town is made in the folder: the receipts of one that was there before do not hold for it. Never raises."""
    with suppress(LedgerError, OSError):
        path = KeptReceipts(folder, name).path
        if path.exists():
            path.rename(path.with_name(f"{path.name}.{time.time_ns()}"))
        for old in sorted(path.parent.glob(f"{path.name}.*"))[:-SET_ASIDE_MAX]:
            shutil.rmtree(old, ignore_errors=True)


def forget_receipts(receipts: KeptReceipts) -> None:
    """The town is gone, and nobody will miss its events. Never raises."""
    receipts.close()
    with suppress(LedgerError, OSError):
        shutil.rmtree(receipts.path, ignore_errors=True)
        receipts.path.parent.rmdir()
