"""A page's two sockets, as a script: every message with a deadline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import tango

from tests.facility.running import Up

DEADLINE = 30.0  # s; a killed process that starts anew takes a while on a busy machine


@dataclass(frozen=True)
class Site:
    """A facility that runs, with its web server."""

    up: Up
    port: int
    tango_host: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def proxy(self, device: str = "test/all/1") -> tango.DeviceProxy:
        return tango.DeviceProxy(f"tango://{self.tango_host}/{device}")

    def publish(self, name: str, value: Any, quality: str = "VALID") -> None:
        """Let the device publish a number of one of its attributes."""
        arguments = {"name": name, "value": value, "quality": quality}
        self.proxy().command_inout("publish_value", json.dumps(arguments))


class PageSocket:
    """One web-socket; what came and was not waited for is kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.state: dict[str, dict[str, Any]] = {}
        self.token = ""

    async def say(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def next(self) -> Any:
        """The next message: a dict, or the bytes of a frame."""
        message = await asyncio.wait_for(self.socket.receive(), DEADLINE)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message.data

    async def hear(self, wanted: Callable[[Any], Any]) -> Any:
        """The first message that is wanted; updates on the way are merged into ``state``."""
        deadline = asyncio.get_running_loop().time() + DEADLINE
        while asyncio.get_running_loop().time() < deadline:
            message = await self.next()
            for update in _updates(message):
                self._merge(update)
            if wanted(message):
                return message
        raise AssertionError("the message did not come")

    async def until(self, pv: str, true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The merged state of a PV, once something holds of it."""
        if pv not in self.state or not true(self.state[pv]):
            await self.hear(lambda _: pv in self.state and true(self.state[pv]))
        return self.state[pv]

    async def write(self, pv: str, value: Any, number: int = 1, **more: Any) -> dict[str, Any]:
        """Write a value; the acknowledgement."""
        await self.say(type="write", pv=pv, value=value, id=number, token=self.token, **more)
        return dict(await self.hear(lambda message: isinstance(message, dict) and message.get("id") == number))

    async def call(self, pv: str, arguments: Any, number: int = 1, **more: Any) -> dict[str, Any]:
        """Call a command; the acknowledgement."""
        message = {"type": "call", "pv": pv, "arguments": arguments, "id": number, "token": self.token, **more}
        await self.say(**message)
        return dict(await self.hear(lambda message: isinstance(message, dict) and message.get("id") == number))

    def _merge(self, update: dict[str, Any]) -> None:
        merged = self.state.setdefault(update["pv"], {})
        for key, value in update.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = value


def _updates(message: Any) -> list[dict[str, Any]]:
    if not isinstance(message, dict):
        return []
    if message.get("type") == "updates":
        return list(message["updates"])
    return [{key: value for key, value in message.items() if key != "type"}] if message.get("type") == "update" else []


@asynccontextmanager
async def connected(site: Site, *pvs: str, hello: bool = True, path: str = "pv") -> AsyncIterator[PageSocket]:
    """A page that shows these PVs."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{site.address}/pvws/{path}") as socket:
        page = PageSocket(socket)
        if path == "pv":
            page.token = (await page.next())["token"]
        if hello and path == "pv":
            await page.say(type="hello", protocol=1, batch=True)
        if pvs:
            await page.say(type="subscribe", pvs=list(pvs))
        yield page


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; it may take a minute."""
    asyncio.run(asyncio.wait_for(work, 60.0))
