"""How long clients wait when they are not told: what the documentation says, compared with the clients themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.facility.running import CHECKOUT

PAGE = CHECKOUT / "docs" / "epics-clients.md"


def _default(function: Any, argument: str = "timeout") -> Any:
    return inspect.signature(function).parameters[argument].default


def _pyepics_pv() -> Any:
    import epics

    return _default(epics.PV.put)


def _pyepics_caput() -> Any:
    import epics

    return _default(epics.caput)


def _aioca() -> Any:
    import aioca

    return _default(aioca.caput)


def _caproto_threading() -> Any:
    from caproto.threading.client import Context

    return _default(Context.__init__)


def _caproto_command() -> Any:
    from caproto.commandline.put import main  # noqa: F401  (that the command is there)
    from caproto.sync.client import write

    return _default(write)


def _p4p() -> Any:
    from p4p.client.thread import Context

    (seconds,) = {_default(Context.put), _default(Context.rpc)}
    return seconds


def _ophyd_async() -> Any:
    from ophyd_async.core import DEFAULT_TIMEOUT

    return DEFAULT_TIMEOUT


def _ophyd() -> Any:
    from ophyd.signal import EpicsSignalBase

    return _default(EpicsSignalBase.set_defaults, "write_timeout")


CLIENTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "pyepics `PV.put`": ("epics", _pyepics_pv),
    "pyepics `caput`": ("epics", _pyepics_caput),
    "aioca": ("aioca", _aioca),
    "caproto, threading and asyncio": ("caproto", _caproto_threading),
    "caproto `write`": ("caproto", _caproto_command),
    "p4p": ("p4p", _p4p),
    "ophyd": ("ophyd", _ophyd),
    "ophyd-async": ("ophyd_async", _ophyd_async),
}


def _documented() -> dict[str, float | None]:
    """Client -> seconds; None for as long as it takes."""
    rows = re.findall(r"^\| (.+?) \| (\d+) s \||^\| (.+?) \| for ever \|", PAGE.read_text(), re.MULTILINE)
    return {name or endless: float(seconds) if seconds else None for name, seconds, endless in rows}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_put_waits_as_long_as_the_documentation_says(client: str) -> None:
    module, waits = CLIENTS[client]
    pytest.importorskip(module, reason=f"{module} is not installed")
    assert waits() == _documented()[client]


def test_the_documentation_names_no_other_client() -> None:
    assert set(_documented()) == set(CLIENTS)
