"""Says what is wrong with JSON where the decoder's own words would mislead. Pure."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = rb"(?s)\\(?:u([0-9a-fA-F]{4})|.)"
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)


def json_problem(payload: bytes | str, error: Exception) -> str:
    """A decoder's `error` on `payload`, in words. Names half a surrogate pair, which msgspec sometimes calls "truncated"."""
    half = _half_pair(payload.encode(errors="replace") if isinstance(payload, str) else payload)
    if half is None:
        return str(error)
    escape, byte = half
    return f"{escape} at byte {byte:,} is half of a surrogate pair, and no character without its other half"


def _half_pair(payload: bytes) -> tuple[str, int] | None:
    r"""The first `\uXXXX` that is one half of a surrogate pair without the other, and its byte, counted from 1."""
    high: re.Match[bytes] | None = None
    for escape in re.finditer(_ESCAPE, payload):
        code = int(escape[1], 16) if escape[1] else -1
        is_second = high is not None and high.end() == escape.start() and code in _LOW
        if high is not None and not is_second:
            break
        if code in _LOW and not is_second:
            high = escape
            break
        high = escape if code in _HIGH else None
    return None if high is None else (high[0].decode(), high.start() + 1)
