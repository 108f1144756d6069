"""Everybody can use it: with a screen reader, in both themes, on a small screen, with much on the board, with hostile texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.looking import LONG_MS, SCROLL, is_wider_than_its_window, wait_for_live, wait_for_stream
from town import Town

FRAME_MS_MAX = 50
OPEN_TASKS = 2_000
SCROLLS = 100
WIDTHS = (320, 360, 2560)

PAGES = {
    "board": ("", ".card"),
    "past": ("?at=100", ".past-note"),
    "agent": ("?by=agent", ".column"),
    "parent": ("?by=parent", ".column"),
    "priority": ("?by=priority", ".column"),
    "list": ("?page=list", ".row"),
    "inbox": ("?page=inbox", "#inbox-head"),
    "agents": ("?page=agents", "#agents-head"),
    "charts": ("?page=charts", ".u-over"),
    "diff": ("?page=diff&from=40&to=120", ".difference"),
    "task": ("?page=task&task=plan-1", ".history li"),
}

_VIOLATIONS = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]);
}"""
# What is there is the same in both themes, but for its colours.
_COLOURS = _VIOLATIONS.replace("{ resultTypes", '{ runOnly: ["color-contrast"], resultTypes')


def violations(page: Any, axe: str, expect: Any) -> list[Any]:
    """What axe-core finds on the page as it is, in the light and in the dark theme."""
    page.evaluate(axe)
    found: list[Any] = page.evaluate(_VIOLATIONS)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark", timeout=LONG_MS)
    found += page.evaluate(_COLOURS)
    page.emulate_media(color_scheme="light")
    return found


@pytest.mark.parametrize("name", PAGES)
def test_page_keeps_nobody_out(name: str, shown_address: str, open_page: OpenPage, expect: Any, axe: str) -> None:
    """axe-core finds nothing on it in either theme, and from 320 px on it is not wider than the window."""
    query, sign = PAGES[name]
    page = open_page(f"{shown_address}/{query}", color_scheme="light", reduced_motion="reduce")
    expect(page.locator(sign).first).to_be_visible(timeout=LONG_MS)
    wait_for_stream(page, expect)
    assert violations(page, axe, expect) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        assert not is_wider_than_its_window(page), width


def test_no_dialog_keeps_anybody_out(town: Town, address: str, open_page: OpenPage, expect: Any, axe: str) -> None:
    """A new task, the keys, a command and a conflict, in both themes."""
    task_id = town.create("Write it", agent="ada").task.id
    page = open_page(address, color_scheme="light", refusals="status of 409", reduced_motion="reduce")
    wait_for_live(page, expect)
    for key, name in (("n", "new"), ("?", "keys")):
        page.keyboard.press(key)
        expect(page.locator("dialog")).to_be_visible(timeout=LONG_MS)
        assert violations(page, axe, expect) == [], name
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
    page.goto(f"{address}/?page=task&task={task_id}")
    page.locator('[data-verb="complete"]').click()
    town.assign(task_id, "bob")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator(".both")).to_be_visible(timeout=LONG_MS)
    assert violations(page, axe, expect) == []


def test_axe_finds_what_is_wrong(town: Town, address: str, open_page: OpenPage, expect: Any, axe: str) -> None:
    """The tests above could fail: a button without a name is found, and a text that can hardly be read in the dark."""
    assert town.count_states()
    page = open_page(address, color_scheme="light", reduced_motion="reduce")
    wait_for_live(page, expect)
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    page.evaluate("""() => {
      const faint = document.createElement('p');
      faint.textContent = 'Hard to read on a dark page';
      faint.style.color = '#222';
      document.querySelector('main').append(faint);
    }""")
    assert [name for name, _ in violations(page, axe, expect)] == ["button-name", "color-contrast"]


def test_two_thousand_open_tasks_scroll_smoothly(
    town: Town, address: str, tmp_path: Path, open_page: OpenPage, expect: Any
) -> None:
    """Only what can be seen is in the document, and a frame takes less than 50 ms while a column is scrolled.

    The time is the processor's for the page's thread, because other tests run beside this one; tests/benchmarks/page.py
    has the clock's.
    """
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
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _task_seconds(devtools)
    page.evaluate(SCROLL, SCROLLS)
    frame_ms = (_task_seconds(devtools) - before) * 1_000 / SCROLLS
    assert page.locator('[data-key="pending"] li').last.get_attribute("aria-posinset") > "2"
    assert page.locator(".card").count() < 60
    assert 0 < frame_ms < FRAME_MS_MAX


def _task_seconds(devtools: Any) -> float:
    """How long the page's thread was on the processor for all its tasks."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


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


def test_theme_is_switched_and_kept(shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """It begins as the system says; a switch stays after the page is loaded again."""
    page = open_page(shown_address, color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Light theme").click()
    page.reload()
    expect(page.get_by_role("button", name="Dark theme")).to_be_visible(timeout=LONG_MS)
    assert page.locator("html").get_attribute("data-theme") == "light"


def test_readers_who_want_less_motion_get_none(town: Town, address: str, open_page: OpenPage, expect: Any) -> None:
    """A card that arrives is there, without an animation."""
    page = open_page(address, reduced_motion="reduce")
    wait_for_live(page, expect)
    task_id = town.create("Quietly").task.id
    card = page.locator(f'[data-task="{task_id}"]')
    expect(card).to_be_visible(timeout=LONG_MS)
    assert card.evaluate("card => getComputedStyle(card).animationName") == "none"
