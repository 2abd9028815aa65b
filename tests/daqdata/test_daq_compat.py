"""Scripts of PANOSETI, which import daq_data, run unchanged with the package of compat/panoseti."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.daqdata.daq_nodes import DaqNodeServer, config_of, with_nodes

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "compat" / "panoseti"

BLOCKING = """
    from daq_data.client import DaqDataClient, hp_io_config_simulate_path
    import json

    with DaqDataClient("daq_config.json", network_config=None) as client:
        hosts = client.get_valid_daq_hosts()
        print("valid", len(hosts))
        with open(hp_io_config_simulate_path) as file:
            hp_io_cfg = json.load(file)
        assert client.init_sim(hosts)
        assert client.init_hp_io(hosts=hosts, hp_io_cfg=hp_io_cfg, timeout=10.0)
        images = client.stream_images(
            hosts, stream_movie_data=True, stream_pulse_height_data=False, update_interval_seconds=0.05,
            module_ids=(), parse_pano_images=True,
        )
        for image, _ in zip(images, range(5)):
            print(image["type"], image["module_id"], image["image_array"].shape, image["image_array"].dtype)
            assert image["header"]["pandas_unix_timestamp"].year == 2024
"""

ASYNCHRONOUS = """
    import asyncio
    from daq_data.client import AioDaqDataClient
    from daq_data.daq_data_pb2 import PanoImage, StreamImagesResponse
    from daq_data.resources import format_stream_images_response, parse_pano_image

    async def main():
        stop = asyncio.Event()
        async with AioDaqDataClient("daq_config.json", None, stop_event=stop, log_level=30) as client:
            hosts = await client.get_valid_daq_hosts()
            images = await client.stream_images(hosts, True, True, -1, parse_pano_images=False)
            async for response in images:
                assert isinstance(response, StreamImagesResponse)
                if response.pano_image.type == PanoImage.Type.PULSE_HEIGHT:
                    image = parse_pano_image(response.pano_image)
                    print(format_stream_images_response(response).split()[:3], image["image_array"].dtype)
                    stop.set()

    asyncio.run(main())
"""

STUB = """
    import json
    import grpc
    from google.protobuf.empty_pb2 import Empty
    from daq_data import daq_data_pb2, daq_data_pb2_grpc

    target = json.load(open("daq_config.json"))["daq_nodes"][0]["ip_addr"]
    with grpc.insecure_channel(target) as channel:
        stub = daq_data_pb2_grpc.DaqDataStub(channel)
        stub.Ping(Empty())
        request = daq_data_pb2.StreamImagesRequest(stream_movie_data=True)
        print(next(stub.StreamImages(request)).pano_image.module_id)
"""

SERVICER = """
    from concurrent import futures
    import grpc
    from google.protobuf.empty_pb2 import Empty
    from daq_data import daq_data_pb2_grpc
    from daq_data.client import DaqDataClient

    class Node(daq_data_pb2_grpc.DaqDataServicer):
        def Ping(self, request, context):
            return Empty()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    daq_data_pb2_grpc.add_DaqDataServicer_to_server(Node(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    DaqDataClient.GRPC_PORT = port
    with DaqDataClient({"daq_nodes": [{"ip_addr": "127.0.0.1"}]}, None) as client:
        print(client.ping("127.0.0.1"))
        print(client.init_sim("127.0.0.1"))
    server.stop(None)
"""


def run_script(script: str, folder: Path, path: Path = PACKAGE) -> str:
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=90.0,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        (BLOCKING, ["valid 1", *["MOVIE 3 (32, 32) uint16"] * 5]),
        (ASYNCHRONOUS, ["['module', '3', 'PULSE_HEIGHT'] int16"]),
        (STUB, ["3"]),
    ],
    ids=["blocking", "asynchronous", "stub"],
)
def test_a_script_runs_unchanged(script: str, printed: list[str], tmp_path: Path) -> None:
    async def test(node: DaqNodeServer) -> None:
        (tmp_path / "daq_config.json").write_text(json.dumps(config_of(node.host)))
        assert (await asyncio.to_thread(run_script, script, tmp_path)).splitlines() == printed

    with_nodes(test, 3)


def test_a_servicer_of_ones_own_answers_by_these_names(tmp_path: Path) -> None:
    assert run_script(SERVICER, tmp_path).splitlines() == ["True", "False"]


@pytest.mark.long
def test_the_package_can_be_installed_with_its_configurations(tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("needs pip and setuptools in this environment, to build without a network")
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", target, source], check=True, timeout=120.0)
    script = """
        import daq_data
        from daq_data.cli import client
        from daq_data.client import DaqDataClient, hp_io_config_simulate, hp_io_config_simulate_path
        from daq_data.plot import PanoImagePreviewer, PulseHeightDistribution
        from pathlib import Path
        import json

        config = Path(hp_io_config_simulate_path)
        assert json.loads(config.read_text()) == hp_io_config_simulate
        DaqDataClient(
            config.with_name("daq_config_grpc_simulate.json"), config.with_name("network_config_grpc_simulate.json")
        )
        print(daq_data.__file__)
    """
    assert str(target) in run_script(script, tmp_path, target)
