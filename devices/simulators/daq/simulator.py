"""The simulated recorder as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final

from devices.core.errors import ConfigurationError
from devices.simulators.daq.outputs import output_of
from devices.simulators.daq.settings import DaqSettings
from devices.simulators.daq.stream import FrameStream, ModuleFrame, pixels_of

#: Files that grow in bursts need no frame sooner.
FILE_TICK_SECONDS: Final = 0.02


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        port: not used: files and sockets have names.
        options: as `DaqSettings` has them; `modules` also as ``"1,5-8"``, `paths` with commas.
    Raises:
        ConfigurationError: wrong options, all of them; a folder or file that cannot be used.
    """
    await simulate(DaqSettings.of(options))


async def simulate(settings: DaqSettings) -> None:
    """Bring frames to where the settings say, until cancelled.

    Raises:
        ConfigurationError: a folder cannot be made. BadValueError, ProtocolError: a file that cannot be played.
    """
    try:
        output = await asyncio.to_thread(output_of, settings)
    except OSError as error:
        raise ConfigurationError("simulator daq", [f"data_dir: {error.filename}: {error.strerror}"]) from error
    with contextlib.closing(output):
        in_bursts = settings.mode == "filesystem" and settings.burst_bytes
        async for frames in simulated(settings, FILE_TICK_SECONDS if in_bursts else 0.0):
            await output.take(frames)


async def simulated(settings: DaqSettings, at_least_s: float = 0.0) -> AsyncIterator[list[ModuleFrame]]:
    """The frames themselves at their times, some at once, without end.

    Args:
        at_least_s: from one batch to the next.
    Raises:
        BadValueError, ProtocolError: a file that cannot be played.
    """
    pixels = await asyncio.to_thread(pixels_of, settings)
    async for frames in FrameStream(settings, pixels, time.time_ns()).batches(at_least_s):
        yield frames
