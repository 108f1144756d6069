"""How many examples a property is tried with: few always, many where TT_STRESS=1 is set."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings

EXAMPLES_MAX: Final = 60
"""Of a property that says nothing else."""

_STRESS_FACTOR: Final = 50 if os.environ.get("TT_STRESS") else 1


def examples(number: int) -> settings:
    """Decorates a property: `number` examples always, and 50 times as many in the long form."""
    return settings(max_examples=number * _STRESS_FACTOR)
