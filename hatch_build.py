"""What an installation depends on: the server that comes along has wheels for some machines only.

Nothing that a marker can ask tells musl from glibc, so whoever builds the project asks for the wheels' own platforms.
Run as a program, it prints what pip has to install for the server, which is nothing where there is no wheel.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface
from packaging.tags import sys_tags


class ServerWhereItHasAWheel(MetadataHookInterface):
    """Adds the server to the dependencies where it has a wheel; elsewhere one on PATH or at a URL does."""

    def update(self, metadata: dict[str, Any]) -> None:
        metadata["dependencies"] = dependencies(self.config)


def dependencies(config: dict[str, Any]) -> list[str]:
    """What the project depends on, on this machine; `config` is the hook's in pyproject.toml."""
    return [*config["dependencies"], *(config["server"] if has_wheel(config) else ())]


def has_wheel(config: dict[str, Any]) -> bool:
    """Whether one of the wheels' platforms is one of this machine's."""
    return not {tag.platform for tag in sys_tags()}.isdisjoint(config["server-platforms"])


if __name__ == "__main__":
    text = Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8")
    if has_wheel(tomllib.loads(text)["tool"]["hatch"]["metadata"]["hooks"]["custom"]):
        print("--requirement locks/server.txt")  # noqa: T201 - make reads it
