"""The controllers of azcam's examples, as docs/ccd.md configures them, on simulated ones."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

import devices.ccd
from devices.ccd.tempcon import CcdTempcon
from devices.cryocon import CryoCon
from tests.ccd.controllers import MAKES, Make
from tests.support.running import running, until

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, dict[str, Any]] = {
    device: properties["properties"]
    for text in re.findall(
        r"^```json\n(.*?)^```$",
        (ROOT / "docs" / "ccd.md").read_text().split("## azcam's examples")[1],
        re.MULTILINE | re.DOTALL,
    )
    for device, names in json.loads(text).items()
    for properties in names.values()
}


def here(properties: dict[str, list[str]], port: int) -> dict[str, list[str]]:
    """The same, with the simulated controller and the files of the checkout in the places of those of a site."""
    found = dict(properties)
    for name, values in properties.items():
        if name == "link":
            found[name] = [re.sub(r"//.*", f"//127.0.0.1:{port}", values[0])]
        elif values[0].startswith("/data/"):
            found[name] = [str(ROOT / "dbconfig" / "ccd" / Path(values[0]).name)]
    return found


def test_each_make_of_controller_has_its_example() -> None:
    assert {f"{make.name.capitalize()}Controller" for make in MAKES} == EXAMPLES.keys() - {"CryoCon", "CcdTempcon"}


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.name)
def test_the_controller_of_an_example_is_reached_and_reset(make: Make) -> None:
    async def work() -> None:
        name = f"{make.name.capitalize()}Controller"
        simulator = make.simulator(**make.options)
        await simulator.start()
        try:
            controller = getattr(devices.ccd, name)("ccd/1/controller", here(EXAMPLES[name], simulator.port))
            async with running(controller):
                await until(lambda: controller.connected, "it is connected")
                await controller.run("reset")
                await until(lambda: controller.is_reset.value, "it is reset", 15.0)
        finally:
            await simulator.stop()

    asyncio.run(work())


def test_the_cryocon_of_the_example_is_what_the_tempcon_of_the_example_reads() -> None:
    cryocon = CryoCon("cryo/cryocon/1", EXAMPLES["CryoCon"])
    tempcon = CcdTempcon("ccd/1/tempcon", EXAMPLES["CcdTempcon"])
    assert tempcon.properties.device == cryocon.name
    assert {*tempcon.properties.temperatures, tempcon.properties.setpoint} <= cryocon.attributes.keys()
