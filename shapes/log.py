"""The JSON shape of the counts of `tt log --stat`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shapes import Shape

if TYPE_CHECKING:
    from shapes.given import Count
    from town import Title, Town


def counts_shape(
    town: Town,
    whole: Count,
    groups: Mapping[str, Count],
    titles: Mapping[str, Title],
    *,
    by: str | None,
    **more: Any,  # noqa: ANN401 - further fields of the shape
) -> Shape:
    """How many events match in all and in each group: all groups, whatever is shown to people."""
    kind = "type" if by is None else by
    return {
        "town": town.name,
        **more,
        "by": kind,
        **whole.numbers,
        "total": len(groups),
        "groups": [{kind: name, **_title(titles.get(name)), **count.numbers} for name, count in groups.items()],
    }


def _title(title: Title | None) -> Shape:
    return {} if title is None else {"alias": title.alias, "title": title.text}
