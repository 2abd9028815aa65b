"""Science packets of quabos."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import ProtocolError
from devices.drivers.quabo import QuaboPacket, decode_packet, encode_packet, module_of, oriented

MODES = {1: "<i2", 2: "<u2", 3: "<u2", 6: "u1", 7: "u1"}


@settings(deadline=None)
@given(
    st.sampled_from(sorted(MODES)),
    st.integers(0, 16383),
    st.integers(0, 3),
    st.integers(0, 65535),
    st.integers(0, 1023),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_a_packet_is_what_was_sent(
    mode: int, module: int, quabo: int, num: int, tai: int, nsec: int, seed: int
) -> None:
    pixels = np.frombuffer(np.random.default_rng(seed).bytes(512), MODES[mode])[:256].reshape(16, 16)
    data = encode_packet(QuaboPacket(mode, module, quabo, num, tai, nsec, pixels))
    found = decode_packet(data)
    assert (found.mode, found.module, found.quabo, found.pkt_num, found.pkt_tai, found.pkt_nsec) == (
        mode,
        module,
        quabo,
        num,
        tai,
        nsec,
    )
    assert found.pixels.dtype == MODES[mode] and (found.pixels == pixels).all()


def test_a_packet_byte_by_byte() -> None:
    """Pulse height 515 of module 254, quabo 3: 254 * 4 + 3 = 0x03fb; ns 0x7fed2a03."""
    head = bytes.fromhex("01 01 2608 fb03 c302 0000 032aed7f 0000")
    data = head + np.arange(-6, 250).astype("<i2").tobytes()
    found = decode_packet(data)
    assert (found.mode, found.pkt_num, found.module, found.quabo) == (1, 0x0826, 254, 3)
    assert (found.pkt_tai, found.pkt_nsec) == (0x2C3, 2_146_249_219)
    assert found.pixels[0, 0] == -6 and found.pixels[1, 2] == 12
    assert found.product.name == "ph256"
    assert encode_packet(found) == data


def test_the_second_has_10_bits() -> None:
    data = bytearray(encode_packet(QuaboPacket(2, 1, 0, 0, 5, 0, np.zeros((16, 16), "<u2"))))
    data[7] |= 0xFC
    assert decode_packet(bytes(data)).pkt_tai == 5


@settings(deadline=None)
@given(st.binary(max_size=1100))
def test_any_bytes_are_a_packet_or_refused(data: bytes) -> None:
    try:
        found = decode_packet(data)
    except ProtocolError:
        return
    assert len(data) == 16 + found.pixels.nbytes


@pytest.mark.parametrize("mode", [0, 4, 5, 8, 255])
def test_other_modes_are_refused(mode: int) -> None:
    with pytest.raises(ProtocolError, match=f"mode {mode}, which is none of 1, 2, 3, 6, 7"):
        decode_packet(bytes([mode]) + bytes(527))


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ProtocolError, match="15 bytes, fewer than the 16 bytes"):
        decode_packet(bytes(15))
    with pytest.raises(ProtocolError, match="mode 6 has 528 bytes, not 272 bytes"):
        decode_packet(b"\x06" + bytes(527))


@pytest.mark.parametrize("quabo", range(4))
def test_quabos_are_turned_by_quarters(quabo: int) -> None:
    pixels = np.arange(256).reshape(16, 16)
    turned = oriented(pixels, quabo)
    for i in range(16):
        for j in range(16):
            place = ((j, 15 - i), (15 - i, 15 - j), (15 - j, i), (i, j))[quabo]
            assert turned[place] == pixels[i, j]


def test_the_address_tells_module_and_quabo() -> None:
    assert module_of(bytes((192, 168, 3, 248))) == (254, 0)
    assert module_of(bytes((192, 168, 3, 251))) == (254, 3)
    assert module_of(bytes((192, 168, 0, 6))) == (1, 2)
