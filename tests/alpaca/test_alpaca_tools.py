"""Filter wheel, focus and telescope of the camera as Alpaca devices; gain and read-out mode as the controller's."""

from __future__ import annotations

import enum
from dataclasses import replace
from pathlib import Path

from devices.core import attribute
from servers.alpaca.settings import AlpacaSettings
from tests.alpaca.served import Served, on_server
from tests.ccd.camera import Controller

WHEEL, FOCUS, SECONDARY, TELESCOPE = (
    *("/api/v1/filterwheel/0/", "/api/v1/focuser/0/", "/api/v1/focuser/1/", "/api/v1/telescope/0/"),
)
NOT_IMPLEMENTED, INVALID_VALUE, VALUE_NOT_SET, INVALID_OPERATION = 0x400, 0x401, 0x402, 0x40B


def test_the_filter_wheel_is_the_instruments(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        instrument = served.camera.instrument
        await served.does("connected", WHEEL, Connected="True")
        names = await served.value("names", WHEEL)
        assert names == list(instrument.filters.value) and len(names) > 2
        assert await served.value("focusoffsets", WHEEL) == [0] * len(names)
        await served.does("position", WHEEL, Position=2)
        await served.becomes("position", 2, WHEEL)
        assert instrument.filter.value == names[2]
        assert await served.refuses("position", WHEEL, Position=len(names)) == INVALID_VALUE
        await instrument.run("set_filter", {"filter": names[0]})
        assert await served.value("position", WHEEL) == 0, "as others have set it"
        assert await served.value("interfaceversion", WHEEL) == 3
        assert [each["Name"] for each in await served.value("devicestate", WHEEL)] == ["Position", "TimeStamp"]

    on_server(tmp_path, test)


def test_focus_of_instrument_and_telescope(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for prefix, tool in ((FOCUS, served.camera.instrument), (SECONDARY, served.camera.telescope)):
            await served.does("connected", prefix, Connected="True")
            assert await served.value("absolute", prefix) and await served.value("name", prefix) == tool.name
            await served.does("move", prefix, Position=417)
            await served.becomes("ismoving", False, prefix)
            assert tool.focus.value == 417.0 and await served.value("position", prefix) == 417
            assert await served.refuses("move", prefix, Position=10**9) == INVALID_VALUE
            assert await served.value("maxstep", prefix) >= 417
            assert not await served.value("tempcompavailable", prefix) and not await served.value("tempcomp", prefix)
            assert await served.refuses("halt", prefix) == NOT_IMPLEMENTED
            assert (await served.get("temperature", prefix))[1]["ErrorNumber"] == NOT_IMPLEMENTED

    on_server(tmp_path, test)


def test_the_telescope_goes_where_it_is_told(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        telescope = served.camera.telescope
        assert await served.refuses("slewtotargetasync", TELESCOPE) == 0x407
        await served.does("connected", TELESCOPE, Connected="True")
        assert await served.value("canslewasync", TELESCOPE) and not await served.value("cansync", TELESCOPE)
        assert await served.value("equatorialsystem", TELESCOPE) == 2 and await served.value("tracking", TELESCOPE)
        assert (await served.get("targetdeclination", TELESCOPE))[1]["ErrorNumber"] == VALUE_NOT_SET
        # A place near the zenith stands above every limit.
        site = telescope.properties
        assert await served.value("sitelatitude", TELESCOPE) == site.latitude
        assert await served.value("sitelongitude", TELESCOPE) == site.longitude
        hours, degrees = await served.value("siderealtime", TELESCOPE), site.latitude - 3.25
        await served.does("targetrightascension", TELESCOPE, TargetRightAscension=hours)
        await served.does("targetdeclination", TELESCOPE, TargetDeclination=degrees)
        await served.does("slewtotargetasync", TELESCOPE)
        await served.becomes("slewing", False, TELESCOPE, 30.0)
        assert abs(await served.value("rightascension", TELESCOPE) - hours) < 0.01
        assert abs(await served.value("declination", TELESCOPE) - degrees) < 0.01
        assert abs(await served.value("altitude", TELESCOPE) - 86.75) < 0.5
        words = {"RightAscension": 25.0, "Declination": 0.0}
        assert await served.refuses("slewtocoordinatesasync", TELESCOPE, **words) == INVALID_VALUE
        telescope.properties = replace(telescope.properties, lowest_altitude=15.0)
        # The southern pole never rises over the north.
        words = {"RightAscension": hours, "Declination": -89.0}
        assert await served.refuses("slewtocoordinatesasync", TELESCOPE, **words) == INVALID_VALUE
        assert await served.refuses("synctotarget", TELESCOPE) == NOT_IMPLEMENTED
        assert await served.refuses("moveaxis", TELESCOPE, Axis=0, Rate=1.0) == NOT_IMPLEMENTED
        status, answer = await served.get("canmoveaxis", TELESCOPE, Axis=1)
        assert status == 200 and answer["Value"] is False
        await served.does("abortslew", TELESCOPE)

    on_server(tmp_path, test)


class Speed(enum.Enum):
    """How fast a controller of the tests reads out."""

    SLOW = "slow, 2.1 e-"
    FAST = "fast, 6.4 e-"


class TwoSpeeds(Controller):
    """A controller with knobs."""

    speed = attribute(Speed, access="read_write", initial=Speed.SLOW)
    video_gain = attribute(int, access="read_write", initial=2, limits=(1, 9))
    bias = attribute(str, access="read_write", initial="low")
    biass = attribute(str, shape=(4,), initial=("low", "high"))


def test_gain_and_read_out_mode_are_attributes_of_the_controller(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.does("connected", Connected="True")
        assert await served.value("readoutmodes") == ["slow, 2.1 e-", "fast, 6.4 e-"]
        await served.does("readoutmode", ReadoutMode=1)
        assert await served.value("readoutmode") == 1
        assert await served.refuses("readoutmode", ReadoutMode=2) == INVALID_VALUE
        assert [await served.value(name) for name in ("gain", "gainmin", "gainmax")] == [2, 1, 9]
        await served.does("gain", Gain=9)
        assert await served.value("gain") == 9
        assert await served.refuses("gain", Gain=10) == INVALID_VALUE
        assert await served.value("offsets") == ["low", "high"] and await served.value("offset") == 0
        await served.does("offset", Offset=1)
        assert await served.value("offset") == 1
        for missing in ("gains", "offsetmin", "offsetmax"):
            assert (await served.get(missing))[1]["ErrorNumber"] == NOT_IMPLEMENTED
        attributes = served.camera.controller.attributes
        assert attributes["speed"].value is Speed.FAST and attributes["video_gain"].value == 9

    settings = AlpacaSettings(port=0, gain="video_gain", readout_mode="speed", offset="bias")
    on_server(tmp_path, test, settings, controller=TwoSpeeds("ccd/1/controller"))
