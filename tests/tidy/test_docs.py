"""The documentation is whole and true: every name has its entry, every link leads somewhere, every limit has its value."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import ledger
import ledger.errors
import projections.errors
import town.errors
from cli.exits import Exit, exit_code
from cli.tree import app_for
from ledger import (
    EVENT_CLASSES,
    TOWN_EVENT_CLASSES,
    TOWN_NAMES_RESERVED,
    Keys,
    LedgerError,
    RecordedEvent,
    State,
    decode_event,
)
from projections import VIEWS, Snapshot, View
from projections.snapshots import decode_snapshot
from tests.support import cli_reference
from tests.support.markdown import DOCS, ROOT, anchors, blocks, headings, links, page_name, pages, prose
from town.folder.settings import RedisSettings, Settings

REFERENCE = DOCS / "reference"
ALL_EVENTS: tuple[type[ledger.Event], ...] = (*EVENT_CLASSES, *TOWN_EVENT_CLASSES)
_SOURCES = [
    path
    for folder in ("ledger", "projections", "town", "agent_tools", "shapes", "web", "cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
_FORBIDDEN_WORDS = re.compile(r"\b(simply|just)\b", re.IGNORECASE)
_MACHINE_PATHS = re.compile(r"(?<![\w.~])/(?:tmp|work|root|usr|opt|var|private|Users)/|/home/(?!you\b)")
_LIMIT_ROW = re.compile(r"^\| [^|]+ \| ([0-9][0-9,.]*)[^|]* \| `([A-Z_]+)` \| `([a-z_.]+)` \|$")


def _errors() -> list[type[LedgerError]]:
    found = {
        value
        for module in (ledger.errors, projections.errors, town.errors)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, LedgerError)
    }
    return sorted(found - {LedgerError}, key=lambda error: error.__name__)


def _read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.fixture(params=pages(), ids=page_name)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    """A relative link names a file that is there, and a heading that the file has."""
    text = page.read_text(encoding="utf-8")
    for link in links(text):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = page if not target else (page.parent / target).resolve()
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), link


def test_page_has_no_belittling_word(page: Path) -> None:
    """Nobody is told that something is done with ease: not 'simply', not 'just'."""
    found = _FORBIDDEN_WORDS.search(prose(page.read_text(encoding="utf-8")))
    assert found is None, found


def test_page_has_no_path_of_a_machine(page: Path) -> None:
    """A page names no folder of the machine it was written on; a reader's own is /home/you."""
    found = _MACHINE_PATHS.search(page.read_text(encoding="utf-8"))
    assert found is None, found


def test_page_has_one_title(page: Path) -> None:
    """A page opens with its title, and has one."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert sum(line.startswith("# ") for line in prose("\n".join(lines)).splitlines()) == 1


def test_page_is_reached_from_the_index() -> None:
    """Every page of docs is linked from docs/index.md."""
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(_read("index.md"))}
    assert linked >= {page.resolve() for page in DOCS.rglob("*.md")} - {DOCS / "index.md"}


def test_command_reference_is_current() -> None:
    """docs/reference/cli.md is what `--help` says today; `make docs` writes it."""
    assert cli_reference.PAGE.read_text(encoding="utf-8") == cli_reference.reference(), "run `make docs`"


def test_command_reference_has_every_command() -> None:
    """Every command and group has a section."""
    sections = headings(cli_reference.PAGE.read_text(encoding="utf-8"))
    commands = [" ".join(("tt", *names)) for names in cli_reference.command_names()]
    assert sections[1:] == commands
    assert {name for command in commands for name in command.split()} >= {"assign", "task", "history", "replay"}
    assert app_for().info.name == "tt"


@pytest.mark.parametrize("event_class", ALL_EVENTS, ids=lambda event_class: event_class.type)
def test_event_has_an_entry_with_its_data(event_class: type[ledger.Event]) -> None:
    """Every event type has a section, with a row for each field of its data, and an example."""
    text = _read("reference/events.md")
    section = text.partition(f"\n### {event_class.type}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert section, "no section"
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert rows == list(event_class.__struct_fields__)
    [example] = [block for block in blocks(section) if block.language == "json"]
    recorded = decode_event(b"1795398509973-9", [b"event", example.text.encode()])
    assert type(recorded.data) is event_class
    assert msgspec.json.decode(example.text)["data"] == msgspec.json.decode(msgspec.json.encode(recorded.data))


def test_envelope_has_every_field() -> None:
    """Every field that a recorded event has besides its position is in the tables of the envelope."""
    envelope = _read("reference/events.md").partition("## The envelope")[2].partition("## The types")[0]
    rows = set(re.findall(r"^\| `(\w+)` \|", envelope, re.MULTILINE))
    assert rows == set(RecordedEvent.__struct_fields__) - {"at"} | {"type"}


def test_events_have_entries_in_the_order_of_the_code() -> None:
    """The event reference has the types of a task and of a town, in their order, and no other."""
    sections = [heading for heading in headings(_read("reference/events.md")) if "." in heading]
    assert sections == [event_class.type for event_class in ALL_EVENTS]


@pytest.mark.parametrize("error", _errors(), ids=lambda error: error.__name__)
def test_error_has_an_entry_under_its_exit_code(error: type[LedgerError]) -> None:
    """Every error class has a row in the section of the exit code that it leads to."""
    code = exit_code(error.__new__(error))
    section = _read("reference/exit-codes.md").partition(f"\n## Code {code.value}:")[2].partition("\n## ")[0]
    assert f"\n| `{error.__name__}` | " in section


def test_error_reference_names_no_error_that_is_not_there() -> None:
    """Every class in the tables is one of ours."""
    rows = re.findall(r"^\| `(\w+Error)` \|", _read("reference/exit-codes.md"), re.MULTILINE)
    assert sorted(rows) == [error.__name__ for error in _errors()]


def test_errors_are_exported_by_their_front_doors() -> None:
    """Every error class can be imported from the package whose `errors.py` has it."""
    homes = {error: importlib.import_module(error.__module__.partition(".")[0]) for error in _errors()}
    assert [error.__name__ for error, home in homes.items() if error.__name__ not in home.__all__] == []


def test_every_exit_code_is_described() -> None:
    """The table of exit codes has every code, in order."""
    codes = re.findall(r"^\| ([0-9]+) \|", _read("reference/exit-codes.md"), re.MULTILINE)
    assert codes == [str(code.value) for code in Exit]


def _documented_keys() -> Iterator[str]:
    keys = Keys("<town>")
    for name, member in vars(Keys).items():
        if name == "prefix" or name.startswith("_") or name in Keys.__struct_fields__:
            continue
        if isinstance(member, property):
            yield str(getattr(keys, name))
        else:
            parts = inspect.signature(member).parameters
            required = [
                f"<{part}>" for part in parts if part != "self" and parts[part].default is inspect.Parameter.empty
            ]
            yield str(getattr(keys, name)(*required)).replace("<task_id>", "<id>")


@pytest.mark.parametrize("key", list(_documented_keys()))
def test_key_has_an_entry(key: str) -> None:
    """Every key that `Keys` makes is in the key reference."""
    assert f"`{key}`" in _read("reference/keys.md")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_view_has_its_keys_and_its_checkpoint(view: View) -> None:
    """Every view of the catalogue has a row for its key, and is named among the checkpoints."""
    text = _read("reference/keys.md")
    assert re.search(rf"^\| `tt:<town>:view:{view.name}[`:]", text, re.MULTILINE)
    assert f"`{view.name}`" in text.partition("## Checkpoint")[2]


def test_snapshot_has_every_field_in_order() -> None:
    """The snapshot reference has the fields of the JSON, in their order, and an example that is one."""
    text = _read("reference/snapshot.md")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(Snapshot.__struct_fields__)
    [example] = [block for block in blocks(text) if block.language == "json"]
    assert decode_snapshot(example.text.encode(), key="example").state is State.COMPLETED
    # Only a damaged task has the one field that is missing.
    assert [*msgspec.json.decode(example.text)] == [f for f in Snapshot.__struct_fields__ if f != "damaged_at"]


def test_every_setting_is_named() -> None:
    """Every key that tinytown.toml may hold has a row, and the example is one."""
    text = _read("reference/settings.md")
    # `old_name` follows from the others.
    names = [name for name in Settings.__struct_fields__ if name not in ("redis", "town", "old_name")]
    names += [f"redis.{name}" for name in RedisSettings.__struct_fields__]
    names += [f"town.{name}" for name in Settings("x").town.__struct_fields__]
    table = text.partition("## tinytown.toml")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE) == names


def test_every_environment_variable_is_named() -> None:
    """Every environment variable that the source asks for has a row, and each row is asked for."""
    asked = re.compile(r"""environ(?:\.get\(|\[)["'](\w+)["']""")
    used = {name for path in _SOURCES for name in asked.findall(path.read_text(encoding="utf-8"))}
    table = _read("reference/settings.md").partition("## Environment variables")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == used | {"NO_COLOR"}


def _limits() -> list[tuple[str, str, str]]:
    rows = (_LIMIT_ROW.match(line) for line in _read("reference/limits.md").splitlines())
    return [(row[3], row[2], row[1]) for row in rows if row is not None]


@pytest.mark.parametrize(("module", "constant", "value"), _limits())
def test_limit_has_the_value_of_its_constant(module: str, constant: str, value: str) -> None:
    """A limit in the reference is the one in the code."""
    assert getattr(importlib.import_module(module), constant) == float(value.replace(",", ""))


def test_every_limit_is_listed() -> None:
    """Every public constant that bounds something has a row; those of the terminal's looks aside."""
    bound = re.compile(r"^([A-Z][A-Z_]*_(?:MAX|MIN|MS|COUNT)|PAGE_TASKS|HISTORY_PAGE_EVENTS)\b.* = ", re.MULTILINE)
    found = {name for path in _SOURCES for name in bound.findall(path.read_text(encoding="utf-8"))}
    assert found - {constant for _, constant, _ in _limits()} <= {"PROGRESS_EVENTS_MIN"}


def test_reserved_town_names_are_listed() -> None:
    """Every name that no town may have is in the limits."""
    text = _read("reference/limits.md")
    assert all(f"`{name}`" in text for name in TOWN_NAMES_RESERVED)


def test_guarantees_name_tests_that_exist() -> None:
    """Every test file that a page names is there."""
    for path in pages():
        for name in re.findall(r"`(tests/[\w/]+\.py)`", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{page_name(path)} names {name}"


def test_every_promise_has_a_section_with_a_test() -> None:
    """P1 to P10 each have a section that names a test."""
    text = _read("explanation/guarantees.md")
    sections = dict(re.findall(r"^## P([0-9]+): [^\n]*\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == [str(number) for number in range(1, 11)]
    assert all("`tests/" in section for section in sections.values())
