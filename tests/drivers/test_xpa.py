"""XPA over real sockets, against a program of the tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devices.core.errors import (
    BadValueError,
    NotConnectedError,
    ProtocolError,
    RefusedError,
    StorageError,
    TimeoutError,
)
from devices.drivers.ds9 import Ds9, XpaLink
from devices.drivers.xpa import AccessPoint, NameServer
from tests.support.xpa_peer import xpa_peer


def test_the_name_server_knows_programs_that_listen_on_tcp() -> None:
    async def work() -> None:
        async with xpa_peer() as peer:
            server = NameServer(port=peer.name_server_port, timeout_s=5.0)
            assert await server.look_up("DS9:*") == [AccessPoint("127.0.0.1", peer.port, "DS9:tests", 5.0)]
            assert await server.look_up("IRAF:*") == []
            with pytest.raises(NotConnectedError, match="knows no DS9:left on TCP"):
                await server.find("DS9:left")
            with pytest.raises(BadValueError, match="is not a name"):
                await server.look_up("DS9:a b")

    asyncio.run(work())


def test_what_is_asked_comes_whole_and_what_is_told_arrives_with_its_file(tmp_path: Path) -> None:
    content = bytes(range(251)) * 20_000  # 5 MB: many pieces

    async def work() -> None:
        await asyncio.to_thread((tmp_path / "image.fits").write_bytes, content)
        async with xpa_peer() as peer:
            peer.answers["version"] = b"tests 8.4.1\n"
            peer.answers["data"] = content
            point = AccessPoint("127.0.0.1", peer.port, "DS9:tests", 5.0)
            assert await point.get("version") == b"tests 8.4.1\n"
            assert await point.get("data") == content
            await point.set("fits image.fits", tmp_path / "image.fits")
            await point.set("zoom 2")
            assert peer.told == [("fits image.fits", content), ("zoom 2", b"")]

    asyncio.run(work())


def test_refusals_have_the_words_of_the_program(tmp_path: Path) -> None:
    async def work() -> None:
        async with xpa_peer() as peer:
            point = AccessPoint("127.0.0.1", peer.port, "DS9:tests", 5.0)
            with pytest.raises(RefusedError, match=r"DS9:tests refuses: undefined command for this xpa$"):
                await point.get("nonsense")
            peer.refuses["fits"] = "Unable to load fits"
            with pytest.raises(RefusedError, match=r"Unable to load fits$"):
                await point.set("fits", b"no FITS file")
            with pytest.raises(BadValueError, match="not one line"):
                await point.set("zoom 2\nquit")
            with pytest.raises(StorageError, match=r"gone\.fits cannot be read: No such file"):
                await point.set("fits", tmp_path / "gone.fits")

    asyncio.run(work())


def test_a_program_that_is_away_silent_or_something_else_is_told_apart() -> None:
    async def work() -> None:
        async with xpa_peer() as peer:
            peer.answers["imexam"] = None
            point = AccessPoint("127.0.0.1", peer.port, "DS9:tests", 0.2)
            with pytest.raises(TimeoutError, match=r"nothing came for 0\.2 s"):
                await point.get("imexam")
            nobody = peer.port
        with pytest.raises(NotConnectedError, match=f"127.0.0.1:{nobody}: Connection refused"):
            await AccessPoint("127.0.0.1", nobody, timeout_s=5.0).get("version")

        async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"HTTP/1.1 400 Bad Request\r\n")
            writer.close()

        server = await asyncio.start_server(web, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ProtocolError, match="is not XPA"):
            await AccessPoint("127.0.0.1", port, timeout_s=5.0).get("version")
        with pytest.raises(ProtocolError, match="name server"):
            await NameServer(port=port, timeout_s=5.0).look_up("DS9:*")
        server.close()

    asyncio.run(work())


def test_regions_of_every_shape_are_read_and_names_of_files_cannot_be_commands(tmp_path: Path) -> None:
    async def work() -> None:
        path = tmp_path / "a [1]; quit {}.fits"
        await asyncio.to_thread(path.write_bytes, b"SIMPLE")
        async with xpa_peer() as peer:
            ds9 = Ds9(XpaLink(NameServer(port=peer.name_server_port), "tests"))
            peer.answers["regions -format ds9 -system image -strip yes"] = (
                b"image;box(10.5,8.5,4,6,0);-circle(20,20,3);# tile 2;box(8.5,14.5,-4,-6,30);\n"
            )
            assert await ds9.shapes() == [
                ("box", (10.5, 8.5, 4.0, 6.0, 0.0)),
                ("circle", (20.0, 20.0, 3.0)),
                ("box", (8.5, 14.5, -4.0, -6.0, 30.0)),
            ]
            await ds9.show(path, 3)
            assert [words for words, _ in peer.told] == ["preserve regions yes", "fits a__1___quit___.fits[3]"]

    asyncio.run(work())
