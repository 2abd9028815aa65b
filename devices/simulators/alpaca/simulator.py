"""The sockets of the simulated Alpaca server.

async with AlpacaSimulator(columns=64, rows=48) as simulator:
    ... ask http://127.0.0.1:{simulator.port}/api/v1/camera/0/name ...
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from devices.drivers.alpaca_discovery import answer_of
from devices.drivers.alpaca_errors import ErrorNumber
from devices.drivers.image_bytes import MEDIA_TYPE, encode
from devices.simulators.alpaca.camera import SimulatedCamera
from devices.simulators.alpaca.dome import SimulatedDome
from devices.simulators.alpaca.filter_wheel import SimulatedFilterWheel
from devices.simulators.alpaca.focuser import SimulatedFocuser
from devices.simulators.alpaca.http import LONGEST_HEAD, Request, head_of, read_request
from devices.simulators.alpaca.members import BadRequest, Member, Refused
from devices.simulators.alpaca.settings import AlpacaSettings, Faults
from devices.simulators.alpaca.telescope import SimulatedTelescope

PICTURES = ("imagearray", "imagearrayvariant")


class AlpacaSimulator:
    """An Alpaca server with a camera, a focuser, a filter wheel, a telescope and a dome.

    Args:
        options: as `AlpacaSettings` has them.
    Attributes:
        asked: what clients set or called, e.g. ``camera/startexposure Duration=1.5 Light=True``.
        stalled: set when a picture has stopped in its middle (``faults.stall_in_image``).
    """

    def __init__(self, **options: object) -> None:
        self.settings = AlpacaSettings.of(options)
        self.faults = Faults.of(self.settings.faults)
        self.camera = SimulatedCamera(self.settings, self.faults)
        self.focuser = SimulatedFocuser(self.settings)
        self.filter_wheel = SimulatedFilterWheel(self.settings)
        self.telescope = SimulatedTelescope(self.settings)
        self.dome = SimulatedDome(self.settings)
        self.asked: list[str] = []
        self.stalled = asyncio.Event()
        self.port = 0
        devices: tuple[Member, ...] = (self.camera, self.focuser, self.filter_wheel, self.telescope, self.dome)
        self._devices = {each.kind.casefold(): each for each in devices}
        self._transactions = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._discovery: asyncio.DatagramTransport | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen; 0 takes a free port."""
        given = self.settings
        await asyncio.to_thread(self.camera.prepare)
        self._server = await asyncio.start_server(self._serve, given.host, port, limit=LONGEST_HEAD)
        self.port = int(self._server.sockets[0].getsockname()[1])
        if given.discovery:
            self._discovery, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Discovery(self.port), local_addr=(given.host, given.discovery)
            )

    async def stop(self) -> None:
        """Close everything."""
        self.camera.close()
        if self._discovery is not None:
            self._discovery.close()
        if self._server is not None:
            self._server.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Hang up on everybody."""
        for writer in list(self._clients):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the client has gone, which is its right
            while (request := await read_request(reader)) is not None:
                if self.faults.delay_s:
                    await asyncio.sleep(self.faults.delay_s)
                if self.faults.mute:
                    await asyncio.Event().wait()
                if not await self._answer(request, writer) or not request.stays_open:
                    break
        self._clients.discard(writer)
        writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one question; False: the connection is to end."""
        words = {name.casefold(): value for name, value in request.parameters.items()}
        client = _number(words.get("clienttransactionid", "0"))
        transaction = next(self._transactions)
        try:
            content, kind = await self._content(request, client, transaction)
            status = "200 OK"
        except BadRequest as error:
            content, kind, status = str(error).encode(), "text/plain", "400 Bad Request"
        except _Broken as error:
            content, kind, status = str(error).encode(), "text/plain", "500 Internal Server Error"
        writer.write(head_of(status, kind, len(content), request.stays_open))
        if request.path.endswith(PICTURES) and len(content) > 1000:
            half = memoryview(content)[: len(content) // 2]
            if self.faults.drop_in_image:
                writer.write(half)
                await writer.drain()
                return False
            if self.faults.stall_in_image:
                writer.write(half)
                self.stalled.set()
                await asyncio.Event().wait()
        writer.write(content)
        await writer.drain()
        return True

    async def _content(self, request: Request, client: int, transaction: int) -> tuple[bytes | bytearray, str]:
        if self.faults.wrong_transaction:
            client += 7
        member = request.path.rpartition("/")[2]
        if member in self.faults.broken:
            raise _Broken(f"{member}: the driver has fallen over")
        try:
            value = self._value(request, member)
            if isinstance(value, np.ndarray):
                return await self._picture(value, request, client, transaction)
            number, text = 0, ""
        except Refused as error:
            value, number, text = None, error.number, str(error)
        answer: dict[str, object] = {} if value is None else {"Value": value}
        answer |= {"ClientTransactionID": client, "ServerTransactionID": transaction}
        answer |= {"ErrorNumber": int(number), "ErrorMessage": text}
        return json.dumps(answer).encode(), "application/json"

    def _value(self, request: Request, member: str) -> object:
        match request.path.strip("/").split("/"):
            case ["management", "apiversions"]:
                return [1]
            case ["management", "v1", "description"]:
                words = {"ServerName": "Diptych simulator", "Manufacturer": "Diptych", "ManufacturerVersion": "1.0"}
                return {**words, "Location": "here"}
            case ["management", "v1", "configureddevices"]:
                return [
                    {"DeviceName": each.name, "DeviceType": each.kind, "DeviceNumber": 0, "UniqueID": f"diptych-{kind}"}
                    for kind, each in self._devices.items()
                ]
            case ["api", "v1", kind, "0", _] if kind in self._devices:
                return self._of_device(self._devices[kind], request, member)
        raise BadRequest(f"{request.path}: there is no such device")

    def _of_device(self, device: Member, request: Request, member: str) -> object:
        if member in self.faults.refused:
            raise Refused(0x5A0, f"{member}: the driver failed")
        if request.method == "PUT":
            words = " ".join(
                f"{name}={value}" for name, value in request.parameters.items() if not name.startswith("Client")
            )
            self.asked.append(f"{device.kind.casefold()}/{member} {words}".rstrip())
            return device.put(member, request.parameters)
        if device is self.camera and member in PICTURES:
            if not device.connected:
                raise Refused(ErrorNumber.NOT_CONNECTED, f"{device.name} is not connected")
            if self.camera.image is None:
                raise Refused(ErrorNumber.INVALID_OPERATION, "there is no image")
            return self.camera.image
        return device.get(member, request.parameters)

    def _wants_bytes(self, request: Request) -> bool:
        return bool(self.settings.image_bytes) and MEDIA_TYPE in request.headers.get("accept", "")

    async def _picture(
        self, image: NDArray[Any], request: Request, client: int, transaction: int
    ) -> tuple[bytes | bytearray, str]:
        if self._wants_bytes(request):
            return await asyncio.to_thread(encode, image, client, transaction), MEDIA_TYPE
        return await asyncio.to_thread(_as_json, image, client, transaction), "application/json"


class _Broken(Exception):
    """The server itself fails: HTTP 500."""


class _Discovery(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = answer_of(data, self._port)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


def _as_json(image: NDArray[Any], client: int, transaction: int) -> bytes:
    answer = {"Type": 2, "Rank": 2, "Value": image.T.tolist()}
    answer |= {"ClientTransactionID": client, "ServerTransactionID": transaction, "ErrorNumber": 0, "ErrorMessage": ""}
    return json.dumps(answer).encode()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        options: as `AlpacaSettings` has them.
    Raises:
        ConfigurationError: wrong options, all of them. OSError: the port is taken.
    """
    simulator = AlpacaSimulator(**options)
    try:
        await simulator.start(port)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
