"""The Magellan controller as a device, over its simulated controller."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from devices.ccd.magellan_controller import MagellanController
from devices.core.errors import ConfigurationError
from devices.drivers.magellan_commands import celsius
from devices.simulators.magellan import MagellanSimulator
from tests.support.running import running, until

PROGRAM = Path(__file__).parents[2] / "dbconfig" / "ccd" / "magellan.s"


def test_the_documented_temperatures_are_those_of_the_counts() -> None:
    # 902 counts at 0 C, 1164 counts in 26 K, colder is more; 14 bits with a sign.
    assert celsius(902) == 0.0
    assert celsius(902 + 1164) == pytest.approx(-26.0)
    assert celsius(902 - 1164 + 16384) == pytest.approx(26.0)
    assert celsius(8191) == pytest.approx(-162.8, abs=0.1)
    assert math.isnan(celsius(8192))


def test_the_device_says_what_it_is_configured_with_and_tests_its_links() -> None:
    async def work() -> None:
        async with MagellanSimulator(columns=120, rows=50, amplifiers=2, dsp_reset_s=0.0) as simulator:
            controller = MagellanController(
                "ccd/1/controller",
                {
                    "link": f"tcp://127.0.0.1:{simulator.port}",
                    "timing_file": str(PROGRAM),
                    "interface_seconds": "0.0",
                    "upload_seconds": "0.0",
                    "configuration": ["0", "2", "2", "1", "0"],
                },
            )
            async with running(controller):
                await until(lambda: controller.connected, "the controller is connected")
                assert controller.identity.value == "OCIW, Magellan, mag1"
                assert controller.timing_file.value == str(PROGRAM)
                assert not controller.is_reset.value
                await controller.run("reset")
                await until(lambda: controller.is_reset.value, "the controller is reset")
                # Two detectors of two amplifiers each.
                assert "SetConfiguration 0 2 2 1 0" in simulator.controller.commands
                await controller.run("test_datalink", {"value": 98, "cycles": 3})
                assert simulator.controller.commands.count("MagIO dsp_echo 98") == 3
                assert await controller.run("magio", {"what": "dsp_echo", "parameter": 222}) == "222"
                await controller.run("set_shutter", {"is_open": True})
                assert simulator.controller.camera.light.open and controller.shutter_open.value
                entries = await controller.entries()
                assert entries["DSPFILE"] == ("magellan.s", "program of the DSP")
                # The end of the server is seen without anybody asking for anything.
                await simulator.stop()
                await until(lambda: not controller.connected, "the loss is seen")

    asyncio.run(work())


def test_wrong_properties_are_all_told() -> None:
    with pytest.raises(ConfigurationError, match=r"link = 'tcp://a/b'.*configuration = .*it has 4 numbers"):
        MagellanController(
            "ccd/1/controller",
            {"link": "tcp://a/b", "timing_file": str(PROGRAM), "configuration": ["1", "2", "3", "4"]},
        )
    with pytest.raises(ConfigurationError, match="not an absolute path"):
        MagellanController("ccd/1/controller", {"link": "tcp://127.0.0.1", "timing_file": "gcam.s"})
