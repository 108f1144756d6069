"""The scripts of this package, with a typed wrapper for each."""

from projections.lua.commit import CommitScript
from projections.lua.lease import LeaseScript
from projections.lua.walk import WalkScript

__all__ = ["CommitScript", "LeaseScript", "WalkScript"]
