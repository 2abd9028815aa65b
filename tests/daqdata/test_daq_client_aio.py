"""The client for asyncio: every image of every node, until it is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from devices.daq.node import Limits
from servers.daqdata.client import AioDaqDataClient
from servers.daqdata.client_base import MAX_WAITING
from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse
from tests.daqdata.daq_nodes import DaqNodeServer, config_of, daq_node, with_nodes
from tests.support.running import until

UNUSED = "127.0.0.1:1"


async def take(images: Any, count: int) -> list[Any]:
    found = []
    async for image in images:
        found.append(image)
        if len(found) == count:
            break
    await images.aclose()
    return found


def test_hosts_that_answer_are_told_from_those_that_do_not() -> None:
    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host, UNUSED), None) as client:
            assert client.valid_daq_hosts == {node.host}
            assert await client.ping(node.host) and not await client.ping(UNUSED) and not await client.ping("unknown")
            assert await client.is_daq_host_valid(node.host)
            assert await client.get_valid_daq_hosts() == [node.host]
            assert await client.get_daq_host_status() == {node.host: True, UNUSED: False}
            assert await client.validate_daq_hosts(None) == [node.host]
            with pytest.raises(ConnectionError, match="does not answer"):
                await client.validate_daq_hosts([node.host, UNUSED])

    with_nodes(test, 1)


def test_services_are_told_with_their_calls() -> None:
    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host), None) as client:
            text = await client.reflect_services(None)
        assert "rpc InitHpIo(InitHpIoRequest) returns (InitHpIoResponse)" in text

    with_nodes(test, 1)


def test_nodes_take_the_configuration_of_their_client_and_tell_why_not() -> None:
    async def test(first: DaqNodeServer, second: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(first.host, second.host), None) as client:
            assert await client.init_hp_io(
                None, {"data_dir": "/run", "update_interval_seconds": 0.02, "simulate_daq": False, "force": True}
            )
            assert all(each.node.acquisition and each.node.acquisition.data_dir == "/run" for each in (first, second))
            assert await client.init_sim(second.host)
            assert second.node.acquisition and second.node.acquisition.simulates
            with pytest.raises(grpc.RpcError) as refused:
                await client.init_hp_io(None, {"update_interval_seconds": -1.0, "simulate_daq": True})
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    with_nodes(test, 1, 2)


@pytest.mark.parametrize("awaited", [True, False])
def test_images_of_all_nodes_come_whether_the_stream_is_awaited_or_not(awaited: bool) -> None:
    async def test(*nodes: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(*(node.host for node in nodes)), None) as client:
            stream = client.stream_images(None, True, False, 0)
            found = await take(await stream if awaited else stream, 300)
        for module in (1, 2, 3):
            numbers = [each["frame_number"] for each in found if each["module_id"] == module]
            assert len(numbers) > 10
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    with_nodes(test, 1, 2, 3)


def test_without_parsing_messages_come() -> None:
    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host), None) as client:
            (found,) = await take(client.stream_images(None, False, True, 0, parse_pano_images=False), 1)
        assert isinstance(found, StreamImagesResponse)
        assert found.pano_image.type == PanoImage.PULSE_HEIGHT

    with_nodes(test, 1)


def test_an_await_tells_at_once_that_a_node_is_gone() -> None:
    async def test() -> None:
        async with AioDaqDataClient(config_of(UNUSED), None) as client:
            with pytest.raises(ConnectionError):
                await client.stream_images(UNUSED, True, True, 0)

    with_nodes(test)


@pytest.mark.parametrize("most", [None, 1])
def test_the_stop_event_ends_streams_of_busy_and_of_quiet_nodes(most: int | None) -> None:
    async def test(node: DaqNodeServer) -> None:
        stop = asyncio.Event()
        async with AioDaqDataClient(config_of(node.host), None, stop_event=stop) as client:
            stream = await client.stream_images(None, True, False, 0)
            asyncio.get_running_loop().call_later(0.3, stop.set)
            count = len([image async for image in stream])
            assert (count == 0) if most else (count > 0)  # what came before the stream is not sent again
        await until(lambda: not node.node.readers, "the stream has ended at the node")

    with_nodes(test, 1, most=most)


def test_when_a_node_stops_the_images_of_the_others_go_on() -> None:
    async def test(*nodes: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(*(node.host for node in nodes)), None) as client:
            stream = await client.stream_images(None, True, False, 0)
            seen: set[int] = set()
            async for image in stream:
                seen.add(image["module_id"])
                if seen == {1, 2, 3}:
                    break
            await nodes[1].service.stop()
            found = await take(stream, 600)
        assert {image["module_id"] for image in found[-100:]} == {1, 3}

    with_nodes(test, 1, 2, 3, period_s=0.002)


def test_a_node_that_refuses_ends_the_stream_with_its_reason() -> None:
    async def test(ready: DaqNodeServer) -> None:
        async with (
            daq_node(2, begun=False) as other,
            AioDaqDataClient(config_of(ready.host, other.host), None) as client,
        ):
            with pytest.raises(grpc.RpcError) as refused:
                await take(client.stream_images(None, True, False, 0), 10**6)
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    with_nodes(test, 1)


def test_who_waits_for_a_node_gets_its_images_once_it_is_configured() -> None:
    async def test(node: DaqNodeServer) -> None:
        node.node.is_configuring = True
        asyncio.get_running_loop().call_later(0.5, setattr, node.node, "is_configuring", False)
        async with AioDaqDataClient(config_of(node.host), None) as client:
            (image,) = await take(client.stream_images(None, True, False, 0, wait_for_ready=True), 1)
        assert image["module_id"] == 7

    with_nodes(test, 7)


def test_images_wait_at_the_node_for_a_client_that_is_busy() -> None:
    """What fits into the sockets' buffers comes over, and no more: the node drops the rest and counts it."""

    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host), None) as client:
            stream = await client.stream_images(None, True, False, 0, parse_pano_images=False)
            first = await anext(stream)
            await until(lambda: node.node.hub.all_dropped() > 5000, "the node drops images", 20.0)
            (reader,) = node.node.readers
            assert reader.sent < MAX_WAITING + 4000
            assert (await anext(stream)).pano_image.frame_number == first.pano_image.frame_number + 1

    with_nodes(test, 7, period_s=0.0, limits=Limits(max_read_queue_size=16))


def test_a_stream_that_nobody_holds_any_more_ends_at_the_node() -> None:
    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host), None) as client:
            async for _ in client.stream_images(None, True, False, 0):
                break
            await until(lambda: not node.node.readers, "the stream has ended at the node")

    with_nodes(test, 7)


def test_a_cancelled_task_stays_cancelled() -> None:
    async def test(node: DaqNodeServer) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), AioDaqDataClient(config_of(node.host), None) as client:
                await take(client.stream_images(None, True, False, 0), 10**6)

    with_nodes(test, 7)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConnectionResetError("gone"), asyncio.CancelledError()])
def test_the_block_ends_quietly_when_a_node_or_the_user_ends_it(error: BaseException) -> None:
    async def work() -> None:
        async with AioDaqDataClient(config_of(UNUSED), None):
            raise error

    asyncio.run(work())


def test_who_leaves_the_block_ends_streams_that_another_task_takes() -> None:
    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host), None) as client:
            stream = await client.stream_images(None, True, False, 0)
            await anext(stream)
            taking = asyncio.create_task(take(stream, 10**6))
            await asyncio.sleep(0)
        assert len(await taking) < 10**6

    with_nodes(test, 7)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_uploaded_images_come_to_who_streams_from_each_node(asynchronous: bool) -> None:
    def images() -> Any:
        for number in range(1, 151):
            found = PanoImage(type=PanoImage.MOVIE, shape=[32, 32], bytes_per_pixel=1, module_id=77)
            found.frame_number = number
            found.image_array.extend([number % 256] * 1024)
            yield found

    async def images_in_time() -> Any:
        for image in images():
            yield image

    async def test(*nodes: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(*(node.host for node in nodes)), None) as client:
            streams = [client.stream_images(node.host, True, False, 0, module_ids=[77]) for node in nodes]
            takers = [asyncio.create_task(take(stream, 150)) for stream in streams]
            for node in nodes:
                await until(lambda node=node: node.node.readers, "a stream")
            await client.upload_images(None, images_in_time() if asynchronous else images())
            for taker in takers:
                assert [each["frame_number"] for each in await taker] == list(range(1, 151))

    with_nodes(test, 1, 2)


def test_an_upload_that_a_node_refuses_ends_with_its_reason() -> None:
    async def endless() -> Any:
        while True:
            yield PanoImage(type=PanoImage.MOVIE, shape=[31, 32], bytes_per_pixel=1)
            await asyncio.sleep(0)

    async def test(node: DaqNodeServer) -> None:
        async with AioDaqDataClient(config_of(node.host), None) as client:
            with pytest.raises(grpc.RpcError) as refused:
                await client.upload_images(None, endless())
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    with_nodes(test, 1)
