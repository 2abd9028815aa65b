"""The Alpaca client against the simulated server: values, errors, pictures, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from devices.core.errors import (
    DiptychError,
    InvalidReadingError,
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.drivers.alpaca import AlpacaDevice
from devices.drivers.alpaca_discovery import QUESTION, answer_of, discover
from devices.drivers.alpaca_server import AlpacaServer, ConfiguredDevice
from devices.simulators.alpaca import AlpacaSimulator


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


Test = Callable[[AlpacaSimulator, AlpacaDevice], Awaitable[None]]


def using(test: Test, kind: str = "camera", **options: object) -> None:
    """A server, and a device of it that is connected; pictures have 60 x 40 pixels."""

    async def run() -> None:
        options_of_test = {"columns": 60, "rows": 40, "scene": "test", "pixel_rate_hz": 1e9} | options
        async with (
            AlpacaSimulator(**options_of_test) as simulator,
            AlpacaDevice("127.0.0.1", simulator.port, kind, timeout=0.5) as device,
        ):
            await device.connect()
            await test(simulator, device)

    asyncio.run(run())


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10.0):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def exposed(camera: AlpacaDevice, seconds: float = 0.01) -> None:
    await camera.put("startexposure", Duration=seconds, Light=True)
    await until(lambda: camera.flag("imageready"))


@pytest.mark.parametrize("image_bytes", [1, 0])
def test_a_window_of_a_binned_picture_has_the_pixels_of_that_place(image_bytes: int) -> None:
    async def test(simulator: AlpacaSimulator, camera: AlpacaDevice) -> None:
        for word, value in {"BinX": 2, "BinY": 3, "StartX": 5, "StartY": 4, "NumX": 11, "NumY": 7}.items():
            await camera.put(word.lower(), **{word: value})
        await exposed(camera)
        picture = await camera.picture()
        assert picture.shape == (7, 11)
        # Column x of the detector, from 0, is 1000 (x % 8) + x; row y is 31 y.
        columns, rows = 10 + 2 * np.arange(11), 12 + 3 * np.arange(7)
        np.testing.assert_array_equal(picture, (1000 * (columns % 8) + columns) + 31 * rows[:, np.newaxis])
        assert picture.dtype == (np.uint16 if image_bytes else np.int32)

    using(test, image_bytes=image_bytes)


def test_each_member_comes_with_its_type_and_another_type_is_an_error_that_says_so() -> None:
    async def test(simulator: AlpacaSimulator, camera: AlpacaDevice) -> None:
        assert await camera.whole("cameraxsize") == 60
        assert await camera.number("pixelsizex") == 7.4
        assert await camera.flag("hasshutter") is True
        assert await camera.text("sensorname") == "SIM-1600"
        assert await camera.values("readoutmodes") == ["Normal", "Low noise"]
        with pytest.raises(ProtocolError, match=r"pixelsizex is '7.4', not a whole number"):
            await camera.whole("pixelsizex")
        with pytest.raises(ProtocolError, match="hasshutter is 'True', not a number"):
            await camera.number("hasshutter")

    using(test)


def test_each_error_number_is_an_error_of_ours_that_names_the_member() -> None:
    async def test(simulator: AlpacaSimulator, camera: AlpacaDevice) -> None:
        async def refused(kind: type[DiptychError], text: str, work: Awaitable[object]) -> None:
            with pytest.raises(kind, match=text) as caught:
                await work
            assert str(simulator.port) in str(caught.value)

        await refused(RangeError, r"BinX = 9 is outside \[1, 4\] \(0x401 INVALID_VALUE\)", camera.put("binx", BinX=9))
        await refused(NotAllowedError, "0x400 NOT_IMPLEMENTED", camera.get("bayeroffsetx"))
        await refused(InvalidReadingError, "no exposure has ended", camera.number("lastexposureduration"))
        await refused(NotAllowedError, "there is no image", camera.picture())
        await refused(RefusedError, "HTTP 400: Camera has no member colour", camera.get("colour"))
        await refused(RefusedError, "HTTP 400: parameter BinX is missing", camera.put("binx", binx=2))
        simulator.faults.refused.add("ccdtemperature")
        await refused(RefusedError, r"the driver failed \(0x5A0 DRIVER\)", camera.number("ccdtemperature"))
        simulator.faults.broken.add("gain")
        await refused(RefusedError, "HTTP 500: gain: the driver has fallen over", camera.number("gain"))
        await camera.put("connected", Connected=False)
        await refused(NotConnectedError, "is not connected", camera.whole("binx"))

    using(test)


def test_a_picture_that_stops_in_its_middle_ends_in_time_and_the_next_one_comes() -> None:
    async def test(simulator: AlpacaSimulator, camera: AlpacaDevice) -> None:
        await exposed(camera)
        simulator.faults.stall_in_image = True
        with pytest.raises(TimeoutError, match=r"imagearray did not answer within 0.5 s"):
            await camera.picture()
        simulator.faults.stall_in_image = False
        simulator.faults.drop_in_image = True
        with pytest.raises(NotConnectedError, match="imagearray"):
            await camera.picture()
        simulator.faults.drop_in_image = False
        came: list[tuple[int, int | None]] = []
        assert (await camera.picture(lambda part, total: came.append((part, total)))).shape == (40, 60)
        assert came[-1] == (44 + 2 * 40 * 60, 44 + 2 * 40 * 60)

    using(test)


def test_a_server_that_is_mute_confused_or_gone_is_told_apart() -> None:
    async def test(simulator: AlpacaSimulator, camera: AlpacaDevice) -> None:
        await exposed(camera)
        simulator.faults.wrong_transaction = True
        with pytest.raises(ProtocolError, match=r"answers transaction \d+ when asked \d+"):
            await camera.flag("imageready")
        with pytest.raises(ProtocolError, match="imagearray answers transaction"):
            await camera.picture()
        simulator.faults.wrong_transaction = False
        simulator.faults.mute = True
        with pytest.raises(TimeoutError, match=r"within 0.5 s"):
            await camera.flag("imageready")
        port = simulator.port
        await simulator.stop()
        with pytest.raises(NotConnectedError):
            await camera.flag("imageready")
        async with AlpacaSimulator(columns=60, rows=40) as again:
            await again.stop()
            await again.start(port)
            # The server is another one now: its camera has not been connected.
            with pytest.raises(NotConnectedError, match="NOT_CONNECTED"):
                await camera.flag("imageready")
            await camera.connect()
            assert await camera.flag("imageready") is False

    using(test)


@pytest.mark.parametrize(
    "answer", [b"hello", b"[]", b'{"Value": 3}', b'{"ErrorNumber": "x"}', json.dumps({"ErrorNumber": None}).encode()]
)
def test_what_is_not_alpacas_is_a_protocol_error_that_shows_it(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with listening, AlpacaDevice("127.0.0.1", listening.sockets[0].getsockname()[1], "camera") as camera:
            with pytest.raises(ProtocolError, match="what is not Alpaca's"):
                await camera.get("binx")

    asyncio.run(run())


def test_the_server_tells_what_it_has() -> None:
    async def run() -> None:
        async with AlpacaSimulator(columns=60, rows=40) as simulator:
            server = AlpacaServer("127.0.0.1", simulator.port)
            found = await server.devices()
            await server.close()
            assert ConfiguredDevice("Simulated filter wheel", "filterwheel", 0) in found
            assert [each.kind for each in found] == ["camera", "focuser", "filterwheel", "telescope", "dome"]

    asyncio.run(run())


def test_a_server_is_found_by_its_answer_to_the_question_of_discovery() -> None:
    async def run() -> None:
        port = free_port()
        async with AlpacaSimulator(columns=60, rows=40, discovery=port) as simulator:
            assert await discover(0.3, ["127.0.0.1"], port) == [("127.0.0.1", simulator.port)]
        assert await discover(0.1, ["127.0.0.1"], port) == []

    asyncio.run(run())


def test_only_the_question_of_discovery_is_answered() -> None:
    assert answer_of(QUESTION, 11111) == b'{"AlpacaPort": 11111}'
    assert answer_of(b"alpacadiscovery2", 11111) == b'{"AlpacaPort": 11111}'
    assert answer_of(b"alpacadiscovery", 11111) is None
    assert answer_of(b"hello", 11111) is None


def test_a_focuser_moves_at_its_speed_and_stops_when_it_is_halted() -> None:
    async def test(simulator: AlpacaSimulator, focuser: AlpacaDevice) -> None:
        await focuser.put("move", Position=25_100)
        await until(lambda: _not(focuser.flag("ismoving")))
        assert await focuser.whole("position") == 25_100
        await focuser.put("move", Position=0)
        await until(lambda: _not(_is(focuser.whole("position"), 25_100)))
        await focuser.put("halt")
        assert 0 < await focuser.whole("position") < 25_100
        with pytest.raises(RangeError, match=r"Position = 60000 is outside \[0, 50000\]"):
            await focuser.put("move", Position=60_000)

    using(test, "focuser")


def test_a_filter_wheel_has_no_position_while_it_turns() -> None:
    async def test(simulator: AlpacaSimulator, wheel: AlpacaDevice) -> None:
        assert await wheel.values("names") == ["Luminance", "Red", "Green", "Blue", "H-alpha"]
        await wheel.put("position", Position=3)
        assert await wheel.whole("position") == -1
        await until(lambda: _is(wheel.whole("position"), 3))

    using(test, "filterwheel", filter_s=0.1)


def test_a_telescope_slews_among_the_stars_and_refuses_what_is_below_the_horizon() -> None:
    async def test(simulator: AlpacaSimulator, telescope: AlpacaDevice) -> None:
        sidereal = await telescope.number("siderealtime")
        with pytest.raises(NotAllowedError, match="does not track"):
            await telescope.put("slewtocoordinatesasync", RightAscension=sidereal, Declination=20.0)
        await telescope.put("tracking", Tracking=True)
        await telescope.put("slewtocoordinatesasync", RightAscension=sidereal, Declination=20.0)
        await until(lambda: _not(telescope.flag("slewing")))
        assert await telescope.number("declination") == 20.0
        # On the meridian the altitude is 90 degrees less the distance from the zenith, towards the south.
        assert await telescope.number("altitude") == pytest.approx(90.0 - (31.96 - 20.0), abs=0.1)
        assert await telescope.number("azimuth") == pytest.approx(180.0, abs=1.0)
        with pytest.raises(RangeError, match="altitude"):
            await telescope.put("slewtocoordinatesasync", RightAscension=(sidereal + 12) % 24, Declination=-40.0)
        await telescope.put("park")
        await until(lambda: telescope.flag("atpark"))
        with pytest.raises(NotAllowedError, match="PARKED"):
            await telescope.put("tracking", Tracking=True)

    using(test, "telescope", slew_degrees_s=500.0)


def test_a_telescope_that_does_not_track_stays_at_its_azimuth() -> None:
    async def test(simulator: AlpacaSimulator, telescope: AlpacaDevice) -> None:
        await telescope.put("slewtoaltazasync", Azimuth=250.0, Altitude=35.0)
        await until(lambda: _not(telescope.flag("slewing")))
        assert await telescope.number("azimuth") == pytest.approx(250.0, abs=1e-6)
        assert await telescope.number("altitude") == pytest.approx(35.0, abs=1e-6)

    using(test, "telescope", slew_degrees_s=500.0)


def test_a_dome_turns_the_shorter_way_and_its_shutter_takes_its_time() -> None:
    async def test(simulator: AlpacaSimulator, dome: AlpacaDevice) -> None:
        await dome.put("synctoazimuth", Azimuth=10.0)
        await dome.put("slewtoazimuth", Azimuth=350.0)
        await until(lambda: _not(dome.flag("slewing")))
        assert await dome.number("azimuth") == pytest.approx(350.0)
        await dome.put("openshutter")
        assert await dome.whole("shutterstatus") == 2

    # 20 degrees in 0.1 s; the other way would take 1.7 s.
    using(test, "dome", slew_degrees_s=200.0)


async def _not(work: Awaitable[bool]) -> bool:
    return not await work


async def _is(work: Awaitable[int], value: int) -> bool:
    return await work == value
