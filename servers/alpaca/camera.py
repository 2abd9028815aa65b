"""A CCD camera as an Alpaca camera, ICameraV4."""

from __future__ import annotations

from servers.alpaca.camera_choices import CameraChoices
from servers.alpaca.camera_cooler import CameraCooler
from servers.alpaca.camera_exposure import CameraExposure
from servers.alpaca.member import number, truth, whole


class AlpacaCamera(CameraExposure, CameraCooler, CameraChoices):
    """All of a camera."""

    device_type = "Camera"
    interface_version = 4
    # It is monochrome, has no port for guiding, no other way to read out faster, and adds up no exposures by itself.
    missing_gets = (
        *("bayeroffsetx", "bayeroffsety", "coolerpower", "fastreadout", "heatsinktemperature", "subexposureduration"),
        "ispulseguiding",
    )  # fmt: skip
    missing_puts = {  # noqa: RUF012
        "fastreadout": {"FastReadout": truth},
        "pulseguide": {"Direction": whole, "Duration": whole},
        "subexposureduration": {"SubExposureDuration": number},
    }
    operational = (
        *("CameraState", "CCDTemperature", "CoolerPower", "HeatSinkTemperature", "ImageReady", "IsPulseGuiding"),
        "PercentCompleted",
    )
