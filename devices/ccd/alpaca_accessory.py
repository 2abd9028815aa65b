"""What stands beside an Alpaca camera: where it is, and a focuser."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from devices.core.errors import BadValueError, NotAllowedError, RangeError
from devices.drivers.alpaca import AlpacaDevice

#: A tool is asked twice a second; an answer is a matter of milliseconds.
TIMEOUT: Final = 2.0
#: The port of Alpaca servers that say nothing else.
PORT: Final = 11111


def alpaca_device(url: str, kind: str) -> AlpacaDevice:
    """The device of ``http://HOST:PORT/NUMBER``, not asked yet; the number may be left out: 0.

    Raises:
        BadValueError: the URL is not of that kind.
    """
    parts = urlsplit(url)
    try:
        host, port, number = parts.hostname, parts.port or PORT, int(parts.path.strip("/") or 0)
    except ValueError:
        raise BadValueError(f"link = {url!r} is not http://HOST:PORT/NUMBER") from None
    if parts.scheme != "http" or not host or number < 0:
        raise BadValueError(f"link = {url!r} is not http://HOST:PORT/NUMBER")
    return AlpacaDevice(host, port, kind, number, timeout=TIMEOUT)


class AlpacaFocuser:
    """A focuser that knows its position; in steps."""

    def __init__(self, url: str) -> None:
        self._device = alpaca_device(url, "focuser")
        self.most_steps = 0

    async def connect(self) -> str:
        """Have the server connect to it; its name.

        Raises:
            NotAllowedError: it only moves relative to where it is.
        """
        await self._device.connect(TIMEOUT)
        if not await self._device.flag("absolute"):
            raise NotAllowedError(f"focuser {await self._device.text('name')} does not know its position")
        self.most_steps = await self._device.whole("maxstep")
        return await self._device.text("name")

    async def close(self) -> None:
        await self._device.close()

    async def position(self) -> float:
        """Where it is, also on the way."""
        return await self._device.number("position")

    async def is_moving(self) -> bool:
        return await self._device.flag("ismoving")

    async def move(self, position: float) -> None:
        """Begin to go to a step.

        Raises:
            RangeError: it has no such step.
        """
        if not 0.0 <= position <= self.most_steps:
            raise RangeError(f"focus = {position:g} is outside [0, {self.most_steps}]")
        await self._device.put("move", Position=round(position))
