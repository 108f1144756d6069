"""The scripts that run inside Redis, with a typed wrapper for each. No other module counts KEYS and ARGV."""

from ledger.lua.append import (
    Appended,
    AppendReply,
    AppendScript,
    Backdated,
    Closed,
    Conflict,
    Damaged,
    Disturbed,
    Forgotten,
)
from ledger.lua.history import HistoryPage, HistoryScript, HistoryStatus
from ledger.lua.source import script_source

__all__ = [
    "AppendReply",
    "AppendScript",
    "Appended",
    "Backdated",
    "Closed",
    "Conflict",
    "Damaged",
    "Disturbed",
    "Forgotten",
    "HistoryPage",
    "HistoryScript",
    "HistoryStatus",
    "script_source",
]
