"""The simulated nodes as a whole."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from devices.core.errors import ConfigurationError
from devices.drivers.correlator_message import mjd_of
from devices.drivers.limited_file import read_limited
from devices.simulators.correlator.node import Clock, Sent, SimulatedNode
from devices.simulators.correlator.settings import NodeSettings
from devices.simulators.correlator.sky import Sky

log = logging.getLogger("diptych.simulators.correlator")

MAX_TOKEN_BYTES = 4096


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled, or until all gulps are sent.

    Args:
        port: not used: nodes connect to `server`.
        options: as `NodeSettings` has them; nodes also as ``"1,5-8"``.
    Raises:
        ConfigurationError: wrong options, all of them; a file that cannot be used.
    """
    await simulate(NodeSettings.of(options))


async def simulate(settings: NodeSettings) -> Sent:
    """Send what the settings say; what became of it, when all gulps are sent.

    Raises:
        ConfigurationError: a file that cannot be used.
    """
    token = ""  # nosec B105
    if settings.token_file:
        token = read_limited(settings.token_file, MAX_TOKEN_BYTES).decode("ascii").split("\n")[0].strip()
    sky = await asyncio.to_thread(Sky, settings)
    begin = settings.begin or datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    clock = Clock(settings, datetime.fromisoformat(begin))
    groups = [settings.sub_bands] if settings.one_client else [(each,) for each in settings.sub_bands]
    sent = Sent()
    nodes = [SimulatedNode(group, sky, settings, token, sent) for group in groups]
    async with asyncio.TaskGroup() as tasks:
        for node in nodes:
            tasks.create_task(node.run(clock))
        if settings.truth:
            tasks.create_task(_write_truth(settings, sky, clock, mjd_of(clock.isot(0))))
    log.info("%s", sent)
    return sent


async def _write_truth(settings: NodeSettings, sky: Sky, clock: Clock, first_mjd: float) -> None:
    """A line for each pulse, when the gulp that it arrives in has ended."""
    path = Path(settings.truth)
    gulp = 0
    try:
        with await asyncio.to_thread(_opened, path) as file:
            while not settings.gulps or gulp < settings.gulps:
                await clock.ended(gulp, 0.0)
                _write_gulp(file, sky, clock.isot(gulp), gulp, first_mjd)
                gulp += 1
    except OSError as error:
        raise ConfigurationError("simulator correlator", [f"truth: {path}: {error.strerror}"]) from error


def _opened(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a")


def _write_gulp(file: TextIO, sky: Sky, isot: str, gulp: int, first_mjd: float) -> None:
    for pulse in sky.arriving(gulp):
        file.write(json.dumps({"isot": isot} | sky.truth(pulse, first_mjd)) + "\n")
    file.flush()
