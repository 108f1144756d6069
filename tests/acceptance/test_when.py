"""WHEN at the command line: what was understood is said with its zone, above the answer and in JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tt import Tt

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture
def berlin(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A town of two events, in winter and in summer, for somebody in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", BERLIN)
        time.tzset()
        for month, status in ("01", "open"), ("07", "in_progress"):
            line = {"id": "map", "title": "Draw the map", "status": status}
            (town / "export.jsonl").write_text(json.dumps(line), encoding="utf-8")
            ran = tt(
                "import",
                "beads",
                str(town / "export.jsonl"),
                "--backdate",
                f"1 {'jan' if month == '01' else 'july'} 2026 12:00",
            )
            assert ran.code == 0, ran.err
        yield town
    time.tzset()


def test_moment_is_said_above_the_answer_with_its_zone(tt: Tt, berlin: Path) -> None:
    """The time that was understood, and the last event then; each with the offset of its day."""
    assert berlin.is_dir()
    shown = {
        at: tt("tasks", "--at", at).out.splitlines()[0]
        for at in ("2026-07-02", "3 june 2026 5pm", "2", "@map:created", "now")
    }
    assert shown["2026-07-02"].startswith("As it was at 2026-07-02 00:00:00 UTC+2, after event ")
    assert shown["2026-07-02"].endswith(", 2026-07-01 12:00:00 UTC+2:")
    assert (
        shown["3 june 2026 5pm"] == "As it was at 2026-06-03 17:00:00 UTC+2, after event 1, 2026-01-01 12:00:00 UTC+1:"
    )
    assert shown["2"].startswith("As it was after event 2, 2026-07-01 12:00:00 UTC+2:")
    assert shown["@map:created"] == "As it was at @map:created, after event 1, 2026-01-01 12:00:00 UTC+1:"
    assert shown["now"] == "As of now:"
    assert tt("replay", "--at", "2026-06-03").out.startswith(
        "The board at 2026-06-03 00:00:00 UTC+2, after event 1, 2026-01-01 12:00:00 UTC+1: 1 task\n"
    )


def test_json_says_what_was_understood(tt: Tt, berlin: Path) -> None:
    """In UTC for programs, in words with the zone for people, beside what was typed."""
    assert berlin.is_dir()
    at = {"when": "2026-07-02", "time": "2026-07-01T22:00:00.000Z", "local": "2026-07-02 00:00:00 UTC+2"}
    for command in (("tasks",), ("task", "show", "map"), ("replay",), ("status",)):
        assert tt(*command, "--at", "2026-07-02", "--json").json["understood"] == {"at": at}
    events = tt("events", "--since", "2026-07-01", "--until", "@map:running", "--json").json
    assert events["understood"].keys() == {"since", "until"}
    assert events["understood"]["since"]["local"] == "2026-07-01 00:00:00 UTC+2"
    running = {"when": "@map:running", "number": 3, "local": "2026-07-01 12:00:00 UTC+2"}
    assert {name: events["understood"]["until"][name] for name in running} == running
    assert "understood" not in tt("events", "--json").json


def test_choice_in_a_gap_and_an_overlap_is_said(tt: Tt, berlin: Path) -> None:
    """On stderr, so that a pipe gets the answer alone; in JSON beside what was understood."""
    assert berlin.is_dir()
    gap, overlap = "2026-03-29 02:30", "25 oct 2026 02:30"
    assert (
        "was skipped when the clock was set forward; 2026-03-29 03:30:00 UTC+2 is taken."
        in tt("tasks", "--at", gap).err
    )
    assert "came twice; 2026-10-25 02:30:00 UTC+2 is taken. The other one is 2026-10-25 02:30:00 UTC+1." in (
        tt("replay", "--at", overlap).err
    )
    assert "was skipped" in tt("events", "--since", gap).err
    assert "came twice" in tt("tasks", "--at", overlap, "--json").json["understood"]["at"]["note"]
    assert "was skipped" in tt("events", "--since", gap, "--json").json["understood"]["since"]["note"]


def test_choice_is_said_by_commands_that_make_something(tt: Tt, berlin: Path) -> None:
    """An export, a fork and a bisection show no moment above an answer; which time they took is said as elsewhere."""
    assert berlin.is_dir()
    gap = "2026-03-29 02:30"
    judge = ("--", "sh", "-c", """! grep -q '"state":"running"'""")
    for command in (
        ("export", "export.csv", "--since", gap),
        ("export", "export.csv", "--until", gap),
        ("fork", "other", "--at", gap),
        ("bisect", "--good", gap, "--bad", "HEAD", *judge),
    ):
        ran = tt(*command)
        assert ran.code == 0, ran.err
        assert "was skipped when the clock was set forward; 2026-03-29 03:30:00 UTC+2 is taken." in ran.err, command


def test_span_of_events_is_said_beside_them(tt: Tt, berlin: Path) -> None:
    """With a limit that names an event there is nothing to say."""
    assert berlin.is_dir()
    ran = tt("events", "--since", "2026-01-01", "--until", "2026-07-02")
    assert ran.err == "From 2026-01-01 00:00:00 UTC+1 to 2026-07-02 00:00:00 UTC+2:\n"
    assert tt("events", "--since", "1", "--until", "2").err == ""


def test_before_is_said_beside_the_events_too(tt: Tt, berlin: Path) -> None:
    """Only a number, which leads to the next page, needs no words. Nothing was said of `--before yesterday`."""
    assert berlin.is_dir()
    for command in "log", "events":
        assert tt(command, "--before", "2026-07-01").err == "Before 2026-07-01 00:00:00 UTC+2:\n"
        assert tt(command, "--before", "HEAD~1").err == "Before HEAD~1, event 2, 2026-07-01 12:00:00 UTC+2:\n"
        assert tt(command, "--before", "2").err == ""
    assert "came twice" in tt("log", "--before", "25 oct 2026 02:30").err


def test_diff_says_the_time_of_both_moments(tt: Tt, berlin: Path) -> None:
    """Also of those that the ledger explains; `HEAD~2` alone had its event's number only."""
    assert berlin.is_dir()
    event = "event 1, 2026-01-01 12:00:00 UTC+1"
    for asked, words in (
        ("1", event),
        ("HEAD~2", f"HEAD~2 ({event})"),
        ("2026-06-01", "2026-06-01 00:00:00 UTC+2 (after event 1)"),
    ):
        for second in [], ["now"]:
            assert tt("diff", asked, *second).out.startswith(f"From {words} to now (event 3): 2 events.\n")


def test_columns_of_times_name_the_zone(tt: Tt, berlin: Path) -> None:
    """Where the clock was set between the times, each has its offset."""
    assert berlin.is_dir()
    for command in (("events",), ("task", "history", "map")):
        shown = tt(*command).out
        assert "TIME (UTC+1/+2)" in shown
        assert "1      2026-01-01 12:00:00 +1  tester" in shown
        assert "2      2026-07-01 12:00:00 +2  tester" in shown
    assert "TIME (UTC+1)" in tt("events", "--until", "1").out
    fields = tt("task", "show", "map").out
    assert "Created      2026-01-01 12:00:00 UTC+1" in fields
    assert "Updated      2026-07-01 12:00:00 UTC+2, version " in fields


def test_what_tt_prints_is_taken_as_when(tt: Tt, berlin: Path) -> None:
    """A time is pasted from one answer into the next question."""
    assert berlin.is_dir()
    first = tt("tasks", "--at", "1").out.splitlines()[0]
    printed = first.partition("after event 1, ")[2].rstrip(":")
    assert printed == "2026-01-01 12:00:00 UTC+1"
    assert tt("tasks", "--at", printed, "--json").json["number"] == 1
