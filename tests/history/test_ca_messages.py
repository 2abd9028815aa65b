"""Channel Access messages as bytes: caproto, who wrote none of them, reads ours; a stream may come in any portions."""

from __future__ import annotations

import math
import struct

import caproto
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import ProtocolError
from servers.history import ca_messages as ca
from servers.history.ca_messages import Decoder, Message, Update

HEADER = ">HHHHII"


def update_bytes(
    number: int, value: float, severity: int = 0, status: int = 0, stamp: tuple[int, int] = (0, 0)
) -> bytes:
    """A monitor update of DBR_TIME_DOUBLE, written out by the specification."""
    header = struct.pack(HEADER, 1, 24, 20, 1, 1, number)
    return header + struct.pack(">HHIIId", status, severity, *stamp, 0, value)


def decoded(portions: list[bytes]) -> list[Update | Message]:
    decoder, found = Decoder(), []
    for portion in portions:
        for part in decoder.feed(portion):
            found += [part] if isinstance(part, Message) else part
    return found


def test_what_is_asked_is_what_caproto_reads() -> None:
    circuit = caproto.VirtualCircuit(caproto.SERVER, ("127.0.0.1", 5064), None)
    circuit.our_address = ("127.0.0.1", 5064)
    asked = [ca.greeting("historian", "beamline"), ca.create(7, "CRYO1:TemperatureA"), ca.search(7, "CCD1:Frame:Width")]
    commands, _ = circuit.recv(b"".join([*asked, ca.subscribe(7, 3), ca.echo(), ca.clear(7, 3)]))
    version, host, user, create, search, subscribe, echo, clear = commands
    assert isinstance(version, caproto.VersionRequest)
    assert (host.name, user.name) == ("beamline", "historian")
    assert (create.name, create.cid, create.version) == ("CRYO1:TemperatureA", 7, 13)
    assert (search.name, search.cid, search.reply) == ("CCD1:Frame:Width", 7, caproto.DO_REPLY)
    assert subscribe.data_type is caproto.ChannelType.TIME_DOUBLE
    assert (subscribe.data_count, subscribe.sid, subscribe.subscriptionid) == (1, 3, 7)
    assert subscribe.mask == caproto.SubscriptionType.DBE_VALUE | caproto.SubscriptionType.DBE_ALARM
    assert isinstance(echo, caproto.EchoRequest)
    assert (clear.sid, clear.cid) == (3, 7)


VALUES = st.tuples(
    st.integers(0, 2**32 - 1), st.floats(), st.integers(0, 3), st.integers(0, 20),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 999_999_999)),
)  # fmt: skip
OTHERS = st.builds(
    Message,
    st.sampled_from(sorted(ca.ANSWERS - {ca.EVENT_ADD})), st.integers(0, 65535), st.integers(0, 65535),
    st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=6).map(lambda some: some * 8),
)  # fmt: skip


@given(st.lists(VALUES | OTHERS, max_size=20), st.data())
def test_a_stream_cut_anywhere_gives_the_same_messages_in_the_same_order(
    wanted: list[tuple[int, float, int, int, tuple[int, int]] | Message], data: st.DataObject
) -> None:
    stream = b"".join(bytes(each) if isinstance(each, Message) else update_bytes(*each) for each in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10), "cuts"))
    found = decoded([stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)])
    assert len(found) == len(wanted)
    for each, expected in zip(found, wanted, strict=True):
        if isinstance(each, Message) or isinstance(expected, Message):
            assert each == expected
        else:
            _, _, number, status, severity, *stamp, value = each
            assert (number, severity, status, tuple(stamp)) == (expected[0], *expected[2:])
            assert value == expected[1] or (math.isnan(value) and math.isnan(expected[1]))


@given(st.binary(min_size=16, max_size=200))
def test_bytes_of_no_meaning_are_refused_or_wait_and_never_become_a_value(noise: bytes) -> None:
    noise = b"\xff" + noise  # no command has such a number
    with pytest.raises(ProtocolError, match="no message of Channel Access: ff"):
        decoded([update_bytes(5, 77.5), noise])


def test_the_values_before_what_is_wrong_are_had() -> None:
    decoder = Decoder()
    parts = decoder.feed(update_bytes(5, 77.5) + update_bytes(6, 4.2) + b"HTTP/1.1 400 Bad Request")
    first = next(parts)
    assert isinstance(first, list)
    assert [(update[2], update[-1]) for update in first] == [(5, 77.5), (6, 4.2)]
    with pytest.raises(ProtocolError, match="4854 5450 2f31"):
        next(parts)


def test_a_message_longer_than_any_that_was_asked_for_is_refused_before_it_has_come() -> None:
    with pytest.raises(ProtocolError):
        decoded([struct.pack(HEADER, 11, 0xFFFF, 0, 0, 0, 0)])


def test_an_update_with_an_error_is_no_value() -> None:
    refused = struct.pack(HEADER, 1, 24, 20, 1, 368, 9) + bytes(24)  # ECA_NORDACCESS
    assert decoded([refused]) == [Message(1, 20, 1, 368, 9, bytes(24))]
