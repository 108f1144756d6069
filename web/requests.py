"""Requests: what is in a query or a body, as the struct that an endpoint takes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request

from web.endpoints import Given
from web.problems import Problem

BODY_BYTES_MAX: Final = 1 << 20


def query_of(pairs: Iterable[tuple[str, str]], given: type[Given]) -> Any:  # noqa: ANN401 - each endpoint has its own
    """The struct that a query makes. A list is given by repeating its name; a flag is `true` or `false`. Problem."""
    lists = _lists_of(given)
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Problem(400, "A parameter is given twice", f"{name} is given twice.", parameter=name)
        else:
            values[name] = value
    return _converted(values, given, "parameters", strict=False)


async def body_of(request: Request, given: type[Given]) -> Any:  # noqa: ANN401 - as above
    """The struct that a body of JSON makes; an empty body is `{}`. Problem."""
    content = await read_body(request)
    if content and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "The body is not JSON", "Send Content-Type: application/json.")
    try:
        values = msgspec.json.decode(content or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "The body is not JSON", f"{error}.") from error
    return _converted(values, given, "fields", strict=True)


async def read_body(request: Request) -> bytes:
    """The body, if it is not too large. Problem."""
    content = bytearray()
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > BODY_BYTES_MAX:
                raise Problem(413, "The body is too large", f"A body may have {BODY_BYTES_MAX:,} bytes.")
    except ClientDisconnect as error:
        raise Problem(400, "The request ended early", "Its body did not arrive whole.") from error
    return bytes(content)


def _converted(values: object, given: type[Given], what: str, *, strict: bool) -> Any:  # noqa: ANN401 - as above
    try:
        return msgspec.convert(values, given, strict=strict)
    except msgspec.ValidationError as error:
        names = ", ".join(field.encode_name for field in msgspec.structs.fields(given)) or "none"
        raise Problem(400, "A value does not fit", f"{error}. The {what} are {names}.") from error


@cache
def _lists_of(given: type[Given]) -> frozenset[str]:
    """The parameters that may be repeated. To look at the types takes longer than the rest of an answer, so it is done once."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(given) if _is_list(field.type))


def _is_list(of: Any) -> bool:  # noqa: ANN401 - a type
    return isinstance(msgspec.inspect.type_info(of), msgspec.inspect.VarTupleType)
