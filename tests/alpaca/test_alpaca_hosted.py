"""The options of the Alpaca server, and how it is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from devices.core.errors import ConfigurationError
from devices.drivers.alpaca_discovery import discover
from servers.alpaca.hosted import alpaca
from servers.alpaca.service import AlpacaService
from servers.alpaca.settings import AlpacaSettings
from servers.native import NativeService, RunningServices
from tests.alpaca.served import Served, on_server
from tests.ccd.camera import camera
from tests.support.running import until

WRONG = {
    "listen": ("11112", "listen = 11112 is not HOST:PORT"),
    "discovery": ("70000", "discovery = 70000 is no UDP port"),
    "connections": ("0", r"connections = 0 is outside \[1, 4096\]"),
    "pixel_um": ("9 9 9", "pixel_um = 9 9 9 has more than 2 numbers"),
    "full_well_e": ("-1", "full_well_e = -1 is no number above 0"),
    "gain_e_adu": ("nan", "gain_e_adu = nan is no number above 0"),
    "token_file": ("/nosuch", "token_file: "),
    "colour": ("blue", "unknown option colour"),
}


def test_wrong_options_are_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with camera(tmp_path / "data") as found:
            for option, (value, text) in WRONG.items():
                with pytest.raises(ConfigurationError, match=text):
                    alpaca(found.exposure, {option: value})
            with pytest.raises(ConfigurationError, match="is no exposure of a camera"):
                alpaca(found.display, {})

    asyncio.run(test())


def test_a_device_serves_and_says_what_keeps_it_from_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("open sesame\n")

    async def test() -> None:
        async with camera(tmp_path / "data") as found:
            blocker = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            taken = blocker.sockets[0].getsockname()[1]
            options = {"listen": f"127.0.0.1:{taken}", "token_file": str(token), "pixel_um": "13.5", "sensor": "E2V"}
            services = RunningServices(found.exposure, [NativeService("nina", "alpaca", found.exposure.name, options)])
            await services.start()
            await until(lambda: "cannot listen" in found.exposure.status, "the fault is told")
            blocker.close()
            await until(lambda: "cannot listen" not in found.exposure.status, "it listens")
            url, headers = f"http://127.0.0.1:{taken}/api/v1/camera/0/", {"Authorization": "Bearer open sesame"}
            async with aiohttp.ClientSession(url, headers=headers) as session:
                async with session.put("connect") as answer:
                    assert answer.status == 200
                for member, value in (("pixelsizey", 13.5), ("sensorname", "E2V")):
                    async with session.get(member) as answer:
                        assert (await answer.json())["Value"] == value
            await services.stop()

    asyncio.run(test())


def test_the_server_is_discovered(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        port = int(served.service.endpoint.rpartition(":")[2])
        for address in ("127.0.0.1", "127.255.255.255"):
            found = await discover(0.2, [address], served.service.discovery_port)
            assert found == [("127.0.0.1", port)], address
        # Another server of this host can be asked at the same port, too.
        other = AlpacaService(served.camera.exposure, AlpacaSettings(port=0, discovery=served.service.discovery_port))
        await other.start()
        found = await discover(0.2, ["127.255.255.255"], served.service.discovery_port)
        await other.stop()
        assert {port for _, port in found} == {port, int(other.endpoint.rpartition(":")[2])}

    on_server(tmp_path, test, AlpacaSettings(port=0, discovery=0))
