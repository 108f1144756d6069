"""Reads the `.lua` file beside the wrapper that runs it."""

from __future__ import annotations

from pathlib import Path


def script_source(wrapper_file: str) -> str:
    """The text of the script of the same name, so `append.py` runs `append.lua`; pass `__file__`."""
    return Path(wrapper_file).with_suffix(".lua").read_text(encoding="utf-8")
