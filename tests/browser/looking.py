"""Looking at the page with a browser: what stands on the board, and what a page has to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ledger import State, Task
from projections import TaskFilter
from town import Reader

Page = Any
"""A page of playwright, whose types are here only where it is installed."""

SECOND_MS: Final = 1_000
LONG_MS: Final = 15_000
TALL: Final = 4_000
"""Pixels of a window in which the cards of a column are seen with few steps."""

TAGS_SHOWN: Final = 3
PRIORITY_USUAL: Final = 2


class ShownCard(NamedTuple):
    """What a card says of its task, but for ages, which go on."""

    task: str
    title: str
    agent: str
    priority: str
    tags: tuple[str, ...]


Cards = dict[str, list[ShownCard]]
"""Key of a column -> its cards, in their order."""

_COLLECT: Final = """async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const found = {};
  for (const column of document.querySelectorAll(".column")) {
    const body = column.querySelector(".column-body");
    const cards = new Map();
    for (let top = 0, looks = 0; looks < 2_000; looks += 1) {
      body.scrollTop = top;
      await frame();
      await frame();
      for (const slot of body.querySelectorAll("li")) {
        const card = slot.querySelector(".card");
        const texts = (selector) => [...card.querySelectorAll(selector)].map((each) => each.textContent);
        const one = (selector) => texts(selector).join(" ");
        cards.set(Number(slot.getAttribute("aria-posinset")), [card.dataset.task, one(".card-title"), one(".agent bdi"), one(".priority").slice(-2), texts(".tag")]);
      }
      const total = Number(column.querySelector(".total").textContent.replaceAll(",", ""));
      if (cards.size >= total) break;
      // The column may have grown meanwhile, so the next look begins where this one was, and not where it was to be.
      top = body.scrollTop + Math.max(body.clientHeight - 300, 100);
    }
    found[column.dataset.key] = [...cards].sort(([a], [b]) => a - b).map(([, card]) => card);
  }
  return found;
}"""

SCROLL: Final = """async (times) => {
  const body = document.querySelector('[data-key="pending"] .column-body');
  const frames = [];
  let last = performance.now();
  for (let number = 0; number < times; number += 1) {
    body.scrollTop += 300;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return frames;
}"""
"""Scrolls the column of pending tasks, some cards a frame; the milliseconds of each frame."""


def cards_on(page: Page) -> Cards:
    """All cards of the board: every column is scrolled from its top to its end."""
    found: dict[str, list[tuple[str, str, str, str, list[str]]]] = page.evaluate(_COLLECT)
    return {
        key: [ShownCard(task, title, agent, priority, tuple(tags)) for task, title, agent, priority, tags in cards]
        for key, cards in found.items()
    }


def cards_of(reader: Reader) -> Cards:
    """The same of a board of the library: a column for each state, newest first."""
    return {state.value: [card_of(task) for task in _tasks(reader, state)] for state in State}


def card_of(task: Task) -> ShownCard:
    more = len(task.tags) - TAGS_SHOWN
    tags = (*sorted(task.tags)[:TAGS_SHOWN], *([f"+{more}"] if more > 0 else []))
    priority = "" if task.priority == PRIORITY_USUAL else f"P{task.priority}"
    return ShownCard(task.id, shown_title(task), task.assigned_to or "", priority, tags)


def shown_title(task: Task) -> str:
    """A title as a card shows it, if it has no unseen characters."""
    line = " ".join(task.title.split())
    return (line if len(line) <= 300 else f"{line[:300]}…") or "(no title)"


def _tasks(reader: Reader, state: State) -> Sequence[Task]:
    return reader.page(TaskFilter(state=(state,), is_newest_first=True)).tasks


def wait_for_event(page: Page, expect: Any, number: int) -> None:
    """Return once the page shows the board right after an event."""
    expect(page.locator("main")).to_have_attribute("data-number", str(number), timeout=LONG_MS)


def wait_for_live(page: Page, expect: Any) -> None:
    """Return once the page follows the town."""
    wait_for_stream(page, expect)
    expect(page.locator(".column").first).to_be_visible(timeout=LONG_MS)


def wait_for_stream(page: Page, expect: Any) -> None:
    """Return once the page is connected, so that what is looked at stays."""
    expect(page.locator(".live-dot")).to_have_attribute("data-state", "live", timeout=LONG_MS)


def is_wider_than_its_window(page: Page) -> bool:
    found: bool = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return found
