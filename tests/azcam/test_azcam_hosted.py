"""The options of the service, and a facility that has one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from devices.core.client import asked_by
from devices.core.errors import ConfigurationError
from servers.azcam.hosted import azcam
from servers.native import NativeService, RunningServices
from tests.azcam.console import Console, ServerError
from tests.ccd.camera import camera
from tests.support.running import until

WRONG = {
    "listen": ("2402", "listen = 2402 is not HOST:PORT"),
    "web": ("127.0.0.1:99999", "web = 127.0.0.1:99999 is not HOST:PORT"),
    "connections": ("0", r"connections = 0 is outside \[1, 4096\]"),
    "exit": ("yes", "exit = yes is neither true nor false"),
    "token_file": ("/nosuch", "token_file: "),
    "colour": ("blue", "unknown option colour"),
}


@pytest.mark.parametrize("option", WRONG)
def test_wrong_options_are_told(tmp_path: Path, option: str) -> None:
    async def test() -> None:
        async with camera(tmp_path / "data") as found:
            value, text = WRONG[option]
            with pytest.raises(ConfigurationError, match=text):
                azcam(found.exposure, {option: value})
            with pytest.raises(ConfigurationError, match="is no exposure of a camera"):
                azcam(found.display, {})

    asyncio.run(test())


def test_a_device_serves_and_says_what_keeps_it_from_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("open sesame\n")

    async def test() -> None:
        async with camera(tmp_path / "data") as found:
            blocker = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            taken = blocker.sockets[0].getsockname()[1]
            options = {"listen": f"127.0.0.1:{taken}", "token_file": str(token), "system": "90prime"}
            services = RunningServices(found.exposure, [NativeService("old", "azcam", found.exposure.name, options)])
            await services.start()
            await until(lambda: "cannot listen" in found.exposure.status, "the fault is told")
            blocker.close()
            await until(lambda: "cannot listen" not in found.exposure.status, "it listens")

            def session() -> None:
                with Console(f"127.0.0.1:{taken}") as console:
                    assert console.command("token 'open sesame'".replace("'", "")) is None
                    assert console.status()["systemname"] == "90prime"
                    assert json.loads(console.command("api.get_status"))["systemname"] == "90prime"

            await asyncio.to_thread(session)
            await services.stop()

    asyncio.run(test())


def test_a_console_reads_and_stops_a_camera_that_somebody_else_has_reserved(tmp_path: Path) -> None:
    async def test() -> None:
        async with camera(tmp_path / "data") as found:
            service = azcam(found.exposure, {"listen": "127.0.0.1:0"})
            await service.start()
            with asked_by("tango 10.1.2.3 4711"):
                await found.exposure.run("reserve", {"name": "bluesky", "seconds": 60.0})

            def session(refused: bool) -> None:
                with Console(service.endpoint) as console:
                    if refused:
                        with pytest.raises(ServerError, match="is reserved by bluesky until"):
                            console.command("exposure.test 0.1")
                        with pytest.raises(ServerError, match="is reserved by bluesky until"):
                            console.command("exposure.set_image_title M67")
                        console.command("exposure.abort")
                    else:
                        console.command("exposure.set_image_title M67")
                    assert console.command("exposure.get_image_title") == (None if refused else "M67")

            await asyncio.to_thread(session, True)
            await found.exposure.run("release", {"name": "bluesky"})
            await asyncio.to_thread(session, False)
            await service.stop()

    asyncio.run(test())
