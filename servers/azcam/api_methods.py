"""The bare words: ``get_par``, ``expose``, ``get_temperatures`` ... which the web API reaches, too."""

from __future__ import annotations

from typing import Final

from servers.azcam.exposure_methods import EXPOSURE, FOCUS
from servers.azcam.method import Method
from servers.azcam.tool_methods import INSTRUMENT, TEMPCON

_OF_EXPOSURE: Final = (
    "expose", "expose1", "sequence", "sequence1", "test", "flush", "set_filename", "get_roi", "set_roi", "roi_reset",
    "get_format", "set_format", "abort", "pause", "resume", "pause_exposure", "resume_exposure", "set_shutter",
    "read_header_file", "get_exposuretime", "set_exposuretime", "get_exposuretime_remaining", "get_pixels_remaining",
    "get_status", "set_image_title", "get_image_title", "set_image_type", "get_image_type", "get_image_types",
)  # fmt: skip
_OF_TEMPCON: Final = ("get_temperatures", "get_temperature", "set_control_temperature", "get_control_temperature")
_OF_INSTRUMENT: Final = (
    "get_filters", "get_filter", "set_filter", "get_wavelengths", "get_wavelength", "set_wavelength",
)  # fmt: skip

#: Bare word -> tool and method.
API: Final[dict[str, tuple[str, Method]]] = {
    **{name: ("exposure", EXPOSURE[name]) for name in _OF_EXPOSURE},
    **{name: ("tempcon", TEMPCON[name]) for name in _OF_TEMPCON},
    **{name: ("instrument", INSTRUMENT[name]) for name in _OF_INSTRUMENT},
    "initialize": ("exposure", EXPOSURE["initialize"]),
    "initialize_exposure": ("exposure", EXPOSURE["initialize"]),
    "reset_exposure": ("exposure", EXPOSURE["reset"]),
    # The spelling of azcam's server, and the one that its console sends.
    "focus_initalize": ("exposure", FOCUS["initialize"]),
    "focus_initialize": ("exposure", FOCUS["initialize"]),
    "focus_abort": ("exposure", FOCUS["abort"]),
    "focus_set_pars": ("exposure", FOCUS["set_pars"]),
    "focus_run": ("exposure", FOCUS["run"]),
}
