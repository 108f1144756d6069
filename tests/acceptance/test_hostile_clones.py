"""What a folder that somebody else made cannot do: no program runs, nothing is connected to, no byte changes outside.

`docs/explanation/security.md` names these tests, one for each way.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from cli.exits import Exit
from tests.support.towns import end_server
from tests.support.traps import Listener, contents, make_program
from tests.support.tt import Ran, Tt
from town import NotTrustedError, Town
from town.folder.settings import SETTINGS_FILE

NAME = 'name = "harbour"\n'
COMMANDS = (
    ("tasks",),
    ("start",),
    ("stop",),
    ("status",),
    ("init",),
    ("assign", "worker-1", "something"),
    ("events",),
    ("search", "something"),
    ("verify",),
    ("doctor",),
    ("rebuild",),
    ("migrate", "--dry-run"),
    ("projector", "--once"),
    ("work", "ada", "--once", "--", "true"),
    ("sync", "pull"),
    ("plan",),
    ("towns",),
    ("trust",),
)
HOLE_BYTES = 1 << 40
OTHER_USER = 65_534
"""The number of the user nobody, wherever there is one."""


class Outside:
    """What lies around a hostile clone: its user's own things, a server that waits for connections, and a program's mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "ran"
        self.private = folder / "own"
        self.private.mkdir(mode=0o700)
        (self.private / "keys").write_text("ssh-ed25519 mine\n")
        (self.private / "logs").mkdir()
        (self.private / "logs" / "mine.log").write_text("mine\n")
        self.socket = Listener.on_socket(self.private / "redis.sock")
        self.port = Listener.on_port()
        self.before = dict(contents(self.private))

    def check(self, ran: Ran) -> None:
        """Nothing happened that only this user may make happen, and no command ended in a mistake of the program's own."""
        assert not self.mark.exists(), "a program of the clone ran"
        assert self.port.count() == 0, "a connection was opened to where the clone says"
        assert self.socket.count() == 0, "a connection was opened to a private socket"
        assert dict(contents(self.private)) == self.before, "something outside of the clone was changed"
        assert ran.code != 70, ran.err
        assert "Traceback" not in ran.err

    def close(self) -> None:
        self.port.close()
        self.socket.close()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    place = tmp_path / "away"
    place.mkdir()
    with contextlib.closing(Outside(place)) as made:
        yield made


@pytest.fixture
def clone(folder: Path) -> Iterator[Path]:
    """The current folder, which somebody else filled."""
    (folder / SETTINGS_FILE).write_text(NAME)
    yield folder
    for path in (folder / ".tt", folder / "redis.sock"):
        if path.is_symlink() or path.is_fifo():
            path.unlink()
    end_server(folder)
    # What is left would be refused, also by those who clean up.
    shutil.rmtree(folder / ".tt", ignore_errors=True)
    (folder / "redis.sock").unlink(missing_ok=True)


Plant = Callable[[Path, Outside], None]


def settings(text: str) -> Plant:
    """A `tinytown.toml` with further lines; `{port}`, `{private}` and `{mark}` are filled in."""

    def plant(clone: Path, outside: Outside) -> None:
        filled = text.format(port=outside.port.port, private=outside.private, clone=clone)
        make_program(clone / "evil", outside.mark)
        (clone / SETTINGS_FILE).write_text(NAME + filled)

    return plant


def link(place: str, target: str) -> Plant:
    """A link at `place` in the clone that leads to `target` in the user's private folder."""

    def plant(clone: Path, outside: Outside) -> None:
        (clone / place).parent.mkdir(mode=0o700, exist_ok=True)
        (clone / place).unlink(missing_ok=True)
        (clone / place).symlink_to(outside.private / target)

    return plant


def pipe(place: str) -> Plant:
    """A pipe that nobody writes to: to open it would wait for ever."""

    def plant(clone: Path, _outside: Outside) -> None:
        (clone / place).parent.mkdir(mode=0o700, exist_ok=True)
        (clone / place).unlink(missing_ok=True)
        os.mkfifo(clone / place)

    return plant


def hole(place: str) -> Plant:
    """A file of a tebibyte that takes no room on the disk, as an archive may bring it."""

    def plant(clone: Path, _outside: Outside) -> None:
        (clone / place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (clone / place).touch()
        os.truncate(clone / place, HOLE_BYTES)

    return plant


def shipped_data(clone: Path, outside: Outside) -> None:
    """An append-only file that opens the server to the network when it is loaded."""
    ship(clone, "CONFIG", "SET", "protected-mode", "no", "port", str(outside.port.port))


def ship(clone: Path, *command: str) -> None:
    """An append-only file with the command in it."""
    files = clone / ".tt" / "appendonlydir"
    files.mkdir(parents=True, mode=0o700)
    (files / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    commands = (["SELECT", "0"], command)
    text = "".join(f"*{len(each)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in each) for each in commands)
    (files / "appendonly.aof.1.incr.aof").write_text(text)


def shipped_identity(clone: Path, outside: Outside) -> None:
    """As `shipped_data`, with a token that looks like one of `tt`'s own."""
    shipped_data(clone, outside)
    (clone / ".tt").chmod(0o700)
    (clone / ".tt" / "identity").write_text("0123456789abcdef" * 2 + "\n")


HOSTILE: dict[str, Plant] = {
    "binary": settings('[redis]\nbinary = "{clone}/evil"\n'),
    "binary through /proc": settings('[redis]\nbinary = "/proc/self/cwd/evil"\n'),
    "binary in one line": settings('redis = {{ binary = "{clone}/evil" }}\n'),
    "url": settings('[redis]\nurl = "redis://127.0.0.1:{port}/0"\n'),
    "url with a password": settings('[redis]\nurl = "redis://:secret@127.0.0.1:{port}/0"\n'),
    "url of a private socket": settings('[redis]\nurl = "unix://{private}/redis.sock"\n'),
    "data folder is a link": link(".tt", "."),
    "lock is a link": link(".tt/server.lock", "keys"),
    "log is a link": link(".tt/server.log", "keys"),
    "identity is a link": link(".tt/identity", "keys"),
    "logs are a link": link(".tt/logs", "logs"),
    "files are a link": link(".tt/appendonlydir", "logs"),
    "socket is a link": link("redis.sock", "redis.sock"),
    "settings are a link": link(SETTINGS_FILE, "keys"),
    "settings are a pipe": pipe(SETTINGS_FILE),
    "socket is a pipe": pipe("redis.sock"),
    "lock is a pipe": pipe(".tt/server.lock"),
    "shipped data": shipped_data,
    "shipped data with an identity": shipped_identity,
}


@pytest.mark.parametrize("kind", ["link", "pipe", "hard link", "hole"])
def test_init_does_not_write_through_a_shipped_gitignore(kind: str, folder: Path, outside: Outside, tt: Tt) -> None:
    """`tt init` adds two lines to `.gitignore`, and to nothing that it leads to; what is refused has made no town."""
    if kind == "link":
        link(".gitignore", "keys")(folder, outside)
    elif kind == "pipe":
        pipe(".gitignore")(folder, outside)
    elif kind == "hole":
        hole(".gitignore")(folder, outside)
    else:
        (folder / ".gitignore").hardlink_to(outside.private / "keys")
    ran = tt("init", "--name", "demo")
    (folder / ".gitignore").unlink()
    outside.check(ran)
    assert ran.code == 1
    assert not (folder / SETTINGS_FILE).exists()


REACHES_NOTHING = frozenset({"plan", "towns", "trust", "stop", "init"})
"""Commands that may end well: they open no town, or end before they do."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_clone_runs_writes_and_connects_to_nothing(kind: str, clone: Path, outside: Outside, tt: Tt) -> None:
    """Whatever a clone holds, no command runs its program, changes a file outside, or connects to where it says.

    Commands that would open the town are refused with exit code 1 and name what is in the way.
    """
    HOSTILE[kind](clone, outside)
    for command in COMMANDS:
        ran = tt(*command)
        outside.check(ran)
        if command[0] not in REACHES_NOTHING:
            assert ran.code == 1, (command, ran)
            assert str(clone) in ran.err, (command, ran)


@pytest.mark.parametrize("more", ["", '[redis]\nuse_socket = true\nsocket_path = ".tt/redis.sock"\n'])
def test_link_in_place_of_the_data_leads_to_no_private_socket_where_the_town_is_elsewhere(
    more: str, clone: Path, outside: Outside, tt: Tt, server_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With REDIS_URL no data of the folder is loaded, so nothing refused it: Tinytown's socket was looked for through the link."""
    settings(more)(clone, outside)
    HOSTILE["data folder is a link"](clone, outside)
    monkeypatch.setenv("REDIS_URL", f"unix://{server_socket}")
    for command in (*COMMANDS, ("migrate",), ("doctor", "--repair", "--yes")):
        ran = tt(*command)
        outside.check(ran)
        assert str(outside.private) not in ran.out + ran.err


@pytest.mark.parametrize(
    "place",
    [
        SETTINGS_FILE,
        "tasks.toml",
        ".git",
        ".git/HEAD",
        ".git/config",
        ".git/index",
        ".tt/identity",
        ".tt/server.lock",
        ".tt/server.log",
        ".tt/appendonlydir/appendonly.aof.manifest",
        ".tt/damaged-1/unfinished",
    ],
)
def test_file_of_any_size_fills_no_memory(place: str, clone: Path, outside: Outside, tt: Tt) -> None:
    """Whatever is read of a folder is read up to a bound. The bug looked like this: exit 70 with MemoryError."""
    if place.startswith(".git/"):
        for name in ("objects", "refs"):
            (clone / ".git" / name).mkdir(parents=True)
        (clone / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    hole(place)(clone, outside)
    for command in (("tasks",), ("plan",), ("trust", "--yes"), ("doctor", "--repair", "--yes"), ("status",)):
        ran = tt(*command)
        outside.check(ran)
        assert ran.code in {Exit.DONE, Exit.REFUSED, Exit.UNAVAILABLE, Exit.DAMAGED}, (command, ran)


def test_refusal_names_file_line_and_command(clone: Path, outside: Outside, tt: Tt) -> None:
    """Whoever is refused reads where it stands, what it leads to, and what to do next."""
    HOSTILE["url"](clone, outside)
    refused = tt("tasks")
    assert f"{clone / SETTINGS_FILE}, line 3" in refused.err
    assert f"redis://127.0.0.1:{outside.port.port}" in refused.err
    assert f"tt trust --town {clone}" in refused.err


def test_trust_needs_a_yes_and_asks_again_when_the_url_changes(clone: Path, outside: Outside, tt: Tt) -> None:
    """`tt trust` shows what is allowed; without a terminal it wants --yes, and another URL is another question."""
    HOSTILE["url"](clone, outside)
    asked = tt("trust")
    assert asked.code == 1
    assert f"connect to redis://127.0.0.1:{outside.port.port}" in asked.out
    assert tt("tasks").code == 1
    assert tt("trust", "--yes").code == 0
    assert tt("trust").out.endswith("there is nothing to allow.\n")
    (clone / SETTINGS_FILE).write_text(NAME + '[redis]\nurl = "redis://127.0.0.1:1/0"\n')
    assert "nobody here has allowed" in tt("tasks").err
    assert outside.port.count() == 0


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none", 1, "?ssl_cert_reqs=none "),
        ("redis://127.0.0.1:{port}/0?db=7", 1, "?db=7 "),
        ("redis://mallory@127.0.0.1:{port}", 1, "redis://mallory@127.0.0.1:"),
        ("redis://127.0.0.1:{port}/@", 1, "cannot be shown"),
        ("redis://127.0.0.1:{port}#@", 1, "cannot be shown"),
        ("redis://127.0.0.1:{port}?password=secret", 4, "option that is not known"),
        ("redis://127.0.0.1:{port}?db=1&db=2", 4, "gives the option 'db' twice"),
    ],
)
def test_trust_allows_no_more_of_a_url_than_it_shows(
    url: str, code: int, words: str, clone: Path, outside: Outside, tt: Tt
) -> None:
    """What weakens a connection, or leads elsewhere, is in the question; a URL that cannot be shown whole cannot be allowed.

    The bug looked like this: an option that switches certificates off was left out, and `/@` hid the host.
    """
    settings(f'[redis]\nurl = "{url}"\n')(clone, outside)
    asked = tt("trust")
    assert (asked.code, words in asked.out + asked.err, "secret" in asked.out + asked.err) == (code, True, False), asked
    allowed = tt("trust", "--yes")
    if "connect to" in asked.out:
        assert allowed.code == 0
    else:
        assert allowed.code == code
        assert tt("tasks").code == 1
        assert outside.port.count() == 0


def test_trust_is_taken_back_whatever_the_folder_holds_by_now(clone: Path, outside: Outside, tt: Tt) -> None:
    """`tt trust --revoke` looks at nothing that it would have to refuse."""
    HOSTILE["url"](clone, outside)
    allowed = (clone / SETTINGS_FILE).read_text()
    assert tt("trust", "--yes").code == 0
    HOSTILE["binary"](clone, outside)
    HOSTILE["data folder is a link"](clone, outside)
    assert tt("trust", "--revoke", "--json").json["revoked"] == 1
    (clone / ".tt").unlink()
    (clone / SETTINGS_FILE).write_text(allowed)
    refused = tt("tasks")
    assert (refused.code, "nobody here has allowed" in refused.err) == (1, True)
    outside.check(refused)


def test_commands_in_refusals_can_be_pasted(folder: Path, outside: Outside, tt: Tt) -> None:
    """A folder's name goes into no shell: where a refusal says a command with it, it is one word there."""
    place = folder / "it's; $(touch ran) `x` -rf"
    place.mkdir()
    os.chdir(place)
    refusals = []
    try:
        for text in ('[redis]\nurl = "redis://127.0.0.1:{port}"\n', "[redis]\nport = {port}\nuse_socket = false\n"):
            settings(text)(place, outside)
            refusals.append(tt("migrate").err)
        (place / SETTINGS_FILE).write_text('name = "does not fit"\n')
        refusals.append(tt("tasks").err)
        if shutil.which("git") is not None:
            (place / SETTINGS_FILE).write_text(NAME)
            assert tt("stop").code == 0
            subprocess.run(["git", "init", "--quiet"], check=True)
            subprocess.run(["git", "add", "--force", ".tt/server.log"], check=True)
            refusals.append(tt("tasks").err)
    finally:
        end_server(place)
    for said in refusals:
        assert shlex.quote(str(place)) in said, said


def test_trust_does_not_allow_data_that_does_more_than_change_data(clone: Path, outside: Outside, tt: Tt) -> None:
    """A shipped file with CONFIG in it is named, and cannot be allowed."""
    shipped_data(clone, outside)
    refused = tt("trust", "--yes")
    assert refused.code == 1
    assert "CONFIG" in refused.err
    assert tt("tasks").code == 1


def test_shipped_settings_are_read_back_and_end_the_server(
    clone: Path, outside: Outside, tt: Tt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where everything is trusted unseen, a server that its data opens to the network is ended at once."""
    shipped_data(clone, outside)
    (clone / ".tt").chmod(0o700)
    outside.port.close()
    monkeypatch.setenv("TT_TRUST", "1")
    ran = tt("tasks")
    assert ran.code == 4
    assert "its data changed its settings: port is" in ran.err
    assert "down already" in tt("stop").out


def test_shipped_replication_is_read_back_and_ends_the_server(
    clone: Path, outside: Outside, tt: Tt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that its data makes a copy of another one would show that one's tasks: it is ended at once."""
    ship(clone, "REPLICAOF", "127.0.0.1", str(outside.port.port))
    (clone / ".tt").chmod(0o700)
    outside.port.close()
    monkeypatch.setenv("TT_TRUST", "1")
    ran = tt("tasks")
    assert ran.code == 4
    assert "its data changed its settings: replicaof is" in ran.err
    assert "down already" in tt("stop").out


def test_name_alone_needs_no_question(clone: Path, tt: Tt) -> None:
    """A `tinytown.toml` with a name leads to an empty town of this user's own."""
    assert tt("tasks").code == 0
    assert tt("assign", "worker-1", "mine").code == 0
    assert (clone / ".tt").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["copied", "restored"])
def test_data_that_was_not_made_here_is_refused_until_trusted(how: str, town: Path, tt: Tt, tmp_path: Path) -> None:
    """A copied folder, and a backup in the place of the data, are loaded only after `tt trust`; then nothing is lost."""
    assert tt("assign", "worker-1", "kept").code == 0
    assert tt("stop").code == 0
    if how == "copied":
        place = tmp_path / "copy"
        shutil.copytree(town, place)
    else:
        place = town
        shutil.copytree(town / ".tt", tmp_path / "backup")
        shutil.rmtree(town / ".tt")
        shutil.copytree(tmp_path / "backup", town / ".tt")
    refused = tt("tasks", "--town", str(place))
    assert refused.code == 1
    assert f"tt trust --town {place}" in refused.err
    assert tt("trust", "--yes", "--town", str(place)).code == 0
    assert "kept" in tt("tasks", "--town", str(place)).out
    end_server(place)


def test_moved_town_goes_on(town: Path, tt: Tt, tmp_path: Path) -> None:
    """A folder that was moved is the same one: its data has the same inode."""
    assert tt("assign", "worker-1", "kept").code == 0
    assert tt("stop").code == 0
    moved = tmp_path / "moved"
    town.rename(moved)
    ran = tt("tasks", "--town", str(moved))
    end_server(moved)
    town.mkdir()
    assert (ran.code, "kept" in ran.out) == (0, True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_tracked_data_is_refused(town: Path, tt: Tt) -> None:
    """Data that git tracks could be written by whoever writes to the repository; git's own ignoring does not help there."""
    assert tt("stop").code == 0
    subprocess.run(["git", "init", "--quiet", str(town)], check=True)
    subprocess.run(["git", "-C", str(town), "add", "--force", ".tt/server.log"], check=True)
    refused = tt("tasks")
    assert refused.code == 1
    assert "tracked by git" in refused.err
    assert tt("trust", "--yes").code == 1


def needs_other_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")


@pytest.mark.parametrize("what", ["folder", "settings", "data", "lock", "socket"])
def test_what_another_user_owns_is_not_used(what: str, clone: Path, outside: Outside, tt: Tt) -> None:
    """A folder, its settings, its data and its socket count only where they are this user's own."""
    needs_other_user()
    settings('[redis]\nbinary = "{clone}/evil"\n')(clone, outside)
    if what != "settings":
        (clone / SETTINGS_FILE).write_text(NAME)
    data = clone / ".tt"
    data.mkdir(mode=0o700)
    (data / "server.lock").touch()
    other = {"folder": clone, "settings": clone / SETTINGS_FILE, "data": data, "lock": data / "server.lock"}
    if what == "socket":
        listener = Listener.on_socket(clone / "redis.sock")
        os.chown(clone / "redis.sock", OTHER_USER, OTHER_USER)
    else:
        os.chown(other[what], OTHER_USER, OTHER_USER)
    for command in (("tasks",), ("start",), ("assign", "worker-1", "x"), ("work", "ada", "--once", "--", "true")):
        ran = tt(*command)
        outside.check(ran)
        assert ran.code == 1, (command, ran)
    if what == "socket":
        assert listener.count() == 0
        listener.close()


def test_tt_trust_takes_what_another_user_owns(clone: Path, tt: Tt, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the folder is often another user's: with TT_TRUST=1 it is a town, and not without."""
    needs_other_user()
    for path in (clone, clone / SETTINGS_FILE):
        os.chown(path, OTHER_USER, OTHER_USER)
    assert tt("tasks").code == 1
    monkeypatch.setenv("TT_TRUST", "1")
    assert tt("tasks").code == 0


def test_password_is_kept_where_the_server_takes_it(
    folder: Path, tt: Tt, own_home: Path, client: redis.Redis, server_socket: Path
) -> None:
    """A wrong one makes no town and is not kept; a right one that is said again replaces the one before."""
    passwords = own_home / ".tt" / "passwords.toml"
    client.acl_setuser("demo", enabled=True, passwords=["+first", "+again"], keys=["*"], commands=["+@all"])
    for password, code in (("wrong", 4), ("first", 0), ("again", 0), ("wrong", 4)):
        ran = tt("init", "--name", "demo", "--url", f"unix://demo:{password}@{server_socket}")
        assert ran.code == code, ran.err
        assert "wrong" not in (passwords.read_text() if passwords.exists() else "")
        assert (folder / SETTINGS_FILE).exists() == passwords.exists()
    client.acl_deluser("demo")
    assert "again" in passwords.read_text()
    assert "again" not in (folder / SETTINGS_FILE).read_text()


def test_init_with_a_url_that_cannot_be_read_makes_nothing(folder: Path, tt: Tt) -> None:
    """It is refused in words, and no town is made."""
    refused = tt("init", "--url", "redis://:secret@host:notaport")
    assert (refused.code, "The URL cannot be read" in refused.err, "secret" in refused.err) == (1, True, False)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("why", ["another user's", "everybody's"])
def test_search_upwards_ends_at_what_others_can_write(why: str, clone: Path, outside: Outside, tt: Tt) -> None:
    """As with /tmp/tinytown.toml: a town above a folder that another user owns, or that everybody can write, is not found."""
    settings('[redis]\nbinary = "{clone}/evil"\n')(clone, outside)
    below = clone / "shared" / "mine"
    below.mkdir(parents=True)
    if why == "another user's":
        needs_other_user()
        os.chown(below.parent, OTHER_USER, OTHER_USER)
    else:
        below.parent.chmod(0o1777)
    os.chdir(below)
    ran = tt("tasks")
    outside.check(ran)
    assert ran.code == 1
    assert f"The search ended at {below.parent}" in ran.err


def test_program_beside_the_town_is_not_found_on_path(
    clone: Path, outside: Outside, tt: Tt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PATH with entries like `.` leads to no `valkey-server` of the clone's."""
    for name in ("valkey-server", "redis-server"):
        make_program(clone / name, outside.mark)
    monkeypatch.setattr("town.server.own_server._find_in_wheel", lambda: None)
    monkeypatch.setenv("PATH", f".::{os.path.relpath(clone)}")
    ran = tt("start")
    outside.check(ran)
    assert ran.code == 4
    assert "no program for it was found" in ran.err


def test_binary_of_the_users_own_settings_is_run(folder: Path, tt: Tt, tmp_path: Path, own_home: Path) -> None:
    """`~/.tt/settings.toml` and TT_SERVER_BINARY name the program; they belong to nobody else."""
    make_program(tmp_path / "mine", tmp_path / "ran")
    (own_home / ".tt").mkdir()
    (own_home / ".tt" / "settings.toml").write_text(f'[redis]\nbinary = "{tmp_path}/mine"\n')
    assert tt("init", "--name", "demo").code == 4
    assert (tmp_path / "ran").exists()
    assert folder.is_dir()


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("why", ["another user's", "others write there", "a link of another user's"])
def test_users_own_folder_counts_only_where_nobody_else_writes(
    why: str, outside: Outside, tt: Tt, own_home: Path
) -> None:
    """HOME may be a place like /tmp: a `~/.tt` that somebody else put there names no program and allows nothing.

    The bug looked like this: another user's /tmp/.tt/settings.toml ran a program as everybody whose HOME is /tmp.
    """
    make_program(outside.folder / "evil", outside.mark)
    place = own_home / ".tt"
    place.mkdir(mode=0o700)
    (place / "settings.toml").write_text(f'[redis]\nbinary = "{outside.folder}/evil"\n')
    if why == "others write there":
        place.chmod(0o777)
    else:
        needs_other_user()
        if why == "another user's":
            os.chown(place, OTHER_USER, OTHER_USER)
        else:
            place.rename(own_home / "clone")
            place.symlink_to("clone")
            os.chown(place, OTHER_USER, OTHER_USER, follow_symlinks=False)
    for command in (("tasks",), ("start",), ("towns",), ("init",)):
        ran = tt(*command)
        outside.check(ran)
        assert (ran.code, str(place) in ran.err) == (1, True), (command, ran)
    if why == "another user's":
        os.chown(place, os.geteuid(), os.getegid())
    elif why == "others write there":
        place.chmod(0o700)
    else:
        place.unlink()


def test_town_of_an_older_program_is_adopted_once(town: Path, tt: Tt, own_home: Path) -> None:
    """A town from before goes on without a question, and one line says so; afterwards it is known like any other."""
    assert tt("assign", "worker-1", "kept").code == 0
    assert tt("stop").code == 0
    (town / ".tt" / "identity").unlink()
    shutil.rmtree(own_home / ".tt" / "trusted")
    (own_home / ".tt" / "towns.toml").write_text(f'[[towns]]\nname = "demo"\npath = "{town}"\n')
    first = tt("tasks")
    assert first.code == 0
    assert "kept" in first.out
    assert "taken as made here from now on" in first.err
    assert tt("stop").code == 0
    assert tt("tasks").err == ""
    assert tt("stop").code == 0
    (town / ".tt" / "identity").unlink()
    assert tt("tasks").code == 1


def test_files_are_for_this_user_alone(town: Path, tt: Tt, own_home: Path) -> None:
    """What `tt` makes is 0600, and its folders 0700, whatever the umask is."""
    assert tt("assign", "ada", "something").code == 0
    assert tt("work", "ada", "--once", "--", "true").code == 0
    for root in (town / ".tt", own_home / ".tt"):
        for path in (root, *root.rglob("*")):
            assert path.lstat().st_mode & 0o077 == 0, path


def test_library_refuses_as_the_command_line_does(clone: Path, outside: Outside) -> None:
    """Whoever opens a town from Python is asked the same."""
    HOSTILE["url"](clone, outside)
    with pytest.raises(NotTrustedError):
        Town.open(clone)
    assert outside.port.count() == 0
