"""A person takes in a tracker: what is counted, an empty version, and the guide's loop over versions in git."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.markdown import DOCS, blocks
from tests.support.shell_session import ShellSession
from tests.support.tt import Tt

HAND_MADE = Path(__file__).parent / "data" / "beads-1.x.jsonl"
ONE = '{"id":"a-1","title":"One","created_by":"mia"}\n'


@pytest.fixture
def shell(own_home: Path, town: Path, tmp_path: Path) -> Iterator[ShellSession]:
    """A shell in the town's folder, which is a repository too."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with ShellSession(town, home=own_home, scratch=scratch) as session:
        session.run(
            "git init --quiet && git config user.name mia && git config user.email mia@example.org && mkdir .beads"
        )
        yield session


def commit(shell: ShellSession, content: str, *, day: int) -> None:
    """A version of the tracker's export in git; `content` is what its file holds."""
    date = f"2026-03-{day:02d}T09:00:00Z"
    command = (
        f"printf '%s' '{content}' > .beads/issues.jsonl && git add .beads && GIT_COMMITTER_DATE={date} git commit -qm v"
    )
    assert shell.run(command).code == 0


def guide_loop() -> str:
    page = (DOCS / "howto" / "import-from-beads.md").read_text("utf-8")
    [block] = [block for block in blocks(page) if block.language == "sh"]
    return block.text


def test_what_is_left_out_is_counted_in_words_and_json(tt: Tt, town: Path) -> None:
    """Lines of other kinds and labels with blanks do not stop an import, and are not passed over in silence."""
    lines = [
        {"_type": "issue", "id": "p-1", "title": "one", "labels": [" a ", ""]},
        {"_type": "memory", "key": "k", "value": "v"},
        {"_type": "a\x1b[31m\n", "key": "k"},
    ]
    (town / "i.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ran = tt("import", "beads", "i.jsonl")
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "2 lines of other kinds skipped: 1 a\\x1b[31m ⏎ , 1 memory.",
        "1 label trimmed of blanks.",
        "1 empty label left out.",
    ]
    counted = tt("import", "beads", "i.jsonl", "--json").json
    assert counted["skipped"] == {"memory": 1, "a\x1b[31m\n": 1}
    assert (counted["labels_trimmed"], counted["labels_dropped"], counted["events"]) == (1, 1, 0)


def test_empty_version_is_refused_until_it_is_said_to_be_right(tt: Tt, town: Path) -> None:
    """A failed export does not empty a town; the refusal names what lays an empty version down."""
    (town / "one.jsonl").write_text(ONE)
    (town / "none.jsonl").write_text('{"_type":"memory","key":"k","value":"v"}\n')
    tt("import", "beads", "one.jsonl")
    refused = tt("import", "beads", "none.jsonl", "--prune")
    assert refused.code == 1
    assert "--allow-empty says that the tracker was empty then" in refused.err
    assert tt("import", "beads", "none.jsonl", "--allow-empty", "--json").json["removed"] == 0
    assert tt("import", "beads", "none.jsonl", "--prune", "--allow-empty", "--json").json["removed"] == 1


def test_guide_s_loop_lays_down_an_empty_version_and_stops_at_a_bad_one(tt: Tt, shell: ShellSession) -> None:
    """The loop as the page has it, in a repository: what comes after a bad version is not laid down over it."""
    for day, content in enumerate([ONE, "", "nonsense", ONE], start=1):
        commit(shell, content, day=day)
    said = shell.run(guide_loop()).lines
    assert said[-1].startswith("Stopped at ")
    assert "line 1: JSON is malformed" in "".join(said)
    events = tt("events", "--json").json["events"]
    assert [(event["type"], event["time"][:10]) for event in events] == [
        ("task.created", "2026-03-01"),
        ("task.removed", "2026-03-02"),
    ]


def test_closing_lines_name_what_became_nothing(tt: Tt, town: Path) -> None:
    """Statuses to say, bad lines and where they are, links to nowhere, and the fields without a place, with their counts."""
    lines = [
        {"id": "p-1", "title": "one", "status": "verify", "owner": "ada", "estimated_minutes": 5},
        {"id": "p-2", "title": "two", "owner": "ada", "dependencies": [{"depends_on_id": "p-9", "type": "blocks"}]},
        {"id": "p-3", "title": ""},
    ]
    (town / "i.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    refused = tt("import", "beads", "i.jsonl", "--skip-bad")
    assert refused.code == 0
    assert "'verify', of 1 issue," in refused.err
    ran = tt("import", "beads", "i.jsonl", "--skip-bad", "--status", "verify=running")
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "Link left out: p-2: it needs p-9, which does not exist",
        "Bad line skipped: line 3: The title is empty. Say something",
        "1 bad line skipped, and kept in i.jsonl.bad-2.",
        "A task has no place for: owner (2), estimated_minutes (1).",
    ]
    counted = tt("import", "beads", "i.jsonl", "--skip-bad", "--status", "verify=running", "--json").json
    assert counted["no_place"] == {"estimated_minutes": 1, "owner": 2}
    assert counted["links_left_out"] == ["p-2: it needs p-9, which does not exist"]
    assert (counted["set_aside"], counted["events"]) == ("i.jsonl.bad-2", 0)


def test_closing_line_names_every_field_of_a_full_export(tt: Tt, town: Path) -> None:
    """However many fields of the published list have no place. It stopped at 20 of them."""
    assert town.is_dir()
    told = tt("import", "beads", str(HAND_MADE))
    assert told.code == 0
    [line] = [line for line in told.err.splitlines() if line.startswith("A task has no place for: ")]
    fields = tt("import", "beads", str(HAND_MADE), "--json").json["no_place"]
    assert len(fields) > 20
    assert all(f"{name} ({count})" in line for name, count in fields.items())


def test_kind_without_a_name_is_told(tt: Tt, town: Path) -> None:
    """A line of it is counted like others; its place in the words was empty."""
    (town / "i.jsonl").write_text('{"_type": ""}\n')
    assert "1 line of other kinds skipped: 1 without a name." in tt("import", "beads", "i.jsonl").err


@pytest.mark.parametrize("given", ["verify", "verify=done", "=running", "tombstone=failed"])
def test_status_that_says_no_state_is_a_mistake_of_the_command_line(tt: Tt, town: Path, given: str) -> None:
    """Nothing is read; the message has the states that there are."""
    (town / "one.jsonl").write_text(ONE)
    ran = tt("import", "beads", "one.jsonl", "--status", given)
    assert ran.code == 2
    assert "--status" in ran.err
