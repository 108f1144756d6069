"""A town's folder: its name, its settings, and what making it writes."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from ledger import TOWN_NAMES_RESERVED, InvalidValueError, check_town_name
from town import FolderRefusedError, SettingsError, TownExistsError, TownNotFoundError
from town.files.os_errors import refuse_os_errors
from town.files.taking_back import Undo
from town.files.toml_file import write_toml
from town.folder.search import find_folder
from town.folder.settings import (
    GITIGNORE_LINES,
    SETTINGS_FILE,
    RedisSettings,
    Settings,
    add_gitignore_lines,
    fit_name,
    is_town,
    read_settings,
    settings_to_be,
    suggest_name,
    write_new_settings,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder `harbour` that lies in no git repository."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "harbour"
    folder.mkdir()
    return folder


def make_folder(folder: Path, *, name: str | None = None, url: str | None = None) -> Settings:
    """What `tt init` writes into a folder, or meets there."""
    settings = settings_to_be(folder, name=name, url=url)
    if not is_town(folder):
        undo = Undo()
        with refuse_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            add_gitignore_lines(folder, undo)
        write_new_settings(folder, settings)
    return settings


def settings_in(folder: Path, text: str | bytes) -> Settings:
    (folder / SETTINGS_FILE).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_settings(folder)


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("harbour", "harbour"),
        ("My Project", "My-Project"),
        ("project-feature/login", "project-feature-login"),
        ("a  &  b", "a-b"),
        (".hidden", "hidden"),
        ("--x--", "x"),
        ("_x_", "x"),
        ("v1.2_rc-3", "v1.2_rc-3"),
        ("Zoë's town", "Zo-s-town"),
        ("名前", "town"),
        ("", "town"),
        ("...", "town"),
        ("a:b", "a-b"),
        ("x" * 100, "x" * 64),
        ("x" * 63 + "-y", "x" * 63),
        ("task", "task-town"),
        (".task.", "task-town"),
        ("tasks", "tasks"),
        ("a\nb", "a-b"),
        ("a\0b", "a-b"),
    ],
)
def test_fit_name_replaces_and_cuts(text: str, name: str) -> None:
    """What a town name cannot hold is replaced by one dash or cut."""
    assert fit_name(text) == name
    assert check_town_name(name) == name


@pytest.mark.parametrize("reserved", sorted(TOWN_NAMES_RESERVED))
def test_fit_name_avoids_reserved_names(reserved: str) -> None:
    """A folder called as one of Tinytown's key types still gets a town."""
    assert check_town_name(fit_name(reserved)) == f"{reserved}-town"


def test_suggested_name_is_the_folders_outside_a_repository(folder: Path) -> None:
    """Without git, the folder names the town; it need not be there yet."""
    assert suggest_name(folder) == "harbour"
    assert suggest_name(folder / "deep" / "My Town") == "My-Town"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_suggested_name_is_repository_and_branch(folder: Path) -> None:
    """In a repository it is called after it and its branch, also before the first commit."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "feature/login", str(folder)], check=True)
    (folder / "src").mkdir()
    assert suggest_name(folder) == suggest_name(folder / "src") == "harbour-feature-login"


# --- making a town ---------------------------------------------------------------------------------------------


def test_make_folder_writes_the_settings(folder: Path) -> None:
    """The settings hold the name, and a URL where one is given."""
    assert make_folder(folder / "new" / "deep", name="north") == Settings("north")
    assert tomllib.loads((folder / "new" / "deep" / SETTINGS_FILE).read_text()) == {"name": "north"}
    remote = make_folder(folder, url="redis://host/3")
    assert remote == read_settings(folder) == Settings("harbour", RedisSettings(url="redis://host/3"))


def test_make_folder_again_changes_nothing(folder: Path) -> None:
    """Meeting a town as it is leaves every byte of its files, also those a person wrote."""
    first = make_folder(folder)
    (folder / SETTINGS_FILE).write_text(f'# mine\nname = "{first.name}"\nmore = 1\n')
    (folder / ".gitignore").write_text("")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert make_folder(folder) == make_folder(folder, name="harbour") == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_make_folder_of_another_name_is_refused(folder: Path) -> None:
    """A town keeps its name, because its keys carry it."""
    make_folder(folder, name="north")
    with pytest.raises(TownExistsError, match="'north'"):
        make_folder(folder, name="south")
    assert read_settings(folder).name == "north"


def test_make_folder_at_another_url_is_refused(folder: Path) -> None:
    """A town keeps its server: another URL is refused and leaves the settings; the same one, or none, meets it as it is."""
    made = make_folder(folder, url="redis://host/3")
    with pytest.raises(SettingsError, match="not at that URL"):
        make_folder(folder, url="redis://host/4")
    assert make_folder(folder) == make_folder(folder, url="redis://host/3") == read_settings(folder) == made


@pytest.mark.parametrize("name", ["task", "a b", "", ".x", "x" * 65])
def test_make_folder_with_a_bad_name_writes_nothing(folder: Path, name: str) -> None:
    """A name is checked before anything is written."""
    with pytest.raises(InvalidValueError):
        make_folder(folder / "new", name=name)
    assert list(folder.iterdir()) == []


def test_make_folder_where_a_file_is_in_the_way_is_refused(folder: Path) -> None:
    """What cannot be written is named."""
    (folder / "file").write_text("")
    with pytest.raises(FolderRefusedError, match="file"):
        make_folder(folder / "file", name="north")


OURS = "".join(f"{line}\n" for line in GITIGNORE_LINES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, OURS),
        (b"", OURS),
        (b"*.pyc\n", f"*.pyc\n{OURS}"),
        (b"*.pyc", f"*.pyc\n{OURS}"),
        (b"# T\xc3\xaate\n\n\n", f"# Tête\n\n\n{OURS}"),
        (b".tt/\n", ".tt/\nredis.sock\n"),
        (b"old-redis.sock\n# not .tt/\n", f"old-redis.sock\n# not .tt/\n{OURS}"),
        (b"redis.sock", "redis.sock\n.tt/\n"),
        (b"x\n.tt/\nredis.sock\ny", "x\n.tt/\nredis.sock\ny"),
        (b"*.pyc\r\nbuild/\r\n", f"*.pyc\r\nbuild/\r\n{OURS}"),
        (b".tt/\r\nredis.sock\r\n", ".tt/\r\nredis.sock\r\n"),
    ],
)
def test_gitignore_gets_the_missing_lines_once(folder: Path, before: bytes | None, after: str) -> None:
    """What is there stays byte for byte, with or without a last newline; only missing lines are added."""
    if before is not None:
        (folder / ".gitignore").write_bytes(before)
    make_folder(folder)
    assert (folder / ".gitignore").read_bytes() == after.encode()


def test_gitignore_that_is_not_utf8_is_kept(folder: Path) -> None:
    """A pattern in another encoding is a person's; it is kept, and the lines are added."""
    (folder / ".gitignore").write_bytes(b"caf\xe9/\n")
    make_folder(folder)
    assert (folder / ".gitignore").read_bytes() == b"caf\xe9/\n" + OURS.encode()


def test_gitignore_lines_are_the_data_and_the_socket() -> None:
    """DESIGN 6: the data folder and the socket are nobody's to commit."""
    assert GITIGNORE_LINES == (".tt/", "redis.sock")


# --- reading the settings --------------------------------------------------------------------------------------


def test_settings_hold_name_and_redis(folder: Path) -> None:
    """All that may be said, said."""
    text = 'name = "north"\n[redis]\nurl = "unix:///x"\nbinary = "/usr/bin/valkey-server"\nhash_tag = true\n'
    assert settings_in(folder, text) == Settings(
        "north", RedisSettings(url="unix:///x", binary="/usr/bin/valkey-server", hash_tag=True)
    )


def test_settings_of_tinytown_are_tolerated(folder: Path) -> None:
    """Tinytown's own keys stand in the same file and are left alone."""
    text = (
        'name = "north"\ndefault_cli = "claude"\nmax_agents = 10\n'
        '[redis]\nuse_socket = true\nsocket_path = "redis.sock"\nhost = "127.0.0.1"\nport = 6379\n'
        '[agent_clis.claude]\nname = "claude"\ncommand = "claude --print"\n'
    )
    assert settings_in(folder, text) == Settings("north")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "`name`"),
        ('[redis]\nurl = "x"\n', "`name`"),
        ("name = 5\n", r"\.name"),
        ('name = "task"\n', "key types"),
        ('name = "a b"\n', "does not fit"),
        ('name = ""\n', "does not fit"),
        (f'name = "{"x" * 65}"\n', "does not fit"),
        ('name = "x"\nredis = "localhost"\n', r"\.redis"),
        ('name = "x"\n[redis]\nurl = 5\n', r"\.redis\.url"),
        ('name = "x"\n[redis]\nhash_tag = "yes"\n', "hash_tag"),
        ("name = \n", "not TOML"),
        ("{", "not TOML"),
        ('name = "x"\nname = "y"\n', "not TOML"),
        (b'name = "\xff"\n', "not TOML"),
        (b"\xff\xfen\0", "not TOML"),
    ],
    ids=range(15),
)
def test_settings_that_are_wrong_are_refused(folder: Path, text: str | bytes, words: str) -> None:
    """The message names the file and what is wrong with it."""
    with pytest.raises(SettingsError, match=words) as caught:
        settings_in(folder, text)
    assert caught.value.path == folder / SETTINGS_FILE
    assert str(folder / SETTINGS_FILE) in str(caught.value)


def test_settings_that_are_not_there_are_refused(folder: Path) -> None:
    """A missing file is named."""
    with pytest.raises(FolderRefusedError, match=SETTINGS_FILE):
        read_settings(folder)


def test_write_toml_leaves_no_other_file(folder: Path) -> None:
    """The file is written beside and renamed; what is written beside is gone, also where the renaming fails."""
    (folder / "taken").mkdir()
    write_toml(folder / "x.toml", {"name": "ä"})
    with pytest.raises(OSError, match="taken"):
        write_toml(folder / "taken", {"name": "ä"})
    assert sorted(each.name for each in folder.iterdir()) == ["taken", "x.toml"]
    assert tomllib.loads((folder / "x.toml").read_text(encoding="utf-8")) == {"name": "ä"}


# --- finding a town --------------------------------------------------------------------------------------------


def test_find_folder_is_the_nearest_upwards(folder: Path) -> None:
    """The folder itself, else the nearest above it; a town in a town is its own."""
    inner = folder / "a" / "b"
    deep = inner / "c" / "d"
    deep.mkdir(parents=True)
    make_folder(folder, name="outer")
    assert find_folder(deep) == find_folder(folder) == folder.resolve()
    make_folder(inner, name="inner")
    assert find_folder(deep) == find_folder(inner) == inner.resolve()
    assert find_folder(deep / ".." / ".." / "..") == folder.resolve()


def test_find_folder_without_a_town_is_refused(folder: Path) -> None:
    """Where no folder upwards is a town, the message says how to make one."""
    with pytest.raises(TownNotFoundError, match="tt init"):
        find_folder(folder)


def test_folder_named_like_the_settings_is_no_town(folder: Path) -> None:
    """Only a file makes a town."""
    (folder / SETTINGS_FILE).mkdir()
    assert not is_town(folder)


def test_options_of_the_connection_join_the_url(tmp_path: Path) -> None:
    """What [redis] says about TLS is part of the URL, so that a user who allows the URL allows it too."""
    (tmp_path / "tinytown.toml").write_text(
        'name = "x"\n[redis]\nurl = "rediss://h/0"\nssl_certfile = "/a b.pem"\nssl_check_hostname = false\n',
        encoding="utf-8",
    )
    url = "rediss://h/0?ssl_certfile=%2Fa+b.pem&ssl_check_hostname=false"
    assert read_settings(tmp_path).redis.url == url
    assert settings_to_be(tmp_path, url="rediss://h/0").redis.url == url
    with pytest.raises(SettingsError):
        settings_to_be(tmp_path, url="rediss://other/0")
