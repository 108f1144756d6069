"""What needs what, what can be begun, what blocks the rest, and the next task, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.terminal import on_terminal
from tests.support.tt import Tt
from town import Town


@pytest.fixture
def chain(tt: Tt, town: Path) -> Path:
    """design <- build <- test <- ship, and docs with a task below it."""
    with Town.open(town) as opened:
        opened.create("Design the API", alias="design", tags=["api"])
        opened.create("Build the API\n\nAll of it", alias="build", needs=["design"], priority=1)
        opened.create("Write the tests", alias="test", needs=["build", "design"])
        opened.create("Ship it", alias="ship", needs=["test"])
        opened.create("Write the docs", alias="docs")
        opened.create("Draw the figures", alias="figures", parent="docs")
    assert tt("status").code == 0
    return town


def names(tt: Tt, *words: str) -> list[str]:
    return [each["alias"] for each in tt(*words, "--json").json["tasks"]]


def test_ready_tasks_come_in_order_and_the_rest_is_explained(tt: Tt, chain: Path) -> None:
    """By priority, then by how many tasks need it; a parent with open children is no work of its own."""
    assert chain.is_dir()
    assert names(tt, "ready") == ["design", "figures"]
    ran = tt("ready", "--explain")
    head, first, second, _, *rest = ran.out.splitlines()
    assert head.split() == ["TASK", "TITLE", "TAGS", "WHY"]
    assert "priority 2, 2 open tasks need it, waits since " in first
    assert "need" not in second.partition("priority")[2]
    assert rest == [
        "4 pending tasks are not ready; one may wait for several things:",
        "        3  need others, or are below a task that does: `tt blocked`",
        "        1  has open children, which are the work: `tt task tree`",
    ]
    shape = tt("ready", "--explain", "--json").json
    assert shape["waiting"] == {
        "total": 4,
        "need_others": 3,
        "need_given_up": 0,
        "for_answer": 0,
        "for_time": 0,
        "next_time": None,
        "for_children": 1,
    }
    assert list(shape["dependents"].values()) == [2, 0]


def test_columns_come_where_a_task_has_something_to_say(tt: Tt, chain: Path) -> None:
    """PRIO where one is not 2, DUE where one is due."""
    assert chain.is_dir()
    tt("task", "create", "Fix it", "--priority", "0", "--due", "in 3 h")
    head, first, *_ = tt("ready").out.splitlines()
    assert head.split() == ["TASK", "PRIO", "DUE", "TITLE", "TAGS"]
    assert first.split()[1:] == ["0", "in", "3", "h", "Fix", "it"]


def test_needed_task_that_was_given_up_keeps_blocking_and_is_said(tt: Tt, chain: Path) -> None:
    """Failed, cancelled and removed; once it is completed the next one is ready."""
    assert chain.is_dir()
    tt("task", "fail", "design", "--agent", "ada")
    assert "needs design  Design the API: it failed, so it keeps blocking; since " in tt("blocked").out
    assert "of these need a failed, cancelled or removed task" in tt("ready", "--explain").out
    assert tt("ready", "--explain", "--json").json["waiting"]["need_given_up"] == 2
    tt("task", "reopen", "design")
    tt("task", "cancel", "design")
    assert "it was cancelled, so it keeps blocking" in tt("blocked").out
    path = tt("critical-path")
    assert "Before all of them: design  Design the API: it was cancelled, so it keeps blocking" in path.out
    tt("task", "remove", "design")
    removed = "design  Design the API: it was removed, so it keeps blocking"
    assert f"needs {removed}; since " in tt("blocked").out
    assert f"needs {removed}; since " in tt("why", "build").out
    assert f"Before all of them: {removed}" in tt("critical-path").out
    design = tt("task", "show", "build", "--json").json["links"]["needs"]["tasks"][0]
    assert design["task"] is None
    assert "  removed       design  Design the API\n" in tt("task", "show", "build").out
    assert tt("task", "unlink", "build", design["id"][:8]).code == 0
    assert names(tt, "ready") == ["build", "figures"]


def test_blocked_says_by_what_since_when_and_how_many_are_before(tt: Tt, chain: Path) -> None:
    """The longest chain first; since the link was made, or the blocker was opened again, or the question was asked."""
    assert chain.is_dir()
    shape = tt("blocked", "--json").json
    assert [each["task"]["alias"] for each in shape["tasks"]] == ["ship", "test", "build"]
    assert [len(each["chain"]) for each in shape["tasks"]] == [3, 2, 1]
    linked = shape["tasks"][2]["blocks"]["blocks"][0]["since"]
    assert linked["number"] == 4
    assert "ship  Ship it  (3 tasks in a row before it)" in tt("blocked").out
    tt("task", "complete", "design", "--agent", "ada")
    tt("task", "reopen", "design", "--actor", "eve")
    again = tt("blocked", "--json").json["tasks"][2]["blocks"]["blocks"][0]["since"]
    assert (again["actor"], again["number"] > linked["number"]) == ("eve", True)
    tt("ask", "docs", "Which figures?", "--actor", "bob")
    below = next(each for each in tt("blocked", "--json").json["tasks"] if each["task"]["alias"] == "figures")
    assert [(each["kind"], each["since"]["actor"]) for each in below["blocks"]["blocks"]] == [("question", "bob")]
    assert "docs, above it, waits for an answer: Which figures?; since " in tt("blocked").out


def test_critical_path_is_in_working_order(tt: Tt, chain: Path) -> None:
    """The longest chain, or that of a task; one that waits for none says so."""
    assert chain.is_dir()
    assert names(tt, "critical-path") == ["design", "build", "test", "ship"]
    assert names(tt, "critical-path", "test") == ["design", "build", "test"]
    assert [line.split()[1] for line in tt("critical-path").out.splitlines()[1:]] == ["design", "build", "test", "ship"]
    assert tt("critical-path", "figures").out == "figures waits for no task.\n"
    tt("task", "complete", "design", "--agent", "ada")
    assert names(tt, "critical-path") == ["build", "test", "ship"]
    assert names(tt, "critical-path", "--at", "@design:created") == []
    assert tt("critical-path", "design").out == "design waits for no task.\n"


def test_critical_path_goes_through_the_tasks_below(tt: Tt, chain: Path) -> None:
    """A task that others need is done after those below it, so these are in the chain, also of an earlier moment."""
    assert chain.is_dir()
    tt("task", "needs", "ship", "docs")
    assert names(tt, "critical-path", "docs") == ["figures", "docs"]
    tt("task", "create", "Collect the numbers", "--alias", "numbers")
    tt("task", "needs", "figures", "numbers")
    long = ["design", "build", "test", "ship"]
    assert names(tt, "critical-path") == long
    tt("task", "complete", "design", "--agent", "ada")
    assert names(tt, "critical-path") == ["numbers", "figures", "docs", "ship"]
    assert "ship  Ship it  (3 tasks in a row before it)" in tt("blocked").out
    assert "<- docs (Write the docs)" not in tt("why", "ship").out
    tt("task", "complete", "build", "--agent", "ada")
    assert (
        "The longest chain before it: docs (Write the docs) <- figures (Draw the figures) <- numbers "
        in tt("why", "ship").out
    )
    assert names(tt, "critical-path", "--at", "HEAD~6") == long


def test_next_takes_what_ready_shows_until_nothing_is_ready(tt: Tt, chain: Path) -> None:
    """Exit code 1 and the reason on stderr, nothing on stdout, so that a script can wait."""
    assert chain.is_dir()
    assert tt("next", "ada").out == "📌 design taken by ada: Design the API\n"
    assert tt("next", "ada", "--start").out == "🔄 design started by ada: Design the API\n"
    assert names(tt, "ready", "--agent", "ada") == ["figures"]
    assert tt("next", "bob", "--start", "--json").json["task"]["alias"] == "figures"
    ran = tt("next", "bob")
    assert (ran.code, ran.out) == (1, "")
    assert "Nothing is ready for bob. Pending: 3 tasks blocked (`tt blocked`)." in ran.err
    shape = tt("next", "bob", "--json")
    assert shape.code == 1
    assert (shape.json["task"], shape.json["waiting"]) == (
        None,
        {"pending": 4, "blocked": 3, "for_answer": 0, "for_time": 0},
    )
    tt("ask", "design", "Which?")
    assert "1 task waiting for an answer (`tt inbox`)" in tt("next", "bob").err
    assert "No task is pending." in tt("next", "bob", "--tag", "none").err


def test_circle_is_refused_in_words(tt: Tt, chain: Path) -> None:
    """It names every task on the way, and nothing is written; also where the way leads through a parent."""
    before = tt("status", "--json").json["events"]
    ran = tt("task", "needs", "design", "ship")
    assert ran.code == 1
    assert (
        "These tasks would wait for each other: design (Design the API) -> ship (Ship it) -> "
        "test (Write the tests) -> design (Design the API)." in ran.err
    )
    ran = tt("task", "needs", "figures", "docs")
    assert (ran.code, "figures (Draw the figures) -> docs (Write the docs)" in ran.err) == (1, True)
    assert "by `tt task unlink`, or move a task, by `tt task move`" in ran.err
    with Town.open(chain) as opened:
        assert opened.end().seq == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("needs", "ship", "ship"), 1, "The link leads from the task to itself. Name another task."),
        (("link", "ship", "nothing"), 1, "No task is called 'nothing'."),
        (("link", "ship", "docs", "--kind", "blocks"), 2, "'blocks' is not one of 'needs', 'relates'"),
        (("unlink", "nothing", "ship"), 1, "No task is called 'nothing'."),
    ],
)
def test_bad_link_says_what_is_wrong(tt: Tt, chain: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """And nothing is written."""
    with Town.open(chain) as opened:
        before = opened.end()
        ran = tt("task", *words)
        assert (ran.code, said in " ".join(ran.err.split())) == (code, True), ran.err
        assert opened.end() == before


def test_links_have_a_limit_and_a_removed_task_gets_none(tt: Tt, chain: Path) -> None:
    """10,000 links on one task: refused before any is written."""
    with Town.open(chain) as opened:
        opened.remove("figures")
        others = [opened.create(f"Other {number}").task.id for number in range(1_001)]
        before = opened.end()
        ran = tt("task", "link", "docs", *others)
        assert (ran.code, "more than 1,000" in ran.err) == (1, True)
        ran = tt("task", "link", "docs", "figures")
        assert (ran.code, ran.err) == (1, "Error: The task 'figures' was removed. `tt undo figures` brings it back.\n")
        assert opened.end() == before


def test_task_that_is_named_twice_is_said_once(tt: Tt, chain: Path) -> None:
    """The receipt has what was linked."""
    assert chain.is_dir()
    assert tt("task", "needs", "docs", "design", "design ", "build").out.startswith("⏳ docs needs design, build: ")


def test_lists_say_what_tasks_need(tt: Tt, chain: Path) -> None:
    """By name, also where the needed task is on another page, and that one was removed; of an earlier moment, as it was then."""
    with Town.open(chain) as opened:
        other = opened.create("Beside it").task.id
        opened.link("ship", ["docs", other])
        opened.remove(other)
    head, *rows = tt("task", "list").out.splitlines()
    assert head.split()[-2:] == ["NEEDS", "TAGS"]
    assert next(row for row in rows if row.startswith("test ")).split()[-2:] == ["build,", "design"]
    (row,) = tt("task", "list", "--offset", "3", "--limit", "1").out.splitlines()[1:]
    assert row.split("  ")[-1] == ", ".join(sorted(["docs", "test", f"{other[:8]} (removed)"]))
    assert "(removed)" not in tt("task", "list", "--at", "HEAD~1").out
    assert "NEEDS" in tt("backlog", "list").out
    assert "NEEDS" not in tt("task", "list", "--at", "@design:created").out


def test_needs_are_left_out_where_the_list_would_not_fit(chain: Path) -> None:
    """On a narrow terminal, so that the rest stays a table with readable titles; the last line says so."""
    wide, narrow = (on_terminal(["task", "list"], chain, {"COLUMNS": columns}) for columns in ("100", "60"))
    assert "build, design" in wide
    head, *_, last = narrow.splitlines()
    assert "NEEDS" not in head
    assert "No room for NEEDS." in last
    assert "No room" not in wide
    stacked = on_terminal(["task", "list"], chain, {"COLUMNS": "30"})
    assert "build, design" in stacked
    assert "No room" not in stacked
    assert any("design" in line and "Design the API" in line for line in narrow.splitlines())


def test_parents_are_named_as_linked_tasks_are(tt: Tt, chain: Path) -> None:
    """By alias, in what was created below one and moved, and in what an undo takes back; no beginning of an id."""
    assert chain.is_dir()
    docs, build = (tt("task", "show", name, "--json").json["task"]["id"][:8] for name in ("docs", "build"))
    tt("task", "move", "figures", "build")
    for words, said in (
        (("task", "history", "figures"), "parent_id: docs → build"),
        (("log", "--task", "figures"), "below build"),
        (("blame", "figures"), "parent_id     build"),
        (("diff", "HEAD~1"), "parent_id    docs → build"),
        (("task", "show", "figures"), "moved below build"),
        (("undo", "--dry-run"), "moved below build"),
        (("undo",), "parent_id: build → docs"),
    ):
        out = tt(*words).out
        assert said in out, words
        assert docs not in out, words
        assert build not in out, words
    tt("task", "needs", "docs", "design")
    assert "needs: -design" in tt("undo").out


def test_nothing_is_pending_is_said_of_all_or_of_the_others(tt: Tt, town: Path) -> None:
    """`other` only where a task is ready."""
    assert "No task is pending." in tt("ready", "--explain", "--town", str(town)).out
    tt("task", "create", "Draw the map")
    assert "No other task is pending." in tt("ready", "--explain").out


def test_linked_tasks_are_named_wherever_they_are_shown(tt: Tt, chain: Path) -> None:
    """By alias or the beginning of the id; no whole id."""
    tt("task", "link", "docs", "build", "ship", "--kind", "discovered_from")
    other = tt("task", "create", "Beside it", "--json").json["task"]["id"]
    tt("task", "link", "docs", other)
    tt("task", "unlink", "docs", "ship")
    assert tt("task", "unlink", "docs", "ship").out.startswith("⏳ docs has no link to ship (already so")
    for words in (
        ("task", "history", "docs"),
        ("events", "--task", "docs"),
        ("log", "--task", "docs"),
        ("log", "--csv"),
        ("blame", "docs"),
        ("diff", "1", "--task", "docs"),
        ("task", "show", "docs"),
    ):
        out = tt(*words).out
        assert "build" in out, words
        assert other[:8] in out, words
        assert words[1] == "--csv" or other not in out, words
    shown = tt("task", "show", "docs").out
    assert "Discovered from 1 task:\n  ⏳ pending    build  Build the API\n" in shown
    assert f"Relates to 1 task:\n  ⏳ pending    {other[:8]}  Beside it\n" in shown
    links = tt("task", "show", "build", "--json").json["links"]
    assert [each["task"]["alias"] for each in links["led_to"]["tasks"]] == ["docs"]
    assert [each["task"]["alias"] for each in links["needed_by"]["tasks"]] == ["test"]
    before = tt("task", "show", "docs", "--at", "@docs:created", "--json").json["links"]
    assert {each["total"] for each in before.values()} == {0}
    with Town.open(chain) as opened:
        assert opened.task("docs").discovered_from == (opened.task("build").id,)


def test_many_dependents_are_shown_as_a_page(tt: Tt, chain: Path) -> None:
    """Now and at an earlier moment the same first ones."""
    with Town.open(chain) as opened:
        for number in range(25):
            opened.create(f"Waits {number}", needs=["docs"])
        end = opened.end().seq
    now = tt("task", "show", "docs", "--json").json["links"]["needed_by"]
    assert (now["total"], now["has_more"], len(now["tasks"])) == (25, True, 20)
    assert "Needed by 25 tasks, the first 20:" in tt("task", "show", "docs").out
    assert tt("task", "show", "docs", "--at", str(end), "--json").json["links"]["needed_by"] == now


def test_why_tells_what_blocks_a_task(tt: Tt, chain: Path) -> None:
    """By what, since when, and the chain before it; a finished task waits for nothing."""
    assert chain.is_dir()
    told = tt("why", "ship")
    assert "It is blocked:\n    needs test  Write the tests: pending; since " in told.out
    assert (
        "The longest chain before it: test (Write the tests) <- build (Build the API) <- design (Design the API)"
        in told.out
    )
    blocked = tt("why", "ship", "--json").json["blocked"]
    assert (len(blocked["chain"]), blocked["blocks"]["total"]) == (3, 1)
    assert tt("why", "design", "--json").json["blocked"] is None
    tt("task", "cancel", "ship")
    assert "blocked" not in tt("why", "ship").out


def test_assign_all_leaves_out_parents_and_says_so(tt: Tt, chain: Path) -> None:
    """Their open children are the work."""
    assert chain.is_dir()
    ran = tt("backlog", "assign-all", "ada")
    assert "5 tasks assigned to ada:" in ran.out
    assert "1 task left out: with open children" in ran.err
    again = tt("backlog", "assign-all", "ada", "--json").json
    assert (again["total"], again["left_out"]) == (0, 1)
