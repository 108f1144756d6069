"""The end of what a task's last run printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from town import Town
from town.agents.run_log import OUTPUT_BYTES_MAX


@pytest.fixture
def logs(town: Town) -> Path:
    folder = town.folder / ".tt" / "logs"
    folder.mkdir(mode=0o700)
    return folder


def write(logs: Path, task_id: str, run: str, text: str, *, second: int) -> None:
    file = logs / f"{task_id}-{run}.log"
    file.write_text(text, encoding="utf-8")
    os.utime(file, (second, second))


def test_task_without_a_run_has_no_output(client: TestClient, town: Town) -> None:
    """No folder of logs is made for the question."""
    task = town.create("a task").task.id
    assert client.get(f"/api/v1/tasks/{task}/output").json() == {"town": "shown", "task": task, "output": None}
    assert not (town.folder / ".tt" / "logs").exists()


def test_end_of_the_last_run_is_shown(client: TestClient, town: Town, logs: Path) -> None:
    """By alias too; of a long log the end, and it says so. A log of another task is none of it."""
    task = town.create("a task", alias="named").task.id
    write(logs, task, "run-1", "old\n", second=100)
    write(logs, task, "run-2", "x" * OUTPUT_BYTES_MAX + "the end\n", second=200)
    write(logs, town.create("another").task.id, "run-3", "not mine\n", second=300)
    found = client.get("/api/v1/tasks/named/output").json()["output"]
    assert found["text"] == ("x" * OUTPUT_BYTES_MAX + "the end\n")[-OUTPUT_BYTES_MAX:]
    assert (found["run"], found["is_whole"]) == ("run-2", False)
    assert (found["bytes"], found["time"]) == (OUTPUT_BYTES_MAX + 8, "1970-01-01T00:03:20.000Z")


def test_log_that_leads_elsewhere_is_not_shown(client: TestClient, town: Town, logs: Path, tmp_path: Path) -> None:
    """A link may come with an unpacked folder, and lead to a file of somebody's own."""
    task = town.create("a task").task.id
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (logs / f"{task}-run.log").symlink_to(tmp_path / "secret")
    answer = client.get(f"/api/v1/tasks/{task}/output")
    assert answer.status_code == 422
    assert "secret" not in answer.text


def test_folder_of_logs_that_is_none_is_a_problem(client: TestClient, town: Town) -> None:
    """It says which path, and why; it is no fault of the program."""
    task = town.create("a task").task.id
    (town.folder / ".tt" / "logs").write_text("", encoding="utf-8")
    answer = client.get(f"/api/v1/tasks/{task}/output")
    assert (answer.status_code, "logs cannot be used" in answer.json()["detail"]) == (503, True)


def test_log_whose_name_is_no_text_is_passed_over(client: TestClient, town: Town, logs: Path) -> None:
    """No run writes one, and no answer could name it."""
    task = town.create("a task").task.id
    write(logs, task, "run", "the run's\n", second=100)
    write(logs, task, os.fsdecode(b"\xff"), "odd\n", second=200)
    assert client.get(f"/api/v1/tasks/{task}/output").json()["output"]["text"] == "the run's\n"
