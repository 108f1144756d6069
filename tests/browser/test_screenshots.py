"""The pictures of the docs: `make screenshots` keeps them in docs/images, and every run of the tests makes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.looking import LONG_MS, wait_for_event, wait_for_stream
from town import Town

BYTES_MAX: Final = 150_000
WIDTH, HEIGHT = 1_280, 760


def _pictures(shown: Town) -> dict[str, tuple[str, str]]:
    """Name -> (address, what has to be there)."""
    end = shown.end().seq
    again = next(task.id for task in shown.page().tasks if task.title == "Export archived rows")
    return {
        "board": ("", ".card"),
        "past": (f"?at={end // 2}", ".past-note"),
        "task": (f"?page=task&task={again}", ".history li"),
        "diff": (f"?page=diff&from={end - 60}&to={end}", ".difference"),
        "charts": ("?page=charts", ".u-over"),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_the_docs_are_made(
    theme: str, shown: Town, shown_address: str, open_page: OpenPage, expect: Any, tmp_path: Path
) -> None:
    """The board, a moment of the past, a task, a difference and the charts; each is small enough for a page of docs."""
    folder = Path(os.environ.get("TT_SCREENSHOTS") or tmp_path)
    page = open_page("about:blank", width=WIDTH, height=HEIGHT, color_scheme=theme, reduced_motion="reduce")
    for name, (query, sign) in _pictures(shown).items():
        page.goto(f"{shown_address}/{query}")
        expect(page.locator(sign).first).to_be_visible(timeout=LONG_MS)
        wait_for_stream(page, expect)
        if name == "past":
            wait_for_event(page, expect, shown.end().seq // 2)
        expect(page.locator(".strip")).to_have_attribute("aria-valuemax", str(shown.end().seq), timeout=LONG_MS)
        picture = folder / f"{name}-{theme}.png"
        page.screenshot(path=picture)
        assert 10_000 < picture.stat().st_size < BYTES_MAX, name
