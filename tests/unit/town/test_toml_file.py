"""TOML files: what is read without `tomllib` is what `tomllib` reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town import SettingsError
from town.files.toml_file import _read_plain, parse_toml

LINES = (
    "",
    "  ",
    "# a comment",
    'name = "my-town"',
    'name="two words"   ',
    '  name = "#=[]"',
    "is_kept = true",
    "is_kept = false",
    "[redis]",
    "[ town ]",
    "[redis] # why",
    "[[towns]]",
    "[a.b]",
    'a.b = "c"',
    'url = "redis://127.0.0.1:1/"  # mine',
    'url = "a\\"b"',
    'url = "a" b"',
    'url = """a"""',
    "url = ''",
    "url = 'a'",
    "count = 3",
    "count = 03",
    "names = []",
    "names = [",
    "]",
    "=",
    "[]",
    '"quoted" = true',
    "é = true",
    "name",
    "name = ",
    'name = "',
    'tab\t= "a"',
    'name = "a\x7f"',
    'name = "é"',
    "name = True",
    "-_ = true",
    "1 = true",
    'name = "a"\r',
)


@given(st.lists(st.sampled_from(LINES), max_size=6))
def test_plain_file_is_read_as_tomllib_reads_it(lines: list[str]) -> None:
    """Whatever stands in it: the same tables, or it is left to tomllib."""
    content = "\n".join(lines).encode()
    plain = _read_plain(content)
    if plain is not None:
        assert plain == tomllib.loads(content.decode())


def test_what_tt_init_writes_is_plain() -> None:
    """So most commands need no tomllib."""
    content = b'name = "my-town"\n\n[redis]\nurl = "redis://127.0.0.1:6379/0"\n'
    assert _read_plain(content) == {"name": "my-town", "redis": {"url": "redis://127.0.0.1:6379/0"}}


@pytest.mark.parametrize(
    "content", [b'name = "a"\nname = "b"\n', b"[redis]\n[redis]\n", b"name = \n", b"\xff", b"a = 'b\n"]
)
def test_file_that_is_no_toml_is_refused(content: bytes) -> None:
    """In the words of tomllib, with the file's name."""
    with pytest.raises(SettingsError, match=r"town\.toml: is not TOML"):
        parse_toml(Path("town.toml"), content)
