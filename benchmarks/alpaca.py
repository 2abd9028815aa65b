"""A picture of 4096 x 4096 px of 16 bits from the Alpaca server of a camera, beside the same bytes from a plain one.

The camera, with a controller that reads out at once, runs in a process of its own, and both servers with it. Each
picture is of a new exposure: what is timed begins when the camera says that it is ready, and ends with its last byte.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from aiohttp import web

from benchmarks.figure import Figure
from devices.ccd import CcdExposure
from devices.ccd.controller import CcdController
from devices.ccd.controller_link import ControllerLink, Layout, PixelsLeft, RawImage, Temperature
from devices.core.peers import Peers
from devices.drivers.image_bytes import MEDIA_TYPE, decode
from devices.pipelines.ccd.detector import Geometry
from servers.alpaca.service import AlpacaService
from servers.alpaca.settings import AlpacaSettings

SIDE = 4096
ROUNDS = 7
DETECTOR = {"format": [SIDE, 0, 0, 32, SIDE, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}
PATH = "/api/v1/camera/0/"


def run() -> list[Figure]:
    here, there = multiprocessing.Pipe()
    camera = multiprocessing.get_context("spawn").Process(target=_camera, args=(there,), daemon=True)
    camera.start()
    try:
        host, port, plain = here.recv()
        picture, peer, text = [], [], []
        _put(host, port, "connected", Connected="True")
        for number in range(ROUNDS + 1):
            _expose(host, port)
            seconds, content = _fetch(host, port, f"{PATH}imagearray", MEDIA_TYPE)
            assert decode(content).pixels.shape == (SIDE, SIDE)
            plain_seconds, _ = _fetch(host, plain, "/plain", "*/*")
            if number:
                picture.append(seconds)
                peer.append(plain_seconds)
        for _ in range(2):
            text.append(_fetch(host, port, f"{PATH}imagearray", "application/json")[0])
    finally:
        camera.terminate()
        camera.join()
    transfer = statistics.median(peer)
    return [
        Figure(
            "Alpaca: 4096 x 4096 px, ImageBytes (peer: plain HTTP)",
            statistics.median(picture),
            "s",
            transfer,
            below=0.5 + transfer,
        ),
        Figure("Alpaca: the same as JSON", statistics.median(text), "s"),
    ]


# The client: plain sockets, so that both servers are asked in the same way -------------------------------------------


def _fetch(host: str, port: int, path: str, accept: str) -> tuple[float, bytearray]:
    """Seconds, and the body."""
    connection = http.client.HTTPConnection(host, port, timeout=60.0)
    connection.connect()
    body = bytearray(2 * SIDE * SIDE + 44)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    if answer.length is None:
        answer.read()
    else:
        view, filled = memoryview(body), 0
        while count := answer.readinto(view[filled:]):
            filled += count
        body = body[:filled]
    seconds = time.perf_counter() - began
    connection.close()
    return seconds, body


def _put(host: str, port: int, member: str, **form: str) -> None:
    _ask(host, port, "PUT", member, urlencode(form))


def _ask(host: str, port: int, method: str, member: str, body: str = "") -> Any:
    connection = http.client.HTTPConnection(host, port, timeout=60.0)
    connection.request(method, PATH + member, body, {"Content-Type": "application/x-www-form-urlencoded"})
    found = json.loads(connection.getresponse().read())
    connection.close()
    if found["ErrorNumber"]:
        raise RuntimeError(found["ErrorMessage"])
    return found.get("Value")


def _expose(host: str, port: int) -> None:
    _put(host, port, "startexposure", Duration="0", Light="True")
    while not _ask(host, port, "GET", "imageready"):
        time.sleep(0.01)
    time.sleep(0.5)  # quick look and display have ended by then


# The camera ---------------------------------------------------------------------------------------------------------


class Link(ControllerLink):
    """A controller that has its image at once."""

    def __init__(self) -> None:
        shape = SIDE // 2, 4, SIDE // 2 + 32
        self._pixels = np.random.default_rng(1).integers(0, 65535, shape, np.uint16)

    async def connect(self) -> str:
        return "a controller of the benchmarks"

    async def read_image(self, pixels_left: PixelsLeft) -> RawImage:
        pixels_left(0)
        return RawImage(self._pixels, Layout.TAPS)

    async def remaining(self) -> float:
        return 0.0

    async def temperatures(self) -> list[Temperature]:
        return []

    async def _nothing(self, *_: object) -> None:
        """Done at once."""

    close = reset = pause = resume = end_exposure = abort = _nothing

    async def set_geometry(self, geometry: Geometry) -> None: ...

    async def flush(self, cycles: int) -> None: ...

    async def start_exposure(self, seconds: float, opens_shutter: bool) -> None: ...

    async def set_shutter(self, is_open: bool) -> None: ...

    async def shift_rows(self, rows: int) -> None: ...


class Controller(CcdController):
    """Its device."""

    def make_link(self) -> ControllerLink:
        return Link()


def _camera(ready: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_serve(ready.send, Path(folder)))


async def _serve(ready: Callable[[Any], None], folder: Path) -> None:
    peers = Peers()
    controller = Controller("ccd/1/controller")
    words = {"controller": controller.name, "detector": json.dumps(DETECTOR), "data_folder": str(folder)}
    exposure = CcdExposure("ccd/1/exposure", words)
    for device in (controller, exposure):
        device.peers = peers
        peers.add(device)
        await device.start()
    while not (controller.connected and exposure.connected):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await exposure.put("save_file", False)
    await exposure.put("looks_at_images", False)
    service = AlpacaService(exposure, AlpacaSettings(port=0))
    await service.start()
    content = np.random.default_rng(2).bytes(2 * SIDE * SIDE + 44)

    async def plain(request: web.Request) -> web.Response:
        return web.Response(body=content)

    app = web.Application()
    app.router.add_get("/plain", plain)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, _, port = service.endpoint.rpartition(":")
    ready((host, int(port), runner.addresses[0][1]))
    await asyncio.Event().wait()
