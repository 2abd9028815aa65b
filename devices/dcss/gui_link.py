"""A client of DCSS, as Blu-Ice is one: logs in, hears everything, and asks.

Source:
    The messages that the client port of DCSS sends and takes (gtos_, stog_).
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from typing import Final

from devices.core.errors import NotAllowedError, NotConnectedError, ProtocolError
from devices.drivers import dcs_text
from devices.drivers.xos import XosDecoder, encode_frame, encode_login

CONNECT_SECONDS: Final = 3.0
ASK: Final = "stoc_send_client_type"


class GuiLink:
    """One login.

    Args:
        heard: called with each message after the login, ``stog_...``.
        lost: called once with the reason when the connection ends.
    Attributes:
        client_id: our number, as DCSS gave it at the login.
    """

    def __init__(self, heard: Callable[[str], None], lost: Callable[[str], None]) -> None:
        self._heard, self._lost = heard, lost
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self.client_id = 0

    async def open(self, host: str, port: int, user: str, session: str, host_name: str, display: str = ":0") -> None:
        """Log in.

        Args:
            host_name: of this computer, as DCSS sees it.
        Raises:
            NotConnectedError: nobody answers. NotAllowedError: DCSS does not take the login.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, self._writer = await asyncio.open_connection(host, port)
                decoder, texts = XosDecoder(first=0, protocol=2), list[str]()
                while not texts:
                    texts += await self._texts(reader, decoder)
                if not texts[0].startswith(ASK):
                    raise ProtocolError(f"DCSS says {texts[0]:.60} and not {ASK}")
                self._writer.write(encode_login(f"gtos_client_is_gui {user} {session} {host_name} {display}"))
                texts = texts[1:]
                while not texts:
                    texts += await self._texts(reader, decoder)
        except builtins.TimeoutError:
            raise NotConnectedError(f"DCSS at {host}:{port} does not answer a client") from None
        except OSError as error:
            raise NotConnectedError(f"DCSS at {host}:{port}: {error.strerror or error}") from None
        words = texts[0].split()
        if words[0] != "stog_login_complete":
            raise NotAllowedError(f"DCSS refuses the client {user} of {host_name}: {texts[0]:.60}")
        self.client_id = int(words[1])
        for text in texts:
            self._heard(text)
        self._task = asyncio.create_task(self._listen(reader, decoder), name="dcss client")

    def send(self, command: str, *words: object, rest: str = "") -> None:
        """Ask for something.

        Raises:
            NotConnectedError: there is no login. BadValueError: DCSS cannot take a word.
        """
        if self._writer is None or self._writer.is_closing():
            raise NotConnectedError("there is no login at DCSS")
        self._writer.write(encode_frame(dcs_text.compose(command, words, rest)))

    async def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._writer is not None:
            self._writer.close()

    async def _listen(self, reader: asyncio.StreamReader, decoder: XosDecoder) -> None:
        try:
            while True:
                for text in await self._texts(reader, decoder):
                    self._heard(text)
        except (OSError, ProtocolError, NotConnectedError) as error:
            self._lost(str(error))

    async def _texts(self, reader: asyncio.StreamReader, decoder: XosDecoder) -> list[str]:
        data = await reader.read(1 << 16)
        if not data:
            raise NotConnectedError("DCSS has hung up")
        return [frame.text for frame in decoder.feed(data) if frame.text]
