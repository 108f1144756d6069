"""`tt search`: finds tasks by the words in their texts.

Agents search all day, so nothing here imports Typer: `cli.tree` resolves the type hints when Typer needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.answers import reader_at, say_moment
from cli.columns import columns as columns_of
from cli.limits import PAGE_TASKS
from cli.output import say, say_hanging, say_json, warn
from cli.render import state_cell
from cli.search_progress import SearchProgress
from cli.session import opened
from cli.styled import Styled
from cli.text import called, counted, visible
from ledger import Position
from projections import EVERY_TASK, Place, TaskFilter, spans
from town import local_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        AgentFilter,
        JsonOption,
        LimitOption,
        NotTagFilter,
        OffsetOption,
        StateFilter,
        TagFilter,
        TownOption,
        WhenOption,
        WordsArgument,
    )
    from projections import Found, Hit, Text

TEXTS_SHOWN_MAX: Final = 3
"""How many texts of a task are shown beside its title; `--json` has all."""
_TITLE_CHARS: Final = 200
_EXCERPT_CHARS: Final = 100
_EXCERPT_CHARS_BEFORE: Final = 30
_NAME_COLUMNS_MAX: Final = 20
"""A longer alias takes more room in its own line alone."""
_FOUND_STYLE: Final = "bold yellow"
_INDENT: Final = "    "


def search(
    words: WordsArgument,
    *,
    is_ever: Annotated[
        bool,
        typer.Option("--ever", help="Also find what was changed or removed since, and name the event."),
    ] = False,
    state: StateFilter = None,
    agent: AgentFilter = None,
    tag: TagFilter = None,
    not_tag: NotTagFilter = None,
    limit: LimitOption = PAGE_TASKS,
    offset: OffsetOption = 0,
    at: WhenOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find tasks that have all WORDS in their title, body, notes, results, questions, answers, reasons, alias or tags; best first.

    A word of two letters or more also finds longer words that begin with it. Case and accents do not count. A find in the title ranks above one in the alias, a tag, the body, a result, a question, an answer, a note, a reason; of equals the newest task comes first. Removed tasks, which only --ever finds, meet no filter.

    The first search in a large town reads all its events. From then on a search reads what is new, with the index in the town's cache.
    """
    with opened(town, actor) as opened_town:
        reader = reader_at(opened_town, at)
        wanted = TaskFilter(
            state=tuple(state or ()) or None,
            agent=agent,
            tag=tuple(tag or ()) or None,
            not_tag=tuple(not_tag or ()) or None,
        )
        with SearchProgress() as progress:
            found = reader.search(words, wanted, is_ever=is_ever, offset=offset, limit=limit, progress=progress.show)
        if not found.total:
            from cli.name_hints import say_unknown  # noqa: PLC0415 - if nothing was found

            say_unknown(opened_town, reader, agent=agent, tags=tag)
        if as_json:
            from shapes.search import found_shape  # noqa: PLC0415 - for JSON alone

            say_json(found_shape(opened_town, reader, found, at=at, is_ever=is_ever, offset=offset))
        else:
            say_moment(reader, at)
            _say_found(found, is_ever=is_ever, is_filtered=wanted != EVERY_TASK, offset=offset)
    after = offset + len(found.hits)
    if found.hits and after < found.total:
        warn(f"{after:,} of {counted(found.total, 'task')} shown. More: --offset {after}")


def _say_found(found: Found, *, is_ever: bool, is_filtered: bool, offset: int) -> None:
    if not found.hits:
        if found.total:
            say(f"{counted(found.total, 'task')} in all, none after the first {offset:,}.")
            return
        say(f"No task {'that the filters leave ' if is_filtered else ''}has {_listed(found.words)}.")
        if not is_ever:
            say("With --ever, texts that were changed or removed since are searched, too.")
        return
    names = [called(hit.task_id, hit.alias) for hit in found.hits]
    states = [_state(hit) for hit in found.hits]
    name_width = min(max(map(columns_of, [*names, "TASK"])), _NAME_COLUMNS_MAX)
    state_width = max(columns_of(state.plain) for state in [*states, Styled.of("STATE")])
    say(Styled.of(f"{'TASK':<{name_width}}  {'STATE':<{state_width}}  TITLE", "bold"))
    for hit, name, state in zip(found.hits, names, states, strict=True):
        name_gap = " " * (max(name_width - columns_of(name), 0) + 2)
        state_gap = " " * (state_width - columns_of(state.plain) + 2)
        say_hanging(Styled.assemble(name, name_gap, state, state_gap), _excerpt(hit.title, found.words, _TITLE_CHARS))
        for line in _text_lines(hit, found.words):
            say_hanging(_INDENT, line)


def _state(hit: Hit) -> Styled:
    return Styled.of("removed", "dim") if hit.task is None else state_cell(hit.task.state)


def _text_lines(hit: Hit, words: Sequence[str]) -> list[Styled]:
    """The texts that have a word, but for what the line of the task shows: its title, and its alias."""
    shown = {Place.TITLE: hit.title, Place.ALIAS: hit.alias}
    texts = [text for text in hit.texts if text.until is not None or shown.get(text.place) != text.text]
    lines = [Styled.assemble(_origin(text), _excerpt(text.text, words)) for text in texts[:TEXTS_SHOWN_MAX]]
    more = len(texts) - TEXTS_SHOWN_MAX
    return lines if more <= 0 else [*lines, Styled.of(f"… and {counted(more, 'more text')}: --json has all", "dim")]


def _origin(text: Text) -> Styled:
    """`note by ada, event 4711, 2026-11-24 17:00:00: `, and until when it was there."""
    at = Position(text.at)
    until = "" if text.until is None else f"; until event {Position(text.until).seq:,}"
    words = f"{text.place} by {visible(text.actor)}, event {at.seq:,}, {local_time(at.time)}{until}: "
    return Styled.of(words, "dim")


def _excerpt(text: str, words: Sequence[str], chars: int = _EXCERPT_CHARS) -> Styled:
    """The text, or what stands around the first word that was found."""
    if len(text) <= chars:
        return _marked(text, words)
    first = next(iter(spans(text, words)), (0, 0))[0]
    start = max(first - _EXCERPT_CHARS_BEFORE, 0)
    end = start + chars
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return Styled.assemble(before, _marked(text[start:end], words), after)


def _marked(text: str, words: Sequence[str]) -> Styled:
    """The text with the found words in a style."""
    pieces: list[str | tuple[str, str]] = []
    done = 0
    for start, end in spans(text, words):
        pieces += [text[done:start], (text[start:end], _FOUND_STYLE)]
        done = end
    return Styled.assemble(*pieces, text[done:])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(map(visible, words))
