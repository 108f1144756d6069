"""Processes that project, beside others that append. `python -m` as `workers`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import redis

from ledger import Keys
from projections import BatchOutcome, Projector
from town import Town

_BLOCK_MS: Final = 50


def project(socket: str, town: str, batch_events_max: str) -> None:
    """Catch up until the ledger's end as it is now."""
    with redis.Redis(unix_socket_path=socket) as client:
        Projector(client, Keys(town), batch_events_max=int(batch_events_max)).catch_up()


def project_until_stopped(folder: str, town: str, stop: str) -> None:
    """Project every batch as it comes, whoever else does, until the file `stop` is there."""
    with Town.open(folder) as opened:
        projector = Projector(opened.connection.client, Keys(town))
        while not Path(stop).exists():
            if projector.project_batch().outcome is BatchOutcome.NOTHING_TO_DO:
                opened.backend.store.wait(opened.upkeep.projector.checkpoints.position(), block_ms=_BLOCK_MS)
