"""A town behind sentinels: it is found, and followed when another server becomes the primary."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.clusters import Watched, running_sentinels
from tests.support.tt import run_here
from tests.support.waiting import wait_until
from town import Town


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A primary with two replicas, and three sentinels."""
    with running_sentinels(tmp_path_factory.mktemp("sentinels")) as running:
        yield running


def descriptions(town: Town) -> list[str]:
    return [task.description for task in town.page().tasks]


def test_commands_find_the_primary(
    group: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tt init --url redis+sentinel://…/service` makes a town, and later commands go to the primary."""
    monkeypatch.chdir(tmp_path)
    tt = partial(run_here, capsys)
    assert tt("init", "--name", "plain", "--url", group.url).code == 0
    assert "hash_tag" not in (tmp_path / "tinytown.toml").read_text(encoding="utf-8")
    assert tt("assign", "ada", "Fix").code == 0
    assert group.url in tt("status").out
    assert group.primary().client().exists("tt:plain:ledger") == 1


def test_service_that_nobody_watches_is_named(
    group: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says which name the sentinels do not know, at once; no town is made."""
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "init", "--url", group.url.replace("/main", "/other"))
    assert (ran.code, "'other'" in ran.err) == (4, True), ran
    assert list(tmp_path.iterdir()) == []


def test_new_primary_is_followed(group: Watched, tmp_path: Path) -> None:
    """A primary that is killed, and one that hangs, are left for the next one, once; nothing that was copied is lost."""
    with Town.init(tmp_path / "town", name="followed", url=group.url, actor="a", is_registered=False) as town:
        town.create("before")
        for text, end in (("after the kill", "kill"), ("after the pause", "pause")):
            primary = group.primary()
            wait_until(lambda primary=primary: primary.ask("WAIT", 1, 1_000) >= 1 and is_copied(primary))  # type: ignore[misc]
            getattr(primary, end)()
            town.create(text)
            assert group.primary() is not primary
        assert descriptions(town) == ["before", "after the kill", "after the pause"]
        assert town.upkeep.verify().findings == ()


def is_copied(primary: object) -> bool:
    """Whether all replicas have all that the primary wrote."""
    told = primary.ask("INFO", "replication")  # type: ignore[attr-defined]
    offsets = [told[f"slave{number}"]["offset"] for number in range(told["connected_slaves"])]
    return bool(offsets) and all(offset == told["master_repl_offset"] for offset in offsets)
