"""Which UUID a task gets (DESIGN 4, "Identity")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

TOWN_ID: Final = "town"
"""Stands in the place of a task's id where a fact is the town's: in the heads and in the envelope. No task can have it."""
_TASK_ID_CHARS: Final = 36
_DASHES: Final = (8, 13, 18, 23)


def is_task_id(text: str) -> bool:
    """Whether a task may have this id: a UUID in its usual form, in lower case with four dashes."""
    return (
        len(text) == _TASK_ID_CHARS
        and text[8] == text[13] == text[18] == text[23] == "-"
        and text.isascii()
        and text.encode().translate(None, b"0123456789abcdef") == b"-" * len(_DASHES)
    )


def are_task_ids(texts: Sequence[str]) -> bool:
    """Whether all are task ids; for many at once this takes a sixth of the time of `is_task_id`."""
    joined = "".join(texts)
    count = len(texts)
    # Only hexadecimal digits and dashes, and the dashes are in their places in every 36 characters.
    return (
        len(joined) == _TASK_ID_CHARS * count
        and joined.isascii()
        and joined.encode().translate(None, b"0123456789abcdef") == b"-" * (len(_DASHES) * count)
        and all(joined[place::_TASK_ID_CHARS] == "-" * count for place in _DASHES)
        and set(map(len, texts)) <= {_TASK_ID_CHARS}
    )


def new_task_id() -> str:
    """A random UUID, for a task made by hand."""
    return str(uuid4())


def new_command_id() -> str:
    """A random UUID for the events of one command. With it, a writer can tell a lost reply from a lost request."""
    return str(uuid4())


def task_id_of_command(town: str, command_id: str) -> str:
    """The UUID of the task that the command with this id creates in `town`: uuid5 of `tinytown:<town>` below the command's id."""
    return str(uuid5(UUID(command_id), f"tinytown:{town}"))


def task_id_of_alias(town: str, alias: str) -> str:
    """The UUID that every machine computes for `alias` in `town`: uuid5 of `tinytown:<town>:<alias>` as a URL.

    A town's name has no colon, so no two pairs of town and alias share a text.
    """
    return str(uuid5(NAMESPACE_URL, f"tinytown:{town}:{alias}"))
