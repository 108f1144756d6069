"""`keep_copy.lua`, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import is_yes, script_source

if TYPE_CHECKING:
    from redis import Redis


class KeepCopyScript:
    """Keeps a copy of an old record until its task is adopted."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(self, *, record_key: str, copy_key: str, free_key: str, heads_key: str, task_id: str) -> bool:
        """Whether everything is kept that must be; False if `free_key` is taken, and then nothing was written."""
        return is_yes(self._script(keys=[record_key, copy_key, free_key, heads_key], args=[task_id]), "EVALSHA")
