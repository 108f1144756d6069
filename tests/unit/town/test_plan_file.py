"""The file of a plan: faults with their places, what is refused unread, and how it is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from town import FolderRefusedError, PlanExistsError, PlanMissingError, PlanRefusedError
from town.errors import PlanTooLargeError
from town.plans.file import (
    PLAN_BYTES_MAX,
    STARTER,
    make_plan_file,
    read_plan_file,
    write_plan_file,
)
from town.plans.plan import Plan
from town.plans.toml import BAD_LINES_MAX, Parsed

GOOD = '[[tasks]]\nid = "a"\ndescription = "A"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.toml"


def read(path: Path, text: str) -> Plan:
    path.write_bytes(text.encode())
    return read_plan_file(path).plan


def faults(path: Path, text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(PlanRefusedError) as caught:
        read(path, text)
    assert caught.value.path == path
    return [(fault.line, fault.column, fault.problem) for fault in caught.value.faults]


def test_starter_is_a_plan_of_one_task(path: Path) -> None:
    """And stays one where all that it suggests is taken up."""
    make_plan_file(path)
    assert [task.id for task in read_plan_file(path).plan.tasks] == ["example-1"]
    taken_up = "\n".join(
        line.removeprefix("# ") if "=" in line or "[[" in line else line for line in STARTER.splitlines()
    )
    plan = read(path, taken_up)
    assert [(task.id, task.agent, task.parent) for task in plan.tasks] == [
        ("example-1", "worker-1", None),
        ("example-2", None, "example-1"),
    ]
    assert (plan.default_agent, plan.not_understood) == ("worker-1", ())


def test_starter_is_never_written_over_a_file(path: Path) -> None:
    """Whatever is there stays."""
    path.write_text("mine")
    with pytest.raises(PlanExistsError, match="is there already"):
        make_plan_file(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("target", ["nowhere.toml", "tasks.toml"])
def test_starter_is_never_written_over_a_link(path: Path, target: str) -> None:
    """Also where it leads nowhere or in a circle."""
    path.symlink_to(target)
    with pytest.raises(PlanExistsError):
        make_plan_file(path)
    assert list(path.parent.iterdir()) == [path]


LINK, RENAME = "pathlib.Path.hardlink_to", "pathlib.Path.replace"


def refuse(*_: object) -> None:
    raise OSError(errno.EFBIG, "File too large")


@pytest.mark.parametrize("steps", [["os.fsync"], [LINK, RENAME]], ids=["writing", "naming"])
def test_starter_is_there_whole_or_not_at_all(path: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk once left an empty file, which the next attempt would not write over."""
    for step in steps:
        monkeypatch.setattr(step, refuse)
    with pytest.raises(FolderRefusedError, match=r"tasks\.toml cannot be used: File too large\. There is a limit"):
        make_plan_file(path)
    assert list(path.parent.iterdir()) == []


def test_starter_is_written_where_the_disk_has_no_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And never over a file there either."""
    monkeypatch.setattr(LINK, refuse)
    make_plan_file(path)
    assert path.read_text() == STARTER
    path.write_text("mine")
    with pytest.raises(PlanExistsError):
        make_plan_file(path)
    assert path.read_text() == "mine"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = \n" + GOOD, [(1, 5, "invalid value")]),
        (GOOD + "tags = [1\nb = 2\n", [(5, 1, "unclosed array")]),
        ("x = 1\nx = 2\ny = \n", [(2, 6, "cannot overwrite a value"), (3, 5, "invalid value")]),
        (GOOD + '[[tasks]\nid = "b"\n', [(4, 8, "expected ']]'")]),
        (GOOD + '[[tasks]]\nid = "b\ndescription = "B"\nparent = "a"\n', [(5, 8, "illegal character")]),
        (GOOD + '[[tasks]]\nid = "b\ndescription = ""\n', [(5, 8, "illegal character"), (6, 15, "is empty")]),
        ("a = " + "[" * 3_000, [(1, 1, "too deep")]),
        ("a = " + "1" * 5_000, [(1, 1, "digit")]),
        ("tasks = []\n", [(1, 9, "[[tasks]]")]),
        ('tasks = [{ id = "a", description = "[[tasks]]" }]\n', [(1, 9, "[[tasks]]")]),
    ],
    ids=range(10),
)
def test_every_line_that_is_not_toml_is_told(path: Path, text: str, found: list[tuple[int, int, str]]) -> None:
    """Where a bad line stands by itself, the faults of the lines after it are told too, and none is made up."""
    told = faults(path, text)
    assert [(line, column) for line, column, _ in told] == [(line, column) for line, column, _ in found]
    assert all(words in problem for (_, _, problem), (_, _, words) in zip(told, found, strict=True))


@pytest.mark.parametrize("text", ["nonsense\n" * 100, "[[tasks]]\nid =\ndescription =\n" * 50])
def test_bad_lines_are_looked_for_up_to_a_number(path: Path, text: str) -> None:
    """A file of another kind is not parsed again and again. A text with tasks once ended in an AssertionError there."""
    assert len(faults(path, text)) == BAD_LINES_MAX


@pytest.mark.parametrize(
    "text",
    [
        '[[tasks]]\nid="a"\ndescription="""x\n\nfoo',
        '[[tasks]]\nid = "a"\nid = "b"\n[[tasks]\ndescription = bare\n',
    ],
)
def test_text_that_does_not_parse_is_not_looked_through(path: Path, text: str) -> None:
    """Places are looked up in what was parsed; in the text as it is they once led to an AssertionError or IndexError."""
    assert all("not TOML" in problem for _, _, problem in faults(path, text))


TWO = """\
[[tasks]]
id = "a"
description = "A"
status = "done"
{broken}
[[tasks]]
id = "b"
description = "B"
status = "zzz"
"""


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ('tags = ["q",\n# more', [(7, 3, "the list was opened in line 5")]),
        ('tags = ["q",\nresult = ""\n', [(6, 1, "invalid value; the list was opened in line 5")]),
        ('tags = [\n  "q" "r",\n  "s",\n]\nagent = 1\n', [(6, 7, "was opened in line 5"), (9, 9, "agent is not")]),
        ('tags = ["q" "r",\n  "s",\n]\nagent = 1\n', [(5, 13, "unclosed array"), (8, 9, "agent is not")]),
        ('result = """x\n\n', [(12, 1, "unterminated string; the text was opened in line 5")]),
        ("result = '''x\n\n", [(12, 1, "the text was opened in line 5")]),
        ('result = """\n\\q\n"""\nagent = 1\n', [(6, 3, "the text was opened in line 5"), (8, 9, "agent is not")]),
        ("extra = { a = 1,\n b = }\nagent = 1\n", [(6, 6, "the table was opened in line 5"), (7, 9, "agent is not")]),
        ('tags = ["a",\n]\ntags = ["b",\n]\nagent = 1\n', [(8, 2, "cannot overwrite"), (9, 9, "agent is not")]),
        ("# \x01\nagent = 1\n", [(5, 3, "invalid character"), (6, 9, "agent is not")]),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_list_or_text_that_is_not_closed_hides_only_the_rest_of_its_task(
    path: Path, broken: str, found: list[tuple[int, int, str]], newline: str
) -> None:
    """The line that it was opened in is named, and the faults before it and of the tasks after it are told.

    Of a file with one such list nothing else was told.
    """
    text = TWO.format(broken=broken)
    told = faults(path, text.replace("\n", newline))
    last = text.count("\n")
    expected = [(4, 10, "the status 'done'"), *found, (last, 10, "the status 'zzz'")]
    assert sorted((line, column) for line, column, _ in told) == sorted((line, column) for line, column, _ in expected)
    assert all(any(words in problem for _, _, problem in told) for _, _, words in expected), told


def test_text_that_ends_where_the_next_one_should_begin_is_told_with_its_opening(path: Path) -> None:
    """The quotes of the next text close it; the task of that one is read all the same."""
    text = GOOD.replace('"A"', '"""A') + '[[tasks]]\nid = "b"\ndescription = """B"""\nstatus = "zzz"\n'
    told = faults(path, text)
    assert [(line, column) for line, column, _ in told] == [(6, 18), (7, 10)]
    assert "the text was opened in line 3" in told[0][2]


def test_refusal_shows_twenty_faults_and_counts_the_rest(path: Path) -> None:
    """A file of another kind does not flood the terminal; the error has them all."""
    path.write_text("[[tasks]]\n" * 13)
    with pytest.raises(PlanRefusedError, match=r"… and 6 more") as caught:
        read_plan_file(path)
    assert len(caught.value.faults) == 26


def test_bytes_that_are_not_utf8_have_a_place(path: Path) -> None:
    """Columns count characters, as editors do."""
    path.write_bytes(GOOD.encode() + "x = 'ä".encode() + b"\xff'\n")
    with pytest.raises(PlanRefusedError) as caught:
        read_plan_file(path)
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [(4, 7)]


def test_byte_order_mark_and_windows_line_ends_are_fine(path: Path) -> None:
    """As editors on other systems write them."""
    assert len(read(path, "\ufeff" + GOOD.replace("\n", "\r\n")).tasks) == 1


def test_large_file_is_refused_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is asked first."""
    monkeypatch.setattr("town.plans.file.PLAN_BYTES_MAX", len(GOOD))
    assert len(read(path, GOOD).tasks) == 1
    path.write_text(GOOD + "#")
    with pytest.raises(PlanTooLargeError) as caught:
        read_plan_file(path)
    assert (caught.value.size, caught.value.size_max) == (len(GOOD) + 1, len(GOOD))
    assert PLAN_BYTES_MAX == 33_554_432


@pytest.mark.parametrize(
    "header", ["[[tasks]]", '[["tasks"]]', "[['tasks']]", "  [[ tasks ]]", '[["t\\u0061sks"]]', "[[x]]"]
)
def test_plan_of_too_many_tasks_is_refused_before_it_is_parsed(
    header: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200,000 tasks cannot be one append, so nobody waits until they are parsed and compared, however their headers are written.

    The bug looked like this: two million lines `[["tasks"]]` took minutes, and gigabytes.
    """

    def parse(_text: str) -> Parsed:
        raise AssertionError("parsed")

    monkeypatch.setattr("town.plans.file.parse_faulty_plan", parse)
    path.write_text(f"{header}\n" * 200_000)
    with pytest.raises(PlanTooLargeError, match="has 200,000 tasks, and a plan at most 100,000"):
        read_plan_file(path)


def test_missing_file_and_folder_in_its_place_are_told_apart(path: Path) -> None:
    """The first leads to --init, the second to another name."""
    with pytest.raises(PlanMissingError, match="tt plan --init"):
        read_plan_file(path)
    path.mkdir()
    with pytest.raises(FolderRefusedError, match=r"Is a directory\. Name a file\."):
        read_plan_file(path)


def test_links_in_a_circle_are_no_matter_of_permissions(path: Path) -> None:
    """What to do fits what is wrong."""
    path.symlink_to(path.name)
    with pytest.raises(FolderRefusedError, match="links lead in a circle"):
        read_plan_file(path)


def test_device_in_the_files_place_is_neither_read_nor_replaced(path: Path) -> None:
    """A rename would put a file where a device was, and a pipe would never end."""
    os.mkfifo(path)
    with pytest.raises(FolderRefusedError, match="not a regular file"):
        read_plan_file(path)
    with pytest.raises(FolderRefusedError, match="not a regular file"):
        write_plan_file(path, GOOD)
    assert path.is_fifo()


@pytest.mark.parametrize("text", ["tasks = []\n", '"t\\u0061sks" = []\n'])
def test_empty_list_of_tasks_is_a_fault_that_is_named(path: Path, text: str) -> None:
    """A pull could not add a table to it."""
    path.write_text(text)
    with pytest.raises(PlanRefusedError, match="not written as"):
        read_plan_file(path)


def test_written_file_keeps_its_permissions(path: Path) -> None:
    """And nothing lies beside it."""
    path.write_text("old")
    path.chmod(0o640)
    write_plan_file(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_written_file_keeps_its_owner(path: Path) -> None:
    """A pull by root once took a person's file away from them."""
    path.write_text("old")
    os.chown(path, 12_345, 54_321)
    path.chmod(0o640)
    write_plan_file(path, "new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12_345, 54_321, 0o640)


def test_file_of_another_owner_is_written_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not give files away owns the new one, as with every editor that writes by rename."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path.write_text("old")
    path.chmod(0o640)
    monkeypatch.setattr("os.fchown", refuse)
    write_plan_file(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_refused_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may only be read is not replaced, although its folder would allow it."""
    path.write_text("old")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(FolderRefusedError, match=r"tasks\.toml cannot be used: Permission denied"):
        write_plan_file(path, "new")
    assert path.read_text() == "old"


def test_long_value_is_quoted_in_part(path: Path) -> None:
    """A fault is read by people; a status may be as long as the file."""
    with pytest.raises(PlanRefusedError) as caught:
        read(path, f'[[tasks]]\nid = "a"\ndescription = "b"\nstatus = "{"x" * 100_000}"\ntags = [[{"1," * 9_999}]]\n')
    assert [len(fault.problem) < 300 for fault in caught.value.faults] == [True, True]


def test_starter_is_not_written_through_a_link(path: Path) -> None:
    """A clone may ship one that leads to a file which is not there yet."""
    target = path.with_name("elsewhere")
    path.symlink_to(target)
    with pytest.raises(PlanExistsError):
        make_plan_file(path)
    assert not target.exists()
