"""A server for the page with scripted PVs: what docs/panel-sockets.md says, and no more."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from servers.web.log import Log

PAGE = Path(__file__).resolve().parents[2] / "servers" / "web" / "page"
HEADERS = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-cache"}
TYPES = {"uint8": 1, "uint16": 2, "int32": 3, "float32": 4}
ARRAYS = {"float64": "b64dbl", "float32": "b64flt", "int32": "b64int", "int16": "b64srt", "uint8": "b64byt"}

Update = dict[str, Any]


def array_update(values: np.ndarray[Any, Any]) -> Update:
    """The keys of an update with a number array."""
    little = values.astype(values.dtype.newbyteorder("<"))
    return {"vtype": "VDoubleArray", ARRAYS[values.dtype.name]: base64.b64encode(little.tobytes()).decode()}


def trend(time_s: list[float], value: list[float | None], unit: str = "", **columns: Any) -> Update:
    """What /hist answers: each point is a sample."""
    return {
        "unit": unit,
        "labels": [],
        "width": 0,
        "time": time_s,
        **dict.fromkeys(("low", "high", "mean", "last"), value),
        "severity": [0] * len(value),
        "connected": [each is not None for each in value],
        **columns,
    }


@dataclass
class Picture:
    """The image behind a PV; ``exact=False`` says that its pixels were converted from a wider type."""

    pixels: np.ndarray[Any, Any]
    mask: int | None = None
    exact: bool = True
    seq: int = 1
    state: Update = field(default_factory=lambda: {"connected": True, "severity": "NONE", "units": "adu"})


@dataclass
class View:
    """A view of an image that one page has open."""

    pv: str
    wanted: Update
    credits: int = 1
    shown: tuple[int, str] = (0, "")


class FakeServer:
    """Runs in a thread of its own. Everything public may be called from the test."""

    def __init__(self, opi: dict[str, str | bytes]) -> None:
        self.opi = opi
        self.pvs: dict[str, Update] = {}
        self.pictures: dict[str, Picture] = {}
        #: What /hist answers for a PV; of others nothing is recorded.
        self.history: dict[str, Update] = {}
        #: The questions to /hist.
        self.asked: list[dict[str, str]] = []
        self.received: list[Update] = []
        self.on_write: dict[str, Callable[[Any], Coroutine[Any, Any, str]]] = {}
        #: What a call of a command answers; it gets the arguments, and raises ValueError to refuse.
        self.on_call: dict[str, Callable[[Update], Any]] = {}
        #: What /alarms/history answers, newest first.
        self.steps: list[Update] = []
        self.hello: Update = {"facility": "test hall", "version": "0.1.0", "token": "tok", "writable": True}
        #: True: as a PVWS server, without greeting and acknowledgement.
        self.plain = False
        #: False: no socket is opened any more.
        self.open = True
        #: True: the sockets stay open, and nothing comes from them.
        self.silent = False
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._views: dict[web.WebSocketResponse, dict[int, View]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        #: Of log files; the pages get them from the real server of the log.
        self.log_folder: Path | None = None
        self._logs: list[Log] = []

    # Called by tests ------------------------------------------------------------------------------------------------

    def start(self) -> FakeServer:
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    def url(self, panel: str) -> str:
        return f"http://127.0.0.1:{self.port}/#/{panel}"

    def put(self, pv: str, **changes: Any) -> None:
        """Changes a PV (or makes it) and tells all who subscribed."""
        self._call(self._put(pv, changes))

    def put_many(self, changes: dict[str, Update]) -> None:
        """As ``put`` for several PVs, in one message."""
        self._call(self._put_many(changes))

    def show(self, pv: str, pixels: np.ndarray[Any, Any]) -> None:
        """A new frame of an image."""
        self._call(self._show(pv, pixels))

    def drop(self) -> None:
        """Closes all sockets, as a server that ends."""
        self._call(self._drop())

    def writes(self, pv: str = "") -> list[tuple[str, Any]]:
        return [
            (each["pv"], each["value"])
            for each in list(self.received)
            if each.get("type") == "write" and (not pv or each["pv"] == pv)
        ]

    def subscribed(self) -> set[str]:
        return set().union(*self._sockets.values())

    def said(self, kind: str) -> list[Update]:
        return [each for each in list(self.received) if each.get("type") == kind]

    # The loop -------------------------------------------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/pvws/pv", self._pv_socket)
        app.router.add_get("/pvws/image", self._image_socket)
        app.router.add_get("/log/live", self._log_socket)
        app.on_cleanup.append(self._close_logs)
        app.router.add_get("/hist", self._hist)
        app.router.add_get("/hist/pvs", self._recorded)
        app.router.add_get("/alarms/history", self._alarm_steps)
        app.router.add_get("/opi/{path:.*}", self._panel)
        app.router.add_get("/{path:.*}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = PAGE / (request.match_info["path"] or "index.html")
        return web.FileResponse(path, headers=HEADERS) if path.is_file() else web.Response(status=404)

    async def _panel(self, request: web.Request) -> web.StreamResponse:
        body = self.opi.get(request.match_info["path"])
        if body is None:
            return web.Response(status=404)
        kind = "image/svg+xml" if request.path.endswith(".svg") else "text/xml"
        data = body.encode() if isinstance(body, str) else body
        return web.Response(body=data, content_type=kind, headers=HEADERS)

    async def _hist(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        trend = self.history.get(request.query["pv"])
        if trend is None:
            return web.Response(status=404, text=f"nothing is recorded of {request.query['pv']}")
        return web.json_response({"trends": [{"pv": request.query["pv"], **trend}]})

    async def _recorded(self, _: web.Request) -> web.Response:
        return web.json_response({pv: trend["unit"] for pv, trend in self.history.items()})

    # PVs ------------------------------------------------------------------------------------------------------------

    async def _pv_socket(self, request: web.Request) -> web.StreamResponse:
        if not self.open:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[socket] = set()
        if not self.plain:
            await socket.send_json({"type": "hello", "protocol": 1, "time": time.time(), **self.hello})
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and not self.silent:
                    await self._take(socket, json.loads(message.data))
        finally:
            self._sockets.pop(socket, None)
        return socket

    async def _take(self, socket: web.WebSocketResponse, message: Update) -> None:
        self.received.append(message)
        match message["type"]:
            case "echo":
                await socket.send_json(message)
            case "subscribe":
                self._sockets[socket].update(message["pvs"])
                for pv in message["pvs"]:
                    unknown = {"connected": False, "reason": "there is no PV of this name"}
                    await socket.send_json({"type": "update", "pv": pv, **self.pvs.get(pv, unknown)})
            case "clear":
                self._sockets[socket].difference_update(message["pvs"])
            case "call":
                await self._called(socket, message)
            case "write":
                # Writes may last; others go on meanwhile.
                task = asyncio.get_running_loop().create_task(self._write(socket, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _called(self, socket: web.WebSocketResponse, message: Update) -> None:
        try:
            answer = {"ok": True, "message": "", "result": self.on_call[message["pv"]](message["arguments"])}
        except ValueError as error:
            answer = {"ok": False, "message": str(error)}
        await socket.send_json({"type": "ack", "id": message["id"], **answer})

    async def _alarm_steps(self, request: web.Request) -> web.Response:
        chosen = [step for step in self.steps if request.query["alarm"] in ("", step["alarm"])]
        return web.json_response({"steps": chosen})

    async def _write(self, socket: web.WebSocketResponse, message: Update) -> None:
        pv = message["pv"]
        try:
            if pv in self.on_write:
                text = await self.on_write[pv](message["value"])
            else:
                text = ""
                await self._put(pv, {"value": message["value"]})
            answer = {"ok": True, "message": text}
        except ValueError as error:
            answer = {"ok": False, "message": str(error)}
        if self.plain and not answer["ok"]:
            await socket.send_json({"type": "error", "message": answer["message"]})
        elif not self.plain:
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": "ack", "id": message["id"], **answer})

    def _merged(self, pv: str, changes: Update) -> Update:
        known = self.pvs.setdefault(pv, {"connected": True, "severity": "NONE", "readonly": False})
        now = time.time()
        stamp = {"seconds": int(now), "nanos": int(now % 1 * 1e9)}
        known.update({**stamp, **changes})
        return {"pv": pv, **stamp, **changes, "readonly": known.get("readonly", False)}

    async def _put(self, pv: str, changes: Update) -> None:
        update = self._merged(pv, changes)
        for socket, names in list(self._sockets.items()):
            if pv in names:
                with contextlib.suppress(ConnectionError):
                    await socket.send_json({"type": "update", **update})

    async def _put_many(self, changes: dict[str, Update]) -> None:
        updates = [self._merged(pv, each) for pv, each in changes.items()]
        for socket, names in list(self._sockets.items()):
            wanted = [each for each in updates if each["pv"] in names]
            await socket.send_json({"type": "updates", "updates": wanted})

    async def _drop(self) -> None:
        for socket in [*self._sockets, *self._views]:
            await socket.close(message=b"the server ends")

    async def _log_socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()

        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[web.WebSocketResponse]:
            await socket.prepare(request)
            self._sockets[socket] = set()
            yield socket

        self._logs.append(Log(self.log_folder))
        try:
            return await self._logs[-1].live(request, opened())
        finally:
            self._sockets.pop(socket, None)

    async def _close_logs(self, _: web.Application) -> None:
        for log in self._logs:
            await log.close()

    # Images ---------------------------------------------------------------------------------------------------------

    async def _image_socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._views[socket] = {}
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take_image(socket, json.loads(message.data))
        finally:
            self._views.pop(socket, None)
        return socket

    async def _take_image(self, socket: web.WebSocketResponse, message: Update) -> None:
        self.received.append(message)
        views = self._views[socket]
        number = message.get("view", 0)
        kind = message["type"]
        if kind == "echo":
            await socket.send_json(message)
        elif kind == "view":
            if number not in views:
                views[number] = View(message["pv"], message)
                picture = self.pictures[message["pv"]]
                await socket.send_json({"type": "state", "view": number, **picture.state})
            views[number].wanted = message
            await self._send_frame(socket, number)
        elif kind == "credit" and number in views:
            views[number].credits += 1
            await self._send_frame(socket, number)
        elif kind == "close":
            views.pop(number, None)
        elif number in views:
            picture = self.pictures[views[number].pv]
            answer = {"probe": probe, "statistics": statistics, "profile": profile}[kind](picture, message)
            same = {"type": kind, "view": number, "id": message["id"], "seq": picture.seq}
            await socket.send_json({**same, **answer})

    async def _show(self, pv: str, pixels: np.ndarray[Any, Any]) -> None:
        picture = self.pictures.get(pv)
        if picture is None:
            self.pictures[pv] = Picture(pixels)
            return
        picture.pixels = pixels
        picture.seq += 1
        for socket, views in list(self._views.items()):
            for number in list(views):
                if views[number].pv == pv:
                    await self._send_frame(socket, number)

    async def _send_frame(self, socket: web.WebSocketResponse, number: int) -> None:
        view = self._views[socket][number]
        picture = self.pictures[view.pv]
        key = (picture.seq, json.dumps(view.wanted, sort_keys=True))
        if view.credits < 1 or view.shown == key:
            return
        view.credits -= 1
        view.shown = key
        await socket.send_bytes(frame(picture, number, view.wanted))


def frame(picture: Picture, number: int, wanted: Update) -> bytes:
    """A binary frame: crop, then reduce by the largest of each block."""
    height, width = picture.pixels.shape
    x0, y0 = max(0, int(wanted.get("x", 0))), max(0, int(wanted.get("y", 0)))
    crop = picture.pixels[y0 : y0 + int(wanted.get("height", height)), x0 : x0 + int(wanted.get("width", width))]
    rows, columns = crop.shape
    factor = max(1, math.ceil(max(columns / wanted["canvas_width"], rows / wanted["canvas_height"])))
    if factor > 1:
        padded = np.pad(crop, ((0, -rows % factor), (0, -columns % factor)), mode="edge")
        blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
        crop = blocks.max(axis=(1, 3))
    low, high = np.percentile(picture.pixels, [0.5, 99.5])
    header = struct.pack(
        "<4sBBBBHHIdIIIIIIddd",
        b"DIMG",
        1,
        TYPES[crop.dtype.name],
        int(picture.exact) | (2 if picture.mask is not None else 0),
        1 if factor > 1 else 0,
        number,
        factor,
        picture.seq,
        time.time(),
        width,
        height,
        x0,
        y0,
        crop.shape[1],
        crop.shape[0],
        low,
        high,
        float(picture.mask or 0),
    )
    assert len(header) == 72
    return header + np.ascontiguousarray(crop).astype(crop.dtype.newbyteorder("<")).tobytes()


def probe(picture: Picture, asked: Update) -> Update:
    value = picture.pixels[asked["y"], asked["x"]].item()
    return {"x": asked["x"], "y": asked["y"], "value": None if value == picture.mask else value}


def statistics(picture: Picture, asked: Update) -> Update:
    x, y, width, height = (int(asked[key]) for key in ("x", "y", "width", "height"))
    region = picture.pixels[y : y + height, x : x + width].astype(float)
    counts, edges = np.histogram(region, bins=asked["bins"])
    return {
        **{key: asked[key] for key in ("x", "y", "width", "height")},
        "count": region.size,
        "min": region.min(),
        "max": region.max(),
        "mean": region.mean(),
        "std": region.std(),
        "low": edges[0],
        "high": edges[-1],
        "counts": counts.tolist(),
    }


def profile(picture: Picture, asked: Update) -> Update:
    x1, y1, x2, y2 = (asked[key] for key in ("x1", "y1", "x2", "y2"))
    count = max(abs(x2 - x1), abs(y2 - y1)) + 1
    columns = np.rint(np.linspace(x1, x2, count)).astype(int)
    rows = np.rint(np.linspace(y1, y2, count)).astype(int)
    step = math.hypot(x2 - x1, y2 - y1) / max(1, count - 1)
    return {"values": picture.pixels[rows, columns].tolist(), "step": step}
