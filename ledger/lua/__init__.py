"""The scripts that run inside Redis, a typed wrapper for each. Nobody else counts KEYS and ARGV."""

from ledger.lua.append import Appended, AppendScript, Backdated, Conflict, Damaged, Outcome
from ledger.lua.copy import Copied, CopyReply, CopyScript, Elsewhere, HeadConflict
from ledger.lua.history import HistoryPage, HistoryScript, HistoryStatus
from ledger.lua.source import script_source

__all__ = [
    "AppendScript",
    "Appended",
    "Backdated",
    "Conflict",
    "Copied",
    "CopyReply",
    "CopyScript",
    "Damaged",
    "Elsewhere",
    "HeadConflict",
    "HistoryPage",
    "HistoryScript",
    "HistoryStatus",
    "Outcome",
    "script_source",
]
