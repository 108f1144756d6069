"""The REST interface: questions and verbs of the command line, refusals as problems, and who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from shapes import task_shape
from tests.support.tt import run_here
from tests.web.conftest import HOST
from town import TokenFileRefusedError, Town
from web.access import Tokens
from web.app import ENDPOINTS, make_app
from web.page_files import read_files
from web.requests import BODY_BYTES_MAX
from web.towns import ServedTown, Towns

READER, WRITER = "r" * 20, "w" * 20


def plain(value: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))


def test_every_question_is_answered_now_and_then(town: Town, client: TestClient) -> None:
    """Each read has an answer now, and those with `at` one of an earlier moment."""
    task = town.page().tasks[0].id
    needed = {"/diff": {"from": "1"}, "/steps": {"after": "0"}, "/search": {"q": "a"}}
    for endpoint in ENDPOINTS:
        if endpoint.is_writing:
            continue
        path = f"/api/v1{endpoint.path.rstrip('/')}".format(task=task)
        given = needed.get(endpoint.path, {})
        assert client.get(path, params=given).status_code == 200, endpoint.path
        if "at" in endpoint.given.__struct_fields__ and "{task}" not in endpoint.path:
            assert client.get(path, params={**given, "at": "20"}).status_code == 200, endpoint.path


def test_list_of_tasks_is_that_of_the_library(town: Town, client: TestClient) -> None:
    """In the same shape, page by page, now and at a moment."""
    for at in (None, 60):
        reader = town if at is None else town.at(at)
        expected = [plain(task_shape(task)) for task in reader.page().tasks]
        found: list[Any] = []
        while len(found) < len(expected):
            query = {"offset": len(found), "limit": 4, **({} if at is None else {"at": at})}
            page = client.get("/api/v1/tasks", params=query).json()
            found += page["tasks"]
            assert page["has_more"] == (len(found) < len(expected))
        assert found == expected


def test_log_of_a_moment_ends_there(town: Town, client: TestClient) -> None:
    """As it was read then; a second end is refused."""
    end = town.end().seq
    events = client.get(f"/api/v1/log?at={end - 7}&limit=3").json()["events"]
    assert [each["number"] for each in events] == [end - 7, end - 8, end - 9]
    assert client.get(f"/api/v1/log?at={end}&until={end}").status_code == 400


def test_answer_that_is_known_is_not_sent_again(town: Town, client: TestClient) -> None:
    """Its tag is the position; after a change there is a new one."""
    tag = client.get("/api/v1/tasks").headers["etag"]
    assert tag == f'"{town.end()}"'
    assert client.get("/api/v1/tasks", headers={"If-None-Match": tag}).status_code == 304
    town.create("new")
    assert client.get("/api/v1/tasks", headers={"If-None-Match": tag}).status_code == 200


def test_task_is_led_through_its_life(client: TestClient) -> None:
    """Each verb is one request; the last one gives the task as it is."""
    made = client.post("/api/v1/tasks", json={"description": "by rest", "tags": ["a"], "priority": 1})
    assert (made.status_code, made.headers["location"]) == (201, f"tasks/{made.json()['task']['id']}")
    path = f"/api/v1/tasks/{made.json()['task']['id']}"
    for verb, body in (
        ("assign", {"agent": "ada"}), ("start", {}), ("note", {"text": "hm"}), ("tag", {"add": ["b"], "remove": ["a"]}),
        ("ask", {"question": "Which?", "choices": ["x", "y"]}), ("answer", {"text": "x"}), ("claim", {"agent": "bob"}),
        ("prioritise", {"priority": 4}), ("schedule", {"due": "tomorrow"}), ("edit", {"description": "anew"}),
        ("requeue", {"reason": "later"}), ("complete", {"agent": "bob", "result": "done"}), ("reopen", {}), ("cancel", {}),
    ):  # fmt: skip
        answer = client.post(f"{path}/{verb}", json=body)
        assert answer.status_code == 200, (verb, answer.text)
        assert len(answer.json()["positions"]) >= 1
    task = client.get(path).json()["task"]
    assert (task["state"], task["tags"], task["description"]) == ("cancelled", ["b"], "anew")
    assert client.post("/api/v1/undo", json={"event": task["id"]}).status_code == 200
    assert client.get(path).json()["task"]["state"] == "pending"


def test_change_of_another_version_is_a_conflict(town: Town, client: TestClient) -> None:
    """It says both versions, and nothing is written."""
    task = town.create("mine").task.id
    end = town.end()
    answer = client.post(f"/api/v1/tasks/{task}/note", json={"text": "x"}, headers={"If-Match": '"7"'})
    assert (answer.status_code, answer.json()["expected"], answer.json()["actual"]) == (409, 7, 1)
    assert town.end() == end


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/tasks/nobody", None, 404),
        ("GET", "/api/v1/tasks?state=odd", None, 400),
        ("GET", "/api/v1/tasks?limit=0", None, 400),
        ("GET", "/api/v1/tasks?limit=1&limit=2", None, 400),
        ("GET", "/api/v1/tasks?at=99999", None, 404),
        ("GET", "/api/v1/tasks?at=nonsense", None, 400),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/api/v1/towns/other/tasks", None, 404),
        ("PUT", "/api/v1/tasks", {}, 405),
        ("POST", "/api/v1/tasks", {}, 400),
        ("POST", "/api/v1/tasks", {"description": " "}, 400),
        ("POST", "/api/v1/tasks", {"description": "x", "odd": 1}, 400),
        ("POST", "/api/v1/tasks", {"description": "x" * BODY_BYTES_MAX}, 413),
    ],
)
def test_wrong_request_is_a_problem_and_writes_nothing(
    town: Town, client: TestClient, method: str, path: str, body: object, status: int
) -> None:
    """With a status, and words that say what to do."""
    end = town.end()
    answer = client.request(method, path, json=body) if body is not None else client.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert town.end() == end


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:8177"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_request_of_another_site_is_refused(town: Town, client: TestClient, headers: dict[str, str]) -> None:
    """Reads and writes; so no page reaches the town by another name of this machine."""
    end = town.end()
    assert client.get("/api/v1/tasks", headers=headers).status_code == 403
    assert client.post("/api/v1/tasks", json={"description": "x"}, headers=headers).status_code == 403
    assert client.get("/", headers=headers).status_code == 403
    assert town.end() == end


def test_header_that_is_given_twice_is_not_half_believed(town: Town, client: TestClient) -> None:
    """Neither where a request comes from, nor the version that it asks for."""
    task, end = town.create("mine").task.id, town.end()
    for name, values in (("Sec-Fetch-Site", ("none", "cross-site")), ("If-Match", ('"1"', '"2"'))):
        headers = [(name, value) for value in values]
        answer = client.post(f"/api/v1/tasks/{task}/note", json={"text": "x"}, headers=headers)
        assert answer.status_code in (400, 403)
    assert town.end() == end


def test_link_on_another_site_opens_the_page(client: TestClient) -> None:
    """In a tab of its own; nothing of the town is reached so."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/?at=3", headers=headers).status_code == 200
    assert client.get("/api/v1/tasks", headers=headers).status_code == 403
    assert client.post("/", headers=headers).status_code == 403


@pytest.mark.parametrize("version", ['"1"', "*", '"3'])
@pytest.mark.parametrize(("path", "body"), [("/tasks", {"description": "x"}), ("/undo", {"event": "mine"})])
def test_condition_that_a_command_does_not_look_at_is_refused(
    town: Town, client: TestClient, path: str, body: object, version: str
) -> None:
    """It would be carried out though the version is another one."""
    town.create("mine", alias="mine")
    end = town.end()
    answer = client.post(f"/api/v1{path}", json=body, headers={"If-Match": version})
    assert (answer.status_code, "If-Match" in answer.json()["title"]) == (400, True)
    assert town.end() == end


@pytest.mark.parametrize("version", ['"1', '""1""', 'W/"1"', '"1", "2"', "", '"²"', '"-1"', '"1234567890123456"'])
def test_version_that_is_none_is_refused(town: Town, client: TestClient, version: str) -> None:
    """Whatever comes close to one."""
    task, end = town.create("mine").task.id, town.end()
    answer = client.post(f"/api/v1/tasks/{task}/note", json={"text": "x"}, headers=[(b"If-Match", version.encode())])
    assert answer.status_code == 400
    assert town.end() == end


def test_own_page_may_ask(client: TestClient) -> None:
    """Its origin is the server's own."""
    headers = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/tasks", json={"description": "x"}, headers=headers).status_code == 201


@pytest.fixture
def guarded(town: Town, tmp_path: Path) -> Iterator[TestClient]:
    """A server that wants tokens."""
    file = tmp_path / "tokens"
    file.write_text(f"# people\nada read {READER}\nbob write {WRITER}\n", encoding="utf-8")
    file.chmod(0o600)
    with closing(Towns({"shown": ServedTown(town.folder, "shown", actor=None)})) as towns:
        yield TestClient(make_app(towns, hosts=None, tokens=Tokens.read(file)), base_url="http://board.example")


@pytest.mark.parametrize(
    ("token", "read", "write"), [(None, 401, 401), ("x" * 20, 401, 401), (READER, 200, 403), (WRITER, 200, 201)]
)
def test_token_says_what_its_holder_may_do(
    guarded: TestClient, town: Town, token: str | None, read: int, write: int
) -> None:
    """And who acts."""
    end = town.end()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    assert guarded.get("/api/v1/tasks", headers=headers).status_code == read
    made = guarded.post("/api/v1/tasks", json={"description": "x"}, headers=headers)
    assert made.status_code == write
    assert (town.end() == end) == (write != 201)
    if write == 201:
        assert town.events.last(count=1)[0].actor == "bob"
    assert guarded.get("/", headers=headers).status_code == 200
    assert guarded.post("/", headers=headers).status_code == (405 if write == 201 else write)


def test_name_of_the_server_in_a_request_changes_no_answer(guarded: TestClient) -> None:
    """A client may send any; what others are answered does not depend on it."""
    token = {"Authorization": f"Bearer {READER}"}
    expected = guarded.get("/api/v1/tasks?limit=1", headers=token).json()
    for host in ("x/api/v1/tasks?limit=1#", "x#", "[", "@", ""):
        assert guarded.get("/api/v1/board", headers={**token, "Host": host}).json()["columns"]
        assert guarded.get("/main.js", headers={"Host": host}).status_code == 200
    assert guarded.get("/api/v1/tasks?limit=1", headers=token).json() == expected


def test_address_that_others_reach_needs_tokens(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before anything listens."""
    ran = run_here(capsys, "serve", "--host", "0.0.0.0", "--port", "0", "--town", str(town.folder))
    assert (ran.code, "Give --token-file FILE too." in ran.err) == (1, True)


def test_server_that_only_reads_writes_nothing(town: Town) -> None:
    """Whoever asks."""
    with closing(Towns({"shown": ServedTown(town.folder, "shown", actor=None)})) as towns:
        client = TestClient(make_app(towns, hosts=[HOST], is_read_only=True), base_url=f"http://{HOST}")
        assert client.get("/api/v1").json()["may_write"] is False
        assert client.post("/api/v1/tasks", json={"description": "x"}).status_code == 403


@pytest.mark.parametrize(
    "content",
    [
        "",
        "ada read short",
        "ada all " + "x" * 20,
        "ada " + "x" * 20,
        "a\tb c read " + "x" * 20,
        "ada read {0}\nbob write {0}".format("x" * 20),
    ],
)
def test_unfit_file_of_tokens_is_refused(tmp_path: Path, content: str) -> None:
    """Without a word of a token."""
    file = tmp_path / "tokens"
    file.write_text(content, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(TokenFileRefusedError) as refused:
        Tokens.read(file)
    assert "x" * 20 not in str(refused.value)


def test_file_of_tokens_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """It is as good as a password."""
    file = tmp_path / "tokens"
    file.write_text(f"ada read {READER}\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(TokenFileRefusedError, match="others may read it"):
        Tokens.read(file)


def test_every_answer_says_what_a_browser_may_do(client: TestClient) -> None:
    """The page and its files, answers and problems."""
    for path in ("/", *(f"/{name}" for name in read_files()), "/api/v1", "/api/v1/nothing", "/../web/app.py"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_page_and_its_files_are_served(client: TestClient) -> None:
    """With their types; nothing else is."""
    assert client.get("/").headers["content-type"].startswith("text/html")
    tag = client.get("/main.js").headers["etag"]
    assert client.get("/main.js", headers={"If-None-Match": tag}).status_code == 304
    for path in ("/page_files.py", "/../app.py", "/vendor/../../app.py", "/%2e%2e/app.py"):
        assert client.get(path).status_code == 404
