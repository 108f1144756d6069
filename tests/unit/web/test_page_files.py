"""The page's files as they are served: what is vendored, how much there is, and that nothing comes from elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

from web.page_files import read_files

PAGE = Path(__file__).parents[3] / "web" / "page"
VENDOR = PAGE / "vendor"
LIST = "vendored.json"
SCRIPT_BYTES_MAX = 120_000
"""All JavaScript together, compressed: what a browser loads if it opens every page."""
LICENCES = {"MIT", "Apache-2.0", "BSD-2-Clause"}

OWN_SCRIPTS = sorted(PAGE.glob("*.js"))
OWN_SHEETS = sorted(PAGE.glob("*.css"))


def test_vendored_files_are_those_of_their_packages() -> None:
    """Each file has the hash that the list has, and no other file is there."""
    packages = json.loads((VENDOR / LIST).read_text(encoding="utf-8"))
    hashes = {name: file["sha256"] for package in packages for name, file in package["files"].items()}
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in hashes} == hashes
    licences = {each["licence_file"] for package in packages for each in (package, *package.get("contains", ()))}
    assert {path.name for path in VENDOR.iterdir()} == {*hashes, *licences, LIST}


def test_vendored_packages_have_a_version_and_a_licence() -> None:
    """Also those that a package has inside of it; the licence is one that allows it, and its text is there."""
    packages = json.loads((VENDOR / LIST).read_text(encoding="utf-8"))
    for each in (inner for package in packages for inner in (package, *package.get("contains", ()))):
        assert re.fullmatch(r"\d+\.\d+\.\d+", each["version"])
        assert each["licence"] in LICENCES
        assert len((VENDOR / each["licence_file"]).read_text(encoding="utf-8")) > 500


def test_all_scripts_together_are_small() -> None:
    """Under 120 KB compressed, as they are served."""
    scripts = {name: file.content for name, file in read_files().items() if name.endswith(".js")}
    assert len(scripts) == len([*PAGE.rglob("*.js")])
    assert sum(len(gzip.compress(content)) for content in scripts.values()) < SCRIPT_BYTES_MAX


def test_scripts_are_served_without_comments_and_else_as_they_are() -> None:
    """Only whole lines are left out, no line of a text among them; what is vendored stays byte for byte."""
    served = {name: file.content for name, file in read_files().items()}
    for script in OWN_SCRIPTS:
        lines, left = script.read_text(encoding="utf-8").splitlines(), served[script.name].decode().splitlines()
        gone = [line.strip() for line in lines if line not in left]
        assert gone
        assert [line for line in gone if not line.startswith(("// ", "/** "))] == []
        assert [line for line in lines if line.strip() not in gone] == left
        assert "`" not in "".join(each for each in gone if each.count("`") % 2)
    for script in VENDOR.glob("*.js"):
        assert served[f"vendor/{script.name}"] == script.read_bytes()


def test_page_has_no_script_and_no_style_in_its_markup() -> None:
    """The content security policy allows neither."""
    markup = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>([^<]+)</script>", markup) == []
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", markup)
    for script in OWN_SCRIPTS:
        assert not re.search(r"<style|\sstyle=[\"$]|\seval\(|new Function", script.read_text(encoding="utf-8")), (
            script.name
        )


def test_modules_that_the_board_needs_are_loaded_at_once() -> None:
    """index.html names all that main.js imports, so that the browser need not find them one after the other."""
    markup = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'rel="modulepreload" href="([^"]+)"', markup) == sorted(_imported("main.js"))


def test_page_loads_nothing_from_elsewhere() -> None:
    """No address of another host is in the page's own files; one names the namespace of a picture."""
    for file in (*OWN_SCRIPTS, *OWN_SHEETS, PAGE / "index.html"):
        found = re.findall(r"https?://[\w.-]+\w|//cdn[^\s\"']*|url\([^)]*\)|@import", file.read_text(encoding="utf-8"))
        assert found == [], file.name


def test_html_is_made_of_text_only_by_the_markdown_library() -> None:
    """One module writes HTML: the one that renders Markdown. Everywhere else what stands in a template is text."""
    writing = [
        script.name
        for script in OWN_SCRIPTS
        if re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc", script.read_text(encoding="utf-8")
        )
    ]
    assert writing == ["markdown.js"]
    assert "html: false" in (PAGE / "markdown.js").read_text(encoding="utf-8")


def test_heights_in_scripts_are_those_of_the_tokens() -> None:
    """Columns and lists place what can be seen by these numbers."""
    tokens = (PAGE / "tokens.css").read_text(encoding="utf-8")
    card = sum(int(_one(rf"--card-{name}: (\d+)px", tokens)) for name in ("height", "gap"))
    assert int(_one(r"CARD_PIXELS = (\d+)", (PAGE / "columns.js").read_text(encoding="utf-8"))) == card
    row = int(_one(r"--row-height: (\d+)px", tokens))
    assert int(_one(r"ROW_PIXELS = (\d+)", (PAGE / "list.js").read_text(encoding="utf-8"))) == row


def test_both_themes_have_the_same_tokens() -> None:
    """A colour of one theme has a counterpart in the other one."""
    tokens = (PAGE / "tokens.css").read_text(encoding="utf-8")
    light, dark = tokens.partition(':root[data-theme="light"]')[2].split(':root[data-theme="dark"]')
    assert re.findall(r"--[\w-]+(?=:)", light) == re.findall(r"--[\w-]+(?=:)", dark)


def test_tokens_that_are_used_exist() -> None:
    """A colour with a mistake in its name would be no colour."""
    known = set(re.findall(r"(--[\w-]+):", (PAGE / "tokens.css").read_text(encoding="utf-8")))
    for file in (*OWN_SHEETS, *OWN_SCRIPTS):
        text = file.read_text(encoding="utf-8")
        used = set(re.findall(r"var\((--[\w-]+)\)", text)) | set(re.findall(r"\"(--[\w-]+)\"", text))
        assert used <= known, file.name


def test_every_module_says_what_it_is_for() -> None:
    """It opens with a comment, and a style sheet as well."""
    for script in OWN_SCRIPTS:
        assert script.read_text(encoding="utf-8").startswith("// "), script.name
    for sheet in OWN_SHEETS:
        assert sheet.read_text(encoding="utf-8").startswith("/* "), sheet.name


def _imported(name: str) -> set[str]:
    """All modules that one imports, and those that they import."""
    found: set[str] = set()
    left = [name]
    while left:
        text = (PAGE / left.pop()).read_text(encoding="utf-8")
        new = set(re.findall(r'^import .*"\./([\w./-]+)";', text, re.MULTILINE)) - found
        found |= new
        left += [each for each in new if not each.startswith("vendor/")]
    return found


def _one(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    assert isinstance(found, str)
    return found
