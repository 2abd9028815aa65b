"""Does it answer? The questions that READY depends on, asked from outside as any client would.

Every function blocks for a second or two at most, and is called from a thread.
"""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from devices.core.errors import NotConnectedError
from servers.facility.epics_servers import mirror_endpoints
from servers.facility.facility_file import Facility
from servers.facility.mirrored import state_pvs
from servers.facility.port_check import is_taken

TIMEOUT_MILLISECONDS: Final = 1000


def wait_until(question: Callable[[], bool], seconds: float) -> bool:
    """Ask until the answer is yes or the time is over; returns the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def database_answers(tango_host: str) -> bool:
    """Whether a Tango database answers at HOST:PORT."""
    import tango

    from servers.facility.tango_database import open_database

    try:
        # Not get_info: it has the path of the database in another encoding, and an umlaut there is an error.
        open_database(tango_host).get_device_exported("sys/database/*")
    except (NotConnectedError, tango.DevFailed):
        return False
    return True


def server_answers(tango_host: str, server: str, *, has_database: bool = True) -> bool:
    """Whether the admin device of a server answers.

    Args:
        tango_host: HOST:PORT of the database; of the server itself when there is none.
        server: ``Diptych/cryocon``.
        has_database: whether HOST:PORT is a database.
    """
    return _state(tango_host, f"dserver/{server}{'' if has_database else '#dbase=no'}") is not None


def silent_servers(tango_host: str, servers: Iterable[str]) -> list[str]:
    """Those of the servers whose admin device does not answer; all are asked at once."""
    names = list(servers)
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        answers = pool.map(lambda name: server_answers(tango_host, name), names)
        return [name for name, answer in zip(names, answers, strict=True) if not answer]


def device_states(tango_host: str, devices: Iterable[str]) -> dict[str, str | None]:
    """Device -> its State in words, None when it does not answer."""
    return {device: _state(tango_host, device) for device in devices}


def unanswered_pvs(facility: Facility) -> list[str]:
    """What EPICS clients still miss: the State PV of each device on Channel Access, the PVAccess port.

    The facility's EPICS_CA_* settings must be in the environment of this process.
    """
    states = state_pvs(facility)
    if not states:
        return []
    missing = [pv for pv in states if not _pv_answers(pv)]
    # A connection that is closed again would stand in the log of the PVAccess server as an error.
    for mirror in mirror_endpoints(facility):
        host, _, port = mirror.pva.rpartition(":")
        if not is_taken(int(port), address=host):
            missing.append(f"PVAccess on {mirror.pva}")
    return missing


def panels_answer(facility: Facility) -> bool:
    """Whether the web server of the panels answers, were it by a refusal, where there is to be one."""
    if facility.panels is None:
        return True
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a certificate is for the name that others use
    seconds = TIMEOUT_MILLISECONDS / 1000
    try:
        with urllib.request.urlopen(panels_address(facility), timeout=seconds, context=context) as answer:  # noqa: S310  # nosec B310
            return bool(answer.status == HTTPStatus.OK)
    except urllib.error.HTTPError as refused:
        return refused.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    except OSError:
        return False


def panels_address(facility: Facility) -> str:
    """The address of the panels for a browser on this host."""
    return f"{facility.web.scheme}://{facility.ports.endpoint('panels')}/"


def _state(tango_host: str, device: str) -> str | None:
    import tango

    try:
        proxy = tango.DeviceProxy(f"tango://{tango_host}/{device}")
        proxy.set_timeout_millis(TIMEOUT_MILLISECONDS)
        return str(proxy.state())
    except tango.DevFailed:
        return None


def _pv_answers(name: str) -> bool:
    from caproto import CaprotoError
    from caproto.sync.client import read

    try:
        read(name, timeout=1.0, repeater=False)
    except (CaprotoError, OSError, TimeoutError):
        return False
    return True
