"""The board while agents work: changes appear by themselves, and people can change the town, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger import State
from projections import TaskFilter
from tests.browser.conftest import OpenPage
from tests.browser.looking import LONG_MS, SECOND_MS, TALL, card_of, cards_on, wait_for_live
from tests.browser.serving import serving
from tests.support.towns import end_server
from town import Town

PLAN = """
[[tasks]]
id = "auth-api"
description = "Build user authentication API"
agent = "backend"

[[tasks]]
id = "auth-tests"
description = "Write auth API tests"
agent = "tester"
parent = "auth-api"

[[tasks]]
id = "fix-xss"
description = "Fix XSS vulnerability"
agent = "backend"
"""


def test_each_change_of_two_agents_appears_within_a_second(
    town: Town, address: str, open_page: OpenPage, expect: Any
) -> None:
    """A plan is pushed, and worked by its two agents; each card is in its column within 1 s, and nothing is loaded again."""
    page = open_page(address)
    wait_for_live(page, expect)
    page.evaluate("window.isTheSame = true")

    def expect_in(task_id: str, state: State) -> None:
        card = page.locator(f'.column[data-key="{state.value}"] [data-task="{task_id}"]')
        expect(card).to_be_visible(timeout=SECOND_MS)

    (town.folder / "tasks.toml").write_text(PLAN, encoding="utf-8")
    town.plans.push()
    tasks = {str(task.alias): task.id for task in town.page().tasks}
    for task_id in tasks.values():
        expect_in(task_id, State.ASSIGNED)
    with Town.open(town.folder, actor="backend") as backend, Town.open(town.folder, actor="tester") as tester:
        backend.start(tasks["auth-api"])
        expect_in(tasks["auth-api"], State.RUNNING)
        tester.start(tasks["auth-tests"])
        expect_in(tasks["auth-tests"], State.RUNNING)
        tester.fail(tasks["auth-tests"], error="No test server")
        expect_in(tasks["auth-tests"], State.FAILED)
        backend.complete(tasks["auth-api"], result="POST /login")
        expect_in(tasks["auth-api"], State.COMPLETED)
        tester.reopen(tasks["auth-tests"])
        expect_in(tasks["auth-tests"], State.PENDING)
        backend.start(tasks["fix-xss"])
        expect_in(tasks["fix-xss"], State.RUNNING)
        backend.complete(tasks["fix-xss"])
        expect_in(tasks["fix-xss"], State.COMPLETED)
    assert page.evaluate("window.isTheSame")


def test_verbs_of_a_task_keep_their_places(town: Town, address: str, open_page: OpenPage, expect: Any) -> None:
    """Also while the task changes: what cannot be done is off, and where a button was there is never another one."""
    task_id = town.create("Write the docs", agent="worker-1").task.id
    page = open_page(f"{address}/?page=task&task={task_id}")

    def places() -> Any:
        script = "all => all.map((each) => [each.dataset.verb, each.offsetLeft, each.offsetTop])"
        return page.locator("[data-verb]").evaluate_all(script)

    expect(page.locator('[data-verb="start"]')).to_be_enabled(timeout=LONG_MS)
    before = places()
    town.complete(task_id)
    expect(page.locator('[data-verb="reopen"]')).to_be_enabled(timeout=LONG_MS)
    expect(page.locator('[data-verb="start"]')).to_be_disabled()
    assert places() == before


def test_long_column_without_a_key_is_scrolled_to_its_end(
    town: Town, address: str, open_page: OpenPage, expect: Any
) -> None:
    """Tasks without a parent, of which the board brings the newest, come page by page down to the oldest."""
    with town.plans.path(None).open("w", encoding="utf-8") as file:
        file.write("".join(f'[[tasks]]\nid = "t-{number}"\ndescription = "Task {number}"\n' for number in range(450)))
    town.plans.push()
    page = open_page(f"{address}/?by=parent", height=TALL)
    wait_for_live(page, expect)
    assert cards_on(page) == {"null": [card_of(task) for task in town.page(TaskFilter(is_newest_first=True)).tasks]}


def test_board_comes_back_when_the_server_does(town: Town, open_page: OpenPage, expect: Any) -> None:
    """While the server is gone the page says so; when it is there again, the page has what happened in between."""
    with serving(town.folder) as address:
        page = open_page(address, refusals="Failed to load resource: net::")
        wait_for_live(page, expect)
    expect(page.locator(".live-dot")).to_have_attribute("data-state", "away", timeout=LONG_MS)
    task_id = town.create("Meanwhile").task.id
    with serving(town.folder, port=int(address.rpartition(":")[2])):
        expect(page.locator(f'[data-task="{task_id}"]')).to_be_visible(timeout=LONG_MS)
        assert page.locator(".live-dot").get_attribute("data-state") == "live"


def test_question_is_answered_on_the_page(town: Town, address: str, open_page: OpenPage, expect: Any) -> None:
    """A task that asks has a mark; the inbox leads to it; a choice is the answer, and the mark goes."""
    task_id = town.create("Choose a database").task.id
    town.ask(task_id, "Which one?", choices=("Postgres", "Valkey"))
    page = open_page(address)
    expect(page.locator(f'[data-task="{task_id}"] .is-asking')).to_be_visible(timeout=LONG_MS)
    page.get_by_role("link", name="Inbox").click()
    page.get_by_role("link", name="Choose a database").click()
    page.locator('[data-verb="answer"]').click()
    page.get_by_role("button", name="Valkey").click()
    page.locator("dialog button[type=submit]").click()
    expect(page.locator("dialog")).to_have_count(0, timeout=LONG_MS)
    expect(page.get_by_text("Answer: Valkey")).to_be_visible(timeout=LONG_MS)
    assert town.task(task_id).answer == "Valkey"


def test_task_is_created_assigned_and_completed_on_the_page(
    town: Town, address: str, open_page: OpenPage, expect: Any
) -> None:
    """With the reason that was asked for, by the town's actor."""
    page = open_page(address)
    wait_for_live(page, expect)
    page.keyboard.press("n")
    page.get_by_label("What is to be done").fill("Ship it\n\n**Soon**")
    page.get_by_label("Tags").fill("release, web")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Ship it", level=1)).to_be_visible(timeout=LONG_MS)
    page.locator('[data-verb="assign"]').click()
    page.get_by_label("Agent").fill("worker-1")
    page.get_by_label("Why").fill("Knows it best")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator(".task-facts .state")).to_have_text("Assigned", timeout=LONG_MS)
    page.locator('[data-verb="complete"]').click()
    page.get_by_label("Result").fill("Shipped")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator(".task-facts .state")).to_have_text("Completed", timeout=LONG_MS)
    (task,) = town.page().tasks
    assert (task.state, task.assigned_to, task.result, sorted(task.tags)) == (
        State.COMPLETED,
        "worker-1",
        "Shipped",
        ["release", "web"],
    )
    assert [step.event.reason for step in town.history(task.id)][1] == "Knows it best"


def test_conflict_is_explained_and_shows_both_sides(town: Town, address: str, open_page: OpenPage, expect: Any) -> None:
    """Somebody else was first: nothing is written, both values are there, and the reader can go on from them."""
    task_id = town.create("Write the docs", agent="worker-1").task.id
    page = open_page(f"{address}/?page=task&task={task_id}", refusals="status of 409")
    page.locator('[data-verb="complete"]').click()
    page.get_by_label("Result").fill("All pages")
    town.assign(task_id, "worker-2")
    page.locator("dialog button[type=submit]").click()
    refusal = page.locator(".refusal")
    expect(refusal).to_contain_text("Nothing was written", timeout=LONG_MS)
    expect(refusal.locator("tr", has_text="Assigned to").locator("td")).to_have_text(["worker-1", "worker-2"])
    assert town.task(task_id).state is State.ASSIGNED
    page.get_by_role("button", name="Go on from the task as it is now").click()
    page.locator("dialog button[type=submit]").click()
    expect(page.locator(".task-facts .state")).to_have_text("Completed", timeout=LONG_MS)
    assert town.task(task_id).result == "All pages"


def test_reader_without_the_right_has_no_buttons(town: Town, open_page: OpenPage, expect: Any) -> None:
    """A server that only reads shows the board and no way to change it."""
    task_id = town.create("Look at me").task.id
    with serving(town.folder, "--read-only") as address:
        page = open_page(f"{address}/?page=task&task={task_id}", refusals="Failed to load resource: net::")
        expect(page.get_by_role("heading", name="Look at me", level=1)).to_be_visible(timeout=LONG_MS)
        expect(page.get_by_text("Read only")).to_be_visible()
        assert page.locator("[data-verb]").count() == 0


def test_token_is_asked_for_and_stands_in_no_address(
    town: Town, tmp_path: Path, open_page: OpenPage, expect: Any
) -> None:
    """With a token file the page asks once; the token opens the board and the stream, and is in no request's address."""
    token = "a-token-of-enough-characters"
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ada write {token}\n", encoding="utf-8")
    tokens.chmod(0o600)
    town.create("Behind a token")
    with serving(town.folder, "--token-file", str(tokens)) as address:
        page = open_page("about:blank", refusals="status of 401|Failed to load resource: net::")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.get_by_role("textbox", name="Token").fill(token)
        page.get_by_role("button", name="Go on").click()
        wait_for_live(page, expect)
        expect(page.get_by_text("Behind a token")).to_be_visible(timeout=LONG_MS)
        assert not [url for url in [page.url, *asked] if token in url]


def test_end_of_a_run_is_shown_now_and_not_in_the_past(
    town: Town, address: str, open_page: OpenPage, expect: Any
) -> None:
    """What the last run of a task printed is text, and of now: a moment of the past does not borrow it."""
    task_id = town.create("Run me").task.id
    town.note(task_id, "a second event")
    logs = town.folder / ".tt" / "logs"
    logs.mkdir(mode=0o700)
    (logs / f"{task_id}-run.log").write_text("first line\n<b>the end</b>\n", encoding="utf-8")
    page = open_page(f"{address}/?page=task&task={task_id}")
    expect(page.locator(".output")).to_have_text("first line\n<b>the end</b>\n", timeout=LONG_MS)
    page.goto(f"{address}/?page=task&task={task_id}&at=1")
    expect(page.get_by_role("heading", name="Run me", level=1)).to_be_visible(timeout=LONG_MS)
    assert page.locator(".output").count() == 0


def test_another_town_is_chosen_from_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage, expect: Any
) -> None:
    """With `--all` the page names the towns; the other one has its own board, and its address leads back to it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = [tmp_path / name for name in ("east", "west")]
    try:
        for folder in folders:
            with Town.init(folder, name=folder.name) as made:
                made.create(f"In the {folder.name}")
        with serving(folders[0], "--all") as address:
            page = open_page(address, refusals="Failed to load resource: net::")
            expect(page.get_by_text("In the east")).to_be_visible(timeout=LONG_MS)
            page.get_by_role("combobox", name="Town").select_option("west")
            expect(page.get_by_text("In the west")).to_be_visible(timeout=LONG_MS)
            assert page.url.endswith("?town=west")
            expect(page.get_by_role("combobox", name="Town")).to_have_value("west")
    finally:
        for folder in folders:
            end_server(folder)
