"""How hypothesis runs here: without a deadline, and always the same in CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The autouse fixture that gives each test a home is made once for all examples, which is meant so.
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

settings.register_profile("local", deadline=None, max_examples=100, suppress_health_check=_SUPPRESSED)
settings.register_profile(
    "ci", deadline=None, max_examples=100, derandomize=True, database=None, suppress_health_check=_SUPPRESSED
)
settings.load_profile("ci" if os.environ.get("CI") else "local")
