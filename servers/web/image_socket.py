"""The image socket of one page: views of images, each as large as the page has room for, one per credit."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

from devices.core.errors import BadValueError, DiptychError, NotAllowedError
from servers.web import sender
from servers.web.channels import Channel
from servers.web.frame import Autoscale, Frame, View, frame_of
from servers.web.login.visitor import Visitor
from servers.web.site import Site
from servers.web.update import facts_of, value_of

log = logging.getLogger(__name__)

MAX_VIEWS: Final = 64  # of one page
MAX_CREDITS: Final = 3
MAX_CANVAS: Final = 8192  # px, each way


@dataclass
class Picture:
    """The newest frame of one image PV, shared by all views of all pages that show it."""

    channel: Channel
    autoscale: Autoscale = field(default_factory=Autoscale)
    frame: Frame | None = None
    problem: str = ""
    version: int = -1

    def refresh(self) -> None:
        """Adopt the newest value."""
        self.channel.take()
        if self.version == self.channel.version:
            return
        self.version = self.channel.version
        if self.channel.value is None or not self.channel.is_connected:
            return
        self.problem = ""
        try:
            if not self.channel.value.getID().startswith("epics:nt/NTNDArray"):
                raise BadValueError(f"{self.channel.name} is not an image")
            self.frame = frame_of(self.channel.value, self.version)
        except BadValueError as error:
            self.problem = str(error)


@dataclass(eq=False)
class Shown:
    """One view of a page: what it shows, and how many frames it may still be sent."""

    number: int
    picture: Picture
    wanted: dict[str, Any]
    credits: int = 1
    sent: tuple[int, int] = (-1, -1)  # the frame and the change of the view that were sent last
    change: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class ImageSocket:
    """One page's images.

    Args:
        answer: the prepared web-socket.
        pictures: by PV, of all pages.
        visitor: who looks.
    """

    def __init__(
        self, site: Site, answer: web.WebSocketResponse, pictures: dict[str, Picture], visitor: Visitor
    ) -> None:
        self._site, self._answer, self._pictures, self._visitor = site, answer, pictures, visitor
        self._views: dict[int, Shown] = {}
        self._wake = asyncio.Event()
        self._is_greeted = False

    async def serve(self) -> None:
        """Talk until the page leaves."""
        sending = sender.start(self._send_frames(), self._answer)
        try:
            async for message in self._answer:
                if message.type is not WSMsgType.TEXT:
                    break
                await self._hear(message.data)
        finally:
            for number in list(self._views):
                self._close(number)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _hear(self, text: str) -> None:
        message: dict[str, Any] = {}
        try:
            message = json.loads(text)
            await self._answer_to(message, text)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            await self._refuse(message, f"not a message: {text[:80]!r} ({error})")
        except DiptychError as error:
            await self._refuse(message, str(error))

    async def _answer_to(self, message: dict[str, Any], text: str) -> None:
        kind = message["type"]
        if kind == "hello":
            if message.get("token") not in self._site.tokens:
                raise NotAllowedError("the image socket has not the token of a page")
            self._is_greeted = True
        elif not self._is_greeted:
            raise NotAllowedError("the image socket begins with a hello")
        elif kind == "view":
            self._show(message)
        elif kind == "credit":
            shown = self._view(message)
            shown.credits = min(shown.credits + 1, MAX_CREDITS)
            self._wake.set()
        elif kind == "close":
            self._close(_whole(message, "view"))
        elif kind == "echo":
            await self._answer.send_str(text)
        elif kind in ("probe", "statistics", "profile"):
            await self._measure(kind, message)

    def _show(self, message: dict[str, Any]) -> None:
        self._visitor.session.touch()
        number, pv = _whole(message, "view"), str(message["pv"])
        if not 0 <= number < 65536 or (number not in self._views and len(self._views) >= MAX_VIEWS):
            raise BadValueError(f"view = {number}: a page has {MAX_VIEWS} views, numbered up to 65535")
        shown = self._views.get(number)
        if shown is not None and shown.picture.channel.name != pv:
            self._close(number)
            shown = None
        if shown is None:
            channel = self._site.channels.watch(pv, self._noted)
            picture = self._pictures.get(pv)
            if picture is None or picture.channel is not channel:
                picture = self._pictures[pv] = Picture(channel)
            shown = self._views[number] = Shown(number, picture, message)
        shown.wanted = message
        shown.change += 1
        self._wake.set()

    def _close(self, number: int) -> None:
        shown = self._views.pop(number, None)
        if shown is None:
            return
        channel = shown.picture.channel
        if not any(other.picture is shown.picture for other in self._views.values()):
            self._site.channels.leave(channel, self._noted)
        if not channel.watchers:
            self._pictures.pop(channel.name, None)

    def _view(self, message: Mapping[str, Any]) -> Shown:
        number = _whole(message, "view")
        if number not in self._views:
            raise BadValueError(f"view {number} is not open")
        return self._views[number]

    def _noted(self, _: Channel) -> None:
        self._wake.set()

    async def _send_frames(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for shown in list(self._views.values()):
                await self._send_news(shown)

    async def _send_news(self, shown: Shown) -> None:
        picture = shown.picture
        picture.refresh()
        await self._send_state(shown)
        frame, mark = picture.frame, (picture.version, shown.change)
        if frame is None or not shown.credits or shown.sent == mark or not picture.channel.is_connected:
            return
        shown.credits -= 1
        shown.sent = mark
        wanted = _view_of(shown.wanted, frame)
        message = await asyncio.to_thread(lambda: frame.view(shown.number, wanted, picture.autoscale.of(frame)))
        if shown.number in self._views:
            await self._answer.send_bytes(message)

    async def _send_state(self, shown: Shown) -> None:
        channel = shown.picture.channel
        if channel.version:
            entry = self._site.directory.entry(channel.name)
            state: dict[str, Any] = {"connected": False, "severity": "UNDEFINED", "reason": channel.reason}
            if channel.value is not None and channel.is_connected:
                state = {"reason": None} | value_of(channel.value) | facts_of(channel.value)
            for key in ("seconds", "nanos"):  # a frame has its own time
                state.pop(key, None)
            state["readonly"] = not (entry and entry.is_writable and self._visitor.may_write(entry.level))
            if state != shown.state:
                shown.state = state
                await self._send({"type": "state", "view": shown.number} | state)
        if shown.picture.problem != shown.problem:
            shown.problem = shown.picture.problem
            if shown.problem:
                await self._refuse({"view": shown.number}, shown.problem)

    async def _measure(self, kind: str, message: Mapping[str, Any]) -> None:
        shown = self._view(message)
        shown.picture.refresh()
        frame = shown.picture.frame
        if frame is None:
            raise NotAllowedError(f"{shown.picture.channel.name} has no image yet")
        if kind == "probe":
            x, y = _whole(message, "x"), _whole(message, "y")
            result: dict[str, Any] = {"x": x, "y": y, "value": frame.probe(x, y)}
        elif kind == "statistics":
            x, y, width, height = (_whole(message, key) for key in ("x", "y", "width", "height"))
            bins = _whole(message, "bins") if "bins" in message else 64
            result = await asyncio.to_thread(frame.statistics, x, y, width, height, bins)
        else:
            x1, y1, x2, y2 = (_whole(message, key) for key in ("x1", "y1", "x2", "y2"))
            result = await asyncio.to_thread(frame.profile, x1, y1, x2, y2)
        head = {"type": kind, "view": shown.number, "id": message.get("id")}
        await self._send(head | result | {"seq": frame.seq})

    async def _refuse(self, message: Mapping[str, Any], text: str) -> None:
        about = {key: message[key] for key in ("view", "id") if isinstance(message, dict) and key in message}
        await self._send({"type": "error", **about, "message": text})

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._answer.closed:
            await self._answer.send_str(json.dumps(message, allow_nan=False))


def _view_of(wanted: Mapping[str, Any], frame: Frame) -> View:
    rows, columns = frame.pixels.shape
    return View(
        int(wanted.get("x", 0)),
        int(wanted.get("y", 0)),
        int(wanted.get("width", columns)),
        int(wanted.get("height", rows)),
        min(max(1, int(wanted.get("canvas_width", MAX_CANVAS))), MAX_CANVAS),
        min(max(1, int(wanted.get("canvas_height", MAX_CANVAS))), MAX_CANVAS),
        "mean" if wanted.get("reduce") == "mean" else "max",
    )


def _whole(message: Mapping[str, Any], key: str) -> int:
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1 << 31:
        raise BadValueError(f"{key} = {value!r} is not a whole number")
    return value
