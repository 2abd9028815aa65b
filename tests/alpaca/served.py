"""The camera of the tests as an Alpaca server, and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from devices.core.peers import Peers
from servers.alpaca.service import AlpacaService
from servers.alpaca.settings import AlpacaSettings, Sensor
from tests.ccd.camera import Camera, camera
from tests.support.running import until

SENSOR = Sensor("STA1600", (9.0, 13.5), 80_000.0, 1.75)
PREFIX = "/api/v1/camera/0/"
Reply = tuple[int, Any]


class Served:
    """A camera, its server, and a client that speaks the protocol itself."""

    def __init__(self, camera: Camera, service: AlpacaService, session: aiohttp.ClientSession) -> None:
        self.camera, self.service, self._session = camera, service, session

    @property
    def peers(self) -> Peers:
        return self.camera.exposure.peers

    async def get(self, member: str, prefix: str = PREFIX, **query: Any) -> Reply:
        return await self.ask("GET", prefix + member, params={name: str(value) for name, value in query.items()})

    async def put(self, member: str, prefix: str = PREFIX, **form: Any) -> Reply:
        return await self.ask("PUT", prefix + member, data={name: str(value) for name, value in form.items()})

    async def ask(self, method: str, path: str, **words: Any) -> Reply:
        async with self._session.request(method, path, **words) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.text())

    async def value(self, member: str, prefix: str = PREFIX) -> Any:
        """What a GET gives that must go well."""
        status, answer = await self.get(member, prefix)
        assert status == 200 and answer["ErrorNumber"] == 0, answer
        return answer["Value"]

    async def does(self, member: str, prefix: str = PREFIX, **form: Any) -> None:
        """A PUT that must go well."""
        status, answer = await self.put(member, prefix, **form)
        assert status == 200 and answer["ErrorNumber"] == 0, answer

    async def refuses(self, member: str, prefix: str = PREFIX, **form: Any) -> int:
        """The error number of a PUT that must not go well."""
        status, answer = await self.put(member, prefix, **form)
        assert status == 200 and answer["ErrorNumber"] and answer["ErrorMessage"], answer
        return int(answer["ErrorNumber"])

    async def becomes(self, member: str, wanted: Any, prefix: str = PREFIX, seconds: float = 10.0) -> None:
        """Ask again and again until a member has this value."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (found := await self.value(member, prefix)) != wanted:
            assert asyncio.get_running_loop().time() < deadline, f"{member} stays {found}, {wanted} is expected"
            await asyncio.sleep(0.005)


@asynccontextmanager
async def served(folder: Path, settings: AlpacaSettings | None = None, **properties: Any) -> AsyncIterator[Served]:
    """The camera of the tests behind an Alpaca server."""
    async with camera(folder / "data", **properties) as found:
        service = AlpacaService(found.exposure, settings or AlpacaSettings(port=0, sensor=SENSOR))
        await service.start()
        try:
            await until(lambda: found.tempcon.camera_temperature.reading.value is not None, "temperatures")
            async with aiohttp.ClientSession(f"http://{service.endpoint}") as session:
                yield Served(found, service, session)
        finally:
            await service.stop()


def on_server(
    folder: Path, test: Callable[[Served], Awaitable[None]], settings: AlpacaSettings | None = None, **properties: Any
) -> None:
    """Run a test on a served camera."""

    async def work() -> None:
        async with served(folder, settings, **properties) as found:
            await test(found)

    asyncio.run(work())
