"""What a user looks for, and how well a task fits it. Pure.

A task is found if it has every word. For each word its best place counts: a title above an alias, a tag, a body, a result, a
question, an answer, a note, a reason, and what was since changed or removed; in one place a whole word above the beginning of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self

from msgspec import Struct

from ledger import Position, Task, check_name, check_tag
from projections.filter import EVERY_TASK, TaskFilter
from projections.search.texts import Place, TaskTexts, Text
from projections.search.words import fits, query_words, words_of

BEST_FIRST: Final = (*Place,)
"""The places of present texts, best first."""
FORMER: Final = 0
"""The worth of a text that was since changed or removed; present ones are worth more."""
WORTH: Final = {place: len(BEST_FIRST) - index for index, place in enumerate(BEST_FIRST)}


def score_of(worth: int, *, is_whole: bool) -> int:
    """How well a word fits that was found in a place of this worth."""
    return 2 * worth + is_whole


class Query(Struct, frozen=True):
    """The words that a task must have, and what else must hold for it. A removed task meets no condition.

    With `is_ever`, texts count that were since changed or removed, and so do removed tasks.
    """

    words: tuple[str, ...]
    wanted: TaskFilter = EVERY_TASK
    is_ever: bool = False

    @classmethod
    def of(cls, texts: Iterable[str], wanted: TaskFilter = EVERY_TASK, *, is_ever: bool = False) -> Self:
        """The query behind what a user gave. InvalidValueError."""
        assert wanted.parent is None
        agent = None if wanted.agent is None else check_name(wanted.agent, "agent name")
        tags, not_tags = (tuple(map(check_tag, tags)) or None for tags in (wanted.tags, wanted.not_tags))
        checked = TaskFilter(state=wanted.states or None, agent=agent, tag=tags, not_tag=not_tags)
        return cls(query_words(texts), checked, is_ever)

    def is_in(self, word: str) -> bool:
        """Whether a word of a text is looked for."""
        return any(fits(word, wanted) for wanted in self.words)


class Hit(Struct, frozen=True):
    """A task that was found. `task` is None if it was removed; title and alias are then its last ones.

    `texts` are those with a word, best first, then newest first.
    """

    task_id: str
    task: Task | None
    title: str
    alias: str | None
    texts: tuple[Text, ...]


def score(found: TaskTexts, query: Query) -> int | None:
    """How well a task fits; None if it is not found."""
    if query.wanted != EVERY_TASK and (found.task is None or not query.wanted.matches(found.task)):
        return None
    best = dict.fromkeys(query.words, -1)
    for text in found.texts:
        if text.until is not None and not query.is_ever:
            continue
        worth = worth_of(text)
        for word in words_of(text.text):
            for wanted in query.words:
                if fits(word, wanted):
                    best[wanted] = max(best[wanted], score_of(worth, is_whole=word == wanted))
    return None if -1 in best.values() else sum(best.values())


def worth_of(text: Text) -> int:
    """What a text counts."""
    return WORTH[text.place] if text.until is None else FORMER


def _best_first(text: Text) -> tuple[int, int, int]:
    return -worth_of(text), -Position(text.at).seq, BEST_FIRST.index(text.place)


def hit_of(task_id: str, found: TaskTexts, query: Query) -> Hit:
    """What to show of a task that was found."""
    texts = [text for text in found.texts if text.until is None or query.is_ever]
    held = [text for text in texts if any(map(query.is_in, words_of(text.text)))]
    last = {text.place: text.text for text in found.texts}
    alias = last.get(Place.ALIAS) if found.task is None else found.task.alias
    return Hit(task_id, found.task, last[Place.TITLE], alias, tuple(sorted(held, key=_best_first)))
