"""The panel of a SAXS detector in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from devices.core.errors import NotConnectedError
from devices.drivers.saxs_calibration import read_calibration
from servers.facility import DEFAULT_STATE_DIR, record
from servers.facility.facility_file import Facility
from servers.facility.place import facility_of, words_for
from servers.facility.readiness import panels_address

PANEL: Final = "saxs"
DEVICE_CLASS: Final = "devices.saxs:SaxsDetector"


def open_in_browser(url: str | None, state_dir: Path | None, calibration: Path | None) -> Iterator[str]:
    """Open the page; yields what a person should know, the address first.

    Args:
        url: None for the panels of the facility that runs.
        calibration: checked, but no queue is begun with it.

    Raises:
        NotConnectedError: no facility runs, or it has no panels.
        ConfigurationError: the calibration is wrong.
    """
    if calibration is not None:
        read_calibration(calibration)
    address = url or _address(state_dir or DEFAULT_STATE_DIR)
    opened = webbrowser.open(address)
    yield address if opened else f"no browser can be started here; open {address}"
    if calibration is not None:
        yield f"{calibration} is sound; a queue begins with: saxsleash new {calibration}"


def _address(state_dir: Path) -> str:
    if record.running(state_dir) is None:
        raise NotConnectedError(f"no facility runs on {state_dir}; start one with {words_for('up', state_dir)}")
    facility = facility_of(None, state_dir, 0, to_run=False)
    if facility.panels is None:
        raise NotConnectedError(f"{facility.path} has no panels; name a page with --url")
    prefix = _prefix(facility)
    return f"{panels_address(facility)}#/{PANEL}" + (f"?P={quote(prefix)}" if prefix else "")


def _prefix(facility: Facility) -> str | None:
    """The prefix of the PVs of the first SAXS detector of a facility."""
    for classes in facility.devices.values():
        for name, devices in classes.items():
            if facility.classes.get(name) == DEVICE_CLASS:
                for properties in devices.values():
                    return "".join(properties.get("pv_prefix", ())) or None
    return None
