"""The receiver of camera pictures, by raw sockets: whatever cameras send is taken or refused, nothing is dropped in
silence, and nobody keeps anybody else waiting."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from devices.core import Device
from devices.core.errors import ConfigurationError, NotConnectedError
from devices.dcss.loop_frames import FrameInlet
from servers.axis.hosted import axis
from servers.axis.receiver import AxisReceiver, AxisSettings


def jpeg(grey: int = 200) -> bytes:
    packed = io.BytesIO()
    Image.new("L", (48, 32), grey).save(packed, "JPEG")
    return packed.getvalue()


@contextlib.asynccontextmanager
async def receiving(**words: object) -> AsyncIterator[tuple[AxisReceiver, FrameInlet, list[bytes]]]:
    inlet, taken = FrameInlet(), []
    inlet.listen(lambda frame: taken.append(frame.packed))
    receiver = AxisReceiver(inlet, AxisSettings(port=0, **words))  # type: ignore[arg-type]
    await receiver.start()
    try:
        yield receiver, inlet, taken
    finally:
        await receiver.stop()


async def said(receiver: AxisReceiver, request: bytes) -> bytes:
    """All that is answered until the connection is closed, or 0.5 s of silence."""
    reader, writer = await asyncio.open_connection(*receiver.address)
    writer.write(request)
    answer = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 0.5 if b"\r\n\r\n" in answer else 5.0):
            answer += chunk
    writer.close()
    return answer


def post(body: bytes, *headers: str, path: str = "/") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: camera", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def sized(body: bytes, kind: str) -> bytes:
    return post(body, f"Content-Type: {kind}", f"Content-Length: {len(body)}")


FORM = b"--sep\r\nContent-Disposition: form-data; name=a\r\n\r\nevent 7\r\n"


def form(*images: bytes) -> bytes:
    parts = b"".join(
        b"--sep\r\nContent-Disposition: form-data; name=image; filename=i.jpg\r\nContent-Type: image/jpeg\r\n\r\n%b\r\n"
        % each
        for each in images
    )
    return FORM + parts + b"--sep--\r\n"


@pytest.mark.parametrize("kind", ["image/jpeg", "image/jpeg; charset=binary", "IMAGE/JPEG", "application/octet-stream"])
def test_a_picture_is_taken_whatever_its_type_is_called(kind: str) -> None:
    async def run() -> None:
        async with receiving() as (receiver, inlet, taken):
            assert (await said(receiver, sized(jpeg(), kind))).startswith(b"HTTP/1.1 200 ")
            assert taken == [jpeg()] and inlet.newest is not None and inlet.newest.sequence == 1

    asyncio.run(run())


def test_header_names_may_be_lower_case() -> None:
    async def run() -> None:
        async with receiving() as (receiver, _, taken):
            body = jpeg()
            head = b"POST / HTTP/1.1\r\nhost: c\r\nconnection: close\r\ncontent-type: image/jpeg\r\n"
            head += b"content-length: %d\r\n\r\n"
            assert b" 200 " in await said(receiver, head % len(body) + body)
            assert taken == [body]

    asyncio.run(run())


def test_a_chunked_picture_is_put_together() -> None:
    async def run() -> None:
        async with receiving() as (receiver, _, taken):
            body = jpeg()
            chunks = b"".join(
                b"%x\r\n%b\r\n" % (len(body[i : i + 100]), body[i : i + 100]) for i in range(0, len(body), 100)
            )
            assert b" 200 " in await said(
                receiver, post(chunks + b"0\r\n\r\n", "Content-Type: image/jpeg", "Transfer-Encoding: chunked")
            )
            assert taken == [body]

    asyncio.run(run())


def test_a_form_gives_each_of_its_pictures() -> None:
    async def run() -> None:
        async with receiving() as (receiver, _, taken):
            answer = await said(receiver, sized(form(jpeg(10), jpeg(240)), "multipart/form-data; boundary=sep"))
            assert answer.endswith(b"1 2\n")
            assert taken == [jpeg(10), jpeg(240)]

    asyncio.run(run())


def test_a_camera_that_asks_first_is_told_to_go_on() -> None:
    async def run() -> None:
        async with receiving() as (receiver, _, taken):
            body = jpeg()
            reader, writer = await asyncio.open_connection(*receiver.address)
            writer.write(post(b"", "Content-Type: image/jpeg", f"Content-Length: {len(body)}", "Expect: 100-continue"))
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5.0)).startswith(b"HTTP/1.1 100 ")
            assert taken == []
            writer.write(body)
            assert (await asyncio.wait_for(reader.read(), 5.0)).startswith(b"HTTP/1.1 200 ")
            assert taken == [body]
            writer.close()

    asyncio.run(run())


def test_one_connection_brings_many_pictures_in_order() -> None:
    async def run() -> None:
        async with receiving() as (receiver, inlet, taken):
            reader, writer = await asyncio.open_connection(*receiver.address)
            pictures = [jpeg(grey) for grey in range(0, 250, 25)]
            for number, body in enumerate(pictures, 1):
                writer.write(b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5.0)
                assert head.startswith(b"HTTP/1.1 200 ")
                assert (await reader.readline()) == f"{number}\n".encode()
            assert taken == pictures and inlet.received == 10
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (sized(b"GIF89a" + bytes(50), "image/gif"), 415),
        (sized(b"", "image/jpeg"), 415),
        (sized(b"hello", "image/jpeg"), 415),
        (sized(FORM + b"--sep--\r\n", "multipart/form-data; boundary=sep"), 415),
        (sized(b"no form", "multipart/form-data"), 400),
        (b"GET / HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: 99999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: ten\r\n\r\n", 400),
        (
            post(b"2000\r\n" + jpeg() + bytes(0x2000 - len(jpeg())) + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
            413,
        ),
        (sized(jpeg(), "image/jpeg").replace(b"Host", b"Expect: miracles\r\nHost"), 417),
    ],
)
def test_what_is_no_picture_is_refused_and_counted(request_: bytes, status: int) -> None:
    async def run() -> None:
        async with receiving(body_bytes=4096) as (receiver, inlet, taken):
            answer = await said(receiver, request_)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()) or answer.startswith(
                f"HTTP/1.0 {status} ".encode()
            )
            assert taken == [] and inlet.received == 0
            # The next picture is taken all the same.
            assert b" 200 " in await said(receiver, sized(jpeg(), "image/jpeg"))
            assert len(taken) == 1
            if b"ten" not in request_:  # that was no request at all
                assert inlet.refused == 1 and inlet.last_refusal

    asyncio.run(run())


def test_half_a_request_keeps_nobody_waiting_and_is_closed() -> None:
    async def run() -> None:
        async with receiving(request_s=0.4, idle_s=0.4) as (receiver, inlet, taken):
            silent = await asyncio.open_connection(*receiver.address)
            half_head = await asyncio.open_connection(*receiver.address)
            half_head[1].write(b"POST / HTTP/1.1\r\nHost:")
            half_body = await asyncio.open_connection(*receiver.address)
            half_body[1].write(b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: 500\r\n\r\n" + jpeg()[:100])
            assert b" 200 " in await said(receiver, sized(jpeg(), "image/jpeg"))
            assert taken == [jpeg()]
            assert b" 408 " in await asyncio.wait_for(half_body[0].read(), 5.0)
            for reader, _ in (silent, half_head):
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 5.0) == b""
            assert receiver.timed_out == 3 and inlet.received == 1
            for _, writer in (silent, half_head, half_body):
                writer.close()

    asyncio.run(run())


def test_more_connections_than_allowed_are_closed_and_the_others_go_on() -> None:
    async def run() -> None:
        async with receiving(connections=3) as (receiver, _, taken):
            held = [await asyncio.open_connection(*receiver.address) for _ in range(3)]
            extra, extra_writer = await asyncio.open_connection(*receiver.address)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(extra.read(), 5.0) == b""
            assert receiver.turned_away == 1
            reader, writer = held[1]
            writer.write(sized(jpeg(), "image/jpeg"))
            assert b" 200 " in await asyncio.wait_for(reader.read(), 5.0)
            assert taken == [jpeg()]
            for each in (*(writer for _, writer in held), extra_writer):
                each.close()
            deadline = time.monotonic() + 5.0
            while b" 200 " not in await said(receiver, sized(jpeg(), "image/jpeg")):
                assert time.monotonic() < deadline

    asyncio.run(run())


def test_only_cameras_of_ours_may_post() -> None:
    async def run() -> None:
        import ipaddress

        async with receiving(cameras=(ipaddress.ip_network("10.4.0.0/16"),), path="/axis") as (receiver, _, taken):
            assert b" 403 " in await said(receiver, sized(jpeg(), "image/jpeg"))
            assert taken == []
        async with receiving(path="/axis") as (receiver, _, taken):
            assert b" 404 " in await said(receiver, sized(jpeg(), "image/jpeg"))
            assert b" 200 " in await said(receiver, post(jpeg(), f"Content-Length: {len(jpeg())}", path="/axis"))

    asyncio.run(run())


def test_wrong_options_are_told_all_at_once() -> None:
    class Camera(Device):
        """Takes no pictures."""

    with pytest.raises(ConfigurationError, match="takes no pictures"):
        axis(Camera("x/y/z"), {})


def test_a_taken_port_is_an_error_with_its_number() -> None:
    async def run() -> None:
        async with receiving() as (receiver, _, _taken):
            second = AxisReceiver(FrameInlet(), AxisSettings(port=receiver.address[1]))
            with pytest.raises(NotConnectedError, match=str(receiver.address[1])):
                await second.start()

    asyncio.run(run())
