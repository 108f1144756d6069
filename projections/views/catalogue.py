"""All views. To add one, write a file beside this one and add a line here."""

from __future__ import annotations

from typing import Final

from projections.views.backlog import Backlog
from projections.views.by_agent import ByAgent
from projections.views.by_alias import ByAlias
from projections.views.by_link import ByLink
from projections.views.by_parent import ByParent
from projections.views.by_state import ByState
from projections.views.by_tag import ByTag
from projections.views.counts import Counts
from projections.views.created import Created
from projections.views.ids import Ids
from projections.views.inbox import Inbox
from projections.views.ready import Ready
from projections.views.throughput import Throughput
from projections.views.view import View

VIEWS: Final[tuple[View, ...]] = (
    Backlog(),
    ByAgent(),
    ByAlias(),
    ByLink(),
    ByParent(),
    ByState(),
    ByTag(),
    Counts(),
    Created(),
    Ids(),
    Inbox(),
    Ready(),
    Throughput(),
)
