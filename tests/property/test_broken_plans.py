"""Plans that were cut or spoilt: whatever the damage, the answer is a list of faults and never a mistake of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.property.examples import examples
from town import PlacedFault, PlanRefusedError, read_plan_file

PLAN = """\
# Sprint ✅
[meta]
description = "Sprint"  # one
default_agent = 'bob'

# The API comes first.
[[tasks]]
id = "auth"
description = \"\"\"Build it,
[[tasks]] and \\"all\\"
"\"\"\"
tags = [  # why
  "api", 'b#ug',
  "P0",
]
estimate = { hours = 2, "un\\u0069t" = [1, [2]] }
[tasks.extra]
k = '''x
y'''

[[tasks]] # second
"id"="docs"
description = "Tell ✅"
status = "running"
parent = "auth"
agent = "ada"
tags = []
result = "" # none
"""
SIGNS = (
    "",
    "\n",
    "\r",
    '"',
    "'",
    '"""',
    "'''",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    "=",
    ".",
    "#",
    "\\",
    "\x00",
    " ",
    "é",
    "1",
)

edits = st.tuples(st.integers(0, len(PLAN)), st.integers(0, 3), st.sampled_from(SIGNS))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken") / "tasks.toml"


def assert_read_or_refused(path: Path, content: bytes) -> None:
    """Read it; a refusal names places within the file, up to its end."""
    path.write_bytes(content)
    faults: tuple[PlacedFault, ...] = ()
    try:
        read_plan_file(path)
    except PlanRefusedError as refusal:
        faults = refusal.faults
    lines = content.count(b"\n") + 1
    assert all(1 <= fault.line <= lines and fault.column >= 1 for fault in faults)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_plan_that_is_cut_at_any_byte_is_read_or_refused(path: Path, newline: str) -> None:
    """As a half-written file is. A cut inside a text once ended in an AssertionError."""
    content = PLAN.replace("\n", newline).encode()
    for length in range(len(content) + 1):
        assert_read_or_refused(path, content[:length])


@examples(400)
@given(changes=st.lists(edits, min_size=1, max_size=4))
def test_plan_with_small_damage_is_read_or_refused(path: Path, changes: list[tuple[int, int, str]]) -> None:
    """Signs lost, doubled or in the wrong place."""
    text = PLAN
    for place, lost, sign in changes:
        text = text[:place] + sign + text[place + lost :]
    assert_read_or_refused(path, text.encode())


LINES = PLAN.splitlines(keepends=True)


@examples(200)
@given(
    lines=st.lists(
        st.sampled_from([*LINES, "[[tasks]\n", 'id = "a"\n', "description = bare\n", "[tasks]\n", "tasks = [\n"])
    )
)
@example(lines=["[[tasks]]\n", 'id = "a"\n', 'id = "a"\n', "[[tasks]\n", "description = bare\n"])
def test_lines_of_plans_in_any_order_are_read_or_refused(path: Path, lines: list[str]) -> None:
    """As after a merge that went wrong."""
    assert_read_or_refused(path, "".join(lines).encode())
