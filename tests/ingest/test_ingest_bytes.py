"""Requests byte by byte, as nodes, curl and strangers spell them; the expected bytes are written by hand."""

from __future__ import annotations

import asyncio
import io
import math
import socket
import struct

import numpy as np
import pytest

from devices.core.errors import BadValueError
from devices.drivers.correlator_message import MessageName, mjd_of
from devices.drivers.correlator_npy import npy_header
from servers.ingest.settings import Listening
from tests.ingest.station import ISOT, LATER, SMALL, answer_of, exchange, node_body, request, serving, sub_band, until

SHORT = f"/sb01_IMG{ISOT}.npy"
#: 382.5 m = 0x4077E80000000000 and 71.25 deg = 0x4051D00000000000, the least significant byte first.
LONG = f"/sb01_IMG{ISOT}_UV0000000000e87740_DE0000000000d05140.npy"
GOLDEN = (
    b"PUT /sb01_IMG2026-11-21T03:12:04.215.npy HTTP/1.1\r\nHost: 10.41.0.254:8843\r\nAccept-Encoding: identity\r\n"
    b"User-Agent: curl/7.78.0\r\nAccept: */*\r\nReferer: rbose\r\nContent-Length: 1568\r\nExpect: 100-continue\r\n\r\n"
    b"\x93NUMPY\x01\x00\x00{'descr': '<f8', 'fortran_order': False, 'shape': (6, 6, 5), }"
    + b" " * 56 + b"\n"
)  # fmt: skip


def test_a_name_says_sub_band_time_baseline_and_declination():
    assert MessageName.parse(LONG) == MessageName(1, ISOT, 382.5, 71.25)
    assert MessageName.parse(LONG).target() == LONG
    short = MessageName.parse(SHORT)
    assert (short.sub_band, short.isot, short.target()) == (1, ISOT, SHORT)
    assert math.isnan(short.uv_diag_m) and math.isnan(short.dec_deg)
    assert MessageName.parse(f"/_h23_IMG{ISOT}.npy").sub_band is None
    assert MessageName.parse(f"/sb15_IMG{ISOT}.npy").sub_band == 15
    assert mjd_of("2023-10-03T21:56:46.215") == pytest.approx(60220 + (21 * 3600 + 56 * 60 + 46.215) / 86400, abs=1e-9)


@pytest.mark.parametrize(
    "target",
    [
        "/", "/index.html", "/sb1_IMG2026-11-21T03:12:04.215.npy", "/sb01_IMG.npy",
        "/sb01_IMG2026-13-21T03:12:04.215.npy",
        "/sb01_IMG2026-11-21T25:12:04.215.npy", "/sb01_IMG2026-11-21 03:12:04.npy", "/sb01_IMG../../etc/passwd.npy",
        "/sb01_IMG$(reboot).npy", "/sb01_IMG2026-11-21T03:12:04.215.npy;x", "/../sb01_IMG2026-11-21T03:12:04.215.npy",
        f"/sb01_IMG{ISOT}_UV0000000000e87740.npy", f"/sb01_IMG{ISOT}_UV000000000000f07f_DE0000000000d05140.npy",
        f"/sb01_IMG{ISOT}_UV0000000000e87740_DE0000000000e87740.npy", "/sb٠١_IMG2026-11-21T03:12:04.215.npy",
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_refused(target):
    with pytest.raises(BadValueError):
        MessageName.parse(target)


def test_the_bytes_of_a_node_become_a_sub_band_and_its_answer_ends_with_the_digit():
    async def check():
        async with serving(policy={"wait_s": 0.05}) as station:
            sent = GOLDEN + struct.pack("<180d", *range(180))
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(sent)
            answer = await reader.readuntil(b"0\n")
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n\r\n"
                b"File Received, Process Server Status: 0\n"
            )
            await until(lambda: bool(station.gulps))
            writer.close()
            gulp = station.gulps[0]
            assert gulp.isot == ISOT and gulp.missing == 2 and gulp.present.tolist() == [False, True, False]
            # Time is fastest in what nodes send: pixel (y, x), sample t is number 30 y + 5 x + t.
            assert gulp.cube[1, 3, 2, 4] == 30 * 2 + 5 * 4 + 3
            assert np.isnan(gulp.cube[[0, 2]]).all()

    asyncio.run(check())


def genuine(version: tuple[int, int], array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


BODIES = {
    "float32 of a node": (node_body(1, dtype="<f4"), 4),
    "float16 of a node": (node_body(1, dtype="<f2"), 2),
    "int16 of a node": (node_body(1, dtype="<i2"), 3),
    "int32 of a node": (node_body(1, dtype="<i4"), 5),
    "int64 of a node": (node_body(1, dtype="<i8"), 9),
    "long double of a node": (node_body(1, dtype="longdouble"), 16),
    "npy 1": (genuine((1, 0), sub_band(1)), 8),
    "npy 2": (genuine((2, 0), sub_band(1)), 8),
    "npy 3": (genuine((3, 0), sub_band(1)), 8),
    "big endian": (genuine((1, 0), sub_band(1).astype(">f4")), 8),
    "big endian integers": (genuine((1, 0), sub_band(1).astype(">i2")), 8),
    "Fortran order": (genuine((1, 0), np.asfortranarray(sub_band(1))), 8),
    "a channel axis of 1": (genuine((1, 0), sub_band(1)[..., np.newaxis]), 8),
}


@pytest.mark.parametrize(("body", "datasize"), BODIES.values(), ids=BODIES)
def test_a_sub_band_arrives_whatever_its_type_and_order(body, datasize):
    async def check():
        async with serving(policy={"wait_s": 0.05}, datasize=datasize) as station:
            assert await exchange(station.port, request(LONG, body)) == (
                200,
                "File Received, Process Server Status: 0\n",
            )
            await until(lambda: bool(station.gulps))
            gulp = station.gulps[0]
            # float16 has 11 bits: 1505 and the like are rounded to even numbers.
            np.testing.assert_allclose(gulp.cube[1], sub_band(1).transpose(2, 0, 1), atol=1.0 if datasize == 2 else 0)
            assert (gulp.uv_diag_m, gulp.dec_deg) == (382.5, 71.25)

    asyncio.run(check())


def test_a_float64_beyond_float32_is_infinite_and_int8_is_signed():
    async def check():
        array = np.zeros((6, 6, 5))
        array[5, 4, 3] = -1e300
        async with serving(policy={"wait_s": 0.05}) as station:
            await exchange(station.port, request(SHORT, genuine((1, 0), array)))
            await exchange(
                station.port, request(SHORT.replace("sb01", "sb02"), genuine((1, 0), np.int8(array > -1) - 9))
            )
            await until(lambda: bool(station.gulps))
            assert station.gulps[0].cube[1, 3, 5, 4] == -np.inf
            assert station.gulps[0].cube[2, 0, 0, 0] == -8.0

    asyncio.run(check())


def damaged(change) -> bytes:
    body = bytearray(node_body(1))
    change(body)
    return bytes(body)


WRONG = {
    "no magic": (damaged(lambda body: body.__setitem__(0, 0)), 1),
    "an unknown version": (damaged(lambda body: body.__setitem__(6, 9)), 1),
    "no shape": (damaged(lambda body: body.__setitem__(slice(9, 128), b" " * 119)), 1),
    "only magic": (b"\x93NUMPY", 1),
    "nothing": (b"", 1),
    "too short": (node_body(1)[:-8], 2),
    "too long": (node_body(1) + bytes(8), 2),
    "another shape of the same length": (genuine((1, 0), sub_band(1).reshape(5, 6, 6)), 4),
    "another shape": (genuine((1, 0), np.zeros((6, 6, 4))), 6),
    "float32 in the place of float64": (node_body(1, dtype="<f4"), 2),
    "complex numbers": (genuine((1, 0), np.zeros((6, 6, 5), np.complex64)), 1),
    "a header longer than the body": (genuine((1, 0), sub_band(1))[:8] + b"\xff\xff" + bytes(99), 1),
}


@pytest.mark.parametrize(("body", "digit"), WRONG.values(), ids=WRONG)
def test_a_damaged_sub_band_is_named_by_its_digit_and_its_connection_stays(body, digit):
    async def check():
        async with serving() as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(request(SHORT, body) + request(SHORT, node_body(1)))
            status, text = await answer_of(reader)
            assert (status, text[-2:]) == (400, f"{digit}\n")
            assert await answer_of(reader) == (200, "File Received, Process Server Status: 0\n")
            writer.close()
            assert station.nodes[1].resent == 1 and station.nodes[1].stored == 1

    asyncio.run(check())


HEADS = {
    "no length": (b"PUT " + SHORT.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n", 411),
    "chunks": (b"PUT " + SHORT.encode() + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "another coding": (b"PUT " + SHORT.encode() + b" HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "two lengths": (b"PUT /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
    "length and chunks": (b"PUT /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a negative length": (b"PUT /a HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
    "a length of 10^12": (b"PUT " + SHORT.encode() + b" HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n", 413),
    "a length of 30 digits": (b"PUT /a HTTP/1.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "another method": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "another version": (b"PUT / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "another expectation": (b"PUT / HTTP/1.1\r\nContent-Length: 0\r\nExpect: coffee\r\n\r\n", 417),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
    "a folded header": (b"PUT / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    "a blank before the colon": (b"PUT / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", 400),
    "a name of 300 characters": (b"PUT /" + b"a" * 300 + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 414),
    "a head of 16 KiB": (b"PUT / HTTP/1.1\r\nX: " + b"a" * 16384, 431),
    "a name that is none": (b"PUT /etc/passwd HTTP/1.1\r\nContent-Length: 4\r\n\r\nroot", 400),
}


@pytest.mark.parametrize(("sent", "status"), HEADS.values(), ids=HEADS)
def test_a_wrong_head_is_answered_with_its_status_a_digit_and_an_end(sent, status):
    async def check():
        async with serving() as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(sent)
            got, text = await answer_of(reader)
            assert (got, text[-1]) == (status, "\n") and text[-2].isdigit()
            assert await reader.read() == b""
            writer.close()
            assert station.service.counts.refused == 1

    asyncio.run(check())


def test_a_request_may_be_split_anywhere():
    async def check():
        sent = request(LONG, node_body(1), "Expect: 100-continue")
        head = sent.index(b"\r\n\r\n") + 4
        async with serving(policy={"duplicates": "last"}) as station:
            for split in range(1, head + 140):
                reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
                connections = station.service.connections
                writer.write(sent[:split])
                await until(lambda before=connections: station.service.connections >= before)
                await asyncio.sleep(0)
                writer.write(sent[split:])
                status, text = await answer_of(reader)
                if status == 100:
                    status, text = await answer_of(reader)
                assert (status, text[-2]) == (200, "0"), split
                writer.close()

    asyncio.run(check())


def test_bytes_may_come_one_by_one():
    async def check():
        sent = request(SHORT, node_body(1))
        async with serving() as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            for byte in sent:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert await answer_of(reader) == (200, "File Received, Process Server Status: 0\n")
            writer.close()

    asyncio.run(check())


def test_several_messages_come_over_one_connection_also_at_once():
    async def check():
        async with serving() as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(
                b"".join(
                    request(f"/sb{channel:02d}_IMG{isot}.npy", node_body(channel))
                    for isot in (ISOT, LATER)
                    for channel in (2, 0, 1)
                )
            )
            for _ in range(6):
                assert await answer_of(reader) == (200, "File Received, Process Server Status: 0\n")
            writer.close()
            assert [gulp.isot for gulp in station.gulps] == [ISOT, LATER]
            for gulp in station.gulps:
                assert gulp.present.all() and gulp.cube[2, 4, 3, 1] == 2000 + 300 + 10 + 4
            assert station.nodes[2].resent == 0

    asyncio.run(check())


def test_lines_may_end_with_lf_alone_and_http_1_0_ends_its_connection():
    async def check():
        async with serving() as station:
            body = node_body(1)
            head = f"PUT {SHORT} HTTP/1.0\nContent-Length: {len(body)}\n\n".encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(head + body)
            assert (await answer_of(reader))[0] == 200
            assert await reader.read() == b""
            writer.close()

    asyncio.run(check())


def test_a_client_that_waits_for_100_continue_is_told_to_go_on_or_refused_before_it_sends():
    async def check():
        async with serving() as station:
            body = node_body(1)
            sent = request(SHORT, body, "Expect: 100-continue")
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(sent[: -len(body)])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await answer_of(reader))[0] == 200
            writer.write(sent[: -len(body)].replace(b"Content-Length: 1568", b"Content-Length: 99999999"))
            assert (await answer_of(reader))[0] == 413
            writer.close()

    asyncio.run(check())


def test_a_client_that_sends_everything_before_it_reads_gets_the_refusal_too():
    async def check():
        async with serving() as station:
            assert (await exchange(station.port, request(SHORT, bytes(4_000_000))))[0] == 413

    asyncio.run(check())


def test_a_client_that_closes_its_half_gets_its_answer():
    async def check():
        async with serving() as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(request(SHORT, node_body(1)))
            writer.write_eof()
            assert (await answer_of(reader))[0] == 200
            assert await reader.read() == b""
            writer.close()

    asyncio.run(check())


def test_a_length_that_is_too_large_ends_with_408_and_one_too_small_with_400_and_its_rest_with_408():
    async def check():
        body = node_body(1)
        async with serving(silence_s=0.2) as station:
            sent = request(SHORT, body)
            status, text = await exchange(station.port, sent.replace(b": 1568", b": 1600"))
            assert (status, text[-2]) == (408, "2")
            assert "1568 of 1600 byte" in text
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(sent.replace(b": 1568", b": 1500"))
            digits = []
            for _ in range(2):  # the array without its end, and the end taken for another request
                status, text = await answer_of(reader)
                digits.append((status, text[-2]))
            assert digits == [(400, "2"), (408, "1")]
            writer.close()

    asyncio.run(check())


def test_a_slow_client_is_ended_and_delays_no_other():
    async def check():
        async with serving(silence_s=5.0, request_s=0.5) as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)

            async def drip():
                for byte in request(SHORT, node_body(1)):
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.01)

            dripping = asyncio.create_task(drip())
            status, _ = await exchange(station.port, request(SHORT.replace("sb01", "sb02"), node_body(2)))
            assert status == 200
            status, text = await answer_of(reader)
            assert (status, text[-2]) == (408, "1")
            dripping.cancel()
            writer.close()

    asyncio.run(check())


def test_a_connection_that_is_idle_ends_without_an_answer():
    async def check():
        async with serving(idle_s=0.1) as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            assert await asyncio.wait_for(reader.read(), 5.0) == b""
            writer.close()
            await until(lambda: station.service.connections == 0)

    asyncio.run(check())


def test_one_connection_too_many_is_told_so():
    async def check():
        async with serving(connections=2) as station:
            first = [await asyncio.open_connection("127.0.0.1", station.port) for _ in range(2)]
            await until(lambda: station.service.connections == 2)
            assert (await exchange(station.port, request(SHORT, node_body(1))))[0] == 503
            for _, writer in first:
                writer.close()
            await until(lambda: station.service.connections == 0)
            assert (await exchange(station.port, request(SHORT, node_body(1))))[0] == 200

    asyncio.run(check())


def test_more_bodies_than_buffers_wait_for_each_other():
    async def check():
        async with serving(bodies=1) as station:
            sent = [request(f"/sb{channel:02d}_IMG{ISOT}.npy", node_body(channel)) for channel in range(3)]
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(sent[0][:-1])  # has the only buffer
            await until(lambda: station.service.connections == 1)
            others = [asyncio.create_task(exchange(station.port, each)) for each in sent[1:]]
            await until(lambda: station.service.connections == 3)
            writer.write(sent[0][-1:])
            assert (await answer_of(reader))[0] == 200
            assert [status for status, _ in await asyncio.gather(*others)] == [200, 200]
            writer.close()
            assert station.gulps[0].present.all()

    asyncio.run(check())


def test_a_token_is_asked_for():
    async def check():
        async with serving(token="correct horse") as station:
            sent = request(SHORT, node_body(1))
            status, text = await exchange(station.port, sent)
            assert (status, text[-2]) == (401, "8")
            wrong = request(SHORT, node_body(1), "Authorization: Bearer correct horsf")
            assert (await exchange(station.port, wrong))[0] == 401
            right = request(SHORT, node_body(1), "Authorization: Bearer correct horse")
            assert (await exchange(station.port, right))[0] == 200

    asyncio.run(check())


def test_the_sub_band_is_told_by_name_address_or_port_in_the_order_that_is_set():
    async def check(target, expected, **settings):
        async with serving(policy={"wait_s": 0.05}, **settings) as station:
            status, _ = await exchange(station.port, request(target, node_body(1)))
            if expected is None:
                assert status == 400 and station.service.counts.unknown == 1
                return
            await until(lambda: bool(station.gulps))
            assert np.flatnonzero(station.gulps[0].present).tolist() == [expected]

    tag = f"/_h23_IMG{ISOT}.npy"
    here = {"127.0.0.1": 2}
    port = (Listening("127.0.0.1", 0, sub_band=0),)
    asyncio.run(check(SHORT, 1, addresses=here))
    asyncio.run(check(SHORT, 2, addresses=here, order=("address", "name")))
    asyncio.run(check(tag, 2, addresses=here))
    asyncio.run(check(tag, 0, listen=port, order=("port",)))
    asyncio.run(check(SHORT, 0, listen=port, order=("port", "name")))
    asyncio.run(check(tag, None))
    asyncio.run(check("/sb03_IMG" + ISOT + ".npy", None))  # of three: sb00 to sb02


def test_one_client_plays_all_sub_bands():
    async def check():
        async with serving(one_client=True) as station:
            for channel in range(SMALL.channels):
                await exchange(station.port, request(f"/_h23_IMG{ISOT}.npy", node_body(channel)))
            assert station.gulps[0].present.all()
            assert station.gulps[0].cube[:, 0, 0, 0].tolist() == [0.0, 1000.0, 2000.0]

    asyncio.run(check())


def test_a_header_of_numpy_is_the_one_that_the_client_sends():
    array = sub_band(1).astype(">f4")
    assert npy_header(array) + array.tobytes() == genuine((1, 0), array)


def test_a_client_that_reads_no_answers_is_ended():
    async def check():
        async with serving() as station:
            client = socket.create_connection(("127.0.0.1", station.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            _, writer = await asyncio.open_connection(sock=client)
            writer.transport.pause_reading()
            # Each is answered with 300 byte.
            sent = b"PUT /" + b"a" * 75 + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
            try:
                for _ in range(2000):
                    writer.write(sent * 50)
                    await asyncio.wait_for(writer.drain(), 20.0)
                    if not station.service.connections:
                        break
            except ConnectionError:
                pass
            await until(lambda: station.service.connections == 0)
            writer.close()

    asyncio.run(check())
