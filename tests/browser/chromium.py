"""Chromium without a window, for tests and for the benchmark of the page. TT_CHROMIUM names another program."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES: Final = ("chromium", "chromium-browser")
# A container has no sandbox of the browser's kind, and little shared memory.
ARGUMENTS: Final = ("--no-sandbox", "--disable-dev-shm-usage")


def what_lacks() -> str | None:
    """Why no browser can be started here; None if one can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed; `make test` installs it"
    if _program() is None:
        return "Chromium is not on PATH; Debian's package is chromium, and TT_CHROMIUM names another program"
    return None


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser. One thread has at most one of them at a time, which is playwright's rule."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not installed everywhere

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=_program(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def _program() -> str | None:
    named = os.environ.get("TT_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)
