"""A device behind ASCOM Alpaca: its members by their names, its pictures."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.core.json_text import read_json_text
from devices.drivers.alpaca_errors import error_of
from devices.drivers.alpaca_server import AlpacaServer, Parameter, Progress, check_transaction
from devices.drivers.image_bytes import ElementType, ImageBytes, decode

#: ``Type`` of a picture that is sent as JSON.
_JSON_TYPES = {ElementType.INT16: np.int16, ElementType.INT32: np.int32, ElementType.DOUBLE: np.float64}


class AlpacaDevice:
    """One device of an Alpaca server; names of members as in Alpaca's documents, in lower case.

    All methods raise the errors of `AlpacaServer.get`, and ProtocolError for a value of another type.

    Args:
        kind: ``camera``, ``focuser``, ``filterwheel``, ``telescope``, ``dome`` ...
        number: among those of its kind, from 0.
        timeout: of one question, s.
    """

    def __init__(self, host: str, port: int, kind: str, number: int = 0, *, timeout: float = 5.0) -> None:
        self.server = AlpacaServer(host, port, timeout=timeout)
        self.path = f"api/v1/{kind}/{number}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; the device stays connected to its server, other clients may use it."""
        await self.server.close()

    async def connect(self, timeout: float = 30.0) -> None:
        """Have the server connect to its hardware, if it is not connected; `timeout` in s."""
        if not await self.flag("connected"):
            await self.put("connected", timeout=timeout, Connected=True)

    async def get(self, member: str, **parameters: Parameter) -> object:
        """A member's value, whatever its type."""
        return await self.server.get(f"{self.path}/{member}", **parameters)

    async def put(self, member: str, *, timeout: float | None = None, **parameters: Parameter) -> object:
        """Set a member, or call it: ``put("startexposure", Duration=1.5, Light=True)``."""
        return await self.server.put(f"{self.path}/{member}", timeout, **parameters)

    async def number(self, member: str, **parameters: Parameter) -> float:
        value = await self.get(member, **parameters)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(member, value, "a number")
        return float(value)

    async def whole(self, member: str, **parameters: Parameter) -> int:
        value = await self.number(member, **parameters)
        if not math.isfinite(value) or value != int(value):
            raise self._wrong(member, value, "a whole number")
        return int(value)

    async def flag(self, member: str, **parameters: Parameter) -> bool:
        value = await self.get(member, **parameters)
        if not isinstance(value, bool):
            raise self._wrong(member, value, "true or false")
        return value

    async def text(self, member: str, **parameters: Parameter) -> str:
        value = await self.get(member, **parameters)
        if not isinstance(value, str):
            raise self._wrong(member, value, "a text")
        return value

    async def values(self, member: str, **parameters: Parameter) -> list[Any]:
        value = await self.get(member, **parameters)
        if not isinstance(value, list):
            raise self._wrong(member, value, "an array")
        return value

    async def picture(self, progress: Progress | None = None) -> NDArray[Any]:
        """The picture of a camera, (y, x) or (y, x, plane), of the type that crossed the network.

        ImageBytes are asked for; an old server answers with JSON, which takes a hundred times as long.
        """
        subject = f"Alpaca {self.server.address}/{self.path}/imagearray"
        content, is_image_bytes, transaction = await self.server.picture(f"{self.path}/imagearray", progress)
        found = await asyncio.to_thread(decode if is_image_bytes else _from_json, content, subject)
        check_transaction(found.client_transaction, transaction, subject)
        return found.pixels

    def _wrong(self, member: str, value: object, wanted: str) -> ProtocolError:
        shown = str(value)[:80]
        return ProtocolError(f"Alpaca {self.server.address}/{self.path}/{member} is {shown!r}, not {wanted}")


def _from_json(content: bytes | bytearray, subject: str) -> ImageBytes:
    """A picture that came as JSON, turned to (y, x)."""
    try:
        answer = read_json_text(content)
        number, text = int(answer["ErrorNumber"]), str(answer.get("ErrorMessage", ""))
        transaction = int(answer["ClientTransactionID"])
        element_type = ElementType.INT32 if number else ElementType(answer["Type"])
        # Lists of unequal lengths are a ValueError.
        turned = np.zeros(()) if number else np.array(answer["Value"], _JSON_TYPES[element_type])
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise ProtocolError(f"{subject} answers no picture: {bytes(content[:80])!r}: {error}") from error
    if number:
        raise error_of(number, text, subject)
    if turned.ndim not in (2, 3) or not turned.size:
        raise ProtocolError(f"{subject} answers a picture of the shape {turned.shape}")
    return ImageBytes(np.ascontiguousarray(turned.swapaxes(0, 1)), element_type, transaction)
