"""TLS, with a server's and a client's certificate: a town works behind it, and what is wrong about it is said in time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.clusters import Cluster, Node, running_cluster
from tests.support.day import live_a_day
from tests.support.tls import TlsDoor, TlsFiles, make_files, tls_door
from tests.support.tt import Ran, Tt, run_here
from town.server import bounded_client

SECRET = "a-secret-password"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    running = Node(tmp_path_factory.mktemp("node"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def door(node: Node, files: TlsFiles) -> Iterator[TlsDoor]:
    with tls_door(files, node.port) as opened:
        yield opened


@pytest.fixture
def tt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tt:
    """`tt` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_here, capsys)


def options(files: TlsFiles) -> dict[str, str]:
    return {
        "ssl_ca_certs": str(files.authority.certificate),
        "ssl_certfile": str(files.client.certificate),
        "ssl_keyfile": str(files.client.key),
    }


def test_town_lives_a_day_behind_tls_by_the_options_of_its_url(door: TlsDoor, files: TlsFiles, tt: Tt) -> None:
    """Every command, with certificates on both sides."""
    made = tt("init", "--name", "tls", "--url", f"rediss://127.0.0.1:{door.port}?{urlencode(options(files))}")
    assert made.code == 0, made
    live_a_day(tt)
    assert f"rediss://127.0.0.1:{door.port}" in tt("status").out


def test_certificates_may_stand_in_the_settings(door: TlsDoor, files: TlsFiles, tt: Tt, tmp_path: Path) -> None:
    """`[redis] ssl_…` of `tinytown.toml` are what the options of the URL are."""
    url = f"rediss://127.0.0.1:{door.port}"
    lines = [f'url = "{url}"', *(f'{name} = "{value}"' for name, value in options(files).items())]
    (tmp_path / "tinytown.toml").write_text("\n".join(['name = "settings"', "[redis]", *lines, ""]))
    assert tt("trust", "--yes").code == 0
    assert tt("init").code == 0
    assert tt("task", "create", "first").code == 0
    assert "first" in tt("task", "list").out


@pytest.fixture(scope="module")
def cluster(files: TlsFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("c"), replicas=0, tls=files) as running:
        yield running


def test_cluster_is_used_behind_tls(cluster: Cluster, files: TlsFiles, tt: Tt) -> None:
    """Every node is asked with TLS, also one that another node named; a town that moves is followed."""
    url = cluster.url.replace("redis+cluster://", "rediss+cluster://")
    assert tt("init", "--name", "secure", "--url", f"{url}?{urlencode(options(files))}").code == 0
    assert tt("task", "create", "before", "--alias", "one").code == 0
    source = cluster.primary_of("secure")
    cluster.move("secure", next(each for each in cluster.primaries() if each is not source))
    assert tt("task", "note", "one", "after").code == 0
    assert tt("verify").code == 0


def refused(tt: Tt, url: str, tmp_path: Path) -> Ran:
    """`tt init` with a URL that cannot work; nothing is made, and nothing secret is said."""
    ran = tt("init", "--url", url)
    assert ran.code == 4, ran
    assert SECRET not in ran.err + ran.out
    assert list(tmp_path.iterdir()) == []
    return ran


def test_server_of_another_authority_is_refused(door: TlsDoor, files: TlsFiles, tt: Tt, tmp_path: Path) -> None:
    """Its certificate is not trusted: the error says so."""
    given = options(files) | {"ssl_ca_certs": str(files.stranger.certificate)}
    ran = refused(tt, f"rediss://:{SECRET}@127.0.0.1:{door.port}?{urlencode(given)}", tmp_path)
    assert "TLS failed" in ran.err
    assert "ssl_ca_certs" in ran.err


def test_client_without_a_certificate_is_refused(door: TlsDoor, files: TlsFiles, tt: Tt, tmp_path: Path) -> None:
    """The server wants one: the error says by which options it is given."""
    given = {"ssl_ca_certs": str(files.authority.certificate)}
    ran = refused(tt, f"rediss://:{SECRET}@127.0.0.1:{door.port}?{urlencode(given)}", tmp_path)
    assert "TLS" in ran.err
    assert "ssl_certfile" in ran.err


def test_missing_file_of_a_certificate_is_named(door: TlsDoor, files: TlsFiles, tt: Tt, tmp_path: Path) -> None:
    """Whichever of the three files it is."""
    for name in options(files):
        given = options(files) | {name: "/nowhere/file.pem"}
        ran = refused(tt, f"rediss://:{SECRET}@127.0.0.1:{door.port}?{urlencode(given)}", tmp_path)
        assert "/nowhere/file.pem" in ran.err


def test_tls_at_a_port_without_it_is_said(
    node: Node, files: TlsFiles, tt: Tt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that waits for a command takes the greeting of TLS for one."""
    monkeypatch.setattr(bounded_client, "CONNECT_SECONDS_MAX", 1.0)
    ran = refused(tt, f"rediss://:{SECRET}@127.0.0.1:{node.port}?{urlencode(options(files))}", tmp_path)
    assert "TLS" in ran.err


def test_no_tls_at_a_port_that_wants_it_is_said(door: TlsDoor, tt: Tt, tmp_path: Path) -> None:
    """The connection is closed at the first word: TLS is one of the reasons that the error names."""
    ran = refused(tt, f"redis://:{SECRET}@127.0.0.1:{door.port}", tmp_path)
    assert "rediss://" in ran.err
