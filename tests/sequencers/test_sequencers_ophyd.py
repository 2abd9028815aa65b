"""The positioner of generated ophyd files, over signals without a network."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from servers.sequencers.ophyd_file import HEAD

pytest.importorskip("ophyd", reason="ophyd is not installed")


def cryostat(kelvin: float) -> Any:
    """A set point whose reading is moved by the test."""
    from ophyd import Component, Signal

    names: dict[str, Any] = {}
    exec(HEAD, names)

    class Monitored(Signal):
        """Tells of changes only, as the monitor of a PV does."""

        def put(self, value: Any, **options: Any) -> None:
            if value != self.get():
                super().put(value)

    class Temperature(names["SetPoint"]):  # type: ignore[misc]
        setpoint = Component(Monitored, value=kelvin)
        readback = Component(Monitored, value=kelvin)

    return Temperature("", name="temperature", atol=0.5, settle_time=0.0)


def test_a_move_ends_when_the_reading_is_within_the_tolerance() -> None:
    temperature = cryostat(80.0)
    status = temperature.set(90.0)
    temperature.readback.put(89.4)
    assert not status.done
    temperature.readback.put(89.6)
    status.wait(timeout=20.0)
    assert status.success


def test_a_move_to_the_set_point_that_it_has_ends() -> None:
    temperature = cryostat(80.0)
    for kelvin in (90.0, 90.0, 90.0):
        threading.Timer(0.05, temperature.readback.put, [kelvin]).start()
        status = temperature.set(kelvin)
        status.wait(timeout=20.0)
        assert status.success


def test_a_move_that_is_stopped_holds_where_the_reading_is() -> None:
    from ophyd.utils import UnknownStatusFailure

    temperature = cryostat(80.0)
    status = temperature.set(250.0)
    temperature.readback.put(83.25)
    temperature.stop()
    with pytest.raises(UnknownStatusFailure):
        status.wait(timeout=20.0)
    assert temperature.setpoint.get() == 83.25
