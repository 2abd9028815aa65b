"""The DAQ node as a device: what it shows of its modules, from files that grow under it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core import DeviceState
from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError
from devices.daq.device import DaqNode
from devices.daq.events import BIN_COUNTS
from devices.drivers.pff import MARK, PRODUCTS, Stamp, encode_header
from tests.support.running import running
from tests.support.running import until as until_soon

until = partial(until_soon, seconds=20.0)

SECOND = 1_753_000_000  # UTC, when TAI was 37 s ahead
TAI = (SECOND + 37) % 1024
RUN = "obs_Lick.start_2025-07-20T08:26:40Z.runtype_sci-data.pffd"


def movie(number: int, level: int, host_s: int = SECOND) -> bytes:
    """A frame whose pixels are at a level, but for one that is 500 higher in every second image."""
    pixels = np.full((32, 32), level, "<u2")
    pixels[3, 7] += 500 * (number % 2)
    stamp = Stamp(number % 65536, TAI, 1000 * number, host_s, 0)
    return encode_header([stamp] * 4) + MARK + pixels.tobytes()


def pulse(number: int, peak: int, nsec: int, quabo: int = 1) -> bytes:
    pixels = np.zeros((16, 16), "<i2")
    pixels[5, 2], pixels[9, 9] = peak, -40
    return encode_header([Stamp(number, TAI, nsec, SECOND, 3)], quabo) + MARK + pixels.tobytes()


class Recorder:
    """Writes files as the recorder does."""

    def __init__(self, data_dir: Path, modules: tuple[int, ...] = (1, 3)) -> None:
        self._files = {}
        for module in modules:
            run = data_dir / f"module_{module}" / RUN
            run.mkdir(parents=True)
            (run / f"module_{module}.daq-active").touch()
            for name in ("img16", "ph256"):
                product = PRODUCTS[name]
                path = run / f"start_x.dp_{name}.bpp_{product.bytes_per_pixel}.module_{module}.seqno_0.pff"
                self._files[module, name] = path.open("wb", buffering=0)

    def write(self, module: int, name: str, *frames: bytes) -> None:
        self._files[module, name].write(b"".join(frames))

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def run(tmp_path: Path, test: Callable[[DaqNode, Recorder], Awaitable[None]], **properties: Any) -> None:
    async def work() -> None:
        recorder = Recorder(tmp_path)
        given = {"data_dir": str(tmp_path), "show_modules": ["1", "3"], **properties}
        try:
            async with running(DaqNode("daq/test/1", given)) as device:
                await until(lambda: device.node.is_valid, "frames are waited for")
                await until(lambda: device.state is DeviceState.ON, "ON")
                await test(device, recorder)
        finally:
            recorder.close()

    asyncio.run(work())


def test_newest_images_rates_and_clocks_of_each_module_are_shown(tmp_path: Path) -> None:
    async def test(device: DaqNode, recorder: Recorder) -> None:
        recorder.write(1, "img16", *(movie(number, 40) for number in range(11)))
        # The recorder of module 3 is 5 s ahead of White Rabbit: its times cannot be used.
        recorder.write(3, "img16", *(movie(number, 90, SECOND + 5) for number in (2, 3, 7)))
        await until(lambda: device.frames.value == 14, "all frames")
        first, third = device.shown["1"], device.shown["3"]
        await until(lambda: first.movie.reading.value is not None and third.movie.reading.value is not None, "images")
        assert first.movie.value.dtype == np.uint16
        assert (first.movie.value[3, 7], first.movie.value[0, 0]) == (40, 40)
        assert third.movie.value[3, 7] == 590
        assert first.movie_time.value == pytest.approx(SECOND + 10e-6, abs=1e-6)
        assert third.movie_time.value == pytest.approx(SECOND + 5.0, abs=1e-6), "the recorder's own clock"
        await until(lambda: list(device.modules.value) == [1, 3], "the modules")
        await until(lambda: third.lost.value == 4 * 3, "the packets 4, 5 and 6 of four quabos are missing")
        assert (first.host_offset.value, third.host_offset.value) == (0, 5)
        assert (first.desynced.value, third.desynced.value) == (0, 4 * 3)
        await until(lambda: device.host_offset.value == 5, "the worst clock")
        assert device.movie_rate.value > 0.0 and device.recording.value

    run(tmp_path, test)


def test_the_newest_run_and_what_sources_counted_are_shown(tmp_path: Path) -> None:
    later = "obs_Lick.start_2025-07-21T03:00:00Z.runtype_sci-data.pffd"

    async def test(device: DaqNode, recorder: Recorder) -> None:
        await until(lambda: device.run_directory.value == RUN, "the run that is there")
        recorder.write(3, "img16", movie(0, 40), b"no frame", movie(1, 40), movie(2, 40))
        await until(lambda: device.source_list.value == ("RunDirectory: 3 frames, 8 skipped bytes",), "what it counted")
        assert (device.skipped_bytes.value, device.source_problem.value) == (8, "")
        run = tmp_path / "module_3" / later
        run.mkdir()
        (run / "start_y.dp_img16.bpp_2.module_3.seqno_0.pff").write_bytes(movie(3, 40))
        await until(lambda: device.run_directory.value == later, "the next run")

    run(tmp_path, test)


def test_a_folder_that_is_gone_is_the_problem_of_a_source(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()

    async def test(device: DaqNode, _: Recorder) -> None:
        data.rename(tmp_path / "elsewhere")
        await until(lambda: device.state is DeviceState.ALARM, "a problem")
        assert str(data) in device.source_problem.value
        assert device.source_problem.value in device.source_list.value[0]
        (tmp_path / "elsewhere").rename(data)
        await until(lambda: device.state is DeviceState.ON and device.source_problem.value == "", "it is back")

    run(tmp_path, test, data_dir=str(data), needs_recorder=["false"])


def test_pulse_heights_are_counted_by_their_highest_pixel(tmp_path: Path) -> None:
    async def test(device: DaqNode, recorder: Recorder) -> None:
        peaks = [100, 101, 130, 3000, 9000]
        recorder.write(1, "ph256", *(pulse(number, peak, 0) for number, peak in enumerate(peaks)))
        await until(lambda: sum(device.pulse_height_histogram.value) == 5, "five events")
        counts = device.pulse_height_histogram.value
        assert BIN_COUNTS == 16
        # 100 and 101 are in the bin of 96 to 111, 130 in that of 128 to 143; what is beyond is in the last one.
        assert (counts[6], counts[8], counts[187], counts[-1]) == (2, 1, 1, 1)
        assert device.pulse_height_bins.value[6] == 104.0
        heights = device.shown["1"].pulse_height.value
        assert heights.shape == (16, 16) and (heights[5, 2], heights[9, 9]) == (9000, -40)
        await device.run("clear_histogram")
        assert sum(device.pulse_height_histogram.value) == 0

    run(tmp_path, test)


def test_coincidences_between_modules_are_found(tmp_path: Path) -> None:
    async def test(device: DaqNode, recorder: Recorder) -> None:
        recorder.write(1, "ph256", pulse(0, 200, 1_000), pulse(1, 210, 50_000), pulse(2, 220, 90_000))
        recorder.write(3, "ph256", pulse(0, 300, 1_400), pulse(1, 310, 70_000), pulse(2, 320, 89_500))
        await until(lambda: sum(device.pulse_height_histogram.value) == 6, "six events")
        found = await device.run("find_pulses", {"window": 1000})
        assert (found["events"], found["coincidences"]) == (6, 2)
        assert [each["time_ns"] - SECOND * 10**9 for each in found["newest"]] == [1_000, 89_500]
        assert [each["spread_ns"] for each in found["newest"]] == [400, 500]
        assert [each["amplitude"] for each in found["newest"]] == [500.0, 540.0]
        assert device.coincidences.value == 2
        assert (await device.run("find_pulses", {"window": 399}))["coincidences"] == 0

    run(tmp_path, test)


def test_a_pedestal_is_the_mean_of_each_pixel(tmp_path: Path) -> None:
    async def test(device: DaqNode, recorder: Recorder) -> None:
        done = await device.run("calibrate_pedestal", {"seconds": 1.5})
        await until(lambda: "images" in device.operations.status(done)["message"], "it has begun")
        recorder.write(1, "img16", *(movie(number, 40) for number in range(100)))
        recorder.write(3, "img16", *(movie(number, 60) for number in range(50)))
        await until(lambda: device.operations.status(done)["state"] == "DONE", "the pedestal")
        assert device.operations.status(done)["result"] == {"modules": {"1": 100, "3": 50}}
        first = device.shown["1"]
        assert (first.pedestal.value[0, 0], first.pedestal.value[3, 7]) == (40.0, 290.0)
        # Half of 100 images 250 above the mean, half 250 below.
        assert first.pedestal_sigma.value[3, 7] == pytest.approx(250.0 * np.sqrt(100 / 99))
        assert device.pedestal_images.value == 50

    run(tmp_path, test)


def test_a_configuration_needs_a_folder_and_a_recorder(tmp_path: Path) -> None:
    (tmp_path / "root" / "empty").mkdir(parents=True)

    async def test(device: DaqNode, recorder: Recorder) -> None:
        for path in ("/", str(tmp_path / "nowhere"), str(tmp_path / "root" / ".." / "..")):
            with pytest.raises(BadValueError, match="does not exist"):
                await device.run("initialise", {"data_dir": path})
        with pytest.raises(NotAllowedError, match="Real DAQ software is not active"):
            await device.run("initialise", {"data_dir": str(tmp_path / "root" / "empty")})
        assert device.node.is_valid, "what was before goes on"
        await device.run("halt")
        await until(lambda: device.state is DeviceState.STANDBY, "STANDBY")
        await device.run("initialise", {})
        await until(lambda: device.state is DeviceState.ON, "ON")

    run(tmp_path, test, data_root=str(tmp_path))


def test_wrong_properties_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        DaqNode("daq/test/1", {"udp": "nowhere", "socket_products": ["img16", "img32"], "interval": "0"})
    text = json.dumps(refused.value.problems)
    assert "is not HOST:PORT" in text and "'img32' is no data product" in text and "interval" in text
