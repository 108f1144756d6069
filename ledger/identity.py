"""Which UUID a task gets (DESIGN 4, "Identity")."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid4, uuid5


def new_task_id() -> str:
    """A random UUID, for a task made by hand."""
    return str(uuid4())


def new_command_id() -> str:
    """A random UUID that marks the events of one command, so that a lost reply can be told from a lost request."""
    return str(uuid4())


def task_id_of_alias(town: str, alias: str) -> str:
    """The UUID that every machine computes for `alias` in `town`: uuid5 of `tinytown:<town>:<alias>` as a URL.

    A town's name has no colon, so no two pairs of town and alias share a text.
    """
    return str(uuid5(NAMESPACE_URL, f"tinytown:{town}:{alias}"))
