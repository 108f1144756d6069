"""The server: tools and resources of one town for the clients of the Model Context Protocol."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
import msgspec
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError

from agent_tools.calls import CALLS
from agent_tools.inputs import TOOLS, Tool
from agent_tools.resources import BOARD, TEMPLATES, check_address, read_resource
from agent_tools.rows import Row, cut, json_text, plain_text, task_name
from agent_tools.watching import Watch
from ledger import CircularNeedsError, InvalidValueError, LedgerError, check_name
from town import Town, words_of

Answer = TypeVar("Answer")
_Context = ServerRequestContext[Any, Any]

CALLS_AT_ONCE: Final = 8
"""How many calls are at work at the same time; each has a thread and a connection of its own."""
_JSON: Final = "application/json"
_TITLE_CHARS: Final = 60
_NAME: Final = "tinytown"
_DISTRIBUTION: Final = "tinytown-ledger"
_INSTRUCTIONS: Final = (
    "The task ledger of this folder's town. Take work with task_next, keep notes with task_update, end with task_finish."
    " Ask people with task_ask. Answers leave out what is empty: a row without state is pending, without priority 2."
    " A cursor gives the next page."
)
_TOOLS: Final = {tool.name: tool for tool in TOOLS}


class TownServer:
    """Serves the town of a folder. Its clients act under their own names, or all of them as `actor`."""

    def __init__(self, path: Path | None, actor: str | None) -> None:
        self._path = path
        self._actor = None if actor is None else check_name(actor, "actor")
        self._limiter: anyio.CapacityLimiter | None = None

    def make(self) -> Server[Any]:
        """A server for the SDK's transports."""
        watch = Watch(lambda is_starting: Town.open(self._path, actor=self._actor, is_starting=is_starting))
        listen = ListenHandler(watch.bus)

        @asynccontextmanager
        async def watching(_: Server[Any]) -> AsyncIterator[dict[str, Any]]:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch.run)
                yield {}
                listen.close()
                tasks.cancel_scope.cancel()

        async def subscribe(context: _Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
            _check(params.uri)
            await _refusing(watch.add(context.session, str(params.uri)))
            return types.EmptyResult()

        async def unsubscribe(context: _Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
            watch.drop(context.session, str(params.uri))
            return types.EmptyResult()

        async def on_listen(
            context: _Context, params: types.SubscriptionsListenRequestParams
        ) -> types.SubscriptionsListenResult:
            _check(*params.notifications.resource_subscriptions or ())
            await _refusing(watch.begin())
            return await listen(context, params)

        return Server(
            _NAME,
            version=importlib.metadata.version(_DISTRIBUTION),
            instructions=_INSTRUCTIONS,
            lifespan=watching,
            on_list_tools=_list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=_list_resources,
            on_list_resource_templates=_list_templates,
            on_read_resource=self._read,
            on_subscribe_resource=subscribe,
            on_unsubscribe_resource=unsubscribe,
            on_subscriptions_listen=on_listen,
        )

    async def _call_tool(self, context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = _TOOLS.get(params.name)
        if tool is None:
            return _refusal(f"There is no tool {cut(params.name, _TITLE_CHARS)!r}. There are {', '.join(_TOOLS)}.")
        try:
            given = _input(tool, params.arguments or {})
            row = await self._ask(context, lambda town: _warned(town, CALLS[tool.name](town, given)))
        except LedgerError as error:
            return _refusal(_words(error))
        return types.CallToolResult(content=[types.TextContent(type="text", text=json_text(row))])

    async def _read(self, context: _Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        address = str(params.uri)
        try:
            row: Row = await self._ask(context, lambda town: _warned(town, read_resource(town, address)))
        except LedgerError as error:
            raise MCPError(types.INVALID_PARAMS, _words(error)) from error
        content = types.TextResourceContents(uri=address, mime_type=_JSON, text=json_text(row))
        return types.ReadResourceResult(contents=[content])

    async def _ask(self, context: _Context, question: Callable[[Town], Answer]) -> Answer:
        """Put a question to the town, opened for it alone as for a command, in a thread: others are served meanwhile."""
        actor = self._actor or _client_name(context)

        def ask() -> Answer:
            with Town.open(self._path, actor=actor) as town:
                try:
                    return question(town)
                except LedgerError as error:
                    _name_tasks(error, town)
                    raise

        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(CALLS_AT_ONCE)
        return await anyio.to_thread.run_sync(ask, limiter=self._limiter)


async def _list_tools(_: _Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    tools = [
        types.Tool(
            name=tool.name,
            description=tool.words,
            input_schema=tool.schema,
            annotations=types.ToolAnnotations(read_only_hint=True) if tool.is_reading else None,
        )
        for tool in TOOLS
    ]
    return types.ListToolsResult(tools=tools)


async def _list_resources(_: _Context, __: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    return types.ListResourcesResult(
        resources=[types.Resource(uri=BOARD, name="board", description="The board as it is now", mime_type=_JSON)]
    )


async def _list_templates(_: _Context, __: types.PaginatedRequestParams | None) -> types.ListResourceTemplatesResult:
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(
                uri_template=template,
                name=template.removeprefix("tt://").partition("/")[0],
                description=words,
                mime_type=_JSON,
            )
            for template, words in TEMPLATES.items()
        ]
    )


def _input(tool: Tool, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - each tool has its own
    """What a tool is given. InvalidValueError."""
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return msgspec.convert(given, tool.input)
    except msgspec.ValidationError as error:
        fields = ", ".join(tool.schema["properties"])
        raise InvalidValueError(f"input of {tool.name}", f"does not fit: {error}", f"It takes {fields}.") from error


def _check(*addresses: object) -> None:
    """Nothing would ever be told of an address that names no resource."""
    try:
        for address in addresses:
            check_address(str(address))
    except LedgerError as error:
        raise MCPError(types.INVALID_PARAMS, _words(error)) from error


async def _refusing(work: Any) -> None:  # noqa: ANN401 - a coroutine
    """Wait for the work; an error of the ledger becomes one of the protocol, in the same words."""
    try:
        await work
    except LedgerError as error:
        raise MCPError(types.INTERNAL_ERROR, _words(error)) from error


def _client_name(context: _Context) -> str | None:
    """What the client calls itself, if that can be a name; None lets the town take TT_ACTOR or the login name."""
    client = context.session.client_params
    if client is None:
        return None
    try:
        return check_name(client.client_info.name, "actor")
    except InvalidValueError:
        return None


def _name_tasks(error: LedgerError, town: Town) -> None:
    """Let an error call tasks as `tt` does."""
    if isinstance(error, CircularNeedsError):
        titles = town.titles(error.circle)
        names = {
            each: f"{task_name(each, found.alias)} ({cut(found.text, _TITLE_CHARS)})" for each, found in titles.items()
        }
        error.name_circle(names)
    else:
        error.name_tasks(town.backend.called)


def _warned(town: Town, row: Row) -> Row:
    """The row, with a warning if the server was seen to lack events that were acknowledged on this machine."""
    loss = town.backend.receipts.found_loss()
    return row if loss is None else {"warning": _words(loss)} | row


def _words(error: LedgerError) -> str:
    """What `tt` would print."""
    return plain_text("\n".join([words_of(error), *getattr(error, "__notes__", ())]))


def _refusal(words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=words)], is_error=True)
