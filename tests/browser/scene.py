"""A made-up town for pictures and looks: the last fifteen days of a team's work, the same every time but for the dates.

Its past is imported in versions, each at its own time, as a tracker's would be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from town import Town

DAYS: Final = 15
BEGIN: Final = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
VERBS: Final = ("Design", "Write", "Test", "Document", "Speed up")
THINGS: Final = (
    "the login",
    "the search",
    "the export",
    "the importer",
    "the mail queue",
    "the billing page",
    "the sync",
    "the audit log",
    "the rate limits",
    "the webhooks",
    "the admin page",
    "the mobile layout",
)
AGENTS: Final = ("ada", "ben", "chen", "dora")
TAGS: Final = ("api", "web", "docs", "security", "performance")
QUESTION: Final = "Which database do we keep sessions in?"

Issue = dict[str, Any]


def fill(town: Town, folder: Path) -> None:
    """Bring the whole past into an empty town, and a question, a failure and a task that was opened again."""
    export = folder / "scene.jsonl"
    for time, issues in _versions():
        export.write_text("".join(f"{json.dumps(issue)}\n" for issue in issues), encoding="utf-8")
        town.imports.beads(export, prune=True, backdate=time)
    asking, failing, again = town.create("Choose a session store", agent="ada", tags=["api"]).task.id, *_two(town)
    town.ask(asking, QUESTION, choices=("Postgres", "Valkey"))
    town.fail(failing, error="The provider answers with 503 since 14:00")
    town.reopen(again, reason="The export leaves out archived rows")
    town.note(again, "Seen with *archived* rows only:\n\n- `export --all` has them\n- the page does not")


def _two(town: Town) -> tuple[str, str]:
    """A task that somebody has, to fail, and one that is done, to be opened again."""
    failing = town.create("Send the invoices of March", agent="ben", tags=["web"]).task.id
    town.start(failing)
    again = town.create("Export archived rows", agent="chen", tags=["api", "web"], priority=1).task.id
    town.complete(again, result="Exports them")
    return failing, again


def _versions() -> Iterator[tuple[datetime, list[Issue]]]:
    """(time, all issues) of each version, in order: some are new, some are taken, some are done."""
    chosen = random.Random(7)
    names = [f"{verb} {thing}" for thing in THINGS for verb in VERBS]
    issues: list[Issue] = []
    for day in range(DAYS):
        for hour in sorted(chosen.sample(range(9), 3)):
            for issue in issues:
                _work(issue, chosen)
            issues += [_issue(len(issues) + number, name, chosen) for number, name in enumerate(names[:2])]
            del names[:2]
            yield BEGIN + timedelta(days=day, hours=hour, minutes=chosen.randrange(60)), issues


def _issue(number: int, title: str, chosen: random.Random) -> Issue:
    return {
        "id": f"plan-{number + 1}",
        "title": title,
        "description": "As agreed on Monday. It is done when:\n\n- the tests pass\n- the docs say how it is used",
        "status": "open",
        "priority": chosen.choice((1, 2, 2, 2, 3)),
        "labels": chosen.sample(TAGS, chosen.choice((1, 2))),
    }


def _work(issue: Issue, chosen: random.Random) -> None:
    """Now and then the next thing happens to it: it is given to somebody, begun, finished; seldom it is opened again."""
    match issue["status"], "assignee" in issue:
        case "open", False if chosen.random() < 0.14:
            issue["assignee"] = chosen.choice(AGENTS)
        case "open", True if chosen.random() < 0.3:
            issue["status"] = "in_progress"
        case "in_progress", _ if chosen.random() < 0.15:
            issue |= {"status": "closed", "close_reason": "All tests pass"}
        case "closed", _ if chosen.random() < 0.006:
            del issue["assignee"], issue["close_reason"]
            issue["status"] = "open"
