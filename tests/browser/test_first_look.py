"""What a newcomer meets first: a town without tasks, a token that is wrong, and addresses that fit nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.looking import LONG_MS, wait_for_event, wait_for_live, wait_for_stream
from tests.browser.serving import serving
from town import Town


def test_empty_town_says_what_to_do_and_names_no_moment(
    town: Town, address: str, open_page: OpenPage, expect: Any
) -> None:
    """Until the first task is there, whose card then stands alone."""
    page = open_page(address)
    wait_for_live(page, expect)
    expect(page.locator("main .empty")).to_contain_text("tt assign worker-1", timeout=LONG_MS)
    expect(page.locator(".moment time")).to_have_text("–")
    assert "1970" not in page.locator(".strip").get_attribute("aria-valuetext")
    town.create("The first one")
    expect(page.get_by_text("The first one")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("main .empty")).to_have_count(0)
    page.get_by_role("link", name="List").click()
    expect(page.get_by_role("heading", name="1 task", exact=True)).to_be_visible(timeout=LONG_MS)


@pytest.mark.parametrize(("name", "words"), [("diff", "No event yet."), ("charts", "No event in this period.")])
def test_pages_of_an_empty_town_say_so(name: str, words: str, address: str, open_page: OpenPage, expect: Any) -> None:
    """No error, and no chart of the year 1970."""
    page = open_page(f"{address}/?page={name}")
    expect(page.locator("main .empty")).to_have_text(words, timeout=LONG_MS)
    assert page.locator("main .problem, main .chart").count() == 0


def test_moment_after_the_last_event_is_the_last_event(
    shown: Town, shown_address: str, open_page: OpenPage, expect: Any
) -> None:
    """The page names the event that it shows, and so does its address."""
    end = shown.end().seq
    page = open_page(f"{shown_address}/?at={end + 1_000}")
    wait_for_event(page, expect, end)
    page.wait_for_url(f"**/?at={end}", timeout=LONG_MS)
    assert f"This is event {end}," in page.locator(".past-note").inner_text()


def test_filter_that_is_refused_is_not_waited_for(shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """The refusal stands there alone, and the filters can be cleared."""
    page = open_page(f"{shown_address}/?state=strange", refusals="status of 400")
    expect(page.locator("main .problem")).to_contain_text("strange", timeout=LONG_MS)
    expect(page.get_by_text("Loading…")).to_have_count(0)
    page.get_by_role("button", name="Clear").click()
    wait_for_live(page, expect)
    expect(page.locator("main .problem")).to_have_count(0)
    assert page.url == f"{shown_address}/"


def test_wrong_token_is_called_wrong(town: Town, tmp_path: Path, open_page: OpenPage, expect: Any) -> None:
    """The field for it has the focus, each time; a page without a token does not pretend to load."""
    tokens = tmp_path / "tokens"
    tokens.write_text("ada read a-token-of-enough-characters\n", encoding="utf-8")
    tokens.chmod(0o600)
    with serving(town.folder, "--token-file", str(tokens)) as address:
        page = open_page(address, refusals="status of 401|Failed to load resource: net::")
        field = page.get_by_role("textbox", name="Token")
        expect(field).to_be_focused(timeout=LONG_MS)
        expect(page.get_by_text("does not know")).to_have_count(0)
        page.keyboard.type("another")
        page.keyboard.press("Enter")
        expect(page.get_by_text("does not know the token")).to_be_visible(timeout=LONG_MS)
        page.keyboard.press("Escape")
        expect(page.locator("main .problem")).to_contain_text("A token is needed")
        expect(page.get_by_text("Loading…")).to_have_count(0)
        page.reload()
        field.fill("a-token-of-enough-characters")
        page.keyboard.press("Enter")
        wait_for_stream(page, expect)
        assert page.locator("main .problem").count() == 0


def test_tab_of_the_page_is_seen_on_a_narrow_screen(shown_address: str, open_page: OpenPage, expect: Any) -> None:
    """Also that of the last page, which a phone has no room for."""
    page = open_page(f"{shown_address}/?page=diff", width=320, height=640)
    tab = page.locator("nav [aria-current]")
    expect(tab).to_be_in_viewport(ratio=1, timeout=LONG_MS)
    assert tab.inner_text() == "Changes"
