"""`tt mcp` as a process: over stdio and HTTP, with stop signals, and with the clients of others.

With TT_STRESS=1 also an older SDK in an environment of its own, and the inspector's command line.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

pytest.importorskip("mcp.server.subscriptions", reason="needs the extra mcp")

from mcp import Client
from mcp.client.stdio import StdioServerParameters

from agent_tools.serving import LINE_BYTES_MAX
from tests.support.other_user import ask_as_nobody
from tests.support.towns import end_server
from tests.support.waiting import wait_until
from town import Town

ROOT = Path(__file__).parents[2]
TT = ("-m", "cli.main", "mcp")
INSPECTOR = "@modelcontextprotocol/inspector@2"
OLDER_SDK = "mcp==1.30.*"
SECONDS_MAX = 120
stress = pytest.mark.skipif(not os.environ.get("TT_STRESS"), reason="long, and downloads; TT_STRESS=1 runs it")
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}
OLDER_CLIENT = """
import sys, anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    async with stdio_client(StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])) as streams:
        async with ClientSession(*streams) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            made = await session.call_tool("task_create", {"text": "From an older client", "alias": "old"})
            refused = await session.call_tool("task_show", {"task": "nothing"})
            board = await session.read_resource("tt://board")
            await session.subscribe_resource("tt://task/old")
            print(len(tools), made.isError, refused.isError, '"old"' in board.contents[0].text)

anyio.run(main)
"""


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A town with a server of its own."""
    monkeypatch.setenv("TT_TRUST", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = tmp_path / "town"
    with Town.init(folder, name="agents", actor="person", is_registered=False) as made:
        yield made
    end_server(folder)


@contextmanager
def start(town: Town, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`tt mcp` as a process, with pipes at its ends. It does not outlive a test that fails."""
    with subprocess.Popen(
        [sys.executable, *TT, "--town", str(town.folder), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answer_of(process: subprocess.Popen[str]) -> Any:
    """What the process answers to the first message of a client."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(INITIALIZE) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_client_over_stdio(town: Town) -> None:
    """A client that starts `tt mcp` reads and changes tasks; nothing but the protocol is on stdout."""

    async def run() -> str:
        server = StdioServerParameters(
            command=sys.executable, args=[*TT, "--town", str(town.folder)], env=dict(os.environ)
        )
        with anyio.fail_after(SECONDS_MAX):
            async with Client(server) as client:
                result: Any = await client.call_tool("task_create", {"text": "Fix", "alias": "fix"})
                return str(result.content[0].text)

    assert json.loads(anyio.run(run))["task"] == "fix"
    assert town.task("fix").title == "Fix"


def test_end_of_stdin_and_stop_signals_end_it(town: Town) -> None:
    """It exits with 0 when its client closes stdin, and with 130 at Ctrl-C, though it waits for a line."""
    with start(town) as process:
        assert answer_of(process)["result"]["serverInfo"]["name"] == "tinytown"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(SECONDS_MAX) == 0
    with start(town) as process:
        answer_of(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS_MAX) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_message_without_an_end_ends_the_server(town: Town) -> None:
    """It would take all memory."""
    with start(town) as process:
        answer_of(process)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            for _ in range(2 * LINE_BYTES_MAX >> 20):
                process.stdin.write("x" * (1 << 20))
                process.stdin.flush()
        assert process.wait(SECONDS_MAX) == 0
        with suppress(BrokenPipeError):
            process.stdin.close()


def test_http_is_for_this_machine(town: Town) -> None:
    """Over HTTP it answers on loopback, and refuses a page of a browser: another host, or another origin."""
    with start(town, "--http", "0") as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().strip())
        assert (address.hostname, address.path) == ("127.0.0.1", "/mcp")
        assert address.port is not None

        def status(**headers: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=SECONDS_MAX)
            types = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
            connection.request("POST", "/mcp", json.dumps(INITIALIZE), types | headers)
            found = connection.getresponse().status
            connection.close()
            return found

        def is_up() -> bool:
            try:
                return status() == 200
            except ConnectionError:
                return False

        wait_until(is_up)
        assert status(Host="evil.example") == 421
        assert status(Host=f"evil.example:{address.port}") == 421
        assert status(Origin="https://evil.example") == 403
        assert status(Origin=f"http://localhost:{address.port}") == 200
        if os.geteuid() == 0:
            answer = "Accept: application/json, text/event-stream"
            assert ask_as_nobody(address.port, "/mcp", json.dumps(INITIALIZE).encode(), answer)[0] == 403

        async def run() -> Any:
            async with (
                Client(address.geturl()) as client,
                client.listen(resource_subscriptions=["tt://board"]) as events,
            ):
                await client.call_tool("task_create", {"text": "Fix", "alias": "fix"})
                with anyio.fail_after(SECONDS_MAX):
                    return (await anext(events)).uri  # type: ignore[union-attr]

        assert anyio.run(run) == "tt://board"
        with start(town, "--http", str(address.port)) as second:
            _, words = second.communicate(timeout=SECONDS_MAX)
            assert (second.returncode, "Choose another; 0 picks a free one." in words) == (1, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS_MAX) == 130
    assert town.task("fix").title == "Fix"


def test_without_the_extra_it_says_how_to_install_it(town: Town, tmp_path: Path) -> None:
    """Where the package is missing, `tt mcp` ends with code 1 and the command that installs it; other commands work."""
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp/__init__.py").write_text("raise ImportError('No module named mcp')\n", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *words, "--town", str(town.folder)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    found = run("mcp")
    assert (found.returncode, found.stdout) == (1, "")
    assert "pip install 'tinytown-ledger[mcp]'" in found.stderr
    assert run("prime").returncode == 0


@stress
def test_older_sdk_over_stdio(town: Town, tmp_path: Path) -> None:
    """A client with version 1.30 of the SDK, in an environment of its own, finds tools, answers, errors and resources."""
    venv.create(tmp_path / "older", with_pip=True)
    python = tmp_path / "older/bin/python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", OLDER_SDK], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"{OLDER_SDK} cannot be had here")
    command = [str(python), "-c", OLDER_CLIENT, sys.executable, *TT, "--town", str(town.folder)]
    # An older SDK passes few variables on to the servers that it starts; the package is found from its folder.
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert ran.stdout == "10 False True True\n", ran.stderr
    assert town.events.last()[-1].actor == "mcp"


@stress
def test_inspector_reads_tools_and_calls_one(town: Town) -> None:
    """The inspector's command line lists the tools, calls one, and reads a resource."""
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npx is not here")
    there = subprocess.run([npx, "--yes", INSPECTOR, "--help"], capture_output=True, text=True, check=False)
    if there.returncode:
        pytest.skip("the inspector cannot be had here")
    town.create("Fix", alias="fix")

    def inspect(*words: str) -> Any:
        command = [npx, "--yes", INSPECTOR, "--cli", sys.executable, *TT, "--town", str(town.folder), *words]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    assert len(inspect("--method", "tools/list")["tools"]) == 10
    called = inspect("--method", "tools/call", "--tool-name", "task_ready", "--tool-arg", "limit=1")
    assert json.loads(called["content"][0]["text"])["tasks"] == [{"task": "fix", "title": "Fix"}]
    read = inspect("--method", "resources/read", "--uri", "tt://task/fix")
    assert json.loads(read["contents"][0]["text"])["alias"] == "fix"
