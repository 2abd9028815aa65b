"""The little of HTTP that an Alpaca device of few kilobytes speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

LONGEST_HEAD = 65_536
LONGEST_BODY = 65_536


@dataclass(frozen=True)
class Request:
    """A question.

    Attributes:
        parameters: of the query of a GET, of the form of a PUT.
        headers: names in lower case.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def stays_open(self) -> bool:
        return self.headers.get("connection", "").casefold() != "close"


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next question; None: the client has gone, or it does not speak HTTP."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.strip().casefold(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= LONGEST_BODY:
            return None
        body = (await reader.readexactly(length)).decode()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
        return None
    url = urlsplit(target)
    words = body if method == "PUT" else url.query
    return Request(method, url.path, dict(parse_qsl(words, keep_blank_values=True)), headers)


def head_of(status: str, kind: str, length: int, stays_open: bool = True) -> bytes:
    """What goes ahead of an answer."""
    connection = "keep-alive" if stays_open else "close"
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
        f"Connection: {connection}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
