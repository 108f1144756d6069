"""A Tinytown user's day: `tt migrate` on a server as Tinytown left it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger import Keys
from tests.support.builders import task_id
from tests.support.markdown import DOCS, blocks, section
from tests.support.old_towns import MIXED, contents, dump, fill, fill_many
from tests.support.tinytown import write_programs
from tests.support.towns import client_of
from tests.support.tt import Tt, start_process


class Terminal(io.StringIO):
    """A person at a terminal, who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def old(town: Path) -> Iterator[redis.Redis]:
    """A plain client of the server of the town demo, which holds every fixture."""
    with client_of(town) as client:
        fill(client, *MIXED)
        yield client


def test_migrate_says_what_it_found_and_did_and_names_each_skipped_key(tt: Tt, old: redis.Redis) -> None:
    """What is there, what was done, each key that was skipped with its reason, each task that is not as it should be."""
    ran = tt("migrate", "--force")
    assert ran.code == 0
    assert "26 old tasks in the server, to be adopted into the town demo:" in ran.out
    assert "  JSON without a town: 7 records" in ran.out
    assert "their tasks become tasks of demo" in ran.out
    assert "5 tasks in the backlog; their order is kept." in ran.out
    assert "26 tasks adopted, " in ran.out
    copied = sum(key.startswith(b"tt:demo:legacy:tt:demo:task:") for key in old.scan_iter()) - 4
    assert f" old keys set aside, {copied} old keys copied, " in ran.out
    assert "Verified: 26 events, 26 tasks, all as promised." in ran.out
    assert f"Skipped tt:demo:task:{task_id(63)}: it has no description" in ran.err
    assert f"Irregular {task_id(72)}: it is running, without an agent" in ran.err
    skipped = [line for line in ran.err.splitlines() if line.startswith("Skipped ")]
    assert f", {len(skipped)} keys skipped, " in ran.out
    assert old.exists(f"tt:demo:legacy:tt:task:{task_id(1)}")


def test_migrate_of_a_backlog_alone_says_that_it_names_no_town(tt: Tt, town: Path) -> None:
    """Nothing was interrupted here, and the list may be another town's."""
    with client_of(town) as client:
        client.rpush("tt:backlog", task_id(1))
        ran = tt("migrate", "--dry-run")
        assert "interrupted" not in ran.out
        assert "The backlog's list tt:backlog, which names no task that is left to adopt, to be set aside." in ran.out
        assert "Keys without a town do not say whose they are: tt:backlog counts as a list of demo." in ran.out
        assert tt("migrate", "--force").code == 0
        assert client.exists("tt:demo:legacy:tt:backlog")


def test_migrate_that_only_builds_views_says_just_that(tt: Tt, town: Path) -> None:
    """No old key is spoken of; once it said where they are kept, and not what it had done."""
    tt("task", "create", "Made here")
    with client_of(town) as client:
        client.delete(Keys("demo").checkpoint("alias"))
    ran = tt("migrate", "--force")
    assert "Snapshots and views were rebuilt from the ledger." in ran.out
    assert "legacy" not in ran.out


def test_migrate_that_is_interrupted_says_that_it_goes_on(
    tt: Tt, old: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle: what to do next stands on stderr, and it is so."""
    assert old.ping()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("town.migration.migration.Migration._begin", interrupt)
        ran = tt("migrate", "--force")
    assert ran.code != 0
    assert "Run `tt migrate` again: it continues where it stopped" in ran.err
    assert "26 tasks adopted" in tt("migrate", "--force").out


def test_empty_town_hints_at_old_tasks_and_a_migrated_one_does_not(tt: Tt, old: redis.Redis) -> None:
    """Whoever forgot to migrate saw `No task matches.` and nothing else."""
    assert old.ping()
    for command in ("task list", "tasks"):
        assert "tt migrate --dry-run" in tt(*command.split()).err
    assert "tt migrate --dry-run" in tt("doctor").out
    tt("migrate", "--force")
    assert "tt migrate" not in tt("task", "list", "--tag", "no such tag").err
    assert "tt migrate" not in tt("doctor").out


def test_migrate_dry_run_writes_nothing(tt: Tt, old: redis.Redis) -> None:
    """The whole server is the same before and after, byte for byte, and the report is that of a migration."""
    before = dump(old)
    ran = tt("migrate", "--dry-run")
    assert dump(old) == before
    assert (ran.code, "26 old tasks" in ran.out, "Skipped " in ran.err) == (0, True, True)


def test_migrate_a_second_time_has_nothing_to_do_and_appends_nothing(tt: Tt, old: redis.Redis) -> None:
    """It says so, asks nobody, and no byte changes; what could not be adopted is named again."""
    tt("migrate", "--force")
    before = dump(old)
    ran = tt("migrate")
    assert ran.code == 0
    assert ran.out == "Nothing to migrate: the server has no task from before the ledger that demo could adopt.\n"
    assert f"Set aside, but never adopted: tt:demo:legacy:tt:demo:task:{task_id(63)}" in ran.err
    assert dump(old) == before


def test_after_a_migration_verify_finds_nothing_and_replay_says_that_the_ledger_begins_later(
    tt: Tt, old: redis.Redis
) -> None:
    """The ledger knows nothing of the time before it; the tasks themselves keep their times."""
    assert old.ping()
    tt("migrate", "--force")
    assert tt("verify").code == 0
    ran = tt("replay", "--at", "2025-06-01")
    assert ran.code == 1
    assert "2025-06-01 00:00:00 UTC is before the first event. The events of this town are 1 to " in ran.err
    assert "2025-03-01" in tt("task", "show", task_id(1)).out


def test_migrate_asks_and_a_no_changes_nothing(tt: Tt, old: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt comes after what was found; whoever declines has the server as it was, and code 1."""
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    before = dump(old)
    ran = tt("migrate")
    assert (ran.code, dump(old) == before) == (1, True)
    assert ran.out.index("their tasks become tasks of demo") < ran.out.index("Migrate? [y/N]")
    assert "Nothing was changed." in ran.out


def test_migrate_asks_and_a_yes_migrates(tt: Tt, old: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is skipped is said before the question, and not again after it."""
    assert old.ping()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    ran = tt("migrate")
    assert (ran.code, "26 tasks adopted" in ran.out) == (0, True)
    assert ran.err.count(f"Skipped tt:task:{task_id(68)}") == 1


def test_migrate_without_anybody_to_ask_is_refused(tt: Tt, old: redis.Redis) -> None:
    """Without a terminal and without --force it is a usage error that says what to give."""
    before = dump(old)
    ran = tt("migrate")
    assert (ran.code, dump(old) == before) == (2, True)
    assert "--dry-run" in ran.err
    assert "--force" in ran.err


def test_migrate_prints_one_documented_shape_as_json(tt: Tt, old: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the same figures as one object, before and after; it asks nobody, so it takes --force or --dry-run."""
    assert old.ping()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert tt("migrate", "--json").code == 2
    foretold = tt("migrate", "--json", "--dry-run").json
    assert (foretold["done"], foretold["adopted"], foretold["tasks"]) == (False, None, 26)
    done = tt("migrate", "--json", "--force").json
    assert done.keys() == foretold.keys()
    assert (done["done"], done["adopted"], done["findings"]) == (True, 26, [])
    assert done["skipped"] == foretold["skipped"]
    assert done["positions"][1].endswith("-26")
    assert tt("migrate", "--json", "--force").json["done"] is False


def test_migrate_ends_with_code_5_where_the_verification_finds_something(tt: Tt, old: redis.Redis) -> None:
    """The tasks are adopted, and what is not as promised is named."""
    old.sadd("tt:demo:view:state:pending", task_id(999))
    ran = tt("migrate", "--force")
    assert (ran.code, "26 tasks adopted" in ran.out) == (5, True)
    assert "tt:demo:view:state:pending" in ran.out
    assert "1 finding." in ran.err


def test_drop_legacy_says_how_much_and_deletes_it(tt: Tt, old: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and bytes, what was never adopted, a question; then nothing is left of them, and again there is nothing."""
    tt("migrate", "--force")
    assert tt("migrate", "--drop-legacy").code == 2
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    ran = tt("migrate", "--drop-legacy")
    assert ran.code == 0
    assert "bytes of memory" in ran.out
    assert f"Never adopted, and kept nowhere else: tt:demo:legacy:tt:demo:task:{task_id(63)}" in ran.err
    assert "old keys deleted." in ran.out
    assert not list(old.scan_iter(match="tt:demo:legacy:*"))
    assert "Nothing to delete" in tt("migrate", "--drop-legacy", "--force").out
    assert tt("verify").code == 0


def test_drop_legacy_of_a_damaged_town_deletes_nothing(tt: Tt, old: redis.Redis) -> None:
    """What `tt verify` finds is to be put right first; --dry-run never deletes."""
    tt("migrate", "--force")
    old.set(f"tt:demo:task:{task_id(1)}", "{}")
    before = dump(old)
    ran = tt("migrate", "--drop-legacy", "--force")
    assert (ran.code, dump(old) == before) == (5, True)
    assert f"tt:demo:task:{task_id(1)}" in ran.err
    assert tt("migrate", "--drop-legacy", "--dry-run", "--json").json["dropped"] is False
    assert dump(old) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--drop-legacy", "--from-url", "redis://localhost"), 2, "Give either"),
        (("--from-url", "unix://nowhere.sock"), 4, "nowhere.sock"),
        (("--from-url", "http://example.org"), 4, "URL of an unknown kind"),
        (("--from-url", "127.0.0.1:6379"), 4, "The server at the URL of --from-url has a URL of an unknown kind"),
        (("--from-url", "unix://{town}/redis.sock"), 1, "Leave out --from-url"),
    ],
)
def test_migrate_refuses_what_cannot_be(
    tt: Tt, old: redis.Redis, town: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Each wrong use ends with its code and says what to do, and nothing is changed."""
    before = dump(old)
    ran = tt("migrate", *(argument.format(town=town) for argument in arguments))
    assert (ran.code, dump(old) == before) == (code, True)
    assert words in ran.err
    assert "tt start" not in ran.err
    assert "configured URL" not in ran.err


def test_town_named_like_a_key_type_is_refused_with_a_hint(tt: Tt, folder: Path) -> None:
    """`tt:agent:…` would be that town's keys and all agents' at once."""
    (folder / "tinytown.toml").write_text('name = "agent"\n', encoding="utf-8")
    ran = tt("migrate", "--dry-run")
    assert (ran.code, "Try agent-town" in ran.err) == (1, True)


def test_skipped_records_never_reach_a_terminal_raw(tt: Tt, old: redis.Redis) -> None:
    """What a record holds is written out where it is quoted."""
    old.set(f"tt:task:{task_id(99)}", json.dumps({"id": task_id(99), "description": "x", "state": "\x1b[31mred"}))
    ran = tt("migrate", "--dry-run")
    assert "\x1b" not in ran.out + ran.err
    assert "x1b[31mred" in ran.err


def test_guide_leads_back_to_tinytown_and_to_another_migration(
    tt: Tt, town: Path, old: redis.Redis, tmp_path: Path
) -> None:
    """Its shell lines rename every old key back, byte for byte; its further ones let a migration begin anew."""
    path = write_programs(tmp_path / "bin")
    guide = (DOCS / "howto" / "upgrade-from-tinytown.md").read_text(encoding="utf-8").replace("my-town", "demo")
    go_back, begin_anew = [block.text for block in blocks(section(guide, "## Go back")) if block.language == "sh"]
    uuid_of_digits = "10000000-0000-4000-8000-000000000001"
    old.set(f"tt:task:{uuid_of_digits}", "no JSON")
    before = contents(old, Keys("demo"))
    tt("migrate", "--force")
    old.rename(f"tt:task:{uuid_of_digits}", f"tt:demo:legacy:tt:task:{uuid_of_digits}")
    second = f"tt:demo:legacy:tt:demo:task:{task_id(21)}:2"
    old.set(second, "a second record")

    subprocess.run(["sh", "-e", "-c", go_back], cwd=town, env=os.environ | {"PATH": path}, check=True)
    after = contents(old, Keys("demo"))
    assert {key: after.get(key) for key in before} == before
    assert {key for key in after if key.startswith(("tt:demo:legacy:", "tt:demo:task:"))} <= {*before, second}
    assert old.get(second) == b"a second record"
    old.delete(second)

    subprocess.run(["sh", "-e", "-c", begin_anew], cwd=town, env=os.environ | {"PATH": path}, check=True)
    assert len(json.loads((town / "events.json").read_text(encoding="utf-8"))["events"]) == 26
    assert contents(old, Keys("demo")) == before
    # The receipts of this machine tell of what was deleted.
    assert tt("migrate", "--force").code == 5
    assert tt("recover", "--accept-loss", "demo").code == 0
    assert "26 tasks adopted" in tt("migrate", "--force").out


def test_two_migrations_from_two_terminals_adopt_each_task_once(town: Path, old: redis.Redis) -> None:
    """Both end well; together they adopted every task once."""
    fill_many(old, 300, first=1_000)
    processes = [start_process("migrate", "--force", "--json", folder=town) for _ in range(2)]
    printed = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    found = sorted(json.loads(out)["adopted"] or 0 for out, _ in printed)
    assert found[0] == 0
    assert found[1] == old.zcard("tt:demo:view:created") == old.xlen("tt:demo:ledger")
