"""Connections of the text protocol: pipelines, halves of lines, many clients, clients that vanish, limits."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from devices.ccd.exposure_state import ExposureState
from devices.core.errors import ConfigurationError
from servers.azcam.camera import Camera as AzcamCamera
from servers.azcam.service import AzcamService
from servers.azcam.settings import Address, AzcamSettings
from servers.azcam.site_tool import SiteTool, remote
from tests.azcam.console import Console, Served, ServerError, on_camera
from tests.support.running import until


def test_lines_of_one_segment_are_answered_each(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        found = await served.raw([b"get_par colbin\r\nexposure.expose 0.05 dark\nget_par imagetype\necho done\n"], 4)
        assert found == ["OK 1\r\n", "OK\r\n", "OK dark\r\n", "OK done\r\n"]
        many = 5000
        found = await served.raw([b"".join(b"echo %d\n" % number for number in range(many))], many)
        assert found == [f"OK {number}\r\n" for number in range(many)]

    on_camera(tmp_path, test)


def test_a_line_may_come_in_pieces(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        found = await served.raw([b"exposure.get", b"_roi\r", b"\necho ", "é".encode()[:1], "é".encode()[1:], b"\n"], 2)
        assert found == ["OK 1 60 1 40 1 1\r\n", "OK é\r\n"]

    on_camera(tmp_path, test)


@pytest.mark.parametrize("line", [b"\n", b"closeconnection\n", b"CloseConnection\r\n"])
def test_an_empty_line_is_answered_and_ends_the_connection(tmp_path: Path, line: bytes) -> None:
    async def test(served: Served) -> None:
        assert await served.raw([line], 2) == ["OK\r\n", ""]

    on_camera(tmp_path, test)


def test_what_was_sent_before_the_end_is_answered(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        def ask() -> bytes:
            host, port = served.service.endpoint.split(":")
            with socket.create_connection((host, int(port)), 10.0) as client:
                client.sendall(b"exposure.expose 0.05 dark\necho after\n")
                client.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: client.recv(4096), b""))

        assert await asyncio.to_thread(ask) == b"OK\r\nOK after\r\nOK\r\n"

    on_camera(tmp_path, test)


def test_lines_that_are_no_text_or_too_long_are_refused(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert await served.raw([b"echo \xff\xfe\n"], 1) == [
            "ERROR ValueError('a line is not UTF-8: invalid start byte')\r\n"
        ]
        found = await served.raw([b"set_image_title " + b"x" * 70_000], 2)
        assert found == ["ERROR ValueError('a line has more than 65536 bytes')\r\n", ""]
        assert await served.lines("echo well") == ["OK well"]

    on_camera(tmp_path, test)


def test_a_client_that_waits_stops_nobody(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        waiting = asyncio.create_task(served.lines("exposure.expose 60 dark"))
        await served.camera.reaches(ExposureState.EXPOSING)
        assert await served.lines("exposure.get_exposureflag", "exposure.abort") == ["OK 1 EXPOSING", "OK"]
        assert await waiting == ["ERROR AbortedError('expose was aborted')"]

    on_camera(tmp_path, test)


def test_an_exposure_outlives_the_client_that_began_it(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host, port = served.service.endpoint.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"exposure.expose 0.3 dark\n")
        await served.camera.reaches(ExposureState.EXPOSING)
        writer.transport.abort()
        await until(lambda: served.service.connections == 0, "the client is gone")
        await served.camera.reaches(ExposureState.IDLE)
        assert (served.camera.folder / "a.0001.fits").exists()

    on_camera(tmp_path, test)


def test_a_hundred_clients_are_served_at_once(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host, port = served.service.endpoint.split(":")
        clients = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(100)))
        for number, (_, writer) in enumerate(clients):
            writer.write(b"get_par rowbin\necho %d\n" % number)
        for number, (reader, writer) in enumerate(clients):
            assert await reader.readline() == b"OK 1\r\n"
            assert await reader.readline() == b"OK %d\r\n" % number
            writer.close()

    on_camera(tmp_path, test)


def test_one_client_too_many_is_told_so(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        with_one = await served.console(lambda console: _second(served))
        assert with_one == b"ERROR AzcamError('there are 1 clients already')\r\n"
        await until(lambda: served.service.connections == 0, "both are gone")
        assert await served.lines("echo again") == ["OK again"]

    def _second(served: Served) -> bytes:
        host, port = served.service.endpoint.split(":")
        with socket.create_connection((host, int(port)), 10.0) as client:
            return b"".join(iter(lambda: client.recv(4096), b""))

    on_camera(tmp_path, test, AzcamSettings(connections=1))


def test_a_client_that_does_not_read_costs_little(tmp_path: Path) -> None:
    """It is not read from any more once its answers do not leave."""

    async def test(served: Served) -> None:
        host, port = served.service.endpoint.split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        line = b"echo " + b"x" * 10_000 + b"\n"
        sent = 0
        try:
            while sent < 100_000_000:
                writer.write(line * 10)
                sent += 10 * len(line)
                await asyncio.wait_for(writer.drain(), 1.0)
        except TimeoutError:
            pass
        assert sent < 50_000_000, "the server reads on"
        assert await served.lines("echo well") == ["OK well"]
        writer.transport.abort()

    on_camera(tmp_path, test)


def test_a_token_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        asked = "ERROR AzcamError('a token is needed first: token TEXT')"
        assert await served.lines("echo hello", "exposure.get_roi", "exit") == [
            "OK hello",
            asked,
            "ERROR AzcamError('remote call not allowed: exit')",
        ]
        assert await served.lines("token open sesame", "exposure.get_roi") == ["OK", "OK 1 60 1 40 1 1"]
        assert await served.raw([b"token wrong\n"], 2) == ["ERROR AzcamError('this is not the token')\r\n", ""]

    on_camera(tmp_path, test, AzcamSettings(token="open sesame", exit=True))


def test_the_server_ends_where_clients_may_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("os.kill", lambda *what: told.append(what))

    async def test(served: Served) -> None:
        assert await served.lines("exit") == ["OK"]
        await until(lambda: told, "the process is told to end")
        assert told[0][1] == signal.SIGTERM

    on_camera(tmp_path, test, AzcamSettings(exit=True))


def test_a_welcome_is_said_where_one_is_set(tmp_path: Path) -> None:
    # Consoles read the welcome before they send anything; so `served.lines` cannot be used here.
    async def work(served: Served) -> None:
        host, port = served.service.endpoint.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"echo\n")
        assert [await reader.readline() for _ in range(2)] == [b"Welcome to tests\r\n", b"OK\r\n"]
        writer.close()

    on_camera(tmp_path, work, AzcamSettings(welcome="Welcome to tests"))


def test_a_port_is_free_again_at_once(tmp_path: Path) -> None:
    """azcam cannot start again while a client is still connected to the one before."""

    async def test(served: Served) -> None:
        address = Address("127.0.0.1", int(served.service.endpoint.split(":")[1]))
        host, port = served.service.endpoint.split(":")
        await asyncio.open_connection(host, int(port))
        await served.service.stop()
        again = AzcamService(served.camera.exposure, AzcamSettings(listen=address))
        await again.start()
        assert again.endpoint == f"{host}:{port}"
        taken = AzcamService(served.camera.exposure, AzcamSettings(listen=address))
        with pytest.raises(ConfigurationError, match="cannot listen: "):
            await taken.start()
        await again.stop()

    on_camera(tmp_path, test)


class Mods(SiteTool):
    """A site's tool, as MODS has one."""

    name = "mods"

    @remote
    async def expose(self, seconds: float, name: str = "flat", count: int = 1) -> str:
        """Take an image as this site does."""
        for _ in range(count):
            await self.camera.tool("exposure").done("expose", seconds=seconds, image_type=name)
        return str(self.camera.tool("exposure").value("last_filename"))

    @remote
    def timeleft(self) -> str:
        return "WARNING nothing runs"

    @remote
    def regions(self, numbers: list[int], is_binned: bool = False) -> list[int]:
        return [2 * each for each in numbers] if is_binned else numbers

    def hidden(self) -> None:
        raise AssertionError("nobody may call this")


class Broken(SiteTool):
    """Its types are unknown."""

    name = "broken"

    @remote
    def work(self, what: AzcamCamera) -> None: ...


class Rival(SiteTool):
    """Its name is taken."""

    name = "exposure"

    @remote
    def expose(self) -> None: ...


def test_a_sites_own_tool_is_called_like_the_others(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert await served.lines("mods.expose 0.01 count=2") == [f"OK {served.camera.folder}/a.0002.fits"]
        assert await served.lines("mods.timeleft") == ["WARNING nothing runs"]
        assert await served.lines("mods.regions '[1, 2]' 1", "mods.regions 4") == ["OK 2 4", "OK 4"]
        assert await served.lines("mods.hidden", "mods.expose") == [
            "ERROR AttributeError(\"'mods' object has no attribute 'hidden'\")",
            "ERROR BadValueError('seconds is missing')",
        ]

    on_camera(tmp_path, test, AzcamSettings(site=(f"{__name__}:Mods",)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nosuch.module:Tool", "cannot be imported"),
        (f"{__name__}:Nosuch", "cannot be imported"),
        ("pathlib:Path", "is no SiteTool with a name"),
        (f"{__name__}:Broken", "has the type .*Camera"),
        (f"{__name__}:Rival", "exposure.initialize is taken"),
    ],
)
def test_a_sites_tool_that_is_none_is_told(tmp_path: Path, path: str, text: str) -> None:
    async def test(served: Served) -> None:
        service = AzcamService(served.camera.exposure, AzcamSettings(site=(path,)))
        with pytest.raises(ConfigurationError, match=text):
            await service.start()

    on_camera(tmp_path, test)


def test_a_console_gets_texts_lists_and_errors(tmp_path: Path) -> None:
    def session(console: Console) -> None:
        assert console.command("exposure.abort") is None
        assert console.command("exposure.get_image_type") == "zero"
        assert console.command("exposure.get_roi") == ["1", "60", "1", "40", "1", "1"]
        console.command('exposure.set_keyword NOTE "an apostrophe\'s end" \'and "quotes"\'')
        assert console.command("exposure.get_keyword NOTE") == ["an apostrophe's end", 'and "quotes"', "str"]
        with pytest.raises(ServerError, match="RangeError"):
            console.command("exposure.set_image_type 'it''s'")
        assert console.command("get_par nosuch azcamconsole") is None
        assert console.command("get_par exposuretime None") == "1.0"

    on_camera(tmp_path, lambda served: served.console(session))
