"""How hypothesis runs here: without a deadline, and always the same in CI, but for the long form."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.property.examples import EXAMPLES_MAX, examples

# The autouse fixture that gives each test a home is made once for all examples, which is meant so.
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

_always = settings(examples(EXAMPLES_MAX), deadline=None, suppress_health_check=_SUPPRESSED)

settings.register_profile("local", _always)
settings.register_profile("ci", _always, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") and not os.environ.get("TT_STRESS") else "local")
