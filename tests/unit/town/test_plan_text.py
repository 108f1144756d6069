"""Where things stand in a plan's text, and edits that leave all else as it is."""

from __future__ import annotations

import pytest
import tomli

from town.plans.plan import Value
from town.plans.text import Outline, edited, rendered

TEXT = """\
# top
[meta]  # of the plan
description = '''
[[tasks]]
no = "task"'''  # a text

# about a
[[tasks]]  # first
  id = "a"   # its name
"description" = \"\"\"two
lines\"\"\"
tags = [  # tags
  "x", # ex

  'y',
]  # end
sub.key = [1, [2, "]"], { a = "#" }]

# apart

# about b
# and more
[[tasks]]
id = "b"
description = "B" # bee
status = "pending"
[tasks.extra]
[[tasks.extra.deep]]
k = 1

[other]
k = 2

[[tasks]]
id = "c"
description = "C"
# right below c

# the end
"""


def change(task: int, values: dict[str, Value], text: str = TEXT) -> str:
    """The text after one task's values are changed; it still is TOML."""
    after = edited(Outline(text), changed={task: values}, dropped=[], added=[])
    tomli.loads(after)
    return after


def test_outline_finds_tables_and_statements_as_a_parser_does() -> None:
    """Also behind texts and comments that look like tables."""
    outline = Outline(TEXT)
    assert [outline.tables[number].statements[0].start for number in outline.tasks] == [
        TEXT.index('id = "a"'),
        TEXT.index('id = "b"'),
        TEXT.index('id = "c"'),
    ]
    assert [".".join(table.path) for table in outline.tables] == [
        *("meta", "tasks", "tasks", "tasks.extra", "tasks.extra.deep", "other", "tasks"),
    ]
    assert [statement.keys for statement in outline.tables[1].statements] == [
        ("id",),
        ("description",),
        ("tags",),
        ("sub", "key"),
    ]
    assert tomli.loads(TEXT)["tasks"][0]["sub"] == {"key": [1, [2, "]"], {"a": "#"}]}


@pytest.mark.parametrize(
    ("place", "line", "column"),
    [
        ({"key": "meta.description"}, 3, 15),
        ({"key": "meta"}, 2, 1),
        ({"task": 0}, 8, 1),
        ({"task": 0, "key": "id"}, 9, 8),
        ({"task": 0, "key": "description"}, 10, 17),
        ({"task": 0, "key": "tags"}, 12, 8),
        ({"task": 0, "key": "tags", "item": 1}, 15, 3),
        ({"task": 0, "key": "sub", "item": 1}, 17, 15),
        ({"task": 1, "key": "extra"}, 27, 1),
        ({"task": 2, "key": "missing"}, 34, 1),
        ({"key": "nowhere"}, 1, 1),
    ],
)
def test_place_has_line_and_column(place: dict[str, object], line: int, column: int) -> None:
    """Of a value, else of the header; from 1, as editors count."""
    outline = Outline(TEXT)
    assert outline.line_and_column(outline.place(**place)) == (line, column)  # type: ignore[arg-type]  # as given above


def test_value_changes_and_all_else_stays() -> None:
    """Comments behind and beside it, blanks, quotes of the key and the order."""
    assert change(0, {"id": "z"}) == TEXT.replace('id = "a"   #', 'id = "z"   #')
    assert change(1, {"status": "completed"}) == TEXT.replace('"pending"', '"completed"')
    assert change(0, {"description": "one"}) == TEXT.replace('"""two\nlines"""', '"one"')


def test_new_keys_stand_in_the_order_of_the_reference() -> None:
    """Behind the last of those that come before them, not behind comments that belong to the next task."""
    assert change(2, {"result": "ok", "agent": "ada", "status": "failed"}) == TEXT.replace(
        'description = "C"\n', 'description = "C"\nagent = "ada"\nstatus = "failed"\nresult = "ok"\n'
    )
    assert change(1, {"parent": "a"}) == TEXT.replace('"pending"\n', '"pending"\nparent = "a"\n')
    assert change(0, {"result": "ok"}) == TEXT.replace("]  # end\n", ']  # end\nresult = "ok"\n')


def test_key_goes_and_its_comment_stays() -> None:
    """The whole line, unless there is a comment behind it."""
    assert change(1, {"status": None}) == TEXT.replace('status = "pending"\n', "")
    assert change(1, {"description": None}) == TEXT.replace('description = "B" # bee', "# bee")
    assert change(2, {"agent": None}) == TEXT


@pytest.mark.parametrize(
    ("tags", "after"),
    [
        (("x", "y", "z"), '[  # tags\n  "x", # ex\n  \'y\',\n  "z",\n]'),
        (("y",), "[  # tags\n   # ex\n  'y',\n]"),
        ((), "[  # tags\n   # ex\n]"),
        (("a, b", "x"), '[  # tags\n  "x", # ex\n  "a, b",\n]'),
    ],
)
def test_tags_change_and_comments_among_them_stay(tags: tuple[str, ...], after: str) -> None:
    """What stays keeps its place, what is new comes at the end."""
    found = change(0, {"tags": tags})
    assert found == TEXT.replace(TEXT[TEXT.index("[  # tags") : TEXT.index("  # end")], after)
    assert sorted(tomli.loads(found)["tasks"][0]["tags"]) == list(tags)


@pytest.mark.parametrize(
    ("before", "tags", "after"),
    [
        ('["b", "a"]', ("a", "b", "c"), '["b", "a", "c"]'),
        ("[ 'b' , \"a\", ]", ("b",), '["b"]'),
        ("[]", ("a",), '["a"]'),
        ('["a"]', (), "[]"),
        ('["a",\n"b"]', ("b", "c"), '[\n"b",\n"c",\n]'),
        ('[\n"a"]', ("a", "c"), '[\n"a",\n"c",\n]'),
    ],
)
def test_tags_keep_their_order_in_the_file(before: str, tags: tuple[str, ...], after: str) -> None:
    """On one line or on several; tags that are the same in another order are no change to begin with."""
    text = f'[[tasks]]\nid = "a"\ntags = {before}\n'
    assert change(0, {"tags": tags}, text) == text.replace(before, after)


@pytest.mark.parametrize("sign", ["\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}", "\x85"])
def test_sign_that_others_take_for_a_line_end_stays_in_a_comment(sign: str) -> None:
    """TOML has no such line ends, and what stands behind one is still the comment."""
    text = f'[[tasks]]\nid = "a"\ntags = [\n  "x", # a{sign}b\n]\n'
    after = edited(Outline(text), changed={0: {"tags": ("x", "y")}}, dropped=[], added=[])
    assert after == f'[[tasks]]\nid = "a"\ntags = [\n  "x", # a{sign}b\n  "y",\n]\n'


def test_dropped_task_takes_its_comments_and_tables_with_it() -> None:
    """Those right above its header and right below its last line; comments that stand apart stay."""
    outline = Outline(TEXT)
    without_b = edited(outline, changed={}, dropped=[1], added=[])
    assert without_b == TEXT[: TEXT.index("# about b")] + TEXT[TEXT.index("[other]") :]
    without_c = edited(outline, changed={}, dropped=[2], added=[])
    assert without_c == TEXT[: TEXT.index('[[tasks]]\nid = "c"')] + "# the end\n"
    assert edited(outline, changed={}, dropped=[0], added=[]).startswith(TEXT[: TEXT.index("# about a")] + "# apart\n")


def test_added_tasks_come_at_the_end_an_empty_line_apart() -> None:
    """Whether the text ends its last line or not; empty values are left out."""
    table: dict[str, Value] = {
        "id": "z",
        "description": "Z",
        "agent": "",
        "status": "pending",
        "tags": (),
        "parent": None,
    }
    block = '[[tasks]]\nid = "z"\ndescription = "Z"\nagent = ""\nstatus = "pending"\n'
    for text, between in (("", ""), ("# x", "\n\n"), ("# x\n", "\n"), ("# x\n\n", "")):
        assert (
            edited(Outline(text), changed={}, dropped=[], added=[table, table]) == text + between + block + "\n" + block
        )


def test_text_with_windows_line_ends_keeps_them() -> None:
    """Also in what is new."""
    text = TEXT.replace("\n", "\r\n")
    after = edited(
        Outline(text),
        changed={0: {"tags": ("x", "z"), "result": "two\nlines"}, 2: {"agent": "ada"}},
        dropped=[1],
        added=[{"id": "d", "description": "D"}],
    )
    assert "\n" not in after.replace("\r\n", "")
    tasks = tomli.loads(after)["tasks"]
    assert [task["id"] for task in tasks] == ["a", "c", "d"]
    assert (tasks[0]["tags"], tasks[0]["result"]) == (["x", "z"], "two\nlines")


@pytest.mark.parametrize(
    "text",
    ["", "x", 'a"b', "\\", "a\nb", "\n", 'a\n"""b', "a\r\nb", "a\rb\n", "\t", "\x1f\x7f", "✅", "\u2028", "'''\n"],
)
def test_rendered_text_is_read_as_it_was(text: str) -> None:
    """Every text comes back, in a file of either kind of line end."""
    written = f"value = {rendered(text)}\n"
    assert tomli.loads(written)["value"] == text
    if "\r" not in text:
        assert tomli.loads(written.replace("\n", "\r\n"))["value"] == text


def test_tasks_in_an_inline_list_are_seen() -> None:
    """They are TOML, but no tables that can be edited one by one."""
    assert Outline('tasks = [{ id = "a" }]').has_tasks_elsewhere
    assert not Outline(TEXT).has_tasks_elsewhere
