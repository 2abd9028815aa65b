"""The built page: small, complete, and without anything from elsewhere."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files

PAGE = files("servers.web") / "page"
PACKED = (".js", ".css", ".html", ".svg", ".txt")
LIMIT = 200_000  # bytes, compressed where that helps


def test_the_page_is_small() -> None:
    sizes = {
        each.name: len(gzip.compress(each.read_bytes()) if each.name.endswith(PACKED) else each.read_bytes())
        for each in PAGE.iterdir()
    }
    assert {"index.html", "page.js", "style.css", "licenses.txt"} <= set(sizes)
    assert sum(sizes.values()) < LIMIT, sizes


def test_the_page_needs_no_exception_from_its_security_policy() -> None:
    html = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", html) == []
    code = (PAGE / "page.js").read_text()
    assert re.findall(r"\beval\(|new Function\(|\.innerHTML\s*=\s*[^\"'`]", code) == []


def test_the_page_loads_nothing_from_other_places() -> None:
    for name in ("index.html", "page.js", "style.css"):
        text = (PAGE / name).read_text()
        outside = set(re.findall(r"\b(?:https?|wss?)://[^\s\"'`)]+", text))
        # Names of XML vocabularies are no addresses.
        assert outside <= {"http://www.w3.org/2000/svg"}, name


def test_every_file_that_the_page_names_is_there() -> None:
    html, style = ((PAGE / name).read_text() for name in ("index.html", "style.css"))
    named = re.findall(r"(?:src|href)=\"\./([^\"]+)\"", html) + re.findall(r"url\(\./([^)]+)\)", style)
    assert {"page.js", "style.css", "icon.svg"} <= set(named)
    assert [name for name in named if not (PAGE / name).is_file()] == []
