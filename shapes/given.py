"""What a face hands to a shape, where the face makes it itself: only what the shape reads of it. For types alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ledger import Position, Task
from town import Annotation, Moment, Title


class When(Protocol):
    """A WHEN, as it was given and understood."""

    @property
    def text(self) -> str: ...
    @property
    def moment(self) -> Moment: ...
    @property
    def note(self) -> str | None: ...
    @property
    def event(self) -> Position | None: ...


class Fields(Protocol):
    """The fields of a task that are asked for; all if there are none."""

    @property
    def names(self) -> Sequence[str]: ...


class Beside(Protocol):
    """What is shown beside events: by position, flaws and notes; by id, titles."""

    @property
    def flaws(self) -> Mapping[str, str]: ...
    @property
    def notes(self) -> Mapping[str, Sequence[Annotation]]: ...
    @property
    def titles(self) -> Mapping[str, Title]: ...


class OpenGroup(Protocol):
    """Some of an agent's open tasks, and how many there are."""

    @property
    def agent(self) -> str | None: ...
    @property
    def tasks(self) -> Sequence[Task]: ...
    @property
    def total(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def more(self) -> int: ...


class Count(Protocol):
    """How many events a group has, by kind."""

    @property
    def numbers(self) -> Mapping[str, int]: ...


class Primed(Protocol):
    """What an agent begins with."""

    @property
    def town(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def own(self) -> Sequence[Task]: ...
    @property
    def own_total(self) -> int: ...
    @property
    def waiting(self) -> Collection[str]: ...
    @property
    def ready(self) -> Sequence[Task]: ...
    @property
    def has_more_ready(self) -> bool: ...
    @property
    def questions(self) -> Sequence[Task]: ...
    @property
    def questions_total(self) -> int: ...
    @property
    def askers(self) -> Mapping[str, str]: ...
