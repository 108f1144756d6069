"""What tests in a real browser get: Chromium, pages that fail on a console error, and served towns.

Where playwright or Chromium is missing, they are skipped and say so. TT_CHROMIUM names another program, and
TT_SCREENSHOTS a folder that keeps the screenshots.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.browser.serving import serving
from tests.support.towns import end_server
from town import Town

DATA = "shared/data/tracker-history.jsonl.gz"
MADE_UP = Path(__file__).parents[1] / "acceptance" / "data" / "tracker-history.jsonl"
WIDTH, HEIGHT = 1280, 800

OpenPage = Callable[..., Any]


@pytest.fixture(scope="session")
def expect() -> Any:
    """playwright's `expect`, which waits for what it expects."""
    return _playwright().expect


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    program = os.environ.get("TT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not on PATH; TT_CHROMIUM names it")
    with _playwright().sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


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

            context = browser.new_context(viewport={"width": width, "height": height}, timezone_id="UTC", **options)
            contexts.callback(context.close)
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
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
    with _served(town.folder) as found:
        yield found


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town with a long past: a real tracker's where its data lies beside the checkout, else a made-up one's."""
    folder = tmp_path_factory.mktemp("past") / "town"
    export = folder.parent / "issues.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder.parent))
        with Town.init(folder, name="tracker", actor="owner", is_registered=False) as town:
            for time, issues in _versions():
                export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues.values()), encoding="utf-8")
                town.imports.beads(export, prune=True, backdate=datetime.fromisoformat(time))
            yield town
    end_server(folder)


@pytest.fixture(scope="session")
def past_address(past: Town) -> Iterator[str]:
    """Where the town with a past is served. No test changes it."""
    with _served(past.folder) as found:
        yield found


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept."""
    kept = os.environ.get("TT_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which looks for what keeps people out."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed; it brings axe-core")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def _served(folder: Path) -> Any:
    if importlib.util.find_spec("web.serving") is None:
        pytest.skip("this program has no tt serve")
    return serving(folder)


def _playwright() -> Any:
    return pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def _versions() -> Iterator[tuple[str, dict[str, Any]]]:
    """(time, all issues) of each version of the tracker, in order."""
    real = next((above / DATA for above in Path(__file__).parents if (above / DATA).exists()), None)
    lines = gzip.open(real, "rt") if real else MADE_UP.open()
    issues: dict[str, Any] = {}
    with lines:
        for line in lines:
            version = json.loads(line)
            for key in version["del"]:
                issues.pop(key, None)
            issues.update(version["set"])
            yield version["time"], dict(issues)
