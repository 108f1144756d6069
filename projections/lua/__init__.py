"""The scripts of this package, with a typed wrapper for each."""

from projections.lua.commit import CommitScript
from projections.lua.lease import LeaseScript

__all__ = ["CommitScript", "LeaseScript"]
