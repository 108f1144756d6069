"""`tt init` does all or nothing, wherever it fails; and a list that is for looking up only stops nothing."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger import LedgerError, StoreUnavailableError
from tests.support.refusals import refusing
from tests.support.towns import end_server
from town import FolderRefusedError, NotOursError, SettingsError, Town, find_towns
from town.server.own_server import EmbeddedServer

REFUSALS_MAX = 200
NOTHING_LEFT = "No town was made, and nothing is left of it."
OTHERS_GITIGNORE = b"*.pyc"

Listing = dict[Path, tuple[int, bytes]]


class Land:
    """A folder and a home that hold what a person has in them, and can be put back to that."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._roots = (folder, home)
        self.before = self.listing()

    def listing(self) -> Listing:
        """Everything below: its kind and rights, and what a file holds."""
        found = {}
        for root in self._roots:
            for path in (root, *root.rglob("*")):
                mode = path.lstat().st_mode
                found[path] = (mode, path.read_bytes() if stat.S_ISREG(mode) else b"")
        return found

    def restore(self) -> None:
        for path in self.listing():
            if path not in self.before and path.parent in self.before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path, (mode, content) in self.before.items():
            if stat.S_ISREG(mode):
                path.write_bytes(content)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody's, to be made a town."""
    place = tmp_path / "harbour"
    place.mkdir()
    yield place
    end_server(place)


@pytest.fixture
def remote(client: redis.Redis, server_socket: Path) -> Iterator[str]:
    """The URL of a server that asks for a name and a password."""
    client.acl_setuser("founder", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], commands=["+@all"])
    yield f"unix://founder:secret@{server_socket}"
    client.acl_deluser("founder")


def refuse_each_change(
    land: Land, place: Path, monkeypatch: pytest.MonkeyPatch, *, url: str | None = None
) -> dict[str, list[str]]:
    """Make a town while the system refuses one change, each in turn, until none is left; what was refused, by how that ended.

    Where it ended with an error, all is as it was before; else the town works.
    """
    ends: dict[str, list[str]] = {"nothing": [], "all": [], "unlisted": []}
    for number in range(REFUSALS_MAX):
        error: LedgerError | None = None
        town: Town | None = None
        with refusing(number, monkeypatch) as refused:
            try:
                town = Town.init(place, name="harbour", url=url)
            except LedgerError as caught:
                error = caught
        if town is None:
            assert land.listing() == land.before, (refused, error)
            assert getattr(error, "__notes__", [NOTHING_LEFT]) == [NOTHING_LEFT], (refused, error)
            ends["nothing"] += refused
            continue
        with town:
            assert town.create("It works").task.version == 1
            ends["all" if town.unlisted is None else "unlisted"] += refused
        if not refused:
            return ends
        end_server(place)
        land.restore()
    raise AssertionError("there is no end to the changes")


def test_init_that_fails_anywhere_has_made_nothing(
    place: Path, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a server of its own: each file, folder, name, link, write and program in turn cannot be made.

    The town was left behind, half of it, and its server with it.
    """
    (place / ".gitignore").write_bytes(OTHERS_GITIGNORE)
    ends = refuse_each_change(Land(tmp_path, own_home), place, monkeypatch)
    refused = " ".join(ends["nothing"])
    for each in (".gitignore", "tinytown.toml", "identity", ".tt", "trusted", "server.lock", "server.log", "Popen"):
        assert each in refused, each
    assert ends["unlisted"]
    # There are disks without hard links, and another way for them.
    assert [each.partition(" ")[0] for each in (*ends["all"], *ends["unlisted"]) if str(place) in each] == ["os.link"]


def test_init_with_a_url_that_fails_anywhere_has_made_nothing(
    place: Path, tmp_path: Path, own_home: Path, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a server elsewhere: in a folder below one that is missing too, with a password, beside the passwords of others."""
    (own_home / ".tt").mkdir(mode=0o700)
    (own_home / ".tt" / "passwords.toml").write_text('# mine\n[passwords]\n"@other:6379" = "x"\n')
    (own_home / ".tt" / "passwords.toml").chmod(0o600)
    ends = refuse_each_change(Land(tmp_path, own_home), place / "deep" / "er", monkeypatch, url=remote)
    refused = " ".join(ends["nothing"])
    for each in ("deep", ".gitignore", "tinytown.toml", "passwords.toml", "trusted"):
        assert each in refused, each
    assert ends["unlisted"]


def test_init_beside_a_server_that_does_not_answer_has_made_nothing(
    place: Path, tmp_path: Path, own_home: Path
) -> None:
    """The town was left there, with the password, and the next command failed in its place."""
    land = Land(tmp_path, own_home)
    with pytest.raises(StoreUnavailableError) as caught:
        Town.init(place / "new", url="redis://:secret@127.0.0.1:1/0")
    assert caught.value.__notes__ == [NOTHING_LEFT]
    assert land.listing() == land.before


def test_password_that_is_said_again_and_not_taken_leaves_the_one_before(
    place: Path, tmp_path: Path, own_home: Path, remote: str
) -> None:
    """A town that is there keeps what works."""
    Town.init(place, name="harbour", url=remote).close()
    land = Land(tmp_path, own_home)
    with pytest.raises(StoreUnavailableError):
        Town.init(place, url=remote.replace(":secret", ":wrong"))
    assert land.listing() == land.before
    Town.open(place).close()


def test_init_over_data_without_a_town_leaves_the_data(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `tinytown.toml` alone is missing, what fails takes nothing of the data back, and stops what it started."""
    with Town.init(place, name="harbour") as town:
        task = town.create("It stays").task.id
    EmbeddedServer(place).stop()
    (place / "tinytown.toml").unlink()

    def refuse(*_: object) -> None:
        raise SettingsError(place, "no")

    with monkeypatch.context() as patch:
        patch.setattr("town.founding.write_new_settings", refuse)
        with pytest.raises(SettingsError):
            Town.init(place, name="harbour")
    assert not EmbeddedServer(place).is_running()
    with Town.init(place, name="harbour") as town:
        assert town.task(task).description == "It stays"


@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:1/"])
def test_home_folder_becomes_no_town(own_home: Path, url: str | None) -> None:
    """Its `.tt` is the user's own. The error once spoke of data that came with a clone, and said to trust it."""
    with pytest.raises(NotOursError, match=r"has your own settings.*in a folder below"):
        Town.init(own_home, url=url)
    assert list(own_home.iterdir()) == []
    with Town.init(own_home / "my-town") as town:
        assert town.end().seq == 0
    end_server(own_home / "my-town")


@pytest.mark.parametrize(
    "content", ["towns = [", "towns = 1\n", "\udcff", None], ids=["cut", "type", "bytes", "folder"]
)
def test_broken_list_of_towns_stops_no_init(content: str | None, place: Path, own_home: Path) -> None:
    """The list is for looking up only: the town is made, a line says why it is not listed, and the list is left as it is."""
    path = own_home / ".tt" / "towns.toml"
    path.parent.mkdir(mode=0o700)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with Town.init(place, name="harbour") as town:
        assert town.unlisted is not None
        assert town.unlisted.startswith("The town is ready, but `tt towns` does not list it. ")
        assert str(path) in town.unlisted
        town.create("It works")
    if content is not None:
        assert path.read_bytes() == content.encode(errors="surrogateescape")
        path.unlink()
    else:
        path.rmdir()
    with Town.init(place) as town:
        assert town.unlisted is None
    assert [each.path for each in find_towns()] == [str(place)]


def test_folder_whose_name_is_not_utf8_becomes_a_town(place: Path) -> None:
    """It works like any other, and only the list, which holds text, cannot have it. It ended with exit code 70, half made."""
    odd = place / "b\udcffd"
    odd.mkdir()
    try:
        with Town.init(odd) as town:
            assert town.name == "b-d"
            assert "is not UTF-8" in (town.unlisted or "")
            task = town.create("It works").task
        assert EmbeddedServer(odd).stop()
        with Town.open(odd) as town:
            assert town.task(task.id).description == "It works"
        assert find_towns() == []
    finally:
        end_server(odd)


@pytest.mark.parametrize("home", ["a file", "nowhere", "below a file"])
def test_home_that_cannot_keep_what_is_allowed_is_refused(
    home: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made, and the error says why a home is needed; with TT_TRUST, as in CI, it is not."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(
        "HOME", str(tmp_path / {"a file": "file", "nowhere": "no/where", "below a file": "file/home"}[home])
    )
    with pytest.raises(FolderRefusedError, match="set HOME to a folder of your own") as caught:
        Town.init(place, name="harbour")
    assert caught.value.__notes__ == [NOTHING_LEFT]
    assert list(place.iterdir()) == []
    monkeypatch.setenv("TT_TRUST", "1")
    with Town.init(place, name="harbour") as town:
        assert "cannot be used" in (town.unlisted or "")
    with Town.open(place) as town:
        town.create("It works")


def test_what_cannot_be_taken_back_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changed the file meanwhile: it is theirs now, so it stays, and the error names it."""
    ignored = place / ".gitignore"

    def be_overtaken(*_: object) -> None:
        ignored.write_text("theirs\n")
        raise SettingsError(place, "no")

    monkeypatch.setattr("town.founding.connect", be_overtaken)
    with pytest.raises(SettingsError) as caught:
        Town.init(place, name="harbour")
    assert caught.value.__notes__ == [f"No town was made, but this could not be taken back: {ignored}."]
    assert ignored.read_text() == "theirs\n"


def test_user_without_a_home_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container has them: no HOME, and no entry among the users. It ended with exit code 70."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(FolderRefusedError, match="set HOME to a folder of your own") as caught:
        Town.init(place, name="harbour")
    assert caught.value.__notes__ == [NOTHING_LEFT]
    assert list(place.iterdir()) == []
    monkeypatch.setenv("TT_TRUST", "1")
    Town.init(place, name="harbour").close()
