"""Random plans as people write them, with comments and keys of their own, and random days in a town."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ledger import CommandRejectedError, InvalidValueError, LinkKind, State
from town import Town

IDS: Final = ("auth", "api", "docs", "fix-xss", "login")
PARENTS_BESIDE_NEEDS: Final = ("auth", "api")
"""In a plan with needs, these are parents and the others are needed."""
AGENTS: Final = ("ada", "bob")
STATUSES: Final = tuple(str(state) for state in State)
TIMES: Final = (
    "2026-12-24",
    "2026-12-24T17:00:00+01:00",
    '"2026-12-24T16:00:00.5Z"',
    "2026-12-24 16:00:00Z",
    '"2026-12-24"',
)
COMMENT: Final = "# note"
"""How every comment of a random plan begins; what follows is its number, by which it is known again."""

_texts = st.sampled_from(["x", "Fix it ✅", "two\nlines", 'quo"te \\ back', "tab\there", "'''", "# no comment"])
_tags = st.lists(st.sampled_from(["P0", "bug", "a, b", "#1", "[x]"]), max_size=3)
_alone = st.sampled_from(["", "\n", "# note\n", "# note\n\n", "\n# note\n# note\n", "  # note\n"])
_behind = st.sampled_from(["", "", " # note", "# note"])


class Step(NamedTuple):
    """A verb of `Town`, a task by its alias, and what else it takes."""

    verb: str
    task: str
    options: dict[str, Any]


@st.composite
def plan_texts(draw: st.DrawFn) -> str:
    """A plan without a fault. Parents and needed tasks lie before the others in IDS; with needs, a parent
    is never needed, so that no circle closes.
    """
    ids = draw(st.permutations(IDS))[: draw(st.integers(0, len(IDS)))]
    has_needs = draw(st.booleans())
    parts = [draw(_alone), "[meta]\n", f'description = "x"{draw(_behind)}\n']
    if draw(st.booleans()):
        parts.append(f'default_agent = "{draw(st.sampled_from(AGENTS))}"{draw(_behind)}\n')
    for name in ids:
        parts.append(draw(_alone))
        if draw(st.integers(0, 6)) == 0:
            parts.append("[other]\nkey = 1\n" if "[other]\n" not in "".join(parts) else "")
        parts.append(f"[[tasks]]{draw(_behind)}\n")
        parts += draw(_task_lines(name, ids, has_needs=has_needs))
    text = "".join([*parts, draw(_alone)])
    return _numbered(text.replace("\n", "\r\n") if draw(st.integers(0, 4)) == 0 else text)


@st.composite
def _task_lines(draw: st.DrawFn, name: str, ids: list[str], *, has_needs: bool) -> list[str]:
    status = draw(st.none() | st.sampled_from(STATUSES))
    agents = [None, *AGENTS] if status in ("assigned", "running", "completed", "failed") else [None, "", *AGENTS]
    before = [each for each in IDS[: IDS.index(name)] if each in ids]
    above = [each for each in before if not has_needs or each in PARENTS_BESIDE_NEEDS]
    needed = [each for each in before if has_needs and each not in PARENTS_BESIDE_NEEDS]
    values = {
        "id": _text(draw, name),
        "description": _text(draw, draw(_texts)),
        "agent": _optional(draw, agents),
        "status": None if status is None else f'"{status}"',
        "priority": draw(st.sampled_from([None, None, "0", "2", "0x3"])),
        "due": draw(st.sampled_from([None, None, *TIMES])),
        "not_before": draw(st.sampled_from([None, None, *TIMES])),
        "tags": draw(st.none() | _arrays()),
        "parent": _optional(draw, [None, *above]),
        "needs": draw(st.none() | _lists_of(needed)),
        "result": draw(st.none() | _texts.map(_basic)),
        "estimate": draw(st.sampled_from([None, None, "3", "{ hours = 2 }", "[1, [2, 3]]"])),
    }
    lines: list[str] = []
    for key in draw(st.permutations(list(values))):
        if values[key] is not None:
            lines += (
                f"{draw(st.sampled_from(['', '  ']))}{key}{draw(st.sampled_from([' = ', '=']))}{values[key]}{draw(_behind)}\n",
                draw(_alone),
            )
    if draw(st.integers(0, 6)) == 0:
        lines.append(f"[tasks.extra]{draw(_behind)}\nkey = 1\n")
    return lines


def _optional(draw: st.DrawFn, choices: list[str | None]) -> str | None:
    chosen = draw(st.sampled_from(choices))
    return None if chosen is None else _basic(chosen)


def _text(draw: st.DrawFn, text: str) -> str:
    """The text in one of TOML's spellings."""
    if draw(st.booleans()) and "\\" not in text and '"""' not in text and not text.endswith('"') and "\t" not in text:
        return f'"""{text}"""'
    return _basic(text)


def _basic(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


@st.composite
def _arrays(draw: st.DrawFn) -> str:
    return draw(_array([_basic(tag) for tag in draw(_tags)]))


@st.composite
def _lists_of(draw: st.DrawFn, names: list[str]) -> str:
    chosen = draw(st.lists(st.sampled_from(names), max_size=2)) if names else []
    return draw(_array([_basic(name) for name in chosen]))


@st.composite
def _array(draw: st.DrawFn, tags: list[str]) -> str:
    if draw(st.booleans()):
        return f"[{', '.join(tags)}]"
    return "[\n" + "".join(f"  {tag},{draw(_behind)}\n{draw(_alone)}" for tag in tags) + "]"


def _numbered(text: str) -> str:
    """Each comment with a number of its own."""
    first, *rest = text.split(COMMENT)
    return first + "".join(f"{COMMENT} {number}.{part}" for number, part in enumerate(rest))


_tasks = st.sampled_from(IDS)


def _steps(verb: str, **options: SearchStrategy[Any]) -> SearchStrategy[Step]:
    return st.builds(Step, st.just(verb), _tasks, st.fixed_dictionaries(options))


_MOMENTS: Final = (datetime(2026, 12, 24, 16, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
_results = st.sampled_from([None, "ok", "two\nlines"])
steps: Final[SearchStrategy[Step]] = st.one_of(
    _steps("create", agent=st.sampled_from([None, *AGENTS]), tags=_tags, parent=st.sampled_from([None, *IDS])),
    _steps("create_unnamed", parent=st.sampled_from([None, *IDS])),
    _steps("assign", agent=st.sampled_from(AGENTS)),
    _steps("start", agent=st.sampled_from(AGENTS)),
    _steps("complete", agent=st.sampled_from(AGENTS), result=_results),
    _steps("fail", agent=st.sampled_from(AGENTS), error=_results),
    _steps("cancel", reason=_results),
    _steps("requeue"),
    _steps("reopen"),
    _steps("describe", description=_texts),
    _steps("tag", add=_tags),
    _steps("move", parent=st.sampled_from([None, *IDS])),
    _steps("prioritise", priority=st.integers(0, 4)),
    _steps("schedule", due=st.none() | st.sampled_from(_MOMENTS), not_before=st.none() | st.sampled_from(_MOMENTS)),
    _steps("link", to=st.lists(st.sampled_from(IDS), min_size=1, max_size=2), kind=st.sampled_from(LinkKind)),
    _steps("unlink", to=st.lists(st.sampled_from(IDS), min_size=1, max_size=2)),
    _steps("remove"),
)


_LIVES: Final = ((), ("create",), ("create", "assign"), ("create", "start"), ("create", "start", "complete"))
"""How a task came as far as it is: not there, pending, assigned, running, ended."""


@st.composite
def days(draw: st.DrawFn) -> list[Step]:
    """Some tasks are made and brought into one state or another, then anything happens."""
    day: list[Step] = []
    for name in IDS:
        for verb in draw(st.sampled_from(_LIVES)):
            needs_agent = verb in ("assign", "start")
            day.append(Step(verb, name, {"agent": draw(st.sampled_from(AGENTS))} if needs_agent else {}))
    return day + draw(st.lists(steps, max_size=12))


def live_through(town: Town, day: list[Step]) -> None:
    """Take the steps; one that the town refuses is left out."""
    for step in day:
        with contextlib.suppress(CommandRejectedError, InvalidValueError):
            if step.verb == "create":
                town.create(f"made by hand: {step.task}", alias=step.task, **step.options)
            elif step.verb == "create_unnamed":
                town.create("without an alias", **step.options)
            else:
                getattr(town, step.verb)(step.task, **step.options)
