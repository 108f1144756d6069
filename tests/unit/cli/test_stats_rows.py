"""How a report is shown: bars to scale, tables that fit, and blocks where none does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli.columns import columns
from cli.stats_rows import BAR_DAYS_MAX, count_rows, csv_columns, csv_row, day_bars, group_blocks, group_table
from cli.styled import Styled
from ledger import Position
from projections import NO_FIGURES, Durations, Figures
from town import AGENT, DAY, Group, Period, Report
from town.reading.report import InAll

TIMES = Durations(3, 11_400_000, 180_000_000)
FIGURES = replace(NO_FIGURES, created=1_200, completed=3, failed=1, reopened=2, lead=TIMES, work=TIMES)
PERIOD = Period(
    first=Position("1-5"),
    last=Position("9-8"),
    since=datetime(2026, 1, 1, tzinfo=UTC),
    earlier=4,
    later=0,
    zone="UTC+1",
)


def report(figures: Figures = FIGURES, *, days: tuple[str, ...] = (), **fields: Any) -> Report:
    made = Report(period=PERIOD, total=figures, groups={}, days=days, open=7, open_of={"ada": 2}, in_all=None)
    return replace(made, **fields)


def ended(completed: int, failed: int, day: str) -> Group:
    return Group(day, None, None, replace(NO_FIGURES, completed=completed, failed=failed))


def bars(*counts: tuple[int, int], room: int | None = None) -> list[str]:
    days = tuple(f"2026-01-{number:02}" for number in range(1, len(counts) + 1))
    groups = [ended(*each, day) for each, day in zip(counts, days, strict=True)]
    return [str(row[-1]) for row in day_bars(report(days=days), groups, room=room).rows]


def test_longest_bar_is_full_and_the_others_are_to_scale() -> None:
    """What failed is the end of the bar; nothing is no bar."""
    assert bars((40, 0), (10, 10), (0, 0)) == ["█" * 40, "█" * 10 + "▒" * 10, ""]


def test_smallest_end_is_seen() -> None:
    """One of a thousand has a bar, and one that failed beside many has its sign."""
    assert bars((1_000, 0), (1, 0), (0, 1)) == ["█" * 40, "█", "▒"]
    assert bars((999, 1)) == ["█" * 39 + "▒"]
    assert bars((1_000, 1_000), (1, 1))[1] == "█▒"


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=9), st.integers(37, 90))
def test_bars_fit_and_are_to_scale(counts: list[tuple[int, int]], room: int) -> None:
    """Whatever the numbers: within a column, or two where both signs must be seen, and a sign is seen if there was one such end."""
    drawn = bars(*counts, room=room)
    longest = max(map(sum, counts))
    width = max(map(len, drawn))
    assert width <= max(room - len("2026-01-01  CREATED  ENDED  "), 6)
    for (completed, failed), bar in zip(counts, drawn, strict=True):
        assert ("█" in bar, "▒" in bar) == (completed > 0, failed > 0)
        assert not longest or abs(len(bar) - width * (completed + failed) / longest) <= 2


def test_days_without_an_event_have_a_row_and_only_the_last_are_drawn() -> None:
    """A gap is seen as one; more days than fit a page are for `--by day`."""
    days = tuple(f"day-{number:04}" for number in range(BAR_DAYS_MAX + 5))
    table = day_bars(report(days=days), [], room=None)
    assert [row[0] for row in table.rows] == list(days[5:])
    assert {str(row[1]).strip() for row in table.rows} == {"·"}


def test_counts_beside_those_in_all() -> None:
    """Only what happened is listed beyond the four; a period that is all needs no second column."""
    in_all = InAll(9_000, 30, 1)
    assert count_rows(report(in_all=in_all)) == (
        ["", "COUNT", "IN ALL"],
        [
            ["created", "1,200", " 9,000"],
            ["completed", "    3", "    30"],
            ["failed", "    1", "     1"],
            ["open", "    7", "      "],
            ["reopened", "    2", "      "],
        ],
    )
    whole = replace(report(in_all=in_all), period=replace(PERIOD, earlier=0))
    assert count_rows(whole)[0] == ["", "COUNT"]


GROUPS = [Group(None, "ada", None, FIGURES), Group(None, None, None, NO_FIGURES)]


def test_table_of_agents_in_a_pipe_has_everything() -> None:
    """The agent's open tasks, median and 90th percentile of each time; nobody is called so."""
    table = group_table(report(), (AGENT,), GROUPS, room=None)
    assert table is not None
    head = [name.strip() for name in table.columns]
    ada, nobody = ([str(cell).strip() for cell in row] for row in table.rows)
    assert head[:5] == ["AGENT", "CREATED", "COMPLETED", "FAILED", "OPEN"]
    assert head[5:] == ["LEAD p50", "p90", "WAIT p50", "p90", "WORK p50", "p90"]
    assert ada == ["ada", "1,200", "3", "1", "2", "3h10m", "2d2h", "—", "—", "3h10m", "2d2h"]
    assert nobody == ["(nobody)", *"····", *"——————"]


@pytest.mark.parametrize(
    ("room", "has_p90", "name"),
    [
        (200, True, "a long name of thirty columns."),
        (100, False, "a long name of thirty columns."),
        (92, True, "a long nam…"),
    ],
)
def test_table_gives_up_percentiles_before_names(room: int, name: str, *, has_p90: bool) -> None:
    """A name is cut only where the narrower table has no room for it either."""
    table = group_table(report(), (AGENT,), [Group(None, "a long name of thirty columns.", None, FIGURES)], room=room)
    assert table is not None
    assert (table.has_p90, str(table.rows[0][0])) == (has_p90, name)


@given(st.text(min_size=1, max_size=60), st.integers(30, 160))
def test_whatever_is_shown_of_groups_fits(name: str, room: int) -> None:
    """A table of which the name is cut, or blocks."""
    groups = [Group("2026-01-01", name, None, FIGURES)]
    shown = report(open_of={name: 2})
    for grouping in ((AGENT,), (DAY, AGENT)):
        table = group_table(shown, grouping, groups, room=room)
        if table is None:
            lines = [str(line) for line in group_blocks(shown, grouping, groups, room=room)]
        else:
            widths = [
                max(columns(str(cell)) for cell in cells) for cells in zip(table.columns, *table.rows, strict=True)
            ]
            lines = ["x" * (sum(widths) + 2 * (len(widths) - 1))]
        assert max(map(columns, lines)) <= room


def test_block_says_all_that_the_table_says() -> None:
    """With 90th percentiles; times that were not measured are left out."""
    lines = list(group_blocks(report(), (AGENT,), GROUPS[:1], room=40))
    assert lines[0] == Styled.of("ada", "bold")
    assert lines[1:] == [
        "  1,200 created, 3 completed, 1 failed,",
        "  2 open, lead 3h10m, p90 2d2h,",
        "  work 3h10m, p90 2d2h",
    ]


def test_csv_has_a_cell_for_each_head() -> None:
    """Numbers as they are; what was not measured is nothing, and an agent that is nobody is, too."""
    row = csv_row(report(), (AGENT,), GROUPS[1])
    assert dict(zip(csv_columns((AGENT,)), row, strict=True))["lead_median_ms"] is None
    assert row[:2] == [None, 0]
    dated = csv_row(report(), (DAY, AGENT), Group("2026-01-01", "ada", None, FIGURES))
    named = dict(zip(csv_columns((DAY, AGENT)), dated, strict=True))
    assert (named["zone"], named["day"], named["agent"], named["created"]) == ("UTC+1", "2026-01-01", "ada", 1_200)
    assert (named["work_count"], named["work_p90_ms"]) == (3, 180_000_000)
