"""KeptAnswers: a town's last answers as bytes, each for as long as nothing is appended, so that it is made once for all who ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from msgspec.structs import replace

from ledger import BEGINNING, Position
from town import Town
from web.answers import Answer, encode

KEPT_ANSWERS_MAX: Final = 256
KEPT_ANSWERS_BYTES_MAX: Final = 16 << 20
KEPT_SECONDS_MAX: Final = 1.0
"""An answer is made again after that, even if nothing was appended: a repair of the views appends nothing."""


class KeptAnswers:
    """The answers of one town at its end. All go when the end is another one."""

    def __init__(self) -> None:
        self._end = BEGINNING
        self._answers: dict[Hashable, tuple[Answer, float]] = {}
        self._bytes = 0
        self._making: dict[Hashable, threading.Lock] = {}
        """The questions whose answer somebody makes."""
        self._lock = threading.Lock()

    def ask(self, town: Town, question: Hashable, answer: Callable[[], Answer]) -> Answer:
        """The answer to a question about now: the kept one if the ledger still ends there, which is asked first.

        Only an answer that depends on the ledger alone is kept, and so only one that has a position.
        """
        end = town.end()
        found = self._find(question, end)
        if found is not None:
            return found
        with self._lock:
            making = self._making.setdefault(question, threading.Lock())
        try:
            # Those who ask the same meanwhile wait for it: made by all at once, it would take each of them as long as all.
            with making:
                return self._find(question, end) or self._make(question, end, answer)
        finally:
            with self._lock:
                self._making.pop(question, None)

    def _find(self, question: Hashable, end: Position) -> Answer | None:
        with self._lock:
            answer, until = self._answers.get(question, (None, 0.0)) if self._end == end else (None, 0.0)
        return answer if until > time.monotonic() else None

    def _make(self, question: Hashable, end: Position, answer: Callable[[], Answer]) -> Answer:
        made = answer()
        if made.position != end:
            return made
        content = encode(made.shape)
        made = replace(made, shape=content)
        with self._lock:
            self._keep(question, made, len(content))
        return made

    def _keep(self, question: Hashable, answer: Answer, size: int) -> None:
        assert answer.position is not None
        is_full = len(self._answers) >= KEPT_ANSWERS_MAX or self._bytes + size > KEPT_ANSWERS_BYTES_MAX
        if is_full or self._end != answer.position:
            self._answers.clear()
            self._end, self._bytes = answer.position, 0
        if size <= KEPT_ANSWERS_BYTES_MAX:
            # One that is replaced counts until all go, which only makes that earlier.
            self._answers[question] = answer, time.monotonic() + KEPT_SECONDS_MAX
            self._bytes += size
