"""`tt stats`: what a person, a spreadsheet and a program get of a town with forty days of history."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from rich.cells import cell_len

from ledger import Event, NewEvent, TaskAssigned, TaskCompleted, TaskCreated, TaskFailed, TaskStarted
from tests.support.builders import task_id
from tests.support.terminal import on_terminal
from tests.support.tt import Tt
from town import Town

BEGINNING: Final = datetime(2026, 1, 1, 20, tzinfo=UTC)
HOUR_MS: Final = 3_600_000
DAYS: Final = 40
EVIL: Final = "=cmd|' /C calc'!A0"
LONG: Final = "an agent with a very long name that no narrow terminal has room for"


@pytest.fixture
def filled(town: Path) -> Path:
    """A task of each of 40 days, made at 20:00 UTC, done in 1 to 6 hours; each tenth fails, and the last is open."""
    agents = ["ada", "bob", EVIL, LONG]
    with Town.open(town, actor="lead") as opened:
        store = opened.backend.store
        for day in range(DAYS):
            end: Event = TaskFailed("no") if day % 10 == 9 else TaskCompleted("ok")
            tags = ("docs",) if day % 2 else ("=1", "docs")
            facts = [TaskCreated("x", tags), TaskAssigned(agents[day % 4]), TaskStarted(), end]
            made = int(BEGINNING.timestamp() * 1_000) + day * 24 * HOUR_MS
            for version, data in enumerate(facts[: 3 if day == DAYS - 1 else 4], 1):
                late = {1: 0, 2: 0, 3: HOUR_MS, 4: HOUR_MS * (2 + day % 5)}[version]
                event = NewEvent(task=task_id(day), version=version, actor="lead", command="c", data=data)
                store.append([event], {task_id(day): version - 1}, backdate_ms=made + late)
    return town


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The person's zone is nine hours ahead."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


SUMMARY: Final = """\
2026-01-11 to 2026-02-09 (UTC)
30 days, 1 open

           COUNT  IN ALL
created       30      40
completed     27      36
failed         3       3
open           1

TIME  MEDIAN  p90  OF
lead      4h   6h  30
wait      1h   1h  30
work      3h   5h  30
"""


@pytest.mark.usefixtures("filled")
def test_summary_says_what_happened_in_thirty_days_and_in_all(tt: Tt) -> None:
    """Counts and times of the period, the counts of the whole ledger beside them; stderr says what is left out and how to see it."""
    ran = tt("stats")
    assert (ran.code, ran.err) == (0, "39 earlier events not counted. All: --since 1\n")
    assert ran.out.startswith(SUMMARY)


@pytest.mark.usefixtures("filled")
def test_summary_has_a_row_for_each_agent_and_a_bar_for_each_day(tt: Tt) -> None:
    """The busiest agents first, then the actor who only created; every day of the period, failed ends told apart."""
    _, _, _, agents, days = tt("stats").out.split("\n\n")
    head, *rows = agents.splitlines()
    assert head.split() == [
        *("AGENT", "CREATED", "COMPLETED", "FAILED", "OPEN"),
        *("LEAD", "p50", "p90", "WAIT", "p50", "p90", "WORK", "p50", "p90"),
    ]
    assert [row[:4].strip() for row in rows] == ["=cmd", "bob", "ada", "an a", "lead"]
    assert rows[-1].split() == ["lead", "30", "·", "·", "·", *(["—"] * 6)]
    head, *bars = days.rstrip().splitlines()
    assert head.split() == ["DAY", "(UTC)", "CREATED", "ENDED"]
    assert [bar.split()[0] for bar in bars] == [
        f"2026-{1 + (d > 31):02}-{d - 31 if d > 31 else d:02}" for d in range(11, 41)
    ]
    assert bars[0].split() == ["2026-01-11", "1", "2", f"{'█' * 20}{'▒' * 20}"]
    assert bars[-2].split()[1:] == ["1", "1", "█" * 20]


@pytest.mark.usefixtures("filled")
def test_whole_ledger_is_counted_on_request(tt: Tt) -> None:
    """From the first event on, nothing is left out and nothing is warned of."""
    ran = tt("stats", "--since", "1")
    assert "IN ALL" not in ran.out
    assert "created       40\ncompleted     36\nfailed         3\nopen           1\n" in ran.out
    assert "earlier" not in ran.err
    assert tt("stats", "--since", "1", "--json").json["period"]["has_more"] is False


@pytest.mark.usefixtures("filled", "far_east")
def test_days_are_those_of_the_person_and_name_the_zone(tt: Tt) -> None:
    """What was made at 20:00 UTC was made on the next day in Japan; programs get days in UTC, which say so."""
    lines = tt("stats", "--by", "day", "--since", "1").out.splitlines()
    assert lines[0] == "2026-01-02 to 2026-02-10 (UTC+9)"
    assert lines[3].startswith("DAY (UTC+9)  CREATED")
    assert lines[4].startswith("2026-01-02 ")
    shape = tt("stats", "--by", "day", "--since", "1", "--json").json
    assert (shape["period"]["zone"], shape["by"]["day"][0]["day"]) == ("UTC", "2026-01-01")
    rows = list(csv.DictReader(io.StringIO(tt("stats", "--by", "day", "--since", "1", "--csv").out)))
    assert (rows[0]["zone"], rows[0]["day"]) == ("UTC+9", "2026-01-02")


@pytest.mark.usefixtures("filled")
def test_json_keeps_the_rows_of_the_view(tt: Tt, town: Path) -> None:
    """`days` is what it was before there was more: a row for each day (UTC) and agent of the whole ledger."""
    with Town.open(town) as opened:
        rows = [
            {name: getattr(row, name) for name in ("day", "agent", "created", "completed", "failed")}
            for row in opened.stats()
        ]
    for arguments in ((), ("--by", "day,agent")):
        days = tt("stats", *arguments, "--json").json["days"]
        assert [{name: day[name] for name in rows[0]} for day in days] == rows
        assert {*days[0]} == {*rows[0], "waited", "worked"}
    assert "days" not in tt("stats", "--by", "tag", "--json").json


@pytest.mark.usefixtures("filled")
def test_json_says_what_people_are_told(tt: Tt) -> None:
    """The same figures by other names, the period, and that it is not all."""
    shape: dict[str, Any] = tt("stats", "--json").json
    assert shape["period"] | {"first": "", "last": ""} == {
        "since": "2026-01-11T00:00:00.000Z",
        "first": "",
        "last": "",
        "zone": "UTC",
        "events": 120,
        "earlier": 39,
        "later": 0,
        "has_more": True,
    }
    total = shape["total"]
    assert (total["created"], total["completed"], total["failed"], total["open"]) == (30, 27, 3, 1)
    assert total["lead"] == {"count": 30, "median_ms": 4 * HOUR_MS, "p90_ms": 6 * HOUR_MS}
    assert shape["in_all"] == {"created": 40, "completed": 36, "failed": 3}
    assert [*shape["by"]] == ["agent", "day"]
    assert {each["agent"] for each in shape["by"]["agent"]} == {"ada", "bob", EVIL, LONG, "lead"}
    assert [each["open"] for each in shape["by"]["agent"] if each["agent"] == LONG] == [1]


@pytest.mark.usefixtures("filled")
def test_tag_counts_each_task_that_has_it(tt: Tt) -> None:
    """And the total counts a task with two tags once."""
    shape = tt("stats", "--by", "tag", "--since", "1", "--json").json
    assert {each["tag"]: each["created"] for each in shape["by"]["tag"]} == {"docs": 40, "=1": 20}
    assert shape["total"]["created"] == 40


@pytest.mark.usefixtures("filled")
def test_csv_holds_numbers_and_no_formula(tt: Tt) -> None:
    """Text that begins like a formula gets an apostrophe; times are whole milliseconds; what is left out is said on stderr."""
    ran = tt("stats", "--csv", "--by", "agent")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert {row["agent"] for row in rows} == {"ada", "bob", f"'{EVIL}", LONG, "lead"}
    assert sum(int(row["completed"]) for row in rows) == 27
    assert [row["lead_median_ms"] for row in rows if row["agent"] == "lead"] == [""]
    assert "39 earlier events" in ran.err
    tags = list(csv.DictReader(io.StringIO(tt("stats", "--csv", "--by", "tag").out)))
    assert {row["tag"] for row in tags} == {"docs", "'=1"}
    plain = list(csv.DictReader(io.StringIO(tt("stats", "--csv").out)))
    assert [*plain[0]][:3] == ["zone", "day", "agent"]


@pytest.mark.usefixtures("filled")
def test_period_ends_where_it_is_told_to(tt: Tt) -> None:
    """Up to a moment, or as a past moment showed it; both see what was open then."""
    until = tt("stats", "--until", "2026-01-05 21:30", "--json").json
    at = tt("stats", "--at", "2026-01-05 21:30", "--json").json
    assert until["total"] == at["total"]
    assert (until["total"]["created"], until["total"]["completed"], until["total"]["open"]) == (5, 4, 1)
    assert (until["period"]["later"], at["period"]["later"]) == (140, 0)
    assert until["in_all"] == at["in_all"] == {"created": 5, "completed": 4, "failed": 0}
    later = tt("stats", "--at", "2026-02-08 21:30", "--json").json
    assert later["in_all"] == {"created": 39, "completed": 35, "failed": 3}
    both = tt("stats", "--since", "2026-01-03", "--until", "2026-01-04", "--json").json
    assert (both["total"]["created"], both["period"]["earlier"]) == (1, 8)


@pytest.mark.usefixtures("filled")
def test_report_of_one_agent_is_about_that_agent(tt: Tt) -> None:
    """Also what it has open; of an agent that nobody knows there is nothing."""
    shape = tt("stats", "--agent", LONG, "--json").json
    assert (shape["total"]["completed"], shape["total"]["created"], shape["total"]["open"]) == (6, 0, 1)
    assert [each["agent"] for each in shape["by"]["agent"]] == [LONG]
    assert tt("stats", "--agent", "nobody").out == "Nothing was created, completed or failed in that time.\n"


@pytest.mark.parametrize("columns", [80, 40])
def test_every_line_fits_the_terminal(filled: Path, columns: int) -> None:
    """With names that are longer than a line; what has no room is said, or stands below its name."""
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm-256color", "TZ": "UTC"}
    for arguments in ([], ["--by", "tag"], ["--by", "day,agent"], ["--by", "agent"], ["--by", "day"]):
        shown = on_terminal(["stats", "--since", "2026-02-01", *arguments], filled, environment)
        lines = [line for line in shown.replace("\r", "").splitlines() if "need a wider terminal" not in line]
        assert [line for line in lines if cell_len(line) > columns] == [], arguments
    assert ("need a wider terminal" in shown) == (columns == 80)


def test_empty_town_has_nothing_to_count(tt: Tt, town: Path) -> None:
    """Nor does it fail, in any form."""
    assert town.is_dir()
    assert tt("stats").out == "Nothing was created, completed or failed in that time.\n"
    assert tt("stats", "--json").json["total"]["open"] == 0
    assert len(tt("stats", "--csv").out.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--by", "week"), ("--by", "agent,day"), ("--csv", "--json")], ids=" ".join)
def test_what_cannot_be_is_a_usage_error(tt: Tt, town: Path, arguments: tuple[str, ...]) -> None:
    """With what may be given."""
    assert town.is_dir()
    ran = tt("stats", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "day,agent" in ran.err or "either" in ran.err
