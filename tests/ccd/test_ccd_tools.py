"""The tools of a camera by themselves, and what an exposure remembers over a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devices.ccd.display import CcdDisplay
from devices.ccd.exposure import CcdExposure
from devices.ccd.instrument import CcdInstrument
from devices.ccd.simulated_instrument import SimulatedInstrument
from devices.ccd.tempcon import CcdTempcon
from devices.core.errors import ConfigurationError, NotAllowedError, NotConnectedError, RangeError
from devices.core.neighbours import NoNeighbours
from devices.core.reading import Reading
from tests.ccd.camera import camera
from tests.support.running import running, until


class Shelf:
    """Where memorized values live between two processes."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def load(self) -> Mapping[str, str]:
        return dict(self.values)

    def save(self, values: Mapping[str, str]) -> None:
        self.values.update(values)


def test_no_image_is_taken_under_the_default_name_before_the_memorized_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that goes on after a crash exposes as soon as the server is there."""
    shelf = Shelf()
    shelf.values = {"image_root": '"night."', "image_number": "7"}

    async def work() -> None:
        read = asyncio.Event()
        restore = CcdExposure.restore

        async def late(exposure: CcdExposure) -> None:
            await read.wait()
            await restore(exposure)

        monkeypatch.setattr(CcdExposure, "restore", late)
        async with camera(tmp_path / "data", store=shelf) as found:
            operation = str(await found.exposure.run("expose", {"seconds": 0.0}))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(found.exposure.operations.result(operation), 0.3)
            read.set()
            taken = await found.exposure.operations.result(operation)
            assert taken["file"].endswith("data/night.0007.fits")

    asyncio.run(work())


def test_numbers_and_settings_go_on_after_a_restart(tmp_path: Path) -> None:
    shelf = Shelf()
    night = tmp_path / "data" / "night"

    async def first() -> None:
        async with camera(tmp_path / "data", store=shelf) as found:
            await asyncio.to_thread(night.mkdir)
            await found.exposure.put("image_folder", str(night))
            await found.exposure.put("image_root", "ngc")
            await found.exposure.put("exposure_time", 12.5)
            await found.done("sequence", count=3)
            await until(lambda: shelf.values.get("image_number") == "4", "the number is kept")

    async def second() -> None:
        exposure = CcdExposure(
            "ccd/1/exposure", {"controller": "ccd/1/controller", "data_folder": str(tmp_path / "data")}
        )
        async with running(exposure, shelf):
            await until(lambda: exposure.filename.value == str(night / "ngc0004.fits"), "the next name")
            await until(lambda: exposure.exposure_time.value == 12.5, "the exposure time")

    asyncio.run(first())
    asyncio.run(second())


class Cryostat(NoNeighbours):
    """Another device with two temperatures and a set point, in K."""

    def __init__(self) -> None:
        self.values = {"temperature_a": 168.15, "temperature_b": 90.0, "setpoint_1": 168.15}

    async def read(self, address: str) -> Reading[Any]:
        name = address.removeprefix("cryo/cryocon/1/")
        if not self.values:
            raise NotConnectedError("cryo/cryocon/1 is away")
        return Reading(self.values[name], time.time())

    async def put(self, address: str, value: Any, seconds: float = 3.0) -> None:
        self.values[address.removeprefix("cryo/cryocon/1/")] = value


def test_temperatures_of_another_device_are_shown_in_celsius_and_its_set_point_is_ours() -> None:
    async def work() -> None:
        tempcon = CcdTempcon("ccd/1/tempcon", {"device": "cryo/cryocon/1"})
        tempcon.neighbours = cryostat = Cryostat()
        async with running(tempcon):
            await until(lambda: tempcon.camera_temperature.reading.value is not None, "temperatures")
            assert tempcon.camera_temperature.value == pytest.approx(-105.0)
            assert tempcon.dewar_temperature.value == pytest.approx(-183.15)
            assert tempcon.control_temperature.setpoint is not None
            assert tempcon.control_temperature.setpoint.value == pytest.approx(-105.0)
            await tempcon.put("control_temperature", -110.0)
            assert cryostat.values["setpoint_1"] == pytest.approx(163.15)
            with pytest.raises(RangeError, match=r"-200.0 degC is outside \[-150.0, 30.0\] degC"):
                await tempcon.put("control_temperature", -200.0)
            await tempcon.run("set_corrections", {"offsets": [1.5, 0.0], "scales": [1.0, 0.5]})
            await until(lambda: tempcon.dewar_temperature.value == pytest.approx(-91.575), "a corrected temperature")
            assert tempcon.camera_temperature.value == pytest.approx(-103.5)
            cryostat.values.clear()
            await until(lambda: tempcon.camera_temperature.reading.value is None, "INVALID")

    asyncio.run(work())


def test_a_tempcon_has_one_source() -> None:
    for given in ({}, {"device": "cryo/cryocon/1", "controller": "ccd/1/controller"}):
        with pytest.raises(ConfigurationError, match="one of the properties"):
            CcdTempcon("ccd/1/tempcon", given)


def test_what_an_instrument_has_not_is_refused() -> None:
    async def work() -> None:
        instrument = CcdInstrument("ccd/1/instrument")
        for name, value in (("wavelength", 500.0), ("focus", 3.0), ("filter", "R")):
            with pytest.raises((NotAllowedError, RangeError)):
                await instrument.put(name, value)
        with pytest.raises(NotAllowedError, match="no shutter"):
            await instrument.run("set_shutter", {"is_open": True})

    asyncio.run(work())


def test_the_simulated_instrument_is_where_it_was_put() -> None:
    async def work() -> None:
        async with running(SimulatedInstrument("ccd/1/instrument")) as instrument:
            await until(lambda: instrument.connected and instrument.power.reading.value is not None, "its light")
            await instrument.put("filter", "r")
            assert instrument.filter.value == "R"
            with pytest.raises(RangeError, match="'Z' is none of clear, B, V, R, I"):
                await instrument.put("filter", "Z")
            with pytest.raises(RangeError, match=r"wavelength = 100.0 nm is outside \[200.0, 1200.0\] nm"):
                await instrument.put("wavelength", 100.0)
            await instrument.run("step_focus", {"step": 12.5})
            await instrument.run("step_focus", {"step": -2.5})
            assert instrument.focus.value == 10.0
            await instrument.run("set_comps", {"names": ["thar", "HENEAR"]})
            await instrument.run("comps_on")
            assert (instrument.active_comps.value, instrument.comps_burn.value) == (("ThAr", "HeNeAr"), True)
            await until(lambda: instrument.temperatures.value[1] > 30.0, "the lamp house is warm")
            assert instrument.temperature_names.value == ("bench", "lamp house")
            assert 9.0 <= instrument.temperatures.value[0] <= 15.0
            await instrument.run("update_header")
            assert instrument.header.get("INSTTMP2").comment == "[degC] lamp house"
            with pytest.raises(RangeError, match="comps = neon"):
                await instrument.run("set_comps", {"names": ["neon"]})

    asyncio.run(work())


def test_each_filter_wheel_has_its_own_filters() -> None:
    async def work() -> None:
        wheels = {"filters": ["B", "V"], "more_wheels": ["open, ND1, ND2"]}
        async with running(SimulatedInstrument("ccd/1/instrument", wheels)) as instrument:
            await until(lambda: instrument.wheels.value == ("0: B", "1: open"), "two wheels")
            await instrument.run("set_filter", {"filter": "nd2", "wheel": 1})
            await instrument.run("set_filter", {"filter": "V"})
            assert (instrument.wheels.value, instrument.filter.value) == (("0: V", "1: ND2"), "V")
            assert await instrument.run("get_filters", {"wheel": 1}) == ("open", "ND1", "ND2")
            assert await instrument.run("get_filter", {"wheel": 1}) == "ND2"
            await instrument.run("update_header")
            assert [instrument.header.get(name).value for name in ("FILTER", "FILTER2")] == ["V", "ND2"]
            with pytest.raises(RangeError, match="filter = 'B' is none of open, ND1, ND2"):
                await instrument.run("set_filter", {"filter": "B", "wheel": 1})
            with pytest.raises(RangeError, match="wheel = 2 is none of 0, 1"):
                await instrument.run("set_filter", {"filter": "B", "wheel": 2})

    asyncio.run(work())


def test_a_pressure_is_set_at_a_gauge_that_exists() -> None:
    async def work() -> None:
        async with running(SimulatedInstrument("ccd/1/instrument")) as instrument:
            await until(lambda: instrument.pressures.reading.value is not None, "its gauges")
            await instrument.run("set_pressure", {"pressure": 3e-5, "gauge": 1})
            assert instrument.pressures.value.tolist() == [2.5e-6, 3e-5]
            with pytest.raises(RangeError, match="gauge = 2 is none of 0, 1"):
                await instrument.run("set_pressure", {"pressure": 3e-5, "gauge": 2})

    asyncio.run(work())


def test_curves_of_sensors_go_to_the_controller_that_has_them(tmp_path: Path) -> None:
    async def work() -> None:
        async with camera(tmp_path / "data") as found:
            await found.tempcon.run("set_calibrations", {"curves": [0, 2]})
            assert found.link.asked[-1] == "set_calibrations [0, 2]"
            assert found.tempcon.calibrations.value.tolist() == [0, 2]
            with pytest.raises(RangeError):
                await found.tempcon.run("set_calibrations", {"curves": [4]})

    asyncio.run(work())


def test_a_region_of_four_numbers_is_wanted() -> None:
    async def work() -> None:
        display = CcdDisplay("ccd/1/display")
        with pytest.raises(RangeError, match="region has 3 numbers"):
            await display.put("region", [1, 2, 3])
        with pytest.raises(NotAllowedError, match="no image yet"):
            await display.run("publish_full_image")

    asyncio.run(work())


def test_a_window_outlives_a_restart_but_not_another_detector(tmp_path: Path) -> None:
    shelf = Shelf()
    asked = {"format": [60, 0, 0, 4, 40, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}

    async def first() -> None:
        async with camera(tmp_path / "data", store=shelf) as found:
            await found.exposure.run("set_roi", {"first_col": 3, "last_col": 58, "row_bin": 2})
            await found.exposure.run("set_detgap", {"gaps": [5.0, 7.0]})

    async def again(expected: list[int], gap: float, **format: int) -> None:
        detector = {**asked, "format": [*asked["format"][:5], *format.values()]} if format else asked
        async with camera(tmp_path / "data", store=shelf, detector=json.dumps(detector)) as found:
            assert found.exposure.roi.value.tolist() == expected
            assert found.exposure.setup.detector_gaps == (((5.0, 7.0),) if gap else ())

    asyncio.run(first())
    assert len(shelf.values["detector"]) < 200
    asyncio.run(again([3, 58, 1, 40, 1, 2], 5.0))
    asyncio.run(again([1, 60, 1, 40, 1, 1], 0.0, predark=4))
