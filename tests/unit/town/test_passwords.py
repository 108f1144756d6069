"""Passwords of servers: taken out of a URL, kept for one server and user, and put in again."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger import InvalidValueError
from town import SettingsError
from town.files.taking_back import Undo
from town.home.passwords import asked_url, keep_password, shown_url, split_password, with_password


@pytest.mark.parametrize(
    ("url", "plain", "password"),
    [
        ("redis://:secret@host:6379/0", "redis://host:6379/0", "secret"),
        ("redis://me:secret@host/0", "redis://me@host/0", "secret"),
        ("rediss://me:se%2Fcr%40et@host", "rediss://me@host", "se/cr@et"),
        ("redis://me:a@b@host", "redis://me@host", "a@b"),
        ("unix://:secret@/path/redis.sock?db=1", "unix:///path/redis.sock?db=1", "secret"),
        ("redis://host:6379/0", "redis://host:6379/0", None),
        ("redis://me@host", "redis://me@host", None),
        ("redis://:@host", "redis://:@host", None),
        ("redis://host/0?name=a:b@c", "redis://host/0?name=a:b@c", None),
        ("no url", "no url", None),
        ("", "", None),
    ],
)
def test_password_is_split_from_the_url(url: str, plain: str, password: str | None) -> None:
    """What goes into a town's file has no password; a URL without one, or that is none, stays as it is."""
    assert split_password(url) == (plain, password)


@pytest.mark.parametrize(
    "url", ["redis://:s%2Fe%40c@host:6380/0", "redis://me:secret@host", "unix://:x@/path/redis.sock?db=1"]
)
def test_kept_password_is_put_in_again(url: str, own_home: Path) -> None:
    """The URL that is opened is the one that was given, and the file is for this user alone."""
    plain, password = split_password(url)
    assert password is not None
    keep_password(plain, password, Undo())
    assert split_password(with_password(plain)) == (plain, password)
    kept = own_home / ".tt" / "passwords.toml"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_password_belongs_to_one_server_and_user() -> None:
    """Another host, port or user gets none, and a URL with a password keeps its own."""
    keep_password("redis://me@host:6379/0", "secret", Undo())
    assert with_password("redis://me@host/3") == "redis://me:secret@host/3"
    for other in ("redis://me@other:6379", "redis://me@host:6380", "redis://host:6379", "redis://me:mine@host:6379"):
        assert with_password(other) == other


def test_several_passwords_are_kept() -> None:
    """A new one leaves the others, and replaces that of its own server."""
    keep_password("redis://a", "one", Undo())
    keep_password("redis://b", "two", Undo())
    keep_password("redis://a", "three", Undo())
    assert [with_password(url) for url in ("redis://a", "redis://b")] == ["redis://:three@a", "redis://:two@b"]


def test_password_that_is_taken_back_leaves_the_file_as_it_was(own_home: Path) -> None:
    """Byte for byte, the one before among them; what another process kept meanwhile stays, and no file where there was none."""
    kept = own_home / ".tt" / "passwords.toml"
    first, second, third = Undo(), Undo(), Undo()
    keep_password("redis://a", "one", first)
    assert (first.take_back(), kept.parent.exists()) == ([], False)

    kept.parent.mkdir()
    kept.write_text('# mine\n[passwords]\n"@a:6379" = "one"\n')
    before = kept.read_bytes()
    keep_password("redis://a", "two", second)
    assert with_password("redis://a") == "redis://:two@a"
    assert (second.take_back(), kept.read_bytes()) == ([], before)

    keep_password("redis://a", "three", third)
    keep_password("redis://b", "other", Undo())
    assert third.take_back() == []
    assert [with_password(url) for url in ("redis://a", "redis://b")] == ["redis://:one@a", "redis://:other@b"]


def test_broken_list_of_passwords_is_named(own_home: Path) -> None:
    """A list that is none is an error with its path, and no password is guessed."""
    (own_home / ".tt").mkdir()
    (own_home / ".tt" / "passwords.toml").write_text("passwords = 1\n")
    with pytest.raises(SettingsError, match=r"passwords\.toml"):
        with_password("redis://host")


@pytest.mark.parametrize("url", ["redis://host:notaport", "redis://[::1", "redis://host:99999"])
def test_password_of_a_url_that_cannot_be_read_is_refused(url: str, own_home: Path) -> None:
    """Nothing is kept for it and nothing is guessed. The bug looked like this: `tt init --url` ended with exit code 70."""
    with pytest.raises(InvalidValueError, match="The URL cannot be read"):
        keep_password(url, "secret", Undo())
    assert not (own_home / ".tt").exists()
    keep_password("redis://host", "secret", Undo())
    assert with_password(url) == url


def test_shown_url_has_no_password() -> None:
    """Where it is not certain what the password is, nothing is shown."""
    assert shown_url("redis://me:secret@host:1/0") == "redis://host:1/0"
    assert "secret" not in shown_url("redis://host/0?x=@secret")
    assert shown_url("redis://[::1]:1/0") == "redis://[::1]:1/0"


def test_asked_url_has_all_but_the_password() -> None:
    """Who is asked sees the user and the options; where the password cannot be told from the rest, there is nothing to be asked."""
    url = "rediss://me:secret@host:1/0?ssl_cert_reqs=none&db=3"
    assert asked_url(url) == "rediss://me@host:1/0?ssl_cert_reqs=none&db=3"
    assert asked_url("redis://evil:6379/@") is None
    assert asked_url("redis://host/0?ssl_keyfile=@x") is None
