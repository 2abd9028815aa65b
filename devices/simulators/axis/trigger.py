"""The line from a shutter of DCSS to the camera's trigger input: heard as a client of DCSS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from devices.core.errors import ProtocolError
from devices.drivers.xos import XosDecoder, encode_login

log = logging.getLogger("diptych.simulators.axis")

RETRY_S: Final = 0.5


class ShutterTrigger:
    """Tells when a shutter opens and closes, for ever; connects again when DCSS is gone.

    Args:
        address: HOST:PORT of DCSS for clients.
        shutter: its name.
        changed: is told whether it is open.
    """

    def __init__(self, address: str, shutter: str, changed: Callable[[bool], None]) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._host, self._port, self._shutter, self._changed = host, int(port), shutter, changed

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, ProtocolError) as error:
                log.debug("no trigger from %s:%d: %s", self._host, self._port, error)
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(encode_login("gtos_client_is_gui camera 0 localhost :0"))
            decoder = XosDecoder(first=0, protocol=2)
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    words = frame.text.split()
                    if words[:2] == ["stog_report_shutter_state", self._shutter] and len(words) > 2:
                        self._changed(words[2] == "open")
        finally:
            writer.close()
