"""Frames from the packets of quabos, over UDP."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from frames import Published, running, until
from pcapng import datagrams, ethernet_frames

from devices.core.errors import NotConnectedError
from devices.daq.sources.quabo_udp import QuaboUdp
from devices.drivers.pff import Stamp, stamps
from devices.drivers.quabo import QuaboPacket, decode_packet, encode_packet
from devices.drivers.white_rabbit import host_offset_s, unix_ns

CAPTURE = (
    Path(__file__).resolve().parents[3]
    / "shared/data/panoseti/PH_onsky_NGC7331_1pixTrig_Anytrig1.5pe__20250801_102213_965_filtered2.pcapng"
)
needs_capture = pytest.mark.skipif(not CAPTURE.exists(), reason="needs the PANOSETI capture of ../shared/data")
PULSE_HEIGHT, IMAGE_16, IMAGE_8 = 1, 2, 6


def packet(
    quabo: int, *, mode: int = IMAGE_16, number: int = 5, nsec: int = 1000, tai: int = 700, module: int = 254
) -> bytes:
    """Pixels are all different: row * 16 + column, and 300 more for each quabo; 8 bits: less of it."""
    values = np.arange(256).reshape(16, 16)
    if mode == PULSE_HEIGHT:
        pixels = (values - 100 + 300 * quabo).astype("<i2")
    else:
        pixels = (values + 300 * quabo).astype("<u2") if mode < IMAGE_8 else (values % 50 + 50 * quabo).astype("u1")
    return encode_packet(QuaboPacket(mode, module, quabo, number, tai, nsec, pixels))


@contextmanager
def sending(source: QuaboUdp) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect(source.address)
        yield link


def receiver(published: Published, **options: object) -> QuaboUdp:
    return QuaboUdp(published, port=0, **options)  # type: ignore[arg-type]


def placed(image: np.ndarray, quabo: int, row: int, column: int) -> int:
    """Where hashpipe puts a quabo's pixel into a module's image."""
    i, j = row, column
    place = {0: (j, 15 - i), 1: (15 - i, 31 - j), 2: (31 - j, 16 + i), 3: (16 + i, j)}[quabo]
    return int(image[place])


@pytest.mark.parametrize(("mode", "name"), [(2, "img16"), (3, "img16"), (6, "img8"), (7, "img8")])
def test_four_quabos_make_the_image_of_their_module(mode: int, name: str) -> None:
    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                for quabo in (2, 0, 3, 1):
                    link.send(packet(quabo, mode=mode, nsec=1000 + 30 * quabo, number=65535))
                (frame,) = await published.count(1)
        assert (frame.product.name, frame.module, frame.file, frame.number) == (name, 254, f"udp_{name}", 0)
        for quabo in range(4):
            pixels = decode_packet(packet(quabo, mode=mode)).pixels
            for row, column in ((0, 0), (0, 15), (15, 0), (3, 11), (15, 15)):
                assert placed(frame.image, quabo, row, column) == pixels[row, column], (quabo, row, column)
        assert [(s.pkt_num, s.pkt_tai, s.pkt_nsec) for s in stamps(frame.fields)] == [
            (65535, 700, 1000),
            (65535, 700, 1030),
            (65535, 700, 1060),
            (65535, 700, 1090),
        ]
        assert source.partial == 0

    asyncio.run(work())


def test_an_image_without_a_quabo_ends_when_the_next_begins() -> None:
    """The clocks of one frame agree to 100 ns; the second frame is 101 ns after the earliest of the first."""

    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                link.send(packet(0, nsec=999_999_950))
                link.send(packet(3, nsec=50, tai=701))  # 100 ns later: the same frame
                for quabo in range(4):
                    link.send(packet(quabo, nsec=51, tai=701, number=6))
                first, second = await published.count(2)
        assert [s.tv_sec > 0 for s in stamps(first.fields)] == [True, False, False, True]
        assert not first.image[:16, 16:].any() and not first.image[16:, 16:].any()
        assert first.image[:16, :16].any() and first.image[16:, :16].any()
        assert {s.pkt_num for s in stamps(second.fields)} == {6}
        assert source.partial == 1

    asyncio.run(work())


def test_an_image_without_a_quabo_ends_by_itself() -> None:
    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                link.send(packet(1))
                (frame,) = await published.count(1)
                link.send(packet(2))
                await published.count(2)
        assert placed(frame.image, 1, 0, 0) == 300
        assert [frame.number for frame in published.frames] == [0, 1]

    asyncio.run(work())


def test_the_clock_wraps_after_1024_s_within_a_frame() -> None:
    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                for quabo, (tai, nsec) in enumerate([(1023, 999_999_990), (0, 5), (1023, 999_999_999), (0, 0)]):
                    link.send(packet(quabo, tai=tai, nsec=nsec))
                (frame,) = await published.count(1)
        assert [s.pkt_tai for s in stamps(frame.fields)] == [1023, 0, 1023, 0]
        assert source.partial == 0

    asyncio.run(work())


def test_modules_do_not_mix() -> None:
    async def work() -> None:
        published = Published()
        source = receiver(published, modules=[1, 2])
        async with running(source):
            with sending(source) as link:
                for quabo in range(4):
                    for module in (1, 2, 3):
                        link.send(packet(quabo, module=module))
                await published.count(2)
        assert [frame.module for frame in published.frames] == [1, 2]
        assert (source.packets, source.partial) == (12, 0)

    asyncio.run(work())


def test_pulse_heights_of_every_quabo_are_turned_as_the_module_lies() -> None:
    """Also of quabos 2 and 3, which files of the recorder have shifted and blank."""

    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                for quabo in range(4):
                    link.send(packet(quabo, mode=PULSE_HEIGHT))
                frames = await published.count(4)
        for quabo, frame in enumerate(frames):
            pixels = decode_packet(packet(quabo, mode=PULSE_HEIGHT)).pixels
            i, j = 3, 11
            place = {0: (j, 15 - i), 1: (15 - i, 15 - j), 2: (15 - j, i), 3: (i, j)}[quabo]
            assert frame.image[place] == pixels[i, j]
            assert sorted(frame.image.flat) == sorted(pixels.flat)
            assert (frame.product.name, frame.quabo, frame.number) == ("ph256", quabo, quabo)
        assert frames[0].image.min() == -100

    asyncio.run(work())


def test_pulse_heights_within_25_ns_are_one_event_of_the_module() -> None:
    async def work() -> None:
        published = Published()
        source = receiver(published, groups_pulse_heights=True)
        async with running(source):
            with sending(source) as link:
                link.send(packet(0, mode=PULSE_HEIGHT, nsec=100))
                link.send(packet(2, mode=PULSE_HEIGHT, nsec=125))
                link.send(packet(1, mode=PULSE_HEIGHT, nsec=126))
                both, alone = await published.count(2)
        assert {frame.product.name for frame in published.frames} == {"ph1024"}
        assert [s.pkt_nsec for s in stamps(both.fields)] == [100, 0, 125, 0]
        assert [s.pkt_nsec for s in stamps(alone.fields)] == [0, 126, 0, 0]
        assert placed(both.image, 0, 0, 0) == -100 and placed(both.image, 2, 0, 0) == 500

    asyncio.run(work())


def test_lost_late_and_bad_packets_are_counted() -> None:
    """Numbers have 16 bits; every quabo and mode counts for itself."""

    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                for number in (65533, 65534, 1, 0, 2):  # 65535 and 0 are missing, then 0 is late
                    link.send(packet(0, mode=PULSE_HEIGHT, number=number))
                link.send(packet(1, mode=PULSE_HEIGHT, number=40_000))
                link.send(packet(0, mode=IMAGE_16, number=9))
                link.send(packet(0)[:-1])
                link.send(b"")
                link.send(b"\x05" + packet(0)[1:])
                await until(lambda: source.bad_packets == 3)
                assert dict(source.counters()) | {"frames": 0, "partial": 0} == {
                    "frames": 0,
                    "skipped_bytes": 527 + 528,
                    "packets": 7,
                    "bad_packets": 3,
                    "lost_packets": 2,
                    "late_packets": 1,
                    "partial": 0,
                }

    asyncio.run(work())


def test_an_address_in_use_says_so() -> None:
    async def begin(port: int) -> None:
        async with running(QuaboUdp(Published(), port=port)):
            pass

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(NotConnectedError, match=f"127.0.0.1:{port}: Address already in use"):
            asyncio.run(begin(port))


@needs_capture
def test_the_packets_of_a_night_at_ngc_7331() -> None:
    """503 pulse heights of module 254, and as many ICMP answers of a host that did not listen."""
    found = list(datagrams(CAPTURE))
    assert (len(list(ethernet_frames(CAPTURE))), len(found)) == (1006, 503)
    assert {each.target_port for each in found} == {60001}
    packets = [decode_packet(each.payload) for each in found]
    assert all(encode_packet(p)[:16] == d.payload[:16] for p, d in zip(packets, found, strict=True))
    assert Counter(p.quabo for p in packets) == {0: 161, 1: 139, 2: 61, 3: 142}
    assert {(p.mode, p.module) for p in packets} == {(1, 254)}
    assert all(d.source == bytes((192, 168, 3, 248 + p.quabo)) for p, d in zip(packets, found, strict=True))
    assert (min(p.pixels.min() for p in packets), max(p.pixels.max() for p in packets)) == (-43, 2632)
    assert sum(p.pkt_nsec >= 1_000_000_000 for p in packets) == 266
    assert max(p.pkt_nsec for p in packets) == 2_146_239_299
    # The quabos' clocks were not disciplined: a minute off, and seconds of more than 1e9 ns.
    recorded = [
        Stamp(p.pkt_num, p.pkt_tai, p.pkt_nsec, d.time_ns // 10**9, d.time_ns // 1000 % 10**6)
        for p, d in zip(packets, found, strict=True)
    ]
    assert {host_offset_s(each) for each in recorded} == {60, 61}
    assert all(unix_ns(each) is None for each in recorded)

    async def work() -> None:
        published = Published()
        source = receiver(published)
        async with running(source):
            with sending(source) as link:
                for place, each in enumerate(found):
                    link.send(each.payload)
                    await published.count(place + 1)
        frames = published.frames
        assert (source.packets, source.bad_packets, source.lost_packets, source.late_packets) == (503, 0, 0, 0)
        for quabo, first in enumerate((2086, 730, 1747, 3109)):
            numbers = [frame.fields["pkt_num"] for frame in frames if frame.quabo == quabo]
            assert numbers == list(range(first, first + len(numbers)))
        assert all(sorted(frame.image.flat) == sorted(p.pixels.flat) for frame, p in zip(frames, packets, strict=True))

    asyncio.run(work())


@needs_capture
def test_no_pulse_heights_of_that_night_coincide_within_25_ns() -> None:
    async def work() -> None:
        published = Published()
        source = receiver(published, groups_pulse_heights=True)
        async with running(source):
            with sending(source) as link:
                for place, each in enumerate(datagrams(CAPTURE)):
                    link.send(each.payload)
                    await until(lambda place=place: source.packets == place + 1)  # type: ignore[misc]
                await published.count(503)
        assert all(sum(s.tv_sec > 0 for s in stamps(frame.fields)) == 1 for frame in published.frames)

    asyncio.run(work())
