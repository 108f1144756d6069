"""Links: what a task needs, and its other links. Like `cli.commands.tasks`, it does not import Typer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.answers import say_receipt
from cli.session import opened
from cli.text import counted, visible
from ledger import LinkKind

if TYPE_CHECKING:
    from typing import Annotated

    import typer

    from cli.options import (
        ActorOption,
        ExpectOption,
        LinkedArgument,
        LinkKindOption,
        ReasonOption,
        TaskArgument,
        TaskJsonOption,
        TownOption,
    )

_NAMES_SHOWN = 5


def needs(
    task: TaskArgument,
    others: LinkedArgument,
    *,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Say that a task needs others: it cannot be begun before all of them are completed.

    Refused if tasks would then wait for each other. Nothing is written if one of the links is refused.
    """
    with opened(town, actor) as opened_town:
        receipt = opened_town.link(task, others, LinkKind.NEEDS, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, f"needs {_named(others)}", as_json=as_json)


def link(
    task: TaskArgument,
    others: LinkedArgument,
    *,
    kind: LinkKindOption = LinkKind.RELATES,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Link a task to others. Only `needs` keeps a task from being begun; the other kinds are for people.

    A task has at most 1,000 links. Nothing is written if one of the links is refused.
    """
    with opened(town, actor) as opened_town:
        receipt = opened_town.link(task, others, kind, reason=reason, expected_version=expect)
        say_receipt(opened_town, receipt, f"{kind.verb} {_named(others)}", as_json=as_json)


def unlink(
    task: TaskArgument,
    others: LinkedArgument,
    *,
    kind: Annotated[
        LinkKind | None,
        typer.Option("--kind", metavar="KIND", help=f"Only links of this kind: {', '.join(LinkKind)}. Default: all."),
    ] = None,
    reason: ReasonOption = None,
    expect: ExpectOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: TaskJsonOption = None,
) -> None:
    """Take the links from a task to others away. The others may be removed tasks."""
    with opened(town, actor) as opened_town:
        receipt = opened_town.unlink(task, others, kind, reason=reason, expected_version=expect)
        verb = "has no link to" if kind is None else f"no longer {_negated(kind)}"
        say_receipt(opened_town, receipt, f"{verb} {_named(others)}", as_json=as_json)


def _negated(kind: LinkKind) -> str:
    return "counts as discovered from" if kind is LinkKind.DISCOVERED_FROM else kind.verb


def _named(others: list[str]) -> str:
    """The tasks as the user called them."""
    given = list(dict.fromkeys(each.strip() for each in others))
    names = ", ".join(map(visible, given[:_NAMES_SHOWN]))
    more = len(given) - _NAMES_SHOWN
    return f"{names} and {counted(more, 'other')}" if more > 0 else names
