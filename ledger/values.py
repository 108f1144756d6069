"""The rules for texts, names and tags (DESIGN 4, "Text"). Pure: returns the trimmed value, or raises InvalidValueError."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

from ledger.errors import InvalidValueError
from ledger.run_mark import RunMark

TEXT_BYTES_MAX: Final = 64 * 1024
NAME_CHARS_MAX: Final = 128
TAG_CHARS_MAX: Final = 64
CHOICES_MAX: Final = 20
PRIORITY_MAX: Final = 4
PRIORITY_DEFAULT: Final = 2

# Unprintable characters can hide text or turn its direction. These two are allowed, because Persian and Hindi words and
# joined emoji need them.
_JOINERS: Final = "\u200c\u200d"


def check_text(text: str, what: str) -> str:
    """A description, result, reason or note: 1 byte to 64 KiB of UTF-8, any Unicode but NUL and lone surrogates."""
    if not text.strip():
        raise InvalidValueError(what, "is empty", "Say something.")
    if "\0" in text:
        raise InvalidValueError(what, "holds a NUL character", "Remove it.")
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidValueError(what, "is not valid UTF-8", "Save the text as UTF-8 and pass it again.") from error
    if size_bytes > TEXT_BYTES_MAX:
        raise InvalidValueError(
            what,
            f"is {size_bytes:,} bytes long",
            f"At most {TEXT_BYTES_MAX:,} bytes are kept: put the rest into a file and name the file.",
        )
    return text


def title_of(text: str) -> str:
    """What a text is about: its first line that shows something, without blanks around it, as of a commit's message."""
    return text.strip().partition("\n")[0].rstrip()


def check_name(name: str, what: str) -> str:
    """An agent, actor or alias: 1 to 128 printable characters, trimmed; spaces inside are fine."""
    return _check_printable(name, what, NAME_CHARS_MAX)


def check_tag(tag: str) -> str:
    """A tag: 1 to 64 printable characters, trimmed."""
    return _check_printable(tag, "tag", TAG_CHARS_MAX)


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, checked, sorted and without duplicates, so that the same tags are the same bytes."""
    return tuple(sorted({check_tag(tag) for tag in tags}))


def check_choices(choices: Iterable[str]) -> tuple[str, ...]:
    """The answers to choose from, checked, in their order, each once; at most CHOICES_MAX."""
    checked = tuple(dict.fromkeys(check_name(choice, "choice") for choice in choices))
    if len(checked) > CHOICES_MAX:
        raise InvalidValueError(
            "choices", f"are {len(checked)}", f"Offer at most {CHOICES_MAX}, or let people answer in their own words."
        )
    return checked


def check_priority(priority: int) -> int:
    """A priority: 0 is most urgent, PRIORITY_MAX least."""
    if not 0 <= priority <= PRIORITY_MAX:
        raise InvalidValueError("priority", f"is {priority}", f"Use 0 (most urgent) to {PRIORITY_MAX} (least urgent).")
    return priority


def check_run(run: RunMark) -> RunMark:
    """A run as a runner makes it; no other run can be stored."""
    if RunMark.parse(str(run)) != run:
        raise InvalidValueError("run", "is not as a runner makes it", "Take one from `new_mark()`.")
    return run


_RULES: Final[Mapping[str, Callable[[Any], object]]] = {
    "description": lambda value: check_text(value, "description"),
    "result": lambda value: check_text(value, "result"),
    "error": lambda value: check_text(value, "error"),
    "reason": lambda value: check_text(value, "reason"),
    "text": lambda value: check_text(value, "note"),
    "actor": lambda value: check_name(value, "actor"),
    "agent": lambda value: check_name(value, "agent name"),
    "assigned_to": lambda value: check_name(value, "agent name"),
    "alias": lambda value: check_name(value, "alias"),
    "run": check_run,
    "question": lambda value: check_text(value, "question"),
    "answer": lambda value: check_text(value, "answer"),
    "choices": check_choices,
    "priority": check_priority,
    "tags": check_tags,
    "added": check_tags,
    "removed": check_tags,
}
"""Field of a command or a desired task -> its rule."""


def value_flaw(field: str, value: object) -> str | None:
    """What is wrong, in words, with a stored value of a field; None if a command would store it so."""
    rule = _RULES.get(field)
    if rule is None or value is None:
        return None
    try:
        kept = rule(value)
    except InvalidValueError as error:
        return f"the {error.what} {error.problem}"
    if kept == value:
        return None
    if isinstance(value, str):
        return f"the {field} begins or ends with a blank"
    if field == "choices":
        return "the choices are not trimmed, and each once"
    return f"the tags in {field} are not trimmed, each once, and in order"


class Checked(Struct, frozen=True, kw_only=True):
    """A Struct that checks and trims its texts, names and tags when it is made; None stays None."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            rule = _RULES.get(name)
            value = getattr(self, name)
            if rule is not None and value is not None:
                force_setattr(self, name, rule(value))


def _check_printable(value: str, what: str, chars_max: int) -> str:
    value = value.strip()
    if not value:
        raise InvalidValueError(what, "is empty", f"Use 1 to {chars_max} printable characters.")
    if len(value) > chars_max:
        raise InvalidValueError(what, f"has {len(value)} characters", f"Use 1 to {chars_max} printable characters.")
    if value.isprintable():
        # This holds for nearly every name. It shows something, because blanks at its ends were stripped.
        return value
    if not any(char.isprintable() and not char.isspace() for char in value):
        raise InvalidValueError(what, "shows nothing", f"Use 1 to {chars_max} printable characters.")
    for char in value:
        if not (char.isprintable() or char in _JOINERS):
            raise InvalidValueError(
                what,
                f"holds the unprintable character U+{ord(char):04X}",
                f"Use 1 to {chars_max} printable characters.",
            )
    return value
