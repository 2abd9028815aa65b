"""Runs one hardware server of DCSS until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Mapping
from typing import Any

from devices.core.errors import ConfigurationError
from devices.core.neighbours import NoNeighbours
from devices.dcss.bridge import Bridge
from devices.dcss.bridge_device import host_and_port
from devices.dcss.dhs_link import DhsLink
from devices.dcss.operation_function import functions_of
from servers.dhs.config_file import JPEG_PORT, DhsConfig, loop_properties

log = logging.getLogger("diptych.dhs")


async def serve_functions(config: DhsConfig) -> None:
    """Serve the functions of a module as operations until cancelled.

    A function ``configure`` of the module gets the section of the configuration file first, ``close`` is called at the
    end; they are no operations.

    Raises:
        ConfigurationError: there is no such module, or one of its functions cannot be an operation.
    """
    module = _module(config.module)
    works = {name: work for name, work in functions_of(module).items() if name not in ("configure", "close")}
    if (configure := getattr(module, "configure", None)) is not None:
        configure(config.settings)
    bridge = Bridge(NoNeighbours(), log)
    for name, work in works.items():
        bridge.operations.add(name, work)
    link = DhsLink(*host_and_port(config.dcss), config.name, bridge)
    log.info("%s: operations %s for DCSS at %s", config.name, " ".join(sorted(works)), config.dcss)
    try:
        await link.start()
        await asyncio.Event().wait()
    finally:
        await bridge.close()
        await link.stop()
        if (close := getattr(module, "close", None)) is not None:
            close()


async def serve_loop(config: DhsConfig) -> None:
    """Serve the loop detector, with the receiver of its camera's pictures, until cancelled.

    Raises:
        ConfigurationError: wrong entries.
    """
    from devices.dcss.loop_device import LoopDetector
    from servers.axis.hosted import axis

    receiver: Mapping[str, Any] = config.settings["jpeg_receiver"]
    host = receiver.get("host", "127.0.0.1")
    device = LoopDetector("dcss/loop/1", loop_properties(config))
    service = axis(device, {"listen": f"{host}:{receiver.get('port', JPEG_PORT)}"})
    if "host" not in receiver:
        log.warning("pictures are taken from this computer only; jpeg_receiver.host says where else to listen")
    await device.start()
    try:
        await service.start()
        await asyncio.Event().wait()
    finally:
        with contextlib.suppress(OSError):
            await service.stop()
        await device.stop()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(name, [f"cannot be imported: {error}"]) from error
