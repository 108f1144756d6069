"""`tt serve` with several towns, and with a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import Serving, serving
from tests.support.towns import end_server
from tests.support.waiting import wait_until
from town import Town


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Two registered towns with a task each."""
    made = {name: tmp_path / name for name in ("east", "west")}
    for name, folder in made.items():
        with Town.init(folder, name=name) as town:
            town.create(f"in the {name}")
    yield made
    for folder in made.values():
        end_server(folder)


def test_all_towns_are_served_each_at_its_own_paths(folders: dict[str, Path]) -> None:
    """That of the folder is the first one, whose paths need no name."""
    with serving(folders["west"], "--all") as served:
        listed = served.request("GET", "/api/v1/towns")[1]["towns"]
        assert listed == [{"town": name, "path": f"/api/v1/towns/{name}"} for name in ("west", "east")]
        assert served.request("GET", "/api/v1")[1]["town"] == "west"
        for name in folders:
            [task] = served.request("GET", f"/api/v1/towns/{name}/tasks")[1]["tasks"]
            assert task["title"] == f"in the {name}"
        status, made = served.request("POST", "/api/v1/towns/east/tasks", {"description": "new"})
        assert (status, made["town"]) == (201, "east")
        assert served.request("GET", "/api/v1/towns/north/tasks")[0] == 404
    with Town.open(folders["west"]) as town:
        assert town.page().total == 1


def test_all_works_outside_of_a_town_and_leaves_out_what_is_gone(folders: dict[str, Path], tmp_path: Path) -> None:
    """The first of the list is the own one then. A second town of a name is left out, and the server says so."""
    end_server(folders["east"])
    shutil.rmtree(folders["east"])
    with Town.init(tmp_path / "twin", name="west"):
        pass
    try:
        with serving(tmp_path, "--all") as served:
            assert [each["town"] for each in served.request("GET", "/api/v1/towns")[1]["towns"]] == ["west"]
            served.process.terminate()
            told = served.process.communicate()[1]
        assert "east: the folder" in told
        assert "has a town of this name" in told
    finally:
        end_server(tmp_path / "twin")


def test_page_is_opened_in_the_browser(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In that of BROWSER, or of the machine."""
    program, seen = tmp_path / "browser", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\necho "$1" > {seen}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    with serving(folders["east"], "--open") as served:
        wait_until(lambda: seen.exists() and seen.read_text(encoding="utf-8").strip())
        assert seen.read_text(encoding="utf-8").strip() == f"{served.url}/"


def test_localhost_is_this_machine_and_needs_no_tokens(folders: dict[str, Path]) -> None:
    """It is served at the address of that name, and no other one."""
    with serving(folders["east"], "--host", "localhost") as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert served.request("GET", "/api/v1", headers={"Host": f"localhost:{served.port}"})[0] == 200


def test_refused_address_says_which_option_to_change(folders: dict[str, Path], tmp_path: Path) -> None:
    """A port that is taken needs another port; an address that this machine lacks needs another host."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ada write {'a' * 20}\n", encoding="utf-8")
    tokens.chmod(0o600)
    with serving(folders["east"]) as served, pytest.raises(AssertionError, match=r"in use\. Give another --port"):
        Serving(folders["east"], port=served.port)
    with pytest.raises(AssertionError, match=r"192\.0\.2\.1, port 0: .*\. Give --host an address of this machine"):
        Serving(folders["east"], "--host", "192.0.2.1", "--token-file", str(tokens))


def test_unknown_town_and_path_say_where_to_look(folders: dict[str, Path]) -> None:
    """The towns of the server, and the document that has all paths."""
    with serving(folders["east"]) as served:
        assert served.request("GET", "/api/v1/towns/north")[1]["detail"] == "The towns of this server: east."
        assert "/api/v1/openapi.json" in served.request("GET", "/api/v1/nothing")[1]["detail"]
