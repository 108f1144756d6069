"""RunMark: identifies a run, that is one time that a runner works on a task. `task.started` holds it. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from msgspec import Meta, Struct

RUN_CHARS: Final = 12
HOST_CHARS_MAX: Final = 64
_PROCESS_MAX: Final = 2**31 - 1

_HOST: Final = rf"[A-Za-z0-9._-]{{1,{HOST_CHARS_MAX}}}"
_ID: Final = rf"[0-9a-f]{{{RUN_CHARS}}}"
_WORDS: Final = rf"runner on (?P<host>{_HOST}), process (?P<process>[1-9][0-9]{{0,9}}), run (?P<id>{_ID})"


class RunMark(Struct, frozen=True, gc=False):
    """Which run: its own id, and the host and process of its runner."""

    id: Annotated[str, Meta(pattern=rf"\A{_ID}\Z")]
    host: Annotated[str, Meta(pattern=rf"\A{_HOST}\Z")]
    process: Annotated[int, Meta(ge=1, le=_PROCESS_MAX)]

    @classmethod
    def parse(cls, words: str | None) -> Self | None:
        """The run in a runner's words; None if the words are not a runner's.

        Only the reason of a `task.started` of schema 1 is parsed so: later schemas have the run as a field.
        """
        found = re.fullmatch(_WORDS, words or "")
        if found is None or int(found["process"]) > _PROCESS_MAX:
            return None
        return cls(found["id"], found["host"], int(found["process"]))

    def __str__(self) -> str:
        return f"runner on {self.host}, process {self.process}, run {self.id}"
