"""Serial lines through pyserial: local devices, and remote ones behind ``socket://`` and ``rfc2217://``.

pyserial blocks, so each line has one thread that waits for bytes and one that writes and closes.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import serial

from devices.core.errors import BadValueError, NotConnectedError, TimeoutError
from devices.drivers.link_base import Link

SERIAL_SCHEMES = ("serial", "socket", "rfc2217", "")
"""The empty scheme is a plain device name."""

POLL_SECONDS = 0.1
"""How long the reading thread may sit in pyserial before it looks whether the link was closed."""

_OPTIONS = {"baudrate": int, "bytesize": int, "parity": str, "stopbits": float, "rtscts": int, "xonxoff": int}


class SerialLink(Link):
    """A serial line, 8N1 without handshake unless the URL says otherwise."""

    def __init__(self, url: str, timeout: float, port: serial.Serial) -> None:
        super().__init__(url, timeout)
        self._port = port
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"write {url}")
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._may_read = threading.Event()
        self._may_read.set()
        self._reader = threading.Thread(target=self._listen, name=f"read {url}", daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        """The life of the reading thread."""
        try:
            while self._open:
                if self._may_read.wait(POLL_SECONDS) and (data := self._port.read(1)):
                    data += self._port.read(self._port.in_waiting)
                    self._loop.call_soon_threadsafe(self._feed, data)
        except Exception as error:  # pyserial lets TypeError and termios.error out when a line goes away
            if self._open:
                self._post_loss(f"lost: {error}")

    def _post_loss(self, why: str) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and with it everybody who could have been told
            self._loop.call_soon_threadsafe(self._lose, why)

    def _let_come(self, more: bool) -> None:
        if more:
            self._may_read.set()
        else:
            self._may_read.clear()

    async def _send(self, data: bytes) -> None:
        try:
            await self._loop.run_in_executor(self._worker, self._port.write, data)
        except serial.SerialTimeoutException:
            raise TimeoutError(f"{self.url}: took no bytes within {self.timeout:g} s {self._context()}") from None
        except (serial.SerialException, OSError) as error:
            self._lose(f"lost: {error}")
            raise NotConnectedError(f"{self.url}: lost: {error}") from None

    async def _close(self) -> None:
        if self._open:
            self._open = False
            self._may_read.set()
            await self._loop.run_in_executor(self._worker, self._shut)
            self._worker.shutdown(wait=False)

    def _shut(self) -> None:
        self._reader.join()
        self._port.close()


async def open_serial(url: str, timeout: float) -> SerialLink:
    """Open a serial URL as ``open_link`` describes it."""
    name, options = _port_and_options(url)
    if not name.startswith("rfc2217:"):  # where pyserial knows no bound
        options["write_timeout"] = timeout
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"write {url}")
    opening = asyncio.get_running_loop().run_in_executor(
        worker, lambda: serial.serial_for_url(name, timeout=POLL_SECONDS, **options)
    )
    done, _ = await asyncio.wait((opening,), timeout=timeout)
    worker.shutdown(wait=False)
    if not done:
        opening.add_done_callback(_close_latecomer)
        raise TimeoutError(f"{url}: no connection within {timeout:g} s")
    try:
        port = opening.result()
    except (serial.SerialException, OSError, ValueError) as error:
        raise NotConnectedError(f"{url}: {error}") from None
    return SerialLink(url, timeout, port)


def _close_latecomer(opening: asyncio.Future[serial.Serial]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _port_and_options(url: str) -> tuple[str, dict[str, Any]]:
    """What pyserial is to open, and with which settings; options that are not ours stay in a URL of pyserial's."""
    parts = urlsplit(url)
    ours: dict[str, Any] = {"baudrate": 9600}
    theirs = []
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name in _OPTIONS:
            try:
                ours[name] = _OPTIONS[name](text)
            except ValueError:
                raise BadValueError(f"url = {url!r}: {name} = {text!r} is not a number") from None
        else:
            theirs.append((name, text))
    if parts.scheme in ("socket", "rfc2217"):
        return urlunsplit(parts._replace(query=urlencode(theirs))), ours
    if parts.netloc or not parts.path.startswith("/"):
        raise BadValueError(f"url = {url!r} is not serial:///dev/name?baudrate=9600")
    if theirs:
        raise BadValueError(f"url = {url!r}: option {theirs[0][0]!r} is none of {', '.join(_OPTIONS)}")
    return parts.path, ours
