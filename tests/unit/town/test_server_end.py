"""How a server ended, by the last words in its log: those of Valkey and Redis, and the notes of `tt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from town.folder.data_folder import DataFolder
from town.server.end import EndCause, end_of, last_end
from town.server.log import LOG_READ_BYTES_MAX, Life, read_lives

AT = "25 Nov 2026 19:47:53"
BYE = (AT, "Valkey is now ready to exit, bye bye...")
ASKED = (AT, "User requested shutdown... (user request from 'id=7')")
NOTE = (AT, "tt: told to stop by Ada Lovelace")
SHORT = (AT, "Short write while writing to the AOF file: (nwritten=18992, expected=20460)")
EXITING = (AT, "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...")
FSYNC = "Can't persist AOF for fsync error when the AOF fsync policy is 'always'"


def a_start(process: int) -> str:
    return f"{process}:M {AT}.212 * oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo\n"


@pytest.mark.parametrize(
    ("lines", "cause", "words"),
    [
        ([NOTE, ASKED, BYE], EndCause.TOLD, "Ada Lovelace"),
        ([ASKED, BYE], EndCause.TOLD, None),
        ([NOTE], EndCause.TOLD, "Ada Lovelace"),
        ([NOTE, ("", "Received SIGTERM scheduling shutdown..."), ASKED, BYE], EndCause.SIGNAL, "SIGTERM"),
        ([("", "Received SIGTERM scheduling shutdown..."), NOTE, ASKED, BYE], EndCause.TOLD, "Ada Lovelace"),
        ([SHORT, EXITING], EndCause.DISK_FULL, None),
        ([(AT, "Error writing to the AOF file: No space left on device"), EXITING], EndCause.DISK_FULL, None),
        ([(AT, "Error writing to the AOF file: Disk quota exceeded"), EXITING], EndCause.DISK_FULL, None),
        (
            [(AT, "Error writing to the AOF file: Input/output error"), EXITING],
            EndCause.DISK_FAILED,
            "Input/output error",
        ),
        ([(AT, f"{FSYNC}: Input/output error. Exiting...")], EndCause.DISK_FAILED, "Input/output error"),
        ([(AT, f"{FSYNC}: No space left on device. Exiting...")], EndCause.DISK_FULL, None),
        (
            [(AT, "Out Of Memory allocating 123 bytes!"), (AT, "=== VALKEY BUG REPORT START")],
            EndCause.OUT_OF_MEMORY,
            None,
        ),
        ([SHORT, EXITING, (AT, "Ready to accept connections unix")], EndCause.UNKNOWN, None),
        ([(AT, "Ready to accept connections unix")], EndCause.UNKNOWN, None),
        ([], EndCause.UNKNOWN, None),
    ],
)
def test_last_cause_in_the_log_counts(lines: list[tuple[str, str]], cause: EndCause, words: str | None) -> None:
    """What a server went on after is not why it ended; who told it to stop is in the note before."""
    end = end_of(Life(1, lines))
    assert (end.cause, end.words) == (cause, words)


def test_lives_are_told_apart_by_their_starts(tmp_path: Path) -> None:
    """A process number comes again, a child writes between, and a log has lines of no server: each end is its own server's."""
    data = DataFolder(tmp_path)
    (tmp_path / ".tt").mkdir(mode=0o700)
    log = tmp_path / ".tt" / "server.log"
    log.write_text(
        f"{a_start(7)}7:M {AT}.443 # {SHORT[1]}\n7:M {AT}.443 # {EXITING[1]}\n"
        f"8:M {AT}.500 # WARNING Memory overcommit must be enabled!\n{a_start(8)}"
        f"9:C {AT}.600 # Write error while saving: No space left on device\na line of somebody's\n8:M {AT}.700 * Ready\n"
        f"{a_start(7)}"
    )
    assert [life.process for life in read_lives(data)] == [7, 8, 7]
    assert [end_of(life).cause for life in read_lives(data)] == [EndCause.DISK_FULL, EndCause.UNKNOWN, EndCause.UNKNOWN]
    end = last_end(data, is_running=True)
    assert end is not None
    assert end.cause is EndCause.UNKNOWN


def test_log_is_read_from_its_end(tmp_path: Path) -> None:
    """Of a log that has grown for years, its last part is read, and no log at all is no error."""
    data = DataFolder(tmp_path)
    assert read_lives(data) == []
    (tmp_path / ".tt").mkdir(mode=0o700)
    (tmp_path / ".tt" / "server.log").write_text(a_start(1) * (LOG_READ_BYTES_MAX // 10) + a_start(2))
    lives = read_lives(data)
    assert lives[-1].process == 2
    assert len(lives) * len(a_start(1)) <= LOG_READ_BYTES_MAX
