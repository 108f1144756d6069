"""The bounds of both clients: how long an exchange with a server may take, and how large a reply may be."""

from __future__ import annotations

from typing import Final

from ledger import OversizedReplyError

CONNECT_SECONDS_MAX: Final = 5
"""For each step of a connection: to reach the address, to agree on TLS, and to be greeted."""
EXCHANGE_SECONDS_MAX: Final = 60
"""From the first wait after a command was sent to the last reply."""
OWN_REPLY_BYTES_MAX: Final = 512 * 1024 * 1024
"""The reply limit for the town's own server, whose socket only this user can reach."""
OWN_REPLY_ELEMENTS_MAX: Final = 16 * 1024 * 1024
REPLY_BYTES_MAX: Final = 24 * 1024 * 1024
"""The reply limit for a server at a URL. A reply is in memory twice for a moment, and `tt` itself takes 40 MB."""
REPLY_ELEMENTS_MAX: Final = 600_000
READ_BYTES: Final = 64 * 1024
"""How much to read from the socket at once."""

TOO_LARGE: Final = (MemoryError, RecursionError, SystemError)
MISTAKES: Final = (*TOO_LARGE, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What hiredis' reader raises for bytes that are not a reply, or for too many. No other code runs there."""
TOO_LARGE_WORDS: Final = "its reply announces more than this machine can hold"
NO_REPLY_WORDS: Final = "sent something that is not a reply"
PUSH_WORDS: Final = "sent a message without a subscription"

_TEXTS: Final = b"$="
_CONTAINERS: Final = b"*%~>|"
_DIGITS_MAX: Final = 20


def refuse_announced(buffer: bytearray, received: int, *, bytes_max: int, elements_max: int) -> None:
    """OversizedReplyError if the first line in the buffer announces more than the limit."""
    is_text = buffer[0] in _TEXTS
    if not is_text and buffer[0] not in _CONTAINERS:
        return
    end = buffer.find(b"\r\n", 1, min(received, 1 + _DIGITS_MAX + 2))
    digits = bytes(buffer[1:end]) if end > 0 else b""
    if digits.isdigit() and int(digits) > (bytes_max if is_text else elements_max):
        raise OversizedReplyError(f"its reply announces {int(digits):,} {'bytes' if is_text else 'elements'}")


def refuse_received(received: int, *, bytes_max: int) -> None:
    """OversizedReplyError if these bytes of one reply exceed the limit."""
    if received > bytes_max:
        raise OversizedReplyError(f"its reply has more than {bytes_max:,} bytes")


def overdue_words(seconds: float) -> str:
    return f"its reply was not there after {seconds} s"
