"""The scripts that run inside Redis, a typed wrapper for each. Nobody else counts KEYS and ARGV."""

from ledger.lua.append import Appended, AppendScript, Backdated, Conflict, Damaged, Outcome
from ledger.lua.history import HistoryPage, HistoryScript, HistoryStatus
from ledger.lua.source import script_source
from ledger.lua.walks import WalksScript

__all__ = [
    "AppendScript",
    "Appended",
    "Backdated",
    "Conflict",
    "Damaged",
    "HistoryPage",
    "HistoryScript",
    "HistoryStatus",
    "Outcome",
    "WalksScript",
    "script_source",
]
