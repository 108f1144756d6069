"""Parents and links of the issues in an export of Beads, and those that are left out. Pure.

The result does not depend on the order of lines: of a circle every link goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ledger import LINKS_MAX, LinkKind, Ties, find_knots
from town.imports.beads_issue import PARENT_CHILD, Issue

_KINDS: Final[Mapping[str, LinkKind]] = {
    "blocks": LinkKind.NEEDS,
    "waits-for": LinkKind.NEEDS,
    "related": LinkKind.RELATES,
    "relates-to": LinkKind.RELATES,
    "duplicates": LinkKind.DUPLICATES,
    "discovered-from": LinkKind.DISCOVERED_FROM,
}

Links = dict[LinkKind, tuple[str, ...]]


class IssueLinks(Struct, frozen=True):
    """Issue -> its parent, and its links of each kind, by issue ids; in words the parents and links that were left out.

    `placeless` counts the dependencies that became neither, by their type.
    """

    parents: dict[str, str]
    links: dict[str, Links]
    parents_left_out: tuple[str, ...]
    links_left_out: tuple[str, ...]
    placeless: dict[str, int]


def links_of(issues: Mapping[str, Issue]) -> IssueLinks:
    """The parents and links among these issues, without those that lead to no other issue, or are part of a circle."""
    parents, parents_left_out = _parents(issues)
    left_out: list[str] = []
    placeless: Counter[str] = Counter()
    links = {key: _links(issue, issues, left_out, placeless) for key, issue in issues.items()}
    for key, needed in _knotted(parents, links):
        links[key][LinkKind.NEEDS] = tuple(to for to in links[key][LinkKind.NEEDS] if to != needed)
        left_out.append(f"{key}: it needs {needed}, which waits for it, in a circle")
    return IssueLinks(parents, links, parents_left_out, tuple(sorted(left_out)), dict(sorted(placeless.items())))


def check_links(issue: Issue) -> None:
    """ValueError if the issue has more dependencies than a task has links."""
    if len(issue.dependencies or ()) > LINKS_MAX:
        raise ValueError(
            f"it has {len(issue.dependencies or ()):,} dependencies; a task has at most {LINKS_MAX:,} links"
        )


def _links(issue: Issue, issues: Mapping[str, Issue], left_out: list[str], placeless: Counter[str]) -> Links:
    """The issue's links by kind: each kind has an entry, so that an import takes away what the file does not have."""
    found: dict[LinkKind, list[str]] = {kind: [] for kind in LinkKind}
    has_parent = False
    for each in issue.dependencies or ():
        kind = _KINDS.get(each.type)
        if each.type == PARENT_CHILD and not has_parent:
            has_parent = True
        elif kind is None:
            placeless[each.type] += 1
        elif each.depends_on_id == issue.id:
            left_out.append(f"{issue.id}: it {kind.verb} itself")
        elif each.depends_on_id not in issues:
            left_out.append(f"{issue.id}: it {kind.verb} {each.depends_on_id}, which does not exist")
        else:
            found[kind].append(each.depends_on_id)
    return {kind: tuple(sorted(set(to))) for kind, to in found.items()}


def _knotted(parents: Mapping[str, str], links: Mapping[str, Links]) -> list[tuple[str, str]]:
    """The needs on circles, also through parents: pairs of an issue and one that it needs."""
    if not any(each[LinkKind.NEEDS] for each in links.values()):
        return []
    ties = {key: Ties(parents.get(key), each[LinkKind.NEEDS]) for key, each in links.items()}
    return [pair for knot in find_knots(ties) for pair in knot.needs]


def _parents(issues: Mapping[str, Issue]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Issue -> parent, without missing parents and links on a circle; and the links that were left out."""
    links = {key: issue.parent for key, issue in issues.items() if issue.parent is not None}
    known = {key: parent for key, parent in links.items() if parent in issues}
    circular = _on_circles(known)
    left_out = [f"{key}: its parent {parent} does not exist" for key, parent in links.items() if key not in known]
    left_out += [f"{key}: its parent {known[key]} lies below it, in a circle" for key in circular]
    return {key: parent for key, parent in known.items() if key not in circular}, tuple(sorted(left_out))


def _on_circles(parents: Mapping[str, str]) -> set[str]:
    """The issues on a circle: those that remain after repeatedly removing every issue without children."""
    children = Counter(parents.values())
    on_circles = set(parents)
    childless = [key for key in parents if not children[key]]
    while childless:
        key = childless.pop()
        on_circles.discard(key)
        parent = parents[key]
        children[parent] -= 1
        if parent in parents and not children[parent]:
            childless.append(parent)
    return on_circles
