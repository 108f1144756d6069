"""How a report of `tt stats` is shown to people and in CSV. Pure: figures in, lines and cells out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cli.columns import columns as columns_of
from cli.columns import cut, wrapped
from cli.output import Cell
from cli.render import NOTHING
from cli.styled import Styled
from cli.text import counted, duration, visible
from town import AGENT, DAY, TAG

if TYPE_CHECKING:
    from cli.csv_table import CsvCell
    from projections import Durations, Figures
    from town import Group, Grouping, Period, Report

BAR_DAYS_MAX: Final = 92
"""The bars of more days say less than the rows of `--by day`."""
AGENTS_SHOWN_MAX: Final = 50
_BAR_COLUMNS_MAX: Final = 40
_BAR_COLUMNS_MIN: Final = 6
_NAME_COLUMNS_MIN: Final = 10
_GAP: Final = 2
_COMPLETED_SIGN, _FAILED_SIGN = "█", "▒"
_NO_COUNT: Final = "·"
_MAIN_COUNTS: Final = ("created", "completed", "failed")
_OTHER_COUNTS: Final = ("cancelled", "reopened", "requeued", "handed_over", "adopted", "removed")
TIMES: Final = ("lead", "wait", "work")
_NOBODY: Final = {AGENT: "(nobody)", TAG: "(no tag)"}


class Table(Struct, frozen=True):
    """Heads and rows that fit."""

    columns: list[str]
    rows: list[list[Cell]]
    has_p90: bool = True


# --- the summary -------------------------------------------------------------------------------------------------


def period_lines(report: Report) -> list[str]:
    """Which days are shown, and how much is open; each line fits 40 columns."""
    days = report.days
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return [f"{span} ({report.period.zone})", f"{counted(len(days), 'day')}, {report.open:,} open"]


def more_line(period: Period) -> str:
    """How many events the report leaves out, and how to see all."""
    return f"{counted(period.earlier, 'earlier event')} not counted. All: --since 1"


def count_rows(report: Report) -> tuple[list[str], list[list[str]]]:
    """The counts of the period, beside those in all where the period is not all."""
    figures, in_all = report.total, report.in_all if report.period.earlier else None
    counts = [*((name, getattr(figures, name)) for name in _MAIN_COUNTS), ("open", report.open)]
    counts += [(name, number) for name in _OTHER_COUNTS if (number := getattr(figures, name))]
    rows = [[_words(name), f"{number:,}"] for name, number in counts]
    if in_all is None:
        return _aligned(["", "COUNT"], rows)
    ever = [f"{number:,}" for number in (in_all.created, in_all.completed, in_all.failed)]
    ever += [""] * (len(rows) - len(ever))
    return _aligned(["", "COUNT", "IN ALL"], [[*row, each] for row, each in zip(rows, ever, strict=True)])


def time_rows(figures: Figures) -> tuple[list[str], list[list[str]]]:
    """Median and 90th percentile of each time, and of how many tasks."""
    rows = [[name, *_quantiles(getattr(figures, name)), f"{getattr(figures, name).count:,}"] for name in TIMES]
    return _aligned(["TIME", "MEDIAN", "p90", "OF"], rows)


# --- groups ------------------------------------------------------------------------------------------------------


def group_table(report: Report, grouping: Grouping, groups: Sequence[Group], *, room: int | None) -> Table | None:
    """A row for each group. None if no table fits `room`. No `room` is enough for all.

    If the whole table does not fit, 90th percentiles are left out, and if that is not enough, names are cut.
    """
    tables = [_group_table(report, grouping, groups, has_p90=has_p90) for has_p90 in (True, False)]
    if room is None:
        return tables[0]
    index = len(grouping) - 1
    for table in tables:
        if _left_for(index, table, room) >= _width_of(index, table):
            return table
    for table in tables:
        left = _left_for(index, table, room)
        if left >= max(_NAME_COLUMNS_MIN, columns_of(table.columns[index])):
            rows = [[*row[:index], cut(str(row[index]), left), *row[index + 1 :]] for row in table.rows]
            return Table(table.columns, rows, has_p90=table.has_p90)
    return None


def _group_table(report: Report, grouping: Grouping, groups: Sequence[Group], *, has_p90: bool) -> Table:
    columns = [*_head(report, grouping), *(name.upper() for name in _MAIN_COUNTS)]
    has_open = grouping == (AGENT,)
    columns += ["OPEN"] if has_open else []
    for name in TIMES:
        columns += [f"{name.upper()} p50", "p90"] if has_p90 else [f"{name.upper()} p50"]
    rows: list[list[str]] = []
    for group in groups:
        counts = [getattr(group.figures, name) for name in _MAIN_COUNTS]
        counts += [report.open_of.get(group.agent or "", 0)] if has_open else []
        times = [cell for name in TIMES for cell in _quantiles(getattr(group.figures, name))[: 2 if has_p90 else 1]]
        rows.append([*names_of(grouping, group), *map(_number, counts), *times])
    aligned, cells = _aligned(columns, rows, first=len(grouping))
    return Table(aligned, [list(row) for row in cells], has_p90=has_p90)


def _left_for(index: int, table: Table, room: int) -> int:
    """How wide a column can be beside the others."""
    widths = _widths([table.columns, *([str(cell) for cell in row] for row in table.rows)])
    return room - sum(widths) + widths[index] - _GAP * (len(widths) - 1)


def _width_of(index: int, table: Table) -> int:
    return max(columns_of(table.columns[index]), *(columns_of(str(row[index])) for row in table.rows))


def group_blocks(report: Report, grouping: Grouping, groups: Sequence[Group], *, room: int) -> Iterator[Cell]:
    """The same as lines for a narrow terminal: the name, and below it every figure."""
    for group in groups:
        yield Styled.of(cut("  ".join(names_of(grouping, group)), room), "bold")
        words = [f"{getattr(group.figures, name):,} {name}" for name in _MAIN_COUNTS]
        words += [f"{report.open_of.get(group.agent or '', 0):,} open"] if grouping == (AGENT,) else []
        for name in TIMES:
            median, p90 = _quantiles(getattr(group.figures, name))
            words += [f"{name} {median}, p90 {p90}"] if median != NOTHING else []
        yield from (f"  {line}" for line in wrapped(words, room - 2, between=", "))


def _head(report: Report, grouping: Grouping) -> list[str]:
    return [f"DAY ({report.period.zone})" if part == DAY else part.upper() for part in grouping]


def names_of(grouping: Grouping, group: Group) -> list[str]:
    """What a group is called, for each part of the grouping."""
    return [_NOBODY[part] if (name := getattr(group, part)) is None else visible(name) for part in grouping]


# --- bars --------------------------------------------------------------------------------------------------------


def day_bars(report: Report, groups: Sequence[Group], *, room: int | None) -> Table:
    """A bar for each day of the period, the last BAR_DAYS_MAX: what was completed, and behind it what failed."""
    figures = {group.day: group.figures for group in groups}
    days = report.days[-BAR_DAYS_MAX:]
    counts = [_ended(figures.get(day)) for day in days]
    longest = max(map(sum, counts))
    rows = [
        [day, _number(0 if day not in figures else figures[day].created), _number(sum(ended))]
        for day, ended in zip(days, counts, strict=True)
    ]
    columns, aligned = _aligned([f"DAY ({report.period.zone})", "CREATED", "ENDED"], rows)
    taken = sum(_widths([columns, *aligned])) + _GAP * len(columns)
    width = _BAR_COLUMNS_MAX if room is None else min(max(room - taken, _BAR_COLUMNS_MIN), _BAR_COLUMNS_MAX)
    bars = [_bar(*ended, longest=longest, width=width) for ended in counts]
    return Table([*columns, ""], [[*row, bar] for row, bar in zip(aligned, bars, strict=True)])


def _bar(completed: int, failed: int, *, longest: int, width: int) -> Styled:
    """A bar whose length is that of both together; one that failed is always seen."""
    ended = completed + failed
    if not ended:
        return Styled.of("")
    length = max(round(width * ended / longest), 1 if not (completed and failed) else 2)
    of_failed = min(max(round(length * failed / ended), 1 if failed else 0), length - (1 if completed else 0))
    return Styled.assemble(
        (_COMPLETED_SIGN * (length - of_failed), "green"), (_FAILED_SIGN * of_failed, "red" if of_failed else "")
    )


def _ended(figures: Figures | None) -> tuple[int, int]:
    return (0, 0) if figures is None else (figures.completed, figures.failed)


# --- CSV ---------------------------------------------------------------------------------------------------------


def csv_columns(grouping: Grouping) -> list[str]:
    """The heads, with the names of the JSON and the unit last."""
    times = [f"{name}_{part}" for name in TIMES for part in ("count", "median_ms", "p90_ms")]
    return [
        *(["zone"] if DAY in grouping else []),
        *grouping,
        *_MAIN_COUNTS,
        *_OTHER_COUNTS,
        *(["open"] if grouping == (AGENT,) else []),
        *times,
    ]


def csv_row(report: Report, grouping: Grouping, group: Group) -> list[CsvCell]:
    figures = group.figures
    row: list[CsvCell] = [report.period.zone] if DAY in grouping else []
    row += [getattr(group, part) for part in grouping]
    row += [getattr(figures, name) for name in (*_MAIN_COUNTS, *_OTHER_COUNTS)]
    row += [report.open_of.get(group.agent or "", 0)] if grouping == (AGENT,) else []
    for name in TIMES:
        measured: Durations = getattr(figures, name)
        row += [measured.count, measured.median_ms, measured.p90_ms]
    return row


# --- cells -------------------------------------------------------------------------------------------------------


def _aligned(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, first: int = 1
) -> tuple[list[str], list[list[str]]]:
    """The table with all columns from `first` on aligned to the right, where numbers can be compared."""
    lines = [columns, *rows]
    widths = _widths(lines)
    padded = [
        [cell if index < first else " " * (widths[index] - columns_of(cell)) + cell for index, cell in enumerate(line)]
        for line in lines
    ]
    return padded[0], padded[1:]


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column is."""
    return [max(map(columns_of, cells)) for cells in zip(*lines, strict=True)]


def _quantiles(measured: Durations) -> list[str]:
    return [NOTHING if ms is None else duration(ms).replace(" ", "") for ms in (measured.median_ms, measured.p90_ms)]


def _number(number: int) -> str:
    return f"{number:,}" if number else _NO_COUNT


def _words(name: str) -> str:
    return name.replace("_", " ")
