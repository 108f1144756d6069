"""The page's pure modules: each file of tests runs in Node, where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parent / "page").glob("*.test.mjs"))
TIMEOUT_SECONDS = 120


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_page_module_keeps_its_promises(file: Path) -> None:
    """Every test of the file holds; each states its promise in its name."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH; the page's own tests run in it")
    ran = subprocess.run(
        [node, "--test", str(file)], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_pure_modules_have_tests() -> None:
    """A module of the page that says it is pure is imported by one of these tests."""
    page = Path(__file__).parents[3] / "web" / "page"
    tested = "".join(file.read_text(encoding="utf-8") for file in (Path(__file__).parent / "page").glob("*.mjs"))
    pure = [
        file.name for file in page.glob("*.js") if " Pure." in file.read_text(encoding="utf-8").partition("\n\n")[0]
    ]
    assert len(pure) > 5
    assert [name for name in pure if f"/page/{name}" not in tested] == []
