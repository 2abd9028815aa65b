"""What an Archon sends, cut into replies, however the network splits it; and its answers as values."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import ProtocolError
from devices.drivers.archon_replies import LONGEST_LINE, BlockSink, ReplyReader
from devices.drivers.archon_status import ModuleType, Power, parse_frame, parse_status, parse_system, parse_timer

FRAME = (
    "TIMER=0000000005F5E100 RBUF=0 WBUF=2 "
    "BUF1SAMPLE=0 BUF1COMPLETE=1 BUF1MODE=0 BUF1BASE=2684354560 BUF1FRAME=9 BUF1WIDTH=530 BUF1HEIGHT=64 "
    "BUF1PIXELS=265 BUF1LINES=64 BUF1TIMESTAMP=0000000000000A00 BUF1RETIMESTAMP=0000000000000000 "
    "BUF1FETIMESTAMP=0000000005F5E100 "
    "BUF2SAMPLE=1 BUF2COMPLETE=0 BUF2MODE=2 BUF2BASE=3221225472 BUF2FRAME=10 BUF2WIDTH=530 BUF2HEIGHT=64 "
    "BUF2PIXELS=530 BUF2LINES=7 BUF2TIMESTAMP=0000000000000B00 BUF2RETIMESTAMP=0 BUF2FETIMESTAMP=0"
)


class Received:
    """A reader and what it gave."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bool, str]] = []
        self.reader = ReplyReader(lambda *reply: self.lines.append(reply), self._blocks)

    def _blocks(self, sink: BlockSink) -> None:
        if sink.done == sink.blocks:
            del self.reader.sinks[sink.reference]

    def take(self, data: bytes, sizes: list[int]) -> None:
        while data:
            size = sizes.pop(0) if sizes else len(data)
            room = self.reader.room()
            size = min(size, len(data), len(room))
            room[:size] = data[:size]
            self.reader.received(size)
            data = data[size:]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3000), max_size=40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_replies_and_blocks_are_the_same_however_the_stream_is_split(sizes: list[int], blocks: int, seed: int) -> None:
    received = Received()
    into = np.zeros(blocks * 1024, np.uint8)
    received.reader.sinks[0x3C] = BlockSink(0x3C, into)
    pixels = np.random.default_rng(seed).integers(0, 256, into.size, np.uint8)
    stream = b"<01A=1\n" + b"".join(b"<3C:" + pixels[n : n + 1024].tobytes() for n in range(0, into.size, 1024))
    received.take(stream + b"?FF\n<02\n<3C:text\n", sizes)
    assert received.lines == [(1, False, "A=1"), (255, True, ""), (2, False, ""), (0x3C, False, ":text")]
    np.testing.assert_array_equal(into, pixels)


def test_another_reply_may_come_between_two_blocks() -> None:
    received = Received()
    into = np.zeros(3 * 1024, np.uint8)
    received.reader.sinks[7] = BlockSink(7, into)
    block = b"<07:" + bytes(range(256)) * 4
    received.take(block + b"<08TIMER=1\n" + block + block, [5000])
    assert received.lines == [(8, False, "TIMER=1")]
    assert into.reshape(3, 4, 256)[:, :, 255].tolist() == [[255] * 4] * 3


@pytest.mark.parametrize("data", [b"<zz\n\n", b"HTTP/1.1 400\r\n", b"\x00\x01\x02\x03", b"< 1x\n"])
def test_what_is_no_reply_is_an_error_that_shows_it(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="is no reply of an Archon"):
        Received().take(data, [])


def test_a_line_without_an_end_is_bounded() -> None:
    received = Received()
    with pytest.raises(ProtocolError, match=f"more than {LONGEST_LINE} bytes"):
        received.take(b"<01" + b"A" * 100_000, [])


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    received = Received()
    with contextlib.suppress(ProtocolError):
        received.take(data, [3, 1, 7])
    assert all(0 <= reference <= 255 for reference, _, _ in received.lines)


@given(st.text(st.characters(max_codepoint=255), max_size=100))
def test_no_answer_does_more_than_be_refused(text: str) -> None:
    for parse in (parse_frame, parse_status, parse_timer):
        with pytest.raises(ProtocolError):
            parse(text)
    with pytest.raises(ProtocolError):
        parse_system(text + " x")


def test_frame_tells_of_each_buffer() -> None:
    status = parse_frame(FRAME)
    assert (status.timer, status.write_buffer, len(status.buffers)) == (100_000_000, 2, 2)
    first, second = status.buffers
    assert (first.sample_bytes, first.bytes, first.blocks) == (2, 67_840, 67)  # 66.25 blocks of 1024 bytes
    assert first.exposure_seconds == 1.0  # 10^8 ticks of 10 ns
    assert (second.sample_bytes, second.bytes, second.base) == (4, 135_680, 3_221_225_472)
    assert status.newest is first  # the other is not complete
    # All lines of one half; of two halves, which come together, seven lines each.
    assert (first.pixels, second.pixels) == (64 * 530, 2 * 7 * 530)


def test_an_answer_with_a_hole_names_what_is_missing() -> None:
    with pytest.raises(ProtocolError, match="BUF1WIDTH is missing"):
        parse_frame(FRAME.replace("BUF1WIDTH=530 ", ""))
    with pytest.raises(ProtocolError, match="BUF1FRAME = 'x' is no number"):
        parse_frame(FRAME.replace("BUF1FRAME=9", "BUF1FRAME=x"))


def test_status_tells_power_and_temperatures() -> None:
    status = parse_status(
        "VALID=1 COUNT=7 LOG=2 POWER=4 POWERGOOD=1 OVERHEAT=0 BACKPLANE_TEMP=34.5 "
        "P5V_V=5.01 P5V_I=2.9 MOD10/TEMP=31.0 MOD10/TEMPA=-99.875 MOD10/HEATERAOUTPUT=4.0"
    )
    assert (status.power, status.power_good, status.overheat, status.log_lines) == (Power.ON, True, False, 2)
    assert status.temperatures == {"BACKPLANE_TEMP": 34.5, "MOD10/TEMP": 31.0, "MOD10/TEMPA": -99.875}
    assert status.values["P5V_I"] == 2.9
    with pytest.raises(ProtocolError, match="POWER = 9 is none of 0 to 5"):
        parse_status("POWER=9 POWERGOOD=1")


def test_system_lists_modules_also_those_nobody_knows() -> None:
    system = parse_system("BACKPLANE_TYPE=1 BACKPLANE_VERSION=1.0.1 MOD1_TYPE=2 MOD2_TYPE=0 MOD12_TYPE=99 MOD12_ID=0A")
    assert [(module.slot, module.type, module.id) for module in system.modules] == [
        (1, ModuleType.AD, ""),
        (12, ModuleType.UNKNOWN, "0A"),
    ]
