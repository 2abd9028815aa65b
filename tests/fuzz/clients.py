"""Answers that our clients get from other programs' servers, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import strategies as st

from devices.core.errors import DiptychError
from devices.drivers.alpaca_server import AlpacaServer
from devices.drivers.automl import AutomlClient
from devices.drivers.axis_camera import AxisCamera
from devices.drivers.controller_server import ControllerServer
from devices.drivers.xpa import AccessPoint
from tests.fuzz.instruments import DETECTION, JPEG
from tests.fuzz.mutation import json_texts, messages
from tests.fuzz.peers import asked, http
from tests.fuzz.target import Target

ALPACA: dict[str, object] = {"Value": 1, "ErrorNumber": 0, "ErrorMessage": "", "ClientTransactionID": 2}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
PART = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(JPEG) + JPEG + b"\r\n"


async def _alpaca(port: int) -> None:
    server = AlpacaServer("127.0.0.1", port, timeout=2.0)
    try:
        await server.get("api/v1/camera/0/binx")
    finally:
        await server.close()


async def _alpaca_devices(port: int) -> None:
    server = AlpacaServer("127.0.0.1", port, timeout=2.0)
    try:
        await server.devices()
    finally:
        await server.close()


async def _automl(port: int) -> None:
    client = AutomlClient(f"127.0.0.1:{port}", timeout=2.0)
    try:
        await client.find(JPEG, "a")
    finally:
        await client.close()


async def _camera(port: int) -> None:
    camera = AxisCamera(f"http://127.0.0.1:{port}/one", f"http://127.0.0.1:{port}/many")
    try:
        with contextlib.suppress(DiptychError):
            await camera.snapshot(2.0)
        async with asyncio.timeout(10.0), contextlib.aclosing(camera.stream()) as stream:
            async for _ in stream:
                pass
    finally:
        await camera.close()


async def _controller(port: int) -> None:
    server = ControllerServer("127.0.0.1", port, timeout=1.0)
    await server.connect()
    try:
        await server.number("cmd GetNumber")
    finally:
        await server.close()


async def _ds9(port: int) -> None:
    await AccessPoint("127.0.0.1", port, timeout_s=1.0).get("version")


TARGETS = [
    Target(
        "Alpaca answers",
        "drivers.alpaca_server",
        st.one_of(
            json_texts(ALPACA, keys=tuple(ALPACA)).map(lambda text: http(text.encode())),
            messages(http(b'{"Value":1,"ErrorNumber":0,"ErrorMessage":"","ClientTransactionID":2}')),
        ),
        lambda data: asked(data, _alpaca),
        (DiptychError,),
    ),
    Target(
        "Alpaca devices",
        "drivers.alpaca_server",
        json_texts(
            ALPACA | {"Value": [{"DeviceName": "c", "DeviceType": "Camera", "DeviceNumber": 0}]},
            keys=("DeviceNumber", *ALPACA),
        ).map(lambda text: http(text.encode())),
        lambda data: asked(data, _alpaca_devices),
        (DiptychError,),
    ),
    Target(
        "AutoML service",
        "drivers.automl",
        json_texts({"predictions": [DETECTION]}, keys=("predictions", *DETECTION)).map(
            lambda text: http(text.encode())
        ),
        lambda data: asked(data, _automl),
        (DiptychError,),
    ),
    Target(
        "cameras (JPEG, MJPEG)",
        "drivers.axis_camera",
        st.one_of(
            messages(STREAM + PART * 2 + b"--b--\r\n", http(JPEG, "image/jpeg")),
            messages(PART * 2).map(lambda parts: STREAM + parts),
        ),
        lambda data: asked(data, _camera),
        (DiptychError,),
    ),
    Target(
        "ARC, Magellan replies",
        "drivers.controller_server",
        messages("OK 1234\n", "ERROR no such board\n", "DEMO\n", "OK 0x41\r\nOK\n"),
        lambda data: asked(data, _controller),
        (DiptychError,),
    ),
    Target(
        "ds9 (XPA)",
        "drivers.xpa",
        messages("XPA$DATA connect abc 12:34\n", "XPA$ERROR no (DS9:ds9 7f000001:1)\n", "x XPA$OK (DS9:ds9 1:2)\n"),
        lambda data: asked(data, _ds9),
        (DiptychError,),
    ),
]
