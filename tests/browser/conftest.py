"""What tests in a real browser get: Chromium, pages that fail on a console error, and served towns.

Where playwright or Chromium is missing, they are skipped and say so.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.browser import scene
from tests.browser.chromium import launched, what_lacks
from tests.browser.serving import serving
from tests.support.towns import end_server
from tests.support.tracker import REAL, skip_without, versions
from town import Town

WIDTH, HEIGHT = 1280, 800

OpenPage = Callable[..., Any]


@pytest.fixture(scope="session")
def expect(browser: Any) -> Any:
    """playwright's `expect`, which waits for what it expects."""
    assert browser.is_connected()
    return importlib.import_module("playwright.sync_api").expect


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window; one for all tests of a process."""
    lacking = what_lacks()
    if lacking is not None:
        pytest.skip(lacking)
    with launched() as chromium:
        yield chromium


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Opens an address in a browser of its own; at the end of the test, no page has had an error in its console."""
    complaints: list[str] = []
    with ExitStack() as contexts:

        def open_(
            address: str, *, width: int = WIDTH, height: int = HEIGHT, refusals: str | None = None, **options: Any
        ) -> Any:
            """`refusals` matches what the browser itself notes of requests that are to be refused."""

            def note(said: Any) -> None:
                if said.type in ("error", "warning") and not (refusals and re.search(refusals, said.text)):
                    complaints.append(said.text)

            def refuse(dialog: Any) -> None:
                complaints.append(f"dialog: {dialog.message}")
                dialog.dismiss()

            context = browser.new_context(viewport={"width": width, "height": height}, timezone_id="UTC", **options)
            contexts.callback(context.close)
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", refuse)
            page.goto(address)
            return page

        yield open_
    assert complaints == []


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """An empty town on its own server."""
    with Town.init(tmp_path / "town", name="shown", actor="owner", is_registered=False) as opened:
        yield opened
    end_server(tmp_path / "town")


@pytest.fixture
def address(town: Town) -> Iterator[str]:
    """Where the empty town is served."""
    with serving(town.folder) as found:
        yield found


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The made-up town of `scene`, for looks. No test changes it."""
    folder = tmp_path_factory.mktemp("shown") / "town"
    with Town.init(folder, name="shop", actor="owner", is_registered=False) as town:
        scene.fill(town, folder.parent)
        yield town
    end_server(folder)


@pytest.fixture(scope="session")
def shown_address(shown: Town) -> Iterator[str]:
    with serving(shown.folder) as found:
        yield found


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town with a long past, that of a real tracker. No test changes it."""
    skip_without(REAL)
    folder = tmp_path_factory.mktemp("past") / "town"
    export = folder.parent / "issues.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder.parent))
        with Town.init(folder, name="tracker", actor="owner", is_registered=False) as town:
            for time, issues in versions(REAL):
                export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues.values()), encoding="utf-8")
                town.imports.beads(export, prune=True, backdate=datetime.fromisoformat(time))
            yield town
    end_server(folder)


@pytest.fixture(scope="session")
def past_address(past: Town) -> Iterator[str]:
    """Where the town with a long past is served."""
    with serving(past.folder) as found:
        yield found


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which looks for what keeps people out."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed; it brings axe-core")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
