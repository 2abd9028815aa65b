"""What other simulators hear of a DCSS as its clients: shutters that trigger them, motors that move samples."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from devices.core.errors import ProtocolError
from devices.drivers.xos import XosDecoder, encode_login

log = logging.getLogger("diptych.simulators.dcss.listener")

RETRY_S: Final = 0.5


class DcssListener:
    """Tells where shutters and motors are, for ever; connects again when DCSS is gone.

    Args:
        address: HOST:PORT of DCSS for clients.
        shutter: is told the name of a shutter and whether it is open, at each change and at each login.
        motor: is told the name of a motor and where it is, in its own unit, when it stands; and at each login.
    """

    def __init__(
        self,
        address: str,
        shutter: Callable[[str, bool], None] = lambda name, is_open: None,
        motor: Callable[[str, float], None] = lambda name, position: None,
    ) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._host, self._port, self._shutter, self._motor = host, int(port), shutter, motor

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, ProtocolError) as error:
                log.debug("nothing is heard of %s:%d: %s", self._host, self._port, error)
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(encode_login("gtos_client_is_gui simulator 0 localhost :0"))
            decoder = XosDecoder(first=0, protocol=2)
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    self._hear(frame.text.split())
        finally:
            writer.close()

    def _hear(self, words: list[str]) -> None:
        match words:
            case ["stog_report_shutter_state", name, state, *_] | ["stog_configure_shutter", name, _, state]:
                self._shutter(name, state == "open")
            case ["stog_motor_move_completed", name, position, *_]:
                self._motor(name, float(position))
            case [("stog_configure_real_motor" | "stog_configure_pseudo_motor"), name, _, _, position, *_]:
                self._motor(name, float(position))
