"""The blocking client: every image of every node, whichever of them is slow, gone or not ready."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from servers.daqdata.client import AioDaqDataClient, DaqDataClient
from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse
from tests.daqdata.daq_nodes import DaqNodeServer, config_of, daq_node, with_nodes, with_nodes_blocking
from tests.web.login_server import write_certificate

UNUSED = "127.0.0.1:1"  # nobody listens on a port that only root may use for tcpmux
CLIENTS = pytest.mark.parametrize("client", [DaqDataClient, AioDaqDataClient])


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# Configurations ---------------------------------------------------------------------------------------------------


@CLIENTS
@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        (None, ValueError, "daq_config is None"),
        ("nowhere/daq_config.json", FileNotFoundError, "daq_config.json"),
        ({}, ValueError, "daq_nodes is empty"),
        ({"daq_nodes": []}, ValueError, "daq_nodes is empty"),
        ({"daq_nodes": [{"user_name": "x"}]}, ValueError, "does not have an 'ip_addr' key"),
        (17, ValueError, "17"),
    ],
)
def test_a_wrong_daq_config_is_told(client: Any, config: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        client(config, None)


@CLIENTS
def test_a_wrong_network_config_is_told(client: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="daq_nodes is empty"):
        client(config_of("localhost"), {"modules": []})
    with pytest.raises(FileNotFoundError):
        client(config_of("localhost"), tmp_path / "network_config.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"list\.json"):
        client(config_of("localhost"), str(tmp_path / "list.json"))


def test_a_node_whose_port_is_forwarded_is_reached_at_its_gateway(tmp_path: Path) -> None:
    nodes = [
        {"ip_addr": "10.0.0.60", "port_forwarding": {"status": True, "gw_ip": "192.168.3.1", "port": 22}},
        {"ip_addr": "10.0.0.61", "port_forwarding": {"status": False, "gw_ip": "192.168.3.1", "port": 22}},
    ]
    network, daq = tmp_path / "network_config.json", tmp_path / "daq_config.json"
    network.write_text(json.dumps({"daq_nodes": nodes}))
    daq.write_text(
        json.dumps(config_of("10.0.0.60", "10.0.0.61", "unix:///tmp/daq.sock", "daq.local:50060", "fe80::1"))
    )
    client = DaqDataClient(str(daq), network)
    assert {host: entry["connection_target"] for host, entry in client.daq_nodes.items()} == {
        "192.168.3.1": "192.168.3.1:50051",
        "10.0.0.61": "10.0.0.61:50051",
        "unix:///tmp/daq.sock": "unix:///tmp/daq.sock",
        "daq.local:50060": "daq.local:50060",
        "fe80::1": "[fe80::1]:50051",
    }


def test_the_port_of_hosts_without_one_is_that_of_the_class() -> None:
    def test(node: DaqNodeServer) -> None:
        class Client(DaqDataClient):
            GRPC_PORT = int(node.host.rpartition(":")[2])

        with Client(config_of("127.0.0.1"), None) as client:
            assert client.get_daq_host_status() == {node.host: True}

    with_nodes_blocking(test, 1)


# Hosts ------------------------------------------------------------------------------------------------------------


def test_hosts_that_answer_are_told_from_those_that_do_not() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host, UNUSED), None) as client:
            assert client.valid_daq_hosts == {node.host}
            assert client.ping(node.host) and not client.ping(UNUSED) and not client.ping("unknown")
            assert client.is_daq_host_valid(node.host) and not client.is_daq_host_valid("unknown")
            assert client.get_valid_daq_hosts() == [node.host]
            assert client.get_daq_host_status() == {node.host: True, UNUSED: False}
            for every in (None, [], "", set()):
                assert client.validate_daq_hosts(every) == [node.host]
            assert client.validate_daq_hosts({node.host}) == [node.host]
            for wrong in (UNUSED, [node.host, UNUSED], "unknown"):
                with pytest.raises(ConnectionError, match="does not answer"):
                    client.validate_daq_hosts(wrong)
            with pytest.raises(ValueError, match="hosts=5"):
                client.validate_daq_hosts(5)  # type: ignore[arg-type]

    with_nodes_blocking(test, 1)


def test_without_any_node_a_call_fails_and_the_block_ends_quietly() -> None:
    reached = []
    with DaqDataClient(config_of(UNUSED), None) as client:
        reached.append(client.valid_daq_hosts)
        client.init_sim(None)
        pytest.fail("no node answers")
    assert reached == [set()]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConnectionResetError("gone"), grpc.FutureCancelledError()])
def test_the_block_ends_quietly_when_a_node_or_the_user_ends_it(error: BaseException) -> None:
    with DaqDataClient(config_of(UNUSED), None):
        raise error


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(3), ValueError("x")])
def test_the_block_hides_no_other_error(error: BaseException) -> None:
    with pytest.raises(type(error)), DaqDataClient(config_of(UNUSED), None):
        raise error


def test_services_are_told_with_their_calls() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None) as client:
            text = client.reflect_services(node.host)
        assert f"Reflecting services on {node.host}" in text
        stream = "[magenta]stream[/magenta]"
        assert f"rpc StreamImages(StreamImagesRequest) returns ({stream} StreamImagesResponse)" in text
        assert f"rpc UploadImages({stream} UploadImageRequest) returns (Empty)" in text
        assert "'daqdata.DaqData'" in text

    with_nodes_blocking(test, 1)


# Initialisation ---------------------------------------------------------------------------------------------------


def test_a_node_takes_the_configuration_of_its_client() -> None:
    def test(first: DaqNodeServer, second: DaqNodeServer) -> None:
        hosts = [first.host, second.host]
        with DaqDataClient(config_of(*hosts), None) as client:
            assert client.init_hp_io(
                hosts, {"update_interval_seconds": 0.02, "simulate_daq": False, "force": True, "module_ids": [3]}
            )
            for node in (first, second):
                assert node.node.acquisition is not None
                assert node.node.acquisition.data_dir == "/data"  # of daq_config
                assert node.node.acquisition.modules == {3}
            assert client.init_sim(hosts[0])
            assert first.node.acquisition.simulates and not second.node.acquisition.simulates
            assert not client.init_hp_io(hosts, {"update_interval_seconds": 1e-9, "simulate_daq": False})
            with pytest.raises(ValueError, match="simulate_daq"):
                client.init_sim(hosts, {"update_interval_seconds": 0.1, "simulate_daq": False})
            with pytest.raises(ValueError, match="update_interval_seconds"):
                client.init_hp_io(hosts, {"simulate_daq": False})

    with_nodes_blocking(test, 1, 2)


# Streams ----------------------------------------------------------------------------------------------------------


def test_an_image_comes_as_it_was_taken() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None) as client:
            images = client.stream_images(node.host, True, True, -1)
            kinds = {}
            for image in itertools.islice(images, 30):
                kinds.setdefault(image["type"], image)
            images.close()
        movie, pulse = kinds["MOVIE"], kinds["PULSE_HEIGHT"]
        expected = np.arange(1024, dtype=np.uint16) * 61
        expected[0] = movie["frame_number"]
        np.testing.assert_array_equal(movie["image_array"], expected.reshape(32, 32))
        assert movie["image_array"].dtype == np.uint16 and movie["module_id"] == 254
        assert pulse["image_array"].dtype == np.int16
        assert (pulse["image_array"][0, 0], pulse["image_array"][15, 15]) == (-5, 3000)
        assert pulse["header"]["quabo_num"] == 2.0

    with_nodes_blocking(test, 254)


def test_without_parsing_messages_come() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None) as client:
            image = next(client.stream_images(None, True, False, 0, parse_pano_images=False))
            assert isinstance(image, StreamImagesResponse) and image.pano_image.module_id == 254

    with_nodes_blocking(test, 254)


def test_a_node_that_sends_nothing_more_does_not_hold_up_another() -> None:
    async def work() -> None:
        async with daq_node(1, most=1) as quiet, daq_node(2, period_s=0.002) as busy:
            await asyncio.to_thread(test, quiet, busy)

    def test(quiet: DaqNodeServer, busy: DaqNodeServer) -> None:
        with DaqDataClient(config_of(quiet.host, busy.host), None) as client:
            images = client.stream_images(None, True, False, 0)
            numbers = [image["frame_number"] for image in itertools.islice(images, 200) if image["module_id"] == 2]
        assert len(numbers) >= 199
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    asyncio.run(asyncio.wait_for(work(), 30.0))


def test_only_the_modules_that_were_asked_for_come() -> None:
    def test(first: DaqNodeServer, second: DaqNodeServer) -> None:
        with DaqDataClient(config_of(first.host, second.host), None) as client:
            images = client.stream_images([], True, True, 0, module_ids=(2,))
            assert {image["module_id"] for image in itertools.islice(images, 20)} == {2}

    with_nodes_blocking(test, 1, 2)


def test_when_a_node_stops_the_images_of_the_others_go_on() -> None:
    async def work(*nodes: DaqNodeServer) -> None:
        loop = asyncio.get_running_loop()

        def test() -> None:
            with DaqDataClient(config_of(*(node.host for node in nodes)), None) as client:
                images = client.stream_images(None, True, False, 0)
                seen: set[int] = set()
                while seen != {1, 2, 3}:
                    seen.add(next(images)["module_id"])
                asyncio.run_coroutine_threadsafe(nodes[1].service.stop(), loop).result(10.0)
                # What was on its way comes still; then images of the two that are left.
                modules = [image["module_id"] for image in itertools.islice(images, 600)]
                assert set(modules[-100:]) == {1, 3}

        await asyncio.to_thread(test)

    with_nodes(work, 1, 2, 3, period_s=0.002)


def test_a_node_that_refuses_ends_the_stream_with_its_reason() -> None:
    async def work() -> None:
        async with daq_node(1) as ready, daq_node(2, begun=False) as other:
            await asyncio.to_thread(test, ready, other)

    def test(ready: DaqNodeServer, other: DaqNodeServer) -> None:
        with DaqDataClient(config_of(ready.host, other.host), None) as client:
            with pytest.raises(grpc.RpcError) as refused:
                for _ in client.stream_images(None, True, False, 0):
                    pass
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("images of")]

    asyncio.run(asyncio.wait_for(work(), 30.0))


def test_who_waits_for_a_node_gets_its_images_once_it_is_configured() -> None:
    async def work(node: DaqNodeServer) -> None:
        node.node.is_configuring = True
        loop = asyncio.get_running_loop()

        def test() -> None:
            with DaqDataClient(config_of(node.host), None) as client:
                assert list(client.stream_images(node.host, True, False, 0)) == []  # who does not wait
                images = client.stream_images(node.host, True, False, 0, wait_for_ready=True)
                threading.Timer(0.5, loop.call_soon_threadsafe, [setattr, node.node, "is_configuring", False]).start()
                assert next(images)["module_id"] == 7

        await asyncio.to_thread(test)

    with_nodes(work, 7)


def test_a_stream_has_no_deadline_but_one_that_was_asked_for() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None) as client:
            with pytest.raises(grpc.RpcError) as ended:
                for _ in client.stream_images(None, True, False, 0, timeout=0.3):
                    pass
            assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    with_nodes_blocking(test, 7)


def test_a_client_that_stops_taking_ends_its_stream_at_the_node() -> None:
    async def work(node: DaqNodeServer) -> None:
        def test() -> None:
            with DaqDataClient(config_of(node.host), None) as client:
                next(client.stream_images(None, True, False, 0))

        await asyncio.to_thread(test)
        for _ in range(500):
            if not node.node.readers:
                return
            await asyncio.sleep(0.01)
        pytest.fail("the stream goes on at the node")

    with_nodes(work, 7)


# Uploads ----------------------------------------------------------------------------------------------------------


def image(number: int) -> PanoImage:
    found = PanoImage(type=PanoImage.MOVIE, shape=[32, 32], bytes_per_pixel=1, module_id=77, frame_number=number)
    found.image_array.extend([number % 256] * 1024)
    return found


def test_uploaded_images_come_to_who_streams_from_each_node() -> None:
    def test(first: DaqNodeServer, second: DaqNodeServer) -> None:
        hosts = [first.host, second.host]
        with DaqDataClient(config_of(*hosts), None) as client:
            streams = [client.stream_images(host, True, False, 0, module_ids=[77]) for host in hosts]
            numbers: dict[int, list[int]] = {0: [], 1: []}

            def take(index: int) -> None:
                numbers[index] += [each["frame_number"] for each in itertools.islice(streams[index], 150)]

            takers = [threading.Thread(target=take, args=[index]) for index in (0, 1)]
            for taker in takers:
                taker.start()
            for node in (first, second):
                wait_until(lambda node=node: node.node.readers)
            client.upload_images(hosts, (image(number) for number in range(1, 151)))
            for taker in takers:
                taker.join(10.0)
        assert numbers == {0: list(range(1, 151)), 1: list(range(1, 151))}

    with_nodes_blocking(test, 1, 2)


def test_an_upload_that_a_node_refuses_ends_with_its_reason() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None) as client:
            wrong = image(1)
            wrong.shape[0] = 31
            with pytest.raises(grpc.RpcError) as refused:
                client.upload_images(node.host, itertools.repeat(wrong))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(ZeroDivisionError):
                client.upload_images(node.host, (image(1 // 0) for _ in range(1)))

    with_nodes_blocking(test, 1)


# Secrets ----------------------------------------------------------------------------------------------------------


def test_a_node_that_wants_a_token_serves_who_has_it() -> None:
    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None, token="wrong") as stranger:
            assert not stranger.ping(node.host)
        with DaqDataClient(config_of(node.host), None, token="sesame") as client:
            assert client.ping(node.host)
            assert next(client.stream_images(None, True, False, 0))["module_id"] == 5

    with_nodes_blocking(test, 5, token="sesame")


def test_a_node_with_a_certificate_is_trusted_by_who_knows_its_authority(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    certificate, key = ((tmp_path / name).read_bytes() for name in ("lab.crt", "lab.key"))

    def test(node: DaqNodeServer) -> None:
        with DaqDataClient(config_of(node.host), None) as stranger:
            assert not stranger.ping(node.host)
        credentials = grpc.ssl_channel_credentials(certificate)
        with DaqDataClient(config_of(node.host), None, credentials=credentials) as client:
            assert next(client.stream_images(None, True, False, 0))["module_id"] == 5

    with_nodes_blocking(test, 5, certificate=certificate, key=key)


def test_an_import_of_the_clients_leaves_no_log_folder(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    program = "import servers.daqdata.client"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, env={"PYTHONPATH": str(root), "PATH": ""})
    assert not list(tmp_path.iterdir())
