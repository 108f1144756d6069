"""Every view there is. A new one is a file beside this one and a line here."""

from __future__ import annotations

from typing import Final

from projections.backlog import Backlog
from projections.by_agent import ByAgent
from projections.by_alias import ByAlias
from projections.by_parent import ByParent
from projections.by_state import ByState
from projections.by_tag import ByTag
from projections.counts import Counts
from projections.created import Created
from projections.ids import Ids
from projections.projection import View
from projections.throughput import Throughput

VIEWS: Final[tuple[View, ...]] = (
    Backlog(),
    ByAgent(),
    ByAlias(),
    ByParent(),
    ByState(),
    ByTag(),
    Counts(),
    Created(),
    Ids(),
    Throughput(),
)
