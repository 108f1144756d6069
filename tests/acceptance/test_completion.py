"""What a shell offers for a command line that was begun: from the commands, and from what the town knows at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.completion import COMPLETION_SECONDS_MAX, FILES, FOLDERS, offer
from cli.shells import SHELLS, answer, quoted, script_of, typed
from tests.support import completion_table
from tests.support.tt import Tt
from tests.support.typing_shell import TypingShell
from town import EmbeddedServer, Town

BREAKS = " \t\n\"'@><=;|&(:"
HOSTILE = "$(touch hacked) `x`; y"


@pytest.fixture
def busy(town: Path) -> Iterator[Town]:
    """A town with an open task `login` of ada, one of worker-1 without an alias, a finished one and a hostile one."""
    assert town.is_dir()
    with Town.open(actor="alice") as opened:
        opened.create("Build the login page\nwith care", alias="login", agent="ada", tags=["backend", "P0"])
        opened.create("Write the docs", agent="worker-1")
        opened.create("Choose a logo", alias="logo", agent="ada")
        opened.complete("logo")
        opened.create("Look \x1b[31mred", alias=HOSTILE)
        yield opened


def texts(*words: str) -> list[str]:
    """The candidates for the last of the words."""
    return [each.text for each in offer(words[:-1], words[-1]).candidates]


def bash(line: str, kind: str = "9", width: str = "80") -> list[str]:
    """The lines that bash gets for a line up to the cursor."""
    return list(answer(["bash", line, BREAKS, kind, width], offer))


def test_table_is_made_from_the_commands() -> None:
    """`make docs` writes it; nobody declares a command or an option twice."""
    assert completion_table.FILE.read_text(encoding="utf-8") == completion_table.table()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ta",), ["tasks", "task"]),
        (("vers",), ["version"]),
        (("--v",), ["--version"]),
        (("task", "sh"), ["show"]),
        (("help", "ba"), ["backlog"]),
        (("help", "task", "re"), ["requeue", "reopen", "remove"]),
        (("task", "list", "--st"), ["--state"]),
        (("task", "list", "--state", "a"), ["assigned"]),
        (("task", "list", "--state=a"), ["--state=assigned"]),
        (("task", "list", "--json", "--js"), []),
        (("task", "create", "--tag", "a", "--ta"), ["--tag"]),
        (("events", "--type", "task.n"), ["task.noted"]),
        (("tasks", "--at", "yes"), ["yesterday"]),
        (("tasks", "--at", "HEAD"), ["HEAD~1", "HEAD~10"]),
        (("tasks", "--at", "@login:comp"), ["@login:completed"]),
        (("--town", "elsewhere", "task", "sh"), ["show"]),
        (("--verbose", "-t", "elsewhere", "task", "sh"), ["show"]),
        (("stats", "--by", "day"), ["day", "day,agent"]),
        (("no-such-command", ""), []),
        (("task", "no-such-command", ""), []),
        (("demo", "surplus", ""), ["--json"]),
    ],
)
def test_commands_options_and_fixed_values_need_no_town(words: tuple[str, ...], expected: list[str]) -> None:
    """What begins with the word that was begun, and nothing that was given already, unless it can be repeated."""
    assert texts(*words) == expected


def test_files_and_folders_are_left_to_the_shell() -> None:
    """Only a shell knows how to complete them, and the program behind `--` of `tt work`."""
    assert offer(["tasks", "--town"], "").action == FOLDERS
    assert offer(["--town"], "").action == FOLDERS
    assert offer(["-v", "-t"], "").action == FOLDERS
    assert offer(["export"], "").action == FILES
    assert offer(["work", "ada", "--"], "").action == FILES


def test_tasks_are_offered_by_alias_and_id_with_their_titles(busy: Town) -> None:
    """An alias where there is one; the beginning of the id else, and where it was typed; the note says state and title."""
    login, docs = busy.task("login"), next(task for task in busy.page().tasks if task.description == "Write the docs")
    found = {each.text: each.note for each in offer(["task", "show"], "").candidates}
    assert found["login"] == "📌 Build the login page"
    assert found[docs.id[:8]] == "📌 Write the docs"
    assert texts("task", "show", "log") == ["login", "logo"]
    assert texts("task", "show", login.id[:3]) == [login.id[:8]]
    assert texts("task", "show", login.id[:12]) == [login.id]
    assert texts("tasks", "--at", "@log") == ["@login:", "@logo:"]


def test_only_tasks_that_a_command_takes_are_offered(busy: Town) -> None:
    """A finished task cannot be completed, and an open one cannot be reopened."""
    assert busy.task("logo").state == "completed"
    assert texts("task", "complete", "lo") == ["login"]
    assert texts("task", "reopen", "") == ["logo"]


def test_agents_actors_tags_and_events_are_offered(busy: Town) -> None:
    """Wherever a name of that kind can stand."""
    assert busy.name == "demo"
    assert texts("assign", "") == ["ada", "worker-1"]
    assert texts("tasks", "--agent", "w") == ["worker-1"]
    assert texts("events", "--actor", "al") == ["alice"]
    assert texts("task", "list", "--tag", "") == ["P0", "backend"]
    assert texts("undo", "")[0] == str(busy.end().seq)


def test_town_that_is_named_is_asked(busy: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--town` before or after the command."""
    monkeypatch.chdir(tmp_path)
    assert texts("--town", str(busy.folder), "task", "show", "logi") == ["login"]
    assert texts("task", "show", "--town", str(busy.folder), "logi") == ["login"]


def test_hostile_names_and_titles_reach_no_shell(busy: Town) -> None:
    """A title is made visible. What bash would run is behind backslashes, and zsh and fish quote what they insert."""
    assert busy.task(HOSTILE).alias == HOSTILE
    word = bash("tt task show $(")
    assert word == ["words"] or not any("$(" in line.replace("\\$\\(", "") for line in word)
    listed = bash("tt task show ", "63")
    assert any("\\x1b[31mred" in line for line in listed)
    assert not any("\x1b" in line for line in listed)
    split = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {quoted(HOSTILE)}"], capture_output=True, text=True, check=True
    )
    assert split.stdout == f"{HOSTILE}\n"


def test_bash_gets_words_alone_until_it_lists(busy: Town) -> None:
    """Notes are only for eyes: the second Tab lists them, cut to the width, and nothing of them is ever inserted."""
    assert busy.name == "demo"
    assert bash("tt task show log") == ["words", "login", "logo"]
    listed = bash("tt task show log", "63", "30")
    assert listed[1].startswith("login  (")
    assert all(len(line) <= 30 for line in listed)
    # bash inserts what all lines have in common.
    assert listed[1][:4] != listed[2][:4]
    assert bash("tt task show login", "63") == ["words", "login"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tt tasks --at=yes", ["words", "yesterday"]),
        ("tt tasks --at @login:comp", ["words", "completed"]),
        (
            "tt tasks --at @login:",
            [
                "words",
                "created",
                *(state for state in ("pending", "assigned", "running", "completed", "failed", "cancelled")),
            ],
        ),
        ("tt tasks 2>&1 > out", ["files"]),
        ("tt assign ada 'Fix lo", []),
        ("FOO=1 other; tt task sh", ["words", "show"]),
    ],
)
def test_bash_takes_words_apart(line: str, expected: list[str]) -> None:
    """bash replaces what comes after the last = : or @, so that is what it gets; an open quote is left alone."""
    assert bash(line) == expected


@pytest.mark.parametrize(
    ("line", "words", "current"),
    [
        ("tt task show", ["tt", "task"], "show"),
        ("tt task show ", ["tt", "task", "show"], ""),
        ('tt \'a b\' "c \\" d" e\\ f g', ["tt", "a b", 'c " d', "e f"], "g"),
        ("a | tt x", ["tt"], "x"),
        ("tt '' x", ["tt", ""], "x"),
    ],
)
def test_line_is_read_as_bash_reads_it(line: str, words: list[str], current: str) -> None:
    """Quotes and backslashes go; nothing is expanded."""
    assert typed(line)[:2] == (words, current)


def test_completion_starts_no_server_asks_nothing_and_prints_no_error(town: Path) -> None:
    """Of a town that is stopped, of a folder without a town, and of one that nobody allowed, nothing is known."""
    EmbeddedServer(town).stop()
    asked = _process("zsh", "tt", "task", "show", "", folder=town)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert not EmbeddedServer(town).is_running()
    assert _process("zsh", "tt", "task", "show", "", folder=town.parent).stdout == ""
    foreign = town.parent / "clone"
    foreign.mkdir()
    (foreign / "tinytown.toml").write_text('[town]\nname = "evil"\n[redis]\nurl = "redis://127.0.0.1:1/"\n')
    asked = _process("fish", "tt", "task", "show", "", folder=foreign)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    assert _process("bash", "surplus", folder=town).stderr == ""


def test_completion_ends_though_a_server_stays_silent(town: Path) -> None:
    """Somebody waits at the keyboard: after a while there is nothing to offer."""
    EmbeddedServer(town).stop()
    environment = {"REDIS_URL": "redis://127.0.0.1:9/"}
    from socket import create_server  # noqa: PLC0415 - for this test

    with create_server(("127.0.0.1", 0)) as silent:
        environment["REDIS_URL"] = f"redis://127.0.0.1:{silent.getsockname()[1]}/"
        asked = _process("zsh", "tt", "task", "show", "", folder=town, env=environment)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    assert COMPLETION_SECONDS_MAX < 1


def test_completion_imports_no_typer(busy: Town) -> None:
    """Typer and Rich take longer to import than a whole command."""
    program = (
        "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr));"
        "from cli.start import main; main()"
    )
    words = ["--complete", "zsh", "tt", "task", "show", "lo"]
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=busy.folder, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["words", "login\t📌 Build the login page", "logo\t✅ Choose a logo"]
    assert {"typer", "rich", "redis"} & set(ran.stderr.split()) == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_shown_and_fits_the_shell(tt: Tt, shell: str) -> None:
    """The shell itself reads it without an error, where it is on this machine."""
    shown = tt("--show-completion", shell)
    assert (shown.code, shown.out) == (0, script_of(shell))
    program = shutil.which(shell)
    if program is not None:
        flags = ["--no-execute"] if shell == "fish" else ["-n"]
        subprocess.run([program, *flags], input=shown.out, text=True, check=True)


def test_unknown_shell_is_refused(tt: Tt) -> None:
    """With those that there are."""
    refused = tt("--install-completion", "tcsh")
    assert refused.code == 2
    assert "bash, zsh, fish" in " ".join(refused.err.split())


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_installing_keeps_what_the_user_has(
    tt: Tt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, file: str
) -> None:
    """One line more in the start-up file, once, and the script in the user's own folder. The shell in use is the default."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ZDOTDIR", raising=False)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    startup = tmp_path / file
    startup.write_text("alias ll='ls -l'")
    for _ in range(2):
        assert tt("--install-completion").code == 0
    lines = startup.read_text().splitlines()
    assert lines[0] == "alias ll='ls -l'"
    assert [line.count(f".tt/completion.{shell}") for line in lines[1:]] == [2]
    assert (tmp_path / ".tt" / f"completion.{shell}").read_text() == script_of(shell)


def test_fish_finds_its_script_by_itself(tt: Tt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own folder of completions; no start-up file changes."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert tt("--install-completion", "fish").code == 0
    assert (tmp_path / "config" / "fish" / "completions" / "tt.fish").read_text() == script_of("fish")


@pytest.fixture
def path_with_tt(tmp_path: Path) -> str:
    """A PATH on which `tt` is this program."""
    program = tmp_path / "bin" / "tt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from cli.start import main; main()" "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not on this machine")
def test_bash_completes_at_a_terminal(busy: Town, path_with_tt: str, tmp_path: Path) -> None:
    """With Tab: a command, an alias, a part of an option's value; with Tab twice: the tasks with their titles."""
    script = tmp_path / "completion.bash"
    script.write_text(script_of("bash"))
    env = {"PATH": path_with_tt, "PYTHONPATH": str(Path(__file__).parents[2])}
    with TypingShell(["bash", "--norc", "--noprofile", "-i"], busy.folder, set_up=f". {script}", env=env) as shell:
        shell.assert_shows("tt task sh\t", "tt task show ")
        shell.assert_shows("tt task show logi\t", "tt task show login ")
        shell.assert_shows("tt task show --at=yes\t", "tt task show --at=yesterday ")
        shell.assert_shows("tt tasks --at @logi\t", "tt tasks --at @login:")
        shell.assert_shows("tt task show lo\t", "tt task show log")
        shell.assert_shows("tt task show log\t\t", "login  (📌 Build the login page)")
        shell.assert_shows("tt task show login\n", "Description  Build the login page")
    assert not (busy.folder / "hacked").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not on this machine")
def test_zsh_completes_at_a_terminal(busy: Town, path_with_tt: str, tmp_path: Path) -> None:
    """The same in zsh."""
    script = tmp_path / "completion.zsh"
    script.write_text(script_of("zsh"))
    env = {"PATH": path_with_tt, "PYTHONPATH": str(Path(__file__).parents[2]), "ZDOTDIR": str(tmp_path)}
    with TypingShell(["zsh", "-f", "-i"], busy.folder, set_up=f". {script}", env=env) as shell:
        shell.assert_shows("tt task sh\t", "tt task show ")
        shell.assert_shows("tt task show logi\t", "tt task show login ")
        shell.assert_shows("tt task show login\n", "Description  Build the login page")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not on this machine")
def test_fish_completes(busy: Town, path_with_tt: str, tmp_path: Path) -> None:
    """fish tells what it would offer."""
    script = tmp_path / "tt.fish"
    script.write_text(script_of("fish"))
    ran = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C 'tt task show lo'"],
        cwd=busy.folder,
        env={**os.environ, "PATH": path_with_tt, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == ["login\t📌 Build the login page", "logo\t✅ Choose a logo"]


def _process(*given: str, folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "--complete", *given],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
