"""Frames that a recorder sends over stream sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest
from frames import Published, pixels, raw_frame, running, until

from devices.core.errors import BadValueError, BusyError, NotAllowedError, NotConnectedError, UnknownNameError
from devices.daq.sources.unix_sockets import UnixSockets
from devices.drivers.pff import product


def message(module: int, index: int, name: str = "img16", nsec: int | None = None) -> bytes:
    return module.to_bytes(2, "big") + raw_frame(index, name, nsec=nsec).bytes


def connected(folder: Path, name: str = "img16") -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(5.0)
    link.connect(str(folder / f"daq.{name}.sock"))
    return link


def sockets(published: Published, folder: Path, **options: object) -> UnixSockets:
    return UnixSockets(published, str(folder / "daq.{dp_name}.sock"), **options)  # type: ignore[arg-type]


def test_frames_of_all_products_and_modules_arrive_whole(tmp_path: Path) -> None:
    async def work() -> None:
        published = Published()
        async with running(sockets(published, tmp_path)):
            for place, name in enumerate(("img16", "img8", "ph256", "ph1024")):
                with connected(tmp_path, name) as link:
                    link.sendall(message(254 + place, 10 * place, name) + message(3, 10 * place + 1, name))
                    await published.count(2 * place + 2)
        assert [(f.product.name, f.module, f.file, f.number, f.quabo) for f in published.frames] == [
            ("img16", 254, "uds_img16", 0, 0),
            ("img16", 3, "uds_img16", 1, 0),
            ("img8", 255, "uds_img8", 0, 0),
            ("img8", 3, "uds_img8", 1, 0),
            ("ph256", 256, "uds_ph256", 0, 2),
            ("ph256", 3, "uds_ph256", 1, 2),
            ("ph1024", 257, "uds_ph1024", 0, 0),
            ("ph1024", 3, "uds_ph1024", 1, 0),
        ]
        assert published.frames[-1].pixels == pixels(31, product("ph1024"))

    asyncio.run(work())


def test_a_header_may_change_its_length_and_the_module_may_look_like_one(tmp_path: Path) -> None:
    """Module 31522 is ``{"`` in ASCII; free-running clocks have a digit more."""
    wanted = [(31522, 0, None), (31522, 1, 2_146_239_299), (31611, 2, 1_000_000_000), (0, 3, 5), (65535, 4, None)]
    stream = b"".join(message(module, index, nsec=nsec) for module, index, nsec in wanted)

    async def work() -> None:
        published = Published()
        async with running(sockets(published, tmp_path)) as source:
            with connected(tmp_path) as link:
                for at in range(0, len(stream), 611):
                    link.sendall(stream[at : at + 611])
                    await asyncio.sleep(0)  # so that it comes in pieces
                await published.count(5)
            assert [frame.module for frame in published.frames] == [module for module, _, _ in wanted]
            assert [frame.fields["quabo_1"]["pkt_num"] for frame in published.frames] == [0, 1, 2, 3, 4]
            assert source.skipped_bytes == 0

    asyncio.run(work())


def test_damage_costs_what_is_damaged(tmp_path: Path) -> None:
    async def work() -> None:
        published = Published()
        async with running(sockets(published, tmp_path)) as source:
            with connected(tmp_path) as link:
                link.sendall(message(7, 0) + b"\n\n*noise" + message(8, 1) + message(9, 2)[40:] + message(10, 3))
                await published.count(3)
            assert [frame.module for frame in published.frames] == [7, 8, 10]
            assert source.skipped_bytes == 8 + len(message(9, 2)) - 40

    asyncio.run(work())


def test_several_connections_at_once_count_for_themselves(tmp_path: Path) -> None:
    async def work() -> None:
        published = Published()
        async with running(sockets(published, tmp_path)) as source:
            assert isinstance(source, UnixSockets)
            with connected(tmp_path) as quiet, connected(tmp_path) as first, connected(tmp_path) as second:
                await until(lambda: len(source.connections) == 3)
                first.sendall(message(1, 0) + message(1, 1)[:900])
                await published.count(1)
                second.sendall(message(2, 5))
                await published.count(2)
                first.sendall(message(1, 1)[900:])
                await published.count(3)
                quiet.sendall(message(4, 9))
                await published.count(4)
            await until(lambda: not source.connections)
        assert [(frame.module, frame.number) for frame in published.frames] == [(1, 0), (2, 0), (1, 1), (4, 0)]

    asyncio.run(work())


def test_the_sockets_are_for_their_owner_and_go_with_the_source(tmp_path: Path) -> None:
    path = tmp_path / "daq.img8.sock"

    async def work() -> None:
        async with running(sockets(Published(), tmp_path, products=["img8"])):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.listdir(tmp_path) == [path.name]
        assert not path.exists()
        async with running(sockets(Published(), tmp_path, products=["img8"], mode=0o660)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660

    asyncio.run(work())


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "daq.img16.sock"))

    async def work() -> None:
        published = Published()
        async with running(sockets(published, tmp_path)):
            with connected(tmp_path) as link:
                link.sendall(message(1, 0))
                await published.count(1)

    asyncio.run(work())


def test_what_is_not_its_own_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "daq.img16.sock"

    async def begin() -> None:
        async with running(sockets(Published(), tmp_path)):
            pass

    path.write_text("a letter")
    with pytest.raises(NotAllowedError, match="is no socket"):
        asyncio.run(begin())
    assert path.read_text() == "a letter"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(path))
        served.listen()
        with pytest.raises(BusyError, match="in use"):
            asyncio.run(begin())
    path.unlink()
    path.symlink_to(tmp_path / "target")
    with pytest.raises(NotAllowedError, match="is no socket"):
        asyncio.run(begin())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a socket of another user")
def test_a_socket_of_another_user_stays(tmp_path: Path) -> None:
    path = tmp_path / "daq.img16.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    os.chown(path, 12345, -1)

    async def begin() -> None:
        async with running(sockets(Published(), tmp_path)):
            pass

    with pytest.raises(NotAllowedError, match="another user, number 12345"):
        asyncio.run(begin())
    assert path.exists()


def test_templates_that_cannot_work_say_so(tmp_path: Path) -> None:
    with pytest.raises(BadValueError, match="dp_name"):
        UnixSockets(Published(), "/tmp/one.sock")
    with pytest.raises(UnknownNameError, match="img32"):
        UnixSockets(Published(), "/tmp/{dp_name}", products=["img32"])

    async def begin(folder: Path) -> None:
        async with running(sockets(Published(), folder)):
            pass

    with pytest.raises(NotConnectedError, match="nowhere"):
        asyncio.run(begin(tmp_path / "nowhere"))
    with pytest.raises(NotConnectedError, match="too long"):
        asyncio.run(begin(tmp_path / ("long" * 40)))
