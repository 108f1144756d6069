"""The script that commits a projection, and its typed wrapper."""

from projections.lua.commit import Changes, CommitScript

__all__ = ["Changes", "CommitScript"]
