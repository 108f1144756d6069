"""The slider: the board of any moment is the one that the library shows, by drag, by key, by play and by link."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from ledger import State
from tests.browser import scene
from tests.browser.conftest import OpenPage
from tests.browser.looking import LONG_MS, TALL, cards_of, cards_on, wait_for_event, wait_for_live
from town import Town

MOMENTS = 50 if os.environ.get("TT_STRESS") else 6


@pytest.mark.stress
def test_board_under_the_slider_is_the_board_of_then_card_by_card(
    past: Town, past_address: str, open_page: OpenPage, expect: Any
) -> None:
    """At 6 random places of the strip (50 with TT_STRESS=1), every column has the cards that `town.at` has, in order, with the titles,
    agents, priorities and tags of then."""
    chosen = random.Random(16)
    page = open_page(past_address, height=TALL)
    wait_for_live(page, expect)
    strip = page.locator(".strip")
    expect(strip).to_have_attribute("aria-valuemax", str(past.end().seq), timeout=LONG_MS)
    box = strip.bounding_box()
    for _ in range(MOMENTS):
        page.mouse.move(box["x"] + chosen.random() * box["width"], box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + chosen.random() * box["width"], box["y"] + 20, steps=3)
        page.mouse.up()
        number = int(strip.get_attribute("aria-valuenow"))
        wait_for_event(page, expect, number)
        assert cards_on(page) == cards_of(past.at(str(number))), number


def test_strip_says_when_and_how_much(shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """Where the mouse is: the day, and how many events; the left end is the town's first day."""
    page = open_page(shown_address)
    wait_for_live(page, expect)
    expect(page.locator(".strip")).not_to_have_attribute("aria-valuemax", "1", timeout=LONG_MS)
    page.locator(".strip").hover(position={"x": 3, "y": 20})
    expect(page.locator(".tip")).to_contain_text(f"{scene.BEGIN:%Y-%m-%d}", timeout=LONG_MS)
    assert "event" in page.locator(".tip").inner_text()


def test_steps_of_keys_go_event_by_event(shown: Town, shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """Arrow keys, ten at a time with Shift, from the first event, and the commas; End and `l` lead back to live."""
    end = shown.end().seq
    page = open_page(f"{shown_address}/?at=100")
    wait_for_event(page, expect, 100)
    page.locator(".strip").focus()
    for key, number in (
        ("ArrowLeft", 99),
        ("Shift+ArrowRight", 109),
        ("ArrowRight", 110),
        ("Home", 1),
        ("ArrowLeft", 1),
    ):
        page.keyboard.press(key)
        wait_for_event(page, expect, number)
    page.keyboard.press("End")
    wait_for_event(page, expect, end)
    expect(page.locator(".live")).to_have_attribute("aria-pressed", "true")
    page.locator("#main").focus()
    page.keyboard.press(",")
    wait_for_event(page, expect, end - 1)
    assert cards_on(page) == cards_of(shown.at(str(end - 1)))
    page.keyboard.press("l")
    wait_for_event(page, expect, end)


def test_play_runs_through_to_live(shown: Town, shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """At 1000x the last 150 events run by; the page then is live and shows the board of now."""
    end = shown.end().seq
    page = open_page(f"{shown_address}/?at={end - 150}")
    wait_for_event(page, expect, end - 150)
    page.get_by_label("Speed").select_option("1000")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".live")).to_have_attribute("aria-pressed", "true", timeout=60_000)
    wait_for_event(page, expect, end)
    assert cards_on(page) == cards_of(shown)


def test_link_shows_the_same_board_to_somebody_else(
    shown: Town, shown_address: str, open_page: OpenPage, expect: Any
) -> None:
    """The address that stands there after a drag leads another browser to the same moment, columns and cards."""
    page = open_page(f"{shown_address}/?at={shown.end().seq // 2}", height=TALL)
    wait_for_event(page, expect, shown.end().seq // 2)
    page.locator(".strip").press("ArrowLeft")
    number = shown.end().seq // 2 - 1
    wait_for_event(page, expect, number)
    page.wait_for_url(f"**/?at={number}")
    other = open_page(page.url, height=TALL)
    wait_for_event(other, expect, number)
    assert cards_on(other) == cards_on(page) == cards_of(shown.at(str(number)))


def test_way_back_of_the_browser_leads_to_the_board(shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """A card leads to its task, and back leads to the same board."""
    page = open_page(f"{shown_address}/?at=150&by=agent")
    wait_for_event(page, expect, 150)
    title = page.locator(".card-title").first.inner_text()
    page.locator(".card").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=LONG_MS)
    assert title[:20] in page.get_by_role("heading", level=1).inner_text()
    page.go_back()
    expect(page.locator(".card").first).to_be_visible()
    assert page.url.endswith("?by=agent&at=150")


def test_task_is_shown_as_it_was_with_its_history_and_who_set_what(
    shown: Town, shown_address: str, open_page: OpenPage, expect: Any
) -> None:
    """At a moment, a task's page borrows nothing from later: neither its state nor the events that came after."""
    task = next(each for each in shown.page().tasks if each.state is State.COMPLETED and each.version > 3)
    types = [step.event.type for step in shown.history(task.id)]
    index = types.index("task.started")
    number = shown.history(task.id)[index].event.position.seq
    page = open_page(f"{shown_address}/?page=task&task={task.id}&at={number}")
    expect(page.locator(".history > li")).to_have_count(index + 1, timeout=LONG_MS)
    then = shown.at(str(number)).task(task.id)
    expect(page.locator(".task-facts .state")).to_have_text(then.state.value.capitalize())
    field = page.locator(".field-row", has_text="State").locator("button")
    field.focus()
    expect(page.locator("#blame-state")).to_be_visible()
    assert f"event {number:,}" in page.locator("#blame-state").inner_text()


def test_difference_of_two_moments_is_that_of_the_library(
    shown: Town, shown_address: str, open_page: OpenPage, expect: Any
) -> None:
    """The same tasks, in the same order, each with its kind."""
    end = shown.end().seq
    first, last = end // 2, end // 2 + 60
    found = shown.at(str(last)).diff(str(first))
    page = open_page(f"{shown_address}/?page=diff&from={first}&to={last}")
    rows = page.locator(".difference")
    expect(rows).to_have_count(min(len(found.tasks), 200), timeout=LONG_MS)
    rows_shown = rows.evaluate_all("rows => rows.map(row => [row.dataset.task, row.dataset.kind])")
    assert rows_shown == [[each.task_id, each.kind.value] for each in found.tasks[:200]]


def test_filters_stand_in_the_address_and_narrow_the_board(
    shown: Town, shown_address: str, open_page: OpenPage, expect: Any
) -> None:
    """An agent is chosen: the board has that agent's tasks alone, also after a step."""
    agents = shown.count_agents()
    agent = max(agents, key=lambda name: sum(agents[name].values()))
    page = open_page(shown_address, height=TALL)
    wait_for_live(page, expect)
    page.locator("label", has_text="Any agent").locator("select").select_option(agent)
    page.wait_for_url(f"**/?agent={agent}")
    page.locator(".strip").press("ArrowLeft")
    number = shown.end().seq - 1
    wait_for_event(page, expect, number)
    wanted = {task.id for task in shown.at(str(number)).page().tasks if task.holder == agent}
    assert {card.task for cards in cards_on(page).values() for card in cards} == wanted
