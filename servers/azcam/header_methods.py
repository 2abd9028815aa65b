"""What clients may call of every tool: its header, to be initialised, to be reset."""

from __future__ import annotations

from typing import Any, Final

from servers.azcam.argument import Argument, text, text_or_nothing
from servers.azcam.method import NOTHING, Table, do, done, run
from servers.azcam.tool import Tool

KEYWORD: Final = Argument("keyword", text, required=True)


async def keyword(tool: Tool, keyword: str) -> list[Any]:
    """A keyword's value, comment and type."""
    found = await tool.run("get_keyword", keyword=keyword)
    return [found["value"], found["comment"], found["type"]]


async def keywords(tool: Tool) -> list[str]:
    """All keywords of the header."""
    return list(await tool.run("get_keywords"))


async def header(tool: Tool) -> list[list[Any]]:
    """All keywords with value, comment and type."""
    await tool.run("update_header")
    found = await tool.run("get_keywords")
    return [[name, value, comment, type(value).__name__] for name, (value, comment) in found.items()]


async def header_string(tool: Tool) -> str:
    """The header as text, a keyword in a line."""
    return "\n".join(f"{name} {value} {comment}" for name, value, comment, _ in await header(tool))


HEADER: Final[Table] = {
    "get_keyword": do(keyword, KEYWORD, reads_only=True),
    "set_keyword": run(
        "set_keyword",
        KEYWORD,
        Argument("value", text, required=True),
        Argument("comment", text_or_nothing),
        Argument("typestring", text_or_nothing, target="type"),
    ),
    "delete_keyword": run("delete_keyword", KEYWORD),
    "delete_all_keywords": run("delete_keywords"),
    "get_keywords": do(keywords, reads_only=True),
    "read_header": do(header, reads_only=True),
    "get_string": do(header_string, reads_only=True),
    "update_header": run("update_header"),
    "define_keywords": NOTHING,
    "read_file": run("read_header", Argument("filename", text, required=True, target="path")),
}

TOOL: Final[Table] = {"initialize": done("initialize"), "reset": done("reset")}
