"""Everybody can use it: with a screen reader, in both themes, on a small screen, with much on the board, with hostile texts."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.looking import LONG_MS, is_wider_than_its_window, wait_for_live
from town import Town

FRAME_MS_MAX = 50
OPEN_TASKS = 2_000
WIDTHS = (320, 360, 1280, 2560)

PAGES = {
    "board": ("", ".card"),
    "past": ("?at=700", ".past-note"),
    "agent": ("?by=agent", ".column"),
    "parent": ("?by=parent", ".column"),
    "priority": ("?by=priority", ".column"),
    "list": ("?page=list", ".row"),
    "inbox": ("?page=inbox", "#inbox-head"),
    "agents": ("?page=agents", "#agents-head"),
    "charts": ("?page=charts", ".u-over"),
    "diff": ("?page=diff&from=100&to=200", ".difference"),
}

_VIOLATIONS = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]);
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_keeps_anybody_out(
    theme: str, past: Town, past_address: str, open_page: OpenPage, expect: Any, axe: str, screenshots: Path
) -> None:
    """axe-core finds nothing on any page; each is kept as a picture."""
    task_id = past.page().tasks[0].id
    page = open_page(past_address, color_scheme=theme)
    for name, (query, sign) in {**PAGES, "task": (f"?page=task&task={task_id}", ".history li")}.items():
        page.goto(f"{past_address}/{query}")
        expect(page.locator(sign).first).to_be_visible(timeout=LONG_MS)
        wait_for_stream(page, expect)
        page.evaluate(axe)
        assert page.evaluate(_VIOLATIONS) == [], name
        page.screenshot(path=screenshots / f"{name}-{theme}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_dialog_keeps_anybody_out(
    theme: str, town: Town, address: str, open_page: OpenPage, expect: Any, axe: str, screenshots: Path
) -> None:
    """A new task, the keys, a command and a conflict."""
    task_id = town.create("Write it", agent="ada").task.id
    page = open_page(address, color_scheme=theme, refusals="status of 409")
    wait_for_live(page, expect)
    for key, name in (("n", "new"), ("?", "keys")):
        page.keyboard.press(key)
        expect(page.locator("dialog")).to_be_visible(timeout=LONG_MS)
        page.evaluate(axe)
        assert page.evaluate(_VIOLATIONS) == [], name
        page.screenshot(path=screenshots / f"dialog-{name}-{theme}.png")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
    page.goto(f"{address}/?page=task&task={task_id}")
    page.locator('[data-verb="complete"]').click()
    town.assign(task_id, "bob")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator(".both")).to_be_visible(timeout=LONG_MS)
    page.evaluate(axe)
    assert page.evaluate(_VIOLATIONS) == []
    page.screenshot(path=screenshots / f"dialog-conflict-{theme}.png")


def test_axe_finds_what_is_wrong(past_address: str, open_page: OpenPage, expect: Any, axe: str) -> None:
    """The test above could fail: a button without a name is found."""
    page = open_page(past_address)
    wait_for_live(page, expect)
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    page.evaluate(axe)
    assert [name for name, _ in page.evaluate(_VIOLATIONS)] == ["button-name"]


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_their_window(
    width: int, past: Town, past_address: str, open_page: OpenPage, expect: Any, screenshots: Path
) -> None:
    """From 320 px on nothing is wider than the window; what is wide scrolls inside of its own part."""
    task_id = past.page().tasks[0].id
    page = open_page(past_address, width=width, height=740)
    for name, (query, sign) in {**PAGES, "task": (f"?page=task&task={task_id}", ".history li")}.items():
        page.goto(f"{past_address}/{query}")
        expect(page.locator(sign).first).to_be_attached(timeout=LONG_MS)
        wait_for_stream(page, expect)
        assert not is_wider_than_its_window(page), name
        page.screenshot(path=screenshots / f"{name}-{width}.png")


def test_two_thousand_open_tasks_scroll_smoothly(
    town: Town, address: str, tmp_path: Path, open_page: OpenPage, expect: Any
) -> None:
    """Only what can be seen is in the document, and a frame takes less than 50 ms while a column is scrolled."""
    export = tmp_path / "issues.jsonl"
    issues = [
        {"id": f"t-{number}", "title": f"Task {number} " + "word " * 12, "status": "open"}
        for number in range(OPEN_TASKS)
    ]
    export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues), encoding="utf-8")
    town.imports.beads(export)
    page = open_page(address)
    wait_for_live(page, expect)
    expect(page.locator('[data-key="pending"] .total')).to_have_text("2,000", timeout=LONG_MS)
    frames = page.evaluate("""async () => {
      const body = document.querySelector('[data-key="pending"] .column-body');
      const frames = [];
      let last = performance.now();
      for (let number = 0; number < 200; number += 1) {
        body.scrollTop += 300;
        await new Promise((resolve) => requestAnimationFrame(resolve));
        frames.push(performance.now() - last);
        last = performance.now();
      }
      return frames;
    }""")
    assert page.locator(".card").count() < 60
    assert statistics.quantiles(frames, n=20)[-1] < FRAME_MS_MAX


def test_hostile_texts_are_text(town: Town, address: str, open_page: OpenPage, expect: Any) -> None:
    """Markup, scripts, links of other kinds, letters that turn the line, terminal escapes and 64 KiB: all of it is shown."""
    script = "<script>window.isCaught = true</script><img src=x onerror='window.isCaught = true'>"
    body = f"{script}\n\n[a](javascript:window.isCaught=true) ![p](https://example.org/p.png) <b>bold</b>\n\n[good](https://example.org)"
    town.create(f"{script}\n\n{body}", alias="hostile")
    town.create("turned \u202e and \x1b[31m red")
    town.create("x" * 65_000)
    page = open_page(address)
    expect(page.locator(".card")).to_have_count(3, timeout=LONG_MS)
    expect(page.get_by_text("turned \\u202e and \\u001b[31m red")).to_be_visible()
    expect(page.locator(".card-title", has_text="<script>")).to_be_visible()
    page.goto(f"{address}/?page=task&task=hostile")
    expect(page.locator(".markdown")).to_be_visible(timeout=LONG_MS)
    targets = page.locator(".markdown a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert targets == ["https://example.org/p.png", "https://example.org"], (
        "a picture is not loaded; its address is a link"
    )
    expect(page.locator(".markdown img, .markdown script, .markdown b")).to_have_count(0)
    assert not page.evaluate("window.isCaught")


def test_theme_is_switched_and_kept(past_address: str, open_page: OpenPage, expect: Any) -> None:
    """It begins as the system says; a switch stays after the page is loaded again."""
    page = open_page(past_address, color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Light theme").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_readers_who_want_less_motion_get_none(town: Town, address: str, open_page: OpenPage, expect: Any) -> None:
    """A card that arrives is there, without an animation."""
    page = open_page(address, reduced_motion="reduce")
    wait_for_live(page, expect)
    task_id = town.create("Quietly").task.id
    card = page.locator(f'[data-task="{task_id}"]')
    expect(card).to_be_visible(timeout=LONG_MS)
    assert card.evaluate("card => getComputedStyle(card).animationName") == "none"


def wait_for_stream(page: Any, expect: Any) -> None:
    """Return once the page is connected, so that what is looked at stays."""
    expect(page.locator(".live-dot")).to_have_attribute("data-state", "live", timeout=LONG_MS)
