"""Images of a foreign camera as EPICS clients get them: types, colours, encodings, sizes, what is not there."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from caproto import ChannelType
from p4p.client.thread import Context

from servers.epics.alarm import GOOD, UNDEFINED, Alarm, Severity, Status
from servers.epics.derived import Derived
from servers.epics.image_formats import decoded
from servers.epics.mirror import Mirror
from servers.epics.records import Kind, Reading, Record
from tests.epics.camera import Camera, camera_server
from tests.epics.image_devices import STAMP, TYPES, colour
from tests.epics.mirroring import config_of, mirror, pva_conf, until
from tests.epics.raw_client import RawClient

STAMP_NS = int(STAMP) * 10**9 + 250_000_000


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with camera_server() as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(camera: Camera) -> Iterator[Mirror]:
    with mirror(config_of((camera.mirrored,))) as running:
        yield running


@pytest.fixture(scope="module")
def pva(mirrored: Mirror) -> Iterator[Context]:
    """A client that makes an array of an NTNDArray, as areaDetector's Python clients do."""
    context = Context("pva", conf=pva_conf(mirrored), useenv=False)
    yield context
    context.close()


def until_shape(pva: Context, pv: str, shape: tuple[int, ...]) -> Any:
    def got() -> list[Any]:
        image = pva.get(pv)
        return [image] if image.shape == shape else []

    return until(got, f"{pv} has the shape {shape}")[0]


def nanoseconds(stamp: Any) -> int:
    return stamp.secondsPastEpoch * 10**9 + stamp.nanoseconds


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_pixel_stays_what_it_is(camera: Camera, pva: Context, name: str) -> None:
    first = {"int64": -(2**62) - 1, "uint64": 2**62 + 1, "int32": -(2**31), "uint32": 2**31, "int16": -32768}.get(
        name, 0
    )
    camera.publish(f"frame_{name}", 3, 7, first=first)
    got = until_shape(pva, f"CAM:Frame{name.capitalize()}", (3, 7))
    dtype = np.dtype("?" if name == "bool" else name)
    expected = np.arange(21) % 3 == 0 if name == "bool" else np.arange(first, first + 21).astype(dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected.reshape(3, 7))
    raw = got.raw
    assert [each.size for each in raw.dimension] == [7, 3]  # the fastest first
    assert (raw.compressedSize, raw.uncompressedSize) == (21 * dtype.itemsize,) * 2
    assert (raw.codec.name, got.attrib["ColorMode"]) == ("", 0)
    assert nanoseconds(raw.timeStamp) == nanoseconds(raw.dataTimeStamp) == STAMP_NS
    assert raw.alarm.severity == 0


@pytest.mark.parametrize(
    ("layout", "order", "mode"), [("RGB1", (0, 1, 2), 2), ("RGB2", (0, 2, 1), 3), ("RGB3", (2, 0, 1), 4)]
)
def test_a_colour_image_has_a_dimension_of_three(
    camera: Camera, pva: Context, mirrored: Mirror, layout: str, order: tuple[int, ...], mode: int
) -> None:
    pv = f"CAM:{layout.capitalize()}"
    camera.proxy.PublishColour(layout)
    expected = colour(4, 6).transpose(order)
    got = until_shape(pva, pv, expected.shape)
    np.testing.assert_array_equal(got, expected)
    assert got.attrib["ColorMode"] == mode
    with RawClient(mirrored.ca.port) as client:
        assert [client.read(f"{pv}:{side}").data[0] for side in ("Width", "Height")] == [6, 4]
        np.testing.assert_array_equal(client.read(pv).data, expected.ravel())


def test_an_image_whose_columns_are_no_colours_is_invalid(camera: Camera, pva: Context) -> None:
    camera.publish("rgb1", 2, 8)
    got = until_shape(pva, "CAM:Rgb1", (2, 8))
    assert (got.severity, got.raw.alarm.message) == (3, "8 columns are no multiple of 3, RGB1 has them")
    camera.proxy.PublishColour("RGB1")
    assert until_shape(pva, "CAM:Rgb1", (4, 6, 3)).severity == 0


GRAY = colour(4, 6)[:, :, 0]


@pytest.mark.parametrize(
    ("how", "pixels", "tolerance"),
    [
        ("GRAY8", GRAY, 0),
        ("GRAY16", GRAY.astype(np.uint16) * 257, 0),
        ("RGB24", colour(4, 6), 0),
        ("image/png", colour(4, 6), 0),
        ("JPEG_GRAY8", np.full((40, 64), 100, np.uint8), 2),
        ("JPEG_RGB", np.full((40, 64, 3), (200, 100, 50), np.uint8), 3),
        ("image/jpeg", np.full((40, 64, 3), (200, 100, 50), np.uint8), 3),
    ],
)
def test_an_encoded_image_comes_as_pixels_too(
    camera: Camera, pva: Context, how: str, pixels: np.ndarray, tolerance: int
) -> None:
    camera.proxy.Encode(how)
    until(lambda: pva.get("CAM:Encoded:Format") == how, "the format")
    got = until_shape(pva, "CAM:Encoded:Image", pixels.shape)
    assert got.dtype == pixels.dtype
    np.testing.assert_allclose(got.astype(int), pixels.astype(int), atol=tolerance)
    assert got.attrib["ColorMode"] == (2 if pixels.ndim == 3 else 0)
    assert (got.severity, got.raw.codec.name) == (0, "")
    assert got.raw.compressedSize == got.raw.uncompressedSize == pixels.nbytes
    assert bytes(pva.get("CAM:Encoded"))[:2] == {"image/png": b"\x89P"}.get(
        how, b"\xff\xd8" if "j" in how.lower() else b"\0\6"
    )


def test_bytes_that_are_no_image_leave_the_last_one_invalid(camera: Camera, pva: Context) -> None:
    camera.proxy.Encode("GRAY16")
    until_shape(pva, "CAM:Encoded:Image", (4, 6))
    for how, reason in (
        ("broken", "200 bytes of JPEG_RGB cannot be decoded"),
        ("json", "the format 'json' is none of GRAY8"),
    ):
        camera.proxy.Encode(how)
        until(lambda reason=reason: reason in pva.get("CAM:Encoded:Image").raw.alarm.message, reason)
        got = pva.get("CAM:Encoded:Image")
        assert (got.severity, got.shape) == (3, (4, 6))
        assert pva.get("CAM:Encoded").severity == 0  # the bytes themselves are fine
    camera.proxy.Encode("GRAY8")
    until(lambda: pva.get("CAM:Encoded:Image").severity == 0, "a good one follows")


def test_raw_bytes_that_do_not_fit_their_size_are_refused() -> None:
    source = Record("S", Kind.UINT8, rank=1, max_length=100)
    image = Derived("S:Image", Kind.UINT8, source, decoded, rank=2)
    assert image.reading.alarm is UNDEFINED
    data = np.frombuffer(b"\0\3\0\2" + bytes(5), np.uint8)
    source.publish(Reading(data, 7, GOOD, "GRAY8"))
    assert image.reading.alarm == Alarm(Severity.INVALID, Status.READ, "9 bytes of GRAY8, 3 x 2 pixels need 10")
    source.publish(Reading(np.frombuffer(b"\0\3\0\2abcdef", np.uint8), 8, GOOD, "GRAY8"))
    assert image.reading.value.tobytes() == b"abcdef"
    assert (image.reading.value.shape, image.reading.alarm, image.reading.timestamp_ns) == ((2, 3), GOOD, 8)
    source.mark(Alarm(Severity.INVALID, Status.LINK, "gone"))
    assert (image.reading.alarm.message, image.reading.value.shape) == ("gone", (2, 3))


def test_encoded_bytes_without_a_bound_are_not_sent_where_clients_have_no_room(
    camera: Camera, pva: Context, mirrored: Mirror
) -> None:
    camera.proxy.Encode("long")  # 5 MiB; the channel says at most 4 MiB
    until(lambda: pva.get("CAM:Encoded:Format") == "RAW", "the format")
    assert len(pva.get("CAM:Encoded")) == 5 << 20
    with RawClient(mirrored.ca.port) as client:
        answer = client.read("CAM:Encoded", ChannelType.STS_CHAR)
        assert (len(answer.data), answer.metadata.severity, answer.metadata.status) == (0, 3, int(Status.READ))
    camera.proxy.Encode("GRAY8")


def test_a_frame_that_changes_its_size_comes_with_its_width_and_height(camera: Camera, mirrored: Mirror) -> None:
    camera.publish("frame_int32", 2, 5, time=1.0)
    with RawClient(mirrored.ca.port) as client:
        heard: dict[int, Any] = {}
        ids = {}
        for side in (":Width", ":Height", ""):
            channel = client.channel(f"CAM:FrameInt32{side}")
            request = channel.subscribe(data_type=ChannelType.TIME_LONG, data_count=0, mask=5)
            ids[request.subscriptionid] = side
            client.send(request)
        sizes = [(1 + number * 7 % 39, 1 + number * 11 % 59) for number in range(60)]
        for number, (rows, columns) in enumerate(sizes):
            camera.publish("frame_int32", rows, columns, time=2.0 + number)
        last = ""
        checked = 0
        while last != sizes[-1]:
            update = client.update()
            heard[ids[update.subscriptionid]] = update
            if ids[update.subscriptionid] == "" and len(heard) == 3 and update.metadata.timestamp >= 2.0:
                width, height = (heard[side].data[0] for side in (":Width", ":Height"))
                assert len(update.data) == width * height
                assert len({each.metadata.timestamp for each in heard.values()}) == 1
                last = (height, width)
                checked += 1
        assert checked > 1


def test_an_invalid_image_keeps_its_pixels_and_the_time_they_were_taken(camera: Camera, mirrored: Mirror) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
    camera.publish("frame_uint8", 4, 5)
    subscription = client.monitor("CAM:FrameUint8", heard.put)
    try:
        frame = until(lambda: (value := heard.get(timeout=5)).alarm.severity == 0 and value)
        number = frame.uniqueId
        camera.publish("frame_uint8", 4, 5, quality="INVALID", time=STAMP + 60)
        invalid = heard.get(timeout=5)
        assert (invalid.alarm.severity, len(invalid.value)) == (3, 20)
        assert not {"value", "dimension", "uniqueId"} & invalid.changedSet()  # not sent again
        assert nanoseconds(invalid.timeStamp) == STAMP_NS + 60 * 10**9
        assert (nanoseconds(invalid.dataTimeStamp), invalid.uniqueId) == (STAMP_NS, number)
        camera.publish("frame_uint8", 2, 3, quality="ALARM", time=STAMP + 61)
        alarm = heard.get(timeout=5)
        assert (alarm.alarm.severity, alarm.uniqueId) == (2, number + 1)
        assert nanoseconds(alarm.dataTimeStamp) == STAMP_NS + 61 * 10**9
    finally:
        subscription.close()
        client.close()


def test_a_frame_that_nobody_saw_leaves_a_gap_in_the_numbers(camera: Camera, pva: Context) -> None:
    camera.publish("frame_float32", 2, 3)
    before = until_shape(pva, "CAM:FrameFloat32", (2, 3)).raw.uniqueId
    pva.disconnect("CAM:FrameFloat32")
    for columns in (4, 5, 6):
        camera.publish("frame_float32", 2, columns)
    assert until_shape(pva, "CAM:FrameFloat32", (2, 6)).raw.uniqueId == before + 3


def test_an_image_without_a_value_yet_is_empty_and_invalid(pva: Context, mirrored: Mirror) -> None:
    got = pva.get("CAM:Huge")
    assert (got.shape, got.dtype, got.severity) == ((0, 0), np.dtype("uint16"), 3)
    with RawClient(mirrored.ca.port) as client:
        with pytest.raises(LookupError):
            client.channel("CAM:Huge")  # 8 MiB, more than image_limit
        assert [client.read(f"CAM:Huge:{side}").data[0] for side in ("Width", "Height")] == [0, 0]
        assert len(client.read("CAM:Large").data) == 0
        first = client.subscribe(client.channel("CAM:Large"), ChannelType.LONG)
        assert first.data_count == 0


def test_a_read_that_brings_the_same_frame_again_is_not_sent_again(camera: Camera, mirrored: Mirror) -> None:
    source = next(iter(mirrored._devices.values())).records.attributes["frame_int16"]
    camera.publish("frame_int16", 2, 3)
    until(lambda: source.readback.reading.value.shape == (2, 3))
    shown = source.readback.reading

    class Answer:
        value, w_value, quality = shown.value.copy(), None, 0

        class time:
            tv_sec, tv_usec, tv_nsec = shown.timestamp_ns // 10**9, shown.timestamp_ns % 10**9 // 1000, 0

    source.take(Answer())
    assert source.readback.reading is shown
    Answer.value[0, 0] += 1
    source.take(Answer())
    assert source.readback.reading.value[0, 0] == shown.value[0, 0] + 1
