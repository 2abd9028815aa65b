"""Sensors of ARC utility boards."""

from __future__ import annotations

import math

import pytest

from devices.core.errors import RangeError
from devices.drivers.arc_commands import letters, word
from devices.drivers.arc_temperature import celsius, coldest, counts, volts

DT670, AD590, D1N4148, D1N914 = range(4)


def test_a_count_is_a_voltage_of_the_sensor() -> None:
    assert volts(2048) == 0.0
    assert volts(4095) == pytest.approx(1.499, abs=1e-3)


@pytest.mark.parametrize(
    ("kelvin", "volt"), [(77.35, 1.027594), (150.0, 0.889114), (273.15, 0.621141), (300.0, 0.559639)]
)
def test_a_dt670_has_lake_shores_voltages(kelvin: float, volt: float) -> None:
    count = 2048 + volt * 2 * 4096 / 6
    assert celsius(count, DT670) + 273.15 == pytest.approx(kelvin, abs=0.1)
    # One count is 0.73 mV, some 0.4 K.
    assert celsius(round(count), DT670) + 273.15 == pytest.approx(kelvin, abs=0.4)


def test_the_other_curves_are_those_of_their_sensors() -> None:
    # An AD590 gives 1 uA for each kelvin: here 0.16 K for each count.
    assert celsius(3744, AD590) == pytest.approx(0.0, abs=0.1)
    assert celsius(3745, AD590) - celsius(3744, AD590) == pytest.approx(0.16012)
    assert celsius(2600, D1N4148) == pytest.approx(311 - 273.15)
    assert celsius(3417, D1N4148) == pytest.approx(77 - 273.15)
    # A silicon diode loses some 2 mV per kelvin.
    warm, cold = (2048 + v * 2 * 4096 / 6 for v in (0.45, 0.47))
    assert celsius(warm, D1N914) - celsius(cold, D1N914) == pytest.approx(9.0, abs=2.0)


@pytest.mark.parametrize("curve", [DT670, AD590, D1N4148, D1N914])
def test_a_set_point_is_the_nearest_count(curve: int) -> None:
    for wanted in (-150.0, -100.0, -30.5, 20.0):
        assert celsius(counts(wanted, curve), curve) == pytest.approx(wanted, abs=0.4)
    with pytest.raises(RangeError, match=r"temperature = 500.0 C is outside"):
        counts(500.0, curve)
    assert celsius(coldest(curve), curve) < -190.0


@pytest.mark.parametrize(("count", "curve"), [(0, DT670), (4095, DT670), (0, AD590), (100, D1N4148), (4095, D1N914)])
def test_a_broken_sensor_has_no_temperature(count: int, curve: int) -> None:
    assert math.isnan(celsius(count, curve))


def test_words_are_three_letters() -> None:
    assert word("DON") == 0x444F4E
    assert letters(0x444F4E) == "DON"
    assert letters(0x544F5554) == "TOUT"
    assert letters(0x123456) == "0x123456"
