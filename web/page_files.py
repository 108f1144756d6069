"""The page's files: read once when the server starts, and answered from memory."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER: Final = Path(__file__).parent / "page"
INDEX: Final = "index.html"
VENDOR: Final = "vendor"
_COMMENT: Final = re.compile(rb"^[ \t]*(?://.*|/\*\*.*\*/)\n", re.MULTILINE)
"""A line that is a comment in a module of our own. A browser needs none, and they are a seventh of what it would load."""
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_DIGEST_BYTES: Final = 12


class PageFile(Struct, frozen=True):
    """A file as it is answered."""

    content: bytes
    type: str
    tag: str


def read_files(folder: Path = FOLDER) -> dict[str, PageFile]:
    """Path below the folder -> file, of those that a browser is given."""
    return {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


def page_routes(files: dict[str, PageFile]) -> list[Route]:
    """Routes for the page itself, at the root, and for its files beside it."""

    async def answer(request: Request) -> Response:
        file = files[request.scope["path"].removeprefix("/") or INDEX]
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.type)

    return [Route("/" if name == INDEX else f"/{name}", answer, methods=["GET"]) for name in files]


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    if path.suffix == ".js" and path.parent.name != VENDOR:
        content = _COMMENT.sub(b"", content)
    digest = blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()
    return PageFile(content, _TYPES[path.suffix], f'"{digest}"')
