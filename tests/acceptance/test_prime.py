"""`tt prime`, and `tt init --agents`: what an agent is told when it begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.prime_words import BYTES_MAX, Primed, prime_lines
from tests.support.builders import TASK, a_task
from tests.support.tt import Tt
from town import AgentNotesRefusedError, Town
from town.folder.agent_notes import BYTES_MAX as NOTES_BYTES_MAX
from town.folder.agent_notes import with_section

BEGIN = "<!-- tinytown:begin"
END = "<!-- tinytown:end -->"


def test_prime_shows_what_an_agent_needs(tt: Tt, town: Path) -> None:
    """The commands, its task with text and answer, questions that are open, and what is ready, best first."""
    assert town.is_dir()
    tt("task", "create", "Build it\n\nWith care.", "--alias", "build", "--priority", "1")
    tt("ask", "build", "Which colour?", "--choices", "red,blue")
    tt("answer", "build", "blue")
    tt("next", "worker-1", "--start")
    tt("assign", "worker-1", "Test it", "--alias", "test")
    tt("task", "create", "Ship it", "--alias", "ship", "--needs", "build")
    tt("task", "create", "Paint it", "--alias", "paint")
    tt("task", "create", "Sell it", "--alias", "sell", "--priority", "0")
    tt("ask", "paint", "Where?", "--actor", "worker-1")
    tt("task", "create", "Move it", "--alias", "move")
    tt("ask", "move", "When?", "--actor", "worker-2")
    out = tt("prime", "--agent", "worker-1").out
    assert "tt next worker-1 --start" in out
    assert "TT_ACTOR=worker-1, or add --actor worker-1 to each command" in out
    assert "Your task, running: build  Build it  (priority 1" in out
    assert "With care." in out
    assert "Answer: blue" in out
    assert "You also have:\n- test  Test it\n" in out
    assert "- paint  Paint it: Where? (you asked)\n- move  Move it: When? (asked by worker-2)\n" in out
    assert "Ready, best first:\n- sell  Sell it  (priority 0)\n" in out
    assert "Ship it" not in out


def test_prime_offers_only_what_can_be_begun(tt: Tt, town: Path) -> None:
    """Of the tasks assigned to an agent the first is one that `tt next` gives; those that wait say so.

    A blocked task of high priority was called the next task.
    """
    assert town.is_dir()
    tt("assign", "worker-1", "Design it", "--alias", "design", "--priority", "3")
    tt("assign", "worker-1", "Build it", "--alias", "build", "--priority", "0", "--needs", "design")
    out = tt("prime", "--agent", "worker-1").out
    assert "Your next task, not started: design  Design it" in out
    assert "You also have:\n- build  Build it  (not ready: tt why TASK, priority 0)\n" in out
    found = tt("prime", "--agent", "worker-1", "--json").json["tasks"]
    assert [task["alias"] for task in found["tasks"]] == ["design", "build"]
    assert found["not_ready"] == [found["tasks"][1]["id"]]
    assert tt("next", "worker-1", "--json").json["task"]["alias"] == "design"
    tt("task", "assign", "design", "worker-2")
    out = tt("prime", "--agent", "worker-1").out
    assert "Your tasks, none ready yet:\n- build  Build it  (not ready: tt why TASK, priority 0)\n" in out


def test_prime_tells_of_ready_work_beside_many_tasks_of_its_own(tt: Tt, town: Path) -> None:
    """However many tasks the agent has that can be begun, those that nobody has are shown."""
    with Town.open(town) as opened:
        for number in range(20):
            opened.create(f"Mine {number}", agent="worker-1")
        opened.create("For all", alias="for-all")
    out = tt("prime", "--agent", "worker-1").out
    assert "You also have, 2 of 19:" in out
    assert "Ready, best first:\n- for-all  For all\n" in out


def test_prime_of_an_empty_town(tt: Tt, town: Path) -> None:
    """Without tasks it says so; who acts is the agent."""
    assert town.is_dir()
    out = tt("prime").out
    assert "you are tester" in out
    assert "You have no task." in out
    assert "Nothing else is ready" in out


def test_prime_is_small_whatever_the_town(tt: Tt, town: Path) -> None:
    """In a town with many tasks, long texts and wide letters it has at most 1,500 tokens of four bytes."""
    with Town.open(town) as opened:
        wide = "界" * 4_000
        for number in range(60):
            opened.create(f"{wide} {number}\n{wide}", alias=f"{'長' * 60}-{number}", priority=1)
        for number in range(20):
            opened.ask(f"{'長' * 60}-{number}", wide, choices=[wide[:100] + str(each) for each in range(20)])
        for number in range(20, 40):
            opened.assign(f"{'長' * 60}-{number}", "界" * 60)
    out = tt("prime", "--agent", "界" * 60).out
    assert len(out.encode()) <= BYTES_MAX == 1_500 * 4
    assert out.splitlines()[2] == f"{'tt next NAME --start':<45}  take the next ready task"
    assert out.splitlines()[-1] == "… tt ready shows the rest."


def test_lines_that_do_not_fit_are_left_out_with_a_hint() -> None:
    """However much there is to say, the bound holds, and the last line says how to see the rest."""
    ready = [a_task(id=TASK, description="界" * 60)] * 100
    lines = prime_lines(
        Primed(
            town="demo",
            agent="a",
            own=[],
            own_total=0,
            waiting=(),
            ready=ready,
            has_more_ready=False,
            questions=[],
            questions_total=0,
            askers={},
        )
    )
    assert len("".join(f"{line}\n" for line in lines).encode()) <= BYTES_MAX
    assert lines[-1] == "… tt ready shows the rest."
    assert len(lines) > 20


def test_prime_as_json_is_whole(tt: Tt, town: Path) -> None:
    """`--json` has whole tasks, and says how many there are."""
    assert town.is_dir()
    for number in range(5):
        tt("assign", "worker-1", f"Task {number}\nWith a body")
    tt("backlog", "add", "Later", "--alias", "later")
    tt("ask", "later", "Now?", "--actor", "worker-2")
    found = tt("prime", "--agent", "worker-1", "--json").json
    assert (found["agent"], found["tasks"]["total"], len(found["tasks"]["tasks"])) == ("worker-1", 5, 3)
    assert found["tasks"]["tasks"][0]["description"] == "Task 0\nWith a body"
    assert [(each["asked_by"], each["task"]["alias"]) for each in found["questions"]["tasks"]] == [
        ("worker-2", "later")
    ]
    assert found["ready"] == {"has_more": False, "tasks": []}


def test_prime_of_a_moment_is_what_the_agent_would_have_been_told(tt: Tt, town: Path) -> None:
    """Its task, the questions and what was ready then, in words and as JSON."""
    assert town.is_dir()
    tt("assign", "worker-1", "Then")
    tt("backlog", "add", "Ready then", "--alias", "asking")
    tt("task", "complete", tt("task", "current", "worker-1", "--json").json["task"]["id"])
    tt("ask", "asking", "Now?")
    tt("assign", "worker-1", "Now")
    out = tt("prime", "--agent", "worker-1", "--at", "3").out
    assert out.startswith("As it was after event 3, ")
    assert "Your next task, not started: " in out
    assert "  Then" in out
    assert "Ready, best first:\n- asking  Ready then\n" in out
    assert "Open questions" not in out
    found = tt("prime", "--agent", "worker-1", "--at", "3", "--json").json
    assert (found["number"], found["tasks"]["tasks"][0]["title"]) == (3, "Then")
    assert found["questions"]["total"] == 0
    assert tt("prime", "--agent", "worker-1", "--json").json["questions"]["total"] == 1


def test_init_writes_its_section_once(tt: Tt, folder: Path) -> None:
    """The first call makes town and file, the second changes no byte, and each says what it did."""
    first = tt("init", "--name", "demo", "--agents")
    content = (folder / "AGENTS.md").read_bytes()
    assert first.code == 0
    assert "was made, with a section about the town" in first.out
    assert content.startswith(BEGIN.encode())
    assert b"tt prime" in content
    assert b"TT_ACTOR=NAME" in content
    again = tt("init", "--agents", "--json")
    assert again.json["agents"] == "unchanged"
    assert (folder / "AGENTS.md").read_bytes() == content


@pytest.mark.parametrize(
    "before",
    [
        b"# Rules\n\nBe kind.\n",
        b"# Rules\r\nBe kind.\r\n",
        b"no end",
        b"\xef\xbb\xbfwith a mark\n",
        b"\xff not UTF-8\n",
    ],
)
def test_rest_of_the_file_is_untouched(before: bytes) -> None:
    """The section comes behind what is there, in its line ends; renewed in its place, all around it stays byte for byte."""
    path = Path("AGENTS.md")
    first = with_section(before, path)
    assert first.startswith(before)
    assert with_section(first, path) == first
    assert (b"\r\n" in before) == (b"\r\n" in first)
    assert first.replace(b"\r\n", b"").count(b"\n") == (0 if b"\r\n" in before else first.count(b"\n"))
    older = first.replace(b"tt prime", b"tt older") + b"after, no end"
    assert with_section(older, path) == first + b"after, no end"


def test_existing_town_gets_the_section(tt: Tt, town: Path) -> None:
    """`tt init --agents` in a town that is there keeps the town and the file's permissions."""
    path = town / "AGENTS.md"
    path.write_text("Mine.\n", encoding="utf-8")
    path.chmod(0o640)
    tt("backlog", "add", "Kept")
    ran = tt("init", "--agents")
    assert (ran.code, "the rest of it is as it was" in ran.out) == (0, True)
    assert path.read_text(encoding="utf-8").startswith("Mine.\n\n" + BEGIN)
    assert path.stat().st_mode & 0o777 == 0o640
    assert tt("backlog", "list", "--json").json["total"] == 1


@pytest.mark.parametrize(
    "content",
    [
        f"{BEGIN} -->\nno end\n",
        f"no beginning\n{END}\n",
        f"{END}\n{BEGIN} -->\n",
        f"{BEGIN} -->\n{BEGIN} -->\n{END}\n",
        f"{BEGIN} -->\n{END}\n{END}\n",
        "x" * (NOTES_BYTES_MAX + 1),
    ],
)
def test_damaged_marks_are_refused(tt: Tt, folder: Path, content: str) -> None:
    """A file whose marks are not one pair is left alone, with advice, and no town is made."""
    path = folder / "AGENTS.md"
    path.write_text(content, encoding="utf-8")
    ran = tt("init", "--agents")
    assert ran.code == 1
    assert "was not changed" in ran.err
    assert path.read_text(encoding="utf-8") == content
    assert sorted(each.name for each in folder.iterdir()) == ["AGENTS.md"]


def test_link_out_of_the_folder_is_not_followed(tt: Tt, folder: Path) -> None:
    """A link to a file elsewhere is refused; one inside the folder is written through, and stays a link."""
    outside = folder.parent / "elsewhere.md"
    outside.write_text("Not yours.\n", encoding="utf-8")
    path = folder / "AGENTS.md"
    path.symlink_to(outside)
    ran = tt("init", "--agents")
    assert (ran.code, "leads out of the folder" in ran.err) == (1, True)
    assert outside.read_text(encoding="utf-8") == "Not yours.\n"
    path.unlink()
    (folder / "CLAUDE.md").write_text("Inside.\n", encoding="utf-8")
    path.symlink_to("CLAUDE.md")
    assert tt("init", "--agents").code == 0
    assert path.is_symlink()
    assert BEGIN in (folder / "CLAUDE.md").read_text(encoding="utf-8")


def test_pipe_or_folder_in_its_place_is_refused(tt: Tt, folder: Path) -> None:
    """It does not wait for a pipe, and does not put a file in the place of something else."""
    os.mkfifo(folder / "AGENTS.md")
    assert tt("init", "--agents").code == 1
    (folder / "AGENTS.md").unlink()
    (folder / "AGENTS.md").mkdir()
    assert tt("init", "--agents").code == 1


def test_file_that_changes_meanwhile_is_kept(folder: Path) -> None:
    """What somebody writes between the look and the write is not lost."""
    from town.folder.agent_notes import plan_agent_notes  # noqa: PLC0415 - for this one

    notes = plan_agent_notes(folder)
    (folder / "AGENTS.md").write_text("Meanwhile.\n", encoding="utf-8")
    with pytest.raises(AgentNotesRefusedError, match="changed meanwhile"):
        notes.write()
    assert (folder / "AGENTS.md").read_text(encoding="utf-8") == "Meanwhile.\n"
