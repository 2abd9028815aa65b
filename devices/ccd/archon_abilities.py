"""What an Archon can do with its configuration, and what it tells of itself."""

from __future__ import annotations

from devices.ccd.controller_link import Capabilities
from devices.drivers.archon_config import LARGEST_PARAMETER, ArchonConfiguration
from devices.drivers.archon_status import Status


def capabilities_of(configuration: ArchonConfiguration) -> Capabilities:
    """What the parameters of the timing script, and the keys of the trigger output, allow."""
    has = configuration.has_parameter
    forces = "TRIGOUTFORCE" in configuration and "TRIGOUTLEVEL" in configuration
    binning = LARGEST_PARAMETER if has("HorizontalBinning") and has("VerticalBinning") else 1
    return Capabilities(
        pauses=forces,
        reads_early=has("StopExposure") or (has("AbortExposure") and has("ReadOut")),
        moves_parallel=has("ShiftLines") and has("ShiftLinesBack"),
        flushes=has("SweepCount") or (has("DoFlush") and has("FlushCount")),
        has_shutter=forces,
        windows=has("PreSkipLines") and has("PreSkipPixels"),
        delays_rows=has("LineDelay"),
        most_binning=min(binning, Capabilities.most_binning),
    )


def named_telemetry(status: Status) -> dict[str, float]:
    """Temperatures, voltages and currents, each name with its unit at the end."""
    found = {}
    for key, value in status.values.items():
        if key in status.temperatures:
            found[f"{key.replace('/', '_')}_C"] = value
        elif key.endswith("_V"):
            found[key] = value
        elif key.endswith("_I"):
            found[f"{key[:-2]}_A"] = value
        elif key.endswith("OUTPUT"):
            found[f"{key.replace('/', '_')}_V"] = value
    return found
