"""Servers as Tinytown left them: fixtures of raw commands, and many tasks made by rule."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import redis

from ledger import Keys
from tests.support.builders import task_id
from town import MigrationPreview, MigrationReport, Town

FOLDER: Final = Path(__file__).parents[1] / "integration" / "old_towns"
TOWN: Final = "demo"
"""The town of every fixture."""
NAMES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))
MIXED: Final = tuple(name for name in NAMES if name != "wrong-backlog")
"""All that can be in one server at once."""
_TASKS_PER_PIPELINE: Final = 5_000
_POSITION: Final = re.compile(rb"\b1[0-9]{12}-([0-9]+)\b")

Dump = dict[bytes, bytes | None]


def fill(client: redis.Redis, *names: str) -> None:
    """Run the commands of fixtures; without a name, those of all that go together."""
    for name in names or MIXED:
        for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                client.execute_command(*shlex.split(line.replace("\\\\", "\\")))  # type: ignore[no-untyped-call]


def fill_many(client: redis.Redis, tasks: int, *, first: int = 0, more: str = "") -> None:
    """So many tasks, two thirds of them Hashes and a third JSON without a town, a tenth below another one.

    `first` is the number of the first of them; `more` makes their results longer.
    """
    pipeline = client.pipeline(transaction=False)
    for number in range(first, first + tasks):
        fields = old_fields(number)
        fields["result"] += more
        if number % 3:
            pipeline.hset(f"tt:{TOWN}:task:{fields['id']}", mapping=fields | {"tags": '["backend"]'})
        else:
            pipeline.set(f"tt:task:{fields['id']}", msgspec.json.encode(fields | {"tags": ["backend"]}))
        if number % _TASKS_PER_PIPELINE == _TASKS_PER_PIPELINE - 1:
            pipeline.execute()
    pipeline.execute()


def old_fields(number: int) -> dict[str, Any]:
    """A completed task's fields, but for its tags; it was created `number` seconds into 2025."""
    minute, second = divmod(number, 60)
    hour, minute = divmod(minute, 60)
    day, hour = divmod(hour, 24)
    time = f"2025-01-{day + 1:02d}T{hour:02d}:{minute:02d}:{second:02d}.123456789Z"
    parent = {"parent_id": task_id(number - 1)} if number % 10 == 1 else {}
    return {
        "id": task_id(number),
        "description": f"Implement feature {number} of the plan",
        "state": "completed",
        "created_at": time,
        "updated_at": time,
        "completed_at": time,
        "result": "Done, and all tests pass",
    } | parent


def dump(client: redis.Redis) -> Dump:
    """Every key of the server and its bytes."""
    names = cast("list[bytes]", sorted(client.scan_iter(count=1_000)))
    return {name: cast("bytes | None", client.dump(name)) for name in names}


def contents(client: redis.Redis, keys: Keys) -> dict[str, Any]:
    """Every key of the server but the leases as what it holds, whatever the server packed it into; times are left out of positions."""
    found: dict[str, Any] = {}
    for name in cast("list[bytes]", sorted(client.scan_iter(count=1_000))):
        key = name.decode()
        if not key.startswith(keys.lease("")):
            found[key] = without_ms(_content(client, key))
    return found


def without_ms(content: Any) -> Any:
    """Positions with 0 in place of their milliseconds, in text of any depth."""
    if isinstance(content, bytes):
        return _POSITION.sub(rb"0-\1", content)
    if isinstance(content, dict):
        return {without_ms(name): without_ms(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_ms(each) for each in content]
    return content


def _content(client: redis.Redis, name: str) -> Any:
    kind = cast("bytes", client.type(name))
    match kind:
        case b"string":
            return client.get(name)
        case b"hash":
            return client.hgetall(name)
        case b"set":
            return sorted(cast("set[bytes]", client.smembers(name)))
        case b"zset":
            return client.zrange(name, 0, -1, withscores=True)
        case b"list":
            return client.lrange(name, 0, -1)
        case b"stream":
            return client.xrange(name)
        case unexpected:
            raise AssertionError(f"{name!r} is a {unexpected!r}")


@contextmanager
def old_town(client: redis.Redis, socket: Path, folder: Path, *names: str) -> Iterator[Town]:
    """The town of the fixtures on the session's server, with what these fixtures (none: no fixture) put there."""
    if names:
        fill(client, *names)
    with Town.init(folder / TOWN, name=TOWN, url=f"unix://{socket}", actor="ada", is_registered=False) as town:
        yield town


def migrate(town: Town) -> MigrationReport:
    """Look and migrate; the town is as promised then."""
    with town.migration() as migration:
        migration.look()
        report = migration.run()
    assert town.upkeep.verify().findings == ()
    return report


def look(town: Town) -> MigrationPreview:
    with town.migration() as migration:
        return migration.look()
