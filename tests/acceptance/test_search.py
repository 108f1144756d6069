"""`tt search`: what a person and a program see, in words, in columns and as JSON; also on a real project's tracker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from ledger import TaskNoted
from tests.support.terminal import on_terminal
from tests.support.tracker import MADE_UP, REAL, skip_without, versions
from tests.support.tt import Tt
from town import Town
from town.reading import finding

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def tasks(tt: Tt, town: Path) -> None:
    """Three tasks with the word login, of which one is removed and one had it."""
    assert town.is_dir()
    tt("assign", "ada", "Fix the login timeout")
    tt("task", "create", f"Upload breaks\n\n{'Long ago. ' * 30}Then the login page shows nothing.", "--alias", "up")
    tt("task", "note", "up", "login again")
    tt("task", "create", "Login gone", "--alias", "gone")
    tt("task", "remove", "gone")
    tt("task", "create", "Old login", "--alias", "old")
    tt("task", "edit", "old", "New title")


@pytest.mark.usefixtures("tasks")
def test_hits_are_shown_with_where_they_were_found(tt: Tt) -> None:
    """The task's line has its title; the lines below say which other texts have the words, and from which event they are."""
    ran = tt("search", "LOGIN")
    heading, first, second, body, note = ran.out.splitlines()
    assert heading.split() == ["TASK", "STATE", "TITLE"]
    assert first.endswith("Fix the login timeout")
    assert second.split() == ["up", "⏳", "pending", "Upload", "breaks"]
    assert re.match(r"    body by tester, event 3, .*: ….*Then the login page shows nothing\.$", body)
    assert re.match(r"    note by tester, event 4, .*: login again$", note)
    ever = tt("search", "login", "--ever").out
    assert re.search(
        r"^gone +removed +Login gone\n    title by tester, event 5, .*; until event 6: Login gone$", ever, re.MULTILINE
    )
    assert re.search(
        r"^old +⏳ pending +New title\n    title by .*, event 7, .*; until event 8: Old login$", ever, re.MULTILINE
    )


@pytest.mark.usefixtures("tasks")
def test_nothing_found_says_what_to_try(tt: Tt) -> None:
    """And is no error."""
    ran = tt("search", "gone", "login")
    assert (ran.code, ran.out) == (
        0,
        "No task has gone and login.\nWith --ever, texts that were changed or removed since are searched, too.\n",
    )
    assert tt("search", "zebra", "--ever").out == "No task has zebra.\n"
    ran = tt("search", "login", "--state", "failed", "--ever")
    assert ran.out == "No task that the filters leave has login.\n"
    assert tt("search", "login", "--offset", "9").out == "2 tasks in all, none after the first 9.\n"


@pytest.mark.usefixtures("tasks")
def test_pages_say_how_to_go_on(tt: Tt) -> None:
    """In words on stderr, and as JSON in the answer."""
    assert "1 of 2 tasks shown. More: --offset 1" in tt("search", "login", "--limit", "1").err
    first = tt("search", "login", "--limit", "1", "--json").json
    assert [first[name] for name in ("words", "ever", "total", "offset", "has_more", "next")] == [
        ["login"],
        False,
        2,
        0,
        True,
        {"offset": 1},
    ]
    last = tt("search", "login", "--limit", "1", "--offset", str(first["next"]["offset"]), "--json").json
    assert (last["has_more"], last["next"], len(last["hits"])) == (False, None, 1)
    assert [text["place"] for text in last["hits"][0]["found"]] == ["body", "note"]


@pytest.mark.usefixtures("tasks")
def test_removed_task_in_json_has_no_snapshot(tt: Tt) -> None:
    """But its last title and alias, and the events that wrote and ended each text."""
    [gone] = tt("search", "gone", "--ever", "--json").json["hits"]
    assert (gone["task"], gone["title"], gone["alias"]) == (None, "Login gone", "gone")
    title, alias = gone["found"]
    assert (title["place"], title["number"], title["until"]["number"], title["actor"]) == ("title", 5, 6, "tester")
    assert (alias["place"], alias["text"]) == ("alias", "gone")


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["search"], 2, "Missing argument"),
        (["search", "!?"], 1, "no letter or digit. Give at least one word"),
        (["search", "login", "--state", "open"], 2, "open"),
        (["search", "login", "--tag", "\t"], 1, "tag"),
        (["search", *(f"w{number}" for number in range(40))], 1, "40 words. Give at most 32"),
    ],
)
def test_wrong_input_is_refused(tt: Tt, arguments: list[str], code: int, words: str) -> None:
    """With words that say what to give."""
    ran = tt(*arguments)
    assert ran.code == code
    assert words in ran.err


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("columns", [80, 40])
def test_answer_fits_the_terminal(town: Path, tt: Tt, columns: int) -> None:
    """At 80 and at 40 columns no line is longer, and found words stand out."""
    tt("task", "create", "login " * 40, "--alias", "a-very-long-alias-" * 4)
    shown = on_terminal(
        ["search", "login", "--ever"], town, {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    ).replace("\r", "")
    assert "\x1b[1;33mlogin\x1b[0m" in shown
    lines = [line for line in _STYLE.sub("", shown).splitlines() if "a-very-long-alias" not in line]
    assert max(map(len, lines)) <= columns
    assert len(lines) > 10


@pytest.mark.parametrize("history", [MADE_UP, REAL], ids=["made-up", "real"])
def test_every_word_of_a_real_tracker_is_found_where_it_is(
    history: Path, tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many words, each finds the tasks that a plain look at all tasks finds, with the index; before and after an import."""
    skip_without(history)
    monkeypatch.setattr(finding, "INDEX_EVENTS_MIN", 1)
    laid_down = list(versions(history))
    export = town / "issues.jsonl"
    with Town.open() as opened:
        for _, issues in (laid_down[len(laid_down) // 2], laid_down[-1]):
            export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues.values()))
            assert tt("import", "beads", str(export), "--prune").code == 0
            texts = _texts(opened)
            words = sorted(
                {word for text in texts.values() for word in re.findall(r"[a-z0-9]+", text) if len(word) > 1}
            )
            for word in words[:: max(len(words) // 60, 1)]:
                expected = {task for task, text in texts.items() if re.search(rf"(?<![^\W_]){word}", text)}
                assert {hit.task_id for hit in opened.search([word]).hits} == expected, word


def _texts(town: Town) -> dict[str, str]:
    """All texts of each task that is there, in small letters."""
    texts = {task.id: [task.description, task.result or "", task.alias or "", *task.tags] for task in town.page().tasks}
    removed: set[str] = set()
    for recorded in town.events.last(count=None):
        if recorded.version == 1:
            removed.discard(recorded.task)
        if recorded.task in texts:
            texts[recorded.task] += [recorded.reason or ""]
            texts[recorded.task] += [recorded.data.text] if isinstance(recorded.data, TaskNoted) else []
    return {task: "\n".join(each).lower() for task, each in texts.items()}
