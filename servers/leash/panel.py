"""The panel of a SAXS detector in a browser."""

from __future__ import annotations

import base64
import json
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from devices.core.errors import BadValueError, ConfigurationError, NotConnectedError
from devices.drivers.limited_file import read_limited
from servers.facility import DEFAULT_STATE_DIR, record
from servers.facility.facility_file import Facility
from servers.facility.place import facility_of, words_for
from servers.facility.readiness import panels_address

PAGE: Final = "#/saxs/"
MAX_CALIBRATION: Final = 48 << 10  # bytes; an address with more is refused by some systems
DEVICE_CLASS: Final = "devices.saxs:SaxsDetector"


def open_in_browser(url: str | None, state_dir: Path | None, calibration: Path | None) -> Iterator[str]:
    """Open the page; yields what a person should know, the address first.

    Args:
        url: None for the panels of the facility that runs.
        calibration: loaded into the editor, which says what is wrong with it.

    Raises:
        NotConnectedError: no facility runs, or it has no panels or no detector.
        ConfigurationError: the calibration cannot be read, or is no JSON object.
        BadValueError: it is too large, or the page has no editor.
    """
    address = url or _address(state_dir or DEFAULT_STATE_DIR)
    if calibration is not None:
        if PAGE not in address:
            raise BadValueError(f"{address} has no editor of calibrations; its address has {PAGE}SAXS1:")
        address += f"{'&' if '?' in address.partition('#')[2] else '?'}{_query(calibration)}"
    opened = webbrowser.open(address)
    yield address if opened else f"no browser can be started here; open {address}"


def _query(calibration: Path) -> str:
    """A calibration as a part of an address that never leaves the browser: what is behind # is not sent."""
    try:
        document = json.loads(read_limited(calibration, MAX_CALIBRATION))
    except BadValueError as error:
        raise ConfigurationError(str(calibration), [str(error)]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(str(calibration), [f"not JSON: {error}"]) from error
    if not isinstance(document, dict):
        raise ConfigurationError(str(calibration), ["not a JSON object"])
    text = base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode().rstrip("=")
    return f"file={quote(calibration.name)}&calibration={text}"


def _address(state_dir: Path) -> str:
    if record.running(state_dir) is None:
        raise NotConnectedError(f"no facility runs on {state_dir}; start one with {words_for('up', state_dir)}")
    facility = facility_of(None, state_dir, 0, to_run=False)
    if facility.panels is None:
        raise NotConnectedError(f"{facility.path} has no panels; name a page with --url")
    prefix = _prefix(facility)
    if prefix is None:
        raise NotConnectedError(f"{facility.path} has no SAXS detector with PVs")
    return f"{panels_address(facility)}{PAGE}{quote(prefix, safe=':')}"


def _prefix(facility: Facility) -> str | None:
    """The prefix of the PVs of the first SAXS detector of a facility."""
    for classes in facility.devices.values():
        for name, devices in classes.items():
            if facility.classes.get(name) == DEVICE_CLASS:
                for properties in devices.values():
                    return "".join(properties.get("pv_prefix", ())) or None
    return None
