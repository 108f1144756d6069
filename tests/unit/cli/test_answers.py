"""What a page of tasks says of those that it does not show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from cli.answers import say_page
from projections import Page
from tests.support.builders import a_task
from town import Reader, Town

NOBODY = cast("Town", None)
NOW = cast("Reader", SimpleNamespace(then=None, time_ms=lambda: 0))
PAGES = [
    (Page((a_task(),), 1, has_more=False), "", ""),
    (Page((a_task(),), 9, has_more=True), "", "5 of 9 tasks shown. More: --offset 5\n"),
    (Page((a_task(),), None, has_more=True), "", "5 of more than 1,000 tasks shown. More: --offset 5\n"),
    (Page((), 3, has_more=False), "3 tasks in all, none after the first 4.\n", ""),
    (Page((), 0, has_more=False), "Nothing.\n", ""),
]


@pytest.mark.parametrize(("page", "out", "err"), PAGES)
def test_page_says_whether_there_are_more(page: Page, out: str, err: str, capsys: pytest.CaptureFixture[str]) -> None:
    """How many there are is said where it was counted, and where the next page begins in any case."""
    say_page(NOBODY, NOW, page, at=None, offset=4, as_json=None, empty="Nothing.")
    said = capsys.readouterr()
    assert said.err == err
    assert said.out == out or page.tasks
