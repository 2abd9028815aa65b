"""What the camera does, as clients of azcam poll it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from devices.ccd.exposure_state import FLAGS, ExposureState

if TYPE_CHECKING:
    from servers.azcam.camera import Camera
    from servers.azcam.tool import Tool

#: Flag -> colour of the label; every other is transparent.
COLOURS: Final = {1: "green", 7: "red", 8: "cyan"}
#: What stands for temperatures of camera and dewar that cannot be read.
NO_TEMPERATURES: Final = {"camera": -999.9, "dewar": -666.6}


def exposure_flag(tool: Tool) -> list[Any]:
    """Number and name of what the camera does."""
    return list(FLAGS[ExposureState(tool.value("exposure_state"))])


def status(camera: Camera) -> dict[str, Any]:
    """What the camera does, in 19 entries."""
    exposure, tempcon = camera.tool("exposure"), camera.tool("tempcon")
    number, name = FLAGS[ExposureState(exposure.value("exposure_state"))]
    is_sequence = bool(exposure.value("is_sequence"))
    counted = (exposure.value("sequence_number"), exposure.value("sequence_total")) if is_sequence else (0, 0)
    label, progress = "", 0.0
    seconds = exposure.value("exposure_time")
    if number == 1 and seconds:
        remaining = exposure.value("exposure_time_remaining")
        label, progress = f"{remaining:.1f} sec remaining", 100.0 * remaining / seconds
    elif number == 7:
        progress = float(round(100.0 * exposure.value("pixels_remaining") / max(1, exposure.value("image_pixels"))))
        label = f"{progress:.0f}% readout"
    elif number == 8:
        label = "exposure setup"
    shown = name if number in COLOURS else ""
    message = shown and (f"{shown} - {counted[0]} of {counted[1]}" if is_sequence else shown)
    temperatures: dict[str, Any] = {}
    for place, bad in NO_TEMPERATURES.items():
        value = tempcon.value_or(f"{place}_temperature", None) if camera.has("tempcon") else None
        temperatures[place] = bad if value is None else f"{value:.1f}"
    roi = exposure.value("roi")
    return {
        "message": message or exposure.value_or("last_error", ""),
        "exposurelabel": label,
        "exposurecolor": COLOURS.get(number, "transparent"),
        "exposurestate": shown,
        "progressbar": progress,
        "camtemp": temperatures["camera"],
        "dewtemp": temperatures["dewar"],
        "filename": exposure.value("filename"),
        "seqcount": counted[0],
        "seqtotal": counted[1],
        "timestamp": time.strftime("%Y-%m-%d %H:%M:%S"),
        "imagetitle": exposure.value("image_title"),
        "imagetype": exposure.value("image_type"),
        "imagetest": int(exposure.value("test_image")),
        "exposuretime": seconds,
        "colbin": roi[4],
        "rowbin": roi[5],
        "systemname": camera.system_name,
        "mode": camera.mode,
    }
