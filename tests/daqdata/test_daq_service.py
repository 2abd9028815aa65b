"""DaqData over gRPC: every frame to who asks for every frame, and the status codes that existing clients know."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devices.core.client import asking
from devices.core.errors import NotAllowedError, NotConnectedError
from devices.daq.frame import Frame
from devices.daq.node import Acquisition, Limits, Node
from devices.daq.sources.source import Source
from devices.drivers.pff import PRODUCTS, Stamp, encode_header
from servers.daqdata import daq_data_pb2 as pb
from servers.daqdata.service import DaqDataService, ServiceSettings
from tests.support.running import until

TAI = 1_753_000_000  # UTC s at which pkt_tai is computed with 37 leap seconds
Publish = Callable[[Frame], None]


def movie(number: int, module: int = 1) -> Frame:
    """An image whose pixels count on from its number, made so many ms after a second."""
    pixels = ((np.arange(1024) + number) % 65536).astype("<u2")
    stamp = Stamp(number % 65536, (TAI + 37) % 1024, 1_000_000 * (number % 1000), TAI, 1000 * (number % 1000))
    return Frame(PRODUCTS["img16"], module, 0, encode_header([stamp] * 4), pixels.tobytes(), "movie.pff", number)


def pulse(number: int, module: int = 1, quabo: int = 0) -> Frame:
    pixels = (np.arange(256) - 100 - number % 7).astype("<i2")
    stamp = Stamp(number % 65536, (TAI + 37) % 1024, 17, TAI, 250)
    header = encode_header([stamp], quabo)
    return Frame(PRODUCTS["ph256"], module, quabo, header, pixels.tobytes(), "pulse.pff", number)


class Tap(Source):
    """A source whose frames a test publishes."""

    def __init__(self, publish: Publish, error: str = "") -> None:
        super().__init__(publish)
        self._error = error

    async def run(self) -> None:
        if self._error:
            raise NotConnectedError(self._error)
        self.ready.set()
        await asyncio.Event().wait()


class Served:
    """A node, its service, and a client's channel to it."""

    def __init__(self, node: Node, service: DaqDataService, channel: grpc.aio.Channel) -> None:
        self.node, self.service, self.channel = node, service, channel

    def stream(self, **wanted: Any) -> Any:
        request = pb.StreamImagesRequest(**({"stream_movie_data": True} | wanted))
        call = self.channel.unary_stream(
            "/daqdata.DaqData/StreamImages",
            request_serializer=pb.StreamImagesRequest.SerializeToString,
            response_deserializer=pb.StreamImagesResponse.FromString,
        )
        return call(request)

    async def initialise(self, **wanted: Any) -> pb.InitHpIoResponse:
        call = self.channel.unary_unary(
            "/daqdata.DaqData/InitHpIo",
            request_serializer=pb.InitHpIoRequest.SerializeToString,
            response_deserializer=pb.InitHpIoResponse.FromString,
        )
        response: pb.InitHpIoResponse = await call(pb.InitHpIoRequest(**({"update_interval_seconds": 0.1} | wanted)))
        return response

    async def upload(self, *images: pb.PanoImage) -> None:
        async def requests() -> AsyncIterator[pb.UploadImageRequest]:
            for image in images:
                yield pb.UploadImageRequest(pano_image=image)

        call = self.channel.stream_unary(
            "/daqdata.DaqData/UploadImages",
            request_serializer=pb.UploadImageRequest.SerializeToString,
            response_deserializer=Empty.FromString,
        )
        await call(requests())

    async def ping(self) -> None:
        call = self.channel.unary_unary(
            "/daqdata.DaqData/Ping",
            request_serializer=Empty.SerializeToString,
            response_deserializer=Empty.FromString,
        )
        await call(Empty(), timeout=5.0)


@asynccontextmanager
async def served(limits: Limits | None = None, *, begun: bool = True, **settings: Any) -> AsyncIterator[Served]:
    node = Node(lambda wanted, publish: [Tap(publish, wanted.data_dir)], limits or Limits())
    service = DaqDataService(node, ServiceSettings(("127.0.0.1:0",), "node", **settings))
    await service.start()
    try:
        if begun:
            await node.initialise(Acquisition("", 0.05), force=True)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.ports['127.0.0.1:0']}") as channel:
            yield Served(node, service, channel)
    finally:
        await service.stop()


def run(test: Callable[[Served], Awaitable[None]], limits: Limits | None = None, **settings: Any) -> None:
    async def work() -> None:
        async with served(limits, **settings) as found:
            await asyncio.wait_for(test(found), 90.0)

    asyncio.run(work())


async def streams(found: Served, count: int) -> None:
    await until(lambda: len(found.node.readers) == count, f"{count} clients stream")


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        if isinstance(call, Awaitable):
            await call
        else:
            async for _ in call:
                pass
    return failed.value.code(), failed.value.details() or ""


def test_a_client_that_asks_for_an_interval_of_0_gets_every_frame_in_order() -> None:
    async def test(found: Served) -> None:
        calls = [found.stream() for _ in range(3)]
        await streams(found, 3)
        for number in range(2000):
            found.node.publish(movie(number))
            if number % 100 == 99:
                await asyncio.sleep(0)
        for call in calls:
            for number in range(2000):
                image = (await call.read()).pano_image
                assert image.frame_number == number
            call.cancel()
        assert found.node.hub.all_dropped() == 0

    run(test)


def test_an_image_is_what_it_was_with_its_time_by_white_rabbit() -> None:
    async def test(found: Served) -> None:
        call = found.stream(stream_pulse_height_data=True)
        await streams(found, 1)
        for frame in (movie(70_123, 5), pulse(3, 5, 2)):
            found.node.publish(frame)
        first, second = await call.read(), await call.read()
        assert (first.name, first.message) == ("node", "")
        # 70 123 ms: 123 ms after the second.
        assert first.timestamp.ToNanoseconds() == TAI * 10**9 + 123_000_000
        image = first.pano_image
        assert (image.type, list(image.shape), image.bytes_per_pixel, image.module_id) == (2, [32, 32], 2, 5)
        np.testing.assert_array_equal(image.image_array, (np.arange(1024) + 70_123) % 65536)
        assert MessageToDict(image.header)["quabo_3"]["pkt_num"] == 70_123 % 65536
        image = second.pano_image
        assert (image.type, list(image.shape), image.file) == (1, [16, 16], "pulse.pff")
        heights = np.array(image.image_array, np.uint16).astype(np.int16)
        np.testing.assert_array_equal(heights, np.arange(256) - 103)
        assert MessageToDict(image.header)["quabo_num"] == 2
        assert second.timestamp.ToNanoseconds() == TAI * 10**9 + 17

    run(test)


def test_kinds_and_modules_are_chosen() -> None:
    async def test(found: Served) -> None:
        wants = [
            found.stream(module_ids=[2, 3]),
            found.stream(stream_movie_data=False, stream_pulse_height_data=True),
            found.stream(module_ids=[99]),
        ]
        await streams(found, 3)
        for module in (1, 2, 3):
            found.node.publish(movie(module, module))
            for quabo in range(4):
                found.node.publish(pulse(quabo, module, quabo))
        assert [(await wants[0].read()).pano_image.module_id for _ in range(2)] == [2, 3]
        # The four quabos' pulse heights are four frames, and none hides another.
        assert [(await wants[1].read()).pano_image.frame_number for _ in range(12)] == [0, 1, 2, 3] * 3
        await until(lambda: sorted(each.sent for each in found.node.readers) == [0, 2, 12], "nothing else was sent")

    run(test)


def test_an_interval_gives_the_newest_of_each_module_and_product() -> None:
    async def test(found: Served) -> None:
        call = found.stream(update_interval_seconds=0.2, stream_pulse_height_data=True)
        await streams(found, 1)
        seen: dict[tuple[int, int], list[int]] = {}

        async def read() -> None:
            async for response in call:
                image = response.pano_image
                seen.setdefault((image.module_id, image.type), []).append(image.frame_number)

        reading = asyncio.create_task(read())
        began = time.monotonic()
        for number in range(100):
            for module in range(1, 17):
                found.node.publish(movie(number, module))
            found.node.publish(pulse(number, 1))
            await asyncio.sleep(0.01)
        await until(lambda: len(seen) == 17, "each kind was seen")
        reading.cancel()
        most = (time.monotonic() - began) / 0.2 + 2.0
        for numbers in seen.values():
            # Of more than a second's images every 0.2 s one, the same for the first and the last module.
            assert 3 <= len(numbers) <= most and numbers == sorted(numbers)
        counts = [len(numbers) for numbers in seen.values()]
        assert max(counts) - min(counts) <= 1

    run(test)


def test_the_codes_of_streams() -> None:
    async def test(found: Served) -> None:
        code, text = await code_of(found.stream(stream_movie_data=False))
        assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, "At least one stream flag must be True.")
        for interval in (math.nan, 60.5, math.inf):
            code, text = await code_of(found.stream(update_interval_seconds=interval))
            assert code is grpc.StatusCode.INVALID_ARGUMENT and "update_interval_seconds" in text
        calls = [found.stream(update_interval_seconds=-1.0), found.stream()]
        await streams(found, 2)
        code, text = await code_of(found.stream())
        assert (code, text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Max clients (2) reached.")
        ended = [asyncio.create_task(code_of(call)) for call in calls]
        await found.service.stop()
        for each in ended:
            code, text = await each
            assert code is grpc.StatusCode.CANCELLED and "server shutdown_event set for" in text

    run(test, Limits(max_concurrent_rpcs=2))


def test_before_a_configuration_there_is_nothing_to_stream_and_nowhere_to_upload() -> None:
    async def test(found: Served) -> None:
        assert await code_of(found.stream()) == (grpc.StatusCode.FAILED_PRECONDITION, "hp_io task is not valid.")
        code, _ = await code_of(found.upload(pb.PanoImage()))
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        await found.ping()
        stub = health_pb2_grpc.HealthStub(found.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="daqdata.DaqData"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    run(test, begun=False)


def test_a_configuration_waits_for_no_reader_only_by_force() -> None:
    async def test(found: Served) -> None:
        call = found.stream()
        await streams(found, 1)
        ended = asyncio.create_task(code_of(call))
        code, text = await code_of(found.initialise())
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert text.startswith("Cannot modify server state: 1 clients are streaming: [")
        assert not ended.done()
        assert (await found.initialise(force=True)).success
        code, text = await ended
        assert code is grpc.StatusCode.CANCELLED and "cancel_reader_event set for" in text
        again = found.stream()
        await streams(found, 1)
        found.node.publish(movie(4))
        assert (await again.read()).pano_image.frame_number == 4

    run(test)


def test_the_codes_of_configurations() -> None:
    async def test(found: Served) -> None:
        for interval in (0.0, -1.0, 0.0005):
            answer = await code_of(found.initialise(update_interval_seconds=interval))
            assert answer == (
                grpc.StatusCode.INVALID_ARGUMENT, "update_interval_seconds is below server minimum."
            )  # fmt: skip
        for interval in (math.nan, 1e9):
            code, _ = await code_of(found.initialise(update_interval_seconds=interval))
            assert code is grpc.StatusCode.INVALID_ARGUMENT
        # A source that cannot begin: the reason is told, and what was before goes on.
        failed = await found.initialise(data_dir="the disk is gone", force=True)
        assert not failed.success and "the disk is gone" in failed.error_message
        assert found.node.is_valid
        assert (await found.initialise(module_ids=[7])).success
        call = found.stream()
        await streams(found, 1)
        for module in (6, 7):
            found.node.publish(movie(module, module))
        assert (await call.read()).pano_image.module_id == 7

    run(test)


def test_what_is_uploaded_is_streamed_and_what_is_malformed_is_refused() -> None:
    async def test(found: Served) -> None:
        call = found.stream(stream_pulse_height_data=True)
        await streams(found, 1)
        good = pb.PanoImage(
            type=pb.PanoImage.MOVIE,
            image_array=[65535] * 1024,
            shape=[32, 32],
            bytes_per_pixel=2,
            module_id=3,
            file="f",
            frame_number=9,
        )
        good.header.update({"quabo_0": {"tv_sec": 5.0, "note": "of a test"}})
        await found.upload(good, good)
        for _ in range(2):
            assert (await call.read()).pano_image == good
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"shape": [32, 31]}, "none of"),
            ({"image_array": [1] * 1023}, "1023 pixels"),
            ({"image_array": [65536] * 1024}, "65536"),
            ({"type": pb.PanoImage.UNDEFINED}, "type 0"),
            ({"bytes_per_pixel": 3}, "bytes_per_pixel 3"),
            ({"module_id": 2**32 - 1}, "module_id"),
        ]
        for change, problem in wrong:
            bad = pb.PanoImage()
            bad.CopyFrom(good)
            for name, value in change.items():
                bad.ClearField(name)  # type: ignore[arg-type]
                if isinstance(value, list):
                    getattr(bad, name).extend(value)
                else:
                    setattr(bad, name, value)
            code, text = await code_of(found.upload(good, bad))
            assert code is grpc.StatusCode.INVALID_ARGUMENT and problem in text, text
            assert (await call.read()).pano_image == good, "what came before it was right"
        await found.upload()

    run(test)


@pytest.mark.long
def test_a_slow_client_is_told_what_it_lost_and_disturbs_nobody() -> None:
    async def test(found: Served) -> None:
        slow, quick = found.stream(), found.stream()
        await streams(found, 2)
        assert (await asyncio.wait_for(_first(found, slow), 5.0)) == 0
        received = 0

        async def read() -> None:
            nonlocal received
            async for _ in quick:
                received += 1

        reading = asyncio.create_task(read())
        for number in range(1, 6001):
            found.node.publish(movie(number))
            if number % 20 == 0:
                await asyncio.sleep(0)
                await until(lambda sent=number: received > sent - 80, "the quick one keeps up", 20.0)
        await until(lambda: received == 6001, "the quick one has all", 20.0)
        reading.cancel()
        lost = max(reader.dropped for reader in found.node.readers)
        assert lost > 1000
        told = ""
        while not told:
            told = (await slow.read()).message
        assert told == f"{lost} frames were dropped: this client is too slow"

    run(test, Limits(max_read_queue_size=100))


async def _first(found: Served, call: Any) -> int:
    found.node.publish(movie(0))
    number: int = (await call.read()).pano_image.frame_number
    return number


def test_a_client_that_stalls_is_disconnected() -> None:
    async def test(found: Served) -> None:
        call = found.stream()
        await streams(found, 1)
        number = 0
        while found.node.readers:
            for _ in range(200):
                found.node.publish(movie(number))
                number += 1
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            async for _ in call:
                pass
        assert failed.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)

    run(test, Limits(max_read_queue_size=100, reader_timeout=0.3, max_reader_enqueue_timeouts=1))


def test_a_hundred_clients_come_and_go() -> None:
    async def test(found: Served) -> None:
        async def client(number: int) -> int:
            call = found.stream(module_ids=[number % 3])
            got = (await call.read()).pano_image.module_id
            call.cancel()
            return int(got)

        clients = [asyncio.create_task(client(number)) for number in range(100)]
        number = 0
        while not all(each.done() for each in clients):
            for module in range(3):
                found.node.publish(movie(number, module))
            number += 1
            await asyncio.sleep(0.01)
        assert [each.result() for each in clients] == [number % 3 for number in range(100)]
        await until(lambda: not found.node.readers, "all have left", 10.0)

    run(test)


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    async def test(found: Served) -> None:
        code, text = await code_of(found.ping())
        assert code is grpc.StatusCode.UNAUTHENTICATED and "Bearer" in text
        code, _ = await code_of(found.stream())
        assert code is grpc.StatusCode.UNAUTHENTICATED
        call = found.channel.unary_unary(
            "/daqdata.DaqData/Ping",
            request_serializer=Empty.SerializeToString,
            response_deserializer=Empty.FromString,
        )
        await call(Empty(), metadata=(("authorization", "Bearer s3cret"),))

    run(test, token="s3cret")


def test_pings_are_answered_while_the_node_is_flooded() -> None:
    async def test(found: Served) -> None:
        calls = [found.stream() for _ in range(2)]
        await streams(found, 2)
        readers = [asyncio.create_task(_drain(call)) for call in calls]
        for number in range(3000):
            found.node.publish(movie(number))
            if number % 10 == 0:
                await found.ping()
        for reader in readers:
            reader.cancel()
        assert threading.active_count() < 50

    run(test)


async def _drain(call: Any) -> None:
    async for _ in call:
        pass


def test_a_client_of_a_reserved_node_streams_and_initialises_nothing() -> None:
    asked_for: list[str] = []
    holds = [True]

    def demand(what: str) -> None:
        asked_for.append(f"{what} {asking.get()}")
        if holds[0]:
            raise NotAllowedError(f"{what}: daq/node/1 is reserved by bluesky until 04:31:07 UTC")

    async def test(found: Served) -> None:
        before = found.node.acquisition
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await found.initialise(update_interval_seconds=0.2, force=True)
        assert caught.value.details() == "InitHpIo: daq/node/1 is reserved by bluesky until 04:31:07 UTC"
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert found.node.acquisition == before
        await found.ping()
        stream = found.stream()
        await streams(found, 1)
        stream.cancel()
        holds[0] = False
        assert (await found.initialise(update_interval_seconds=0.2, force=True)).success
        assert asked_for == ["InitHpIo daqdata ipv4:127.0.0.1"] * 2

    run(test, demand=demand)
