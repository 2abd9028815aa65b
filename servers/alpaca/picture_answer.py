"""A picture on its way to an Alpaca client: as ImageBytes, or as JSON for those that know no better."""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from devices.core.errors import TimeoutError
from devices.drivers.image_bytes import MEDIA_TYPE, encode

#: Bytes that are given to the network at once; a client must take them within so many seconds.
PIECE: Final = 1 << 21
PATIENCE: Final = 30.0
#: Columns that become text at once: some milliseconds in which this process does nothing else.
COLUMNS_PIXELS: Final = 1 << 16
INT32, DOUBLE = 2, 3


def wants_bytes(request: web.Request) -> bool:
    """Whether the client takes ImageBytes."""
    return MEDIA_TYPE in request.headers.get("Accept", "").casefold()


async def send_bytes(request: web.Request, pixels: NDArray[Any], client: int, server: int) -> web.StreamResponse:
    """Answer with a picture (y, x) as ImageBytes.

    Raises:
        TimeoutError: the client does not take it.
    """
    content = await asyncio.to_thread(encode, pixels, client, server)
    response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE})
    response.content_length = len(content)
    await response.prepare(request)
    view = memoryview(content)
    for begin in range(0, len(content), PIECE):
        await _written(response, view[begin : begin + PIECE])
    await response.write_eof()
    return response


async def send_json(request: web.Request, pixels: NDArray[Any], client: int, server: int) -> web.StreamResponse:
    """Answer with a picture (y, x) as JSON, its columns one after the other."""
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    await response.prepare(request)
    pieces = json_pieces(pixels, client, server)
    while piece := await asyncio.to_thread(next, pieces, b""):
        await _written(response, piece)
    await response.write_eof()
    return response


def json_pieces(pixels: NDArray[Any], client: int, server: int) -> Iterator[bytes]:
    """The JSON of a picture (y, x), piece by piece."""
    fits = np.can_cast(pixels.dtype, np.int32) or int(pixels.max()) <= np.iinfo(np.int32).max
    head = {"Type": INT32 if fits else DOUBLE, "Rank": 2}
    tail = {
        "ClientTransactionID": client,
        "ServerTransactionID": server,
        "ErrorNumber": 0,
        "ErrorMessage": "",
    }
    yield json.dumps(head)[:-1].encode() + b', "Value": ['
    step = max(1, COLUMNS_PIXELS // pixels.shape[0])
    for x in range(0, pixels.shape[1], step):
        columns = json.dumps(pixels[:, x : x + step].T.tolist(), separators=(",", ":"))
        yield (b"," if x else b"") + columns[1:-1].encode()
    yield b"], " + json.dumps(tail)[1:].encode()


async def _written(response: web.StreamResponse, piece: bytes | memoryview) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await response.write(piece)
    except builtins.TimeoutError as error:
        raise TimeoutError(f"the client takes no more of a picture for {PATIENCE:g} s") from error
