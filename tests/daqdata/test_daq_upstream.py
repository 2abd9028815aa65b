"""With the package panoseti-grpc itself: its clients at our nodes, our clients at its server, the same dictionaries.

It pins versions that go with nothing else here, so it is not among the requirements; its code runs with ours:
``pip install --no-deps panoseti-grpc==0.3.5 redis aiofiles``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from servers.daqdata.client import DaqDataClient
from servers.daqdata.decode import decode_response
from servers.daqdata.wire import encode_response
from tests.daqdata.daq_nodes import DaqNodeServer, config_of, movie, pulse, with_nodes

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("panoseti_grpc", "redis", "aiofiles")),
    reason="panoseti-grpc is not here: pip install --no-deps panoseti-grpc==0.3.5 redis aiofiles",
)

THEIR_CLIENTS = """
    import asyncio, json, sys
    from panoseti_grpc.daq_data.client import AioDaqDataClient, DaqDataClient, hp_io_config_simulate

    host, _, port = sys.argv[1].rpartition(":")
    config = {"daq_nodes": [{"ip_addr": host, "data_dir": ""}]}
    DaqDataClient.GRPC_PORT = AioDaqDataClient.GRPC_PORT = int(port)
    told = {}
    with DaqDataClient(config, None) as client:
        told["ping"] = client.ping(host)
        told["services"] = client.reflect_services(host)
        told["init"] = client.init_sim(host)
        images = client.stream_images(host, True, True, -1)
        told["kinds"] = sorted({next(images)["type"] for _ in range(60)})

    async def main():
        stop = asyncio.Event()
        async with AioDaqDataClient(config, None, stop_event=stop) as client:
            told["aio init"] = await client.init_sim(host)
            numbers = []
            async for image in await client.stream_images(host, True, False, 0.0):
                numbers.append(image["frame_number"])
                if len(numbers) == 100:
                    stop.set()
            told["steps"] = sorted(set(b - a for a, b in zip(numbers, numbers[1:])))

    asyncio.run(main())
    print(json.dumps(told))
"""

THEIR_SERVER = """
    import asyncio, sys
    import grpc.aio
    from panoseti_grpc.daq_data import server
    from panoseti_grpc.daq_data.resources import CFG_DIR, daq_data_anchor_package, load_package_json

    # It listens on one fixed port of all addresses; here on a free one of this host.
    add_port = grpc.aio.Server.add_insecure_port
    grpc.aio.Server.add_insecure_port = lambda self, address: add_port(
        self, address if address.startswith("unix:") else "127.0.0.1:0"
    )
    config = load_package_json(daq_data_anchor_package, CFG_DIR / "daq_data_server_config.json")
    config["unix_domain_socket"] = f"unix://{sys.argv[1]}/daq.sock"
    config["acquisition_methods"]["uds"]["socket_path_template"] = f"{sys.argv[1]}/hp_{{dp_name}}.sock"
    asyncio.run(server.serve(config))
"""


def test_their_clients_get_every_image_of_our_node(tmp_path: Path) -> None:
    async def test(node: DaqNodeServer) -> None:
        script = [sys.executable, "-c", textwrap.dedent(THEIR_CLIENTS), node.host]
        found = await asyncio.to_thread(
            subprocess.run, script, cwd=tmp_path, capture_output=True, text=True, timeout=90
        )
        assert found.returncode == 0, found.stderr
        told = json.loads(found.stdout.splitlines()[-1])
        services = told.pop("services")
        assert "rpc Ping(Empty) returns (Empty)" in services and "daqdata.DaqData" in services
        assert told == {
            "ping": True,
            "init": True,
            "kinds": ["MOVIE", "PULSE_HEIGHT"],
            "aio init": True,
            "steps": [1],
        }

    with_nodes(test, 1)


@pytest.fixture
def their_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("daq")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(THEIR_SERVER), str(folder)], cwd=folder, stdout=log, stderr=log
        )
        try:
            end = time.monotonic() + 30.0
            while not (folder / "daq.sock").exists():
                assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)
            yield f"unix://{folder}/daq.sock"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20.0)


def test_our_client_streams_from_their_server(their_server: str) -> None:
    with DaqDataClient(config_of(their_server), None) as client:
        assert client.get_daq_host_status() == {their_server: True}
        assert "rpc InitHpIo(InitHpIoRequest)" in client.reflect_services(None)
        assert client.init_sim(their_server)
        found = list(islice(client.stream_images(None, True, True, 0.0, wait_for_ready=True), 8))
    assert {image["type"] for image in found} == {"MOVIE", "PULSE_HEIGHT"}
    for image in found:
        assert image["module_id"] == 224 and image["header"]["wr_valid"]
        assert str(image["header"]["pandas_unix_timestamp"]).startswith("2024-07-25 0")


def test_images_are_the_same_dictionaries_but_for_the_better_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # it makes a folder for logs where it is imported
    from panoseti_grpc.daq_data.resources import parse_pano_image
    from panoseti_grpc.generated.daq_data_pb2 import StreamImagesResponse

    for frame in (movie(3, 254), pulse(4, 7)):
        data = encode_response(frame, "node")
        ours, theirs = decode_response(data), parse_pano_image(StreamImagesResponse.FromString(data).pano_image)
        pixels = ours.pop("image_array")
        np.testing.assert_array_equal(pixels, theirs["image_array"])
        assert pixels.dtype == theirs.pop("image_array").dtype
        assert ours["header"].pop("wr_valid")
        # Theirs is that of the recorder's clock, to the us.
        assert ours["header"].pop("pandas_unix_timestamp") != theirs["header"].pop("pandas_unix_timestamp")
        assert ours == theirs
