"""The examples of the documentation run, and print what the pages show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bindings import Bindings
from tests.support.markdown import DOCS, ROOT, blocks, page_name, pages
from tests.support.page_runner import run_page

RUN_LANGUAGES = {"console", "python"}
PAGES = [page for page in pages() if any(block.language in RUN_LANGUAGES for block in blocks(page.read_text("utf-8")))]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_examples_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    """Every command and every Python block of the page runs, in order, with the output that the page shows."""
    problems = [printed.problem for printed in run_page(page, tmp_path) if printed.problem is not None]
    assert not problems, "\n".join(problems)


def test_pages_show_no_errors_of_python() -> None:
    """What is written into a page was read by somebody: a warning of the tests' interpreter once stood in one."""
    errors = ("Traceback (most recent call last)", "ResourceWarning", "Exception ignored in")
    assert not [page_name(page) for page in pages() if any(words in page.read_text("utf-8") for words in errors)]


def test_pages_that_teach_have_examples() -> None:
    """The README, the tutorial and every how-to have examples that run."""
    taught = [ROOT / "README.md", *sorted((DOCS / "tutorial").glob("*.md")), *sorted((DOCS / "howto").glob("*.md"))]
    assert set(taught) <= set(PAGES)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (["task 550e8400 is there"], ["task 7106d568 is there"]),
        (["at 1795458297474-2"], ["at 1795399999999-2"]),
        (["2026-11-23 18:24:57 done"], ["2027-01-01 00:00:00 done"]),
        (["Valkey 9.1.2"], ["Valkey 10.0.0"]),
        (["one", "…", "four"], ["one", "two", "three", "four"]),
        (["…"], []),
        (["it says …"], ["it says something"]),
    ],
)
def test_comparison_lets_through_what_differs_each_time(expected: list[str], actual: list[str]) -> None:
    """Ids, positions, times, versions and what … stands for may differ."""
    assert Bindings().compare(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (["done"], ["failed"]),
        (["done"], []),
        ([], ["done"]),
        (["at 1795458297474-2"], ["at 1795458297474-3"]),
        (["550e8400 and 550e8400"], ["7106d568 and af8d99ee"]),
        (["one", "…", "four"], ["one", "two"]),
    ],
)
def test_comparison_tells_what_is_wrong(expected: list[str], actual: list[str]) -> None:
    """Another word, another number, a missing or further line, and one id for two tasks are told."""
    assert Bindings().compare(expected, actual) is not None


def test_bound_names_fill_later_commands() -> None:
    """An id of the page stands for this run's id wherever a later command names it, whole or shortened."""
    bindings = Bindings()
    shown = "550e8400-e29b-41d4-a716-446655440000"
    actual = "7106d568-7338-4cfd-b120-595949339bae"
    assert bindings.compare([f"Task {shown}"], [f"Task {actual}"]) is None
    assert bindings.fill("tt task show 550e8400") == "tt task show 7106d568"
    assert bindings.as_on_page(f"GET {actual}") == f"GET {shown}"
