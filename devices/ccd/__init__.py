"""CCD cameras: exposures, controllers, and the tools of an observatory around them."""

from __future__ import annotations

import importlib
from typing import Any

#: Imported by who serves them: who talks to a controller needs neither numba nor headers.
_HOMES = {
    "AlpacaController": "alpaca_controller",
    "AlpacaInstrument": "alpaca_instrument",
    "ArcController": "arc_controller",
    "ArchonController": "archon_controller",
    "CcdController": "controller",
    "CcdDisplay": "display",
    "CcdExposure": "exposure",
    "CcdInstrument": "instrument",
    "CcdObserver": "observing.observer",
    "CcdTelescope": "telescope",
    "CcdTempcon": "tempcon",
    "MagellanController": "magellan_controller",
    "SimulatedInstrument": "simulated_instrument",
    "SimulatedTelescope": "telescope",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"devices.ccd.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
