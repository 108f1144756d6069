"""Every form of WHEN at every command that reads a moment: one parser, one reader, one answer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from cli import options
from tests.acceptance.test_at import READING
from tests.support.markdown import ROOT
from tests.support.tt import Tt

COMMANDS = (*READING, ("status",), ("status", "--deep"), ("replay",), ("blame", "figures"), ("why", "figures"))
NOW = datetime.now(UTC)
MONTH_AGO = NOW - timedelta(days=30)
BEFORE = "BEFORE"
"""Stands for the number of the last event that is 40 days old; each form means a moment between that and today."""

EVENT_FORMS = ("BEFORE", "#BEFORE", "HEAD~1", "head~1", "@figures:completed", "POSITION")
TIME_FORMS = (
    "yesterday",
    "today",
    "day before yesterday",
    "yesterday 17:00",
    "noon yesterday",
    "tue 17:00",
    "last tuesday 17:00",
    "last friday at noon",
    "3 days ago at 9:00",
    "2h",
    "1d12h ago",
    "2 hours ago",
    "a month ago",
    f"{MONTH_AGO:%Y-%m-%d}",
    f"{MONTH_AGO:%Y-%m-%d %H:%M}",
    f"{MONTH_AGO:%Y-%m-%d %H:%M} UTC",
    f"{MONTH_AGO:%Y-%m-%dT%H}",
    f"{MONTH_AGO:%Y-%m-%dT%H:%M:%SZ}",
    f"{MONTH_AGO:%Y-%m-%d %H:%M} UTC-3:30",
    f"{MONTH_AGO:%d %b %Y %H:%M}",
)


class StoppedClock(datetime):
    """A clock that stands: words mean the same before and after a midnight in the middle of a test."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp(), tz)


@pytest.fixture
def old(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """A town with events 60 and 40 days ago and one of today; the number and position of the last old one."""
    monkeypatch.setattr(options, "datetime", StoppedClock)
    for days, status in (60, "in_progress"), (40, "closed"):
        lines = (
            {"id": "top", "title": "Write the docs", "status": "open", "labels": ["docs"]},
            {"id": "figures", "title": "Its figures", "status": status, "assignee": "ada"},
        )
        (town / "export.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        ran = tt("import", "beads", str(town / "export.jsonl"), "--backdate", f"{days}d")
        assert ran.code == 0, ran.err
    (last,) = tt("events", "-n", "1", "--json").json["events"]
    assert tt("backlog", "add", "Of today").code == 0
    return last["number"], last["position"]


def meant(form: str, old: tuple[int, str]) -> str:
    number, position = old
    return form.replace(BEFORE, str(number)).replace("POSITION", position)


def answer(tt: Tt, *command: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """How WHEN was understood, and the answer without that."""
    ran = tt(*command, "--json")
    assert ran.code == 0, (command, ran.err)
    shape = ran.json
    understood = shape.pop("understood", {})
    return understood, {key: value for key, value in shape.items() if key not in ("server", "durability")}


def test_every_form_works_on_every_reading_command(tt: Tt, old: tuple[int, str]) -> None:
    """Each shows the same board as the number of the event does, and says what was understood. Now is as without `--at`."""
    for command in COMMANDS:
        _, expected = answer(tt, *command, "--at", str(old[0]))
        for form in (*EVENT_FORMS, *TIME_FORMS):
            text = meant(form, old)
            understood, shown = answer(tt, *command, "--at", text)
            assert shown == expected, (command, text)
            assert understood["at"]["when"] == text
            assert ("local" in understood["at"]) == (form in TIME_FORMS)
        understood, present = answer(tt, *command, "--at", "now")
        assert present != expected
        assert command == ("replay",) or present == answer(tt, *command)[1]
        assert understood == {"at": {"when": "now"}}


def test_every_form_works_on_limits_of_events(tt: Tt, old: tuple[int, str]) -> None:
    """From an event on, that event is the first; up to it, the last. From a time on, the event of today is alone."""
    number, _ = old
    for form in (*EVENT_FORMS, *TIME_FORMS):
        text = meant(form, old)
        since = tt("events", "--since", text, "--json").json
        assert since["events"][0]["number"] == (number if form in EVENT_FORMS else number + 1), text
        until = tt("events", "--until", text, "--json").json
        assert until["events"][-1]["number"] == number, text
        assert since["understood"]["since"]["when"] == until["understood"]["until"]["when"] == text
        assert tt("stats", "--since", text, "--json").json["understood"]["since"]["when"] == text


def test_limit_that_the_ledger_knows_is_said_with_its_event(tt: Tt, old: tuple[int, str]) -> None:
    """Number, position and time, in words and in JSON; only what was typed was said."""
    number, position = old
    for form in "HEAD~1", "@figures:completed":
        understood = tt("events", "--since", form, "--json").json["understood"]["since"]
        assert understood.keys() == {"when", "position", "number", "time", "local"}
        assert (understood["position"], understood["number"]) == (position, number)
        assert tt("events", "--since", form).err == f"From {form}, event {number}, {understood['local']}:\n"
        assert tt("stats", "--since", form, "--json").json["understood"]["since"] == understood


def test_moment_that_a_town_does_not_have_is_refused_with_those_it_has(tt: Tt, old: tuple[int, str]) -> None:
    """In the future, before the first event, after the last one: exit 1, the range with its zone, and no answer."""
    number, _ = old
    known = rf"The events of this town are 1 to {number + 1}, from [0-9: -]+ UTC\S* to [0-9: -]+ UTC"
    refused = (
        ("tomorrow", "has not come yet"),
        ("61d", "is before the first event"),
        (str(number + 2), "is not in this town"),
        ("HEAD~99", "is before the first event"),
    )
    for command in (*((*each, "--at") for each in COMMANDS), ("events", "--until")):
        for text, problem in refused:
            ran = tt(*command, text)
            assert (ran.code, ran.out) == (1, ""), (command, text)
            assert problem in ran.err
            assert re.search(known, ran.err), (command, text)


def test_choice_is_said_where_the_moment_is_refused(tt: Tt, old: tuple[int, str]) -> None:
    """The error names the time that was taken, which is not the one that was typed."""
    assert old
    for command in (
        ("tasks", "--at"),
        ("events", "--until"),
        ("diff",),
        ("export", "file", "--until"),
        ("fork", "new", "--at"),
    ):
        ran = tt(*command, "2020-03-29 02:30 Europe/Berlin")
        assert ran.code == 1
        assert "was skipped when the clock was set forward; 2020-03-29 03:30:00 UTC+2 is taken." in ran.err
        assert "2020-03-29 01:30:00 UTC is before the first event" in ran.err


def test_commands_above_are_all_that_take_a_moment() -> None:
    """A new command with `--at` joins the list; the reference page of commands is made from their help."""
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    sections = re.split(r"^## tt ?", page, flags=re.MULTILINE)[1:]
    taking = {
        section.partition("\n")[0] for section in sections if re.search(r"^│[ *]+--at +WHEN", section, re.MULTILINE)
    }
    reading = {" ".join(each[:2] if each[0] in ("task", "backlog") else each[:1]) for each in COMMANDS}
    assert taking == reading | {"fork"}, "fork is the one that makes something of what it reads"
