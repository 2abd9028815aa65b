"""A DAQ node and its DaqData service, alone in a process; or the server of the PANOSETI project likewise."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from devices.daq.chosen_sources import ChosenSources
from devices.daq.node import Acquisition, Node
from devices.daq.properties import DaqProperties
from servers.daqdata.service import DaqDataService, ServiceSettings
from servers.garbage import collect_apart


async def ours(folder: Path) -> None:
    """Frames of sockets, of files below the folder, and of uploads; at a unix socket in the folder."""
    data = folder / "data"
    data.mkdir()
    given = DaqProperties(
        data_dir=str(data), sockets=f"{folder}/frames_{{dp_name}}.sock", needs_recorder=False, begins_alone=False
    )
    chosen = ChosenSources(given)
    node = Node(chosen.make, chosen.limits, chosen.check)
    service = DaqDataService(node, ServiceSettings((f"unix://{folder}/daq.sock",), "benchmark"))
    await service.start()
    await node.initialise(Acquisition(str(data), 0.001), force=True)
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await service.stop()


async def theirs(folder: Path) -> None:
    """The server of panoseti-grpc at the same place."""
    import grpc.aio
    from panoseti_grpc.daq_data import server
    from panoseti_grpc.daq_data.resources import CFG_DIR, daq_data_anchor_package, load_package_json

    # It listens on one fixed port of all addresses; here on a free one of this host.
    add_port = grpc.aio.Server.add_insecure_port
    grpc.aio.Server.add_insecure_port = lambda self, address: add_port(  # type: ignore[method-assign]
        self, address if address.startswith("unix:") else "127.0.0.1:0"
    )
    config = load_package_json(daq_data_anchor_package, CFG_DIR / "daq_data_server_config.json")
    config["unix_domain_socket"] = f"unix://{folder}/daq.sock"
    config["acquisition_methods"]["uds"]["socket_path_template"] = f"{folder}/frames_{{dp_name}}.sock"
    serving = asyncio.create_task(server.serve(config))
    while not (folder / "daq.sock").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()


if __name__ == "__main__":
    collect_apart()
    asyncio.run((ours if sys.argv[1] == "ours" else theirs)(Path(sys.argv[2])))
